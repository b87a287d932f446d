"""The local executor: evaluations on this machine, in its sandbox.

This is the edge where a harness fault becomes an `Evaluation` with status `error`; nothing that a
candidate or a broken machine does comes out of `run` as an exception. What does come out is
cancellation, after every process of the evaluation is gone.
"""

import asyncio
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

from ouroboros.config import Environment
from ouroboros.errors import CancelledByHumanError, ConfigError, MachineError
from ouroboros.evaluation.calibrate import calibrate
from ouroboros.evaluation.evaluate import evaluate
from ouroboros.evaluation.lab import Job, Lab
from ouroboros.evaluation.plan import Plan
from ouroboros.evaluation.profile import profile
from ouroboros.evaluation.trees import Export, Trees
from ouroboros.executors import Journal, PutEvidence, Report
from ouroboros.model.evaluation import Evaluation, Series
from ouroboros.model.progress import HotSpot
from ouroboros.sandbox import Sandbox

_USUAL = (".venv/bin/python", "venv/bin/python")
_ASK_SECONDS = 20


class LocalExecutor:
    """Implements `Executor`. Belongs to one event loop."""

    name = "local"

    def __init__(
        self,
        *,
        sandbox: Sandbox,
        export: Export,
        put_evidence: PutEvidence,
        cache: Path,
        clock_ns: Callable[[], int] = time.time_ns,
        journal: Journal = lambda *_: None,
    ) -> None:
        """Take the equipment; the executor owns the sandbox from here on.

        Args:
            sandbox: an open sandbox; closed by `close`.
            export: writes a commit's files into a new folder; blocking, called in threads.
            put_evidence: stores a log, called in threads.
            cache: folder for exported trees, for this process alone.
            clock_ns: UTC nanoseconds since the epoch.
            journal: takes each pair as it is measured, so that none is lost; called in threads.
        """
        self._sandbox = sandbox
        self._lab = Lab(
            sandbox=sandbox,
            trees=Trees(cache, export),
            put_evidence=put_evidence,
            clock_ns=clock_ns,
            journal=journal,
        )
        self.machine = machine()
        self._running: dict[str, _Running] = {}

    async def run(self, plan: Plan, report: Report) -> Evaluation:
        """Carry out the plan.

        Raises:
            CancelledByHumanError: after `cancel(plan.candidate)`, or `close`.
        """
        with self._register(plan.candidate) as running:
            try:
                return await evaluate(self._lab, plan, report, self.machine)
            except asyncio.CancelledError:
                running.absorb(plan.candidate)
                raise

    async def profile(self, plan: Plan) -> tuple[HotSpot, ...]:
        """Profile the baseline's benchmarks.

        Raises:
            EvaluationError: a benchmark failed, or is no Python program.
            SandboxError: the sandbox failed.
            CancelledByHumanError: after `close`.
        """
        with self._register(f"{plan.candidate} (profile)") as running:
            try:
                return await profile(Job(plan=plan, lab=self._lab, tell=lambda _: None))
            except asyncio.CancelledError:
                running.absorb(plan.candidate)
                raise

    async def calibrate(self, plan: Plan, names: tuple[str, ...]) -> tuple[Series, ...]:
        """Measure the baseline against itself: `[governor.calibration] pairs` pairs of each.

        Raises:
            EvaluationError: the baseline failed, or there is no benchmark of such a name.
            SandboxError: the sandbox failed.
            CancelledByHumanError: after `cancel(plan.candidate)` or `close`.
        """
        with self._register(plan.candidate) as running:
            try:
                job = Job(plan=plan, lab=self._lab, tell=lambda _: None)
                return await calibrate(job, names)
            except asyncio.CancelledError:
                running.absorb(plan.candidate)
                raise

    async def cancel(self, candidate: str) -> None:
        """Stop the evaluation of one candidate; returns when its processes are gone."""
        if running := self._running.get(candidate):
            await running.stop()

    async def close(self) -> None:
        """Stop everything; may be called twice."""
        for running in list(self._running.values()):
            await running.stop()
        await self._sandbox.close()

    def _register(self, name: str) -> "_Running":
        task = asyncio.current_task()
        if task is None or name in self._running:
            raise MachineError(f"An evaluation of {name} is running already.")
        return _Running(self._running, name, task)


class _Running:
    """One evaluation under way, and the way to stop it without stopping its caller."""

    def __init__(self, table: "dict[str, _Running]", name: str, task: asyncio.Task[object]) -> None:
        self._table = table
        self._name = name
        self._task = task
        self._gone = asyncio.Event()
        self._asked = False

    def __enter__(self) -> Self:
        self._table[self._name] = self
        return self

    def __exit__(self, *_: object) -> None:
        del self._table[self._name]
        self._gone.set()

    async def stop(self) -> None:
        if not self._asked:
            self._asked = True
            self._task.cancel()
        await self._gone.wait()

    def absorb(self, candidate: str) -> None:
        """Turn our own cancellation into an error; leave that of the task's owner alone.

        Raises:
            CancelledByHumanError: it was ours alone.
        """
        if self._asked and self._task.uncancel() == 0:
            raise CancelledByHumanError(f"The evaluation of {candidate} was cancelled.") from None


def machine() -> str:
    """Describe this machine, for the record: processor, cores, kernel."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() == "model name":
            model = value.strip()
            break
    return f"{model}, {os.cpu_count()} cores, {platform.system()} {platform.release()}"


def find_python(repository: Path, environment: Environment) -> str:
    """Return the absolute path of the target's interpreter. Blocking.

    Raises:
        ConfigError: the configured one is missing, or none was found.
    """
    if environment.python:
        path = Path(os.path.abspath(repository / Path(environment.python).expanduser()))  # noqa: PTH100 - a venv's python is a link that must not be resolved
        if not os.access(path, os.X_OK) or path.is_dir():
            raise ConfigError(
                f"[environment] python names {path}, which is not an interpreter.",
                hint="Correct it, or create the environment there.",
            )
        return _real(path)
    usual = (repository / name for name in _USUAL)
    found = next((str(p) for p in usual if os.access(p, os.X_OK)), shutil.which("python3"))
    if found is None:
        raise ConfigError(
            f"No Python was found for {repository}: neither .venv, venv, nor python3 on PATH.",
            hint="Create the target's environment there, or set [environment] python.",
        )
    return _real(Path(os.path.abspath(found)))  # noqa: PTH100 - as above


def _real(python: Path) -> str:
    """See through a version manager's shim, which is a script and cannot run in the sandbox."""
    with python.open("rb") as file:
        if file.read(2) != b"#!":
            return str(python)
    ask = [str(python), "-I", "-S", "-c", "import sys; print(sys.executable)"]
    try:
        said = subprocess.run(ask, capture_output=True, timeout=_ASK_SECONDS, check=True, text=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise ConfigError(
            f"The interpreter {python} does not start: {error}.",
            hint="Set [environment] python to a real interpreter.",
        ) from error
    return said.stdout.strip() or sys.executable
