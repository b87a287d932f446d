"""What the engine itself costs: overhead per cycle, idle CPU, memory, attach to first paint.

    .venv/bin/python scripts/bench/cycle.py [--quick] [--json]

Overhead per cycle is the time from `cycle_started` to `cycle_finished` by the ledger's own stamps,
minus the evaluation's own wall time, on a trivial target with real git, sandbox and ledger. The
floor beside it is what plain git needs for the same objects (apply to an index, write the tree,
commit, move a ref). Exit code 1 where a target is missed.
"""

import asyncio
import contextlib
import fcntl
import itertools
import os
import pty
import select
import shutil
import signal
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import table

from ouroboros.cli.compose import engine_of
from ouroboros.engine.daemon import Engine
from ouroboros.model import events as ev
from ouroboros.model.proposal import Proposal
from ouroboros.paths import Paths, paths_for
from ouroboros.proposers import Context

OUROBOROS = Path(sys.executable).with_name("ouroboros")
CONFIG = """\
[governor]
mode = "observe"
min_pairs = 2
max_pairs = 2
alpha_accept = 0.3
alpha_improve = 0.3
[tests]
framework = "command"
command = ["true"]
[engine]
interval = "1h"
[benchmarks.trivial]
command = ["true"]
"""


class Trivial:
    """Proposes one changed line after another."""

    name = "trivial"

    def __init__(self) -> None:
        self._numbers = itertools.count(1)

    async def propose(self, context: Context) -> Proposal:
        """Return a new one-line diff on the baseline."""
        diff = f"--- a/m.py\n+++ b/m.py\n@@ -1 +1 @@\n-x = 0\n+x = {next(self._numbers)}\n"
        return Proposal(proposer=self.name, title="t", rationale="", base=context.base, diff=diff)


def git(root: Path, *args: str, stdin: bytes = b"", index: str = "") -> bytes:
    """Run plain git."""
    env = os.environ | ({"GIT_INDEX_FILE": index} if index else {})
    identity = ["-c", "user.name=B", "-c", "user.email=b@localhost"]
    command = ["git", "-C", str(root), *identity, *args]
    return subprocess.run(command, check=True, capture_output=True, input=stdin, env=env).stdout


def make_target(folder: Path) -> Path:
    """Make a repository of one line."""
    root = folder / "target"
    root.mkdir()
    git(root, "init", "-q", "-b", "main")
    (root / "m.py").write_text("x = 0\n")
    (root / "ouroboros.toml").write_text(CONFIG)
    git(root, "add", "-A")
    git(root, "commit", "-q", "-m", "first")
    return root


async def cycle_overheads(paths: Paths, count: int) -> list[float]:
    """Return milliseconds of engine overhead for each of `count` cycles."""
    async with engine_of(paths, proposers={"trivial": Trivial()}) as engine:
        listener = engine.subscribe(from_seq=0)
        left = count
        async for item in listener:
            entry = getattr(item, "entry", None)
            if entry is not None and isinstance(entry.event, ev.CycleFinished):
                left -= 1
                if not left:
                    listener.close()
                else:
                    await engine.trigger(actor="engine")
        return await _overheads(engine)


async def _overheads(engine: Engine) -> list[float]:
    starts: dict[int, int] = {}
    evaluating: dict[int, int] = {}
    found = []
    current = 0
    listener = engine.subscribe(from_seq=0)
    async for item in listener:
        entry = getattr(item, "entry", None)
        if entry is None:
            continue
        match entry.event:
            case ev.CycleStarted(cycle=current):
                starts[current] = entry.ts
            case ev.Evaluated(evaluation=evaluation):
                evaluating[current] = evaluation.wall_ns
            case ev.CycleFinished(cycle=number) if number in evaluating:
                found.append((entry.ts - starts[number] - evaluating[number]) / 1e6)
            case _:
                pass
        if entry.seq == engine.state.seq:
            listener.close()
    return found[1:] or found  # the first cycle warms caches


