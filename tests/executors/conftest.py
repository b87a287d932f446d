"""A small target in a real git repository, and a local executor with a real sandbox on it."""

import itertools
import subprocess
import sys
import textwrap
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from msgspec.structs import replace

from ouroboros.config import Config, parse
from ouroboros.evaluation.plan import Plan
from ouroboros.executors.local import LocalExecutor
from ouroboros.model.progress import Progress
from ouroboros.sandbox import Sandbox

SLOW = """
    def total(n):
        result = 0
        for i in range(n):
            result += i * i % 7
        return result
"""

FILES = {
    "shop/__init__.py": "",
    "shop/prices.py": SLOW,
    "tests/test_prices.py": """
        import unittest
        from shop.prices import total

        def test_small():
            assert total(3) == 5

        def test_zero():
            assert total(0) == 0

        class Prices(unittest.TestCase):
            def test_ten(self):
                self.assertEqual(total(10), sum(i * i % 7 for i in range(10)))
    """,
    "bench/run.py": """
        from shop.prices import total
        for _ in range(10):
            total(20_000)
    """,
    "pytest.ini": "[pytest]\n",
}

TOML = """
    [tests]
    command = ["tests"]
    timeout = "20s"
    [benchmarks.total]
    command = ["{python}", "bench/run.py"]
    timeout = "10s"
    [governor]
    benchmark_budget = "30s"
    max_pairs = 12
    [sandbox]
    memory = "256MiB"
    processes = 64
"""


class Target:
    """A repository under test: commits are made, and plans for them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = self.configured(TOML)
        self._numbers = itertools.count(1)
        folder.mkdir()
        self.git("init", "-q")
        self.base = self.commit(FILES)

    @staticmethod
    def configured(text: str, *, pairs: int = 0) -> Config:
        """Return a configuration; `pairs` are fewer than one that could accept may ask for."""
        config = parse(textwrap.dedent(text).encode()).config
        if not pairs:
            return config
        governor = replace(config.governor, min_pairs=2, max_pairs=pairs)
        return replace(config, governor=governor)

    def git(self, *args: str, stdin: bytes | None = None) -> bytes:
        identity = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
        line = ["git", "-C", str(self.folder), *identity, *args]
        return subprocess.run(line, check=True, input=stdin, capture_output=True).stdout

    def commit(self, files: dict[str, str | None]) -> str:
        for name, text in files.items():
            path = self.folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            if text is None:
                path.unlink()
            else:
                path.write_text(textwrap.dedent(text).lstrip("\n"))
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", "change")
        return self.git("rev-parse", "HEAD").decode().strip()

    def export(self, commit: str, dest: Path) -> None:
        dest.mkdir()
        archive = self.git("archive", commit)
        subprocess.run(["tar", "-x", "-C", str(dest)], input=archive, check=True)

    def candidate(self, files: dict[str, str | None], *, base: str = "") -> Plan:
        self.git("checkout", "-q", "--detach", base or self.base)
        return self.plan(self.commit(files), tuple(files), base=base)

    def plan(self, commit: str, changed: tuple[str, ...] = (), *, base: str = "") -> Plan:
        return Plan(
            candidate=f"c{next(self._numbers)}",
            attempt=1,
            repository=str(self.folder),
            base_commit=base or self.base,
            candidate_commit=commit,
            changed=changed,
            config=self.config,
            python=sys.executable,
            seed=7,
        )


class Seen(list[Progress]):
    """What was reported."""

    def __call__(self, progress: Progress) -> None:
        self.append(progress)

    @property
    def stages(self) -> list[str]:
        return list(dict.fromkeys(p.stage for p in self))


@pytest.fixture
def target(tmp_path: Path) -> Target:
    return Target(tmp_path / "target")


@pytest.fixture
def seen() -> Seen:
    return Seen()


@pytest.fixture
def logs() -> dict[str, bytes]:
    return {}


@pytest.fixture
async def executor(
    target: Target, tmp_path: Path, logs: dict[str, bytes]
) -> AsyncIterator[LocalExecutor]:
    def put(data: bytes) -> str:
        name = f"log-{len(logs)}"
        logs[name] = data
        return name

    local = LocalExecutor(
        sandbox=await Sandbox.open(target.config.sandbox, tmp_path),
        export=target.export,
        put_evidence=put,
        cache=tmp_path / "trees",
    )
    yield local
    await local.close()
