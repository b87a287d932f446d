"""The cockpit's small vocabulary: lines of spans with roles, symbols, and how numbers read.

Pure. A `Span` names a *role* ("good", "wait", "dim"), never a colour: the style sheet gives it one,
and with `NO_COLOR`, or to a colour-blind reader, nothing is lost, because a state is always a word
and a symbol as well. Symbols exist twice: for UTF-8 terminals and as plain ASCII.
"""

import re
from collections.abc import Iterable

import msgspec
from rich.cells import cell_len, set_cell_size

from ouroboros.model.evaluation import CheckStatus
from ouroboros.model.metric import Scale, amount
from ouroboros.model.phase import Phase
from ouroboros.model.text import safe_line
from ouroboros.model.verdict import Comparison, Outcome

SECOND = 1_000_000_000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class Span(msgspec.Struct, frozen=True):
    """Some text in one role. Roles are listed in `tui.paint.ROLES`.

    `fill` is a role whose background it stands on, where that is not the whole row's.
    """

    text: str
    role: str = ""
    fill: str = ""


class Line(msgspec.Struct, frozen=True):
    """One line on the screen.

    `fill` is the role of the whole row's background ("add", "del"); `hang` the indent of the rows
    that follow when it is wrapped (0: a little deeper than the first).
    """

    spans: tuple[Span, ...] = ()
    fill: str = ""
    hang: int = 0

    @property
    def plain(self) -> str:
        """The text without roles."""
        return "".join(span.text for span in self.spans)


def line(*parts: Span | tuple[str, str] | str, fill: str = "", hang: int = 0) -> Line:
    """Build a line from spans, (text, role) pairs and plain strings; empty parts vanish."""
    spans = []
    for part in parts:
        made = part if isinstance(part, Span) else _span(part)
        if made.text:
            spans.append(made)
    return Line(tuple(spans), fill, hang)


def _span(part: tuple[str, str] | str) -> Span:
    return Span(part) if isinstance(part, str) else Span(*part)


def joined(parts: Iterable[Line], between: str = "  ") -> Line:
    """Put several lines side by side, with a dim separator between those that are not empty."""
    spans: list[Span] = []
    for part in parts:
        if part.spans:
            spans.extend([Span(between, "dim"), *part.spans] if spans else part.spans)
    return Line(tuple(spans))


def wrapped(source: Line, width: int) -> list[Line]:
    """Break a line at words into rows of at most `width` cells; keeps roles and fill.

    Rows after the first are indented a little deeper than the first, so that a list stays one.
    """
    if cell_len(source.plain) <= width:
        return [source]
    margin = source.hang or len(source.plain) - len(source.plain.lstrip()) + 2
    indent = Span(" " * margin) if margin < width // 2 else Span("")
    rows: list[list[Span]] = [[]]
    room = width
    for word in _words(source, width - len(indent.text)):
        size = cell_len(word.text)
        if size > room and not word.text.isspace():
            rows.append([indent] if indent.text else [])
            room = width - len(indent.text)
        if size <= room:
            rows[-1].append(word)
            room -= size
    return [Line(tuple(row), source.fill) for row in rows]


def _words(source: Line, width: int) -> Iterable[Span]:
    """Words and the blanks between them; words that are wider than a row are cut."""
    for span in source.spans:
        for piece in _PIECES.findall(span.text):
            rest = piece
            while cell_len(rest) > width:
                head = set_cell_size(rest, width).rstrip() or rest[:1]
                yield Span(head, span.role, span.fill)
                rest = rest[len(head) :]
            if rest:
                yield Span(rest, span.role, span.fill)


_PIECES = re.compile(r"\s+|\S+")


class Glyphs(msgspec.Struct, frozen=True, kw_only=True):
    """The symbols in use; one set for UTF-8 terminals, one for the others."""

    ring: str
    good: str
    bad: str
    wait: str
    busy: str
    todo: str
    doubt: str
    undo: str
    stop: str
    live: str
    stale: str
    bar: str
    dot: str
    left: str
    right: str
    here: str
    zero: str
    limit: str
    dash: str
    rise: str
    ellipsis: str
    minus: str
    sparks: str
    cursor: str
    braille: bool = True


UNICODE = Glyphs(
    ring="\u25ef",
    good="\u2714",
    bad="\u2716",
    wait="\u2016",
    busy="\u25b6",
    todo="\u25cb",
    doubt="?",
    undo="\u21b6",
    stop="\u25a0",
    live="\u25cf",
    stale="\u25cc",
    bar="\u2502",
    dot="\u00b7",
    left="\u251c",
    right="\u2524",
    here="\u25cf",
    zero="\u253c",
    limit="\u250a",
    dash="\u2500",
    rise="\u25b2",
    ellipsis="\u2026",
    minus="\u2212",
    sparks="\u2581\u2582\u2583\u2584\u2585\u2586\u2587\u2588",
    cursor="\u203a",
)

ASCII = Glyphs(
    ring="O",
    good="+",
    bad="x",
    wait="=",
    busy=">",
    todo="o",
    doubt="?",
    undo="<",
    stop="#",
    live="*",
    stale="!",
    bar="|",
    dot="-",
    left="[",
    right="]",
    here="*",
    zero="0",
    limit=":",
    dash="-",
    rise="^",
    ellipsis="...",
    minus="-",
    sparks="_.-=*#%@",
    cursor=">",
    braille=False,
)


class Word(msgspec.Struct, frozen=True):
    """How a state is shown: its word, the name of its symbol in `Glyphs`, and its role."""

    word: str
    symbol: str
    role: str

    def span(self, glyphs: Glyphs, width: int = 0) -> Span:
        """Return symbol and word, padded."""
        return Span(f"{getattr(glyphs, self.symbol)} {self.word}".ljust(width), self.role)


