"""The cockpit in a browser: `ouroboros web`, on loopback, behind the engine's own tokens.

`textual-serve` shows a Textual application in a page, one process for each page; it asks nobody who
he is and takes a WebSocket from any origin. So nothing of it is reached here but through this gate:

- Requests must name this server in `Host` (a page of another name that resolves here gets 421), and
  a page's requests must come from this server's own origin (403).
- One logs in with a token of the engine (`ouroboros token create`). It is the engine that knows it:
  the gate connects with it and keeps what the engine answered. A page's cockpit is attached with
  that token, so that the ledger says `token:NAME` and the engine enforces its role, its list of
  methods and its end; a revoked token ends the cockpit as it ends any client.
- The cookie is random, for this host alone, unreadable by scripts, and never sent by another site.
  Sessions live in memory for twelve hours.
- The page loads nothing from elsewhere: the policy that is sent with it forbids it.
"""

import asyncio
import contextlib
import html
import logging
import secrets
import shlex
import sys
import time
from collections.abc import Awaitable, Callable

import msgspec
from aiohttp import web
from textual_serve.app_service import AppService
from textual_serve.server import Server

from ouroboros.errors import MachineError, OuroborosError
from ouroboros.model.text import safe_line
from rpc.address import Local, Network
from rpc.client import Client
from tui import served

_log = logging.getLogger(__name__)

COOKIE = "ouroboros_session"
SESSION_S = 12 * 3600.0
PAGES = 8
"""Cockpits at once; each is a process."""
_WRONG_S = 1.0
"""How long a wrong token makes the next log-in wait."""
_LARGEST_FORM = 4096
_CLOSE_S = 5.0
_RUBBISH = (TypeError, ValueError, AttributeError, AssertionError)
"""What the page's own protocol raises for messages that are none."""

POLICY = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    "font-src 'self' data:; img-src 'self' data:; connect-src 'self'; form-action 'self'; "
    "base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {  # without any referrer, browsers hide the origin of a form, too
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}

LOGIN = """<!DOCTYPE html>
<html lang="en"><head><meta charset="utf-8"><title>Ouroboros: log in</title>
<meta name="viewport" content="width=device-width"><style>
body {{ background: #10151b; color: #d3dbe3; font: 16px/1.5 monospace; display: grid;
        min-height: 90vh; place-items: center; }}
form {{ width: min(28rem, 90vw); }} label {{ display: block; margin-bottom: .4rem; }}
input {{ width: 100%; box-sizing: border-box; font: inherit; padding: .4rem; color: inherit;
         background: #1e2731; border: 1px solid #79b8ff; }}
button {{ font: inherit; margin-top: .8rem; padding: .4rem 1.2rem; background: #79b8ff;
          color: #10151b; border: 0; }}
p.wrong {{ color: #ff8a7a; }} p.hint {{ color: #8b98a5; }}
</style></head><body><form method="post" action="/login">
<h1>&#9711; ouroboros</h1>{wrong}
<label for="token">Token of the engine</label>
<input id="token" name="token" type="password" autocomplete="current-password" autofocus required>
<button>Log in</button>
<p class="hint">'ouroboros token create NAME --role approver' makes one. Its role is what you may
do here.</p></form></body></html>
"""


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """Who logged in; `until` on the monotonic clock."""

    secret: str
    actor: str
    role: str
    until: float


class Page(AppService):
    """One cockpit for one page, attached with the session's token."""

    def __init__(self, gate: "Gate", session: Session, socket: web.WebSocketResponse) -> None:
        """Take who it is for."""
        super().__init__(
            gate.command,
            write_bytes=socket.send_bytes,
            write_str=socket.send_str,
            close=socket.close,  # type: ignore[arg-type]  # it returns whether it was open
            download_manager=gate.download_manager,
        )
        self._gate = gate
        self._session = session

    def _build_environment(self, width: int = 80, height: int = 24) -> dict[str, str]:
        """Return what the cockpit's process is told."""
        environment = super()._build_environment(width, height)
        for name in list(environment):
            if name.startswith(("OUROBOROS_TOKEN", "SSH_")) or name == "TMUX":
                del environment[name]
        return environment | self._gate.told(self._session)

    async def end(self) -> None:
        """Ask the cockpit to leave, and see that nothing of it is left."""
        try:
            async with asyncio.timeout(_CLOSE_S):
                await self.stop()
        except TimeoutError:
            _log.warning("a cockpit of %s did not leave, and is killed", self._session.actor)
        process = self._process
        if process is None:
            return
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
        process._transport.close()  # type: ignore[attr-defined]  # noqa: SLF001 - there is no other way


