"""Configurations that are well-typed and contradict themselves, or could never accept anything.

A threshold that cannot be reached is found out here, with its line, and not after a night in which
everything was held. `ouroboros.config` turns what this returns into errors.
"""

import math
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, NamedTuple

from ouroboros.model.metric import (
    BUILT_IN,
    CPU,
    INSTRUCTIONS,
    MEMORY,
    WALL,
    Direction,
    Kind,
    Pairing,
    Role,
    Scale,
    fewest_pairs,
)

if TYPE_CHECKING:
    from ouroboros.config import Benchmark, Config, Metric


class Contradiction(NamedTuple):
    """What is wrong, and the keys that it may be wrong in: the first that is written is shown."""

    text: str
    keys: tuple[str, ...]


def contradictions(config: "Config") -> Iterator[Contradiction]:
    """Return what makes no sense; the most telling first."""
    for name, benchmark in config.benchmarks.items():
        yield from _benchmark(f"benchmarks.{name}", benchmark)
    yield from _governor(config)
    yield from _reachable(config)
    yield from _autonomy(config)


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_LONGEST_UNIT = 24


def _benchmark(key: str, benchmark: "Benchmark") -> Iterator[Contradiction]:
    for name, metric in benchmark.metrics.items():
        own = f"{key}.metrics.{name}"
        if not _NAME.fullmatch(name):
            text = f"A metric's name is made of letters, digits, '_', '-', '.', got {name!r}"
            yield Contradiction(text, (own, f"{key}.metrics", key))
            continue
        for found in (
            *_built_in(name, metric, benchmark),
            *_files(metric),
            *_numbers(metric, _role(name, metric), _kind(name, metric)),
        ):
            option, text = found
            yield Contradiction(text, (f"{own}.{option}", own, f"{key}.metrics", key))
    reported = [n for n, m in benchmark.metrics.items() if n not in BUILT_IN and not m.files]
    if benchmark.evaluator and not reported:
        text = "An evaluator needs a metric that it reports, in [benchmarks.NAME.metrics.METRIC]"
        yield Contradiction(text, (f"{key}.evaluator",))


Option = tuple[str, str]
"""An option of a metric, and what is wrong with it."""


def _built_in(name: str, metric: "Metric", benchmark: "Benchmark") -> Iterator[Option]:
    ours = name in BUILT_IN
    if ours and metric.files:
        yield "files", f"{name} is measured by the harness: name the size of files otherwise"
    if (ours or metric.files) and metric.direction is not Direction.LOWER:
        yield "direction", f"Of {_of(name)}, lower is always better"
    if (ours or metric.files) and metric.scale is not Scale.RATIO:
        yield "scale", f"{_of(name).capitalize()} is always positive and compared by ratio"
    if name in {CPU, WALL} and metric.kind is Kind.EXACT:
        yield "kind", f"{name} is never the same in two runs: it is judged by pairs"
    if (name == INSTRUCTIONS or metric.files) and metric.kind is Kind.PAIRED:
        yield "kind", f"{_of(name).capitalize()} is not taken with each pair: it is exact"
    duet = benchmark.pairing is Pairing.DUET
    if name == WALL and duet and metric.role not in {None, Role.REPORT}:
        yield "role", 'With pairing = "duet", wall time is biased and can only be reported'


def _of(name: str) -> str:
    return name if name in BUILT_IN else "the size of files"


def _files(metric: "Metric") -> Iterator[Option]:
    for glob in metric.files:
        if not glob or glob.startswith("/") or ".." in glob.split("/") or "\0" in glob:
            yield "files", f"Expected a glob of files inside of the tree, got {glob!r}"


def _role(name: str, metric: "Metric") -> Role:
    """Return the role as `governor.specs` decides it (a duet's wall time apart)."""
    if metric.role is not None:
        return metric.role
    if name == CPU:
        return Role.OBJECTIVE
    return Role.GUARD if name in BUILT_IN or metric.files else Role.REPORT


def _kind(name: str, metric: "Metric") -> Kind:
    exact = name in {MEMORY, INSTRUCTIONS} or metric.files
    return metric.kind or (Kind.EXACT if exact else Kind.PAIRED)


def _numbers(metric: "Metric", role: Role, kind: Kind) -> Iterator[Option]:
    ratio = metric.scale is Scale.RATIO
    margin, gain = metric.max_degradation, metric.min_gain
    if margin is not None and not (0 < margin < math.inf):
        may_be_zero = ratio and kind is Kind.EXACT and margin == 0
        if not may_be_zero:
            yield "max_degradation", f"Expected a margin above 0, got {margin}"
    elif margin is not None and ratio and role is Role.OBJECTIVE and margin >= 1:
        text = f"The margin of an objective is below 1 (which is 100 %), got {margin}"
        yield "max_degradation", text
    if gain is not None and not (0 < gain < (1 if ratio else math.inf)):
        most = "between 0 and 1" if ratio else "above 0"
        yield "min_gain", f"Expected a gain {most}, got {gain}"
    if not ratio and role is not Role.REPORT and margin is None:
        text = 'With scale = "difference", the margin is in the metric\'s own unit: set it'
        yield "max_degradation", text
    if not ratio and role is Role.OBJECTIVE and gain is None:
        text = 'With scale = "difference", the smallest gain is in the metric\'s own unit: set it'
        yield "min_gain", text
    if len(metric.unit) > _LONGEST_UNIT or not metric.unit.isprintable():
        yield "unit", f"Expected at most {_LONGEST_UNIT} printable characters, got {metric.unit!r}"


