"""The cockpit as a whole: layout, truth about the connection, foreign text, few repaints."""

import asyncio
import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from ouroboros.errors import OuroborosError
from ouroboros.model import events as ev
from ouroboros.model.evaluation import CheckOutcome, CheckStatus
from ouroboros.model.progress import Progress
from ouroboros.model.proposal import Mark, Severity
from rpc import wire
from tests.screens.scripted import GOOD_CHECKS, MINUTE, NOW, ScriptedEngine, comparison
from tui.app import Cockpit, speaks_unicode
from tui.keys import KEYS
from tui.panels.lines import Lines
from tui.panels.rowlist import RowList
from tui.shot import shoot

Sit = Callable[..., AbstractAsyncContextManager[Any]]

SIZES = [(60, 16), (80, 24), (120, 40), (200, 60)]


# --- layout -------------------------------------------------------------------------------------


@pytest.mark.parametrize("size", SIZES)
async def test_what_matters_is_on_the_screen_at_every_size(
    sit: Sit, engine: ScriptedEngine, size: tuple[int, int]
) -> None:
    async with sit(engine, size) as seat:
        for fact in ("fastpkg", "supervised", "live", "WORKING", "cycle 2", "1 held", "HELD", "c4"):
            assert fact in seat.text
        assert "Help" in seat.bar
        assert "Quit" in seat.bar
        assert ("held in the ledger" in seat.text) == (size[0] >= 120)


async def test_too_small_says_so_and_growing_brings_everything_back(
    sit: Sit, engine: ScriptedEngine
) -> None:
    async with sit(engine, (80, 24)) as seat:
        await seat.resize(50, 12)
        assert "terminal too small: 50x12, need 60x16" in seat.text
        assert "HELD" not in seat.text
        await seat.resize(80, 24)
        assert "too small" not in seat.text
        assert "HELD" in seat.text


@pytest.mark.parametrize("size", [(60, 16), (80, 24)])
async def test_a_dialog_fits(sit: Sit, engine: ScriptedEngine, size: tuple[int, int]) -> None:
    async with sit(engine, size) as seat:
        await seat.select("c3")
        await seat.press("R")
        dialog = seat.dialog.query_one("#dialog").region
        assert dialog.width <= size[0]
        assert dialog.height <= size[1]
        for widget in (seat.dialog.no, *seat.dialog.yes, seat.dialog.typed):
            assert dialog.contains_region(widget.region)


async def test_ascii_terminals_get_ascii(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine, (120, 40), ascii_only=True) as seat:
        for keys in ((), ("d",), ("s",), *((n,) for n in "2345678901"), ("question_mark",)):
            await seat.press(*keys)
            assert seat.text.isascii(), [c for c in seat.text if not c.isascii()]
        await seat.press("escape", "escape", "a")
        assert seat.asking
        assert seat.text.isascii(), [c for c in seat.text if not c.isascii()]
        assert "= HELD" in seat.text


@pytest.mark.parametrize(
    ("encoding", "able"),
    [("utf-8", True), ("UTF8", True), ("latin-1", False), ("ANSI_X3.4-1968", False), (None, False)],
)
def test_the_symbols_follow_the_terminals_encoding(encoding: str | None, *, able: bool) -> None:
    assert speaks_unicode(encoding) is able


