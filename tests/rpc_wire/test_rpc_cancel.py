"""`rpc.cancel`: a call that waits is ended, one that changes something never is."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rpc.server import Server


@pytest.fixture
async def talk(server: Server, socket: Path) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(socket))) as http:
        yield await http.ws_connect("http://engine/rpc")


def request(id_: object, method: str, **params: object) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": id_, "method": method, "params": params}


async def answers(talk: aiohttp.ClientWebSocketResponse, count: int) -> dict[object, Any]:
    async with asyncio.timeout(5):
        found = [await talk.receive_json() for _ in range(count)]
    return {answer["id"]: answer for answer in found}


@pytest.mark.parametrize("id_", [7, "seven", 7.5])
async def test_a_call_that_waits_is_ended(
    talk: aiohttp.ClientWebSocketResponse, engine: Any, id_: object
) -> None:
    engine.hold("c9")
    await talk.send_json(request(id_, "candidate.wait", id="c9", until=["kept"], timeout_s=60))
    await until_asked(engine, "wait")
    await talk.send_json(request("end", "rpc.cancel", id=id_))
    told = await answers(talk, 2)
    assert told["end"]["result"] == {"cancelled": True}
    assert told[id_]["error"]["data"]["name"] == "cancelled"
    async with asyncio.timeout(5):
        await engine.ended.wait()  # the engine's side of it is gone too
    await talk.send_json(request("again", "rpc.cancel", id=id_))
    assert (await answers(talk, 1))["again"]["result"] == {"cancelled": False}


async def test_what_changes_something_is_not_cut_in_half(
    talk: aiohttp.ClientWebSocketResponse, engine: Any
) -> None:
    engine.gate = asyncio.Event()
    await talk.send_json(request(1, "engine.pause", reason="lunch"))
    await talk.send_json(request(2, "rpc.cancel", id=1))
    assert (await answers(talk, 1))[2]["result"] == {"cancelled": False}
    engine.gate.set()
    assert "result" in (await answers(talk, 1))[1]
    assert engine.state.paused


async def test_nobody_ends_the_calls_of_others(
    talk: aiohttp.ClientWebSocketResponse, engine: Any, socket: Path
) -> None:
    engine.hold("c9")
    await talk.send_json(request(1, "candidate.wait", id="c9", until=["kept"], timeout_s=60))
    await until_asked(engine, "wait")
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(socket))) as http:
        other = await http.ws_connect("http://engine/rpc")
        await other.send_json(request(2, "rpc.cancel", id=1))
        assert (await other.receive_json())["result"] == {"cancelled": False}


async def until_asked(engine: Any, what: str) -> None:
    async with asyncio.timeout(5):
        while not any(name == what for name, _ in engine.asked):  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(0)
