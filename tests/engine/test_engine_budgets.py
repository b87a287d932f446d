"""Test numbers, levels, continued evidence, policy of the proposal, calibration."""

import pytest
from engine_world import (
    FASTER,
    MACHINE,
    OTHER,
    SOURCE,
    World,
    calibration,
    called,
    evaluation,
    git,
    make_diff,
    pairs,
    reach,
    until,
)
from msgspec.structs import replace

from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.errors import ConflictError, EvaluationError
from ouroboros.evaluation.plan import Plan
from ouroboros.model import events as ev
from ouroboros.model.evaluation import Evaluation, Purpose, Series, Stage
from ouroboros.model.phase import Phase
from ouroboros.model.state import Candidate
from ouroboros.model.verdict import Context

BY = "uid:tester"
SETTLED = (Phase.HELD, Phase.REJECTED, Phase.PROMOTED, Phase.ERRORED)
THIRD = make_diff("m.py", "return x * 2", "return 2 * x")


async def submit(engine: Engine, diff: str = FASTER) -> str:
    return await engine.submit(Submission(diff=diff, title="t"), actor=BY)


async def settle(engine: Engine, diff: str = FASTER) -> Candidate:
    return await reach(engine, await submit(engine, diff), *SETTLED)


def context(engine: Engine, name: str) -> Context:
    found = engine.candidate(name).context
    assert found is not None
    return found


def no_gain(plan: Plan) -> Evaluation:
    return evaluation(plan, effect=0.0)


class TestContext:
    async def test_tests_are_counted_and_the_plan_says_what_the_ledger_says(
        self, world: World, engine: Engine
    ) -> None:
        names = [(await settle(engine, diff)).id for diff in (FASTER, OTHER, THIRD)]
        assert [context(engine, name).test for name in names] == [1, 2, 3]
        assert [context(engine, name).discoveries for name in names] == [0, 1, 2]
        started = [e for e in world.events() if isinstance(e, ev.EvaluationStarted)]
        assert [e.context for e in started] == [p.context for p in world.executor.plans]
        assert engine.state.tests == engine.state.discoveries == 3

    async def test_levels_of_e_lond_reach_plan_and_verdict(self, world: World) -> None:
        world.configure("autonomous", governor='[governor.budget]\nfdr = "e-lond"')
        engine = await world.start()
        world.executor.answer = no_gain
        for diff in (FASTER, OTHER, THIRD):
            await settle(engine, diff)
        levels = [p.context.alpha_improve for p in world.executor.plans if p.context]
        assert levels == sorted(levels, reverse=True)
        assert 0 < levels[2] < levels[0] < 0.05

    async def test_an_interrupted_and_a_rebased_attempt_keep_their_number(
        self, world: World, engine: Engine
    ) -> None:
        world.executor.gate.clear()
        name = await submit(engine)
        await reach(engine, name, Phase.EVALUATING)
        other = await submit(engine, OTHER)
        await reach(engine, other, Phase.EVALUATING)
        await engine.pause(actor=BY, reason="", now=True)
        await reach(engine, name, Phase.APPLIED)
        await reach(engine, other, Phase.APPLIED)
        world.executor.gate.set()
        await engine.resume(actor=BY, reason="")
        c = await reach(engine, name, Phase.HELD)
        await reach(engine, other, Phase.HELD)
        assert (c.attempt, context(engine, name).test, context(engine, other).test) == (2, 1, 2)
        (world.root / "other.py").write_text("y = 1\n")
        git(world.root, "add", "other.py")
        git(world.root, "commit", "-q", "-m", "mine")
        await engine.approve(name, actor=BY, commit=c.commit, reason="")
        await until(engine, lambda s: s.candidates[name].attempt == 3)
        c = await reach(engine, name, Phase.HELD)
        assert context(engine, name).test == 1
        assert (engine.state.tests, engine.state.discoveries) == (2, 2)

    async def test_a_candidate_on_a_moved_head_is_measured_against_the_anchor(
        self, world: World
    ) -> None:
        world.configure("autonomous")
        engine = await world.start()
        first = engine.state.versions[0].commit
        await settle(engine, FASTER)
        await settle(engine, OTHER)
        assert [p.context.anchor for p in world.executor.plans if p.context] == ["", first]

    async def test_the_verdict_says_when_and_amid_what_it_was_given(self, world: World) -> None:
        world.configure("autonomous")
        engine = await world.start()
        names = [(await settle(engine, diff)).id for diff in (FASTER, OTHER)]
        moments = [engine.candidate(name).verdict for name in names]
        assert [v.moment.promotions for v in moments if v and v.moment] == [0, 1]


