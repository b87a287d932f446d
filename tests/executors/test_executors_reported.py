"""Numbers that benchmarks report, evaluators that judge, and candidates that would rather say them.

The benchmark prints what it computed and then, where it reports by itself, a line of numbers.
"""

import textwrap
from typing import Any

import pytest

from ouroboros.executors.local import LocalExecutor
from ouroboros.model.evaluation import CheckStatus, EvaluationStatus, Stage

QUICK = """
    [tests]
    framework = "command"
    command = ["true"]
    [benchmarks.total]
    command = ["{python}", "bench/run.py"]
    timeout = "5s"
    [benchmarks.total.metrics.loss]
    role = "guard"
    max_degradation = 0.5
    [governor]
    min_pairs = 2
    max_pairs = 2
    alpha_accept = 0.4
    alpha_improve = 0.4
"""
JUDGED = QUICK.replace(
    'timeout = "5s"',
    'timeout = "5s"\n    evaluator = ["{python}", "bench/judge.py"]',
)
REPORTING = {
    "bench/run.py": """
        import json, shop.prices
        print("answer", shop.prices.total(100))
        print(json.dumps({"loss": 2.5, "other": 1}))
    """,
}
PRINTING = {
    "bench/run.py": "import shop.prices\nprint(shop.prices.total(100))\n",
    "bench/judge.py": """
        import json, pathlib, sys
        said = sys.stdin.read()
        answer = int(said.splitlines()[0])
        if answer < 0:
            sys.exit("a negative total")
        if answer == 13:
            print("unlucky")
            sys.exit()
        if answer == 14:
            import os
            os.abort()
        marks = [p.name for p in pathlib.Path(".").rglob("left-*")]
        loss = abs(answer - 197) + 1 + 100 * len(marks)
        print(json.dumps({"loss": loss}))
    """,
}
SAME = {"shop/prices.py": "def total(n):\n    return sum([i * i % 7 for i in range(n)])\n"}


def loop(body: str) -> dict[str, str]:
    """A candidate."""
    return {"shop/prices.py": textwrap.dedent(body)}


def losses(evaluation: Any) -> list[tuple[float, float]]:
    return [
        (p.baseline.reported["loss"], p.candidate.reported["loss"])
        for s in evaluation.series
        for p in s.pairs
    ]


@pytest.fixture
def reporting(target: Any) -> Any:
    target.config = target.configured(QUICK)
    target.base = target.commit(REPORTING)
    return target


@pytest.fixture
def judged(target: Any) -> Any:
    target.config = target.configured(JUDGED)
    target.base = target.commit(PRINTING)
    return target


