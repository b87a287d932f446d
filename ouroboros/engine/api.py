"""What the engine offers to its doors (RPC today): the contract that `rpc.methods` is written to.

Every call that changes something carries an `actor` (`uid:name`, `token:name`, `engine`,
`proposer:name`) and is in the ledger before it returns. All methods belong to the event loop's
thread. They raise leaves of `OuroborosError`, never anything else on purpose.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Protocol

import msgspec

from ouroboros.config import Loaded
from ouroboros.model.entry import Head, Stored
from ouroboros.model.events import Setting
from ouroboros.model.insight import (
    ConfigChange,
    ConfigCheck,
    Delivery,
    Health,
    LogPage,
    Metric,
    Points,
    Worker,
)
from ouroboros.model.oversight import GovernorStatus, Recomputed
from ouroboros.model.phase import Phase
from ouroboros.model.progress import Gap, Progress
from ouroboros.model.proof import Consistency, Heads, Inclusion
from ouroboros.model.snapshot import (
    Activity,
    Approvals,
    EngineStatus,
    Explanation,
    RollbackPreview,
    Snapshot,
)
from ouroboros.model.state import Alert, Anchor, Candidate, Cycle, Silence, State, Version
from ouroboros.model.statement import Signed


class Submission(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal from outside. Empty `base` means the branch's head."""

    diff: str
    title: str
    rationale: str = ""
    base: str = ""
    proposer: str = "inbox"
    idempotency_key: str = ""


class LossyEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something live that is not in the ledger: a `Progress`, an `EngineStatus` or a `Gap`."""

    topic: str
    data: Progress | EngineStatus | Gap


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """A part of an export: its lines, how many entries they hold, and the last one's number."""

    text: str
    entries: int
    last: int


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


class Inside(Protocol):
    """What an engine shows of itself; see `ouroboros.engine.insight.Insight`."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What is sampled."""
        ...

    def health(self) -> Health:
        """What is wrong now."""
        ...

    async def wait(self, until: frozenset[Activity], timeout_s: float) -> EngineStatus:
        """Return once the engine is in one of these states; `WaitTimeoutError`."""
        ...

    def log(self, *, after: int, limit: int, level: str) -> LogPage:
        """Return lines of the log."""
        ...

    def workers(self) -> tuple[Worker, ...]:
        """Return who evaluates."""
        ...

    async def points(self, name: str, *, begin: int, end: int, step_s: float) -> Points:
        """Return a series; `NotFoundError`, `InvalidParamsError`."""
        ...

    async def config_history(self, limit: int) -> tuple[ConfigChange, ...]:
        """Return the newest changes of the configuration, newest first."""
        ...

    def check_config(self, text: str) -> ConfigCheck:
        """Try a configuration without taking it."""
        ...

    def alerts(self) -> tuple[Alert, ...]:
        """Return the newest alerts, newest first."""
        ...

    async def ack(self, seq: int, *, actor: str, reason: str) -> Alert:
        """Record that somebody has seen an alert; `NotFoundError`."""
        ...

    async def try_alert(self, *, actor: str) -> tuple[Delivery, ...]:
        """Send a test alert through every sink."""
        ...


