"""Out of one ledger and into another: the same bytes, or nothing."""

import csv
import io
import sqlite3
import tarfile
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.errors import ConflictError, LedgerCorruptError
from ouroboros.ledger import bundle, chain, transfer
from ouroboros.ledger.evidence import Evidence
from ouroboros.ledger.store import Store
from ouroboros.model.events import AlertRaised, Kept, Paused, RolledBack

Fill = Callable[[int], Store]


def exported(store: Store, after: int = 0) -> bytes:
    out = io.BytesIO()
    store.export_jsonl(out, after=after)
    return out.getvalue()


def columns(path: Path) -> tuple[list[tuple[object, ...]], list[tuple[object, ...]]]:
    db = sqlite3.connect(path)
    entries = db.execute("SELECT * FROM entries ORDER BY seq").fetchall()
    touched = db.execute("SELECT * FROM touched ORDER BY candidate, seq").fetchall()
    db.close()
    return entries, touched


def add_unknown(store: Store) -> None:
    """Add what a newer engine of the same layout would."""
    head = store.head()
    event = {"kind": "teleported", "candidate": "c9", "to": 1}
    entry = {"v": 1, "seq": head.size + 1, "ts": 7, "actor": "engine", "idem": "n"}
    data = msgspec.json.encode(entry | {"prev": head.hash, "event": event, "more": [1.0]})
    store.take([chain.Row(head.size + 1, data, chain.hash_of(data))])


def test_a_round_trip_is_bit_identical(filled: Fill, path: Path, tmp_path: Path) -> None:
    store = filled(2100)
    store.append(Kept(candidate="c1", reason="é\x1b[31m\n"), actor="engine", ts=-5, idem="k")
    undone = RolledBack(
        candidates=("c1", "c2"), version=2, commit="c", branch="main", restores=0, reason="w"
    )
    store.append(undone, actor="engine", ts=1, idem="r")
    store.append(AlertRaised(code="x", severity="info", text="t"), actor="e", ts=1, idem="a")
    add_unknown(store)
    store.append(Paused(reason=""), actor="a", ts=8, idem="p")
    store.add_head(size=2000, ts=5, note="a note\nof several lines\n")
    export = exported(store)
    copy = tmp_path / "copy" / "ledger.sqlite"
    copy.parent.mkdir()
    assert transfer.import_ledger(io.BytesIO(export), copy) == store.head()
    with Store.open(copy) as again:
        assert exported(again) == export
        assert again.verify() == store.verify()
        assert again.root(2105) == store.root(2105)
        assert again.heads() == store.heads()
        assert [s.entry.seq for s in again.entries(candidate="c9")] == [2104]
    assert columns(copy) == columns(path)
    assert sorted(p.name for p in copy.parent.iterdir()) == ["ledger.sqlite", "ledger.sqlite.mark"]


def test_an_import_never_replaces_a_ledger(filled: Fill, path: Path) -> None:
    export = exported(filled(2))
    with pytest.raises(ConflictError, match="exists already"):
        transfer.import_ledger(io.BytesIO(export), path)


def broken(export: bytes, how: str) -> bytes:
    lines = export.splitlines(keepends=True)
    match how:
        case "removed":
            del lines[4]
        case "altered":
            lines[4] = lines[4].replace(b'"manual"', b'"manuaL"')
        case "swapped":
            lines[4], lines[5] = lines[5], lines[4]
        case "doubled":
            lines.insert(4, lines[3])
        case "rubbish":
            lines[4] = b"\xff{}\n"
        case "cut":
            lines[4:] = [lines[4][:-20]]
    return b"".join(lines)


@pytest.mark.parametrize("how", ["removed", "altered", "swapped", "doubled", "rubbish", "cut"])
def test_a_broken_export_is_refused_by_its_line(filled: Fill, tmp_path: Path, how: str) -> None:
    target = tmp_path / "new" / "ledger.sqlite"
    target.parent.mkdir()
    export = exported(filled(8))
    with pytest.raises(LedgerCorruptError, match="Line 5"):
        transfer.import_ledger(io.BytesIO(broken(export, how)), target)
    assert list(target.parent.iterdir()) == []


