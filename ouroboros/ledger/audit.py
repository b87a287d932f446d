"""The whole verification, for somebody who trusts nothing but a head that he kept.

Reads a ledger file (or a copy of one) and nothing of the engine. What is looked at, in this order:

1. the file is a ledger, with its tables and triggers as they were made;
2. each entry: hash, link, number, columns (`sweep`), tiles of the tree, operators' signatures, and
   by choice its evidence (`stretch`, in several processes where there is much);
3. each signed head that is stored: its signature, and the Merkle root that it names;
4. each anchor, a head from outside: the same, and that the ledger reaches it;
5. the table by which candidates are found.

Kinds of problems, each with its own exit code, the lowest counts: *corrupt* (the file contradicts
itself), *forked* (it is whole in itself, but not the record whose head was signed or anchored: cut
off or rewritten), *unverifiable* (a signature is missing, wrong, or by an unknown key).
"""

import sqlite3
from base64 import b64encode
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from datetime import UTC, datetime
from enum import StrEnum
from multiprocessing import get_context
from pathlib import Path

import msgspec

from ouroboros.errors import HeadError, LedgerCorruptError, LedgerError, NotFoundError
from ouroboros.ledger import chain, columns, files, note, retention, schema, stretch
from ouroboros.ledger.chain import Note
from ouroboros.ledger.evidence import Evidence
from ouroboros.ledger.heads import origin_of
from ouroboros.ledger.mark import Mark
from ouroboros.ledger.merkle import EMPTY, Frontier, Hash
from ouroboros.ledger.note import VerifierKey
from ouroboros.ledger.store import Store, StoredHead
from ouroboros.ledger.stretch import Cut, Outcome, Task
from ouroboros.ledger.tree import BITS, WIDTH, Tree, tile_root
from ouroboros.model.entry import GENESIS
from ouroboros.model.events import TargetAdopted

STRETCH = 64 * WIDTH
"""Entries of one stretch."""
PARALLEL_FROM = 16 * STRETCH
"""Fewer entries are verified in this process: starting others takes longer."""
NOTES_KEPT = 100
_OF_ONE_CODE = 20
"""Problems of one code that a report lists; all are counted."""


class Kind(StrEnum):
    """What a problem means for the whole."""

    CORRUPT = "corrupt"
    FORKED = "forked"
    UNVERIFIABLE = "unverifiable"


