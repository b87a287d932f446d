"""At start, the repository and what lies around are brought in line with the ledger."""

import fcntl
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from engine_world import FASTER, OTHER, World, git, reach

from ouroboros.engine import recovery
from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.ledger.store import Store
from ouroboros.model import events as ev
from ouroboros.model.entry import Stored
from ouroboros.model.phase import Phase
from ouroboros.vcs import reflocks
from ouroboros.vcs.indexlock import IndexLock
from ouroboros.vcs.repository import Repository

BY = "uid:tester"


async def held(engine: Engine, diff: str = FASTER) -> str:
    name = await engine.submit(Submission(diff=diff, title="t"), actor=BY)
    await reach(engine, name, Phase.HELD)
    return name


async def approve(engine: Engine, name: str) -> None:
    await engine.approve(name, actor=BY, commit=engine.candidate(name).commit, reason="")
    await reach(engine, name, Phase.PROMOTED)


def refs(world: World) -> dict[str, str]:
    lines = git(world.root, "for-each-ref", "--format=%(refname) %(objectname)", "refs/ouroboros")
    found = dict(line.split(" ", 1) for line in lines.splitlines())
    found.pop("refs/ouroboros/heads", None)  # the ledger's own anchor
    return found


def recovered(world: World) -> tuple[str, ...]:
    return [e for e in world.events() if isinstance(e, ev.EngineStarted)][-1].recovered


def prune(world: World) -> None:
    git(world.root, "reflog", "expire", "--expire=now", "--all")
    git(world.root, "gc", "-q", "--prune=now")


# --- refs ---------------------------------------------------------------------------------------


async def test_refs_that_nobody_knows_are_removed_and_named(world: World) -> None:
    engine = await world.start()
    name = await held(engine)
    await world.stop(engine)
    git(world.root, "update-ref", "refs/ouroboros/candidates/c77", "main")
    git(world.root, "update-ref", "refs/ouroboros/checkpoints/c77", "main")
    git(world.root, "update-ref", "refs/ouroboros/ledger", "main")
    await world.start()
    assert set(refs(world)) == {
        f"refs/ouroboros/candidates/{name}",
        f"refs/ouroboros/checkpoints/{name}",
        "refs/ouroboros/ledger",
    }
    assert any("refs of c77" in text for text in recovered(world))


async def test_what_is_over_does_not_get_its_refs_back_and_can_still_be_shown(
    world: World,
) -> None:
    engine = await world.start()
    names = []
    for number in range(3):
        diff = FASTER.replace("1 + x", f"{number + 1} + x")
        names.append(await held(engine, diff))
        await engine.deny(names[-1], actor=BY, reason="no")
    living = await held(engine, OTHER)
    await world.stop(engine)
    for name in names[:2]:  # as retention does
        for kind in ("candidates", "checkpoints"):
            git(world.root, "update-ref", "-d", f"refs/ouroboros/{kind}/{name}")
    prune(world)
    engine = await world.start()
    assert {ref.rpartition("/")[2] for ref in refs(world)} >= {names[2], living}
    assert not any(name in text for name in names[:2] for text in recovered(world))
    assert "1 + x" in await engine.diff(names[0])  # as it was proposed
    assert "x + x" in await engine.diff(living)


@pytest.mark.parametrize("gone", ["refs", "objects"])
async def test_a_living_candidate_gets_back_what_keeps_it(world: World, gone: str) -> None:
    engine = await world.start()
    name = await held(engine)
    before = refs(world)
    await world.stop(engine)
    for ref in before:
        git(world.root, "update-ref", "-d", ref)
    if gone == "objects":
        prune(world)
    engine = await world.start()
    assert refs(world) == before
    assert f"set the refs of {name} again" in recovered(world)
    await approve(engine, name)
    assert "1 + x" in (world.root / "m.py").read_text()


