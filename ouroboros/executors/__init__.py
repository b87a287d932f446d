"""Where evaluations run. An executor takes a plan (a value) and returns an evaluation (a value).

Contract, also the contract suite in `tests/contract/test_executors.py`:

- `run` never raises for anything a candidate does: that is `EvaluationStatus.FAILED`. It never
  raises for a harness fault either: that is `EvaluationStatus.ERROR` with the cause in words.
- `run` raises `CancelledByHumanError` after `cancel(candidate)`, and `asyncio.CancelledError` when
  its task is cancelled; in both cases no process of the evaluation is left when it returns.
- `close` ends everything that is still running and may be called twice.
"""

from collections.abc import Callable
from typing import Protocol

from ouroboros.evaluation.plan import Journal as Journal
from ouroboros.evaluation.plan import Plan
from ouroboros.model.evaluation import Evaluation, Series
from ouroboros.model.progress import HotSpot, Progress

Report = Callable[[Progress], None]
"""Called often, from the event loop's thread; must return at once."""

PutEvidence = Callable[[bytes], str]
"""Stores captured output by content hash, durably, and returns the hash."""


class Executor(Protocol):
    """One way of running evaluations."""

    name: str
    machine: str
    """Describes where it measures, for the record: noise that was measured elsewhere says nothing
    here."""

    async def run(self, plan: Plan, report: Report) -> Evaluation:
        """Carry out the plan: proof of files, tests, then paired benchmarks until decided."""
        ...

    async def profile(self, plan: Plan) -> tuple[HotSpot, ...]:
        """Profile the baseline's benchmarks and return the target's functions, hottest first.

        Raises:
            EvaluationError: the benchmark failed, printed nothing of use, or could not be run.
        """
        ...

    async def calibrate(self, plan: Plan, names: tuple[str, ...]) -> tuple[Series, ...]:
        """Measure the baseline against itself: `[governor.calibration] pairs` pairs of each.

        Args:
            plan: whose baseline; its candidate is not touched.
            names: of benchmarks and challenges, as their series are named.

        Raises:
            EvaluationError: the baseline failed.
            CancelledByHumanError: after `cancel(plan.candidate)` or `close`.
        """
        ...

    async def cancel(self, candidate: str) -> None:
        """Stop the evaluation of one candidate; returns when its processes are gone."""
        ...

    async def close(self) -> None:
        """Stop everything."""
        ...
