"""Windows of time in which nothing is promoted: their written forms, and when they end. Pure.

Three forms, all read on the wall clock of one timezone:

- each week: `"Fri 16:00 - Mon 08:00"`
- each day: `"22:00 - 06:00"`
- once: `"2026-12-20 - 2027-01-02"` (the last day included), or with times
  `"2026-12-20 16:00 - 2027-01-02 08:00"`

An end may be written `24:00`. Windows that overlap or touch are one. Where clocks are set back, a
time that comes twice opens a window the first time and closes it the second time; where they are
set forward, a time that does not come is the instant of the jump. So no window is ever shorter
than it looks.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, timedelta, tzinfo
from functools import lru_cache
from zoneinfo import ZoneInfo

import msgspec

_SECOND = 1_000_000_000
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_DAY_MINUTES = 24 * 60
_WEEK_MINUTES = 7 * _DAY_MINUTES
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

_CLOCK = r"(?P<{0}h>[01]?\d|2[0-4]):(?P<{0}m>[0-5]\d)"
_DAILY = re.compile(rf"{_CLOCK.format('a')}\s*-\s*{_CLOCK.format('b')}")
_NAME = rf"(?P<{{0}}d>{'|'.join(_DAYS)})[a-z]*\s+"
_WEEKLY = re.compile(
    rf"{_NAME.format('a')}{_CLOCK.format('a')}\s*-\s*{_NAME.format('b')}{_CLOCK.format('b')}",
    re.IGNORECASE,
)
_DATE = r"(?P<{0}date>\d{{4}}-\d\d-\d\d)"
_DATED = re.compile(
    rf"{_DATE.format('a')}(?:\s+{_CLOCK.format('a')})?\s*-\s*"
    rf"{_DATE.format('b')}(?:\s+{_CLOCK.format('b')})?"
)
_FORMS = '"Fri 16:00 - Mon 08:00", "22:00 - 06:00" or "2026-12-20 - 2027-01-02"'


class Recurring(msgspec.Struct, frozen=True, kw_only=True):
    """A window of each day (`period` 1) or week (7).

    In minutes since midnight (of Monday); `end` is after `start`, possibly in the next period.
    """

    period: int
    start: int
    end: int


class Dated(msgspec.Struct, frozen=True, kw_only=True):
    """A window that comes once; local times without a timezone, the end not included."""

    start: datetime
    end: datetime


Window = Recurring | Dated


def parse_window(text: str) -> Window:
    """Return the window that a text describes.

    Raises:
        ValueError: none of the forms, no such day, or it ends where it begins.
    """
    stripped = text.strip()
    if found := _DAILY.fullmatch(stripped):
        return _recurring(text, 1, _minutes(found, "a"), _minutes(found, "b"))
    if found := _WEEKLY.fullmatch(stripped):
        first, last = (
            _DAYS.index(found[f"{side}d"].lower()) * _DAY_MINUTES + _minutes(found, side)
            for side in "ab"
        )
        return _recurring(text, 7, first, last)
    if found := _DATED.fullmatch(stripped):
        return _dated(text, found)
    raise ValueError(f"Expected a window such as {_FORMS}, got {text!r}")


def _minutes(found: re.Match[str], side: str) -> int:
    """Return the minutes of a day, up to 24:00; without a time: the day's begin, or its end."""
    if found[f"{side}h"] is None:
        return 0 if side == "a" else _DAY_MINUTES
    minutes = int(found[f"{side}h"]) * 60 + int(found[f"{side}m"])
    if minutes > _DAY_MINUTES or (side == "a" and minutes == _DAY_MINUTES):
        raise ValueError(f"There is no time {found[f'{side}h']}:{found[f'{side}m']} here")
    return minutes


def _recurring(text: str, period: int, start: int, end: int) -> Recurring:
    if start == end:
        raise ValueError(f"The window {text!r} ends where it begins")
    length = period * _DAY_MINUTES
    return Recurring(period=period, start=start, end=end if end > start else end + length)


