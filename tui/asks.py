"""What a person is asked before anything changes, and what is then sent. Pure.

An `Ask` is made at the key press and never changes: the dialog stays bound to the candidate that
was selected then, in the phase and with the commit that was on the screen. `changed(ask, view)`
says in words what has moved since; a dialog whose subject moved cannot be confirmed any more.
"""

import tomllib
from typing import Any

import msgspec

from ouroboros.errors import InvalidParamsError
from ouroboros.model.phase import MOVES, Phase
from ouroboros.model.snapshot import Activity, RollbackPreview
from ouroboros.model.state import Candidate, Version
from ouroboros.model.text import safe_line
from rpc import wire
from tui import words
from tui.keys import by_action
from tui.overview import diffstat
from tui.view import Contact, View, activity, approvals, find, outranks
from tui.words import Glyphs, Line, line


class Choice(msgspec.Struct, frozen=True, kw_only=True):
    """One way of saying yes: what the button says, and which request it sends."""

    label: str
    value: str
    done: str


class Ask(msgspec.Struct, frozen=True, kw_only=True):
    """One question. `typed` is what must be typed before yes is possible (empty: nothing).

    `entry` says what a text field is for (empty: there is none), and `value` is what it holds at
    first; without a reason where one is needed (`needs_reason`), yes is not possible either.
    """

    action: str
    title: str
    lines: tuple[Line, ...]
    choices: tuple[Choice, ...]
    candidate: str = ""
    phase: Phase | None = None
    commit: str = ""
    paused: bool = False
    to: str = ""
    head: str = ""
    typed: str = ""
    blocked: str = ""
    reason: bool = True
    needs_reason: bool = False
    entry: str = ""
    value: str = ""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """The person's yes: which choice, why, and what was entered."""

    choice: Choice
    reason: str = ""
    value: str = ""


# --- what is possible ---------------------------------------------------------------------------


def obstacle(view: View, action: str, *, candidate: Candidate | None, version: int = -1) -> str:
    """Return why an action is not possible now, in words; empty when it is possible."""
    return barred(view, action) or unfit(view, action, candidate=candidate, version=version)


def barred(view: View, action: str) -> str:
    """Return why nothing of this kind is possible now, whatever is selected; or empty."""
    key = by_action(action)
    if key is None or not key.role:
        return ""
    if view.read_only:
        return "This cockpit was started with --read-only."
    if view.contact is not Contact.LIVE:
        return "The engine is not answering; what you see may be old."
    if not outranks(view, key.role):
        return f"This needs the role {key.role}; yours is {safe_line(view.role)}."
    return ""


def unfit(view: View, action: str, *, candidate: Candidate | None, version: int = -1) -> str:
    """Return why what is selected is not fit for an action; or empty."""
    match action:
        case "approve" | "reject" | "override":
            return _not_held(candidate, action)
        case "cancel":
            return _not_cancellable(candidate)
        case "hold":
            return _not_to_be_held(candidate)
        case "retry":
            return _not_over(candidate)
        case "rollback":
            return _no_way_back(view, candidate, version)
        case "trigger":
            return _no_trigger(view)
        case _:
            return ""


def _not_held(candidate: Candidate | None, action: str) -> str:
    if candidate is None:
        return "No candidate is selected."
    if candidate.phase is not Phase.HELD:
        word = words.PHASES[candidate.phase].word
        return f"{safe_line(candidate.id)} is {word}; you can {action} only what is HELD."
    return ""


def _not_cancellable(candidate: Candidate | None) -> str:
    if candidate is None:
        return "No candidate is selected."
    if "cancelled" not in MOVES[candidate.phase]:
        word = words.PHASES[candidate.phase].word
        return f"{safe_line(candidate.id)} is {word}; it cannot be cancelled any more."
    return ""


