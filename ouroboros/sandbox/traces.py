"""What one run has on the host, and that nothing of it is left when the run is answered.

The kernel ends the processes with their namespace, the launcher waits for them; here it is not
believed but looked at. Whatever cannot be removed makes the run a fault that names it: an answer
would be worth nothing if the run could still work on the next one.
"""

import asyncio
import contextlib
from pathlib import Path

from ouroboros.sandbox.cgroups import Group
from ouroboros.sandbox.relay import Relay
from ouroboros.sandbox.removal import remove
from ouroboros.sandbox.strays import end_strays, marked


class Traces:
    """The control group, the folders, the relay and the processes of one run."""

    def __init__(self, mark: str) -> None:
        """Begin with nothing.

        Args:
            mark: stands in the environment of the run's processes.
        """
        self.mark = mark
        self.group: Group | None = None
        self.place: Path | None = None
        self.relay: Relay | None = None

    async def remove(self) -> str:
        """End and remove everything; return what is still there, empty for nothing."""
        if self.relay is not None:
            await self.relay.close()
        # An empty group is the proof that no process is left; else all processes are asked.
        if self.group is not None and self.group.remove() and not self._folders():
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
        for folder in self._folders():
            with contextlib.suppress(OSError):
                remove(str(folder))
            left += [f"folder {folder}"] if folder.exists() else []
        return ", ".join(left)

    def _folders(self) -> list[Path]:
        folders = [self.place, self.relay.folder if self.relay else None]
        return [folder for folder in folders if folder is not None]
