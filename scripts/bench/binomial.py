"""How far a rate of some trials can be from the true one: bounds for counts, in plain Python."""

import math
from collections.abc import Callable

_STEPS = 60


def interval(count: int, trials: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact (Clopper-Pearson) bounds of a rate.

    Args:
        count: how often it happened.
        trials: of how many.
        level: of confidence, both sides together.
    """
    tail = (1 - level) / 2
    low = 0.0 if count == 0 else _solve(lambda p: 1 - _cdf(count - 1, trials, p) < tail)
    high = 1.0 if count == trials else _solve(lambda p: _cdf(count, trials, p) > tail)
    return low, high


def _solve(below: Callable[[float], bool]) -> float:
    """Bisect for the rate at which a condition that holds for small ones ends."""
    inside, outside = 0.0, 1.0
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        if below(middle):
            inside = middle
        else:
            outside = middle
    return outside


def _cdf(count: int, trials: int, rate: float) -> float:
    return math.fsum(_mass(k, trials, rate) for k in range(count + 1))


def _mass(count: int, trials: int, rate: float) -> float:
    if rate in (0.0, 1.0):
        return float(count == trials * rate)
    log = (
        math.lgamma(trials + 1)
        - math.lgamma(count + 1)
        - math.lgamma(trials - count + 1)
        + count * math.log(rate)
        + (trials - count) * math.log1p(-rate)
    )
    return math.exp(log)


def three_sigma(rate: float, trials: int) -> float:
    """Return a rate plus three standard deviations of its estimate from so many trials."""
    return rate + 3 * math.sqrt(rate * (1 - rate) / trials)
