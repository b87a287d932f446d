"""The engine's end of the talk with our programs inside. Blocking; the other end is hostile.

One frame asks, one frame answers: a letter, a length, eight bytes that the question chooses and the
answer must repeat (so that nothing can be answered before it was asked), the content. Lengths have
caps, time has a limit, and whatever does not fit ends the conversation.
"""

import secrets
import socket
import struct
import time
from enum import StrEnum

_HEAD = struct.Struct(">cI8s")
_COUNT = struct.Struct(">I")
_TIMEVAL = struct.Struct("@ll")
_CHUNK = 1 << 20
_LATE = "It did not answer in time."


class Fault(StrEnum):
    """Why a conversation ended early."""

    GONE = "gone"
    PROTOCOL = "protocol"
    TIMEOUT = "timeout"
    REFUSED = "refused"


class Broken(Exception):  # noqa: N818 - a finding about the other end, not an error of ours
    """The other end did not keep to the conversation."""

    def __init__(self, fault: Fault, text: str) -> None:
        """Say how.

        Args:
            fault: machine-readable.
            text: foreign text for `refused`, our own otherwise.
        """
        super().__init__(text)
        self.fault = fault
        self.text = text


class Line:
    """One conversation. Used by one thread at a time; `hang_up` may come from any."""

    def __init__(self, sock: socket.socket, budget_ns: int) -> None:
        """Use a connected socket.

        Args:
            sock: our end; blocking.
            budget_ns: time that the other end may make us wait, all questions together.
        """
        self._sock = sock
        self._left_ns = budget_ns
        self._limit(budget_ns)

    def ask(
        self, letter: bytes, content: bytes = b"", *, expect: bytes, cap: int = 0
    ) -> tuple[bytes, int]:
        """Ask, and return the content of the answer and the wall time until it began to arrive.

        Args:
            letter: the question.
            content: its content.
            expect: letter of the answer.
            cap: the most bytes that the answer's content may have.

        Raises:
            Broken: no answer in time, or not this kind of answer.
        """
        nonce = secrets.token_bytes(8)
        question = _HEAD.pack(letter, len(content), nonce) + content
        self._limit(self._left_ns)
        begun = time.monotonic_ns()
        until = begun + self._left_ns
        try:
            self._send(question, until)
            head = self._sock.recv(_HEAD.size)
            took = time.monotonic_ns() - begun
            head += self._exactly(_HEAD.size - len(head), until)
            return self._content(head, nonce, expect, cap, until), took
        except BlockingIOError:
            raise Broken(Fault.TIMEOUT, _LATE) from None
        except OSError as error:
            raise Broken(Fault.GONE, f"It is gone: {error.strerror}.") from None
        finally:
            self._left_ns = max(0, until - time.monotonic_ns())

    def finish(self) -> None:
        """Wait until the other end has hung up.

        Raises:
            Broken: it said something instead, or did not hang up.
        """
        self._limit(self._left_ns)
        try:
            if self._sock.recv(1):
                raise Broken(Fault.PROTOCOL, "It said more than it was asked.")
        except BlockingIOError:
            raise Broken(Fault.TIMEOUT, _LATE) from None
        except OSError:
            return

    def hang_up(self) -> None:
        """Wake whoever waits for an answer; it gets none."""
        try:
            self._sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            return  # the other end was quicker

    def _content(self, head: bytes, nonce: bytes, expect: bytes, cap: int, until: int) -> bytes:
        letter, length, echo = _HEAD.unpack(head)
        if echo != nonce or letter not in (expect, b"e"):
            raise Broken(Fault.PROTOCOL, "It gave an answer that was not asked for.")
        most = cap if letter == expect else _CHUNK
        if length > most:
            text = f"It began an answer of {length} bytes where {most} are the most."
            raise Broken(Fault.PROTOCOL, text)
        content = self._exactly(length, until) if length else b""
        if letter != expect:
            raise Broken(Fault.REFUSED, content.decode(errors="replace"))
        return content

    def _send(self, data: bytes, until: int) -> None:
        view = memoryview(data)
        view = view[self._sock.send(view) :]
        while view:
            self._limit(until - time.monotonic_ns())
            view = view[self._sock.send(view) :]

    def _exactly(self, length: int, until: int) -> bytes:
        parts = bytearray()
        while len(parts) < length:
            self._limit(until - time.monotonic_ns())
            data = self._sock.recv(min(length - len(parts), _CHUNK))
            if not data:
                raise Broken(Fault.GONE, "It ended before it had answered.")
            parts += data
        return bytes(parts)

    def _limit(self, nanoseconds: int) -> None:
        """Let no single call wait longer; the kernel's own timer costs no call of its own."""
        if nanoseconds <= 0:
            raise Broken(Fault.TIMEOUT, _LATE)
        seconds, rest = divmod(nanoseconds, 1_000_000_000)
        limit = _TIMEVAL.pack(seconds, min(rest // 1000 + 1, 999_999))
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)


def join(parts: list[bytes]) -> bytes:
    """Put parts into one content."""
    pieces = [_COUNT.pack(len(parts))]
    for part in parts:
        pieces += [_COUNT.pack(len(part)), part]
    return b"".join(pieces)


def split(content: bytes) -> list[bytes]:
    """Take the parts out of a content.

    Raises:
        ValueError: it is none.
    """
    parts, at = [], 0
    try:
        (count,) = _COUNT.unpack_from(content)
        for _ in range(count):
            at += _COUNT.size
            (length,) = _COUNT.unpack_from(content, at)
            end = at + _COUNT.size + length
            if end > len(content):
                raise ValueError("A part is longer than what is there.")
            parts.append(content[at + _COUNT.size : end])
            at += length
    except struct.error as error:
        raise ValueError(str(error)) from None
    return parts
