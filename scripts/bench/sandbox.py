"""What containment costs: a launch layer by layer, a challenge's round trip, its clock.

    .venv/bin/python scripts/bench/sandbox.py [--quick] [--json]

**Launch.** `true` is started with more and more of what the runner asks bubblewrap for, up to the
runner itself; the arguments are the runner's own, sorted into layers. Every round starts each layer
once, in an order that changes, so that all of them see the same machine. The floor is the same
program as a plain subprocess. `import pytest` in a plain interpreter, in the same rounds, is what a
test run costs anyway: a launch must not matter beside it.

**Round trip.** Empty rounds by the real referee through a real sandboxed worker. The floor is an
echo of one byte by a plain interpreter. Both are measured twice: with everything on one processor,
which is the cost of the protocol and has the target, and wherever the system puts them: on an idle
machine that is the time to wake a sleeping processor, which no protocol changes.

**Clock.** One workload of 20 ms and more, timed for the same calls by the referee outside and by
`perf_counter` inside; the two must not differ by more than 1 %. The floor is the same workload in a
plain interpreter, in the same rounds.

Exit code 1 where a target is missed.
"""

import asyncio
import contextlib
import fcntl
import itertools
import os
import pickle
import random
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import table

from ouroboros.config import Sandbox as Limits
from ouroboros.config import parse_duration
from ouroboros.evaluation.challenge.bout import round_trips_ns
from ouroboros.evaluation.challenge.frames import Line, join
from ouroboros.evaluation.challenge.peer import in_thread, meet
from ouroboros.evaluation.lab import INSIDE
from ouroboros.sandbox import HARNESS, TREE, Command, Sandbox, bwrap
from ouroboros.sandbox.cgroups import Groups
from ouroboros.sandbox.root import write_etc

PYTHON = os.path.realpath(sys.executable)
LIMITS = Limits()
SECOND_NS = 1_000_000_000
LEAST_NS, BATCH_NS = 20_000_000, 50_000_000
"""Length of one timed batch: for which the figure is claimed, and which is aimed at."""

WORK = """\
from time import perf_counter_ns


def work(count):
    begun = perf_counter_ns()
    for number in range(count):
        number * number % 7
    return perf_counter_ns() - begun
"""
ECHO = "import os\nwhile os.read(0, 1):\n    os.write(1, b'.')\n"
PLAIN = "import sys, work\nfor line in sys.stdin:\n    print(work.work(int(line)), flush=True)\n"

Start = Callable[[], Awaitable[None]]

# --- launch -------------------------------------------------------------------------------------

_ARITY = {
    **dict.fromkeys(("--ro-bind", "--bind", "--dev-bind", "--symlink", "--setenv"), 2),
    **dict.fromkeys(
        ("--unshare-all", "--new-session", "--die-with-parent", "--clearenv", "--unshare-ipc"), 0
    ),
    **dict.fromkeys(("--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"), 0),
}
"""How many values an option has, where that is not one."""


class Option(NamedTuple):
    """An option of bubblewrap with its values."""

    words: tuple[str, ...]

    @property
    def layer(self) -> str:
        """The layer that it belongs to."""
        name = self.words[0]
        if name in ("--json-status-fd", "--seccomp"):
            return name.strip("-")
        if name in ("--overlay-src", "--tmp-overlay"):
            return "overlay"
        if name in ("--chdir", "--setenv", "--clearenv", "--new-session", "--die-with-parent"):
            return "process"
        names = ("--unshare", "--uid", "--gid", "--hostname", "--cap")
        return "namespaces" if name.startswith(names) else "mounts"


def options(line: list[str]) -> tuple[list[Option], list[str]]:
    """Take a command line of bubblewrap apart: its options, and the command at its end."""
    found, at = [], 1
    while line[at] != "--":
        count = _ARITY.get(line[at], 1)
        found.append(Option(tuple(line[at : at + 1 + count])))
        at += 1 + count
    return found, line[at + 1 :]


def spawn(argv: list[str], descriptors: dict[int, int] | None = None) -> None:
    """Start a program and wait for it, as cheaply as it can be done."""
    actions: list[tuple[int, ...]] = [
        (os.POSIX_SPAWN_DUP2, source, number) for number, source in (descriptors or {}).items()
    ]
    pid = os.posix_spawn(argv[0], argv, {"PATH": os.defpath}, file_actions=actions)
    _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, argv


