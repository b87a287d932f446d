"""Lists and texts that are built up in a loop, in a way that costs more the longer they get."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

import libcst as cst

from ouroboros.proposers.codemod.edits import Plan, Statements, expression, statement
from ouroboros.proposers.codemod.function import Function, Use
from ouroboros.proposers.codemod.index import assigned
from ouroboros.proposers.codemod.transformation import Site
from ouroboros.proposers.codemod.values import elements, hashable, is_list, is_text


@dataclass(frozen=True)
class Accumulator:
    """A variable that starts with a value and is then built up in one statement with a loop.

    Guaranteed: it is local, no nested scope sees it, its only binding outside of `region` is
    `start`, both stand in the same block, no `try` of the function is around them, and every use
    stands in `region` (listed in `uses`) or behind it.
    """

    name: str
    start: cst.SimpleStatementLine
    value: cst.BaseExpression
    region: cst.BaseStatement
    uses: Sequence[cst.Name]


def accumulators(
    function: Function, starts: Callable[[cst.BaseExpression], bool]
) -> Iterator[Accumulator]:
    """Yield the accumulators of a function whose first value is of a wanted kind."""
    if not function.plain:
        return
    for block in function.blocks():
        for position, line in enumerate(block):
            if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
                continue
            for name in function.bound:
                value = assigned(line.body[0], name)
                if value is not None and starts(value) and function.local(name):
                    found = _region(function, name, line, value, block[position + 1 :])
                    if found is not None:
                        yield found


def _region(
    function: Function,
    name: str,
    start: cst.SimpleStatementLine,
    value: cst.BaseExpression,
    rest: Sequence[cst.BaseStatement],
) -> Accumulator | None:
    index = function.index
    region = next((s for s in rest if index.uses(s, name)), None)
    if region is None or not isinstance(region, cst.For | cst.While | cst.With):
        return None
    if isinstance(region, cst.For | cst.With) and region.asynchronous is not None:
        return None
    if function.within(region, (cst.Try, cst.TryStar)):
        return None
    inside = index.uses(region, name)
    others = [n for n in index.uses(function.node, name) if n not in inside]
    started = index.uses(start, name)
    if any(n not in started and not index.before(region, n) for n in others):
        return None
    if any(function.use(n) is Use.BIND for n in others if n not in started):
        return None
    return Accumulator(name, start, value, region, inside)


def elements_of_list(node: cst.BaseExpression) -> list[cst.BaseExpression] | None:
    """Return the elements of a list display without stars, else None."""
    return elements(node) if isinstance(node, cst.List) else None


def empty_list(node: cst.BaseExpression) -> bool:
    """Whether an expression is `[]`."""
    return isinstance(node, cst.List) and not node.elements


def method_statement(
    function: Function, node: cst.Name, method: str
) -> tuple[cst.SimpleStatementLine, cst.Call] | None:
    """Return line and call where a name's use is a statement `name.method(positional, ...)`."""
    if function.method(node) != method:
        return None
    call = function.index.parent[function.index.parent[node]]
    if not isinstance(call, cst.Call) or any(a.keyword or a.star for a in call.args):
        return None
    if any(function.index.uses(a, node.value) for a in call.args):
        return None
    line = alone(function, call)
    return (line, call) if line is not None else None


def alone(function: Function, call: cst.CSTNode) -> cst.SimpleStatementLine | None:
    """Return the line on which an expression is the only statement of a block's line."""
    small = function.index.parent[call]
    if not isinstance(small, cst.Expr):
        return None
    return own_line(function, small)


def own_line(function: Function, small: cst.CSTNode) -> cst.SimpleStatementLine | None:
    """Return the line of a small statement that has it for itself, in an indented block."""
    line = function.index.parent[small]
    if not isinstance(line, cst.SimpleStatementLine) or len(line.body) != 1:
        return None
    return line if isinstance(function.index.parent[line], cst.IndentedBlock) else None


