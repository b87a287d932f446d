"""What people order besides answers: hold, retry, override, freeze, silence, drain, reload."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import pytest
from engine_world import FASTER, OTHER, World, called, evaluation, reach

from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.engine.orders import LONGEST_NS
from ouroboros.errors import (
    ConfigError,
    ConflictError,
    InvalidParamsError,
    NotFoundError,
    WaitTimeoutError,
    WrongPhaseError,
)
from ouroboros.model import events as ev
from ouroboros.model.phase import Phase
from ouroboros.model.snapshot import Activity
from ouroboros.model.state import Alert, State
from ouroboros.proposers import Context

ANN, BOB = "uid:ann", "uid:bob"
HOUR = 3600 * 10**9


async def submit(engine: Engine, diff: str = FASTER) -> str:
    return await engine.submit(Submission(diff=diff, title="t", rationale="r"), actor=ANN)


async def held(engine: Engine) -> str:
    name = await submit(engine)
    await reach(engine, name, Phase.HELD)
    return name


async def until(engine: Engine, condition: Callable[[State], bool]) -> None:
    async with asyncio.timeout(20):
        await engine._core.recorder.wait_for(condition)


async def override(engine: Engine, name: str, *, reason: str = "fire") -> None:
    commit = engine.candidate(name).commit
    await engine.orders.override(name, actor=ANN, commit=commit, reason=reason, signed=None)


def last(world: World, kind: type[Any]) -> Any:
    return [e for e in world.events() if isinstance(e, kind)][-1]


class TestHold:
    async def test_what_would_be_promoted_is_held_with_who_asked_and_why(
        self, world: World
    ) -> None:
        world.configure("autonomous")
        engine = await world.start()
        world.executor.gate.clear()
        name = await submit(engine)
        await reach(engine, name, Phase.EVALUATING)
        await engine.orders.hold(name, actor=BOB, reason="let me look")
        world.executor.gate.set()
        c = await reach(engine, name, Phase.HELD)
        assert c.verdict is not None
        assert c.verdict.decision.value == "accept"  # the governor's word is not bent
        assert c.reasons[0].text == f"{BOB} asked to hold it: let me look"
        await engine.approve(name, actor=ANN, commit=c.commit, reason="")
        await reach(engine, name, Phase.PROMOTED)

    async def test_it_takes_back_a_yes_that_waits_for_the_end_of_a_freeze(
        self, world: World
    ) -> None:
        engine = await world.start()
        name = await held(engine)
        await engine.orders.freeze(time.time_ns() + HOUR, actor=BOB, reason="")
        await engine.approve(name, actor=BOB, commit=engine.candidate(name).commit, reason="")
        await until(engine, lambda _: engine.status().waiting == (name,))
        await engine.orders.hold(name, actor=ANN, reason="")
        c = await reach(engine, name, Phase.HELD)
        assert c.approvals == ()
        assert c.reasons[0].text == f"{ANN} asked to hold it."

    async def test_it_survives_a_restart(self, world: World) -> None:
        world.configure("autonomous")
        engine = await world.start()
        world.executor.gate.clear()
        name = await submit(engine)
        await reach(engine, name, Phase.EVALUATING)
        await engine.orders.hold(name, actor=BOB, reason="")
        await world.stop(engine)
        engine = await world.start()
        await reach(engine, name, Phase.HELD)
        assert len(engine.state.versions) == 1

    async def test_what_is_held_or_over_cannot_be_told_to_hold(self, world: World) -> None:
        engine = await world.start()
        name = await held(engine)
        with pytest.raises(WrongPhaseError, match="held"):
            await engine.orders.hold(name, actor=BOB, reason="")
        with pytest.raises(NotFoundError, match="c99"):
            await engine.orders.hold("c99", actor=BOB, reason="")


class TestRetry:
    async def test_a_refused_one_comes_again_and_goes_on_with_its_evidence(
        self, world: World
    ) -> None:
        engine = await world.start()
        world.executor.answer = lambda plan: evaluation(plan, effect=0.0)
        name = await submit(engine)
        await reach(engine, name, Phase.REJECTED)
        again = await engine.orders.retry(name, actor=BOB, reason="a bad day", idempotency_key="k")
        assert again != name
        c = await reach(engine, again, Phase.REJECTED)
        assert c.rationale == f"{name} once more (a bad day). r"
        assert c.proposed_by == BOB
        assert c.context is not None
        assert c.context.continues == name  # no second chance by luck
        same = await engine.orders.retry(name, actor=BOB, reason="a bad day", idempotency_key="k")
        assert same == again

    async def test_one_that_was_rebased_comes_again_as_it_was_last(self, world: World) -> None:
        engine = await world.start()
        first, second = await held(engine), await submit(engine, OTHER)
        await reach(engine, second, Phase.HELD)
        await engine.approve(first, actor=BOB, commit=engine.candidate(first).commit, reason="")
        await reach(engine, first, Phase.PROMOTED)
        await engine.approve(second, actor=BOB, commit=engine.candidate(second).commit, reason="")
        await until(engine, lambda s: s.candidates[second].base == world.head())
        await reach(engine, second, Phase.HELD)
        await engine.deny(second, actor=BOB, reason="no")
        again = await engine.orders.retry(second, actor=BOB, reason="", idempotency_key="")
        c = await reach(engine, again, Phase.HELD)
        assert c.base == engine.candidate(second).base

    async def test_what_is_not_over_is_refused(self, world: World) -> None:
        engine = await world.start()
        name = await held(engine)
        with pytest.raises(WrongPhaseError, match="not over"):
            await engine.orders.retry(name, actor=BOB, reason="", idempotency_key="")


class TestOverride:
    async def test_it_passes_quorum_review_and_freeze(self, world: World) -> None:
        world.limit("quorum = 3")
        engine = await world.start()
        name = await held(engine)
        await engine.orders.freeze(time.time_ns() + HOUR, actor=BOB, reason="")
        await override(engine, name)
        c = await reach(engine, name, Phase.PROMOTED)
        assert c.approved_by == ANN
        assert last(world, ev.Overridden).reason == "fire"

    async def test_it_is_bound_to_the_commit_and_wants_a_reason(self, world: World) -> None:
        engine = await world.start()
        name = await held(engine)
        with pytest.raises(InvalidParamsError, match="reason"):
            await override(engine, name, reason=" ")
        with pytest.raises(ConflictError, match="not at bbbb"):
            await engine.orders.override(
                name, actor=ANN, commit="b" * 40, reason="fire", signed=None
            )
        assert engine.candidate(name).phase is Phase.HELD

    async def test_what_the_evidence_refused_stays_refused(self, world: World) -> None:
        engine = await world.start()
        world.executor.answer = lambda plan: evaluation(plan, status="failed")
        name = await submit(engine)
        await reach(engine, name, Phase.REJECTED)
        with pytest.raises(WrongPhaseError, match="only a held candidate"):
            await override(engine, name)

    async def test_nothing_is_applied_in_observe_mode(self, world: World) -> None:
        engine = await world.start()
        name = await held(engine)
        world.configure("observe")
        await engine.orders.reload(actor=ANN)
        with pytest.raises(WrongPhaseError, match="observe"):
            await override(engine, name)


class TestFreeze:
    async def test_it_holds_promotions_up_to_its_end_also_over_a_restart(
        self, world: World
    ) -> None:
        world.configure("autonomous")
        engine = await world.start()
        end = time.time_ns() + HOUR
        await engine.orders.freeze(end, actor=BOB, reason="release week")
        name = await submit(engine)
        await until(engine, lambda _: engine.status().waiting == (name,))
        await world.stop(engine)
        engine = await world.start()
        await until(engine, lambda _: engine.status().waiting == (name,))
        status = engine.governor()
        assert (status.frozen_until_ns, status.frozen_by) == (end, BOB)
        assert status.frozen_reason == "release week"
        world.clock_ns = lambda: end
        await engine._core.recorder.touch()
        await reach(engine, name, Phase.PROMOTED)
        assert engine.governor().frozen_by == ""

    async def test_ending_it_lets_go_at_once(self, world: World) -> None:
        world.configure("autonomous")
        engine = await world.start()
        await engine.orders.freeze(time.time_ns() + HOUR, actor=BOB, reason="")
        name = await submit(engine)
        await until(engine, lambda _: engine.status().waiting == (name,))
        await engine.orders.unfreeze(actor=ANN, reason="released")
        await reach(engine, name, Phase.PROMOTED)
        with pytest.raises(WrongPhaseError, match="Nobody set a freeze"):
            await engine.orders.unfreeze(actor=ANN, reason="")

    @pytest.mark.parametrize("ahead", [-HOUR, 0, LONGEST_NS + HOUR])
    async def test_the_past_and_more_than_a_year_are_slips(self, world: World, ahead: int) -> None:
        engine = await world.start()
        with pytest.raises(InvalidParamsError, match="future"):
            await engine.orders.freeze(time.time_ns() + ahead, actor=BOB, reason="")
        assert engine.state.frozen is None


class TestDrainedWorker:
    async def test_it_begins_no_evaluation_also_over_a_restart(self, world: World) -> None:
        world.configure("supervised")
        engine = await world.start()
        await engine.orders.drain_worker("scripted", out=True, actor=BOB, reason="new kernel")
        name = await submit(engine)
        await reach(engine, name, Phase.APPLIED)
        await world.stop(engine)
        engine = await world.start()
        assert [w.drained for w in engine.inside.workers()] == [True]
        await until(engine, lambda s: s.candidates[name].phase is Phase.APPLIED)
        assert not world.executor.plans
        await engine.orders.drain_worker("scripted", out=False, actor=ANN, reason="booted")
        await reach(engine, name, Phase.HELD)
        told = last(world, ev.WorkerDrained)
        assert (told.out, told.reason) == (False, "booted")

    async def test_an_unknown_one_and_a_second_order_are_refused(self, world: World) -> None:
        engine = await world.start()
        with pytest.raises(NotFoundError, match=r"no worker 'far'"):
            await engine.orders.drain_worker("far", out=True, actor=BOB, reason="")
        with pytest.raises(WrongPhaseError, match="in service already"):
            await engine.orders.drain_worker("scripted", out=False, actor=BOB, reason="")


class TestSilence:
    async def test_silenced_alerts_are_recorded_and_not_sent(self, world: World) -> None:
        engine = await world.start()
        sent: list[Alert] = []

        class Sink:
            name = "list"

            async def send(self, alert: Alert) -> None:
                sent.append(alert)

        engine._core.deps.sinks.append(Sink())
        await engine.orders.silence("disk_*", time.time_ns() + HOUR, actor=BOB, reason="known")
        await engine._core.alert("disk_low", "warning", "low")
        await engine._core.alert("other", "warning", "o")
        assert [a.code for a in sent] == ["other"]
        assert [(a.code, a.silenced) for a in engine.state.alerts] == [
            ("disk_low", True),
            ("other", False),
        ]
        assert [(s.codes, s.actor, s.reason) for s in engine.orders.silences] == [
            ("disk_*", BOB, "known")
        ]
        await engine.orders.silence("disk_*", 0, actor=ANN, reason="")
        await engine._core.alert("disk_low", "warning", "low again")
        assert [a.text for a in sent] == ["o", "low again"]
        assert engine.orders.silences == ()
        with pytest.raises(NotFoundError, match="disk_"):
            await engine.orders.silence("disk_*", 0, actor=ANN, reason="")

    async def test_it_ends_by_itself(self, world: World) -> None:
        engine = await world.start()
        now = time.time_ns()
        world.clock_ns = lambda: now
        await engine.orders.silence("*", now + HOUR, actor=BOB, reason="")
        world.clock_ns = lambda: now + HOUR
        assert engine.orders.silences == ()
        await engine._core.alert("x", "info", "t")
        assert not engine.state.alerts[-1].silenced


class TestDrainAndReload:
    async def test_it_returns_when_what_was_begun_has_ended(self, world: World) -> None:
        engine = await world.start()
        world.executor.gate.clear()
        running, waiting = await submit(engine), await submit(engine, OTHER)
        await reach(engine, running, Phase.EVALUATING)
        with pytest.raises(WaitTimeoutError, match=running):
            await engine.orders.drain(actor=BOB, reason="upgrade", timeout_s=0.05)
        assert engine.state.paused
        draining = asyncio.ensure_future(
            engine.orders.drain(actor=BOB, reason="upgrade", timeout_s=20)
        )
        world.executor.gate.set()
        await draining
        assert engine.candidate(running).phase is Phase.HELD
        assert engine.candidate(waiting).phase in {Phase.APPLIED, Phase.HELD}
        assert engine.status().activity is Activity.PAUSED
        assert world.kinds().count("paused") == 1

    async def test_a_changed_file_is_in_force_at_once_and_a_bad_one_is_not(
        self, world: World
    ) -> None:
        engine = await world.start()
        before = engine.config.hash
        world.configure("autonomous")
        loaded = await engine.orders.reload(actor=BOB)
        assert loaded.hash != before
        assert engine.config.config.governor.mode.value == "autonomous"
        (world.root / "ouroboros.toml").write_text("[governor]\nmode = 'reckless'\n")
        with pytest.raises(ConfigError, match="mode"):
            await engine.orders.reload(actor=BOB)
        assert engine.config.hash == loaded.hash


class TestCycles:
    async def test_ending_one_cancels_what_it_brought(self, world: World) -> None:
        world.proposer.diffs = [FASTER, OTHER]
        engine = await world.start()
        world.executor.gate.clear()
        await until(
            engine, lambda s: any(c.phase is Phase.EVALUATING for c in s.candidates.values())
        )
        number = await engine.orders.end_cycle(actor=BOB, reason="enough")
        await until(engine, lambda s: s.cycle is not None and bool(s.cycle.finished_ns))
        cycle = engine.state.cycle
        assert cycle is not None
        assert (cycle.number, cycle.outcome) == (number, "cancelled")
        assert cycle.text == f"{BOB}: enough"
        brought = [c for c in engine.state.candidates.values() if c.cycle == number]
        assert brought
        assert {c.phase for c in brought} == {Phase.CANCELLED}
        with pytest.raises(WrongPhaseError, match="No cycle"):
            await engine.orders.end_cycle(actor=BOB, reason="")

    async def test_a_proposer_that_thinks_too_long_is_not_waited_for(self, world: World) -> None:
        asked = asyncio.Event()

        async def think(context: Context) -> None:
            asked.set()
            await asyncio.Event().wait()

        world.proposer.propose = think  # type: ignore[method-assign]
        engine = await world.start()
        async with asyncio.timeout(20):
            await asked.wait()
        await engine.orders.end_cycle(actor=BOB, reason="")
        await until(engine, lambda s: s.cycle is not None and bool(s.cycle.finished_ns))
        assert engine.state.cycle is not None
        assert engine.state.cycle.outcome == "cancelled"

    async def test_one_proposer_alone_is_asked_and_an_unknown_one_is_named(
        self, world: World
    ) -> None:
        engine = await world.start()
        await until(engine, lambda s: s.cycle is not None and bool(s.cycle.finished_ns))
        with pytest.raises(NotFoundError, match="list"):
            await engine.trigger(actor=BOB, proposer="nobody")
        asked = len(world.proposer.contexts)
        await engine.trigger(actor=BOB, proposer="list")
        await called(lambda: len(world.proposer.contexts) > asked)