async def test_no_color_keeps_every_word(
    sit: Sit, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    async with sit(engine) as seat:
        strips = seat.app.screen._compositor.render_strips()
        colours = {
            colour.triplet
            for strip in strips
            for segment in strip
            if segment.style
            for colour in (segment.style.color, segment.style.bgcolor)
            if colour is not None and colour.triplet is not None
        }
        assert colours
        assert all(max(t) - min(t) <= 2 for t in colours)
        assert "\u2016 HELD" in seat.text


# --- truth about the connection -----------------------------------------------------------------


async def test_stale_data_stay_on_the_screen_and_the_cockpit_comes_back(
    sit: Sit, engine: ScriptedEngine
) -> None:
    async with sit(engine) as seat:
        await seat.select("c3")
        await seat.press("d")
        engine.drop()
        await seat.until(lambda: "STALE" in seat.text, "stale")
        assert "Start it" in seat.text
        assert "c3" in seat.text
        assert "+++ b/fastpkg/tokens.py" in seat.text
        engine.to_held("c6", "made while we were away", ts=NOW)
        engine.back()
        await seat.until(lambda: "c6" in seat.text, "caught up")
        assert engine.snapshots == 1
        assert seat.app.screen.chosen.id == "c3"
        assert "STALE" not in seat.text
        rows = [row.key for row in seat.app.screen.table.rows]
        assert rows == ["c6", "c4", "c5", "c3", "c2", "c1"]
        ledger = [row.seq for row in seat.app.view.ledger]
        assert ledger == sorted(set(ledger), reverse=True)


async def test_an_engine_that_is_not_there_yet(sit: Sit, engine: ScriptedEngine) -> None:
    engine.down = True
    async with sit(engine) as seat:
        assert "No engine answers" in seat.text
        assert "ouroboros serve" in seat.text
        await seat.press("a", "space", "j", *"234567890", "escape")
        assert not seat.asking
        engine.back()
        await seat.press("r")
        await seat.until(lambda: "HELD" in seat.text, "attached")


async def test_an_unknown_event_does_not_end_the_session(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine) as seat:
        engine.emit_unknown()
        await seat.until(lambda: engine.snapshots == 2, "a new snapshot")
        await seat.until(lambda: not seat.app.view.resync, "in step again")
        assert seat.app.is_running


async def test_live_events_move_a_candidate_along(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine, (120, 40)) as seat:
        await seat.select("c5")
        engine.tell(
            Progress(
                candidate="c5",
                stage="confirm:tokenize",
                done=22,
                total=40,
                comparison=comparison(-0.07, pairs=22),
            ),
        )
        await seat.until(lambda: "22/40" in seat.text, "progress")
        engine.emit(ev.Errored(candidate="c5", room="sandbox", reason="bwrap died"))
        await seat.until(lambda: "? ERROR" in seat.text, "errored")
        assert "bwrap died" in seat.text


async def test_a_log_that_cannot_be_read_is_a_sentence(sit: Sit, engine: ScriptedEngine) -> None:
    engine.refusals[wire.CandidateLog] = OuroborosError("The evidence file is gone.")
    async with sit(engine) as seat:
        await seat.press("l")
        assert "The evidence file is gone." in seat.text
        engine.refusals.clear()
        await seat.press("r")
        await seat.until(lambda: "142 passed" in seat.text, "read again")


# --- long things --------------------------------------------------------------------------------


async def test_a_long_diff_is_read_page_by_page(sit: Sit, engine: ScriptedEngine) -> None:
    engine.diff = engine.diff + "".join(
        f"diff --git a/f{n}.py b/f{n}.py\n--- a/f{n}.py\n+++ b/f{n}.py\n"
        f"@@ -1 +1 @@\n-x = {n}\n+y = {n}\n"
        for n in range(300)
    )
    engine.page = 4_000
    async with sit(engine) as seat:
        await seat.press("enter", "d")
        assert "% read" in seat.text
        assert len(engine.sent(wire.CandidateDiff)) == 1
        for _ in range(40):
            await seat.press("G")
        assert "+y = 299" in seat.text
        assert "% read" not in seat.text
        offsets = [call.offset for call in engine.sent(wire.CandidateDiff)]
        assert offsets == sorted(set(offsets))


async def test_the_ledger_is_read_page_by_page(sit: Sit) -> None:
    engine = ScriptedEngine()
    engine.begin()
    for _ in range(350):
        engine.emit(ev.Resumed(reason=""))
    async with sit(engine) as seat:
        assert len(seat.app.view.ledger) == 100
        await seat.press("5")
        for _ in range(5):
            await seat.press("G")
        assert len(seat.app.view.ledger) == 352
        assert "target_adopted in the ledger" in seat.text


async def test_holding_j_does_not_ask_for_every_diff(sit: Sit, engine: ScriptedEngine) -> None:
    for number in range(10, 40):
        engine.to_held(f"c{number}", f"number {number}", ts=NOW)
    async with sit(engine) as seat:
        await seat.press("d")
        asked = len(engine.sent(wire.CandidateDiff))
        await seat.pilot.press(*["j"] * 25)
        await seat.calm()
        assert len(engine.sent(wire.CandidateDiff)) - asked <= 8
        assert seat.app.screen.chosen.id == "c14"


# --- few repaints -------------------------------------------------------------------------------


async def test_a_flood_of_events_is_few_repaints(
    sit: Sit, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sit(engine) as seat:
        shown = 0
        show = seat.app.screen.show

        def counted(*args: Any) -> None:
            nonlocal shown
            shown += 1
            show(*args)

        monkeypatch.setattr(seat.app.screen, "show", counted)
        began = asyncio.get_running_loop().time()
        for done in range(200):
            engine.tell(Progress(candidate="c5", stage="tests", done=done, total=200))
            await asyncio.sleep(0)
        await seat.until(lambda: "tests 199/200" in seat.text, "the last one")
        elapsed = asyncio.get_running_loop().time() - began
        assert shown <= 2 + elapsed / 0.25


async def test_a_second_repaints_the_clock_and_nothing_else(
    sit: Sit, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sit(engine) as seat:
        touched: list[str] = []
        for kind in (RowList, Lines):
            refresh = kind.refresh

            def spied(self: Any, *args: Any, _old: Any = refresh, **kw: Any) -> Any:
                touched.append(type(self).__name__)
                return _old(self, *args, **kw)

            monkeypatch.setattr(kind, "refresh", spied)
        engine.clock = lambda: NOW + 3 * 1_000_000_000
        seat.app.clock_ns = engine.clock
        seat.app._tick()
        await seat.pilot.pause()
        assert "next 40:57" in seat.text
        assert touched == []


async def test_the_same_view_again_repaints_nothing(
    sit: Sit, engine: ScriptedEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sit(engine, (120, 40)) as seat:
        touched: list[Any] = []
        monkeypatch.setattr(RowList, "refresh", lambda self, *a, **k: touched.append(self))
        monkeypatch.setattr(Lines, "refresh", lambda self, *a, **k: touched.append(self))
        seat.app.paint_now()
        assert touched == []


# --- foreign text -------------------------------------------------------------------------------

EVIL = (
    "[/red] [@click=app.quit]x[/] [bold] \x1b]52;c;ZXZpbA==\x1b\\ \x1b[2J \x9b31m \x9d52;c;eA==\x9c"
    " \u202egnp.exe\u2066 a\u200bb \x07\x08\r\x7f \u061c\u2028\U000e0041\u3164\ufff9"
)
RAW = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2066-\u2069\u3164\ufff9"
    "\U000e0000-\U000e0fff]"
)


def evil_engine() -> ScriptedEngine:
    """Every place where a candidate, a model or a repository can put text."""
    engine = ScriptedEngine()
    engine.emit(
        ev.TargetAdopted(target=EVIL, path=EVIL, branch=EVIL, commit="0" * 40),
        ts=NOW - MINUTE,
    )
    engine.emit(ev.EngineStarted(engine_version=EVIL, pid=1, config_hash="c", mode=EVIL))
    check = CheckOutcome(name=EVIL, status=CheckStatus.PASSED, code=EVIL, text=EVIL, tests_run=1)
    mark = Mark(rule=EVIL, severity=Severity.HOLD, text=EVIL, path=EVIL, line=3)
    how = {"rationale": f"{EVIL}\n{EVIL}", "proposer": EVIL, "marks": (mark,)}
    engine.to_promoted("c1", EVIL, **how)
    engine.to_held("c2", EVIL, checks=(*GOOD_CHECKS, check), **how)
    engine.to_evaluating("c3", EVIL, **how)
    engine.to_held("c4", EVIL, **how)
    engine.emit(ev.Denied(candidate="c4", reason=EVIL), actor=EVIL)
    engine.emit(ev.AlertRaised(code=EVIL, severity=EVIL, text=EVIL, candidate=EVIL))
    engine.emit(ev.Paused(reason=EVIL), actor=EVIL)
    head = f"diff --git a/{EVIL} b/x.py\n--- a/x.py\n+++ b/x.py\n"
    engine.diff = f"{head}@@ -1 +1 @@ {EVIL}\n-{EVIL}\n+{EVIL}\n"
    engine.log = EVIL
    engine.conflict = EVIL
    engine.words = EVIL
    engine.tell(
        Progress(
            candidate="c3",
            stage=EVIL,
            text=EVIL,
            done=1,
            total=2,
            comparison=comparison(benchmark=EVIL, metric=EVIL, stage=EVIL, text=EVIL),
        ),
    )
    return engine


SCENES = [
    (name, keys)
    for name in ("c1", "c2", "c3", "c4")
    for keys in (("o",), ("d",), ("s",), ("l",), ("l", "n", "n", "n"), ("m",), ("a",), ("x",))
]
SCENES += [("c1", ("R",)), ("c3", ("X",)), ("c1", ("space",)), ("c1", ("4", "G", "R"))]
SCENES += [("c2", (key,)) for key in ("H", "O", "2", "3", "4", "5", "6", "7", "8", "9", "0")]
SCENES += [("c2", ("7", "S")), ("c2", ("8", "F")), ("c2", ("0", "e")), ("c2", ("5", "v", "enter"))]


@pytest.mark.parametrize("size", [(80, 24), pytest.param((160, 50), marks=pytest.mark.long)])
async def test_foreign_text_never_reaches_the_terminal_raw(sit: Sit, size: tuple[int, int]) -> None:
    async with sit(evil_engine(), size) as seat:
        for name, keys in SCENES:
            await seat.select(name)
            for key in keys:
                await seat.press(key)
            assert RAW.findall(seat.text) == [], (name, keys)
            svg = seat.app.export_screenshot()
            assert RAW.findall(svg.replace("\n", "")) == [], (name, keys)
            while len(seat.app.screen_stack) > 1:
                await seat.press("escape")
            await seat.press("escape")
            assert seat.app.is_running


async def test_foreign_text_in_an_error_is_shown_and_not_obeyed(
    sit: Sit, engine: ScriptedEngine
) -> None:
    engine.refusals[wire.CandidateApprove] = OuroborosError(EVIL, hint=EVIL)
    async with sit(engine) as seat:
        await seat.press("a", "right", "enter")
        await seat.until(lambda: "[/red]" in seat.text, "the notice")
        assert RAW.findall(seat.text) == []
    engine.refusals.clear()
    engine.down = True
    async with sit(engine) as seat:
        engine.refusals[wire.EngineSnapshot] = OuroborosError(EVIL, hint=EVIL)
        engine.back()
        await seat.press("r")
        await seat.until(lambda: "[/red]" in seat.text, "the banner")
        assert RAW.findall(seat.text) == []


async def test_what_is_copied_is_harmless_too(sit: Sit) -> None:
    engine = ScriptedEngine()
    engine.begin()
    engine.propose(f"c1{EVIL}", "x")
    async with sit(engine) as seat:
        await seat.press("c")
        assert RAW.findall(seat.app.clipboard) == []


# --- pictures -----------------------------------------------------------------------------------


async def test_a_screenshot_is_an_svg_of_the_whole_screen(engine: ScriptedEngine) -> None:
    svg = await shoot(engine.connect, (120, 40), keys=("d",))
    assert svg.startswith("<svg")
    for fact in ("fastpkg", "supervised", "tokenize"):
        assert fact in svg


def test_the_cockpit_takes_no_key_twice() -> None:
    for where in KEYS[0].where:
        keys = [k for key in KEYS if where in key.where for k in key.keys.split(",")]
        assert len(keys) == len(set(keys))


def test_leaving_says_what_run_was_told_to_say(engine: ScriptedEngine) -> None:
    app = Cockpit(engine.connect, farewell="bye")
    assert app.farewell == "bye"
