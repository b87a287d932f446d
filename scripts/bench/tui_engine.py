"""The engines that `tui.py` attaches the cockpit to.

python tui_engine.py real FOLDER ENTRIES CANDIDATES     a real one, on a ledger that is made here
python tui_engine.py talking SOCKET                     one in memory that talks as it is told

The talking one takes lines: `pace N` (events a second, 0: none) and `flood N` (answered by a line
when all are out and taken).
"""

import asyncio
import hashlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ledger

from ouroboros.model import events as ev
from ouroboros.model.progress import Progress
from ouroboros.model.proposal import Cost
from ouroboros.model.verdict import Comparison, Outcome
from ouroboros.paths import find_root, paths_for

ROOT = Path(__file__).resolve().parents[2]
SHOWN = 30
TOML = """
[tests]
framework = "command"
command = ["{python}", "-c", "pass"]

[proposers.codemod]
enabled = false
"""


# --- a real one ---------------------------------------------------------------------------------


def target(folder: Path) -> tuple[Path, str]:
    """Make a repository; returns it and its commit."""
    root = folder / "target"
    root.mkdir()
    (root / "ouroboros.toml").write_text(TOML)
    (root / "mod.py").write_text("x = 1\n")
    git = ["git", "-C", str(root), "-c", "user.name=b", "-c", "user.email=b@localhost"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "begin"]):
        subprocess.run([*git, *arguments], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True)
    return root, head.stdout.strip()


def life(
    commit: str, path: Path, name: str, entries: int, candidates: int
) -> Iterator[ev.AnyEvent]:
    """Yield a past: cycles that brought nothing, and candidates that were turned down."""
    yield ev.TargetAdopted(target=name, path=str(path), branch="main", commit=commit)
    made, cycle, count = 0, 0, 1
    while count + 2 <= entries or made < candidates:
        cycle += 1
        yield ev.CycleStarted(cycle=cycle, trigger="interval", base=commit)
        due = made < candidates and count * candidates >= made * entries
        if due:
            made += 1
            candidate = f"c{made}"
            digest = hashlib.sha256(candidate.encode()).hexdigest()
            yield ev.Proposed(
                candidate=candidate,
                cycle=cycle,
                proposer="codemod",
                title="Keep the attribute in a local name",
                rationale=ledger.TEXT,
                base=commit,
                diff=digest,
                idea=digest[:16],
                cost=Cost(),
            )
            yield ev.Cancelled(candidate=candidate, reason=ledger.TEXT)
        yield ev.CycleFinished(
            cycle=cycle, outcome="proposed" if due else "idle", proposals=int(due), text=""
        )
        count += 4 if due else 2


def real(folder: Path, entries: int, candidates: int) -> None:
    """Make target and ledger, then become the engine."""
    root, commit = target(folder)
    root = find_root(root)
    paths = paths_for(root, os.environ)
    paths.state.mkdir(mode=0o700, parents=True)
    ledger.fill(paths.ledger, paths.target, life(commit, root, paths.target, entries, candidates))
    os.chdir(root)
    os.execv(sys.executable, [sys.executable, "-m", "ouroboros", "serve"])  # noqa: S606 - becomes it


# --- one that talks -----------------------------------------------------------------------------


def in_memory() -> Any:
    """Return the engine of the wire's tests, with a screen full of candidates."""
    place = ROOT / "tests" / "rpc_wire" / "conftest.py"
    spec = importlib.util.spec_from_file_location("bench_world", place)
    assert spec is not None
    assert spec.loader is not None
    world = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(world)
    engine = world.MemoryEngine()
    engine.seed()
    for number in range(4, SHOWN + 1):
        engine.propose(f"c{number}", title=f"idea number {number}")
    return engine


def comparison(pairs: int) -> Comparison:
    """Return a comparison as it converges."""
    wide = 0.4 / (pairs + 1)
    return Comparison(
        benchmark="tokenize",
        metric="cpu",
        role="objective",
        stage="confirm",
        outcome=Outcome.INCONCLUSIVE,
        pairs=pairs,
        change=-0.05 - wide / 3,
        lower=-0.05 - wide,
        upper=-0.05 + wide,
        margin=0.05,
        text="",
    )


class Talker:
    """Says what an engine at work says: mostly progress, an entry of the ledger in ten."""

    def __init__(self, engine: Any) -> None:
        self._engine = engine
        self._count = 0

    def say(self) -> None:
        """Say one thing."""
        from ouroboros.engine.api import LossyEvent
        from ouroboros.model.topics import PROGRESS

        self._count += 1
        engine = self._engine
        if self._count % 10 == 0:
            engine.record(ev.Resumed(reason=""), actor="engine")
            return
        pairs = self._count % 60
        data = Progress(
            candidate=f"c{4 + self._count % 4}",
            stage="confirm:tokenize",
            done=pairs,
            total=60,
            comparison=comparison(pairs),
        )
        engine.bus.hint(LossyEvent(topic=PROGRESS, data=data))

    def behind(self) -> bool:
        """Whether somebody has not taken what was said."""
        return any(len(one._durable) > 100 for one in self._engine.bus._listeners)  # noqa: SLF001


async def talking(socket: Path) -> None:
    """Serve, and talk as told."""
    from rpc.server import Server

    engine = in_memory()
    talker = Talker(engine)
    await Server.start(engine, socket=socket)
    print("ready", flush=True)
    reader = asyncio.StreamReader()
    loop = asyncio.get_running_loop()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    pacing: asyncio.Task[None] | None = None
    while line := (await reader.readline()).split():
        if pacing is not None:
            pacing.cancel()
        if line[0] == b"pace":
            rate = int(line[1])
            pacing = loop.create_task(pace(talker, rate)) if rate else None
            continue
        for _ in range(int(line[1])):
            talker.say()
            while talker.behind():  # noqa: ASYNC110 - listeners' queues are bounded
                await asyncio.sleep(0.001)
        print("out", flush=True)


async def pace(talker: Talker, rate: int) -> None:
    """Say so many things a second."""
    loop = asyncio.get_running_loop()
    begun, count = loop.time(), 0
    while True:
        talker.say()
        count += 1
        await asyncio.sleep(max(0.0, begun + count / rate - loop.time()))


def main() -> None:
    """Be one of them."""
    sys.path[0] = str(ROOT)  # here lies a file that is called like the package `rpc`
    if sys.argv[1] == "real":
        real(Path(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
    else:
        asyncio.run(talking(Path(sys.argv[2])))


if __name__ == "__main__":
    main()
