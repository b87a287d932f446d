"""The policies that were ever in force, by hash, read back from evidence when they are needed.

The ledger names the evidence of each policy where it came into force; nothing is kept in the
state, so that snapshots stay small, and what was read once is kept in memory.
"""

from ouroboros.config import Config, Loaded, parse
from ouroboros.engine.core import Core
from ouroboros.errors import ConfigError, NotFoundError
from ouroboros.governor.in_force import in_force
from ouroboros.model import events as ev
from ouroboros.model.state import Candidate

_PAGE = 200
_KINDS = ("config_loaded", "limits_changed")


class Policies:
    """Looks up policies; belongs to the event loop's thread."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._known: dict[str, Config | None] = {}
        """None: it cannot be read any more, which was told."""

    async def of(self, c: Candidate) -> Loaded:
        """Return the policy in force when the candidate was proposed.

        That of now where the entry says none (older ledgers), or where it cannot be read any more
        (a key that this version does not know): then a warning is raised, once.
        """
        now = self._core.config
        if c.policy in {"", now.hash}:
            return now
        if c.policy not in self._known:
            self._known[c.policy] = await self._read(c)
        config = self._known[c.policy]
        return now if config is None else Loaded(config=config, source=b"", hash=c.policy)

    async def judging(self, c: Candidate) -> Loaded:
        """Return the policy of the proposal, with what protects of today's."""
        then = await self.of(c)
        config = in_force(then.config, self._core.config.config)
        return Loaded(config=config, source=then.source, hash=then.hash)

    async def _read(self, c: Candidate) -> Config | None:
        core = self._core
        why = "the ledger does not name its text"
        for kind in _KINDS:
            text = await self._text(kind, c.policy)
            if not text:
                continue
            try:
                return parse(await core.get_evidence(text), origin="policy").config
            except (ConfigError, NotFoundError) as error:
                why = str(error)
        message = (
            f"The policy {c.policy[:12]} under which {c.id} was proposed cannot be read: {why} "
            "Candidates of that time are judged by the policy of now."
        )
        await core.alert("policy_unreadable", "warning", message, c.id)
        return None

    async def _text(self, kind: str, policy: str) -> str:
        """Return the evidence hash of the newest entry of a kind that put the policy in force."""
        core, before = self._core, None
        while True:
            page = await core.ledger_thread(
                core.deps.store.page, before=before, limit=_PAGE, kind=kind, candidate=None
            )
            for stored in page:
                event = stored.entry.event
                if isinstance(event, ev.ConfigLoaded | ev.LimitsChanged) and (
                    event.config_hash == policy
                ):
                    return event.text
            if len(page) < _PAGE:
                return ""
            before = page[-1].entry.seq
