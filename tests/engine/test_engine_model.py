"""The engine against a model of ten lines, under random orders and random kills.

The model knows what people asked for and where each candidate must then stand; it knows nothing of
steps, tasks or git. A kill (before or after any append, or around the move of the branch) may
leave one request undecided: one that was not acknowledged may have been written or not, and the
ledger says which. Everything else must be as if nothing had happened.
"""

import asyncio
import contextlib
import shutil
import tempfile
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from engine_world import World, evaluation, git, make_diff
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.errors import ConflictError, WrongPhaseError
from ouroboros.evaluation.plan import Plan
from ouroboros.ledger.store import Store
from ouroboros.model import events as ev
from ouroboros.model.entry import Stored
from ouroboros.model.evaluation import Evaluation
from ouroboros.model.phase import Phase
from ouroboros.model.state import State, advance
from ouroboros.vcs.repository import Repository

BY = "uid:tester"
FILES = 12
SOURCE = "def f(x):\n    return x + 1\n"
FLYING = frozenset({Phase.PROPOSED, Phase.SCREENED, Phase.APPLIED})
PATIENCE_S = 30.0
CONFIG = """\
[governor]
mode = "supervised"
[governor.budget]
cumulative = false
[governor.calibration]
enabled = false
[engine]
interval = "10h"
watch_after = "10h"
shutdown_grace = "1s"
[benchmarks.b]
command = ["true"]
"""


class Killed(BaseException):
    """Not an Exception: nothing of the engine handles it."""


@dataclass
class Wanted:
    """One candidate as the model sees it; `phase` None while it is on its way."""

    key: int
    good: bool
    name: str = ""
    phase: Phase | None = None
    based_on: int = 0


@dataclass
class Model:
    """What people asked for, and what must follow from it."""

    paused: bool = False
    moves: int = 0
    candidates: dict[int, Wanted] = field(default_factory=dict)
    versions: list[int] = field(default_factory=list)

    def settle(self) -> None:
        """Go as far as the engine goes by itself."""
        if self.paused:
            return
        for c in self.candidates.values():
            if not c.name:
                continue  # nobody took it yet
            if c.phase is None:
                c.phase = Phase.HELD if c.good else Phase.REJECTED
            if c.phase is Phase.ACCEPTED and c.based_on == self.moves:
                c.phase = Phase.PROMOTED
                self.moves += 1
                self.versions.append(c.key)
            elif c.phase is Phase.ACCEPTED:  # put on the new head, evaluated again, held again
                c.phase, c.based_on = Phase.HELD, self.moves

    def roll_back(self) -> None:
        self.candidates[self.versions.pop()].phase = Phase.ROLLED_BACK
        self.moves += 1

    def matches(self, state: State) -> bool:
        stands = {c.name: c for c in self.candidates.values() if c.name}
        if set(stands) != set(state.candidates) or state.paused != self.paused:
            return False
        for name, c in stands.items():
            found = state.candidates[name].phase
            if found not in (FLYING if c.phase is None else {c.phase}):
                return False
        active = [v.candidate for v in state.versions if v.active and v.candidate]
        return active == [self.candidates[key].name for key in self.versions]


