"""The governor's answer: a `Verdict` with machine-readable reasons and the evidence behind it."""

from enum import StrEnum

import msgspec


class Decision(StrEnum):
    """What the governor answers."""

    ACCEPT = "accept"
    HOLD = "hold"
    REJECT = "reject"


class Outcome(StrEnum):
    """One metric's comparison. `neutral` = proven within the margin; `inconclusive` = unproven."""

    IMPROVED = "improved"
    NEUTRAL = "neutral"
    REGRESSED = "regressed"
    INCONCLUSIVE = "inconclusive"


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """One metric of one benchmark at one stage.

    `change`, `lower`, `upper` are relative changes of the candidate against the baseline
    (-0.12 = 12 % less), the bounds valid at any stopping time; `None` where no finite bound is
    known yet. `role` is `objective` or `guard`. Source of the test: sequential e-values on
    log-ratios of coin-ordered pairs (see `ouroboros.governor.compare`).
    """

    benchmark: str
    metric: str
    role: str
    stage: str
    outcome: Outcome
    pairs: int
    change: float | None
    lower: float | None
    upper: float | None
    margin: float
    text: str


class Reason(msgspec.Struct, frozen=True, kw_only=True):
    """Why: a stable code (`tests_failed`, `regressed`, `mode_supervised`, ...) and a sentence."""

    code: str
    text: str


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A pure function of evaluation, marks and policy; recomputable from the ledger.

    `rule` names the version of the rule that decided; `policy` is the hash of the policy in force.
    """

    decision: Decision
    reasons: tuple[Reason, ...]
    comparisons: tuple[Comparison, ...]
    rule: str
    policy: str
    wants_promotion: bool
    """True where the evidence alone would promote: a hold for a human's yes, not for doubt."""
    assurance: str = ""
    """What the checks prove about behaviour: an `Assurance`; empty in verdicts older than it."""
    containment: str = ""
    """What contained the runs, in words: backend, version, limits."""