@pytest.mark.parametrize("lost", ["history", "proposal", "damaged proposal"])
async def test_a_candidate_that_cannot_be_built_again_is_given_up_in_words(
    world: World, lost: str
) -> None:
    engine = await world.start()
    name = await held(engine)
    c = engine.candidate(name)
    await world.stop(engine)
    for ref in refs(world):
        git(world.root, "update-ref", "-d", ref)
    prune(world)
    diff = world.state / "evidence" / c.diff[:2] / c.diff[2:]
    match lost:
        case "proposal":
            diff.unlink()
        case "damaged proposal":
            diff.write_text(diff.read_text().replace("1 + x", "7 + x"))
        case "history":
            git(world.root, "checkout", "-q", "--orphan", "new")
            git(world.root, "commit", "-q", "--allow-empty", "-m", "history was rewritten")
            git(world.root, "branch", "-q", "-M", "new", "main")
            prune(world)
    engine = await world.start()
    assert engine.candidate(name).phase is Phase.CANCELLED
    assert "cannot be built again" in engine.candidate(name).reasons[0].text
    assert any(f"gave up {name}" in text for text in recovered(world))


# --- the branch ---------------------------------------------------------------------------------


async def test_a_promotion_that_the_ledger_does_not_know_is_told_once(world: World) -> None:
    engine = await world.start()
    name = await held(engine)
    await world.stop(engine)
    kept = (world.state / "ledger.sqlite").read_bytes()
    engine = await world.start()
    await approve(engine, name)
    await world.stop(engine)
    lost = world.head()
    for side in ("ledger.sqlite-wal", "ledger.sqlite-shm", "ledger.sqlite.mark"):
        (world.state / side).unlink(missing_ok=True)
    (world.state / "ledger.sqlite").write_bytes(kept)
    engine = await world.start()
    (alert,) = [a for a in engine.state.alerts if a.code == "unknown_promotion"]
    assert lost in alert.text
    assert "entries were lost, or an older copy" in alert.text
    await world.stop(engine)
    engine = await world.start()
    assert len([a for a in engine.state.alerts if a.code == "unknown_promotion"]) == 1


async def test_a_promotion_that_was_copied_is_told_as_a_copy(world: World) -> None:
    engine = await world.start()
    await approve(engine, await held(engine))
    await world.stop(engine)
    git(world.root, "commit", "-q", "--allow-empty", "-m", "a commit of mine")
    message = git(world.root, "log", "-1", "--format=%B", "HEAD~1")
    git(world.root, "commit", "-q", "--allow-empty", "-m", message)
    engine = await world.start()
    (alert,) = [a for a in engine.state.alerts if a.code == "unknown_promotion"]
    assert world.head() in alert.text
    assert "copied from elsewhere" in alert.text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("what", ["promotion", "rollback"])
