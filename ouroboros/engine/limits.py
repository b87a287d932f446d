"""Which policy is in force: the file, what a human changed at run time, and what was before.

The policy changes in two ways, both in the ledger before they act: the file is read again before
each cycle, and a human sets limits. One lock keeps the two apart. Overrides are state, so that
they survive restarts and outlive changes of the file; `core.config` is always the file with them.
Candidates are judged by the policy under which they were proposed, which is kept as evidence under
its hash.
"""

import asyncio
import logging
from collections.abc import Mapping

from ouroboros.config import Config, Loaded, override, parse_policy
from ouroboros.engine.core import Core, reason_of
from ouroboros.errors import ConfigError, ConflictError, InvalidParamsError, NotFoundError
from ouroboros.model import events as ev
from ouroboros.model.state import Candidate

_log = logging.getLogger(__name__)


class LiveLimits:
    """Owns `core.config`; remembers earlier policies by their hash."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._known: dict[str, Config] = {}
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
            if candidate.phase == "held":
                await self.of(candidate)

    async def reload(self) -> None:
        """Take up a changed file; a bad one is told and the old one stays in force."""
        core = self._core
        async with self._lock:
            try:
                file = await asyncio.to_thread(core.deps.load_config)
                loaded = override(file, core.state.overrides)
            except ConfigError as error:
                await core.alert("config_refused", "warning", reason_of(error))
                return
            if loaded.hash != core.config.hash:
                text = await core.put_evidence(loaded.policy)
                await core.recorder.record(ev.ConfigLoaded(config_hash=loaded.hash, text=text))
                await self._enforce(loaded)

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
            await core.recorder.record(event, actor=actor)
            await self._enforce(loaded)
            return loaded

    async def _enforce(self, loaded: Loaded) -> None:
        core = self._core
        self._known[core.config.hash] = core.config.config
        core.config = loaded
        await core.recorder.touch()  # whoever waits by a limit looks again

    async def of(self, c: Candidate) -> Config:
        """Return the policy under which a candidate was proposed.

        Where it cannot be restored (evidence that is gone, or older than this version reads), the
        one in force serves; the log says so.
        """
        core = self._core
        if c.policy in {"", core.config.hash}:
            return core.config.config
        if c.policy not in self._known:
            try:
                self._known[c.policy] = parse_policy(await core.get_evidence(c.policy)).config
            except (ConfigError, NotFoundError) as error:
                _log.warning("the policy of %s cannot be restored: %s", c.id, error)
                return core.config.config
        return self._known[c.policy]

    def known(self, c: Candidate) -> Config:
        """Return the same without asking the disk: what `of` found before, else that in force."""
        return self._known.get(c.policy, self._core.config.config)
