"""`ouroboros rpc --stdio`: one JSON-RPC message a line, to and from the engine's socket.

The other end is a client on another machine, through ssh; or an editor, or a script in a language
without WebSockets. What is in a message is the engine's business; here is only counted what still
waits for an answer, so that the bridge can end when its input has ended and all is answered, or
when the engine hangs up. Its errors are lines on stderr, as ssh shows them.
"""

import asyncio
import os
import sys

import msgspec

from ouroboros.cli.options import Settings
from ouroboros.cli.reach import address_of, probe
from ouroboros.errors import EngineUnreachableError, InvalidParamsError
from rpc.address import Local
from rpc.limits import Limits
from rpc.line import Line, open_line

_LONGEST = Limits().body + 1


def run(settings: Settings) -> int:
    """Carry messages until one side ends; returns the exit code."""
    return asyncio.run(_carry(settings))


async def _carry(settings: Settings) -> int:
    address = address_of(settings)
    if isinstance(address, Local):
        probe(address.path)  # says more about why nobody answers
    line = await open_line(address)
    bridge = _Bridge(line)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader(limit=_LONGEST)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    out = loop.create_task(bridge.outward(reader), name="bridge out")
    back = loop.create_task(bridge.inward(), name="bridge in")
    try:
        await asyncio.wait({out, back}, return_when=asyncio.FIRST_COMPLETED)
        if not back.done():
            out.result()  # raises what was wrong with the input
            await bridge.all_answered(back)
            return 0
        back.result()
        raise await line.ended()
    finally:
        for task in (out, back):
            task.cancel()
        await asyncio.gather(out, back, return_exceptions=True)
        await line.close()


_NO_TEXT = (
    b'{"jsonrpc":"2.0","error":{"code":-32700,"message":"Parse error: no UTF-8",'
    b'"data":{"name":"parse_error"}},"id":null}\n'
)


class _Bridge:
    """Messages both ways, and how many of them wait for an answer."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._waiting = 0
        self._answered = asyncio.Event()

    async def outward(self, reader: asyncio.StreamReader) -> None:
        """Carry what comes in on stdin, until its end."""
        while True:
            try:
                message = await reader.readline()
            except ValueError:
                raise InvalidParamsError(
                    f"A message is longer than {Limits().body} bytes; the bridge ends.",
                    hint="Send each message on a line of its own.",
                ) from None
            if not message:
                return
            if message.strip():
                try:
                    text = message.decode().strip()
                except UnicodeDecodeError:  # a WebSocket's text cannot even carry it
                    await asyncio.to_thread(_write, _NO_TEXT)
                    continue
                self._waiting += wants_answer(message)
                try:
                    await self._line.send(text)
                except ConnectionError:
                    raise EngineUnreachableError("The engine hung up.") from None

    async def inward(self) -> None:
        """Carry what the engine says to stdout, until it hangs up."""
        async for message in self._line.messages():
            data = message.encode() if isinstance(message, str) else message
            await asyncio.to_thread(_write, data.rstrip(b"\n") + b"\n")
            self._waiting -= is_answer(data)
            if self._waiting <= 0:
                self._answered.set()

    async def all_answered(self, back: "asyncio.Task[None]") -> None:
        """Wait until everything is answered, or nothing more can come."""
        while self._waiting > 0 and not back.done():
            self._answered.clear()
            told = asyncio.ensure_future(self._answered.wait())
            await asyncio.wait({told, back}, return_when=asyncio.FIRST_COMPLETED)
            told.cancel()


class _Shape(msgspec.Struct):
    """As much of a message as tells a request from a notification and from an answer."""

    id: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    method: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


def wants_answer(message: bytes) -> bool:
    """Whether the engine answers a message: all but notifications, also what it cannot read."""
    try:
        shape = msgspec.json.decode(message, type=_Shape | list[_Shape])
    except msgspec.DecodeError:
        return True
    items = shape if isinstance(shape, list) else [shape]
    return not items or any(
        item.id is not msgspec.UNSET or item.method is msgspec.UNSET for item in items
    )


def is_answer(message: bytes) -> bool:
    """Whether a message of the engine answers one of ours; what it tells unasked has a method."""
    shape = msgspec.json.decode(message, type=_Shape | list[_Shape])
    return isinstance(shape, list) or shape.method is msgspec.UNSET


def _write(data: bytes) -> None:
    """Write all of it; a pipe takes what fits."""
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]
