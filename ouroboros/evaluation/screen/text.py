"""Characters that a reviewer cannot see, and bytes that are no text. Pure."""

import re
import unicodedata
from collections.abc import Iterator, Sequence

from ouroboros.evaluation.screen.languages import is_source
from ouroboros.evaluation.screen.lines import Line, split
from ouroboros.evaluation.screen.marks import Finding
from ouroboros.model.text import safe_text
from ouroboros.vcs.values import Source

_DECLARED = re.compile(rb"^[ \t\f]*#.*?coding[:=][ \t]*([-\w.]+)")
_UTF8 = frozenset({b"utf-8", b"utf8", b"utf-8-sig", b"utf_8", b"u8"})
"""What Python's tokenizer reads as UTF-8, with or without the mark at the start."""


def hidden(text: str) -> bool:
    """Whether a line holds anything that is not shown as it is."""
    if text.isascii():
        return not text.isprintable() and safe_text(text) != text
    return safe_text(text) != text or any(unicodedata.category(c) == "Cf" for c in text)


def characters(lines: Sequence[Line]) -> Iterator[Finding]:
    """Find new lines with characters that a reviewer cannot see."""
    for line in lines:
        if hidden(line.text):
            yield Finding("hidden-characters", line.path, line.number, shown=line.text)


def contents(source: Source) -> Iterator[Finding]:
    """Find what makes a file something else than the UTF-8 text that it must be."""
    after = source.after or b""
    if b"\0" in after:
        yield Finding("binary", source.path)
    if not is_source(source.path, after):
        return
    if not _utf8(after) and (source.before is None or _utf8(source.before)):
        yield Finding("source-encoding", source.path, detail="the bytes are not UTF-8")
    before = declared(source.before or b"")
    for number, name in declared(after).items():
        if name.lower() not in _UTF8 and name not in before.values():
            shown = split(after.decode("utf-8", "replace"))[number - 1]
            yield Finding("source-encoding", source.path, number, shown=shown)


def declared(content: bytes) -> dict[int, bytes]:
    """Return the encodings that the first two lines declare, by line."""
    found = {}
    for number, line in enumerate(re.split(rb"\r\n|\r|\n", content[:4096])[:2], 1):
        match = _DECLARED.match(line)
        if match:
            found[number] = match[1]
    return found


def _utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
