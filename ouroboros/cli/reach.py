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
from ouroboros.errors import EngineUnreachableError, WaitTimeoutError
from ouroboros.paths import Paths, find_root, paths_for

if TYPE_CHECKING:
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


@asynccontextmanager
async def connected(settings: Settings) -> AsyncIterator["Client"]:
    """Connect to the engine for the time of a block."""
    socket = socket_of(settings)
    probe(socket)
    from rpc.client import Client

    client = await _within(Client.connect(socket, name="cli"), ANSWER_WITHIN_S, socket)
    try:
        yield client
    finally:
        await client.close()


async def ask(client: "Client", request: "Request[R]", *, within_s: float | None = None) -> R:
    """Make one call on an open connection.

    Raises:
        WaitTimeoutError: the engine does not answer in time.
    """
    return await _within(client.call(request), within_s or ANSWER_WITHIN_S, None)


async def _within(work: Awaitable[R], seconds: float, socket: Path | None) -> R:
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        at = f" on {socket}" if socket else ""
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
        return await _within(client.call_raw(method, params), LONG_S, None)

    return converse(settings, talk)
