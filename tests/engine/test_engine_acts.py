"""Acts with an idempotency key are done once, also where an engine died before it could answer."""

import json
from typing import Any

import msgspec
from engine_world import FASTER, World, reach

from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.ledger.store import Store
from ouroboros.model import events as ev
from ouroboros.model.phase import Phase
from rpc.guard import Guard
from rpc.limits import Limits
from rpc.methods import Session, endpoints

ANN, BOB = "uid:ann", "uid:bob"


async def call(engine: Engine, method: str, key: str, *, by: str = BOB, **params: Any) -> Any:
    """Ask through a guard of its own: what an earlier one remembered in memory is gone."""
    guard = Guard(endpoints(), Limits())
    session = Session(engine=engine, actor=by, role="admin")
    asked = {"jsonrpc": "2.0", "id": 1, "method": method}
    body = msgspec.json.encode(asked | {"params": {**params, "idempotency_key": key}})
    return json.loads(await guard.answer(session, body) or b"null")


async def held(engine: Engine) -> str:
    name = await engine.submit(Submission(diff=FASTER, title="t"), actor=ANN)
    await reach(engine, name, Phase.HELD)
    return name


async def test_an_act_is_done_once_over_a_restart(world: World) -> None:
    engine = await world.start()
    first = await call(engine, "engine.pause", "k", reason="lunch")
    await world.stop(engine)
    engine = await world.start()
    await engine.resume(actor=ANN, reason="")
    again = await call(engine, "engine.pause", "k", reason="lunch")
    assert again == first  # the entry by which it was done
    assert not engine.state.paused  # it is not done once more
    assert world.kinds().count("paused") == 1
    await call(engine, "engine.pause", "k", by=ANN, reason="lunch")  # hers is another key
    assert engine.state.paused


async def test_a_yes_is_given_once_and_lends_its_key_to_nothing_that_follows(world: World) -> None:
    engine = await world.start()
    name = await held(engine)
    asked = {"id": name, "commit": engine.candidate(name).commit}
    first = await call(engine, "candidate.approve", "k", **asked)
    await reach(engine, name, Phase.PROMOTED)
    again = await call(engine, "candidate.approve", "k", **asked)
    assert again["result"]["seq"] == first["result"]["seq"]
    with Store.open(world.state / "ledger.sqlite", read_only=True) as store:
        named = [s.entry for s in store.entries() if s.entry.idem.startswith("act-")]
    assert [type(e.event) for e in named] == [ev.Approved]


async def test_where_the_answer_says_more_the_entry_is_named(world: World) -> None:
    engine = await world.start()
    name = await held(engine)
    await engine.approve(name, actor=BOB, commit=engine.candidate(name).commit, reason="")
    await reach(engine, name, Phase.PROMOTED)
    first = await call(engine, "version.rollback", "k", to="0", reason="slow")
    assert first["result"]["restores"] == 0
    again = await call(engine, "version.rollback", "k", to="0", reason="slow")
    assert again["error"]["data"]["name"] == "conflict"
    assert "before the engine was restarted, as entry" in again["error"]["message"]
    assert world.kinds().count("rollback_started") == 1


async def test_a_retry_is_proposed_once_over_a_restart(world: World) -> None:
    engine = await world.start()
    name = await held(engine)
    await engine.deny(name, actor=BOB, reason="")
    first = await call(engine, "candidate.retry", "k", id=name)
    await world.stop(engine)
    engine = await world.start()
    assert await call(engine, "candidate.retry", "k", id=name) == first
    assert world.kinds().count("proposed") == 2
