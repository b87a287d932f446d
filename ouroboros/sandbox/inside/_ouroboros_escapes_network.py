"""Attempts on the host's network, its sockets and its other ways of talking."""

import ctypes
import os
import socket
from typing import Any

from _ouroboros_escapes import (  # type: ignore[import-not-found] # beside this file, inside
    NotApplicable,
    Out,
    refused,
)

_PUBLIC = ("1.1.1.1", 53)
_METADATA = ("169.254.169.254", 80)
_FAMILIES = {"vsock": 40, "alg": 38, "packet": 17, "bluetooth": 31, "can": 29, "key": 15, "xdp": 44}


def _connect(family: int, address: Any) -> str:
    """Connect, say something; returns how it was refused."""
    with socket.socket(family, socket.SOCK_STREAM) as made:
        made.settimeout(1)
        return str(refused(f"connect to {address!r}", made.connect, address))


def tcp(bait: Any) -> str:
    """Connect to a server of the host, by every address it has."""
    said = ""
    for address in bait["addresses"]:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            said = _connect(family, (address, bait["tcp"]))
        except OSError as error:
            said = f"socket: {error.strerror}"
    return said


def udp(bait: Any) -> str:
    """Send a datagram to the host; whether it arrives is seen from there."""
    said = "sent into an empty network"
    for address in bait["addresses"]:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        try:
            with socket.socket(family, socket.SOCK_DGRAM) as made:
                made.sendto(bait["mark"].encode(), (address, bait["udp"]))
        except OSError as error:
            said = f"{address}: {error.strerror}"
    return said


def internet(bait: Any) -> str:
    """Find a route to the internet, or to a cloud's metadata; no packet is sent by asking."""
    if not bait["route"]:
        raise NotApplicable("this machine has no route to the internet either")
    said = ""
    for address in (_PUBLIC, _METADATA):
        try:
            made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        except OSError as error:
            return f"socket: {error.strerror}"
        with made:
            said = refused(f"route to {address[0]}", made.connect, address)
    return said


def unix_path(bait: Any) -> str:
    """Connect to a socket in the host's file system, as that of an agent or of docker."""
    try:
        return _connect(socket.AF_UNIX, bait["socket"])
    except OSError as error:
        return f"socket: {error.strerror}"


def unix_abstract(bait: Any) -> str:
    """Connect to a socket of the host that has no file."""
    try:
        return _connect(socket.AF_UNIX, "\0" + bait["abstract"])
    except OSError as error:
        return f"socket: {error.strerror}"


def interfaces(_: Any) -> str:
    """See network interfaces beyond one's own loopback."""
    try:
        names = [name for _, name in socket.if_nameindex()]
    except OSError as error:
        return f"if_nameindex: {error.strerror}"
    if set(names) - {"lo"}:
        raise Out("sees " + ", ".join(names))
    return "only lo"


def _family(name: str, kind: int, protocol: int = 0) -> Any:
    def attempt(bait: Any) -> str:
        if name not in bait["families"]:
            raise NotApplicable("this kernel has no such sockets")
        number = _FAMILIES[name]

        def make() -> None:
            socket.socket(number, kind, protocol).close()

        return str(refused("socket", make))

    attempt.__doc__ = f"Make a socket of family {name}, which no namespace contains."
    return attempt


def raw(_: Any) -> str:
    """Make raw sockets, which forge and overhear packets."""

    def make(family: int, protocol: int) -> None:
        socket.socket(family, socket.SOCK_RAW, protocol).close()

    said = refused("raw socket", make, socket.AF_INET, socket.IPPROTO_ICMP)
    refused("raw socket", make, socket.AF_INET, socket.IPPROTO_RAW)
    return str(said)


def configure(_: Any) -> str:
    """Change the network: take an interface down."""
    import fcntl
    import struct

    try:
        made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    except OSError as error:
        return f"socket: {error.strerror}"
    with made:
        request = struct.pack("16sH14x", b"lo", 0)
        return str(refused("SIOCSIFFLAGS", fcntl.ioctl, made, 0x8914, request))


def shared_segments(bait: Any) -> str:
    """Attach to shared memory (System V) of the host."""
    if not bait["segment"]:
        raise NotApplicable("this kernel has no System V shared memory")
    libc = ctypes.CDLL(None, use_errno=True)
    found = libc.shmget(ctypes.c_int(bait["segment"]), 0, 0)
    if found != -1:
        raise Out(f"found segment {found}")
    return f"shmget: {os.strerror(ctypes.get_errno())}"


def datagram_abstract(bait: Any) -> str:
    """Send a datagram to a socket of the host that has no file."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
            return str(refused("sendto", made.sendto, b"x", "\0" + bait["abstract_datagram"]))
    except OSError as error:
        return f"socket: {error.strerror}"


ATTEMPTS = {
    "connect-tcp": tcp,
    "send-udp": udp,
    "reach-internet": internet,
    "connect-socket": unix_path,
    "connect-abstract": unix_abstract,
    "send-abstract": datagram_abstract,
    "see-interfaces": interfaces,
    "socket-vsock": _family("vsock", socket.SOCK_STREAM),
    "socket-alg": _family("alg", socket.SOCK_SEQPACKET),
    "socket-packet": _family("packet", socket.SOCK_RAW),
    "socket-bluetooth": _family("bluetooth", socket.SOCK_RAW),
    "socket-can": _family("can", socket.SOCK_RAW, 1),
    "socket-key": _family("key", socket.SOCK_RAW, 2),
    "socket-xdp": _family("xdp", socket.SOCK_RAW),
    "socket-raw": raw,
    "configure-network": configure,
    "attach-segments": shared_segments,
}
