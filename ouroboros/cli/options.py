"""What every command is told: which repository, which socket, how to print.

The common options are accepted before the sub-command and after it (`ouroboros --repo x status`,
`ouroboros status --repo x`), because people type them in both places; the later one wins. A
command receives them as one frozen `Settings` in `ctx.obj`.
"""

import os
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import click


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The common options. A dataclass: `ouroboros --version` does not pay for msgspec."""

    repo: Path = Path()
    socket: Path | None = None
    host: str = ""
    json: bool = False
    color: bool = True
    debug: bool = False


def wants_debug(environ: "os._Environ[str] | dict[str, str]") -> bool:
    """Whether OUROBOROS_DEBUG asks for tracebacks."""
    return environ.get("OUROBOROS_DEBUG", "") not in ("", "0")


_DEFAULT = Settings()
_current: ContextVar[Settings] = ContextVar("ouroboros_cli_settings", default=_DEFAULT)


def current() -> Settings:
    """Return the settings of the command that runs, for whoever prints its errors."""
    return _current.get()


def reset() -> None:
    """Start over, with what the environment says."""
    host = os.environ.get("OUROBOROS_HOST", "")
    _current.set(Settings(debug=wants_debug(os.environ), host=host))


_COMMON: tuple[Callable[[], click.Option], ...] = (
    lambda: click.Option(
        ["--repo", "common_repo"],
        metavar="PATH",
        type=click.Path(path_type=Path),
        help="The target repository, or any folder inside it (default: here).",
    ),
    lambda: click.Option(
        ["--socket", "common_socket"],
        metavar="PATH",
        type=click.Path(path_type=Path, readable=False),
        help="Talk to the engine behind this socket, for instance one forwarded over SSH.",
    ),
    lambda: click.Option(
        ["--host", "common_host"],
        metavar="ADDRESS",
        help="Talk to an engine elsewhere: ssh://user@host/path/of/repository, "
        "http://127.0.0.1:PORT, https://HOST:PORT (default: $OUROBOROS_HOST).",
    ),
    lambda: click.Option(["--no-color", "common_no_color"], is_flag=True, help="No colours."),
    lambda: click.Option(
        ["--debug", "common_debug"], is_flag=True, help="Show tracebacks of unexpected errors."
    ),
)


def _json_option() -> click.Option:
    return click.Option(["--json", "common_json"], is_flag=True, help="Print JSON.")


def common_options(*, with_json: bool) -> list[click.Parameter]:
    """Return fresh option objects, to be appended to a command's own."""
    made: list[click.Parameter] = [make() for make in _COMMON]
    return [_json_option(), *made] if with_json else made


def absorb(context: click.Context) -> Settings:
    """Take the common options out of a context's parameters into its `Settings`."""
    old = context.obj if isinstance(context.obj, Settings) else current()
    given = {k: context.params.pop(k) for k in list(context.params) if k.startswith("common_")}
    new = replace(
        old,
        repo=given.get("common_repo") or old.repo,
        socket=given.get("common_socket") or old.socket,
        host=given.get("common_host") or old.host,
        json=bool(given.get("common_json")) or old.json,
        color=old.color and not given.get("common_no_color"),
        debug=bool(given.get("common_debug")) or old.debug,
    )
    context.obj = new
    _current.set(new)
    return new


class Command(click.Command):
    """A command that also takes the common options. `prints` says whether it has `--json`."""

    prints = True

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.params = [*self.params, *common_options(with_json=self.prints)]

    def invoke(self, ctx: click.Context) -> Any:
        """Hand the common options over as settings, refuse foreign packages, then run."""
        from ouroboros.cli.guards import check_packages

        absorb(ctx)
        check_packages()
        return super().invoke(ctx)


class SilentCommand(Command):
    """A command that prints no data."""

    prints = False


def help_if_alone(context: click.Context) -> None:
    """Print the help of a group that was called without a sub-command."""
    if context.invoked_subcommand is None:
        click.echo(context.get_help())
