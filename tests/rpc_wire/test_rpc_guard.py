"""Every corner of JSON-RPC 2.0 that the guard answers for, one row each."""

import asyncio
import contextlib
import json
import logging
import sys
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
import pytest
from hostile_rows import HOSTILE

from ouroboros.errors import BranchMovedError
from rpc import wire
from rpc.guard import Guard, too_deep
from rpc.limits import Limits
from rpc.methods import Session, endpoints
from rpc.server import Doors, Port, Server

PING = '{"jsonrpc":"2.0","method":"system.ping"'
NO_REPLY: dict[str, Any] = {}


def ok(id_: Any = 1) -> dict[str, Any]:
    return {"id": id_, "result": {"seq": 21}}


def bad(code: int, id_: Any = None) -> dict[str, Any]:
    return {"id": id_, "code": code}


def deep(levels: int) -> str:
    return "[" * levels + "]" * levels


# Name, text, expectation: an answer, a list of answers, or silence.
ROWS: list[tuple[str, str | bytes, Any]] = [
    ("object", PING + ',"id":1}', ok()),
    ("string id", PING + ',"id":"a"}', ok("a")),
    ("empty string id", PING + ',"id":""}', ok("")),
    ("null id is a request", PING + ',"id":null}', ok(None)),
    ("fractional id", PING + ',"id":1.5}', ok(1.5)),
    ("negative id", PING + ',"id":-7}', ok(-7)),
    ("huge id", PING + f',"id":{2**70}}}', ok(2**70)),
    ("id of 64 characters", PING + f',"id":"{"x" * 64}"}}', ok("x" * 64)),
    ("unicode id", PING + ',"id":"\\u00e9\\ud83d\\ude00"}', ok("\u00e9\U0001f600")),
    ("empty object params", PING + ',"id":1,"params":{}}', ok()),
    ("empty array params", PING + ',"id":1,"params":[]}', ok()),
    ("member besides params", PING + ',"id":1,"meta":{"trace":"x"}}', ok()),
    ("whitespace", " \n\t" + PING + ',"id":1} \n', ok()),
    ("duplicate key: last wins", PING + ',"id":1,"id":2}', ok(2)),
    ("notification", PING + "}", NO_REPLY),
    ("notification of an unknown method", '{"jsonrpc":"2.0","method":"nope"}', NO_REPLY),
    ("notification with bad params", PING + ',"params":{"x":1}}', NO_REPLY),
    ("mutating notification", '{"jsonrpc":"2.0","method":"engine.pause"}', NO_REPLY),
    ("empty text", "", bad(-32700)),
    ("blank text", "  ", bad(-32700)),
    ("not JSON", "hello", bad(-32700)),
    ("cut off", PING + ',"id":1', bad(-32700)),
    ("trailing text", PING + ',"id":1}x', bad(-32700)),
    ("two objects", PING + ',"id":1}' + PING + ',"id":2}', bad(-32700)),
    ("single quotes", "{'jsonrpc':'2.0'}", bad(-32700)),
    ("comment", "/* */ {}", bad(-32700)),
    ("NaN id", PING + ',"id":NaN}', bad(-32700)),
    ("NaN param", PING + ',"id":1,"params":{"x":NaN}}', bad(-32700)),
    ("Infinity", PING + ',"id":Infinity}', bad(-32700)),
    ("number out of range", PING + ',"id":1e999}', bad(-32700)),
    ("5000 digits", PING + f',"id":{"1" * 5000}}}', bad(-32700)),
    ("leading zero", PING + ',"id":01}', bad(-32700)),
    ("lone surrogate", PING + ',"id":"\\ud800"}', bad(-32700)),
    ("lone low surrogate in params", PING + ',"id":1,"params":{"x":"\\udc00"}}', bad(-32700)),
    ("raw control character", PING + ',"id":"\x01"}', bad(-32700)),
    ("not UTF-8", PING.encode() + b',"id":"\xff"}', bad(-32700)),
    ("byte order mark", b"\xef\xbb\xbf" + PING.encode() + b',"id":1}', bad(-32700)),
    ("65 levels", PING + f',"id":1,"params":{deep(64)}}}', bad(-32700)),
    ("100000 levels", deep(100_000), bad(-32700)),
    ("cut-off batch", "[" + PING + ',"id":1},', bad(-32700)),
    ("number", "1", bad(-32600)),
    ("string", '"x"', bad(-32600)),
    ("null", "null", bad(-32600)),
    ("true", "true", bad(-32600)),
    ("empty object", "{}", bad(-32600)),
    ("empty batch", "[]", bad(-32600)),
    ("no jsonrpc, id echoed", '{"method":"system.ping","id":3}', bad(-32600, 3)),
    ("jsonrpc 1.0", '{"jsonrpc":"1.0","method":"system.ping","id":3}', bad(-32600, 3)),
    ("jsonrpc number", '{"jsonrpc":2.0,"method":"system.ping","id":3}', bad(-32600, 3)),
    ("no method", '{"jsonrpc":"2.0","id":3}', bad(-32600, 3)),
    ("no method, no id", '{"jsonrpc":"2.0"}', bad(-32600)),
    ("method number", '{"jsonrpc":"2.0","method":1,"id":"q"}', bad(-32600, "q")),
    ("method null", '{"jsonrpc":"2.0","method":null,"id":3}', bad(-32600, 3)),
    ("method without id still answered", '{"jsonrpc":"2.0","method":1}', bad(-32600)),
    ("params string", PING + ',"id":3,"params":"x"}', bad(-32600, 3)),
    ("params null", PING + ',"id":3,"params":null}', bad(-32600, 3)),
    ("params number", PING + ',"id":3,"params":0}', bad(-32600, 3)),
    ("id true", PING + ',"id":true}', bad(-32600)),
    ("id object", PING + ',"id":{}}', bad(-32600)),
    ("id array", PING + ',"id":[1]}', bad(-32600)),
    ("id of 65 characters", PING + f',"id":"{"x" * 65}"}}', bad(-32600)),
    ("id of 65 digits", PING + f',"id":{"1" * 65}}}', bad(-32600)),
    ("a response", '{"jsonrpc":"2.0","id":4,"result":1}', bad(-32600, 4)),
    ("too long", PING + ',"id":1}' + " " * (1 << 20), bad(-32600)),
    ("unknown method", '{"jsonrpc":"2.0","method":"nope","id":1}', bad(-32601, 1)),
    ("empty method", '{"jsonrpc":"2.0","method":"","id":1}', bad(-32601, 1)),
    ("reserved prefix", '{"jsonrpc":"2.0","method":"rpc.x","id":1}', bad(-32601, 1)),
    ("method by attribute", '{"jsonrpc":"2.0","method":"__class__","id":1}', bad(-32601, 1)),
    ("method in another case", '{"jsonrpc":"2.0","method":"System.ping","id":1}', bad(-32601, 1)),
    ("unknown param", PING + ',"id":1,"params":{"x":1}}', bad(-32602, 1)),
    ("too many params", PING + ',"id":1,"params":[1]}', bad(-32602, 1)),
    ("missing param", '{"jsonrpc":"2.0","method":"candidate.get","id":1}', bad(-32602, 1)),
    (
        "wrong type",
        '{"jsonrpc":"2.0","method":"candidate.list","id":1,"params":{"limit":"9"}}',
        bad(-32602, 1),
    ),
    (
        "bool is no int",
        '{"jsonrpc":"2.0","method":"candidate.list","id":1,"params":{"limit":true}}',
        bad(-32602, 1),
    ),
    (
        "out of range",
        '{"jsonrpc":"2.0","method":"candidate.list","id":1,"params":{"limit":0}}',
        bad(-32602, 1),
    ),
    (
        "not found",
        '{"jsonrpc":"2.0","method":"candidate.get","id":1,"params":["zz"]}',
        bad(-32001, 1),
    ),
    ("batch", f'[{PING},"id":1}},{PING},"id":2}}]', [ok(1), ok(2)]),
    ("batch of one", f'[{PING},"id":1}}]', [ok(1)]),
    ("batch: errors by item", f'[{PING},"id":1}},{{"foo":1}}]', [ok(1), bad(-32600)]),
    ("batch of numbers", "[1,2,3]", [bad(-32600)] * 3),
    ("batch in a batch", f'[[{PING},"id":1}}]]', [bad(-32600)]),
    ("batch with a notification", f'[{PING}}},{PING},"id":2}}]', [ok(2)]),
    ("batch of notifications", f"[{PING}}},{PING}}}]", NO_REPLY),
    (
        "batch: unknown method",
        f'[{{"jsonrpc":"2.0","method":"x","id":1}},{PING},"id":2}}]',
        [bad(-32601, 1), ok(2)],
    ),
    (
        "batch: same id",
        f'[{PING},"id":1}},{PING},"id":2}},{PING},"id":1}}]',
        [bad(-32600, 1), ok(2), bad(-32600, 1)],
    ),
    ("batch: 1 and 1.0", f'[{PING},"id":1}},{PING},"id":1.0}}]', [bad(-32600, 1)] * 2),
    ("batch: 1 and '1'", f'[{PING},"id":1}},{PING},"id":"1"}}]', [ok(1), ok("1")]),
    (
        "batch of 64",
        "[" + ",".join(f'{PING},"id":{n}}}' for n in range(64)) + "]",
        [ok(n) for n in range(64)],
    ),
    ("batch of 65", "[" + ",".join(f'{PING},"id":{n}}}' for n in range(65)) + "]", bad(-32600)),
    (
        "batch: bad jsonrpc beside a good one",
        f'[{{"method":"m","id":9}},{PING},"id":2}}]',
        [bad(-32600, 9), ok(2)],
    ),
]
ROWS += [(name, text, bad(code, 1)) for name, text, code in HOSTILE]
NAMES = [name for name, _, _ in ROWS]


