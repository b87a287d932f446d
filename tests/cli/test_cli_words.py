"""Numbers as people read them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from ouroboros.cli.words import (
    SECOND,
    age,
    diffstat,
    duration,
    fit,
    interval,
    percent,
    plural,
    short,
    size,
    width,
)
from ouroboros.model.proposal import FileChange, FileStatus
from ouroboros.model.verdict import Comparison, Outcome


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 ms"),
        (350_000_000, "350 ms"),
        (4_230_000_000, "4.2 s"),
        (59 * SECOND, "59 s"),
        (185 * SECOND, "3 min 5 s"),
        (180 * SECOND, "3 min"),
        (7800 * SECOND, "2 h 10 min"),
        (273_600 * SECOND, "3 d 4 h"),
    ],
)
def test_durations(ns: int, text: str) -> None:
    assert duration(ns) == text


@pytest.mark.parametrize(
    ("passed", "text"),
    [
        (0, "just now"),
        (5, "5 s ago"),
        (119, "119 s ago"),
        (180, "3 min ago"),
        (7200, "2 h ago"),
        (200_000, "2 d ago"),
        (-300, "in 5 min"),
    ],
)
def test_ages(passed: int, text: str) -> None:
    now = 1_700_000_000 * SECOND
    assert age(now - passed * SECOND, now) == text


def test_what_never_happened() -> None:
    assert age(0, SECOND) == "never"


@pytest.mark.parametrize(
    ("value", "text"), [(-0.234, "-23.4 %"), (0.05, "+5.0 %"), (-0.0, "+0.0 %")]
)
def test_percentages_have_a_sign(value: float, text: str) -> None:
    assert percent(value) == text


def comparison(
    change: float | None, lower: float | None, upper: float | None, n: int
) -> Comparison:
    return Comparison(
        benchmark="b",
        metric="cpu",
        role="objective",
        stage="screen",
        outcome=Outcome.INCONCLUSIVE,
        pairs=n,
        change=change,
        lower=lower,
        upper=upper,
        margin=0.05,
        text="",
    )


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ((-0.234, -0.271, -0.198, 14), "-23.4 % (-27.1 .. -19.8 %), 14 pairs"),
        ((0.01, None, 0.3, 1), "+1.0 % (? .. +30.0 %), 1 pair"),
        ((None, None, None, 0), "no estimate, 0 pairs"),
    ],
)
def test_intervals(values: tuple[float | None, float | None, float | None, int], text: str) -> None:
    assert interval(comparison(*values)) == text


def test_differences_are_written_in_their_unit() -> None:
    made = replace(comparison(0.5, None, 1.25, 9), scale="difference", unit="points")
    assert interval(made) == "+0.5 points (? .. +1.25), 9 pairs"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (62 << 20, "62.0 MiB"),
        (5 << 40, "5120.0 GiB"),
    ],
)
def test_sizes(value: int, text: str) -> None:
    assert size(value) == text


def test_small_words() -> None:
    assert [plural(n, "entry") for n in (0, 1, 2)] == ["0 entries", "1 entry", "2 entries"]
    assert plural(2, "file") == "2 files"
    assert (short("a" * 40), short("")) == ("a" * 12, "-")


def test_diffstats_name_binary_files() -> None:
    rows = diffstat(
        (
            FileChange(path="a", status=FileStatus.ADDED, added=3, removed=0),
            FileChange(path="b", status=FileStatus.MODIFIED, added=-1, removed=-1),
        )
    )
    assert rows == (("A", "a", "+3 -0"), ("M", "b", "binary"))


def test_width_counts_columns() -> None:
    assert (width("ab"), width("\u4e2d"), width("e\u0301")) == (2, 2, 1)


@given(st.text(max_size=60), st.integers(min_value=1, max_value=40))
def test_fit_never_exceeds(text: str, columns: int) -> None:
    cut = fit(text, columns)
    assert width(cut) <= columns
    if width(text) <= columns:
        assert cut == text
    else:
        assert cut.endswith("\u2026")
        assert text.startswith(cut[:-1])
