"""Freeze windows: what is frozen by the wall clock is frozen, and every freeze ends."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from ouroboros.config import parse
from ouroboros.errors import ConfigError
from ouroboros.model.windows import end_of_freeze, never_ends, parse_window, zone

MINUTE = 60 * 10**9
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
ZONES = ("UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata")


def ns(text: str, where: str = "UTC", *, fold: int = 0) -> int:
    local = datetime.fromisoformat(text).replace(tzinfo=zone(where), fold=fold)
    return round(local.timestamp()) * 10**9


@pytest.mark.parametrize(
    ("window", "where", "now", "end"),
    [
        ("Fri 16:00 - Mon 08:00", "UTC", "2026-11-27 15:59:59", ""),
        ("Fri 16:00 - Mon 08:00", "UTC", "2026-11-27 16:00", "2026-11-30 08:00"),
        ("Fri 16:00 - Mon 08:00", "UTC", "2026-11-30 07:59:59", "2026-11-30 08:00"),
        ("Fri 16:00 - Mon 08:00", "UTC", "2026-11-30 08:00", ""),
        ("friday 16:00-monday 8:00", "UTC", "2026-11-29 00:00", "2026-11-30 08:00"),
        ("Sat 00:00 - Sun 24:00", "UTC", "2026-11-29 23:59", "2026-11-30 00:00"),
        ("Tue 09:00 - Tue 10:00", "UTC", "2026-11-24 09:30", "2026-11-24 10:00"),
        ("Tue 10:00 - Tue 09:00", "UTC", "2026-11-24 10:30", "2026-12-01 09:00"),
        ("22:00 - 06:00", "UTC", "2026-11-26 23:00", "2026-11-27 06:00"),
        ("22:00 - 06:00", "UTC", "2026-11-27 05:59", "2026-11-27 06:00"),
        ("22:00 - 06:00", "UTC", "2026-11-27 21:59", ""),
        ("08:00 - 18:00", "Asia/Kolkata", "2026-11-27 08:00", "2026-11-27 18:00"),
        ("2026-12-20 - 2027-01-02", "UTC", "2026-12-19 23:59", ""),
        ("2026-12-20 - 2027-01-02", "UTC", "2026-12-20 00:00", "2027-01-03 00:00"),
        ("2026-12-20 - 2027-01-02", "UTC", "2027-01-02 23:59", "2027-01-03 00:00"),
        ("2026-12-20 16:00 - 2026-12-20 17:00", "UTC", "2026-12-20 16:30", "2026-12-20 17:00"),
    ],
)
def test_each_form(window: str, where: str, now: str, end: str) -> None:
    assert end_of_freeze([window], where, ns(now, where)) == (ns(end, where) if end else 0)


def test_windows_that_overlap_or_touch_end_as_one() -> None:
    windows = ["Fri 16:00 - Sun 12:00", "22:00 - 06:00", "Sun 12:00 - Sun 22:00"]
    assert end_of_freeze(windows, "UTC", ns("2026-11-27 17:00")) == ns("2026-11-30 06:00")
    dated = ["2026-12-20 - 2026-12-22", "2026-12-23 - 2026-12-24 10:00"]
    assert end_of_freeze(dated, "UTC", ns("2026-12-21 00:00")) == ns("2026-12-24 10:00")


class TestClocksThatJump:
    """Berlin, 2026: forward on 29 March (02:00 -> 03:00), back on 25 October (03:00 -> 02:00)."""

    B = "Europe/Berlin"

    def test_an_end_that_does_not_come_is_the_jump(self) -> None:
        now = ns("2026-03-29 01:30", self.B)
        assert end_of_freeze(["01:00 - 02:30"], self.B, now) == ns("2026-03-29 01:00")

    def test_a_start_that_does_not_come_is_the_jump(self) -> None:
        now = ns("2026-03-29 03:00", self.B)
        assert end_of_freeze(["02:30 - 04:00"], self.B, now) == ns("2026-03-29 04:00", self.B)
        assert end_of_freeze(["02:30 - 04:00"], self.B, now - 1) == 0

    def test_a_window_that_does_not_come_at_all_freezes_nothing(self) -> None:
        for minute in range(0, 180, 7):
            now = ns("2026-03-29 00:00") + minute * MINUTE
            assert end_of_freeze(["02:15 - 02:45"], self.B, now) == 0

    def test_a_time_that_comes_twice_opens_first_and_closes_last(self) -> None:
        first = ns("2026-10-25 02:30", self.B)
        last = ns("2026-10-25 02:45", self.B, fold=1)
        assert last - first == 75 * MINUTE
        assert end_of_freeze(["02:30 - 02:45"], self.B, first) == last
        assert end_of_freeze(["02:30 - 02:45"], self.B, last) == 0

    def test_a_night_is_an_hour_longer_or_shorter(self) -> None:
        for day, hours in (("2026-03-28", 7), ("2026-10-24", 9), ("2026-06-01", 8)):
            start = ns(f"{day} 22:00", self.B)
            assert end_of_freeze(["22:00 - 06:00"], self.B, start) - start == hours * 60 * MINUTE


clock = st.builds(lambda h, m: f"{h:02}:{m:02}", st.integers(0, 23), st.integers(0, 59))
weekly = st.builds(
    lambda a, s, b, e: f"{a} {s} - {b} {e}",
    st.sampled_from(DAYS),
    clock,
    st.sampled_from(DAYS),
    clock,
)
daily = st.builds(lambda s, e: f"{s} - {e}", clock, clock)
moments = st.datetimes(datetime.fromisoformat("2026-01-01"), datetime.fromisoformat("2027-12-31"))
dated = st.builds(
    lambda at, days, minutes: (
        f"{at:%Y-%m-%d %H:%M} - {at + timedelta(days=days, minutes=minutes):%Y-%m-%d %H:%M}"
    ),
    moments,
    st.integers(0, 20),
    st.integers(1, 600),
)


def valid(windows: list[str]) -> bool:
    try:
        return not never_ends(windows)
    except ValueError:
        return False  # it ends where it begins


some = st.lists(st.one_of(weekly, daily, dated), min_size=1, max_size=4).filter(valid)


def on_the_wall(window: str, local: datetime) -> bool:
    """Whether the wall clock stands inside of a window; written without the product's code."""
    if window[0].isdigit() and window[4] == "-":
        first, last = window[:16], window[19:]
        return first <= f"{local:%Y-%m-%d %H:%M}" < last
    first, last = window.split(" - ")
    if window[0].isdigit():
        now = f"{local:%H:%M}"
    else:
        now = f"{local.weekday()} {local:%H:%M}"
        first, last = (f"{DAYS.index(t[:3])} {t[4:]}" for t in (first, last))
    return first <= now < last if first < last else now >= first or now < last


