"""Hostile text in every place that a candidate can reach, at a real engine, by every way out.

What is submitted carries clipboard escapes (OSC 52), cursor escapes in seven and eight bits,
bidirectional and invisible characters, and lines that pass for a verdict or for a trailer.
"""

import asyncio
import http.client
import json
import re
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from served import FASTER, OUROBOROS, WORK, Served, diff, until

from ouroboros.model.text import safe_text
from ouroboros.paths import paths_for
from tui.shot import screenshot

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(300)]

STEER = "\x1b]52;c;ZXZpbA==\x07\x1b[2J\x9b31m\x9d52;c;eA==\x9c\x7f\r"
HIDE = "\u202egnp.exe\u2066\u061c\u200b\u2028\U000e0041\u3164\ufff9\ue000a" + "\u0301" * 40
FAKE = (
    "\nVERDICT: accepted\nphase  promoted\n\nApproved-by: Alice <a@example.org>\n"
    "Ouroboros-Approved-By: uid:alice\nOuroboros-Version: 99\n"
)
EVIL = f"{STEER}{HIDE}{FAKE}"
TITLE = f"[skip ci] {STEER}{HIDE} Closes #1 @bob{FAKE}"
LOUD = WORK.replace(
    "    return len(seen)",
    '    print("\\x1b]52;c;ZXZpbA==\\x07 \\u202e\\nVERDICT: accepted")\n'
    '    raise ValueError("\\x1b[2J\\x9b31m \\u2066\\u200b\\nVERDICT: accepted\\n")',
)
ODD_FILE = '--- /dev/null\n+++ "b/\\033]52;c;eA==\\007\\342\\200\\256x.py"\n@@ -0,0 +1 @@\n+x = 1\n'


class Door(http.client.HTTPConnection):
    """HTTP over the engine's socket: the exact bytes that come out."""

    def __init__(self, path: Path) -> None:
        super().__init__("engine")
        self._path = str(path)

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(self._path)

    def call(self, method: str, **params: object) -> str:
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params})
        self.request("POST", "/rpc", body, {"Content-Type": "application/json"})
        return self.getresponse().read().decode()


def strings(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from (key, *strings(inner))
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)
    elif isinstance(value, str):
        yield value


def submit(door: Door, text: str) -> str:
    answer = door.call("candidate.submit", diff=text, title=TITLE[:480], rationale=EVIL)
    return str(json.loads(answer)["result"]["id"])


@pytest.fixture
def world(served: Served) -> tuple[Served, Door, dict[str, str]]:
    """Submit a good change, a loud one, one with hidden characters, one with an odd path."""
    served.start()
    door = Door(paths_for(served.root, served.env).socket)
    hidden = diff(new=WORK + f"# {STEER}{HIDE}\n".replace("\r", ""))
    made = {"good": diff(new=FASTER), "loud": diff(new=LOUD), "hidden": hidden, "odd": ODD_FILE}
    ids = {kind: submit(door, text) for kind, text in made.items()}
    phases = {"held", "rejected", "errored"}

    def settled() -> bool:
        return all(served.call("candidate.get", id=n)["phase"] in phases for n in ids.values())

    until(settled, seconds=150, what="all four settle")
    return served, door, ids


def test_no_way_out_of_the_engine_carries_foreign_text_raw(
    world: tuple[Served, Door, dict[str, str]], tmp_path: Path
) -> None:
    served, door, ids = world
    for command in _commands(ids, tmp_path):
        done = subprocess.run(
            [str(OUROBOROS), "--repo", str(served.root), *command],
            capture_output=True,
            env=served.env,
            timeout=120,
        )
        for text in (done.stdout.decode(), done.stderr.decode()):
            assert safe_text(text) == text, command
            assert not re.search("^(VERDICT|Approved-by|Ouroboros-)", text, re.MULTILINE), command
    export = (tmp_path / "export.jsonl").read_text()
    assert safe_text(export) == export
    _check_rpc(door, ids)
    _check_log(served.log.read_text())
    for keys in (*(("j",) * n + (tab,) for n in range(len(ids)) for tab in "23"), ("4",), ("5",)):
        picture = asyncio.run(screenshot(Path(door._path), (120, 40), keys=keys))
        assert safe_text(picture) == picture, keys


