"""Exact metrics: numbers that are the same in every run need no error rates. Pure.

Worse by more than the margin is a regression, better by `min_gain` a gain (of an objective), and
all between is neutral. Numbers that are taken apart from the pairs (instructions, sizes of files)
have no pairs to fall back to where runs of the same code disagree after all: there the worst and
the best of both sides must say the same, else nothing is concluded.
"""

import statistics
from collections.abc import Sequence

from ouroboros.config import Config
from ouroboros.errors import MeasurementError
from ouroboros.governor.specs import measured, taken_apart
from ouroboros.governor.values import checked, gain_x, margin_x, place, word, x_of
from ouroboros.model.evaluation import Exact, Stage
from ouroboros.model.metric import Direction, MetricSpec, Role, Scale, amount
from ouroboros.model.verdict import Comparison, Outcome

AGREES = 0.01
"""Runs of the same code may differ by this fraction and still count as exact."""

_PART_OF_MARGIN = 5
_ROUNDING = 1e-9
"""What exactly reaches a margin has not gone beyond it, whatever the last bit of a float says."""


def tolerance(spec: MetricSpec) -> float:
    """Return how far apart the values of one side may lie: a fraction, or in the unit."""
    return AGREES if spec.scale is Scale.RATIO else spec.margin / _PART_OF_MARGIN


def spread(spec: MetricSpec, values: Sequence[float]) -> float:
    """Return how far apart values of one side lie: a fraction of the median, or in the unit."""
    if not values:
        return 0.0
    apart = max(values) - min(values)
    return apart / statistics.median(values) if spec.scale is Scale.RATIO else apart


def change(spec: MetricSpec, base: float, candidate: float) -> float:
    """Return the change from one value to the other: relative, or in the unit."""
    return candidate / base - 1 if spec.scale is Scale.RATIO else candidate - base


def outcome(spec: MetricSpec, x: float, *, gains: bool) -> Outcome:
    """Return what one exact difference says.

    Args:
        spec: the metric.
        x: of the medians, as `values.x_of` gives it.
        gains: whether a gain counts; else it is neutral.
    """
    if x > margin_x(spec) + _ROUNDING:
        return Outcome.REGRESSED
    if gains and x <= gain_x(spec) + _ROUNDING:
        return Outcome.IMPROVED
    return Outcome.NEUTRAL


def comparisons(values: Sequence[Exact], config: Config) -> tuple[Comparison, ...]:
    """Return the comparisons of what was taken apart from the pairs.

    Raises:
        MeasurementError: a metric that is not configured or comes twice, values that are missing or
            cannot be compared.
    """
    seen: set[tuple[str, str, Stage]] = set()
    for one in values:
        key = (one.benchmark, one.metric, one.stage)
        if key in seen:
            raise MeasurementError(
                f"Expected one set of values of {one.benchmark}: {one.metric} in the stage "
                f"{one.stage}, found two."
            )
        seen.add(key)
    return tuple(_comparison(one, _spec(one, config)) for one in values)


def _spec(one: Exact, config: Config) -> MetricSpec:
    specs = taken_apart(config, one.benchmark) if one.benchmark in measured(config) else ()
    for spec in specs:
        if spec.name == one.metric:
            return spec
    raise MeasurementError(
        f"Values of {one.benchmark}: {one.metric} were taken, but the configuration has no such "
        "metric.",
        hint="The configuration changed while the candidate was evaluated; evaluate it again.",
    )


def _comparison(one: Exact, spec: MetricSpec) -> Comparison:
    sides = {"baseline": one.baseline, "candidate": one.candidate}
    for side, found in sides.items():
        if not found:
            raise MeasurementError(f"Expected {one.benchmark}: {one.metric} of the {side}.")
        for number, value in enumerate(found, 1):
            checked(spec, value, place(one.benchmark, spec.name, side, number))
    base, candidate = (statistics.median(found) for found in sides.values())
    moved = change(spec, base, candidate)
    said, text = _judged(one, spec, base, candidate)
    return Comparison(
        benchmark=one.benchmark,
        metric=spec.name,
        role=str(spec.role),
        stage=one.stage,
        outcome=_shown(spec, said),
        pairs=min(len(one.baseline), len(one.candidate)),
        change=moved,
        lower=moved,
        upper=moved,
        margin=spec.margin,
        text=text,
        unit=spec.unit,
        direction=str(spec.direction),
        scale=str(spec.scale),
        source=str(spec.source),
        noise=None,
    )


def _shown(spec: MetricSpec, said: Outcome) -> Outcome:
    """A metric that is only reported decides nothing, so that it neither gains nor loses."""
    if spec.role is not Role.REPORT or said is Outcome.NEUTRAL:
        return said
    return Outcome.INCONCLUSIVE


def _judged(one: Exact, spec: MetricSpec, base: float, candidate: float) -> tuple[Outcome, str]:
    gains = spec.role is Role.OBJECTIVE and one.stage is not Stage.ANCHOR
    where = place(one.benchmark, spec.name, "candidate", 1)
    apart = max(spread(spec, one.baseline), spread(spec, one.candidate))
    if apart <= tolerance(spec):
        x = x_of(spec, base, candidate, where)
        return outcome(spec, x, gains=gains), f"median of {word(spec)}"
    best, worst = _extremes(one, spec)
    answers = {outcome(spec, x_of(spec, b, c, where), gains=gains) for b, c in (best, worst)}
    text = (
        f"{word(spec)} differs by {amount(spec.scale, spec.unit, apart, signed=False)} between "
        "runs of the same code, so that its best and worst values must say the same"
    )
    if len(answers) == 1:
        return answers.pop(), text
    if Outcome.REGRESSED not in answers:
        return Outcome.NEUTRAL, text
    return Outcome.INCONCLUSIVE, text


def _extremes(one: Exact, spec: MetricSpec) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return baseline and candidate at their best and at their worst for the candidate."""
    first = (max(one.baseline), min(one.candidate))
    second = (min(one.baseline), max(one.candidate))
    return (second, first) if spec.direction is Direction.HIGHER else (first, second)
