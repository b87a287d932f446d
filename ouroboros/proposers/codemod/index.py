"""One pass over a syntax tree, after which every question about it is a dictionary look-up.

libcst's own metadata (`MetadataWrapper`, `ScopeProvider`) costs seconds on a large file, and a
proposer asks again after every promotion. All that the transformations need is order, parents,
subtree spans and the places where a name stands; one visitor collects them.

Line numbers come from `ast`, whose parser is written in C: both parsers list the `def`s of a file
in source order, so that the n-th of one is the n-th of the other.
"""

import ast
import builtins
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeVar

import libcst as cst

NodeT = TypeVar("NodeT", bound=cst.CSTNode)

BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True)
class Definition:
    """A function of a file: its node, its qualified name, the lines it takes, decorators too."""

    node: cst.FunctionDef
    qualname: str
    first_line: int
    last_line: int
    in_class: bool
    nested: bool


@dataclass(frozen=True)
class Index:
    """A parsed file with the facts about its names.

    Attributes:
        tree: the parsed module.
        order: every node, in source order, parents first.
        span: of each node, the slice of `order` that is its subtree.
        parent: of each node but the module, its parent.
        names: of each identifier, the `Name` nodes that refer to the variable.
        bound: how often each name is bound in the file, at any depth, in any way.
        star: whether the file has `from x import *`, so that any name may be anything.
        functions: the definitions, in source order.
    """

    tree: cst.Module
    order: Sequence[cst.CSTNode]
    span: Mapping[cst.CSTNode, tuple[int, int]]
    parent: Mapping[cst.CSTNode, cst.CSTNode]
    names: Mapping[str, Sequence[cst.Name]]
    bound: Counter[str]
    star: bool
    functions: Sequence[Definition]

    def inside(self, node: cst.CSTNode) -> Sequence[cst.CSTNode]:
        """Return the node and all below it, in source order."""
        start, end = self.span[node]
        return self.order[start:end]

    def each(self, node: cst.CSTNode, kind: type[NodeT]) -> Iterator[NodeT]:
        """Yield the nodes of one type in a subtree."""
        return (n for n in self.inside(node) if isinstance(n, kind))

    def contains(self, outer: cst.CSTNode, inner: cst.CSTNode) -> bool:
        """Whether `inner` stands in the subtree of `outer` (or is it)."""
        start, end = self.span[outer]
        return start <= self.span[inner][0] < end

    def before(self, first: cst.CSTNode, second: cst.CSTNode) -> bool:
        """Whether `first` ends before `second` starts."""
        return self.span[first][1] <= self.span[second][0]

    def uses(self, node: cst.CSTNode, name: str) -> list[cst.Name]:
        """Return where a variable of that name stands in a subtree."""
        return [n for n in self.names.get(name, ()) if self.contains(node, n)]

    def ancestors(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """Yield the parent, its parent, and so on up to the module."""
        while node in self.parent:
            node = self.parent[node]
            yield node

    def builtin(self, node: cst.CSTNode, *wanted: str) -> bool:
        """Whether the node is one of these builtins' names and nothing in the file shadows it."""
        return (
            isinstance(node, cst.Name)
            and (node.value in wanted if wanted else node.value in BUILTINS)
            and node.value in BUILTINS
            and self.bound[node.value] == 0
            and not self.star
        )

    def fresh(self, wish: str) -> str:
        """Return a name that stands nowhere in the file, as close to the wish as possible."""
        for suffix in ("", *(f"_{n}" for n in range(2, 1000))):
            name = wish + suffix
            if name not in self.names and not self.bound[name] and name not in BUILTINS:
                return name
        raise ValueError(f"No free name like {wish!r} in a file that has a thousand of them")

    def top_value(self, name: str) -> tuple[cst.SimpleStatementLine, cst.BaseExpression] | None:
        """Return statement and value of a module-level `NAME = value` that is the only binding."""
        if self.bound[name] != 1 or self.star:
            return None
        for line in self.tree.body:
            if isinstance(line, cst.SimpleStatementLine) and len(line.body) == 1:
                value = assigned(line.body[0], name)
                if value is not None:
                    return line, value
        return None

    def imported(self, module: str) -> str | None:
        """Return the name by which a module-level `import MODULE [as NAME]` binds a module."""
        if self.star:
            return None
        for statement in top_small(self.tree):
            if isinstance(statement, cst.Import):
                for alias in statement.names:
                    bound = alias.evaluated_alias or alias.evaluated_name
                    if alias.evaluated_name == module and self.bound[bound] == 1:
                        return bound
        return None

    def imported_from(self, module: str, name: str) -> str | None:
        """Return the local name of a module-level `from MODULE import NAME`."""
        if self.star:
            return None
        for statement in top_small(self.tree):
            if not isinstance(statement, cst.ImportFrom) or statement.relative:
                continue
            if isinstance(statement.names, cst.ImportStar) or dotted(statement.module) != module:
                continue
            for alias in statement.names:
                bound = alias.evaluated_alias or alias.evaluated_name
                if alias.evaluated_name == name and self.bound[bound] == 1:
                    return bound
        return None


def assigned(statement: cst.BaseSmallStatement, name: str) -> cst.BaseExpression | None:
    """Return the value where a statement is exactly `name = value` or `name: T = value`."""
    if isinstance(statement, cst.Assign) and len(statement.targets) == 1:
        target: cst.BaseExpression = statement.targets[0].target
    elif isinstance(statement, cst.AnnAssign):
        target = statement.target
    else:
        return None
    return statement.value if isinstance(target, cst.Name) and target.value == name else None


def top_small(tree: cst.Module) -> Iterator[cst.BaseSmallStatement]:
    """Yield the simple statements that stand at module level, outside of any block."""
    for line in tree.body:
        if isinstance(line, cst.SimpleStatementLine):
            yield from line.body


def dotted(node: cst.CSTNode | None) -> str:
    """Return `a.b.c` for a name or a chain of attributes, else the empty string."""
    if isinstance(node, cst.Name):
        return node.value
    if isinstance(node, cst.Attribute):
        left = dotted(node.value)
        return f"{left}.{node.attr.value}" if left else ""
    return ""


@dataclass
class _Collector(cst.CSTVisitor):
    """The one pass."""

    order: list[cst.CSTNode] = field(default_factory=list)
    span: dict[cst.CSTNode, tuple[int, int]] = field(default_factory=dict)
    parent: dict[cst.CSTNode, cst.CSTNode] = field(default_factory=dict)
    names: defaultdict[str, list[cst.Name]] = field(default_factory=lambda: defaultdict(list))
    stack: list[tuple[cst.CSTNode, int]] = field(default_factory=list)

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.BaseParenthesizableWhitespace | cst.TrailingWhitespace):
            return False
        if self.stack:
            self.parent[node] = self.stack[-1][0]
        self.stack.append((node, len(self.order)))
        self.order.append(node)
        if isinstance(node, cst.Name) and not self._is_label(node):
            self.names[node.value].append(node)
        return True

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if self.stack and self.stack[-1][0] is original_node:
            _, start = self.stack.pop()
            self.span[original_node] = (start, len(self.order))

    def _is_label(self, node: cst.Name) -> bool:
        """Whether the name is an attribute or keyword, and no variable."""
        parent = self.parent.get(node)
        return (isinstance(parent, cst.Attribute) and parent.attr is node) or (
            isinstance(parent, cst.Arg) and parent.keyword is node
        )


