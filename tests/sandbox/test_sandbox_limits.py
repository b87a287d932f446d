"""Limits, endings, and what is measured."""

import asyncio
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ouroboros.config import Sandbox as Limits
from ouroboros.config import mebibytes, parse_size, seconds
from ouroboros.sandbox import Command, Ending, Sandbox

Make = Callable[..., Command]

HOG = "x = bytearray(2 << 30); [x.__setitem__(i, 1) for i in range(0, len(x), 4096)]"
# Nine doublings, 512 processes: enough to cross any limit here, and no more than any machine bears,
# should the limit under test not hold (an unbounded bomb once took the whole machine with it).
BOMB = """
import os, time
for _ in range(9):
    try:
        os.fork()
    except OSError:
        pass
time.sleep(30)
"""


async def test_exit_code_and_signal(sandbox: Sandbox, python: Make) -> None:
    exited = await sandbox.run(python("raise SystemExit(7)"))
    assert (exited.ending, exited.exit_code, exited.ok) == (Ending.EXITED, 7, False)
    killed = await sandbox.run(python("import os; os.abort()"))
    assert (killed.ending, killed.signal) == (Ending.SIGNALLED, 6)


async def test_timeout_kills_what_ignores_sigterm(sandbox: Sandbox, python: Make) -> None:
    code = "import signal, time; signal.signal(15, signal.SIG_IGN); time.sleep(60)"
    started = time.monotonic()
    outcome = await sandbox.run(python(code, wall=0.5))
    assert outcome.ending is Ending.TIMEOUT
    assert 0.5 <= time.monotonic() - started < 5


async def test_the_sandbox_bounds_every_timeout(
    sandbox: Sandbox, python: Make, limits: Limits
) -> None:
    short = msgspec.structs.replace(limits, timeout=seconds(1))
    outcome = await sandbox.run(python("import time; time.sleep(60)", limits=short, wall=50))
    assert outcome.ending is Ending.TIMEOUT


@pytest.mark.parametrize("sandbox", ["bwrap", "watched"], indirect=True)
async def test_memory(sandbox: Sandbox, python: Make) -> None:
    outcome = await sandbox.run(python(HOG))
    assert not outcome.ok
    if sandbox.level.limits.startswith("cgroup"):
        assert outcome.ending is Ending.MEMORY
    assert outcome.sample.rss_bytes < 2 << 30


@pytest.mark.parametrize("sandbox", ["watched"], indirect=True)
async def test_watchdog_sees_memory_of_several_processes(sandbox: Sandbox, python: Make) -> None:
    code = """
import os, time
for _ in range(4):
    if os.fork() == 0:
        x = bytearray(os.urandom(100 << 20)); time.sleep(30)
time.sleep(30)
"""
    outcome = await sandbox.run(python(code))
    assert outcome.ending is Ending.MEMORY


@pytest.mark.parametrize("sandbox", ["watched"], indirect=True)
async def test_watchdog_does_not_count_shared_pages_twice(sandbox: Sandbox, python: Make) -> None:
    code = """
import os, time
x = bytearray(os.urandom(60 << 20))
pids = []
for _ in range(8):
    pid = os.fork()
    if pid == 0:
        time.sleep(0.5); os._exit(0)
    pids.append(pid)
for pid in pids:
    os.waitpid(pid, 0)
"""
    outcome = await sandbox.run(python(code))
    assert outcome.ok, outcome


@pytest.mark.parametrize("sandbox", ["bwrap", "watched"], indirect=True)
async def test_tree_is_no_way_around_the_memory_limit(
    sandbox: Sandbox, python: Make, tree: Path
) -> None:
    code = """
for i in range(40):
    with open(f"big{i}", "wb") as file:
        for _ in range(16):
            file.write(b"x" * (1 << 20))
"""
    outcome = await sandbox.run(python(code, tree=tree))
    assert not outcome.ok


SPIN = """
import os
for _ in range(2):
    if os.fork() == 0:
        break
while True:
    pass
"""
SPIN_IN_SHORT_LIVES = """
import os
while True:
    if os.fork() == 0:
        for _ in range(2_000_000): pass
        os._exit(0)
    os.wait()
"""


