"""What is fetched only when somebody looks at it: explanations, diffs, logs.

A panel asks for a value in each repaint; the first time it gets None, the fetch starts, and the
screen is painted again when it arrives. A fetch waits a moment first and is dropped when the
reader has moved on: holding `j` must not ask for a hundred diffs. What failed stays failed (and
says so) until the reader refreshes or the line comes back.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import msgspec

from ouroboros.errors import OuroborosError
from ouroboros.model.evaluation import Evaluation
from ouroboros.model.snapshot import Explanation
from ouroboros.model.state import Candidate, Standing
from ouroboros.model.verdict import Comparison
from rpc import wire
from tui.diff import Diff, render
from tui.view import LedgerLine
from tui.words import Line, line

PAGE = 65_536
"""Characters of a diff that are fetched at once."""
LOG_LINES = 5_000
STANDINGS = 30
"""Measurements against the anchor that are read back."""
_KEPT = 48
_SETTLE_S = 0.08
_AGAIN_S = 1.0
"""Least time between two questions for the same thing."""


class Failed(msgspec.Struct, frozen=True):
    """The fetch did not work, and why."""

    text: str


class _Total(msgspec.Struct, frozen=True):
    """What a measurement against the anchor says, of all that its entry holds."""

    anchor: str
    commit: str
    version: int
    comparisons: tuple[Comparison, ...]


class _Measured(msgspec.Struct, frozen=True):
    event: _Total


class DiffPages(msgspec.Struct, frozen=True, kw_only=True):
    """As much of a diff as was read, and how long it is."""

    text: str
    total: int
    rendered: Diff

    @property
    def whole(self) -> bool:
        """Whether there is nothing more to read."""
        return len(self.text) >= self.total


R = TypeVar("R")
Key = tuple[str, ...]
Call = Callable[[wire.Request[Any]], Awaitable[Any]]
Spawn = Callable[[Coroutine[Any, Any, None]], object]


class Loader:
    """A small cache in front of the engine."""

    def __init__(self, call: Call, spawn: Spawn, changed: Callable[[], None]) -> None:
        """Keep the doors.

        Args:
            call: sends a request.
            spawn: runs a coroutine in the background.
            changed: is called when a value has arrived.
        """
        self._call = call
        self._spawn = spawn
        self._changed = changed
        self._values: OrderedDict[Key, Any] = OrderedDict()
        self._running: set[Key] = set()
        self._wanted: dict[str, Key] = {}
        self._measured: dict[str, Standing] = {}
        self._current: dict[str, tuple[str, Any]] = {}
        self._asking: set[str] = set()

    def forget(self, *, failures_only: bool = False) -> None:
        """Drop what was read (or only what could not be read)."""
        for key, value in list(self._values.items()):
            if not failures_only or isinstance(value, Failed):
                del self._values[key]
        for name, (_, value) in list(self._current.items()):
            self._current[name] = ("", value)  # stays on the screen until the new one is there

    def explanation(self, c: Candidate) -> Explanation | None:
        """The verdict in words, once it is there."""
        if c.verdict is None:
            return None
        key = ("explain", c.id, str(c.verdict_seq))
        value = self._get(key, lambda: self._call(wire.GovernorExplain(id=c.id)))
        return value if isinstance(value, Explanation) else None

    def diff(self, c: Candidate) -> DiffPages | Failed | None:
        """The first page (or more) of the diff."""
        value: DiffPages | Failed | None = self._get(
            _diff_key(c),
            lambda: self._page(c, None),
        )
        return value

    def more_diff(self, c: Candidate) -> None:
        """Read the next page, if there is one and nobody reads it yet."""
        key = _diff_key(c)
        pages = self._values.get(key)
        if isinstance(pages, DiffPages) and not pages.whole and key not in self._running:
            self._start(key, lambda: self._page(c, pages))

    def log(self, c: Candidate, check: str) -> tuple[Line, ...] | Failed | None:
        """The captured output of one check."""
        key = ("log", c.id, c.commit, str(c.attempt), check)
        value: tuple[Line, ...] | Failed | None = self._get(key, lambda: self._log(c, check))
        return value

    def candidate(self, name: str) -> Candidate | None:
        """One that the snapshot left out."""
        if not name:
            return None
        value = self._get(("candidate", name), lambda: self._call(wire.CandidateGet(id=name)))
        return value if isinstance(value, Candidate) else None

    def evaluation(self, c: Candidate) -> Evaluation | Failed | None:
        """The last evaluation with its raw samples."""
        if c.evaluation is None:
            return None
        value: Evaluation | Failed | None = self._get(
            ("evaluation", c.id, c.commit, str(c.attempt)),
            lambda: self._call(wire.CandidateEvaluation(id=c.id)),
        )
        return value

    def entry(self, seq: int) -> wire.LedgerEntry | Failed | None:
        """One entry of the ledger, exactly as it is stored."""
        value: wire.LedgerEntry | Failed | None = self._get(
            ("entry", str(seq)), lambda: self._call(wire.LedgerGet(seq=seq))
        )
        return value

    def between(self, old: int, new: int) -> DiffPages | Failed | None:
        """The diff between two versions: as much as is read at once."""
        value: DiffPages | Failed | None = self._get(
            ("between", str(old), str(new)), lambda: self._between(old, new)
        )
        return value

    async def _between(self, old: int, new: int) -> DiffPages:
        request = wire.VersionDiff(old=str(old), new=str(new))
        result = await self._call(request)
        rendered = await asyncio.to_thread(render, result.text)
        return DiffPages(text=result.text, total=result.total, rendered=rendered)

    def standings(self, newest: int) -> dict[str, Standing]:
        """Measurements against the anchor by the commit that was measured; asked as they come.

        Args:
            newest: when the last one was taken (0: never), so that a new one is asked for.
        """
        if not newest:
            return {}
        known = self._get(("standings", str(newest)), self._standings)
        if isinstance(known, dict):
            self._measured = known
        return self._measured

    async def _standings(self) -> dict[str, Standing]:
        request = wire.LedgerList(kind="anchor_measured", limit=STANDINGS)
        found: dict[str, Standing] = {}
        for row in (await self._call(request)).rows:
            entry = await self._call(wire.LedgerGet(seq=row.seq))
            event = msgspec.json.decode(entry.bytes, type=_Measured).event
            found.setdefault(
                event.commit,
                Standing(
                    anchor=event.anchor,
                    commit=event.commit,
                    version=event.version,
                    ts=row.ts,
                    comparisons=event.comparisons,
                ),
            )
        return found

    def current(self, name: str, stamp: str, request: wire.Request[R]) -> R | Failed | None:
        """The newest answer to a question whose answer changes; asked again when `stamp` does.

        The old answer stays on the screen until the new one is there, and when none comes.
        """
        known = self._current.get(name)
        if (known is None or known[0] != stamp) and name not in self._asking:
            self._asking.add(name)
            self._spawn(self._ask(name, stamp, request))
        return None if known is None else known[1]

    async def _ask(self, name: str, stamp: str, request: wire.Request[Any]) -> None:
        before = self._current.get(name)
        try:
            if before is not None:
                await asyncio.sleep(_AGAIN_S)
            self._current[name] = (stamp, await self._call(request))
        except OuroborosError as error:
            failed = Failed(str(error))
            keep = before is not None and not isinstance(before[1], Failed)
            self._current[name] = (stamp, before[1] if keep and before is not None else failed)
        finally:
            self._asking.discard(name)
        self._changed()

    async def _page(self, c: Candidate, before: DiffPages | None) -> DiffPages:
        so_far = before.text if before is not None else ""
        request = wire.CandidateDiff(id=c.id, offset=len(so_far), limit=PAGE)
        result = await self._call(request)
        text = so_far + result.text
        total = result.total if result.text else len(text)
        return DiffPages(text=text, total=total, rendered=await asyncio.to_thread(render, text))

    async def _log(self, c: Candidate, check: str) -> tuple[Line, ...]:
        result = await self._call(wire.CandidateLog(id=c.id, check=check))
        rows = result.text.expandtabs(4).rstrip("\n").split("\n")
        left_out = len(rows) - LOG_LINES
        head = (line((f"({left_out} earlier lines are not shown)", "dim")),) if left_out > 0 else ()
        return (*head, *(line(row) for row in rows[-LOG_LINES:]))

    def _get(self, key: Key, fetch: Callable[[], Awaitable[Any]]) -> Any:
        self._wanted[key[0]] = key
        if key in self._values:
            self._values.move_to_end(key)
            return self._values[key]
        if key not in self._running:
            self._start(key, fetch)
        return None

    def _start(self, key: Key, fetch: Callable[[], Awaitable[Any]]) -> None:
        self._running.add(key)
        self._spawn(self._run(key, fetch))

    async def _run(self, key: Key, fetch: Callable[[], Awaitable[Any]]) -> None:
        try:
            await asyncio.sleep(_SETTLE_S)
            if self._wanted.get(key[0]) != key:
                return
            self._values[key] = await fetch()
        except OuroborosError as error:
            self._values.setdefault(key, Failed(str(error)))
        finally:
            self._running.discard(key)
        while len(self._values) > _KEPT:
            self._values.popitem(last=False)
        self._changed()


def _diff_key(c: Candidate) -> Key:
    return ("diff", c.id, c.commit or c.diff)


def ledger_line(row: wire.LedgerRow) -> LedgerLine:
    """Return a row of the ledger as the wire brings it."""
    return LedgerLine(
        seq=row.seq,
        ts=row.ts,
        kind=row.kind,
        actor=row.actor,
        candidate=row.candidate,
        text=row.text,
    )
