"""Many metrics of one series: symmetries that hold for all numbers, and when a series ends."""

import math
import random

import pytest
from compare_world import (
    BASE,
    BENCH,
    by_metric,
    config,
    judged,
    metrics,
    pair,
    pairs,
    sample,
    series,
    steady,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroboros.config import Config
from ouroboros.governor.compare import ANCHOR_PAIRS, Sequential, replay, rule_for
from ouroboros.model.evaluation import Purpose, Sample, Stage
from ouroboros.model.verdict import Comparison, Outcome

ONE = config()
LOW = config(metrics(cpu='role = "guard"', score='role = "objective"'))
HIGH = config(metrics(cpu='role = "guard"', score='role = "objective"\ndirection = "higher"'))
POINTS = config(
    metrics(
        score='role = "objective"\nscale = "difference"\nmax_degradation = 2.0\nmin_gain = 1.0\n'
        'unit = "points"\ndirection = "higher"',
    )
)

costs = st.lists(
    st.tuples(st.integers(10**5, 10**10), st.integers(10**5, 10**10)), min_size=1, max_size=25
)
scores = st.lists(st.tuples(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3)), min_size=1, max_size=25)


def timed(cost: int) -> Sample:
    return Sample(cpu_ns=cost, wall_ns=cost, rss_bytes=4096)


def cpu(made: list[tuple[int, int]]) -> Comparison:
    found = judged(ONE, pairs([(timed(a), timed(b)) for a, b in made]))
    return found.comparison("b", Stage.SCREEN)


def score(configured: Config, made: list[tuple[float, float]]) -> Comparison:
    sides = [(sample(score=a), sample(score=b)) for a, b in made]
    return by_metric(judged(configured, pairs(sides)))["score"]


def logs(*changes: float | None) -> list[float | None]:
    return [None if change is None else math.log1p(change) for change in changes]


def near(found: list[float | None], expected: list[float | None]) -> bool:
    return all(
        (a is None) == (b is None) and (a is None or a == pytest.approx(b, abs=1e-6))
        for a, b in zip(found, expected, strict=True)
    )


@given(costs)
def test_swapping_the_sides_turns_estimate_and_bounds_around(made: list[tuple[int, int]]) -> None:
    one, other = cpu(made), cpu([(b, a) for a, b in made])
    flipped = [None if v is None else -v for v in logs(one.change, one.upper, one.lower)]
    assert near(logs(other.change, other.lower, other.upper), flipped)
    assert other.noise == pytest.approx(one.noise) if one.noise is not None else not other.noise
    if one.outcome is Outcome.IMPROVED:
        assert other.outcome in {Outcome.REGRESSED, Outcome.NEUTRAL}
        assert other.lower is not None
        assert other.lower >= -1e-9
    if one.outcome is Outcome.REGRESSED:
        assert other.outcome is not Outcome.REGRESSED


@given(costs, st.sampled_from([2, 8, 1024]))
def test_scaling_both_sides_changes_nothing(made: list[tuple[int, int]], factor: int) -> None:
    assert cpu(made) == cpu([(a * factor, b * factor) for a, b in made])


@given(scores)
def test_turning_direction_and_values_around_gives_the_same_answer(
    made: list[tuple[float, float]],
) -> None:
    low = score(LOW, made)
    high = score(HIGH, [(1 / a, 1 / b) for a, b in made])
    assert (high.outcome, high.pairs) == (low.outcome, low.pairs)
    flipped = [None if v is None else -v for v in logs(low.change, low.upper, low.lower)]
    assert near(logs(high.change, high.lower, high.upper), flipped)
    assert (low.direction, high.direction) == ("lower", "higher")


@given(scores, st.floats(-1e3, 1e3))
def test_differences_do_not_depend_on_where_zero_is(
    made: list[tuple[float, float]], moved: float
) -> None:
    one = score(POINTS, made)
    other = score(POINTS, [(a + moved, b + moved) for a, b in made])
    assert one.change == pytest.approx(other.change, abs=1e-6)
    assert (one.unit, one.scale) == ("points", "difference")


