"""The verdict amid its context: the anchor, noise, reported gains, exact gains, budgets."""

import random
from collections.abc import Sequence
from typing import Any

import pytest
from compare_world import (
    BENCH,
    config,
    evaluation,
    metrics,
    pair,
    sample,
    series,
    steady,
    twice,
)

from ouroboros.config import Config
from ouroboros.governor.decide import RULE, Evidence, decide
from ouroboros.model.evaluation import Exact, Pair, Series, Stage
from ouroboros.model.metric import Noise
from ouroboros.model.proposal import FileChange, FileStatus
from ouroboros.model.verdict import Context, Decision, Moment, Outcome, Verdict

AUTO = 'mode = "autonomous"'
ANCHOR = "d" * 40
GAIN = twice(steady(sample(cost=0.7)))
NULL = steady(sample(), 40)
FILES = (FileChange(path="src/a.py", status=FileStatus.MODIFIED, added=1, removed=1),)


def context(**more: Any) -> Context:
    return Context(**({"test": 1, "discoveries": 0, "alpha_improve": 0.05} | more))


def verdict(*measured: Series, configured: Config | None = None, **more: Any) -> Verdict:
    about = {k: more.pop(k) for k in ("proposer", "context", "moment", "files") if k in more}
    return decide(
        Evidence(
            evaluation=evaluation(*measured, **more),
            marks=(),
            config=configured or config(governor=AUTO),
            config_hash="c" * 64,
            **({"files": FILES} | about),
        )
    )


def codes(v: Verdict) -> list[str]:
    return [r.code for r in v.reasons]


def noisy(cost: float, count: int, sd: float = 0.08) -> tuple[Pair, ...]:
    rng = random.Random(f"{cost} {count}")
    return tuple(
        pair(sample(), sample(cost=cost * (1 + rng.gauss(0, sd))), n) for n in range(count)
    )


# --- the anchor ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("made", "about", "decision", "code"),
    [
        (steady(sample(cost=0.9)), {}, Decision.ACCEPT, "improved"),
        (steady(sample(cost=1.0)), {}, Decision.ACCEPT, "improved"),
        (steady(sample(cost=1.3)), {}, Decision.REJECT, "anchor_exceeded"),
        (steady(sample(memory=1.5)), {}, Decision.REJECT, "anchor_exceeded"),
        (noisy(1.04, 6), {}, Decision.HOLD, "anchor_unproven"),
        (None, {}, Decision.HOLD, "anchor_unproven"),
        (None, {"anchor_cause": "it no longer builds"}, Decision.HOLD, "anchor_unproven"),
        (steady(sample()), {"anchor_cause": "cut short"}, Decision.HOLD, "anchor_unproven"),
        (steady(sample()), {"anchor_commit": "e" * 40}, Decision.HOLD, "anchor_unproven"),
        (steady(sample()), {"anchor_commit": ""}, Decision.HOLD, "anchor_unproven"),
    ],
)
def test_small_losses_may_not_add_up(
    made: Sequence[Pair] | None, about: dict[str, str], decision: Decision, code: str
) -> None:
    measured = (*GAIN, series(Stage.ANCHOR, made)) if made else GAIN
    about = {"anchor_commit": ANCHOR} | about
    v = verdict(*measured, context=context(anchor=ANCHOR), **about)
    assert v.decision is decision, v.reasons
    assert code in codes(v)
    assert not (v.wants_promotion and decision is not Decision.ACCEPT)
    if about.get("anchor_cause"):
        assert about["anchor_cause"] in v.reasons[-1].text


def test_a_loss_to_the_anchor_that_no_single_step_shows() -> None:
    """Each step is within the margin of its parent; together they are not."""
    step = config(governor=AUTO + "\naccept_neutral = true")
    measured = (
        *twice(steady(sample(cost=1.005), 60)),
        series(Stage.ANCHOR, steady(sample(cost=1.2))),
    )
    alone = verdict(*measured, configured=step)
    assert alone.decision is Decision.ACCEPT
    bounded = verdict(
        *measured, configured=step, context=context(anchor=ANCHOR), anchor_commit=ANCHOR
    )
    assert codes(bounded) == ["anchor_exceeded"]


