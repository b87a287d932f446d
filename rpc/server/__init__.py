"""The service: one aiohttp application behind the unix door.

`POST /rpc` for one-shot scripts, WebSocket `GET /rpc` for whoever stays, `/healthz`, `/readyz`,
`/metrics`. Browsers have no business here: a request with an `Origin` is refused, there are no
CORS headers, and a POST must say that it is JSON.
"""

import asyncio
import os
from pathlib import Path

from aiohttp import WSCloseCode, web
from aiohttp.typedefs import Handler

from ouroboros.engine.api import EngineApi
from ouroboros.errors import (
    ForbiddenError,
    InvalidParamsError,
    Misuse,
    OuroborosError,
    UnsupportedProtocolError,
)
from ouroboros.model.snapshot import Activity
from ouroboros.model.text import safe_line
from rpc import wire
from rpc.guard import ROLES, Guard, error_object, failure, invalid
from rpc.limits import Limits
from rpc.methods import Session, endpoints
from rpc.server.connection import Connection
from rpc.server.door import Bound, Doorkeeper, actor_of, bind, peer_uid
from rpc.server.frames import Frames
from rpc.server.prometheus import CONTENT_TYPE, exposition

__all__ = ["Server"]

PATH = "/rpc"
PROTOCOL_HEADER = "Ouroboros-Protocol"
_JSON = "application/json"


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
        self._guard = Guard(endpoints(), limits)
        self._frames = Frames()
        self._connections: set[Connection] = set()
        self._runner = web.AppRunner(
            self._application(),
            access_log=None,
            handler_cancellation=True,
            shutdown_timeout=limits.close_s,
        )
        self._bound: Bound | None = None
        self._listener: asyncio.Server | None = None

    @classmethod
    async def start(
        cls,
        engine: EngineApi,
        *,
        socket: Path,
        role: str = "admin",
        limits: Limits | None = None,
    ) -> "Server":
        """Bind the socket and serve.

        Args:
            engine: what is served.
            socket: path of the unix socket; its folder is made 0700.
            role: role of everybody who passes the unix door.
            limits: caps; the defaults are meant for everybody.

        Raises:
            EngineRunningError: a living engine answers there.
            MachineError: the socket cannot be made.
        """
        server = cls(engine, role=role, limits=limits or Limits(), owner=os.getuid())
        server._bound = bind(socket)
        try:
            await server._listen(server._bound)
        except BaseException:
            server._bound.sock.close()
            await server.close()
            raise
        return server

    async def _listen(self, bound: Bound) -> None:
        await self._runner.setup()
        loop = asyncio.get_running_loop()
        self._listener = await loop.create_server(self._doorkeeper, sock=bound.sock)

    async def close(self) -> None:
        """Stop listening, let running calls end for a moment, part from everybody with 1001."""
        if self._listener is not None:
            self._listener.close()
        if self._bound is not None:
            self._bound.remove()
        await self._guard.drain(self._limits.close_s)
        going = WSCloseCode.GOING_AWAY
        partings = (c.close(going, "the engine is stopping") for c in list(self._connections))
        await asyncio.gather(*partings, return_exceptions=True)
        await self._runner.cleanup()

    # --- the door -------------------------------------------------------------------------------

    def _doorkeeper(self) -> asyncio.Protocol:
        web_server = self._runner.server
        if web_server is None:
            raise Misuse("The server accepts before it was set up.")
        return Doorkeeper(
            admit=web_server,
            is_full=lambda: self.clients >= self._limits.connections,
            owner=self._owner,
        )

    @property
    def clients(self) -> int:
        """How many connections are open."""
        web_server = self._runner.server
        return len(web_server.connections) if web_server is not None else 0

    def _session(self, request: web.BaseRequest) -> Session:
        transport = request.transport
        if transport is None:
            raise ConnectionResetError("the peer left")
        return Session(
            engine=self._engine,
            actor=actor_of(peer_uid(transport)),
            role=self._role,
        )

    # --- pages ----------------------------------------------------------------------------------

    def _application(self) -> web.Application:
        application = web.Application(client_max_size=self._limits.body, middlewares=[_no_browsers])
        application.router.add_post(PATH, self._post)
        application.router.add_get(PATH, self._websocket, allow_head=False)
        application.router.add_get("/healthz", self._health)
        application.router.add_get("/readyz", self._ready)
        application.router.add_get("/metrics", self._metrics)
        return application

    async def _post(self, request: web.Request) -> web.Response:
        """Answer one request or batch."""
        if request.content_type != _JSON or (request.charset or "utf-8").lower() != "utf-8":
            hint = f"Send 'Content-Type: {_JSON}'."
            return _refused(415, InvalidParamsError("Expected UTF-8 JSON.", hint=hint))
        offered = request.headers.get(PROTOCOL_HEADER, wire.PROTOCOL)
        if offered != wire.PROTOCOL:
            text = f"This engine speaks protocol {wire.PROTOCOL}, not {safe_line(offered)}."
            return _refused(400, UnsupportedProtocolError(text))
        try:
            body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            error = invalid(f"longer than {self._limits.body} bytes.")
            return _json(failure(error), 413)
        reply = await self._guard.answer(self._session(request), body)
        return web.Response(status=204) if reply is None else _json(reply)

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        """Serve a WebSocket until it ends."""
        socket = web.WebSocketResponse(
            compress=False,
            max_msg_size=self._limits.body,
            heartbeat=self._limits.heartbeat_s,
            timeout=self._limits.close_s,
        )
        if not socket.can_prepare(request).ok:
            text = "GET /rpc is a WebSocket; a single request goes to POST /rpc.\n"
            return web.Response(status=426, text=text, headers={"Upgrade": "websocket"})
        session = self._session(request)
        await socket.prepare(request)
        connection = Connection(
            socket,
            guard=self._guard,
            session=session,
            frames=self._frames,
            limits=self._limits,
        )
        self._connections.add(connection)
        try:
            await connection.serve()
        finally:
            self._connections.discard(connection)
        return socket

    async def _health(self, _request: web.Request) -> web.Response:
        """Say that the event loop turns."""
        return web.Response(text="ok\n")

    async def _ready(self, _request: web.Request) -> web.Response:
        """Say whether the engine works, or waits for something that only people can do."""
        status = self._engine.status()
        if status.activity in (Activity.DRAINING, Activity.HALTED):
            return web.Response(status=503, text=f"{status.activity.value}\n")
        return web.Response(text="ready\n")

    async def _metrics(self, _request: web.Request) -> web.Response:
        """Return gauges for Prometheus."""
        text = exposition(self._engine)
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})


@web.middleware
async def _no_browsers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what a page in a browser sent: nobody else sets `Origin`."""
    if "Origin" in request.headers:
        return _refused(403, ForbiddenError("Requests of web pages are not answered here."))
    return await handler(request)


def _json(body: bytes, status: int = 200) -> web.Response:
    headers = {PROTOCOL_HEADER: wire.PROTOCOL}
    return web.Response(body=body, status=status, content_type=_JSON, headers=headers)


def _refused(status: int, error: OuroborosError) -> web.Response:
    return _json(failure(error_object(error)), status)
