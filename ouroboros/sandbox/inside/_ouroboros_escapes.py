"""Runs inside the sandbox: tries to get out, and tells over the result channel how that went.

Each attempt is made in a forked child of its own: one that is killed for its call, hangs, or
changes its process takes no other along. Three answers are kept apart: held (the attempt was
refused, or reached nothing), broken (it got what it should not), and error (we could not find out,
which is never read as held). A fourth, n/a, says that the attempt could not have succeeded on this
machine for reasons that are not the sandbox's.

Started as `python _ouroboros_escapes.py MARK`, with the task as JSON on standard input: names of
attempts, and the bait that the other side has laid out. The mark stands in the argument list of
every process, so that the other side can find them. Before it begins, it says hello and waits:
the other side looks at it from outside meanwhile.

Written for old interpreters, standard library only, like everything that runs inside.
"""

import json
import os
import select
import signal
import sys
from typing import Any

PATIENCE = 20.0
"""Seconds for one attempt."""

_MOST_FDS = 1024


class Out(Exception):  # noqa: N818 - not an error of this program but its finding
    """The attempt got what it should not have."""


class NotApplicable(Exception):  # noqa: N818 - as above
    """The attempt cannot tell anything on this machine."""


def refused(what: str, action: Any, *args: Any) -> str:
    """Carry out an action that must fail; returns how it was refused.

    Raises:
        Out: it did not fail.
    """
    try:
        result = action(*args)
    except OSError as error:
        return f"{what}: {error.strerror}"
    raise Out(f"{what} succeeded ({str(result)[:80]})")


def carry_out(attempt: Any, bait: Any) -> Any:
    """Make one attempt in a child; returns its status and what there is to say."""
    ours, theirs = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(ours)
        _child(attempt, bait, theirs)
    os.close(theirs)
    ready, _, _ = select.select([ours], [], [], PATIENCE)
    text = os.read(ours, 1 << 16) if ready else b""
    os.close(ours)
    if not ready:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if text:
        return json.loads(text)
    if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGSYS:
        return ["held", "killed for its call"]
    return ["error", f"it ended without an answer (status {status})"]


def _child(attempt: Any, bait: Any, fd: int) -> None:
    try:
        answer = ["held", attempt(bait)]
    except Out as finding:
        answer = ["broken", str(finding)]
    except NotApplicable as finding:
        answer = ["n/a", str(finding)]
    except BaseException as problem:  # noqa: BLE001 - the edge: it becomes an explicit error
        answer = ["error", f"{type(problem).__name__}: {problem}"]
    try:
        os.write(fd, json.dumps(answer).encode())
    finally:
        os._exit(0)


def is_open(fd: int) -> bool:
    """Whether we have this descriptor."""
    try:
        os.fstat(fd)
    except OSError:
        return False
    return True


def processes() -> Any:
    """Return the numbers of all processes that can be seen, as text."""
    try:
        return [name for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []  # not even the list can be read


def main() -> None:
    """Make the attempts that were asked for, in that order."""
    channel = int(os.environ["OUROBOROS_RESULT_FD"])
    held = [fd for fd in range(_MOST_FDS) if is_open(fd)]
    task = json.load(sys.stdin)
    task["bait"]["fds"] = held
    task["bait"]["tree"] = os.environ["OUROBOROS_TREE"]
    attempts = _attempts(task["rooms"])
    os.write(channel, b"\n")
    os.read(channel, 1)
    for name in task["names"]:
        attempt = attempts.get(name)
        found = carry_out(attempt, task["bait"]) if attempt else ["error", "nobody knows it"]
        os.write(channel, json.dumps([name, *found]).encode() + b"\n")


def _attempts(rooms: Any) -> Any:
    found = {}
    for room in rooms:
        found.update(__import__("_ouroboros_escapes_" + room).ATTEMPTS)
    return found


if __name__ == "__main__":
    sys.modules["_ouroboros_escapes"] = sys.modules["__main__"]
    main()
