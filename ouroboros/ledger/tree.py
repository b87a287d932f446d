"""The Merkle tree of a ledger, kept in the ledger's own file.

256 neighbouring hashes make a *tile* (as in C2SP tlog-tiles): tiles of level 0 hold leaf hashes,
those of level 1 the roots of 256 tiles of level 0, and so on. A tile is written in the transaction
of the entry that completes it and never again; what belongs to no complete tile yet is made anew
from the entries when the tree is first used. So an append costs two hashes (and one row in 256), a
million entries take 33 bytes each, opening reads at most 255 entries and a few hundred roots, and a
proof reads a handful of tiles.

Tiles are copies of what the entries say. Verification makes them anew and compares.
"""

import sqlite3

from ouroboros.errors import LedgerCorruptError
from ouroboros.ledger import merkle
from ouroboros.ledger.merkle import Frontier, Hash

BITS = 8
WIDTH = 1 << BITS
"""Hashes of a tile."""
_LENGTH = 32


class Tree:
    """The tree over the entries of one open database; one thread at a time."""

    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db
        self.forget()

    def forget(self) -> None:
        """Drop what is held in memory: a transaction was rolled back."""
        self._size = -1
        self._frontier = Frontier()
        self._pending: list[list[Hash]] = []

    def append(self, seq: int, data: bytes) -> None:
        """Add the entry `seq`, inside the transaction that adds its row."""
        if self._size != seq - 1:  # first use, or another process wrote
            self._load(seq - 1)
        hashed = merkle.leaf(data)
        self._frontier.append(hashed)
        self._add(0, hashed)
        self._size = seq

    def _add(self, level: int, hashed: Hash) -> None:
        if level == len(self._pending):
            self._pending.append([])
        pending = self._pending[level]
        pending.append(hashed)
        if len(pending) < WIDTH:
            return
        number = (self._frontier.size >> (BITS * (level + 1))) - 1
        top = tile_root(pending)
        self._db.execute(
            "INSERT INTO tiles (level, n, root, hashes) VALUES (?, ?, ?, ?)",
            (level, number, top, b"".join(pending)),
        )
        pending.clear()
        self._add(level + 1, top)

    def root(self, size: int) -> Hash:
        """Return the root of the tree over the first `size` entries.

        Raises:
            LedgerCorruptError: tiles are missing.
        """
        self._cover(size)
        if size == self._size:
            return self._frontier.root()
        return merkle.range_hash(0, size, self._subtree)

    def inclusion(self, seq: int, size: int) -> tuple[Hash, ...]:
        """Return the audit path of the entry `seq` (from 1) in the tree over `size` entries.

        Raises:
            ValueError: the tree does not hold that entry.
            LedgerCorruptError: tiles are missing.
        """
        self._cover(size)
        return merkle.inclusion(seq - 1, size, self._subtree)

    def consistency(self, old: int, size: int) -> tuple[Hash, ...]:
        """Return the proof that the first `old` entries are the beginning of the first `size`.

        Raises:
            ValueError: `old` is larger.
            LedgerCorruptError: tiles are missing.
        """
        self._cover(size)
        return merkle.consistency(old, size, self._subtree)

    def _cover(self, size: int) -> None:
        """Make sure that memory covers at least the first `size` entries."""
        if self._size < max(size, 0):
            (found,) = self._db.execute("SELECT coalesce(max(seq), 0) FROM entries").fetchone()
            self._load(found)
        if size > self._size:
            raise ValueError(f"the ledger has {self._size} entries, not {size}")

    def _load(self, size: int) -> None:
        """Make the parts that no complete tile holds from entries and from roots of tiles."""
        self.forget()
        tiles = size >> BITS
        rows = self._db.execute(
            "SELECT bytes FROM entries WHERE seq > ? AND seq <= ? ORDER BY seq",
            (tiles << BITS, size),
        )
        pending = [[merkle.leaf(bytes(data)) for (data,) in rows]]
        level = 0
        while tiles:
            above = tiles >> BITS
            found = self._db.execute(
                "SELECT root FROM tiles WHERE level = ? AND n >= ? AND n < ? ORDER BY n",
                (level, above << BITS, tiles),
            ).fetchall()
            pending.append([bytes(root) for (root,) in found])
            if len(found) != tiles - (above << BITS):
                raise _missing(level, tiles)
            tiles, level = above, level + 1
        for depth in range(len(pending) - 1, -1, -1):
            for hashed in pending[depth]:
                self._frontier.append(hashed, BITS * depth)
        self._pending, self._size = pending, size

    def _subtree(self, level: int, index: int) -> Hash:
        depth, inside = divmod(level, BITS)
        first = index << inside
        hashes = self._hashes(depth, first >> BITS)
        at = first & (WIDTH - 1)
        found = hashes[at : at + (1 << inside)]
        if len(found) != 1 << inside:
            raise _missing(depth, (first >> BITS) + 1)
        while len(found) > 1:
            found = merkle.above(found)
        return found[0]

    def _hashes(self, level: int, number: int) -> list[Hash]:
        """Return the hashes of a tile, complete or not."""
        if number == self._size >> (BITS * (level + 1)):
            return self._pending[level]
        row = self._db.execute(
            "SELECT hashes FROM tiles WHERE level = ? AND n = ?", (level, number)
        ).fetchone()
        if row is None:
            raise _missing(level, number + 1)
        joined = bytes(row[0])
        return [joined[at : at + _LENGTH] for at in range(0, len(joined), _LENGTH)]


def tile_root(hashes: list[Hash]) -> Hash:
    """Return the root over the hashes of a complete tile."""
    while len(hashes) > 1:
        hashes = merkle.above(hashes)
    return hashes[0]


def fill(db: sqlite3.Connection) -> None:
    """Write the tiles of entries that were there before there were tiles."""
    tree = Tree(db)
    tree._size = 0  # noqa: SLF001 - a tree that starts with nothing, in this module
    for seq, data in db.execute("SELECT seq, bytes FROM entries ORDER BY seq"):
        tree.append(seq, bytes(data))


def _missing(level: int, tiles: int) -> LedgerCorruptError:
    return LedgerCorruptError(
        f"The ledger's Merkle tree lacks hashes of level {level}, where there should be {tiles} "
        "tiles.",
        hint="Run 'ouroboros ledger verify'; keep the file as evidence.",
    )
