"""Alerts that are tried again, recorded, and gone on with; and how a dead engine is noticed."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from engine_world import World

from ouroboros.engine import delivery
from ouroboros.engine.alive import notify, watchdog_s
from ouroboros.engine.daemon import Engine
from ouroboros.model import events as ev


class Hook:
    """A webhook that can be out of order."""

    def __init__(self) -> None:
        self.taken: list[int] = []
        self.asked = 0
        self.status = 204
        self.url = ""
        self.changed = asyncio.Event()

    async def asked_times(self, count: int) -> None:
        while self.asked < count:
            self.changed.clear()
            await self.changed.wait()

    async def serve(self, request: web.Request) -> web.Response:
        self.asked += 1
        self.changed.set()
        if request.method == "POST" and self.status == 204:
            self.taken.append((await request.json())["number"])
        return web.Response(status=self.status)


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    made = Hook()
    application = web.Application()
    application.router.add_route("*", "/", made.serve)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    made.url = f"http://127.0.0.1:{runner.addresses[0][1]}/"
    yield made
    await runner.cleanup()


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(delivery, "PAUSES_S", (0.05,))
    made = World(tmp_path)
    yield made
    for engine, store in zip(made.engines, made.stores, strict=True):
        await engine.close()
        store.close()


def configure(world: World, hook: Hook, more: str = "") -> None:
    world.configure()
    with (world.root / "ouroboros.toml").open("a") as file:
        file.write(f'[alerts]\n{more}\n[alerts.sinks.ops]\nkind = "webhook"\nurl = "{hook.url}"\n')


async def settled(engine: Engine, count: int) -> list[Any]:
    async with asyncio.timeout(20):
        await engine._core.recorder.wait_for(
            lambda s: sum(len(a.settled) for a in s.alerts) >= count
        )
    return list(engine.state.alerts)


def delivered(world: World) -> list[Any]:
    return [e for e in world.events() if isinstance(e, ev.AlertDelivered)]


async def test_an_alert_is_delivered_and_recorded(world: World, hook: Hook) -> None:
    configure(world, hook)
    engine = await world.start()
    await engine._core.alert("disk_low", "critical", "2 GiB are left")
    await engine._core.alert("idle", "info", "nothing to do")
    alerts = await settled(engine, 1)
    assert hook.taken == [alerts[0].seq]
    assert delivered(world) == [ev.AlertDelivered(alert=alerts[0].seq, sink="ops", tries=1)]


async def test_what_is_not_taken_is_tried_again(world: World, hook: Hook) -> None:
    configure(world, hook)
    engine = await world.start()
    hook.status = 500
    await engine._core.alert("disk_low", "critical", "2 GiB are left")
    async with asyncio.timeout(10):
        await hook.asked_times(3)
    hook.status = 204
    await settled(engine, 1)
    assert len(hook.taken) == 1
    assert delivered(world)[0].tries > 3


async def test_a_failure_for_good_is_recorded(world: World, hook: Hook) -> None:
    configure(world, hook, 'give_up = "300ms"')
    engine = await world.start()
    hook.status = 500
    await engine._core.alert("disk_low", "critical", "2 GiB are left")
    await settled(engine, 1)
    assert "answered 500" in delivered(world)[0].problem
    assert hook.taken == []


async def test_the_next_engine_goes_on_and_sends_nothing_twice(world: World, hook: Hook) -> None:
    configure(world, hook)
    engine = await world.start()
    await engine._core.alert("disk_low", "critical", "taken at once")
    await settled(engine, 1)
    hook.status = 500
    await engine._core.alert("disk_low", "critical", "not taken")
    async with asyncio.timeout(10):
        await hook.asked_times(2)
    await world.stop(engine)
    hook.status = 204
    engine = await world.start()
    alerts = await settled(engine, 2)
    assert hook.taken == [a.seq for a in alerts]


async def test_a_silenced_alert_goes_nowhere(world: World, hook: Hook) -> None:
    configure(world, hook)
    engine = await world.start()
    until = engine._core.now() + 3600 * 10**9
    await engine.orders.silence("disk_*", until, actor="uid:ann", reason="")
    await engine._core.alert("disk_low", "critical", "2 GiB are left")
    await engine._core.alert("regression", "critical", "slower")
    await settled(engine, 1)
    assert hook.taken == [engine.state.alerts[-1].seq]


async def test_a_test_alert_tells_how_each_sink_took_it(world: World, hook: Hook) -> None:
    configure(world, hook)
    engine = await world.start()
    assert [(d.sink, d.ok) for d in await engine.inside.try_alert(actor="uid:ann")] == [
        ("ops", True)
    ]
    hook.status = 403
    found = await engine.inside.try_alert(actor="uid:ann")
    assert "403" in found[0].problem


async def test_a_sink_that_hangs_delays_no_alert(world: World) -> None:
    async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    server = await asyncio.start_server(hang, "127.0.0.1", 0)
    slow = Hook()
    slow.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
    configure(world, slow)
    engine = await world.start()
    async with asyncio.timeout(5):
        for _ in range(3):
            await engine._core.alert("disk_low", "critical", "2 GiB are left")
    server.close()


# --- a dead engine is noticed -------------------------------------------------------------------


async def test_the_service_manager_and_the_dead_man_hear_of_us(
    world: World, hook: Hook, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plug = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    plug.bind(str(tmp_path / "n"))
    plug.setblocking(False)
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "n"))
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    configure(world, hook)
    with (world.root / "ouroboros.toml").open("a") as file:
        file.write(f'[alerts.deadman]\nurl = "{hook.url}"\nevery = "50ms"\n')
    assert watchdog_s() == 0.1
    engine = await world.start()
    loop = asyncio.get_running_loop()
    async with asyncio.timeout(10):
        for _ in range(3):
            assert await loop.sock_recv(plug, 100) == b"WATCHDOG=1"
        await hook.asked_times(3)
    engine._core.halt("a test")
    await asyncio.sleep(0.3)
    asked = hook.asked
    await asyncio.sleep(0.3)
    assert hook.asked == asked
    plug.close()


def test_without_a_service_manager_nothing_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    notify("READY=1")
    assert watchdog_s() == 0.0
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")
    monkeypatch.setenv("WATCHDOG_PID", "1")
    assert watchdog_s() == 0.0
    monkeypatch.setenv("NOTIFY_SOCKET", "/no/such/socket")
    notify("READY=1")  # told in the log
