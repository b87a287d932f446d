"""Diffs for the shape gate, made from what a file holds before and after."""

import difflib
import textwrap
from collections.abc import Sequence

from ouroboros.config import Config
from ouroboros.evaluation.screen import Source, screen
from ouroboros.model.proposal import FileChange, FileStatus, Mark
from ouroboros.vcs.values import FileMode

TRACKED = ("pkg/__init__.py", "pkg/mod.py", "pkg/other.py", "tests/test_mod.py")


def look(
    before: str | bytes | None,
    after: str | bytes | None,
    path: str = "pkg/mod.py",
    *,
    config: Config | None = None,
    tracked: Sequence[str] = TRACKED,
    modes: tuple[str, str] | None = None,
) -> tuple[Mark, ...]:
    """Return what the screen says of one changed file."""
    old, new = _content(before), _content(after)
    status = FileStatus.ADDED if old is None else FileStatus.MODIFIED
    status = FileStatus.DELETED if new is None else status
    there = ("000000" if old is None else "100644", "000000" if new is None else "100644")
    lines = _lines(old), _lines(new)
    change = FileChange(path=path, status=status, added=len(lines[1]), removed=len(lines[0]))
    mode = FileMode(path=path, old=(modes or there)[0], new=(modes or there)[1])
    return screen(
        unified(path, *lines),
        [change],
        [mode],
        [Source(path=path, before=old, after=new)],
        config=config or Config(),
        tracked=tracked,
    )


def unified(path: str, old: list[str], new: list[str]) -> str:
    """Return a unified diff as git writes it."""
    return "".join(difflib.unified_diff(old, new, f"a/{path}", f"b/{path}")) or " "


def _content(value: str | bytes | None) -> bytes | None:
    if isinstance(value, str):
        return textwrap.dedent(value).encode("utf-8", "surrogateescape")
    return value


def _lines(content: bytes | None) -> list[str]:
    text = (content or b"").decode("utf-8", "surrogateescape")
    return [line + "\n" for line in text.split("\n")]
