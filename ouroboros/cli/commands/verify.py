"""`ledger verify`: the auditor's command. It reads a file and asks no engine."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ouroboros.cli.options import Command, Settings
from ouroboros.errors import HeadError, LedgerError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ouroboros.cli.anchors import Outside
    from ouroboros.ledger.audit import Audit, Wanted
    from ouroboros.ledger.note import VerifierKey

_STYLES = {"corrupt": "bad", "forked": "bad", "unverifiable": "warn"}


@click.command("verify", cls=Command)
@click.option(
    "--file",
    "--ledger",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="The ledger file, or a copy of one (default: the target's).",
)
@click.option(
    "--against",
    multiple=True,
    metavar="ANCHOR",
    help="A head from outside: git:REPO[@REV], a file of heads, the text of one, or '-'.",
)
@click.option(
    "--since", default="", metavar="HEAD", help="Trust this head; read only what follows it."
)
@click.option(
    "--key",
    default="",
    metavar="VKEY",
    help="The verifier key, or a file with it (default: head.vkey beside the ledger).",
)
@click.option(
    "--evidence",
    is_flag=False,
    flag_value=".",
    default="",
    metavar="[FOLDER]",
    help="Also check that the evidence is whole (default folder: evidence beside the ledger).",
)
@click.option(
    "--operators",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Allowed signers, to check operators' signatures (default: the target's [ledger]).",
)
@click.option("--jobs", type=click.IntRange(1, 64), metavar="N", help="Processes (default: cores).")
@click.pass_obj
def verify_command(
    settings: Settings,
    *,
    file: Path | None,
    against: tuple[str, ...],
    since: str,
    key: str,
    evidence: str,
    operators: Path | None,
    jobs: int | None,
) -> int:
    """Verify the record: chain, Merkle tree, signed heads, signatures. Needs no engine.

    \b
    Exit codes: 0 whole; 1 corrupt: the file contradicts itself;
    2 forked: cut off or rewritten, as a signed head or anchor shows;
    3 unverifiable: a signature is missing, wrong, or by an unknown key.
    Any other code: nothing was verified.
    """  # noqa: D301 - \b is for click
    from ouroboros.cli import reach, terminal
    from ouroboros.ledger.audit import Wanted, audit, origin_in

    if file is None and settings.socket is not None:
        raise LedgerError(
            "A verification reads the ledger file, which a socket does not lead to.",
            hint="Run it on the engine's machine with --repo or --ledger; to have the engine vouch "
            "for itself, 'ouroboros call ledger.verify'.",
        )
    place = file or reach.locate(settings).ledger
    verifier = _key(key, place)
    origin = origin_in(place)
    outside = [_outside(given, origin, verifier) for given in against]
    trusted = _outside(since, origin, verifier) if since else None
    wanted = Wanted(
        key=verifier,
        anchors=tuple(a for found in outside for a in found.anchors),
        since=max(trusted.anchors, key=lambda a: a.size) if trusted and trusted.anchors else None,
        evidence=_folder(evidence, place),
        operators=_operators(settings, operators, file),
        jobs=jobs or os.cpu_count() or 1,
        problems=tuple(p for found in [*outside, *filter(None, [trusted])] for p in found.problems),
    )
    if trusted is not None and wanted.since is None:
        raise HeadError(
            f"--since gives no head to start from: {trusted.problems[0].text}",
            hint="Give a head of this ledger that you kept.",
        )
    with terminal.progress("verifying") as report:
        found = audit(place, wanted, report)
    if settings.json:
        terminal.data(found)
    else:
        _print(settings, found, wanted)
    return found.exit_code


def _outside(given: str, origin: str, key: "VerifierKey | None") -> "Outside":
    from ouroboros.cli import anchors

    return anchors.read(given, origin=origin, key=key)


def _key(given: str, place: Path) -> "VerifierKey | None":
    from ouroboros.ledger import heads, note

    if not given:
        return heads.verifier_of(place.parent)
    path = Path(given)
    try:
        text = path.read_text() if "+" not in given or path.exists() else given
    except (OSError, UnicodeDecodeError) as error:
        raise HeadError(f"The key {given} cannot be read: {error}.") from error
    return note.parse_verifier(text)


def _folder(given: str, place: Path) -> Path | None:
    if not given:
        return None
    return place.parent / "evidence" if given == "." else Path(given)


def _operators(settings: Settings, given: Path | None, file: Path | None) -> "Mapping[str, bytes]":
    """Return who may sign: from a file, or from the target's configuration where it is asked for.

    Raises:
        SignatureError: the file cannot be used.
    """
    from ouroboros.cli import reach
    from ouroboros.config import FILE_NAME, Ledger, load
    from ouroboros.ledger.operators import known

    if given is not None:
        return known(Ledger(allowed_signers=str(given)))
    if file is not None:
        return {}  # a copy, perhaps of another target
    path = reach.locate(settings).root / FILE_NAME
    return known(load(path).config.ledger) if path.exists() else {}


def _print(settings: Settings, found: "Audit", wanted: "Wanted") -> None:
    from ouroboros.cli import terminal
    from ouroboros.cli.words import plural

    for problem in found.problems:
        where = f", byte {problem.byte}" if problem.byte >= 0 else ""
        at = f" at entry {problem.seq}{where}" if problem.seq else ""
        text = f"{problem.kind.value.upper()}{at} ({problem.code}): {problem.text}"
        terminal.line(settings, text, _STYLES[problem.kind.value])
    more = found.problems_total - len(found.problems)
    if more:
        terminal.line(settings, f"... and {plural(more, 'more problem')}.")
    if found.ok:
        good = f"The ledger is whole: {plural(found.entries, 'entry')}, head {found.hash}."
        terminal.line(settings, good, "good")
    else:
        kept = "Keep a copy of the file as evidence, and compare it with a backup or an export."
        good_part = plural(found.size, "entry")
        terminal.note(settings, f"Whole and linked in itself: the first {good_part}. {kept}")
    signed = "checked" if found.signatures_checked else "not checked: give --operators"
    rows = [
        ("ledger", found.origin or "(its first entry names no target)"),
        ("root", found.root),
        ("heads", f"{found.heads} stored, key {wanted.key or 'unknown: give --key'}"),
        ("anchors", str(found.anchors) if wanted.anchors or found.anchors else ""),
        ("signatures", f"{found.signatures} of operators, {signed}" if found.signatures else ""),
        ("evidence", f"{plural(found.evidence, 'file')} looked at" if wanted.evidence else ""),
    ]
    terminal.fields(settings, [(name, text) for name, text in rows])
    for said in found.notes[:10]:
        terminal.note(settings, f"note: {said.text}", "dim")
    if found.notes_total > 10:  # noqa: PLR2004 - enough to see
        terminal.note(settings, f"... {found.notes_total - 10} more notes (--json).", "dim")
