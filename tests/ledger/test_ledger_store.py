import hashlib
import io
import json
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest

from ouroboros.errors import LedgerCorruptError, LedgerError, LedgerFullError, Misuse
from ouroboros.ledger import chain
from ouroboros.ledger.chain import Flaw
from ouroboros.ledger.mark import Mark
from ouroboros.ledger.store import Store
from ouroboros.model.entry import GENESIS, Head
from ouroboros.model.events import (
    AlertRaised,
    Applied,
    CycleStarted,
    Kept,
    Paused,
    RolledBack,
    Unknown,
)

Fill = Callable[[int], Store]


def kept(candidate: str) -> Kept:
    return Kept(candidate=candidate, reason="quiet")


def test_an_appended_entry_is_there_after_reopening(path: Path) -> None:
    with Store.open(path) as store:
        assert store.head() == Head(size=0, hash=GENESIS)
        stored = store.append(Paused(reason="lunch"), actor="1000:ann", ts=5, idem="p1")
    with Store.open(path, read_only=True) as store:
        assert list(store.entries()) == [stored]
        assert store.head() == Head(size=1, hash=stored.hash)
        row = next(store.raw())
    assert hashlib.sha256(row.data).hexdigest() == stored.hash == row.hash
    assert stored.entry.seq == 1
    assert stored.entry.prev == GENESIS


def test_the_same_key_again_returns_the_first_entry(path: Path) -> None:
    with Store.open(path) as store:
        first = store.append(Paused(reason="x"), actor="a", ts=5, idem="p1")
        assert store.append(Paused(reason="x"), actor="a", ts=9, idem="p1") == first
    with Store.open(path) as store:
        assert store.append(Paused(reason="x"), actor="a", ts=9, idem="p1") == first
        assert store.head().size == 1
        assert store.find("p1") == first
        assert store.find("p2") is None


def test_the_same_key_for_another_event_is_refused(store: Store) -> None:
    store.append(Paused(reason="x"), actor="a", ts=5, idem="p1")
    with pytest.raises(LedgerError, match="was used for entry 1"):
        store.append(Paused(reason="y"), actor="a", ts=5, idem="p1")
    assert store.head().size == 1
    store.append(Paused(reason="y"), actor="a", ts=5, idem="p2")
    assert store.verify().ok


def test_a_file_that_was_removed_takes_no_more_entries(filled: Fill, path: Path) -> None:
    store = filled(2)
    elsewhere = path.with_name("elsewhere")
    path.rename(elsewhere)
    with pytest.raises(LedgerError, match="was removed or replaced"):
        filled(1)
    path.write_bytes(b"")
    with pytest.raises(LedgerError, match="was removed or replaced"):
        filled(1)
    elsewhere.replace(path)
    filled(1)
    assert store.head().size == 3


def test_text_that_json_cannot_hold_is_refused_whole(store: Store) -> None:
    for reason, idem in (("\ud800", "good"), ("good", "\ud800")):
        with pytest.raises(LedgerError):
            store.append(Paused(reason=reason), actor="a", ts=5, idem=idem)
    assert store.head().size == 0
    store.append(Paused(reason="fine"), actor="a", ts=5, idem="p1")


def test_entries_and_pages_by_kind_and_candidate(filled: Fill) -> None:
    store = filled(700)
    store.append(kept("c1"), actor="engine", ts=1, idem="k1")
    store.append(kept("c2"), actor="engine", ts=1, idem="k2")
    undone = RolledBack(
        candidates=("c1", "c2"),
        version=2,
        commit="c",
        branch="main",
        restores=0,
        reason="worse",
    )
    store.append(undone, actor="engine", ts=1, idem="r1")
    alert = AlertRaised(code="x", severity="info", text="t", candidate="c1")
    store.append(alert, actor="engine", ts=1, idem="a1")

    assert [s.entry.seq for s in store.entries()] == list(range(1, 705))
    assert [s.entry.seq for s in store.entries(after=698, limit=4)] == [699, 700, 701, 702]
    assert [s.entry.seq for s in store.entries(candidate="c1")] == [701, 703, 704]
    assert [s.entry.seq for s in store.entries(kind="kept")] == [701, 702]
    assert [s.entry.seq for s in store.entries(kind="kept", candidate="c2")] == [702]
    assert [s.entry.seq for s in store.page(limit=3)] == [704, 703, 702]
    assert [s.entry.seq for s in store.page(before=702, limit=2)] == [701, 700]
    assert [s.entry.seq for s in store.page(candidate="c1", before=704)] == [703, 701]
    assert [s.entry.seq for s in store.page(kind="cycle_started", before=3)] == [2, 1]
    assert list(store.entries(limit=0)) == []