class Orders(Protocol):
    """What people order besides answers; see `ouroboros.engine.orders.Orders`."""

    async def drain(self, *, actor: str, reason: str, timeout_s: float) -> None:
        """Pause, and return when nothing is being worked on; `WaitTimeoutError`."""
        ...

    async def reload(self, *, actor: str) -> Loaded:
        """Read the configuration again now; `ConfigError` leaves the old one in force."""
        ...

    async def end_cycle(self, *, actor: str, reason: str) -> int:
        """End the running cycle with what it brought; `WrongPhaseError` where none runs."""
        ...

    async def hold(self, name: str, *, actor: str, reason: str) -> None:
        """Have a candidate held whatever its verdict is; `NotFoundError`, `WrongPhaseError`."""
        ...

    async def retry(self, name: str, *, actor: str, reason: str, idempotency_key: str) -> str:
        """Propose again what is over; returns the new id. `WrongPhaseError`."""
        ...

    async def override(
        self, name: str, *, actor: str, commit: str, reason: str, signed: Signed | None
    ) -> None:
        """Say yes past quorum and freezes; `WrongPhaseError`, `ConflictError`."""
        ...

    async def freeze(self, until_ns: int, *, actor: str, reason: str) -> None:
        """Promote nothing until then (UTC ns); `InvalidParamsError` beyond a year."""
        ...

    async def unfreeze(self, *, actor: str, reason: str) -> None:
        """End the freeze that a human set; `WrongPhaseError` where there is none."""
        ...

    async def drain_worker(self, name: str, *, out: bool, actor: str, reason: str) -> None:
        """Take a worker out of service, or back; `NotFoundError`, `WrongPhaseError`."""
        ...

    async def silence(self, codes: str, until_ns: int, *, actor: str, reason: str) -> None:
        """Send no alert of these codes until then (0: again from now on)."""
        ...

    @property
    def silences(self) -> tuple[Silence, ...]:
        """What is silenced now."""
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

    @property
    def inside(self) -> Inside:
        """What the engine shows of itself."""
        ...

    @property
    def orders(self) -> Orders:
        """What people order besides answers."""
        ...

    async def done_before(self, act: str) -> int:
        """Return the entry by which an act of this key began (see `engine.acts`), or 0."""
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
        """Let the loop go on; also retries what halted it.

        `LedgerFullError` if what halted it is a full disk which still is full.
        """
        ...

    async def trigger(self, *, actor: str, proposer: str = "") -> int:
        """Start a cycle now, of one proposer or of all; returns its number.

        `WrongPhaseError` while paused or halted, `NotFoundError` where there is no such proposer.
        """
        ...

    async def submit(self, submission: Submission, *, actor: str) -> str:
        """Take a proposal; returns the candidate's id. The same idempotency key, the same id."""
        ...

    async def approve(
        self, name: str, *, actor: str, commit: str, reason: str, signed: Signed | None = None
    ) -> Approvals:
        """Say yes to exactly `commit`; below the quorum the candidate stays held.

        `ConflictError` if it is another one by now or the actor said yes before, `ForbiddenError`
        if he proposed it and it needs the review of others. `signed`: an operator's signature
        (here and below); `SignatureError` if it does not fit, or is missing where it must be there.
        """
        ...

    async def set_limits(
        self,
        changes: Mapping[str, Setting],
        *,
        actor: str,
        reason: str,
        expect_config: str = "",
    ) -> Loaded:
        """Change thresholds by dotted key, None returning to the file's value.

        They apply to candidates proposed from here on. `ConfigError` names a key or value that is
        not possible; `expect_config` (may be empty) is the policy's hash as the caller saw it.
        """
        ...

    async def create_token(
        self,
        name: str,
        *,
        role: str,
        digest: str,
        methods: tuple[str, ...],
        expires_ns: int,
        actor: str,
        reason: str,
    ) -> None:
        """Let whoever has the secret of this digest pass the doors of the network.

        `ConflictError` if there is a token of that name, `BusyError` if there are too many.
        """
        ...

    async def revoke_token(self, name: str, *, actor: str, reason: str) -> None:
        """Take a token back; `NotFoundError` if there is none of that name."""
        ...

    async def deny(
        self, name: str, *, actor: str, reason: str, signed: Signed | None = None
    ) -> None:
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

    async def rollback(
        self,
        to: str,
        *,
        actor: str,
        reason: str,
        expect_head: str,
        signed: Signed | None = None,
    ) -> Version:
        """Roll back to a version by a new commit. `expect_head` (may be empty) guards it."""
        ...

    async def forward_preview(self, to: str) -> RollbackPreview:
        """Compute what rolling forward to a version would do; `undoes` lists what comes back."""
        ...

    async def roll_forward(self, to: str, *, actor: str, reason: str, expect_head: str) -> Version:
        """Bring back by a new commit what was rolled back of a version."""
        ...

    async def version_diff(self, old: str, new: str) -> str:
        """Return the unified diff between two versions."""
        ...

    async def diff(self, name: str) -> str:
        """Return a candidate's unified diff."""
        ...

    async def log(self, name: str, check: str) -> str:
        """Return the captured output of one check of a candidate's evaluation, or empty."""
        ...

    def governor(self) -> GovernorStatus:
        """Return limits in force, budgets used, anchor and total."""
        ...

    async def explain(self, name: str) -> Explanation:
        """Return the verdict in words."""
        ...

    async def recompute(self, name: str) -> tuple[Recomputed, ...]:
        """Compute the verdicts of a candidate (empty: of all) again from the ledger."""
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

    async def ledger_export(self, *, after: int, limit: int, csv: bool) -> Exported:
        """Return the next entries as an export writes them."""
        ...

    async def ledger_verify(self, progress: Callable[[int, int], None] | None) -> LedgerReport:
        """Verify chain, tree and signed heads."""
        ...

    async def ledger_heads(self, *, before: int, limit: int) -> Heads:
        """Return signed heads newest first, of fewer than `before` entries (0: all)."""
        ...

    async def ledger_prove(self, seq: int, *, size: int) -> Inclusion:
        """Prove an entry against the head of `size` entries (0: the newest). `NotFoundError`."""
        ...

    async def ledger_consistency(self, from_size: int, *, size: int) -> Consistency:
        """Prove that a beginning belongs to a head (0: the newest). `NotFoundError`."""
        ...

    def subscribe(self, *, from_seq: int | None) -> Subscription:
        """Deliver events after `from_seq` (None: from now on). `CursorExpiredError`."""
        ...

    async def shutdown(self, *, actor: str, reason: str) -> None:
        """Begin an orderly end of the engine process."""
        ...
