"""Fuzzes the service of a real engine: calls drawn from its own OpenRPC document, and rubbish.

    .venv/bin/python scripts/fuzz_rpc.py [--minutes 10] [--seed N]

Parameters are drawn by hypothesis from the schema of each method, nearly fitting, or anything at
all; alone, in batches, as notifications, as bytes that are no request. After each: an answer that
is JSON-RPC, in time, and never a fault of the engine (-32603, HTTP 500). At the end: the process
has neither grown nor leaked handles, its log knows no incident, and the ledger verifies. Exit code
1 where one of these does not hold. `engine.shutdown` alone is left out.
"""

import argparse
import http.client
import json
import os
import socket as sockets
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from ouroboros.paths import paths_for  # noqa: E402
from rpc.discover import document  # noqa: E402

TOML = """
[tests]
framework = "command"
command = ["{python}", "-c", "pass"]

[proposers.codemod]
enabled = false
"""
LONGEST_S = 10.0
GROWTH_MIB = 40.0
WAITS = {"timeout_s": 0.01, "wait_s": 0.01}
DOCUMENT = document()
LEFT_OUT = {"engine.shutdown"}

scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=30)
wild = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=12,
)
names = st.sampled_from(["c1", "c2", "0", "1", "last", "anchor", "x", "", "main", "total"])


def strategy(schema: dict[str, Any]) -> st.SearchStrategy[Any]:
    """Return values of a schema."""
    if "$ref" in schema:
        return strategy(DOCUMENT["components"]["schemas"].get(schema["$ref"].split("/")[-1], {}))
    if "anyOf" in schema:
        return st.one_of([strategy(inner) for inner in schema["anyOf"]])
    if "enum" in schema:
        return st.sampled_from(schema["enum"])
    match schema.get("type"):
        case "string":
            return names | st.text(max_size=40)
        case "integer":
            return st.integers(-2, 50) | st.integers()
        case "number":
            return st.floats(-1, 100) | st.floats(allow_nan=False, allow_infinity=False)
        case "boolean":
            return st.booleans()
        case "array":
            return st.lists(strategy(schema.get("items") or {}), max_size=4)
        case "object":
            inner = schema.get("additionalProperties")
            value = strategy(inner) if isinstance(inner, dict) else scalars
            return st.dictionaries(names | st.text(max_size=10), value, max_size=4)
        case _:
            return scalars


@st.composite
def calls(draw: st.DrawFn) -> dict[str, Any]:
    """Draw one request: fitting, nearly fitting, or with anything as parameters."""
    methods = [m for m in DOCUMENT["methods"] if m["name"] not in LEFT_OUT]
    method = draw(st.sampled_from(methods))
    call: dict[str, Any] = {"jsonrpc": "2.0", "method": method["name"]}
    if draw(st.integers(0, 9)) < 8:
        call["id"] = draw(st.integers(0, 99) | st.text(max_size=10) | st.none())
    if draw(st.integers(0, 9)) == 0:
        call["params"] = draw(wild)
        return call
    params = {}
    for param in method["params"]:
        if param["required"] or draw(st.booleans()):
            fits = draw(st.integers(0, 9)) > 0
            params[param["name"]] = draw(strategy(param["schema"]) if fits else wild)
    call["params"] = params
    for param in method["params"]:
        if param["name"] in WAITS:
            params[param["name"]] = WAITS[param["name"]]
    return call


def encoded(value: object) -> bytes:
    """Encode as Python would: NaN, Infinity and lone surrogates go out too."""
    return json.dumps(value).encode("utf-8", "surrogatepass")


bodies = st.one_of(
    calls().map(encoded),
    calls().map(encoded),
    st.lists(calls() | wild, max_size=70).map(encoded),
    wild.map(encoded),
    st.binary(max_size=200),
    calls().map(encoded).flatmap(lambda data: st.integers(0, len(data)).map(lambda n: data[:n])),
)


