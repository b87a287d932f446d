"""A session of an old client, as it was recorded, against today's service: only additions.

`tests/data/rpc-session-0.1.jsonl` is never regenerated. Where a line of it cannot be answered any
more, the protocol needs another major.
"""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from rpc.guard import Guard
from rpc.limits import Limits
from rpc.methods import Session, endpoints

RECORDED = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "rpc-session-0.1.jsonl")
    .read_text()
    .splitlines()
]


def missing(old: Any, new: Any, where: str) -> list[str]:
    """Return what an old client would miss: fields that are gone, or of another type."""
    if isinstance(old, dict) and isinstance(new, dict):
        lost = [f"{where}.{key}" for key in old if key not in new]
        both = [key for key in old if key in new]
        return lost + [m for key in both for m in missing(old[key], new[key], f"{where}.{key}")]
    if isinstance(old, list) and isinstance(new, list):
        pairs = zip(old, new, strict=False)
        return [m for n, (a, b) in enumerate(pairs) for m in missing(a, b, f"{where}[{n}]")]
    same = isinstance(old, type(new)) or {type(old), type(new)} <= {int, float}
    return [] if same or old is None else [f"{where}: {old!r} became {new!r}"]


@pytest.mark.parametrize("call", RECORDED, ids=lambda call: str(call["method"]))
async def test_an_old_client_finds_what_it_knows(engine: Any, call: dict[str, Any]) -> None:
    session = Session(engine=engine, actor="uid:ann", role="admin")
    guard = Guard(endpoints(), Limits())
    request = {"jsonrpc": "2.0", "id": 1, "method": call["method"], "params": call["params"]}
    answer = json.loads(await guard.answer(session, msgspec.json.encode(request)) or b"null")
    old = call["response"]
    assert ("result" in answer) == ("result" in old), answer
    if "error" in old:
        assert answer["error"]["code"] == old["error"]["code"]
        return
    if call["method"] == "config.get":  # a list of options there, all of them here
        assert set(old["result"]["values"]) <= set(answer["result"]["values"])
        return
    assert missing(old["result"], answer["result"], call["method"]) == []


def test_the_comparison_sees_what_is_lost() -> None:
    assert missing({"a": 1, "b": [{"c": ""}]}, {"a": 1, "b": [{"d": ""}]}, "x") == ["x.b[0].c"]
    assert missing({"a": 1}, {"a": "1"}, "x") == ["x.a: 1 became '1'"]
    assert missing({"a": 1}, {"a": 2, "new": 3}, "x") == []
