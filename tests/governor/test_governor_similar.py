"""Which diffs are one idea, and which are two."""

import difflib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.governor.similar import SKETCH, alike, fingerprint, similarity

BEFORE = [f"    y{i} = compute(x, {i})" for i in range(60)]
FAST = [f"    value = table[{i}] + offset" for i in range(40)]


def diff(before: list[str], after: list[str], path: str = "m.py") -> str:
    lines = difflib.unified_diff(before, after, f"a/{path}", f"b/{path}", lineterm="")
    return "\n".join(lines) + "\n"


def same(one: str, other: str, threshold: float = 0.9) -> bool:
    return alike(fingerprint(one), fingerprint(other), threshold)


BASE = diff(BEFORE, FAST)


@pytest.mark.parametrize(
    ("other", "expected"),
    [
        pytest.param(BASE, True, id="the same bytes"),
        pytest.param(diff(["import os", *BEFORE], ["import os", *FAST]), True, id="another place"),
        pytest.param(diff(BEFORE, [f"  {x}  # {i}" for i, x in enumerate(FAST)]), True, id="noise"),
        pytest.param(diff(BEFORE, [x.replace(" + ", "+") for x in FAST]), True, id="spaces"),
        pytest.param(diff(BEFORE, [*FAST[:-1], "    value = 7"]), True, id="one line of forty"),
        pytest.param(BASE + diff(["a"], ["a", "# note"], "other.py"), True, id="comment elsewhere"),
        pytest.param(diff(BEFORE, [x.replace("offset", "o") for x in FAST]), False, id="renamed"),
        pytest.param(diff(BEFORE, ["    return cache(x)"]), False, id="another replacement"),
        pytest.param(diff(BEFORE, FAST, "n.py"), False, id="another file"),
        pytest.param(BASE + diff(["a"], ["b"], "other.py"), False, id="a file more"),
        pytest.param(diff(FAST, BEFORE), False, id="the way back"),
        pytest.param(diff(BEFORE[:30], FAST), False, id="fewer lines removed"),
    ],
)
def test_what_is_one_idea(other: str, *, expected: bool) -> None:
    assert same(BASE, other) is expected
    assert same(other, BASE) is expected


def test_a_threshold_of_one_still_sees_through_white_space_and_comments() -> None:
    assert same(BASE, diff(BEFORE, [f"{x}  # {i}" for i, x in enumerate(FAST)]), 1)
    assert not same(BASE, diff(BEFORE, [*FAST[:-1], "    value = 7"]), 1)


def test_changes_of_comments_alone_are_one_idea_per_file_since_they_test_nothing() -> None:
    assert same(diff(["a  # one"], ["a  # two"]), diff(["b"], ["b", "# three"])) is False  # b, a
    assert same(diff(["# one"], ["# two"]), diff(["# x", "b"], ["b", "# three"]))
    assert not same(diff(["# one"], ["# two"], "a.py"), diff(["# one"], ["# two"], "b.py"))


@pytest.mark.parametrize("text", ["", "hello", "--- a/x\n+++ b/x\n", "@@ -1 +1 @@\n", "\x00"])
def test_what_is_no_diff_equals_nothing(text: str) -> None:
    assert not same(text, text)


def test_a_hash_in_a_string_is_no_comment_and_other_languages_keep_theirs() -> None:
    assert not same(diff(["x"], ['x = "a # one"']), diff(["x"], ['x = "a # two"']))
    assert not same(diff(["x"], ["y # one"], "m.rb"), diff(["x"], ["y # two"], "m.rb"))


def test_changed_lines_do_not_pass_for_headers() -> None:
    """A removed line `-- x` is written `--- x`, and an added one `++ y` is written `+++ y`."""
    tricky = diff(["-- a/other.py", "++ z"], ["++ b/other.py"], "m.sql")
    assert fingerprint(tricky).files == {"m.sql"}


def test_a_new_and_a_deleted_file_have_their_own_path() -> None:
    new = "--- /dev/null\n+++ b/n.py\n@@ -0,0 +1 @@\n+x = 1\n"
    gone = "--- a/n.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x = 1\n"
    assert fingerprint(new).files == fingerprint(gone).files == {"n.py"}
    assert not same(new, gone)


def test_large_diffs_are_compared_by_a_sketch_of_bounded_size() -> None:
    large = [f"    a{i} = b{i} * {i}" for i in range(8000)]
    half = [x.replace("*", "-") if i % 2 else x for i, x in enumerate(large)]
    near = [x.replace("*", "-") if i % 50 == 0 else x for i, x in enumerate(large)]
    one, other, third = (fingerprint(diff([], x)) for x in (large, half, near))
    assert len(one.added) == SKETCH
    assert similarity(one, other) < 0.5
    assert similarity(one, third) > 0.85


LINES = st.lists(st.sampled_from(["a = b", "return c(d)", "x += 1", "# note", ""]), max_size=12)


@given(LINES, LINES, LINES)
def test_similarity_is_symmetric_bounded_and_whole_for_the_same(
    before: list[str], after: list[str], other: list[str]
) -> None:
    one, two = fingerprint(diff(before, after)), fingerprint(diff(before, other))
    assert similarity(one, one) == 1
    assert 0 <= similarity(one, two) <= 1
    assert similarity(one, two) == similarity(two, one)
    assert alike(one, two, 0.9) == alike(two, one, 0.9)


@given(st.text(max_size=400))
def test_rubbish_never_raises(text: str) -> None:
    fingerprint(text)
