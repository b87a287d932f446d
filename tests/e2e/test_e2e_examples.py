"""The examples of clients, run as they stand, against a real engine."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from served import FASTER, OUROBOROS, WORK, Served, diff

from ouroboros.client import SyncClient, wire
from ouroboros.errors import NotFoundError, WaitTimeoutError
from ouroboros.model.entry import Stored
from ouroboros.paths import paths_for

EXAMPLES = Path(__file__).resolve().parents[2] / "examples" / "rpc"


def socket_of(served: Served) -> Path:
    return paths_for(served.root, served.env).socket


def run(served: Served, *command: str) -> "subprocess.CompletedProcess[str]":
    path = f"{OUROBOROS.parent}:{os.environ['PATH']}"
    env = served.env | {"PATH": path}
    return subprocess.run(command, capture_output=True, text=True, env=env, timeout=120)


def test_examples(served: Served) -> None:
    served.start()
    patch = served.root.parent / "faster.diff"
    patch.write_text(diff(WORK, FASTER))
    gate = run(served, str(EXAMPLES / "gate.sh"), str(served.root), str(patch), "a set", "100")
    assert gate.returncode == 1, gate.stderr  # supervised: it is held, not promoted
    assert "mode_supervised" in gate.stderr or "needs a human" in gate.stderr
    socket = str(socket_of(served))
    held = run(served, sys.executable, str(EXAMPLES / "held.py"), socket)
    assert held.stdout.startswith("c1 'a set' "), held.stderr
    events = run(served, sys.executable, str(EXAMPLES / "follow.py"), socket, "0", "3")
    assert [line.split()[0] for line in events.stdout.splitlines()] == ["1", "2", "3"], (
        events.stderr
    )
    answer = json.loads(run(served, str(EXAMPLES / "status.sh"), socket).stdout)
    assert answer["result"]["held"] == ["c1"]
    if shutil.which("node"):
        told = run(served, "node", str(EXAMPLES / "status.mjs"), socket)
        assert told.stdout.split()[0] == answer["result"]["activity"], told.stderr


def test_events_go_on_after_the_engine_was_killed(served: Served) -> None:
    """No number twice and none left out, over a kill -9."""
    served.start()
    socket = str(socket_of(served))
    count = 14
    process = subprocess.Popen(
        [sys.executable, str(EXAMPLES / "follow.py"), socket, "0", str(count)],
        stdout=subprocess.PIPE,
        text=True,
        env=served.env,
    )
    try:
        assert process.stdout is not None
        first = process.stdout.readline()
        served.signal(signal.SIGKILL)
        served.start()
        for number in range(count):  # what there is to tell
            served.run("pause" if number % 2 == 0 else "resume")
        process.wait(timeout=60)
        rest = process.stdout.read()  # not `communicate`: it forgets what `readline` read ahead
    finally:
        process.kill()
    numbers = [int(line.split()[0]) for line in (first + rest).splitlines() if line[0].isdigit()]
    assert numbers == list(range(1, count + 1))


def test_without_asyncio(served: Served) -> None:
    served.start()
    with SyncClient.connect(socket_of(served), name="tests") as client:
        assert client.hello.role == "admin"
        client.call(wire.EnginePause(reason="lunch"))
        assert client.call(wire.EngineStatusGet()).paused
        with pytest.raises(NotFoundError):
            client.call(wire.CandidateGet(id="c99"))
        paused = next(client.events(("loop.*",), from_seq=0, timeout_s=5))
        assert isinstance(paused, Stored)
        assert paused.entry.event.kind == "paused"
        live = client.events(("loop.*",), timeout_s=0.2)
        assert list(live) == []  # nothing happens: it ends by itself
        with pytest.raises(WaitTimeoutError):
            client.call(wire.EventsList(from_seq=10**6, wait_s=0), timeout_s=0.0)
    client.close()


def test_importing_a_client_brings_neither_screen_nor_server() -> None:
    code = (
        "import sys, ouroboros.client\n"
        "bad = {'textual', 'aiohttp', 'rpc.server', 'rpc.methods', 'ouroboros.engine'}\n"
        "print(sorted(bad & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
