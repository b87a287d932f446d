"""The Landlock rung's own process: confines one run, and outlives it until nothing of it is left.

Without a PID namespace nothing dies by itself, and a hostile run can leave its session, its
process group and its environment. What it cannot leave is the tree beneath a subreaper. So each
run gets one of its own: the warden, forked by the launcher, not confined itself. Whatever is
orphaned beneath it becomes its child; when the command has ended, or on SIGTERM, or when the
launcher dies, it stops and kills all its descendants and waits for them. The run cannot signal it:
Landlock keeps signals within the run, and as root the run is another user besides.

The command itself gives up its rights in `confine`, after fork and before exec, in an order that
matters: the folders are opened while they can be reached, the user changes before the ruleset and
the filter, and the death signal is asked for again, since the kernel forgets it with the user.

Loaded by the launcher, which runs without site and packages: standard library only. As a program
(`python -I -S warden.py ORDER COMMAND...`) it confines itself and becomes the command; so the
engine finds out what this machine holds.
"""
# ruff: noqa: PTH100, PTH120 - plain strings: pathlib would double the start-up time

import base64
import contextlib
import ctypes
import json
import os
import resource
import signal
import struct
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING or __package__:
    from ouroboros.sandbox.watching import children
else:  # run as a program, which no package is in sight of
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    from watching import children

STATUS_FD = 4
ERROR_FD = 5
NOT_FOUND = 127

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_PATH_BENEATH = 1
_PDEATHSIG, _KEEPCAPS, _SECCOMP, _BOUNDING_DROP = 1, 8, 22, 24
_SUBREAPER, _NO_NEW_PRIVS, _AMBIENT = 36, 38, 47
_AMBIENT_RAISE, _AMBIENT_CLEAR = 2, 4
_FILTER = 2
_DAC_READ_SEARCH = 2
_CAPABILITIES_V3 = 0x20080522
_MOST_CAPABILITIES = 64
_ROUND_SECONDS = 0.001
_STOP_ROUNDS = 8
_libc = ctypes.CDLL(None, use_errno=True)


def keep(
    order: dict[str, Any], argv: list[str], env: dict[str, str], prepare: Callable[[], None]
) -> NoReturn:
    """Start the command, wait for it, and end what it leaves. Called in a process of its own.

    Args:
        order: see `confine`.
        argv: the command; found on the PATH of `env`.
        env: its whole environment.
        prepare: sets control groups, limits and the working directory of the command.
    """
    ours = {signal.SIGTERM, signal.SIGCHLD}
    signal.set_wakeup_fd(-1)
    signal.pthread_sigmask(signal.SIG_BLOCK, ours)
    for number in ours:
        signal.signal(number, signal.SIG_DFL)
    _prctl(_SUBREAPER, 1)
    _prctl(_PDEATHSIG, signal.SIGTERM)
    _hurry()
    warden = os.getpid()
    pid = os.fork()
    if pid == 0:
        _command(order, argv, env, prepare, warden)
    for fd in range(STATUS_FD):
        _close(fd)  # only the run's own copies keep its pipes open
    code = _wait(pid, ours)
    _end_all()
    if code is not None:
        _tell({"exit-code": code})
    os._exit(0)


def _wait(pid: int, ours: set[signal.Signals]) -> int | None:
    """Return the command's exit code as a shell would say it; None where it is to be ended."""
    while True:
        while True:
            done, status = os.waitpid(-1, os.WNOHANG)
            if done == pid:
                code = os.waitstatus_to_exitcode(status)
                return code if code >= 0 else 128 - code
            if not done:
                break
        if signal.sigwait(ours) == signal.SIGTERM:
            return None


def _end_all() -> None:
    """Kill every descendant, and wait for it.

    Stopped first, and looked for again until there is nobody new: who is stopped cannot fork, and
    still counts towards the limit of processes, so that a fork bomb comes to its end. They may wake
    each other, so that nobody is waited for long, and nobody who was met once may fork again.
    """
    while True:
        stopped: set[int] = set()
        for _ in range(_STOP_ROUNDS):
            new = _descendants() - stopped
            for pid in new:
                with contextlib.suppress(OSError):  # it is gone
                    resource.prlimit(pid, resource.RLIMIT_NPROC, (0, 0))
                _signal(pid, signal.SIGSTOP)
            stopped |= new
            if not new:
                break
        for pid in stopped:
            _signal(pid, signal.SIGKILL)
        try:
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return
        time.sleep(_ROUND_SECONDS)


def _descendants() -> set[int]:
    found: set[int] = set()
    waiting = children(os.getpid())
    while waiting:
        pid = waiting.pop()
        if pid not in found:
            found.add(pid)
            waiting += children(pid)
    return found


# --- becoming the command -----------------------------------------------------------------------


