"""Who a request is from: the kernel's word on a unix socket, a secret on a port of the network.

Each door has one `Access`. Both refuse what a page in a browser sends, unless its origin is one
that the configuration names: a page may reach a port of this machine (DNS rebinding included, hence
the list of hosts), and nobody but a browser sets `Origin`.
"""

import asyncio
import grp
import os
import pwd
from collections.abc import Callable, Mapping
from typing import Protocol, cast

import msgspec
from aiohttp import web
from aiohttp.typedefs import LooseHeaders

from ouroboros.engine.api import EngineApi
from ouroboros.errors import (
    BusyError,
    ForbiddenError,
    MisdirectedError,
    OuroborosError,
    UnauthenticatedError,
)
from ouroboros.model.text import safe_line
from rpc import keys
from rpc.limits import Limits
from rpc.methods.session import ROLES
from rpc.server.door import actor_of, peer_uid
from rpc.server.throttle import Throttle

SUBPROTOCOL = "ouroboros"
"""Of a WebSocket; what carries a token is never echoed."""
BY_SUBPROTOCOL = "ouroboros.token."
_BEARER = "bearer "


class Caller(msgspec.Struct, frozen=True, kw_only=True):
    """Who it is, and what he may do; see `rpc.methods.session.Session`."""

    actor: str
    role: str
    methods: tuple[str, ...] = ()
    alive: Callable[[], bool] = lambda: True


class Access(Protocol):
    """One door's way to tell people apart."""

    def check(self, request: web.BaseRequest) -> None:
        """Refuse a request by its headers, whoever sends it.

        Raises:
            ForbiddenError: from a page in a browser.
            MisdirectedError: meant for another host.
        """
        ...

    def caller(self, request: web.BaseRequest) -> Caller:
        """Return who sends it.

        Raises:
            UnauthenticatedError: nobody that we know.
            BusyError: too many wrong secrets came from there.
        """
        ...

    def peers(self, transport: asyncio.Transport) -> OuroborosError | None:
        """Return why a connection is refused before a byte of it is read, if it is."""
        ...


def _check_origin(request: web.BaseRequest, origins: tuple[str, ...]) -> None:
    sent = request.headers.getall("Origin", [])
    if any(origin not in origins for origin in sent):
        raise ForbiddenError(
            "Requests of web pages are not answered here.",
            hint="Name the page's origin in [rpc] origins if it is yours.",
        )


class LocalAccess:
    """A unix socket: the owner, root, and whom the configuration names.

    A token may come along. It says who it is then (`token:NAME`), and it only narrows: nobody gets
    more by it than the account has. So a forced command gives a colleague less than one's own
    rights, and the engine holds him to it.
    """

    def __init__(
        self,
        engine: EngineApi,
        *,
        owner: int,
        role: str,
        users: Mapping[int, str],
        groups: Mapping[int, str],
        clock_ns: Callable[[], int],
    ) -> None:
        """Take who may come in: `role` is the owner's and root's, others' are by uid and gid."""
        self._engine = engine
        self._clock_ns = clock_ns
        self._owner = owner
        self._role = role
        self._users = users
        self._groups = groups

    def check(self, request: web.BaseRequest) -> None:
        """Refuse browsers: none has a way to a unix socket by itself."""
        _check_origin(request, ())

    def caller(self, request: web.BaseRequest) -> Caller:
        """Ask the kernel."""
        if request.transport is None:
            raise ConnectionResetError("the peer left")
        uid = peer_uid(request.transport)
        role = self._role_of(uid)
        if role is None:
            raise self._stranger(uid)
        secret = secret_of(request)
        if not secret:
            return Caller(actor=actor_of(uid), role=role)
        found = by_token(self._engine, secret, self._clock_ns)
        if found is None:
            raise UnauthenticatedError(
                "This is no token that opens this engine.",
                hint="Leave it out to come as yourself; 'ouroboros token create' makes one.",
            )
        return msgspec.structs.replace(found, role=min(role, found.role, key=ROLES.index))

    def peers(self, transport: asyncio.Transport) -> OuroborosError | None:
        """Ask the kernel before anything is read."""
        uid = peer_uid(transport)
        return self._stranger(uid) if self._role_of(uid) is None else None

    def _role_of(self, uid: int) -> str | None:
        """Return the role; where several apply, the user's own wins over the best of his groups."""
        if uid in (self._owner, 0):
            return self._role
        if uid in self._users:
            return self._users[uid]
        found = [self._groups[gid] for gid in _groups_of(uid) if gid in self._groups]
        return max(found, key=ROLES.index, default=None)

    def _stranger(self, uid: int) -> OuroborosError:
        return UnauthenticatedError(
            f"This engine belongs to {actor_of(self._owner)}; you are {actor_of(uid)}.",
            hint="Ask its owner to name you in [rpc.users], or start an engine of your own.",
        )


