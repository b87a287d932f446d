"""Under which policy a candidate is judged: that of its proposal, and what protects of today's.

Policy is never retroactive: margins, error rates and benchmarks are those that were in force when
the candidate was proposed, so that nobody can move the bar once he has seen the numbers. What
only protects is obeyed at once: the stricter mode, the stricter limits, the freezes of today.
"""

from msgspec.structs import replace

from ouroboros.config import Config, Limits, Mode

_MODES = (Mode.OBSERVE, Mode.SUPERVISED, Mode.AUTONOMOUS)
"""Strictest first."""


def stricter(one: Mode, other: Mode) -> Mode:
    """Return the mode of the two that lets the engine do less by itself."""
    return min(one, other, key=_MODES.index)


def in_force(then: Config, now: Config) -> Config:
    """Return the configuration under which a candidate is judged.

    Args:
        then: the policy when it was proposed.
        now: the policy at the moment of judging.
    """
    governor = replace(
        then.governor,
        mode=stricter(then.governor.mode, now.governor.mode),
        limits=_stricter_limits(then.governor.limits, now.governor.limits),
    )
    return replace(then, governor=governor)


def _stricter_limits(then: Limits, now: Limits) -> Limits:
    """Return today's freezes, and of everything that has an order the stricter one."""
    return Limits(
        promotions_per_day=min(then.promotions_per_day, now.promotions_per_day),
        promotions_per_proposer=min(then.promotions_per_proposer, now.promotions_per_proposer),
        freeze=now.freeze,
        timezone=now.timezone,
        quorum=max(then.quorum, now.quorum),
        reviewed=tuple(dict.fromkeys((*then.reviewed, *now.reviewed))),
        reviewed_quorum=max(then.reviewed_quorum, now.reviewed_quorum),
        rollbacks_in_a_row=min(then.rollbacks_in_a_row, now.rollbacks_in_a_row),
    )


def blocked(mode: Mode, *, approved: bool) -> str:
    """Return why an accepted candidate may not be promoted in the mode of now; empty if it may."""
    if mode is Mode.OBSERVE:
        return "The mode is observe now: nothing is ever applied."
    if mode is Mode.SUPERVISED and not approved:
        return "The mode is supervised now: every promotion needs a human."
    return ""
