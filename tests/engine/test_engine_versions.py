"""Versions: back, forward, to the anchor, between two of them, and their tags."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from engine_world import FASTER, SOURCE, World, git, make_diff, reach
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.engine.versions import held_at
from ouroboros.errors import ConflictError, NotFoundError, PatchConflictError, WrongPhaseError
from ouroboros.model.phase import Phase
from ouroboros.model.state import Version
from ouroboros.vcs.repository import Repository

BY = "uid:tester"
FAST = SOURCE.replace("x + 1", "1 + x")
OTHER_ON_FASTER = make_diff("m.py", "x * 2", "x + x", before=FAST)
BOTH = FAST.replace("x * 2", "x + x")


async def promoted(engine: Engine, diff: str = FASTER) -> str:
    name = await engine.submit(Submission(diff=diff, title="t"), actor=BY)
    c = await reach(engine, name, Phase.HELD)
    await engine.approve(name, actor=BY, commit=c.commit, reason="")
    await reach(engine, name, Phase.PROMOTED)
    return name


async def back(engine: Engine, to: str, reason: str = "") -> Version:
    return await engine.rollback(to, actor=BY, reason=reason, expect_head="")


async def forward(engine: Engine, to: str, *, expect_head: str = "") -> Version:
    return await engine.roll_forward(to, actor=BY, reason="not it", expect_head=expect_head)


def source(world: World) -> str:
    return (world.root / "m.py").read_text()


async def test_what_was_rolled_back_comes_forward_again(world: World) -> None:
    engine = await world.start()
    one, two = await promoted(engine), await promoted(engine, OTHER_ON_FASTER)
    await back(engine, "0", "felt slow")
    top = world.head()
    preview = await engine.forward_preview("2")
    assert preview.candidates == (one, two)
    assert preview.undoes == (1, 2)
    assert preview.conflict == ""
    assert "+    return x + x" in preview.diff
    assert world.head() == top, "a preview changes nothing"
    version = await forward(engine, "2", expect_head=top)
    assert (version.number, version.restores) == (4, 2)
    assert source(world) == BOTH
    assert git(world.root, "rev-parse", "main~1") == top, "history is never rewritten"
    assert "not it" in git(world.root, "log", "-1", "--format=%B")
    assert {engine.candidate(n).phase for n in (one, two)} == {Phase.KEPT}
    with pytest.raises(NotFoundError, match="Nothing of version 2"):
        await forward(engine, "2")


async def test_back_and_forward_again_and_again(world: World) -> None:
    engine = await world.start()
    await promoted(engine)
    two = await promoted(engine, OTHER_ON_FASTER)
    await back(engine, two)
    assert source(world) == FAST
    await forward(engine, "2")
    await back(engine, "3")  # a version that is a rollback itself: as it stood then
    assert source(world) == FAST
    await back(engine, "0")
    await forward(engine, "1")
    assert source(world) == FAST
    await forward(engine, "v4")
    assert source(world) == BOTH
    assert [v.number for v in engine.state.versions if v.active and v.candidate] == [1, 2]


async def test_forward_never_undoes_what_stands(world: World) -> None:
    engine = await world.start()
    await promoted(engine)
    await back(engine, "last")
    await promoted(engine, make_diff("m.py", "x * 2", "x + x"))
    with pytest.raises(WrongPhaseError, match="does not hold v3"):
        await forward(engine, "1")
    with pytest.raises(WrongPhaseError, match="rolled back since"):
        await back(engine, "1")


async def test_forward_over_an_edit_of_the_same_line_is_a_conflict(world: World) -> None:
    engine = await world.start()
    await promoted(engine)
    await back(engine, "last")
    (world.root / "m.py").write_text(SOURCE.replace("x + 1", "x + 2"))
    git(world.root, "commit", "-q", "-am", "mine")
    kinds = world.kinds()
    assert "m.py" in (await engine.forward_preview("1")).conflict
    with pytest.raises(PatchConflictError, match=r"m\.py"):
        await forward(engine, "1")
    assert world.kinds() == kinds


async def test_forward_guards_the_head_that_was_seen(world: World) -> None:
    engine = await world.start()
    await promoted(engine)
    await back(engine, "last")
    with pytest.raises(ConflictError, match="as expected"):
        await forward(engine, "1", expect_head="f" * 40)


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


@pytest.mark.parametrize("when", [kill_before, kill_after])
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_roll_forward_killed_in_the_middle_is_finished_exactly_once(
    world: World, monkeypatch: pytest.MonkeyPatch, when: Callable[..., Any]
) -> None:
    engine = await world.start()
    name = await promoted(engine)
    await back(engine, "last")
    with monkeypatch.context() as patch:
        patch.setattr(Repository, "move_branch", when(Repository.move_branch))
        with pytest.raises(Killed):
            await forward(engine, "1")
        await world.stop(engine)
    assert engine.candidate(name).phase is Phase.ROLLING_FORWARD
    engine = await world.start()
    await reach(engine, name, Phase.KEPT)
    assert source(world) == FAST
    assert git(world.root, "rev-list", "--count", "main") == "4"
    assert world.kinds().count("rolled_forward") == 1
    assert engine.state.intent is None


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
async def test_a_roll_forward_whose_branch_moved_is_given_up_and_says_so(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = await world.start()
    name = await promoted(engine)
    await back(engine, "last")
    with monkeypatch.context() as patch:
        patch.setattr(Repository, "move_branch", kill_before(Repository.move_branch))
        with pytest.raises(Killed):
            await forward(engine, "1")
        await world.stop(engine)
    (world.root / "other.py").write_text("y = 1\n")
    git(world.root, "add", "other.py")
    git(world.root, "commit", "-q", "-m", "mine")
    mine = world.head()
    engine = await world.start()
    await reach(engine, name, Phase.ROLLED_BACK)
    assert world.head() == mine
    assert world.kinds().count("roll_forward_failed") == 1
    await forward(engine, "1")
    assert source(world) == FAST


async def test_back_to_the_anchor_and_the_difference_of_two_versions(world: World) -> None:
    engine = await world.start()
    await promoted(engine)
    await promoted(engine, OTHER_ON_FASTER)
    assert "+    return x + x" in await engine.version_diff("1", "last")
    assert "-    return x + 1" in await engine.version_diff("anchor", "v2")
    await back(engine, "anchor")
    assert source(world) == SOURCE


async def test_versions_are_tagged_by_choice_and_missing_tags_set_at_start(world: World) -> None:
    engine = await world.start()
    await promoted(engine)
    await world.stop(engine)
    assert git(world.root, "tag") == ""
    config = world.root / "ouroboros.toml"
    config.write_text(config.read_text() + '\n[target]\ntag = "ouroboros/v{version}"\n')
    git(world.root, "tag", "ouroboros/v1", "main~1")  # somebody else's
    engine = await world.start()
    await back(engine, "0")
    async with asyncio.timeout(10):
        while len(git(world.root, "tag").split()) < 3:  # noqa: ASYNC110 - git tells nobody
            await asyncio.sleep(0.05)
    assert git(world.root, "rev-parse", "ouroboros/v2^{commit}") == world.head()
    assert git(world.root, "rev-parse", "ouroboros/v1") == git(world.root, "rev-parse", "main~2")
    assert [a.code for a in engine.state.alerts] == ["tag_failed"]
    assert "ouroboros/v1" in engine.state.alerts[0].text


# --- what a version holds -----------------------------------------------------------------------


def moves() -> st.SearchStrategy[list[tuple[str, int]]]:
    return st.lists(st.tuples(st.sampled_from(["promote", "return"]), st.integers(0, 30)))


@given(moves())
def test_what_a_version_holds_is_what_was_so_when_it_was_made(moves: list[tuple[str, int]]) -> None:
    versions = [Version(number=0, commit="", ts=0)]
    truth: list[frozenset[str]] = [frozenset()]
    for kind, where in moves:
        number = len(versions)
        if kind == "promote":
            versions.append(Version(number=number, commit="", ts=0, candidate=f"c{number}"))
            truth.append(truth[-1] | {f"c{number}"})
        else:
            to = where % number
            versions.append(Version(number=number, commit="", ts=0, restores=to))
            truth.append(truth[to])
    assert [held_at(versions, v.number) for v in versions] == truth
