"""The pure half: folding, rows, words. No terminal, no loop, no clock."""

import ast
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.cells import cell_len

from ouroboros.model import events as ev
from ouroboros.model.entry import GENESIS, Entry, Stored
from ouroboros.model.phase import MOVES, Phase
from ouroboros.model.progress import Progress
from ouroboros.model.snapshot import Activity
from ouroboros.model.state import State
from ouroboros.model.verdict import Decision, Outcome, Reason
from rpc import wire
from tests.screens.scripted import (
    GOOD_CHECKS,
    MINUTE,
    NOW,
    SUPERVISED,
    ScriptedEngine,
    commit,
    comparison,
    evaluation,
    verdict,
)
from tui import asks, words
from tui.asks import Answer
from tui.diff import next_hunk, render
from tui.overview import interval, overview
from tui.rows import banner, candidate_rows, header, ledger_rows, version_rows
from tui.view import (
    LEDGER_KEPT,
    TRACK_KEPT,
    Attached,
    Contact,
    Detached,
    LedgerLine,
    LedgerLines,
    Unknown,
    View,
    activity,
    advance,
    ordered,
)
from tui.words import ASCII, UNICODE, line, wrapped

PURE = ("view", "words", "rows", "overview", "asks", "keys", "plot", "measures", "others")


def attached(engine: ScriptedEngine, *, at_ns: int = NOW) -> Attached:
    snapshot = engine._on_engine_snapshot(wire.EngineSnapshot())
    return Attached(
        at_ns=at_ns,
        actor="uid:ada",
        role=engine.role,
        engine_version="0.1.0",
        status=snapshot.status,
        snapshot=snapshot,
    )


@pytest.fixture
def view(engine: ScriptedEngine) -> View:
    return advance(View(), attached(engine))


@pytest.mark.parametrize("module", PURE)
def test_the_pure_modules_import_nothing_that_touches_the_world(module: str) -> None:
    import tui

    path = Path(str(tui.__file__)).parent / f"{module}.py"
    imported = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported <= {
        "ast", "collections", "enum", "math", "re", "tomllib", "typing", "msgspec", "rich",
        "ouroboros", "rpc", "tui",
    }  # fmt: skip


# --- folding ------------------------------------------------------------------------------------

NAMES = ("c1", "c2", "c3")
NOTHING = Reason(code="x", text="y")


def event_of(kind: str, name: str) -> ev.AnyEvent:
    """Any event that moves a candidate, by its kind."""
    rolled = {
        "candidates": (name,), "branch": "main", "commit": commit(name), "version": 9,
        "restores": 0, "reason": "",
    }  # fmt: skip
    applied = {"base": "b", "commit": commit(name), "tree": "t", "checkpoint": "r"}
    done = evaluation("b", commit(name), *GOOD_CHECKS)
    every: dict[str, dict[str, Any]] = {
        "screened": {"files": ()},
        "applied": applied,
        "rebased": applied,
        "evaluation_started": {"attempt": 1, "executor": "local"},
        "evaluated": {"evaluation": done},
        "accepted": {"verdict": verdict(Decision.ACCEPT)},
        "held": {"verdict": verdict(Decision.HOLD, SUPERVISED), "expires_ns": NOW},
        "rejected": {"reasons": (NOTHING,)},
        "approved": {"commit": commit(name), "reason": ""},
        "endorsed": {"commit": commit(name), "reason": ""},
        "overridden": {"commit": commit(name), "reason": "now"},
        "promotion_started": {
            "branch": "main", "expected_head": "h", "commit": commit(name), "version": 1,
        },
        "promotion_blocked": {"reason": "dirty", "expires_ns": NOW},
        "promoted": {"version": 1, "commit": commit(name), "branch": "main"},
        "expired": {},
        "errored": {"room": "sandbox", "reason": "no"},
    }  # fmt: skip
    if kind == "rollback_started":
        return ev.RollbackStarted(expected_head="h", **rolled)
    if kind == "rolled_back":
        return ev.RolledBack(**rolled)
    if kind == "roll_forward_started":
        return ev.RollForwardStarted(expected_head="h", **rolled)
    if kind == "rolled_forward":
        return ev.RolledForward(**rolled)
    if kind == "roll_forward_failed":
        return ev.RollForwardFailed(candidates=(name,), reason="moved")
    kinds = {cls.__struct_config__.tag: cls for cls in ev.AnyEvent.__args__}
    return kinds[kind](candidate=name, **every.get(kind, {"reason": "because"}))


