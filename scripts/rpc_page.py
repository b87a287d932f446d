"""The page `docs/rpc.md`, made from the OpenRPC document, the table of topics and the caps."""

import ast
import inspect
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ouroboros.model import topics
from rpc import limits

_INTRO = """\
# The service: JSON-RPC 2.0

Everything that the engine knows and can do, from any script. This page is made from what the service decodes by (`scripts/write_schema.py`); the same as a document for programs is
[openrpc.json](openrpc.json), which `rpc.discover` returns.

    curl --unix-socket SOCKET http://engine/rpc -H 'Content-Type: application/json' -d '{"jsonrpc": "2.0", "id": 1, "method": "engine.status"}'
    ouroboros call engine.status

From Python: `ouroboros.client` (`Client`, `SyncClient`, `follow`). Examples in Python, shell and Node: `examples/rpc/`. From another machine: `--host` below.

## Doors

| door | open | who comes in |
|---|---|---|
| unix socket | always; 0600 in a folder of 0700 | the engine's user and root, as `admin`; the kernel says who it is (`uid:NAME`). A token that comes along says it instead (`token:NAME`), and only narrows |
| second unix socket | `[rpc] socket` | whom `[rpc.users]` and `[rpc.groups]` name, with the role that stands there |
| TCP | `[rpc] listen`; only loopback without TLS | whoever has a token (`token:NAME`), or this run's cookie file (0600, beside the ledger) |
| `ouroboros rpc --stdio` | wherever the command can be started | whoever may start it: `--host ssh://user@host/path/of/repository` does so by SSH |

Each has `POST /rpc` (a request or a batch), a WebSocket at `GET /rpc` (requests, and `event` notifications), `GET /events` (server-sent events), `GET /metrics` (Prometheus), and, without
a token, `/healthz` (the event loop turns) and `/readyz` (503 while draining or halted).

A token comes in `Authorization: Bearer`, or for a browser's WebSocket as the sub-protocol `ouroboros.token.TOKEN` beside `ouroboros`. `ouroboros token create NAME --role ROLE` makes one; the engine
keeps its SHA-256 in the ledger, as 256 random bits need no slow hash. A revoked or expired token ends what it has open. Wrong tokens of one address have to wait (429).

On TCP the `Host` header must be the address itself, `localhost`, or one of `[rpc] hosts` (421 otherwise: DNS rebinding); an `Origin` must stand in `[rpc] origins` (403; on a unix socket there is none). There are no
CORS headers and no cookies of browsers.

A key that may only carry messages, for a colleague's cockpit: `restrict,command="ouroboros --repo /srv/target rpc --stdio" ssh-ed25519 AAAA...` in `authorized_keys`. His acts are those of the account.

## Promises

- Roles are viewer < operator < approver < admin. A token may be bound to patterns of methods besides. Refusals are logged and counted (`ouroboros_rpc_refused_total`).
- What changes something is in the ledger, with its actor and reason, before it acts; without an `id` it is refused, and it is carried out to its end if the caller hangs up.
- Parameters come by name, or by position in the order below. Unknown ones are refused: a misspelt guard must not be a missing guard. In results, ignore fields that you do not know.
- Within protocol 1 things are only added. `Ouroboros-Protocol: 1` (HTTP) and `system.hello` say what you speak; another one is refused with the list of those spoken.
- Times are UTC nanoseconds unless a name ends in `_s`. Text of candidates and repositories is made safe for terminals, but for methods marked *exact*.
- No text of an exception leaves the engine: an internal error has an incident's number, which stands in its log.
"""


def page(document: dict[str, Any]) -> str:
    """Return the page."""
    parts = [_INTRO, *_events(), *_caps(), *_errors(document), "## Methods\n"]
    noun = ""
    for method in document["methods"]:
        if method["name"].split(".")[0] != noun:
            noun = method["name"].split(".")[0]
            parts.append(f"### `{noun}.*`\n")
        parts.append("\n".join(_method(method)) + "\n")
    parts.append("## Results\n")
    for name, schema in document["components"]["schemas"].items():
        if "properties" in schema or "enum" in schema:
            parts.append("\n".join(_schema(name, schema)) + "\n")
    return "\n".join(parts)


