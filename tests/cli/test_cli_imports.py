"""What a command may import: `--version` is cheap, headless rooms know no screen."""

import subprocess
import sys
from pathlib import Path

import pytest
from cli_world import SCRIPT, Served, script

import ouroboros

HEAVY = ("aiohttp", "git", "textual", "rich", "libcst", "psutil", "jsonrpcserver", "asyncio")
HEAVY += ("cryptography",)

PROBE = """
import sys
sys.argv = {argv!r}
from ouroboros.cli.edge import run
code = run(sys.argv[1:])
print(code, *sorted(m for m in {names!r} if m in sys.modules), file=sys.stderr)
"""


def imported(cwd: Path, *arguments: str, names: tuple[str, ...] = HEAVY) -> list[str]:
    code = PROBE.format(argv=["ouroboros", *arguments], names=names)
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True, cwd=cwd
    )
    return done.stderr.splitlines()[-1].split()


def test_the_version(target: Path) -> None:
    ended = script("--version", cwd=target)
    assert (ended.code, ended.out) == (0, f"ouroboros {ouroboros.__version__}\n")


@pytest.mark.parametrize("arguments", [("--version",), ("--help",)])
def test_the_version_and_the_help_import_nothing_heavy(
    target: Path, arguments: tuple[str, ...]
) -> None:
    assert imported(target, *arguments, names=(*HEAVY, "msgspec")) == ["0"]


def test_the_configuration_needs_no_engine(configured: Path) -> None:
    heavy = tuple(n for n in HEAVY if n != "asyncio")
    for command in ("check", "schema"):
        assert imported(configured, "config", command, names=heavy) == ["0"]


def test_no_engine_is_found_out_without_aiohttp(target: Path) -> None:
    heavy = tuple(n for n in HEAVY if n != "asyncio")
    assert imported(target, "status", names=heavy) == ["8"]


def test_an_auditor_needs_no_engine(target: Path, tmp_path: Path) -> None:
    from ouroboros.ledger.store import Store

    Store.open(tmp_path / "ledger.sqlite").close()
    parts = ("ouroboros.engine", "ouroboros.engine.core", "rpc", "aiohttp", "git", "textual")
    place = str(tmp_path / "ledger.sqlite")
    assert imported(target, "ledger", "verify", "--file", place, names=parts) == ["0"]


def test_talking_to_an_engine_needs_no_screen_and_no_git(served: Served, target: Path) -> None:
    assert imported(target, "status", names=("git", "textual", "rich", "libcst")) == ["0"]


@pytest.mark.parametrize(
    "module",
    [
        "ouroboros.cli.compose",
        "ouroboros.cli.commands.process",
        "ouroboros.cli.checks",
        "ouroboros.engine.daemon",
        "rpc.server",
        "rpc.client",
    ],
)
def test_headless_modules_import_no_screen(module: str) -> None:
    code = (
        f"import sys, {module}; print([m for m in ('textual', 'rich', 'tui') if m in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"


def test_the_package_imports_nothing() -> None:
    code = (
        "import sys; before = set(sys.modules)\n"
        "import ouroboros, ouroboros.cli\n"
        "print(sorted(set(sys.modules) - before - {'ouroboros', 'ouroboros.cli', 'typing', "
        "'collections.abc', 're', 'functools', 'operator', 'contextlib'}))"
    )
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            "-S",
            "-c",
            f"import sys; sys.path.insert(0, {str(SCRIPT.parents[2])!r})\n{code}",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "click" not in done.stdout
