"""The two trees of a comparison, by the names that samples and texts give them."""

from pathlib import Path

import msgspec

BASELINE, CANDIDATE = "baseline", "candidate"
SIDES = (BASELINE, CANDIDATE)


class Sides(msgspec.Struct, frozen=True, kw_only=True):
    """The two trees, and the one whose generators and evaluators judge both.

    `judge` is the baseline's unless it is said: against the anchor, an older commit, today's judge
    is asked.
    """

    baseline: Path
    candidate: Path
    judge: Path | None = None

    def tree(self, side: str) -> Path:
        """Return the tree of a side."""
        return self.candidate if side == CANDIDATE else self.baseline

    @property
    def judging(self) -> Path:
        """The tree that evaluators and generators of inputs come from."""
        return self.judge or self.baseline

    def order(self, *, candidate_first: bool) -> tuple[str, str]:
        """Return the names in the order that the coin said."""
        return (CANDIDATE, BASELINE) if candidate_first else SIDES