def test_every_guard_of_the_anchor_counts_also_exact_ones() -> None:
    configured = config(metrics(wheel='files = ["w"]'), AUTO)

    def sized(stage: Stage, candidate: float) -> Exact:
        return Exact(
            benchmark="b", metric="wheel", stage=stage, baseline=(100.0,), candidate=(candidate,)
        )

    about: dict[str, Any] = {
        "configured": configured,
        "context": context(anchor=ANCHOR),
        "anchor_commit": ANCHOR,
    }
    measured = (*GAIN, series(Stage.ANCHOR, steady(sample(cost=0.7))))
    own = sized(Stage.SCREEN, 100)
    assert codes(verdict(*measured, exact=(own,), **about)) == ["improved", "anchor_unproven"]
    fine = verdict(*measured, exact=(own, sized(Stage.ANCHOR, 101)), **about)
    assert fine.decision is Decision.ACCEPT
    grown = verdict(*measured, exact=(own, sized(Stage.ANCHOR, 110)), **about)
    assert codes(grown) == ["anchor_exceeded"]


def test_pairs_with_an_anchor_that_nobody_asked_for_decide_nothing() -> None:
    v = verdict(*GAIN, series(Stage.ANCHOR, steady(sample(cost=2.0))))
    assert v.decision is Decision.ACCEPT
    assert {c.stage for c in v.comparisons} == {"screen", "confirm"}
    v = verdict(*GAIN, series(Stage.CALIBRATE, steady(sample(cost=2.0))))
    assert v.decision is Decision.ACCEPT


def test_without_a_gain_the_anchor_is_not_asked() -> None:
    v = verdict(series(Stage.SCREEN, NULL), context=context(anchor=ANCHOR))
    assert codes(v) == ["no_gain"]


# --- noise ---------------------------------------------------------------------------------------


def said(benchmark: str, sd: float, metric: str = "cpu") -> Noise:
    return Noise(benchmark=benchmark, metric=metric, machine="m", sd=sd, pairs=10, measured_ns=1)


LOUD = context(too_noisy=("b",), noise=(said("b", 0.25),))
OTHER = BENCH + '[benchmarks.c]\ncommand = ["true"]\n'


def test_what_is_too_noisy_is_held_and_says_what_it_would_take() -> None:
    v = verdict(context=LOUD)
    assert v.decision is Decision.HOLD
    assert codes(v) == ["too_noisy"]
    assert v.reasons[0].text.startswith("b: cpu time was not measured: noise 28.4%, margin 5%, ")
    assert v.reasons[0].text.endswith("would need 221 pairs on this machine.")
    assert not v.wants_promotion


def test_noise_of_another_machine_is_not_quoted() -> None:
    v = verdict(context=LOUD, machine="elsewhere")
    assert [r.text for r in v.reasons] == [
        "b was not measured: this machine is too noisy for its margins."
    ]


@pytest.mark.parametrize(
    ("measured", "decision", "expected"),
    [
        (twice(steady(sample(cost=0.7)), "c"), Decision.HOLD, ["improved", "too_noisy"]),
        (
            (series(Stage.SCREEN, steady(sample(cost=1.5)), "c"),),
            Decision.REJECT,
            ["regressed"] * 2,
        ),
        ((series(Stage.SCREEN, NULL, "c"),), Decision.REJECT, ["no_gain"]),
        (
            (series(Stage.SCREEN, noisy(1.0, 6, 0.2), "c"),),
            Decision.HOLD,
            ["inconclusive", "too_noisy"],
        ),
    ],
)
def test_what_else_was_measured_still_counts(
    measured: tuple[Series, ...], decision: Decision, expected: list[str]
) -> None:
    v = verdict(*measured, configured=config(OTHER, AUTO), context=LOUD)
    assert (v.decision, codes(v)) == (decision, expected)


# --- who said it ---------------------------------------------------------------------------------

SCORED = metrics(score='role = "objective"\ndirection = "higher"')


def scored(cost: float, score: float) -> tuple[Series, ...]:
    return twice(steady(sample(cost=cost, score=score), 20, sample(score=100.0)))


def test_a_gain_that_only_the_candidate_itself_reports_needs_a_human() -> None:
    v = verdict(*scored(1.0, 150.0), configured=config(SCORED, AUTO))
    assert (v.decision, codes(v)) == (Decision.HOLD, ["improved", "gain_only_reported"])
    assert "+50.0%" in v.reasons[0].text
    assert not v.wants_promotion


@pytest.mark.parametrize(
    ("text", "cost"),
    [
        (SCORED, 0.7),  # the harness saw a gain, too
        (SCORED.replace('["true"]', '["true"]\nevaluator = ["judge"]'), 1.0),
    ],
)
def test_a_gain_that_somebody_else_sees_is_believed(text: str, cost: float) -> None:
    v = verdict(*scored(cost, 150.0), configured=config(text, AUTO))
    assert v.decision is Decision.ACCEPT, v.reasons


