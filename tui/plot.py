"""A line plot in a few rows of cells, as `Line`s: pure, in any character set, cheap to repaint.

Braille dots give 2 x 4 points a cell; where the terminal has ASCII only, one mark a cell. The axis
says the least and the most that is seen, so that a plot is never read without its scale.
"""

import math
from collections.abc import Callable, Sequence

from tui.words import Glyphs, Line, Span, line

_DOTS = ((0x01, 0x02, 0x04, 0x40), (0x08, 0x10, 0x20, 0x80))
"""Bits of a braille cell by column and row (Unicode 15, chapter 21.1)."""
_BRAILLE = 0x2800
AXIS = 10
"""Cells at the left for the scale."""

Format = Callable[[float], str]


def plot(
    points: Sequence[tuple[float, float]],
    *,
    width: int,
    height: int,
    glyphs: Glyphs,
    form: Format = "{:.4g}".format,
    role: str = "busy",
    zero: bool = False,
    span: tuple[float, float] | None = None,
    joined: bool = True,
) -> tuple[Line, ...]:
    """Draw points `(x, y)` in order of x; returns `height` lines of at most `width` cells.

    Args:
        points: what is drawn; what is not finite is left out.
        width: cells in all, the scale included.
        height: rows.
        glyphs: the character set.
        form: how a value of y is written at the scale.
        role: the role of the line.
        zero: keep 0 in view, and draw a line there.
        span: first and last x that are seen; from the points where it is None.
        joined: connect the points.
    """
    seen = [(x, y) for x, y in points if math.isfinite(x) and math.isfinite(y)]
    columns = width - AXIS
    if not seen or columns < 1 or height < 1:
        return (line(("nothing to draw", "dim")),)
    left, right = span or (seen[0][0], seen[-1][0])
    low, high = _range([y for _, y in seen], zero=zero)
    canvas = _Canvas(columns, height, fine=glyphs.braille)
    before: tuple[int, int] | None = None
    for x, y in seen:
        if not left <= x <= right:
            before = None
            continue
        at = canvas.place((x - left) / ((right - left) or 1.0), (y - low) / (high - low))
        canvas.draw(before if joined and before is not None else at, at)
        before = at
    ground = canvas.row_of((0.0 - low) / (high - low)) if zero else -1
    return tuple(
        line((_scale(row, height, low, high, form), "dim"), *canvas.row(row, glyphs, role, ground))
        for row in range(height)
    )


def _range(values: Sequence[float], *, zero: bool) -> tuple[float, float]:
    low, high = min(values), max(values)
    if zero:
        low, high = min(low, 0.0), max(high, 0.0)
    if low == high:
        half = abs(low) / 10 or 1.0
        return low - half, high + half
    return low, high


def _scale(row: int, height: int, low: float, high: float, form: Format) -> str:
    ends = {0: high, height - 1: low} if height > 1 else {0: high}
    text = form(ends[row]) if row in ends else ""
    return text[: AXIS - 1].rjust(AXIS - 1) + " "


class _Canvas:
    """Dots in cells."""

    def __init__(self, columns: int, rows: int, *, fine: bool) -> None:
        self._fine = fine
        self._across, self._down = (2, 4) if fine else (1, 1)
        self._columns, self._rows = columns, rows
        self._cells = [[0] * columns for _ in range(rows)]

    def place(self, across: float, up: float) -> tuple[int, int]:
        """Return the dot at these fractions of the width and of the height (from below)."""
        x = round(across * (self._columns * self._across - 1))
        y = round((1.0 - up) * (self._rows * self._down - 1))
        return x, y

    def row_of(self, up: float) -> int:
        """Return the row in which a fraction of the height lies."""
        return self.place(0.0, up)[1] // self._down

    def draw(self, begin: tuple[int, int], end: tuple[int, int]) -> None:
        """Set the dots from one to the other."""
        steps = max(abs(end[0] - begin[0]), abs(end[1] - begin[1]), 1)
        for step in range(steps + 1):
            x = begin[0] + round((end[0] - begin[0]) * step / steps)
            y = begin[1] + round((end[1] - begin[1]) * step / steps)
            self._cells[y // self._down][x // self._across] |= (
                _DOTS[x % 2][y % 4] if self._fine else 1
            )

    def row(self, row: int, glyphs: Glyphs, role: str, ground: int) -> list[Span]:
        """Return one row; `ground` is the row of the line at 0, or -1."""
        spans: list[Span] = []
        for bits in self._cells[row]:
            if bits:
                text, of = (chr(_BRAILLE + bits) if self._fine else glyphs.here), role
            else:
                text, of = (glyphs.dash if row == ground else " "), "dim"
            if spans and spans[-1].role == of:
                spans[-1] = Span(spans[-1].text + text, of)
            else:
                spans.append(Span(text, of))
        return spans
