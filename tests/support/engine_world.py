"""A real ledger, a real repository, and an executor that says what the test tells it to.

The executor is the one thing scripted here: it is an adapter with a contract of its own
(`tests/contract/test_executors.py`); these tests are about what the engine does with its answers.
"""

import asyncio
import itertools
import os
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from ouroboros.config import Loaded, load
from ouroboros.engine.core import Deps, free_bytes
from ouroboros.engine.daemon import Engine
from ouroboros.engine.journal import Journals
from ouroboros.errors import CancelledByHumanError
from ouroboros.evaluation.plan import Plan
from ouroboros.executors import Report
from ouroboros.ledger.evidence import Evidence
from ouroboros.ledger.store import Store
from ouroboros.model.evaluation import (
    Assurance,
    CheckOutcome,
    CheckStatus,
    Evaluation,
    EvaluationStatus,
    Pair,
    Purpose,
    Sample,
    SandboxLevel,
    Series,
    Stage,
)
from ouroboros.model.events import AnyEvent
from ouroboros.model.phase import Phase
from ouroboros.model.progress import HotSpot, Progress
from ouroboros.model.proposal import Proposal
from ouroboros.model.state import Candidate, State
from ouroboros.proposers import Context
from ouroboros.vcs.repository import Repository

MACHINE = "test machine"
LEVEL = SandboxLevel(backend="bwrap", version="test", limits="rlimits")
CONFIG = """\
[governor]
mode = "{mode}"
{governor}
[engine]
interval = "{interval}"
watch_after = "{watch_after}"
shutdown_grace = "1s"
{engine}
[storage]
{storage}
[benchmarks.b]
command = ["true"]
"""
SOURCE = "def f(x):\n    return x + 1\n\n\ndef g(x):\n    return x * 2\n"


def git(root: Path, *args: str) -> str:
    env = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    env |= {"GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1"}
    identity = ["-c", "user.name=U", "-c", "user.email=u@example.org"]
    done = subprocess.run(
        ["git", "-C", str(root), *identity, *args], check=True, capture_output=True, env=env
    )
    return done.stdout.decode().strip()


def make_diff(path: str, old: str, new: str, *, before: str = SOURCE) -> str:
    """Return a unified diff that replaces one line of a file."""
    import difflib

    lines = difflib.unified_diff(
        before.splitlines(keepends=True),
        before.replace(old, new).splitlines(keepends=True),
        f"a/{path}",
        f"b/{path}",
    )
    return "".join(lines)


FASTER = make_diff("m.py", "x + 1", "1 + x")
OTHER = make_diff("m.py", "x * 2", "x + x")


def pairs(effect: float, count: int = 20) -> tuple[Pair, ...]:
    """Return pairs without any noise, later than all pairs before."""

    def side(factor: float) -> Sample:
        return Sample(cpu_ns=int(1e8 * factor), wall_ns=int(1e8 * factor), rss_bytes=10**7)

    return tuple(
        Pair(
            started_ns=time.monotonic_ns(),
            candidate_first=False,
            baseline=side(1),
            candidate=side(1 + effect),
        )
        for _ in range(count)
    )


def series(plan: Plan, effect: float, count: int = 20) -> tuple[Series, ...]:
    """Return what an executor brings: prior pairs first, then `count` of its own, per stage."""
    context = plan.context
    if plan.purpose is Purpose.CANDIDATE:
        anchored = (Stage.ANCHOR,) if context is not None and context.anchor else ()
        stages = (Stage.SCREEN, Stage.CONFIRM, *anchored)
    else:
        stages = (Stage.ANCHOR if plan.purpose is Purpose.ANCHOR else Stage.SCREEN,)
    prior = {s.stage: s for s in plan.prior}
    none = Series(benchmark="b", stage=Stage.SCREEN, pairs=())
    return tuple(
        Series(
            benchmark="b",
            stage=stage,
            pairs=(*prior.get(stage, none).pairs, *pairs(effect, count)),
            inherited=prior.get(stage, none).inherited,
        )
        for stage in stages
    )


def evaluation(
    plan: Plan, *, status: str = "ok", effect: float = -0.3, cause: str = ""
) -> Evaluation:
    code = {"ok": ("passed", "ok"), "failed": ("failed", "tests_failed"), "error": ("error", "x")}
    check = CheckOutcome(
        name="tests", status=CheckStatus(code[status][0]), code=code[status][1], text=cause
    )
    return Evaluation(
        status=EvaluationStatus(status),
        cause=cause,
        base_commit=plan.base_commit,
        candidate_commit=plan.candidate_commit,
        attempt=plan.attempt,
        checks=(check,),
        series=series(plan, effect) if status == "ok" else (),
        assurance=Assurance.TESTS,
        sandbox=LEVEL,
        machine=MACHINE,
        started_ns=1,
        wall_ns=1,
        anchor_commit=plan.context.anchor if plan.context and status == "ok" else "",
    )


def calibration(plan: Plan, name: str) -> Series:
    """Return pairs of the baseline against itself, without any noise."""
    return Series(benchmark=name, stage=Stage.CALIBRATE, pairs=pairs(0, 10))


