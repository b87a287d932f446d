r"""Paths inside a tree: bytes in git, text outside.

A path in git is any bytes without NUL. Two texts are made of it:

- `decode` is lossless (surrogateescape, as `os.fsdecode` does): for callers that hand the path
  back or open a file;
- `shown` is for people, the ledger and the wire: bytes that are no UTF-8 become `\xNN`, because a
  lone surrogate can be stored in neither JSON nor a terminal.
"""

import os
from pathlib import Path


def decode(path: bytes) -> str:
    """Return the lossless text of a path."""
    return path.decode("utf-8", "surrogateescape")


def encode(path: str) -> bytes:
    """Return the bytes of a path that `decode` gave."""
    return path.encode("utf-8", "surrogateescape")


def shown(path: bytes) -> str:
    """Return the text of a path that can be stored and shown."""
    return path.decode("utf-8", "backslashreplace")


def listing(paths: list[bytes], *, limit: int = 10) -> str:
    """Return paths for one sentence: `a, b, c and 4 more`."""
    names = [shown(path) for path in paths[:limit]]
    more = f" and {len(paths) - limit} more" if len(paths) > limit else ""
    return ", ".join(names) + more


def inside(root: Path, path: bytes) -> Path:
    """Return the place of `path` below `root` in the file system."""
    return root / os.fsdecode(path)


def argument(path: bytes) -> str:
    """Return a path as a command-line argument that reaches git as the same bytes."""
    return os.fsdecode(path)
