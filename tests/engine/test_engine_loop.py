"""The loop: cycles, pause, holds, approvals, promotion, rollback, restarts."""

import asyncio

import pytest
from engine_world import FASTER, OTHER, World, evaluation, git, make_diff, reach

from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.errors import (
    ConflictError,
    CursorExpiredError,
    IllegalMoveError,
    NotFoundError,
    PatchConflictError,
    PatchError,
    WorkTreeError,
    WrongPhaseError,
)
from ouroboros.model.entry import Stored
from ouroboros.model.phase import Phase
from ouroboros.model.snapshot import Activity
from ouroboros.search.context import tried

BY = "uid:tester"
SOURCE_JS = "function f(x) {\n  return x + 1;\n}\n"


async def submit(engine: Engine, diff: str = FASTER, **more: str) -> str:
    return await engine.submit(Submission(diff=diff, title="t", **more), actor=BY)


async def promoted(engine: Engine, diff: str = FASTER) -> str:
    """Bring a candidate to promotion through a human's approval."""
    name = await submit(engine, diff)
    c = await reach(engine, name, Phase.HELD)
    await engine.approve(name, actor=BY, commit=c.commit, reason="looks right")
    await reach(engine, name, Phase.PROMOTED)
    return name


class TestSupervised:
    async def test_an_accept_is_held_until_a_human_approves_exactly_that_commit(
        self, world: World, engine: Engine
    ) -> None:
        before = world.head()
        name = await submit(engine)
        c = await reach(engine, name, Phase.HELD)
        assert world.head() == before
        with pytest.raises(ConflictError, match="as you saw it"):
            await engine.approve(name, actor=BY, commit="0" * 40, reason="")
        await engine.approve(name, actor=BY, commit=c.commit, reason="yes")
        c = await reach(engine, name, Phase.PROMOTED)
        assert c.version == 1
        assert "1 + x" in (world.root / "m.py").read_text()
        message = git(world.root, "log", "-1", "--format=%B", "main")
        assert f"Ouroboros-Candidate: {name}" in message
        assert f"Ouroboros-Approved-By: {BY}" in message
        assert git(world.root, "status", "--porcelain", "--untracked-files=no") == ""

    async def test_a_denial_is_final(self, world: World, engine: Engine) -> None:
        name = await submit(engine)
        c = await reach(engine, name, Phase.HELD)
        await engine.deny(name, actor=BY, reason="no")
        assert engine.candidate(name).phase is Phase.REJECTED
        with pytest.raises(WrongPhaseError):
            await engine.approve(name, actor=BY, commit=c.commit, reason="")

    async def test_a_hold_that_nobody_answers_expires_to_no(self, world: World) -> None:
        text = (world.root / "ouroboros.toml").read_text()
        (world.root / "ouroboros.toml").write_text(
            text.replace("[governor]", '[governor]\nhold_expiry = "300ms"')
        )
        engine = await world.start()
        name = await submit(engine)
        c = await reach(engine, name, Phase.REJECTED)
        assert [r.code for r in c.reasons] == ["expired"]

    async def test_observe_never_applies(self, world: World) -> None:
        world.configure("observe")
        engine = await world.start()
        name = await submit(engine)
        c = await reach(engine, name, Phase.HELD)
        with pytest.raises(WrongPhaseError, match="observe"):
            await engine.approve(name, actor=BY, commit=c.commit, reason="")


