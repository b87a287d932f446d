"""Every key of the table, at 80x24 and 120x40, against the real engine behind a real socket.

The engine is the one that `serve` runs, on a real repository with a real ledger; only what an
evaluation finds is scripted, so that a candidate's fate does not depend on the machine.
"""

import asyncio
import logging
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from engine_world import FASTER, OTHER, World, reach

from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.model import events as ev
from ouroboros.model.phase import Phase
from rpc.server import Server
from tests.screens.conftest import Seat
from tui.app import Cockpit
from tui.keys import KEYS, Where
from tui.link import dial
from tui.screens.confirm import ConfirmScreen
from tui.screens.help import HelpScreen
from tui.view import Contact

pytestmark = pytest.mark.e2e

SIZES = [(80, 24), (120, 40)]
ME = "uid:ann"


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = World(tmp_path)
    yield world
    for engine, store in zip(world.engines, world.stores, strict=True):
        await engine.close()
        store.close()


@asynccontextmanager
async def served(engine: Engine, **options: Any) -> AsyncIterator[Path]:
    with tempfile.TemporaryDirectory(prefix="oc-") as place:
        server = await Server.start(engine, socket=Path(place) / "e" / "e.sock", **options)
        try:
            yield Path(place) / "e" / "e.sock"
        finally:
            await server.close()


@asynccontextmanager
async def seated(socket: Path, size: tuple[int, int]) -> AsyncIterator[Seat]:
    app = Cockpit(dial(socket), jitter=lambda: 0.0)
    async with app.run_test(size=size, notifications=True) as pilot:
        seat = Seat(None, app, pilot)  # type: ignore[arg-type]  # nothing scripted here
        await seat.until(lambda: app.view.contact is Contact.LIVE, "live")
        await seat.calm()
        yield seat


async def submit(engine: Engine, diff: str = FASTER) -> str:
    return await engine.submit(Submission(diff=diff, title="add twice", rationale="r"), actor=ME)


async def told(seat: Seat, engine: Engine, kind: type, *keys: str) -> Any:
    """Press keys, and return the first entry of this kind that the ledger gets for them."""
    before = engine.state.seq
    await seat.press(*keys)
    found: list[Any] = []

    async def look() -> bool:
        entries = [s async for s in _after(engine, before)]
        found[:] = [s for s in entries if isinstance(s.entry.event, kind)]
        return bool(found)

    deadline = time.monotonic() + 20
    while not await look():
        assert time.monotonic() < deadline, (kind, keys, seat.text, seat.notices)
        await asyncio.sleep(0.02)
    await seat.calm()
    assert found[0].entry.actor.startswith("uid:")
    return found[0].entry.event


async def _after(engine: Engine, seq: int) -> AsyncIterator[Any]:
    for number in range(seq + 1, engine.state.seq + 1):
        yield (await engine.ledger_entry(number))[0]


