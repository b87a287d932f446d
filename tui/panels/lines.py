"""A scrolling page of lines: the overview, the diff, the log, the help.

Why not a Static in a scroll container: a diff of 5,000 lines would be laid out whole in the UI
thread, and any change would repaint all of it. Here a line becomes cells when it comes into view,
and new content repaints only the lines that differ.
"""

from collections.abc import Sequence

from rich.cells import cell_len
from textual import events
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from tui.paint import PaintedScroll
from tui.words import Line, wrapped


class Lines(PaintedScroll, can_focus=True):
    """Shows lines; keeps the scroll position when they change."""

    class NearEnd(Message):
        """The reader came within a page of the end; more may be fetched."""

        def __init__(self, lines: "Lines") -> None:
            """Name the widget."""
            super().__init__()
            self.lines = lines

        @property
        def control(self) -> "Lines":
            """The widget (for `@on` selectors)."""
            return self.lines

    def __init__(self, *, wrap: bool = False, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        """Begin empty."""
        super().__init__(id=id)
        self.wrap = wrap
        self.source: tuple[Line, ...] = ()
        self._rows: tuple[Line, ...] = ()
        self._laid_out_for = -1

    def show(self, source: Sequence[Line], *, top: bool = False) -> None:
        """Show these lines; `top`: they are about something else, begin at their top."""
        self.source = tuple(source)
        self._lay_out()
        if top:
            self.scroll_to(0, 0, animate=False, immediate=True)

    def toggle_wrap(self) -> None:
        """Wrap long lines, or let them run out to the right."""
        self.wrap = not self.wrap
        self._lay_out()
        self.scroll_to(x=0, animate=False)

    def _lay_out(self) -> None:
        width = self.scrollable_content_region.width
        self._laid_out_for = width
        rows = tuple(self._wrapped(width)) if self.wrap and width > 0 else self.source
        old, self._rows = self._rows, rows
        widest = 0 if self.wrap else max((cell_len(row.plain) for row in rows), default=0)
        self.resize_content(Size(widest, len(rows)))
        for y in range(max(len(old), len(rows))):
            if y >= len(old) or y >= len(rows) or old[y] != rows[y]:
                self.refresh_line(y)

    def _wrapped(self, width: int) -> list[Line]:
        rows: list[Line] = []
        for source in self.source:
            rows.extend(wrapped(source, width))
        return rows

    def on_resize(self, _event: events.Resize) -> None:
        """Wrap anew where the width changed."""
        if self.scrollable_content_region.width != self._laid_out_for:
            self._lay_out()

    # Keys move at once: an animated scroll is a dozen repaints over SSH.

    def action_scroll_down(self) -> None:
        """One line on."""
        self._jump(self.scroll_offset.y + 1)

    def action_scroll_up(self) -> None:
        """One line back."""
        self._jump(self.scroll_offset.y - 1)

    def action_page_down(self) -> None:
        """One page on."""
        self._jump(self.scroll_offset.y + max(1, self.size.height - 1))

    def action_page_up(self) -> None:
        """One page back."""
        self._jump(self.scroll_offset.y - max(1, self.size.height - 1))

    def action_scroll_home(self) -> None:
        """To the top."""
        self._jump(0)

    def action_scroll_end(self) -> None:
        """To the end."""
        self._jump(len(self._rows))

    def _jump(self, y: int) -> None:
        self.scroll_to(y=y, animate=False)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Tell when the reader nears the end."""
        super().watch_scroll_y(old_value, new_value)
        if new_value > old_value and new_value + 2 * self.size.height >= len(self._rows):
            self.post_message(self.NearEnd(self))

    def render_line(self, y: int) -> Strip:
        """Return the cells of one visible line."""
        x, top = self.scroll_offset
        width = self.size.width
        base = self.rich_style
        index = y + top
        if index >= len(self._rows):
            return Strip.blank(width, base)
        row = self._rows[index]
        if row.fill:
            base += self.style_of(row.fill)
        strip = self.strip_of(row).crop(x, x + width)
        return strip.extend_cell_length(width).apply_style(base)
