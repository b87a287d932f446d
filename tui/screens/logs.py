"""What the engine says of its own work: its log, followed while one stands at the end."""

from collections.abc import Iterator

from textual import work
from textual.widget import Widget

from ouroboros.errors import OuroborosError
from ouroboros.model.insight import LogLine
from ouroboros.model.text import safe_line
from rpc import wire
from tui import words
from tui.keys import Where
from tui.loader import Loader
from tui.panels.lines import Lines
from tui.screens.deck import Deck, bindings_for
from tui.view import Contact, View
from tui.words import Line, line

LEVELS = ("INFO", "WARNING", "ERROR", "DEBUG")
KEPT = 2_000
"""Lines that are held here; the engine's own ring is about as long."""
_ROLES = {"WARNING": "wait", "ERROR": "bad", "CRITICAL": "bad", "DEBUG": "dim"}


class LogsScreen(Deck):
    """One page of lines."""

    WHERE = Where.LOGS
    BINDINGS = bindings_for(Where.LOGS)
    AUTO_FOCUS = "#logs"

    def __init__(self, loader: Loader) -> None:
        """Begin at the end of the log."""
        super().__init__(loader)
        self.page = Lines(id="logs")
        self._level = 0
        self._lines: list[LogLine] = []
        self._next = -1
        self._epoch = 0
        self._trouble = ""
        self._follow = True
        self._at = 0

    def body(self) -> Iterator[Widget]:
        """Lay the page."""
        yield self.page

    @property
    def main(self) -> Widget:
        """The page."""
        return self.page

    @property
    def trail(self) -> tuple[str, ...]:
        """The level."""
        return (LEVELS[self._level],)

    def fill(self, view: View, now_ns: int) -> None:  # noqa: ARG002 - a view's signature
        """Show what was read; stay at the end if one is there."""
        page = self.page
        at = page.scroll_offset.y
        if at < self._at:
            self._follow = False  # somebody went up
        if at + page.size.height + 1 >= len(page.source):
            self._follow = True
        self._at = at
        wanted = self.wanted.casefold().split()
        rows = [
            self._row(one, view)
            for one in self._lines
            if all(word in f"{one.level} {one.source} {one.text}".casefold() for word in wanted)
        ]
        if self._trouble:
            rows.append(line((self._trouble, "wait")))
        shown = tuple(rows) or (line(("Nothing was said yet.", "dim")),)
        if shown != page.source:
            page.show(shown)
            if self._follow:
                page.action_scroll_end()
                self.call_after_refresh(self._to_the_end)  # its size may not be known before

    def _to_the_end(self) -> None:
        if self._follow:
            self.page.action_scroll_end()

    def _row(self, one: LogLine, view: View) -> Line:
        return line(
            (f"{words.time_of_day(one.ts, view.utc_offset_s)} ", "dim"),
            (f"{safe_line(one.level, limit=10):<8} ", _ROLES.get(one.level, "info")),
            (f"{safe_line(one.source, limit=24)}  ", "dim"),
            safe_line(one.text, limit=2000),
            hang=20,
        )

    # --- reading --------------------------------------------------------------------------------

    def on_screen_resume(self) -> None:
        """Read at once."""
        super().on_screen_resume()
        self._read()

    def tick(self, view: View, now_ns: int) -> None:
        """A second passed: read what is new."""
        super().tick(view, now_ns)
        if view.contact is Contact.LIVE:
            self._read()

    @work(group="logs", exclusive=True)
    async def _read(self) -> None:
        view = self.app.view
        started = view.status.started_ns if view.status is not None else 0
        if started != self._epoch:  # another engine counts its lines anew
            self._epoch, self._lines, self._next = started, [], -1
        request = wire.LogTail(after=self._next, limit=500, level=LEVELS[self._level])
        try:
            found = await self.app.link.call(request)
        except OuroborosError as error:
            self._trouble = safe_line(error.message, limit=200)
            self.app.paint_soon()
            return
        cleared, self._trouble = bool(self._trouble), ""
        self._lines = [*self._lines, *found.lines][-KEPT:]
        self._next = max(self._next, found.next)
        if cleared or found.lines:
            self.app.paint_soon()

    def action_level(self) -> None:
        """Show other kinds of lines, from the beginning."""
        self._level = (self._level + 1) % len(LEVELS)
        self._lines, self._next = [], -1
        self._read()
        self.app.paint_now()

    def action_wrap(self) -> None:
        """Wrap long lines, or not."""
        self.page.toggle_wrap()