@st.composite
def legal_histories(draw: st.DrawFn) -> list[ev.AnyEvent]:
    """Any sequence of events that the table of moves allows, with engine events in between."""
    phases: dict[str, Phase] = {}
    events: list[ev.AnyEvent] = []
    for _ in range(draw(st.integers(0, 40))):
        name = draw(st.sampled_from(NAMES))
        if draw(st.integers(0, 5)) == 0:
            events.append(
                draw(
                    st.sampled_from(
                        [
                            ev.Paused(reason="r"),
                            ev.Resumed(reason=""),
                            ev.CycleStarted(cycle=1, trigger="manual", base="b"),
                            ev.CycleFinished(cycle=1, outcome="idle", proposals=0),
                            ev.AlertRaised(code="c", severity="critical", text="t"),
                            ev.EngineStopped(reason="bye"),
                            ev.ConfigLoaded(config_hash="h", text="t"),
                        ],
                    ),
                ),
            )
        elif name not in phases:
            phases[name] = Phase.PROPOSED
            events.append(
                ev.Proposed(
                    candidate=name,
                    cycle=1,
                    proposer="p",
                    title="t",
                    rationale="",
                    base="b",
                    diff="d",
                    idea="i",
                ),
            )
        elif MOVES[phases[name]]:
            kind = draw(st.sampled_from(sorted(MOVES[phases[name]])))
            phases[name] = MOVES[phases[name]][kind]
            events.append(event_of(kind, name))
    return events


def stored(seq: int, event: ev.AnyEvent) -> Stored:
    entry = Entry(v=1, seq=seq, ts=NOW, actor="a", idem=str(seq), prev=GENESIS, event=event)
    return Stored(hash=f"{seq:064}", entry=entry)


def painted(view: View) -> None:
    """Everything that could be shown is shown, in both sets of symbols and both widths."""
    for glyphs, width in ((UNICODE, 60), (ASCII, 140)):
        header(view, NOW, glyphs)
        candidate_rows(view, NOW, glyphs, width=width)
        ledger_rows(view, width=width)
        version_rows(view, NOW, glyphs, width=width)
        for candidate in view.state.candidates.values():
            overview(view, candidate, NOW, glyphs, width=width)
            for action in ("approve", "reject", "cancel"):
                asks.obstacle(view, action, candidate=candidate)
                asks.ask_candidate(view, candidate, action, glyphs)


@given(legal_histories())
@settings(max_examples=150, deadline=None)
def test_any_legal_history_folds_and_paints(events: list[ev.AnyEvent]) -> None:
    view = advance(View(), attached(ScriptedEngine()))
    for number, event in enumerate(events, 1):
        view = advance(view, stored(number, event))
        assert not view.resync
    assert view.state.seq == len(events)
    painted(view)


@given(st.lists(st.tuples(st.sampled_from(sorted({k for m in MOVES.values() for k in m})),
                          st.sampled_from(NAMES), st.integers(1, 60)), max_size=30))  # fmt: skip
@settings(max_examples=150, deadline=None)
def test_any_illegal_history_leaves_the_view_standing(moves: list[tuple[str, str, int]]) -> None:
    view = advance(View(), attached(ScriptedEngine()))
    highest = 0
    for kind, name, seq in moves:
        view = advance(view, stored(seq, event_of(kind, name)))
        highest = max(highest, seq)
        assert view.state.seq == highest
    assert view.resync == bool(moves)
    painted(view)


def test_an_entry_delivered_twice_changes_nothing(engine: ScriptedEngine, view: View) -> None:
    item = engine.emit(ev.Paused(reason="lunch"))
    once = advance(view, item)
    assert once.state.paused
    assert advance(once, item) == once


