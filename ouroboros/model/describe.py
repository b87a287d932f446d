"""One line for people about each kind of event: what a log, a ledger tail or a watcher shows.

The lines are plain text without markup. Whatever came from a candidate, a model or a repository
goes through `safe_line` here, so that callers may print them as they are.
"""

from collections.abc import Mapping

from ouroboros.model import events as ev
from ouroboros.model.evaluation import CheckStatus, Evaluation
from ouroboros.model.metric import Direction, Scale, amount
from ouroboros.model.text import safe_line
from ouroboros.model.verdict import Comparison, Outcome, Reason, Verdict, confirmed
from ouroboros.model.windows import moment_text


def describe(event: ev.AnyEvent, *, named: bool = True) -> str:
    """Return one safe line about an event; without `named` it leaves out whose it is."""
    if not isinstance(event, ev.CandidateEvent):
        return _engine(event)
    name = f"{safe_line(event.candidate, limit=40)} " if named else ""
    return f"{name}{_candidate(event)}"


def subject(event: ev.AnyEvent) -> str:
    """Return the candidate (several joined by commas) that an event is about, or empty."""
    if isinstance(event, ev.CandidateEvent | ev.RollbackStarted | ev.RolledBack):
        return ",".join(event.candidates)
    return event.candidate if isinstance(event, ev.AlertRaised | ev.HoldAsked) else ""


def _engine(event: ev.Event) -> str:
    match event:
        case ev.TargetAdopted():
            return (
                f"adopted {safe_line(event.path)}, branch {_name(event.branch)}, "
                f"at {_short(event.commit)}"
            )
        case ev.EngineStarted():
            recovered = f"; recovery: {_names(event.recovered)}" if event.recovered else ""
            version, mode = _name(event.engine_version), _name(event.mode)
            return f"engine {version} started in {mode} mode{recovered}"
        case ev.EngineStopped():
            return _because("engine stopped", event.reason)
        case ev.ConfigLoaded():
            return f"configuration {_short(event.config_hash)} in force"
        case ev.Paused():
            return _because("paused", event.reason)
        case ev.Resumed():
            return _because("resumed", event.reason)
        case ev.CycleStarted():
            return f"cycle {event.cycle} started ({_name(event.trigger)}) on {_short(event.base)}"
        case ev.CycleFinished():
            found = f"{event.proposals} proposal{'' if event.proposals == 1 else 's'}"
            return _because(
                f"cycle {event.cycle} finished: {_name(event.outcome)}, {found}", event.text
            )
        case ev.AlertRaised():
            about = f" {_name(event.candidate)}" if event.candidate else ""
            return f"{_name(event.severity)}{about}: {safe_line(event.text)}"
        case _:
            return _ordered(event) or _ledger(event) or _rollback(event)


def _ordered(event: ev.Event) -> str:
    match event:
        case ev.AlertDelivered():
            tries = f" after {event.tries} tries" if event.tries > 1 else ""
            if event.problem:
                said = f"alert {event.alert} did not reach {_name(event.sink)}{tries}"
                return _because(said, event.problem)
            return f"alert {event.alert} reached {_name(event.sink)}{tries}"
        case ev.ServiceNoted():
            took = f" in {event.took_ns / 1e9:.2f} s" if event.took_ns > 0 else ""
            said = f"service {_name(event.what)}: version {event.version}{took}"
            return _because(said, event.text)
        case ev.AlertSilenced():
            return _because(_until(f"alerts {_name(event.codes)} silenced", event), event.reason)
        case ev.FreezeSet():
            return _because(_until("promotions frozen", event), event.reason)
        case ev.WorkerDrained():
            now = "taken out of service" if event.out else "back in service"
            return _because(f"worker {_name(event.worker)} {now}", event.reason)
        case ev.HoldAsked():
            return _because(f"{_name(event.candidate)} to be held for a human", event.reason)
        case _:
            return ""


