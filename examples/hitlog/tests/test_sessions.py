from hitlog.sessions import (
    all_pages,
    concurrent,
    entry_pages,
    sessions,
    totals_by_host,
    totals_by_hour,
)


def test_a_pause_ends_a_visit(make_hit):
    hits = [make_hit(time=t) for t in (0, 100, 1900, 3701)]
    assert [len(v.hits) for v in sessions(hits)] == [3, 1]


def test_visitors_are_told_apart(make_hit):
    hits = [make_hit(host="a"), make_hit(host="b", time=1), make_hit(host="a", time=2)]
    assert [[h.time for h in v.hits] for v in sessions(hits)] == [[0, 2], [1]]


def test_hits_are_put_in_order(make_hit):
    visits = sessions([make_hit(time=50), make_hit(time=10)])
    assert [h.time for h in visits[0].hits] == [10, 50]


def test_no_hits_no_visits():
    assert sessions([]) == []


def test_entry_pages_each_once_in_order(make_visit):
    visits = [make_visit("/b", "/a"), make_visit("/a"), make_visit("/b/index.html")]
    assert entry_pages(visits) == ["/b", "/a"]


def test_assets_are_no_entry_pages(make_visit):
    assert entry_pages([make_visit("/x.css", "/a"), make_visit("/y.png")]) == ["/a"]


def test_all_pages_without_assets(make_visit):
    visits = [make_visit("/b", "/x.css", "/a"), make_visit("/a", "/c")]
    assert all_pages(visits) == ["/b", "/a", "/c"]


def test_totals_by_host(make_hit, make_visit):
    visits = [make_visit("/a", "/x.css", host="h1"), make_visit("/b", host="h2", size=7)]
    totals = totals_by_host(visits)
    assert totals["h1"]["hits"] == 2
    assert totals["h1"]["assets"] == 1
    assert totals["h2"]["bytes"] == 7


def test_totals_by_hour(make_visit):
    visits = [make_visit("/a", "/b", start=3590, step=20), make_visit("/a", start=86400 + 3600)]
    totals = totals_by_hour(visits)
    assert {hour: total["hits"] for hour, total in totals.items()} == {0: 1, 1: 2}


def test_concurrent_visits(make_visit):
    visits = [
        make_visit("/a", "/b", start=0, step=100),
        make_visit("/a", "/b", start=50, step=100),
        make_visit("/a", "/b", start=100, step=10),
        make_visit("/a", "/b", start=500, step=10),
    ]
    assert concurrent(visits) == 2
    assert concurrent([]) == 0
