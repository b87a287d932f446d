"""Pairs outlive their engine: what is gone on with, what is dropped, what a disk can do."""

import asyncio
import errno
import logging
import os
import random
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from engine_world import FASTER, LEVEL, ScriptedExecutor, World, evaluation, reach, series
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from ouroboros.config import Config
from ouroboros.engine.api import Submission
from ouroboros.engine.journal import Journals, read
from ouroboros.errors import CancelledByHumanError
from ouroboros.evaluation.plan import Plan
from ouroboros.executors import Report
from ouroboros.model import events as ev
from ouroboros.model.evaluation import (
    Evaluation,
    Pair,
    Purpose,
    Sample,
    SandboxLevel,
    Series,
    Stage,
)
from ouroboros.model.phase import Phase

BY = "uid:tester"


def pair(number: int) -> Pair:
    side = Sample(cpu_ns=number, wall_ns=2 * number, rss_bytes=3, reported={"score": 0.1 * number})
    return Pair(started_ns=number, candidate_first=number % 2 == 0, baseline=side, candidate=side)


def plan(**changes: object) -> Plan:
    usual = Plan(
        candidate="c1",
        attempt=1,
        repository="/r",
        base_commit="b" * 40,
        candidate_commit="c" * 40,
        changed=(),
        config=Config(),
        python="/usr/bin/python3",
        seed=1,
    )
    return replace(usual, **changes)


def journals(
    folder: Path, machine: str = "this one", sandbox: SandboxLevel | None = LEVEL
) -> Journals:
    return Journals(folder / "journal", machine=machine, sandbox=sandbox)


def taken(folder: Path, count: int = 5, begun: Plan | None = None) -> Path:
    """Take pairs and go, as a killed engine does: nothing is closed in order."""
    made = journals(folder)
    made.begin(begun or plan())
    for index in range(count):
        made.take("c1", "b", Stage.SCREEN, index, pair(index + 1))
    return folder / "journal" / "c1.jsonl"


def test_the_next_attempt_goes_on_from_the_pairs_that_were_taken(tmp_path: Path) -> None:
    taken(tmp_path)
    made = journals(tmp_path)
    again = made.begin(plan(attempt=2, seed=7))
    (found,) = again.prior
    assert found.pairs == tuple(pair(n) for n in range(1, 6))
    assert (found.benchmark, found.stage, found.inherited) == ("b", Stage.SCREEN, 0)
    made.take("c1", "b", Stage.SCREEN, 5, pair(6))
    made.take("c1", "challenge:x", Stage.CONFIRM, 0, pair(7))
    third = journals(tmp_path).begin(plan(attempt=3)).prior
    assert [len(s.pairs) for s in third] == [6, 1]
    assert third[1].benchmark == "challenge:x"


def test_inherited_pairs_stay_inherited(tmp_path: Path) -> None:
    prior = (Series(benchmark="b", stage=Stage.SCREEN, pairs=(pair(1), pair(2)), inherited=2),)
    made = journals(tmp_path)
    assert made.begin(plan(prior=prior)).prior == prior
    made.take("c1", "b", Stage.SCREEN, 2, pair(3))
    (found,) = journals(tmp_path).begin(plan()).prior
    assert found.inherited == 2
    assert len(found.pairs) == 3


@pytest.mark.parametrize(
    "other",
    [
        {"base_commit": "d" * 40},
        {"candidate_commit": "d" * 40},
        {"python": "/opt/python"},
        {"purpose": Purpose.WATCH},
        {"config": msgspec.convert({"governor": {"max_pairs": 30}}, Config)},
    ],
)
def test_pairs_of_something_else_are_dropped_and_said(
    tmp_path: Path, other: dict[str, object], caplog: pytest.LogCaptureFixture
) -> None:
    taken(tmp_path)
    caplog.set_level(logging.INFO)
    assert journals(tmp_path).begin(plan(**other)).prior == ()
    assert "measured anew: another" in caplog.text
    assert journals(tmp_path).begin(plan()).prior == ()


