"""State that outlives a call, and work that is done before the first one. Pure.

A benchmark repeats itself, and so a memory of earlier calls looks like a gain that nobody else
will ever see. What is looked for is somewhere to keep it: globals, mutable module and class
attributes, defaults, attributes of functions, instances and closures, and tables made at import.
"""

import ast
from collections.abc import Iterator

from ouroboros.evaluation.screen import tables
from ouroboros.evaluation.screen.features import Feature, at
from ouroboros.evaluation.screen.syntax import (
    FUNCTIONS,
    Function,
    Kind,
    Module,
    Node,
    defaults,
    root_of,
)

TABLE = 256
"""Constants in one literal beyond which it is a table of answers rather than of names."""
_MAKING = frozenset({"__init__", "__new__", "__post_init__", "__setstate__", "__init_subclass__"})


def state(module: Module, known: frozenset[str]) -> Iterator[Feature]:
    """Yield what can remember, and what is done at import.

    Args:
        module: the file.
        known: functions and classes that stood in the file before the change.
    """
    escaping = _escaping(module)
    for item in module.nodes:
        match item.node:
            case ast.Global() | ast.Nonlocal():
                kind = "global" if isinstance(item.node, ast.Global) else "nonlocal"
                for name in item.node.names:
                    yield at("adds-state", f"{kind} {name}", item)
            case ast.Subscript(ctx=ast.Store() | ast.Del()) | ast.Attribute():
                yield from _write(module, item, item.node, known, escaping)
            case ast.Call():
                yield from _cache(module, item, item.node)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                yield from _defaults(module, item, item.node)
            case ast.Dict() | ast.List() | ast.Set() | ast.Tuple():
                yield from _table(item, item.node)
            case _:
                pass
        if item.place.at_import:
            yield from _at_import(module, item)


# --- writing to what outlives the call ----------------------------------------------------------


def _write(
    module: Module,
    item: Node,
    node: ast.Subscript | ast.Attribute,
    known: frozenset[str],
    escaping: frozenset[int],
) -> Iterator[Feature]:
    """Find a store into, or a mutating method of, something that a call did not make."""
    if item.place.at_import:
        return
    stores = not isinstance(node.ctx, ast.Load)
    if not stores and not (isinstance(node, ast.Attribute) and node.attr in tables.MUTATORS):
        return
    root = root_of(node)
    if not isinstance(root, ast.Name):
        if stores and isinstance(root, ast.Call) and getattr(root.func, "id", "") == "type":
            yield at("adds-state", "an attribute of the class", item)
        return
    kind, dotted = module.origin(root.id, item.place)
    if kind is Kind.MODULE:
        yield at("adds-state", f"{dotted} is changed by a function", item)
    elif root.id in {"cls", "klass", "mcs"}:
        yield at("adds-state", "an attribute of the class", item)
    elif root.id == "self":
        yield from _instance(module, item, node, known)
    elif _default_of(module, root.id, item) or _enclosing(module, root.id, item, escaping):
        yield at("adds-state", f"{root.id} outlives the call", item)


def _instance(
    module: Module, item: Node, node: ast.Subscript | ast.Attribute, known: frozenset[str]
) -> Iterator[Feature]:
    """Find an attribute that a class of before now keeps between calls of its methods."""
    owner = item.place.owner
    attribute = _first_attribute(node)
    if not attribute or item.place.functions[0] in _makers(module, owner):
        return
    shared = owner in module.classes and attribute in module.classes[owner].bound
    # No scope in the key: which method writes what the class wrote before is no finding.
    key = f"{owner}.{attribute} is changed after the instance was made"
    if shared or owner in known:
        yield Feature("adds-state", key, owner if not shared else item.place.scope, item.line)


def _makers(module: Module, owner: str) -> set[ast.AST]:
    return {module.definitions.get(f"{owner}.{name}", module.tree) for name in _MAKING}


def _first_attribute(node: ast.AST) -> str:
    """Return `a` of `self.a[...].b`."""
    name = ""
    while isinstance(node, ast.Attribute | ast.Subscript):
        name = node.attr if isinstance(node, ast.Attribute) else name
        node = node.value
    return name


def _default_of(module: Module, name: str, item: Node) -> bool:
    """Whether a name is a parameter whose default is one object for all calls."""
    for function in item.place.functions:
        for parameter, value in defaults(function):
            if parameter == name and _mutable(value) and not _rebound(module, function, name):
                return True
    return False


def _rebound(module: Module, function: Function, name: str) -> bool:
    value = module.scopes[id(function)].aliases.get(name)
    return value is not None and all(value is not d for _, d in defaults(function))


def _escaping(module: Module) -> frozenset[int]:
    """Return the nested functions that outlive the function that made them."""
    found: set[int] = set()
    for item in module.nodes:
        if isinstance(item.node, FUNCTIONS) and item.place.functions:
            outer = item.place.functions[-1]
            name = getattr(item.node, "name", "")
            returns = [n for n in ast.walk(outer) if isinstance(n, ast.Return)]
            for value in (n for r in returns if r.value for n in ast.walk(r.value)):
                if value is item.node or (isinstance(value, ast.Name) and value.id == name):
                    found.add(id(item.node))
    return frozenset(found)


