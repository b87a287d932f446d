"""The OpenRPC document: current, well-formed, and true to what the service answers."""

import copy
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT7

from ouroboros import errors
from rpc import wire
from rpc.discover import document

ROOT = Path(__file__).resolve().parents[2]
META = Path(__file__).parents[1] / "data" / "openrpc-meta-schema"
GOLDEN = Path(__file__).parent / "golden"


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """Return a schema with the document's components beside it, so that references hold."""
    return {**schema, "components": document()["components"]}


def method(name: str) -> dict[str, Any]:
    return next(m for m in document()["methods"] if m["name"] == name)


def test_the_stored_documents_are_current() -> None:
    run = subprocess.run(
        [sys.executable, "scripts/write_schema.py", "--check"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (run.returncode, run.stderr) == (0, "")


def test_it_is_valid_by_the_published_meta_schema() -> None:
    texts = (META / name for name in ("openrpc.json", "json-schema.json"))
    meta, schemas = (json.loads(path.read_text()) for path in texts)
    inner = Resource.from_contents(schemas, default_specification=DRAFT7)
    where = "https://meta.json-schema.tools"
    known = Registry().with_resources([(where, inner), (f"{where}/", inner)])
    check = jsonschema.Draft7Validator(meta, registry=known)
    assert [error.message for error in check.iter_errors(document())] == []
    broken = copy.deepcopy(document())
    broken["methods"][0]["params"] = [{"name": 5}]
    assert not check.is_valid(broken)


def test_it_is_plain_json() -> None:
    assert json.loads(json.dumps(document())) == document()


def test_every_method_is_there_in_order() -> None:
    assert [m["name"] for m in document()["methods"]] == [r.method for r in wire.REQUESTS]


@pytest.mark.parametrize("request_", wire.REQUESTS, ids=lambda r: r.method)
def test_a_method_is_documented(request_: type[wire.Request[Any]]) -> None:
    found = method(request_.method)
    assert found["summary"].endswith(".")
    assert [p["name"] for p in found["params"]] == list(wire.positional(request_))
    # OpenRPC: required parameters come first, since they may be given by position.
    required = [p["required"] for p in found["params"]]
    assert required == sorted(required, reverse=True)
    assert (found["x-role"], found["x-mutates"]) == (request_.role, request_.mutates)


def test_all_schemas_are_valid_and_all_references_lead_somewhere() -> None:
    components = document()["components"]
    for schema in components["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)

    def references(value: Any) -> list[str]:
        if isinstance(value, dict):
            own = [value["$ref"]] if "$ref" in value else []
            return own + [r for inner in value.values() for r in references(inner)]
        if isinstance(value, list):
            return [r for inner in value for r in references(inner)]
        return []

    for reference in references(document()):
        _, _, kind, name = reference.split("/")
        assert name in components[kind], reference


@pytest.mark.parametrize("request_", wire.REQUESTS, ids=lambda r: r.method)
def test_golden_calls_fit_the_document(request_: type[wire.Request[Any]]) -> None:
    golden = json.loads((GOLDEN / f"{request_.method}.json").read_text())
    for param in method(request_.method)["params"]:
        if param["name"] in golden["params"]:
            jsonschema.validate(golden["params"][param["name"]], resolved(param["schema"]))
        else:
            assert not param["required"]
    if request_.method in ("rpc.discover", "config.get") or "error" in golden["response"]:
        return  # their goldens are shortened, or there is no result without a WebSocket
    schema = method(request_.method)["result"]["schema"]
    jsonschema.validate(golden["response"]["result"], resolved(schema))


def test_every_code_has_one_name() -> None:
    listed = {name: e["code"] for name, e in document()["components"]["errors"].items()}
    assert len(set(listed.values())) == len(listed)
    for leaf in vars(errors).values():
        if isinstance(leaf, type) and issubclass(leaf, errors.OuroborosError):
            assert listed[leaf.rpc_name] == leaf.rpc_code
