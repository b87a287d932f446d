"""What is suggested, before anything ran: a `Proposal`, and what the diff touches."""

from enum import StrEnum

import msgspec


class FileStatus(StrEnum):
    """What a diff does to one file."""

    ADDED = "added"
    MODIFIED = "modified"
    DELETED = "deleted"
    RENAMED = "renamed"


class FileChange(msgspec.Struct, frozen=True, kw_only=True):
    """One file of a diff. Lines are counted as `git diff --numstat` does; -1 means binary."""

    path: str
    status: FileStatus
    added: int
    removed: int


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What a proposal cost to make. Money in millionths of a US dollar."""

    wall_ns: int = 0
    tokens_in: int = 0
    tokens_out: int = 0
    micro_usd: int = 0


class Proposal(msgspec.Struct, frozen=True, kw_only=True):
    """A suggested change, not applied.

    `diff` is a unified diff with `a/` and `b/` prefixes as `git diff` writes it, against `base`.
    `idea` names the idea independently of where it applies textually (for instance
    `codemod:hoist-len:pkg/mod.py:function`), so that no idea is tried twice; empty means that the
    diff's own hash is the idea.
    """

    proposer: str
    title: str
    rationale: str
    base: str
    diff: str
    idea: str = ""
    predicted_gain: float | None = None
    cost: Cost = Cost()


class Severity(StrEnum):
    """What a finding of the screen asks for; a note asks for nothing, it is said and kept."""

    REJECT = "reject"
    HOLD = "hold"
    NOTE = "note"


class Mark(msgspec.Struct, frozen=True, kw_only=True):
    """One finding of the screen: a rule (`protected-path`, `file-mode`, ...), where, and why."""

    rule: str
    severity: Severity
    text: str
    path: str = ""
    line: int = 0
