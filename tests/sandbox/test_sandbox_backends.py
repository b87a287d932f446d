"""The same attempts against every backend that contains, each made for real from inside.

An attempt says what it reached; what must hold is that it reached nothing. Each starts with the
same attempt made outside, or on something the run may have: an attempt that cannot succeed at all
would show nothing.
"""
# ruff: noqa: ASYNC240 - a test has the event loop to itself

import asyncio
import json
import os
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ouroboros.config import Sandbox as Limits
from ouroboros.config import parse_size
from ouroboros.sandbox import Command, Ending, Sandbox

Make = Callable[..., Command]

pytestmark = pytest.mark.parametrize(
    "sandbox", ["bwrap", "landlock", "landlock-watched"], indirect=True
)

REACHED = """
import ctypes, errno, json, os, socket, sys
libc = ctypes.CDLL(None, use_errno=True)
reached = []
def attempt(name, function, *args):
    try:
        function(*args)
    except OSError as error:
        return error.errno
    reached.append(name)
def call(function, *args):
    ctypes.set_errno(0)
    if function(*args) == -1:
        raise OSError(ctypes.get_errno(), "")
"""
TELL = "\nprint(json.dumps(reached))"


async def reached(sandbox: Sandbox, command: Command) -> object:
    outcome = await sandbox.run(command)
    assert outcome.ok, outcome
    return json.loads(outcome.stdout)


def attempts(python: Make, code: str, **more: object) -> Command:
    return python(f"{REACHED}{code}{TELL}", **more)


async def test_files_of_the_host_cannot_be_read(
    sandbox: Sandbox, python: Make, tree: Path, tmp_path: Path
) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    (tree / "link").symlink_to(secret)
    code = f"""
for path in ({str(secret)!r}, "link", "/etc/shadow", "/proc/{os.getpid()}/environ", "/proc/kcore"):
    attempt(path, open, path, "rb")
for path in ("/home", "/var", {str(tmp_path)!r}, "/sys"):
    attempt(path, os.listdir, path)
assert attempt("tree", open, "hello.txt") is None and reached == ["tree"], reached
"""
    assert secret.read_text() == "hunter2"
    assert await reached(sandbox, attempts(python, code, tree=tree)) == ["tree"]


async def test_files_of_the_host_cannot_be_changed(
    sandbox: Sandbox, python: Make, tree: Path, tmp_path: Path
) -> None:
    victim, folder = tmp_path / "victim", tmp_path / "folder"
    victim.write_text("whole")
    folder.mkdir()
    for path in (victim, folder):
        path.chmod(0o777)  # so that it is not the mode that holds, nor whose it is
        if os.geteuid() == 0:
            os.chown(path, 65534, 65534)
    (tree / "out").symlink_to(folder)
    (tree / "victim").symlink_to(victim)
    before = victim.stat()
    code = f"""
victim, folder = {str(victim)!r}, {str(folder)!r}
attempt("write", open, victim, "w")
attempt("append", open, "victim", "a")
attempt("truncate", os.truncate, victim, 0)
attempt("remove", os.unlink, victim)
attempt("rename", os.rename, victim, "mine")
attempt("link", os.link, victim, "linked")
attempt("create", open, os.path.join(folder, "new"), "x")
attempt("create by link", open, os.path.join("out", "new"), "x")
attempt("folder", os.mkdir, os.path.join(folder, "new"))
attempt("mode", os.chmod, victim, 0o600)
attempt("times", os.utime, victim, (0, 0))
attempt("touch", os.utime, victim)
attempt("owner", os.chown, victim, os.getuid(), os.getgid())
attempt("attribute", os.setxattr, victim, "user.x", b"x")
attempt("harness", open, os.path.join(os.path.dirname(os.__file__), "probe.py"), "x")
"""
    assert await reached(sandbox, attempts(python, code, tree=tree)) == []
    assert victim.read_text() == "whole"
    after = victim.stat()
    assert (after.st_mode, after.st_mtime_ns) == (before.st_mode, before.st_mtime_ns)
    assert list(folder.iterdir()) == []


