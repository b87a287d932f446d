"""The strict door in front of the dispatcher: JSON-RPC 2.0 as written, nothing more and no less.

jsonrpcserver looks up the method, binds, calls it and builds the response. What it gets wrong is
decided here, before and after it (each was measured on 5.0.9): one bad item failed a whole batch;
the text of any exception reached the caller; a result that cannot be encoded escaped as an HTTP
500; `NaN`, `1e999` and lone surrogates were taken in and sent back; a batch ran all at once; the
id of a refused request was never echoed. So this module decodes strictly with msgspec, checks
each item by itself, hands items to the dispatcher one by one, and encodes what comes back.

This is also the door by which foreign text leaves: every result is made safe here, once, whatever
its method forgot (`wire.Request.exact` names the three that give exact text).

Nothing here knows a socket: text in, text out. A caller learns what was wrong with its request,
and nothing at all about faults of ours except an incident number that stands in the log.
"""

import asyncio
import hashlib
import logging
import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

import msgspec
from jsonrpcserver import Error, Success, async_dispatch_to_serializable
from jsonrpcserver.result import Result
from msgspec.structs import fields, replace

from ouroboros.engine.acts import acting
from ouroboros.engine.tasks import spawn
from ouroboros.errors import (
    BusyError,
    CancelledByHumanError,
    ConflictError,
    ForbiddenError,
    InvalidParamsError,
    Misuse,
    OuroborosError,
    UnauthenticatedError,
)
from ouroboros.model.text import plain_json, safe_json, safe_line, safe_text
from rpc import wire
from rpc.limits import Limits
from rpc.methods import Endpoint, Session
from rpc.methods.session import ROLES, matches

PARSE_ERROR = -32700
INVALID_REQUEST = -32600
METHOD_NOT_FOUND = -32601
INTERNAL_ERROR = -32603
_LIBRARY_ERROR = -32000
"""jsonrpcserver's code for a fault of its own; ours begin at -32001."""

_log = logging.getLogger(__name__)

Id = str | int | float | None
Outcome = msgspec.Raw | wire.ErrorObject
"""A result as it was encoded, or an error."""

_NAMED = 4096
"""Acts whose idempotency keys are remembered."""


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """A well-formed request object; `id` is unset for a notification."""

    method: str
    params: list[Any] | dict[str, Any]
    id: Id | msgspec.UnsetType = msgspec.UNSET


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """A request (or the whole text) that is answered with an error and not carried out."""

    error: wire.ErrorObject
    id: Id = None


def new_incident() -> str:
    """Return a number by which a caller's report finds the log entry."""
    return secrets.token_hex(6)


def failure(error: wire.ErrorObject, id_: Id = None) -> bytes:
    """Encode an error response."""
    return plain_json(msgspec.json.encode({"jsonrpc": "2.0", "error": error, "id": id_}))


def invalid(text: str, hint: str = "") -> wire.ErrorObject:
    """Return the error of something that is not a valid request."""
    data = wire.ErrorData(name="invalid_request", hint=hint)
    return wire.ErrorObject(code=INVALID_REQUEST, message=f"Invalid request: {text}", data=data)


def error_object(error: OuroborosError) -> wire.ErrorObject:
    """Return an expected error as the wire carries it; its text may quote foreign text."""
    return wire.ErrorObject(
        code=error.rpc_code,
        message=safe_text(error.message, limit=4000),
        data=wire.ErrorData(
            name=error.rpc_name,
            hint=safe_text(error.hint, limit=2000),
            type=type(error).__name__,
        ),
    )


