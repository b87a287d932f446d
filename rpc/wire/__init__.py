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

from typing import Any

from rpc.wire import auth, candidate, engine, events, governor, ledger, system, version
from rpc.wire.auth import (
    TokenCreate,
    TokenCreateResult,
    TokenInfo,
    TokenList,
    TokenRevoke,
    Whoami,
    WhoamiResult,
)
from rpc.wire.base import (
    PROTOCOL,
    ErrorData,
    ErrorObject,
    Ok,
    Request,
    Result,
)
from rpc.wire.candidate import (
    ApproveResult,
    CandidateApprove,
    CandidateCancel,
    CandidateDiff,
    CandidateEvaluation,
    CandidateGet,
    CandidateList,
    CandidateLog,
    CandidatePage,
    CandidateReject,
    CandidateSubmit,
    CandidateWait,
    DiffResult,
    LogResult,
    SubmitResult,
)
from rpc.wire.engine import (
    CycleList,
    CycleTrigger,
    CycleTriggerResult,
    EnginePause,
    EngineResume,
    EngineShutdown,
    EngineSnapshot,
    EngineStatusGet,
)
from rpc.wire.events import (
    EventItem,
    EventPage,
    EventsList,
    EventsSubscribe,
    EventsUnsubscribe,
    Notification,
    SubscribeResult,
)
from rpc.wire.governor import (
    ConfigGet,
    ConfigResult,
    GovernorExplain,
    GovernorMoveAnchor,
    GovernorRecompute,
    GovernorSetLimits,
    GovernorStatusGet,
    LimitsResult,
    RecomputeResult,
)
from rpc.wire.ledger import (
    LedgerConsistency,
    LedgerEntry,
    LedgerGet,
    LedgerHead,
    LedgerHeads,
    LedgerList,
    LedgerPage,
    LedgerProve,
    LedgerRow,
    LedgerVerify,
    VerifyResult,
)
from rpc.wire.system import (
    Discover,
    Hello,
    HelloResult,
    MethodInfo,
    Methods,
    Ping,
    SystemVersion,
    VersionResult,
)
from rpc.wire.version import (
    VersionDiff,
    VersionForward,
    VersionForwardPreview,
    VersionList,
    VersionPreview,
    VersionRollback,
)

__all__ = [
    "PROTOCOL",
    "REQUESTS",
    "ApproveResult",
    "CandidateApprove",
    "CandidateCancel",
    "CandidateDiff",
    "CandidateEvaluation",
    "CandidateGet",
    "CandidateList",
    "CandidateLog",
    "CandidatePage",
    "CandidateReject",
    "CandidateSubmit",
    "CandidateWait",
    "ConfigGet",
    "ConfigResult",
    "CycleList",
    "CycleTrigger",
    "CycleTriggerResult",
    "DiffResult",
    "Discover",
    "EnginePause",
    "EngineResume",
    "EngineShutdown",
    "EngineSnapshot",
    "EngineStatusGet",
    "ErrorData",
    "ErrorObject",
    "EventItem",
    "EventPage",
    "EventsList",
    "EventsSubscribe",
    "EventsUnsubscribe",
    "GovernorExplain",
    "GovernorMoveAnchor",
    "GovernorRecompute",
    "GovernorSetLimits",
    "GovernorStatusGet",
    "Hello",
    "HelloResult",
    "LedgerConsistency",
    "LedgerEntry",
    "LedgerGet",
    "LedgerHead",
    "LedgerHeads",
    "LedgerList",
    "LedgerPage",
    "LedgerProve",
    "LedgerRow",
    "LedgerVerify",
    "LimitsResult",
    "LogResult",
    "MethodInfo",
    "Methods",
    "Notification",
    "Ok",
    "Ping",
    "RecomputeResult",
    "Request",
    "Result",
    "SubmitResult",
    "SubscribeResult",
    "SystemVersion",
    "TokenCreate",
    "TokenCreateResult",
    "TokenInfo",
    "TokenList",
    "TokenRevoke",
    "VerifyResult",
    "VersionDiff",
    "VersionForward",
    "VersionForwardPreview",
    "VersionList",
    "VersionPreview",
    "VersionResult",
    "VersionRollback",
    "Whoami",
    "WhoamiResult",
]

REQUESTS: tuple[type[Request[Any]], ...] = (
    *system.REQUESTS,
    *auth.REQUESTS,
    *engine.REQUESTS,
    *candidate.REQUESTS,
    *version.REQUESTS,
    *governor.REQUESTS,
    *ledger.REQUESTS,
    *events.REQUESTS,
)
"""Every method of the service, in the order of the documentation."""
