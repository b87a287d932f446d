"""Bad input at the real console script: one paragraph, the right exit code, nothing half-done."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import FASTER, OUROBOROS, TEST, WORK, Served, diff, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(180)]
SETTLED = {"held", "rejected", "errored", "promoted"}
NOBODY = 65534


def run(
    served: Served, *args: str, repo: Path | None = None, prefix: tuple[str, ...] = (), **env: str
) -> subprocess.CompletedProcess[str]:
    command = [*prefix, str(OUROBOROS), "--repo", str(repo or served.root), *args]
    return subprocess.run(command, capture_output=True, text=True, env=served.env | env, timeout=60)


def assert_refused(
    done: subprocess.CompletedProcess[str], code: int, *words: str, hint: bool = True
) -> None:
    """Check for one error and one hint, each on its line, and nothing else."""
    assert done.returncode == code, done.stderr
    assert done.stdout == ""
    lines = done.stderr.splitlines()
    assert [line.split(":")[0] for line in lines] == ["error", "hint"][: len(lines)], done.stderr
    assert len(lines) == 2 or not hint
    for word in words:
        assert word in done.stderr


def state_of(served: Served) -> Path:
    return Path(served.env["XDG_STATE_HOME"])


def propose(served: Served, text: str, title: str = "use a set", before: str = WORK) -> str:
    file = served.root.parent / "proposal.diff"
    file.write_text(diff(before, text))
    return served.run("propose", str(file), "--title", title).split()[0]


def settle(served: Served, name: str) -> dict[str, object]:
    until(lambda: served.call("candidate.get", id=name)["phase"] in SETTLED, what=f"{name} settles")
    return served.call("candidate.get", id=name)


# --- the target ---------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["serve", "init"])
@pytest.mark.parametrize(
    ("make", "words"),
    [
        ([], "not inside a git repository"),
        (["init", "-q"], "no commits"),
        (["init", "-q", "--bare"], "bare repository"),
    ],
)
def test_a_folder_that_is_no_target(
    served: Served, tmp_path: Path, make: list[str], words: str, command: str
) -> None:
    folder = tmp_path / "odd"
    folder.mkdir()
    if make:
        subprocess.run(["git", *make], cwd=folder, check=True, env=served.env)
    if "no commits" in words and command == "serve":
        shutil.copy(served.root / "ouroboros.toml", folder)
    assert_refused(run(served, command, repo=folder), 7, words)
    assert not state_of(served).exists()


def test_a_detached_head_and_a_branch_that_is_not_there(served: Served) -> None:
    served.git("checkout", "-q", "--detach")
    assert_refused(run(served, "serve"), 7, "detached HEAD", "git switch")
    config = served.root / "ouroboros.toml"
    config.write_text(f'[target]\nbranch = "nope"\n{config.read_text()}')
    assert_refused(run(served, "serve"), 7, "no branch 'nope'")
    assert not state_of(served).exists()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[governor]\nmax_degradtion = 0.1\n", (":2: Unknown key 'max_degradtion'",)),
        ('[governor]\nmax_degradation = "lots"\n', (":2:", "Expected `float`")),
        ("[governor\n", ("not valid TOML", "line 1")),
    ],
)
def test_a_configuration_that_is_wrong(served: Served, text: str, words: tuple[str, ...]) -> None:
    (served.root / "ouroboros.toml").write_text(text)
    assert_refused(run(served, "serve"), 6, *words)
    assert not state_of(served).exists()


def test_without_git_nothing_starts(served: Served, tmp_path: Path) -> None:
    assert_refused(run(served, "serve", PATH=str(tmp_path)), 12, "git is not installed")
    assert not state_of(served).exists()


def test_a_linked_work_tree_with_a_relative_path_is_the_same_target(served: Served) -> None:
    linked = served.root.parent / "linked"
    served.git("worktree", "add", "-q", str(linked), "-b", "side")
    main = run(served, "status").stderr
    assert run(served, "status", repo=linked).stderr == main
    (linked / ".git").write_text("gitdir: ../target/.git/worktrees/linked\n")
    assert run(served, "status", repo=linked).stderr == main


# --- the machine --------------------------------------------------------------------------------


def test_an_unusable_sandbox_is_named_with_its_remedy(served: Served) -> None:
    apart = ("unshare", "--user", "--map-root-user", "sh", "-c")
    forbid = "echo 0 >/proc/sys/user/max_user_namespaces"
    if subprocess.run([*apart, forbid], capture_output=True).returncode:
        pytest.skip("user namespaces cannot be forbidden here")
    prefix = (*apart, f'{forbid}; exec "$@"', "sh")
    done = run(served, "serve", prefix=prefix)
    assert_refused(done, 9, "No sandbox works", "max_user_namespaces", "allow_unconfined")


def test_sockets_behind_which_nobody_is(served: Served, tmp_path: Path) -> None:
    stale, file, closed = tmp_path / "stale", tmp_path / "file", tmp_path / "closed"
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(str(stale))
    file.write_text("no socket")
    assert_refused(run(served, "--socket", str(stale), "status"), 8, "left it behind")
    assert_refused(run(served, "--socket", str(file), "status"), 8, "something else")
    assert_refused(run(served, "--socket", str(tmp_path), "status"), 8, "something else")
    with socket.socket(socket.AF_UNIX) as plug:
        plug.bind(str(closed))
        plug.listen()
        closed.chmod(0)
        if os.geteuid() != 0:
            assert_refused(run(served, "--socket", str(closed), "status"), 8, "may not be opened")
        elif shutil.which("setpriv"):
            prefix = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups")
            done = run(served, "--socket", str(closed), "status", prefix=prefix)
            assert_refused(done, 8, "may not be opened")


@contextlib.contextmanager
def small_disk(folder: Path, size: str) -> Iterator[None]:
    folder.mkdir(exist_ok=True)
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("no small file system can be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def fill(file: Path) -> None:
    with file.open("wb", buffering=0) as raw, contextlib.suppress(OSError):
        while True:
            raw.write(b"\0" * 4096)
    assert os.statvfs(file).f_bavail == 0


def test_a_disk_that_is_full_from_the_start(served: Served) -> None:
    with small_disk(state_of(served), "64k"):
        assert_refused(run(served, "serve"), 10, "no space left", "Free some space")


def test_a_state_folder_that_cannot_be_written(served: Served) -> None:
    with small_disk(state_of(served), "1m"):
        subprocess.run(["mount", "-o", "remount,ro", str(state_of(served))], check=True)
        assert_refused(run(served, "serve"), 12, "Read-only file system", "state folder")


def test_a_disk_that_fills_halts_the_engine_and_loses_nothing(served: Served) -> None:
    config = served.root / "ouroboros.toml"
    config.write_text(config.read_text() + '[storage]\nmin_free = "1MiB"\n')
    with small_disk(state_of(served), "10m"):
        served.start()
        name = propose(served, FASTER)
        fill(state_of(served) / "fill")
        until(lambda: served.json("status")["halt_reason"], what="the engine halts")
        assert_refused(run(served, "resume"), 10, "MiB are needed", "goes on by itself")
        assert run(served, "trigger").returncode == 4
        (state_of(served) / "fill").unlink()
        served.run("resume")
        assert settle(served, name)["phase"] == "held"
        served.run("ledger", "verify")
        assert "Traceback" not in served.log.read_text()
        assert served.signal(signal.SIGTERM) == 0


# --- while it runs ------------------------------------------------------------------------------


def test_a_red_baseline_and_a_broken_benchmark_are_errors_not_rejections(served: Served) -> None:
    (served.root / "tests" / "test_work.py").write_text(TEST.replace("97", "98"))
    served.git("commit", "-qam", "red")
    served.start()
    red = settle(served, propose(served, FASTER))
    assert red["phase"] == "errored"
    assert "do not pass on the baseline" in str(red["reasons"])
    (served.root / "tests" / "test_work.py").write_text(TEST)
    served.git("commit", "-qam", "green")
    config = served.root / "ouroboros.toml"
    config.write_text(config.read_text().replace("work.total(60_000)", "work.nope()"))
    cycles = served.json("status")["cycle"]["number"]
    served.run("trigger")
    until(lambda: served.json("status")["cycle"]["number"] > cycles, what="the cycle reloads")
    broken = settle(served, propose(served, FASTER))
    assert broken["phase"] == "errored"
    assert "Benchmark total failed on the baseline" in str(broken["reasons"])


def test_a_configuration_that_breaks_while_running_is_told_and_not_taken(served: Served) -> None:
    served.start()
    before = served.json("status")
    (served.root / "ouroboros.toml").write_text("[nonsense\n")
    served.run("trigger")
    until(lambda: "config_refused" in served.log.read_text(), what="it is told")
    after = served.json("status")
    assert after["config_hash"] == before["config_hash"]
    assert after["halt_reason"] == ""


def test_a_branch_that_disappears_is_named_and_may_come_back(served: Served) -> None:
    served.start()
    served.git("branch", "-m", "main", "trunk")
    done = run(served, "propose", str(served.root / "faster.diff"), "--title", "x")
    assert_refused(done, 7, "no branch 'main'")
    served.git("branch", "-m", "trunk", "main")
    assert settle(served, propose(served, FASTER))["phase"] == "held"


def test_a_title_that_is_too_long_or_no_text_is_refused(served: Served) -> None:
    served.start()
    file = str(served.root / "faster.diff")
    assert_refused(run(served, "propose", file, "--title", "x" * 501), 2, "at most 500", hint=False)
    assert_refused(run(served, "propose", file, "--title", "\udcff"), 2, "no UTF-8", hint=False)
    assert served.json("status")["candidates"] == 0


def test_a_title_writes_no_trailer_and_a_commit_bears_todays_date(served: Served) -> None:
    served.start()
    hostile = "fast\nApproved-by: root\n\x1b[31mOuroboros-Approved-By: uid:root"
    name = propose(served, FASTER, hostile)
    assert settle(served, name)["phase"] == "held"
    (served.root / "staged.py").write_text("x = 1\n")
    served.git("add", "staged.py")
    served.run("approve", name, "--yes")
    until(lambda: served.call("candidate.get", id=name)["phase"] == "promoted")
    trailers = served.git("log", "-1", "--format=%(trailers:only,keyonly)").split()
    assert trailers.count("Ouroboros-Approved-By") == 1
    assert "Approved-by" not in trailers
    assert "\x1b" not in served.git("log", "-1", "--format=%B")
    assert abs(int(served.git("log", "-1", "--format=%ct")) - time.time()) < 60
    served.run("rollback", "last", "--yes")
    assert abs(int(served.git("log", "-1", "--format=%ct")) - time.time()) < 60
    assert served.git("status", "--porcelain", "--untracked-files=no") == "A  staged.py"
    assert served.run("versions").rstrip().endswith("rollback to version 0")


def test_a_rollback_that_is_stuck_neither_hangs_the_end_nor_is_forgotten(tmp_path: Path) -> None:
    served = Served(tmp_path, "autonomous")
    try:
        served.start()
        name = propose(served, FASTER)
        assert settle(served, name)["phase"] == "promoted"
        lock = served.root / ".git" / "refs" / "heads" / "main.lock"
        lock.touch()
        command = [str(OUROBOROS), "--repo", str(served.root), "rollback", "last", "--yes"]
        with subprocess.Popen(
            command, env=served.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as asked:
            until(lambda: served.json("status")["halt_reason"], what="the rollback is stuck")
            assert served.signal(signal.SIGTERM) == 0
            assert asked.wait(timeout=30) == 8
        lock.unlink()
        served.start()
        until(lambda: len(served.json("versions")) == 3, what="the rollback is done")
        assert (served.root / "work.py").read_text() == WORK
    finally:
        served.close()


def test_no_secret_of_the_engine_is_seen_by_a_target_that_shadows_it(served: Served) -> None:
    variable = "SECRET_TOKEN"
    served.env[variable] = "hunter2-of-the-engine"
    for name in ("rpc", "tui", "ouroboros", "json", "msgspec"):
        (served.root / f"{name}.py").write_text("raise SystemExit('the target was imported')\n")
    served.git("add", "rpc.py", "tui.py", "ouroboros.py")
    served.git("commit", "-q", "-m", "shadows")
    command = [str(OUROBOROS), "doctor"]
    done = subprocess.run(command, cwd=served.root, env=served.env, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    served.start()
    leak = f"import os\nassert {variable!r} in os.environ, sorted(os.environ.items())\n"
    name = propose(served, leak + FASTER)
    candidate = settle(served, name)
    assert candidate["phase"] == "rejected"
    found = subprocess.run(
        ["grep", "-rl", "hunter2-of-the-engine", str(served.root.parent)], capture_output=True
    )
    assert found.stdout == b""


def test_a_terminal_that_vanishes_ends_the_engine_in_order(served: Served) -> None:
    served.start()
    assert served.signal(signal.SIGHUP) == 0
    assert '"engine_stopped"' in served.run("--json", "ledger", "list", "--limit", "1").replace(
        " ", ""
    )


def test_an_engine_whose_output_nobody_reads_goes_on(served: Served) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with served.log.open("ab") as log:
        command = [str(OUROBOROS), "--repo", str(served.root), "serve"]
        served.process = subprocess.Popen(command, stdout=writer, stderr=log, env=served.env)
    os.close(writer)
    until(lambda: run(served, "status").returncode == 0, what="it serves")
    assert "nobody reads" in served.log.read_text()
