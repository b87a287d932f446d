"""Work that a loop repeats although its answer cannot change."""

from collections.abc import Iterator
from typing import ClassVar

import libcst as cst

from ouroboros.proposers.codemod.edits import Plan, expression, statement
from ouroboros.proposers.codemod.function import VIEWS, Function, Use
from ouroboros.proposers.codemod.index import dotted
from ouroboros.proposers.codemod.loops import LeftAlone, Repeat, outermost, repeats
from ouroboros.proposers.codemod.sharing import changed_by_others
from ouroboros.proposers.codemod.transformation import Site
from ouroboros.proposers.codemod.values import (
    TEXT_LISTS,
    TEXT_METHODS,
    constant,
    hashable,
    is_text,
    list_of_hashables,
    name_is_list,
)

WHOLE = frozenset({"sorted", "set", "frozenset", "list", "tuple", "dict", "sum", "min", "max"})
"""Builtins that go through all of what they are given."""

SHARED = frozenset({"sorted", "set", "list", "dict"}) | TEXT_LISTS
"""Calls whose result could be changed by who holds it."""

ORDER = "nothing in the loop changes an element in a way that this call would see"
ONCE = "computing it once, even where the loop would not have come to it, raises nothing"


class InvariantCall:
    """`f(xs)` in a loop that leaves `xs` alone -> computed once before the loop.

    `f` is a builtin that goes through its argument (`sorted`, `set`, `sum`, ...), `len`, or a
    method that only text has. Preconditions: all arguments are constants, or variables (or
    attributes of variables) that have their value before the loop and keep it; a container is
    only looked at in the loop; a result that could be changed (a list, a set) is only iterated
    over, tested or indexed. Named as assumed where not proven: that it raises nothing, that the
    elements keep their order, that an attribute keeps its value.
    """

    name: ClassVar[str] = "hoist-call"
    prior: ClassVar[float] = 0.55

    def find(self, function: Function) -> Iterator[Site]:
        """Yield one site per call text and loop."""
        if not function.plain:
            return
        done: set[tuple[str, cst.CSTNode]] = set()
        for call in function.own:
            if not isinstance(call, cst.Call) or not _worth(function, call):
                continue
            loop = outermost(repeats(function, call), _Invariant(function, call))
            key = (function.code(call), loop.anchor) if loop else None
            if loop is not None and key is not None and key not in done:
                done.add(key)
                yield self._site(function, call, loop)

    def _site(self, function: Function, call: cst.Call, loop: Repeat) -> Site:
        code = function.code(call)
        invariant = _Invariant(function, call)
        same = [
            c
            for c in function.own
            if isinstance(c, cst.Call)
            and function.code(c) == code
            and function.index.contains(loop.node, c)
            and any(r.anchor is loop.anchor for r in repeats(function, c))
            and (_callee(c) not in SHARED or _harmless(function, c))
        ]
        variable = function.fresh(_wish(call))
        return Site(
            plan=Plan(
                replace=dict.fromkeys(same, cst.Name(variable)),
                before={loop.anchor: [statement(f"{variable} = {code}")]},
            ),
            label=code,
            title=f"Compute {code} once before the loop",
            why=f"The loop computes {code} each time round, from values that it does not change.",
            assumes=invariant.assumes(loop),
            factor=_factor(_callee(call)),
        )


def _callee(call: cst.Call) -> str:
    """Return the bare name of the builtin or method that is called."""
    if isinstance(call.func, cst.Attribute):
        return call.func.attr.value
    return dotted(call.func)


def _factor(callee: str) -> float:
    if callee in WHOLE:
        return 1.0
    if callee == "len":
        return 0.06
    return 0.5 if callee in TEXT_LISTS else 0.35


def _wish(call: cst.Call) -> str:
    """Return a name that says what the call computes: `rows_sorted`, `agent_lower`."""
    nodes = [_viewed(a.value) for a in call.args]
    if isinstance(call.func, cst.Attribute):
        nodes.insert(0, call.func.value)
    roots = [dotted(n).rpartition(".")[2] for n in nodes if dotted(n)]
    return "_".join([*roots[:2], _callee(call)])


def _worth(function: Function, call: cst.Call) -> bool:
    """Whether a call is of a kind that can be hoisted at all."""
    if any(a.keyword or a.star for a in call.args):
        return False
    if not all(_stable(a.value) for a in call.args):
        return False
    if isinstance(call.func, cst.Attribute):
        known = call.func.attr.value in TEXT_METHODS | TEXT_LISTS
        plain = all(constant(a.value) for a in call.args)
        if not known or not plain or not dotted(call.func.value):
            return False
    elif not function.index.builtin(call.func, "len", *WHOLE) or not call.args:
        return False
    variables = [a for a in call.args if not constant(a.value)]
    if not variables and not isinstance(call.func, cst.Attribute):
        return False
    return _callee(call) not in SHARED or _harmless(function, call)


