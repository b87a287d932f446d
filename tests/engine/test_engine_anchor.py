"""The anchor at work: measured, moved by proof, by people, and back after a rollback; recovery."""

from collections.abc import Callable
from typing import Any

import pytest
from engine_world import FASTER, OTHER, World, called, evaluation, make_diff, reach, until
from msgspec.structs import replace

from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.errors import ConflictError, NotFoundError, WrongPhaseError
from ouroboros.evaluation.plan import Plan
from ouroboros.ledger.store import Store
from ouroboros.model import events as ev
from ouroboros.model.entry import Stored
from ouroboros.model.evaluation import Evaluation, EvaluationStatus, Purpose
from ouroboros.model.phase import Phase
from ouroboros.model.state import Anchor

BY = "uid:tester"
THIRD = make_diff("m.py", "return x * 2", "return 2 * x")
EVERY = "[governor.budget]\nanchor_every = 1\nanchor_gain = {gain}"


async def promote(engine: Engine, *diffs: str) -> None:
    for diff in diffs:
        name = await engine.submit(Submission(diff=diff, title="t"), actor=BY)
        await reach(engine, name, Phase.PROMOTED)


def anchor(engine: Engine) -> Anchor:
    found = engine.state.anchor
    assert found is not None
    return found


def never(world: World, gain: str = "0.9") -> None:
    """Measure after each promotion; no gain suffices to move."""
    world.configure("autonomous", governor=EVERY.format(gain=gain))


class TestMeasuring:
    async def test_head_is_measured_and_a_proven_gain_moves_the_anchor(self, world: World) -> None:
        never(world, "0.1")
        engine = await world.start()
        first = anchor(engine)
        await promote(engine, FASTER)
        await until(engine, lambda s: s.anchor is not None and s.anchor.version == 1)
        measured = next(e for e in world.events() if isinstance(e, ev.AnchorMeasured))
        assert (measured.anchor, measured.version) == (first.commit, 1)
        assert measured.commit == engine.state.versions[1].commit
        assert {c.metric for c in measured.comparisons} == {"cpu", "wall", "memory"}
        assert measured.series[0].pairs
        assert (anchor(engine).commit, anchor(engine).actor) == (measured.commit, "engine")
        assert "b: cpu -30.0%" in anchor(engine).reason
        plan = next(p for p in world.executor.plans if p.purpose is Purpose.ANCHOR)
        assert (plan.base_commit, plan.candidate_commit) == (first.commit, measured.commit)
        assert plan.context is not None
        assert plan.context.noise

    async def test_what_is_too_small_is_written_and_moves_nothing(self, world: World) -> None:
        never(world)
        engine = await world.start()
        await promote(engine, FASTER, OTHER)
        await until(engine, lambda s: s.standing is not None and s.standing.version == 2)
        assert anchor(engine).version == 0
        assert "anchor_moved" not in world.kinds()

    async def test_it_comes_after_so_much_time_too(self, world: World) -> None:
        world.configure("autonomous", governor='[governor.budget]\nanchor_interval = "1ms"')
        engine = await world.start()
        await promote(engine, FASTER)
        await until(engine, lambda s: s.standing is not None)
        assert engine.state.standing is not None
        assert engine.state.standing.version == 1

    async def test_nothing_is_measured_while_paused_and_pause_now_interrupts(
        self, world: World
    ) -> None:
        never(world)
        engine = await world.start()
        held_up = _only(world, Purpose.ANCHOR)
        await promote(engine, FASTER)
        await held_up()
        await engine.pause(actor=BY, reason="", now=True)
        world.executor.gate.set()
        await called(lambda: not engine._core.measuring)
        assert "anchor_measured" not in world.kinds()
        await engine.resume(actor=BY, reason="")
        await until(engine, lambda s: s.standing is not None)
        assert world.kinds().count("anchor_measured") == 1

    async def test_shutdown_does_not_wait_for_it_and_the_next_engine_measures(
        self, world: World
    ) -> None:
        never(world)
        engine = await world.start()
        held_up = _only(world, Purpose.ANCHOR)
        await promote(engine, FASTER)
        await held_up()
        await world.stop(engine)
        assert world.kinds()[-1] == "engine_stopped"
        assert "anchor_measured" not in world.kinds()
        engine = await world.start()
        await until(engine, lambda s: s.standing is not None)

    async def test_a_fault_is_told_once_until_something_changed(self, world: World) -> None:
        never(world)
        engine = await world.start()

        def answer(plan: Plan) -> Evaluation:
            status = "error" if plan.purpose is Purpose.ANCHOR else "ok"
            return evaluation(plan, status=status, cause="it does not build any more")

        world.executor.answer = answer
        await promote(engine, FASTER)
        await until(engine, lambda s: bool(s.alerts))
        assert engine.state.alerts[0].code == "anchor_unmeasured"
        assert "does not build" in engine.state.alerts[0].text
        await promote(engine, OTHER)
        await until(engine, lambda s: len(s.alerts) > 1)
        tried = [p for p in world.executor.plans if p.purpose is Purpose.ANCHOR]
        assert [p.candidate_commit for p in tried] == [v.commit for v in engine.state.versions[1:]]

    async def test_without_anything_to_measure_nothing_is(self, world: World) -> None:
        never(world)
        engine = await world.start()
        world.executor.answer = lambda plan: (
            evaluation(plan)
            if plan.purpose is Purpose.CANDIDATE
            else replace(evaluation(plan), series=(), status=EvaluationStatus.OK)
        )
        await promote(engine, FASTER)
        await until(engine, lambda s: bool(s.alerts))
        assert "nothing was measured" in engine.state.alerts[0].text
        assert "anchor_measured" not in world.kinds()