@dataclass
class Bomb:
    """Kills at the n-th append or move of the branch, before or after it."""

    at: str = ""
    when: str = ""
    left: int = 0
    gone: bool = False

    def around(self, kind: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def armed(*args: Any, **kwargs: Any) -> Any:
            if self.gone:
                raise Killed
            if self.at == kind:
                self.left -= 1
            due = self.at == kind and self.left == 0
            if due and self.when == "before":
                self.gone = True
                raise Killed
            result = work(*args, **kwargs)
            if due:
                self.gone = True
                raise Killed
            return result

        return armed


BOMBS = st.builds(
    Bomb,
    at=st.sampled_from(["append", "append", "append", "move"]),
    when=st.sampled_from(["before", "after"]),
    left=st.integers(1, 9),
)
MAYBE = st.one_of(st.none(), BOMBS)


class EngineMachine(RuleBasedStateMachine):
    """Requests in any order, with kills."""

    @initialize()
    def begin(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="model-"))
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda *_: None)  # the killed are not mourned
        self.world = World(self.folder)
        root = self.world.root
        (root / "ouroboros.toml").write_text(CONFIG)
        for number in range(FILES):
            (root / f"f{number}.py").write_text(SOURCE)
        git(root, "add", ".")
        git(root, "commit", "-q", "-m", "files")
        self.model = Model()
        self.acknowledged: list[tuple[str, str]] = []
        self.seen: list[Stored] = []
        self.bomb = Bomb()
        self.patch = pytest.MonkeyPatch()
        append, move = Store.append, Repository.move_branch
        self.patch.setattr(Store, "append", self._around("append", append))
        self.patch.setattr(Repository, "move_branch", self._around("move", move))
        self.start()

    def teardown(self) -> None:
        if not hasattr(self, "folder"):
            return
        self.bomb = Bomb()
        self.run(self._abandon())
        self.loop.close()
        self.patch.undo()
        shutil.rmtree(self.folder)

    def _around(self, kind: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def armed(*args: Any, **kwargs: Any) -> Any:
            return self.bomb.around(kind, work)(*args, **kwargs)

        return armed

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    # --- the engine's life ----------------------------------------------------------------------

    def start(self) -> None:
        async def begin() -> Engine:
            executor = type(self.world.executor)()
            executor.answer = self._answer
            return await self.world.start(executor=executor)

        self.engine = self.run(begin())

    def _answer(self, plan: Plan) -> Evaluation:
        key = int(plan.changed[0][1:-3])
        return evaluation(plan, effect=-0.3 if self.model.candidates[key].good else 0.3)

    async def _abandon(self) -> None:
        """What a kill leaves: nothing of the engine runs on, and nothing was said."""
        engine = self.world.engines[-1]
        tasks = [t for t in asyncio.all_tasks() if t is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        core = engine._core
        core.git_thread.close()
        core.ledger_thread.close()
        core.draining = True
        with contextlib.suppress(Exception):
            self.world.stores[-1].close()

    def revive(self) -> None:
        """Start again after a kill, which may hit the recovery too."""
        self.run(self._abandon())
        self.bomb = Bomb()
        self.start()

    # --- a request, and what must follow --------------------------------------------------------

    def act(
        self,
        kind: str,
        wanted: Wanted | None,
        ask: Callable[[], Coroutine[Any, Any, Any]],
        follow: Callable[[], None],
        bomb: Bomb | None,
    ) -> None:
        """Make a request, perhaps with a bomb under it; apply it to the model if it counts."""
        before = self._written(kind, wanted)
        self.bomb = bomb or Bomb()
        said = False
        try:
            self.run(self._asked(ask))
            said = True
        except Killed:
            assert self.bomb.gone
        if said:
            self.acknowledged.append((kind, wanted.name if wanted else ""))
            follow()
            self.model.settle()
            self.run(self._until_settled())
        if self.bomb.gone:
            self.revive()
            if not said and self._written(kind, wanted) > before:
                if kind == "proposed" and wanted is not None:
                    wanted.name = self._name_of(wanted)
                follow()
            assert not said or self._written(kind, wanted) > before
            self.model.settle()
        self.run(self._until_settled())
        self.bomb = Bomb()

    async def _asked(self, ask: Callable[[], Coroutine[Any, Any, Any]]) -> None:
        """Wait for the answer, or for the kill of whatever would have answered."""
        work = asyncio.ensure_future(ask())
        async with asyncio.timeout(PATIENCE_S):
            while not work.done():
                await asyncio.wait([work], timeout=0.01)
                if self.bomb.gone and not work.done():
                    work.cancel()
                    await asyncio.gather(work, return_exceptions=True)
                    raise Killed
        await work

    async def _until_settled(self) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not self.bomb.gone and not self.model.matches(self.engine.state):  # noqa: ASYNC110 - a kill wakes nobody
                    await asyncio.sleep(0.005)
        except TimeoutError:
            stands = {c.id: c.phase.value for c in self.engine.state.candidates.values()}
            pytest.fail(f"engine {stands}, model {self.model}")

    def _entries(self) -> list[Stored]:
        with Store.open(self.world.state / "ledger.sqlite", read_only=True) as store:
            assert store.verify().ok
            return list(store.entries())

    def _written(self, kind: str, wanted: Wanted | None) -> int:
        """How often the ledger says that this was asked for."""
        found = 0
        for stored in self._entries():
            event = stored.entry.event
            if event.kind != kind:
                continue
            if kind == "proposed" and wanted is not None:
                found += stored.entry.idem == f"submit:{wanted.key}"
            elif wanted is None or wanted.name in getattr(event, "candidates", ()):
                found += 1
        return found

    def _name_of(self, wanted: Wanted) -> str:
        idem = f"submit:{wanted.key}"
        (event,) = [s.entry.event for s in self._entries() if s.entry.idem == idem]
        assert isinstance(event, ev.Proposed)
        return event.candidate

    def _some(self, *phases: Phase | None) -> list[Wanted]:
        return [c for c in self.model.candidates.values() if c.name and c.phase in phases]

    # --- rules ----------------------------------------------------------------------------------

    def _submission(self, key: int) -> Submission:
        diff = make_diff(f"f{key}.py", "x + 1", "1 + x", before=SOURCE)
        base = git(self.world.root, "rev-parse", "main~0")
        return Submission(diff=diff, title=f"t{key}", base=base, idempotency_key=str(key))

    @precondition(lambda self: len(self.model.candidates) < FILES)
    @rule(good=st.booleans(), bomb=MAYBE)
    def submit(self, good: bool, bomb: Bomb | None) -> None:  # noqa: FBT001 - drawn by hypothesis
        key = len(self.model.candidates)
        wanted = Wanted(key=key, good=good, based_on=self.model.moves)
        self.model.candidates[key] = wanted
        submission = self._submission(key)

        async def ask() -> None:
            wanted.name = await self.engine.submit(submission, actor=BY)

        self.act("proposed", wanted, ask, lambda: None, bomb)
        if not wanted.name:  # not acknowledged and not written: asked again, as a client would
            self.act("proposed", wanted, ask, lambda: None, None)

    @precondition(lambda self: bool(self._some(*Phase, None)))
    @rule(data=st.data())
    def submit_again(self, data: st.DataObject) -> None:
        wanted = data.draw(st.sampled_from(self._some(*Phase, None)))
        mine = self._by_people()
        again = self.run(self.engine.submit(self._submission(wanted.key), actor=BY))
        assert again == wanted.name
        assert self._by_people() == mine  # the engine's own work goes on meanwhile

    def _by_people(self) -> int:
        return sum(stored.entry.actor == BY for stored in self._entries())

    @precondition(
        lambda self: (
            self._some(Phase.HELD) and not (self.model.paused and self._some(Phase.ACCEPTED))
        )
    )
    @rule(data=st.data(), bomb=MAYBE)
    def approve(self, data: st.DataObject, bomb: Bomb | None) -> None:
        wanted = data.draw(st.sampled_from(self._some(Phase.HELD)))
        commit = self.engine.candidate(wanted.name).commit

        def follow() -> None:
            wanted.phase = Phase.ACCEPTED

        self.act(
            "approved",
            wanted,
            lambda: self.engine.approve(wanted.name, actor=BY, commit=commit, reason=""),
            follow,
            bomb,
        )

    @precondition(lambda self: bool(self._some(Phase.HELD)))
    @rule(data=st.data(), bomb=MAYBE)
    def deny(self, data: st.DataObject, bomb: Bomb | None) -> None:
        wanted = data.draw(st.sampled_from(self._some(Phase.HELD)))

        def follow() -> None:
            wanted.phase = Phase.REJECTED

        ask = lambda: self.engine.deny(wanted.name, actor=BY, reason="no")  # noqa: E731
        self.act("denied", wanted, ask, follow, bomb)

    @precondition(lambda self: bool(self._some(None, Phase.HELD, Phase.ACCEPTED)))
    @rule(data=st.data(), bomb=MAYBE)
    def cancel(self, data: st.DataObject, bomb: Bomb | None) -> None:
        wanted = data.draw(st.sampled_from(self._some(None, Phase.HELD, Phase.ACCEPTED)))

        def follow() -> None:
            wanted.phase = Phase.CANCELLED

        ask = lambda: self.engine.cancel(wanted.name, actor=BY, reason="no")  # noqa: E731
        self.act("cancelled", wanted, ask, follow, bomb)

    @precondition(lambda self: not self.model.paused)
    @rule(bomb=MAYBE)
    def pause(self, bomb: Bomb | None) -> None:
        def follow() -> None:
            self.model.paused = True

        ask = lambda: self.engine.pause(actor=BY, reason="night", now=False)  # noqa: E731
        self.act("paused", None, ask, follow, bomb)

    @precondition(lambda self: self.model.paused)
    @rule(bomb=MAYBE)
    def resume(self, bomb: Bomb | None) -> None:
        def follow() -> None:
            self.model.paused = False

        ask = lambda: self.engine.resume(actor=BY, reason="day")  # noqa: E731
        self.act("resumed", None, ask, follow, bomb)

    @precondition(lambda self: bool(self.model.versions))
    @rule(bomb=MAYBE)
    def roll_back(self, bomb: Bomb | None) -> None:
        wanted = self.model.candidates[self.model.versions[-1]]
        done = self._written("rolled_back", wanted)

        def follow() -> None:
            self.model.roll_back()

        ask = lambda: self.engine.rollback("last", actor=BY, reason="", expect_head="")  # noqa: E731
        self.act("rollback_started", wanted, ask, follow, bomb)
        assert self._written("rolled_back", wanted) - done in {0, 1}

    @rule(bomb=MAYBE)
    def restart(self, bomb: Bomb | None) -> None:
        self.run(self.world.stop(self.engine))
        self.bomb = bomb or Bomb()
        try:
            self.start()
        except Killed:
            assert self.bomb.gone
        self.run(self._until_settled())
        if self.bomb.gone:
            self.revive()
        self.run(self._until_settled())
        self.bomb = Bomb()

    @precondition(lambda self: bool(self._some(Phase.REJECTED, Phase.CANCELLED, Phase.PROMOTED)))
    @rule(data=st.data())
    def ask_for_what_cannot_be(self, data: st.DataObject) -> None:
        over = self._some(Phase.REJECTED, Phase.CANCELLED, Phase.PROMOTED)
        name = data.draw(st.sampled_from(over)).name
        commit = self.engine.candidate(name).commit
        mine = self._by_people()
        for ask in (
            self.engine.approve(name, actor=BY, commit=commit, reason=""),
            self.engine.deny(name, actor=BY, reason=""),
            self.engine.cancel(name, actor=BY, reason=""),
        ):
            with pytest.raises((WrongPhaseError, ConflictError)):
                self.run(ask)
        assert self._by_people() == mine  # the engine's own work goes on meanwhile

    # --- what always holds ----------------------------------------------------------------------

    @invariant()
    def the_state_is_the_fold_of_the_ledger_and_as_the_model_says(self) -> None:
        if not hasattr(self, "engine"):
            return
        entries = self._entries()
        state = State()
        for stored in entries:
            state = advance(state, stored)  # raises where the table of moves was violated
        if state.seq == self.engine.state.seq:  # else something was just appended
            assert state == self.engine.state
        assert self.model.matches(state)
        keys = [s.entry.idem for s in entries]
        assert len(set(keys)) == len(keys)
        assert entries[: len(self.seen)] == self.seen
        self.seen = entries

    @invariant()
    def the_branch_is_the_newest_version(self) -> None:
        if not hasattr(self, "engine"):
            return
        newest = self.engine.state.versions[-1]
        changed = {f"f{key}.py" for key in self.model.versions}
        if newest.number:
            assert git(self.world.root, "rev-parse", "main") == newest.commit
        assert git(self.world.root, "status", "--porcelain", "--untracked-files=no") == ""
        for number in range(FILES):
            text = (self.world.root / f"f{number}.py").read_text()
            assert ("1 + x" in text) == (f"f{number}.py" in changed)


_COMMON = {"deadline": None, "suppress_health_check": list(HealthCheck)}

QuickEngine = pytest.mark.filterwarnings("ignore")(EngineMachine.TestCase)
QuickEngine.settings = settings(max_examples=5, stateful_step_count=14, **_COMMON)


class LongMachine(EngineMachine):
    """The same, for longer."""


LongEngine = pytest.mark.long(
    pytest.mark.timeout(3600)(pytest.mark.filterwarnings("ignore")(LongMachine.TestCase))
)
LongEngine.settings = settings(max_examples=30, stateful_step_count=30, **_COMMON)
