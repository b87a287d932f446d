"""The first screen: what the engine does, what waits for you, and everything about the selected.

At 80x24 the candidates stand above their detail; from 120 columns on they stand at the left, with
the newest ledger entries below them.
"""

from textual import on
from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.widgets import Input

from ouroboros.model.state import Candidate
from tui import asks
from tui.keys import Where
from tui.loader import Loader
from tui.panels.detail import Detail
from tui.panels.lines import Lines
from tui.panels.rowlist import RowList
from tui.panels.strips import Tabs
from tui.rows import candidate_columns, candidate_rows, ledger_columns, ledger_rows
from tui.screens.deck import Deck, bindings_for
from tui.view import View, find


class LiveScreen(Deck):
    """Candidates, the detail of one, the ledger."""

    WHERE = Where.LIVE
    BINDINGS = bindings_for(Where.LIVE)
    AUTO_FOCUS = "#candidates"

    def __init__(self, loader: Loader, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        """Make the panels."""
        super().__init__(id=id)
        self.table = RowList(id="candidates")
        self.tail = RowList(cursor=False, id="tail")
        self.detail = Detail(loader)
        self.box = Input(placeholder="show only what contains...", compact=True, id="filter")
        self.box.display = False
        self._filtering = "candidates"

    def compose(self) -> ComposeResult:
        """Lay the screen."""
        yield self.header
        yield self.small
        with Container(id="body"):
            with Vertical(id="left"):
                yield self.table
                yield self.tail
            yield self.detail
        yield self.box
        yield self.bar

    @property
    def chosen(self) -> Candidate | None:
        """The candidate under the cursor."""
        return find(self.app.view, self.table.key)

    def show(self, view: View, now_ns: int) -> None:
        """Bring everything up to date."""
        super().show(view, now_ns)
        table, detail, tail = self.table, self.detail, self.tail
        width = table.size.width
        wanted = self._wanted("candidates")
        rows = candidate_rows(view, now_ns, self.glyphs, width=width, wanted=wanted)
        table.show(candidate_columns(width), rows)
        detail.select(table.key)
        detail.filter = self._wanted("ledger")
        detail.show(view, now_ns, self.glyphs, filtered=bool(wanted))
        if tail.size.height:
            newest = ledger_rows(view, width=tail.size.width)[: tail.size.height - 1]
            tail.show(ledger_columns(tail.size.width), newest)

    # --- selection, tabs, focus -----------------------------------------------------------------

    @on(RowList.Moved, "#candidates")
    def _moved(self, message: RowList.Moved) -> None:
        self.detail.select(message.key)
        self.app.paint_now()

    @on(Tabs.Picked)
    def _picked(self, message: Tabs.Picked) -> None:
        self.action_tab(message.name)

    def action_tab(self, name: str) -> None:
        """Show a page of the detail; the ledger takes the focus, it is not about the selected."""
        detail = self.detail
        leaving_ledger = detail.tab == "ledger" and name != "ledger"
        detail.pick(name)
        if name == "ledger":
            detail.page.focus()
        elif leaving_ledger and not self.has_class("-zoom"):
            self.table.focus()
        self.app.paint_now()

    def action_open(self) -> None:
        """Go into the detail."""
        self.detail.page.focus()

    def action_hunk(self, step: int) -> None:
        """Next or previous hunk (diff) or check (log)."""
        self.detail.step(step)
        self.app.paint_now()

    def action_wrap(self) -> None:
        """Wrap long lines, or not."""
        self.detail.wrap()

    def action_zoom(self) -> None:
        """Give the detail all the room, or give it back."""
        self.toggle_class("-zoom")
        zoomed = self.has_class("-zoom")
        (self.detail.page if zoomed else self.table).focus()
        self.app.paint_soon()

    def action_versions(self) -> None:
        """Show the versions."""
        from tui.screens.versions import VersionsScreen

        self.app.push_screen(VersionsScreen())

    def action_back(self) -> None:
        """One step back: the filter, the zoom, the detail."""
        if self.box.display:
            self._end_filter(keep=False)
        elif self.has_class("-zoom"):
            self.action_zoom()
        else:
            self.table.focus()

    @on(Lines.NearEnd, "#diff")
    def _read_on(self) -> None:
        if self.chosen is not None:
            self.app.loader.more_diff(self.chosen)
        self.app.paint_soon()

    @on(RowList.NearEnd, "#ledger")
    def _older(self) -> None:
        self.app.fetch_ledger()

    # --- filter ---------------------------------------------------------------------------------

    def _wanted(self, which: str) -> str:
        box = self.box
        return box.value.strip() if box.display and self._filtering == which else ""

    def action_filter(self) -> None:
        """Open the filter for what has the focus."""
        detail = self.detail
        in_ledger = detail.tab == "ledger" and detail.has_focus_within
        self._filtering = "ledger" if in_ledger else "candidates"
        self.box.display = True
        self.box.focus()

    @on(Input.Changed, "#filter")
    def _filter_changed(self) -> None:
        self.app.paint_soon()

    @on(Input.Submitted, "#filter")
    def _filter_done(self) -> None:
        self._end_filter(keep=True)

    def _end_filter(self, *, keep: bool) -> None:
        if not keep or not self.box.value.strip():
            self.box.value = ""
            self.box.display = False
        (self.table if self._filtering == "candidates" else self.detail.page).focus()
        self.app.paint_soon()

    # --- acting on the selected candidate -------------------------------------------------------

    def action_approve(self) -> None:
        """Ask to approve exactly what is on the screen."""
        self._ask("approve")

    def action_reject(self) -> None:
        """Ask to reject."""
        self._ask("reject")

    def action_cancel(self) -> None:
        """Ask to stop it."""
        self._ask("cancel")

    def _ask(self, action: str) -> None:
        if self.chosen is not None:
            self.app.ask(asks.ask_candidate(self.app.view, self.chosen, action, self.glyphs))

    def action_copy(self) -> None:
        """Copy the commit, or the id where there is none yet."""
        if self.chosen is not None:
            self.app.copy(self.chosen.commit or self.chosen.id)
