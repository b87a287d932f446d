"""The views besides Live, over a scripted engine: what they show, ask, and send."""

import re
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest
from engine_world import pairs
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.errors import InvalidParamsError, OuroborosError
from ouroboros.model import events as ev
from ouroboros.model.entry import Entry, Stored
from ouroboros.model.evaluation import Series, Stage
from ouroboros.model.progress import VERIFYING, Progress
from rpc import wire
from tests.screens.scripted import NOW, ScriptedEngine, commit, comparison
from tui import asks
from tui.diff import beside, render
from tui.keys import KEYS, VIEWS, Where
from tui.others import told
from tui.plot import plot
from tui.rows import crumbs
from tui.screens.config import written
from tui.screens.ledger import Question, entry_lines, question_of
from tui.screens.metrics import quantity
from tui.view import View
from tui.words import ASCII, UNICODE

Sit = Callable[..., AbstractAsyncContextManager[Any]]
SIZES = [(60, 16), (80, 24), (120, 40), (300, 100)]


@pytest.mark.parametrize("size", SIZES)
async def test_every_view_fits_every_size(
    sit: Sit, engine: ScriptedEngine, size: tuple[int, int]
) -> None:
    engine.emit(ev.AlertRaised(code="disk_low", severity="critical", text="2 GiB", candidate=""))
    facts = {
        Where.INBOX: "why, and title",
        Where.CANDIDATE: "c4",
        Where.VERSIONS: "version age",
        Where.LEDGER: "alert_raised",
        Where.METRICS: "engine_rss_bytes",
        Where.ALERTS: "CRITICAL",
        Where.GOVERNOR: "Circuit breaker",
        Where.LOGS: "the loop goes on",
        Where.CONFIG: "governor.max_lines",
    }
    async with sit(engine, size) as seat:
        for key in VIEWS[1:]:
            await seat.press(key.keys)
            await seat.until(lambda key=key: facts[Where(key.name)] in seat.text, key.name)
            assert seat.app.screen.WHERE.value == key.name
            assert "live" in seat.text
            assert "Help" in seat.bar
        await seat.press("1")
        assert seat.app.screen.WHERE is Where.LIVE
        assert len(seat.app.screen_stack) == 1


async def test_the_inbox_has_the_oldest_first_and_one_key_leads_there(
    sit: Sit, engine: ScriptedEngine
) -> None:
    engine.to_held("c0", "an older one", ts=NOW - 10**13)
    async with sit(engine) as seat:
        await seat.press("i")
        assert [row.key for row in seat.app.screen.table.rows] == ["c0", "c4"]
        assert seat.app.screen.chosen.id == "c0"
        assert "2Inbox(2)" in seat.text
        engine.emit(ev.Denied(candidate="c0", reason=""))
        engine.emit(ev.Denied(candidate="c4", reason=""))
        await seat.until(lambda: "nothing held" in seat.text, "empty")
        await seat.press("1", "i")
        assert "Nothing waits for a human." in seat.notices


async def test_escape_goes_back_the_way_one_came(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine) as seat:
        await seat.press("2", "enter", "d")
        assert "> c4 > diff" in seat.text
        await seat.press("escape")
        assert seat.app.screen.WHERE is Where.INBOX
        await seat.press("escape")
        assert seat.app.screen.WHERE is Where.LIVE


async def test_a_candidate_from_before_the_snapshot_is_fetched(
    sit: Sit, engine: ScriptedEngine
) -> None:
    async with sit(engine) as seat:
        state = seat.app.view.state
        rest = {k: v for k, v in state.candidates.items() if k != "c3"}
        seat.app.view = _replace(seat.app.view, state=_replace(state, candidates=rest))
        await seat.press("4", "enter")
        await seat.until(lambda: "> c3 >" in seat.text, "its page")
        assert engine.sent(wire.CandidateGet) == [wire.CandidateGet(id="c3")]


def _replace(value: Any, **changes: Any) -> Any:
    from msgspec.structs import replace

    return replace(value, **changes)


async def test_measures_draw_every_pair(sit: Sit, engine: ScriptedEngine) -> None:
    engine.series = (Series(benchmark="tokenize", stage=Stage.CONFIRM, pairs=pairs(-0.3, 12)),)
    async with sit(engine, (120, 40)) as seat:
        await seat.press("enter", "m")
        await seat.until(lambda: "confirmation, on fresh pairs" in seat.text, "the series")
        assert "12 pairs" in seat.text
        assert re.search(r"median -\d+\.\d %", seat.text)


