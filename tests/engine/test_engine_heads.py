"""When heads are signed, where they go, and that no anchor stops the engine."""

import asyncio
import base64
import sqlite3
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from aiohttp import web
from engine_world import FASTER, World, git, reach

from ouroboros.engine import heads as engine_heads
from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.errors import HeadError
from ouroboros.ledger import note
from ouroboros.ledger.audit import Anchor, Wanted, audit
from ouroboros.ledger.heads import verifier_of
from ouroboros.ledger.store import Store, StoredHead
from ouroboros.model.phase import Phase
from ouroboros.vcs import anchors

BY = "1000:ann"


def stored(world: World) -> list[StoredHead]:
    with Store.open(world.state / "ledger.sqlite", read_only=True) as store:
        return store.heads()


async def until(condition: Callable[[], bool], within_s: float = 20) -> None:
    """Wait for something that no event of the engine tells."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110 - files and foreign processes tell nothing
            await asyncio.sleep(0.01)


async def promote(engine: Engine) -> str:
    name = await engine.submit(Submission(diff=FASTER, title="t"), actor=BY)
    held = await reach(engine, name, Phase.HELD)
    await engine.approve(name, actor=BY, commit=held.commit, reason="")
    await reach(engine, name, Phase.PROMOTED)
    return name


def events_of(world: World) -> dict[int, str]:
    with Store.open(world.state / "ledger.sqlite", read_only=True) as store:
        return {s.entry.seq: s.entry.event.kind for s in store.entries()}


async def test_heads_follow_start_promotion_rollback_and_end(world: World) -> None:
    world.configure(engine='[ledger]\nhead_every = "1h"')  # so that the timer takes no part
    engine = await world.start()
    await until(lambda: len(stored(world)) == 1)
    await promote(engine)
    promoted = next(seq for seq, kind in events_of(world).items() if kind == "promoted")
    await until(lambda: any(h.size >= promoted for h in stored(world)))
    await engine.rollback("0", actor=BY, reason="x", expect_head="")
    rolled = next(seq for seq, kind in events_of(world).items() if kind == "rolled_back")
    await until(lambda: any(h.size >= rolled for h in stored(world)))
    await world.stop(engine)
    found = stored(world)
    assert found[-1].size == len(events_of(world))  # the last entry, engine_stopped, is covered
    in_git = [n.strip() for n in anchors.read(world.root, anchors.HEADS).notes]
    assert in_git == [h.note.strip() for h in found]
    key = verifier_of(world.state)
    report = audit(world.state / "ledger.sqlite", Wanted(key=key))
    assert (report.exit_code, report.heads) == (0, len(found))


async def test_the_timer_signs_only_what_was_added(world: World) -> None:
    world.configure(engine='[ledger]\nhead_every = "50ms"')
    engine = await world.start()
    await engine._core.recorder.wait_for(lambda s: bool(s.cycle and s.cycle.outcome))
    await until(lambda: bool(stored(world)) and stored(world)[-1].size == engine.state.seq)
    before = len(stored(world))
    await engine.pause(actor=BY, reason="lunch", now=False)
    await until(lambda: stored(world)[-1].size == engine.state.seq)
    assert len(stored(world)) > before
    count = len(stored(world))
    rounds = engine._heads.sign
    signed: list[int] = []

    async def counted() -> None:
        await rounds()
        signed.append(1)

    engine._heads.sign = counted  # type: ignore[method-assign]
    await until(lambda: len(signed) >= 3)
    assert len(stored(world)) == count
    await world.stop(engine)


async def test_promotion_and_rollback_commits_tell_size_hash_and_root(world: World) -> None:
    engine = await world.start()
    await promote(engine)
    await engine.rollback("0", actor=BY, reason="x", expect_head="")
    await world.stop(engine)
    told = anchors.read(world.root, "main").trailers
    assert len(told) == 2
    wanted = tuple(
        Anchor(size=t.size, hash=t.hash, root=base64.b64decode(t.root), source=t.commit)
        for t in told
    )
    assert {t.origin for t in told} == {"ouroboros/target-1"}
    report = audit(
        world.state / "ledger.sqlite", Wanted(key=verifier_of(world.state), anchors=wanted)
    )
    assert (report.exit_code, report.anchors) == (0, 2)


class Hook:
    """A receiver that answers with the statuses it is told, then with 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.got: list[str] = []
        self.url = ""

    async def handle(self, request: web.Request) -> web.Response:
        self.got.append(await request.text())
        return web.Response(status=self.statuses.pop(0) if self.statuses else 200)


