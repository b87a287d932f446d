"""The detail of what is selected: Overview, Diff, Measures, Log."""

from textual.app import ComposeResult
from textual.containers import Vertical

from ouroboros.model.evaluation import Evaluation
from ouroboros.model.state import Candidate
from ouroboros.model.text import safe_line
from tui.diff import Diff, beside, next_hunk
from tui.loader import DiffPages, Failed, Loader
from tui.measures import measures
from tui.overview import nothing, overview
from tui.panels.lines import Lines
from tui.panels.strips import Tabs
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
        self.beside = False
        self.tabs = Tabs(id="tabs")
        self.overview = Lines(wrap=True, id="overview")
        self.diff = Lines(id="diff")
        self.measures = Lines(id="measures")
        self.output = Lines(id="log")
        self._pages: dict[str, Lines] = {
            "overview": self.overview,
            "diff": self.diff,
            "measures": self.measures,
            "log": self.output,
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
    def page(self) -> Lines:
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

    def show(
        self,
        view: View,
        now_ns: int,
        glyphs: Glyphs,
        *,
        filtered: bool,
        candidate: Candidate | None = None,
    ) -> None:
        """Bring the visible page up to date."""
        candidate = candidate or find(view, self.subject)
        note = Line()
        if candidate is None:
            self.page.show(nothing(view, filtered=filtered), top=self._fresh(self.tab, ()))
        elif self.tab == "overview":
            self._show_overview(view, candidate, now_ns, glyphs)
        elif self.tab == "diff":
            note = self._show_diff(candidate, glyphs)
        elif self.tab == "measures":
            self._show_measures(view, candidate, glyphs)
        else:
            note = self._show_log(candidate)
        self.tabs.show(self.tab, note)

    def _width(self, page: Lines) -> int:
        return page.scrollable_content_region.width or 80

    def _show_overview(self, view: View, c: Candidate, now_ns: int, glyphs: Glyphs) -> None:
        page = self.overview
        rows = overview(
            view,
            c,
            now_ns,
            glyphs,
            explanation=self._loader.explanation(c),
            width=self._width(page),
        )
        page.show(rows, top=self._fresh("overview", (c.id,)))

    def _show_diff(self, c: Candidate, glyphs: Glyphs) -> Line:
        page = self.diff
        pages = self._loader.diff(c)
        if not isinstance(pages, DiffPages):
            self._hunks = ()
            page.show(waiting(pages, "Reading the diff."), top=self._fresh("diff", (c.id, "?")))
            return Line()
        width = self._width(page)
        drawn = beside(pages.rendered, width, glyphs) if self.beside else pages.rendered
        fresh = self._fresh("diff", (c.id, c.commit, str(self.beside), str(width * self.beside)))
        self._hunks = drawn.hunks
        more = () if pages.whole else (line(("Reading on.", "dim")),)
        if fresh or len(page.source) != len(drawn.lines) + len(more):
            page.show((*drawn.lines, *more), top=fresh)
        return self._where(page, drawn, pages)

    def _where(self, page: Lines, drawn: Diff, pages: DiffPages) -> Line:
        at = page.scroll_offset.y
        total = len(drawn.hunks)
        here = sum(1 for hunk in drawn.hunks if hunk <= at)
        part = "" if pages.whole else f", {100 * len(pages.text) // max(1, pages.total)} % read"
        return line((f"hunk {max(1, here)} of {total}{part}", "dim")) if total else Line()

    def _show_measures(self, view: View, c: Candidate, glyphs: Glyphs) -> None:
        page = self.measures
        found = self._loader.evaluation(c)
        if isinstance(found, Evaluation) or c.evaluation is None:
            whole = found if isinstance(found, Evaluation) else None
            rows = measures(view, c, whole, glyphs, width=self._width(page))
        else:
            rows = waiting(found, "Reading the measurements.")
        page.show(rows, top=self._fresh("measures", (c.id,)))

    def _show_log(self, c: Candidate) -> Line:
        page = self.output
        checks = [check.name for check in c.evaluation.checks] if c.evaluation is not None else []
        if not checks:
            page.show((line(("Nothing was run yet.", "dim")),), top=self._fresh("log", (c.id,)))
            return Line()
        name = checks[self._check % len(checks)]
        log = self._loader.log(c, name)
        rows = waiting(log, "Reading the log.") if not isinstance(log, tuple) else log
        if isinstance(log, tuple) and not any(row.spans for row in log):
            rows = (line(("It printed nothing.", "dim")),)
        page.show(rows, top=self._fresh("log", (c.id, name)))
        at = f"{self._check % len(checks) + 1} of {len(checks)}"
        return line((f"{safe_line(name, limit=30)} ", "info"), (at, "dim"))

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
        if self.tab in ("diff", "log"):
            self.page.toggle_wrap()


def waiting(value: object, text: str) -> tuple[Line, ...]:
    """Return what stands where something is not there yet, or could not be read."""
    if isinstance(value, Failed):
        return (line((safe_line(value.text, limit=400), "bad")),)
    return (line((text, "dim")),)
