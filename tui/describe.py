"""One line of words for each event, for the ledger tail. Pure.

An event kind that this client does not know is still one honest line: its number, its topic.
"""

from ouroboros.model import events as ev
from ouroboros.model.text import safe_line
from ouroboros.model.verdict import Reason


def describe(event: ev.AnyEvent) -> str:
    """Return one safe line that says what happened."""
    return safe_line(_engine(event) or _candidate(event) or event.kind.replace("_", " "))


def _engine(event: ev.AnyEvent) -> str:  # noqa: C901 - one row per event
    match event:
        case ev.TargetAdopted():
            return f"adopted {event.target} on {event.branch} at {event.commit[:10]}"
        case ev.EngineStarted():
            again = f", recovered {', '.join(event.recovered)}" if event.recovered else ""
            return f"engine {event.engine_version} started in mode {event.mode}{again}"
        case ev.EngineStopped():
            return f"engine stopped: {event.reason}"
        case ev.ConfigLoaded():
            return f"configuration {event.config_hash[:10]} in force"
        case ev.Paused():
            return f"paused{_why(event.reason)}"
        case ev.Resumed():
            return f"resumed{_why(event.reason)}"
        case ev.CycleStarted():
            return f"cycle {event.cycle} started ({event.trigger})"
        case ev.CycleFinished():
            return f"cycle {event.cycle} finished: {event.outcome}{_why(event.text)}"
        case ev.AlertRaised():
            return f"alert {event.severity}: {event.text}"
        case ev.RollbackStarted():
            return f"rolling back to v{event.restores}{_why(event.reason)}"
        case ev.RolledBack():
            return f"rolled back to v{event.restores}, now v{event.version}{_why(event.reason)}"
        case _:
            return ""


def _candidate(event: ev.AnyEvent) -> str:  # noqa: C901, PLR0912 - one row per event
    match event:
        case ev.Proposed():
            return f"proposed by {event.proposer}: {event.title}"
        case ev.Screened():
            return f"screened: {len(event.files)} file(s), {len(event.marks)} mark(s)"
        case ev.Applied():
            return f"applied as {event.commit[:10]}"
        case ev.EvaluationStarted():
            return f"evaluation {event.attempt} started on {event.executor}"
        case ev.Requeued():
            return f"to be evaluated again{_why(event.reason)}"
        case ev.Evaluated():
            return f"evaluated: {event.evaluation.status.value}{_why(event.evaluation.cause)}"
        case ev.Accepted():
            return f"accepted{_codes(event.verdict.reasons)}"
        case ev.Held():
            return f"held for a human{_codes(event.verdict.reasons)}"
        case ev.Rejected():
            return f"rejected{_codes(event.reasons)}"
        case ev.Approved():
            return f"approved {event.commit[:10]}{_why(event.reason)}"
        case ev.Denied():
            return f"denied{_why(event.reason)}"
        case ev.Expired():
            return "hold expired without an answer"
        case ev.Rebased():
            return f"rebased as {event.commit[:10]}"
        case ev.PromotionStarted():
            return f"promoting {event.commit[:10]} to {event.branch} as v{event.version}"
        case ev.PromotionBlocked():
            return f"promotion blocked{_why(event.reason)}"
        case ev.Promoted():
            return f"promoted as v{event.version} ({event.commit[:10]})"
        case ev.Kept():
            return f"kept{_why(event.reason)}"
        case ev.Cancelled():
            return f"cancelled{_why(event.reason)}"
        case ev.Errored():
            return f"error in {event.room}{_why(event.reason)}"
        case _:
            return ""


def _why(reason: str) -> str:
    return f": {reason}" if reason else ""


def _codes(reasons: tuple[Reason, ...]) -> str:
    return f": {', '.join(reason.code for reason in reasons)}" if reasons else ""
