"""The one table of legal moves: (phase, event) -> phase.

Everything that moves a candidate is a row here; every pair that is not listed raises
`IllegalMoveError` and leaves the phase as it was. The diagram in ARCHITECTURE.md is generated
from this table (`scripts/diagram`).

Two rules are visible in the table:

- *Intent before effect.* `PROMOTING`, `ROLLING_BACK` and `ROLLING_FORWARD` are entered by the
  intent and left only by the proof, so that recovery can tell "started" from "done".
- *After promotion there is no `errored`.* What has reached the user's branch can only be kept or
  rolled back; a rollback that fails is retried until it holds.
"""

from collections.abc import Mapping
from enum import StrEnum

from ouroboros.errors import IllegalMoveError


class Phase(StrEnum):
    """Where a candidate stands."""

    PROPOSED = "proposed"
    SCREENED = "screened"
    APPLIED = "applied"
    EVALUATING = "evaluating"
    EVALUATED = "evaluated"
    HELD = "held"
    ACCEPTED = "accepted"
    PROMOTING = "promoting"
    PROMOTED = "promoted"
    KEPT = "kept"
    ROLLING_BACK = "rolling_back"
    ROLLED_BACK = "rolled_back"
    ROLLING_FORWARD = "rolling_forward"
    REJECTED = "rejected"
    CANCELLED = "cancelled"
    ERRORED = "errored"


START = "proposed"
"""The event kind that brings a candidate into being (there is no phase before it)."""

MOVES: Mapping[Phase, Mapping[str, Phase]] = {
    Phase.PROPOSED: {
        "screened": Phase.SCREENED,
        "rejected": Phase.REJECTED,
        "cancelled": Phase.CANCELLED,
        "errored": Phase.ERRORED,
    },
    Phase.SCREENED: {
        "applied": Phase.APPLIED,
        "rejected": Phase.REJECTED,
        "cancelled": Phase.CANCELLED,
        "errored": Phase.ERRORED,
    },
    Phase.APPLIED: {
        "evaluation_started": Phase.EVALUATING,
        "rejected": Phase.REJECTED,
        "cancelled": Phase.CANCELLED,
        "errored": Phase.ERRORED,
    },
    Phase.EVALUATING: {
        "evaluated": Phase.EVALUATED,
        "requeued": Phase.APPLIED,
        "cancelled": Phase.CANCELLED,
        "errored": Phase.ERRORED,
    },
    Phase.EVALUATED: {
        "accepted": Phase.ACCEPTED,
        "held": Phase.HELD,
        "rejected": Phase.REJECTED,
        "cancelled": Phase.CANCELLED,
        "errored": Phase.ERRORED,
    },
    Phase.HELD: {
        "approved": Phase.ACCEPTED,
        "overridden": Phase.ACCEPTED,  # past quorum and freezes, by an admin
        "endorsed": Phase.HELD,  # more people are needed
        "denied": Phase.REJECTED,
        "expired": Phase.REJECTED,
        "cancelled": Phase.CANCELLED,
    },
    Phase.ACCEPTED: {
        "promotion_started": Phase.PROMOTING,
        "promotion_blocked": Phase.HELD,
        "rebased": Phase.APPLIED,
        "rejected": Phase.REJECTED,
        "cancelled": Phase.CANCELLED,
        "errored": Phase.ERRORED,
    },
    Phase.PROMOTING: {
        "promoted": Phase.PROMOTED,
        "promotion_blocked": Phase.HELD,
        "rebased": Phase.APPLIED,
    },
    Phase.PROMOTED: {
        "kept": Phase.KEPT,
        "rollback_started": Phase.ROLLING_BACK,
    },
    Phase.KEPT: {
        "rollback_started": Phase.ROLLING_BACK,
    },
    Phase.ROLLING_BACK: {
        "rollback_started": Phase.ROLLING_BACK,  # a renewed intent: the branch moved meanwhile
        "rolled_back": Phase.ROLLED_BACK,
    },
    Phase.ROLLED_BACK: {
        "roll_forward_started": Phase.ROLLING_FORWARD,
    },
    Phase.ROLLING_FORWARD: {
        "rolled_forward": Phase.KEPT,
        "roll_forward_failed": Phase.ROLLED_BACK,
    },
    Phase.REJECTED: {},
    Phase.CANCELLED: {},
    Phase.ERRORED: {},
}

FINAL = frozenset(
    {Phase.ROLLED_BACK, Phase.REJECTED, Phase.CANCELLED, Phase.ERRORED, Phase.KEPT},
)
"""Phases in which nothing more happens by itself.

A kept candidate may still be rolled back, and one that was rolled back brought back, by a human.
"""

MOVING = frozenset({Phase.PROMOTING, Phase.ROLLING_BACK, Phase.ROLLING_FORWARD})
"""Phases between an intent and its proof."""

IN_FLIGHT = frozenset(Phase) - FINAL - {Phase.HELD, Phase.PROMOTED}
"""Phases in which the engine has work to do now."""


def step(phase: Phase, kind: str) -> Phase:
    """Return the phase after an event of `kind`.

    Raises:
        IllegalMoveError: the table has no such row.
    """
    try:
        return MOVES[phase][kind]
    except KeyError:
        legal = ", ".join(sorted(MOVES[phase])) or "nothing: it is final"
        raise IllegalMoveError(
            f"'{kind}' is not possible while the candidate is {phase.value} (possible: {legal}).",
        ) from None
