"""Each method: exactly one handler, the typed signature, and the shape on the wire."""

import asyncio
import dataclasses
import inspect
import json
import os
import platform
import typing
from pathlib import Path
from types import ModuleType
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros import __version__
from ouroboros.config import (
    Config,
    Duration,
    Size,
    duration_text,
    parse_duration,
    parse_size,
    size_text,
)
from ouroboros.errors import BusyError, Misuse
from ouroboros.model.text import safe_text
from rpc import keys, wire
from rpc.guard import Call, Guard
from rpc.limits import Limits
from rpc.methods import Session, endpoints
from rpc.methods.registry import endpoints_of, handles

GOLDEN = Path(__file__).parent / "golden"

B = "b" * 40
CALLS: dict[str, dict[str, Any]] = {
    "rpc.discover": {},
    "system.hello": {"client": "golden", "protocols": ["1", "2"]},
    "system.ping": {},
    "system.methods": {},
    "system.version": {},
    "auth.whoami": {},
    "token.list": {},
    "token.create": {"name": "ci", "grants": "operator", "methods": ["cycle.*"], "reason": "CI"},
    "token.revoke": {"name": "ci", "reason": "leaked"},
    "engine.status": {},
    "engine.snapshot": {},
    "engine.pause": {"reason": "lunch", "mode": "now"},
    "engine.resume": {},
    "engine.drain": {"reason": "upgrade", "timeout_s": 5},
    "engine.reload": {},
    "engine.shutdown": {"reason": "reboot"},
    "engine.health": {},
    "engine.wait": {"until": ["idle", "working", "paused"], "timeout_s": 1},
    "rpc.cancel": {"id": 7},
    "cycle.get": {"number": 1},
    "version.get": {"ref": "1"},
    "config.history": {"limit": 3},
    "config.validate": {"text": "x = 1"},
    "alert.list": {},
    "alert.ack": {"seq": 9, "reason": "seen"},
    "alert.test": {},
    "alert.silence": {"codes": "disk_*", "until": 1_800_000_000_000_000_000, "reason": "known"},
    "alert.silences": {},
    "log.tail": {"limit": 5, "level": "WARNING"},
    "metrics.list": {},
    "metrics.query": {"name": "engine_rss_bytes", "begin": 5, "step_s": 10},
    "metrics.compare": {"name": "engine_rss_bytes", "a": [1, 9], "b": [10, 19]},
    "worker.list": {},
    "worker.drain": {"name": "local", "reason": "new kernel"},
    "cycle.trigger": {},
    "cycle.cancel": {"reason": "enough"},
    "cycle.list": {"limit": 5},
    "candidate.list": {"phases": ["held", "promoted"], "limit": 1},
    "candidate.get": {"id": "c3"},
    "candidate.diff": {"id": "c3", "offset": 4, "limit": 80},
    "candidate.log": {"id": "c3", "check": "tests"},
    "candidate.evaluation": {"id": "c3"},
    "candidate.submit": {"diff": "--- a/x\n", "title": "t", "idempotency_key": "k"},
    "candidate.approve": {"id": "c3", "commit": B, "reason": "seen"},
    "candidate.reject": {"id": "c3", "reason": "no"},
    "candidate.cancel": {"id": "c3"},
    "candidate.hold": {"id": "c3", "reason": "let me look"},
    "candidate.retry": {"id": "c3", "reason": "again"},
    "candidate.promote_full": {"id": "c3", "commit": B, "reason": "the fire is out of control"},
    "candidate.wait": {"id": "c3", "timeout_s": 1},
    "version.list": {},
    "version.preview": {"to": "0"},
    "version.rollback": {"to": "0", "reason": "slow", "expect_head": "d" * 40},
    "version.forward_preview": {"to": "1"},
    "version.forward": {"to": "1", "reason": "it was not that"},
    "version.diff": {"old": "0", "new": "1", "limit": 10},
    "governor.status": {},
    "governor.explain": {"id": "c3"},
    "governor.set_limits": {
        "changes": {"governor.max_lines": 9, "governor.limits.freeze": ["22:00 - 06:00"]},
        "reason": "careful",
    },
    "governor.move_anchor": {"ref": "1", "reason": "release"},
    "governor.freeze": {"until": 1_800_000_000_000_000_000, "reason": "release"},
    "governor.unfreeze": {"reason": "released"},
    "governor.recompute": {"id": "c1"},
    "config.get": {},
    "ledger.head": {},
    "ledger.list": {"limit": 3, "candidate": "c2"},
    "ledger.get": {"seq": 2},
    "ledger.verify": {},
    "ledger.export": {"after": 2, "limit": 2},
    "ledger.heads": {"limit": 5},
    "ledger.prove": {"seq": 3},
    "ledger.consistency": {"from_size": 2},
    "events.subscribe": {},
    "events.unsubscribe": {"subscription": "s1"},
    "events.list": {"from_seq": 1, "topics": ["engine.*", "cycle.*"]},
}