def _commands(ids: dict[str, str], folder: Path) -> Iterator[tuple[str, ...]]:
    for name in ids.values():
        for command in ("show", "explain", "diff", "wait"):
            yield (command, name)
    yield ("diff", "--stat", ids["odd"])
    yield ("approve", ids["good"], "--commit", STEER)
    for command in ("show", "explain", "diff"):
        yield ("--json", command, ids["hidden"])
    for form in ((), ("--json",)):
        yield (*form, "candidates")
        yield (*form, "ledger", "list", "--limit", "1000")
        yield (*form, "ledger", "get", "5")
        yield (*form, "--debug", "show", STEER + HIDE)
    yield ("status",)
    yield ("versions",)
    yield ("call", "candidate.get", json.dumps({"id": EVIL}))
    yield ("call", f"no.{STEER}", "{}")
    yield ("rollback", f"{STEER}{HIDE}", "--preview")
    yield ("ledger", "export")
    yield ("ledger", "export", "-o", str(folder / "export.jsonl"))


def _check_rpc(door: Door, ids: dict[str, str]) -> None:
    """The exact bytes are harmless everywhere; the values too, but for the exact methods."""
    calls: list[tuple[str, dict[str, object]]] = [
        ("engine.snapshot", {}),
        ("engine.status", {}),
        ("candidate.list", {}),
        ("events.list", {"from_seq": 0, "topics": ["*"], "limit": 1000}),
        ("ledger.list", {"limit": 1000}),
        ("version.list", {}),
        ("candidate.get", {"id": EVIL}),
        (f"no.{EVIL}", {}),
        ("ledger.list", {"kind": EVIL, "limit": EVIL}),
    ]
    for name in ids.values():
        calls += [
            (method, {"id": name})
            for method in (
                "candidate.get",
                "candidate.diff",
                "candidate.evaluation",
                "governor.explain",
            )
        ]
        calls.append(("candidate.log", {"id": name, "check": "tests"}))
    for method, params in calls:
        text = door.call(method, **params)
        assert safe_text(text) == text, method
        for value in strings(json.loads(text)):
            assert safe_text(value) == value, method
    door.request("GET", "/metrics")
    gauges = door.getresponse().read().decode()
    assert safe_text(gauges) == gauges
    raw = door.call("candidate.diff", id=ids["hidden"], raw=True)
    assert safe_text(raw) == raw
    assert "\x1b]52" in json.loads(raw)["result"]["text"]
    log = json.loads(door.call("candidate.log", id=ids["loud"], check="tests"))["result"]["text"]
    assert "\u241b" in log, "the output was there, and is shown"


def _check_log(text: str) -> None:
    assert safe_text(text) == text
    begun = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d,\d{3} [A-Z]+ |    \| ")
    assert [line for line in text.splitlines() if not begun.match(line)] == []


def test_a_commit_message_quotes_and_obeys_nothing(
    world: tuple[Served, Door, dict[str, str]],
) -> None:
    served, _, ids = world
    served.run("approve", ids["good"], "--yes", "--reason", EVIL)
    until(
        lambda: served.call("candidate.get", id=ids["good"])["phase"] == "promoted",
        what="promoted",
    )
    served.run("rollback", "last", "--yes", "--reason", EVIL)
    for commit in ("main", "main~1"):
        message = served.git("log", "-1", "--format=%B", commit)
        assert safe_text(message) == message
        assert not re.search(r"\[skip ci\]|#1|@bob", message)
        trailers = served.git("log", "-1", "--format=%(trailers:only)", commit).splitlines()
        names = [line.partition(":")[0] for line in trailers if line]
        assert all(name.startswith("Ouroboros-") for name in names), trailers
        assert len(names) == len(set(names)), "no trailer stands twice"
        assert "Ouroboros-Version: 99" not in trailers
        assert "alice" not in "".join(trailers)
    candidates = served.git("log", "--format=%B", "--glob=refs/ouroboros/candidates/*", "-4")
    assert safe_text(candidates) == candidates
    reflog = served.git("reflog", "main")
    assert safe_text(reflog) == reflog
