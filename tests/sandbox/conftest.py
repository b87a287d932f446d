import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from ouroboros.config import Sandbox as Limits
from ouroboros.config import mebibytes, seconds
from ouroboros.sandbox import Command, Sandbox, entrust
from ouroboros.sandbox import runner as runner_module
from ouroboros.sandbox.strays import _mark


@pytest.fixture
def limits() -> Limits:
    return Limits(memory=mebibytes(256), processes=64, timeout=seconds(30))


FOUND = {origin: (path, origin) for path, origin in runner_module.bwrap.candidates()}
"""Every bubblewrap of this machine: each test runs with each of them."""


@pytest.fixture(params=sorted(FOUND) or ["bwrap"])
async def sandbox(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Sandbox]:
    """A real sandbox. Other kinds stand for other machines, and are asked for by name.

    `system` and `wheel` have only this bubblewrap, `bwrap` has what is found; `watched` has no
    control groups, `copied` no overlay, `none` no bubblewrap that works; `landlock` neither, and
    allows that rung, `landlock-watched` has no control groups besides.
    """
    if request.param in FOUND:
        monkeypatch.setattr(runner_module.bwrap, "candidates", lambda: [FOUND[request.param]])
    if request.param.endswith("watched"):
        monkeypatch.setattr(runner_module.Groups, "find", classmethod(lambda cls: None))
    if request.param == "copied":
        tried = runner_module.bwrap._try
        monkeypatch.setattr(
            runner_module.bwrap,
            "_try",
            lambda *args, overlay, program: (
                "no overlay" if overlay else tried(*args, overlay=False, program=program)
            ),
        )
    if request.param in ("none", "landlock", "landlock-watched"):
        monkeypatch.setattr(runner_module.bwrap, "candidates", list)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    allowed = Limits(
        allow_unconfined=request.param == "none",
        allow_landlock=request.param.startswith("landlock"),
    )
    box = await Sandbox.open(allowed, scratch)
    expected = {
        "watched": "rlimits+watchdog",
        "copied": "copy",
        "none": "'none'",
        "landlock": "'landlock'",
        "landlock-watched": "rlimits+watchdog",
    }
    assert expected.get(request.param, "bwrap") in repr(box.level)
    yield box
    assert left_behind(box) == [], "whatever a test did, its runs are gone"
    await box.close()
    assert list(scratch.iterdir()) == []


def left_behind(box: Sandbox) -> list[str]:
    """What is on this machine of runs that have been answered."""
    parents = box._groups._parents if box._groups else ()
    groups = [str(p) for parent in parents for p in parent.glob(f"ouroboros-{box._link._name}*")]
    files = [p.name for p in box._scratch.iterdir() if p.name not in ("etc", "home")]
    found = psutil.process_iter()
    return [*groups, *files, *(p.name() for p in found if _mark(p).startswith(box._link._name))]


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    (folder / "hello.txt").write_text("hello\n")
    entrust(folder)
    return folder


Make = Callable[..., Command]


@pytest.fixture
def make(limits: Limits) -> Make:
    def command(*argv: str, wall: float = 20, **more: object) -> Command:
        base = {"python": sys.executable, "limits": limits, "timeout": seconds(wall)}
        return Command(argv=argv, **(base | more))  # type: ignore[arg-type] # as the caller says

    return command


@pytest.fixture
def python(make: Make) -> Make:
    def command(code: str, **more: object) -> Command:
        return make(sys.executable, "-c", code, **more)

    return command
