"""Landlock: the rung below bubblewrap, for machines that allow no namespaces. Opt-in only.

What contains such a run: a Landlock ruleset (files it may open, no TCP, signals and abstract
sockets within the run), a filter of system calls (no sockets but pairs, no System V objects, ...),
no new privileges, rlimits, control groups where there are any, and a warden that ends its
processes. An engine that is root drops to user 65534 first. Version 6 (Linux 6.12) is needed.

What is weaker than under bubblewrap, for everybody who decides on it:

- The host's paths are what they are: a run cannot open what it was not given, but it can ask
  whether a path exists, how large it is, where a link points to (`stat`, `readlink`).
- Process numbers of the host can be told from free ones (an error says which), and the host's
  names (kernel, host name, mount points' sizes) are visible. `/etc/passwd` is the host's.
- There is no private `/tmp`, `/dev/shm` or `/proc`: programs that insist on one of them fail,
  among them most of `multiprocessing`. What is written to the tree and to the home folder lies on
  the disk until the run has ended; the launcher looks at its size four times a second.
- There is no private loopback: a test that opens a server on localhost fails.
- Landlock does not restrict changes of a file's mode, owner, times and attributes, and the user of
  runs has other files (the trees of other runs; as an ordinary user, all of the engine's own). So
  the filter refuses them all, to `os.chmod`, `os.utime`, `shutil.copy` alike.
- Without control groups memory is watched by the launcher, and processes are counted per user.
- As root, where folders that the run needs lie in one that only root may enter (`/root`), the run
  keeps CAP_DAC_READ_SEARCH, so that it is Landlock alone that bounds what it can read; the level
  says so.
"""

import base64
import ctypes
import os
import shutil
import stat
import subprocess
import sys
from pathlib import Path

import msgspec

from ouroboros.errors import ConfigError
from ouroboros.model.evaluation import Containment, SandboxLevel
from ouroboros.sandbox import drop, seccomp
from ouroboros.sandbox.command import Command
from ouroboros.sandbox.root import LINKS, interpreter

_CREATE_RULESET = 444
_ASK_VERSION = 1
_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_SOCK, _MAKE_BLOCK = 1 << 6, 1 << 9, 1 << 11
_TRUNCATE, _IOCTL_DEV = 1 << 14, 1 << 15
_FILES = (1 << 16) - 1
"""All rights to files up to version 5."""
_NET = 0b11
"""Binding and connecting TCP, of version 4."""
_SCOPED = 0b11
"""Abstract unix sockets and signals stay within the run; of version 6."""
_READ = _EXECUTE | _READ_FILE | _READ_DIR
_NEVER = _MAKE_CHAR | _MAKE_BLOCK | _MAKE_SOCK | _IOCTL_DEV
_OF_A_FILE = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
_DEVICES = (
    ("null", _READ_FILE | _WRITE_FILE),
    ("zero", _READ_FILE | _WRITE_FILE),
    ("full", _READ_FILE | _WRITE_FILE),
    ("random", _READ_FILE),
    ("urandom", _READ_FILE),
)
_ETC = (
    *("ld.so.cache", "localtime", "mime.types", "services", "protocols"),
    *("passwd", "group", "hosts", "nsswitch.conf"),
)
_LEAST = 6
"""Signals: below, a run could end the engine, or as nobody stop the run it is compared with."""
_PROBE_SECONDS = 20
_WARDEN = Path(__file__).with_name("warden.py")
_PACKAGE = Path(__file__).parents[1]


class Landlock(msgspec.Struct, frozen=True, kw_only=True):
    """A working rung. `search`: the run keeps the right to pass folders that are root's alone."""

    abi: int
    root: bool
    search: bool
    program: bytes

    @property
    def rights(self) -> str:
        """What the level says of the run's rights."""
        if not self.root:
            return "user"
        return f"uid {drop.USER}, CAP_DAC_READ_SEARCH" if self.search else f"uid {drop.USER}"


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a run is confined to, as the warden understands it."""

    files: int
    net: int
    scoped: int
    paths: list[tuple[str, int]]
    uid: int
    search: bool
    program: str


def abi() -> int:
    """The version of Landlock that the running kernel speaks; 0 where it has none."""
    if not sys.platform.startswith("linux"):
        return 0
    libc = ctypes.CDLL(None, use_errno=True)
    version = libc.syscall(ctypes.c_long(_CREATE_RULESET), None, ctypes.c_long(0), _ASK_VERSION)
    return max(0, int(version))


def shortage(version: int) -> str:
    """Why a machine with this version cannot use the rung; empty where it can be tried."""
    if version == 0:
        return "the kernel has no Landlock (it came with Linux 5.13 and may be switched off)"
    if version < _LEAST:
        return (
            f"Landlock's version here is {version}, and {_LEAST} (Linux 6.12) is needed so that no "
            "run can signal the engine or another run"
        )
    if seccomp.machine() is None:
        return f"there is no filter of system calls for {os.uname().machine}"
    return ""


def missing() -> str:
    """Why this machine cannot use the rung at all; empty where it can be tried."""
    return shortage(abi())


def probe(scratch: Path) -> Landlock | str:
    """Confine a process for real, and let it try; or why that does not work. Blocking.

    Args:
        scratch: where runs will have their folders.
    """
    version, root = abi(), drop.needed()
    if problem := shortage(version):
        return problem
    arch = seccomp.machine()
    assert arch is not None, "shortage() has asked"  # noqa: S101 - for the type checker
    python = Path(sys.executable)
    try:
        installed = interpreter(python).folders
    except ConfigError as error:
        return error.message
    place = scratch / "landlock-probe"
    place.mkdir()
    if root:
        scratch.chmod(0o711)  # to be passed, not to be read
    shown = all(map(_open_to_all, (*installed, _PACKAGE)))
    rung = Landlock(
        abi=version,
        root=root,
        search=root and not (shown and _passable(place)),
        program=seccomp.program(seccomp.Flavour.LANDLOCK, arch),
    )
    try:
        give(place, rung)
        return _try(rung, python, place) or rung
    finally:
        shutil.rmtree(place, ignore_errors=True)


_ATTEMPTS = """
import os, sys
def refused(attempt):
    try:
        attempt()
    except PermissionError:
        return
    print("not refused:", attempt.__name__)
    raise SystemExit(1)
