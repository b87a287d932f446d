"""A target's state in one file, and back: the ledger, its keys and its evidence.

The engine may run meanwhile: the ledger is copied by SQLite's own online backup, which is one
moment of it, and evidence is named by its content and never changes. What is in the file is checked
before it counts as made: the copied ledger is verified from its first entry to its last. Nothing is
restored over anything: a folder that holds a ledger is left alone.
"""

import io
import os
import sqlite3
import tarfile
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from ouroboros.errors import LedgerError
from ouroboros.ledger.audit import Wanted, audit
from ouroboros.ledger.heads import verifier_of
from ouroboros.model.text import safe_line

FORMAT = "ouroboros-backup-1"
_ABOUT = "about.json"
_LEDGER = "ledger.sqlite"
_SMALL = ("ledger.sqlite.mark", "head.key", "head.vkey")
_LARGEST_MEMBER = 16 << 30


class About(msgspec.Struct, frozen=True, kw_only=True):
    """What a backup holds."""

    format: str
    target: str
    entries: int
    head: str
    evidence: int


def write(state: Path, file: Path, target: str) -> About:
    """Write the state of a target into a new file; returns what is in it.

    Raises:
        LedgerError: there is no ledger, it does not verify, or the file cannot be written.
    """
    if not (state / _LEDGER).exists():
        raise LedgerError(f"There is no ledger in {state}.", hint="Nothing was written.")
    part = file.with_name(f".{file.name}.part")
    try:
        with tempfile.TemporaryDirectory(prefix="ouroboros-backup-") as place:
            small = {
                name: (state / name).read_bytes() for name in _SMALL if (state / name).exists()
            }
            copy = Path(place) / _LEDGER  # after the mark: a ledger is never behind its mark
            _copied(state / _LEDGER, copy)
            found = audit(copy, Wanted(key=verifier_of(state)))
            if not found.ok:
                bad = found.problems[0]
                raise LedgerError(
                    f"The ledger does not verify, at entry {bad.seq}: {bad.text}",
                    hint="Nothing was written. 'ouroboros ledger verify' says more.",
                )
            evidence = tuple(_evidence(state))
            about = About(
                format=FORMAT,
                target=target,
                entries=found.size,
                head=found.hash,
                evidence=len(evidence),
            )
            with part.open("xb") as out, tarfile.open(fileobj=out, mode="w:gz") as tar:
                os.fchmod(out.fileno(), 0o600)  # a key is in it
                _put(tar, _ABOUT, msgspec.json.encode(about))
                for name, data in small.items():
                    _put(tar, name, data)
                tar.add(copy, _LEDGER, filter=_plain)
                for path in evidence:
                    tar.add(path, str(path.relative_to(state)), filter=_plain)
            part.replace(file)
            return about
    except (OSError, sqlite3.Error, tarfile.TarError) as error:
        raise LedgerError(f"The backup cannot be written: {safe_line(str(error))}.") from error
    finally:
        part.unlink(missing_ok=True)


def _copied(source: Path, copy: Path) -> None:
    with sqlite3.connect(f"file:{source}?mode=ro", uri=True) as old, sqlite3.connect(copy) as new:
        old.backup(new)
    old.close()
    new.close()


def _evidence(state: Path) -> Iterator[Path]:
    for path in sorted((state / "evidence").glob("*/*")):
        if path.is_file() and not path.is_symlink() and "." not in path.name:
            yield path


def _plain(info: tarfile.TarInfo) -> tarfile.TarInfo:
    """Leave away who owned it on which machine."""
    info.uid = info.gid = 0
    info.uname = info.gname = ""
    info.mode = 0o600
    return info


def _put(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    info = _plain(tarfile.TarInfo(name))
    info.size = len(data)
    tar.addfile(info, io.BytesIO(data))


def read(file: Path, state: Path) -> About:
    """Restore a backup into a state folder that holds no ledger; returns what was in it.

    Raises:
        LedgerError: it is no backup, it is damaged, or there is a ledger already.
    """
    if (state / _LEDGER).exists():
        raise LedgerError(
            f"{state} holds a ledger already; nothing was touched.",
            hint="Move it away if you want the backup in its place.",
        )
    try:
        with tempfile.TemporaryDirectory(prefix=".restore-", dir=state) as place:
            about = _unpacked(file, Path(place))
            found = audit(Path(place) / _LEDGER, Wanted(key=verifier_of(Path(place))))
            if not found.ok or (found.size, found.hash) != (about.entries, about.head):
                raise LedgerError("The ledger in the backup does not verify; nothing was restored.")
            _moved(Path(place), state)
    except (OSError, sqlite3.Error, tarfile.TarError, EOFError, msgspec.DecodeError) as error:
        raise LedgerError(
            f"{file} cannot be restored: {safe_line(str(error))}.", hint="Nothing was restored."
        ) from error
    return about


def _unpacked(file: Path, place: Path) -> About:
    """Unpack what a backup may hold, and nothing else, whatever the names in it say."""
    about: About | None = None
    with tarfile.open(file, mode="r:gz") as tar:
        for info in tar:
            if not info.isreg() or not _known(info.name) or info.size > _LARGEST_MEMBER:
                name = safe_line(info.name, limit=80)
                raise LedgerError(f"{file} holds {name!r}, which no backup of ours does.")
            source = tar.extractfile(info)
            if source is None:
                raise LedgerError(f"{file} is damaged.")
            if info.name == _ABOUT:
                about = msgspec.json.decode(source.read(1 << 16), type=About)
                continue
            target = place / info.name
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with target.open("xb") as out:
                os.fchmod(out.fileno(), 0o600)
                while block := source.read(1 << 20):
                    out.write(block)
    if about is None or about.format != FORMAT or not (place / _LEDGER).exists():
        raise LedgerError(f"{file} is no backup that this version knows.")
    return about


def _known(name: str) -> bool:
    if name in (_ABOUT, _LEDGER, *_SMALL):
        return True
    parts = name.split("/")
    digits = "".join(parts[1:])
    shaped = len(parts) == 3 and parts[0] == "evidence" and len(parts[1]) == 2  # noqa: PLR2004 - evidence/ab/cdef...
    return shaped and all(c in "0123456789abcdef" for c in digits) and len(digits) in (64, 66)


def _moved(place: Path, state: Path) -> None:
    """Put everything where it belongs; the ledger last, so that a part of it is no state."""
    for path in sorted(place.rglob("*")):
        if path.is_dir() or path.name == _LEDGER:
            continue
        target = state / path.relative_to(place)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.replace(target)
    (place / _LEDGER).replace(state / _LEDGER)
