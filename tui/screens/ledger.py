"""The ledger: everything that happened, newest first, to the first entry; and its verification.

Without a filter it shows what the cockpit folds anyway and reads older pages as one scrolls. The
words `kind:held`, `candidate:c3` and `seq:1200` ask the engine instead, so that the millionth
entry is as near as the first; other words filter what was read.
"""

from collections.abc import Iterator

import msgspec
from textual import on, work
from textual.containers import Vertical
from textual.widget import Widget

from ouroboros.errors import OuroborosError
from ouroboros.model.progress import VERIFYING
from ouroboros.model.text import safe_line
from rpc import wire
from tui.keys import Where
from tui.loader import Failed, Loader, ledger_line
from tui.panels.cell import Cell
from tui.panels.detail import waiting
from tui.panels.lines import Lines
from tui.panels.rowlist import RowList
from tui.rows import ledger_columns, ledger_rows
from tui.screens.deck import Deck, bindings_for
from tui.view import LedgerLine, View
from tui.words import Line, line

_BAR = 24


class Question(msgspec.Struct, frozen=True):
    """What of the ledger is asked of the engine."""

    kind: str = ""
    candidate: str = ""
    before: int = 0


def question_of(text: str) -> tuple[Question | None, str]:
    """Split a filter into what the engine is asked (None: nothing) and the words for here."""
    kind = candidate = ""
    before, rest = 0, []
    for word in text.split():
        name, colon, value = word.partition(":")
        if colon and name == "kind":
            kind = value
        elif colon and name in ("candidate", "cand"):
            candidate = value
        elif colon and name == "seq" and value.isdigit():
            before = int(value) + 1
        else:
            rest.append(word)
    asked = bool(kind or candidate or before)
    return (Question(kind, candidate, before) if asked else None), " ".join(rest)


