"""After entries were lost: what does git know that the ledger does not?

A ledger that was salvaged begins a new epoch with holes. The branch and the private refs hold
traces of what was lost: promotions and rollbacks with our trailers, candidates with refs. Whatever
the ledger does not know is named in an alert and never acted on; the numbers that it used are not
given again.
"""

from ouroboros.engine.core import Core
from ouroboros.model import events as ev
from ouroboros.model.state import State
from ouroboros.vcs.history import Ours

_LIMIT = 10_000
"""Commits of ours that are looked at."""
_LONGEST = 16
"""Digits: far more candidates than there will ever be."""
_NAMED = 20
"""Commits that an alert names; the entry has all of them."""


async def reconcile(core: Core) -> None:
    """Compare history and ledger once for each epoch, and tell what was found."""
    state, repo = core.state, core.deps.repository
    if state.epoch <= state.reconciled:
        return
    head = await core.git(repo.head, core.branch)
    found = await core.git(repo.ours, head, limit=_LIMIT)
    refs = await core.git(repo.list_candidate_refs)
    unknown = unknown_to(state, found)
    event = ev.Reconciled(
        epoch=state.epoch,
        unknown=tuple(one.commit for one in unknown),
        version=max((one.version for one in found), default=0),
        candidate=max((_number(ref.name) for ref in refs), default=0),
    )
    text = told(state, unknown)
    await core.alert("ledger_epoch", "critical", text)
    await core.recorder.record(event)


def unknown_to(state: State, found: tuple[Ours, ...]) -> tuple[Ours, ...]:
    """Return the commits that the ledger does not know as versions, oldest first."""
    known = {version.commit for version in state.versions}
    return tuple(one for one in reversed(found) if one.commit not in known)


def told(state: State, unknown: tuple[Ours, ...]) -> str:
    """Return the alert's words."""
    text = (
        f"The ledger was salvaged and is in epoch {state.epoch}: what the lost entries said is "
        "unknown. Candidates that were on their way ended in error."
    )
    if not unknown:
        return f"{text} The branch holds no promotion that the ledger does not know."
    names = ", ".join(f"{one.commit[:12]} (version {one.version})" for one in unknown[:_NAMED])
    more = f" and {len(unknown) - _NAMED} more" if len(unknown) > _NAMED else ""
    return (
        f"{text} The branch holds {len(unknown)} promotions or rollbacks that the ledger does not "
        f"know: {names}{more}. They are not undone and not watched: look at them, and revert with "
        "git what should not stay."
    )


def _number(name: str) -> int:
    number = name[1:]  # of a ref, which others may write too
    ours = name[:1] == "c" and number.isascii() and number.isdigit() and len(number) < _LONGEST
    return int(number) if ours else 0
