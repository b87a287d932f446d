"""The guards of packaging: code of the target never answers to our packages' names."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from cli_world import SCRIPT

from ouroboros.cli import guards
from ouroboros.errors import MachineError


@pytest.fixture
def trap(target: Path) -> Path:
    """Make the target a repository with folders `rpc` and `tui` of its own, and a `json.py`."""
    for name in ("rpc", "tui"):
        (target / name).mkdir()
        (target / name / "__init__.py").write_text(
            f"open({str(target / 'sprung')!r}, 'a').write('{name} ')\n"
            "OWNER = 'ouroboros-daemon'\nclass Client: pass\n"
        )
        (target / name / "wire.py").write_text("")
    return target / "sprung"


def run(command: list[str], cwd: Path, **extra: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        command,
        cwd=cwd,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env={**os.environ, **extra},
    )


COMMANDS = [("--version",), ("status",), ("config", "show"), ("ledger", "verify"), ("doctor",)]


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_the_script_never_runs_the_targets_rpc(
    trap: Path, target: Path, arguments: tuple[str, ...]
) -> None:
    run([str(SCRIPT), *arguments], target)
    assert not trap.exists()


@pytest.mark.parametrize("arguments", COMMANDS, ids=" ".join)
def test_the_module_never_runs_the_targets_rpc(
    trap: Path, target: Path, arguments: tuple[str, ...]
) -> None:
    done = run([sys.executable, "-m", "ouroboros", *arguments], target)
    assert "Traceback" not in done.stderr
    assert not trap.exists()


def test_the_module_works_like_the_script(target: Path) -> None:
    assert run([sys.executable, "-m", "ouroboros", "--version"], target).stdout.startswith(
        "ouroboros"
    )
    assert run([sys.executable, "-m", "ouroboros", "status"], target).returncode == 8


@pytest.mark.parametrize("arguments", [("status",), ("serve",), ("doctor",)], ids=" ".join)
def test_a_shadow_on_pythonpath_is_refused_unexecuted(
    trap: Path, configured: Path, arguments: tuple[str, ...]
) -> None:
    done = run([str(SCRIPT), *arguments], configured, PYTHONPATH=str(configured))
    assert done.returncode == 12
    assert f"imported from {configured}/rpc/__init__.py instead of" in done.stderr
    assert "Unset PYTHONPATH" in done.stderr
    assert not trap.exists()


def test_the_engine_starts_over_without_pythonpath(home: Path) -> None:
    """`ensure_isolated` drops what the environment would bring in, and keeps the process."""
    (home / "extra").mkdir()
    (home / "extra" / "intruder.py").write_text("")
    code = (
        "import os, sys\n"
        "from ouroboros.cli import guards\n"
        "guards.isolated_command = lambda arguments: (sys.executable, '-I', '-c', "
        '\'import os, sys; print(os.getpid(), sys.flags.isolated, os.environ.get("PYTHONPATH"), '
        "*sys.argv[1:])', *arguments)\n"
        "print(os.getpid())\n"
        "guards.ensure_isolated(['serve'])\n"
    )
    done = run([sys.executable, "-c", code], home, PYTHONPATH=str(home / "extra"))
    first, second = done.stdout.split("\n", 1)
    assert second.split() == [first, "1", "None", "serve"], done.stderr


def test_an_isolated_interpreter_goes_on(home: Path) -> None:
    code = (
        "import os\nfrom ouroboros.cli.guards import ensure_isolated\n"
        "ensure_isolated(['serve']); print('went on', os.environ.get('PYTHONPATH'))"
    )
    done = run([sys.executable, "-I", "-c", code], home, PYTHONPATH=str(home))
    assert done.stdout == "went on None\n"


def test_our_packages_are_ours() -> None:
    guards.check_packages()


def test_a_package_that_is_missing() -> None:
    with pytest.raises(MachineError, match=r"is missing: expected .*no_such_package"):
        guards.check_packages(["no_such_package"])


def test_a_package_of_another_distribution(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The other wheel overwrote our `__init__.py`: same place, another marker."""
    for name in ("ouroboros/cli", "rpc"):
        (home / name).mkdir(parents=True)
        (home / name / "__init__.py").write_text('OWNER = "somebody-else"\n')
    monkeypatch.setattr(guards, "__file__", str(home / "ouroboros" / "cli" / "guards.py"))
    monkeypatch.setattr(guards, "find_spec", lambda _: _Spec(str(home / "rpc" / "__init__.py")))
    with pytest.raises(MachineError, match="belongs to another distribution"):
        guards.check_packages(["rpc"])
    (home / "rpc" / "__init__.py").write_text('OWNER = "ouroboros-daemon"\n')
    guards.check_packages(["rpc"])


def test_a_folder_without_init_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """What uninstalling the other wheel leaves behind is a namespace package."""
    monkeypatch.setattr(guards, "find_spec", lambda _: _Spec(None))
    with pytest.raises(MachineError, match="a folder without __init__"):
        guards.check_packages(["rpc"])


class _Spec:
    def __init__(self, origin: str | None) -> None:
        self.origin = origin


def test_the_clean_environment_keeps_the_rest() -> None:
    kept = guards.clean_environment({"PYTHONPATH": "x", "PYTHONHOME": "y", "HOME": "h", "TZ": "t"})
    assert kept == {"HOME": "h", "TZ": "t"}
