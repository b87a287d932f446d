"""The engine: one target, one ledger, one loop. Implements `ouroboros.engine.api.EngineApi`.

It holds no screen and no socket. It is built from `Deps`, started, and run until `shutdown`; its
doors call the methods below from the event loop's thread.
"""

import asyncio
import contextlib
import hashlib
import logging
from collections.abc import Callable, Mapping
from functools import partial

import msgspec

from ouroboros.config import Loaded
from ouroboros.engine import recovery, tokens
from ouroboros.engine.alive import stay_heard
from ouroboros.engine.anchors import Anchors
from ouroboros.engine.answers import Answers
from ouroboros.engine.api import Exported, LedgerReport, LossyEvent, Submission
from ouroboros.engine.blocking import Blocking
from ouroboros.engine.budgets import Budgets
from ouroboros.engine.bus import Bus, Listener
from ouroboros.engine.circuit import break_circuit
from ouroboros.engine.consent import consent
from ouroboros.engine.core import Core, Deps
from ouroboros.engine.cycles import LOOK_S, Cycles
from ouroboros.engine.delivery import Deliveries
from ouroboros.engine.disk import Disk
from ouroboros.engine.forward import Forwarder
from ouroboros.engine.freeze import frozen_until
from ouroboros.engine.heads import HeadKeeper
from ouroboros.engine.insight import Insight
from ouroboros.engine.limits import LiveLimits
from ouroboros.engine.orders import Orders
from ouroboros.engine.pipeline import Pipeline
from ouroboros.engine.promotion import Promoter
from ouroboros.engine.reconcile import reconcile
from ouroboros.engine.recorder import Recorder
from ouroboros.engine.service import ServiceKeeper
from ouroboros.engine.tags import Tagger
from ouroboros.engine.tasks import cancel_and_wait, spawn
from ouroboros.engine.upkeep import Upkeep
from ouroboros.engine.versions import find_version
from ouroboros.engine.watch import Watch
from ouroboros.errors import (
    ConflictError,
    CursorExpiredError,
    IllegalMoveError,
    InvalidParamsError,
    LedgerError,
    MachineError,
    NotFoundError,
    OuroborosError,
    PatchError,
    TargetError,
    WaitTimeoutError,
    WrongPhaseError,
)
from ouroboros.governor.explain import explain
from ouroboros.governor.oversight import status_of
from ouroboros.governor.people import approvals_needed
from ouroboros.governor.recompute import Recomputation
from ouroboros.ledger import operators, proofs, transfer
from ouroboros.ledger.audit import Wanted, audit
from ouroboros.ledger.note import parse_verifier
from ouroboros.ledger.store import Store
from ouroboros.metrics.process import ProcessSampler
from ouroboros.model import events as ev
from ouroboros.model.entry import Head, Stored
from ouroboros.model.oversight import GovernorStatus, Recomputed
from ouroboros.model.phase import IN_FLIGHT, Phase
from ouroboros.model.progress import VERIFYING, Progress
from ouroboros.model.proof import Consistency, Heads, Inclusion
from ouroboros.model.proposal import Proposal
from ouroboros.model.snapshot import (
    Activity,
    Approvals,
    EngineStatus,
    Explanation,
    RollbackPreview,
    Snapshot,
    trim,
)
from ouroboros.model.state import Anchor, Candidate, Cycle, State, Version
from ouroboros.model.statement import Signed
from ouroboros.model.topics import PROGRESS, STATUS

_log = logging.getLogger(__name__)

_SECOND = 1_000_000_000
STATUS_EVERY_S = 5.0
"""How often the live status (memory, CPU, branch head) is refreshed and told."""


class _Counted(msgspec.Struct, frozen=True, kw_only=True):
    """What a status counts over all candidates of one state, under one policy."""

    state: State
    policy: str
    in_flight: tuple[str, ...]
    held: tuple[str, ...]
    versions_active: int
    approvals_needed: dict[str, int]


