"""What is known about one function: its names, its loops, how a variable is used.

Every answer errs on the side of "unknown": a transformation that is not offered costs nothing, a
wrong one costs an evaluation at best, and somebody's data at worst.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

import libcst as cst

from ouroboros.proposers.codemod.index import (
    BUILTINS,
    Definition,
    Index,
    binds,
    dotted,
    target_names,
)

Loop = cst.For | cst.While

DYNAMIC = frozenset({"locals", "vars", "globals", "exec", "eval", "dir", "super", "__class__"})
"""With one of these in a function, adding or moving a local variable may be seen."""

READERS = frozenset(
    {"len", "sum", "min", "max", "any", "all", "sorted", "list", "tuple", "set", "frozenset"}
    | {"enumerate", "zip", "reversed", "str", "repr", "bool", "isinstance", "print", "range"}
)
"""Builtins that only read the containers they are given."""


VIEWS = frozenset({"values", "keys", "items"})
LOOKING = VIEWS | {"count", "index", "get"}
"""Methods that only look at the container they belong to."""


class Use(StrEnum):
    """How one occurrence of a variable is used."""

    BIND = "bind"
    MEMBER = "member"
    READ = "read"
    ITERATE = "iterate"
    ITEM = "item"
    METHOD = "method"
    TEST = "test"
    RETURN = "return"
    OTHER = "other"


@dataclass(frozen=True)
class Function:
    """A definition in its file."""

    index: Index
    definition: Definition

    @property
    def node(self) -> cst.FunctionDef:
        """The `def`."""
        return self.definition.node

    @cached_property
    def own(self) -> Sequence[cst.CSTNode]:
        """The nodes of the body, without those of nested functions, lambdas and classes."""
        hidden: set[cst.CSTNode] = set()
        found = []
        for node in self.index.inside(self.node.body):
            if self.index.parent[node] in hidden:
                hidden.add(node)
                continue
            found.append(node)
            if isinstance(node, cst.FunctionDef | cst.Lambda | cst.ClassDef):
                hidden.add(node)
        return found

    @cached_property
    def bound(self) -> Counter[str]:
        """How often each name is bound: parameters, statements, comprehensions, nested too."""
        return Counter(n for node in self.index.inside(self.node) for n in binds(node))

    @cached_property
    def captured(self) -> frozenset[str]:
        """Names that stand in nested functions, lambdas and classes, and those declared global."""
        names = {n.name.value for n in self.index.each(self.node, cst.NameItem)}
        for node in self.own:
            if isinstance(node, cst.FunctionDef | cst.Lambda | cst.ClassDef):
                names |= {n.value for n in self.index.each(node, cst.Name)}
        return frozenset(names)

    @cached_property
    def parameters(self) -> dict[str, cst.Param]:
        """The parameters by name."""
        return {p.name.value: p for p in self.index.each(self.node.params, cst.Param)}

    @cached_property
    def plain(self) -> bool:
        """Whether no part of the function looks at its own variables or runs as a coroutine."""
        if self.node.asynchronous is not None:
            return False
        names = {n.value for n in self.index.each(self.node, cst.Name)}
        return not (names & DYNAMIC)

    @cached_property
    def generator(self) -> bool:
        """Whether the function yields or awaits."""
        return any(isinstance(n, cst.Yield | cst.Await) for n in self.own)

    @cached_property
    def loops(self) -> Sequence[Loop]:
        """The `for` and `while` statements, outer ones first; none that is asynchronous."""
        return [
            n
            for n in self.own
            if isinstance(n, cst.While) or (isinstance(n, cst.For) and n.asynchronous is None)
        ]

    # --- variables ------------------------------------------------------------------------------

    def local(self, name: str) -> bool:
        """Whether the name is this function's variable and no nested scope sees it."""
        return self.bound[name] > 0 and name not in self.captured

    def rebound_in(self, node: cst.CSTNode, name: str) -> bool:
        """Whether a subtree binds the name in any way."""
        return any(name in binds(n) for n in self.index.inside(node))

    def use(self, node: cst.Name) -> Use:
        """Classify one occurrence by what stands around it."""
        parent = self.index.parent[node]
        match parent:
            case cst.AssignTarget():
                return Use.BIND
            case cst.AnnAssign(target=target) | cst.AugAssign(target=target) if target is node:
                return Use.BIND
            case cst.ComparisonTarget(operator=cst.In() | cst.NotIn()):
                return Use.MEMBER
            case cst.For(iter=it) | cst.CompFor(iter=it) if it is node:
                return Use.ITERATE
            case cst.Subscript(value=value) if value is node:
                return Use.ITEM if self._loaded(parent) else Use.OTHER
            case cst.Attribute(value=value) if value is node and self.method(node):
                return Use.METHOD
            case cst.Arg() if self._read_by_builtin(parent):
                return Use.READ
            case cst.While() | cst.If() | cst.UnaryOperation(operator=cst.Not()):
                return Use.TEST
            case cst.Return():
                return Use.RETURN
            case _:
                return Use.BIND if node.value in binds(parent) else Use.OTHER

    def method(self, node: cst.CSTNode) -> str:
        """Return the method's name where the node is `node.method(...)`, else the empty string."""
        attribute = self.index.parent[node]
        if not isinstance(attribute, cst.Attribute) or attribute.value is not node:
            return ""
        call = self.index.parent[attribute]
        is_call = isinstance(call, cst.Call) and call.func is attribute
        return attribute.attr.value if is_call else ""

    def _read_by_builtin(self, arg: cst.Arg) -> bool:
        call = self.index.parent[arg]
        return isinstance(call, cst.Call) and not arg.star and self.reader(call.func)

    def reader(self, func: cst.CSTNode) -> bool:
        """Whether a called expression is a builtin that only reads what it is given."""
        return self.index.builtin(func, *READERS)

    def _loaded(self, subscript: cst.CSTNode) -> bool:
        """Whether a subscript or attribute is read and neither stored nor deleted."""
        node, parent = subscript, self.index.parent[subscript]
        while isinstance(parent, cst.BaseElement | cst.Tuple | cst.List):
            node, parent = parent, self.index.parent[parent]
        match parent:
            case cst.AssignTarget() | cst.Del():
                return False
            case (
                cst.For(target=target)
                | cst.CompFor(target=target)
                | cst.AugAssign(target=target)
                | cst.AnnAssign(target=target)
            ):
                return target is not node
            case cst.AsName():
                return False
            case _:
                return True

    def only_read(self, node: cst.CSTNode, name: str, *besides: Use) -> bool:
        """Whether a subtree only looks at what a container variable holds."""
        looks = {Use.MEMBER, Use.READ, Use.ITERATE, Use.ITEM, Use.TEST, *besides}
        return all(self._looks(n, looks) for n in self.index.uses(node, name))

    def _looks(self, node: cst.Name, looks: set[Use]) -> bool:
        use = self.use(node)
        return use in looks or (use is Use.METHOD and self.method(node) in LOOKING)

    # --- surroundings ---------------------------------------------------------------------------

    def statement(self, node: cst.CSTNode) -> cst.BaseStatement | None:
        """Return the statement around a node before which another can be put, in its block.

        None where that would change what is evaluated, or how often: inside of a lambda, in the
        test of an `elif` or `while`, behind an `and`, `or` or conditional, in a `case`.
        """
        below = node
        for up in self.index.ancestors(node):
            if isinstance(below, cst.BaseStatement | cst.SimpleStatementLine):
                return below if isinstance(up, cst.IndentedBlock) else None
            if self._conditional(up, below):
                return None
            below = up
        return None

    def _conditional(self, up: cst.CSTNode, below: cst.CSTNode) -> bool:
        match up:
            case cst.BooleanOperation(left=left):
                return below is not left
            case cst.IfExp(test=test):
                return below is not test
            case cst.If():
                return isinstance(self.index.parent[up], cst.If)
            case cst.Lambda() | cst.FunctionDef() | cst.ClassDef() | cst.While() | cst.MatchCase():
                return True
            case _:
                return False

    def dominates(self, binding: cst.CSTNode, statement: cst.CSTNode) -> bool:
        """Whether a binding has certainly happened when a later statement is reached."""
        if isinstance(binding, cst.Param):
            return binding in self.index.inside(self.node.params)
        below = binding
        for up in self.index.ancestors(binding):
            if isinstance(up, cst.IndentedBlock):
                simple = isinstance(below, cst.SimpleStatementLine)
                in_block = self.index.contains(up, statement)
                return simple and in_block and self.index.before(below, statement)
            below = up
        return False

    def settled(self, name: str, statement: cst.CSTNode) -> bool:
        """Whether a local variable has its value before a statement, and keeps it inside."""
        bindings = self.bindings_of(name)
        return (
            self.local(name)
            and not self.rebound_in(statement, name)
            and any(self.dominates(b, statement) for b in bindings)
        )

    def within(self, node: cst.CSTNode, kinds: tuple[type[cst.CSTNode], ...]) -> bool:
        """Whether a node stands inside of one of these kinds, within this function."""
        for up in self.index.ancestors(node):
            if up is self.node:
                return False
            if isinstance(up, kinds):
                return True
        return False

    def enclosing_loop(self, node: cst.CSTNode) -> Loop | None:
        """Return the innermost loop in whose repeated part a node stands."""
        below = node
        for up in self.index.ancestors(node):
            if up is self.node:
                return None
            repeated = (isinstance(up, cst.For) and below is up.body) or (
                isinstance(up, cst.While) and (below is up.body or below is up.test)
            )
            if repeated and isinstance(up, cst.For | cst.While):
                return up
            below = up
        return None

    def fresh(self, wish: str) -> str:
        """Return a local name like the wish that means nothing yet in this function."""
        for suffix in ("", *(f"_{n}" for n in range(2, 1000))):
            name = wish + suffix
            if not self.index.uses(self.node, name) and name not in BUILTINS:
                return name
        raise ValueError(f"No free name like {wish!r} in a function that has a thousand of them")

    def blocks(self) -> Iterator[Sequence[cst.BaseStatement]]:
        """Yield every list of statements of the function's own body."""
        for node in self.own:
            if isinstance(node, cst.IndentedBlock):
                yield node.body

    def code(self, node: cst.CSTNode) -> str:
        """Return the source text of a node."""
        return self.index.tree.code_for_node(node).strip()

    def annotation(self, name: str) -> str:
        """Return the annotation of a parameter as text, or the empty string."""
        parameter = self.parameters.get(name)
        if parameter is None or parameter.annotation is None:
            return ""
        return self.code(parameter.annotation.annotation).strip("\"'").replace(" ", "")

    def called(self, node: cst.CSTNode) -> str:
        """Return the dotted name of what a call calls, or the empty string."""
        return dotted(node.func) if isinstance(node, cst.Call) else ""

    def bindings_of(self, name: str) -> list[cst.CSTNode]:
        """Return the nodes that bind a name, parameters included."""
        return [n for n in self.index.inside(self.node) if name in binds(n)]

    def targets(self, node: cst.CSTNode) -> frozenset[str]:
        """Return all names that a subtree binds."""
        return frozenset(n for inner in self.index.inside(node) for n in binds(inner)) | frozenset(
            target_names(node)
        )