class Layers:
    """The runner's own command line, cut into layers."""

    def __init__(self, binary: bwrap.Bubblewrap, tree: Path, etc: Path) -> None:
        """Have the line made."""
        self.command = launch(tree)
        true = [shutil.which("true", path=os.defpath) or "/bin/true"]
        line = bwrap.arguments(binary, self.command, argv=true, env={}, tree=tree, etc=etc)
        self._binary = binary
        self._options, self._whole = options(line)
        self._true = true
        self._null = lifted(os.open(os.devnull, os.O_RDWR))

    def starts(self) -> dict[str, Start]:
        """Return how to start each layer, thinnest first."""
        bare = [self._binary.path, "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"]
        namespaces = self._words({"process", "namespaces"})
        namespaces = [w for w in namespaces if w not in ("--chdir", TREE)]
        found: dict[str, Start] = {
            "plain subprocess": _blocking(lambda: spawn(self._true)),
            "bubblewrap, bare": _blocking(lambda: spawn([*bare, "--", *self._true])),
            "+ namespaces": _blocking(lambda: spawn([*bare, *namespaces, "--", *self._true])),
            "+ allow-list mounts": self._layer({"process", "namespaces", "mounts"}),
        }
        known = {"process", "namespaces", "mounts"}
        if self._has("seccomp"):
            known.add("seccomp")
            found["+ filter of system calls"] = self._layer(set(known))
        if self._has("overlay"):
            known.add("overlay")
            found["+ fresh tree by overlay"] = self._layer(set(known))
        if self._whole != self._true:
            found["+ root's rights dropped"] = self._layer(set(known), whole=True)
        if groups := Groups.find():
            numbers = itertools.count()
            last = self._layer(set(known), whole=True, join=lambda: _group(groups, numbers))
            found["+ control group"] = last
        return found

    def _has(self, layer: str) -> bool:
        return any(option.layer == layer for option in self._options)

    def _words(self, layers: set[str]) -> list[str]:
        words = []
        for option in self._options:
            if option.layer in layers:
                words += option.words
            elif option.words[0] == "--tmp-overlay" and "mounts" in layers:
                words += ["--tmpfs", TREE]  # somewhere to start in
        return words

    def _layer(
        self,
        layers: set[str],
        *,
        whole: bool = False,
        join: Callable[[], contextlib.AbstractContextManager[list[str]]] | None = None,
    ) -> Start:
        """Return how to start with some layers.

        Args:
            layers: which.
            whole: with the command that drops rights before ours.
            join: makes a control group, and lends the words that join it.
        """
        line = [
            self._binary.path,
            *self._words(layers),
            "--",
            *(self._whole if whole else self._true),
        ]
        filters = "seccomp" in layers
        number = int(self._words({"seccomp"})[1]) if filters else -1

        def start() -> None:
            # Whatever else the line names (a status, a sign of readiness) goes nowhere.
            descriptors = dict.fromkeys(range(3, 12), self._null)
            if filters:
                descriptors[number] = lifted(bwrap.filter_pipe(self._binary.program))
            with join() if join else contextlib.nullcontext([]) as before:
                spawn([*before, *line], descriptors)
            if filters:
                os.close(descriptors[number])

        return _blocking(start)


def lifted(fd: int) -> int:
    """Move a descriptor out of the way of the numbers that a start wants."""
    high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 64)
    os.close(fd)
    return high


@contextlib.contextmanager
def _group(groups: Groups, numbers: Iterator[int]) -> Iterator[list[str]]:
    """Make a control group for one start; a shell joins it, where the launcher would."""
    name = f"{os.getpid()}-bench-{next(numbers)}"
    group = groups.create(name, memory=LIMITS.memory, processes=LIMITS.processes)
    try:
        script = "; ".join(f"echo 0 >{path}" for path in group.procs) + '; exec "$@"'
        yield ["/bin/sh", "-c", script, "sh"]
    finally:
        until = time.monotonic() + 5
        while not group.remove():  # bubblewrap's process 1 ends a moment after bubblewrap
            assert time.monotonic() < until, "the group does not get empty"
            time.sleep(0.0002)