def commented(number: int) -> str:
    """Return one and the same change with other words around it."""
    return make_diff("m.py", "x + 1", f"1  +  x  # take {number}")


BODY = "".join(f"    y{i} = x + {i}\n" for i in range(40))
LONG = f"def f(x):\n{BODY}    return x\n"


def rewritten(last: str) -> str:
    after = "def f(x):\n" + "".join(f"    z{i} = {i} + x\n" for i in range(40)) + f"    {last}\n"
    return make_diff("long.py", LONG, after, before=LONG)


class TestSameIdea:
    async def test_twenty_copies_are_one_test_that_goes_on(
        self, world: World, engine: Engine
    ) -> None:
        world.executor.answer = no_gain
        names = [(await settle(engine, commented(i))).id for i in range(20)]
        assert {engine.candidate(name).phase for name in names} == {Phase.REJECTED}
        assert {context(engine, name).test for name in names} == {1}
        assert [context(engine, name).continues for name in names] == ["", *names[:-1]]
        assert engine.state.tests == 1
        inherited = [[s.inherited for s in p.prior] for p in world.executor.plans]
        assert inherited == [[], *([20 * i] * 2 for i in range(1, 20))]
        assert all(len(s.pairs) == s.inherited for p in world.executor.plans for s in p.prior)

    async def test_nearly_the_same_change_goes_on_too_and_survives_a_restart(
        self, world: World
    ) -> None:
        (world.root / "long.py").write_text(LONG)
        git(world.root, "add", "long.py")
        git(world.root, "commit", "-qm", "long")
        engine = await world.start()
        world.executor.answer = no_gain
        first = await settle(engine, rewritten("return x"))
        await world.stop(engine)
        engine = await world.start()
        world.executor.answer = no_gain
        near = await settle(engine, rewritten("return (x)"))
        assert context(engine, near.id).continues == first.id
        other = await settle(engine, make_diff("long.py", BODY, "", before=LONG))
        assert context(engine, other.id).continues == ""
        assert engine.state.tests == 2

    async def test_the_similarity_that_counts_is_configured(self, world: World) -> None:
        (world.root / "long.py").write_text(LONG)
        git(world.root, "add", "long.py")
        git(world.root, "commit", "-qm", "long")
        world.configure(governor="[governor.budget]\nsimilarity = 1")
        engine = await world.start()
        world.executor.answer = no_gain
        await settle(engine, rewritten("return x"))
        near = await settle(engine, rewritten("return (x)"))
        assert context(engine, near.id).continues == ""

    async def test_copies_that_come_at_once_are_measured_one_after_the_other(
        self, world: World, engine: Engine
    ) -> None:
        world.executor.answer = no_gain
        world.executor.gate.clear()
        first = await submit(engine, commented(1))
        await reach(engine, first, Phase.EVALUATING)
        second, third = await submit(engine, commented(2)), await submit(engine, commented(3))
        other = await submit(engine, OTHER)  # is kept by nobody
        await reach(engine, other, Phase.EVALUATING)
        assert engine.candidate(second).phase is Phase.APPLIED
        world.executor.gate.set()
        await reach(engine, third, Phase.REJECTED)
        assert context(engine, second).continues == first
        assert context(engine, third).continues == second
        assert {context(engine, n).test for n in (first, second, third)} == {1}

    async def test_one_that_waits_for_its_like_can_be_cancelled(
        self, world: World, engine: Engine
    ) -> None:
        world.executor.gate.clear()
        first, second = await submit(engine, commented(1)), await submit(engine, commented(2))
        await reach(engine, first, Phase.EVALUATING)
        await reach(engine, second, Phase.APPLIED)
        await engine.cancel(second, actor=BY, reason="never mind")
        world.executor.gate.set()
        await reach(engine, first, Phase.HELD)
        assert engine.candidate(second).phase is Phase.CANCELLED

    async def test_the_same_bytes_are_refused_while_the_first_is_on_its_way_or_held(
        self, world: World, engine: Engine
    ) -> None:
        world.executor.gate.clear()
        name = await submit(engine)
        await reach(engine, name, Phase.EVALUATING)
        with pytest.raises(ConflictError, match="evaluating"):
            await submit(engine)
        world.executor.gate.set()
        await reach(engine, name, Phase.HELD)
        with pytest.raises(ConflictError, match="held"):
            await submit(engine)

    async def test_after_a_refusal_they_are_taken_and_go_on(
        self, world: World, engine: Engine
    ) -> None:
        world.executor.answer = no_gain
        first = await settle(engine)
        second = await settle(engine)
        assert second.id != first.id
        assert context(engine, second.id).continues == first.id

    async def test_evidence_that_won_is_not_handed_to_what_is_only_alike(
        self, world: World, engine: Engine
    ) -> None:
        first = await settle(engine)
        await engine.deny(first.id, actor=BY, reason="not now")
        second = await settle(engine)
        assert context(engine, second.id).continues == ""
        assert world.executor.plans[-1].prior == ()
        assert (context(engine, second.id).test, engine.state.tests) == (2, 2)

    async def test_a_diff_whose_evidence_is_lost_is_like_no_other(
        self, world: World, engine: Engine
    ) -> None:
        world.executor.answer = no_gain
        first = await settle(engine, commented(1))
        await world.stop(engine)
        digest = first.diff
        (world.state / "evidence" / digest[:2] / digest[2:]).unlink()
        engine = await world.start()
        world.executor.answer = no_gain
        second = await settle(engine, commented(2))
        assert context(engine, second.id).continues == ""


