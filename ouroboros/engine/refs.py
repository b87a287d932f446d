"""Ledger against repository, at start: what the ledger says is made true, what it does not is told.

The ledger is the truth. Refs below `refs/ouroboros/` only keep objects alive, so they follow it:
those of candidates that it does not know go (those that are over belong to retention); those that
a living candidate needs come back. The user's branch is only looked at. Each step can be repeated:
a kill in the middle leaves work for the next start, never a wrong state.
"""

import logging
from collections.abc import Collection, Sequence

import msgspec

from ouroboros.engine.core import Core, alert_key
from ouroboros.engine.messages import candidate_message
from ouroboros.errors import (
    GitError,
    LedgerCorruptError,
    NotFoundError,
    OuroborosError,
    PatchError,
    TargetError,
)
from ouroboros.ledger.store import Store
from ouroboros.model import events as ev
from ouroboros.model.phase import Phase
from ouroboros.model.state import Candidate, State
from ouroboros.vcs.history import Ours
from ouroboros.vcs.values import CandidateRef

_log = logging.getLogger(__name__)

_LOOKED_AT = 500
"""Commits with our trailers that are compared with the ledger, the newest."""
_TOLD = 10
"""Unknown commits that are each told in an alert of their own."""
_NEEDED = frozenset(
    {Phase.APPLIED, Phase.EVALUATING, Phase.EVALUATED, Phase.HELD, Phase.ACCEPTED, Phase.PROMOTING}
)
"""Phases in which the pipeline still works with the candidate's own commit."""


class RefWork(msgspec.Struct, frozen=True, kw_only=True):
    """What has to be done to the refs: names to remove, candidates whose refs must come back."""

    unknown: tuple[str, ...] = ()
    missing: tuple[Candidate, ...] = ()


def plan_refs(state: State, refs: Sequence[CandidateRef]) -> RefWork:
    """Compare the candidates with their refs."""
    known = state.candidates
    there = {r.name: r for r in refs}
    return RefWork(
        unknown=tuple(r.name for r in refs if r.name not in known),
        missing=tuple(
            c
            for c in known.values()
            if c.phase in _NEEDED and c.commit and not _in_place(c, there.get(c.id))
        ),
    )


def _in_place(c: Candidate, ref: CandidateRef | None) -> bool:
    return ref is not None and ref.commit == c.commit and ref.checkpoint == c.base


def unknown_promotions(
    state: State, found: Sequence[Ours], told: Collection[str]
) -> tuple[Ours, ...]:
    """Return the commits with our trailers that the ledger does not know; newest first.

    `told` are those of which people were told already, when a salvaged ledger was compared.
    """
    known = {v.commit for v in state.versions} | set(told)
    if state.intent is not None:
        known.add(state.intent.commit)
    return tuple(one for one in found if one.commit not in known)


async def reconcile_refs(core: Core) -> list[str]:
    """Make refs and living candidates agree; returns what was done."""
    repository = core.deps.repository
    try:
        refs = await core.git(repository.list_candidate_refs)
    except GitError as error:
        return [f"the refs could not be read: {error}"]
    work = plan_refs(core.state, refs)
    done = [text for c in work.missing if (text := await _restore(core, c))]
    if work.unknown:
        commits = {r.name: r.commit for r in refs}
        try:
            await core.git(repository.delete_candidate_refs, work.unknown)
        except GitError as error:  # a lock of the user's; nothing depends on it
            _log.warning("refs of %s stay for now: %s", ", ".join(work.unknown), error)
            return done
        done += [
            f"removed the refs of {n} ({commits[n][:12]}), which the ledger does not know"
            for n in work.unknown
        ]
    return done


async def _restore(core: Core, c: Candidate) -> str:
    """Bring back what keeps a living candidate's commit; returns what was done."""
    try:
        if await _commit_is_back(core, c):
            return f"set the refs of {c.id} again"
        why = f"its commit {c.commit[:12]} is gone and came out as another one when built again"
    except (TargetError, PatchError, NotFoundError, LedgerCorruptError) as error:
        why = f"its commit {c.commit[:12]} is gone and cannot be built again: {error}"
    if c.phase is Phase.PROMOTING:
        return ""  # what is being moved is the intent's commit, and the promoter looks for that
    gone: ev.AnyEvent = ev.Errored(candidate=c.id, room="vcs", reason=why)
    if c.phase is Phase.HELD:
        gone = ev.Cancelled(candidate=c.id, reason=why)
    await core.recorder.record(gone)
    return f"gave up {c.id}: {why}"


async def _commit_is_back(core: Core, c: Candidate) -> bool:
    """Set the refs; where objects are gone, build the same commit from the proposal again."""
    repository = core.deps.repository
    if await core.git(repository.exists, c.commit) and await core.git(repository.exists, c.base):
        await core.git(repository.keep_candidate, c.id, commit=c.commit, checkpoint=c.base)
        return True
    diff = (await core.get_evidence(c.diff)).decode(errors="surrogateescape")
    built = await core.git(
        repository.build_candidate,
        name=c.id,
        base=c.base,
        diff=diff,
        message=candidate_message(c.id, c.title),
    )
    return built.commit == c.commit


async def tell_unknown_promotions(core: Core) -> list[str]:
    """Raise an alert for each commit on the branch that an engine made and the ledger lacks."""
    if not core.state.versions or core.state.epoch > core.state.reconciled:
        return []  # a salvaged ledger is compared as a whole (`engine.reconcile`)
    try:
        repository = core.deps.repository
        head = await core.git(repository.head, core.branch)
        before = await core.git(repository.ours, core.state.versions[0].commit, limit=_LOOKED_AT)
        found = await core.git(repository.ours, head, limit=_LOOKED_AT)
        known = {one.commit for one in before} | await core.ledger_thread(_told, core.deps.store)
    except OuroborosError as error:  # the branch is checked, and complained about, elsewhere
        return [f"the history could not be compared: {error}"]
    told = []
    for commit in unknown_promotions(core.state, found, known)[:_TOLD]:
        key = f"unknown_promotion:{commit.commit}"
        if await core.ledger_thread(core.deps.store.find, alert_key(key)):
            continue
        await core.alert(
            "unknown_promotion", "critical", _unknown(core.state, commit), idem=alert_key(key)
        )
        told.append(f"found {commit.commit[:12]} on the branch, which the ledger does not know")
    return told


def _told(store: Store) -> set[str]:
    events = (stored.entry.event for stored in store.entries(kind="reconciled"))
    return {name for event in events if isinstance(event, ev.Reconciled) for name in event.unknown}


def _unknown(state: State, commit: Ours) -> str:
    text = (
        f"Commit {commit.commit} on branch '{state.branch}' says that an engine made it as version "
        f"{commit.version}, but this ledger does not know it."
    )
    if commit.size > state.seq:
        return (
            f"{text} Its ledger had {commit.size} entries then, this one has {state.seq}: "
            "entries were lost, or an older copy was put in its place. Find the missing ledger "
            "before you go on."
        )
    return (
        f"{text} It was copied from elsewhere, or made by an engine with another ledger; it cannot "
        "be rolled back here."
    )
