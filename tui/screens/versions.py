"""The promoted states of the target, newest first; roll back from here."""

from textual.app import ComposeResult
from textual.containers import Container

from ouroboros.model.state import Version
from ouroboros.model.text import safe_line
from tui.keys import Where
from tui.panels.cell import Note
from tui.panels.rowlist import RowList
from tui.rows import version_columns, version_rows
from tui.screens.deck import Deck, bindings_for
from tui.view import View
from tui.words import line


class VersionsScreen(Deck):
    """The list of versions."""

    WHERE = Where.VERSIONS
    BINDINGS = bindings_for(Where.VERSIONS)
    AUTO_FOCUS = "#versions"

    def __init__(self) -> None:
        """Make the panels."""
        super().__init__()
        self.table = RowList(id="versions")
        self.note = Note(id="version")

    def compose(self) -> ComposeResult:
        """Lay the screen."""
        yield self.header
        yield self.small
        with Container(id="body"):
            yield self.table
            yield self.note
        yield self.bar

    @property
    def version(self) -> int:
        """The number under the cursor."""
        key = self.table.key
        return int(key[1:]) if key else -1

    def show(self, view: View, now_ns: int) -> None:
        """Bring everything up to date."""
        table = self.table
        width = table.size.width
        table.show(version_columns(width), version_rows(view, now_ns, self.glyphs, width=width))
        super().show(view, now_ns)
        chosen = self._chosen_version()
        if chosen is None:
            self.note.show((line(("No version yet.", "dim")),))
            return
        kind = f"made by {safe_line(chosen.candidate)}" if chosen.candidate else ""
        if chosen.restores >= 0:
            kind = f"a rollback, restores v{chosen.restores}"
        self.note.show(
            (
                line((f"v{chosen.number}  ", "accent"), (safe_line(chosen.title), "strong")),
                line(("commit ", "dim"), safe_line(chosen.commit), (f"  {kind}", "dim")),
                line(("R returns the branch to this version, by a new commit.", "dim")),
            ),
        )

    def _chosen_version(self) -> Version | None:
        number = self.version
        return next((v for v in self.app.view.state.versions if v.number == number), None)

    def on_row_list_moved(self) -> None:
        """Show what the cursor stands on."""
        self.app.paint_now()

    def action_tab(self, name: str) -> None:
        """Go back to the first screen, at one of its pages."""
        from tui.screens.live import LiveScreen

        self.app.pop_screen()
        under = self.app.screen
        if isinstance(under, LiveScreen):
            under.action_tab(name)

    def action_versions(self) -> None:
        """Already here."""

    def action_back(self) -> None:
        """Go back to the first screen."""
        self.app.pop_screen()

    def action_copy(self) -> None:
        """Copy the commit of the version."""
        chosen = self._chosen_version()
        if chosen is not None:
            self.app.copy(chosen.commit)
