"""What a killed engine left is found again, and what a living one has is left alone."""

import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from ouroboros import owner
from ouroboros.sandbox.cgroups import Groups
from ouroboros.sandbox.launcher import RUN_MARK
from ouroboros.sandbox.opening import _sweep_folders
from ouroboros.sandbox.strays import end_strays

SLEEP = [sys.executable, "-c", "import sys; sys.stdin.read()"]


def test_our_own_is_not_gone() -> None:
    assert not owner.is_gone(owner.label())
    assert not owner.is_gone(f"{owner.label()}-abc-1")


def test_a_number_that_was_given_again_is_told_apart() -> None:
    pid, start = owner.label().split("-s")
    assert owner.is_gone(f"{pid}-s{int(start) - 1}-abc")  # the engine of the container before
    assert not owner.is_gone(f"{pid}-abc")  # of a version that did not write the start


def test_a_process_that_ended_is_gone_also_while_nobody_waited_for_it() -> None:
    child = subprocess.Popen(SLEEP, stdin=subprocess.PIPE)
    start = owner._facts(child.pid)[1]
    label = f"{child.pid}-s{start}"
    assert not owner.is_gone(label)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # a zombie from here on
    assert owner.is_gone(label)
    child.communicate()
    assert owner.is_gone(label)


@pytest.mark.parametrize("name", ["", "notes", "-5", "x12-3", "12x", "somebody-else"])
def test_names_of_others_are_nobodys(name: str) -> None:
    assert not owner.is_gone(name)


def dead_label() -> str:
    pid, start = owner.label().split("-s")
    return f"{pid}-s{int(start) - 1}"


def test_a_stray_of_a_dead_engine_with_our_number_is_ended() -> None:
    mark = f"{dead_label()}-0123-1"
    stray = subprocess.Popen(SLEEP, stdin=subprocess.PIPE, env={**os.environ, RUN_MARK: mark})
    mine = subprocess.Popen(
        SLEEP, stdin=subprocess.PIPE, env={**os.environ, RUN_MARK: f"{owner.label()}-0123-1"}
    )
    try:
        assert (
            end_strays(lambda found: found.startswith(dead_label()) and owner.is_gone(found)) == 1
        )
        assert not psutil.pid_exists(stray.pid)
        assert mine.poll() is None
    finally:
        mine.communicate()
        stray.communicate()


def test_folders_of_dead_engines_are_removed(tmp_path: Path) -> None:
    names = (f"ouroboros-sandbox-{dead_label()}-x", f"ouroboros-sandbox-{owner.label()}-y", "other")
    for name in names:
        (tmp_path / name / "deep").mkdir(parents=True)
    assert _sweep_folders(tmp_path) == 1
    assert {p.name for p in tmp_path.iterdir()} == set(names[1:])


def test_what_still_runs_in_a_dead_engines_group_is_ended() -> None:
    groups = Groups.find()
    if groups is None:
        pytest.skip("no control groups can be made here")
    group = groups.create(f"{dead_label()}-0123-1", memory=1 << 28, processes=8)
    daemon = subprocess.Popen(SLEEP, stdin=subprocess.PIPE)
    for procs in group.procs:
        Path(procs).write_text(str(daemon.pid))
    assert groups.sweep() >= 1
    deadline = time.monotonic() + 10
    while daemon.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert group.left() == []
    assert not psutil.pid_exists(daemon.pid)
    daemon.communicate()
