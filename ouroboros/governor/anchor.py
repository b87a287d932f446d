"""The anchor: the version that bounds what small losses may add up to, and when it moves.

It moves in three ways only. A human puts it somewhere. The engine moves it on, to a version that
was *proven* to be better by `[governor.budget] anchor_gain` with everything else proven harmless.
And it moves back where its version was rolled back: to the last earlier anchor that still stands,
not to what was rolled back to, since losses between the two would then be forgotten.

Nothing here remembers what was done: each answer follows from the state alone, so that an engine
that died between a measurement and the move it proves does the move when it starts again.
"""

from collections.abc import Collection, Sequence

from ouroboros.config import Budget, Config
from ouroboros.governor import exact
from ouroboros.governor.compare import replay, rule_for
from ouroboros.governor.evidence import numbers
from ouroboros.model import events as ev
from ouroboros.model.evaluation import Evaluation, Purpose
from ouroboros.model.metric import Direction, Scale
from ouroboros.model.state import Anchor, Standing, State, Version
from ouroboros.model.verdict import Comparison, Outcome

_HARMLESS = frozenset({Outcome.IMPROVED, Outcome.NEUTRAL})


def stands(state: State, version: Version) -> bool:
    """Whether nothing of a version was undone since (a rollback below it undoes it)."""
    if not version.active:
        return False
    later = (v for v in state.versions if v.number > version.number and v.restores >= 0)
    return version.number == 0 or all(v.restores >= version.number for v in later)


def fallen(state: State) -> ev.AnchorMoved | None:
    """Return the move back that is owed because the anchor's version was rolled back."""
    anchor = state.anchor
    if anchor is None or _anchored(state, anchor):
        return None
    back = next((a for a in reversed(state.anchors) if _anchored(state, a)), None)
    first = state.versions[0]
    number, commit = (back.version, back.commit) if back else (first.number, first.commit)
    reason = (
        f"Version {anchor.version} was rolled back, so that the anchor returns to version "
        f"{number}, the last one before it that still stands."
    )
    return ev.AnchorMoved(commit=commit, version=number, reason=reason)


def _anchored(state: State, anchor: Anchor) -> bool:
    return any(
        v.number == anchor.version and v.commit == anchor.commit and stands(state, v)
        for v in state.versions
    )


def proven_move(state: State, budget: Budget, measured: Collection[str]) -> ev.AnchorMoved | None:
    """Return the move that the newest measurement proves and that was not made yet.

    A measurement that is older than the anchor proves nothing: a human who moved the anchor back
    is not overruled by numbers that he could see.

    Args:
        state: with the newest measurement, `standing`.
        budget: in force now.
        measured: names of all benchmarks and challenges; one that is missing is unproven.
    """
    standing, anchor = state.standing, state.anchor
    if standing is None or anchor is None or not _current(standing, anchor):
        return None
    version = next((v for v in state.versions if v.number == standing.version), None)
    if version is None or version.commit != standing.commit or not stands(state, version):
        return None
    proof = proven_gain(standing.comparisons, budget.anchor_gain, measured)
    if not proof:
        return None
    return ev.AnchorMoved(commit=version.commit, version=version.number, reason=proof)


def _current(standing: Standing, anchor: Anchor) -> bool:
    return standing.anchor == anchor.commit and standing.ts > anchor.ts


def proven_gain(comparisons: Sequence[Comparison], gain: float, measured: Collection[str]) -> str:
    """Return the proof that a version is better by `gain` and worse in nothing; empty if it is not.

    `gain` is a fraction, so that metrics that are compared by difference prove none.
    """
    judged = [c for c in comparisons if c.role != "report"]
    missing = set(measured) - {c.benchmark for c in judged}
    if missing or any(c.outcome not in _HARMLESS for c in judged):
        return ""
    best = next((c for c in judged if c.role == "objective" and _gains(c, gain)), None)
    if best is None:
        return ""
    return (
        f"{best.benchmark}: {best.metric} {numbers(best)} against the anchor: proven better by "
        f"{gain:.0%}, and all else proven harmless."
    )


def _gains(c: Comparison, gain: float) -> bool:
    if c.scale != Scale.RATIO:
        return False
    if c.direction == Direction.HIGHER:
        return c.lower is not None and c.lower >= gain
    return c.upper is not None and c.upper <= -gain


def compared(evaluation: Evaluation, config: Config, purpose: Purpose) -> tuple[Comparison, ...]:
    """Return what a measurement says whose purpose is no verdict: against an anchor, or a watch.

    Raises:
        MeasurementError: samples that cannot be compared.
    """
    paired = tuple(
        comparison
        for series in evaluation.series
        for comparison in replay(
            series, rule_for(config, series.benchmark, series.stage, purpose=purpose)
        ).comparisons(series.benchmark, series.stage)
    )
    return (*paired, *exact.comparisons(evaluation.exact, config))


def due_ns(state: State, budget: Budget) -> int | None:
    """Return when head is to be measured against the anchor (UTC ns, 0: now); None: not foreseen.

    Counted are promotions that still stand, since the newest measurement against this anchor.
    """
    anchor, head = state.anchor, state.versions[-1] if state.versions else None
    if anchor is None or head is None or head.number <= anchor.version:
        return None
    if not any(v.candidate and v.active and v.number > anchor.version for v in state.versions):
        return None  # all was rolled back: head is the anchor again
    last = state.standing
    known, since = anchor.version, anchor.ts
    if last is not None and _current(last, anchor):
        known, since = last.version, last.ts
    if head.number <= known:
        return None
    promoted = sum(bool(v.candidate) and v.active for v in state.versions if v.number > known)
    return 0 if promoted >= budget.anchor_every else since + budget.anchor_interval
