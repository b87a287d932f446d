"""The program that starts, times, limits and ends every run; itself outside the sandbox.

It is a process of its own, small and single-threaded, for four reasons, all measured:

- a child's `ru_maxrss` starts at the resident size of the process that forked it, so that a
  200 MB engine would report 200 MB for every benchmark;
- bubblewrap's `--die-with-parent` follows the *thread* that forked it; the engine has several;
- forking a small process costs a millisecond, forking a big one fifty, so that limits can be set
  here between fork and exec, where nothing races and no helper program is needed;
- the engine may die at any instant. Its end of the socket then closes, and everything started
  here is killed, whatever state the engine was in.

Wall time is stamped here, around fork and exit, with the monotonic clock; CPU time and peak
memory come from `wait4`. Nothing that runs inside the sandbox has a say in them. As a subreaper
this process also inherits bubblewrap's inner process 1, and with it the rusage of whatever the
run left behind.

It is run as `python -I -S launcher.py FD SCRATCH` and uses the standard library only. It speaks
JSON lines over the socket FD: `run` (with file descriptors attached), `kill`; each run is answered
exactly once. It knows no policy: argv, environment and limits are the engine's business. When the
engine is gone, it removes the runs' control groups and the folder SCRATCH on its behalf.
"""
# ruff: noqa: PTH100, PTH106, PTH120, PTH123, PTH208 - plain strings: pathlib would double the start-up time

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from typing import TYPE_CHECKING, Any, NoReturn

if TYPE_CHECKING or __package__:
    from ouroboros.sandbox import removal, warden, watching
else:  # run as a program, which no package is in sight of
    sys.path.append(os.path.dirname(os.path.abspath(__file__)))
    import removal
    import warden
    import watching

RUN_MARK = "OUROBOROS_RUN"
"""In each run's environment, outside of the sandbox: whose process is this?"""

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_STATUS_FD = 4
_ERROR_FD = 5
_SPARE_FDS = 16
_STRAY_SECONDS = 0.02
_MOST_FDS = 16
_LINUX = sys.platform.startswith("linux")
_LIMITS = {
    "core": resource.RLIMIT_CORE,
    "cpu": resource.RLIMIT_CPU,
    "fsize": resource.RLIMIT_FSIZE,
    "nofile": resource.RLIMIT_NOFILE,
    "address": resource.RLIMIT_AS,
    "nproc": resource.RLIMIT_NPROC,
    "nice": getattr(resource, "RLIMIT_NICE", -1),
    "rtprio": getattr(resource, "RLIMIT_RTPRIO", -1),
}
_libc = ctypes.CDLL(None, use_errno=True) if _LINUX else None


class Run:
    """One run between its fork and its answer."""

    def __init__(self, request: dict[str, Any], pid: int, status: int, error: int) -> None:
        """Note what was asked and what was started.

        Args:
            request: the engine's request.
            pid: the forked process, leader of its own session.
            status: read end of bubblewrap's status pipe, or -1.
            error: read end of the pipe on which the child reports that it could not start.
        """
        self.id: int = request["id"]
        self.pid = pid
        self.mark = f"{RUN_MARK}={request['mark']}"
        self.status_pipe = status
        self.error_pipe = error
        self.watch = watching.Watch(request["watch"]) if request.get("watch") else None
        self.warded = request.get("landlock") is not None
        self.deadline = 0
        self.started = 0
        self.ended = 0
        self.end = "exit"
        self.code: int | None = None
        self.inner = 0
        self.inner_exit: int | None = None
        self.reaped = False
        self.cpu = 0.0
        self.rss = 0


# --- starting -----------------------------------------------------------------------------------


def start(request: dict[str, Any], fds: list[int]) -> Run:
    """Fork and exec one run; `fds` stay open here, the caller closes them.

    Raises:
        OSError: no descriptor or no process was to be had.
    """
    warded = request.get("landlock") is not None
    if warded:
        # The warden waits for this signal: one that comes early must not meet our own handler.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    status_r, status_w = os.pipe() if request["confined"] else (-1, -1)
    error_r, error_w = os.pipe()
    begun = time.monotonic_ns()
    try:
        pid = os.fork()
        if pid == 0:
            _become(request, fds, status_w, error_w)
    except OSError:
        _close(status_r)
        _close(error_r)
        raise
    finally:
        if warded:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})
        _close(status_w)
        _close(error_w)
    run = Run(request, pid, status_r, error_r)
    run.started = begun
    run.deadline = begun + request["timeout_ns"]
    return run


