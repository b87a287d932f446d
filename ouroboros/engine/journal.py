"""Pairs that were measured, on disk one by one, so that a kill loses none of them.

The ledger holds an evaluation only when it is complete, and until then minutes of measuring would
hang on the life of one process. So each pair is appended here as soon as it was taken, and the
attempt that follows an interruption goes on from there (`Plan.prior`). A journal is no truth: it
is removed once the ledger has the evaluation, and a damaged or foreign one only costs time.

One file a candidate, `<state>/journal/<candidate>.jsonl`. A line is `<checksum> <json>`: 16 hex
digits of the SHA-256 of the JSON's bytes. The first line says what the pairs belong to (commits,
configuration, interpreter, sandbox, machine) and from which pairs the attempt began; each further
line is one pair, written with one `write` and on disk (`fdatasync`) before `take` returns. What
follows the first line that is not whole is ignored, and cut off before anything is appended.

Pairs from before a reboot count as they are: the same two commits on the same machine. On another
machine, under another configuration or another sandbox they would be another measurement.

A journal that cannot be written (disk full) is given up with a warning: the evaluation goes on,
and an interruption then costs its pairs from that point on.
"""

import hashlib
import logging
import os
import threading
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from ouroboros.evaluation.plan import Plan
from ouroboros.model.evaluation import Pair, Purpose, SandboxLevel, Series, Stage

_log = logging.getLogger(__name__)

_SUFFIX = ".jsonl"
_SUM = 16
"""Hex digits of the checksum."""


class Binding(msgspec.Struct, frozen=True, kw_only=True):
    """What pairs belong to; all of it must be the same for them to be gone on from.

    `policy` is a hash of the configuration that the plan carries and of its interpreter; `sandbox`
    one of what contained the runs.
    """

    candidate: str
    base: str
    commit: str
    purpose: Purpose
    policy: str
    sandbox: str
    machine: str


class Opened(msgspec.Struct, frozen=True, kw_only=True, tag="opened", tag_field="line"):
    """The first line: what the pairs belong to, and the series with which the attempt began."""

    binding: Binding
    prior: tuple[Series, ...]


class Taken(msgspec.Struct, frozen=True, kw_only=True, tag="pair", tag_field="line"):
    """One pair: the `index`-th of its series, counted from 0 with those of `prior`."""

    series: str
    stage: Stage
    index: int
    pair: Pair


class Journaled(NamedTuple):
    """What a file holds: its binding, its series, and where its good part ends (bytes)."""

    binding: Binding | None
    series: tuple[Series, ...]
    end: int


_LINE = msgspec.json.Decoder(Opened | Taken)


class Journals:
    """The journals of one engine. `take` may be called from any thread."""

    def __init__(self, folder: Path, *, machine: str, sandbox: SandboxLevel | None) -> None:
        """Use a folder, which is made (0700) when it is first needed.

        Args:
            folder: where the files lie; for this engine alone.
            machine: describes this machine.
            sandbox: what contains runs.
        """
        self._folder = folder
        self._machine = machine
        self._sandbox = _digest(sandbox)
        self._files: dict[str, int] = {}
        self._lock = threading.Lock()

    def begin(self, plan: Plan) -> Plan:
        """Open the journal of a plan; return the plan with the pairs to go on from. Blocking.

        A journal of the same binding is gone on with, and its pairs become `prior`; any other is
        dropped, and `prior` stays what the plan says.
        """
        with self._lock:
            self._close(plan.candidate)
            path = self._path(plan.candidate)
            binding = self._binding(plan)
            try:
                found = read(path)
                if found.binding == binding:
                    self._files[plan.candidate] = _reopen(path, found.end)
                    return replace(plan, prior=found.series)
                if found.binding is not None:
                    why = _difference(found.binding, binding)
                    _log.info("pairs of %s are measured anew: %s", plan.candidate, why)
                self._files[plan.candidate] = self._create(path, binding, plan.prior)
            except OSError as error:
                _given_up(plan.candidate, error)
        return plan

    def take(self, candidate: str, series: str, stage: Stage, index: int, pair: Pair) -> None:
        """Write down one pair; on disk when this returns. Blocking, about a millisecond.

        Without a `begin` before it nothing happens. Never raises for what the disk does.
        """
        with self._lock:
            handle = self._files.get(candidate)
            if handle is None:
                return
            end = os.lseek(handle, 0, os.SEEK_END)
            line = Taken(series=series, stage=stage, index=index, pair=pair)
            try:
                _append(handle, line)
            except OSError as error:
                _given_up(candidate, error)
                self._close(candidate)
                _cut(self._path(candidate), end)

    def count(self, candidate: str) -> int:
        """Return how many pairs a journal holds; 0 where it cannot be read. Blocking."""
        try:
            return sum(len(series.pairs) for series in read(self._path(candidate)).series)
        except OSError:
            return 0

    def drop(self, candidate: str) -> None:
        """Remove a journal, for its evaluation is over; may be gone already. Blocking."""
        with self._lock:
            self._close(candidate)
            self._path(candidate).unlink(missing_ok=True)

    def sweep(self, wanted: Collection[str]) -> tuple[str, ...]:
        """Remove the journals of all candidates but the `wanted`; return whose. Blocking."""
        if not self._folder.is_dir():
            return ()
        found = sorted(path.name.removesuffix(_SUFFIX) for path in self._folder.iterdir())
        unwanted = tuple(name for name in found if name not in wanted)
        for name in unwanted:
            self.drop(name)
        return unwanted

    def close(self) -> None:
        """Close the files; they stay for the next engine."""
        with self._lock:
            for candidate in list(self._files):
                self._close(candidate)

    def _binding(self, plan: Plan) -> Binding:
        return Binding(
            candidate=plan.candidate,
            base=plan.base_commit,
            commit=plan.candidate_commit,
            purpose=plan.purpose,
            policy=_digest((plan.config, plan.python)),
            sandbox=self._sandbox,
            machine=self._machine,
        )

    def _create(self, path: Path, binding: Binding, prior: tuple[Series, ...]) -> int:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        try:
            _append(handle, Opened(binding=binding, prior=prior))
            _sync(self._folder)
        except BaseException:
            os.close(handle)
            path.unlink(missing_ok=True)
            raise
        return handle

    def _close(self, candidate: str) -> None:
        handle = self._files.pop(candidate, None)
        if handle is not None:
            os.close(handle)

    def _path(self, candidate: str) -> Path:
        return self._folder / f"{candidate}{_SUFFIX}"


