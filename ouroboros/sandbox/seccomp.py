"""The filter of system calls that every run is under: a classic BPF program, built here as bytes.

A list of what is refused, not of what is allowed: target code is any program, and a list of allowed
calls would break honest ones at each new libc. It is bounded by `_NEWEST`: a call that is younger
than this list is answered as an old kernel would answer, so that a new kernel opens no new door.

Refused is what no test suite needs and what kernel holes were found in: namespaces and mounts,
other processes' memory, kernel interfaces with a history (bpf, perf, io_uring, userfaultfd, keys),
modules, clocks, names. Refusals are errors, not deaths, since honest programs ask and then do
without; only calls in the numbering of another architecture, which this list cannot judge, kill.

Under bubblewrap the network namespace is private, so that only the families without a namespace
(VSOCK, ALG, ...) must go; whoever refused AF_UNIX or `sendto` as well would hang asyncio's wakeups.
Under Landlock there is no namespace: no sockets but connected pairs, no System V objects, nothing
that reaches a process or a file by other ways than opening it, for those Landlock does not see.
`connect` on a pair of datagram sockets reaches any socket by name, so that pairs must be streams.

The kernel truncates `int` arguments, so that only the low words are compared: who compared all 64
bits would let 0x1_0000_5412 pass for another ioctl than TIOCSTI.
"""

import os
import struct
from enum import StrEnum

import msgspec

_LD, _AND, _JEQ, _JGE, _RET = 0x20, 0x54, 0x15, 0x35, 0x06
_NR, _ARCH, _ARGS = 0, 4, 16
_ALLOW = 0x7FFF0000
_KILL = 0x80000000
_EPERM = 0x00050000 | 1
_ENOSYS = 0x00050000 | 38
_X32 = 0x40000000
_NEWEST = 469
_WHOLE = 0xFFFFFFFF

_NAMESPACES = 0x7E020000
"""CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID, NEWNET."""
_UNIX, _INET, _INET6, _NETLINK = 1, 2, 10, 16
_STREAM, _SEQPACKET, _TYPE = 1, 5, 0xF
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_SETFLAGS, _FSSETXATTR = 0x40086602, 0x401C5820
_NO_RANDOMIZE, _QUERY = 0x0040000, 0xFFFFFFFF
_PROCESS, _OWN = 1, 0


class Flavour(StrEnum):
    """What else contains the run."""

    BWRAP = "bwrap"
    LANDLOCK = "landlock"


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """What an argument must be: `arg & mask` is one of `values`, or none of them."""

    arg: int
    values: tuple[int, ...]
    mask: int = _WHOLE
    among: bool = True


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """An architecture: how the kernel names it, and which column of the tables is its own."""

    audit: int
    column: int
    x32: bool = False


MACHINES = {
    "x86_64": Machine(audit=0xC000003E, column=0, x32=True),
    "aarch64": Machine(audit=0xC00000B7, column=1),
}

Numbers = tuple[int | None, int | None]

_REFUSED: dict[str, Numbers] = {
    # Mounts and namespaces.
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "statmount": (457, 457),
    "listmount": (458, 458),
    "open_tree_attr": (467, 467),
    "unshare": (272, 97),
    "setns": (308, 268),
    "name_to_handle_at": (303, 264),
    "open_by_handle_at": (304, 265),
    # Other processes.
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "mbind": (237, 235),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    # Interfaces with a history of holes.
    "bpf": (321, 280),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "keyctl": (250, 219),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "lookup_dcookie": (212, 18),
    "nfsservctl": (180, 42),
    "uselib": (134, None),
    "_sysctl": (156, None),
    "sysfs": (139, None),
    # The machine.
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "create_module": (174, None),
    "init_module": (175, 105),
    "delete_module": (176, 106),
    "get_kernel_syms": (177, None),
    "query_module": (178, None),
    "finit_module": (313, 273),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "vhangup": (153, 58),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "adjtimex": (159, 171),
    "clock_adjtime": (305, 266),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
}

_ABSENT: dict[str, Numbers] = {"clone3": (435, 435)}
"""Answered as if the kernel did not know it: its flags lie in memory, where no filter can look, and
the C library then falls back to `clone`."""

_SHARED_WITH_HOST: dict[str, Numbers] = {
    # Sockets: what Landlock does not see.
    "socket": (41, 198),
    "bind": (49, 200),
    "connect": (42, 203),
    "listen": (50, 201),
    # System V and POSIX objects of the host.
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    # Watching folders that cannot be opened.
    "inotify_add_watch": (254, 27),
    # Attributes of files that anybody may write.
    "setxattr": (188, 5),
    "lsetxattr": (189, 6),
    "fsetxattr": (190, 7),
    "setxattrat": (463, 463),
    "removexattr": (197, 14),
    "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
    "removexattrat": (466, 466),
}

_OF_FILES: dict[str, Numbers] = {
    "chmod": (90, None),
    "fchmod": (91, 52),
    "fchmodat": (268, 53),
    "fchmodat2": (452, 452),
    "chown": (92, None),
    "fchown": (93, 55),
    "lchown": (94, None),
    "fchownat": (260, 54),
    "utime": (132, None),
    "utimes": (235, None),
    "futimesat": (261, None),
    "utimensat": (280, 88),
    "file_setattr": (469, 469),
}
"""Changes of a file's mode, owner and times: Landlock restricts none of them, so that a run could
change all files of its user's: the engine's own, or the trees of other runs, whose bytecode would
be stale by a touch."""

