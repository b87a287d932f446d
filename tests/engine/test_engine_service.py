"""The target's own process: real ones, promoted into, crashed, hung, slowed down, rolled back."""

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import psutil
import pytest
from engine_world import World, git, make_diff, reach

from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.model import events as ev
from ouroboros.model.phase import Phase
from ouroboros.model.state import State

ANN = "uid:ann"

SERVICE = """
import http.server, importlib, os, signal, sys, threading, time
import m

def behave():
    if m.f(0) == 66:                       # ends a moment after it was healthy
        threading.Timer(0.3, lambda: os._exit(7)).start()
    if m.f(0) == 99:                       # eats memory
        threading.Timer(0.2, lambda: globals().update(full=bytearray(300 << 20))).start()

counted = {"requests": 0, "seconds": 0.0, "errors": 0}

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        begun = time.monotonic()
        if self.path == "/healthz" and m.f(0) == 55:
            time.sleep(30)                 # hangs
        if self.path == "/healthz" and m.f(0) == 44:
            return self.answer(503, "ill")
        if self.path == "/metrics":
            return self.answer(200, "".join((
                f"http_requests_total{{path=\\"/\\"}} {counted['requests']}\\n",
                f"http_request_errors_total {counted['errors']}\\n",
                f"http_request_duration_seconds_sum {counted['seconds']}\\n",
                f"http_request_duration_seconds_count {counted['requests']}\\n")))
        if self.path == "/":
            time.sleep(0.002 if m.f(0) != 77 else 0.02)
            counted["requests"] += 1
            counted["seconds"] += time.monotonic() - begun
        self.answer(200, str(m.f(0)))
    def answer(self, code, text):
        self.send_response(code)
        self.end_headers()
        self.wfile.write(text.encode())
    def log_message(self, *args):
        pass

def reload(*_):
    importlib.reload(m)
    behave()

signal.signal(signal.SIGHUP, reload)
sys.dont_write_bytecode = True
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
server = Server(("127.0.0.1", int(os.environ["PORT"])), Handler)
behave()
server.serve_forever()
"""


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Live:
    """A world whose target is a service."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.port = free_port()
        (world.root / "svc.py").write_text(SERVICE)
        git(world.root, "add", ".")
        git(world.root, "commit", "-q", "-m", "a service")

    def configure(self, more: str = "", *, reload: str = 'by = "signal"', limits: str = "") -> None:
        import sys

        self.world.configure("autonomous")
        with (self.world.root / "ouroboros.toml").open("a") as file:
            file.write(
                f"""
