"""Runs that take more of one thing than they were given, and what became of them.

Each is a run of its own with small limits. It says how much it got; whether that was too much, or
whether it was ended for it, is decided here. Where limits are enforced by looking now and then
(no control groups), being ended counts as well as being refused.
"""

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from ouroboros.config import Sandbox as Limits
from ouroboros.config import mebibytes, parse_size, seconds
from ouroboros.sandbox.bait import Bait, marked
from ouroboros.sandbox.command import HARNESS, Command, Ending, Outcome
from ouroboros.sandbox.runner import Sandbox

INSIDE = Path(__file__).with_name("inside")
"""Our programs that run inside, mounted outside of the tree."""

HELD, BROKEN, ERROR = "held", "broken", "error"

_MIB = 1 << 20
_SMALL = Limits(memory=mebibytes(256), processes=64, timeout=seconds(20))
_ROOM = 8
"""So many processes more than the limit are no breach: bubblewrap's own, and ours."""
_PATIENCE = 5.0
_STEP = 0.02


class Found(NamedTuple):
    """What became of one promise."""

    name: str
    status: str
    text: str


class Bench(NamedTuple):
    """With what the runs are made."""

    box: Sandbox
    bait: Bait
    python: str

    def command(self, what: str, task: dict[str, Any], limits: Limits, wall: float) -> Command:
        """Return the command of one run."""
        return Command(
            argv=(
                *(self.python, "-E", "-s", "-S"),
                *(f"{HARNESS}/_ouroboros_excess.py", what, self.bait.mark),
            ),
            python=self.python,
            limits=limits,
            timeout=seconds(wall),
            tree=self.bait.tree,
            harness=INSIDE,
            stdin=msgspec.json.encode(task),
            result=True,
        )

    async def run(self, what: str, limits: Limits, wall: float = 15, **task: Any) -> "Got":
        """Make one run and read what it got."""
        outcome = await self.box.run(self.command(what, task, limits, wall))
        steps: dict[int, tuple[int, str]] = {}
        for line in outcome.result.splitlines():
            with contextlib.suppress(msgspec.DecodeError):
                step, amount, words = msgspec.json.decode(line, type=tuple[int, int, str])
                steps[step] = (amount, words)
        return Got(outcome, steps)


class Got(NamedTuple):
    """How a run ended, and how much it had got of each thing."""

    outcome: Outcome
    steps: dict[int, tuple[int, str]]

    def amount(self, step: int = 0) -> int:
        """The last figure that it told."""
        return self.steps.get(step, (0, ""))[0]

    def how(self, step: int = 0) -> str:
        """What stopped it, in words."""
        words = self.steps.get(step, (0, ""))[1]
        return words or self.outcome.text or f"it {self.outcome.ending}"


def _small(**limits: Any) -> Limits:
    return msgspec.structs.replace(_SMALL, **limits)


def _judged(name: str, got: Got, text: str, *, held: bool, ran: bool) -> Found:
    """A run that never began tells nothing."""
    if got.outcome.ending is Ending.FAULT or not ran:
        said = got.outcome.text or got.outcome.stderr.decode(errors="replace")[-200:]
        return Found(name, ERROR, f"the run did not do its part: {said.strip()}")
    return Found(name, HELD if held else BROKEN, text)


async def memory(bench: Bench) -> list[Found]:
    """Three times the memory."""
    most = 192 * _MIB
    got = await bench.run("memory", _small(memory=mebibytes(64)), most=most)
    ended = got.outcome.ending is Ending.MEMORY
    text = f"got {got.amount() >> 20} of 64 MiB: {got.how()}"
    held = ended or got.amount() < most
    return [_judged("memory", got, text, held=held, ran=bool(got.steps) or ended)]


async def processes(bench: Bench) -> list[Found]:
    """Four times the processes."""
    limit = 24
    got = await bench.run("processes", _small(processes=limit), most=4 * limit)
    ended = got.outcome.ending is Ending.PROCESSES
    text = f"got {got.amount()} of {limit}: {got.how()}"
    held = ended or got.amount() <= limit + _ROOM
    return [_judged("processes", got, text, held=held, ran=bool(got.steps) or ended)]


async def fill(bench: Bench) -> list[Found]:
    """A large file, then a full /tmp and a full /dev/shm."""
    steps = [
        {"folder": "{tmp}", "files": 1, "size": 4 * _MIB, "tidy": True},
        {"folder": "{tmp}", "files": 12, "size": _MIB, "tidy": True},
        {"folder": "/dev/shm", "files": 12, "size": _MIB, "tidy": True},  # noqa: S108 - inside
    ]
    limits = _small(file_size=parse_size("2MiB"), tmp_size=parse_size("6MiB"))
    got = await bench.run("fill", limits, steps=steps, hold=0)
    found = []
    for step, (name, limit) in enumerate((("file-size", 2), ("tmp-size", 6), ("shm-size", 6))):
        text = f"got {got.amount(step) / _MIB:.1f} of {limit} MiB: {got.how(step)}"
        held = got.amount(step) <= limit * _MIB
        found.append(_judged(name, got, text, held=held, ran=step in got.steps))
    return found


