"""The promoted states of the target, newest first: compare any two, roll back from here."""

from collections.abc import Iterator

from textual.containers import Vertical
from textual.widget import Widget

from ouroboros.model.state import Standing, Version
from ouroboros.model.text import safe_line
from tui import words
from tui.diff import beside, next_hunk
from tui.keys import Where
from tui.loader import DiffPages, Loader
from tui.panels.cell import Note
from tui.panels.detail import waiting
from tui.panels.lines import Lines
from tui.panels.rowlist import RowList
from tui.rows import version_columns, version_rows
from tui.screens.deck import Deck, bindings_for
from tui.view import View
from tui.words import Line, line


class VersionsScreen(Deck):
    """The list of versions, what the selected one is, and what lies between two of them."""

    WHERE = Where.VERSIONS
    BINDINGS = bindings_for(Where.VERSIONS)
    AUTO_FOCUS = "#versions"

    def __init__(self, loader: Loader) -> None:
        """Make the panels."""
        super().__init__(loader)
        self.table = RowList(id="versions")
        self.note = Note(id="version")
        self.diff = Lines(id="between")
        self._marked = -1
        self._beside = False
        self._hunks: tuple[int, ...] = ()
        self._about: tuple[object, ...] = ()

    def body(self) -> Iterator[Widget]:
        """Lay the list beside (or above) the comparison."""
        with Vertical(id="left"):
            yield self.table
            yield self.note
        with Vertical(id="detail"):
            yield self.diff

    @property
    def main(self) -> Widget:
        """The list, or the comparison while it has all the room."""
        return self.diff if self.has_class("-zoom") else self.table

    @property
    def version(self) -> int:
        """The number under the cursor."""
        key = self.table.key
        return int(key[1:]) if key else -1

    @property
    def trail(self) -> tuple[str, ...]:
        """What is compared."""
        old, new = self._pair()
        return (f"v{old} to v{new}",) if new >= 0 and old != new else ()

    @property
    def copied(self) -> str:
        """The commit of the version."""
        chosen = self._chosen_version(self.app.view)
        return chosen.commit if chosen is not None else ""

    def fill(self, view: View, now_ns: int) -> None:
        """Bring everything up to date."""
        table = self.table
        width = table.size.width
        newest = view.state.standing.ts if view.state.standing is not None else 0
        totals = self.loader.standings(newest)
        rows = version_rows(
            view,
            now_ns,
            self.glyphs,
            width=width,
            wanted=self.wanted,
            marked=self._marked,
            totals={commit: total_of(one) for commit, one in totals.items()},
        )
        table.show(version_columns(width), rows)
        chosen = self._chosen_version(view)
        if chosen is None:
            self.note.show((line(("No version yet.", "dim")),))
            self.diff.show(())
            return
        self.note.show(about(view, chosen, totals.get(chosen.commit)))
        self._show_diff()

    # --- comparing ------------------------------------------------------------------------------

    def _pair(self) -> tuple[int, int]:
        """The older and the newer of the two versions that are compared."""
        here = self.version
        other = self._marked if self._marked >= 0 and self._marked != here else here - 1
        return (min(here, max(other, 0)), max(here, other))

    def _show_diff(self) -> None:
        old, new = self._pair()
        if old == new:
            self._put((line(("Where the engine found the target.", "dim")),), (old, new), ())
            return
        pages = self.loader.between(old, new)
        if not isinstance(pages, DiffPages):
            self._put(waiting(pages, "Reading the diff."), (old, new, "?"), ())
            return
        width = self.diff.scrollable_content_region.width or 80
        drawn = beside(pages.rendered, width, self.glyphs) if self._beside else pages.rendered
        more = (
            ()
            if pages.whole
            else (line((f"{pages.total - len(pages.text):,} more characters not shown", "wait")),)
        )
        same = () if drawn.lines else (line(("They are the same.", "dim")),)
        about_ = (old, new, self._beside, width * self._beside)
        self._put((*drawn.lines, *more, *same), about_, drawn.hunks)

    def _put(
        self, rows: tuple[Line, ...], about_: tuple[object, ...], hunks: tuple[int, ...]
    ) -> None:
        self._hunks = hunks
        self.diff.show(rows, top=about_ != self._about)
        self._about = about_

    def _chosen_version(self, view: View) -> Version | None:
        number = self.version
        return next((v for v in view.state.versions if v.number == number), None)

    # --- keys -----------------------------------------------------------------------------------

    def on_row_list_moved(self) -> None:
        """Show what the cursor stands on."""
        self.app.paint_now()

    def action_mark(self) -> None:
        """Compare with this one; again: with the one before."""
        self._marked = -1 if self._marked == self.version else self.version
        self.app.paint_now()

    def action_tab(self, name: str) -> None:  # noqa: ARG002 - of the table of keys
        """Go into the comparison."""
        self.diff.focus()

    def action_open(self) -> None:
        """Go to the candidate that made the version."""
        chosen = self._chosen_version(self.app.view)
        if chosen is not None and chosen.candidate:
            self.app.go(Where.CANDIDATE, about=chosen.candidate, over=True)

    def action_side(self) -> None:
        """Side by side, or unified."""
        self._beside = not self._beside
        self.app.paint_now()

    def action_wrap(self) -> None:
        """Wrap long lines, or not."""
        self.diff.toggle_wrap()

    def action_hunk(self, step: int) -> None:
        """Next or previous hunk."""
        target = next_hunk(self._hunks, self.diff.scroll_offset.y, step)
        if target is not None:
            self.diff.scroll_to(y=target, animate=False, immediate=True)

    def action_zoom(self) -> None:
        """Give the comparison all the room, or give it back."""
        self.toggle_class("-zoom")
        self.main.focus()
        self.app.paint_soon()

    def action_back(self) -> None:
        """One step back: the filter, the zoom, the comparison, the view."""
        if self.box.display:
            self.end_filter(keep=False)
        elif self.has_class("-zoom"):
            self.action_zoom()
        elif self.diff.has_focus:
            self.table.focus()
        else:
            self.app.go_back()


def total_of(standing: Standing) -> str:
    """The largest measured total of a version against the anchor, in few characters."""
    known = [c.change for c in standing.comparisons if c.change is not None and c.scale == "ratio"]
    return words.percent(max(known, key=abs)) if known else ""


def about(view: View, version: Version, standing: Standing | None) -> tuple[Line, ...]:
    """What a version is, and what it gained against the anchor, where that was measured."""
    kind = f"made by {safe_line(version.candidate)}" if version.candidate else ""
    if version.restores >= 0:
        kind = f"a rollback, restores v{version.restores}"
    anchor = view.state.anchor
    is_anchor = anchor is not None and anchor.commit == version.commit
    return (
        line(
            (f"v{version.number}  ", "accent"),
            (safe_line(version.title), "strong"),
            ("  ANCHOR" if is_anchor else "", "info"),
        ),
        line(("commit ", "dim"), safe_line(version.commit), (f"  {kind}", "dim")),
        *standing_lines(standing),
        line(("R returns the branch to this version, by a new commit.", "dim")),
    )


def standing_lines(standing: Standing | None) -> tuple[Line, ...]:
    """The measured total of a version against the anchor; none where it was not measured."""
    if standing is None:
        return ()
    parts = [
        f"{safe_line(c.metric, limit=12)} of {safe_line(c.benchmark, limit=20)} "
        f"{words.change(c)} {words.limits(c)}"
        for c in standing.comparisons
        if c.change is not None
    ]
    said = "; ".join(parts[:3]) or "nothing known"
    return (line(("against the anchor  ", "dim"), (said, "strong")),)
