"""One benchmark's comparison at one stage: when to stop, and what the pairs say.

CPU time (user + system, taken by the parent) is the objective: on a shared machine it is two to
nine times quieter than wall time. Wall time is a guard with a wide margin, peak memory an exact
guard on medians. "Not significant" is never read as "not worse": a guard must be *proven* within
its margin before anything is accepted.
"""

import math
import statistics
from collections.abc import Sequence

import msgspec

from ouroboros.config import Benchmark, Challenge, Config, Governor
from ouroboros.errors import MeasurementError
from ouroboros.governor import challenge
from ouroboros.governor.eprocess import EProcess, bounds, hodges_lehmann
from ouroboros.model.evaluation import CHALLENGE, Pair, Sample, Series, Stage
from ouroboros.model.verdict import Comparison, Outcome

BOUND_ALPHA = 0.05
"""Level of each shown bound."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Margins and error rates of one comparison. Margins are fractions (0.05 = 5 %)."""

    margin: float
    wall_margin: float
    memory_margin: float
    min_gain: float
    alpha_accept: float
    alpha_improve: float
    alpha_reject: float
    alpha_futile: float
    min_pairs: int
    max_pairs: int
    accept_neutral: bool


def measured(config: Config) -> dict[str, Benchmark | Challenge]:
    """Return what is measured, by the names of its series: challenges first, then benchmarks."""
    challenges = {f"{CHALLENGE}{name}": spec for name, spec in config.challenges.items()}
    return {**challenges, **config.benchmarks}


def rule_for(governor: Governor, benchmark: Benchmark | Challenge, stage: Stage) -> Rule:  # noqa: ARG001 - stages share one rule today; the signature is the executors' contract
    """Return the rule of one benchmark or challenge at one stage."""
    own = benchmark.max_degradation
    return Rule(
        margin=governor.max_degradation if own is None else own,
        wall_margin=governor.max_wall_degradation,
        memory_margin=governor.max_memory_degradation,
        min_gain=governor.min_gain,
        alpha_accept=governor.alpha_accept,
        alpha_improve=governor.alpha_improve,
        alpha_reject=governor.alpha_reject,
        alpha_futile=governor.alpha_futile,
        min_pairs=governor.min_pairs,
        max_pairs=governor.max_pairs,
        accept_neutral=governor.accept_neutral,
    )


class _Paired:
    """The sequential test of one paired metric."""

    def __init__(self, rule: Rule, margin: float, *, objective: bool) -> None:
        self._rule = rule
        self._objective = objective
        self.margin = margin
        self.xs: list[float] = []
        self._within = EProcess(math.log1p(margin), below=True)
        self._faster = EProcess(0.0, below=True)
        self._slower = EProcess(0.0, below=False)
        self._beyond = EProcess(math.log1p(margin), below=False)
        self._no_gain = EProcess(math.log1p(-rule.min_gain), below=False)

    def push(self, x: float) -> None:
        self.xs.append(x)
        for process in (self._within, self._faster, self._slower, self._beyond, self._no_gain):
            process.push(x)

    @property
    def harmless(self) -> bool:
        """Proven within the margin."""
        return self._within.proves(self._rule.alpha_accept)

    def settled_outcome(self) -> Outcome | None:
        """Return the outcome if the evidence suffices now, else None.

        The order is the order of harm: a regression is said before a gain, and giving up last.
        """
        rule = self._rule
        if len(self.xs) < rule.min_pairs:
            return None
        worse = self._slower.proves(rule.alpha_reject) and not self.harmless
        if self._beyond.proves(rule.alpha_reject) or (worse and self._objective):
            return Outcome.REGRESSED
        if not self._objective:
            return Outcome.NEUTRAL if self.harmless else None
        if self._faster.proves(rule.alpha_improve) and self.harmless:
            return Outcome.IMPROVED
        if rule.accept_neutral and self.harmless:
            return Outcome.NEUTRAL
        if self.futile:
            return self.unsettled_outcome()
        return None

    @property
    def futile(self) -> bool:
        """A gain worth looking for has become implausible (non-binding: costs power only)."""
        return self._no_gain.proves(self._rule.alpha_futile)

    def unsettled_outcome(self) -> Outcome:
        """Return what can be said when no more pairs will come."""
        return Outcome.NEUTRAL if self.harmless else Outcome.INCONCLUSIVE


