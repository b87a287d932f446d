"""One metric's test within a series: what its values say so far, and whether that suffices. Pure.

"Not significant" is never read as "not worse": within the margin must be *proven*. A metric that is
exact is compared by medians, as long as runs of the same code agree within 1 %; where they do not,
it is no exact metric on this machine, and the paired rule judges the same pairs.
"""

import statistics

from ouroboros.governor import exact
from ouroboros.governor.eprocess import EProcess, bounds, hodges_lehmann, robust_sd
from ouroboros.governor.rules import Rule
from ouroboros.governor.values import (
    REFERENCE,
    change_of,
    gain_x,
    interval_of,
    margin_x,
    place,
    word,
    x_of,
)
from ouroboros.model.evaluation import Stage
from ouroboros.model.metric import Direction, Kind, MetricSpec, Role, Scale, amount
from ouroboros.model.verdict import Comparison, Outcome

BOUND_ALPHA = 0.05
"""Level of each shown bound."""


class Judge:
    """The test of one metric. Feed values pair by pair."""

    def __init__(self, spec: MetricSpec, rule: Rule) -> None:
        """Begin without evidence.

        Args:
            spec: the metric.
            rule: of the series.
        """
        self.spec = spec
        self._rule = rule
        self._base: list[float] = []
        self._candidate: list[float] = []
        self.xs: list[float] = []
        margin = margin_x(spec)
        self._within = EProcess(margin, below=True)
        self._better = EProcess(0.0, below=True)
        self._worse = EProcess(0.0, below=False)
        self._beyond = EProcess(margin, below=False)
        self._no_gain = EProcess(gain_x(spec), below=False)

    def x(self, base: float, candidate: float) -> float:
        """Return what `push` takes.

        Raises:
            MeasurementError: the two cannot be compared.
        """
        where = place(self._rule.benchmark, self.spec.name, "candidate", len(self.xs) + 1)
        return x_of(self.spec, base, candidate, where)

    def push(self, base: float, candidate: float, x: float) -> None:
        """Take one pair's values."""
        self._base.append(base)
        self._candidate.append(candidate)
        self.xs.append(x)
        for process in (self._within, self._better, self._worse, self._beyond, self._no_gain):
            process.push(x)

    @property
    def objective(self) -> bool:
        """Whether a gain in it counts."""
        return self.spec.role is Role.OBJECTIVE

    @property
    def reported_only(self) -> bool:
        """Whether it decides nothing."""
        return self.spec.role is Role.REPORT

    @property
    def spread(self) -> float:
        """How far the values of one side lie apart, at most: a fraction, or in the unit."""
        return max(exact.spread(self.spec, side) for side in (self._base, self._candidate))

    @property
    def exact(self) -> bool:
        """Whether medians decide: declared exact, and runs of the same code agree."""
        if self.spec.kind is not Kind.EXACT or not self.xs:
            return False
        return self.spread <= exact.tolerance(self.spec)

    @property
    def harmless(self) -> bool:
        """Whether it is known not to be worse than the margin."""
        if self.exact:
            return self._exactly() in {Outcome.NEUTRAL, Outcome.IMPROVED}
        return self._within.proves(self._rule.alpha_accept)

    @property
    def given_up(self) -> bool:
        """Whether a gain has become implausible (non-binding: costs power only)."""
        rule = self._rule
        if not (self.objective and rule.futility):
            return False
        if self.exact:
            return self._exactly() is not Outcome.IMPROVED
        return self._no_gain.proves(rule.alpha_futile)

    def settled_outcome(self) -> Outcome | None:
        """Return the outcome if the evidence suffices now, else None.

        The order is the order of harm: a regression is said before a gain, and giving up last.
        """
        if self.reported_only or len(self.xs) < self._rule.min_pairs:
            return None
        if self.exact:
            return self._exactly()
        if self._regressed():
            return Outcome.REGRESSED
        if not self.objective or not self._rule.gains:
            return Outcome.NEUTRAL if self.harmless else None
        return self._searched()

    def _regressed(self) -> bool:
        rule = self._rule
        if self._beyond.proves(rule.alpha_reject):
            return True
        slower = self._worse.proves(rule.alpha_reject) and not self.harmless
        return slower and self.objective and rule.losses

    def _searched(self) -> Outcome | None:
        rule = self._rule
        if self._better.proves(rule.alpha_improve) and self.harmless:
            return Outcome.IMPROVED
        if rule.accept_neutral and self.harmless:
            return Outcome.NEUTRAL
        return self._unsettled() if self.given_up else None

    def outcome(self) -> Outcome:
        """Return what can be said now, should no more pairs come."""
        if self.reported_only:
            return Outcome.NEUTRAL if self.harmless else Outcome.INCONCLUSIVE
        if self.exact:
            return self._exactly()
        return self.settled_outcome() or self._unsettled()

    def _unsettled(self) -> Outcome:
        return Outcome.NEUTRAL if self.harmless else Outcome.INCONCLUSIVE

    def _exactly(self) -> Outcome:
        base, candidate = statistics.median(self._base), statistics.median(self._candidate)
        gains = self.objective and self._rule.gains
        return exact.outcome(self.spec, self.x(base, candidate), gains=gains)

    def comparison(self, benchmark: str, stage: Stage) -> Comparison:
        """Return the comparison as it stands."""
        spec, outcome = self.spec, self.outcome()
        change, lower, upper = self._changes()
        return Comparison(
            benchmark=benchmark,
            metric=spec.name,
            role=str(spec.role),
            stage=stage,
            outcome=outcome,
            pairs=len(self.xs),
            change=change,
            lower=lower,
            upper=upper,
            margin=spec.margin,
            text=self._text(outcome),
            unit=spec.unit,
            direction=str(spec.direction),
            scale=str(spec.scale),
            source=str(spec.source),
            noise=self._noise(),
        )

    def _changes(self) -> tuple[float | None, float | None, float | None]:
        if not self.xs:
            return None, None, None
        if self.exact:
            base, candidate = statistics.median(self._base), statistics.median(self._candidate)
            change = exact.change(self.spec, base, candidate)
            return change, change, change
        low, high = interval_of(self.spec, *bounds(self.xs, BOUND_ALPHA))
        return change_of(self.spec, hodges_lehmann(self.xs)), low, high

    def _noise(self) -> float | None:
        sd = robust_sd(self.xs)
        if sd is None or self.spec.scale is Scale.RATIO:
            return sd
        return sd * self.spec.margin / REFERENCE

    def _text(self, outcome: Outcome) -> str:
        spec = self.spec
        if self.exact:
            return f"median of {word(spec)}"
        said = sentence(spec, outcome)
        if spec.kind is Kind.EXACT and self.xs:
            apart = amount(spec.scale, spec.unit, self.spread, signed=False)
            said = (
                f"{word(spec)} differs by {apart} between runs of the same code, so that it is "
                f"judged by pairs: {said}"
            )
        return said


def sentence(spec: MetricSpec, outcome: Outcome) -> str:
    """Return what an outcome of the paired rule says."""
    name, margin = word(spec), amount(spec.scale, spec.unit, spec.margin, signed=False)
    better, worse = ("lower", "higher")
    if spec.direction is Direction.HIGHER:
        better, worse = worse, better
    if spec.role is Role.REPORT:
        proven = "proven" if outcome is Outcome.NEUTRAL else "not proven"
        return f"{name} is only reported; it is {proven} to stay within {margin}"
    match outcome:
        case Outcome.IMPROVED:
            return f"{name} is proven {better}, and within the margin of {margin}"
        case Outcome.NEUTRAL:
            return f"{name} is proven not to be worse than the margin of {margin}"
        case Outcome.REGRESSED:
            return f"{name} is proven {worse}, or beyond the margin of {margin}"
        case Outcome.INCONCLUSIVE:
            return f"{name} could not be proven within the margin of {margin}"
