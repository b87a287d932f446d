"""`candidates`, `show`, `explain`, `diff`: looking at candidates."""

import sys
from typing import TYPE_CHECKING

import click

from ouroboros.cli.options import Command, Settings
from ouroboros.errors import InvalidParamsError

if TYPE_CHECKING:
    from ouroboros.model.state import Candidate
    from rpc.client import Client
    from rpc.wire import DiffResult


@click.command(cls=Command)
@click.option(
    "--phase",
    "phases",
    multiple=True,
    metavar="PHASE",
    help="Only candidates in this phase (held, rejected, promoted, ...); may be repeated.",
)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 500))
@click.option("--cursor", default="", metavar="TEXT", help="Go on where the last page ended.")
@click.pass_obj
def candidates_command(
    settings: Settings, phases: tuple[str, ...], limit: int, cursor: str
) -> None:
    """List candidates, newest first."""
    import time

    from ouroboros.cli import reach, shown, terminal
    from rpc import wire

    shown.check_phases(phases)
    page = reach.call(settings, wire.CandidateList(phases=phases, limit=limit, cursor=cursor))
    if settings.json:
        terminal.data(page)
        return
    if not page.candidates:
        terminal.note(settings, "No candidates yet." if not phases else "No such candidates.")
        return
    now = time.time_ns()
    rows = [shown.candidate_row(c, now) for c in page.candidates]
    terminal.table(settings, ("ID", "PHASE", "AGE", "CHANGE", "PROPOSER", "TITLE"), rows)
    if page.next:
        terminal.note(settings, f"More: 'ouroboros candidates --cursor {page.next}'.", "dim")


@click.command(cls=Command)
@click.argument("candidate", metavar="ID")
@click.pass_obj
def show_command(settings: Settings, candidate: str) -> None:
    """Show one candidate: phase, checks, measurements, verdict."""
    import time

    from ouroboros.cli import reach, shown, terminal
    from rpc import wire

    found = reach.call(settings, wire.CandidateGet(id=candidate))
    if settings.json:
        terminal.data(found)
        return
    shown.print_candidate(settings, found, time.time_ns())
    _next_step(settings, found)


def _next_step(settings: Settings, found: "Candidate") -> None:
    from ouroboros.cli import terminal
    from ouroboros.model.phase import Phase

    if found.phase is Phase.HELD:
        text = f"Waiting for you: 'ouroboros diff {found.id}', then approve or reject it."
        terminal.note(settings, text, "warn")


@click.command(cls=Command)
@click.argument("candidate", metavar="ID")
@click.pass_obj
def explain_command(settings: Settings, candidate: str) -> None:
    """Say in words why a candidate was accepted, held or rejected."""
    from ouroboros.cli import reach, terminal
    from rpc import wire

    explanation = reach.call(settings, wire.GovernorExplain(id=candidate))
    if settings.json:
        terminal.data(explanation)
        return
    terminal.line(settings, explanation.headline, "bold")
    for text in explanation.lines:
        terminal.line(settings, f"  {text}")
    for passage in explanation.passages:
        terminal.line(settings)
        terminal.line(settings, passage.title, "bold")
        for text in passage.lines:
            terminal.line(settings, f"  {text}")


@click.command(cls=Command)
@click.argument("candidate", metavar="ID")
@click.argument("other", metavar="[VERSION]", required=False)
@click.option("--stat", is_flag=True, help="Only the list of files.")
@click.option("--raw", is_flag=True, help="The exact text, for 'git apply'; never to a terminal.")
@click.pass_obj
def diff_command(
    settings: Settings, candidate: str, other: str | None, *, stat: bool, raw: bool
) -> None:
    """Print a candidate's diff, coloured on a terminal, with hidden characters made visible.

    With two versions (numbers, 'last', 'anchor' or candidates): what lies between them.
    """
    from ouroboros.cli import reach, shown, terminal

    if raw and sys.stdout.isatty():
        raise InvalidParamsError(
            "The exact text of a diff may hold characters that steer a terminal.",
            hint=f"Send it to a file: 'ouroboros diff --raw {candidate} > change.diff'.",
        )

    async def talk(client: "Client") -> "DiffResult":
        return await _whole_diff(client, candidate, other, raw=raw)

    result = reach.converse(settings, talk)
    if settings.json:
        terminal.data(result)
    elif stat:
        shown.print_diffstat(settings, result.files)
    elif raw:
        sys.stdout.flush()
        sys.stdout.buffer.write(result.text.encode())
    else:
        shown.print_diff(settings, result.text)


async def _whole_diff(
    client: "Client", candidate: str, other: str | None, *, raw: bool
) -> "DiffResult":
    """Fetch all pages of a diff as one."""
    from msgspec.structs import replace

    from ouroboros.cli import reach
    from rpc import wire

    def request(offset: int) -> "wire.CandidateDiff | wire.VersionDiff":
        if other is not None:
            return wire.VersionDiff(old=candidate, new=other, offset=offset, raw=raw)
        return wire.CandidateDiff(id=candidate, offset=offset, raw=raw)

    first = await reach.ask(client, request(0))
    parts, got = [first.text], len(first.text)
    while got < first.total:
        page = await reach.ask(client, request(got))
        if not page.text:
            break
        parts.append(page.text)
        got += len(page.text)
    return replace(first, text="".join(parts))
