"""Host, engine and gains over time: a list of series, and the selected one drawn."""

import math
from collections.abc import Iterator

from textual.containers import Vertical
from textual.widget import Widget

from ouroboros.model.insight import Metric, Points
from ouroboros.model.text import safe_line
from rpc import wire
from tui import words
from tui.keys import Where
from tui.loader import Failed, Loader
from tui.panels.detail import waiting
from tui.panels.lines import Lines
from tui.panels.rowlist import RowList
from tui.plot import plot
from tui.rows import Row, metric_columns
from tui.screens.deck import Deck, bindings_for
from tui.view import View, engine_now
from tui.words import Glyphs, Line, line, spark

SPANS_S = (300, 900, 3600, 4 * 3600, 12 * 3600, 24 * 3600)
"""Stretches of time that can be seen, in seconds."""
_EVERY_NS = 10 * words.SECOND
_GAINS = "gain_by_version"
_SPARK = 20


class MetricsScreen(Deck):
    """The list beside (or above) the plot."""

    WHERE = Where.METRICS
    BINDINGS = bindings_for(Where.METRICS)
    AUTO_FOCUS = "#series"

    def __init__(self, loader: Loader) -> None:
        """Begin with the last hour."""
        super().__init__(loader)
        self.table = RowList(id="series")
        self.page = Lines(id="plot")
        self._span = SPANS_S.index(3600)
        self._back = 0

    def body(self) -> Iterator[Widget]:
        """Lay list and plot."""
        with Vertical(id="left"):
            yield self.table
        with Vertical(id="detail"):
            yield self.page

    @property
    def main(self) -> Widget:
        """The list."""
        return self.table

    @property
    def trail(self) -> tuple[str, ...]:
        """The series."""
        return (self.table.key,) if self.table.key else ()

    @property
    def copied(self) -> str:
        """The name of the series."""
        return self.table.key

    def fill(self, view: View, now_ns: int) -> None:
        """Bring list and plot up to date; values are asked for every ten seconds."""
        now = engine_now(view, now_ns)
        known = self.loader.current("metrics", view.engine_version, wire.MetricsList())
        series = known if isinstance(known, tuple) else ()
        rows = [self._row(metric, now) for metric in series]
        if any(v.change is not None for v in view.state.versions):
            rows.insert(0, _gain_row(view))
        width = self.table.size.width
        self.table.show(metric_columns(width), rows)
        page = self.page
        wide = page.scrollable_content_region.width or 80
        height = max(4, page.size.height - 4)
        if self.table.key == _GAINS:
            page.show(gains(view, self.glyphs, width=wide, height=height))
        elif series and self.table.key:
            metric = next((m for m in series if m.name == self.table.key), series[0])
            page.show(self._drawn(metric, view, now, wide, height))
        else:
            page.show(waiting(known, "Asking for the metrics."))

    # --- one series -----------------------------------------------------------------------------

    def _row(self, metric: Metric, now: int) -> Row:
        points = self._points(metric.name, now)
        latest, small = "", ""
        if isinstance(points, Points) and points.mean:
            latest = quantity(points.mean[-1], metric.unit)
            small = spark(points.mean[-_SPARK:], self.glyphs)
        cells = (
            line(safe_line(metric.name, limit=40)),
            line((latest, "strong")),
            line((small, "busy")),
        )
        return Row(metric.name, cells)

    def _points(self, name: str, now: int) -> Points | Failed | None:
        span = SPANS_S[self._span]
        end = 0 if not self._back else now - self._back * words.SECOND
        request = wire.MetricsQuery(
            name=name,
            begin=(end or now) - span * words.SECOND,
            end=end,
            step_s=max(10.0, span / 240),
        )
        stamp = f"{now // _EVERY_NS} {span} {self._back}"
        return self.loader.current(f"points {name}", stamp, request)

    def _drawn(
        self, metric: Metric, view: View, now: int, width: int, height: int
    ) -> tuple[Line, ...]:
        points = self._points(metric.name, now)
        title = line((safe_line(metric.name), "head"), (f"  {safe_line(metric.text)}", "dim"))
        if not isinstance(points, Points):
            return (title, *waiting(points, "Asking for its values."))
        span = SPANS_S[self._span]
        end = now - self._back * words.SECOND
        xs = [ts / words.SECOND for ts in points.ts]
        drawn = plot(
            list(zip(xs, points.mean, strict=True)),
            width=width,
            height=height,
            glyphs=self.glyphs,
            form=lambda value: quantity(value, metric.unit),
            span=((end - span * words.SECOND) / words.SECOND, end / words.SECOND),
        )
        return (title, *drawn, _times(view, end, span, width), self._said(points, metric))

    def _said(self, points: Points, metric: Metric) -> Line:
        if not points.mean:
            return line(("No sample in this stretch.", "dim"))
        return line(
            ("least ", "dim"),
            quantity(min(points.least), metric.unit),
            ("  mean ", "dim"),
            quantity(math.fsum(points.mean) / len(points.mean), metric.unit),
            ("  most ", "dim"),
            quantity(max(points.most), metric.unit),
            (f"  a point each {points.step_s:g} s; + - and left, right move in time", "dim"),
        )

    # --- keys -----------------------------------------------------------------------------------

    def on_row_list_moved(self) -> None:
        """Draw what the cursor stands on."""
        self.app.paint_now()

    def tick(self, view: View, now_ns: int) -> None:
        """A second passed: the values may be due."""
        super().tick(view, now_ns)
        if now_ns // _EVERY_NS != (now_ns - words.SECOND) // _EVERY_NS:
            self.app.paint_soon()

    def action_scale(self, step: int) -> None:
        """A shorter or a longer stretch of time."""
        self._span = max(0, min(len(SPANS_S) - 1, self._span + step))
        self.app.paint_now()

    def action_pan(self, step: int) -> None:
        """Half a screen back in time, or on."""
        half = SPANS_S[self._span] // 2
        self._back = max(0, min(SPANS_S[-1], self._back + step * half))
        self.app.paint_now()


