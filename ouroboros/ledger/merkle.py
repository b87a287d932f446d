"""The Merkle tree of RFC 6962 over the stored bytes of all entries: pure, hashes in and out.

A chain of hashes shows that nothing inside was changed, but to check one entry one needs all that
follow. A tree answers two questions with a handful of hashes: "is this entry in the record whose
head I hold?" (inclusion) and "is the record whose head I held then the beginning of this one?"
(consistency).

Leaf hash: SHA-256(0x00 || bytes). Node: SHA-256(0x01 || left || right). The prefixes keep a node
from passing for an entry. Trees of any size: the left half is the largest power of two that is
smaller than the size.

Proofs are first lists of *ranges* of leaves, whose hashes are then made from complete subtrees
(`level`, `index`: the leaves from `index << level`, `1 << level` of them); a complete subtree never
changes when entries are added, so that it can be stored (see `tiles`).

Sources: RFC 6962 section 2.1, RFC 9162 section 2.1 (the verifying algorithms).
"""

import hashlib
from collections.abc import Callable, Iterator, Sequence

Hash = bytes
Node = Callable[[int, int], Hash]
"""Returns the hash of a complete subtree by level and index."""

EMPTY: Hash = hashlib.sha256(b"").digest()
"""The root of a tree without leaves."""

_sha256 = hashlib.sha256


def leaf(data: bytes) -> Hash:
    """Return the hash of an entry's stored bytes as a leaf."""
    return _sha256(b"\x00" + data).digest()


def node(left: Hash, right: Hash) -> Hash:
    """Return the hash of a node over its two halves."""
    return _sha256(b"\x01" + left + right).digest()


def above(hashes: Sequence[Hash]) -> list[Hash]:
    """Return the next level: the nodes over each two of an even number of hashes."""
    sha256 = _sha256
    return [
        sha256(b"\x01" + left + right).digest()
        for left, right in zip(hashes[::2], hashes[1::2], strict=True)
    ]


class Frontier:
    """The roots of the complete subtrees that a tree is made of, largest first: O(log n).

    Enough to append and to tell the root, not to prove anything.
    """

    def __init__(self) -> None:
        self.size = 0
        self._stack: list[Hash] = []

    def append(self, hashed: Hash, level: int = 0) -> None:
        """Add a complete subtree of `1 << level` leaves (0: one leaf).

        The size must be a multiple of what is added; callers go by tiles or by leaves.
        """
        carry = self.size >> level
        while carry & 1:
            hashed = node(self._stack.pop(), hashed)
            carry >>= 1
        self._stack.append(hashed)
        self.size += 1 << level

    def root(self) -> Hash:
        """Return the root of the tree so far."""
        if not self._stack:
            return EMPTY
        *rest, hashed = self._stack
        for left in reversed(rest):
            hashed = node(left, hashed)
        return hashed


def ranges(low: int, high: int) -> Iterator[tuple[int, int]]:
    """Yield the complete subtrees (level, index) that the leaves `low` to `high` fall into.

    `low` must be where a subtree of that size begins, as in every range of a proof.
    """
    while low < high:
        level = (high - low).bit_length() - 1
        yield level, low >> level
        low += 1 << level


def range_hash(low: int, high: int, subtree: Node) -> Hash:
    """Return the hash of the tree over the leaves from `low` to before `high`."""
    frontier = Frontier()
    for level, index in ranges(low, high):
        frontier.append(subtree(level, index), level)
    return frontier.root()


def _split(size: int) -> int:
    """Return the largest power of two that is smaller than `size` (2 or more)."""
    return 1 << ((size - 1).bit_length() - 1)


def inclusion(index: int, size: int, subtree: Node) -> tuple[Hash, ...]:
    """Return the audit path of the leaf `index` (from 0) in the tree of `size` leaves.

    Raises:
        ValueError: there is no such leaf.
    """
    if not 0 <= index < size:
        raise ValueError(f"expected a leaf from 0 to {size - 1}, got {index}")
    path: list[tuple[int, int]] = []
    low, high = 0, size
    while high - low > 1:
        middle = low + _split(high - low)
        if index < middle:
            path.append((middle, high))
            high = middle
        else:
            path.append((low, middle))
            low = middle
    return tuple(range_hash(low, high, subtree) for low, high in reversed(path))


def consistency(old: int, size: int, subtree: Node) -> tuple[Hash, ...]:
    """Return the proof that the tree of `old` leaves is the beginning of that of `size`.

    Empty where both are the same, and for an empty beginning.

    Raises:
        ValueError: the old tree is the larger one.
    """
    if not 0 <= old <= size:
        raise ValueError(f"expected a size from 0 to {size}, got {old}")
    if old in {0, size}:
        return ()
    path: list[tuple[int, int]] = []
    low, high = 0, size
    while old != high:
        middle = low + _split(high - low)
        if old <= middle:
            path.append((middle, high))
            high = middle
        else:
            path.append((low, middle))
            low = middle
    if low:  # else the old tree is a subtree whose root the verifier holds
        path.append((low, high))
    return tuple(range_hash(low, high, subtree) for low, high in reversed(path))


def root_from_inclusion(leaf_hash: Hash, index: int, size: int, path: Sequence[Hash]) -> Hash:
    """Return the root that an audit path leads to; the caller compares it with the head's.

    Raises:
        ValueError: the path has not the length that index and size ask for.
    """
    if not 0 <= index < size:
        raise ValueError(f"expected a leaf from 0 to {size - 1}, got {index}")
    hashed = leaf_hash
    for on_left, sibling in _sides(index, size - 1, path):
        hashed = node(sibling, hashed) if on_left else node(hashed, sibling)
    return hashed


def _sides(first: int, last: int, path: Sequence[Hash]) -> Iterator[tuple[bool, Hash]]:
    """Climb from the leaf `first` of a tree whose last leaf is `last`: is the sibling left of us?

    Raises:
        ValueError: the path has not as many hashes as the climb takes.
    """
    for sibling in path:
        if last == 0:
            raise ValueError("the proof is longer than the tree is high")
        on_left = bool(first & 1) or first == last
        yield on_left, sibling
        while on_left and first and not first & 1:
            first, last = first >> 1, last >> 1
        first, last = first >> 1, last >> 1
    if last:
        raise ValueError("the proof is shorter than the tree is high")


def roots_from_consistency(
    old: int, size: int, old_root: Hash, path: Sequence[Hash]
) -> tuple[Hash, Hash]:
    """Return both roots that a consistency proof leads to, the old and the new one.

    For equal sizes and for an empty beginning nothing is proven by hashes: the answer is the old
    root twice, or cannot be given.

    Raises:
        ValueError: the path has not the right length, or `old` is 0 or larger than `size`.
    """
    if not 0 < old <= size:
        raise ValueError(f"expected a size from 1 to {size}, got {old}")
    if old == size:
        if path:
            raise ValueError("a proof between equal sizes is empty")
        return old_root, old_root
    proof = [old_root, *path] if old & (old - 1) == 0 else list(path)
    if not proof:
        raise ValueError("the proof is empty")
    first, last = old - 1, size - 1
    while first & 1:
        first, last = first >> 1, last >> 1
    left = right = proof[0]
    for on_left, sibling in _sides(first, last, proof[1:]):
        if on_left:
            left = node(sibling, left)
        right = node(sibling, right) if on_left else node(right, sibling)
    return left, right
