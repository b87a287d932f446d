"""`versions` and `rollback`: what was promoted, and the way back."""

import sys
from typing import TYPE_CHECKING

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


@click.command(cls=Command)
@click.argument("to", metavar="TO")
@click.option("--reason", default="", metavar="TEXT", help="Kept in the ledger.")
@click.option("--yes", is_flag=True, help="Do it unasked.")
@click.option("--preview", "only_preview", is_flag=True, help="Say what it would do, and stop.")
@SIGN
@click.pass_obj
def rollback_command(
    settings: Settings, to: str, *, reason: str, sign: str, yes: bool, only_preview: bool
) -> None:
    """Return the target to version TO by a new commit; history is never rewritten.

    TO is a version's number, 'last' (undo the newest promotion) or a candidate's ID.
    """
    from ouroboros.cli import reach, terminal
    from rpc import wire

    if not (yes or only_preview or terminal.interactive()):
        raise InvalidParamsError(
            "There is no terminal to ask on, and --yes was not given.",
            hint=f"Look with 'ouroboros rollback {to} --preview' first.",
        )

    # Two conversations: while a person thinks, no event loop would answer the engine's pings.
    preview = reach.call(settings, wire.VersionPreview(to=to), within_s=reach.LONG_S)
    if only_preview:
        _print_outcome(settings, preview)
        return
    _agree(settings, preview, unasked=yes)
    statement, armor = signature_of(settings, sign, "rollback", to, preview.head)
    request = wire.VersionRollback(
        to=to,
        reason=reason,
        expect_head=preview.head,
        statement=statement,
        signature=armor,
    )
    _print_outcome(settings, reach.call(settings, request, within_s=reach.LONG_S))


def _agree(settings: Settings, preview: "RollbackPreview", *, unasked: bool) -> None:
    """Show what would happen and ask.

    Raises:
        PatchConflictError: it cannot be done now.
        CancelledByHumanError: the answer was no.
    """
    from ouroboros.cli import terminal

    if preview.conflict:
        raise PatchConflictError(
            f"Rolling back to version {preview.to} is not possible now: {preview.conflict}",
            hint="Nothing was changed. 'ouroboros versions' lists the versions.",
        )
    if unasked:
        return
    _print_preview(settings, preview, on_stderr=True)
    if not terminal.confirmed(f"Roll back to version {preview.to}?"):
        raise CancelledByHumanError("Not rolled back; nothing was changed.")


def _print_preview(settings: Settings, preview: "RollbackPreview", *, on_stderr: bool) -> None:
    from ouroboros.cli import shown, terminal
    from ouroboros.cli.words import short

    out = sys.stderr if on_stderr else sys.stdout
    undone = ", ".join(map(str, preview.undoes)) or "nothing"
    rows: list[tuple[str, Cell]] = [
        ("roll back to", f"version {preview.to}"),
        ("undoes", f"versions {undone}" if preview.undoes else undone),
        ("candidates", ", ".join(preview.candidates)),
        ("head now", short(preview.head)),
        ("conflict", (preview.conflict, "bad")),
    ]
    terminal.fields(settings, rows, out)
    shown.print_diffstat(settings, preview.files, out)


def _print_outcome(settings: Settings, result: "RollbackPreview | Version") -> None:
    from ouroboros.cli import shown, terminal
    from ouroboros.cli.words import short
    from ouroboros.model.snapshot import RollbackPreview
    from ouroboros.model.text import safe_line

    if settings.json:
        terminal.data(result)
    elif isinstance(result, RollbackPreview):
        _print_preview(settings, result, on_stderr=False)
        if result.diff:
            terminal.line(settings)
            shown.print_diff(settings, result.diff)
    else:
        title = safe_line(result.title)
        text = f"Rolled back: version {result.number} at {short(result.commit)}: {title}."
        terminal.line(settings, text, "good")
