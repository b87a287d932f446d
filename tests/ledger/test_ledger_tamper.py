"""Every way in which somebody with the file in his hands can change it, and what is said of it.

The intruder is careful: he drops the triggers and puts them back, letter by letter. Where he also
makes chain, tiles and look-up columns anew, the file is whole in itself; then only a head finds
him: a stored one as long as he has no key, and one that was kept elsewhere in any case.
"""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Self

import msgspec
import pytest

from ouroboros.ledger import chain, heads, note
from ouroboros.ledger.audit import Anchor, Audit, Kind, Wanted, audit
from ouroboros.ledger.evidence import Evidence
from ouroboros.ledger.mark import Mark
from ouroboros.ledger.note import SignerKey
from ouroboros.ledger.store import Store
from ouroboros.ledger.tree import fill
from ouroboros.model import events as ev
from ouroboros.model.entry import GENESIS, Head

COUNT = 700
HEADS = (100, 256, 512, 650, 700)


class Case:
    """A ledger of 700 entries with five signed heads, and what is kept elsewhere."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "ledger.sqlite"
        self.evidence = folder / "evidence"
        self.key: SignerKey = heads.key_of(folder, "calc-1")
        self.anchors: tuple[Anchor, ...] = ()

    @property
    def anchor(self) -> tuple[Anchor, ...]:
        return self.anchors[-1:]

    def check(self, *, anchored: bool = False, evidence: bool = False, since: int = -1) -> Audit:
        wanted = Wanted(
            key=self.key.verifier,
            anchors=self.anchor if anchored else (),
            evidence=self.evidence if evidence else None,
            since=self.anchors[since] if since >= 0 else None,
        )
        # Who alters the ledger on purpose removes the mark beside it; `test_the_mark` has it.
        Mark(self.path).path.unlink(missing_ok=True)
        return audit(self.path, wanted)


def make(folder: Path) -> Case:
    case = Case(folder)
    diff = Evidence(case.evidence).put(b"--- a\n+++ b\n")
    kept: list[Anchor] = []
    with Store.open(case.path) as store:
        for n in range(1, COUNT + 1):
            event: ev.AnyEvent = ev.Denied(candidate=f"c{n // 7}", reason=f"no {n}")
            if n == 1:
                event = ev.TargetAdopted(target="calc-1", path="/t", branch="main", commit="a" * 40)
            elif n == 400:
                event = ev.Proposed(
                    candidate="c57",
                    cycle=1,
                    proposer="p",
                    title="t",
                    rationale="",
                    base="b" * 40,
                    diff=diff,
                    idea="i",
                )
            elif n == 300:
                event = ev.AlertRaised(code="x", severity="info", text="t", candidate="c1")
            store.append(event, actor="1000:ann", ts=10**18 + n, idem=f"key-{n}")
            if n in HEADS:
                head = heads.sign_head(store, case.key, ts=10**18 + n)
                assert head is not None
                root = note.parse(head.note).checkpoint.root
                kept.append(Anchor(size=n, root=root, source=f"the anchor of {n}"))
    case.anchors = tuple(kept)
    return case


@pytest.fixture(scope="module")
def original(tmp_path_factory: pytest.TempPathFactory) -> Case:
    return make(tmp_path_factory.mktemp("original"))


@pytest.fixture
def case(original: Case, tmp_path: Path) -> Case:
    folder = original.path.parent
    shutil.copytree(folder, tmp_path / "copy")
    copy = Case(tmp_path / "copy")
    copy.anchors = original.anchors
    return copy


class Intruder:
    """The file without its triggers; they are back when he leaves."""

    def __init__(self, path: Path) -> None:
        self.db = sqlite3.connect(path, isolation_level=None)

    def __enter__(self) -> Self:
        query = "SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'"
        self._triggers = self.db.execute(query).fetchall()
        for name, _ in self._triggers:
            self.db.execute(f"DROP TRIGGER {name}")
        return self

    def __exit__(self, *_: object) -> None:
        for _, sql in self._triggers:
            self.db.execute(sql)
        self.db.close()

    def remove(self, *seqs: int) -> None:
        for seq in seqs:
            self.db.execute("DELETE FROM entries WHERE seq = ?", (seq,))
            self.db.execute("DELETE FROM touched WHERE seq = ?", (seq,))

    def rechain(self, first: int, *, forge: Callable[[ev.AnyEvent], ev.AnyEvent]) -> None:
        """Write another entry `first`, and the chain, columns and tiles anew from there on."""
        rows = self.db.execute(
            "SELECT seq, bytes FROM entries WHERE seq >= ? ORDER BY seq", (first,)
        ).fetchall()
        prev = GENESIS
        if first > 1:
            query = "SELECT hash FROM entries WHERE seq = ?"
            (prev,) = self.db.execute(query, (first - 1,)).fetchone()
        for number, (seq, data) in enumerate(rows):
            entry = chain.decode(data)
            event = forge(entry.event) if number == 0 else entry.event
            entry = msgspec.structs.replace(entry, seq=first + number, prev=prev, event=event)
            made = chain.encode(entry)
            prev = chain.hash_of(made)
            self.db.execute(
                "UPDATE entries SET seq = ?, bytes = ?, hash = ?, kind = ? WHERE seq = ?",
                (first + number, made, prev, event.kind, seq),
            )
        self.db.execute("DELETE FROM touched")
        for seq, data in self.db.execute("SELECT seq, bytes FROM entries").fetchall():
            event = chain.decode(data).event
            names = event.candidates if isinstance(event, ev.CandidateEvent) else ()
            names = (event.candidate,) if isinstance(event, ev.AlertRaised) else names
            for name in names:
                self.db.execute("INSERT INTO touched VALUES (?, ?)", (name, seq))
        self.db.execute("DELETE FROM tiles")
        fill(self.db)


def other_reason(event: ev.AnyEvent) -> ev.AnyEvent:
    assert isinstance(event, ev.Denied)
    return msgspec.structs.replace(event, reason="he agreed")


def first(found: Audit, kind: Kind) -> tuple[str, int]:
    problem = next(p for p in found.problems if p.kind is kind)
    return problem.code, problem.seq


def test_the_original_is_whole(original: Case) -> None:
    for anchored in (False, True):
        found = original.check(anchored=anchored, evidence=True)
        assert (found.exit_code, found.problems, found.notes) == (0, (), ())
        assert (found.entries, found.heads, found.evidence) == (COUNT, len(HEADS), 1)
        assert found.anchors == anchored
        assert found.origin == "ouroboros/calc-1"
    with Store.open(original.path, read_only=True) as store:
        assert found.hash == store.head().hash


@pytest.mark.parametrize("jobs", [1, 2])
def test_stretches_are_put_together(case: Case, jobs: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Several short stretches, in one process and in others: the same answers."""
    monkeypatch.setattr("ouroboros.ledger.audit.STRETCH", 256)
    monkeypatch.setattr("ouroboros.ledger.audit.PARALLEL_FROM", 1)
    seen: list[tuple[int, int]] = []
    wanted = Wanted(key=case.key.verifier, anchors=case.anchors, jobs=jobs)
    found = audit(case.path, wanted, lambda done, total: seen.append((done, total)))
    assert (found.exit_code, found.entries, found.anchors) == (0, COUNT, len(HEADS))
    assert seen == [(256, COUNT), (512, COUNT), (COUNT, COUNT)]
    with Intruder(case.path) as intruder:
        intruder.db.execute("UPDATE entries SET hash = 'x' WHERE seq = 512")
    found = audit(case.path, wanted)
    assert [(p.code, p.seq) for p in found.problems] == [("bad_hash", 512)]
    assert (found.size, found.heads) == (511, 3)


