"""The governor's answer: evaluation + marks + policy -> verdict. Pure, recomputable.

The rule in one breath: a failed check or a proven regression is a no; a gain counts only when it
was proven twice, the second time on fresh pairs; what the evidence leaves open is held for a human
or, where no gain is in sight, refused; and what the evidence would promote is still held whenever
policy (mode, marks, size, assurance, sandbox) asks for a person. Nothing is ever averaged.

Where there are challenges, a gain must show in one of them: a benchmark repeats its input, so that
a cache looks like a gain there. What a benchmark alone shows is then held.
"""

from collections.abc import Sequence

import msgspec

from ouroboros.config import Config, Mode
from ouroboros.errors import Misuse
from ouroboros.governor.challenge import GUARDS
from ouroboros.governor.compare import Sequential, measured, replay, rule_for
from ouroboros.model.evaluation import (
    CHALLENGE,
    DIFFERENT_OUTPUT,
    Assurance,
    CheckStatus,
    Containment,
    Evaluation,
    EvaluationStatus,
    SandboxLevel,
    Stage,
)
from ouroboros.model.proposal import FileChange, Mark, Severity
from ouroboros.model.verdict import Comparison, Decision, Outcome, Reason, Verdict

RULE = "seq-e/2"
"""Name of this rule in verdicts. A change of the rule is a new name."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What the governor looks at, all of it from the ledger."""

    evaluation: Evaluation
    files: tuple[FileChange, ...]
    marks: tuple[Mark, ...]
    config: Config
    config_hash: str


def decide(evidence: Evidence) -> Verdict:
    """Return the verdict.

    Raises:
        Misuse: the evaluation ended in error; there is no verdict on what nobody found out.
        MeasurementError: samples that cannot be compared.
    """
    evaluation = evidence.evaluation
    if evaluation.status is EvaluationStatus.ERROR:
        raise Misuse("an evaluation that ended in error has no verdict")
    if evaluation.status is EvaluationStatus.FAILED:
        return _verdict(evidence, Decision.REJECT, _failed_checks(evaluation), ())
    stages = _replays(evidence)
    comparisons = tuple(
        comparison
        for (name, stage), sequential in stages.items()
        for comparison in sequential.comparisons(name, stage)
    )
    decision, reasons = _on_evidence(evidence, stages, comparisons)
    if decision is not Decision.ACCEPT:
        return _verdict(evidence, decision, reasons, comparisons)
    holds = _policy_holds(evidence)
    final = Decision.HOLD if holds else Decision.ACCEPT
    return _verdict(evidence, final, (*reasons, *holds), comparisons, wants_promotion=True)


def screen_verdict(marks: Sequence[Mark]) -> tuple[Reason, ...]:
    """Return the reasons for refusing a diff before it runs; empty if it may be evaluated."""
    return tuple(
        Reason(code=f"screen:{m.rule}", text=_where(m))
        for m in marks
        if m.severity is Severity.REJECT
    )


def _where(mark: Mark) -> str:
    place = f"{mark.path}:{mark.line}: " if mark.line else f"{mark.path}: " if mark.path else ""
    return f"{place}{mark.text}"


def _verdict(
    evidence: Evidence,
    decision: Decision,
    reasons: tuple[Reason, ...],
    comparisons: tuple[Comparison, ...],
    *,
    wants_promotion: bool = False,
) -> Verdict:
    return Verdict(
        decision=decision,
        reasons=reasons,
        comparisons=comparisons,
        rule=RULE,
        policy=evidence.config_hash,
        wants_promotion=wants_promotion,
        assurance=str(evidence.evaluation.assurance),
        containment=containment(evidence.evaluation.sandbox),
    )


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


def _failed_checks(evaluation: Evaluation) -> tuple[Reason, ...]:
    failed = [c for c in evaluation.checks if c.status is CheckStatus.FAILED]
    if not failed:
        return (Reason(code="failed", text=evaluation.cause),)
    return tuple(Reason(code=c.code, text=f"{c.name}: {c.text}") for c in failed)


def _replays(evidence: Evidence) -> dict[tuple[str, Stage], Sequential]:
    found: dict[tuple[str, Stage], Sequential] = {}
    specs = measured(evidence.config)
    for series in evidence.evaluation.series:
        benchmark = specs[series.benchmark]
        rule = rule_for(evidence.config.governor, benchmark, series.stage)
        found[series.benchmark, series.stage] = replay(series, rule)
    return found