def _not_to_be_held(candidate: Candidate | None) -> str:
    if candidate is None:
        return "No candidate is selected."
    if candidate.phase not in _ON_ITS_WAY:
        word = words.PHASES[candidate.phase].word
        return f"{safe_line(candidate.id)} is {word}; only what is on its way can be held."
    return "It is to be held already." if candidate.to_be_held else ""


_ON_ITS_WAY = frozenset(
    {Phase.PROPOSED, Phase.SCREENED, Phase.APPLIED, Phase.EVALUATING, Phase.EVALUATED}
    | {Phase.ACCEPTED}
)


def _not_over(candidate: Candidate | None) -> str:
    if candidate is None:
        return "No candidate is selected."
    if candidate.phase not in _OVER:
        word = words.PHASES[candidate.phase].word
        return f"{safe_line(candidate.id)} is {word}; only what is over can be tried again."
    return ""


_OVER = frozenset({Phase.REJECTED, Phase.CANCELLED, Phase.ERRORED, Phase.ROLLED_BACK})


def _no_way_back(view: View, candidate: Candidate | None, version: int) -> str:
    if version >= 0:
        here = view.state.versions[-1].number if view.state.versions else -1
        return f"The branch stands at v{version} already." if version == here else ""
    if candidate is None:
        return "No candidate is selected."
    if candidate.phase not in (Phase.PROMOTED, Phase.KEPT):
        word = words.PHASES[candidate.phase].word
        return f"{safe_line(candidate.id)} is {word}; only what was promoted can be rolled back."
    return ""


def _no_trigger(view: View) -> str:
    if view.state.paused:
        return "The loop is paused; space resumes it."
    return "The engine is halted; see the banner." if activity(view) is Activity.HALTED else ""


def changed(ask: Ask, view: View) -> str:
    """Return what moved since the question was asked, in words; empty when all is as it was."""
    if view.contact is not Contact.LIVE:
        return "The connection to the engine is lost; wait, or cancel."
    if ask.action == "pause" and view.state.paused != ask.paused:
        now = "paused" if view.state.paused else "resumed"
        return f"Meanwhile the loop was {now}. Cancel, and look again."
    if not ask.candidate:
        return ""
    candidate = find(view, ask.candidate)
    name = safe_line(ask.candidate)
    if candidate is None:
        return f"{name} is not known any more. Cancel, and look again."
    if ask.commit and candidate.commit != ask.commit:
        return f"{name} is now another commit, {words.short(candidate.commit)}. Look again."
    if candidate.phase is not ask.phase and ask.action != "cancel":
        return f"{name} is now {words.PHASES[candidate.phase].word}. Cancel, and look again."
    if ask.action == "cancel":
        return _not_cancellable(candidate)
    return ""


# --- the questions ------------------------------------------------------------------------------


def ask_pause(view: View) -> Ask:
    """Pause, or resume."""
    if view.state.paused:
        by = safe_line(view.state.pause_actor) or "somebody"
        why = safe_line(view.state.pause_reason, limit=160)
        return Ask(
            action="pause",
            title="Resume the loop?",
            lines=(line(f"It was paused by {by}" + (f": {why}" if why else ".")),),
            choices=(Choice(label="Resume", value="resume", done="Resumed."),),
            paused=True,
        )
    running = [c.id for c in view.state.candidates.values() if c.phase is Phase.EVALUATING]
    names = safe_line(", ".join(running), limit=60)
    now = f"Pause now also cancels what is being evaluated: {names}." if running else ""
    choices = [Choice(label="Pause", value="after_phase", done="Paused.")]
    if running:
        choices.append(
            Choice(label="Pause now", value="now", done="Paused; evaluations cancelled.")
        )
    return Ask(
        action="pause",
        title="Pause the loop?",
        lines=(
            line("No new cycle starts and nothing is promoted until somebody resumes."),
            line((now, "wait")),
        ),
        choices=tuple(choices),
    )


