"""When nothing is promoted: the windows of the configuration, and a freeze that a human set."""

from ouroboros.config import Limits
from ouroboros.model.state import State
from ouroboros.model.windows import end_of_freeze


def freeze_end(state: State, limits: Limits, now_ns: int) -> int:
    """Return when the freeze that holds at `now_ns` ends (UTC ns), or 0 where none holds."""
    end = end_of_freeze(limits.freeze, limits.timezone, now_ns)
    ordered = state.frozen.until_ns if state.frozen else 0
    return max(end, ordered) if ordered > now_ns else end