async def tree(bench: Bench) -> list[Found]:
    """Eight times what may be written into the tree."""
    step = {"folder": "{tree}", "files": 8, "size": 4 * _MIB, "tidy": False}
    # Under Landlock the two share one figure.
    limits = _small(tree_size=parse_size("4MiB"), tmp_size=parse_size("4MiB"))
    got = await bench.run("fill", limits, steps=[step], hold=3)
    ended = got.outcome.ending in (Ending.TREE, Ending.MEMORY)
    held = ended or (bool(got.steps) and got.amount() <= 8 * _MIB)
    text = f"got {got.amount() >> 20} of 4 MiB: {got.how()}" if got.steps else got.how()
    return [_judged("tree-size", got, text, held=held, ran=bool(got.steps) or ended)]


async def timeout(bench: Bench) -> list[Found]:
    """A run that ignores every signal; on a busy machine it needs longer to begin."""
    found = await _outlast(bench, 0.4)
    return [found if found.status != ERROR else await _outlast(bench, 6.0)]


async def _outlast(bench: Bench, wall: float) -> Found:
    begun = time.monotonic()
    got = await bench.run("outlast", _SMALL, wall=wall)
    took = time.monotonic() - begun
    held = got.outcome.ending is Ending.TIMEOUT and took < wall + _PATIENCE
    text = f"{got.how()} It was gone after {took:.1f} of {wall} s."
    return _judged("timeout", got, text, held=held, ran=bool(got.steps))


async def cpu(bench: Bench) -> list[Found]:
    """Two processes, one of them detached, that together use more CPU time than they may."""
    got = await bench.run("spin", _small(cpu=seconds(1)), seconds=6)
    ended = got.outcome.ending is Ending.CPU
    text = f"used {got.outcome.sample.cpu_ns / 1e9:.1f} of 1 s: {got.how()}"
    return [_judged("cpu", got, text, held=ended, ran=True)]


async def many_files(bench: Bench) -> list[Found]:
    """Empty files without end, which cost the kernel memory and no quota of bytes."""
    most = 300_000
    limits = _small(memory=mebibytes(64), tmp_size=mebibytes(8))
    got = await bench.run("touch", limits, most=most)
    ended = got.outcome.ending is Ending.MEMORY
    text = f"made {got.amount()}: {got.how()}"
    held = ended or got.amount() < most
    return [_judged("many-files", got, text, held=held, ran=bool(got.steps) or ended)]


async def floods(bench: Bench) -> list[Found]:
    """More output than anybody keeps, on each channel."""
    found = []
    for name, fd in (("flood-stdout", 1), ("flood-stderr", 2), ("flood-result", 3)):
        limits = _small(output=parse_size("64KiB"))
        got = await bench.run("flood", limits, fd=fd, most=400 * _MIB)
        held = got.outcome.ending is Ending.OUTPUT
        found.append(_judged(name, got, got.how(), held=held, ran=True))
    return found


async def kill_all(bench: Bench) -> list[Found]:
    """Kill everything that can be killed."""
    got = await bench.run("kill_all", _SMALL, wall=5)
    held = bench.bait.victim_lives() and got.outcome.ending is not Ending.TIMEOUT
    return [_judged("kill-all", got, got.how(), held=held, ran=bool(got.steps))]


_ENGINE = """
import asyncio, sys
from ouroboros.config import Sandbox as Limits, seconds
from ouroboros.sandbox import Command, Sandbox, bwrap

async def main(python, mark, backend):
    if backend == "landlock":
        bwrap.candidates = list
    box = await Sandbox.open(Limits(allow_landlock=True))
    code = "import os, time; os.fork(); os.fork() or os.setsid(); time.sleep(600)"
    argv = (python, "-I", "-S", "-c", code, mark)
    command = Command(argv=argv, python=python, limits=Limits(), timeout=seconds(600))
    await asyncio.gather(box.run(command), box.run(command))

asyncio.run(main(*sys.argv[1:]))
"""


async def engine_death(bench: Bench) -> list[Found]:
    """An engine is killed while two runs of four processes each are under way."""
    mark = f"{bench.bait.mark}-engine"
    engine = subprocess.Popen(  # noqa: ASYNC220 - returns at once
        [sys.executable, "-c", _ENGINE, bench.python, mark, bench.box.level.backend],
        stderr=subprocess.DEVNULL,
    )
    try:
        begun = await _until(lambda: len(marked(mark)) > 8)  # noqa: PLR2004 - its own and theirs
    finally:
        engine.send_signal(signal.SIGKILL)
        engine.wait()
    if not begun:
        return [Found("engine-death", ERROR, "its runs did not begin")]
    gone = await _until(lambda: not marked(mark))
    for pid in marked(mark):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    text = "its runs ended with it" if gone else "processes of its runs lived on"
    return [Found("engine-death", HELD if gone else BROKEN, text)]


async def _until(condition: Callable[[], bool]) -> bool:
    until = time.monotonic() + 4 * _PATIENCE
    while time.monotonic() < until:
        if condition():
            return True
        await asyncio.sleep(_STEP)
    return False


Excess = Callable[[Bench], Awaitable[list[Found]]]

QUICK: tuple[tuple[Excess, tuple[str, ...]], ...] = (
    (timeout, ("timeout",)),
    (memory, ("memory",)),
    (processes, ("processes",)),
    (fill, ("file-size", "tmp-size", "shm-size")),
    (tree, ("tree-size",)),
)
LONG: tuple[tuple[Excess, tuple[str, ...]], ...] = (
    (cpu, ("cpu",)),
    (many_files, ("many-files",)),
    (floods, ("flood-stdout", "flood-stderr", "flood-result")),
    (kill_all, ("kill-all",)),
    (engine_death, ("engine-death",)),
)