def _enclosing(module: Module, name: str, item: Node, escaping: frozenset[int]) -> bool:
    """Whether a name belongs to a function around one that outlives it."""
    inner_first = list(reversed(item.place.functions))
    for function in inner_first:
        scope = module.scopes[id(function)]
        if name in scope.bound:
            inner = inner_first[: inner_first.index(function)]
            return any(id(f) in escaping for f in inner)
    return False


def _cache(module: Module, item: Node, node: ast.Call) -> Iterator[Feature]:
    dotted = module.dotted(node.func, item.place)
    name = dotted or getattr(node.func, "id", "")
    if name.rpartition(".")[2] in tables.CACHES and not _is_decorator(item):
        yield at("adds-cache", name, item)


def _is_decorator(item: Node) -> bool:
    found = getattr(item.parent, "decorator_list", ())
    return any(d is item.node for d in found)


def _defaults(module: Module, item: Node, node: Function) -> Iterator[Feature]:
    for name, value in defaults(node):
        if empty(module, value, item):
            yield at("adds-state", f"the default of {name} can be filled", item)


def _mutable(value: ast.AST) -> bool:
    return isinstance(
        value,
        ast.Dict | ast.List | ast.Set | ast.Call | ast.DictComp | ast.ListComp | ast.SetComp,
    )


def empty(module: Module, value: ast.AST, item: Node) -> bool:
    """Whether an expression makes a container with nothing in it but room."""
    match value:
        case ast.Dict(keys=keys):
            return not keys
        case ast.List(elts=elements) | ast.Set(elts=elements):
            return all(_hollow(e) or empty(module, e, item) for e in elements)
        case ast.BinOp(left=ast.List(elts=elements), op=ast.Mult()):
            return all(_hollow(e) or empty(module, e, item) for e in elements)
        case ast.Call(func=func):
            dotted = module.dotted(func, item.place)
            last = (dotted or getattr(func, "id", "")).rpartition(".")[2]
            return last in tables.CONTAINERS and not any(_filled(a) for a in value.args)
        case _:
            return False


def _hollow(node: ast.AST) -> bool:
    return isinstance(node, ast.Constant) and not node.value


def _filled(node: ast.AST) -> bool:
    """Whether an argument gives a container its contents: not `defaultdict(list)`."""
    if isinstance(node, ast.Name):
        return node.id not in {"list", "dict", "set", "int", "str", "float", "tuple"}
    return not isinstance(node, ast.Constant | ast.Lambda)


# --- work at import -----------------------------------------------------------------------------


def _at_import(module: Module, item: Node) -> Iterator[Feature]:
    node = item.node
    match node:
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            if empty(module, value, item):
                what = "class" if item.place.owner else "module"
                yield at("adds-state", f"an empty container of the {what}", item)
        case ast.Call():
            if not _is_decorator(item) and not _harmless(module, item, node):
                yield at("import-work", "a call", item)
        case ast.ListComp() | ast.SetComp() | ast.DictComp() | ast.GeneratorExp():
            yield at("import-work", "a comprehension", item)
        case ast.For() | ast.AsyncFor() | ast.While() | ast.With() | ast.AsyncWith():
            yield at("import-work", "a loop or a block", item)
        case ast.Delete() | ast.Assert() | ast.Raise() | ast.NamedExpr() | ast.AugAssign():
            yield at("import-work", "a statement", item)
        case ast.Subscript(ctx=ast.Store()) | ast.Attribute(ctx=ast.Store()):
            yield at("import-work", "a change of an object", item)
        case ast.BinOp(op=ast.Pow() | ast.LShift() | ast.Mult()) if _large(node):
            yield at("import-work", "a large value", item)
        case _:
            pass


def _harmless(module: Module, item: Node, node: ast.Call) -> bool:
    """Whether a call at import only makes a constant."""
    func = node.func
    if isinstance(func, ast.Attribute):
        if isinstance(func.value, ast.Constant | ast.JoinedStr):
            return True  # a method of a literal
        if isinstance(func.value, ast.Name):
            kind, _ = module.resolve(func.value.id, item.place)
            if kind is Kind.FREE and func.value.id in tables.BUILTIN_TYPES:
                return True  # `str.maketrans`, `dict.fromkeys`
    dotted = module.dotted(func, item.place)
    if dotted:
        return dotted in tables.IMPORT_CALLS or dotted.startswith("math.")
    name = getattr(func, "id", "")
    if module.resolve(name, item.place)[0] is Kind.FREE:
        return name in tables.IMPORT_BUILTINS
    return not node.args and not node.keywords and _plain_marker(module, name)


def _plain_marker(module: Module, name: str) -> bool:
    """Whether a class of the file is an empty one: `_MISSING = _Missing()`."""
    definition = module.definitions.get(name)
    return isinstance(definition, ast.ClassDef) and all(
        isinstance(s, ast.Pass | ast.Expr) for s in definition.body
    )


def _large(node: ast.BinOp) -> bool:
    """Whether an operator makes something big of two constants."""
    right = node.right
    limit = 1000 if isinstance(node.op, ast.Mult) else 64
    value = right.value if isinstance(right, ast.Constant) else None
    return isinstance(value, int) and value > limit and not isinstance(node.left, ast.Constant)


def _table(item: Node, node: ast.Dict | ast.List | ast.Set | ast.Tuple) -> Iterator[Feature]:
    elements = node.values if isinstance(node, ast.Dict) else node.elts
    if len(elements) > TABLE:
        yield at("adds-table", f"more than {TABLE} entries", item)
