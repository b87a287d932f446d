"""A sink that posts the alert as JSON."""

from pathlib import Path

from ouroboros.alerts.payload import payload_of
from ouroboros.config_alerts import Sink
from ouroboros.errors import MachineError
from ouroboros.model.state import Alert


class WebhookSink:
    """Posts to one address; what is not 200 to 299 is a failure."""

    def __init__(self, name: str, config: Sink) -> None:
        self.name = name
        self._config = config

    async def send(self, alert: Alert) -> None:
        """Post the alert.

        Raises:
            MachineError: it was not taken.
        """
        import aiohttp

        config = self._config
        headers = {"Content-Type": "application/json"}
        if config.token_file:
            headers["Authorization"] = f"Bearer {Path(config.token_file).read_text().strip()}"  # noqa: ASYNC240 - a line of text
        timeout = aiohttp.ClientTimeout(total=config.timeout.seconds)
        async with (
            aiohttp.ClientSession(timeout=timeout) as http,
            http.post(
                config.url, data=payload_of(alert), headers=headers, allow_redirects=False
            ) as answer,
        ):
            if not 200 <= answer.status < 300:  # noqa: PLR2004 - as HTTP has it
                raise MachineError(f"The webhook answered {answer.status}.")
