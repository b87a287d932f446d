"""How a function becomes a method: the decorator, and the collection of what it marked.

There is no global table: the decorator only marks the function, and `endpoints_of` reads the
modules that it is given. So a test or another package can make its own set.
"""

from collections.abc import Awaitable, Callable
from types import ModuleType
from typing import Any, TypeVar

import msgspec

from ouroboros.errors import Misuse
from rpc import wire
from rpc.methods.session import Session

R = TypeVar("R")

Handler = Callable[[Session, Any], Awaitable[Any]]
"""The function of a method; it takes the Struct of its own request."""

_MARK = "__rpc_request__"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A method: the class of its parameters, and the function that carries it out."""

    request: type[wire.Request[Any]]
    handler: Handler


def handles(
    request: type[wire.Request[R]],
) -> Callable[[Callable[[Session, Any], Awaitable[R]]], Callable[[Session, Any], Awaitable[R]]]:
    """Mark a function as the handler of `request`; its return type must be the wire's."""

    def mark(handler: Callable[[Session, Any], Awaitable[R]]) -> Handler:
        setattr(handler, _MARK, request)
        return handler

    return mark


def endpoints_of(*modules: ModuleType) -> dict[str, Endpoint]:
    """Return the marked functions of modules by method name.

    Raises:
        Misuse: two functions handle the same method.
    """
    found: dict[str, Endpoint] = {}
    for module in modules:
        for function in vars(module).values():
            request = getattr(function, _MARK, None)
            if request is None or function.__module__ != module.__name__:
                continue
            if request.method in found:
                raise Misuse(f"{request.method} has two handlers; one is in {module.__name__}.")
            found[request.method] = Endpoint(request=request, handler=function)
    return found
