"""For scripts: the typed client and the wire under one name.

from ouroboros.client import Client, wire

client = await Client.connect(socket, name="nightly-report")
page = await client.call(wire.CandidateList(phases=("held",)))
"""

from rpc import wire
from rpc.client import Client, Feed, Lossy, UnknownEvent

__all__ = ["Client", "Feed", "Lossy", "UnknownEvent", "wire"]
