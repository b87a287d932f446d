"""How a run ended, from what the launcher and the sandbox have to say.

Two things are kept apart that are easy to mix up: the sandbox failed (`Ending.FAULT`, never held
against a candidate), and the command failed. Bubblewrap reports an exit code on its status pipe
only once the sandbox stands, the drop of rights says when it is done; without these reports, and
whatever ended the run, nothing of the command had run.
"""

from typing import NamedTuple

from ouroboros.config import Sandbox as Limits
from ouroboros.model.evaluation import Sample
from ouroboros.model.text import safe_text
from ouroboros.sandbox.bwrap import Bubblewrap
from ouroboros.sandbox.command import Ending, Outcome
from ouroboros.sandbox.ladder import Rung
from ouroboros.sandbox.landlock import Landlock
from ouroboros.sandbox.link import Reply

_SIGNAL_BASE = 128
_NOT_FOUND = "bwrap: execvp "
_SHELL_NOT_FOUND = 127
_NOTHING = Sample(cpu_ns=0, wall_ns=0, rss_bytes=0)
_ENDS = {
    "timeout": Ending.TIMEOUT,
    "memory": Ending.MEMORY,
    "processes": Ending.PROCESSES,
    "output": Ending.OUTPUT,
    "cpu": Ending.CPU,
    "tree": Ending.TREE,
}


class Ended(NamedTuple):
    """The ending, its exit code or signal, and what there is to say."""

    ending: Ending
    code: int | None = None
    signal: int = 0
    text: str = ""


def decide(reply: Reply, stderr: bytes, rung: Rung, *, stood: bool) -> Ended:
    """How a run ended.

    Args:
        reply: the launcher's account.
        stderr: what came over standard error.
        rung: what contained it.
        stood: whether rights were dropped where that was to be done.
    """
    if reply.end in _ENDS:
        if stood:
            return Ended(_ENDS[reply.end])
        text = f"The run was ended ({reply.end}) before its sandbox stood."
        return Ended(Ending.FAULT, text=text)
    if reply.end != "exit" or reply.code is None:
        return Ended(Ending.FAULT, text=reply.text or f"The run was ended: {reply.end}.")
    if rung is None:
        return _exited(reply.code)
    if reply.inner_exit is None:
        return _never_ran(reply.code, stderr, rung)
    if not stood:
        text = f"Root's rights could not be dropped ({reply.inner_exit}): {_said_on(stderr)}"
        return Ended(Ending.FAULT, text=text)
    # A death by signal is passed on as 128 + its number, as shells do.
    return _exited(_as_signal(reply.inner_exit))


def _never_ran(code: int, stderr: bytes, rung: Bubblewrap | Landlock) -> Ended:
    """The sandbox itself has ended without saying how the command did."""
    if isinstance(rung, Landlock):
        return Ended(Ending.FAULT, text=f"The run's warden ended early ({code}).")
    said = _said_on(stderr)
    if said.startswith(_NOT_FOUND) and rung.step is None:
        # Nothing ran yet, so that nobody but bubblewrap can have said this.
        return Ended(Ending.EXITED, code=_SHELL_NOT_FOUND)
    return Ended(Ending.FAULT, text=f"Bubblewrap failed ({code}): {said}")


def _said_on(stderr: bytes) -> str:
    return safe_text(stderr.decode(errors="replace"), limit=2000).strip()


def _exited(code: int) -> Ended:
    if code < 0:
        return Ended(Ending.SIGNALLED, signal=-code, text=f"It died of signal {-code}.")
    return Ended(Ending.EXITED, code=code)


def fault(text: str) -> Outcome:
    """Say that the sandbox failed, which says nothing about the command."""
    return Outcome(ending=Ending.FAULT, sample=_NOTHING, text=text)


def _as_signal(code: int) -> int:
    return _SIGNAL_BASE - code if code > _SIGNAL_BASE else code


def limit_text(ending: Ending, limits: Limits) -> str:
    """Say which limit a run has crossed; empty where it crossed none."""
    match ending:
        case Ending.TIMEOUT:
            return "It did not end in time."
        case Ending.MEMORY:
            return f"It needed more than {limits.memory >> 20} MiB of memory."
        case Ending.PROCESSES:
            return f"It had more than {limits.processes} processes."
        case Ending.OUTPUT:
            return f"It wrote far more than {limits.output >> 10} KiB of output."
        case Ending.CPU:
            return f"It needed more than {limits.cpu.seconds:g} s of CPU time."
        case Ending.TREE:
            return (
                f"It wrote too much: more than {limits.tree_size >> 20} MiB to its tree, or "
                f"{limits.tmp_size >> 20} MiB to a temporary folder on the disk."
            )
        case _:
            return ""
