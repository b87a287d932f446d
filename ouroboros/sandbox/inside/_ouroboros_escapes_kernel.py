"""Attempts on rights, namespaces and the kernel itself, mostly by single system calls.

None of these does harm should it succeed: arguments are such that the kernel decides on the right
before it looks at them, or that the effect is none.
"""

import ctypes
import fcntl
import os
import resource
import signal
import socket
import termios
import time
from typing import Any

from _ouroboros_calls import call, number, verdict  # type: ignore[import-not-found] # beside this
from _ouroboros_escapes import (  # type: ignore[import-not-found] # file, inside
    NotApplicable,
    Out,
    processes,
    refused,
)

_NAMESPACES = {"mnt": 0x00020000, "cgroup": 0x02000000, "uts": 0x04000000, "ipc": 0x08000000,
               "pid": 0x20000000, "net": 0x40000000}  # fmt: skip
_NEW_USER = 0x10000000
_SEIZE = 0x4206
_INIT = 1
_CLONE_TREE = 1
_AT_FDCWD = -100
_PATH = b"/nonexistent"


def _calls(bait: Any, *calls: Any) -> str:
    """Make calls that must all be refused; those that this kernel does not have do not count."""
    known = [c for c in calls if number(c[0]) >= 0 and c[0] not in bait["missing"]]
    if not known:
        raise NotApplicable(f"this kernel has no {calls[0][0]}")
    said = ""
    for name, *args in known:
        contained, said = verdict(name, *args)
        if not contained:
            raise Out(said)
    return said


def _new_user(_: Any) -> str:
    """Become root of a new user namespace, from where most holes of kernels are reached."""
    error = 0
    for name, *args in (("unshare", _NEW_USER), ("clone", _NEW_USER | signal.SIGCHLD, 0, 0, 0, 0)):
        result, error = call(name, *args)
        if result == 0 and name == "clone":
            os._exit(0)  # the child of a call that should have failed
        if result != -1:
            raise Out(f"{name} made a user namespace")
    return f"unshare and clone: {os.strerror(error)}"


