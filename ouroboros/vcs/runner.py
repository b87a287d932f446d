"""One way to run git: fixed arguments, a pinned environment, bytes in and out, a time limit.

Of GitPython only `Git.execute` with whole argument lists is used, where output is streamed: nearly
all of its advisories have one shape, keyword arguments that become options. A list has no such
step. Its object database is not used: a `Repo` keeps `git cat-file` children alive until closed.
Short commands, of which a promotion needs several, are started without it, which halves their cost.

Two environments:

- *isolated* (the default) for everything that works on objects and refs. Neither the system's nor
  the user's configuration is read, no hook, no file-system monitor, no network, no prompt, no
  automatic gc. `GIT_DIR` is pinned, so that a planted `.git` cannot redirect us; index and work
  tree point at places that do not exist or that are ours.
- *user* only where the user's own work tree is compared or updated. There, line endings and
  filters must behave as if the user himself had run `git pull`; hooks, monitor and network stay
  off.

`GIT_*` variables that we inherit (an engine started from a git hook has several) would redirect
every command; they are left out, and where `execute` cannot remove variables, `env -u` does.

Loose objects are written with fsync, and so are refs: git's default leaves both to the file
system, and a promotion that the ledger calls done must survive a power cut.
"""

import functools
import os
import re
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event, Timer
from typing import IO, TYPE_CHECKING, BinaryIO, NamedTuple, cast

from ouroboros.errors import GitError, MachineError
from ouroboros.model.text import safe_text

if TYPE_CHECKING:
    from subprocess import Popen

    from git.cmd import Git as Tool

MINIMUM = (2, 34)
TIMEOUT = 120.0
"""Seconds for one command on objects; far beyond what any of them needs."""
FOLLOW_TIMEOUT = 600.0
"""Seconds for a command that may run the user's filters over many files."""

IDENTITY = ("Ouroboros", "ouroboros@localhost")
"""Name and address under which every child of ours works."""
_ALWAYS = {
    "core.hooksPath": "/dev/null",
    "core.fsmonitor": "false",
    "core.splitIndex": "false",
    "core.quotePath": "false",
    "gc.auto": "0",
    "maintenance.auto": "false",
    "protocol.allow": "never",
    "submodule.recurse": "false",
    "i18n.commitEncoding": "UTF-8",
}
_ISOLATED = {
    "core.attributesFile": "/dev/null",
    "core.protectHFS": "true",
    "core.sparseCheckout": "false",
    "core.untrackedCache": "false",
    "index.sparse": "false",
}


class Output(NamedTuple):
    """How a command ended: exit status, standard output, standard error as text."""

    status: int
    out: bytes
    err: str

    @property
    def line(self) -> str:
        """The output as one line of text."""
        return self.out.decode("utf-8", "surrogateescape").rstrip("\n")


def executable() -> str:
    """Return the path of git.

    Raises:
        MachineError: there is none, or it is too old.
    """
    found = shutil.which("git")
    if found is None:
        raise MachineError(
            "git is not installed, or not on PATH.",
            hint="Install git 2.34 or newer (for instance 'apt install git') and try again.",
        )
    if version(found) < MINIMUM:
        raise MachineError(
            f"git {'.'.join(map(str, version(found)))} at {found} is too old; "
            f"{'.'.join(map(str, MINIMUM))} is the oldest that works.",
            hint="Install a newer git and try again.",
        )
    return found


@functools.cache
def version(binary: str) -> tuple[int, int]:
    """Return the version of a git binary."""
    output = _execute([binary, "--version"], cwd=Path("/"), env={})
    match = re.search(rb"(\d+)\.(\d+)", output.out)
    if output.status != 0 or match is None:
        raise MachineError(
            f"{binary} is not a working git: {safe_text(output.err, limit=300)}",
            hint="Repair the installation of git and try again.",
        )
    return int(match[1]), int(match[2])