def _blocking(work: Callable[[], None]) -> Start:
    async def start() -> None:
        work()

    return start


def launch(tree: Path) -> Command:
    """Return what the runner is asked for: the smallest program, with all containment."""
    limit = parse_duration("60s")
    return Command(argv=("true",), python=PYTHON, limits=LIMITS, timeout=limit, tree=tree)


async def launches(sandbox: Sandbox, layers: Layers, rounds: int) -> dict[str, list[float]]:
    """Return milliseconds of each layer's starts, taken in turns."""
    starts = layers.starts()

    async def runner() -> None:
        outcome = await sandbox.run(layers.command)
        assert outcome.ok, outcome

    starts["full runner"] = runner
    starts["import pytest"] = _blocking(lambda: spawn([PYTHON, "-c", "import pytest"]))
    took: dict[str, list[float]] = {name: [] for name in starts}
    turns = random.Random(1)  # noqa: S311 - an order, no secret
    for number in range(rounds + 1):
        for name in turns.sample(list(starts), len(starts)):
            begun = time.perf_counter()
            await starts[name]()
            if number:  # the first round warms caches
                took[name].append((time.perf_counter() - begun) * 1e3)
    return took


def launch_rows(took: dict[str, list[float]]) -> list[table.Row]:
    """Return the rows of the launches."""
    floor = statistics.median(took["plain subprocess"])
    targets = {"full runner": 45.0}
    rows = [
        table.median(f"launch: {name}", "ms", ms, target=targets.get(name), floor=floor)
        for name, ms in took.items()
    ]
    pytest = statistics.median(took["import pytest"])
    share = [ms / pytest for ms in took["full runner"]]
    rows.append(table.median("full runner / import pytest", "", share, target=0.2))
    return rows


# --- challenge ----------------------------------------------------------------------------------


def echoes_ns(count: int) -> list[int]:
    """Time one byte to a plain interpreter and back."""
    ours, theirs = socket.socketpair()
    command = [PYTHON, "-c", ECHO]
    with subprocess.Popen(command, stdin=theirs, stdout=theirs) as process:
        theirs.close()
        found = []
        for _ in range(count):
            begun = time.monotonic_ns()
            ours.send(b".")
            ours.recv(1)
            found.append(time.monotonic_ns() - begun)
        ours.close()
        process.wait(10)
    return found


async def trips(sandbox: Sandbox, rounds: int, count: int) -> tuple[list[float], list[float]]:
    """Return microseconds of empty rounds, and of echoes beside them."""
    real: list[float] = []
    floor: list[float] = []
    for _ in range(rounds):
        real += [ns / 1e3 for ns in await round_trips_ns(sandbox, PYTHON, count)]
        floor += [ns / 1e3 for ns in await asyncio.to_thread(echoes_ns, count)]
    return real, floor


@contextlib.contextmanager
def one_processor() -> Iterator[None]:
    """Keep all our threads, and what they start, on one processor."""
    free = os.sched_getaffinity(0)
    _pin({min(free)})
    try:
        yield
    finally:
        _pin(free)


def _pin(processors: set[int]) -> None:
    for thread in Path("/proc/self/task").iterdir():
        os.sched_setaffinity(int(thread.name), processors)


async def trips_on_one(rounds: int, count: int) -> tuple[list[float], list[float]]:
    """Measure as `trips` does, with a sandbox that was started on one processor."""
    with one_processor():
        sandbox = await Sandbox.open(LIMITS)
        try:
            return await trips(sandbox, rounds, count)
        finally:
            await sandbox.close()


class Clocks(NamedTuple):
    """The same batches by two clocks, and the workload beside them without a sandbox. ns."""

    outside: list[int]
    inside: list[int]
    plain: list[int]


def beside(tree: Path) -> subprocess.Popen[str]:
    """Start a plain interpreter that runs the workload when it is told to."""
    pipe = subprocess.PIPE
    return subprocess.Popen([PYTHON, "-c", PLAIN], cwd=tree, stdin=pipe, stdout=pipe, text=True)


