"""A diff cut into its files says what git says of it, whatever its lines look like."""

import subprocess
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ouroboros.model.patch import sections

LINES = st.sampled_from(
    [
        "plain\n",
        "\n",
        "-- a/other.py\n",  # removed, it looks like a header
        "++ b/other.py\n",
        "diff --git a/x b/x\n",
        "@@ -1,9 +1,9 @@\n",
        "form\x0cfeed\x85and\u2028others\n",
        "carriage\r\n",
        "no end",
    ]
)
CONTENTS = st.lists(LINES, max_size=8).map(
    lambda lines: (
        "".join(line for line in lines if line != "no end")
        + ("no end" if "no end" in lines else "")
    )
)
NAMES = st.sampled_from(["a.py", "b/c.py", "with space", "uml\u00e4ut", "-- a"])


@given(st.dictionaries(NAMES, st.tuples(CONTENTS, CONTENTS), min_size=1, max_size=4))
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_it_agrees_with_git(tmp_path: Path, files: dict[str, tuple[str, str]]) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    for name, (old, new) in files.items():
        for side, text in ((before, old), (after, new)):
            (side / name).parent.mkdir(parents=True, exist_ok=True)
            (side / name).write_bytes(text.encode())

    def diff(*options: str) -> bytes:
        return subprocess.run(
            ["git", "diff", "--no-index", "--no-color", *options, "before", "after"],
            cwd=tmp_path, capture_output=True, check=False,
        ).stdout  # fmt: skip

    text = diff().decode()
    parts = list(sections(text))
    assert "".join(part.text for part in parts) == text
    counted = [line.split(b"\t")[:2] for line in diff("--numstat").splitlines()]
    assert [[b"%d" % p.added, b"%d" % p.removed] for p in parts] == counted
    for side in (before, after):
        for name in files:
            (side / name).unlink()


def test_paths_are_those_after_the_change_and_before_a_deletion() -> None:
    text = (
        "diff --git a/old.py b/new.py\nsimilarity index 100%\n"
        "rename from old.py\nrename to new.py\n"
        "diff --git a/gone.py b/gone.py\n--- a/gone.py\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
        "diff --git a/mode.sh b/mode.sh\nold mode 100644\nnew mode 100755\n"
    )
    assert [part.path for part in sections(text)] == ["new.py", "gone.py", "mode.sh"]


def test_diffs_without_gits_own_header_are_cut_too() -> None:
    one = "--- a/one.py\n+++ b/one.py\n@@ -1 +1 @@\n-1\n+2\n"
    two = "--- a/two.py\n+++ b/two.py\n@@ -1,2 +1 @@\n--- a/x\n y\n"
    assert [(p.path, p.text, p.added, p.removed) for p in sections(one + two)] == [
        ("one.py", one, 1, 1),
        ("two.py", two, 0, 1),
    ]


def test_nothing_is_no_file() -> None:
    assert list(sections("")) == []
    assert list(sections("just words\n")) == []
