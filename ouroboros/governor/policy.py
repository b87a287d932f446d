"""What policy asks people for although the evidence says yes. Pure.

Each function returns its own reasons; all of them are shown, so that who answers sees everything
that stands between a candidate and a promotion without a human.
"""

from collections.abc import Callable, Iterator

from ouroboros.config import Config, Mode
from ouroboros.governor.evidence import Evidence, findings, gain_of
from ouroboros.model.evaluation import (
    DIFFERENT_OUTPUT,
    Assurance,
    Containment,
    Evaluation,
    SandboxLevel,
)
from ouroboros.model.globs import matches
from ouroboros.model.proposal import Mark, Severity
from ouroboros.model.text import safe_line
from ouroboros.model.verdict import Reason


def policy_holds(evidence: Evidence) -> tuple[Reason, ...]:
    """Return why a human must answer although the evidence says yes; empty where none must.

    Raises:
        MeasurementError: `[governor.autonomy] min_gain` is set and samples cannot be compared.
    """
    return tuple(reason for rule in _RULES for reason in rule(evidence))


def where(mark: Mark) -> str:
    """Return a mark's text with its place."""
    place = f"{mark.path}:{mark.line}: " if mark.line else f"{mark.path}: " if mark.path else ""
    return f"{place}{mark.text}"


def containment(level: SandboxLevel) -> str:
    """Return in words what contained a run."""
    filtered = "calls filtered" if level.seccomp else "calls not filtered"
    parts = (
        f"{level.backend} {level.version}".strip(),
        f"runs as {level.drop}",
        filtered,
        f"limits by {level.limits}",
    )
    return ", ".join((*parts, "with network") if level.network else parts)


def _marks(evidence: Evidence) -> Iterator[Reason]:
    for mark in evidence.marks:
        if mark.severity is Severity.HOLD:
            yield Reason(code=f"screen:{mark.rule}", text=where(mark))


def _reviewed(evidence: Evidence) -> Iterator[Reason]:
    """Files that need people in every mode, whoever proposed the change."""
    touched = [p for p in _paths(evidence) if matches(p, evidence.config.governor.limits.reviewed)]
    if touched:
        text = f"Changes files that people must review: {_listed(touched)}."
        yield Reason(code="reviewed_path", text=text)


def _size(evidence: Evidence) -> Iterator[Reason]:
    governor, files = evidence.config.governor, evidence.files
    lines = sum(max(f.added, 0) + max(f.removed, 0) for f in files)
    if len(files) > governor.max_files or lines > governor.max_lines:
        text = f"The diff touches {len(files)} files and {lines} lines."
        yield Reason(code="large_diff", text=text)


_PROVES = {
    Assurance.EXIT_CODE: "the tests report only an exit code; which tests ran is not known",
    Assurance.TESTS: "tests passed, which the candidate's own process reported",
    Assurance.CHALLENGE: "results were compared on fresh inputs",
}
_NAMED = 5
_ASSURANCES = tuple(Assurance)
_CONTAINMENTS = tuple(Containment)


def _assurance(evidence: Evidence) -> Iterator[Reason]:
    config, evaluation = evidence.config, evidence.evaluation
    wanted = config.governor.min_assurance or _default_assurance(config)
    if _ASSURANCES.index(evaluation.assurance) < _ASSURANCES.index(wanted):
        text = (
            f"Assurance is {evaluation.assurance} ({_PROVES[evaluation.assurance]}); "
            f"policy demands {wanted}."
        )
        yield Reason(code="low_assurance", text=text)
    for check in evaluation.checks:
        if check.code == DIFFERENT_OUTPUT:
            yield Reason(code=check.code, text=check.text)
    yield from _untested(evaluation)


def _default_assurance(config: Config) -> Assurance:
    return Assurance.CHALLENGE if config.challenges else Assurance.TESTS


def _untested(evaluation: Evaluation) -> Iterator[Reason]:
    if evaluation.untested:
        shown = ", ".join(evaluation.untested[:_NAMED])
        more = len(evaluation.untested) - _NAMED
        text = (
            "No test and no challenge executes what the candidate replaces, so that nothing is "
            f"known of it: {shown}" + (f" and {more} more lines." if more > 0 else ".")
        )
        yield Reason(code="untested_change", text=text)