def test_an_unknown_event_is_one_line_and_asks_for_a_snapshot(view: View) -> None:
    seq = view.state.seq + 1
    after = advance(view, Unknown(seq=seq, topic="candidate.teleported", hash="f" * 64))
    assert after.resync
    assert after.state.seq == seq
    assert after.contact is Contact.LIVE
    assert "candidate.teleported" in after.ledger[0].text


def test_a_gap_in_the_numbers_asks_for_a_snapshot(view: View) -> None:
    assert advance(view, stored(view.state.seq + 2, ev.Paused(reason=""))).resync


def test_losing_the_engine_keeps_the_data_and_the_moment(view: View) -> None:
    lost = advance(view, Detached(at_ns=NOW, retry_ns=NOW + MINUTE, reason="gone", hint="start"))
    again = advance(lost, Detached(at_ns=NOW + MINUTE, retry_ns=NOW + 2 * MINUTE, reason="gone"))
    assert again.state == view.state
    assert again.lost_ns == NOW
    cell = header(again, NOW + MINUTE + 42 * words.SECOND, UNICODE).contact.plain
    assert cell == "\u25cc STALE 01:42, retry in 18 s \u2502 uid:ada admin"
    assert banner(lost).plain == "gone start"


def test_a_resume_keeps_state_progress_and_ledger(engine: ScriptedEngine, view: View) -> None:
    lost = advance(view, Detached(at_ns=NOW, retry_ns=NOW, reason="gone"))
    back = advance(lost, replace(attached(engine), snapshot=None))
    assert back.contact is Contact.LIVE
    assert back.state == view.state
    assert back.tracks == view.tracks


def test_another_ledger_replaces_everything(view: View) -> None:
    view = advance(view, LedgerLines(lines=(), older=0))
    other = ScriptedEngine()
    other.begin()
    fresh = advance(view, attached(other))
    assert not fresh.state.candidates
    assert fresh.ledger == ()
    assert fresh.older == fresh.state.seq + 1


def test_the_ledger_merges_pages_with_what_arrived_meanwhile() -> None:
    def row(seq: int) -> LedgerLine:
        return LedgerLine(seq=seq, ts=0, kind="k", actor="", candidate="", text=str(seq))

    view = View(ledger=(row(9), row(8)), older=8)
    view = advance(view, LedgerLines(lines=(row(8), row(7), row(6)), older=6))
    assert [r.seq for r in view.ledger] == [9, 8, 7, 6]
    assert view.older == 6


def test_memory_is_bounded() -> None:
    view = advance(View(), attached(ScriptedEngine()))
    for seq in range(1, LEDGER_KEPT + 50):
        view = advance(view, stored(seq, ev.Resumed(reason="")))
    assert len(view.ledger) == LEDGER_KEPT
    assert view.older == view.ledger[-1].seq
    for pairs in range(200):
        view = advance(
            view, Progress(candidate="c1", stage="confirm:x", comparison=comparison(pairs=pairs))
        )
    assert len(view.tracks[("c1", "confirm:x")]) == TRACK_KEPT


def test_progress_ends_with_the_phase_and_stragglers_are_ignored(
    engine: ScriptedEngine, view: View
) -> None:
    assert "c5" in view.progress
    view = advance(view, engine.emit(ev.Cancelled(candidate="c5", reason="")))
    assert "c5" not in view.progress
    assert not [key for key in view.tracks if key[0] == "c5"]
    late = advance(view, Progress(candidate="c5", stage="tests"))
    assert late == view


# --- what is said -------------------------------------------------------------------------------


def test_what_waits_for_a_human_comes_first_then_the_newest(view: View) -> None:
    assert [c.id for c in ordered(view)] == ["c4", "c5", "c3", "c2", "c1"]


def test_rows_say_phase_age_and_the_number_that_matters(view: View) -> None:
    rows = {row.key: [c.plain for c in row.cells] for row in
            candidate_rows(view, NOW, UNICODE, width=120)}  # fmt: skip
    assert rows["c4"][1:4] == ["\u2016 HELD", "-12.4 % [-14.1, -10.2]", "12m"]
    assert rows["c5"][2] == "confirm 14/40\u2026"
    assert rows["c2"][2] == "tests_failed"
    narrow = {row.key: row.cells[2].plain for row in
              candidate_rows(view, NOW, UNICODE, width=80)}  # fmt: skip
    assert narrow["c4"] == "-12.4% [-14,-10]"