@given(costs, st.integers(0, 25))
def test_going_on_is_the_same_as_going_in_one_go(made: list[tuple[int, int]], cut: int) -> None:
    taken = pairs([(timed(a), timed(b)) for a, b in made])
    rule = rule_for(ONE, "b", Stage.SCREEN)
    before = min(cut, len(taken))
    whole = replay(series(Stage.SCREEN, taken), rule)
    continued = Sequential(rule, inherited=before)
    for one in taken:
        continued.push(one)
    assert continued.comparisons("b", Stage.SCREEN) == whole.comparisons("b", Stage.SCREEN)
    recorded = replay(series(Stage.SCREEN, taken, inherited=before), rule)
    assert recorded.comparisons("b", Stage.SCREEN) == whole.comparisons("b", Stage.SCREEN)


@settings(max_examples=30)
@given(costs)
def test_the_order_of_pairs_does_not_change_what_is_said(made: list[tuple[int, int]]) -> None:
    one, other = cpu(made), cpu(made[::-1])
    assert one.outcome is other.outcome
    assert near(
        logs(one.change, one.lower, one.upper), logs(other.change, other.lower, other.upper)
    )


def test_inherited_pairs_are_evidence_and_do_not_count_against_the_most() -> None:
    few = config(governor="max_pairs = 8")
    rule = rule_for(few, "b", Stage.SCREEN)
    rng = random.Random(1)
    taken = [pair(BASE, sample(cost=math.exp(rng.gauss(0, 0.5))), n) for n in range(1, 17)]
    fresh, continued = Sequential(rule), Sequential(rule, inherited=8)
    for one in taken[:8]:
        fresh.push(one)
        continued.push(one)
    assert fresh.exhausted
    assert not continued.exhausted
    for one in taken[8:]:
        continued.push(one)
    assert continued.exhausted
    assert continued.pairs == 16


# --- what is read, and how it is shown -----------------------------------------------------------


def test_every_metric_says_unit_direction_scale_source_and_noise() -> None:
    found = by_metric(judged(POINTS, steady(sample(score=12.0), baseline=sample(score=10.0))))
    assert list(found) == ["cpu", "score", "wall", "memory"]  # objectives first
    assert {m: (c.role, c.source, c.unit) for m, c in found.items()} == {
        "cpu": ("objective", "harness", "ns"),
        "score": ("objective", "reported", "points"),
        "wall": ("guard", "harness", "ns"),
        "memory": ("guard", "harness", "bytes"),
    }
    assert found["score"].change == pytest.approx(2.0)
    assert found["score"].margin == 2.0
    assert found["score"].noise == 0.0
    assert found["score"].text == "score is proven higher, and within the margin of 2 points"


def test_the_noise_of_a_difference_is_in_its_unit() -> None:
    jumps = [0.0, 1.0, 2.0, 3.0, 4.0]
    sides = [(sample(score=10.0), sample(score=10.0 + jump)) for jump in jumps]
    found = by_metric(judged(POINTS, pairs(sides)))["score"]
    assert found.noise == pytest.approx(1.4826)
    assert found.change == pytest.approx(2.0)


def test_what_an_evaluator_says_is_no_claim_of_the_run() -> None:
    judged_apart = metrics(score='role = "objective"').replace(
        'command = ["true"]', 'command = ["true"]\nevaluator = ["judge"]'
    )
    found = by_metric(
        judged(config(judged_apart), steady(sample(score=1.0), baseline=sample(score=1.0)))
    )
    assert found["score"].source == "judged"


@pytest.mark.parametrize(
    ("points", "outcome"),
    [
        (+5.0, Outcome.IMPROVED),
        (-5.0, Outcome.REGRESSED),
        (0.0, Outcome.NEUTRAL),
    ],
)
@pytest.mark.parametrize("zero", [-3.0, 0.0, 100.0])
def test_scores_may_be_zero_or_negative_where_differences_count(
    points: float, outcome: Outcome, zero: float
) -> None:
    made = steady(sample(score=zero + points), baseline=sample(score=zero))
    assert by_metric(judged(POINTS, made))["score"].outcome is outcome


