"""Margins and error rates of one comparison, from the configuration. Pure."""

import msgspec

from ouroboros.config import Config
from ouroboros.governor.specs import in_pairs, objectives
from ouroboros.model.evaluation import Purpose, Stage
from ouroboros.model.metric import MetricSpec

ANCHOR_PAIRS = 40
"""Pairs of a measurement whose purpose is an estimate (head against the anchor)."""


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """What one series is judged by.

    `metrics` are those of which each pair has a value, objectives first. `alpha_improve` is split
    over the objectives already. Whether a gain is looked for (`gains`), whether an objective that
    is proven slower has regressed before it is proven beyond its margin (`losses`), whether a
    hopeless search is given up (`futility`) and whether exactly `max_pairs` are taken (`fixed`)
    follow from stage and purpose.
    """

    benchmark: str
    metrics: tuple[MetricSpec, ...]
    alpha_accept: float
    alpha_improve: float
    alpha_reject: float
    alpha_futile: float
    min_pairs: int
    max_pairs: int
    accept_neutral: bool
    gains: bool = True
    losses: bool = True
    futility: bool = True
    fixed: bool = False


def rule_for(
    config: Config,
    name: str,
    stage: Stage,
    *,
    purpose: Purpose = Purpose.CANDIDATE,
    alpha_improve: float | None = None,
) -> Rule:
    """Return the rule of one benchmark or challenge at one stage.

    Args:
        config: the configuration in force.
        name: as the series is named.
        stage: `anchor` asks only whether nothing is worse than the margin.
        purpose: of the evaluation. A watch looks for no gain and gives nothing up.
        alpha_improve: level of "improved" before it is split over all objectives; None means that
            of `[governor]`.
    """
    governor = config.governor
    level = governor.alpha_improve if alpha_improve is None else alpha_improve
    fixed = purpose is Purpose.ANCHOR or stage is Stage.CALIBRATE
    searching = purpose is Purpose.CANDIDATE and stage in {Stage.SCREEN, Stage.CONFIRM}
    most = governor.max_pairs
    if fixed:
        most = ANCHOR_PAIRS if purpose is Purpose.ANCHOR else governor.calibration.pairs
    return Rule(
        benchmark=name,
        metrics=in_pairs(config, name),
        alpha_accept=governor.alpha_accept,
        alpha_improve=level / max(1, objectives(config)),
        alpha_reject=governor.alpha_reject,
        alpha_futile=governor.alpha_futile,
        min_pairs=governor.min_pairs,
        max_pairs=most,
        accept_neutral=governor.accept_neutral,
        gains=searching or fixed,
        losses=purpose is not Purpose.CANDIDATE or stage is not Stage.ANCHOR,
        # Where "harmless" suffices, it is worth proving after a gain has become implausible.
        futility=searching and not governor.accept_neutral,
        fixed=fixed,
    )