def check(expected: Any, body: bytes | None) -> None:
    """Compare an answer with a row, and with what any answer must look like."""
    if expected == NO_REPLY:
        assert not body
        return
    assert body is not None
    answer = json.loads(body, parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    assert isinstance(answer, list) == isinstance(expected, list)
    rows = expected if isinstance(expected, list) else [expected]
    answers = answer if isinstance(answer, list) else [answer]
    assert len(rows) == len(answers)
    for want, got in zip(rows, answers, strict=True):
        assert got["jsonrpc"] == "2.0"
        assert got["id"] == want["id"]
        assert type(got["id"]) is type(want["id"]) or isinstance(want["id"], int)
        assert ("result" in got) != ("error" in got)
        if "code" in want:
            assert got["error"]["code"] == want["code"]
            assert got["error"]["message"]
            assert got["error"]["data"]["name"]
        else:
            assert got["result"] == want["result"]


@pytest.fixture
def guard() -> Guard:
    return Guard(endpoints(), Limits(), incident=lambda: "incident-1")


@pytest.fixture
def session(engine: Any) -> Session:
    return Session(engine=engine, actor="uid:ann", role="admin")


def test_names_of_rows_are_unique() -> None:
    assert len(set(NAMES)) == len(NAMES) >= 200


@pytest.mark.parametrize(("_name", "text", "expected"), ROWS, ids=NAMES)
async def test_row_through_the_guard(
    guard: Guard, session: Session, engine: Any, _name: str, text: str | bytes, expected: Any
) -> None:
    check(expected, await guard.answer(session, text))
    assert not engine.state.paused


async def test_rows_over_http(http: aiohttp.ClientSession, engine: Any) -> None:
    for name, text, expected in ROWS:
        async with http.post(
            "http://engine/rpc", data=text, headers={"Content-Type": "application/json"}
        ) as answer:
            body = await answer.read()
            status = 413 if name == "too long" else 204 if expected == NO_REPLY else 200
            assert answer.status == status, name
            check(expected, body)
    assert not engine.state.paused


async def test_rows_over_a_websocket(http: aiohttp.ClientSession, engine: Any) -> None:
    async with http.ws_connect("http://engine/rpc") as socket:
        for name, text, expected in ROWS:
            if name == "too long":
                continue
            send = socket.send_bytes if isinstance(text, bytes) else socket.send_str
            await send(text)
            if expected == NO_REPLY:
                await socket.send_str(PING + ',"id":"after silence"}')
                check(ok("after silence"), (await socket.receive_str()).encode())
            else:
                check(expected, (await socket.receive_str()).encode())
    assert not engine.state.paused


async def test_rows_over_tcp(engine: Any, folder: Path) -> None:
    port = Port(host="127.0.0.1", port=0, cookie=folder / "cookie")
    server = await Server.start(engine, socket=folder / "e.sock", doors=Doors(port=port))
    secret = (folder / "cookie").read_text().strip()
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    async with aiohttp.ClientSession(headers=headers) as http:
        url = f"http://127.0.0.1:{server.port}/rpc"
        for name, text, expected in ROWS:
            async with http.post(url, data=text) as answer:
                status = 413 if name == "too long" else 204 if expected == NO_REPLY else 200
                assert answer.status == status, name
                check(expected, await answer.read())
    assert not engine.state.paused
    await server.close()


async def test_rows_over_stdio(server: Server, socket: Path, engine: Any) -> None:
    """One message a line; what cannot be one line is left out."""
    script = Path(sys.executable).parent / "ouroboros"
    process = await asyncio.create_subprocess_exec(
        str(script), "--socket", str(socket), "rpc", "--stdio",
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 22,
    )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    for name, text, expected in ROWS:
        line = text if isinstance(text, bytes) else text.encode()
        if name in ("too long", "empty text", "blank text") or b"\n" in line:
            continue
        process.stdin.write(line + b"\n")
        if expected == NO_REPLY:
            process.stdin.write(PING.encode() + b',"id":"after silence"}\n')
        async with asyncio.timeout(20):
            heard = await process.stdout.readline()
        check(ok("after silence") if expected == NO_REPLY else expected, heard)
    process.stdin.close()
    assert await process.wait() == 0
    assert not engine.state.paused


async def test_a_message_over_the_cap_ends_its_websocket_only(http: aiohttp.ClientSession) -> None:
    async with (
        http.ws_connect("http://engine/rpc") as other,
        http.ws_connect("http://engine/rpc") as socket,
    ):
        with contextlib.suppress(ConnectionError):  # the engine may be gone before the last byte
            await socket.send_str(" " * ((1 << 20) + 1))
        ended = (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR)
        assert (await socket.receive(timeout=5)).type in ended
        await other.send_str(PING + ',"id":1}')
        check(ok(), (await other.receive_str()).encode())


async def test_errors_of_params_carry_the_path(guard: Guard, session: Session) -> None:
    body = await guard.answer(
        session,
        '{"jsonrpc":"2.0","id":1,"method":"candidate.list","params":{"phases":["held",3]}}',
    )
    assert "$.phases[1]" in json.loads(body)["error"]["message"]


async def test_positional_params_stand_in_declared_order(
    guard: Guard, session: Session, engine: Any
) -> None:
    body = await guard.answer(
        session,
        json.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": "candidate.reject", "params": ["c3", "not now"]}
        ),
    )
    assert json.loads(body)["result"]["seq"] == engine.state.seq
    assert engine.entries[-1].entry.event.reason == "not now"
    assert engine.entries[-1].entry.actor == "uid:ann"