def test_what_is_only_reported_decides_nothing() -> None:
    configured = config(metrics(score="unit = 'x'"))
    made = steady(sample(cost=0.7, score=1e6), baseline=sample(score=1.0))
    found = judged(configured, made)
    assert found.settled
    assert not found.regressed
    shown = by_metric(found)["score"]
    assert (shown.role, shown.outcome) == ("report", Outcome.INCONCLUSIVE)
    assert "only reported" in shown.text


def test_the_wall_time_of_a_duet_decides_nothing() -> None:
    duet = config(BENCH + 'pairing = "duet"\n')
    made = [pair(BASE, Sample(cpu_ns=10**8, wall_ns=10**9, rss_bytes=10**7), n) for n in range(20)]
    found = judged(duet, made)
    assert by_metric(found)["wall"].role == "report"
    assert not found.regressed


# --- several objectives --------------------------------------------------------------------------


def test_the_level_of_improved_is_split_over_all_objectives() -> None:
    two = BENCH + '[benchmarks.c]\ncommand = ["true"]\n[benchmarks.c.metrics.x]\nrole="objective"\n'
    assert rule_for(config(two), "b", Stage.SCREEN).alpha_improve == pytest.approx(0.05 / 3)
    level = rule_for(config(two), "b", Stage.SCREEN, alpha_improve=0.006).alpha_improve
    assert level == pytest.approx(0.002)
    again = rule_for(config(two), "b", Stage.CONFIRM, alpha_improve=0.006).alpha_improve
    assert again == pytest.approx(0.05 / 3), "the confirmation has the governor's own level"
    assert rule_for(ONE, "b", Stage.SCREEN).alpha_improve == 0.05


def _split(cost: float, other: float, count: int = 40) -> Sequential:
    configured = config(metrics(other='role = "objective"'))
    made = steady(sample(cost=cost, other=other), count, sample(other=1.0))
    rule = rule_for(configured, "b", Stage.SCREEN)
    sequential = Sequential(rule)
    for one in made:
        if sequential.settled:
            break
        sequential.push(one)
    return sequential


@pytest.mark.parametrize(
    ("cost", "other", "outcomes", "most"),
    [
        (0.7, 1.0, (Outcome.IMPROVED, Outcome.NEUTRAL), 12),  # one suffices, the other is harmless
        (0.7, 0.7, (Outcome.IMPROVED, Outcome.IMPROVED), 12),
        (0.7, 1.5, (Outcome.INCONCLUSIVE, Outcome.REGRESSED), 6),  # a loss ends it at once
        (1.5, 0.7, (Outcome.REGRESSED, Outcome.INCONCLUSIVE), 6),
        (1.0, 1.0, (Outcome.INCONCLUSIVE, Outcome.INCONCLUSIVE), 8),  # both given up
    ],
)
def test_a_series_ends_when_its_objectives_are_known(
    cost: float, other: float, outcomes: tuple[Outcome, Outcome], most: int
) -> None:
    found = _split(cost, other)
    shown = by_metric(found)
    assert found.settled
    assert (shown["cpu"].outcome, shown["other"].outcome) == outcomes
    assert found.pairs <= most


def test_an_objective_that_was_given_up_must_still_be_proven_harmless_beside_a_gain() -> None:
    configured = config(metrics(other='role = "objective"'))
    slightly_worse = sample(cost=0.7, other=1.01)
    sequential = Sequential(rule_for(configured, "b", Stage.SCREEN))
    given_up = 0
    while not sequential.settled:
        sequential.push(pair(sample(other=1.0), slightly_worse, sequential.pairs))
        improved = by_metric(sequential)["cpu"].outcome is Outcome.IMPROVED
        given_up += improved and sequential.gave_up("other") and not sequential.settled
    assert given_up > 0
    assert not sequential.exhausted
    shown = by_metric(sequential)
    assert shown["cpu"].outcome is Outcome.IMPROVED
    assert shown["other"].outcome is Outcome.NEUTRAL