async def test_listeners_of_the_host_cannot_be_reached(
    sandbox: Sandbox, python: Make, tmp_path: Path
) -> None:
    name = f"ouroboros-test-{os.getpid()}"
    path = Path("/tmp", f"{name}.sock")  # short enough, and no closed folder above it
    datagrams = Path("/tmp", f"{name}.dgram")
    with (
        socket.create_server(("127.0.0.1", 0)) as tcp,
        socket.socket(socket.AF_UNIX) as unix,
        socket.socket(socket.AF_UNIX) as abstract,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        try:
            unix.bind(str(path))
            journal.bind(str(datagrams))
            abstract.bind(f"\0{name}")
            udp.bind(("127.0.0.1", 0))
            path.chmod(0o777)
            datagrams.chmod(0o777)
            for server in (unix, abstract):
                server.listen()
            for server in (tcp, unix, abstract, journal, udp):
                server.setblocking(False)
            code = f"""
def connect(family, address):
    with socket.socket(family) as client:
        client.connect(address)
def send():
    ours, _ = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    ours.sendto(b"x", {str(datagrams)!r})
def udp():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.sendto(b"x", ("127.0.0.1", {udp.getsockname()[1]}))
attempt("tcp", connect, socket.AF_INET, ("127.0.0.1", {tcp.getsockname()[1]}))
attempt("path", connect, socket.AF_UNIX, {str(path)!r})
attempt("abstract", connect, socket.AF_UNIX, "\\0" + {name!r})
attempt("datagram", send)
try:
    udp()  # in a network of its own there is nobody to hear it, and nobody who says so
except OSError:
    pass
"""
            assert await reached(sandbox, attempts(python, code)) == []
            for server in (tcp, unix, abstract):
                with pytest.raises(BlockingIOError):
                    server.accept()
            for server in (journal, udp):
                with pytest.raises(BlockingIOError):
                    server.recv(1)
        finally:
            path.unlink(missing_ok=True)
            datagrams.unlink(missing_ok=True)


async def test_processes_of_the_host_cannot_be_touched(sandbox: Sandbox, python: Make) -> None:
    affinity, priority = os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0)
    code = f"""
import resource, signal
engine = {os.getpid()}
attempt("signal", os.kill, engine, 0)
attempt("kill", os.kill, engine, signal.SIGCONT)
attempt("thread", call, libc.syscall, 234, engine, engine, 0)
attempt("group", os.killpg, {os.getpgid(0)}, 0)
attempt("priority", os.setpriority, os.PRIO_PROCESS, engine, 19)
attempt("affinity", os.sched_setaffinity, engine, {{0}})
attempt("limit", resource.prlimit, engine, resource.RLIMIT_NOFILE, (10, 10))
attempt("memory", open, f"/proc/{{engine}}/mem", "rb")
attempt("trace", call, libc.ptrace, 16, engine, 0, 0)
attempt("environment", open, f"/proc/{{engine}}/environ", "rb")
attempt("descriptor", os.listdir, f"/proc/{{engine}}/fd")
for parent in (os.getppid(),):
    if parent > 1:
        attempt("warden", os.kill, parent, signal.SIGTERM)
"""
    assert await reached(sandbox, attempts(python, code)) == []
    assert (os.sched_getaffinity(0), os.getpriority(os.PRIO_PROCESS, 0)) == (affinity, priority)


async def test_killing_all_that_can_be_killed_ends_only_the_run(
    sandbox: Sandbox, python: Make
) -> None:
    outcome = await sandbox.run(python("import os; os.kill(-1, 9); print('on')"))
    assert outcome.ending in (Ending.SIGNALLED, Ending.EXITED), outcome
    assert (await sandbox.run(python("print('alive')"))).stdout == b"alive\n"


