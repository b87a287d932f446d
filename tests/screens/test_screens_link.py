"""The line to the engine: connect, resume, back off, begin again."""

import asyncio
from typing import Any

import pytest

from ouroboros.errors import EngineUnreachableError, UnauthenticatedError
from ouroboros.model import events as ev
from ouroboros.model.entry import Stored
from rpc import wire
from tests.screens.scripted import NOW, ScriptedEngine
from tui.link import LAST_DELAY, Link
from tui.view import Attached, Detached, Unknown, View, advance


class Watcher:
    """Follows a link and keeps what it yields."""

    def __init__(self, engine: ScriptedEngine, *, jitter: float = 0.5) -> None:
        self.link = Link(engine.connect, clock_ns=lambda: NOW, jitter=lambda: jitter)
        self.items: list[Any] = []
        self.view = View()
        self._task: asyncio.Task[None] | None = None
        self._more = asyncio.Event()

    async def __aenter__(self) -> "Watcher":  # noqa: PYI034 - not meant to be inherited
        self._task = asyncio.ensure_future(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.link.close()
        assert self._task is not None
        await asyncio.wait_for(self._task, 5)

    async def _run(self) -> None:
        async for item in self.link.follow():
            self.items.append(item)
            self.view = advance(self.view, item)
            self._more.set()

    async def until(self, kind: type, number: int = 1) -> Any:
        async def enough() -> Any:
            while len(self.of(kind)) < number:
                self._more.clear()
                await self._more.wait()
            return self.of(kind)[-1]

        return await asyncio.wait_for(enough(), 10)

    def of(self, kind: type) -> list[Any]:
        return [item for item in self.items if isinstance(item, kind)]


async def test_it_begins_with_a_snapshot_and_then_follows(engine: ScriptedEngine) -> None:
    async with Watcher(engine) as watcher:
        first = await watcher.until(Attached)
        assert first.snapshot is not None
        assert first.actor == "uid:ada"
        engine.emit(ev.Paused(reason="lunch"))
        await watcher.until(Stored)
        assert watcher.view.state == engine.state


async def test_it_resumes_by_number_without_a_second_snapshot(engine: ScriptedEngine) -> None:
    async with Watcher(engine, jitter=0.0) as watcher:
        await watcher.until(Attached)
        engine.drop()
        lost = await watcher.until(Detached)
        assert "hung up" in lost.reason or "No engine answers" in lost.reason
        engine.emit(ev.Paused(reason="while you were away"))
        engine.back()
        again = await watcher.until(Attached, 2)
        assert again.snapshot is None
        await watcher.until(Stored)
        assert engine.snapshots == 1
        assert watcher.view.state == engine.state
        assert not watcher.view.resync


async def test_an_expired_cursor_means_a_new_snapshot_and_no_alarm(engine: ScriptedEngine) -> None:
    async with Watcher(engine, jitter=0.0) as watcher:
        await watcher.until(Attached)
        engine.drop()
        await watcher.until(Detached)
        for _ in range(5):
            engine.emit(ev.Resumed(reason=""))
        engine.oldest = len(engine.entries)
        alarms = len(watcher.of(Detached))
        engine.back()
        again = await watcher.until(Attached, 2)
        assert again.snapshot is not None
        assert watcher.view.state == engine.state
        assert all("too long ago" not in item.reason for item in watcher.of(Detached)[alarms:])


async def test_another_ledger_means_a_new_snapshot(engine: ScriptedEngine) -> None:
    async with Watcher(engine, jitter=0.0) as watcher:
        await watcher.until(Attached)
        engine.drop()
        await watcher.until(Detached)
        engine.epoch = "e2"
        engine.back()
        again = await watcher.until(Attached, 2)
        assert again.snapshot is not None
        assert engine.snapshots == 2


async def test_a_resync_takes_a_new_snapshot_at_once(engine: ScriptedEngine) -> None:
    async with Watcher(engine) as watcher:
        await watcher.until(Attached)
        engine.emit_unknown()
        unknown = await watcher.until(Unknown)
        assert unknown.topic == "candidate.teleported"
        assert watcher.view.resync
        await watcher.link.resync()
        await watcher.until(Attached, 2)
        assert not watcher.view.resync
        assert watcher.of(Detached) == []


async def test_it_backs_off_and_a_nudge_tries_at_once(engine: ScriptedEngine) -> None:
    engine.down = True
    async with Watcher(engine, jitter=0.5) as watcher:
        for number in range(1, 9):
            await watcher.until(Detached, number)
            watcher.link.nudge()
        waits = [(item.retry_ns - item.at_ns) / 1e9 for item in watcher.of(Detached)[:8]]
        assert waits == pytest.approx([0.25, 0.5, 1, 2, 4, 8, LAST_DELAY, LAST_DELAY])
        engine.back()
        watcher.link.nudge()
        await watcher.until(Attached)


@pytest.mark.parametrize("jitter", [0.0, 0.999])
async def test_jitter_stays_within_a_quarter(engine: ScriptedEngine, jitter: float) -> None:
    engine.down = True
    async with Watcher(engine, jitter=jitter) as watcher:
        first = await watcher.until(Detached)
        assert 0.75 * 0.25e9 <= first.retry_ns - first.at_ns <= 1.25 * 0.25e9


async def test_a_call_without_a_line_says_so(engine: ScriptedEngine) -> None:
    engine.down = True
    async with Watcher(engine) as watcher:
        await watcher.until(Detached)
        with pytest.raises(EngineUnreachableError, match="nothing was sent"):
            await watcher.link.call(wire.EnginePause())
    assert engine.calls == []


async def test_being_turned_away_is_told_and_tried_again(engine: ScriptedEngine) -> None:
    engine.refusals[wire.EngineSnapshot] = UnauthenticatedError("You are not the owner.")
    async with Watcher(engine, jitter=0.0) as watcher:
        turned_away = await watcher.until(Detached)
        assert turned_away.reason == "You are not the owner."
        engine.refusals.clear()
        await watcher.until(Attached)


async def test_closing_ends_the_following(engine: ScriptedEngine) -> None:
    async with Watcher(engine) as watcher:
        await watcher.until(Attached)
    assert engine.feeds == []
    assert all(connection.lost for connection in engine.connections)