@settings(max_examples=150)
@given(some, st.sampled_from(ZONES), moments)
def test_what_the_wall_clock_says_is_frozen_is_frozen(
    windows: list[str], where: str, at: datetime
) -> None:
    now = at.replace(tzinfo=UTC)
    local = now.astimezone(zone(where))
    end = end_of_freeze(windows, where, round(now.timestamp()) * 10**9)
    frozen = any(on_the_wall(w, local) for w in windows)
    if frozen:
        assert end > now.timestamp() * 10**9
    elif end:  # only beside a jump of the clocks, where a window is never shorter than it looks
        offsets = {
            (now + timedelta(hours=h)).astimezone(zone(where)).utcoffset() for h in (-2, 0, 2)
        }
        assert len(offsets) > 1


@settings(max_examples=100)
@given(some, st.sampled_from(ZONES), moments, st.integers(0, 10**6))
def test_a_freeze_lasts_without_a_gap_and_then_it_is_over(
    windows: list[str], where: str, at: datetime, part: int
) -> None:
    now = round(at.replace(tzinfo=UTC).timestamp()) * 10**9
    end = end_of_freeze(windows, where, now)
    assume(end)
    between = now + (end - now) * part // (10**6 + 1)
    assert end_of_freeze(windows, where, between) == end
    assert end_of_freeze(windows, where, end) == 0


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "Expected a window"),
        ("always", "Expected a window"),
        ("25:00 - 26:00", "Expected a window"),
        ("24:30 - 06:00", "no time"),
        ("24:00 - 06:00", "no time"),
        ("06:00 - 06:00", "ends where it begins"),
        ("Fri 16:00 - Fri 16:00", "ends where it begins"),
        ("Fri - Mon", "Expected a window"),
        ("2026-02-30 - 2026-03-01", "no such date"),
        ("2027-01-02 - 2026-12-20", "ends before it begins"),
    ],
)
def test_what_is_no_window_is_refused(text: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        parse_window(text)


@pytest.mark.parametrize(
    ("windows", "never"),
    [
        (["00:00 - 24:00"], True),
        (["22:00 - 10:00", "10:00 - 22:00"], True),
        (["22:00 - 10:00", "10:01 - 22:00"], False),
        (["Mon 00:00 - Sat 00:00", "Sat 00:00 - Mon 00:00"], True),
        (["Mon 00:00 - Sun 24:00"], True),
        (["2026-01-01 - 2999-12-31"], False),
        ([], False),
    ],
)
def test_windows_that_leave_no_minute_free_never_end(windows: list[str], never: bool) -> None:  # noqa: FBT001
    assert never_ends(windows) is never


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ('freeze = ["22:00 - 06:00", "sometimes"]', 2, "sometimes"),
        ('freeze = ["22:00 - 10:00", "10:00 - 22:00"]', 2, "could never accept"),
        ('timezone = "Mars/Olympus"', 2, "Mars/Olympus"),
        ('timezone = "../../etc/passwd"', 2, "etc/passwd"),
        ("quorum = 0", 2, "at least 1"),
        ("reviewed_quorum = 0", 2, "at least 1"),
        ("rollbacks_in_a_row = 0", 2, "at least 1"),
        ("promotions_per_day = 0", 2, "at least 1"),
        ("promotions_per_proposer = 0", 2, "at least 1"),
    ],
)
def test_limits_that_make_no_sense_are_refused_with_their_line(
    text: str, line: int, words: str
) -> None:
    with pytest.raises(ConfigError, match="ouroboros.toml:%d:.*%s" % (line, words)):  # noqa: UP031
        parse(f"[governor.limits]\n{text}\n".encode())


def test_every_zone_of_the_tests_is_known_here() -> None:
    assert all(ZoneInfo(name) for name in ZONES if name != "UTC")
