"""Killed between intent and proof: the next engine asks git where the branch stands.

`Killed` stands for the instant of a kill: it passes through every handler of the engine, as a
SIGKILL would, and leaves ledger and repository as they were at that instant.
"""

from collections.abc import Callable
from typing import Any

import pytest
from engine_world import FASTER, SOURCE, World, git, make_diff, reach

from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.errors import LedgerFullError, TargetError
from ouroboros.ledger.store import Store
from ouroboros.model.phase import Phase
from ouroboros.model.snapshot import Activity
from ouroboros.vcs.repository import Repository

BY = "uid:tester"


class Killed(BaseException):
    """Not an Exception, so that nothing of the engine handles it."""


def kill_before(move: Callable[..., Any]) -> Callable[..., Any]:
    def killed(*args: Any, **kwargs: Any) -> None:
        raise Killed

    return killed


def kill_after(move: Callable[..., Any]) -> Callable[..., Any]:
    def killed(*args: Any, **kwargs: Any) -> None:
        move(*args, **kwargs)
        raise Killed

    return killed


async def held(engine: Engine) -> str:
    name = await engine.submit(Submission(diff=FASTER, title="t"), actor=BY)
    await reach(engine, name, Phase.HELD)
    return name


async def approve(engine: Engine, name: str) -> None:
    await engine.approve(name, actor=BY, commit=engine.candidate(name).commit, reason="")


@pytest.mark.parametrize("when", [kill_before, kill_after])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_promotion_killed_in_the_middle_is_finished_exactly_once(
    world: World, monkeypatch: pytest.MonkeyPatch, when: Callable[..., Any]
) -> None:
    engine = await world.start()
    name = await held(engine)
    with monkeypatch.context() as patch:
        patch.setattr(Repository, "move_branch", when(Repository.move_branch))
        await approve(engine, name)
        await reach(engine, name, Phase.PROMOTING)
        await world.stop(engine)
    assert engine.candidate(name).phase is Phase.PROMOTING
    engine = await world.start()
    await reach(engine, name, Phase.PROMOTED)
    assert git(world.root, "rev-list", "--count", "main") == "2"
    assert "1 + x" in (world.root / "m.py").read_text()
    assert git(world.root, "status", "--porcelain", "--untracked-files=no") == ""
    assert world.kinds().count("promoted") == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_promotion_whose_branch_moved_while_we_were_dead_is_evaluated_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await world.start()
    name = await held(engine)
    with monkeypatch.context() as patch:
        patch.setattr(Repository, "move_branch", kill_before(Repository.move_branch))
        await approve(engine, name)
        await reach(engine, name, Phase.PROMOTING)
        await world.stop(engine)
    (world.root / "other.py").write_text("y = 1\n")
    git(world.root, "add", "other.py")
    git(world.root, "commit", "-q", "-m", "mine")
    mine = world.head()
    engine = await world.start()
    c = await reach(engine, name, Phase.HELD)
    assert c.base == mine
    assert c.attempt == 2
    assert world.head() == mine


@pytest.mark.parametrize("when", [kill_before, kill_after])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_rollback_killed_in_the_middle_is_finished_exactly_once(
    world: World, monkeypatch: pytest.MonkeyPatch, when: Callable[..., Any]
) -> None:
    engine = await world.start()
    name = await held(engine)
    await approve(engine, name)
    await reach(engine, name, Phase.PROMOTED)
    with monkeypatch.context() as patch:
        patch.setattr(Repository, "move_branch", when(Repository.move_branch))
        with pytest.raises(Killed):
            await engine.rollback("last", actor=BY, reason="bad", expect_head="")
        await world.stop(engine)
    assert engine.candidate(name).phase is Phase.ROLLING_BACK
    engine = await world.start()
    await reach(engine, name, Phase.ROLLED_BACK)
    assert (world.root / "m.py").read_text() == SOURCE
    assert git(world.root, "rev-list", "--count", "main") == "3"
    assert world.kinds().count("rolled_back") == 1


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_rollback_whose_branch_moved_is_planned_anew_on_the_new_head(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await world.start()
    name = await held(engine)
    await approve(engine, name)
    await reach(engine, name, Phase.PROMOTED)
    with monkeypatch.context() as patch:
        patch.setattr(Repository, "move_branch", kill_before(Repository.move_branch))
        with pytest.raises(Killed):
            await engine.rollback("last", actor=BY, reason="bad", expect_head="")
        await world.stop(engine)
    (world.root / "other.py").write_text("y = 1\n")
    git(world.root, "add", "other.py")
    git(world.root, "commit", "-q", "-m", "mine")
    engine = await world.start()
    await reach(engine, name, Phase.ROLLED_BACK)
    assert (world.root / "m.py").read_text() == SOURCE
    assert (world.root / "other.py").exists()
    assert world.kinds().count("rollback_started") == 2


async def test_a_ledger_of_another_branch_is_refused(world: World) -> None:
    engine = await world.start()
    await world.stop(engine)
    git(world.root, "branch", "-m", "main", "trunk")
    with pytest.raises(TargetError, match="stand on branch 'main', but 'trunk'"):
        await world.start("trunk")


async def test_a_full_disk_halts_and_resume_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await world.start()
    name = await held(engine)

    def full(*args: Any, **kwargs: Any) -> None:
        raise LedgerFullError("No space left for the ledger.", hint="Free some.")

    with monkeypatch.context() as patch:
        patch.setattr(Store, "append", full)
        with pytest.raises(LedgerFullError):
            await approve(engine, name)
    assert engine.status().activity is Activity.HALTED
    assert "Free some" in engine.status().halt_reason
    assert engine.candidate(name).phase is Phase.HELD
    await engine.resume(actor=BY, reason="space again")
    await approve(engine, name)
    await reach(engine, name, Phase.PROMOTED)


async def test_two_candidates_in_flight_are_promoted_one_after_the_other(world: World) -> None:
    world.configure("autonomous")
    engine = await world.start()
    world.executor.gate.clear()
    one = await engine.submit(Submission(diff=FASTER, title="one"), actor=BY)
    two = await engine.submit(
        Submission(diff=make_diff("m.py", "x * 2", "x + x"), title="two"), actor=BY
    )
    world.executor.gate.set()
    await reach(engine, one, Phase.PROMOTED)
    await reach(engine, two, Phase.PROMOTED)
    attempts = sorted(engine.candidate(n).attempt for n in (one, two))
    assert attempts == [1, 2]  # the second was rebased and evaluated again
    text = (world.root / "m.py").read_text()
    assert "1 + x" in text
    assert "x + x" in text