def _ledger(event: ev.Event) -> str:
    match event:
        case ev.AlertAcked():
            return _because(f"alert {event.alert} acknowledged", event.reason)
        case ev.EpochStarted():
            lost = max(event.old_size - event.kept_size, 0)
            said = (
                f"epoch {event.epoch} started: entry {event.first_bad} was damaged, "
                f"{event.kept_size} kept, {lost} lost"
            )
            return _because(said, event.reason)
        case ev.Reconciled():
            names = _names(tuple(c[:12] for c in event.unknown)) or "none"
            return f"history compared with the ledger; commits that it does not know: {names}"
        case ev.RetentionApplied():
            return safe_line(event.text)
        case ev.Unknown():
            return f"unknown event '{_name(event.name)}' of another version"
        case _:
            return ""


def _until(what: str, event: ev.FreezeSet | ev.AlertSilenced) -> str:
    if event.until_ns <= 0:
        return f"{what} no longer"
    try:
        return f"{what} until {moment_text(event.until_ns, 'UTC')}"
    except (OverflowError, ValueError):
        return f"{what} for longer than there are dates"


def _measured(event: ev.Event) -> str:
    match event:
        case ev.Calibrated():
            pairs = f"{_name(event.series.benchmark)} by {len(event.series.pairs)} pairs"
            noise = ", ".join(f"{_name(n.metric)} {n.sd:.1%}" for n in event.noise)
            return f"calibrated {pairs}, noise {noise or 'not known'}"
        case ev.AnchorMeasured():
            found = "; ".join(
                f"{_name(c.benchmark)} {_name(c.metric)} "
                f"{safe_line(amount(c.scale, c.unit, c.change), limit=40)}"
                for c in event.comparisons
                if c.role == "objective" and c.change is not None
            )
            return _because(f"version {event.version} measured against the anchor", found)
        case ev.AnchorMoved():
            where = f"version {event.version} at {_short(event.commit)}"
            return _because(f"the anchor is {where} now", event.reason)
        case _:
            return _name(event.kind)


def _rollback(event: ev.Event) -> str:
    match event:
        case ev.RollbackStarted():
            doing = f"rolling back to version {event.restores} (undoing {_names(event.candidates)})"
            return _because(doing, event.reason)
        case ev.RolledBack():
            done = f"rolled back to version {event.restores}, now version {event.version}"
            return _because(f"{done} at {_short(event.commit)}", event.reason)
        case ev.RollForwardStarted():
            doing = f"rolling forward to version {event.restores}"
            return _because(f"{doing} (bringing back {_names(event.candidates)})", event.reason)
        case ev.RolledForward():
            done = f"rolled forward to version {event.restores}, now version {event.version}"
            return _because(f"{done} at {_short(event.commit)}", event.reason)
        case ev.RollForwardFailed():
            return _because(f"{_names(event.candidates)} not brought back", event.reason)
        case ev.TokenCreated():
            what = f"token {_name(event.name)} created for {_name(event.role)}"
            only = f", only {', '.join(_name(m) for m in event.methods)}" if event.methods else ""
            return _because(what + only, event.reason)
        case ev.TokenRevoked():
            return _because(f"token {_name(event.name)} revoked", event.reason)
        case ev.LimitsChanged():
            return _because(f"limits changed: {_changes(event.changes)}", event.reason)
        case _:
            return _measured(event)


def _candidate(event: ev.CandidateEvent) -> str:
    said = _on_the_way(event) or _judged(event) or _answered(event) or _landed(event)
    return said or _name(event.kind)


def _on_the_way(event: ev.CandidateEvent) -> str:
    match event:
        case ev.Proposed():
            return f"proposed by {_name(event.proposer)}: {safe_line(event.title)}"
        case ev.Screened():
            lines = sum(max(f.added, 0) + max(f.removed, 0) for f in event.files)
            marks = f", {len(event.marks)} marked for a human" if event.marks else ""
            return f"screened: {len(event.files)} files, {lines} lines{marks}"
        case ev.Applied():
            return f"applied on {_short(event.base)} as {_short(event.commit)}"
        case ev.Rebased():
            return f"rebased onto {_short(event.base)} as {_short(event.commit)}"
        case ev.EvaluationStarted():
            started = f"evaluation {event.attempt} started ({_name(event.executor)})"
            context = event.context
            if context is None:
                return started
            on = f", goes on from {_name(context.continues)}" if context.continues else ""
            return f"{started}, test {context.test}{on}"
        case ev.Requeued():
            return _because("queued again", event.reason)
        case ev.Evaluated():
            return f"evaluated: {_evaluation(event.evaluation)}"
        case _:
            return ""


