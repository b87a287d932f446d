"""What a challenge shows that a benchmark cannot, row by row, and what policy makes of it."""

from typing import Any

import pytest
from msgspec.structs import replace

from ouroboros.config import parse
from ouroboros.governor.challenge import GUARDS, guards
from ouroboros.governor.decide import Evidence, decide
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
from ouroboros.model.verdict import Decision, Outcome, Verdict

MS = 1_000_000
BASE = Sample(
    cpu_ns=50 * MS,
    wall_ns=52 * MS,
    rss_bytes=10**7,
    total_cpu_ns=130 * MS,
    start_cpu_ns=60 * MS,
    first_cpu_ns=3 * MS,
    idle_cpu_ns=0,
)
HONEST = replace(BASE, cpu_ns=30 * MS, wall_ns=32 * MS, total_cpu_ns=110 * MS)
TOML = """
[governor]
mode = "autonomous"
{policy}
[benchmarks.b]
command = ["true"]
[challenges.f]
call = "m:f"
"""


def pairs(candidate: Sample, baseline: Sample = BASE, count: int = 20) -> tuple[Pair, ...]:
    return tuple(
        Pair(started_ns=i, candidate_first=bool(i % 2), baseline=baseline, candidate=candidate)
        for i in range(1, count + 1)
    )


def both(name: str, candidate: Sample, baseline: Sample = BASE) -> tuple[Series, ...]:
    made = pairs(candidate, baseline)
    return tuple(Series(benchmark=name, stage=stage, pairs=made) for stage in Stage)


def evaluation(*series: Series, **more: Any) -> Evaluation:
    passed = CheckOutcome(name="tests", status=CheckStatus.PASSED, code="ok", text="")
    base: dict[str, Any] = {
        "status": EvaluationStatus.OK,
        "cause": "",
        "base_commit": "a" * 40,
        "candidate_commit": "b" * 40,
        "attempt": 1,
        "checks": (passed,),
        "series": series,
        "assurance": Assurance.CHALLENGE,
        "sandbox": SandboxLevel(backend="bwrap", version="0.11", limits="cgroup-v1"),
        "machine": "m",
        "started_ns": 1,
        "wall_ns": 1,
    }
    return Evaluation(**(base | more))


def verdict(*series: Series, policy: str = "", **more: Any) -> Verdict:
    config = parse(TOML.format(policy=policy).encode()).config
    return decide(
        Evidence(
            evaluation=evaluation(*series, **more),
            files=(),
            marks=(),
            config=config,
            config_hash="c" * 64,
        )
    )


BENCH_GAIN = both("b", HONEST)
BENCH_SAME = both("b", BASE)


def codes(v: Verdict) -> list[str]:
    return [r.code for r in v.reasons]


def test_a_gain_on_fresh_inputs_is_accepted_and_the_verdict_says_what_was_proven() -> None:
    v = verdict(*both("challenge:f", HONEST), *BENCH_GAIN)
    assert v.decision is Decision.ACCEPT, v.reasons
    assert v.assurance == "challenge"
    assert v.containment.startswith("bwrap 0.11, runs as user, calls not filtered, limits by")
    assert {c.metric for c in v.comparisons if c.benchmark == "challenge:f"} == {
        *("cpu", "wall", "memory"),
        *GUARDS,
    }


def test_a_gain_that_no_challenge_shows_is_held() -> None:
    v = verdict(*both("challenge:f", BASE), *BENCH_GAIN)
    assert v.decision is Decision.HOLD
    assert "gain_not_in_challenge" in codes(v)
    assert not v.wants_promotion


def test_a_challenge_that_was_not_measured_is_not_taken_for_harmless() -> None:
    v = verdict(*BENCH_GAIN)
    assert v.decision is Decision.HOLD
    assert {"guard_unproven", "gain_not_in_challenge"} <= set(codes(v))


@pytest.mark.parametrize(
    ("metric", "candidate"),
    [
        ("conservation", replace(HONEST, cpu_ns=MS, total_cpu_ns=130 * MS)),
        ("import", replace(HONEST, start_cpu_ns=90 * MS, total_cpu_ns=140 * MS)),
        ("first-call", replace(HONEST, first_cpu_ns=9 * MS, total_cpu_ns=115 * MS)),
        ("idle", replace(HONEST, idle_cpu_ns=20 * MS)),
        ("memory", replace(HONEST, rss_bytes=2 * 10**7)),
    ],
)
def test_time_that_comes_back_elsewhere_is_a_regression(metric: str, candidate: Sample) -> None:
    v = verdict(*both("challenge:f", candidate), *BENCH_GAIN)
    assert v.decision is Decision.REJECT
    assert set(codes(v)) == {"regressed"}
    worse = {c.metric for c in v.comparisons if c.outcome is Outcome.REGRESSED}
    assert worse == {metric}


