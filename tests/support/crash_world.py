"""A target, a script that a person plays against its engine, and what must hold after a kill.

The script only says what is wanted ("the fast one is approved"), and looks first how far it got,
so that it can be played again after any crash: what it leads to must then be the same as without
one. Ids, times and the number of attempts may differ; phases, reasons, versions, files and
history may not.
"""

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import psutil
from crash_engine import Fail, serve

from ouroboros.client import Client, wire
from ouroboros.errors import EngineUnreachableError, OuroborosError
from ouroboros.ledger.store import Store
from ouroboros.model import events as ev
from ouroboros.model.phase import IN_FLIGHT, Phase
from ouroboros.model.state import Candidate, State, advance
from ouroboros.paths import paths_for

READY_S = 60.0
ORPHANS_S = 5.0
"""Within which nothing of a killed engine may run any more."""

CONFIG = """\
[target]
branch = "main"
[environment]
python = "{python}"
[benchmarks.b]
command = ["true"]
[governor]
mode = "supervised"
[governor.budget]
cumulative = false
[governor.calibration]
enabled = false
[proposers.codemod]
enabled = false
[engine]
interval = "10h"
watch_after = "50ms"
shutdown_grace = "2s"
max_in_flight = 6
max_errors_in_a_row = 100
"""
FUNCTION = "def {name}(x):\n    return x + {number}\n"
NAMES = ("fast", "slow", "broken", "other", "denied", "dropped")
EFFECTS = {
    "fast": "-0.3",
    "slow": "0.3",
    "broken": "broken",
    "other": "-0.2",
    "denied": "-0.4",
    "dropped": "-0.1",
}


class EngineDied(Exception):  # noqa: N818 - what the script hears when it happens
    """The engine is gone; play again after a restart."""


class Broken(AssertionError):  # noqa: N818 - a finding
    """Something that must hold after a kill does not."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What the script leads to, without what may differ from run to run."""

    phases: dict[str, str]
    reasons: dict[str, tuple[str, ...]]
    versions: tuple[tuple[str, bool], ...]
    subjects: tuple[str, ...]
    files: str
    paused: bool
    kinds: dict[str, int]


