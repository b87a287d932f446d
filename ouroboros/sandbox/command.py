"""What one run is asked to do, and how it ended: the two values at the sandbox's door.

Paths inside are fixed, so that baseline and candidate see the same ones: the tree lies at `TREE`,
files of ours at `HARNESS`. Where there is no mount namespace (`backend="none"`), these two strings
are replaced by the real folders in argv and environment before the run starts; for that, they are
chosen so that nobody writes them by accident.
"""

from enum import StrEnum
from pathlib import Path

import msgspec

from ouroboros.config import Duration
from ouroboros.config import Sandbox as Limits
from ouroboros.model.evaluation import Sample

TREE = "/ouroboros/tree"
"""Where the evaluated tree lies inside."""

HARNESS = "/ouroboros/harness"
"""Where our own read-only files lie inside, outside of the tree."""

RESULT_FD = 3
"""Number of the private result channel inside."""


class Ending(StrEnum):
    """How a run ended. `fault` is the sandbox's own failure and says nothing about the command."""

    EXITED = "exited"
    SIGNALLED = "signalled"
    TIMEOUT = "timeout"
    MEMORY = "memory"
    PROCESSES = "processes"
    CPU = "cpu"
    TREE = "tree"
    OUTPUT = "output"
    FAULT = "fault"


class Command(msgspec.Struct, frozen=True, kw_only=True):
    """One run.

    Attributes:
        argv: the program, found on the PATH of `env`, and its arguments.
        python: absolute path of the interpreter whose installation must be visible inside.
        limits: the `[sandbox]` table.
        timeout: wall time; `limits.timeout` applies on top.
        tree: host folder seen at `TREE`; None for an empty run. It is the working directory. For a
            run to write over its files, it must have been given to `entrust`.
        layers: host folders whose files lie over the tree's, later ones on top; only where `fresh`.
            Where the engine is root, they are given to the user as whom the run runs.
        fresh: the run's writes to the tree vanish with it. False binds the folder itself, for
            steps that prepare a tree and run no code of it.
        harness: host folder seen read-only at `HARNESS`.
        read_only: more host paths, seen read-only where they are.
        env: the whole environment, apart from what every run has (HOME, PATH, ...).
        stdin: bytes on standard input.
        result: whether the run gets the result channel.
        channel: our descriptor that becomes the result channel as it is, for those who talk with
            the run; `Outcome.result` is empty then. Stays open here: its owner closes it.
    """

    argv: tuple[str, ...]
    python: str
    limits: Limits
    timeout: Duration
    tree: Path | None = None
    layers: tuple[Path, ...] = ()
    fresh: bool = True
    harness: Path | None = None
    read_only: tuple[Path, ...] = ()
    env: dict[str, str] = {}
    stdin: bytes = b""
    result: bool = False
    channel: int = -1


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """How a run ended, what it cost, and what it said.

    Attributes:
        ending: see `Ending`.
        exit_code: of the command; None unless `ending` is `exited`.
        signal: number of the signal that ended the command, else 0.
        sample: CPU, wall time and peak memory, taken outside of the sandbox.
        stdout: the end of standard output, capped.
        stderr: the end of standard error, capped.
        stdout_whole: False where standard output carried more than was kept.
        result: what came over the result channel, from its beginning, capped.
        result_whole: False where the result channel carried more than was kept.
        text: for `fault`, what went wrong; for limits, which one.
    """

    ending: Ending
    sample: Sample
    exit_code: int | None = None
    signal: int = 0
    stdout: bytes = b""
    stderr: bytes = b""
    stdout_whole: bool = True
    result: bytes = b""
    result_whole: bool = True
    text: str = ""

    @property
    def ok(self) -> bool:
        """Whether the command ended by itself with exit code 0."""
        return self.ending is Ending.EXITED and self.exit_code == 0
