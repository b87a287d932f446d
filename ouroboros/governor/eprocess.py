"""The sequential test: e-values on log-ratios of coin-ordered pairs. Pure arithmetic.

For each pair x = log(candidate cost / baseline cost). Which side ran first was decided by a fair
coin, so under "the true log-ratio is t" the law of x - t is symmetric around zero whatever the
noise looks like, and with it

    W(lambda) *= 1 + tanh(lambda * (t - x))

is a non-negative martingale (a supermartingale for every true ratio above t). Ville's inequality
then bounds P(W ever >= 1/alpha) by alpha: one may look after every pair and stop whenever one
likes. tanh bounds what one outlier can do, so none is ever discarded. E is the mean of W over four
scales, because the best scale depends on the unknown noise; scales must bracket
noise^2 / effect. (Sequential randomization tests with e-values, arXiv 2512.04366; scales from the
measurements behind docs/statistics.md.)
"""

import math
import statistics
from collections.abc import Sequence

from ouroboros.model.metric import SCALES

_SEARCH = 8.0
"""Bounds are looked for within a factor of e^8 (about 3,000); beyond that there is no bound."""

_STEPS = 40


class EProcess:
    """Evidence against one one-sided hypothesis about the true log-ratio.

    `below=True` gathers evidence that the ratio lies below `theta` (against "theta or more");
    `below=False` that it lies above (against "theta or less").
    """

    def __init__(self, theta: float, *, below: bool) -> None:
        self._theta = theta
        self._sign = 1.0 if below else -1.0
        self._logs = [0.0] * len(SCALES)
        self.log_e = 0.0
        """Log of E now. Not its peak, although Ville would allow that: what is proven must agree
        with the bounds that are shown beside it, and these are of now."""

    def push(self, x: float) -> None:
        """Take one log-ratio."""
        gap = self._sign * (self._theta - x)
        for i, scale in enumerate(SCALES):
            # 1 + tanh(g) = 2 / (1 + e^(-2g)): exact far into the tail, where 1 + tanh is 0.
            self._logs[i] += math.log(2.0) - _softplus(-2.0 * scale * gap)
        self.log_e = _log_mean_exp(self._logs)

    def proves(self, alpha: float) -> bool:
        """Whether the evidence stands at 1/alpha or more."""
        return self.log_e >= -math.log(alpha)


def log_e(xs: Sequence[float], theta: float, *, below: bool) -> float:
    """Return log E of the whole sequence (not its peak) against one hypothesis."""
    sign = 1.0 if below else -1.0
    logs = [
        sum(math.log(2.0) - _softplus(-2.0 * scale * sign * (theta - x)) for x in xs)
        for scale in SCALES
    ]
    return _log_mean_exp(logs)


def bounds(xs: Sequence[float], alpha: float) -> tuple[float | None, float | None]:
    """Return lower and upper bounds of the log-ratio, each valid at level alpha.

    None where the evidence gives no bound yet.
    """
    return _bound(xs, alpha, below=False), _bound(xs, alpha, below=True)


def _bound(xs: Sequence[float], alpha: float, *, below: bool) -> float | None:
    """Bisect for the nearest theta that the evidence excludes; E is monotone in theta."""
    need = -math.log(alpha)
    inside, outside = (-_SEARCH, _SEARCH) if below else (_SEARCH, -_SEARCH)
    if log_e(xs, outside, below=below) < need:
        return None
    for _ in range(_STEPS):
        middle = (inside + outside) / 2
        if log_e(xs, middle, below=below) >= need:
            outside = middle
        else:
            inside = middle
    return outside


def hodges_lehmann(xs: Sequence[float]) -> float:
    """Return the median of all pairwise means: a robust centre of symmetry."""
    walsh = sorted((a + b) / 2 for i, a in enumerate(xs) for b in xs[i:])
    middle = len(walsh) // 2
    return walsh[middle] if len(walsh) % 2 else (walsh[middle - 1] + walsh[middle]) / 2


def robust_sd(xs: Sequence[float]) -> float | None:
    """Return 1.4826 times the median absolute deviation; None of fewer than two values.

    For normal noise that is the standard deviation; it does not see up to half of the values go
    astray.
    """
    if len(xs) < 2:  # noqa: PLR2004 - one value has no spread
        return None
    centre = statistics.median(xs)
    return 1.4826 * statistics.median(abs(x - centre) for x in xs)


def _softplus(x: float) -> float:
    """Return log(1 + e^x) without overflow."""
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))


def _log_mean_exp(logs: Sequence[float]) -> float:
    top = max(logs)
    return top + math.log(sum(math.exp(v - top) for v in logs) / len(logs))