def test_the_header_says_everything_in_words(engine: ScriptedEngine, view: View) -> None:
    head = header(view, NOW, UNICODE)
    assert head.target.plain == "\u25ef fastpkg main \u2502 supervised"
    assert head.activity.plain == "\u25b6 WORKING"
    assert head.cycle.plain == "cycle 2"
    assert head.next.plain == "next 41:00"
    assert head.held.plain == "\u2016 1 held for you"
    assert head.contact.plain == "\u25cf live \u2502 uid:ada admin"
    view = advance(view, engine.emit(ev.Paused(reason="lunch"), actor="uid:bob"))
    head = header(view, NOW, UNICODE)
    assert head.activity.plain == "\u2016 PAUSED by uid:bob"
    assert head.banner.plain == "PAUSED: lunch"
    assert head.next.plain == ""


def test_a_snapshot_brings_the_running_comparison_along(view: View) -> None:
    text = "\n".join(
        row.plain for row in overview(view, view.state.candidates["c5"], NOW, UNICODE, width=100)
    )
    assert "14/40" in text
    assert "-5.0 % [-12.0, +3.0]" in text


def test_a_halt_is_told_until_somebody_resumes(engine: ScriptedEngine, view: View) -> None:
    status = replace(engine.status(), activity=Activity.HALTED, halt_reason="3 rollbacks in a row")
    view = advance(view, status)
    assert header(view, NOW, UNICODE).activity.plain == "\u25a0 HALTED"
    assert banner(view).plain == "HALTED: 3 rollbacks in a row"
    assert "halted" in asks.obstacle(view, "trigger", candidate=None)
    view = advance(view, engine.emit(ev.Resumed(reason="")))
    assert activity(view) is not Activity.HALTED


def test_the_countdown_follows_the_engines_clock(engine: ScriptedEngine) -> None:
    view = advance(View(), attached(engine, at_ns=NOW - 5 * MINUTE))
    assert header(view, NOW - 5 * MINUTE, UNICODE).next.plain == "next 41:00"


def test_the_overview_shows_evidence_and_frames_the_claim(view: View) -> None:
    c4 = view.state.candidates["c4"]
    text = "\n".join(row.plain for row in overview(view, c4, NOW, UNICODE, width=100))
    for fact in (
        "\u2016 HELD",
        "rejected by itself in 23h",
        "mode_supervised",
        "large-diff fastpkg/words.py:1",
        "\u2714 IMPROVED",
        "-12.4 % [-14.1, -10.2]",
        "24 pairs, confirm",
        "142 run, 0 failed",
        "assurance tests, in bwrap 0.11.0, cgroup, no network",
        "What codemod says (not verified)",
    ):
        assert fact in text
    c2 = view.state.candidates["c2"]
    text = "\n".join(row.plain for row in overview(view, c2, NOW, UNICODE, width=100))
    assert "\u2716 FAIL" in text
    assert "\u2716 REJECTED" in text
    assert "promoted" not in text


def test_a_running_comparison_shows_where_it_converges(engine: ScriptedEngine, view: View) -> None:
    for pairs, change in ((15, -0.06), (16, -0.09), (17, -0.1)):
        view = advance(
            view,
            Progress(
                candidate="c5",
                stage="confirm:tokenize",
                done=pairs,
                total=40,
                comparison=comparison(change, pairs=pairs, outcome=Outcome.INCONCLUSIVE),
            ),
        )
    text = "\n".join(
        row.plain for row in overview(view, view.state.candidates["c5"], NOW, UNICODE, width=100)
    )
    assert "17/40" in text
    assert "? INCONCLUSIVE" in text
    assert "17 pairs, confirm:tokenize, so far \u2588\u2587\u2582\u2581" in text


@given(
    st.one_of(st.none(), st.floats(-1, 5)),
    st.one_of(st.none(), st.floats(-1, 5)),
    st.one_of(st.none(), st.floats(-1, 5)),
    st.integers(2, 80),
)
def test_an_interval_fits_its_cells_whatever_the_numbers(
    change: float | None, lower: float | None, upper: float | None, cells: int
) -> None:
    drawn = interval(comparison(change, lower=lower, upper=upper), ASCII, cells)
    if None in (change, lower, upper):
        assert not drawn.spans
    else:
        assert len(drawn.plain) <= cells + 16


