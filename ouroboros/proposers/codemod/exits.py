"""Loops that go on although the answer is known."""

from collections.abc import Iterator
from typing import ClassVar

import libcst as cst

from ouroboros.proposers.codemod.edits import Plan, expression, statement
from ouroboros.proposers.codemod.function import Function
from ouroboros.proposers.codemod.index import assigned
from ouroboros.proposers.codemod.sharing import PURE_BUILTINS, PURE_METHODS
from ouroboros.proposers.codemod.transformation import Site
from ouroboros.proposers.codemod.values import constant, name_is_list


class EarlyBreak:
    """`for x in xs: if test: found = True` -> the same with a `break`.

    Preconditions: the loop's body is this one `if`, without `else`; its body is one assignment of
    a constant to a variable that the test does not read; the test calls nothing but pure builtins
    and methods of text; the loop has no `else`, and its variable is not used behind it. Assumed:
    testing the elements behind the first hit raises nothing, and nobody counts on the loop to use
    up an iterator.
    """

    name: ClassVar[str] = "early-break"
    prior: ClassVar[float] = 0.5

    def find(self, function: Function) -> Iterator[Site]:
        """Yield one site per loop."""
        for loop in function.loops:
            if not isinstance(loop, cst.For) or loop.orelse is not None:
                continue
            found = self._flag(function, loop)
            if found is None or self._target_lives_on(function, loop):
                continue
            line, flag = found
            yield Site(
                plan=Plan(after={line: [statement("break")]}),
                label=flag,
                title=f"Leave the loop once {flag} is known",
                why=f"After the first hit the loop can only set {flag} to the same value again.",
                assumes="testing the elements behind the first hit raises nothing, and what is "
                "iterated over is not expected to be used up",
                factor=1.0 if self._plain_source(function, loop.iter) else 0.7,
            )

    def _flag(
        self, function: Function, loop: cst.For
    ) -> tuple[cst.SimpleStatementLine, str] | None:
        match loop.body:
            case cst.IndentedBlock(
                body=[
                    cst.If(
                        test=test,
                        body=cst.IndentedBlock(
                            body=[cst.SimpleStatementLine(body=[small]) as line]
                        ),
                        orelse=None,
                    )
                ]
            ):
                for name in function.bound:
                    value = assigned(small, name)
                    if value is not None and constant(value) and function.local(name):
                        reads = function.index.uses(test, name)
                        pure = not reads and _pure(function, test)
                        return (line, name) if pure else None
        return None

    def _target_lives_on(self, function: Function, loop: cst.For) -> bool:
        names = function.targets(loop.target)
        inside = function.index.inside(loop)
        captured = any(n in function.captured for n in names)
        uses = [u for n in names for u in function.index.uses(function.node, n)]
        return captured or any(u not in inside for u in uses)

    def _plain_source(self, function: Function, node: cst.BaseExpression) -> bool:
        return isinstance(node, cst.Name) and name_is_list(function, node.value)


def _pure(function: Function, test: cst.CSTNode) -> bool:
    """Whether evaluating a test does nothing but look."""
    for node in function.index.inside(test):
        if isinstance(node, cst.NamedExpr | cst.Await | cst.Yield | cst.Lambda):
            return False
        if isinstance(node, cst.Call):
            by_name = function.index.builtin(node.func, *PURE_BUILTINS)
            method = isinstance(node.func, cst.Attribute) and node.func.attr.value in PURE_METHODS
            if not by_name and not method:
                return False
    return True


class AnyInsteadOfList:
    """`len([x for x in xs if test]) > 0` -> `any(True for x in xs if test)`, and `== 0` likewise.

    Preconditions: a list comprehension whose conditions only look; compared with 0 by `>`, `==`
    or `!=`; `any` and `len` are not shadowed. Assumed as for the early break.
    """

    name: ClassVar[str] = "any-early"
    prior: ClassVar[float] = 0.45

    def find(self, function: Function) -> Iterator[Site]:
        """Yield one site per comparison."""
        for node in function.own:
            match node:
                case cst.Comparison(
                    left=cst.Call(func=func, args=[cst.Arg(value=cst.ListComp() as made, star="")]),
                    comparisons=[
                        cst.ComparisonTarget(operator=operator, comparator=cst.Integer(value="0"))
                    ],
                ) if function.index.builtin(func, "len"):
                    yield from self._site(function, node, made, operator)

    def _site(
        self, function: Function, node: cst.Comparison, made: cst.ListComp, operator: cst.BaseCompOp
    ) -> Iterator[Site]:
        signs = {cst.GreaterThan: "", cst.NotEqual: "", cst.Equal: "not "}
        sign = signs.get(type(operator))
        free = function.index.bound["any"] == 0 and not function.index.star
        simple = constant(made.elt) or isinstance(made.elt, cst.Name)
        if sign is None or not free or not simple or not _pure(function, made.for_in):
            return
        code = f"({sign}any(True {function.code(made.for_in)}))"
        yield Site(
            plan=Plan(replace={node: expression(code)}),
            label=function.code(made.for_in),
            title="Stop at the first hit instead of building a list",
            why="The list is built whole only to see whether it is empty.",
            assumes="testing the elements behind the first hit raises nothing",
        )