def _events() -> Iterator[str]:
    yield "## Events\n"
    yield (
        "`events.subscribe {topics, from_seq, epoch}` answers before the first notification. A durable event is an entry of the ledger: `seq` is its number and the cursor, `epoch` the ledger's name; after a break,\n"
        "subscribe again from the last `seq` and there is neither a gap nor a double. Where the ledger is another one: `cursor_expired`; fetch `engine.snapshot`, which has state and number at one moment.\n"
        "A reader that falls too far behind is closed with 1013 (WebSocket) or an `error` record (SSE) and resumes the same way; others do not notice. Lossy topics have `seq` 0: the newest of each wins, none is replayed.\n"
        "Over HTTP: `GET /events?topics=candidate.*&from_seq=0`; the record's `id` is the number, so that `Last-Event-ID` resumes. Without either: `events.list`, with `wait_s` as a long poll.\n"
    )
    durable = sorted({*topics.ENGINE_TOPICS.values(), "candidate.KIND", topics.UNKNOWN})
    yield f"Durable: {', '.join(f'`{t}`' for t in durable)}. Lossy: " + (
        ", ".join(f"`{t}`" for t in sorted(topics.LOSSY)) + ".\n"
    )


def _caps() -> Iterator[str]:
    yield "## Caps\n"
    rows = ["| cap | value | |", "|---|---|---|"]
    tree = ast.parse(Path(inspect.getfile(limits)).read_text())
    body = next(node for node in tree.body if isinstance(node, ast.ClassDef)).body
    for field, text in zip(body[1::2], body[2::2], strict=False):
        if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
            name = ast.unparse(field.target)
            said = ast.literal_eval(text.value)
            rows.append(f"| `{name}` | {getattr(limits.Limits(), name):,} | {said} |")
    yield "\n".join(rows) + "\n"


def _errors(document: dict[str, Any]) -> Iterator[str]:
    yield "## Errors\n"
    yield "`error.data` has `name` (stable, for programs), `hint` (for people), `type` and, for faults of the engine, `incident`.\n"
    rows = ["| code | name | |", "|---|---|---|"]
    rows += [
        f"| {error['code']} | `{name}` | {error['message']} |"
        for name, error in document["components"]["errors"].items()
    ]
    rows += [
        "| -32700 | `parse_error` | No JSON. |",
        "| -32600 | `invalid_request` | No request. |",
    ]
    yield "\n".join(rows) + "\n"


def _method(method: dict[str, Any]) -> Iterator[str]:
    marks = [f"role **{method['x-role']}**"]
    marks += ["changes something"] if method["x-mutates"] else []
    marks += ["may wait"] if method["x-waits"] else []
    marks += ["exact text"] if method["x-exact"] else []
    yield f"#### `{method['name']}`\n"
    yield f"{', '.join(marks)} · returns {_type(method['result']['schema'])}\n"
    yield method["description"] + "\n"
    if method["params"]:
        yield "| parameter | type | default |"
        yield "|---|---|---|"
        for param in method["params"]:
            schema = param["schema"]
            default = "required" if param["required"] else f"`{_default(schema)}`"
            yield f"| `{param['name']}` | {_type(schema)} | {default} |"


def _default(schema: dict[str, Any]) -> str:
    return str(schema.get("default", "")).replace("|", "\\|") or '""'


def _schema(name: str, schema: dict[str, Any]) -> Iterator[str]:
    yield f'#### <a id="{name.lower()}"></a>`{name}`\n'
    if schema.get("description"):
        yield schema["description"].replace("\n\n\n", "\n\n") + "\n"
    if "enum" in schema:
        yield "One of " + ", ".join(f"`{value}`" for value in schema["enum"]) + "."
        return
    yield "| field | type |"
    yield "|---|---|"
    for field, inner in schema["properties"].items():
        optional = "" if field in schema.get("required", ()) else ", may be left out"
        yield f"| `{field}` | {_type(inner)}{optional} |"


def _type(schema: dict[str, Any]) -> str:
    """Return a type in words; references are links."""
    if "$ref" in schema:
        name = schema["$ref"].rsplit("/", 1)[-1]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(_type(inner) for inner in schema["anyOf"])
    match schema.get("type"):
        case "array" if "prefixItems" in schema:
            return "array"
        case "array":
            return f"array of {_type(schema.get('items') or {})}"
        case "object" if isinstance(schema.get("additionalProperties"), dict):
            return f"object of {_type(schema['additionalProperties'])}"
        case list() as several:
            return " or ".join(several)
        case str() as one:
            return one
        case _:
            return "anything"
