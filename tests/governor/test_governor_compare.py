"""Replays of real A/A benchmark noise through the product's own rule.

The data are 640 real back-to-back pairs of the same program from a loaded machine. The limits are
the error rates that the rule promises, plus three standard deviations of the replay itself.
"""

import csv
import gzip
import math
import random
from pathlib import Path

import pytest

from ouroboros.config import Config, parse
from ouroboros.errors import MeasurementError
from ouroboros.governor.compare import Rule, Sequential, rule_for
from ouroboros.model.evaluation import Pair, Sample, Stage
from ouroboros.model.verdict import Outcome

DATA = Path(__file__).parent.parent / "data" / "pairs-aa.csv.gz"
CONFIG: Config = parse(b'[benchmarks.b]\ncommand = ["true"]\n').config
RULE: Rule = rule_for(CONFIG, "b", Stage.SCREEN)
WORLDS = 120


def _rows(workload: str) -> list[dict[str, str]]:
    with gzip.open(DATA, "rt") as file:
        return [r for r in csv.DictReader(file) if r["workload"] == workload]


def _sample(row: dict[str, str], side: str, factor: float) -> Sample:
    return Sample(
        cpu_ns=int(float(row[f"{side}_cpu_ms"]) * 1e6 * factor),
        wall_ns=int(float(row[f"{side}_wall_ms"]) * 1e6 * factor),
        rss_bytes=int(row[f"{side}_rss_kb"]) * 1024,
    )


def _outcomes(workload: str, effect: float) -> tuple[dict[Outcome, int], float]:
    """Replay windows with a fair coin for the labels and one side scaled by 1 + effect."""
    rows, found, runs = _rows(workload), dict.fromkeys(Outcome, 0), 0
    for world in range(WORLDS):
        rng = random.Random(world)
        at = rng.randrange(len(rows))
        sequential = Sequential(RULE)
        while not sequential.settled:
            row = rows[at % len(rows)]
            at += 1
            first, second = rng.choice([("a", "b"), ("b", "a")])
            pair = Pair(
                started_ns=at,
                candidate_first=second == "a",
                baseline=_sample(row, first, 1),
                candidate=_sample(row, second, 1 + effect),
            )
            sequential.push(pair)
        found[sequential.comparison("b", Stage.SCREEN).outcome] += 1
        runs += 2 * sequential.pairs
    return found, runs / WORLDS


def _limit(rate: float) -> float:
    return WORLDS * rate + 3 * math.sqrt(WORLDS * rate * (1 - rate))


@pytest.mark.parametrize("workload", ["w1", "w2"])
class TestRealNoise:
    def test_an_unchanged_program_is_rarely_called_improved(self, workload: str) -> None:
        found, runs = _outcomes(workload, 0.0)
        assert found[Outcome.IMPROVED] <= _limit(0.05)
        assert found[Outcome.REGRESSED] <= _limit(0.05)
        assert runs <= 70

    @pytest.mark.parametrize("effect", [0.05, 0.10])
    def test_a_true_regression_beyond_the_margin_is_never_waved_through(
        self, workload: str, effect: float
    ) -> None:
        found, _ = _outcomes(workload, effect)
        assert found[Outcome.IMPROVED] + found[Outcome.NEUTRAL] <= _limit(0.01)

    def test_a_true_gain_of_ten_percent_is_found_cheaply(self, workload: str) -> None:
        found, runs = _outcomes(workload, -0.10)
        assert found[Outcome.IMPROVED] >= 0.93 * WORLDS - 3 * math.sqrt(WORLDS * 0.93 * 0.07)
        assert runs <= 40


def _pair(baseline: Sample, candidate: Sample) -> Pair:
    return Pair(started_ns=1, candidate_first=False, baseline=baseline, candidate=candidate)


GOOD = Sample(cpu_ns=10**8, wall_ns=10**8, rss_bytes=10**7)


@pytest.mark.parametrize(
    "bad",
    [
        Sample(cpu_ns=0, wall_ns=1, rss_bytes=1),
        Sample(cpu_ns=-5, wall_ns=1, rss_bytes=1),
        Sample(cpu_ns=1, wall_ns=0, rss_bytes=1),
        Sample(cpu_ns=1, wall_ns=1, rss_bytes=0),
    ],
)
@pytest.mark.parametrize("side", ["baseline", "candidate"])
def test_samples_that_cannot_be_compared_are_an_error_that_names_the_side(
    bad: Sample, side: str
) -> None:
    pair = _pair(bad, GOOD) if side == "baseline" else _pair(GOOD, bad)
    with pytest.raises(MeasurementError, match=side):
        Sequential(RULE).push(pair)


def test_more_memory_than_the_margin_is_a_regression_however_fast() -> None:
    sequential = Sequential(RULE)
    fast_and_fat = Sample(cpu_ns=10**7, wall_ns=10**7, rss_bytes=2 * 10**7)
    while not sequential.settled:
        sequential.push(_pair(GOOD, fast_and_fat))
    assert sequential.regressed
    assert sequential.pairs == RULE.min_pairs  # nothing that follows could save it
    for _ in range(10):
        sequential.push(_pair(GOOD, fast_and_fat))
    by_metric = {c.metric: c.outcome for c in sequential.comparisons("b", Stage.SCREEN)}
    assert by_metric["cpu"] is Outcome.IMPROVED
    assert by_metric["memory"] is Outcome.REGRESSED


def test_scaling_both_sides_changes_nothing() -> None:
    rng = random.Random(3)
    one, two = Sequential(RULE), Sequential(RULE)
    for _ in range(12):
        base, candidate = rng.randrange(10**7, 10**8), rng.randrange(10**7, 10**8)
        for sequential, scale in ((one, 1), (two, 1000)):
            a = Sample(cpu_ns=base * scale, wall_ns=base * scale, rss_bytes=4096)
            b = Sample(cpu_ns=candidate * scale, wall_ns=candidate * scale, rss_bytes=4096)
            sequential.push(_pair(a, b))
    assert one.comparisons("b", Stage.SCREEN) == two.comparisons("b", Stage.SCREEN)
