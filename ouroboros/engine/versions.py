"""Which version is meant, which changes it holds, and what leads there from what stands now.

Versions only ever grow: a rollback and a roll forward are versions too. What a version holds is
therefore not "all that came before it", but follows from its own history (`held_at`). Pure.
"""

import re
from collections.abc import Sequence

from ouroboros.errors import NotFoundError, WrongPhaseError
from ouroboros.model.state import State, Version
from ouroboros.model.text import safe_line

ANCHOR = "anchor"
LAST = "last"


def next_version(state: State) -> int:
    """Return the number of the next version."""
    if not state.versions:
        return 0
    return max(state.versions[-1].number, state.version_floor) + 1


_NUMBER = re.compile(r"[0-9]{1,15}")


def find_version(state: State, ref: str) -> Version:
    """Return a version by number (`3`, `v3`), `last`, `anchor` or candidate id.

    `last` is the newest whose change is in the branch.

    Raises:
        NotFoundError: there is none.
    """
    if ref == LAST:
        active = [v for v in state.versions if v.active and v.candidate]
        if not active:
            raise NotFoundError("There is no promoted version to undo.")
        return active[-1]
    if ref == ANCHOR and state.anchor is not None:
        ref = str(state.anchor.version)
    digits = ref.removeprefix("v")
    # No other digits than these, and not thousands of them: `int` would raise.
    number = int(digits) if _NUMBER.fullmatch(digits) else -1
    for version in state.versions:
        if ref == version.candidate or number == version.number:
            return version
    known = ", ".join(f"v{v.number}" for v in state.versions[-10:]) or "none"
    name = safe_line(ref, limit=80)
    raise NotFoundError(f"There is no version {name!r}; the newest are: {known}.")


def held_at(versions: Sequence[Version], number: int) -> frozenset[str]:
    """Return the candidates whose changes a version holds."""
    held: dict[int, frozenset[str]] = {}
    before: frozenset[str] = frozenset()
    for version in versions:
        if version.candidate:
            before |= {version.candidate}
        elif version.restores >= 0:
            before = held[version.restores]
        held[version.number] = before
    return held[number]


def undone_by(state: State, to: str) -> tuple[tuple[Version, ...], int]:
    """Return the versions that a rollback undoes, newest first, and the version it restores.

    A number (or `anchor`) means "back to that version"; `last` or a candidate id mean "undo that
    one and all that came after it", which leads to the candidate's parent.

    Raises:
        NotFoundError: no such version, or nothing to undo.
        WrongPhaseError: it would need a change that was itself rolled back.
    """
    target = find_version(state, to)
    standing = [v for v in state.versions if v.active and v.candidate]
    if to in {LAST, target.candidate}:
        undo = [v for v in standing if v.number >= target.number]
    else:
        held = held_at(state.versions, target.number)
        undo = [v for v in standing if v.candidate not in held]
        _refuse_lost(state, target, held, undo)
    if not undo:
        raise NotFoundError(f"Nothing to undo: version {target.number} is what stands.")
    if to not in {LAST, target.candidate}:
        return tuple(undo[::-1]), target.number
    below = [v for v in state.versions if v.number < undo[0].number]
    return tuple(undo[::-1]), below[-1].number


def _refuse_lost(
    state: State, target: Version, held: frozenset[str], undo: Sequence[Version]
) -> None:
    lost = [v for v in state.versions if v.candidate in held and not v.active]
    if not lost:
        return
    gone = ", ".join(f"v{v.number}" for v in lost)
    hint = f"'ouroboros forward {target.number}' brings it back."
    if undo:
        hint = "Roll back to a version that both have in common, then roll forward."
    raise WrongPhaseError(
        f"Version {target.number} included {gone}, which was rolled back since.", hint=hint
    )


def redone_by(state: State, to: str) -> tuple[tuple[Version, ...], int]:
    """Return the undone versions that a roll forward brings back, oldest first, and its target.

    Raises:
        NotFoundError: no such version, or nothing was rolled back of it.
        WrongPhaseError: something was promoted that the version does not hold.
    """
    target = find_version(state, to)
    held = held_at(state.versions, target.number)
    redo = tuple(v for v in state.versions if v.candidate in held and not v.active)
    beyond = [v for v in state.versions if v.active and v.candidate and v.candidate not in held]
    if not redo:
        raise NotFoundError(f"Nothing of version {target.number} was rolled back.")
    if beyond:
        more = ", ".join(f"v{v.number}" for v in beyond)
        raise WrongPhaseError(
            f"Version {target.number} does not hold {more}, which stands now.",
            hint="Roll that back first; nothing is undone by rolling forward.",
        )
    return redo, target.number