# --- a bit in every column ----------------------------------------------------------------------

FLIPS = [
    ("entries", "seq = seq + 5000", "gap", 333),
    ("entries", "ts = ts + 1", "wrong_index", 333),
    ("entries", "kind = 'approved'", "wrong_index", 333),
    ("entries", "actor = '1001:eve'", "wrong_index", 333),
    ("entries", "idem = 'another'", "wrong_index", 333),
    ("entries", "bytes = CAST(replace(bytes, 'no 333', 'no 334') AS BLOB)", "bad_hash", 333),
    ("entries", "bytes = CAST(substr(bytes, 1, 20) || 'x' AS BLOB)", "bad_hash", 333),
    ("entries", "hash = 'x' || substr(hash, 2)", "bad_hash", 333),
    ("entries", "hash = upper(hash)", "bad_hash", 333),
    ("touched", "candidate = 'c9999'", "wrong_candidate", 333),
    ("touched", "seq = 3", "wrong_candidate", 3),
]


@pytest.mark.parametrize(("table", "change", "code", "seq"), FLIPS)
def test_a_change_in_any_column(case: Case, table: str, change: str, code: str, seq: int) -> None:
    with Intruder(case.path) as intruder:
        intruder.db.execute(f"UPDATE {table} SET {change} WHERE seq = 333")  # noqa: S608 - ours
    found = case.check()
    assert first(found, Kind.CORRUPT) == (code, seq)
    assert found.exit_code == 1


