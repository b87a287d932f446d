import pytest

from hitlog.urls import breadcrumbs, is_asset, page, parameters, split_target


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/", ("/", "")),
        ("/a?b=c", ("/a", "b=c")),
        ("/a?b=c?d", ("/a", "b=c?d")),
        ("/a?b#c", ("/a", "b")),
        ("/a#b?c", ("/a", "")),
    ],
)
def test_split_target(target, expected):
    assert split_target(target) == expected


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("/", "/"),
        ("", "/"),
        ("/Shop/", "/shop"),
        ("//shop///x", "/shop/x"),
        ("/shop/./x", "/shop/x"),
        ("/shop/index.html", "/shop"),
        ("/index.php", "/"),
        ("/shop/INDEX.HTM?x=1", "/shop"),
        ("/index.html/x", "/index.html/x"),
    ],
)
def test_page(target, expected):
    assert page(target) == expected


def test_page_is_stable():
    assert page(page("/A//b/index.html")) == page("/A//b/index.html")


@pytest.mark.parametrize("target", ["/a.css", "/x/y.JPG", "/f.woff2?v=3", "/a.b.js"])
def test_assets(target):
    assert is_asset(target)


@pytest.mark.parametrize("target", ["/", "/a.html", "/css", "/a.css/b", "/a?f=x.css"])
def test_pages_are_no_assets(target):
    assert not is_asset(target)


def test_parameters():
    assert parameters("a=1&b=2&a=3") == {"a": ["1", "3"], "b": ["2"]}
    assert parameters("q=blue+chair&x=%2Fy&&flag") == {
        "q": ["blue chair"],
        "x": ["/y"],
        "flag": [""],
    }
    assert parameters("") == {}


def test_parameters_are_independent():
    first = parameters("a=1")
    first["a"].append("changed")
    assert parameters("a=1") == {"a": ["1"]}


def test_breadcrumbs():
    assert breadcrumbs("/") == ["/"]
    assert breadcrumbs("/a/b/c.html") == ["/", "/a", "/a/b", "/a/b/c.html"]