def _contained(evidence: Evidence) -> Iterator[Reason]:
    governor, level = evidence.config.governor, evidence.evaluation.sandbox
    if _rank(level.backend) < _CONTAINMENTS.index(governor.min_containment):
        text = (
            f"The candidate ran with less containment than policy demands "
            f"({governor.min_containment}): {containment(level)}."
        )
        yield Reason(code="weak_sandbox", text=text)
    if level.backend == Containment.NONE:
        text = "The candidate ran without containment ([sandbox] allow_unconfined)."
        yield Reason(code="no_sandbox", text=text)
    if level.network and level.backend != Containment.NONE:
        text = "The run could reach the network ([sandbox] network)."
        yield Reason(code="network", text=text)


def _rank(backend: str) -> int:
    """Return a backend's rank; one that is not known counts as none."""
    known = [str(c) for c in _CONTAINMENTS]
    return known.index(backend) if backend in known else 0


def _mode(evidence: Evidence) -> Iterator[Reason]:
    mode = evidence.config.governor.mode
    if mode is Mode.OBSERVE:
        yield Reason(code="mode_observe", text="Mode is observe: nothing is ever applied.")
    if mode is Mode.SUPERVISED:
        text = "Mode is supervised: every promotion needs a human."
        yield Reason(code="mode_supervised", text=text)


def _autonomy(evidence: Evidence) -> Iterator[Reason]:
    """`[governor.autonomy]`, which only says something where there is any."""
    if evidence.config.governor.mode is not Mode.AUTONOMOUS:
        return
    allowed = evidence.config.governor.autonomy
    outside = [path for path in _paths(evidence) if not matches(path, allowed.paths)]
    if outside:
        text = f"Changes files beyond [governor.autonomy] paths: {_listed(outside)}."
        yield Reason(code="autonomy_paths", text=text)
    if not matches(evidence.proposer, allowed.proposers):
        name = safe_line(evidence.proposer, limit=60) or "one without a name"
        text = f"Not one of [governor.autonomy] proposers: {name}."
        yield Reason(code="autonomy_proposer", text=text)
    yield from _small_gain(evidence, allowed.min_gain)


def _small_gain(evidence: Evidence, wanted: float) -> Iterator[Reason]:
    if wanted <= 0:
        return
    gain = gain_of(findings(evidence).confirmed)
    if gain is None or gain < wanted:
        shown = "No gain is confirmed" if gain is None else f"The confirmed gain is {gain:.1%}"
        text = f"{shown}; promotion without a human needs {wanted:.1%}."
        yield Reason(code="autonomy_gain", text=text)


def _limits(evidence: Evidence) -> Iterator[Reason]:
    """How many promotions without a human a day may see."""
    governor, moment = evidence.config.governor, evidence.moment
    if governor.mode is not Mode.AUTONOMOUS or moment is None:
        return
    limits = governor.limits
    if moment.promotions >= limits.promotions_per_day:
        text = (
            f"{moment.promotions} promotions without a human in the last 24 hours; the limit is "
            f"{limits.promotions_per_day}."
        )
        yield Reason(code="promotion_limit", text=text)
    if moment.promotions_of_proposer >= limits.promotions_per_proposer:
        name = safe_line(evidence.proposer, limit=60) or "this proposer"
        text = (
            f"{moment.promotions_of_proposer} promotions of {name} without a human in the last 24 "
            f"hours; the limit is {limits.promotions_per_proposer}."
        )
        yield Reason(code="proposer_limit", text=text)


def _paths(evidence: Evidence) -> list[str]:
    return sorted(f.path for f in evidence.files)


def _listed(paths: list[str]) -> str:
    shown = ", ".join(safe_line(p, limit=120) for p in paths[:_NAMED])
    more = len(paths) - _NAMED
    return shown + (f" and {more} more" if more > 0 else "")


_RULES: tuple[Callable[[Evidence], Iterator[Reason]], ...] = (
    _marks,
    _reviewed,
    _size,
    _assurance,
    _contained,
    _autonomy,
    _limits,
    _mode,
)
