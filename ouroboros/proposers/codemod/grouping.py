"""Two look-ups where one would do."""

from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import ClassVar

import libcst as cst

from ouroboros.proposers.codemod.accumulators import alone
from ouroboros.proposers.codemod.edits import Plan, expression
from ouroboros.proposers.codemod.function import Function
from ouroboros.proposers.codemod.index import assigned
from ouroboros.proposers.codemod.transformation import Site


class SetdefaultAppend:
    """`if k not in d: d[k] = []` and `d[k].append(v)` -> `d.setdefault(k, []).append(v)`.

    Preconditions: `d` is a local variable whose only binding is `{}`; `k` is a variable or a
    constant; `v` is a variable or a constant, so that nothing can go wrong between the two. Low
    prior: it saves one look-up and makes one list too many.
    """

    name: ClassVar[str] = "setdefault-append"
    prior: ClassVar[float] = 0.12

    def find(self, function: Function) -> Iterator[Site]:
        """Yield one site per pair of statements."""
        if not function.plain:
            return
        for block in function.blocks():
            for test, use in pairwise(block):
                found = self._pair(function, test, use)
                if found is not None:
                    yield found

    def _pair(
        self, function: Function, test: cst.BaseStatement, use: cst.BaseStatement
    ) -> Site | None:
        match test, use:
            case (
                cst.If(
                    test=cst.Comparison(
                        left=key,
                        comparisons=[
                            cst.ComparisonTarget(
                                operator=cst.NotIn(), comparator=cst.Name(value=name)
                            )
                        ],
                    ),
                    body=cst.IndentedBlock(body=[cst.SimpleStatementLine(body=[store])]),
                    orelse=None,
                ),
                cst.SimpleStatementLine(
                    body=[
                        cst.Expr(
                            value=cst.Call(
                                func=cst.Attribute(attr=cst.Name(value="append")), args=args
                            ) as call
                        )
                    ]
                ),
            ):
                code = function.code(key)
                stored = function.code(store) == f"{name}[{code}] = []"
                appended = function.code(call.func) == f"{name}[{code}].append"
                if stored and appended and self._simple(function, name, key, args):
                    return self._site(function, test, call, name, code)
        return None

    def _simple(
        self, function: Function, name: str, key: cst.BaseExpression, args: Sequence[cst.Arg]
    ) -> bool:
        plain = (cst.Name, cst.SimpleString, cst.Integer)
        values = [a.value for a in args if a.keyword is None and not a.star]
        started = any(
            isinstance(line, cst.SimpleStatementLine)
            and len(line.body) == 1
            and isinstance(value := assigned(line.body[0], name), cst.Dict)
            and not value.elements
            for block in function.blocks()
            for line in block
        )
        return (
            started
            and function.local(name)
            and function.bound[name] == 1
            and isinstance(key, plain)
            and len(values) == len(args) == 1
            and isinstance(values[0], plain)
        )

    def _site(
        self, function: Function, test: cst.If, call: cst.Call, name: str, key: str
    ) -> Site | None:
        if alone(function, call) is None or any(line.comment for line in test.leading_lines):
            return None
        value = function.code(call.args[0].value)
        new = expression(f"{name}.setdefault({key}, []).append({value})")
        return Site(
            plan=Plan(replace={test: cst.RemoveFromParent(), call: new}),
            label=name,
            title=f"Group into {name} with setdefault",
            why=f"The key is looked up in {name} three times; setdefault looks once.",
        )
