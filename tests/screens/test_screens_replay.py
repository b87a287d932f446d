"""A recorded ledger in the cockpit: it is walked through, and nothing can be done to it."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from engine_world import FASTER, World, reach
from textual.pilot import Pilot

from ouroboros.cli.replay import Recording, dialled
from ouroboros.engine.api import Submission
from ouroboros.errors import NotFoundError
from ouroboros.ledger.evidence import Evidence
from ouroboros.ledger.store import Store
from ouroboros.model.phase import Phase
from ouroboros.model.state import State, advance
from rpc import wire
from tests.screens.conftest import Seat
from tui.app import Cockpit
from tui.view import Contact

HOURS = 3 * 3600 * 10**9


@pytest.fixture
async def recorded(tmp_path: Path) -> AsyncIterator[Store]:
    """What an engine wrote: one candidate that was approved, after hours of waiting."""
    world = World(tmp_path)
    engine = await world.start()
    name = await engine.submit(
        Submission(diff=FASTER, title="add twice", rationale="r"), actor="uid:ann"
    )
    await reach(engine, name, Phase.HELD)
    later = time.time_ns() + HOURS
    world.clock_ns = lambda: later
    commit = engine.candidate(name).commit
    await engine.approve(name, actor="uid:bob", commit=commit, reason="fine")
    await reach(engine, name, Phase.PROMOTED)
    await world.stop(engine)
    with Store.open(world.state / "ledger.sqlite", read_only=True) as store:
        yield store


def recording(store: Store, tmp_path: Path, *, speed: float = 1.0, begin: int = 0) -> Recording:
    return Recording(store, Evidence(tmp_path / "state" / "evidence"), speed=speed, begin=begin)


class Seated:
    """A cockpit on a recording."""

    def __init__(self, played: Recording) -> None:
        self.app = Cockpit(
            dialled(played), read_only=True, player=played, clock_ns=lambda: played.now_ns
        )

    async def __aenter__(self) -> Seat:
        self._test = self.app.run_test(size=(110, 30), notifications=True)
        pilot: Pilot[int] = await self._test.__aenter__()
        seat = Seat(None, self.app, pilot)  # type: ignore[arg-type]  # no engine here
        await seat.until(lambda: self.app.view.contact is Contact.LIVE, "live")
        await seat.calm()
        return seat

    async def __aexit__(self, *error: object) -> None:
        await self._test.__aexit__(*error)  # type: ignore[arg-type]


async def test_it_plays_to_the_end_and_shows_what_the_engine_showed(
    recorded: Store, tmp_path: Path
) -> None:
    played = recording(recorded, tmp_path, speed=100_000)
    async with Seated(played) as seat:
        await seat.until(lambda: "the end" in seat.text, "the end")
        state = State()
        for stored in recorded.entries():
            state = advance(state, stored)
        assert seat.app.view.state == state
        assert "PROMOTED" in seat.text
        assert "supervised" in seat.text
        await seat.press("d")
        await seat.until(lambda: "@@" in seat.text, "the diff, from the evidence")
        await seat.press("5")
        await seat.until(lambda: "hash" in seat.text, "the entry")
        for view in ("8", "9", "0"):
            await seat.press(view)
            await seat.until(lambda: "this is a replay" in seat.text + seat.notices, view)


async def test_space_stops_it_and_dots_go_entry_by_entry(recorded: Store, tmp_path: Path) -> None:
    played = recording(recorded, tmp_path, begin=2)
    async with Seated(played) as seat:
        await seat.press("space")
        assert "stopped" in seat.text
        at = played.state.seq
        for step in range(1, 4):
            await seat.press("full_stop")
            await seat.until(lambda step=step: seat.app.view.state.seq == at + step, "one entry")
        await asyncio.sleep(0)
        assert played.state.seq == at + 3
        assert not seat.asking
        await seat.press("greater_than_sign", "greater_than_sign", "less_than_sign")
        assert "2 x, stopped" in seat.text
        await seat.press("space")
        await seat.until(lambda: "stopped" not in seat.text, "it goes on")


async def test_nothing_can_be_done_to_a_recording(recorded: Store, tmp_path: Path) -> None:
    played = recording(recorded, tmp_path, speed=100_000)
    async with Seated(played) as seat:
        for key in ("a", "x", "X", "R", "t", "T", "O", "H", "exclamation_mark"):
            await seat.press(key)
            assert not seat.asking
        assert "--read-only" in seat.notices


async def test_nobody_waits_for_hours_that_passed_then(recorded: Store, tmp_path: Path) -> None:
    played = recording(recorded, tmp_path, speed=1.0)
    begun = time.monotonic()
    async with Seated(played) as seat:
        await seat.until(lambda: "the end" in seat.text, "the end")
    assert time.monotonic() - begun < 60
    assert "the end" in played.says()


@pytest.mark.parametrize("begin", [-1, 10_000])
async def test_an_entry_that_is_not_there_is_refused(
    recorded: Store, tmp_path: Path, begin: int
) -> None:
    with pytest.raises(NotFoundError, match="there is no"):
        recording(recorded, tmp_path, begin=begin)


async def test_what_comes_later_is_not_told(recorded: Store, tmp_path: Path) -> None:
    played = recording(recorded, tmp_path, begin=3)
    page = played.answer(wire.LedgerList(limit=1000))
    assert [row.seq for row in page.rows] == [3, 2, 1]
    with pytest.raises(NotFoundError, match="comes later"):
        played.answer(wire.LedgerGet(seq=4))