def _become(request: dict[str, Any], fds: list[int], status: int, error: int) -> NoReturn:
    """In the child: session, descriptors, control groups, limits, exec. Never returns."""
    try:
        os.setsid()
        if _libc is not None:
            _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        _arrange(request["targets"], fds, status, error)
        marked = {**request["env"], RUN_MARK: request["mark"]}
        if request.get("landlock") is not None:
            warden.keep(request["landlock"], request["argv"], marked, lambda: _prepare(request))
        _prepare(request)
        os.execve(request["argv"][0], request["argv"], marked)  # noqa: S606 - no shell wanted
    except BaseException as problem:  # noqa: BLE001 - a forked child must never return
        try:
            os.write(_ERROR_FD, f"{type(problem).__name__}: {problem}".encode())
        finally:
            os._exit(127)


def _prepare(request: dict[str, Any]) -> None:
    """In the process that becomes the command: control groups, limits, signals, folder."""
    for path in request.get("cgroups", ()):
        with open(path, "wb", buffering=0) as procs:
            procs.write(b"0")
    for name, value in request["limits"].items():
        hard = resource.getrlimit(_LIMITS[name])[1]
        capped = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(_LIMITS[name], (capped, capped))
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
    os.umask(0o022)
    os.chdir(request.get("cwd") or "/")


def _arrange(targets: list[int], fds: list[int], status: int, error: int) -> None:
    """Put each descriptor at its number and close all others."""
    wanted = dict(zip(targets, fds, strict=True))
    if status >= 0:
        wanted[_STATUS_FD] = status
    wanted[_ERROR_FD] = error
    # Two steps, since a source may stand at a number that another one wants.
    lifted: dict[int, int] = {}
    low = max(*wanted.values(), *wanted, _SPARE_FDS) + 1
    for offset, (target, source) in enumerate(wanted.items()):
        lifted[target] = low + offset
        os.dup2(source, low + offset, inheritable=False)
    for target, source in lifted.items():
        os.dup2(source, target, inheritable=target != _ERROR_FD)
    last = max(wanted)
    for fd in range(last + 1):
        if fd not in wanted:
            _close(fd)
    os.closerange(last + 1, low + len(lifted) + _MOST_FDS * 64)


# --- ending -------------------------------------------------------------------------------------


def stop(run: Run, end: str) -> None:
    """Kill a run: first its namespace by its process 1, then bubblewrap itself."""
    if run.end == "exit" and not run.reaped:
        run.end = end
    _read_status(run)
    if run.inner:
        _hurry(run.inner)
        _kill(run.inner)
    if run.warded and not run.reaped:
        with contextlib.suppress(ProcessLookupError):
            os.kill(run.pid, signal.SIGTERM)  # it ends the run's processes, and then itself
    elif not run.reaped:
        _kill_group(run.pid)


def collect(run: Run, others: list[Run]) -> bool:
    """Reap what has ended of a run; true when nothing of it is left."""
    if not run.reaped and not _collect_leader(run):
        return False
    if run.inner and _reap(run, run.inner):
        run.inner = 0
    if run.inner:
        return False
    return not _strays(run, others)


