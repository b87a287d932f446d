"""A small engine behind the real contract: real fold, real bus, a ledger in memory.

It exists so that the door can be tested without evaluations; everything that it publishes goes
through `ouroboros.model.state.advance`, and what it refuses is refused by the table of moves.
"""

import asyncio
import base64
import hashlib
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from ouroboros import __version__
from ouroboros.config import Loaded, override, parse
from ouroboros.engine.api import Exported, LedgerReport, LossyEvent, Submission, Subscription
from ouroboros.engine.bus import Bus
from ouroboros.errors import ConflictError, NotFoundError, WaitTimeoutError
from ouroboros.governor.oversight import status_of
from ouroboros.ledger import merkle, note
from ouroboros.model import events as ev
from ouroboros.model.entry import Entry, Head, Stored
from ouroboros.model.evaluation import (
    Assurance,
    CheckOutcome,
    CheckStatus,
    Evaluation,
    EvaluationStatus,
    Pair,
    Sample,
    SandboxLevel,
    Series,
    Stage,
)
from ouroboros.model.insight import (
    ConfigChange,
    ConfigCheck,
    Delivery,
    Health,
    LogLine,
    LogPage,
    Metric,
    Points,
    Problem,
    Worker,
)
from ouroboros.model.oversight import GovernorStatus, Recomputed
from ouroboros.model.phase import Phase
from ouroboros.model.proof import Consistency, Heads, Inclusion, SignedHead
from ouroboros.model.proposal import FileChange, FileStatus
from ouroboros.model.snapshot import (
    Activity,
    Approvals,
    EngineStatus,
    Explanation,
    Passage,
    RollbackPreview,
    Snapshot,
    trim,
)
from ouroboros.model.state import (
    Alert,
    Anchor,
    Candidate,
    Cycle,
    Silence,
    State,
    Version,
    advance,
    check_move,
)
from ouroboros.model.statement import Signed
from ouroboros.model.verdict import Comparison, Decision, Outcome, Reason, Verdict
from rpc.limits import Limits
from rpc.server import Server

HEAD_KEY = note.new_signer("ouroboros/demo", bytes(range(32)))
NOW = 1_700_000_000_000_000_000
EPOCH = "epoch-1"
CONFIG = b'[governor]\nmode = "supervised"\n\n[sandbox]\nmemory = "512MiB"\n'
DIFF = (
    "--- a/pkg/mod.py\n+++ b/pkg/mod.py\n@@ -1 +1 @@\n-x = list(y)\n"
    "+x = [*y]  # \x1b]52;c;aGk=\x07\u202e\n"
)
SANDBOX = SandboxLevel(backend="bwrap", version="0.11", limits="rlimit")


def commit(letter: str) -> str:
    return letter * 40


def sample(ns: int) -> Sample:
    return Sample(cpu_ns=ns, wall_ns=ns, rss_bytes=1 << 20)


def evaluation(pairs: int = 2) -> Evaluation:
    pair = Pair(started_ns=NOW, candidate_first=True, baseline=sample(100), candidate=sample(80))
    return Evaluation(
        status=EvaluationStatus.OK,
        cause="",
        base_commit=commit("a"),
        candidate_commit=commit("b"),
        attempt=1,
        checks=(CheckOutcome(name="tests", status=CheckStatus.PASSED, code="ok", text="3 passed"),),
        series=(Series(benchmark="main", stage=Stage.CONFIRM, pairs=(pair,) * pairs),),
        assurance=Assurance.TESTS,
        sandbox=SANDBOX,
        machine="test",
        started_ns=NOW,
        wall_ns=5,
    )


def verdict(decision: Decision = Decision.HOLD) -> Verdict:
    return Verdict(
        decision=decision,
        reasons=(Reason(code="mode_supervised", text="A human answers in supervised mode."),),
        comparisons=(
            Comparison(
                benchmark="main",
                metric="cpu",
                role="objective",
                stage="confirm",
                outcome=Outcome.IMPROVED,
                pairs=2,
                change=-0.2,
                lower=-0.25,
                upper=-0.15,
                margin=0.05,
                text="20 % less CPU",
            ),
        ),
        rule="1",
        policy="f" * 64,
        wants_promotion=True,
    )


