"""One sandboxed process that we talk with: started, metered, gone at the end whatever happens."""

import asyncio
import contextlib
import socket
import time
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import msgspec

from ouroboros.errors import SandboxError
from ouroboros.evaluation.challenge.frames import Broken, Fault, Line
from ouroboros.sandbox import Command, Ending, Meter, Outcome, Sandbox

_SETTLE_SECONDS = 200e-6
"""Time for a process that has answered to go to sleep: only then is its CPU time all counted."""

_GOODBYE_SECONDS = 10.0

_Value = TypeVar("_Value")


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What answering one question cost the other side."""

    cpu_ns: int
    wall_ns: int


class Peer:
    """The process, as the referee's thread sees it."""

    def __init__(self, side: str, line: Line, meters: list[Meter]) -> None:
        """Use `meet` instead.

        Args:
            side: `baseline`, `candidate` or `examiner`.
            line: the conversation.
            meters: holds its CPU clock as soon as it was started.
        """
        self.side = side
        self.line = line
        self.idle_ns = 0
        self.greeted = False
        self._meters = meters
        self._mark = 0

    def ask(self, letter: bytes, content: bytes = b"", *, expect: bytes, cap: int = 0) -> bytes:
        """Ask without looking at the clock.

        Raises:
            Lost: it broke off; says who.
        """
        return self._ask(letter, content, expect, cap)[0]

    def hello(self) -> int:
        """Wait until it has imported the target; returns its CPU time until then."""
        self.ask(b"H", expect=b"h")
        self.greeted = True
        self._mark = self._settled_ns()
        return self._mark

    def timed(
        self, letter: bytes, content: bytes = b"", *, expect: bytes, cap: int = 0
    ) -> tuple[bytes, Spent]:
        """Ask, and measure what the answer cost; what it used unasked before is its idle time."""
        before = self._cpu_ns()
        self.idle_ns += max(0, before - self._mark)
        answer, wall = self._ask(letter, content, expect, cap)
        self._mark = self._settled_ns()
        # A clock that ticks too coarsely to see it must not look like no time at all.
        return answer, Spent(cpu_ns=max(1, self._mark - before), wall_ns=max(1, wall))

    def finish(self) -> None:
        """Tell it to end, and see that it has nothing more to say."""
        self.ask(b"X", expect=b"x")
        try:
            self.line.finish()
        except Broken as broken:
            raise Lost(self, broken) from None

    def _ask(self, letter: bytes, content: bytes, expect: bytes, cap: int) -> tuple[bytes, int]:
        try:
            return self.line.ask(letter, content, expect=expect, cap=cap)
        except Broken as broken:
            raise Lost(self, broken) from None

    def _settled_ns(self) -> int:
        time.sleep(_SETTLE_SECONDS)
        return self._cpu_ns()

    def _cpu_ns(self) -> int:
        try:
            return self._meters[0].cpu_ns()
        except (OSError, ValueError, IndexError):
            gone = Broken(Fault.GONE, "It ended before it had answered.")
            raise Lost(self, gone) from None


class Lost(Exception):  # noqa: N818 - a finding about one side, turned into a check by its catcher
    """A peer broke off."""

    def __init__(self, peer: Peer, broken: Broken) -> None:
        """Say who and how."""
        super().__init__(broken.text)
        self.peer = peer
        self.broken = broken


class Met(msgspec.Struct, frozen=True, kw_only=True):
    """A peer and the run that it lives in."""

    peer: Peer
    running: "asyncio.Future[Outcome]"

    async def outcome(self) -> Outcome | None:
        """Return how it ended, once it has; None where it had to be ended.

        Raises:
            SandboxError: the sandbox failed, which says nothing about who ran in it.
        """
        await asyncio.wait([self.running], timeout=_GOODBYE_SECONDS)
        if not self.running.done():
            return None
        outcome = self.running.result()
        if outcome.ending is Ending.FAULT:
            raise SandboxError(f"The sandbox failed: {outcome.text}")
        return outcome


@contextlib.asynccontextmanager
async def meet(sandbox: Sandbox, command: Command, side: str, budget_ns: int) -> AsyncIterator[Met]:
    """Start a process and lend it; at the end it is gone, whatever it does.

    Args:
        sandbox: where.
        command: what to start; it finds the conversation on its result channel.
        side: who it is.
        budget_ns: time that it may make us wait, all questions together.
    """
    ours, theirs = socket.socketpair()
    meters: list[Meter] = []
    command = msgspec.structs.replace(command, channel=theirs.fileno(), result=False)
    running = asyncio.ensure_future(sandbox.run(command, on_start=meters.append))
    # Our copy of its end: as long as that is open we would not hear that it is gone.
    running.add_done_callback(lambda _: theirs.close())
    try:
        yield Met(peer=Peer(side, Line(ours, budget_ns), meters), running=running)
    finally:
        running.cancel()
        await asyncio.wait([running])
        ours.close()


async def in_thread(peers: list[Peer], work: Callable[[], _Value]) -> _Value:
    """Talk in a thread, where waiting costs nobody anything and an answer is seen at once.

    Cancellation wakes the thread and waits for it, so that nobody uses a closed socket.

    Args:
        peers: all that the thread talks with.
        work: what it does.
    """
    talking = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        return await asyncio.shield(talking)
    except asyncio.CancelledError:
        for peer in peers:
            peer.line.hang_up()
        await asyncio.wait([talking])
        if not talking.cancelled():
            talking.exception()  # what it found is of no interest any more
        raise
