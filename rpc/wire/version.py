"""`version.*`: what was promoted, and the way back and forth."""

from typing import Any

from ouroboros.model.snapshot import RollbackPreview
from ouroboros.model.state import Version
from rpc.wire.base import Act, Request
from rpc.wire.candidate import DiffResult


class VersionList(Request[tuple[Version, ...]], frozen=True, kw_only=True):
    """Return all versions, oldest first."""

    method = "version.list"
    result = tuple[Version, ...]


class VersionGet(Request[Version], frozen=True, kw_only=True):
    """Return a version by number (`3`, `v3`), `last`, `anchor` or a candidate's id."""

    method = "version.get"
    result = Version
    ref: str


class VersionPreview(Request[RollbackPreview], frozen=True, kw_only=True):
    """Compute a rollback without doing it.

    `to`: a number or `anchor` (back to it), `last` or a candidate (back to before it).
    """

    method = "version.preview"
    result = RollbackPreview
    waits = True
    to: str


class VersionRollback(Act[Version], frozen=True, kw_only=True):
    """Roll back by a new commit; returns the new version. `expect_head`: the head you saw."""

    method = "version.rollback"
    result = Version
    role = "approver"
    to: str
    reason: str = ""
    expect_head: str = ""
    statement: str = ""
    signature: str = ""


class VersionForwardPreview(Request[RollbackPreview], frozen=True, kw_only=True):
    """Compute a roll forward without doing it. `undoes` lists the versions that would come back."""

    method = "version.forward_preview"
    result = RollbackPreview
    to: str


class VersionForward(Act[Version], frozen=True, kw_only=True):
    """Bring back by a new commit what was rolled back of a version; returns the new version."""

    method = "version.forward"
    result = Version
    role = "approver"
    to: str
    reason: str = ""
    expect_head: str = ""


class VersionDiff(Request[DiffResult], frozen=True, kw_only=True):
    """Return the unified diff between two versions from `offset`, at most 256 Ki characters.

    `old` and `new`: numbers, `last`, `anchor` or candidates; `raw` as in `candidate.diff`.
    """

    method = "version.diff"
    result = DiffResult
    exact = True
    old: str
    new: str
    offset: int = 0
    limit: int = 262144
    raw: bool = False


REQUESTS: tuple[type[Request[Any]], ...] = (
    VersionList,
    VersionGet,
    VersionPreview,
    VersionRollback,
    VersionForwardPreview,
    VersionForward,
    VersionDiff,
)
"""In the order of the documentation."""
