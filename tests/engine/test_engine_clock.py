"""Clocks are set, and machines sleep: nothing crashes, nothing waits for ever, order is the seq."""

import asyncio
import time

import pytest
from engine_world import FASTER, OTHER, World, evaluation, make_diff, reach

from ouroboros.engine import cycles, daemon, watch
from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.ledger.store import Store
from ouroboros.model.phase import Phase

BY = "uid:tester"
DAY = 86400 * 10**9


class Clock:
    """A wall clock that can be set; it goes on at the usual pace."""

    def __init__(self, world: World) -> None:
        self.off = 0
        world.clock_ns = self.now

    def now(self) -> int:
        return time.time_ns() + self.off


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (cycles, daemon, watch):
        monkeypatch.setattr(module, "LOOK_S", 0.02)


async def submit(engine: Engine, diff: str = FASTER) -> str:
    return await engine.submit(Submission(diff=diff, title="t"), actor=BY)


async def test_a_hold_expires_when_the_clock_passes_it_also_over_a_suspend(world: World) -> None:
    clock = Clock(world)
    engine = await world.start()
    name = await submit(engine)
    await reach(engine, name, Phase.HELD)
    clock.off = 4 * DAY  # asleep for four days: timers saw nothing of it
    await reach(engine, name, Phase.REJECTED)
    assert engine.candidate(name).reasons[0].code == "expired"


@pytest.mark.parametrize("days", [-400, 400])
async def test_a_cycle_comes_within_an_interval_however_the_clock_is_set(
    world: World, days: int
) -> None:
    clock = Clock(world)
    world.configure(interval="300ms")
    engine = await world.start()
    await engine._core.recorder.wait_for(lambda s: s.cycles >= 2)
    clock.off = days * DAY
    seen = engine.state.cycles
    async with asyncio.timeout(20):
        await engine._core.recorder.wait_for(lambda s: s.cycles >= seen + 3)


@pytest.mark.parametrize("days", [-400, 400])
async def test_a_watch_comes_due_however_the_clock_is_set(world: World, days: int) -> None:
    clock = Clock(world)
    world.configure(watch_after="1s")
    engine = await world.start()
    name = await submit(engine)
    c = await reach(engine, name, Phase.HELD)
    await engine.approve(name, actor=BY, commit=c.commit, reason="")
    await reach(engine, name, Phase.PROMOTED)
    clock.off = days * DAY
    await reach(engine, name, Phase.KEPT)


async def test_a_clock_that_was_set_back_breaks_neither_order_nor_circuit(world: World) -> None:
    clock = Clock(world)
    engine = await world.start()
    await engine.pause(actor=BY, reason="", now=False)
    await engine.resume(actor=BY, reason="")
    clock.off = -3000 * DAY
    world.executor.answer = lambda plan: evaluation(plan, status="error", cause="no sandbox")
    for diff in (FASTER, OTHER, make_diff("m.py", "x + 1", "x - -1")):
        await reach(engine, await submit(engine, diff), Phase.ERRORED)
    await engine._core.recorder.wait_for(lambda s: s.paused)  # three errors since the resume
    assert "in a row ended in error" in engine.state.pause_reason
    state = engine.state
    await world.stop(engine)
    with Store.open(world.state / "ledger.sqlite", read_only=True) as store:
        report = store.verify()
        assert report.ok
        assert any("clock went back" in note.text for note in report.notes)
    engine = await world.start()
    assert engine.state.candidates == state.candidates
    assert engine.state.paused


async def test_a_clock_before_the_epoch_is_recorded_as_told(world: World) -> None:
    world.clock_ns = lambda: -5
    engine = await world.start()
    await engine.pause(actor=BY, reason="1969", now=False)
    assert (await engine.ledger_page(before=0, limit=1, kind="paused", candidate=""))[
        0
    ].entry.ts == -5
