"""The governor's answer: evaluation + context + marks + policy -> verdict. Pure, recomputable.

The rule in one breath: a failed check or a proven regression is a no, be it against the baseline or
against the anchor; a gain counts only when it was proven twice, the second time on fresh pairs, or
shown by exact numbers; what the evidence leaves open is held for a human or, where no gain is in
sight, refused; and what the evidence would promote is still held whenever policy (mode, marks,
size, assurance, sandbox, autonomy, limits) asks for a person. Nothing is ever averaged.

Where there are challenges, a gain must show in one of them: a benchmark repeats its input, so that
a cache looks like a gain there. What a benchmark alone shows is then held. So is a gain that shows
only in numbers that the candidate's own run has printed.
"""

from collections.abc import Iterator, Sequence

from ouroboros.config import Config
from ouroboros.errors import Misuse
from ouroboros.governor.challenge import GUARDS
from ouroboros.governor.evidence import (
    HARMLESS,
    Evidence,
    Findings,
    findings,
    numbers,
    reason,
)
from ouroboros.governor.noise import too_noisy
from ouroboros.governor.policy import containment, policy_holds, where
from ouroboros.governor.specs import measured, specs_of
from ouroboros.model.evaluation import (
    CHALLENGE,
    CheckStatus,
    Evaluation,
    EvaluationStatus,
    Stage,
)
from ouroboros.model.metric import Role, Source
from ouroboros.model.proposal import Mark, Severity
from ouroboros.model.verdict import Comparison, Decision, Outcome, Reason, Verdict

__all__ = ["RULE", "Evidence", "containment", "decide", "numbers", "screen_verdict"]

RULE = "seq-e/3"
"""Name of this rule in verdicts. A change of the rule is a new name."""

Answer = tuple[Decision, tuple[Reason, ...]]


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
    found = findings(evidence)
    decision, reasons = _on_evidence(evidence, found)
    if decision is not Decision.ACCEPT:
        return _verdict(evidence, decision, reasons, found.all)
    holds = policy_holds(evidence)
    final = Decision.HOLD if holds else Decision.ACCEPT
    return _verdict(evidence, final, (*reasons, *holds), found.all, wants_promotion=True)


def screen_verdict(marks: Sequence[Mark]) -> tuple[Reason, ...]:
    """Return the reasons for refusing a diff before it runs; empty if it may be evaluated."""
    return tuple(
        Reason(code=f"screen:{m.rule}", text=where(m))
        for m in marks
        if m.severity is Severity.REJECT
    )


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
        moment=evidence.moment,
    )


def _failed_checks(evaluation: Evaluation) -> tuple[Reason, ...]:
    failed = [c for c in evaluation.checks if c.status is CheckStatus.FAILED]
    if not failed:
        return (Reason(code="failed", text=evaluation.cause),)
    return tuple(Reason(code=c.code, text=f"{c.name}: {c.text}") for c in failed)


def _on_evidence(evidence: Evidence, found: Findings) -> Answer:
    """Decide by evidence alone, before policy."""
    noisy = tuple(_too_noisy(evidence))
    if not found.all:
        text = "Tests passed, but nothing was measured: no benchmark or challenge shows a gain."
        return Decision.HOLD, noisy or (Reason(code="nothing_measured", text=text),)
    worse = tuple(_worse("regressed", found.own))
    worse += tuple(_worse("anchor_exceeded", found.with_anchor))
    if worse:
        return Decision.REJECT, worse
    neutral = evidence.config.governor.accept_neutral and _all_neutral(evidence, found)
    if found.confirmed or neutral:
        gains = tuple(reason("improved", c) for c in found.confirmed)
        holds = (*_unproven(evidence, found), *noisy)
        harmless = Reason(code="neutral", text="Proven not to be worse than the margin.")
        return (
            (Decision.HOLD, (*gains, *holds))
            if holds
            else (
                Decision.ACCEPT,
                gains or (harmless,),
            )
        )
    decision, reasons = _without_gain(found)
    return (decision, reasons) if decision is Decision.REJECT else (decision, (*reasons, *noisy))


def _worse(code: str, comparisons: Sequence[Comparison]) -> Iterator[Reason]:
    return (reason(code, c) for c in comparisons if c.outcome is Outcome.REGRESSED)


def _too_noisy(evidence: Evidence) -> Iterator[Reason]:
    """Say of everything that was not measured why not, and what it would have taken."""
    context = evidence.context
    said = too_noisy(evidence.config, context.noise, evidence.evaluation.machine) if context else ()
    for name in evidence.too_noisy:
        own = [s for s in said if s.benchmark == name and s.skipped]
        for one in own:
            yield Reason(code="too_noisy", text=one.text)
        if not own:
            text = f"{name} was not measured: this machine is too noisy for its margins."
            yield Reason(code="too_noisy", text=text)


