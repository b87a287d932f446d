"""`doctor`: does this machine, this repository and this engine have what it takes?"""

import click

from ouroboros.cli.options import Command, Settings

_STYLES = {"ok": "good", "warn": "warn", "fail": "bad"}

_FAILED = 9


@click.command(cls=Command)
@click.pass_obj
def doctor_command(settings: Settings) -> int:
    """Check everything that Ouroboros needs; each finding says how to fix it.

    Exit code 9 if a check failed, 0 if all is well or there are only warnings.
    """
    from ouroboros.cli import terminal
    from ouroboros.cli.checks import diagnose

    with terminal.progress("checking") as report:
        diagnosis = diagnose(settings, report)
    if settings.json:
        terminal.data(diagnosis)
        return 0 if diagnosis.ok else _FAILED
    rows = [((c.status, _STYLES[c.status]), c.name, c.text) for c in diagnosis.checks]
    terminal.table(settings, ("", "", ""), rows)
    for check in diagnosis.checks:
        if check.fix:
            terminal.line(settings)
            terminal.line(settings, f"{check.name}: {check.text}", _STYLES[check.status])
            terminal.line(settings, f"  -> {check.fix}")
    return 0 if diagnosis.ok else _FAILED
