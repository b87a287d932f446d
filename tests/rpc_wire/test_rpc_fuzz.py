"""Whatever comes in, the guard answers something valid, in time, and never with a fault."""

import asyncio
import json
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rpc import wire
from rpc.guard import Guard
from rpc.limits import Limits
from rpc.methods import Session, endpoints

CODES = {-32700, -32600, -32601, -32602} | set(range(-32019, -32000))

scalars = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(), max_size=20)
)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=20,
)
methods = st.sampled_from([r.method for r in wire.REQUESTS])
names = st.sampled_from(sorted({n for r in wire.REQUESTS for n in r.__struct_fields__}))
requests = st.fixed_dictionaries(
    {},
    optional={
        "jsonrpc": st.just("2.0") | st.just("2.0") | st.just("2.0") | values,
        "method": methods | methods | methods | values,
        "params": st.dictionaries(names, values, max_size=4)
        | st.lists(values, max_size=4)
        | values,
        "id": st.integers() | st.text(max_size=70) | values,
    },
)
bodies = st.one_of(
    values,
    requests,
    requests,
    st.lists(requests | values, max_size=70),
).map(lambda value: json.dumps(value).encode())  # NaN, Infinity and lone surrogates included


class Quiet:
    """Not an engine: nothing that a fuzzer finds may reach past the door's own checks."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


def answer(engine: Any, body: bytes) -> bytes | None:
    async def go() -> bytes | None:
        guard = Guard(endpoints(), Limits())
        session = Session(engine=engine, actor="uid:fuzz", role="admin")
        async with asyncio.timeout(20):
            return await guard.answer(session, body)

    return asyncio.run(go())


def check(body: bytes | None, *, codes: set[int]) -> None:
    if body is None:
        return
    parsed = json.loads(body, parse_constant=lambda text: pytest.fail(f"{text} is not JSON"))
    for item in parsed if isinstance(parsed, list) else [parsed]:
        assert item["jsonrpc"] == "2.0"
        assert isinstance(item["id"], str | int | float | None)
        assert ("result" in item) != ("error" in item)
        if "error" in item:
            assert set(item["error"]) == {"code", "message", "data"}
            assert item["error"]["code"] in codes
    assert not isinstance(parsed, list) or parsed


@given(st.binary(max_size=300))
@settings(max_examples=300, deadline=None)
def test_random_bytes(body: bytes) -> None:
    check(answer(Quiet(), body), codes=CODES)


@given(bodies)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_random_json_never_breaks_the_door(body: bytes) -> None:
    """Against an engine that always fails, so the only other answer is an opaque incident."""
    check(answer(Quiet(), body), codes=CODES | {-32603})


@given(st.binary(max_size=60), st.integers(0, 200))
@settings(max_examples=300, deadline=None)
def test_a_good_request_with_bytes_in_it(noise: bytes, at: int) -> None:
    good = (
        b'{"jsonrpc":"2.0","id":"abc","method":"candidate.list",'
        b'"params":{"phases":["held"],"limit":10}}'
    )
    check(answer(Quiet(), good[:at] + noise + good[at:]), codes=CODES | {-32603})


WAITS = ("timeout_s", "wait_s")


def params_of(request: type[wire.Request[Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Return parameters of the right names, with values that often have the right type."""
    short = st.floats(min_value=-1, max_value=0.01, allow_nan=False)
    fields = {
        "id": st.sampled_from(["c1", "c2", "c3", "c4", ""]),
        "cursor": st.sampled_from(["", "c1", "c3", "x"]),
        "phases": st.lists(st.sampled_from(["held", "kept", "x"]), max_size=3),
        "until": st.lists(st.sampled_from(["held", "kept", "x"]), max_size=3),
        "limit": st.integers(-1, 1001),
        "before": st.integers(-1, 30),
        "seq": st.integers(-1, 30),
        "offset": st.integers(-1, 2**64),
        "from_seq": st.integers(-1, 30),
        "to": st.sampled_from(["0", "1", "2", "last", "-1", "x"]),
    }
    mine = {
        name: fields.get(name, st.text(max_size=10)) | scalars for name in request.__struct_fields__
    }
    # A wait that is left at its default, or asked to last, would be waited for.
    waits = {name: short | st.text(max_size=3) | st.none() for name in mine if name in WAITS}
    rest = {name: values for name, values in mine.items() if name not in WAITS}
    return st.fixed_dictionaries(waits, optional=rest)


calls = st.sampled_from(wire.REQUESTS).flatmap(
    lambda request: st.tuples(st.just(request), params_of(request))
)


@pytest.fixture
def make_engine() -> Any:
    """Return a function that makes a fresh engine; hypothesis runs many examples per test."""
    from importlib.util import module_from_spec, spec_from_file_location
    from pathlib import Path

    spec = spec_from_file_location("rpc_wire_fakes", Path(__file__).with_name("conftest.py"))
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.MemoryEngine


@given(st.lists(calls, min_size=1, max_size=8))
@settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_well_formed_calls_never_fault(make_engine: Any, drawn: Any) -> None:
    """Typed parameters of any value end in a result or an expected error, never in -32603."""

    async def go() -> None:
        engine = make_engine()
        engine.seed()
        guard = Guard(endpoints(), Limits())
        session = Session(engine=engine, actor="uid:fuzz", role="admin")
        for request, params in drawn:
            call = {"jsonrpc": "2.0", "id": 1, "method": request.method, "params": params}
            async with asyncio.timeout(10):
                body = await guard.answer(session, json.dumps(call))
            check(body, codes=CODES)
            if body is not None and b'"result"' in body and b'"error"' not in body:
                raw = json.dumps(json.loads(body)["result"])
                msgspec.json.decode(raw, type=request.result)

    asyncio.run(go())
