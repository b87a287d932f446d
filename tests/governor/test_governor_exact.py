"""Exact metrics: a table of what medians say, and what becomes of those that are not exact."""

import pytest
from compare_world import BENCH, by_metric, config, judged, metrics, pairs, sample, steady

from ouroboros.errors import MeasurementError
from ouroboros.governor import exact
from ouroboros.model.evaluation import Exact, Stage
from ouroboros.model.verdict import Outcome

IMPROVED, NEUTRAL = Outcome.IMPROVED, Outcome.NEUTRAL
REGRESSED, INCONCLUSIVE = Outcome.REGRESSED, Outcome.INCONCLUSIVE

OBJECTIVE = 'role = "objective"\nkind = "exact"\nmax_degradation = 0.05\nmin_gain = 0.03\n'
POINTS = (
    'role = "objective"\nkind = "exact"\nscale = "difference"\nunit = "pt"\n'
    "max_degradation = 10.0\nmin_gain = 5.0\n"
)
APART = config(
    metrics(
        instructions='role = "objective"',
        wheel='files = ["dist/*.whl"]\nmax_degradation = 0.0',
        seen='files = ["x"]\nrole = "report"',
    )
)


@pytest.mark.parametrize(
    ("table", "base", "candidate", "outcome"),
    [
        (OBJECTIVE, 100, 105, NEUTRAL),  # exactly the margin is within it
        (OBJECTIVE, 100, 105.001, REGRESSED),
        (OBJECTIVE, 100, 100, NEUTRAL),
        (OBJECTIVE, 100, 97.01, NEUTRAL),
        (OBJECTIVE, 100, 97, IMPROVED),  # exactly the smallest gain is one
        (OBJECTIVE, 100, 50, IMPROVED),
        (OBJECTIVE + 'direction = "higher"', 105, 100, NEUTRAL),
        (OBJECTIVE + 'direction = "higher"', 105.001, 100, REGRESSED),
        (OBJECTIVE + 'direction = "higher"', 97, 100, IMPROVED),
        (OBJECTIVE.replace("objective", "guard"), 100, 50, NEUTRAL),
        (OBJECTIVE.replace("objective", "guard"), 100, 106, REGRESSED),
        (OBJECTIVE.replace("objective", "report"), 100, 200, INCONCLUSIVE),
        (POINTS, 0, 10, NEUTRAL),
        (POINTS, 0, 10.1, REGRESSED),
        (POINTS, -3, -8, IMPROVED),
        (POINTS, -3, -7.9, NEUTRAL),
        (POINTS + 'direction = "higher"', 0, -10.1, REGRESSED),
        (POINTS + 'direction = "higher"', 0, 5, IMPROVED),
    ],
)
def test_medians_decide(table: str, base: float, candidate: float, outcome: Outcome) -> None:
    made = steady(sample(n=candidate), 8, sample(n=base))
    found = by_metric(judged(config(metrics(n=table)), made))["n"]
    assert found.outcome is outcome
    assert found.lower == found.change == found.upper or "report" in table
    assert found.text.startswith("median of") or "report" in table


def test_memory_may_be_what_is_improved() -> None:
    configured = config(metrics(memory='role = "objective"', cpu='role = "guard"'))
    found = judged(configured, steady(sample(memory=0.9), 20))
    assert found.improved
    assert found.settled
    assert by_metric(found)["memory"].outcome is IMPROVED


def test_one_odd_run_does_not_decide_an_exact_metric() -> None:
    sides = [(sample(n=100.0), sample(n=100.0 if i else 100.9)) for i in range(9)]
    assert by_metric(judged(config(metrics(n=OBJECTIVE)), pairs(sides)))["n"].outcome is NEUTRAL


