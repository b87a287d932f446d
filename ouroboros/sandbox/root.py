"""What a run may see: an allow-list, since a bind of `/` lets unix sockets and secrets through.

Unix sockets connect straight through a read-only bind of the host's root, whatever namespaces are
unshared (docker.sock, ssh-agent, dbus), and an engine that runs as root would lend its rights to
read `/etc/shadow`. So the root is built from nothing: `/usr` and its links, an `/etc` of our own,
and the installation of the target's interpreter.
"""

import os
import shutil
from pathlib import Path

import msgspec

from ouroboros.errors import ConfigError

LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
_COPIED = ("ld.so.cache", "localtime", "mime.types", "services", "protocols")
HOSTS = "127.0.0.1 localhost ouroboros\n::1 localhost\n"
_ETC = {
    "passwd": "sandbox:x:65534:65534:sandbox:/tmp:/bin/sh\n",
    "group": "sandbox:x:65534:\n",
    "hosts": HOSTS,
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
    "resolv.conf": "",
}
_MOST_LINKS = 16


def write_etc(folder: Path) -> None:
    """Write the `/etc` that runs see: names without accounts, and the dynamic linker's cache."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "alternatives").mkdir(exist_ok=True)
    for name, text in _ETC.items():
        (folder / name).write_text(text)
    for name in _COPIED:
        source = Path("/etc", name)
        if source.is_file():
            shutil.copyfile(source, folder / name)
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755 if path.is_dir() else 0o644)  # whatever the engine's umask says


def system_arguments(etc: Path) -> list[str]:
    """Bubblewrap's arguments for `/usr`, its links and `/etc`."""
    args = ["--ro-bind", "/usr", "/usr"]
    for name in LINKS:
        path = Path("/", name)
        if path.is_symlink():
            args += ["--symlink", str(path.readlink()), str(path)]
        elif path.is_dir():
            args += ["--ro-bind", str(path), str(path)]
    args += ["--ro-bind", str(etc), "/etc"]
    if Path("/etc/alternatives").is_dir():
        args += ["--ro-bind", "/etc/alternatives", "/etc/alternatives"]
    return args


_KERNEL = ("sys", "sysrq-trigger", "irq", "bus", "fs")


def kernel_arguments() -> list[str]:
    """Bubblewrap's arguments that close the kernel's settings.

    Where the engine is root, those of the host ask for root, who a run is not any more: this is a
    second wall. Where it is not, those of the run's own namespaces are open to it all the same.
    """
    places = [f"/proc/{name}" for name in _KERNEL if Path("/proc", name).exists()]
    return [word for place in places for word in ("--ro-bind", place, place)]


class Interpreter(msgspec.Struct, frozen=True, kw_only=True):
    """What must be visible for an interpreter to start: folders, and links between them."""

    folders: tuple[Path, ...]
    links: tuple[tuple[str, Path], ...]

    def arguments(self) -> list[str]:
        """Bubblewrap's arguments."""
        args = []
        for folder in self.folders:
            args += ["--ro-bind", str(folder), str(folder)]
        for target, path in self.links:
            args += ["--symlink", target, str(path)]
        return args


def interpreter(python: Path) -> Interpreter:
    """Find what the interpreter needs and `/usr` does not hold.

    A virtual environment is a folder of its own that points (by `home` in `pyvenv.cfg`, and by a
    chain of symlinks) to the installation it was made from. Only the environment and the real
    installation are bound. What the chain passes through on its way (`~/.local/bin/python3`) is
    remade as a link, for its folder may hold anything of the user's.

    Raises:
        ConfigError: a prefix is so wide that binding it would show the host to the run.
    """
    hops = _chain(python)
    prefix = python.parent.parent
    found = {hops[-1].parent.parent}
    if home := _venv_home(prefix):
        base = _chain(_first(home, (hops[-1].name, "python3", "python")))
        hops += base
        found |= {prefix, base[-1].parent.parent}
    shown = {f for f in found if f.is_dir() and not _in_usr(f)}
    for folder in shown:
        _refuse_wide(folder, python)
    folders = tuple(sorted(f for f in shown if not any(o in f.parents for o in shown)))
    links = {
        hop: str(hop.readlink())
        for hop in hops
        if hop.is_symlink() and not _in_usr(hop) and not any(f in hop.parents for f in folders)
    }
    return Interpreter(folders=folders, links=tuple((to, at) for at, to in sorted(links.items())))


def _chain(path: Path) -> list[Path]:
    """The path and everything that its symlinks lead through; the last one is the real file."""
    hops = [path]
    while hops[-1].is_symlink() and len(hops) < _MOST_LINKS:
        hops.append(Path(os.path.normpath(hops[-1].parent / hops[-1].readlink())))
    real = path.resolve()
    return hops if hops[-1] == real else [*hops, real]


def _first(folder: Path, names: tuple[str, ...]) -> Path:
    return next((folder / n for n in names if (folder / n).exists()), folder / names[0])


def _venv_home(prefix: Path) -> Path | None:
    try:
        lines = (prefix / "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return None
    pairs = (line.partition("=") for line in lines)
    homes = [value.strip() for key, _, value in pairs if key.strip() == "home"]
    return Path(homes[0]) if homes else None


def _in_usr(folder: Path) -> bool:
    real = folder.resolve()  # /bin is a link into /usr on most systems
    return real == Path("/") or real.is_relative_to("/usr")


def _refuse_wide(folder: Path, python: Path) -> None:
    home = Path(os.path.expanduser("~"))  # noqa: PTH111 - never raises, unlike Path.home()
    wide = {Path(p) for p in ("/home", "/root", "/etc", "/var", "/tmp", "/opt")} | {home}  # noqa: S108 - a name
    if folder in wide or folder in home.parents:
        raise ConfigError(
            f"The interpreter {python} belongs to {folder}, which the sandbox would have to show "
            "to candidates in whole.",
            hint="Put the environment into a folder of its own and set [environment] python.",
        )