async def test_expected_errors_keep_message_hint_and_leaf(
    guard: Guard, session: Session, engine: Any
) -> None:
    engine.raises = BranchMovedError("main moved to \x1b[31mabc.", hint="Try again.")
    body = await guard.answer(session, '{"jsonrpc":"2.0","id":1,"method":"engine.status"}')
    assert json.loads(body)["error"] == {
        "code": -32013,
        "message": "main moved to \u241b[31mabc.",
        "data": {"name": "target", "hint": "Try again.", "type": "BranchMovedError"},
    }


async def test_a_fault_leaks_nothing_but_its_incident(
    guard: Guard, session: Session, engine: Any, caplog: pytest.LogCaptureFixture
) -> None:
    engine.raises = RuntimeError("password=hunter2")
    with caplog.at_level(logging.ERROR):
        body = await guard.answer(session, '{"jsonrpc":"2.0","id":1,"method":"engine.status"}')
    assert b"hunter2" not in body
    assert b"RuntimeError" not in body
    error = json.loads(body)["error"]
    assert (error["code"], error["message"]) == (-32603, "Internal error")
    assert error["data"]["incident"] == "incident-1"
    assert "incident-1" in caplog.text
    assert "hunter2" in caplog.text


async def test_a_mutating_fault_leaks_nothing_either(
    guard: Guard, session: Session, engine: Any
) -> None:
    engine.raises = RuntimeError("password=hunter2")
    body = await guard.answer(session, '{"jsonrpc":"2.0","id":1,"method":"engine.pause"}')
    assert b"hunter2" not in body
    assert json.loads(body)["error"]["code"] == -32603


