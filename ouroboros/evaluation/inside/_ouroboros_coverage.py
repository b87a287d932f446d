"""Notes which lines of the tree a test run executes, and reports them over the private channel.

Runs on the baseline only. From Python 3.12 on, each line is reported once and then switched off, at
nearly no cost; before, functions are traced until all of their lines were seen.
"""
# ruff: noqa: PTH123 - runs in the target's interpreter: old, and quick to start

import os
import sys
import threading
from typing import Any

_TREE = os.path.realpath(os.environ.get("OUROBOROS_TREE", "/nonexistent")) + os.sep
_seen: Any = {}
_left: Any = {}


def start() -> None:
    """Begin; before anything of the target is imported."""
    if hasattr(sys, "monitoring"):
        _monitor()
    else:
        threading.settrace(_enter)
        sys.settrace(_enter)


def report(tell: Any) -> None:
    """Send what was executed, and what could have been, by the function that sends records."""
    sys.settrace(None)
    files = {}
    for path in list(_seen):
        inside = path[len(_TREE) :]
        files[inside] = [sorted(_seen[path]), sorted(_executable(path))]
    tell({"kind": "coverage", "files": files})


def _monitor() -> None:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined] # from Python 3.12 on

    def line(code: Any, number: int) -> Any:
        if code.co_filename.startswith(_TREE):
            _seen.setdefault(code.co_filename, set()).add(number)
        return monitoring.DISABLE

    monitoring.use_tool_id(monitoring.COVERAGE_ID, "ouroboros")
    monitoring.register_callback(monitoring.COVERAGE_ID, monitoring.events.LINE, line)
    monitoring.set_events(monitoring.COVERAGE_ID, monitoring.events.LINE)


def _enter(frame: Any, _event: str, _arg: Any) -> Any:
    code = frame.f_code
    if not code.co_filename.startswith(_TREE):
        return None
    left = _left.get(code)
    if left is None:
        left = _left[code] = _lines(code)
    if not left:
        return None  # every line was seen: no need to look again
    seen = _seen.setdefault(code.co_filename, set())

    def local(frame: Any, event: str, _arg: Any) -> Any:
        if event == "line":
            seen.add(frame.f_lineno)
            left.discard(frame.f_lineno)
        return local

    seen.add(frame.f_lineno)
    left.discard(frame.f_lineno)
    return local


def _lines(code: Any) -> Any:
    if hasattr(code, "co_lines"):
        return {number for _, _, number in code.co_lines() if number}
    import dis

    return {number for _, number in dis.findlinestarts(code)}


def _executable(path: str) -> Any:
    try:
        with open(path, "rb") as file:
            waiting = [compile(file.read(), path, "exec", dont_inherit=True)]
    except (OSError, SyntaxError, ValueError):
        return set()
    found = set()
    while waiting:
        code = waiting.pop()
        found |= _lines(code)
        waiting += [const for const in code.co_consts if hasattr(const, "co_code")]
    return found
