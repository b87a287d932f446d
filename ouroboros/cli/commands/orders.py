"""`hold`, `retry`, `override`, `freeze`, `unfreeze`, `silence`, `drain`, `reload`."""

import click

from ouroboros.cli.commands.answers import SIGN, signature_of
from ouroboros.cli.options import Command, Settings
from ouroboros.errors import CancelledByHumanError, InvalidParamsError, WrongPhaseError

_SECOND = 1_000_000_000
_REASON = click.option("--reason", default="", metavar="TEXT", help="Kept in the ledger.")


def _done(settings: Settings, result: object, text: str) -> None:
    from ouroboros.cli import terminal

    if settings.json:
        terminal.data(result)
    else:
        terminal.line(settings, text)


def _until(length: str) -> int:
    """Return the moment that lies so far ahead (UTC ns).

    Raises:
        InvalidParamsError: it is no length of time.
    """
    import time

    from ouroboros.config import parse_duration

    try:
        return time.time_ns() + parse_duration(length)
    except ValueError as error:
        raise InvalidParamsError(f"--for: {error}.") from None


@click.command(cls=Command)
@click.argument("candidate", metavar="ID")
@_REASON
@click.pass_obj
def hold_command(settings: Settings, candidate: str, reason: str) -> None:
    """Have a candidate on its way held for a yes, whatever its verdict."""
    from ouroboros.cli import reach
    from rpc import wire

    result = reach.call(settings, wire.CandidateHold(id=candidate, reason=reason))
    _done(settings, result, f"{candidate} will be held (ledger entry {result.seq}).")


@click.command(cls=Command)
@click.argument("candidate", metavar="ID")
@_REASON
@click.pass_obj
def retry_command(settings: Settings, candidate: str, reason: str) -> None:
    """Propose a rejected, cancelled, errored or rolled back candidate once more."""
    from ouroboros.cli import reach
    from rpc import wire

    result = reach.call(settings, wire.CandidateRetry(id=candidate, reason=reason))
    _done(settings, result, result.id)


@click.command(cls=Command)
@click.argument("candidate", metavar="ID")
@click.option("--commit", default="", metavar="HASH", help="The commit you looked at.")
@click.option("--reason", required=True, metavar="TEXT", help="Kept in the ledger; needed.")
@SIGN
@click.pass_obj
def override_command(
    settings: Settings, candidate: str, *, commit: str, reason: str, sign: str
) -> None:
    """Promote a held candidate past quorum and freezes (admins).

    It overrides people and time, never evidence: what was rejected stays rejected. On a terminal
    you type the candidate's id; a script gives the whole --commit.
    """
    from ouroboros.cli import reach, terminal
    from ouroboros.model.phase import Phase
    from rpc import wire

    found = reach.call(settings, wire.CandidateGet(id=candidate))
    if found.phase is not Phase.HELD:
        raise WrongPhaseError(f"Candidate {found.id} is {found.phase.value}, not held.")
    if not commit:
        if not terminal.interactive():
            raise InvalidParamsError(
                "There is no terminal to ask on, and --commit was not given.",
                hint=f"Look with 'ouroboros show {candidate}', then give the commit it prints.",
            )
        typed = click.prompt(
            f"Override for commit {found.commit[:12]}? Type {found.id} to go on",
            default="",
            err=True,
        )
        if typed.strip() != found.id:
            raise CancelledByHumanError("Not overridden; nothing was changed.")
    seen = commit or found.commit
    statement, armor = signature_of(settings, sign, "approve", found.id, seen)
    request = wire.CandidatePromoteFull(
        id=found.id, commit=seen, reason=reason, statement=statement, signature=armor
    )
    result = reach.call(settings, request, within_s=reach.LONG_S)
    _done(settings, result, f"Overridden: {found.id} is promoted (ledger entry {result.seq}).")


@click.command(cls=Command)
@click.option("--for", "length", required=True, metavar="TIME", help="How long: 90m, 4h, 3d.")
@_REASON
@click.pass_obj
def freeze_command(settings: Settings, length: str, reason: str) -> None:
    """Promote nothing for a while; evaluations and rollbacks go on."""
    from ouroboros.cli import reach
    from rpc import wire

    result = reach.call(settings, wire.GovernorFreeze(until=_until(length), reason=reason))
    _done(settings, result, f"Promotions are frozen for {length} (ledger entry {result.seq}).")


@click.command(cls=Command)
@_REASON
@click.pass_obj
def unfreeze_command(settings: Settings, reason: str) -> None:
    """End what 'freeze' began; windows of the configuration stay."""
    from ouroboros.cli import reach
    from rpc import wire

    result = reach.call(settings, wire.GovernorUnfreeze(reason=reason))
    _done(settings, result, f"The freeze is over (ledger entry {result.seq}).")


@click.command(cls=Command)
@click.argument("codes", metavar="CODES")
@click.option("--for", "length", default="", metavar="TIME", help="How long: 90m, 4h, 3d.")
@click.option("--end", is_flag=True, help="Send them again.")
@_REASON
@click.pass_obj
def silence_command(settings: Settings, codes: str, *, length: str, end: bool, reason: str) -> None:
    """Do not send alerts whose code fits CODES ('disk_*') for a while; they stay on the record."""
    from ouroboros.cli import reach
    from rpc import wire

    if bool(length) == end:
        raise InvalidParamsError("Give either --for TIME or --end.")
    until = 0 if end else _until(length)
    result = reach.call(settings, wire.AlertSilence(codes=codes, until=until, reason=reason))
    said = "are sent again" if end else f"are silenced for {length}"
    _done(settings, result, f"Alerts {codes} {said} (ledger entry {result.seq}).")


@click.command(cls=Command)
@click.option("--timeout", default=600.0, show_default=True, help="Seconds to wait.")
@click.option("--worker", default="", metavar="NAME", help="Only this worker, and do not wait.")
@click.option("--end", is_flag=True, help="With --worker: take it back into service.")
@_REASON
@click.pass_obj
def drain_command(
    settings: Settings, timeout: float, worker: str, *, end: bool, reason: str
) -> None:
    """Begin nothing new, and wait until what was begun has ended; the engine is paused then.

    With --worker, that worker begins no evaluation (also after a restart) until --end.
    """
    from ouroboros.cli import reach
    from rpc import wire

    if end and not worker:
        raise InvalidParamsError(
            "--end goes with --worker.", hint="'ouroboros resume' ends a drained engine's pause."
        )
    if worker:
        order = wire.WorkerDrain(name=worker, out=not end, reason=reason)
        done = reach.call(settings, order)
        said = "is in service again" if end else "begins no evaluation until --end"
        _done(settings, done, f"Worker {worker} {said} (ledger entry {done.seq}).")
        return

    request = wire.EngineDrain(reason=reason, timeout_s=timeout)
    result = reach.call(settings, request, within_s=timeout + reach.LONG_S)
    _done(settings, result, "Drained: the engine is paused, and nothing is being worked on.")


@click.command(cls=Command)
@click.pass_obj
def reload_command(settings: Settings) -> None:
    """Have the engine read its configuration again now."""
    from ouroboros.cli import reach
    from rpc import wire

    result = reach.call(settings, wire.EngineReload())
    _done(settings, result, f"Configuration {result.config_hash[:12]} is in force.")
