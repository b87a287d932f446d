"""`governor`, `limits set|reset`, `anchor set`: what the engine may do, and who changes it."""

import difflib
import tomllib
from typing import TYPE_CHECKING

import click

from ouroboros.cli.options import Command, Settings, help_if_alone
from ouroboros.errors import InvalidParamsError

if TYPE_CHECKING:
    from ouroboros.cli.terminal import Cell
    from ouroboros.model.events import Setting
    from ouroboros.model.oversight import GovernorStatus, Limit

_REASON = click.option(
    "--reason", required=True, metavar="TEXT", help="Kept in the ledger with your name."
)


@click.command(cls=Command)
@click.option("--all", "everything", is_flag=True, help="All limits, not only those changed.")
@click.pass_obj
def governor_command(settings: Settings, *, everything: bool) -> None:
    """Say what the governor may do now: limits, budgets, anchor, and the total gain as measured."""
    from ouroboros.cli import reach, terminal
    from rpc import wire

    status = reach.call(settings, wire.GovernorStatusGet())
    if settings.json:
        terminal.data(status)
        return
    terminal.fields(settings, _rows(status))
    shown = [x for x in status.limits if everything or x.overridden]
    if shown:
        terminal.line(settings)
        terminal.table(settings, ("LIMIT", "IN FORCE", "THE FILE SAYS"), [_limit(x) for x in shown])
    if not everything:
        terminal.note(settings, "All limits: 'ouroboros governor --all'.", "dim")


def _limit(limit: "Limit") -> "tuple[Cell, ...]":
    value: Cell = written(limit.value)
    if not limit.overridden:
        return limit.key, value, ""
    return limit.key, (written(limit.value), "warn"), written(limit.file)


def written(value: "Setting") -> str:
    """Return a value as it is typed: lists and booleans as in TOML, texts without quotes."""
    if isinstance(value, list):
        return "[" + ", ".join(f'"{item}"' for item in value) + "]"
    if isinstance(value, bool):
        return str(value).lower()
    return "-" if value is None else str(value)


def _rows(s: "GovernorStatus") -> "list[tuple[str, Cell]]":
    from ouroboros.cli.words import plural, short

    changed = sum(x.overridden for x in s.limits)
    note = f", {plural(changed, 'limit')} changed at run time" if changed else ", as in the file"
    return [
        ("mode", s.mode),
        ("policy", f"{short(s.policy)}{note}"),
        ("freeze", _freeze(s)),
        ("people", _people(s)),
        ("promotions", _promotions(s)),
        ("circuit", _circuit(s)),
        ("anchor", _anchor(s)),
        *_total(s),
        ("tests", _tests(s)),
        *_noise(s),
    ]


def _freeze(s: "GovernorStatus") -> "Cell":
    if not s.frozen_until_ns:
        windows = s.value("governor.limits.freeze")
        return f"not now; windows: {written(windows)}" if windows else "none"
    waiting = f"; waiting for it: {', '.join(s.waiting)}" if s.waiting else ""
    return f"until {s.frozen_until}{waiting}", "warn"


def _people(s: "GovernorStatus") -> str:
    globs = s.value("governor.limits.reviewed")
    quorum, reviewed = (s.value(f"governor.limits.{n}quorum") for n in ("", "reviewed_"))
    text = f"held candidates need {quorum} of them"
    return f"{text}, and {reviewed} where they touch {written(globs)}" if globs else text


def _promotions(s: "GovernorStatus") -> str:
    limit, each = (
        s.value(f"governor.limits.promotions_per_{name}") for name in ("day", "proposer")
    )
    by = ", ".join(f"{name} {count} of {each}" for name, count in sorted(s.promotions_of.items()))
    return f"{s.promotions} of {limit} without a human in 24 h" + (f" ({by})" if by else "")


def _circuit(s: "GovernorStatus") -> "Cell":
    c = s.circuit
    counts = f"{c.errors} of {c.max_errors} errors, {c.rollbacks} of {c.max_rollbacks} rollbacks"
    if c.open:
        return f"open: {c.open}", "bad"
    return f"closed: {counts} in a row"


def _anchor(s: "GovernorStatus") -> str:
    from ouroboros.cli.words import age, short

    if s.anchor is None:
        return "none"
    a = s.anchor
    moved = f"{a.reason or 'no reason given'}, by {a.actor} {age(a.ts, s.now_ns)}"
    return f"version {a.version} at {short(a.commit)} ({moved})"


def _total(s: "GovernorStatus") -> "list[tuple[str, Cell]]":
    """Return what head has gained on the anchor: measured, or nothing."""
    from ouroboros.cli.words import age, interval

    if s.standing is None or s.anchor is None or s.standing.anchor != s.anchor.commit:
        return [("total", "not measured against this anchor yet")]
    of = f"version {s.standing.version}, measured {age(s.standing.ts, s.now_ns)}"
    old = "" if s.standing.commit == s.head else "; promoted since then"
    named = [c for c in s.standing.comparisons if c.role == "objective"]
    rows: list[tuple[str, Cell]] = [
        ("total", f"{c.benchmark} {c.metric} {interval(c)} ({of}{old})") for c in named
    ]
    return rows or [("total", f"no objective was measured ({of})")]


def _tests(s: "GovernorStatus") -> str:
    from ouroboros.cli.words import plural

    found = f"{plural(s.tests, 'idea')} tested, {s.discoveries} of them found to be a gain"
    return f"{found}; the next must prove it at the level {s.next_level:.3g}"