def test_a_part_cannot_be_imported(filled: Fill, tmp_path: Path) -> None:
    with pytest.raises(LedgerCorruptError, match=r"Line 1 breaks the chain.*is a part"):
        transfer.import_ledger(io.BytesIO(exported(filled(8), after=3)), tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_an_interrupted_import_leaves_nothing(filled: Fill, tmp_path: Path) -> None:
    export = exported(filled(1500))
    target = tmp_path / "new" / "ledger.sqlite"
    target.parent.mkdir()

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        transfer.import_ledger(io.BytesIO(export), target, progress=interrupt)
    assert list(target.parent.iterdir()) == []


@given(st.text(max_size=60))
def test_no_cell_is_a_formula_or_steers_a_terminal(text: str) -> None:
    cell = transfer.safe_cell(text)
    assert not cell.lstrip().startswith(("=", "+", "-", "@"))
    assert not any(c in cell for c in "\x1b\r\n\t\x07")


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", " =1", "\r=1", "\n=cmd|' /C"])
def test_formulas_are_quoted(text: str) -> None:
    assert transfer.safe_cell(text).startswith("'")


def test_csv_has_one_flat_row_per_entry(filled: Fill) -> None:
    store = filled(1)
    reason = '=HYPERLINK("http://x")'
    store.append(Kept(candidate="c1", reason=reason), actor="-uid:ann", ts=10**18 + 5, idem="k")
    add_unknown(store)
    out = io.BytesIO()
    assert transfer.write_csv(store, out) == 3
    heads, *rows = csv.reader(io.StringIO(out.getvalue().decode()))
    assert tuple(heads) == transfer.CSV_COLUMNS
    assert len(rows) == 3
    kept = dict(zip(heads, rows[1], strict=True))
    assert kept["time"] == "2001-09-09T01:46:40.000000005Z"
    assert (kept["kind"], kept["candidates"]) == ("kept", "c1")
    assert kept["actor"] == "'-uid:ann"
    assert rows[2][3] == "teleported"
    assert "unknown event 'teleported'" in rows[2][6]
    part = io.BytesIO()
    assert transfer.write_csv(store, part, after=2) == 1


def test_evidence_travels_in_an_archive(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path / "a")
    names = [evidence.put(text) for text in (b"one", b"two" * 100_000, b"")]
    bad = evidence.put(b"three")
    (tmp_path / "a" / bad[:2] / bad[2:]).write_bytes(b"thr33")
    out = io.BytesIO()
    packed = bundle.pack(evidence, [*names, names[0], bad, "0" * 64], out)
    assert (packed.files, packed.missing, packed.damaged) == (3, ("0" * 64,), (bad,))
    again = io.BytesIO()
    bundle.pack(evidence, reversed(names), again)
    assert out.getvalue() == again.getvalue()
    copy = Evidence(tmp_path / "b")
    assert bundle.unpack(io.BytesIO(out.getvalue()), copy) == 3
    assert [copy.get(name) for name in names] == [b"one", b"two" * 100_000, b""]


@pytest.mark.parametrize("name", ["../../etc/passwd", "evidence/" + "0" * 64, "evidence/x", "/x"])
def test_an_archive_that_is_no_bundle_is_refused(tmp_path: Path, name: str) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        member = tarfile.TarInfo(name)
        member.size = 3
        tar.addfile(member, io.BytesIO(b"abc"))
    with pytest.raises(LedgerCorruptError):
        bundle.unpack(io.BytesIO(out.getvalue()), Evidence(tmp_path / "e"))
    with pytest.raises(LedgerCorruptError):
        bundle.unpack(io.BytesIO(b"rubbish" * 1000), Evidence(tmp_path / "e"))
