"""The verdict, row by row: which evidence and which policy give which answer."""

import random

import pytest
from msgspec.structs import replace

from ouroboros.config import Config, parse
from ouroboros.errors import Misuse
from ouroboros.governor.decide import Evidence, decide, screen_verdict
from ouroboros.model.evaluation import (
    Assurance,
    CheckOutcome,
    CheckStatus,
    Evaluation,
    EvaluationStatus,
    Pair,
    Sample,
    SandboxLevel,
    Series,
    Stage,
)
from ouroboros.model.proposal import FileChange, FileStatus, Mark, Severity
from ouroboros.model.verdict import Decision, Verdict

BENCH = '[benchmarks.b]\ncommand = ["true"]\n'


def config(governor: str = "", *, benchmarks: str = BENCH) -> Config:
    return parse(f"[governor]\n{governor}\n{benchmarks}".encode()).config


def series(
    stage: Stage, effect: float, pairs: int, *, noise: float = 0.01, memory: float = 1
) -> Series:
    rng = random.Random(f"{stage} {effect} {pairs}")

    def sample(factor: float, rss: float) -> Sample:
        cost = int(1e8 * factor * (1 + rng.gauss(0, noise)))
        return Sample(cpu_ns=cost, wall_ns=cost, rss_bytes=int(1e7 * rss))

    made = [
        Pair(
            started_ns=i,
            candidate_first=bool(i % 2),
            baseline=sample(1, 1),
            candidate=sample(1 + effect, memory),
        )
        for i in range(pairs)
    ]
    return Series(benchmark="b", stage=stage, pairs=tuple(made))


GAIN = (series(Stage.SCREEN, -0.3, 20), series(Stage.CONFIRM, -0.3, 20))
PASSED = CheckOutcome(name="tests", status=CheckStatus.PASSED, code="ok", text="60 passed")
EVALUATION = Evaluation(
    status=EvaluationStatus.OK,
    cause="",
    base_commit="a" * 40,
    candidate_commit="b" * 40,
    attempt=1,
    checks=(PASSED,),
    series=GAIN,
    assurance=Assurance.TESTS,
    sandbox=SandboxLevel(backend="bwrap", version="0.11", limits="rlimits"),
    machine="m",
    started_ns=1,
    wall_ns=1,
)
ONE_FILE = (FileChange(path="a.py", status=FileStatus.MODIFIED, added=1, removed=1),)


def verdict(
    evaluation: Evaluation = EVALUATION,
    *,
    governor: str = 'mode = "autonomous"',
    files: tuple[FileChange, ...] = ONE_FILE,
    marks: tuple[Mark, ...] = (),
    benchmarks: str = BENCH,
) -> Verdict:
    return decide(
        Evidence(
            evaluation=evaluation,
            files=files,
            marks=marks,
            config=config(governor, benchmarks=benchmarks),
            config_hash="c" * 64,
        )
    )


def codes(v: Verdict) -> list[str]:
    return [r.code for r in v.reasons]


def test_a_gain_proven_twice_is_accepted_when_policy_allows() -> None:
    v = verdict()
    assert v.decision is Decision.ACCEPT
    assert v.wants_promotion
    assert codes(v) == ["improved"]


@pytest.mark.parametrize(
    ("governor", "code"),
    [
        ("", "mode_supervised"),
        ('mode = "supervised"', "mode_supervised"),
        ('mode = "observe"', "mode_observe"),
        ('mode = "autonomous"\nmax_files = 1\nmax_lines = 1', "large_diff"),
    ],
)
def test_policy_holds_what_the_evidence_would_promote(governor: str, code: str) -> None:
    v = verdict(governor=governor)
    assert v.decision is Decision.HOLD
    assert v.wants_promotion
    assert code in codes(v)


def test_a_mark_that_asks_for_a_human_gets_one() -> None:
    mark = Mark(rule="deletes-file", severity=Severity.HOLD, text="deletes", path="a.py")
    v = verdict(marks=(mark,))
    assert v.decision is Decision.HOLD
    assert "screen:deletes-file" in codes(v)


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"assurance": Assurance.EXIT_CODE}, "low_assurance"),
        (
            {"sandbox": SandboxLevel(backend="none", version="", limits="rlimits")},
            "weak_sandbox",
        ),
    ],
)
def test_weak_evidence_is_never_promoted_alone(change: dict[str, object], code: str) -> None:
    v = verdict(replace(EVALUATION, **change))
    assert v.decision is Decision.HOLD
    assert code in codes(v)


