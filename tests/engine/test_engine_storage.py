"""Disk and retention through the engine's doors: it stops in time, and goes on by itself."""

import asyncio
import itertools
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from engine_world import FASTER, OTHER, World, evaluation, git, make_diff, reach

from ouroboros.engine import disk as disk_room
from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.errors import EvidencePrunedError, LedgerError, LedgerForkedError, LedgerFullError
from ouroboros.ledger.store import Store
from ouroboros.model.entry import Stored
from ouroboros.model.events import Paused, RetentionApplied
from ouroboros.model.phase import Phase
from ouroboros.model.snapshot import Activity

BY = "uid:tester"
MIB = 1 << 20


async def submit(engine: Engine, diff: str = FASTER) -> str:
    return await engine.submit(Submission(diff=diff, title="t"), actor=BY)


async def until(engine: Engine, condition: Any) -> None:
    await engine._core.recorder.wait_for(lambda _: bool(condition()))


def codes(engine: Engine) -> list[str]:
    return [alert.code for alert in engine.state.alerts]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_room, "LOOK_S", 0.02)


async def test_low_disk_pauses_new_work_and_goes_on_by_itself(world: World) -> None:
    free = [100 * MIB]
    world.free_bytes = lambda _: free[0]
    engine = await world.start()
    assert engine.status().activity is Activity.HALTED
    assert "512 MiB are needed" in engine.status().halt_reason
    assert "by itself" in engine.status().halt_reason
    name = await submit(engine)
    await reach(engine, name, Phase.APPLIED)
    assert codes(engine) == ["disk_low"]
    free[0] = 520 * MIB  # enough, but not by the margin that keeps it from stopping again at once
    await until(engine, lambda: engine.candidate(name).phase is Phase.APPLIED)
    assert engine.status().activity is Activity.HALTED
    free[0] = 4096 * MIB
    await reach(engine, name, Phase.HELD)
    assert engine.status().halt_reason == ""
    assert codes(engine) == ["disk_low", "disk_free"]


async def test_space_does_not_lift_a_humans_pause(world: World) -> None:
    free = [4096 * MIB]
    world.free_bytes = lambda _: free[0]
    engine = await world.start()
    await engine.pause(actor=BY, reason="I look at it", now=False)
    free[0] = MIB
    await until(engine, lambda: engine._core.low)
    free[0] = 4096 * MIB
    await until(engine, lambda: not engine._core.low)
    assert engine.state.paused
    assert engine.status().activity is Activity.PAUSED