def read(path: Path) -> Journaled:
    """Return what a journal holds, up to the first line that is not whole.

    Raises:
        OSError: it cannot be read (one that is not there reads as empty).
    """
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        data = b""
    binding: Binding | None = None
    pairs: dict[tuple[str, Stage], list[Pair]] = {}
    inherited: dict[tuple[str, Stage], int] = {}
    end = 0
    for line, length in _lines(data):
        if isinstance(line, Opened):
            if binding is not None:
                break
            binding = line.binding
            for series in line.prior:
                pairs[series.benchmark, series.stage] = list(series.pairs)
                inherited[series.benchmark, series.stage] = series.inherited
        elif binding is None or not _put(pairs.setdefault((line.series, line.stage), []), line):
            break
        end += length
    found = tuple(
        Series(benchmark=name, stage=stage, pairs=tuple(taken), inherited=inherited.get(key, 0))
        for key, taken in pairs.items()
        for name, stage in (key,)
        if taken
    )
    return Journaled(binding, found, end)


def _put(taken: list[Pair], line: Taken) -> bool:
    """Add a pair in its place; false where one is missing before it, so that nothing is known."""
    if line.index != len(taken):
        return False
    taken.append(line.pair)
    return True


def _lines(data: bytes) -> Iterator[tuple[Opened | Taken, int]]:
    """Yield the whole lines from the start, each with its length in bytes."""
    start = 0
    while (stop := data.find(b"\n", start)) >= 0:
        checksum, _, text = data[start:stop].partition(b" ")
        if checksum != _checksum(text):
            return
        try:
            line = _LINE.decode(text)
        except (msgspec.MsgspecError, ValueError):
            return
        yield line, stop + 1 - start
        start = stop + 1


def _append(handle: int, line: Opened | Taken) -> None:
    text = msgspec.json.encode(line)
    data = _checksum(text) + b" " + text + b"\n"
    if os.write(handle, data) != len(data):
        raise OSError(None, "the disk took only a part of the line")
    os.fdatasync(handle) if hasattr(os, "fdatasync") else os.fsync(handle)


def _reopen(path: Path, end: int) -> int:
    handle = os.open(path, os.O_RDWR | os.O_APPEND)
    try:
        if os.fstat(handle).st_size > end:
            os.ftruncate(handle, end)
            os.fsync(handle)
    except BaseException:
        os.close(handle)
        raise
    return handle


def _cut(path: Path, end: int) -> None:
    """Take away half a line; where that fails too, its checksum gives it away."""
    try:
        os.truncate(path, end)
    except OSError as error:
        _log.warning("%s keeps a line that is not whole: %s", path, error.strerror)


def _checksum(text: bytes) -> bytes:
    return hashlib.sha256(text).hexdigest()[:_SUM].encode()


def _digest(value: object) -> str:
    text = msgspec.json.encode(value, order="sorted", enc_hook=_plain)
    return hashlib.sha256(text).hexdigest()


def _plain(value: object) -> int:
    """Encode what the configuration calls a duration or a size."""
    if isinstance(value, int):
        return int(value)
    raise NotImplementedError(f"a {type(value).__name__} cannot be part of a binding")


def _difference(old: Binding, new: Binding) -> str:
    names = [n for n in old.__struct_fields__ if getattr(old, n) != getattr(new, n)]
    return f"another {', another '.join(names)}"


def _given_up(candidate: str, error: OSError) -> None:
    _log.warning(
        "pairs of %s are not written down any more (%s); an interruption would lose them",
        candidate,
        error.strerror or error,
    )


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