def _stable(node: cst.BaseExpression) -> bool:
    return constant(node) or bool(dotted(_viewed(node)))


def _viewed(node: cst.BaseExpression) -> cst.BaseExpression:
    """Return `d` for `d.values()`, `d.keys()` and `d.items()`, and anything else as it is."""
    match node:
        case cst.Call(func=cst.Attribute(value=value, attr=cst.Name(value=name)), args=[]):
            return value if name in VIEWS else node
        case _:
            return node


def _harmless(function: Function, call: cst.Call) -> bool:
    """Whether nobody gets hold of the call's result: it is looked at and gone."""
    parent = function.index.parent[call]
    match parent:
        case cst.ComparisonTarget(operator=cst.In() | cst.NotIn()):
            return True
        case cst.For(iter=it) | cst.CompFor(iter=it):
            return it is call
        case cst.Subscript(value=value):
            outer = function.index.parent[parent]
            stored = isinstance(outer, cst.AssignTarget | cst.AugAssign | cst.Del)
            return value is call and not stored
        case cst.Arg(star=""):
            outer = function.index.parent[parent]
            return isinstance(outer, cst.Call) and function.reader(outer.func)
        case _:
            return False


class _Invariant:
    """Whether a loop leaves alone all that a call reads."""

    def __init__(self, function: Function, call: cst.Call) -> None:
        self._function = function
        self._call = call
        self._method = isinstance(call.func, cst.Attribute)
        read: list[cst.BaseExpression] = [
            _viewed(a.value) for a in call.args if not constant(a.value)
        ]
        if isinstance(call.func, cst.Attribute):
            read.append(call.func.value)
        self._read = read

    def __call__(self, repeat: Repeat) -> bool:
        return all(self._settled(repeat, node) for node in self._read)

    def assumes(self, loop: Repeat) -> str:
        """Return what could not be proven."""
        function, callee = self._function, _callee(self._call)
        said = [
            f"{function.code(node)} stays the same during the loop"
            for node in self._read
            if isinstance(node, cst.Attribute)
        ]
        if self._method:
            certain = all(is_text(function, n) for n in self._read)
        else:
            certain = callee == "len" and all(
                isinstance(n, cst.Name) and name_is_list(function, n.value) for n in self._read
            )
            if callee not in {"len", "list", "tuple"}:
                said.append(ORDER)
            names = [n.value for n in self._read if isinstance(n, cst.Name)]
            said += filter(None, [changed_by_others(function, n, loop.node) for n in names])
        return " and ".join(said if certain else [*said, ONCE])

    def _settled(self, repeat: Repeat, node: cst.BaseExpression) -> bool:
        root, _, attribute = dotted(node).partition(".")
        function = self._function
        if not function.settled(root, repeat.anchor):
            return False
        if attribute:
            return self._attribute_kept(repeat, node, root)
        return self._method or LeftAlone(function, root)(repeat)

    def _attribute_kept(self, repeat: Repeat, node: cst.BaseExpression, root: str) -> bool:
        """Whether the loop neither stores the attribute nor calls into its object."""
        index = self._function.index
        wanted = dotted(node)
        for name in index.uses(repeat.node, root):
            up = index.parent[name]
            if not isinstance(up, cst.Attribute):
                return False
            if isinstance(index.parent[up], cst.Call | cst.AssignTarget | cst.AugAssign | cst.Del):
                return False
            chain: cst.CSTNode = up
            while isinstance(index.parent[chain], cst.Attribute):
                chain = index.parent[chain]
            called = isinstance(index.parent[chain], cst.Call)
            if called and dotted(chain).startswith(wanted + ".") and not self._method:
                return False
        return True


