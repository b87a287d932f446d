"""The loop: when a cycle is due, ask the proposers, and see what they bring to its verdict.

A cycle ends when nothing it brought is between proposal and verdict any more; holds do not keep
it. Proposals from outside (the inbox) do not wait for a cycle: they enter the pipeline at once and
belong to cycle 0.
"""

import asyncio
import hashlib
import logging
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from ouroboros.engine.core import Core, reason_of
from ouroboros.engine.pipeline import Pipeline
from ouroboros.errors import (
    BusyError,
    ConfigError,
    LedgerError,
    OuroborosError,
    ProposerError,
    WrongPhaseError,
)
from ouroboros.evaluation.plan import Plan
from ouroboros.model import events as ev
from ouroboros.model.phase import IN_FLIGHT, Phase
from ouroboros.model.progress import HotSpot
from ouroboros.model.proposal import Proposal
from ouroboros.proposers import Context
from ouroboros.search.context import asking_order, context_for

_log = logging.getLogger(__name__)

_SECOND = 1_000_000_000
PROPOSE_TIMEOUT_S = 300.0
"""A proposer that takes longer has failed for this cycle."""


class Cycles:
    """Starts cycles by interval, by trigger, or at once while ideas are left."""

    def __init__(self, core: Core, pipeline: Pipeline) -> None:
        self._core = core
        self._pipeline = pipeline
        self._wake = asyncio.Event()
        self._manual = False
        self._again = False
        self._counter = 0
        self._profile: tuple[tuple[str, str], tuple[HotSpot, ...]] | None = None
        """Of the newest baseline and configuration; empty where profiling failed (told once)."""
        self.next_ns = 0
        """When the next cycle is due (UTC ns)."""
        self.running = False

    def trigger(self) -> int:
        """Ask for a cycle now; returns its number.

        Raises:
            WrongPhaseError: paused, halted or stopping.
        """
        core = self._core
        if core.stopped:
            why = core.halted or core.low or core.state.pause_reason or "the engine is stopping"
            halted = core.halted or core.low
            state = "paused" if core.state.paused else "halted" if halted else "stopping"
            raise WrongPhaseError(
                f"No cycle starts while the engine is {state} ({why}).",
                hint="Resume first.",
            )
        self._manual = True
        self._wake.set()
        return core.state.cycles + 1

    async def run(self) -> None:
        """Run until the engine stops."""
        core = self._core
        while not core.draining:
            await self._due()
            await core.wait_open()
            await core.recorder.wait_for(lambda _: self._room())
            trigger = "manual" if self._manual else "interval"
            self._manual = self._again = False
            self.next_ns = core.now() + core.config.config.engine.interval
            try:
                await self._cycle(trigger)
            except LedgerError as error:
                _log.error("cycle given up: %s", error)

    def plan_first(self) -> None:
        """Say when a starting engine's first cycle is due: a restart does not reset the clock."""
        core, engine = self._core, self._core.config.config.engine
        last = core.state.cycle
        if last is None or not last.finished_ns or (engine.drain_ideas and last.proposals):
            self.next_ns = core.now()
        else:
            self.next_ns = max(core.now(), last.started_ns + engine.interval)

    def next_id(self) -> str:
        """Return a fresh candidate id: `c1`, `c2`, ..."""
        state = self._core.state
        known = (int(name[1:]) for name in state.candidates)
        self._counter = max(self._counter, state.candidate_floor, max(known, default=0)) + 1
        return f"c{self._counter}"

    def _room(self) -> bool:
        flying = sum(c.phase in IN_FLIGHT for c in self._core.state.candidates.values())
        return flying < self._core.config.config.engine.max_in_flight

    async def _due(self) -> None:
        """Wait for the interval or a trigger; not at all while ideas are being drained."""
        while not (self._manual or self._again):
            left = (self.next_ns - self._core.now()) / _SECOND
            if left <= 0:
                return
            self._wake.clear()
            try:
                # Short enough that a clock that was set does not postpone a cycle for ever.
                async with asyncio.timeout(min(left, 60)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _cycle(self, trigger: str) -> None:
        core = self._core
        self.running = True
        number = core.state.cycles + 1
        brought: list[str] = []
        outcome, text = "error", ""
        try:
            await self._reload_config()
            base = await core.git(core.deps.repository.head, core.branch)
            await core.recorder.record(ev.CycleStarted(cycle=number, trigger=trigger, base=base))
            brought, text = await self._ask(number, base)
            await self._pipeline.settled(brought)
            outcome = "proposed" if brought else "error" if text else "idle"
        except LedgerError:
            raise
        except OuroborosError as error:
            text = reason_of(error)
            await core.alert("cycle_failed", "warning", f"Cycle {number}: {text}")
        except Exception as error:  # noqa: BLE001 - the edge: the loop outlives a failing disk or bug
            _log.exception("cycle %d failed", number)
            text = f"{type(error).__name__}: {error}"
            await core.alert("cycle_failed", "warning", f"Cycle {number}: {text}")
        finally:
            self.running = False
        if core.state.cycle is None or core.state.cycle.number != number:
            return
        done = ev.CycleFinished(cycle=number, outcome=outcome, proposals=len(brought), text=text)
        await core.recorder.record(done)
        judged = any(core.state.candidates[n].phase is not Phase.ERRORED for n in brought)
        self._again = judged and core.config.config.engine.drain_ideas

    async def _ask(self, number: int, base: str) -> tuple[list[str], str]:
        """Ask each proposer in turn until the cycle has enough; returns ids and what failed."""
        core = self._core
        brought: list[str] = []
        faults: list[str] = []
        wanted = core.config.config.engine.proposals_per_cycle
        hot_spots, fault = await self._hot_spots(base)
        faults += [fault] if fault else []
        async with self._tree(base) as tree:
            names = asking_order(sorted(core.deps.proposers), number - 1)
            while names and len(brought) < wanted:
                context = context_for(
                    core.state, base=base, tree=tree, hot_spots=hot_spots, config=core.config.config
                )
                proposal, fault = await self._propose(names[0], context)
                faults += [fault] if fault else []
                if proposal is None:
                    names = names[1:]
                else:
                    brought.append(await self.take(proposal, cycle=number))
        if faults:
            await core.alert("proposer_failed", "warning", "; ".join(faults))
        return brought, "; ".join(faults)

    async def _propose(self, name: str, context: Context) -> tuple[Proposal | None, str]:
        """Ask one proposer; returns its proposal, or why it failed."""
        try:
            async with asyncio.timeout(PROPOSE_TIMEOUT_S):
                return await self._core.deps.proposers[name].propose(context), ""
        except TimeoutError:
            return None, f"{name} took longer than {PROPOSE_TIMEOUT_S:.0f} s"
        except ProposerError as error:
            return None, f"{name}: {reason_of(error)}"
        except Exception as error:  # noqa: BLE001 - foreign ground; one proposer's bug is its own
            _log.exception("proposer %s failed", name)
            return None, f"{name}: {type(error).__name__}: {error}"

    async def take(self, proposal: Proposal, *, cycle: int, actor: str = "", idem: str = "") -> str:
        """Write a proposal into the ledger and start its drive; returns the candidate's id."""
        core = self._core
        content = proposal.diff.encode(errors="surrogateescape")
        diff = await core.put_evidence(content)
        name = self.next_id()
        event = ev.Proposed(
            candidate=name,
            cycle=cycle,
            proposer=proposal.proposer,
            title=proposal.title,
            rationale=proposal.rationale,
            base=proposal.base,
            diff=diff,
            idea=proposal.idea or f"diff:{hashlib.sha256(content).hexdigest()}",
            predicted_gain=proposal.predicted_gain,
            cost=proposal.cost,
        )
        stored = await core.recorder.record(
            event, actor=actor or f"proposer:{proposal.proposer}", idem=idem
        )
        taken = stored.entry.event
        if not isinstance(taken, ev.Proposed):
            raise BusyError(f"The idempotency key {idem!r} belongs to another request.")
        self._pipeline.start(taken.candidate)
        return taken.candidate

    @asynccontextmanager
    async def _tree(self, base: str) -> AsyncIterator[Path]:
        """Export the baseline for proposers to read; gone afterwards."""
        core = self._core
        folder = core.deps.cache / "proposing" / core.deps.new_id()
        try:
            await core.git(core.deps.repository.export, base, folder)
            yield folder
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    async def _hot_spots(self, base: str) -> tuple[tuple[HotSpot, ...], str]:
        """Profile the baseline once per commit and configuration; a fault is told, not fatal."""
        core = self._core
        key = (base, core.config.hash)
        if self._profile and self._profile[0] == key:
            return self._profile[1], ""
        if not core.config.config.benchmarks or not core.deps.proposers:
            return (), ""
        config = core.config.config
        plan = Plan(
            candidate="",
            attempt=0,
            repository=str(core.deps.root),
            base_commit=base,
            candidate_commit=base,
            changed=(),
            config=config,
            python=await core.python(config),
            seed=core.deps.seed(),
        )
        fault = ""
        spots: tuple[HotSpot, ...] = ()
        try:
            spots = await core.deps.executor.profile(plan)
        except OuroborosError as error:
            fault = f"profile: {reason_of(error)}"
        self._profile = (key, spots)
        return spots, fault

    async def _reload_config(self) -> None:
        """Take up a changed `ouroboros.toml`; a bad one is told and the old one stays in force."""
        core = self._core
        try:
            loaded = await asyncio.to_thread(core.deps.load_config)
        except ConfigError as error:
            await core.alert("config_refused", "warning", reason_of(error))
            return
        if loaded.hash != core.config.hash:
            text = await core.put_evidence(loaded.source)
            await core.recorder.record(ev.ConfigLoaded(config_hash=loaded.hash, text=text))
            core.config = loaded
