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

LOSSY = frozenset({PROGRESS, STATUS})

_ENGINE_TOPICS: dict[type[ev.Event], str] = {
    ev.TargetAdopted: "engine.adopted",
    ev.EngineStarted: "engine.started",
    ev.EngineStopped: "engine.stopped",
    ev.ConfigLoaded: "config.changed",
    ev.Paused: "loop.paused",
    ev.Resumed: "loop.resumed",
    ev.CycleStarted: "cycle.started",
    ev.CycleFinished: "cycle.finished",
    ev.AlertRaised: "alert.fired",
    ev.RollbackStarted: "rollback.started",
    ev.RolledBack: "rollback.finished",
}


def topic_of(event: ev.AnyEvent) -> str:
    """Return the topic of an event: `candidate.<kind>`, or the engine topic of its class."""
    return _ENGINE_TOPICS.get(type(event), f"candidate.{event.kind}")


def matches_topic(topic: str, patterns: tuple[str, ...]) -> bool:
    """Whether a topic fits one of the shell-style patterns (`candidate.*`, `*`)."""
    return any(fnmatchcase(topic, pattern) for pattern in patterns)
