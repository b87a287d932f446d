"""The one place that writes: check the move, append, fold, tell.

State only changes here, and only by folding what the store returned, so memory and disk cannot
disagree. The append runs on the ledger's thread and is shielded: a caller that is cancelled in
the middle neither loses the entry nor the fold.
"""

import asyncio
from collections.abc import Callable

import msgspec

from ouroboros.engine.acts import take_key
from ouroboros.engine.blocking import Blocking
from ouroboros.engine.bus import Bus
from ouroboros.engine.tasks import spawn
from ouroboros.errors import LedgerError, LedgerFullError
from ouroboros.ledger.store import Store
from ouroboros.model.entry import Head, Stored
from ouroboros.model.events import AnyEvent
from ouroboros.model.state import State, advance, check_move
from ouroboros.model.statement import Signature

ENGINE = "engine"
"""The actor of everything that the engine does by itself."""

Change = Callable[[State, Stored], None]


class Recorder:
    """Owns the state; appends and publishes in one order."""

    def __init__(
        self,
        store: Store,
        thread: Blocking,
        bus: Bus,
        *,
        clock_ns: Callable[[], int],
        new_id: Callable[[], str],
    ) -> None:
        self._store = store
        self._thread = thread
        self._bus = bus
        self._clock_ns = clock_ns
        self._new_id = new_id
        self._lock = asyncio.Lock()
        self._changed = asyncio.Condition()
        self.state = State()
        self.broken: LedgerError | None = None
        """The newest failed append; the engine halted, since nothing may happen unrecorded."""
        self.on_broken: Callable[[LedgerError], None] = lambda _: None
        self.make_room: Callable[[], bool] = lambda: False
        """Gives a full disk some space back for the last entries; tells whether it had any."""

    async def load(self) -> None:
        """Fold everything that the ledger holds, each entry verified.

        Raises:
            LedgerDamagedError: an entry is not what was written; nothing may be built on it.
        """
        self.state = await self._thread(self._fold)

    def _fold(self) -> State:
        state = State()
        for stored in self._store.verified():
            state = advance(state, stored)
        return state

    async def record(
        self,
        event: AnyEvent,
        *,
        actor: str = ENGINE,
        idem: str = "",
        signature: Signature | msgspec.UnsetType = msgspec.UNSET,
    ) -> Stored:
        """Write an event and tell it; returns when it is on disk and folded.

        Raises:
            IllegalMoveError: the table of moves does not list it; nothing was written.
            LedgerError: it could not be written; nothing was changed.
        """
        return await self.record_as(lambda _: event, actor=actor, idem=idem, signature=signature)

    async def record_as(
        self,
        make: Callable[[State], AnyEvent],
        *,
        actor: str = ENGINE,
        idem: str = "",
        signature: Signature | msgspec.UnsetType = msgspec.UNSET,
    ) -> Stored:
        """Write the event that follows from the state, with no other entry in between.

        Who says later what an entry was computed from finds it in the entries before it.

        Raises:
            IllegalMoveError, LedgerError: as `record` does.
            Exception: whatever `make` raises; nothing was written.
        """
        named = take_key()  # also where a signature gives another one: it is used up
        work = self._record(make, actor=actor, idem=idem or named, signature=signature)
        task = spawn(work, name="record", awaited=True)
        return await asyncio.shield(task)

    async def _record(
        self,
        make: Callable[[State], AnyEvent],
        *,
        actor: str,
        idem: str,
        signature: Signature | msgspec.UnsetType,
    ) -> Stored:
        async with self._lock:
            event = make(self.state)
            check_move(self.state, event)
            stored = await self._append(event, actor, idem or self._new_id(), signature)
            if stored.entry.seq > self.state.seq:
                self.state = advance(self.state, stored)
                self._bus.publish(stored)
        async with self._changed:
            self._changed.notify_all()
        return stored

    async def _append(
        self, event: AnyEvent, actor: str, idem: str, signature: Signature | msgspec.UnsetType
    ) -> Stored:
        """Append behind what was folded; on a full disk once more, in what `make_room` freed."""
        try:
            try:
                return await self._thread(self._store_append, event, actor, idem, signature)
            except LedgerFullError as error:
                if not await self._thread(self.make_room):
                    raise
                stored = await self._thread(self._store_append, event, actor, idem, signature)
                self._failed(error)  # it is written, and now everything must stop
                return stored
        except LedgerError as error:
            self._failed(error)
            raise

    def _store_append(
        self, event: AnyEvent, actor: str, idem: str, signature: Signature | msgspec.UnsetType
    ) -> Stored:
        head = Head(size=self.state.seq, hash=self.state.head)
        ts = self._clock_ns()
        return self._store.append(
            event, actor=actor, ts=ts, idem=idem, signature=signature, after=head
        )

    def _failed(self, error: LedgerError) -> None:
        self.broken = error
        self.on_broken(error)

    async def wait_for(self, predicate: Callable[[State], bool]) -> None:
        """Return once the state fulfils the predicate."""
        async with self._changed:
            await self._changed.wait_for(lambda: predicate(self.state))

    async def touch(self) -> None:
        """Wake everybody who waits for a change (gates outside of the state opened)."""
        async with self._changed:
            self._changed.notify_all()
