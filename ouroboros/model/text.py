r"""`safe_text`: the one way by which foreign text may reach a person.

Text from a candidate, a model or a repository can carry terminal escapes (OSC 52 writes the
approver's clipboard), bidirectional overrides (Trojan Source) and invisible characters. A raw
`ESC ]52;...` in a diff was seen to reach the terminal through every Textual widget tried. So all
of it is made visible here: C0/C1 and DEL become control pictures or `<U+XXXX>`, bidi and
zero-width characters become `<U+XXXX>`. Newline and tab are kept (tab is expanded by whoever
lays out); a carriage return is shown, since it can overwrite a line.

`safe_text` never raises and is idempotent. It escapes nothing for a markup language: callers hand
the result to APIs that take plain text (Rich `Text`, Textual `Content`), never markup.
"""

import re

_CONTROL_PICTURES = {code: chr(0x2400 + code) for code in range(0x20) if code not in (0x09, 0x0A)}
_CONTROL_PICTURES[0x7F] = "\u2421"

_INVISIBLE = re.compile(
    "["
    "\x80-\x9f"  # C1 controls
    "\u00ad"  # soft hyphen
    "\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f"
    "\u200b-\u200f"  # zero width, LRM, RLM
    "\u2028-\u202e"  # line and paragraph separators, bidi embeddings and overrides
    "\u2060-\u206f"  # word joiner, bidi isolates, deprecated format characters
    "\ufe00-\ufe0f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff"  # lone surrogates break the next UTF-8 encode
    "\U000e0000-\U000e0fff"  # tags and variation selectors
    "]"
)


def _visible(match: re.Match[str]) -> str:
    return f"<U+{ord(match.group()):04X}>"


def safe_text(text: str, *, limit: int | None = None) -> str:
    """Make every control, bidi and invisible character of `text` visible.

    Args:
        text: anything that came from outside.
        limit: the most characters to keep; the cut is marked with how many were left out.
    """
    if limit is not None and len(text) > limit:
        text = f"{text[:limit]}\u2026 ({len(text) - limit} more characters)"
    return _INVISIBLE.sub(_visible, text.translate(_CONTROL_PICTURES))


def safe_line(text: str, *, limit: int = 200) -> str:
    """`safe_text` on one line: newlines and tabs become spaces, runs of spaces one."""
    return safe_text(" ".join(text.split()), limit=limit)
