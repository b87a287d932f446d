"""Ledgers of every released version are opened by today's code; newer ones are refused."""

import io
import shutil
import sqlite3
from pathlib import Path

import pytest

from ouroboros.errors import LedgerDamagedError, LedgerFullError, LedgerNewerError
from ouroboros.ledger import migrations, schema
from ouroboros.ledger.store import Store
from ouroboros.model.events import Paused
from ouroboros.model.phase import Phase
from ouroboros.model.state import State, advance

DATA = Path(__file__).parents[1] / "data"
RELEASED = sorted(p.stem.removeprefix("ledger-") for p in DATA.glob("ledger-*.sqlite"))


@pytest.fixture(params=RELEASED)
def old(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[Path, bytes]:
    """A copy of a released version's ledger, and its export as that version wrote it."""
    path = tmp_path / "ledger.sqlite"
    shutil.copy(DATA / f"ledger-{request.param}.sqlite", path)
    return path, (DATA / f"ledger-{request.param}.jsonl").read_bytes()


def layout(path: Path) -> int:
    db = sqlite3.connect(path)
    (version,) = db.execute("PRAGMA user_version").fetchone()
    db.close()
    return int(version)


def exported(store: Store) -> bytes:
    out = io.BytesIO()
    store.export_jsonl(out)
    return out.getvalue()


def test_there_is_a_ledger_of_each_release() -> None:
    assert "0.1.0" in RELEASED


def test_a_released_ledger_reads_as_it_was_written(old: tuple[Path, bytes]) -> None:
    path, export = old
    before = layout(path)
    with Store.open(path, read_only=True) as store:
        assert exported(store) == export
        assert store.verify().ok
    assert layout(path) == before


def test_a_released_ledger_is_migrated_folds_and_goes_on(old: tuple[Path, bytes]) -> None:
    path, export = old
    before, bytes_before = layout(path), path.read_bytes()
    with Store.open(path) as store:
        assert exported(store) == export
        state = State()
        for stored in store.verified():
            state = advance(state, stored)
        assert state.candidates["c1"].phase is Phase.ROLLED_BACK
        assert state.candidates["c2"].phase is Phase.ERRORED
        assert [v.number for v in state.versions] == [0, 1, 2]
        size = store.head().size
        assert store.append(Paused(reason=""), actor="a", ts=1, idem="x").entry.seq == size + 1
        assert store.verify().ok
        assert len(store.root(size)) == 32
    assert layout(path) == schema.USER_VERSION
    backup = migrations.backup_of(path, before)
    assert backup.stat().st_mode & 0o777 == 0o600
    assert layout(backup) == before
    with Store.open(backup, read_only=True) as copy:
        assert exported(copy) == export
    assert len(bytes_before) <= backup.stat().st_size


def test_a_migration_that_fails_changes_nothing(
    old: tuple[Path, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, export = old
    before = layout(path)

    def half(db: sqlite3.Connection) -> None:
        schema.add_tree(db)
        raise LedgerFullError("no space")

    with monkeypatch.context() as patch:
        patch.setattr(migrations, "STEPS", {before: half})
        with pytest.raises(LedgerFullError):
            Store.open(path)
    assert layout(path) == before
    with Store.open(path, read_only=True) as store:
        assert exported(store) == export
    Store.open(path).close()
    assert layout(path) == schema.USER_VERSION


def test_a_damaged_ledger_is_not_migrated(old: tuple[Path, bytes]) -> None:
    path, _ = old
    before = layout(path)
    db = sqlite3.connect(path)
    db.execute("DROP TRIGGER entries_no_update")
    db.execute("UPDATE entries SET bytes = x'7b7d' WHERE seq = 3")
    db.execute(schema._TRIGGERS[0])
    db.commit()
    db.close()
    with pytest.raises(LedgerDamagedError, match="Entry 3"):
        Store.open(path)
    assert layout(path) == before
    assert not migrations.backup_of(path, before).exists()


def test_a_newer_layout_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    Store.open(path).close()
    db = sqlite3.connect(path)
    db.execute(f"PRAGMA user_version = {schema.USER_VERSION + 1}")
    db.commit()
    db.close()
    before = path.read_bytes()
    for read_only in (True, False):
        with pytest.raises(LedgerNewerError, match="written by a newer Ouroboros"):
            Store.open(path, read_only=read_only)
    assert path.read_bytes() == before


def test_every_older_layout_has_a_step() -> None:
    assert sorted(migrations.STEPS) == list(range(schema.OLDEST_VERSION, schema.USER_VERSION))
