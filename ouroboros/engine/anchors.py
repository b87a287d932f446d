"""The anchor at work: measured against head now and then, moved by proof, by rollback, by people.

A task of its own that has no hurry: it measures only while work may start, and is interrupted like
an evaluation. What it owes follows from the state (`governor.anchor`), so that a restart goes on.
"""

import asyncio
import contextlib
import logging

from msgspec.structs import replace

from ouroboros.engine.core import Core, baseline_plan, reason_of
from ouroboros.engine.promotion import find_version
from ouroboros.errors import (
    CancelledByHumanError,
    ConflictError,
    LedgerError,
    NotFoundError,
    OuroborosError,
    WrongPhaseError,
)
from ouroboros.governor.anchor import compared, due_ns, fallen, proven_move, stands
from ouroboros.governor.context import anchor_context
from ouroboros.governor.specs import measured
from ouroboros.model import events as ev
from ouroboros.model.evaluation import Evaluation, EvaluationStatus, Purpose
from ouroboros.model.state import Anchor, State, Version

_log = logging.getLogger(__name__)

NAME = "anchor"
"""As the executor knows it; no candidate has this id."""
_LONGEST_WAIT_S = 60.0
"""A clock that was set must not postpone a measurement for ever."""
_RETRY_S = 5.0


class Anchors:
    """Keeps the anchor; belongs to the event loop's thread."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._blind: tuple[str, int, str] | None = None
        """Anchor, version and policy that gave nothing: tried again when one of them changed."""

    async def run(self) -> None:
        """Run until the engine stops."""
        core = self._core
        while not core.draining:
            try:
                await self._once()
            except LedgerError as error:
                _log.error("the anchor waits: %s", error)
                await core.wait_writable()
                await self._pause_for(core.state, _RETRY_S)
            except Exception:  # noqa: BLE001 - the edge: a bug here must not end the engine's care
                _log.exception("the anchor could not be looked after")
                await self._pause_for(core.state, _LONGEST_WAIT_S)

    async def _once(self) -> None:
        """Make the move that is owed, or measure when it is due, or wait for a change."""
        core, state = self._core, self._core.state
        config = core.config.config
        budget = config.governor.budget
        move = fallen(state) or proven_move(state, budget, tuple(measured(config)))
        if move is not None:
            await core.recorder.record(move)
            return
        at = due_ns(state, budget)
        if at is None or not measured(config) or self._blind == self._tried(state):
            await self._pause_for(state, _LONGEST_WAIT_S)
        elif at > core.now():
            left = (at - core.now()) / 1e9
            await self._pause_for(state, min(left, _LONGEST_WAIT_S))
        else:
            await core.wait_open()
            if core.state.anchor == state.anchor and core.state.versions == state.versions:
                await self._measure(state)

    async def _pause_for(self, known: State, seconds: float) -> None:
        """Return when anchor, versions or the newest measurement changed, or after a while."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._core.recorder.wait_for(lambda s: _differs(known, s))

    def _tried(self, state: State) -> tuple[str, int, str]:
        commit = state.anchor.commit if state.anchor else ""
        return commit, state.versions[-1].number, self._core.config.hash

    async def _measure(self, state: State) -> None:
        core, config = self._core, self._core.config.config
        anchor, head = state.anchor, state.versions[-1]
        if anchor is None:
            return
        core.measuring.add(NAME)
        try:
            plan = replace(
                await baseline_plan(core, NAME, anchor.commit, config),
                candidate_commit=head.commit,
                purpose=Purpose.ANCHOR,
                context=anchor_context(state, config, machine=core.deps.executor.machine),
            )
            evaluation = await core.deps.executor.run(plan, core.report)
            why = await self._record(anchor, head, evaluation)
        except CancelledByHumanError:
            return  # paused now: measured again once the loop goes on
        except LedgerError:
            raise
        except OuroborosError as error:
            why = reason_of(error)
        finally:
            core.measuring.discard(NAME)
            core.progress.pop(NAME, None)
        if why:
            self._blind = self._tried(state)
            text = (
                f"Version {head.number} could not be measured against the anchor, version "
                f"{anchor.version}: {why}"
            )
            await core.alert("anchor_unmeasured", "warning", text)

    async def _record(self, anchor: Anchor, head: Version, evaluation: Evaluation) -> str:
        """Write what was measured; returns why there is nothing to write."""
        if evaluation.status is not EvaluationStatus.OK:
            return evaluation.cause
        if not evaluation.series and not evaluation.exact:
            return "nothing was measured."
        event = ev.AnchorMeasured(
            anchor=anchor.commit,
            commit=head.commit,
            version=head.number,
            series=evaluation.series,
            comparisons=compared(evaluation, self._core.config.config, Purpose.ANCHOR),
            exact=evaluation.exact,
        )
        await self._core.recorder.record(event)
        return ""

    async def move(self, ref: str, *, actor: str, reason: str, expect_anchor: str) -> Anchor:
        """Put the anchor where a human wants it; returns the new one.

        Args:
            ref: a version's number (`3`, `v3`), a candidate's id, or `head` for the newest version.
            actor: who wants it.
            reason: why.
            expect_anchor: commit of the anchor as the caller saw it; may be empty.

        Raises:
            NotFoundError: there is no such version.
            WrongPhaseError: it was undone, or the anchor is there already.
            ConflictError: the anchor is not where the caller saw it.
        """
        core, state = self._core, self._core.state
        if state.anchor is None or not state.versions:
            raise NotFoundError("There is no version yet to be the anchor.")
        if expect_anchor and expect_anchor != state.anchor.commit:
            raise ConflictError(
                f"The anchor is version {state.anchor.version} ({state.anchor.commit[:12]}), not "
                f"{expect_anchor[:12]} as expected.",
                hint="Look at it again.",
            )
        version = state.versions[-1] if ref == "head" else find_version(state, ref)
        if not stands(state, version):
            raise WrongPhaseError(
                f"Version {version.number} was undone, so that nothing can be held against it.",
                hint="Name a version that still stands, or 'head'.",
            )
        if version.number == state.anchor.version:
            raise WrongPhaseError(f"Version {version.number} is the anchor already.")
        event = ev.AnchorMoved(commit=version.commit, version=version.number, reason=reason)
        stored = await core.recorder.record(event, actor=actor)
        return Anchor(
            commit=version.commit,
            version=version.number,
            ts=stored.entry.ts,
            actor=actor,
            reason=reason,
        )


def _differs(known: State, state: State) -> bool:
    return (
        state.anchor != known.anchor
        or state.standing != known.standing
        or len(state.versions) != len(known.versions)
    )