def test_queries_use_their_indexes(filled: Fill) -> None:
    store = filled(10)
    plans = {
        "kind": "SELECT e.seq FROM entries e WHERE e.seq < 5 AND e.kind = 'x' ORDER BY e.seq DESC",
        "candidate": "SELECT t.seq FROM touched t JOIN entries e ON e.seq = t.seq "
        "WHERE t.seq < 5 AND t.candidate = 'x' ORDER BY t.seq DESC",
    }
    for statement in plans.values():
        plan = " ".join(r[3] for r in store._db.execute(f"EXPLAIN QUERY PLAN {statement}"))
        assert "SCAN" not in plan
        assert "TEMP B-TREE" not in plan


def test_kinds_of_a_newer_engine_can_be_listed_verified_and_exported(
    filled: Fill, path: Path
) -> None:
    store = filled(1)
    head = store.head()
    data = msgspec.json.encode(
        {
            "v": 1,
            "seq": 2,
            "ts": 7,
            "actor": "engine",
            "idem": "n",
            "prev": head.hash,
            "event": {"kind": "teleported", "to": 1},
        }
    )
    with sqlite3.connect(path) as db:
        db.execute(
            "INSERT INTO entries VALUES (2, 7, 'teleported', 'engine', 'n', ?, ?)",
            (data, chain.hash_of(data)),
        )
    db.close()
    assert store.verify().ok
    assert [sealed.kind for sealed in store.envelopes()] == ["cycle_started", "teleported"]
    assert store.export_jsonl(io.BytesIO()) == 2
    assert [s.entry.event for s in store.entries()][1] == Unknown(name="teleported")
    # And the chain goes on behind it.
    assert store.append(Paused(reason=""), actor="a", ts=8, idem="p").entry.seq == 3


def test_export_holds_the_exact_bytes(filled: Fill) -> None:
    store = filled(3)
    file = io.BytesIO()
    assert store.export_jsonl(file) == 3
    for line, row in zip(file.getvalue().splitlines(), store.raw(), strict=True):
        assert json.loads(line)["seq"] == row.seq
        exact = line.partition(b',"entry":')[2][:-1]
        assert hashlib.sha256(exact).hexdigest() == json.loads(line)["hash"] == row.hash


def test_verify_reports_progress_and_starts_from_a_head(filled: Fill) -> None:
    store = filled(1200)
    calls: list[tuple[int, int]] = []
    report = store.verify(lambda done, total: calls.append((done, total)))
    assert report.ok
    assert report.entries == 1200
    assert calls[0] == (512, 1200)
    assert calls[-1] == (1200, 1200)
    middle = next(row for row in store.raw(599))
    part = store.verify(start=Head(size=600, hash=middle.hash))
    assert (part.ok, part.entries, part.head) == (True, 600, report.head)


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE entries SET ts = 0 WHERE seq = 2",
        "DELETE FROM entries WHERE seq = 3",
        "DELETE FROM entries",
        "UPDATE touched SET seq = 9",
        "DELETE FROM touched",
        "INSERT INTO entries VALUES (9, 1, 'k', 'a', 'new', x'00', 'h')",
        "INSERT OR REPLACE INTO entries VALUES (2, 1, 'k', 'a', 'new', x'00', 'h')",
        "INSERT OR REPLACE INTO entries VALUES (4, 1, 'k', 'a', 'cycle-1', x'00', 'h')",
        "INSERT OR IGNORE INTO entries VALUES (3, 1, 'k', 'a', 'cycle-1', x'00', 'h')",
        "INSERT INTO entries VALUES (4, 1, 'k', 'a', 'n', 'text', 'h')",
        "INSERT INTO entries SELECT 2, ts, kind, actor, 'z', bytes, hash FROM entries LIMIT 1",
    ],
)
def test_the_schema_refuses_what_is_not_an_append(filled: Fill, path: Path, statement: str) -> None:
    store = filled(3)
    store._db.execute("INSERT INTO touched VALUES ('c', 1)")
    before = list(store.raw())
    db = sqlite3.connect(path)
    with pytest.raises(sqlite3.IntegrityError):
        db.execute(statement)
    db.close()
    assert list(store.raw()) == before


