"""A scripted engine in memory: real events, real fold, no socket. For Pilot tests and the demo."""

import asyncio
from collections.abc import Callable
from typing import Any, Self

import msgspec
from msgspec.structs import replace

from ouroboros.errors import CursorExpiredError, EngineUnreachableError, NotFoundError
from ouroboros.model import events as ev
from ouroboros.model.entry import Entry, Head, Stored
from ouroboros.model.evaluation import (
    Assurance,
    CheckOutcome,
    CheckStatus,
    Evaluation,
    EvaluationStatus,
    SandboxLevel,
    Series,
)
from ouroboros.model.insight import LogLine, LogPage, Metric, Points, Worker
from ouroboros.model.metric import Noise
from ouroboros.model.oversight import Circuit, GovernorStatus, Limit
from ouroboros.model.progress import Progress
from ouroboros.model.proposal import FileChange, FileStatus, Mark, Severity
from ouroboros.model.snapshot import (
    Activity,
    EngineStatus,
    Explanation,
    RollbackPreview,
    Snapshot,
    trim,
)
from ouroboros.model.state import State, Version, advance
from ouroboros.model.verdict import Comparison, Decision, Outcome, Reason, Verdict
from rpc import wire
from rpc.feed import Lossy, UnknownEvent

NOW = 1_790_000_000_000_000_000
MINUTE = 60_000_000_000
SANDBOX = SandboxLevel(backend="bwrap", version="0.11.0", limits="cgroup")

DIFF = """\
diff --git a/fastpkg/tokens.py b/fastpkg/tokens.py
index 3f2a1c0..9d01e77 100644
--- a/fastpkg/tokens.py
+++ b/fastpkg/tokens.py
@@ -12,9 +12,7 @@ def tokenize(text: str) -> list[str]:
     \"\"\"Split text into tokens.\"\"\"
     out = []
-    for i in range(len(text)):
-        if text[i] in WORD_CHARS:
-            out.append(text[i])
+    for char in text:
+        if char in WORD:
+            out.append(char)
     return out

@@ -40,4 +38,4 @@ def count(words):
     seen = {}
     for word in words:
-        seen[word] = seen.get(word, 0) + 1
+        seen[word] += 1  # a defaultdict
     return seen
diff --git a/fastpkg/words.py b/fastpkg/words.py
--- a/fastpkg/words.py
+++ b/fastpkg/words.py
@@ -1,2 +1,2 @@
-WORD_CHARS = "abcdefghijklmnopqrstuvwxyz"
+WORD = frozenset("abcdefghijklmnopqrstuvwxyz")
 LIMIT = 1000
"""


def commit(text: str) -> str:
    import hashlib

    return hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()


def comparison(change: float | None = -0.124, **changes: Any) -> Comparison:
    base = Comparison(
        benchmark="tokenize",
        metric="cpu",
        role="objective",
        stage="confirm",
        outcome=Outcome.IMPROVED,
        pairs=24,
        change=change,
        lower=None if change is None else change - 0.017,
        upper=None if change is None else change + 0.022,
        margin=0.05,
        text="",
    )
    return replace(base, **changes)


def verdict(decision: Decision, *reasons: Reason, comparisons: tuple = ()) -> Verdict:
    return Verdict(
        decision=decision,
        reasons=reasons,
        comparisons=comparisons,
        rule="1",
        policy="p" * 64,
        wants_promotion=decision is not Decision.REJECT,
    )


def evaluation(
    base: str, head: str, *checks: CheckOutcome, status: EvaluationStatus = EvaluationStatus.OK
) -> Evaluation:
    return Evaluation(
        status=status,
        cause="",
        base_commit=base,
        candidate_commit=head,
        attempt=1,
        checks=checks,
        series=(),
        assurance=Assurance.TESTS,
        sandbox=SANDBOX,
        machine="m",
        started_ns=NOW,
        wall_ns=3_000_000_000,
    )