PHASES: dict[Phase, Word] = {
    Phase.PROPOSED: Word("PROPOSED", "todo", "info"),
    Phase.SCREENED: Word("SCREENED", "todo", "info"),
    Phase.APPLIED: Word("APPLIED", "todo", "info"),
    Phase.EVALUATING: Word("EVALUATING", "busy", "busy"),
    Phase.EVALUATED: Word("EVALUATED", "busy", "busy"),
    Phase.HELD: Word("HELD", "wait", "wait"),
    Phase.ACCEPTED: Word("ACCEPTED", "good", "good"),
    Phase.PROMOTING: Word("PROMOTING", "busy", "busy"),
    Phase.PROMOTED: Word("PROMOTED", "rise", "good"),
    Phase.KEPT: Word("KEPT", "good", "good"),
    Phase.ROLLING_BACK: Word("ROLLING BACK", "undo", "bad"),
    Phase.ROLLING_FORWARD: Word("ROLLING FWD", "busy", "busy"),
    Phase.ROLLED_BACK: Word("ROLLED BACK", "undo", "muted"),
    Phase.REJECTED: Word("REJECTED", "bad", "muted"),
    Phase.CANCELLED: Word("CANCELLED", "stop", "muted"),
    Phase.ERRORED: Word("ERROR", "doubt", "bad"),
}

CHECKS: dict[CheckStatus, Word] = {
    CheckStatus.PASSED: Word("PASS", "good", "good"),
    CheckStatus.FAILED: Word("FAIL", "bad", "bad"),
    CheckStatus.ERROR: Word("ERROR", "doubt", "bad"),
    CheckStatus.SKIPPED: Word("SKIP", "dot", "muted"),
}

OUTCOMES: dict[Outcome, Word] = {
    Outcome.IMPROVED: Word("IMPROVED", "good", "good"),
    Outcome.NEUTRAL: Word("NEUTRAL", "dot", "info"),
    Outcome.REGRESSED: Word("REGRESSED", "bad", "bad"),
    Outcome.INCONCLUSIVE: Word("INCONCLUSIVE", "doubt", "wait"),
}


def percent(change: float | None, *, digits: int = 1) -> str:
    """`-0.124` as `-12.4 %`; `?` where nothing is known."""
    return "?" if change is None else f"{change * 100:+.{digits}f} %"


def brief(change: float | None, lower: float | None, upper: float | None) -> tuple[str, str]:
    """Change and bounds in at most 17 cells, for narrow tables: `-12.4%`, ` [-14,-10]`."""
    span = bounds(lower, upper, digits=0).replace(" ", "")
    return percent(change).replace(" ", ""), f" {span}" if span else ""


def bounds(lower: float | None, upper: float | None, *, digits: int = 1) -> str:
    """Bounds as `[-14.1, -10.2]` in percent; an unknown side is written as infinite."""
    if lower is None and upper is None:
        return ""
    low = "-inf" if lower is None else f"{lower * 100:+.{digits}f}"
    high = "+inf" if upper is None else f"{upper * 100:+.{digits}f}"
    return f"[{low}, {high}]"


def change(c: Comparison) -> str:
    """Return a comparison's estimate: a percentage, or (compared by difference) in its unit."""
    if c.scale == Scale.RATIO or c.change is None:
        return percent(c.change)
    return safe_line(amount(c.scale, c.unit, c.change), limit=24)


def limits(c: Comparison) -> str:
    """Return a comparison's bounds, in percent or in its unit."""
    if c.scale == Scale.RATIO:
        return bounds(c.lower, c.upper)
    if c.lower is None and c.upper is None:
        return ""
    low = "-inf" if c.lower is None else f"{c.lower:+.4g}"
    high = "+inf" if c.upper is None else f"{c.upper:+.4g}"
    return f"[{low}, {high}]"


def age(ns: int) -> str:
    """A span of time in one coarse unit; changes rarely, so that a table seldom repaints."""
    for unit, letter in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m")):
        if ns >= unit:
            return f"{ns // unit}{letter}"
    return "now"


def clock(ns: int) -> str:
    """A span of time as `41:20` or `1:02:03`."""
    seconds = max(0, ns) // SECOND
    hours, minutes, rest = seconds // 3600, seconds // 60 % 60, seconds % 60
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes:02}:{rest:02}"


def time_of_day(ns: int, offset_s: int = 0) -> str:
    """A point in time as `HH:MM:SS`, shifted by the viewer's offset from UTC."""
    seconds = (ns // SECOND + offset_s) % 86400
    return f"{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}"


def seconds(ns: int) -> str:
    """A measured duration: `0.31 s`, `42 s`, `3 m 05 s`."""
    value = ns / SECOND
    if value < 10:  # noqa: PLR2004 - two digits suffice
        return f"{value:.2f} s"
    return f"{value:.0f} s" if value < 60 else f"{int(value) // 60} m {int(value) % 60:02} s"  # noqa: PLR2004 - seconds in a minute


def short(commit: str) -> str:
    """The first ten hex digits of a commit: what people compare by eye."""
    return safe_line(commit)[:10] or "none"


def count(number: int, noun: str) -> str:
    """`1 file`, `2 files`."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def spark(values: Iterable[float], glyphs: Glyphs) -> str:
    """Values as a row of small bars, lowest to highest."""
    points = list(values)
    if not points:
        return ""
    low, high = min(points), max(points)
    steps = len(glyphs.sparks) - 1
    scale = steps / (high - low) if high > low else 0.0
    return "".join(glyphs.sparks[round((point - low) * scale)] for point in points)