def ask_trigger(view: View) -> Ask:
    """Start a cycle."""
    return Ask(
        action="trigger",
        title="Start a cycle now?",
        lines=(line(f"Every proposer is asked once. The last cycle was {view.state.cycles}."),),
        choices=(Choice(label="Start", value="trigger", done="Started."),),
        reason=False,
    )


def ask_candidate(view: View, c: Candidate, action: str, glyphs: Glyphs) -> Ask:
    """Approve, reject or cancel the candidate as it is on the screen now."""
    name = safe_line(c.id, limit=12)
    titles = {
        "approve": (
            f"Approve {name}?",
            Choice(label="Approve", value=action, done=_approved(view, c)),
        ),
        "reject": (f"Reject {name}?", Choice(label="Reject", value=action, done="Rejected.")),
        "cancel": (f"Cancel {name}?", Choice(label="Stop it", value=action, done="Cancelled.")),
        "hold": (f"Hold {name}?", Choice(label="Hold", value=action, done="Will be held.")),
        "retry": (f"Try {name} again?", Choice(label="Retry", value=action, done="Proposed.")),
        "override": (
            f"Override for {name}?",
            Choice(label="Promote", value=action, done="Overridden."),
        ),
    }
    title, choice = titles[action]
    return Ask(
        action=action,
        title=title,
        lines=(*_identity(c, glyphs), *_numbers(c, glyphs), *_outcome(view, c, action)),
        choices=(choice,),
        candidate=c.id,
        phase=c.phase,
        commit=c.commit,
        typed=name if action == "override" else "",
        needs_reason=action == "override",
    )


def _identity(c: Candidate, glyphs: Glyphs) -> tuple[Line, ...]:
    return (
        line((safe_line(c.title, limit=160), "strong")),
        line(
            ("commit ", "dim"), (words.short(c.commit), "accent"), f"  {diffstat(c.files, glyphs)}"
        ),
    )


def _numbers(c: Candidate, glyphs: Glyphs) -> tuple[Line, ...]:
    if c.verdict is None:
        return (line(("No verdict yet.", "dim")),)
    numbers = [
        line(
            words.OUTCOMES[m.outcome].span(glyphs, 15),
            (f"{words.change(m):>9} ", "strong"),
            words.limits(m),
            f"  {safe_line(m.metric, limit=10)} {safe_line(m.benchmark, limit=20)}",
            (f" {safe_line(m.stage, limit=10)}", "dim"),
        )
        for m in c.verdict.comparisons[:4]
    ]
    more = len(c.verdict.comparisons) - len(numbers)
    if more > 0:
        numbers.append(line((f"and {more} more, see its overview", "dim")))
    codes = safe_line(", ".join(r.code for r in c.verdict.reasons), limit=120)
    return (*numbers, line(("because ", "dim"), (codes, "info")))


_MEANS = {
    "hold": "Whatever its verdict will be, a human must say yes before it is promoted.",
    "retry": "A new candidate with the same diff; it goes on with the evidence there is.",
    "override": "It is promoted past quorum and freezes. The ledger calls it an override.",
}


def _outcome(view: View, c: Candidate, action: str) -> tuple[Line, ...]:
    if action != "approve":
        return (line((_MEANS[action], "wait")),) if action in _MEANS else ()
    more = _more_people(view, c)
    if more:
        people = "one more person" if more == 1 else f"{more} more people"
        return (line((f"{approvals(view, c)}so far; after yours, {people} must say yes.", "wait")),)
    lines = [line(f"It becomes the head of {safe_line(view.state.branch, limit=40)}.")]
    if c.verdict is not None and not c.verdict.wants_promotion:
        lines.append(line(("The evidence alone does not carry it: this is your call.", "wait")))
    return tuple(lines)


def _more_people(view: View, c: Candidate) -> int:
    """Return how many people must still say yes after this one."""
    needed = view.status.approvals_needed.get(c.id, 1) if view.status is not None else 1
    return max(0, needed - len(c.approvals) - 1)


