"""Where state lives, and how a folder becomes a target. No git binary is needed to find out.

- `$XDG_STATE_HOME/ouroboros/<target-id>/`: the ledger, evidence, tree cache, lock.
- `$XDG_RUNTIME_DIR/ouroboros/<target-id>.sock`: the socket, 0600 in a 0700 folder. Without
  XDG_RUNTIME_DIR (cron, containers) the state folder serves, which is 0700 as well.

The target id is the repository folder's name plus a hash of its real path, so that two clones
never share a ledger and a person can still tell which is which.
"""

import hashlib
import os
import re
from pathlib import Path

import msgspec

from ouroboros.errors import TargetError

_SOCKET_PATH_LIMIT = 100
"""sockaddr_un holds 108 bytes on Linux, 104 on macOS."""


class Paths(msgspec.Struct, frozen=True, kw_only=True):
    """All places of one target outside of its repository."""

    target: str
    root: Path
    state: Path
    socket: Path

    @property
    def ledger(self) -> Path:
        """The SQLite file."""
        return self.state / "ledger.sqlite"

    @property
    def evidence(self) -> Path:
        """Folder of content-addressed payloads."""
        return self.state / "evidence"

    @property
    def cache(self) -> Path:
        """Folder of exported trees and other things that can be deleted at any time."""
        return self.state / "cache"

    @property
    def journal(self) -> Path:
        """Folder of the pairs of evaluations that are not complete."""
        return self.state / "journal"

    @property
    def cookie(self) -> Path:
        """The secret of this run for the owner's programs, where a port is open."""
        return self.state / "cookie"

    @property
    def lock(self) -> Path:
        """Locked (flock) by the one engine of this target."""
        return self.state / "engine.lock"


def find_root(start: Path) -> Path:
    """Return the main work tree of the repository around `start`.

    A linked worktree leads to its main repository, so that a target has one engine.

    Raises:
        TargetError: no repository around, or a bare one.
    """
    start = start.resolve()
    for folder in (start, *start.parents):
        mark = folder / ".git"
        if mark.is_dir():
            return folder
        if mark.is_file():
            return _main_of_worktree(mark) or folder
        if (folder / "HEAD").is_file() and (folder / "objects").is_dir():
            raise TargetError(
                f"{folder} is a bare repository.",
                hint="Point Ouroboros at a clone with a work tree.",
            )
    raise TargetError(
        f"{start} is not inside a git repository.",
        hint="Change into one, or give it with --repo PATH ('git init' makes one).",
    )


def _main_of_worktree(mark: Path) -> Path | None:
    """Return the main work tree that a linked worktree's `.git` file points to.

    The file may hold a path relative to itself (git 2.48, `worktree.useRelativePaths`).
    """
    try:
        text = os.fsdecode(mark.read_bytes())
    except OSError as error:
        raise TargetError(
            f"{mark} cannot be read: {error.strerror}.", hint="Correct its permissions."
        ) from error
    match = re.fullmatch(r"gitdir: (.+?/\.git)/worktrees/[^/]+\s*", text)
    return (mark.parent / match[1]).resolve().parent if match else None


def target_id(root: Path) -> str:
    """Return `<folder name>-<12 hex digits>` for a repository's root."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", root.name)[:40].strip("-.") or "target"
    return f"{name}-{hashlib.sha256(os.fsencode(root)).hexdigest()[:12]}"


def paths_for(root: Path, environ: "os._Environ[str] | dict[str, str]") -> Paths:
    """Return all places for the repository at `root` (as `find_root` returns it)."""
    name = target_id(root)
    home = Path(environ.get("HOME") or "~").expanduser()
    state = Path(environ.get("XDG_STATE_HOME") or home / ".local" / "state") / "ouroboros" / name
    runtime = environ.get("XDG_RUNTIME_DIR")
    socket = Path(runtime) / "ouroboros" / f"{name}.sock" if runtime else state / "engine.sock"
    if len(os.fsencode(socket)) > _SOCKET_PATH_LIMIT:
        short = hashlib.sha256(os.fsencode(state)).hexdigest()[:16]
        socket = Path(f"/tmp/ouroboros-{os.getuid()}") / f"{short}.sock"  # noqa: S108 - made 0700
    return Paths(target=name, root=root, state=state, socket=socket)


def make_private(folder: Path) -> None:
    """Create a folder as 0700, or check that an existing one is ours alone.

    Raises:
        TargetError: it belongs to somebody else or others may enter it.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    info = folder.lstat()
    if info.st_uid != os.getuid() or info.st_mode & 0o077:
        raise TargetError(
            f"{folder} must belong to you alone (mode 0700), found owner {info.st_uid} and mode "
            f"{info.st_mode & 0o777:04o}.",
            hint=f"Run 'chmod 700 {folder}' if it is yours, else remove it.",
        )
