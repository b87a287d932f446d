"""The repository full of traps: our git springs none, and a git that does is found out."""

from pathlib import Path

import pytest

from ouroboros.vcs import runner
from ouroboros.vcs.selftest import traps


def statuses(folder: Path) -> dict[str, str]:
    return {trap.name: trap.status for trap in traps(folder)}


def test_no_trap_is_sprung_and_all_are_live(tmp_path: Path) -> None:
    assert set(statuses(tmp_path).values()) == {"held"}


def test_a_git_that_obeys_the_repository_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "_ALWAYS", {"protocol.allow": "never"})
    found = statuses(tmp_path)
    assert found["hooks"] == found["fsmonitor"] == "broken"
    assert found["textconv"] == "held"


def test_traps_are_laid_outside_of_whatever_repository_is_around(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_DIR", "/nowhere")
    assert set(statuses(tmp_path).values()) == {"held"}
