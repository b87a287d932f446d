"""Numbers of system calls that the C library does not wrap; also read by the other side.

A call counts as refused if the answer is one of `REFUSALS`. Every other answer, also an error,
means that the kernel looked at the request: the filter let it through.
"""

import ctypes
import errno
import os
import platform
from typing import Any

REFUSALS = (errno.EPERM, errno.ENOSYS, errno.EACCES)

_X86_64 = {
    "ptrace": 101, "personality": 135, "pivot_root": 155, "adjtimex": 159, "chroot": 161,
    "acct": 163, "mount": 165, "umount2": 166, "swapon": 167, "reboot": 169, "sethostname": 170,
    "iopl": 172, "ioperm": 173, "init_module": 175, "delete_module": 176,
    "syslog": 103, "kexec_load": 246, "add_key": 248, "request_key": 249, "keyctl": 250,
    "move_pages": 279, "unshare": 272, "perf_event_open": 298, "fanotify_init": 300,
    "name_to_handle_at": 303, "open_by_handle_at": 304, "clock_adjtime": 305, "setns": 308,
    "process_vm_readv": 310, "process_vm_writev": 311, "kcmp": 312, "bpf": 321,
    "userfaultfd": 323, "io_uring_setup": 425, "open_tree": 428, "move_mount": 429,
    "fsopen": 430, "pidfd_open": 434, "clone3": 435, "pidfd_getfd": 438, "process_madvise": 440,
    "mount_setattr": 442, "clone": 56,
}  # fmt: skip
_AARCH64 = {
    "ptrace": 117, "personality": 92, "pivot_root": 41, "adjtimex": 171, "chroot": 51,
    "acct": 89, "mount": 40, "umount2": 39, "swapon": 224, "reboot": 142, "sethostname": 161,
    "init_module": 105, "delete_module": 106, "syslog": 116, "kexec_load": 104,
    "add_key": 217, "request_key": 218, "keyctl": 219, "move_pages": 239, "unshare": 97,
    "perf_event_open": 241, "fanotify_init": 262, "name_to_handle_at": 264,
    "open_by_handle_at": 265, "clock_adjtime": 266, "setns": 268, "process_vm_readv": 270,
    "process_vm_writev": 271, "kcmp": 272, "bpf": 280, "userfaultfd": 282,
    "io_uring_setup": 425, "open_tree": 428, "move_mount": 429, "fsopen": 430,
    "pidfd_open": 434, "clone3": 435, "pidfd_getfd": 438, "process_madvise": 440,
    "mount_setattr": 442, "clone": 220,
}  # fmt: skip
_TABLES = {"x86_64": _X86_64, "aarch64": _AARCH64}


def number(name: str) -> int:
    """Return the number of a call on this machine, or -1."""
    return _TABLES.get(platform.machine(), {}).get(name, -1)


def call(name: str, *args: Any) -> Any:
    """Make a call; returns what the kernel answered: (result, error number).

    Raises:
        LookupError: this machine has no such call.
    """
    which = number(name)
    if which < 0:
        raise LookupError(name)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    words = [ctypes.c_long(a) if isinstance(a, int) else a for a in args]
    ctypes.set_errno(0)
    result = libc.syscall(ctypes.c_long(which), *words)
    return result, ctypes.get_errno()


def verdict(name: str, *args: Any) -> Any:
    """Make a call that must be refused; returns (refused, words)."""
    result, error = call(name, *args)
    if result == -1 and error in REFUSALS:
        return True, f"{name}: {os.strerror(error)}"
    if result == -1:
        return False, f"{name} reached the kernel ({os.strerror(error)})"
    return False, f"{name} succeeded"