BEFORE = dict.fromkeys(("token.list", "token.revoke"), ("token.create", CALLS["token.create"]))
"""What is called first, so that there is something to show."""


@pytest.fixture(autouse=True)
def _one_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keys, "new_secret", lambda: "ouro_secret-of-the-tests")


@pytest.fixture
def session(engine: Any) -> Session:
    return Session(engine=engine, actor="uid:ann", role="admin")


@pytest.fixture
def ask(session: Session) -> Any:
    guard = Guard(endpoints(), Limits(), incident=lambda: "incident-1")

    async def call(method: str, params: Any) -> Any:
        if method in BEFORE and params == CALLS[method]:
            await call(*BEFORE[method])
        request = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        body = await guard.answer(session, msgspec.json.encode(request))
        assert body is not None
        return json.loads(body)

    return call


def test_every_request_has_exactly_one_handler() -> None:
    assert set(endpoints()) == {r.method for r in wire.REQUESTS}
    assert {e.request for e in endpoints().values()} == set(wire.REQUESTS)
    assert len({r.method for r in wire.REQUESTS}) == len(wire.REQUESTS)


def test_every_request_class_of_the_wire_is_listed() -> None:
    every = {
        value
        for value in vars(wire).values()
        if isinstance(value, type)
        and issubclass(value, wire.Request)
        and value not in (wire.Request, wire.Act)
    }
    assert every == set(wire.REQUESTS)


@pytest.mark.parametrize("request_", wire.REQUESTS, ids=lambda r: r.method)
def test_the_handler_takes_and_returns_what_the_wire_says(
    request_: type[wire.Request[Any]],
) -> None:
    handler = endpoints()[request_.method].handler
    hints = typing.get_type_hints(handler)
    names = [p.lstrip("_") for p in inspect.signature(handler).parameters]
    assert names == ["session", "request"]
    assert {request_, Session} <= set(hints.values())
    assert hints["return"] == request_.result


def test_two_handlers_of_one_method_are_a_misuse() -> None:
    module = ModuleType("twice")

    def handler(_session: Session, _request: wire.Ping) -> Any:
        raise AssertionError

    handler.__module__ = "twice"
    other = type(handler)(handler.__code__, {"__name__": "twice"})
    module.a = handles(wire.Ping)(handler)
    module.b = handles(wire.Ping)(other)
    with pytest.raises(Misuse, match="two handlers"):
        endpoints_of(module)


def normal(method: str, response: dict[str, Any]) -> dict[str, Any]:
    """Replace what differs between machines and releases."""
    text = json.dumps(response)
    text = text.replace(f'"{__version__}"', '"<version>"')
    response = json.loads(text.replace(f'"{platform.python_version()}"', '"<python>"'))
    if method == "rpc.discover":  # the whole document is docs/openrpc.json
        response["result"] = sorted(response["result"])
    if method == "config.get":  # the schema test watches the options
        response["result"]["values"] = sorted(response["result"]["values"])
    return response


@pytest.mark.parametrize("method", [r.method for r in wire.REQUESTS])
async def test_golden(ask: Any, engine: Any, method: str) -> None:
    params = CALLS[method]
    response = normal(method, await ask(method, params))
    document = {"params": params, "response": response, "appended": []}
    document["appended"] = [s.entry.event.kind for s in engine.entries[21:]]
    text = json.dumps(document, indent=2, ensure_ascii=True) + "\n"
    path = GOLDEN / f"{method}.json"
    if os.environ.get("OUROBOROS_UPDATE_GOLDEN"):
        path.write_text(text)
    assert path.read_text() == text


@pytest.mark.parametrize("method", [r.method for r in wire.REQUESTS if not r.mutates])
@pytest.mark.parametrize("id_", [1, "\u202e", None, 2.5])
@pytest.mark.parametrize("extra", [{}, {"nonsense": 1}])
async def test_a_call_alone_is_answered_byte_for_byte_as_in_a_batch(
    session: Session, engine: Any, method: str, id_: object, extra: dict[str, int]
) -> None:
    """One goes past the dispatcher, the other through it."""
    guard = Guard(endpoints(), Limits(), incident=lambda: "incident-1")
    call = {"jsonrpc": "2.0", "id": id_, "method": method, "params": CALLS[method] | extra}
    alone = await guard.answer(session, msgspec.json.encode(call))
    assert alone is not None
    assert b"[" + alone + b"]" == await guard.answer(session, msgspec.json.encode([call]))
    parsed = guard.parse(msgspec.json.encode(call))
    if guard.is_instant(parsed):
        assert isinstance(parsed, Call)
        assert guard.at_once(session, parsed) == alone


