"""What the cockpit shows, as a value; and the pure fold that keeps it current.

`View` = the engine's folded state + what is live and not in the ledger + what we know about the
connection. `advance(view, item)` is the only way in which it changes, and it folds ledger entries
through the very function that the engine uses (`ouroboros.model.state.advance`). Nothing here
knows of a terminal, a clock or a socket: the time arrives as `now_ns`, so that every sentence on
the screen can be tested without one.

An entry of a kind that this client does not know, or that it cannot fold (a candidate that the
snapshot left out), never ends the session: the view goes on and sets `resync`, which asks the
link for a new snapshot.
"""

from collections.abc import Mapping
from enum import StrEnum

import msgspec
from msgspec.structs import replace

from ouroboros.errors import IllegalMoveError
from ouroboros.model import events as ev
from ouroboros.model import state as fold
from ouroboros.model.describe import describe
from ouroboros.model.entry import Stored
from ouroboros.model.phase import FINAL, Phase
from ouroboros.model.progress import Progress
from ouroboros.model.snapshot import Activity, EngineStatus, Snapshot
from ouroboros.model.state import Candidate, State
from ouroboros.model.verdict import Comparison, confirmed

LEDGER_KEPT = 500
"""Ledger lines held in memory; older ones are fetched again when somebody scrolls there."""
TRACK_KEPT = 60
"""Points of a converging comparison that are remembered for the small plot."""

_RANKS = {"viewer": 0, "operator": 1, "approver": 2, "admin": 3}


class Contact(StrEnum):
    """Whether we hear the engine."""

    CONNECTING = "connecting"
    LIVE = "live"
    STALE = "stale"


# --- what arrives -------------------------------------------------------------------------------


class Attached(msgspec.Struct, frozen=True, kw_only=True):
    """The engine answers. `snapshot` is None where the events are resumed without a gap."""

    at_ns: int
    actor: str
    role: str
    engine_version: str
    status: EngineStatus
    snapshot: Snapshot | None = None


class Detached(msgspec.Struct, frozen=True, kw_only=True):
    """The engine does not answer; the next attempt is at `retry_ns`."""

    at_ns: int
    retry_ns: int
    reason: str
    hint: str = ""


class Unknown(msgspec.Struct, frozen=True, kw_only=True):
    """A durable event of a kind that this client does not know."""

    seq: int
    topic: str
    hash: str


class LedgerLine(msgspec.Struct, frozen=True, kw_only=True):
    """One ledger entry for people."""

    seq: int
    ts: int
    kind: str
    actor: str
    candidate: str
    text: str


class Forget(msgspec.Struct, frozen=True, kw_only=True):
    """The progress of something that is no candidate is over."""

    name: str = ""


class LedgerLines(msgspec.Struct, frozen=True, kw_only=True):
    """Ledger lines that were fetched (newest first); `older` is the cursor below them, 0: none."""

    lines: tuple[LedgerLine, ...]
    older: int = 0


Item = Attached | Detached | Stored | Unknown | Progress | EngineStatus | LedgerLines | Forget


# --- the view -----------------------------------------------------------------------------------


