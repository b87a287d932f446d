"""Decoding what our files inside the sandbox say over the private channel.

The other end is beside hostile code, so that everything here is checked: a line that is no record
makes the whole channel unbelievable, and nothing here raises for it.

Reports of tests carry a proof in each line: a keyed hash over the line and its number, with a key
that is drawn for the run and read by our file before any code of the target. Whoever finds the
descriptor and writes to it breaks the chain, and so does who leaves out a line or repeats one. It
does not stop code that goes looking for our functions in its own process; what such code reports
is put to the test by the control run (`control`).
"""

import hashlib
import hmac
from collections import Counter

import msgspec

_PROOF = 32
"""Hexadecimal digits of the proof that begins a line."""

_OUTCOMES = {"passed", "failed", "skipped", "xfailed", "xpassed", "unknown"}


class Record(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind"):
    """Root of all records: one JSON object a line."""


class Collected(Record, frozen=True, kw_only=True, tag="collected"):
    """The tests that will run.

    `files` are those that hold them, relative to the tree; `config` is the file, if any, that the
    framework took its settings from.
    """

    ids: tuple[str, ...]
    files: tuple[str, ...] = ()
    config: str = ""


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
    """All records of one run.

    Attributes:
        collected: ids of the tests that were to run; an id may stand for several tests.
        files: where they are, relative to the tree.
        config: where the framework took its settings from.
        tests: the worst outcome of each id.
        errors: ids of what failed and is no test.
        modules: what was loaded.
        profiles: where time was spent.
        end: the run's own end; None if it never came to it.
        flaw: why these records are not believed; empty if they are.
    """

    collected: tuple[str, ...] = ()
    files: tuple[str, ...] = ()
    config: str = ""
    tests: dict[str, str] = {}
    errors: tuple[str, ...] = ()
    modules: tuple[Modules, ...] = ()
    profiles: tuple[Profile, ...] = ()
    coverage: tuple[Coverage, ...] = ()
    end: End | None = None
    flaw: str = ""

    @property
    def readable(self) -> bool:
        """Whether the channel carried nothing but honest-looking records."""
        return not self.flaw

    @property
    def failed(self) -> tuple[str, ...]:
        """Ids of what failed, collection errors included."""
        bad = (i for i, outcome in self.tests.items() if outcome in ("failed", "unknown"))
        return (*self.errors, *bad)


_DECODER = msgspec.json.Decoder(
    Collected | TestEnded | CollectionError | Modules | Profile | Coverage | End
)


class _Flaw(Exception):  # noqa: N818 - a finding of this file, it never leaves it
    """These records are not believed."""


def decode(data: bytes, *, whole: bool = True, key: bytes = b"") -> Records:
    """Decode the bytes of a result channel.

    Args:
        data: what was kept.
        whole: False where more was written than was kept.
        key: of the proofs; empty where lines carry none.
    """
    if not whole:
        return Records(flaw="More was written than any report needs.")
    reader = _Reader()
    try:
        for number, line in enumerate(data.splitlines()):
            reader.take(_DECODER.decode(_proven(line, number, key) if key else line))
    except _Flaw as flaw:
        return Records(flaw=str(flaw))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Records(flaw="Something was written that is no record.")
    return reader.records()


def proof(text: bytes, number: int, key: bytes) -> bytes:
    """Return what begins the line `number` if the text is ours."""
    data = b"%d " % number + text
    return hashlib.blake2b(data, key=key, digest_size=_PROOF // 2).hexdigest().encode()


def _proven(line: bytes, number: int, key: bytes) -> bytes:
    given, between, text = line[:_PROOF], line[_PROOF : _PROOF + 1], line[_PROOF + 1 :]
    if between != b" " or not hmac.compare_digest(given, proof(text, number, key)):
        raise _Flaw("Something was written that our reporter did not write.")
    return text


class _Reader:
    """Takes one record after another, and insists on an order that makes sense."""

    def __init__(self) -> None:
        """Start with nothing seen."""
        self._collected: Collected | None = None
        self._expected: Counter[str] = Counter()
        self._tests: dict[str, str] = {}
        self._counts: Counter[str] = Counter()
        self._errors: list[str] = []
        self._modules: list[Modules] = []
        self._profiles: list[Profile] = []
        self._coverage: list[Coverage] = []
        self._end: End | None = None

    def take(self, record: Record) -> None:
        """Take the next record.

        Raises:
            _Flaw: it does not belong here.
        """
        if self._end is not None:
            raise _Flaw("Something was written after the end of the test run.")
        match record:
            case Collected():
                if self._collected is not None:
                    raise _Flaw("Tests were collected twice.")
                self._collected = record
                self._expected = Counter(record.ids)
            case TestEnded():
                self._take_test(record)
            case CollectionError():
                self._errors.append(record.id)
            case Modules():
                self._modules.append(record)
            case Profile():
                self._profiles.append(record)
            case Coverage():
                self._coverage.append(record)
            case End():
                self._end = record

    def _take_test(self, record: TestEnded) -> None:
        name = record.id
        if self._collected is None:
            raise _Flaw("A test was reported before tests were collected.")
        if record.outcome not in _OUTCOMES:
            raise _Flaw("A test was reported with an outcome that does not exist.")
        self._counts[name] += 1
        if self._counts[name] > self._expected[name]:
            raise _Flaw("A test was reported twice, or was never collected.")
        self._tests[name] = _worse(self._tests.get(name, record.outcome), record.outcome)

    def records(self) -> Records:
        """Return all of them."""
        collected = self._collected or Collected(ids=())
        return Records(
            collected=collected.ids,
            files=collected.files,
            config=collected.config,
            # Of several tests with one id, one that is missing makes them all unreported.
            tests={i: o for i, o in self._tests.items() if self._counts[i] == self._expected[i]},
            errors=tuple(self._errors),
            modules=tuple(self._modules),
            profiles=tuple(self._profiles),
            coverage=tuple(self._coverage),
            end=self._end,
        )


_RANK = ("passed", "xpassed", "xfailed", "skipped", "unknown", "failed")


def _worse(one: str, other: str) -> str:
    return max(one, other, key=_RANK.index)
