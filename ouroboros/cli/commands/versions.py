"""`versions`, `rollback` and `forward`: what was promoted, the way back, and the way on again."""

import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import click

from ouroboros.cli.commands.answers import SIGN, signature_of
from ouroboros.cli.options import Command, Settings
from ouroboros.errors import CancelledByHumanError, InvalidParamsError, PatchConflictError

if TYPE_CHECKING:
    from ouroboros.cli.terminal import Cell
    from ouroboros.model.snapshot import RollbackPreview
    from ouroboros.model.state import Version


@click.command(cls=Command)
@click.pass_obj
def versions_command(settings: Settings) -> None:
    """List the versions of the target; 0 is how the engine found it."""
    import time

    from ouroboros.cli import reach, terminal
    from rpc import wire

    versions = reach.call(settings, wire.VersionList())
    if settings.json:
        terminal.data(versions)
        return
    now = time.time_ns()
    rows = [_row(v, now) for v in versions]
    heads = ("VERSION", "COMMIT", "AGE", "CANDIDATE", "CHANGE", "IN BRANCH", "TITLE")
    terminal.table(settings, heads, rows, right=(0,))


def _row(v: "Version", now_ns: int) -> "tuple[Cell, ...]":
    from ouroboros.cli.words import age, percent, short

    return (
        str(v.number),
        short(v.commit),
        age(v.ts, now_ns),
        v.candidate or "-",
        percent(v.change) if v.change is not None else "-",
        "yes" if v.active else ("undone", "warn"),
        v.title,
    )


class Way(NamedTuple):
    """The words and requests of one direction."""

    name: str
    verb: str
    does: str
    done: str


BACK = Way("rollback", "Roll back", "undoes", "Rolled back")
FORWARD = Way("forward", "Roll forward", "brings back", "Rolled forward")


def _options(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command TO and the options that both directions have."""
    for add in (
        click.option("--preview", "only_preview", is_flag=True, help="Say what it would do."),
        click.option("--yes", is_flag=True, help="Do it unasked."),
        click.option("--reason", default="", metavar="TEXT", help="Kept in the ledger."),
        click.argument("to", metavar="TO"),
    ):
        command = add(command)
    return command


@click.command(cls=Command)
@_options
@SIGN
@click.pass_obj
def rollback_command(
    settings: Settings, to: str, *, reason: str, sign: str, yes: bool, only_preview: bool
) -> None:
    """Return the target to version TO by a new commit; history is never rewritten.

    TO is a version's number, 'anchor', 'last' (undo the newest promotion) or a candidate's ID
    (undo it and all after it). 'ouroboros forward' brings back what was undone.
    """
    _move(settings, BACK, to, reason, yes=yes, only_preview=only_preview, sign=sign)


@click.command(cls=Command)
@_options
@click.pass_obj
def forward_command(
    settings: Settings, to: str, reason: str, *, yes: bool, only_preview: bool
) -> None:
    """Bring back by a new commit what was rolled back of version TO.

    It is not evaluated again: that is your decision.
    """
    _move(settings, FORWARD, to, reason, yes=yes, only_preview=only_preview)


def _move(
    settings: Settings,
    way: Way,
    to: str,
    reason: str,
    *,
    yes: bool,
    only_preview: bool,
    sign: str = "",
) -> None:
    from ouroboros.cli import reach, terminal
    from rpc import wire

    if not (yes or only_preview or terminal.interactive()):
        raise InvalidParamsError(
            "There is no terminal to ask on, and --yes was not given.",
            hint=f"Look with 'ouroboros {way.name} {to} --preview' first.",
        )

    # Two conversations: while a person thinks, no event loop would answer the engine's pings.
    look = wire.VersionPreview if way is BACK else wire.VersionForwardPreview
    preview = reach.call(settings, look(to=to), within_s=reach.LONG_S)
    if only_preview:
        _print_outcome(settings, way, preview)
        return
    _agree(settings, way, preview, unasked=yes)
    if way is FORWARD:
        request: wire.VersionForward | wire.VersionRollback = wire.VersionForward(
            to=to, reason=reason, expect_head=preview.head
        )
    else:
        statement, armor = signature_of(settings, sign, "rollback", to, preview.head)
        request = wire.VersionRollback(
            to=to,
            reason=reason,
            expect_head=preview.head,
            statement=statement,
            signature=armor,
        )
    _print_outcome(settings, way, reach.call(settings, request, within_s=reach.LONG_S))


def _agree(settings: Settings, way: Way, preview: "RollbackPreview", *, unasked: bool) -> None:
    """Show what would happen and ask.

    Raises:
        PatchConflictError: it cannot be done now.
        CancelledByHumanError: the answer was no.
    """
    from ouroboros.cli import terminal

    goal = f"to version {preview.to}"
    if preview.conflict:
        raise PatchConflictError(
            f"{way.verb} {goal} is not possible now: {preview.conflict}",
            hint="Nothing was changed. 'ouroboros versions' lists the versions.",
        )
    if unasked:
        return
    _print_preview(settings, way, preview, on_stderr=True)
    if not terminal.confirmed(f"{way.verb} {goal}?"):
        raise CancelledByHumanError(f"Not {way.done.lower()}; nothing was changed.")


def _print_preview(
    settings: Settings, way: Way, preview: "RollbackPreview", *, on_stderr: bool
) -> None:
    from ouroboros.cli import shown, terminal
    from ouroboros.cli.words import short

    out = sys.stderr if on_stderr else sys.stdout
    undone = ", ".join(map(str, preview.undoes)) or "nothing"
    rows: list[tuple[str, Cell]] = [
        (f"{way.verb.lower()} to", f"version {preview.to}"),
        (way.does, f"versions {undone}" if preview.undoes else undone),
        ("candidates", ", ".join(preview.candidates)),
        ("head now", short(preview.head)),
        ("conflict", (preview.conflict, "bad")),
    ]
    terminal.fields(settings, rows, out)
    shown.print_diffstat(settings, preview.files, out)


def _print_outcome(settings: Settings, way: Way, result: "RollbackPreview | Version") -> None:
    from ouroboros.cli import shown, terminal
    from ouroboros.cli.words import short
    from ouroboros.model.snapshot import RollbackPreview
    from ouroboros.model.text import safe_line

    if settings.json:
        terminal.data(result)
    elif isinstance(result, RollbackPreview):
        _print_preview(settings, way, result, on_stderr=False)
        if result.diff:
            terminal.line(settings)
            shown.print_diff(settings, result.diff)
    else:
        title = safe_line(result.title)
        text = f"{way.done}: version {result.number} at {short(result.commit)}: {title}."
        terminal.line(settings, text, "good")
