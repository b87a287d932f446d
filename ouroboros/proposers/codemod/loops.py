"""Where something is done again and again: the repeated parts of loops and comprehensions."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import libcst as cst

from ouroboros.proposers.codemod.function import Function
from ouroboros.proposers.codemod.sharing import handed_on


@dataclass(frozen=True)
class Repeat:
    """A loop or comprehension, and the statement before which things can be done once."""

    node: cst.CSTNode
    anchor: cst.BaseStatement


def repeats(function: Function, node: cst.CSTNode) -> Iterator[Repeat]:
    """Yield the loops that evaluate a node repeatedly, innermost first.

    Ends where nothing can be put in front: at a lambda, or behind a condition.
    """
    below = node
    for up in function.index.ancestors(node):
        if up is function.node or isinstance(up, cst.Lambda | cst.FunctionDef | cst.ClassDef):
            return
        if _repeats(up, below, node, function):
            anchor = up if isinstance(up, cst.For | cst.While) else function.statement(up)
            if anchor is None or not _in_block(function, anchor):
                return
            yield Repeat(up, anchor)
        below = up


def _repeats(up: cst.CSTNode, below: cst.CSTNode, node: cst.CSTNode, function: Function) -> bool:
    match up:
        case cst.For(body=body, asynchronous=asynchronous):
            return below is body and asynchronous is None
        case cst.While(test=test, body=body):
            return below is body or below is test
        case cst.ListComp(for_in=for_in) | cst.SetComp(for_in=for_in) | cst.DictComp(for_in=for_in):
            return not function.index.contains(for_in.iter, node)
        case cst.GeneratorExp(for_in=for_in):
            used_up = _used_up_at_once(function, up)
            return used_up and not function.index.contains(for_in.iter, node)
        case _:
            return False


def _used_up_at_once(function: Function, generator: cst.CSTNode) -> bool:
    """Whether a generator expression is the argument of a builtin that goes through it."""
    arg = function.index.parent[generator]
    call = function.index.parent[arg]
    at_once = ("any", "all", "sum", "min", "max", "sorted", "list", "tuple", "set", "frozenset")
    return isinstance(call, cst.Call) and function.index.builtin(call.func, *at_once)


def _in_block(function: Function, anchor: cst.CSTNode) -> bool:
    return isinstance(function.index.parent[anchor], cst.IndentedBlock)


class LeftAlone:
    """Whether a loop leaves a container variable alone, and no other name for it was made."""

    def __init__(self, function: Function, name: str) -> None:
        """Ask about one variable."""
        self._function, self._name = function, name

    def __call__(self, repeat: Repeat) -> bool:
        """Whether it holds for this loop."""
        function, name = self._function, self._name
        return (
            function.settled(name, repeat.anchor)
            and function.only_read(repeat.node, name)
            and not handed_on(function, name, repeat.anchor)
        )


def outermost(found: Iterator[Repeat], holds: Callable[[Repeat], bool]) -> Repeat | None:
    """Return the outermost loop for which something holds, as it does for all inside of it."""
    best = None
    for repeat in found:
        if not holds(repeat):
            break
        best = repeat
    return best
