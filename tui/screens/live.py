"""Live and Inbox: candidates, and everything about the selected one.

At 80x24 the candidates stand above their detail; from 120 columns on they stand at the left, with
the newest ledger entries below them. The Inbox is the same view of what waits for a human only,
oldest first.
"""

from collections.abc import Iterator, Sequence

from textual import on
from textual.containers import Vertical
from textual.widget import Widget

from ouroboros.model.state import Candidate
from tui.keys import Where
from tui.loader import Loader
from tui.panels.rowlist import RowList
from tui.rows import (
    Row,
    candidate_columns,
    candidate_rows,
    inbox_columns,
    inbox_rows,
    ledger_columns,
    ledger_rows,
)
from tui.screens.about import AboutDeck
from tui.screens.deck import bindings_for
from tui.view import View, find


class LiveScreen(AboutDeck):
    """Candidates, the detail of one, the newest of the ledger."""

    WHERE = Where.LIVE
    BINDINGS = bindings_for(Where.LIVE)
    AUTO_FOCUS = "#candidates"

    def __init__(self, loader: Loader, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        """Make the panels."""
        super().__init__(loader, id=id)
        self.table = RowList(id="candidates")
        self.tail = RowList(cursor=False, id="tail")

    def body(self) -> Iterator[Widget]:
        """Lay the list beside (or above) the detail."""
        with Vertical(id="left"):
            yield self.table
            yield self.tail
        yield self.detail

    @property
    def main(self) -> Widget:
        """The list, or the detail while it has all the room."""
        return self.detail.page if self.has_class("-zoom") else self.table

    @property
    def chosen(self) -> Candidate | None:
        """The candidate under the cursor."""
        return find(self.app.view, self.table.key)

    def fill(self, view: View, now_ns: int) -> None:
        """Bring list, detail and ledger up to date."""
        table, detail, tail = self.table, self.detail, self.tail
        self.rows(view, now_ns, table.size.width)
        detail.select(table.key)
        detail.show(view, now_ns, self.glyphs, filtered=bool(self.wanted))
        if tail.size.height:
            newest = ledger_rows(view, width=tail.size.width)[: tail.size.height - 1]
            tail.show(ledger_columns(tail.size.width), newest)

    def rows(self, view: View, now_ns: int, width: int) -> None:
        """Fill the list."""
        rows: Sequence[Row] = candidate_rows(
            view, now_ns, self.glyphs, width=width, wanted=self.wanted
        )
        self.table.show(candidate_columns(width), rows)

    @on(RowList.Moved, "#candidates")
    def _moved(self, message: RowList.Moved) -> None:
        self.detail.select(message.key)
        self.app.paint_now()

    def action_open(self) -> None:
        """Give the selected candidate the whole screen."""
        if self.chosen is not None:
            self.app.go(Where.CANDIDATE, about=self.chosen.id, over=True)

    def action_zoom(self) -> None:
        """Give the detail all the room, or give it back."""
        self.toggle_class("-zoom")
        self.main.focus()
        self.app.paint_soon()

    def action_back(self) -> None:
        """One step back: the filter, the zoom, the detail, the view."""
        if self.box.display:
            self.end_filter(keep=False)
        elif self.has_class("-zoom"):
            self.action_zoom()
        elif self.detail.has_focus_within:
            self.table.focus()
        else:
            self.app.go_back()


class InboxScreen(LiveScreen):
    """What waits for a human."""

    WHERE = Where.INBOX
    BINDINGS = bindings_for(Where.INBOX)

    def rows(self, view: View, now_ns: int, width: int) -> None:
        """Fill the list, oldest first."""
        rows = inbox_rows(view, now_ns, self.glyphs, width=width, wanted=self.wanted)
        self.table.show(inbox_columns(width), rows)

    def first(self) -> None:
        """Put the cursor on the oldest."""
        self.table.move_to(0)
        self.table.focus()
