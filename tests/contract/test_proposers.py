"""The contract of every proposer, over the built-in ones."""

import asyncio
import subprocess
from pathlib import Path

import msgspec
import psutil
import pytest

from ouroboros.config import Config
from ouroboros.errors import ProposerError
from ouroboros.model.globs import matches
from ouroboros.model.progress import HotSpot
from ouroboros.model.proposal import Proposal
from ouroboros.proposers import Context, Proposer, registry

NAMES = registry.names()

SLOW = """\
def dedupe(items):
    seen = []
    for item in items:
        if item not in seen:
            seen.append(item)
    return seen


def count(words: list[str]):
    return {word: words.count(word) for word in words}
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for path in ("mod.py", "tests/mod.py", "bench/mod.py", "ouroboros.toml"):
        file = tmp_path / "tree" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(SLOW)
    return tmp_path / "tree"


@pytest.fixture
def context(tree: Path) -> Context:
    spots = [
        HotSpot(path=path, function=name, line=line, calls=9, share=share, cumulative=share)
        for path, share in (("tests/mod.py", 0.3), ("bench/mod.py", 0.2), ("mod.py", 0.1))
        for name, line in (("dedupe", 1), ("count", 9))
    ]
    return Context(
        base="b" * 40,
        tree=tree,
        hot_spots=tuple(spots),
        tried=frozenset(),
        outcomes=(),
        config=Config(),
    )


@pytest.fixture(params=NAMES)
def proposer(request: pytest.FixtureRequest) -> Proposer:
    return registry.load(request.param)()


async def drain(proposer: Proposer, context: Context) -> list[Proposal]:
    found: list[Proposal] = []
    while (proposal := await proposer.propose(context)) is not None:
        assert proposal.idea not in context.tried
        found.append(proposal)
        assert len(found) < 100, "it must come to an end"
        context = msgspec.structs.replace(context, tried=context.tried | {proposal.idea})
    return found


async def test_names_itself(proposer: Proposer) -> None:
    assert proposer.name in NAMES


async def test_every_idea_once_then_none(proposer: Proposer, context: Context) -> None:
    ideas = [p.idea for p in await drain(proposer, context)]
    assert ideas
    assert len(set(ideas)) == len(ideas)


async def test_proposals_are_complete(proposer: Proposer, context: Context) -> None:
    for proposal in await drain(proposer, context):
        assert proposal.proposer == proposer.name
        assert proposal.base == context.base
        assert proposal.title
        assert "\n" not in proposal.title
        assert proposal.rationale
        assert proposal.idea
        assert proposal.cost.wall_ns >= 0
        assert msgspec.json.decode(msgspec.json.encode(proposal), type=Proposal) == proposal


async def test_diffs_apply_by_git_and_touch_nothing_protected(
    proposer: Proposer, context: Context, tmp_path: Path
) -> None:
    for proposal in await drain(proposer, context):
        paths = paths_of(context.tree, proposal.diff, tmp_path / "change.diff")
        assert paths
        assert not any(matches(p, context.config.governor.protected) for p in paths)


def paths_of(tree: Path, diff: str, file: Path) -> list[str]:
    """Apply a diff by git and take it back; return what it touched."""
    file.write_text(diff)
    subprocess.run(["git", "init", "-q", str(tree)], check=True)
    stat = subprocess.run(
        ["git", "apply", "--numstat", "-z", "--check", "--apply", str(file)],
        cwd=tree,
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    subprocess.run(["git", "apply", "-R", str(file)], cwd=tree, check=True)
    return [line.split("\t")[2] for line in stat.split("\0") if line]


async def test_the_tree_is_only_read(proposer: Proposer, context: Context) -> None:
    def state() -> dict[str, bytes]:
        files = (p for p in context.tree.rglob("*") if p.is_file())
        return {str(p): p.read_bytes() for p in files}

    before = state()
    await drain(proposer, context)
    assert state() == before


async def test_nothing_to_go_by_is_no_error(proposer: Proposer, context: Context) -> None:
    nothing = msgspec.structs.replace(context, hot_spots=(), tried=frozenset({"one", "two"}))
    assert await proposer.propose(nothing) is None


async def test_cancelling_leaves_no_process(proposer: Proposer, context: Context) -> None:
    before = set(psutil.Process().children(recursive=True))
    for delay in (0.0, 0.01, 0.03, 0.1):
        asked = asyncio.ensure_future(proposer.propose(context))
        await asyncio.wait([asked], timeout=delay)
        asked.cancel()
        await asyncio.wait([asked])
        assert (
            asked.cancelled()
            or asked.exception() is None
            or isinstance(asked.exception(), ProposerError)
        )
    assert set(psutil.Process().children(recursive=True)) <= before
