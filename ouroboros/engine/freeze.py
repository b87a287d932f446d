"""Freeze windows in the engine: what is accepted waits, and people see until when."""

import asyncio
import contextlib

from ouroboros.engine.core import Core
from ouroboros.model.phase import Phase
from ouroboros.model.progress import Progress
from ouroboros.model.state import State
from ouroboros.model.windows import end_of_freeze, moment_text

STAGE = "frozen"
_SECOND = 1_000_000_000
_LOOK_AGAIN_S = 60.0
"""A clock that was set must not prolong a freeze for ever."""


def frozen_until(core: Core) -> int:
    """Return when the freeze in force ends (UTC ns), or 0."""
    limits = core.config.config.governor.limits
    return end_of_freeze(limits.freeze, limits.timezone, core.now())


class Freeze:
    """Knows who waits for the end of a freeze."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.waiting: set[str] = set()
        """Accepted candidates that wait now."""

    async def over(self, name: str) -> None:
        """Return when nothing is frozen, or the candidate is not accepted any more."""
        core = self._core
        try:
            while (until := frozen_until(core)) and self._accepted(core.state, name):
                text = f"until {moment_text(until, core.config.config.governor.limits.timezone)}"
                core.report(Progress(candidate=name, stage=STAGE, text=text))
                if name not in self.waiting:
                    self.waiting.add(name)
                    await core.recorder.touch()  # a cycle does not wait for it
                await self._changed(name, until, core.config.hash)
        finally:
            self.waiting.discard(name)

    async def _changed(self, name: str, until: int, policy: str) -> None:
        core = self._core

        def due(state: State) -> bool:
            other = core.config.hash != policy or not self._accepted(state, name)
            return other or core.now() >= until

        left = max((until - core.now()) / _SECOND, 0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(left, _LOOK_AGAIN_S)):
                await core.recorder.wait_for(due)

    def _accepted(self, state: State, name: str) -> bool:
        return state.candidates[name].phase is Phase.ACCEPTED