class CountOnce:
    """`xs.count(x)` in a loop -> one `collections.Counter` made before it.

    Preconditions: `xs` is a local variable, certainly a list, that has its value before the loop
    and is only looked at in it. Hashable elements are proven or named as assumed.
    """

    name: ClassVar[str] = "count-once"
    prior: ClassVar[float] = 0.55

    def find(self, function: Function) -> Iterator[Site]:
        """Yield one site per counted list and loop."""
        index = function.index
        free = not index.bound["Counter"] and "Counter" not in index.names and not index.star
        imported = index.imported_from("collections", "Counter")
        if not function.plain or not (imported or free):
            return
        done: set[tuple[str, cst.CSTNode]] = set()
        for call in function.own:
            match call:
                case cst.Call(
                    func=cst.Attribute(value=cst.Name(value=name), attr=cst.Name(value="count")),
                    args=[cst.Arg(star="", keyword=None)],
                ) if name_is_list(function, name):
                    loop = outermost(repeats(function, call), LeftAlone(function, name))
                    if loop is not None and (name, loop.anchor) not in done:
                        done.add((name, loop.anchor))
                        yield self._site(function, name, loop, imported)

    def _site(self, function: Function, name: str, loop: Repeat, imported: str | None) -> Site:
        counts = function.fresh(f"{name}_counts")
        replace: dict[cst.CSTNode, cst.CSTNode] = {}
        certain = list_of_hashables(function, name)
        for node in function.index.uses(loop.node, name):
            call = function.index.parent[function.index.parent[node]]
            counted = function.method(node) == "count"
            if not isinstance(call, cst.Call):
                continue
            if counted and any(r.anchor is loop.anchor for r in repeats(function, call)):
                wanted = call.args[0].value
                certain = certain and hashable(function, wanted)
                replace[call] = expression(f"{counts}[{function.code(wanted)}]")
        said = [changed_by_others(function, name, loop.node)]
        said += [] if certain else [f"all that {name} holds or is asked for is hashable"]
        made = statement(f"{counts} = {imported or 'Counter'}({name})")
        return Site(
            plan=Plan(
                replace=replace,
                before={loop.anchor: [made]},
                imports=[] if imported else [("collections", "Counter")],
            ),
            label=name,
            title=f"Count the elements of {name} once",
            why=f"Each count goes through all of {name}; a Counter goes through it once.",
            assumes=" and ".join(filter(None, said)),
        )


class SelfAttribute:
    """`self.x` read in a loop -> read once into a variable before it.

    Preconditions: the attribute is only read, and read at least twice, in the loop; nothing in
    the function stores to an attribute of that name; `self` is handed to nobody and has no method
    called in the loop. Assumed: reading it has no effect and gives the same each time (no
    property, no other thread). Low prior: it paid on one of sixteen packages.
    """

    name: ClassVar[str] = "hoist-attribute"
    prior: ClassVar[float] = 0.08
    reads: ClassVar[int] = 2

    def find(self, function: Function) -> Iterator[Site]:
        """Yield one site per attribute, for the outermost loop that allows it."""
        if not function.plain or not function.definition.in_class:
            return
        done: set[tuple[str, cst.CSTNode]] = set()
        for node in function.own:
            match node:
                case cst.Attribute(value=cst.Name(value="self"), attr=cst.Name(value=attribute)):
                    loop = outermost(repeats(function, node), _Untouched(function, attribute))
                    if loop is not None and (attribute, loop.anchor) not in done:
                        done.add((attribute, loop.anchor))
                        yield from self._site(function, attribute, loop)

    def _site(self, function: Function, attribute: str, loop: Repeat) -> Iterator[Site]:
        reads = [
            n
            for n in function.index.each(loop.node, cst.Attribute)
            if dotted(n) == f"self.{attribute}"
        ]
        if len(reads) < self.reads:
            return
        variable = function.fresh(attribute.lstrip("_") or attribute)
        made = statement(f"{variable} = self.{attribute}")
        yield Site(
            plan=Plan(
                replace=dict.fromkeys(reads, cst.Name(variable)), before={loop.anchor: [made]}
            ),
            label=attribute,
            title=f"Read self.{attribute} once before the loop",
            why=f"The loop looks up self.{attribute} {len(reads)} times each time round.",
            assumes=f"self.{attribute} is a plain attribute that nothing changes meanwhile",
        )


class _Untouched:
    """Whether a loop only reads attributes of `self`, and none by that name is ever stored."""

    def __init__(self, function: Function, attribute: str) -> None:
        self._function, self._attribute = function, attribute
        self._stored = any(
            isinstance(n, cst.Attribute)
            and n.attr.value == attribute
            and isinstance(
                function.index.parent[n], cst.AssignTarget | cst.AugAssign | cst.AnnAssign | cst.Del
            )
            for n in function.own
        )

    def __call__(self, repeat: Repeat) -> bool:
        function, index = self._function, self._function.index
        if self._stored or not function.settled("self", repeat.anchor):
            return False
        for name in index.uses(repeat.node, "self"):
            up = index.parent[name]
            if not isinstance(up, cst.Attribute) or function.use(name) is Use.METHOD:
                return False
        return True
