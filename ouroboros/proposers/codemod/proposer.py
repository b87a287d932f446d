"""The proposer itself: read, ask ruff, rank, and hand out the best idea that was not tried.

Nothing is kept between calls: the tree may be another one each time, and a syntax tree is many
times larger than its file. Parsing and matching run in a thread, so that the engine's loop goes
on; ruff runs as a process that ends with the call, whatever ends the call.
"""

import asyncio
import time
from collections.abc import Callable, Sequence

from ouroboros.model.progress import HotSpot
from ouroboros.model.proposal import Cost, Proposal
from ouroboros.proposers import Context
from ouroboros.proposers.codemod import ideas, ruff_fixes, source


class CodemodProposer:
    """Semantics-preserving rewrites of hot functions; needs no model and no network."""

    name = "codemod"

    def __init__(self, *, clock: Callable[[], int] = time.monotonic_ns) -> None:
        """Take the clock (nanoseconds) by which the cost of a proposal is counted."""
        self._clock = clock

    async def propose(self, context: Context) -> Proposal | None:
        """Return the most promising idea that was not tried, or None.

        Raises:
            ProposerError: ruff cannot be run.
        """
        started = self._clock()
        if not context.config.proposers.codemod.enabled:
            return None
        spots = _eligible(context)
        texts = await asyncio.to_thread(_read, context, spots)
        version = await asyncio.to_thread(ruff_fixes.target_version, context.tree)
        found = {
            path: await ruff_fixes.findings(text, path, version) for path, text in texts.items()
        }
        proposal = await asyncio.to_thread(_best, context, spots, texts, found)
        if proposal is None:
            return None
        idea, diff = proposal
        return Proposal(
            proposer=self.name,
            title=idea.title,
            rationale=idea.rationale,
            base=context.base,
            diff=diff,
            idea=idea.name,
            predicted_gain=round(idea.promise, 4),
            cost=Cost(wall_ns=self._clock() - started),
        )


def _eligible(context: Context) -> list[HotSpot]:
    """Return the spots in files that may be changed: enough of them to find the functions."""
    config = context.config
    wanted = config.proposers.codemod.hot_functions * 3  # comprehensions are spots of their own
    warm = [s for s in context.hot_spots if max(s.share, s.cumulative) >= ideas.COLD]
    warm.sort(key=lambda s: -max(s.share, s.cumulative / 2))
    return [s for s in warm if source.may_change(s.path, config)][:wanted]


def _read(context: Context, spots: Sequence[HotSpot]) -> dict[str, str]:
    texts = {path: source.read(context.tree, path) for path in dict.fromkeys(s.path for s in spots)}
    return {path: text for path, text in texts.items() if text is not None}


def _best(
    context: Context,
    spots: Sequence[HotSpot],
    texts: dict[str, str],
    found: dict[str, tuple[ruff_fixes.Finding, ...]],
) -> tuple[ideas.Idea, str] | None:
    parsed = {path: ideas.parse(path, text, found[path]) for path, text in texts.items()}
    sources = {path: file for path, file in parsed.items() if file is not None}
    limit = context.config.proposers.codemod.hot_functions
    for idea in ideas.ranked(ideas.hottest(sources, spots, limit)):
        if idea.name in context.tried:
            continue
        new = idea.text()
        if new is not None:
            return idea, source.unified(idea.source.path, idea.source.text, new)
    return None
