from hitlog.search import distinct_filters, popular_terms, searches, terms


def test_searches_in_order(make_hit):
    hits = [make_hit("/s?q=red+chair"), make_hit("/s"), make_hit("/s?q=desk&q=lamp&x=1")]
    assert searches(hits) == ["red chair", "desk", "lamp"]
    assert searches(hits, "x") == ["1"]


def test_distinct_filters(make_hit):
    hits = [make_hit(f"/l?{q}") for q in ("a=1&b=2", "b=2&a=1", "a=1", "a=1&a=2", "a=1")]
    assert distinct_filters(hits) == [
        {"a": ["1"], "b": ["2"]},
        {"a": ["1"]},
        {"a": ["1", "2"]},
    ]


def test_filters_need_parameters(make_hit):
    assert distinct_filters([make_hit("/l"), make_hit("/l?")]) == []


def test_terms_without_stopwords():
    assert terms(["The Red chair", "a lamp for the desk", "42"]) == [
        "red",
        "chair",
        "lamp",
        "desk",
        "42",
    ]


def test_popular_terms():
    phrases = ["red chair", "red lamp", "blue lamp", "red"]
    assert popular_terms(phrases) == [("red", 3), ("lamp", 2), ("blue", 1), ("chair", 1)]
    assert popular_terms(phrases, 1) == [("red", 3)]
    assert popular_terms([]) == []