def test_without_an_objective_the_guards_alone_end_the_series() -> None:
    text = metrics(cpu='role = "guard"') + '[benchmarks.c]\ncommand = ["true"]\n'
    sequential = Sequential(rule_for(config(text), "b", Stage.SCREEN))
    assert not sequential.settled
    while not sequential.settled:
        sequential.push(pair(BASE, BASE, sequential.pairs))
    assert sequential.pairs < 20
    assert {c.outcome for c in sequential.comparisons("b", Stage.SCREEN)} == {Outcome.NEUTRAL}
    assert not sequential.futile
    assert not sequential.improved


def test_where_neutral_suffices_the_guards_must_be_proven_too() -> None:
    configured = config(governor="accept_neutral = true\nmax_wall_degradation = 0.01")
    sequential = Sequential(rule_for(configured, "b", Stage.SCREEN))
    while not sequential.settled:
        sequential.push(pair(BASE, BASE, sequential.pairs))
    shown = by_metric(sequential)
    assert {c.outcome for c in shown.values()} == {Outcome.NEUTRAL}


# --- stages and purposes -------------------------------------------------------------------------


def _until_settled(cost: float, stage: Stage, purpose: Purpose = Purpose.CANDIDATE) -> Sequential:
    rng = random.Random(f"{cost}{stage}{purpose}")
    sequential = Sequential(rule_for(ONE, "b", stage, purpose=purpose))
    while not sequential.settled:
        noisy = sample(cost=cost * math.exp(rng.gauss(0, 0.04)))
        sequential.push(pair(BASE, noisy, sequential.pairs))
    return sequential


@pytest.mark.parametrize(
    ("cost", "outcome"), [(0.7, Outcome.NEUTRAL), (1.0, Outcome.NEUTRAL), (1.3, Outcome.REGRESSED)]
)
def test_against_the_anchor_only_harm_is_looked_for(cost: float, outcome: Outcome) -> None:
    found = _until_settled(cost, Stage.ANCHOR)
    assert by_metric(found, Stage.ANCHOR)["cpu"].outcome is outcome
    assert not found.futile


def test_a_loss_within_the_margin_of_the_anchor_is_none() -> None:
    found = judged(ONE, steady(sample(cost=1.04), 60), Stage.ANCHOR)
    assert by_metric(found, Stage.ANCHOR)["cpu"].outcome is not Outcome.REGRESSED
    screened = judged(ONE, steady(sample(cost=1.04), 10))
    assert by_metric(screened)["cpu"].outcome is Outcome.REGRESSED  # slower, and not yet within


@pytest.mark.parametrize(("cost", "least"), [(1.0, 8), (0.9, 7)])
def test_a_watch_gives_nothing_up_and_ends_when_all_is_proven_harmless(
    cost: float, least: int
) -> None:
    found = _until_settled(cost, Stage.SCREEN, Purpose.WATCH)
    assert {c.outcome for c in found.comparisons("b", Stage.SCREEN)} == {Outcome.NEUTRAL}
    assert not found.futile
    assert found.pairs >= least


def test_a_watch_sees_what_got_slower() -> None:
    found = _until_settled(1.15, Stage.SCREEN, Purpose.WATCH)
    assert found.regressed
    assert not found.exhausted


@pytest.mark.parametrize("cost", [0.5, 1.0, 2.0])
def test_an_estimate_takes_its_pairs_whatever_they_say(cost: float) -> None:
    found = _until_settled(cost, Stage.SCREEN, Purpose.ANCHOR)
    assert found.pairs == ANCHOR_PAIRS
    shown = by_metric(found)["cpu"]
    assert shown.lower is not None
    assert shown.upper is not None
    assert shown.lower <= cost - 1 <= shown.upper


def test_a_calibration_takes_its_pairs() -> None:
    configured = config("[governor.calibration]\npairs = 12\n" + BENCH)
    assert rule_for(configured, "b", Stage.CALIBRATE).max_pairs == 12
    sequential = Sequential(rule_for(configured, "b", Stage.CALIBRATE))
    while not sequential.settled:
        sequential.push(pair(BASE, sample(cost=2.0), sequential.pairs))
    assert sequential.pairs == 12
