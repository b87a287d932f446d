"""Every key, at 80x24 (and some at 120x40), pressed by a Pilot against a scripted engine."""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from ouroboros.errors import ConflictError
from ouroboros.model import events as ev
from ouroboros.model.phase import Phase
from rpc import wire
from tests.screens.scripted import NOW, ScriptedEngine, commit
from tui.app import Cockpit, _made
from tui.keys import KEYS, Where
from tui.panels.detail import Detail
from tui.screens.help import HelpScreen
from tui.screens.live import LiveScreen
from tui.screens.versions import VersionsScreen

Sit = Callable[..., AbstractAsyncContextManager[Any]]
LARGE = (120, 40)

MUTATING = [
    ("space", "c4", wire.EnginePause),
    ("a", "c4", wire.CandidateApprove),
    ("x", "c4", wire.CandidateReject),
    ("X", "c5", wire.CandidateCancel),
    ("R", "c3", wire.VersionRollback),
    ("t", "c4", wire.CycleTrigger),
    ("H", "c5", wire.CandidateHold),
    ("T", "c2", wire.CandidateRetry),
    ("O", "c4", wire.CandidatePromoteFull),
]
"""Keys that ask about the selected candidate; those of other views are in `test_screens_views`."""

ELSEWHERE = {"exclamation_mark", "y", "S", "F", "e"}
"""Keys of other views, and what acts at once."""


def test_every_mutating_key_of_the_table_is_tried_here() -> None:
    assert {k.keys for k in KEYS if k.role} == {key for key, _, _ in MUTATING} | ELSEWHERE


@pytest.mark.parametrize("row", MUTATING)
@pytest.mark.parametrize("size", [(80, 24), LARGE])
async def test_enter_right_after_a_mutating_key_does_nothing(
    sit: Sit, engine: ScriptedEngine, row: tuple[str, str, type], size: tuple[int, int]
) -> None:
    key, name, kind = row
    async with sit(engine, size) as seat:
        await seat.select(name)
        await seat.press(key)
        assert seat.asking
        assert seat.app.focused is seat.dialog.query_one("#cancel")
        await seat.press("enter")
        assert not seat.asking
        assert engine.sent(kind) == []


@pytest.mark.parametrize(("key", "name", "kind"), MUTATING)
async def test_escape_leaves_the_question_without_acting(
    sit: Sit, engine: ScriptedEngine, key: str, name: str, kind: type
) -> None:
    async with sit(engine) as seat:
        await seat.select(name)
        await seat.press(key, "escape")
        assert not seat.asking
        assert engine.sent(kind) == []


@pytest.mark.parametrize(("key", "name", "kind"), [row for row in MUTATING if row[0] not in "RO"])
async def test_right_and_enter_confirms_a_mutating_key(
    sit: Sit, engine: ScriptedEngine, key: str, name: str, kind: type
) -> None:
    async with sit(engine) as seat:
        await seat.select(name)
        await seat.press(key, "right", "enter")
        await seat.until(lambda: engine.sent(kind), key)
        assert not seat.asking


@pytest.mark.parametrize(("key", "name", "kind"), MUTATING)
async def test_read_only_greys_every_mutating_key_and_says_why(
    sit: Sit, engine: ScriptedEngine, key: str, name: str, kind: type
) -> None:
    async with sit(engine, read_only=True) as seat:
        assert "READ-ONLY" in seat.text
        await seat.select(name)
        await seat.press(key)
        assert not seat.asking
        assert "--read-only" in seat.notices
        assert engine.sent(kind) == []


@pytest.mark.parametrize(("key", "name", "kind"), MUTATING)
async def test_stale_data_greys_every_mutating_key(
    sit: Sit, engine: ScriptedEngine, key: str, name: str, kind: type
) -> None:
    async with sit(engine) as seat:
        await seat.select(name)
        engine.drop()
        await seat.until(lambda: "STALE" in seat.text, "stale")
        await seat.press(key)
        assert not seat.asking
        assert "not answering" in seat.notices
        assert engine.sent(kind) == []


