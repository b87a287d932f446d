"""The list of commands, each with the module that holds it.

The table keeps `ouroboros COMMAND` from importing the other commands' modules, and gives `--help`
its order: a first-time reader sees the way from `init` to `rollback` from top to bottom.
"""

from importlib import import_module
from typing import Any

import click

import ouroboros
from ouroboros.cli.options import absorb, common_options, help_if_alone

COMMANDS: dict[str, str] = {
    "init": "setup",
    "doctor": "doctor",
    "run": "process",
    "serve": "process",
    "tui": "process",
    "web": "process",
    "replay": "process",
    "status": "loop",
    "trigger": "loop",
    "pause": "loop",
    "resume": "loop",
    "drain": "orders",
    "reload": "orders",
    "candidates": "candidates",
    "show": "candidates",
    "explain": "candidates",
    "diff": "candidates",
    "approve": "answers",
    "reject": "answers",
    "cancel": "answers",
    "hold": "orders",
    "retry": "orders",
    "override": "orders",
    "propose": "answers",
    "wait": "answers",
    "versions": "versions",
    "rollback": "versions",
    "forward": "versions",
    "governor": "governor",
    "limits": "governor",
    "anchor": "governor",
    "freeze": "orders",
    "unfreeze": "orders",
    "silence": "orders",
    "verdict": "verdict",
    "ledger": "ledger",
    "backup": "backup",
    "restore": "backup",
    "watch": "events",
    "call": "events",
    "rpc": "tokens",
    "mcp": "tokens",
    "token": "tokens",
    "config": "configuration",
    "completion": "completion",
}
"""Command -> module in `ouroboros.cli.commands`."""


class Root(click.Group):
    """The `ouroboros` command: finds sub-commands by the table."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table."""
        return list(COMMANDS)

    def get_command(
        self,
        ctx: click.Context,  # noqa: ARG002 - click's signature
        cmd_name: str,
    ) -> click.Command | None:
        """Import the module of one command."""
        if cmd_name not in COMMANDS:
            return None
        module = import_module(f"ouroboros.cli.commands.{COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, f"{cmd_name}_command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command; a misspelt one gets the nearest name as a hint."""
        name = args[0]
        if name not in COMMANDS and not name.startswith("-") and not ctx.resilient_parsing:
            from difflib import get_close_matches

            near = get_close_matches(name, COMMANDS, n=1)
            meant = f" Did you mean '{near[0]}'?" if near else ""
            raise click.UsageError(f"There is no command '{name}'.{meant}", ctx)
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        """Keep the common options that stand before the sub-command."""
        absorb(ctx)
        return super().invoke(ctx)


@click.command(
    cls=Root,
    params=[*common_options(with_json=True)],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    invoke_without_command=True,
    epilog="Start with 'ouroboros init' in a git repository that has tests and a benchmark.",
)
@click.version_option(ouroboros.__version__, prog_name="ouroboros", message="%(prog)s %(version)s")
@click.pass_context
def cli(context: click.Context) -> None:
    """Improve a git repository by itself, with every change proven and a human in control."""
    help_if_alone(context)