async def test_runs_cannot_touch_each_other(sandbox: Sandbox, python: Make) -> None:
    """Both run as the same user."""
    read, write = socket.socketpair()
    with read, write:
        first = sandbox.run(
            python(
                "import os; s = os.fdopen(3, 'rb+', buffering=0);"
                "s.write(b'%d\\n' % os.getpid()); print(s.read(1))",
                channel=write.fileno(),
            )
        )

        async def second() -> object:
            pid = int(await asyncio.to_thread(read.recv, 100))
            code = f"""
import resource
other = {pid}
if other != os.getpid() and other > 2:
    attempt("signal", os.kill, other, 0)
    attempt("limit", resource.prlimit, other, resource.RLIMIT_NOFILE, (10, 10))
    attempt("affinity", os.sched_setaffinity, other, {{0}})
    attempt("memory", open, f"/proc/{{other}}/mem", "rb")
    attempt("folder", os.listdir, f"/proc/{{other}}/cwd/")
    attempt("root", os.listdir, f"/proc/{{other}}/root/")
"""
            found = await reached(sandbox, attempts(python, code))
            await asyncio.to_thread(read.send, b"x")
            return found

        outcome, found = await asyncio.gather(first, second())
    assert outcome.stdout == b"b'x'\n", outcome
    assert found == []


async def test_rights_cannot_be_had(sandbox: Sandbox, python: Make) -> None:
    code = """
attempt("user namespace", call, libc.unshare, 0x10000000)
attempt("mount namespace", call, libc.unshare, 0x00020000)
attempt("mount", call, libc.mount, b"none", b"/tmp", b"tmpfs", 0, None)
attempt("chroot", os.chroot, ".")
attempt("root again", os.setuid, 0)
attempt("trace", call, libc.ptrace, 0, 0, 0, 0)
attempt("nice", os.nice, -5)
attempt("device", os.mknod, "device", 0o20666, os.makedev(1, 1))
attempt("host name", socket.sethostname, "x")
for name in ("/dev/mem", "/dev/kmsg", "/dev/vda", "/proc/sysrq-trigger", "/sys/fs/cgroup"):
    attempt(name, open, name, "rb")
master = os.open("/dev/tty", os.O_RDWR) if False else 0
import fcntl
attempt("terminal", fcntl.ioctl, 0, 0x5412, b"x")
# What prctl says holds where /proc is not to be seen.
assert libc.prctl(39, 0, 0, 0, 0) == 1, "new privileges"
assert libc.prctl(21, 0, 0, 0, 0) == 2, "no filter"
"""
    assert await reached(sandbox, attempts(python, code)) == []
    if os.geteuid() == 0 and sandbox.level.backend == "landlock":
        code = "reached += [*os.getresuid(), *os.getresgid(), *os.getgroups()]"
        assert await reached(sandbox, attempts(python, code)) == [65534] * 6