def test_each_single_bit_of_an_entry(case: Case) -> None:
    """All bits of one entry's bytes, one at a time; the byte is named where redundancy tells it."""
    db = sqlite3.connect(case.path)
    (data,) = db.execute("SELECT bytes FROM entries WHERE seq = 10").fetchone()
    db.close()
    with Store.open(case.path, read_only=True) as store:
        rows = [(r.seq, r.data, r.hash) for r in store.raw()][:12]
    head = data.index(b'"reason"')
    from ouroboros.ledger.sweep import Sweep

    def row(entry: tuple[int, bytes, str], data: bytes) -> tuple[object, ...]:
        said = chain.open_envelope(entry[1])
        kind = chain.kind_of(said).encode()
        text = (said.actor.encode(), said.idem.encode())
        return (entry[0], data, entry[2].encode(), said.ts, kind, *text)

    for at in range(len(data)):
        for bit in range(8):
            altered = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            check = Sweep()
            check.feed([row(r, altered if r[0] == 10 else r[1]) for r in rows])
            bad = check.report().bad
            assert bad is not None
            assert (bad.seq, bad.flaw.value) == (10, "bad_hash")
            assert "so that the bytes were altered" in bad.text
            if at < head - len(b'"candidate":"c1",'):
                assert bad.byte == at


@pytest.mark.parametrize(
    ("statement", "seq"),
    [
        ("UPDATE tiles SET hashes = zeroblob(8192) WHERE n = 1", 257),
        ("UPDATE tiles SET hashes = CAST(zeroblob(64) || substr(hashes, 65) AS BLOB)", 1),
        ("UPDATE tiles SET root = zeroblob(32) WHERE n = 1", 257),
        ("UPDATE tiles SET n = 7 WHERE n = 1", 257),
        ("UPDATE tiles SET level = 3 WHERE n = 1", 257),
        ("DELETE FROM tiles WHERE n = 0", 1),
        ("INSERT INTO tiles VALUES (0, 2, x'00', x'00')", 701),
        ("INSERT INTO tiles VALUES (1, 0, x'00', x'00')", 701),
    ],
)
def test_changed_tiles(case: Case, statement: str, seq: int) -> None:
    with Intruder(case.path) as intruder:
        intruder.db.execute(statement)
    found = case.check()
    assert first(found, Kind.CORRUPT)[1] == seq
    assert found.exit_code == 1


# --- removed, inserted, swapped, rewritten ------------------------------------------------------


