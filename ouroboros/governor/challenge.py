"""What only a challenge can see: where the time went that the timed calls no longer show. Pure.

A candidate can make the timed calls cheap without making the work cheap: it can compute later, when
the results are fetched; at import; in the first call; or in a thread while it should wait. Each
of these is visible in the CPU time of the same process, which was read from outside. The rules are
exact ones on medians and sums, with a band between "harmless" and "refused" in which the answer is
`inconclusive`, so that noise ends before a person and not in a wrong answer.
"""

import statistics
from collections.abc import Callable, Sequence

from ouroboros.model.evaluation import Pair, Sample, Stage
from ouroboros.model.verdict import Comparison, Outcome

_MS = 1_000_000

GUARDS = ("conservation", "import", "first-call", "single-input", "idle")
"""Metrics of a challenge besides cpu, wall and memory."""

SAVED_AT_LEAST = 0.6
"""So much of what the timed calls save must also be missing from the process's total: measured, a
worker whose protocol was hijacked claimed 98 % and saved nothing."""

SAVED_TOO_LITTLE = 0.3
_A_CLAIM = 0.03
_A_LARGE_CLAIM = 0.10
"""Savings below the first are no claim; only those above the second can be refuted: smaller ones
are of the size of what starting, loading and fetching differ by."""

_CONSERVATION = "share of the saved CPU time that the whole process saved too"
_IMPORT = "median CPU time to start and to import the target"
_FIRST = "median CPU time of the first call"
_SINGLE = "share of single inputs that take half as long again, or longer"
_FEW = 0.05
_BY_CHANCE = 2
_SLOWER = 1.5
_SLOWER_BY_NS = _MS // 5
"""Clocks and caches move a single call by as much."""
_IDLE = "CPU time used while it should have waited"


def guards(name: str, stage: Stage, pairs: Sequence[Pair]) -> tuple[Comparison, ...]:
    """Return the guards of one challenge; all inconclusive while there are no pairs."""
    made = (
        ("conservation", SAVED_AT_LEAST, _conservation(pairs), _CONSERVATION),
        ("import", 0.10, _grown(pairs, _start, Band(0.10, 5 * _MS), Band(0.20, 10 * _MS)), _IMPORT),
        ("first-call", 0.25, _grown(pairs, _first, Band(0.25, _MS), Band(0.50, 2 * _MS)), _FIRST),
        ("single-input", _FEW, _slower_inputs(pairs), _SINGLE),
        ("idle", 0.05, _idle(pairs), _IDLE),
    )
    return tuple(
        Comparison(
            benchmark=name,
            metric=metric,
            role="guard",
            stage=stage,
            outcome=outcome,
            pairs=len(pairs),
            change=change,
            lower=change,
            upper=change,
            margin=margin,
            text=text,
        )
        for metric, margin, (outcome, change), text in made
    )


class Band:
    """A bound that is a fraction of the baseline's median, and never less than a floor."""

    def __init__(self, fraction: float, floor_ns: int) -> None:
        """Take the larger of the two.

        Args:
            fraction: of the baseline.
            floor_ns: below it nothing is a finding: clocks and caches move by as much.
        """
        self._fraction = fraction
        self._floor_ns = floor_ns

    def holds(self, grown_ns: float, base_ns: float) -> bool:
        """Whether a growth stays within it."""
        return grown_ns <= max(self._floor_ns, self._fraction * base_ns)


Finding = tuple[Outcome, float | None]
_NOTHING: Finding = (Outcome.INCONCLUSIVE, None)


def _start(sample: Sample) -> int:
    return sample.start_cpu_ns


def _first(sample: Sample) -> int:
    return sample.first_cpu_ns


def _conservation(pairs: Sequence[Pair]) -> Finding:
    """Compare what the calls saved with what the process saved after its import."""
    if not pairs:
        return _NOTHING
    saved = sum(p.baseline.cpu_ns - p.candidate.cpu_ns for p in pairs)
    claimed = saved / max(1, sum(p.baseline.cpu_ns for p in pairs))
    if claimed < _A_CLAIM:
        return Outcome.NEUTRAL, None
    rest = sum(_after_start(p.baseline) - _after_start(p.candidate) for p in pairs)
    share = rest / saved
    if share >= SAVED_AT_LEAST:
        return Outcome.NEUTRAL, share
    refuted = share < SAVED_TOO_LITTLE and claimed > _A_LARGE_CLAIM
    return (Outcome.REGRESSED if refuted else Outcome.INCONCLUSIVE), share


def _after_start(sample: Sample) -> int:
    return sample.total_cpu_ns - sample.start_cpu_ns


def _grown(
    pairs: Sequence[Pair], of: Callable[[Sample], int], harmless: Band, refused: Band
) -> Finding:
    if not pairs:
        return _NOTHING
    base = statistics.median(of(p.baseline) for p in pairs)
    grown = statistics.median(of(p.candidate) for p in pairs) - base
    change = grown / base if base > 0 else None
    if harmless.holds(grown, base):
        return Outcome.NEUTRAL, change
    return (Outcome.INCONCLUSIVE if refused.holds(grown, base) else Outcome.REGRESSED), change


def _slower_inputs(pairs: Sequence[Pair]) -> Finding:
    """Look at the calls that were asked alone, one input each, the same for both sides.

    A mean hides the few inputs on which a candidate is many times slower. This never refuses: a
    single call is noisy.
    """
    calls = [
        both
        for p in pairs
        for both in zip(p.baseline.single_cpu_ns, p.candidate.single_cpu_ns, strict=False)
    ]
    if not pairs:
        return _NOTHING
    if not calls:
        return Outcome.NEUTRAL, None  # a program: each of its calls is a process of its own
    slower = sum(mine > _SLOWER * base + _SLOWER_BY_NS for base, mine in calls)
    share = slower / len(calls)
    harmless = slower <= _BY_CHANCE or share <= _FEW
    return (Outcome.NEUTRAL if harmless else Outcome.INCONCLUSIVE), share


def _idle(pairs: Sequence[Pair]) -> Finding:
    """Compare the CPU time used while waiting with that of the calls themselves."""
    if not pairs:
        return _NOTHING
    used = statistics.median(p.candidate.idle_cpu_ns - p.baseline.idle_cpu_ns for p in pairs)
    calls = statistics.median(p.baseline.cpu_ns for p in pairs)
    share = used / calls if calls > 0 else None
    if Band(0.05, _MS).holds(used, calls):
        return Outcome.NEUTRAL, share
    within = Band(0.10, 2 * _MS).holds(used, calls)
    return (Outcome.INCONCLUSIVE if within else Outcome.REGRESSED), share
