"""The one door by which adapters come in: entry points, for built-ins and strangers alike.

Three grains: `names` imports nothing, `load` imports one and raises, and a caller that wants all
of them loads one by one and reports each failure by name.
"""

from importlib.metadata import entry_points
from typing import Any

from ouroboros.errors import MachineError

PROPOSERS = "ouroboros.proposers"
EXECUTORS = "ouroboros.executors"
ALERTS = "ouroboros.alerts"


def names(group: str) -> tuple[str, ...]:
    """Return the registered names of a group, sorted."""
    return tuple(sorted({e.name for e in entry_points(group=group)}))


def load(group: str, name: str) -> Any:
    """Import and return the object registered under a name.

    Raises:
        MachineError: nothing is registered under it, or it cannot be imported.
    """
    found = [e for e in entry_points(group=group) if e.name == name]
    if not found:
        known = ", ".join(names(group)) or "none"
        raise MachineError(f"There is no '{name}' in {group}; known: {known}.")
    if len({e.value for e in found}) > 1:
        where = ", ".join(sorted(f"{e.value} ({e.dist.name if e.dist else '?'})" for e in found))
        raise MachineError(
            f"'{name}' in {group} is registered twice: {where}.",
            hint="Uninstall one of the packages.",
        )
    try:
        return found[0].load()
    except Exception as error:  # a stranger's import may raise anything; it is named, not hidden
        package = found[0].dist.name if found[0].dist else found[0].value
        raise MachineError(
            f"'{name}' of package {package} cannot be loaded: {error!r}.",
            hint="Repair or uninstall that package.",
        ) from error