@pytest.mark.parametrize("sandbox", ["bwrap", "watched", "none"], indirect=True)
@pytest.mark.parametrize("code", [SPIN, SPIN_IN_SHORT_LIVES], ids=["together", "one by one"])
async def test_cpu_time_of_all_processes_is_limited(
    sandbox: Sandbox, python: Make, limits: Limits, code: str
) -> None:
    small = msgspec.structs.replace(limits, cpu=seconds(0.5))
    outcome = await sandbox.run(python(code, limits=small))
    assert outcome.ending is Ending.CPU, outcome
    assert outcome.text == "It needed more than 0.5 s of CPU time."
    assert outcome.sample.wall_ns < 10e9


async def test_too_much_cpu_time_counts_also_when_the_run_is_over_first(
    sandbox: Sandbox, python: Make, limits: Limits
) -> None:
    small = msgspec.structs.replace(limits, cpu=seconds(0.01))
    outcome = await sandbox.run(python("for _ in range(3_000_000): pass", limits=small))
    assert outcome.ending is Ending.CPU
    assert not outcome.ok


@pytest.mark.parametrize("sandbox", ["bwrap", "copied", "watched", "none"], indirect=True)
async def test_bytes_written_to_the_tree_are_limited(
    sandbox: Sandbox, python: Make, limits: Limits, tree: Path
) -> None:
    """However small the files; and what the tree had before does not count."""
    (tree / "old").write_bytes(os.urandom(6 << 20))
    small = msgspec.structs.replace(limits, tree_size=parse_size("4MiB"))
    code = """
import os, time
data = os.urandom(100_000)
for i in range({count}):
    os.makedirs(f"d{{i}}")
    with open(f"d{{i}}/file", "wb") as file:
        file.write(data)
if {count} > 20:
    time.sleep(30)
"""
    ran = await sandbox.run(python(code.format(count=20), limits=small, tree=tree))
    assert ran.ok, ran
    outcome = await sandbox.run(python(code.format(count=80), limits=small, tree=tree))
    assert outcome.ending is Ending.TREE, outcome
    assert "more than 4 MiB to its tree" in outcome.text


@pytest.mark.parametrize("sandbox", ["none"], indirect=True)
async def test_a_temporary_folder_on_the_disk_is_limited(
    sandbox: Sandbox, python: Make, limits: Limits
) -> None:
    small = msgspec.structs.replace(limits, tmp_size=parse_size("4MiB"))
    code = """
import os, tempfile, time
for i in range(8):
    with tempfile.NamedTemporaryFile(delete=False) as file:
        file.write(os.urandom(1 << 20))
time.sleep(30)
"""
    outcome = await sandbox.run(python(code, limits=small))
    assert outcome.ending is Ending.TREE, outcome


@pytest.mark.parametrize("sandbox", ["watched"], indirect=True)
async def test_files_in_memory_count_as_memory(sandbox: Sandbox, python: Make) -> None:
    code = """
import os, time
for folder in ("/tmp", "/dev/shm"):
    for i in range(4):
        with open(f"{folder}/{i}", "wb") as file:
            file.write(os.urandom(40 << 20))
time.sleep(30)
"""
    outcome = await sandbox.run(python(code))
    assert outcome.ending is Ending.MEMORY, outcome


@pytest.mark.parametrize("sandbox", ["bwrap", "copied"], indirect=True)
async def test_empty_files_in_the_tree_count(
    sandbox: Sandbox, python: Make, limits: Limits, tree: Path
) -> None:
    small = msgspec.structs.replace(limits, tree_size=parse_size("1MiB"))
    code = """
import time
for i in range(3000):
    open(f"file{i}", "w").close()
time.sleep(30)
"""
    outcome = await sandbox.run(python(code, limits=small, tree=tree))
    assert outcome.ending is Ending.TREE, outcome


async def test_large_file_and_full_tmp(sandbox: Sandbox, python: Make, limits: Limits) -> None:
    small = msgspec.structs.replace(
        limits, file_size=parse_size("1MiB"), tmp_size=parse_size("2MiB")
    )
    code = """
def write(path, size):
    try:
        with open(path, "wb") as file:
            file.write(b"x" * size)
    except OSError as error:
        return error.errno
import errno
assert write("/tmp/a", 2 << 20) == errno.EFBIG
assert write("/tmp/b", 900_000) is None or True
codes = [write(f"/tmp/{i}", 900_000) for i in range(4)]
assert errno.ENOSPC in codes, codes
"""
    outcome = await sandbox.run(python(code, limits=small))
    assert outcome.ok, outcome.stderr