class Engine:
    """One running engine."""

    def __init__(self, deps: Deps, config: Loaded) -> None:
        bus = Bus()
        ledger_thread = Blocking("ledger")
        recorder = Recorder(
            deps.store, ledger_thread, bus, clock_ns=deps.clock_ns, new_id=deps.new_id
        )
        self._core = Core(
            deps=deps,
            config=config,
            bus=bus,
            recorder=recorder,
            git_thread=Blocking("git"),
            ledger_thread=ledger_thread,
        )
        self._promoter = Promoter(self._core)
        self._forwarder = Forwarder(self._core)
        self._tagger = Tagger(self._core)
        budgets = Budgets(self._core)
        self._service = ServiceKeeper(self._core, self._promoter)
        watch = Watch(self._core, budgets, self._promoter, self._service)
        self._pipeline = Pipeline(self._core, budgets, self._promoter, watch)
        self._anchors = Anchors(self._core)
        self._limits = LiveLimits(self._core, budgets.policies)
        self._answers = Answers(self._core, budgets.policies)
        self._budgets = budgets
        self._cycles = Cycles(self._core, self._pipeline, self._limits)
        self._disk = Disk(self._core)
        self._counts: _Counted | None = None
        self.inside = Insight(self._core, self.status, self._service.newest)
        self.orders = Orders(
            self._core,
            answers=self._answers,
            cycles=self._cycles,
            limits=self._limits,
            pipeline=self._pipeline,
            submit=self.submit,
            diff=self.diff,
        )
        self._upkeep = Upkeep(
            self._core, lambda: self._cycles.running or bool(self._core.measuring)
        )
        self._heads = HeadKeeper(self._core)
        self._deliveries = Deliveries(self._core)
        self._sampler = ProcessSampler()
        self._sample = self._sampler.sample()
        self._tasks: list[asyncio.Task[None]] = []
        self._stop = asyncio.Event()
        self._stop_reason = ""
        self._target_head = ""
        self._started_ns = deps.clock_ns()
        self._submitting = asyncio.Lock()
        self.clients: Callable[[], int] = lambda: 0
        """Set by the server: how many clients are connected."""

    # --- life -----------------------------------------------------------------------------------

    async def start(self, branch: str) -> None:
        """Fold the ledger, recover, and start the loop.

        Raises:
            TargetError, LedgerError: this engine cannot work on this target.
        """
        core = self._core
        await asyncio.to_thread(recovery.sweep, core.deps.cache)
        self.inside.listen()
        await core.recorder.load()
        await self._heads.start()
        await recovery.adopt_or_check(core, branch)
        await reconcile(core)  # before refs that nobody knows any more are removed
        recovered = await recovery.recover(core)
        await self._limits.adopt()
        started = ev.EngineStarted(
            engine_version=core.deps.engine_version,
            pid=core.deps.pid,
            config_hash=core.config.hash,
            mode=core.config.config.governor.mode,
            recovered=recovered,
        )
        await core.recorder.record(started)
        core.recorder.on_broken = core.on_broken_ledger  # before, the caller of `start` is told
        core.on_full = self._disk.full
        await self._disk.prepare()
        await self._refresh_head()
        self._cycles.plan_first()
        self._tasks = [
            spawn(self._resume_work(), "resume work"),
            spawn(self._cycles.run(), "cycles"),
            spawn(self._expire(), "expiry"),
            spawn(self._live(), "live status"),
            spawn(self._anchors.run(), "anchor"),
            spawn(self._disk.run(), "disk"),
            spawn(self.inside.run(), "metrics"),
            spawn(self._upkeep.run(), "upkeep"),
            spawn(self._heads.run(), "heads"),
            spawn(self._service.run(), "service"),
            spawn(stay_heard(core), "alive"),
        ]
        core.deliver = self._deliveries.send
        self._deliveries.resume()

    async def _resume_work(self) -> None:
        """Finish a move back or forward first; then drive everything that is on its way."""
        core = self._core
        async with core.promoting:
            await self._promoter.finish_rollback()
            await self._forwarder.finish()
        await break_circuit(core)  # the engine may have ended between the last fault and the pause
        for candidate in list(core.state.candidates.values()):
            if candidate.phase in IN_FLIGHT or candidate.phase is Phase.PROMOTED:
                self._pipeline.start(candidate.id)

    async def run(self) -> None:
        """Return when a shutdown was asked for."""
        await self._stop.wait()

    async def shutdown(self, *, actor: str, reason: str) -> None:
        """Begin an orderly end; `run` returns, and `close` does the rest."""
        self._stop_reason = f"{actor}: {reason}" if reason else actor
        self._stop.set()

    async def close(self) -> None:
        """Drain, stop every process, write the last entry. Safe to call twice."""
        core = self._core
        if core.draining:
            return
        core.draining = True
        self.inside.close()
        await core.recorder.touch()
        grace = core.config.config.engine.shutdown_grace.seconds
        await self._pipeline.close(grace)
        await cancel_and_wait(*self._tasks)
        await self._service.close()
        await self._deliveries.close()
        await core.deps.executor.close()
        if self._tasks:  # an engine that never started has nothing to say
            await self._last_entry()
            await self._heads.close()
        core.bus.close()
        if core.deps.journals is not None:
            core.deps.journals.close()
        core.git_thread.close()
        core.ledger_thread.close()

    async def _last_entry(self) -> None:
        stopped = ev.EngineStopped(reason=self._stop_reason or "closed")
        try:
            await self._core.recorder.record(stopped)
        except OuroborosError as error:
            _log.error("the last entry could not be written: %s", error)

    async def _live(self) -> None:
        """Refresh what is not in the ledger, and tell it when it changed."""
        core = self._core
        await self._tag()
        while True:
            known = len(core.state.versions)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(STATUS_EVERY_S):
                    await core.recorder.wait_for(partial(_versions_differ, known))
            self._sample = self._sampler.sample()
            await self._refresh_head()
            await self._tag()
            core.bus.hint(LossyEvent(topic=STATUS, data=self.status()))

    async def _tag(self) -> None:
        try:
            await self._tagger.catch_up()
        except LedgerError as error:
            _log.warning("no alert about a tag could be written: %s", error)  # halted already

    async def _refresh_head(self) -> None:
        core = self._core
        try:
            self._target_head = await core.git(core.deps.repository.head, core.branch)
        except (TargetError, MachineError) as error:
            self._target_head = ""
            _log.warning("the branch cannot be read: %s", error)

    async def _expire(self) -> None:
        """Answer no for holds that nobody answered."""
        core = self._core
        while True:
            await core.wait_writable()
            holds = _holds(core.state)
            for name, expires_ns in holds:
                if expires_ns <= core.now():
                    await self._expire_one(name)
            holds = _holds(core.state)
            # Looked at again soon: a clock that was set must not postpone an expiry for ever.
            first = min((at for _, at in holds), default=core.now() + 60 * _SECOND)
            left = min(max((first - core.now()) / _SECOND, 0), LOOK_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(left):
                    await core.recorder.wait_for(partial(_holds_differ, holds))

    async def _expire_one(self, name: str) -> None:
        try:
            await self._core.recorder.record(ev.Expired(candidate=name))
        except (IllegalMoveError, LedgerError) as error:
            _log.warning("%s did not expire: %s", name, error)  # answered meanwhile, or halted

    # --- reading --------------------------------------------------------------------------------

    @property
    def state(self) -> State:
        """The folded state, now."""
        return self._core.state

    @property
    def config(self) -> Loaded:
        """The configuration in force."""
        return self._core.config

    def status(self) -> EngineStatus:
        """Return the live status."""
        core, state = self._core, self._core.state
        counted = self._counted()
        return EngineStatus(
            engine_version=core.deps.engine_version,
            protocol=core.deps.protocol,
            pid=core.deps.pid,
            epoch=self._epoch(),
            seq=state.seq,
            head=state.head,
            target=state.target,
            path=state.path,
            branch=state.branch,
            target_head=self._target_head,
            mode=core.config.config.governor.mode,
            activity=self._activity(),
            paused=state.paused,
            pause_reason=state.pause_reason,
            pause_actor=state.pause_actor,
            halt_reason=core.halted or core.low,
            cycle=state.cycle,
            next_cycle_ns=self._cycles.next_ns if core.open else 0,
            in_flight=counted.in_flight,
            held=counted.held,
            candidates=len(state.candidates),
            version=state.versions[-1].number if state.versions else 0,
            versions_active=counted.versions_active,
            config_hash=core.config.hash,
            sandbox=core.deps.sandbox,
            started_ns=self._started_ns,
            now_ns=core.now(),
            clients=self.clients(),
            rss_bytes=self._sample.rss_bytes,
            cpu_percent=self._sample.cpu_percent,
            frozen_until_ns=frozen_until(core),
            waiting=tuple(sorted(self._pipeline.freeze.waiting)),
            approvals_needed=counted.approvals_needed,
        )

    def _counted(self) -> "_Counted":
        """Return what is counted over all candidates, once for each state and policy."""
        core, state = self._core, self._core.state
        known = self._counts
        if known is None or known.state is not state or known.policy != core.config.hash:
            every = state.candidates.values()
            known = self._counts = _Counted(
                state=state,
                policy=core.config.hash,
                in_flight=tuple(c.id for c in every if c.phase in IN_FLIGHT),
                held=tuple(c.id for c in every if c.phase is Phase.HELD),
                versions_active=sum(v.active and bool(v.candidate) for v in state.versions),
                approvals_needed={
                    c.id: self._answers.needed(c) for c in every if c.phase is Phase.HELD
                },
            )
        return known

    def _epoch(self) -> str:
        """Name the ledger: target and time of adoption never repeat."""
        first = self._core.state.versions[0] if self._core.state.versions else None
        seed = f"{self._core.state.target}:{first.ts if first else 0}"
        return hashlib.sha256(seed.encode()).hexdigest()[:16]

    def _activity(self) -> Activity:
        core = self._core
        if core.halted or core.low:
            return Activity.HALTED
        if core.draining:
            return Activity.DRAINING
        if core.state.paused:
            return Activity.PAUSED
        busy = self._cycles.running or bool(self._counted().in_flight)
        return Activity.WORKING if busy else Activity.IDLE

    def snapshot(self) -> Snapshot:
        """Return state and status at one sequence number."""
        state, trimmed = trim(self._core.state)
        return Snapshot(
            state=state,
            status=self.status(),
            progress=tuple(self._core.progress.values()),
            trimmed=trimmed,
        )

    async def done_before(self, act: str) -> int:
        """Return the entry by which an act began, or 0."""
        found = await self._core.ledger_thread(self._core.deps.store.find, act)
        return found.entry.seq if found else 0

    def candidate(self, name: str) -> Candidate:
        """Return a candidate by id."""
        found = self._core.state.candidates.get(name)
        if found is None:
            raise NotFoundError(
                f"There is no candidate {name!r}.", hint="'ouroboros candidates' lists them."
            )
        return found

    def version(self, ref: str) -> Version:
        """Return a version by number, `last`, or candidate id."""
        return find_version(self._core.state, ref)

    def governor(self) -> GovernorStatus:
        """Return limits in force, budgets used, anchor and total."""
        core = self._core
        waiting = self._pipeline.freeze.waiting
        return status_of(core.state, core.config, core.now(), waiting=waiting)

    async def explain(self, name: str) -> Explanation:
        """Return the verdict in words."""
        c = self.candidate(name)
        config = (await self._budgets.policies.judging(c)).config
        needed = approvals_needed(config, c.files)
        return explain(c, config=config, status=self.governor(), needed=needed)

    async def recompute(self, name: str) -> tuple[Recomputed, ...]:
        """Compute verdicts again, on a connection of its own, so that appends go on."""
        deps = self._core.deps

        def work() -> tuple[Recomputed, ...]:
            with Store.open(deps.ledger, read_only=True) as store:
                again = Recomputation(deps.evidence.get, candidate=name)
                return tuple(filter(None, map(again.take, store.entries())))

        return await asyncio.to_thread(work)

    async def diff(self, name: str) -> str:
        """Return a candidate's diff as it was proposed, or as rebased."""
        c, core = self.candidate(name), self._core
        repository = core.deps.repository
        # The commit of a candidate that is over for long may be gone; its proposal is kept.
        there = bool(c.commit) and await core.git(repository.exists, c.commit)
        if there:
            return await core.git(repository.diff, c.base, c.commit)
        return (await core.get_evidence(c.diff)).decode(errors="replace")

    async def log(self, name: str, check: str) -> str:
        """Return the captured output of one check."""
        evaluation = self.candidate(name).evaluation
        for outcome in evaluation.checks if evaluation else ():
            if outcome.name == check and outcome.log:
                return (await self._core.get_evidence(outcome.log)).decode(errors="replace")
        return ""

    async def cycles(self, *, limit: int) -> tuple[Cycle, ...]:
        """Return the newest cycles, newest first."""
        page = await self.ledger_page(before=0, limit=limit * 2, kind="cycle_started", candidate="")
        ends = await self.ledger_page(
            before=0, limit=limit * 2, kind="cycle_finished", candidate=""
        )
        finished = {
            e.entry.event.cycle: e for e in ends if isinstance(e.entry.event, ev.CycleFinished)
        }
        found = []
        for stored in page[:limit]:
            event = stored.entry.event
            if isinstance(event, ev.CycleStarted):
                found.append(_cycle(event, stored.entry.ts, finished.get(event.cycle)))
        return tuple(found)

    async def wait(self, name: str, *, until: frozenset[Phase], timeout_s: float) -> Candidate:
        """Return once the candidate stands in one of the phases."""
        self.candidate(name)
        try:
            async with asyncio.timeout(timeout_s):
                await self._core.recorder.wait_for(lambda s: s.candidates[name].phase in until)
        except TimeoutError:
            phase = self.candidate(name).phase.value
            raise WaitTimeoutError(f"{name} is still {phase} after {timeout_s:g} s.") from None
        return self.candidate(name)

    # --- ledger ---------------------------------------------------------------------------------

    def ledger_head(self) -> Head:
        """Return the ledger's end."""
        return Head(size=self._core.state.seq, hash=self._core.state.head)

    async def ledger_page(
        self, *, before: int, limit: int, kind: str, candidate: str
    ) -> tuple[Stored, ...]:
        """Return entries newest first."""
        return await self._core.ledger_thread(
            self._core.deps.store.page,
            before=before or None,
            limit=limit,
            kind=kind or None,
            candidate=candidate or None,
        )

    async def ledger_entry(self, seq: int) -> tuple[Stored, bytes]:
        """Return one entry and its exact stored bytes."""
        store = self._core.deps.store

        def read() -> tuple[Stored, bytes] | None:
            page = store.page(before=seq + 1, limit=1)
            row = next(iter(store.raw(after=seq - 1)), None)
            return (page[0], row.data) if page and row and row.seq == seq else None

        found = await self._core.ledger_thread(read)
        if found is None:
            raise NotFoundError(f"The ledger has no entry {seq}; it ends at {self.state.seq}.")
        return found

    async def ledger_export(self, *, after: int, limit: int, csv: bool) -> Exported:
        """Return the next entries as an export writes them, of at most a mebibyte."""
        store = self._core.deps.store
        text, entries, last = await self._core.ledger_thread(
            transfer.export_page, store, after=after, limit=limit, most=1 << 20, csv=csv
        )
        return Exported(text=text.decode(), entries=entries, last=last)

    async def ledger_verify(self, progress: Callable[[int, int], None] | None) -> LedgerReport:
        """Verify chain, tree and signed heads, beside the running engine.

        Who follows the engine sees how far it is, as the progress of no candidate.
        """
        loop, bus = asyncio.get_running_loop(), self._core.bus

        def tell(done: int, total: int) -> None:
            if progress is not None:
                progress(done, total)
            data = Progress(candidate="", stage=VERIFYING, done=done, total=total)
            loop.call_soon_threadsafe(bus.hint, LossyEvent(topic=PROGRESS, data=data))

        wanted = Wanted(
            key=parse_verifier(self._heads.key),
            operators=await asyncio.to_thread(operators.known, self.config.config.ledger),
        )
        report = await asyncio.to_thread(audit, self._core.deps.ledger, wanted, tell)
        bad = report.problems[0] if report.problems else None
        return LedgerReport(
            ok=report.ok,
            entries=report.entries,
            head=Head(size=report.size, hash=report.hash),
            first_bad=bad.seq if bad else 0,
            problem=bad.text if bad else "",
        )

    async def ledger_heads(self, *, before: int, limit: int) -> Heads:
        """Return signed heads, newest first."""
        core, key = self._core, self._heads.key
        return await core.ledger_thread(
            proofs.heads, core.deps.store, key=key, before=before, limit=limit
        )

    async def ledger_prove(self, seq: int, *, size: int) -> Inclusion:
        """Prove an entry against a signed head."""
        return await self._core.ledger_thread(proofs.prove, self._core.deps.store, seq, size)

    async def ledger_consistency(self, from_size: int, *, size: int) -> Consistency:
        """Prove that a beginning belongs to a signed head."""
        store = self._core.deps.store
        return await self._core.ledger_thread(proofs.consistency, store, from_size, size)

    def subscribe(self, *, from_seq: int | None) -> Listener:
        """Deliver events after `from_seq`."""
        if from_seq is not None and not 0 <= from_seq <= self._core.state.seq:
            raise CursorExpiredError(
                f"The ledger ends at {self._core.state.seq}; {from_seq} lies beyond it.",
                hint="Fetch a new snapshot.",
            )
        return self._core.bus.subscribe(after=from_seq, read=self._read_after)

    async def _read_after(self, after: int, limit: int) -> tuple[Stored, ...]:
        store = self._core.deps.store
        return await self._core.ledger_thread(
            lambda: tuple(store.entries(after=after, limit=limit))
        )

    # --- control --------------------------------------------------------------------------------

    async def pause(self, *, actor: str, reason: str, now: bool) -> None:
        """Stop the loop; with `now` also stop running evaluations (they are requeued)."""
        core = self._core
        if not core.state.paused:
            await core.recorder.record(ev.Paused(reason=reason), actor=actor)
        if now:
            await self._pipeline.interrupt()

    async def create_token(
        self,
        name: str,
        *,
        role: str,
        digest: str,
        methods: tuple[str, ...],
        expires_ns: int,
        actor: str,
        reason: str,
    ) -> None:
        """Give a program a key; in the ledger before it opens anything."""
        event = ev.TokenCreated(
            name=name,
            role=role,
            digest=digest,
            methods=methods,
            expires_ns=expires_ns,
            reason=reason,
        )
        await tokens.create(self._core, event, actor=actor)

    async def revoke_token(self, name: str, *, actor: str, reason: str) -> None:
        """Take a key back."""
        await tokens.revoke(self._core, name, actor=actor, reason=reason)

    async def resume(self, *, actor: str, reason: str) -> None:
        """Let the loop go on; a halt is lifted and what caused it is tried again."""
        core = self._core
        await self._disk.room()
        lifted = core.halted
        core.lift()
        if core.state.paused or lifted:  # a full disk halts again here, and the caller is told
            await core.recorder.record(ev.Resumed(reason=reason), actor=actor)
            if core.full:  # something else failed meanwhile, and this was written after it
                core.lift()
        await core.recorder.touch()

    async def trigger(self, *, actor: str, proposer: str = "") -> int:
        """Start a cycle now."""
        number = self._cycles.trigger(proposer, actor=actor)
        _log.info("cycle %d asked for by %s", number, actor)
        return number

    async def submit(self, submission: Submission, *, actor: str) -> str:
        """Take a proposal from outside; it enters the pipeline at once."""
        core = self._core
        if not submission.diff.strip():
            raise PatchError("The diff is empty.", hint="Send a unified diff with a/ and b/ paths.")
        if not submission.title.strip():
            raise InvalidParamsError("A proposal needs a title.")
        async with self._submitting:
            idem = f"submit:{submission.idempotency_key}" if submission.idempotency_key else ""
            if idem and (known := await core.ledger_thread(core.deps.store.find, idem)):
                event = known.entry.event
                if isinstance(event, ev.Proposed):
                    return event.candidate
            repository, named = core.deps.repository, submission.base
            base = await (
                core.git(repository.resolve, named)
                if named
                else core.git(repository.head, core.branch)
            )
            proposal = Proposal(
                proposer=submission.proposer,
                title=submission.title,
                rationale=submission.rationale,
                base=base,
                diff=submission.diff,
            )
            self._refuse_double(proposal)
            return await self._cycles.take(proposal, cycle=0, actor=actor, idem=idem)

    def _refuse_double(self, proposal: Proposal) -> None:
        """The same diff on the same base is not taken twice while the first is on its way or in.

        One that was refused may come again: it goes on with the evidence that is there.
        """
        digest = hashlib.sha256(proposal.diff.encode(errors="surrogateescape")).hexdigest()
        over = {Phase.ERRORED, Phase.CANCELLED, Phase.REJECTED, Phase.ROLLED_BACK}
        for c in self._core.state.candidates.values():
            if c.diff == digest and c.base == proposal.base and c.phase not in over:
                raise ConflictError(
                    f"The same diff on the same base is {c.id} already ({c.phase.value}).",
                    hint=f"See 'ouroboros show {c.id}'.",
                )

    async def approve(
        self, name: str, *, actor: str, commit: str, reason: str, signed: Signed | None = None
    ) -> Approvals:
        """Say yes to exactly `commit`; where more people are needed it stays held."""
        self.candidate(name)
        approvals = await self._answers.approve(
            name, actor=actor, commit=commit, reason=reason, signed=signed
        )
        if approvals.enough:
            self._pipeline.start(name)
        return approvals

    async def set_limits(
        self,
        changes: Mapping[str, ev.Setting],
        *,
        actor: str,
        reason: str,
        expect_config: str = "",
    ) -> Loaded:
        """Change thresholds for candidates that are proposed from here on."""
        return await self._limits.change(
            changes, actor=actor, reason=reason, expect_config=expect_config
        )

    async def deny(
        self, name: str, *, actor: str, reason: str, signed: Signed | None = None
    ) -> None:
        """Say no to a held candidate."""
        c = self.candidate(name)
        if c.phase is not Phase.HELD:
            raise WrongPhaseError(
                f"{name} is {c.phase.value}; only a held candidate is rejected by a human.",
                hint="Use cancel for one that is still on its way.",
            )
        given = await consent(self._core, "reject", subject=name, commit=c.commit, signed=signed)
        await self._core.recorder.record(
            ev.Denied(candidate=name, reason=reason),
            actor=actor,
            idem=given.idem,
            signature=given.signature,
        )

    async def cancel(self, name: str, *, actor: str, reason: str) -> None:
        """Stop a candidate anywhere before promotion."""
        core, c = self._core, self.candidate(name)
        await core.recorder.record(ev.Cancelled(candidate=name, reason=reason), actor=actor)
        if c.phase is Phase.EVALUATING:
            await core.deps.executor.cancel(name)

    async def move_anchor(self, ref: str, *, actor: str, reason: str, expect_anchor: str) -> Anchor:
        """Put the anchor at a version, by a human."""
        return await self._anchors.move(
            ref, actor=actor, reason=reason, expect_anchor=expect_anchor
        )

    async def rollback_preview(self, to: str) -> RollbackPreview:
        """Compute what a rollback would do."""
        return await self._promoter.preview(to)

    async def rollback(
        self,
        to: str,
        *,
        actor: str,
        reason: str,
        expect_head: str,
        signed: Signed | None = None,
    ) -> Version:
        """Roll back by a new commit."""
        given = await consent(self._core, "rollback", subject=to, commit=expect_head, signed=signed)
        work = self._promoter.rollback(
            to, actor=actor, reason=reason, expect_head=expect_head, given=given
        )
        version = await asyncio.shield(spawn(work, f"rollback to {to}", awaited=True))
        await self._refresh_head()
        return version

    async def forward_preview(self, to: str) -> RollbackPreview:
        """Compute what a roll forward would do."""
        return await self._forwarder.preview(to)

    async def roll_forward(self, to: str, *, actor: str, reason: str, expect_head: str) -> Version:
        """Bring back by a new commit what was rolled back."""
        work = self._forwarder.forward(to, actor=actor, reason=reason, expect_head=expect_head)
        version = await asyncio.shield(spawn(work, f"roll forward to {to}", awaited=True))
        await self._refresh_head()
        return version

    async def version_diff(self, old: str, new: str) -> str:
        """Return the unified diff between two versions."""
        core = self._core
        before, after = self.version(old), self.version(new)
        return await core.git(core.deps.repository.diff, before.commit, after.commit)


def _holds(state: State) -> tuple[tuple[str, int], ...]:
    """Return who waits for a human, and until when."""
    return tuple((c.id, c.expires_ns) for c in state.candidates.values() if c.phase is Phase.HELD)


def _versions_differ(known: int, state: State) -> bool:
    return len(state.versions) != known


def _holds_differ(before: tuple[tuple[str, int], ...], state: State) -> bool:
    return _holds(state) != before


def _cycle(event: ev.CycleStarted, ts: int, end: Stored | None) -> Cycle:
    cycle = Cycle(number=event.cycle, trigger=event.trigger, started_ns=ts)
    if end is None or not isinstance(end.entry.event, ev.CycleFinished):
        return cycle
    done = end.entry.event
    return Cycle(
        number=cycle.number,
        trigger=cycle.trigger,
        started_ns=ts,
        finished_ns=end.entry.ts,
        outcome=done.outcome,
        proposals=done.proposals,
        text=done.text,
    )