async def test_a_viewer_cannot_act_and_an_operator_cannot_approve(
    sit: Sit, engine: ScriptedEngine
) -> None:
    engine.role = "viewer"
    async with sit(engine) as seat:
        assert "your role on this engine is viewer" in seat.text
        await seat.press("space")
        assert not seat.asking
    engine.role = "operator"
    async with sit(engine) as seat:
        await seat.press("a")
        assert not seat.asking
        assert "needs the role approver" in seat.notices
        await seat.press("space")
        assert seat.asking


# --- acting -------------------------------------------------------------------------------------


async def test_approve_shows_what_is_approved_and_sends_exactly_that_commit(
    sit: Sit, engine: ScriptedEngine
) -> None:
    async with sit(engine) as seat:
        await seat.press("a")
        for fact in (
            commit("c4")[:10],
            "iterate over characters",
            "+5 \u22125",
            "-12.4 %",
            "-14.1",
        ):
            assert fact in seat.text
        await seat.press("shift+tab", *"looks right", "enter")
        assert engine.sent(wire.CandidateApprove) == []
        assert seat.app.focused is seat.dialog.query_one("#cancel")
        await seat.press("right", "enter")
        await seat.until(lambda: engine.state.candidates["c4"].phase is Phase.ACCEPTED, "approved")
        sent = engine.sent(wire.CandidateApprove)
        assert sent == [
            wire.CandidateApprove(id="c4", commit=commit("c4"), reason="looks right"),
        ]
        await seat.calm()
        assert "Approved." in seat.notices


async def test_reject_and_cancel_send_the_reason(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine) as seat:
        await seat.press("x", "shift+tab", *"no", "tab", "right", "enter")
        await seat.until(lambda: engine.sent(wire.CandidateReject), "reject")
        assert engine.sent(wire.CandidateReject) == [wire.CandidateReject(id="c4", reason="no")]
        await seat.select("c5")
        await seat.press("X", "right", "enter")
        await seat.until(lambda: engine.sent(wire.CandidateCancel), "cancel")
        assert engine.sent(wire.CandidateCancel) == [wire.CandidateCancel(id="c5")]


async def test_space_pauses_and_then_resumes(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine) as seat:
        await seat.press("space", "shift+tab", *"lunch", "tab", "right", "enter")
        await seat.until(lambda: "PAUSED" in seat.text, "paused")
        assert engine.sent(wire.EnginePause)[0].mode == "after_phase"
        assert "PAUSED: lunch" in seat.text
        assert "Resume" in seat.bar
        await seat.press("t")
        assert not seat.asking
        assert "space resumes it" in seat.notices
        await seat.press("space")
        assert "paused by uid:ada: lunch" in seat.text
        await seat.press("right", "enter")
        await seat.until(lambda: not engine.state.paused, "resumed")
        await seat.calm()
        assert "WORKING" in seat.text


async def test_pause_offers_to_cancel_what_is_being_evaluated(
    sit: Sit, engine: ScriptedEngine
) -> None:
    async with sit(engine) as seat:
        await seat.press("space", "right", "right", "enter")
        await seat.until(lambda: engine.sent(wire.EnginePause), "pause now")
        assert engine.sent(wire.EnginePause)[0].mode == "now"


async def test_rollback_of_a_candidate_wants_its_id_typed(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine) as seat:
        await seat.select("c3")
        await seat.press("R")
        assert engine.sent(wire.VersionPreview) == [wire.VersionPreview(to="1")]
        for fact in ("restores v1", "undoes   v2", "fastpkg/tokens.py", "type c3 to confirm"):
            assert fact in seat.text
        await seat.press("right")
        assert seat.app.focused is seat.dialog.query_one("#cancel")
        await seat.press(*"c3")
        assert not seat.dialog.query_one("#yes-0").disabled
        await seat.press("enter", *"slow in production", "enter", "tab", "enter")
        await seat.until(lambda: engine.sent(wire.VersionRollback), "rollback")
        assert engine.sent(wire.VersionRollback) == [
            wire.VersionRollback(to="1", reason="slow in production", expect_head=commit("c3")),
        ]
        await seat.until(lambda: "ROLLED BACK" in seat.text, "rolled back")


async def test_rollback_refuses_a_wrong_id_and_a_conflict(sit: Sit, engine: ScriptedEngine) -> None:
    engine.conflict = "src/x.py has local edits"
    async with sit(engine) as seat:
        await seat.select("c1")
        await seat.press("R", *"c9")
        assert seat.dialog.query_one("#yes-0").disabled
        assert "src/x.py has local edits" in seat.text
        await seat.press("backspace", "1")
        assert seat.dialog.query_one("#yes-0").disabled