class CrashWorld:
    """One target; engines come and go on it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.root = folder / "target"
        self.tmp = folder / "tmp"
        self.witness = folder / "witness"
        self.mark = uuid.uuid4().hex
        for path in (self.root, self.tmp):
            path.mkdir(parents=True)
        for number, name in enumerate(NAMES):
            (self.root / f"{name}.py").write_text(FUNCTION.format(name=name, number=number))
        text = CONFIG.format(python=os.path.realpath(sys.executable))
        (self.root / "ouroboros.toml").write_text(text)
        self.git("init", "-q", "-b", "main")
        self.git("add", ".")
        self.git("commit", "-q", "-m", "first")
        self.base = self.git("rev-parse", "main")
        self.pid = 0
        self.dead: list[int] = []
        self.acknowledged: list[tuple[str, str]] = []
        self.ids: dict[str, str] = {}
        self.lenient = False
        """Whether a candidate may end in error, since one of its processes was killed."""

    @property
    def environ(self) -> dict[str, str]:
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "XDG_"))}
        return kept | {
            "XDG_STATE_HOME": str(self.folder / "state"),
            "TMPDIR": str(self.tmp),
            "GIT_CONFIG_GLOBAL": "/dev/null",
            "GIT_CONFIG_NOSYSTEM": "1",
            "CRASH_WORLD": self.mark,
        }

    @property
    def paths(self) -> Any:
        return paths_for(self.root.resolve(), self.environ)

    def git(self, *args: str) -> str:
        identity = ["-c", "user.name=U", "-c", "user.email=u@example.org"]
        done = subprocess.run(
            ["git", "-C", str(self.root), *identity, *args],
            check=True,
            capture_output=True,
            env={k: v for k, v in self.environ.items() if not k.startswith("CRASH")},
        )
        return done.stdout.decode().strip()

    # --- the engine's process -------------------------------------------------------------------

    def start(self, fail: Fail | None = None) -> int:
        """Fork an engine; the caller runs no event loop and no thread."""
        if self.pid:
            raise Broken(f"engine {self.pid} was never waited for")
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            self._become(fail)
        self.pid = pid
        return pid

    def _become(self, fail: Fail | None) -> None:
        code = 70
        try:
            os.setsid()
            os.environ.clear()
            os.environ.update(self.environ)
            import tempfile

            tempfile.tempdir = None
            with (self.folder / "engine.log").open("ab") as log:
                os.dup2(log.fileno(), 1)
                os.dup2(log.fileno(), 2)
            code = serve(self.root.resolve(), self.witness, fail)
        except BaseException as error:  # noqa: BLE001 - a forked child must not return into the caller
            import traceback

            traceback.print_exception(error)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def alive(self) -> bool:
        """Whether the engine still runs; waits for it if it does not."""
        if not self.pid:
            return False
        done, _ = os.waitpid(self.pid, os.WNOHANG)
        if done:
            self.dead.append(self.pid)
            self.pid = 0
        return not done

    def family(self) -> list[psutil.Process]:
        """Everything that the engine has started and that still runs."""
        try:
            return psutil.Process(self.pid).children(recursive=True) if self.pid else []
        except psutil.Error:
            return []

    def kill(self, *, everything: bool = False) -> None:
        """SIGKILL the engine, or it and all that it has started."""
        if not self.pid:
            return
        family = self.family() if everything else []
        os.kill(self.pid, signal.SIGKILL)
        for process in family:
            with contextlib.suppress(psutil.Error):
                process.kill()
        os.waitpid(self.pid, 0)
        self.dead.append(self.pid)
        self.pid = 0

    def stop(self) -> int:
        """End the engine in order; its exit code."""
        os.kill(self.pid, signal.SIGTERM)
        _, status = os.waitpid(self.pid, 0)
        self.dead.append(self.pid)
        self.pid = 0
        return os.waitstatus_to_exitcode(status)

    def orphans(self) -> list[str]:
        """Processes of engines that are dead; waits for them a little."""
        until = time.monotonic() + ORPHANS_S
        while (found := self._orphans()) and time.monotonic() < until:
            time.sleep(0.05)
        return found

    def _orphans(self) -> list[str]:
        runs = tuple(f"{pid}-" for pid in self.dead)
        folders = tuple(f"ouroboros-sandbox-{pid}-" for pid in self.dead)
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid in {self.pid, os.getpid()}:
                    continue
                environ, words = process.environ(), " ".join(process.cmdline())
                mine = environ.get("OUROBOROS_RUN", "").startswith(runs) if runs else False
                git = environ.get("CRASH_WORLD") == self.mark and not self.pid
                if mine or git or any(folder in words for folder in folders):
                    found.append(f"{process.pid} {words[:120]}")
        return found

    # --- the script -----------------------------------------------------------------------------

    def play(self, until: Callable[[], bool] = lambda: False) -> bool:
        """Play the script to its end; False if the engine died first."""
        try:
            asyncio.run(self._play(until))
        except EngineDied:
            return False
        return True

    async def _play(self, until: Callable[[], bool]) -> None:
        client = await self._connect()
        work = asyncio.ensure_future(self._script(client))
        try:
            while not work.done():
                await asyncio.wait([work], timeout=0.1)
                if until() or not self.alive():
                    raise EngineDied
            await work
        except EngineUnreachableError as error:
            await self._gone()
            raise EngineDied from error
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
            await client.close()

    async def _gone(self) -> None:
        """Nobody answers any more: wait for the process, so that it counts among the dead."""
        deadline = time.monotonic() + READY_S
        while self.alive():
            if time.monotonic() > deadline:
                raise Broken(f"the engine does not answer and does not die: {self.log()}")
            await asyncio.sleep(0.01)

    async def _connect(self) -> Client:
        deadline = time.monotonic() + READY_S
        while self.alive():
            if time.monotonic() > deadline:
                raise Broken(f"the engine did not get ready: {self.log()}")
            with contextlib.suppress(EngineUnreachableError):
                return await Client.connect(self.paths.socket, name="crash")
            await asyncio.sleep(0.02)
        raise EngineDied

    async def _script(self, client: Client) -> None:
        for name in NAMES:
            await self._submit(client, name)
        await self._cancel(client, "dropped")
        await self._approve(client, "fast")
        await self._deny(client, "denied")
        for name in ("slow", "broken"):
            await self._reach(client, name, Phase.REJECTED)
        await self._approve(client, "other")
        await self._roll_back(client, "other")
        await client.call(wire.EnginePause(reason="over"))
        self._acknowledge("paused", "")
        await client.call(wire.EngineResume(reason="over"))
        self._acknowledge("resumed", "")

    async def _submit(self, client: Client, name: str) -> None:
        old = FUNCTION.format(name=name, number=NAMES.index(name))
        before, after = old.splitlines()[1], f"{old.splitlines()[1]}  # effect {EFFECTS[name]}"
        diff = (
            f"--- a/{name}.py\n+++ b/{name}.py\n@@ -1,2 +1,2 @@\n {old.splitlines()[0]}\n"
            f"-{before}\n+{after}\n"
        )
        request = wire.CandidateSubmit(
            diff=diff, title=name, base=self.base, idempotency_key=f"script-{name}"
        )
        found = (await client.call(request)).id
        if self.ids.setdefault(name, found) != found:
            raise Broken(f"the submission of {name} was taken twice: {self.ids[name]}, {found}")
        self._acknowledge("proposed", name)

    async def _reach(self, client: Client, name: str, *phases: Phase) -> Candidate:
        wanted = tuple(p.value for p in (*phases, Phase.ERRORED))
        request = wire.CandidateWait(id=self.ids[name], until=wanted, timeout_s=60)
        c = await client.call(request)
        if c.phase is Phase.ERRORED and not self.lenient:
            raise Broken(f"{name} ended in error: {c.reasons}")
        return c

    async def _cancel(self, client: Client, name: str) -> None:
        c = await client.call(wire.CandidateGet(id=self.ids[name]))
        if c.phase is Phase.ERRORED and self.lenient:
            return
        if c.phase is not Phase.CANCELLED:
            await client.call(wire.CandidateCancel(id=c.id, reason="not wanted"))
        self._acknowledge("cancelled", name)

    async def _approve(self, client: Client, name: str) -> None:
        """Approve again after each rebase, until it is kept."""
        over = (Phase.KEPT, Phase.ROLLING_BACK, Phase.ROLLED_BACK)
        while True:
            c = await self._reach(client, name, Phase.HELD, *over)
            if c.phase is not Phase.HELD:
                return
            try:
                await client.call(wire.CandidateApprove(id=c.id, commit=c.commit))
            except EngineUnreachableError:
                raise
            except OuroborosError:
                continue  # it moved on meanwhile
            self._acknowledge("approved", name)
            await self._leave(client, c)

    async def _leave(self, client: Client, c: Candidate) -> None:
        others = tuple(p.value for p in Phase if p is not Phase.HELD)
        await client.call(wire.CandidateWait(id=c.id, until=others, timeout_s=60))

    async def _deny(self, client: Client, name: str) -> None:
        c = await self._reach(client, name, Phase.HELD, Phase.REJECTED)
        if c.phase is Phase.HELD:
            await client.call(wire.CandidateReject(id=c.id, reason="no"))
        if c.phase is not Phase.ERRORED:
            self._acknowledge("denied", name)

    async def _roll_back(self, client: Client, name: str) -> None:
        c = await self._reach(client, name, Phase.KEPT, Phase.ROLLING_BACK, Phase.ROLLED_BACK)
        if c.phase is Phase.ERRORED:
            return
        if c.phase is Phase.KEPT:
            await client.call(wire.VersionRollback(to=c.id, reason="not wanted"))
        await self._reach(client, name, Phase.ROLLED_BACK)
        self._acknowledge("rolled_back", name)

    def _acknowledge(self, kind: str, name: str) -> None:
        self.acknowledged.append((kind, name))

    # --- what must hold -------------------------------------------------------------------------

    def state(self) -> tuple[State, list[Any]]:
        """Fold the ledger from the outside; verifies it first."""
        with Store.open(self.paths.ledger, read_only=True) as store:
            report = store.verify()
            if not report.ok:
                raise Broken(f"the ledger does not verify: {report.bad}")
            entries = list(store.entries())
        state = State()
        for stored in entries:
            state = advance(state, stored)
        return state, entries

    def check_nothing_lost(self) -> None:
        """Everything that was said to be safe is there; each key once."""
        state, entries = self.state()
        hashes = {s.entry.seq: s.hash for s in entries}
        keys = Counter(s.entry.idem for s in entries)
        if twice := [key for key, n in keys.items() if n > 1]:
            raise Broken(f"keys were appended twice: {twice}")
        pairs = []
        for kind, *what in self._witnessed():
            if kind == "entry" and hashes.get(what[0]) != what[1]:
                raise Broken(f"entry {what[0]} was acknowledged and is lost")
            if kind == "pair":
                pairs.append(what)
        self._check_acknowledged(entries)
        if not any(c.phase in IN_FLIGHT for c in state.candidates.values()):
            self._check_pairs(entries, pairs)

    def _witnessed(self) -> Iterator[list[Any]]:
        if self.witness.exists():
            for line in self.witness.read_text().splitlines():
                yield json.loads(line)

    def _check_acknowledged(self, entries: list[Any]) -> None:
        there = {(s.entry.event.kind, name) for s in entries for name in _names(s.entry.event)}
        for kind, name in self.acknowledged:
            if (kind, self.ids.get(name, "")) not in there:
                raise Broken(f"{kind} {name} was acknowledged and is not in the ledger")

    def _check_pairs(self, entries: list[Any], pairs: list[Any]) -> None:
        """Each pair that was kept is in the evaluation of its commit."""
        found: dict[tuple[str, str], set[int]] = {}
        for stored in entries:
            event = stored.entry.event
            if isinstance(event, ev.Evaluated):
                key = (event.candidate, event.evaluation.candidate_commit)
                taken = found.setdefault(key, set())
                taken |= {p.started_ns for s in event.evaluation.series for p in s.pairs}
        for candidate, commit, _, index, started in pairs:
            if (candidate, commit) in found and started not in found[candidate, commit]:
                raise Broken(f"pair {index} of {candidate} was measured, kept, and is lost")

    def check_target(self) -> None:
        """The repository is whole, its work tree as its branch, and without left-overs of ours."""
        self.git("fsck", "--strict", "--no-dangling")
        if dirt := self.git("status", "--porcelain"):
            raise Broken(f"the work tree differs from the branch: {dirt}")
        left = [
            path
            for path in (self.root / ".git").rglob("*")
            if path.name.endswith(".lock") or path.name.startswith("ouroboros-")
        ]
        if left:
            raise Broken(f"left in the repository: {left}")

    def check_nothing_left(self) -> None:
        """After an orderly end: no process, folder, control group or half file of any engine."""
        left = self.orphans()
        left += [str(p) for p in self.tmp.iterdir()]
        state = self.paths.state
        left += [str(p) for p in state.glob("evidence/??/put-*")]
        left += [str(p) for p in state.glob("cache/trees/.tmp-*")]
        left += [str(p) for p in state.glob("cache/proposing/*")]
        left += [str(p) for p in state.glob("journal/*")]
        for pattern in ("ouroboros-*", "*/ouroboros-*"):
            groups = Path("/sys/fs/cgroup").glob(pattern)
            left += [str(g) for g in groups if g.name.split("-")[1] in map(str, self.dead)]
        if left:
            raise Broken(f"left over: {left}")

    def outcome(self) -> Outcome:
        """What the script led to."""
        state, entries = self.state()
        by_title = {c.title: c for c in state.candidates.values()}
        once = {"promoted", "rolled_back", "proposed", "kept", "denied", "cancelled"}
        kinds = Counter(s.entry.event.kind for s in entries if s.entry.event.kind in once)
        return Outcome(
            phases={name: c.phase.value for name, c in sorted(by_title.items())},
            reasons={n: tuple(r.code for r in c.reasons) for n, c in sorted(by_title.items())},
            versions=tuple((v.title, v.active) for v in state.versions),
            subjects=tuple(self.git("log", "--format=%s", "main").splitlines()),
            files=self.git("rev-parse", "main^{tree}"),
            paused=state.paused,
            kinds=dict(kinds),
        )

    def counts(self) -> dict[str, int]:
        """How often each point was passed, as the last orderly ended engine told."""
        return next((what[0] for kind, *what in self._witnessed() if kind == "counts"), {})

    def log(self) -> str:
        """The end of what the engines said."""
        path = self.folder / "engine.log"
        return path.read_text(errors="replace")[-3000:] if path.exists() else ""


def _names(event: Any) -> tuple[str, ...]:
    if isinstance(event, ev.CandidateEvent | ev.RollbackStarted | ev.RolledBack):
        return tuple(event.candidates)
    return ("",)


@contextmanager
def crash_world(folder: Path) -> Iterator[CrashWorld]:
    """Make a world; whatever happens, no engine of it is left."""
    world = CrashWorld(folder)
    try:
        yield world
    finally:
        world.kill(everything=True)


def finish(world: CrashWorld) -> Outcome:
    """Start an engine, play the script to its end, stop, and check everything."""
    world.start()
    if not world.play():
        raise Broken(f"the engine died by itself: {world.log()}")
    code = world.stop()
    if code:
        raise Broken(f"the engine ended with {code}: {world.log()}")
    world.check_nothing_lost()
    world.check_target()
    world.check_nothing_left()
    return world.outcome()
