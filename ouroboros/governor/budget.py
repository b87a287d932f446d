"""How much evidence a gain needs, given how many were looked for before. Pure.

With a level of 5 % for each candidate, a thousand candidates without any gain bring fifty false
ones. `confirm` answers that by proving each gain twice. `e-lond` bounds the share of false ones
among all that were accepted, however the candidates depend on each other (Xu and Ramdas 2024): the
t-th test must reach 1 / (q gamma_t (D + 1)), where D is how many earlier ones succeeded.
"""

import math

from ouroboros.config import Fdr, Governor
from ouroboros.errors import Misuse

_NORM = 0.4739
"""The sum of 1 / ((t + 1) ln^2 (t + 1)) over all t is 2.10974...; 0.474 is a hair too much."""


def gamma(test: int) -> float:
    """Return the t-th test's share of the budget; all of them together are at most 1.

    Args:
        test: from 1.
    """
    if test < 1:
        raise Misuse(f"tests are numbered from 1, got {test}")
    return _NORM / ((test + 1) * math.log(test + 1) ** 2)


def level(config: Governor, *, test: int, discoveries: int) -> float:
    """Return the level of "improved" for one candidate, before it is split over objectives.

    Args:
        config: `[governor]`.
        test: number of this test among all of this target, from 1. A continued one has the number
            of the first.
        discoveries: how many earlier ones the evidence wanted to promote.
    """
    if discoveries < 0:
        raise Misuse(f"expected no negative number of discoveries, got {discoveries}")
    share = config.budget.fdr_level * gamma(test) * (discoveries + 1)
    if config.budget.fdr is Fdr.CONFIRM:
        return config.alpha_improve
    return min(config.alpha_improve, share)