def read(): os.listdir("/")
def write(): open("/ouroboros-probe", "w")
def signal(): os.kill(os.getppid(), 0)
def namespace():
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x10000000): raise OSError(ctypes.get_errno(), "")
for attempt in (read, write, signal, namespace):
    refused(attempt)
with open("probe", "w") as file:
    file.write("x")
print("held", os.getuid())
"""


def _try(rung: Landlock, python: Path, place: Path) -> str:
    order = msgspec.json.encode(_order(rung, interpreter(python).folders, [place])).decode()
    line = [sys.executable, "-I", "-S", str(_WARDEN), order]
    try:
        ran = subprocess.run(
            [*line, str(python), "-I", "-S", "-c", _ATTEMPTS],
            capture_output=True,
            timeout=_PROBE_SECONDS,
            env={},
            cwd=place,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    uid = drop.USER if rung.root else os.getuid()
    if ran.returncode == 0 and ran.stdout == b"held %d\n" % uid:
        return ""
    said = (ran.stdout + ran.stderr).decode(errors="replace").strip().splitlines()
    return said[-1] if said else f"exit code {ran.returncode}"


def order(rung: Landlock, command: Command, writable: list[Path]) -> Order:
    """What one run is confined to.

    Raises:
        ConfigError: something that the run needs lies where its user may not go.
    """
    shown = [*interpreter(Path(command.python)).folders, *command.read_only]
    shown += [command.harness] if command.harness is not None else []
    if rung.root and not rung.search:
        for path in shown:
            if path.exists() and not _open_to_all(path):
                raise ConfigError(
                    f"{path} is closed to user {drop.USER}, as whom candidates run under Landlock.",
                    hint=f"Open it and the folders above it ('chmod o+rx'), or move {path} to a "
                    "place that everybody may enter, such as /usr/local or /opt.",
                )
    return _order(rung, tuple(shown), writable)


def _order(rung: Landlock, shown: tuple[Path, ...], writable: list[Path]) -> Order:
    links = [path for name in LINKS if (path := Path("/", name)).is_dir()]
    etc = [path for name in _ETC if (path := Path("/etc", name)).is_file()]
    # Debian's interpreter reads its sitecustomize through a link, and complains if it cannot.
    etc += [path for path in Path("/etc").glob("python3*/sitecustomize.py") if path.is_file()]
    etc += [path for path in (Path("/etc/alternatives"),) if path.is_dir()]
    paths = [(path, _READ) for path in (Path("/usr"), *links, *etc, *shown)]
    paths += [(path, _FILES & ~_NEVER) for path in writable]
    paths += [(Path("/dev", name), access) for name, access in _DEVICES]
    return Order(
        files=_FILES,
        net=_NET,
        scoped=_SCOPED,
        paths=[(str(p), a if p.is_dir() else a & _OF_A_FILE) for p, a in paths],
        uid=drop.USER if rung.root else -1,
        search=rung.search,
        program=base64.b64encode(rung.program).decode(),
    )


def give(folder: Path, rung: Landlock) -> None:
    """Hand a folder and all that is in it over to the run's user. Blocking."""
    folder.chmod(0o700)
    if rung.root:
        drop.entrust(folder)


def bring_back(copy: Path, tree: Path) -> None:
    """Take over the files that a step has made or changed in its copy of a tree. Blocking."""
    for parent, _, names in os.walk(copy):
        folder = tree / Path(parent).relative_to(copy)
        folder.mkdir(exist_ok=True)
        for name in names:
            made, kept = Path(parent, name), folder / name
            if not made.is_symlink() and not _alike(made, kept):
                shutil.copy2(made, kept, follow_symlinks=False)


def _alike(made: Path, kept: Path) -> bool:
    if not kept.exists():
        return False
    one, other = made.stat(), kept.stat()
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


def level(rung: Landlock, limits: str) -> SandboxLevel:
    """What the verdicts say about runs on this rung."""
    return SandboxLevel(
        backend=Containment.LANDLOCK.value,
        version=f"ABI {rung.abi}",
        limits=limits,
        drop=rung.rights,
        seccomp=True,
    )


def processes_of_user(rung: Landlock) -> int:
    """Processes and threads that count towards the run's user already."""
    uid = drop.USER if rung.root else os.getuid()
    count = 0
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                if entry.stat().st_uid == uid:
                    count += len(os.listdir(f"/proc/{entry.name}/task"))  # noqa: PTH208 - faster
            except OSError:
                continue  # it ended while we looked
    return count


def _open_to_all(path: Path) -> bool:
    """Whether any user may pass through the folders above a path and read what is there."""
    real = path.resolve()
    wanted = stat.S_IROTH | (stat.S_IXOTH if real.is_dir() else 0)
    return real.stat().st_mode & wanted == wanted and _passable(real)


def _passable(path: Path) -> bool:
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents)
