"""When a benchmark is calibrated: before its first use on a machine, later, or after a change."""

import hashlib

from ouroboros.config import Config
from ouroboros.governor.specs import measured
from ouroboros.model.state import State


def table_of(config: Config, name: str) -> str:
    """Return what identifies the own table of a benchmark or challenge, as its series is named."""
    return hashlib.sha256(repr(measured(config)[name]).encode()).hexdigest()[:16]


def stale(state: State, config: Config, *, machine: str, now_ns: int) -> tuple[str, ...]:
    """Return the names of what has no calibration of this machine that is still good."""
    wanted = config.governor.calibration
    if not wanted.enabled:
        return ()
    good = {
        (n.benchmark, n.table)
        for n in state.noise
        if n.machine == machine and now_ns - n.measured_ns < wanted.every
    }
    return tuple(n for n in measured(config) if (n, table_of(config, n)) not in good)
