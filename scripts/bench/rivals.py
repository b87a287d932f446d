"""What others would answer: rules that benchmark tools and simpler systems use, in plain Python.

Each rule takes pairs and answers like the governor's comparison. A rule that looks for a difference
and finds none lets the candidate pass, as its users do: that is `neutral` here. The rules are
written from the sources of the tools; each takes its usual number of runs. The cost is that in
`cpu_ns`.
"""

import functools
import itertools
import math
import random
import statistics
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from ouroboros.model.evaluation import Pair
from ouroboros.model.verdict import Outcome

MARGIN = 0.05
_ALPHA = 0.05
_RESAMPLES = 300
_TINY = 1e-300
_APART = 60
"""Pairs between a stored baseline and the candidate: half a minute of the recorded pool."""


class Answer(NamedTuple):
    """An outcome, and how many runs it took, both sides together."""

    outcome: Outcome
    runs: int


Rule = Callable[[Iterator[Pair]], Answer]
Costs = Sequence[float]
Judge = Callable[[Costs, Costs], Outcome]


def rules() -> dict[str, Rule]:
    """Return the rivals by what the table calls them."""
    return {
        "one run each, 5 % (seed)": unpaired(1, by_mean),
        "same, stored baseline": stored(1, by_mean),
        "mean of 5, 5 %": unpaired(5, by_mean),
        "mean of 20, 5 %": unpaired(20, by_mean),
        "Student t n=20 (pyperf)": unpaired(20, by_student),
        "Mann-Whitney n=10 (Google Benchmark)": unpaired(10, by_ranks),
        "Mann-Whitney n=20": unpaired(20, by_ranks),
        "Mann-Whitney n=20, p<.002 (asv)": unpaired(20, by_exact_ranks),
        "Mann-Whitney n=20, stored baseline": stored(20, by_ranks),
        "bootstrap of median ratio, n=20": bootstrap(20),
    }


def unpaired(n: int, judge: Judge) -> Rule:
    """Take n pairs and forget which runs belong together."""

    def answer(pairs: Iterator[Pair]) -> Answer:
        taken = list(itertools.islice(pairs, n))
        base = [float(p.baseline.cpu_ns) for p in taken]
        return Answer(judge(base, [float(p.candidate.cpu_ns) for p in taken]), 2 * n)

    return answer


def stored(n: int, judge: Judge) -> Rule:
    """Take n runs of the baseline, and the candidate's some time later."""

    def answer(pairs: Iterator[Pair]) -> Answer:
        base = [float(p.baseline.cpu_ns) for p in itertools.islice(pairs, n)]
        later = itertools.islice(pairs, _APART, _APART + n)
        return Answer(judge(base, [float(p.candidate.cpu_ns) for p in later]), 2 * n)

    return answer


def by_mean(base: Costs, candidate: Costs) -> Outcome:
    """Refuse what is more than the margin worse; any lower number counts as better."""
    ratio = statistics.fmean(candidate) / statistics.fmean(base)
    if ratio > 1 + MARGIN:
        return Outcome.REGRESSED
    return Outcome.IMPROVED if ratio < 1 else Outcome.NEUTRAL


def by_student(base: Costs, candidate: Costs) -> Outcome:
    """Judge by the two-sample t test with pooled variance, at 95 %."""
    lower = statistics.fmean(candidate) < statistics.fmean(base)
    return _significant(student(base, candidate) < _ALPHA, lower=lower)


def by_ranks(base: Costs, candidate: Costs) -> Outcome:
    """Judge by the Mann-Whitney test at p < .05, normal approximation."""
    lower = statistics.median(candidate) < statistics.median(base)
    return _significant(mann_whitney(base, candidate) < _ALPHA, lower=lower)


def by_exact_ranks(base: Costs, candidate: Costs) -> Outcome:
    """Judge by the exact Mann-Whitney test at p < .002."""
    lower = statistics.median(candidate) < statistics.median(base)
    return _significant(mann_whitney(base, candidate, exact=True) < 0.002, lower=lower)


def _significant(found: bool, *, lower: bool) -> Outcome:  # noqa: FBT001 - a small table
    if not found:
        return Outcome.NEUTRAL
    return Outcome.IMPROVED if lower else Outcome.REGRESSED