@pytest.mark.parametrize("seqs", [(1,), (350,), (255, 256, 257), tuple(range(2, 600))])
def test_removed_entries(case: Case, seqs: tuple[int, ...]) -> None:
    with Intruder(case.path) as intruder:
        intruder.remove(*seqs)
    found = case.check()
    assert first(found, Kind.CORRUPT) == ("gap", seqs[0])
    assert (found.exit_code, found.size) == (1, seqs[0] - 1)


@pytest.mark.parametrize("left", [699, 650, 649, 512, 0])
def test_removed_from_the_end(case: Case, left: int) -> None:
    """Whole in itself: stored heads tell, and, where they were cut as well, the anchor."""
    with Intruder(case.path) as intruder:
        intruder.remove(*range(left + 1, COUNT + 1))
        intruder.db.execute("DELETE FROM tiles WHERE (n + 1) * 256 > ?", (left,))
    found = case.check()
    assert first(found, Kind.FORKED) == ("truncated", left + 1)
    assert found.exit_code == 2
    with Intruder(case.path) as intruder:
        intruder.db.execute("DELETE FROM heads WHERE size > ?", (left,))
    assert case.check().exit_code == 0  # nothing inside can know
    found = case.check(anchored=True)
    assert (first(found, Kind.FORKED), found.exit_code) == (("truncated", left + 1), 2)


def test_tiles_that_are_left_over_tell_of_a_removed_end(case: Case) -> None:
    with Intruder(case.path) as intruder:
        intruder.remove(*range(501, COUNT + 1))
        intruder.db.execute("DELETE FROM heads WHERE size > 500")
    assert first(case.check(), Kind.CORRUPT) == ("tiles_left_over", 501)


def test_an_inserted_entry(case: Case) -> None:
    """Numbers are taken, so the rest moves up; only its columns, as an index may not collide."""
    with Intruder(case.path) as intruder:
        intruder.db.execute("UPDATE entries SET seq = seq + 9000 WHERE seq > 400")
        intruder.db.execute("UPDATE entries SET seq = seq - 8999 WHERE seq > 9000")
        intruder.db.execute(
            "INSERT INTO entries SELECT 401, ts, kind, actor, 'new', bytes, hash FROM entries "
            "WHERE seq = 399"
        )
    assert first(case.check(), Kind.CORRUPT) == ("wrong_number", 401)


def test_swapped_entries(case: Case) -> None:
    with Intruder(case.path) as intruder:
        intruder.db.execute("UPDATE entries SET seq = 9999 WHERE seq = 20")
        intruder.db.execute("UPDATE entries SET seq = 20 WHERE seq = 30")
        intruder.db.execute("UPDATE entries SET seq = 30 WHERE seq = 9999")
    assert first(case.check(), Kind.CORRUPT) == ("wrong_number", 20)


@pytest.mark.parametrize("seq", [2, 101, 350, 660, 700])
def test_a_rewritten_suffix(case: Case, seq: int) -> None:
    """All of the file is made anew but the heads, which he cannot sign."""
    with Intruder(case.path) as intruder:
        intruder.rechain(seq, forge=other_reason)
    found = case.check()
    bracket = max(size for size in (0, *HEADS) if size < seq)
    assert first(found, Kind.FORKED) == ("forked", bracket + 1)
    assert found.exit_code == 2
    with Intruder(case.path) as intruder:
        intruder.db.execute("DELETE FROM heads WHERE size >= ?", (seq,))
    assert case.check().exit_code == 0  # nothing inside can know
    found = case.check(anchored=True)
    assert (first(found, Kind.FORKED), found.exit_code) == (("forked", bracket + 1), 2)


def test_a_rewritten_suffix_over_the_old_tiles_is_found_to_the_entry(case: Case) -> None:
    with Intruder(case.path) as intruder:
        tiles = intruder.db.execute("SELECT level, n, root, hashes FROM tiles").fetchall()
        intruder.rechain(350, forge=other_reason)
        intruder.db.execute("DELETE FROM tiles")
        intruder.db.executemany("INSERT INTO tiles VALUES (?, ?, ?, ?)", tiles)
    assert first(case.check(), Kind.CORRUPT) == ("tile_differs", 350)


