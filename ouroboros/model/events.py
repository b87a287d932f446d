"""Everything that can happen, in the past tense: the tagged union that the ledger stores.

Each Struct's tag is the entry's `kind`. Events that move candidates list them in `candidates`
(several, where one act moves several: a rollback over many versions is one entry, so that it
happens whole or not at all). Unknown fields are ignored on reading, so that an older client can
talk to a newer engine; an unknown *kind* is handled by `Entry.event` being decoded apart from the
envelope (see `ouroboros.model.entry`).
"""

from typing import ClassVar, get_args

import msgspec

from ouroboros.model.evaluation import Evaluation, Exact, Series
from ouroboros.model.metric import Noise
from ouroboros.model.proposal import Cost, FileChange, Mark
from ouroboros.model.verdict import Comparison, Context, Reason, Verdict

Setting = str | int | float | bool | list[str] | None
"""A value of the configuration as TOML writes it."""


def tag(name: str) -> str:
    """Return the wire tag of an event class: `PromotionStarted` -> `promotion_started`."""
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in name).lstrip("_")


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag=tag):
    """Root of all events."""

    moves: ClassVar[bool] = False
    """Whether the event moves candidates through the table of moves."""

    @property
    def kind(self) -> str:
        """The wire tag."""
        return str(self.__struct_config__.tag)


class CandidateEvent(Event, frozen=True, kw_only=True):
    """Root of the events that move exactly one candidate."""

    moves: ClassVar[bool] = True
    candidate: str

    @property
    def candidates(self) -> tuple[str, ...]:
        """The ids of the candidates that this event moves."""
        return (self.candidate,)


# --- the engine ---------------------------------------------------------------------------------


class TargetAdopted(Event, frozen=True, kw_only=True):
    """First entry of every ledger: which repository, which branch, from which commit."""

    target: str
    path: str
    branch: str
    commit: str


class EngineStarted(Event, frozen=True, kw_only=True):
    """The engine is up; `recovered` names what recovery finished or undid."""

    engine_version: str
    pid: int
    config_hash: str
    mode: str
    recovered: tuple[str, ...] = ()


class EngineStopped(Event, frozen=True, kw_only=True):
    """The engine ended in order."""

    reason: str


class ConfigLoaded(Event, frozen=True, kw_only=True):
    """The configuration in force changed; `text` is the evidence hash of the file's bytes."""

    config_hash: str
    text: str


class LimitsChanged(Event, frozen=True, kw_only=True):
    """A human changed thresholds at run time; they apply to candidates that are proposed later.

    `changes` maps dotted keys (`governor.max_degradation`) to values, or to None to return to what
    the file says; `config_hash` and `text` name the policy that is in force from here on (see
    `ouroboros.config.Loaded`).
    """

    changes: dict[str, Setting]
    config_hash: str
    text: str
    reason: str


class TokenCreated(Event, frozen=True, kw_only=True):
    """A human gave a program a key to the doors of the network.

    `digest` is the SHA-256 of the secret in hex. The secret has 256 random bits and is shown once;
    its digest gives nothing away, and needs neither salt nor a slow hash. `methods` are shell-style
    patterns of what it may call (empty: all that `role` may); `expires_ns` 0 means never.
    """

    name: str
    role: str
    digest: str
    reason: str
    methods: tuple[str, ...] = ()
    expires_ns: int = 0


class TokenRevoked(Event, frozen=True, kw_only=True):
    """A key does not open any more."""

    name: str
    reason: str


class FreezeSet(Event, frozen=True, kw_only=True):
    """A human froze promotions until `until_ns` (UTC), beside the windows of the configuration.

    0, or a moment that is past, ends the freeze that a human set.
    """

    until_ns: int
    reason: str


class WorkerDrained(Event, frozen=True, kw_only=True):
    """A human takes a worker out of service (`out`) or back: it begins no evaluation while out."""

    worker: str
    out: bool
    reason: str


