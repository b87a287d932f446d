"""How noisy a machine is, and what that means for margins."""

import math
import random

import pytest
from compare_world import BENCH, config, metrics, pair, sample, series

from ouroboros.errors import MeasurementError
from ouroboros.governor.eprocess import EProcess, robust_sd
from ouroboros.governor.noise import noise_of, not_measured, too_noisy
from ouroboros.model.evaluation import Series, Stage
from ouroboros.model.metric import Noise, fewest_pairs, pairs_needed

POINTS = config(
    metrics(score='role = "objective"\nscale = "difference"\nmax_degradation = 2.0\nmin_gain = 1.0')
)


def calibrated(sd: float, count: int = 400, spread: float = 0.0) -> Series:
    rng = random.Random(1)
    made = [
        pair(
            sample(cost=math.exp(rng.gauss(0, sd)), score=10 + rng.gauss(0, spread)),
            sample(cost=math.exp(rng.gauss(0, sd)), score=10 + rng.gauss(0, spread)),
            n,
        )
        for n in range(count)
    ]
    return series(Stage.CALIBRATE, made)


def said(metric: str, sd: float, *, at: int = 1, machine: str = "m", name: str = "b") -> Noise:
    return Noise(benchmark=name, metric=metric, machine=machine, sd=sd, pairs=10, measured_ns=at)


def test_the_noise_of_each_paired_metric_is_that_of_its_pairs() -> None:
    found = {n.metric: n for n in noise_of(calibrated(0.08, spread=3.0), POINTS, "m", 7)}
    assert set(found) == {"cpu", "wall", "score"}  # memory is exact
    assert found["cpu"].sd == pytest.approx(0.08 * math.sqrt(2), rel=0.15)
    # A difference of the margin is as far as 5 % on the log scale.
    assert found["score"].sd == pytest.approx(3 * math.sqrt(2) / 2 * math.log1p(0.05), rel=0.15)
    assert {(n.machine, n.pairs, n.measured_ns, n.benchmark) for n in found.values()} == {
        ("m", 400, 7, "b")
    }


def test_one_odd_pair_is_no_noise() -> None:
    made = [pair(sample(), sample(cost=50.0 if n == 3 else 1.0), n) for n in range(10)]
    assert {n.sd for n in noise_of(series(Stage.CALIBRATE, made), config(), "m", 1)} == {0.0}


def test_nothing_is_known_from_one_pair() -> None:
    assert noise_of(series(Stage.CALIBRATE, [pair(sample(), sample())]), config(), "m", 1) == ()
    assert noise_of(series(Stage.CALIBRATE, []), config(), "m", 1) == ()
    assert robust_sd([1.0]) is None


def test_samples_that_cannot_be_compared_are_no_noise() -> None:
    with pytest.raises(MeasurementError, match="score of the baseline in pair 1"):
        noise_of(series(Stage.CALIBRATE, [pair(sample(), sample())]), POINTS, "m", 1)


LIMIT = 4 * math.log1p(0.05)


@pytest.mark.parametrize(
    ("noise", "metrics_", "skipped"),
    [
        ([said("cpu", LIMIT * 0.99)], [], ()),
        ([said("cpu", LIMIT * 1.01)], ["cpu"], ("b",)),
        ([said("wall", 1.5)], ["wall"], ()),  # a guard is said and measured all the same
        ([said("cpu", 1.0), said("wall", 1.5)], ["cpu", "wall"], ("b",)),
        ([said("cpu", 1.0, machine="other")], [], ()),
        ([said("cpu", 1.0, at=1), said("cpu", 0.01, at=2)], [], ()),  # the newest counts
        ([said("cpu", 0.01, at=1), said("cpu", 1.0, at=2)], ["cpu"], ("b",)),
        ([said("gone", 1.0), said("cpu", 1.0, name="gone")], [], ()),
        ([], [], ()),
    ],
)
def test_only_objectives_are_not_measured(
    noise: list[Noise], metrics_: list[str], skipped: tuple[str, ...]
) -> None:
    for order in (noise, noise[::-1]):
        found = too_noisy(config(), order, "m")
        assert [f.metric for f in found] == metrics_
        assert not_measured(found) == skipped


def test_it_says_noise_margin_and_how_many_pairs_it_would_take() -> None:
    (found,) = too_noisy(config(), [said("cpu", 0.25)], "m")
    assert (found.sd, found.margin) == ("28.4%", "5%")
    assert found.pairs == pairs_needed(0.25, math.log1p(0.05))
    assert found.text == (
        "b: cpu time was not measured: noise 28.4%, margin 5%, would need 221 pairs on this "
        "machine."
    )
    (guard,) = too_noisy(config(), [said("wall", 1.2)], "m")
    assert "wall time is measured all the same: noise 232%, margin 25%" in guard.text


def test_differences_are_said_in_their_unit() -> None:
    text = metrics(
        score='role="objective"\nscale="difference"\nmax_degradation=2.0\nmin_gain=1.0\nunit="pt"'
    )
    (found,) = too_noisy(config(text), [said("score", 10 * math.log1p(0.05))], "m")
    assert (found.sd, found.margin) == ("20 pt", "2 pt")


def test_the_factor_is_the_policy_s() -> None:
    lenient = config("[governor.calibration]\ntoo_noisy = 10.0\n" + BENCH)
    assert too_noisy(lenient, [said("cpu", LIMIT * 2)], "m") == ()


def test_the_fewest_pairs_are_what_the_test_itself_needs() -> None:
    for alpha in (0.33, 0.05, 0.01, 1e-4, 1e-12):
        process, pairs = EProcess(0.0, below=True), 0
        while not process.proves(alpha):
            process.push(-math.log(2))
            pairs += 1
        assert fewest_pairs(alpha) == pairs
    assert fewest_pairs(0.0) > 1000
