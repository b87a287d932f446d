"""Which metrics a benchmark or challenge has, with every default decided. Pure."""

from collections.abc import Mapping

from ouroboros.config import Benchmark, Challenge, Config, Governor, Metric
from ouroboros.model.evaluation import CHALLENGE
from ouroboros.model.metric import (
    BUILT_IN,
    CPU,
    INSTRUCTIONS,
    MEMORY,
    WALL,
    Kind,
    MetricSpec,
    Pairing,
    Role,
    Source,
)

_UNITS = {CPU: "ns", WALL: "ns", MEMORY: "bytes", INSTRUCTIONS: "instructions"}
INSTRUCTIONS_MARGIN = 0.005
"""Instruction counts of the same code spread by 0.006 %; half a percent is already a change."""


def measured(config: Config) -> dict[str, Benchmark | Challenge]:
    """Return what is measured, by the names of its series: challenges first, then benchmarks."""
    challenges = {f"{CHALLENGE}{name}": spec for name, spec in config.challenges.items()}
    return {**challenges, **config.benchmarks}


def specs_of(config: Config, name: str) -> tuple[MetricSpec, ...]:
    """Return the metrics of one benchmark or challenge, objectives first.

    Args:
        config: the configuration.
        name: as the series is named.
    """
    measure = measured(config)[name]
    own: Mapping[str, Metric] = measure.metrics if isinstance(measure, Benchmark) else {}
    names = dict.fromkeys((CPU, WALL, MEMORY, *own))
    specs = [_spec(config.governor, measure, metric, own.get(metric, Metric())) for metric in names]
    order = list(Role)
    return tuple(sorted(specs, key=lambda s: order.index(s.role)))


def in_pairs(config: Config, name: str) -> tuple[MetricSpec, ...]:
    """Return the metrics of which each pair has a value, objectives first."""
    apart = {spec.name for spec in taken_apart(config, name)}
    return tuple(spec for spec in specs_of(config, name) if spec.name not in apart)


def taken_apart(config: Config, name: str) -> tuple[MetricSpec, ...]:
    """Return the metrics that are not taken with pairs: instructions and sizes of files.

    Their values come as `Evaluation.exact`.
    """
    measure = measured(config)[name]
    own: Mapping[str, Metric] = measure.metrics if isinstance(measure, Benchmark) else {}
    files = {metric for metric, spec in own.items() if spec.files}
    return tuple(s for s in specs_of(config, name) if s.name == INSTRUCTIONS or s.name in files)


def objectives(config: Config) -> int:
    """Return how many objectives there are over everything that is measured."""
    return sum(
        spec.role is Role.OBJECTIVE for name in measured(config) for spec in specs_of(config, name)
    )


def _spec(
    governor: Governor, measure: Benchmark | Challenge, name: str, metric: Metric
) -> MetricSpec:
    return MetricSpec(
        name=name,
        unit=metric.unit or _unit(name, metric),
        direction=metric.direction,
        kind=metric.kind or _kind(name, metric),
        role=_role(measure, name, metric),
        scale=metric.scale,
        source=_source(measure, name, metric),
        margin=_margin(governor, measure, name, metric),
        min_gain=governor.min_gain if metric.min_gain is None else metric.min_gain,
    )


def _unit(name: str, metric: Metric) -> str:
    return "bytes" if metric.files else _UNITS.get(name, "")


def _kind(name: str, metric: Metric) -> Kind:
    exact = name in {MEMORY, INSTRUCTIONS} or metric.files
    return Kind.EXACT if exact else Kind.PAIRED


def _role(measure: Benchmark | Challenge, name: str, metric: Metric) -> Role:
    """A duet's wall time is biased (docs/statistics.md), so that it never decides."""
    if name == WALL and isinstance(measure, Benchmark) and measure.pairing is Pairing.DUET:
        return Role.REPORT
    if metric.role is not None:
        return metric.role
    if name == CPU:
        return Role.OBJECTIVE
    return Role.GUARD if name in BUILT_IN or metric.files else Role.REPORT


def _source(measure: Benchmark | Challenge, name: str, metric: Metric) -> Source:
    if name == INSTRUCTIONS:
        return Source.REPORTED  # see `evaluation.exact`: who runs under callgrind can stop it
    if name in BUILT_IN or metric.files:
        return Source.HARNESS
    judged = isinstance(measure, Benchmark) and measure.evaluator
    return Source.JUDGED if judged else Source.REPORTED


def _margin(governor: Governor, measure: Benchmark | Challenge, name: str, metric: Metric) -> float:
    if metric.max_degradation is not None:
        return metric.max_degradation
    usual = {
        WALL: governor.max_wall_degradation,
        MEMORY: governor.max_memory_degradation,
        INSTRUCTIONS: INSTRUCTIONS_MARGIN,
    }
    own = measure.max_degradation
    return usual.get(name, governor.max_degradation if own is None else own)
