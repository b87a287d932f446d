"""A sink that runs a command with the alert on its standard input."""

import asyncio
import contextlib
import os

from ouroboros.alerts.payload import payload_of
from ouroboros.config_alerts import Sink
from ouroboros.errors import MachineError
from ouroboros.model.state import Alert
from ouroboros.model.text import safe_line

_PASSED = ("PATH", "HOME", "LANG", "TMPDIR")


class CommandSink:
    """Runs one command per alert; an exit code but 0 is a failure."""

    def __init__(self, name: str, config: Sink) -> None:
        self.name = name
        self._config = config

    async def send(self, alert: Alert) -> None:
        """Run the command.

        Raises:
            MachineError: it failed, or did not end in time.
        """
        config = self._config
        environment = {name: os.environ[name] for name in _PASSED if name in os.environ}
        try:
            process = await asyncio.create_subprocess_exec(
                *config.command,
                env=environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise MachineError(f"{config.command[0]} cannot be run: {error.strerror}.") from None
        try:
            async with asyncio.timeout(config.timeout.seconds):
                _, said = await process.communicate(payload_of(alert))
        except TimeoutError:
            raise MachineError(f"{config.command[0]} did not end in time.") from None
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, 9)
                await process.wait()
        if process.returncode:
            text = safe_line(said.decode(errors="replace"), limit=200)
            raise MachineError(f"{config.command[0]} ended with {process.returncode}: {text}")
