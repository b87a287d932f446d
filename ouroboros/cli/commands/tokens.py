"""`token`: who may pass the doors of the network; `rpc` and `mcp`: bridges for other programs."""

import click

from ouroboros.cli.options import Command, Settings, SilentCommand, help_if_alone


@click.group(invoke_without_command=True)
@click.pass_context
def token_command(context: click.Context) -> None:
    """Keys of programs that reach the engine over the network ([rpc] listen)."""
    help_if_alone(context)


@token_command.command(cls=Command, name="create")
@click.argument("name")
@click.option(
    "--role",
    default="viewer",
    show_default=True,
    type=click.Choice(["viewer", "operator", "approver", "admin"]),
    help="What it may do.",
)
@click.option(
    "--method",
    "methods",
    multiple=True,
    metavar="PATTERN",
    help="Only these methods, as 'candidate.*' (repeatable).",
)
@click.option("--expires", default="", metavar="DURATION", help="As '12h' or '30d'; else never.")
@click.option("--reason", required=True, metavar="TEXT", help="Kept in the ledger.")
@click.pass_obj
def create(
    settings: Settings, *, name: str, role: str, methods: tuple[str, ...], expires: str, reason: str
) -> None:
    """Make a token. Its secret is printed this once, alone on stdout."""
    from ouroboros.cli import reach, terminal
    from rpc import wire

    request = wire.TokenCreate(
        name=name, grants=role, methods=methods, expires_s=_seconds(expires), reason=reason
    )
    made = reach.call(settings, request)
    if settings.json:
        terminal.data(made)
        return
    terminal.note(settings, f"Token {made.name} ({role}); its secret is shown this once:")
    terminal.line(settings, made.secret)


def _seconds(text: str) -> float:
    from ouroboros.config import parse_duration

    if not text:
        return 0.0
    try:
        return parse_duration(text).seconds
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--expires") from None


@token_command.command(cls=Command, name="list")
@click.pass_obj
def list_(settings: Settings) -> None:
    """List the tokens that were given and not taken back."""
    from ouroboros.cli import reach, terminal
    from rpc import wire

    found = reach.call(settings, wire.TokenList())
    if settings.json:
        terminal.data(found)
        return
    rows = [
        (t.name, t.role, ", ".join(t.methods) or "all", _when(t.expires_ns), t.actor) for t in found
    ]
    terminal.table(settings, ("name", "role", "methods", "expires", "given by"), rows)


def _when(expires_ns: int) -> str:
    import datetime as dt

    if not expires_ns:
        return "never"
    return dt.datetime.fromtimestamp(expires_ns / 1e9, dt.UTC).strftime("%Y-%m-%d %H:%M UTC")


@token_command.command(cls=Command, name="revoke")
@click.argument("name")
@click.option("--reason", required=True, metavar="TEXT", help="Kept in the ledger.")
@click.pass_obj
def revoke(settings: Settings, name: str, reason: str) -> None:
    """Take a token back at once; its open connections are closed."""
    from ouroboros.cli import reach, terminal
    from rpc import wire

    done = reach.call(settings, wire.TokenRevoke(name=name, reason=reason))
    if settings.json:
        terminal.data(done)
        return
    terminal.line(settings, f"Token {name} opens nothing any more.")


@click.command(cls=SilentCommand)
@click.option("--stdio", is_flag=True, help="One JSON-RPC message a line, in and out.")
@click.pass_obj
def rpc_command(settings: Settings, *, stdio: bool) -> int:
    """Carry JSON-RPC between a pipe and the engine; what `--host ssh://...` starts over there."""
    from ouroboros.cli import bridge

    if not stdio:
        raise click.UsageError("Only '--stdio' is there; for one call use 'ouroboros call METHOD'.")
    return bridge.run(settings)


@click.command(cls=SilentCommand)
@click.option(
    "--allow-operator", is_flag=True, help="Also pause, resume, trigger, cancel and read the log."
)
@click.pass_obj
def mcp_command(settings: Settings, *, allow_operator: bool) -> int:
    """Serve the engine as tools of a coding agent (Model Context Protocol, over stdio).

    It may ask and propose; it can never approve, reject, roll back or change a limit.
    """
    from ouroboros.cli import mcp

    return mcp.run(settings, operator=allow_operator)
