"""Talking with a process that may say anything."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroboros.evaluation.challenge.frames import Broken, Fault, Line, join, split

SECOND = 1_000_000_000
HEAD = struct.Struct(">cI8s")


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    ours, theirs = socket.socketpair()
    yield ours, theirs
    ours.close()
    theirs.close()


def reply(theirs: socket.socket, make: Callable[[bytes], bytes]) -> threading.Thread:
    """Read one question and send what `make` makes of its eight bytes."""

    def serve() -> None:
        _, length, nonce = HEAD.unpack(theirs.recv(HEAD.size, socket.MSG_WAITALL))
        if length:
            theirs.recv(length, socket.MSG_WAITALL)
        theirs.sendall(make(nonce))

    thread = threading.Thread(target=serve)
    thread.start()
    return thread


def test_a_question_and_its_answer(pair: Any) -> None:
    ours, theirs = pair
    big = b"x" * 3_000_000
    thread = reply(theirs, lambda nonce: HEAD.pack(b"d", len(big), nonce) + big)
    content, wall = Line(ours, 5 * SECOND).ask(b"L", big, expect=b"d", cap=len(big))
    thread.join()
    assert content == big
    assert 0 < wall < 5 * SECOND


@pytest.mark.parametrize(
    ("make", "fault"),
    [
        (lambda nonce: HEAD.pack(b"g", 0, bytes(8)), Fault.PROTOCOL),
        (lambda nonce: HEAD.pack(b"l", 0, nonce), Fault.PROTOCOL),
        (lambda nonce: HEAD.pack(b"g", 1, nonce) + b"x", Fault.PROTOCOL),
        (lambda nonce: HEAD.pack(b"g", 1 << 31, nonce), Fault.PROTOCOL),
        (lambda nonce: HEAD.pack(b"e", 1 << 31, nonce), Fault.PROTOCOL),
        (lambda nonce: b"10 passed in 0.01s", Fault.PROTOCOL),
        (lambda nonce: HEAD.pack(b"e", 2, nonce) + b"\xff!", Fault.REFUSED),
        (lambda nonce: b"short", Fault.TIMEOUT),
    ],
)
def test_what_does_not_fit_ends_the_conversation(pair: Any, make: Any, fault: Fault) -> None:
    ours, theirs = pair
    thread = reply(theirs, make)
    with pytest.raises(Broken) as caught:
        Line(ours, SECOND // 5).ask(b"G", expect=b"g")
    thread.join()
    assert caught.value.fault is fault


@given(st.binary(max_size=40))
@settings(max_examples=100, deadline=None)
def test_garbage_never_passes(data: bytes) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(data)
        theirs.shutdown(socket.SHUT_WR)
        with pytest.raises(Broken) as caught:
            Line(ours, 5 * SECOND).ask(b"G", expect=b"g")
        assert caught.value.fault in {Fault.PROTOCOL, Fault.GONE}


def test_an_answer_in_drops_does_not_stretch_the_time(pair: Any) -> None:
    ours, theirs = pair
    over = threading.Event()

    def drip() -> None:
        nonce = theirs.recv(HEAD.size)[-8:]
        theirs.sendall(HEAD.pack(b"d", 1000, nonce))
        while not over.wait(0.05):
            theirs.sendall(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    begun = time.monotonic()
    with pytest.raises(Broken) as caught:
        Line(ours, SECOND // 4).ask(b"D", expect=b"d", cap=1000)
    over.set()
    thread.join()
    assert caught.value.fault is Fault.TIMEOUT
    assert time.monotonic() - begun < 20


def test_the_budget_is_for_all_questions_together(pair: Any) -> None:
    ours, _ = pair
    line = Line(ours, SECOND // 5)
    for fault in (Fault.TIMEOUT, Fault.TIMEOUT):
        with pytest.raises(Broken) as caught:
            line.ask(b"G", expect=b"g")
        assert caught.value.fault is fault


def test_somebody_who_does_not_read_is_late(pair: Any) -> None:
    ours, _ = pair
    with pytest.raises(Broken) as caught:
        Line(ours, SECOND // 5).ask(b"L", b"x" * 10_000_000, expect=b"l")
    assert caught.value.fault is Fault.TIMEOUT


def test_hanging_up_wakes_who_waits(pair: Any) -> None:
    ours, _ = pair
    line = Line(ours, 60 * SECOND)
    timer = threading.Timer(0.05, line.hang_up)
    timer.start()
    with pytest.raises(Broken) as caught:
        line.ask(b"G", expect=b"g")
    timer.join()
    assert caught.value.fault is Fault.GONE


def test_saying_more_than_was_asked(pair: Any) -> None:
    ours, theirs = pair
    theirs.sendall(b"x")
    with pytest.raises(Broken, match="more than it was asked"):
        Line(ours, SECOND).finish()
    theirs.close()
    Line(ours, SECOND).finish()


@given(st.lists(st.binary(max_size=9), max_size=5))
def test_parts_come_back(parts: list[bytes]) -> None:
    assert split(join(parts)) == parts


@given(st.binary(max_size=30))
def test_splitting_garbage_raises_one_error_or_none(data: bytes) -> None:
    try:
        parts = split(data)
    except ValueError:
        return
    assert all(isinstance(part, bytes) for part in parts)
