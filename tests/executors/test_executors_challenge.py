"""What a challenge says about honest candidates, cheats, and a challenge that is none."""

import asyncio
import contextlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from ouroboros.config import Sandbox as Limits
from ouroboros.evaluation.challenge.bout import round_trips_ns
from ouroboros.executors.local import LocalExecutor
from ouroboros.governor.compare import replay, rule_for
from ouroboros.model.evaluation import Assurance, CheckStatus, Evaluation, EvaluationStatus, Stage
from ouroboros.model.progress import Progress
from ouroboros.sandbox import Sandbox
from ouroboros.sandbox import runner as runner_module

SLOW = """
    def total(n):
        result = 0
        for i in range(n):
            result += i * i % 7
        return result
"""
FAST = """
    def total(n):
        a, b = divmod(n, 7)
        return a * 14 + (0, 0, 1, 5, 7, 9, 13)[b]
"""
INPUTS = """
    def sizes(rng):
        return (rng.randrange(3_000, 30_000),)
"""
TOML = """
    [tests]
    command = ["tests"]
    timeout = "20s"
    inverted = false
    [challenges.total]
    call = "shop.prices:total"
    inputs = "challenges/inputs.py:sizes"
    batch = 6
    rounds = 2
    timeout = "20s"
    [governor]
    benchmark_budget = "60s"
    [sandbox]
    memory = "256MiB"
    processes = 64
"""


@pytest.fixture(autouse=True)
def challenged(target: Any) -> None:
    target.config = target.configured(TOML, pairs=3)
    target.base = target.commit({"challenges/inputs.py": INPUTS, "bench/run.py": None})


def outcome(evaluation: Evaluation, name: str = "challenge:total") -> Any:
    return next(c for c in evaluation.checks if c.name == name)


def refused(evaluation: Evaluation, *codes: str) -> None:
    assert evaluation.status is EvaluationStatus.FAILED, evaluation
    assert outcome(evaluation).status is CheckStatus.FAILED
    assert outcome(evaluation).code in codes, outcome(evaluation)


def broken(evaluation: Evaluation, code: str, *words: str) -> None:
    assert evaluation.status is EvaluationStatus.ERROR, evaluation
    if code:
        assert outcome(evaluation).code == code, outcome(evaluation)
    for word in words:
        assert word in evaluation.cause, evaluation.cause


def guard(evaluation: Evaluation, target: Any, metric: str) -> Any:
    series = evaluation.series[-1]
    rule = rule_for(target.config, series.benchmark, series.stage)
    comparisons = replay(series, rule).comparisons(series.benchmark, series.stage)
    return next(c for c in comparisons if c.metric == metric)


