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

import msgspec
import psutil
import pytest

from ouroboros.config import Sandbox as Limits
from ouroboros.config import mebibytes
from ouroboros.errors import SandboxUnavailableError
from ouroboros.sandbox import Command, Ending, Sandbox, cgroups
from ouroboros.sandbox import runner as runner_module
from ouroboros.sandbox.cgroups import Group

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

async def main(mark, kind, scratch):
    if kind != "bwrap":
        runner.bwrap.candidates = list
    allowed = Limits(allow_unconfined=kind == "none", allow_landlock=kind.startswith("landlock"))
    box = await Sandbox.open(allowed, Path(scratch))
    if kind == "landlock-watched":
        box._groups = None  # the harder case
    print(*(box._groups._parents if box._groups else ()), flush=True)
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


@pytest.mark.parametrize("kind", ["bwrap", "landlock", "landlock-watched", "none"])
async def test_kill_9_of_the_engine_leaves_nothing(kind: str, mark: str, tmp_path: Path) -> None:
    """No process, no control group, no file: the launcher cleans up before it follows."""
    argv = [sys.executable, "-c", ENGINE, mark, kind, str(tmp_path)]
    engine = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    assert engine.stdout is not None
    with engine.stdout:
        parents = [Path(word) for word in engine.stdout.readline().split()]
    groups = f"ouroboros-{engine.pid}-*"
    try:
        await until(lambda: len(alive(mark)) > 4, 20)
        assert all(list(parent.glob(groups)) for parent in parents)
        assert list(tmp_path.iterdir())
    finally:
        engine.send_signal(signal.SIGKILL)
        engine.wait()
    await until(lambda: alive(mark) == [])
    await until(lambda: not any(list(parent.glob(groups)) for parent in parents))
    await until(lambda: list(tmp_path.iterdir()) == [])


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


async def test_a_child_that_holds_standard_output_ends_with_its_run(
    sandbox: Sandbox, make: Make, mark: str
) -> None:
    code = "import os, time; print('said', flush=True); os.fork() or (os.setsid(), time.sleep(600))"
    outcome = await sandbox.run(make(sys.executable, "-c", code, mark))
    assert outcome.ok, outcome
    assert outcome.stdout == b"said\n"
    assert alive(mark) == []


async def test_ten_gigabytes_of_output_end_the_run(sandbox: Sandbox, make: Make) -> None:
    outcome = await sandbox.run(make("sh", "-c", "yes | head -c 10000000000"))
    assert outcome.ending is Ending.OUTPUT
    assert len(outcome.stdout) <= 1 << 20


async def test_a_full_tmp_fails_the_command_and_not_the_sandbox(
    sandbox: Sandbox, make: Make, limits: Limits
) -> None:
    small = msgspec.structs.replace(limits, tmp_size=mebibytes(1))
    command = make("sh", "-c", "head -c 3000000 /dev/zero >/tmp/full", limits=small)
    outcome = await sandbox.run(command)
    assert (outcome.ending, outcome.ok) == (Ending.EXITED, False)
    assert b"No space left" in outcome.stderr
    assert (await sandbox.run(make("sh", "-c", "echo fits >/tmp/again"))).ok


@pytest.mark.parametrize("program", ["#!/bin/sh\nkill -9 $$\n", "#!/bin/sh\nexit 0\n"])
async def test_a_bubblewrap_that_dies_at_start_is_a_fault(
    sandbox: Sandbox, make: Make, tmp_path: Path, program: str
) -> None:
    """Also one that ends with success: nothing was run."""
    (tmp_path / "bwrap").write_text(program)
    (tmp_path / "bwrap").chmod(0o755)
    works = sandbox._binary
    assert works is not None
    sandbox._binary = msgspec.structs.replace(works, path=str(tmp_path / "bwrap"))
    outcome = await sandbox.run(make("true"))
    assert outcome.ending is Ending.FAULT
    assert "Bubblewrap failed" in outcome.text
    sandbox._binary = works
    assert (await sandbox.run(make("true"))).ok


async def test_a_bubblewrap_that_is_killed_is_a_fault(
    sandbox: Sandbox, make: Make, mark: str
) -> None:
    code = "import time; time.sleep(600)"
    task = asyncio.ensure_future(sandbox.run(make(sys.executable, "-c", code, mark)))
    await until(lambda: alive(mark) != [])
    process = sandbox._link._process
    assert process is not None
    for bubblewrap in psutil.Process(process.pid).children():
        bubblewrap.kill()
    outcome = await task
    assert outcome.ending is Ending.FAULT
    assert alive(mark) == []


@pytest.mark.parametrize("how", ["killed", "emptied"])
async def test_a_control_group_that_vanishes_is_a_fault(
    sandbox: Sandbox, make: Make, mark: str, how: str
) -> None:
    """Its limits were gone for a part of the run, so that the run proves nothing."""
    groups = sandbox._groups
    if groups is None:
        pytest.skip("no control groups on this machine")
    if how == "emptied" and sandbox.level.limits == "cgroup-v2":
        pytest.skip("version 2 lets no process into a group that has groups")
    ours, theirs = os.pipe()
    command = make(sys.executable, "-c", "import os; os.read(3, 1)", mark, channel=ours)
    task = asyncio.ensure_future(sandbox.run(command))
    await until(lambda: alive(mark) != [])
    found = [p for parent in groups._parents for p in parent.glob(f"ouroboros-{os.getpid()}-*")]
    assert len(found) == len(groups._parents)
    if how == "killed":
        await asyncio.to_thread(Group(tuple(found)).clear)
    else:
        for pid in (found[0] / "cgroup.procs").read_text().split():
            (found[0].parent / "cgroup.procs").write_text(pid)
        await until(lambda: Group((found[0],)).remove())
    os.write(theirs, b"x")
    outcome = await task
    os.close(ours)
    os.close(theirs)
    assert outcome.ending is Ending.FAULT
    assert how == "killed" or f"{found[0]} was removed" in outcome.text
    assert (await sandbox.run(make("true"))).ok


async def test_what_cannot_be_removed_is_a_fault_that_names_it(
    sandbox: Sandbox, make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    if sandbox._groups is None:
        pytest.skip("no control groups on this machine")
    with monkeypatch.context() as stuck:
        stuck.setattr(Group, "remove", lambda self: False)
        stuck.setattr(cgroups, "_CLEAR_SECONDS", 0.0)
        for told in ("is still there: control group /", "left this behind: control group /"):
            outcome = await sandbox.run(make("true"))
            assert outcome.ending is Ending.FAULT
            assert told in outcome.text
    assert (await sandbox.run(make("true"))).ok


@pytest.mark.parametrize("sandbox", ["copied", "none"], indirect=True)
async def test_no_folder_of_a_run_is_too_deep_or_too_closed_to_be_removed(
    sandbox: Sandbox, make: Make, tree: Path
) -> None:
    code = """
import os
for _ in range(3000):
    os.mkdir("down"); os.chdir("down")
open("file", "w").close()
os.chdir(os.environ["OUROBOROS_TREE"])
os.mkdir("closed"); open("closed/file", "w").close(); os.chmod("closed", 0)
os.symlink("/", "out")
"""
    outcome = await sandbox.run(make(sys.executable, "-c", code, tree=tree))
    assert outcome.ok, outcome


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