@pytest.mark.parametrize(
    ("metric", "candidate"),
    [
        ("conservation", replace(HONEST, total_cpu_ns=121 * MS)),
        ("import", replace(HONEST, start_cpu_ns=69 * MS, total_cpu_ns=119 * MS)),
        ("first-call", replace(HONEST, first_cpu_ns=4 * MS + MS // 2)),
        ("idle", replace(HONEST, idle_cpu_ns=4 * MS)),
    ],
)
def test_what_noise_could_explain_goes_before_a_human(metric: str, candidate: Sample) -> None:
    v = verdict(*both("challenge:f", candidate), *BENCH_SAME)
    assert v.decision is Decision.HOLD
    assert "guard_unproven" in codes(v)
    assert any(metric in r.text for r in v.reasons if r.code == "guard_unproven")


def test_a_mean_does_not_hide_inputs_that_became_many_times_slower() -> None:
    base = replace(BASE, single_cpu_ns=(MS,) * 8)
    fast = replace(HONEST, single_cpu_ns=(MS // 2,) * 8)
    slow = replace(HONEST, single_cpu_ns=(4 * MS,) + (MS // 2,) * 7)
    made = pairs(slow, base)
    both_stages = tuple(Series(benchmark="challenge:f", stage=s, pairs=made) for s in Stage)
    v = verdict(*both_stages, *BENCH_SAME)
    assert v.decision is Decision.HOLD
    assert [r.text for r in v.reasons if r.code == "guard_unproven"] == [
        "challenge:f: single-input could not be proven to stay within its margin."
    ]
    few = (*pairs(slow, base, 2), *pairs(fast, base, 5))
    found = {c.metric: c.outcome for c in guards("challenge:f", Stage.SCREEN, few)}
    assert found["single-input"] is Outcome.NEUTRAL


def test_noise_without_a_claim_is_no_finding() -> None:
    slightly = replace(BASE, cpu_ns=49 * MS, total_cpu_ns=131 * MS)
    found = {c.metric: c.outcome for c in guards("challenge:f", Stage.SCREEN, pairs(slightly))}
    assert set(found.values()) == {Outcome.NEUTRAL}


def test_nothing_is_said_without_pairs() -> None:
    found = guards("challenge:f", Stage.SCREEN, ())
    assert [c.metric for c in found] == list(GUARDS)
    assert {c.outcome for c in found} == {Outcome.INCONCLUSIVE}


@pytest.mark.parametrize(
    ("policy", "more", "code"),
    [
        ("", {"assurance": Assurance.TESTS}, "low_assurance"),
        ('min_assurance = "challenge"', {"assurance": Assurance.TESTS}, "low_assurance"),
        ("", {"assurance": Assurance.EXIT_CODE}, "low_assurance"),
        ("", {"sandbox": ("landlock", False)}, "weak_sandbox"),
        ("", {"sandbox": ("none", True)}, "no_sandbox"),
        ('min_containment = "none"', {"sandbox": ("none", True)}, "no_sandbox"),
        ("", {"sandbox": ("something-new", False)}, "weak_sandbox"),
        ("", {"sandbox": ("bwrap", True)}, "network"),
    ],
)
def test_less_than_policy_demands_needs_a_human(
    policy: str, more: dict[str, Any], code: str
) -> None:
    if "sandbox" in more:
        backend, network = more["sandbox"]
        level = SandboxLevel(backend=backend, version="1", limits="x", network=network)
        more = {"sandbox": level}
    v = verdict(*both("challenge:f", HONEST), *BENCH_SAME, policy=policy, **more)
    assert v.decision is Decision.HOLD
    assert code in codes(v)
    assert v.wants_promotion


@pytest.mark.parametrize(
    ("policy", "more"),
    [
        ('min_assurance = "tests"', {"assurance": Assurance.TESTS}),
        ('min_assurance = "exit-code"', {"assurance": Assurance.EXIT_CODE}),
        (
            'min_containment = "landlock"',
            {"sandbox": SandboxLevel(backend="landlock", version="ABI 7", limits="x")},
        ),
    ],
)
def test_policy_may_ask_for_less(policy: str, more: dict[str, Any]) -> None:
    v = verdict(*both("challenge:f", HONEST), *BENCH_SAME, policy=policy, **more)
    assert v.decision is Decision.ACCEPT, v.reasons


def test_code_that_nothing_executes_needs_a_human() -> None:
    untested = {"untested": tuple(f"a.py:{n}" for n in range(1, 9))}
    v = verdict(*both("challenge:f", HONEST), *BENCH_SAME, **untested)
    assert v.decision is Decision.HOLD
    assert codes(v)[-1] == "untested_change"
    assert v.reasons[-1].text.endswith("a.py:5 and 3 more lines.")


def test_a_benchmark_that_prints_something_else_needs_a_human() -> None:
    odd = CheckOutcome(
        name="output:b", status=CheckStatus.PASSED, code="different_output", text="1 became 2"
    )
    v = verdict(*both("challenge:f", HONEST), *BENCH_SAME, checks=(odd,))
    assert v.decision is Decision.HOLD
    assert [(r.code, r.text) for r in v.reasons[1:]] == [("different_output", "1 became 2")]
