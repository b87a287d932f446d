"""The Measures page of a candidate: each series as it was taken, drawn. Pure.

What is drawn is what the ledger holds: the change of each pair in the order in which it was taken,
none left out. The line at 0 is the baseline.
"""

from ouroboros.model.evaluation import Evaluation, Sample, Series
from ouroboros.model.state import Candidate
from ouroboros.model.text import safe_line
from ouroboros.model.verdict import Comparison
from tui import words
from tui.plot import plot
from tui.view import View
from tui.words import Glyphs, Line, line

_HEIGHT = 8
_TITLES = {
    "screen": "screening",
    "confirm": "confirmation, on fresh pairs",
    "anchor": "against the anchor",
}


def measures(
    view: View,
    c: Candidate,
    evaluation: Evaluation | None,
    glyphs: Glyphs,
    *,
    width: int,
) -> tuple[Line, ...]:
    """Return the page: what converges now, and every series of the last evaluation."""
    lines: list[Line] = []
    for (name, stage), track in view.tracks.items():
        if name == c.id and track:
            lines += _track(stage, track, glyphs, width)
    for series in evaluation.series if evaluation is not None else ():
        lines += _series(series, glyphs, width)
    for exact in evaluation.exact if evaluation is not None else ():
        name = f"{safe_line(exact.metric, limit=20)} of {safe_line(exact.benchmark, limit=24)}"
        lines.append(line((name, "head"), (f"  {exact.stage.value}, exact", "dim")))
        for which, values in (("baseline", exact.baseline), ("candidate", exact.candidate)):
            said = ", ".join(f"{value:,.6g}" for value in values[:6])
            lines.append(line((f"  {which:<10}", "dim"), said))
        lines.append(Line())
    return tuple(lines) or (line(("Nothing was measured yet.", "dim")),)


def _track(stage: str, track: tuple[Comparison, ...], glyphs: Glyphs, width: int) -> list[Line]:
    """The estimate and its bounds as they converge, by pairs used."""
    if not track:
        return []
    last = track[-1]
    title = line(
        (f"{safe_line(stage, limit=40)}  ", "head"),
        words.OUTCOMES[last.outcome].span(glyphs),
        (f"  {words.count(last.pairs, 'pair')}  {words.change(last)} {words.limits(last)}", "dim"),
    )
    points = [(float(p.pairs), p.change) for p in track if p.change is not None]
    drawn = plot(
        points, width=width, height=_HEIGHT, glyphs=glyphs, form=_percent, zero=True, role="busy"
    )
    return [title, *drawn, Line()]


def _series(series: Series, glyphs: Glyphs, width: int) -> list[Line]:
    points = [
        (float(number), ratio)
        for number, pair in enumerate(series.pairs, 1)
        if (ratio := _change(pair.baseline, pair.candidate)) is not None
    ]
    changes = sorted(y for _, y in points)
    name = safe_line(series.benchmark, limit=40)
    stage = _TITLES.get(series.stage.value, series.stage.value)
    kept = f", {series.inherited} of an earlier try" if series.inherited else ""
    title = line(
        (f"{name}  ", "head"),
        (f"{stage}, processor time, {words.count(len(points), 'pair')}{kept}", "dim"),
    )
    if not changes:
        return [title, line(("  no pair can be drawn", "dim")), Line()]
    median = changes[len(changes) // 2]
    drawn = plot(
        points, width=width, height=_HEIGHT, glyphs=glyphs, form=_percent, zero=True, joined=False
    )
    said = line(
        ("  median ", "dim"),
        (words.percent(median), "good" if median < 0 else "wait"),
        (f"  least {words.percent(changes[0])}, most {words.percent(changes[-1])}", "dim"),
    )
    return [title, *drawn, said, Line()]


def _change(baseline: Sample, candidate: Sample) -> float | None:
    before, after = baseline.cpu_ns, candidate.cpu_ns
    if before <= 0:
        before, after = baseline.wall_ns, candidate.wall_ns
    return after / before - 1 if before > 0 else None


def _percent(value: float) -> str:
    return f"{value * 100:+.1f} %"
