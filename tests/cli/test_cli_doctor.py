"""`doctor`: each finding is ok, warn or fail, with its fix; the sandbox is really started."""

import json
import os
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from cli_world import Cli, git, script

from ouroboros.cli.checks import containment, state
from ouroboros.cli.checks import noise as noise_module
from ouroboros.cli.checks.noise import pairs_needed, smallest_effect, spread
from ouroboros.evaluation import needs
from ouroboros.paths import Paths
from ouroboros.sandbox import Sandbox, runner
from ouroboros.sandbox.escapes import Report

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
    "noise",
    "state",
    "engine",
]


@pytest.fixture(scope="module")
def reports() -> dict[str, Report]:
    """The report of one real run of the attempts, once there is one."""
    return {}


@pytest.fixture(autouse=True)
def attempts_once(
    request: pytest.FixtureRequest, reports: dict[str, Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Have tests of other checks share one run of the attempts: a second each adds up."""
    made = containment.attempt_escapes

    async def shared(box: Sandbox, **more: Any) -> Report:
        if "report" not in reports:
            reports["report"] = await made(box, **more)
        return reports["report"]

    if request.node.get_closest_marker("attempts") is None:
        monkeypatch.setattr(containment, "attempt_escapes", shared)


def found(cli: Cli, noise: str = "0") -> dict[str, Any]:
    ended = cli("doctor", "--json", "--noise-seconds", noise)
    diagnosis = json.loads(ended.out)
    assert diagnosis["ok"] == (ended.code == 0)
    assert [c["name"] for c in diagnosis["checks"]] == NAMES
    return {c["name"]: c for c in diagnosis["checks"]}


def test_a_healthy_target(cli: Cli, configured: Path) -> None:
    checked = found(cli)
    wrong = {n: c["text"] for n, c in checked.items() if c["status"] != "ok"}
    assert wrong == {}, "this machine runs the whole suite, so all is well"
    assert "bwrap" in checked["sandbox"]["text"]
    assert "limits by" in checked["sandbox"]["text"]
    assert "sandboxed" in checked["interpreter"]["text"]
    assert checked["engine"]["text"] == "not running"


@pytest.mark.usefixtures("served")
def test_a_running_engine_is_named(cli: Cli, configured: Path) -> None:
    assert "pid 1" in found(cli)["engine"]["text"]


def test_people_get_a_table_and_the_fixes(cli: Cli) -> None:
    ended = cli("doctor", "--noise-seconds", "0")
    assert ended.code == 9
    assert [line.split()[1] for line in ended.out.splitlines()[: len(NAMES)]] == NAMES
    assert "  -> Run 'ouroboros init' in the repository to write one." in ended.out


def test_outside_of_a_repository(home: Path) -> None:
    ended = script("doctor", "--json", "--noise-seconds", "0.1", cwd=home)
    assert ended.code == 9
    checked = {c["name"]: c for c in json.loads(ended.out)["checks"]}
    assert checked["repository"]["status"] == "fail"
    assert checked["git"]["status"] == checked["sandbox"]["status"] == "ok", "checked all the same"
    assert "no repository" in checked["state"]["text"]
    assert "built-in workload" in checked["noise"]["text"]


def test_local_edits_and_an_uncommitted_file(cli: Cli, configured: Path) -> None:
    (configured / "ouroboros.toml").write_text("[engine]\ndrain_ideas = true\n")
    checked = found(cli)
    assert "1 local edit" in checked["repository"]["text"]
    assert "differs from the one on main" in checked["committed"]["text"]
    assert (checked["benchmarks"]["status"], checked["benchmarks"]["text"]) == ("warn", "none")


def test_a_metric_that_cannot_be_taken_here(
    cli: Cli, configured: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(needs, "_PATH", str(tmp_path))
    with (configured / "ouroboros.toml").open("a") as file:
        file.write("\n[benchmarks.f.metrics.instructions]\n")
    checked = found(cli)["benchmarks"]
    assert checked["status"] == "fail"
    assert "no valgrind" in checked["text"]
    assert checked["fix"] == "Install valgrind, or remove [benchmarks.f.metrics.instructions]."


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
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(1 << 40, 0, free))
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


# --- attempts to escape -------------------------------------------------------------------------


@pytest.mark.attempts
def test_each_attempt_is_a_row(cli: Cli, configured: Path) -> None:
    sandbox = found(cli)["sandbox"]
    rows = {row["name"]: row for row in sandbox["rows"]}
    tried = [r for r in rows.values() if r["group"] not in ("level", "works")]
    held = [r for r in tried if r["status"] == "held"]
    skipped = [r for r in tried if r["status"] == "n/a"]
    assert len(held) > 60
    assert len(held) + len(skipped) == len(tried)
    assert f"{len(held)} of {len(held)} attempts were contained" in sandbox["text"]
    assert rows["read-planted"]["promise"]
    assert rows["overlay"]["text"] in ("yes", "no")


@pytest.mark.attempts
def test_what_gets_out_fails_and_names_a_fix(
    cli: Cli, configured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = runner.bwrap.arguments

    def with_network(*args: Any, **more: Any) -> list[str]:
        kinds = [f"--unshare-{k}" for k in ("user", "ipc", "pid", "uts")]
        found = [w for w in made(*args, **more) if w != "--unshare-net"]
        return [w for word in found for w in (kinds if word == "--unshare-all" else [word])]

    monkeypatch.setattr(runner.bwrap, "arguments", with_network)
    ended = cli("doctor", "--noise-seconds", "0")
    assert ended.code == 9
    assert "connect-tcp (broken)" in ended.out
    assert "  -> Update bubblewrap" in ended.out
    assert ended.out.count("  -> Update bubblewrap") == 1, "once for all that need it"
    rows = {row["name"]: row for row in found(cli)["sandbox"]["rows"]}
    assert rows["connect-tcp"]["status"] == "broken"
    assert rows["connect-tcp"]["fix"]


def test_without_control_groups_the_unit_lines_are_named(
    cli: Cli, configured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner.Groups, "find", classmethod(lambda cls: None))
    sandbox = found(cli)["sandbox"]
    assert sandbox["status"] == "warn"
    assert "Delegate=yes" in sandbox["fix"]
    assert "systemd-run --user --scope -p Delegate=yes" in sandbox["fix"]


def test_no_sandbox_at_all(cli: Cli, configured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner.bwrap, "candidates", lambda: [("/bin/false", "system")])
    checked = found(cli, "0.1")
    assert checked["sandbox"]["status"] == "fail"
    for later in ("interpreter", "noise"):
        assert "not checked" in checked[later]["text"], "said once is enough"
    assert "/bin/false" in checked["sandbox"]["text"]
    assert checked["sandbox"]["fix"]


def test_all_rows_on_request(cli: Cli, configured: Path) -> None:
    ended = cli("doctor", "--all", "--noise-seconds", "0")
    assert "read-accounts" in ended.out
    assert "the host's passwords cannot be read" in ended.out


# --- git, noise, disk ---------------------------------------------------------------------------


def test_traps_for_git(cli: Cli) -> None:
    rows = {row["name"]: row["status"] for row in found(cli)["git"]["rows"]}
    assert rows == dict.fromkeys(
        ("hooks", "fsmonitor", "external-diff", "textconv", "filters", "signer"), "held"
    )


def test_the_noise_of_a_benchmark(cli: Cli, configured: Path) -> None:
    noise = found(cli, "0.5")["noise"]
    assert noise["status"] in ("ok", "warn")
    assert "A/A pairs" in noise["text"]
    rows = {row["name"]: row["text"] for row in noise["rows"]}
    assert int(rows["f: pairs"]) >= 3
    assert float(rows["f: cpu"]) >= 0


def test_a_benchmark_that_fails_in_the_sandbox(cli: Cli, configured: Path) -> None:
    (configured / "benchmarks" / "bench_f.py").write_text("raise SystemExit('no data here')\n")
    git(configured, "commit", "-qam", "break")
    noise = found(cli, "0.5")["noise"]
    assert noise["status"] == "fail"
    assert "no data here" in noise["text"]


def test_a_benchmark_too_slow_for_the_time_says_how_much_it_needs(
    cli: Cli, configured: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(noise_module, "_GRACE", 0.0)
    (configured / "benchmarks" / "bench_f.py").write_text("import time; time.sleep(9)\n")
    git(configured, "commit", "-qam", "slow")
    noise = found(cli, "1")["noise"]
    assert noise["status"] == "warn"
    assert "too few to say anything" in noise["text"]
    assert "--noise-seconds" in noise["fix"]


def test_the_planning_rule() -> None:
    # The figures of docs/statistics.md's planning rule, for a spread of 8 %.
    assert [pairs_needed(0.08, effect) for effect in (0.10, 0.05, 0.02)] == [16, 31, 138]
    assert pairs_needed(0.08, smallest_effect(0.08, 60)) in (60, 61)
    assert spread((0.1, -0.1, 0.1, -5.0, 0.1)) == pytest.approx(0.14826), "an outlier is borne"


@pytest.mark.parametrize(("kind", "word"), [("tmpfs", "restart"), ("nfs4", "network")])
def test_a_file_system_that_holds_no_ledger(
    cli: Cli, configured: Path, monkeypatch: pytest.MonkeyPatch, kind: str, word: str
) -> None:
    monkeypatch.setattr(state, "file_system", lambda _: kind)
    checked = found(cli)["state"]
    assert checked["status"] == "warn"
    assert kind in checked["text"]
    assert word in checked["fix"]


def test_few_inodes(cli: Cli, configured: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.statvfs

    def nearly_full(place: Path) -> os.statvfs_result:
        counts = list(real(place))
        counts[5:8] = [10_000, 100, 100]  # files, free, free for us
        return os.statvfs_result(counts)

    monkeypatch.setattr(os, "statvfs", nearly_full)
    checked = found(cli)["state"]
    assert checked["status"] == "fail"
    assert "inodes" in checked["text"]


def test_the_file_system_of_a_folder_is_the_kernels_word(tmp_path: Path) -> None:
    assert state.file_system(Path("/proc/self")) == "proc"
    assert state.file_system(tmp_path) not in ("proc", "unknown")
