"""The benchmark of the error rates: its rivals are right, its tables repeat, its alarm works."""

import json
import math
from pathlib import Path

import aa
import answers
import binomial
import msgspec
import ours
import pool
import pytest
import rivals
import verdict
import worlds
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ouroboros.governor.compare import Rule, Sequential
from ouroboros.model.evaluation import (
    Assurance,
    Evaluation,
    EvaluationStatus,
    Pair,
    Sample,
    SandboxLevel,
    Series,
    Stage,
)

LITTLE = ["--quick", "--only", "replays", "--json"]


class TestRivals:
    """Where the tools use scipy, ours must give what scipy gives."""

    apart = st.lists(st.floats(1, 1000), min_size=4, max_size=40, unique=True)
    tied = st.lists(st.integers(1, 12), min_size=4, max_size=40)

    @given(apart, st.data())
    @settings(max_examples=150, deadline=None)
    def test_student(self, values: list[float], data: st.DataObject) -> None:
        stats = pytest.importorskip("scipy.stats")
        cut = data.draw(st.integers(2, len(values) - 2))
        one, two = values[:cut], values[cut:]
        theirs = stats.ttest_ind(one, two).pvalue
        assert rivals.student(one, two) == pytest.approx(theirs, rel=1e-6, abs=1e-12)

    @given(st.one_of(apart, tied), st.data())
    @settings(max_examples=150, deadline=None)
    def test_ranks_with_ties(self, values: list[float], data: st.DataObject) -> None:
        stats = pytest.importorskip("scipy.stats")
        cut = data.draw(st.integers(2, len(values) - 2))
        one, two = values[:cut], values[cut:]
        if len(set(values)) == 1:
            assert rivals.mann_whitney(one, two) == 1.0
            return
        theirs = stats.mannwhitneyu(one, two, method="asymptotic").pvalue
        assert rivals.mann_whitney(one, two) == pytest.approx(theirs, rel=1e-9, abs=1e-12)

    @given(st.lists(st.floats(1, 1000), min_size=4, max_size=24, unique=True), st.data())
    @settings(max_examples=80, deadline=None)
    def test_exact_ranks(self, values: list[float], data: st.DataObject) -> None:
        stats = pytest.importorskip("scipy.stats")
        cut = data.draw(st.integers(2, len(values) - 2))
        one, two = values[:cut], values[cut:]
        theirs = stats.mannwhitneyu(one, two, method="exact").pvalue
        assert rivals.mann_whitney(one, two, exact=True) == pytest.approx(theirs, abs=1e-12)

    @given(st.integers(1, 400), st.data())
    @settings(max_examples=60, deadline=None)
    def test_bounds_of_a_rate(self, trials: int, data: st.DataObject) -> None:
        stats = pytest.importorskip("scipy.stats")
        count = data.draw(st.integers(0, trials))
        theirs = stats.binomtest(count, trials).proportion_ci(method="exact")
        assert binomial.interval(count, trials) == pytest.approx(tuple(theirs), abs=1e-7)

    def test_a_rule_without_a_difference_lets_pass_and_with_one_says_which(self) -> None:
        world = pool.World(pool.load()["w1"], "1")
        by_name = rivals.rules()
        for name in ("Student t n=20 (pyperf)", "Mann-Whitney n=20", "mean of 20, 5 %"):
            assert by_name[name](world.pairs(2.0)).outcome == "regressed"
            assert by_name[name](world.pairs(0.5)).outcome == "improved"
            assert by_name[name](world.pairs(0.5)).runs == 40


class TestReplay:
    """What is replayed is the recorded noise with the effect that was asked for."""

    def test_a_window_is_the_pool_in_order_with_one_side_scaled(self) -> None:
        rows = pool.load()["w2"]
        plain, scaled = (pool.World(rows, "7") for _ in range(2))
        for _ in range(len(rows) + 3):
            one, two = plain.pair(1.0), scaled.pair(1.1)
            assert one.baseline == two.baseline
            assert two.candidate.cpu_ns == pytest.approx(1.1 * one.candidate.cpu_ns, abs=1)
            recorded = {(a.cpu_ns, b.cpu_ns) for a, b in rows}
            taken = (one.baseline.cpu_ns, one.candidate.cpu_ns)
            assert (taken[::-1] if one.candidate_first else taken) in {
                (round(a), round(b)) for a, b in recorded
            }

    def test_the_coin_is_fair(self) -> None:
        rows = pool.load()["w1"]
        heads = sum(pool.World(rows, str(seed)).pair(1.0).candidate_first for seed in range(4000))
        assert abs(heads - 2000) < 3 * math.sqrt(1000)


