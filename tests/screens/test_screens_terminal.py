"""In a real terminal: what bytes go out, and what tmux shows; and against the real engine."""

import asyncio
import fcntl
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from ouroboros.paths import paths_for
from tui.app import Cockpit
from tui.link import dial
from tui.shot import screenshot, settle
from tui.view import Contact

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 60
SIZELESS = {k: v for k, v in os.environ.items() if k not in {"LINES", "COLUMNS"}}
"""Readline, and who starts tests in parallel, set a size that would outlive every resize."""


class Terminal:
    """A program on a pty of 80x24; everything that it writes is kept."""

    def __init__(self, *argv: str) -> None:
        self.out = b""
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(ROOT)
            environ = dict(os.environ, TERM="xterm-256color", COLORTERM="truecolor")
            os.execve(sys.executable, [sys.executable, *argv], environ)  # noqa: S606 - a pty needs fork
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))

    def read(self, wait_s: float) -> bool:
        """Read what is there; False when nothing came within the time or the program ended."""
        if not select.select([self.fd], [], [], wait_s)[0]:
            return False
        try:
            data = os.read(self.fd, 65536)
        except OSError:
            return False
        self.out += data
        return bool(data)

    def until(self, text: bytes) -> None:
        begin, deadline = len(self.out), time.monotonic() + DEADLINE_S
        while text not in self.out[max(0, begin - len(text)) :]:
            self.read(0.2)
            assert time.monotonic() < deadline, (text, self.out[-3000:])

    def quiet(self) -> None:
        """Read until nothing more comes but the clock."""
        deadline = time.monotonic() + DEADLINE_S
        while self.read(0.5):
            assert time.monotonic() < deadline

    def type(self, keys: str) -> None:
        os.write(self.fd, keys.encode())

    def close(self) -> int:
        deadline = time.monotonic() + DEADLINE_S
        while self.read(1.0) and time.monotonic() < deadline:
            pass
        _, status = os.waitpid(self.pid, 0)
        os.close(self.fd)
        return os.waitstatus_to_exitcode(status)


@pytest.mark.e2e
def test_no_foreign_escape_reaches_a_real_terminal() -> None:
    terminal = Terminal("-m", "tests.screens.demo", "evil")
    terminal.until(b"HELD")
    for key, sign in (
        ("d", b"@@"),
        ("l", b"log of"),
        ("2", b"why, and title"),
        ("5", b"hash"),
        ("6", b"series"),
        ("7", b"severity"),
        ("8", b"Circuit"),
        ("9", b"INFO"),
        ("0", b"option"),
        ("1", b"HELD"),
    ):
        terminal.type(key)
        terminal.until(sign)
    terminal.type("a")
    terminal.until(b"Cancel")
    terminal.quiet()
    terminal.type("\r")
    terminal.until(b"Resume")  # the key bar comes to light again
    terminal.type("q")
    terminal.until(b"engine goes on")
    assert terminal.close() == 0
    out = terminal.out
    assert b"]52;c;ZXZpbA" in re.sub(rb"\x1b\[[0-9;]*m", b"", out)  # shown, as text
    assert b"\x1b]52" not in out
    assert b"\x1b[2J" not in out.partition(b"HELD")[2].partition(b"engine goes on")[0]
    text = out.decode("utf-8")
    assert re.findall("[\x80-\x9f\u202a-\u202e\u2066-\u2069\u200b]", text) == []


class Tmux:
    """A tmux server of our own."""

    def __init__(self, folder: Path) -> None:
        self.socket = folder / "tmux"

    def __call__(self, *argv: str) -> str:
        done = subprocess.run(
            ["tmux", "-S", str(self.socket), *argv],
            capture_output=True,
            text=True,
            check=True,
            timeout=DEADLINE_S,
            env=SIZELESS,
        )
        return done.stdout

    def until(self, true: Callable[[str], bool]) -> str:
        deadline = time.monotonic() + DEADLINE_S
        while True:
            shown = self("capture-pane", "-p")
            if true(shown):
                return shown
            assert time.monotonic() < deadline, shown
            time.sleep(0.05)


