"""Cancellation, profiles, the interpreter, and the proof of files."""

# ruff: noqa: ASYNC110 - nobody signals what is waited for here

import asyncio
import itertools
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ouroboros.config import Environment
from ouroboros.config import Sandbox as Limits
from ouroboros.errors import CancelledByHumanError, ConfigError, EvaluationError
from ouroboros.executors.local import LocalExecutor, find_python
from ouroboros.model.evaluation import EvaluationStatus
from ouroboros.sandbox import Sandbox
from ouroboros.sandbox import runner as runner_module
from ouroboros.vcs.repository import Repository

HANG = {"shop/prices.py": "import time\ntime.sleep(60)\n"}


def launched(executor: LocalExecutor) -> list[str]:
    process = executor._sandbox._link._process
    if process is None:
        return []
    path = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    return path.read_text().split()


async def started(seen: Any, stage: str) -> None:
    async with asyncio.timeout(20):
        while stage not in seen.stages:
            await asyncio.sleep(0.01)


async def test_cancel_by_candidate(executor: LocalExecutor, target: Any, seen: Any) -> None:
    plan = target.candidate(HANG)
    task = asyncio.ensure_future(executor.run(plan, seen))
    await started(seen, "tests")
    await executor.cancel("somebody-else")
    await executor.cancel(plan.candidate)
    assert launched(executor) == []
    with pytest.raises(CancelledByHumanError):
        await task


async def test_cancelled_task(executor: LocalExecutor, target: Any, seen: Any) -> None:
    task = asyncio.ensure_future(executor.run(target.candidate(HANG), seen))
    await started(seen, "tests")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert launched(executor) == []


async def test_close_twice_ends_what_runs(executor: LocalExecutor, target: Any, seen: Any) -> None:
    task = asyncio.ensure_future(executor.run(target.candidate(HANG), seen))
    await started(seen, "tests")
    await executor.close()
    await executor.close()
    with pytest.raises(CancelledByHumanError):
        await task


