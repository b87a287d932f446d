"""The wire: every method's name, parameters, result, role; and the notification of events.

One Struct a method. A request class carries its method's name, role and result type, so that
`await client.call(wire.CandidateApprove(id="c3", commit="...", reason="..."))` is typed end to
end, the server finds its handler by it, and `rpc.discover` is generated from it.

Within a protocol major only additions are made; both sides ignore fields they do not know in
results, and the server refuses unknown fields in parameters (a misspelt guard must not be a
missing guard). Times are UTC nanoseconds since the epoch unless a name ends in `_s`.

Text of candidates, models and repositories (titles, paths, output, diffs, also in events) leaves
the engine made safe: every control, bidi and invisible character is visible (`ouroboros.model.
text`). Exact text is given by four methods only, marked `exact`: `ledger.get`, `ledger.prove`,
`config.get`, and `candidate.diff` where `raw` asks for it. It is untrusted: never print it as it
is. On the wire even that is written with JSON escapes, so that the frames themselves can do no
harm to a terminal.
"""

from typing import Any, ClassVar, Generic, TypeVar

import msgspec

from ouroboros.model.entry import Head
from ouroboros.model.evaluation import Evaluation
from ouroboros.model.proof import Consistency, Heads, Inclusion
from ouroboros.model.proposal import FileChange
from ouroboros.model.snapshot import EngineStatus, Explanation, RollbackPreview, Snapshot
from ouroboros.model.state import Candidate, Cycle, Version

PROTOCOL = "1"

R = TypeVar("R")


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """Root of results that are not nouns of the model."""


