"""What the engine shows of itself at one sequence number."""

from enum import StrEnum

import msgspec
from msgspec.structs import replace

from ouroboros.model.evaluation import SandboxLevel
from ouroboros.model.phase import FINAL
from ouroboros.model.progress import Progress
from ouroboros.model.proposal import FileChange
from ouroboros.model.state import Candidate, Cycle, State


class Activity(StrEnum):
    """What the loop is doing; `halted`: it stopped itself, and `halt_reason` says what it needs."""

    IDLE = "idle"
    WORKING = "working"
    PAUSED = "paused"
    DRAINING = "draining"
    HALTED = "halted"


class EngineStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The engine in about one kilobyte.

    `target_head` is the branch's commit now (empty if it cannot be read); `next_cycle_ns` is when
    the next cycle is due (UTC ns; 0 when none is planned); `halt_reason` says what a human must do,
    or that it goes on by itself when there is disk space.
    """

    engine_version: str
    protocol: str
    pid: int
    epoch: str
    seq: int
    head: str
    target: str
    path: str
    branch: str
    target_head: str
    mode: str
    activity: Activity
    paused: bool
    pause_reason: str
    pause_actor: str
    halt_reason: str
    cycle: Cycle | None
    next_cycle_ns: int
    in_flight: tuple[str, ...]
    held: tuple[str, ...]
    candidates: int
    version: int
    versions_active: int
    config_hash: str
    sandbox: SandboxLevel | None
    started_ns: int
    now_ns: int
    clients: int = 0
    rss_bytes: int = 0
    cpu_percent: float = 0.0


class Snapshot(msgspec.Struct, frozen=True, kw_only=True):
    """State as folded up to `state.seq`, plus what is live and not in the ledger.

    The state is trimmed for the wire: candidates without raw sample pairs, and only the newest
    ones besides those that still need something (`trimmed`). A client folds later entries into it
    with `ouroboros.model.state.advance`, exactly as the engine does.
    """

    state: State
    status: EngineStatus
    progress: tuple[Progress, ...] = ()
    trimmed: int = 0


class RollbackPreview(msgspec.Struct, frozen=True, kw_only=True):
    """What a rollback would do. `conflict` is empty where it can be done now.

    `undoes` lists the versions that would be undone, newest first. `diff` is the change from the
    branch's head, unified.
    """

    to: int
    head: str
    commit: str
    undoes: tuple[int, ...]
    candidates: tuple[str, ...]
    files: tuple[FileChange, ...]
    diff: str
    conflict: str = ""


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """A verdict in words: a headline and one line per reason, with its numbers."""

    candidate: str
    headline: str
    lines: tuple[str, ...]


CANDIDATES_SHOWN = 200
"""How many final candidates a snapshot carries."""


def without_pairs(candidate: Candidate) -> Candidate:
    """Return the candidate without raw samples (they are in the ledger and in `candidate.get`)."""
    if candidate.evaluation is None or not candidate.evaluation.series:
        return candidate
    return replace(candidate, evaluation=replace(candidate.evaluation, series=()))


def trim(state: State) -> tuple[State, int]:
    """Return the state as a snapshot carries it, and how many candidates were left out."""
    every = list(state.candidates.values())
    done = [c for c in every if c.phase in FINAL]
    dropped = {c.id for c in done[: max(0, len(done) - CANDIDATES_SHOWN)]}
    kept = {c.id: without_pairs(c) for c in every if c.id not in dropped}
    return replace(state, candidates=kept), len(dropped)
