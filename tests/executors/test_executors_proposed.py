"""What `init` proposes as challenges can be held as it stands, by real examiner and referee."""

from pathlib import Path
from typing import Any

import pytest

from ouroboros.cli.detect import look
from ouroboros.cli.template import render
from ouroboros.executors.local import LocalExecutor
from ouroboros.model.evaluation import Assurance, CheckStatus

PURE = '''
    from collections.abc import Mapping, Sequence
    from typing import Optional


    def total(items: Sequence[tuple[str, int]], rate: Optional[float] = None) -> float:
        """Return the sum of all prices."""
        result = 0.0
        for _, price in items:
            for step in (1.0, rate or 0.5):
                result += price * step
        return result


    class Words:
        @staticmethod
        def lengths(text: str, wanted: set[int]) -> dict[int, list[str]]:
            found: dict[int, list[str]] = {}
            for word in text.split():
                for size in sorted(wanted):
                    if len(word) >= size:
                        found.setdefault(size, []).append(word)
            return found


    def merged(left: Mapping[str, int], right: dict[str, int]) -> list[str]:
        names = [name for name in left if name in right]
        for name in right:
            names += [name for _ in range(right[name] % 3)]
        return names
'''
LIMITS = """
[governor]
benchmark_budget = "60s"
"""


@pytest.mark.long
@pytest.mark.timeout(240)
async def test_proposals_make_inputs_and_compare(
    executor: LocalExecutor, target: Any, seen: Any
) -> None:
    tests = {"tests/test_prices.py": "import shop.prices\ndef test_it(): shop.prices.total([])\n"}
    base = target.commit({"shop/prices.py": PURE, "bench/run.py": None} | tests)
    found = look(Path(target.folder), "main")
    assert {c.call for c in found.challenges} == {
        "shop.prices:total",
        "shop.prices:Words.lengths",
        "shop.prices:merged",
    }
    written = "\n".join(
        line.removeprefix("# ")
        for line in render(found).splitlines()
        if line.startswith(("# [challenges.", "# call = ", "[tests]", "framework", "command"))
    )
    written = written.replace("[tests]", "[tests]\ninverted = false")
    target.config = target.configured(f"{written}\n{LIMITS}", pairs=2)
    changed = PURE.replace("price * step", "step * price")
    plan = target.candidate({"shop/prices.py": changed}, base=base)
    evaluation = await executor.run(plan, seen)
    checks = {c.name: c for c in evaluation.checks if c.name.startswith("challenge:")}
    assert len(checks) == 3, evaluation
    assert {c.status for c in checks.values()} == {CheckStatus.PASSED}, evaluation
    assert evaluation.assurance is Assurance.CHALLENGE

    wrong = PURE.replace("append(word)", "append(word + '.')")
    evaluation = await executor.run(target.candidate({"shop/prices.py": wrong}, base=base), seen)
    failed = [c.name for c in evaluation.checks if c.status is CheckStatus.FAILED]
    assert failed == ["challenge:Words-lengths"], evaluation