def _groups_of(uid: int) -> list[int]:
    try:
        user = pwd.getpwuid(uid)
    except KeyError:
        return []
    return os.getgrouplist(user.pw_name, user.pw_gid)


class TokenAccess:
    """A port: a token of the ledger, or the cookie of this engine's file."""

    def __init__(
        self,
        engine: EngineApi,
        *,
        cookie: str,
        owner: int,
        hosts: frozenset[str],
        origins: tuple[str, ...],
        limits: Limits,
        clock_ns: Callable[[], int],
    ) -> None:
        """Take what is accepted: `hosts` as the `Host` header has them, in lower case."""
        self._engine = engine
        self._cookie = cookie
        self._owner = owner
        self._hosts = hosts
        self._origins = origins
        self._clock_ns = clock_ns
        self._throttle = Throttle(failures=limits.failures, forgive_s=limits.forgive_s)

    def check(self, request: web.BaseRequest) -> None:
        """Refuse what was sent to another name, or by a page that nobody named."""
        sent = request.headers.getall("Host", [])
        if len(sent) != 1 or sent[0].lower() not in self._hosts:
            name = safe_line(", ".join(sent), limit=80)
            raise MisdirectedError(
                f"This engine does not answer to the host {name!r}.",
                hint="Name it in [rpc] hosts if it is yours.",
            )
        _check_origin(request, self._origins)

    def peers(self, transport: asyncio.Transport) -> OuroborosError | None:  # noqa: ARG002 - a door's
        """Let everybody in who has a request: the secret is in it."""
        return None

    def caller(self, request: web.BaseRequest) -> Caller:
        """Compare the secret; a right one passes even where wrong ones have to wait."""
        secret = secret_of(request)
        found = self._known(secret) if secret else None
        if found is not None:
            return found
        address = _address(request)
        now = asyncio.get_running_loop().time()
        wait_s = (
            self._throttle.failed(address, now) if secret else self._throttle.wait(address, now)
        )
        if wait_s > 0:
            raise BusyError(
                "Too many wrong tokens came from this address.",
                hint=f"Wait {wait_s:.0f} s.",
            )
        raise UnauthenticatedError(
            "A token is needed, and this is none that opens this engine."
            if secret
            else "A token is needed.",
            hint="Send 'Authorization: Bearer TOKEN'; 'ouroboros token create' makes one.",
        )

    def _known(self, secret: str) -> Caller | None:
        token = by_token(self._engine, secret, self._clock_ns)
        if self._cookie and keys.same(secret, self._cookie):
            return Caller(actor=actor_of(self._owner), role=ROLES[-1])
        return token


def by_token(engine: EngineApi, secret: str, clock_ns: Callable[[], int]) -> Caller | None:
    """Return whom a token of the ledger stands for, as long as it does; None: it is none."""
    token = keys.find(secret, engine.state.tokens.values(), clock_ns())
    if token is None:
        return None

    def alive() -> bool:
        now = engine.state.tokens.get(token.name)
        return now == token and not 0 < token.expires_ns <= clock_ns()

    return Caller(actor=f"token:{token.name}", role=token.role, methods=token.methods, alive=alive)


def secret_of(request: web.BaseRequest) -> str:
    """Return the secret that came with a request, or nothing.

    Browsers cannot set headers of a WebSocket: for them it may be one of the sub-protocols.
    """
    sent = request.headers.get("Authorization", "")
    if sent.lower().startswith(_BEARER):
        return sent[len(_BEARER) :].strip()
    for part in request.headers.get("Sec-WebSocket-Protocol", "").split(","):
        if part.strip().startswith(BY_SUBPROTOCOL):
            return part.strip().removeprefix(BY_SUBPROTOCOL)
    return ""


def _address(request: web.BaseRequest) -> str:
    name = request.transport.get_extra_info("peername") if request.transport else None
    return str(cast("tuple[str, int]", name)[0]) if name else ""


def status_of(error: OuroborosError) -> tuple[int, LooseHeaders]:
    """Return the HTTP status of a refusal at the door, and headers that belong to it."""
    match error:
        case UnauthenticatedError():
            return 401, {"WWW-Authenticate": "Bearer"}
        case BusyError():
            return 429, {"Retry-After": "60"}
        case MisdirectedError():
            return 421, {}
        case _:
            return 403, {}


def uid_of(user: str) -> int | None:
    """Return the uid of a local user's name, or of a number; None where there is none."""
    if user.isascii() and user.isdigit():
        return int(user)
    try:
        return pwd.getpwnam(user).pw_uid
    except KeyError:
        return None


def gid_of(group: str) -> int | None:
    """Return the gid of a local group's name, or of a number; None where there is none."""
    if group.isascii() and group.isdigit():
        return int(group)
    try:
        return grp.getgrnam(group).gr_gid
    except KeyError:
        return None