def _approved(view: View, c: Candidate) -> str:
    more = _more_people(view, c)
    return f"Your yes is written; {more} more needed." if more else "Approved."


def ask_rollback(
    view: View,
    preview: RollbackPreview,
    *,
    candidate: Candidate | None,
    glyphs: Glyphs,
) -> Ask:
    """Roll back to the version of the preview; the short id must be typed."""
    name = f"v{preview.to}" if candidate is None else safe_line(candidate.id, limit=12)
    target = next((v for v in view.state.versions if v.number == preview.to), None)
    return Ask(
        action="rollback",
        title=f"Roll back to v{preview.to}?" if candidate is None else f"Roll back {name}?",
        lines=_rollback_lines(preview, target, candidate, glyphs),
        choices=(Choice(label="Roll back", value="rollback", done="Rolled back."),),
        candidate="" if candidate is None else candidate.id,
        phase=None if candidate is None else candidate.phase,
        to=str(preview.to),
        head=preview.head,
        typed=name,
        blocked=_blocked(preview, candidate),
    )


def _blocked(preview: RollbackPreview, candidate: Candidate | None) -> str:
    if preview.conflict:
        return f"Not possible now: {safe_line(preview.conflict, limit=300)}"
    if candidate is not None and candidate.id not in preview.candidates:
        return f"This would not undo {safe_line(candidate.id)}. Choose a version instead (4)."
    return ""


def _rollback_lines(
    preview: RollbackPreview,
    target: Version | None,
    candidate: Candidate | None,
    glyphs: Glyphs,
) -> tuple[Line, ...]:
    title = safe_line(target.title, limit=100) if target is not None else ""
    undone = ", ".join(f"v{number}" for number in preview.undoes) or "nothing"
    names = safe_line(", ".join(preview.candidates), limit=100)
    lines = [
        line((safe_line(candidate.title, limit=160), "strong"))
        if candidate is not None
        else Line(),
        line(("restores ", "dim"), (f"v{preview.to} ", "accent"), title),
        line(("undoes   ", "dim"), (undone, "wait"), f"  {names}"),
        line(
            ("head     ", "dim"), words.short(preview.head), f"  {diffstat(preview.files, glyphs)}"
        ),
    ]
    lines += [
        line(
            f"   +{f.added} {glyphs.minus}{f.removed}  " if f.added >= 0 else "   binary  ",
            safe_line(f.path, limit=120),
        )
        for f in preview.files[:5]
    ]
    if len(preview.files) > 5:  # noqa: PLR2004 - the dialog must fit 24 rows
        lines.append(line((f"   and {len(preview.files) - 5} more", "dim")))
    lines.append(line("By a new commit; history is not rewritten."))
    return tuple(part for part in lines if part.spans)


_HOURS = (("1 hour", 1), ("8 hours", 8), ("3 days", 72))


def ask_silence(code: str) -> Ask:
    """For how long alerts of a kind are not sent."""
    name = safe_line(code, limit=60)
    return Ask(
        action="silence",
        title="Silence alerts?",
        lines=(
            line("Alerts whose code fits are recorded and shown, but not sent."),
            line(("Critical ones too; it ends by itself.", "wait")),
        ),
        choices=tuple(
            Choice(label=label, value=str(hours), done=f"{name} silenced for {label}.")
            for label, hours in _HOURS
        ),
        entry="code, * fits anything",
        value=name,
    )


def ask_freeze(*, until: str, by: str) -> Ask:
    """For how long nothing is promoted; or that it ends, where somebody (`by`) froze it."""
    if by:
        return Ask(
            action="unfreeze",
            title="End the freeze?",
            lines=(line(f"Set by {safe_line(by, limit=60)}, until {safe_line(until)}."),),
            choices=(Choice(label="End it", value="unfreeze", done="The freeze is over."),),
        )
    return Ask(
        action="freeze",
        title="Freeze promotions?",
        lines=(line("Nothing is promoted until then. Evaluations and rollbacks go on."),),
        choices=tuple(
            Choice(label=label, value=str(hours), done=f"Frozen for {label}.")
            for label, hours in _HOURS
        ),
    )