class LedgerScreen(Deck):
    """The list, and the selected entry as it is stored."""

    WHERE = Where.LEDGER
    BINDINGS = bindings_for(Where.LEDGER)
    AUTO_FOCUS = "#ledger"

    def __init__(self, loader: Loader) -> None:
        """Make the panels."""
        super().__init__(loader)
        self.table = RowList(follow_top=True, id="ledger")
        self.said = Cell(id="verified")
        self.entry = Lines(wrap=True, id="entry")
        self._question: Question | None = None
        self._found: tuple[LedgerLine, ...] = ()
        self._older = 0
        self._reading = False
        self._verdict = Line()

    def body(self) -> Iterator[Widget]:
        """Lay the list beside (or above) the entry."""
        with Vertical(id="left"):
            yield self.table
        with Vertical(id="detail"):
            yield self.said
            yield self.entry

    @property
    def main(self) -> Widget:
        """The list, or the entry while it has all the room."""
        return self.entry if self.has_class("-zoom") else self.table

    @property
    def trail(self) -> tuple[str, ...]:
        """The entry."""
        return (f"#{self.table.key}",) if self.table.key else ()

    @property
    def copied(self) -> str:
        """The hash of the entry."""
        found = self._entry()
        return found.hash if isinstance(found, wire.LedgerEntry) else ""

    def fill(self, view: View, now_ns: int) -> None:  # noqa: ARG002 - a view's signature
        """Bring list and entry up to date."""
        question, words = question_of(self.wanted)
        if question != self._question:
            self._question, self._found, self._older = question, (), 0
            if question is not None:
                self._read_more()
        table = self.table
        shown = view if question is None else msgspec.structs.replace(view, ledger=self._found)
        table.show(
            ledger_columns(table.size.width),
            ledger_rows(shown, width=table.size.width, wanted=words),
        )
        found = self._entry()
        rows = (
            entry_lines(found.bytes, found.hash)
            if isinstance(found, wire.LedgerEntry)
            else waiting(found, "Reading the entry.")
        )
        self.entry.show(rows if table.key else (line(("No entry.", "dim")),))
        self.said.show(self._progress(view) or self._verdict)

    def _entry(self) -> wire.LedgerEntry | Failed | None:
        return self.loader.entry(int(self.table.key)) if self.table.key else None

    # --- reading --------------------------------------------------------------------------------

    @on(RowList.Moved, "#ledger")
    def _moved(self) -> None:
        self.app.paint_now()

    @on(RowList.NearEnd, "#ledger")
    def _near_end(self) -> None:
        if self._question is None:
            self.app.fetch_ledger()
        elif self._older:
            self._read_more()

    @work(group="ledger", exclusive=True)
    async def _read_more(self) -> None:
        asked = self._question
        if asked is None:
            return
        request = wire.LedgerList(
            before=self._older or asked.before,
            limit=200,
            kind=asked.kind,
            candidate=asked.candidate,
        )
        try:
            page = await self.app.link.call(request)
        except OuroborosError as error:
            self.app.say_error(error)
            return
        if asked == self._question:  # else the filter is another one by now
            self._found = (*self._found, *(ledger_line(row) for row in page.rows))
            self._older = page.next
            self.app.paint_soon()

    # --- verifying ------------------------------------------------------------------------------

    def action_verify(self) -> None:
        """Have the whole ledger verified."""
        self._verdict = line(("Verifying.", "busy"))
        self.app.paint_soon()
        self._verify()

    @work(group="verify", exclusive=True)
    async def _verify(self) -> None:
        try:
            found = await self.app.link.call(wire.LedgerVerify())
        except OuroborosError as error:
            self._verdict = line((safe_line(error.message, limit=200), "bad"))
        else:
            self._verdict = verified(found)
        self.app.forget_progress()
        self.app.paint_now()

    def _progress(self, view: View) -> Line | None:
        now = view.progress.get("")
        if now is None or now.stage != VERIFYING or not now.total:
            return None
        full = min(_BAR, _BAR * now.done // now.total)
        return line(
            ("Verifying  ", "busy"),
            (self.glyphs.dash * full, "busy"),
            (self.glyphs.dot * (_BAR - full), "dim"),
            f" {now.done:,} of {now.total:,}",
        )

    # --- moving ---------------------------------------------------------------------------------

    def action_open(self) -> None:
        """Go into the entry."""
        self.entry.focus()

    def action_wrap(self) -> None:
        """Wrap long lines of the entry, or not."""
        self.entry.toggle_wrap()

    def action_zoom(self) -> None:
        """Give the entry all the room, or give it back."""
        self.toggle_class("-zoom")
        self.main.focus()
        self.app.paint_soon()

    def action_back(self) -> None:
        """One step back: the filter, the zoom, the entry, the view."""
        if self.box.display:
            self.end_filter(keep=False)
        elif self.has_class("-zoom"):
            self.action_zoom()
        elif self.entry.has_focus:
            self.table.focus()
        else:
            self.app.go_back()


def verified(found: wire.VerifyResult) -> Line:
    """What a verification found, in one line."""
    if found.ok:
        said = f"The engine says: whole, {found.entries:,} entries, head {found.head.hash[:12]}."
        hint = " 'ouroboros ledger verify' asks no engine."
        return line((said, "good"), (hint, "dim"))
    text = f"BROKEN at entry {found.first_bad}: {safe_line(found.problem, limit=200)}"
    return line((text, "bad"))


def entry_lines(text: str, digest: str) -> tuple[Line, ...]:
    """Return an entry with a member a line; as it is, where it is no JSON."""
    head = line(("hash  ", "dim"), (safe_line(digest, limit=80), "accent"))
    try:
        shown = msgspec.json.format(text, indent=2)
    except msgspec.DecodeError:
        shown = text
    rows = shown.split("\n") if isinstance(shown, str) else shown.decode().split("\n")
    return (head, Line(), *(_member(row) for row in rows[:2000]))


def _member(row: str) -> Line:
    name, colon, value = row.partition('": ')
    return line((name + colon, "tok-name"), value) if colon else line(row)
