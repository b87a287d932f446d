"""Every place at which an engine can be killed, and two hundred at random: cases and their runs."""

import os
import random
import shutil
import signal
import tempfile
import time
from functools import partial
from pathlib import Path

import msgspec
from crash_engine import Fail
from crash_world import Broken, CrashWorld, Outcome, crash_world, finish

TRANSITIONS = ("ledger.append",)
"""Points whose every call is a case, before and after it."""
MOVES = (
    "git.move_branch",
    "move.lock",
    "move.check",
    "move.swap",
    "move.follow",
    "move.publish",
    "move.unlock",
    "git.promotion_commit",
    "git.revert",
    "git.rebase",
)
"""The same, within promotion and rollback."""
SAMPLED = {
    "git.command": 10,
    "journal.take": 6,
    "journal.begin": 4,
    "journal.drop": 4,
    "evidence.put": 4,
    "git.build": 3,
}
"""Points that are passed often: how many calls are cases, spread over all."""
RECOVERY = (
    "sweep",
    "adopt_or_check",
    "_clear_locks",
    "requeue_interrupted",
    "reconcile_refs",
    "tell_unknown_promotions",
    "_sweep_pairs",
)
_IN_FLIGHT = Fail("journal.take", "after", 20)
"""A first kill with several candidates in flight, from which a recovery is killed."""
_IN_MOVE = Fail("move.follow", "before", 1)
_CHILDREN_S = 3.0


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """One case: kills in order, each in an engine of its own."""

    group: str
    name: str
    fails: tuple[Fail, ...] = ()
    seed: int = -1


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """How a case ended. `problem` is empty where everything held."""

    group: str
    name: str
    problem: str
    kills: int
    entries: int
    evaluations: int
    pairs: int
    resumed: int
    """Pairs that were taken before a kill and are in an evaluation that ended after it."""
    seconds: float


def both(point: str, n: int) -> tuple[Fail, Fail]:
    """Before and after one call."""
    return Fail(point, "before", n), Fail(point, "after", n)


