"""What is laid out on the host for attempts to escape, and whether anything took it.

A promise such as "the host's sockets cannot be reached" is only worth saying where there is a
socket that would have answered. So a secret is planted where an engine keeps such things, a
process waits to be killed, sockets listen, a descriptor is left inheritable; afterwards all of
it is looked at from this side, whatever those inside reported.
"""

import contextlib
import ctypes
import os
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ouroboros.sandbox.inside import _ouroboros_calls as calls

VARIABLE = "OUROBOROS_BAIT"
_OPTIONAL = (
    *("bpf", "perf_event_open", "userfaultfd", "io_uring_setup", "keyctl", "fsopen", "open_tree"),
    *("mount_setattr", "move_mount", "pidfd_getfd", "kcmp", "clone3", "open_by_handle_at"),
)
_FAMILIES = {"vsock": 40, "alg": 38, "packet": 17, "bluetooth": 31, "can": 29, "key": 15, "xdp": 44}
_ENOSYS = 38
_EAFNOSUPPORT = (97, 93, 94)
_IPC_CREATE = 0o1000 | 0o666
_IPC_REMOVE = 0
_HOST = ("/", "/usr", "/usr/bin", "/usr/lib", "/etc", "/var", "/var/tmp", "/opt", "/root", "/run")  # noqa: S108 - names
_VICTIM = "import sys; sys.stdin.read()"


class Bait:
    """Everything that is laid out. Use `lay`."""

    def __init__(self, folder: Path, places: Sequence[Path], home: Path) -> None:
        self.mark = f"ouroboros-escape-{secrets.token_hex(8)}"
        self.secret = secrets.token_hex(16)
        self.tree = folder / "tree"
        self._folder = folder
        self._home = home
        self._planted: list[Path] = []
        self._sockets: dict[str, socket.socket] = {}
        self._segment = 0
        self._victim = self._start_victim()
        self._stack = contextlib.ExitStack()
        self._stack.callback(self._end_victim)
        self._plant(places)
        self._listen()

    # --- laying out ---------------------------------------------------------------------------

    def _plant(self, places: Sequence[Path]) -> None:
        self.tree.mkdir()
        (self.tree / "kept.txt").write_text("kept\n")
        # A run may be another user than we are, and is to be able to write in its copy.
        self.tree.chmod(0o777)
        (self.tree / "kept.txt").chmod(0o666)
        for place in (self._folder, *places, self._home):
            path = place / f".{self.mark}"
            with contextlib.suppress(OSError):  # a place that is not ours to write to
                path.write_text(self.secret)
                path.chmod(0o644)
                self._planted.append(path)
                self._stack.callback(path.unlink, missing_ok=True)
        self.shm = Path("/dev/shm", f".{self.mark}")  # noqa: S108 - the host's, on purpose
        with contextlib.suppress(OSError):
            self.shm.write_text(self.secret)
            self._stack.callback(self.shm.unlink, missing_ok=True)
        held = os.open(self._planted[0], os.O_RDONLY)
        os.set_inheritable(held, True)
        self._stack.callback(os.close, held)
        os.environ[VARIABLE] = self.secret
        self._stack.callback(os.environ.pop, VARIABLE, None)

    def _start_victim(self) -> "subprocess.Popen[bytes]":
        return subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _VICTIM, f"victim-{self.mark}"],
            stdin=subprocess.PIPE,
            env={**os.environ, VARIABLE: self.secret},
            start_new_session=True,
        )

    def _end_victim(self) -> None:
        self._victim.kill()
        self._victim.communicate()

    def _listen(self) -> None:
        stream, datagram = socket.SOCK_STREAM, socket.SOCK_DGRAM
        self._bind("tcp", socket.AF_INET, stream, ("127.0.0.1", 0))
        self._bind("udp", socket.AF_INET, datagram, ("127.0.0.1", 0))
        self.addresses = ["127.0.0.1"]
        with contextlib.suppress(OSError):  # no IPv6 here
            self._bind("tcp6", socket.AF_INET6, stream, ("::1", self._port("tcp")))
            self._bind("udp6", socket.AF_INET6, datagram, ("::1", self._port("udp")))
            self.addresses.append("::1")
        self._bind("unix", socket.AF_UNIX, stream, str(self._folder / "host.sock"))
        (self._folder / "host.sock").chmod(0o777)
        self._bind("abstract", socket.AF_UNIX, stream, f"\0{self.mark}")
        self._bind("datagram", socket.AF_UNIX, datagram, f"\0{self.mark}-datagram")
        libc = ctypes.CDLL(None, use_errno=True)
        key = secrets.randbelow(1 << 30) + 1
        if hasattr(libc, "shmget"):
            found = libc.shmget(key, 4096, _IPC_CREATE)
            if found != -1:
                self._segment = key
                self._stack.callback(libc.shmctl, found, _IPC_REMOVE, None)

    def _bind(self, name: str, family: int, kind: int, address: Any) -> None:
        made = socket.socket(family, kind)
        self._stack.callback(made.close)
        made.bind(address)
        if kind == socket.SOCK_STREAM:
            made.listen()
        made.setblocking(False)
        self._sockets[name] = made

    def _port(self, name: str) -> int:
        return int(self._sockets[name].getsockname()[1])

    def close(self) -> None:
        """Take everything away again."""
        self._stack.close()
        for path in self.left_files():
            path.unlink(missing_ok=True)

    # --- what those inside are told -------------------------------------------------------------

    def task(self) -> dict[str, Any]:
        """Return what the attempts need to know."""
        return {
            "mark": self.mark,
            "victim_mark": f"victim-{self.mark}",
            "victim": self._victim.pid,
            "secret": self.secret,
            "secrets": [str(p) for p in self._planted],
            "folders": [str(p.parent) for p in self._planted],
            "home": str(self._home),
            "shm": str(self.shm) if self.shm.exists() else "",
            "tcp": self._port("tcp"),
            "udp": self._port("udp"),
            "addresses": self.addresses,
            "socket": str(self._folder / "host.sock"),
            "abstract": self.mark,
            "abstract_datagram": f"{self.mark}-datagram",
            "segment": self._segment,
            "hostname": socket.gethostname(),
            "route": _has_route(),
            "terminal": _has_terminal(),
            "families": _families(),
            "missing": _missing(),
            "namespaces": {
                name: str(Path("/proc/self/ns", name).readlink())
                for name in ("mnt", "pid", "net", "ipc", "uts")
            },
        }

    # --- what is seen afterwards ----------------------------------------------------------------

    def contacts(self) -> list[str]:
        """Names of the sockets that somebody reached."""
        reached = []
        for name, made in self._sockets.items():
            with contextlib.suppress(BlockingIOError):
                if made.type == socket.SOCK_STREAM:
                    made.accept()[0].close()
                else:
                    made.recv(64)
                reached.append(name)
        return reached

    def victim_lives(self) -> bool:
        """Whether the process that waits to be killed is there."""
        return self._victim.poll() is None

    def left_files(self) -> list[Path]:
        """Files that attempts left on the host."""
        places = {*map(Path, _HOST), Path("/tmp"), Path("/dev/shm"), self._home, self.tree}  # noqa: S108 - the host's
        places |= {Path(sys.prefix), Path(sys.base_prefix), Path(os.__file__).parent}
        places |= {path.parent for path in self._planted}
        return [path for place in sorted(places) if _there(path := place / self.mark)]

    def tree_kept(self) -> bool:
        """Whether the tree is as it was laid out."""
        names = sorted(path.name for path in self.tree.iterdir())
        return names == ["kept.txt"] and (self.tree / "kept.txt").read_text() == "kept\n"

    def processes(self) -> list[int]:
        """Processes of attempts that are still there."""
        return marked(self.mark)


