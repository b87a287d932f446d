"""The same door in front of the real engine: a process of its own, on a real repository."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from ouroboros.errors import (
    EngineUnreachableError,
    NotFoundError,
    WaitTimeoutError,
    WrongPhaseError,
)
from ouroboros.model.events import Paused
from ouroboros.paths import paths_for
from rpc import wire
from rpc.client import Client, Feed

pytestmark = pytest.mark.e2e

TOML = """
[tests]
framework = "command"
command = ["{python}", "-c", "pass"]

[proposers.codemod]
enabled = false
"""


def git(where: Path, *arguments: str) -> None:
    who = ["-c", "user.name=t", "-c", "user.email=t@example.org"]
    subprocess.run(["git", *who, *arguments], cwd=where, check=True, capture_output=True)


def make_target(root: Path) -> None:
    root.mkdir()
    (root / "mod.py").write_text("x = 1\n")
    (root / "ouroboros.toml").write_text(TOML)
    git(root, "init", "-q", "-b", "main")
    git(root, "add", ".")
    git(root, "commit", "-qm", "first")


@pytest.fixture
async def client(folder: Path) -> AsyncIterator[Client]:
    root = folder / "target"
    make_target(root)
    environ = dict(os.environ)
    environ |= {"XDG_STATE_HOME": str(folder / "state"), "XDG_RUNTIME_DIR": str(folder)}
    socket = paths_for(root, environ).socket
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "ouroboros",
        "serve",
        cwd=root,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 30)
        assert line.startswith(b"ready"), line + await process.stdout.read()
        made = await Client.connect(socket, name="tests")
        yield made
        await made.close()
    finally:
        if process.returncode is None:
            process.terminate()
        await asyncio.wait_for(process.wait(), 30)


async def test_every_reading_method_decodes_or_says_what_is_missing(client: Client) -> None:
    values: dict[str, Any] = {
        "id": "c1",
        "to": "0",
        "old": "0",
        "new": "0",
        "check": "tests",
        "number": 1,
        "ref": "0",
        "text": "x = 1",
        "name": "engine_rss_bytes",
        "client": "x",
        "seq": 1,
        "from_size": 1,
        "timeout_s": 0.1,
        "a": (1, 2),
        "b": (2, time.time_ns()),
    }
    for request in wire.REQUESTS:
        if request.mutates or request in (wire.EventsSubscribe, wire.EventsUnsubscribe):
            continue
        wanted = {k: v for k, v in values.items() if k in request.__struct_fields__}
        try:
            await client.call(request(**wanted))
        except (NotFoundError, WrongPhaseError):
            assert {"id", "to"} & set(wanted), request.method
        except WaitTimeoutError:
            assert request.waits, request.method


async def test_pause_is_told_with_its_actor_and_the_record_holds(client: Client) -> None:
    start = (await client.call(wire.LedgerHead())).size
    async with client.subscribe(("loop.*",), from_seq=start) as feed:
        paused = await client.call(wire.EnginePause(reason="tests"))
        async with asyncio.timeout(10):
            stored = await anext(feed)
    assert stored.entry.event == Paused(reason="tests")
    assert stored.entry.actor == client.hello.actor
    assert stored.entry.seq == paused.seq
    assert (await client.call(wire.EngineStatusGet())).paused
    entry = await client.call(wire.LedgerGet(seq=paused.seq))
    assert entry.hash == stored.hash
    assert (await client.call(wire.LedgerVerify())).ok


async def read_to_the_end(feed: Feed) -> None:
    async for _ in feed:
        continue


async def test_shutdown_is_answered_and_then_happens(client: Client) -> None:
    async with client.subscribe() as feed:
        assert (await client.call(wire.EngineShutdown(reason="tests"))).seq > 0
        with pytest.raises(EngineUnreachableError):
            await asyncio.wait_for(read_to_the_end(feed), 20)