def keyed(method: str, key: str, **params: Any) -> bytes:
    call = {"jsonrpc": "2.0", "id": 1, "method": method}
    return msgspec.json.encode(call | {"params": params | {"idempotency_key": key}})


@pytest.mark.parametrize(
    "request_", [r for r in wire.REQUESTS if r.mutates], ids=lambda r: r.method
)
async def test_an_act_that_is_repeated_with_its_key_is_done_once(
    session: Session, engine: Any, request_: type[wire.Request[Any]]
) -> None:
    guard = Guard(endpoints(), Limits())
    if request_.method in BEFORE:
        before, params = BEFORE[request_.method]
        await guard.answer(session, keyed(before, "before", **params))
    params = {k: v for k, v in CALLS[request_.method].items() if k != "idempotency_key"}
    body = keyed(request_.method, "k1", **params)
    first = await guard.answer(session, body)
    known = len(engine.entries)
    assert await guard.answer(session, body) == first
    assert len(engine.entries) == known
    other = dataclasses.replace(session, actor="uid:bob")
    await guard.answer(other, body)  # another's key of the same name is another key


async def test_a_key_is_for_one_act_and_a_failed_one_may_be_tried_again(
    session: Session, engine: Any
) -> None:
    guard = Guard(endpoints(), Limits())
    await guard.answer(session, keyed("engine.pause", "k", reason="lunch"))
    refused = json.loads(await guard.answer(session, keyed("engine.pause", "k", reason="x")) or b"")
    assert refused["error"]["data"]["name"] == "conflict"
    refused = json.loads(await guard.answer(session, keyed("engine.resume", "k")) or b"")
    assert refused["error"]["data"]["name"] == "conflict"
    engine.raises = BusyError("not now")
    failed = json.loads(await guard.answer(session, keyed("engine.resume", "k2")) or b"")
    assert failed["error"]["data"]["name"] == "busy"
    engine.raises = None
    assert b"result" in (await guard.answer(session, keyed("engine.resume", "k2")) or b"")


async def test_two_that_ask_at_once_get_one_act(session: Session, engine: Any) -> None:
    guard = Guard(endpoints(), Limits())
    engine.gate = asyncio.Event()
    body = keyed("engine.pause", "k", reason="lunch")
    both = [asyncio.ensure_future(guard.answer(session, body)) for _ in range(2)]
    await asyncio.sleep(0)
    engine.gate.set()
    one, two = await asyncio.gather(*both)
    assert one == two
    assert [name for name, _ in engine.asked].count("pause") == 1


def test_no_golden_is_left_over() -> None:
    assert {p.stem for p in GOLDEN.iterdir()} == {r.method for r in wire.REQUESTS}


@pytest.mark.parametrize("request_", wire.REQUESTS, ids=lambda r: r.method)
async def test_results_decode_into_the_types_of_the_wire(
    ask: Any, request_: type[wire.Request[Any]]
) -> None:
    response = await ask(request_.method, CALLS[request_.method])
    if request_.method in ("events.subscribe", "events.unsubscribe", "rpc.cancel"):
        assert response["error"]["code"] == -32601  # they need a WebSocket
    else:
        msgspec.json.decode(json.dumps(response["result"]), type=request_.result)


@pytest.mark.parametrize(
    "request_", [r for r in wire.REQUESTS if r.mutates], ids=lambda r: r.method
)
async def test_what_mutates_names_the_caller(
    ask: Any, engine: Any, request_: type[wire.Request[Any]]
) -> None:
    await ask(request_.method, CALLS[request_.method])
    assert {actor for _, actor in engine.asked if actor} == {"uid:ann"}


@pytest.mark.parametrize("request_", wire.REQUESTS, ids=lambda r: r.method)
async def test_no_method_leaks_a_fault(
    ask: Any, engine: Any, request_: type[wire.Request[Any]]
) -> None:
    for name in [n for n in dir(engine) if not n.startswith("_") and n != "asked"]:
        setattr(engine, name, _Trap())
    response = await ask(request_.method, CALLS[request_.method])
    assert "hunter2" not in json.dumps(response)
    if "error" in response:
        assert response["error"]["code"] in (-32603, -32601)


