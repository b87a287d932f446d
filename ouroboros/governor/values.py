"""From samples to numbers that can be compared, or an error that says which is none. Pure.

Every metric, whatever its unit, direction and scale, becomes one number a pair: `x`, positive where
the candidate is worse. For `Scale.RATIO` it is the log-ratio. For `Scale.DIFFERENCE` it is the
difference, stretched so that the metric's margin lies where a margin of 5 % lies on the log scale:
the scales of the e-value's mixture were chosen for noise and effects of that size.
"""

import math
from collections.abc import Sequence

from ouroboros.errors import MeasurementError
from ouroboros.model.evaluation import CHALLENGE, Pair, Sample
from ouroboros.model.metric import CPU, MEMORY, WALL, Direction, MetricSpec, Scale

REFERENCE = math.log1p(0.05)
"""Where the margin of a metric on the scale of differences lies among the `x`."""

_FARTHEST = math.log(1e18)
_FARTHEST_DIFFERENCE = 1e12
"""Beyond these, in log-ratios and in units of `REFERENCE`, two numbers do not measure one thing."""

_FROM_CHALLENGE = ("total_cpu_ns", "start_cpu_ns", "first_cpu_ns", "idle_cpu_ns")


class Place(str):
    """Whose number it is, in words: `benchmark b, metric cpu of the candidate, pair 3`."""

    __slots__ = ()


def place(benchmark: str, metric: str, side: str, number: int) -> Place:
    """Name one number.

    Args:
        benchmark: as the series is named.
        metric: its name.
        side: `baseline` or `candidate`.
        number: of the pair or run, from 1.
    """
    return Place(f"{benchmark}: {metric} of the {side} in pair {number}")


def checked(spec: MetricSpec, value: object, where: Place) -> float:
    """Return the value if it can be compared.

    Raises:
        MeasurementError: missing, not a number, not finite; for `Scale.RATIO` also not positive.
    """
    if value is None:
        raise MeasurementError(f"Expected {where}, found nothing.")
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MeasurementError(f"Expected a number as {where}, got {value!r}.")
    if not math.isfinite(value):
        raise MeasurementError(f"Expected a finite number as {where}, got {value!r}.")
    if spec.scale is Scale.RATIO and value <= 0:
        raise MeasurementError(
            f"Expected a positive number as {where}, got {value!r}.",
            hint='Scores that may be zero or negative need scale = "difference".',
        )
    return value


def values_of(
    benchmark: str, metrics: Sequence[MetricSpec], pair: Pair, number: int
) -> list[tuple[float, float]]:
    """Return baseline and candidate of each metric.

    Raises:
        MeasurementError: a value that cannot be compared; names benchmark, metric, side, pair.
    """
    sides = (("baseline", pair.baseline), ("candidate", pair.candidate))
    if benchmark.startswith(CHALLENGE):
        for side, sample in sides:
            _check_challenge(benchmark, side, sample, number)
    found = []
    for spec in metrics:
        base, candidate = (
            checked(spec, _taken(spec, sample), place(benchmark, spec.name, side, number))
            for side, sample in sides
        )
        found.append((base, candidate))
    return found


def _taken(spec: MetricSpec, sample: Sample) -> object:
    match spec.name:
        case "cpu":
            return sample.cpu_ns
        case "wall":
            return sample.wall_ns
        case "memory":
            return sample.rss_bytes
        case name:
            return sample.reported.get(name)


def _check_challenge(benchmark: str, side: str, sample: Sample, number: int) -> None:
    for name in _FROM_CHALLENGE:
        value = getattr(sample, name)
        if value < 0:
            where = place(benchmark, name, side, number)
            raise MeasurementError(f"Expected no negative time as {where}, got {value}.")


def x_of(spec: MetricSpec, base: float, candidate: float, where: Place) -> float:
    """Return the pair's `x`: above 0 where the candidate is worse.

    Raises:
        MeasurementError: the two are too far apart to measure one thing.
    """
    if spec.scale is Scale.RATIO:
        ratio = candidate / base
        sound = 0 < ratio < math.inf
        x = math.log(ratio) if sound else math.log(candidate) - math.log(base)
        farthest = _FARTHEST
    else:
        x = (candidate - base) / spec.margin * REFERENCE
        farthest = _FARTHEST_DIFFERENCE
    if not abs(x) <= farthest:
        raise MeasurementError(
            f"Expected values that can be compared, got {base!r} and {candidate!r} as baseline "
            f"and {where}."
        )
    return -x if spec.direction is Direction.HIGHER else x


def margin_x(spec: MetricSpec) -> float:
    """Return the margin as an `x`."""
    return math.log1p(spec.margin) if spec.scale is Scale.RATIO else REFERENCE


def gain_x(spec: MetricSpec) -> float:
    """Return the smallest gain worth having as an `x`, which is negative."""
    if spec.scale is Scale.RATIO:
        return math.log1p(-spec.min_gain)
    return -spec.min_gain / spec.margin * REFERENCE


def change_of(spec: MetricSpec, x: float | None) -> float | None:
    """Return an `x` as people read it: a relative change, or a difference in the unit."""
    if x is None:
        return None
    raw = -x if spec.direction is Direction.HIGHER else x
    return math.expm1(raw) if spec.scale is Scale.RATIO else raw * spec.margin / REFERENCE


def interval_of(
    spec: MetricSpec, lower: float | None, upper: float | None
) -> tuple[float | None, float | None]:
    """Return bounds of `x` as bounds of the change, the smaller number first."""
    low, high = change_of(spec, lower), change_of(spec, upper)
    return (high, low) if spec.direction is Direction.HIGHER else (low, high)


_WORDS = {CPU: "cpu time", WALL: "wall time", MEMORY: "peak resident memory"}


def word(spec: MetricSpec) -> str:
    """Return the metric's name as it stands in a sentence."""
    return _WORDS.get(spec.name, spec.name)
