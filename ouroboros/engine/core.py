"""What the parts of the engine share: who writes, who speaks git, whether work may start.

`Core` holds no rules of its own. `Deps` is everything that comes from outside, so that clock, ids
and randomness can be given in tests and nothing is reached through a global.
"""

import asyncio
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import ParamSpec, TypeVar

from ouroboros.alerts import AlertSink
from ouroboros.config import Config, Loaded
from ouroboros.engine.api import LossyEvent
from ouroboros.engine.blocking import Blocking
from ouroboros.engine.bus import Bus
from ouroboros.engine.journal import Journals
from ouroboros.engine.recorder import Recorder
from ouroboros.engine.tasks import spawn
from ouroboros.errors import (
    EvidencePrunedError,
    LedgerError,
    LedgerForkedError,
    LedgerFullError,
    NotFoundError,
    OuroborosError,
)
from ouroboros.evaluation.plan import Plan
from ouroboros.executors import Executor
from ouroboros.ledger.evidence import Evidence
from ouroboros.ledger.retention import pruned
from ouroboros.ledger.store import Store
from ouroboros.model import events as ev
from ouroboros.model.evaluation import Purpose, SandboxLevel, Series
from ouroboros.model.progress import Progress
from ouroboros.model.state import Alert, Candidate, State, is_silenced
from ouroboros.model.text import safe_text
from ouroboros.model.topics import PROGRESS
from ouroboros.model.verdict import Context
from ouroboros.proposers import Proposer
from ouroboros.vcs.repository import Repository

P = ParamSpec("P")
T = TypeVar("T")

_log = logging.getLogger(__name__)

_LONGEST_ALERT = 4000
"""Characters."""


def free_bytes(folder: Path) -> int:
    """Return how many bytes an ordinary user may still write to a folder's file system.

    Raises:
        OSError: the folder cannot be asked.
    """
    stats = os.statvfs(folder)
    return stats.f_bavail * stats.f_frsize


@dataclass(frozen=True, kw_only=True)
class Deps:
    """Everything that the engine is given."""

    target: str
    root: Path
    cache: Path
    ledger: Path
    store: Store
    evidence: Evidence
    repository: Repository
    executor: Executor
    proposers: Mapping[str, Proposer]
    sinks: Sequence[AlertSink]
    sandbox: SandboxLevel | None
    load_config: Callable[[], Loaded]
    find_python: Callable[[Config], str]
    clock_ns: Callable[[], int]
    new_id: Callable[[], str]
    seed: Callable[[], int]
    pid: int
    engine_version: str
    protocol: str
    journals: Journals | None = None
    """Keeps pairs of evaluations that are not complete; without it an interruption loses them."""
    swept: tuple[str, ...] = ()
    """What was left of engines that are gone and was ended before this one was built, in words."""
    free_bytes: Callable[[Path], int] = free_bytes
    """How much may still be written to a folder's file system."""