async def test_the_caller_survives_a_cancel(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    async def pipeline() -> str:
        try:
            await executor.run(target.candidate(HANG), seen)
        except CancelledByHumanError:
            await asyncio.sleep(0)
            return "went on"
        return "was not cancelled"

    task = asyncio.ensure_future(pipeline())
    await started(seen, "tests")
    await executor.cancel("c1")
    assert await task == "went on"


async def test_two_evaluations_measure_one_after_the_other(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    fast = {"shop/prices.py": "def total(n):\n    return sum(i * i % 7 for i in range(n))\n"}
    plans = [target.candidate(fast) for _ in range(2)]
    done = await asyncio.gather(*(executor.run(plan, seen) for plan in plans))
    assert [e.status for e in done] == [EvaluationStatus.OK] * 2
    measured = [p.candidate for p in seen if p.comparison is not None]
    assert len([1 for a, b in itertools.pairwise(measured) if a != b]) == 1


async def test_profile(executor: LocalExecutor, target: Any) -> None:
    base = target.commit(
        {
            "shop/prices.py": """
            import functools

            def cheap(i):
                return i

            @functools.cache
            def decorated(i):
                return sum(range(i))

            def total(n):
                decorated(n)
                return sum([cheap(i) * i % 7 for i in range(n)])
        """,
        }
    )
    spots = await executor.profile(target.plan(base, base=base))
    assert {s.path for s in spots} == {"shop/prices.py"}
    named = {s.function: s for s in spots}
    assert named["decorated"].line == 7
    assert named["cheap"].calls == 200_000
    assert named["total"].cumulative > named["cheap"].share > 0.05
    assert [s.share for s in spots] == sorted((s.share for s in spots), reverse=True)


@pytest.mark.parametrize(
    "command",
    [
        '["{python}", "-m", "bench.run"]',
        '["{python}", "-B", "-X", "dev", "bench/run.py", "--flag"]',
        '["{python}", "-c", "import bench.run"]',
        '["python", "bench/run.py"]',
    ],
)
async def test_profile_of_all_ways_to_start_python(
    command: str, executor: LocalExecutor, target: Any
) -> None:
    target.config = target.configured(f"[benchmarks.b]\ncommand = {command}\n")
    spots = await executor.profile(target.plan(target.base))
    assert [s.function for s in spots] == ["total"]


@pytest.mark.parametrize(
    ("command", "word"),
    [
        ('["sh", "-c", "true"]', "not Python"),
        ('["{python}", "bench/missing.py"]', "missing.py"),
        ('["{python}", "-c", "raise SystemExit(4)"]', "exit code 4"),
        ('["{python}"]', "no program"),
    ],
)
async def test_profile_that_cannot_be_taken(
    command: str, word: str, executor: LocalExecutor, target: Any
) -> None:
    target.config = target.configured(f"[benchmarks.b]\ncommand = {command}\n")
    with pytest.raises(EvaluationError) as caught:
        await executor.profile(target.plan(target.base))
    assert word in str(caught.value)


@pytest.fixture
def environment(tmp_path: Path) -> Path:
    """An environment with an installed copy of the target in it."""
    folder = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    packages = next(folder.glob("lib/python3*/site-packages"))
    installed = packages / "shop"
    installed.mkdir()
    (installed / "__init__.py").write_text("")
    (installed / "prices.py").write_text("def total(n): return 5\n")
    return folder / "bin" / "python"


async def test_an_installed_copy_is_noticed(
    executor: LocalExecutor, target: Any, seen: Any, environment: Path
) -> None:
    moved = {"shop/__init__.py": None, "shop/prices.py": None}
    base = target.commit(
        moved
        | {
            "src/shop/__init__.py": "",
            "src/shop/prices.py": "def total(n): return 5\n",
        }
    )
    target.config = target.configured("""
        [tests]
        framework = "command"
        command = ["{python}", "bench/run.py"]
    """)
    plan = target.candidate({"src/shop/prices.py": "def total(n): return 6\n"}, base=base)
    plan = msgspec.structs.replace(plan, python=str(environment))
    evaluation = await executor.run(plan, seen)
    assert evaluation.status is EvaluationStatus.ERROR
    assert evaluation.checks[-1].code == "wrong_files"
    assert "site-packages/shop/__init__.py" in evaluation.cause
    assert "src/shop/__init__.py" in evaluation.cause
    assert "[environment] path" in evaluation.cause

    target.config = target.configured("""
        [environment]
        path = ["src"]
        [tests]
        framework = "command"
        command = ["{python}", "bench/run.py"]
    """)
    plan = msgspec.structs.replace(plan, config=target.config)
    evaluation = await executor.run(plan, seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert evaluation.proof[0].startswith("src/shop/prices.py:")


def test_find_python(tmp_path: Path, environment: Path) -> None:
    repository = tmp_path / "repository"
    repository.mkdir()
    assert find_python(repository, Environment(python=str(environment))) == str(environment)
    relative = os.path.relpath(environment, repository)
    assert find_python(repository, Environment(python=relative)) == str(environment)
    (repository / ".venv").symlink_to(environment.parent.parent)
    assert find_python(repository, Environment()) == str(repository / ".venv/bin/python")


def test_find_python_sees_through_shims(tmp_path: Path) -> None:
    shim = tmp_path / "python"
    shim.write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    shim.chmod(shim.stat().st_mode | stat.S_IXUSR)
    found = find_python(tmp_path, Environment(python=str(shim)))
    assert found == sys.executable


def test_find_python_refuses(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="not an interpreter"):
        find_python(tmp_path, Environment(python="no/python"))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ConfigError, match=r"\[environment\] python"):
        find_python(tmp_path, Environment())


@pytest.mark.parametrize("backend", ["landlock", "none"])
async def test_without_bubblewrap_the_same_evidence_and_an_honest_level(
    target: Any, seen: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, backend: str
) -> None:
    monkeypatch.setattr(runner_module.bwrap, "candidates", list)
    allowed = Limits(allow_landlock=backend == "landlock", allow_unconfined=backend == "none")
    executor = LocalExecutor(
        sandbox=await Sandbox.open(allowed, tmp_path),
        export=target.export,
        put_evidence=lambda _: "log",
        cache=tmp_path / "trees",
    )
    good = {"shop/prices.py": "def total(n):\n    return sum([i * i % 7 for i in range(n)])\n"}
    evaluation = await executor.run(target.candidate(good), seen)
    spots = await executor.profile(target.plan(target.base))
    await executor.close()
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert evaluation.proof
    assert evaluation.series
    assert evaluation.sandbox.backend == backend
    assert [s.function for s in spots] == ["total"]


async def test_with_the_real_repository(target: Any, seen: Any, tmp_path: Path) -> None:
    repository = Repository.open(target.folder)
    executor = LocalExecutor(
        sandbox=await Sandbox.open(target.config.sandbox, tmp_path),
        export=repository.export,
        put_evidence=lambda _: "log",
        cache=tmp_path / "trees",
    )
    evaluation = await executor.run(target.plan(target.base), seen)
    await executor.close()
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
