"""The detail of what is selected: Overview, Diff, Log, and the ledger as the fourth tab."""

from textual.app import ComposeResult
from textual.containers import Vertical

from ouroboros.model.state import Candidate
from ouroboros.model.text import safe_line
from tui.diff import next_hunk
from tui.loader import DiffPages, Failed, Loader
from tui.overview import nothing, overview
from tui.panels.lines import Lines
from tui.panels.rowlist import RowList
from tui.panels.strips import Tabs
from tui.rows import ledger_columns, ledger_rows
from tui.view import View, find
from tui.words import Glyphs, Line, line


class Detail(Vertical):
    """Four pages about the selected candidate, one at a time."""

    def __init__(self, loader: Loader) -> None:
        """Begin with the overview of nothing."""
        super().__init__(id="detail")
        self._loader = loader
        self.tab = "overview"
        self.subject = ""
        self.filter = ""
        self.tabs = Tabs(id="tabs")
        self.overview = Lines(wrap=True, id="overview")
        self.diff = Lines(id="diff")
        self.output = Lines(id="log")
        self.ledger = RowList(follow_top=True, id="ledger")
        self._pages: dict[str, Lines | RowList] = {
            "overview": self.overview,
            "diff": self.diff,
            "log": self.output,
            "ledger": self.ledger,
        }
        for name, page in self._pages.items():
            page.display = name == self.tab
        self._check = 0
        self._shown: dict[str, tuple[str, ...]] = {}
        self._hunks: tuple[int, ...] = ()

    def compose(self) -> ComposeResult:
        """Lay the pages."""
        yield self.tabs
        yield from self._pages.values()

    @property
    def page(self) -> Lines | RowList:
        """The page that is shown."""
        return self._pages[self.tab]

    def pick(self, tab: str) -> None:
        """Show another page; the focus follows if it was in here."""
        had_focus = self.has_focus_within
        self.tab = tab
        for name, page in self._pages.items():
            page.display = name == tab
        if had_focus:
            self.page.focus()

    def select(self, name: str) -> None:
        """Be about another candidate."""
        if name != self.subject:
            self.subject = name
            self._check = 0

    def show(self, view: View, now_ns: int, glyphs: Glyphs, *, filtered: bool) -> None:
        """Bring the visible page up to date."""
        candidate = find(view, self.subject)
        note = Line()
        if self.tab == "ledger":
            self._show_ledger(view)
        elif candidate is None:
            self._show_nothing(view, filtered=filtered)
        elif self.tab == "overview":
            self._show_overview(view, candidate, now_ns, glyphs)
        elif self.tab == "diff":
            note = self._show_diff(candidate)
        else:
            note = self._show_log(candidate)
        self.tabs.show(self.tab, note)

    def _show_nothing(self, view: View, *, filtered: bool) -> None:
        if isinstance(self.page, Lines):
            self.page.show(nothing(view, filtered=filtered), top=self._fresh(self.tab, ()))

    def _show_overview(self, view: View, c: Candidate, now_ns: int, glyphs: Glyphs) -> None:
        page = self.overview
        rows = overview(
            view,
            c,
            now_ns,
            glyphs,
            explanation=self._loader.explanation(c),
            width=page.scrollable_content_region.width or 80,
        )
        page.show(rows, top=self._fresh("overview", (c.id,)))

    def _show_diff(self, c: Candidate) -> Line:
        page = self.diff
        pages = self._loader.diff(c)
        if not isinstance(pages, DiffPages):
            self._hunks = ()
            page.show(_waiting(pages, "Reading the diff."), top=self._fresh("diff", (c.id, "?")))
            return Line()
        fresh = self._fresh("diff", (c.id, c.commit))
        self._hunks = pages.rendered.hunks
        more = () if pages.whole else (line(("Reading on.", "dim")),)
        if fresh or len(page.source) != len(pages.rendered.lines) + len(more):
            page.show((*pages.rendered.lines, *more), top=fresh)
        return self._where(page, pages)

    def _where(self, page: Lines, pages: DiffPages) -> Line:
        at = page.scroll_offset.y
        total = len(self._hunks)
        here = sum(1 for hunk in self._hunks if hunk <= at)
        part = "" if pages.whole else f", {100 * len(pages.text) // max(1, pages.total)} % read"
        return line((f"hunk {max(1, here)} of {total}{part}", "dim")) if total else Line()

    def _show_log(self, c: Candidate) -> Line:
        page = self.output
        checks = [check.name for check in c.evaluation.checks] if c.evaluation is not None else []
        if not checks:
            page.show((line(("Nothing was run yet.", "dim")),), top=self._fresh("log", (c.id,)))
            return Line()
        name = checks[self._check % len(checks)]
        log = self._loader.log(c, name)
        rows = _waiting(log, "Reading the log.") if not isinstance(log, tuple) else log
        if isinstance(log, tuple) and not any(row.spans for row in log):
            rows = (line(("It printed nothing.", "dim")),)
        page.show(rows, top=self._fresh("log", (c.id, name)))
        at = f"{self._check % len(checks) + 1} of {len(checks)}"
        return line((f"{safe_line(name, limit=30)} ", "info"), (at, "dim"))

    def _show_ledger(self, view: View) -> None:
        page = self.ledger
        width = page.size.width
        page.show(ledger_columns(width), ledger_rows(view, width=width, wanted=self.filter))

    def _fresh(self, tab: str, key: tuple[str, ...]) -> bool:
        """Whether a page is now about something else than at the last time."""
        fresh = self._shown.get(tab) != key
        self._shown[tab] = key
        return fresh

    def step(self, step: int) -> None:
        """Go to the next (or previous) hunk, or check."""
        if self.tab == "log":
            self._check += step
            return
        if self.tab != "diff":
            return
        page = self.diff
        target = next_hunk(self._hunks, page.scroll_offset.y, step)
        if target is not None:
            page.scroll_to(y=target, animate=False, immediate=True)

    def wrap(self) -> None:
        """Wrap the lines of the page, or not."""
        if isinstance(self.page, Lines) and self.tab != "overview":
            self.page.toggle_wrap()


def _waiting(value: object, text: str) -> tuple[Line, ...]:
    if isinstance(value, Failed):
        return (line((safe_line(value.text, limit=400), "bad")),)
    return (line((text, "dim")),)
