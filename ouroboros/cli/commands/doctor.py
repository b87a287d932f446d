"""`doctor`: does this machine, this repository and this engine have what it takes?"""

from typing import TYPE_CHECKING

import click

from ouroboros.cli.options import Command, Settings

if TYPE_CHECKING:
    from ouroboros.cli.results import Check

_STYLES = {"ok": "good", "warn": "warn", "fail": "bad"}
_WRONG = ("broken", "error")

_FAILED = 9


@click.command(cls=Command)
@click.option(
    "--noise-seconds",
    type=click.FloatRange(min=0, max=3600),
    default=3.0,
    show_default=True,
    help="How long to measure the benchmarks' noise; 0 leaves that out.",
)
@click.option("--all", "everything", is_flag=True, help="List every attempt, not only what failed.")
@click.pass_obj
def doctor_command(settings: Settings, *, noise_seconds: float, everything: bool) -> int:
    """Check everything that Ouroboros needs; each finding says how to fix it.

    Real attempts to escape are made from inside the sandbox, and the benchmarks are measured
    against themselves.

    Exit code 9 if a check failed, 0 if all is well or there are only warnings.
    """
    from ouroboros.cli import terminal
    from ouroboros.cli.checks import diagnose

    with terminal.progress("checking") as report:
        diagnosis = diagnose(settings, report, noise_seconds=noise_seconds)
    if settings.json:
        terminal.data(diagnosis)
        return 0 if diagnosis.ok else _FAILED
    rows = [((c.status, _STYLES[c.status]), c.name, c.text) for c in diagnosis.checks]
    terminal.table(settings, ("", "", ""), rows, wrap=True)
    for check in diagnosis.checks:
        if everything and check.rows:
            _list(settings, check)
        _advise(settings, check)
    return 0 if diagnosis.ok else _FAILED


def _list(settings: Settings, check: "Check") -> None:
    """Print every row below a check."""
    from ouroboros.cli import terminal

    terminal.line(settings)
    terminal.line(settings, f"{check.name}:", "bold")
    styles = {"held": "good", "broken": "bad", "error": "bad", "n/a": "dim"}
    rows = [
        ((row.status, styles.get(row.status, "")), row.name, _words(row.promise, row.text))
        for row in check.rows
    ]
    terminal.table(settings, ("", "", ""), rows, wrap=True)


def _words(promise: str, text: str) -> str:
    return f"{promise}: {text}" if promise else text


def _advise(settings: Settings, check: "Check") -> None:
    """Print what does not hold, and below it what to do: once for all that need the same."""
    from ouroboros.cli import terminal

    wrong = [row for row in check.rows if row.status in _WRONG]
    if not (check.fix or wrong):
        return
    terminal.line(settings)
    if check.fix:
        terminal.line(settings, f"{check.name}: {check.text}", _STYLES[check.status])
        terminal.line(settings, f"  -> {check.fix}")
    fixes = dict.fromkeys(row.fix for row in wrong)
    for fix in fixes:
        for row in wrong:
            if row.fix == fix:
                said = f"{check.name}: {row.name} ({row.status}): {row.promise}: {row.text}"
                terminal.line(settings, said, _STYLES[check.status])
        if fix:
            terminal.line(settings, f"  -> {fix}")
