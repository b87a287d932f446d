"""The matrix is worth what its checks see: each is shown the damage that it is there for."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
from crash_engine import Witness
from crash_matrix import Case, _compare, matrix
from crash_world import Broken, CrashWorld, Outcome, crash_world
from engine_world import evaluation
from msgspec.structs import replace
from served import until

from ouroboros import owner
from ouroboros.config import Config
from ouroboros.evaluation.plan import Plan
from ouroboros.ledger.store import Store
from ouroboros.model import events as ev

SAID = Outcome(
    phases={"fast": "kept"},
    reasons={},
    versions=(),
    subjects=(),
    files="",
    paused=False,
    kinds={},
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[CrashWorld]:
    with crash_world(tmp_path / "world") as made:
        made.paths.state.mkdir(parents=True)
        with Store.open(made.paths.ledger) as store:
            for number, event in enumerate(entries(), start=1):
                stored = store.append(event, actor="engine", ts=number, idem=str(number))
                Witness(made.witness).say("entry", stored.entry.seq, stored.hash)
        yield made


def entries() -> list[ev.AnyEvent]:
    plan = Plan(
        candidate="c1",
        attempt=1,
        repository="/",
        base_commit="b",
        candidate_commit="c",
        changed=(),
        config=Config(),
        python="",
        seed=1,
    )
    return [
        ev.TargetAdopted(target="t", path="/", branch="main", commit="b"),
        ev.Proposed(
            candidate="c1",
            cycle=0,
            proposer="p",
            title="fast",
            rationale="",
            base="b",
            diff="d",
            idea="i",
        ),
        ev.Screened(candidate="c1", files=()),
        ev.Applied(candidate="c1", base="b", commit="c", tree="t", checkpoint="r"),
        ev.EvaluationStarted(candidate="c1", attempt=1, executor="crash"),
        ev.Evaluated(candidate="c1", evaluation=evaluation(plan)),
        ev.Errored(candidate="c1", room="r", reason="x"),
    ]


def test_nothing_lost_is_said_of_nothing_lost(world: CrashWorld) -> None:
    events = [stored.entry.event for stored in world.state()[1]]
    (evaluated,) = [e for e in events if isinstance(e, ev.Evaluated)]
    first = evaluated.evaluation.series[0].pairs[0]
    Witness(world.witness).say("pair", "c1", "c", "screen", 0, first.started_ns)
    world.ids["fast"] = "c1"
    world.acknowledged.append(("proposed", "fast"))
    world.check_nothing_lost()


def test_a_lost_entry_is_seen(world: CrashWorld) -> None:
    Witness(world.witness).say("entry", 8, "0" * 64)
    with pytest.raises(Broken, match="entry 8 was acknowledged and is lost"):
        world.check_nothing_lost()


def test_a_lost_pair_is_seen(world: CrashWorld) -> None:
    Witness(world.witness).say("pair", "c1", "c", "screen", 3, 987654321)
    with pytest.raises(Broken, match="pair 3 of c1 was measured, kept, and is lost"):
        world.check_nothing_lost()


def test_a_lost_request_is_seen(world: CrashWorld) -> None:
    world.ids["fast"] = "c1"
    world.acknowledged.append(("approved", "fast"))
    with pytest.raises(Broken, match="approved fast was acknowledged"):
        world.check_nothing_lost()


def test_a_process_that_outlives_its_engine_is_seen(
    world: CrashWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crash_world.ORPHANS_S", 0.1)
    assert world.orphans() == []
    world.dead.append(os.getpid())  # not really: an engine of a test beside this one ends strays
    for mark in (
        {"OUROBOROS_RUN": f"{owner.label()}-abc-1"},  # of the sandbox
        {"CRASH_WORLD": world.mark},  # a git
    ):
        stray = subprocess.Popen(
            [sys.executable, "-c", "import sys; sys.stdin.read()"],
            stdin=subprocess.PIPE,
            env={**os.environ, **mark},
        )
        until(psutil.Process(stray.pid).environ, what="it has begun")
        assert [text.split()[0] for text in world.orphans()] == [str(stray.pid)]
        stray.communicate()


@pytest.mark.parametrize(
    "where", ["tmp/ouroboros-git-1-x", "evidence/ab/put-1", "journal/c1.jsonl"]
)
def test_what_lies_around_is_seen(world: CrashWorld, where: str) -> None:
    world.check_nothing_left()
    place = world.folder if where.startswith("tmp") else world.paths.state
    (place / where).parent.mkdir(parents=True, exist_ok=True)
    (place / where).touch()
    with pytest.raises(Broken, match="left over"):
        world.check_nothing_left()


def test_a_target_that_is_not_as_its_branch_is_seen(world: CrashWorld) -> None:
    world.check_target()
    lock = world.root / ".git" / "index.lock"
    lock.touch()
    with pytest.raises(Broken, match="left in the repository"):
        world.check_target()
    lock.unlink()
    (world.root / "fast.py").write_text("")
    with pytest.raises(Broken, match="work tree differs"):
        world.check_target()


def test_another_outcome_is_seen(world: CrashWorld) -> None:
    _compare(SAID, SAID, strict=True)
    rejected = replace(SAID, phases={"fast": "rejected"})
    with pytest.raises(Broken, match="the outcome differs: phases"):
        _compare(rejected, SAID, strict=True)
    with pytest.raises(Broken):
        _compare(rejected, SAID, strict=False)
    errored = replace(SAID, phases={"fast": "errored"})
    _compare(errored, SAID, strict=False)
    with pytest.raises(Broken):
        _compare(errored, SAID, strict=True)


def test_the_matrix_kills_before_and_after_every_append() -> None:
    cases: list[Case] = matrix({"ledger.append": 56, "move.swap": 3})
    appends = {c.name for c in cases if c.group == "append"}
    assert len(appends) == 112
    assert {"before ledger.append #1", "after ledger.append #56"} <= appends
    assert sum(c.group == "move" for c in cases) == 6
