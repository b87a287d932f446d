"""Calibration: the baseline against itself, before anything is measured on a machine.

It says how noisy the machine is for each benchmark, so that one that cannot prove anything here is
not measured at all. A calibration that fails is told once and stops nobody: the noise is then not
known, and the evaluation goes on.
"""

import asyncio

from msgspec.structs import replace

from ouroboros.config import Config
from ouroboros.engine.core import Core, baseline_plan, reason_of
from ouroboros.errors import CancelledByHumanError, LedgerError, OuroborosError
from ouroboros.governor.calibration import stale, table_of
from ouroboros.governor.noise import noise_of
from ouroboros.model import events as ev
from ouroboros.model.evaluation import Series
from ouroboros.model.phase import Phase
from ouroboros.model.state import Candidate

NAME = "calibration"
"""As the executor knows it; no candidate has this id."""


class Calibrator:
    """Calibrates one benchmark after the other; belongs to the event loop's thread."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._lock = asyncio.Lock()
        self._tried: dict[tuple[str, str], int] = {}
        """When (UTC ns) a calibration gave nothing, by name and table."""

    async def ensure(self, c: Candidate, config: Config) -> None:
        """Calibrate what the candidate's evaluation will measure, as far as it is not known."""
        async with self._lock:
            for name in self._wanted(config):
                while not await self._calibrate(c, config, name):
                    pass  # interrupted by a pause, whose end it waits for

    def _wanted(self, config: Config) -> tuple[str, ...]:
        core = self._core
        now, every = core.now(), config.governor.calibration.every
        names = stale(core.state, config, machine=core.deps.executor.machine, now_ns=now)
        tried = {name: self._tried.get((name, table_of(config, name))) for name in names}
        return tuple(n for n, at in tried.items() if at is None or now - at >= every)

    async def _calibrate(self, c: Candidate, config: Config, name: str) -> bool:
        """Calibrate one benchmark while work may start; False where it was interrupted."""
        core = self._core
        await core.recorder.wait_for(lambda s: core.open or _gone(s.candidates[c.id]))
        if _gone(core.state.candidates[c.id]):
            return True
        plan = await baseline_plan(core, NAME, c.base, config)
        core.measuring.add(NAME)
        try:
            found = await core.deps.executor.calibrate(plan, (name,))
            await self._record(found, config, name)
        except CancelledByHumanError:
            return False
        except LedgerError:
            raise
        except OuroborosError as error:
            self._tried[name, table_of(config, name)] = core.now()
            text = (
                f"The noise of {name} on this machine could not be measured, so that it is not "
                f"known: {reason_of(error)}"
            )
            await core.alert("calibration_failed", "warning", text)
        finally:
            core.measuring.discard(NAME)
        return True

    async def _record(self, found: tuple[Series, ...], config: Config, name: str) -> None:
        """Write what was found; of what gives no noise it is remembered that it was tried."""
        core, machine = self._core, self._core.deps.executor.machine
        for series in found:
            table = table_of(config, series.benchmark)
            noise = noise_of(series, config, machine, core.now())
            named = tuple(replace(n, table=table) for n in noise)
            await core.recorder.record(ev.Calibrated(series=series, noise=named))
        if name not in {n.benchmark for n in core.state.noise if n.machine == machine}:
            self._tried[name, table_of(config, name)] = core.now()


def _gone(c: Candidate) -> bool:
    return c.phase is not Phase.APPLIED