def _command(
    order: dict[str, Any],
    argv: list[str],
    env: dict[str, str],
    prepare: Callable[[], None],
    warden: int,
) -> NoReturn:
    """In the child of the warden. Never returns."""
    try:
        os.setsid()
        os.close(STATUS_FD)
        prepare()
        confine(order)
        _prctl(_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != warden:
            os._exit(1)  # it died before we asked
        _filter(base64.b64decode(order["program"]))
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        _execute(argv, env)
    except BaseException as problem:  # noqa: BLE001 - a forked child must never return
        try:
            os.write(ERROR_FD, f"{type(problem).__name__}: {problem}".encode())
        finally:
            os._exit(NOT_FOUND)


def confine(order: dict[str, Any]) -> None:
    """Give up all rights but those of the order; only the filter of calls is still to come.

    Args:
        order: `files`, `net` and `scoped` are what Landlock takes away; `paths` the folders and
            files with what is given back beneath each; `uid` the user to become, or -1; `search`
            whether the right to pass closed folders is kept, which Landlock bounds.

    Raises:
        OSError: something of it cannot be done here, and nothing must be run.
    """
    ruleset = _ruleset(order)
    if order["uid"] >= 0:
        _drop(order["uid"], search=order["search"])
    else:
        _capabilities(0)
    _prctl(_NO_NEW_PRIVS, 1)
    _call(_RESTRICT, ruleset, 0)
    os.close(ruleset)


def _ruleset(order: dict[str, Any]) -> int:
    """Make the ruleset, with all that may be opened in it."""
    handled = struct.pack("=QQQ", order["files"], order["net"], order["scoped"])
    ruleset = _call(_CREATE, ctypes.c_char_p(handled), len(handled), 0)
    os.set_inheritable(ruleset, False)
    for path, access in order["paths"]:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
        try:
            rule = struct.pack("=Qi", access, fd)
            _call(_ADD, ruleset, _PATH_BENEATH, ctypes.c_char_p(rule), 0)
        except OSError as problem:
            raise OSError(problem.errno, f"{problem.strerror}, granting {path}") from None
        finally:
            os.close(fd)
    return ruleset


def _drop(uid: int, *, search: bool) -> None:
    """Become another user for good: no groups, no capabilities, none to be had by exec."""
    kept = 1 << _DAC_READ_SEARCH if search else 0
    os.setgroups([])
    for number in range(_MOST_CAPABILITIES):
        if not kept >> number & 1 and _libc.prctl(_BOUNDING_DROP, number, 0, 0, 0) != 0:
            break  # there are no more of them
    if search:
        _prctl(_KEEPCAPS, 1)
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)
    _capabilities(kept)
    if search:
        _prctl(_AMBIENT, _AMBIENT_RAISE, _DAC_READ_SEARCH)
    if os.getresuid() != (uid, uid, uid) or os.getresgid() != (uid, uid, uid) or os.getgroups():
        raise PermissionError("The rights of root could not be dropped.")


def _capabilities(kept: int) -> None:
    """Reduce all sets of capabilities of this process to `kept`, which is below 2 to the 32nd."""
    _libc.prctl(_AMBIENT, _AMBIENT_CLEAR, 0, 0, 0)
    header = struct.pack("=Ii", _CAPABILITIES_V3, 0)
    data = struct.pack("=6I", kept, kept, kept, 0, 0, 0)
    if _libc.capset(ctypes.c_char_p(header), ctypes.c_char_p(data)) != 0:
        _fail("capset")


def _filter(program: bytes) -> None:
    """Load the filter of system calls."""
    code = ctypes.create_string_buffer(program, len(program))

    class Program(ctypes.Structure):
        _fields_ = (("length", ctypes.c_ushort), ("code", ctypes.c_void_p))

    whole = Program(len(program) // 8, ctypes.cast(code, ctypes.c_void_p))
    if _libc.prctl(_SECCOMP, _FILTER, ctypes.byref(whole), 0, 0) != 0:
        _fail("seccomp")


def _execute(argv: list[str], env: dict[str, str]) -> NoReturn:
    try:
        os.execvpe(argv[0], argv, env)  # noqa: S606 - no shell wanted
    except OSError as problem:
        os.write(2, f"{argv[0]}: {problem.strerror}\n".encode())
        os._exit(NOT_FOUND)


# --- small things -------------------------------------------------------------------------------


def _call(number: int, *args: Any) -> int:
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    back: int = _libc.syscall(ctypes.c_long(number), *words)
    if back < 0:
        _fail(f"Landlock's call {number}")
    return back


def _prctl(option: int, *args: int) -> None:
    words = [ctypes.c_ulong(a) for a in (*args, *[0] * (4 - len(args)))]
    if _libc.prctl(option, *words) != 0:
        _fail(f"prctl {option}")


def _fail(what: str) -> NoReturn:
    number = ctypes.get_errno()
    raise OSError(number, f"{what}: {os.strerror(number)}")


def _tell(fact: dict[str, int]) -> None:
    with contextlib.suppress(OSError):  # the launcher is gone, and we soon are
        os.write(STATUS_FD, json.dumps(fact).encode() + b"\n")


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _hurry() -> None:
    """Go first, where the system allows it: as root, whose bombs no rlimit of a user binds."""
    with contextlib.suppress(OSError):
        policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
        os.sched_setscheduler(0, policy, os.sched_param(1))


def _close(fd: int) -> None:
    with contextlib.suppress(OSError):  # was not open
        os.close(fd)


def main() -> None:
    """Confine this process and become the command of the arguments."""
    order = json.loads(sys.argv[1])
    confine(order)
    _filter(base64.b64decode(order["program"]))
    _execute(sys.argv[2:], dict(os.environ))


if __name__ == "__main__":
    main()