class TestPolicy:
    async def test_a_change_in_mid_flight_is_not_retroactive(self, world: World) -> None:
        world.configure("autonomous", governor="max_lines = 800")
        engine = await world.start()
        old = engine.config.hash
        world.executor.gate.clear()
        name = await submit(engine)
        await reach(engine, name, Phase.EVALUATING)
        strict = "max_lines = 1\nmax_degradation = 0.5"
        await reload(world, engine, governor=strict)
        assert engine.config.hash != old
        world.executor.gate.set()
        c = await reach(engine, name, Phase.PROMOTED, Phase.HELD)
        assert c.phase is Phase.PROMOTED
        assert c.verdict is not None
        assert c.verdict.policy == old
        assert {x.margin for x in c.verdict.comparisons if x.metric == "cpu"} == {0.05}
        later = await settle(engine, OTHER)
        assert later.phase is Phase.HELD
        assert [r.code for r in later.reasons if r.code == "large_diff"] == ["large_diff"]
        assert world.executor.plans[-1].config.governor.max_degradation == 0.5

    async def test_nor_is_it_after_a_restart(self, world: World) -> None:
        world.configure("autonomous", governor="max_degradation = 0.04")
        engine = await world.start()
        world.executor.gate.clear()
        name = await submit(engine)
        await reach(engine, name, Phase.EVALUATING)
        old = engine.config.hash
        await world.stop(engine)
        world.configure("autonomous", governor="max_degradation = 0.5")
        engine = await world.start()
        c = await reach(engine, name, Phase.PROMOTED)
        assert world.executor.plans[-1].config.governor.max_degradation == 0.04
        assert c.verdict is not None
        assert c.verdict.policy == old

    @pytest.mark.parametrize("mode", ["supervised", "observe"])
    async def test_a_stricter_mode_is_obeyed_at_once(self, world: World, mode: str) -> None:
        world.configure("autonomous")
        engine = await world.start()
        world.executor.gate.clear()
        name = await submit(engine)
        await reach(engine, name, Phase.EVALUATING)
        await reload(world, engine, mode)
        world.executor.gate.set()
        c = await reach(engine, name, Phase.PROMOTED, Phase.HELD)
        assert c.phase is Phase.HELD
        assert f"mode_{mode}" in [r.code for r in c.reasons]

    async def test_a_laxer_mode_is_not_given_to_what_came_before(self, world: World) -> None:
        engine = await world.start()
        world.executor.gate.clear()
        name = await submit(engine)
        await reach(engine, name, Phase.EVALUATING)
        await reload(world, engine, "autonomous")
        world.executor.gate.set()
        c = await reach(engine, name, Phase.PROMOTED, Phase.HELD)
        assert c.phase is Phase.HELD

    async def test_what_was_accepted_while_paused_meets_the_mode_of_its_promotion(
        self, world: World
    ) -> None:
        world.configure("autonomous")
        engine = await world.start()
        world.executor.gate.clear()
        name = await submit(engine)
        await reach(engine, name, Phase.EVALUATING)
        await engine.pause(actor=BY, reason="", now=False)
        world.executor.gate.set()
        await reach(engine, name, Phase.ACCEPTED)
        world.configure("supervised")
        await world.stop(engine)
        engine = await world.start()
        await engine.resume(actor=BY, reason="")
        c = await reach(engine, name, Phase.PROMOTED, Phase.HELD)
        assert c.phase is Phase.HELD
        assert "supervised now" in c.reasons[0].text
        await engine.approve(name, actor=BY, commit=c.commit, reason="yes")
        await reach(engine, name, Phase.PROMOTED)

    async def test_a_policy_that_cannot_be_read_any_more_is_told_once(self, world: World) -> None:
        engine = await world.start()
        world.executor.gate.clear()
        names = [await submit(engine, diff) for diff in (FASTER, OTHER)]
        await reach(engine, names[1], Phase.EVALUATING)
        policy = next(e.text for e in world.events() if isinstance(e, ev.ConfigLoaded))
        await world.stop(engine)
        (world.state / "evidence" / policy[:2] / policy[2:]).unlink()
        world.configure(governor="max_degradation = 0.03")
        engine = await world.start()
        for name in names:
            c = await reach(engine, name, Phase.HELD)
            assert c.verdict is not None
            assert c.verdict.policy == engine.config.hash
        assert [a.code for a in engine.state.alerts] == ["policy_unreadable"]


