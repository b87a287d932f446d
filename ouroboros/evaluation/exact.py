"""Metrics that are the same in every run, taken once and not in pairs: sizes, and instructions.

**Sizes** are counted from outside, on the trees as they were checked out: runs see them through
an overlay, so that none of them can change what is counted. Links are not followed and count
nothing.

**Instructions** are what callgrind counts in all processes of the command. The number is written
by valgrind, which shares its address space with the program it observes: native code can switch
the counting off by a request that valgrind itself offers, or write over its memory; and whatever
file or channel carries the number belongs to the user as whom the run runs. No place for the file
changes that, so that the metric has the source `reported`: a candidate that improves by it alone
is looked at by a human. What an honest program gets is exact: with the hash seed fixed, the same
code gives the same number on any load (docs/statistics.md).
"""

import asyncio
import json
import os
import stat
from pathlib import Path

from ouroboros.config import Benchmark, Duration
from ouroboros.evaluation import needs
from ouroboros.evaluation.dossier import Dossier
from ouroboros.evaluation.failures import side_failed, side_said_no
from ouroboros.evaluation.lab import Job
from ouroboros.evaluation.protected import CACHES
from ouroboros.evaluation.sides import SIDES, Sides
from ouroboros.governor.specs import taken_apart
from ouroboros.model.evaluation import Exact, Stage
from ouroboros.model.globs import matches
from ouroboros.model.metric import INSTRUCTIONS, MetricSpec, Scale
from ouroboros.sandbox import HARNESS

_SLOWER = 100
"""Callgrind takes 65 to 80 times as long; so many times the benchmark's timeout is given to it."""

_MOST = 1 << 63


async def take(job: Job, sides: Sides, name: str, stage: Stage, dossier: Dossier) -> None:
    """Note the exact metrics of one benchmark; of a challenge there are none.

    Raises:
        Halt: a side failed, or has nothing of what is to be measured.
    """
    benchmark = job.plan.config.benchmarks.get(name)
    if benchmark is None:
        return
    scales = _Scales(job, sides, name, benchmark, dossier)
    for spec in taken_apart(job.plan.config, name):
        if spec.name == INSTRUCTIONS:
            base, candidate = await scales.instructions()
        else:
            base, candidate = await scales.sizes(spec, benchmark.metrics[spec.name].files)
        taken = Exact(
            benchmark=name, metric=spec.name, stage=stage, baseline=base, candidate=candidate
        )
        dossier.exact.append(taken)


def size_of(tree: Path, globs: tuple[str, ...]) -> int:
    """Return the bytes of all plain files of a tree that match. Blocking."""
    total = 0
    for folder, folders, files in os.walk(tree):
        if CACHES in folders:
            folders.remove(CACHES)
        for name in files:
            path = Path(folder, name)
            if matches(path.relative_to(tree).as_posix(), globs):
                found = path.lstat()
                total += found.st_size if stat.S_ISREG(found.st_mode) else 0
    return total


Values = tuple[float, ...]


class _Scales:
    """Weighs both sides of one benchmark."""

    def __init__(
        self, job: Job, sides: Sides, name: str, benchmark: Benchmark, dossier: Dossier
    ) -> None:
        self._job = job
        self._sides = sides
        self._name = name
        self._benchmark = benchmark
        self._dossier = dossier

    async def sizes(self, spec: MetricSpec, globs: tuple[str, ...]) -> tuple[Values, Values]:
        """Return the bytes of the files on each side."""
        found = [await self._size(side, spec, globs) for side in SIDES]
        return (found[0],), (found[1],)

    async def _size(self, side: str, spec: MetricSpec, globs: tuple[str, ...]) -> float:
        size = await asyncio.to_thread(size_of, self._sides.tree(side), globs)
        if size == 0 and spec.scale is Scale.RATIO:
            text = (
                f"Benchmark {self._name} measures the size of {', '.join(globs)}, and the {side} "
                "has no bytes there."
            )
            self._dossier.stop(side_said_no(self._name, side, "nothing_to_measure", text))
        return float(size)

    async def instructions(self) -> tuple[Values, Values]:
        """Count once on each side; where they differ once more, so that the spread is known."""
        self._job.report(f"instructions:{self._name}")
        rounds = [[await self._count(side) for side in SIDES]]
        if rounds[0][0] != rounds[0][1]:
            rounds.append([await self._count(side) for side in SIDES])
        return tuple(r[0] for r in rounds), tuple(r[1] for r in rounds)

    async def _count(self, side: str) -> float:
        job, spec, name = self._job, self._benchmark, self._name
        wrapper = (job.plan.python, "-I", "-S", f"{HARNESS}/_ouroboros_callgrind.py")
        argv = (*wrapper, needs.valgrind() or "valgrind", *job.argv(spec.command))
        patience = Duration(_SLOWER * spec.timeout)
        outcome = await job.run(job.command(argv, self._sides.tree(side), patience, harness=True))
        if not outcome.ok:
            what = f"{name} under callgrind"
            self._dossier.stop(await side_failed(job.lab, what, side, outcome, name=name))
        count = _told(outcome.result)
        if count is None:
            text = f"Benchmark {name} ended well under callgrind on the {side}, without a count."
            self._dossier.stop(side_said_no(name, side, "no_count", text))
        return float(count)


def _told(result: bytes) -> int | None:
    try:
        count = json.loads(result)["instructions"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return None
    return count if type(count) is int and 0 < count < _MOST else None