async def test_rollback_from_the_versions(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine) as seat:
        await seat.press("4")
        assert isinstance(seat.app.screen, VersionsScreen)
        assert "as found" in seat.text
        await seat.press("R")
        assert not seat.asking
        assert "stands at v2 already" in seat.notices
        await seat.press("G", "R", *"v0", "tab", "tab", "right", "enter")
        await seat.until(lambda: engine.sent(wire.VersionRollback), "rollback")
        assert engine.sent(wire.VersionRollback)[0].to == "0"
        await seat.press("escape")
        assert isinstance(seat.app.screen, LiveScreen)


async def test_trigger_starts_a_cycle(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine) as seat:
        await seat.press("t", "right", "enter")
        await seat.until(lambda: "cycle 3" in seat.text, "cycle 3")


async def test_what_the_engine_refuses_is_a_notice_with_its_hint(
    sit: Sit, engine: ScriptedEngine
) -> None:
    engine.refusals[wire.CandidateApprove] = ConflictError(
        "c4 is now [/red] another commit.", hint="Look at it again."
    )
    async with sit(engine) as seat:
        await seat.press("a", "right", "enter")
        await seat.until(lambda: "conflict" in seat.notices, "refused")
        assert "c4 is now [/red] another commit." in seat.notices
        assert "Look at it again." in seat.notices
        await seat.until(lambda: "[/red]" in seat.text, "the toast")


async def test_a_preview_that_fails_is_a_notice(sit: Sit, engine: ScriptedEngine) -> None:
    engine.refusals[wire.VersionPreview] = ConflictError("The branch moved.")
    async with sit(engine) as seat:
        await seat.select("c3")
        await seat.press("R")
        assert not seat.asking
        assert "The branch moved." in seat.notices


# --- the frozen question ------------------------------------------------------------------------


async def test_the_question_stays_with_its_candidate_when_rows_move(
    sit: Sit, engine: ScriptedEngine
) -> None:
    async with sit(engine) as seat:
        await seat.press("a")
        engine.to_held("c6", "a newer one", ts=NOW)
        await seat.until(lambda: "c6" in seat.app.view.state.candidates, "c6")
        await seat.calm()
        await seat.press("right", "enter")
        await seat.until(lambda: engine.sent(wire.CandidateApprove), "approved")
        assert engine.sent(wire.CandidateApprove)[0].id == "c4"


async def test_the_cursor_stays_with_its_candidate_when_rows_move(
    sit: Sit, engine: ScriptedEngine
) -> None:
    async with sit(engine) as seat:
        await seat.select("c3")
        engine.to_held("c6", "a newer one", ts=NOW)
        await seat.until(lambda: "c6" in seat.app.view.state.candidates, "c6")
        await seat.calm()
        assert seat.app.screen.chosen.id == "c3"


async def test_a_new_hold_never_takes_the_cursor_from_the_first_row(
    sit: Sit, engine: ScriptedEngine
) -> None:
    async with sit(engine) as seat:
        assert seat.app.screen.chosen.id == "c4"
        engine.to_held("c6", "a newer one", ts=NOW)
        await seat.until(lambda: "c6" in seat.text, "c6")
        assert seat.app.screen.chosen.id == "c4"


@pytest.mark.parametrize("first", [("a",), ("a", "right")])
async def test_a_question_whose_candidate_moved_cannot_be_confirmed(
    sit: Sit, engine: ScriptedEngine, first: tuple[str, ...]
) -> None:
    async with sit(engine) as seat:
        await seat.press(*first)
        engine.emit(ev.Expired(candidate="c4"))
        await seat.until(lambda: "is now REJECTED" in seat.text, "said so")
        assert seat.app.focused is seat.dialog.query_one("#cancel")
        await seat.press("right", "enter")
        assert engine.sent(wire.CandidateApprove) == []


async def test_a_question_about_another_commit_cannot_be_confirmed(
    sit: Sit, engine: ScriptedEngine
) -> None:
    async with sit(engine) as seat:
        await seat.press("a")
        engine.emit(ev.Approved(candidate="c4", commit=commit("c4"), reason=""))
        engine.emit(
            ev.Rebased(
                candidate="c4", base=commit("b2"), commit=commit("c4-2"), tree="t", checkpoint="r"
            ),
        )
        await seat.until(lambda: "another commit" in seat.text, "said so")
        assert seat.dialog.query_one("#yes-0").disabled


