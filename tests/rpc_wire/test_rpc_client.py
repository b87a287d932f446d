"""The typed client against a real server over a real socket."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from ouroboros import errors
from ouroboros.engine.api import LossyEvent
from ouroboros.errors import (
    BusyError,
    CursorExpiredError,
    EngineUnreachableError,
    InvalidParamsError,
    MethodUnavailableError,
    NotFoundError,
    OuroborosError,
    UnsupportedProtocolError,
)
from ouroboros.model import events as ev
from ouroboros.model.entry import Stored
from ouroboros.model.progress import Progress
from ouroboros.model.state import State, advance
from ouroboros.model.text import safe_json
from rpc import feed as feeds
from rpc import wire
from rpc.client import Client, Lossy, UnknownEvent
from rpc.limits import Limits
from rpc.server import Server


@pytest.fixture
async def client(socket: Path) -> AsyncIterator[Client]:
    made = await Client.connect(socket, name="tests")
    yield made
    await made.close()


async def take(feed: Any, count: int) -> list[Any]:
    async with asyncio.timeout(10):
        return [await anext(feed) for _ in range(count)]


async def test_hello(client: Client, me: str) -> None:
    assert client.hello.actor == me
    assert client.hello.role == "admin"
    assert client.hello.epoch == "epoch-1"


async def test_calls_are_typed(client: Client) -> None:
    page = await client.call(wire.CandidateList(phases=("held",)))
    assert [c.id for c in page.candidates] == ["c3"]
    snapshot = await client.call(wire.EngineSnapshot())
    assert snapshot.state.versions[1].candidate == "c1"
    assert await client.call(wire.CandidateEvaluation(id="c2")) is None
    methods = await client.call(wire.Methods())
    assert {m.name for m in methods} == {r.method for r in wire.REQUESTS}


async def test_calls_by_name(client: Client) -> None:
    assert await client.call_raw("system.ping") == {"seq": 21}
    assert (await client.call_raw("candidate.get", {"id": "c3"}))["id"] == "c3"
    assert (await client.call_raw("candidate.get", ["c3"]))["id"] == "c3"


async def test_many_calls_at_once_are_told_apart(client: Client, engine: Any) -> None:
    waits = [
        asyncio.ensure_future(client.call(wire.CandidateWait(id="c1", until=("kept",))))
        for _ in range(5)
    ]
    ids = ["c1", "c2", "c3"] * 3
    got = await asyncio.gather(*(client.call(wire.CandidateGet(id=i)) for i in ids))
    assert [c.id for c in got] == ids
    engine.record(ev.Kept(candidate="c1", reason=""))
    assert {c.phase.value for c in await asyncio.gather(*waits)} == {"kept"}


async def test_errors_come_back_as_their_leaves(client: Client) -> None:
    with pytest.raises(NotFoundError, match="no candidate zz") as caught:
        await client.call(wire.CandidateGet(id="zz"))
    assert caught.value.hint == "List them."
    with pytest.raises(InvalidParamsError, match=r"\$\.id"):
        await client.call_raw("candidate.get", {"id": 3})
    with pytest.raises(MethodUnavailableError, match="no method 'nope'"):
        await client.call_raw("nope")


LEAVES = [
    value
    for value in vars(errors).values()
    if isinstance(value, type) and issubclass(value, OuroborosError)
]


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.__name__)
async def test_every_leaf_survives_the_wire(
    client: Client, engine: Any, leaf: type[OuroborosError]
) -> None:
    engine.raises = leaf("what happened", hint="what to do")
    with pytest.raises(OuroborosError) as caught:
        await client.call(wire.EngineStatusGet())
    assert type(caught.value) is leaf
    assert (caught.value.message, caught.value.hint) == ("what happened", "what to do")


async def test_a_fault_of_the_engine_names_its_incident(client: Client, engine: Any) -> None:
    engine.raises = RuntimeError("password=hunter2")
    with pytest.raises(OuroborosError, match="Internal error") as caught:
        await client.call(wire.EngineStatusGet())
    assert "incident" in caught.value.hint
    assert "hunter2" not in str(caught.value)


async def test_a_feed_folds_to_the_engines_state(client: Client, engine: Any) -> None:
    state = State()
    async with client.subscribe(from_seq=0) as feed:
        for item in await take(feed, 21):
            assert isinstance(item, Stored)
            state = advance(state, item)
        engine.record(ev.Paused(reason="x"))
        state = advance(state, (await take(feed, 1))[0])
        assert feed.seq == 22
    shown = safe_json(msgspec.json.encode(engine.state))
    assert state == msgspec.json.decode(shown, type=State)


async def test_calls_go_on_inside_a_feed(client: Client, engine: Any) -> None:
    async with client.subscribe(from_seq=18) as feed:
        async for item in feed:
            assert (await client.call(wire.LedgerGet(seq=item.entry.seq))).hash == item.hash
            if feed.seq == 21:
                break
    await client.call(wire.Ping())
    assert not engine.bus._listeners


async def test_two_feeds_of_one_client(client: Client, engine: Any) -> None:
    async with client.subscribe(("loop.*",)) as loop, client.subscribe(("candidate.*",)) as others:
        engine.record(ev.Paused(reason=""))
        engine.propose("c9")
        assert (await take(loop, 1))[0].entry.event == ev.Paused(reason="")
        assert (await take(others, 1))[0].entry.event.candidate == "c9"


async def test_lossy_events_are_typed(client: Client, engine: Any) -> None:
    async with client.subscribe() as feed:
        progress = Progress(candidate="c3", stage="tests", done=3, total=9)
        engine.hint(LossyEvent(topic="candidate.progress", data=progress))
        assert await take(feed, 1) == [Lossy(topic="candidate.progress", data=progress)]
        engine.hint(LossyEvent(topic="engine.status", data=engine.status()))
        assert (await take(feed, 1))[0].data == engine.status()
        assert feed.seq == 21


async def test_a_cursor_beyond_the_end_is_expired(client: Client) -> None:
    with pytest.raises(CursorExpiredError):
        async with client.subscribe(from_seq=99):
            pass


def notification(entry: bytes) -> wire.Notification:
    return wire.Notification(
        subscription="s1", topic="candidate.danced", seq=7, hash="h", entry=msgspec.Raw(entry)
    )


def test_an_unknown_kind_is_an_item_and_no_error() -> None:
    raw = b'{"v":1,"seq":7,"ts":1,"actor":"a","idem":"i","prev":"p","event":{"kind":"danced"}}'
    item = feeds.decode(notification(raw))
    assert item == UnknownEvent(seq=7, topic="candidate.danced", hash="h", raw=raw)


def test_a_lossy_event_of_an_unknown_topic_is_raw() -> None:
    data = msgspec.Raw(b'{"x":1}')
    item = feeds.decode(wire.Notification(subscription="s", topic="metrics.sample", data=data))
    assert isinstance(item, Lossy)
    assert bytes(item.data) == b'{"x":1}'


class Nowhere:
    """A line of which only the feed's own queue is of interest."""

    hello = None