async def test_two_versions_are_compared(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine, (120, 40)) as seat:
        await seat.press("4")
        await seat.until(lambda: engine.sent(wire.VersionDiff), "asked")
        assert engine.sent(wire.VersionDiff)[-1] == wire.VersionDiff(old="1", new="2")
        await seat.press("m", "G")
        await seat.until(lambda: len(engine.sent(wire.VersionDiff)) == 2, "asked again")
        assert engine.sent(wire.VersionDiff)[-1] == wire.VersionDiff(old="0", new="2")
        assert "> v0 to v2" in seat.text
        assert "+    for char in text:" in seat.text


async def test_versions_say_their_measured_gain_against_the_anchor(
    sit: Sit, engine: ScriptedEngine
) -> None:
    for name, change in (("c1", -0.31), ("c3", -0.37)):
        engine.emit(
            ev.AnchorMeasured(
                anchor=commit("base"),
                commit=commit(name),
                version=1,
                series=(),
                comparisons=(comparison(change, stage="anchor"),),
            )
        )
    async with sit(engine, (120, 40)) as seat:
        await seat.press("4")
        await seat.until(lambda: "-37.0 %" in seat.text, "of the newest")
        assert "-31.0 %" in seat.text
        assert "against the anchor  cpu of tokenize -37.0 %" in seat.text


async def test_the_ledger_is_asked_by_kind_and_number(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine) as seat:
        await seat.press("5", "slash", *"kind:held seq:9", "enter")
        await seat.until(
            lambda: any(c.kind == "held" and c.before == 10 for c in engine.sent(wire.LedgerList)),
            "asked",
        )
        await seat.press("escape")
        newest = seat.app.view.ledger[0].seq
        await seat.until(lambda: seat.app.screen.table.rows[0].key == str(newest), "all again")


async def test_verifying_shows_how_far_it_is_and_what_it_found(
    sit: Sit, engine: ScriptedEngine
) -> None:
    async with sit(engine) as seat:
        await seat.press("5")
        engine.tell(Progress(candidate="", stage=VERIFYING, done=40_000, total=100_000))
        await seat.until(lambda: "40,000 of 100,000" in seat.text, "the bar")
        await seat.press("v")
        await seat.until(lambda: "The engine says: whole" in seat.text, "the answer")
        engine.refusals[wire.LedgerVerify] = OuroborosError("The disk is gone.")
        await seat.press("v")
        await seat.until(lambda: "The disk is gone." in seat.text, "the refusal")


async def test_alerts_are_seen_and_silenced(sit: Sit, engine: ScriptedEngine) -> None:
    engine.emit(ev.AlertRaised(code="disk_low", severity="critical", text="2 GiB", candidate=""))
    async with sit(engine) as seat:
        assert "7Alerts(1)" in seat.text
        await seat.press("7", "y")
        await seat.until(lambda: engine.sent(wire.AlertAck), "acknowledged")
        await seat.until(lambda: "seen by uid:ada" in seat.text, "shown")
        await seat.press("y")
        assert "has seen it already" in seat.notices
        await seat.press("S", "right", "right", "enter")
        await seat.until(lambda: engine.sent(wire.AlertSilence), "silenced")
        sent = engine.sent(wire.AlertSilence)[0]
        assert (sent.codes, sent.until) == ("disk_low", NOW + 8 * 3600 * 10**9)
        await seat.until(lambda: "SILENCED disk_low for 8h" in seat.text, "shown")


async def test_freeze_and_unfreeze(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine) as seat:
        await seat.press("8", "F", "right", "enter")
        await seat.until(lambda: engine.sent(wire.GovernorFreeze), "frozen")
        await seat.until(lambda: "FROZEN until tomorrow by uid:ada" in seat.text, "shown")
        await seat.press("F")
        assert "End the freeze?" in seat.text
        await seat.press("right", "enter")
        await seat.until(lambda: engine.sent(wire.GovernorUnfreeze), "over")


async def test_a_value_is_changed_with_a_reason_or_not_at_all(
    sit: Sit, engine: ScriptedEngine
) -> None:
    async with sit(engine) as seat:
        await seat.press("0")
        await seat.until(lambda: "tests.command" in seat.text, "the values")
        assert re.search(r"governor.max_lines +9 +run time", seat.text)
        assert re.search(r"tests.command .*file", seat.text)
        assert re.search(r"quorum +1 +default", seat.text)
        await seat.press("G", "e")
        assert "Only the file can change this" in seat.notices
        await seat.press("g", "e")
        assert seat.dialog.query_one("#yes-0").disabled
        await seat.press("shift+tab", "shift+tab", "backspace", *"12", "enter", *"big", "tab")
        await seat.press("right", "enter")
        await seat.until(lambda: engine.sent(wire.GovernorSetLimits), "sent")
        sent = engine.sent(wire.GovernorSetLimits)[0]
        assert sent.changes == {"governor.max_lines": 12}
        assert (sent.reason, sent.expect_config) == ("big", "c" * 64)


