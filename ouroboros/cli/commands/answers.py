"""`approve`, `reject`, `cancel`, `propose`, `wait`: a human's or a script's part in it.

An approval is bound to the commit that was looked at: on a terminal that is the one just shown,
in a script the one given with `--commit` (or, with `--yes`, whichever stands now, which says that
nobody looked). Every question defaults to No.
"""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ouroboros.cli.options import Command, Settings
from ouroboros.errors import (
    CancelledByHumanError,
    ConflictError,
    InvalidParamsError,
    WaitTimeoutError,
    WrongPhaseError,
)

if TYPE_CHECKING:
    from ouroboros.model.state import Candidate
    from rpc.client import Client

SHORTEST_HASH = 7
"""Fewest characters of a commit that name it."""

LARGEST_DIFF = 1_000_000
"""Bytes of a diff as JSON; the server takes no larger request than 1 MiB."""

SIGN = click.option(
    "--sign",
    default="",
    metavar="KEYFILE|agent",
    help="Sign it as an operator, with an Ed25519 SSH key.",
)
_REASON = click.option("--reason", default="", metavar="TEXT", help="Kept in the ledger.")


@click.command(cls=Command)
@click.argument("candidate", metavar="ID")
@click.option("--commit", default="", metavar="HASH", help="The commit you looked at.")
@click.option("--yes", is_flag=True, help="Approve whatever commit stands now, unasked.")
@_REASON
@SIGN
@click.pass_obj
def approve_command(
    settings: Settings, candidate: str, *, commit: str, reason: str, sign: str, yes: bool
) -> None:
    """Say yes to a held candidate.

    On a terminal it shows the numbers and the files, and asks. A script gives --commit HASH (as
    printed by 'show') or --yes.
    """
    from ouroboros.cli import reach, terminal
    from rpc import wire

    if not (commit or yes or terminal.interactive()):
        raise InvalidParamsError(
            "There is no terminal to ask on, and neither --commit nor --yes was given.",
            hint=f"Look with 'ouroboros show {candidate}', then give the commit it prints.",
        )

    # Two conversations: while a person thinks, no event loop would answer the engine's pings.
    found = reach.call(settings, wire.CandidateGet(id=candidate))
    seen = _chosen(settings, found, commit, unasked=yes)
    statement, armor = signature_of(settings, sign, "approve", found.id, seen)
    request = wire.CandidateApprove(
        id=found.id, commit=seen, reason=reason, statement=statement, signature=armor
    )
    result = reach.call(settings, request, within_s=reach.LONG_S)
    if settings.json:
        terminal.data(result)
        return
    terminal.line(settings, f"Approved {candidate} (ledger entry {result.seq}).", "good")


def signature_of(
    settings: Settings, how: str, action: str, subject: str, commit: str
) -> tuple[str, str]:
    """Return statement and signature of an act, both empty where it is not to be signed."""
    import time

    from ouroboros.cli import reach, signing
    from rpc import wire

    if not how:
        return "", ""
    status = reach.call(settings, wire.EngineStatusGet())
    signed = signing.signed_act(
        how,
        action=action,
        target=status.target,
        subject=subject,
        commit=commit,
        policy=status.config_hash,
        now=time.time_ns(),
    )
    return signed.statement, signed.armor


def _chosen(settings: Settings, found: "Candidate", commit: str, *, unasked: bool) -> str:
    """Return the commit to approve.

    Raises:
        ConflictError: the candidate has another commit than the one given.
        WrongPhaseError: it is not held.
        CancelledByHumanError: the answer was no.
    """
    from ouroboros.cli import terminal
    from ouroboros.model.phase import Phase

    if found.phase is not Phase.HELD:
        raise WrongPhaseError(
            f"Candidate {found.id} is {found.phase.value}; only a held one can be approved.",
            hint="'ouroboros candidates --phase held' lists those that wait.",
        )
    if commit:
        return _matching(found, commit)
    if not unasked:
        _show_for_approval(settings, found)
        if not terminal.confirmed(f"Approve commit {found.commit[:12]}?"):
            raise CancelledByHumanError("Not approved; nothing was changed.")
    return found.commit


