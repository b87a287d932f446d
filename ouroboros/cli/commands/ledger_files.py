"""`ledger export|import|salvage`: the record as files. None of them asks an engine."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, cast

import click

from ouroboros.cli.options import Command, Settings
from ouroboros.errors import ConflictError, LedgerError

if TYPE_CHECKING:
    from ouroboros.cli.results import Exported, Salvaged
    from ouroboros.ledger.bundle import Bundled
    from ouroboros.ledger.salvage import Damage
    from ouroboros.ledger.store import Store
    from ouroboros.paths import Paths

_DAMAGED = 13


def _path_option(help_text: str) -> Callable[[Callable[..., object]], Callable[..., object]]:
    return click.option(
        "--file",
        "file",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="PATH",
        help=help_text,
    )


# --- export -------------------------------------------------------------------------------------


@click.command("export", cls=Command)
@click.option(
    "--format",
    "form",
    type=click.Choice(["jsonl", "csv"]),
    default="jsonl",
    show_default=True,
    help="jsonl has the exact bytes and can be imported; csv is for spreadsheets.",
)
@click.option(
    "--since",
    default=1,
    metavar="SEQ",
    type=click.IntRange(min=1),
    help="Only from this entry on.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="Write there (default: stdout).",
)
@click.option("--evidence", is_flag=True, help="Also write PATH.evidence.tar: diffs and logs.")
@click.option("--force", is_flag=True, help="Replace the output file if it is there.")
@_path_option("Read this ledger file, without asking an engine.")
@click.pass_obj
def export(
    settings: Settings,
    *,
    form: str,
    since: int,
    output: Path | None,
    evidence: bool,
    force: bool,
    file: Path | None,
) -> None:
    """Write all entries as JSON lines with their exact bytes, or as CSV.

    A line is {"seq": N, "hash": "...", "entry": <the stored bytes>}; signed heads follow as
    {"head": {...}}. Reads the ledger file, so it works with and without a running engine.
    """
    from ouroboros.cli import reach, terminal

    if file is None and settings.socket is not None:
        raise LedgerError(
            "An export is read from the ledger file, which a socket does not lead to.",
            hint="Run it on the engine's machine with --repo or --file.",
        )
    if evidence and output is None:
        raise click.UsageError("--evidence needs -o PATH: the archive is written beside it.")
    place = file or reach.locate(settings).ledger
    if output is None:
        _export(place, sys.stdout.buffer, form, since)
        sys.stdout.buffer.flush()
        return
    done = _export_to(place, output, form, since, force=force, evidence=evidence)
    if settings.json:
        terminal.data(done)
        return
    terminal.line(settings, f"Exported {done.entries} entries to {output}.")
    if evidence:
        gone = f"; {done.missing} are not there any more" if done.missing else ""
        terminal.line(settings, f"{done.evidence} files to {done.evidence_path}{gone}.")
        for name in done.damaged:
            text = f"Left out, since it does not hold what its name says: {name}"
            terminal.note(settings, text, "bad")


def _export_to(
    place: Path, output: Path, form: str, since: int, *, force: bool, evidence: bool
) -> "Exported":
    from ouroboros.cli.results import Exported

    archive = output.with_name(f"{output.name}.evidence.tar")
    for path in (output, archive) if evidence else (output,):
        if path.exists() and not force:
            raise ConflictError(f"{path} exists already.", hint="Choose another name, or --force.")
    with _written(output) as out:
        count = _export(place, out, form, since)
    if not evidence:
        return Exported(entries=count, path=str(output))
    with _written(archive) as out:
        packed = _pack(place, out, since)
    return Exported(
        entries=count,
        path=str(output),
        evidence_path=str(archive),
        evidence=packed.files,
        missing=len(packed.missing),
        damaged=packed.damaged,
    )


@contextmanager
def _written(output: Path) -> Iterator[BinaryIO]:
    """Give a file that gets its name when the block ends well, and is gone otherwise."""
    import tempfile

    from ouroboros.ledger.files import settle

    try:
        handle, name = tempfile.mkstemp(dir=output.parent, prefix=f".{output.name}.")
        part = Path(name)
        try:
            with os.fdopen(handle, "wb") as out:
                yield out
            settle(part, output)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise LedgerError(f"{output} cannot be written: {error.strerror}.") from error


def _export(place: Path, out: BinaryIO, form: str, since: int) -> int:
    from ouroboros.cli import terminal
    from ouroboros.cli.counting import LineCounter
    from ouroboros.ledger.transfer import write_csv

    with _opened(place) as store, terminal.progress("exporting") as report:
        if report is not None:
            out = cast("BinaryIO", LineCounter(out, store.head().size, report))
        if form == "csv":
            return write_csv(store, out, after=since - 1)
        return store.export_jsonl(out, after=since - 1)


def _pack(place: Path, out: BinaryIO, since: int) -> "Bundled":
    from ouroboros.ledger import bundle
    from ouroboros.ledger.evidence import Evidence
    from ouroboros.ledger.retention import named_by

    folder = place.with_name("evidence")
    with _opened(place) as store:
        return bundle.pack(Evidence(folder), named_by(store, folder, after=since - 1), out)


@contextmanager
def _opened(file: Path) -> Iterator["Store"]:
    from ouroboros.ledger.store import Store

    with Store.open(file, read_only=True) as store:
        yield store


# --- import -------------------------------------------------------------------------------------


@click.command("import", cls=Command)
@click.argument("source", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--into",
    required=True,
    metavar="STATE_DIR",
    type=click.Path(path_type=Path, file_okay=False),
    help="The state folder of the new ledger; made if it is not there.",
)
@click.option(
    "--evidence",
    metavar="TAR",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Also take the diffs and logs of this archive.",
)
@click.pass_obj
def import_file(settings: Settings, *, source: Path, into: Path, evidence: Path | None) -> None:
    """Make a new ledger from a JSON lines export: the same bytes, chain and heads.

    Every line is verified before it is taken; a broken one is named, and nothing is made.
    """
    from ouroboros.cli import terminal
    from ouroboros.cli.results import Imported
    from ouroboros.cli.words import plural
    from ouroboros.ledger import bundle
    from ouroboros.ledger.evidence import Evidence
    from ouroboros.ledger.transfer import import_ledger
    from ouroboros.paths import make_private

    ledger = into / "ledger.sqlite"
    taken = 0
    try:
        with source.open("rb") as lines:
            make_private(into)
            with _free(into):
                if evidence is not None and not ledger.exists():
                    make_private(into / "evidence")
                    with evidence.open("rb") as archive:
                        taken = bundle.unpack(archive, Evidence(into / "evidence"))
                head = import_ledger(lines, ledger)
    except OSError as error:
        where = error.filename or source
        raise LedgerError(f"{where} cannot be used: {error.strerror}.") from error
    if settings.json:
        done = Imported(entries=head.size, head=head.hash, path=str(ledger), evidence=taken)
        terminal.data(done)
        return
    terminal.line(settings, f"Imported {plural(head.size, 'entry')} to {ledger}, head {head.hash}.")
    if evidence is not None:
        terminal.line(settings, f"{plural(taken, 'file')} of evidence.")


@contextmanager
def _free(state: Path) -> Iterator[None]:
    """Hold the engine's lock, so that no engine works on this state folder meanwhile."""
    from ouroboros.engine.lock import EngineLock

    lock = EngineLock(state / "engine.lock")
    try:
        yield
    finally:
        lock.release()