def marked(mark: str) -> list[int]:
    """Return the processes that have the mark as an argument."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                if mark.encode() in (entry / "cmdline").read_bytes().split(b"\0"):
                    found.append(int(entry.name))
    return found


@contextmanager
def lay(places: Sequence[Path], home: Path) -> Iterator[Bait]:
    """Lay out the bait, and take it away at the end.

    Args:
        places: folders where an engine keeps things; in each a secret is planted.
        home: of whoever runs the engine.

    Raises:
        OSError: it cannot be laid out.
    """
    folder = Path(tempfile.mkdtemp(prefix="ouroboros-bait-"))
    # Open to everybody: nothing but the sandbox shall keep those inside away from it.
    folder.chmod(0o755)
    try:
        with contextlib.closing(Bait(folder, places, home)) as bait:
            yield bait
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _there(path: Path) -> bool:
    try:
        return path.exists()
    except OSError:
        return False  # a folder that we may not enter


def _has_route() -> bool:
    """Whether this machine would know where to send a packet for the internet; sends none."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
            asked.connect(("1.1.1.1", 53))
    except OSError:
        return False
    return True


def _has_terminal() -> bool:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        return False
    return True


def _families() -> list[str]:
    """Kinds of sockets that this kernel knows, whether we may make them or not."""
    known = []
    for name, family in _FAMILIES.items():
        kinds = (socket.SOCK_STREAM, socket.SOCK_SEQPACKET, socket.SOCK_RAW, socket.SOCK_DGRAM)
        errors = [_error_of(family, kind) for kind in kinds]
        if any(error not in _EAFNOSUPPORT for error in errors):
            known.append(name)
    return known


def _error_of(family: int, kind: int) -> int:
    try:
        socket.socket(family, kind).close()
    except OSError as error:
        return error.errno or 0
    return 0


def _missing() -> list[str]:
    """Calls that this kernel does not have, filter or no filter; asked with senseless arguments."""
    return [
        name
        for name in _OPTIONAL
        if calls.number(name) < 0 or calls.call(name, *[-1] * 5)[1] == _ENOSYS
    ]
