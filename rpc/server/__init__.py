"""The service: one unix door always; by choice a port of the network, and a shared unix door.

`POST /rpc` for one-shot scripts, WebSocket `GET /rpc` for whoever stays, `GET /events`,
`/healthz`, `/readyz`, `/metrics`: see `pages`. Who may pass which door is in `access`; what stands
in front of both is in `door`.
"""

import asyncio
import logging
import os
import socket as sockets
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import WSCloseCode, web

from ouroboros.engine.api import EngineApi
from ouroboros.errors import MachineError, Misuse
from rpc import keys
from rpc.guard import Guard
from rpc.limits import Limits
from rpc.methods import endpoints
from rpc.methods.session import ROLES
from rpc.server.access import Access, LocalAccess, TokenAccess
from rpc.server.cookie import Cookie
from rpc.server.door import Bound, Doorkeeper, Entrance, bind
from rpc.server.pages import PATH, PROTOCOL_HEADER, Pages, Service

__all__ = ["PATH", "PROTOCOL_HEADER", "Doors", "Port", "Server"]

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Port:
    """A door to the network. `hosts` are names besides its own that the `Host` header may have.

    `cookie` is the file that gets a secret of this run for the owner's own programs.
    """

    host: str
    port: int
    cookie: Path
    tls: ssl.SSLContext | None = None
    hosts: tuple[str, ...] = ()
    origins: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Doors:
    """What is open besides the unix socket of the owner. `users` and `groups`: roles by number."""

    port: Port | None = None
    shared: Path | None = None
    users: Mapping[int, str] = field(default_factory=dict)
    groups: Mapping[int, str] = field(default_factory=dict)


class _Door:
    """One listener with its web server."""

    def __init__(self, service: Service, access: Access) -> None:
        self._service = service
        self._access = access
        self._runner = web.AppRunner(
            Pages(service, access).application(),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=service.limits.close_s,
            keepalive_timeout=service.limits.idle_s,
        )
        self._entrance: Entrance | None = None
        self._listener: asyncio.Server | None = None

    async def open(self, **where: Any) -> asyncio.Server:
        """Listen; `where` as `loop.create_server` takes it."""
        await self._runner.setup()
        web_server = self._runner.server
        if web_server is None:
            raise Misuse("The web server has no protocol after it was set up.")
        refused = self._service.guard.refused
        entrance = Entrance(
            admit=web_server,
            peers=self._access.peers,
            open_now=lambda: len(web_server.connections),
            limits=self._service.limits,
            refused=lambda name: refused.update({name: 1}),
        )
        self._entrance = entrance
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(
            lambda: Doorkeeper(entrance), backlog=1024, **where
        )
        return self._listener

    @property
    def count(self) -> int:
        """How many connections are open."""
        return self._entrance.count if self._entrance is not None else 0

    def stop_listening(self) -> None:
        """Take no new connection."""
        if self._listener is not None:
            self._listener.close()

    async def close(self) -> None:
        """End what is open."""
        await self._runner.cleanup()