class TestAutonomous:
    async def test_cycles_ask_promote_and_go_on_while_there_are_ideas(self, world: World) -> None:
        world.configure("autonomous", "drain_ideas = true")
        world.proposer.diffs = [FASTER, OTHER]
        engine = await world.start()
        await reach_count(engine, 2)
        text = (world.root / "m.py").read_text()
        assert "1 + x" in text
        assert "x + x" in text
        assert [v.number for v in engine.state.versions] == [0, 1, 2]

    @pytest.mark.parametrize(
        ("status", "phase", "code"),
        [
            ("failed", Phase.REJECTED, "tests_failed"),
            ("error", Phase.ERRORED, "error:evaluation"),
        ],
    )
    async def test_failed_and_error_are_never_the_same(
        self, world: World, status: str, phase: Phase, code: str
    ) -> None:
        world.configure("autonomous")
        engine = await world.start()
        world.executor.answer = lambda plan: evaluation(plan, status=status, cause="because")
        name = await submit(engine)
        c = await reach(engine, name, Phase.REJECTED, Phase.ERRORED, Phase.PROMOTED)
        assert c.phase is phase
        assert c.reasons[0].code == code
        assert "because" in c.reasons[0].text

    async def test_errors_in_a_row_pause_the_engine_and_rejections_do_not(
        self, world: World
    ) -> None:
        engine = await world.start()
        status = "failed"
        world.executor.answer = lambda plan: evaluation(plan, status=status, cause="why")
        lines = [make_diff("m.py", "x + 1", f"x + 1 + {i} - {i}") for i in range(9)]
        for diff in lines[:4]:
            await reach(engine, await submit(engine, diff), Phase.REJECTED)
        assert not engine.state.paused
        status = "error"
        for diff in lines[4:7]:
            await reach(engine, await submit(engine, diff), Phase.ERRORED)
        async with asyncio.timeout(10):
            await engine._core.recorder.wait_for(lambda s: bool(s.alerts))
        assert engine.state.paused
        assert "3 candidates in a row" in engine.state.pause_reason
        assert "why" in engine.state.pause_reason
        await engine.resume(actor=BY, reason="repaired")
        await reach(engine, await submit(engine, lines[7]), Phase.ERRORED)
        assert not engine.state.paused

    async def test_an_idea_that_ended_in_our_error_is_not_used_up(self, world: World) -> None:
        engine = await world.start()
        world.executor.answer = lambda plan: evaluation(plan, status="error", cause="why")
        name = await submit(engine)
        await reach(engine, name, Phase.ERRORED)
        assert engine.candidate(name).idea not in tried(engine.state)

    async def test_a_bug_in_the_executor_is_an_error_not_a_verdict(self, world: World) -> None:
        world.configure("autonomous")
        engine = await world.start()

        def explode(plan: object) -> None:
            raise ZeroDivisionError("oops")

        world.executor.answer = explode  # type: ignore[assignment] - it never returns
        name = await submit(engine)
        c = await reach(engine, name, Phase.ERRORED, Phase.REJECTED)
        assert c.phase is Phase.ERRORED

    async def test_a_protected_file_is_refused_before_anything_runs(self, world: World) -> None:
        engine = await world.start()
        diff = make_diff("tests/test_m.py", "", "", before="")
        diff = "--- /dev/null\n+++ b/tests/test_m.py\n@@ -0,0 +1 @@\n+assert True\n"
        name = await submit(engine, diff)
        c = await reach(engine, name, Phase.REJECTED)
        assert c.reasons[0].code == "screen:protected-path"
        assert world.executor.plans == []

    async def test_new_reach_is_held_with_its_line_whatever_the_numbers_say(
        self, world: World
    ) -> None:
        world.configure("autonomous")
        engine = await world.start()
        name = await submit(engine, make_diff("m.py", "def f", "import os\n\n\ndef f"))
        c = await reach(engine, name, Phase.HELD)
        assert [(m.rule, m.path, m.line) for m in c.marks] == [("new-import", "m.py", 1)]
        assert "import os" in c.marks[0].text
        assert c.verdict is not None
        assert c.verdict.wants_promotion
        assert "screen:new-import" in {r.code for r in c.reasons}

    async def test_a_note_of_the_screen_is_kept_and_holds_nothing(self, world: World) -> None:
        (world.root / "m.js").write_text(SOURCE_JS)
        git(world.root, "add", "m.js")
        git(world.root, "commit", "-qm", "js")
        world.configure("autonomous")
        engine = await world.start()
        diff = make_diff("m.js", "x + 1", "1 + x", before=SOURCE_JS)
        c = await reach(engine, await submit(engine, diff), Phase.PROMOTED)
        assert [(m.rule, m.severity) for m in c.marks] == [("language-neutral", "note")]

    async def test_what_git_would_have_to_unpack_is_refused_unread(self, world: World) -> None:
        engine = await world.start()
        diff = "diff --git a/x b/x\nnew file mode 100644\nGIT binary patch\nliteral 9\nQcmZ\n"
        c = await reach(engine, await submit(engine, diff), Phase.REJECTED)
        assert c.reasons[0].code == "screen:binary"
        assert git(world.root, "for-each-ref", "refs/ouroboros/candidates") == ""

    async def test_the_screen_reads_what_git_makes_of_the_diff(self, world: World) -> None:
        """A diff may apply at another line than it says; marks name the line of the result."""
        engine = await world.start()
        shifted = make_diff("m.py", "x * 2", "x * 2 + open('y').fileno()").replace("+1", "+1", 1)
        c = await reach(engine, await submit(engine, shifted), Phase.HELD)
        assert [(m.rule, m.line) for m in c.marks] == [("new-reach", 6)]

    async def test_the_watch_rolls_back_what_got_worse(self, world: World) -> None:
        world.configure("autonomous", "")
        text = (world.root / "ouroboros.toml").read_text()
        (world.root / "ouroboros.toml").write_text(text.replace('"1h"\nshut', '"50ms"\nshut'))
        answers = iter(["ok", "failed"])
        engine = await world.start()
        world.executor.answer = lambda plan: evaluation(plan, status=next(answers), cause="red")
        name = await submit(engine)
        await reach(engine, name, Phase.ROLLED_BACK)
        assert "x + 1" in (world.root / "m.py").read_text()
        assert engine.state.versions[-1].restores == 0
        assert any(a.code == "regression" for a in engine.state.alerts)


