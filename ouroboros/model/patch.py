"""A unified diff, cut into its files. Pure.

Lines are counted by the hunk headers: a removed line `-- a/x` looks like the header of a file.
"""

import re
from collections.abc import Iterator

import msgspec

_HUNK = re.compile(
    r"@@ -[0-9]{1,9}(?:,(?P<old>[0-9]{1,9}))? \+[0-9]{1,9}(?:,(?P<new>[0-9]{1,9}))? @@"
)


class Section(msgspec.Struct, frozen=True, kw_only=True):
    """What a diff says about one file. `path` as it is after the change (before, if deleted)."""

    path: str
    text: str
    added: int
    removed: int


def sections(diff: str) -> Iterator[Section]:
    """Yield the files of a diff in order; what stands before the first header belongs to it."""
    lines: list[str] = []
    headed = False  # whether the collected lines have a file's header among them
    old = new = 0
    for line in _lines(diff):
        if old > 0 or new > 0:
            old -= line[:1] in {"-", " ", "\n"}
            new -= line[:1] in {"+", " ", "\n"}
        elif found := _HUNK.match(line):
            old, new = int(found["old"] or 1), int(found["new"] or 1)
        elif line.startswith("diff --git ") or (line.startswith("--- ") and _in_hunks(lines)):
            if headed:
                yield _section(lines)
                lines = []
            headed = True
        elif line.startswith("--- "):
            headed = True
        lines.append(line)
    if headed:
        yield _section(lines)


def _lines(diff: str) -> Iterator[str]:
    """Yield lines with their ends; only a line feed ends one (`splitlines` knows nine others)."""
    at = 0
    while at < len(diff):
        end = diff.find("\n", at) + 1 or len(diff)
        yield diff[at:end]
        at = end


def _in_hunks(lines: list[str]) -> bool:
    """Whether a header that comes now is the next file's: this one's has passed."""
    return any(line.startswith("+++ ") for line in lines[:8])


def _section(lines: list[str]) -> Section:
    path, added, removed = "", 0, 0
    old = new = 0
    for line in lines:
        if old > 0 or new > 0:
            old -= line[:1] in {"-", " ", "\n"}
            new -= line[:1] in {"+", " ", "\n"}
            added += line[:1] == "+"
            removed += line[:1] == "-"
        elif found := _HUNK.match(line):
            old, new = int(found["old"] or 1), int(found["new"] or 1)
        else:
            path = _named(line, path)
    return Section(path=path, text="".join(lines), added=added, removed=removed)


def _named(line: str, path: str) -> str:
    """Return the path that a header's line names, or the one that is known."""
    for start in ("+++ ", "--- ", "rename to "):
        if not line.startswith(start):
            continue
        name = line[len(start) :].split("\t", maxsplit=1)[0].strip().strip('"')
        if name != "/dev/null":
            return name[2:] if start != "rename to " and name[:2] in {"a/", "b/"} else name
    if line.startswith("diff --git ") and not path:
        return line.rpartition(" b/")[2].strip().strip('"')
    return path
