"""From the command line to an engine: which socket, is anybody there, one call and out.

Before the client is even imported, a plain connect tells the four ways apart in which nobody
answers (no socket, not ours to open, left over from a dead engine, not a socket at all), because
each has another way out. That also keeps "no engine" fast: aiohttp is imported only to talk.
"""

import asyncio
import os
import socket as sockets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from ouroboros.cli.options import Settings
from ouroboros.errors import (
    EngineUnreachableError,
    InvalidParamsError,
    MachineError,
    WaitTimeoutError,
)
from ouroboros.paths import Paths, find_root, paths_for

if TYPE_CHECKING:
    from rpc.address import Address
    from rpc.client import Client
    from rpc.wire import Request

R = TypeVar("R")

ANSWER_WITHIN_S = 30.0
"""How long a call that needs no work may take before the engine counts as hanging."""

LONG_S = 600.0
"""The same for calls that do work: a rollback, a verification of a long ledger."""

_START = "Start one with 'ouroboros serve', or with 'ouroboros run' to watch it."


def locate(settings: Settings) -> Paths:
    """Return the places of the target around `--repo`.

    Raises:
        TargetError: no repository there, or a bare one.
    """
    return paths_for(find_root(settings.repo), os.environ)


def socket_of(settings: Settings) -> Path:
    """Return the socket to talk to; with `--socket` no repository is needed."""
    return settings.socket or locate(settings).socket


def address_of(settings: Settings) -> "Address":
    """Return where the engine is that the command talks to: `--socket`, `--host`, or here.

    The token of a port comes from OUROBOROS_TOKEN or the file in OUROBOROS_TOKEN_FILE (as a cookie
    file is), never from the command line, which others can read; certificates to trust from the
    file in OUROBOROS_CA.

    Raises:
        InvalidParamsError: `--host` is none.
        TargetError: no repository here.
    """
    from rpc.address import Local, parse_address

    if settings.socket is not None or not settings.host:
        return Local(socket_of(settings))
    return parse_address(
        settings.host, secret=_secret(), ca_file=os.environ.get("OUROBOROS_CA", "")
    )


def with_token(address: "Address", file: Path | None) -> "Address":
    """Return the address with the token of a file, by which one has less than one's own rights.

    Raises:
        InvalidParamsError: an engine by SSH is asked as the account there.
        MachineError: the file cannot be read, or is empty.
    """
    from rpc.address import Remote

    if file is None:
        return address
    if isinstance(address, Remote):
        raise InvalidParamsError(
            "--token-file goes with an engine of this machine or a port, not with ssh://.",
            hint="Put it into the forced command on the other side (docs/tui.md).",
        )
    secret = _read_secret(str(file), "--token-file")
    if not secret:
        raise MachineError(f"{file} (--token-file) is empty.")
    return address._replace(secret=secret)


def _secret() -> str:
    file = os.environ.get("OUROBOROS_TOKEN_FILE", "")
    if not file:
        return os.environ.get("OUROBOROS_TOKEN", "").strip()
    return _read_secret(file, "OUROBOROS_TOKEN_FILE")


def _read_secret(file: str, name: str) -> str:
    try:
        return Path(file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise MachineError(
            f"{file} ({name}) cannot be read: {error}.", hint="Correct its permissions."
        ) from None


def is_answering(socket: Path) -> bool:
    """Whether somebody accepts connections on the socket."""
    try:
        probe(socket)
    except EngineUnreachableError:
        return False
    return True


def probe(socket: Path) -> None:
    """Connect and hang up.

    Raises:
        EngineUnreachableError: nobody answers; says which of the four ways it is.
    """
    with sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM) as plug:
        plug.settimeout(5.0)
        try:
            plug.connect(os.fspath(socket))
        except FileNotFoundError:
            raise EngineUnreachableError(
                f"No engine is running here: there is no socket {socket}.", hint=_START
            ) from None
        except PermissionError:
            raise EngineUnreachableError(
                f"The socket {socket} may not be opened by this user.",
                hint="Use the account that runs the engine.",
            ) from None
        except ConnectionRefusedError:
            message, hint = _refused(socket)
            raise EngineUnreachableError(message, hint=hint) from None
        except OSError as error:
            raise EngineUnreachableError(
                f"The socket {socket} cannot be connected to: {error.strerror or error}.",
                hint="Check the path given with --socket.",
            ) from None


def _refused(socket: Path) -> tuple[str, str]:
    if not socket.is_socket():
        found = f"Expected a socket at {socket}, found something else."
        return found, "Check the path given with --socket."
    return (
        f"Nobody answers on {socket}: an engine that died left it behind.",
        f"{_START} It replaces the old socket.",
    )


def greet(settings: Settings, address: "Address") -> None:
    """See that somebody answers, before a screen hides what is wrong.

    Raises:
        OuroborosError: whatever keeps a client from connecting.
    """
    from rpc.address import Local

    if isinstance(address, Local):
        probe(address.path)
    else:
        converse(settings, _nothing)


async def _nothing(_client: "Client") -> None:
    """Connecting was all."""


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator["Client"]:
    """Connect to the engine for the time of a block."""
    address = address_of(settings)
    if not settings.host or settings.socket is not None:
        probe(socket_of(settings))
    from rpc.client import Client

    client = await _within(Client.connect(address, name="cli"), ANSWER_WITHIN_S, str(address))
    try:
        yield client
    finally:
        await client.close()


async def ask(client: "Client", request: "Request[R]", *, within_s: float | None = None) -> R:
    """Make one call on an open connection.

    Raises:
        WaitTimeoutError: the engine does not answer in time.
    """
    return await _within(client.call(request), within_s or ANSWER_WITHIN_S, "")


async def _within(work: Awaitable[R], seconds: float, where: str) -> R:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        at = f" on {where}" if where else ""
        raise WaitTimeoutError(
            f"The engine{at} accepted the connection and did not answer within {seconds:.0f} s.",
            hint="Look at its log ('ouroboros doctor' names it), or stop it and start it again.",
        ) from None


def converse(settings: Settings, talk: Callable[["Client"], Awaitable[R]]) -> R:
    """Run `talk` on a connection to the engine, and return what it returns."""

    async def conversation() -> R:
        async with connected(settings) as client:
            return await talk(client)

    return asyncio.run(conversation())


def call(settings: Settings, request: "Request[R]", *, within_s: float | None = None) -> R:
    """Make one call and hang up."""

    async def talk(client: "Client") -> R:
        return await ask(client, request, within_s=within_s)

    return converse(settings, talk)


def call_raw(settings: Settings, method: str, params: Any) -> Any:
    """Call any method by name with plain JSON values."""

    async def talk(client: "Client") -> Any:
        return await _within(client.call_raw(method, params), LONG_S, "")

    return converse(settings, talk)
