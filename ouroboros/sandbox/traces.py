"""What one run has on the host, and that nothing of it is left when the run is answered.

The kernel ends the processes with their namespace, the launcher waits for them; here it is not
believed but looked at. Whatever cannot be removed makes the run a fault that names it: an answer
would be worth nothing if the run could still work on the next one.
"""

import asyncio
import contextlib
from pathlib import Path

from ouroboros.sandbox.cgroups import Group
from ouroboros.sandbox.removal import remove
from ouroboros.sandbox.strays import end_strays, marked


class Traces:
    """The control group, the folder and the processes of one run."""

    def __init__(self, mark: str) -> None:
        """Begin with nothing.

        Args:
            mark: stands in the environment of the run's processes.
        """
        self.mark = mark
        self.group: Group | None = None
        self.place: Path | None = None

    async def remove(self) -> str:
        """End and remove everything; return what is still there, empty for nothing."""
        # An empty group is the proof that no process is left; else all processes are asked.
        if self.group is not None and self.group.remove() and self.place is None:
            return ""
        return await asyncio.to_thread(self._remove)

    def _remove(self) -> str:
        left = []
        if self.group is not None:
            self.group.clear()
            left += self.group.left()
        elif marked(self.mark):
            end_strays(lambda mark: mark == self.mark)
            left += [f"process {pid}" for pid in marked(self.mark)]
        if self.place is not None:
            with contextlib.suppress(OSError):
                remove(str(self.place))
            left += [f"folder {self.place}"] if self.place.exists() else []
        return ", ".join(left)
