"""What an evaluation works with: sandbox, trees, evidence; and how commands of the target are made.

`Lab` lives as long as its executor. `Job` is one plan in it.
"""

import asyncio
import hashlib
import shutil
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from ouroboros.config import Duration
from ouroboros.errors import SandboxError
from ouroboros.evaluation.plan import Journal, Plan
from ouroboros.evaluation.records import Coverage
from ouroboros.evaluation.trees import Trees
from ouroboros.model.progress import Progress
from ouroboros.sandbox import HARNESS, TREE, Command, Ending, Outcome, Sandbox, entrust

if TYPE_CHECKING:
    from ouroboros.evaluation.control import Control
    from ouroboros.evaluation.suite import TestRun

INSIDE = Path(__file__).with_name("inside")
"""Our files that run inside, mounted outside of the tree."""

_WITNESS = f"{HARNESS}/witness"
_LOG_CAP = 1 << 20


class Lab:
    """The shared equipment of all evaluations of one executor."""

    def __init__(
        self,
        *,
        sandbox: Sandbox,
        trees: Trees,
        put_evidence: Callable[[bytes], str],
        clock_ns: Callable[[], int],
        journal: Journal = lambda *_: None,
    ) -> None:
        """Take the equipment.

        Args:
            sandbox: where everything runs.
            trees: exports of commits.
            put_evidence: stores a log and returns its hash; called in a thread.
            clock_ns: UTC nanoseconds since the epoch.
            journal: takes each pair as it is measured; called in a thread.
        """
        self.sandbox = sandbox
        self.trees = trees
        self.clock_ns = clock_ns
        self.journal = journal
        self.measuring = asyncio.Lock()
        self.baselining = asyncio.Lock()
        self.baselines: dict[str, TestRun] = {}
        self.twins: dict[str, tuple[Coverage, ...]] = {}
        self.controls: dict[str, Control] = {}
        self.coverages: dict[str, tuple[Coverage, ...]] = {}
        self._put_evidence = put_evidence

    async def log(self, outcome: Outcome) -> str:
        """Store what a run said; returns the evidence hash, empty for silence."""
        parts = [
            b"--- %s ---\n%s" % (name, data[-_LOG_CAP:])
            for name, data in ((b"stdout", outcome.stdout), (b"stderr", outcome.stderr))
            if data
        ]
        if not parts:
            return ""
        return await self.keep(b"\n".join(parts))

    async def keep(self, data: bytes) -> str:
        """Store evidence; returns its hash."""
        return await asyncio.to_thread(self._put_evidence, data)


class Job(msgspec.Struct, frozen=True, kw_only=True):
    """One plan, its lab, and where progress is reported."""

    plan: Plan
    lab: Lab
    tell: Callable[[Progress], None]

    def report(self, stage: str, text: str = "") -> None:
        """Say which stage begins."""
        self.tell(Progress(candidate=self.plan.candidate, stage=stage, text=text))

    def tree(
        self, commit: str, flavour: str = "", prepare: Callable[[Path], None] | None = None
    ) -> AbstractAsyncContextManager[Path]:
        """Lend the compiled tree of a commit.

        Args:
            commit: full hash.
            flavour: tells apart trees of one commit; the paths of all are equally long.
            prepare: blocking; what is done to a new export before it is compiled.
        """

        async def ready(tree: Path) -> None:
            await asyncio.to_thread(_drop_caches, tree)
            if prepare is not None:
                await asyncio.to_thread(prepare, tree)
                await asyncio.to_thread(entrust, tree)
            await self._compile(tree)

        key = f"{self.plan.python}{flavour}".encode()
        return self.lab.trees.use(commit, ready, hashlib.sha256(key).hexdigest()[:8])

    def argv(self, command: tuple[str, ...]) -> tuple[str, ...]:
        """Fill in the interpreter."""
        return tuple(part.replace("{python}", self.plan.python) for part in command)

    def command(
        self,
        argv: tuple[str, ...],
        tree: Path,
        timeout: Duration,
        *,
        witness: bool = False,
        harness: bool = False,
        variables: dict[str, str] | None = None,
        stdin: bytes = b"",
    ) -> Command:
        """Make the command of one run on a tree.

        Args:
            argv: program and arguments.
            tree: exported tree.
            timeout: wall time.
            witness: have every interpreter report what it loads.
            harness: put our files on the import path, and open the result channel.
            variables: more environment variables.
            stdin: bytes on its standard input.
        """
        environment = self.plan.config.environment
        path = [TREE if p == "." else f"{TREE}/{p.rstrip('/')}" for p in environment.path]
        path = [*([_WITNESS] if witness else []), *path, *([HARNESS] if harness else [])]
        if users := environment.variables.get("PYTHONPATH"):
            path.append(users)
        env = environment.variables | (variables or {}) | {"PYTHONPATH": ":".join(path)}
        return Command(
            argv=argv,
            python=self.plan.python,
            limits=self.plan.config.sandbox,
            timeout=timeout,
            tree=tree,
            harness=INSIDE if witness or harness else None,
            read_only=tuple(Path(p) for p in environment.read_only),
            env=env,
            stdin=stdin,
            result=witness or harness,
        )

    async def run(self, command: Command) -> Outcome:
        """Carry out a command.

        Raises:
            SandboxError: the sandbox failed, which says nothing about the command.
        """
        outcome = await self.lab.sandbox.run(command)
        if outcome.ending is Ending.FAULT:
            raise SandboxError(f"The sandbox failed: {outcome.text}")
        return outcome

    async def _compile(self, tree: Path) -> None:
        """Compile a new tree, so that runs measure the program and not the compiler.

        Runs write no bytecode (each would warm up its own overlay only), so it is made once here:
        by the target's interpreter, in the sandbox, executing nothing of the tree. Files that do
        not compile are somebody else's finding. Compiled files that a commit brings along go first:
        nobody has read them.
        """
        argv = (self.plan.python, "-I", "-S", "-m", "compileall", "-q", TREE)
        command = Command(
            argv=argv,
            python=self.plan.python,
            limits=self.plan.config.sandbox,
            timeout=self.plan.config.sandbox.timeout,
            tree=tree,
            fresh=False,
        )
        await self.run(command)


def _drop_caches(tree: Path) -> None:
    """Blocking."""
    for path in list(tree.rglob("__pycache__")):
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
