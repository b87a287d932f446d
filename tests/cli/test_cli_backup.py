"""A target's state in one file, and back: beside a running engine, and never over anything."""

import io
import shutil
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from engine_world import FASTER, World, reach

from ouroboros.cli import archive
from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.errors import LedgerError
from ouroboros.model.phase import Phase


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    made = World(tmp_path)
    yield made
    for engine, store in zip(made.engines, made.stores, strict=True):
        await engine.close()
        store.close()


@pytest.fixture
async def engine(world: World) -> Engine:
    running = await world.start()
    name = await running.submit(Submission(diff=FASTER, title="t", rationale="r"), actor="uid:ann")
    await reach(running, name, Phase.HELD)
    return running


def empty(tmp_path: Path) -> Path:
    folder = tmp_path / "elsewhere"
    folder.mkdir(mode=0o700)
    return folder


async def test_a_running_engines_state_is_kept_and_goes_on_elsewhere(
    world: World, engine: Engine, tmp_path: Path
) -> None:
    file = tmp_path / "b.tar.gz"
    about = archive.write(world.state, file, "target-1")
    assert about.entries == engine.state.seq
    assert about.evidence >= 2
    assert file.stat().st_mode & 0o777 == 0o600
    await world.stop(engine)
    shutil.rmtree(world.state)
    world.state.mkdir(mode=0o700)
    assert archive.read(file, world.state) == about
    again = await world.start()
    held = next(iter(again.state.candidates.values()))
    assert held.phase is Phase.HELD
    assert "+    return 1 + x" in await again.diff(held.id)
    await again.approve(held.id, actor="uid:bob", commit=held.commit, reason="")
    await reach(again, held.id, Phase.PROMOTED)


async def test_nothing_is_written_over(world: World, engine: Engine, tmp_path: Path) -> None:
    file = tmp_path / "b.tar.gz"
    archive.write(world.state, file, "target-1")
    with pytest.raises(LedgerError, match="holds a ledger already"):
        archive.read(file, world.state)


async def test_a_damaged_ledger_is_not_backed_up(
    world: World, engine: Engine, tmp_path: Path
) -> None:
    await world.stop(engine)
    world.stores.clear()
    world.engines.clear()
    import sqlite3

    with sqlite3.connect(world.state / "ledger.sqlite") as db:
        for (trigger,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'"):
            db.execute(f"DROP TRIGGER {trigger}")
        db.execute(
            "UPDATE entries SET bytes = CAST(replace(CAST(bytes AS TEXT), 'ann', 'eve') AS BLOB)"
        )
    db.close()
    with pytest.raises(LedgerError, match="does not verify"):
        archive.write(world.state, tmp_path / "b.tar.gz", "target-1")
    assert not list(tmp_path.glob("*b.tar*"))  # noqa: ASYNC240 - a handful


@pytest.mark.parametrize("cut", [0.1, 0.5, 0.99])
async def test_half_a_backup_restores_nothing(
    world: World, engine: Engine, tmp_path: Path, cut: float
) -> None:
    file = tmp_path / "b.tar.gz"
    archive.write(world.state, file, "target-1")
    data = file.read_bytes()
    file.write_bytes(data[: int(len(data) * cut)])
    folder = empty(tmp_path)
    with pytest.raises(LedgerError):
        archive.read(file, folder)
    assert list(folder.iterdir()) == []


def hostile(name: str, kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as tar:
        info = tarfile.TarInfo(name)
        info.type, info.linkname = kind, link
        info.size = 4 if kind == tarfile.REGTYPE else 0
        tar.addfile(info, io.BytesIO(b"evil"))
    return out.getvalue()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"not a tar at all",
        hostile("../escaped"),
        hostile("/tmp/escaped-by-absolute-path"),
        hostile("evidence/../../escaped"),
        hostile("evidence/ab/../../../escaped"),
        hostile("engine.sock"),
        hostile("ledger.sqlite", tarfile.SYMTYPE, "/etc/passwd"),
        hostile("evidence/ab/" + "c" * 62, tarfile.LNKTYPE, "/etc/passwd"),
        hostile("head.key", tarfile.FIFOTYPE),
        hostile("head.key"),
        hostile("ledger.sqlite"),
    ],
)
def test_a_hostile_archive_writes_nothing(tmp_path: Path, data: bytes) -> None:
    file = tmp_path / "b.tar.gz"
    file.write_bytes(data)
    folder = empty(tmp_path)
    with pytest.raises(LedgerError):
        archive.read(file, folder)
    assert list(folder.iterdir()) == []
    assert not (tmp_path / "escaped").exists()
    assert not Path("/tmp/escaped-by-absolute-path").exists()


def test_where_there_is_no_ledger_there_is_nothing_to_keep(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no ledger"):
        archive.write(empty(tmp_path), tmp_path / "b.tar.gz", "t")
