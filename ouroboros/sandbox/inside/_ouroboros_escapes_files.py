"""Attempts on the host's files and on what `/proc` tells of the host's processes."""

import os
import stat
import sys
from typing import Any

from _ouroboros_escapes import (  # type: ignore[import-not-found] # beside this file, inside
    NotApplicable,
    Out,
    is_open,
    processes,
    refused,
)

_DEVICES = {
    *("null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts", "shm"),
    *("fd", "stdin", "stdout", "stderr", "core", "mqueue"),
}
_USUAL_DEVICES = (
    "mem",
    "kmem",
    "kmsg",
    "port",
    "sda",
    "vda",
    "nvme0",
    "loop0",
    "kvm",
    "fuse",
    "tun",
)
_PRIVATE = (
    *(".ssh", ".gnupg", ".aws", ".netrc", ".docker", ".kube", ".config", ".gitconfig", ".npmrc"),
    *(".bashrc", ".profile", ".bash_history", ".python_history", ".cache", ".pypirc"),
)
_SYSTEM = (
    *("/", "/usr", "/usr/bin", "/usr/lib", "/usr/local/bin", "/etc", "/bin", "/lib", "/sbin"),
    *("/var", "/var/tmp", "/opt", "/boot", "/home", "/root", "/srv", "/mnt", "/run", "/sys"),
    *("/dev", "/proc", "/ouroboros"),
)
_MANY = 4000


def _leaks(path: str, secret: str) -> bool:
    """Whether a file can be opened and holds the secret."""
    try:
        with open(path, "rb") as file:
            return secret.encode() in file.read(1 << 20)
    except OSError:
        return False


def accounts(_: Any) -> str:
    """Read the host's passwords."""
    tried = ("/etc/shadow", "/etc/gshadow", "/etc/sudoers", "/etc/ssh/ssh_host_ed25519_key")
    found = []
    for path in tried:
        try:
            with open(path, "rb") as file:
                found.append(f"{path} ({len(file.read())} bytes)")
        except OSError:
            continue
    if found:
        raise Out("opened " + ", ".join(found))
    return f"none of {len(tried)} files can be opened"


def home(bait: Any) -> str:
    """Read the home of whoever runs the engine, and root's."""
    names = [os.path.join(h, n) for h in {bait["home"], "/root"} for n in _PRIVATE]
    found = [name for name in names if os.access(name, os.R_OK)]
    if found:
        raise Out("can be read: " + ", ".join(found))
    return f"none of {len(names)} usual private files is there"


def planted(bait: Any) -> str:
    """Read the secrets that were planted for this."""
    found = [path for path in bait["secrets"] if _leaks(path, bait["secret"])]
    if found:
        raise Out("read " + ", ".join(found))
    return "{} planted files were out of reach".format(len(bait["secrets"]))


def roots(bait: Any) -> str:
    """Reach the planted secrets through the root, folder or descriptors of other processes."""
    tried = 0
    for pid in processes():
        for link in ("root", "cwd"):
            for path in bait["secrets"]:
                tried += 1
                if _leaks(f"/proc/{pid}/{link}{path}", bait["secret"]):
                    raise Out(f"read {path} through /proc/{pid}/{link}")
    return f"{tried} ways through /proc lead nowhere"


def descriptors(_: Any) -> str:
    """Open what other processes have open: pipes of the engine, of bubblewrap, of the launcher."""
    mine = {_leads(f"/proc/self/fd/{fd}") for fd in range(4) if is_open(fd)}
    family = {str(os.getpid()), str(os.getppid())}
    for pid in [p for p in processes() if p not in family]:
        try:
            numbers = os.listdir(f"/proc/{pid}/fd")
        except OSError:
            continue
        for number in numbers:
            path = f"/proc/{pid}/fd/{number}"
            try:
                leads = os.readlink(path)
                if leads in mine or leads == "/dev/null":
                    continue
                os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY))
            except OSError:
                continue
            raise Out(f"opened {number} of process {pid} ({leads})")
    return "no other process has anything to open"


