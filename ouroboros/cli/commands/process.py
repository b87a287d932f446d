"""`serve`, `run`, `tui`: processes that stay.

Who ends what: `q` in the screen never stops an engine that `tui` attached to. `run` is the
exception and says so on entering and on leaving: an engine that `run` itself started is its own
child in spirit, and is stopped in order when the screen is quit; `--detach` leaves it running. If
the terminal vanishes (a dropped SSH connection) the engine goes on in either case, because it
lives in a session of its own: come back with `ouroboros tui`.
"""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ouroboros.cli.options import Settings, SilentCommand
from ouroboros.errors import InvalidParamsError, MachineError

if TYPE_CHECKING:
    from rpc.address import Address


@click.command(cls=SilentCommand)
@click.pass_obj
def serve_command(settings: Settings) -> int:
    """Run the engine in the foreground, without a screen. SIGTERM ends it in order."""
    from ouroboros.cli.guards import ensure_isolated
    from ouroboros.cli.reach import locate

    _refuse_socket(settings)
    root = locate(settings).root
    ensure_isolated(_serve_arguments(settings, str(root)))
    from ouroboros.cli import compose

    return compose.run_engine(root, headless=True)


def _serve_arguments(settings: Settings, root: str) -> list[str]:
    return ["--repo", root, *(["--debug"] if settings.debug else []), "serve"]


def _refuse_socket(settings: Settings) -> None:
    if settings.socket is not None:
        raise click.UsageError(
            "--socket chooses an engine to talk to; an engine's own socket follows from --repo."
        )


@click.command(cls=SilentCommand)
@click.option("--detach", is_flag=True, help="Leave the engine running when the screen is quit.")
@click.option("--read-only", is_flag=True, help="Show everything, change nothing.")
@click.pass_obj
def run_command(settings: Settings, *, detach: bool, read_only: bool) -> int:
    """Run engine and screen in one terminal.

    Attaches to the engine if one is running, which then goes on when you quit. Otherwise starts
    one in the background and stops it again when you quit, unless --detach is given.
    """
    from ouroboros.cli.companion import Companion
    from ouroboros.cli.guards import isolated_command
    from ouroboros.cli.reach import is_answering, locate
    from ouroboros.config import FILE_NAME, load

    _refuse_socket(settings)
    _need_terminal("run")
    paths = locate(settings)
    load(paths.root / FILE_NAME)
    if is_answering(paths.socket):
        _say(settings, f"An engine runs already for {paths.root}; it goes on when you quit.")
        return _screen(settings, paths.socket, read_only=read_only)
    command = isolated_command(_serve_arguments(settings, str(paths.root)))
    end = "goes on" if detach else "stops"
    with Companion(command, paths) as engine:
        _say(settings, f"Starting the engine (pid {engine.pid}, log {engine.log}).")
        _say(settings, f"It {end} when you quit the screen.")
        engine.wait_until_ready()
        if detach:
            engine.release()
            return _screen(settings, paths.socket, read_only=read_only)
        farewell = f"Stopping the engine that 'run' started (pid {engine.pid}) ..."
        code = _screen(settings, paths.socket, read_only=read_only, farewell=farewell)
    _say(settings, "Stopped. 'ouroboros run --detach' would have left it running.")
    return code


def _say(settings: Settings, text: str) -> None:
    from ouroboros.cli import terminal

    terminal.note(settings, text)


@click.command(cls=SilentCommand)
@click.option("--read-only", is_flag=True, help="Show everything, change nothing.")
@click.option(
    "--token-file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Come with the rights of this token instead of your own.",
)
@click.pass_obj
def tui_command(settings: Settings, *, read_only: bool, token_file: Path | None) -> int:
    """Attach the screen to the running engine; quitting it never stops the engine."""
    from ouroboros.cli.reach import address_of, greet, with_token

    _need_terminal("tui")
    address = with_token(address_of(settings), token_file)
    greet(settings, address)
    return _screen(settings, address, read_only=read_only)


def _need_terminal(command: str) -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise MachineError(
            f"'ouroboros {command}' needs a terminal for input and output, and there is none.",
            hint="Without one use 'ouroboros serve', and 'ouroboros watch' or 'status'.",
        )


def _screen(
    settings: Settings, address: "Path | Address", *, read_only: bool, farewell: str = ""
) -> int:
    import gc
    import os

    if not settings.color:
        os.environ["NO_COLOR"] = "1"
    gc.disable()  # importing allocates much and frees little: a sixth of the time to first paint
    from tui.app import FAREWELL, run

    gc.enable()
    return run(address, read_only=read_only, farewell=farewell or FAREWELL)


@click.command(cls=SilentCommand)
@click.option("--port", default=7780, show_default=True, type=click.IntRange(0, 65535))
@click.option("--read-only", is_flag=True, help="Show everything, change nothing.")
@click.pass_obj
def web_command(settings: Settings, *, port: int, read_only: bool) -> int:
    """Serve the screen to browsers of this machine; one logs in with a token of the engine.

    It listens on 127.0.0.1 only. From elsewhere, forward the port by SSH.
    """
    import asyncio

    from ouroboros.cli.reach import address_of
    from rpc.address import Remote

    try:
        from tui import web
    except ModuleNotFoundError as error:
        raise MachineError(
            f"The web page needs a package that is not installed: {error.name}.",
            hint="pip install 'ouroboros-daemon[web]'",
        ) from None
    address = address_of(settings)
    if isinstance(address, Remote):
        raise InvalidParamsError(
            "The web page is served where the engine is, not over ssh://.",
            hint="Start 'ouroboros web' there, and forward its port (ssh -L).",
        )

    def ready(url: str) -> None:
        _say(settings, f"The cockpit is at {url} (ctrl+c ends it; the engine goes on).")

    try:
        asyncio.run(web.serve(address, port=port, read_only=read_only, on_ready=ready))
    except KeyboardInterrupt:
        return 0
    return 0


@click.command(cls=SilentCommand)
@click.option("--from-seq", default=0, metavar="N", help="Begin after this entry.")
@click.option("--speed", default=60.0, show_default=True, help="Times as fast as it was.")
@click.option(
    "--state",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    help="Folder with ledger.sqlite and evidence/ (a backup, another machine's).",
)
@click.pass_obj
def replay_command(settings: Settings, from_seq: int, speed: float, state: Path | None) -> int:
    """Walk through a recorded ledger in the screen; no engine is needed, and nothing is changed.

    The ledger is only read: an engine may run beside it. What happened up to now is the recording.
    """
    from ouroboros.cli.reach import locate
    from ouroboros.cli.replay import FASTEST, SLOWEST, Recording, dialled
    from ouroboros.ledger.evidence import Evidence
    from ouroboros.ledger.store import Store

    if not SLOWEST <= speed <= FASTEST:
        raise InvalidParamsError(f"Expected --speed from {SLOWEST:g} to {FASTEST:g}.")
    _need_terminal("replay")
    folder = state or locate(settings).state
    with Store.open(folder / "ledger.sqlite", read_only=True) as store:
        recording = Recording(store, Evidence(folder / "evidence"), speed=speed, begin=from_seq)
        from tui.app import run

        return run(
            dialled(recording),
            read_only=True,
            farewell="",
            player=recording,
            clock_ns=lambda: recording.now_ns,
        )
