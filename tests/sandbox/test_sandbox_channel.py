"""Layers over a tree, talking with a run, and its CPU clock."""

import asyncio
import socket
from pathlib import Path
from typing import Any

import pytest

from ouroboros.sandbox import Meter, Sandbox

KINDS = pytest.mark.parametrize(
    "sandbox", ["bwrap", "copied", "watched", "landlock", "landlock-watched"], indirect=True
)
ECHO = """
import os
while word := os.read(3, 100):
    if word == b"work":
        end = os.times().user + 0.2
        while os.times().user < end: pass
    os.write(3, word.upper())
"""


@KINDS
async def test_layers_lie_over_the_tree(
    sandbox: Sandbox, tree: Path, tmp_path: Path, python: Any
) -> None:
    for number, text in enumerate(("one\n", "two\n")):
        (tmp_path / f"layer{number}" / "sub").mkdir(parents=True)
        (tmp_path / f"layer{number}" / "sub" / "new.txt").write_text(text)
    layers = (tmp_path / "layer0", tmp_path / "layer1")
    code = "print(open('hello.txt').read(), open('sub/new.txt').read())"
    outcome = await sandbox.run(python(code, tree=tree, layers=layers))
    assert outcome.stdout.split() == [b"hello", b"two"], outcome
    assert (tree / "hello.txt").read_text() == "hello\n"


@KINDS
async def test_a_run_can_be_talked_with_and_metered(
    sandbox: Sandbox, tree: Path, python: Any
) -> None:
    ours, theirs = socket.socketpair()
    meters: list[Meter] = []
    command = python(ECHO, tree=tree, channel=theirs.fileno())
    running = asyncio.ensure_future(sandbox.run(command, on_start=meters.append))

    def ask(word: bytes) -> tuple[bytes, int]:
        ours.sendall(word)
        return ours.recv(100), meters[0].cpu_ns()

    answer, before = await asyncio.to_thread(ask, b"hello")
    assert answer == b"HELLO"
    theirs.close()
    answer, after = await asyncio.to_thread(ask, b"work")
    assert answer == b"WORK"
    assert 150e6 < after - before < 2e9
    ours.close()
    outcome = await running
    assert outcome.ok, outcome
    assert outcome.result == b""
    assert outcome.sample.cpu_ns >= after - before
