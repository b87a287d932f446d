"""The circuit breaker: too many faults or rollbacks in a row stop the engine. Pure."""

from ouroboros.config import Config
from ouroboros.model.oversight import Circuit
from ouroboros.model.phase import Phase
from ouroboros.model.state import State, errors_in_a_row, rollbacks_in_a_row


def circuit_of(state: State, config: Config) -> Circuit:
    """Return what was counted since the last resume, and whether it is too much."""
    errors, rollbacks = errors_in_a_row(state), rollbacks_in_a_row(state)
    most_errors = config.engine.max_errors_in_a_row
    most_rollbacks = config.governor.limits.rollbacks_in_a_row
    why = ""
    if rollbacks >= most_rollbacks:
        why = (
            f"{rollbacks} promotions in a row were rolled back by the watch. Find out why, then "
            "resume."
        )
    if errors >= most_errors:
        why = f"{errors} candidates in a row ended in error; the last: {_last_error(state)}"
    return Circuit(
        errors=errors,
        max_errors=most_errors,
        rollbacks=rollbacks,
        max_rollbacks=most_rollbacks,
        open=why,
    )


def _last_error(state: State) -> str:
    failed = [c for c in state.candidates.values() if c.phase is Phase.ERRORED]
    newest = max(failed, key=lambda c: c.since_ns)
    return newest.reasons[0].text if newest.reasons else "unknown"
