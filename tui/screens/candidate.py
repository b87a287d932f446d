"""One candidate on the whole screen: overview, diff, measurements, output of its checks."""

from collections.abc import Iterator

from textual.widget import Widget

from ouroboros.model.state import Candidate
from tui.keys import Where
from tui.screens.about import AboutDeck
from tui.screens.deck import bindings_for
from tui.view import View, find


class CandidateScreen(AboutDeck):
    """The detail, with all the room."""

    WHERE = Where.CANDIDATE
    BINDINGS = bindings_for(Where.CANDIDATE)
    AUTO_FOCUS = "#overview"

    def body(self) -> Iterator[Widget]:
        """Lay the detail."""
        yield self.detail

    @property
    def main(self) -> Widget:
        """The page that is shown."""
        return self.detail.page

    @property
    def chosen(self) -> Candidate | None:
        """The candidate that the application says; one from before the snapshot is fetched."""
        found = find(self.app.view, self.app.subject)
        return found or self.loader.candidate(self.app.subject)

    def fill(self, view: View, now_ns: int) -> None:
        """Bring the detail up to date."""
        self.detail.select(self.app.subject)
        self.detail.show(view, now_ns, self.glyphs, filtered=False, candidate=self.chosen)

    def action_tab(self, name: str) -> None:
        """Show a page, and give it the focus: there is nothing else here."""
        super().action_tab(name)
        self.detail.page.focus()
