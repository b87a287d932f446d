"""The door to the network: tokens, cookie, hosts, origins, TLS, and who may call what."""

import asyncio
import datetime as dt
import ipaddress
import json
import resource
import ssl
import stat
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from rpc import keys, wire
from rpc.limits import Limits
from rpc.methods.session import ROLES
from rpc.server import Doors, Port, Server

LIMITS = Limits(head_s=0.4, body_s=0.4, idle_s=1.0, failures=3, forgive_s=30.0)
NOW = [1_000]


class Open:
    """A server with a port, and a client for it."""

    def __init__(self, engine: Any, server: Server, http: aiohttp.ClientSession) -> None:
        self.engine = engine
        self.server = server
        self.http = http
        self.base = f"http://127.0.0.1:{server.port}"

    def token(self, name: str, role: str, *methods: str, expires_ns: int = 0) -> dict[str, str]:
        """Give a token; returns the header that shows it."""
        secret = f"ouro_{name}"
        self.engine.give(name, role, keys.digest(secret), methods, expires_ns)
        return {"Authorization": f"Bearer {secret}"}

    async def call(
        self, method: str, headers: dict[str, str], params: object = None
    ) -> tuple[int, dict[str, Any]]:
        """Call a method; returns the status and the answer."""
        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params or {}}
        async with self.http.post(f"{self.base}/rpc", json=body, headers=headers) as answer:
            return answer.status, json.loads(await answer.read() or b"{}")


@pytest.fixture
async def door(engine: Any, folder: Path) -> AsyncIterator[Open]:
    port = Port(
        host="127.0.0.1",
        port=0,
        cookie=folder / "cookie",
        hosts=("ci.example.org",),
        origins=("https://ops.example.org",),
    )
    server = await Server.start(
        engine,
        socket=folder / "run" / "e.sock",
        limits=LIMITS,
        doors=Doors(port=port),
        clock_ns=lambda: NOW[0],
    )
    async with aiohttp.ClientSession() as http:
        yield Open(engine, server, http)
    await server.close()


async def test_without_a_token_nothing_is_told(door: Open) -> None:
    status, answer = await door.call("engine.status", {})
    assert status == 401
    assert answer["error"]["data"]["name"] == "unauthenticated"
    async with door.http.get(f"{door.base}/metrics") as got:
        assert got.status == 401
        assert got.headers["WWW-Authenticate"] == "Bearer"
    async with door.http.get(f"{door.base}/events") as got:
        assert got.status == 401
    with pytest.raises(aiohttp.WSServerHandshakeError, match="401"):
        await door.http.ws_connect(f"{door.base}/rpc")
    for page in ("healthz", "readyz"):
        async with door.http.get(f"{door.base}/{page}") as got:
            assert got.status == 200


async def test_the_cookie_is_the_owners_key_for_this_run(door: Open, folder: Path) -> None:
    cookie = folder / "cookie"
    assert stat.S_IMODE(cookie.stat().st_mode) == 0o600
    secret = cookie.read_text().strip()
    status, answer = await door.call("auth.whoami", {"Authorization": f"Bearer {secret}"})
    assert status == 200
    assert answer["result"]["role"] == "admin"
    assert answer["result"]["actor"].startswith("uid:")
    await door.server.close()
    assert not cookie.exists()


async def test_a_token_is_made_shown_once_used_and_taken_back(door: Open, folder: Path) -> None:
    owner = {"Authorization": f"Bearer {(folder / 'cookie').read_text().strip()}"}
    asked = {"name": "ci", "grants": "operator", "methods": ["cycle.*"], "reason": "nightly"}
    _, made = await door.call("token.create", owner, asked)
    secret = made["result"]["secret"]
    assert secret.startswith("ouro_")
    assert len(secret) > 40
    _, listed = await door.call("token.list", owner)
    assert secret not in json.dumps(listed)
    assert secret.encode() not in b"".join(door.engine.bytes)
    ci = {"Authorization": f"bearer {secret}"}
    assert (await door.call("cycle.trigger", ci))[1]["result"]["cycle"] > 0
    status, refused = await door.call("engine.pause", ci)
    assert (status, refused["error"]["data"]["name"]) == (200, "forbidden")
    assert (
        door.engine.entries[-1].entry.actor == "token:ci" or door.engine.asked[-1][1] == "token:ci"
    )
    await door.call("token.revoke", owner, {"name": "ci", "reason": "leaked"})
    assert (await door.call("cycle.trigger", ci))[0] == 401


