"""Subscriptions over real WebSockets: order, resume, patterns, and readers that do not read."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Never

import aiohttp
import pytest

from ouroboros.engine.api import LossyEvent
from ouroboros.model import events as ev
from ouroboros.model.progress import Progress
from ouroboros.model.text import safe_json
from rpc.limits import Limits
from rpc.server.frames import Frames, prefix

URL = "http://engine/rpc"


async def until(condition: Callable[[], object], *, within_s: float = 10.0) -> None:
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - of other people's making, without an event
            await asyncio.sleep(0.005)


async def ask(socket: aiohttp.ClientWebSocketResponse, method: str, **params: Any) -> dict:
    await socket.send_json({"jsonrpc": "2.0", "id": "q", "method": method, "params": params})
    answer = await socket.receive_json(timeout=5)
    assert answer["id"] == "q"
    return answer


async def events(socket: aiohttp.ClientWebSocketResponse, count: int) -> list[dict]:
    got = []
    for _ in range(count):
        message = await socket.receive_json(timeout=5)
        assert message["method"] == "event"
        assert message["jsonrpc"] == "2.0"
        assert "id" not in message
        got.append(message["params"])
    return got


def pause_and_resume(engine: Any, times: int, *, text: str = "") -> None:
    for _ in range(times):
        engine.record(ev.Paused(reason=text))
        engine.record(ev.Resumed(reason=text))


async def test_the_reply_comes_before_the_first_event(
    http: aiohttp.ClientSession, engine: Any
) -> None:
    async with http.ws_connect(URL) as socket:
        answer = await ask(socket, "events.subscribe", from_seq=0)
        assert answer["result"] == {"subscription": "s1", "seq": 0, "epoch": "epoch-1"}
        got = await events(socket, 21)
    assert [e["seq"] for e in got] == list(range(1, 22))
    assert {e["subscription"] for e in got} == {"s1"}
    assert [e["hash"] for e in got] == [s.hash for s in engine.entries]
    assert got[0]["topic"] == "engine.adopted"
    sent = [json.dumps(e["entry"], separators=(",", ":"), ensure_ascii=False) for e in got]
    assert [text.encode() for text in sent] == [safe_json(data) for data in engine.bytes]
    assert "Evil \u241b]52" in "".join(sent)


async def test_in_a_batch_too(http: aiohttp.ClientSession) -> None:
    async with http.ws_connect(URL) as socket:
        batch = [
            {"jsonrpc": "2.0", "id": n, "method": "events.subscribe", "params": {"from_seq": 20}}
            for n in (1, 2)
        ]
        await socket.send_json(batch)
        assert [a["id"] for a in await socket.receive_json()] == [1, 2]
        assert {e["subscription"] for e in await events(socket, 2)} == {"s1", "s2"}


async def test_from_now_on(http: aiohttp.ClientSession, engine: Any) -> None:
    async with http.ws_connect(URL) as socket:
        answer = await ask(socket, "events.subscribe")
        assert answer["result"]["seq"] == 21
        engine.record(ev.Paused(reason="x"))
        assert [e["seq"] for e in await events(socket, 1)] == [22]


async def test_resume_gives_exactly_what_was_missed(
    http: aiohttp.ClientSession, engine: Any
) -> None:
    async with http.ws_connect(URL) as socket:
        await ask(socket, "events.subscribe")
        pause_and_resume(engine, 2)
        last = (await events(socket, 3))[-1]["seq"]
    pause_and_resume(engine, 400)
    async with http.ws_connect(URL) as socket:
        await ask(socket, "events.subscribe", from_seq=last, epoch="epoch-1")
        pause_and_resume(engine, 50)  # live, while the past is still on its way
        missed = len(engine.entries) - last
        got = await events(socket, missed)
        await ask(socket, "system.ping")  # nothing more was under way
    assert [e["seq"] for e in got] == list(range(last + 1, len(engine.entries) + 1))


async def test_patterns_and_lossy_events(http: aiohttp.ClientSession, engine: Any) -> None:
    async with http.ws_connect(URL) as socket:
        await ask(socket, "events.subscribe", topics=["candidate.*", "loop.paused"])
        engine.record(ev.Paused(reason=""))
        engine.record(ev.Resumed(reason=""))
        engine.propose("c9")
        progress = Progress(candidate="c9", stage="tests", done=1, total=2)
        engine.hint(LossyEvent(topic="candidate.progress", data=progress))
        got = await events(socket, 3)
    assert [e["topic"] for e in got] == ["loop.paused", "candidate.proposed", "candidate.progress"]
    assert got[2]["data"]["stage"] == "tests"
    assert got[2]["seq"] == 0
    assert "entry" not in got[2]
    assert "data" not in got[1]


async def test_what_was_left_out_of_a_lossy_topic_is_told_to_who_asked_for_it(
    http: aiohttp.ClientSession, engine: Any
) -> None:
    async with http.ws_connect(URL) as other, http.ws_connect(URL) as socket:
        await ask(other, "events.subscribe", topics=["loop.*", "engine.status"])
        await ask(socket, "events.subscribe", topics=["candidate.progress", "loop.*"])
        for done in range(5):  # nothing is awaited: none is read in between
            progress = Progress(candidate="c9", stage="tests", done=done, total=5)
            engine.hint(LossyEvent(topic="candidate.progress", data=progress))
        got = await events(socket, 2)
        engine.record(ev.Paused(reason=""))
        assert [e["topic"] for e in await events(other, 1)] == ["loop.paused"]
    assert [e["topic"] for e in got] == ["candidate.progress", "gap"]
    assert got[0]["data"]["done"] == 4
    assert got[1]["data"] == {"topic": "candidate.progress", "missed": 4}


@pytest.mark.parametrize(
    ("params", "code"),
    [
        ({"from_seq": 22}, -32007),
        ({"from_seq": 21, "epoch": "another"}, -32007),
        ({"epoch": "another"}, -32007),
        ({"from_seq": -1}, -32602),
        ({"topics": []}, -32602),
        ({"topics": ["x" * 129]}, -32602),
        ({"topics": ["x"] * 65}, -32602),
    ],
)
async def test_subscriptions_that_are_refused(
    http: aiohttp.ClientSession, engine: Any, params: Any, code: int
) -> None:
    async with http.ws_connect(URL) as socket:
        assert (await ask(socket, "events.subscribe", **params))["error"]["code"] == code
    assert not engine.bus._listeners


async def test_unsubscribing_ends_the_events(http: aiohttp.ClientSession, engine: Any) -> None:
    async with http.ws_connect(URL) as socket:
        await ask(socket, "events.subscribe")
        await ask(socket, "events.subscribe", topics=["loop.*"])
        assert "result" in await ask(socket, "events.unsubscribe", subscription="s1")
        engine.record(ev.Paused(reason=""))
        assert [e["subscription"] for e in await events(socket, 1)] == ["s2"]
        again = await ask(socket, "events.unsubscribe", subscription="s1")
        assert again["error"]["code"] == -32001
        assert len(engine.bus._listeners) == 1
    await until(lambda: not engine.bus._listeners)


async def test_a_subscription_of_another_connection_cannot_be_ended(
    http: aiohttp.ClientSession, engine: Any
) -> None:
    async with http.ws_connect(URL) as mine, http.ws_connect(URL) as other:
        await ask(mine, "events.subscribe")
        answer = await ask(other, "events.unsubscribe", subscription="s1")
        assert answer["error"]["code"] == -32001
        engine.record(ev.Paused(reason=""))
        await events(mine, 1)


async def test_the_cap_of_subscriptions(http: aiohttp.ClientSession, engine: Any) -> None:
    async with http.ws_connect(URL) as socket:
        for _ in range(32):
            assert "result" in await ask(socket, "events.subscribe", topics=["none"])
        assert (await ask(socket, "events.subscribe"))["error"]["code"] == -32006
        assert len(engine.bus._listeners) == 32
        await ask(socket, "events.unsubscribe", subscription="s5")
        assert "result" in await ask(socket, "events.subscribe")


async def test_a_post_cannot_subscribe(http: aiohttp.ClientSession) -> None:
    call = '{"jsonrpc":"2.0","id":1,"method":"events.subscribe"}'
    headers = {"Content-Type": "application/json"}
    async with http.post(URL, data=call, headers=headers) as answer:
        error = (await answer.json())["error"]
    assert error["code"] == -32601
    assert "WebSocket" in error["message"]


class TestSlowReader:
    @pytest.fixture
    def limits(self) -> Limits:
        return Limits(stall_s=0.3, close_s=0.5)

    async def test_it_delays_nobody_and_is_closed_with_1013(
        self, http: aiohttp.ClientSession, engine: Any
    ) -> None:
        text = "x" * 2000
        async with http.ws_connect(URL) as slow, http.ws_connect(URL) as fast:
            await ask(slow, "events.subscribe", topics=["loop.*"])
            await ask(fast, "events.subscribe", topics=["loop.*"])
            sent = 0
            for _ in range(40):  # 40 x 50 x 2 x 2 kB = 8 MB, far beyond all socket buffers
                pause_and_resume(engine, 50, text=text)
                sent += 100
                got = await events(fast, 100)
                assert got[-1]["seq"] == 21 + sent
            seen = []
            while (message := await slow.receive(timeout=10)).type is aiohttp.WSMsgType.TEXT:
                seen.append(json.loads(message.data)["params"]["seq"])
            assert slow.close_code == 1013
            assert seen == list(range(22, 22 + len(seen)))
            assert len(seen) < sent
            assert str(message.extra).startswith("too slow: resume from ")
            assert "result" in await ask(fast, "system.ping")
        async with http.ws_connect(URL) as again:
            await ask(again, "events.subscribe", topics=["loop.*"], from_seq=seen[-1])
            rest = await events(again, sent - len(seen))
        assert seen + [e["seq"] for e in rest] == list(range(22, 22 + sent))

    async def test_a_reader_over_the_engines_queue_is_closed_with_1013(
        self, http: aiohttp.ClientSession, engine: Any
    ) -> None:
        async with http.ws_connect(URL) as socket:
            await ask(socket, "events.subscribe")
            pause_and_resume(engine, 1500)  # 3000 at once, the engine's queue holds 2000
            message = await socket.receive(timeout=5)
            while message.type is aiohttp.WSMsgType.TEXT:
                message = await socket.receive(timeout=5)
            assert socket.close_code == 1013


async def test_a_broken_ledger_ends_the_feed_without_leaking(
    http: aiohttp.ClientSession, engine: Any, caplog: pytest.LogCaptureFixture
) -> None:
    async def read(_after: int, _limit: int) -> Never:
        raise RuntimeError("password=hunter2")

    engine.subscribe = lambda *, from_seq: engine.bus.subscribe(after=from_seq, read=read)
    async with http.ws_connect(URL) as socket:
        await ask(socket, "events.subscribe", from_seq=0)
        message = await socket.receive(timeout=5)
        assert (socket.close_code, "hunter2" in str(message)) == (1011, False)
    assert "hunter2" in caplog.text


# --- long poll ----------------------------------------------------------------------------------


async def poll(http: aiohttp.ClientSession, **params: Any) -> dict:
    call = {"jsonrpc": "2.0", "id": 1, "method": "events.list", "params": params}
    async with http.post(URL, json=call) as answer:
        return await answer.json()


async def test_polling_pages_through_everything_once(
    http: aiohttp.ClientSession, engine: Any
) -> None:
    seen: list[int] = []
    seq = 0
    while True:
        page = (await poll(http, from_seq=seq, limit=4))["result"]
        seen += [e["seq"] for e in page["events"]]
        seq = page["seq"]
        if not page["events"]:
            break
    assert seen == list(range(1, 22))
    assert (seq, page["epoch"]) == (21, "epoch-1")


async def test_a_poll_returns_at_once_where_something_is_there(http: aiohttp.ClientSession) -> None:
    async with asyncio.timeout(5):
        page = (await poll(http, from_seq=20, wait_s=60))["result"]
    assert [e["seq"] for e in page["events"]] == [21]


async def test_a_poll_waits_for_its_topic_and_skips_others(
    http: aiohttp.ClientSession, engine: Any
) -> None:
    waiting = asyncio.ensure_future(poll(http, from_seq=21, wait_s=30, topics=["loop.resumed"]))
    await until(lambda: engine.bus._listeners)
    engine.record(ev.Paused(reason=""))
    engine.hint(
        LossyEvent(topic="candidate.progress", data=Progress(candidate="c1", stage="tests"))
    )
    engine.record(ev.Resumed(reason=""))
    async with asyncio.timeout(5):
        page = (await waiting)["result"]
    assert [e["seq"] for e in page["events"]] == [23]
    assert page["seq"] == 23
    assert not engine.bus._listeners


async def test_a_poll_that_ends_empty_moves_its_cursor(
    http: aiohttp.ClientSession, engine: Any
) -> None:
    page = (await poll(http, from_seq=0, wait_s=0.05, topics=["none"]))["result"]
    assert page["events"] == []
    assert page["seq"] == 21


async def test_a_poll_beyond_the_end_is_expired(http: aiohttp.ClientSession) -> None:
    assert (await poll(http, from_seq=22))["error"]["code"] == -32007


# --- bytes --------------------------------------------------------------------------------------


async def test_subscribers_share_the_bytes_of_an_event(engine: Any) -> None:
    frames = Frames()
    stored = engine.entries[4]
    first, second = frames.of(stored), frames.of(stored)
    assert first.tail is second.tail
    message = json.loads(prefix('s"1') + first.tail)
    assert message["params"]["subscription"] == 's"1'
    assert message["params"]["seq"] == 5


async def test_the_memory_of_bytes_is_bounded(engine: Any) -> None:
    frames = Frames()
    for _ in range(40):
        frames.of(engine.record(ev.Paused(reason="x" * 100_000)))
    assert frames._bytes <= 2 << 20
    assert frames._bytes == sum(len(f.tail) for f in frames._frames.values())
    for _ in range(400):
        frames.of(engine.record(ev.Paused(reason="")))
    assert len(frames._frames) == 256
