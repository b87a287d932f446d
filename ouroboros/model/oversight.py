"""What the governor may do now: limits in force, budgets used, the circuit, the total gain."""

from collections.abc import Mapping

import msgspec

from ouroboros.model.events import Setting
from ouroboros.model.metric import Noise
from ouroboros.model.state import Anchor, Standing


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """One threshold in force, as it would stand in the file.

    `overridden` tells that a human changed it at run time; `file` is then what the file says.
    """

    key: str
    value: Setting
    overridden: bool = False
    file: Setting = None


class Circuit(msgspec.Struct, frozen=True, kw_only=True):
    """How near the engine is to stopping itself: counts since the last resume, and their limits.

    `open` says why it has stopped itself, or is empty.
    """

    errors: int
    max_errors: int
    rollbacks: int
    max_rollbacks: int
    open: str = ""


class GovernorStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The governor at one moment.

    Attributes:
        mode: how far the engine may go by itself.
        policy: hash of the policy in force.
        limits: every threshold that can be changed at run time, sorted by key.
        anchor: the version that bounds cumulative loss.
        standing: head against anchor as last measured; the only total that is a gain.
        head: the newest version's commit; the standing is of now where it names the same.
        tests: how many ideas were tested.
        discoveries: how many of them the evidence wanted to promote.
        next_level: level of "improved" of the next test, before it is split over objectives.
        promotions: without a human in the last 24 hours.
        promotions_of: the same by proposer.
        circuit: errors and rollbacks in a row.
        noise: the newest calibrations.
        frozen_until_ns: when the freeze ends that holds now (UTC ns; 0: none).
        frozen_until: the same in the timezone of the windows, or empty.
        waiting: accepted candidates that wait for that.
        frozen_by: who set a freeze besides the windows, or empty.
        frozen_reason: why he did.
        now_ns: when this was said.
    """

    mode: str
    policy: str
    limits: tuple[Limit, ...]
    anchor: Anchor | None
    standing: Standing | None
    head: str
    tests: int
    discoveries: int
    next_level: float
    promotions: int
    promotions_of: Mapping[str, int]
    circuit: Circuit
    noise: tuple[Noise, ...]
    frozen_until_ns: int
    frozen_until: str
    waiting: tuple[str, ...]
    now_ns: int
    frozen_by: str = ""
    frozen_reason: str = ""

    def value(self, key: str) -> Setting:
        """Return the value in force of a key that can be changed at run time."""
        return next((limit.value for limit in self.limits if limit.key == key), None)


class Recomputed(msgspec.Struct, frozen=True, kw_only=True):
    """One verdict of the ledger, computed again from the entries before it.

    `outcome` is `same`, `differs` (`field` and `text` say in what), `unknown_rule` (an older rule
    than this version computes) or `missing` (what it was computed from cannot be read).
    """

    candidate: str
    seq: int
    rule: str
    outcome: str
    field: str = ""
    text: str = ""


SAME, DIFFERS, UNKNOWN_RULE, MISSING = "same", "differs", "unknown_rule", "missing"
"""The outcomes of a recomputation."""