async def test_a_token_ends_when_it_is_said_to(door: Open) -> None:
    late = door.token("brief", "viewer", expires_ns=NOW[0] + 5)
    assert (await door.call("engine.status", late))[0] == 200
    NOW[0] += 5
    assert (await door.call("engine.status", late))[0] == 401


async def test_who_is_connected_is_let_go_when_his_token_is_taken_back(door: Open) -> None:
    viewer = door.token("screen", "viewer")
    socket = await door.http.ws_connect(f"{door.base}/rpc", headers=viewer)
    ask = {"jsonrpc": "2.0", "id": 1, "method": "events.subscribe", "params": {}}
    await socket.send_json(ask)
    assert (await socket.receive_json())["result"]["subscription"]
    await door.engine.revoke_token("screen", actor="uid:ann", reason="gone")
    await socket.send_json({**ask, "id": 2, "method": "engine.status"})
    messages = [await socket.receive() for _ in range(2)]
    assert any(m.type is aiohttp.WSMsgType.CLOSE and m.data == 1008 for m in messages)
    answers = [json.loads(m.data) for m in messages if m.type is aiohttp.WSMsgType.TEXT]
    assert all("result" not in answer and "params" not in answer for answer in answers)


@pytest.mark.parametrize("role", ROLES)
async def test_each_method_needs_its_role(door: Open, role: str) -> None:
    """The whole matrix: what is above a role is refused, before its parameters are looked at."""
    mine = door.token(role, role)
    before = len(door.engine.entries)
    for request in wire.REQUESTS:
        allowed = ROLES.index(role) >= ROLES.index(request.role)
        if allowed:
            continue
        _, answer = await door.call(request.method, mine, {"nonsense": 1})
        assert answer["error"]["data"]["name"] == "forbidden", request.method
    assert len(door.engine.entries) == before
    _, answer = await door.call("auth.whoami", mine)
    assert answer["result"] == {"actor": f"token:{role}", "role": role, "methods": []}


async def test_what_a_role_may_is_not_refused(door: Open) -> None:
    admin = door.token("all", "admin")
    for request in wire.REQUESTS:
        _, answer = await door.call(request.method, admin, {"nonsense": 1})
        assert answer["error"]["data"]["name"] != "forbidden", request.method


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Host": "evil.example.org"}, 421),
        ({"Host": "127.0.0.1"}, 421),
        ({"Host": "127.0.0.1:1"}, 421),
        ({"Origin": "http://evil.example.org"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "https://ops.example.org.evil.org"}, 403),
        ({"Content-Type": "text/plain"}, 415),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415),
    ],
)
async def test_pages_of_browsers_are_refused(
    door: Open, headers: dict[str, str], status: int
) -> None:
    """Also with a right token: a browser may have been given one."""
    shown = door.token("page", "admin") | {"Content-Type": "application/json"} | headers
    body = b'{"jsonrpc":"2.0","id":1,"method":"engine.pause"}'
    async with door.http.post(f"{door.base}/rpc", data=body, headers=shown) as answer:
        assert answer.status == status
        assert not [h for h in answer.headers if h.lower().startswith("access-control")]
    assert not door.engine.state.paused
    if status != 415:
        del shown["Content-Type"]
        with pytest.raises(aiohttp.WSServerHandshakeError, match=str(status)):
            await door.http.ws_connect(f"{door.base}/rpc", headers=shown)


