"""Reading a branch's history for what engines wrote into it."""

from ouroboros.vcs.runner import Git
from ouroboros.vcs.values import Marked

VERSION = "Ouroboros-Version"
LEDGER_HEAD = "Ouroboros-Ledger-Head"

_FORMAT = (
    f"%H%x00%(trailers:key={VERSION},valueonly)%x00%(trailers:key={LEDGER_HEAD},valueonly)%x1e"
)


def marked(git: Git, *, since: str, until: str, limit: int) -> tuple[Marked, ...]:
    """Return the commits in `since..until` that carry a ledger head, newest first.

    Only commits whose message holds the trailer's name are looked at, so that a long history costs
    one walk.
    """
    output = git.run(
        "log",
        "--no-show-signature",
        "--fixed-strings",
        f"--grep={LEDGER_HEAD}:",
        f"--max-count={limit}",
        f"--format={_FORMAT}",
        "--end-of-options",
        f"{since}..{until}",
        "--",
    )
    found = []
    for record in output.out.decode("utf-8", "replace").split("\x1e"):
        commit, _, rest = record.strip("\n").partition("\0")
        version, _, head = rest.partition("\0")
        if head.strip():
            size = _number(head.strip().splitlines()[-1].partition(":")[0])
            found.append(Marked(commit=commit, version=_number(version), ledger_size=size))
    return tuple(found)


def _number(text: str) -> int:
    lines = text.split()
    return int(lines[-1]) if lines and lines[-1].isascii() and lines[-1].isdigit() else -1