async def test_an_honest_gain(
    executor: LocalExecutor, target: Any, seen: Any, logs: dict[str, bytes]
) -> None:
    evaluation = await executor.run(target.candidate({"shop/prices.py": FAST}), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert outcome(evaluation).status is CheckStatus.PASSED
    first = evaluation.series[0]
    assert (first.benchmark, first.stage) == ("challenge:total", Stage.SCREEN)
    for pair in evaluation.series[0].pairs:
        for sample in (pair.baseline, pair.candidate):
            assert 0 < sample.cpu_ns < sample.total_cpu_ns
            assert 0 < sample.first_cpu_ns < sample.total_cpu_ns
            assert 0 < sample.start_cpu_ns < sample.total_cpu_ns
            assert sample.idle_cpu_ns < sample.start_cpu_ns
        assert pair.candidate.cpu_ns < pair.baseline.cpu_ns
        saved = pair.baseline.total_cpu_ns - pair.candidate.total_cpu_ns
        assert saved > 0
    assert evaluation.assurance is Assurance.CHALLENGE
    assert evaluation.proof[0].startswith("shop/prices.py:")
    *_, measured, last = seen.stages
    assert measured in {"screen:challenge:total", "confirm:challenge:total"}
    assert last == "coverage"
    told = json.loads(logs[outcome(evaluation).log])
    assert len(set(told["seeds"])) == len(told["seeds"])


REFUSED = {
    "rarely_wrong": (
        """
        def total(n):
            return sum(i * i % 7 for i in range(n)) + (n > 1000 and n % 5 == 0)
        """,
        "different_result",
    ),
    "other_type": (
        """
        class Number(int):
            pass
        def total(n):
            return Number(sum(i * i % 7 for i in range(n)))
        """,
        "different_result",
    ),
    "equal_to_everything": (
        """
        class Equal:
            def __eq__(self, other):
                return True
            def __hash__(self):
                return 0
        def total(n):
            return Equal() if n > 1000 else sum(i * i % 7 for i in range(n))
        """,
        "different_result",
    ),
    "lazy": (
        """
        class Lazy(int):
            def __new__(cls, n):
                return int.__new__(cls, 0)
            def __reduce_ex__(self, protocol):
                return int, (0,)
        def total(n):
            return Lazy(n) if n > 1000 else sum(i * i % 7 for i in range(n))
        """,
        "different_result",
    ),
    "generator": (
        """
        def total(n):
            if n > 1000:
                return (x for x in [sum(i * i % 7 for i in range(n))])
            return sum(i * i % 7 for i in range(n))
        """,
        "different_result",
    ),
    "frames": (
        """
        import sys
        def total(n):
            frame = sys._getframe(1)
            while n > 1000 and frame:
                for values in (frame.f_locals, frame.f_globals):
                    for name in ("expected", "answer", "result", "results", "want"):
                        if isinstance(values.get(name), int):
                            return values[name]
                frame = frame.f_back
            return sum(i * i % 7 for i in range(n)) if n < 1000 else 0
        """,
        "different_result",
    ),
    "exits_cleanly": (
        """
        import sys
        def total(n):
            if n > 1000:
                sys.exit(0)
            return sum(i * i % 7 for i in range(n))
        """,
        "different_result",
    ),
    "exits_at_once": (
        """
        import os
        def total(n):
            if n > 1000:
                os._exit(0)
            return sum(i * i % 7 for i in range(n))
        """,
        "protocol",
    ),
    "other_exception": (
        """
        def total(n):
            if n > 1000:
                raise ValueError(n)
            return sum(i * i % 7 for i in range(n))
        """,
        "different_result",
    ),
    "garbage": (
        """
        import os
        def total(n):
            if n > 1000:
                os.write(3, b"\\0" * 64)
            return sum(i * i % 7 for i in range(n))
        """,
        "protocol",
    ),
    "answers_before_it_is_asked": (
        """
        import os, struct
        if "OUROBOROS_PATH" not in os.environ and "pytest" not in __import__("sys").modules:
            os.write(3, struct.pack(">cI8s", b"h", 0, bytes(8)))
        def total(n):
            return sum(i * i % 7 for i in range(n))
        """,
        "protocol",
    ),
    "huge_answer": (
        """
        import sys
        main = sys.modules["__main__"]
        if hasattr(main, "Exam"):
            main.Exam.dump = lambda self, content: (b"d", b"x" * (65 << 20))
        def total(n):
            return sum(i * i % 7 for i in range(n))
        """,
        "protocol",
    ),
    "empty_answer": (
        """
        import sys
        main = sys.modules["__main__"]
        if hasattr(main, "Exam"):
            main.Exam.dump = lambda self, content: (b"d", b"")
        def total(n):
            return sum(i * i % 7 for i in range(n))
        """,
        "different_result",
    ),
    "takes_the_channel": (
        """
        import os, sys, threading
        if hasattr(sys.modules["__main__"], "Exam"):
            threading.Thread(target=os.read, args=(3, 13), daemon=True).start()
        def total(n):
            return sum(i * i % 7 for i in range(n))
        """,
        "timeout",
    ),
    "hangs": (
        """
        def total(n):
            while n > 1000:
                pass
            return sum(i * i % 7 for i in range(n))
        """,
        "timeout",
    ),
    "memory": (
        """
        def total(n):
            if n > 1000:
                len(bytearray(b"x") * (1 << 30))
            return sum(i * i % 7 for i in range(n))
        """,
        "memory",
    ),
    "dies": (
        """
        import os
        def total(n):
            if n > 1000:
                os.abort()
            return sum(i * i % 7 for i in range(n))
        """,
        "crash",
    ),
    "fails_at_import": (
        """
        import sys
        if "pytest" not in sys.modules:
            raise ImportError("not today")
        def total(n):
            return sum(i * i % 7 for i in range(n))
        """,
        "import_failed",
    ),
    "floods": (
        """
        import os
        def total(n):
            while n > 1000:
                os.write(1, b"x" * 65536)
            return sum(i * i % 7 for i in range(n))
        """,
        "output",
    ),
    "closes_the_channel": (
        """
        import os
        def total(n):
            if n > 1000:
                os.close(3)
            return sum(i * i % 7 for i in range(n))
        """,
        "protocol",
    ),
}


@pytest.mark.long
@pytest.mark.parametrize("kind", REFUSED)
async def test_cheats_and_faults_are_refused(
    kind: str, executor: LocalExecutor, target: Any, seen: Any
) -> None:
    target.config = target.configured(
        TOML.replace('timeout = "20s"\n    [gov', 'timeout = "2s"\n    [gov'), pairs=3
    )
    source, code = REFUSED[kind]
    evaluation = await executor.run(target.candidate({"shop/prices.py": source}), seen)
    refused(evaluation, code)
    assert evaluation.assurance is Assurance.TESTS
    assert evaluation.series == ()


HIJACKED = """
    import sys
    main = sys.modules["__main__"]
    if hasattr(main, "Exam"):
        row = main.row
        def go(self, content):
            self.results = [None] * len(self.calls)
            return b"g", b""
        def dump(self, content):
            rows = [row(total(*args), args, kwargs) for args, kwargs in self.calls]
            return b"d", main.join(rows)
        main.Exam.go = go
        main.Exam.dump = dump
    def total(n):
        return sum(i * i % 7 for i in range(n))
"""
PREPAID = """
    import sys
    table = [0]
    if "pytest" not in sys.modules:
        for i in range(200_000):
            table.append(table[-1] + i * i % 7)
    def total(n):
        return table[n] if n < len(table) else sum(i * i % 7 for i in range(n))
"""
ON_FIRST_CALL = """
    table = [0]
    def total(n):
        if n > 1000 and len(table) == 1:
            for i in range(200_000):
                table.append(table[-1] + i * i % 7)
        return table[n] if n < len(table) else sum(i * i % 7 for i in range(n))
"""
WHILE_WAITING = """
    import sys, threading
    def work():
        table = {}
        for i in range(10 ** 9):
            table[i % 1000] = i
    if hasattr(sys.modules["__main__"], "Exam"):
        threading.Thread(target=work, daemon=True).start()
    def total(n):
        return sum(i * i % 7 for i in range(n))
"""
HUNGRY = """
    hoard = []
    def total(n):
        if n > 1000 and not hoard:
            hoard.append(bytearray(b"x") * (64 << 20))
        return sum(i * i % 7 for i in range(n))
"""
SEEN_THROUGH = {
    "hijacked": (HIJACKED, "conservation"),
    "at_import": (PREPAID, "import"),
    "on_first_call": (ON_FIRST_CALL, "first-call"),
    "while_waiting": (WHILE_WAITING, "idle"),
    "memory": (HUNGRY, "memory"),
}


@pytest.mark.parametrize("kind", SEEN_THROUGH)
async def test_right_results_paid_elsewhere_are_seen_in_the_samples(
    kind: str, executor: LocalExecutor, target: Any, seen: Any
) -> None:
    source, metric = SEEN_THROUGH[kind]
    target.config = target.configured(TOML.replace("batch = 6", "batch = 12"), pairs=3)
    evaluation = await executor.run(target.candidate({"shop/prices.py": source}), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert outcome(evaluation).status is CheckStatus.PASSED
    assert guard(evaluation, target, metric).outcome == "regressed", evaluation.series


async def test_remembering_does_not_help(executor: LocalExecutor, target: Any, seen: Any) -> None:
    source = """
        known = {}
        def total(n):
            if n not in known:
                known[n] = sum(i * i % 7 for i in range(n))
            return known[n]
    """
    evaluation = await executor.run(target.candidate({"shop/prices.py": source}), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    for pair in evaluation.series[0].pairs:
        assert pair.candidate.cpu_ns > pair.baseline.cpu_ns / 3


SORTER = """
    def arrange(rows, key=None):
        rows.sort(key=key)

    class Basket:
        def __init__(self, prices):
            self.prices = prices
        def cheapest(self, count):
            if count < 0:
                raise ValueError(f"negative: {count}")
            return iter(sorted(self.prices)[:count])
"""
SORTER_INPUTS = """
    from shop.sorter import Basket

    def rows(rng):
        return ([rng.random() for _ in range(rng.randrange(50))],)

    def baskets(rng):
        return (Basket([rng.randrange(99) for _ in range(20)]), rng.randrange(-3, 10))
"""
SORTER_TOML = TOML.replace("shop.prices:total", "shop.sorter:{call}").replace(
    "inputs.py:sizes", "sorter.py:{inputs}"
)


@pytest.mark.long
@pytest.mark.parametrize(
    "case",
    [
        ("arrange", "rows", "rows.sort(key=key)", "rows[:] = sorted(rows, key=key)", "ok"),
        (
            "arrange",
            "rows",
            "rows.sort(key=key)",
            "return sorted(rows, key=key)",
            "different_result",
        ),
        ("arrange", "rows", "rows.sort(key=key)", "rows.reverse()", "different_result"),
        ("Basket.cheapest", "baskets", "sorted(self.prices)", "sorted(list(self.prices))", "ok"),
        (
            "Basket.cheapest",
            "baskets",
            "raise ValueError(f",
            "raise KeyError(f",
            "different_result",
        ),
        ("Basket.cheapest", "baskets", "negative", "below zero", "different_result"),
        ("Basket.cheapest", "baskets", "return iter(", "return list(", "different_result"),
        ("Basket.cheapest", "baskets", "self.prices = p", "self.extra = 1; self.prices = p", "ok"),
    ],
)
async def test_arguments_exceptions_and_iterators_are_compared(
    case: tuple[str, ...], executor: LocalExecutor, target: Any, seen: Any
) -> None:
    call, inputs, before, after, code = case
    base = target.commit({"shop/sorter.py": SORTER, "challenges/sorter.py": SORTER_INPUTS})
    target.config = target.configured(SORTER_TOML.format(call=call, inputs=inputs), pairs=3)
    assert before in SORTER
    plan = target.candidate({"shop/sorter.py": SORTER.replace(before, after)}, base=base)
    evaluation = await executor.run(plan, seen)
    assert outcome(evaluation).code == code, evaluation


REPORT = """
    class Row:
        def __init__(self, key, tags):
            self.key = key
            self.tags = set(tags)

    def rows(n):
        return [Row(i, [f"tag-{i % 7}", f"tag-{i % 11}"]) for i in range(n // 50)]
"""


async def test_objects_and_sets_are_compared_by_what_they_hold(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    base = target.commit({"shop/report.py": REPORT})
    target.config = target.configured(
        TOML.replace("shop.prices:total", "shop.report:rows"), pairs=3
    )
    for before, after, code in (
        ("self.key = key\n            self.tags", "self.tags", "different_result"),
        (
            "self.key = key\n            self.tags = set(tags)",
            "self.tags = set(tags[::-1])\n            self.key = key",
            "ok",
        ),
        ("i % 11", "i % 12", "different_result"),
        ("i % 7", "i % 7 if i < 80 else i % 8", "different_result"),
        ("set(tags)", "frozenset(tags)", "different_result"),
    ):
        assert before in REPORT
        plan = target.candidate({"shop/report.py": REPORT.replace(before, after)}, base=base)
        evaluation = await executor.run(plan, seen)
        assert outcome(evaluation).code == code, evaluation


ANNOTATED = """
    def total(n: int, extra: list[str] | None = None, *, floor: float = 0.0):
        result = 0
        for i in range(n % 1000):
            result += i * i % 7
        return max(result, floor) if extra != ["b"] else str(n)
"""
DRAWN = TOML.replace('inputs = "challenges/inputs.py:sizes"', "").replace("batch = 6", "batch = 40")


@pytest.mark.parametrize(
    "case",
    [
        ("i * i % 7", "i ** 2 % 7", "ok"),
        ("max(result, floor)", "result", "different_result"),
        ("n % 1000", "abs(n) % 1000", "different_result"),
    ],
)
async def test_inputs_are_drawn_from_annotations(
    case: tuple[str, str, str], executor: LocalExecutor, target: Any, seen: Any
) -> None:
    before, after, code = case
    tests = {"tests/test_prices.py": "import shop.prices\ndef test_it(): shop.prices.total(3)\n"}
    base = target.commit({"shop/prices.py": ANNOTATED} | tests)
    target.config = target.configured(DRAWN, pairs=3)
    changed = ANNOTATED.replace(before, after)
    evaluation = await executor.run(target.candidate({"shop/prices.py": changed}, base=base), seen)
    assert outcome(evaluation).code == code, evaluation


async def test_no_annotation_no_inputs(executor: LocalExecutor, target: Any, seen: Any) -> None:
    target.config = target.configured(DRAWN, pairs=3)
    evaluation = await executor.run(target.candidate({"shop/prices.py": FAST}), seen)
    broken(evaluation, "", "'n'", "has no annotation", "name a generator")


async def test_without_hypothesis_it_says_what_to_do(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    base = target.commit({"hypothesis.py": "raise ImportError('not here')\n"})
    target.config = target.configured(DRAWN, pairs=3)
    evaluation = await executor.run(target.candidate({"shop/prices.py": FAST}, base=base), seen)
    broken(evaluation, "", "hypothesis is not installed", "name a generator")


GENERATORS = {
    "raises": ("def sizes(rng): return (1 / 0,)", "ZeroDivisionError"),
    "no_tuple": ("def sizes(rng): return 3", "as a tuple"),
    "missing": ("x = 1", "sizes"),
    "syntax": ("def sizes(rng)", "SyntaxError"),
    "exits": ("import os\ndef sizes(rng): os._exit(3)", "ended"),
    "unpicklable": ("def sizes(rng): return (lambda: 1,)", "pickle"),
}


@pytest.mark.long
@pytest.mark.parametrize("kind", GENERATORS)
async def test_a_generator_that_does_not_work_is_an_error(
    kind: str, executor: LocalExecutor, target: Any, seen: Any
) -> None:
    source, word = GENERATORS[kind]
    base = target.commit({"challenges/inputs.py": source})
    evaluation = await executor.run(target.candidate({"shop/prices.py": FAST}, base=base), seen)
    broken(evaluation, "", word, "challenges/inputs.py:sizes")


BASELINES = {
    "not_deterministic": (
        "import random\ndef total(n): return random.random() if n > 1000 else 5",
        "not_deterministic",
        "differs from itself",
    ),
    "uncomparable": (
        "import threading\ndef total(n): return threading.Lock()",
        "uncomparable",
        "lock",
    ),
    "async": ("async def total(n): return 5", "uncomparable", "coroutine"),
    "too_slow": (
        "def total(n):\n    while n > 1000: pass\n    return 5",
        "baseline_challenge",
        "smaller inputs",
    ),
    "missing": ("def sum(n): return 5", "baseline_challenge", "has no attribute 'total'"),
}


@pytest.mark.long
@pytest.mark.parametrize("kind", BASELINES)
async def test_a_baseline_that_cannot_be_a_measure_is_an_error(
    kind: str, executor: LocalExecutor, target: Any, seen: Any
) -> None:
    source, code, word = BASELINES[kind]
    tests = "def test_nothing(): pass\n"
    base = target.commit({"shop/prices.py": source, "tests/test_prices.py": tests})
    target.config = target.configured(
        TOML.replace('timeout = "20s"\n    [gov', 'timeout = "2s"\n    [gov'), pairs=3
    )
    evaluation = await executor.run(target.candidate({"shop/prices.py": FAST}, base=base), seen)
    broken(evaluation, code, word)


async def test_inputs_that_run_out_are_told(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    base = target.commit({"challenges/inputs.py": "def sizes(rng): return (rng.randrange(9),)"})
    evaluation = await executor.run(target.candidate({"shop/prices.py": FAST}, base=base), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert "repeated an earlier one" in outcome(evaluation).text


async def test_a_changed_file_that_no_challenge_runs_leaves_the_level(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    base = target.commit(
        {
            "shop/other.py": "x = 1\n",
            "tests/test_other.py": "from shop.other import x\ndef test_x(): assert x\n",
        }
    )
    changes = {"shop/prices.py": FAST, "shop/other.py": "x = 2\n"}
    evaluation = await executor.run(target.candidate(changes, base=base), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert outcome(evaluation).status is CheckStatus.PASSED
    assert evaluation.assurance is Assurance.TESTS


PROGRAM = """
    import sys
    from shop.prices import total
    numbers = [total(int(line)) for line in sys.stdin]
    print(max(numbers) if "--max" in sys.argv else sum(numbers))
    sys.exit(len(numbers) % 2)
"""
PROGRAM_INPUTS = """
    def runs(rng):
        lines = [str(rng.randrange(1, 3000)) for _ in range(rng.randrange(1, 9))]
        return (["--max"] if rng.random() < 0.5 else [], "\\n".join(lines).encode())
"""
PROGRAM_TOML = TOML.replace(
    'call = "shop.prices:total"', 'command = ["{python}", "-m", "shop.report"]'
).replace("inputs.py:sizes", "report.py:runs")


async def test_a_program_is_challenged_through_its_output(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    base = target.commit({"shop/report.py": PROGRAM, "challenges/report.py": PROGRAM_INPUTS})
    target.config = target.configured(PROGRAM_TOML, pairs=3)
    evaluation = await executor.run(target.candidate({"shop/prices.py": FAST}, base=base), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert outcome(evaluation).status is CheckStatus.PASSED
    assert evaluation.assurance is Assurance.CHALLENGE
    assert evaluation.series[0].pairs[0].baseline.cpu_ns > 0


@pytest.mark.long
@pytest.mark.parametrize(
    "case",
    [
        ("max(numbers)", "max(numbers) + 1", "different_result"),
        ("sys.exit(len(numbers) % 2)", "sys.exit(0)", "different_result"),
        ("import sys", "import os, sys\nos.abort()", "crash"),
        ("numbers = ", "while True: pass\nnumbers = ", "timeout"),
    ],
)
async def test_a_program_that_answers_otherwise_is_refused(
    case: tuple[str, str, str], executor: LocalExecutor, target: Any, seen: Any
) -> None:
    before, after, code = case
    base = target.commit({"shop/report.py": PROGRAM, "challenges/report.py": PROGRAM_INPUTS})
    target.config = target.configured(
        PROGRAM_TOML.replace('timeout = "20s"\n    [gov', 'timeout = "2s"\n    [gov'), pairs=3
    )
    source = PROGRAM.replace("\n    ", "\n").replace(before, after)
    plan = target.candidate({"shop/report.py": source}, base=base)
    refused(await executor.run(plan, seen), code)


@pytest.mark.parametrize("stage", ["proof", "screen:challenge:total"])
async def test_cancelling_ends_every_process(
    stage: str, executor: LocalExecutor, target: Any, seen: Any
) -> None:
    slow = SLOW.replace("result = 0", "result = 0\n        while n > 1000: n = n").replace(
        "while n", "while n" if stage == "proof" else "while False and n"
    )
    plan = target.candidate({"shop/prices.py": slow})
    reached = asyncio.Event()

    def report(progress: Progress) -> None:
        if progress.stage == stage:
            reached.set()

    task = asyncio.ensure_future(executor.run(plan, report))
    await reached.wait()
    await until(lambda: workers() != [])
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert workers() == []


def workers() -> list[psutil.Process]:
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if any("_ouroboros_worker.py" in word for word in process.cmdline()):
                found.append(process)
    return found


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110 - nobody tells when a process is there
            await asyncio.sleep(0.01)


async def test_a_launcher_that_dies_is_an_error(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    slow = SLOW.replace("result = 0", "result = 0\n        while n > 1000: pass")
    running = asyncio.ensure_future(executor.run(target.candidate({"shop/prices.py": slow}), seen))
    await until(lambda: "proof" in seen.stages and len(workers()) > 2)
    process = executor._sandbox._link._process
    assert process is not None
    process.kill()
    broken(await running, "", "sandbox")


async def test_an_empty_round_trip_can_be_timed(executor: LocalExecutor) -> None:
    trips = await round_trips_ns(executor._sandbox, sys.executable, 50)
    assert len(trips) == 50
    assert min(trips) > 0
    assert workers() == []


@pytest.mark.long
@pytest.mark.parametrize("machine", ["no_groups", "no_bubblewrap"])
async def test_on_lesser_machines(
    machine: str, target: Any, seen: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if machine == "no_groups":
        monkeypatch.setattr(runner_module.Groups, "find", classmethod(lambda cls: None))
    else:
        monkeypatch.setattr(runner_module.bwrap, "candidates", list)
    executor = LocalExecutor(
        sandbox=await Sandbox.open(Limits(allow_unconfined=True), tmp_path),
        export=target.export,
        put_evidence=lambda _: "log",
        cache=tmp_path / "trees",
    )
    evaluation = await executor.run(target.candidate({"shop/prices.py": FAST}), seen)
    refusal = await executor.run(
        target.candidate({"shop/prices.py": "def total(n): return 5\n"}), seen
    )
    await executor.close()
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert guard(evaluation, target, "conservation").outcome == "neutral"
    for pair in evaluation.series[0].pairs:
        assert 1 < pair.candidate.cpu_ns < pair.baseline.cpu_ns < pair.baseline.total_cpu_ns
    assert refusal.status is EvaluationStatus.FAILED