async def reload(
    world: World, engine: Engine, mode: str = "autonomous", governor: str = ""
) -> None:
    """Change the file and see it taken up by a cycle."""
    world.configure(mode, governor=governor)
    await engine.trigger(actor=BY)
    await called(lambda: engine.config.hash == world.load().hash)


class TestCalibration:
    async def test_it_is_done_once_before_the_first_evaluation(
        self, world: World, engine: Engine
    ) -> None:
        await settle(engine, FASTER)
        await settle(engine, OTHER)
        assert world.executor.calibrated == ["b"]
        kinds = world.kinds()
        assert kinds.count("calibrated") == 1
        assert kinds.index("calibrated") < kinds.index("evaluation_started")
        noise = engine.state.noise
        assert {(n.benchmark, n.machine, n.pairs) for n in noise} == {("b", MACHINE, 10)}
        plan = world.executor.plans[0]
        assert plan.context is not None
        assert plan.context.noise == noise

    async def test_a_restart_remembers_it(self, world: World, engine: Engine) -> None:
        await settle(engine, FASTER)
        await world.stop(engine)
        engine = await world.start()
        await settle(engine, OTHER)
        assert world.executor.calibrated == []

    async def test_again_when_it_is_old(self, world: World) -> None:
        world.configure(governor='[governor.calibration]\nevery = "1ms"')
        engine = await world.start()
        await settle(engine, FASTER)
        await settle(engine, OTHER)
        assert world.executor.calibrated == ["b", "b"]

    async def test_again_when_the_benchmark_is_another_one(self, world: World) -> None:
        engine = await world.start()
        await settle(engine, FASTER)
        path = world.root / "ouroboros.toml"
        path.write_text(path.read_text().replace('["true"]', '["true", "1"]'))
        await engine.trigger(actor=BY)
        await called(lambda: engine.config.hash == world.load().hash)
        await settle(engine, OTHER)
        assert world.executor.calibrated == ["b", "b"]

    async def test_it_can_be_switched_off(self, world: World) -> None:
        world.configure(governor="[governor.calibration]\nenabled = false")
        engine = await world.start()
        await settle(engine)
        assert world.executor.calibrated == []
        assert context(engine, "c1").noise == ()

    async def test_a_failure_is_told_once_and_stops_nobody(
        self, world: World, engine: Engine
    ) -> None:
        def fail(plan: Plan, name: str) -> Series:
            raise EvaluationError("the baseline does not run")

        world.executor.noise = fail
        for diff in (FASTER, OTHER):
            assert (await settle(engine, diff)).phase is Phase.HELD
        alerts = [a for a in engine.state.alerts if a.code == "calibration_failed"]
        assert len(alerts) == 1
        assert "the baseline does not run" in alerts[0].text
        assert world.executor.calibrated == ["b"]
        assert context(engine, "c2").noise == ()

    async def test_a_machine_that_is_too_noisy_is_known_to_the_plan(
        self, world: World, engine: Engine
    ) -> None:
        def noisy(plan: Plan, name: str) -> Series:
            wild = [
                replace(p, candidate=pairs((-0.6, 1.5)[i % 2], 1)[0].candidate) for i, p in quiet
            ]
            return replace(calibration(plan, name), pairs=tuple(wild))

        quiet = list(enumerate(pairs(0, 10)))
        world.executor.noise = noisy
        await settle(engine)
        assert world.executor.plans[0].context is not None
        assert world.executor.plans[0].context.too_noisy == ("b",)

    async def test_pause_now_interrupts_it_and_it_is_done_after_the_pause(
        self, world: World, engine: Engine
    ) -> None:
        world.executor.noise_gate.clear()
        name = await submit(engine)
        await called(lambda: world.executor.calibrated == ["b"])
        await engine.pause(actor=BY, reason="", now=True)
        await called(lambda: not engine._core.measuring)
        world.executor.noise_gate.set()
        assert engine.candidate(name).phase is Phase.APPLIED
        assert "calibrated" not in world.kinds()
        await engine.resume(actor=BY, reason="")
        await reach(engine, name, Phase.HELD)
        assert world.executor.calibrated == ["b", "b"]
        assert world.kinds().count("calibrated") == 1

    async def test_who_is_cancelled_meanwhile_keeps_nobody(
        self, world: World, engine: Engine
    ) -> None:
        world.executor.noise_gate.clear()
        first, second = await submit(engine), await submit(engine, OTHER)
        await called(lambda: world.executor.calibrated == ["b"])
        await engine.cancel(first, actor=BY, reason="")
        world.executor.noise_gate.set()
        await reach(engine, second, Phase.HELD)
        assert engine.candidate(first).phase is Phase.CANCELLED
        assert context(engine, second).test == 1


