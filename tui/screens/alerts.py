"""What was told to people, newest first: acknowledge, and silence a kind for a while."""

from collections.abc import Iterator

from textual.widget import Widget

from ouroboros.errors import OuroborosError
from ouroboros.model.state import Alert
from ouroboros.model.text import safe_line
from rpc import wire
from tui import asks, words
from tui.keys import Where
from tui.loader import Loader
from tui.panels.cell import Note
from tui.panels.rowlist import RowList
from tui.rows import alert_columns, alert_rows
from tui.screens.deck import Deck, bindings_for
from tui.view import View, engine_now
from tui.words import Line, line


class AlertsScreen(Deck):
    """The list, and the selected one in full."""

    WHERE = Where.ALERTS
    BINDINGS = bindings_for(Where.ALERTS)
    AUTO_FOCUS = "#alerts"

    def __init__(self, loader: Loader) -> None:
        """Make the panels."""
        super().__init__(loader)
        self.table = RowList(follow_top=True, id="alerts")
        self.note = Note(id="alert")

    def body(self) -> Iterator[Widget]:
        """Lay the list above the note."""
        yield self.table
        yield self.note

    @property
    def main(self) -> Widget:
        """The list."""
        return self.table

    @property
    def copied(self) -> str:
        """What the alert says."""
        chosen = self._alert(self.app.view)
        return chosen.text if chosen is not None else ""

    def _alert(self, view: View) -> Alert | None:
        key = self.table.key
        return next((a for a in view.state.alerts if str(a.seq) == key), None)

    def unfit(self, view: View, action: str) -> str:
        """Why the selected alert is not fit for an action."""
        if action not in ("ack", "silence"):
            return super().unfit(view, action)
        chosen = self._alert(view)
        if chosen is None:
            return "No alert is selected."
        seen = action == "ack" and chosen.acked_by
        return f"{safe_line(chosen.acked_by)} has seen it already." if seen else ""

    def fill(self, view: View, now_ns: int) -> None:
        """Bring list and note up to date."""
        width = self.table.size.width
        rows = alert_rows(view, now_ns, self.glyphs, width=width, wanted=self.wanted)
        self.table.show(alert_columns(width), rows)
        self.note.show((*_full(self._alert(view), view), *_silences(view, now_ns)))

    def on_row_list_moved(self) -> None:
        """Show what the cursor stands on."""
        self.app.paint_now()

    def action_ack(self) -> None:
        """Say that it was seen: harmless, so without a question."""
        chosen = self._alert(self.app.view)
        if chosen is not None:
            self.run_worker(self._ack(chosen), group="background")

    async def _ack(self, alert: Alert) -> None:
        try:
            await self.app.link.call(wire.AlertAck(seq=alert.seq))
        except OuroborosError as error:
            self.app.say_error(error)
            return
        self.app.say(f"Alert {alert.seq} acknowledged.")

    def action_silence(self) -> None:
        """Ask for how long."""
        chosen = self._alert(self.app.view)
        if chosen is not None:
            self.app.ask(asks.ask_silence(chosen.code))


def _full(alert: Alert | None, view: View) -> tuple[Line, ...]:
    if alert is None:
        return (line(("No alert. That is how it should be.", "dim")),)
    seen = f"seen by {safe_line(alert.acked_by)}" if alert.acked_by else "not seen by anybody yet"
    at = words.time_of_day(alert.ts, view.utc_offset_s)
    return (
        line((safe_line(alert.text, limit=600), "strong")),
        line((f"entry {alert.seq}, {at}, {seen}", "dim")),
        line(("It was not sent: its kind was silenced.", "wait")) if alert.silenced else Line(),
    )


def _silences(view: View, now_ns: int) -> tuple[Line, ...]:
    now = engine_now(view, now_ns)
    running = [s for s in view.state.silences if s.until_ns > now]
    return tuple(
        line(
            ("SILENCED ", "wait"),
            safe_line(s.codes, limit=60),
            (f" for {words.age(s.until_ns - now)} by {safe_line(s.actor, limit=30)}", "dim"),
            (f": {safe_line(s.reason, limit=80)}" if s.reason else "", "dim"),
        )
        for s in running[:3]
    )