async def test_losing_the_engine_disables_the_question_until_it_is_back(
    sit: Sit, engine: ScriptedEngine
) -> None:
    async with sit(engine) as seat:
        await seat.press("a")
        engine.drop()
        await seat.until(lambda: "connection to the engine is lost" in seat.text, "said so")
        assert seat.dialog.query_one("#yes-0").disabled
        engine.back()
        await seat.until(lambda: not seat.dialog.query_one("#yes-0").disabled, "enabled again")


# --- looking ------------------------------------------------------------------------------------


async def test_vi_keys_and_arrows_move_the_cursor(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine) as seat:
        seen = []
        for key in ("j", "down", "k", "up", "G", "g"):
            await seat.press(key)
            seen.append(seat.app.screen.chosen.id)
        assert seen == ["c5", "c3", "c5", "c4", "c1", "c4"]


@pytest.mark.parametrize("size", [(80, 24), LARGE])
async def test_letters_show_the_pages_of_the_detail(
    sit: Sit, engine: ScriptedEngine, size: tuple[int, int]
) -> None:
    async with sit(engine, size) as seat:
        await seat.press("d")
        assert "+++ b/fastpkg/tokens.py" in seat.text
        assert "hunk 1 of 3" in seat.text
        await seat.press("l")
        assert "log of build" in seat.text
        await seat.press("m")
        assert "Nothing was measured yet" in seat.text
        await seat.press("o")
        assert "Every accept is held" in seat.text
        assert seat.app.screen.query_one(Detail).tab == "overview"


async def test_enter_opens_the_candidate_and_escape_comes_back(
    sit: Sit, engine: ScriptedEngine
) -> None:
    async with sit(engine) as seat:
        await seat.press("enter")
        assert seat.app.focused.id == "overview"
        assert "> c4 > overview" in seat.text
        await seat.press("j")
        assert seat.app.focused.scroll_offset.y == 1
        assert seat.app.screen.chosen.id == "c4"
        await seat.press("escape")
        assert seat.app.focused.id == "candidates"


async def test_n_and_p_go_from_hunk_to_hunk_and_from_check_to_check(
    sit: Sit, engine: ScriptedEngine
) -> None:
    engine.diff = engine.diff * 6
    async with sit(engine) as seat:
        await seat.press("d")
        await seat.press("n")
        assert "@@ -12,9" in seat.text
        await seat.press("n")
        assert "hunk 2 of 18" in seat.text
        await seat.press("p")
        assert "hunk 1 of 18" in seat.text
        await seat.press("l", "n")
        assert "log of tests" in seat.text
        await seat.press("p", "p")
        assert "log of proof" in seat.text


async def test_slash_filters_the_candidates_and_escape_clears(
    sit: Sit, engine: ScriptedEngine
) -> None:
    async with sit(engine) as seat:
        await seat.press("slash", *"frozenset", "enter")
        assert [row.key for row in seat.app.screen.query_one("#candidates").rows] == ["c1"]
        assert seat.app.focused.id == "candidates"
        await seat.press("slash", *" nothing such", "enter")
        assert "No candidate fits the filter" in seat.text
        await seat.press("escape")
        assert len(seat.app.screen.query_one("#candidates").rows) == 5


async def test_slash_in_the_ledger_filters_the_ledger(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine) as seat:
        await seat.press("5", "slash", *"promoted", "enter")
        rows = seat.app.screen.query_one("#ledger").rows
        assert rows
        assert all("promoted" in row.cells[-1].plain for row in rows)


async def test_keys_typed_into_the_filter_are_text(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine) as seat:
        await seat.press("slash", "a", "x", "q", "space", "t")
        assert not seat.asking
        assert seat.app.screen.query_one("#filter").value == "axq t"


async def test_z_gives_the_detail_the_screen_and_back(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine) as seat:
        await seat.press("z")
        assert "count words with a defaultdict" not in seat.text
        await seat.press("escape")
        assert "count words with a defaultdict" in seat.text
        await seat.press("z", "z")
        assert "count words with a defaultdict" in seat.text