def test_an_older_copy_in_its_place(case: Case, tmp_path: Path) -> None:
    older = make_older(tmp_path, case)
    shutil.copy(older, case.path)
    assert case.check().exit_code == 0
    found = case.check(anchored=True)
    assert (first(found, Kind.FORKED), found.exit_code) == (("truncated", 651), 2)


def make_older(tmp_path: Path, case: Case) -> Path:
    older = tmp_path / "older.sqlite"
    shutil.copy(case.path, older)
    with Intruder(older) as intruder:
        intruder.remove(*range(651, COUNT + 1))
        intruder.db.execute("DELETE FROM heads WHERE size > 650")
    return older


def test_another_ledger_in_its_place(case: Case, tmp_path: Path) -> None:
    """Also signed, by a key of the same name: its key is not the one that the auditor has."""
    (tmp_path / "other").mkdir()
    other = make(tmp_path / "other")
    with Intruder(other.path) as intruder:
        intruder.rechain(2, forge=other_reason)
        intruder.db.execute("DELETE FROM heads")
    Mark(other.path).path.unlink()
    with Store.open(other.path) as store:
        heads.sign_head(store, other.key, ts=10**18)
    assert other.check().exit_code == 0
    shutil.copy(other.path, case.path)
    found = case.check(anchored=True)
    assert first(found, Kind.UNVERIFIABLE) == ("head_forged", 700)
    assert first(found, Kind.FORKED) == ("forked", 1)
    assert found.exit_code == 2


# --- heads --------------------------------------------------------------------------------------


def forged(case: Case, key: SignerKey) -> str:
    said = note.Checkpoint(origin=key.name, size=700, root=b"\x01" * 32, ts=10**18 + 700)
    return note.sign(said, key)


@pytest.mark.parametrize(
    ("statement", "code"),
    [
        ("UPDATE heads SET note = replace(note, '700', '701') WHERE size = 700", "head_forged"),
        ("UPDATE heads SET note = 'x' WHERE size = 700", "head_unreadable"),
        ("UPDATE heads SET ts = ts + 1 WHERE size = 700", "head_forged"),
        ("UPDATE heads SET size = 699 WHERE size = 700", "head_forged"),
        ("UPDATE heads SET size = 9999 WHERE size = 700", "head_forged"),
    ],
)
def test_edited_heads(case: Case, statement: str, code: str) -> None:
    with Intruder(case.path) as intruder:
        intruder.db.execute(statement)
    found = case.check()
    assert first(found, Kind.UNVERIFIABLE)[0] == code
    assert found.exit_code == 3


def test_forged_heads(case: Case, tmp_path: Path) -> None:
    (tmp_path / "k").mkdir()
    theirs = heads.key_of(tmp_path / "k", "calc-1")
    with Intruder(case.path) as intruder:
        intruder.db.execute("UPDATE heads SET note = ? WHERE size = 700", (forged(case, theirs),))
    assert first(case.check(), Kind.UNVERIFIABLE) == ("head_forged", 700)
    with Intruder(case.path) as intruder:  # by somebody who stole the key
        intruder.db.execute("UPDATE heads SET note = ? WHERE size = 700", (forged(case, case.key),))
    found = case.check()
    assert (first(found, Kind.FORKED), found.exit_code) == (("forked", 651), 2)


def test_without_a_key_heads_are_unverifiable(case: Case) -> None:
    found = audit(case.path, Wanted())
    assert (first(found, Kind.UNVERIFIABLE), found.exit_code) == (("no_key", 0), 3)


# --- evidence, schema, the file -----------------------------------------------------------------


