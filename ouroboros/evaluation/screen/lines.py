"""Which lines are new: by the diff, and by what the file holds before and after. Pure.

Two readings, because each is blind where the other sees. The diff knows a line that was taken from
one place and put in another; the contents know what the diff's author would rather not show.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from ouroboros.vcs.values import Source

_MARK = b"\xef\xbb\xbf"
"""The byte order mark; harmless where it was, invisible where it is new."""


class Line(NamedTuple):
    """A line of a changed file, as it is after the change, without its line ending."""

    path: str
    number: int
    text: str


def added(diff: str) -> Iterator[Line]:
    """Yield every added line of a unified diff with its number in the new file."""
    for line, inside in _read(diff):
        if inside:
            yield line


def outside(diff: str) -> Iterator[Line]:
    """Yield what a diff says beside its changes: git passes over it, a reader may not."""
    for line, inside in _read(diff):
        if not inside and not _HUNK.match(line.text):
            yield line._replace(path="")


def _read(diff: str) -> Iterator[tuple[Line, bool]]:
    """Yield the added lines (true, numbered in the new file), and all outside of hunks (false)."""
    path, number, old, new = "", 0, 0, 0
    for place, line in enumerate(diff.split("\n"), 1):
        if old <= 0 and new <= 0:
            if line.startswith("+++ "):
                path = line[4:].split("\t")[0].strip('"').removeprefix("b/")
            elif line.startswith("@@"):
                number, old, new = _hunk(line)
            yield Line(path, place, line.removesuffix("\r")), False
        elif line.startswith("+"):
            yield Line(path, number, line[1:].removesuffix("\r")), True
            number, new = number + 1, new - 1
        elif line.startswith("-"):
            old -= 1
        elif line.startswith(" ") or line == "":
            number, old, new = number + 1, old - 1, new - 1


def _hunk(header: str) -> tuple[int, int, int]:
    """Return first line of the new side and both lengths of a hunk: `@@ -a,b +c,d @@`."""
    match = _HUNK.match(header)
    if match is None:
        return 0, 0, 0
    start, old, new = match["start"], match["old"], match["new"]
    return int(start), int(old) if old else 1, int(new) if new else 1


_HUNK = re.compile(
    r"@@ -[0-9]{1,9}(?:,(?P<old>[0-9]{1,9}))? \+(?P<start>[0-9]{1,9})(?:,(?P<new>[0-9]{1,9}))? @@"
)


def decoded(content: bytes | None) -> str:
    """Return the text of a file; bytes that are no UTF-8 become surrogates."""
    return (content or b"").decode("utf-8", "surrogateescape")


def split(text: str) -> list[str]:
    """Split at newlines alone: everything else that can end a line must stay visible."""
    return [line.removesuffix("\r") for line in text.removeprefix("\ufeff").split("\n")]


def introduced(source: Source) -> list[Line]:
    """Return the lines that stand in the file more often after the change than before."""
    left = Counter(split(decoded(source.before))) if source.before is not None else Counter()
    new = []
    for number, text in enumerate(split(decoded(source.after)), 1):
        if left[text] > 0:
            left[text] -= 1
        else:
            new.append(Line(source.path, number, text))
    after, before = source.after or b"", source.before or b""
    if after.startswith(_MARK) and not before.startswith(_MARK):
        first = Line(source.path, 1, decoded(after).split("\n")[0].removesuffix("\r"))
        new = [first, *(line for line in new if line.number != 1)]
    return new


def new_lines(diff: str, sources: Sequence[Source]) -> list[Line]:
    """Return the new lines by both readings, each once."""
    after = {s.path: split(decoded(s.after)) for s in sources if s.whole and s.after is not None}
    told = [line for line in added(diff) if _stands(line, after.get(line.path))]
    return list(dict.fromkeys((*told, *(line for s in sources for line in introduced(s)))))


def _stands(line: Line, content: list[str] | None) -> bool:
    """Whether a line of the diff stands where the diff says; git may apply a hunk elsewhere."""
    if content is None:
        return True
    return 0 < line.number <= len(content) and content[line.number - 1] == line.text