def matrix(counts: dict[str, int]) -> list[Case]:
    """All cases, from how often each point is passed when nothing is killed."""
    found = []
    for group, points in (("append", TRANSITIONS), ("move", MOVES)):
        for point in points:
            for n in range(1, counts.get(point, 0) + 1):
                found += [Case(group=group, name=str(f), fails=(f,)) for f in both(point, n)]
    for point, wanted in SAMPLED.items():
        total = counts.get(point, 0)
        numbers = sorted({1 + i * (total - 1) // max(1, wanted - 1) for i in range(wanted)})
        for n in numbers if total else ():
            found += [Case(group=point, name=str(f), fails=(f,)) for f in both(point, n)]
    for first in (_IN_FLIGHT, _IN_MOVE):
        for name in RECOVERY:
            for fail in both(f"recovery.{name}", 1):
                found.append(
                    Case(group="recovery", name=f"{fail} after {first}", fails=(first, fail))
                )
    return found


def quick(counts: dict[str, int]) -> list[Case]:
    """A few of each group, for every test run."""
    chosen = (
        *both("move.swap", 1),
        Fail("move.publish", "before", 3),
        Fail("ledger.append", "after", 40),
        Fail("git.rebase", "after", 1),
    )
    cases = [Case(group="quick", name=str(f), fails=(f,)) for f in chosen]
    last = Fail("recovery.reconcile_refs", "before", 1)
    return [*cases, Case(group="quick", name=str(last), fails=(_IN_FLIGHT, last))]


def randoms(count: int, seed: int) -> list[Case]:
    """Kills at random instants under load."""
    return [Case(group="random", name=f"seed {seed + i}", seed=seed + i) for i in range(count)]


def reference() -> tuple[Outcome, dict[str, int]]:
    """Play without a kill: what must come out, and how often each point is passed."""
    with _folder() as folder, crash_world(folder) as world:
        return finish(world), world.counts()


def run_case(case: Case, expected: Outcome) -> Result:
    """Carry out one case. Raises nothing: what does not hold is its problem."""
    begun = time.monotonic()
    with _folder() as folder, crash_world(folder) as world:
        problem = ""
        try:
            strict = _random(case, world) if case.seed >= 0 else _failed(case, world)
            _compare(finish(world), expected, strict=strict)
        except Broken as error:
            problem = f"{error} | {world.log()[-1200:]}"
        except Exception as error:  # noqa: BLE001 - a row of the table, not the end of the run
            problem = f"{type(error).__name__}: {error} | {world.log()[-1200:]}"
        return _result(case, world, problem, time.monotonic() - begun)


def _failed(case: Case, world: CrashWorld) -> bool:
    """Kill at each named place in turn."""
    for fail in case.fails:
        world.start(fail)
        # What is reached only on the way out is killed there.
        if world.play() and world.stop() != -signal.SIGKILL:
            raise Broken(f"the engine was not killed: {fail} was not reached")
        if world.pid:
            raise Broken("the engine lives on")
        _after_kill(world)
    return True


def _after_kill(world: CrashWorld) -> None:
    """What must hold right after a kill, before anything is repaired."""
    if left := world.orphans():
        raise Broken(f"{len(left)} processes outlive the engine by 5 s: {left}")
    if world.paths.ledger.exists() and world.paths.ledger.stat().st_size:
        world.check_nothing_lost()
    world.git("fsck", "--strict", "--no-dangling")


def _random(case: Case, world: CrashWorld) -> bool:
    """Kill at random instants, one to three times in a row; whether the outcome is determined.

    One in five kills only something that the engine started (a git, the launcher, a run) and lets
    the engine itself go on; a candidate may then end in error, and does so by right.
    """
    dice = random.Random(case.seed)
    strict = True
    for _ in range(dice.choice((1, 1, 2, 3))):
        world.start()
        at = time.monotonic() + dice.uniform(0.05, 3.0)
        how = dice.choice(("engine", "engine", "everything", "everything", "child"))
        ended = world.play(partial(_past, at))
        if how == "child" and not ended and world.pid:
            if _kill_a_child(world, dice):
                strict, world.lenient = False, True
            at = time.monotonic() + dice.uniform(0.05, 2.0)
            ended = world.play(partial(_past, at))
        if not ended and not world.pid:
            raise Broken("the engine died by itself")
        world.kill(everything=how == "everything")
        _after_kill(world)
    return strict


def _past(at: float) -> bool:
    return time.monotonic() >= at


def _kill_a_child(world: CrashWorld, dice: random.Random) -> bool:
    """SIGKILL one process that the engine started; whether there was one."""
    until = time.monotonic() + _CHILDREN_S
    while time.monotonic() < until:
        if family := world.family():
            victim = dice.choice(family)
            try:
                os.kill(victim.pid, signal.SIGKILL)
            except ProcessLookupError:
                continue
            return True
        time.sleep(0.001)
    return False


def _compare(found: Outcome, expected: Outcome, *, strict: bool) -> None:
    if found == expected:
        return
    names = [n for n in expected.__struct_fields__ if getattr(found, n) != getattr(expected, n)]
    if not strict and "errored" in found.phases.values():
        return
    words = [f"{n}: {getattr(found, n)} instead of {getattr(expected, n)}" for n in names]
    raise Broken(f"the outcome differs: {'; '.join(words)}")


def _result(case: Case, world: CrashWorld, problem: str, seconds: float) -> Result:
    try:
        state, entries = world.state()
    except Exception as error:  # noqa: BLE001 - see run_case
        return Result(
            group=case.group,
            name=case.name,
            problem=problem or str(error),
            kills=len(world.dead),
            entries=0,
            evaluations=0,
            pairs=0,
            resumed=0,
            seconds=seconds,
        )
    kinds = [s.entry.event for s in entries if s.entry.event.kind == "evaluated"]
    starts = [s.entry.ts for s in entries if s.entry.event.kind == "engine_started"]
    resumed = 0
    for event in kinds:
        evaluation = event.evaluation
        own = max((ts for ts in starts if ts <= evaluation.started_ns), default=0)
        resumed += sum(p.started_ns < own for s in evaluation.series for p in s.pairs)
    return Result(
        group=case.group,
        name=case.name,
        problem=problem,
        kills=len(world.dead) - 1,
        entries=state.seq,
        evaluations=len(kinds),
        pairs=sum(len(s.pairs) for e in kinds for s in e.evaluation.series),
        resumed=resumed,
        seconds=seconds,
    )


class _folder:  # noqa: N801 - used as a function
    """A temporary folder that goes away even where a sandboxed run left odd modes."""

    def __enter__(self) -> Path:
        self._path = Path(tempfile.mkdtemp(prefix="crash-"))
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path, ignore_errors=True)
