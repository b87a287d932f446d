"""The loop: when a cycle is due, ask the proposers, and see what they bring to its verdict.

A cycle ends when nothing it brought is between proposal and verdict any more; holds do not keep
it. Proposals from outside (the inbox) do not wait for a cycle: they enter the pipeline at once and
belong to cycle 0.
"""

import asyncio
import contextlib
import hashlib
import logging
import shutil
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from ouroboros.engine.core import Core, reason_of
from ouroboros.engine.limits import LiveLimits
from ouroboros.engine.pipeline import Pipeline
from ouroboros.engine.recorder import ENGINE
from ouroboros.engine.tasks import spawn
from ouroboros.errors import (
    BusyError,
    IllegalMoveError,
    LedgerError,
    NotFoundError,
    OuroborosError,
    ProposerError,
    WrongPhaseError,
)
from ouroboros.evaluation.plan import Plan
from ouroboros.model import events as ev
from ouroboros.model.phase import IN_FLIGHT, MOVING, Phase
from ouroboros.model.progress import HotSpot
from ouroboros.model.proposal import Proposal
from ouroboros.model.text import safe_line
from ouroboros.proposers import Context
from ouroboros.search.context import asking_order, context_for

_log = logging.getLogger(__name__)

_SECOND = 1_000_000_000
LOOK_S = 60.0
"""How often the clock is looked at while waiting: it may be set, and timers do not run while the
machine is suspended."""
PROPOSE_TIMEOUT_S = 300.0
"""A proposer that takes longer has failed for this cycle."""


