"""One series of pairs: when to stop, and what the pairs say about each metric. Pure.

CPU time (user + system, taken by the parent) is the usual objective: on a shared machine it is two
to nine times quieter than wall time. Wall time is a guard with a wide margin, peak memory an exact
guard on medians. All metrics of a pair come from the same two runs, so that the noisiest one that
must be proven sets the cost. Nothing is ever averaged over metrics.
"""

from collections.abc import Sequence

from ouroboros.errors import MeasurementError
from ouroboros.governor import challenge
from ouroboros.governor.judge import Judge
from ouroboros.governor.rules import ANCHOR_PAIRS, Rule, rule_for
from ouroboros.governor.values import values_of
from ouroboros.model.evaluation import CHALLENGE, Pair, Series, Stage
from ouroboros.model.verdict import Comparison, Outcome

__all__ = ["ANCHOR_PAIRS", "Rule", "Sequential", "replay", "rule_for"]

_GOOD = {Outcome.NEUTRAL, Outcome.IMPROVED}


class Sequential:
    """Feed pairs one by one; stop when `settled`.

    Raises (from `push`):
        MeasurementError: a value that is missing or cannot be compared, or a clock that went back;
            nothing is concluded from it, and the pair is not taken.
    """

    def __init__(self, rule: Rule, inherited: int = 0) -> None:
        """Begin.

        Args:
            rule: of the series.
            inherited: how many of the first pairs an earlier evaluation of the same idea has taken;
                they are evidence, and do not count against the most pairs of this one.
        """
        self._rule = rule
        self._inherited = inherited
        self._judges = tuple(Judge(spec, rule) for spec in rule.metrics)
        self._pairs: list[Pair] = []

    def push(self, pair: Pair) -> None:
        """Take one pair."""
        number = self.pairs + 1
        self._check_clock(pair, number)
        values = values_of(self._rule.benchmark, self._rule.metrics, pair, number)
        taken = [
            (judge, base, candidate, judge.x(base, candidate))
            for judge, (base, candidate) in zip(self._judges, values, strict=True)
        ]
        for judge, base, candidate, x in taken:
            judge.push(base, candidate, x)
        self._pairs.append(pair)

    def _check_clock(self, pair: Pair, number: int) -> None:
        before = self._pairs[-1].started_ns if self._pairs else pair.started_ns
        if pair.started_ns < before:
            raise MeasurementError(
                f"{self._rule.benchmark}: pair {number} started at {pair.started_ns} ns, before "
                f"pair {number - 1} at {before} ns: the clock went back.",
                hint="Evaluate the candidate again; let the machine's clock be slewed, not set.",
            )

    @property
    def pairs(self) -> int:
        """How many pairs were taken, inherited ones included."""
        return len(self._pairs)

    @property
    def exhausted(self) -> bool:
        """Whether the most pairs that the rule allows were taken."""
        return self.pairs - self._inherited >= self._rule.max_pairs

    @property
    def settled(self) -> bool:
        """Whether no further pair can be of use.

        A proven regression of anything that decides ends the series. While an objective is
        improved, every other and every guard must still be proven harmless. While none is, the
        series ends when all of them were given up, or proven harmless where that suffices.
        """
        rule = self._rule
        if self.exhausted or rule.fixed:
            return self.exhausted
        deciding = [judge for judge in self._judges if not judge.reported_only]
        outcomes = {judge.spec.name: judge.settled_outcome() for judge in deciding}
        if Outcome.REGRESSED in outcomes.values():
            return True
        searched = [outcomes[judge.spec.name] for judge in deciding if judge.objective]
        gained = not searched or not rule.gains or Outcome.IMPROVED in searched
        neutral = rule.accept_neutral and _GOOD.issuperset(searched)
        if gained or neutral:
            return self.pairs >= rule.min_pairs and all(judge.harmless for judge in deciding)
        return None not in searched

    @property
    def regressed(self) -> bool:
        """Whether anything that decides, or a guard of a challenge, is proven to be worse."""
        if any(judge.outcome() is Outcome.REGRESSED for judge in self._judges):
            return True
        name = self._rule.benchmark
        guards = challenge.guards(name, Stage.SCREEN, self._pairs) if _is_challenge(name) else ()
        return any(guard.outcome is Outcome.REGRESSED for guard in guards)

    @property
    def improved(self) -> bool:
        """Whether an objective is proven to be better."""
        return any(j.objective and j.outcome() is Outcome.IMPROVED for j in self._judges)

    @property
    def futile(self) -> bool:
        """Whether every objective was given up because no gain is in sight."""
        searched = [j for j in self._judges if j.objective]
        return bool(searched) and all(j.given_up for j in searched)

    def gave_up(self, metric: str) -> bool:
        """Whether one objective was given up."""
        return any(j.given_up for j in self._judges if j.spec.name == metric)

    def comparison(self, benchmark: str, stage: Stage) -> Comparison:
        """Return the comparison of the first objective as it stands (else of the first guard)."""
        return self._judges[0].comparison(benchmark, stage)

    def comparisons(self, benchmark: str, stage: Stage) -> tuple[Comparison, ...]:
        """Return objectives, guards and what is only reported, as they stand."""
        common = tuple(judge.comparison(benchmark, stage) for judge in self._judges)
        if not _is_challenge(benchmark):
            return common
        return (*common, *challenge.guards(benchmark, stage, self._pairs))

    def xs(self) -> tuple[tuple[str, Sequence[float]], ...]:
        """Return each metric's name and what its pairs said (see `governor.values`)."""
        return tuple((j.spec.name, tuple(j.xs)) for j in self._judges)


def _is_challenge(name: str) -> bool:
    return name.startswith(CHALLENGE)


def replay(series: Series, rule: Rule) -> Sequential:
    """Return the comparison that a recorded series gives; the verdict of record uses this.

    Raises:
        MeasurementError: see `Sequential`.
    """
    sequential = Sequential(rule, series.inherited)
    for pair in series.pairs:
        sequential.push(pair)
    return sequential
