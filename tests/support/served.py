"""A real target with a real `ouroboros serve` beside it, driven only through its public doors."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import psutil

OUROBOROS = Path(sys.executable).with_name("ouroboros")
WORK = """\
def total(n):
    seen = []
    for i in range(n):
        if i % 97 not in seen:
            seen.append(i % 97)
    return len(seen)
"""
FASTER = WORK.replace("seen = []", "seen = set()").replace("seen.append", "seen.add")
TEST = """\
import unittest

from work import total


class Total(unittest.TestCase):
    def test_total(self):
        self.assertEqual(total(500), 97)
"""
CONFIG = """\
[environment]
python = "{python}"
[tests]
framework = "unittest"
command = ["discover", "-s", "tests"]
[benchmarks.total]
command = ["{{python}}", "-c", "import work; work.total(60_000)"]
[governor]
mode = "{mode}"
[proposers.codemod]
enabled = false
[engine]
watch_after = "1h"
shutdown_grace = "500ms"
"""


def diff(old: str = WORK, new: str = FASTER) -> str:
    import difflib

    lines = difflib.unified_diff(
        old.splitlines(keepends=True), new.splitlines(keepends=True), "a/work.py", "b/work.py"
    )
    return "".join(lines)


def until(condition: Callable[[], object], *, seconds: float = 60, what: str = "") -> None:
    """Return once the condition holds."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"not within {seconds} s: {what}"
        time.sleep(0.05)


class Served:
    """One target and its engine process."""

    def __init__(self, folder: Path, mode: str = "supervised") -> None:
        self.root = folder / "target"
        (self.root / "tests").mkdir(parents=True)
        self.env = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "XDG_"))}
        self.env |= {"XDG_STATE_HOME": str(folder / "state"), "GIT_CONFIG_GLOBAL": "/dev/null"}
        (self.root / "work.py").write_text(WORK)
        (self.root / "tests" / "test_work.py").write_text(TEST)
        python = os.path.realpath(sys.executable)
        (self.root / "ouroboros.toml").write_text(CONFIG.format(python=python, mode=mode))
        (self.root / "faster.diff").write_text(diff())
        self.git("init", "-q", "-b", "main")
        self.git("add", "work.py", "tests", "ouroboros.toml")
        self.git("commit", "-q", "-m", "first")
        self.process: subprocess.Popen[bytes] | None = None
        self.log = folder / "engine.log"

    def git(self, *args: str) -> str:
        command = ["git", "-C", str(self.root), "-c", "user.name=U", "-c", "user.email=u@e", *args]
        done = subprocess.run(command, check=True, capture_output=True, env=self.env)
        return done.stdout.decode().strip()

    def start(self) -> None:
        with self.log.open("ab") as file:
            self.process = subprocess.Popen(
                [str(OUROBOROS), "--repo", str(self.root), "serve"],
                stdout=subprocess.PIPE,
                stderr=file,
                env=self.env,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith(b"ready"), self.log.read_text()[-3000:]

    def family(self) -> list[psutil.Process]:
        assert self.process is not None
        return psutil.Process(self.process.pid).children(recursive=True)

    def signal(self, which: signal.Signals) -> int:
        assert self.process is not None
        self.process.send_signal(which)
        return self.process.wait(timeout=30)

    def run(self, *args: str, check: bool = True) -> str:
        command = [str(OUROBOROS), "--repo", str(self.root), *args]
        done = subprocess.run(command, capture_output=True, env=self.env, timeout=120)
        assert not check or done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def json(self, *args: str) -> object:
        return msgspec.json.decode(self.run("--json", *args))

    def call(self, method: str, **params: object) -> object:
        return msgspec.json.decode(self.run("--json", "call", method, msgspec.json.encode(params)))

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
