"""A Python file as a syntax tree with its scopes, or the reason why there is none. Pure.

The text is hostile: it may be nested so deep that a parser or a walk gives up, or so large that
both take minutes. Size and number of nodes are therefore bounded, the walk keeps its own stack, and
whatever the parser says besides a tree is an outcome here and never an exception.
"""

import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NamedTuple

from ouroboros.evaluation.screen.text import declared

MAX_BYTES = 256 * 1024
MAX_NODES = 150_000
_SINGLE_BYTE = re.compile(
    rb"(?i)(?:iso-?8859-\d+|latin-?1|l1|cp125\d|ascii|us-ascii|utf-?8(-sig)?)"
)

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Broken(NamedTuple):
    """Why there is no tree; `wrong` where Python itself would refuse the file."""

    wrong: bool
    why: str
    line: int = 0


class Place(NamedTuple):
    """Where a node stands: scope by name, functions and class around it (the innermost last).

    `in_body` means directly in the class's body, `loops` are the names that comprehensions around
    it bind: neither can be seen by what stands beside them.
    """

    scope: str = ""
    functions: tuple[Function, ...] = ()
    owner: str = ""
    in_body: bool = False
    loops: frozenset[str] = frozenset()

    @property
    def at_import(self) -> bool:
        """Whether the node is executed when the module is imported."""
        return not self.functions


class Node(NamedTuple):
    """A node of the tree with its parent and its place."""

    node: ast.AST
    parent: ast.AST
    place: Place

    @property
    def line(self) -> int:
        """The line on which it begins."""
        return int(getattr(self.node, "lineno", 0))


class Kind(Enum):
    """What a name stands for at some place."""

    LOCAL = auto()
    IMPORT = auto()
    MODULE = auto()
    FREE = auto()


@dataclass(slots=True)
class Scope:
    """What one function, class or module binds.

    `imports` maps a name to what it stands for, `modules` are those bound by `import`, `outer`
    those declared global, `aliases` what was assigned to a name last, `defaults` those of
    parameters.
    """

    bound: set[str] = field(default_factory=set)
    outer: set[str] = field(default_factory=set)
    imports: dict[str, str] = field(default_factory=dict)
    modules: set[str] = field(default_factory=set)
    aliases: dict[str, ast.expr] = field(default_factory=dict)
    defaults: dict[str, ast.expr] = field(default_factory=dict)


@dataclass(slots=True)
class Module:
    """A parsed file."""

    path: str
    lines: list[str]
    tree: ast.Module
    nodes: list[Node]
    scopes: dict[int, Scope]
    classes: dict[str, Scope]
    top: Scope
    definitions: dict[str, ast.AST]
    chains: dict[int, tuple[str, ...]] = field(default_factory=dict)
    parents: dict[int, ast.AST] = field(default_factory=dict)
    positions: dict[int, dict[str, int]] = field(default_factory=dict)

    def resolve(self, name: str, place: Place) -> tuple[Kind, str]:
        """Return what a name stands for, and the dotted name of an import."""
        if name in place.loops:
            return Kind.LOCAL, ""
        if place.in_body:
            body = self.classes[place.owner]
            if name in body.imports:
                return Kind.IMPORT, body.imports[name]
            if name in body.bound:
                return Kind.LOCAL, ""
        for function in reversed(place.functions):
            scope = self.scopes[id(function)]
            if name in scope.imports:
                return Kind.IMPORT, scope.imports[name]
            if name in scope.bound and name not in scope.outer:
                return Kind.LOCAL, ""
        if name in self.top.imports:
            return Kind.IMPORT, self.top.imports[name]
        return (Kind.MODULE if name in self.top.bound else Kind.FREE), ""

    def origin(self, name: str, place: Place, hops: int = 3) -> tuple[Kind, str]:
        """Return what a name stands for behind plain assignments: `t = time`, `known=_KNOWN`.

        The dotted name is an import's, or the name of the module's own object.
        """
        kind, dotted = self.resolve(name, place)
        value = self._assigned(name, place, kind) if hops and kind is not Kind.IMPORT else None
        if isinstance(value, ast.Name | ast.Attribute):
            names, root = unwound(value)
            if isinstance(root, ast.Name) and root.id != name:
                behind, found = self.origin(root.id, place, hops - 1)
                if behind in {Kind.IMPORT, Kind.MODULE}:
                    return behind, ".".join((found, *names))
        return kind, dotted or name

    def _assigned(self, name: str, place: Place, kind: Kind) -> ast.expr | None:
        if kind is Kind.MODULE:
            return self.top.aliases.get(name)
        for function in reversed(place.functions):
            scope = self.scopes[id(function)]
            if name in scope.bound:
                return scope.aliases.get(name)
        return None

    def dotted(self, node: ast.AST, place: Place) -> str:
        """Return `module.name...` of a chain that begins at an import; empty for all else."""
        names, root = unwound(node)
        if not isinstance(root, ast.Name):
            return ""
        kind, module = self.resolve(root.id, place)
        return ".".join((module, *names)) if kind is Kind.IMPORT else ""

    def is_module(self, name: str, place: Place) -> bool:
        """Whether a name was bound by `import NAME`, so that it is a module and nothing else."""
        scopes = [self.scopes[id(f)] for f in reversed(place.functions)]
        return any(name in scope.modules for scope in (*scopes, self.top))


