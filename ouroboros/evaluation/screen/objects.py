"""Objects that are not what they seem, and objects that are not the file's own. Pure."""

import ast
import builtins
from collections.abc import Iterator

from ouroboros.evaluation.screen import tables
from ouroboros.evaluation.screen.features import Feature, at
from ouroboros.evaluation.screen.syntax import Function, Kind, Module, Node, root_of
from ouroboros.evaluation.screen.tables import words

_BUILTIN_NAMES = frozenset(dir(builtins))
_OPERATORS = frozenset(f"__{name}__" for name in tables.RESULT_OPERATORS)
_ARITHMETIC = frozenset(
    f"__{prefix}{name}__"
    for prefix in ("", "r", "i")
    for name in words("add sub mul truediv floordiv mod and or xor matmul lshift rshift pow divmod")
)
_PLAIN_NAMES = frozenset(
    ("__slots__", "__doc__", "__match_args__", "__all__", "__version__", "__author__")
)


def objects(module: Module, known: frozenset[str]) -> Iterator[Feature]:
    """Yield what lets a value pass for another one, and what changes objects of others.

    Args:
        module: the file.
        known: functions and classes that stood in the file before the change.
    """
    attributes = _own_attributes(module)
    lazy = _generators(module)
    generators: set[int] = set()
    for item in module.nodes:
        match item.node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef() | ast.Name():
                yield from _defined(module, item)
                if isinstance(item.node, ast.AsyncFunctionDef) and _stood(item, known):
                    yield at("lazy-result", f"{item.node.name} becomes a coroutine", item)
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                yield from _foreign_attribute(module, item, item.node, attributes)
            case ast.Subscript(ctx=ast.Store() | ast.Del()):
                yield from _foreign(module, item, item.node)
            case ast.Call():
                yield from _foreign_call(module, item, item.node)
            case ast.Return() if _of_known(item, known):
                yield from _result(module, item, item.node, lazy)
            case ast.Yield() | ast.YieldFrom() if _of_known(item, known):
                function = id(item.place.functions[-1])
                if function not in generators:
                    generators.add(function)
                    yield at("lazy-result", "the function becomes a generator", item)
            case _:
                pass


# --- objects that answer for themselves ---------------------------------------------------------


def _defined(module: Module, item: Node) -> Iterator[Feature]:
    match item.node:
        case ast.FunctionDef() | ast.AsyncFunctionDef() as function:
            yield from _operator(item, function)
            yield from _decorators(module, item, function.decorator_list)
            yield from _rebinding(module, item, function.name)
        case ast.ClassDef() as defined:
            yield from _class(module, item, defined)
        case ast.Name(ctx=ast.Store() | ast.Del()) as name:
            yield from _special_name(item, name)
            yield from _rebinding(module, item, name.id)
        case _:
            pass


def _operator(item: Node, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[Feature]:
    if not item.place.owner:
        if node.name in {"__getattr__", "__dir__"} and item.place.at_import:
            yield at("patches-foreign", f"{node.name} of the module", item)
        return
    if node.name in _OPERATORS | _ARITHMETIC:
        yield at("defines-operator", node.name, item)
        if _constant_answers(node):
            yield at("defines-operator", f"{node.name} that always gives the same answer", item)


def _constant_answers(node: ast.AST) -> bool:
    returns = [n for n in ast.walk(node) if isinstance(n, ast.Return) and n.value is not None]
    values = {n.value.value for n in returns if isinstance(n.value, ast.Constant)}
    return bool(returns) and len(values) == 1 and all(_is_constant(n.value) for n in returns)


def _is_constant(node: ast.AST | None) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, bool | int | str | None)


def _special_name(item: Node, node: ast.Name) -> Iterator[Feature]:
    name = node.id
    if not (name.startswith("__") and name.endswith("__")) or name in _PLAIN_NAMES:
        return
    if item.place.at_import:
        yield at("defines-operator", name, item)


def _class(module: Module, item: Node, node: ast.ClassDef) -> Iterator[Feature]:
    for base in node.bases:
        name = base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
        if isinstance(base, ast.Subscript):
            inner = base.value
            name = inner.attr if isinstance(inner, ast.Attribute) else getattr(inner, "id", "")
        if name in tables.VALUE_TYPES and not _own(module, base, item):
            yield at("value-subclass", f"{node.name}({name})", item)
        elif isinstance(base, ast.Call) and name == "":
            called = base.func
            if getattr(called, "id", "") not in {"namedtuple", "NamedTuple", "TypedDict"}:
                yield at("value-subclass", f"{node.name} with a computed base", item)
    for keyword in node.keywords:
        if keyword.arg in {"metaclass", None}:
            yield at("value-subclass", f"{node.name} with a metaclass", item)
    yield from _decorators(module, item, node.decorator_list)
    yield from _rebinding(module, item, node.name)


def _own(module: Module, base: ast.AST, item: Node) -> bool:
    return isinstance(base, ast.Name) and module.resolve(base.id, item.place)[0] in {
        Kind.MODULE,
        Kind.LOCAL,
    }


def _decorators(module: Module, item: Node, found: list[ast.expr]) -> Iterator[Feature]:
    for decorator in found:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        dotted = module.dotted(called, item.place)
        name = dotted or _written(called)
        last = name.rpartition(".")[2]
        if last in tables.CACHES:
            yield at("adds-cache", name, item)
        elif last not in {"setter", "getter", "deleter"} and name not in tables.DECORATORS:
            # One of the file's own is code like any other, but replaces the function all the same.
            yield at("foreign-decorator", f"@{name}", item)
    if _compares_without_saying(found) and isinstance(item.node, ast.ClassDef):
        yield at("defines-operator", "dataclass options for order or hash", item)