async def test_reported_numbers_stand_in_every_sample(
    executor: LocalExecutor, reporting: Any, seen: Any
) -> None:
    evaluation = await executor.run(reporting.candidate(SAME), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert set(losses(evaluation)) == {(2.5, 2.5)}
    assert evaluation.series[0].stage is Stage.SCREEN
    assert evaluation.checks[-1].name == "output:total"
    assert evaluation.checks[-1].code == "ok"


async def test_what_is_printed_before_the_line_is_compared(
    executor: LocalExecutor, reporting: Any, seen: Any
) -> None:
    wrong = loop("def total(n):\n    return 7\n")
    evaluation = await executor.run(reporting.candidate(wrong), seen)
    assert evaluation.checks[-1].code == "different_output"
    assert "answer 197" in evaluation.checks[-1].text
    assert "loss" not in evaluation.checks[-1].text


async def test_numbers_that_vary_do_not_make_the_output_vary(
    executor: LocalExecutor, reporting: Any, seen: Any
) -> None:
    noisy = """
        import json, os, shop.prices
        print("answer", shop.prices.total(100))
        print(json.dumps({"loss": 1 + os.urandom(1)[0]}))
    """
    base = reporting.commit({"bench/run.py": noisy})
    evaluation = await executor.run(reporting.candidate(SAME, base=base), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert len(set(losses(evaluation))) > 1
    assert evaluation.checks[-1].code == "ok"


AT_EXIT = """
    import atexit, sys
    def total(n):
        return 197
    atexit.register(lambda: print({line!r}))
"""


@pytest.mark.parametrize("line", ["done", '{"loss": NaN}', '{"loss": 0}', '{"other": 1}'])
async def test_a_candidate_that_reports_rubbish_fails(
    executor: LocalExecutor, reporting: Any, seen: Any, line: str
) -> None:
    plan = reporting.candidate(loop(AT_EXIT.format(line=line)))
    evaluation = await executor.run(plan, seen)
    assert evaluation.status is EvaluationStatus.FAILED
    assert evaluation.checks[-1].code == "bad_report"
    assert "did not report its numbers on the candidate" in evaluation.cause


async def test_a_baseline_that_reports_rubbish_is_an_error(
    executor: LocalExecutor, reporting: Any, seen: Any
) -> None:
    base = reporting.commit({"bench/run.py": "print('ready')\n"})
    evaluation = await executor.run(reporting.candidate(SAME, base=base), seen)
    assert evaluation.status is EvaluationStatus.ERROR
    assert evaluation.checks[-1].code == "baseline_benchmark"
    assert "on the baseline" in evaluation.cause
    assert "ready" in evaluation.cause


@pytest.mark.parametrize("mode", ["reporting", "judged"])
async def test_output_that_was_cut_is_not_judged(
    executor: LocalExecutor, target: Any, seen: Any, mode: str
) -> None:
    small = '\n    [sandbox]\n    output = "8KiB"\n'
    target.config = target.configured((QUICK if mode == "reporting" else JUDGED) + small)
    target.base = target.commit(REPORTING if mode == "reporting" else PRINTING)
    chatty = loop("def total(n):\n    print('x' * 6000)\n    return 197\n")
    evaluation = await executor.run(target.candidate(chatty), seen)
    assert evaluation.status is EvaluationStatus.FAILED
    assert evaluation.checks[-1].code == "output_truncated"
    assert "[sandbox] output" in evaluation.cause
    swapped = target.plan(target.base, base=target.candidate(chatty).candidate_commit)
    evaluation = await executor.run(swapped, seen)
    assert evaluation.status is EvaluationStatus.ERROR
    assert "[sandbox] output" in evaluation.cause


async def test_an_evaluator_judges_both_sides(
    executor: LocalExecutor, judged: Any, seen: Any
) -> None:
    near = loop("def total(n):\n    return 199\n")
    evaluation = await executor.run(judged.candidate(near), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert set(losses(evaluation)) == {(1.0, 3.0)}
    assert evaluation.checks[-1].code == "judged"


CHEATS = {
    "prints_the_line_itself": """
        import atexit
        atexit.register(lambda: print('{"loss": 0.001}'))
        def total(n):
            return 199
    """,
    "leaves_files": """
        import pathlib
        pathlib.Path("left-here").write_text("x")
        pathlib.Path("/tmp/left-there").write_text("x")
        def total(n):
            return 199
    """,
    "replaces_the_judge": """
        import pathlib
        pathlib.Path("bench/judge.py").write_text("print('{\\"loss\\": 0.001}')")
        pathlib.Path("json.py").write_text("dumps = lambda _: '{\\"loss\\": 0.001}'")
        pathlib.Path("bench/json.py").write_text("dumps = lambda _: '{\\"loss\\": 0.001}'")
        def total(n):
            return 199
    """,
}


@pytest.mark.parametrize("kind", CHEATS)
async def test_an_evaluator_is_out_of_the_candidates_reach(
    executor: LocalExecutor, judged: Any, seen: Any, kind: str
) -> None:
    evaluation = await executor.run(judged.candidate(loop(CHEATS[kind])), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert set(losses(evaluation)) == {(1.0, 3.0)}


async def test_an_evaluator_runs_without_the_candidates_code(
    executor: LocalExecutor, judged: Any, seen: Any
) -> None:
    judge = """
        import json, sys, shop.prices
        print(json.dumps({"loss": abs(int(sys.stdin.read()) - shop.prices.total(100)) + 1}))
    """
    base = judged.commit({"bench/judge.py": judge})
    wrong = loop("def total(n):\n    return 5\n")
    evaluation = await executor.run(judged.candidate(wrong, base=base), seen)
    assert set(losses(evaluation)) == {(1.0, 193.0)}


async def test_a_refusing_evaluator_fails_the_candidate(
    executor: LocalExecutor, judged: Any, seen: Any
) -> None:
    evaluation = await executor.run(judged.candidate(loop("def total(n): return -1")), seen)
    assert evaluation.status is EvaluationStatus.FAILED
    assert evaluation.checks[-1].code == "evaluator_refused"
    assert "a negative total" in evaluation.cause


@pytest.mark.parametrize("answer", [13, 14])
async def test_a_broken_evaluator_is_an_error_whoever_it_breaks_on(
    executor: LocalExecutor, judged: Any, seen: Any, answer: int
) -> None:
    plan = judged.candidate(loop(f"def total(n): return {answer}"))
    evaluation = await executor.run(plan, seen)
    assert evaluation.status is EvaluationStatus.ERROR
    assert evaluation.checks[-1].status is CheckStatus.ERROR
    assert evaluation.checks[-1].code == "evaluator"


async def test_an_evaluator_that_refuses_the_baseline_is_an_error(
    executor: LocalExecutor, judged: Any, seen: Any
) -> None:
    base = judged.commit({"shop/prices.py": "def total(n): return -1\n"})
    evaluation = await executor.run(judged.candidate(SAME, base=base), seen)
    assert evaluation.status is EvaluationStatus.ERROR
    assert "on the output of the baseline" in evaluation.cause


async def test_output_is_compared_where_the_evaluators_numbers_decide_nothing(
    executor: LocalExecutor, judged: Any, seen: Any
) -> None:
    judged.config = judged.configured(JUDGED.replace('"guard"', '"report"'))
    near = loop("def total(n):\n    return 199\n")
    evaluation = await executor.run(judged.candidate(near), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert evaluation.checks[-1].code == "different_output"


async def test_a_judged_number_that_cannot_be_divided_by_fails_the_candidate(
    executor: LocalExecutor, judged: Any, seen: Any
) -> None:
    judge = "import json, sys\nprint(json.dumps({'loss': int(sys.stdin.read()) - 100}))\n"
    base = judged.commit({"bench/judge.py": judge})
    evaluation = await executor.run(
        judged.candidate(loop("def total(n): return 100"), base=base), seen
    )
    assert evaluation.status is EvaluationStatus.FAILED
    assert evaluation.checks[-1].code == "bad_report"
    assert "ratios need positive numbers" in evaluation.cause
