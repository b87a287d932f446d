"""A recorded ledger behind the cockpit's door: the same events, at any speed, none to act on.

The recording answers what the cockpit asks as the engine would have at that entry: the state is
the fold of the entries so far, diffs and logs come from the evidence that lies beside the ledger.
What only a running engine knows (metrics, the log, the governor's own words) is refused in words.
The clock of the cockpit is the recording's, so that ages are those of then.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import ouroboros
from ouroboros.errors import EvidencePrunedError, NotFoundError, OuroborosError, WrongPhaseError
from ouroboros.ledger.evidence import Evidence
from ouroboros.ledger.store import Store
from ouroboros.model.describe import describe, subject
from ouroboros.model.entry import Stored
from ouroboros.model.events import EngineStarted
from ouroboros.model.phase import IN_FLIGHT, Phase
from ouroboros.model.snapshot import Activity, EngineStatus, Snapshot, trim
from ouroboros.model.state import State, advance
from ouroboros.model.text import safe_text
from ouroboros.model.topics import STATUS
from ouroboros.model.windows import moment_text
from rpc import wire
from rpc.feed import Item, Lossy

SLOWEST, FASTEST = 1.0, 100_000.0
_LONGEST_GAP_S = 2.0
"""However long nothing happened then, nobody waits longer for the next entry."""
_BATCH = 200
_TICK_S = 0.05


class Recording:
    """A ledger that is played; also a `tui.player.Player`."""

    def __init__(self, store: Store, evidence: Evidence, *, speed: float, begin: int = 0) -> None:
        """Fold up to entry `begin`, and stand there.

        Raises:
            NotFoundError: the ledger is shorter, or empty.
        """
        self._store = store
        self._evidence = evidence
        self._speed = speed
        self.size = store.head().size
        if not 0 <= begin <= self.size or self.size == 0:
            raise NotFoundError(f"The ledger has {self.size} entries; there is no {begin}.")
        self.state = State()
        self.now_ns = 0
        self.playing = True
        self._steps = 0
        self._changed = asyncio.Event()
        for stored in store.entries(0, max(1, begin)):
            self._fold(stored)

    def _fold(self, stored: Stored) -> None:
        self.state = advance(self.state, stored)
        self.now_ns = max(self.now_ns, stored.entry.ts)

    # --- the player -----------------------------------------------------------------------------

    def toggle(self) -> None:
        """Stop, or go on."""
        self.playing = not self.playing
        self._changed.set()

    def faster(self, factor: float) -> None:
        """Play so many times as fast as now."""
        self._speed = max(SLOWEST, min(FASTEST, self._speed * factor))
        self._changed.set()

    def step(self) -> None:
        """Show the next entry, and stop there."""
        self.playing = False
        self._steps += 1
        self._changed.set()

    def says(self) -> str:
        """Where it is and how fast it goes."""
        at = f"entry {self.state.seq:,} of {self.size:,}, {moment_text(self.now_ns, 'UTC')}"
        if self.state.seq >= self.size:
            return f"REPLAY  {at}: the end"
        how = f"{self._speed:g} x" + ("" if self.playing else ", stopped")
        return f"REPLAY  {at}, {how}  (space stops and goes on, < > speed, . one entry)"

    async def played(self, after: int) -> AsyncIterator[Item]:
        """Yield entries after `after`, as they become due; never ends.

        A new start of the engine brings its status along, which says in which mode it ran.
        """
        for stored in self._store.entries(after, self.state.seq - after):
            yield stored  # a subscription that begins behind where we are
        while True:
            batch = tuple(self._store.entries(self.state.seq, _BATCH))
            if not batch:
                await asyncio.Event().wait()  # the end stays on the screen
            for stored in batch:
                await self._due(stored.entry.ts)
                self._fold(stored)
                yield stored
                if isinstance(stored.entry.event, EngineStarted):
                    yield Lossy(topic=STATUS, data=self.status())

    async def _due(self, ts: int) -> None:
        """Return when an entry is to be shown."""
        waited = 0.0
        while True:
            if self._steps:
                self._steps -= 1
                return
            gap = min((ts - self.now_ns) / 1e9, _LONGEST_GAP_S * self._speed) / self._speed
            if self.playing and waited >= gap:
                return
            self._changed.clear()
            wait = min(gap - waited, _TICK_S) if self.playing else None
            try:
                await asyncio.wait_for(self._changed.wait(), wait)
            except TimeoutError:
                waited += wait or 0.0

    # --- what the engine would answer -----------------------------------------------------------

    def status(self) -> EngineStatus:
        """Return the status as far as the ledger tells it."""
        s = self.state
        every = s.candidates.values()
        return EngineStatus(
            engine_version=ouroboros.__version__,
            protocol=wire.PROTOCOL,
            pid=0,
            epoch="replay",
            seq=s.seq,
            head=s.head,
            target=s.target,
            path=s.path,
            branch=s.branch,
            target_head=s.versions[-1].commit if s.versions else "",
            mode=s.mode,
            activity=Activity.PAUSED if s.paused else Activity.IDLE,
            paused=s.paused,
            pause_reason=s.pause_reason,
            pause_actor=s.pause_actor,
            halt_reason="",
            cycle=s.cycle,
            next_cycle_ns=0,
            in_flight=tuple(c.id for c in every if c.phase in IN_FLIGHT),
            held=tuple(c.id for c in every if c.phase is Phase.HELD),
            candidates=len(s.candidates),
            version=s.versions[-1].number if s.versions else 0,
            versions_active=sum(v.active and bool(v.candidate) for v in s.versions),
            config_hash=s.config_hash,
            sandbox=None,
            started_ns=self.now_ns,
            now_ns=self.now_ns,
        )

    def answer(self, request: wire.Request[Any]) -> Any:
        """Answer one request.

        Raises:
            OuroborosError: a recording cannot do that, or what is asked for is gone.
        """
        match request:
            case wire.EngineSnapshot():
                state, trimmed = trim(self.state)
                return Snapshot(state=state, status=self.status(), trimmed=trimmed)
            case wire.EngineStatusGet():
                return self.status()
            case wire.CandidateGet(id=name):
                return self._candidate(name)
            case wire.CandidateEvaluation(id=name):
                return self._candidate(name).evaluation
            case wire.CandidateDiff():
                return self._diff(request)
            case wire.CandidateLog():
                return self._log(request)
            case wire.LedgerList():
                return self._rows(request)
            case wire.LedgerGet(seq=seq):
                return self._entry(seq)
            case wire.AlertList():
                return self.state.alerts
            case _:
                raise WrongPhaseError(
                    f"{request.method}: this is a replay; only the running engine knows that."
                )

    def _candidate(self, name: str) -> Any:
        found = self.state.candidates.get(name)
        if found is None:
            raise NotFoundError("The recording knows no such candidate (yet).")
        return found

    def _text(self, digest: str) -> str:
        try:
            return safe_text(self._evidence.get(digest).decode(errors="replace"))
        except OuroborosError as error:
            raise EvidencePrunedError(f"It is not beside the ledger: {error.message}") from None

    def _diff(self, request: wire.CandidateDiff) -> wire.DiffResult:
        text = self._text(self._candidate(request.id).diff)
        part = text[request.offset : request.offset + request.limit]
        return wire.DiffResult(text=part, offset=request.offset, total=len(text))

    def _log(self, request: wire.CandidateLog) -> wire.LogResult:
        evaluation = self._candidate(request.id).evaluation
        checks = evaluation.checks if evaluation is not None else ()
        digest = next((c.log for c in checks if c.name == request.check), "")
        return wire.LogResult(text=self._text(digest) if digest else "")

    def _rows(self, request: wire.LedgerList) -> wire.LedgerPage:
        end = min(request.before or self.state.seq + 1, self.state.seq + 1)
        found = self._store.page(
            before=end,
            limit=request.limit,
            kind=request.kind or None,
            candidate=request.candidate or None,
        )
        rows = tuple(
            wire.LedgerRow(
                seq=s.entry.seq,
                ts=s.entry.ts,
                kind=s.entry.event.kind,
                actor=s.entry.actor,
                candidate=subject(s.entry.event),
                hash=s.hash,
                text=describe(s.entry.event),
            )
            for s in found
        )
        more = len(rows) == request.limit and rows[-1].seq > 1
        return wire.LedgerPage(rows=rows, next=rows[-1].seq if more else 0)

    def _entry(self, seq: int) -> wire.LedgerEntry:
        if seq > self.state.seq:
            raise NotFoundError(f"Entry {seq} comes later.")
        row = next(iter(self._store.raw(seq - 1)))
        return wire.LedgerEntry(seq=seq, hash=row.hash, bytes=row.data.decode(errors="replace"))


class _Connection:
    """What `rpc.client.Client` is to an engine."""

    def __init__(self, recording: Recording) -> None:
        self._recording = recording

    @property
    def hello(self) -> wire.HelloResult:
        """Nobody in particular may look."""
        return wire.HelloResult(
            protocol=wire.PROTOCOL,
            engine_version=ouroboros.__version__,
            actor="replay",
            role="viewer",
            epoch="replay",
        )

    async def call(self, request: wire.Request[Any]) -> Any:
        """Answer from the recording."""
        return self._recording.answer(request)

    def subscribe(self, topics: tuple[str, ...] = ("*",), from_seq: int | None = None) -> "_Feed":  # noqa: ARG002 - a connection's
        """Play from an entry on."""
        return _Feed(self._recording, self._recording.state.seq if from_seq is None else from_seq)

    async def close(self) -> None:
        """Nothing is open."""


class _Feed:
    """A subscription to a recording."""

    def __init__(self, recording: Recording, after: int) -> None:
        self._recording = recording
        self._after = after

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        return None

    def __aiter__(self) -> AsyncIterator[Any]:
        return self._recording.played(self._after)


def dialled(recording: Recording) -> Callable[[], Any]:
    """Return what the cockpit connects by."""

    async def connect() -> _Connection:
        return _Connection(recording)

    return connect