async def test_a_page_that_is_named_may_connect_with_a_token_of_its_own(door: Open) -> None:
    secret = door.token("page", "viewer")["Authorization"].removeprefix("Bearer ")
    socket = await door.http.ws_connect(
        f"{door.base}/rpc",
        headers={"Origin": "https://ops.example.org"},
        protocols=("ouroboros", f"ouroboros.token.{secret}"),
    )
    assert socket.protocol == "ouroboros"
    await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "auth.whoami"})
    assert (await socket.receive_json())["result"]["actor"] == "token:page"
    await socket.close()
    port = door.server.port
    for host in (f"localhost:{port}", f"LOCALHOST:{port}", f"ci.example.org:{port}"):
        async with door.http.get(f"{door.base}/healthz", headers={"Host": host}) as answer:
            assert answer.status == 200


async def test_wrong_tokens_have_to_wait_and_right_ones_do_not(door: Open) -> None:
    right = door.token("ci", "viewer")
    wrong = {"Authorization": "Bearer ouro_guess"}
    statuses = [(await door.call("engine.status", wrong))[0] for _ in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert (await door.call("engine.status", right))[0] == 200
    async with door.http.get(f"{door.base}/metrics", headers=right) as answer:
        text = await answer.text()
    assert 'ouroboros_rpc_refused_total{reason="unauthenticated"} 3' in text
    assert 'ouroboros_rpc_refused_total{reason="busy"} 2' in text


async def test_a_connection_that_says_nothing_in_time_is_closed(door: Open) -> None:
    port = door.server.port
    silent = [await asyncio.open_connection("127.0.0.1", port) for _ in range(3)]
    for number, (_, writer) in enumerate(silent):
        writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n"[: 10 * number])
    async with asyncio.timeout(5):
        for reader, writer in silent:
            with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
                assert await reader.readexactly(1)
            writer.close()
    slow = door.token("slow", "admin")["Authorization"]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(
        f"POST /rpc HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: {slow}\r\n"
        "Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{".encode()
    )
    async with asyncio.timeout(5):
        assert b" 408 " in await reader.readline()
    writer.close()


async def test_a_head_without_end_is_refused(door: Open) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", door.server.port)
    writer.write(b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 4000)
    async with asyncio.timeout(5):
        assert b" 431 " in await reader.readline()
    writer.close()


async def test_64_mib_are_refused_by_their_announcement(door: Open) -> None:
    mine = door.token("big", "admin")

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(64):
            yield b" " * (1 << 20)

    headers = mine | {"Content-Type": "application/json", "Content-Length": str(64 << 20)}
    try:
        async with door.http.post(f"{door.base}/rpc", data=endless(), headers=headers) as answer:
            assert answer.status == 413
    except aiohttp.ClientError:
        pass  # the connection was closed while we wrote, which is as good
    assert (await door.call("engine.status", mine))[0] == 200


async def test_tls(engine: Any, folder: Path, certificate: Callable[[], Path]) -> None:
    pem = certificate()
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(pem)
    port = Port(host="127.0.0.1", port=0, cookie=folder / "cookie", tls=context)
    server = await Server.start(
        engine, socket=folder / "run" / "e.sock", limits=LIMITS, doors=Doors(port=port)
    )
    try:
        engine.give("ci", "viewer", keys.digest("ouro_x"), (), 0)
        mine = {"Authorization": "Bearer ouro_x"}
        trusted = ssl.create_default_context(cafile=str(pem))
        async with aiohttp.ClientSession() as http:
            url = f"https://127.0.0.1:{server.port}/rpc"
            socket = await http.ws_connect(url, ssl=trusted, headers=mine)
            await socket.send_json({"jsonrpc": "2.0", "id": 1, "method": "auth.whoami"})
            assert (await socket.receive_json())["result"]["actor"] == "token:ci"
            await socket.close()
            with pytest.raises(aiohttp.ClientConnectorCertificateError):
                await http.ws_connect(url, headers=mine)
            with pytest.raises(aiohttp.ClientError):
                await http.get(url.replace("https", "http"))
    finally:
        await server.close()


@pytest.fixture
def certificate(folder: Path) -> Callable[[], Path]:
    def make() -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "tests")])
        now = dt.datetime.now(dt.UTC)
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]),
                critical=False,
            )
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        path = folder / "tls.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
            + made.public_bytes(serialization.Encoding.PEM)
        )
        return path

    return make