class MemoryInside:
    """What an engine shows of itself, the same on every machine."""

    metrics = (Metric(name="engine_rss_bytes", unit="bytes", kind="gauge", text="Memory."),)

    def __init__(self, engine: "MemoryEngine") -> None:
        self._engine = engine

    def health(self) -> Health:
        return Health(ok=True, problems=(Problem(code="x", severity="warning", text="a thing"),))

    async def wait(self, until: frozenset[Activity], timeout_s: float) -> EngineStatus:
        try:
            async with asyncio.timeout(timeout_s):
                while self._engine.status().activity not in until:
                    await self._engine.changed.wait()
        except TimeoutError:
            raise WaitTimeoutError(f"not after {timeout_s:g} s") from None
        return self._engine.status()

    def log(self, *, after: int, limit: int, level: str) -> LogPage:
        line = LogLine(number=1, ts=NOW, level=level, source="rpc", text="said")
        return LogPage(lines=(line,), next=1)

    def workers(self) -> tuple[Worker, ...]:
        return (Worker(name="local", slots=1, busy=("c2",), sandbox=SANDBOX, pid=7),)

    async def points(self, name: str, *, begin: int, end: int, step_s: float) -> Points:
        one = (1.0,)
        return Points(name=name, step_s=step_s, ts=(begin,), mean=one, least=one, most=one)

    async def config_history(self, limit: int) -> tuple[ConfigChange, ...]:
        return (ConfigChange(seq=2, ts=NOW, actor="engine", config_hash="f" * 64),)[:limit]

    def check_config(self, text: str) -> ConfigCheck:
        return ConfigCheck(ok=False, problem=text)

    def alerts(self) -> tuple[Alert, ...]:
        return self._engine.state.alerts

    async def ack(self, seq: int, *, actor: str, reason: str) -> Alert:
        self._engine._check("ack", actor)
        self._engine.record(ev.AlertAcked(alert=seq, reason=reason), actor=actor)
        return Alert(seq=seq, ts=NOW, code="x", severity="info", text="t", acked_by=actor)

    async def try_alert(self, *, actor: str) -> tuple[Delivery, ...]:
        self._engine._check("try_alert", actor)
        return (Delivery(sink="log", ok=True),)


class MemoryOrders:
    """What people order, written down and nothing else."""

    silences: tuple[Silence, ...] = ()

    def __init__(self, engine: "MemoryEngine") -> None:
        self._engine = engine

    async def drain(self, *, actor: str, reason: str, timeout_s: float) -> None:
        self._engine._check("drain", actor)

    async def reload(self, *, actor: str) -> Loaded:
        self._engine._check("reload", actor)
        return self._engine.config

    async def end_cycle(self, *, actor: str, reason: str) -> int:
        self._engine._check("end_cycle", actor)
        return 1

    async def hold(self, name: str, *, actor: str, reason: str) -> None:
        self._engine._check("hold", actor)
        self._engine.candidate(name)
        self._engine.record(ev.HoldAsked(candidate=name, reason=reason), actor=actor)

    async def retry(self, name: str, *, actor: str, reason: str, idempotency_key: str) -> str:
        self._engine._check("retry", actor)
        return self._engine.candidate(name).id

    async def override(
        self, name: str, *, actor: str, commit: str, reason: str, signed: Signed | None
    ) -> None:
        self._engine._check("override", actor)
        self._engine.candidate(name)
        event = ev.Overridden(candidate=name, commit=commit, reason=reason)
        self._engine.record(event, actor=actor)

    async def freeze(self, until_ns: int, *, actor: str, reason: str) -> None:
        self._engine._check("freeze", actor)
        self._engine.record(ev.FreezeSet(until_ns=until_ns, reason=reason), actor=actor)

    async def unfreeze(self, *, actor: str, reason: str) -> None:
        self._engine._check("unfreeze", actor)
        self._engine.record(ev.FreezeSet(until_ns=0, reason=reason), actor=actor)

    async def drain_worker(self, name: str, *, out: bool, actor: str, reason: str) -> None:
        self._engine._check("drain_worker", actor)
        event = ev.WorkerDrained(worker=name, out=out, reason=reason)
        self._engine.record(event, actor=actor)

    async def silence(self, codes: str, until_ns: int, *, actor: str, reason: str) -> None:
        self._engine._check("silence", actor)
        event = ev.AlertSilenced(codes=codes, until_ns=until_ns, reason=reason)
        self._engine.record(event, actor=actor)
        self.silences = self._engine.state.silences


