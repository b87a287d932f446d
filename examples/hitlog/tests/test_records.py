from hitlog.records import EMPTY_TOTALS, add_hit, new_totals


def test_totals_start_empty_and_are_independent(make_hit):
    one, other = new_totals(), new_totals()
    add_hit(one, make_hit(), asset=False)
    assert other == EMPTY_TOTALS == new_totals()
    assert one["hits"] == 1


def test_totals_add_up(make_hit):
    totals = new_totals()
    add_hit(totals, make_hit(time=5, size=10), asset=False)
    add_hit(totals, make_hit(time=9, size=20, status=404), asset=True)
    add_hit(totals, make_hit(time=7, size=30, status=302), asset=False)
    assert totals == {
        "hits": 3,
        "bytes": 60,
        "errors": 1,
        "redirects": 1,
        "assets": 1,
        "pages": 2,
        "gets": 3,
        "posts": 0,
        "heads": 0,
        "others": 0,
        "first": 5,
        "last": 7,
    }


def test_hit_flags(make_hit):
    assert make_hit(status=500).failed
    assert not make_hit(status=304).failed
    assert make_hit(status=304).redirected


def test_session_times(make_visit):
    visit = make_visit("/a", "/b", "/c", start=100, step=20)
    assert (visit.start, visit.end, visit.duration) == (100, 140, 40)
