"""The statistics against scipy, against exact enumeration, and against their own promises."""

import itertools
import math
import random
import statistics
from collections.abc import Callable

import pytest
from compare_world import config, metrics
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ouroboros.config import Config
from ouroboros.governor.compare import Sequential, rule_for
from ouroboros.governor.eprocess import EProcess, hodges_lehmann, log_e, robust_sd
from ouroboros.model.evaluation import Pair, Sample, Stage
from ouroboros.model.verdict import Outcome

ratios = st.lists(st.floats(-2, 2), min_size=3, max_size=30)


def _nominal(alpha: float, worlds: int) -> int:
    """Return how often an error of that rate happens at most, but for one time in 100,000."""
    return int(stats.binom.isf(1e-5, worlds, alpha))


# --- estimates -----------------------------------------------------------------------------------


@settings(max_examples=60)
@given(ratios)
def test_hodges_lehmann_is_where_wilcoxon_s_signed_ranks_balance(xs: list[float]) -> None:
    """By definition: below it the ranks of larger values weigh more, above it those of smaller."""
    centre = hodges_lehmann(xs)
    for shift, sign in ((-1e-6, 1), (1e-6, -1)):
        moved = [x - centre - shift for x in xs]
        if any(m == 0 for m in moved):
            continue
        ranks = stats.rankdata([abs(m) for m in moved])
        balance = sum(r if m > 0 else -r for r, m in zip(ranks, moved, strict=True))
        assert sign * balance >= -1e-9


@given(ratios)
def test_the_robust_deviation_is_scipy_s(xs: list[float]) -> None:
    expected = stats.median_abs_deviation(xs) * 1.4826
    assert robust_sd(xs) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("effect", [-0.3, -0.1, -0.05])
def test_what_the_pairs_prove_wilcoxon_finds_too(effect: float) -> None:
    """The price of looking after every pair: scipy's test of one fixed number is never behind."""
    rng = random.Random(f"wilcoxon {effect}")
    proven = 0
    for _ in range(40):
        xs = [rng.gauss(math.log1p(effect), 0.08) for _ in range(40)]
        if log_e(xs, 0.0, below=True) >= -math.log(0.05):
            proven += 1
            assert stats.wilcoxon(xs, alternative="less").pvalue < 0.05
    assert proven >= (39 if effect < -0.05 else 20)


# --- validity, exactly ---------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.lists(st.floats(0.001, 1), min_size=1, max_size=9), st.floats(-0.2, 0.2))
def test_the_mean_evidence_over_all_coins_is_one(sizes: list[float], theta: float) -> None:
    """The coin makes every sign of x - theta as likely as the other: enumerate them all."""
    for b in (True, False):
        evidence = [
            math.exp(
                log_e(
                    [theta + c * s for c, s in zip(coins, sizes, strict=True)], theta, below=below
                )
            )
            for coins in itertools.product((1, -1), repeat=len(sizes))
        ]
        assert statistics.fmean(evidence) == pytest.approx(1, rel=1e-9)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.floats(0.001, 1), min_size=10, max_size=10))
def test_no_more_than_alpha_of_all_coins_ever_prove_what_is_not_so(sizes: list[float]) -> None:
    """Ville's inequality by enumeration: all 1,024 orders of ten pairs, looking after each one."""
    alpha, false = 0.05, 0
    for coins in itertools.product((1, -1), repeat=len(sizes)):
        process = EProcess(0.0, below=True)
        for coin, size in zip(coins, sizes, strict=True):
            process.push(coin * size)
            if process.proves(alpha):
                false += 1
                break
    assert false <= alpha * 2 ** len(sizes)


# --- validity, by simulation ---------------------------------------------------------------------

Draw = Callable[[random.Random], float]


def _coin(draw: Draw) -> Draw:
    """Give any noise whatever the sign that a fair coin chooses, as the order of a pair does."""
    return lambda rng: draw(rng) * rng.choice((1, -1))


def _quantile(of: object) -> Draw:
    return lambda rng: 0.08 * float(of.ppf(rng.uniform(1e-9, 1 - 1e-9)))  # type: ignore[attr-defined]


NOISE: dict[str, Draw] = {
    "normal": lambda rng: rng.gauss(0, 0.08),
    "quiet": lambda rng: rng.gauss(0, 0.002),
    "loud": lambda rng: rng.gauss(0, 0.5),
    "student-2": _quantile(stats.t(2)),
    "cauchy": _quantile(stats.cauchy()),
    "laplace": _quantile(stats.laplace()),
    "skewed": _coin(lambda rng: rng.expovariate(1 / 0.1)),
    "bimodal": _coin(lambda rng: 0.2 + rng.gauss(0, 0.01)),
    "bursts": _coin(lambda rng: 0.8 if rng.random() < 0.1 else rng.gauss(0, 0.03)),
}