class MemoryEngine:
    """An `EngineApi` whose ledger is a list."""

    def __init__(self) -> None:
        self.entries: list[Stored] = []
        self.bytes: list[bytes] = []
        self.bus = Bus()
        self.state = State()
        self.config: Loaded = parse(CONFIG)
        self.changed = asyncio.Event()
        self.asked: list[tuple[str, str]] = []
        self.raises: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.ended = asyncio.Event()
        self.quorum = 1
        self.inside = MemoryInside(self)
        self.orders = MemoryOrders(self)
        self.done: dict[str, int] = {}

    async def done_before(self, act: str) -> int:
        return self.done.get(act, 0)

    def record(self, event: ev.AnyEvent, *, actor: str = "engine") -> Stored:
        check_move(self.state, event)
        seq = len(self.entries) + 1
        entry = Entry(
            v=1,
            seq=seq,
            ts=NOW + seq,
            actor=actor,
            idem=f"i{seq}",
            prev=self.state.head,
            event=event,
        )
        exact = msgspec.json.encode(entry)
        stored = Stored(hash=hashlib.sha256(exact).hexdigest(), entry=entry)
        self.entries.append(stored)
        self.bytes.append(exact)
        self.state = advance(self.state, stored)
        self.bus.publish(stored)
        self.changed.set()
        self.changed = asyncio.Event()
        return stored

    def hint(self, event: LossyEvent) -> None:
        self.bus.hint(event)

    def propose(self, name: str, *, title: str = "Use a list display") -> None:
        self.record(
            ev.Proposed(
                candidate=name,
                cycle=1,
                proposer="codemod",
                title=title,
                rationale="faster",
                base=commit("a"),
                diff="d" * 64,
                idea=f"idea:{name}",
            )
        )

    def hold(self, name: str) -> None:
        self.propose(name)
        files = (FileChange(path="pkg/mod.py", status=FileStatus.MODIFIED, added=1, removed=1),)
        self.record(ev.Screened(candidate=name, files=files))
        self.record(
            ev.Applied(
                candidate=name,
                base=commit("a"),
                commit=commit("b"),
                tree=commit("c"),
                checkpoint=f"refs/ouroboros/checkpoints/{name}",
            )
        )
        self.record(ev.EvaluationStarted(candidate=name, attempt=1, executor="local"))
        self.record(ev.Evaluated(candidate=name, evaluation=evaluation()))
        self.record(ev.Held(candidate=name, verdict=verdict(), expires_ns=NOW * 2))

    def promote(self, name: str) -> None:
        number = len(self.state.versions)
        self.record(
            ev.PromotionStarted(
                candidate=name,
                branch="main",
                expected_head=commit("a"),
                commit=commit("d"),
                version=number,
            )
        )
        self.record(ev.Promoted(candidate=name, version=number, commit=commit("d"), branch="main"))

    def seed(self) -> None:
        """Give it a past: a promoted candidate, a rejected one, and one that is held."""
        self.record(
            ev.TargetAdopted(target="demo", path="/repo", branch="main", commit=commit("a"))
        )
        self.record(
            ev.EngineStarted(engine_version="0", pid=1, config_hash="c" * 64, mode="supervised")
        )
        self.record(ev.CycleStarted(cycle=1, trigger="interval", base=commit("a")))
        self.hold("c1")
        self.record(ev.Approved(candidate="c1", commit=commit("b"), reason="good"), actor="uid:ann")
        self.promote("c1")
        self.propose("c2", title="Evil \x1b]52;c;aGk=\x07 title")
        self.record(
            ev.Rejected(
                candidate="c2", reasons=(Reason(code="screen", text="protected path\x1b[31m"),)
            )
        )
        self.hold("c3")
        self.record(ev.CycleFinished(cycle=1, outcome="proposed", proposals=3))

    # --- EngineApi ------------------------------------------------------------------------------

    def _check(self, what: str, actor: str = "") -> None:
        self.asked.append((what, actor))
        if self.raises is not None:
            raise self.raises

    def status(self) -> EngineStatus:
        self._check("status")
        state = self.state
        return EngineStatus(
            engine_version=__version__,
            protocol="1",
            pid=1,
            epoch=EPOCH,
            seq=state.seq,
            head=state.head,
            target="demo",
            path="/repo",
            branch="main",
            target_head=commit("d"),
            mode="supervised",
            activity=Activity.PAUSED if state.paused else Activity.IDLE,
            paused=state.paused,
            pause_reason=state.pause_reason,
            pause_actor=state.pause_actor,
            halt_reason="",
            cycle=state.cycle,
            next_cycle_ns=0,
            in_flight=(),
            held=tuple(c.id for c in state.candidates.values() if c.phase is Phase.HELD),
            candidates=len(state.candidates),
            version=len(state.versions) - 1,
            versions_active=len(state.versions),
            config_hash=self.config.hash,
            sandbox=SANDBOX,
            started_ns=NOW,
            now_ns=NOW,
            rss_bytes=50_000_000,
        )

    def snapshot(self) -> Snapshot:
        state, trimmed = trim(self.state)
        return Snapshot(state=state, status=self.status(), trimmed=trimmed)

    def candidate(self, name: str) -> Candidate:
        self._check("candidate")
        try:
            return self.state.candidates[name]
        except KeyError:
            raise NotFoundError(f"There is no candidate {name}.", hint="List them.") from None

    def version(self, ref: str) -> Version:
        if not ref.isdecimal() or int(ref) >= len(self.state.versions):
            raise NotFoundError(f"There is no version {ref}.")
        return self.state.versions[int(ref)]

    async def pause(self, *, actor: str, reason: str, now: bool) -> None:
        self._check("pause", actor)
        if self.gate is not None:
            await self.gate.wait()
        self.record(ev.Paused(reason=reason), actor=actor)

    async def resume(self, *, actor: str, reason: str) -> None:
        self._check("resume", actor)
        self.record(ev.Resumed(reason=reason), actor=actor)

    async def trigger(self, *, actor: str, proposer: str = "") -> int:
        self._check("trigger", actor)
        number = self.state.cycles + 1
        self.record(ev.CycleStarted(cycle=number, trigger="manual", base=commit("d")), actor=actor)
        return number

    async def submit(self, submission: Submission, *, actor: str) -> str:
        self._check("submit", actor)
        name = f"c{len(self.state.candidates) + 1}"
        self.propose(name, title=submission.title)
        return name

    async def approve(
        self, name: str, *, actor: str, commit: str, reason: str, signed: Signed | None = None
    ) -> Approvals:
        self._check("approve", actor)
        c = self.candidate(name)
        if c.commit != commit:
            raise ConflictError(f"{name} is another commit by now.", hint="Look again.")
        approvals = Approvals(given=(*c.approvals, actor), needed=self.quorum)
        kind = ev.Approved if approvals.enough else ev.Endorsed
        self.record(kind(candidate=name, commit=commit, reason=reason), actor=actor)
        return approvals

    async def deny(
        self, name: str, *, actor: str, reason: str, signed: Signed | None = None
    ) -> None:
        self._check("deny", actor)
        self.record(ev.Denied(candidate=name, reason=reason), actor=actor)

    async def cancel(self, name: str, *, actor: str, reason: str) -> None:
        self._check("cancel", actor)
        self.record(ev.Cancelled(candidate=name, reason=reason), actor=actor)

    async def rollback_preview(self, to: str) -> RollbackPreview:
        version = self.version(to)
        return RollbackPreview(
            to=version.number,
            head=commit("d"),
            commit=commit("e"),
            undoes=(1,),
            candidates=("c1",),
            files=(),
            diff=DIFF,
        )

    async def rollback(
        self,
        to: str,
        *,
        actor: str,
        reason: str,
        expect_head: str,
        signed: Signed | None = None,
    ) -> Version:
        self._check("rollback", actor)
        number = len(self.state.versions)
        common: dict[str, Any] = {
            "candidates": ("c1",),
            "branch": "main",
            "commit": commit("e"),
            "version": number,
            "restores": self.version(to).number,
            "reason": reason,
        }
        self.record(ev.RollbackStarted(expected_head=commit("d"), **common), actor=actor)
        self.record(ev.RolledBack(**common), actor=actor)
        return self.state.versions[-1]

    async def forward_preview(self, to: str) -> RollbackPreview:
        return await self.rollback_preview(to)

    async def roll_forward(self, to: str, *, actor: str, reason: str, expect_head: str) -> Version:
        self._check("roll_forward", actor)
        undone = {"candidates": ("c1",), "branch": "main", "version": 2, "restores": 0}
        back = {**undone, "commit": commit("e"), "reason": "first"}
        self.record(ev.RollbackStarted(expected_head=commit("d"), **back), actor=actor)
        self.record(ev.RolledBack(**back), actor=actor)
        common: dict[str, Any] = {
            "candidates": ("c1",),
            "branch": "main",
            "commit": commit("f"),
            "version": len(self.state.versions),
            "restores": self.version(to).number,
            "reason": reason,
        }
        self.record(ev.RollForwardStarted(expected_head=commit("e"), **common), actor=actor)
        self.record(ev.RolledForward(**common), actor=actor)
        return self.state.versions[-1]

    async def version_diff(self, old: str, new: str) -> str:
        self.version(old)
        self.version(new)
        return DIFF

    async def diff(self, name: str) -> str:
        self.candidate(name)
        return DIFF

    async def log(self, name: str, check: str) -> str:
        self.candidate(name)
        return f"{check}: 3 passed \x1b[32mok\n"

    def governor(self) -> GovernorStatus:
        return status_of(self.state, self.config, NOW)

    async def explain(self, name: str) -> Explanation:
        self.candidate(name)
        passage = Passage(title="checks", lines=("tests: passed",))
        return Explanation(
            candidate=name, headline="Held.", lines=("main cpu -20.0 %",), passages=(passage,)
        )

    async def set_limits(
        self,
        changes: Mapping[str, ev.Setting],
        *,
        actor: str,
        reason: str,
        expect_config: str = "",
    ) -> Loaded:
        self._check("set_limits", actor)
        self.config = override(self.config, changes)
        text = hashlib.sha256(self.config.policy).hexdigest()
        event = ev.LimitsChanged(
            changes=dict(changes), config_hash=self.config.hash, text=text, reason=reason
        )
        self.record(event, actor=actor)
        return self.config

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
        self._check("create_token", actor)
        if name in self.state.tokens:
            raise ConflictError(f"There is a token {name!r} already.")
        event = ev.TokenCreated(
            name=name,
            role=role,
            digest=digest,
            methods=methods,
            expires_ns=expires_ns,
            reason=reason,
        )
        self.record(event, actor=actor)

    def give(
        self, name: str, role: str, digest: str, methods: tuple[str, ...], expires_ns: int
    ) -> None:
        """Record a token as if somebody had created it."""
        event = ev.TokenCreated(
            name=name,
            role=role,
            digest=digest,
            methods=methods,
            expires_ns=expires_ns,
            reason="tests",
        )
        self.record(event, actor="uid:ann")

    async def revoke_token(self, name: str, *, actor: str, reason: str) -> None:
        self._check("revoke_token", actor)
        if name not in self.state.tokens:
            raise NotFoundError(f"There is no token {name!r}.")
        self.record(ev.TokenRevoked(name=name, reason=reason), actor=actor)

    async def move_anchor(self, ref: str, *, actor: str, reason: str, expect_anchor: str) -> Anchor:
        self._check("move_anchor", actor)
        version = self.version(ref)
        event = ev.AnchorMoved(commit=version.commit, version=version.number, reason=reason)
        self.record(event, actor=actor)
        assert self.state.anchor is not None
        return self.state.anchor

    async def recompute(self, name: str) -> tuple[Recomputed, ...]:
        return (Recomputed(candidate=name or "c1", seq=8, rule="seq-e/2", outcome="same"),)

    async def cycles(self, *, limit: int) -> tuple[Cycle, ...]:
        return (self.state.cycle,) if self.state.cycle else ()

    async def wait(self, name: str, *, until: frozenset[Phase], timeout_s: float) -> Candidate:
        self._check("wait")
        try:
            async with asyncio.timeout(timeout_s):
                while self.candidate(name).phase not in until:
                    await self.changed.wait()
        except TimeoutError:
            raise WaitTimeoutError(f"{name} is not there after {timeout_s} s.") from None
        finally:
            self.ended.set()
        return self.candidate(name)

    def ledger_head(self) -> Head:
        return Head(size=self.state.seq, hash=self.state.head)

    async def ledger_page(
        self, *, before: int, limit: int, kind: str, candidate: str
    ) -> tuple[Stored, ...]:
        fitting = [
            s
            for s in reversed(self.entries)
            if (not before or s.entry.seq < before)
            and (not kind or s.entry.event.kind == kind)
            and (not candidate or candidate in getattr(s.entry.event, "candidates", ()))
        ]
        return tuple(fitting[:limit])

    async def ledger_export(self, *, after: int, limit: int, csv: bool) -> Exported:
        lines = [b"%d\n" % s.entry.seq for s in self.entries[after : after + limit]]
        return Exported(text=b"".join(lines).decode(), entries=len(lines), last=after + len(lines))

    async def ledger_entry(self, seq: int) -> tuple[Stored, bytes]:
        if not 0 < seq <= len(self.entries):
            raise NotFoundError(f"There is no entry {seq}.")
        return self.entries[seq - 1], self.bytes[seq - 1]

    def _note(self, size: int) -> str:
        root = merkle.range_hash(0, size, self._subtree)
        said = note.Checkpoint(origin=HEAD_KEY.name, size=size, root=root, ts=NOW)
        return note.sign(said, HEAD_KEY)

    def _subtree(self, level: int, index: int) -> bytes:
        frontier = merkle.Frontier()
        for data in self.bytes[index << level : (index + 1) << level]:
            frontier.append(merkle.leaf(data))
        return frontier.root()

    async def ledger_heads(self, *, before: int, limit: int) -> Heads:
        size = len(self.entries)
        head = SignedHead(size=size, ts=NOW, note=self._note(size))
        return Heads(key=str(HEAD_KEY.verifier), heads=(head,) if limit and not before else ())

    async def ledger_prove(self, seq: int, *, size: int) -> Inclusion:
        size = size or len(self.entries)
        if not seq <= size <= len(self.entries):
            raise NotFoundError(f"There is no entry {seq}, or no head of {size} entries.")
        path = merkle.inclusion(seq - 1, size, self._subtree)
        return Inclusion(
            seq=seq,
            size=size,
            entry=self.bytes[seq - 1].decode(),
            path=tuple(h.hex() for h in path),
            note=self._note(size),
        )

    async def ledger_consistency(self, from_size: int, *, size: int) -> Consistency:
        size = size or len(self.entries)
        if not from_size <= size <= len(self.entries):
            raise NotFoundError(f"There are no {from_size} entries, or no head of {size}.")
        root = merkle.range_hash(0, from_size, self._subtree)
        return Consistency(
            from_size=from_size,
            from_root=base64.b64encode(root).decode(),
            size=size,
            path=tuple(h.hex() for h in merkle.consistency(from_size, size, self._subtree)),
            note=self._note(size),
        )

    async def ledger_verify(self, progress: Callable[[int, int], None] | None) -> LedgerReport:
        return LedgerReport(ok=True, entries=len(self.entries), head=self.ledger_head())

    def subscribe(self, *, from_seq: int | None) -> Subscription:
        async def read(after: int, limit: int) -> tuple[Stored, ...]:
            return tuple(self.entries[after : after + limit])

        return self.bus.subscribe(after=from_seq, read=read)

    async def shutdown(self, *, actor: str, reason: str) -> None:
        self._check("shutdown", actor)


@pytest.fixture
def an_evaluation() -> Evaluation:
    return evaluation()


@pytest.fixture
def a_verdict() -> Verdict:
    return verdict()


@pytest.fixture
async def engine() -> MemoryEngine:
    made = MemoryEngine()
    made.seed()
    return made


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short folder: socket paths are at most 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="oro-"))
    yield path
    path.chmod(0o700)
    shutil.rmtree(path)


@pytest.fixture
def limits() -> Limits:
    return Limits()


@pytest.fixture
async def server(engine: MemoryEngine, folder: Path, limits: Limits) -> AsyncIterator[Server]:
    started = await Server.start(engine, socket=folder / "run" / "e.sock", limits=limits)
    yield started
    await started.close()


@pytest.fixture
def socket(server: Server, folder: Path) -> Path:
    return folder / "run" / "e.sock"


@pytest.fixture
async def http(socket: Path) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(socket))) as session:
        yield session


@pytest.fixture
def me() -> str:
    import pwd

    return f"uid:{pwd.getpwuid(os.getuid()).pw_name}"