def _on_evidence(
    evidence: Evidence,
    stages: dict[tuple[str, Stage], Sequential],
    comparisons: tuple[Comparison, ...],
) -> tuple[Decision, tuple[Reason, ...]]:
    """Decide by evidence alone, before policy."""
    if not stages:
        text = "Tests passed, but nothing was measured: no benchmark or challenge shows a gain."
        return Decision.HOLD, (Reason(code="nothing_measured", text=text),)
    regressed = [c for c in comparisons if c.outcome is Outcome.REGRESSED]
    if regressed:
        return Decision.REJECT, tuple(_reason("regressed", c) for c in regressed)
    confirmed = [c for c in comparisons if _is(c, Stage.CONFIRM, Outcome.IMPROVED)]
    if confirmed:
        return _with_guards(evidence, comparisons, confirmed)
    neutral = _all_neutral(evidence, comparisons)
    if neutral and evidence.config.governor.accept_neutral:
        return _with_guards(evidence, comparisons, [])
    return _without_gain(stages, comparisons)


def _is(comparison: Comparison, stage: Stage, outcome: Outcome) -> bool:
    return (
        comparison.role == "objective"
        and comparison.stage == stage
        and comparison.outcome is outcome
    )


def _all_neutral(evidence: Evidence, comparisons: tuple[Comparison, ...]) -> bool:
    proven = {
        c.benchmark
        for c in comparisons
        if c.role == "objective" and c.outcome in {Outcome.NEUTRAL, Outcome.IMPROVED}
    }
    return proven == set(measured(evidence.config))


def _with_guards(
    evidence: Evidence,
    comparisons: tuple[Comparison, ...],
    confirmed: list[Comparison],
) -> tuple[Decision, tuple[Reason, ...]]:
    """Accept only if every benchmark and every guard is proven harmless at some stage."""
    gains = tuple(_reason("improved", c) for c in confirmed)
    harmless = {
        (c.benchmark, c.metric)
        for c in comparisons
        if c.outcome in {Outcome.IMPROVED, Outcome.NEUTRAL}
    }
    wanted = {(name, m) for name in measured(evidence.config) for m in _metrics(name)}
    unproven = sorted(wanted - harmless)
    shown = not gains or _shown_on_fresh_inputs(evidence.config, confirmed)
    if not unproven and shown:
        return Decision.ACCEPT, gains or (
            Reason(code="neutral", text="Proven not to be worse than the margin."),
        )
    holds = tuple(
        Reason(
            code="guard_unproven",
            text=f"{benchmark}: {metric} could not be proven to stay within its margin.",
        )
        for benchmark, metric in unproven
    )
    if not shown:
        text = (
            "The gain shows only in benchmarks, which repeat their input, and in no challenge: "
            "it may come from a cache, or from code that no challenge calls."
        )
        holds = (*holds, Reason(code="gain_not_in_challenge", text=text))
    return Decision.HOLD, (*gains, *holds)


def _metrics(name: str) -> tuple[str, ...]:
    common = ("cpu", "wall", "memory")
    return (*common, *GUARDS) if name.startswith(CHALLENGE) else common


def _shown_on_fresh_inputs(config: Config, confirmed: list[Comparison]) -> bool:
    return not config.challenges or any(c.benchmark.startswith(CHALLENGE) for c in confirmed)


def _without_gain(
    stages: dict[tuple[str, Stage], Sequential],
    comparisons: tuple[Comparison, ...],
) -> tuple[Decision, tuple[Reason, ...]]:
    """No confirmed gain: refuse where none is in sight, hold where the pairs ran out."""
    objectives = [c for c in comparisons if c.role == "objective"]
    last = {c.benchmark: c for c in objectives}  # the confirmation, where there was one
    open_ = [
        c
        for c in last.values()
        if c.outcome is not Outcome.REGRESSED
        and not stages[c.benchmark, Stage(c.stage)].futile
        and c.outcome is Outcome.INCONCLUSIVE
    ]
    if open_:
        return Decision.HOLD, tuple(_reason("inconclusive", c) for c in open_)
    code = "not_confirmed" if any(c.stage == Stage.CONFIRM for c in objectives) else "no_gain"
    return Decision.REJECT, tuple(_reason(code, c) for c in last.values())


