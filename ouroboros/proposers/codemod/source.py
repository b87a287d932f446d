r"""Files of the target: which ones may be read and changed, and the diff of a change.

The diff must be what `git apply` takes, byte for byte: lines end at `\n` only (Python's
`splitlines` also cuts at form feeds and `\u2028`), a carriage return is part of its line, and a
missing newline at the end is said. Files that are not plain UTF-8 are left alone.
"""

import difflib
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from ouroboros.config import Config
from ouroboros.model.globs import matches

LARGEST = 1 << 20
"""Files beyond this many bytes are generated, not written."""

_PLAIN = re.compile(r"[^\x00-\x1f\x7f\"\\]+")


def may_change(path: str, config: Config) -> bool:
    """Whether the built-in proposers may touch a file."""
    inside = PurePosixPath(path)
    if inside.is_absolute() or ".." in inside.parts or not _PLAIN.fullmatch(path):
        return False
    if not path.endswith(".py") or not matches(path, config.target.paths):
        return False
    return not matches(path, config.governor.protected)


def read(tree: Path, path: str) -> str | None:
    """Return a file's text with its own line ends, or None where it is not to be rewritten.

    None is the answer for symbolic links, for what is missing, too large, not UTF-8, declared to
    be in another encoding, or marked with a byte order mark.
    """
    file = tree / path
    if any(step.is_symlink() for step in (file, *file.parents) if step.is_relative_to(tree)):
        return None
    try:
        if file.stat().st_size > LARGEST:
            return None
        content = file.read_bytes()
        encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
        return content.decode() if encoding == "utf-8" else None
    except (OSError, UnicodeDecodeError, SyntaxError):
        return None


def unified(path: str, old: str, new: str) -> str:
    """Return the diff between two texts of one file, as git writes it."""
    tab = "\t" if " " in path else ""
    lines = difflib.unified_diff(
        list(_lines(old)),
        list(_lines(new)),
        fromfile=f"a/{path}{tab}",
        tofile=f"b/{path}{tab}",
    )
    body = "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines
    )
    return f"diff --git a/{path} b/{path}\n{body}" if body else ""


def _lines(text: str) -> Iterator[str]:
    *whole, rest = text.split("\n")
    yield from (f"{line}\n" for line in whole)
    if rest:
        yield rest
