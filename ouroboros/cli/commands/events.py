"""`watch` and `call`: the event stream as lines, and any method by name.

`watch` is the screen for those without one: pipes, screen readers, logs. It asks from its last
sequence number when the connection comes back, so that nothing is missed and nothing comes twice.
"""

from typing import TYPE_CHECKING, Any

import click

from ouroboros.cli.options import Command, Settings
from ouroboros.errors import (
    BusyError,
    EngineUnreachableError,
    InvalidParamsError,
    OuroborosError,
)

if TYPE_CHECKING:
    from rpc.client import Client, Item

_FIRST_WAIT_S = 0.25
_LONGEST_WAIT_S = 10.0


@click.command(cls=Command)
@click.option(
    "--topics",
    default="*",
    show_default=True,
    metavar="GLOBS",
    help="Which events, separated by commas: 'candidate.*,loop.*'.",
)
@click.option("--from-seq", type=click.IntRange(min=0), help="First replay all after this entry.")
@click.option("--once", is_flag=True, help="End when the connection ends, instead of reconnecting.")
@click.pass_obj
def watch_command(settings: Settings, topics: str, from_seq: int | None, *, once: bool) -> None:
    """Print events as they happen, one line each; with --json one object each.

    A line is TIME, ledger sequence, topic and text. Progress (not in the ledger) has no number.
    """
    import asyncio

    wanted = tuple(t.strip() for t in topics.split(",") if t.strip())
    if not wanted:
        raise InvalidParamsError("--topics names no topic.", hint="Leave it out for all events.")
    asyncio.run(Watcher(settings, wanted, from_seq).follow(once=once))


class Watcher:
    """Follows the stream over any number of connections."""

    def __init__(self, settings: Settings, topics: tuple[str, ...], from_seq: int | None) -> None:
        """Begin after `from_seq`, or with what happens from now on."""
        self.settings = settings
        self.topics = topics
        self.seq = from_seq
        self.epoch = ""

    async def follow(self, *, once: bool) -> None:
        """Print until interrupted.

        Raises:
            EngineUnreachableError: there was no engine to begin with, or `once` and it left.
        """
        lost = await self._session()
        while not once:
            lost = await self._again(lost)
        raise lost

    async def _again(self, lost: OuroborosError) -> OuroborosError:
        """Wait until the engine is back, then go on where the last session ended."""
        import asyncio

        from ouroboros.cli import terminal

        terminal.note(self.settings, f"{lost.message} Waiting for it to come back ...", "warn")
        wait = _FIRST_WAIT_S
        while True:
            await asyncio.sleep(wait)
            wait = min(2 * wait, _LONGEST_WAIT_S)
            try:
                return await self._session(back=True)
            except EngineUnreachableError:
                continue

    async def _session(self, *, back: bool = False) -> OuroborosError:
        """Print one connection's events; return why it ended, once it had stood."""
        from ouroboros.cli import reach, terminal

        async with reach.connected(self.settings) as client:
            await self._begin(client)
            try:
                async with client.subscribe(topics=self.topics, from_seq=self.seq) as feed:
                    if back:
                        terminal.note(self.settings, "Connected again.", "good")
                    async for item in feed:
                        self.seq = feed.seq
                        self._print(item)
            except (EngineUnreachableError, BusyError) as error:
                return error
        return EngineUnreachableError("The engine ended the subscription.")

    async def _begin(self, client: "Client") -> None:
        """Pin "from now on" to a number, so that it survives a reconnection."""
        from ouroboros.cli import reach, terminal
        from rpc import wire

        epoch = client.hello.epoch
        if self.epoch and self.epoch != epoch:
            terminal.note(self.settings, "The engine has another ledger; following that.", "warn")
            self.seq = None
        self.epoch = epoch
        if self.seq is None:
            self.seq = (await reach.ask(client, wire.LedgerHead())).size

    def _print(self, item: "Item") -> None:
        import sys

        from ouroboros.cli import stream, terminal

        if self.settings.json:
            terminal.data(stream.record(item), indent=False)
        elif text := stream.text_of(item, quiet=self.topics == ("*",)):
            terminal.line(self.settings, text)
        sys.stdout.flush()


@click.command(cls=Command)
@click.argument("method")
@click.argument("params", metavar="[JSON]", default="{}")
@click.pass_obj
def call_command(settings: Settings, method: str, params: str) -> None:
    """Call any METHOD with JSON parameters and print the JSON result.

    'ouroboros call system.methods' lists them; '-' as JSON reads stdin.
    """
    from ouroboros.cli import reach, terminal

    terminal.data(reach.call_raw(settings, method, _params(params)))


def _params(text: str) -> Any:
    import sys

    import msgspec

    raw = sys.stdin.buffer.read() if text == "-" else text.encode()
    try:
        value = msgspec.json.decode(raw)
    except msgspec.DecodeError as error:
        raise InvalidParamsError(
            f"The parameters are not JSON: {error}.",
            hint="""Quote them for the shell: ouroboros call candidate.get '{"id": "c1"}'.""",
        ) from None
    if not isinstance(value, dict | list):
        raise InvalidParamsError(
            f"Expected a JSON object (or array) of parameters, got {text[:40]}."
        )
    return value