async def test_a_reader_that_never_reads_is_bounded(engine: Any) -> None:
    feed = feeds.Feed(Nowhere(), ("*",), None)
    entry = msgspec.Raw(engine.bytes[0])
    lossy = wire.Notification(subscription="s", topic="x", data=msgspec.Raw(b"1"))
    for number in range(feeds.BACKLOG + 5):
        feed.offer(lossy)
        feed.offer(
            wire.Notification(subscription="s", topic="t", seq=number + 1, hash="h", entry=entry)
        )
    assert len(feed._items) == feeds.BACKLOG
    assert sum(1 for item in feed._items if item.seq == 0) == feeds.LOSSY_BACKLOG // 2
    for _ in range(feeds.BACKLOG):
        await anext(feed)
    with pytest.raises(BusyError):
        await anext(feed)


# --- no engine, and its end ---------------------------------------------------------------------


async def test_no_engine_says_how_to_start_one(folder: Path) -> None:
    with pytest.raises(EngineUnreachableError, match=r"No engine answers.*ouroboros serve"):
        await Client.connect(folder / "e.sock", name="tests")


async def test_a_dead_socket_is_no_engine(folder: Path) -> None:
    import socket as sockets

    with sockets.socket(sockets.AF_UNIX) as dead:
        dead.bind(str(folder / "e.sock"))
    with pytest.raises(EngineUnreachableError):
        await Client.connect(folder / "e.sock", name="tests")


