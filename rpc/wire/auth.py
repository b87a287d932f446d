"""`auth.*` and `token.*`: who the caller is, and who else may call."""

from typing import Any

from rpc.wire.base import Act, Ok, Request, Result


class WhoamiResult(Result, frozen=True, kw_only=True):
    """The actor that the ledger will name, and what he may do.

    `methods`: patterns of what he may call, within his role; empty: all of it.
    """

    actor: str
    role: str
    methods: tuple[str, ...] = ()


class Whoami(Request[WhoamiResult], frozen=True, kw_only=True):
    """Return who the engine takes the caller for."""

    method = "auth.whoami"
    result = WhoamiResult
    instant = True


class TokenInfo(Result, frozen=True, kw_only=True):
    """A key to the doors of the network, without its secret. `expires_ns` 0: never."""

    name: str
    role: str
    actor: str
    created_ns: int
    methods: tuple[str, ...] = ()
    expires_ns: int = 0


class TokenList(Request[tuple[TokenInfo, ...]], frozen=True, kw_only=True):
    """Return the tokens that were given and not revoked, oldest first."""

    method = "token.list"
    result = tuple[TokenInfo, ...]
    role = "admin"


class TokenCreateResult(Ok, frozen=True, kw_only=True):
    """`secret` is shown this once: the engine keeps its digest only."""

    name: str
    secret: str


class TokenCreate(Act[TokenCreateResult], frozen=True, kw_only=True):
    """Give a program a key to the TCP door; its acts stand in the ledger as `token:NAME`.

    `grants`: the role (viewer, operator, approver, admin). `methods`: shell-style patterns of what
    it may call within that role (empty: all). `expires_s`: seconds until it opens nothing any more,
    0 for never. `name`: letters, digits, `.`, `_`, `-`.
    """

    method = "token.create"
    result = TokenCreateResult
    role = "admin"
    name: str
    reason: str
    grants: str = "viewer"
    methods: tuple[str, ...] = ()
    expires_s: float = 0.0


class TokenRevoke(Act[Ok], frozen=True, kw_only=True):
    """Take a token back at once; its open connections are closed."""

    method = "token.revoke"
    result = Ok
    role = "admin"
    name: str
    reason: str


REQUESTS: tuple[type[Request[Any]], ...] = (
    Whoami,
    TokenList,
    TokenCreate,
    TokenRevoke,
)
"""In the order of the documentation."""
