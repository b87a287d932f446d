"""kill -9 while appending: what was acknowledged is there, and the chain verifies."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

from ouroboros.ledger.store import Store
from ouroboros.model.events import CycleStarted

KILLS = 30

WRITER = """
import sys
from pathlib import Path
from ouroboros.ledger.store import Store
from ouroboros.model.events import CycleStarted

run = sys.argv[2]
with Store.open(Path(sys.argv[1])) as store:
    print("ready", flush=True)
    n = 0
    while True:
        n += 1
        event = CycleStarted(cycle=n, trigger=run, base="b" * 40)
        stored = store.append(event, actor="engine", ts=n, idem=f"{run}-{n}")
        print(stored.entry.seq, stored.hash, flush=True)
"""


def test_thirty_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    dice = random.Random(7)
    acknowledged: dict[int, str] = {}
    for run in range(KILLS):
        lines = _run_and_kill(path, run, after=dice.uniform(0.0, 0.05))
        for line in lines:
            seq, name = line.split()
            acknowledged[int(seq)] = name
        with Store.open(path, read_only=True) as store:
            report = store.verify()
            assert report.ok, report.bad
            stored = {s.entry.seq: s.hash for s in store.entries()}
        assert acknowledged.items() <= stored.items()
        _retry_is_idempotent(path, run, lines)
    assert len(acknowledged) > KILLS


def _run_and_kill(path: Path, run: int, *, after: float) -> list[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path), str(run)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    time.sleep(after)  # the random instant of the kill is the point, not a wait for anything
    os.kill(process.pid, signal.SIGKILL)
    lines = process.stdout.read().splitlines(keepends=True)
    process.stdout.close()
    process.wait()
    return [line for line in lines if line.endswith("\n")]


def _retry_is_idempotent(path: Path, run: int, lines: list[str]) -> None:
    """The entry in flight at the kill is repeated; whether it was written or not, it is once."""
    n = len(lines) + 1
    event = CycleStarted(cycle=n, trigger=str(run), base="b" * 40)
    with Store.open(path) as store:
        first = store.append(event, actor="engine", ts=n, idem=f"{run}-{n}")
        again = store.append(event, actor="engine", ts=n, idem=f"{run}-{n}")
        assert first == again
        same = [s for s in store.entries() if s.entry.idem == f"{run}-{n}"]
        assert same == [first]