@dataclass(kw_only=True)
class Core:
    """Shared runtime of one engine."""

    deps: Deps
    config: Loaded
    bus: Bus
    recorder: Recorder
    git_thread: Blocking
    ledger_thread: Blocking
    halted: str = ""
    full: bool = False
    """Whether it is halted for want of space alone, so that space lifts the halt."""
    low: str = ""
    """Why no new work begins although nothing failed: the disk is nearly full."""
    tidying: bool = False
    """Whether what nobody uses is being removed, so that nothing may begin to use it."""
    draining: bool = False
    progress: dict[str, Progress] = field(default_factory=dict)
    measuring: set[str] = field(default_factory=set)
    """What the executor is asked to measure besides candidates; cancelled where all must stop."""
    pythons: dict[str, str] = field(default_factory=dict)
    on_full: Callable[[], None] = lambda: None
    deliver: Callable[[Alert], None] = lambda _: None
    """Begins to deliver an alert to the configured sinks; does not wait."""
    promoting: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def state(self) -> State:
        """The folded state."""
        return self.recorder.state

    @property
    def branch(self) -> str:
        """The branch that promotions move."""
        return self.state.branch

    async def git(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a blocking call of the vcs room on its thread."""
        return await self.git_thread(work, *args, **kwargs)

    @property
    def open(self) -> bool:
        """Whether new work may start."""
        return not (self.stopped or self.tidying)

    @property
    def stopped(self) -> bool:
        """Whether somebody or something said that no new work begins."""
        return bool(self.state.paused or self.halted or self.low or self.draining)

    async def wait_open(self) -> None:
        """Return once new work may start."""
        await self.recorder.wait_for(lambda _: self.open)

    async def wait_writable(self) -> None:
        """Return once nothing is halted (a pause does not matter)."""
        await self.recorder.wait_for(lambda _: not self.halted)

    async def python(self, config: Config) -> str:
        """Return the target's interpreter; asked once per environment, since it may run one."""
        key = repr(config.environment)
        if key not in self.pythons:
            self.pythons[key] = await asyncio.to_thread(self.deps.find_python, config)
        return self.pythons[key]

    def now(self) -> int:
        """UTC nanoseconds."""
        return self.deps.clock_ns()

    def report(self, progress: Progress) -> None:
        """Remember and tell what is happening."""
        self.progress[progress.candidate] = progress
        self.bus.hint(LossyEvent(topic=PROGRESS, data=progress))

    def halt(self, reason: str) -> None:
        """Stop starting work until a human resumes; says what he must do."""
        if not self.halted:
            _log.critical("halted: %s", reason)
        self.halted, self.full = reason, False
        spawn(self.recorder.touch(), "halt")

    def lift(self) -> None:
        """Let work begin again after a halt whose cause is gone."""
        self.halted, self.full = "", False

    def on_broken_ledger(self, error: LedgerError) -> None:
        """Nothing may happen that cannot be written down."""
        if isinstance(error, LedgerFullError):
            by_disk = self.full or not self.halted
            self.halt(f"{error} The engine goes on by itself when there is space.")
            self.full = by_disk
            self.on_full()
        elif isinstance(error, LedgerForkedError):
            self.halt(f"{error} This engine takes no more part.")
        else:
            self.halt(f"{error} Then resume.")

    async def alert(
        self, code: str, severity: str, text: str, candidate: str = "", *, idem: str = ""
    ) -> None:
        """Write an alert to the ledger and send it; a failing sink is logged.

        The same `idem` again raises no second one.

        Its text is made safe before it is an alert: sinks are foreign packages that know nothing of
        what it quotes.
        """
        text = safe_text(text, limit=_LONGEST_ALERT)
        event = ev.AlertRaised(code=code, severity=severity, text=text, candidate=candidate)
        stored = await self.recorder.record(event, idem=idem)
        alert = Alert(
            seq=stored.entry.seq,
            ts=stored.entry.ts,
            code=code,
            severity=severity,
            text=text,
            candidate=candidate,
        )
        if is_silenced(self.state, code, stored.entry.ts):
            return
        self.deliver(alert)
        for sink in self.deps.sinks:
            try:
                await sink.send(alert)
            except Exception:  # noqa: BLE001 - foreign ground; an alert must not stop the engine
                _log.exception("alert sink %s failed", sink.name)

    async def put_evidence(self, content: bytes) -> str:
        """Store a payload durably and return its hash."""
        return await self.ledger_thread(self.deps.evidence.put, content)

    async def get_evidence(self, name: str) -> bytes:
        """Return a stored payload.

        Raises:
            EvidencePrunedError: retention removed it.
        """
        return await self.ledger_thread(self._get_evidence, name)

    def _get_evidence(self, name: str) -> bytes:
        try:
            return self.deps.evidence.get(name)
        except NotFoundError:
            removed = pruned(self.deps.store, self.deps.evidence).get(name)
            if removed is None:
                raise
            date = datetime.fromtimestamp(removed / 1e9, UTC).date()
            raise EvidencePrunedError(
                f"The evidence {name[:12]} was pruned by retention on {date}.",
                hint="[storage] keep_evidence says how long it is kept.",
            ) from None


def alert_key(name: str) -> str:
    """Return the idempotency key of an alert that is raised once."""
    return f"alert:{name}"


def reason_of(error: OuroborosError) -> str:
    """Return an error as one paragraph."""
    return str(error)


def hold_expiry(core: Core) -> int:
    """Return when a hold that begins now ends."""
    return core.now() + core.config.config.governor.hold_expiry


async def plan_for(
    core: Core,
    c: Candidate,
    config: Config,
    *,
    purpose: Purpose = Purpose.CANDIDATE,
    context: Context | None = None,
    prior: tuple[Series, ...] = (),
) -> Plan:
    """Return the plan of a candidate's evaluation under its policy."""
    return Plan(
        candidate=c.id,
        attempt=c.attempt,
        repository=str(core.deps.root),
        base_commit=c.base,
        candidate_commit=c.commit,
        changed=tuple(f.path for f in c.files),
        config=config,
        python=await core.python(config),
        seed=core.deps.seed(),
        purpose=purpose,
        context=context,
        prior=prior,
    )


async def baseline_plan(core: Core, name: str, base: str, config: Config) -> Plan:
    """Return a plan that is about no candidate, but about a commit as it stands."""
    return Plan(
        candidate=name,
        attempt=1,
        repository=str(core.deps.root),
        base_commit=base,
        candidate_commit=base,
        changed=(),
        config=config,
        python=await core.python(config),
        seed=core.deps.seed(),
    )


async def prior_of(core: Core, plan: Plan) -> Plan:
    """Return the plan with the pairs that an interrupted attempt took; keeps those that come."""
    if core.deps.journals is None:
        return plan
    return await asyncio.to_thread(core.deps.journals.begin, plan)


async def pairs_done(core: Core, candidate: str) -> None:
    """Forget the pairs of an evaluation that is over: the ledger has them, or nobody wants them."""
    if core.deps.journals is not None:
        await asyncio.to_thread(core.deps.journals.drop, candidate)