def _dated(text: str, found: re.Match[str]) -> Dated:
    try:
        start, end = (
            datetime.combine(date.fromisoformat(found[f"{side}date"]), datetime.min.time())
            + timedelta(minutes=_minutes(found, side))
            for side in "ab"
        )
    except (ValueError, OverflowError) as error:
        raise ValueError(f"There is no such date in {text!r}: {error}") from None
    if end <= start:
        raise ValueError(f"The window {text!r} ends before it begins")
    return Dated(start=start, end=end)


def zone(name: str) -> tzinfo:
    """Return a timezone by its name; UTC needs no time zone database.

    Raises:
        ValueError: there is none of that name.
    """
    if name == "UTC":
        return UTC
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(
            f'Expected a timezone such as "UTC" or "Europe/Berlin", got {name!r}'
        ) from None


def never_ends(windows: Sequence[str]) -> bool:
    """Whether the recurring windows leave not one minute of the week free."""
    free = [True] * _WEEK_MINUTES
    for window in map(parse_window, windows):
        if isinstance(window, Dated):
            continue
        for offset in range(0, _WEEK_MINUTES, window.period * _DAY_MINUTES):
            for minute in range(window.start + offset, window.end + offset):
                free[minute % _WEEK_MINUTES] = False
    return not any(free)


def end_of_freeze(windows: Sequence[str], timezone: str, now_ns: int) -> int:
    """Return when the freeze that holds now ends (UTC ns), or 0 where nothing is frozen.

    The windows must end at some time (see `never_ends`).

    Raises:
        ValueError: a window or the timezone is none.
    """
    parsed = tuple(map(_parsed, windows))
    where = zone(timezone)
    end = now_ns
    while True:
        later = max(
            (b for window in parsed for a, b in _near(window, where, end) if a <= end < b),
            default=end,
        )
        if later == end:
            return 0 if end == now_ns else end
        end = later


def moment_text(at_ns: int, timezone: str) -> str:
    """Return an instant as people of that timezone write it: `Mon 2026-11-30 08:00 UTC`."""
    local = (_EPOCH + timedelta(seconds=at_ns // _SECOND)).astimezone(zone(timezone))
    return f"{_DAYS[local.weekday()].title()} {local:%Y-%m-%d %H:%M} {timezone}"


_parsed = lru_cache(maxsize=256)(parse_window)


def _near(window: Window, where: tzinfo, at_ns: int) -> Iterator[tuple[int, int]]:
    """Return the occurrences of a window that may hold an instant, as (start, end) in UTC ns."""
    if isinstance(window, Dated):
        yield _instant(window.start, where, last=False), _instant(window.end, where, last=True)
        return
    local = (_EPOCH + timedelta(seconds=at_ns // _SECOND)).astimezone(where)
    day = datetime.combine(local.date(), datetime.min.time())
    first = day if window.period == 1 else day - timedelta(days=day.weekday())
    for back in (2, 1, 0, -1):
        base = first - timedelta(days=back * window.period)
        start, end = (base + timedelta(minutes=m) for m in (window.start, window.end))
        yield _instant(start, where, last=False), _instant(end, where, last=True)


def _instant(local: datetime, where: tzinfo, *, last: bool) -> int:
    """Return the UTC ns of a local time: its first or last coming, or the jump that skips it."""
    early, late = (_utc(local.replace(tzinfo=where, fold=fold)) for fold in (0, 1))
    if early > late:  # no such time: clocks jump forward between the two readings
        return _jump(where, late, early) * _SECOND
    return (late if last else early) * _SECOND


def _utc(moment: datetime) -> int:
    return round((moment - _EPOCH).total_seconds())


def _jump(where: tzinfo, before: int, after: int) -> int:
    """Return the first second of the new offset between two instants."""

    def offset(at: int) -> timedelta | None:
        return (_EPOCH + timedelta(seconds=at)).astimezone(where).utcoffset()

    old = offset(before)
    while after - before > 1:
        middle = (before + after) // 2
        before, after = (middle, after) if offset(middle) == old else (before, middle)
    return after
