"""The engine's visible state, and the pure fold that rebuilds it from the ledger.

`advance(state, stored)` is the only way in which state changes. The engine uses it live, recovery
uses it at start, and a client may use it to follow along: all three therefore agree by
construction. State is what people and recovery need; it holds no handles and no caches.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from itertools import takewhile

import msgspec
from msgspec.structs import replace

from ouroboros.errors import IllegalMoveError
from ouroboros.model import events as ev
from ouroboros.model.entry import GENESIS, Entry, Stored
from ouroboros.model.evaluation import Evaluation
from ouroboros.model.metric import Direction, Noise, Scale, Source
from ouroboros.model.phase import FINAL, START, Phase, step
from ouroboros.model.proposal import FileChange, Mark
from ouroboros.model.verdict import Comparison, Context, Reason, Verdict, confirmed


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal on its way; the thing with a Phase that people approve.

    `commit` is the candidate commit (empty before it is applied). It covers base and content, so
    it is also the hash to which approvals are bound. `since_ns` is when the phase was entered.
    `proposed_by` is the actor; `policy` the hash of the policy in force when it was proposed, under
    which it is judged; `approvals` are the actors who said yes so far; `discovered` tells whether
    the evidence ever wanted to promote it.
    """

    id: str
    phase: Phase
    cycle: int
    proposer: str
    title: str
    rationale: str
    idea: str
    base: str
    diff: str
    created_ns: int
    since_ns: int
    since_seq: int = 0
    """The entry that brought the phase: order is the sequence, since clocks are set."""
    predicted_gain: float | None = None
    files: tuple[FileChange, ...] = ()
    marks: tuple[Mark, ...] = ()
    commit: str = ""
    tree: str = ""
    checkpoint: str = ""
    attempt: int = 0
    evaluation: Evaluation | None = None
    verdict: Verdict | None = None
    reasons: tuple[Reason, ...] = ()
    expires_ns: int = 0
    version: int = 0
    promoted_commit: str = ""
    approved_by: str = ""
    verdict_seq: int = 0
    proposed_by: str = ""
    policy: str = ""
    context: Context | None = None
    approvals: tuple[str, ...] = ()
    discovered: bool = False
    undone_by: str = ""
    """Who began the rollback that undid it; `engine` is the watch."""
    hold_by: str = ""
    """Who asked that a person says yes first, whatever the verdict is."""
    hold_reason: str = ""
    overridden: bool = False
    """Whether an admin's yes lets it pass by quorum and freezes."""

    @property
    def to_be_held(self) -> bool:
        """Whether somebody asked to hold it, and nobody said yes since."""
        return bool(self.hold_by and not self.approved_by)


class Version(msgspec.Struct, frozen=True, kw_only=True):
    """A promoted state of the target. `number` 0 is where the engine found it.

    `candidate` is empty for version 0, rollbacks and rolls forward; `restores` is the version whose
    state these brought back, else -1. `active` tells whether its change is still in the branch.
    """

    number: int
    commit: str
    ts: int
    candidate: str = ""
    title: str = ""
    change: float | None = None
    restores: int = -1
    active: bool = True


class Anchor(msgspec.Struct, frozen=True, kw_only=True):
    """The version that bounds cumulative loss; who put it there and why."""

    commit: str
    version: int
    ts: int
    actor: str
    reason: str


class Standing(msgspec.Struct, frozen=True, kw_only=True):
    """The newest measurement of a head against an anchor: the total that may be shown as a gain."""

    anchor: str
    commit: str
    version: int
    ts: int
    comparisons: tuple[Comparison, ...]


class Intent(msgspec.Struct, frozen=True, kw_only=True):
    """A promotion, rollback or roll forward that was started and not yet proven done.

    `restores` is -1 for a promotion; `forward` tells a roll forward from a rollback.
    """

    candidates: tuple[str, ...]
    branch: str
    expected_head: str
    commit: str
    version: int
    restores: int = -1
    reason: str = ""
    forward: bool = False


class Cycle(msgspec.Struct, frozen=True, kw_only=True):
    """One pass of the loop."""

    number: int
    trigger: str
    started_ns: int
    finished_ns: int = 0
    outcome: str = ""
    proposals: int = 0
    text: str = ""


