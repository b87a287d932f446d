"""Real runs: what the baseline's tests execute decides what their passing is worth."""

import sys
from typing import Any

import pytest

from ouroboros.evaluation.untested import UNKNOWN
from ouroboros.executors.local import LocalExecutor
from ouroboros.model.evaluation import Assurance, EvaluationStatus

FEATURE = {
    "shop/names.py": """
    import functools

    @functools.wraps(str)
    def clean(text):
        words = [w for w in text.split()]
        if any(ord(c) > 127 for c in text):
            words = [w.encode("ascii", "ignore").decode() for w in words]
        def join(parts):
            return " ".join(
                parts,
            )
        try:
            return join(words).lower()
        finally:
            words.clear()
    """,
    "tests/test_names.py": """
        import unittest
        from shop.names import clean

        class Names(unittest.TestCase):
            def test_words(self):
                self.assertEqual(clean(" Ann  Lee "), "ann lee")
    """,
}
DROPPED = FEATURE["shop/names.py"].replace(
    """        if any(ord(c) > 127 for c in text):
            words = [w.encode("ascii", "ignore").decode() for w in words]
""",
    "",
)
FASTER = {
    "shop/prices.py": """
    def total(n):
        return sum(i * i % 7 for i in range(n))
    """
}
QUICKER = FEATURE["shop/names.py"].replace("[w for w in text.split()]", "text.split()")


@pytest.mark.parametrize("framework", ["pytest", "unittest"])
async def test_a_dropped_feature_without_a_test_is_named(
    executor: LocalExecutor, target: Any, seen: Any, framework: str
) -> None:
    command = '["tests"]' if framework == "pytest" else '["tests.test_names"]'
    target.config = target.configured(
        f'[tests]\nframework = "{framework}"\ncommand = {command}\ninverted = false\n'
    )
    base = target.commit(FEATURE)
    plan = target.candidate({"shop/names.py": DROPPED}, base=base)
    evaluation = await executor.run(plan, seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert evaluation.untested == ("shop/names.py:7",)
    assert "coverage" in seen.stages
    seen.clear()
    evaluation = await executor.run(target.candidate({"shop/names.py": QUICKER}, base=base), seen)
    assert evaluation.untested == ()
    assert "coverage" not in seen.stages  # the baseline was traced already


async def test_what_a_challenge_executes_is_not_untested(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    target.config = target.configured(
        """
        [tests]
        command = ["tests"]
        inverted = false
        [challenges.clean]
        call = "shop.names:clean"
        inputs = "challenges/names.py:case"
        batch = 4
        rounds = 2
        """,
        pairs=2,
    )
    generator = (
        "def case(rng):\n    return (rng.choice(['a b ', ' \u00e9 c']) * rng.randrange(1, 9),)\n"
    )
    base = target.commit(FEATURE | {"challenges/names.py": generator})
    kept = FEATURE["shop/names.py"].replace('"ignore").decode()', '"ignore").decode("ascii")')
    evaluation = await executor.run(target.candidate({"shop/names.py": kept}, base=base), seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    assert evaluation.untested == ()
    assert evaluation.assurance is Assurance.CHALLENGE


async def test_tests_that_fail_when_traced_leave_it_unknown(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    target.config = target.configured('[tests]\ncommand = ["tests"]\ninverted = false\n')
    picky = "import sys\ndef test_plain():\n    assert sys.gettrace() is None\n"
    base = target.commit({"tests/test_picky.py": picky})
    plan = target.candidate({"shop/names.py": "x = 1\n", **FASTER}, base=base)
    evaluation = await executor.run(plan, seen)
    assert evaluation.status is EvaluationStatus.OK, evaluation.cause
    # From Python 3.12 on, nothing has to be traced.
    assert evaluation.untested == (() if hasattr(sys, "monitoring") else (UNKNOWN,))
