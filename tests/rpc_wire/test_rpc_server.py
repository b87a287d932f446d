"""The unix door over real sockets: who gets in, what HTTP says, and how it ends."""

import asyncio
import json
import os
import shutil
import socket as sockets
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest

from ouroboros.errors import EngineRunningError, MachineError, Misuse, TargetError
from ouroboros.model import events as ev
from ouroboros.model.snapshot import Activity
from rpc.limits import Limits
from rpc.server import Server
from rpc.server.door import actor_of

JSON = {"Content-Type": "application/json"}
PING = '{"jsonrpc":"2.0","id":1,"method":"system.ping"}'
URL = "http://engine/rpc"


async def until(condition: Callable[[], object], *, within_s: float = 5.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - of other people's making, without an event
            await asyncio.sleep(0.005)


# --- the socket file ----------------------------------------------------------------------------


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077])
async def test_the_socket_is_0600_in_a_0700_folder(engine: Any, folder: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        server = await Server.start(engine, socket=folder / "a" / "e.sock")
        assert os.umask(umask) == umask
    finally:
        os.umask(before)
    info = (folder / "a" / "e.sock").lstat()
    assert stat.S_ISSOCK(info.st_mode)
    assert info.st_mode & 0o777 == 0o600
    assert (folder / "a").stat().st_mode & 0o777 == 0o700
    await server.close()
    assert not (folder / "a" / "e.sock").exists()


async def test_a_folder_that_others_may_enter_is_refused(engine: Any, folder: Path) -> None:
    (folder / "open").mkdir()
    (folder / "open").chmod(0o755)
    with pytest.raises(TargetError, match="0700"):
        await Server.start(engine, socket=folder / "open" / "e.sock")


async def test_a_stale_socket_is_replaced(engine: Any, folder: Path) -> None:
    path = folder / "e.sock"
    with sockets.socket(sockets.AF_UNIX) as dead:
        dead.bind(str(path))
    server = await Server.start(engine, socket=path)
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(path))) as http:
        assert (await http.get("http://engine/healthz")).status == 200
    await server.close()


async def test_a_living_engine_is_not_replaced(
    engine: Any, server: Server, socket: Path, http: aiohttp.ClientSession
) -> None:
    with pytest.raises(EngineRunningError, match="already answers"):
        await Server.start(engine, socket=socket)
    assert (await http.get("http://engine/healthz")).status == 200


async def test_a_file_in_the_way_is_kept(engine: Any, folder: Path) -> None:
    (folder / "e.sock").write_text("precious")
    with pytest.raises(MachineError, match="in the way"):
        await Server.start(engine, socket=folder / "e.sock")
    assert (folder / "e.sock").read_text() == "precious"


async def test_a_path_too_long_for_a_socket_says_so(engine: Any, folder: Path) -> None:
    with pytest.raises(MachineError, match="cannot be made"):
        await Server.start(engine, socket=folder / ("x" * 120))


async def test_closing_leaves_a_successors_socket_alone(engine: Any, folder: Path) -> None:
    path = folder / "e.sock"
    first = await Server.start(engine, socket=path)
    path.unlink()
    second = await Server.start(engine, socket=path)
    await first.close()
    assert path.exists()
    await second.close()
    assert not path.exists()


async def test_an_unknown_role_is_a_misuse(engine: Any, folder: Path) -> None:
    with pytest.raises(Misuse):
        await Server.start(engine, socket=folder / "e.sock", role="king")


# --- who ----------------------------------------------------------------------------------------

STRANGER = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
plug = socket.socket(socket.AF_UNIX)
plug.settimeout(5)
try:
    plug.connect(sys.argv[1])
except PermissionError:
    print("kept out"); sys.exit()
body = b'{"jsonrpc":"2.0","id":1,"method":"engine.pause"}'
plug.sendall(b"POST /rpc HTTP/1.1\\r\\nHost: x\\r\\nContent-Type: application/json\\r\\n"
             b"Content-Length: %d\\r\\n\\r\\n" % len(body) + body)
answer = b""
while piece := plug.recv(65536):
    answer += piece