[service]
command = ["{sys.executable}", "-B", "svc.py"]
environment = {{ PORT = "{self.port}" }}
watch = "2s"
start_timeout = "3s"
stop_timeout = "2s"
{more}
[service.health]
url = "http://127.0.0.1:{self.port}/healthz"
interval = "100ms"
timeout = "300ms"
[service.reload]
{reload}
timeout = "5s"
[service.metrics]
url = "http://127.0.0.1:{self.port}/metrics"
[service.limits]
{limits}
"""
            )

    async def says(self) -> str:
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://127.0.0.1:{self.port}/x") as answer,
        ):
            return await answer.text()

    def notes(self) -> list[str]:
        return [e.what for e in self.world.events() if isinstance(e, ev.ServiceNoted)]


@pytest.fixture
async def live(tmp_path: Any) -> AsyncIterator[Live]:
    made = Live(World(tmp_path))
    yield made
    for engine, store in zip(made.world.engines, made.world.stores, strict=True):
        await engine.close()
        store.close()
    for process in psutil.process_iter(["cmdline", "cwd"]):
        if process.info["cwd"] == str(made.world.root):
            process.kill()


async def until(engine: Engine, condition: Any, within_s: float = 30.0) -> State:
    async with asyncio.timeout(within_s):
        await engine._core.recorder.wait_for(condition)
    return engine.state


async def serving(engine: Engine, version: int) -> State:
    return await until(
        engine,
        lambda s: (
            s.serving is not None
            and s.serving.version == version
            and s.serving.what in ("started", "restarted", "reloaded")
        ),
    )


async def submit(engine: Engine, value: str) -> str:
    diff = make_diff("m.py", "x + 1", value)
    return await engine.submit(Submission(diff=diff, title="t", rationale="r"), actor=ANN)


@pytest.mark.parametrize("reload", ['by = "signal"', 'by = "restart"'])
async def test_a_good_change_is_taken_by_the_running_service(live: Live, reload: str) -> None:
    live.configure(reload=reload)
    engine = await live.world.start()
    await serving(engine, 0)
    assert await live.says() == "1"
    first = engine.state.serving.pid
    name = await submit(engine, "1 + x * 3")
    await reach(engine, name, Phase.PROMOTED)
    state = await serving(engine, 1)
    assert (state.serving.pid == first) == ("signal" in reload)
    assert engine.candidate(name).phase is Phase.PROMOTED
    assert await engine._service.settled(engine.candidate(name)) == ""


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("x + 66", "the service crashed: it ended with exit code 7"),
        ("x + 44", "503"),
        ("x + 55", "does not answer within"),
        ("x + 99", "resident memory is"),
        ("x + [][0]", "could not be served"),
    ],
)
async def test_a_bad_change_is_rolled_back_and_the_old_version_serves_again(
    live: Live, value: str, said: str
) -> None:
    live.configure(reload='by = "restart"', limits='max_rss = "200MiB"')
    engine = await live.world.start()
    await serving(engine, 0)
    name = await submit(engine, value)
    await reach(engine, name, Phase.ROLLED_BACK)
    await serving(engine, 2)
    assert await live.says() == "1"
    alert = next(a for a in engine.state.alerts if a.code == "regression")
    assert said in alert.text
    assert alert.candidate == name
    assert engine.state.versions[-1].restores == 0


async def test_from_a_crash_to_the_old_version_in_two_seconds(live: Live) -> None:
    live.configure(reload='by = "restart"')
    engine = await live.world.start()
    await serving(engine, 0)
    name = await submit(engine, "x + 66")
    await until(engine, lambda s: s.serving.what == "crashed")
    begun = time.monotonic()
    await serving(engine, 2)
    assert await live.says() == "1"
    assert time.monotonic() - begun < 2.0
    assert engine.candidate(name).phase is Phase.ROLLED_BACK


async def test_what_got_slower_is_told_at_the_end_of_the_watch(live: Live) -> None:
    live.configure(limits="max_latency_increase = 0.5")
    engine = await live.world.start()
    await serving(engine, 0)

    async def load() -> None:
        async with aiohttp.ClientSession() as http:
            while True:
                async with http.get(f"http://127.0.0.1:{live.port}/") as answer:
                    await answer.read()

    loading = asyncio.ensure_future(load())
    await asyncio.sleep(2.2)
    name = await submit(engine, "x + 77")
    await reach(engine, name, Phase.PROMOTED)
    await serving(engine, 1)
    assert "mean time of a request rose" in await engine._service.settled(engine.candidate(name))
    loading.cancel()


async def test_a_crash_that_is_nobodys_fault_is_restarted_and_told(live: Live) -> None:
    live.configure()
    engine = await live.world.start()
    state = await serving(engine, 0)
    pid = state.serving.pid
    os.kill(pid, signal.SIGKILL)
    await until(engine, lambda s: s.serving.what == "started" and s.serving.pid != pid)
    assert live.notes() == ["started", "crashed", "started"]
    assert [a.code for a in engine.state.alerts] == ["service_failed"]
    assert "SIGKILL" in engine.state.alerts[0].text


async def test_the_service_outlives_the_engine_and_is_taken_over(live: Live) -> None:
    live.configure()
    engine = await live.world.start()
    pid = (await serving(engine, 0)).serving.pid
    await live.world.stop(engine)
    assert await live.says() == "1"
    engine = await live.world.start()
    name = await submit(engine, "1 + x * 3")
    await reach(engine, name, Phase.PROMOTED)
    state = await serving(engine, 1)
    assert state.serving.pid == pid
    assert live.notes() == ["started", "adopted", "reloaded"]
    os.kill(pid, signal.SIGKILL)
    await until(engine, lambda s: s.serving.what == "crashed")


async def test_it_ends_with_the_engine_where_that_is_wanted(live: Live) -> None:
    live.configure("stop_with_engine = true")
    engine = await live.world.start()
    pid = (await serving(engine, 0)).serving.pid
    await live.world.stop(engine)
    assert not psutil.pid_exists(pid)


async def test_a_service_that_cannot_be_started_is_told_and_tried_again(live: Live) -> None:
    live.configure()
    with (live.world.root / "ouroboros.toml").open("a") as file:
        file.write("")
    text = (live.world.root / "ouroboros.toml").read_text()
    (live.world.root / "ouroboros.toml").write_text(text.replace("svc.py", "missing.py"))
    engine = await live.world.start()
    await until(engine, lambda s: any(a.code == "service_failed" for a in s.alerts))
    assert "exit code 2" in engine.state.alerts[0].text
    git(live.world.root, "mv", "svc.py", "missing.py")
    await serving(engine, 0)


async def test_the_engines_environment_stays_its_own(
    live: Live, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    live.configure()
    engine = await live.world.start()
    pid = (await serving(engine, 0)).serving.pid
    environ = psutil.Process(pid).environ()
    assert "OPENAI_API_KEY" not in environ
    assert environ["PORT"] == str(live.port)


async def test_no_request_fails_over_a_reload_by_signal(live: Live) -> None:
    live.configure()
    engine = await live.world.start()
    await serving(engine, 0)
    failed: list[str] = []
    served = 0

    async def load() -> None:
        nonlocal served
        async with aiohttp.ClientSession() as http:
            while True:
                try:
                    async with http.get(f"http://127.0.0.1:{live.port}/") as answer:
                        if answer.status != 200:
                            failed.append(str(answer.status))
                        served += 1
                except aiohttp.ClientError as error:
                    failed.append(str(error))

    loading = [asyncio.ensure_future(load()) for _ in range(4)]
    name = await submit(engine, "1 + x * 3")
    await reach(engine, name, Phase.PROMOTED)
    await serving(engine, 1)
    before = served
    async with asyncio.timeout(20):
        while served < before + 100:  # noqa: ASYNC110 - counted by the load
            await asyncio.sleep(0.01)
    for one in loading:
        one.cancel()
    assert failed == []
