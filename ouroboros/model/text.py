r"""`safe_text`: the one way by which foreign text may reach a person.

Text from a candidate, a model or a repository can carry terminal escapes (OSC 52 writes the
approver's clipboard, in seven bits or, as U+009D, in eight), bidirectional overrides (Trojan
Source) and invisible characters. A raw `ESC ]52;...` in a diff was seen to reach the terminal
through every Textual widget tried. So all of it is made visible here: C0 and DEL become control
pictures, everything else `<U+XXXX>`. Newline and tab are kept (tab is expanded by whoever lays
out); a carriage return is shown, since it can overwrite a line.

What is shown is decided by what Unicode says of a character, not by a list that grows old: all
that is a control, a format, a surrogate, a private or an unassigned code point, a line or
paragraph separator; and the few that have a letter's or a mark's category and are drawn as nothing.
Of combining marks one after the other six are kept (no script stacks more); a hundred of them
would paint over the lines above. Spaces of other widths and look-alike letters of other scripts
are left: they are seen, and whole languages are written in them.

`safe_text` never raises and is idempotent. It escapes nothing for a markup language: callers hand
the result to APIs that take plain text (Rich `Text`, Textual `Content`), never markup.

`safe_json` does the same to the strings in a JSON text; `plain_json` changes none of them, and
writes what could act on a terminal as `\uXXXX`.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

MOST_MARKS = 6
"""Most combining marks in a row."""

_CONTROL_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if code not in (0x09, 0x0A)}
_CONTROL_PICTURES[0x7F] = "\u2421"

_PLAIN = re.compile(r"[\t\n\x20-\x7e]*")
_FOREIGN = re.compile(r"[^\t\n\x20-\x7e]+")
_BLANK = re.compile(
    "["
    "\u034f"  # combining grapheme joiner
    "\u115f\u1160\u3164\uffa0"  # Hangul fillers
    "\u17b4\u17b5"  # Khmer inherent vowels
    "\u180b-\u180f\ufe00-\ufe0f\U000e0100-\U000e01ef"  # variation selectors
    "\u2800"  # braille without a dot
    "\U00016fe4"  # Khitan filler
    "\U0001d159"  # musical null notehead
    "]"
)
"""Drawn as nothing, though neither control nor format."""


def safe_text(text: str, *, limit: int | None = None) -> str:
    """Make every control, bidi and invisible character of `text` visible.

    Args:
        text: anything that came from outside.
        limit: the most characters to keep; the cut is marked with how many were left out.
    """
    if limit is not None and len(text) > limit:
        text = f"{text[:limit]}\u2026 ({len(text) - limit} more characters)"
    return text if _PLAIN.fullmatch(text) else _FOREIGN.sub(_visible, text)


def safe_line(text: str, *, limit: int = 200) -> str:
    """`safe_text` on one line: newlines and tabs become spaces, runs of spaces one."""
    return safe_text(" ".join(text.split()), limit=limit)


def _visible(match: re.Match[str]) -> str:
    """Show a run of characters that are not plain ASCII."""
    run = match[0]
    return run if _is_seen(run) else "".join(shown for _, shown in _each(run))


def _is_seen(run: str) -> bool:
    """Whether nothing in a run needs to be made visible; the quick way, for whole alphabets."""
    return run.isprintable() and not _BLANK.search(run) and not _stacks(run)


def _each(run: str) -> Iterator[tuple[str, str]]:
    """Yield each character, and how it is shown."""
    marks = 0
    for char in run:
        marks = marks + 1 if unicodedata.category(char) in _MARKS else 0
        yield char, _shown(char) if marks <= MOST_MARKS else f"<U+{ord(char):04X}>"


_MARKS = frozenset({"Mn", "Me"})


def _stacks(run: str) -> bool:
    """Whether more than the allowed marks follow each other."""
    if len(run) <= MOST_MARKS:
        return False
    marks = 0
    for char in run:
        marks = marks + 1 if unicodedata.category(char) in _MARKS else 0
        if marks > MOST_MARKS:
            return True
    return False


@lru_cache(maxsize=4096)
def _shown(char: str) -> str:
    """Show one character: as it is, as a control picture, or by its number."""
    if picture := _CONTROL_PICTURES.get(ord(char)):
        return picture
    # `isprintable` is false for the categories C* and Z*; of these a space is seen by its width.
    seen = char.isprintable() or unicodedata.category(char) == "Zs"
    return char if seen and not _BLANK.match(char) else f"<U+{ord(char):04X}>"


# --- JSON ---------------------------------------------------------------------------------------

_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|.)")
_SHORT = {"\\b": "\b", "\\f": "\f", "\\r": "\r"}


def safe_json(data: bytes) -> bytes:
    """`safe_text` on every string of a JSON text as msgspec writes it.

    What stands between the strings is plain ASCII, so the text is taken as a whole.
    """
    if data.isascii() and b"\\" not in data and b"\x7f" not in data:
        return data
    return safe_text(_ESCAPE.sub(_unescaped, data.decode())).encode()


def _unescaped(match: re.Match[str]) -> str:
    """Return an escape as it is, or the picture of the control character that it stands for."""
    if match[1]:
        code = int(match[1], 16)
        return _CONTROL_PICTURES.get(code) or (match[0] if code < 0x80 else chr(code))  # noqa: PLR2004 - ASCII
    control = _SHORT.get(match[0])
    return _shown(control) if control else match[0]


def plain_json(data: bytes) -> bytes:
    """Write what `safe_text` would show differently as JSON escapes of the same value."""
    if data.isascii() and b"\x7f" not in data:
        return data
    return _FOREIGN.sub(_escaped, data.decode()).encode()


def _escaped(match: re.Match[str]) -> str:
    run = match[0]
    if _is_seen(run):
        return run
    return "".join(char if shown == char else _units(char) for char, shown in _each(run))


def _units(char: str) -> str:
    units = char.encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[i]:02x}{units[i + 1]:02x}" for i in range(0, len(units), 2))
