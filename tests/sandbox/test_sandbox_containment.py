"""Attempts to get out, made for real from inside."""
# ruff: noqa: ASYNC240 - a test has the event loop to itself

import json
import os
import socket
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ouroboros.config import Sandbox as Limits
from ouroboros.errors import ConfigError, SandboxUnavailableError
from ouroboros.sandbox import HARNESS, TREE, Command, Ending, Sandbox, drop, entrust
from ouroboros.sandbox import runner as runner_module

Make = Callable[..., Command]
FOUND = sorted(origin for _, origin in runner_module.bwrap.candidates())


async def said(sandbox: Sandbox, command: Command) -> object:
    outcome = await sandbox.run(command)
    assert outcome.ok, outcome
    return json.loads(outcome.stdout)


async def test_environment_is_rebuilt_from_nothing(
    sandbox: Sandbox, python: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    code = "import os, json; print(json.dumps(dict(os.environ)))"
    env = await said(sandbox, python(code, env={"MINE": "1"}))
    assert isinstance(env, dict)
    assert env["HOME"] == "/tmp"
    assert env["PYTHONHASHSEED"] == "0"
    assert env["MINE"] == "1"
    assert "hunter2" not in json.dumps(env)
    assert set(env) <= {
        *("PATH", "HOME", "TMPDIR", "LANG", "TZ", "PWD", "MINE", "LC_CTYPE"),
        *("PYTHONHASHSEED", "PYTHONDONTWRITEBYTECODE", "PYTHONNOUSERSITE"),
    }


async def test_engine_secrets_are_not_in_any_visible_process(
    sandbox: Sandbox, python: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SECRET_TOKEN", "hunter2")
    code = """
import glob
found = b""
for path in glob.glob("/proc/[0-9]*/environ"):
    try:
        found += open(path, "rb").read()
    except OSError:
        pass
assert b"hunter2" not in found
assert len(glob.glob("/proc/[0-9]*")) <= 3, "other processes are visible"
"""
    outcome = await sandbox.run(python(code))
    assert outcome.ok, outcome.stderr


async def test_host_files_are_not_there(sandbox: Sandbox, python: Make, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("hunter2")
    code = f"""
import os, json
seen = []
for path in ("/etc/shadow", "/root/.ssh", "/home", "/var", "/sys", {str(secret)!r}):
    if os.path.exists(path):
        seen.append(path)
assert "root" not in open("/etc/passwd").read()
print(json.dumps(seen))
"""
    assert await said(sandbox, python(code)) == []


async def test_nothing_but_tmp_tree_and_shm_is_writable(
    sandbox: Sandbox, python: Make, tree: Path
) -> None:
    code = """
import os, json
wrote = []
for folder in ("/", "/usr", "/etc", "/dev", "/run", "/ouroboros", "/tmp", "/dev/shm", "."):
    try:
        open(os.path.join(folder, "probe"), "w").close()
        wrote.append(folder)
    except OSError:
        pass
print(json.dumps(wrote))
"""
    assert await said(sandbox, python(code, tree=tree)) == ["/tmp", "/dev/shm", "."]


@pytest.mark.parametrize("sandbox", ["bwrap", "copied"], indirect=True)
async def test_writes_to_the_tree_vanish(sandbox: Sandbox, make: Make, tree: Path) -> None:
    script = "test ! -e new && cat hello.txt && echo changed >hello.txt && touch new && pwd"
    for _ in range(2):
        outcome = await sandbox.run(make("sh", "-c", script, tree=tree))
        assert outcome.stdout.decode() == f"hello\n{TREE}\n", outcome
    assert sorted(p.name for p in tree.iterdir()) == ["hello.txt"]
    assert (tree / "hello.txt").read_text() == "hello\n"


async def test_no_network(sandbox: Sandbox, python: Make) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        port = server.getsockname()[1]
        code = f"""
import socket, json
reached = []
for address in (("127.0.0.1", {port}), ("1.1.1.1", 53)):
    try:
        socket.create_connection(address, timeout=1)
        reached.append(address)
    except OSError:
        pass
print(json.dumps(reached))
"""
        assert await said(sandbox, python(code)) == []
        with pytest.raises(TimeoutError):
            server.accept()


async def test_loopback_works_inside(sandbox: Sandbox, python: Make) -> None:
    code = """
import socket
server = socket.create_server(("127.0.0.1", 0))
client = socket.create_connection(server.getsockname())
client.sendall(b"x")
assert server.accept()[0].recv(1) == b"x"
"""
    assert (await sandbox.run(python(code))).ok


async def test_unix_sockets_of_the_host_cannot_be_reached(
    sandbox: Sandbox, python: Make, tmp_path: Path
) -> None:
    path = tmp_path / "host.sock"
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as hidden:
        server.bind(str(path))
        server.listen()
        name = f"ouroboros-test-{os.getpid()}"
        hidden.bind(f"\0{name}")
        hidden.listen()
        code = f"""
import socket
for address in ({str(path)!r}, "\\0" + {name!r}):
    try:
        socket.socket(socket.AF_UNIX).connect(address)
    except OSError:
        continue
    raise SystemExit("connected to " + repr(address))
"""
        outcome = await sandbox.run(python(code))
    assert outcome.ok, outcome.stderr


KINDS = [*FOUND, "copied", "watched"]


@pytest.mark.parametrize("sandbox", KINDS, indirect=True)
async def test_a_run_is_nobody_and_has_no_way_back(
    sandbox: Sandbox, python: Make, tree: Path
) -> None:
    """Also on the host: what root made there stays root's, and pid 1 is not the run's to touch."""
    code = """
import os, json, resource
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
back = []
for call in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.chown("hello.txt", 0, 0)):
    try:
        call()
        back.append(repr(call))
    except OSError:
        pass
with open("hello.txt", "w") as file:
    file.write("changed")
os.mkdir("made")
print(json.dumps({
    "ids": [*os.getresuid(), *os.getresgid()],
    "caps": [v.strip() for k, v in status.items() if k.startswith("Cap")],
    "new": status["NoNewPrivs"].strip(),
    "outside": open("/proc/self/uid_map").read().split(),
    "back": back,
    "nice": resource.getrlimit(resource.RLIMIT_NICE),
    "rtprio": resource.getrlimit(resource.RLIMIT_RTPRIO),
}))
"""
    told = await said(sandbox, python(code, tree=tree))
    assert isinstance(told, dict)
    assert told["ids"] == [65534] * 6
    assert set(told["caps"]) == {"0" * 16} or os.geteuid() != 0
    assert (told["new"], told["back"]) == ("1", [])
    assert (told["nice"], told["rtprio"]) == ([0, 0], [0, 0])
    if os.geteuid() == 0:
        assert told["outside"] == ["0", "0", str(2**32 - 1)], "it is somebody else on the host"
        assert sandbox.level.drop == "uid 65534"
    else:
        assert sandbox.level.drop == "user"


async def test_nothing_starts_as_root_that_the_tree_has_a_say_in(
    sandbox: Sandbox, make: Make, tree: Path
) -> None:
    """A configured PATH or a preloaded library of the tree must meet a run without rights."""
    for name in ("sh", "env", "chown", "setpriv"):
        script = tree / "bin" / name
        script.parent.mkdir(exist_ok=True)
        script.write_text(f'#!/bin/sh\n/usr/bin/id -u >>{TREE}/seen\nexec /usr/bin/{name} "$@"\n')
        script.chmod(0o755)
    entrust(tree)
    env = {"PATH": f"{TREE}/bin:/usr/bin:/bin", "ENV": f"{TREE}/bin/sh"}
    script = "setpriv --version; /usr/bin/env; cat seen"
    outcome = await sandbox.run(make("sh", "-c", script, tree=tree, env=env))
    assert outcome.ok, outcome
    ids = {line for line in outcome.stdout.split(b"\n") if line.isdigit()}
    assert ids == {b"65534"}


async def test_standard_streams_can_be_opened_by_name(sandbox: Sandbox, make: Make) -> None:
    script = "cat /dev/stdin >/dev/stdout; echo error >/dev/stderr"
    outcome = await sandbox.run(make("sh", "-c", script, stdin=b"in\n"))
    assert (outcome.stdout, outcome.stderr) == (b"in\n", b"error\n"), outcome


async def test_a_program_whose_name_has_an_equals_sign_runs(
    sandbox: Sandbox, make: Make, tree: Path
) -> None:
    (tree / "a=b").write_text("#!/bin/sh\necho it ran $1\n")
    (tree / "a=b").chmod(0o755)
    outcome = await sandbox.run(make(f"{TREE}/a=b", "well", tree=tree))
    assert outcome.stdout == b"it ran well\n", outcome


@pytest.mark.skipif(os.geteuid() != 0, reason="others' files matter only to those who drop")
async def test_files_that_nobody_can_read_are_named(
    sandbox: Sandbox, make: Make, tmp_path: Path
) -> None:
    harness = tmp_path / "harness"
    harness.mkdir()
    (harness / "inside.py").write_text("print('read')")
    harness.chmod(0o700)
    command = make("cat", f"{HARNESS}/inside.py", harness=harness)
    with pytest.raises(ConfigError, match=rf"cannot read {harness} \(mode drwx------\)") as caught:
        await sandbox.run(command)
    assert f"chmod -R o+rX {harness}" in caught.value.hint
    harness.chmod(0o755)
    assert (await sandbox.run(command)).ok


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops rights")
@pytest.mark.parametrize("sandbox", ["wheel"], indirect=True)
async def test_a_drop_that_fails_is_a_fault(sandbox: Sandbox, make: Make, tree: Path) -> None:
    binary = sandbox._binary
    assert binary is not None
    assert binary.step is not None
    slow = msgspec.structs.replace(binary.step, chown="/bin/sleep 60 #")
    sandbox._binary = msgspec.structs.replace(binary, step=slow, overlay=True)
    outcome = await sandbox.run(make("true", tree=tree, wall=1))
    assert outcome.ending is Ending.FAULT, "nothing of the command has run yet"
    for broken in ("/bin/false", "/usr/bin/missing"):
        step = msgspec.structs.replace(binary.step, setpriv=broken)
        sandbox._binary = msgspec.structs.replace(binary, step=step)
        outcome = await sandbox.run(make("true"))
        assert outcome.ending is Ending.FAULT
        assert "could not be dropped" in outcome.text


@pytest.mark.skipif(os.geteuid() != 0, reason="only root drops rights")
async def test_without_the_means_to_drop_root_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drop, "_BINS", str(tmp_path))
    with pytest.raises(SandboxUnavailableError, match=r"setpriv (is missing|and)") as caught:
        await Sandbox.open(Limits(), tmp_path)
    assert "apt install coreutils util-linux" in caught.value.hint


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give to others")
async def test_entrust_follows_no_link(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("mine")
    folder = tmp_path / "given" / "deep"
    folder.mkdir(parents=True)
    (folder / "link").symlink_to(tmp_path / "mine")
    entrust(tmp_path / "given")
    assert (tmp_path / "mine").stat().st_uid == 0
    assert (folder.stat().st_uid, (folder / "link").lstat().st_uid) == (65534, 65534)


async def test_no_privileges_and_no_stray_descriptors(sandbox: Sandbox, python: Make) -> None:
    held = os.open("/etc/passwd", os.O_RDONLY)
    os.set_inheritable(held, True)
    try:
        code = """
import os, json
status = dict(line.split(":", 1) for line in open("/proc/self/status"))
fds = sorted(int(fd) for fd in os.listdir("/proc/self/fd"))
print(json.dumps([os.getuid(), status["CapEff"].strip(), status["NoNewPrivs"].strip(), fds[:-1]]))
"""
        uid, caps, bound, fds = await said(sandbox, python(code, result=True))  # type: ignore[misc] # JSON
    finally:
        os.close(held)
    assert (uid, caps, bound) == (65534, "0000000000000000", "1")
    assert fds == [0, 1, 2, 3]


async def test_interpreter_with_its_packages_runs_inside(sandbox: Sandbox, make: Make) -> None:
    outcome = await sandbox.run(make(sys.executable, "-m", "pytest", "--version"))
    assert outcome.ok, outcome


async def test_result_channel_and_stdin(sandbox: Sandbox, python: Make) -> None:
    code = "import os, sys; os.write(3, sys.stdin.buffer.read()[::-1]); print('public')"
    outcome = await sandbox.run(python(code, stdin=b"abc", result=True))
    assert (outcome.result, outcome.result_whole, outcome.stdout) == (b"cba", True, b"public\n")


async def test_killing_everything_inside_does_not_reach_out(sandbox: Sandbox, python: Make) -> None:
    outcome = await sandbox.run(python("import os; os.kill(-1, 9)"))
    assert outcome.ending in (Ending.SIGNALLED, Ending.EXITED)
    assert (await sandbox.run(python("print('alive')"))).stdout == b"alive\n"
    assert threading.main_thread().is_alive()


async def test_the_settings_of_the_kernel_cannot_be_written(sandbox: Sandbox, python: Make) -> None:
    """Opening is enough to tell, and changes nothing where it succeeds."""
    code = """
import os
opened, tried = [], 0
for folder, _, files in os.walk("/proc/sys"):
    for name in files:
        tried += 1
        try:
            os.close(os.open(os.path.join(folder, name), os.O_WRONLY))
        except OSError:
            continue
        opened.append(os.path.join(folder, name))
try:
    os.close(os.open("/proc/sysrq-trigger", os.O_WRONLY))
    opened.append("/proc/sysrq-trigger")
except OSError:
    pass
assert tried > 100, tried
print(json.dumps(opened))
"""
    opened = await said(sandbox, python(f"import json{code}"))
    if os.geteuid() != 0:
        # The queues' limits are those of the namespace that the run's own user has made.
        assert isinstance(opened, list)
        kernel = ("msg", "sem", "shm", "auto_msgmni", "ns_last_pid", "pid_max")
        own = ("/proc/sys/fs/mqueue/", *(f"/proc/sys/kernel/{name}" for name in kernel))
        opened = [path for path in opened if not path.startswith(own)]
    assert opened == []