def _leads(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def environments(bait: Any) -> str:
    """Find the engine's secret in the environment of any process."""
    if any(bait["secret"] in value for value in os.environ.values()):
        raise Out("it is in our own environment")
    seen = 0
    for pid in processes():
        try:
            with open(f"/proc/{pid}/environ", "rb") as file:
                text = file.read()
        except OSError:
            continue
        seen += 1
        if bait["secret"].encode() in text:
            raise Out(f"it is in that of process {pid}")
    return f"not in that of any of {seen} processes"


def variables(bait: Any) -> str:
    """Find variables that were not made for this run."""
    usual = {"PATH", "HOME", "TMPDIR", "LANG", "TZ", "PWD", "LC_CTYPE", "SHLVL", "_", "OLDPWD"}
    extra = [
        name
        for name in os.environ
        if name not in usual and not name.startswith(("PYTHON", "OUROBOROS_"))
    ]
    if extra:
        raise Out("inherited " + ", ".join(extra))
    if os.environ["HOME"] == bait["home"]:
        raise Out("HOME is the engine's")
    return f"{len(os.environ)} variables, all made for this run"


def visible(bait: Any) -> str:
    """See processes of the host."""
    pids = processes()
    for pid in pids:
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if bait["victim_mark"].encode() in file.read():
                    raise Out(f"sees process {pid} of the host")
        except OSError:
            continue
    return f"{len(pids)} processes to be seen, none of the host"


def write_system(bait: Any) -> str:
    """Leave a file in the host's system, in the interpreter, in a home, in our own programs."""
    folders = {*_SYSTEM, bait["home"], *bait["folders"], sys.prefix, sys.base_prefix}
    folders |= {os.path.dirname(os.__file__), os.path.dirname(os.path.abspath(__file__))}
    folders |= {os.path.dirname(os.path.realpath(sys.executable))}
    wrote = []
    for folder in sorted(folders):
        path = os.path.join(folder, bait["mark"])
        try:
            os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
        except OSError:
            continue
        wrote.append(path)
    if wrote:
        raise Out("wrote " + ", ".join(wrote))
    return f"refused in {len(folders)} folders"


def change_system(_: Any) -> str:
    """Change what is there: open for writing, link, change modes and times."""
    program = os.path.realpath(sys.executable)
    library = os.__file__
    said = [refused(f"open {p}", os.open, p, os.O_WRONLY) for p in (program, library)]
    # Should one of these succeed, nothing is changed by it.
    now = os.stat(library)
    refused("chmod", os.chmod, library, stat.S_IMODE(now.st_mode))
    refused("utime", lambda: os.utime(library, ns=(now.st_atime_ns, now.st_mtime_ns)))
    refused("hard link", os.link, program, "/tmp/linked")
    return str(said[0])


def leave_marks(bait: Any) -> str:
    """Leave files where runs may write; the other side looks that none appears on the host."""
    folders = ["/tmp", "/dev/shm", bait["tree"]]
    left = 0
    for folder in folders:
        try:
            with open(os.path.join(folder, bait["mark"]), "w") as file:
                file.write("left behind\n")
            left += 1
        except OSError:
            continue
    with open(os.path.join(bait["tree"], "kept.txt"), "w") as file:
        file.write("changed\n")
    return f"{left} files written for the other side to look for"


def links(bait: Any) -> str:
    """Leave the tree by symbolic links and by `..`, reading and writing."""
    tree = bait["tree"]
    for number, target in enumerate([*bait["secrets"], "/etc/shadow"]):
        link = os.path.join(tree, f"link{number}")
        os.symlink(target, link)
        try:
            with open(link, "rb") as file:
                raise Out(f"read {target} through a link ({len(file.read())} bytes)")
        except OSError:
            pass
        up = tree + "/.." * 8 + target
        if _leaks(up, bait["secret"]):
            raise Out("read " + up)
    for number, folder in enumerate(bait["folders"]):
        link = os.path.join(tree, f"folder{number}")
        os.symlink(folder, link)
        refused("write", os.open, os.path.join(link, bait["mark"]), os.O_CREAT | os.O_WRONLY)
    return "links and .. lead nowhere"


def device_nodes(bait: Any) -> str:
    """Make device nodes for the host's memory and disks."""
    said = ""
    for folder in (os.environ["TMPDIR"], bait["tree"]):
        for kind, major, minor in ((stat.S_IFCHR, 1, 1), (stat.S_IFBLK, 8, 0)):
            path = os.path.join(folder, f"node-{major}-{minor}")
            device = os.makedev(major, minor)
            said = refused(f"mknod {path}", os.mknod, path, kind | 0o666, device)
    return said


def devices(_: Any) -> str:
    """Find devices beyond the harmless ones."""
    try:
        extra = sorted(set(os.listdir("/dev")) - _DEVICES)
    except OSError:
        extra = list(_USUAL_DEVICES)  # not even the list can be read
    opened = []
    for name in extra:
        path = os.path.join("/dev", name)
        try:
            kind = os.stat(path).st_mode
            if stat.S_ISCHR(kind) or stat.S_ISBLK(kind):
                os.close(os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY))
                opened.append(path)
        except OSError:
            continue
    if opened:
        raise Out("opened " + ", ".join(opened))
    return "{} harmless devices{}".format(
        len(_DEVICES),
        f", {len(extra)} more that cannot be opened" if extra else "",
    )


