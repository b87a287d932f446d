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
    root_of,
)

TABLE = 256
"""Constants in one literal beyond which it is a table of answers rather than of names."""
TABLE_TEXT = 4000
"""Characters of text in one literal, likewise."""
_MAKING = frozenset({"__init__", "__new__", "__post_init__", "__setstate__", "__init_subclass__"})


def state(module: Module, known: frozenset[str]) -> Iterator[Feature]:
    """Yield what can remember, and what is done at import.

    Args:
        module: the file.
        known: functions and classes that stood in the file before the change.
    """
    escaping = _escaping(module)
    changing = _changing(module)
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
                yield from _handed_on(module, item, item.node, known, changing)
            case ast.AugAssign(target=ast.Name(id=name)) if not item.place.at_import:
                if _outlives(module, name, item, escaping):
                    yield at("adds-state", f"{name} outlives the call", item)
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.Lambda():
                yield from _defaults(module, item, item.node)
            case _:
                pass
        yield from _table(item)
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
        key = f"{dotted} is changed by a function"
        yield at("adds-state", key, item)._replace(once=True)
    elif root.id in {"cls", "klass", "mcs"}:
        yield at("adds-state", "an attribute of the class", item)
    elif root.id == "self":
        yield from _instance(module, item, node, known)
    elif _outlives(module, root.id, item, escaping):
        yield at("adds-state", f"{root.id} outlives the call", item)


def _outlives(module: Module, name: str, item: Node, escaping: frozenset[int]) -> bool:
    """Whether a local name stands for something that is there before and after the call."""
    if module.origin(name, item.place)[0] is Kind.MODULE:
        return module.resolve(name, item.place)[0] is Kind.LOCAL
    return _default_of(module, name, item) or _enclosing(module, name, item, escaping)


def _changing(module: Module) -> dict[str, set[int]]:
    """Return the file's functions that change what they are given, and which of it."""
    found: dict[str, set[int]] = {}
    for item in module.nodes:
        node = item.node
        if not isinstance(node, ast.Attribute | ast.Subscript) or not item.place.functions:
            continue
        changes = not isinstance(node.ctx, ast.Load) or (
            isinstance(node, ast.Attribute) and node.attr in tables.MUTATORS
        )
        function, root = item.place.functions[-1], root_of(node)
        if changes and isinstance(root, ast.Name) and isinstance(function, ast.FunctionDef):
            names = module.positions.get(id(function), {})
            if root.id in names:
                found.setdefault(function.name, set()).add(names[root.id])
    return found


def _handed_on(
    module: Module,
    item: Node,
    node: ast.Call,
    known: frozenset[str],
    changing: dict[str, set[int]],
) -> Iterator[Feature]:
    """Find `heappush(_SEEN, x)` and `put(_SEEN, x)`: a call that changes what outlives it."""
    func = node.func
    name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
    if name in {"setattr", "__setattr__", "delattr"} and node.args:
        yield from _set_by_name(module, item, node.args[0], known)
        return
    builtin = isinstance(func, ast.Attribute) and (
        getattr(func.value, "id", "") in tables.BUILTIN_TYPES | {"list", "set"}
    )
    if name in tables.CHANGING_CALLS or (builtin and name in tables.MUTATORS):
        places = {0}
    elif isinstance(func, ast.Name):
        places = changing.get(name, set())
    else:
        return
    for index, argument in enumerate(node.args):
        root = root_of(argument)
        if index in places and isinstance(root, ast.Name) and not item.place.at_import:
            kind, dotted = module.origin(root.id, item.place)
            if kind is not Kind.LOCAL or _default_of(module, root.id, item):
                yield at("adds-state", f"{dotted or root.id} is changed by {name}", item)


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
        scope = item.place.scope if shared else owner
        yield Feature("adds-state", key, scope, item.line, once=True)


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
        scope = module.scopes[id(function)]
        value = scope.defaults.get(name)
        if value is not None and _mutable(value) and scope.aliases.get(name) is value:
            return True
    return False


def _escaping(module: Module) -> frozenset[int]:
    """Return the nested functions that outlive the function that made them."""
    given: dict[int, set[str]] = {}
    found: set[int] = set()
    for item in module.nodes:
        if isinstance(item.node, ast.Return) and item.node.value and item.place.functions:
            names = given.setdefault(id(item.place.functions[-1]), set())
            for value in ast.walk(item.node.value):
                if isinstance(value, ast.Name):
                    names.add(value.id)
                elif isinstance(value, ast.Lambda):
                    found.add(id(value))
    for item in module.nodes:
        if isinstance(item.node, FUNCTIONS) and item.place.functions:
            name = getattr(item.node, "name", "")
            if name in given.get(id(item.place.functions[-1]), ()):
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


def _set_by_name(
    module: Module, item: Node, first: ast.expr, known: frozenset[str]
) -> Iterator[Feature]:
    """Find `setattr(self, ...)` in a method of a class of before, other than where it is made."""
    owner = item.place.owner
    is_own = getattr(first, "id", "") == "self" and owner in known and item.place.functions
    if is_own and item.place.functions[0] not in _makers(module, owner):
        key = f"{owner} gets an attribute after the instance was made"
        yield Feature("adds-state", key, owner, item.line, once=True)


def _cache(module: Module, item: Node, node: ast.Call) -> Iterator[Feature]:
    dotted = module.dotted(node.func, item.place)
    name = dotted or getattr(node.func, "id", "")
    if name.rpartition(".")[2] in tables.CACHES and not _is_decorator(item):
        yield at("adds-cache", name, item)


def _is_decorator(item: Node) -> bool:
    found = getattr(item.parent, "decorator_list", ())
    return any(d is item.node for d in found)


def _defaults(module: Module, item: Node, node: Function) -> Iterator[Feature]:
    for name, value in module.scopes[id(node)].defaults.items():
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
        case ast.Dict() | ast.List() | ast.Set() | ast.BinOp() | ast.Call() if _kept(module, item):
            what = "class" if item.place.owner else "module"
            yield at("adds-state", f"an empty container of the {what}", item)
        case ast.Call(func=ast.Name(id=name)) if name in _ITERATORS and _named(item):
            yield at("adds-state", f"an iterator made by {name}", item)
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


_ITERATORS = frozenset({"zip", "enumerate", "reversed", "map", "filter"})


def _named(item: Node) -> bool:
    return isinstance(item.parent, ast.Assign | ast.AnnAssign | ast.NamedExpr)


def _kept(module: Module, item: Node) -> bool:
    """Whether an expression at import is an empty container; not the `[]` of `Callable[[], T]`."""
    if not empty(module, item.node, item) or isinstance(item.parent, ast.Expr | ast.arguments):
        return False
    up: ast.AST | None = item.parent
    while isinstance(up, ast.expr):
        if isinstance(up, ast.Subscript):
            return False
        up = module.parents.get(id(up))
    return not isinstance(up, FUNCTIONS)  # a default: found as one


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


_LITERALS = (ast.Dict, ast.List, ast.Set, ast.Tuple)


def _table(item: Node) -> Iterator[Feature]:
    """Find a literal that holds more, nested or not, than names and numbers to work by."""
    if not isinstance(item.node, _LITERALS) or isinstance(item.parent, _LITERALS):
        return
    constants = [n.value for n in ast.walk(item.node) if isinstance(n, ast.Constant)]
    text = sum(len(value) for value in constants if isinstance(value, str | bytes))
    if len(constants) > TABLE or text > TABLE_TEXT:
        yield at("adds-table", f"{len(constants)} constants, {text} characters", item)
