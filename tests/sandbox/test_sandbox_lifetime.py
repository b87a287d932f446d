"""Nothing outlives its run, its cancellation, or the engine."""
# ruff: noqa: ASYNC110, ASYNC220, ASYNC240, PTH208 - a test has the event loop to itself

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from ouroboros.config import Sandbox as Limits
from ouroboros.errors import SandboxUnavailableError
from ouroboros.sandbox import Command, Ending, Sandbox
from ouroboros.sandbox import runner as runner_module

Make = Callable[..., Command]

DAEMON = """
import os, sys, time
ready, started = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in (0, 1, 2):
            os.close(fd)
        os.write(started, b"x")
        time.sleep(600)
    os._exit(0)
os.read(ready, 1)
"""

ENGINE = """
import asyncio, sys
from pathlib import Path
from ouroboros.config import Sandbox as Limits, seconds
from ouroboros.sandbox import Command, Sandbox
from ouroboros.sandbox import runner

async def main(mark, kind):
    if kind != "bwrap":
        runner.bwrap.candidates = list
    allowed = Limits(allow_unconfined=kind == "none", allow_landlock=kind == "landlock")
    box = await Sandbox.open(allowed)
    if kind == "landlock":
        box._groups = None  # the harder case
    code = "import os, time; os.fork(); os.setsid() if os.fork() == 0 else 0; time.sleep(600)"
    argv = (sys.executable, "-c", code, mark)
    command = Command(argv=argv, python=sys.executable, limits=Limits(), timeout=seconds(600))
    await asyncio.gather(box.run(command), box.run(command))

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture
def mark() -> str:
    return f"ouroboros-{uuid.uuid4().hex}"


def alive(mark: str) -> list[int]:
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) != os.getpid():
            try:
                words = Path("/proc", entry, "cmdline").read_bytes()
            except OSError:
                continue
            found += [int(entry)] if mark.encode() in words else []
    return found


async def until(condition: Callable[[], bool], patience: float = 5) -> None:
    async with asyncio.timeout(patience):
        while not condition():
            await asyncio.sleep(0.02)


@pytest.mark.parametrize(
    "sandbox", ["bwrap", "landlock", "landlock-watched", "none"], indirect=True
)
async def test_a_daemon_ends_with_its_run(sandbox: Sandbox, make: Make, mark: str) -> None:
    outcome = await sandbox.run(make(sys.executable, "-c", DAEMON, mark))
    assert outcome.ok, outcome
    assert alive(mark) == []


@pytest.mark.parametrize(
    "sandbox", ["bwrap", "landlock", "landlock-watched", "none"], indirect=True
)
async def test_cancellation_leaves_nothing(sandbox: Sandbox, make: Make, mark: str) -> None:
    code = "import os, time; os.fork(); time.sleep(600)"
    task = asyncio.ensure_future(sandbox.run(make(sys.executable, "-c", code, mark)))
    await until(lambda: len(alive(mark)) >= 2)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert alive(mark) == []
    assert (await sandbox.run(make("true"))).ok


async def test_close_ends_runs_and_removes_files(make: Make, mark: str, tmp_path: Path) -> None:
    box = await Sandbox.open(Limits(), tmp_path)
    code = "import time; time.sleep(600)"
    task = asyncio.ensure_future(box.run(make(sys.executable, "-c", code, mark)))
    await until(lambda: alive(mark) != [])
    await box.close()
    await box.close()
    assert (await task).ending is Ending.FAULT
    assert alive(mark) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", ["bwrap", "landlock", "none"])
async def test_kill_9_of_the_engine_leaves_no_process(kind: str, mark: str) -> None:
    engine = subprocess.Popen([sys.executable, "-c", ENGINE, mark, kind])
    try:
        await until(lambda: len(alive(mark)) > 4, 20)
    finally:
        engine.send_signal(signal.SIGKILL)
        engine.wait()
    await until(lambda: alive(mark) == [])


@pytest.mark.parametrize("sandbox", ["bwrap", "landlock", "landlock-watched"], indirect=True)
async def test_a_dead_launcher_is_a_fault_and_is_replaced(
    sandbox: Sandbox, make: Make, mark: str
) -> None:
    code = "import time; time.sleep(600)"
    task = asyncio.ensure_future(sandbox.run(make(sys.executable, "-c", code, mark)))
    await until(lambda: alive(mark) != [])
    process = sandbox._link._process
    assert process is not None
    process.kill()
    outcome = await task
    assert outcome.ending is Ending.FAULT
    assert "SIGKILL" in outcome.text
    await until(lambda: alive(mark) == [])
    assert (await sandbox.run(make("true"))).ok


@pytest.mark.parametrize("sandbox", ["bwrap", "landlock-watched"], indirect=True)
async def test_who_hides_dies_with_the_launcher(sandbox: Sandbox, make: Make, mark: str) -> None:
    """In a session of its own, without the run's environment, orphaned."""
    code = """
import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.execve(sys.executable, ["python", "-c", "import time; time.sleep(600)", sys.argv[1]], {})
    os._exit(0)
time.sleep(600)
"""
    task = asyncio.ensure_future(sandbox.run(make(sys.executable, "-c", code, mark)))
    await until(lambda: any(b"\0-c\0import time; " in words(pid) for pid in alive(mark)))
    process = sandbox._link._process
    assert process is not None
    process.kill()
    assert (await task).ending is Ending.FAULT
    await until(lambda: alive(mark) == [])


def words(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


async def test_no_sandbox_is_refused_with_a_way_out(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(runner_module.bwrap, "candidates", lambda: [("/bin/false", "system")])
    with pytest.raises(SandboxUnavailableError) as caught:
        await Sandbox.open(Limits(), tmp_path)
    assert "/bin/false" in caught.value.message
    assert "allow_unconfined" in caught.value.hint
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("sandbox", ["none"], indirect=True)
async def test_unconfined_is_named_and_still_fresh(
    sandbox: Sandbox, make: Make, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    script = "test ! -e new && touch new && env"
    for _ in range(2):
        outcome = await sandbox.run(make("sh", "-c", script, tree=tree))
        assert outcome.ok, outcome
        assert b"hunter2" not in outcome.stdout
    assert [p.name for p in tree.iterdir()] == ["hello.txt"]
    assert (sandbox.level.backend, sandbox.level.network) == ("none", True)


async def test_control_groups_are_removed(sandbox: Sandbox, make: Make) -> None:
    if sandbox._groups is None:
        pytest.skip("no control groups on this machine")
    await sandbox.run(make("true"))
    left = [
        p for parent in sandbox._groups._parents for p in parent.glob(f"ouroboros-{os.getpid()}-*")
    ]
    assert left == []