def test_a_failed_check_rejects_with_its_code_and_no_number_can_save_it() -> None:
    failed = CheckOutcome(
        name="tests", status=CheckStatus.FAILED, code="tests_failed", text="2 of 60 failed: x"
    )
    v = verdict(replace(EVALUATION, status=EvaluationStatus.FAILED, checks=(failed,)))
    assert v.decision is Decision.REJECT
    assert codes(v) == ["tests_failed"]
    assert "2 of 60" in v.reasons[0].text


def test_a_harness_fault_never_becomes_a_verdict() -> None:
    with pytest.raises(Misuse):
        verdict(replace(EVALUATION, status=EvaluationStatus.ERROR))


def test_a_proven_regression_is_rejected() -> None:
    v = verdict(replace(EVALUATION, series=(series(Stage.SCREEN, 0.3, 20),)))
    assert v.decision is Decision.REJECT
    assert set(codes(v)) == {"regressed"}


def test_no_gain_in_sight_is_rejected_and_says_so() -> None:
    v = verdict(replace(EVALUATION, series=(series(Stage.SCREEN, 0.0, 40),)))
    assert v.decision is Decision.REJECT
    assert codes(v) == ["no_gain"]


def test_harmless_is_accepted_only_if_policy_says_so() -> None:
    evaluation = replace(EVALUATION, series=(series(Stage.SCREEN, 0.0, 40),))
    v = verdict(evaluation, governor='mode = "autonomous"\naccept_neutral = true')
    assert v.decision is Decision.ACCEPT
    assert codes(v) == ["neutral"]


def test_a_gain_that_fresh_pairs_do_not_confirm_is_not_a_gain() -> None:
    lucky = (series(Stage.SCREEN, -0.3, 20), series(Stage.CONFIRM, 0.0, 40))
    v = verdict(replace(EVALUATION, series=lucky))
    assert v.decision is Decision.REJECT
    assert codes(v) == ["not_confirmed"]


def test_pairs_that_ran_out_are_held_not_accepted() -> None:
    def pair(factor: float) -> Pair:
        cost = int(1e8 * factor)
        side = Sample(cpu_ns=cost, wall_ns=cost, rss_bytes=10**7)
        base = Sample(cpu_ns=10**8, wall_ns=10**8, rss_bytes=10**7)
        return Pair(started_ns=1, candidate_first=False, baseline=base, candidate=side)

    torn = tuple(pair(f) for f in (0.8, 1.1, 0.8, 1.1, 0.8, 0.9))
    noisy = Series(benchmark="b", stage=Stage.SCREEN, pairs=torn)
    v = verdict(replace(EVALUATION, series=(noisy,)))
    assert v.decision is Decision.HOLD
    assert not v.wants_promotion
    assert codes(v) == ["inconclusive"]


def test_a_gain_bought_with_memory_is_rejected() -> None:
    fat = tuple(series(stage, -0.3, 20, memory=1.5) for stage in Stage)
    v = verdict(replace(EVALUATION, series=fat))
    assert v.decision is Decision.REJECT
    assert "memory" in v.reasons[0].text


def test_without_a_benchmark_a_human_decides() -> None:
    v = verdict(replace(EVALUATION, series=()), benchmarks="")
    assert v.decision is Decision.HOLD
    assert codes(v) == ["nothing_measured"]


def test_a_benchmark_that_vanished_from_the_evidence_is_unproven() -> None:
    two = BENCH + '[benchmarks.other]\ncommand = ["true"]\n'
    v = verdict(benchmarks=two)
    assert v.decision is Decision.HOLD
    assert "guard_unproven" in codes(v)


def test_the_same_evidence_gives_the_same_verdict() -> None:
    assert verdict() == verdict()


def test_marks_that_refuse_are_the_reasons_with_their_places() -> None:
    marks = (
        Mark(rule="symlink", severity=Severity.REJECT, text="no links", path="x"),
        Mark(rule="deletes-file", severity=Severity.HOLD, text="deletes", path="y"),
    )
    reasons = screen_verdict(marks)
    assert [(r.code, r.text) for r in reasons] == [("screen:symlink", "x: no links")]
