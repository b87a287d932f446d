"""What every executor promises (`ouroboros/executors/__init__.py`), kept by each of them.

A new executor joins by a line in `KINDS`: a function that builds one for a repository.
"""

import asyncio
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest

from ouroboros.config import parse
from ouroboros.errors import CancelledByHumanError, EvaluationError
from ouroboros.evaluation.plan import Plan
from ouroboros.executors import Executor, Journal
from ouroboros.executors.local import LocalExecutor
from ouroboros.model.evaluation import EvaluationStatus, Pair, Stage
from ouroboros.model.progress import Progress
from ouroboros.sandbox import Sandbox
from ouroboros.vcs.repository import Repository

TOML = """
[tests]
framework = "command"
command = ["sh", "tests/run.sh"]
[benchmarks.b]
command = ["sh", "bench/run.sh"]
[challenges.c]
command = ["sh", "run.sh"]
inputs = "challenges/inputs.py:make"
batch = 2
[governor]
min_pairs = 2
max_pairs = 2
alpha_accept = 0.4
alpha_improve = 0.4
[governor.calibration]
pairs = 3
"""
FILES = {
    "run.sh": "cat\n",
    "tests/run.sh": '[ "$(echo x | sh run.sh)" = x ]\n',
    "bench/run.sh": "echo x | sh run.sh\n",
    "challenges/inputs.py": "def make(random):\n    return [], random.randbytes(8)\n",
}


def git(root: Path, *args: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    line = ["git", "-C", str(root), *identity, *args]
    return subprocess.run(line, check=True, capture_output=True, text=True).stdout.strip()


class World:
    """A repository and plans for it."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.exported = threading.Event()
        root.mkdir()
        git(root, "init", "-q")
        self.base = self.commit(FILES)

    def export(self, commit: str, dest: Path) -> None:
        Repository.open(self.root).export(commit, dest)
        self.exported.set()

    def commit(self, files: dict[str, str]) -> str:
        for name, text in files.items():
            (self.root / name).parent.mkdir(exist_ok=True)
            (self.root / name).write_text(text)
        git(self.root, "add", "-A")
        git(self.root, "commit", "-q", "--allow-empty", "-m", "change")
        return git(self.root, "rev-parse", "HEAD")

    def plan(self, files: dict[str, str] | None = None, *, base: str = "") -> Plan:
        return Plan(
            candidate="c-1",
            attempt=1,
            repository=str(self.root),
            base_commit=base or self.base,
            candidate_commit=self.commit(files or {}),
            changed=tuple(files or ()),
            config=parse(TOML.encode()).config,
            python=sys.executable,
            seed=5,
        )


async def local(world: World, folder: Path, journal: Journal) -> Executor:
    return LocalExecutor(
        sandbox=await Sandbox.open(parse(TOML.encode()).config.sandbox, folder),
        export=world.export,
        put_evidence=lambda data: f"{len(data)}",
        cache=folder / "trees",
        journal=journal,
    )


KINDS: dict[str, Callable[[World, Path, Journal], Awaitable[Executor]]] = {"local": local}


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path / "target")


@pytest.fixture
def written() -> list[tuple[str, str, Stage, int, Pair]]:
    return []


@pytest.fixture(params=KINDS)
async def executor(
    request: pytest.FixtureRequest,
    world: World,
    tmp_path: Path,
    written: list[tuple[str, str, Stage, int, Pair]],
) -> AsyncIterator[Executor]:
    one = await KINDS[request.param](world, tmp_path, lambda *row: written.append(row))
    yield one
    await one.close()


def silent(_: Progress) -> None:
    pass


class Stages:
    """Lets a test wait for a stage."""

    def __init__(self, wanted: str) -> None:
        self.reached = asyncio.Event()
        self._wanted = wanted

    def __call__(self, progress: Progress) -> None:
        if progress.stage == self._wanted:
            self.reached.set()


async def test_a_good_candidate(executor: Executor, world: World) -> None:
    evaluation = await executor.run(world.plan({"run.sh": "exec cat\n"}), silent)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert {s.benchmark for s in evaluation.series} == {"b", "challenge:c"}


async def test_what_a_candidate_does_is_failed(executor: Executor, world: World) -> None:
    evaluation = await executor.run(world.plan({"run.sh": "exit 1\n"}), silent)
    assert evaluation.status is EvaluationStatus.FAILED
    assert evaluation.cause


async def test_what_nobody_can_know_is_an_error(executor: Executor, world: World) -> None:
    broken = world.commit({"run.sh": "exit 1\n"})
    evaluation = await executor.run(world.plan({"run.sh": "cat\n"}, base=broken), silent)
    assert evaluation.status is EvaluationStatus.ERROR
    assert evaluation.cause


async def test_every_pair_is_written_down(
    executor: Executor, world: World, written: list[tuple[str, str, Stage, int, Pair]]
) -> None:
    evaluation = await executor.run(world.plan(), silent)
    assert [(name, stage, index, pair) for _, name, stage, index, pair in written] == [
        (s.benchmark, s.stage, index, pair)
        for s in evaluation.series
        for index, pair in enumerate(s.pairs)
    ]
    assert {candidate for candidate, *_ in written} == {"c-1"}


async def test_cancel(executor: Executor, world: World) -> None:
    stages = Stages("tests")
    task = asyncio.ensure_future(executor.run(world.plan({"run.sh": "sleep 60\n"}), stages))
    async with asyncio.timeout(20):
        await stages.reached.wait()
    await executor.cancel("c-1")
    with pytest.raises(CancelledByHumanError):
        await task


async def test_calibrate(executor: Executor, world: World) -> None:
    found = await executor.calibrate(world.plan(), ("b", "challenge:c"))
    assert {s.benchmark for s in found} == {"b", "challenge:c"}
    for series in found:
        assert series.stage is Stage.CALIBRATE
        assert len(series.pairs) == 3
        assert all(p.baseline.cpu_ns > 0 and p.candidate.cpu_ns > 0 for p in series.pairs)


async def test_calibrate_only_what_is_named(executor: Executor, world: World) -> None:
    (series,) = await executor.calibrate(world.plan(), ("b",))
    assert series.benchmark == "b"


async def test_calibrate_never_touches_the_candidate(executor: Executor, world: World) -> None:
    plan = world.plan({"run.sh": "exit 1\n", "bench/run.sh": "exit 1\n"})
    assert len(await executor.calibrate(plan, ("b",))) == 1


@pytest.mark.parametrize("name", ["b", "challenge:c"])
async def test_calibrate_a_broken_baseline(executor: Executor, world: World, name: str) -> None:
    broken = world.commit({"run.sh": "exit 1\n", "bench/run.sh": "exit 1\n"})
    if name == "challenge:c":
        broken = world.commit({"challenges/inputs.py": "def make(random):\n    raise OSError\n"})
    with pytest.raises(EvaluationError):
        await executor.calibrate(world.plan(base=broken), (name,))


async def test_calibrate_an_unknown_name(executor: Executor, world: World) -> None:
    with pytest.raises(EvaluationError, match="no x to measure; there is challenge:c, b"):
        await executor.calibrate(world.plan(), ("x",))


async def test_calibrate_is_cancelled(executor: Executor, world: World) -> None:
    slow = world.commit({"bench/run.sh": "sleep 60\n"})
    task = asyncio.ensure_future(executor.calibrate(world.plan(base=slow), ("b",)))
    assert await asyncio.to_thread(world.exported.wait, 20)
    await executor.cancel("c-1")
    with pytest.raises(CancelledByHumanError):
        await task


async def test_close_twice(executor: Executor) -> None:
    await executor.close()
    await executor.close()