async def test_a_value_that_is_none_is_refused_here(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine) as seat:
        await seat.press("0")
        await seat.until(lambda: "tests.command" in seat.text, "the values")
        await seat.press("e", "shift+tab", "shift+tab", "backspace", *"[1,", "enter", *"big", "tab")
        await seat.press("right", "enter")
        await seat.until(lambda: "Expected a value as in the file" in seat.notices, "told")
        assert engine.sent(wire.GovernorSetLimits) == []


async def test_the_log_is_followed_and_filtered(sit: Sit, engine: ScriptedEngine) -> None:
    engine.logged = 100
    async with sit(engine) as seat:
        await seat.press("9")
        await seat.until(lambda: "the loop goes on 99" in seat.text, "its end")
        engine.logged = 120
        await seat.until(lambda: "the loop goes on 119" in seat.text, "what came")
        await seat.press("slash", *"on 11", "enter")
        assert "the loop goes on 42" not in seat.text
        await seat.press("escape", "L")
        await seat.until(lambda: "WARNING" in seat.text, "another level")
        assert engine.sent(wire.LogTail)[-1].level == "WARNING"


async def test_panic_asks_nothing_and_acts_within_a_second(
    sit: Sit, engine: ScriptedEngine
) -> None:
    import asyncio

    async with sit(engine) as seat:
        begun = asyncio.get_running_loop().time()
        await seat.pilot.press("exclamation_mark")
        await seat.until(lambda: engine.state.paused, "paused")
        assert asyncio.get_running_loop().time() - begun < 1.0
        assert engine.sent(wire.EnginePause) == [wire.EnginePause(reason="panic key", mode="now")]
        assert not seat.asking


async def test_what_the_engine_refuses_stays_on_the_view(sit: Sit, engine: ScriptedEngine) -> None:
    engine.refusals[wire.GovernorStatusGet] = OuroborosError("The governor sleeps.")
    async with sit(engine) as seat:
        await seat.press("8")
        await seat.until(lambda: "The governor sleeps." in seat.text, "told")
        engine.refusals.clear()
        await seat.press("r")
        await seat.until(lambda: "Circuit breaker" in seat.text, "asked again")
        engine.drop()
        await seat.until(lambda: "STALE" in seat.text, "stale")
        assert "Circuit breaker" in seat.text


# --- pure ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", range(60, 140, 5))
def test_the_strip_of_views_fits_and_says_where_one_is(width: int) -> None:
    for here in Where:
        made = crumbs(View(), here, ("c4", "diff"), width, KEYS)
        assert sum(len(c.text) for c in made) <= width
        assert made[-1].text == " > c4 > diff"
        assert [c.role for c in made].count("tab-on") == 1
        shown = [c.action for c in made[:-1]]
        assert shown == [key.action for key in VIEWS]


POINTS = st.lists(st.tuples(st.floats(0, 1e6), st.floats(-1e12, 1e12)), max_size=60)


@given(
    points=POINTS,
    width=st.integers(0, 200),
    height=st.integers(0, 40),
    zero=st.booleans(),
    glyphs=st.sampled_from([UNICODE, ASCII]),
)
def test_a_plot_fits_its_place(
    points: list[tuple[float, float]], width: int, height: int, *, zero: bool, glyphs: Any
) -> None:
    drawn = plot(sorted(points), width=width, height=height, glyphs=glyphs, zero=zero)
    if points and width > 10 and height:
        assert len(drawn) == height
        assert all(len(row.plain) <= width for row in drawn)
    if glyphs is ASCII:
        assert all(row.plain.isascii() for row in drawn)


def test_a_plot_goes_from_the_least_to_the_most() -> None:
    rising = [(float(n), float(n)) for n in range(50)]
    drawn = [row.plain for row in plot(rising, width=60, height=10, glyphs=ASCII)]
    columns = [row[10:].find("*") for row in drawn]
    assert columns == sorted(columns, reverse=True)
    assert drawn[0].split()[0] == "49"
    assert drawn[-1].split()[0] == "0"


def test_side_by_side_loses_no_line_and_keeps_the_pairs() -> None:
    text = (
        "diff --git a/x.py b/x.py\n--- a/x.py\n+++ b/x.py\n@@ -1,4 +1,4 @@\n"
        " same\n-old one\n-old two\n+new one\n end\n"
    )
    drawn = beside(render(text), 60, UNICODE)
    plain = [row.plain.rstrip() for row in drawn.lines]
    assert next(line for line in plain if line.startswith("-old one")).endswith("+new one")
    assert any(line.startswith("-old two") and "new" not in line for line in plain)
    assert any(line.count("same") == 2 for line in plain)
    assert drawn.hunks == (plain.index("@@ -1,4 +1,4 @@"),)


