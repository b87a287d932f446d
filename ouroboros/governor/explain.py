"""A verdict in words that an operator reads in seconds. Pure.

The headline is the answer. Below it each reason with its numbers, and what would have changed it.
Then, in sections, everything that it rests on. Only what was confirmed is called a gain.
"""

from collections.abc import Iterator

from ouroboros.config import Config
from ouroboros.governor.advice import advice
from ouroboros.governor.evidence import numbers
from ouroboros.governor.policy import containment
from ouroboros.model.evaluation import CheckStatus, Series, Stage
from ouroboros.model.metric import amount
from ouroboros.model.oversight import GovernorStatus
from ouroboros.model.phase import Phase
from ouroboros.model.snapshot import Explanation, Passage
from ouroboros.model.state import Candidate, Standing, confirmed_change
from ouroboros.model.text import safe_line
from ouroboros.model.verdict import Comparison, Outcome, confirmed

_PHASES = {
    Phase.HELD: "is held: people are to answer",
    Phase.REJECTED: "was rejected",
    Phase.ERRORED: "could not be judged: a fault of the harness, not of the candidate",
    Phase.CANCELLED: "was cancelled",
    Phase.ACCEPTED: "is accepted and about to be promoted",
    Phase.PROMOTING: "is being promoted",
    Phase.PROMOTED: "was promoted and is being watched",
    Phase.KEPT: "was promoted and kept",
    Phase.ROLLING_BACK: "is being rolled back",
    Phase.ROLLED_BACK: "was promoted and rolled back",
}
_REJECTED = {
    "regressed": "was rejected: it is proven worse",
    "anchor_exceeded": "was rejected: it is proven worse than the anchor allows",
    "no_gain": "was rejected: no gain is in sight",
    "not_confirmed": "was rejected: fresh pairs did not confirm a gain",
    "denied": "was rejected by a human",
    "expired": "was rejected: nobody answered in time",
    "conflict": "was rejected: it does not fit on the branch any more",
    "does_not_apply": "was rejected: the diff does not apply",
}
_IN_DOUBT = frozenset({"inconclusive", "guard_unproven", "anchor_unproven", "nothing_measured"})


def explain(c: Candidate, *, config: Config, status: GovernorStatus, needed: int) -> Explanation:
    """Return headline, reasons, and what they rest on.

    Args:
        c: the candidate.
        config: the policy under which it is judged.
        status: of the governor, now.
        needed: of how many people the yes is needed.
    """
    answer = _answer(c, status, needed)
    headline = f"{c.id} ({safe_line(c.title, limit=80)}) {answer}"
    passages = (
        Passage(title="checks", lines=tuple(_checks(c))),
        Passage(title="measured", lines=tuple(_measured(c))),
        Passage(title="limits", lines=tuple(_limits(c, config))),
        Passage(title="budgets", lines=tuple(_budgets(c, config, status, needed))),
        Passage(title="continued evidence", lines=tuple(_continued(c))),
    )
    return Explanation(
        candidate=c.id,
        headline=headline,
        lines=tuple(_reasons(c, config)),
        passages=tuple(p for p in passages if p.lines),
    )


def _answer(c: Candidate, status: GovernorStatus, needed: int) -> str:
    match c.phase:
        case Phase.HELD:
            return _held(c, needed)
        case Phase.REJECTED:
            return _rejected(c)
        case Phase.ACCEPTED if status.frozen_until:
            return f"is accepted and waits for the end of the freeze, {status.frozen_until}"
        case Phase.PROMOTED | Phase.KEPT:
            return f"{_PHASES[c.phase]}{_gain(c)}"
        case phase:
            return _PHASES.get(phase, f"is on its way: {phase.value}")


def _held(c: Candidate, needed: int) -> str:
    yes = f"; {len(c.approvals)} of {needed} approvals" if needed > 1 else ""
    codes = {r.code for r in c.reasons}
    if "promotion_blocked" in codes:
        return f"is held: it was accepted, and could not be promoted{yes}"
    if c.verdict is not None and c.verdict.wants_promotion:
        return f"is held: the evidence says yes{_gain(c)}, policy wants people{yes}"
    if codes & _IN_DOUBT:
        return f"is held: the evidence does not suffice{yes}"
    return f"{_PHASES[Phase.HELD]}{yes}"


def _rejected(c: Candidate) -> str:
    first = c.reasons[0] if c.reasons else None
    if c.verdict is not None and first not in c.verdict.reasons and first is not None:
        return _REJECTED.get(first.code, _PHASES[Phase.REJECTED])  # a human, or time
    codes = [r.code for r in (c.verdict.reasons if c.verdict else c.reasons)]
    for code in codes:
        if code in _REJECTED:
            return _REJECTED[code]
        if code.startswith("screen:"):
            return "was refused by the screen before it ran"
    checks = c.evaluation.checks if c.evaluation else ()
    failed = next((k.name for k in checks if k.status is CheckStatus.FAILED), "")
    return f"was rejected: {safe_line(failed, limit=60)} failed" if failed else _PHASES[c.phase]


def _gain(c: Candidate) -> str:
    """Return the confirmed gain: the largest fraction, else the first in its own unit."""
    every = c.verdict.comparisons if c.verdict else ()
    gains = [k for k in every if confirmed(k) and k.outcome is Outcome.IMPROVED]
    if not gains:
        return ""
    change = confirmed_change(c.verdict)
    best = next((k for k in gains if k.change == change), gains[0])
    if best.change is None:
        return ""
    return f" (confirmed {amount(best.scale, best.unit, best.change)})"