@dataclass(frozen=True, slots=True)
class Git:
    """Where git works: the pinned repository, index and work tree, and whose configuration.

    `directory` None means discovery from `work_tree` (only to find the repository at all).
    `keep` are file descriptors that the children inherit (a lock that must outlive us).
    """

    directory: Path | None
    work_tree: Path | None = None
    index: Path | None = None
    user: bool = False
    keep: tuple[int, ...] = ()

    def at(self, *, index: Path, work_tree: Path) -> "Git":
        """Return the same repository with another index and work tree."""
        return replace(self, index=index, work_tree=work_tree)

    def run(
        self,
        *args: str,
        stdin: bytes | None = None,
        ok: Sequence[int] = (0,),
        timeout: float = TIMEOUT,
        extra: dict[str, str] | None = None,
    ) -> Output:
        """Run one command to its end.

        Args:
            *args: the sub-command and its arguments; never a string that needs splitting.
            stdin: what it reads.
            ok: exit statuses that are answers; any other raises.
            timeout: seconds after which it is killed.
            extra: further environment variables.

        Raises:
            GitError: an exit status that is no answer, or the time limit.
            MachineError: no usable git.
        """
        binary = executable()
        env = _pinned(self, binary)
        if extra:
            env = env | _encoded(extra)
        output = _execute(
            [binary, *args], cwd=self._cwd(), env=env, stdin=stdin, timeout=timeout, keep=self.keep
        )
        if output.status not in ok:
            raise failure(args, output)
        return output

    @contextmanager
    def begun(self, *args: str) -> Iterator[Callable[[], Output]]:
        """Start a command of little output, and hand out what waits for its end.

        For what others can run beside. Any exit status is an answer; it is killed if nobody waits.
        """
        binary = executable()
        process = _start(
            [binary, *args], cwd=self._cwd(), env=_pinned(self, binary), reads=False, keep=()
        )
        try:
            yield lambda: _end(process, None, TIMEOUT)
        finally:
            if process.returncode is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.communicate()

    @contextmanager
    def stream(self, *args: str, stdin: bytes) -> Iterator[IO[bytes]]:
        """Run one command and hand out its standard output while it runs.

        Raises:
            GitError: it failed, or the time limit.
        """
        env = self._environment()
        argv = _without_inherited([executable(), *args], env)
        with tempfile.TemporaryFile() as source:
            source.write(stdin)
            source.seek(0)
            handle = _tool(self._cwd()).execute(
                argv,
                istream=cast("BinaryIO", source),
                as_process=True,
                env=env,
                process_group=0,
            )
        process = cast("Popen[bytes]", handle.proc)
        out, err = cast("IO[bytes]", process.stdout), cast("IO[bytes]", process.stderr)
        watchdog = Timer(FOLLOW_TIMEOUT, process.kill)
        watchdog.start()
        try:
            yield out
            error = err.read()
            status = process.wait()
        finally:
            watchdog.cancel()
            process.kill()
            process.wait()
            out.close()
            err.close()
        if status != 0:
            raise failure(args, Output(status, b"", error.decode("utf-8", "replace")))

    def _cwd(self) -> Path:
        return self.work_tree or self.directory or Path("/")

    def _environment(self) -> dict[str, str]:
        config = dict(_ALWAYS) if self.user else _ALWAYS | _ISOLATED
        if version(executable()) >= (2, 36):
            config["core.fsync"] = "committed,reference"
        else:
            config["core.fsyncObjectFiles"] = "true"
        env = {
            "LC_ALL": "C",
            "LANGUAGE": "C",
            "GIT_TERMINAL_PROMPT": "0",
            "GIT_OPTIONAL_LOCKS": "0",
            "GIT_LITERAL_PATHSPECS": "1",
            "GIT_NO_REPLACE_OBJECTS": "1",
            "GIT_CONFIG_COUNT": str(len(config)),
        }
        for number, (key, value) in enumerate(config.items()):
            env[f"GIT_CONFIG_KEY_{number}"] = key
            env[f"GIT_CONFIG_VALUE_{number}"] = value
        for role in ("AUTHOR", "COMMITTER"):
            env[f"GIT_{role}_NAME"], env[f"GIT_{role}_EMAIL"] = IDENTITY
        if not self.user:
            env |= {
                "GIT_CONFIG_NOSYSTEM": "1",
                "GIT_CONFIG_GLOBAL": "/dev/null",
                "GIT_ATTR_NOSYSTEM": "1",
            }
        if self.directory is not None:
            env |= {
                "GIT_DIR": str(self.directory),
                "GIT_WORK_TREE": str(self._cwd()),
                "GIT_INDEX_FILE": str(self.index or self.directory / "ouroboros-no-index"),
            }
        return env