class Server:
    """A running service; `start` makes one, `close` ends it."""

    def __init__(self, engine: EngineApi, *, role: str, limits: Limits, owner: int) -> None:
        """Prepare; use `start`."""
        if role not in ROLES:
            raise Misuse(f"Expected a role of {ROLES}, got {role!r}.")
        self._engine = engine
        self._role = role
        self._limits = limits
        self._owner = owner
        self._service = Service(engine=engine, guard=Guard(endpoints(), limits), limits=limits)
        self._doors: list[_Door] = []
        self._bound: list[Bound] = []
        self._cookie: Cookie | None = None
        self.port = 0
        """Where the network's door is; 0: there is none."""

    @classmethod
    async def start(
        cls,
        engine: EngineApi,
        *,
        socket: Path,
        role: str = "admin",
        limits: Limits | None = None,
        doors: Doors | None = None,
        clock_ns: Callable[[], int] = time.time_ns,
    ) -> "Server":
        """Bind the doors and serve.

        Args:
            engine: what is served.
            socket: path of the unix socket; its folder is made 0700.
            role: role of the owner and of root.
            limits: caps; the defaults are meant for everybody.
            doors: what else is open.
            clock_ns: the time, by which tokens expire.

        Raises:
            EngineRunningError: a living engine answers there.
            MachineError: a door cannot be made.
        """
        server = cls(engine, role=role, limits=limits or Limits(), owner=os.getuid())
        try:
            await server._open(socket, doors or Doors(), clock_ns)
        except BaseException:
            await server.close()
            raise
        return server

    async def _open(self, socket: Path, doors: Doors, clock_ns: Callable[[], int]) -> None:
        own = LocalAccess(
            self._engine,
            owner=self._owner,
            role=self._role,
            users={},
            groups={},
            clock_ns=clock_ns,
        )
        await self._unix(bind(socket), own)
        if doors.shared is not None:
            shared = LocalAccess(
                self._engine,
                owner=self._owner,
                role=self._role,
                users=doors.users,
                groups=doors.groups,
                clock_ns=clock_ns,
            )
            await self._unix(bind(doors.shared, shared=True), shared)
        if doors.port is not None:
            await self._network(doors.port, clock_ns)

    async def _unix(self, bound: Bound, access: Access) -> None:
        self._bound.append(bound)
        door = _Door(self._service, access)
        self._doors.append(door)
        await door.open(sock=bound.sock)

    async def _network(self, port: Port, clock_ns: Callable[[], int]) -> None:
        sock = _bound_port(port)
        self.port = sock.getsockname()[1]
        self._cookie = Cookie.write(port.cookie, keys.new_secret())
        access = TokenAccess(
            self._engine,
            cookie=self._cookie.secret,
            owner=self._owner,
            hosts=_hosts(port, self.port),
            origins=port.origins,
            limits=self._limits,
            clock_ns=clock_ns,
        )
        door = _Door(self._service, access)
        self._doors.append(door)
        await door.open(sock=sock, ssl=port.tls)
        _log.info("listening on %s, port %d%s", port.host, self.port, ", TLS" if port.tls else "")

    async def close(self) -> None:
        """Stop listening, let running calls end for a moment, part from everybody with 1001."""
        for door in self._doors:
            door.stop_listening()
        for bound in self._bound:
            bound.sock.close()
            bound.remove()
        if self._cookie is not None:
            self._cookie.remove()
        await self._service.guard.drain(self._limits.close_s)
        going = WSCloseCode.GOING_AWAY
        connections = list(self._service.connections)
        partings = (c.close(going, "the engine is stopping") for c in connections)
        await asyncio.gather(*partings, return_exceptions=True)
        for stream in list(self._service.streams):
            stream.cancel()
        for door in self._doors:
            await door.close()

    @property
    def clients(self) -> int:
        """How many connections are open, at all doors."""
        return sum(door.count for door in self._doors)


def _bound_port(port: Port) -> sockets.socket:
    family = sockets.AF_INET6 if ":" in port.host else sockets.AF_INET
    sock = sockets.socket(family, sockets.SOCK_STREAM)
    try:
        sock.setsockopt(sockets.SOL_SOCKET, sockets.SO_REUSEADDR, 1)
        sock.bind((port.host, port.port))
    except OSError as error:
        sock.close()
        raise MachineError(
            f"Port {port.port} of {port.host} cannot be listened on: {error.strerror or error}.",
            hint="Choose another one as [rpc] listen, or stop what uses it.",
        ) from error
    sock.setblocking(False)
    return sock


def _hosts(port: Port, number: int) -> frozenset[str]:
    """Return what the `Host` header may be."""
    names = {port.host, *port.hosts}
    if port.host in {"127.0.0.1", "::1"}:
        names |= {"localhost", "127.0.0.1", "::1"}
    bracketed = {f"[{name}]" if ":" in name else name for name in names}
    usual = 443 if port.tls else 80
    plain = bracketed if number == usual else frozenset()
    return frozenset(f"{name}:{number}".lower() for name in bracketed) | frozenset(plain)
