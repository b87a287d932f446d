"""Has inputs made: a sandboxed process on the baseline's tree, where no candidate's code runs.

Each round has a seed of its own from the system's randomness, never the plan's, never the same.
What the generator returns comes back as opaque bytes, which are passed on and never unpickled here.
The seeds are told afterwards, in the evidence.
"""

import contextlib
import secrets
import time
from pathlib import Path

import msgspec

from ouroboros.config import Challenge, Duration
from ouroboros.errors import EvaluationError
from ouroboros.evaluation.challenge.frames import Fault, split
from ouroboros.evaluation.challenge.peer import Lost, Met, in_thread, meet
from ouroboros.evaluation.lab import Job
from ouroboros.evaluation.suite import tail
from ouroboros.model.text import safe_text
from ouroboros.sandbox import HARNESS, TREE, Command

_INPUTS_CAP = 256 << 20
_SHOWN = 600


class Examiner:
    """Makes the inputs of one challenge. Its process is renewed before its time is up."""

    def __init__(self, job: Job, tree: Path, name: str) -> None:
        """Prepare.

        Args:
            job: whose challenge.
            tree: the baseline's.
            name: key in `[challenges]`.
        """
        self._job = job
        self._tree = tree
        self._name = name
        self._spec: Challenge = job.plan.config.challenges[name]
        self._stack = contextlib.AsyncExitStack()
        self._met: Met | None = None
        self._until_ns = 0
        self.seeds: list[str] = []
        self.repeated = 0

    async def close(self) -> None:
        """End its process."""
        self._met = None
        await self._stack.aclose()

    async def papers(self, rounds: list[int]) -> list[list[bytes]]:
        """Return new inputs for so many calls in each round.

        Raises:
            EvaluationError: there is no generator that works; says what to do.
            SandboxError: the sandbox failed.
        """
        met = await self._process()
        seeds = [secrets.token_hex(16) for _ in rounds]
        self.seeds += seeds
        questions = [
            msgspec.json.encode({"seed": seed, "count": count})
            for seed, count in zip(seeds, rounds, strict=True)
        ]

        def ask() -> list[bytes]:
            return [met.peer.ask(b"I", q, expect=b"i", cap=_INPUTS_CAP) for q in questions]

        try:
            answers = [split(answer) for answer in await in_thread([met.peer], ask)]
        except Lost as lost:
            raise await self._refusal(met, lost) from None
        self.repeated += sum(int(answer[0]) for answer in answers)
        return [answer[1:] for answer in answers]

    async def _process(self) -> Met:
        now = time.monotonic_ns()
        if self._met is None or now > self._until_ns:
            await self.close()
            limit = self._job.plan.config.sandbox.timeout
            self._until_ns = now + limit // 2
            self._met = await self._stack.enter_async_context(
                meet(self._job.lab.sandbox, self._command(), "examiner", limit)
            )
        return self._met

    def _command(self) -> Command:
        spec = self._spec
        kind = "command" if spec.command else "call"
        script = f"{HARNESS}/_ouroboros_inputs.py"
        argv = (self._job.plan.python, script, kind, spec.call, spec.inputs)
        return conversing(self._job, argv, self._tree, self._job.plan.config.sandbox.timeout)

    async def _refusal(self, met: Met, lost: Lost) -> EvaluationError:
        said = safe_text(lost.broken.text, limit=_SHOWN)
        if lost.broken.fault is not Fault.REFUSED:
            outcome = await met.outcome()
            said += tail(outcome) if outcome else ""
        source = self._spec.inputs or f"the annotations of {self._spec.call}"
        return EvaluationError(
            f"No inputs for the challenge {self._name} could be made from {source}: {said}",
            hint=f"Correct [challenges.{self._name}] or its generator on the branch.",
        )


def conversing(job: Job, argv: tuple[str, ...], tree: Path, timeout: Duration) -> Command:
    """Make the command of a process that we talk with.

    The tree's folders come as a variable of our own instead of PYTHONPATH: our programs take what
    they need from the standard library first, so that a file of the tree cannot stand in for it.
    """
    command = job.command(argv, tree, timeout, harness=True)
    path = [p for p in command.env["PYTHONPATH"].split(":") if p != HARNESS]
    env = {name: value for name, value in command.env.items() if name != "PYTHONPATH"}
    env |= {"OUROBOROS_PATH": ":".join(path) or TREE, "HYPOTHESIS_STORAGE_DIRECTORY": "/tmp/h"}  # noqa: S108 - inside
    return msgspec.structs.replace(command, env=env)