async def test_w_wraps_long_lines(sit: Sit, engine: ScriptedEngine) -> None:
    engine.diff = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n+" + "word " * 40 + "end\n"
    async with sit(engine) as seat:
        await seat.press("d")
        assert "end" not in seat.text
        await seat.press("w")
        assert "word end" in seat.text


async def test_c_copies_the_commit_or_the_id(sit: Sit, engine: ScriptedEngine) -> None:
    engine.propose("c7", "not applied yet")
    async with sit(engine) as seat:
        await seat.press("c")
        assert seat.app.clipboard == commit("c4")
        await seat.select("c7")
        await seat.press("c")
        assert seat.app.clipboard == "c7"
        await seat.press("4")
        await seat.press("c")
        assert seat.app.clipboard == commit("c3")


async def test_r_reads_everything_again(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine) as seat:
        before = engine.snapshots
        await seat.press("r")
        await seat.until(lambda: engine.snapshots > before, "a new snapshot")
        await seat.calm()
        assert "live" in seat.text
        assert "STALE" not in seat.text


async def test_question_mark_lists_every_key_of_the_table(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine, (120, 80)) as seat:
        await seat.press("question_mark")
        assert isinstance(seat.app.screen, HelpScreen)
        for key in KEYS:
            assert key.shown in seat.text
            assert key.help.split(";")[0] in seat.text
        await seat.press("escape")
        assert isinstance(seat.app.screen, LiveScreen)


async def test_the_palette_offers_what_is_possible(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine) as seat:
        titles = {c.title for c in seat.app.get_system_commands(seat.app.screen)}
        assert {"Approve (a)", "Pause (space)", "Versions (4)", "Theme"} <= titles
        assert "Roll back (R)" not in titles
        await seat.press("colon", *"versions", "enter")
        await seat.until(lambda: isinstance(seat.app.screen, VersionsScreen), "versions")
        await seat.press("ctrl+p", *"theme", "escape")
        await seat.until(lambda: isinstance(seat.app.screen, VersionsScreen), "back")


@pytest.mark.parametrize("key", ["q", "ctrl+q"])
async def test_quitting_ends_only_the_cockpit_and_says_so(
    sit: Sit, engine: ScriptedEngine, key: str
) -> None:
    async with sit(engine) as seat:
        await seat.pilot.press(key)
        await seat.until(lambda: not seat.app.is_running or seat.app._exit, "exit")
        assert "engine goes on" in str(seat.app._exit_renderables)
        assert engine.sent(wire.EngineShutdown) == []
        assert seat.app.return_value == 0


async def test_ctrl_c_neither_quits_nor_kills(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine) as seat:
        await seat.press("ctrl+c")
        assert "q leaves the cockpit" in seat.notices
        assert seat.app.is_running


async def test_a_dead_key_says_why(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine) as seat:
        await seat.select("c2")
        assert "Approve" not in seat.bar
        await seat.press("a")
        assert "c2 is REJECTED" in seat.notices


def test_every_key_of_the_table_has_an_action_on_its_screens() -> None:
    loader = Cockpit(ScriptedEngine().connect).loader
    for where in Where:
        screen = type(_made(where, loader))
        for key in KEYS:
            name = key.action.partition("(")[0]
            if where in key.where and not name.startswith("app."):
                assert hasattr(screen, f"action_{name}"), (where, name)


async def test_mouse_clicks_on_rows_tabs_and_keys(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine) as seat:
        await seat.pilot.click("#candidates", offset=(5, 3))
        await seat.calm()
        assert seat.app.screen.chosen.id == "c3"
        await seat.pilot.click("#tabs", offset=(15, 0))
        await seat.calm()
        assert seat.app.screen.query_one(Detail).tab == "diff"
        await seat.pilot.click("KeyBar", offset=(2, 0))
        await seat.calm()
        assert seat.asking


async def test_an_engine_without_candidates(sit: Sit) -> None:
    engine = ScriptedEngine()
    engine.begin()
    async with sit(engine) as seat:
        assert "No candidate yet." in seat.text
        assert "IDLE" in seat.text
        await seat.press("a", "x", "X", "R", "c", "n", "d", "l", "m", "o", "j", "G", "z", "escape")
        assert not seat.asking