async def reach_count(engine: Engine, versions: int) -> None:
    async with asyncio.timeout(20):
        while len(engine.state.versions) <= versions:
            await engine._core.recorder.wait_for(lambda s: len(s.versions) > versions)


class TestControl:
    async def test_pause_survives_a_restart_and_stops_cycles(self, world: World) -> None:
        engine = await world.start()
        await engine.pause(actor=BY, reason="night", now=False)
        with pytest.raises(WrongPhaseError, match="night"):
            await engine.trigger(actor=BY)
        await world.stop(engine)
        engine = await world.start()
        status = engine.status()
        assert (status.activity, status.pause_reason, status.pause_actor) == (
            Activity.PAUSED,
            "night",
            BY,
        )
        await engine.resume(actor=BY, reason="")
        assert not engine.status().paused

    async def test_pause_now_requeues_and_resume_evaluates_again(
        self, world: World, engine: Engine
    ) -> None:
        world.executor.gate.clear()
        name = await submit(engine)
        await reach(engine, name, Phase.EVALUATING)
        await engine.pause(actor=BY, reason="", now=True)
        await reach(engine, name, Phase.APPLIED)
        world.executor.gate.set()
        await engine.resume(actor=BY, reason="")
        c = await reach(engine, name, Phase.HELD)
        assert c.attempt == 2

    async def test_cancel_while_evaluating(self, world: World, engine: Engine) -> None:
        world.executor.gate.clear()
        name = await submit(engine)
        await reach(engine, name, Phase.EVALUATING)
        await engine.cancel(name, actor=BY, reason="wrong one")
        assert engine.candidate(name).phase is Phase.CANCELLED
        with pytest.raises(IllegalMoveError):
            await engine.cancel(name, actor=BY, reason="again")

    async def test_trigger_asks_the_proposers_at_once(self, world: World, engine: Engine) -> None:
        first = engine.state.cycles
        async with asyncio.timeout(10):
            await engine._core.recorder.wait_for(lambda s: s.cycles >= 1 and s.cycle is not None)
            await engine._core.recorder.wait_for(lambda s: bool(s.cycle and s.cycle.outcome))
        world.proposer.diffs = [FASTER]
        number = await engine.trigger(actor=BY)
        assert number > first
        await engine._core.recorder.wait_for(lambda s: "c1" in s.candidates)
        await reach(engine, "c1", Phase.HELD)
        assert engine.candidate("c1").cycle == number
        pages = await engine.ledger_page(before=0, limit=100, kind="cycle_started", candidate="")
        actors = {s.entry.event.trigger: s.entry.actor for s in pages}
        assert actors["manual"] == BY
        assert actors.get("interval", "engine") == "engine"

    async def test_submitting_twice_with_one_key_is_one_candidate(
        self, world: World, engine: Engine
    ) -> None:
        one = await submit(engine, idempotency_key="k")
        two = await submit(engine, idempotency_key="k")
        assert one == two
        with pytest.raises(ConflictError, match=one):
            await submit(engine)

    @pytest.mark.parametrize("diff", ["", "   \n", "not a diff", FASTER.replace("x + 1", "y")])
    async def test_rubbish_is_refused_or_rejected_with_a_reason(
        self, world: World, engine: Engine, diff: str
    ) -> None:
        try:
            name = await submit(engine, diff)
        except PatchError:
            return
        c = await reach(engine, name, Phase.REJECTED)
        assert c.reasons[0].code == "does_not_apply"

    async def test_unknown_names_are_not_found(self, engine: Engine) -> None:
        with pytest.raises(NotFoundError):
            engine.candidate("c99")
        with pytest.raises(NotFoundError):
            await engine.rollback("v9", actor=BY, reason="", expect_head="")
        with pytest.raises(CursorExpiredError):
            engine.subscribe(from_seq=10**6)