class Gate(Server):
    """The web server: log-in, checks, and behind them the page and its WebSocket."""

    def __init__(self, address: Local | Network, *, port: int, read_only: bool) -> None:
        """Take the engine's address, and where to listen on 127.0.0.1."""
        argv = [sys.executable, "-I", "-X", "utf8", "-m", "tui.served"]
        command = f"exec {shlex.join(argv)}"  # a shell starts it, and must not stay between
        super().__init__(command, host="127.0.0.1", port=port, title="Ouroboros")
        self._address = address
        self._read_only = read_only
        self._sessions: dict[str, Session] = {}
        self._pages = 0
        self._login = asyncio.Lock()

    def told(self, session: Session) -> dict[str, str]:
        """Return how a session's cockpit finds the engine."""
        where = self._address
        told = {served.SECRET: session.secret, served.READ_ONLY: "1" if self._read_only else "0"}
        if isinstance(where, Local):
            return told | {served.SOCKET: str(where.path)}
        return told | {served.URL: where.url, served.CA_FILE: where.ca_file}

    @property
    def hosts(self) -> frozenset[str]:
        """What `Host` may say."""
        return frozenset({f"127.0.0.1:{self.port}", f"localhost:{self.port}"})

    # --- serving --------------------------------------------------------------------------------

    async def listen(self, on_ready: Callable[[str], None]) -> None:
        """Serve until cancelled.

        Raises:
            MachineError: the port cannot be had.
        """
        runner = web.AppRunner(await self._make_app(), access_log=None, shutdown_timeout=_CLOSE_S)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self.host, self.port)
            await site.start()
            if self.port == 0:
                self.port = runner.addresses[0][1]
            self.public_url = f"http://{self.host}:{self.port}"
            on_ready(self.public_url)
            await asyncio.Event().wait()
        except OSError as error:
            raise MachineError(
                f"Port {self.port} of 127.0.0.1 cannot be had: {error.strerror}.",
                hint="Choose another with --port.",
            ) from None
        finally:
            await runner.cleanup()

    async def _make_app(self) -> web.Application:
        """Return the application: textual-serve's page and files, and our gate before them."""
        application = await super()._make_app()
        made = web.Application(middlewares=[self._checked], client_max_size=_LARGEST_FORM)
        for key, value in application.items():
            made[key] = value  # the templates
        made.add_routes(
            [
                web.get("/", self.handle_index, name="index"),
                web.get("/login", self._form),
                web.post("/login", self._log_in),
                web.post("/logout", self._log_out),
                web.get("/ws", self.handle_websocket, name="websocket"),
                web.static("/static", self.statics_path, name="static"),
            ]
        )
        return made

    @web.middleware
    async def _checked(
        self,
        request: web.Request,
        handler: Callable[[web.Request], Awaitable[web.StreamResponse]],
    ) -> web.StreamResponse:
        """Refuse other names and other sites; ask who it is where that matters."""
        response = self._refusal(request)
        if response is None:
            try:
                response = await handler(request)
            except web.HTTPException as error:
                error.headers.update(HEADERS)
                raise
        if not response.prepared:
            response.headers.update(HEADERS)
        return response

    def _refusal(self, request: web.Request) -> web.StreamResponse | None:
        hosts = request.headers.getall("Host", [])
        if len(hosts) != 1 or hosts[0].lower() not in self.hosts:
            return web.Response(status=421, text="This server has another name.\n")
        origins = request.headers.getall("Origin", [])
        own = f"http://{hosts[0].lower()}"
        needed = request.method == "POST" or request.path == "/ws"
        if any(origin != own for origin in origins) or (needed and len(origins) != 1):
            return web.Response(status=403, text="Only this server's own page may ask that.\n")
        open_to_all = request.path == "/login" or request.path.startswith("/static/")
        if open_to_all or self._session(request) is not None:
            return None
        if request.path == "/":
            return web.Response(status=303, headers={"Location": "/login"})
        return web.Response(status=401, text="Log in first.\n")

    def _session(self, request: web.Request) -> Session | None:
        now = time.monotonic()
        for key in [key for key, known in self._sessions.items() if known.until <= now]:
            del self._sessions[key]
        return self._sessions.get(request.cookies.get(COOKIE, ""))

    # --- logging in -----------------------------------------------------------------------------

    async def _form(self, _request: web.Request) -> web.Response:
        return _page(LOGIN.format(wrong=""))

    async def _log_in(self, request: web.Request) -> web.Response:
        """Ask the engine whether it knows the token; one by one, slowly after a wrong one."""
        secret = str((await request.post()).get("token", "")).strip()
        async with self._login:
            try:
                session = await self._greeted(secret)
            except OuroborosError as error:
                _log.warning("a log-in was refused: %s", safe_line(error.message))
                await asyncio.sleep(_WRONG_S)
                said = html.escape(safe_line(error.message, limit=300))
                return _page(LOGIN.format(wrong=f'<p class="wrong">{said}</p>'), status=403)
        key = secrets.token_urlsafe(32)
        self._sessions[key] = session
        _log.info("%s logged in as %s", session.actor, session.role)
        response = web.Response(status=303, headers={"Location": "/"})
        response.set_cookie(
            COOKIE, key, httponly=True, samesite="Strict", path="/", max_age=int(SESSION_S)
        )
        return response

    async def _greeted(self, secret: str) -> Session:
        if not secret or not secret.isascii() or not secret.isprintable():
            raise OuroborosError("This is no token.")
        client = await Client.connect(self._address._replace(secret=secret), name="ouroboros-web")
        try:
            hello = client.hello
        finally:
            await client.close()
        if not hello.actor.startswith("token:"):
            raise OuroborosError("The engine took no notice of the token.")  # fail closed
        until = time.monotonic() + SESSION_S
        return Session(secret=secret, actor=hello.actor, role=hello.role, until=until)

    async def _log_out(self, request: web.Request) -> web.Response:
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)
        response = web.Response(status=303, headers={"Location": "/login"})
        response.del_cookie(COOKIE, path="/")
        return response

    # --- the cockpit ----------------------------------------------------------------------------

    async def handle_websocket(self, request: web.Request) -> web.WebSocketResponse:
        """Run a cockpit as long as the page is there."""
        session = self._session(request)
        socket = web.WebSocketResponse(heartbeat=15, max_msg_size=1 << 20)
        await socket.prepare(request)
        if session is None or self._pages >= PAGES:
            text = "log in first" if session is None else "too many pages are open"
            await socket.close(code=1013, message=text.encode())
            return socket
        self._pages += 1
        page = Page(self, session, socket)
        try:
            await page.start(_cells(request, "width", 80), _cells(request, "height", 24))
            await self._process_messages(socket, page)
        except (ConnectionError, LookupError, *_RUBBISH):
            _log.warning("a page of %s sent what is none of the protocol", session.actor)
        finally:
            self._pages -= 1
            await page.end()
        return socket


def _cells(request: web.Request, name: str, usual: int) -> int:
    text = request.query.get(name, "")
    return max(20, min(500, int(text))) if text.isdecimal() and len(text) < 5 else usual  # noqa: PLR2004 - digits


def _page(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, content_type="text/html", status=status)


async def serve(
    address: Local | Network, *, port: int, read_only: bool, on_ready: Callable[[str], None]
) -> None:
    """Serve the cockpit to browsers of this machine until cancelled.

    Args:
        address: the engine's socket or port.
        port: of 127.0.0.1; 0 for any that is free.
        read_only: look, do not act, whatever the token allows.
        on_ready: is called with the page's address.

    Raises:
        MachineError: the port cannot be had.
    """
    await Gate(address, port=port, read_only=read_only).listen(on_ready)
