"""`verdict recompute`: the same answer from the ledger's entries alone, without an engine."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ouroboros.cli.options import Command, Settings, help_if_alone
from ouroboros.errors import InvalidParamsError, NotFoundError

if TYPE_CHECKING:
    from ouroboros.model.oversight import Recomputed

_DIFFERS, _NOT_RECOMPUTABLE = 1, 2


@click.group(invoke_without_command=True)
@click.pass_context
def verdict_command(context: click.Context) -> None:
    """Check verdicts against what they were made of."""
    help_if_alone(context)


@verdict_command.command(cls=Command)
@click.argument("candidate", metavar="[ID]", default="")
@click.option("--all", "everything", is_flag=True, help="All verdicts of the ledger.")
@click.option(
    "--ledger",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="PATH",
    help="This ledger file; its evidence lies in the folder 'evidence' beside it.",
)
@click.pass_obj
def recompute(settings: Settings, candidate: str, file: Path | None, *, everything: bool) -> int:
    r"""Compute verdicts again from the ledger, and compare them bit for bit.

    Reads the state folder only; no engine is asked, and none need run.

    \b
    Exit codes: 0 all are the same, 1 one differs, 2 one cannot be
    recomputed (an older rule, or evidence that is gone) and none differs.
    """
    from ouroboros.cli import terminal
    from rpc import wire

    if bool(candidate) == everything:
        raise InvalidParamsError("Expected an ID or --all, one of the two.")
    verdicts = tuple(_recomputed(settings, candidate, file))
    same = all(v.outcome == "same" for v in verdicts)
    if settings.json:
        terminal.data(wire.RecomputeResult(same=same, verdicts=verdicts))
    else:
        _print(settings, verdicts)
    outcomes = {v.outcome for v in verdicts}
    return _DIFFERS if "differs" in outcomes else 0 if same else _NOT_RECOMPUTABLE


def _recomputed(settings: Settings, candidate: str, file: Path | None) -> "Iterator[Recomputed]":
    from ouroboros.cli import reach, terminal
    from ouroboros.governor.recompute import Recomputation
    from ouroboros.ledger.evidence import Evidence
    from ouroboros.ledger.store import Store

    if file is None and settings.socket is not None:
        raise InvalidParamsError(
            "A verdict is recomputed from the ledger file, which a socket does not lead to.",
            hint="Use --repo or --ledger, or ask that engine: 'ouroboros call governor.recompute'.",
        )
    place = file or reach.locate(settings).ledger
    again = Recomputation(Evidence(place.parent / "evidence").get, candidate=candidate)
    found = 0
    with Store.open(place, read_only=True) as store, terminal.progress("recomputing") as report:
        size = store.head().size
        for stored in store.entries():
            if report is not None:
                report(stored.entry.seq, size)
            verdict = again.take(stored)
            if verdict is not None:
                found += 1
                yield verdict
    if not candidate or found:
        return
    if candidate not in again.state.candidates:
        raise NotFoundError(
            f"{place} has no candidate {candidate!r}.", hint="'ouroboros ledger list' shows some."
        )
    phase = again.state.candidates[candidate].phase.value
    raise NotFoundError(f"{candidate} has no verdict in {place}; it is {phase}.")


_STYLES = {"same": "good", "differs": "bad"}


def _print(settings: Settings, verdicts: "tuple[Recomputed, ...]") -> None:
    from ouroboros.cli import terminal
    from ouroboros.cli.words import plural

    if not verdicts:
        terminal.note(settings, "No verdicts yet.")
        return
    rows = [
        (
            str(v.seq),
            v.candidate,
            v.rule,
            (v.outcome.replace("_", " "), _STYLES.get(v.outcome, "warn")),
            ": ".join(filter(None, (v.field, v.text))),
        )
        for v in verdicts
    ]
    terminal.table(settings, ("ENTRY", "ID", "RULE", "RECOMPUTED", "WHY"), rows, right=(0,))
    counts = Counter(v.outcome.replace("_", " ") for v in verdicts)
    text = ", ".join(f"{count} {outcome}" for outcome, count in counts.items())
    terminal.line(settings, f"{plural(len(verdicts), 'verdict')}: {text}.")
