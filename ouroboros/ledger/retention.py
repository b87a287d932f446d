"""What may go when its time is over: evidence that nothing needs any more.

Entries are never pruned, and with them the raw pairs of every measurement, verdicts and answers:
whatever a verdict was computed from stays. What may go are the large payloads that entries only
name (diffs, logs), of candidates that are over and never were promoted. `plan` decides, from values
alone; `RetentionApplied` is written with the list of names before a file is removed, so that a file
that is gone can be told from one that is missing (`pruned`).
"""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path

import msgspec

from ouroboros.errors import LedgerError
from ouroboros.ledger import chain
from ouroboros.ledger.evidence import Evidence
from ouroboros.ledger.store import Store
from ouroboros.model import events as ev
from ouroboros.model.phase import FINAL
from ouroboros.model.state import State

_HASH = re.compile(rb"[0-9a-f]{64}")
_ALWAYS = frozenset({"config_loaded", "limits_changed", "retention_applied", "epoch_started"})
"""Kinds whose evidence is kept for ever: it is small, and later verdicts are read with it."""
FRESH_NS = 3600 * 10**9
"""Younger files go under no quota: the entry that names them may not be written yet."""


class File(msgspec.Struct, frozen=True, kw_only=True):
    """An evidence file: its hash, bytes, and when it was written (ns)."""

    name: str
    size: int
    written_ns: int


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """What entries say of a hash: when it was last named (ns), and whether it must stay."""

    last_ns: int
    stays: bool


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What goes; `kept` is the size of what stays in bytes."""

    files: tuple[File, ...]
    kept: int

    @property
    def bytes(self) -> int:
        """What the files take."""
        return sum(f.size for f in self.files)


def protected(state: State) -> frozenset[str]:
    """Return the candidates of which nothing is removed: on their way, held, or ever promoted."""
    return frozenset(
        c.id for c in state.candidates.values() if c.phase not in FINAL or c.promoted_commit
    )


def uses(store: Store, stays: Collection[str]) -> dict[str, Use]:
    """Read all entries, and return what they say of each hash that they name.

    Kinds that are not known here keep what they name: nobody knows what they need it for.
    """
    found: dict[str, Use] = {}
    for row in store.raw():
        envelope = chain.open_envelope(row.data)
        names = {n.decode() for n in _HASH.findall(bytes(envelope.event))}
        if not names:
            continue
        kind = chain.kind_of(envelope)
        about = chain.candidates_of(envelope, row.data)
        keep = kind in _ALWAYS or kind not in ev.KINDS or any(c in stays for c in about)
        for name in names:
            old = found.get(name)
            last = max(envelope.ts, old.last_ns) if old else envelope.ts
            found[name] = Use(last_ns=last, stays=keep or bool(old and old.stays))
    return found


def plan(
    files: Iterable[File], used: Mapping[str, Use], *, now_ns: int, keep_ns: int, quota: int
) -> Plan:
    """Choose what goes: what is older than `keep_ns`, then the oldest until `quota` bytes are left.

    What must stay stays, whatever the quota. A file that no entry names (its entry was never
    written) goes when it is as old; the clock that wrote the future is not believed to be now.
    """
    stay = 0
    may: list[tuple[int, File]] = []
    for file in files:
        use = used.get(file.name)
        if use is not None and use.stays:
            stay += file.size
        else:
            last = max(file.written_ns, use.last_ns if use else 0)
            may.append((min(last, now_ns), file))
    may.sort(key=lambda pair: (pair[0], pair[1].name))
    total = stay + sum(f.size for _, f in may)
    gone: list[File] = []
    for last, file in may:
        if now_ns - last <= keep_ns and (total <= quota or now_ns - last <= FRESH_NS):
            break
        gone.append(file)
        total -= file.size
    return Plan(files=tuple(gone), kept=total)


def files_of(folder: Path) -> Iterator[File]:
    """Yield the evidence files of a folder; one that vanishes meanwhile is passed over."""
    if not folder.is_dir():
        return
    for part in sorted(folder.iterdir()):
        if not part.is_dir():
            continue
        for path in sorted(part.iterdir()):
            name = part.name + path.name
            if not _HASH.fullmatch(name.encode()):
                continue
            try:
                info = path.stat()
            except FileNotFoundError:
                continue
            yield File(name=name, size=info.st_size, written_ns=info.st_mtime_ns)


def remove(folder: Path, files: Iterable[File]) -> int:
    """Delete evidence files that are as they were when they were chosen; return how many.

    One that was written again meanwhile stays: an entry is about to name it.

    Raises:
        OSError: one cannot be deleted.
    """
    count = 0
    for file in files:
        path = folder / file.name[:2] / file.name[2:]
        try:
            if path.stat().st_mtime_ns == file.written_ns:
                path.unlink()
                count += 1
        except FileNotFoundError:
            continue  # gone already: what was asked for
    return count


def pruned(store: Store, evidence: Evidence) -> dict[str, int]:
    """Return every hash that retention removed, with when (UTC ns).

    Raises:
        LedgerError: the list of one removal cannot be read.
    """
    found: dict[str, int] = {}
    for stored in store.entries(kind="retention_applied"):
        event = stored.entry.event
        if isinstance(event, ev.RetentionApplied) and event.names:
            names = evidence.get(event.names).decode("ascii", "replace").split()
            found |= dict.fromkeys(names, stored.entry.ts)
    return found


def evidence_of(event: ev.AnyEvent) -> tuple[str, ...]:
    """Return the evidence that an event names."""
    match event:
        case ev.Proposed():
            names: tuple[str, ...] = (event.diff,)
        case ev.ConfigLoaded() | ev.LimitsChanged():
            names = (event.text,)
        case ev.Errored():
            names = (event.log,)
        case ev.Evaluated():
            names = tuple(check.log for check in event.evaluation.checks)
        case ev.RetentionApplied():
            names = (event.names,)
        case _:
            names = ()
    return tuple(name for name in names if name)


def named_by(store: Store, folder: Path, *, after: int = 0) -> set[str]:
    """Return the evidence that entries behind `after` name: what they must, and what is there."""
    names: set[str] = set()
    for row in store.raw(after):
        envelope = chain.open_envelope(row.data)
        for found in _HASH.findall(bytes(envelope.event)):
            name = found.decode()
            if (folder / name[:2] / name[2:]).is_file():
                names.add(name)
        try:
            names.update(evidence_of(chain.decode(row.data).event))
        except LedgerError:
            continue  # of another version: what is there was taken above
    return names
