"""Numbers as people read them. Pure: the clock is an argument.

The sign of a change is that of the cost: -23.4 % is 23.4 % less time or memory. An interval is
written as "-23.4 % (-27.1 .. -19.8 %), 14 pairs"; a bound that is not known yet is `?`. What is
compared by difference is written in its unit.
"""

import unicodedata
from collections.abc import Sequence

from ouroboros.model import metric
from ouroboros.model.proposal import FileChange, FileStatus
from ouroboros.model.verdict import Comparison

SECOND = 1_000_000_000
"""Nanoseconds."""

_UNITS = ((86_400, "d", 3_600, "h"), (3_600, "h", 60, "min"), (60, "min", 1, "s"))


def duration(ns: int) -> str:
    """Return a length of time: `350 ms`, `4.2 s`, `3 min 05 s`, `2 h 10 min`, `3 d 4 h`."""
    seconds = max(0, ns) / SECOND
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 10:  # noqa: PLR2004 - below ten seconds a tenth matters
        return f"{seconds:.1f} s"
    whole = round(seconds)
    for size, name, smaller, smaller_name in _UNITS:
        if whole >= size:
            rest = whole % size // smaller
            return (
                f"{whole // size} {name} {rest} {smaller_name}"
                if rest
                else f"{whole // size} {name}"
            )
    return f"{whole} s"


def age(then_ns: int, now_ns: int) -> str:
    """Return how long ago something was, or in how long it will be; `never` for 0."""
    if then_ns <= 0:
        return "never"
    passed = now_ns - then_ns
    if abs(passed) < SECOND:
        return "just now"
    return f"{_coarse(passed)} ago" if passed > 0 else f"in {_coarse(-passed)}"


def _coarse(ns: int) -> str:
    seconds = round(ns / SECOND)
    for size, name in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size} {name}"
    return f"{seconds} s"


def percent(value: float) -> str:
    """Return a relative change with its sign: `-23.4 %`."""
    return f"{value * 100 + 0.0:+.1f} %"


def _bound(value: float | None) -> str:
    return "?" if value is None else f"{value * 100 + 0.0:+.1f}"


def interval(comparison: Comparison) -> str:
    """Return a comparison's estimate, bounds and number of pairs."""
    pairs = f"{comparison.pairs} pair{'' if comparison.pairs == 1 else 's'}"
    if comparison.change is None:
        return f"no estimate, {pairs}"
    if comparison.scale == metric.Scale.DIFFERENCE:
        ends = (comparison.lower, comparison.upper)
        low, high = ("?" if v is None else metric.amount(comparison.scale, "", v) for v in ends)
        change = metric.amount(comparison.scale, comparison.unit, comparison.change)
        return f"{change} ({low} .. {high}), {pairs}"
    bounds = f"({_bound(comparison.lower)} .. {_bound(comparison.upper)} %)"
    return f"{percent(comparison.change)} {bounds}, {pairs}"


def size(value: int) -> str:
    """Return bytes in the largest binary unit that keeps the number above one."""
    amount = float(value)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":  # noqa: PLR2004 - the base of binary units
            return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"
        amount /= 1024
    return f"{value} B"


def short(commit: str) -> str:
    """Return the first twelve characters of a hash, `-` for none."""
    return commit[:12] or "-"


def plural(count: int, noun: str) -> str:
    """Return `1 file`, `2 files`, `2 entries`."""
    if count == 1:
        return f"1 {noun}"
    return f"{count} {noun[:-1]}ies" if noun.endswith("y") else f"{count} {noun}s"


def diffstat(files: Sequence[FileChange]) -> tuple[tuple[str, str, str], ...]:
    """Return one (mark, path, lines) row for each file of a diff."""
    marks = {
        FileStatus.ADDED: "A",
        FileStatus.MODIFIED: "M",
        FileStatus.DELETED: "D",
        FileStatus.RENAMED: "R",
    }
    return tuple(
        (marks[f.status], f.path, "binary" if f.added < 0 else f"+{f.added} -{f.removed}")
        for f in files
    )


def width(text: str) -> int:
    """Return how many terminal columns a line takes."""
    if text.isascii():
        return len(text)
    return sum(_cells(char) for char in text)


def _cells(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def fit(text: str, columns: int) -> str:
    """Return the line cut to at most `columns` columns, the cut marked with an ellipsis."""
    if width(text) <= columns:
        return text
    kept, used = [], 0
    for char in text:
        used += _cells(char)
        if used > columns - 1:
            break
        kept.append(char)
    return "".join(kept) + "\u2026"