class View(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the cockpit can show.

    `lost_ns` is when we last lost the engine; `skew_ns` what to add to our clock to get the
    engine's; `ledger` is newest first; `tracks` holds the comparisons of running evaluations as
    they converged, by candidate and stage.
    """

    read_only: bool = False
    contact: Contact = Contact.CONNECTING
    lost_ns: int = 0
    retry_ns: int = 0
    trouble: str = ""
    hint: str = ""
    actor: str = ""
    role: str = ""
    engine_version: str = ""
    skew_ns: int = 0
    utc_offset_s: int = 0
    state: State = State()
    status: EngineStatus | None = None
    trimmed: int = 0
    progress: Mapping[str, Progress] = {}
    tracks: Mapping[tuple[str, str], tuple[Comparison, ...]] = {}
    ledger: tuple[LedgerLine, ...] = ()
    older: int = 0
    resync: bool = False

    @property
    def attached(self) -> bool:
        """Whether there has ever been something to show."""
        return self.status is not None


def advance(view: View, item: Item) -> View:
    """Fold what arrived into the view; never raises for anything an engine may send."""
    match item:
        case Stored():
            return _stored(view, item)
        case Progress():
            return _progressed(view, item)
        case EngineStatus():
            return replace(view, status=item)
        case Unknown():
            return _unknown(view, item)
        case Attached():
            return _attached(view, item)
        case Detached():
            return _detached(view, item)
        case LedgerLines():
            return _paged(view, item)
        case Forget():
            gone = {n: p for n, p in view.progress.items() if n != item.name}
            return replace(view, progress=gone)


def _attached(view: View, item: Attached) -> View:
    view = replace(
        view,
        contact=Contact.LIVE,
        trouble="",
        hint="",
        actor=item.actor,
        role=item.role,
        engine_version=item.engine_version,
        status=item.status,
        skew_ns=item.status.now_ns - item.at_ns,
    )
    if item.snapshot is None:
        return view
    snap = item.snapshot
    known = tuple(row for row in view.ledger if row.seq <= snap.state.seq)
    same = view.status is not None and view.state.path == snap.state.path
    gapless = same and bool(known) and known[0].seq == snap.state.seq
    return replace(
        view,
        state=snap.state,
        trimmed=snap.trimmed,
        progress={p.candidate: p for p in snap.progress},
        tracks={(p.candidate, p.stage): (p.comparison,) for p in snap.progress if p.comparison},
        ledger=known if gapless else (),
        older=view.older if gapless else snap.state.seq + 1,
        resync=False,
    )


def _detached(view: View, item: Detached) -> View:
    first = view.contact is not Contact.STALE
    return replace(
        view,
        contact=Contact.STALE,
        lost_ns=item.at_ns if first else view.lost_ns,
        retry_ns=item.retry_ns,
        trouble=item.reason,
        hint=item.hint,
    )


def _stored(view: View, item: Stored) -> View:
    entry = item.entry
    if entry.seq <= view.state.seq:
        return view  # delivered twice, around a resume
    gap = entry.seq > view.state.seq + 1
    try:
        state, folded = fold.advance(view.state, item), True
    except IllegalMoveError:
        state, folded = replace(view.state, seq=entry.seq, head=item.hash), False
    view = replace(view, state=state, resync=view.resync or gap or not folded)
    view = _forget_progress(view, entry.event)
    row = LedgerLine(
        seq=entry.seq,
        ts=entry.ts,
        kind=entry.event.kind,
        actor=entry.actor,
        candidate=_subject(entry.event),
        text=describe(entry.event, named=False),
    )
    return _status_after(_append(view, row), entry.event)


def _unknown(view: View, item: Unknown) -> View:
    if item.seq <= view.state.seq:
        return view
    row = LedgerLine(
        seq=item.seq,
        ts=0,
        kind=item.topic,
        actor="",
        candidate="",
        text=f"{item.topic} (an event that this cockpit is too old to know)",
    )
    state = replace(view.state, seq=item.seq, head=item.hash)
    return _append(replace(view, state=state, resync=True), row)


def _append(view: View, row: LedgerLine) -> View:
    kept = (row, *view.ledger)
    if len(kept) <= LEDGER_KEPT:
        return replace(view, ledger=kept)
    kept = kept[:LEDGER_KEPT]
    return replace(view, ledger=kept, older=kept[-1].seq)


def _paged(view: View, item: LedgerLines) -> View:
    """Merge fetched rows: live ones may have arrived meanwhile, and pages may overlap."""
    rows = {row.seq: row for row in (*item.lines, *view.ledger)}
    merged = tuple(rows[seq] for seq in sorted(rows, reverse=True))
    return replace(view, ledger=merged, older=item.older)


def _subject(event: ev.AnyEvent) -> str:
    if isinstance(event, ev.MovingEvent):
        return " ".join(event.candidates)
    return event.candidate if isinstance(event, ev.AlertRaised) else ""


def _progressed(view: View, item: Progress) -> View:
    candidate = view.state.candidates.get(item.candidate)
    if candidate is not None and candidate.phase in FINAL:
        return view  # a straggler: lossy events are not ordered with the ledger's
    tracks = dict(view.tracks)
    if item.comparison is not None:
        key = (item.candidate, item.stage)
        tracks[key] = _track(tracks.get(key, ()), item.comparison)
    return replace(view, progress={**view.progress, item.candidate: item}, tracks=tracks)


def _track(old: tuple[Comparison, ...], new: Comparison) -> tuple[Comparison, ...]:
    """Return the points with the new one; a repeat of the last count of pairs replaces it."""
    if old and old[-1].pairs == new.pairs:
        old = old[:-1]
    return (*old, new)[-TRACK_KEPT:]


def _forget_progress(view: View, event: ev.AnyEvent) -> View:
    if not isinstance(event, ev.MovingEvent):
        return view
    gone = set(event.candidates)
    progress = {name: p for name, p in view.progress.items() if name not in gone}
    tracks = {key: t for key, t in view.tracks.items() if key[0] not in gone}
    return replace(view, progress=progress, tracks=tracks)


def _status_after(view: View, event: ev.AnyEvent) -> View:
    """A resume also ends a halt, before the next status says so."""
    if view.status is None or not isinstance(event, ev.Resumed | ev.EngineStarted):
        return view
    return replace(view, status=replace(view.status, activity=Activity.IDLE, halt_reason=""))


# --- facts that several panels ask for ----------------------------------------------------------


def engine_now(view: View, now_ns: int) -> int:
    """Our `now_ns` in the engine's clock (it may be another machine, over a forwarded socket)."""
    return now_ns + view.skew_ns


def find(view: View, name: str) -> Candidate | None:
    """The candidate of that id, if it is known here."""
    return view.state.candidates.get(name)


def waiting(view: View) -> tuple[Candidate, ...]:
    """The candidates that wait for a human, newest first."""
    held = [c for c in view.state.candidates.values() if c.phase is Phase.HELD]
    return tuple(reversed(held))


def ordered(view: View) -> tuple[Candidate, ...]:
    """All candidates: those that wait for a human first, then newest first."""
    every = list(view.state.candidates.values())[::-1]
    return (
        *(c for c in every if c.phase is Phase.HELD),
        *(c for c in every if c.phase is not Phase.HELD),
    )


def outranks(view: View, role: str) -> bool:
    """Whether our role on the engine is at least `role` (an unknown role is trusted to know)."""
    return _RANKS.get(view.role, max(_RANKS.values())) >= _RANKS[role]


def working(view: View) -> bool:
    """Whether the engine does anything at all for a cycle or a candidate right now."""
    cycle = view.state.cycle
    running = cycle is not None and cycle.finished_ns == 0
    settled = FINAL | {Phase.HELD, Phase.PROMOTED}
    return running or any(c.phase not in settled for c in view.state.candidates.values())


def activity(view: View) -> Activity:
    """What the loop does. The ledger's word (paused) counts more than a status that may be old."""
    told = view.status.activity if view.status is not None else Activity.IDLE
    if told in (Activity.HALTED, Activity.DRAINING):
        return told
    if view.state.paused:
        return Activity.PAUSED
    return Activity.WORKING if working(view) else Activity.IDLE


def approvals(view: View, candidate: Candidate) -> str:
    """Say how many of the people who must say yes did; empty where one suffices."""
    needed = view.status.approvals_needed.get(candidate.id, 1) if view.status is not None else 1
    if candidate.phase is not Phase.HELD or needed <= 1:
        return ""
    return f"{len(candidate.approvals)} of {needed} approvals "


def headline(candidate: Candidate) -> Comparison | None:
    """The one number to show for a candidate: a confirmed objective, the largest gain of them.

    A screening estimate is none: that of what was accepted flatters it. Who wants it opens the
    candidate.
    """
    if candidate.verdict is None:
        return None
    known = [c for c in candidate.verdict.comparisons if c.change is not None and confirmed(c)]
    return min(known, key=_cost, default=None)


def _cost(comparison: Comparison) -> float:
    change = comparison.change or 0.0
    return -change if comparison.direction == "higher" else change