@given(st.lists(st.sampled_from([" a", "-b", "+c", "-" + "w" * 200, "+\u4e2d" * 30]), max_size=30))
def test_side_by_side_fits_whatever_it_is(rows: list[str]) -> None:
    from rich.cells import cell_len

    text = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n" + "\n".join(rows) + "\n"
    for row in beside(render(text), 80, UNICODE).lines[3:]:
        assert cell_len(row.plain) <= 80


@pytest.mark.parametrize(
    ("text", "question", "rest"),
    [
        ("", None, ""),
        ("held now", None, "held now"),
        ("kind:held", Question(kind="held"), ""),
        ("cand:c3 word", Question(candidate="c3"), "word"),
        ("seq:12", Question(before=13), ""),
        ("seq:x a:b", None, "seq:x a:b"),
    ],
)
def test_a_filter_of_the_ledger(text: str, question: Question | None, rest: str) -> None:
    assert question_of(text) == (question, rest)


def test_an_entry_that_is_no_json_is_shown_as_it_is() -> None:
    assert [row.plain for row in entry_lines("{broken", "h")][-1] == "{broken"
    assert any('"a": 1' in row.plain for row in entry_lines('{"a":1}', "h"))


@pytest.mark.parametrize(
    ("value", "unit", "said"),
    [
        (61.4 * (1 << 20), "bytes", "61.4 MiB"),
        (12.0, "bytes", "12 B"),
        (3.14159, "percent", "3.1 %"),
        (0.0123, "seconds", "12.3 ms"),
        (75.0, "seconds", "75.0 s"),
        (1234.0, "entries", "1,234"),
    ],
)
def test_quantities(value: float, unit: str, said: str) -> None:
    assert quantity(value, unit) == said


@pytest.mark.parametrize(
    ("text", "value"),
    [("", None), ("9", 9), ("0.5", 0.5), ("true", True), ('"90s"', "90s"), ("90s", "90s"),
     ('["a", "b"]', ["a", "b"])],
)  # fmt: skip
def test_what_is_typed_for_a_value(text: str, value: Any) -> None:
    assert asks.setting_of(text) == value


@pytest.mark.parametrize("text", ["[1,", '"x', "{a", "a\nb"])
def test_what_is_no_value(text: str) -> None:
    with pytest.raises(InvalidParamsError):
        asks.setting_of(text)


def test_written_values_are_read_back() -> None:
    for value in (9, 0.5, True, "90s", ["22:00 - 06:00"]):
        assert asks.setting_of(written(value)) == value


def test_only_what_other_people_do_is_told() -> None:
    view = View(actor="uid:ada")
    for seq, (event, actor, wanted) in enumerate(
        [
            (ev.Paused(reason="lunch"), "uid:bob", "uid:bob: paused"),
            (ev.Paused(reason="lunch"), "uid:ada", ""),
            (ev.Paused(reason="lunch"), "engine", ""),
            (ev.CycleFinished(cycle=1, outcome="idle", proposals=0), "uid:bob", ""),
        ],
        1,
    ):
        entry = Entry(v=1, seq=seq, ts=1, actor=actor, idem="i", prev="0", event=event)
        found = told(view, Stored(hash="f", entry=entry))
        assert found.startswith(wanted) if wanted else found == ""
    old = Entry(v=1, seq=0, ts=1, actor="uid:bob", idem="i", prev="0", event=ev.Paused(reason=""))
    assert told(view, Stored(hash="f", entry=old)) == ""


async def test_a_converging_comparison_is_drawn_live(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine, (120, 40)) as seat:
        await seat.select("c5")
        await seat.press("enter", "m")
        for count in (8, 12, 20):
            engine.tell(
                Progress(
                    candidate="c5",
                    stage="confirm:tokenize",
                    done=count,
                    total=40,
                    comparison=comparison(-0.1 + 1 / count / 10, pairs=count),
                )
            )
        await seat.until(lambda: "20 pairs" in seat.text, "the newest")
        assert "\u2800" not in seat.text
        assert any("\u2800" < char <= "\u28ff" for char in seat.text)


async def test_copying_takes_the_commit_of_what_is_shown(sit: Sit, engine: ScriptedEngine) -> None:
    async with sit(engine) as seat:
        await seat.press("3", "c")
        assert seat.app.clipboard == commit("c4")
