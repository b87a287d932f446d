"""`doctor`: each finding is ok, warn or fail, with its fix; the sandbox is really started."""

import json
import shutil
from collections import namedtuple
from pathlib import Path

import pytest
from cli_world import Cli, git, script

from ouroboros.cli import checks
from ouroboros.paths import Paths

NAMES = [
    "python",
    "git",
    "repository",
    "config",
    "committed",
    "sandbox",
    "interpreter",
    "tests",
    "benchmarks",
    "state",
    "engine",
]


def found(cli: Cli) -> dict[str, dict[str, str]]:
    ended = cli("doctor", "--json")
    diagnosis = json.loads(ended.out)
    assert diagnosis["ok"] == (ended.code == 0)
    assert [c["name"] for c in diagnosis["checks"]] == NAMES
    return {c["name"]: c for c in diagnosis["checks"]}


def test_a_healthy_target(cli: Cli, configured: Path) -> None:
    checked = found(cli)
    wrong = {n: c for n, c in checked.items() if c["status"] != "ok"}
    assert wrong == {}, "this machine runs the whole suite, so all is well"
    assert "bwrap" in checked["sandbox"]["text"]
    assert "limits by" in checked["sandbox"]["text"]
    assert "sandboxed" in checked["interpreter"]["text"]
    assert checked["engine"]["text"] == "not running"


@pytest.mark.usefixtures("served")
def test_a_running_engine_is_named(cli: Cli, configured: Path) -> None:
    assert "pid 1" in found(cli)["engine"]["text"]


def test_people_get_a_table_and_the_fixes(cli: Cli) -> None:
    ended = cli("doctor")
    assert ended.code == 9
    assert [line.split()[1] for line in ended.out.splitlines()[: len(NAMES)]] == NAMES
    assert "  -> Run 'ouroboros init' in the repository to write one." in ended.out


def test_outside_of_a_repository(home: Path) -> None:
    ended = script("doctor", "--json", cwd=home)
    assert ended.code == 9
    checked = {c["name"]: c for c in json.loads(ended.out)["checks"]}
    assert checked["repository"]["status"] == "fail"
    assert checked["git"]["status"] == checked["sandbox"]["status"] == "ok", "checked all the same"
    assert "not checked" in checked["state"]["text"]


def test_local_edits_and_an_uncommitted_file(cli: Cli, configured: Path) -> None:
    (configured / "ouroboros.toml").write_text("[engine]\ndrain_ideas = true\n")
    checked = found(cli)
    assert "1 local edit" in checked["repository"]["text"]
    assert "differs from the one on main" in checked["committed"]["text"]
    assert (checked["benchmarks"]["status"], checked["benchmarks"]["text"]) == ("warn", "none")


def test_a_broken_configuration(cli: Cli, configured: Path) -> None:
    (configured / "ouroboros.toml").write_text("[governor]\nmode = 1\n")
    checked = found(cli)
    assert checked["config"]["status"] == "fail"
    assert "governor.mode" in checked["config"]["text"]


def test_a_missing_interpreter(cli: Cli, configured: Path) -> None:
    (configured / "ouroboros.toml").write_text('[environment]\npython = "no/python"\n')
    checked = found(cli)
    assert checked["interpreter"]["status"] == "fail"
    assert "no/python" in checked["interpreter"]["text"]


def test_an_interpreter_without_the_framework(cli: Cli, configured: Path) -> None:
    bare = configured.parent / "bare"
    import venv

    venv.create(bare, with_pip=False)
    (configured / "ouroboros.toml").write_text(f'[environment]\npython = "{bare}/bin/python"\n')
    checked = found(cli)
    assert checked["interpreter"]["status"] == "fail"
    assert "has no pytest" in checked["interpreter"]["text"]
    assert "-m pip install pytest" in checked["interpreter"]["fix"]


def test_an_interpreter_that_does_not_run(cli: Cli, configured: Path) -> None:
    fake = configured / "fake-python"
    shutil.copy("/bin/false", fake)
    (configured / "ouroboros.toml").write_text('[environment]\npython = "fake-python"\n')
    checked = found(cli)
    assert checked["interpreter"]["status"] == "fail"


def test_no_tests(cli: Cli, configured: Path) -> None:
    git(configured, "rm", "-qr", "tests")
    assert found(cli)["tests"]["status"] == "warn"


def test_a_state_folder_that_others_may_enter(cli: Cli, configured: Path, paths: Paths) -> None:
    paths.state.mkdir(parents=True)
    paths.state.chmod(0o755)
    checked = found(cli)
    assert checked["state"]["status"] == "fail"
    assert "chmod 700" in checked["state"]["fix"]


@pytest.mark.parametrize(("free", "status"), [(1 << 20, "fail"), (1 << 29, "warn")])
def test_a_disk_that_is_nearly_full(
    cli: Cli, configured: Path, monkeypatch: pytest.MonkeyPatch, free: int, status: str
) -> None:
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - shaped like shutil's own
    monkeypatch.setattr(checks.shutil, "disk_usage", lambda _: usage(1 << 40, 0, free))
    assert found(cli)["state"]["status"] == status


def test_no_git(cli: Cli, configured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    checked = found(cli)
    assert checked["git"]["status"] == "fail"
    assert "git is not installed" in checked["git"]["text"]
    assert checked["repository"]["status"] == "fail"


def test_a_stale_socket_is_a_warning(cli: Cli, configured: Path, paths: Paths) -> None:
    import socket

    paths.socket.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(paths.socket))
    checked = found(cli)
    assert checked["engine"]["status"] == "warn"
    assert "left it behind" in checked["engine"]["text"]