def test_pairs_of_another_machine_or_sandbox_are_dropped(tmp_path: Path) -> None:
    taken(tmp_path)
    assert journals(tmp_path, machine="that one").begin(plan()).prior == ()
    taken(tmp_path)
    weaker = replace(LEVEL, backend="none")
    assert journals(tmp_path, sandbox=weaker).begin(plan()).prior == ()


def test_every_cut_of_the_file_leaves_the_pairs_before_it(tmp_path: Path) -> None:
    path = taken(tmp_path)
    whole = path.read_bytes()
    ends = [i + 1 for i, byte in enumerate(whole) if byte == 10]
    for size in range(len(whole) + 1):
        path.write_bytes(whole[:size])
        found = read(path)
        lines = sum(end <= size for end in ends)
        assert found.end == (ends[lines - 1] if lines else 0)
        assert sum(len(s.pairs) for s in found.series) == max(0, lines - 1)
        assert (found.binding is None) == (lines == 0)


def test_what_follows_a_torn_line_is_cut_before_more_is_written(tmp_path: Path) -> None:
    path = taken(tmp_path)
    path.write_bytes(path.read_bytes()[:-7])
    made = journals(tmp_path)
    assert len(made.begin(plan()).prior[0].pairs) == 4
    made.take("c1", "b", Stage.SCREEN, 4, pair(5))
    assert len(journals(tmp_path).begin(plan()).prior[0].pairs) == 5


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_no_damage_brings_up_a_pair_that_was_not_taken(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = taken(tmp_path_factory.mktemp("journal"), count=3)
    whole = bytearray(path.read_bytes())
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= 1 << data.draw(st.integers(0, 7))
    path.write_bytes(whole)
    for found in read(path).series:
        assert found.pairs == tuple(pair(n) for n in range(1, len(found.pairs) + 1))


def test_rubbish_is_no_journal(tmp_path: Path) -> None:
    (tmp_path / "journal").mkdir()
    path = tmp_path / "journal" / "c1.jsonl"
    for rubbish in (b"\0" * 4096, b"\n\n\n", random.Random(1).randbytes(9000), b"[]\n" * 9):
        path.write_bytes(rubbish)
        assert read(path).series == ()
        made = journals(tmp_path)
        assert made.begin(plan()).prior == ()
        made.take("c1", "b", Stage.SCREEN, 0, pair(1))
        assert len(journals(tmp_path).begin(plan()).prior[0].pairs) == 1


def test_a_full_disk_costs_only_what_comes_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    made = journals(tmp_path)
    made.begin(plan())
    made.take("c1", "b", Stage.SCREEN, 0, pair(1))
    write = os.write

    def short(handle: int, data: bytes) -> int:
        return write(handle, data[: len(data) // 2])

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", short)
        made.take("c1", "b", Stage.SCREEN, 1, pair(2))
    assert "are not written down any more" in caplog.text
    made.take("c1", "b", Stage.SCREEN, 2, pair(3))  # a gap would be worse than an end
    assert (tmp_path / "journal" / "c1.jsonl").read_bytes().endswith(b"\n")
    assert len(journals(tmp_path).begin(plan()).prior[0].pairs) == 1


def test_a_disk_that_is_full_from_the_start_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    made = journals(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        assert made.begin(plan()).prior == ()
    made.take("c1", "b", Stage.SCREEN, 0, pair(1))
    assert "No space left" in caplog.text
    assert list((tmp_path / "journal").iterdir()) == []


def test_sweep_keeps_the_wanted(tmp_path: Path) -> None:
    made = journals(tmp_path)
    assert made.sweep({"c1"}) == ()
    for name in ("c1", "c2", "c3"):
        made.begin(plan(candidate=name))
    assert made.sweep({"c2"}) == ("c1", "c3")
    assert [p.name for p in (tmp_path / "journal").iterdir()] == ["c2.jsonl"]


class Measuring(ScriptedExecutor):
    """Takes ten pairs, and stands still before the sixth until the gate opens."""

    def __init__(self, journal: Callable[..., None]) -> None:
        super().__init__()
        self.journal = journal
        self.waiting = asyncio.Event()
        self.measured: list[int] = []

    async def _go(self, candidate: str) -> None:
        stop = self._cancelled.setdefault(candidate, asyncio.Event())
        stop.clear()
        waits = [asyncio.ensure_future(e.wait()) for e in (self.gate, stop)]
        await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        for wait in waits:
            wait.cancel()
        if stop.is_set():
            raise CancelledByHumanError("cancelled")

    async def run(self, plan: Plan, report: Report) -> Evaluation:
        self.plans.append(plan)
        before = plan.prior[0].pairs if plan.prior else ()
        pairs = list(before)
        for index in range(len(pairs), 10):
            if index == 5:
                self.waiting.set()
                await self._go(plan.candidate)
            pairs.append(pair(index + 1))
            self.journal(plan.candidate, "b", Stage.SCREEN, index, pairs[-1])
            self.measured.append(index)
        own = Series(benchmark="b", stage=Stage.SCREEN, pairs=tuple(pairs))
        return replace(evaluation(plan), series=(own, *series(plan, -0.3)[1:]))


async def test_an_engine_that_died_in_the_middle_goes_on_from_the_sixth_pair(
    world: World,
) -> None:
    world.journals = journals(world.state)
    first = world.executor = Measuring(world.journals.take)
    first.gate.clear()
    engine = await world.start()
    name = await engine.submit(Submission(diff=FASTER, title="t"), actor=BY)
    await asyncio.wait_for(first.waiting.wait(), 20)
    for task in engine._pipeline._tasks.values():  # as a kill: nothing is said, nothing requeued
        task.cancel()
    await engine._core.recorder.wait_for(lambda s: s.candidates[name].phase is Phase.EVALUATING)
    await world.stop(engine)

    world.journals = journals(world.state)
    second = Measuring(world.journals.take)
    engine = await world.start(executor=second)
    c = await reach(engine, name, Phase.HELD, Phase.REJECTED, Phase.ERRORED)
    assert c.evaluation is not None
    assert c.attempt == 2
    assert first.measured == [0, 1, 2, 3, 4]
    assert second.measured == [5, 6, 7, 8, 9]
    assert c.evaluation.series[0].pairs == tuple(pair(n) for n in range(1, 11))
    assert second.plans[0].prior[0].inherited == 0
    started = [e for e in world.events() if isinstance(e, ev.EngineStarted)][-1]
    assert started.recovered == (f"requeued {name} with the 5 pairs that it had",)
    assert list((world.state / "journal").iterdir()) == []


async def test_pausing_at_once_keeps_the_pairs_too(world: World) -> None:
    world.journals = journals(world.state)
    executor = world.executor = Measuring(world.journals.take)
    executor.gate.clear()
    engine = await world.start()
    name = await engine.submit(Submission(diff=FASTER, title="t"), actor=BY)
    await asyncio.wait_for(executor.waiting.wait(), 20)
    await engine.pause(actor=BY, reason="look", now=True)
    await reach(engine, name, Phase.APPLIED)
    found = read(world.state / "journal" / f"{name}.jsonl")
    assert len(found.series[0].pairs) == 5
    assert found.binding is not None
    assert found.binding.commit == engine.candidate(name).commit
    executor.gate.set()
    await engine.resume(actor=BY, reason="go on")
    await reach(engine, name, Phase.HELD, Phase.REJECTED)
    assert executor.measured == list(range(10))


async def test_a_cancelled_candidate_leaves_no_pairs(world: World) -> None:
    world.journals = journals(world.state)
    executor = world.executor = Measuring(world.journals.take)
    executor.gate.clear()
    engine = await world.start()
    name = await engine.submit(Submission(diff=FASTER, title="t"), actor=BY)
    await asyncio.wait_for(executor.waiting.wait(), 20)
    await engine.cancel(name, actor=BY, reason="no")
    await engine._pipeline._tasks[name]
    assert list((world.state / "journal").iterdir()) == []
