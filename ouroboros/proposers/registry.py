"""Which proposers there are: entry points, for the built-in ones and a stranger's alike.

Names are read without importing anything; one is imported when it is asked for, and what goes
wrong then names the package that brought it.
"""

from collections.abc import Callable

from ouroboros import plugins
from ouroboros.errors import MachineError, ProposerError
from ouroboros.proposers import Proposer

GROUP = plugins.PROPOSERS


def names() -> tuple[str, ...]:
    """Return the names of all installed proposers, sorted."""
    return plugins.names(GROUP)


def load(name: str) -> Callable[[], Proposer]:
    """Import one proposer and return its class (or factory), not yet called.

    Raises:
        ProposerError: there is none by that name, its package cannot be imported, or what is
            registered cannot be called.
    """
    try:
        found = plugins.load(GROUP, name)
    except MachineError as error:
        raise ProposerError(error.message, hint=error.hint) from error
    if not callable(found):
        raise ProposerError(
            f"'{name}' in {GROUP} is a {type(found).__name__}, and cannot be called.",
            hint="Register the proposer's class: 'package.module:Class'.",
        )
    factory: Callable[[], Proposer] = found
    return factory
