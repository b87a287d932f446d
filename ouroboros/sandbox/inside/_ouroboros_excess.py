"""Runs inside the sandbox: takes more of one thing than it was given, then says how much it got.

`python _ouroboros_excess.py WHAT MARK`, with figures as JSON on standard input. What it got is told
over the result channel as it grows, so that a run that is ended for it has said it too. Every
excess is bounded: where no limit holds, the machine survives it.
"""

import contextlib
import json
import os
import signal
import sys
import time
from typing import Any

_MIB = 1 << 20
_HOLD = 4.0
"""Seconds for which memory and processes are held, for limits that are enforced by looking."""


def tell(amount: int, words: Any = "", step: int = 0) -> None:
    """Say how much there is now."""
    record = json.dumps([step, amount, words]).encode() + b"\n"
    os.write(int(os.environ["OUROBOROS_RESULT_FD"]), record)


def memory(task: Any) -> None:
    """Touch every page of more and more memory."""
    held = []
    for done in range(1, task["most"] // _MIB + 1):
        try:
            held.append(bytearray(os.urandom(4096)) * 256)
        except MemoryError:
            tell((done - 1) * _MIB, "refused")
            return
        if done % 16 == 0:
            tell(done * _MIB)
    time.sleep(_HOLD)


def processes(task: Any) -> None:
    """Fork more and more processes that stay."""
    children = []
    for done in range(1, task["most"] + 1):
        try:
            pid = os.fork()
        except OSError as error:
            tell(done - 1, error.strerror)
            break
        if pid == 0:
            time.sleep(60)
            os._exit(0)
        children.append(pid)
        tell(done)
    else:
        time.sleep(_HOLD)
    for pid in children:
        os.kill(pid, signal.SIGKILL)


def fill(task: Any) -> None:
    """Write files into one folder after another; stay for a while if nobody refused."""
    tree, scratch = os.environ["OUROBOROS_TREE"], os.environ["TMPDIR"]
    for step in task["steps"]:
        step["folder"] = step["folder"].format(tree=tree, tmp=scratch)
    refused = False
    for number, step in enumerate(task["steps"]):
        written, said = 0, ""
        try:
            for file in range(step["files"]):
                written += _write(os.path.join(step["folder"], f"big{file}"), step["size"])
        except _Full as full:
            written, said, refused = written + full.args[0], full.args[1], True
        tell(written, said, number)
        for file in range(step["files"] if step["tidy"] else 0):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(os.path.join(step["folder"], f"big{file}"))
    if not refused:
        time.sleep(task["hold"])


class _Full(Exception):  # noqa: N818 - what we are after
    """No more could be written: how much was, and why."""


def _write(path: str, size: int) -> int:
    written = 0
    try:
        with open(path, "wb", buffering=0) as file:
            while written < size:
                written += file.write(b"x" * 65536)
    except OSError as error:
        raise _Full(written, error.strerror) from None
    return written


def touch(task: Any) -> None:
    """Make empty files in the temporary folder."""
    for done in range(1, task["most"] + 1):
        try:
            os.close(
                os.open(
                    os.path.join(os.environ["TMPDIR"], f"empty{done}"), os.O_CREAT | os.O_WRONLY
                )
            )
        except OSError as error:
            tell(done - 1, error.strerror)
            return
        if done % 5000 == 0:
            tell(done)
    tell(task["most"])


def spin(task: Any) -> None:
    """Use CPU time, in two processes, one of them detached."""
    begun = time.monotonic()
    if os.fork() == 0:
        os.setsid()
    while time.monotonic() - begun < task["seconds"]:
        pass
    tell(round(1000 * time.process_time()))


def outlast(_: Any) -> None:
    """Ignore every polite signal, also in a child that detached itself."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT):
        signal.signal(number, signal.SIG_IGN)
    if os.fork() == 0:
        os.setsid()
    tell(1)
    time.sleep(600)


def flood(task: Any) -> None:
    """Write without end."""
    chunk = b"x" * 65536
    for _ in range(task["most"] // len(chunk)):
        os.write(task["fd"], chunk)


def kill_all(_: Any) -> None:
    """Kill everything that can be killed."""
    tell(1)
    os.kill(-1, signal.SIGKILL)
    time.sleep(60)


def main() -> None:
    """Do what is asked."""
    task = json.load(sys.stdin)
    {f.__name__: f for f in (memory, processes, fill, touch, spin, outlast, flood, kill_all)}[
        sys.argv[1]
    ](task)


if __name__ == "__main__":
    main()
