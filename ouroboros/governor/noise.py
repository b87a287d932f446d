"""How noisy a machine is for a benchmark, and whether its margins can be proven there. Pure.

Measured on the baseline against itself. A margin far below the noise of a pair cannot be proven in
any reasonable number of pairs: to say so beforehand costs ten pairs, to find out by trying costs
all of them, each time.
"""

import math
from collections.abc import Sequence

import msgspec

from ouroboros.config import Config
from ouroboros.governor.compare import replay, rule_for
from ouroboros.governor.eprocess import robust_sd
from ouroboros.governor.specs import in_pairs, measured
from ouroboros.governor.values import REFERENCE, margin_x, word
from ouroboros.model.evaluation import Series, Stage
from ouroboros.model.metric import Kind, MetricSpec, Noise, Role, Scale, amount, pairs_needed


class TooNoisy(msgspec.Struct, frozen=True, kw_only=True):
    """A metric whose margin this machine cannot prove.

    `sd` and `margin` are in words; `pairs` is how many pairs it would need. Only where an objective
    is `skipped` is its benchmark not measured.
    """

    benchmark: str
    metric: str
    sd: str
    margin: str
    pairs: int
    skipped: bool
    text: str


def noise_of(series: Series, config: Config, machine: str, now_ns: int) -> tuple[Noise, ...]:
    """Return the noise of each paired metric, from pairs of the baseline against itself.

    Args:
        series: of the stage `calibrate`.
        config: the configuration in force.
        machine: as evaluations name it.
        now_ns: UTC.

    Raises:
        MeasurementError: samples that cannot be compared.
    """
    rule = rule_for(config, series.benchmark, Stage.CALIBRATE)
    paired = {spec.name for spec in rule.metrics if spec.kind is Kind.PAIRED}
    return tuple(
        Noise(
            benchmark=series.benchmark,
            metric=metric,
            machine=machine,
            sd=sd,
            pairs=len(xs),
            measured_ns=now_ns,
        )
        for metric, xs in replay(series, rule).xs()
        if metric in paired and (sd := robust_sd(xs)) is not None
    )


def too_noisy(config: Config, noise: Sequence[Noise], machine: str) -> tuple[TooNoisy, ...]:
    """Return the metrics whose margins cannot be proven on a machine.

    Args:
        config: the configuration in force.
        noise: calibrations; of several of one metric, the newest counts.
        machine: as evaluations name it; what was measured elsewhere says nothing.
    """
    newest = {
        (n.benchmark, n.metric): n
        for n in sorted(noise, key=lambda n: n.measured_ns)
        if n.machine == machine
    }
    return tuple(
        _said(name, spec, newest[name, spec.name].sd)
        for name in measured(config)
        for spec in in_pairs(config, name)
        if spec.role is not Role.REPORT
        and (name, spec.name) in newest
        and newest[name, spec.name].sd > config.governor.calibration.too_noisy * margin_x(spec)
    )


def not_measured(found: Sequence[TooNoisy]) -> tuple[str, ...]:
    """Return the benchmarks and challenges that are not worth measuring, each once.

    One objective suffices: nothing is accepted before each of them is proven to be harmless.
    """
    return tuple(dict.fromkeys(one.benchmark for one in found if one.skipped))


def _said(name: str, spec: MetricSpec, sd: float) -> TooNoisy:
    ratio = spec.scale is Scale.RATIO
    noise = math.expm1(sd) if ratio else sd * spec.margin / REFERENCE
    shown = amount(spec.scale, spec.unit, noise, signed=False)
    margin = amount(spec.scale, spec.unit, spec.margin, signed=False)
    pairs = pairs_needed(sd, margin_x(spec))
    skipped = spec.role is Role.OBJECTIVE
    what = "was not measured" if skipped else "is measured all the same"
    return TooNoisy(
        benchmark=name,
        metric=spec.name,
        sd=shown,
        margin=margin,
        pairs=pairs,
        skipped=skipped,
        text=(
            f"{name}: {word(spec)} {what}: noise {shown}, margin {margin}, would need {pairs} pairs"
            " on this machine."
        ),
    )
