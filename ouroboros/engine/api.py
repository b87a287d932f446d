"""What the engine offers to its doors (RPC today): the contract that `rpc.methods` is written to.

Every call that changes something carries an `actor` (`uid:name`, `token:name`, `engine`,
`proposer:name`) and is in the ledger before it returns. All methods belong to the event loop's
thread. They raise leaves of `OuroborosError`, never anything else on purpose.
"""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

import msgspec

from ouroboros.config import Loaded
from ouroboros.model.entry import Head, Stored
from ouroboros.model.phase import Phase
from ouroboros.model.progress import Progress
from ouroboros.model.snapshot import EngineStatus, Explanation, RollbackPreview, Snapshot
from ouroboros.model.state import Anchor, Candidate, Cycle, State, Version


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal from outside. Empty `base` means the branch's head."""

    diff: str
    title: str
    rationale: str = ""
    base: str = ""
    proposer: str = "inbox"
    idempotency_key: str = ""


class LossyEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something live that is not in the ledger: a `Progress` or an `EngineStatus`."""

    topic: str
    data: Progress | EngineStatus


class LedgerReport(msgspec.Struct, frozen=True, kw_only=True):
    """Result of a verification: `ok`, how many entries were read, and the first bad one."""

    ok: bool
    entries: int
    head: Head
    first_bad: int = 0
    problem: str = ""


class Subscription(Protocol):
    """A bounded queue of events for one listener.

    Iterating yields `Stored` (durable, every entry in order, without gaps) and `LossyEvent`
    (coalesced: the newest per topic and candidate wins). A listener that falls too far behind in
    durable events gets `BusyError` raised out of the iteration and must resume by its last
    sequence number.
    """

    def __aiter__(self) -> AsyncIterator[Stored | LossyEvent]:
        """Iterate until closed."""
        ...

    def close(self) -> None:
        """Stop delivering; ends the iteration."""
        ...


class EngineApi(Protocol):
    """The engine as its doors see it."""

    @property
    def state(self) -> State:
        """The folded state, now."""
        ...

    @property
    def config(self) -> Loaded:
        """The configuration in force."""
        ...

    def status(self) -> EngineStatus:
        """Return the live status."""
        ...

    def snapshot(self) -> Snapshot:
        """Return state and status at one sequence number."""
        ...

    def candidate(self, name: str) -> Candidate:
        """Return a candidate by id. Raises `NotFoundError`."""
        ...

    def version(self, ref: str) -> Version:
        """Return a version by number (`3`, `v3`), `last` or candidate id. `NotFoundError`."""
        ...

    async def pause(self, *, actor: str, reason: str, now: bool) -> None:
        """Stop the loop after the running phase, or (`now`) cancel running evaluations too."""
        ...

    async def resume(self, *, actor: str, reason: str) -> None:
        """Let the loop go on; also retries what halted it."""
        ...

    async def trigger(self, *, actor: str) -> int:
        """Start a cycle now; returns its number. `WrongPhaseError` while paused or halted."""
        ...

    async def submit(self, submission: Submission, *, actor: str) -> str:
        """Take a proposal; returns the candidate's id. The same idempotency key, the same id."""
        ...

    async def approve(self, name: str, *, actor: str, commit: str, reason: str) -> None:
        """Say yes to exactly `commit`. `ConflictError` if it is another one by now."""
        ...

    async def deny(self, name: str, *, actor: str, reason: str) -> None:
        """Say no to a held candidate."""
        ...

    async def cancel(self, name: str, *, actor: str, reason: str) -> None:
        """Stop a candidate anywhere before promotion."""
        ...

    async def move_anchor(self, ref: str, *, actor: str, reason: str, expect_anchor: str) -> Anchor:
        """Put the anchor at a version: a number, a candidate's id, or `head` for the newest.

        `expect_anchor` (a commit, may be empty) guards it. `NotFoundError`; `WrongPhaseError` for
        one that was undone or is the anchor already; `ConflictError` if the anchor is elsewhere.
        """
        ...

    async def rollback_preview(self, to: str) -> RollbackPreview:
        """Compute what rolling back to a version would do; changes nothing."""
        ...

    async def rollback(self, to: str, *, actor: str, reason: str, expect_head: str) -> Version:
        """Roll back to a version by a new commit. `expect_head` (may be empty) guards it."""
        ...

    async def diff(self, name: str) -> str:
        """Return a candidate's unified diff."""
        ...

    async def log(self, name: str, check: str) -> str:
        """Return the captured output of one check of a candidate's evaluation, or empty."""
        ...

    def explain(self, name: str) -> Explanation:
        """Return the verdict in words."""
        ...

    async def cycles(self, *, limit: int) -> tuple[Cycle, ...]:
        """Return the newest cycles, newest first."""
        ...

    async def wait(self, name: str, *, until: frozenset[Phase], timeout_s: float) -> Candidate:
        """Return once the candidate is in one of the phases. `WaitTimeoutError`."""
        ...

    def ledger_head(self) -> Head:
        """Return the ledger's end."""
        ...

    async def ledger_page(
        self, *, before: int, limit: int, kind: str, candidate: str
    ) -> tuple[Stored, ...]:
        """Return entries newest first, from below `before` (0 = the end), filtered (empty: all)."""
        ...

    async def ledger_entry(self, seq: int) -> tuple[Stored, bytes]:
        """Return one entry and its exact stored bytes. `NotFoundError`."""
        ...

    async def ledger_verify(self, progress: Callable[[int, int], None] | None) -> LedgerReport:
        """Verify the whole chain."""
        ...

    def subscribe(self, *, from_seq: int | None) -> Subscription:
        """Deliver events after `from_seq` (None: from now on). `CursorExpiredError`."""
        ...

    async def shutdown(self, *, actor: str, reason: str) -> None:
        """Begin an orderly end of the engine process."""
        ...