@pytest.fixture
async def hook() -> AsyncIterator[Hook]:
    receiver = Hook()
    app = web.Application()
    app.router.add_post("/heads", receiver.handle)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    receiver.url = f"http://127.0.0.1:{port}/heads"
    yield receiver
    await runner.cleanup()


async def test_the_web_hook_gets_each_head_and_is_tried_again(
    world: World, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_heads, "FIRST_RETRY_S", 0.01)
    hook.statuses = [500, 302, 503]
    world.configure(engine=f'[ledger]\nhead_every = "1h"\nhead_webhook = "{hook.url}"')
    engine = await world.start()
    await until(lambda: len(hook.got) >= 4)
    key = verifier_of(world.state)
    assert key is not None
    assert note.parse(hook.got[-1]).verified_by(key)
    alerts = [e for e in world.events() if e.kind == "alert_raised"]
    assert len(alerts) == 1  # told once, though three posts failed
    await world.stop(engine)
    assert hook.got[-1] == stored(world)[-1].note


async def test_dead_anchors_are_an_alert_and_never_a_stop(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_heads, "FIRST_RETRY_S", 0.01)
    monkeypatch.setattr(engine_heads, "LAST_POST_S", 0.05)
    missing = tmp_path / "no" / "heads"
    world.configure(
        engine='[ledger]\nhead_every = "50ms"\nhead_webhook = "http://127.0.0.1:9/x"\n'
        f'head_file = "{missing}"'
    )
    git(world.root, "update-ref", f"{anchors.HEADS}/in-the-way", "main")  # a folder of that name
    engine = await world.start()

    def alerted() -> list[str]:
        return [a.text for a in engine.state.alerts if a.code == "head_anchor"]

    await until(lambda: len(alerted()) == 3)
    assert {text.split("(")[1].split(")")[0] for text in alerted()} == {"git", "file", "web hook"}
    await promote(engine)
    missing.parent.mkdir()
    await engine.pause(actor=BY, reason="x", now=False)
    await until(missing.exists)
    assert len(alerted()) == 3
    await world.stop(engine)
    assert stored(world)[-1].size == len(events_of(world))


async def test_a_key_that_others_can_read_is_refused_at_the_start(world: World) -> None:
    engine = await world.start()
    await world.stop(engine)
    (world.state / "head.key").chmod(0o644)
    with pytest.raises(HeadError, match="can be read by others"):
        await world.start()


async def test_heads_that_cannot_be_stored_do_not_stop_the_engine(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = sqlite3.OperationalError("database or disk is full")
    full.sqlite_errorcode = sqlite3.SQLITE_FULL

    def no_space(*_: object, **__: object) -> bool:
        from ouroboros.errors import LedgerFullError

        raise LedgerFullError("no space") from full

    monkeypatch.setattr(Store, "add_head", no_space)
    engine = await world.start()
    await promote(engine)
    await until(lambda: any(a.code == "head_anchor" for a in engine.state.alerts))
    await world.stop(engine)
    assert stored(world) == []


async def test_what_the_doors_are_given(world: World) -> None:
    engine = await world.start()
    await promote(engine)
    await until(lambda: stored(world)[-1].size == engine.state.seq)
    page = await engine.ledger_heads(before=0, limit=1)
    assert page.key == str(verifier_of(world.state))
    proof = await engine.ledger_prove(1, size=0)
    assert (proof.note, proof.size) == (page.heads[0].note, page.heads[0].size)
    grown = await engine.ledger_consistency(1, size=0)
    assert grown.size == proof.size
    report = await engine.ledger_verify(None)
    assert (report.ok, report.head) == (True, engine.ledger_head())
    await world.stop(engine)
