"""Which replaced lines does no test execute?"""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.evaluation.records import Coverage
from ouroboros.evaluation.untested import of_trees, replaced_lines

BEFORE = "def f(x):\n    if x < 0:\n        return -x\n    y = x\n    return y\n"


@pytest.mark.parametrize(
    ("after", "lines"),
    [
        (BEFORE, set()),
        (BEFORE.replace("return y", "return x"), {5}),
        (BEFORE.replace("    if x < 0:\n        return -x\n", ""), {2, 3}),
        (BEFORE.replace("    y = x\n", "    return 1\n    y = x\n"), {4}),
        (BEFORE + "    # the end\n", {5}),
        ("", {1, 2, 3, 4, 5}),
    ],
)
def test_replaced_lines(after: str, lines: set[int]) -> None:
    assert replaced_lines(BEFORE, after) == lines


@given(st.text(alphabet="ab\n", max_size=40), st.text(alphabet="ab\n", max_size=40))
def test_only_lines_that_exist_are_named(before: str, after: str) -> None:
    found = replaced_lines(before, after)
    assert found <= set(range(len(before.splitlines()) + 1))
    assert bool(found) == (before.splitlines() != after.splitlines())


def trees(folder: Path, after: str | None) -> tuple[Path, Path]:
    for side in ("base", "candidate"):
        (folder / side).mkdir()
    (folder / "base" / "m.py").write_text(BEFORE)
    if after is not None:
        (folder / "candidate" / "m.py").write_text(after)
    (folder / "candidate" / "new.py").write_text("x = 1\n")
    return folder / "base", folder / "candidate"


REPORT = Coverage(files={"m.py": ((1, 2, 4, 5), (1, 2, 3, 4, 5))})


def test_a_dropped_branch_that_no_test_enters_is_named(tmp_path: Path) -> None:
    after = BEFORE.replace("    if x < 0:\n        return -x\n", "")
    found = of_trees(*trees(tmp_path, after), ("m.py", "new.py"), (REPORT,))
    assert found == ("m.py:3",)


def test_tested_lines_are_not(tmp_path: Path) -> None:
    after = BEFORE.replace("    y = x\n    return y", "    return x")
    assert of_trees(*trees(tmp_path, after), ("m.py", "new.py"), (REPORT,)) == ()


def test_reports_of_several_processes_add_up(tmp_path: Path) -> None:
    other = Coverage(files={"m.py": ((3,), (1, 2, 3, 4, 5))})
    assert of_trees(*trees(tmp_path, ""), ("m.py",), (REPORT, other)) == ()


def test_a_file_that_no_test_loads_is_named_once(tmp_path: Path) -> None:
    assert of_trees(*trees(tmp_path, None), ("m.py", "data.txt"), ()) == ("m.py:1",)
