"""`config check|show|schema`: the file, without an engine."""

from typing import TYPE_CHECKING

import click

from ouroboros.cli.options import Command, Settings, help_if_alone

if TYPE_CHECKING:
    from ouroboros.config import Loaded


@click.group(invoke_without_command=True)
@click.pass_context
def config_command(context: click.Context) -> None:
    """Check, show or describe ouroboros.toml."""
    help_if_alone(context)


def _load(settings: Settings) -> "Loaded":
    from ouroboros.cli.reach import locate
    from ouroboros.config import FILE_NAME, load

    return load(locate(settings).root / FILE_NAME)


@config_command.command(cls=Command)
@click.pass_obj
def check(settings: Settings) -> None:
    """Read ouroboros.toml; say what is wrong with it, by key and line. Exit code 6 if so."""
    from ouroboros.cli import terminal
    from ouroboros.cli.results import ConfigCheck
    from ouroboros.cli.words import plural

    loaded = _load(settings)
    config = loaded.config
    names = tuple(config.benchmarks)
    if settings.json:
        mode = config.governor.mode.value
        terminal.data(ConfigCheck(ok=True, hash=loaded.hash, mode=mode, benchmarks=names))
        return
    listed = f" ({', '.join(names)})" if names else ""
    terminal.line(
        settings,
        f"ouroboros.toml is in order: {config.governor.mode} mode, "
        f"{config.tests.framework} tests, {plural(len(names), 'benchmark')}{listed}.",
        "good",
    )
    if not names:
        terminal.note(settings, "Without a benchmark nothing can be proven faster.", "warn")


@config_command.command(cls=Command)
@click.option("--running", is_flag=True, help="What the engine has in force, not the file.")
@click.pass_obj
def show(settings: Settings, *, running: bool) -> None:
    """Print every option with the value in force, defaults included."""
    from ouroboros.cli import reach, terminal
    from ouroboros.cli.toml import dump, values_of
    from rpc import wire

    if running:
        found = reach.call(settings, wire.ConfigGet())
    else:
        loaded = _load(settings)
        text, values = loaded.source.decode(), values_of(loaded.config)
        found = wire.ConfigResult(hash=loaded.hash, text=text, values=values)
    if settings.json:
        terminal.data(found)
    else:
        terminal.line(settings, dump(found.values).rstrip("\n"))


@config_command.command(cls=Command)
@click.pass_obj
def schema(settings: Settings) -> None:  # noqa: ARG001 - click passes it to every command
    """Print the JSON Schema of ouroboros.toml, for editors."""
    from ouroboros.cli import terminal
    from ouroboros.config import schema as make

    terminal.data(make())
