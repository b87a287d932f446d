import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cli_world import Cli, Ended, Served, Terminal, git

from ouroboros.cli import edge
from ouroboros.paths import Paths, paths_for


@pytest.fixture
def home() -> Iterator[Path]:
    """A short private folder: socket paths are at most 107 bytes."""
    path = Path(tempfile.mkdtemp(prefix="oc-"))
    yield path
    shutil.rmtree(path)


@pytest.fixture(autouse=True)
def environ(home: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """State and sockets of a test's own; nothing of the developer's terminal."""
    for name in ("NO_COLOR", "PYTHONPATH", "OUROBOROS_DEBUG", "COLUMNS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(home / "run"))
    monkeypatch.setenv("TERM", "xterm-256color")
    (home / "run").mkdir(mode=0o700)
    return dict(os.environ)


@pytest.fixture
def target(home: Path) -> Path:
    """A committed repository with a package, a test and a benchmark."""
    root = home / "demo"
    for name, text in {
        "pkg/__init__.py": "def f(n):\n    return [i for i in range(n)]\n",
        "tests/test_f.py": "import pytest\nfrom pkg import f\n\n\ndef test_f():\n    assert f(1)\n",
        "benchmarks/bench_f.py": "from pkg import f\n\nif __name__ == '__main__':\n    f(9)\n",
    }.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "begin")
    return root


@pytest.fixture
def configured(target: Path) -> Path:
    (target / "ouroboros.toml").write_text(
        '[benchmarks.f]\ncommand = ["{python}", "benchmarks/bench_f.py"]\n'
    )
    git(target, "add", "-A")
    git(target, "commit", "-qm", "configure")
    return target


@pytest.fixture
def paths(target: Path) -> Paths:
    return paths_for(target, os.environ)


@pytest.fixture
def cli(capfd: pytest.CaptureFixture[str], target: Path, monkeypatch: pytest.MonkeyPatch) -> Cli:
    """Run a command line in this process, in the target's folder."""
    monkeypatch.chdir(target)

    def run(*arguments: str) -> Ended:
        capfd.readouterr()
        code = edge.run(arguments)
        out, err = capfd.readouterr()
        return Ended(code, out, err)

    return run


@pytest.fixture
def terminal(target: Path) -> Iterator[Callable[..., Terminal]]:
    made: list[Terminal] = []

    def start(*arguments: str, **extra: Any) -> Terminal:
        made.append(Terminal(*arguments, cwd=target, **extra))
        return made[-1]

    yield start
    for each in made:
        each.kill()


@pytest.fixture
def served(paths: Paths) -> Iterator[Served]:
    made = Served(paths.socket)
    yield made
    made.end()
