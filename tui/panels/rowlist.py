"""A table of keyed rows with a cursor: candidates, ledger, versions.

Why not Textual's DataTable: it cannot insert a row at the top (sorting 1,000 rows costs 60 ms),
its columns do not give way to the title at 80 columns, and each layout pass is linear in the
rows. Here a row becomes cells when it comes into view, `show` repaints only the lines that
differ, and the cursor stays with its key when rows move.
"""

from collections.abc import Sequence

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from tui.paint import PaintedScroll, harmless
from tui.rows import Column, Row
from tui.words import Line, Span

_GAP = 1


class RowList(PaintedScroll, can_focus=True):
    """Rows under one line of column heads."""

    class Moved(Message):
        """The cursor stands on another row (`key` is empty when there are none)."""

        def __init__(self, rows: "RowList", key: str) -> None:
            """Name the widget and the row."""
            super().__init__()
            self.rows = rows
            self.key = key

        @property
        def control(self) -> "RowList":
            """The widget (for `@on` selectors)."""
            return self.rows

    class NearEnd(Message):
        """The cursor came near the last row; older ones may be fetched."""

        def __init__(self, rows: "RowList") -> None:
            """Name the widget."""
            super().__init__()
            self.rows = rows

        @property
        def control(self) -> "RowList":
            """The widget (for `@on` selectors)."""
            return self.rows

    def __init__(
        self,
        *,
        follow_top: bool = False,
        cursor: bool = True,
        id: str | None = None,  # noqa: A002 - Textual's name
    ) -> None:
        """Begin empty.

        Args:
            follow_top: while the cursor is on the first row, new rows above take it along.
            cursor: whether there is a cursor at all (else it is only to look at).
            id: the widget's id.
        """
        super().__init__(id=id)
        self.can_focus = cursor
        self.columns: tuple[Column, ...] = ()
        self.rows: tuple[Row, ...] = ()
        self.key = ""
        self._follow_top = follow_top

    @property
    def index(self) -> int:
        """Where the cursor is, -1 without rows."""
        return next((i for i, row in enumerate(self.rows) if row.key == self.key), -1)

    def show(self, columns: tuple[Column, ...], rows: Sequence[Row]) -> None:
        """Show these rows; the cursor stays with its key, else near where it was."""
        old, at = self.rows, self.index
        self.rows = tuple(rows)
        if columns != self.columns:
            self.columns, old = columns, ()
            self.refresh()
        self._keep_cursor(at)
        if len(old) != len(self.rows):
            self.resize_content(Size(0, len(self.rows) + 1))
        for y in range(max(len(old), len(self.rows))):
            if y >= len(old) or y >= len(self.rows) or old[y] != self.rows[y]:
                self._refresh_row(y)

    def _keep_cursor(self, at: int) -> None:
        now = self.index
        if now >= 0 and not (self._follow_top and at == 0):
            if now != at:
                self._refresh_row(at)
                self._into_view(now)
            return
        nearest = min(max(at, 0), len(self.rows) - 1)
        self._go(nearest)

    def _go(self, index: int) -> None:
        """Put the cursor on a row."""
        key = self.rows[index].key if 0 <= index < len(self.rows) else ""
        if key == self.key:
            return
        self._refresh_row(self.index)
        self.key = key
        self._refresh_row(index)
        if self.can_focus:
            self._into_view(index)
        self.post_message(self.Moved(self, key))

    def _into_view(self, index: int) -> None:
        height = max(1, self.size.height - 1)
        top = self.scroll_offset.y
        if index < top:
            self.scroll_to(y=index, animate=False)
        elif index >= top + height:
            self.scroll_to(y=index - height + 1, animate=False)

    def _refresh_row(self, index: int) -> None:
        if index >= 0:
            y = index + 1 - self.scroll_offset.y
            self.refresh(Region(0, y, max(1, self.size.width), 1))

    def move_to(self, index: int) -> None:
        """Move the cursor as far as there are rows."""
        last = len(self.rows) - 1
        if last < 0:
            return
        index = max(0, min(last, index))
        self._go(index)
        if index + max(1, self.size.height) >= last:
            self.post_message(self.NearEnd(self))

    # The keys of a scroll view (arrows, paging) move the cursor here.

    def action_scroll_down(self) -> None:
        """Next row."""
        self.move_to(self.index + 1)

    def action_scroll_up(self) -> None:
        """Previous row."""
        self.move_to(self.index - 1)

    def action_page_down(self) -> None:
        """One page on."""
        self.move_to(self.index + max(1, self.size.height - 2))

    def action_page_up(self) -> None:
        """One page back."""
        self.move_to(self.index - max(1, self.size.height - 2))

    def action_scroll_home(self) -> None:
        """First row."""
        self.move_to(0)

    def action_scroll_end(self) -> None:
        """Last row."""
        self.move_to(len(self.rows) - 1)

    def on_click(self, event: events.Click) -> None:
        """Put the cursor where the mouse clicked."""
        row = event.y - 1 + self.scroll_offset.y
        if event.y > 0 and row < len(self.rows):
            self.move_to(row)

    def on_focus(self) -> None:
        """The cursor looks different with the focus."""
        self._refresh_row(self.index)

    def on_blur(self) -> None:
        """The cursor looks different without the focus."""
        self._refresh_row(self.index)

    # --- painting -------------------------------------------------------------------------------

    def render_line(self, y: int) -> Strip:
        """Return the cells of one visible line; the first one holds the column heads."""
        width, base = self.size.width, self.rich_style
        if y == 0:
            heads = [Line((_head(column),)) for column in self.columns]
            return self._strip(heads, width, base, mark=" ")
        index = y - 1 + self.scroll_offset.y
        if index >= len(self.rows):
            return Strip.blank(width, base)
        row = self.rows[index]
        if row.key != self.key or not self.can_focus:
            return self._strip(row.cells, width, base, mark=" ")
        role = "cursor" if self.has_focus else "cursor-blurred"
        return self._strip(row.cells, width, base + self.style_of(role), mark=self.glyphs.cursor)

    def _strip(self, cells: Sequence[Line], width: int, base: Style, *, mark: str) -> Strip:
        parts = [Strip([Segment(harmless(mark, ascii_only=self.ascii_only))])]
        for cell, size in zip(cells, self._widths(width), strict=False):
            parts.append(self._cell(cell, size))
            parts.append(Strip([Segment(" " * _GAP)]))
        joined = Strip.join(parts).crop(0, width)
        return joined.extend_cell_length(width).apply_style(base)

    def _cell(self, cell: Line, size: int) -> Strip:
        """One cell, padded, or cut with a mark that something is missing."""
        strip = self.strip_of(cell)
        if strip.cell_length <= size:
            return strip.extend_cell_length(size)
        dots = harmless(self.glyphs.ellipsis, ascii_only=self.ascii_only)[:size]
        cut = strip.crop(0, max(0, size - len(dots)))
        return Strip.join([cut, Strip([Segment(dots)])]).extend_cell_length(size)

    def _widths(self, width: int) -> list[int]:
        fixed = sum(column.width for column in self.columns)
        left = width - 1 - fixed - _GAP * len(self.columns)
        return [column.width or max(8, left) for column in self.columns]


def _head(column: Column) -> Span:
    return Span(column.head, "columns")