def _world(configured: Config, rng: random.Random, draw: Draw, effect: float) -> Sequential:
    """Take pairs until the rule has heard enough; every reported metric has noise of its own."""
    rule = rule_for(configured, "b", Stage.SCREEN)
    names = [spec.name for spec in rule.metrics if spec.name not in {"cpu", "wall", "memory"}]
    sequential = Sequential(rule)

    def factor() -> float:
        return math.exp(max(-9.0, min(9.0, draw(rng) + math.log1p(effect))))

    base = Sample(cpu_ns=10**9, wall_ns=10**9, rss_bytes=10**7, reported=dict.fromkeys(names, 1.0))
    while not sequential.settled:
        cost = round(1e9 * factor())
        candidate = Sample(
            cpu_ns=cost,
            wall_ns=10**9,
            rss_bytes=10**7,
            reported={name: factor() for name in names},
        )
        number = sequential.pairs
        sequential.push(
            Pair(
                started_ns=number,
                candidate_first=rng.random() < 0.5,
                baseline=base,
                candidate=candidate,
            )
        )
    return sequential


def _worlds(
    configured: Config, noise: str, effect: float, worlds: int
) -> Callable[[set[Outcome]], int]:
    """Return a count of the worlds in which any objective had one of those outcomes."""
    found: list[set[Outcome]] = []
    for world in range(worlds):
        rng = random.Random(f"{noise} {effect} {world}")
        shown = _world(configured, rng, NOISE[noise], effect).comparisons("b", Stage.SCREEN)
        found.append({c.outcome for c in shown if c.role == "objective"})
    return lambda outcomes: sum(bool(one & outcomes) for one in found)


IMPROVED, REGRESSED = {Outcome.IMPROVED}, {Outcome.REGRESSED}
HARMLESS = {Outcome.IMPROVED, Outcome.NEUTRAL}
ONE = config()
FOUR = config(metrics(**dict.fromkeys(("x", "y", "z"), 'role = "objective"')))


def _keeps_its_promises(configured: Config, noise: str, worlds: int) -> None:
    rule = rule_for(configured, "b", Stage.SCREEN)
    objectives = sum(s.role == "objective" for s in rule.metrics)
    same = _worlds(configured, noise, 0.0, worlds)
    assert same(IMPROVED) <= _nominal(0.05, worlds)
    # What concerns safety is not split over objectives: each of them may be wrong that often.
    assert same(REGRESSED) <= _nominal(0.05 * objectives, worlds)
    worse = _worlds(configured, noise, 0.05, worlds)  # exactly the margin
    assert worse(HARMLESS) <= _nominal(0.01 * objectives, worlds)


@pytest.mark.parametrize("noise", ["normal", "student-2", "bimodal"])
def test_the_rule_keeps_its_promises(noise: str) -> None:
    _keeps_its_promises(ONE, noise, 80)


def test_a_gain_in_any_of_four_objectives_is_claimed_no_more_often_than_in_one() -> None:
    _keeps_its_promises(FOUR, "normal", 50)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("noise", NOISE)
def test_the_rule_keeps_its_promises_on_any_noise(noise: str) -> None:
    _keeps_its_promises(ONE, noise, 1500)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("noise", ["normal", "student-2", "bursts"])
def test_four_objectives_share_one_level_on_any_noise(noise: str) -> None:
    _keeps_its_promises(FOUR, noise, 600)


def _ever_proves(draw: Draw, alpha: float, worlds: int, name: str) -> int:
    false = 0
    for world in range(worlds):
        rng = random.Random(f"{name} {alpha} {world}")
        process = EProcess(0.0, below=True)
        for _ in range(60):
            process.push(draw(rng))
            if process.proves(alpha):
                false += 1
                break
    return false


@pytest.mark.parametrize("noise", ["laplace", "cauchy", "skewed"])
def test_what_is_not_so_is_proven_no_more_often_than_alpha(noise: str) -> None:
    assert _ever_proves(NOISE[noise], 0.05, 300, noise) <= _nominal(0.05, 300)


@pytest.mark.long
@pytest.mark.timeout(900)
@pytest.mark.parametrize("alpha", [0.05, 0.01])
@pytest.mark.parametrize("noise", NOISE)
def test_what_is_not_so_is_proven_no_more_often_than_alpha_in_many_worlds(
    noise: str, alpha: float
) -> None:
    assert _ever_proves(NOISE[noise], alpha, 8000, noise) <= _nominal(alpha, 8000)


def test_the_world_of_these_tests_is_not_blind() -> None:
    """What the simulations would show if the rule were wrong: a clear gain is found in them."""
    assert _worlds(ONE, "normal", -0.2, 20)(IMPROVED) >= 18
    assert _worlds(ONE, "normal", 0.3, 20)(REGRESSED) >= 18
    assert _worlds(FOUR, "normal", -0.2, 20)(IMPROVED) >= 18