async def test_the_environment_and_the_descriptors_are_the_runs_own(
    sandbox: Sandbox, python: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    held = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        code = """
reached += [value for value in os.environ.values() if "hunter2" in value]
for fd in range(4, 4096):
    try:
        os.fstat(fd)
    except OSError:
        continue
    reached.append(fd)
"""
        assert await reached(sandbox, attempts(python, code, result=True)) == []
    finally:
        os.close(held)


async def test_the_tree_is_fresh_for_each_run(sandbox: Sandbox, make: Make, tree: Path) -> None:
    script = "test ! -e new && cat hello.txt && echo changed >hello.txt && touch new"
    for _ in range(2):
        outcome = await sandbox.run(make("sh", "-c", script, tree=tree))
        assert outcome.stdout == b"hello\n", outcome
    assert sorted(p.name for p in tree.iterdir()) == ["hello.txt"]
    assert (tree / "hello.txt").read_text() == "hello\n"


async def test_a_preparing_step_leaves_its_work_in_the_tree(
    sandbox: Sandbox, make: Make, tree: Path
) -> None:
    (tree / "module.py").write_text("x = 1\n")
    (tree / "link.txt").symlink_to("module.py")
    argv = (sys.executable, "-I", "-S", "-m", "compileall", "-q", "/ouroboros/tree")
    outcome = await sandbox.run(make(*argv, tree=tree, fresh=False))
    assert outcome.ok, outcome
    assert len(list(tree.glob("__pycache__/module.*.pyc"))) == 1
    assert (tree / "link.txt").readlink() == Path("module.py")


async def test_memory_is_bounded(sandbox: Sandbox, python: Make) -> None:
    hog = "x = bytearray(2 << 30); [x.__setitem__(i, 1) for i in range(0, len(x), 4096)]"
    outcome = await sandbox.run(python(hog))
    assert not outcome.ok
    assert outcome.ending is not Ending.FAULT
    assert outcome.sample.rss_bytes < 1 << 30


async def test_files_are_bounded(sandbox: Sandbox, python: Make, limits: Limits) -> None:
    small = msgspec.structs.replace(limits, file_size=parse_size("1MiB"))
    code = """
import errno
path = os.path.join(os.environ["TMPDIR"], "big")
with open(path, "wb", buffering=0) as file:
    assert attempt("first", file.write, b"x" * 100_000) is None
    reached.clear()
    while not (code := attempt("more", file.write, b"x" * 300_000)):
        reached.clear()
    assert code == errno.EFBIG, code
"""
    assert await reached(sandbox, attempts(python, code, limits=small)) == []


async def test_the_disk_is_bounded(
    sandbox: Sandbox, python: Make, limits: Limits, tree: Path
) -> None:
    """In the tree, and in the home folder where that is no file system of its own."""
    small = msgspec.structs.replace(
        limits, tree_size=parse_size("4MiB"), tmp_size=parse_size("4MiB")
    )
    fill = """
import os, sys, time
for i in range(400):
    with open(os.path.join(os.environ[sys.argv[1]], f"f{i}"), "wb") as file:
        file.write(b"x" * 100_000)
time.sleep(20)
"""
    for place in ("OUROBOROS_TREE", "TMPDIR"):
        command = python(fill, tree=tree, limits=small)
        command = msgspec.structs.replace(command, argv=(*command.argv, place))
        outcome = await sandbox.run(command)
        full = place == "TMPDIR" and sandbox.level.backend == "bwrap"  # the kernel refuses
        assert outcome.ending is (Ending.EXITED if full else Ending.TREE), (place, outcome)
        assert not outcome.ok


async def test_a_fork_bomb_ends_with_its_run(sandbox: Sandbox, python: Make) -> None:
    code = """
import os, time
for _ in range(9):
    try:
        os.fork()
    except OSError:
        pass
time.sleep(30)
"""
    outcome = await sandbox.run(python(code, wall=2))
    assert outcome.ending in (Ending.TIMEOUT, Ending.PROCESSES, Ending.MEMORY)
    assert (await sandbox.run(python("pass"))).ok


async def test_who_ignores_sigterm_and_hides_still_ends(
    sandbox: Sandbox, python: Make, tmp_path: Path
) -> None:
    """In a new session, without its environment, orphaned, and with no descriptor of the run."""
    code = """
import os, signal, sys, time
signal.signal(15, signal.SIG_IGN)
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        for fd in (0, 1, 2):
            os.close(fd)
        os.execve(sys.executable, ["hidden-%s", "-c", "import time; time.sleep(600)"], {})
    os._exit(0)
time.sleep(600)
"""
    mark = f"{os.getpid()}-{tmp_path.name}"
    started = time.monotonic()
    other = asyncio.ensure_future(sandbox.run(python("import time; time.sleep(4); print('whole')")))
    outcome = await sandbox.run(python(code % mark, wall=1.5))
    assert outcome.ending is Ending.TIMEOUT, outcome
    assert time.monotonic() - started < 4, "it waited for the other run"
    assert not processes_of(f"hidden-{mark}")
    assert (await other).stdout == b"whole\n"


async def test_who_keeps_moving_and_wakes_the_others_still_ends(
    sandbox: Sandbox, python: Make, tmp_path: Path
) -> None:
    """Each process hands over to a child at once, and two wake whoever is stopped."""
    code = """
import os, signal, sys, time
mark = sys.argv[1]
def wake():
    while True:
        try:
            os.kill(-1, signal.SIGCONT)
        except OSError:
            pass
for _ in range(2):
    if os.fork() == 0:
        wake()
for _ in range(6):
    if os.fork() == 0:
        os.setsid()
        while True:
            try:
                if os.fork():
                    os._exit(0)
            except OSError:
                pass
time.sleep(600)
"""
    mark = f"moving-{os.getpid()}-{tmp_path.name}"
    command = python(code, wall=1)
    outcome = await sandbox.run(msgspec.structs.replace(command, argv=(*command.argv, mark)))
    assert outcome.ending in (Ending.TIMEOUT, Ending.PROCESSES), outcome
    assert not processes_of(mark)
    assert (await sandbox.run(python("print('on')"))).ok


def processes_of(word: str) -> list[str]:
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            text = path.read_bytes()
        except OSError:
            continue
        found += [str(path)] if word.encode() in text else []
    return found


async def test_ordinary_programs_work(
    sandbox: Sandbox, python: Make, make: Make, tree: Path
) -> None:
    code = """
import asyncio, mmap, os, sqlite3, subprocess, sys, tempfile, threading
async def across():
    loop, event = asyncio.get_running_loop(), asyncio.Event()
    threading.Timer(0.05, lambda: loop.call_soon_threadsafe(event.set)).start()
    await asyncio.wait_for(event.wait(), 10)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "print(1)", stdout=subprocess.PIPE)
    assert (await process.communicate())[0] == b"1\\n"
asyncio.run(across())
assert subprocess.run(["sh", "-c", "echo x | cat"], capture_output=True).stdout == b"x\\n"
database = sqlite3.connect(os.path.join(tempfile.gettempdir(), "d.sqlite"))
database.execute("create table t (x)"); database.execute("insert into t values (1)")
database.commit()
with mmap.mmap(-1, 1 << 20) as area:
    area[:3] = b"abc"
with tempfile.TemporaryDirectory() as folder:
    os.makedirs(os.path.join(folder, "a", "b"))
    os.rename(os.path.join(folder, "a", "b"), os.path.join(folder, "c"))
open(os.devnull, "w").write("x"); open("/dev/urandom", "rb").read(1)
"""
    outcome = await sandbox.run(python(code, tree=tree))
    assert outcome.ok, outcome
    (tree / "test_it.py").write_text("def test_it(tmp_path): (tmp_path / 'x').write_text('x')\n")
    argv = (sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py")
    packages = Path(pytest.__file__).parents[1]
    shown = {"read_only": (packages,), "env": {"PYTHONPATH": str(packages)}}
    outcome = await sandbox.run(make(*argv, tree=tree, **shown))
    assert b"1 passed" in outcome.stdout, outcome


async def test_a_program_that_is_not_there(sandbox: Sandbox, make: Make) -> None:
    outcome = await sandbox.run(make("no-such-program"))
    assert (outcome.ending, outcome.exit_code) == (Ending.EXITED, 127), outcome
    assert b"no-such-program" in outcome.stderr


async def test_what_cannot_be_shown_is_a_fault(
    sandbox: Sandbox, make: Make, tmp_path: Path
) -> None:
    outcome = await sandbox.run(make("true", read_only=(tmp_path / "missing",)))
    assert outcome.ending is Ending.FAULT, outcome
    assert "missing" in outcome.text
