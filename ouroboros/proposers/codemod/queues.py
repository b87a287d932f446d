"""Lists used as queues: each `pop(0)` moves every element that is left."""

from collections.abc import Iterator
from typing import ClassVar

import libcst as cst

from ouroboros.proposers.codemod.edits import Plan, expression, statement
from ouroboros.proposers.codemod.function import Function, Use
from ouroboros.proposers.codemod.index import assigned
from ouroboros.proposers.codemod.transformation import Site
from ouroboros.proposers.codemod.values import is_list


class DequeQueue:
    """A list that loses its first element in a loop -> `collections.deque`.

    Preconditions: a local variable, seen by no nested scope, bound exactly once to what is
    certainly a list; everything done with it is one of `pop(0)`, `pop()`, `append(x)`,
    `extend(xs)`, `insert(0, x)`, `clear()`, a test of emptiness, `len`, a membership test, `[0]`
    or `[-1]`; at least one `pop(0)` stands in a loop.
    """

    name: ClassVar[str] = "deque-queue"
    prior: ClassVar[float] = 0.5

    def find(self, function: Function) -> Iterator[Site]:
        """Yield one site per queue."""
        if not function.plain:
            return
        for name, count in function.bound.items():
            if count == 1 and function.local(name) and name not in function.parameters:
                start = self._start(function, name)
                if start is not None:
                    yield from self._site(function, name, *start)

    def _start(
        self, function: Function, name: str
    ) -> tuple[cst.SimpleStatementLine, cst.BaseExpression] | None:
        for block in function.blocks():
            for line in block:
                if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1:
                    value = assigned(line.body[0], name)
                    if value is not None and is_list(function, value):
                        return line, value
        return None

    def _site(
        self,
        function: Function,
        name: str,
        line: cst.SimpleStatementLine,
        value: cst.BaseExpression,
    ) -> Iterator[Site]:
        replace: dict[cst.CSTNode, cst.CSTNode] = {}
        in_loop = False
        for node in function.index.uses(function.node, name):
            if function.use(node) is Use.METHOD:
                call = function.index.parent[function.index.parent[node]]
                new = self._call(function, node, call)
                if new is None:
                    return
                if new:
                    replace[call] = expression(new)
                    in_loop |= "popleft" in new and function.enclosing_loop(node) is not None
            elif not self._allowed(function, node):
                return
        maker, imports = _maker(function)
        if not in_loop or not maker:
            return
        made = f"{name} = {maker}({function.code(value)})"
        replace[line] = statement(made).with_changes(leading_lines=line.leading_lines)
        yield Site(
            plan=Plan(replace=replace, imports=imports),
            label=name,
            title=f"Make the queue {name} a deque",
            why=f"Taking the first element of the list {name} moves all the others; a deque "
            "gives it in constant time.",
        )

    def _call(self, function: Function, node: cst.Name, call: cst.CSTNode) -> str | None:
        """Return the new call, an empty text where it may stay, None where it may not."""
        method = function.method(node)
        if not isinstance(call, cst.Call) or any(a.keyword or a.star for a in call.args):
            return None
        args = [function.code(a.value) for a in call.args]
        if any(function.index.uses(a, node.value) for a in call.args):
            return None
        match method, args:
            case "pop", ["0"]:
                return f"{node.value}.popleft()"
            case "insert", ["0", value]:
                return f"{node.value}.appendleft({value})"
            case ("append" | "extend", [_]) | ("pop" | "clear", []):
                return ""
            case _:
                return None

    def _allowed(self, function: Function, node: cst.Name) -> bool:
        use = function.use(node)
        parent = function.index.parent[node]
        match parent:
            case cst.Subscript(slice=[cst.SubscriptElement(slice=cst.Index(value=at))]):
                return use is Use.ITEM and function.code(at) in {"0", "-1"}
            case cst.Arg():
                call = function.index.parent[parent]
                return isinstance(call, cst.Call) and function.index.builtin(
                    call.func, "len", "bool"
                )
            case _:
                return use in {Use.MEMBER, Use.TEST, Use.BIND}


def _maker(function: Function) -> tuple[str, list[tuple[str, str]]]:
    """Return how to call deque in this file, and the import it needs."""
    index = function.index
    name = index.imported_from("collections", "deque")
    if name is not None:
        return ("", []) if name in function.bound else (name, [])
    module = index.imported("collections")
    if module is not None and module not in function.bound:
        return f"{module}.deque", []
    if index.bound["deque"] or "deque" in index.names or index.star:
        return "", []
    return "deque", [("collections", "deque")]