def tamper(path: Path, *statements: str) -> None:
    """What the owner of the file can do: without triggers, by hand."""
    db = sqlite3.connect(path)
    kept = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in kept:
        db.execute(f"DROP TRIGGER {name}")
    for statement in statements:
        db.execute(statement)
    for _, sql in kept:
        db.execute(sql)
    db.commit()
    db.close()


@pytest.mark.parametrize(
    ("statement", "seq", "flaw"),
    [
        ("UPDATE entries SET bytes = x'7b7d' WHERE seq = 5", 5, Flaw.BAD_HASH),
        ("UPDATE entries SET hash = 'no' WHERE seq = 5", 5, Flaw.BAD_HASH),
        ("UPDATE entries SET hash = CAST(x'ff' AS TEXT) WHERE seq = 5", 5, Flaw.BAD_HASH),
        ("DELETE FROM entries WHERE seq = 5", 5, Flaw.GAP),
        ("DELETE FROM entries WHERE seq <= 5", 1, Flaw.GAP),
        ("UPDATE entries SET kind = 'paused' WHERE seq = 5", 5, Flaw.WRONG_INDEX),
        ("UPDATE entries SET actor = CAST(x'ff' AS TEXT) WHERE seq = 5", 5, Flaw.WRONG_INDEX),
        ("UPDATE entries SET ts = 0 WHERE seq = 5", 5, Flaw.WRONG_INDEX),
        ("UPDATE entries SET idem = 'z' WHERE seq = 5", 5, Flaw.WRONG_INDEX),
        ("UPDATE entries SET seq = 99 WHERE seq = 5", 5, Flaw.GAP),
    ],
)
def test_tampering_is_found_and_named(
    filled: Fill, path: Path, statement: str, seq: int, flaw: Flaw
) -> None:
    store = filled(8)
    tamper(path, statement)
    report = store.verify()
    assert report.bad is not None
    assert (report.bad.seq, report.bad.flaw) == (seq, flaw)
    assert report.entries == report.head.size == seq - 1


def test_missing_entries_at_the_end_show_only_against_a_head_kept_elsewhere(
    filled: Fill, path: Path
) -> None:
    store = filled(8)
    anchor = store.head()
    tamper(path, "DELETE FROM entries WHERE seq > 6")
    report = store.verify()
    assert report.bad is not None
    assert (report.bad.seq, report.bad.flaw, report.head.size) == (7, Flaw.MISSING, 6)
    Mark(path).path.unlink()  # who alters the ledger on purpose removes the mark as well
    report = store.verify()
    assert report.ok
    assert report.head.size < anchor.size


