"""The sequential test keeps its promises on noise it has not chosen."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.governor.eprocess import EProcess, bounds, hodges_lehmann, log_e

ratios = st.lists(st.floats(-2, 2), min_size=1, max_size=40)


@given(ratios, st.floats(-1, 1))
def test_flipping_signs_swaps_the_two_sides(xs: list[float], theta: float) -> None:
    mirrored = [-x for x in xs]
    assert log_e(xs, theta, below=True) == pytest.approx(
        log_e(mirrored, -theta, below=False), abs=1e-9
    )


@given(ratios, st.floats(-1, 1))
def test_order_of_pairs_does_not_change_the_final_evidence(xs: list[float], theta: float) -> None:
    assert log_e(xs, theta, below=True) == pytest.approx(
        log_e(sorted(xs), theta, below=True), abs=1e-9
    )


@given(ratios, st.floats(-1, 1), st.floats(0.001, 1))
def test_evidence_grows_with_the_hypothesis(xs: list[float], theta: float, gap: float) -> None:
    assert log_e(xs, theta + gap, below=True) >= log_e(xs, theta, below=True) - 1e-9


@given(ratios)
def test_bounds_enclose_the_estimate_where_they_exist(xs: list[float]) -> None:
    lower, upper = bounds(xs, 0.05)
    centre = hodges_lehmann(xs)
    if lower is not None and upper is not None:
        assert lower <= upper
        assert lower - 1e-6 <= centre <= upper + 1e-6


@given(ratios, st.floats(-0.5, 0.5))
def test_the_incremental_process_agrees_with_the_batch(xs: list[float], theta: float) -> None:
    process = EProcess(theta, below=True)
    for i, x in enumerate(xs, 1):
        process.push(x)
        assert process.log_e == pytest.approx(log_e(xs[:i], theta, below=True), abs=1e-9)


@given(ratios)
def test_what_is_proven_agrees_with_the_bound_that_is_shown(xs: list[float]) -> None:
    process = EProcess(0.0, below=True)
    for x in xs:
        process.push(x)
    _, upper = bounds(xs, 0.05)
    if process.proves(0.05):
        assert upper is not None
        assert upper <= 1e-6
    elif upper is not None:
        assert upper >= -1e-6


@pytest.mark.parametrize("noise", ["normal", "heavy", "bimodal"])
def test_a_true_null_is_called_improved_no_more_often_than_alpha(noise: str) -> None:
    rng = random.Random(20260101)
    draw = {
        "normal": lambda: rng.gauss(0, 0.1),
        "heavy": lambda: 0.05 * math.tan(math.pi * (rng.random() - 0.5)),
        "bimodal": lambda: rng.choice([-0.2, 0.2]) + rng.gauss(0, 0.01),
    }[noise]
    alpha, worlds, false = 0.05, 600, 0
    for _ in range(worlds):
        process = EProcess(0.0, below=True)
        for _ in range(60):
            process.push(draw())
            if process.proves(alpha):
                false += 1
                break
    limit = alpha * worlds + 3 * math.sqrt(worlds * alpha * (1 - alpha))
    assert false <= limit


def test_a_clear_gain_is_proven_and_bounded() -> None:
    rng = random.Random(7)
    xs = [math.log(0.8) + rng.gauss(0, 0.05) for _ in range(30)]
    _, upper = bounds(xs, 0.05)
    assert upper is not None
    assert upper < math.log(0.9)
    assert math.expm1(hodges_lehmann(xs)) == pytest.approx(-0.2, abs=0.03)