def test_what_a_candidate_reports_against_itself_is_believed() -> None:
    v = verdict(*scored(0.7, 50.0), configured=config(SCORED, AUTO))
    assert v.decision is Decision.REJECT
    assert "-50.0%" in v.reasons[0].text


# --- exact objectives ----------------------------------------------------------------------------

COUNTED = config(metrics(cpu='role = "guard"', instructions='role = "objective"'), AUTO)


def counted(candidate: float) -> tuple[Exact, ...]:
    return (
        Exact(
            benchmark="b",
            metric="instructions",
            stage=Stage.SCREEN,
            baseline=(1000.0, 1000.0),
            candidate=(candidate, candidate),
        ),
    )


@pytest.mark.parametrize(
    ("instructions", "cost", "decision", "expected"),
    [
        # The pairs prove the guards harmless; but a run can stop the count of its instructions.
        (900.0, 1.0, Decision.HOLD, ["improved", "gain_only_reported"]),
        (1000.0, 1.0, Decision.REJECT, ["no_gain"]),
        (1100.0, 0.5, Decision.REJECT, ["regressed"]),
        (900.0, 1.5, Decision.REJECT, ["regressed", "regressed"]),
    ],
)
def test_an_exact_gain_needs_no_second_proof_but_harmless_guards(
    instructions: float, cost: float, decision: Decision, expected: list[str]
) -> None:
    v = verdict(
        series(Stage.SCREEN, steady(sample(cost=cost), 20)),
        configured=COUNTED,
        exact=counted(instructions),
    )
    assert (v.decision, codes(v)) == (decision, expected)


def test_an_exact_metric_that_was_not_taken_is_unproven() -> None:
    v = verdict(*GAIN, configured=config(metrics(wheel='files = ["w"]'), AUTO))
    assert codes(v) == ["improved", "guard_unproven"]
    assert "wheel" in v.reasons[-1].text


def test_an_exact_objective_of_pairs_must_show_again_on_fresh_ones() -> None:
    configured = config(metrics(memory='role = "objective"', cpu='role = "guard"'), AUTO)
    lean, same = steady(sample(memory=0.8)), steady(sample())
    v = verdict(*twice(lean), configured=configured)
    assert (v.decision, codes(v)) == (Decision.ACCEPT, ["improved"])
    lucky = (series(Stage.SCREEN, lean), series(Stage.CONFIRM, same))
    assert codes(verdict(*lucky, configured=configured)) == ["not_confirmed"]


def test_a_gain_that_nobody_looked_at_again_is_held() -> None:
    v = verdict(series(Stage.SCREEN, steady(sample(cost=0.7))))
    assert (v.decision, codes(v)) == (Decision.HOLD, ["inconclusive"])


# --- the level of "improved", and what a verdict carries -----------------------------------------


def test_a_stricter_level_asks_for_more_evidence() -> None:
    made = twice(steady(sample(cost=0.7), 10))
    assert verdict(*made, context=context(alpha_improve=0.05)).decision is Decision.ACCEPT
    strict = verdict(*made, context=context(alpha_improve=1e-5))
    assert strict.decision is not Decision.ACCEPT
    longer = twice(steady(sample(cost=0.7), 30))
    assert verdict(*longer, context=context(alpha_improve=1e-5)).decision is Decision.ACCEPT


def test_a_verdict_names_its_rule_and_moment() -> None:
    moment = Moment(now_ns=5, promotions=1)
    v = verdict(*GAIN, moment=moment)
    assert (v.rule, RULE, v.moment) == ("seq-e/3", "seq-e/3", moment)
    assert all(c.source == "harness" and c.noise == 0 for c in v.comparisons)


def test_continued_evidence_counts_as_one() -> None:
    made = steady(sample(cost=0.7), 20)
    continued = (
        series(Stage.SCREEN, made, inherited=12),
        series(Stage.CONFIRM, made),
    )
    assert verdict(*continued).decision is Decision.ACCEPT


def test_moment_and_outcomes_do_not_depend_on_each_other() -> None:
    one, other = verdict(*GAIN, moment=Moment(now_ns=1)), verdict(*GAIN, moment=Moment(now_ns=2))
    assert one.comparisons == other.comparisons
    assert {c.outcome for c in one.comparisons} == {Outcome.IMPROVED, Outcome.NEUTRAL}
