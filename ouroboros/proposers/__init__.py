"""Who has ideas. A proposer looks at the baseline and returns one proposal, or None.

Contract, also the contract suite in `tests/contract/test_proposers.py`:

- `propose` is asked once per proposal; returning None means "no idea left for this baseline".
- It never sees secrets, the ledger's path or the user's work tree: `Context.tree` is a read-only
  export of the baseline.
- It never proposes an idea listed in `Context.tried`, and never touches a protected path.
- It may raise `ProposerError`; the cycle records it and goes on with the next proposer.
- Timeouts are the caller's: `propose` must be cancellable, and leave no process behind.
"""

from pathlib import Path
from typing import Protocol

import msgspec

from ouroboros.config import Config
from ouroboros.model.progress import HotSpot
from ouroboros.model.proposal import Proposal


class PastOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """How an earlier candidate ended, for proposers that learn. Text is data, never instruction."""

    idea: str
    title: str
    phase: str
    reasons: tuple[str, ...]
    change: float | None


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What a proposer may know.

    Attributes:
        base: the baseline commit.
        tree: folder that holds the baseline's files; read-only, gone after the call.
        hot_spots: functions that the benchmarks spend time in, hottest first.
        tried: ideas that were proposed before, whatever became of them.
        outcomes: the newest past outcomes, newest first.
        config: the configuration in force.
    """

    base: str
    tree: Path
    hot_spots: tuple[HotSpot, ...]
    tried: frozenset[str]
    outcomes: tuple[PastOutcome, ...]
    config: Config


class Proposer(Protocol):
    """One source of proposals."""

    name: str

    async def propose(self, context: Context) -> Proposal | None:
        """Return the most promising idea that was not tried, or None."""
        ...
