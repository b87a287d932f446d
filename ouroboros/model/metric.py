"""What is measured: the words in which a metric is described, and what a machine's noise is."""

import math
from enum import StrEnum

import msgspec


class Role(StrEnum):
    """What a metric is for.

    A candidate needs a proven gain in an objective; guards may not get worse by more than their
    margin; what is only reported decides nothing.
    """

    OBJECTIVE = "objective"
    GUARD = "guard"
    REPORT = "report"


class Kind(StrEnum):
    """How a metric is judged: by pairs and error rates, or by comparing exact numbers."""

    PAIRED = "paired"
    EXACT = "exact"


class Direction(StrEnum):
    """Which way is better."""

    LOWER = "lower"
    HIGHER = "higher"


class Scale(StrEnum):
    """How two values are compared.

    By ratio (positive values; margins are fractions), or by difference (any finite value; margins
    are in the metric's own unit).
    """

    RATIO = "ratio"
    DIFFERENCE = "difference"


class Source(StrEnum):
    """Who said the number, least trusted first.

    `reported`: the run itself, so that a candidate can print what it likes; `judged`: the
    benchmark's evaluator, in a run of its own without any code of the candidate; `harness`: we
    measured from outside.
    """

    REPORTED = "reported"
    JUDGED = "judged"
    HARNESS = "harness"


class Pairing(StrEnum):
    """How the two runs of a pair are taken: one after the other, or both at once."""

    SEQUENTIAL = "sequential"
    DUET = "duet"


CPU, WALL, MEMORY, INSTRUCTIONS = "cpu", "wall", "memory", "instructions"
BUILT_IN = (CPU, WALL, MEMORY, INSTRUCTIONS)
"""Metrics that the harness takes by itself: CPU and wall time (ns), peak resident memory (bytes),
instructions (by callgrind, only where a benchmark asks for them)."""


SCALES = (1 / 0.02, 1 / 0.06, 1 / 0.2, 1 / 0.6)
"""The lambdas of the e-value's mixture; see `ouroboros.governor.eprocess`."""


def amount(scale: str, unit: str, value: float, *, signed: bool = True) -> str:
    """Return a change or a margin as people read it: `+4.0%`, or `+0.25 points`.

    Args:
        scale: a `Scale`, as comparisons hold it.
        unit: of the metric, used for differences.
        value: a fraction, or a difference in the unit.
        signed: whether a gain is told from a loss; margins are not signed.
    """
    if scale == Scale.RATIO:
        return f"{value:+.1%}" if signed else f"{value * 100:.4g}%"
    return f"{value:{'+' if signed else ''}.4g} {unit}".rstrip()


class MetricSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one benchmark with everything decided: no defaults are left open.

    `margin` is how much worse it may be, `min_gain` the smallest gain worth having: fractions for
    `Scale.RATIO` (0.05 = 5 %), in `unit` for `Scale.DIFFERENCE`.
    """

    name: str
    unit: str
    direction: Direction
    kind: Kind
    role: Role
    scale: Scale
    source: Source
    margin: float
    min_gain: float


class Noise(msgspec.Struct, frozen=True, kw_only=True):
    """How much a metric of a benchmark differs between two runs of the same code on a machine.

    `sd` is 1.4826 times the median absolute deviation of the pairs' log-ratios (for
    `Scale.DIFFERENCE`: of the differences in units of the margin, see `governor.compare`);
    `pairs` is how many pairs it was taken from; `table` identifies the benchmark's own table of the
    configuration, so that a changed benchmark is calibrated anew (empty: not known).
    """

    benchmark: str
    metric: str
    machine: str
    sd: float
    pairs: int
    measured_ns: int
    table: str = ""


def pairs_needed(sd: float, effect: float) -> int:
    """Return how many pairs prove an effect of that log-ratio at that noise, about.

    The rule `10 + 8 (sd / effect)^2` was fitted to measurements (docs/statistics.md), within 20 %.
    """
    return math.ceil(10 + 8 * (sd / effect) ** 2)


_BEST = math.log(2)
_SMALLEST = 5e-324
"""A level that was split until nothing is left of it."""


def fewest_pairs(alpha: float) -> int:
    """Return how many pairs the test needs at that level when nothing could be clearer.

    That is, when each pair, without any noise, lies a factor of two beyond the hypothesis. A pair
    at most doubles the evidence, and the mixture has a price on top, so that it is a little more
    than log2(1 / alpha). Few pairs can therefore never prove a small alpha.
    """
    wanted = -math.log(max(alpha, _SMALLEST))
    gains = [math.log1p(math.tanh(scale * _BEST)) for scale in SCALES]
    pairs = 1
    while _log_mean_exp([pairs * gain for gain in gains]) < wanted:
        pairs += 1
    return pairs


def _log_mean_exp(logs: list[float]) -> float:
    top = max(logs)
    return top + math.log(math.fsum(math.exp(v - top) for v in logs) / len(logs))
