import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from textual.pilot import Pilot

from tests.screens.scripted import NOW, ScriptedEngine
from tui.app import Cockpit
from tui.screens.confirm import ConfirmScreen
from tui.shot import settle
from tui.view import Contact

SMALL = (80, 24)
LARGE = (120, 40)


class Seat:
    """A person in front of the cockpit."""

    def __init__(self, engine: ScriptedEngine, app: Cockpit, pilot: Pilot[int]) -> None:
        self.engine = engine
        self.app = app
        self.pilot = pilot

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)
        await self.calm()

    async def calm(self) -> None:
        """Everything that was asked for has come, and is painted."""
        await settle(self.app)
        await self.pilot.pause()

    async def until(self, true: Callable[[], Any], what: str = "condition") -> None:
        deadline = time.monotonic() + 10
        while not true():
            if time.monotonic() > deadline:
                raise AssertionError(f"not reached: {what}\n{self.text}")
            await asyncio.sleep(0.01)

    async def select(self, name: str) -> None:
        table = self.app.screen.query_one("#candidates")
        table.move_to([row.key for row in table.rows].index(name))
        await self.calm()

    async def resize(self, width: int, height: int) -> None:
        await self.pilot.resize_terminal(width, height)
        await self.calm()

    @property
    def text(self) -> str:
        """What a person reads, row by row."""
        width, height = self.app.size
        lines = self.app.screen._compositor.render_strips()
        assert len(lines) <= height
        assert all(strip.cell_length <= width for strip in lines)
        return "\n".join("".join(segment.text for segment in strip) for strip in lines)

    @property
    def bar(self) -> str:
        return self.text.rstrip("\n").split("\n")[-1]

    @property
    def notices(self) -> str:
        return "\n".join(f"{n.title} {n.message}" for n in self.app._notifications)

    @property
    def dialog(self) -> ConfirmScreen:
        assert isinstance(self.app.screen, ConfirmScreen), self.text
        return self.app.screen

    @property
    def asking(self) -> bool:
        return isinstance(self.app.screen, ConfirmScreen)


@asynccontextmanager
async def sitting(
    engine: ScriptedEngine, size: tuple[int, int] = SMALL, **options: Any
) -> AsyncIterator[Seat]:
    """Sit down in front of a cockpit that is attached to a scripted engine."""
    app = Cockpit(engine.connect, clock_ns=engine.clock, jitter=lambda: 0.0, **options)
    async with app.run_test(size=size, notifications=True) as pilot:
        seat = Seat(engine, app, pilot)
        await seat.until(lambda: app.view.contact is not Contact.CONNECTING, "contact")
        await seat.calm()
        yield seat


@pytest.fixture
def sit() -> Callable[..., Any]:
    return sitting


@pytest.fixture
def engine() -> ScriptedEngine:
    return ScriptedEngine().story()


@pytest.fixture
def now() -> int:
    return NOW
