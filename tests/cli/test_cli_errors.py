"""Bad input: each is one paragraph that names what to do, and an exit code."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from cli_world import SCRIPT, Cli, Served, git, script, until

from ouroboros.cli import edge, reach
from ouroboros.paths import Paths


def test_no_repository(home: Path) -> None:
    for command in ("init", "status", "serve", "versions"):
        ended = script(command, cwd=home)
        assert (ended.code, ended.out) == (7, ""), command
        assert "is not inside a git repository" in ended.err
        assert "hint: Change into one, or give it with --repo PATH" in ended.err


def test_no_commits(home: Path) -> None:
    git(home, "init", "-q", "empty")
    for command in ("init", "doctor"):
        ended = script(command, cwd=home / "empty")
        assert ended.code in (7, 9)
        assert "has no commits" in ended.err + ended.out
        assert not (home / "empty" / "ouroboros.toml").exists()


def test_a_bare_repository(home: Path) -> None:
    git(home, "init", "-q", "--bare", "bare.git")
    ended = script("init", cwd=home / "bare.git")
    assert ended.code == 7
    assert "bare repository" in ended.err
    assert "clone" in ended.err


def test_a_detached_head(target: Path) -> None:
    git(target, "checkout", "-q", "--detach")
    ended = script("init", cwd=target)
    assert ended.code == 7
    assert "detached HEAD" in ended.err
    assert "git switch" in ended.err
    assert not (target / "ouroboros.toml").exists()


def test_a_folder_that_is_not_there(home: Path) -> None:
    ended = script("--repo", "nowhere", "status", cwd=home)
    assert ended.code == 7
    assert "nowhere" in ended.err


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[governor]\nmax_degradtion = 0.1\n", "ouroboros.toml:2: Unknown key 'max_degradtion'"),
        ('[governor]\nmode = "wild"\n', "governor.mode"),
        ("[sandbox]\nmemory = []\n", "512MiB"),
        ("[governor]\nmax_degradation = 7\n", "between 0 and 1"),
        ("[governor\n", "not valid TOML"),
    ],
)
@pytest.mark.parametrize("command", [("config", "check"), ("config", "show"), ("serve",)])
def test_a_bad_configuration(target: Path, command: tuple[str, ...], text: str, says: str) -> None:
    (target / "ouroboros.toml").write_text(text)
    ended = script(*command, cwd=target)
    assert (ended.code, ended.out) == (6, "")
    assert says in ended.err
    assert ended.err.count("error:") == 1
    assert ended.err.count("hint:") <= 1
    assert "Traceback" not in ended.err


def test_no_configuration(target: Path) -> None:
    for command in (("config", "check"), ("serve",)):
        ended = script(*command, cwd=target)
        assert ended.code == 6
        assert "ouroboros init" in ended.err


NEEDS_ENGINE = [
    ("status",),
    ("trigger",),
    ("pause",),
    ("resume",),
    ("candidates",),
    ("show", "c1"),
    ("diff", "c1"),
    ("explain", "c1"),
    ("approve", "c1", "--yes"),
    ("reject", "c1"),
    ("cancel", "c1"),
    ("wait", "c1"),
    ("versions",),
    ("rollback", "last", "--yes"),
    ("call", "system.ping"),
    ("watch",),
    ("config", "show", "--running"),
    ("governor",),
    ("limits", "set", "quorum=2", "--reason", "r"),
    ("limits", "reset", "quorum", "--reason", "r"),
    ("anchor", "set", "1", "--reason", "r"),
]


@pytest.mark.parametrize("arguments", NEEDS_ENGINE, ids=" ".join)
def test_no_engine_is_exit_code_8(cli: Cli, arguments: tuple[str, ...]) -> None:
    ended = cli(*arguments)
    assert (ended.code, ended.out) == (8, "")
    assert "No engine is running here" in ended.err
    assert "ouroboros serve" in ended.err


def test_a_stale_socket(paths: Paths, target: Path) -> None:
    paths.socket.parent.mkdir(mode=0o700)
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(paths.socket))
    ended = script("status", cwd=target)
    assert ended.code == 8
    assert "an engine that died left it behind" in ended.err
    assert "replaces the old socket" in ended.err


def test_a_file_in_the_place_of_the_socket(paths: Paths, target: Path) -> None:
    paths.socket.parent.mkdir(mode=0o700)
    paths.socket.write_text("")
    ended = script("status", cwd=target)
    assert ended.code == 8
    assert "found something else" in ended.err


def test_a_socket_that_is_too_deep(home: Path, target: Path) -> None:
    ended = script("--socket", str(home / ("x" * 120)), "status", cwd=target)
    assert ended.code == 8
    assert "cannot be connected to" in ended.err


@pytest.mark.skipif(os.getuid() != 0, reason="only root can become somebody else")
def test_a_socket_of_somebody_else(served: Served, target: Path, home: Path) -> None:
    code = (
        "import os; from pathlib import Path; from ouroboros.cli.reach import probe\n"
        "os.setgid(65534); os.setuid(65534)\n"
        f"probe(Path({str(served.socket)!r}))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "may not be opened by this user" in done.stderr


# --- usage --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("stats",), "Did you mean 'status'?"),
        (("xyzzy",), "There is no command 'xyzzy'"),
        (("status", "--bogus"), "--bogus"),
        (("show",), "ID"),
        (("ledger", "get", "zero"), "zero"),
        (("ledger", "burn"), "burn"),
        (("candidates", "--limit", "0"), "--limit"),
        (("--socket", "/x", "serve"), "--socket"),
        (("completion", "tcsh"), "tcsh"),
    ],
)
def test_usage_errors_are_exit_code_2(cli: Cli, arguments: tuple[str, ...], says: str) -> None:
    ended = cli(*arguments)
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err
    assert "hint: Try 'ouroboros" in ended.err


def test_usage_errors_are_json_too(cli: Cli) -> None:
    error = json.loads(cli("status", "--json", "--bogus").err)["error"]
    assert (error["name"], error["exit_code"]) == ("usage", 2)


@pytest.mark.parametrize("command", ["run", "tui"])
def test_a_screen_needs_a_terminal(configured: Path, command: str) -> None:
    ended = script(command, cwd=configured)
    assert ended.code == 12
    assert "needs a terminal" in ended.err


# --- the edge -----------------------------------------------------------------------------------


def test_a_defect_is_one_line_and_a_hint(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_settings: object) -> Path:
        raise ValueError("boom \x1b[31m")

    monkeypatch.setattr(reach, "socket_of", broken)
    ended = cli("status")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("error: Ouroboros has a defect: ValueError: boom \u241b[31m")
    assert "test_cli_errors.py:" in ended.err
    assert "--debug" in ended.err
    assert "Traceback" not in ended.err
    assert "Traceback" in cli("status", "--debug").err
    monkeypatch.setenv("OUROBOROS_DEBUG", "1")
    assert "Traceback" in cli("status").err
    assert json.loads(cli("status", "--json").err.splitlines()[-1])["error"]["exit_code"] == 1


def test_an_interrupt_is_quiet(served: Served, target: Path) -> None:
    served.do(lambda: served.engine.propose("c4"))
    process = subprocess.Popen(
        [str(SCRIPT), "wait", "c4"],
        cwd=target,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    until(lambda: ("wait", "") in served.engine.asked)
    process.send_signal(2)
    out, err = process.communicate(timeout=30)
    assert (process.returncode, out, err) == (edge.INTERRUPTED, "", "")


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize("command", ["ledger list", "watch --from-seq 0", "show c1 --json"])
def test_a_closed_pipe_is_quiet(target: Path, command: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    process = subprocess.Popen(
        [str(SCRIPT), *command.split()],
        cwd=target,
        stdout=writer,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(writer)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (edge.PIPE_CLOSED, "")


def test_a_narrow_locale_is_no_crash(served: Served, target: Path) -> None:
    served.do(lambda: served.engine.propose("c4", title="caf\u00e9 \u4e2d"))
    ended = script("candidates", cwd=target, PYTHONIOENCODING="ascii")
    assert ended.code == 0
    assert "caf\\xe9" in ended.out
