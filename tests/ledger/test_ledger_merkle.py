"""The tree against the definition in RFC 6962, section 2.1, written down a second time, naively."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.ledger import merkle

# --- the text of RFC 6962 section 2.1, word by word ---------------------------------------------


def rfc_split(n: int) -> int:
    k = 1
    while k * 2 < n:
        k *= 2
    return k


def rfc_mth(d: list[bytes]) -> bytes:
    if not d:
        return hashlib.sha256().digest()
    if len(d) == 1:
        return hashlib.sha256(b"\0" + d[0]).digest()
    k = rfc_split(len(d))
    return hashlib.sha256(b"\1" + rfc_mth(d[:k]) + rfc_mth(d[k:])).digest()


def rfc_path(m: int, d: list[bytes]) -> list[bytes]:
    if len(d) == 1:
        return []
    k = rfc_split(len(d))
    if m < k:
        return [*rfc_path(m, d[:k]), rfc_mth(d[k:])]
    return [*rfc_path(m - k, d[k:]), rfc_mth(d[:k])]


def rfc_subproof(m: int, d: list[bytes], *, whole: bool) -> list[bytes]:
    if m == len(d):
        return [] if whole else [rfc_mth(d)]
    k = rfc_split(len(d))
    if m <= k:
        return [*rfc_subproof(m, d[:k], whole=whole), rfc_mth(d[k:])]
    return [*rfc_subproof(m - k, d[k:], whole=False), rfc_mth(d[:k])]


def subtree_of(d: list[bytes]) -> merkle.Node:
    def subtree(level: int, index: int) -> bytes:
        leaves = d[index << level : (index + 1) << level]
        assert len(leaves) == 1 << level  # only complete subtrees are ever asked for
        return rfc_mth(leaves)

    return subtree


def entries(n: int) -> list[bytes]:
    return [b"entry %d" % i for i in range(n)]


# --- vectors published with the Certificate Transparency code (RFC 6962 reference leaves) --------

LEAVES = [
    bytes.fromhex(h)
    for h in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
PATHS = [
    (
        0,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        5,
        8,
        [
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (2, 3, ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"]),
    (
        1,
        5,
        [
            "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]
PROOFS = [
    (1, 1, []),
    (
        1,
        8,
        [
            "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
        ],
    ),
    (
        6,
        8,
        [
            "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
            "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
            "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
        ],
    ),
    (
        2,
        5,
        [
            "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
            "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        ],
    ),
]


def test_published_roots() -> None:
    assert merkle.EMPTY.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    frontier = merkle.Frontier()
    assert frontier.root() == merkle.EMPTY
    for data, root in zip(LEAVES, ROOTS, strict=True):
        frontier.append(merkle.leaf(data))
        assert frontier.root().hex() == root


@pytest.mark.parametrize(("index", "size", "path"), PATHS)
def test_published_inclusion_proofs(index: int, size: int, path: list[str]) -> None:
    found = merkle.inclusion(index, size, subtree_of(LEAVES))
    assert [h.hex() for h in found] == path
    root = merkle.root_from_inclusion(merkle.leaf(LEAVES[index]), index, size, found)
    assert root.hex() == ROOTS[size - 1]


@pytest.mark.parametrize(("old", "size", "proof"), PROOFS)
def test_published_consistency_proofs(old: int, size: int, proof: list[str]) -> None:
    found = merkle.consistency(old, size, subtree_of(LEAVES))
    assert [h.hex() for h in found] == proof
    roots = merkle.roots_from_consistency(old, size, bytes.fromhex(ROOTS[old - 1]), found)
    assert [r.hex() for r in roots] == [ROOTS[old - 1], ROOTS[size - 1]]


# --- any n, any m <= n ---------------------------------------------------------------------------

SIZE = st.integers(1, 300)


@given(SIZE, st.data())
def test_inclusion_is_what_the_rfc_says(n: int, data: st.DataObject) -> None:
    m, d = data.draw(st.integers(0, n - 1)), entries(n)
    path = merkle.inclusion(m, n, subtree_of(d))
    assert list(path) == rfc_path(m, d)
    assert merkle.root_from_inclusion(merkle.leaf(d[m]), m, n, path) == rfc_mth(d)


@given(SIZE, st.data())
def test_consistency_is_what_the_rfc_says(n: int, data: st.DataObject) -> None:
    m, d = data.draw(st.integers(1, n)), entries(n)
    path = merkle.consistency(m, n, subtree_of(d))
    assert list(path) == rfc_subproof(m, d, whole=True)
    old, new = rfc_mth(d[:m]), rfc_mth(d)
    assert merkle.roots_from_consistency(m, n, old, path) == (old, new)


def test_every_small_tree() -> None:
    for n in range(1, 34):
        d = entries(n)
        frontier = merkle.Frontier()
        for data in d:
            frontier.append(merkle.leaf(data))
        assert frontier.root() == rfc_mth(d) == merkle.range_hash(0, n, subtree_of(d))
        for m in range(n):
            path = merkle.inclusion(m, n, subtree_of(d))
            assert merkle.root_from_inclusion(merkle.leaf(d[m]), m, n, path) == rfc_mth(d)
        for m in range(1, n + 1):
            proof = merkle.consistency(m, n, subtree_of(d))
            old = rfc_mth(d[:m])
            assert merkle.roots_from_consistency(m, n, old, proof) == (old, rfc_mth(d))


@given(SIZE, st.data())
def test_no_altered_proof_leads_to_the_root(n: int, data: st.DataObject) -> None:
    m, d = data.draw(st.integers(0, n - 1)), entries(n)
    path = list(merkle.inclusion(m, n, subtree_of(d)))
    root, hashed = rfc_mth(d), merkle.leaf(d[m])
    change = data.draw(st.sampled_from(["leaf", "longer", "shorter", "index", "bit"]))
    index = m
    if change == "leaf":
        hashed = merkle.leaf(b"another")
    elif change == "longer":
        path.append(root)
    elif change == "shorter" and path:
        path.pop()
    elif change == "index" and n > 1:
        index = (m + 1) % n
    elif change == "bit" and path:
        at = data.draw(st.integers(0, len(path) - 1))
        path[at] = bytes([path[at][0] ^ 1]) + path[at][1:]
    else:
        return  # a tree of one leaf has no path to alter
    try:
        found = merkle.root_from_inclusion(hashed, index, n, path)
    except ValueError:
        return
    assert found != root


@given(SIZE, st.data())
def test_no_consistency_proof_joins_another_history(n: int, data: st.DataObject) -> None:
    m, d = data.draw(st.integers(1, n)), entries(n)
    path = merkle.consistency(m, n, subtree_of(d))
    forged = [b"rewritten", *d[1:m]]
    old, new = merkle.roots_from_consistency(m, n, rfc_mth(forged), path)
    assert (old, new) != (rfc_mth(forged), rfc_mth(d))
    for wrong in ([*path, new], path[:-1] if path else [new]):
        try:
            roots = merkle.roots_from_consistency(m, n, rfc_mth(d[:m]), wrong)
        except ValueError:
            continue
        assert roots != (rfc_mth(d[:m]), rfc_mth(d))


def test_bounds_are_said() -> None:
    subtree = subtree_of(entries(4))
    for index, size in ((4, 4), (-1, 4), (0, 0)):
        with pytest.raises(ValueError, match="expected a leaf"):
            merkle.inclusion(index, size, subtree)
        with pytest.raises(ValueError, match="expected a leaf"):
            merkle.root_from_inclusion(b"", index, size, ())
    with pytest.raises(ValueError, match="expected a size"):
        merkle.consistency(5, 4, subtree)
    assert merkle.consistency(0, 4, subtree) == merkle.consistency(4, 4, subtree) == ()
