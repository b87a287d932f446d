from hitlog.paths import click_graph, clicks, reachable, shortest_path

GRAPH = {"/": ["/a", "/b"], "/a": ["/c"], "/b": ["/c", "/d"], "/c": ["/"], "/d": [], "/e": ["/"]}


def test_clicks_skip_assets_errors_and_reloads(make_hit, make_visit):
    visit = make_visit("/", "/x.css", "/a", "/a", "/b")
    visit.hits.insert(4, make_hit("/gone", status=404))
    assert clicks(visit) == [("/", "/a"), ("/a", "/b")]


def test_click_graph(make_visit):
    visits = [make_visit("/", "/a", "/"), make_visit("/", "/b"), make_visit("/", "/a")]
    assert click_graph(visits) == {"/": ["/a", "/b"], "/a": ["/"], "/b": []}


def test_reachable_nearest_first():
    assert reachable(GRAPH, "/") == ["/", "/a", "/b", "/c", "/d"]
    assert reachable(GRAPH, "/d") == ["/d"]
    assert reachable(GRAPH, "/nowhere") == ["/nowhere"]


def test_shortest_path():
    assert shortest_path(GRAPH, "/", "/d") == ["/", "/b", "/d"]
    assert shortest_path(GRAPH, "/e", "/c") == ["/e", "/", "/a", "/c"]
    assert shortest_path(GRAPH, "/", "/") == ["/"]


def test_no_path():
    assert shortest_path(GRAPH, "/", "/e") is None
    assert shortest_path({}, "/", "/x") is None
