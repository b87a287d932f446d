import pytest

from hitlog import analyse, render
from hitlog.parser import LogError
from hitlog.report import table


def line(target, second=0, *, host="10.0.0.1", agent="Firefox/127.0", status=200, size=500):
    return (
        f"{host} - - [10/Oct/2024:08:00:{second:02} +0000] "
        f'"GET {target} HTTP/1.1" {status} {size} "-" "{agent}"'
    )


LOG = [
    line("/", 0),
    line("/style.css", 1, size=900),
    line("/shop/index.html", 5),
    line("/search?q=red+chair", 9),
    line("/", 10, agent="Googlebot/2.1"),
    line("/shop", 20, host="10.0.0.2", agent="iPhone Safari/604.1"),
    line("/missing", 30, host="10.0.0.2", agent="iPhone Safari/604.1", status=404, size=10),
]


@pytest.fixture
def report():
    return analyse(LOG)


def test_counts(report):
    assert (report.hits, report.bots, report.visits, report.most_at_once) == (6, 1, 2, 1)


def test_people(report):
    assert report.browsers == {"Firefox": pytest.approx(4 / 6), "Safari": pytest.approx(2 / 6)}
    assert report.mobile == pytest.approx(2 / 6)


def test_pages(report):
    assert report.pages == {"/": 1, "/shop": 2, "/search": 1, "/missing": 1}
    assert report.entries == ["/", "/shop"]
    assert report.reach == {"/": 3, "/shop": 2}


def test_sections_count_what_is_below(report):
    assert report.sections["/"] == 5
    assert report.sections["/shop"] == 2


def test_searches(report):
    assert report.terms == [("chair", 1), ("red", 1)]
    assert report.filters == 1


def test_hosts(report):
    assert report.hosts["10.0.0.1"]["bytes"] == 2400
    assert report.hosts["10.0.0.2"]["errors"] == 1


def test_hours(report):
    assert {hour: totals["hits"] for hour, totals in report.hours.items()} == {8: 6}


def test_sizes_leave_errors_out(report):
    assert report.sizes == (500, 500, 900)


def test_analysis_is_repeatable(report):
    assert analyse(LOG) == report


def test_empty_log():
    report = analyse([])
    assert (report.hits, report.visits, report.sizes) == (0, 0, (0, 0, 0))
    assert render(report).startswith("0 hits in 0 visits")


def test_broken_log():
    with pytest.raises(LogError):
        analyse([LOG[0], "broken"])


def test_table():
    assert table([("a", 1), ("long", 2)]) == "  a     1\n  long  2\n"
    assert table([]) == ""


def test_render(report):
    text = render(report)
    assert "6 hits in 2 visits, 1 by robots" in text
    assert "  /shop     2\n" in text
    assert "  Firefox  66.7%\n" in text
    assert text.index("/shop") < text.index("/missing")


def test_render_limits_tables(report):
    assert "/missing" not in render(report, limit=1)
