"""The pages of a door: `POST /rpc`, the WebSocket `GET /rpc`, `GET /events`, health and metrics.

Each door has an application of its own, whose `Access` says who is asking. `/healthz` and
`/readyz` tell nothing that needs a secret, so that a supervisor needs none; all else does.
"""

import asyncio
from dataclasses import dataclass, field

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from ouroboros.engine.api import EngineApi
from ouroboros.errors import (
    InvalidParamsError,
    OuroborosError,
    UnsupportedProtocolError,
    WaitTimeoutError,
)
from ouroboros.model.snapshot import Activity
from ouroboros.model.text import safe_line
from rpc import wire
from rpc.guard import Guard, error_object, failure, invalid
from rpc.limits import Limits
from rpc.methods import Session
from rpc.server import sse
from rpc.server.access import SUBPROTOCOL, Access, status_of
from rpc.server.connection import Connection
from rpc.server.frames import Frames
from rpc.server.prometheus import CONTENT_TYPE, exposition

PATH = "/rpc"
PROTOCOL_HEADER = "Ouroboros-Protocol"
_JSON = "application/json"


@dataclass(kw_only=True)
class Service:
    """What all doors share."""

    engine: EngineApi
    guard: Guard
    limits: Limits
    frames: Frames = field(default_factory=Frames)
    connections: set[Connection] = field(default_factory=set)
    streams: set[asyncio.Task[None]] = field(default_factory=set)


class Pages:
    """The pages behind one door."""

    def __init__(self, service: Service, access: Access) -> None:
        """Take what is served, and who may see it."""
        self._service = service
        self._access = access

    def application(self) -> web.Application:
        """Make the application of the door."""
        application = web.Application(
            client_max_size=self._service.limits.body, middlewares=[self._checked()]
        )
        application.router.add_post(PATH, self._post)
        application.router.add_get(PATH, self._websocket, allow_head=False)
        application.router.add_get("/events", self._events, allow_head=False)
        application.router.add_get("/healthz", self._health)
        application.router.add_get("/readyz", self._ready)
        application.router.add_get("/metrics", self._metrics)
        return application

    def _checked(self) -> Middleware:
        @web.middleware
        async def checked(request: web.Request, handler: Handler) -> web.StreamResponse:
            try:
                self._access.check(request)
                return await handler(request)
            except OuroborosError as error:
                self._service.guard.refused[error.rpc_name] += 1
                status, headers = status_of(error)
                response = _refused(status, error)
                response.headers.update(headers)
                return response

        return checked

    def _session(self, request: web.Request) -> Session:
        caller = self._access.caller(request)
        return Session(
            engine=self._service.engine,
            actor=caller.actor,
            role=caller.role,
            methods=caller.methods,
            alive=caller.alive,
        )

    async def _post(self, request: web.Request) -> web.Response:
        """Answer one request or batch."""
        limits = self._service.limits
        session = self._session(request)
        if request.content_type != _JSON or (request.charset or "utf-8").lower() != "utf-8":
            hint = f"Send 'Content-Type: {_JSON}'."
            return _refused(415, InvalidParamsError("Expected UTF-8 JSON.", hint=hint))
        offered = request.headers.get(PROTOCOL_HEADER, wire.PROTOCOL)
        if offered != wire.PROTOCOL:
            text = f"This engine speaks protocol {wire.PROTOCOL}, not {safe_line(offered)}."
            return _refused(400, UnsupportedProtocolError(text))
        try:
            async with asyncio.timeout(limits.body_s):
                body = await request.read()
        except web.HTTPRequestEntityTooLarge:
            error = invalid(f"longer than {limits.body} bytes.")
            return _json(failure(error), 413)
        except TimeoutError:
            late = WaitTimeoutError(f"The request was not complete after {limits.body_s:g} s.")
            response = _refused(408, late)
            response.force_close()
            return response
        reply = await self._service.guard.answer(session, body)
        return web.Response(status=204) if reply is None else _json(reply)

    async def _websocket(self, request: web.Request) -> web.StreamResponse:
        """Serve a WebSocket until it ends."""
        limits = self._service.limits
        socket = web.WebSocketResponse(
            compress=False,
            autoclose=False,  # a connection closes it, once its answers are out
            max_msg_size=limits.body,
            heartbeat=limits.heartbeat_s,
            timeout=limits.close_s,
            protocols=(SUBPROTOCOL,),
        )
        session = self._session(request)
        if not socket.can_prepare(request).ok:
            text = "GET /rpc is a WebSocket; a single request goes to POST /rpc.\n"
            return web.Response(status=426, text=text, headers={"Upgrade": "websocket"})
        await socket.prepare(request)
        connection = Connection(
            socket,
            guard=self._service.guard,
            session=session,
            frames=self._service.frames,
            limits=limits,
            transport=request.transport,
        )
        self._service.connections.add(connection)
        try:
            await connection.serve()
        finally:
            self._service.connections.discard(connection)
        return socket

    async def _events(self, request: web.Request) -> web.StreamResponse:
        """Stream events until the peer leaves."""
        session = self._session(request)
        self._service.guard.refuse_method(session, wire.EventsSubscribe)
        try:
            topics, from_seq = sse.wanted(request, session.engine)
        except OuroborosError as error:
            return _refused(400 if isinstance(error, InvalidParamsError) else 409, error)
        response = web.StreamResponse(headers=sse.HEADERS)
        await response.prepare(request)
        task = asyncio.current_task()
        if task is not None:
            self._service.streams.add(task)
        try:
            await sse.stream(
                response,
                session=session,
                topics=topics,
                from_seq=from_seq,
                frames=self._service.frames,
                limits=self._service.limits,
            )
        finally:
            if task is not None:
                self._service.streams.discard(task)
        response.force_close()
        return response

    async def _health(self, _request: web.Request) -> web.Response:
        """Say that the event loop turns."""
        return web.Response(text="ok\n")

    async def _ready(self, _request: web.Request) -> web.Response:
        """Say whether the engine works, or waits for something that only people can do."""
        status = self._service.engine.status()
        if status.activity in (Activity.DRAINING, Activity.HALTED):
            return web.Response(status=503, text=f"{status.activity.value}\n")
        return web.Response(text="ready\n")

    async def _metrics(self, request: web.Request) -> web.Response:
        """Return gauges for Prometheus."""
        self._service.guard.refuse_method(self._session(request), wire.EngineStatusGet)
        text = exposition(self._service.engine, self._service.guard.refused)
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})


def _json(body: bytes, status: int = 200) -> web.Response:
    headers = {PROTOCOL_HEADER: wire.PROTOCOL}
    return web.Response(body=body, status=status, content_type=_JSON, headers=headers)


def _refused(status: int, error: OuroborosError) -> web.Response:
    return _json(failure(error_object(error)), status)