print(answer.decode())
"""


async def stranger(path: Path) -> str:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-I", "-c", STRANGER, str(path), stdout=subprocess.PIPE
    )
    out, _ = await process.communicate()
    return out.decode()


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
async def test_another_user_is_kept_out_by_the_modes(folder: Path, socket: Path) -> None:
    os.chmod(folder, 0o755)  # noqa: PTH101, S103 - no pathlib in a coroutine; to be refused
    assert await stranger(socket) == "kept out\n"


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
async def test_another_user_is_refused_even_where_the_modes_let_him_in(
    engine: Any, folder: Path, socket: Path
) -> None:
    for path, mode in ((folder, 0o755), (folder / "run", 0o755), (socket, 0o666)):
        os.chmod(path, mode)  # noqa: PTH101 - no pathlib in a coroutine
    head, _, body = (await stranger(socket)).partition("\r\n\r\n")
    assert head.startswith("HTTP/1.1 403")
    error = json.loads(body)["error"]
    assert error["code"] == -32003
    assert "belongs to uid:root" in error["message"]
    assert not engine.state.paused


async def test_the_peer_is_the_actor(http: aiohttp.ClientSession, engine: Any, me: str) -> None:
    pause = '{"jsonrpc":"2.0","id":1,"method":"engine.pause","params":{"reason":"lunch"}}'
    async with http.post(URL, data=pause, headers=JSON) as answer:
        assert (await answer.json())["result"]["seq"] == 22
    assert engine.entries[-1].entry.actor == me
    assert engine.state.pause_actor == me


def test_a_user_without_a_name_is_a_number() -> None:
    assert actor_of(3_999_999_999) == "uid:3999999999"


async def test_a_role_holds_for_the_door(engine: Any, folder: Path) -> None:
    path = folder / "e.sock"
    server = await Server.start(engine, socket=path, role="viewer")
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(path))) as http:
        pause = '{"jsonrpc":"2.0","id":1,"method":"engine.pause"}'
        async with http.post(URL, data=pause, headers=JSON) as answer:
            assert (await answer.json())["error"]["code"] == -32004
    assert not engine.state.paused
    await server.close()


# --- what HTTP says -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({"Content-Type": "text/plain"}, 415, -32602),
        ({"Content-Type": "application/x-www-form-urlencoded"}, 415, -32602),
        ({"Content-Type": "application/json; charset=latin-1"}, 415, -32602),
        ({**JSON, "Origin": "http://evil.example"}, 403, -32004),
        ({**JSON, "Origin": "null"}, 403, -32004),
        ({**JSON, "Ouroboros-Protocol": "2"}, 400, -32010),
    ],
)
async def test_headers_that_are_refused(
    http: aiohttp.ClientSession, headers: dict[str, str], status: int, code: int
) -> None:
    async with http.post(URL, data=PING, headers=headers) as answer:
        assert answer.status == status
        assert (await answer.json())["error"]["code"] == code


@pytest.mark.parametrize(
    "headers",
    [
        JSON,
        {"Content-Type": "application/json; charset=UTF-8"},
        {**JSON, "Ouroboros-Protocol": "1"},
        {**JSON, "Host": "whatever.example:99"},
    ],
)
async def test_headers_that_are_fine(http: aiohttp.ClientSession, headers: dict[str, str]) -> None:
    async with http.post(URL, data=PING, headers=headers) as answer:
        assert answer.status == 200
        assert answer.headers["Ouroboros-Protocol"] == "1"
        assert "Access-Control-Allow-Origin" not in answer.headers
        assert (await answer.json())["result"] == {"seq": 21}


async def test_a_websocket_from_a_web_page_is_refused(http: aiohttp.ClientSession) -> None:
    with pytest.raises(aiohttp.WSServerHandshakeError) as caught:
        await http.ws_connect(URL, origin="http://evil.example")
    assert caught.value.status == 403


async def test_a_body_over_the_cap_is_refused_early(http: aiohttp.ClientSession) -> None:
    async with http.post(URL, data=b" " * (8 << 20), headers=JSON) as answer:
        assert answer.status == 413
        assert (await answer.json())["error"]["code"] == -32600


async def test_get_without_upgrade_says_what_it_is(http: aiohttp.ClientSession) -> None:
    async with http.get(URL) as answer:
        assert answer.status == 426
        assert "WebSocket" in await answer.text()


async def test_pages(http: aiohttp.ClientSession, engine: Any) -> None:
    assert await (await http.get("http://engine/healthz")).text() == "ok\n"
    assert await (await http.get("http://engine/readyz")).text() == "ready\n"
    async with http.get("http://engine/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        lines = (await answer.text()).splitlines()
    assert 'ouroboros_candidates{phase="held"} 1' in lines
    assert 'ouroboros_candidates{phase="promoted"} 1' in lines
    assert "ouroboros_versions 2" in lines
    assert "ouroboros_paused 0" in lines
    assert "ouroboros_ledger_entries 21" in lines
    assert "ouroboros_rss_bytes 50000000" in lines
    assert (await http.get("http://engine/nowhere")).status == 404


async def test_halted_is_not_ready(http: aiohttp.ClientSession, engine: Any) -> None:
    halted = msgspec.structs.replace(engine.status(), activity=Activity.HALTED, halt_reason="disk")
    engine.status = lambda: halted
    async with http.get("http://engine/readyz") as answer:
        assert (answer.status, await answer.text()) == (503, "halted\n")


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
async def test_curl(socket: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        "curl",
        "-sS",
        "--fail",
        "--unix-socket",
        str(socket),
        "--json",
        PING,
        "http://engine/rpc",
        stdout=subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    assert json.loads(out) == {"jsonrpc": "2.0", "result": {"seq": 21}, "id": 1}


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl here")
async def test_curl_with_a_notification_hears_nothing(socket: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        "curl",
        "-sS",
        "--unix-socket",
        str(socket),
        "-H",
        "Content-Type: application/json",
        "-w",
        "%{http_code}",
        "-d",
        '{"jsonrpc":"2.0","method":"system.ping"}',
        URL,
        stdout=subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert out == b"204"


async def test_a_client_that_hangs_up_ends_its_wait(
    http: aiohttp.ClientSession, engine: Any
) -> None:
    wait = '{"jsonrpc":"2.0","id":1,"method":"candidate.wait","params":["c3",["kept"]]}'
    with pytest.raises(TimeoutError):
        await http.post(URL, data=wait, headers=JSON, timeout=aiohttp.ClientTimeout(total=0.2))
    async with asyncio.timeout(5):
        await engine.ended.wait()


# --- caps ---------------------------------------------------------------------------------------


class TestConnections:
    @pytest.fixture
    def limits(self) -> Limits:
        return Limits(connections=3)

    async def test_one_more_is_told_and_a_place_becomes_free(
        self, server: Server, socket: Path
    ) -> None:
        held = []
        for _ in range(3):
            reader, writer = await asyncio.open_unix_connection(socket)
            held.append((reader, writer))
        await until(lambda: server.clients == 3)
        reader, writer = await asyncio.open_unix_connection(socket)
        answer = (await reader.read()).decode()
        assert answer.startswith("HTTP/1.1 503")
        assert '"code":-32006' in answer
        writer.close()
        held[0][1].close()
        await until(lambda: server.clients == 2)
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(socket))) as http:
            assert (await http.get("http://engine/healthz")).status == 200
        for _, writer in held[1:]:
            writer.close()

    async def test_a_crowd_is_refused_gracefully(self, server: Server, socket: Path) -> None:
        async def knock() -> bool:
            reader, writer = await asyncio.open_unix_connection(socket)
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            answer = await reader.read()
            writer.close()
            assert answer.startswith((b"HTTP/1.1 200", b"HTTP/1.1 503"))
            return answer.startswith(b"HTTP/1.1 200")

        served = await asyncio.gather(*(knock() for _ in range(60)))
        assert any(served)
        await until(lambda: server.clients == 0)
        assert await knock()


class TestCalls:
    @pytest.fixture
    def limits(self) -> Limits:
        return Limits(calls=2)

    async def test_one_more_in_flight_is_busy_and_others_go_on(
        self, http: aiohttp.ClientSession, engine: Any
    ) -> None:
        wait = '{"jsonrpc":"2.0","id":%d,"method":"candidate.wait","params":["c%d",["kept"]]}'
        async with http.ws_connect(URL) as socket, http.ws_connect(URL) as other:
            await socket.send_str(wait % (1, 1))
            await socket.send_str(wait % (2, 1))
            await until(lambda: engine.asked.count(("wait", "")) == 2)
            await socket.send_str(PING.replace('"id":1', '"id":3'))
            refused = await socket.receive_json()
            assert (refused["id"], refused["error"]["code"]) == (3, -32006)
            await other.send_str(PING)
            assert (await other.receive_json())["result"] == {"seq": 21}
            engine.record(ev.Kept(candidate="c1", reason="calm"))
            answers = [await socket.receive_json() for _ in range(2)]
            assert {a["id"] for a in answers} == {1, 2}
            assert {a["result"]["phase"] for a in answers} == {"kept"}


UPGRADE = (
    b"GET /rpc HTTP/1.1\r\nHost: engine\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)


def masked(head: int, payload: bytes) -> bytes:
    """Return a client's message; its mask of zeros leaves the payload as it is."""
    assert len(payload) < 126
    return bytes((head, 0x80 | len(payload))) + bytes(4) + payload