@given(st.text(max_size=300), st.integers(8, 100))
def test_wrapping_loses_no_word_and_fits(text: str, width: int) -> None:
    rows = wrapped(line(words.safe_line(text, limit=1000)), width)
    assert all(cell_len(row.plain) <= width for row in rows)
    assert "".join("".join(r.plain for r in rows).split()) == "".join(
        words.safe_line(text, limit=1000).split()
    )


def test_ascii_symbols_are_ascii() -> None:
    assert all(
        str(value).isascii() for value in (getattr(ASCII, f) for f in ASCII.__struct_fields__)
    )


def test_state_is_never_told_by_colour_alone() -> None:
    for table in (words.PHASES, words.CHECKS, words.OUTCOMES):
        texts = [word.span(ASCII).text for word in table.values()]
        assert len(set(texts)) == len(texts)
    assert set(words.PHASES) == set(Phase)


# --- asking -------------------------------------------------------------------------------------


def test_every_answer_becomes_the_request_it_says(view: View) -> None:
    c4 = view.state.candidates["c4"]
    for action, kind in (
        ("approve", wire.CandidateApprove),
        ("reject", wire.CandidateReject),
        ("cancel", wire.CandidateCancel),
    ):
        ask = asks.ask_candidate(view, c4, action, UNICODE)
        request = asks.request_of(ask, Answer(choice=ask.choices[0], reason="r"))
        assert isinstance(request, kind)
        assert (request.id, request.reason) == ("c4", "r")
    pause = asks.ask_pause(view)
    modes = [asks.request_of(pause, Answer(choice=c)).mode for c in pause.choices]
    assert modes == ["after_phase", "now"]


def test_a_weak_candidate_is_not_sold_as_proven(view: View) -> None:
    c4 = view.state.candidates["c4"]
    weak = replace(c4, verdict=replace(c4.verdict, wants_promotion=False))
    text = "\n".join(row.plain for row in asks.ask_candidate(view, weak, "approve", UNICODE).lines)
    assert "your call" in text


def test_a_pause_that_somebody_else_made_closes_the_question(
    engine: ScriptedEngine, view: View
) -> None:
    ask = asks.ask_pause(view)
    assert asks.changed(ask, view) == ""
    view = advance(view, engine.emit(ev.Paused(reason="")))
    assert "Meanwhile the loop was paused" in asks.changed(ask, view)


# --- diffs --------------------------------------------------------------------------------------


def test_a_diff_keeps_every_character_and_finds_its_hunks(engine: ScriptedEngine) -> None:
    diff = render(engine.diff)
    plain = [row.plain for row in diff.lines]
    source = [raw.removeprefix("diff --git ") for raw in engine.diff.split("\n") if raw]
    assert [row for row in plain if row.strip()] == [raw for raw in source if raw.strip()]
    assert [plain[i][:2] for i in diff.hunks] == ["@@"] * 3
    fills = {row.plain[:1]: row.fill for row in diff.lines if row.fill}
    assert fills == {"+": "add", "-": "del"}
    assert any(span.role == "tok-keyword" for row in diff.lines for span in row.spans)


def test_a_removed_line_that_looks_like_a_header_stays_in_its_hunk() -> None:
    text = "--- a/x.sql\n+++ b/x.sql\n@@ -1,2 +1 @@\n--- a comment\n+++ b\n x\n"
    diff = render(text)
    assert len(diff.hunks) == 1
    assert [row.fill for row in diff.lines[-3:]] == ["del", "add", ""]


@given(st.text(alphabet="+- @d\n\\x1\u001b[", max_size=200))
def test_any_text_renders_as_a_diff(text: str) -> None:
    assert all("\n" not in row.plain and "\x1b" not in row.plain for row in render(text).lines)


def test_hunk_navigation_stops_at_the_ends() -> None:
    assert next_hunk((4, 9), 0, 1) == 4
    assert next_hunk((4, 9), 4, 1) == 9
    assert next_hunk((4, 9), 9, 1) is None
    assert next_hunk((4, 9), 9, -1) == 4
    assert next_hunk((), 0, 1) is None


