"""The governor's answer: evaluation + marks + policy -> verdict. Pure, recomputable.

The rule in one breath: a failed check or a proven regression is a no; a gain counts only when it
was proven twice, the second time on fresh pairs; what the evidence leaves open is held for a human
or, where no gain is in sight, refused; and what the evidence would promote is still held whenever
policy (mode, marks, size, assurance, sandbox) asks for a person. Nothing is ever averaged.
"""

from collections.abc import Sequence

import msgspec

from ouroboros.config import Config, Mode
from ouroboros.errors import Misuse
from ouroboros.governor.compare import Sequential, replay, rule_for
from ouroboros.model.evaluation import (
    Assurance,
    CheckStatus,
    Evaluation,
    EvaluationStatus,
    Stage,
)
from ouroboros.model.proposal import FileChange, Mark, Severity
from ouroboros.model.verdict import Comparison, Decision, Outcome, Reason, Verdict

RULE = "seq-e/1"
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
    )


def _failed_checks(evaluation: Evaluation) -> tuple[Reason, ...]:
    failed = [c for c in evaluation.checks if c.status is CheckStatus.FAILED]
    if not failed:
        return (Reason(code="failed", text=evaluation.cause),)
    return tuple(Reason(code=c.code, text=f"{c.name}: {c.text}") for c in failed)


def _replays(evidence: Evidence) -> dict[tuple[str, Stage], Sequential]:
    found: dict[tuple[str, Stage], Sequential] = {}
    for series in evidence.evaluation.series:
        benchmark = evidence.config.benchmarks[series.benchmark]
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
        text = "Tests passed, but no benchmark is configured: nothing shows a gain."
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
    return proven == set(evidence.config.benchmarks)


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
    wanted = {(b, m) for b in evidence.config.benchmarks for m in ("cpu", "wall", "memory")}
    unproven = sorted(wanted - harmless)
    if not unproven:
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
    return Decision.HOLD, (*gains, *holds)


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
    if evaluation.assurance is Assurance.EXIT_CODE:
        text = "The tests report only an exit code; which tests ran is not known."
        holds.append(Reason(code="low_assurance", text=text))
    if evaluation.sandbox.backend == "none":
        text = "The candidate ran without containment ([sandbox] allow_unconfined)."
        holds.append(Reason(code="weak_sandbox", text=text))
    if governor.mode is Mode.OBSERVE:
        text = "Mode is observe: nothing is ever applied."
        holds.append(Reason(code="mode_observe", text=text))
    if governor.mode is Mode.SUPERVISED:
        text = "Mode is supervised: every promotion needs a human."
        holds.append(Reason(code="mode_supervised", text=text))
    return tuple(holds)