class ServiceNoted(Event, frozen=True, kw_only=True):
    """Something happened to the target's running process.

    `what`: `started`, `adopted`, `reloaded`, `restarted`, `failed` (of a reload), `crashed`,
    `unhealthy`, `stopped`. `version` is what it serves from here on, `took_ns` how long it took to
    be healthy again, `pid` 0 where the engine does not run it.
    """

    what: str
    version: int
    text: str
    pid: int = 0
    took_ns: int = 0


class AlertSilenced(Event, frozen=True, kw_only=True):
    """Alerts whose code fits `codes` (shell-style) are recorded but not sent until `until_ns`.

    0, or a moment that is past, ends the silence of the same `codes`.
    """

    codes: str
    until_ns: int
    reason: str


class HoldAsked(Event, frozen=True, kw_only=True):
    """A human wants that somebody says yes to `candidate` before it is promoted.

    It moves nothing: the evaluation goes on, and what would be promoted is held instead.
    """

    candidate: str
    reason: str


class Calibrated(Event, frozen=True, kw_only=True):
    """The baseline was measured against itself, to know how noisy the machine is."""

    series: Series
    noise: tuple[Noise, ...]


class AnchorMoved(Event, frozen=True, kw_only=True):
    """The anchor is another version from here on: by a human, or by proof of a gain."""

    commit: str
    version: int
    reason: str


class AnchorMeasured(Event, frozen=True, kw_only=True):
    """Head was measured against the anchor: the only total that is shown as a gain."""

    anchor: str
    commit: str
    version: int
    series: tuple[Series, ...]
    comparisons: tuple[Comparison, ...]
    exact: tuple[Exact, ...] = ()


class Paused(Event, frozen=True, kw_only=True):
    """No new cycle starts, nothing is promoted; survives a restart."""

    reason: str


class Resumed(Event, frozen=True, kw_only=True):
    """The loop goes on."""

    reason: str


class CycleStarted(Event, frozen=True, kw_only=True):
    """A pass of the loop began. `trigger` is `interval` or `manual`."""

    cycle: int
    trigger: str
    base: str


class CycleFinished(Event, frozen=True, kw_only=True):
    """A pass of the loop asked every proposer; `outcome` is `proposed`, `idle` or `error`."""

    cycle: int
    outcome: str
    proposals: int
    text: str = ""


class AlertRaised(Event, frozen=True, kw_only=True):
    """A message to a human outside the TUI. `severity` is `info`, `warning` or `critical`."""

    code: str
    severity: str
    text: str
    candidate: str = ""


class AlertDelivered(Event, frozen=True, kw_only=True):
    """A sink took an alert after so many tries; or did not, and `problem` says why."""

    alert: int
    sink: str
    tries: int
    problem: str = ""


class AlertAcked(Event, frozen=True, kw_only=True):
    """Somebody has seen an alert; `alert` is the number of its entry."""

    alert: int
    reason: str = ""


# --- keeping the ledger -------------------------------------------------------------------------


class EpochStarted(Event, frozen=True, kw_only=True):
    """The ledger before was damaged: its good part stands before this entry, the rest is lost.

    `old` is the end that the damaged ledger claimed to have, `kept` the end of the part that was
    verified, `first_bad` the first entry that could not be trusted, and `quarantine` the folder
    (below the state folder) in which the damaged files lie. What the lost entries said is unknown:
    the fold ends whatever was on its way, and pauses until a human has looked (see `advance`).
    """

    epoch: int
    old_size: int
    old_head: str
    kept_size: int
    kept_head: str
    first_bad: int
    flaw: str
    problem: str
    quarantine: str
    reason: str


class Reconciled(Event, frozen=True, kw_only=True):
    """The target's history was compared with a ledger that had lost entries.

    `unknown` are commits in the branch that say they are promotions or rollbacks of ours, and that
    the ledger does not know; `version` and `candidate` are the highest numbers that history and
    refs name, so that no number is given twice.
    """

    epoch: int
    unknown: tuple[str, ...]
    version: int
    candidate: int


