"""`status`, `trigger`, `pause`, `resume`: the loop as a whole."""

from typing import TYPE_CHECKING

import click

from ouroboros.cli.options import Command, Settings

if TYPE_CHECKING:
    from ouroboros.cli.terminal import Cell
    from ouroboros.model.snapshot import EngineStatus


@click.command(cls=Command)
@click.pass_obj
def status_command(settings: Settings) -> None:
    """Say what the engine is doing. Exit code 8 if none is running."""
    from ouroboros.cli import reach, terminal
    from rpc import wire

    status = reach.call(settings, wire.EngineStatusGet())
    if settings.json:
        terminal.data(status)
        return
    terminal.fields(settings, _rows(status))


def _rows(s: "EngineStatus") -> list[tuple[str, "Cell"]]:
    from ouroboros.cli.words import age, plural, short, size

    alive = f"pid {s.pid}, ouroboros {s.engine_version}, started {age(s.started_ns, s.now_ns)}"
    use = f"{size(s.rss_bytes)} memory, {s.cpu_percent:.1f} % CPU, {plural(s.clients, 'client')}"
    return [
        ("engine", _activity(s)),
        ("process", f"{alive}; {use}"),
        ("target", f"{s.target} at {s.path}"),
        ("branch", f"{s.branch} at {short(s.target_head)}"),
        ("mode", s.mode),
        ("cycle", _cycle(s)),
        ("candidates", f"{s.candidates} so far; in flight: {', '.join(s.in_flight) or 'none'}"),
        ("held", (f"{_held(s)}: waiting for a human", "warn") if s.held else "none"),
        *_frozen(s),
        ("version", f"{s.version} ({plural(s.versions_active, 'version')} active)"),
        ("ledger", f"{plural(s.seq, 'entry')}, head {short(s.head)}"),
        ("sandbox", _sandbox(s)),
    ]


def _held(s: "EngineStatus") -> str:
    """Return the held candidates, with how many people each needs where that is more than one."""
    many = {name: needed for name, needed in s.approvals_needed.items() if needed > 1}
    return ", ".join(f"{n} (needs {many[n]} people)" if n in many else n for n in s.held)


def _frozen(s: "EngineStatus") -> "list[tuple[str, Cell]]":
    from ouroboros.cli.words import age

    if not s.frozen_until_ns:
        return []
    waiting = f"; waiting for its end: {', '.join(s.waiting)}" if s.waiting else ""
    return [("freeze", (f"ends {age(s.frozen_until_ns, s.now_ns)}{waiting}", "warn"))]


def _activity(s: "EngineStatus") -> "Cell":
    from ouroboros.model.snapshot import Activity

    if s.activity is Activity.HALTED:
        return f"halted: {s.halt_reason}", "bad"
    if s.paused:
        why = f": {s.pause_reason}" if s.pause_reason else ""
        still = " (still finishing what runs)" if s.in_flight else ""
        return f"paused by {s.pause_actor or 'somebody'}{why}{still}", "warn"
    return s.activity.value, "good"


def _cycle(s: "EngineStatus") -> str:
    from ouroboros.cli.words import age

    due = f"next {age(s.next_cycle_ns, s.now_ns)}" if s.next_cycle_ns else "none planned"
    if s.cycle is None:
        return f"none yet; {due}"
    if not s.cycle.finished_ns:
        return f"#{s.cycle.number} ({s.cycle.trigger}) began {age(s.cycle.started_ns, s.now_ns)}"
    ended = age(s.cycle.finished_ns, s.now_ns)
    return f"#{s.cycle.number} ended {ended} ({s.cycle.outcome}); {due}"


def _sandbox(s: "EngineStatus") -> "Cell":
    if s.sandbox is None:
        return "not started yet"
    network = "with network" if s.sandbox.network else "no network"
    text = f"{s.sandbox.backend} {s.sandbox.version}, limits by {s.sandbox.limits}, {network}"
    return text, "warn" if s.sandbox.backend == "none" else ""


@click.command(cls=Command)
@click.pass_obj
def trigger_command(settings: Settings) -> None:
    """Start a cycle now instead of waiting for the interval."""
    from ouroboros.cli import reach, terminal
    from rpc import wire

    result = reach.call(settings, wire.CycleTrigger())
    if settings.json:
        terminal.data(result)
        return
    terminal.line(settings, f"Cycle #{result.cycle} started; 'ouroboros watch' follows it.")


@click.command(cls=Command)
@click.option("--reason", default="", metavar="TEXT", help="Kept in the ledger.")
@click.option("--now", is_flag=True, help="Cancel running evaluations instead of finishing them.")
@click.pass_obj
def pause_command(settings: Settings, reason: str, *, now: bool) -> None:
    """Stop the loop: no new cycle, no promotion. Survives a restart of the engine."""
    from ouroboros.cli import reach, terminal
    from rpc import wire

    mode = "now" if now else "after_phase"
    result = reach.call(settings, wire.EnginePause(reason=reason, mode=mode))
    if settings.json:
        terminal.data(result)
        return
    what = "running evaluations are cancelled" if now else "what is running finishes its phase"
    terminal.line(settings, f"Paused; {what}. 'ouroboros resume' lets it go on.")


@click.command(cls=Command)
@click.option("--reason", default="", metavar="TEXT", help="Kept in the ledger.")
@click.pass_obj
def resume_command(settings: Settings, reason: str) -> None:
    """Let the loop go on after a pause or a halt."""
    from ouroboros.cli import reach, terminal
    from rpc import wire

    result = reach.call(settings, wire.EngineResume(reason=reason))
    if settings.json:
        terminal.data(result)
        return
    terminal.line(settings, "Resumed.")
