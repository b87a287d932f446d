"""The Overview of one candidate as lines: where it stands, why, and on what evidence. Pure.

What the proposer says about its own change is framed as such: it is a claim, not a finding.
"""

from ouroboros.model.evaluation import CheckOutcome
from ouroboros.model.phase import FINAL, Phase
from ouroboros.model.progress import Progress
from ouroboros.model.proposal import FileChange, Severity
from ouroboros.model.snapshot import Explanation
from ouroboros.model.state import Candidate
from ouroboros.model.text import safe_line, safe_text
from ouroboros.model.verdict import Comparison
from tui import words
from tui.view import View, approvals, engine_now
from tui.words import Glyphs, Line, Word, line

_PATH = (
    (Phase.PROPOSED, "proposed"),
    (Phase.SCREENED, "screened"),
    (Phase.APPLIED, "applied"),
    (Phase.EVALUATED, "evaluated"),
    (Phase.ACCEPTED, "accepted"),
    (Phase.PROMOTED, "promoted"),
    (Phase.KEPT, "kept"),
)
_STEP = {
    Phase.PROPOSED: 0,
    Phase.SCREENED: 1,
    Phase.APPLIED: 2,
    Phase.EVALUATING: 3,
    Phase.EVALUATED: 3,
    Phase.HELD: 4,
    Phase.ACCEPTED: 4,
    Phase.PROMOTING: 5,
    Phase.PROMOTED: 5,
    Phase.KEPT: 6,
    Phase.ROLLING_BACK: 6,
    Phase.ROLLING_FORWARD: 6,
    Phase.ROLLED_BACK: 6,
}
_DONE = frozenset(
    {Phase.PROPOSED, Phase.SCREENED, Phase.APPLIED, Phase.EVALUATED, Phase.ACCEPTED}
    | {Phase.PROMOTED, Phase.KEPT},
)
_PLOT = 34
_INDENT = "  "


def overview(
    view: View,
    candidate: Candidate,
    now_ns: int,
    glyphs: Glyphs,
    *,
    explanation: Explanation | None = None,
    width: int = 80,
) -> tuple[Line, ...]:
    """Return all lines about one candidate."""
    now = engine_now(view, now_ns)
    return (
        *_title(view, candidate, now, glyphs),
        *_path(candidate, glyphs, width),
        *_why(candidate, explanation),
        *_running(view, candidate, now, glyphs, width),
        *_measured(candidate, glyphs, width),
        *_checks(candidate, glyphs),
        *_touched(candidate, glyphs),
        *_claim(candidate),
    )


def nothing(view: View, *, filtered: bool) -> tuple[Line, ...]:
    """Return what stands in the detail area when there is no candidate to show."""
    if not view.attached:
        trouble = safe_line(view.trouble) or "Looking for the engine."
        return (line((trouble, "strong")), Line(), line((safe_line(view.hint), "dim")))
    if filtered:
        return (line("No candidate fits the filter. esc clears it."),)
    return (
        line(("No candidate yet.", "strong")),
        Line(),
        line(("The engine asks its proposers once per cycle. t starts a cycle now.", "dim")),
    )


# --- sections -----------------------------------------------------------------------------------


def _title(view: View, c: Candidate, now: int, glyphs: Glyphs) -> tuple[Line, ...]:
    commit = f" {glyphs.dot} commit {words.short(c.commit)}" if c.commit else ""
    facts = (
        f"{safe_line(c.proposer, limit=24)} {glyphs.dot} cycle {c.cycle} {glyphs.dot} "
        f"{diffstat(c.files, glyphs)}{commit}"
    )
    return (
        line((f"{safe_line(c.id, limit=12)}  ", "accent"), (safe_line(c.title), "strong")),
        line(
            words.PHASES[c.phase].span(glyphs),
            (_since(c, now, glyphs), "dim"),
            (f" {glyphs.dot} {yes}" if (yes := approvals(view, c).rstrip()) else "", "wait"),
        ),
        line((facts, "dim")),
    )


def _since(c: Candidate, now: int, glyphs: Glyphs) -> str:
    since = words.age(now - c.since_ns)
    text = "  since just now" if since == "now" else f"  for {since}"
    if c.phase is Phase.HELD and c.expires_ns:
        text += (
            f" {glyphs.dot} waits for you, rejected by itself in {words.age(c.expires_ns - now)}"
        )
    if c.approved_by:
        text += f" {glyphs.dot} approved by {safe_line(c.approved_by, limit=24)}"
    if c.version:
        text += f" {glyphs.dot} is v{c.version}"
    return text


def diffstat(files: tuple[FileChange, ...], glyphs: Glyphs) -> str:
    """`2 files +14 -3`; `no files yet` before the screen looked."""
    if not files:
        return "no files yet"
    added = sum(max(0, f.added) for f in files)
    removed = sum(max(0, f.removed) for f in files)
    return f"{words.count(len(files), 'file')} +{added} {glyphs.minus}{removed}"