def _only(world: World, purpose: Purpose) -> Callable[[], Any]:
    """Hold up the first run of one purpose; what is returned waits until it is under way."""
    original, first = world.executor.run, [purpose]

    async def run(plan: Plan, report: Any) -> Evaluation:
        if plan.purpose in first:
            first.clear()
            world.executor.gate.clear()
        return await original(plan, report)

    world.executor.run = run  # type: ignore[method-assign] - the test's own executor

    async def under_way() -> None:
        await called(lambda: any(p.purpose is purpose for p in world.executor.plans))

    return under_way


class TestMovedByPeople:
    async def test_to_a_version_or_to_head(self, world: World) -> None:
        never(world)
        engine = await world.start()
        await promote(engine, FASTER, OTHER)
        first = anchor(engine)
        moved = await engine.move_anchor("v1", actor=BY, reason="release", expect_anchor="")
        assert moved == anchor(engine)
        assert (moved.version, moved.actor, moved.reason) == (1, BY, "release")
        moved = await engine.move_anchor(
            "head", actor=BY, reason="", expect_anchor=anchor(engine).commit
        )
        assert moved.commit == engine.state.versions[2].commit
        back = await engine.move_anchor("0", actor=BY, reason="", expect_anchor="")
        assert back.commit == first.commit

    async def test_what_cannot_be_one_is_refused_with_the_reason(self, world: World) -> None:
        never(world)
        engine = await world.start()
        await promote(engine, FASTER)
        await engine.rollback("last", actor=BY, reason="", expect_head="")
        move = engine.move_anchor
        with pytest.raises(NotFoundError, match="v9"):
            await move("v9", actor=BY, reason="", expect_anchor="")
        with pytest.raises(WrongPhaseError, match="undone"):
            await move("v1", actor=BY, reason="", expect_anchor="")
        with pytest.raises(WrongPhaseError, match="already"):
            await move("0", actor=BY, reason="", expect_anchor="")
        with pytest.raises(ConflictError, match="as expected"):
            await move("head", actor=BY, reason="", expect_anchor="f" * 40)
        assert "anchor_moved" not in world.kinds()

    async def test_a_candidate_that_starts_later_is_held_against_it(self, world: World) -> None:
        never(world)
        engine = await world.start()
        await promote(engine, FASTER, OTHER)
        await engine.move_anchor("v1", actor=BY, reason="", expect_anchor="")
        await promote(engine, THIRD.replace("return x * 2", "return x + x"))
        context = engine.candidate("c3").context
        assert context is not None
        assert context.anchor == engine.state.versions[1].commit


class TestRolledBack:
    async def test_below_the_anchor_it_returns_to_the_one_before(self, world: World) -> None:
        never(world)
        engine = await world.start()
        await promote(engine, FASTER, OTHER)
        await engine.move_anchor("head", actor=BY, reason="", expect_anchor="")
        await engine.rollback("1", actor=BY, reason="", expect_head="")
        await until(engine, lambda s: s.anchor is not None and s.anchor.version == 0)
        assert anchor(engine).actor == "engine"
        assert "rolled back" in anchor(engine).reason

    async def test_above_the_anchor_nothing_happens_to_it(self, world: World) -> None:
        never(world)
        engine = await world.start()
        await promote(engine, FASTER)
        await engine.move_anchor("head", actor=BY, reason="", expect_anchor="")
        await promote(engine, OTHER)
        await engine.rollback("last", actor=BY, reason="", expect_head="")
        await promote(engine, OTHER)
        assert anchor(engine).version == 1
        assert world.kinds().count("anchor_moved") == 1


class Killed(BaseException):
    """Not an Exception, so that nothing of the engine handles it."""


@pytest.mark.parametrize("written", [False, True])
@pytest.mark.parametrize(
    "kind", ["calibrated", "evaluation_started", "anchor_measured", "anchor_moved"]
)
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_killed_before_or_after_any_entry_the_next_engine_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch, kind: str, *, written: bool
) -> None:
    never(world, "0.1")
    engine = await world.start()
    original, killed = Store.append, []

    def append(store: Store, event: Any, **more: Any) -> Stored:
        if killed or event.kind == kind:
            killed.append(event.kind)
            if written and len(killed) == 1:
                original(store, event, **more)
            raise Killed
        return original(store, event, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Store, "append", append)
        name = await engine.submit(Submission(diff=FASTER, title="t"), actor=BY)
        await called(lambda: bool(killed))
        with pytest.raises(Killed):
            await world.stop(engine)
        world.stores[0].close()
    assert (kind in world.kinds()) is written
    engine = await world.start()
    await until(engine, lambda s: s.anchor is not None and s.anchor.version == 1)
    kinds = world.kinds()
    assert {k: kinds.count(k) for k in ("calibrated", "anchor_measured", "anchor_moved")} == {
        "calibrated": 1,
        "anchor_measured": 1,
        "anchor_moved": 1,
    }
    c = engine.candidate(name)
    assert c.context is not None
    assert (c.context.test, engine.state.tests, engine.state.discoveries) == (1, 1, 1)
