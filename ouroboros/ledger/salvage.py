"""What to do with a damaged ledger: keep all of it aside, save what is proven, begin an epoch.

Nothing is repaired. The damaged files go to `quarantine/<time>/` exactly as they are, and stay
there; the verified beginning goes into a new ledger, bit for bit; the entry that follows it names
the break (`EpochStarted`), so that no reader of the new ledger can miss that there was one.

The new ledger is finished beside the old one and then takes its place. A kill before leaves the old
one, a kill in between leaves a finished new one that takes its place when the ledger is next opened
for writing (`files.adopt_salvaged`).
"""

import contextlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import msgspec
from msgspec.structs import replace

from ouroboros.errors import ConflictError, LedgerCorruptError, LedgerError
from ouroboros.ledger import files
from ouroboros.ledger.mark import Mark
from ouroboros.ledger.store import Store
from ouroboros.model.entry import GENESIS, Head
from ouroboros.model.events import EpochStarted

_SIDES = ("", "-wal", "-shm", ".mark")
"""What belongs to a ledger's file."""
_BATCH = 500


class Damage(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a ledger: `kept` ends what can be saved, `old` is what it claims to be.

    `first_bad` is 0 where nothing is wrong.
    """

    kept: Head
    old: Head
    first_bad: int
    flaw: str
    problem: str

    @property
    def lost(self) -> int:
        """How many entries are lost, as far as anybody can tell."""
        return max(self.old.size - self.kept.size, 0)


def examine(ledger: Path, progress: Callable[[int, int], None] | None = None) -> Damage:
    """Look at a copy of a ledger, and tell what can be saved; the files are not touched.

    Raises:
        LedgerError: there is none, or no space for the copy.
    """
    with _copied(ledger) as copy:
        return _examine(copy, Mark(ledger).read(), progress)


@contextlib.contextmanager
def _copied(ledger: Path) -> Iterator[Path]:
    """Lend a copy with its write-ahead log: opening a damaged database may change it."""
    if not ledger.exists():
        raise LedgerError(f"There is no ledger at {ledger}.", hint="Nothing can be salvaged.")
    folder = ledger.with_name(f".salvage-{os.getpid()}")
    with files.translated(ledger):
        try:
            folder.mkdir(mode=0o700)
            for side in ("", "-wal"):
                source = ledger.with_name(ledger.name + side)
                if source.exists():
                    shutil.copyfile(source, folder / (ledger.name + side))
            yield folder / ledger.name
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _examine(
    copy: Path, marked: Head | None, progress: Callable[[int, int], None] | None
) -> Damage:
    old = _claimed(copy)
    if marked is not None and marked.size > old.size:
        old = marked
    nothing = Head(size=0, hash=GENESIS)
    problem = ""
    try:
        Store.open(copy, read_only=True).close()
    except LedgerCorruptError as error:
        problem = error.message.replace(str(copy), "the file")
    try:
        with Store.open(copy, read_only=True, lenient=True) as store:
            report = store.verify(progress, marked=marked)
    except LedgerCorruptError:
        return Damage(kept=nothing, old=old, first_bad=1, flaw="unreadable", problem=problem)
    if report.bad is not None:
        bad = report.bad
        return Damage(
            kept=report.head, old=old, first_bad=bad.seq, flaw=bad.flaw.value, problem=bad.text
        )
    first = report.head.size + 1 if problem else 0
    flaw = "altered" if problem else ""
    return Damage(kept=report.head, old=old, first_bad=first, flaw=flaw, problem=problem)


def _claimed(copy: Path) -> Head:
    """Return the end that the file claims to have, as far as it can be read."""
    with contextlib.suppress(sqlite3.Error, LedgerError, OSError):
        db = files.connect(copy, read_only=True)
        with contextlib.closing(db):
            db.text_factory = lambda text: text.decode("utf-8", "replace")
            row = db.execute("SELECT seq, hash FROM entries ORDER BY seq DESC LIMIT 1").fetchone()
            if row is not None:
                return Head(size=int(row[0]), hash=str(row[1]))
    return Head(size=0, hash=GENESIS)


def quarantine(ledger: Path, evidence: Path, folder: Path) -> Path:
    """Copy the files of a ledger, and the list of its evidence, into a new folder; on disk.

    Raises:
        ConflictError: the folder is there already.
        LedgerFullError, LedgerError: it could not be done; nothing is left of it.
    """
    if folder.exists():
        raise ConflictError(f"{folder} exists already.", hint="Try again in a second.")
    part = folder.with_name(f"{folder.name}.part")
    with files.translated(ledger):
        shutil.rmtree(part, ignore_errors=True)
        part.mkdir(mode=0o700, parents=True)
        try:
            for side in _SIDES:
                source = ledger.with_name(ledger.name + side)
                if source.exists():
                    _copy(source, part / source.name)
            _list(evidence, part / "evidence.txt")
            files.sync_folder(part)
            part.rename(folder)
            files.sync_folder(folder.parent)
        except BaseException:
            shutil.rmtree(part, ignore_errors=True)
            raise
    return folder


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as old, target.open("xb") as new:
        target.chmod(0o400)
        shutil.copyfileobj(old, new, 1 << 20)
        new.flush()
        os.fsync(new.fileno())


def _list(evidence: Path, target: Path) -> None:
    """Write one line per evidence file: its hash and its size."""
    with target.open("x") as out:
        for name, size in evidence_files(evidence):
            out.write(f"{name} {size}\n")
        out.flush()
        os.fsync(out.fileno())


def evidence_files(evidence: Path) -> Iterable[tuple[str, int]]:
    """Yield (hash, bytes) of every evidence file, in order."""
    if not evidence.is_dir():
        return
    for folder in sorted(evidence.iterdir()):
        if folder.is_dir():
            for file in sorted(folder.iterdir()):
                if not file.name.startswith("put-"):
                    yield folder.name + file.name, file.stat().st_size


def salvage(
    ledger: Path, damage: Damage, *, kept_aside: str, actor: str, ts: int, reason: str
) -> Head:
    """Put the verified beginning and the first entry of a new epoch in the ledger's place.

    Args:
        ledger: the damaged ledger, of which no engine may be running.
        damage: as `examine` found it.
        kept_aside: where the damaged files lie, for the entry.
        actor: who decided it.
        ts: UTC nanoseconds.
        reason: why, in his words.

    Returns:
        The head of the new ledger.

    Raises:
        LedgerFullError, LedgerError: it could not be done; the old ledger is as it was.
    """
    event = EpochStarted(
        epoch=0,  # known when what is kept was read
        old_size=damage.old.size,
        old_head=damage.old.hash,
        kept_size=damage.kept.size,
        kept_head=damage.kept.hash,
        first_bad=damage.first_bad,
        flaw=damage.flaw,
        problem=damage.problem,
        quarantine=kept_aside,
        reason=reason,
    )
    done = files.salvaged(ledger)
    part = done.with_name(f"{done.name}.part")
    with files.translated(ledger), _copied(ledger) as copy:
        try:
            _remove(part)
            head = _build(part, copy, event, actor, ts)
            files.settle(part, done)
        finally:
            _remove(part)
    with files.translated(ledger):
        _swap(ledger)
        Mark(ledger).write(head)
    return head


def _swap(ledger: Path) -> None:
    files.adopt_salvaged(ledger)


def _build(part: Path, copy: Path, event: EpochStarted, actor: str, ts: int) -> Head:
    """Fill the new ledger; it is closed, so whole in one file, when this returns."""
    with Store.open(part) as new:
        epoch = 1
        if event.kept_size:
            with Store.open(copy, read_only=True, lenient=True) as old:
                epoch += _take(old, new, event.kept_size)
        event = replace(event, epoch=epoch)
        stored = new.append(event, actor=actor, ts=ts, idem=f"epoch:{epoch}:{ts}")
        if not new.verify().ok:
            raise LedgerError("What was salvaged does not verify; the old ledger is as it was.")
        return Head(size=stored.entry.seq, hash=stored.hash)


def _take(old: Store, new: Store, size: int) -> int:
    """Copy the first `size` entries and the heads over them; return how many epochs they hold."""
    done = 0
    while done < size:
        batch = old.some(after=done, limit=min(_BATCH, size - done))
        if not batch:
            raise LedgerError(f"Entry {done + 1} could be read a moment ago, and now it cannot.")
        new.take(batch)
        done = batch[-1].seq
    with contextlib.suppress(LedgerError):  # heads may be what is damaged; others hold copies
        for head in old.heads():
            if head.size <= size:
                new.add_head(size=head.size, ts=head.ts, note=head.note)
    return sum(1 for _ in new.envelopes(kind="epoch_started"))


def _remove(part: Path) -> None:
    for side in _SIDES:
        part.with_name(part.name + side).unlink(missing_ok=True)
