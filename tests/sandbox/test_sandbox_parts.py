"""The parts that decide what a run sees, on folders made for it."""

import os
import sys
from pathlib import Path

import pytest

from ouroboros.errors import ConfigError
from ouroboros.sandbox.bwrap import candidates
from ouroboros.sandbox.cgroups import Groups
from ouroboros.sandbox.root import interpreter


def fake_python(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"\x7fELF")
    path.chmod(0o755)
    return path


def test_environment_of_a_version_manager(tmp_path: Path) -> None:
    real = fake_python(tmp_path / "versions/3.12.1/bin/python3.12")
    shown = tmp_path / "home/.local/bin/python3"
    shown.parent.mkdir(parents=True)
    shown.symlink_to(real)
    venv = tmp_path / "repo/.venv"
    (venv / "bin").mkdir(parents=True)
    (venv / "bin/python").symlink_to(shown)
    (venv / "pyvenv.cfg").write_text(f"home = {real.parent}\n")
    found = interpreter(venv / "bin/python")
    assert found.folders == (venv, tmp_path / "versions/3.12.1")
    assert found.links == ((str(real), shown),), "the home's bin itself must not be shown"


def test_system_interpreter_needs_nothing_more() -> None:
    assert interpreter(Path("/usr/bin/env")).folders == ()


def test_an_environment_that_is_the_home_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    python = fake_python(tmp_path / "bin/python3")
    with pytest.raises(ConfigError, match=r"in whole\. .*\[environment\] python"):
        interpreter(python)


def test_the_wheel_is_found() -> None:
    assert ("wheel" in {origin for _, origin in candidates()}) == sys.platform.startswith("linux")


def cgroup_v2(root: Path, *, enabled: str) -> Path:
    own = root / "user.slice/app.slice/engine.service"
    own.mkdir(parents=True)
    for folder in (root, *(root / p for p in ("user.slice", "user.slice/app.slice")), own):
        (folder / "cgroup.subtree_control").write_text("")
    (root / "user.slice/app.slice/cgroup.subtree_control").write_text(enabled)
    membership = root / "membership"
    membership.write_text("0::/user.slice/app.slice/engine.service\n")
    return membership


def test_version_2_groups_are_made_where_controllers_are_enabled(tmp_path: Path) -> None:
    """Against plain files: it shows where we write, not what the kernel does with it."""
    membership = cgroup_v2(tmp_path, enabled="cpu memory pids")
    groups = Groups.find(tmp_path, membership)
    assert groups is not None
    assert groups.label == "cgroup-v2"
    group = groups.create(f"{os.getpid()}-1", memory=1 << 20, processes=5)
    folder = tmp_path / f"user.slice/app.slice/ouroboros-{os.getpid()}-1"
    assert group.procs == [str(folder / "cgroup.procs")]
    assert (folder / "memory.max").read_text() == str(1 << 20)
    assert int((folder / "pids.max").read_text()) >= 5
    (folder / "memory.events").write_text("low 0\noom 1\noom_kill 2\n")
    (folder / "cpu.stat").write_text("usage_usec 1234\nuser_usec 1000\n")
    assert group.out_of_memory()
    assert group.cpu_ns() == 1_234_000


def test_version_2_without_delegation_is_not_used(tmp_path: Path) -> None:
    assert Groups.find(tmp_path, cgroup_v2(tmp_path, enabled="cpu")) is None


def test_no_control_groups(tmp_path: Path) -> None:
    assert Groups.find(tmp_path, tmp_path / "missing") is None


def test_groups_of_dead_engines_are_swept(tmp_path: Path) -> None:
    groups = Groups("cgroup-v2", (tmp_path,))
    for name in ("ouroboros-999999999-1", f"ouroboros-{os.getpid()}-1", "somebody-else"):
        (tmp_path / name).mkdir()
    groups.sweep()
    left = sorted(p.name for p in tmp_path.iterdir())
    assert left == [f"ouroboros-{os.getpid()}-1", "somebody-else"]
