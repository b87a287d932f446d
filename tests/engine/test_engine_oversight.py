"""What operators read: the governor's status, and why a candidate stands where it stands."""

import asyncio
import re
from collections.abc import Callable
from typing import Any

import pytest
from engine_world import FASTER, OTHER, World, evaluation, make_diff, pairs, reach
from msgspec.structs import replace

from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.evaluation.plan import Plan
from ouroboros.model.describe import describe
from ouroboros.model.evaluation import Evaluation, Pair, Stage
from ouroboros.model.phase import Phase
from ouroboros.model.snapshot import Explanation
from ouroboros.model.state import Candidate, confirmed_change
from ouroboros.model.verdict import Comparison, Outcome, confirmed

BY, ANN = "uid:tester", "uid:ann"
SETTLED = (Phase.HELD, Phase.REJECTED, Phase.PROMOTED, Phase.ERRORED, Phase.ACCEPTED)


async def settle(engine: Engine, diff: str = FASTER) -> Candidate:
    name = await engine.submit(Submission(diff=diff, title="make \x1b[31mit faster"), actor=BY)
    return await reach(engine, name, *SETTLED)


async def told(engine: Engine, diff: str = FASTER) -> Explanation:
    return await engine.explain((await settle(engine, diff)).id)


def passage(explanation: Explanation, title: str) -> str:
    return "\n".join(next(p.lines for p in explanation.passages if p.title == title))


def noisy(effect: float, spread: float, count: int = 12) -> Callable[[Plan], Evaluation]:
    """Pairs around an effect, so that the noise is known: alternating above and below."""

    def scaled(pair: Pair, factor: float) -> Pair:
        cost = int(1e8 * (1 + effect) * factor)
        return replace(pair, candidate=replace(pair.candidate, cpu_ns=cost))

    def answer(plan: Plan) -> Evaluation:
        made = evaluation(plan)
        series = tuple(
            replace(
                s,
                pairs=tuple(
                    scaled(p, 1 + spread * (-1) ** i * (1 + i % 3))
                    for i, p in enumerate(pairs(effect, count))
                ),
            )
            for s in made.series
        )
        return replace(made, series=series)

    return answer


class TestStatus:
    async def test_it_says_what_is_in_force_and_what_was_used(self, world: World) -> None:
        world.configure("autonomous")
        world.limit('promotions_per_day = 3\nfreeze = ["2020-01-01 - 2020-01-02"]')
        engine = await world.start()
        await reach(engine, (await settle(engine)).id, Phase.PROMOTED)
        await engine.set_limits({"governor.limits.quorum": 2}, actor=ANN, reason="r")
        status = engine.governor()
        assert status.mode == "autonomous"
        assert status.policy == engine.config.hash
        assert status.value("governor.limits.quorum") == 2
        assert [(x.key, x.value, x.file) for x in status.limits if x.overridden] == [
            ("governor.limits.quorum", 2, 1)
        ]
        assert status.value("engine.interval") == "1h"
        assert (status.promotions, status.promotions_of) == (1, {"inbox": 1})
        assert (status.tests, status.discoveries) == (1, 1)
        assert status.next_level == 0.05
        assert status.anchor is not None
        assert status.anchor.version == 0
        assert status.standing is None
        assert status.frozen_until_ns == 0
        assert (status.circuit.errors, status.circuit.max_errors) == (0, 3)
        assert (status.circuit.rollbacks, status.circuit.max_rollbacks) == (0, 2)
        assert status.circuit.open == ""

    async def test_what_a_human_approved_is_no_promotion_without_one(
        self, world: World, engine: Engine
    ) -> None:
        c = await settle(engine)
        await engine.approve(c.id, actor=ANN, commit=c.commit, reason="")
        await reach(engine, c.id, Phase.PROMOTED)
        assert engine.governor().promotions == 0

    async def test_the_open_circuit_says_why(self, world: World, engine: Engine) -> None:
        await engine.set_limits({"engine.max_errors_in_a_row": 1}, actor=ANN, reason="r")
        world.executor.answer = lambda plan: evaluation(plan, status="error", cause="disk")
        await settle(engine)
        async with asyncio.timeout(20):
            await engine._core.recorder.wait_for(lambda s: s.paused)
        assert "disk" in engine.governor().circuit.open

    async def test_the_next_level_falls_with_the_tests(self, world: World, engine: Engine) -> None:
        change = {"governor.budget.fdr": "e-lond"}
        await engine.set_limits(change, actor=ANN, reason="strict")
        world.executor.answer = lambda plan: evaluation(plan, effect=0.0)
        levels = [engine.governor().next_level]
        for diff in (FASTER, OTHER):
            await settle(engine, diff)
            levels.append(engine.governor().next_level)
        assert levels[0] > levels[1] > levels[2] > 0


