"""Every promise of the sandbox, tried for real; and that a sandbox with a hole is found out."""
# ruff: noqa: ASYNC240 - a test has the event loop to itself

import os
import sys
import tempfile
import uuid
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest

from ouroboros.errors import Misuse
from ouroboros.sandbox import Sandbox, escapes, excess
from ouroboros.sandbox import runner as runner_module
from ouroboros.sandbox.bait import VARIABLE, marked
from ouroboros.sandbox.escape_catalogue import PROMISES, ROOMS, Group
from ouroboros.sandbox.escapes import Report, attempt_escapes

TEMPORARY = tempfile.gettempdir()


async def attempts(sandbox: Sandbox, home: Path, *, everything: bool = False) -> Report:
    return await attempt_escapes(
        sandbox, python=sys.executable, home=home, places=[home], everything=everything
    )


def wrong(report: Report) -> dict[str, str]:
    return {row.name: f"{row.status}: {row.text}" for row in report.wrong}


async def test_every_promise_holds(sandbox: Sandbox) -> None:
    report = await attempts(sandbox, Path.home(), everything=True)
    assert wrong(report) == {}
    assert [row.name for row in report.rows] == [promise.name for promise in PROMISES]


@pytest.mark.long
@pytest.mark.parametrize("sandbox", ["watched", "copied", "landlock"], indirect=True)
async def test_every_promise_holds_on_lesser_machines(sandbox: Sandbox) -> None:
    report = await attempts(sandbox, Path.home(), everything=True)
    assert wrong(report) == {}


Change = Callable[[list[str]], list[str]]


def shared(kind: str) -> Change:
    """A bubblewrap that leaves out one namespace."""
    kinds = [k for k in ("user", "ipc", "pid", "net", "uts", "cgroup") if k != kind]

    def change(argv: list[str]) -> list[str]:
        flags = [f"--unshare-{k}" for k in kinds]
        found = [w for w in argv if w not in (f"--unshare-{kind}", "--share-net")]
        return [w for word in found for w in (flags if word == "--unshare-all" else [word])]

    return change


def before_the_command(*words: str) -> Change:
    """A bubblewrap that shows more than it should."""

    def change(argv: list[str]) -> list[str]:
        at = argv.index("--chdir")
        return [*argv[:at], *words, *argv[at:]]

    return change


HOLES: dict[str, tuple[Change, set[str]]] = {
    "network": (
        shared("net"),
        {"connect-tcp", "connect-abstract", "send-abstract", "no-contact", "own-namespaces"},
    ),
    "processes": (shared("pid"), {"see-processes", "own-namespaces"}),
    "ipc": (shared("ipc"), {"attach-segments", "own-namespaces"}),
    "host name": (shared("uts"), {"host-name", "own-namespaces"}),
    "files": (
        before_the_command("--ro-bind", TEMPORARY, TEMPORARY),
        {"read-planted", "follow-links", "connect-socket", "no-contact"},
    ),
    "writable": (
        before_the_command("--bind", TEMPORARY, TEMPORARY, "--bind", "/dev/shm", "/dev/shm"),
        {"read-planted", "no-file", "read-shm", "shm-size"},
    ),
    "devices": (before_the_command("--dev-bind", "/dev/ptmx", "/dev/extra"), {"open-devices"}),
}


@pytest.mark.parametrize("sandbox", ["bwrap"], indirect=True)
@pytest.mark.parametrize("hole", HOLES)
async def test_a_hole_is_found(
    sandbox: Sandbox, hole: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    change, expected = HOLES[hole]
    made = runner_module.bwrap.arguments
    monkeypatch.setattr(
        runner_module.bwrap, "arguments", lambda *args, **more: change(made(*args, **more))
    )
    report = await attempts(sandbox, tmp_path)
    assert expected <= set(wrong(report)), wrong(report)
    assert not report.ok
    assert all(row.fix for row in report.wrong)


@pytest.mark.parametrize("sandbox", ["bwrap"], indirect=True)
async def test_an_inherited_environment_is_found(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = runner_module.environment
    monkeypatch.setattr(
        runner_module, "environment", lambda command: {**os.environ, **made(command)}
    )
    report = await attempts(sandbox, tmp_path)
    assert {"find-secret", "find-variables"} <= set(wrong(report))


@pytest.mark.parametrize("sandbox", ["watched"], indirect=True)
async def test_limits_that_nobody_enforces_are_found(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    made = sandbox._link.run

    def unlimited(request: object, fds: list[int]) -> object:
        free = msgspec.structs.replace(request, limits={}, watch=None)  # type: ignore[type-var] # a Struct
        return made(free, fds)  # type: ignore[arg-type] # as above

    monkeypatch.setattr(sandbox._link, "run", unlimited)
    report = await attempts(sandbox, tmp_path)
    assert {"memory", "file-size", "raise-limits"} <= set(wrong(report))


@pytest.mark.parametrize("sandbox", ["bwrap"], indirect=True)
async def test_a_lost_answer_is_never_read_as_a_good_one(
    sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    monkeypatch.setattr(excess, "INSIDE", empty)
    report = await attempts(sandbox, tmp_path)
    inside = [row for row in report.rows if row.group in ROOMS]
    assert {row.status for row in inside} == {"error"}
    assert not report.ok


@pytest.mark.parametrize("sandbox", ["bwrap"], indirect=True)
async def test_an_interpreter_that_does_not_start_is_an_error(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    report = await attempt_escapes(sandbox, python="/bin/false", home=tmp_path)
    assert {row.status for row in report.rows if row.group == Group.WORKS} == {"error"}


@pytest.mark.parametrize("sandbox", ["none"], indirect=True)
async def test_nothing_is_attempted_where_nothing_contains(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    with pytest.raises(Misuse):
        await attempts(sandbox, tmp_path)


@pytest.mark.parametrize("sandbox", ["bwrap"], indirect=True)
async def test_the_bait_is_taken_away(sandbox: Sandbox, tmp_path: Path) -> None:
    def there() -> set[str]:
        folders = (Path(TEMPORARY), Path("/dev/shm"))
        return {p.name for folder in folders for p in folder.iterdir()}

    before = there()
    await attempts(sandbox, tmp_path)
    assert not [name for name in there() - before if "escape" in name or "bait" in name]
    assert list(tmp_path.glob(".ouroboros-*")) == []
    assert VARIABLE not in os.environ


def test_a_mark_finds_a_process(tmp_path: Path) -> None:
    assert marked(f"nobody-{uuid.uuid4().hex}") == []


def test_every_promise_can_be_acted_on() -> None:
    names = [promise.name for promise in PROMISES]
    assert len(names) == len(set(names))
    assert all(escapes.fix_for(promise) for promise in PROMISES)
