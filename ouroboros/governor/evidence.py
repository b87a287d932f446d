"""What the governor looks at, and what its numbers say before anything is decided. Pure."""

from collections.abc import Iterator, Sequence

import msgspec

from ouroboros.config import Config
from ouroboros.errors import MeasurementError
from ouroboros.governor import exact
from ouroboros.governor.compare import Sequential, replay, rule_for
from ouroboros.governor.specs import measured
from ouroboros.model.evaluation import Evaluation, Series, Stage
from ouroboros.model.metric import Direction, Role, Scale, Source, amount
from ouroboros.model.proposal import FileChange, Mark
from ouroboros.model.verdict import Comparison, Context, Moment, Outcome, Reason

HARMLESS = frozenset({Outcome.NEUTRAL, Outcome.IMPROVED})
"""Outcomes that prove a metric to be within its margin."""


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """What the governor looks at, all of it from the ledger.

    `context` is what the evaluation was started with (None: nothing is known), `moment` when and
    amid what the answer is given (None: limits that depend on it are not looked at).
    """

    evaluation: Evaluation
    files: tuple[FileChange, ...]
    marks: tuple[Mark, ...]
    config: Config
    config_hash: str
    proposer: str = ""
    context: Context | None = None
    moment: Moment | None = None

    @property
    def anchor(self) -> str:
        """The commit that it must also be compared with; empty where that was not asked for."""
        return self.context.anchor if self.context else ""

    @property
    def too_noisy(self) -> tuple[str, ...]:
        """What was not measured, because this machine is too noisy for it."""
        return self.context.too_noisy if self.context else ()


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """What the measurements say. `apart` are exact metrics that were not taken with pairs."""

    paired: tuple[Comparison, ...]
    apart: tuple[Comparison, ...]
    given_up: frozenset[tuple[str, str, str]]
    """Objectives (benchmark, metric, stage) of which no gain is in sight."""

    @property
    def all(self) -> tuple[Comparison, ...]:
        """All comparisons, paired ones first."""
        return (*self.paired, *self.apart)

    @property
    def own(self) -> tuple[Comparison, ...]:
        """Comparisons with the baseline that decide something."""
        return tuple(c for c in self.all if c.stage != Stage.ANCHOR and c.role != Role.REPORT)

    @property
    def with_anchor(self) -> tuple[Comparison, ...]:
        """Comparisons with the anchor that decide something."""
        return tuple(c for c in self.all if c.stage == Stage.ANCHOR and c.role != Role.REPORT)

    @property
    def confirmed(self) -> tuple[Comparison, ...]:
        """Gains that count: proven twice, or of numbers that need no pairs at all.

        The screening has the level of the test, the confirmation is on fresh pairs: the same metric
        must show in both.
        """
        screened = {
            (c.benchmark, c.metric)
            for c in self.paired
            if c.stage == Stage.SCREEN and c.outcome is Outcome.IMPROVED
        }
        paired = [
            c
            for c in self.paired
            if c.stage == Stage.CONFIRM and (c.benchmark, c.metric) in screened
        ]
        apart = [c for c in self.apart if c.stage != Stage.ANCHOR]
        return tuple(
            c
            for c in (*paired, *apart)
            if c.role == Role.OBJECTIVE and c.outcome is Outcome.IMPROVED
        )


def findings(evidence: Evidence) -> Findings:
    """Return what the measurements say.

    A comparison with the anchor is only looked at where the context asks for one.

    Raises:
        MeasurementError: samples that cannot be compared, or that no configured metric explains.
    """
    replayed = dict(_replays(evidence))
    stages = {Stage.SCREEN, Stage.CONFIRM, *({Stage.ANCHOR} if evidence.anchor else ())}
    values = [one for one in evidence.evaluation.exact if one.stage in stages]
    paired = tuple(
        comparison
        for (name, stage), sequential in replayed.items()
        for comparison in sequential.comparisons(name, stage)
    )
    given_up = frozenset(
        (c.benchmark, c.metric, c.stage)
        for c in paired
        if replayed[c.benchmark, Stage(c.stage)].gave_up(c.metric)
    )
    apart = exact.comparisons(values, evidence.config)
    return Findings(paired=paired, apart=apart, given_up=given_up)


def _replays(evidence: Evidence) -> Iterator[tuple[tuple[str, Stage], Sequential]]:
    seen: set[tuple[str, Stage]] = set()
    for series in evidence.evaluation.series:
        if series.stage is Stage.CALIBRATE or (
            series.stage is Stage.ANCHOR and not evidence.anchor
        ):
            continue
        key = (series.benchmark, series.stage)
        if key in seen:
            raise MeasurementError(
                f"Expected one series of {series.benchmark} in the stage {series.stage}, found two."
            )
        seen.add(key)
        yield key, _replay(evidence, series)


def _replay(evidence: Evidence, series: Series) -> Sequential:
    if series.benchmark not in measured(evidence.config):
        raise MeasurementError(
            f"{series.benchmark} was measured, but the configuration has no such benchmark.",
            hint="The configuration changed while the candidate was evaluated; evaluate it again.",
        )
    level = evidence.context.alpha_improve if evidence.context else None
    rule = rule_for(evidence.config, series.benchmark, series.stage, alpha_improve=level)
    return replay(series, rule)


def gain_of(comparisons: Sequence[Comparison]) -> float | None:
    """Return the largest gain among confirmed comparisons as a fraction; None where there is none.

    What a run says of itself, and differences in units, are no fraction that policy could rely on.
    """
    gains = [
        c.change if c.direction == Direction.HIGHER else -c.change
        for c in comparisons
        if c.change is not None and c.scale == Scale.RATIO and c.source != Source.REPORTED
    ]
    return max(gains, default=None)


def reason(code: str, c: Comparison) -> Reason:
    """Return a comparison as a reason."""
    return Reason(code=code, text=f"{c.benchmark}: {c.metric} {numbers(c)}; {c.text}.")


def numbers(c: Comparison) -> str:
    """Return `-23.4% (-27.1% .. -19.8%), 14 pairs` with open bounds shown as `?`."""

    def shown(value: float | None) -> str:
        return "?" if value is None else amount(c.scale, c.unit, value)

    spread = "" if c.lower == c.upper else f" ({shown(c.lower)} .. {shown(c.upper)})"
    return f"{shown(c.change)}{spread}, {c.pairs} pairs"
