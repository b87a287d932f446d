"""How candidates, comparisons, files and diffs look on a terminal; shared by several commands."""

import sys
from collections.abc import Sequence
from typing import TextIO

from ouroboros.cli import terminal
from ouroboros.cli.options import Settings
from ouroboros.cli.words import age, diffstat, duration, interval, percent, plural, short
from ouroboros.errors import InvalidParamsError
from ouroboros.model.evaluation import CheckStatus, Evaluation
from ouroboros.model.phase import Phase
from ouroboros.model.proposal import FileChange, Severity
from ouroboros.model.state import Candidate, confirmed_change
from ouroboros.model.text import safe_line
from ouroboros.model.verdict import Comparison, Outcome

PHASE_STYLES: dict[Phase, str] = {
    Phase.HELD: "warn",
    Phase.PROMOTED: "good",
    Phase.KEPT: "good",
    Phase.ACCEPTED: "good",
    Phase.REJECTED: "bad",
    Phase.ERRORED: "bad",
    Phase.ROLLED_BACK: "warn",
    Phase.CANCELLED: "dim",
}
"""Colours are a second signal only; the word always stands there."""

_OUTCOMES = {Outcome.IMPROVED: "good", Outcome.REGRESSED: "bad", Outcome.INCONCLUSIVE: "warn"}
_CHECKS = {
    CheckStatus.PASSED: "good",
    CheckStatus.FAILED: "bad",
    CheckStatus.ERROR: "warn",
    CheckStatus.SKIPPED: "dim",
}


def check_phases(names: Sequence[str]) -> None:
    """Refuse names that are no phases.

    Raises:
        InvalidParamsError: with the names that are possible.
    """
    known = [phase.value for phase in Phase]
    wrong = [name for name in names if name not in known]
    if wrong:
        raise InvalidParamsError(
            f"'{wrong[0]}' is not a phase.", hint=f"Possible are: {', '.join(known)}."
        )


def candidate_row(c: Candidate, now_ns: int) -> tuple[terminal.Cell, ...]:
    """Return the row of `ouroboros candidates`."""
    change = confirmed_change(c.verdict)
    return (
        c.id,
        (c.phase.value, PHASE_STYLES.get(c.phase, "")),
        age(c.since_ns, now_ns),
        percent(change) if change is not None else "-",
        c.proposer,
        c.title,
    )


def print_candidate(
    settings: Settings, c: Candidate, now_ns: int, stream: TextIO | None = None
) -> None:
    """Print one candidate whole."""
    out = stream or sys.stdout
    terminal.fields(settings, _facts(c, now_ns), out)
    for reason in c.reasons:
        terminal.fields(settings, [("reason", f"{reason.code}: {reason.text}")], out)
    for mark in c.marks:
        where = f" ({mark.path}:{mark.line})" if mark.path else ""
        style = "" if mark.severity is Severity.NOTE else "warn"
        row = (f"{mark.severity}: {mark.rule}{where}: {mark.text}", style)
        terminal.fields(settings, [("mark", row)], out)
    if c.evaluation is not None:
        _print_checks(settings, c.evaluation, out)
    if c.verdict is not None and c.verdict.comparisons:
        print_comparisons(settings, c.verdict.comparisons, out)
    print_diffstat(settings, c.files, out)


def _facts(c: Candidate, now_ns: int) -> list[tuple[str, terminal.Cell]]:
    phase = f"{c.phase.value}, {age(c.since_ns, now_ns)}"
    if c.phase is Phase.HELD and c.expires_ns:
        phase += f"; expires {age(c.expires_ns, now_ns)}, then the answer is no"
    cycle = f" in cycle #{c.cycle}" if c.cycle else ""
    return [
        ("candidate", (f"{c.id}  {safe_line(c.title, limit=500)}", "bold")),
        ("phase", (phase, PHASE_STYLES.get(c.phase, ""))),
        ("proposer", f"{c.proposer}{cycle}, {age(c.created_ns, now_ns)}"),
        ("rationale", c.rationale),
        ("base", short(c.base)),
        ("commit", c.commit),
        ("predicted", percent(-c.predicted_gain) if c.predicted_gain else ""),
        ("approved by", c.approved_by),
        ("version", str(c.version) if c.version else ""),
    ]


def _print_checks(settings: Settings, evaluation: Evaluation, out: TextIO) -> None:
    if not evaluation.checks:
        return
    rows: list[tuple[terminal.Cell, ...]] = [
        (
            check.name,
            (check.status.value, _CHECKS[check.status]),
            duration(check.wall_ns) if check.wall_ns else "-",
            check.text or check.code,
        )
        for check in evaluation.checks
    ]
    out.write("\n")
    terminal.table(settings, ("CHECK", "OUTCOME", "TIME", "DETAIL"), rows, stream=out)


def print_comparisons(
    settings: Settings, comparisons: Sequence[Comparison], stream: TextIO | None = None
) -> None:
    """Print the measurements behind a verdict."""
    out = stream or sys.stdout
    rows: list[tuple[terminal.Cell, ...]] = [
        (
            f"{c.benchmark} {c.metric}",
            c.role,
            c.stage,
            (c.outcome.value, _OUTCOMES.get(c.outcome, "")),
            interval(c),
        )
        for c in comparisons
    ]
    out.write("\n")
    heads = ("MEASURED", "ROLE", "STAGE", "OUTCOME", "CHANGE")
    terminal.table(settings, heads, rows, stream=out)


def print_diffstat(
    settings: Settings, files: Sequence[FileChange], stream: TextIO | None = None
) -> None:
    """Print one line for each file of a diff."""
    if not files:
        return
    out = stream or sys.stdout
    out.write("\n")
    terminal.table(settings, (plural(len(files), "file"), "", ""), diffstat(files), stream=out)


def print_diff(settings: Settings, text: str) -> None:
    """Print a unified diff, coloured by line on a terminal."""
    in_hunk = False
    for line in text.removesuffix("\n").split("\n"):
        in_hunk = line.startswith("@@") or (in_hunk and line[:1] in " +-\\")
        terminal.line(settings, line, _diff_style(line, in_hunk=in_hunk))


def _diff_style(line: str, *, in_hunk: bool) -> str:
    """Return a line's style; a removed line that begins with `--` is no file header."""
    if line.startswith("@@"):
        return "info"
    if in_hunk:
        return {"+": "good", "-": "bad"}.get(line[:1], "")
    return "bold"