class _Trap:
    """Raises whatever is done with it."""

    def __call__(self, *_: object, **__: object) -> Any:
        raise RuntimeError("password=hunter2")

    def __getattr__(self, _: str) -> Any:
        raise RuntimeError("password=hunter2")


BAD_PARAMS: list[tuple[str, dict[str, Any], str]] = [
    ("engine.pause", {"mode": "later"}, "after_phase or now"),
    ("cycle.list", {"limit": 0}, "`limit`"),
    ("candidate.list", {"limit": 501}, "`limit`"),
    ("candidate.list", {"phases": ["helt"]}, "'helt'"),
    ("candidate.list", {"cursor": "c99"}, "`cursor`"),
    ("candidate.diff", {"id": "c3", "offset": -1}, "`offset`"),
    ("candidate.diff", {"id": "c3", "limit": 262145}, "`limit`"),
    ("candidate.submit", {"diff": " ", "title": "t"}, "`diff`"),
    ("candidate.submit", {"diff": "d", "title": ""}, "`title`"),
    ("candidate.approve", {"id": "c3", "commit": ""}, "`commit`"),
    ("candidate.wait", {"id": "c3", "timeout_s": 3601}, "`timeout_s`"),
    ("candidate.wait", {"id": "c3", "timeout_s": -1}, "`timeout_s`"),
    ("candidate.wait", {"id": "c3", "until": ["done"]}, "'done'"),
    ("governor.set_limits", {"changes": {"a": 1}, "reason": " "}, "`reason`"),
    ("governor.set_limits", {"changes": {"a": {}}, "reason": "r"}, "changes"),
    ("governor.set_limits", {"changes": {str(n): n for n in range(101)}, "reason": "r"}, "101"),
    ("governor.move_anchor", {"ref": "1", "reason": ""}, "`reason`"),
    ("token.create", {"name": "a b", "reason": "r"}, "`name`"),
    ("token.create", {"name": "a", "reason": " "}, "`reason`"),
    ("token.create", {"name": "a", "reason": "r", "grants": "king"}, "`grants`"),
    ("token.create", {"name": "a", "reason": "r", "methods": ["nope.*"]}, "fits no method"),
    ("token.create", {"name": "a", "reason": "r", "expires_s": -1}, "`expires_s`"),
    ("token.revoke", {"name": "a", "reason": ""}, "`reason`"),
    ("engine.wait", {"until": ["asleep"]}, "'asleep'"),
    ("engine.wait", {"timeout_s": 3601}, "`timeout_s`"),
    ("cycle.get", {"number": 0}, "`number`"),
    ("config.history", {"limit": 0}, "`limit`"),
    ("alert.ack", {"seq": 0}, "`seq`"),
    ("log.tail", {"level": "LOUD"}, "`level`"),
    ("log.tail", {"limit": 1001}, "`limit`"),
    ("metrics.query", {"name": "x", "step_s": 0}, "`step_s`"),
    ("metrics.query", {"name": "x", "begin": -1}, "`begin`"),
    ("ledger.list", {"limit": 1001}, "`limit`"),
    ("ledger.list", {"before": -1}, "`before`"),
    ("ledger.heads", {"limit": 0}, "`limit`"),
    ("ledger.prove", {"seq": 0}, "`seq`"),
    ("ledger.consistency", {"from_size": 0}, "`from_size`"),
    (
        "candidate.approve",
        {"id": "c2", "commit": "x", "statement": "a"},
        "`statement` and `signature` belong together",
    ),
    ("events.list", {"wait_s": 61}, "`wait_s`"),
    ("events.list", {"topics": []}, "topics"),
    ("events.list", {"topics": [""]}, "topic"),
    ("events.list", {"from_seq": -1}, "`from_seq`"),
]


@pytest.mark.parametrize(("method", "params", "named"), BAD_PARAMS)
async def test_params_out_of_range(ask: Any, method: str, params: Any, named: str) -> None:
    error = (await ask(method, params))["error"]
    assert error["code"] == -32602
    assert named in error["message"]


async def test_another_protocol_is_refused_with_what_is_spoken(ask: Any) -> None:
    error = (await ask("system.hello", {"client": "x", "protocols": ["2", "\x1b[31m"]}))["error"]
    assert error["code"] == -32010
    assert "protocol 1" in error["message"]
    assert "\x1b" not in error["message"]


async def test_pages_of_candidates_hold_each_once_newest_first(ask: Any, engine: Any) -> None:
    for number in range(4, 40):
        engine.propose(f"c{number}")
    seen: list[str] = []
    cursor = ""
    while True:
        result = (await ask("candidate.list", {"limit": 7, "cursor": cursor}))["result"]
        seen += [c["id"] for c in result["candidates"]]
        cursor = result["next"]
        if not cursor:
            break
    assert seen == [f"c{n}" for n in range(39, 0, -1)]


