"""A ledger that lost entries: the engine fails closed, is salvaged, and finds what git knows."""

import sqlite3
from pathlib import Path

import pytest
from engine_world import FASTER, OTHER, World, git, make_diff, reach

from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.errors import LedgerDamagedError
from ouroboros.ledger import salvage as room
from ouroboros.ledger.store import Store
from ouroboros.model.events import EpochStarted, Reconciled
from ouroboros.model.phase import Phase

BY = "uid:tester"


async def held(engine: Engine, diff: str) -> str:
    name = await engine.submit(Submission(diff=diff, title="t"), actor=BY)
    await reach(engine, name, Phase.HELD)
    return name


async def promoted(engine: Engine, diff: str) -> str:
    name = await held(engine, diff)
    commit = engine.candidate(name).commit
    await engine.approve(name, actor=BY, commit=commit, reason="")
    await reach(engine, name, Phase.PROMOTED)
    return name


def cut(ledger: Path, size: int) -> None:
    """Lose the entries behind `size`, as a torn write-ahead log does."""
    db = sqlite3.connect(ledger)
    triggers = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        db.execute(f"DROP TRIGGER {name}")
    for table in ("entries", "touched"):
        db.execute(f"DELETE FROM {table} WHERE seq > ?", (size,))  # noqa: S608 - constants
    for _, made in triggers:
        db.execute(made)
    db.commit()
    db.close()


def salvaged(world: World) -> EpochStarted:
    ledger = world.state / "ledger.sqlite"
    damage = room.examine(ledger)
    aside = room.quarantine(ledger, world.state / "evidence", world.state / "quarantine" / "1")
    room.salvage(ledger, damage, kept_aside=str(aside), actor=BY, ts=5, reason="a bad disk")
    event = world.events()[-1]
    assert isinstance(event, EpochStarted)
    return event


async def test_lost_promotions_are_named_and_no_number_is_given_twice(world: World) -> None:
    engine = await world.start()
    known = await promoted(engine, FASTER)
    on_its_way = await held(engine, make_diff("m.py", "x * 2", "2 * x"))
    size = engine.state.seq
    await promoted(engine, OTHER)
    lost = world.head()
    await world.stop(engine)
    cut(world.state / "ledger.sqlite", size)

    with pytest.raises(LedgerDamagedError, match=f"Entry {size + 1}.*not there"):
        await world.start()
    before = world.kinds()
    event = salvaged(world)
    assert (event.kept_size, event.first_bad, event.old_size > size) == (size, size + 1, True)
    assert world.kinds() == [*before, "epoch_started"]

    engine = await world.start()
    state = engine.state
    assert state.paused
    assert "salvaged (epoch 1)" in state.pause_reason
    assert state.candidates[known].phase is Phase.PROMOTED
    assert state.candidates[on_its_way].phase is Phase.ERRORED
    assert "lost" in state.candidates[on_its_way].reasons[0].text
    alert = next(a for a in state.alerts if a.code == "ledger_epoch")
    assert f"{lost[:12]} (version 2)" in alert.text
    reconciled = next(e for e in world.events() if isinstance(e, Reconciled))
    assert reconciled.unknown == (lost,)
    assert world.head() == lost  # nothing is undone by itself

    await engine.resume(actor=BY, reason="looked at it")
    now = git(world.root, "show", "main:m.py") + "\n"
    name = await promoted(engine, make_diff("m.py", "1 + x", "x - -1", before=now))
    assert name == "c4"
    assert engine.state.versions[-1].number == 3
    await world.stop(engine)
    engine = await world.start()
    assert [e for e in world.events() if isinstance(e, Reconciled)] == [reconciled]
    assert not engine.state.paused


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_an_intent_without_proof_is_not_finished_over_a_hole(world: World) -> None:
    engine = await world.start()
    name = await promoted(engine, FASTER)
    commit = world.head()
    await world.stop(engine)
    intent = world.kinds().index("promotion_started") + 1
    cut(world.state / "ledger.sqlite", intent)
    git(world.root, "reset", "-q", "--hard", "HEAD~1")  # a human undid it, in the lost time
    undone = world.head()
    salvaged(world)
    engine = await world.start()
    assert engine.state.intent is None
    assert engine.state.candidates[name].phase is Phase.ERRORED
    await engine.resume(actor=BY, reason="go on")
    await engine.trigger(actor=BY)
    await engine._core.recorder.wait_for(
        lambda s: s.cycle is not None and s.cycle.finished_ns > 0 and s.cycle.number > 1
    )
    assert world.head() == undone
    assert commit not in git(world.root, "rev-list", "main")


async def test_an_altered_entry_keeps_the_engine_from_starting(world: World) -> None:
    engine = await world.start()
    for number in range(100):  # far before the end, where a look at the tail does not reach
        await engine.pause(actor=BY, reason=str(number), now=False)
        await engine.resume(actor=BY, reason=str(number))
    await world.stop(engine)
    ledger = world.state / "ledger.sqlite"
    db = sqlite3.connect(ledger)
    made = db.execute("SELECT sql FROM sqlite_schema WHERE name = 'entries_no_update'").fetchone()
    db.execute("DROP TRIGGER entries_no_update")
    db.execute(
        'UPDATE entries SET bytes = CAST(replace(bytes, \'"reason":"3"\', \'"reason":"4"\') '
        "AS BLOB) WHERE kind = 'paused' AND seq < 20"
    )
    db.execute(made[0])
    db.commit()
    db.close()
    size = Store.open(ledger, read_only=True).head().size
    with pytest.raises(LedgerDamagedError, match="Entry "):
        await world.start()
    await world.engines[-1].close()
    with Store.open(ledger, read_only=True) as store:
        assert store.head().size == size