# --- salvage ------------------------------------------------------------------------------------


@click.command("salvage", cls=Command)
@click.option("--reason", default="", help="Why, for the entry that names the break.")
@click.option("--yes", is_flag=True, help="Do it without asking.")
@click.option("--dry-run", is_flag=True, help="Only say what would be kept and lost.")
@click.pass_obj
def salvage(settings: Settings, *, reason: str, yes: bool, dry_run: bool) -> int:
    """Save what is proven of a damaged ledger, and begin a new epoch behind it.

    The damaged files go to quarantine/ in the state folder and are never deleted. Exit code 13 if
    the ledger is damaged and nothing was done about it.
    """
    from ouroboros.cli import reach, terminal
    from ouroboros.cli.results import Salvaged
    from ouroboros.ledger.files import adopt_salvaged
    from ouroboros.ledger.salvage import examine

    paths = reach.locate(settings)
    if not paths.ledger.exists():
        raise LedgerError(f"There is no ledger at {paths.ledger}.", hint="Nothing was done.")
    with _free(paths.state):
        adopt_salvaged(paths.ledger)
        with terminal.progress("verifying") as report:
            damage = examine(paths.ledger, report)
        found = Salvaged(
            done=False,
            first_bad=damage.first_bad,
            problem=damage.problem,
            kept=damage.kept.size,
            lost=damage.lost,
            old_head=damage.old.hash,
        )
        if damage.first_bad == 0:
            return _say(settings, found, "The ledger is whole; nothing to salvage.", 0)
        _explain(settings, damage)
        if dry_run or not (yes or _agreed()):
            text = "Nothing was done. 'ouroboros ledger salvage --yes' does it."
            return _say(settings, found, text, _DAMAGED)
        done = _salvage(paths, damage, reason)
    text = (
        f"Salvaged {damage.kept.size} entries; the damaged files lie in {done.quarantine}. The "
        "engine starts paused: look at its alerts, then resume."
    )
    return _say(settings, done, text, 0)


def _say(settings: Settings, result: object, text: str, code: int) -> int:
    from ouroboros.cli import terminal

    if settings.json:
        terminal.data(result)
    else:
        terminal.line(settings, text)
    return code


def _explain(settings: Settings, damage: "Damage") -> None:
    from ouroboros.cli import terminal
    from ouroboros.cli.words import plural

    terminal.note(settings, f"The ledger is damaged. {damage.problem}", "bad")
    terminal.note(
        settings,
        f"Verified before it: {plural(damage.kept.size, 'entry')}. Behind it, {damage.lost} "
        "would be lost. If you have an export or a backup that goes further, use that instead.",
    )


def _agreed() -> bool:
    from ouroboros.cli import terminal

    return terminal.interactive() and terminal.confirmed("Salvage it?")


def _salvage(paths: "Paths", damage: "Damage", reason: str) -> "Salvaged":
    import time

    from ouroboros.cli.results import Salvaged
    from ouroboros.ledger import salvage as room

    now = time.time_ns()
    name = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now // 10**9))
    folder = room.quarantine(
        paths.ledger, paths.evidence, paths.state / "quarantine" / f"{name}-{now % 10**9:09d}"
    )
    head = room.salvage(
        paths.ledger,
        damage,
        kept_aside=str(folder.relative_to(paths.state)),
        actor=_actor(),
        ts=now,
        reason=reason,
    )
    return Salvaged(
        done=True,
        first_bad=damage.first_bad,
        problem=damage.problem,
        kept=damage.kept.size,
        lost=damage.lost,
        old_head=damage.old.hash,
        quarantine=str(folder),
        head=head.hash,
    )


def _actor() -> str:
    """Who sits at this command line, as the ledger names him."""
    import pwd

    try:
        return f"uid:{pwd.getpwuid(os.getuid()).pw_name}"
    except KeyError:
        return f"uid:{os.getuid()}"


COMMANDS: Iterable[click.Command] = (export, import_file, salvage)
"""What `ouroboros ledger` has of this module."""
