import calendar
import time

import pytest

from hitlog.parser import LogError, parse_line, parse_lines, parse_time

LINE = (
    '10.1.2.3 - frank [10/Oct/2024:13:55:36 +0200] "GET /a/b.html?x=1 HTTP/1.1" 200 2326 '
    '"http://example.org/" "Mozilla/5.0 (X11) Firefox/127.0"'
)


def test_a_line_becomes_a_hit():
    hit = parse_line(LINE)
    assert (hit.host, hit.method, hit.target) == ("10.1.2.3", "GET", "/a/b.html?x=1")
    assert (hit.status, hit.size) == (200, 2326)
    assert hit.referrer == "http://example.org/"
    assert hit.agent == "Mozilla/5.0 (X11) Firefox/127.0"


def test_missing_size_and_referrer():
    hit = parse_line('h - - [01/Jan/1970:00:00:00 +0000] "HEAD / HTTP/1.0" 304 - "-" ""')
    assert (hit.size, hit.referrer, hit.agent, hit.time) == (0, "", "", 0)


@pytest.mark.parametrize("line", ["", "nonsense", LINE.replace("[", "("), LINE.replace("200", "2")])
def test_other_lines_are_refused(line):
    with pytest.raises(LogError, match="not a log line"):
        parse_line(line)


def test_error_shows_only_the_start_of_a_long_line():
    with pytest.raises(LogError) as caught:
        parse_line("x" * 500)
    assert len(str(caught.value)) < 120


@pytest.mark.parametrize(
    "text",
    [
        "01/Jan/1970:00:00:00 +0000",
        "29/Feb/2000:12:00:00 +0000",
        "28/Feb/2023:23:59:59 +0000",
        "01/Mar/2024:00:00:00 +0000",
        "31/Dec/2099:23:59:59 +0000",
        "01/Mar/2100:06:30:00 +0000",
    ],
)
def test_times_agree_with_the_calendar(text):
    expected = calendar.timegm(time.strptime(text[:-6], "%d/%b/%Y:%H:%M:%S"))
    assert parse_time(text) == expected


def test_time_zones():
    noon = parse_time("10/Oct/2024:12:00:00 +0000")
    assert parse_time("10/Oct/2024:14:00:00 +0200") == noon
    assert parse_time("10/Oct/2024:08:30:00 -0330") == noon


@pytest.mark.parametrize(
    "text", ["", "10/Okt/2024:12:00:00 +0000", "1/Oct/2024:12:00:00 +0000", "10/Oct/2024 12:00"]
)
def test_other_times_are_refused(text):
    with pytest.raises(LogError, match="not a time"):
        parse_time(text)


def test_blank_lines_and_comments_are_skipped():
    hits = list(parse_lines(["# a comment", "", "  ", LINE + "\n"]))
    assert [hit.host for hit in hits] == ["10.1.2.3"]


def test_lines_are_parsed_lazily():
    lines = parse_lines([LINE, "nonsense"])
    assert next(lines).status == 200
    with pytest.raises(LogError):
        next(lines)
