"""Asking a live service: every way to fail is an answer in words, and none is an exception."""

import asyncio
import math
import sys
from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.config_service import LiveMetrics
from ouroboros.engine.probes import asked, counted, ran, sums, vital_sample


@pytest.fixture
async def base() -> AsyncIterator[str]:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.path == "/slow":
            await asyncio.sleep(30)
        if request.path == "/moved":
            return web.Response(status=302, headers={"Location": "/"})
        if request.path == "/cut":
            assert request.transport is not None
            request.transport.abort()
        if request.path == "/big":
            return web.Response(text="x 1\n" * 3_000_000)
        return web.Response(status=int(request.path.strip("/") or 200), text='a{b="c"} 2\na 3\n')

    application = web.Application()
    application.router.add_route("*", "/{any:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.parametrize(
    ("path", "said"),
    [("/", ""), ("/204", ""), ("/503", "answers 503"), ("/moved", "answers 302"),
     ("/slow", "does not answer within 0.3 s"), ("/cut", "http")],
)  # fmt: skip
async def test_an_answer_is_healthy_or_says_why_not(base: str, path: str, said: str) -> None:
    found = await asked(base + path, 0.3)
    assert (said in found) if said else found == ""


@pytest.mark.parametrize("url", ["http://127.0.0.1:1/", "http://[", "http://no.such.host.invalid/"])
async def test_who_is_not_there_is_not_healthy(url: str) -> None:
    assert await asked(url, 2.0)


@pytest.mark.parametrize(
    ("code", "said"),
    [("pass", ""), ("raise SystemExit(3)", "exit code 3"),
     ("import time; time.sleep(30)", "does not end within 1 s")],
)  # fmt: skip
async def test_a_command_is_healthy_or_says_why_not(code: str, said: str) -> None:
    found = await ran((sys.executable, "-c", code), {}, 1.0)
    assert (said in found) if said else found == ""


async def test_a_command_that_is_not_there() -> None:
    assert "cannot be run" in await ran(("/no/such/program",), {}, 1.0)


async def test_numbers_are_read_and_rubbish_is_none(base: str) -> None:
    assert await counted(LiveMetrics(url=base + "/"), 1.0) == {"a": 5.0}
    assert await counted(LiveMetrics(url=base + "/503"), 1.0) == {}
    assert await counted(LiveMetrics(url=base + "/slow"), 0.2) == {}
    assert await counted(LiveMetrics(), 1.0) == {}
    found = await counted(LiveMetrics(url=base + "/big"), 5.0)
    assert 0 < found["x"] <= (4 << 20) / 4 + 1


@given(st.text(max_size=300))
def test_any_page_has_sums(page: str) -> None:
    assert all(math.isfinite(value) for value in sums(page).values())


def test_a_sample_takes_the_three_names() -> None:
    names = LiveMetrics(url="http://x")
    page = sums(
        '# HELP x\nhttp_requests_total{p="/"} 4\nhttp_requests_total{p="/a"} 6 1700000000000\n'
        "http_request_errors_total 1\nhttp_request_duration_seconds_sum 0.5\nnan_total NaN\n"
    )
    found = vital_sample(7, (10, 2.0), names, page)
    assert (found.requests, found.errors, found.seconds) == (10.0, 1.0, 0.5)
    only = vital_sample(7, (10, 2.0), names, {"http_request_duration_seconds_count": 3.0})
    assert (only.requests, only.errors) == (3.0, 0.0)
    assert vital_sample(7, (10, 2.0), names, {}).requests is None