class SeenSet:
    """`if x not in acc: acc.append(x)` -> the same with a set beside the list.

    Preconditions: an accumulator that starts as `[...]`; in the loop it is only tested, appended to
    (a name, a constant or a tuple of these) and looked at. Whether all values are hashable is
    proven, or named as assumed.
    """

    name: ClassVar[str] = "seen-set"
    prior: ClassVar[float] = 0.6

    def find(self, function: Function) -> Iterator[Site]:
        """Yield one site per accumulator."""
        looks = {Use.READ, Use.ITEM, Use.TEST, Use.RETURN}
        for acc in accumulators(function, lambda value: elements_of_list(value) is not None):
            members = [n for n in acc.uses if function.use(n) is Use.MEMBER]
            appends = [a for n in acc.uses if (a := method_statement(function, n, "append"))]
            looked = [n for n in acc.uses if function.use(n) in looks]
            if len(members) + len(appends) + len(looked) == len(acc.uses) and members and appends:
                yield from self._site(function, acc, members, appends)

    def _site(
        self,
        function: Function,
        acc: Accumulator,
        members: list[cst.Name],
        appends: list[tuple[cst.SimpleStatementLine, cst.Call]],
    ) -> Iterator[Site]:
        values = [call.args[0].value for _, call in appends if len(call.args) == 1]
        if len(values) != len(appends) or not all(_repeatable(v) for v in values):
            return
        certain = all(hashable(function, v) for v in values)
        if not certain and any(function.within(n, (cst.Try, cst.TryStar)) for n in acc.uses):
            return  # somebody may wait for the TypeError of a hash
        seen = function.fresh(f"{acc.name}_seen")
        start = elements_of_list(acc.value)
        certain = certain and all(hashable(function, v) for v in start or ())
        first = f"set({acc.name})" if start else "set()"
        adds: dict[cst.CSTNode, Statements] = {
            line: [statement(f"{seen}.add({function.code(value)})")]
            for (line, _), value in zip(appends, values, strict=True)
        }
        yield Site(
            plan=Plan(
                replace={n: cst.Name(seen) for n in members},
                after={acc.start: [statement(f"{seen} = {first}")], **adds},
            ),
            label=acc.name,
            title=f"Keep a set of what {acc.name} holds",
            why=f"Each test scans the growing list {acc.name}, which is quadratic in its length; "
            "a set beside it answers by hash.",
            assumes="" if certain else f"every value put into {acc.name} or tested is hashable",
            factor=1.0 if certain else 0.9,
        )


def _repeatable(node: cst.BaseExpression) -> bool:
    """Whether evaluating an expression twice gives the same and does nothing."""
    if isinstance(node, cst.Name | cst.SimpleString | cst.Integer):
        return True
    inner = elements(node) if isinstance(node, cst.Tuple) else None
    return inner is not None and all(_repeatable(e) for e in inner)


class ListConcat:
    """`acc = acc + [x]` -> `acc.append(x)`: no copy of the whole list for each element.

    Preconditions: an accumulator that certainly starts as a fresh list; in the loop it is only
    rebound in this way and looked at (not iterated over, not handed on).
    """

    name: ClassVar[str] = "list-append"
    prior: ClassVar[float] = 0.6

    def find(self, function: Function) -> Iterator[Site]:
        """Yield one site per accumulator."""
        looks = {Use.MEMBER, Use.READ, Use.ITEM, Use.TEST}
        for acc in accumulators(function, lambda value: is_list(function, value)):
            replace: dict[cst.CSTNode, cst.CSTNode] = {}
            accounted = 0
            for node in acc.uses:
                grown = self._grown(function, node)
                if grown is not None:
                    line, added = grown
                    replace[line] = statement(f"{acc.name}.{added}").with_changes(
                        leading_lines=line.leading_lines
                    )
                    accounted += 2
                elif function.use(node) in looks and not self._left(function, node):
                    accounted += 1
            if replace and accounted == len(acc.uses):
                yield Site(
                    plan=Plan(replace=replace),
                    label=acc.name,
                    title=f"Append to {acc.name} in place",
                    why=f"`{acc.name} = {acc.name} + [...]` copies the whole list for each "
                    "element, which is quadratic; appending does not.",
                )

    def _left(self, function: Function, node: cst.Name) -> bool:
        return isinstance(function.index.parent[node], cst.BinaryOperation)

    def _grown(
        self, function: Function, node: cst.Name
    ) -> tuple[cst.SimpleStatementLine, str] | None:
        """Return line and method call where a binding is `acc = acc + [...]`."""
        target = function.index.parent[node]
        small = function.index.parent[target]
        if not isinstance(target, cst.AssignTarget) or not isinstance(small, cst.Assign):
            return None
        line = own_line(function, small)
        value = assigned(small, node.value)
        match value:
            case cst.BinaryOperation(left=cst.Name(value=left), operator=cst.Add(), right=right):
                found = elements(right) if isinstance(right, cst.List) else None
                if left != node.value or line is None or found is None:
                    return None
                if function.index.uses(right, left):
                    return None
                one = f"append({function.code(found[0])})" if len(found) == 1 else ""
                return line, one or f"extend({function.code(right)})"
            case _:
                return None


