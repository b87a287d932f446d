"""`completion`: the script by which a shell completes `ouroboros`."""

import click

_SHELLS = ("bash", "zsh", "fish")


@click.command(
    epilog='bash: eval "$(ouroboros completion bash)" in ~/.bashrc; zsh: the same in ~/.zshrc; '
    "fish: ouroboros completion fish > ~/.config/fish/completions/ouroboros.fish"
)
@click.argument("shell", type=click.Choice(_SHELLS))
def completion_command(shell: str) -> None:
    """Print the completion script of a shell."""
    from click.shell_completion import get_completion_class

    from ouroboros.cli.root import cli

    kind = get_completion_class(shell)
    if kind is None:
        raise click.UsageError(f"click knows no completion for {shell}.")
    # `source_vars` and the template only: `source()` of bash runs bash to check its version.
    maker = kind(cli, {}, "ouroboros", "_OUROBOROS_COMPLETE")
    click.echo(maker.source_template % maker.source_vars())
