"""The real engine in a process of its own, killed at an exact instant.

Everything is what `ouroboros serve` builds (`compose.serve`): ledger, git, lock, socket, sandbox,
journal. Two things are put in by the tests, from outside: the executor, whose numbers are read off
the candidate's files so that every verdict is known in advance (it still exports trees, runs
commands in the sandbox, and takes pairs one by one), and a `Fail`, which kills this process with
SIGKILL at the n-th call of one function.

The witness is a file to which the process says what it was told is safe: an entry that `record`
returned, a pair that the journal returned. Whatever stands there and is not found again is lost.
"""

import asyncio
import json
import os
import re
import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ouroboros.cli import compose
from ouroboros.engine import recovery
from ouroboros.engine.journal import Journals
from ouroboros.engine.recorder import Recorder
from ouroboros.errors import CancelledByHumanError
from ouroboros.evaluation.plan import Plan
from ouroboros.evaluation.trees import Export, Trees
from ouroboros.executors import Journal, PutEvidence, Report
from ouroboros.ledger.evidence import Evidence
from ouroboros.ledger.store import Store
from ouroboros.model.entry import Stored
from ouroboros.model.evaluation import (
    Assurance,
    CheckOutcome,
    CheckStatus,
    Evaluation,
    EvaluationStatus,
    Pair,
    Sample,
    Series,
    Stage,
)
from ouroboros.model.progress import HotSpot, Progress
from ouroboros.paths import paths_for
from ouroboros.sandbox import Command, Sandbox
from ouroboros.vcs import runner
from ouroboros.vcs.moves import Move
from ouroboros.vcs.repository import Repository

PAIRS = 12
_SANDBOXED = 4
"""Every so many pairs a command really runs in the sandbox."""
_EFFECT = re.compile(r"# effect ([a-z0-9.+-]+)")

POINTS: dict[str, tuple[Any, str]] = {
    "ledger.append": (Store, "append"),
    "evidence.put": (Evidence, "put"),
    "git.build": (Repository, "build_candidate"),
    "git.rebase": (Repository, "rebase_candidate"),
    "git.promotion_commit": (Repository, "promotion_commit"),
    "git.revert": (Repository, "revert"),
    "git.move_branch": (Repository, "move_branch"),
    **{
        f"move.{name}": (Move, name)
        for name in ("lock", "check", "swap", "follow", "publish", "unlock")
    },
    "git.command": (runner, "_execute"),
    "journal.begin": (Journals, "begin"),
    "journal.take": (Journals, "take"),
    "journal.drop": (Journals, "drop"),
    **{
        f"recovery.{name}": (recovery, name)
        for name in (
            "sweep",
            "adopt_or_check",
            "_clear_locks",
            "requeue_interrupted",
            "reconcile_refs",
            "tell_unknown_promotions",
            "_sweep_pairs",
        )
    },
}
"""Where a kill can be: name -> owner and function."""


class Fail(NamedTuple):
    """Kill before or after the n-th call (from 1) of a point."""

    point: str
    when: str
    n: int

    def __str__(self) -> str:
        return f"{self.when} {self.point} #{self.n}"


class _Counted:
    """Counts the calls of every point, and kills at the one that was named."""

    def __init__(self, fail: Fail | None) -> None:
        self._fail = fail
        self._lock = threading.Lock()
        self.counts: Counter[str] = Counter()

    def install(self) -> None:
        for point, (owner, name) in POINTS.items():
            setattr(owner, name, self._wrapped(point, getattr(owner, name)))

    def _wrapped(self, point: str, work: Callable[..., Any]) -> Callable[..., Any]:
        if asyncio.iscoroutinefunction(work):

            async def waits(*args: Any, **kwargs: Any) -> Any:
                n = self._before(point)
                result = await work(*args, **kwargs)
                self._maybe(point, "after", n)
                return result

            return waits

        def calls(*args: Any, **kwargs: Any) -> Any:
            n = self._before(point)
            result = work(*args, **kwargs)
            self._maybe(point, "after", n)
            return result

        return calls

    def _before(self, point: str) -> int:
        with self._lock:
            self.counts[point] += 1
            n = self.counts[point]
        self._maybe(point, "before", n)
        return n

    def _maybe(self, point: str, when: str, n: int) -> None:
        if self._fail == Fail(point, when, n):
            os.kill(os.getpid(), signal.SIGKILL)


class Witness:
    """Appends lines that survive this process (not the machine)."""

    def __init__(self, path: Path) -> None:
        self._handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def say(self, *what: object) -> None:
        os.write(self._handle, (json.dumps(what) + "\n").encode())


