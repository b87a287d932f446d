"""What policy asks people for although the evidence says yes, row by row."""

from typing import Any

import pytest
from compare_world import config, evaluation, metrics, sample, steady, twice

from ouroboros.config import parse
from ouroboros.governor.decide import Evidence, decide
from ouroboros.governor.policy import policy_holds
from ouroboros.model.proposal import FileChange, FileStatus
from ouroboros.model.verdict import Decision, Moment

GAIN = twice(steady(sample(cost=0.9), 30))


def files(*paths: str) -> tuple[FileChange, ...]:
    return tuple(FileChange(path=p, status=FileStatus.MODIFIED, added=1, removed=1) for p in paths)


def evidence(policy: str = "", *, mode: str = "autonomous", **more: Any) -> Evidence:
    text = f'[governor]\nmode = "{mode}"\n{policy}\n[benchmarks.b]\ncommand = ["true"]\n'
    usual: dict[str, Any] = {
        "evaluation": evaluation(*GAIN),
        "files": files("src/a.py"),
        "marks": (),
        "config": parse(text.encode()).config,
        "config_hash": "c" * 64,
        "proposer": "codemod",
    }
    return Evidence(**(usual | more))


def codes(given: Evidence) -> list[str]:
    return [r.code for r in policy_holds(given)]


@pytest.mark.parametrize(
    ("policy", "more", "expected"),
    [
        ("", {}, []),
        ('[governor.autonomy]\npaths = ["src/**"]', {}, []),
        ('[governor.autonomy]\npaths = ["lib/**"]', {}, ["autonomy_paths"]),
        (
            '[governor.autonomy]\npaths = ["src/**"]',
            {"files": files("src/a.py", "setup.cfg")},
            ["autonomy_paths"],
        ),
        ('[governor.autonomy]\nproposers = ["codemod", "tuner"]', {}, []),
        ('[governor.autonomy]\nproposers = ["code*"]', {}, []),
        ('[governor.autonomy]\nproposers = ["tuner"]', {}, ["autonomy_proposer"]),
        ('[governor.autonomy]\nproposers = ["tuner"]', {"proposer": ""}, ["autonomy_proposer"]),
        ("", {"proposer": ""}, []),
        ("[governor.autonomy]\nmin_gain = 0.09", {}, []),
        ("[governor.autonomy]\nmin_gain = 0.11", {}, ["autonomy_gain"]),
        ("", {"moment": Moment(now_ns=1, promotions=49, promotions_of_proposer=49)}, []),
        ("", {"moment": Moment(now_ns=1, promotions=50)}, ["promotion_limit"]),
        (
            "[governor.limits]\npromotions_per_proposer = 2",
            {"moment": Moment(now_ns=1, promotions=3, promotions_of_proposer=2)},
            ["proposer_limit"],
        ),
        (
            "[governor.limits]\npromotions_per_day = 1\npromotions_per_proposer = 1",
            {"moment": Moment(now_ns=1, promotions=1, promotions_of_proposer=1)},
            ["promotion_limit", "proposer_limit"],
        ),
        ('[governor.limits]\nreviewed = ["src/**"]', {}, ["reviewed_path"]),
        ('[governor.limits]\nreviewed = ["lib/**"]', {}, []),
    ],
)
def test_what_a_human_must_answer(policy: str, more: dict[str, Any], expected: list[str]) -> None:
    given = evidence(policy, **more)
    assert codes(given) == expected
    verdict = decide(given)
    assert verdict.decision is (Decision.HOLD if expected else Decision.ACCEPT)
    assert verdict.wants_promotion
    assert [r.code for r in verdict.reasons] == ["improved", *expected]


@pytest.mark.parametrize("mode", ["supervised", "observe"])
def test_autonomy_says_nothing_where_there_is_none(mode: str) -> None:
    policy = (
        '[governor.autonomy]\npaths = ["lib/**"]\nproposers = ["x"]\nmin_gain = 0.5\n'
        '[governor.limits]\nreviewed = ["src/**"]\npromotions_per_day = 1\n'
    )
    given = evidence(policy, mode=mode, moment=Moment(now_ns=1, promotions=9))
    assert codes(given) == ["reviewed_path", f"mode_{mode}"]


def test_paths_are_named_and_not_all_of_many() -> None:
    many = files(*(f"lib/{n}.py" for n in range(8)), "lib/\x1b[31m.py")
    given = evidence('[governor.autonomy]\npaths = ["src/**"]', files=many)
    (reason,) = policy_holds(given)
    assert "lib/0.py, lib/1.py" in reason.text
    assert reason.text.endswith("and 4 more.")
    assert "\x1b" not in reason.text


@pytest.mark.parametrize(
    ("table", "score", "held"),
    [
        ('role = "objective"\ndirection = "higher"', 200.0, True),  # what it says of itself
        (
            'role = "objective"\nscale = "difference"\nmax_degradation = 5.0\nmin_gain = 1.0',
            -100.0,
            True,  # no fraction
        ),
    ],
)
def test_the_gain_that_policy_asks_for_is_a_fraction_that_we_measured(
    table: str,
    score: float,
    held: bool,  # noqa: FBT001 - a table's column
) -> None:
    policy = 'mode = "autonomous"\n[governor.autonomy]\nmin_gain = 0.3'
    made = twice(steady(sample(cost=0.9, score=score), 30, sample(score=100.0)))
    given = Evidence(
        evaluation=evaluation(*made),
        files=(),
        marks=(),
        config=config(metrics(score=table), policy),
        config_hash="c" * 64,
    )
    assert ("autonomy_gain" in codes(given)) is held


def test_a_neutral_change_is_no_gain() -> None:
    given = evidence(
        "accept_neutral = true\n[governor.autonomy]\nmin_gain = 0.01",
        evaluation=evaluation(*twice(steady(sample(), 30))),
    )
    assert codes(given) == ["autonomy_gain"]
    assert "No gain is confirmed" in policy_holds(given)[0].text