def test_an_empty_state_paints() -> None:
    painted(View())
    assert View().state == State()


class TestPeople:
    """What needs several people, and what waits for the end of a freeze."""

    def several(self, view: View, *given: str) -> View:
        assert view.status is not None
        held = next(c for c in view.state.candidates.values() if c.phase is Phase.HELD)
        candidates = {**view.state.candidates, held.id: replace(held, approvals=given)}
        status = replace(view.status, approvals_needed={held.id: 3})
        return replace(view, status=status, state=replace(view.state, candidates=candidates))

    def held(self, view: View) -> Any:
        return next(c for c in view.state.candidates.values() if c.phase is Phase.HELD)

    def test_rows_and_overview_say_how_many_said_yes(self, view: View) -> None:
        view = self.several(view, "uid:bob")
        row = next(r for r in candidate_rows(view, NOW, UNICODE, width=120)
                   if r.key == self.held(view).id)  # fmt: skip
        assert any("1 of 3 approvals" in cell.plain for cell in row.cells)
        lines = overview(view, self.held(view), NOW, UNICODE)
        assert any("1 of 3 approvals" in x.plain for x in lines)

    def test_the_question_says_what_one_more_yes_means(self, view: View) -> None:
        view = self.several(view, "uid:bob")
        ask = asks.ask_candidate(view, self.held(view), "approve", UNICODE)
        said = " ".join(x.plain for x in ask.lines)
        assert "1 of 3 approvals so far; after yours, one more person must say yes." in said
        assert "becomes the head" not in said
        assert ask.choices[0].done == "Your yes is written; 1 more needed."
        both = self.several(view, "uid:bob", "uid:cat")
        last = asks.ask_candidate(both, self.held(both), "approve", UNICODE)
        assert last.choices[0].done == "Approved."
        assert "becomes the head" in " ".join(x.plain for x in last.lines)

    def test_one_is_enough_without_words(self, view: View) -> None:
        ask = asks.ask_candidate(view, self.held(view), "approve", UNICODE)
        assert ask.choices[0].done == "Approved."
        assert "approvals" not in " ".join(x.plain for x in ask.lines)

    def test_a_freeze_is_a_banner(self, view: View) -> None:
        assert view.status is not None
        status = replace(
            view.status, frozen_until_ns=view.status.now_ns + 3 * 60 * MINUTE, waiting=("c7",)
        )
        said = banner(replace(view, status=status)).plain
        assert said.startswith("FROZEN for 3h")
        assert "c7 accepted and waiting" in said

    def test_the_mode_is_that_of_now(self, view: View) -> None:
        assert view.status is not None
        changed = replace(view, status=replace(view.status, mode="observe"))
        assert "observe" in header(changed, NOW, UNICODE).target.plain

    def test_a_screening_estimate_is_no_number_of_a_row(self, view: View) -> None:
        held = self.held(view)
        screened = replace(held.verdict, comparisons=(comparison(-0.9, stage="screen"),))
        one = replace(held, verdict=screened)
        view = replace(
            view, state=replace(view.state, candidates={**view.state.candidates, held.id: one})
        )
        row = next(r for r in candidate_rows(view, NOW, UNICODE, width=120) if r.key == held.id)
        assert not any("90" in cell.plain for cell in row.cells)


@pytest.mark.parametrize(
    ("more", "shown"),
    [
        ({}, "-12.4 % [-14.1, -10.2]"),
        ({"scale": "difference", "unit": "pt", "change": 3.5, "lower": 3.0, "upper": None},
         "+3.5 pt [+3, +inf]"),
    ],
)  # fmt: skip
def test_a_comparison_is_read_in_its_own_unit(more: dict[str, Any], shown: str) -> None:
    one = comparison(**more)
    assert f"{words.change(one)} {words.limits(one)}" == shown


def test_where_more_is_better_no_axis_of_costs_is_drawn(view: View) -> None:
    assert interval(comparison(), UNICODE, 20).spans
    assert not interval(comparison(direction="higher"), UNICODE, 20).spans
    assert not interval(comparison(scale="difference"), UNICODE, 20).spans