class CrashExecutor:
    """Built like `LocalExecutor`; says what the candidate's files say (`# effect -0.3`)."""

    name = "crash"
    machine = "crash"
    witness: Witness

    def __init__(
        self,
        *,
        sandbox: Sandbox,
        export: Export,
        put_evidence: PutEvidence,
        cache: Path,
        journal: Journal,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> None:
        self._sandbox = sandbox
        self._trees = Trees(cache, export)
        self._put = put_evidence
        self._journal = journal
        self._clock_ns = clock_ns
        self._running: dict[str, asyncio.Event] = {}

    async def run(self, plan: Plan, report: Report) -> Evaluation:
        stop = self._running[plan.candidate] = asyncio.Event()
        try:
            return await self._run(plan, report, stop)
        finally:
            del self._running[plan.candidate]

    async def _run(self, plan: Plan, report: Report, stop: asyncio.Event) -> Evaluation:
        report(Progress(candidate=plan.candidate, stage="tests"))
        async with self._trees.use(plan.base_commit), self._trees.use(plan.candidate_commit) as it:
            await self._sandboxed(plan, it)
            effect = _effect(it, plan.changed)
            log = await asyncio.to_thread(self._put, f"tests of {plan.candidate_commit}".encode())
            failed = effect is None
            check = CheckOutcome(
                name="tests",
                status=CheckStatus.FAILED if failed else CheckStatus.PASSED,
                code="tests_failed" if failed else "ok",
                text="a test fails" if failed else "",
                log=log,
            )
            series = () if effect is None else await self._measure(plan, it, effect, stop)
        return Evaluation(
            status=EvaluationStatus.FAILED if failed else EvaluationStatus.OK,
            cause="a test fails" if failed else "",
            base_commit=plan.base_commit,
            candidate_commit=plan.candidate_commit,
            attempt=plan.attempt,
            checks=(check,),
            series=series,
            assurance=Assurance.TESTS,
            sandbox=self._sandbox.level,
            machine="crash",
            started_ns=self._clock_ns(),
            wall_ns=1,
        )

    async def _measure(
        self, plan: Plan, tree: Path, effect: float, stop: asyncio.Event
    ) -> tuple[Series, ...]:
        found = []
        prior = {(s.benchmark, s.stage): s for s in plan.prior}
        for stage in (Stage.SCREEN, Stage.CONFIRM):
            before = prior.get(("b", stage))
            pairs = list(before.pairs) if before else []
            for index in range(len(pairs), PAIRS):
                if stop.is_set():
                    raise CancelledByHumanError("cancelled")
                if index % _SANDBOXED == 0:
                    await self._sandboxed(plan, tree)
                await asyncio.sleep(0.003)  # what a benchmark takes
                pair = self._pair(effect, index)
                await asyncio.to_thread(self._journal, plan.candidate, "b", stage, index, pair)
                self.witness.say(
                    "pair", plan.candidate, plan.candidate_commit, stage, index, pair.started_ns
                )
                pairs.append(pair)
            found.append(Series(benchmark="b", stage=stage, pairs=tuple(pairs)))
        return tuple(found)

    def _pair(self, effect: float, index: int) -> Pair:
        def side(factor: float) -> Sample:
            return Sample(cpu_ns=int(1e8 * factor), wall_ns=int(1e8 * factor), rss_bytes=10**7)

        return Pair(
            started_ns=self._clock_ns(),
            candidate_first=index % 2 == 0,
            baseline=side(1),
            candidate=side(1 + effect),
        )

    async def _sandboxed(self, plan: Plan, tree: Path) -> None:
        command = Command(
            argv=("/bin/sh", "-c", "sleep 0.02 & sleep 0.02; wait"),
            python=plan.python,
            limits=plan.config.sandbox,
            timeout=plan.config.sandbox.timeout,
            tree=tree,
        )
        await self._sandbox.run(command)  # a killed launcher makes it a fault: nothing is read off

    async def profile(self, plan: Plan) -> tuple[HotSpot, ...]:
        return ()

    async def cancel(self, candidate: str) -> None:
        if candidate in self._running:
            self._running[candidate].set()

    async def close(self) -> None:
        for stop in self._running.values():
            stop.set()
        await self._sandbox.close()


def _effect(tree: Path, changed: tuple[str, ...]) -> float | None:
    """Return the relative change of the time that the candidate's files speak of."""
    for path in changed:
        if found := _EFFECT.search((tree / path).read_text()):
            return None if found[1] == "broken" else float(found[1])
    return 0.0


def serve(root: Path, witness: Path, fail: Fail | None) -> int:
    """Run the engine of `root` in this process until it is stopped, or killed by `fail`."""
    told = Witness(witness)
    CrashExecutor.witness = told
    counted = _Counted(fail)
    counted.install()
    _witness_entries(told)
    compose.LocalExecutor = CrashExecutor  # type: ignore[misc, assignment]
    code = asyncio.run(compose.serve(paths_for(root, os.environ), on_ready=lambda _: None))
    told.say("counts", dict(counted.counts))
    return code


def _witness_entries(told: Witness) -> None:
    record = Recorder.record

    async def witnessed(self: Recorder, *args: Any, **kwargs: Any) -> Stored:
        stored = await record(self, *args, **kwargs)
        told.say("entry", stored.entry.seq, stored.hash)
        return stored

    Recorder.record = witnessed  # type: ignore[method-assign]


def main() -> int:
    """`crash_engine.py ROOT WITNESS [POINT WHEN N]`."""
    root, witness, *rest = sys.argv[1:]
    fail = Fail(rest[0], rest[1], int(rest[2])) if rest else None
    return serve(Path(root), Path(witness), fail)


if __name__ == "__main__":
    sys.exit(main())
