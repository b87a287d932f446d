"""The OpenRPC document of the service, made from the same Structs that the service decodes by.

It is generated and never written by hand: what it says about a parameter is what the guard
enforces. `scripts/write_schema.py` stores it as `docs/openrpc.json`, a test keeps that current.
"""

import inspect
from functools import cache
from typing import Any

import msgspec

from ouroboros import errors
from rpc import wire

OPENRPC = "1.3.2"
_REF = "#/components/schemas/{name}"


@cache
def document() -> dict[str, Any]:
    """Return the whole document, as plain JSON values. It is shared: do not change it."""
    made: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(_document()))
    return made


def _document() -> dict[str, Any]:
    kinds: list[Any] = [*wire.REQUESTS, *(r.result for r in wire.REQUESTS)]
    kinds += [wire.Notification, wire.ErrorData]
    schemas, components = msgspec.json.schema_components(kinds, ref_template=_REF)
    count = len(wire.REQUESTS)
    methods = [
        _method(request, components[request.__name__], result)
        for request, result in zip(wire.REQUESTS, schemas[count:], strict=False)
    ]
    names = {request.__name__ for request in wire.REQUESTS}
    return {
        "openrpc": OPENRPC,
        "info": {
            "title": "Ouroboros",
            "description": _prose(wire.__doc__),
            "version": f"{wire.PROTOCOL}.0.0",
            "license": {"name": "MIT"},
        },
        "methods": methods,
        "components": {
            "schemas": {k: v for k, v in sorted(components.items()) if k not in names},
            "errors": _errors(),
        },
    }


def summary(request: type[wire.Request[Any]]) -> str:
    """Return the first line of a method's documentation."""
    return _prose(request.__doc__).split("\n", 1)[0]


def _method(
    request: type[wire.Request[Any]], schema: dict[str, Any], result: dict[str, Any]
) -> dict[str, Any]:
    required = set(schema.get("required", ()))
    fields = schema.get("properties", {})
    params = [
        {"name": name, "required": name in required, "schema": fields[name]}
        for name in wire.positional(request)
    ]
    return {
        "name": request.method,
        "summary": summary(request),
        "description": _prose(request.__doc__),
        "paramStructure": "either",
        "params": params,
        "result": {"name": "result", "schema": result},
        "errors": [{"$ref": f"#/components/errors/{name}"} for name in _errors()],
        "x-role": request.role,
        "x-mutates": request.mutates,
        "x-waits": request.waits,
        "x-exact": request.exact,
    }


def _errors() -> dict[str, Any]:
    """Return the named errors by their codes, the least special class of each code."""
    named: dict[str, type[errors.OuroborosError]] = {}
    for leaf in leaves():
        if leaf is errors.OuroborosError or "rpc_code" not in vars(leaf):
            continue
        known = named.get(leaf.rpc_name)
        if known is None or len(leaf.__mro__) < len(known.__mro__):
            named[leaf.rpc_name] = leaf
    found: dict[str, dict[str, Any]] = {
        name: {"code": leaf.rpc_code, "message": _prose(leaf.__doc__).split("\n", 1)[0]}
        for name, leaf in named.items()
    }
    found["internal"] = {
        "code": errors.OuroborosError.rpc_code,
        "message": "A fault of the engine; `data.incident` stands in its log.",
    }
    return dict(sorted(found.items(), key=lambda item: -item[1]["code"]))


def leaves() -> list[type[errors.OuroborosError]]:
    """Return the error classes of `ouroboros.errors`, in order of definition."""
    return [
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.OuroborosError)
    ]


def _prose(text: str | None) -> str:
    return inspect.cleandoc(text or "")