EXIT_CODES = {Kind.CORRUPT: 1, Kind.FORKED: 2, Kind.UNVERIFIABLE: 3}


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something wrong: `seq` is the first bad entry (0: none), `byte` as in `Finding`."""

    kind: Kind
    code: str
    seq: int
    text: str
    byte: int = -1


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """A head from outside: a size with a root, a chain hash, or both. `source` says whence.

    Not `firm`: it does not say which ledger it is of, so that a contradiction is only noted. Not
    `outside`: it lies beside the ledger, so that it is not counted as an anchor.
    """

    size: int
    source: str
    root: Hash = b""
    hash: str = ""
    firm: bool = True
    outside: bool = True


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """What a verification found. `root` is base64; counts are of what was looked at.

    Where `problems` name a bad entry, size, hash and root are those of the good part before it.
    """

    exit_code: int
    entries: int
    size: int
    hash: str
    root: str
    origin: str
    heads: int
    anchors: int
    signatures: int
    signatures_checked: bool
    evidence: int
    problems: tuple[Problem, ...]
    problems_total: int
    notes: tuple[Note, ...]
    notes_total: int

    @property
    def ok(self) -> bool:
        """Whether nothing is wrong."""
        return self.exit_code == 0


class Wanted(msgspec.Struct, frozen=True, kw_only=True):
    """What to verify against.

    Attributes:
        key: whose signatures heads must bear; None: they cannot be checked, which is a problem.
        anchors: heads from outside.
        since: a head that is trusted: only what follows it is read.
        evidence: the folder of evidence, to check that it is whole; None: not looked at.
        operators: names and keys of those who sign approvals; empty: signatures are only counted.
        jobs: processes at most.
        problems: what the caller found wrong with the anchors themselves; part of the report.
    """

    key: VerifierKey | None = None
    anchors: tuple[Anchor, ...] = ()
    since: Anchor | None = None
    evidence: Path | None = None
    operators: Mapping[str, bytes] = {}
    jobs: int = 1
    problems: tuple[Problem, ...] = ()


def audit(path: Path, wanted: Wanted, progress: Callable[[int, int], None] | None = None) -> Audit:
    """Verify a ledger file; whatever it holds ends in the report.

    Raises:
        LedgerError: there is no such file, it is not a ledger, or of a newer layout.
    """
    marked = Mark(path).read()  # before the ledger: it is written after each entry
    if marked is not None and marked.size:
        mark = Anchor(
            size=marked.size, hash=marked.hash, source="The mark beside the ledger", outside=False
        )
        wanted = msgspec.structs.replace(wanted, anchors=(*wanted.anchors, mark))
    found = _Findings()
    for known in wanted.problems:
        found.add(known.kind, known.code, known.seq, known.text)
    try:
        with Store.open(path, read_only=True) as store, files.translated(path):
            work = _Work(path, store, wanted, found)
            work.run(progress)
            return work.result()
    except LedgerCorruptError as error:
        found.add(Kind.CORRUPT, "unreadable", 0, f"{error.message}")
        return _Work.nothing(found)


def origin_in(path: Path) -> str:
    """Return the origin that a ledger's first entry gives it; empty where it cannot be read.

    Raises:
        LedgerError: there is no such file, it is not a ledger, or of a newer layout.
    """
    try:
        with Store.open(path, read_only=True) as store:
            target = _target_of(store)
    except LedgerCorruptError:
        return ""
    return origin_of(target) if target else ""


class _Findings:
    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.total = 0
        self.notes: list[Note] = []
        self.notes_total = 0
        self._codes: dict[str, int] = {}

    def add(self, kind: Kind, code: str, seq: int, text: str, byte: int = -1) -> None:
        self.total += 1
        self._codes[code] = self._codes.get(code, 0) + 1
        if self._codes[code] <= _OF_ONE_CODE:
            self.problems.append(Problem(kind=kind, code=code, seq=seq, text=text, byte=byte))

    def note(self, seq: int, text: str) -> None:
        self.notes_total += 1
        if len(self.notes) < NOTES_KEPT:
            self.notes.append(Note(seq=seq, text=text))

    @property
    def exit_code(self) -> int:
        return min((EXIT_CODES[p.kind] for p in self.problems), default=0)


class _Work:
    def __init__(self, path: Path, store: Store, wanted: Wanted, found: _Findings) -> None:
        self._path, self._store, self._wanted, self._found = path, store, wanted, found
        self._total = store.head().size
        self._first = 0
        """Entries before the first that is read."""
        self._size, self._hash, self._ts = 0, GENESIS, 0
        self._frontier = Frontier()
        self._pending: list[list[Hash]] = [[], []]
        self._root = EMPTY
        self._proven = 0
        """The size of the newest head whose root was right."""
        self._heads = self._anchors = self._signatures = self._evidence = 0
        self._stopped = False
        self._target = _target_of(store)
        self._pruned_names: Mapping[str, int] = {}
        self._pruned: set[str] = set()
        self._db = stretch.connect(path)

    @staticmethod
    def nothing(found: _Findings) -> Audit:
        """Return the report on a file of which nothing could be read."""
        return _report(found)

    def result(self) -> Audit:
        """Return the report."""
        self._db.close()
        return msgspec.structs.replace(
            _report(self._found),
            entries=self._size - self._first,
            size=self._size,
            hash=self._hash,
            root=b64encode(self._root).decode(),
            origin=origin_of(self._target) if self._target else "",
            heads=self._heads,
            anchors=self._anchors,
            signatures=self._signatures,
            signatures_checked=bool(self._wanted.operators),
            evidence=self._evidence,
        )

    # --- the order of work ----------------------------------------------------------------------

    def run(self, progress: Callable[[int, int], None] | None) -> None:
        """Look at everything."""
        for name in schema.altered(self._db):
            text = f"The definition of '{name}' in the file is not the one it was made with."
            self._found.add(Kind.CORRUPT, "schema_altered", 0, text)
        self._read_pruned()
        if self._wanted.since is not None and not self._begin_at(self._wanted.since):
            return
        try:
            with ExitStack() as stack:
                pool = self._pool(stack)
                listed = pool.submit(columns.check, self._path, self._first) if pool else None
                for task, outcome in self._outcomes(pool):
                    self._take(task, outcome)
                    if progress:
                        progress(self._size, max(self._total, self._size))
                    if self._stopped:
                        return
                fault = listed.result() if listed else columns.check(self._path, self._first)
        except BrokenProcessPool as error:
            raise LedgerError(
                "A process of the verification was killed from outside; nothing can be said.",
                hint="Free some memory, or verify with --jobs 1.",
            ) from error
        self._note_pruned()
        self._beyond()
        self._check_tiles()
        if fault:
            self._found.add(Kind.CORRUPT, *fault)

    def _read_pruned(self) -> None:
        """Learn what retention removed, so that it is told from what is missing."""
        if self._wanted.evidence is None:
            return
        try:
            self._pruned_names = retention.pruned(self._store, Evidence(self._wanted.evidence))
        except (LedgerError, NotFoundError) as error:
            text = f"What retention removed cannot be told: {error}"
            self._found.add(Kind.CORRUPT, "evidence", 0, text)

    def _note_pruned(self) -> None:
        if self._pruned:
            newest = max(self._pruned_names[name] for name in self._pruned)
            date = datetime.fromtimestamp(newest / 1e9, UTC).date()
            text = f"{len(self._pruned)} evidence files were pruned by retention, last on {date}."
            self._found.note(0, text)

    def _begin_at(self, since: Anchor) -> bool:
        """Start from a trusted head: at the tile in which its last entry lies.

        Nothing before is read but the tree's hashes, which the head's root proves.
        """
        if since.size > self._total:
            self._truncated(since)
            return False
        base = (since.size - 1) >> BITS << BITS
        tree = Tree(self._store.connection)
        try:
            for level, hashed in tree.complete(base):
                self._frontier.append(hashed, level)
        except LedgerError as error:
            self._found.add(Kind.CORRUPT, "tile_missing", 0, error.message)
            return False
        row = self._db.execute("SELECT hash FROM entries WHERE seq = ?", (base,)).fetchone()
        self._first = self._size = base
        self._hash = row[0].decode("utf-8", "replace") if row else GENESIS
        return True

    def _pool(self, stack: ExitStack) -> ProcessPoolExecutor | None:
        """Return processes to verify in, where that pays."""
        if self._wanted.jobs < 2 or self._total - self._first < PARALLEL_FROM:  # noqa: PLR2004 - one is no pool
            return None
        pool = ProcessPoolExecutor(self._wanted.jobs, mp_context=get_context("spawn"))
        stack.callback(pool.shutdown, wait=True, cancel_futures=True)
        return pool

    def _outcomes(self, pool: ProcessPoolExecutor | None) -> Iterator[tuple[Task, Outcome]]:
        """Verify all stretches, several at once where there are many; in order."""
        tasks = self._tasks()
        if pool is None:
            for task in tasks:
                yield task, stretch.verify(task)
            return
        running: deque[tuple[Task, Future[Outcome]]] = deque()
        for task in tasks:
            running.append((task, pool.submit(stretch.verify, task)))
            if len(running) > 2 * self._wanted.jobs:
                first, future = running.popleft()
                yield first, future.result()
        while running:
            first, future = running.popleft()
            yield first, future.result()

    def _tasks(self) -> Iterator[Task]:
        outside = [a.size for a in self._wanted.anchors]
        if self._wanted.since is not None:
            outside.append(self._wanted.since.size)
        for low in range(self._first, self._total, STRETCH):
            high = min(low + STRETCH, self._total)
            sizes = {head.size for head in self._stored(low, high)}
            sizes |= {size for size in outside if low < size <= high}
            if high == self._total:
                sizes.add(high)
            yield Task(
                path=str(self._path),
                low=low,
                high=high,
                cuts=tuple(sorted(sizes)),
                evidence=str(self._wanted.evidence or ""),
                operators=self._wanted.operators,
                target=self._target,
                pruned=self._pruned_names,
            )

    def _stored(self, low: int, high: int) -> list[StoredHead]:
        return self._store.heads(after=low, upto=high)

    # --- one stretch ----------------------------------------------------------------------------

    def _take(self, task: Task, outcome: Outcome) -> None:
        report, found = outcome.report, self._found
        if outcome.before != self._hash:
            text = f"Entry {task.low + 1}: the file was changed while it was read."
            found.add(Kind.CORRUPT, "changed_meanwhile", task.low + 1, text)
            self._stopped = True
            return
        if outcome.first_ts is not None and outcome.first_ts < self._ts:
            back = self._ts - outcome.first_ts
            found.note(task.low + 1, f"Entry {task.low + 1}: the clock went back by {back} ns.")
        for said in report.notes:
            found.note(said.seq, said.text)
        found.notes_total += report.notes_total - len(report.notes)
        for fault in outcome.faults:
            kind = Kind.UNVERIFIABLE if fault.code == "operator_signature" else Kind.CORRUPT
            found.add(kind, fault.code, fault.seq, fault.text)
        self._signatures += outcome.signatures
        self._evidence += outcome.evidence
        self._pruned |= outcome.pruned
        cuts = self._grow(task.low, outcome)
        self._size, self._hash = report.head.size, report.head.hash
        self._ts = outcome.last_ts or self._ts
        self._compare(task, {cut.size: cut for cut in outcome.cuts}, cuts)
        bad = report.bad
        if bad is not None:
            found.add(Kind.CORRUPT, bad.flaw.value, bad.seq, bad.text, bad.byte)
            self._stopped = True

    def _grow(self, low: int, outcome: Outcome) -> dict[int, Hash]:
        """Grow the tree by a stretch; return the roots at the cuts."""
        roots: dict[int, Hash] = {}
        waiting = deque(outcome.cuts)

        def reach(border: int) -> None:
            while waiting and waiting[0].size <= border + WIDTH:
                cut = waiting.popleft()
                roots[cut.size] = self._frontier.extended(cut.leaves).root()

        for number, top in enumerate(outcome.tiles):
            reach(low + (number << BITS))
            self._frontier.append(top, BITS)
            self._pending[1].append(top)
            if len(self._pending[1]) == WIDTH:
                self._check_upper()
        reach(low + (len(outcome.tiles) << BITS))
        self._root = roots.get(outcome.report.head.size, self._root)
        return roots

    def _compare(self, task: Task, cuts: Mapping[int, Cut], roots: Mapping[int, Hash]) -> None:
        """Compare roots and hashes with heads, stored ones and those from outside, by size."""
        heads = [self._opened(head) for head in self._stored(task.low, task.high)]
        since = [self._wanted.since] if self._wanted.since else []
        outside = [a for a in (*since, *self._wanted.anchors) if task.low < a.size <= task.high]
        self._anchors += sum(anchor.outside for anchor in outside)
        for anchor in sorted((*filter(None, heads), *outside), key=lambda a: a.size):
            if anchor.size not in roots:
                continue  # behind the first bad entry: it cannot be judged
            wrong = ""
            if anchor.root and anchor.root != roots[anchor.size]:
                wrong = f"root {b64encode(anchor.root).decode()}, found is "
                wrong += b64encode(roots[anchor.size]).decode()
            elif anchor.hash and anchor.hash != cuts[anchor.size].hash:
                wrong = f"hash {anchor.hash}, found is {cuts[anchor.size].hash}"
            if not wrong:
                self._proven = anchor.size
            else:
                self._forked(anchor, wrong)

    def _forked(self, anchor: Anchor, wrong: str) -> None:
        first = self._proven + 1
        where = f"entry {first}" if first == anchor.size else f"entries {first} to {anchor.size}"
        text = (
            f"{anchor.source} says that {anchor.size} entries have {wrong}: {where} "
            "are not, or not all, what was written."
        )
        if anchor.firm:
            self._found.add(Kind.FORKED, "forked", first, text)
        else:
            self._found.note(first, f"{text} It does not name its ledger, so may be another's.")

    def _opened(self, head: StoredHead) -> Anchor | None:
        """Check a stored head by itself; return it as an anchor where it can be believed."""
        self._heads += 1
        source = f"The stored head of {head.size} entries"
        try:
            signed = note.parse(head.note)
            said = signed.checkpoint
        except HeadError as error:
            self._found.add(Kind.UNVERIFIABLE, "head_unreadable", head.size, f"{source}: {error}")
            return None
        wrong = ""
        if (said.size, said.ts) != (head.size, head.ts):
            wrong = f"its note says {said.size} entries and time {said.ts}, its row {head.ts}"
        elif self._target and said.origin != origin_of(self._target):
            wrong = f"it is of {said.origin}, not of {origin_of(self._target)}"
        elif self._wanted.key is not None and not signed.verified_by(self._wanted.key):
            wrong = f"its signature is not that of {self._wanted.key}"
        if wrong:
            self._found.add(Kind.UNVERIFIABLE, "head_forged", head.size, f"{source}: {wrong}.")
            return None
        if self._wanted.key is None and self._heads == 1:
            self._found.add(
                Kind.UNVERIFIABLE, "no_key", 0, "The signatures of heads cannot be checked: no key."
            )
        return Anchor(size=head.size, root=said.root, source=source)

    # --- after the last entry -------------------------------------------------------------------

    def _beyond(self) -> None:
        """Heads of more entries than there are: the end was cut off."""
        after = self._total
        while stored := self._store.heads(after=after, limit=1000):
            after = stored[-1].size
            for anchor in filter(None, map(self._opened, stored)):
                self._truncated(anchor)
        for anchor in self._wanted.anchors:
            if anchor.size > self._total:
                self._anchors += anchor.outside
                self._truncated(anchor)

    def _truncated(self, anchor: Anchor) -> None:
        first, missing = self._total + 1, anchor.size - self._total
        text = (
            f"{anchor.source} covers {anchor.size} entries, the ledger ends at {self._total}: "
            f"{missing} from entry {first} on are missing."
        )
        if anchor.firm:
            self._found.add(Kind.FORKED, "truncated", first, text)
        else:
            self._found.note(first, f"{text} It does not name its ledger, so may be another's.")

    def _check_upper(self, level: int = 1) -> None:
        """Compare a tile of roots with the stored one, and hand its own root up."""
        hashes = self._pending[level]
        top = tile_root(hashes)
        number = (self._frontier.size >> (BITS * (level + 1))) - 1
        if schema.version(self._db) >= schema.FIRST_WITH_TREE and not self._first:
            row = self._db.execute(
                "SELECT root, hashes FROM tiles WHERE level = ? AND n = ?", (level, number)
            ).fetchone()
            if row != (top, b"".join(hashes)):
                text = f"Tile {number} of level {level} is missing or not what the entries make."
                self._found.add(Kind.CORRUPT, "tile_differs", 0, text)
        hashes.clear()
        if len(self._pending) == level + 1:
            self._pending.append([])
        self._pending[level + 1].append(top)
        if len(self._pending[level + 1]) == WIDTH:
            self._check_upper(level + 1)

    def _check_tiles(self) -> None:
        """Look for tiles that no entry makes."""
        if schema.version(self._db) < schema.FIRST_WITH_TREE:
            return
        rows = self._db.execute("SELECT level, count(*), max(n) FROM tiles GROUP BY level")
        for level, count, last in rows.fetchall():
            expected = self._total >> (BITS * (level + 1)) if level < 8 else 0  # noqa: PLR2004 - 2^72 entries
            if (count, last) != (expected, expected - 1):
                text = (
                    f"The tree keeps {count} tiles of level {level}, {self._total} entries make "
                    f"{expected}: entries were removed, or tiles."
                )
                seq = self._total + 1 if last >= expected else 0
                self._found.add(Kind.CORRUPT, "tiles_left_over", seq, text)


def _report(found: _Findings) -> Audit:
    return Audit(
        exit_code=found.exit_code,
        entries=0,
        size=0,
        hash=GENESIS,
        root="",
        origin="",
        heads=0,
        anchors=0,
        signatures=0,
        signatures_checked=False,
        evidence=0,
        problems=tuple(found.problems),
        problems_total=found.total,
        notes=tuple(found.notes),
        notes_total=found.notes_total,
    )


def _target_of(store: Store) -> str:
    """Return the target that the first entry names; empty where it cannot be read."""
    try:
        first = next(store.raw(), None)
        event = chain.decode(first.data).event if first is not None else None
    except (LedgerError, TypeError, sqlite3.Error):
        return ""  # the verification of that entry will say what is wrong with it
    return event.target if isinstance(event, TargetAdopted) else ""
