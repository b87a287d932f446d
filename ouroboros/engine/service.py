"""The target's own running process: started, looked after, reloaded, and the judge of promotions.

A verdict is a forecast; here is what came of it. One task keeps the service: it follows the newest
version (whoever moved the branch), and what it sees in `[service] watch` after a promotion counts
against that promotion: a crash, a failed reload, failed health or a broken limit rolls it back at
once, and what got worse over the whole time rolls it back at its end. Outside of that time a crash
is nobody's fault: the service is started again, with growing pauses, and people are told.

Nothing here is remembered that the ledger and the world do not say again: a process that lived on
without us is found by its note, and the newest version is that of the state. So an engine that was
killed at any point goes on where the world stands.
"""

import asyncio
import contextlib
import logging
from collections import deque
from pathlib import Path
from typing import Any

from ouroboros.config_service import ReloadBy, Service
from ouroboros.engine.core import Core
from ouroboros.engine.probes import asked, counted, ran, unhealthy, vital_sample
from ouroboros.engine.process import Child, adopt, start
from ouroboros.engine.promotion import Promoter
from ouroboros.errors import LedgerError, OuroborosError
from ouroboros.governor.vitals import VitalSample, broken, stretch, worse
from ouroboros.model import events as ev
from ouroboros.model.phase import Phase
from ouroboros.model.state import Candidate, State, Version

_log = logging.getLogger(__name__)

_POLL_S = 0.05
_PAUSES_S = (0.0, 1.0, 2.0, 5.0, 10.0, 30.0)
"""Before each further start of a service that does not stay; the last for all that follow."""
_STABLE_S = 60.0
"""Who lived so long is started again at once."""
_SETTLES = 0.1
"""Share of the time after a promotion that is left out of its means: caches warm up."""
_SAMPLES = 20_000