async def test_a_full_house_is_busy(engine: Any, folder: Path) -> None:
    server = await Server.start(engine, socket=folder / "e.sock", limits=Limits(connections=1))
    client = await Client.connect(folder / "e.sock", name="tests")
    with pytest.raises(BusyError):
        await Client.connect(folder / "e.sock", name="tests")
    await client.close()
    await server.close()


async def test_the_end_of_the_engine_ends_calls_and_feeds_after_what_was_received(
    engine: Any, folder: Path
) -> None:
    server = await Server.start(engine, socket=folder / "e.sock", limits=Limits(close_s=0.3))
    client = await Client.connect(folder / "e.sock", name="tests")
    async with client.subscribe() as feed:
        wait = asyncio.ensure_future(client.call(wire.CandidateWait(id="c1", until=("kept",))))
        engine.record(ev.Paused(reason="last words"))
        first = await take(feed, 1)
        await server.close()
        with pytest.raises(EngineUnreachableError, match="stopping"):
            await wait
        assert first[0].entry.event.reason == "last words"
        with pytest.raises(EngineUnreachableError, match="stopping"):
            await take(feed, 1)
    with pytest.raises(EngineUnreachableError):
        await client.call(wire.Ping())
    await client.close()


async def test_a_killed_engine_is_noticed(folder: Path) -> None:
    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        hello = await socket.receive_json()
        result = wire.HelloResult(
            protocol="1", engine_version="9", actor="a", role="admin", epoch="e"
        )
        await socket.send_json(
            {"jsonrpc": "2.0", "id": hello["id"], "result": msgspec.to_builtins(result), "new": 1}
        )
        await socket.receive()
        request.transport.abort()
        return socket

    async with Serving(folder, serve) as path:
        client = await Client.connect(path, name="tests")
        with pytest.raises(EngineUnreachableError, match="hung up"):
            await client.call(wire.Ping())
        await client.close()


async def test_another_protocol_is_refused(folder: Path) -> None:
    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        hello = await socket.receive_json()
        error = {"code": -32010, "message": "This engine speaks 2.", "data": {"name": "x"}}
        await socket.send_json({"jsonrpc": "2.0", "id": hello["id"], "error": error})
        await socket.receive()
        return socket

    async with Serving(folder, serve) as path:
        with pytest.raises(UnsupportedProtocolError, match="speaks 2"):
            await Client.connect(path, name="tests")


@pytest.mark.parametrize("answer", ["nonsense", "[]", '{"jsonrpc":"2.0","id":1,"error":7}'])
async def test_what_is_no_engine_is_unreachable(folder: Path, answer: str) -> None:
    async def serve(request: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        await socket.receive_json()
        await socket.send_str(answer)
        await socket.receive()
        return socket

    async with Serving(folder, serve) as path:
        with pytest.raises(EngineUnreachableError):
            await Client.connect(path, name="tests")


class Serving:
    """A WebSocket server of the test's own, for the time of a block."""

    def __init__(self, folder: Path, handler: Any) -> None:
        self.path = folder / "fake.sock"
        application = web.Application()
        application.router.add_get("/rpc", handler)
        self.runner = web.AppRunner(application, shutdown_timeout=0.2)

    async def __aenter__(self) -> Path:
        await self.runner.setup()
        await web.UnixSite(self.runner, str(self.path)).start()
        return self.path

    async def __aexit__(self, *_: object) -> None:
        await self.runner.cleanup()


async def test_a_result_that_is_not_understood_is_another_protocol(
    client: Client, engine: Any
) -> None:
    async def explain(_: str) -> Any:
        return {"candidate": 1}

    engine.explain = explain
    with pytest.raises(UnsupportedProtocolError, match=r"governor\.explain"):
        await client.call(wire.GovernorExplain(id="c3"))


def test_defaults_are_not_sent() -> None:
    assert msgspec.json.encode(wire.EnginePause()) == b"{}"
    assert msgspec.json.encode(wire.CandidateGet(id="c1")) == b'{"id":"c1"}'


def test_importing_the_client_brings_no_web_framework_and_no_engine() -> None:
    code = (
        "import sys, rpc.client, ouroboros.client; "
        "print([m for m in ('aiohttp','jsonrpcserver','textual','git','ouroboros.engine.api',"
        "'rpc.server','rpc.methods') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    assert out.stdout.strip() == "[]"