class RetentionApplied(Event, frozen=True, kw_only=True):
    """What this names is no longer kept; the files are removed after the entry is on disk.

    `names` is the evidence hash of a text with one removed evidence hash a line (empty: none),
    `bytes` what all of it took, `refs` the candidates whose git refs went.
    """

    names: str
    evidence: int
    bytes: int
    refs: tuple[str, ...]
    trees: int
    text: str


class Unknown(Event, frozen=True, kw_only=True):
    """An event of a kind that this version does not know; never written, only read.

    It folds to nothing. Its bytes stay in the ledger as they are.
    """

    name: str


# --- one candidate ------------------------------------------------------------------------------


class Proposed(CandidateEvent, frozen=True, kw_only=True):
    """A proposal arrived. `diff` is the evidence hash; `idea` is never empty here."""

    cycle: int
    proposer: str
    title: str
    rationale: str
    base: str
    diff: str
    idea: str
    predicted_gain: float | None = None
    cost: Cost = Cost()


class Screened(CandidateEvent, frozen=True, kw_only=True):
    """The shape gate looked at the diff; `marks` hold what asks for a human."""

    files: tuple[FileChange, ...]
    marks: tuple[Mark, ...] = ()


class Applied(CandidateEvent, frozen=True, kw_only=True):
    """The candidate commit was built from objects, and the checkpoint ref set."""

    base: str
    commit: str
    tree: str
    checkpoint: str


class EvaluationStarted(CandidateEvent, frozen=True, kw_only=True):
    """The executor took the plan. `context` is None in entries older than it."""

    attempt: int
    executor: str
    context: Context | None = None


class Requeued(CandidateEvent, frozen=True, kw_only=True):
    """An evaluation ended without an answer (engine death) and will be run again."""

    reason: str


class Evaluated(CandidateEvent, frozen=True, kw_only=True):
    """The evaluation is complete."""

    evaluation: Evaluation


class Accepted(CandidateEvent, frozen=True, kw_only=True):
    """The governor accepted and policy lets it be promoted without a human."""

    verdict: Verdict


class Held(CandidateEvent, frozen=True, kw_only=True):
    """A human must answer before `expires_ns` (UTC epoch); silence means no."""

    verdict: Verdict
    expires_ns: int


class Rejected(CandidateEvent, frozen=True, kw_only=True):
    """The answer is no. `verdict` is None where the candidate was refused before evaluation."""

    reasons: tuple[Reason, ...]
    verdict: Verdict | None = None


class Approved(CandidateEvent, frozen=True, kw_only=True):
    """A human said yes to exactly `commit`."""

    commit: str
    reason: str


class Endorsed(CandidateEvent, frozen=True, kw_only=True):
    """A human said yes to exactly `commit`, and more people are needed; it stays held."""

    commit: str
    reason: str


class Overridden(CandidateEvent, frozen=True, kw_only=True):
    """An admin said yes to exactly `commit` alone, whatever quorum and freezes ask for."""

    commit: str
    reason: str


class Denied(CandidateEvent, frozen=True, kw_only=True):
    """A human said no."""

    reason: str


class Expired(CandidateEvent, frozen=True, kw_only=True):
    """Nobody answered in time."""


class Rebased(CandidateEvent, frozen=True, kw_only=True):
    """The branch moved: the same change on the new head, screened, to be evaluated again.

    `files` is what it changes there and `marks` what the screen says of it there; both are None in
    entries older than they are.
    """

    base: str
    commit: str
    tree: str
    checkpoint: str
    files: tuple[FileChange, ...] | None = None
    marks: tuple[Mark, ...] | None = None


class PromotionStarted(CandidateEvent, frozen=True, kw_only=True):
    """Intent: `branch` is about to move from `expected_head` to `commit`."""

    branch: str
    expected_head: str
    commit: str
    version: int