async def test_a_commit_to_move_to_that_git_gc_took_away(
    world: World, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    engine = await world.start()
    name = await held(engine)
    if what == "rollback":
        await approve(engine, name)
    with monkeypatch.context() as patch:
        patch.setattr(Repository, "move_branch", killed)
        if what == "rollback":
            with pytest.raises(Killed):
                await engine.rollback("last", actor=BY, reason="bad", expect_head="")
        else:
            await engine.approve(name, actor=BY, commit=engine.candidate(name).commit, reason="")
            await reach(engine, name, Phase.PROMOTING)
        await world.stop(engine)
    prune(world)
    engine = await world.start()
    if what == "rollback":
        await reach(engine, name, Phase.ROLLED_BACK)
        assert world.kinds().count("rollback_started") == 2
    else:
        c = await reach(engine, name, Phase.HELD)
        assert "is gone" in c.reasons[0].text
        await approve(engine, name)


# --- locks --------------------------------------------------------------------------------------


async def test_locks_of_a_killed_git_of_ours_are_removed(world: World) -> None:
    engine = await world.start()
    name = await held(engine)
    await world.stop(engine)
    private = world.root / ".git" / "refs" / "ouroboros" / "candidates" / f"{name}.lock"
    private.write_text("")
    users = world.root / ".git" / "refs" / "heads" / "main.lock"
    users.write_text("")
    engine = await world.start()
    assert not private.exists()
    assert users.exists()  # no move was under way: it is the user's
    assert any(str(private) in text for text in recovered(world))


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_locks_of_a_move_that_was_killed_are_removed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def killed(*_: object, **__: object) -> None:
        raise Killed

    engine = await world.start()
    name = await held(engine)
    with monkeypatch.context() as patch:
        patch.setattr(Repository, "move_branch", killed)
        await engine.approve(name, actor=BY, commit=engine.candidate(name).commit, reason="")
        await reach(engine, name, Phase.PROMOTING)
        await world.stop(engine)
    assert engine.state.intent is not None
    heads = world.root / ".git" / "refs" / "heads"
    (heads / "main.lock").write_text(f"{engine.state.intent.commit}\n")
    (world.root / ".git" / "HEAD.lock").write_text("")
    engine = await world.start()
    await reach(engine, name, Phase.PROMOTED)
    assert not (heads / "main.lock").exists()
    assert not (world.root / ".git" / "HEAD.lock").exists()


def test_a_lock_with_anything_else_in_it_is_somebody_elses(world: World) -> None:
    lock = world.root / ".git" / "refs" / "heads" / "main.lock"
    lock.write_text("d" * 40)
    repository = Repository.open(world.root)
    assert repository.clear_left_over_locks(branch="main", moving_to="c" * 40) == ()
    assert lock.exists()


def test_a_git_of_ours_that_outlived_the_engine_is_waited_for(world: World) -> None:
    lock = IndexLock(world.root / ".git")
    lock.acquire("main: a -> b")
    holder = subprocess.Popen(  # inherits the lock, as our git children do
        [sys.executable, "-c", "import sys; sys.stdin.read()"],
        stdin=subprocess.PIPE,
        pass_fds=(lock.descriptor,),
    )
    os.close(lock.descriptor)
    with (world.root / ".git" / "index.lock").open() as file, pytest.raises(BlockingIOError):
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert holder.stdin is not None
    ending = threading.Timer(0.3, holder.stdin.close)
    ending.start()
    cleared = Repository.open(world.root).clear_left_over_locks()
    assert cleared == (world.root / ".git" / "index.lock",)
    assert holder.wait(timeout=10) == 0
    ending.join()


async def test_one_that_never_ends_is_told_and_the_engine_starts(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reflocks, "PATIENCE_S", 0.2)
    lock = IndexLock(world.root / ".git")
    lock.acquire("main: a -> b")
    engine = await world.start()
    assert [a.code for a in engine.state.alerts] == ["git_at_work"]
    lock.release()


# --- cache, kills ------------------------------------------------------------------------------


def test_trees_from_before_a_reboot_are_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = tmp_path / "cache"
    for name in ("trees/abc", "trees/.tmp-1", "proposing/x"):
        (cache / name).mkdir(parents=True)
    (cache / "trees" / "abc" / "m.py").write_text("")
    recovery.sweep(cache)
    assert not (cache / "trees").exists()  # nobody knows from when they are
    (cache / "trees" / "abc").mkdir(parents=True)
    (cache / "trees" / ".tmp-2").mkdir()
    recovery.sweep(cache)
    assert [p.name for p in (cache / "trees").iterdir()] == ["abc"]
    monkeypatch.setattr(recovery, "_boot", lambda: "another")
    recovery.sweep(cache)
    assert not (cache / "trees").exists()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize(
    "step",
    ["adopt_or_check", "_clear_locks", "requeue_interrupted", "reconcile_refs", "_sweep_pairs"],
)
async def test_a_recovery_that_is_killed_is_recovered(
    world: World, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    class Killed(BaseException):
        pass

    engine = await world.start()
    name = await held(engine)
    world.executor.gate.clear()
    other = await engine.submit(Submission(diff=OTHER, title="o"), actor=BY)
    await reach(engine, other, Phase.EVALUATING)
    for task in engine._pipeline._tasks.values():
        task.cancel()
    await world.stop(engine)
    git(world.root, "update-ref", "-d", f"refs/ouroboros/candidates/{name}")
    git(world.root, "update-ref", "refs/ouroboros/candidates/c9", "main")
    work = getattr(recovery, step)

    async def killed(*args: object) -> None:
        await work(*args)
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(recovery, step, killed)
        with pytest.raises(Killed):
            await world.start()
        await world.engines[-1].close()
    engine = await world.start()
    await reach(engine, other, Phase.HELD)
    await approve(engine, name)
    assert world.kinds().count("requeued") == 1
    assert not any("c9" in ref for ref in refs(world))
    with Store.open(world.state / "ledger.sqlite", read_only=True) as store:
        assert store.verify().ok
        entries: list[Stored] = list(store.entries())
    assert len({s.entry.idem for s in entries}) == len(entries)
