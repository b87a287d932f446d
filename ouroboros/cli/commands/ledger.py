"""`ledger ...`: the record, through the engine or straight from its file.

The file can be read at any time, beside a running engine or without one: that is what makes it a
record and not a service. `verify` and `export` therefore always read it; the others fall back to
the target's own file where no engine runs, and say so. What moves or mends the file itself is in
`ledger_files`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ouroboros.cli.commands import ledger_files as files
from ouroboros.cli.commands import proofs
from ouroboros.cli.commands.verify import verify_command
from ouroboros.cli.options import Command, Settings, help_if_alone
from ouroboros.errors import NotFoundError

if TYPE_CHECKING:
    from ouroboros.ledger.store import Store
    from rpc.wire import LedgerEntry, LedgerList, LedgerPage

_FILE = click.option(
    "--file",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="Read this ledger file, without asking an engine.",
)


@click.group(invoke_without_command=True)
@click.pass_context
def ledger_command(context: click.Context) -> None:
    """Read, verify and export the record of everything that happened."""
    help_if_alone(context)


for _command in (
    verify_command,
    proofs.heads_command,
    proofs.prove_command,
    proofs.consistency_command,
    proofs.key_command,
):
    ledger_command.add_command(_command)


@contextmanager
def opened(file: Path) -> Iterator["Store"]:
    """Open a ledger file for reading."""
    from ouroboros.ledger.store import Store

    store = Store.open(file, read_only=True)
    try:
        yield store
    finally:
        store.close()


def offline_file(settings: Settings, file: Path | None) -> Path | None:
    """Return the file to read, or None to ask the engine."""
    from ouroboros.cli import reach, terminal

    if file is not None or settings.socket is not None or settings.host:
        return file
    paths = reach.locate(settings)
    if reach.is_answering(paths.socket):
        return None
    terminal.note(settings, f"No engine is running; reading {paths.ledger}.", "dim")
    return paths.ledger


@ledger_command.command("list", cls=Command)
@click.option("--limit", default=50, show_default=True, type=click.IntRange(1, 1000))
@click.option("--before", default=0, metavar="SEQ", help="Only entries before this one.")
@click.option("--kind", default="", metavar="KIND", help="Only this kind, for instance 'promoted'.")
@click.option("--candidate", default="", metavar="ID", help="Only about this candidate.")
@_FILE
@click.pass_obj
def list_entries(
    settings: Settings, *, limit: int, before: int, kind: str, candidate: str, file: Path | None
) -> None:
    """List entries, newest first."""
    import time

    from ouroboros.cli import reach, terminal
    from ouroboros.cli.words import age
    from rpc import wire

    request = wire.LedgerList(before=before, limit=limit, kind=kind, candidate=candidate)
    place = offline_file(settings, file)
    page = reach.call(settings, request) if place is None else _page(place, request)
    if settings.json:
        terminal.data(page)
        return
    if not page.rows:
        terminal.note(settings, "No entries.")
        return
    now = time.time_ns()
    rows = [(str(r.seq), age(r.ts, now), r.kind, r.actor, r.text) for r in page.rows]
    terminal.table(settings, ("SEQ", "AGE", "KIND", "ACTOR", "WHAT"), rows, right=(0,))
    if page.next:
        terminal.note(settings, f"More: 'ouroboros ledger list --before {page.next}'.", "dim")


def _page(file: Path, request: "LedgerList") -> "LedgerPage":
    """Return a page of a file, as the engine would."""
    from ouroboros.model.describe import describe, subject
    from rpc import wire

    with opened(file) as store:
        found = store.page(
            before=request.before or None,
            limit=request.limit + 1,
            kind=request.kind or None,
            candidate=request.candidate or None,
        )
    rows = tuple(
        wire.LedgerRow(
            seq=s.entry.seq,
            ts=s.entry.ts,
            kind=s.entry.event.kind,
            actor=s.entry.actor,
            candidate=subject(s.entry.event),
            hash=s.hash,
            text=describe(s.entry.event),
        )
        for s in found[: request.limit]
    )
    return wire.LedgerPage(rows=rows, next=rows[-1].seq if len(found) > request.limit else 0)


@ledger_command.command("get", cls=Command)
@click.argument("seq", type=click.IntRange(min=1))
@_FILE
@click.pass_obj
def get_entry(settings: Settings, seq: int, file: Path | None) -> None:
    """Print one entry: its hash, and the exact bytes that are stored and hashed."""
    from ouroboros.cli import reach, terminal
    from rpc import wire

    place = offline_file(settings, file)
    entry = reach.call(settings, wire.LedgerGet(seq=seq)) if place is None else _entry(place, seq)
    if settings.json:
        terminal.data(entry)
        return
    terminal.fields(settings, [("entry", str(entry.seq)), ("hash", entry.hash)])
    terminal.line(settings, entry.bytes)


def _entry(file: Path, seq: int) -> "LedgerEntry":
    from rpc import wire

    with opened(file) as store:
        for row in store.raw(seq - 1):
            if row.seq == seq:
                text = row.data.decode(errors="replace")
                return wire.LedgerEntry(seq=seq, hash=row.hash, bytes=text)
            break
    raise NotFoundError(f"{file} has no entry {seq}.", hint="'ouroboros ledger list' shows them.")


for _file_command in files.COMMANDS:
    ledger_command.add_command(_file_command)
