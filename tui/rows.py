"""Rows for the tables and cells for the header, from a `View`. Pure.

All foreign text passes `safe_line` here (and once more where it is painted).
"""

from collections.abc import Mapping

import msgspec

from ouroboros.model.phase import Phase
from ouroboros.model.snapshot import Activity, EngineStatus
from ouroboros.model.state import Alert, Candidate, Version
from ouroboros.model.text import safe_line
from tui import words
from tui.keys import Key, Where
from tui.view import (
    Contact,
    LedgerLine,
    View,
    activity,
    approvals,
    engine_now,
    headline,
    ordered,
    waiting,
)
from tui.words import Glyphs, Line, Word, line


class Row(msgspec.Struct, frozen=True):
    """One row of a table; `key` stays the same while its cells change."""

    key: str
    cells: tuple[Line, ...]


class Column(msgspec.Struct, frozen=True):
    """A column: its head and width in cells; width 0 takes what is left."""

    head: str
    width: int = 0


class Crumb(msgspec.Struct, frozen=True):
    """A piece of the strip of views; `action` is what a click on it does (empty: nothing)."""

    text: str
    role: str = ""
    action: str = ""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The cells of the two header lines, and a banner that is empty when all is well."""

    target: Line
    contact: Line
    activity: Line
    cycle: Line
    next: Line
    held: Line
    version: Line
    banner: Line


WIDE = 100
"""From this width on, tables show bounds with decimals."""

_ACTIVITY = {
    Activity.IDLE: Word("IDLE", "todo", "good"),
    Activity.WORKING: Word("WORKING", "busy", "busy"),
    Activity.PAUSED: Word("PAUSED", "wait", "wait"),
    Activity.DRAINING: Word("DRAINING", "stop", "wait"),
    Activity.HALTED: Word("HALTED", "stop", "bad"),
}


# --- the strip of views -------------------------------------------------------------------------

_BRIEF = {Where.CANDIDATE: "Cand", Where.VERSIONS: "Vers", Where.METRICS: "Metr"}
_BRIEF |= {Where.GOVERNOR: "Gov", Where.CONFIG: "Conf"}


def crumbs(
    view: View, here: Where, trail: tuple[str, ...], width: int, table: tuple[Key, ...]
) -> tuple[Crumb, ...]:
    """Return the views and where one is, in the longest form that fits.

    `trail` are the steps below the view: a candidate, its diff. They are always shown.
    """
    waits, alarms = len(waiting(view)), unseen(view)
    badges = {
        Where.INBOX: f"({waits})" if waits else "",
        Where.ALERTS: f"({alarms})" * (alarms > 0),
    }
    tail = "".join(f" > {safe_line(step, limit=24)}" for step in trail)
    made: tuple[Crumb, ...] = ()
    for form in range(3):
        made = tuple(
            _crumb(key, here, badges.get(where, ""), form)
            for key in table
            if key.action.startswith("view(")
            for where in (Where(key.name),)
        )
        if sum(len(c.text) for c in made) + len(tail) <= width:
            break
    return (*made, Crumb(tail, "strong")) if tail else made


def _crumb(key: Key, here: Where, badge: str, form: int) -> Crumb:
    where = Where(key.name)
    word = key.label if form == 0 else _BRIEF.get(where, key.label)
    if form == 2 and where is not here:  # noqa: PLR2004 - the third form
        word = ""
    role = "tab-on" if where is here else "wait" if badge else "tab"
    gap = " " if form == 0 and word else ""
    return Crumb(f" {key.shown}{gap}{word}{badge}" + " " * (form != 1), role, key.action)


def unseen(view: View) -> int:
    """How many alerts nobody has acknowledged."""
    return sum(not alert.acked_by for alert in view.state.alerts)


# --- header -------------------------------------------------------------------------------------


def header(view: View, now_ns: int, glyphs: Glyphs, *, playing: str = "") -> Header:
    """Return everything that is said about the engine as a whole; `playing`: of a replay."""
    return Header(
        target=_target(view, glyphs),
        contact=contact(view, now_ns, glyphs),
        activity=_doing(view, glyphs),
        cycle=_cycle(view),
        next=next_cycle(view, now_ns),
        held=_held(view, glyphs),
        version=_version(view),
        banner=line((playing, "banner-info")) if playing else banner(view),
    )


def _target(view: View, glyphs: Glyphs) -> Line:
    if not view.attached:
        return line((f"{glyphs.ring} ouroboros", "accent"))
    state = view.state
    # The status knows a mode that was changed at run time; the ledger's is that of the start.
    mode = view.status.mode if view.status is not None else state.mode
    return line(
        (f"{glyphs.ring} ", "accent"),
        (_project(state.target), "strong"),
        (f" {safe_line(state.branch, limit=24)}", ""),
        (f" {glyphs.bar} ", "dim"),
        (safe_line(mode, limit=20), _mode_role(mode)),
    )


def _project(target: str) -> str:
    """The target's id without the hash that tells two clones apart."""
    name, _, tail = safe_line(target, limit=40).rpartition("-")
    return name if name and len(tail) == 12 else safe_line(target, limit=40)  # noqa: PLR2004 - see ouroboros.paths.target_id