@pytest.mark.parametrize("count", [1, 200])
async def test_all_that_is_asked_at_once_is_answered_before_the_close(
    server: Server, socket: Path, count: int
) -> None:
    asked = [masked(0x81, PING.replace('"id":1', f'"id":{n}').encode()) for n in range(count)]
    reader, writer = await asyncio.open_unix_connection(str(socket))
    async with asyncio.timeout(10):
        writer.write(UPGRADE + b"".join(asked) + masked(0x88, b"\x03\xe8"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        for n in range(count):
            head, size = await reader.readexactly(2)
            assert head == 0x81
            assert json.loads(await reader.readexactly(size)) == {
                "jsonrpc": "2.0",
                "result": {"seq": 21},
                "id": n,
            }
        assert (await reader.readexactly(2))[0] == 0x88
    writer.close()
    await until(lambda: server.clients == 0)


# --- the end ------------------------------------------------------------------------------------


async def test_closing_parts_with_1001_and_answers_what_is_quick(engine: Any, folder: Path) -> None:
    path = folder / "e.sock"
    server = await Server.start(engine, socket=path)
    engine.gate = asyncio.Event()
    pause = '{"jsonrpc":"2.0","id":1,"method":"engine.pause"}'
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(path))) as http:
        socket = await http.ws_connect(URL)
        await socket.send_str(pause)
        await until(lambda: [what for what, _ in engine.asked] == ["pause"])
        closing = asyncio.ensure_future(server.close())
        await until(lambda: not path.exists())
        engine.gate.set()
        assert (await socket.receive_json())["result"]["seq"] == 22
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 1001
        await closing
    assert engine.state.paused


async def test_closing_ends_waits_subscriptions_and_every_task(engine: Any, folder: Path) -> None:
    path = folder / "e.sock"
    before = asyncio.all_tasks()
    server = await Server.start(engine, socket=path, limits=Limits(close_s=0.2))
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(path))) as http:
        socket = await http.ws_connect(URL)
        await socket.send_str('{"jsonrpc":"2.0","id":1,"method":"events.subscribe"}')
        assert (await socket.receive_json())["result"]["subscription"] == "s1"
        wait = '{"jsonrpc":"2.0","id":1,"method":"candidate.wait","params":["c1",["kept"]]}'
        await socket.send_str(wait)
        await until(lambda: ("wait", "") in engine.asked)
        post = asyncio.ensure_future(http.post(URL, data=wait, headers=JSON))
        await until(lambda: engine.asked.count(("wait", "")) == 2)
        closing = asyncio.ensure_future(server.close())
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        async with asyncio.timeout(5):
            await closing
        with pytest.raises(aiohttp.ClientError):
            await post
    await until(lambda: asyncio.all_tasks() <= before | {asyncio.current_task()})
    assert not engine.bus._listeners