GOOD_CHECKS = (
    CheckOutcome(name="build", status=CheckStatus.PASSED, code="ok", text="", wall_ns=410_000_000),
    CheckOutcome(
        name="tests",
        status=CheckStatus.PASSED,
        code="ok",
        text="",
        wall_ns=3_200_000_000,
        tests_run=142,
    ),
    CheckOutcome(name="proof", status=CheckStatus.PASSED, code="ok", text="2 changed files ran"),
)
SUPERVISED = Reason(
    code="mode_supervised", text="Every accept is held for a human in supervised mode."
)


class ScriptedFeed:
    """One subscription: an entry at a time from the engine's list, plus what is lossy."""

    def __init__(self, connection: "ScriptedConnection", from_seq: int | None) -> None:
        self._connection = connection
        self._engine = connection.engine
        self._next = len(self._engine.entries) if from_seq is None else from_seq
        self.lossy: list[Any] = []

    async def __aenter__(self) -> Self:
        if self._next < self._engine.oldest - 1:
            raise CursorExpiredError("That is too long ago.")
        self._engine.feeds.append(self)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._engine.feeds.remove(self)

    def __aiter__(self) -> "ScriptedFeed":
        return self

    async def __anext__(self) -> Any:
        while True:
            if self._connection.lost:
                raise EngineUnreachableError("The engine hung up.", hint="Start it again.")
            if self._next < len(self._engine.entries):
                self._next += 1
                return self._engine.entries[self._next - 1]
            if self.lossy:
                return self.lossy.pop(0)
            self._engine.woken.clear()
            await self._engine.woken.wait()


class ScriptedConnection:
    """What `rpc.client.Client` is to the real engine."""

    def __init__(self, engine: "ScriptedEngine") -> None:
        self.engine = engine
        self.lost = False

    @property
    def hello(self) -> wire.HelloResult:
        return wire.HelloResult(
            protocol="1",
            engine_version="0.1.0",
            actor="uid:ada",
            role=self.engine.role,
            epoch=self.engine.epoch,
        )

    async def call(self, request: wire.Request[Any]) -> Any:
        if self.lost:
            raise EngineUnreachableError("The engine hung up.", hint="Start it again.")
        return await self.engine.answer(request)

    def subscribe(self, topics: tuple = ("*",), from_seq: int | None = None) -> ScriptedFeed:
        return ScriptedFeed(self, from_seq)

    async def close(self) -> None:
        self.lost = True
        self.engine.woken.set()