@pytest.mark.parametrize("sandbox", ["bwrap", "watched"], indirect=True)
async def test_fork_bomb(sandbox: Sandbox, python: Make) -> None:
    outcome = await sandbox.run(python(BOMB, wall=2))
    assert outcome.ending in (Ending.TIMEOUT, Ending.PROCESSES, Ending.MEMORY)
    assert (await sandbox.run(python("pass"))).ok


async def test_output_is_drained_and_capped(sandbox: Sandbox, python: Make, limits: Limits) -> None:
    small = msgspec.structs.replace(limits, output=parse_size("64KiB"))
    code = "import sys; sys.stdout.write('x' * 200_000 + 'end')"
    outcome = await sandbox.run(python(code, limits=small))
    assert outcome.ok
    assert len(outcome.stdout) == 32 << 10
    assert outcome.stdout.endswith(b"xend")
    assert not outcome.stdout_whole
    whole = await sandbox.run(python(f"print('x' * {(32 << 10) - 1})", limits=small))
    assert (len(whole.stdout), whole.stdout_whole) == (32 << 10, True)


@pytest.mark.parametrize("channel", [1, 2, 3])
async def test_flood_ends_the_run(sandbox: Sandbox, python: Make, channel: int) -> None:
    code = f"import os\nwhile True: os.write({channel}, b'x' * 65536)"
    outcome = await sandbox.run(python(code, result=True))
    assert outcome.ending is Ending.OUTPUT
    assert outcome.result_whole is (channel != 3)


async def test_memory_is_the_childs_own(sandbox: Sandbox, python: Make) -> None:
    ballast = bytearray(os.urandom(120 << 20))
    outcome = await sandbox.run(python("pass"))
    assert outcome.sample.rss_bytes < 60 << 20 < len(ballast)
    big = await sandbox.run(python("import os; x = os.urandom(100 << 20)"))
    assert 100 << 20 < big.sample.rss_bytes < 200 << 20


async def test_cpu_time_is_the_whole_runs(sandbox: Sandbox, python: Make) -> None:
    burn = """
import time
def burn(seconds):
    start = time.process_time()
    while time.process_time() - start < seconds:
        pass
"""
    own = await sandbox.run(python(f"{burn}\nburn(0.4)"))
    assert 0.4e9 <= own.sample.cpu_ns < 0.8e9
    assert own.sample.wall_ns >= 0.4e9
    if sandbox.level.limits == "rlimits+watchdog":
        return  # only a control group also counts what is killed with the run
    # Work that is handed to a process nobody waits for is still this run's work.
    code = f"""{burn}
import os
r, w = os.pipe()
if os.fork() == 0:
    if os.fork() == 0:
        burn(0.4); os.write(w, b"x")
        time.sleep(60)
    os._exit(0)
os.read(r, 1)
"""
    hidden = await sandbox.run(python(code))
    assert 0.4e9 <= hidden.sample.cpu_ns < 0.8e9


async def test_several_runs_at_once(sandbox: Sandbox, python: Make) -> None:
    codes = [python(f"import time; time.sleep(0.3); print({i})") for i in range(6)]
    started = time.monotonic()
    outcomes = await asyncio.gather(*map(sandbox.run, codes))
    assert [o.stdout for o in outcomes] == [b"%d\n" % i for i in range(6)]
    assert time.monotonic() - started < 1.8, "they ran one after the other"


async def test_a_missing_program_is_not_the_sandboxs_fault(sandbox: Sandbox, make: Make) -> None:
    outcome = await sandbox.run(make("no-such-program"))
    assert outcome.ending is Ending.EXITED
    assert b"no-such-program" in outcome.stderr


async def test_a_sandbox_that_cannot_be_set_up_is(
    sandbox: Sandbox, make: Make, tmp_path: Path
) -> None:
    outcome = await sandbox.run(make("true", read_only=(tmp_path / "missing",)))
    assert outcome.ending is Ending.FAULT
    assert "missing" in outcome.text
    limits = Limits(memory=mebibytes(256))
    assert (await sandbox.run(make(sys.executable, "-c", "pass", limits=limits))).ok
