"""`GET /events`: the stream for whoever speaks only HTTP; and the socket for other users."""

import asyncio
import contextlib
import json
import os
import pwd
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from rpc.limits import Limits
from rpc.server import Doors, Server


@pytest.fixture
async def http(server: Server, socket: Path) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(socket))) as made:
        yield made


async def records(answer: aiohttp.ClientResponse, count: int) -> list[dict[str, str]]:
    """Read records, comments left out."""
    found: list[dict[str, str]] = []
    record: dict[str, str] = {}
    async with asyncio.timeout(5):
        while len(found) < count:
            line = (await answer.content.readline()).decode().rstrip("\n")
            if not line and record:
                found.append(record)
                record = {}
            elif line and not line.startswith(":"):
                key, _, value = line.partition(": ")
                record[key] = value
    return found


async def test_what_was_and_what_comes_without_a_gap_or_a_double(
    http: aiohttp.ClientSession, engine: Any
) -> None:
    known = len(engine.entries)
    async with http.get("http://engine/events?from_seq=0") as answer:
        assert answer.headers["Content-Type"].startswith("text/event-stream")
        first = await records(answer, known)
        engine.hold("c8")
        more = await records(answer, len(engine.entries) - known)
    assert [int(r["id"]) for r in first + more] == list(range(1, len(engine.entries) + 1))
    data = json.loads(more[-1]["data"])
    assert data["hash"] == engine.entries[-1].hash
    assert data["topic"] == more[-1]["event"] == "candidate.held"
    assert "\x1b" not in json.dumps(first)
    engine.hold("c9")
    headers = {"Last-Event-ID": more[-1]["id"]}
    async with http.get("http://engine/events?topics=candidate.*", headers=headers) as answer:
        again = await records(answer, 1)
    assert int(again[0]["id"]) == int(more[-1]["id"]) + 1


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("from_seq=-1", 400),
        ("from_seq=x", 400),
        ("from_seq=99999", 409),
        ("from_seq=" + "9" * 40, 400),
        ("topics=" + "a" * 200, 400),
    ],
)
async def test_a_cursor_or_topic_that_cannot_be(
    http: aiohttp.ClientSession, query: str, status: int
) -> None:
    async with http.get(f"http://engine/events?{query}") as answer:
        assert answer.status == status
        assert json.loads(await answer.read())["error"]["message"]


async def test_silence_has_heartbeats_and_an_end(engine: Any, folder: Path) -> None:
    path = folder / "run" / "e.sock"
    server = await Server.start(engine, socket=path, limits=Limits(heartbeat_s=0.05))
    async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(path=str(path))) as http:
        answer = await http.get("http://engine/events")
        async with asyncio.timeout(5):
            while b"still here" not in await answer.content.readline():
                pass
            await server.close()
            with contextlib.suppress(aiohttp.ClientError):  # an orderly end is as good
                while await answer.content.readline():
                    pass
    assert not engine.bus._listeners


class TestOtherUsers:
    """A second socket, whose peers the kernel names."""

    @pytest.fixture
    async def shared(self, engine: Any, folder: Path) -> AsyncIterator[Path]:
        place = folder / "shared"
        for each in (folder, place):
            each.mkdir(exist_ok=True)
            each.chmod(0o755)
        nobody = pwd.getpwnam("nobody")
        server = await Server.start(
            engine,
            socket=folder / "run" / "e.sock",
            doors=Doors(shared=place / "x.sock", users={nobody.pw_uid: "operator"}),
        )
        yield place / "x.sock"
        await server.close()

    async def test_who_is_named_has_his_role_and_others_stay_out(
        self, shared: Path, engine: Any
    ) -> None:
        assert stat.S_IMODE(os.stat(shared).st_mode) == 0o666  # noqa: PTH116
        if os.geteuid() != 0:
            pytest.skip("only root can become somebody else")
        assert (await self.ask(shared, "nobody", "auth.whoami"))["result"] == {
            "actor": "uid:nobody",
            "role": "operator",
            "methods": [],
        }
        refused = await self.ask(shared, "nobody", "governor.move_anchor")
        assert refused["error"]["data"]["name"] == "forbidden"
        stranger = await self.ask(shared, "daemon", "auth.whoami")
        assert stranger["error"]["data"]["name"] == "unauthenticated"
        assert "[rpc.users]" in stranger["error"]["data"]["hint"]

    async def ask(self, socket: Path, user: str, method: str) -> Any:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method})
        process = await asyncio.create_subprocess_exec(
            "curl", "-s", "--unix-socket", str(socket), "http://engine/rpc",
            "-H", "Content-Type: application/json", "-d", body,
            stdout=asyncio.subprocess.PIPE, user=user,
        )  # fmt: skip
        out, _ = await process.communicate()
        return json.loads(out)
