"""What the cockpit needs of a recording that is played instead of an engine that runs."""

from typing import Protocol


class Player(Protocol):
    """A recording."""

    def toggle(self) -> None:
        """Stop, or go on."""
        ...

    def faster(self, factor: float) -> None:
        """Play so many times as fast as now."""
        ...

    def step(self) -> None:
        """Show the next entry, and stop there."""
        ...

    def says(self) -> str:
        """Where it is and how fast it goes, in one line."""
        ...
