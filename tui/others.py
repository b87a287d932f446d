"""What other people do, as a notice: several cockpits at once see each other act. Pure."""

from ouroboros.model import events as ev
from ouroboros.model.describe import describe
from ouroboros.model.entry import Stored
from ouroboros.model.text import safe_line
from tui.view import Item, View

_ACTS = (
    ev.Paused
    | ev.Resumed
    | ev.Approved
    | ev.Denied
    | ev.Cancelled
    | ev.RollbackStarted
    | ev.RollForwardStarted
    | ev.LimitsChanged
    | ev.FreezeSet
    | ev.HoldAsked
    | ev.Overridden
    | ev.AlertSilenced
    | ev.AlertAcked
    | ev.AnchorMoved
    | ev.WorkerDrained
)


def told(before: View, item: Item) -> str:
    """Return what another person just did; empty for all else, and for what was replayed."""
    if not isinstance(item, Stored) or item.entry.seq <= before.state.seq:
        return ""
    entry = item.entry
    if not isinstance(entry.event, _ACTS) or entry.actor == before.actor:
        return ""
    if not entry.actor.startswith(("uid:", "token:")):
        return ""
    return f"{safe_line(entry.actor, limit=40)}: {describe(entry.event)}"