def _times(view: View, end: int, span: int, width: int) -> Line:
    """The times at both ends of the plot."""
    first = words.time_of_day(end - span * words.SECOND, view.utc_offset_s)
    last = words.time_of_day(end, view.utc_offset_s)
    return line((" " * 10 + first + last.rjust(max(9, width - 10 - len(first))), "dim"))


def quantity(value: float, unit: str) -> str:
    """A value in few characters: `61.4 MiB`, `3.1 %`, `12 ms`."""
    if unit == "bytes":
        for size, name in ((1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")):
            if abs(value) >= size:
                return f"{value / size:.1f} {name}"
        return f"{value:.0f} B"
    if unit == "percent":
        return f"{value:.1f} %"
    if unit == "seconds":
        return f"{value * 1000:.1f} ms" if abs(value) < 1 else f"{value:.1f} s"
    return f"{value:,.4g}" if value != int(value) else f"{int(value):,}"


# --- gains --------------------------------------------------------------------------------------


def _total(view: View) -> list[tuple[float, float]]:
    """The product of the confirmed changes of what is still in the branch, by version."""
    factor, points = 1.0, []
    for version in view.state.versions:
        if version.active and version.change is not None:
            factor *= 1.0 + version.change
        points.append((float(version.number), factor - 1.0))
    return points


def _gain_row(view: View) -> Row:
    points = _total(view)
    latest = words.percent(points[-1][1]) if points else ""
    return Row(_GAINS, (line(_GAINS), line((latest, "strong")), line("")))


def gains(view: View, glyphs: Glyphs, *, width: int, height: int) -> tuple[Line, ...]:
    """Draw how the versions add up; the measured total is the anchor's (8)."""
    title = line(
        (_GAINS, "head"), ("  confirmed changes of all active versions, multiplied", "dim")
    )
    drawn = plot(
        _total(view),
        width=width,
        height=height,
        glyphs=glyphs,
        form=words.percent,
        zero=True,
        role="good",
    )
    note = line(("An estimate: what was measured against the anchor stands in view 8.", "dim"))
    return (title, *drawn, note)
