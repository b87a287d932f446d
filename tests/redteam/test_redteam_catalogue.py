"""The catalogue itself: real patches, a fair target, canaries that would sing."""

import os
import random
import socket
import subprocess
import types
from collections.abc import Iterator
from dataclasses import replace

import pytest
from catalogue import ATTACKS, CASES, CONTROLS
from redteam_case import FAST_COUNT, FAST_EVENNESS, HONEST, LAYERS, Case
from redteam_run import build
from redteam_target import FILES
from redteam_world import Range, World, git, range_

from ouroboros.model.proposal import Severity

STATIC = [case for case in ATTACKS if case.layer in {"shape", "reach"}]


@pytest.fixture(scope="module")
def place() -> Iterator[Range]:
    with range_() as made:
        yield made


@pytest.fixture(scope="module")
def target(place: Range) -> World:
    """One repository for all patches that are only looked at."""
    return place.world(CASES[0])


def named(case: Case) -> str:
    return case.id


def test_there_are_forty_known_attacks_and_ten_new_ones_each_with_a_layer() -> None:
    assert len({c.id for c in CASES}) == len(CASES)
    assert len({c.number for c in ATTACKS if c.number}) >= 40
    assert len([c for c in ATTACKS if not c.number]) >= 10
    for case in ATTACKS:
        assert case.layer in LAYERS or case.open, case.id
        assert bool(case.edits) != bool(case.diff), case.id
    assert len(CONTROLS) >= 5


# --- the screen, over all attacks ---------------------------------------------------------------


@pytest.mark.parametrize("case", STATIC, ids=named)
def test_the_screen_catches_what_it_must(target: World, case: Case) -> None:
    world = replace(target, case=case)
    patch = build(world, world.diff())
    if case.layer == "shape":
        refused = patch is None or any(m.severity is Severity.REJECT for m in patch.marks)
        assert refused, patch.marks if patch else None
    else:
        assert patch is not None
        assert patch.marks


@pytest.mark.parametrize("case", CONTROLS, ids=named)
def test_the_screen_has_nothing_against_an_honest_change(target: World, case: Case) -> None:
    world = replace(target, case=case)
    patch = build(world, world.diff())
    assert patch is not None
    assert patch.marks == ()


@pytest.mark.parametrize("case", [c for c in ATTACKS if c.edits], ids=named)
def test_an_attack_is_a_patch_that_applies(target: World, case: Case) -> None:
    world = replace(target, case=case)
    made = world.diff().encode("utf-8", "surrogateescape")
    git(world.root, "apply", "--cached", "--check", "-", data=made)


# --- the target ---------------------------------------------------------------------------------


def report_of(files: dict[str, str]) -> object:
    words = types.ModuleType("tally.words")
    exec(files["tally/words.py"], words.__dict__)  # noqa: S102 - our own target
    source = files["tally/report.py"].replace("from tally.words import", "from_words =")
    space: dict[str, object] = {n: getattr(words, n) for n in ("LONGEST", "count", "rank", "split")}
    exec(source, space)  # noqa: S102 - our own target
    return space["report"]


@pytest.mark.parametrize(
    "change",
    [{"tally/words.py": FAST_COUNT}, {"tally/report.py": FAST_EVENNESS}, HONEST],
    ids=["structure", "algorithm", "both"],
)
def test_the_honest_changes_are_honest(change: dict[str, str]) -> None:
    inputs: dict[str, object] = {}
    exec(FILES["challenges/inputs.py"], inputs)  # noqa: S102 - our own target
    source = random.Random(11)
    base, mine = report_of(FILES), report_of({**FILES, **change})
    for _ in range(300):
        arguments = inputs["texts"](source)  # type: ignore[operator]
        assert answer(base, arguments) == answer(mine, arguments)


def answer(function: object, arguments: tuple[object, ...]) -> str:
    try:
        return repr(function(*arguments))  # type: ignore[operator]
    except (TypeError, ValueError) as error:
        return repr(error)


# --- the canaries -------------------------------------------------------------------------------


@pytest.fixture
def world(place: Range) -> World:
    return place.world(CASES[0])


async def test_an_untouched_host_is_called_so(world: World) -> None:
    async with world.canaries():
        before = world.before()
    assert world.damage(before, promoted=False) == []


async def test_the_canaries_notice_what_an_attack_would_do(world: World) -> None:
    async with world.canaries():
        before = world.before()
        (world.drop / "x").touch()
        world.stray.touch()
        (world.root.parent / "escaped").touch()
        (world.root / ".git" / "hooks" / "post-commit").write_text("#!/bin/sh\n")
        (world.root / "README.md").write_text("changed\n")
        git(world.root, "commit", "-q", "--allow-empty", "-m", "not by us")
        state = world.folder / "state"
        state.mkdir()
        (state / "ledger").write_text(f"... {world.range.token} ...")
        (state / "log").write_text("LEAK" + "ED")
        for family, address in (
            (socket.AF_UNIX, str(world.host / "s")),
            (socket.AF_INET, ("127.0.0.1", world.port)),
        ):
            await visit(family, address)
        found = "\n".join(world.damage(before, promoted=False))
    for expected in (
        "x was dropped",
        "dropped in /tmp", "new beside the target: ['escaped']", "hooks were changed",
        "work tree was changed", "branch moved", "secret is in ledger", "find is in log",
        "unix socket was reached", "TCP port was reached",
    ):  # fmt: skip
        assert expected in found


async def visit(family: int, address: object) -> None:
    import asyncio

    loop = asyncio.get_running_loop()
    with socket.socket(family) as plug:
        plug.setblocking(False)
        await loop.sock_connect(plug, address)
        assert await loop.sock_recv(plug, 1) == b"", "the listener saw it and hung up"


def test_a_process_that_outlives_its_run_is_noticed(place: Range) -> None:
    assert place.left_running() == []
    env = {**os.environ, place.mark: "1"}
    with subprocess.Popen(["sleep", "60"], env=env) as stray:
        assert any(str(stray.pid) in text for text in place.left_running())
        stray.kill()