class TestUsersTree:
    async def test_local_edits_of_a_touched_file_block_promotion_and_nothing_is_lost(
        self, world: World, engine: Engine
    ) -> None:
        name = await submit(engine)
        c = await reach(engine, name, Phase.HELD)
        edited = (world.root / "m.py").read_text() + "# mine\n"
        (world.root / "m.py").write_text(edited)
        before = world.head()
        await engine.approve(name, actor=BY, commit=c.commit, reason="")
        async with asyncio.timeout(10):
            await engine._core.recorder.wait_for(
                lambda s: (
                    s.candidates[name].phase is Phase.HELD
                    and s.candidates[name].reasons[0].code == "promotion_blocked"
                )
            )
        assert world.head() == before
        assert (world.root / "m.py").read_text() == edited
        git(world.root, "checkout", "--", "m.py")
        await engine.approve(name, actor=BY, commit=c.commit, reason="clean now")
        await reach(engine, name, Phase.PROMOTED)

    async def test_edits_elsewhere_survive_a_promotion(self, world: World, engine: Engine) -> None:
        (world.root / "notes.txt").write_text("mine")
        await promoted(engine)
        assert (world.root / "notes.txt").read_text() == "mine"

    async def test_a_moved_branch_means_rebase_and_a_new_evaluation(
        self, world: World, engine: Engine
    ) -> None:
        name = await submit(engine)
        c = await reach(engine, name, Phase.HELD)
        (world.root / "other.py").write_text("y = 1\n")
        git(world.root, "add", "other.py")
        git(world.root, "commit", "-q", "-m", "mine")
        await engine.approve(name, actor=BY, commit=c.commit, reason="")
        async with asyncio.timeout(10):
            await engine._core.recorder.wait_for(
                lambda s: s.candidates[name].phase is Phase.HELD and s.candidates[name].attempt == 2
            )
        again = engine.candidate(name)
        assert again.base == world.head()
        assert again.commit != c.commit
        await engine.approve(name, actor=BY, commit=again.commit, reason="")
        await reach(engine, name, Phase.PROMOTED)
        assert (world.root / "other.py").exists()

    async def test_what_was_put_on_a_moved_branch_is_screened_there(
        self, world: World, engine: Engine
    ) -> None:
        added = "--- /dev/null\n+++ b/helper.py\n@@ -0,0 +1 @@\n+y = 1\n"
        name = await submit(engine, FASTER + added)
        c = await reach(engine, name, Phase.HELD)
        (world.root / "Helper.py").write_text("y = 1\n")
        git(world.root, "add", "Helper.py")
        git(world.root, "commit", "-q", "-m", "mine")
        await engine.approve(name, actor=BY, commit=c.commit, reason="")
        refused = await reach(engine, name, Phase.REJECTED)
        assert [r.code for r in refused.reasons] == ["screen:case-collision"]
        assert "'Helper.py'" in refused.reasons[0].text
        assert not (world.root / "helper.py").exists()

    async def test_marks_are_those_of_the_head_that_it_stands_on(
        self, world: World, engine: Engine
    ) -> None:
        name = await submit(engine)
        c = await reach(engine, name, Phase.HELD)
        (world.root / "m.py").write_text(SOURCE_TEXT + "\n\ndef h(x):\n    return x\n")
        git(world.root, "commit", "-q", "-am", "mine")
        await engine.approve(name, actor=BY, commit=c.commit, reason="")
        async with asyncio.timeout(10):
            await engine._core.recorder.wait_for(lambda s: s.candidates[name].attempt == 2)
        rebased = next(e for e in world.events() if e.kind == "rebased")
        assert rebased.files == c.files
        assert rebased.marks == engine.candidate(name).marks