def _wanted(evidence: Evidence, *roles: Role) -> set[tuple[str, str]]:
    """Return all metrics that must be proven harmless; what was not measured is said apart."""
    config = evidence.config
    names = [name for name in measured(config) if name not in evidence.too_noisy]
    found = {(name, s.name) for name in names for s in specs_of(config, name) if s.role in roles}
    if Role.GUARD in roles:
        found |= {(n, guard) for n in names if n.startswith(CHALLENGE) for guard in GUARDS}
    return found


def _proven(comparisons: Sequence[Comparison]) -> set[tuple[str, str]]:
    return {(c.benchmark, c.metric) for c in comparisons if c.outcome in HARMLESS}


def _all_neutral(evidence: Evidence, found: Findings) -> bool:
    return _wanted(evidence, Role.OBJECTIVE) <= _proven(found.own)


def _unproven(evidence: Evidence, found: Findings) -> Iterator[Reason]:
    """Return what stands between a gain and its acceptance: anything that is not proven."""
    wanted = _wanted(evidence, Role.OBJECTIVE, Role.GUARD)
    for benchmark, metric in sorted(wanted - _proven(found.own)):
        text = f"{benchmark}: {metric} could not be proven to stay within its margin."
        yield Reason(code="guard_unproven", text=text)
    if found.confirmed and not _shown_on_fresh_inputs(evidence.config, found.confirmed):
        text = (
            "The gain shows only in benchmarks, which repeat their input, and in no challenge: "
            "it may come from a cache, or from code that no challenge calls."
        )
        yield Reason(code="gain_not_in_challenge", text=text)
    if found.confirmed and all(c.source == Source.REPORTED for c in found.confirmed):
        names = ", ".join(sorted({f"{c.benchmark}: {c.metric}" for c in found.confirmed}))
        text = (
            f"The gain shows only in numbers that the candidate's own run prints ({names}), and "
            "it can print what it likes; an evaluator would judge its output apart."
        )
        yield Reason(code="gain_only_reported", text=text)
    yield from _unproven_with_anchor(evidence, found, wanted)


def _shown_on_fresh_inputs(config: Config, confirmed: Sequence[Comparison]) -> bool:
    return not config.challenges or any(c.benchmark.startswith(CHALLENGE) for c in confirmed)


def _unproven_with_anchor(
    evidence: Evidence, found: Findings, wanted: set[tuple[str, str]]
) -> Iterator[Reason]:
    evaluation, anchor = evidence.evaluation, evidence.anchor
    if not anchor:
        return
    text = ""
    if evaluation.anchor_cause:
        text = f"The anchor {anchor[:12]} could not be measured: {evaluation.anchor_cause}"
    elif evaluation.anchor_commit != anchor:
        was = evaluation.anchor_commit[:12] or "nothing"
        text = f"Expected a comparison with the anchor {anchor[:12]}, found one with {was}."
    else:
        missing = sorted(wanted - _proven(found.with_anchor))
        if missing:
            names = ", ".join(f"{benchmark}: {metric}" for benchmark, metric in missing)
            text = (
                f"Not proven to be within the margins of the anchor {anchor[:12]}, so that small "
                f"losses could add up: {names}."
            )
    if text:
        yield Reason(code="anchor_unproven", text=text)


def _without_gain(found: Findings) -> Answer:
    """No confirmed gain: refuse where none is in sight, hold where the pairs ran out."""
    objectives = [c for c in found.own if c.role == Role.OBJECTIVE]
    confirming = any(c.stage == Stage.CONFIRM for c in objectives)
    last = {(c.benchmark, c.metric): c for c in objectives}  # the confirmation, where there was one
    open_ = [c for c in last.values() if _open(found, c, confirming=confirming)]
    if open_:
        return Decision.HOLD, tuple(reason("inconclusive", c) for c in open_)
    code = "not_confirmed" if confirming else "no_gain"
    return Decision.REJECT, tuple(reason(code, c) for c in last.values())


def _open(found: Findings, c: Comparison, *, confirming: bool) -> bool:
    """Whether more evidence could still show a gain.

    A gain at screening without any confirmation is one that nobody has looked at again.
    """
    if c.outcome is Outcome.IMPROVED:
        return not confirming
    given_up = (c.benchmark, c.metric, c.stage) in found.given_up
    return c.outcome is Outcome.INCONCLUSIVE and not given_up