class ScriptedExecutor:
    """Answers by `answer(plan)`; waits on `gate` first, so that tests can act meanwhile.

    Calibrations are answered by `noise(plan, name)` and wait on `noise_gate`.
    """

    name = "scripted"
    machine = MACHINE

    def __init__(self) -> None:
        self.answer: Callable[[Plan], Evaluation] = evaluation
        self.noise: Callable[[Plan, str], Series] = calibration
        self.calibrated: list[str] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.noise_gate = asyncio.Event()
        self.noise_gate.set()
        self.plans: list[Plan] = []
        self._cancelled: dict[str, asyncio.Event] = {}

    async def run(self, plan: Plan, report: Report) -> Evaluation:
        self.plans.append(plan)
        report(Progress(candidate=plan.candidate, stage="tests"))
        await self._pass(plan, self.gate)
        return self.answer(plan)

    async def calibrate(self, plan: Plan, names: tuple[str, ...]) -> tuple[Series, ...]:
        self.calibrated += names
        await self._pass(plan, self.noise_gate)
        return tuple(self.noise(plan, name) for name in names)

    async def _pass(self, plan: Plan, gate: asyncio.Event) -> None:
        stop = self._cancelled.setdefault(plan.candidate, asyncio.Event())
        stop.clear()
        waits = [asyncio.ensure_future(e.wait()) for e in (gate, stop)]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if stop.is_set():
            raise CancelledByHumanError("cancelled")

    async def profile(self, plan: Plan) -> tuple[HotSpot, ...]:
        return ()

    async def cancel(self, candidate: str) -> None:
        self._cancelled.setdefault(candidate, asyncio.Event()).set()

    async def close(self) -> None:
        for event in self._cancelled.values():
            event.set()


class ListProposer:
    """Proposes diffs from a list, each once."""

    name = "list"

    def __init__(self) -> None:
        self.diffs: list[str] = []
        self.contexts: list[Context] = []

    async def propose(self, context: Context) -> Proposal | None:
        self.contexts.append(context)
        if not self.diffs:
            return None
        return Proposal(
            proposer="list",
            title="make it faster",
            rationale="it was slow",
            base=context.base,
            diff=self.diffs.pop(0),
        )


class World:
    """One target with everything around it; engines come and go on it."""

    def __init__(self, folder: Path) -> None:
        self.root = folder / "target"
        self.state = folder / "state"
        self.root.mkdir()
        self.state.mkdir()
        git(self.root, "init", "-q", "-b", "main")
        (self.root / "m.py").write_text(SOURCE)
        git(self.root, "add", ".")
        git(self.root, "commit", "-q", "-m", "first")
        self.configure()
        self.executor = ScriptedExecutor()
        self.proposer = ListProposer()
        self.journals: Journals | None = None
        self.clock_ns: Callable[[], int] = time.time_ns
        self.free_bytes: Callable[[Path], int] = free_bytes
        self._ids = itertools.count()
        self.engines: list[Engine] = []
        self.stores: list[Store] = []

    def configure(
        self,
        mode: str = "supervised",
        engine: str = "",
        storage: str = "",
        governor: str = "",
        *,
        interval: str = "1h",
        watch_after: str = "1h",
    ) -> None:
        text = CONFIG.format(
            mode=mode,
            engine=engine,
            storage=storage,
            governor=governor,
            interval=interval,
            watch_after=watch_after,
        )
        (self.root / "ouroboros.toml").write_text(text)

    def limit(self, text: str) -> None:
        """Put lines into `[governor.limits]`."""
        with (self.root / "ouroboros.toml").open("a") as file:
            file.write(f"[governor.limits]\n{text}\n")

    def load(self) -> Loaded:
        return load(self.root / "ouroboros.toml")

    async def start(
        self, branch: str = "main", *, executor: ScriptedExecutor | None = None
    ) -> Engine:
        """Start an engine on whatever the ledger holds."""
        if executor is not None:
            self.executor = executor
        elif self.engines:
            self.executor = ScriptedExecutor()
        store = Store.open(self.state / "ledger.sqlite")
        self.stores.append(store)
        run = len(self.stores)
        deps = Deps(
            target="target-1",
            root=self.root,
            cache=self.state / "cache",
            ledger=self.state / "ledger.sqlite",
            store=store,
            evidence=Evidence(self.state / "evidence"),
            repository=Repository.open(self.root),
            executor=self.executor,
            proposers={"list": self.proposer},
            sinks=[],
            sandbox=LEVEL,
            load_config=self.load,
            find_python=lambda _: "/usr/bin/python3",
            clock_ns=lambda: self.clock_ns(),  # noqa: PLW0108 - a test may change it later
            free_bytes=lambda folder: self.free_bytes(folder),  # noqa: PLW0108 - same
            new_id=lambda: f"{run}-{next(self._ids)}",
            seed=lambda: 1,
            pid=os.getpid(),
            engine_version="0",
            protocol="1",
            journals=self.journals,
        )
        engine = Engine(deps, self.load())
        self.engines.append(engine)
        await engine.start(branch)
        return engine

    async def stop(self, engine: Engine) -> None:
        await engine.close()
        self.stores[self.engines.index(engine)].close()

    def head(self) -> str:
        return git(self.root, "rev-parse", "main")

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events()]

    def events(self) -> list[AnyEvent]:
        with Store.open(self.state / "ledger.sqlite", read_only=True) as store:
            return [s.entry.event for s in store.entries()]


async def until(engine: Engine, predicate: Callable[[State], bool], timeout_s: float = 20) -> State:
    """Return the state once it fulfils the predicate."""
    async with asyncio.timeout(timeout_s):
        await engine._core.recorder.wait_for(predicate)
    return engine.state


async def called(condition: Callable[[], bool]) -> None:
    """Return once something holds that no entry tells."""
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - there is no event for it
            await asyncio.sleep(0.01)


async def reach(engine: Engine, name: str, *phases: Phase, timeout_s: float = 20) -> Candidate:
    return await engine.wait(name, until=frozenset(phases), timeout_s=timeout_s)