@pytest.mark.parametrize("value", [object(), "\ud800", {1: {2, 3}, "x": lambda: 0}])
async def test_a_result_that_cannot_be_encoded_is_a_fault(
    guard: Guard, session: Session, engine: Any, value: Any
) -> None:
    engine.status = lambda: value
    body = await guard.answer(session, '{"jsonrpc":"2.0","id":1,"method":"engine.status"}')
    assert json.loads(body)["error"]["code"] == -32603


async def test_something_cancelled_inside_is_a_fault_and_not_our_end(
    guard: Guard, session: Session, engine: Any
) -> None:
    async def cancelled(**_: object) -> int:
        raise asyncio.CancelledError

    engine.trigger = cancelled
    engine.ledger_verify = lambda _: cancelled()
    for method in ("cycle.trigger", "ledger.verify"):
        body = await guard.answer(session, f'{{"jsonrpc":"2.0","id":1,"method":"{method}"}}')
        assert json.loads(body)["error"]["code"] == -32603, method


async def test_a_batch_runs_in_order(guard: Guard, session: Session, engine: Any) -> None:
    batch = [
        {"jsonrpc": "2.0", "id": 1, "method": "engine.pause", "params": {"reason": "r"}},
        {"jsonrpc": "2.0", "id": 2, "method": "engine.status"},
        {"jsonrpc": "2.0", "id": 3, "method": "engine.resume"},
        {"jsonrpc": "2.0", "id": 4, "method": "engine.status"},
    ]
    answers = json.loads(await guard.answer(session, json.dumps(batch)))
    assert [a["id"] for a in answers] == [1, 2, 3, 4]
    assert [answers[1]["result"]["paused"], answers[3]["result"]["paused"]] == [True, False]


