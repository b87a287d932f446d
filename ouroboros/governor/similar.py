"""When two proposals are one idea: their changed lines compared, so that noise is no lottery.

Whoever proposes the same change twenty times would get twenty tickets for a lucky measurement.
What is compared is what a diff adds and removes, as tokens: white space, the places of hunks, and
in Python comments do not count. Added and removed lines are compared apart and the smaller
similarity counts: two different replacements of one long function remove the same lines and are
still two ideas. Renamed variables or added code make a new idea, which then counts as a new test.

Similarity is that of Jaccard over runs of tokens (shingles; Broder, "On the resemblance and
containment of documents", 1997), estimated by the smallest hashes where a diff is large.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import msgspec

RUN = 4
"""Tokens of one shingle."""
SKETCH = 2048
"""How many hashes of a side are kept: all of a usual diff, the smallest ones of a large one."""

_TOKEN = re.compile(r"\w+|[^\w\s]")
_PYTHON = re.compile(
    r"""(?P<comment>\#.*)|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|\w+|[^\w\s]""",
)
_HUNK = re.compile(r"@@ -\d{1,9}(?:,(?P<old>\d{1,9}))? \+\d{1,9}(?:,(?P<new>\d{1,9}))? @@")
_NOWHERE = "/dev/null"

Tokens = dict[tuple[str, str], list[str]]
"""Of each path and sign (`+`, `-`), in the order of the diff."""


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True):
    """What of a diff is compared: the files, and the hashed shingles of both sides.

    `files` are those with changed tokens (or, where none has any, with changed lines), so that a
    comment somewhere else makes no new idea; `exact` is a hash of all changed tokens in order.
    """

    files: frozenset[str]
    exact: str
    added: frozenset[int]
    removed: frozenset[int]


def fingerprint(diff: str) -> Fingerprint:
    """Return the fingerprint of a unified diff; without changed lines it has no files."""
    changed = _tokens(diff)
    tokens = {key: words for key, words in changed.items() if words} or changed
    digest = hashlib.sha256()
    for (path, sign), words in sorted(tokens.items()):
        digest.update(_bytes(path, sign, *words) + b"\n")
    return Fingerprint(
        files=frozenset(path for path, _ in tokens),
        exact=digest.hexdigest(),
        added=_shingles(tokens, "+"),
        removed=_shingles(tokens, "-"),
    )


def alike(one: Fingerprint, other: Fingerprint, threshold: float) -> bool:
    """Whether both are one idea: the same change, or one at least `threshold` (0 to 1) similar."""
    if not one.files or one.files != other.files:
        return False
    return one.exact == other.exact or similarity(one, other) >= threshold


def similarity(one: Fingerprint, other: Fingerprint) -> float:
    """Return how similar the changed lines are: 1 for the same runs of tokens, 0 for none."""
    return min(_jaccard(one.added, other.added), _jaccard(one.removed, other.removed))


def _jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    union = sorted(one | other)[:SKETCH]
    if not union:
        return 1.0
    return sum(h in one and h in other for h in union) / len(union)


def _bytes(*parts: str) -> bytes:
    return "\0".join(parts).encode(errors="surrogateescape")


def _shingles(tokens: Tokens, wanted: str) -> frozenset[int]:
    """Return the smallest hashes of one side; a repeated shingle counts as often as it stands."""
    seen: Counter[tuple[str, ...]] = Counter()
    hashes = set()
    for (path, sign), words in tokens.items():
        if sign != wanted or not words:
            continue
        for run in _runs(words):
            named = (path, *run)
            seen[named] += 1
            data = _bytes(*named, str(seen[named]))
            hashes.add(int.from_bytes(hashlib.blake2b(data, digest_size=8).digest()))
    return frozenset(sorted(hashes)[:SKETCH])


def _runs(words: Sequence[str]) -> Iterator[tuple[str, ...]]:
    padded = ("", *words, "")
    for start in range(max(1, len(padded) - RUN + 1)):
        yield tuple(padded[start : start + RUN])


def _tokens(diff: str) -> Tokens:
    found: Tokens = {}
    for path, sign, line in _changed(diff.split("\n")):
        words = found.setdefault((path, sign), [])
        if path.endswith((".py", ".pyi")):
            words += [m[0] for m in _PYTHON.finditer(line) if m["comment"] is None]
        else:
            words += _TOKEN.findall(line)
    return found


def _changed(lines: Iterable[str]) -> Iterator[tuple[str, str, str]]:
    """Yield path, sign and text of each changed line.

    The lengths of hunks say where they end, so that no changed line passes for a header.
    """
    before = path = ""
    old = new = 0
    for line in lines:
        if old > 0 or new > 0:
            sign = line[:1]
            old -= sign in {"-", " ", ""}
            new -= sign in {"+", " ", ""}
            if sign in {"+", "-"}:
                yield path, sign, line[1:]
        elif line.startswith("--- "):
            before = _path(line)
        elif line.startswith("+++ "):
            path = before if _path(line) == _NOWHERE else _path(line)
        elif hunk := _HUNK.match(line):
            old, new = (int(hunk[side] or 1) for side in ("old", "new"))


def _path(header: str) -> str:
    """Return the path of `--- a/x` or `+++ b/x`, without what git appends to it."""
    name = header[4:].split("\t", 1)[0].strip()
    return name if name == _NOWHERE else name.split("/", 1)[-1]