def bootstrap(n: int) -> Rule:
    """Take n pairs and the 95 % percentile interval of their median log-ratio, resampled.

    The only rival that is paired and asks whether the candidate is within the margin.
    """

    def answer(pairs: Iterator[Pair]) -> Answer:
        taken = list(itertools.islice(pairs, n))
        xs = [math.log(p.candidate.cpu_ns / p.baseline.cpu_ns) for p in taken]
        draw = random.Random(repr(xs))  # noqa: S311 - reproducible
        centres = sorted(statistics.median(draw.choices(xs, k=n)) for _ in range(_RESAMPLES))
        tail = int(_RESAMPLES * _ALPHA / 2)
        low, high = centres[tail], centres[-1 - tail]
        if low > 0:
            return Answer(Outcome.REGRESSED, 2 * n)
        if high < 0:
            return Answer(Outcome.IMPROVED, 2 * n)
        within = high < math.log1p(MARGIN)
        return Answer(Outcome.NEUTRAL if within else Outcome.INCONCLUSIVE, 2 * n)

    return answer


# --- tests --------------------------------------------------------------------------------------


def student(one: Costs, two: Costs) -> float:
    """Return the two-sided p of Student's t test for two samples with equal variance."""
    n, m = len(one), len(two)
    free = n + m - 2
    pooled = ((n - 1) * statistics.variance(one) + (m - 1) * statistics.variance(two)) / free
    gap = statistics.fmean(one) - statistics.fmean(two)
    if pooled == 0:
        return float(gap == 0)
    t = gap / math.sqrt(pooled * (1 / n + 1 / m))
    return _beta(free / 2, 0.5, free / (free + t * t))


def _beta(a: float, b: float, x: float) -> float:
    """Return the regularized incomplete beta function."""
    if x in (0.0, 1.0):
        return x
    if x > (a + 1) / (a + b + 2):
        return 1 - _beta(b, a, 1 - x)
    front = a * math.log(x) + b * math.log1p(-x)
    front += math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b)
    return math.exp(front) * _fraction(a, b, x) / a


def _fraction(a: float, b: float, x: float) -> float:
    """Return the continued fraction of the incomplete beta (Lentz's method)."""
    c, d = 1.0, 1 / _away(1 - (a + b) * x / (a + 1))
    value = d
    for m in range(1, 400):
        even = m * (b - m) * x / ((a - 1 + 2 * m) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 1 + 2 * m))
        for term in (even, odd):
            d = 1 / _away(1 + term * d)
            c = _away(1 + term / c)
            value *= c * d
        if abs(c * d - 1) < 1e-15:
            break
    return value


def _away(value: float) -> float:
    return value if abs(value) > _TINY else _TINY


def mann_whitney(one: Costs, two: Costs, *, exact: bool = False) -> float:
    """Return the two-sided p of the Mann-Whitney test.

    Args:
        one: a sample.
        two: the other.
        exact: by counting, which knows no ties; else by the normal approximation with corrections
            for ties and continuity.
    """
    n, m = len(one), len(two)
    u = sum((a > b) + (a == b) / 2 for a in one for b in two)
    far = max(u, n * m - u)
    if exact:
        counts = _ways(n, m)
        return min(1.0, 2 * sum(counts[math.ceil(far) :]) / math.comb(n + m, n))
    all_ = n + m
    sizes = [len(list(group)) for _, group in itertools.groupby(sorted([*one, *two]))]
    ties = sum(t**3 - t for t in sizes)
    spread = math.sqrt(n * m / 12 * (all_ + 1 - ties / (all_ * (all_ - 1))))
    if spread == 0:
        return 1.0
    return min(1.0, math.erfc((far - n * m / 2 - 0.5) / spread / math.sqrt(2)))


@functools.cache
def _ways(n: int, m: int) -> tuple[int, ...]:
    """Return in how many orders of n and m values the statistic is 0, 1, ... n * m."""
    if n == 0 or m == 0:
        return (1,)
    shifted = (0,) * m + _ways(n - 1, m)
    other = _ways(n, m - 1)
    return tuple(a + b for a, b in itertools.zip_longest(shifted, other, fillvalue=0))