class Guard:
    """Answers requests by the given endpoints."""

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        limits: Limits,
        *,
        incident: Callable[[], str] = new_incident,
    ) -> None:
        """Take the table of methods; `incident` makes the numbers of our own faults."""
        self._endpoints = dict(endpoints)
        self._requests = {name: endpoint.request for name, endpoint in endpoints.items()}
        self._methods = {name: self._method(endpoint) for name, endpoint in endpoints.items()}
        self._limits = limits
        self._incident = incident
        self._mutations: set[asyncio.Task[Outcome]] = set()
        self._named: OrderedDict[tuple[str, str], tuple[bytes, asyncio.Task[Outcome]]] = (
            OrderedDict()
        )
        self.refused: Counter[str] = Counter()
        """Requests that were not even tried, by reason; the doors count theirs here too."""

    async def answer(
        self, session: Session, body: str | bytes, *, busy: bool = False
    ) -> bytes | None:
        """Carry out a request or a batch; None where JSON-RPC wants silence.

        Args:
            session: who asks, and of which engine.
            body: the text as it came.
            busy: refuse well-formed calls because the connection has too many in flight.
        """
        return await self.answer_parsed(session, self.parse(body), busy=busy)

    async def answer_parsed(
        self, session: Session, parsed: Call | Refused | list[Call | Refused], *, busy: bool = False
    ) -> bytes | None:
        """Carry out what `parse` returned; see `answer`."""
        if isinstance(parsed, list):
            replies = [await self._one(session, item, busy=busy) for item in parsed]
            heard = [reply for reply in replies if reply is not None]
            return b"[" + b",".join(heard) + b"]" if heard else None
        return await self._one(session, parsed, busy=busy, alone=True)

    def is_instant(self, parsed: Call | Refused | list[Call | Refused]) -> bool:
        """Whether this can be answered without ever waiting; see `at_once`."""
        if not isinstance(parsed, Call) or parsed.id is msgspec.UNSET:
            return False
        request = self._requests.get(parsed.method)
        return request is not None and request.instant

    def at_once(self, session: Session, call: Call) -> bytes | None:
        """Answer a call of an instant method, without a task and without the event loop.

        Raises:
            Misuse: its handler waits for something after all.
        """
        work = self._one(session, call, busy=False, alone=True)
        try:
            work.send(None)
        except StopIteration as done:
            reply: bytes | None = done.value
            return reply
        work.close()
        raise Misuse(f"{call.method} is marked as instant, and its handler waits.")

    async def drain(self, timeout_s: float) -> None:
        """Wait for calls that change something and whose caller is gone already."""
        if self._mutations:
            await asyncio.wait(set(self._mutations), timeout=timeout_s)

    # --- in -------------------------------------------------------------------------------------

    def parse(self, body: str | bytes) -> Call | Refused | list[Call | Refused]:
        """Decode a text into one call, or a batch into one outcome per item."""
        if len(body) > self._limits.body:
            return Refused(error=invalid(f"longer than {self._limits.body} bytes."))
        try:
            value = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            return _unparsable(safe_line(str(error)))
        if too_deep(value, self._limits.depth):
            return _unparsable(f"nested deeper than {self._limits.depth} levels")
        if not isinstance(value, list):
            return self._item(value)
        if not value:
            return Refused(error=invalid("an empty batch."))
        if len(value) > self._limits.batch:
            hint = f"Send at most {self._limits.batch} items at once."
            return Refused(error=invalid(f"a batch of {len(value)} items.", hint))
        return _without_twins([self._item(item) for item in value])

    def _item(self, value: object) -> Call | Refused:
        """Check one request object; the id is echoed wherever it is readable."""
        if not isinstance(value, dict):
            return Refused(error=invalid(f"expected an object, got {_kind(value)}."))
        id_, wrong = self._id(value)
        echo = None if id_ is msgspec.UNSET else id_
        if wrong:
            return Refused(error=invalid(wrong), id=echo)
        if value.get("jsonrpc") != "2.0":
            return Refused(error=invalid('"jsonrpc" must be exactly "2.0".'), id=echo)
        method = value.get("method")
        if not isinstance(method, str):
            return Refused(error=invalid('"method" must be a string.'), id=echo)
        params = value.get("params", {})
        if not isinstance(params, list | dict):
            text = f'"params" must be an object or an array, got {_kind(params)}.'
            return Refused(error=invalid(text), id=echo)
        return Call(method=method, params=params, id=id_)

    def _id(self, value: dict[str, Any]) -> tuple[Id | msgspec.UnsetType, str]:
        """Return the id, and what is wrong with it (then it is not echoed)."""
        if "id" not in value:
            return msgspec.UNSET, ""
        id_ = value["id"]
        if isinstance(id_, bool) or not isinstance(id_, str | int | float | None):
            return None, f'"id" must be a string, a number or null, got {_kind(id_)}.'
        length = len(id_) if isinstance(id_, str) else len(msgspec.json.encode(id_))
        if length > self._limits.id_chars:
            return None, f'"id" is longer than {self._limits.id_chars} characters.'
        return id_, ""

    # --- through --------------------------------------------------------------------------------

    async def _one(
        self, session: Session, item: Call | Refused, *, busy: bool, alone: bool = False
    ) -> bytes | None:
        if isinstance(item, Refused):
            return failure(item.error, item.id)
        refusal = self._refusal(session, item, busy=busy)
        if refusal is None:
            if alone and item.id is not msgspec.UNSET and item.method in self._endpoints:
                return await self._directly(session, item)
            return await self._dispatch(session, item)
        return None if item.id is msgspec.UNSET else failure(error_object(refusal), item.id)

    def refuse_method(self, session: Session, request: type[wire.Request[Any]]) -> None:
        """Refuse what is reached on another way than by its method's name.

        Raises:
            ForbiddenError: the caller may not call it.
        """
        refusal = self._refusal(session, Call(method=request.method, params={}, id=0), busy=False)
        if refusal is not None:
            raise refusal

    def _refusal(self, session: Session, call: Call, *, busy: bool) -> OuroborosError | None:
        """Return why a well-formed call is not even tried; every refusal is logged."""
        request = self._requests.get(call.method)
        refusal: OuroborosError | None = None
        if busy:
            refusal = BusyError(
                f"{self._limits.calls} calls are in flight on this connection.",
                hint="Wait for one to end, or open another connection.",
            )
        elif not session.alive():
            refusal = UnauthenticatedError(
                f"{session.actor} was revoked or has expired.", hint="Ask for a new token."
            )
        elif request is None:
            return None
        elif request.mutates and call.id is msgspec.UNSET:
            refusal = InvalidParamsError(f"{call.method} cannot be called without an id.")
        elif ROLES.index(session.role) < ROLES.index(request.role):
            refusal = ForbiddenError(
                f"{call.method} needs the role {request.role}; {session.actor} is {session.role}."
            )
        elif not matches(call.method, session.methods):
            refusal = ForbiddenError(
                f"{session.actor} may call {', '.join(session.methods)}, not {call.method}."
            )
        if refusal is not None:
            self.refused[refusal.rpc_name] += 1
            method = safe_line(call.method, limit=80)
            _log.warning("refused %s to %s: %s", method, session.actor, refusal.message)
        return refusal

    async def _directly(self, session: Session, call: Call) -> bytes:
        """Answer one well-formed call without the dispatcher, byte for byte as with it.

        Looking up, binding and wrapping take it several times as long as the rest. A call that may
        wait becomes a task of its own, which `rpc.cancel` can end.
        """
        endpoint = self._endpoints[call.method]
        work = self._perform(endpoint, session, call.params)
        if not endpoint.request.waits or session.calls is None:
            return _response(call, await work)
        task = spawn(work, name=f"rpc {call.method}")
        session.calls.begin(_id_of(call), task)
        try:
            return _response(call, await task)
        except asyncio.CancelledError:
            if not session.calls.was_cancelled(task):
                task.cancel()
                raise
            gone = CancelledByHumanError(f"This call of {call.method} was ended by rpc.cancel.")
            return failure(error_object(gone), _id_of(call))

    async def _dispatch(self, session: Session, call: Call) -> bytes | None:
        item: dict[str, Any] = {"method": call.method, "params": []}
        if call.method in self._methods:
            item["params"] = [call.params]
        if call.id is not msgspec.UNSET:
            item["id"] = call.id
        response = await async_dispatch_to_serializable(
            "",
            methods=self._methods,
            context=session,
            deserializer=lambda _: item,
            validator=lambda _: None,
        )
        return self._encode(call, response)

    def _encode(self, call: Call, response: object) -> bytes | None:
        """Encode what the dispatcher returned, with its own two errors in our words."""
        if response is None or not isinstance(response, dict):
            return None
        code = response["error"]["code"] if "error" in response else 0
        id_ = None if call.id is msgspec.UNSET else call.id
        if code == METHOD_NOT_FOUND and call.method not in self._methods:
            return failure(_unknown(call.method), id_)
        if code == _LIBRARY_ERROR:
            return failure(self._fault(call.method, None), id_)
        return plain_json(msgspec.json.encode(response))  # the id is the caller's own text

    # --- a method, as the dispatcher wants it ---------------------------------------------------

    def _method(self, endpoint: Endpoint) -> Callable[[Session, Any], Any]:
        async def method(session: Session, params: list[Any] | dict[str, Any]) -> Result:
            outcome = await self._perform(endpoint, session, params)
            if isinstance(outcome, wire.ErrorObject):
                return Error(outcome.code, outcome.message, outcome.data)
            return Success(outcome)

        return method

    async def _perform(
        self, endpoint: Endpoint, session: Session, params: list[Any] | dict[str, Any]
    ) -> Outcome:
        try:
            request = decode_params(endpoint.request, params)
        except InvalidParamsError as error:
            return error_object(error)
        if not isinstance(request, wire.Act):
            return await self._outcome(endpoint, session, request)
        if not request.idempotency_key:
            return await self._to_its_end(self._outcome(endpoint, session, request), request)
        return await self._once(endpoint, session, request)

    async def _once(self, endpoint: Endpoint, session: Session, request: wire.Act[Any]) -> Outcome:
        """Carry out an act that has a name, unless it was; a failed one may be tried again."""
        name = (session.actor, request.idempotency_key)
        asked = request.method.encode() + b" " + msgspec.json.encode(request)
        known = self._named.get(name)
        if known is not None and known[0] != asked:
            text = "This idempotency key was used for something else."
            return error_object(ConflictError(text, hint="Use a new key for a new act."))
        if known is not None:
            return await asyncio.shield(known[1])
        work = self._to_its_end(self._named_act(endpoint, session, request, asked), request)
        task = spawn(work, name=f"rpc {request.method}")
        self._named[name] = (asked, task)
        while len(self._named) > _NAMED:
            self._named.popitem(last=False)
        outcome = await asyncio.shield(task)
        if isinstance(outcome, wire.ErrorObject):
            self._named.pop(name, None)
        return outcome

    async def _named_act(
        self, endpoint: Endpoint, session: Session, request: wire.Act[Any], asked: bytes
    ) -> Outcome:
        """Carry out a named act, unless the ledger says that an engine before this one did."""
        said = f"{session.actor}\n{request.idempotency_key}\n".encode() + asked
        key = f"act-{hashlib.sha256(said).hexdigest()}"

        async def once(session: Session, request: wire.Act[Any]) -> object:
            if seq := await session.engine.done_before(key):
                return _done_before(request, seq)
            return await endpoint.handler(session, request)

        with acting(key):
            return await self._outcome(replace(endpoint, handler=once), session, request)

    async def _to_its_end(
        self,
        work: Coroutine[Any, Any, Outcome],
        request: wire.Request[Any],
    ) -> Outcome:
        # A caller that hangs up must not leave a change half made: the call is finished
        # without him, and the answer is dropped.
        task = spawn(work, name=f"rpc {request.method}")
        self._mutations.add(task)
        task.add_done_callback(self._mutations.discard)
        return await asyncio.shield(task)

    async def _outcome(
        self, endpoint: Endpoint, session: Session, request: wire.Request[Any]
    ) -> Outcome:
        """Run the handler and encode what it returns: the edge where exceptions end."""
        name = endpoint.request.method
        try:
            result = await endpoint.handler(session, request)
            encoded = msgspec.json.encode(result)
            return msgspec.Raw(encoded if request.exact else safe_json(encoded))
        except OuroborosError as error:
            return error_object(error)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return self._fault(name, error)  # something inside was cancelled, not we
        except Exception as error:  # noqa: BLE001 - the room's edge: nothing of it may get out
            return self._fault(name, error)

    def _fault(self, method: str, error: BaseException | None) -> wire.ErrorObject:
        """Log a fault of ours and return what the caller may know of it."""
        incident = self._incident()
        _log.error("incident %s in %s", incident, method, exc_info=error)
        hint = f"Look for incident {incident} in the engine's log."
        data = wire.ErrorData(name="internal", hint=hint, incident=incident)
        return wire.ErrorObject(code=INTERNAL_ERROR, message="Internal error", data=data)


