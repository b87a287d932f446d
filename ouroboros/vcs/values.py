"""What this room hands out. Commits, trees and blobs are full hexadecimal ids."""

from enum import StrEnum

import msgspec

from ouroboros.model.proposal import FileChange


class Built(msgspec.Struct, frozen=True, kw_only=True):
    """A candidate commit whose only parent is `base`, and the two refs that keep it alive."""

    commit: str
    tree: str
    base: str
    ref: str
    checkpoint: str
    files: tuple[FileChange, ...]


class Reverted(msgspec.Struct, frozen=True, kw_only=True):
    """A commit that undoes others, its tree, and what it changes against its parent."""

    commit: str
    tree: str
    files: tuple[FileChange, ...]


class MoveState(StrEnum):
    """Where a branch stands relative to a move that was intended."""

    NOT_STARTED = "not_started"
    DONE = "done"
    ELSEWHERE = "elsewhere"


class FileMode(msgspec.Struct, frozen=True, kw_only=True):
    """The types of one changed path as git writes them; `000000` = not there on that side.

    100644 file, 100755 executable, 120000 symbolic link, 160000 submodule.
    """

    path: str
    old: str
    new: str


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """The contents of one changed file on both sides; None = not there on that side.

    `whole` is false where a side was larger than the reader's limit, or is no file at all
    (a submodule); that side is then empty.
    """

    path: str
    before: bytes | None
    after: bytes | None
    whole: bool = True


class WorkTree(msgspec.Struct, frozen=True, kw_only=True):
    """The user's own work tree: its branch (None when detached) and paths with local edits."""

    branch: str | None
    dirty: tuple[str, ...]


class CandidateRef(msgspec.Struct, frozen=True, kw_only=True):
    """The refs of one candidate; an empty id where one of the two is missing."""

    name: str
    commit: str
    checkpoint: str