def _mode_role(mode: str) -> str:
    return "wait" if mode == "autonomous" else "info"


def _person(view: View, glyphs: Glyphs) -> Line:
    """Who the engine takes us for, and what that lets us do."""
    if not view.attached:
        return Line()
    role = "read-only" if view.read_only else safe_line(view.role, limit=10)
    return line(
        (f" {glyphs.bar} ", "dim"), (safe_line(view.actor, limit=20), "dim"), (f" {role}", "info")
    )


def contact(view: View, now_ns: int, glyphs: Glyphs) -> Line:
    """Whether the engine is heard, and as whom; when not, for how long, and when we try again."""
    return line(*_heard(view, now_ns, glyphs).spans, *_person(view, glyphs).spans)


def _heard(view: View, now_ns: int, glyphs: Glyphs) -> Line:
    if view.contact is Contact.LIVE:
        return line((f"{glyphs.live} live", "good"))
    if view.contact is Contact.CONNECTING:
        return line((f"{glyphs.stale} connecting", "wait"))
    since = words.clock(now_ns - view.lost_ns)
    left = -(-max(0, view.retry_ns - now_ns) // words.SECOND)
    retry = f"retry in {left} s" if left else "retrying"
    return line((f"{glyphs.stale} STALE {since}, {retry}", "bad"))


def _doing(view: View, glyphs: Glyphs) -> Line:
    if not view.attached:
        return Line()
    span = _ACTIVITY[activity(view)].span(glyphs)
    if view.state.paused and view.state.pause_actor:
        return line(span, (f" by {safe_line(view.state.pause_actor, limit=20)}", "dim"))
    return line(span)


def _cycle(view: View) -> Line:
    cycle = view.state.cycle
    return line((f"cycle {cycle.number}", "")) if cycle is not None else Line()


def next_cycle(view: View, now_ns: int) -> Line:
    """The countdown: the one cell that changes every second."""
    due = view.status.next_cycle_ns if view.status is not None else 0
    if not due or view.contact is not Contact.LIVE:
        return Line()
    if activity(view) in (Activity.PAUSED, Activity.HALTED, Activity.DRAINING):
        return Line()
    return line(("next ", "dim"), words.clock(due - engine_now(view, now_ns)))


def _held(view: View, glyphs: Glyphs) -> Line:
    number = len(waiting(view))
    if not number:
        return line(("nothing held", "dim")) if view.attached else Line()
    return line((f"{glyphs.wait} {number} held for you", "wait"))


def _version(view: View) -> Line:
    if not view.state.versions:
        return Line()
    total = len(view.state.candidates) + view.trimmed
    return line(f"v{view.state.versions[-1].number}", (f" of {total} tried", "dim"))


def banner(view: View) -> Line:
    """What a person must know before he acts, worst first."""
    status = view.status
    if view.contact is Contact.STALE:
        hint = f" {safe_line(view.hint, limit=160)}" if view.hint else ""
        return line((f"{safe_line(view.trouble, limit=200)}{hint}", "banner-bad"))
    if status is not None and status.halt_reason and activity(view) is Activity.HALTED:
        return line((f"HALTED: {safe_line(status.halt_reason, limit=200)}", "banner-bad"))
    if view.state.paused and view.state.pause_reason:
        return line((f"PAUSED: {safe_line(view.state.pause_reason, limit=200)}", "banner-wait"))
    if status is not None and status.frozen_until_ns:
        return line((_frozen(status), "banner-info"))
    if view.read_only:
        return line(("READ-ONLY: you can look, not act", "banner-info"))
    if view.role == "viewer":
        return line(("READ-ONLY: your role on this engine is viewer", "banner-info"))
    return Line()


def _frozen(status: EngineStatus) -> str:
    """Say for how long nothing is promoted, and what waits."""
    left = words.age(status.frozen_until_ns - status.now_ns)
    names = ", ".join(safe_line(name, limit=12) for name in status.waiting[:5])
    return f"FROZEN for {left}" + (f": {names} accepted and waiting" if names else "")


# --- candidates ---------------------------------------------------------------------------------


def candidate_columns(width: int) -> tuple[Column, ...]:
    """The columns of the candidate table for a width in cells."""
    change = 24 if width >= WIDE else 17
    return (
        Column("id", 6),
        Column("phase", 14),
        Column("change", change),
        Column("age", 4),
        Column("title"),
    )


def candidate_rows(
    view: View,
    now_ns: int,
    glyphs: Glyphs,
    *,
    width: int,
    wanted: str = "",
) -> tuple[Row, ...]:
    """Return the rows, those that wait for a human first, then newest first."""
    now = engine_now(view, now_ns)
    rows = (_candidate_row(view, c, now, glyphs, width) for c in ordered(view) if _fits(c, wanted))
    return tuple(rows)


def _fits(candidate: Candidate, wanted: str) -> bool:
    if not wanted:
        return True
    hay = f"{candidate.id} {candidate.phase.value} {candidate.proposer} {candidate.title}"
    return all(word in hay.casefold() for word in wanted.casefold().split())


def _candidate_row(view: View, c: Candidate, now: int, glyphs: Glyphs, width: int) -> Row:
    quiet = c.phase in (Phase.REJECTED, Phase.CANCELLED, Phase.ROLLED_BACK)
    role = "muted" if quiet else ""
    cells = (
        line((safe_line(c.id, limit=12), role or "strong")),
        line(words.PHASES[c.phase].span(glyphs)),
        change_cell(view, c, glyphs, wide=width >= WIDE),
        line((words.age(now - c.since_ns), "dim")),
        line((approvals(view, c), "wait"), (safe_line(c.title), role)),
    )
    return Row(c.id, cells)


def inbox_columns(width: int) -> tuple[Column, ...]:
    """The columns of the inbox for a width in cells."""
    change = 24 if width >= WIDE else 17
    return (
        Column("id", 6),
        Column("waits", 5),
        Column("left", 5),
        Column("change", change),
        Column("why, and title"),
    )


def inbox_rows(
    view: View, now_ns: int, glyphs: Glyphs, *, width: int, wanted: str = ""
) -> tuple[Row, ...]:
    """Return what waits for a human, oldest first, with when it expires."""
    now = engine_now(view, now_ns)
    held = sorted(waiting(view), key=lambda c: (c.since_ns, c.id))
    return tuple(_inbox_row(view, c, now, glyphs, width) for c in held if _fits(c, wanted))


def _inbox_row(view: View, c: Candidate, now: int, glyphs: Glyphs, width: int) -> Row:
    left = words.age(c.expires_ns - now) if c.expires_ns else ""
    why = safe_line(c.reasons[0].code, limit=24) if c.reasons else ""
    cells = (
        line((safe_line(c.id, limit=12), "strong")),
        line((words.age(now - c.since_ns), "wait")),
        line((left, "dim")),
        change_cell(view, c, glyphs, wide=width >= WIDE),
        line((approvals(view, c), "wait"), (f"{why}  ", "info"), safe_line(c.title)),
    )
    return Row(c.id, cells)


def change_cell(view: View, c: Candidate, glyphs: Glyphs, *, wide: bool) -> Line:
    """The number that matters: while it runs, how far; then the change and its bounds."""
    running = view.progress.get(c.id)
    if c.phase is Phase.EVALUATING and running is not None:
        stage = safe_line(running.stage, limit=20).partition(":")[0]
        of = f" {running.done}/{running.total}" if running.total else ""
        return line((f"{stage}{of}{glyphs.ellipsis}", "busy"))
    best = headline(c)
    if best is None:
        return line((safe_line(c.reasons[0].code, limit=24), "muted")) if c.reasons else Line()
    role = words.OUTCOMES[best.outcome].role
    if best.scale != "ratio":
        return line((words.change(best), role))
    if not wide:
        change, span = words.brief(best.change, best.lower, best.upper)
        return line((change, role), (span, "dim"))
    span = words.bounds(best.lower, best.upper)
    return line((words.percent(best.change), role), (f" {span}" if span else "", "dim"))


# --- ledger and versions ------------------------------------------------------------------------


def ledger_columns(width: int) -> tuple[Column, ...]:
    """The columns of the ledger table for a width in cells."""
    actor = (Column("actor", 16),) if width >= WIDE else ()
    return (Column("#", 6), Column("time", 8), *actor, Column("cand.", 6), Column("what"))


def ledger_rows(view: View, *, width: int, wanted: str = "") -> tuple[Row, ...]:
    """Return the rows of the ledger, newest first."""
    return tuple(
        _ledger_row(row, view.utc_offset_s, width) for row in view.ledger if _about(row, wanted)
    )


def _about(row: LedgerLine, wanted: str) -> bool:
    if not wanted:
        return True
    hay = f"{row.seq} {row.kind} {row.actor} {row.candidate} {row.text}".casefold()
    return all(word in hay for word in wanted.casefold().split())


def _ledger_row(row: LedgerLine, offset_s: int, width: int) -> Row:
    actor = (line((safe_line(row.actor, limit=16), "dim")),) if width >= WIDE else ()
    cells = (
        line((str(row.seq), "dim")),
        line((words.time_of_day(row.ts, offset_s) if row.ts else "", "dim")),
        *actor,
        line(safe_line(row.candidate, limit=40)),
        line((safe_line(row.text), _KIND_ROLES.get(row.kind, ""))),
    )
    return Row(str(row.seq), cells)


_KIND_ROLES = {
    "held": "wait",
    "paused": "wait",
    "promoted": "good",
    "kept": "good",
    "accepted": "good",
    "approved": "good",
    "rolled_back": "bad",
    "rollback_started": "bad",
    "errored": "bad",
    "promotion_blocked": "bad",
    "alert_raised": "bad",
}


def version_columns(width: int) -> tuple[Column, ...]:
    """The columns of the version table for a width in cells."""
    commit = (Column("commit", 10),) if width >= 70 else ()  # noqa: PLR2004 - the title needs the rest
    return (
        Column("", 1),
        Column("version", 7),
        Column("age", 4),
        *commit,
        Column("change", 9),
        Column("total", 9),
        Column("cand.", 6),
        Column("title"),
    )


def version_rows(
    view: View,
    now_ns: int,
    glyphs: Glyphs,
    *,
    width: int,
    wanted: str = "",
    marked: int = -1,
    totals: Mapping[str, str] | None = None,
) -> tuple[Row, ...]:
    """Return the versions, newest first; where the branch stands is marked, and what one marked.

    `totals`: the measured gains against the anchor, by commit.
    """
    now = engine_now(view, now_ns)
    newest = view.state.versions[-1].number if view.state.versions else -1
    anchor = view.state.anchor.commit if view.state.anchor is not None else ""
    return tuple(
        _version_row(
            v,
            now,
            width=width,
            sign=_sign(v, newest, marked, glyphs),
            note=" (anchor)" if anchor and v.commit == anchor else "",
            total=(totals or {}).get(v.commit, ""),
        )
        for v in reversed(view.state.versions)
        if _said(wanted, f"v{v.number} {v.candidate} {v.title} {v.commit}")
    )


def _said(wanted: str, hay: str) -> bool:
    return all(word in hay.casefold() for word in wanted.casefold().split())


def _sign(v: Version, newest: int, marked: int, glyphs: Glyphs) -> str:
    if v.number == marked:
        return "="
    return glyphs.here if v.number == newest else ""


def _version_row(v: Version, now: int, *, width: int, sign: str, note: str, total: str) -> Row:
    role = "" if v.active else "muted"
    commit = (line((words.short(v.commit), "dim")),) if width >= 70 else ()  # noqa: PLR2004 - as above
    undone = "" if v.active else " (undone)"
    cells = (
        line((sign, "good")),
        line((f"v{v.number}", role or "strong")),
        line((words.age(now - v.ts), "dim")),
        *commit,
        line((words.percent(v.change) if v.change is not None else "", role or "good")),
        line((total, role or "strong")),
        line((safe_line(v.candidate, limit=12), role)),
        line((f"{safe_line(v.title)}{undone}", role), (note, "info")),
    )
    return Row(f"v{v.number}", cells)


# --- alerts, metrics, configuration -------------------------------------------------------------

_SEVERITIES = {
    "critical": Word("CRITICAL", "bad", "bad"),
    "warning": Word("WARNING", "wait", "wait"),
}
_INFO = Word("INFO", "dot", "info")


def alert_columns(width: int) -> tuple[Column, ...]:
    """The columns of the alerts for a width in cells."""
    who = (Column("seen by", 16),) if width >= WIDE else (Column("seen", 4),)
    return (Column("severity", 10), Column("age", 4), *who, Column("cand.", 6), Column("what"))


def alert_rows(
    view: View, now_ns: int, glyphs: Glyphs, *, width: int, wanted: str = ""
) -> tuple[Row, ...]:
    """Return the alerts, those that nobody has seen first, then newest first."""
    now = engine_now(view, now_ns)
    newest = sorted(view.state.alerts, key=lambda a: (bool(a.acked_by), -a.seq))
    return tuple(
        _alert_row(a, now, glyphs, width)
        for a in newest
        if _said(wanted, f"{a.severity} {a.code} {a.candidate} {a.text}")
    )


def _alert_row(a: Alert, now: int, glyphs: Glyphs, width: int) -> Row:
    seen = safe_line(a.acked_by, limit=16) if width >= WIDE else "yes" if a.acked_by else ""
    role = "muted" if a.acked_by else ""
    word = _SEVERITIES.get(a.severity, _INFO).span(glyphs)
    quiet = (" (not sent)", "dim") if a.silenced else ("", "")
    cells = (
        line((word.text, role or word.role)),
        line((words.age(now - a.ts), "dim")),
        line((seen, "dim")),
        line(safe_line(a.candidate, limit=12)),
        line(
            (f"{safe_line(a.code, limit=30)}  ", role or "info"), (safe_line(a.text), role), quiet
        ),
    )
    return Row(str(a.seq), cells)


def metric_columns(width: int) -> tuple[Column, ...]:
    """The columns of the series for a width in cells."""
    name = max(16, min(30, width - 36))
    return (Column("series", name), Column("now", 10), Column("lately"))


def config_columns(width: int) -> tuple[Column, ...]:
    """The columns of the configuration for a width in cells."""
    key = max(24, min(48, width // 2 - 6))
    return (Column("option", key), Column("value"), Column("from", 8))
