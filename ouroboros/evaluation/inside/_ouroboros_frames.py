"""How the engine and our programs inside talk: one frame asks, one frame answers.

A frame is a letter, the length of what follows, and eight bytes that the question chose and the
answer repeats: nothing can be answered before it was asked. Runs inside the sandbox.
"""

import os
import struct
from typing import Any

_HEAD = struct.Struct(">cI8s")
_COUNT = struct.Struct(">I")


class Channel:
    """Our end of the conversation."""

    def __init__(self, fd: int) -> None:
        """Use a descriptor."""
        self._fd = fd
        self._read = os.read
        self._write = os.write
        self._nonce = b""

    def ask(self) -> Any:
        """Wait for a question and return its letter and its content; None when nobody asks more."""
        head = self._exactly(_HEAD.size)
        if head is None:
            return None
        letter, length, self._nonce = _HEAD.unpack(head)
        content = self._exactly(length) if length else b""
        return None if content is None else (letter, content)

    def answer(self, letter: bytes, content: bytes = b"") -> None:
        """Answer the question."""
        data = memoryview(_HEAD.pack(letter, len(content), self._nonce) + content)
        while data:
            data = data[self._write(self._fd, data) :]

    def _exactly(self, length: Any) -> Any:
        data = self._read(self._fd, length)
        if len(data) == length:
            return data
        parts = [data]
        missing = length - len(data)
        while missing:
            data = self._read(self._fd, min(missing, 1 << 20))
            if not data:
                return None
            parts.append(data)
            missing -= len(data)
        return b"".join(parts)


def join(parts: Any) -> bytes:
    """Put parts into one content."""
    pieces = [_COUNT.pack(len(parts))]
    for part in parts:
        pieces += [_COUNT.pack(len(part)), part]
    return b"".join(pieces)


def split(content: bytes) -> Any:
    """Take the parts out of a content."""
    (count,) = _COUNT.unpack_from(content)
    at, parts = _COUNT.size, []
    for _ in range(count):
        (length,) = _COUNT.unpack_from(content, at)
        at += _COUNT.size
        parts.append(content[at : at + length])
        at += length
    return parts
