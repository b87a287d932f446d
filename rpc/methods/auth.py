"""`auth.*` and `token.*`: who the caller is, and who else may call."""

import re
import time
from fnmatch import fnmatchcase

from ouroboros.errors import InvalidParamsError
from ouroboros.model.text import safe_line
from rpc import keys, wire
from rpc.methods.checks import at_most, filled, within
from rpc.methods.registry import handles
from rpc.methods.session import ROLES, Session

REASON = 2000
METHODS = 64
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_LONGEST_S = 10 * 366 * 86400.0


@handles(wire.Whoami)
async def whoami(session: Session, _request: wire.Whoami) -> wire.WhoamiResult:
    """Return the actor that the ledger will name."""
    return wire.WhoamiResult(actor=session.actor, role=session.role, methods=session.methods)


@handles(wire.TokenList)
async def list_(session: Session, _request: wire.TokenList) -> tuple[wire.TokenInfo, ...]:
    """Return the tokens without their digests."""
    return tuple(
        wire.TokenInfo(
            name=token.name,
            role=token.role,
            actor=token.actor,
            created_ns=token.created_ns,
            methods=token.methods,
            expires_ns=token.expires_ns,
        )
        for token in session.engine.state.tokens.values()
    )


@handles(wire.TokenCreate)
async def create(session: Session, request: wire.TokenCreate) -> wire.TokenCreateResult:
    """Make a secret, keep its digest, show it once."""
    _check(request)
    secret = keys.new_secret()
    expires_ns = time.time_ns() + int(request.expires_s * 1e9) if request.expires_s else 0
    await session.engine.create_token(
        request.name,
        role=request.grants,
        digest=keys.digest(secret),
        methods=request.methods,
        expires_ns=expires_ns,
        actor=session.actor,
        reason=request.reason,
    )
    return wire.TokenCreateResult(seq=session.engine.state.seq, name=request.name, secret=secret)


@handles(wire.TokenRevoke)
async def revoke(session: Session, request: wire.TokenRevoke) -> wire.Ok:
    """Take a token back."""
    filled("reason", request.reason)
    at_most("reason", request.reason, REASON)
    await session.engine.revoke_token(request.name, actor=session.actor, reason=request.reason)
    return wire.Ok(seq=session.engine.state.seq)


def _check(request: wire.TokenCreate) -> None:
    filled("reason", request.reason)
    at_most("reason", request.reason, REASON)
    at_most("methods", request.methods, METHODS)
    within("expires_s", request.expires_s, 0, _LONGEST_S)
    if not _NAME.fullmatch(request.name):
        raise InvalidParamsError(
            f"Invalid params: expected `name` of letters, digits, '.', '_' and '-', at most 64, "
            f"got {safe_line(request.name, limit=80)!r}."
        )
    if request.grants not in ROLES:
        raise InvalidParamsError(
            f"Invalid params: expected `grants` to be one of {', '.join(ROLES)}, "
            f"got {safe_line(request.grants, limit=40)!r}."
        )
    for pattern in request.methods:
        at_most("methods", pattern, 128)
        if not any(fnmatchcase(known.method, pattern) for known in wire.REQUESTS):
            raise InvalidParamsError(
                f"Invalid params: `methods` has {safe_line(pattern, limit=80)!r}, which fits no "
                "method.",
                hint="'system.methods' lists all methods.",
            )