_PERSONALITY = Need(arg=0, values=(0, _NO_RANDOMIZE, _QUERY))
_TERMINAL = Need(arg=1, values=(_TIOCSTI, _TIOCLINUX), among=False)
_FAMILIES = (Need(arg=0, values=(_UNIX, _INET, _INET6, _NETLINK)),)
_SELF = (Need(arg=0, values=(_OWN,)),)

_JUDGED: dict[str, tuple[Numbers, tuple[Need, ...]]] = {
    "clone": ((56, 220), (Need(arg=0, values=(0,), mask=_NAMESPACES),)),
    "personality": ((135, 92), (_PERSONALITY,)),
}

_JUDGED_BWRAP: dict[str, tuple[Numbers, tuple[Need, ...]]] = {
    "ioctl": ((16, 29), (_TERMINAL,)),
    "socket": ((41, 198), _FAMILIES),
    "socketpair": ((53, 199), _FAMILIES),
}

_JUDGED_LANDLOCK: dict[str, tuple[Numbers, tuple[Need, ...]]] = {
    "ioctl": ((16, 29), (_TERMINAL, Need(arg=1, values=(_SETFLAGS, _FSSETXATTR), among=False))),
    "socketpair": (
        (53, 199),
        (
            Need(arg=0, values=(_UNIX,)),
            Need(arg=1, values=(_STREAM, _SEQPACKET), mask=_TYPE),
        ),
    ),
    # Of a process: its own alone; priorities and limits of others ask only for the same user.
    "prlimit64": ((302, 261), _SELF),
    "sched_setaffinity": ((203, 122), _SELF),
    "sched_setscheduler": ((144, 119), _SELF),
    "sched_setparam": ((142, 118), _SELF),
    "sched_setattr": ((314, 274), _SELF),
    "setpriority": ((141, 140), (*_SELF, Need(arg=1, values=(_OWN,)))),
    "ioprio_set": ((251, 30), (Need(arg=0, values=(_PROCESS,)), Need(arg=1, values=(_OWN,)))),
}


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What a filter says about the calls of one architecture, by name."""

    refused: dict[str, int]
    absent: dict[str, int]
    judged: dict[str, tuple[int, tuple[Need, ...]]]


def machine() -> str | None:
    """This machine's name in `MACHINES`; None where there is no table for it."""
    name = os.uname().machine
    # A 32-bit interpreter on a 64-bit kernel makes its calls in another numbering.
    return name if name in MACHINES and struct.calcsize("P") == struct.calcsize("q") else None


def rules(flavour: Flavour, arch: str) -> Rules:
    """What the filter of a flavour says."""
    column = MACHINES[arch].column
    refused = dict(_REFUSED)
    judged = _JUDGED | (_JUDGED_BWRAP if flavour is Flavour.BWRAP else _JUDGED_LANDLOCK)
    if flavour is not Flavour.BWRAP:
        refused |= _SHARED_WITH_HOST | _OF_FILES
    return Rules(
        refused=_numbers(refused, column),
        absent=_numbers(_ABSENT, column),
        judged={
            name: (number, needs)
            for name, (numbers, needs) in judged.items()
            if (number := numbers[column]) is not None
        },
    )


def program(flavour: Flavour, arch: str) -> bytes:
    """The filter as the kernel and bubblewrap take it: an array of `struct sock_filter`."""
    said, own = rules(flavour, arch), MACHINES[arch]
    code = [_op(_LD, _ARCH), _op(_JEQ, own.audit, 1, 0), _op(_RET, _KILL), _op(_LD, _NR)]
    if own.x32:
        code += [_op(_JGE, _X32, 0, 1), _op(_RET, _KILL)]
    code += [_op(_JGE, _NEWEST + 1, 0, 1), _op(_RET, _ENOSYS)]
    for number, needs in said.judged.values():
        block = _judge(needs)
        code += [_op(_JEQ, number, 0, len(block)), *block]
    for number in said.absent.values():
        code += [_op(_JEQ, number, 0, 1), _op(_RET, _ENOSYS)]
    for number in said.refused.values():
        code += [_op(_JEQ, number, 0, 1), _op(_RET, _EPERM)]
    return b"".join([*code, _op(_RET, _ALLOW)])


def _judge(needs: tuple[Need, ...]) -> list[bytes]:
    """Whether one call's arguments are as they must be; it always ends in an answer."""
    code = []
    for need in needs:
        code.append(_op(_LD, _ARGS + 8 * need.arg))
        if need.mask != _WHOLE:
            code.append(_op(_AND, need.mask))
        if need.among:
            # A match jumps over the remaining comparisons and over the refusal.
            left = range(len(need.values), 0, -1)
            code += [_op(_JEQ, v, n, 0) for v, n in zip(need.values, left, strict=True)]
            code.append(_op(_RET, _EPERM))
        else:
            for value in need.values:
                code += [_op(_JEQ, value, 0, 1), _op(_RET, _EPERM)]
    return [*code, _op(_RET, _ALLOW)]


def _op(code: int, k: int, then: int = 0, other: int = 0) -> bytes:
    return struct.pack("<HBBI", code, then, other, k)


def _numbers(table: dict[str, Numbers], column: int) -> dict[str, int]:
    return {
        name: number for name, numbers in table.items() if (number := numbers[column]) is not None
    }