def _judged(event: ev.CandidateEvent) -> str:
    match event:
        case ev.Accepted():
            return f"accepted: {_verdict(event.verdict)}"
        case ev.Held():
            return f"held for a human: {_verdict(event.verdict)}"
        case ev.Rejected():
            return f"rejected: {_reasons(event.reasons)}"
        case _:
            return ""


def _answered(event: ev.CandidateEvent) -> str:
    match event:
        case ev.Approved():
            return _because(f"approved at {_short(event.commit)}", event.reason)
        case ev.Overridden():
            said = f"approved by override at {_short(event.commit)}, past quorum and freezes"
            return _because(said, event.reason)
        case ev.Endorsed():
            said = f"approved at {_short(event.commit)}, more people are needed"
            return _because(said, event.reason)
        case ev.Denied():
            return _because("denied", event.reason)
        case ev.Expired():
            return "expired: nobody answered in time"
        case ev.Cancelled():
            return _because("cancelled", event.reason)
        case ev.Errored():
            return f"error in {_name(event.room)}: {safe_line(event.reason)}"
        case _:
            return ""


def _landed(event: ev.CandidateEvent) -> str:
    match event:
        case ev.PromotionStarted():
            return (
                f"promoting: {_name(event.branch)} {_short(event.expected_head)} -> "
                f"{_short(event.commit)}"
            )
        case ev.PromotionBlocked():
            return _because("promotion blocked", event.reason)
        case ev.Promoted():
            return (
                f"promoted as version {event.version}: {_name(event.branch)} at "
                f"{_short(event.commit)}"
            )
        case ev.Kept():
            return _because("kept", event.reason)
        case _:
            return ""


def _evaluation(evaluation: Evaluation) -> str:
    fine = (CheckStatus.PASSED, CheckStatus.SKIPPED)
    bad = next((c for c in evaluation.checks if c.status not in fine), None)
    if bad is not None:
        return f"{evaluation.status.value}, {_name(bad.name)}: {safe_line(bad.text)}"
    pairs = sum(len(s.pairs) for s in evaluation.series)
    cause = f" ({safe_line(evaluation.cause)})" if evaluation.cause else ""
    return f"{evaluation.status.value}{cause}, {len(evaluation.checks)} checks, {pairs} pairs"


def _verdict(verdict: Verdict) -> str:
    best = min(
        (
            c
            for c in verdict.comparisons
            if confirmed(c) and c.outcome is Outcome.IMPROVED and c.change is not None
        ),
        key=_worth,
        default=None,
    )
    gain = ""
    if best is not None and best.change is not None:
        shown = safe_line(amount(best.scale, best.unit, best.change), limit=40)
        gain = f"{_name(best.benchmark)} {_name(best.metric)} {shown}; "
    return f"{gain}{_reasons(verdict.reasons)}"


def _worth(c: Comparison) -> tuple[bool, float]:
    """Order gains: fractions first, the largest first; differences have no common measure."""
    change = c.change or 0.0
    return c.scale != Scale.RATIO, -change if c.direction == Direction.HIGHER else change


def _reasons(reasons: tuple[Reason, ...]) -> str:
    if not reasons:
        return "no reason given"
    more = f" (and {len(reasons) - 1} more)" if len(reasons) > 1 else ""
    return f"{safe_line(reasons[0].text or reasons[0].code)}{more}"


def _changes(changes: Mapping[str, ev.Setting]) -> str:
    return safe_line(
        ", ".join(
            f"{key} as in the file" if value is None else f"{key} = {_setting(value)}"
            for key, value in changes.items()
        )
    )


def _setting(value: ev.Setting) -> str:
    return f"[{', '.join(value)}]" if isinstance(value, list) else str(value)


def _because(what: str, reason: str) -> str:
    return f"{what}: {safe_line(reason)}" if reason.strip() else what


def _name(text: str) -> str:
    return safe_line(text, limit=80)


def _names(names: tuple[str, ...]) -> str:
    return safe_line(", ".join(names))


def _short(commit: str) -> str:
    return safe_line(commit[:12]) or "nothing"
