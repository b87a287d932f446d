"""What is happening right now: lossy, never in the ledger, coalesced before it is sent."""

import msgspec

from ouroboros.model.verdict import Comparison


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """Where a running evaluation stands.

    `stage` is `prepare`, `baseline-tests`, `tests`, `inverted`, `coverage`, `proof`,
    `instructions:BENCHMARK`, `screen:BENCHMARK`, `confirm:BENCHMARK`, `anchor` (its tree is being
    made) or `anchor:BENCHMARK` (of a challenge `screen:challenge:NAME`); `done` of
    `total` counts tests or pairs (`total` 0 = unknown). Of no candidate (empty) is the stage
    `ledger.verify`. `comparison` is the sequential comparison
    as it stands after `done` pairs.
    """

    candidate: str
    stage: str
    done: int = 0
    total: int = 0
    text: str = ""
    comparison: Comparison | None = None


VERIFYING = "ledger.verify"
"""Stage of a verification of the ledger, which is of no candidate: entries done, of all."""


class Gap(msgspec.Struct, frozen=True, kw_only=True):
    """`missed` events of a lossy `topic` were left out: newer ones came before they were read."""

    topic: str
    missed: int


class HotSpot(msgspec.Struct, frozen=True, kw_only=True):
    """A function of the target that the benchmark spends time in, hottest first in a profile.

    `path` is relative to the tree; `line` is the `def` line; `share` is the function's own time as
    a fraction of the whole profile; `cumulative` includes its callees.
    """

    path: str
    function: str
    line: int
    calls: int
    share: float
    cumulative: float
