"""Topics: the names under which events are published and subscribed to.

Durable topics are ledger entries and are replayed from any sequence number; lossy ones are
coalesced, may be dropped, and are never replayed.
"""

from fnmatch import fnmatchcase

from ouroboros.model import events as ev

PROGRESS = "candidate.progress"
"""Lossy: a `Progress`."""

STATUS = "engine.status"
"""Lossy: an `EngineStatus`, sent when something changes that is not in the ledger."""

UNKNOWN = "unknown"
"""An entry of a kind that this engine does not know: another version wrote it."""

GAP = "gap"
"""Lossy: a `Gap`. Who subscribed to the topic that it is about gets it."""

LOSSY = frozenset({PROGRESS, STATUS, GAP})

ENGINE_TOPICS: dict[type[ev.Event], str] = {
    ev.TargetAdopted: "engine.adopted",
    ev.EngineStarted: "engine.started",
    ev.EngineStopped: "engine.stopped",
    ev.ConfigLoaded: "config.changed",
    ev.LimitsChanged: "governor.limits_changed",
    ev.FreezeSet: "governor.freeze_set",
    ev.WorkerDrained: "worker.drained",
    ev.ServiceNoted: "service.noted",
    ev.Calibrated: "governor.calibrated",
    ev.AnchorMoved: "governor.anchor_moved",
    ev.AnchorMeasured: "governor.anchor_measured",
    ev.TokenCreated: "token.created",
    ev.TokenRevoked: "token.revoked",
    ev.EpochStarted: "ledger.epoch_started",
    ev.Reconciled: "ledger.reconciled",
    ev.RetentionApplied: "ledger.retention_applied",
    ev.Paused: "loop.paused",
    ev.Resumed: "loop.resumed",
    ev.CycleStarted: "cycle.started",
    ev.CycleFinished: "cycle.finished",
    ev.AlertRaised: "alert.fired",
    ev.AlertAcked: "alert.acked",
    ev.AlertDelivered: "alert.delivered",
    ev.AlertSilenced: "alert.silenced",
    ev.HoldAsked: "candidate.hold_asked",
    ev.RollbackStarted: "rollback.started",
    ev.RolledBack: "rollback.finished",
    ev.RollForwardStarted: "forward.started",
    ev.RolledForward: "forward.finished",
    ev.RollForwardFailed: "forward.failed",
}
"""Of events that are not about one candidate; those are `candidate.KIND`."""


def topic_of(event: ev.AnyEvent) -> str:
    """Return the topic of an event: its class's, `candidate.<kind>`, or `unknown`."""
    own = ENGINE_TOPICS.get(type(event))
    if own is not None:
        return own
    return f"candidate.{event.kind}" if isinstance(event, ev.CandidateEvent) else UNKNOWN


def matches_topic(topic: str, patterns: tuple[str, ...]) -> bool:
    """Whether a topic fits one of the shell-style patterns (`candidate.*`, `*`)."""
    return any(fnmatchcase(topic, pattern) for pattern in patterns)
