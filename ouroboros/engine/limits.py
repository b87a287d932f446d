"""Which policy is in force: the file, and what a human changed at run time.

The policy changes in two ways, both in the ledger before they act: the file is read again before
each cycle, and a human sets limits. One lock keeps the two apart. Overrides are state, so that
they survive restarts and outlive changes of the file; `core.config` is always the file with them.
What is kept as evidence restores a policy whole (`ouroboros.config.parse_policy`).
"""

import asyncio
from collections.abc import Mapping

from ouroboros.config import Loaded, override
from ouroboros.engine.core import Core, reason_of
from ouroboros.engine.policies import Policies
from ouroboros.engine.recorder import ENGINE
from ouroboros.errors import ConfigError, ConflictError, InvalidParamsError
from ouroboros.model import events as ev
from ouroboros.model.phase import Phase


class LiveLimits:
    """Owns `core.config`."""

    def __init__(self, core: Core, policies: Policies) -> None:
        self._core = core
        self._policies = policies
        self._lock = asyncio.Lock()

    async def adopt(self) -> None:
        """At start: put the overrides of the ledger on the file, and record what is in force.

        Raises:
            ConfigError: the overrides do not fit the file as it is now.
        """
        core = self._core
        try:
            core.config = override(core.config, core.state.overrides)
        except ConfigError as error:
            raise ConfigError(
                f"What was changed at run time does not fit the file any more: {error.message}",
                hint="Change the file so that it fits, start, then 'ouroboros limits reset' it.",
            ) from None
        text = await core.put_evidence(core.config.policy)
        if core.state.config_hash != core.config.hash:
            await core.recorder.record(ev.ConfigLoaded(config_hash=core.config.hash, text=text))
        for candidate in core.state.candidates.values():
            if candidate.phase is Phase.HELD:
                await self._policies.of(candidate)  # so that `known` knows it

    async def reload(self) -> None:
        """Take up a changed file; a bad one is told and the old one stays in force."""
        try:
            await self.take_up(actor=ENGINE)
        except ConfigError as error:
            await self._core.alert("config_refused", "warning", reason_of(error))

    async def take_up(self, *, actor: str) -> Loaded:
        """Read the file again now; returns what is in force then.

        Raises:
            ConfigError: the file is not valid, and the old one stays in force.
        """
        core = self._core
        async with self._lock:
            file = await asyncio.to_thread(core.deps.load_config)
            loaded = override(file, core.state.overrides)
            if loaded.hash != core.config.hash:
                text = await core.put_evidence(loaded.policy)
                self._policies.remember(loaded)
                event = ev.ConfigLoaded(config_hash=loaded.hash, text=text)
                await core.recorder.record(event, actor=actor)
                await self._enforce(loaded)
            return core.config

    async def change(
        self, changes: Mapping[str, ev.Setting], *, actor: str, reason: str, expect_config: str
    ) -> Loaded:
        """Change thresholds at run time; in the ledger before it acts.

        Raises:
            InvalidParamsError: nothing to change, or no reason.
            ConflictError: another policy is in force than the caller saw.
            ConfigError: a key or value that is not possible.
        """
        core = self._core
        if not changes:
            raise InvalidParamsError("No limit is named.", hint="Give at least one KEY=VALUE.")
        if not reason.strip():
            raise InvalidParamsError(
                "A changed limit needs a reason.", hint="It is kept in the ledger with your name."
            )
        async with self._lock:
            if expect_config and expect_config != core.config.hash:
                raise ConflictError(
                    f"The policy in force is {core.config.hash[:12]}, not {expect_config[:12]} as "
                    "you saw it.",
                    hint="Look at 'ouroboros governor' again, then change what you see.",
                )
            loaded = override(core.config, changes)
            if loaded.overrides == core.config.overrides:
                return core.config  # nothing that differs: nothing to write down
            text = await core.put_evidence(loaded.policy)
            event = ev.LimitsChanged(
                changes=dict(changes), config_hash=loaded.hash, text=text, reason=reason
            )
            self._policies.remember(loaded)  # an answer may come right after the entry
            await core.recorder.record(event, actor=actor)
            await self._enforce(loaded)
            return loaded

    async def _enforce(self, loaded: Loaded) -> None:
        core = self._core
        self._policies.remember(core.config)
        core.config = loaded
        await core.recorder.touch()  # whoever waits by a limit looks again