def _collect_leader(run: Run) -> bool:
    if hasattr(os, "waitid"):
        found = os.waitid(os.P_PID, run.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        if found is None:
            return False
        run.ended = time.monotonic_ns()
        # While the leader is a zombie its number cannot be given to a stranger's group.
        _kill_group(run.pid)
    if not _reap(run, run.pid):
        return False
    run.reaped = True
    run.ended = run.ended or time.monotonic_ns()
    _read_status(run)
    if run.inner:
        _kill(run.inner)
    return True


def _reap(run: Run, pid: int) -> bool:
    """Wait for one process without blocking, and add what it used; true when it is gone."""
    try:
        done, status, usage = os.wait4(pid, os.WNOHANG)
    except ChildProcessError:
        return True  # its own parent has waited for it, and so its usage is in the parent's
    if not done:
        return False
    run.cpu += usage.ru_utime + usage.ru_stime
    scale = 1024 if _LINUX else 1
    run.rss = max(run.rss, usage.ru_maxrss * scale)
    if pid == run.pid:
        run.code = os.waitstatus_to_exitcode(status)
    return True


def _strays(run: Run, others: list[Run]) -> bool:
    """Kill and reap processes that a run left to us; true while there are some."""
    if not _LINUX:
        return False
    known = {r.pid for r in others if not r.reaped} | {r.inner for r in others}
    alone = others == [run]
    left = False
    for pid in watching.children(os.getpid()):
        if pid in known or not (alone or _belongs(pid, run)):
            continue
        _kill(pid)
        left = not _reap(run, pid) or left
    return left


def _belongs(pid: int, run: Run) -> bool:
    try:
        if os.getsid(pid) == run.pid:
            return True
        with open(f"/proc/{pid}/environ", "rb") as environ:
            return run.mark.encode() in environ.read().split(b"\0")
    except OSError:
        return False


def _read_status(run: Run) -> None:
    """Read bubblewrap's own account: the inner process 1, and how the command ended.

    It reports an exit code only if the sandbox was set up: that is how "bubblewrap failed" and
    "the command failed" are told apart.
    """
    if run.status_pipe < 0:
        return
    for line in _drain(run.status_pipe).decode(errors="replace").splitlines():
        try:
            document = json.loads(line)
        except ValueError:
            continue
        run.inner = document.get("child-pid", run.inner)
        run.inner_exit = document.get("exit-code", run.inner_exit)


def answer(run: Run) -> dict[str, Any]:
    """What the engine is told; closes the run's pipes."""
    problem = _drain(run.error_pipe).decode(errors="replace")
    for fd in (run.status_pipe, run.error_pipe):
        if fd >= 0:
            os.close(fd)
    return {
        "id": run.id,
        "end": "fault" if problem else run.end,
        "code": run.code,
        "inner_exit": run.inner_exit,
        "cpu_ns": round(run.cpu * 1e9),
        "wall_ns": run.ended - run.started,
        "rss_bytes": run.rss,
        "text": problem,
    }


# --- watching -----------------------------------------------------------------------------------


def check(run: Run, now: int) -> None:
    """Kill a run that has crossed one of the limits that we watch."""
    if run.watch is None or run.reaped or now < run.watch.due:
        return
    if not run.inner:
        _read_status(run)
    if end := run.watch.look(run.pid, run.inner, now):
        stop(run, end)


# --- small things -------------------------------------------------------------------------------


def _drain(fd: int) -> bytes:
    os.set_blocking(fd, False)
    chunks = []
    try:
        while chunk := os.read(fd, 65536):
            chunks.append(chunk)
    except BlockingIOError:
        pass  # someone still holds the other end; what was written is here
    return b"".join(chunks)


def _kill(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _hurry(pid: int) -> None:
    """Let a process go first, where the system allows it: as root.

    No rlimit binds a fork bomb of root's, and thousands of runnable processes starve both the
    watchdog and the process 1 whose death ends them all: measured, six minutes of a machine that
    answers nobody. We ourselves sleep nearly always; children start with ordinary priority.
    """
    if _LINUX:
        with contextlib.suppress(OSError):
            policy = os.SCHED_RR | os.SCHED_RESET_ON_FORK
            os.sched_setscheduler(pid, policy, os.sched_param(1))


def _kill_group(pid: int) -> None:
    try:
        os.killpg(pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        _kill(pid)  # between fork and setsid there is no group yet


def _close(fd: int) -> None:
    with contextlib.suppress(OSError):  # was not open
        os.close(fd)


# --- the loop -----------------------------------------------------------------------------------


class Desk:
    """Takes requests and answers them."""

    def __init__(self, control: socket.socket) -> None:
        """Serve one engine.

        Args:
            control: our end of its socket pair.
        """
        self.control = control
        self.runs: list[Run] = []
        self.text = b""
        self.fds: list[int] = []
        self.groups: set[tuple[str, str]] = set()
        self.wake, wake_w = os.pipe()
        os.set_blocking(wake_w, False)
        signal.set_wakeup_fd(wake_w, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self.poll = select.poll()
        self.poll.register(control, select.POLLIN)
        self.poll.register(self.wake, select.POLLIN)

    def serve(self) -> None:
        """Work until the engine is gone; then end everything, and remove what it had."""
        while True:
            for fd, _ in self.poll.poll(self._patience()):
                if fd == self.wake:
                    _drain(self.wake)
                elif not self._receive():
                    self.end()
                    self._remove(sys.argv[2])
                    return
            self._advance()

    def end(self) -> None:
        """Kill everything and wait for it, at most five seconds."""
        until = time.monotonic() + 5
        while self.runs and time.monotonic() < until:
            for run in self.runs:
                stop(run, "cancel")
            self.runs = [run for run in self.runs if not collect(run, self.runs)]
            time.sleep(0.005)

    def _remove(self, scratch: str) -> None:
        """Do what the engine cannot any more; what fails here is done by the next engine."""
        for parent, prefix in self.groups:
            with contextlib.suppress(OSError):
                for name in os.listdir(parent):
                    if name.startswith(prefix):
                        with contextlib.suppress(OSError):  # one that is in use keeps no other
                            os.rmdir(f"{parent}/{name}")
        with contextlib.suppress(OSError):
            removal.remove(scratch)

    def _patience(self) -> float | None:
        now = time.monotonic_ns()
        living = [run for run in self.runs if not run.reaped]
        due = [max(0, run.deadline - now) / 1e6 for run in living]
        due += [max(0, run.watch.due - now) / 1e6 for run in living if run.watch]
        if len(living) < len(self.runs):
            due.append(_STRAY_SECONDS * 1000)
        # Rounded up: poll truncates to milliseconds, and would spin through the last one.
        return min(due) + 1 if due else None

    def _advance(self) -> None:
        now = time.monotonic_ns()
        for run in list(self.runs):
            check(run, now)
            if now >= run.deadline and not run.reaped:
                stop(run, "timeout")
            if collect(run, self.runs):
                self.runs.remove(run)
                self._send(answer(run))

    def _receive(self) -> bool:
        try:
            text, fds, _, _ = socket.recv_fds(self.control, 1 << 18, _MOST_FDS)
        except ConnectionError:
            return False
        for fd in fds:
            os.set_inheritable(fd, False)
        self.fds += fds
        if not text:
            return False
        *lines, self.text = (self.text + text).split(b"\n")
        for line in lines:
            self._act(json.loads(line))
        return True

    def _act(self, request: dict[str, Any]) -> None:
        if request["op"] == "run":
            count = len(request["targets"])
            mine, self.fds = self.fds[:count], self.fds[count:]
            self._start(request, mine)
            return
        for run in self.runs:
            if run.id == request["id"]:
                stop(run, request["end"])

    def _start(self, request: dict[str, Any], fds: list[int]) -> None:
        for procs in request["cgroups"]:
            parent, name, _ = procs.rsplit("/", 2)
            self.groups.add((parent, name.rpartition("-")[0]))  # the same for all runs
        try:
            self.runs.append(start(request, fds))
        except OSError as problem:
            text = f"The run could not be forked: {problem}."
            gone = {"end": "fault", "code": None, "inner_exit": None, "text": text}
            self._send({"id": request["id"], "cpu_ns": 0, "wall_ns": 0, "rss_bytes": 0} | gone)
        finally:
            for fd in fds:
                _close(fd)

    def _send(self, message: dict[str, Any]) -> None:
        with contextlib.suppress(ConnectionError):  # the engine is gone; the next read says so
            self.control.sendall(json.dumps(message).encode() + b"\n")


def main() -> None:
    """Serve the engine behind the descriptor named on the command line."""
    control = socket.socket(fileno=int(sys.argv[1]))
    control.set_inheritable(False)
    if _libc is not None:
        _libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _hurry(0)
    desk = Desk(control)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        desk.serve()
    finally:
        desk.end()


if __name__ == "__main__":
    main()