def _noise(s: "GovernorStatus") -> "list[tuple[str, Cell]]":
    from ouroboros.cli.words import age, plural

    rows: list[tuple[str, Cell]] = []
    for n in s.noise:
        taken = f"{plural(n.pairs, 'pair')}, {age(n.measured_ns, s.now_ns)}"
        where = n.machine or "this machine"
        text = f"{n.benchmark} {n.metric}: pairs differ by {n.sd:.1%} on {where} ({taken})"
        rows.append(("noise", text))
    return rows


@click.group(invoke_without_command=True)
@click.pass_context
def limits_command(context: click.Context) -> None:
    """Change limits at run time, for candidates that are proposed from then on."""
    help_if_alone(context)


@limits_command.command("set", cls=Command)
@click.argument("changes", metavar="KEY=VALUE...", nargs=-1, required=True)
@_REASON
@click.option("--expect", default="", metavar="HASH", help="Only if this policy is in force.")
@click.pass_obj
def set_limits(settings: Settings, changes: tuple[str, ...], reason: str, expect: str) -> None:
    r"""Set limits; the file stays as it is.

    \b
    KEY is a key of [governor], its tables, or [engine]; what is unambiguous
    is enough ('quorum' for 'governor.limits.quorum'). VALUE is written as in
    the file; texts need no quotes:
      ouroboros limits set mode=supervised 'freeze=["22:00 - 06:00"]' --reason "..."
    """
    _change(settings, dict(map(assignment, changes)), reason, expect)


@limits_command.command("reset", cls=Command)
@click.argument("keys", metavar="KEY...", nargs=-1, required=True)
@_REASON
@click.option("--expect", default="", metavar="HASH", help="Only if this policy is in force.")
@click.pass_obj
def reset_limits(settings: Settings, keys: tuple[str, ...], reason: str, expect: str) -> None:
    """Return limits to what the file says."""
    _change(settings, {full_key(key): None for key in keys}, reason, expect)


def assignment(text: str) -> "tuple[str, Setting]":
    """Return key and value of `KEY=VALUE`.

    Raises:
        InvalidParamsError: there is no `=`, no such key, or several.
    """
    key, equals, value = text.partition("=")
    if not equals:
        raise InvalidParamsError(
            f"Expected KEY=VALUE, got {text!r}.", hint="For instance quorum=2."
        )
    return full_key(key.strip()), value_of(value.strip())


def value_of(text: str) -> "Setting":
    """Return a value as TOML reads it; what is none there is a text without its quotes."""
    try:
        table = tomllib.loads(f"value = {text}")
    except tomllib.TOMLDecodeError:
        return text
    value: Setting = table["value"]
    plain = len(table) == 1 and isinstance(value, str | int | float | list)
    return value if plain else text


def full_key(name: str) -> str:
    """Return the dotted key that a name stands for.

    Raises:
        InvalidParamsError: none, or several.
    """
    from ouroboros.config import live_keys

    keys = live_keys()
    if name in keys or "." in name:
        return name  # an unknown dotted key is the engine's to refuse: it may be newer
    fitting = [key for key in keys if key.rsplit(".", 1)[-1] == name]
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        raise InvalidParamsError(f"{name!r} may be {' or '.join(fitting)}.", hint="Say which.")
    near = difflib.get_close_matches(name, [key.rsplit(".", 1)[-1] for key in keys], n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    raise InvalidParamsError(
        f"{name!r} is no limit that can be changed at run time.{meant}",
        hint="'ouroboros governor --all' lists them.",
    )


def _change(settings: Settings, changes: "dict[str, Setting]", reason: str, expect: str) -> None:
    from ouroboros.cli import reach, terminal
    from ouroboros.cli.words import short
    from rpc import wire

    request = wire.GovernorSetLimits(changes=changes, reason=reason, expect_config=expect)
    result = reach.call(settings, request)
    if settings.json:
        terminal.data(result)
        return
    terminal.line(
        settings, f"Policy {short(result.policy)} is in force (ledger entry {result.seq}).", "good"
    )
    for key, value in changes.items():
        now = "as the file says" if value is None else written(result.overrides.get(key))
        terminal.line(settings, f"  {key}: {now}")
    terminal.note(
        settings,
        "Thresholds apply to candidates proposed from now on; a stricter mode, stricter limits and "
        "freeze windows at once.",
        "dim",
    )


@click.group(invoke_without_command=True)
@click.pass_context
def anchor_command(context: click.Context) -> None:
    """The version against which losses add up; moved by you, or by a proven gain."""
    help_if_alone(context)


@anchor_command.command("set", cls=Command)
@click.argument("ref", metavar="REF")
@_REASON
@click.option("--expect", default="", metavar="COMMIT", help="Only if the anchor stands there.")
@click.pass_obj
def set_anchor(settings: Settings, ref: str, reason: str, expect: str) -> None:
    """Put the anchor at REF: a version's number, a candidate's id, or 'head'."""
    from ouroboros.cli import reach, terminal
    from ouroboros.cli.words import short
    from rpc import wire

    request = wire.GovernorMoveAnchor(ref=ref, reason=reason, expect_anchor=expect)
    anchor = reach.call(settings, request, within_s=reach.LONG_S)
    if settings.json:
        terminal.data(anchor)
        return
    text = f"The anchor stands at version {anchor.version} ({short(anchor.commit)})."
    terminal.line(settings, text, "good")