class Door:
    """One kept connection to the engine's socket."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection = self._connected()

    def _connected(self) -> http.client.HTTPConnection:
        made = http.client.HTTPConnection("engine", timeout=LONGEST_S)
        made.sock = sockets.socket(sockets.AF_UNIX, sockets.SOCK_STREAM)
        made.sock.settimeout(LONGEST_S)
        made.sock.connect(str(self._path))
        return made

    def post(self, body: bytes) -> tuple[int, bytes]:
        """Send one text; returns status and answer."""
        try:
            self._connection.request("POST", "/rpc", body, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
        except (ConnectionError, http.client.HTTPException):  # kept too long: the engine's right
            self._connection = self._connected()
            self._connection.request("POST", "/rpc", body, {"Content-Type": "application/json"})
            answer = self._connection.getresponse()
        return answer.status, answer.read()


class Fuzz:
    """A run: what was sent, what came back, what was wrong."""

    def __init__(self, door: Door) -> None:
        self._door = door
        self.sent = 0
        self.codes: Counter[int] = Counter()
        self.slowest_s = 0.0

    def one(self, body: bytes) -> None:
        """Send one body and look at the answer."""
        begun = time.monotonic()
        status, answer = self._door.post(body)
        spent = time.monotonic() - begun
        self.slowest_s = max(self.slowest_s, spent)
        self.sent += 1
        assert status in (200, 204), (status, body[:500], answer[:500])
        assert spent < LONGEST_S
        if status == 204:
            assert not answer
            return
        told = json.loads(answer)
        for each in told if isinstance(told, list) else [told]:
            assert each["jsonrpc"] == "2.0"
            code = each["error"]["code"] if "error" in each else 0
            self.codes[code] += 1
            assert code != -32603, (body[:1000], each)


def run(minutes: float, number: int) -> int:
    """Fuzz; print what was seen; return the exit code."""
    with tempfile.TemporaryDirectory(prefix="oro-fuzz-") as place:
        folder = Path(place)
        root = _target(folder)
        env = {**os.environ, "XDG_STATE_HOME": str(folder / "s"), "XDG_RUNTIME_DIR": str(folder)}
        path, log = paths_for(root, env).socket, folder / "log"
        command = [sys.executable, "-m", "ouroboros", "--repo", str(root)]
        with log.open("wb") as out:
            engine = subprocess.Popen([*command, "serve"], env=env, stdout=out, stderr=out)
        try:
            code = _against(Fuzz(Door(_listening(engine, path))), engine, minutes, number)
            incidents = log.read_text().count("incident")
            verify = subprocess.run(
                [*command, "ledger", "verify"], env=env, capture_output=True, text=True, check=False
            )
            print(f"incidents    {incidents}")
            print(f"ledger       {(verify.stdout or verify.stderr).strip().splitlines()[0]}")
            return int(bool(code or incidents or verify.returncode))
        finally:
            engine.terminate()
            engine.wait()


def _listening(engine: "subprocess.Popen[bytes]", path: Path) -> Path:
    while not path.is_socket():
        assert engine.poll() is None, "the engine does not start"
        time.sleep(0.05)
    return path


def _against(fuzz: Fuzz, engine: "subprocess.Popen[bytes]", minutes: float, number: int) -> int:
    process = psutil.Process(engine.pid)
    begun, round_ = time.monotonic(), 0
    before, handles = 0.0, 0
    while round_ == 0 or time.monotonic() - begun < minutes * 60:
        _round(fuzz, number + round_)
        round_ += 1
        if round_ == 1:  # by then everything was imported once
            before, handles = process.memory_info().rss / (1 << 20), process.num_fds()
    after, found = process.memory_info().rss / (1 << 20), process.num_fds()
    print(f"bodies       {fuzz.sent} in {time.monotonic() - begun:.0f} s, seeds from {number}")
    print(f"answers      {dict(sorted(fuzz.codes.items(), reverse=True))}")
    print(f"slowest      {fuzz.slowest_s * 1000:.0f} ms")
    print(f"memory       {before:.1f} MiB, then {after:.1f} MiB")
    print(f"handles      {handles}, then {found}")
    alive = engine.poll() is None
    return int(not (alive and after - before < GROWTH_MIB and found <= handles + 5))


def _round(fuzz: Fuzz, number: int) -> None:
    @seed(number)
    @settings(
        max_examples=1000,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(bodies)
    def go(body: bytes) -> None:
        fuzz.one(body)

    go()


def _target(folder: Path) -> Path:
    root = folder / "target"
    root.mkdir()
    (root / "ouroboros.toml").write_text(TOML)
    (root / "mod.py").write_text("x = 1\n")
    git = ["git", "-C", str(root), "-c", "user.name=f", "-c", "user.email=f@localhost"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-qm", "begin"]):
        subprocess.run([*git, *arguments], check=True)
    return root


def main() -> int:
    """Read the arguments; return the exit code."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", maxsplit=1)[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=1)
    given_ = parser.parse_args()
    return run(given_.minutes, given_.seed)


if __name__ == "__main__":
    sys.exit(main())