def _reasons(c: Candidate, config: Config) -> Iterator[str]:
    reasons = c.reasons or (c.verdict.reasons if c.verdict else ())
    for reason in reasons:
        yield f"{safe_line(reason.code, limit=60)}: {safe_line(reason.text, limit=400)}"
        for text in advice(reason, c, config):
            yield f"  would change it: {safe_line(text, limit=400)}"


def _checks(c: Candidate) -> Iterator[str]:
    for mark in c.marks:
        place = f" {safe_line(mark.path, limit=120)}:{mark.line}" if mark.path else ""
        yield f"screen {mark.rule} ({mark.severity}){place}: {safe_line(mark.text)}"
    if c.evaluation is None:
        return
    for check in c.evaluation.checks:
        text = f" {safe_line(check.text, limit=300)}" if check.text else ""
        yield f"{safe_line(check.name, limit=60)}: {check.status} ({check.code}){text}"
    yield f"assurance {c.evaluation.assurance}; sandbox {containment(c.evaluation.sandbox)}"


_STAGES = {
    Stage.SCREEN: "screen ",
    Stage.CONFIRM: "confirm",
    Stage.ANCHOR: "anchor ",
}


def _measured(c: Candidate) -> Iterator[str]:
    for k in c.verdict.comparisons if c.verdict else ():
        stage = _STAGES.get(Stage(k.stage), k.stage)
        name = f"{safe_line(k.benchmark, limit=60)} {safe_line(k.metric, limit=60)}"
        margin = amount(k.scale, k.unit, k.margin, signed=False)
        yield (f"{stage} {name} ({k.role}): {k.outcome}, {numbers(k)}, margin {margin}{_remark(k)}")


def _remark(k: Comparison) -> str:
    if k.source == "reported":
        return "; the run said so itself"
    screened = k.stage == Stage.SCREEN and k.role == "objective" and not confirmed(k)
    if screened and k.outcome is Outcome.IMPROVED:
        return "; an estimate of the screening flatters, and is no gain yet"
    return ""


def _limits(c: Candidate, config: Config) -> Iterator[str]:
    governor = config.governor
    if c.verdict is not None:
        yield f"rule {c.verdict.rule} under policy {c.verdict.policy[:12]} (of its proposal)"
    elif c.policy:
        yield f"policy {c.policy[:12]} (of its proposal)"
    yield (
        f"mode {governor.mode}; worse than the margin at {governor.alpha_reject:g}, within it at "
        f"{governor.alpha_accept:g}, {governor.min_pairs} to {governor.max_pairs} pairs a stage"
    )
    if c.context is not None:
        context = c.context
        yield (
            f"improved at level {context.alpha_improve:.3g} ({governor.budget.fdr}): test "
            f"{context.test} of this target, {context.discoveries} discoveries before it"
        )
        for name in context.too_noisy:
            yield f"{safe_line(name, limit=60)} was not measured: this machine is too noisy for it"


def _budgets(c: Candidate, config: Config, status: GovernorStatus, needed: int) -> Iterator[str]:
    limits = config.governor.limits
    mine = status.promotions_of.get(c.proposer, 0)
    yield (
        f"promotions without a human in 24 h: {status.promotions} of {limits.promotions_per_day}; "
        f"of {safe_line(c.proposer, limit=40)}: {mine} of {limits.promotions_per_proposer}"
    )
    given = f" ({', '.join(safe_line(a, limit=60) for a in c.approvals)})" if c.approvals else ""
    if c.approvals or c.phase is Phase.HELD:
        yield f"approvals: {len(c.approvals)} of {needed}{given}"
    yield from _anchor(c, status)
    if status.frozen_until:
        yield f"nothing is promoted until {status.frozen_until}"
    circuit = status.circuit
    yield (
        f"until the engine stops itself: {circuit.errors} of {circuit.max_errors} errors, "
        f"{circuit.rollbacks} of {circuit.max_rollbacks} rollbacks in a row"
    )


def _anchor(c: Candidate, status: GovernorStatus) -> Iterator[str]:
    if status.anchor is None:
        return
    anchor = status.anchor
    was = c.context.anchor if c.context else ""
    asked = f"; compared with the anchor {was[:12]}" if was else ""
    yield f"anchor: version {anchor.version} at {anchor.commit[:12]}{asked}"
    standing = status.standing
    if standing is None or standing.anchor != anchor.commit:
        yield "head against the anchor: not measured yet"
        return
    yield from _total(standing, status.head)


def _total(standing: Standing, head: str) -> Iterator[str]:
    old = "" if standing.commit == head else "; promoted since"
    for k in standing.comparisons:
        if k.role == "objective":
            name = f"{safe_line(k.benchmark, limit=60)} {safe_line(k.metric, limit=60)}"
            yield f"version {standing.version} against the anchor: {name} {numbers(k)}{old}"


def _continued(c: Candidate) -> Iterator[str]:
    series: tuple[Series, ...] = c.evaluation.series if c.evaluation else ()
    if c.context is not None and c.context.continues:
        yield f"goes on with the evidence of {safe_line(c.context.continues, limit=40)}"
    for one in series:
        if one.inherited:
            name = safe_line(one.benchmark, limit=60)
            yield f"{name} {one.stage}: {one.inherited} of {len(one.pairs)} pairs are from before"
