"""The combined log format: one line, one hit."""

import re
from collections.abc import Iterable, Iterator

from hitlog.records import Hit

MONTHS = {
    "Jan": 1, "Feb": 2, "Mar": 3, "Apr": 4, "May": 5, "Jun": 6,
    "Jul": 7, "Aug": 8, "Sep": 9, "Oct": 10, "Nov": 11, "Dec": 12,
}
DAYS_BEFORE = (0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334)


class LogError(ValueError):
    """A line is not in the combined log format."""


def parse_time(text: str) -> int:
    """Return seconds since the epoch for `10/Oct/2024:13:55:36 +0200`."""
    match = re.match(r"(\d\d)/(\w{3})/(\d{4}):(\d\d):(\d\d):(\d\d) ([+-])(\d\d)(\d\d)$", text)
    if match is None or match[2] not in MONTHS:
        raise LogError(f"not a time: {text!r}")
    day, year = int(match[1]), int(match[3])
    month = MONTHS[match[2]]
    days = (year - 1970) * 365 + (year - 1969) // 4 - (year - 1901) // 100 + (year - 1601) // 400
    days += DAYS_BEFORE[month - 1] + day - 1
    if month > 2 and (year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)):
        days += 1
    clock = int(match[4]) * 3600 + int(match[5]) * 60 + int(match[6])
    offset = int(match[8]) * 3600 + int(match[9]) * 60
    return days * 86400 + clock - (offset if match[7] == "+" else -offset)


def parse_line(line: str) -> Hit:
    """Return the hit of one line.

    Raises:
        LogError: the line is not in the combined log format.
    """
    match = re.match(
        r'(\S+) \S+ \S+ \[([^\]]+)\] "([A-Z]+) (\S+)[^"]*" (\d{3}) (\d+|-) "([^"]*)" "([^"]*)"',
        line,
    )
    if match is None:
        raise LogError(f"not a log line: {line[:80]!r}")
    return Hit(
        host=match[1],
        time=parse_time(match[2]),
        method=match[3],
        target=match[4],
        status=int(match[5]),
        size=0 if match[6] == "-" else int(match[6]),
        referrer="" if match[7] == "-" else match[7],
        agent=match[8],
    )


def parse_lines(lines: Iterable[str]) -> Iterator[Hit]:
    """Yield the hits of a log; empty lines and comments are skipped."""
    for line in lines:
        line = line.strip()
        if line and not line.startswith("#"):
            yield parse_line(line)
