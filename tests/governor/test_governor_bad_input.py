"""Numbers that measure nothing: an error that says whose, never a verdict."""

import math
from typing import Any

import pytest
from compare_world import BASE, BENCH, config, evaluation, metrics, pair, sample, series, steady
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ouroboros.config import Config
from ouroboros.errors import MeasurementError
from ouroboros.governor.compare import Sequential, rule_for
from ouroboros.governor.decide import Evidence, decide
from ouroboros.model.evaluation import Pair, Sample, Series, Stage

SCORED = config(metrics(score='role = "objective"'))
POINTS = config(
    metrics(score='role = "guard"\nscale = "difference"\nmax_degradation = 1e-9\nmin_gain = 1.0')
)
GOOD = sample(score=1.0)


def _push_third(configured: Config, side: str, bad: Sample) -> str:
    sequential = Sequential(rule_for(configured, "b", Stage.SCREEN))
    good = GOOD
    sequential.push(pair(good, good, 1))
    sequential.push(pair(good, good, 2))
    before = sequential.comparisons("b", Stage.SCREEN)
    third = pair(bad, good, 3) if side == "baseline" else pair(good, bad, 3)
    with pytest.raises(MeasurementError) as caught:
        sequential.push(third)
    assert sequential.pairs == 2
    assert sequential.comparisons("b", Stage.SCREEN) == before
    return str(caught.value)


@pytest.mark.parametrize("side", ["baseline", "candidate"])
@pytest.mark.parametrize(
    ("metric", "change", "value"),
    [
        ("cpu", {"cpu_ns": 0}, "0"),
        ("cpu", {"cpu_ns": -5}, "-5"),
        ("cpu", {"cpu_ns": True}, "True"),
        ("cpu", {"cpu_ns": math.nan}, "nan"),
        ("wall", {"wall_ns": 0}, "0"),
        ("wall", {"wall_ns": -1}, "-1"),
        ("wall", {"wall_ns": math.inf}, "inf"),
        ("memory", {"rss_bytes": 0}, "0"),
        ("score", {"reported": {}}, "nothing"),
        ("score", {"reported": {"other": 1.0}}, "nothing"),
        ("score", {"reported": {"score": 0.0}}, "0.0"),
        ("score", {"reported": {"score": -0.0}}, "-0.0"),
        ("score", {"reported": {"score": -2.5}}, "-2.5"),
        ("score", {"reported": {"score": math.nan}}, "nan"),
        ("score", {"reported": {"score": math.inf}}, "inf"),
        ("score", {"reported": {"score": -math.inf}}, "-inf"),
        ("score", {"reported": {"score": True}}, "True"),
        ("score", {"reported": {"score": "1.0"}}, "'1.0'"),
    ],
)
def test_the_error_names_benchmark_metric_side_pair_and_value(
    side: str, metric: str, change: dict[str, Any], value: str
) -> None:
    text = _push_third(SCORED, side, replace(GOOD, **change))
    assert f"b: {metric} of the {side} in pair 3" in text
    assert value in text


@pytest.mark.parametrize("bad", [math.nan, math.inf, True, "x", None, 1e300])
def test_differences_need_finite_numbers_too(bad: Any) -> None:
    reported = {} if bad is None else {"score": bad}
    text = _push_third(POINTS, "candidate", replace(GOOD, reported=reported))
    assert "score of the candidate in pair 3" in text


def test_values_that_no_measurement_brings_together() -> None:
    text = _push_third(SCORED, "candidate", sample(score=5e-324))
    assert "1.0 and 5e-324" in text


def test_a_clock_that_goes_back() -> None:
    sequential = Sequential(rule_for(SCORED, "b", Stage.SCREEN))
    sequential.push(pair(GOOD, GOOD, 1000))
    sequential.push(pair(GOOD, GOOD, 1000))  # a coarse clock stands still
    with pytest.raises(MeasurementError, match="pair 3 started at 999 ns, before pair 2 at 1000"):
        sequential.push(pair(GOOD, GOOD, 999))


@pytest.mark.parametrize("name", ["total_cpu_ns", "start_cpu_ns", "first_cpu_ns", "idle_cpu_ns"])
def test_what_only_a_challenge_measures_is_never_negative(name: str) -> None:
    configured = config('[challenges.c]\ncall = "m:f"\n')
    sequential = Sequential(rule_for(configured, "challenge:c", Stage.SCREEN))
    with pytest.raises(MeasurementError, match=f"challenge:c: {name} of the candidate in pair 1"):
        sequential.push(pair(BASE, replace(BASE, **{name: -1})))


def _decide(*measured: Series, configured: Config = SCORED) -> None:
    decide(
        Evidence(
            evaluation=evaluation(*measured),
            files=(),
            marks=(),
            config=configured,
            config_hash="c" * 64,
        )
    )


GOOD_PAIRS = steady(GOOD, 10, GOOD)


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ((series(Stage.SCREEN, steady(BASE, 10, GOOD)),), "score of the candidate in pair 1"),
        ((series(Stage.SCREEN, GOOD_PAIRS[::-1]),), "clock went back"),
        ((series(Stage.SCREEN, GOOD_PAIRS, "gone"),), "no such benchmark"),
        ((series(Stage.SCREEN, GOOD_PAIRS),) * 2, "found two"),
    ],
)
def test_there_is_no_verdict_on_what_cannot_be_compared(
    made: tuple[Series, ...], words: str
) -> None:
    with pytest.raises(MeasurementError, match=words):
        _decide(*made)


numbers = st.one_of(
    st.floats(allow_nan=True, allow_infinity=True),
    st.integers(-(2**63), 2**63),
    st.booleans(),
    st.none(),
    st.text(max_size=3),
)
anything = st.builds(
    Sample,
    cpu_ns=st.integers(-1, 2**62),
    wall_ns=st.integers(-1, 2**62),
    rss_bytes=st.integers(-1, 2**62),
    reported=st.dictionaries(st.sampled_from(["score", "x"]), numbers, max_size=2),
)


@given(st.lists(st.tuples(anything, anything), max_size=8), st.sampled_from([SCORED, POINTS]))
def test_no_numbers_whatever_bring_anything_but_a_comparison_or_that_error(
    sides: list[tuple[Sample, Sample]], configured: Config
) -> None:
    sequential = Sequential(rule_for(configured, "b", Stage.SCREEN))
    for number, (base, candidate) in enumerate(sides, 1):
        one: Pair = pair(base, candidate, number)
        try:
            sequential.push(one)
        except MeasurementError as error:
            assert "b: " in str(error)
    for comparison in sequential.comparisons("b", Stage.SCREEN):
        for value in (comparison.change, comparison.lower, comparison.upper, comparison.noise):
            assert value is None or math.isfinite(value)
    assert sequential.settled in {True, False}


def test_an_unknown_series_is_not_taken_for_a_benchmark_of_that_name() -> None:
    _decide(series(Stage.SCREEN, steady(BASE, 10)), configured=config(BENCH))
