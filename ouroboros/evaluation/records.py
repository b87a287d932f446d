"""Decoding what our files inside the sandbox say over the private channel.

The other end is beside hostile code, so that everything here is checked: a line that is no record
makes the whole channel unbelievable, and nothing here raises for it.
"""

from typing import TypeVar

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Root of all records: one JSON object a line."""


class Collected(Record, frozen=True, kw_only=True, tag="collected"):
    """The tests that will run."""

    ids: tuple[str, ...]


class TestEnded(Record, frozen=True, kw_only=True, tag="test"):
    """One test is over: passed, failed, skipped, xfailed, xpassed or unknown."""

    __test__ = False  # pytest would try to collect it
    id: str
    outcome: str
    seconds: float


class CollectionError(Record, frozen=True, kw_only=True, tag="error"):
    """Something failed that is not a test: an import, a `setUpClass`."""

    id: str


class Modules(Record, frozen=True, kw_only=True, tag="modules"):
    """(name, file) of what an interpreter loaded; `inside` is relative to the tree."""

    inside: tuple[tuple[str, str], ...]
    outside: tuple[tuple[str, str], ...]
    stdlib: str


class Profile(Record, frozen=True, kw_only=True, tag="profile"):
    """(path, line, function, calls, own seconds, cumulative seconds) of the tree's functions."""

    total: float
    rows: tuple[tuple[str, int, str, int, float, float], ...]


class Coverage(Record, frozen=True, kw_only=True, tag="coverage"):
    """Per file of the tree: the lines that were executed, and those that could have been."""

    files: dict[str, tuple[tuple[int, ...], tuple[int, ...]]]


class End(Record, frozen=True, kw_only=True, tag="end"):
    """The test run came to its own end, with this exit status."""

    status: int


class Records(msgspec.Struct, frozen=True, kw_only=True):
    """All records of one run. `tests` keeps the worst outcome of each id."""

    collected: tuple[str, ...] = ()
    tests: dict[str, str] = {}
    errors: tuple[str, ...] = ()
    modules: tuple[Modules, ...] = ()
    profiles: tuple[Profile, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    end: End | None = None
    readable: bool = True

    @property
    def failed(self) -> tuple[str, ...]:
        """Ids of what failed, collection errors included."""
        bad = (i for i, outcome in self.tests.items() if outcome in ("failed", "unknown"))
        return (*self.errors, *bad)


_DECODER = msgspec.json.Decoder(
    Collected | TestEnded | CollectionError | Modules | Profile | Coverage | End
)


def decode(data: bytes, *, whole: bool = True) -> Records:
    """Decode the bytes of a result channel.

    Args:
        data: what was kept.
        whole: False where more was written than was kept.
    """
    found: list[Record] = []
    for line in data.splitlines():
        try:
            found.append(_DECODER.decode(line))
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Records(readable=False)
    tests: dict[str, str] = {}
    for record in _of(TestEnded, found):
        if tests.get(record.id) != "failed":
            tests[record.id] = record.outcome
    ends = _of(End, found)
    return Records(
        collected=tuple(i for record in _of(Collected, found) for i in record.ids),
        tests=tests,
        errors=tuple(record.id for record in _of(CollectionError, found)),
        modules=_of(Modules, found),
        profiles=_of(Profile, found),
        coverage=_of(Coverage, found),
        end=ends[0] if len(ends) == 1 else None,
        readable=whole and len(ends) <= 1,
    )


_Kind = TypeVar("_Kind", bound=Record)


def _of(kind: type[_Kind], records: list[Record]) -> tuple[_Kind, ...]:
    return tuple(record for record in records if isinstance(record, kind))