class Cycles:
    """Starts cycles by interval, by trigger, or at once while ideas are left."""

    def __init__(self, core: Core, pipeline: Pipeline, limits: LiveLimits) -> None:
        self._core = core
        self._pipeline = pipeline
        self._limits = limits
        self._wake = asyncio.Event()
        self._asked_by = ""
        """Who asked for a cycle now; empty where nobody did."""
        self._again = False
        self._counter = 0
        self._profile: tuple[tuple[str, str], tuple[HotSpot, ...]] | None = None
        """Of the newest baseline and configuration; empty where profiling failed (told once)."""
        self.next_ns = 0
        """When the next cycle is due (UTC ns)."""
        self.running = False
        self._only = ""
        self._asking: asyncio.Task[tuple[Proposal | None, str]] | None = None
        self._ended = ("", "")
        """Who ended the running cycle, and why."""

    def trigger(self, proposer: str = "", *, actor: str) -> int:
        """Ask for a cycle now, of one proposer or of all; returns its number.

        The cycle's first entry says who asked.

        Raises:
            NotFoundError: there is no such proposer.
            WrongPhaseError: paused, halted or stopping.
        """
        core = self._core
        if proposer and proposer not in core.deps.proposers:
            there = ", ".join(sorted(core.deps.proposers)) or "none"
            raise NotFoundError(
                f"There is no proposer {safe_line(proposer, limit=40)!r}.",
                hint=f"There are: {there}.",
            )
        if core.stopped:
            why = core.halted or core.low or core.state.pause_reason or "the engine is stopping"
            halted = core.halted or core.low
            state = "paused" if core.state.paused else "halted" if halted else "stopping"
            raise WrongPhaseError(
                f"No cycle starts while the engine is {state} ({why}).",
                hint="Resume first.",
            )
        self._asked_by, self._only = actor, proposer
        self._wake.set()
        return core.state.cycles + 1

    async def end(self, *, actor: str, reason: str) -> int:
        """End the running cycle: ask nobody any more, cancel what it brought; returns its number.

        What was accepted already is not touched.

        Raises:
            WrongPhaseError: no cycle runs.
        """
        cycle = self._core.state.cycle
        if not self.running or cycle is None or cycle.finished_ns:
            raise WrongPhaseError("No cycle runs now.", hint="'cycle.list' shows the last ones.")
        self._ended = (actor, reason)
        if self._asking is not None:
            self._asking.cancel()
        there = self._core.state.candidates.values()
        await self._drop([c.id for c in there if c.cycle == cycle.number])
        return cycle.number

    async def _drop(self, names: list[str]) -> None:
        """Cancel what a cycle brought that somebody ended."""
        core = self._core
        actor, reason = self._ended
        for name in names:
            phase = core.state.candidates[name].phase
            if phase not in IN_FLIGHT - MOVING - {Phase.ACCEPTED}:
                continue
            with contextlib.suppress(IllegalMoveError):  # it moved on at this very moment
                await core.recorder.record(ev.Cancelled(candidate=name, reason=reason), actor=actor)
                if phase is Phase.EVALUATING:
                    await core.deps.executor.cancel(name)

    async def run(self) -> None:
        """Run until the engine stops."""
        core = self._core
        while not core.draining:
            await self._due()
            await core.wait_open()
            await core.recorder.wait_for(lambda _: self._room())
            asked_by, self._asked_by, self._again = self._asked_by, "", False
            self.next_ns = core.now() + core.config.config.engine.interval
            try:
                await self._cycle(asked_by)
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
        while not (self._asked_by or self._again):
            # A clock that was set back must not postpone the next cycle by more than an interval.
            latest = self._core.now() + self._core.config.config.engine.interval
            self.next_ns = min(self.next_ns, latest)
            left = (self.next_ns - self._core.now()) / _SECOND
            if left <= 0:
                return
            self._wake.clear()
            try:
                async with asyncio.timeout(min(left, LOOK_S)):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _cycle(self, asked_by: str) -> None:
        core = self._core
        self.running = True
        number = core.state.cycles + 1
        brought: list[str] = []
        outcome, text = "error", ""
        self._ended = ("", "")
        try:
            await self._limits.reload()
            base = await core.git(core.deps.repository.head, core.branch)
            trigger = "manual" if asked_by else "interval"
            started = ev.CycleStarted(cycle=number, trigger=trigger, base=base)
            await core.recorder.record(started, actor=asked_by or ENGINE)
            brought, text = await self._ask(number, base)
            if self._ended[0]:
                await self._drop(brought)  # one may have come while it was being ended
            await self._pipeline.settled(brought)
            outcome = "proposed" if brought else "error" if text else "idle"
            if self._ended[0]:
                outcome, text = "cancelled", ": ".join(filter(None, self._ended))
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
        self._again = self._again and not self._ended[0]

    async def _ask(self, number: int, base: str) -> tuple[list[str], str]:
        """Ask each proposer in turn until the cycle has enough; returns ids and what failed."""
        core = self._core
        brought: list[str] = []
        faults: list[str] = []
        wanted = core.config.config.engine.proposals_per_cycle
        hot_spots, fault = await self._hot_spots(base)
        faults += [fault] if fault else []
        async with self._tree(base) as tree:
            only, self._only = self._only, ""
            names = asking_order([only] if only else sorted(core.deps.proposers), number - 1)
            while names and len(brought) < wanted and not self._ended[0]:
                context = context_for(
                    core.state, base=base, tree=tree, hot_spots=hot_spots, config=core.config.config
                )
                proposal, fault = await self._unless_ended(self._propose(names[0], context))
                faults += [fault] if fault else []
                if proposal is None:
                    names = names[1:]
                else:
                    brought.append(await self.take(proposal, cycle=number))
        if faults:
            await core.alert("proposer_failed", "warning", "; ".join(faults))
        return brought, "; ".join(faults)

    async def _unless_ended(
        self, asking: Coroutine[Any, Any, tuple[Proposal | None, str]]
    ) -> tuple[Proposal | None, str]:
        """Wait for a proposer; nothing came from it where somebody ends the cycle meanwhile."""
        self._asking = spawn(asking, "ask a proposer", awaited=True)
        try:
            return await self._asking
        except asyncio.CancelledError:
            if self._ended[0]:
                return None, ""
            raise
        finally:
            self._asking = None

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