def unwound(node: ast.AST) -> tuple[tuple[str, ...], ast.AST]:
    """Return the attributes of `root.a.b`, and the root."""
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return tuple(reversed(names)), node


def root_of(node: ast.AST) -> ast.AST:
    """Return what a chain of attributes and subscripts begins with."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node


def parse(path: str, content: bytes) -> Module | Broken:
    """Parse one file."""
    if len(content) > MAX_BYTES:
        return Broken(wrong=False, why=f"larger than {MAX_BYTES >> 10} KiB")
    if any(not _SINGLE_BYTE.fullmatch(name) for name in declared(content).values()):
        return Broken(wrong=False, why="an encoding that is not read here")
    try:
        tree = ast.parse(content)
        return _module(path, content, tree)
    except SyntaxError as error:
        return Broken(wrong=True, why=str(error.msg), line=_line(error.lineno))
    except ValueError as error:
        return Broken(wrong=True, why=str(error))
    except (RecursionError, MemoryError):
        return Broken(wrong=False, why="nested too deep")


def _line(number: int | None) -> int:
    return number if number is not None and 0 < number < MAX_BYTES else 0


def _module(path: str, content: bytes, tree: ast.Module) -> Module | Broken:
    top = Scope()
    module = Module(
        path=path,
        lines=content.decode("utf-8", "replace").split("\n"),
        tree=tree,
        nodes=[],
        scopes={},
        classes={},
        top=top,
        definitions={},
    )
    for node in _walk(tree, module):
        module.nodes.append(node)
        module.parents[id(node.node)] = node.parent
        if len(module.nodes) > MAX_NODES:
            return Broken(wrong=False, why=f"more than {MAX_NODES} nodes")
        _bind(node, module)
    _settle(module)
    return module


def _walk(tree: ast.Module, module: Module) -> Iterator[Node]:
    """Yield every node below the module, in the order of the text, without recursion."""
    stack = [Node(child, tree, Place()) for child in reversed(tree.body)]
    while stack:
        item = stack.pop()
        yield item
        children = [Node(c, item.node, p) for c, p in _children(item, module)]
        stack.extend(reversed(children))


def _children(item: Node, module: Module) -> Iterator[tuple[ast.AST, Place]]:
    node, place = item.node, item.place
    if isinstance(node, FUNCTIONS):
        inner = _inside_function(node, place, module)
        for outer in _outside(node):
            yield outer, place
        module.scopes[id(node)].bound.update(a.arg for a in parameters(node))
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        yield from ((child, inner) for child in body)
    elif isinstance(node, ast.ClassDef):
        inner = _inside_class(node, place, module)
        for child in ast.iter_child_nodes(node):
            yield child, inner if isinstance(child, ast.stmt) else place
    elif isinstance(node, COMPREHENSIONS):
        yield from _inside_comprehension(node, place)
    else:
        yield from ((child, place) for child in ast.iter_child_nodes(node))


def _inside_comprehension(
    node: ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp, place: Place
) -> Iterator[tuple[ast.AST, Place]]:
    targets = (n for g in node.generators for n in ast.walk(g.target) if isinstance(n, ast.Name))
    names = frozenset(n.id for n in targets if isinstance(n.ctx, ast.Store))
    inner = place._replace(loops=place.loops | names)
    for index, generator in enumerate(node.generators):
        yield generator.iter, place if index == 0 else inner
        yield generator.target, inner
        yield from ((condition, inner) for condition in generator.ifs)
    parts = (node.key, node.value) if isinstance(node, ast.DictComp) else (node.elt,)
    yield from ((part, inner) for part in parts)


def _outside(node: Function) -> Iterator[ast.AST]:
    """Yield what belongs to a function but is executed where the function is defined."""
    arguments = node.args
    yield from (d for d in (*arguments.defaults, *arguments.kw_defaults) if d is not None)
    if not isinstance(node, ast.Lambda):
        yield from node.decorator_list
        yield from (node.returns,) if node.returns else ()
        yield from (a.annotation for a in parameters(node) if a.annotation is not None)


def parameters(node: Function) -> list[ast.arg]:
    """Return the parameters of a function; those that can be given by position come first."""
    given = node.args
    every = (*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg)
    return [argument for argument in every if argument is not None]


def _inside_function(node: Function, place: Place, module: Module) -> Place:
    module.scopes[id(node)] = Scope()
    name = "<lambda>" if isinstance(node, ast.Lambda) else node.name
    scope = place.scope if place.functions else _join(place.scope, name)
    if not place.functions and not isinstance(node, ast.Lambda):
        module.definitions[scope] = node
    if isinstance(node, ast.Lambda) and not place.functions:
        scope = place.scope
    return Place(scope, (*place.functions, node), place.owner, loops=place.loops)


def _inside_class(node: ast.ClassDef, place: Place, module: Module) -> Place:
    name = _join(place.scope, node.name)
    module.classes.setdefault(name, Scope())
    module.definitions[name] = node
    # A class in a function is defined each time anew: what its body does is the function's work.
    scope = name if place.at_import else place.scope
    return Place(scope, place.functions, name, in_body=True, loops=place.loops)


def _join(scope: str, name: str) -> str:
    return f"{scope}.{name}" if scope else name


def _bind(item: Node, module: Module) -> None:
    """Note which name the node binds, and where."""
    node = item.node
    scope = _scope_of(item.place, module)
    match node:
        case ast.Name(ctx=ast.Store() | ast.Del()):
            if node.id not in item.place.loops:
                scope.bound.add(node.id)
        case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            scope.bound.add(node.name)
        case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
            scope.bound.add(name)
        case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
            scope.bound.add(name)
        case ast.Global():
            scope.outer.update(node.names)
            module.top.bound.update(node.names)
        case ast.Import() | ast.ImportFrom():
            _bind_imports(node, scope)
        case ast.Assign(targets=[ast.Name(id=name)], value=value):
            scope.aliases[name] = value
        case _:
            pass


def _bind_imports(node: ast.Import | ast.ImportFrom, scope: Scope) -> None:
    if isinstance(node, ast.Import):
        for alias in node.names:
            name = alias.asname or alias.name.partition(".")[0]
            scope.imports[name] = alias.name if alias.asname else name
            scope.modules.add(name)
        return
    source = "." * node.level + (node.module or "")
    for alias in node.names:
        scope.imports[alias.asname or alias.name] = f"{source}.{alias.name}"


def _scope_of(place: Place, module: Module) -> Scope:
    if place.in_body:
        return module.classes[place.owner]
    return module.scopes[id(place.functions[-1])] if place.functions else module.top


def _settle(module: Module) -> None:
    """Add the defaults of parameters to the aliases: `def f(x, known=_KNOWN)`; note the chains."""
    for item in module.nodes:
        if isinstance(item.node, ast.Attribute) and not isinstance(item.parent, ast.Attribute):
            names, root = unwound(item.node)
            module.chains[id(root)] = names
        if isinstance(item.node, FUNCTIONS):
            scope = module.scopes[id(item.node)]
            scope.defaults.update(_defaults(item.node))
            module.positions[id(item.node)] = {
                argument.arg: place for place, argument in enumerate(parameters(item.node))
            }
            for name, value in scope.defaults.items():
                scope.aliases.setdefault(name, value)


def _defaults(node: Function) -> Iterator[tuple[str, ast.expr]]:
    arguments = node.args
    positional = (*arguments.posonlyargs, *arguments.args)
    given = arguments.defaults
    yield from zip((a.arg for a in positional[len(positional) - len(given) :]), given, strict=True)
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        if default is not None:
            yield argument.arg, default