def _path(c: Candidate, glyphs: Glyphs, width: int) -> tuple[Line, ...]:
    """The stations on the way; the one where it stands (or stopped) in its own words."""
    here = _STEP.get(c.phase, _reached(c))
    parts: list[Line] = []
    for number, (_, word) in enumerate(_PATH):
        if number == here:
            parts.append(line(words.PHASES[c.phase].span(glyphs)))
            if c.phase in FINAL and c.phase not in _DONE:
                break
        elif number < here:
            parts.append(line((f"{glyphs.good} {word}", "dim")))
        else:
            parts.append(line((f"{glyphs.todo} {word}", "dim")))
    between = f" {glyphs.dash} " if _room(parts, 3) <= width else " "
    if _room(parts, 1) > width - 2:  # the way behind us in one word
        parts = [line((f"{glyphs.good} {_PATH[here - 1][1]}", "dim")), *parts[here:]]
    return (Line(), words.joined(parts, between))


def _room(parts: list[Line], between: int) -> int:
    return sum(len(part.plain) + between for part in parts)


def _reached(c: Candidate) -> int:
    """How far a candidate came that was stopped before promotion."""
    if c.evaluation is not None:
        return 4
    if c.commit:
        return 3
    return 2 if c.files else 1


def _why(c: Candidate, explanation: Explanation | None) -> tuple[Line, ...]:
    lines: list[Line] = []
    told = explanation is not None and c.verdict is not None and _same(c)
    if told and explanation is not None:
        lines.append(line((safe_line(explanation.headline, limit=400), "strong")))
        lines.extend(line(_INDENT + safe_line(text, limit=400)) for text in explanation.lines)
    else:
        lines.extend(
            line(
                _INDENT, (f"{safe_line(r.code, limit=40)}  ", "info"), safe_line(r.text, limit=400)
            )
            for r in c.reasons
        )
    for mark in c.marks:
        at = f" {safe_line(mark.path)}:{mark.line}" if mark.path else ""
        tone = "info" if mark.severity is Severity.NOTE else "wait"
        lines.append(
            line(_INDENT, (f"{safe_line(mark.rule, limit=40)}{at}  ", tone), safe_line(mark.text)),
        )
    return _section("Why", lines)


def _same(c: Candidate) -> bool:
    """Whether the verdict is still the last word (a denial or an error comes after it)."""
    return c.verdict is not None and c.reasons == c.verdict.reasons


def _running(view: View, c: Candidate, now: int, glyphs: Glyphs, width: int) -> tuple[Line, ...]:
    progress = view.progress.get(c.id)
    if progress is None or c.phase is not Phase.EVALUATING:
        return ()
    lines = [_bar(progress, glyphs), _pace(view, c, now)]
    for (name, stage), track in view.tracks.items():
        if name == c.id and track:
            lines.extend(_converging(stage, track, glyphs, width))
    return _section("Now", lines)


_FEW = 3
"""Evaluations from which a usual length may be told."""


