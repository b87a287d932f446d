"""Faults of the world around the engine: it stops, says so, and goes on when they are gone."""

import asyncio
import logging
from typing import Any

import pytest
from engine_world import FASTER, SOURCE, World, evaluation, make_diff, reach

from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.errors import LedgerCorruptError, LedgerFullError, TargetError
from ouroboros.ledger.evidence import Evidence
from ouroboros.ledger.store import Store
from ouroboros.model.entry import Stored
from ouroboros.model.phase import Phase
from ouroboros.model.snapshot import Activity

BY = "uid:tester"


async def submit(engine: Engine, diff: str = FASTER) -> str:
    return await engine.submit(Submission(diff=diff, title="t"), actor=BY)


class FullDisk:
    """Makes appends of some kinds fail for as long as it is full."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *kinds: str) -> None:
        self.full = True
        original = Store.append

        def append(store: Store, event: Any, **more: Any) -> Stored:
            if self.full and (not kinds or event.kind in kinds):
                raise LedgerFullError("no space left")
            return original(store, event, **more)

        monkeypatch.setattr(Store, "append", append)


async def halted(engine: Engine) -> None:
    await engine._core.recorder.wait_for(lambda _: bool(engine._core.halted))


async def cycle_over(engine: Engine, number: int) -> None:
    await engine._core.recorder.wait_for(
        lambda s: s.cycle is not None and s.cycle.number == number and s.cycle.finished_ns > 0
    )


async def test_submissions_beyond_the_limit_wait_in_line(world: World) -> None:
    world.configure(engine="max_in_flight = 2")
    engine = await world.start()
    world.executor.gate.clear()
    diffs = [
        make_diff("m.py", "x + 1", new) for new in ("1 + x", "x + 1 + 0", "x - -1", "2 + x - 1")
    ]
    names = [await submit(engine, diff) for diff in diffs]
    for name in names[:2]:
        await reach(engine, name, Phase.EVALUATING)
    await reach(engine, names[3], Phase.APPLIED)
    assert engine.candidate(names[2]).phase is Phase.APPLIED
    await engine.cancel(names[0], actor=BY, reason="make room")
    await reach(engine, names[2], Phase.EVALUATING)
    await engine.cancel(names[3], actor=BY, reason="not needed any more")
    world.executor.gate.set()
    await reach(engine, names[2], Phase.HELD)


async def test_evidence_that_cannot_be_read_halts_and_does_not_spin(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def damaged(_: Evidence, name: str) -> bytes:
        asked.append(name)
        raise LedgerCorruptError(f"Evidence {name} is damaged.")

    with monkeypatch.context() as patch:
        patch.setattr(Evidence, "get", damaged)
        name = await submit(engine)
        await halted(engine)
    assert "is damaged" in engine.status().halt_reason
    assert len(asked) == 1
    await engine.resume(actor=BY, reason="restored")
    await reach(engine, name, Phase.HELD)


async def test_a_fault_that_cannot_be_recorded_is_recorded_later(
    world: World, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch, "errored")
    world.executor.answer = lambda plan: evaluation(plan, status="error", cause="no sandbox")
    name = await submit(engine)
    await halted(engine)
    assert engine.candidate(name).phase is Phase.EVALUATED
    disk.full = False
    await engine.resume(actor=BY, reason="space")
    await reach(engine, name, Phase.ERRORED)


async def test_a_resume_that_cannot_be_recorded_does_not_claim_success(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    await cycle_over(engine, 1)
    disk = FullDisk(monkeypatch)
    with pytest.raises(LedgerFullError):
        await engine.pause(actor=BY, reason="", now=False)
    with pytest.raises(LedgerFullError):
        await engine.resume(actor=BY, reason="I hope")
    assert engine.status().activity is Activity.HALTED
    disk.full = False
    await engine.resume(actor=BY, reason="space")
    assert engine.status().halt_reason == ""


async def test_the_loop_outlives_a_cache_that_cannot_be_written(world: World) -> None:
    (world.state / "cache").write_text("in the way")
    engine = await world.start()
    await cycle_over(engine, 1)
    assert "cannot be written" in (await engine.cycles(limit=1))[0].text
    (world.state / "cache").unlink()
    world.proposer.diffs.append(FASTER)
    await engine.trigger(actor=BY)
    await engine._core.recorder.wait_for(lambda s: "c1" in s.candidates)
    await reach(engine, "c1", Phase.HELD)


async def test_the_loop_outlives_a_bug(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    async def bug(_: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(world.executor, "profile", bug)
    engine = await world.start()
    await cycle_over(engine, 1)
    assert (await engine.cycles(limit=1))[0].text == "RuntimeError: a bug"
    await engine.trigger(actor=BY)
    await cycle_over(engine, 2)


async def test_a_start_that_failed_leaves_no_entry(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(TargetError):
        await world.start("nope")
    await world.engines[-1].close()
    assert world.kinds() == []
    FullDisk(monkeypatch)
    with pytest.raises(LedgerFullError):
        await world.start()
    await world.engines[-1].close()
    assert world.kinds() == []
    assert [r for r in caplog.records if r.levelno >= logging.WARNING] == []


async def test_a_rollback_waits_for_whatever_stands_in_its_way(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ouroboros.engine.promotion.RETRY_S", 0.05)
    engine = await world.start()
    name = await submit(engine)
    c = await reach(engine, name, Phase.HELD)
    await engine.approve(name, actor=BY, commit=c.commit, reason="")
    await reach(engine, name, Phase.PROMOTED)
    disk = FullDisk(monkeypatch, "rolled_back")
    lock = world.root / ".git" / "refs" / "heads" / "main.lock"
    lock.touch()
    asked = asyncio.ensure_future(engine.rollback("last", actor=BY, reason="", expect_head=""))
    await halted(engine)
    assert "is retried" in engine.status().halt_reason
    lock.unlink()
    await engine._core.recorder.wait_for(lambda _: "no space left" in engine._core.halted)
    disk.full = False
    await engine.resume(actor=BY, reason="space")
    version = await asyncio.wait_for(asked, 20)
    assert version.title == "rollback to version 0"
    assert (world.root / "m.py").read_text() == SOURCE
