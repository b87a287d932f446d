"""Answers a challenge: `_ouroboros_worker.py package.module:function`, asked over the channel.

Letters: `H` the target was imported, `L` take these inputs, `G` call it once for each of them (the
only part that is timed as the objective), `D` say what came of it, `W` and `A` one result and its
arguments in words, `M` which files were loaded, `X` end; `e` is the answer where that went wrong.

It runs beside hostile code that can replace any of this. So nothing that it says is believed,
except that bytes which equal the baseline's for inputs that nobody knew are the right bytes; clock
and CPU are read outside. What it uses is imported before the target's folders are on the path.
"""
# ruff: noqa: BLE001, B905 - the target's interpreter, old and quick to start; whatever a target raises is its answer

import importlib
import json
import os
import pickle
import sys
from typing import Any

import _ouroboros_report as report  # type: ignore[import-not-found] # beside this file, inside
from _ouroboros_codec import (  # type: ignore[import-not-found] # the same
    Drained,
    Raised,
    Uncomparable,
    is_lazy,
    row,
)
from _ouroboros_frames import Channel, join, split  # type: ignore[import-not-found] # the same

_WORDS = 300


def open_path() -> None:
    """Put the tree's folders on the import path, for this process and those that it starts."""
    path = os.environ.pop("OUROBOROS_PATH", "")
    here = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120 - quick to start
    sys.path[:] = path.split(":") + [p for p in sys.path if os.path.abspath(p) != here]  # noqa: PTH100 - the same
    os.environ["PYTHONPATH"] = path


def find(name: str) -> Any:
    """Return the function that a name like `package.module:Class.method` means."""
    module, _, path = name.partition(":")
    found = importlib.import_module(module)
    for part in path.split("."):
        found = getattr(found, part)
    return found


def failure(problem: Any) -> bytes:
    """Return an exception in words."""
    return ("%s: %s" % (type(problem).__name__, problem)).encode("utf-8", "replace")  # noqa: UP031 - old interpreters


def words(result: Any) -> bytes:
    """Return a result as a person would read it."""
    if type(result) is Raised:
        text = "raised " + repr(result.problem)
    elif type(result) is Drained:
        text = "%s of %r" % (result.kind.__name__, result.items[:20])  # noqa: UP031 - old interpreters
    else:
        text = repr(result)
    return text[:_WORDS].encode("utf-8", "replace")


def arguments(args: Any, kwargs: Any) -> bytes:
    """Return a call's arguments as a person would read them."""
    named = [name + "=" + repr(value) for name, value in kwargs.items()]
    return ("(" + ", ".join([*map(repr, args), *named]) + ")")[:_WORDS].encode("utf-8", "replace")


class Exam:
    """The calls of one round, and what came of them."""

    def __init__(self, call: Any, coverage: Any) -> None:
        """Take the function, and who notes which lines are executed, if anybody does."""
        self.call = call
        self.coverage = coverage
        self.calls: Any = []
        self.results: Any = []

    def load(self, content: bytes) -> Any:
        """Take inputs."""
        self.results = []
        self.calls = [pickle.loads(part) for part in split(content)]  # noqa: S301 - the engine's own examiner wrote it
        return b"l", b""

    def go(self, _content: bytes) -> Any:
        """Call, once for each input. A lazy answer does its work here, within the clock."""
        call = self.call
        keep = self.results.append
        for args, kwargs in self.calls:
            try:
                result = call(*args, **kwargs)
                if is_lazy(result):
                    result = Drained(result)
            except BaseException as problem:
                result = Raised(problem)
            keep(result)
        return b"g", b""

    def dump(self, _content: bytes) -> Any:
        """Return the bytes of each result, and of the arguments as the call has left them."""
        parts = []
        for result, (args, kwargs) in zip(self.results, self.calls):
            try:
                parts.append(row(result, args, kwargs))
            except Uncomparable as problem:
                parts.append(b"U" + str(problem).encode("utf-8", "replace")[:_WORDS])
        return b"d", join(parts)

    def result_in_words(self, content: bytes) -> Any:
        """Return one result as a person would read it."""
        return b"w", words(self.results[int(content)])

    def arguments_in_words(self, content: bytes) -> Any:
        """Return one call's arguments as a person would read them."""
        return b"w", arguments(*self.calls[int(content)])

    def modules(self, _content: bytes) -> Any:
        """Return which files were loaded, and which lines executed where that was noted."""
        records = [report.modules()]
        if self.coverage is not None:
            self.coverage.report(records.append)
        return b"m", "\n".join(map(json.dumps, records)).encode()


def serve(channel: Any, exam: Any) -> None:
    """Answer until nobody asks any more, or we are told to end."""
    answers = {
        b"L": exam.load,
        b"G": exam.go,
        b"D": exam.dump,
        b"W": exam.result_in_words,
        b"A": exam.arguments_in_words,
        b"M": exam.modules,
    }
    while True:
        question = channel.ask()
        if question is None:
            return
        letter, content = question
        if letter == b"X":
            channel.answer(b"x")
            return
        try:
            answer = answers[letter](content)
        except BaseException as problem:
            answer = b"e", failure(problem)
        channel.answer(*answer)


def main() -> None:
    """Import the target, and serve."""
    name = sys.argv[1]
    channel = Channel(int(os.environ.pop("OUROBOROS_RESULT_FD")))
    leave = os._exit
    sys.argv[1:] = []
    coverage: Any = None
    if os.environ.pop("OUROBOROS_COVERAGE", ""):  # before the target's folders are on the path
        import _ouroboros_coverage as coverage  # type: ignore[import-not-found,no-redef] # beside this file

        coverage.start()
    open_path()
    problem: Any = None
    call: Any = None
    try:
        call = find(name)
    except BaseException as found:
        problem = found
    question = channel.ask()
    if question is None:
        leave(1)
    if problem is None:
        channel.answer(b"h")
        serve(channel, Exam(call, coverage))
    else:
        channel.answer(b"e", failure(problem))
    leave(0)


if __name__ == "__main__":
    main()