def test_edited_and_removed_evidence(case: Case) -> None:
    (file,) = (p for p in case.evidence.rglob("*") if p.is_file())
    file.write_bytes(b"--- a\n+++ c\n")
    assert case.check().exit_code == 0  # only looked at where asked for
    found = case.check(evidence=True)
    assert first(found, Kind.CORRUPT) == ("evidence", 400)
    assert "not what its name says" in found.problems[0].text
    file.unlink()
    found = case.check(evidence=True)
    assert first(found, Kind.CORRUPT) == ("evidence", 400)
    assert found.exit_code == 1


def test_triggers_that_were_disarmed(case: Case) -> None:
    with Intruder(case.path) as intruder:
        intruder._triggers = [
            (name, sql.replace("RAISE(ABORT", "RAISE(IGNORE").replace("'the ledger", "'the ledger"))
            for name, sql in intruder._triggers
        ]
        intruder._triggers = [
            (name, f"CREATE TRIGGER {name} AFTER INSERT ON heads BEGIN SELECT 1; END")
            for name, _ in intruder._triggers
        ]
    assert first(case.check(), Kind.CORRUPT)[0] == "schema_altered"


def test_a_lost_trigger_or_a_broken_file(case: Case) -> None:
    with Intruder(case.path) as intruder:
        intruder._triggers = intruder._triggers[1:]
    found = case.check()
    assert (first(found, Kind.CORRUPT), found.exit_code) == (("unreadable", 0), 1)
    with case.path.open("r+b") as file:
        file.seek(4096 * 20)
        file.write(b"\xff" * 4096 * 40)
    assert case.check().exit_code == 1


def test_rows_that_are_not_listed_under_their_candidate(case: Case) -> None:
    with Intruder(case.path) as intruder:
        intruder.db.execute("DELETE FROM touched WHERE seq = 44")
    assert first(case.check(), Kind.CORRUPT) == ("wrong_candidate", 44)


def test_an_alert_that_is_not_listed(case: Case) -> None:
    with Intruder(case.path) as intruder:
        intruder.db.execute("DELETE FROM touched WHERE seq = 300")
    assert first(case.check(), Kind.CORRUPT) == ("wrong_candidate", 300)


# --- since a trusted head -----------------------------------------------------------------------


def test_since_a_head_reads_only_what_follows(case: Case) -> None:
    found = case.check(since=2)  # of 512 entries
    assert (found.exit_code, found.entries, found.size) == (0, 700 - 256, 700)
    assert (found.heads, found.anchors) == (3, 1)
    with Intruder(case.path) as intruder:
        intruder.db.execute("UPDATE entries SET actor = 'x' WHERE seq = 3")
    assert case.check(since=2).exit_code == 0
    with Intruder(case.path) as intruder:
        intruder.db.execute("UPDATE entries SET actor = 'x' WHERE seq = 513")
    assert first(case.check(since=2), Kind.CORRUPT) == ("wrong_index", 513)


def test_since_a_head_of_another_history(case: Case) -> None:
    with Intruder(case.path) as intruder:
        intruder.rechain(101, forge=other_reason)
        intruder.db.execute("DELETE FROM heads WHERE size > 100")
    for since in (1, 2, 3, 4):
        found = case.check(since=since)
        assert found.exit_code == 2, since
        assert first(found, Kind.FORKED)[0] == "forked"
    assert case.check(since=0).exit_code == 0


def test_the_mark_beside_the_ledger_shows_that_the_end_is_gone(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with Store.open(path) as store:
        for n in range(3):
            store.append(ev.Paused(reason=f"{n}"), actor="a", ts=n, idem=f"{n}")
    mark = Mark(path)
    newest = mark.read()
    assert newest is not None
    assert audit(path, Wanted()).problems == ()
    mark.write(Head(size=newest.size + 2, hash="f" * 64))
    report = audit(path, Wanted())
    assert [(p.code, p.seq) for p in report.problems] == [("truncated", 4)]
    assert report.anchors == 0
