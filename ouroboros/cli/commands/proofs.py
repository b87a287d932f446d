"""`ledger heads|key|prove|consistency`: what an auditor takes with him."""

from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import click

from ouroboros.cli.options import Command, Settings
from ouroboros.errors import NotFoundError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ouroboros.ledger.store import Store
    from rpc.wire import Request

R = TypeVar("R")

_FILE = click.option(
    "--file",
    "--ledger",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="Read this ledger file, without asking an engine.",
)
_SIZE = click.option(
    "--size",
    default=0,
    type=click.IntRange(min=0),
    metavar="N",
    help="By the signed head of N entries (default: the newest).",
)
_DER = bytes.fromhex("302a300506032b6570032100")
"""What stands before the 32 bytes of an Ed25519 key in a SubjectPublicKeyInfo (RFC 8410)."""


def _answer(
    settings: Settings,
    file: Path | None,
    request: "Request[R]",
    offline: "Callable[[Store, Path], R]",
) -> R:
    """Ask the engine, or read the file where there is none or one is named."""
    from ouroboros.cli import reach
    from ouroboros.cli.commands.ledger import offline_file, opened

    place = offline_file(settings, file)
    if place is None:
        return reach.call(settings, request)
    with opened(place) as store:
        return offline(store, place)


@click.command("heads", cls=Command)
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 1000))
@click.option("--before", default=0, metavar="SIZE", help="Only heads of fewer entries.")
@click.option("--notes", is_flag=True, help="Print the signed notes themselves.")
@_FILE
@click.pass_obj
def heads_command(
    settings: Settings, *, limit: int, before: int, notes: bool, file: Path | None
) -> None:
    """List signed heads, newest first. Keep one elsewhere: it proves everything before it."""
    import time

    from ouroboros.cli import terminal
    from ouroboros.cli.words import age
    from ouroboros.ledger import proofs
    from ouroboros.ledger.heads import verifier_of
    from rpc import wire

    request = wire.LedgerHeads(limit=limit, before=before)
    page = _answer(
        settings,
        file,
        request,
        lambda store, place: proofs.heads(
            store, key=str(verifier_of(place.parent) or ""), before=before, limit=limit
        ),
    )
    if settings.json:
        terminal.data(page)
    elif notes:
        for head in page.heads:
            terminal.line(settings, head.note)
    elif not page.heads:
        terminal.note(settings, "No head is signed yet.")
    else:
        now = time.time_ns()
        rows = [(str(h.size), age(h.ts, now), h.note.split("\n")[2]) for h in page.heads]
        terminal.table(settings, ("ENTRIES", "AGE", "ROOT"), rows, right=(0,))
        if page.next:
            more = f"More: 'ouroboros ledger heads --before {page.next}'."
            terminal.note(settings, more, "dim")


@click.command("key", cls=Command)
@click.option("--pem", is_flag=True, help="As a PEM public key, for openssl.")
@click.option(
    "--file",
    "--ledger",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="The ledger file beside which the key lies.",
)
@click.pass_obj
def key_command(settings: Settings, *, pem: bool, file: Path | None) -> None:
    """Print the verifier key of the signed heads: hand it out once, by a way that you trust."""
    from ouroboros.cli import reach, terminal
    from ouroboros.cli.results import Key
    from ouroboros.ledger.heads import verifier_of

    state = file.parent if file is not None else reach.locate(settings).state
    key = verifier_of(state)
    if key is None:
        raise NotFoundError(
            f"There is no verifier key in {state}.", hint="The engine makes it at its first start."
        )
    wrapped = b64encode(_DER + key.public).decode()
    text = f"-----BEGIN PUBLIC KEY-----\n{wrapped}\n-----END PUBLIC KEY-----"
    if settings.json:
        terminal.data(Key(vkey=str(key), pem=text))
    else:
        terminal.line(settings, text if pem else str(key))


@click.command("prove", cls=Command)
@click.argument("seq", type=click.IntRange(min=1))
@_SIZE
@_FILE
@click.pass_obj
def prove_command(settings: Settings, seq: int, *, size: int, file: Path | None) -> None:
    """Print the proof that entry SEQ is in the record, as JSON for 'scripts/verify-proof'."""
    from ouroboros.cli import terminal
    from ouroboros.ledger import proofs
    from rpc import wire

    request = wire.LedgerProve(seq=seq, size=size)
    terminal.data(_answer(settings, file, request, lambda store, _: proofs.prove(store, seq, size)))


@click.command("consistency", cls=Command)
@click.argument("from_size", metavar="FROM", type=click.IntRange(min=1))
@_SIZE
@_FILE
@click.pass_obj
def consistency_command(
    settings: Settings, from_size: int, *, size: int, file: Path | None
) -> None:
    """Print the proof that the first FROM entries are the beginning of a head's, as JSON."""
    from ouroboros.cli import terminal
    from ouroboros.ledger import proofs
    from rpc import wire

    request = wire.LedgerConsistency(from_size=from_size, size=size)
    terminal.data(
        _answer(
            settings, file, request, lambda store, _: proofs.consistency(store, from_size, size)
        )
    )