class Sequential:
    """Feed pairs one by one; stop when `settled`.

    Raises (from `push`):
        MeasurementError: a sample that is zero, negative or missing; nothing is concluded from it.
    """

    def __init__(self, rule: Rule) -> None:
        self._rule = rule
        self._cpu = _Paired(rule, rule.margin, objective=True)
        self._wall = _Paired(rule, rule.wall_margin, objective=False)
        self._pairs: list[Pair] = []

    def push(self, pair: Pair) -> None:
        """Take one pair."""
        for side, sample in (("baseline", pair.baseline), ("candidate", pair.candidate)):
            _check(side, sample)
        self._cpu.push(math.log(pair.candidate.cpu_ns / pair.baseline.cpu_ns))
        self._wall.push(math.log(pair.candidate.wall_ns / pair.baseline.wall_ns))
        self._pairs.append(pair)

    @property
    def pairs(self) -> int:
        """How many pairs were taken."""
        return len(self._pairs)

    @property
    def exhausted(self) -> bool:
        """Whether the most pairs that the rule allows were taken."""
        return self.pairs >= self._rule.max_pairs

    @property
    def settled(self) -> bool:
        """Whether no further pair can be of use."""
        if self.exhausted:
            return True
        cpu = self._cpu.settled_outcome()
        if cpu is None:
            return False
        if cpu is not Outcome.IMPROVED:
            return True
        return self._wall.settled_outcome() is not None

    @property
    def futile(self) -> bool:
        """Whether the objective was given up because no gain is in sight."""
        return self._cpu.futile

    def comparison(self, benchmark: str, stage: Stage) -> Comparison:
        """Return the objective's comparison as it stands."""
        return self._paired("cpu", self._cpu, benchmark, stage)

    def comparisons(self, benchmark: str, stage: Stage) -> tuple[Comparison, ...]:
        """Return objective and guards as they stand."""
        common = (
            self.comparison(benchmark, stage),
            self._paired("wall", self._wall, benchmark, stage),
            self._exact(benchmark, stage),
        )
        if not benchmark.startswith(CHALLENGE):
            return common
        return (*common, *challenge.guards(benchmark, stage, self._pairs))

    def _paired(self, metric: str, paired: _Paired, benchmark: str, stage: Stage) -> Comparison:
        outcome = paired.settled_outcome() or paired.unsettled_outcome()
        change, lower, upper = _changes(paired.xs)
        return Comparison(
            benchmark=benchmark,
            metric=metric,
            role="objective" if metric == "cpu" else "guard",
            stage=stage,
            outcome=outcome,
            pairs=len(paired.xs),
            change=change,
            lower=lower,
            upper=upper,
            margin=paired.margin,
            text=_sentence(metric, outcome, paired),
        )

    def _exact(self, benchmark: str, stage: Stage) -> Comparison:
        change = None
        outcome = Outcome.INCONCLUSIVE
        if self._pairs:
            base = statistics.median(p.baseline.rss_bytes for p in self._pairs)
            candidate = statistics.median(p.candidate.rss_bytes for p in self._pairs)
            change = candidate / base - 1
            over = change > self._rule.memory_margin
            outcome = Outcome.REGRESSED if over else Outcome.NEUTRAL
        return Comparison(
            benchmark=benchmark,
            metric="memory",
            role="guard",
            stage=stage,
            outcome=outcome,
            pairs=self.pairs,
            change=change,
            lower=change,
            upper=change,
            margin=self._rule.memory_margin,
            text="median of peak resident memory",
        )


def replay(series: Series, rule: Rule) -> Sequential:
    """Return the comparison that a recorded series gives; the verdict of record uses this."""
    sequential = Sequential(rule)
    for pair in series.pairs:
        sequential.push(pair)
    return sequential


def _check(side: str, sample: Sample) -> None:
    if sample.cpu_ns <= 0 or sample.wall_ns <= 0 or sample.rss_bytes <= 0:
        raise MeasurementError(
            f"Expected positive CPU time, wall time and memory of the {side}, got "
            f"{sample.cpu_ns} ns, {sample.wall_ns} ns and {sample.rss_bytes} bytes.",
        )


def _changes(xs: Sequence[float]) -> tuple[float | None, float | None, float | None]:
    if not xs:
        return None, None, None
    lower, upper = bounds(xs, BOUND_ALPHA)
    return (
        math.expm1(hodges_lehmann(xs)),
        None if lower is None else math.expm1(lower),
        None if upper is None else math.expm1(upper),
    )


def _sentence(metric: str, outcome: Outcome, paired: _Paired) -> str:
    margin = f"{paired.margin:.0%}"
    match outcome:
        case Outcome.IMPROVED:
            return f"{metric} time is proven lower, and within the margin of {margin}"
        case Outcome.NEUTRAL:
            return f"{metric} time is proven not to be worse than the margin of {margin}"
        case Outcome.REGRESSED:
            return f"{metric} time is proven higher, or beyond the margin of {margin}"
        case Outcome.INCONCLUSIVE:
            return f"{metric} time could not be proven within the margin of {margin}"
