"""Views in which a candidate is selected: the keys that act on it, and its detail."""

from textual import on

from ouroboros.model.state import Candidate
from tui import asks
from tui.keys import Where
from tui.loader import Loader
from tui.panels.detail import Detail
from tui.panels.lines import Lines
from tui.panels.strips import Tabs
from tui.screens.deck import Deck


class AboutDeck(Deck):
    """Root of Live, Inbox and Candidate."""

    def __init__(self, loader: Loader, *, id: str | None = None) -> None:  # noqa: A002 - Textual's name
        """Make the detail."""
        super().__init__(loader, id=id)
        self.detail = Detail(loader)

    @property
    def copied(self) -> str:
        """The commit, or the id where there is none yet."""
        chosen = self.chosen
        return (chosen.commit or chosen.id) if chosen is not None else ""

    @property
    def trail(self) -> tuple[str, ...]:
        """The candidate, and what of it is looked at."""
        chosen = self.chosen
        if self.WHERE is not Where.CANDIDATE or chosen is None:
            return ()
        return (chosen.id, self.detail.tab)

    # --- the detail -----------------------------------------------------------------------------

    @on(Tabs.Picked)
    def _picked(self, message: Tabs.Picked) -> None:
        self.action_tab(message.name)

    def action_tab(self, name: str) -> None:
        """Show a page of the detail."""
        self.detail.pick(name)
        self.app.paint_now()

    def action_hunk(self, step: int) -> None:
        """Next or previous hunk (diff) or check (log)."""
        self.detail.step(step)
        self.app.paint_now()

    def action_wrap(self) -> None:
        """Wrap long lines, or not."""
        self.detail.wrap()

    def action_side(self) -> None:
        """Show the diff side by side, or unified."""
        self.detail.beside = not self.detail.beside
        self.action_tab("diff")

    @on(Lines.NearEnd, "#diff")
    def _read_on(self) -> None:
        if self.chosen is not None:
            self.loader.more_diff(self.chosen)
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

    def action_hold(self) -> None:
        """Ask to have it held."""
        self._ask("hold")

    def action_retry(self) -> None:
        """Ask to propose it once more."""
        self._ask("retry")

    def action_override(self) -> None:
        """Ask to promote it past quorum and freezes."""
        self._ask("override")

    def _ask(self, action: str) -> None:
        chosen: Candidate | None = self.chosen
        if chosen is not None:
            self.app.ask(asks.ask_candidate(self.app.view, chosen, action, self.glyphs))
