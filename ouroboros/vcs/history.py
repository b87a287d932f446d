"""What the target's history says of us: commits with our trailers.

Anybody can write a trailer, so that nothing is decided by what is found here: it is compared with
the ledger, and people are told.
"""

import re

import msgspec

from ouroboros.vcs.runner import Git

_VERSION = "Ouroboros-Version"
_HEAD = "Ouroboros-Ledger-Head"
_TRAILER = "%(trailers:key={},valueonly,separator=%x2C)"
_NUMBER = re.compile(r"[0-9]{1,9}")
_LEDGER_HEAD = re.compile(r"([0-9]{1,15}):([0-9a-f]{64})")


class Ours(msgspec.Struct, frozen=True, kw_only=True):
    """A commit that says it is a promotion or rollback of ours.

    `size` and `head` are the ledger's end when it was made (0 and empty where it does not say).
    """

    commit: str
    version: int
    size: int = 0
    head: str = ""


def ours(git: Git, commit: str, *, limit: int) -> tuple[Ours, ...]:
    """Return the commits with our trailers in the history of `commit`, newest first."""
    form = f"%H%x00{_TRAILER.format(_VERSION)}%x00{_TRAILER.format(_HEAD)}"
    output = git.run(
        "log",
        f"--max-count={limit}",
        f"--grep=^{_VERSION}: ",
        f"--format={form}",
        "--end-of-options",
        commit,
    )
    found = (_parsed(line.decode("utf-8", "replace")) for line in output.out.splitlines())
    return tuple(one for one in found if one is not None)


def _parsed(line: str) -> Ours | None:
    parts = line.split("\0")
    if len(parts) != 3 or not _NUMBER.fullmatch(parts[1]):  # noqa: PLR2004 - the fields above
        return None
    head = _LEDGER_HEAD.fullmatch(parts[2])
    return Ours(
        commit=parts[0],
        version=int(parts[1]),
        size=int(head[1]) if head else 0,
        head=head[2] if head else "",
    )