def kernel_settings(_: Any) -> str:
    """Open the kernel's settings for writing; opening changes nothing where it succeeds."""
    tried, opened = 0, []
    for top in ("/proc/sys", "/sys/kernel", "/sys/module", "/sys/fs", "/sys/devices/system"):
        for folder, _folders, files in os.walk(top):
            for path in [os.path.join(folder, name) for name in files]:
                tried += 1
                opened += [path] if _opens(path, os.O_WRONLY) else []
            if tried > _MANY:
                break
    for path in ("/proc/sysrq-trigger", "/proc/irq/default_smp_affinity", "/proc/mtrr"):
        tried += 1
        opened += [path] if _opens(path, os.O_WRONLY) else []
    if opened:
        raise Out(f"opened for writing: {len(opened)}, the first {opened[0]}")
    return f"none of {tried} can be opened for writing"


def kernel_memory(_: Any) -> str:
    """Read the kernel's memory and its messages."""
    tried = ("/proc/kcore", "/proc/kmsg", "/dev/mem", "/dev/kmem", "/dev/kmsg", "/dev/port")
    opened = [path for path in tried if _opens(path, os.O_RDONLY | os.O_NONBLOCK)]
    if opened:
        raise Out("opened " + ", ".join(opened))
    return f"none of {len(tried)} can be opened"


def _opens(path: str, flags: int) -> bool:
    try:
        os.close(os.open(path, flags))
    except OSError:
        return False
    return True


def cgroup_files(_: Any) -> str:
    """Widen one's own limits, or leave one's control group."""
    tried = 0
    for top in ("/sys/fs/cgroup", "/cgroup"):
        for folder, _folders, files in os.walk(top):
            for name in files:
                if name in ("cgroup.procs", "tasks") or name.endswith((".max", "limit_in_bytes")):
                    tried += 1
                    if _opens(os.path.join(folder, name), os.O_WRONLY):
                        raise Out(f"opened {folder}/{name} for writing")
            if tried > _MANY:
                break
    return f"none of {tried} can be written" if tried else "there are none inside"


def oom_score(_: Any) -> str:
    """Have the kernel end others first when memory runs out."""

    def write() -> None:
        with open("/proc/self/oom_score_adj", "w") as file:
            file.write("-1000")

    return str(refused("oom_score_adj", write))


def shared_memory(bait: Any) -> str:
    """Read a file of the host's `/dev/shm`."""
    if not bait["shm"]:
        raise NotApplicable("the engine itself cannot write to /dev/shm")
    if _leaks(bait["shm"], bait["secret"]):
        raise Out("read " + bait["shm"])
    return "the host's is another"


def inherited(bait: Any) -> str:
    """Find descriptors that were not made for this run."""
    extra = [fd for fd in bait["fds"] if fd > 3]  # noqa: PLR2004 - the result channel
    if extra:
        raise Out("holds " + ", ".join(map(str, extra)))
    return "only {}".format(", ".join(map(str, sorted(bait["fds"]))))


ATTEMPTS = {
    "read-accounts": accounts,
    "read-home": home,
    "read-planted": planted,
    "read-through-proc": roots,
    "open-descriptors": descriptors,
    "find-secret": environments,
    "find-variables": variables,
    "see-processes": visible,
    "write-system": write_system,
    "change-system": change_system,
    "leave-marks": leave_marks,
    "follow-links": links,
    "make-devices": device_nodes,
    "open-devices": devices,
    "kernel-settings": kernel_settings,
    "kernel-memory": kernel_memory,
    "write-cgroups": cgroup_files,
    "escape-oom": oom_score,
    "read-shm": shared_memory,
    "inherited-fds": inherited,
}