async def test_a_mutating_notification_is_refused_and_logged(
    guard: Guard, session: Session, engine: Any, caplog: pytest.LogCaptureFixture
) -> None:
    assert await guard.answer(session, '{"jsonrpc":"2.0","method":"engine.pause"}') is None
    assert ("pause", "uid:ann") not in engine.asked
    assert "refused engine.pause" in caplog.text


@pytest.mark.parametrize("role", ["viewer", "operator", "approver", "admin"])
async def test_role_matrix(guard: Guard, engine: Any, role: str) -> None:
    order = ["viewer", "operator", "approver", "admin"]
    session = Session(engine=engine, actor="uid:bob", role=role)
    for request in wire.REQUESTS:
        # Unknown params: whoever may call gets -32602, so that nothing is carried out.
        text = json.dumps(
            {"jsonrpc": "2.0", "id": 1, "method": request.method, "params": {"\x00": 1}}
        )
        code = json.loads(await guard.answer(session, text))["error"]["code"]
        allowed = order.index(role) >= order.index(request.role)
        assert code == (-32602 if allowed else -32004), request.method


async def test_busy_answers_every_call_of_a_batch(guard: Guard, session: Session) -> None:
    text = f'[{PING},"id":1}},{PING}}},{{"x":1}}]'
    answers = json.loads(await guard.answer(session, text, busy=True))
    assert [(a["id"], a["error"]["code"]) for a in answers] == [(1, -32006), (None, -32600)]


async def test_a_mutation_is_finished_without_its_caller(
    guard: Guard, session: Session, engine: Any
) -> None:
    engine.gate = asyncio.Event()
    call = asyncio.ensure_future(
        guard.answer(session, '{"jsonrpc":"2.0","id":1,"method":"engine.pause"}')
    )
    while ("pause", "uid:ann") not in engine.asked:  # noqa: ASYNC110 - the call itself is what runs
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert not engine.state.paused
    engine.gate.set()
    await guard.drain(5)
    assert engine.state.paused


async def test_a_reading_call_ends_with_its_caller(
    guard: Guard, session: Session, engine: Any
) -> None:
    text = '{"jsonrpc":"2.0","id":1,"method":"candidate.wait","params":["c3",["kept"]]}'
    call = asyncio.ensure_future(guard.answer(session, text))
    while ("wait", "") not in engine.asked:  # noqa: ASYNC110 - the call itself is what runs
        await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert engine.ended.is_set()


@pytest.mark.parametrize("levels", [0, 1, 63, 64, 65, 200])
def test_depth_is_counted_exactly(levels: int) -> None:
    value: Any = 1
    for number in range(levels):
        value = [value] if number % 2 else {"a": value}
    assert too_deep(value, 64) is (levels > 64)
    assert too_deep(msgspec.json.decode(deep(levels) if levels else "1"), 64) is (levels > 64)