class TestWatch:
    async def test_it_measures_under_the_policy_of_the_proposal(self, world: World) -> None:
        world.configure("autonomous", governor="max_degradation = 0.04")
        path = world.root / "ouroboros.toml"
        path.write_text(path.read_text().replace('watch_after = "1h"', 'watch_after = "50ms"'))
        engine = await world.start()
        name = await submit(engine)
        await reach(engine, name, Phase.KEPT)
        plan = world.executor.plans[-1]
        assert plan.purpose is Purpose.WATCH
        assert plan.config.governor.max_degradation == 0.04
        assert plan.prior == ()
        assert plan.context is not None
        assert (plan.context.anchor, plan.context.continues) == ("", "")
        assert (world.root / "m.py").read_text() != SOURCE

    async def test_samples_that_cannot_be_compared_keep_and_tell(self, world: World) -> None:
        path = world.root / "ouroboros.toml"
        world.configure("autonomous")
        path.write_text(path.read_text().replace('watch_after = "1h"', 'watch_after = "50ms"'))

        def answer(plan: Plan) -> Evaluation:
            good = evaluation(plan)
            if plan.purpose is not Purpose.WATCH:
                return good
            backwards = replace(good.series[0], pairs=good.series[0].pairs[::-1])
            return replace(good, series=(backwards,))

        engine = await world.start()
        world.executor.answer = answer
        c = await reach(engine, await submit(engine), Phase.KEPT)
        assert c.phase is Phase.KEPT
        assert [a.code for a in engine.state.alerts] == ["watch_blind"]
        assert "clock" in engine.state.alerts[0].text

    async def test_a_proven_regression_rolls_back_with_its_numbers(self, world: World) -> None:
        path = world.root / "ouroboros.toml"
        world.configure("autonomous")
        path.write_text(path.read_text().replace('watch_after = "1h"', 'watch_after = "50ms"'))
        engine = await world.start()
        world.executor.answer = lambda plan: evaluation(
            plan, effect=0.2 if plan.purpose is Purpose.WATCH else -0.3
        )
        await reach(engine, await submit(engine), Phase.ROLLED_BACK)
        alert = next(a for a in engine.state.alerts if a.code == "regression")
        assert "b: cpu +20.0%" in alert.text
        assert Stage.SCREEN in {s.stage for s in evaluation(world.executor.plans[-1]).series}