def test_damaged_pages_are_reported_not_raised(filled: Fill, path: Path) -> None:
    filled(2000).close()
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(size // 2)
        file.write(os.urandom(size // 4))
    with Store.open(path, read_only=True) as store:
        report = store.verify()
    assert not report.ok
    assert report.bad is not None
    assert 0 < report.bad.seq <= 2000


def test_files_that_are_no_ledger_are_refused(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("not a database, but long enough to be taken for one" * 20)
    with pytest.raises(LedgerCorruptError):
        Store.open(text)
    other = tmp_path / "other"
    with sqlite3.connect(other) as db:
        db.execute("CREATE TABLE t (x)")
    db.close()
    with pytest.raises(LedgerError, match="another program's"):
        Store.open(other)
    with pytest.raises(LedgerError, match="There is no ledger"):
        Store.open(tmp_path / "none", read_only=True)
    assert not (tmp_path / "none").exists()
    with pytest.raises(LedgerError):
        Store.open(tmp_path)


def test_a_newer_layout_and_a_stripped_schema_are_refused(filled: Fill, path: Path) -> None:
    filled(1).close()
    db = sqlite3.connect(path)
    db.execute("DROP TRIGGER entries_no_update")
    db.commit()
    with pytest.raises(LedgerCorruptError, match="entries_no_update"):
        Store.open(path)
    db.execute("PRAGMA user_version = 7")
    db.commit()
    db.close()
    with pytest.raises(LedgerError, match="layout 7"):
        Store.open(path)


def test_a_file_left_empty_by_a_crash_becomes_a_ledger(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with Store.open(path) as store:
        store.append(Paused(reason=""), actor="a", ts=1, idem="x")
        assert store.verify().ok


def test_only_the_owner_may_read(filled: Fill, path: Path) -> None:
    store = filled(1)
    modes = {p.name: stat.S_IMODE(p.stat().st_mode) for p in path.parent.iterdir()}
    assert set(modes.values()) == {0o600}
    assert len(modes) == 4
    store.close()
    path.chmod(0o644)
    Store.open(path).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_reading_along_while_another_connection_writes(filled: Fill, path: Path) -> None:
    store = filled(600)
    with Store.open(path, read_only=True) as reader:
        seen = iter(reader.entries())
        next(seen)
        filled(600)
        assert sum(1 for _ in seen) == 1199
        assert reader.verify().ok
        with pytest.raises(Misuse):
            reader.append(Paused(reason=""), actor="a", ts=1, idem="x")
    assert store.head().size == 1200


def test_a_writer_that_holds_the_lock_is_named(filled: Fill, path: Path) -> None:
    store = filled(1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(LedgerError, match="locked by another process"):
        store.append(Paused(reason=""), actor="a", ts=1, idem="x")
    other.execute("ROLLBACK")
    other.close()
    assert store.append(Paused(reason=""), actor="a", ts=1, idem="x").entry.seq == 2


def test_two_writers_cannot_fork_the_chain(path: Path) -> None:
    def write(name: str) -> None:
        with Store.open(path) as store:
            for n in range(60):
                event = CycleStarted(cycle=n, trigger=name, base="")
                store.append(event, actor="engine", ts=n, idem=f"{name}-{n}")

    Store.open(path).close()
    threads = [threading.Thread(target=write, args=(name,)) for name in ("a", "b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with Store.open(path, read_only=True) as store:
        assert store.head().size == 120
        assert store.verify().ok


def test_the_store_may_move_between_threads(store: Store) -> None:
    done = []
    thread = threading.Thread(
        target=lambda: done.append(store.append(Paused(reason=""), actor="a", ts=1, idem="x"))
    )
    thread.start()
    thread.join()
    assert store.head().hash == done[0].hash


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_loses_nothing_and_is_recovered_from(small: Path) -> None:
    path = small / "ledger"
    store = Store.open(path)
    acknowledged = []
    event = Applied(candidate="c", base="b" * 40, commit="c" * 40, tree="t" * 40, checkpoint="r")
    ballast = small / "ballast"
    ballast.write_bytes(b"x" * 60_000)

    def fill() -> None:
        while True:
            n = len(acknowledged)
            acknowledged.append(store.append(event, actor="a" * 500, ts=n, idem=f"{n}").hash)

    with pytest.raises(LedgerFullError, match="nothing was appended"):
        fill()
    assert len(acknowledged) > 10
    for n in range(5):
        with pytest.raises(LedgerFullError):
            store.append(event, actor="a" * 5000, ts=1, idem=f"again-{n}")
    assert [stored.hash for stored in store.entries()] == acknowledged
    with Store.open(path, read_only=True) as reader:
        assert reader.verify().ok
    ballast.unlink()
    acknowledged.append(store.append(event, actor="a", ts=1, idem="after").hash)
    store.close()
    with Store.open(path) as again:
        assert [stored.hash for stored in again.entries()] == acknowledged
        assert again.verify().ok


def test_no_space_to_make_a_ledger_is_said(small: Path) -> None:
    filler = small / "filler"
    with pytest.raises(OSError, match="No space"):
        filler.write_bytes(b"x" * 10**6)
    with pytest.raises(LedgerFullError):
        Store.open(small / "ledger")
    filler.unlink()
    with Store.open(small / "ledger") as store:
        assert store.verify().ok


def test_the_store_imports_neither_git_nor_screen_nor_server() -> None:
    code = (
        "import sys, ouroboros.ledger.store, ouroboros.ledger.evidence;"
        "print([m for m in ('git', 'aiohttp', 'textual', 'asyncio') if m in sys.modules])"
    )
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "[]"
