"""The tree that is kept in the file: against the pure one, over tile borders and failures."""

import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from ouroboros.errors import LedgerError, NotFoundError
from ouroboros.ledger import merkle, schema
from ouroboros.ledger.store import Store
from ouroboros.ledger.tree import Tree
from ouroboros.model.events import Paused

Fill = Callable[[int], Store]


def naive(store: Store, size: int) -> bytes:
    frontier = merkle.Frontier()
    for row in store.raw():
        if row.seq <= size:
            frontier.append(merkle.leaf(row.data))
    return frontier.root()


def without_tree(path: Path) -> None:
    """Make it the ledger that an older version wrote."""
    db = sqlite3.connect(path)
    for table in ("tiles", "heads"):
        db.execute(f"DROP TABLE {table}")
    db.execute("PRAGMA user_version = 1")
    db.commit()
    db.close()


def test_roots_and_proofs_over_a_tile_border(filled: Fill, path: Path) -> None:
    store = filled(600)
    for size in (1, 255, 256, 257, 511, 512, 513, 600):
        assert store.root(size) == naive(store, size)
    with Store.open(path, read_only=True) as reader:
        assert reader.root(600) == store.root(600)
        rows = list(reader.raw())
        for size in (256, 257, 600):
            root = reader.root(size)
            for seq in (1, 200, 256, 257, 512, 513, 600):
                if seq <= size:
                    path_ = reader.inclusion(seq, size)
                    leaf = merkle.leaf(rows[seq - 1].data)
                    assert merkle.root_from_inclusion(leaf, seq - 1, size, path_) == root
            for old in (1, 255, 256, 257, 300):
                if old <= size:
                    proof = reader.consistency(old, size)
                    roots = merkle.roots_from_consistency(old, size, reader.root(old), proof)
                    assert roots == (reader.root(old), root)


def test_reopening_anywhere_goes_on_with_the_same_tree(path: Path) -> None:
    frontier = merkle.Frontier()
    done = 0
    for step in (1, 254, 1, 1, 255, 3):
        with Store.open(path) as store:
            for n in range(done + 1, done + step + 1):
                store.append(Paused(reason=str(n)), actor="a", ts=n, idem=str(n))
            for row in store.raw(done):
                frontier.append(merkle.leaf(row.data))
            done += step
            assert store.root(done) == frontier.root()


def test_two_levels_of_tiles(tmp_path: Path) -> None:
    """65,536 entries complete a tile of level 1; rows are put in without their fsyncs."""
    path = tmp_path / "ledger.sqlite"
    Store.open(path).close()
    db = sqlite3.connect(path)
    tree, frontier = Tree(db), merkle.Frontier()
    count = 65_536 + 300
    for seq in range(1, count + 1):
        data = b"%d" % seq
        db.execute("INSERT INTO entries VALUES (?, 0, 'k', 'a', ?, ?, '')", (seq, str(seq), data))
        tree.append(seq, data)
        frontier.append(merkle.leaf(data))
    db.commit()
    levels = db.execute("SELECT level, count(*) FROM tiles GROUP BY level").fetchall()
    assert levels == [(0, 257), (1, 1)]
    fresh = Tree(db)
    assert fresh.root(count) == tree.root(count) == frontier.root()
    for seq in (1, 256, 257, 65_536, 65_537, count):
        proof = fresh.inclusion(seq, count)
        leaf = merkle.leaf(b"%d" % seq)
        assert merkle.root_from_inclusion(leaf, seq - 1, count, proof) == frontier.root()
    proof = fresh.consistency(65_536, count)
    old = fresh.root(65_536)
    assert merkle.roots_from_consistency(65_536, count, old, proof) == (old, frontier.root())
    db.close()


def test_an_append_that_fails_leaves_the_tree_as_it_was(filled: Fill) -> None:
    store = filled(255)
    before = store.root(255)
    with pytest.raises(LedgerError):
        store.append(Paused(reason="\ud800"), actor="a", ts=1, idem="bad")
    with pytest.raises(LedgerError):
        store.append(Paused(reason="x"), actor="a", ts=1 << 70, idem="bad")
    assert store.root(255) == before
    filled(2)
    assert store.root(257) == naive(store, 257)


def test_two_writers_make_one_tree(path: Path, filled: Fill) -> None:
    store = filled(300)
    with Store.open(path) as other:
        other.append(Paused(reason="x"), actor="b", ts=1, idem="other")
    filled(1)
    with Store.open(path) as other:
        other.append(Paused(reason="y"), actor="b", ts=1, idem="another")
        assert other.root(303) == store.root(303) == naive(store, 303)


def test_a_ledger_of_layout_1_gets_its_tree(filled: Fill, path: Path) -> None:
    store = filled(700)
    root = store.root(700)
    store.close()
    without_tree(path)
    with Store.open(path, read_only=True) as old:  # reading changes nothing
        assert old.verify().ok
        assert old.heads() == []
        with pytest.raises(LedgerError, match="layout 1"):
            old.root(1)
    with Store.open(path) as new:
        assert new.root(700) == root
        new.append(Paused(reason="x"), actor="b", ts=1, idem="more")
        assert new.root(701) == naive(new, 701)
    db = sqlite3.connect(path)
    assert schema.version(db) == schema.USER_VERSION
    db.close()


def test_sizes_that_are_not_there(filled: Fill) -> None:
    store = filled(3)
    for wrong in (lambda: store.root(4), lambda: store.inclusion(4, 3), lambda: store.root(99)):
        with pytest.raises(NotFoundError, match="Not in the ledger"):
            wrong()


def test_tiles_and_heads_are_append_only(filled: Fill, path: Path) -> None:
    store = filled(256)
    assert store.add_head(size=100, ts=1, note="n")
    assert not store.add_head(size=100, ts=2, note="again")
    assert [h.size for h in store.heads()] == [100]
    for size in (99, 257):
        with pytest.raises(LedgerError, match="heads only grow"):
            store.add_head(size=size, ts=1, note="n")
    store.close()
    db = sqlite3.connect(path)
    for statement in (
        "UPDATE tiles SET root = x'00'",
        "DELETE FROM tiles",
        "INSERT OR REPLACE INTO tiles VALUES (0, 0, x'00', x'00')",
        "INSERT INTO tiles VALUES (0, 2, x'00', x'00')",
        "UPDATE heads SET note = ''",
        "DELETE FROM heads",
        "INSERT OR REPLACE INTO heads VALUES (100, 1, '')",
    ):
        with pytest.raises(sqlite3.IntegrityError):
            db.execute(statement)
    db.close()
