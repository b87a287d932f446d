import pytest

from hitlog.records import Hit, Session


@pytest.fixture
def make_hit():
    def make(target="/", *, time=0, host="10.0.0.1", status=200, size=100, agent="Firefox/127"):
        return Hit(host, time, "GET", target, status, size, "", agent)

    return make


@pytest.fixture
def make_visit(make_hit):
    def make(*targets, start=0, step=10, **more):
        hits = [make_hit(t, time=start + n * step, **more) for n, t in enumerate(targets)]
        return Session("someone", hits)

    return make