class FullDisk:
    """Appends fail for want of space; the ballast gives room for some."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, world: World, *, room: int) -> None:
        self.full, self.room = True, room
        original = Store.append
        ballast = world.state / "ballast"

        def append(store: Store, event: Any, **more: Any) -> Stored:
            if self.full:
                if ballast.exists() or self.room == 0:
                    raise LedgerFullError("No space left for the ledger.")
                self.room -= 1
            return original(store, event, **more)

        monkeypatch.setattr(Store, "append", append)


async def test_on_a_full_disk_the_last_entries_fit_and_it_goes_on_by_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    free = [4096 * MIB]
    world.free_bytes = lambda _: free[0]
    engine = await world.start()
    name = await submit(engine)
    c = await reach(engine, name, Phase.HELD)
    ballast = world.state / "ballast"
    assert ballast.stat().st_size == disk_room.BALLAST
    disk = FullDisk(monkeypatch, world, room=3)  # the answer, disk_low, disk_full
    free[0] = 0
    await engine.approve(name, actor=BY, commit=c.commit, reason="")  # is written all the same
    assert not ballast.exists()
    await until(engine, lambda: "disk_full" in codes(engine))
    assert engine.status().activity is Activity.HALTED
    assert engine.candidate(name).phase is Phase.ACCEPTED
    disk.room = 0
    with pytest.raises(LedgerFullError):
        await engine.pause(actor=BY, reason="", now=False)
    disk.full = False
    free[0] = 4096 * MIB
    await reach(engine, name, Phase.PROMOTED)
    assert engine.status().halt_reason == ""
    assert ballast.exists()
    assert engine.state.resumed_ns == 0  # no human was needed
    with Store.open(world.state / "ledger.sqlite", read_only=True) as store:
        assert store.verify().ok


async def test_an_io_error_waits_for_a_human(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    free = [4096 * MIB]
    world.free_bytes = lambda _: free[0]
    engine = await world.start()
    looks = itertools.count(1)
    looked = asyncio.Event()

    def counted(_: Path) -> int:
        if next(looks) == 5:
            loop.call_soon_threadsafe(looked.set)
        return free[0]

    loop = asyncio.get_running_loop()

    with monkeypatch.context() as patch:

        def broken(*_: Any, **__: Any) -> None:
            raise LedgerError("disk I/O error")

        patch.setattr(Store, "append", broken)
        with pytest.raises(LedgerError):
            await engine.pause(actor=BY, reason="", now=False)
    world.free_bytes = counted
    async with asyncio.timeout(20):
        await looked.wait()
    assert engine.status().activity is Activity.HALTED
    await engine.resume(actor=BY, reason="a new disk")
    assert engine.status().activity is not Activity.HALTED


async def test_a_second_writer_stops_this_engine_for_good(world: World) -> None:
    engine = await world.start()
    name = await submit(engine)
    c = await reach(engine, name, Phase.HELD)
    with Store.open(
        world.state / "ledger.sqlite"
    ) as other:  # another host, whose lock we never saw
        other.append(Paused(reason="mine"), actor="other", ts=1, idem="other")
    with pytest.raises(LedgerForkedError, match="another process writes to it"):
        await engine.approve(name, actor=BY, commit=c.commit, reason="")
    assert engine.status().activity is Activity.HALTED
    for _ in range(2):
        with pytest.raises(LedgerForkedError):
            await engine.resume(actor=BY, reason="try again")
        assert engine.status().activity is Activity.HALTED
    assert world.events()[-1] == Paused(reason="mine")
    with Store.open(world.state / "ledger.sqlite", read_only=True) as store:
        assert store.verify().ok


def age(folder: Path, days: float) -> None:
    then = time.time() - days * 86400
    for path in folder.rglob("*"):
        if path.is_file():
            os.utime(path, (then, then))


async def retained(engine: Engine) -> RetentionApplied | None:
    """Tidy up now; return what was written about it."""
    before = engine.state.seq
    await engine._upkeep.round()
    page = await engine.ledger_page(before=0, limit=1, kind="retention_applied", candidate="")
    if not page or page[0].entry.seq <= before:
        return None
    event = page[0].entry.event
    assert isinstance(event, RetentionApplied)
    return event


async def test_retention_removes_what_is_over_and_says_so(world: World) -> None:
    world.configure(mode='supervised"\nhold_expiry = "400d')
    clock = [time.time_ns() - 90 * 86400 * 10**9]
    world.clock_ns = lambda: clock[0]
    engine = await world.start()
    world.executor.answer = lambda plan: evaluation(plan, status="failed", cause="no")
    rejected = await submit(engine)
    await reach(engine, rejected, Phase.REJECTED)
    world.executor.answer = evaluation
    held = await submit(engine, OTHER)
    await reach(engine, held, Phase.HELD)
    promoted = await submit(engine, make_diff("m.py", "x + 1", "x - -1"))
    c = await reach(engine, promoted, Phase.HELD)
    await engine.approve(promoted, actor=BY, commit=c.commit, reason="")
    await reach(engine, promoted, Phase.PROMOTED)
    assert await retained(engine) is None  # nothing is old

    age(world.state / "evidence", 90)
    clock[0] += 89 * 86400 * 10**9
    recent = await submit(engine, make_diff("m.py", "x * 2", "2 * x"))
    await reach(engine, recent, Phase.HELD)
    await engine.deny(recent, actor=BY, reason="no")
    event = await retained(engine)
    assert event is not None
    assert (event.evidence, event.refs) == (1, (rejected,))
    with pytest.raises(EvidencePrunedError, match="pruned by retention on "):
        await engine._core.get_evidence(engine.candidate(rejected).diff)
    day = datetime.fromtimestamp(clock[0] / 1e9, UTC).date()
    with pytest.raises(EvidencePrunedError, match=str(day)):
        await engine._core.get_evidence(engine.candidate(rejected).diff)
    for name in (held, promoted, recent):
        assert await engine._core.get_evidence(engine.candidate(name).diff)
    refs = git(world.root, "for-each-ref", "--format=%(refname)", "refs/ouroboros")
    assert f"/{rejected}" not in refs
    for name in (held, promoted, recent):
        assert f"/{name}" in refs
    assert await engine.diff(promoted)
    assert await retained(engine) is None  # and not again


async def test_quota_takes_the_oldest_but_nothing_that_is_needed(world: World) -> None:
    world.configure(storage='max_evidence = "1B"\nmax_refs = 1')
    world.executor.answer = lambda plan: evaluation(plan, status="failed", cause="no")
    engine = await world.start()
    first = await submit(engine)
    await reach(engine, first, Phase.REJECTED)
    assert await retained(engine) is None  # fresh files are never taken
    age(world.state / "evidence", 0.2)
    clock = time.time_ns() + 5 * 3600 * 10**9
    world.executor.answer = evaluation
    held = await submit(engine, OTHER)
    await reach(engine, held, Phase.HELD)
    age(world.state / "evidence", 0.2)
    world.clock_ns = lambda: clock
    event = await retained(engine)
    assert event is not None
    assert (event.evidence, event.refs) == (1, (first,))
    assert await engine._core.get_evidence(engine.candidate(held).diff)


async def test_old_trees_and_logs_go_but_not_while_something_is_measured(world: World) -> None:
    trees = world.state / "cache" / "trees"
    for name in ("old", "new"):
        (trees / name).mkdir(parents=True)
    then = time.time() - 10 * 86400
    os.utime(trees / "old", (then, then))
    world.configure(storage='max_log = "1KiB"')
    log = world.state / "engine.log"
    log.write_text("x" * 5000)
    world.executor.gate.clear()
    engine = await world.start()
    await until(engine, lambda: not (trees / "old").exists())  # an engine begins with a round
    for name in ("old", "new"):
        (trees / name).mkdir(parents=True, exist_ok=True)
    os.utime(trees / "old", (then, then))
    name = await submit(engine)
    await reach(engine, name, Phase.EVALUATING)
    await engine._upkeep.round()
    assert (trees / "old").exists()
    world.executor.gate.set()
    await reach(engine, name, Phase.HELD)
    await retained(engine)
    assert sorted(p.name for p in trees.iterdir()) == ["new"]
    assert log.read_text() == ""
    assert (world.state / "engine.log.1").stat().st_size == 5000