def _clone3(bait: Any) -> str:
    """The same by the newer call, whose flags a filter cannot see."""
    if "clone3" in bait["missing"]:
        raise NotApplicable("this kernel has no clone3")
    words = (ctypes.c_uint64 * 8)(_NEW_USER, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    result, error = call("clone3", ctypes.byref(words), ctypes.sizeof(words))
    if result == 0:
        os._exit(0)  # as above
    if result != -1:
        raise Out("clone3 made a user namespace")
    return f"clone3: {os.strerror(error)}"


def _new_others(_: Any) -> str:
    said = ""
    for name, flag in _NAMESPACES.items():
        result, error = call("unshare", flag)
        if result != -1:
            raise Out(f"made a {name} namespace")
        said = os.strerror(error)
    return f"{len(_NAMESPACES)} kinds: {said}"


def _own_namespaces(bait: Any) -> str:
    shared = []
    for name, theirs in bait["namespaces"].items():
        try:
            own = os.readlink("/proc/self/ns/" + name)
        except OSError:
            raise Out("its namespaces cannot be read") from None
        shared += [name] if own == theirs else []
    if shared:
        raise Out("shares with the engine: " + ", ".join(shared))
    return "own {}".format(", ".join(bait["namespaces"]))


def _setns(_: Any) -> str:
    said = "no namespace of another process can be opened"
    for pid in [p for p in processes() if int(p) != os.getpid()]:
        for name in _NAMESPACES:
            try:
                fd = os.open(f"/proc/{pid}/ns/{name}", os.O_RDONLY)
            except OSError:
                continue
            result, error = call("setns", fd, 0)
            if result != -1:
                raise Out(f"joined the {name} namespace of process {pid}")
            said = f"setns: {os.strerror(error)}"
    return said


def _mount(bait: Any) -> str:
    return _calls(
        bait,
        ("mount", b"tmpfs", b"/tmp", b"tmpfs", 0, None),
        ("mount", None, b"/", None, 32 | 4096, None),  # remount writable
        ("mount", b"/proc", b"/tmp", None, 4096, None),
        ("umount2", b"/etc", 2),
        ("fsopen", b"tmpfs", 0),
        ("open_tree", _AT_FDCWD, b"/", _CLONE_TREE),
        ("mount_setattr", _AT_FDCWD, b"/", 0, (ctypes.c_uint64 * 4)(0, 1, 0, 0), 32),
    )


def _trace(bait: Any) -> str:
    """Trace the process 1 of the run, the process above, and one of the host."""
    error = 0
    for pid in (_INIT, os.getppid(), bait["victim"]):
        result, error = call("ptrace", _SEIZE, pid, 0, 0)
        if result != -1:
            raise Out(f"traces process {pid}")
    return f"ptrace: {os.strerror(error)}"


class _Vector(ctypes.Structure):
    _fields_ = (("base", ctypes.c_void_p), ("length", ctypes.c_size_t))


_SECRET = ctypes.create_string_buffer(b"in the memory of the process above")


def _read_memory(_: Any) -> str:
    """Read the memory of the process above: the same address holds a text of ours there."""
    buffer = ctypes.create_string_buffer(8)
    local = _Vector(ctypes.addressof(buffer), 8)
    remote = _Vector(ctypes.addressof(_SECRET), 8)
    error = 0
    for name in ("process_vm_readv", "process_vm_writev"):
        source = (os.getppid(), ctypes.byref(local), 1, ctypes.byref(remote), 1, 0)
        result, error = call(name, *source)
        if result != -1:
            raise Out(f"{name} reached {result} bytes of it")
    return f"process_vm_readv and writev: {os.strerror(error)}"


def _steal_descriptor(bait: Any) -> str:
    """Take a descriptor out of the process 1 of the run."""
    if "pidfd_getfd" in bait["missing"]:
        raise NotApplicable("this kernel has no pidfd_getfd")
    said = "no pidfd to be had"
    for pid in (_INIT, os.getppid()):
        handle, error = call("pidfd_open", pid, 0)
        if handle == -1:
            said = f"pidfd_open: {os.strerror(error)}"
            continue
        for fd in range(10):
            result, error = call("pidfd_getfd", handle, fd, 0)
            if result != -1:
                raise Out(f"took descriptor {fd} of process {pid}")
            said = f"pidfd_getfd: {os.strerror(error)}"
    return said


def _handles(bait: Any) -> str:
    """Open files by number, past every folder (the escape known as shocker)."""
    known = [c for c in ("open_by_handle_at",) if number(c) >= 0 and c not in bait["missing"]]
    if not known:
        raise NotApplicable("this kernel has no open_by_handle_at")
    root = os.open("/usr", os.O_RDONLY)
    handle = (ctypes.c_uint32 * 4)(8, 1, 2, 0)  # inode 2: the root of the file system
    result, error = call("open_by_handle_at", root, ctypes.byref(handle), os.O_RDONLY)
    if result != -1:
        raise Out("opened the root of the host's file system")
    return f"open_by_handle_at: {os.strerror(error)}"


def _perf(bait: Any) -> str:
    # A software clock of our own process: the least that the call can be asked for.
    attributes = (ctypes.c_uint32 * 28)(1, 112)
    attributes[10] = 1 << 5
    return _calls(bait, ("perf_event_open", attributes, 0, -1, -1, 0))


def _keys(bait: Any) -> str:
    text = ctypes.c_char_p(b"ouroboros")
    return _calls(
        bait,
        ("keyctl", 0, -3, 0),
        ("add_key", b"user", text, text, 1, -2),
        ("request_key", b"user", text, None, 0),
    )


def _ring(bait: Any) -> str:
    return _calls(bait, ("io_uring_setup", 1, (ctypes.c_uint8 * 120)()))


def _modules(bait: Any) -> str:
    return _calls(
        bait,
        ("init_module", None, 0, b""),
        ("delete_module", _PATH, 0),
        ("kexec_load", 0, 0, None, 0),
    )


def _machine(bait: Any) -> str:
    return _calls(
        bait,
        ("reboot", 0, 0, 0, None),
        ("swapon", _PATH, 0),
        ("acct", _PATH),
        ("iopl", 3),
        ("ioperm", 0x80, 1, 1),
        ("fanotify_init", 0, 0),
    )


def _messages(bait: Any) -> str:
    return _calls(bait, ("syslog", 3, (ctypes.c_char * 256)(), 256))


def _clock(_: Any) -> str:
    said = refused("clock_settime", lambda: time.clock_settime(time.CLOCK_REALTIME, time.time()))
    return str(said)


def _host_name(bait: Any) -> str:
    if socket.gethostname() == bait["hostname"]:
        raise Out("knows the host's name")
    refused("sethostname", socket.sethostname, "captured")
    return f"it is called {socket.gethostname()}"


def _root(_: Any) -> str:
    if 0 in (*os.getresuid(), *os.getresgid(), *os.getgroups()):
        raise Out("is root, or of root's group")
    said = refused("setresuid", os.setresuid, 0, 0, 0)
    refused("setresgid", os.setresgid, 0, 0, 0)
    refused("setgroups", os.setgroups, [0])
    return str(said)


def _chroot(bait: Any) -> str:
    return _calls(bait, ("chroot", b"/tmp"), ("pivot_root", b"/", b"/"))


def _priority(_: Any) -> str:
    said = refused("nice", os.setpriority, os.PRIO_PROCESS, 0, -5)
    refused("SCHED_RR", os.sched_setscheduler, 0, os.SCHED_RR, os.sched_param(1))
    refused("SCHED_FIFO", os.sched_setscheduler, 0, os.SCHED_FIFO, os.sched_param(1))
    return str(said)


def _raise_limits(_: Any) -> str:
    held = []
    for name in ("CORE", "FSIZE", "NOFILE"):
        which = getattr(resource, "RLIMIT_" + name)
        hard = resource.getrlimit(which)[1]
        if hard == resource.RLIM_INFINITY:
            raise Out(f"there is no limit {name}")
        try:
            resource.setrlimit(which, (hard, hard + 1))
        except (ValueError, OSError):
            held.append(name)
            continue
        raise Out(f"raised the limit {name}")
    return "{} cannot be raised".format(", ".join(held))


def _terminal(bait: Any) -> str:
    """Type into the terminal of whoever started the engine (TIOCSTI)."""
    fds = [fd for fd in (0, 1, 2) if os.isatty(fd)]
    try:
        fds.append(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError as error:
        if not fds and not bait["terminal"]:
            raise NotApplicable("the engine itself has no terminal now") from None
        if not fds:
            return f"no terminal: {error.strerror}"
    return str(refused("TIOCSTI", lambda: [fcntl.ioctl(fd, termios.TIOCSTI, b"\n") for fd in fds]))


def _kill_host(bait: Any) -> str:
    """Kill a process of the host; whether it lives is seen from there."""
    said = refused("kill", os.kill, bait["victim"], signal.SIGKILL)
    refused("kill its group", os.killpg, bait["victim"], signal.SIGKILL)
    return str(said)


def _daemon(_: Any) -> str:
    """Leave a process behind; whether it lives on is seen from the other side."""
    ready, started = os.pipe()
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.write(started, b"x")
            os.closerange(0, 64)
            time.sleep(600)
        os._exit(0)
    os.read(ready, 1)
    return "left a daemon for the other side to look for"


def _one(name: str, *args: Any) -> Any:
    def attempt(bait: Any) -> str:
        return _calls(bait, (name, *args))

    return attempt


ATTEMPTS = {
    "become-root": _root,
    "new-user-namespace": _new_user,
    "new-user-namespace-clone3": _clone3,
    "new-namespaces": _new_others,
    "own-namespaces": _own_namespaces,
    "join-namespaces": _setns,
    "mount": _mount,
    "change-root": _chroot,
    "trace": _trace,
    "read-memory": _read_memory,
    "take-descriptor": _steal_descriptor,
    "open-by-handle": _handles,
    "bpf": _one("bpf", 0, (ctypes.c_uint32 * 32)(2, 4, 4, 1), 128),
    "perf-events": _perf,
    "userfaultfd": _one("userfaultfd", 1),
    "io-uring": _ring,
    "keyrings": _keys,
    "modules": _modules,
    "machine": _machine,
    "kernel-messages": _messages,
    "set-clock": _clock,
    "host-name": _host_name,
    "priority": _priority,
    "raise-limits": _raise_limits,
    "terminal": _terminal,
    "kill-host": _kill_host,
    "leave-daemon": _daemon,
}