@pytest.mark.e2e
@pytest.mark.skipif(shutil.which("tmux") is None, reason="needs tmux")
def test_a_session_in_tmux(tmp_path: Path) -> None:
    tmux = Tmux(tmp_path)
    command = f"cd {ROOT} && {sys.executable} -m tests.screens.demo; exec cat"
    tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", command)
    try:
        tmux.until(lambda s: "HELD" in s and "live" in s)
        tmux("send-keys", "a")
        tmux.until(lambda s: "Approve c4?" in s)
        tmux("send-keys", "Enter")
        tmux.until(lambda s: "Approve c4?" not in s and "HELD" in s)
        tmux("send-keys", "a")
        tmux.until(lambda s: "Approve c4?" in s)
        tmux("send-keys", "Right", "Enter")
        tmux.until(lambda s: re.search(r"c4 +\S ACCEPTED", s) is not None)
        tmux("send-keys", "d")
        tmux.until(lambda s: "+    for char in text:" in s)
        tmux("resize-window", "-x", "50", "-y", "12")
        tmux.until(lambda s: "terminal too small" in s)
        tmux("resize-window", "-x", "120", "-y", "40")
        tmux.until(lambda s: "approved" in s and "+    for char in text:" in s)
        tmux("send-keys", "q")
        tmux.until(lambda s: "The engine goes on." in s)
    finally:
        tmux("kill-server")


# --- the real engine ----------------------------------------------------------------------------

TOML = """
[tests]
framework = "command"
command = ["{python}", "-c", "pass"]

[proposers.codemod]
enabled = false
"""


def git(where: Path, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=where, check=True, capture_output=True)


@asynccontextmanager
async def serving(root: Path, environ: dict[str, str]) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ouroboros",
        "serve",
        cwd=root,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        assert line.startswith(b"ready"), line + await process.stdout.read()
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 30)


@pytest.fixture
def target(tmp_path: Path) -> Path:
    root = tmp_path / "target"
    root.mkdir()
    (root / "mod.py").write_text("x = 1\n")
    (root / "ouroboros.toml").write_text(TOML)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")
    return root


@pytest.fixture
def environ(tmp_path: Path) -> Iterator[dict[str, str]]:
    run = Path(tempfile.mkdtemp(prefix="oc-"))  # a socket's path must be short
    yield dict(os.environ, XDG_STATE_HOME=str(tmp_path / "state"), XDG_RUNTIME_DIR=str(run))
    shutil.rmtree(run)


async def until(app: Cockpit, true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not true():
        assert time.monotonic() < deadline, app.view
        await asyncio.sleep(0.02)


@pytest.mark.e2e
async def test_the_real_engine_is_paused_killed_restarted_and_still_paused(
    target: Path, environ: dict[str, str]
) -> None:
    app = Cockpit(dial(paths_for(target, environ).socket), jitter=lambda: 0.0)
    async with app.run_test(size=(80, 24)) as pilot:
        await until(app, lambda: app.view.contact is Contact.STALE)
        async with serving(target, environ) as engine:
            await until(app, lambda: app.view.contact is Contact.LIVE)
            assert app.view.state.branch == "main"
            await settle(app)
            await pilot.press("space", "right", "enter")
            await until(app, lambda: app.view.state.paused)
            seq = app.view.state.seq
            engine.send_signal(signal.SIGKILL)
            await engine.wait()
            await until(app, lambda: app.view.contact is Contact.STALE)
            assert app.view.state.paused
        async with serving(target, environ):
            await until(app, lambda: app.view.contact is Contact.LIVE)
            await until(app, lambda: app.view.state.seq > seq)
            assert app.view.state.paused
            assert not app.view.resync
            await settle(app)
            numbers = [row.seq for row in app.view.ledger]
            assert numbers == list(range(app.view.state.seq, 0, -1))


@pytest.mark.e2e
async def test_a_picture_of_the_real_engine(target: Path, environ: dict[str, str]) -> None:
    async with serving(target, environ):
        svg = await screenshot(paths_for(target, environ).socket, (120, 40))
    assert "supervised" in svg
    assert "live" in svg