def table_of(capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    code = verdict.main([*LITTLE, "--worlds", "2", *more])
    return code, capsys.readouterr().out


def test_more_processes_give_the_same_table() -> None:
    bench = verdict.Bench(pool.load(), 1, 1)
    assert bench.cells(jobs=2) == bench.cells()


def test_the_same_seed_gives_the_same_table_and_another_one_does_not(
    capsys: pytest.CaptureFixture[str],
) -> None:
    first, again, other = (table_of(capsys, "--seed", seed) for seed in ("3", "3", "4"))
    assert first == again
    assert json.loads(first[1])["cells"] != json.loads(other[1])["cells"]


def test_a_broken_rule_is_found_and_named(capsys: pytest.CaptureFixture[str]) -> None:
    def credulous(rule: Rule, inherited: int) -> Sequential:
        broken = replace(rule, alpha_improve=0.9, alpha_accept=0.9, min_pairs=1)
        return Sequential(broken, inherited)

    code = verdict.main([*LITTLE, "--worlds", "20"], ours.Judge(credulous))
    missed = json.loads(capsys.readouterr().out)["missed"]
    assert code == 1
    for figure in ("w1 A/A: improved", "w2 A/A: improved", "w1 +5%: accepted"):
        assert figure in missed
    assert any(text.startswith("guarantees broken: ours") for text in missed)


def test_a_rule_that_finds_nothing_misses_its_power(capsys: pytest.CaptureFixture[str]) -> None:
    def blind(rule: Rule, inherited: int) -> Sequential:
        return Sequential(replace(rule, alpha_improve=1e-12), inherited)

    code = verdict.main([*LITTLE, "--worlds", "3"], ours.Judge(blind))
    missed = json.loads(capsys.readouterr().out)["missed"]
    assert code == 1
    assert {"w1 -10%: not found", "w2 -10%: not found"} <= set(missed)


@pytest.mark.long
@pytest.mark.timeout(600)
def test_error_rates_on_recorded_noise(capsys: pytest.CaptureFixture[str]) -> None:
    code = verdict.main(["--quick", "--worlds", "200", "--seed", "20261126"])
    assert code == 0, capsys.readouterr().out


class TestManyCandidates:
    """What single verdicts add up to, by the product's own objects."""

    rows = pool.load()["w2"]

    def test_few_false_discoveries_and_a_bounded_ratchet_quick(self) -> None:
        size = worlds.Size(1, 120, 1, (0.03,), 60, 5, exact=False)
        found = worlds.simulate(worlds.Scene(self.rows, size, 5, ours.Judge()))
        assert [r.figure for r in worlds.targets(found, exact=False) if r.missed] == []
        by_rule = {d.rule: d for d in found.discoveries}
        assert by_rule["one run each, 5 % (seed)"].share > 0.5
        assert by_rule[ours.WHOLE].found > 0

    @pytest.mark.long
    @pytest.mark.timeout(900)
    def test_false_discoveries_of_a_thousand(self) -> None:
        size = worlds.Size(3, 1000, 0, (), 0, 0, exact=True)
        scene = worlds.Scene(self.rows, size, 20261126, ours.Judge())
        made = [worlds.discover(scene, name) for name in worlds.streams(scene.judge)]
        found = worlds.Found(made, [], [])
        assert [r.figure for r in worlds.targets(found, exact=True) if r.missed] == []
        by_rule = {d.rule: d for d in made}
        assert by_rule[ours.WHOLE].found > 0.6 * by_rule[ours.WHOLE].gains
        assert by_rule[ours.E_LOND].found > 0.35 * by_rule[ours.E_LOND].gains
        assert by_rule["one run each, 5 % (seed)"].share > 0.8

    @pytest.mark.long
    @pytest.mark.timeout(900)
    @pytest.mark.parametrize("step", [0.02, 0.03, 0.04])
    def test_three_hundred_small_losses(self, step: float) -> None:
        size = worlds.Size(0, 0, 2, (step,), 300, 0, exact=True)
        scene = worlds.Scene(self.rows, size, 20261126, ours.Judge())
        seed, anchored = (
            worlds.ratchet(scene, name, step) for name in (worlds.SEED, worlds.ANCHORED)
        )
        assert anchored.head <= 1.05
        assert seed.head > 10

    @pytest.mark.long
    @pytest.mark.timeout(600)
    def test_an_idea_that_returns_is_no_lottery_ticket(self) -> None:
        size = worlds.Size(0, 0, 0, (), 0, 60, exact=True)
        scene = worlds.Scene(self.rows, size, 9, ours.Judge())
        won = {name: worlds.tickets(scene, name).succeeded for name in worlds.TICKETS}
        assert won[worlds.CONTINUED] <= 60 * binomial.three_sigma(0.05, 60)
        assert won[worlds.ANEW] > 60 * 0.15


# --- verdicts on this machine -------------------------------------------------------------------


def sample(cost: float) -> Sample:
    return Sample(cpu_ns=round(cost), wall_ns=round(cost), rss_bytes=10**7)


def record(effect: float) -> answers.Record:
    """Return a candidate whose every pair shows the effect."""
    pair = Pair(
        started_ns=1, candidate_first=False, baseline=sample(1e8), candidate=sample(1e8 + effect)
    )
    stages = (Stage.SCREEN, Stage.CONFIRM) if effect < 0 else (Stage.SCREEN,)
    evaluation = Evaluation(
        status=EvaluationStatus.OK,
        cause="",
        base_commit="a" * 40,
        candidate_commit="b" * 40,
        attempt=1,
        checks=(),
        series=tuple(Series(benchmark="loop", stage=s, pairs=(pair,) * 20) for s in stages),
        assurance=Assurance.EXIT_CODE,
        sandbox=SandboxLevel(backend="bwrap", version="", limits=""),
        machine="m",
        started_ns=1,
        wall_ns=1,
    )
    return answers.Record(program="loop", seed=1, load=(1.0, 1.0), evaluation=evaluation)


def written(folder: Path, effects: list[float]) -> Path:
    file = folder / "pairs.jsonl"
    file.write_bytes(b"".join(msgspec.json.encode(record(e)) + b"\n" for e in effects))
    return file


@pytest.mark.parametrize(
    ("effects", "code", "missed"),
    [
        ([0.0] * 40, 0, ""),
        ([0.0] * 30 + [-3e7] * 10, 1, "improved and confirmed: 10 of 40"),
        ([0.0] * 30 + [3e7] * 10, 1, "regressed by CPU time: 10 of 40"),
    ],
)
def test_false_verdicts_are_counted_and_too_many_are_an_error(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    effects: list[float],
    code: int,
    missed: str,
) -> None:
    assert answers.judge(written(tmp_path, effects), as_json=True) == code
    found = json.loads(capsys.readouterr().out)["missed"]
    assert any(figure.startswith(missed) for figure in found) == bool(code)


RECORDED = Path(__file__).parents[2] / "docs" / "evidence" / "2026-11-26-verdicts-aa.jsonl.gz"


def test_recorded_verdicts_on_unchanged_programs_are_still_right() -> None:
    verdicts = [answers.judged(r) for r in answers.read(RECORDED)[:80]]
    missed = [r.figure for r in answers.rates(verdicts, null=True) if r.missed]
    assert missed == []
    assert not any(v.promoted for v in verdicts)


@pytest.mark.long
def test_all_recorded_verdicts_are_still_right(capsys: pytest.CaptureFixture[str]) -> None:
    assert answers.judge(RECORDED, as_json=True) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert rows[0]["samples"] >= 200


def test_real_candidates_that_change_nothing_are_evaluated_and_the_file_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "real.jsonl"
    for wanted in ("1", "2"):
        monkeypatch.setattr("sys.argv", ["aa.py", "collect", str(file), "--verdicts", wanted])
        assert aa.main() == 0
    records = answers.read(file)
    assert [r.program for r in records] == ["loop", "objects"]
    assert all(r.evaluation.status is EvaluationStatus.OK for r in records)
    assert {r.evaluation.sandbox.backend for r in records} != {"none"}
    verdicts = [answers.judged(r) for r in records]
    assert all(v.runs >= 12 for v in verdicts)
    out = tmp_path / "pool.csv.gz"
    answers.pool(file, out)
    again = pool.load(out)
    assert sum(len(rows) for rows in again.values()) == sum(
        len(s.pairs) for r in records for s in r.evaluation.series if s.stage is Stage.SCREEN
    )