class Alert(msgspec.Struct, frozen=True, kw_only=True):
    """A raised alert, newest last. `acked_by` has seen it (empty: nobody has yet)."""

    seq: int
    ts: int
    code: str
    severity: str
    text: str
    candidate: str = ""
    acked_by: str = ""
    acked_ns: int = 0
    silenced: bool = False
    """Whether it was not sent, since somebody had silenced its code."""
    settled: tuple[str, ...] = ()
    """Sinks that took it, or that did not and are not tried any more."""


class Silence(msgspec.Struct, frozen=True, kw_only=True):
    """Alerts whose code fits `codes` (shell-style) are not sent until `until_ns`."""

    codes: str
    until_ns: int
    actor: str
    reason: str


class Frozen(msgspec.Struct, frozen=True, kw_only=True):
    """A freeze that a human set: nothing is promoted until `until_ns`."""

    until_ns: int
    actor: str
    reason: str


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """The target's running process, as last noted; see `ouroboros.model.events.ServiceNoted`."""

    what: str
    version: int
    pid: int
    ts: int
    text: str

    @property
    def serves(self) -> bool:
        """Whether it serves its version, as far as was noted."""
        return self.what in ("started", "adopted", "reloaded", "restarted")


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """A key to the doors of the network; see `ouroboros.model.events.TokenCreated`."""

    name: str
    role: str
    digest: str
    created_ns: int
    actor: str
    methods: tuple[str, ...] = ()
    expires_ns: int = 0


ALERTS_KEPT = 50
"""How many alerts the state remembers; all of them stay in the ledger."""