class PromotionBlocked(CandidateEvent, frozen=True, kw_only=True):
    """Nothing was changed: promoting would have overwritten something of the user's."""

    reason: str
    expires_ns: int


class Promoted(CandidateEvent, frozen=True, kw_only=True):
    """Proof: the branch stands at `commit`, which is now `version`."""

    version: int
    commit: str
    branch: str


class Kept(CandidateEvent, frozen=True, kw_only=True):
    """The watch passed."""

    reason: str


class Cancelled(CandidateEvent, frozen=True, kw_only=True):
    """Stopped before promotion, by a human or by shutdown policy."""

    reason: str


class Errored(CandidateEvent, frozen=True, kw_only=True):
    """A room failed (`room`); we do not know whether the candidate is good."""

    room: str
    reason: str
    log: str = ""


# --- rollback -----------------------------------------------------------------------------------


class RollbackStarted(Event, frozen=True, kw_only=True):
    """Intent: `branch` is about to move to `commit`, which undoes `candidates`."""

    moves: ClassVar[bool] = True
    candidates: tuple[str, ...]
    branch: str
    expected_head: str
    commit: str
    version: int
    restores: int
    reason: str


class RolledBack(Event, frozen=True, kw_only=True):
    """Proof: the branch stands at `commit`; `version` restores the state of `restores`."""

    moves: ClassVar[bool] = True
    candidates: tuple[str, ...]
    version: int
    commit: str
    branch: str
    restores: int
    reason: str


class RollForwardStarted(Event, frozen=True, kw_only=True):
    """Intent: `branch` is about to move to `commit`, which brings undone `candidates` back."""

    moves: ClassVar[bool] = True
    candidates: tuple[str, ...]
    branch: str
    expected_head: str
    commit: str
    version: int
    restores: int
    reason: str


class RolledForward(Event, frozen=True, kw_only=True):
    """Proof: the branch stands at `commit`; `version` is as `restores` was, by a human's will."""

    moves: ClassVar[bool] = True
    candidates: tuple[str, ...]
    version: int
    commit: str
    branch: str
    restores: int
    reason: str


class RollForwardFailed(Event, frozen=True, kw_only=True):
    """The branch moved, or files are in the way: nothing was changed, they stay rolled back."""

    moves: ClassVar[bool] = True
    candidates: tuple[str, ...]
    reason: str


AnyEvent = (
    TargetAdopted
    | EngineStarted
    | EngineStopped
    | ConfigLoaded
    | LimitsChanged
    | TokenCreated
    | TokenRevoked
    | FreezeSet
    | WorkerDrained
    | ServiceNoted
    | AlertSilenced
    | HoldAsked
    | Calibrated
    | AnchorMoved
    | AnchorMeasured
    | Paused
    | Resumed
    | CycleStarted
    | CycleFinished
    | AlertRaised
    | AlertAcked
    | AlertDelivered
    | EpochStarted
    | Reconciled
    | RetentionApplied
    | Unknown
    | Proposed
    | Screened
    | Applied
    | EvaluationStarted
    | Requeued
    | Evaluated
    | Accepted
    | Held
    | Rejected
    | Approved
    | Overridden
    | Endorsed
    | Denied
    | Expired
    | Rebased
    | PromotionStarted
    | PromotionBlocked
    | Promoted
    | Kept
    | Cancelled
    | Errored
    | RollbackStarted
    | RolledBack
    | RollForwardStarted
    | RolledForward
    | RollForwardFailed
)
"""The union by which entries are decoded."""

KINDS: frozenset[str] = frozenset(
    str(event.__struct_config__.tag) for event in get_args(AnyEvent)
) - {"unknown"}
"""The tags of all events that this version writes."""

SeveralEvent = RollbackStarted | RolledBack | RollForwardStarted | RolledForward | RollForwardFailed
"""The events that move several candidates at once."""

MovingEvent = CandidateEvent | SeveralEvent
"""The events that go through the table of moves."""
