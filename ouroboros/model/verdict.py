"""The governor's answer: a `Verdict` with machine-readable reasons and the evidence behind it."""

from enum import StrEnum

import msgspec

from ouroboros.model.metric import Noise


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
    log-ratios of coin-ordered pairs (see `ouroboros.governor.compare`). For `scale` `difference`
    they and `margin` are in `unit` instead. `direction` says which way is better, `source` who said
    the numbers (a `Source`), `noise` the robust deviation of the pairs, on the scale of `change`.
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
    unit: str = ""
    direction: str = "lower"
    scale: str = "ratio"
    source: str = "harness"
    noise: float | None = None


def confirmed(c: Comparison) -> bool:
    """Whether a comparison's estimate may be called a gain.

    Only an objective's confirmation on fresh pairs (the screening estimate of what was accepted
    flatters it: the winner's curse), or exact numbers, which have no noise to be lucky with.
    """
    exact = c.change is not None and c.lower == c.change == c.upper
    return c.role == "objective" and (c.stage == "confirm" or (exact and c.stage == "screen"))


class Context(msgspec.Struct, frozen=True, kw_only=True):
    """What steers an evaluation besides plan and policy; fixed and written when it starts.

    Attributes:
        test: number of this test among all of this target, from 1; a continued one has the number
            of the first.
        discoveries: how many earlier candidates the evidence wanted to promote.
        alpha_improve: level of "improved", before it is split over the objectives.
        anchor: commit of the anchor; empty where it is the baseline itself, or not asked for.
        continues: candidate whose evidence this one goes on with, or empty.
        noise: the calibrations that were in force.
        too_noisy: benchmarks and challenges that are not measured on this machine, by `noise`.
    """

    test: int
    discoveries: int
    alpha_improve: float
    anchor: str = ""
    continues: str = ""
    noise: tuple[Noise, ...] = ()
    too_noisy: tuple[str, ...] = ()


class Moment(msgspec.Struct, frozen=True, kw_only=True):
    """What the governor knew when it answered: UTC ns, and promotions without a human in 24 h."""

    now_ns: int
    promotions: int = 0
    promotions_of_proposer: int = 0


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
    moment: Moment | None = None
    """When and amid what it was answered; None in verdicts older than it."""