_FEWEST_CALIBRATION = 4
_LEAST_SIMILAR = 0.5


def _governor(config: "Config") -> Iterator[Contradiction]:
    budget, calibration = config.governor.budget, config.governor.calibration
    limits = config.governor.limits
    for name in ("fdr_level", "anchor_gain"):
        value = getattr(budget, name)
        if not 0 < value < 1:
            text = f"Expected a fraction between 0 and 1, got {value}"
            yield Contradiction(text, (f"governor.budget.{name}",))
    if not _LEAST_SIMILAR < budget.similarity <= 1:
        text = f"Expected more than {_LEAST_SIMILAR} and at most 1, got {budget.similarity}"
        yield Contradiction(text, ("governor.budget.similarity",))
    counts = {"budget.anchor_every": (budget.anchor_every, 1)}
    counts["calibration.pairs"] = (calibration.pairs, _FEWEST_CALIBRATION)
    for name in (
        "promotions_per_day",
        "promotions_per_proposer",
        "quorum",
        "reviewed_quorum",
        "rollbacks_in_a_row",
    ):
        counts[f"limits.{name}"] = (getattr(limits, name), 1)
    for name, (value, least) in counts.items():
        if value < least:
            text = f"Expected a whole number of at least {least}, got {value}"
            yield Contradiction(text, (f"governor.{name}",))
    if not 0 < calibration.too_noisy < math.inf:
        text = f"Expected a factor above 0, got {calibration.too_noisy}"
        yield Contradiction(text, ("governor.calibration.too_noisy",))
    yield from _globs("governor.limits.reviewed", limits.reviewed)


def _reachable(config: "Config") -> Iterator[Contradiction]:
    """Yield what could never be accepted, however good the candidate."""
    measured = len(config.benchmarks) + len(config.challenges)
    if not measured:
        return
    governor, objectives = config.governor, _objectives(config)
    if not objectives and not governor.accept_neutral:
        text = (
            "No metric is an objective and accept_neutral is false, so that nothing could ever be "
            'accepted: give one metric role = "objective"'
        )
        named = [f"benchmarks.{n}.metrics.{CPU}" for n in config.benchmarks]
        tables = [f"benchmarks.{n}" for n in config.benchmarks]
        inside = [f"{n}.role" for n in named]
        yield Contradiction(text, (*inside, *named, *tables, "governor"))
    levels = {"alpha_accept": governor.alpha_accept}
    if not governor.accept_neutral:
        levels["alpha_improve"] = governor.alpha_improve / max(1, objectives)
    for name, level in levels.items():
        need = fewest_pairs(level)
        if need <= governor.max_pairs:
            continue
        split = f", split over {objectives} objectives," if level != getattr(governor, name) else ""
        text = (
            f"{name} = {getattr(governor, name)}{split} needs {need} pairs even of a candidate "
            f"that is twice as good without any noise, and max_pairs is {governor.max_pairs}, so "
            "that nothing could ever be accepted"
        )
        yield Contradiction(text, ("governor.max_pairs", f"governor.{name}", "governor"))


def _objectives(config: "Config") -> int:
    """Return how many objectives there are: CPU time of each challenge is always one."""
    found = len(config.challenges)
    for benchmark in config.benchmarks.values():
        if CPU not in benchmark.metrics:
            found += 1
        found += sum(_role(n, m) is Role.OBJECTIVE for n, m in benchmark.metrics.items())
    return found


def _autonomy(config: "Config") -> Iterator[Contradiction]:
    allowed = config.governor.autonomy
    for name in ("paths", "proposers"):
        key = f"governor.autonomy.{name}"
        if not getattr(allowed, name):
            text = 'Expected at least one glob; mode = "supervised" leaves nothing to the engine'
            yield Contradiction(text, (key,))
        yield from _globs(key, getattr(allowed, name))
    if not 0 <= allowed.min_gain < 1:
        text = f"Expected a fraction of at least 0 and below 1, got {allowed.min_gain}"
        yield Contradiction(text, ("governor.autonomy.min_gain",))


def _globs(key: str, globs: Sequence[str]) -> Iterator[Contradiction]:
    for glob in globs:
        if not glob.strip() or glob.startswith("/") or ".." in glob.split("/"):
            text = f"Expected a glob relative to the repository, got {glob!r}"
            yield Contradiction(text, (key,))