class ServiceKeeper:
    """Keeps one service; belongs to the event loop's thread."""

    def __init__(self, core: Core, promoter: Promoter) -> None:
        self._core = core
        self._promoter = promoter
        self._child: Child | None = None
        self._version = -1
        self._sick = 0
        self._falls = 0
        self._started_s = 0.0
        self._told = ""
        self._served_ns = 0
        """Since when the newest version is served; its watch begins there."""
        self._samples: deque[VitalSample] = deque(maxlen=_SAMPLES)

    # --- life -----------------------------------------------------------------------------------

    @property
    def _config(self) -> Service:
        return self._core.config.config.service

    @property
    def _state_folder(self) -> Path:
        return self._core.deps.ledger.parent

    def newest(self) -> VitalSample | None:
        """What it showed last; None where there is no service."""
        return self._samples[-1] if self._samples else None

    async def run(self) -> None:
        """Look after the service until the engine stops."""
        core = self._core
        await core.recorder.wait_for(lambda _: self._config.configured)
        adopted = self._adopt()
        while True:
            try:
                if adopted:
                    await self._note("adopted", "")
                    adopted = False
                await self._turn()
            except LedgerError as error:
                _log.error("the service is not looked after: %s", error)
                await core.wait_writable()
            except OuroborosError as error:
                await self._tell("service_failed", str(error))
                await self._pause()
            except Exception:  # noqa: BLE001 - the edge: a bug here must not end the care
                _log.exception("the service could not be looked after")
                await self._pause()

    async def close(self) -> None:
        """Leave it running for the next engine, or end it where that is wanted."""
        child, self._child = self._child, None
        if child is None:
            return
        if self._config.stop_with_engine:
            await child.stop(self._config.stop_timeout.seconds)
        else:
            child.leave()

    def _adopt(self) -> bool:
        """Take over what an earlier engine started, at the version that it was started at."""
        if not self._config.command:
            return False
        self._child = adopt(self._state_folder / "service.json")
        if self._child is None:
            return False
        commit = self._child.note.commit
        numbers = [v.number for v in self._core.state.versions if v.commit == commit]
        self._version = numbers[-1] if numbers else -1
        self._started_s = asyncio.get_running_loop().time()
        return self._version >= 0

    async def _turn(self) -> None:
        """Do what is due first: a new version, a process that ended, the next probe."""
        newest = self._core.state.versions[-1]
        if newest.number != self._version:
            await self._take(newest)
        elif self._config.command and (self._child is None or not self._child.alive):
            await self._fallen()
        else:
            await self._probe()
            await self._wait()

    async def _wait(self) -> None:
        """Return at the next probe, or as soon as something else is due."""
        version = self._version

        def moved(state: State) -> bool:
            return state.versions[-1].number != version

        waits: list[asyncio.Future[Any]] = [
            asyncio.ensure_future(self._core.recorder.wait_for(moved))
        ]
        if self._child is not None:
            waits.append(asyncio.ensure_future(self._child.wait()))
        try:
            await asyncio.wait(
                waits,
                timeout=self._config.health.interval.seconds,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for one in waits:
                one.cancel()
            await asyncio.gather(*waits, return_exceptions=True)

    # --- starting and reloading -----------------------------------------------------------------

    async def _take(self, version: Version) -> None:
        """Have the service serve a version; what it cannot serve is undone, or waited for."""
        loop = asyncio.get_running_loop()
        begun = loop.time()
        running = self._child is not None and self._child.alive
        try:
            what = await self._have_it_serve(version, running=running)
            wrong = await self._becomes_healthy(what)
        except OuroborosError as error:
            what, wrong = "failed", str(error)
        self._version = version.number
        self._sick = 0
        took = int((loop.time() - begun) * 1e9)
        if wrong:
            await self._note("failed", wrong)
            await self._blame(
                f"version {version.number} could not be served: {wrong}", served=False
            )
            return
        self._told, self._served_ns = "", self._core.now()
        await self._note(what, "", took_ns=took)

    async def _have_it_serve(self, version: Version, *, running: bool) -> str:
        reload = self._config.reload
        if self._config.command and (not running or reload.by is ReloadBy.RESTART):
            if self._child is not None:
                await self._child.stop(self._config.stop_timeout.seconds)
            await self._start(version)
            return "restarted" if running else "started"
        timeout_s = reload.timeout.seconds
        wrong = ""
        match reload.by:
            case ReloadBy.SIGNAL if self._child is not None:
                self._child.send(reload.signal)
            case ReloadBy.COMMAND:
                wrong = await ran(reload.command, self._config.environment, timeout_s)
            case ReloadBy.HTTP:
                wrong = await asked(reload.url, timeout_s, method="POST")
            case _:
                wrong = "there is nothing to reload"
        if wrong:
            raise OuroborosError(f"The reload failed: {wrong}.")
        return "reloaded"

    async def _start(self, version: Version) -> None:
        core, config = self._core, self._config
        python = await core.python(core.config.config)
        log = self._state_folder / "service.log"
        with contextlib.suppress(FileNotFoundError):
            if log.stat().st_size > config.max_log:
                log.replace(log.with_suffix(".log.1"))
        self._child = await start(
            [part.replace("{python}", python) for part in config.command],
            folder=core.deps.root,
            environment=config.environment,
            log=log,
            note=self._state_folder / "service.json",
            commit=version.commit,
        )
        self._started_s = asyncio.get_running_loop().time()

    async def _becomes_healthy(self, what: str) -> str:
        """Return once it is healthy, or why it is not within its time."""
        config = self._config
        limit = config.reload.timeout if what == "reloaded" else config.start_timeout
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit.seconds
        while True:
            child = self._child
            if config.command and (child is None or not child.alive):
                return await child.wait() if child is not None else "it does not run"
            wrong = await self._wrong()
            if not wrong:
                return ""
            if loop.time() >= deadline:
                return f"not healthy after {limit.seconds:g} s: {wrong}"
            await asyncio.sleep(_POLL_S)

    async def _wrong(self) -> str:
        config = self._config
        if config.status:
            down = await ran(config.status, config.environment, config.health.timeout.seconds)
            if down:
                return down
        return await unhealthy(config.health, config)

    # --- looking --------------------------------------------------------------------------------

    async def _probe(self) -> None:
        """Ask for its health and take a sample; act on what is wrong for long enough."""
        config = self._config
        wrong = await self._wrong()
        await self._sample()
        self._sick = self._sick + 1 if wrong else 0
        if self._sick >= config.health.failures:
            self._sick = 0
            await self._unwell(wrong)
            return
        if self._samples:
            over = broken(self._samples[-1], config.limits)
            if over:
                await self._note("unhealthy", over)
                await self._blame(over)

    async def _sample(self) -> None:
        config = self._config
        page = await counted(config.metrics, config.health.timeout.seconds)
        usage = self._child.usage() if self._child is not None else (0, 0.0)
        self._samples.append(vital_sample(self._core.now(), usage, config.metrics, page))

    async def _unwell(self, wrong: str) -> None:
        await self._note("unhealthy", wrong)
        if await self._blame(f"it is not healthy: {wrong}"):
            return
        if self._config.command and self._child is not None:
            await self._child.stop(self._config.stop_timeout.seconds)  # then it is started again

    async def _fallen(self) -> None:
        """The process is gone: a promotion's fault, or started again after a while."""
        child, self._child = self._child, None
        if child is not None:
            how = await child.wait()
            await self._note("crashed", how)
            if await self._blame(f"the service crashed: {how}"):
                return
        lived = asyncio.get_running_loop().time() - self._started_s
        self._falls = 0 if lived > _STABLE_S else self._falls + 1
        await self._pause()
        self._version = -1  # taken anew

    async def _pause(self) -> None:
        wait = _PAUSES_S[min(self._falls, len(_PAUSES_S) - 1)]
        version = self._version
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._core.recorder.wait_for(
                    lambda s: s.versions[-1].number not in (version, -1)
                )

    # --- judging --------------------------------------------------------------------------------

    def _on_trial(self, *, served: bool) -> Candidate | None:
        """The newest promotion, while it is watched; one that was never served is on trial yet."""
        core = self._core
        newest = core.state.versions[-1]
        candidate = core.state.candidates.get(newest.candidate)
        if candidate is None or candidate.phase is not Phase.PROMOTED:
            return None
        return candidate if not served or core.now() < self._end_of_watch(candidate) else None

    def _end_of_watch(self, c: Candidate) -> int:
        return max(c.since_ns, self._served_ns) + self._config.watch

    async def _blame(self, text: str, *, served: bool = True) -> bool:
        """Undo the promotion that is watched now; False where there is none: people are told."""
        candidate = self._on_trial(served=served)
        if candidate is None:
            await self._tell("service_failed", text)
            return False
        await self._core.alert("regression", "critical", text, candidate.id)
        await self._promoter.rollback_until_it_holds(candidate.id, f"service: {text}")
        return True

    async def settled(self, c: Candidate) -> str:
        """Return, once the watch of a promotion is over, what got worse by it; or empty.

        Empty also where it was rolled back meanwhile, and where there is no service.
        """
        core, config = self._core, self._config
        if not config.configured:
            return ""
        while (left := self._end_of_watch(c) - core.now()) > 0 or not self._serves(c):
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(max(left / 1e9, _POLL_S), 1.0)):
                    await core.recorder.wait_for(
                        lambda s: s.candidates[c.id].phase is not Phase.PROMOTED
                    )
                    return ""
            if not self._config.configured:
                return ""  # it was taken out of the configuration meanwhile
        end = self._end_of_watch(c)
        begin = end - config.watch + int(config.watch * _SETTLES)
        before = [s for s in self._samples if c.since_ns - config.watch <= s.ts < c.since_ns]
        after = [s for s in self._samples if begin <= s.ts < end]
        return worse(stretch(before), stretch(after), config.limits)

    def _serves(self, c: Candidate) -> bool:
        """Whether the service has taken the candidate's version, or a later one."""
        return self._version >= self._core.state.candidates[c.id].version

    async def _note(self, what: str, text: str, *, took_ns: int = 0) -> None:
        pid = self._child.pid if self._child is not None and self._child.alive else 0
        noted = ev.ServiceNoted(
            what=what, version=self._version, text=text, pid=pid, took_ns=took_ns
        )
        await self._core.recorder.record(noted)

    async def _tell(self, code: str, text: str) -> None:
        """Raise an alert, once for the same words."""
        if text != self._told:
            self._told = text
            await self._core.alert(code, "critical", text)