def target_names(node: cst.CSTNode | None) -> Iterator[str]:
    """Yield the variables that an assignment target binds (not attributes, not items)."""
    if isinstance(node, cst.Name):
        yield node.value
    elif isinstance(node, cst.Tuple | cst.List):
        for element in node.elements:
            yield from target_names(element.value)
    elif isinstance(node, cst.AsName):
        yield from target_names(node.name)


def binds(node: cst.CSTNode) -> Iterator[str]:
    """Yield the variables that this very node binds, rebinds or deletes."""
    match node:
        case (
            cst.AssignTarget(target=target)
            | cst.AnnAssign(target=target)
            | cst.AugAssign(target=target)
            | cst.NamedExpr(target=target)
            | cst.For(target=target)
            | cst.CompFor(target=target)
            | cst.Del(target=target)
        ):
            yield from target_names(target)
        case cst.Param(name=name) | cst.FunctionDef(name=name) | cst.ClassDef(name=name):
            yield from target_names(name)
        case (
            cst.MatchAs(name=name)
            | cst.MatchStar(name=name)
            | cst.ExceptHandler(name=name)
            | cst.ExceptStarHandler(name=name)
        ):
            yield from target_names(name)
        case cst.MatchMapping(rest=rest):
            yield from target_names(rest)
        case cst.WithItem(asname=asname):
            yield from target_names(asname)
        case cst.NameItem(name=name):
            yield from target_names(name)
        case cst.TypeAlias(name=name) | cst.TypeVar(name=name):
            yield from target_names(name)
        case cst.ImportAlias():
            alias = node.evaluated_alias
            yield alias or node.evaluated_name.split(".")[0]
        case _:
            return


def build(module: ast.Module, tree: cst.Module) -> Index:
    """Index a file that both parsers have read.

    Raises:
        SyntaxError: they do not agree on what it says.
    """
    lines = _line_spans(module)
    collector = _Collector()
    tree.visit(collector)
    bound = Counter(name for node in collector.order for name in binds(node))
    definitions = [n for n in collector.order if isinstance(n, cst.FunctionDef)]
    if len(definitions) != len(lines):
        raise SyntaxError("the two parsers found different functions")
    seen: Counter[str] = Counter()
    functions = []
    for node, (first, last) in zip(definitions, lines, strict=True):
        functions.append(_definition(collector, node, first, last, seen))
    return Index(
        tree=tree,
        order=collector.order,
        span=collector.span,
        parent=collector.parent,
        names=collector.names,
        bound=bound,
        star=any(isinstance(n, cst.ImportStar) for n in collector.order),
        functions=functions,
    )


def _definition(
    collector: _Collector, node: cst.FunctionDef, first: int, last: int, seen: Counter[str]
) -> Definition:
    parts = [node.name.value]
    scopes: list[cst.CSTNode] = []
    up: cst.CSTNode | None = collector.parent.get(node)
    while up is not None:
        if isinstance(up, cst.FunctionDef):
            parts += ["<locals>", up.name.value]
            scopes.append(up)
        elif isinstance(up, cst.ClassDef):
            parts.append(up.name.value)
            scopes.append(up)
        up = collector.parent.get(up)
    name = ".".join(reversed(parts))
    seen[name] += 1
    return Definition(
        node=node,
        qualname=name if seen[name] == 1 else f"{name}#{seen[name]}",
        first_line=first,
        last_line=last,
        in_class=bool(scopes) and isinstance(scopes[0], cst.ClassDef),
        nested=any(isinstance(s, cst.FunctionDef) for s in scopes),
    )


def _line_spans(module: ast.Module) -> list[tuple[int, int]]:
    found = [n for n in ast.walk(module) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    found.sort(key=lambda n: (n.lineno, n.col_offset))
    return [
        (min([n.lineno, *(d.lineno for d in n.decorator_list)]), n.end_lineno or n.lineno)
        for n in found
    ]
