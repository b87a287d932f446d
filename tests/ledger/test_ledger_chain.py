import msgspec
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.errors import LedgerCorruptError, LedgerError
from ouroboros.ledger import chain
from ouroboros.ledger.chain import Flaw, Row
from ouroboros.model.entry import GENESIS, SCHEMA, Entry, Head
from ouroboros.model.events import Paused, Resumed


def rows(count: int, *, step: int = 1) -> list[Row]:
    """A good chain; `step` is by how much the clock advances."""
    made: list[Row] = []
    prev = GENESIS
    for seq in range(1, count + 1):
        event = Paused(reason=f"reason {seq}") if seq % 2 else Resumed(reason="on")
        entry = Entry(
            v=SCHEMA,
            seq=seq,
            ts=10**18 + seq * step,
            actor="engine",
            idem=f"i{seq}",
            prev=prev,
            event=event,
        )
        data = chain.encode(entry)
        prev = chain.hash_of(data)
        made.append(Row(seq, data, prev))
    return made


def test_a_good_chain_verifies_and_reports_its_head() -> None:
    good = rows(5)
    report = chain.verify(good)
    assert report.ok
    assert report.bad is None
    assert report.entries == 5
    assert report.head == Head(size=5, hash=good[-1].hash)


def test_an_empty_chain_is_good() -> None:
    assert chain.verify([]).head == Head(size=0, hash=GENESIS)


def test_verification_goes_on_from_a_trusted_head() -> None:
    good = rows(6)
    start = chain.verify(good[:3]).head
    report = chain.verify(good[3:], start=start)
    assert report.ok
    assert (report.entries, report.head.size) == (3, 6)


def test_a_head_of_another_history_is_found_out() -> None:
    report = chain.verify(rows(6)[3:], start=Head(size=3, hash="f" * 64))
    assert report.bad is not None
    assert (report.bad.seq, report.bad.flaw) == (4, Flaw.BROKEN_LINK)


def test_a_clock_that_goes_back_is_noted_and_allowed() -> None:
    report = chain.verify(rows(3, step=-5))
    assert report.ok
    assert report.notes_total == 2
    assert "5 ns" in report.notes[0].text


def test_notes_are_counted_but_not_hoarded() -> None:
    report = chain.verify(rows(chain.NOTES_KEPT + 20, step=-1))
    assert len(report.notes) == chain.NOTES_KEPT
    assert report.notes_total == chain.NOTES_KEPT + 19


def forged(number: int, prev: str, /, **changes: object) -> Row:
    fields: dict[str, object] = {
        "v": SCHEMA,
        "seq": number,
        "ts": 1,
        "actor": "a",
        "idem": f"x{number}",
        "prev": prev,
        "event": {"kind": "paused", "reason": ""},
    }
    data = msgspec.json.encode(fields | changes)
    return Row(number, data, chain.hash_of(data))


def test_each_flaw_is_named() -> None:
    good = rows(4)
    third = good[2]
    cases = {
        Flaw.GAP: [*good[:2], good[3]],
        Flaw.DUPLICATE: [*good[:3], third],
        Flaw.OUT_OF_ORDER: [*good[:3], good[0]],
        Flaw.BAD_HASH: [*good[:2], Row(3, third.data, good[1].hash)],
        Flaw.UNDECODABLE: [*good[:2], Row(3, b"\xff{", chain.hash_of(b"\xff{"))],
        Flaw.WRONG_NUMBER: [*good[:2], forged(3, good[1].hash, seq=7)],
        Flaw.BROKEN_LINK: [*good[:2], forged(3, good[0].hash)],
        Flaw.MALFORMED: [*good[:2], Row(3, None, third.hash)],  # type: ignore[arg-type] # on purpose
    }
    for flaw, bad in cases.items():
        report = chain.verify(bad)
        assert report.bad is not None, flaw
        assert report.bad.flaw is flaw
        assert report.bad.seq == (4 if flaw in {Flaw.DUPLICATE, Flaw.OUT_OF_ORDER} else 3)
        assert report.head.size == report.bad.seq - 1
        assert f"Entry {report.bad.seq}" in report.bad.text