async def clocks(sandbox: Sandbox, tree: Path, rounds: int) -> Clocks:
    """Time batches of one workload by the referee and by the worker itself, in turns with plain."""
    limit = parse_duration("300s")
    argv = (PYTHON, f"{HARNESS}/_ouroboros_worker.py", "work:work")
    command = Command(
        argv=argv,
        python=PYTHON,
        limits=LIMITS,
        timeout=limit,
        tree=tree,
        harness=INSIDE,
        env={"OUROBOROS_PATH": TREE},
    )
    plain = beside(tree)

    def alone(count: int) -> int:
        assert plain.stdin is not None
        assert plain.stdout is not None
        plain.stdin.write(f"{count}\n")
        plain.stdin.flush()
        return int(plain.stdout.readline())

    def batch(line: Line, count: int) -> tuple[int, int]:
        line.ask(b"L", join([pickle.dumps(((count,), {}), 4)]), expect=b"l")
        _, outside = line.ask(b"G", expect=b"g")
        words, _ = line.ask(b"W", b"0", expect=b"w", cap=100)
        return outside, int(words)

    def measure(line: Line) -> Clocks:
        line.ask(b"H", expect=b"h")
        count = 100_000
        while (took := min(alone(count) for _ in range(5))) < BATCH_NS:
            count = max(count + 1, int(count * BATCH_NS * 1.2 / took))
        found = Clocks([], [], [])
        for _ in range(rounds):
            outside, inside = batch(line, count)
            found.outside.append(outside)
            found.inside.append(inside)
            found.plain.append(alone(count))
        return found

    try:
        async with meet(sandbox, command, "candidate", limit) as met:
            return await in_thread([met.peer], lambda: measure(met.peer.line))
    finally:
        plain.kill()
        plain.communicate()


def clock_rows(found: Clocks) -> list[table.Row]:
    """Return the rows of the two clocks."""
    outside, inside, plain = (statistics.median(clock) for clock in found)
    apart = 100 * abs(outside / inside - 1)
    pairs = zip(found.outside, found.inside, strict=True)
    each = [100 * (theirs / own - 1) for theirs, own in pairs]
    assert inside >= LEAST_NS, "the batches were too short to say anything"
    ms = [[ns / 1e6 for ns in clock] for clock in found]
    return [
        table.median("batch, by the referee", "ms", ms[0], floor=plain / 1e6),
        table.median("batch, by the worker itself", "ms", ms[1], floor=plain / 1e6),
        table.Row("the two medians differ by", "%", apart, 1.0, samples=len(found.outside)),
        table.median("one batch differs by", "%", each),
    ]


# --- all ----------------------------------------------------------------------------------------


def prepare(folder: Path) -> tuple[Path, Layers]:
    """Make a tree, and find the bubblewrap that the runner would use."""
    tree, etc = folder / "tree", folder / "etc"
    tree.mkdir()
    (tree / "work.py").write_text(WORK)
    folder.chmod(0o755)
    write_etc(etc)
    binary = bwrap.probe(bwrap.candidates(), etc)
    assert isinstance(binary, bwrap.Bubblewrap), bwrap.advice(binary)
    return tree, Layers(binary, tree, etc)


async def measure(tree: Path, layers: Layers, *, quick: bool) -> list[table.Row]:
    """Measure everything."""
    starts, workers, count, batches = (20, 3, 2000, 60) if quick else (80, 10, 5000, 300)
    sandbox = await Sandbox.open(LIMITS)
    try:
        took = await launches(sandbox, layers, starts)
        real, floor = await trips(sandbox, workers, count)
        near, near_floor = await trips_on_one(workers, count)
        timed = await clocks(sandbox, tree, batches)
    finally:
        await sandbox.close()
    return [
        *launch_rows(took),
        table.median(
            "challenge round trip", "us", near, target=20.0, floor=statistics.median(near_floor)
        ),
        table.median("same, on any processor", "us", real, floor=statistics.median(floor)),
        *clock_rows(timed),
    ]


def main() -> int:
    """Measure, print one table, return the exit code."""
    given = table.arguments(__doc__)
    with tempfile.TemporaryDirectory(prefix="ouro-bench-") as name:
        tree, layers = prepare(Path(name))
        rows = asyncio.run(measure(tree, layers, quick=given.quick))
    return table.report(rows, floor="plain", as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