def _matching(found: "Candidate", commit: str) -> str:
    given = commit.lower()
    if len(given) >= SHORTEST_HASH and found.commit.startswith(given):
        return found.commit
    raise ConflictError(
        f"Candidate {found.id} stands at commit {found.commit or '(none)'}, not at {commit}.",
        hint=f"Look at it again with 'ouroboros show {found.id}' and 'ouroboros diff {found.id}'.",
    )


def _show_for_approval(settings: Settings, found: "Candidate") -> None:
    import time

    from ouroboros.cli import shown

    shown.print_candidate(settings, found, time.time_ns(), sys.stderr)
    sys.stderr.write("\n")
    sys.stderr.flush()


@click.command(cls=Command)
@click.argument("candidate", metavar="ID")
@_REASON
@SIGN
@click.pass_obj
def reject_command(settings: Settings, candidate: str, *, reason: str, sign: str) -> None:
    """Say no to a held candidate."""
    from ouroboros.cli import reach, terminal
    from rpc import wire

    commit = reach.call(settings, wire.CandidateGet(id=candidate)).commit if sign else ""
    statement, armor = signature_of(settings, sign, "reject", candidate, commit)
    request = wire.CandidateReject(
        id=candidate, reason=reason, statement=statement, signature=armor
    )
    result = reach.call(settings, request)
    if settings.json:
        terminal.data(result)
        return
    terminal.line(settings, f"Rejected {candidate} (ledger entry {result.seq}).")


@click.command(cls=Command)
@click.argument("candidate", metavar="ID")
@_REASON
@click.pass_obj
def cancel_command(settings: Settings, candidate: str, reason: str) -> None:
    """Stop a candidate, anywhere before its promotion."""
    from ouroboros.cli import reach, terminal
    from rpc import wire

    request = wire.CandidateCancel(id=candidate, reason=reason)
    result = reach.call(settings, request, within_s=reach.LONG_S)
    if settings.json:
        terminal.data(result)
        return
    terminal.line(settings, f"Cancelled {candidate} (ledger entry {result.seq}).")


@click.command(cls=Command)
@click.argument("diff", metavar="FILE.diff", type=click.Path(path_type=Path, allow_dash=True))
@click.option("--title", default="", metavar="TEXT", help="One line about it.")
@click.option("--rationale", default="", metavar="TEXT", help="Why it should help.")
@click.option("--base", default="", metavar="COMMIT", help="What it applies to (default: head).")
@click.option("--wait", "waits", is_flag=True, help="Wait for the outcome, as 'wait' does.")
@click.pass_obj
def propose_command(
    settings: Settings, diff: Path, title: str, rationale: str, base: str, *, waits: bool
) -> int:
    """Propose a change: a unified diff as 'git diff' prints it; '-' reads stdin.

    With --wait the exit codes are those of 'ouroboros wait'.
    """
    from ouroboros.cli import reach, terminal
    from rpc import wire

    text = _read_diff(diff)
    request = wire.CandidateSubmit(
        diff=text, title=title or _title_of(text, diff), rationale=rationale, base=base
    )
    result = reach.call(settings, request)
    if waits:
        terminal.note(settings, f"Proposed as {result.id}; waiting for the outcome.")
        return _wait(settings, result.id, (), None)
    if settings.json:
        terminal.data(result)
    else:
        terminal.line(settings, result.id)
        terminal.note(settings, f"'ouroboros wait {result.id}' waits for the outcome.", "dim")
    return 0


