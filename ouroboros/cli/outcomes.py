"""Exit codes of `ouroboros wait`: the outcome of a candidate, told apart from every error.

They start at 20 because 1 to 12 say that the *command* failed (`ouroboros/errors.py`): a script
must be able to tell "the candidate was rejected" from "you may not ask".
"""

from ouroboros.model.phase import Phase

_CODES = {
    Phase.PROMOTED: 0,
    Phase.KEPT: 0,
    Phase.HELD: 20,
    Phase.REJECTED: 21,
    Phase.CANCELLED: 22,
    Phase.ERRORED: 23,
    Phase.ROLLED_BACK: 24,
}


def outcome_code(phase: Phase) -> int:
    """Return the exit code for the phase in which the waiting ended; 25 if it is still moving."""
    return _CODES.get(phase, 25)
