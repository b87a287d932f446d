"""Which candidates are one idea: fingerprints of all diffs, in memory, made when first needed.

Diffs are in evidence files; after a restart they are read again, once, away from the event loop.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Sequence

from ouroboros.engine.core import Core
from ouroboros.errors import LedgerError, NotFoundError
from ouroboros.governor.similar import Fingerprint, alike, fingerprint
from ouroboros.model.state import Candidate

_log = logging.getLogger(__name__)

UNNAMED = "diff:"
"""Begins the idea of a proposal that its proposer gave no name."""


class Ideas:
    """Finds earlier candidates whose diffs are alike; belongs to the event loop's thread."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._prints: dict[str, Fingerprint] = {}
        self._by_files: dict[frozenset[str], set[str]] = defaultdict(set)
        """Hashes of diffs, by the files that they change: only those are compared."""
        self._unreadable: set[str] = set()
        self._reading = asyncio.Lock()

    async def alike(self, c: Candidate, threshold: float) -> frozenset[str]:
        """Return the ids of all candidates but itself that are the same idea as `c`.

        Raises:
            LedgerError, NotFoundError: its own diff cannot be read.
        """
        every = tuple(self._core.state.candidates.values())
        async with self._reading:
            await self._read(c, every)
        mine = self._prints[c.diff]
        rivals = self._by_files.get(mine.files, set())
        near = {diff for diff in rivals if alike(mine, self._prints[diff], threshold)}
        return frozenset(
            o.id for o in every if o.id != c.id and o.diff in near and not _named_apart(c, o)
        )

    async def _read(self, c: Candidate, every: Sequence[Candidate]) -> None:
        missing = {o.diff for o in every} - set(self._prints)
        for diff in missing:
            try:
                made = await asyncio.to_thread(self._make, diff)
            except (LedgerError, NotFoundError) as error:
                if diff == c.diff:
                    raise
                if diff not in self._unreadable:  # tried again at the next candidate
                    _log.warning("a diff that cannot be read is like no other: %s", error)
                self._unreadable.add(diff)
                continue
            self._prints[diff] = made
            self._by_files[made.files].add(diff)

    def _make(self, diff: str) -> Fingerprint:
        content = self._core.deps.evidence.get(diff)
        return fingerprint(content.decode(errors="surrogateescape"))


def _named_apart(one: Candidate, other: Candidate) -> bool:
    """Whether the proposer itself says that both are two ideas (one rewrite in two places)."""
    named = not one.idea.startswith(UNNAMED) and not other.idea.startswith(UNNAMED)
    return named and one.proposer == other.proposer and one.idea != other.idea