@pytest.mark.parametrize(
    ("table", "jitter", "by_pairs", "words"),
    [
        (OBJECTIVE, 0.9, False, "median of n"),
        (OBJECTIVE, 1.2, True, "n differs by 1.193% between runs of the same code"),
        (POINTS, 1.9, False, "median of n"),
        (POINTS, 2.5, True, "n differs by 2.5 pt between runs of the same code"),
    ],
)
def test_what_is_declared_exact_and_is_not_is_judged_by_pairs(
    table: str,
    jitter: float,
    by_pairs: bool,  # noqa: FBT001 - a table's column
    words: str,
) -> None:
    sides = [(sample(n=100.0 + jitter * (i % 2)), sample(n=100.0)) for i in range(20)]
    found = by_metric(judged(config(metrics(n=table)), pairs(sides)))["n"]
    assert found.text.startswith(words)
    assert (found.lower != found.upper) is by_pairs
    assert found.outcome is NEUTRAL


def test_a_regression_of_an_unsteady_exact_metric_is_proven_by_pairs() -> None:
    sides = [(sample(n=100.0 + 3 * (i % 2)), sample(n=130.0 + 3 * (i % 3))) for i in range(20)]
    found = by_metric(judged(config(metrics(n=OBJECTIVE)), pairs(sides)))["n"]
    assert found.outcome is REGRESSED
    assert "judged by pairs" in found.text


# --- what is not taken with pairs ----------------------------------------------------------------


def values(
    metric: str,
    base: tuple[float, ...],
    candidate: tuple[float, ...],
    stage: Stage = Stage.SCREEN,
) -> Exact:
    return Exact(benchmark="b", metric=metric, stage=stage, baseline=base, candidate=candidate)


@pytest.mark.parametrize(
    ("metric", "base", "candidate", "outcome"),
    [
        ("instructions", (1000,), (1000,), NEUTRAL),
        ("instructions", (1000,), (1004,), NEUTRAL),  # half a percent is the margin
        ("instructions", (1000,), (1006,), REGRESSED),
        ("instructions", (1000,), (900,), IMPROVED),
        ("instructions", (1000, 1001, 999), (900, 901), IMPROVED),
        ("instructions", (1000, 1100), (1000, 1100), INCONCLUSIVE),  # not exact: extremes disagree
        ("instructions", (1000, 1100), (500, 550), IMPROVED),
        ("instructions", (1000, 1100), (1200, 1300), REGRESSED),
        ("instructions", (1000, 1100), (900, 1000), NEUTRAL),  # perhaps better, surely not worse
        ("wheel", (5000,), (5000,), NEUTRAL),
        ("wheel", (5000,), (5001,), REGRESSED),
        ("wheel", (5000,), (10,), NEUTRAL),  # a guard
        ("seen", (5000,), (50000,), INCONCLUSIVE),  # only reported
    ],
)
def test_numbers_without_pairs(
    metric: str, base: tuple[float, ...], candidate: tuple[float, ...], outcome: Outcome
) -> None:
    (found,) = exact.comparisons((values(metric, base, candidate),), APART)
    assert found.outcome is outcome
    assert found.source == ("reported" if metric == "instructions" else "harness")
    assert found.unit == ("instructions" if metric == "instructions" else "bytes")


def test_against_the_anchor_a_gain_is_only_harmless() -> None:
    one = values("instructions", (1000,), (900,), Stage.ANCHOR)
    (found,) = exact.comparisons((one,), APART)
    assert (found.outcome, found.stage) == (NEUTRAL, "anchor")


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ((values("other", (1,), (1,)),), "no such metric"),
        ((values("cpu", (1,), (1,)),), "no such metric"),
        ((values("wheel", (), (1,)),), "of the baseline"),
        ((values("wheel", (1,), ()),), "of the candidate"),
        ((values("wheel", (1, 0), (1,)),), "wheel of the baseline in pair 2, got 0"),
        ((values("wheel", (1,), (float("nan"),)),), "wheel of the candidate in pair 1, got nan"),
        ((values("wheel", (1,), (1,)), values("wheel", (1,), (1,))), "found two"),
    ],
)
def test_numbers_that_cannot_be_compared(made: tuple[Exact, ...], words: str) -> None:
    with pytest.raises(MeasurementError, match=words):
        exact.comparisons(made, APART)


def test_values_of_a_benchmark_that_is_gone() -> None:
    with pytest.raises(MeasurementError, match="no such metric"):
        exact.comparisons((values("wheel", (1,), (1,)),), config(BENCH.replace(".b]", ".c]")))
