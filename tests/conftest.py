"""What all tests share."""

import signal
import sys
from pathlib import Path

import pytest

# At the end: scripts/bench/git.py must not hide GitPython.
sys.path.append(str(Path(__file__).resolve().parents[1] / "scripts" / "bench"))

ALONE = frozenset(
    {
        "test_e2e_demo",
        "test_e2e_kill",
        "test_executors_anchor",
        "test_executors_duet",
        "test_executors_verdict",
        "test_redteam_catalogue",
        "test_redteam_quick",
        "test_sandbox_escapes",
        "test_sandbox_lifetime",
        "test_sandbox_limits",
    }
)
"""Files whose tests measure, or wait for what must happen in a given time."""
LESSER = ("landlock-watched]", "system]")
"""The same tests on one more kind of machine: left to the whole suite, but for the attempts."""


def pytest_configure() -> None:
    """Give what tests start the usual signals, also where the suite runs under nohup or behind `&`.

    An ignored signal is inherited through exec, a caught one is not; the suite itself stays as deaf
    as it was made.
    """
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, lambda *_: None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark as long what is run on many kinds of machines, all but the usual ones.

    And as alone what measures: beside others it would be slower, or noisier, than it waits for.
    """
    for item in items:
        if item.path.stem in ALONE:
            item.add_marker("alone")
        attempts = item.name.startswith("test_every_promise_holds")
        if item.path.parent.name == "sandbox" and item.name.endswith(LESSER) and not attempts:
            item.add_marker("long")
