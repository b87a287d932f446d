"""Policy towards people: freeze windows, quorum, circuit breaker, limits changed at run time."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
from engine_world import FASTER, OTHER, World, evaluation, git, make_diff, reach

from ouroboros.config import parse_policy
from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.errors import (
    ConfigError,
    ConflictError,
    ForbiddenError,
    InvalidParamsError,
    WrongPhaseError,
)
from ouroboros.ledger.evidence import Evidence
from ouroboros.model import events as ev
from ouroboros.model.phase import Phase
from ouroboros.model.state import State

ANN, BOB, CAT = "uid:ann", "uid:bob", "uid:cat"
MINUTE = 60 * 10**9


async def submit(engine: Engine, diff: str = FASTER, *, by: str = ANN, **more: str) -> str:
    return await engine.submit(Submission(diff=diff, title="t", **more), actor=by)


async def held(engine: Engine, diff: str = FASTER, *, by: str = ANN) -> str:
    name = await submit(engine, diff, by=by)
    await reach(engine, name, Phase.HELD)
    return name


async def approve(engine: Engine, name: str, by: str = BOB) -> Any:
    return await engine.approve(name, actor=by, commit=engine.candidate(name).commit, reason="")


async def until(engine: Engine, condition: Callable[[State], bool]) -> None:
    async with asyncio.timeout(20):
        await engine._core.recorder.wait_for(condition)


async def cycle(engine: Engine) -> None:
    """Let one more cycle begin and end; it reads the file."""
    known = engine.state.cycles
    await engine.trigger(actor=BOB)
    await until(
        engine, lambda s: bool(s.cycles > known and s.cycle is not None and s.cycle.finished_ns)
    )


def frozen(world: World, *, ends_in_s: float = 3600) -> int:
    """Freeze the world's time; the window ends after so many seconds of it. Returns the end."""
    now = time.time_ns()
    minute = now // MINUTE * MINUTE + 10 * MINUTE
    begin, end = (datetime.fromtimestamp(m // 10**9, UTC) for m in (minute - 5 * MINUTE, minute))
    world.limit(f'freeze = ["{begin:%Y-%m-%d %H:%M} - {end:%Y-%m-%d %H:%M}"]')
    ahead = minute - round(ends_in_s * 1e9) if ends_in_s < 300 else minute - 4 * MINUTE
    world.clock_ns = lambda: ahead + time.time_ns() - now
    return minute


class TestFreeze:
    async def test_what_is_accepted_waits_for_the_end_and_says_so(self, world: World) -> None:
        world.configure("autonomous")
        end = frozen(world)
        engine = await world.start()
        name = await submit(engine)
        await reach(engine, name, Phase.ACCEPTED)
        await until(engine, lambda _: engine.status().waiting == (name,))
        status = engine.status()
        assert status.frozen_until_ns == end
        shown = {p.candidate: p for p in engine.snapshot().progress}[name]
        assert shown.stage == "frozen"
        assert shown.text.startswith("until ")
        assert shown.text.endswith(" UTC")
        assert len(engine.state.versions) == 1
        world.clock_ns = lambda: end
        await engine.pause(actor=BOB, reason="", now=False)
        await until(engine, lambda _: not engine.status().waiting)
        assert engine.candidate(name).phase is Phase.ACCEPTED  # paused: it waits for that now
        await engine.resume(actor=BOB, reason="")
        await reach(engine, name, Phase.PROMOTED)
        assert engine.status().frozen_until_ns == 0

    async def test_it_goes_on_by_itself_when_the_time_has_come(self, world: World) -> None:
        world.configure("autonomous")
        frozen(world, ends_in_s=2)
        engine = await world.start()
        name = await submit(engine)
        await reach(engine, name, Phase.PROMOTED)
        assert engine.state.versions[-1].ts >= engine.candidate(name).created_ns

    async def test_an_approval_is_possible_and_waits_also_over_a_restart(
        self, world: World
    ) -> None:
        end = frozen(world)
        engine = await world.start()
        name = await held(engine)
        await approve(engine, name)
        await until(engine, lambda _: engine.status().waiting == (name,))
        await world.stop(engine)
        again = await world.start()
        await until(again, lambda _: again.status().waiting == (name,))
        assert again.candidate(name).phase is Phase.ACCEPTED
        world.clock_ns = lambda: end
        await again._core.recorder.touch()
        await reach(again, name, Phase.PROMOTED)

    async def test_after_the_wait_a_moved_branch_is_evaluated_again(self, world: World) -> None:
        end = frozen(world)
        engine = await world.start()
        name = await held(engine)
        await approve(engine, name)
        await until(engine, lambda _: bool(engine.status().waiting))
        (world.root / "other.py").write_text("x = 1\n")
        git(world.root, "add", "other.py")
        git(world.root, "commit", "-q", "-m", "moved")
        world.clock_ns = lambda: end
        await engine._core.recorder.touch()
        await until(engine, lambda s: s.candidates[name].attempt == 2)
        c = await reach(engine, name, Phase.HELD)
        assert c.base == world.head()

    async def test_a_waiting_candidate_can_be_cancelled(self, world: World) -> None:
        frozen(world)
        engine = await world.start()
        name = await held(engine)
        await approve(engine, name)
        await until(engine, lambda _: bool(engine.status().waiting))
        await engine.cancel(name, actor=BOB, reason="no")
        await until(engine, lambda _: not engine.status().waiting)
        assert engine.candidate(name).phase is Phase.CANCELLED

    async def test_a_cycle_does_not_wait_for_the_end(self, world: World) -> None:
        world.configure("autonomous", "proposals_per_cycle = 1")
        frozen(world)
        world.proposer.diffs = [FASTER]
        engine = await world.start()
        await until(engine, lambda s: s.cycle is not None and s.cycle.finished_ns > 0)
        assert engine.state.cycle is not None
        assert engine.state.cycle.outcome == "proposed"
        assert [c.phase for c in engine.state.candidates.values()] == [Phase.ACCEPTED]

    async def test_rollbacks_never_wait(self, world: World) -> None:
        engine = await world.start()
        name = await held(engine)
        await approve(engine, name)
        await reach(engine, name, Phase.PROMOTED)
        await world.stop(engine)
        frozen(world)
        engine = await world.start()
        assert engine.status().frozen_until_ns
        await engine.rollback("last", actor=BOB, reason="no", expect_head="")
        assert engine.candidate(name).phase is Phase.ROLLED_BACK

    async def test_a_freeze_lifted_at_run_time_lets_it_go_on(self, world: World) -> None:
        frozen(world)
        engine = await world.start()
        name = await held(engine)
        await approve(engine, name)
        await until(engine, lambda _: bool(engine.status().waiting))
        await engine.set_limits({"governor.limits.freeze": []}, actor=BOB, reason="urgent fix")
        await reach(engine, name, Phase.PROMOTED)


class TestQuorum:
    async def test_two_different_people_are_needed(self, world: World) -> None:
        world.limit("quorum = 2")
        engine = await world.start()
        name = await held(engine)
        assert engine.status().approvals_needed == {name: 2}
        first = await approve(engine, name, BOB)
        assert (first.given, first.needed, first.enough) == ((BOB,), 2, False)
        assert engine.candidate(name).phase is Phase.HELD
        assert engine.candidate(name).expires_ns > 0
        with pytest.raises(ConflictError, match=r"already.*different people"):
            await approve(engine, name, BOB)
        with pytest.raises(ConflictError, match="already"):
            await approve(engine, name, "token:bob")
        second = await approve(engine, name, CAT)
        assert second.enough
        c = await reach(engine, name, Phase.PROMOTED)
        assert c.approvals == (BOB, CAT)
        assert [k for k in world.kinds() if k in ("endorsed", "approved")] == [
            "endorsed",
            "approved",
        ]

    async def test_two_yes_at_once_of_one_person_are_one(self, world: World) -> None:
        world.limit("quorum = 2")
        engine = await world.start()
        name = await held(engine)
        both = await asyncio.gather(
            approve(engine, name), approve(engine, name), return_exceptions=True
        )
        assert sorted(type(b).__name__ for b in both) == ["Approvals", "ConflictError"]
        assert engine.candidate(name).approvals == (BOB,)

    async def test_a_yes_outlives_a_restart(self, world: World) -> None:
        world.limit("quorum = 2")
        engine = await world.start()
        name = await held(engine)
        await approve(engine, name, BOB)
        await world.stop(engine)
        again = await world.start()
        assert again.candidate(name).approvals == (BOB,)
        with pytest.raises(ConflictError, match="already"):
            await approve(again, name, BOB)
        await approve(again, name, CAT)
        await reach(again, name, Phase.PROMOTED)

    async def test_a_denial_after_one_yes_is_final(self, world: World) -> None:
        world.limit("quorum = 2")
        engine = await world.start()
        name = await held(engine)
        await approve(engine, name, BOB)
        await engine.deny(name, actor=CAT, reason="no")
        assert engine.candidate(name).phase is Phase.REJECTED

    async def test_the_second_yes_is_to_the_same_commit(self, world: World) -> None:
        world.limit("quorum = 2")
        engine = await world.start()
        name = await held(engine)
        await approve(engine, name, BOB)
        with pytest.raises(ConflictError, match="as you saw it"):
            await engine.approve(name, actor=CAT, commit="0" * 40, reason="")
        assert engine.candidate(name).approvals == (BOB,)

    async def test_reviewed_files_want_others_than_who_proposed_it(self, world: World) -> None:
        world.limit('reviewed = ["m.py"]\nreviewed_quorum = 2')
        engine = await world.start()
        name = await held(engine, by=ANN)
        for actor in (ANN, "token:ann"):
            with pytest.raises(ForbiddenError, match=r"proposed c1, which touches m\.py"):
                await approve(engine, name, actor)
        assert not (await approve(engine, name, BOB)).enough
        assert (await approve(engine, name, "token:cat")).enough
        await reach(engine, name, Phase.PROMOTED)

    async def test_other_files_do_not(self, world: World) -> None:
        world.limit('reviewed = ["core/**"]\nreviewed_quorum = 2')
        engine = await world.start()
        name = await held(engine, by=ANN)
        assert (await approve(engine, name, ANN)).enough

    async def test_a_proposer_that_is_a_program_is_nobody(self, world: World) -> None:
        world.limit('reviewed = ["m.py"]\nreviewed_quorum = 1')
        world.proposer.diffs = [FASTER]
        engine = await world.start()
        await reach_any(engine, Phase.HELD)
        assert (await approve(engine, "c1", "uid:list")).enough

    async def test_the_stricter_of_then_and_now_counts(self, world: World) -> None:
        world.limit("quorum = 2")
        engine = await world.start()
        name = await held(engine)
        await engine.set_limits({"governor.limits.quorum": 1}, actor=BOB, reason="alone today")
        assert engine.status().approvals_needed == {name: 2}
        assert not (await approve(engine, name, BOB)).enough
        await world.stop(engine)
        again = await world.start()
        assert again.status().approvals_needed == {name: 2}
        await again.set_limits({"governor.limits.quorum": 3}, actor=BOB, reason="careful")
        assert again.status().approvals_needed == {name: 3}
        assert not (await approve(again, name, CAT)).enough
        assert (await approve(again, name, "uid:dan")).enough


async def reach_any(engine: Engine, phase: Phase) -> None:
    await until(engine, lambda s: any(c.phase is phase for c in s.candidates.values()))


def worse_when_watched(world: World) -> None:
    """The first evaluation of a commit accepts it; the watch finds it slower."""
    world.executor.answer = lambda plan: evaluation(
        plan, effect=-0.3 if watched(world, plan.candidate_commit) else 0.5
    )


def watched(world: World, commit: str) -> bool:
    return "refs/heads/main" not in git(
        world.root, "for-each-ref", "--contains", commit, "--format=%(refname)"
    )


class TestCircuitBreaker:
    @pytest.fixture
    async def engine(self, world: World) -> Engine:
        world.configure("autonomous")
        text = (world.root / "ouroboros.toml").read_text()
        (world.root / "ouroboros.toml").write_text(text.replace('"1h"\nshut', '"10ms"\nshut'))
        worse_when_watched(world)
        return await world.start()

    async def test_rollbacks_in_a_row_pause_the_engine_and_call_a_human(
        self, world: World, engine: Engine
    ) -> None:
        await reach(engine, await submit(engine), Phase.ROLLED_BACK)
        assert not engine.state.paused
        await reach(engine, await submit(engine, OTHER), Phase.ROLLED_BACK)
        await until(engine, lambda s: s.paused)
        assert "2 promotions in a row were rolled back" in engine.state.pause_reason
        await until(engine, lambda s: s.alerts[-1].code == "circuit_breaker")
        assert engine.state.alerts[-1].severity == "critical"

    async def test_a_kept_one_in_between_ends_the_row(self, world: World, engine: Engine) -> None:
        await reach(engine, await submit(engine), Phase.ROLLED_BACK)
        world.executor.answer = evaluation
        await reach(engine, await submit(engine, OTHER), Phase.KEPT)
        worse_when_watched(world)
        now = (world.root / "m.py").read_text()
        await reach(
            engine,
            await submit(engine, make_diff("m.py", "x + 1", "x+1", before=now)),
            Phase.ROLLED_BACK,
        )
        await engine.pause(actor=BOB, reason="look", now=False)
        assert engine.state.pause_reason == "look"

    async def test_a_resume_begins_anew_also_over_a_restart(
        self, world: World, engine: Engine
    ) -> None:
        await reach(engine, await submit(engine), Phase.ROLLED_BACK)
        await reach(engine, await submit(engine, OTHER), Phase.ROLLED_BACK)
        await until(engine, lambda s: s.paused)
        await world.stop(engine)
        again = await world.start()
        assert again.state.paused
        worse_when_watched(world)
        await again.resume(actor=BOB, reason="looked")
        await reach(again, await submit(again), Phase.ROLLED_BACK)
        await again.pause(actor=BOB, reason="still closed", now=False)
        assert again.state.pause_reason == "still closed"

    async def test_what_a_human_rolls_back_says_nothing(self, world: World) -> None:
        engine = await world.start()
        for diff in (FASTER, OTHER):
            name = await submit(engine, diff)
            if (await reach(engine, name, Phase.HELD, Phase.PROMOTED)).phase is Phase.HELD:
                await approve(engine, name)
            await reach(engine, name, Phase.PROMOTED)
            await engine.rollback("last", actor=BOB, reason="no", expect_head="")
        await engine.pause(actor=BOB, reason="look", now=False)
        assert engine.state.pause_reason == "look"


class TestLimits:
    async def test_a_change_is_in_the_ledger_with_actor_and_reason_and_acts(
        self, world: World, engine: Engine
    ) -> None:
        before = engine.config
        changes: dict[str, ev.Setting] = {
            "governor.max_degradation": 0.02,
            "governor.mode": "autonomous",
            "engine.watch_after": "2h",
        }
        loaded = await engine.set_limits(changes, actor=BOB, reason="friday")
        assert engine.config is loaded
        assert loaded.config.governor.max_degradation == 0.02
        assert engine.status().mode == "autonomous"
        assert loaded.hash != before.hash
        changed = [e for e in world.events() if isinstance(e, ev.LimitsChanged)]
        assert [(c.changes, c.reason, c.config_hash) for c in changed] == [
            (changes, "friday", loaded.hash)
        ]
        page = await engine.ledger_page(before=0, limit=1, kind="limits_changed", candidate="")
        assert page[0].entry.actor == BOB
        stored = Evidence(world.state / "evidence").get(changed[0].text)
        assert parse_policy(stored) == loaded
        assert engine.state.config_hash == loaded.hash

    async def test_it_outlives_restarts_and_changes_of_the_file_and_is_reset(
        self, world: World, engine: Engine
    ) -> None:
        file = engine.config.hash
        await engine.set_limits({"governor.max_lines": 7}, actor=BOB, reason="small")
        await world.stop(engine)
        again = await world.start()
        assert again.config.config.governor.max_lines == 7
        assert world.kinds().count("config_loaded") == 1
        text = (world.root / "ouroboros.toml").read_text()
        (world.root / "ouroboros.toml").write_text(f"{text}\n# a remark\n")
        await cycle(again)
        assert again.config.source.endswith(b"# a remark\n")
        assert again.config.config.governor.max_lines == 7
        (world.root / "ouroboros.toml").write_text(text)
        await cycle(again)
        await again.set_limits({"governor.max_lines": None}, actor=BOB, reason="back")
        assert again.config.hash == file
        assert again.state.overrides == {}

    async def test_a_candidate_keeps_the_policy_of_its_proposal(
        self, world: World, engine: Engine
    ) -> None:
        first = await held(engine)
        old = engine.config.hash
        await engine.set_limits({"governor.max_pairs": 50}, actor=BOB, reason="r")
        second = await held(engine, OTHER)
        assert engine.candidate(first).policy == old
        assert engine.candidate(second).policy == engine.config.hash != old

    @pytest.mark.parametrize(
        ("changes", "words"),
        [
            ({"governor.max_degradation": 2.0}, r"governor\.max_degradation"),
            ({"governor.max_degradation": "much"}, r"governor\.max_degradation"),
            ({"governor.max_pairs": 1}, r"governor\.max_pairs"),
            ({"governor.limits.freeze": ["00:00 - 24:00"]}, r"governor\.limits\.freeze"),
            ({"governor.limits.freez": []}, r"Did you mean governor\.limits\.freeze"),
            ({"governor.protected": []}, "no key that can be changed"),
            ({"sandbox.memory": "1GiB"}, "no key that can be changed"),
            ({"benchmarks.b.command": ["rm"]}, "no key that can be changed"),
            ({"governor.limits": 1}, "no key that can be changed"),
            ({"governor.mode": "yolo"}, r"governor\.mode"),
        ],
    )
    async def test_what_the_file_could_not_say_is_refused_and_changes_nothing(
        self, world: World, engine: Engine, changes: dict[str, Any], words: str
    ) -> None:
        before = engine.config
        with pytest.raises(ConfigError, match=words):
            await engine.set_limits(changes, actor=BOB, reason="r")
        assert engine.config is before
        assert "limits_changed" not in world.kinds()

    async def test_a_reason_and_a_change_are_wanted(self, engine: Engine) -> None:
        with pytest.raises(InvalidParamsError, match="reason"):
            await engine.set_limits({"governor.max_lines": 1}, actor=BOB, reason=" ")
        with pytest.raises(InvalidParamsError, match="KEY=VALUE"):
            await engine.set_limits({}, actor=BOB, reason="r")

    async def test_the_policy_that_was_seen_guards_the_change(
        self, world: World, engine: Engine
    ) -> None:
        seen = engine.config.hash
        change: dict[str, ev.Setting] = {"governor.max_lines": 9}
        await engine.set_limits(change, actor=BOB, reason="r", expect_config=seen)
        with pytest.raises(ConflictError, match="as you saw it"):
            await engine.set_limits(change, actor=BOB, reason="r", expect_config=seen)
        again = await engine.set_limits(change, actor=BOB, reason="again")
        assert again is engine.config
        assert world.kinds().count("limits_changed") == 1  # the same once more changes nothing

    async def test_a_file_that_no_longer_fits_is_told_and_the_old_one_stays(
        self, world: World, engine: Engine
    ) -> None:
        await engine.set_limits({"governor.min_pairs": 50}, actor=BOB, reason="r")
        text = (world.root / "ouroboros.toml").read_text()
        tight = text.replace("[governor]", "[governor]\nmax_pairs = 20")
        (world.root / "ouroboros.toml").write_text(tight)
        before = engine.config
        await engine.trigger(actor=BOB)
        await until(engine, lambda s: any(a.code == "config_refused" for a in s.alerts))
        assert engine.config == before
        await world.stop(engine)
        with pytest.raises(ConfigError, match=r"governor\.max_pairs.*limits reset"):
            await world.start()

    async def test_observe_set_at_run_time_ends_approvals(self, engine: Engine) -> None:
        name = await held(engine)
        await engine.set_limits({"governor.mode": "observe"}, actor=BOB, reason="audit")
        with pytest.raises(WrongPhaseError, match="observe"):
            await approve(engine, name)


def test_the_endorsement_is_told_in_words() -> None:
    from ouroboros.model.describe import describe

    endorsed = ev.Endorsed(candidate="c1", commit="a" * 40, reason="fine\x1b[2J")
    assert describe(endorsed) == "c1 approved at aaaaaaaaaaaa, more people are needed: fine␛[2J"
    changed = ev.LimitsChanged(
        changes={"governor.max_lines": 9, "engine.interval": None},
        config_hash="b" * 64,
        text="b" * 64,
        reason="small",
    )
    text = describe(changed)
    assert "governor.max_lines = 9" in text
    assert "engine.interval as in the file" in text
    assert text.endswith("small")
    assert msgspec.json.decode(msgspec.json.encode(changed), type=ev.LimitsChanged) == changed