CROWD = """
import collections, json, selectors, socket, sys, time

port, count = int(sys.argv[1]), int(sys.argv[2])
told, waiting = collections.Counter(), selectors.DefaultSelector()
for _ in range(count):
    sock = socket.socket()
    sock.setblocking(False)
    sock.connect_ex(("127.0.0.1", port))
    waiting.register(sock, selectors.EVENT_READ)
until = time.monotonic() + 90
while waiting.get_map() and time.monotonic() < until:
    for key, _ in waiting.select(1):
        try:
            said = key.fileobj.recv(1 << 16)
        except OSError as error:
            said = type(error).__name__.encode()
        waiting.unregister(key.fileobj)
        key.fileobj.close()
        told["refused" if said.startswith(b"HTTP/1.1 503") else said.decode()[:40] or "closed"] += 1
print(json.dumps({**told, "silence": len(waiting.get_map())}))
"""


@pytest.mark.parametrize("count", [500, pytest.param(10_000, marks=pytest.mark.long)])
async def test_a_crowd_at_one_door_locks_nobody_out_of_another(
    door: Open, folder: Path, count: int
) -> None:
    """Those over the cap are told so and closed; the owner's socket answers all the while."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 1000)), hard))
    words = (sys.executable, "-c", CROWD, str(door.server.port), str(count))
    crowd = await asyncio.create_subprocess_exec(*words, stdout=asyncio.subprocess.PIPE)
    heard = asyncio.ensure_future(crowd.communicate())
    slowest = 0.0
    connector = aiohttp.UnixConnector(path=str(folder / "run" / "e.sock"))
    async with aiohttp.ClientSession(connector=connector) as owner:
        while not heard.done():
            asked = time.monotonic()
            async with owner.get("http://engine/healthz") as answer:
                assert answer.status == 200
            slowest = max(slowest, time.monotonic() - asked)
            await asyncio.wait([heard], timeout=0.05)
    told = msgspec.json.decode((await heard)[0], type=dict[str, int])
    assert told.pop("silence") == 0, told
    assert told.keys() <= {"refused", "closed"}  # closed: admitted, and never said anything
    assert sum(told.values()) == count
    assert told["refused"] >= 0.7 * count  # the places are free again every `head_s`
    assert slowest < 5
    assert (await door.call("auth.whoami", door.token("later", "viewer")))[0] == 200


async def test_on_the_unix_socket_a_token_only_narrows(folder: Path, engine: Any) -> None:
    """A forced command comes as a colleague's token, and the account's rights stay behind."""
    path = folder / "run" / "e.sock"
    server = await Server.start(engine, socket=path, role="approver", clock_ns=lambda: NOW[0])
    connector = aiohttp.UnixConnector(path=str(path))
    async with aiohttp.ClientSession(connector=connector) as http:
        unix = Open(engine, server, http)
        unix.base = "http://engine"
        viewer = unix.token("colleague", "viewer")
        for headers, actor, role in (
            ({}, "uid:", "approver"),
            (viewer, "token:colleague", "viewer"),
            (unix.token("boss", "admin"), "token:boss", "approver"),
        ):
            status, answer = await unix.call("auth.whoami", headers)
            assert status == 200
            assert answer["result"]["actor"].startswith(actor)
            assert answer["result"]["role"] == role
        status, answer = await unix.call("engine.pause", viewer)
        assert answer["error"]["data"]["name"] == "forbidden"
        status, answer = await unix.call("auth.whoami", {"Authorization": "Bearer ouro_guess"})
        assert status == 401
        assert "no token" in answer["error"]["message"]
    await server.close()
