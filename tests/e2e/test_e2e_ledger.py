"""The ledger of a real engine: damaged, on another's lock, on a disk that may not be written."""

import os
import shutil
import sqlite3
import subprocess
import tempfile
from pathlib import Path

import pytest
from served import OUROBOROS, Served, until

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def state_of(served: Served) -> Path:
    (folder,) = (Path(served.env["XDG_STATE_HOME"]) / "ouroboros").iterdir()
    return folder


def serve(served: Served, **env: str) -> subprocess.CompletedProcess[str]:
    """Start an engine that cannot start; how it ended."""
    command = [str(OUROBOROS), "--repo", str(served.root), "serve"]
    return subprocess.run(
        command, capture_output=True, text=True, env={**served.env, **env}, timeout=60
    )


def ended_engine(served: Served) -> Path:
    served.start()
    served.run("pause", "--reason", "night")
    served.close()
    return state_of(served) / "ledger.sqlite"


def test_a_damaged_ledger_is_refused_salvaged_by_the_named_command_and_goes_on(
    served: Served,
) -> None:
    ledger = ended_engine(served)
    db = sqlite3.connect(ledger)
    (made,) = db.execute(
        "SELECT sql FROM sqlite_schema WHERE name = 'entries_no_update'"
    ).fetchone()
    db.execute("DROP TRIGGER entries_no_update")
    db.execute("UPDATE entries SET bytes = x'7b7d' WHERE kind = 'paused'")
    db.execute(made)
    db.commit()
    db.close()
    before = ledger.read_bytes()

    refused = serve(served)
    assert refused.returncode == 13, refused.stderr
    assert "Entry " in refused.stderr
    named = f"ouroboros --repo {served.root} ledger salvage"
    assert named in " ".join(refused.stderr.split())
    assert ledger.read_bytes() == before
    assert serve(served).returncode == 13  # and again: nothing was made good in secret

    served.run("ledger", "salvage", "--yes", "--reason", "a test")
    served.start()
    status = served.json("status")
    assert isinstance(status, dict)
    assert status["paused"] is True
    assert "salvaged (epoch 1)" in status["pause_reason"]
    assert "The ledger is whole" in served.run("ledger", "verify")
    listed = served.run("ledger", "list")
    assert "epoch 1 started" in listed
    assert "a test" in listed
    served.run("resume", "--reason", "looked")
    (aside,) = (state_of(served) / "quarantine").iterdir()
    assert (aside / "ledger.sqlite").read_bytes() == before


def test_where_locks_lie_the_second_engine_stops_the_first(served: Served, tmp_path: Path) -> None:
    served.start()
    state = state_of(served)
    refused = serve(served)
    assert refused.returncode == 8
    assert served.process is not None
    assert f"process {served.process.pid} on " in refused.stderr
    (state / "engine.lock").unlink()  # as a file system does that forgets locks
    warned = serve(served)  # its socket still tells, before anything is written
    assert warned.returncode == 8
    assert "although its lock is free" in warned.stderr
    other = Path(tempfile.mkdtemp(prefix="oc-"))
    with (tmp_path / "second.log").open("wb") as log:
        second = subprocess.Popen(
            [str(OUROBOROS), "--repo", str(served.root), "serve"],
            stdout=subprocess.PIPE,
            stderr=log,
            env={**served.env, "XDG_RUNTIME_DIR": str(other)},
        )
    try:
        assert second.stdout is not None
        assert second.stdout.readline().startswith(b"ready"), (tmp_path / "second.log").read_text()
        command = [str(OUROBOROS), "--repo", str(served.root), "pause", "--reason", "x"]
        done = subprocess.run(command, capture_output=True, text=True, env=served.env)
        assert done.returncode == 10
        assert "another process writes to it" in " ".join(done.stderr.split())
        status = served.json("status")
        assert isinstance(status, dict)
        assert status["activity"] == "halted"
        assert "another process" in status["halt_reason"]
    finally:
        second.kill()
        second.wait()
        shutil.rmtree(other)
    assert "whole" in served.run("ledger", "verify", "--file", str(state / "ledger.sqlite"))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a read-only file system")
def test_a_read_only_state_folder_is_said_and_nothing_is_half_done(served: Served) -> None:
    ledger = ended_engine(served)
    state = ledger.parent
    mount = ["mount", "--bind", "-o", "ro", str(state), str(state)]
    done = subprocess.run(mount, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    try:
        before = {p.name: p.stat().st_mtime_ns for p in state.iterdir()}
        refused = serve(served)
        assert refused.returncode == 12, refused.stderr
        assert "Read-only file system" in refused.stderr
        assert {p.name: p.stat().st_mtime_ns for p in state.iterdir()} == before
        assert "whole" in served.run("ledger", "verify")
        assert '"entry":' in served.run("ledger", "export")
    finally:
        subprocess.run(["umount", str(state)], check=True)
    served.start()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a small file system")
def test_a_full_disk_halts_a_real_engine_which_goes_on_by_itself(served: Served) -> None:
    state_home = Path(served.env["XDG_STATE_HOME"])
    state_home.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", str(state_home)],
        capture_output=True,
        text=True,
    )
    if done.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {done.stderr.strip()}")
    try:
        config = served.root / "ouroboros.toml"
        config.write_text(config.read_text() + '[storage]\nmin_free = "2MiB"\n')
        served.start()
        filler = state_home / "filler"
        fill(filler)
        until(lambda: said(served)["activity"] == "halted", what="it halts")
        assert "by itself" in str(said(served)["halt_reason"])
        answers = []
        for n in range(300):  # until even the ballast is used up
            words = ["limits", "set", f"promotions_per_day={n + 1}", "--reason", "x" * 1900]
            command = [str(OUROBOROS), "--repo", str(served.root), *words]
            answers.append(subprocess.run(command, capture_output=True, env=served.env).returncode)
            fill(filler)
            if answers[-1] == 10:
                break
        assert answers[-1] == 10, answers
        assert said(served)["activity"] == "halted"
        assert "whole" in served.run("ledger", "verify")
        filler.unlink()
        until(lambda: said(served)["halt_reason"] == "", what="it goes on by itself")
        assert "whole" in served.run("ledger", "verify")
        assert "disk_full" in served.run("ledger", "export", "--format", "csv") or "full" in (
            served.run("ledger", "list", "--kind", "alert_raised")
        )
        served.close()
    finally:
        subprocess.run(["umount", "-l", str(state_home)], check=True)


def fill(filler: Path) -> None:
    """Use up all space there is."""
    for size in (1 << 20, 4096):
        try:
            with filler.open("ab", buffering=0) as out:
                while out.write(b"x" * size) == size:
                    pass
        except OSError:
            continue


def said(served: Served) -> dict[str, object]:
    status = served.json("status")
    assert isinstance(status, dict)
    return status
