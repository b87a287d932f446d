"""What an engine shows of itself: health, log, workers, metrics, changes of its configuration."""

from collections.abc import Mapping

import msgspec

from ouroboros.model.evaluation import SandboxLevel
from ouroboros.model.events import Setting


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is not as it should be. `severity`: `warning` or `critical`."""

    code: str
    severity: str
    text: str
    hint: str = ""


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`ok` where nothing critical is wrong: the engine does its work, or was told not to."""

    ok: bool
    problems: tuple[Problem, ...]


class LogLine(msgspec.Struct, frozen=True, kw_only=True):
    """One record of the engine's log; `number` counts from the engine's start."""

    number: int
    ts: int
    level: str
    source: str
    text: str


class LogPage(msgspec.Struct, frozen=True, kw_only=True):
    """Lines in order. `next` is the cursor for the next call; `lost` lines before it are gone."""

    lines: tuple[LogLine, ...]
    next: int
    lost: int = 0


class Worker(msgspec.Struct, frozen=True, kw_only=True):
    """Who evaluates. `busy`: candidates that it works on now; `drained`: it begins none."""

    name: str
    slots: int
    busy: tuple[str, ...]
    sandbox: SandboxLevel | None
    pid: int
    drained: bool = False


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """A series that the engine keeps of itself. `kind`: `gauge` or `counter`."""

    name: str
    unit: str
    kind: str
    text: str


class Points(msgspec.Struct, frozen=True, kw_only=True):
    """A series: a point each `step_s` seconds, mean, least and most of what was seen in it.

    `ts` (UTC ns) is the begin of each step; steps without a sample are left out.
    """

    name: str
    step_s: float
    ts: tuple[int, ...]
    mean: tuple[float, ...]
    least: tuple[float, ...]
    most: tuple[float, ...]


class ConfigChange(msgspec.Struct, frozen=True, kw_only=True):
    """The configuration was another one from here on. `changes` where a human set values."""

    seq: int
    ts: int
    actor: str
    config_hash: str
    reason: str = ""
    changes: Mapping[str, Setting] = {}


class ConfigCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What a configuration would be. `problem` is empty where it is valid; `changed`: keys."""

    ok: bool
    hash: str = ""
    problem: str = ""
    hint: str = ""
    changed: tuple[str, ...] = ()


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """How one sink took an alert; `problem` is empty where it did."""

    sink: str
    ok: bool
    problem: str = ""
