"""Print what waits for a person.   python held.py SOCKET"""

import sys

from ouroboros.client import SyncClient, parse_address, wire

with SyncClient.connect(parse_address(sys.argv[1]), name="held.py") as client:
    for candidate in client.call(wire.CandidateList(phases=("held",))).candidates:
        reasons = ", ".join(reason.code for reason in candidate.reasons)
        print(candidate.id, repr(candidate.title), reasons)
