"""What all methods have in common: the roots of parameters and results, and errors."""

from typing import Any, ClassVar, Generic, TypeVar

import msgspec

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
    instant: ClassVar[bool] = False
    """Whether its handler never waits, so that a WebSocket answers it before it reads on."""
    waits: ClassVar[bool] = False
    """Whether it may take long; such a call can be ended by `rpc.cancel` on its WebSocket."""
    exact: ClassVar[bool] = False
    """Whether the result may hold foreign text as it is. All others are made safe at the door."""


class Act(
    Request[R],
    Generic[R],
    frozen=True,
    kw_only=True,
    forbid_unknown_fields=True,
    omit_defaults=True,
):
    """Root of the parameters of methods that change something.

    `idempotency_key`: a name that the caller gives to this one act. Sent again with the same
    parameters it is not done twice, also over restarts: it returns the first outcome while the
    engine runs, and afterwards the entry by which it was done (`conflict`, where the result says
    more than that). With other parameters it is refused while the engine runs.
    """

    mutates: ClassVar[bool] = True
    idempotency_key: str = ""


class Ok(Result, frozen=True, kw_only=True):
    """Done; `seq` is the ledger sequence at which the effect is visible."""

    seq: int


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


_KEY = "idempotency_key"


def positional(kind: type[Request[Any]]) -> tuple[str, ...]:
    """Return the names of parameters in the order in which they may stand without names."""
    own = tuple(name for name in kind.__struct_fields__ if name != _KEY)
    return (*own, _KEY) if _KEY in kind.__struct_fields__ else own
