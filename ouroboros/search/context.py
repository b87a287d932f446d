"""What proposers are told, and in which order they are asked. Pure.

The parent is always the branch's head today; the archive, islands and the bandit of later search
strategies have their place here.
"""

from collections.abc import Sequence
from pathlib import Path

from ouroboros.config import Config
from ouroboros.model.phase import Phase
from ouroboros.model.progress import HotSpot
from ouroboros.model.state import State, confirmed_change
from ouroboros.model.text import safe_line
from ouroboros.proposers import Context, PastOutcome

OUTCOMES = 50
"""How many past outcomes a proposer is shown."""


def context_for(
    state: State,
    *,
    base: str,
    tree: Path,
    hot_spots: tuple[HotSpot, ...],
    config: Config,
) -> Context:
    """Return what a proposer may know."""
    return Context(
        base=base,
        tree=tree,
        hot_spots=hot_spots,
        tried=tried(state),
        outcomes=_outcomes(state),
        config=config,
    )


def tried(state: State) -> frozenset[str]:
    """Return the ideas that had their chance; one that ended in our own error had none."""
    return frozenset(c.idea for c in state.candidates.values() if c.phase is not Phase.ERRORED)


def _outcomes(state: State) -> tuple[PastOutcome, ...]:
    newest = list(state.candidates.values())[::-1][:OUTCOMES]
    return tuple(
        PastOutcome(
            idea=c.idea,
            title=safe_line(c.title),
            phase=c.phase.value,
            reasons=tuple(safe_line(r.text) for r in c.reasons),
            change=confirmed_change(c.verdict),
        )
        for c in newest
    )


def asking_order(names: Sequence[str], cycle: int) -> tuple[str, ...]:
    """Return the proposers in this cycle's order: each in turn is asked first."""
    if not names:
        return ()
    start = cycle % len(names)
    return (*names[start:], *names[:start])