def ask_edit(key: str, value: str, policy: str, source: str) -> Ask:
    """Which value a limit gets; an empty one returns to what the file says."""
    name = safe_line(key, limit=80)
    return Ask(
        action="edit",
        title=f"Change {name}?",
        lines=(
            line(("now  ", "dim"), (safe_line(value, limit=120), "strong"), f"  from {source}"),
            line(("As in ouroboros.toml; empty returns to what the file says.", "dim")),
        ),
        choices=(Choice(label="Change", value="edit", done=f"{name} is changed."),),
        entry="value, as in the file",
        value=safe_line(value, limit=400),
        needs_reason=True,
        candidate="",
        to=key,
        head=policy,
    )


def setting_of(text: str) -> Any:
    """Return a value as TOML reads it; bare words are texts, as a person would type them.

    Raises:
        InvalidParamsError: it is neither.
    """
    text = text.strip()
    if not text:
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        if text[0] in "[{\"'" or "\n" in text:
            raise InvalidParamsError(
                f"Expected a value as in the file, got {safe_line(text, limit=80)!r}."
            ) from None
        return text


# --- what is sent -------------------------------------------------------------------------------


def request_of(ask: Ask, answer: Answer, *, engine_ns: int = 0) -> wire.Request[Any]:
    """Return the request that carries out the answer, bound to what was shown.

    `engine_ns`: the engine's clock now (UTC ns), for what ends after a while.

    Raises:
        InvalidParamsError: what was entered is no value.
    """
    why = answer.reason
    match ask.action:
        case "freeze":
            until = engine_ns + int(answer.choice.value) * words.HOUR
            return wire.GovernorFreeze(until=until, reason=why)
        case "unfreeze":
            return wire.GovernorUnfreeze(reason=why)
        case "silence":
            until = engine_ns + int(answer.choice.value) * words.HOUR
            return wire.AlertSilence(codes=answer.value.strip(), until=until, reason=why)
        case "edit":
            changes = {ask.to: setting_of(answer.value)}
            return wire.GovernorSetLimits(changes=changes, reason=why, expect_config=ask.head)
        case _:
            return _request_of(ask, answer)


def _request_of(ask: Ask, answer: Answer) -> wire.Request[Any]:
    match answer.choice.value:
        case "approve":
            return wire.CandidateApprove(id=ask.candidate, commit=ask.commit, reason=answer.reason)
        case "reject":
            return wire.CandidateReject(id=ask.candidate, reason=answer.reason)
        case "cancel":
            return wire.CandidateCancel(id=ask.candidate, reason=answer.reason)
        case "hold":
            return wire.CandidateHold(id=ask.candidate, reason=answer.reason)
        case "retry":
            return wire.CandidateRetry(id=ask.candidate, reason=answer.reason)
        case "override":
            return wire.CandidatePromoteFull(
                id=ask.candidate, commit=ask.commit, reason=answer.reason
            )
        case "rollback":
            return wire.VersionRollback(to=ask.to, reason=answer.reason, expect_head=ask.head)
        case "trigger":
            return wire.CycleTrigger()
        case "resume":
            return wire.EngineResume(reason=answer.reason)
        case mode:
            return wire.EnginePause(reason=answer.reason, mode=mode)


def preview_request(candidate: Candidate | None, version: int) -> wire.VersionPreview:
    """Return the question to the engine what a rollback would do.

    Undoing a candidate is asked for as "return to the version before its own", which means the
    same to every engine; the answer's `to` is then what is sent.
    """
    if candidate is None:
        return wire.VersionPreview(to=str(version))
    return wire.VersionPreview(to=str(max(0, candidate.version - 1)))