def _written(node: ast.AST) -> str:
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    root = node.id if isinstance(node, ast.Name) else "an expression"
    return ".".join((root, *reversed(names)))


def _compares_without_saying(decorators: list[ast.expr]) -> bool:
    keywords = [k for d in decorators if isinstance(d, ast.Call) for k in d.keywords]
    return any(k.arg in {"order", "unsafe_hash"} for k in keywords)


# --- objects of others --------------------------------------------------------------------------


def _own_attributes(module: Module) -> frozenset[str]:
    """Return the attributes that the file's own classes have."""
    found: set[str] = set()
    for scope in module.classes.values():
        found |= scope.bound
    for item in module.nodes:
        node = item.node
        if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") in {"self", "cls"}:
            found.add(node.attr)
        elif isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__slots__":
            constants = (n for n in ast.walk(node.value) if isinstance(n, ast.Constant))
            found |= {c.value for c in constants if isinstance(c.value, str)}
    return frozenset(found)


def _foreign(module: Module, item: Node, node: ast.Attribute | ast.Subscript) -> Iterator[Feature]:
    """Find a store below an imported name, or below one that the file never binds."""
    root = root_of(node)
    if isinstance(root, ast.Name):
        kind, dotted = module.origin(root.id, item.place)
        if kind is Kind.IMPORT:
            yield at("patches-foreign", f"{dotted} is changed", item)
        elif kind is Kind.FREE:
            yield at("patches-foreign", f"{root.id} is changed", item)


def _foreign_attribute(
    module: Module, item: Node, node: ast.Attribute, own: frozenset[str]
) -> Iterator[Feature]:
    yield from _foreign(module, item, node)
    root = root_of(node)
    name = root.id if isinstance(root, ast.Name) else ""
    if node.attr.startswith("__") and node.attr.endswith("__"):
        yield at("defines-operator", f"{node.attr} is set", item)
    elif name not in {"self", "cls"} and node.attr not in own:
        kind = module.resolve(name, item.place)[0] if name else Kind.LOCAL
        if kind is Kind.LOCAL:
            # No scope in the key: what the file did to such objects before, it may go on doing.
            key = f".{node.attr} of another object"
            yield Feature("patches-foreign", key, "", item.line, once=True)


def _foreign_call(module: Module, item: Node, node: ast.Call) -> Iterator[Feature]:
    func = node.func
    if isinstance(func, ast.Attribute) and func.attr in tables.MUTATORS:
        root = root_of(func)
        name = root.id if isinstance(root, ast.Name) else ""
        kind, dotted = module.origin(name, item.place)
        direct = func.value is root and module.is_module(name, item.place)
        if name and kind is Kind.IMPORT and not direct:
            yield at("patches-foreign", f"{dotted}.{func.attr}", item)
    if isinstance(func, ast.Name) and func.id in {"setattr", "delattr"} and node.args:
        dotted = module.dotted(root_of(node.args[0]), item.place)
        name = dotted or getattr(node.args[0], "id", "")
        if dotted or name != "self":
            yield at("patches-foreign", f"{func.id} on {name or 'an object'}", item)


def _rebinding(module: Module, item: Node, name: str) -> Iterator[Feature]:
    """Find a module-level name that hides a built-in or an import of the file."""
    if item.place.owner or not (item.place.at_import or _is_global(module, item, name)):
        return
    if name in _BUILTIN_NAMES:
        yield at("shadows-builtin", name, item)
    elif name in module.top.imports and not isinstance(item.node, ast.ClassDef):
        yield at("shadows-builtin", f"{name}, which is imported", item)


def _is_global(module: Module, item: Node, name: str) -> bool:
    return any(name in module.scopes[id(f)].outer for f in item.place.functions)


# --- results ------------------------------------------------------------------------------------


def _generators(module: Module) -> frozenset[str]:
    """Return the names of the file's functions that give generators."""
    return frozenset(
        function.name
        for item in module.nodes
        if isinstance(item.node, ast.Yield | ast.YieldFrom)
        for function in item.place.functions[-1:]
        if isinstance(function, ast.FunctionDef)
    )


def _stood(item: Node, known: frozenset[str]) -> bool:
    """Whether the function that a node defines stood in the file before."""
    name = getattr(item.node, "name", "")
    return (f"{item.place.scope}.{name}" if item.place.scope else name) in known


def _of_known(item: Node, known: frozenset[str]) -> bool:
    """Whether a node belongs directly to a function that stood in the file before."""
    return item.place.scope in known and len(item.place.functions) == 1


def _result(
    module: Module, item: Node, node: ast.Return, lazy: frozenset[str]
) -> Iterator[Feature]:
    """Find results that are not there yet."""
    match node.value:
        case ast.GeneratorExp() | ast.Lambda():
            yield at("lazy-result", "returns what is computed later", item)
        case ast.Call(func=func):
            name = func.attr if isinstance(func, ast.Attribute) else getattr(func, "id", "")
            own = name in module.top.bound
            if (name in tables.LAZY_CALLS and not own) or (name in lazy and own):
                yield at("lazy-result", f"returns {name}(...)", item)
        case ast.Name(id=name) if _nested(item.place.functions[-1], name):
            yield at("lazy-result", "returns a function", item)
        case _:
            pass


def _nested(function: Function, name: str) -> bool:
    body = function.body if isinstance(function.body, list) else []
    defined = (s for s in body if isinstance(s, ast.FunctionDef | ast.AsyncFunctionDef))
    return any(s.name == name for s in defined)
