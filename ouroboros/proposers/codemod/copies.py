"""Copies that nobody needs, or that are deeper than what they copy."""

from collections.abc import Iterator
from typing import ClassVar

import libcst as cst

from ouroboros.proposers.codemod.edits import Plan, expression
from ouroboros.proposers.codemod.function import Function, Use
from ouroboros.proposers.codemod.sharing import changed_by_others, handed_on
from ouroboros.proposers.codemod.transformation import Site
from ouroboros.proposers.codemod.values import constant, elements, name_is_list


class FlatDeepcopy:
    """`copy.deepcopy(DEFAULTS)` -> `DEFAULTS.copy()`, for a constant that is flat.

    Preconditions: `copy` (or `deepcopy`) is imported at module level and bound once; DEFAULTS is
    bound exactly once in the file, at module level, to a dict, list or set display that holds
    nothing but constants, and nothing in the file stores into it. Assumed: no other module does.
    """

    name: ClassVar[str] = "flat-copy"
    prior: ClassVar[float] = 0.6

    def find(self, function: Function) -> Iterator[Site]:
        """Yield one site per copied constant."""
        callers = {_deepcopy_of(function)} - {""}
        for call in function.own:
            match call:
                case cst.Call(func=func, args=[cst.Arg(value=cst.Name(value=name), star="")]):
                    known = function.code(func) in callers
                    if known and _flat_constant(function, name):
                        yield self._site(call, name)

    def _site(self, call: cst.Call, name: str) -> Site:
        return Site(
            plan=Plan(replace={call: expression(f"{name}.copy()")}),
            label=name,
            title=f"Copy the flat {name} with its own copy()",
            why=f"{name} holds constants only, so that a deep copy gives the same as a shallow "
            "one, at many times the price.",
            assumes=f"nothing outside of this file puts anything into {name}",
        )


def _deepcopy_of(function: Function) -> str:
    """Return how `copy.deepcopy` is written in this file, or the empty text."""
    index = function.index
    name = index.imported_from("copy", "deepcopy")
    module = index.imported("copy")
    if name is not None and name not in function.bound:
        return name
    return f"{module}.deepcopy" if module is not None and module not in function.bound else ""


def _flat_constant(function: Function, name: str) -> bool:
    top = function.index.top_value(name)
    if top is None:
        return False
    return _flat(top[1]) and not any(
        _stores(function, node) for node in function.index.names.get(name, ())
    )


def _flat(node: cst.BaseExpression) -> bool:
    if isinstance(node, cst.Dict):
        return all(
            isinstance(e, cst.DictElement) and constant(e.key) and constant(e.value)
            for e in node.elements
        )
    found = elements(node) if isinstance(node, cst.List | cst.Set) else None
    return found is not None and all(constant(e) for e in found)


def _stores(function: Function, node: cst.Name) -> bool:
    """Whether one use of a constant may change it or hand it on."""
    use = function.use(node)
    if use is Use.OTHER:
        parent = function.index.parent[node]
        call = function.index.parent[parent]
        is_copy = isinstance(call, cst.Call) and function.code(call.func) == _deepcopy_of(function)
        return not (isinstance(parent, cst.Arg) and is_copy)
    return use is Use.METHOD and function.method(node) not in {
        "copy",
        "get",
        "items",
        "keys",
        "values",
        "count",
        "index",
    }


class LoopCopy:
    """`for x in xs[:]` and `for x in xs.copy()` -> `for x in xs`.

    Preconditions: `xs` is a local variable, certainly a list; the loop neither rebinds it nor does
    more than look at it. Low prior: one copy per loop is rarely what costs.
    """

    name: ClassVar[str] = "loop-copy"
    prior: ClassVar[float] = 0.15

    def find(self, function: Function) -> Iterator[Site]:
        """Yield one site per loop."""
        for loop in function.loops:
            copied = self._copied(function, loop.iter) if isinstance(loop, cst.For) else None
            if copied is None or not function.local(copied) or not name_is_list(function, copied):
                continue
            kept = not function.rebound_in(loop, copied) and function.only_read(loop.body, copied)
            kept = kept and not handed_on(function, copied, loop)
            if kept and isinstance(loop, cst.For):
                yield Site(
                    plan=Plan(replace={loop.iter: cst.Name(copied)}),
                    label=copied,
                    title=f"Iterate over {copied} without copying it",
                    why=f"The loop copies {copied} first, and then never changes it.",
                    assumes=changed_by_others(function, copied, loop),
                )

    def _copied(self, function: Function, node: cst.BaseExpression) -> str | None:
        match node:
            case cst.Subscript(value=cst.Name(value=name)) if function.code(node) == f"{name}[:]":
                return name
            case cst.Call(
                func=cst.Attribute(value=cst.Name(value=name), attr=cst.Name(value="copy")), args=[]
            ):
                return name
            case _:
                return None