def decode_params(
    kind: type[wire.Request[Any]], params: list[Any] | dict[str, Any]
) -> wire.Request[Any]:
    """Return the typed request; positional parameters stand in the order of declaration.

    Raises:
        InvalidParamsError: with the path of what does not fit.
    """
    if isinstance(params, list):
        names = wire.positional(kind)
        if len(params) > len(names):
            raise InvalidParamsError(
                f"Invalid params: {kind.method} takes at most {len(names)} "
                f"({', '.join(names) or 'none'}), got {len(params)}."
            )
        params = dict(zip(names, params, strict=False))
    try:
        request: wire.Request[Any] = msgspec.convert(params, kind)
    except msgspec.ValidationError as error:
        raise InvalidParamsError(
            f"Invalid params: {safe_line(str(error))}",
            hint=f"'rpc.discover' and 'system.methods' tell what {kind.method} takes.",
        ) from None
    return request


def _done_before(request: wire.Act[Any], seq: int) -> object:
    """Return the result of an act that an engine before this one did, as far as `seq` tells it.

    Raises:
        ConflictError: the result says more than that.
    """
    kind = type(request).result
    plain = isinstance(kind, type) and issubclass(kind, wire.Ok)
    if plain and all(field.name == "seq" or not field.required for field in fields(kind)):
        return kind(seq=seq)
    raise ConflictError(
        f"This was done before the engine was restarted, as entry {seq} of the ledger.",
        hint=f"'ouroboros ledger get {seq}' tells what came of it.",
    )