async def test_a_page_of_candidates_has_no_raw_samples(ask: Any) -> None:
    page = (await ask("candidate.list", {}))["result"]["candidates"]
    assert all(not (c["evaluation"] or {"series": []})["series"] for c in page)
    whole = (await ask("candidate.get", {"id": "c3"}))["result"]
    assert whole["evaluation"]["series"][0]["pairs"]


async def test_pages_of_a_diff_make_the_whole_and_are_safe(ask: Any, engine: Any) -> None:
    raw = "".join(f"+line {n} \x1b[31m\u202e\r\n" for n in range(400))

    async def diff(_: str) -> str:
        return raw

    engine.diff = diff
    text, offset = "", 0
    while True:
        page = (await ask("candidate.diff", {"id": "c3", "offset": offset, "limit": 999}))["result"]
        text += page["text"]
        offset += len(page["text"])
        if offset >= page["total"]:
            break
    assert text == safe_text(raw)
    assert not set("\x1b\r\u202e") & set(text)


async def test_a_diff_is_exact_only_where_that_is_asked_for(ask: Any, engine: Any) -> None:
    raw = "+x = 1\x0c\x9b\u202e\n"

    async def diff(_: str) -> str:
        return raw

    engine.diff = diff
    assert (await ask("candidate.diff", {"id": "c3"}))["result"]["text"] == safe_text(raw)
    assert (await ask("candidate.diff", {"id": "c3", "raw": True}))["result"]["text"] == raw


def test_only_these_methods_give_exact_text() -> None:
    exact = {r.method for r in wire.REQUESTS if r.exact}
    assert exact == {
        "candidate.diff",
        "config.get",
        "ledger.export",
        "ledger.get",
        "ledger.prove",
        "version.diff",
    }


async def test_a_long_log_keeps_its_end(ask: Any, engine: Any) -> None:
    async def log(_: str, __: str) -> str:
        return "a" * 300_000 + "the end\x1b"

    engine.log = log
    text = (await ask("candidate.log", {"id": "c3", "check": "tests"}))["result"]["text"]
    assert text.endswith("the end\u241b")
    assert text.startswith("\u2026 (37864 earlier characters)\n")


async def test_pages_of_the_ledger_hold_each_entry_once_newest_first(ask: Any, engine: Any) -> None:
    seen: list[int] = []
    before = 0
    while True:
        result = (await ask("ledger.list", {"limit": 4, "before": before}))["result"]
        seen += [row["seq"] for row in result["rows"]]
        before = result["next"]
        if not before:
            break
    assert seen == list(range(21, 0, -1))


async def test_rows_of_the_ledger_are_safe(ask: Any) -> None:
    rows = (await ask("ledger.list", {"candidate": "c2"}))["result"]["rows"]
    assert "Evil \u241b]52" in rows[-1]["text"]
    assert "\x1b" not in json.dumps(rows, ensure_ascii=False)


async def test_an_entry_comes_with_its_exact_bytes(ask: Any, engine: Any) -> None:
    result = (await ask("ledger.get", {"seq": 5}))["result"]
    assert result["bytes"].encode() == engine.bytes[4]
    assert result["hash"] == engine.entries[4].hash


async def test_waiting_ends_when_the_phase_is_reached(ask: Any, engine: Any) -> None:
    assert (await ask("candidate.wait", {"id": "c3"}))["result"]["phase"] == "held"
    error = await ask("candidate.wait", {"id": "c3", "until": ["kept"], "timeout_s": 0.01})
    assert error["error"]["code"] == -32008


async def test_the_configuration_reads_as_it_is_written(ask: Any, engine: Any) -> None:
    result = (await ask("config.get", {}))["result"]
    assert result["text"].encode() == engine.config.source
    assert result["values"]["sandbox"]["memory"] == "512MiB"
    assert result["values"]["engine"]["interval"] == "1h"
    assert result["values"]["governor"]["mode"] == "supervised"
    assert set(result["values"]) == set(Config.__struct_fields__)


@given(st.integers(min_value=1, max_value=10**18))
def test_a_written_duration_reads_back(value: Any) -> None:
    duration = Duration(value)
    back = parse_duration(duration_text(duration))
    exact = value % 10**6 == 0
    assert back == duration if exact else abs(back - duration) <= max(1, value // 10**12)


@given(st.integers(min_value=1, max_value=1 << 45))
def test_a_written_size_reads_back(value: Any) -> None:
    assert parse_size(size_text(Size(value))) == value