@pytest.mark.parametrize("size", SIZES)
async def test_every_key_that_acts(  # noqa: PLR0915 - one life of candidates, key by key
    world: World, size: tuple[int, int]
) -> None:
    """A yes, a no, a stop, a hold, a retry, an override, a rollback, and what is not of one."""
    pressed: set[str] = set()

    def key(name: str) -> str:
        pressed.add(name)
        return next(k for k in KEYS if k.name == name).keys.split(",")[0]

    engine = await world.start()
    async with served(engine) as socket, seated(socket, size) as seat:
        first = await submit(engine)
        await reach(engine, first, Phase.HELD)
        await seat.until(lambda: "HELD" in seat.text, "held")
        event = await told(
            seat,
            engine,
            ev.Denied,
            key("reject"),
            "shift+tab",
            *"not today",
            "tab",
            "right",
            "enter",
        )
        assert (event.candidate, event.reason) == (first, "not today")

        await told(seat, engine, ev.Proposed, key("retry"), "right", "enter")
        second = list(engine.state.candidates)[-1]
        await reach(engine, second, Phase.HELD)
        await seat.press(key("next-waiting"))
        assert seat.app.screen.chosen.id == second
        event = await told(seat, engine, ev.Approved, key("approve"), "right", "enter")
        assert event.commit == engine.candidate(second).commit
        await reach(engine, second, Phase.PROMOTED)

        await seat.press("1")
        await seat.select(second)
        await seat.press(key("rollback"))
        await seat.until(lambda: seat.asking, "the preview")
        await told(seat, engine, ev.RollbackStarted, *second, "tab", "tab", "right", "enter")
        await reach(engine, second, Phase.ROLLED_BACK)

        world.executor.gate.clear()
        third = await submit(engine, OTHER)
        await reach(engine, third, Phase.EVALUATING)
        await seat.until(lambda: third in seat.app.view.state.candidates, third)
        await seat.calm()
        await seat.select(third)
        event = await told(seat, engine, ev.HoldAsked, key("hold"), "right", "enter")
        assert event.candidate == third
        event = await told(seat, engine, ev.Cancelled, key("cancel"), "right", "enter")
        assert event.candidate == third

        fourth = await submit(engine)
        await reach(engine, fourth, Phase.EVALUATING)
        begun = time.monotonic()
        event = await told(seat, engine, ev.Paused, key("panic"))
        assert event.reason == "panic key"
        assert time.monotonic() - begun < 5
        await reach(engine, fourth, Phase.APPLIED)
        world.executor.gate.set()
        await seat.until(lambda: "PAUSED" in seat.text, "paused")
        await told(seat, engine, ev.Resumed, key("pause"), "right", "enter")
        await reach(engine, fourth, Phase.HELD)
        await told(seat, engine, ev.CycleStarted, key("trigger"), "right", "enter")

        await seat.press(key("governor"), key("freeze"), "right", "enter")
        await seat.until(lambda: engine.state.frozen is not None, "frozen")
        await seat.until(lambda: "FROZEN" in seat.text, "told")
        await seat.press("2")
        event = await told(
            seat,
            engine,
            ev.Overridden,
            key("override"),
            *fourth,
            "tab",
            *"fire",
            "tab",
            "right",
            "enter",
        )
        assert (event.candidate, event.reason) == (fourth, "fire")
        await reach(engine, fourth, Phase.PROMOTED)

        await engine._core.alert("disk_low", "critical", "2 GiB are left", "")
        await seat.press(key("alerts"))
        await seat.until(lambda: "2 GiB are left" in seat.text, "the alert")
        event = await told(seat, engine, ev.AlertAcked, key("ack"))
        assert event.alert == engine.state.alerts[-1].seq
        event = await told(seat, engine, ev.AlertSilenced, key("silence"), "right", "enter")
        assert event.codes == "disk_low"

        await seat.press(key("config"))
        await seat.until(lambda: "target.branch" in seat.text, "the configuration")
        await seat.press("slash", *"max_lines", "enter")
        field = ["backspace"] * 6
        event = await told(
            seat, engine, ev.LimitsChanged, key("edit"),
            "shift+tab", "shift+tab", *field, *"77", "enter", *"less", "tab", "right", "enter",
        )  # fmt: skip
        assert event.changes == {"governor.max_lines": 77}
        await seat.until(lambda: "run time" in seat.text, "the new value")
    assert pressed >= {k.name for k in KEYS if k.role}