class InsertFront:
    """`acc.insert(0, x)` in a loop -> `acc.append(x)` and one `acc.reverse()` after it.

    Preconditions: an accumulator that starts as `[]`; in the loop nothing else is done with it.
    """

    name: ClassVar[str] = "append-reverse"
    prior: ClassVar[float] = 0.5

    def find(self, function: Function) -> Iterator[Site]:
        """Yield one site per accumulator."""
        for acc in accumulators(function, empty_list):
            calls = [method_statement(function, n, "insert") for n in acc.uses]
            replace: dict[cst.CSTNode, cst.CSTNode] = {}
            for found in calls:
                if found is not None and len(found[1].args) == 2:  # noqa: PLR2004 - (0, x)
                    call = found[1]
                    if function.code(call.args[0].value) == "0":
                        value = function.code(call.args[1].value)
                        replace[call] = expression(f"{acc.name}.append({value})")
            if replace and len(replace) == len(acc.uses):
                reverse = statement(f"{acc.name}.reverse()")
                yield Site(
                    plan=Plan(replace=replace, after={acc.region: [reverse]}),
                    label=acc.name,
                    title=f"Append to {acc.name} and reverse it once",
                    why="Inserting at the front moves every element each time, which is "
                    "quadratic; appending and one reversal at the end give the same list.",
                )


class StringJoin:
    """`text += piece` in a loop -> a list of pieces and one join.

    Preconditions: an accumulator that starts as a literal text; in the loop it is only added to,
    by what is certainly text and does not read it. Low prior: CPython extends a text in place
    where nobody else holds it, so that this mostly changes nothing.
    """

    name: ClassVar[str] = "string-join"
    prior: ClassVar[float] = 0.12

    def find(self, function: Function) -> Iterator[Site]:
        """Yield one site per accumulator."""
        for acc in accumulators(function, lambda value: isinstance(value, cst.SimpleString)):
            parts = function.fresh(f"{acc.name}_parts")
            replace: dict[cst.CSTNode, cst.CSTNode] = {}
            for node in acc.uses:
                small = function.index.parent[node]
                line = own_line(function, small) if isinstance(small, cst.AugAssign) else None
                added = self._added(function, small, acc.name)
                if line is not None and added is not None:
                    replace[small] = expression_statement(f"{parts}.append({added})")
            prefix = acc.value.raw_value if isinstance(acc.value, cst.SimpleString) else None
            plain = isinstance(acc.value, cst.SimpleString) and acc.value.prefix == ""
            if not replace or len(replace) != len(acc.uses) or not plain or prefix is None:
                continue
            first = f"[{function.code(acc.value)}]" if prefix else "[]"
            yield Site(
                plan=Plan(
                    replace={
                        **replace,
                        acc.start: statement(f"{parts} = {first}").with_changes(
                            leading_lines=acc.start.leading_lines
                        ),
                    },
                    after={acc.region: [statement(f'{acc.name} = "".join({parts})')]},
                ),
                label=acc.name,
                title=f"Join the pieces of {acc.name} once",
                why="Adding to a text may copy all of it for each piece; a list of pieces is "
                "joined in one go.",
            )

    def _added(self, function: Function, small: cst.CSTNode, name: str) -> str | None:
        if not isinstance(small, cst.AugAssign) or not isinstance(small.operator, cst.AddAssign):
            return None
        if function.index.uses(small.value, name) or not is_text(function, small.value):
            return None
        return function.code(small.value)


def expression_statement(code: str) -> cst.Expr:
    """Return a small statement that evaluates an expression."""
    return cst.Expr(expression(code))