class State(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that the ledger says, folded. `head` and `seq` name the last entry folded in."""

    seq: int = 0
    head: str = GENESIS
    target: str = ""
    path: str = ""
    branch: str = ""
    paused: bool = False
    pause_reason: str = ""
    pause_actor: str = ""
    resumed_ns: int = 0
    resumed_seq: int = 0
    mode: str = ""
    config_hash: str = ""
    running: bool = False
    cycle: Cycle | None = None
    cycles: int = 0
    candidates: Mapping[str, Candidate] = {}
    versions: tuple[Version, ...] = ()
    intent: Intent | None = None
    alerts: tuple[Alert, ...] = ()
    anchor: Anchor | None = None
    anchors: tuple[Anchor, ...] = ()
    """The earlier anchors, oldest first: where the anchor returns to when its version is undone."""
    standing: Standing | None = None
    noise: tuple[Noise, ...] = ()
    """The newest calibration of each benchmark, metric and machine."""
    tokens: Mapping[str, Token] = {}
    """The keys that were given and not revoked, by name; some may have expired."""
    silences: tuple[Silence, ...] = ()
    """What was silenced; some may be over."""
    frozen: Frozen | None = None
    """The freeze that a human set, beside the configured windows; it may be over."""
    drained: tuple[str, ...] = ()
    """Workers that a human took out of service: they begin no evaluation."""
    serving: Serving | None = None
    """The target's running process; None where there never was one."""
    overrides: Mapping[str, ev.Setting] = {}
    """Thresholds that a human changed at run time, by dotted key."""
    tests: int = 0
    """How many tests of ideas were begun (a continued one counts once)."""
    discoveries: int = 0
    """How many candidates the evidence wanted to promote."""
    epoch: int = 0
    """How often this ledger was salvaged from a damaged one."""
    reconciled: int = 0
    """The newest epoch after which the target's history was compared with the ledger."""
    version_floor: int = 0
    candidate_floor: int = 0
    """The highest numbers that lost entries are known to have given."""


def advance(state: State, stored: Stored) -> State:
    """Fold one entry into the state.

    Raises:
        IllegalMoveError: the entry moves a candidate in a way that the table does not list, or
            names a candidate that does not exist.
    """
    entry = stored.entry
    event = entry.event
    state = replace(state, seq=entry.seq, head=stored.hash)
    if isinstance(event, ev.CandidateEvent):
        state = _one(state, event, stored)
    elif isinstance(event, ev.SeveralEvent):
        state = _many(state, event, entry)
    return _engine(state, event, stored)


def check_move(state: State, event: ev.AnyEvent) -> None:
    """Raise `IllegalMoveError` where `advance` would, before anything is written."""
    if isinstance(event, ev.CandidateEvent) and event.kind == START:
        if event.candidate in state.candidates:
            raise IllegalMoveError(f"Candidate {event.candidate} exists already.")
        return
    if isinstance(event, ev.HoldAsked):
        _candidate(state, event.candidate)
    if isinstance(event, ev.MovingEvent):
        for name in event.candidates:
            step(_candidate(state, name).phase, event.kind)


def _candidate(state: State, name: str) -> Candidate:
    try:
        return state.candidates[name]
    except KeyError:
        raise IllegalMoveError(f"There is no candidate {name}.") from None


def _put(state: State, *changed: Candidate) -> State:
    merged = {**state.candidates, **{c.id: c for c in changed}}
    return replace(state, candidates=merged)


def _one(state: State, event: ev.CandidateEvent, stored: Stored) -> State:
    ts, seq = stored.entry.ts, stored.entry.seq
    if isinstance(event, ev.Proposed):
        return _put(state, _born(event, stored, state.config_hash))
    old = _candidate(state, event.candidate)
    moved = replace(old, phase=step(old.phase, event.kind), since_ns=ts, since_seq=seq)
    return _counted(_put(state, _detail(moved, event, stored)), old, event)


def _counted(state: State, old: Candidate, event: ev.CandidateEvent) -> State:
    """Count tests and discoveries, each once a test (a continued idea is the same one)."""
    if isinstance(event, ev.EvaluationStarted) and event.context is not None:
        return replace(state, tests=max(state.tests, event.context.test))
    new = state.candidates[old.id]
    if new.discovered and not old.discovered and not _known_discovery(state, new):
        return replace(state, discoveries=state.discoveries + 1)
    return state


def _known_discovery(state: State, new: Candidate) -> bool:
    """Whether a candidate of the same test was discovered before: one test, one discovery."""
    return new.context is not None and any(
        c.discovered and c.id != new.id and c.context and c.context.test == new.context.test
        for c in state.candidates.values()
    )


def _born(event: ev.Proposed, stored: Stored, policy: str) -> Candidate:
    ts = stored.entry.ts
    return Candidate(
        id=event.candidate,
        phase=Phase.PROPOSED,
        cycle=event.cycle,
        proposer=event.proposer,
        title=event.title,
        rationale=event.rationale,
        idea=event.idea,
        base=event.base,
        diff=event.diff,
        created_ns=ts,
        since_ns=ts,
        since_seq=stored.entry.seq,
        predicted_gain=event.predicted_gain,
        proposed_by=stored.entry.actor,
        policy=policy,
    )


def _detail(c: Candidate, event: ev.CandidateEvent, stored: Stored) -> Candidate:  # noqa: C901, PLR0912 - one row per event
    """Return the candidate with what the event says besides the phase."""
    seq, actor = stored.entry.seq, stored.entry.actor
    match event:
        case ev.Screened():
            return replace(c, files=event.files, marks=event.marks)
        case ev.Applied() | ev.Rebased():
            files, marks = c.files, c.marks
            if isinstance(event, ev.Rebased):
                files = files if event.files is None else event.files
                marks = marks if event.marks is None else event.marks
            return replace(
                c,
                files=files,
                marks=marks,
                base=event.base,
                commit=event.commit,
                tree=event.tree,
                checkpoint=event.checkpoint,
                evaluation=None,
                verdict=None,
                reasons=(),
                approved_by="",
                approvals=(),
                overridden=False,
            )
        case ev.EvaluationStarted():
            return replace(c, attempt=event.attempt, context=event.context or c.context)
        case ev.Evaluated():
            return replace(c, evaluation=event.evaluation)
        case ev.Accepted() | ev.Held():
            expires = event.expires_ns if isinstance(event, ev.Held) else 0
            return replace(
                c,
                verdict=event.verdict,
                reasons=event.verdict.reasons,
                expires_ns=expires,
                verdict_seq=seq,
                discovered=c.discovered or event.verdict.wants_promotion,
            )
        case ev.Rejected():
            return replace(c, verdict=event.verdict, reasons=event.reasons, verdict_seq=seq)
        case ev.Approved() | ev.Overridden():
            return replace(
                c,
                approved_by=actor,
                approvals=(*c.approvals, actor),
                expires_ns=0,
                overridden=isinstance(event, ev.Overridden),
            )
        case ev.Endorsed():
            return replace(c, approvals=(*c.approvals, actor))
        case ev.Denied():
            return replace(c, reasons=(Reason(code="denied", text=f"{actor}: {event.reason}"),))
        case ev.Expired():
            text = "Nobody answered before the hold expired."
            return replace(c, reasons=(Reason(code="expired", text=text),))
        case ev.PromotionBlocked():
            blocked = Reason(code="promotion_blocked", text=event.reason)
            return replace(
                c,
                reasons=(blocked,),
                expires_ns=event.expires_ns,
                approved_by="",
                approvals=(),
                overridden=False,
            )
        case ev.Promoted():
            return replace(c, version=event.version, promoted_commit=event.commit)
        case ev.Cancelled():
            return replace(c, reasons=(Reason(code="cancelled", text=event.reason),))
        case ev.Errored():
            return replace(c, reasons=(Reason(code=f"error:{event.room}", text=event.reason),))
        case _:
            return c


def _many(state: State, event: ev.SeveralEvent, entry: Entry) -> State:
    moved = []
    for name in event.candidates:
        old = _candidate(state, name)
        by = old.undone_by or (entry.actor if isinstance(event, ev.RollbackStarted) else "")
        phase = step(old.phase, event.kind)
        moved.append(
            replace(old, phase=phase, since_ns=entry.ts, since_seq=entry.seq, undone_by=by)
        )
    return _put(state, *moved)


def _engine(state: State, event: ev.AnyEvent, stored: Stored) -> State:  # noqa: C901, PLR0912 - one row per event
    """Return the state with what the event says about the engine, versions and intents."""
    ts, actor = stored.entry.ts, stored.entry.actor
    match event:
        case ev.TargetAdopted():
            first = Version(number=0, commit=event.commit, ts=ts, title="as found")
            anchor = Anchor(commit=event.commit, version=0, ts=ts, actor=actor, reason="as found")
            return replace(
                state,
                anchor=anchor,
                target=event.target,
                path=event.path,
                branch=event.branch,
                versions=(first,),
            )
        case ev.EngineStarted():
            return replace(state, running=True, mode=event.mode, config_hash=event.config_hash)
        case ev.EngineStopped():
            return replace(state, running=False)
        case ev.ConfigLoaded():
            return replace(state, config_hash=event.config_hash)
        case ev.LimitsChanged():
            merged = {**state.overrides, **event.changes}
            overrides = {k: v for k, v in merged.items() if v is not None}
            return replace(state, config_hash=event.config_hash, overrides=overrides)
        case ev.TokenCreated() | ev.TokenRevoked():
            return replace(state, tokens=_tokens(state, event, stored))
        case ev.Calibrated() | ev.AnchorMoved() | ev.AnchorMeasured():
            return _measured(state, event, stored)
        case ev.Paused():
            return replace(state, paused=True, pause_reason=event.reason, pause_actor=actor)
        case ev.Resumed():
            return replace(
                state,
                paused=False,
                pause_reason="",
                pause_actor="",
                resumed_ns=ts,
                resumed_seq=stored.entry.seq,
            )
        case ev.CycleStarted():
            cycle = Cycle(number=event.cycle, trigger=event.trigger, started_ns=ts)
            return replace(state, cycle=cycle, cycles=event.cycle)
        case ev.CycleFinished():
            return _cycle_finished(state, event, ts)
        case ev.EpochStarted():
            return _new_epoch(state, event, stored)
        case ev.Reconciled():
            return replace(
                state,
                reconciled=event.epoch,
                version_floor=max(state.version_floor, event.version),
                candidate_floor=max(state.candidate_floor, event.candidate),
            )
        case ev.AlertRaised():
            alert = Alert(
                seq=stored.entry.seq,
                ts=ts,
                code=event.code,
                severity=event.severity,
                text=event.text,
                candidate=event.candidate,
                silenced=is_silenced(state, event.code, ts),
            )
            return replace(state, alerts=(*state.alerts, alert)[-ALERTS_KEPT:])
        case ev.AlertAcked():
            seen = tuple(
                replace(a, acked_by=actor, acked_ns=ts) if a.seq == event.alert else a
                for a in state.alerts
            )
            return replace(state, alerts=seen)
        case ev.FreezeSet() | ev.AlertSilenced() | ev.HoldAsked() | ev.WorkerDrained():
            return _ordered(state, event, ts, actor)
        case ev.AlertDelivered():
            told = tuple(
                replace(a, settled=(*a.settled, event.sink)) if a.seq == event.alert else a
                for a in state.alerts
            )
            return replace(state, alerts=told)
        case ev.ServiceNoted():
            noted = Serving(
                what=event.what, version=event.version, pid=event.pid, ts=ts, text=event.text
            )
            return replace(state, serving=noted)
        case ev.PromotionStarted() | ev.RollbackStarted() | ev.RollForwardStarted():
            return replace(state, intent=_intent(event))
        case ev.RollForwardFailed():
            return replace(state, intent=None)
        case ev.PromotionBlocked() | ev.Rebased():
            mine = state.intent is not None and event.candidate in state.intent.candidates
            return replace(state, intent=None) if mine else state
        case ev.Promoted():
            return _promoted(state, event, ts)
        case ev.RolledBack():
            return _rolled(state, event, ts, "rollback", active=False)
        case ev.RolledForward():
            return _rolled(state, event, ts, "roll forward", active=True)
        case _:
            return state


def is_silenced(state: State, code: str, now_ns: int) -> bool:
    """Whether somebody said that alerts of this code are not sent now."""
    return any(s.until_ns > now_ns and fnmatchcase(code, s.codes) for s in state.silences)


def _ordered(
    state: State,
    event: ev.FreezeSet | ev.AlertSilenced | ev.HoldAsked | ev.WorkerDrained,
    ts: int,
    actor: str,
) -> State:
    """Return the state with what a human ordered besides answers."""
    match event:
        case ev.FreezeSet():
            frozen = Frozen(until_ns=event.until_ns, actor=actor, reason=event.reason)
            return replace(state, frozen=frozen if event.until_ns > ts else None)
        case ev.AlertSilenced():
            rest = tuple(s for s in state.silences if s.codes != event.codes and s.until_ns > ts)
            new = Silence(
                codes=event.codes, until_ns=event.until_ns, actor=actor, reason=event.reason
            )
            return replace(state, silences=(*rest, new) if event.until_ns > ts else rest)
        case ev.WorkerDrained():
            rest_of = tuple(w for w in state.drained if w != event.worker)
            return replace(state, drained=(*rest_of, event.worker) if event.out else rest_of)
        case ev.HoldAsked():
            c = _candidate(state, event.candidate)
            held = replace(c, hold_by=actor, hold_reason=event.reason, approved_by="", approvals=())
            return _put(state, held)


_PAST_PROMOTION = FINAL | {Phase.PROMOTED, Phase.KEPT}


def _new_epoch(state: State, event: ev.EpochStarted, stored: Stored) -> State:
    """Close what was on its way when entries were lost: nobody knows what became of it.

    Nothing is guessed: a candidate before its promotion ends in error (an answer that a human gave
    may be among what was lost, so that none is acted on), an intent is dropped (git is asked by
    reconciliation instead), a version that was being rolled back counts as promoted, so that it can
    be measured or rolled back again. The engine is paused until a human has looked.
    """
    ts, seq = stored.entry.ts, stored.entry.seq
    text = f"Entries after {event.kept_size} of the ledger were lost: what became of it is unknown."
    reason = Reason(code="error:ledger", text=text)
    moved = []
    for c in state.candidates.values():
        if c.phase is Phase.ROLLING_BACK:
            moved.append(replace(c, phase=Phase.PROMOTED, since_ns=ts, since_seq=seq))
        elif c.phase not in _PAST_PROMOTION:
            moved.append(
                replace(
                    c,
                    phase=Phase.ERRORED,
                    since_ns=ts,
                    since_seq=seq,
                    reasons=(reason,),
                    expires_ns=0,
                    approved_by="",
                    approvals=(),
                )
            )
    why = (
        f"The ledger was salvaged (epoch {event.epoch}): entries after {event.kept_size} are lost. "
        "Look at the alerts, then resume."
    )
    return replace(
        _put(state, *moved),
        epoch=event.epoch,
        intent=None,
        running=False,
        paused=True,
        pause_reason=why,
        pause_actor=stored.entry.actor,
    )


def _tokens(
    state: State, event: ev.TokenCreated | ev.TokenRevoked, stored: Stored
) -> Mapping[str, Token]:
    rest = {name: token for name, token in state.tokens.items() if name != event.name}
    if isinstance(event, ev.TokenRevoked):
        return rest
    given = Token(
        name=event.name,
        role=event.role,
        digest=event.digest,
        created_ns=stored.entry.ts,
        actor=stored.entry.actor,
        methods=event.methods,
        expires_ns=event.expires_ns,
    )
    return {**rest, event.name: given}


def _measured(
    state: State, event: ev.Calibrated | ev.AnchorMoved | ev.AnchorMeasured, stored: Stored
) -> State:
    ts, actor = stored.entry.ts, stored.entry.actor
    match event:
        case ev.Calibrated():
            new = {(n.benchmark, n.metric, n.machine): n for n in (*state.noise, *event.noise)}
            return replace(state, noise=tuple(new.values()))
        case ev.AnchorMoved():
            anchor = Anchor(
                commit=event.commit,
                version=event.version,
                ts=ts,
                actor=actor,
                reason=event.reason,
            )
            before = () if state.anchor is None else (state.anchor,)
            return replace(state, anchor=anchor, anchors=(*state.anchors, *before))
        case ev.AnchorMeasured():
            standing = Standing(
                anchor=event.anchor,
                commit=event.commit,
                version=event.version,
                ts=ts,
                comparisons=event.comparisons,
            )
            return replace(state, standing=standing)


def _cycle_finished(state: State, event: ev.CycleFinished, ts: int) -> State:
    if state.cycle is None or state.cycle.number != event.cycle:
        return state
    done = replace(
        state.cycle,
        finished_ns=ts,
        outcome=event.outcome,
        proposals=event.proposals,
        text=event.text,
    )
    return replace(state, cycle=done)


def _intent(event: ev.PromotionStarted | ev.RollbackStarted | ev.RollForwardStarted) -> Intent:
    restores, reason = -1, ""
    if not isinstance(event, ev.PromotionStarted):
        restores, reason = event.restores, event.reason
    return Intent(
        candidates=event.candidates,
        branch=event.branch,
        expected_head=event.expected_head,
        commit=event.commit,
        version=event.version,
        restores=restores,
        reason=reason,
        forward=isinstance(event, ev.RollForwardStarted),
    )


def _promoted(state: State, event: ev.Promoted, ts: int) -> State:
    candidate = _candidate(state, event.candidate)
    version = Version(
        number=event.version,
        commit=event.commit,
        ts=ts,
        candidate=candidate.id,
        title=candidate.title,
        change=confirmed_change(candidate.verdict),
    )
    return replace(state, versions=(*state.versions, version), intent=None)


def _rolled(
    state: State, event: ev.RolledBack | ev.RolledForward, ts: int, word: str, *, active: bool
) -> State:
    moved = set(event.candidates)
    versions = tuple(
        replace(v, active=active) if v.candidate in moved else v for v in state.versions
    )
    version = Version(
        number=event.version,
        commit=event.commit,
        ts=ts,
        title=f"{word} to version {event.restores}" + (f": {event.reason}" if event.reason else ""),
        restores=event.restores,
    )
    return replace(state, versions=(*versions, version), intent=None)


def confirmed_change(verdict: Verdict | None) -> float | None:
    """Return the objective's relative change that may be shown as a gain; less is better.

    Only confirmed estimates count; where several objectives were confirmed, the largest gain. What
    is better when it is higher, and differences in units, are no "so much less" that could be shown
    without saying of what; what a run says of itself is nothing to count on.
    """
    if verdict is None:
        return None
    changes = [
        c.change
        for c in verdict.comparisons
        if c.change is not None
        and confirmed(c)
        and (c.direction, c.scale) == (Direction.LOWER, Scale.RATIO)
        and c.source != Source.REPORTED
    ]
    return min(changes, default=None)


def errors_in_a_row(state: State) -> int:
    """Return how many of the newest settled candidates ended in error, since the last resume."""
    settled = sorted(
        (
            c
            for c in state.candidates.values()
            if c.phase in FINAL and c.since_seq > state.resumed_seq
        ),
        key=lambda c: c.since_seq,
    )
    return sum(1 for _ in takewhile(lambda c: c.phase is Phase.ERRORED, reversed(settled)))


WATCH = "engine"
"""The actor of rollbacks that no human asked for."""


def rollbacks_in_a_row(state: State) -> int:
    """Return how many of the newest promotions the watch undid, since the last resume.

    A promotion that was kept ends the row. What is still watched, and what a human undid, says
    nothing of the watch: it neither counts nor ends the row.
    """
    promoted = sorted(
        (c for c in state.candidates.values() if c.version), key=lambda c: c.version, reverse=True
    )
    count = 0
    for c in promoted:
        if c.phase is Phase.KEPT or (c.phase is Phase.ROLLED_BACK and not _since_resume(state, c)):
            break
        count += c.phase is Phase.ROLLED_BACK and c.undone_by == WATCH
    return count


def _since_resume(state: State, c: Candidate) -> bool:
    return c.since_ns > state.resumed_ns