def test_an_unknown_kind_from_a_newer_engine_verifies() -> None:
    good = rows(2)
    newer = forged(3, good[1].hash, v=SCHEMA + 1, event={"kind": "teleported", "to": [1.0]})
    report = chain.verify([*good, newer])
    assert report.ok
    assert "layout version" in report.notes[-1].text
    assert chain.kind_of(chain.open_envelope(newer.data)) == "teleported"
    try:
        chain.decode(newer.data)
    except LedgerCorruptError:
        raise AssertionError("unknown is not damaged") from None
    except LedgerError as error:
        assert "teleported" in error.message


_GOOD = rows(12)


@given(
    at=st.integers(0, 11),
    where=st.integers(0, 10_000),
    bit=st.integers(0, 7),
    in_hash=st.booleans(),
)
def test_any_flipped_bit_is_found_where_it_is(at: int, where: int, bit: int, in_hash: bool) -> None:  # noqa: FBT001 - drawn
    row = _GOOD[at]
    target = row.hash.encode() if in_hash else row.data
    flipped = bytearray(target)
    flipped[where % len(flipped)] ^= 1 << bit
    changed = (
        Row(row.seq, row.data, flipped.decode("latin-1"))
        if in_hash
        else Row(row.seq, bytes(flipped), row.hash)
    )
    report = chain.verify([*_GOOD[:at], changed, *_GOOD[at + 1 :]])
    assert report.bad is not None
    assert (report.bad.seq, report.bad.flaw) == (at + 1, Flaw.BAD_HASH)


@given(st.sets(st.integers(0, 10), min_size=1))
def test_any_removal_before_the_last_entry_is_found(gone: set[int]) -> None:
    report = chain.verify([row for n, row in enumerate(_GOOD) if n not in gone])
    assert report.bad is not None
    assert report.bad.seq == min(gone) + 1


@given(st.permutations(range(12)))
def test_any_other_order_is_found(order: list[int]) -> None:
    report = chain.verify([_GOOD[n] for n in order])
    first = next((n for n, at in enumerate(order) if n != at), None)
    assert report.ok == (first is None)
    assert first is None or (report.bad is not None and report.bad.seq == first + 1)


@given(st.integers(0, 11), st.integers(0, 11))
def test_any_inserted_copy_is_found(source: int, at: int) -> None:
    assert not chain.verify([*_GOOD[:at], _GOOD[source], *_GOOD[at:]]).ok


@given(st.integers(0, 11))
def test_an_entry_that_hashes_well_but_is_not_the_one_written_breaks_the_next(at: int) -> None:
    prev = _GOOD[at - 1].hash if at else GENESIS
    report = chain.verify([*_GOOD[:at], forged(at + 1, prev), *_GOOD[at + 1 :]])
    if at == 11:
        # The last entry: only a head that is kept elsewhere can tell.
        assert report.ok
        assert report.head != chain.verify(_GOOD).head
    else:
        assert report.bad is not None
        assert (report.bad.seq, report.bad.flaw) == (at + 2, Flaw.BROKEN_LINK)


_VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary()


@given(st.lists(st.tuples(_VALUES, _VALUES, _VALUES) | st.tuples(_VALUES), max_size=4))
def test_garbage_is_reported_and_never_raises(garbage: list[tuple[object, ...]]) -> None:
    report = chain.verify([*_GOOD, *garbage])  # type: ignore[list-item] # on purpose
    assert report.ok == (not garbage)
    assert report.head.size == 12


@given(st.binary(max_size=300))
def test_garbage_that_hashes_well_is_no_entry(data: bytes) -> None:
    report = chain.verify([*_GOOD, Row(13, data, chain.hash_of(data))])
    assert report.bad is not None
    assert report.bad.flaw is Flaw.UNDECODABLE


def test_deep_nesting_is_garbage_too() -> None:
    data = b'{"event":' + b"[" * 200_000
    report = chain.verify([Row(1, data, chain.hash_of(data))])
    assert report.bad is not None
    assert report.bad.flaw is Flaw.UNDECODABLE