def git_floor(root: Path, count: int) -> list[float]:
    """Return milliseconds for the same object work by plain git."""
    found = []
    for number in range(count):
        diff = f"--- a/m.py\n+++ b/m.py\n@@ -1 +1 @@\n-x = 0\n+x = {number + 10_000}\n".encode()
        index = str(root / ".git" / f"bench-index-{number}")
        began = time.perf_counter()
        git(root, "read-tree", "HEAD", index=index)
        git(root, "apply", "--cached", stdin=diff, index=index)
        tree = git(root, "write-tree", index=index).decode().strip()
        commit = git(root, "commit-tree", tree, "-p", "HEAD", "-m", "x").decode().strip()
        git(root, "update-ref", f"refs/bench/{number}", commit)
        found.append((time.perf_counter() - began) * 1e3)
        Path(index).unlink()
    return found


@contextlib.contextmanager
def serving(root: Path) -> Iterator[psutil.Process]:
    """Run `ouroboros serve` as a child."""
    command = [str(OUROBOROS), "--repo", str(root), "serve"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout is not None
        assert b"ready" in process.stdout.readline()
        yield psutil.Process(process.pid)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)


def idle(process: psutil.Process, seconds: float) -> tuple[float, float]:
    """Return CPU percent of one core and resident MB of an idle engine and its children."""
    time.sleep(3)  # a measurement window begins after start-up work, by definition
    family = [process, *process.children(recursive=True)]
    before = sum(sum(p.cpu_times()[:2]) for p in family)
    time.sleep(seconds)
    after = sum(sum(p.cpu_times()[:2]) for p in family)
    return (after - before) / seconds * 100, process.memory_info().rss / 1e6


FRAME, DATA = b"Help", b"target"
"""What is painted first (the frame with its footer), and what comes with the engine's snapshot."""


def attach(root: Path) -> tuple[float, float]:
    """Return milliseconds from starting `ouroboros tui` to the first frame, and to live data."""
    began = time.perf_counter()
    pid, fd = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execv(  # noqa: S606 - a child of pty.fork, no shell wanted
            OUROBOROS, [str(OUROBOROS), "--repo", str(root), "tui"]
        )
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    seen, framed = b"", 0.0
    try:
        while DATA not in seen:
            ready, _, _ = select.select([fd], [], [], 20)
            if not ready:
                raise TimeoutError(f"nothing painted in 20 s, last: {seen[-300:]!r}")
            seen += os.read(fd, 65536)
            if FRAME in seen and not framed:
                framed = (time.perf_counter() - began) * 1e3
        return framed, (time.perf_counter() - began) * 1e3
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        os.close(fd)


def main() -> int:
    """Measure, print one table, return the exit code."""
    given = table.arguments(__doc__)
    cycles, window, paints = (8, 10.0, 5) if given.quick else (30, 60.0, 15)
    with tempfile.TemporaryDirectory(prefix="ouro-bench-") as name:
        folder = Path(name)
        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        os.environ.pop("XDG_RUNTIME_DIR", None)
        root = make_target(folder)
        overhead = asyncio.run(cycle_overheads(paths_for(root, os.environ), cycles))
        floor = git_floor(root, cycles)
        shutil.rmtree(folder / "state")
        config = root / "ouroboros.toml"
        config.write_text(CONFIG + "\n[proposers.codemod]\nenabled = false\n")
        with serving(root) as process:
            cpu, rss = idle(process, window)
            frames, data = zip(*(attach(root) for _ in range(paints)), strict=True)
    rows = [
        table.median(
            "overhead per cycle, median",
            "ms",
            overhead,
            target=100.0,
            floor=statistics.median(floor),
        ),
        table.Row("overhead per cycle, worst", "ms", max(overhead), floor=max(floor)),
        table.Row("idle CPU, engine and launcher", "% of a core", cpu, 0.5),
        table.Row("resident memory of the engine", "MB", rss, 90.0),
        table.median("attach to first paint, median", "ms", frames, target=600.0),
        table.median("attach to live data, median", "ms", data),
    ]
    return table.report(rows, floor="git floor", as_json=given.json)


if __name__ == "__main__":
    sys.exit(main())