def _pace(view: View, c: Candidate, now: int) -> Line:
    """How long it runs, beside how long evaluations took so far (the median)."""
    took = sorted(
        other.evaluation.wall_ns
        for other in view.state.candidates.values()
        if other.evaluation is not None and other.evaluation.wall_ns > 0
    )
    runs = words.clock(now - c.since_ns)
    if len(took) < _FEW:
        return line(_INDENT, ("runs for ", "dim"), runs)
    usual = words.clock(took[len(took) // 2])
    return line(_INDENT, ("runs for ", "dim"), runs, (f", usually {usual}", "dim"))


def _bar(progress: Progress, glyphs: Glyphs) -> Line:
    stage = safe_line(progress.stage, limit=40)
    note = f"  {safe_line(progress.text)}" if progress.text else ""
    if progress.total <= 0:
        return line(_INDENT, (f"{glyphs.busy} {stage}", "busy"), (note, "dim"))
    full = min(20, 20 * progress.done // progress.total)
    return line(
        _INDENT,
        (f"{glyphs.busy} {stage}  ", "busy"),
        (glyphs.dash * full, "busy"),
        (glyphs.dot * (20 - full), "dim"),
        f" {progress.done}/{progress.total}",
        (note, "dim"),
    )


def _converging(
    stage: str,
    track: tuple[Comparison, ...],
    glyphs: Glyphs,
    width: int,
) -> tuple[Line, ...]:
    points = [c.change for c in track if c.change is not None][-24:]
    trail = words.spark(points, glyphs)
    note = f"{safe_line(stage, limit=40)}, so far {trail}"
    return _comparison(track[-1], glyphs, width, note=note)


def _measured(c: Candidate, glyphs: Glyphs, width: int) -> tuple[Line, ...]:
    if c.verdict is None or not c.verdict.comparisons:
        return ()
    lines: list[Line] = []
    for comparison in c.verdict.comparisons:
        note = safe_line(comparison.stage, limit=20)
        if comparison.direction == "higher":
            note += ", more is better"
        lines.extend(_comparison(comparison, glyphs, width, note=note))
    return _section("Measured against the baseline (less is better, unless said)", lines)


def _comparison(c: Comparison, glyphs: Glyphs, width: int, *, note: str) -> tuple[Line, ...]:
    name = f"{safe_line(c.metric, limit=12)} of {safe_line(c.benchmark, limit=24)}"
    first = line(
        _INDENT,
        words.OUTCOMES[c.outcome].span(glyphs, 12),
        f" {name}  ",
        (f"{words.change(c)} ", "strong"),
        words.limits(c),
    )
    after = (f"  {words.count(c.pairs, 'pair')}, {note}", "dim")
    plot = interval(c, glyphs, max(12, min(_PLOT, width - 40)))
    if not plot.spans:
        return (line(*first.spans, after),)
    return (first, line(_INDENT * 2, *plot.spans, after))


def interval(c: Comparison, glyphs: Glyphs, cells: int) -> Line:
    """Draw bounds and estimate on an axis with zero and the allowed degradation.

    Empty where either bound is unknown: half an interval drawn would look like a whole one; and
    where the axis would be another one: more is better, or differences in a unit.
    """
    if c.direction == "higher" or c.scale != "ratio":
        return Line()
    if c.change is None or c.lower is None or c.upper is None:
        return Line()
    low = min(c.lower, 0.0)
    high = max(c.upper, 0.0, c.margin)
    scale = (cells - 1) / ((high - low) or 1.0)

    def at(value: float) -> int:
        return max(0, min(cells - 1, round((value - low) * scale)))

    axis = [(glyphs.dot, "dim")] * cells
    for cell in range(at(c.lower), at(c.upper) + 1):
        axis[cell] = (glyphs.dash, words.OUTCOMES[c.outcome].role)
    axis[at(c.margin)] = (glyphs.limit, "dim")
    axis[at(0.0)] = (glyphs.zero, "")
    axis[at(c.lower)] = (glyphs.left, words.OUTCOMES[c.outcome].role)
    axis[at(c.upper)] = (glyphs.right, words.OUTCOMES[c.outcome].role)
    axis[at(c.change)] = (glyphs.here, words.OUTCOMES[c.outcome].role)
    ends = (f"{words.percent(low, digits=0)} ", "dim"), (f" {words.percent(high, digits=0)}", "dim")
    return line(ends[0], *_runs(axis), ends[1])


def _runs(axis: list[tuple[str, str]]) -> list[tuple[str, str]]:
    runs: list[tuple[str, str]] = []
    for text, role in axis:
        if runs and runs[-1][1] == role:
            runs[-1] = (runs[-1][0] + text, role)
        else:
            runs.append((text, role))
    return runs


def _checks(c: Candidate, glyphs: Glyphs) -> tuple[Line, ...]:
    if c.evaluation is None:
        return ()
    lines = [_check(check, glyphs) for check in c.evaluation.checks]
    if c.evaluation.cause:
        lines.append(line(_INDENT, (safe_line(c.evaluation.cause, limit=400), "wait")))
    sandbox = c.evaluation.sandbox
    net = "with network" if sandbox.network else "no network"
    proven = f"assurance {c.evaluation.assurance}"
    contained = f"{proven}, in {sandbox.backend} {sandbox.version}, {sandbox.limits}, {net}"
    lines.append(line(_INDENT, (safe_line(contained), "dim")))
    return _section("Checks", lines)


def _check(check: CheckOutcome, glyphs: Glyphs) -> Line:
    word: Word = words.CHECKS[check.status]
    ran = f"{check.tests_run} run, {check.tests_failed} failed  " if check.tests_run else ""
    took = f"{words.seconds(check.wall_ns)}  " if check.wall_ns else ""
    return line(
        _INDENT,
        word.span(glyphs, 8),
        f"{safe_line(check.name, limit=30):<16} ",
        (f"{ran}{took}", "dim"),
        safe_line(check.text, limit=400),
    )


def _touched(c: Candidate, glyphs: Glyphs) -> tuple[Line, ...]:
    lines = [
        line(
            _INDENT,
            (f"+{f.added}".rjust(5) if f.added >= 0 else "  bin", "good"),
            (f" {glyphs.minus}{f.removed}".ljust(6) if f.removed >= 0 else "      ", "bad"),
            safe_line(f.path),
            ("" if f.status.value == "modified" else f"  {f.status.value}", "wait"),
        )
        for f in c.files
    ]
    return _section("Files", lines)


def _claim(c: Candidate) -> tuple[Line, ...]:
    text = safe_text(c.rationale, limit=4000).strip()
    if not text:
        return ()
    lines = [line(_INDENT, (part.expandtabs(4), "dim")) for part in text.split("\n")]
    return _section(f"What {safe_line(c.proposer, limit=24)} says (not verified)", lines)


def _section(title: str, lines: list[Line]) -> tuple[Line, ...]:
    return (Line(), line((title, "head")), *lines) if lines else ()