class TestRollback:
    async def test_rollback_is_a_new_commit_and_history_stays(
        self, world: World, engine: Engine
    ) -> None:
        name = await promoted(engine)
        top = world.head()
        preview = await engine.rollback_preview("last")
        assert preview.candidates == (name,)
        assert preview.conflict == ""
        version = await engine.rollback("last", actor=BY, reason="felt wrong", expect_head=top)
        assert version.restores == 0
        assert (world.root / "m.py").read_text() == SOURCE_TEXT
        assert git(world.root, "rev-parse", "main~1") == top
        assert engine.candidate(name).phase is Phase.ROLLED_BACK
        assert "felt wrong" in git(world.root, "log", "-1", "--format=%B")

    async def test_rollback_over_several_versions_is_one_act(
        self, world: World, engine: Engine
    ) -> None:
        one, two = await promoted(engine), await promoted(engine, OTHER_ON_FASTER)
        await engine.rollback("v0", actor=BY, reason="", expect_head="")
        assert (world.root / "m.py").read_text() == SOURCE_TEXT
        assert {engine.candidate(n).phase for n in (one, two)} == {Phase.ROLLED_BACK}
        with pytest.raises(NotFoundError, match="Nothing to undo"):
            await engine.rollback("v0", actor=BY, reason="", expect_head="")
        with pytest.raises(WrongPhaseError, match="rolled back"):
            await engine.rollback("v1", actor=BY, reason="", expect_head="")

    async def test_local_edits_refuse_a_rollback_before_anything_is_written(
        self, world: World, engine: Engine
    ) -> None:
        await promoted(engine)
        (world.root / "m.py").write_text("mine\n")
        kinds = world.kinds()
        with pytest.raises(WorkTreeError, match=r"m\.py"):
            await engine.rollback("last", actor=BY, reason="", expect_head="")
        assert world.kinds() == kinds
        assert (world.root / "m.py").read_text() == "mine\n"

    async def test_a_later_edit_of_the_same_line_is_a_conflict_that_names_the_file(
        self, world: World, engine: Engine
    ) -> None:
        await promoted(engine)
        (world.root / "m.py").write_text("def f(x):\n    return 42\n")
        git(world.root, "commit", "-q", "-am", "mine")
        preview = await engine.rollback_preview("last")
        assert "m.py" in preview.conflict
        with pytest.raises(PatchConflictError):
            await engine.rollback("last", actor=BY, reason="", expect_head="")

    async def test_a_stale_preview_is_a_conflict(self, world: World, engine: Engine) -> None:
        await promoted(engine)
        with pytest.raises(ConflictError, match="preview"):
            await engine.rollback("last", actor=BY, reason="", expect_head="0" * 40)


SOURCE_TEXT = "def f(x):\n    return x + 1\n\n\ndef g(x):\n    return x * 2\n"
OTHER_ON_FASTER = make_diff("m.py", "x * 2", "x + x", before=SOURCE_TEXT.replace("x + 1", "1 + x"))


class TestRestart:
    async def test_an_interrupted_evaluation_is_run_again(self, world: World) -> None:
        engine = await world.start()
        world.executor.gate.clear()
        name = await submit(engine)
        await reach(engine, name, Phase.EVALUATING)
        await world.stop(engine)
        engine = await world.start()
        c = await reach(engine, name, Phase.HELD)
        assert c.attempt == 2

    async def test_a_restart_does_not_start_a_cycle_before_its_time(self, world: World) -> None:
        engine = await world.start()
        async with asyncio.timeout(10):
            await engine._core.recorder.wait_for(lambda s: bool(s.cycle and s.cycle.finished_ns))
        started = engine.state.cycle.started_ns
        await world.stop(engine)
        engine = await world.start()
        due = started + engine.config.config.engine.interval
        assert engine.status().next_cycle_ns == due

    async def test_state_after_a_restart_is_the_state_before(self, world: World) -> None:
        engine = await world.start()
        await promoted(engine)
        before = engine.state
        await world.stop(engine)
        engine = await world.start()
        assert engine.state.candidates == before.candidates
        assert engine.state.versions == before.versions

    async def test_every_entry_is_told_once_in_order_from_any_cursor(
        self, world: World, engine: Engine
    ) -> None:
        listener = engine.subscribe(from_seq=0)
        seen: list[int] = []

        async def listen() -> None:
            async for item in listener:
                if isinstance(item, Stored):
                    seen.append(item.entry.seq)
                    if item.entry.event.kind == "paused":
                        listener.close()

        task = asyncio.ensure_future(listen())
        await promoted(engine)
        await engine.pause(actor=BY, reason="so that there is one more entry", now=False)
        async with asyncio.timeout(10):
            await task
        assert seen == list(range(1, len(seen) + 1))
        assert {"promoted", "paused"} <= set(world.kinds()[: len(seen)])

    async def test_the_ledger_verifies_and_the_repository_is_whole(
        self, world: World, engine: Engine
    ) -> None:
        await promoted(engine)
        await engine.rollback("last", actor=BY, reason="", expect_head="")
        report = await engine.ledger_verify(None)
        assert report.ok, report.problem
        assert report.entries == engine.state.seq
        git(world.root, "fsck", "--strict")
