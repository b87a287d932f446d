"""Kill the real engine in the middle of a real evaluation; nothing is left, nothing is lost."""

import signal
import subprocess
from pathlib import Path

import psutil
import pytest
from served import OUROBOROS, Served, until

from ouroboros.engine.journal import read
from ouroboros.paths import paths_for

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(240)]


def phase(served: Served, name: str = "c1") -> str:
    return str(served.call("candidate.get", id=name)["phase"])


def gone(processes: list[psutil.Process]) -> bool:
    return not [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


@pytest.fixture
def evaluating(served: Served) -> list[psutil.Process]:
    """Start an engine and bring it into the middle of an evaluation; its children."""
    served.start()
    served.run("propose", str(served.root / "faster.diff"), "--title", "use a set")
    until(lambda: phase(served) == "evaluating", what="the evaluation begins")
    until(lambda: len(served.family()) > 1, what="sandboxed processes run")
    return served.family()


def test_kill_9_leaves_no_process_and_the_next_engine_finishes_the_work(
    served: Served, evaluating: list[psutil.Process]
) -> None:
    assert served.signal(signal.SIGKILL) == -signal.SIGKILL
    until(lambda: gone(evaluating), seconds=5, what="no child survives the engine")
    served.start()
    until(lambda: phase(served) == "held", seconds=120, what="the evaluation is run again")
    candidate = served.call("candidate.get", id="c1")
    assert candidate["attempt"] == 2
    assert candidate["verdict"]["wants_promotion"] is True
    served.run("approve", "c1", "--yes")
    until(lambda: phase(served) == "promoted", what="promoted")
    assert "seen = set()" in (served.root / "work.py").read_text()
    served.run("ledger", "verify")
    served.git("fsck", "--strict")


def test_kill_9_in_the_middle_of_measuring_loses_no_pair(served: Served) -> None:
    served.start()
    served.run("propose", str(served.root / "faster.diff"), "--title", "use a set")
    journal = paths_for(served.root.resolve(), served.env).journal / "c1.jsonl"
    taken: list[int] = []
    for _ in range(2):  # the attempt that goes on is killed as well
        more = len(taken) + 3
        until(lambda more=more: len(pairs(journal)) >= more, seconds=120, what="pairs are taken")
        assert served.signal(signal.SIGKILL) == -signal.SIGKILL
        assert pairs(journal)[: len(taken)] == taken
        taken = pairs(journal)
        served.start()
    until(lambda: phase(served) == "held", seconds=120, what="the evaluation goes on")
    found = served.call("candidate.evaluation", id="c1")
    assert isinstance(found, dict)
    evaluated = [pair[0] for series in found["series"] for pair in series["pairs"]]
    assert evaluated[: len(taken)] == taken
    assert len(set(evaluated)) == len(evaluated)
    assert served.call("candidate.get", id="c1")["attempt"] == 3
    assert not journal.exists()


def pairs(journal: Path) -> list[int]:
    """When each pair that is kept was begun."""
    return [pair.started_ns for series in read(journal).series for pair in series.pairs]


def test_sigterm_drains_and_a_paused_engine_stays_paused(
    served: Served, evaluating: list[psutil.Process]
) -> None:
    served.run("pause", "--reason", "night")
    assert served.signal(signal.SIGTERM) == 0
    until(lambda: gone(evaluating), seconds=5, what="no child survives")
    served.start()
    status = served.json("status")
    assert status["paused"] is True
    assert status["pause_reason"] == "night"
    assert phase(served) == "applied"


def test_a_second_sigterm_kills_at_once(served: Served, evaluating: list[psutil.Process]) -> None:
    text = (served.root / "ouroboros.toml").read_text()
    assert "500ms" in text
    process = served.process
    assert process is not None
    process.send_signal(signal.SIGTERM)
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=5)
    until(lambda: gone(evaluating), seconds=5, what="no child survives")
    served.start()
    served.run("ledger", "verify")


def test_a_second_engine_is_refused_and_the_first_goes_on(served: Served) -> None:
    served.start()
    first = served.process
    done = subprocess.run(
        [str(OUROBOROS), "--repo", str(served.root), "serve"],
        capture_output=True,
        env=served.env,
        timeout=60,
    )
    assert done.returncode == 8
    assert b"already works on this target" in done.stderr
    assert first is not None
    assert first.poll() is None
    served.run("status")