@pytest.mark.parametrize("size", SIZES)
async def test_every_key_that_looks(
    world: World, size: tuple[int, int], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    engine = await world.start()
    name = await submit(engine)
    await reach(engine, name, Phase.HELD)
    await engine._core.alert("disk_low", "critical", "2 GiB are left", "")
    rows = f"{name} > "
    walk: list[tuple[str, Where | None, str]] = [
        ("overview", None, "Why"),
        ("diff", None, "@@"),
        ("side", None, "\u2502"),
        ("next-hunk", None, "hunk"),
        ("previous-hunk", None, "hunk"),
        ("wrap", None, "@@"),
        ("measures", None, "median"),
        ("log", None, "1 of"),
        ("zoom", None, "1 of"),
        ("back", None, "HELD"),
        ("open", None, rows),
        ("back", None, "HELD"),
        ("inbox", Where.INBOX, "why, and title"),
        ("candidate", Where.CANDIDATE, rows),
        ("versions", Where.VERSIONS, "as found"),
        ("mark", None, "="),
        ("ledger", Where.LEDGER, "hash"),
        ("verify", None, "The engine says: whole"),
        ("metrics", Where.METRICS, "engine_rss_bytes"),
        ("down", None, "engine_cpu_percent"),
        ("zoom-in", None, "series"),
        ("zoom-out", None, "series"),
        ("earlier", None, "series"),
        ("later", None, "series"),
        ("alerts", Where.ALERTS, "disk_low"),
        ("governor", Where.GOVERNOR, "Circuit breaker"),
        ("logs", Where.LOGS, "connected"),
        ("level", None, "WARNING"),
        ("config", Where.CONFIG, "from"),
        ("bottom", None, "from"),
        ("up", None, "from"),
        ("top", None, "from"),
        ("copy", None, "Copied"),
        ("refresh", None, "live"),
        ("live", Where.LIVE, "HELD"),
        ("next-waiting", Where.INBOX, "HELD"),
    ]
    async with served(engine) as socket, seated(socket, size) as seat:
        for which, where, shown in walk:
            key = next(k for k in KEYS if k.name == which)
            await seat.press(key.keys.split(",")[0])
            await seat.until(lambda shown=shown: shown in seat.text, f"{which}: {shown}")
            if where is not None:
                assert seat.app.screen.WHERE is where, which
            assert not seat.asking, which
        await seat.press("slash", *name, "enter")
        await seat.until(lambda: seat.app.screen.chosen is not None, "filtered")
        await seat.press("escape", "question_mark")
        assert isinstance(seat.app.screen, HelpScreen)
        await seat.press("escape", "colon", *"governor", "enter")
        await seat.until(lambda: seat.app.screen.WHERE is Where.GOVERNOR, "by the palette")
        await seat.pilot.press("q")
        await seat.until(lambda: seat.app._exit, "left")
    walked = {which for which, _, _ in walk} | {"filter", "help", "palette", "quit"}
    walked |= {"slower", "faster", "one"}  # of a replay: test_screens_replay
    assert walked == {k.name for k in KEYS if not k.role}
    assert engine.status().activity is not None  # the engine goes on


async def test_two_cockpits_see_each_other_act_by_name(world: World) -> None:
    engine = await world.start()
    async with (
        served(engine) as socket,
        seated(socket, (80, 24)) as one,
        seated(socket, (80, 24)) as other,
    ):
        other.app.view = _as(other.app.view, "uid:zoe")  # she would be another user of the machine
        await one.press("space", "right", "enter")
        await other.until(lambda: "PAUSED by uid:" in other.text, "paused there")
        await other.until(lambda: "paused" in other.notices, "told who")
        assert other.notices.count("uid:") == 1
        assert "uid:" not in one.notices


def _as(view: Any, actor: str) -> Any:
    from msgspec.structs import replace

    return replace(view, actor=actor)


async def test_a_viewer_is_refused_by_the_engine_too(world: World) -> None:
    """Greying is courtesy: a cockpit that believes it may act is refused where it counts."""
    engine = await world.start()
    name = await submit(engine)
    await reach(engine, name, Phase.HELD)
    async with served(engine, role="viewer") as socket, seated(socket, (80, 24)) as seat:
        assert "READ-ONLY: your role on this engine is viewer" in seat.text
        await seat.press("a")
        assert not isinstance(seat.app.screen, ConfirmScreen)
        seat.app.view = _role(seat.app.view, "admin")
        await seat.press("a", "right", "enter")
        await seat.until(lambda: "forbidden" in seat.notices, "refused")
    assert engine.candidate(name).phase is Phase.HELD


def _role(view: Any, role: str) -> Any:
    from msgspec.structs import replace

    return replace(view, role=role)


async def test_killed_and_restarted_nothing_is_lost_or_doubled(world: World) -> None:
    engine = await world.start()
    with tempfile.TemporaryDirectory(prefix="oc-") as place:
        socket = Path(place) / "e" / "e.sock"
        server = await Server.start(engine, socket=socket)
        async with seated(socket, (120, 40)) as seat:
            await seat.press("5")
            await server.close()
            await world.stop(engine)
            world.engines.clear()
            world.stores.clear()
            await seat.until(lambda: "STALE" in seat.text, "stale")
            assert "1 " in seat.text
            engine = await world.start()
            name = await submit(engine)
            await reach(engine, name, Phase.HELD)
            server = await Server.start(engine, socket=socket)
            await seat.until(lambda: seat.app.view.state.seq == engine.state.seq, "caught up")
            await seat.until(lambda: "live" in seat.text, "live")
            numbers = [row.seq for row in seat.app.view.ledger]
            assert numbers == list(range(engine.state.seq, 0, -1))
            await server.close()