def too_deep(value: object, limit: int) -> bool:
    """Whether arrays and objects are nested deeper than `limit`, without recursion."""
    level = [value]
    for _ in range(limit):
        inner: list[object] = []
        for item in level:
            if isinstance(item, dict):
                inner.extend(item.values())
            elif isinstance(item, list):
                inner.extend(item)
        if not inner:
            return False
        level = inner
    return any(isinstance(item, dict | list) for item in level)


def _without_twins(items: list[Call | Refused]) -> list[Call | Refused]:
    """Refuse every call whose id stands twice: its caller could not tell the answers apart."""
    seen: dict[tuple[bool, Id], int] = {}
    for item in items:
        if isinstance(item, Call) and not isinstance(item.id, msgspec.UnsetType):
            key = (isinstance(item.id, str), item.id)
            seen[key] = seen.get(key, 0) + 1
    checked: list[Call | Refused] = []
    for item in items:
        if isinstance(item, Refused) or isinstance(item.id, msgspec.UnsetType):
            checked.append(item)
        elif seen[isinstance(item.id, str), item.id] > 1:
            text = "this id stands more than once in the batch."
            checked.append(Refused(error=invalid(text), id=item.id))
        else:
            checked.append(item)
    return checked


def _unparsable(why: str) -> Refused:
    data = wire.ErrorData(name="parse_error")
    error = wire.ErrorObject(code=PARSE_ERROR, message=f"Parse error: {why}", data=data)
    return Refused(error=error)


def _unknown(method: str) -> wire.ErrorObject:
    data = wire.ErrorData(
        name="method_not_found",
        hint="'system.methods' lists all methods.",
        type="MethodUnavailableError",
    )
    text = f"There is no method {safe_line(method, limit=80)!r}."
    return wire.ErrorObject(code=METHOD_NOT_FOUND, message=text, data=data)


def _id_of(call: Call) -> Id:
    return None if isinstance(call.id, msgspec.UnsetType) else call.id


def _response(call: Call, outcome: Outcome) -> bytes:
    """Encode a response with its members in the dispatcher's order."""
    if isinstance(outcome, wire.ErrorObject):
        return failure(outcome, _id_of(call))
    response = {"jsonrpc": "2.0", "result": outcome, "id": call.id}
    return plain_json(msgspec.json.encode(response))  # the id is the caller's own text


def _kind(value: object) -> str:
    """Name a JSON type."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    names = {str: "a string", int: "a number", float: "a number", list: "an array"}
    return names.get(type(value), "an object")
