"""Tries for real to get out of the sandbox of this machine, and says which promises held.

One sandboxed process makes nearly all attempts; runs with small limits try to take more than they
were given; afterwards this side looks at what it had laid out (`bait`). What those inside say is
never enough where it can be seen from here: user, capabilities and filter of the run are read
from outside while it waits, by its number as the kernel tells it.

`doctor` makes the quick ones, in about a second; the tests and `scripts/escapes` all.
"""

import asyncio
import contextlib
import os
import socket
import struct
from collections import Counter
from collections.abc import Awaitable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from ouroboros.config import Sandbox as Limits
from ouroboros.config import mebibytes, seconds
from ouroboros.errors import Misuse
from ouroboros.model.evaluation import Containment
from ouroboros.model.text import safe_text
from ouroboros.sandbox import excess
from ouroboros.sandbox.bait import Bait, lay
from ouroboros.sandbox.command import HARNESS, Command, Ending
from ouroboros.sandbox.escape_catalogue import PROMISES, ROOMS, Group, Promise, fix_for
from ouroboros.sandbox.excess import BROKEN, ERROR, HELD, Bench, Found
from ouroboros.sandbox.runner import Sandbox

NOT_APPLICABLE = "n/a"
_LIMITS = Limits(memory=mebibytes(512), processes=64, timeout=seconds(90))
_CREDENTIALS = struct.Struct("3i")
_SETS = ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")
_FILTERED = "2"
_MOST_TEXT = 300


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one promise.

    `status`: `held`; `broken`, so that something got out; `error`, so that nobody knows; `n/a`
    where it could not be put to the test here. `fix` is what to do unless it held.
    """

    name: str
    group: str
    promise: str
    status: str
    text: str
    fix: str = ""


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """All rows, in the order of the catalogue."""

    rows: tuple[Row, ...]

    @property
    def ok(self) -> bool:
        """Whether every promise that could be tried held."""
        return all(row.status in (HELD, NOT_APPLICABLE) for row in self.rows)

    @property
    def wrong(self) -> tuple[Row, ...]:
        """The rows that are not as they should be."""
        return tuple(row for row in self.rows if row.status in (BROKEN, ERROR))

    def summary(self) -> str:
        """One sentence: how many attempts were contained, and how many honest programs work."""
        tried = [row for row in self.rows if row.status != NOT_APPLICABLE]
        escapes = [row.status for row in tried if row.group != Group.WORKS]
        honest = [row.status for row in tried if row.group == Group.WORKS]
        counted = Counter(escapes)
        text = f"{counted[HELD]} of {len(escapes)} attempts were contained"
        if honest:
            text += f", {honest.count(HELD)} of {len(honest)} honest programs work"
        skipped = len(self.rows) - len(tried)
        return text + (f", {skipped} not applicable here" if skipped else "")


async def attempt_escapes(
    box: Sandbox,
    *,
    python: str,
    home: Path,
    places: Sequence[Path] = (),
    everything: bool = False,
) -> Report:
    """Make the attempts. Nothing is left on the host, whether they succeed or not.

    Args:
        box: an open sandbox that contains at all.
        python: absolute path of the interpreter that makes them.
        home: of whoever runs the engine.
        places: more folders in which to plant secrets.
        everything: also those that take seconds.

    Raises:
        Misuse: the sandbox contains nothing, so that the attempts would hit the host.
        OSError: the bait cannot be laid out.
    """
    if box.level.backend == Containment.NONE:
        raise Misuse("Attempts to escape are made in a sandbox only.")
    wanted = [p for p in PROMISES if everything or not p.long]
    with lay(places, home) as bait:
        bench = Bench(box, bait, python)
        runs = [run(bench) for run, _ in excess.QUICK]
        found: dict[str, Found] = {}
        for each in await _all_of(_inside(bench, wanted), *runs):
            found |= {f.name: f for f in each}
        if everything:
            for run, _ in excess.LONG:
                if run is excess.kill_all and not _apart(box, found):
                    text = "not tried: without a process namespace it would reach the host"
                    found["kill-all"] = Found("kill-all", NOT_APPLICABLE, text)
                    continue
                found |= {f.name: f for f in await run(bench)}
        found |= {f.name: f for f in await _aftermath(bait)}
    return Report(rows=tuple(_row(promise, found.get(promise.name), box) for promise in wanted))


async def _all_of(*runs: Awaitable[list[Found]]) -> list[list[Found]]:
    """Wait for all runs, also where one fails: the bait must not go before they have ended."""
    done = await asyncio.gather(*runs, return_exceptions=True)
    for each in done:
        if isinstance(each, BaseException):
            raise each
    return [each for each in done if not isinstance(each, BaseException)]


def _apart(box: Sandbox, found: dict[str, Found]) -> bool:
    """Whether a signal to everybody stays inside."""
    own = found.get("own-namespaces")
    return own is not None and own.status == HELD and box.level.backend == Containment.BWRAP


def _row(promise: Promise, found: Found | None, box: Sandbox) -> Row:
    found = found or Found(promise.name, ERROR, "nobody reported on it")
    weaker = promise.bound and box.level.backend == Containment.LANDLOCK
    status, text = found.status, safe_text(found.text, limit=_MOST_TEXT)
    if weaker and status == BROKEN:
        status, text = NOT_APPLICABLE, f"Landlock alone does not promise this ({text})"
    return Row(
        name=promise.name,
        group=promise.group,
        promise=promise.text,
        status=status,
        text=text,
        fix=fix_for(promise) if status in (BROKEN, ERROR) else "",
    )


# --- the process that makes the attempts --------------------------------------------------------


async def _inside(bench: Bench, wanted: Sequence[Promise]) -> list[Found]:
    names = [p.name for p in wanted if p.group in ROOMS]
    task = {"rooms": list(ROOMS.values()), "names": names, "bait": bench.bait.task()}
    ours, theirs = socket.socketpair()
    with ours, theirs:
        ours.setblocking(False)
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
        command = Command(
            argv=(
                *(bench.python, "-E", "-s", "-S"),
                *(f"{HARNESS}/_ouroboros_escapes.py", bench.bait.mark),
            ),
            python=bench.python,
            limits=_LIMITS,
            timeout=seconds(90),
            tree=bench.bait.tree,
            harness=excess.INSIDE,
            stdin=msgspec.json.encode(task),
            channel=theirs.fileno(),
        )
        listener = _Listener(ours)
        try:
            outcome = await bench.box.run(command)
        finally:
            listener.close()
    found = listener.found
    if outcome.ending is Ending.FAULT or not outcome.ok:
        lines = outcome.stderr.decode(errors="replace").strip().splitlines()
        said = outcome.text or "".join(lines[-1:]) or outcome.ending
        known = {f.name for f in found}
        found += [Found(n, ERROR, f"the run ended early: {said}") for n in names if n not in known]
    return found


class _Listener:
    """Hears what the process inside says, and looks at it when it says hello."""

    def __init__(self, channel: socket.socket) -> None:
        self.found: list[Found] = []
        self._channel = channel
        self._text = b""
        self._met = False
        asyncio.get_running_loop().add_reader(channel, self._ready)

    def close(self) -> None:
        """Hear what is left, then stop."""
        self._ready()
        asyncio.get_running_loop().remove_reader(self._channel)

    def _ready(self) -> None:
        while True:
            try:
                data, extra, _, _ = self._channel.recvmsg(1 << 16, socket.CMSG_SPACE(12))
            except (BlockingIOError, ConnectionError):
                return
            if not data:
                return
            if not self._met:
                self._met = True
                self.found += _seen(extra)
                with contextlib.suppress(OSError):  # it is dead already; the outcome will say so
                    self._channel.send(b"g")
            *lines, self._text = (self._text + data).split(b"\n")
            for line in filter(None, lines):
                self.found.append(Found(*msgspec.json.decode(line, type=tuple[str, str, str])))


def _seen(extra: Sequence[tuple[int, int, bytes]]) -> list[Found]:
    """Look at the process that just spoke: its credentials are the kernel's word."""
    sent = [
        d
        for level, kind, d in extra
        if (level, kind) == (socket.SOL_SOCKET, socket.SCM_CREDENTIALS)
    ]
    if not sent:
        return []
    pid, uid, gid = _CREDENTIALS.unpack(sent[0])
    try:
        lines = Path("/proc", str(pid), "status").read_text().splitlines()
    except OSError:
        return []
    status = {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}
    raised = [name for name in _SETS if int(status.get(name, "1"), 16)]
    groups = status.get("Groups", "").split()
    root = 0 in (uid, gid) or "0" in groups
    own = " (the engine's own)" if uid == os.geteuid() else ""
    return [
        _stands("host-user", not root, f"user {uid}{own}, group {gid}, groups {groups or 'none'}"),
        _stands("capabilities", not raised, ", ".join(raised) or "none in any of the five sets"),
        _stands("no-new-privileges", status.get("NoNewPrivs") == "1", "seen from outside"),
        _stands("seccomp", status.get("Seccomp") == _FILTERED, f"mode {status.get('Seccomp')}"),
    ]


def _stands(name: str, holds: bool, text: str) -> Found:  # noqa: FBT001 - three plain words
    return Found(name, HELD if holds else BROKEN, text)


# --- afterwards ---------------------------------------------------------------------------------


async def _aftermath(bait: Bait) -> list[Found]:
    files = [*map(str, bait.left_files()), *([] if bait.tree_kept() else [f"{bait.tree} changed"])]
    left = bait.processes()
    reached = bait.contacts()
    lives = bait.victim_lives()
    return [
        _stands("no-file", not files, ", ".join(files) or "none where one was tried"),
        _stands("no-process", not left, f"{len(left)} live" if left else "none with our mark"),
        _stands("no-contact", not reached, ", ".join(reached) or "none of the sockets was reached"),
        _stands("no-harm", lives, "the process laid out lives" if lives else "it was killed"),
    ]


def as_json(report: Report) -> Any:
    """Return the rows as plain values."""
    return msgspec.to_builtins(report)
