"""The cockpit in a browser: what the gate refuses, and a real browser that approves."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import browser
import pytest
from engine_world import FASTER, World, reach

from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.model.phase import Phase
from rpc import wire
from rpc.address import Local
from rpc.client import Client
from tests.screens.test_screens_real import served
from tui.web import COOKIE, Gate

pytestmark = pytest.mark.e2e


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    yield world
    for engine, store in zip(world.engines, world.stores, strict=True):
        await engine.close()
        store.close()


@pytest.fixture
async def engine(world: World) -> Engine:
    return await world.start()


@pytest.fixture
async def socket(engine: Engine) -> AsyncIterator[Path]:
    async with served(engine) as path:
        yield path


@pytest.fixture
async def gate(socket: Path) -> AsyncIterator[Gate]:
    made = Gate(Local(socket), port=0, read_only=False)
    ready = asyncio.Event()
    serving = asyncio.ensure_future(made.listen(lambda _: ready.set()))
    await asyncio.wait_for(ready.wait(), 20)
    yield made
    serving.cancel()
    await asyncio.gather(serving, return_exceptions=True)


@pytest.fixture
async def http(gate: Gate) -> AsyncIterator[aiohttp.ClientSession]:
    jar = aiohttp.CookieJar(unsafe=True)  # that of an address
    async with aiohttp.ClientSession(gate.public_url, cookie_jar=jar) as session:
        yield session


async def token(socket: Path, name: str, role: str) -> str:
    client = await Client.connect(socket, name="tests")
    made = await client.call(wire.TokenCreate(name=name, grants=role, reason="test"))
    await client.close()
    return made.secret


async def log_in(
    http: aiohttp.ClientSession, gate: Gate, secret: str, *, origin: str | None = None
) -> aiohttp.ClientResponse:
    own = gate.public_url if origin is None else origin
    headers = {"Origin": own} if own else {}
    return await http.post("/login", data={"token": secret}, headers=headers, allow_redirects=False)


async def test_nobody_sees_the_page_without_a_token(
    http: aiohttp.ClientSession, gate: Gate
) -> None:
    answer = await http.get("/", allow_redirects=False)
    assert (answer.status, answer.headers["Location"]) == (303, "/login")
    page = await http.get("/login")
    assert "Token of the engine" in await page.text()
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect("/ws", headers={"Origin": gate.public_url})
    assert refused.value.status == 401
    assert (await http.get("/download/x")).status == 401


@pytest.mark.parametrize("secret", ["", "ouro_wrong", "x" * 300, "a\r\nb", "\u00fc"])
async def test_a_wrong_token_opens_nothing(
    http: aiohttp.ClientSession, gate: Gate, secret: str
) -> None:
    answer = await log_in(http, gate, secret)
    assert answer.status == 403
    assert "Set-Cookie" not in answer.headers
    assert '<p class="wrong">' in await answer.text()


@pytest.mark.parametrize("origin", ["", "http://evil.example", "null", "https://127.0.0.1"])
async def test_other_sites_cannot_log_anybody_in(
    http: aiohttp.ClientSession, gate: Gate, socket: Path, origin: str
) -> None:
    secret = await token(socket, "ann", "admin")
    assert (await log_in(http, gate, secret, origin=origin)).status == 403


async def test_another_name_that_resolves_here_is_refused(
    http: aiohttp.ClientSession, gate: Gate
) -> None:
    for host in ("evil.example", f"evil.example:{gate.port}", "127.0.0.1", ""):
        assert (await http.get("/login", headers={"Host": host})).status in (400, 421)


async def test_a_socket_of_another_origin_is_refused_although_the_cookie_comes_along(
    http: aiohttp.ClientSession, gate: Gate, socket: Path
) -> None:
    answer = await log_in(http, gate, await token(socket, "ann", "viewer"))
    assert answer.status == 303
    cookie = answer.cookies[COOKIE]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Strict"
    assert len(cookie.value) > 40
    for origin in ({"Origin": "http://evil.example"}, {"Origin": "null"}, {}):
        with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
            await http.ws_connect("/ws", headers=origin)
        assert refused.value.status == 403


async def test_the_pages_cockpit_has_the_tokens_role_and_ends_with_it(
    http: aiohttp.ClientSession, gate: Gate, socket: Path
) -> None:
    assert (await log_in(http, gate, await token(socket, "vic", "viewer"))).status == 303
    page = await http.ws_connect(
        "/ws?width=100&height=30", headers={"Origin": gate.public_url}, max_msg_size=0
    )
    shown = b""

    async def until(text: bytes) -> None:
        nonlocal shown
        async with asyncio.timeout(60):
            while text not in shown:
                message = await page.receive()
                assert message.type in (aiohttp.WSMsgType.BINARY, aiohttp.WSMsgType.TEXT), shown
                shown += message.data if isinstance(message.data, bytes) else b""

    await until(b"your role on this engine is viewer")
    assert b"token:vic" in shown
    await page.send_json(["stdin", "!"])
    await until(b"needs the role operator")
    client = await Client.connect(socket, name="tests")
    await client.call(wire.TokenRevoke(name="vic", reason="gone"))
    await client.close()
    await until(b"STALE")
    await page.close()
    assert (await log_in(http, gate, "")).status == 403


async def test_rubbish_from_the_page_ends_the_page_and_nothing_else(
    http: aiohttp.ClientSession, gate: Gate, socket: Path
) -> None:
    assert (await log_in(http, gate, await token(socket, "ann", "viewer"))).status == 303
    for rubbish in ("x", "[]", "{}", '["resize",{}]', '["stdin",3]'):
        page = await http.ws_connect("/ws", headers={"Origin": gate.public_url}, max_msg_size=0)
        await page.send_str(rubbish)
        async with asyncio.timeout(60):
            while (await page.receive()).type is not aiohttp.WSMsgType.CLOSED:
                pass
    assert (await http.get("/")).status == 200
    headers = {"Origin": gate.public_url}
    left = await http.post("/logout", headers=headers, allow_redirects=False)
    assert left.status == 303
    assert (await http.get("/", allow_redirects=False)).status == 303


@pytest.mark.skipif(not browser.PROGRAM, reason="needs chromium")
async def test_in_chromium_log_in_see_a_candidate_approve_it(
    engine: Engine, gate: Gate, socket: Path, tmp_path: Path
) -> None:
    name = await engine.submit(
        Submission(diff=FASTER, title="add twice", rationale="r"), actor="uid:ann"
    )
    await reach(engine, name, Phase.HELD)
    secret = await token(socket, "eve", "approver")
    async with browser.browsing(tmp_path / "profile") as page:
        await page.go(gate.public_url)
        await page.until_page("document.querySelector('#token') !== null", "the form")
        await page.ask(f"document.querySelector('#token').value = '{secret}'")
        await page.ask("document.querySelector('form').requestSubmit()")
        await page.until(lambda: b"token:eve" in page.received, "the cockpit")
        await page.until(lambda: b"add twice" in page.received, "the candidate")
        await page.click(300, 300)
        await page.press("d", "d")
        await page.until(lambda: b"@@" in page.received, "its diff")
        await page.press("a", "a")
        await page.until(lambda: f"Approve {name}?".encode() in page.received, "the question")
        await page.press("ArrowRight", code=39)
        await page.press("Enter", "\r", code=13)
        await reach(engine, name, Phase.PROMOTED, timeout_s=30)
        await page.picture(tmp_path / "page.png")
        assert await page.ask("document.cookie") == ""  # no script of the page can read it
    assert engine.candidate(name).approved_by == "token:eve"