def _read_diff(path: Path) -> str:
    """Return the diff's text.

    Raises:
        InvalidParamsError: unreadable, empty, too large, not UTF-8.
    """
    name = "stdin" if str(path) == "-" else str(path)
    try:
        raw = sys.stdin.buffer.read(LARGEST_DIFF + 1) if name == "stdin" else path.read_bytes()
    except OSError as error:
        raise InvalidParamsError(f"{path} cannot be read: {error.strerror}.") from None
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise InvalidParamsError(f"The diff from {name} is not UTF-8 text: {error}.") from None
    if len(json.dumps(text)) > LARGEST_DIFF:
        raise InvalidParamsError(
            f"The diff from {name} is larger than one request may be (1 MB).",
            hint="Propose smaller changes, one idea each.",
        )
    if not text.strip():
        raise InvalidParamsError(
            f"The diff from {name} is empty.",
            hint="Make one with 'git diff > change.diff'.",
        )
    return text


def _title_of(text: str, path: Path) -> str:
    """Return the subject of a mailed patch, else the file's name, else the first changed file."""
    for line in text.split("\ndiff --git ", 1)[0].splitlines():
        if line.lower().startswith("subject:"):
            return line.split(":", 1)[1].strip().split("] ", 1)[-1] or path.name
    if str(path) != "-":
        return path.stem
    named = [line[6:].strip() for line in text.splitlines() if line.startswith("+++ b/")]
    return f"change {named[0]}" if named else "proposal from stdin"


@click.command(cls=Command)
@click.argument("candidate", metavar="ID")
@click.option("--timeout", type=click.FloatRange(min=0), metavar="SECONDS", help="Give up then.")
@click.option("--until", multiple=True, metavar="PHASE", help="Wait for this phase; repeatable.")
@click.pass_obj
def wait_command(
    settings: Settings, candidate: str, timeout: float | None, until: tuple[str, ...]
) -> int:
    """Wait until a candidate is held or final.

    \b
    Exit codes: 0 promoted or kept (or a phase given with --until),
    20 held for a human, 21 rejected, 22 cancelled, 23 errored,
    24 rolled back, 11 still running when --timeout was over.
    """  # noqa: D301 - \b is for click
    return _wait(settings, candidate, until, timeout)


def _wait(settings: Settings, candidate: str, until: tuple[str, ...], timeout: float | None) -> int:
    import time

    from ouroboros.cli import reach, shown, terminal
    from ouroboros.cli.outcomes import outcome_code
    from ouroboros.model.phase import FINAL, Phase
    from ouroboros.model.text import safe_line

    shown.check_phases(until)
    wanted = until or tuple(p.value for p in (*FINAL, Phase.HELD, Phase.PROMOTED))

    async def talk(client: "Client") -> "Candidate":
        deadline = None if timeout is None else time.monotonic() + timeout
        return await _until(client, candidate, wanted, deadline)

    found = reach.converse(settings, talk)
    if settings.json:
        terminal.data(found)
    else:
        row = shown.candidate_row(found, time.time_ns())
        terminal.table(settings, ("", "", "", "", "", ""), [row])
        for reason in found.reasons:
            text = safe_line(reason.text, limit=_LONGEST_REASON)
            terminal.line(settings, f"  {reason.code}: {text}")
    return 0 if until else outcome_code(found.phase)


_LONGEST_REASON = 1000
"""Characters; the whole is in `show`."""

_ROUND_S = 30.0
"""Long waits are made of short calls, so that a dead engine is noticed."""


async def _until(
    client: "Client", candidate: str, phases: tuple[str, ...], deadline: float | None
) -> "Candidate":
    import time

    from ouroboros.cli import reach
    from rpc import wire

    while True:
        left = _ROUND_S if deadline is None else min(_ROUND_S, deadline - time.monotonic())
        request = wire.CandidateWait(id=candidate, until=phases, timeout_s=max(left, 0.01))
        try:
            return await reach.ask(client, request, within_s=_ROUND_S + reach.ANSWER_WITHIN_S)
        except WaitTimeoutError:
            if deadline is not None and time.monotonic() >= deadline:
                raise