def _reason(code: str, c: Comparison) -> Reason:
    return Reason(code=code, text=f"{c.benchmark}: {c.metric} {numbers(c)}; {c.text}.")


def numbers(c: Comparison) -> str:
    """Return `-23.4 % (-27.1 % .. -19.8 %), 14 pairs` with open bounds shown as `?`."""

    def percent(value: float | None) -> str:
        return "?" if value is None else f"{value:+.1%}"

    spread = "" if c.lower == c.upper else f" ({percent(c.lower)} .. {percent(c.upper)})"
    return f"{percent(c.change)}{spread}, {c.pairs} pairs"


def _policy_holds(evidence: Evidence) -> tuple[Reason, ...]:
    """Return why a human must answer although the evidence says yes."""
    config, evaluation = evidence.config, evidence.evaluation
    governor = config.governor
    holds = [
        Reason(code=f"screen:{m.rule}", text=_where(m))
        for m in evidence.marks
        if m.severity is Severity.HOLD
    ]
    lines = sum(max(f.added, 0) + max(f.removed, 0) for f in evidence.files)
    if len(evidence.files) > governor.max_files or lines > governor.max_lines:
        text = f"The diff touches {len(evidence.files)} files and {lines} lines."
        holds.append(Reason(code="large_diff", text=text))
    holds += _trust_holds(config, evaluation)
    if governor.mode is Mode.OBSERVE:
        text = "Mode is observe: nothing is ever applied."
        holds.append(Reason(code="mode_observe", text=text))
    if governor.mode is Mode.SUPERVISED:
        text = "Mode is supervised: every promotion needs a human."
        holds.append(Reason(code="mode_supervised", text=text))
    return tuple(holds)


_PROVES = {
    Assurance.EXIT_CODE: "the tests report only an exit code; which tests ran is not known",
    Assurance.TESTS: "tests passed, which the candidate's own process reported",
    Assurance.CHALLENGE: "results were compared on fresh inputs",
}
_NAMED = 5
_ASSURANCES = tuple(Assurance)
_CONTAINMENTS = tuple(Containment)


def _trust_holds(config: Config, evaluation: Evaluation) -> list[Reason]:
    """Return where checks or containment are weaker than policy demands without a human."""
    holds = []
    governor, level = config.governor, evaluation.sandbox
    wanted = governor.min_assurance or (
        Assurance.CHALLENGE if config.challenges else Assurance.TESTS
    )
    if _ASSURANCES.index(evaluation.assurance) < _ASSURANCES.index(wanted):
        text = (
            f"Assurance is {evaluation.assurance} ({_PROVES[evaluation.assurance]}); "
            f"policy demands {wanted}."
        )
        holds.append(Reason(code="low_assurance", text=text))
    holds += [
        Reason(code=check.code, text=check.text)
        for check in evaluation.checks
        if check.code == DIFFERENT_OUTPUT
    ]
    if evaluation.untested:
        shown = ", ".join(evaluation.untested[:_NAMED])
        more = len(evaluation.untested) - _NAMED
        text = (
            "No test and no challenge executes what the candidate replaces, so that nothing is "
            f"known of it: {shown}" + (f" and {more} more lines." if more > 0 else ".")
        )
        holds.append(Reason(code="untested_change", text=text))
    if _rank(level.backend) < _CONTAINMENTS.index(governor.min_containment):
        text = (
            f"The candidate ran with less containment than policy demands "
            f"({governor.min_containment}): {containment(level)}."
        )
        holds.append(Reason(code="weak_sandbox", text=text))
    if level.backend == Containment.NONE:
        text = "The candidate ran without containment ([sandbox] allow_unconfined)."
        holds.append(Reason(code="no_sandbox", text=text))
    if level.network and level.backend != Containment.NONE:
        text = "The run could reach the network ([sandbox] network)."
        holds.append(Reason(code="network", text=text))
    return holds


def _rank(backend: str) -> int:
    """Return a backend's rank; one that is not known counts as none."""
    known = [str(c) for c in _CONTAINMENTS]
    return known.index(backend) if backend in known else 0
