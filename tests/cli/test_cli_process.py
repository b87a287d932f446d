"""`run`, `tui`, `serve`: who starts whom, who stops whom, and what is left behind."""

import contextlib
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from cli_world import Served, Terminal, until

from ouroboros.cli import companion
from ouroboros.cli.companion import Companion
from ouroboros.errors import ConfigError, EngineUnreachableError, WaitTimeoutError
from ouroboros.paths import Paths

ENGINE = """
import os, signal, socket, sys, time
sock = socket.socket(socket.AF_UNIX)
os.makedirs(os.path.dirname({socket!r}), mode=0o700, exist_ok=True)
def stop(*_):
    open({marks!r}, "a").write("term ")
    if not {stubborn}:
        sys.exit(0)
signal.signal(signal.SIGTERM, stop)
print("isolated", sys.flags.isolated, "path", os.environ.get("PYTHONPATH"), flush=True)
sock.bind({socket!r}); sock.listen()
while True:
    time.sleep(0.05)
"""


@pytest.fixture
def marks(home: Path) -> Path:
    return home / "marks"


def engine(paths: Paths, marks: Path, *, stubborn: bool = False) -> tuple[str, ...]:
    code = ENGINE.format(socket=str(paths.socket), marks=str(marks), stubborn=stubborn)
    return (sys.executable, "-I", "-c", code)


def test_it_starts_isolated_and_stops_in_order(
    paths: Paths, marks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(paths.root))
    with Companion(engine(paths, marks), paths) as started:
        started.wait_until_ready()
        assert os.getsid(started.pid) == started.pid, "a session of its own"
        assert Path(f"/proc/{started.pid}/cwd").readlink() == paths.root
    assert marks.read_text() == "term "
    assert not psutil.pid_exists(started.pid)
    assert started.log.read_text() == "isolated 1 path None\n"
    assert started.log.parent.stat().st_mode & 0o777 == 0o700


def test_it_stops_also_when_the_screen_crashes(paths: Paths, marks: Path) -> None:
    pids: list[int] = []

    def run() -> None:
        with Companion(engine(paths, marks), paths) as started:
            started.wait_until_ready()
            pids.append(started.pid)
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run()
    assert not psutil.pid_exists(pids[0])


def test_a_released_engine_goes_on(paths: Paths, marks: Path) -> None:
    with Companion(engine(paths, marks), paths) as started:
        started.wait_until_ready()
        started.release()
    assert psutil.pid_exists(started.pid)
    assert not marks.exists()
    started.stop()
    assert not psutil.pid_exists(started.pid)