@functools.lru_cache(maxsize=64)
def _pinned(git: Git, binary: str) -> dict[bytes, bytes]:  # noqa: ARG001 - another git, another answer
    """Return what is pinned for one repository, ready for the kernel: asked for again and again."""
    return _encoded(git._environment())  # noqa: SLF001 - of this module


def _encoded(env: dict[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(key): os.fsencode(value) for key, value in env.items()}


def failure(args: Sequence[str], output: Output) -> GitError:
    """Make the error for a command that failed in a way nobody planned for."""
    how = f"exit status {output.status}"
    if output.status == -signal.SIGKILL and output.err.startswith("Timeout:"):
        how = "killed at its time limit"
    return GitError(
        f"'git {args[0]}' failed ({how}): {safe_text(output.err.strip(), limit=600)}",
        hint="Run 'git fsck' in the repository if this repeats.",
    )


def _execute(
    argv: list[str],
    *,
    cwd: Path,
    env: dict[bytes, bytes],
    stdin: bytes | None = None,
    timeout: float = TIMEOUT,
    keep: tuple[int, ...] = (),
) -> Output:
    process = _start(argv, cwd=cwd, env=env, reads=bool(stdin), keep=keep)
    return _end(process, stdin, timeout)


def _start(
    argv: list[str],
    *,
    cwd: Path,
    env: dict[bytes, bytes],
    reads: bool,
    keep: tuple[int, ...],
) -> "Popen[bytes]":
    _check_folder(cwd)
    try:
        return subprocess.Popen(
            argv,
            stdin=subprocess.PIPE if reads else subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=cwd,
            env={k: v for k, v in os.environb.items() if not k.startswith(b"GIT_")} | env,
            # Its own group: a Ctrl-C in the engine's terminal must not reach a half-done git.
            process_group=0,
            pass_fds=keep,
        )
    except FileNotFoundError as error:
        raise MachineError(
            f"{argv[0]} cannot be started.", hint="Repair the installation of git."
        ) from error
    except OSError as error:
        raise MachineError(
            f"git cannot be run: {error.strerror}.",
            hint="Check the limits of this process.",
        ) from error


def _end(process: "Popen[bytes]", stdin: bytes | None, timeout: float) -> Output:
    # A thread that kills, not `communicate(timeout=...)`: that one waits in steps of a millisecond,
    # which is as long as most commands take.
    late = Event()
    watchdog = Timer(timeout, _expire, (process, late))
    watchdog.daemon = True
    watchdog.start()
    with process:
        try:
            out, err = process.communicate(stdin)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)  # not yet waited for, so that it is still ours
            process.communicate()
            raise
        finally:
            watchdog.cancel()
    text = f"Timeout: {timeout:g} s" if late.is_set() else err.decode("utf-8", "replace")
    return Output(process.returncode, out, text)


def _expire(process: "Popen[bytes]", late: Event) -> None:
    if process.poll() is None:
        late.set()
        os.killpg(process.pid, signal.SIGKILL)


def _check_folder(cwd: Path) -> None:
    if not os.access(cwd, os.X_OK):
        raise MachineError(f"The folder {cwd} cannot be entered.", hint="Correct its permissions.")


def _tool(cwd: Path) -> "Tool":
    """Return GitPython's command runner; imported late, because importing it already runs git."""
    from git.cmd import Git as Tool

    _check_folder(cwd)  # else GitPython would run the command in the engine's own folder
    return Tool(str(cwd))


def _without_inherited(argv: list[str], env: dict[str, str]) -> list[str]:
    inherited = [name for name in os.environ if name.startswith("GIT_") and name not in env]
    if not inherited:
        return argv
    removal = [part for name in inherited for part in ("-u", name)]
    return [shutil.which("env") or "/usr/bin/env", *removal, *argv]
