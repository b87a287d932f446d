"""`auth.*`: who the caller is."""

from typing import Any

from rpc.wire.base import Request, Result


class WhoamiResult(Result, frozen=True, kw_only=True):
    """The actor that the ledger will name, and its role."""

    actor: str
    role: str


class Whoami(Request[WhoamiResult], frozen=True, kw_only=True):
    """Return who the engine thinks you are."""

    method = "auth.whoami"
    result = WhoamiResult


REQUESTS: tuple[type[Request[Any]], ...] = (Whoami,)
"""In the order of the documentation."""