class Request(
    msgspec.Struct,
    Generic[R],
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """Root of all parameters. Subclasses set `method`, `result`, `role`, `mutates`.

    Defaults are left out when a client sends: the engine refuses fields that it does not know, so
    a newer client must not send a newer field that it does not use.
    """

    method: ClassVar[str]
    result: ClassVar[Any]
    role: ClassVar[str] = "viewer"
    """Least role that may call it: viewer < operator < approver < admin."""
    mutates: ClassVar[bool] = False
    """Whether it changes something; such calls are refused as notifications (no id)."""
    exact: ClassVar[bool] = False
    """Whether the result may hold foreign text as it is. All others are made safe at the door."""


class Ok(Result, frozen=True, kw_only=True):
    """Done; `seq` is the ledger sequence at which the effect is visible."""

    seq: int


# --- errors -------------------------------------------------------------------------------------


class ErrorData(Result, frozen=True, kw_only=True, omit_defaults=True):
    """`error.data`: a stable name for programs, and the next step for people.

    `type` is the class of `ouroboros.errors` that was raised, so that a Python client raises the
    same leaf. `incident` names an entry of the engine's log where the fault is ours; nothing else
    about such a fault leaves the engine.
    """

    name: str
    hint: str = ""
    type: str = ""
    incident: str = ""


class ErrorObject(Result, frozen=True, kw_only=True, omit_defaults=True):
    """`error` of a response, as JSON-RPC 2.0 wants it."""

    code: int
    message: str
    data: ErrorData | None = None


# --- rpc and system -----------------------------------------------------------------------------


class Discover(Request[dict[str, Any]], frozen=True, kw_only=True):
    """Return the OpenRPC document of this service."""

    method = "rpc.discover"
    result = dict[str, Any]


class Hello(Request["HelloResult"], frozen=True, kw_only=True):
    """Agree on a protocol; the first call of a client that cares."""

    method = "system.hello"
    client: str
    client_version: str = ""
    protocols: tuple[str, ...] = (PROTOCOL,)


class HelloResult(Result, frozen=True, kw_only=True):
    """Who the engine is, and who it thinks you are. `epoch` names the ledger."""

    protocol: str
    engine_version: str
    actor: str
    role: str
    epoch: str
    capabilities: tuple[str, ...] = ()


Hello.result = HelloResult


class Ping(Request[Ok], frozen=True, kw_only=True):
    """Answer at once."""

    method = "system.ping"
    result = Ok


class MethodInfo(Result, frozen=True, kw_only=True):
    """One method: name, least role, whether it changes something, first line of its doc."""

    name: str
    role: str
    mutates: bool
    summary: str


class Methods(Request[tuple[MethodInfo, ...]], frozen=True, kw_only=True):
    """List all methods."""

    method = "system.methods"
    result = tuple[MethodInfo, ...]


class VersionResult(Result, frozen=True, kw_only=True):
    """Versions of engine, protocol and interpreter."""

    engine: str
    protocol: str
    python: str


class SystemVersion(Request[VersionResult], frozen=True, kw_only=True):
    """Return versions."""

    method = "system.version"
    result = VersionResult


class WhoamiResult(Result, frozen=True, kw_only=True):
    """The actor that the ledger will name, and its role."""

    actor: str
    role: str


class Whoami(Request[WhoamiResult], frozen=True, kw_only=True):
    """Return who the engine thinks you are."""

    method = "auth.whoami"
    result = WhoamiResult


# --- engine and cycles --------------------------------------------------------------------------


class EngineStatusGet(Request[EngineStatus], frozen=True, kw_only=True):
    """Return the engine's status (about one kilobyte)."""

    method = "engine.status"
    result = EngineStatus


class EngineSnapshot(Request[Snapshot], frozen=True, kw_only=True):
    """Return state and status at one sequence number, to fold later events into."""

    method = "engine.snapshot"
    result = Snapshot


class EnginePause(Request[Ok], frozen=True, kw_only=True):
    """Stop the loop; survives a restart. `mode` is `after_phase` or `now` (cancel evaluations)."""

    method = "engine.pause"
    result = Ok
    role = "operator"
    mutates = True
    reason: str = ""
    mode: str = "after_phase"


class EngineResume(Request[Ok], frozen=True, kw_only=True):
    """Let the loop go on."""

    method = "engine.resume"
    result = Ok
    role = "operator"
    mutates = True
    reason: str = ""


class EngineShutdown(Request[Ok], frozen=True, kw_only=True):
    """Begin an orderly end of the engine process."""

    method = "engine.shutdown"
    result = Ok
    role = "admin"
    mutates = True
    reason: str = ""


class CycleTriggerResult(Result, frozen=True, kw_only=True):
    """Number of the cycle that was started."""

    cycle: int


class CycleTrigger(Request[CycleTriggerResult], frozen=True, kw_only=True):
    """Start a cycle now."""

    method = "cycle.trigger"
    result = CycleTriggerResult
    role = "operator"
    mutates = True


class CycleList(Request[tuple[Cycle, ...]], frozen=True, kw_only=True):
    """Return the newest cycles, newest first."""

    method = "cycle.list"
    result = tuple[Cycle, ...]
    limit: int = 50


# --- candidates ---------------------------------------------------------------------------------


class CandidatePage(Result, frozen=True, kw_only=True):
    """Candidates newest first, without raw samples; `next` is the cursor of the next page."""

    candidates: tuple[Candidate, ...]
    next: str = ""


class CandidateList(Request[CandidatePage], frozen=True, kw_only=True):
    """Page through candidates, newest first; empty `phases` means all. `limit`: 1 to 500."""

    method = "candidate.list"
    result = CandidatePage
    phases: tuple[str, ...] = ()
    limit: int = 50
    cursor: str = ""


class CandidateGet(Request[Candidate], frozen=True, kw_only=True):
    """Return one candidate, whole."""

    method = "candidate.get"
    result = Candidate
    id: str


class DiffResult(Result, frozen=True, kw_only=True):
    """A page of a diff; `text` is made safe for terminals unless `raw` was asked for.

    `total` counts the characters of that text.
    """

    text: str
    offset: int
    total: int
    files: tuple[FileChange, ...] = ()


class CandidateDiff(Request[DiffResult], frozen=True, kw_only=True):
    """Return a candidate's unified diff from `offset`, at most 256 Ki characters.

    With `raw` it is the exact text, for `git apply`: untrusted, never to be printed as it is.
    """

    method = "candidate.diff"
    result = DiffResult
    exact = True
    id: str
    offset: int = 0
    limit: int = 262144
    raw: bool = False


class LogResult(Result, frozen=True, kw_only=True):
    """Captured output, made safe for terminals."""

    text: str


class CandidateLog(Request[LogResult], frozen=True, kw_only=True):
    """Return the captured output of one check (`tests`, `benchmark:NAME`, ...).

    At most its last 256 Ki characters.
    """

    method = "candidate.log"
    result = LogResult
    id: str
    check: str


class CandidateEvaluation(Request[Evaluation | None], frozen=True, kw_only=True):
    """Return the last evaluation with its raw samples, or null."""

    method = "candidate.evaluation"
    result = Evaluation | None
    id: str


class SubmitResult(Result, frozen=True, kw_only=True):
    """Id of the new candidate."""

    id: str


class CandidateSubmit(Request[SubmitResult], frozen=True, kw_only=True):
    """Propose a change. `diff` is unified with a/ and b/ prefixes; empty `base`: the head."""

    method = "candidate.submit"
    result = SubmitResult
    role = "operator"
    mutates = True
    diff: str
    title: str
    rationale: str = ""
    base: str = ""
    idempotency_key: str = ""


class CandidateApprove(Request[Ok], frozen=True, kw_only=True):
    """Say yes to exactly `commit`, as seen in `candidate.get`.

    `statement` and `signature` (here, in `candidate.reject` and `version.rollback`): what an
    operator signed and the signature as `ssh-keygen -Y sign -n ouroboros` prints it; both or none.
    """

    method = "candidate.approve"
    result = Ok
    role = "approver"
    mutates = True
    id: str
    commit: str
    reason: str = ""
    statement: str = ""
    signature: str = ""


class CandidateReject(Request[Ok], frozen=True, kw_only=True):
    """Say no to a held candidate."""

    method = "candidate.reject"
    result = Ok
    role = "approver"
    mutates = True
    id: str
    reason: str = ""
    statement: str = ""
    signature: str = ""


class CandidateCancel(Request[Ok], frozen=True, kw_only=True):
    """Stop a candidate anywhere before promotion."""

    method = "candidate.cancel"
    result = Ok
    role = "operator"
    mutates = True
    id: str
    reason: str = ""


class CandidateWait(Request[Candidate], frozen=True, kw_only=True):
    """Return once the candidate stands in one of `until` (phases; empty: final or held).

    `timeout_s` is at most 3600; error `timeout` when it ends first.
    """

    method = "candidate.wait"
    result = Candidate
    id: str
    until: tuple[str, ...] = ()
    timeout_s: float = 300.0


# --- versions, governor -------------------------------------------------------------------------


class VersionList(Request[tuple[Version, ...]], frozen=True, kw_only=True):
    """Return all versions, oldest first."""

    method = "version.list"
    result = tuple[Version, ...]


class VersionPreview(Request[RollbackPreview], frozen=True, kw_only=True):
    """Compute a rollback without doing it. `to`: number, `last` (undo the newest), candidate."""

    method = "version.preview"
    result = RollbackPreview
    to: str


class VersionRollback(Request[Version], frozen=True, kw_only=True):
    """Roll back by a new commit; returns the new version. `expect_head`: the head you saw."""

    method = "version.rollback"
    result = Version
    role = "approver"
    mutates = True
    to: str
    reason: str = ""
    expect_head: str = ""
    statement: str = ""
    signature: str = ""


class GovernorExplain(Request[Explanation], frozen=True, kw_only=True):
    """Return a verdict in words."""

    method = "governor.explain"
    result = Explanation
    id: str


class ConfigResult(Result, frozen=True, kw_only=True):
    """The configuration in force: its hash, the file's text, and the effective values.

    `values` holds every option with the value in force. Durations and sizes are written as in the
    file (`"90s"`, `"512MiB"`), so that a value can be pasted back.
    """

    hash: str
    text: str
    values: dict[str, Any]


class ConfigGet(Request[ConfigResult], frozen=True, kw_only=True):
    """Return the configuration in force."""

    method = "config.get"
    result = ConfigResult
    exact = True


# --- ledger -------------------------------------------------------------------------------------


class LedgerHead(Request[Head], frozen=True, kw_only=True):
    """Return the ledger's size and last hash."""

    method = "ledger.head"
    result = Head


class LedgerRow(Result, frozen=True, kw_only=True):
    """An entry for people: `text` is one line about it, made safe for terminals.

    `kind` is the event's tag; `candidate` names the one that it is about (several, where a
    rollback undid several, joined by commas), or is empty.
    """

    seq: int
    ts: int
    kind: str
    actor: str
    candidate: str
    hash: str
    text: str


class LedgerPage(Result, frozen=True, kw_only=True):
    """Rows newest first; `next` is the `before` of the next page, 0 at the end."""

    rows: tuple[LedgerRow, ...]
    next: int = 0


class LedgerList(Request[LedgerPage], frozen=True, kw_only=True):
    """Page through the ledger, newest first, from below `before` (0: the end).

    `limit`: 1 to 1000. `kind` and `candidate` filter; empty means all.
    """

    method = "ledger.list"
    result = LedgerPage
    before: int = 0
    limit: int = 100
    kind: str = ""
    candidate: str = ""


class LedgerEntry(Result, frozen=True, kw_only=True):
    """One entry with its exact stored bytes (as text; entries are UTF-8 JSON)."""

    seq: int
    hash: str
    bytes: str


class LedgerGet(Request[LedgerEntry], frozen=True, kw_only=True):
    """Return one entry."""

    method = "ledger.get"
    result = LedgerEntry
    exact = True
    seq: int


class VerifyResult(Result, frozen=True, kw_only=True):
    """Whether the chain holds; else the first bad entry and what is wrong with it."""

    ok: bool
    entries: int
    head: Head
    first_bad: int = 0
    problem: str = ""


class LedgerVerify(Request[VerifyResult], frozen=True, kw_only=True):
    """Verify the chain, the Merkle tree and the signed heads.

    The engine vouches for itself here; `ouroboros ledger verify` needs no engine.
    """

    method = "ledger.verify"
    result = VerifyResult


class LedgerHeads(Request[Heads], frozen=True, kw_only=True):
    """Return signed heads newest first, of fewer than `before` entries (0: all).

    `limit`: 1 to 1000.
    """

    method = "ledger.heads"
    result = Heads
    before: int = 0
    limit: int = 50


class LedgerProve(Request[Inclusion], frozen=True, kw_only=True):
    """Prove that an entry is in the ledger, by the signed head of `size` entries (0: the newest).

    Error `not_found` where no head covers it yet.
    """

    method = "ledger.prove"
    result = Inclusion
    exact = True
    seq: int
    size: int = 0


class LedgerConsistency(Request[Consistency], frozen=True, kw_only=True):
    """Prove that the first `from_size` entries are the beginning of a signed head's (0: newest)."""

    method = "ledger.consistency"
    result = Consistency
    from_size: int
    size: int = 0


# --- events -------------------------------------------------------------------------------------


class SubscribeResult(Result, frozen=True, kw_only=True):
    """The answer comes before the first notification. `seq` is the last one not delivered."""

    subscription: str
    seq: int
    epoch: str


class EventsSubscribe(Request[SubscribeResult], frozen=True, kw_only=True):
    """Receive `event` notifications (WebSocket only). `from_seq`: replay everything after it.

    Topics are shell-style patterns (`candidate.*`). With `epoch`, the subscription is refused
    (`cursor_expired`) where the ledger is another one than the cursor's. The connection is closed
    with code 1013 where its reader falls too far behind: connect again and resume by `from_seq`.
    """

    method = "events.subscribe"
    result = SubscribeResult
    topics: tuple[str, ...] = ("*",)
    from_seq: int | None = None
    epoch: str = ""


class EventsUnsubscribe(Request[Ok], frozen=True, kw_only=True):
    """Stop a subscription."""

    method = "events.unsubscribe"
    result = Ok
    subscription: str


class EventItem(Result, frozen=True, kw_only=True):
    """One durable event. `entry` is the stored entry (see `ouroboros.model.entry`).

    `hash` is the hash of its stored bytes; who wants to verify it asks `ledger.get` for them.
    """

    seq: int
    topic: str
    hash: str
    entry: msgspec.Raw


class EventPage(Result, frozen=True, kw_only=True):
    """Durable events in order; `seq` is the cursor for the next call."""

    events: tuple[EventItem, ...]
    seq: int
    epoch: str


class EventsList(Request[EventPage], frozen=True, kw_only=True):
    """Long-poll durable events after `from_seq`, for at most `wait_s` (0 to 60) seconds.

    Returns at once where there are some; `limit`: 1 to 1000.
    """

    method = "events.list"
    result = EventPage
    from_seq: int = 0
    topics: tuple[str, ...] = ("*",)
    limit: int = 100
    wait_s: float = 0.0


class Notification(msgspec.Struct, frozen=True, kw_only=True):
    """Parameters of the `event` notification.

    Durable: `seq` > 0, `hash` and `entry` are set. Lossy: `seq` = 0 and `data` is set.
    """

    subscription: str
    topic: str
    seq: int = 0
    hash: str = ""
    entry: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


REQUESTS: tuple[type[Request[Any]], ...] = (
    Discover,
    Hello,
    Ping,
    Methods,
    SystemVersion,
    Whoami,
    EngineStatusGet,
    EngineSnapshot,
    EnginePause,
    EngineResume,
    EngineShutdown,
    CycleTrigger,
    CycleList,
    CandidateList,
    CandidateGet,
    CandidateDiff,
    CandidateLog,
    CandidateEvaluation,
    CandidateSubmit,
    CandidateApprove,
    CandidateReject,
    CandidateCancel,
    CandidateWait,
    VersionList,
    VersionPreview,
    VersionRollback,
    GovernorExplain,
    ConfigGet,
    LedgerHead,
    LedgerList,
    LedgerGet,
    LedgerVerify,
    LedgerHeads,
    LedgerProve,
    LedgerConsistency,
    EventsSubscribe,
    EventsUnsubscribe,
    EventsList,
)
"""Every method of the service, in the order of the documentation."""