def test_a_stubborn_engine_is_asked_twice_then_killed(
    paths: Paths, marks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(companion, "STOPPED_WITHIN_S", 0.3)
    monkeypatch.setattr(companion, "HARD_WITHIN_S", 0.3)
    with Companion(engine(paths, marks, stubborn=True), paths) as started:
        started.wait_until_ready()
    assert marks.read_text() == "term term "
    assert not psutil.pid_exists(started.pid)


@pytest.mark.parametrize(("code", "kind"), [(6, ConfigError), (99, EngineUnreachableError)])
def test_an_engine_that_ends_at_once_says_why(
    paths: Paths, code: int, kind: type[Exception]
) -> None:
    words = f"import sys; print('error: no \\x1b[31msense'); sys.exit({code})"
    with (
        pytest.raises(kind, match=r"no .*sense") as caught,
        Companion((sys.executable, "-c", words), paths) as started,
    ):
        started.wait_until_ready()
    assert f"exit code {code}" in str(caught.value)
    assert "engine.log" in str(caught.value)


def test_an_engine_that_never_answers_is_given_up(
    paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(companion, "READY_WITHIN_S", 0.3)
    sleeper = (sys.executable, "-c", "import time; time.sleep(60)")
    with pytest.raises(WaitTimeoutError), Companion(sleeper, paths) as started:
        started.wait_until_ready()
    assert not psutil.pid_exists(started.pid)


def test_only_its_own_words_are_quoted_from_the_log(paths: Paths) -> None:
    paths.state.mkdir(parents=True, mode=0o700)
    (paths.state / "engine.log").write_text("yesterday's news\n")
    with (
        pytest.raises(EngineUnreachableError) as caught,
        Companion((sys.executable, "-c", "print('today')"), paths) as started,
    ):
        started.wait_until_ready()
    assert "today" in str(caught.value)
    assert "yesterday" not in str(caught.value)


def test_a_long_log_is_put_aside(
    paths: Paths, marks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(companion, "_LARGEST_LOG", 3)
    paths.state.mkdir(parents=True, mode=0o700)
    (paths.state / "engine.log").write_text("long\n")
    with Companion(engine(paths, marks), paths) as started:
        started.wait_until_ready()
    assert (paths.state / "engine.log.1").read_text() == "long\n"
    assert "long" not in started.log.read_text()


# --- with the real screen -----------------------------------------------------------------------

Start = Callable[..., Terminal]


def test_tui_attaches_and_leaves_the_engine_alone(
    terminal: Start, served: Served, configured: Path
) -> None:
    screen = terminal("tui", COLUMNS="80", LINES="24")
    screen.read_until("c3")
    screen.type("q")
    assert screen.end() == 0
    assert ("shutdown", "") not in [(what, "") for what, _ in served.engine.asked]
    assert served.socket.exists()


def test_run_attaches_to_an_engine_that_is_there(
    terminal: Start, served: Served, configured: Path, paths: Paths
) -> None:
    screen = terminal("run", COLUMNS="80", LINES="24")
    screen.read_until("it goes on when you quit")
    screen.read_until("c3")
    screen.type("q")
    assert screen.end() == 0
    assert served.socket.exists()
    assert not (paths.state / "engine.log").exists(), "it started none"


def test_run_reports_a_bad_configuration_before_it_starts_anything(
    terminal: Start, configured: Path, paths: Paths
) -> None:
    (configured / "ouroboros.toml").write_text("[nope]\n")
    screen = terminal("run")
    assert screen.end() == 6
    assert "Unknown key 'nope'" in screen.seen
    assert not paths.state.exists()


# --- run, with a stand-in for the engine's process ----------------------------------------------


def stand_in(paths: Paths) -> tuple[str, ...]:
    """Return a program that is `ouroboros`, but starts a memory engine as its companion."""
    support = str(Path(__file__).parents[1] / "support")
    root = str(Path(__file__).parents[2])
    serve = (
        f"import sys; sys.path[:0] = [{support!r}, {root!r}]; import cli_world; "
        f"cli_world.serve_alone({str(paths.socket)!r})"
    )
    code = (
        "import sys\nfrom ouroboros.cli import edge, guards\n"
        f"guards.isolated_command = lambda _: (sys.executable, '-I', '-c', {serve!r})\n"
        "sys.exit(edge.run(sys.argv[1:]))"
    )
    return (sys.executable, "-c", code)


def started_pid(screen: Terminal) -> int:
    return int(screen.read_until(", log ").split("(pid ")[1].split(",")[0])


def test_quitting_run_stops_the_engine_that_it_started(
    terminal: Start, configured: Path, paths: Paths
) -> None:
    screen = terminal("run", program=stand_in(paths), COLUMNS="80", LINES="24")
    pid = started_pid(screen)
    screen.read_until("It stops when you quit")
    screen.read_until("c3")
    screen.type("q")
    assert screen.end() == 0
    assert f"Stopping the engine that 'run' started (pid {pid})" in screen.seen
    assert "Stopped." in screen.seen
    assert "The engine goes on" not in screen.seen
    assert not psutil.pid_exists(pid)
    assert not paths.socket.exists()


def test_quitting_a_detached_run_leaves_the_engine(
    terminal: Start, configured: Path, paths: Paths
) -> None:
    screen = terminal("run", "--detach", program=stand_in(paths), COLUMNS="80", LINES="24")
    engine_process = psutil.Process(started_pid(screen))
    try:
        screen.read_until("It goes on when you quit")
        screen.read_until("c3")
        screen.type("q")
        assert screen.end() == 0
        assert "The engine goes on" in screen.seen
        assert engine_process.is_running()
    finally:
        engine_process.terminate()
        engine_process.wait(30)


def test_a_terminated_run_stops_its_engine(terminal: Start, configured: Path, paths: Paths) -> None:
    screen = terminal("run", program=stand_in(paths), COLUMNS="80", LINES="24")
    pid = started_pid(screen)
    screen.read_until("c3")
    screen.process.send_signal(signal.SIGTERM)
    assert screen.end() == 128 + signal.SIGTERM
    assert "Stopping the engine that 'run' started" in screen.seen
    assert not psutil.pid_exists(pid)


def test_an_engine_survives_a_terminal_that_vanishes(
    terminal: Start, configured: Path, paths: Paths
) -> None:
    screen = terminal("run", program=stand_in(paths), COLUMNS="80", LINES="24")
    engine_process = psutil.Process(started_pid(screen))
    try:
        screen.read_until("c3")
        screen.vanish()
        screen.process.send_signal(signal.SIGHUP)  # as the kernel sends it to the foreground
        screen.process.wait(30)
        assert engine_process.is_running()
        assert paths.socket.exists()
    finally:
        engine_process.terminate()
        engine_process.wait(30)


def test_the_engine_is_left_by_a_screen_that_ended_before_the_signal(
    terminal: Start, configured: Path, paths: Paths
) -> None:
    """The screen sees the end of its input first, now and then; no signal is sent here at all."""
    screen = terminal("run", program=stand_in(paths), COLUMNS="80", LINES="24")
    engine_process = psutil.Process(started_pid(screen))
    try:
        screen.read_until("c3")
        screen.vanish()
        with contextlib.suppress(subprocess.TimeoutExpired):
            screen.process.wait(5)
        screen.process.send_signal(signal.SIGTERM)
        screen.process.wait(30)
        assert engine_process.is_running()
        assert paths.socket.exists()
    finally:
        engine_process.terminate()
        engine_process.wait(30)


# --- with the real engine -----------------------------------------------------------------------


@pytest.mark.e2e
def test_run_starts_an_engine_and_stops_it(terminal: Start, configured: Path, paths: Paths) -> None:
    screen = terminal("run", COLUMNS="80", LINES="24")
    screen.read_until("Starting the engine (pid ")
    pid = int(screen.seen.split("(pid ")[1].split(",")[0])
    screen.read_until("demo")
    assert psutil.pid_exists(pid)
    screen.type("q")
    assert screen.end() == 0
    assert "Stopping the engine that 'run' started" in screen.seen
    assert not psutil.pid_exists(pid)
    assert not paths.socket.exists()


@pytest.mark.e2e
def test_run_detached_leaves_the_engine(terminal: Start, configured: Path, paths: Paths) -> None:
    screen = terminal("run", "--detach", COLUMNS="80", LINES="24")
    screen.read_until("Starting the engine (pid ")
    engine_process = psutil.Process(int(screen.seen.split("(pid ")[1].split(",")[0]))
    try:
        screen.read_until("demo")
        screen.type("q")
        assert screen.end() == 0
        assert "The engine goes on" in screen.seen, "the farewell"
        assert engine_process.is_running()
    finally:
        engine_process.send_signal(signal.SIGTERM)
        engine_process.wait(30)
    until(lambda: not paths.socket.exists())
