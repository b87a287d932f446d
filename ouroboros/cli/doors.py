"""From `[rpc]` to the doors of the server: addresses, certificates, users by name."""

import ssl
from collections.abc import Callable, Mapping
from pathlib import Path

from ouroboros.config import Rpc
from ouroboros.errors import ConfigError, MachineError
from ouroboros.model.listen import parse_listen
from ouroboros.model.text import safe_line
from rpc.server import Doors, Port
from rpc.server.access import gid_of, uid_of


def doors_of(rpc: Rpc, cookie: Path) -> Doors:
    """Return what the configuration opens besides the owner's socket.

    Raises:
        ConfigError: a user or group that is not there, a folder that is not there.
        MachineError: a certificate or key that cannot be used.
    """
    return Doors(
        port=_port(rpc, cookie) if rpc.listen else None,
        shared=_shared(rpc.socket) if rpc.socket else None,
        users=_numbers("users", rpc.users, uid_of),
        groups=_numbers("groups", rpc.groups, gid_of),
    )


def _port(rpc: Rpc, cookie: Path) -> Port:
    host, port = parse_listen(rpc.listen)
    tls = _tls(rpc.tls_cert, rpc.tls_key) if rpc.tls_cert else None
    return Port(host=host, port=port, cookie=cookie, tls=tls, hosts=rpc.hosts, origins=rpc.origins)


def _tls(cert: str, key: str) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    for path in (cert, key):
        try:
            Path(path).read_bytes()
        except OSError as error:
            raise MachineError(
                f"{path} cannot be read: {error.strerror}.",
                hint="Correct [rpc] tls_cert and tls_key, or the file's permissions.",
            ) from error
    if Path(key).stat().st_mode & 0o077:
        raise MachineError(
            f"{key} can be read by others; expected the owner alone.", hint=f"chmod 600 {key}"
        )
    try:
        context.load_cert_chain(cert, key, password=_no_password)
    except (ssl.SSLError, ValueError) as error:
        raise MachineError(
            f"{cert} and {key} are no certificate and its key: {safe_line(str(error))}.",
            hint="Expected PEM files that belong together; the key without a password.",
        ) from None
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted")


def _shared(socket: str) -> Path:
    path = Path(socket)
    if not path.parent.is_dir():
        raise ConfigError(
            f"[rpc] socket: there is no folder {path.parent}.",
            hint="Make it, with permissions that let the others in.",
        )
    return path


def _numbers(
    key: str, roles: Mapping[str, str], number_of: Callable[[str], int | None]
) -> dict[int, str]:
    found = {}
    for name, role in roles.items():
        number = number_of(name)
        if number is None:
            raise ConfigError(
                f"[rpc.{key}]: this machine has no {key[:-1]} {safe_line(name, limit=80)!r}.",
                hint="Correct the name, or give a number.",
            )
        found[number] = role
    return found
