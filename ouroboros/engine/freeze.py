"""Freeze windows in the engine: what is accepted waits, and people see until when."""

import asyncio
import contextlib

from ouroboros.engine.core import Core
from ouroboros.governor.freezes import freeze_end
from ouroboros.model.phase import Phase
from ouroboros.model.progress import Progress
from ouroboros.model.state import State
from ouroboros.model.windows import moment_text

STAGE = "frozen"
_SECOND = 1_000_000_000
_LOOK_AGAIN_S = 60.0
"""A clock that was set must not prolong a freeze for ever."""


def frozen_until(core: Core) -> int:
    """Return when the freeze in force ends (UTC ns), or 0."""
    return freeze_end(core.state, core.config.config.governor.limits, core.now())


class Freeze:
    """Knows who waits for the end of a freeze."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.waiting: set[str] = set()
        """Accepted candidates that wait now."""

    async def over(self, name: str) -> None:
        """Return when nothing is frozen, or this candidate does not wait for it (any more)."""
        core = self._core
        try:
            while (until := frozen_until(core)) and self._waits(core.state, name):
                text = f"until {moment_text(until, core.config.config.governor.limits.timezone)}"
                core.report(Progress(candidate=name, stage=STAGE, text=text))
                if name not in self.waiting:
                    self.waiting.add(name)
                    await core.recorder.touch()  # a cycle does not wait for it
                await self._changed(name, until)
        finally:
            self.waiting.discard(name)

    async def _changed(self, name: str, until: int) -> None:
        core = self._core

        def due(state: State) -> bool:
            return frozen_until(core) != until or not self._waits(state, name)

        left = max((until - core.now()) / _SECOND, 0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(left, _LOOK_AGAIN_S)):
                await core.recorder.wait_for(due)

    def _waits(self, state: State, name: str) -> bool:
        c = state.candidates[name]
        return c.phase is Phase.ACCEPTED and not (c.overridden or c.to_be_held)
