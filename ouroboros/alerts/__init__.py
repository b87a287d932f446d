"""Messages to humans outside of the TUI. A sink sends one alert; failing is logged, not fatal."""

from typing import Protocol

from ouroboros.model.state import Alert


class AlertSink(Protocol):
    """One way of reaching a human."""

    name: str

    async def send(self, alert: Alert) -> None:
        """Deliver the alert. May raise anything; the engine logs it and goes on."""
        ...
