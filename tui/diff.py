"""A unified diff as coloured lines: what `git diff` wrote, made readable, never rearranged.

The first character of every line stays (`+`, `-`, space), so that nothing depends on colour. Code
is lexed per hunk, old and new side together, by the file's name; that may colour a string that
spans hunks wrongly, and never changes a character. Highlighting is slow (tens of milliseconds for
a few hundred lines), so callers run `render` in a thread.
"""

import re
from functools import lru_cache

import msgspec
from pygments.lexer import Lexer  # type: ignore[import-untyped] # it ships no types
from pygments.lexers import get_lexer_for_filename  # type: ignore[import-untyped] # it ships no types
from pygments.token import Comment, Keyword, Name, Number, Operator, String, _TokenType  # type: ignore[import-untyped] # it ships no types
from pygments.util import ClassNotFound  # type: ignore[import-untyped] # it ships no types
from rich.cells import cell_len, set_cell_size

from ouroboros.model.text import safe_text
from tui.words import Glyphs, Line, Span, line

LINE_LIMIT = 2000
"""Characters of one line that are shown; minified files have lines of megabytes."""

_HUNK = re.compile(r"@@ -\d+(?:,\d+)? \+\d+(?:,\d+)? @@")
_TOKENS: tuple[tuple[_TokenType, str], ...] = (
    (Comment, "tok-comment"),
    (String, "tok-string"),
    (Number, "tok-number"),
    (Keyword, "tok-keyword"),
    (Name.Function, "tok-name"),
    (Name.Class, "tok-name"),
    (Name.Decorator, "tok-name"),
    (Name.Builtin, "tok-builtin"),
    (Operator.Word, "tok-keyword"),
)
_FILLS = {"+": "add", "-": "del"}


class Diff(msgspec.Struct, frozen=True, kw_only=True):
    """Lines to show, and the indexes of those where a hunk begins."""

    lines: tuple[Line, ...] = ()
    hunks: tuple[int, ...] = ()


def render(text: str) -> Diff:
    """Turn a unified diff (or the first pages of one) into coloured lines."""
    lines: list[Line] = []
    hunks: list[int] = []
    body: list[str] = []
    path = ""
    for raw in safe_text(text).split("\n"):
        if body and raw[:1] in ("+", "-", " ", "\\"):
            body.append(raw)
            continue
        lines += _hunk(body, path)
        body = []
        if _HUNK.match(raw):
            hunks.append(len(lines))
            body = [raw]
        else:
            path = raw[6:] if raw.startswith("+++ b/") else path
            lines += _preamble(raw)
    lines += _hunk(body, path)
    return Diff(lines=tuple(lines), hunks=tuple(hunks))


def _preamble(raw: str) -> list[Line]:
    if raw.startswith("diff --git "):
        return [line((raw.removeprefix("diff --git "), "file"))]
    return [line((raw[:LINE_LIMIT], "dim"))] if raw else []


def _hunk(body: list[str], path: str) -> list[Line]:
    if not body:
        return []
    head, rest = body[0], [raw[:LINE_LIMIT].expandtabs(4) for raw in body[1:]]
    coloured = _colour([raw[1:] for raw in rest], path)
    return [
        line((head, "hunk")),
        *(_row(raw[:1], spans) for raw, spans in zip(rest, coloured, strict=True)),
    ]


def _row(sign: str, spans: tuple[Span, ...]) -> Line:
    fill = _FILLS.get(sign, "")
    mark = Span(sign, f"sign-{fill}" if fill else "dim")
    return Line((mark, *spans), fill)


def _colour(rows: list[str], path: str) -> list[tuple[Span, ...]]:
    """Return the spans of each row; plain ones where no lexer knows the file."""
    lexer = _lexer(path)
    if lexer is None:
        return [(Span(row),) if row else () for row in rows]
    return _split("\n".join(rows), lexer)


def _split(code: str, lexer: Lexer) -> list[tuple[Span, ...]]:
    rows: list[list[Span]] = [[]]
    for _, kind, value in lexer.get_tokens_unprocessed(code):
        role = _role(kind)
        first, *others = value.split("\n")
        if first:
            rows[-1].append(Span(first, role))
        rows.extend([Span(part, role)] if part else [] for part in others)
    return [tuple(row) for row in rows]


@lru_cache(maxsize=256)
def _role(kind: _TokenType) -> str:
    return next((role for known, role in _TOKENS if kind in known), "")


@lru_cache(maxsize=64)
def _lexer(path: str) -> Lexer | None:
    try:
        return get_lexer_for_filename(path) if path else None
    except ClassNotFound:
        return None


def beside(diff: Diff, width: int, glyphs: Glyphs) -> Diff:
    """Return a unified diff side by side: what was at the left, what is at the right.

    A run of removed lines stands beside the run of added ones that follows it. A line that is
    wider than its half is cut with a mark; the unified diff has it whole.
    """
    half = max(10, (width - 3) // 2)
    lines: list[Line] = []
    hunks: list[int] = []
    known = set(diff.hunks)
    old: list[Line] = []
    new: list[Line] = []
    for number, row in enumerate(diff.lines):
        if row.fill == "del" and not new:
            old.append(row)
            continue
        if row.fill == "add":
            new.append(row)
            continue
        lines += _halves(old, new, half, glyphs)
        old, new = ([row], []) if row.fill == "del" else ([], [])
        if row.fill == "del":
            continue
        if number in known:
            hunks.append(len(lines))
        is_code = bool(row.spans) and row.spans[0].text == " "
        lines.append(_pair(row, row, half, glyphs) if is_code else row)
    lines += _halves(old, new, half, glyphs)
    return Diff(lines=tuple(lines), hunks=tuple(hunks))


def _halves(old: list[Line], new: list[Line], half: int, glyphs: Glyphs) -> list[Line]:
    count = max(len(old), len(new))
    left = [*old, *([Line()] * (count - len(old)))]
    right = [*new, *([Line()] * (count - len(new)))]
    return [_pair(a, b, half, glyphs) for a, b in zip(left, right, strict=True)]


def _pair(old: Line, new: Line, half: int, glyphs: Glyphs) -> Line:
    parts = (
        *_fitted(old, half, glyphs),
        Span(f" {glyphs.bar} ", "dim"),
        *_fitted(new, half, glyphs),
    )
    return Line(parts)


def _fitted(row: Line, half: int, glyphs: Glyphs) -> list[Span]:
    """Return a line's spans in exactly `half` cells, its background with them."""
    spans: list[Span] = []
    room = half
    for span in row.spans:
        wide = cell_len(span.text)
        if wide > room:
            dots = glyphs.ellipsis
            text = set_cell_size(span.text, max(0, room - len(dots))) + dots[:room]
            spans.append(Span(text, span.role, row.fill))
            room = 0
            break
        spans.append(Span(span.text, span.role, row.fill))
        room -= wide
    if room:
        spans.append(Span(" " * room, "", row.fill))
    return spans


def next_hunk(hunks: tuple[int, ...], at: int, step: int) -> int | None:
    """Return the line of the next (`step` > 0) or previous hunk as seen from line `at`."""
    if step > 0:
        return next((hunk for hunk in hunks if hunk > at), None)
    return next((hunk for hunk in reversed(hunks) if hunk < at), None)
