"""Dropping root's rights for real, where the engine is root.

A user namespace made by root maps its user to root outside: files that root alone may write, such
as those under `/proc/sys`, see root. So an engine that is root makes none. Bubblewrap then runs as
root with four capabilities, and the first thing inside gives them up for good: another user, no
groups, no capability to regain, no new privileges. Only then, and in an environment that begins
there, does anything start that a candidate has a say in: until then a preloaded library or a PATH
into the tree would run as root.

An engine that is an ordinary user keeps the user namespace, where it is nobody else than itself.
"""

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable
from pathlib import Path

import msgspec

from ouroboros.errors import ConfigError

USER = 65534
"""The user and group as whom runs run; the same number that a user namespace shows."""

READY_FD = 6
"""Where the last step before the command says that the rights are gone; closed before it starts."""

READY = b"ready\n"

CAPABILITIES = ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP", "CAP_CHOWN")
"""What the step itself needs, and gives up."""

_BINS = "/usr/bin:/bin:/usr/sbin:/sbin"
_PACKAGES = {"setpriv": "util-linux", "chown": "coreutils", "env": "coreutils"}
_CODE = (".py", ".pyc", ".pth", ".zip", ".so")


class Drop(msgspec.Struct, frozen=True, kw_only=True):
    """The programs of the step, by absolute path: no PATH is asked while we are root."""

    setpriv: str
    chown: str
    env: str

    def wrap(
        self, argv: list[str], env: dict[str, str], *, own: str = "", ready: int = READY_FD
    ) -> list[str]:
        """Wrap a command; what wraps it must start with an empty environment.

        Args:
            argv: the program, found on the PATH of `env`, and its arguments.
            env: its whole environment.
            own: a folder inside whose top belongs to root and must be the run's.
            ready: descriptor for `READY`.
        """
        begin = f"{self.chown} {USER}:{USER} {own} && " if own else ""
        last = f'echo ready >&{ready}; exec {ready}>&-; exec {self.env} -i "$@"'
        if "=" in argv[0]:  # env would take it for a variable
            argv = ["/bin/sh", "-c", 'exec "$@"', "sh", *argv]
        return [
            *("/bin/sh", "-c", f'{begin}exec "$@"', "sh"),
            *(self.setpriv, "--reuid", str(USER), "--regid", str(USER), "--clear-groups"),
            *("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"),
            *("/bin/sh", "-c", last, "sh"),
            *(f"{name}={value}" for name, value in env.items()),
            *argv,
        ]


def needed() -> bool:
    """Whether we are root: on this machine, or in a container that has the user we drop to."""
    return os.geteuid() == 0 and _known("/proc/self/uid_map") and _known("/proc/self/gid_map")


def find() -> Drop | str:
    """The programs of the step, or what is missing and how to get it."""
    found = {name: shutil.which(name, path=_BINS) for name in _PACKAGES}
    missing = [name for name, path in found.items() if path is None]
    if missing:
        packages = " ".join(sorted({_PACKAGES[name] for name in missing}))
        return (
            f"an engine that is root must drop its rights, and {' and '.join(missing)} "
            f"is missing ('apt install {packages}'); or run it as an ordinary user"
        )
    return msgspec.convert(found, Drop)


def lend(fd: int) -> None:
    """Let the run open one of its own pipes again by its name, as `/dev/stdout`."""
    if needed():
        os.fchown(fd, USER, USER)


def entrust(folder: Path) -> None:
    """Give a folder with all that is in it to the user as whom runs run. Blocking.

    Links are not followed. Does nothing where the engine is an ordinary user, as its runs are.
    """
    if not needed():
        return
    waiting = [os.fspath(folder)]
    while waiting:
        where = waiting.pop()
        with os.scandir(where) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                else:
                    os.chown(entry.path, USER, USER, follow_symlinks=False)
        os.chown(where, USER, USER, follow_symlinks=False)


def check_readable(python: Path, folders: Iterable[Path], shown: Iterable[Path]) -> None:
    """Refuse what the run could not read once it is nobody: else that would look like its failure.

    Blocking, some microseconds a file. Of an installation only folders and code are looked at,
    since a file that nobody reads does no harm.

    Args:
        python: the interpreter.
        folders: its installation.
        shown: files and folders that are looked at by themselves.

    Raises:
        ConfigError: names the file, its mode and the fix.
    """
    if not needed():
        return
    for path in (python, *shown):
        with contextlib.suppress(OSError):  # missing: that speaks for itself inside
            _demand(str(path), path.stat(), path)
    for folder in folders:
        for entry in _code_below(folder):
            with contextlib.suppress(OSError):
                _demand(entry.path, entry.stat(follow_symlinks=False), folder)


def _code_below(folder: Path) -> Iterable[os.DirEntry[str]]:
    waiting = [os.fspath(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(entry.path)
                    yield entry
                elif entry.name.endswith(_CODE) and not entry.is_symlink():
                    yield entry


def _demand(path: str, found: os.stat_result, root: Path) -> None:
    wanted = 0o5 if stat.S_ISDIR(found.st_mode) else 0o4
    shift = 6 if found.st_uid == USER else 3 if found.st_gid == USER else 0
    if found.st_mode >> shift & wanted == wanted:
        return
    raise ConfigError(
        f"Runs of an engine that is root run as user {USER}, who cannot read {path} "
        f"(mode {stat.filemode(found.st_mode)}).",
        hint=f"Allow it with 'chmod -R o+rX {root}', or run the engine as an ordinary user.",
    )


def _known(table: str) -> bool:
    """Whether our own namespace has the user at all; that of `unshare -r` has only root."""
    try:
        rows = [list(map(int, line.split())) for line in Path(table).read_text().splitlines()]
    except OSError:
        return False
    return any(first <= USER < first + count for first, _, count in rows)