class ScriptedEngine:
    """Holds a ledger of real events; tests append to it, drop connections, refuse calls."""

    def __init__(self, *, clock: Callable[[], int] = lambda: NOW) -> None:
        self.clock = clock
        self.entries: list[Any] = []
        self.oldest = 0
        self.state = State()
        self.role = "admin"
        self.epoch = "e1"
        self.calls: list[wire.Request[Any]] = []
        self.refusals: dict[type, Exception] = {}
        self.feeds: list[ScriptedFeed] = []
        self.connections: list[ScriptedConnection] = []
        self.woken = asyncio.Event()
        self.down = False
        self.snapshots = 0
        self.diff = DIFF
        self.log = "142 passed in 3.20s\n"
        self.progress: dict[str, Progress] = {}
        self.activity = Activity.IDLE
        self.halt = ""
        self.next_cycle_ns = NOW + 41 * MINUTE
        self.conflict = ""
        self.page = 65_536
        self.words = ""
        self.series: tuple[Series, ...] = ()
        self.limits: dict[str, Any] = {}
        self.logged = 3

    # --- the engine's side ----------------------------------------------------------------------

    async def connect(self) -> ScriptedConnection:
        if self.down:
            raise EngineUnreachableError(
                "No engine answers on /run/user/1000/ouroboros/fastpkg.sock.",
                hint="Start it with 'ouroboros serve'.",
            )
        connection = ScriptedConnection(self)
        self.connections.append(connection)
        return connection

    def emit(self, event: ev.AnyEvent, *, actor: str = "engine", ts: int = 0) -> Stored:
        seq = len(self.entries) + 1
        entry = Entry(
            v=1,
            seq=seq,
            ts=ts or self.clock(),
            actor=actor,
            idem=str(seq),
            prev=self.state.head,
            event=event,
        )
        stored = Stored(hash=commit(str(seq)) + "0" * 24, entry=entry)
        self.state = advance(self.state, stored)
        self.entries.append(stored)
        self.woken.set()
        return stored

    def emit_unknown(self) -> None:
        seq = len(self.entries) + 1
        self.state = replace(self.state, seq=seq)
        self.entries.append(
            UnknownEvent(seq=seq, topic="candidate.teleported", hash="f" * 64, raw=b"{}"),
        )
        self.woken.set()

    def tell(self, data: Progress | EngineStatus) -> None:
        if isinstance(data, Progress):
            self.progress[data.candidate] = data
        for feed in self.feeds:
            feed.lossy.append(Lossy(topic="x", data=data))
        self.woken.set()

    def drop(self, *, down: bool = True) -> None:
        """Break every connection; `down`: nobody answers afterwards."""
        self.down = down
        for connection in self.connections:
            connection.lost = True
        self.connections.clear()
        self.woken.set()

    def back(self) -> None:
        self.down = False

    def sent(self, kind: type) -> list[Any]:
        return [call for call in self.calls if isinstance(call, kind)]

    def status(self) -> EngineStatus:
        s = self.state
        return EngineStatus(
            engine_version="0.1.0",
            protocol="1",
            pid=1,
            epoch=self.epoch,
            seq=s.seq,
            head=s.head,
            target=s.target,
            path=s.path,
            branch=s.branch,
            target_head=s.versions[-1].commit if s.versions else "",
            mode=s.mode,
            activity=self.activity,
            paused=s.paused,
            pause_reason=s.pause_reason,
            pause_actor=s.pause_actor,
            halt_reason=self.halt,
            cycle=s.cycle,
            next_cycle_ns=self.next_cycle_ns,
            in_flight=(),
            held=(),
            candidates=len(s.candidates),
            version=s.versions[-1].number if s.versions else 0,
            versions_active=len(s.versions),
            config_hash=s.config_hash,
            sandbox=SANDBOX,
            started_ns=NOW,
            now_ns=self.clock(),
        )

    # --- methods --------------------------------------------------------------------------------

    async def answer(self, request: wire.Request[Any]) -> Any:
        self.calls.append(request)
        refusal = self.refusals.get(type(request))
        if refusal is not None:
            raise refusal
        name = request.method.replace(".", "_")
        return getattr(self, f"_on_{name}")(request)

    def _candidate(self, name: str) -> Any:
        if name not in self.state.candidates:
            raise NotFoundError(f"There is no candidate {name}.")
        return self.state.candidates[name]

    def _on_engine_snapshot(self, _: wire.EngineSnapshot) -> Snapshot:
        self.snapshots += 1
        state, trimmed = trim(self.state)
        live = tuple(self.progress.values())
        return Snapshot(state=state, status=self.status(), progress=live, trimmed=trimmed)

    def _on_engine_status(self, _: wire.EngineStatusGet) -> EngineStatus:
        return self.status()

    def _on_engine_pause(self, request: wire.EnginePause) -> wire.Ok:
        return self._ok(self.emit(ev.Paused(reason=request.reason), actor="uid:ada"))

    def _on_engine_resume(self, request: wire.EngineResume) -> wire.Ok:
        return self._ok(self.emit(ev.Resumed(reason=request.reason), actor="uid:ada"))

    def _on_cycle_trigger(self, _: wire.CycleTrigger) -> wire.CycleTriggerResult:
        number = self.state.cycles + 1
        self.emit(ev.CycleStarted(cycle=number, trigger="manual", base=commit("base")))
        return wire.CycleTriggerResult(cycle=number)

    def _on_candidate_approve(self, request: wire.CandidateApprove) -> wire.ApproveResult:
        event = ev.Approved(candidate=request.id, commit=request.commit, reason=request.reason)
        stored = self.emit(event, actor="uid:ada")
        return wire.ApproveResult(seq=stored.entry.seq, given=("uid:ada",), needed=1)

    def _on_candidate_reject(self, request: wire.CandidateReject) -> wire.Ok:
        event = ev.Denied(candidate=request.id, reason=request.reason)
        return self._ok(self.emit(event, actor="uid:ada"))

    def _on_candidate_cancel(self, request: wire.CandidateCancel) -> wire.Ok:
        event = ev.Cancelled(candidate=request.id, reason=request.reason)
        return self._ok(self.emit(event, actor="uid:ada"))

    def _on_candidate_diff(self, request: wire.CandidateDiff) -> wire.DiffResult:
        self._candidate(request.id)
        end = request.offset + min(request.limit, self.page)
        return wire.DiffResult(
            text=self.diff[request.offset : end], offset=request.offset, total=len(self.diff)
        )

    def _on_candidate_log(self, request: wire.CandidateLog) -> wire.LogResult:
        return wire.LogResult(text=f"log of {request.check}\n{self.log}")

    def _on_governor_explain(self, request: wire.GovernorExplain) -> Explanation:
        known = self._candidate(request.id)
        return Explanation(
            candidate=request.id,
            headline=f"{known.verdict.decision.value}: in words",
            lines=tuple(f"{r.code}: {r.text}" for r in known.verdict.reasons),
        )

    def _on_ledger_list(self, request: wire.LedgerList) -> wire.LedgerPage:
        end = (request.before or len(self.entries) + 1) - 1
        begin = max(0, end - request.limit)
        rows = tuple(
            wire.LedgerRow(
                seq=s.entry.seq,
                ts=s.entry.ts,
                kind=s.entry.event.kind,
                actor=s.entry.actor,
                candidate=getattr(s.entry.event, "candidate", ""),
                hash=s.hash,
                text=f"{s.entry.event.kind} in the ledger",
            )
            for s in reversed(self.entries[begin:end])
            if isinstance(s, Stored) and request.kind in ("", s.entry.event.kind)
        )
        return wire.LedgerPage(rows=rows, next=begin + 1 if begin else 0)

    def _on_version_preview(self, request: wire.VersionPreview) -> RollbackPreview:
        to = int(request.to)
        undone = [v for v in self.state.versions if v.number > to and v.candidate and v.active]
        return RollbackPreview(
            to=to,
            head=self.state.versions[-1].commit,
            commit=commit("back"),
            undoes=tuple(v.number for v in reversed(undone)),
            candidates=tuple(v.candidate for v in reversed(undone)),
            files=(
                FileChange(
                    path="fastpkg/tokens.py", status=FileStatus.MODIFIED, added=4, removed=3
                ),
            ),
            diff=DIFF,
            conflict=self.conflict,
        )

    def _on_version_rollback(self, request: wire.VersionRollback) -> Version:
        to = int(request.to)
        number = self.state.versions[-1].number + 1
        names = tuple(v.candidate for v in self.state.versions if v.number > to and v.candidate)
        common = {
            "candidates": names,
            "branch": "main",
            "commit": commit(f"back{number}"),
            "version": number,
            "restores": to,
            "reason": request.reason,
        }
        self.emit(ev.RollbackStarted(expected_head=request.expect_head, **common), actor="uid:ada")
        self.emit(ev.RolledBack(**common))
        return self.state.versions[-1]

    def _on_candidate_get(self, request: wire.CandidateGet) -> Any:
        return self._candidate(request.id)

    def _on_candidate_evaluation(self, request: wire.CandidateEvaluation) -> Any:
        found = self._candidate(request.id).evaluation
        return None if found is None else replace(found, series=self.series)

    def _on_candidate_hold(self, request: wire.CandidateHold) -> wire.Ok:
        event = ev.HoldAsked(candidate=request.id, reason=request.reason)
        return self._ok(self.emit(event, actor="uid:ada"))

    def _on_candidate_retry(self, request: wire.CandidateRetry) -> wire.SubmitResult:
        self.propose(f"{request.id}again", "once more")
        return wire.SubmitResult(id=f"{request.id}again")

    def _on_candidate_promote_full(self, request: wire.CandidatePromoteFull) -> wire.Ok:
        event = ev.Overridden(candidate=request.id, commit=request.commit, reason=request.reason)
        return self._ok(self.emit(event, actor="uid:ada"))

    def _on_version_diff(self, request: wire.VersionDiff) -> wire.DiffResult:
        return wire.DiffResult(text=self.diff, offset=0, total=len(self.diff))

    def _on_ledger_get(self, request: wire.LedgerGet) -> wire.LedgerEntry:
        stored = self.entries[request.seq - 1]
        text = msgspec.json.encode(stored.entry).decode()
        return wire.LedgerEntry(seq=request.seq, hash=stored.hash, bytes=text)

    def _on_ledger_verify(self, _: wire.LedgerVerify) -> wire.VerifyResult:
        head = Head(size=len(self.entries), hash=self.state.head)
        return wire.VerifyResult(ok=True, entries=len(self.entries), head=head)

    def _on_metrics_list(self, _: wire.MetricsList) -> tuple[Metric, ...]:
        return (
            Metric(name="engine_rss_bytes", unit="bytes", kind="gauge", text="Resident memory."),
            Metric(name="host_load1", unit="processes", kind="gauge", text=self.words),
        )

    def _on_metrics_query(self, request: wire.MetricsQuery) -> Points:
        end = request.end or self.clock()
        times = tuple(end - n * 10 * 10**9 for n in range(60, 0, -1))
        values = tuple(float(61 << 20) + (n % 7) * 1e5 for n in range(60))
        return Points(
            name=request.name, step_s=10.0, ts=times, mean=values, least=values, most=values
        )

    def _on_alert_ack(self, request: wire.AlertAck) -> Any:
        self.emit(ev.AlertAcked(alert=request.seq, reason=request.reason), actor="uid:ada")
        return next(a for a in self.state.alerts if a.seq == request.seq)

    def _on_alert_silence(self, request: wire.AlertSilence) -> wire.Ok:
        event = ev.AlertSilenced(codes=request.codes, until_ns=request.until, reason=request.reason)
        return self._ok(self.emit(event, actor="uid:ada"))

    def _on_governor_status(self, _: wire.GovernorStatusGet) -> GovernorStatus:
        s = self.state
        return GovernorStatus(
            mode=s.mode,
            policy="p" * 64,
            limits=(
                Limit(key="governor.max_lines", value=9, overridden=True, file=400),
                Limit(key="governor.limits.quorum", value=1),
            ),
            anchor=s.anchor,
            standing=None,
            head=s.head,
            tests=s.tests,
            discoveries=s.discoveries,
            next_level=0.025,
            promotions=1,
            promotions_of={self.words or "codemod": 1},
            circuit=Circuit(errors=1, max_errors=3, rollbacks=0, max_rollbacks=2, open=self.words),
            noise=(
                Noise(
                    benchmark=self.words or "tokenize",
                    metric="cpu",
                    machine="m",
                    sd=0.021,
                    pairs=12,
                    measured_ns=NOW - MINUTE,
                ),
            ),
            frozen_until_ns=s.frozen.until_ns if s.frozen else 0,
            frozen_until="tomorrow" if s.frozen else "",
            waiting=(),
            now_ns=self.clock(),
            frozen_by=s.frozen.actor if s.frozen else "",
            frozen_reason=s.frozen.reason if s.frozen else "",
        )

    def _on_governor_freeze(self, request: wire.GovernorFreeze) -> wire.Ok:
        event = ev.FreezeSet(until_ns=request.until, reason=request.reason)
        return self._ok(self.emit(event, actor="uid:ada"))

    def _on_governor_unfreeze(self, request: wire.GovernorUnfreeze) -> wire.Ok:
        return self._ok(self.emit(ev.FreezeSet(until_ns=0, reason=request.reason), actor="uid:ada"))

    def _on_governor_set_limits(self, request: wire.GovernorSetLimits) -> wire.LimitsResult:
        self.limits |= request.changes
        seq = self.emit(
            ev.LimitsChanged(
                config_hash="n" * 64,
                text="t",
                reason=request.reason,
                changes=request.changes,
            ),
            actor="uid:ada",
        ).entry.seq
        return wire.LimitsResult(seq=seq, policy="n" * 64, overrides=dict(self.limits))

    def _on_worker_list(self, _: wire.WorkerList) -> tuple[Worker, ...]:
        name = self.words or "local"
        return (Worker(name=name, slots=1, busy=("c5",), sandbox=SANDBOX, pid=1, drained=True),)

    def _on_config_get(self, _: wire.ConfigGet) -> wire.ConfigResult:
        return wire.ConfigResult(
            hash="c" * 64,
            text="[governor]\nmax_lines = 400\n[tests]\ncommand = ['pytest']\n",
            values={
                "governor": {"max_lines": 9, "limits": {"quorum": 1}},
                "tests": {"command": ["pytest", self.words]},
            },
            overrides={"governor.max_lines": 9},
        )

    def _on_log_tail(self, request: wire.LogTail) -> LogPage:
        words = self.words or "the loop goes on"
        lines = tuple(
            LogLine(number=n, ts=NOW, level=request.level, source="engine", text=f"{words} {n}")
            for n in range(request.after + 1, self.logged)
        )
        return LogPage(lines=lines, next=max(request.after, self.logged - 1))

    @staticmethod
    def _ok(stored: Stored) -> wire.Ok:
        return wire.Ok(seq=stored.entry.seq)

    # --- a life of a candidate ------------------------------------------------------------------

    def begin(self) -> None:
        """Adopt a target and start."""
        self.emit(
            ev.TargetAdopted(
                target="fastpkg-0123456789ab",
                path="/home/ada/fastpkg",
                branch="main",
                commit=commit("base"),
            ),
            ts=NOW - 300 * MINUTE,
        )
        self.emit(
            ev.EngineStarted(
                engine_version="0.1.0", pid=1, config_hash="c" * 64, mode="supervised"
            ),
            ts=NOW - 299 * MINUTE,
        )

    def propose(
        self, name: str, title: str, *, rationale: str = "", proposer: str = "codemod", ts: int = 0
    ) -> None:
        self.emit(
            ev.Proposed(
                candidate=name,
                cycle=self.state.cycles,
                proposer=proposer,
                title=title,
                rationale=rationale,
                base=commit("base"),
                diff="d" * 64,
                idea=f"idea-{name}",
            ),
            ts=ts,
        )

    def to_evaluating(
        self, name: str, title: str, *, marks: tuple[Mark, ...] = (), ts: int = 0, **how: str
    ) -> None:
        self.propose(name, title, ts=ts, **how)
        files = (
            FileChange(path="fastpkg/tokens.py", status=FileStatus.MODIFIED, added=4, removed=4),
            FileChange(path="fastpkg/words.py", status=FileStatus.MODIFIED, added=1, removed=1),
        )
        self.emit(ev.Screened(candidate=name, files=files, marks=marks), ts=ts)
        self.emit(
            ev.Applied(
                candidate=name,
                base=commit("base"),
                commit=commit(name),
                tree=commit(name + "t"),
                checkpoint=f"refs/ouroboros/checkpoints/{name}",
            ),
            ts=ts,
        )
        self.emit(ev.EvaluationStarted(candidate=name, attempt=1, executor="local"), ts=ts)

    def to_evaluated(
        self, name: str, title: str, *, checks: tuple = GOOD_CHECKS, ts: int = 0, **how: Any
    ) -> None:
        self.to_evaluating(name, title, ts=ts, **how)
        ok = all(check.status is CheckStatus.PASSED for check in checks)
        status = EvaluationStatus.OK if ok else EvaluationStatus.FAILED
        done = evaluation(commit("base"), commit(name), *checks, status=status)
        self.emit(ev.Evaluated(candidate=name, evaluation=done), ts=ts)

    def to_held(
        self, name: str, title: str, *, change: float = -0.124, ts: int = 0, **how: Any
    ) -> None:
        self.to_evaluated(name, title, ts=ts, **how)
        guard = comparison(
            0.004, metric="rss", role="guard", outcome=Outcome.NEUTRAL, lower=-0.006, upper=0.013
        )
        said = verdict(Decision.HOLD, SUPERVISED, comparisons=(comparison(change), guard))
        expires = (ts or self.clock()) + 24 * 60 * MINUTE
        self.emit(ev.Held(candidate=name, verdict=said, expires_ns=expires), ts=ts)

    def to_promoted(
        self, name: str, title: str, *, ts: int = 0, kept: bool = False, **how: Any
    ) -> None:
        self.to_held(name, title, ts=ts, **how)
        number = self.state.versions[-1].number + 1
        head = self.state.versions[-1].commit
        self.emit(
            ev.Approved(candidate=name, commit=commit(name), reason=""), actor="uid:ada", ts=ts
        )
        self.emit(
            ev.PromotionStarted(
                candidate=name,
                branch="main",
                expected_head=head,
                commit=commit(name),
                version=number,
            ),
            ts=ts,
        )
        self.emit(
            ev.Promoted(candidate=name, version=number, commit=commit(name), branch="main"), ts=ts
        )
        if kept:
            self.emit(ev.Kept(candidate=name, reason="the watch passed"), ts=ts)

    def to_rejected(self, name: str, title: str, *, ts: int = 0) -> None:
        failed = replace(
            GOOD_CHECKS[1],
            status=CheckStatus.FAILED,
            code="tests_failed",
            text="2 of 142 tests failed: test_tokens.py::test_empty",
            tests_failed=2,
        )
        self.to_evaluated(name, title, checks=(GOOD_CHECKS[0], failed), ts=ts)
        why = Reason(code="tests_failed", text="2 of 142 tests failed on the candidate.")
        self.emit(
            ev.Rejected(candidate=name, reasons=(why,), verdict=verdict(Decision.REJECT, why)),
            ts=ts,
        )

    def story(self) -> "ScriptedEngine":
        """A morning in the life of an engine."""
        self.begin()
        self.emit(
            ev.CycleStarted(cycle=1, trigger="interval", base=commit("base")), ts=NOW - 290 * MINUTE
        )
        self.to_promoted(
            "c1",
            "use a frozenset for membership in words.is_word",
            change=-0.31,
            kept=True,
            ts=NOW - 200 * MINUTE,
        )
        self.to_rejected(
            "c2", "drop the empty-string branch in tokens.tokenize", ts=NOW - 150 * MINUTE
        )
        self.emit(ev.CycleFinished(cycle=1, outcome="proposed", proposals=2), ts=NOW - 140 * MINUTE)
        self.emit(
            ev.CycleStarted(cycle=2, trigger="interval", base=commit("base")), ts=NOW - 130 * MINUTE
        )
        self.to_promoted(
            "c3", "cache the compiled pattern in tokens.split", change=-0.082, ts=NOW - 100 * MINUTE
        )
        mark = Mark(
            rule="large-diff",
            severity=Severity.HOLD,
            text="touches two modules",
            path="fastpkg/words.py",
            line=1,
        )
        self.to_held(
            "c4",
            "iterate over characters instead of indexes in tokens.tokenize",
            ts=NOW - 12 * MINUTE,
            marks=(mark,),
            rationale="Indexing a str builds a one-character string each time.\n"
            "Iterating does it once; membership in a frozenset is a hash lookup.",
        )
        self.to_evaluating("c5", "count words with a defaultdict in tokens.count", ts=NOW - MINUTE)
        self.tell(
            Progress(
                candidate="c5",
                stage="confirm:tokenize",
                done=14,
                total=40,
                comparison=comparison(
                    -0.05, pairs=14, outcome=Outcome.INCONCLUSIVE, lower=-0.12, upper=0.03
                ),
            ),
        )
        return self
