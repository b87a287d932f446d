"""What a configuration asks of this machine besides a sandbox: programs and processors.

Asked before anything runs, and by `ouroboros doctor`: a metric that cannot be taken is never left
out in silence, since a guard that nobody measured would look like one that held.
"""

import os
import shutil

import msgspec

from ouroboros.config import Config
from ouroboros.errors import EvaluationError
from ouroboros.model.metric import INSTRUCTIONS, Pairing

_PATH = "/usr/local/bin:/usr/bin:/bin"
"""Where runs find programs, apart from those of their interpreter."""

_SIDES = 2


class Need(msgspec.Struct, frozen=True, kw_only=True):
    """Something that is missing here, and what to do about it."""

    text: str
    fix: str


def missing(config: Config) -> tuple[Need, ...]:
    """Return what this machine lacks for the benchmarks of a configuration. Blocking, briefly."""
    found = []
    for name, benchmark in config.benchmarks.items():
        if INSTRUCTIONS in benchmark.metrics and valgrind() is None:
            text = f"Benchmark {name} counts instructions, and there is no valgrind in {_PATH}."
            fix = f"Install valgrind, or remove [benchmarks.{name}.metrics.instructions]."
            found.append(Need(text=text, fix=fix))
        if benchmark.pairing is Pairing.DUET and processors() < _SIDES:
            text = (
                f"Benchmark {name} runs both sides at once (duet), and this process may use only "
                "one processor."
            )
            fix = f'Set [benchmarks.{name}] pairing = "sequential", or give it a second processor.'
            found.append(Need(text=text, fix=fix))
    return tuple(found)


def check(config: Config) -> None:
    """Refuse to begin what could not be brought to its end.

    Raises:
        EvaluationError: something is missing; the first of it is named.
    """
    if needs := missing(config):
        raise EvaluationError(needs[0].text, hint=needs[0].fix)


def valgrind() -> str | None:
    """Return the path of valgrind as runs see it, or None."""
    return shutil.which("valgrind", path=_PATH)


def processors() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
