from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.proposers.codemod.ruff_fixes import (
    Edit,
    Place,
    by_rule,
    carry_out,
    findings,
    prior,
    target_version,
)

TEXT = """\
def a(xs):
    é = "ü"; return é, any([x.ok for x in xs]), sorted(xs)[0]


def b(xs, d):
    try:
        d.pop()
    except KeyError:
        pass
    return "k" in d.keys() and "l" in d.keys(), any([x.ok for x in xs])
"""


async def test_one_rule_in_one_function() -> None:
    found = await findings(TEXT, "mod.py", "py311")
    rules = {code: carry_out(TEXT, edits) for code, _, edits in by_rule(found, 1, 2)}
    assert rules["C419"] == TEXT.replace(
        "any([x.ok for x in xs]), sorted", "any(x.ok for x in xs), sorted"
    )
    assert rules["FURB192"] == TEXT.replace("sorted(xs)[0]", "min(xs)")
    assert "SIM118" not in rules


async def test_all_sites_of_a_rule_at_once() -> None:
    found = await findings(TEXT, "mod.py", "py311")
    rules = {code: carry_out(TEXT, edits) for code, _, edits in by_rule(found, 5, 10)}
    assert '"k" in d and "l" in d' in rules["SIM118"]


async def test_a_fix_brings_its_import_along() -> None:
    found = await findings(TEXT, "mod.py", "py311")
    rules = {code: carry_out(TEXT, edits) for code, _, edits in by_rule(found, 5, 10)}
    assert rules["SIM105"].startswith("import contextlib\n")
    assert "with contextlib.suppress(KeyError):\n        d.pop()\n" in rules["SIM105"]


async def test_the_authors_noqa_is_respected() -> None:
    text = "def a(xs):\n    return sorted(xs)[0]  # noqa: FURB192\n"
    assert list(by_rule(await findings(text, "mod.py", "py311"), 1, 2)) == []


async def test_a_file_that_does_not_parse_has_no_fixes() -> None:
    found = await findings("def a(:\n    return sorted(xs)[0]\n", "mod.py", "py311")
    assert list(by_rule(found, 1, 2)) == []


async def test_the_targets_own_configuration_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "ruff.toml").write_text("lint.ignore = ['C4', 'FURB']\n")
    found = await findings(TEXT, str(tmp_path / "mod.py"), "py311")
    assert any(f.code == "C419" for f in found)


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        (">=3.11", "py311"),
        (">=3.8,<4", "py38"),
        (">=3.2", "py37"),
        (">=3.99", "py314"),
        ("*", "py39"),
    ],
)
def test_target_version(tmp_path: Path, wanted: str, expected: str) -> None:
    (tmp_path / "pyproject.toml").write_text(f'[project]\nrequires-python = "{wanted}"\n')
    assert target_version(tmp_path) == expected


@pytest.mark.parametrize("content", [None, "", "[project]\n", "not toml", "project = 3\n"])
def test_target_version_unknown(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "pyproject.toml").write_text(content)
    assert target_version(tmp_path) == "py39"


def test_priors_prefer_what_pays() -> None:
    assert prior("C419") > prior("PERF401") > prior("SIM102") > prior("UP006") > 0
    assert prior("C499") > prior("UP999")


@given(st.text("ab\n", max_size=20), st.data())
def test_edits_are_carried_out_where_they_say(text: str, data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)), max_size=6)))
    pairs = list(zip(cuts[::2], cuts[1::2], strict=False))

    def place(offset: int) -> Place:
        before = text[:offset]
        return Place(before.count("\n") + 1, offset - (before.rfind("\n") + 1) + 1)

    edits = [Edit("<>", place(a), place(b)) for a, b in pairs]
    expected, at = "", 0
    for a, b in pairs:
        expected += text[at:a] + "<>"
        at = b
    assert carry_out(text, data.draw(st.permutations(edits))) == expected + text[at:]