class TestExplain:
    async def test_a_hold_by_policy_says_the_gain_and_what_lets_it_through(
        self, world: World
    ) -> None:
        world.limit("quorum = 2")
        engine = await world.start()
        c = await settle(engine)
        found = await engine.explain(c.id)
        assert found.headline.startswith("c1 (make ␛[31mit faster) is held: the evidence says yes")
        assert "(confirmed -30.0%)" in found.headline
        assert found.headline.endswith("policy wants people; 0 of 2 approvals")
        assert found.lines[0].startswith("improved: b: cpu -30.0%")
        assert "mode_supervised: " in "\n".join(found.lines)
        assert "would change it: 2 people approve it" in found.lines[-1]
        await engine.approve(c.id, actor=ANN, commit=c.commit, reason="")
        found = await engine.explain(c.id)
        assert found.headline.endswith("1 of 2 approvals")
        assert "approvals: 1 of 2 (uid:ann)" in passage(found, "budgets")

    async def test_no_gain_says_what_would_have_had_to_show(
        self, world: World, engine: Engine
    ) -> None:
        world.executor.answer = noisy(0.01, 0.02)
        found = await told(engine)
        text = "\n".join(found.lines)
        assert re.search(r"would change it: a proven gain in cpu \(the bounds", text), text
        assert re.search(r"(more pairs would|enough to) show 3% at this noise", text), text
        assert re.search(r"(no gain is in sight|did not confirm a gain)$", found.headline)

    async def test_what_is_inconclusive_says_how_many_pairs_it_wants(
        self, world: World, engine: Engine
    ) -> None:
        world.executor.answer = noisy(-0.03, 0.05, count=8)
        found = await told(engine)
        assert found.headline.endswith("is held: the evidence does not suffice")
        text = "\n".join(found.lines)
        assert re.search(r"more evidence for cpu; about \d+ more pairs would show", text), text
        assert "or a human approves it" in text

    async def test_a_regression_says_the_margin(self, world: World, engine: Engine) -> None:
        world.executor.answer = lambda plan: evaluation(plan, effect=0.2)
        found = await told(engine)
        assert found.headline.endswith("was rejected: it is proven worse")
        assert "would change it: cpu not proven worse, and within 5%" in "\n".join(found.lines)

    async def test_failed_checks_are_named(self, world: World, engine: Engine) -> None:
        world.executor.answer = lambda plan: evaluation(plan, status="failed", cause="2 failed")
        found = await told(engine)
        assert found.headline.endswith("was rejected: tests failed")
        assert "would change it: tests that pass" in "\n".join(found.lines)
        assert "tests: failed (tests_failed) 2 failed" in passage(found, "checks")

    async def test_limits_and_budgets_stand_below(self, world: World) -> None:
        world.configure("autonomous")
        engine = await world.start()
        await reach(engine, (await settle(engine)).id, Phase.PROMOTED)
        now = (world.root / "m.py").read_text()
        found = await told(engine, make_diff("m.py", "x * 2", "2 * x", before=now))
        limits = passage(found, "limits")
        assert f"policy {engine.config.hash[:12]} (of its proposal)" in limits
        assert "improved at level 0.05 (confirm): test 2 of this target, 1 discoveries" in limits
        budgets = passage(found, "budgets")
        assert re.search(r"promotions without a human in 24 h: [12] of 50; of inbox", budgets)
        assert "compared with the anchor" in budgets
        assert "head against the anchor: not measured yet" in budgets
        assert "0 of 3 errors, 0 of 2 rollbacks in a row" in budgets
        assert "anchor  b cpu (objective)" in passage(found, "measured")

    async def test_a_denial_and_a_cancel_are_the_answer(self, world: World, engine: Engine) -> None:
        c = await settle(engine)
        await engine.deny(c.id, actor=ANN, reason="too clever")
        found = await engine.explain(c.id)
        assert found.headline.endswith("was rejected by a human")
        assert found.lines[0] == "denied: uid:ann: too clever"

    async def test_the_policy_of_the_proposal_is_the_one_that_is_shown(
        self, world: World, engine: Engine
    ) -> None:
        c = await settle(engine)
        await engine.set_limits({"governor.max_pairs": 50}, actor=ANN, reason="r")
        found = await engine.explain(c.id)
        assert "6 to 60 pairs" in passage(found, "limits")


def comparison(**more: Any) -> Comparison:
    plain: dict[str, Any] = {
        "benchmark": "b",
        "metric": "cpu",
        "role": "objective",
        "stage": Stage.SCREEN,
        "outcome": Outcome.IMPROVED,
        "pairs": 20,
        "change": -0.4,
        "lower": -0.5,
        "upper": -0.3,
        "margin": 0.05,
        "text": "cpu time is proven lower",
    }
    return Comparison(**{**plain, **more})


class TestScreeningIsNoGain:
    """The screening estimate of what was accepted flatters it; it is shown, and never booked."""

    @pytest.mark.parametrize(
        ("more", "expected"),
        [
            ({}, None),
            ({"stage": "confirm"}, -0.4),
            ({"stage": "anchor"}, None),
            ({"stage": "confirm", "role": "guard"}, None),
            ({"stage": "confirm", "source": "reported"}, None),
            ({"stage": "confirm", "scale": "difference"}, None),
            ({"stage": "confirm", "direction": "higher", "change": 0.4}, None),
            ({"lower": -0.4, "upper": -0.4}, -0.4),  # exact: no luck was possible
        ],
    )
    async def test_only_what_was_confirmed_is_a_change(
        self, world: World, engine: Engine, more: dict[str, Any], expected: float | None
    ) -> None:
        c = await settle(engine)
        assert c.verdict is not None
        verdict = replace(c.verdict, comparisons=(comparison(**more),))
        assert confirmed_change(verdict) == expected
        wanted = confirmed(comparison(**more))
        assert wanted or expected is None

    async def test_no_line_calls_a_screening_estimate_a_gain(
        self, world: World, engine: Engine
    ) -> None:
        def screened(plan: Plan) -> Evaluation:
            made = evaluation(plan)
            flat = tuple(
                s if s.stage is Stage.SCREEN else replace(s, pairs=pairs(0.0)) for s in made.series
            )
            return replace(made, series=flat)

        world.executor.answer = screened
        found = await told(engine)
        assert found.headline.endswith("was rejected: fresh pairs did not confirm a gain")
        assert "-30" not in found.headline + "".join(found.lines)
        line = next(x for x in passage(found, "measured").splitlines() if "-30.0%" in x)
        assert line.startswith("screen")
        assert line.endswith("flatters, and is no gain yet")
        said = [describe(e) for e in world.events()]
        assert not [s for s in said if "-30" in s]
