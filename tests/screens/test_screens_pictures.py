"""Pictures of the screens, compared with those in `golden/`, to the last colour.

They shift with Textual, which is why the development extra pins it. After a wanted change:
`OUROBOROS_UPDATE_GOLDEN=1 pytest tests/screens/test_screens_pictures.py`, and look at the files.
"""

import os
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from engine_world import pairs

from ouroboros.model import events as ev
from ouroboros.model.evaluation import Series, Stage
from tests.screens.scripted import ScriptedEngine
from tui.settings import Settings

Sit = Callable[..., AbstractAsyncContextManager[Any]]
GOLDEN = Path(__file__).with_name("golden")
TEXTUAL = "8.2.8"

SMALL, LARGE = (80, 24), (120, 40)
SCENES: dict[str, tuple[tuple[int, int], tuple[str, ...], dict[str, Any]]] = {
    "live-80": (SMALL, (), {}),
    "live-120": (LARGE, (), {}),
    "inbox-80": (SMALL, ("2",), {}),
    "diff-side-120": (LARGE, ("enter", "s"), {}),
    "measures-120": (LARGE, ("enter", "m"), {}),
    "versions-120": (LARGE, ("4",), {}),
    "ledger-80": (SMALL, ("5",), {}),
    "metrics-120": (LARGE, ("6",), {}),
    "alerts-80": (SMALL, ("7",), {}),
    "governor-80": (SMALL, ("8",), {}),
    "config-80": (SMALL, ("0",), {}),
    "approve-80": (SMALL, ("a",), {}),
    "live-80-ascii": (SMALL, (), {"ascii_only": True}),
    "live-80-blue-orange": (SMALL, ("d",), {"settings": Settings(theme="blue-orange")}),
}


def telling_engine() -> ScriptedEngine:
    engine = ScriptedEngine().story()
    engine.series = (Series(benchmark="tokenize", stage=Stage.CONFIRM, pairs=pairs(-0.3, 16)),)
    engine.emit(ev.AlertRaised(code="disk_low", severity="critical", text="2 GiB left"))
    return engine


def test_the_pictures_are_of_this_textual() -> None:
    assert version("textual") == TEXTUAL, "install the development extra, or make them anew"


@pytest.mark.parametrize("name", SCENES)
async def test_a_picture_is_as_it_was(sit: Sit, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.delenv("TEXTUAL_THEME", raising=False)
    monkeypatch.setenv("TZ", "UTC")
    size, keys, options = SCENES[name]
    async with sit(telling_engine(), size, **options) as seat:
        seat.app.view = _replace(seat.app.view, utc_offset_s=0)
        for key in keys:
            await seat.press(key)
        await seat.calm()
        await seat.until(lambda: not _busy(seat), "all read")
        await seat.calm()
        svg = seat.app.export_screenshot(title=name)
    file = GOLDEN / f"{name}.svg"
    if os.environ.get("OUROBOROS_UPDATE_GOLDEN"):
        GOLDEN.mkdir(exist_ok=True)
        file.write_text(svg)
    assert svg == file.read_text(), f"{file} differs; see the module's text"


def _busy(seat: Any) -> bool:
    loader = seat.app.loader
    return bool(loader._running or loader._asking)


def _replace(value: Any, **changes: Any) -> Any:
    from msgspec.structs import replace

    return replace(value, **changes)
