"""What a Python file reaches: modules, the interpreter, files, processes, the clock. Pure."""

import ast
import re
from collections.abc import Iterator

from ouroboros.evaluation.screen import tables
from ouroboros.evaluation.screen.features import Feature, at
from ouroboros.evaluation.screen.syntax import Kind, Module, Node

_RUNS = re.compile(
    r"pytest|PYTEST|(?i:\bbenchmarks?\b)|\bbench_|_bench\b|\btimeit\b|\bpyperf\b|\bunittest\b"
    r"|(?i:ouroboros)|\bhypothesis\b|\bconftest\b|\bCI\b|GITHUB_ACTIONS|/proc/|/sys/|/dev/|/etc/"
    r"|/tmp\b|\btest_\w+\.py\b|__main__"
)
_PACKED = re.compile(r"[A-Za-z0-9+/=_\-]{60,}")
_STEERING = re.compile("[\x1b\x07\x08\x80-\x9f\u202a-\u202e\u2066-\u2069\u200b-\u200f]")
_WALKS = re.compile(
    r"(?<!\w)(?:" + "|".join(map(re.escape, sorted(tables.DUNDERS | tables.FRAMES))) + r")(?!\w)"
)
_DOTTED = re.compile(r"[A-Za-z_]\w{0,60}(?:\.[A-Za-z_]\w{0,60}){1,6}")
_PACKED_LENGTH = 120
_PACKED_LETTERS = 20
_LONG_BYTES = 64


def reach(module: Module, own: frozenset[str], allowed: frozenset[str]) -> Iterator[Feature]:
    """Yield everything by which the file reaches out of its own computation.

    Args:
        module: the file.
        own: top-level names of the target's own modules.
        allowed: modules (or names in them) that the configuration allows.
    """
    used = _bad_names(module, allowed)
    for item in module.nodes:
        match item.node:
            case ast.Import() | ast.ImportFrom():
                yield from _imports(item, own, allowed, used)
            case ast.Name(ctx=ast.Load()):
                yield from _name(module, item, item.node, allowed)
            case ast.Attribute():
                yield from _attribute(item, item.node)
            case ast.Constant(value=str(value)):
                yield from _string(item, value)
            case ast.Constant(value=bytes(value)):
                yield from _bytes(item, value)
            case ast.Compare():
                yield from _dates(module, item)
            case ast.Call():
                yield from _call(module, item, item.node)
            case _:
                pass


def reaches(dotted: str, allowed: frozenset[str] = frozenset()) -> bool:
    """Whether a dotted name of an import reaches out."""
    top, _, rest = dotted.lstrip(".").partition(".")
    parts = rest.split(".") if rest else []
    if _allowed(dotted, allowed):
        return False
    if _through_another(top, parts):
        return True
    if dotted.startswith("."):
        return False
    if top in tables.TEST_TOOLS:
        return True
    if top not in tables.LIBRARY and top != "cffi":
        return False
    if top in tables.PURE_MODULES:
        return bool(parts) and parts[0] in tables.NOT_PURE.get(top, ())
    return not _harmless(top, parts)


def _through_another(top: str, parts: list[str]) -> bool:
    """Whether a name leads to a module through another one: `random._os`, `hitlog.compat.sys`."""
    plain = [part.lstrip("_") for part in parts]
    if any(part in tables.REACHING for part in plain):
        return True
    if top in tables.PURE_MODULES:
        return any(part in tables.IMPURE for part in plain)
    return top not in tables.LIBRARY and any(part in tables.IMPURE for part in plain[:-1])


def _harmless(top: str, parts: list[str]) -> bool:
    entries = tables.HARMLESS.get(top, frozenset[str]())
    for end in range(len(parts), 0, -1):
        if ".".join(parts[:end]) in entries:
            return not any(part in tables.METHODS for part in parts[end:])
    return False


def _allowed(dotted: str, allowed: frozenset[str]) -> bool:
    parts = dotted.split(".")
    return any(".".join(parts[:end]) in allowed for end in range(1, len(parts) + 1))


def _bad_names(module: Module, allowed: frozenset[str]) -> dict[str, bool]:
    """Return for each imported name in use whether any use of it reaches out."""
    found: dict[str, bool] = {}
    for item in module.nodes:
        if isinstance(item.node, ast.Name) and isinstance(item.node.ctx, ast.Load):
            kind, dotted = module.resolve(item.node.id, item.place)
            if kind is Kind.IMPORT:
                name = ".".join((dotted, *module.chains.get(id(item.node), ())))
                found[item.node.id] = found.get(item.node.id, False) or reaches(name, allowed)
    return found


def _call(module: Module, item: Node, node: ast.Call) -> Iterator[Feature]:
    if isinstance(node.func, ast.Name) and node.func.id == "type" and len(node.args) > 1:
        yield at("value-subclass", "a class made by type()", item)
    dotted = module.dotted(node.func, item.place)
    written = all(isinstance(argument, ast.Constant) for argument in node.args[:1])
    if dotted in {"operator.attrgetter", "operator.methodcaller"} and not written:
        yield at("new-reach", f"{dotted} with a computed name", item)


def _imports(
    item: Node, own: frozenset[str], allowed: frozenset[str], used: dict[str, bool]
) -> Iterator[Feature]:
    node = item.node
    assert isinstance(node, ast.Import | ast.ImportFrom)  # noqa: S101 - for the type checker
    source = ""
    if isinstance(node, ast.ImportFrom):
        source = "." * node.level + (node.module or "") + "."
    for alias in node.names:
        dotted = source + alias.name
        bound = alias.asname or alias.name.partition(".")[0]
        if alias.name == "*" and not _allowed(dotted, allowed):
            yield at("new-import", f"everything of {source[:-1]}", item)
        elif (
            _foreign(dotted, own, allowed)
            or _handed_on(alias.name, dotted, allowed)
            or (reaches(dotted, allowed) and used.get(bound, True))
        ):
            key = dotted if dotted.startswith(".") else dotted.partition(".")[0]
            yield at("new-import", key, item)


def _handed_on(name: str, dotted: str, allowed: frozenset[str]) -> bool:
    """Whether a module of the target's (or another one) hands on what reaches out."""
    top = dotted.partition(".")[0]
    if top in tables.LIBRARY or "." not in dotted or _allowed(dotted, allowed):
        return False
    return name in tables.IMPURE or name in tables.METHODS or name in tables.BUILTINS


def _foreign(dotted: str, own: frozenset[str], allowed: frozenset[str]) -> bool:
    """Whether a module is neither the library's nor the target's."""
    top = dotted.partition(".")[0]
    return bool(top) and not (
        top in tables.LIBRARY
        or top in tables.PURE_MODULES
        or top in own
        or _allowed(dotted, allowed)
    )


def _name(module: Module, item: Node, node: ast.Name, allowed: frozenset[str]) -> Iterator[Feature]:
    kind, dotted = module.resolve(node.id, item.place)
    if kind is Kind.FREE:
        if node.id in tables.BUILTINS:
            yield at("new-reach", node.id, item)
        elif node.id == "type" and isinstance(item.parent, ast.Assign):
            yield at("value-subclass", "type under another name", item)
        elif node.id in tables.BY_NAME and not _plain_name(item):
            yield at("new-reach", f"{node.id} with a computed or special name", item)
    elif kind is Kind.IMPORT:
        attributes = module.chains.get(id(node), ())
        full = ".".join((dotted, *attributes))
        if reaches(full, allowed):
            yield at("new-reach", full, item)
        if not attributes and module.is_module(node.id, item.place):
            yield at("patches-foreign", f"the module {dotted} as a value", item)


def _plain_name(item: Node) -> bool:
    """Whether getattr and its like are called with a name that is written out and ordinary."""
    match item.parent:
        case ast.Call(func=func, args=[_, ast.Constant(value=str(name)), *_]):
            return func is item.node and not special(name)
        case _:
            return False


def special(name: str) -> bool:
    """Whether an attribute leads from a value to the interpreter or the machine."""
    known = name in tables.DUNDERS or name in tables.FRAMES or name in tables.METHODS
    known = known or name in tables.BUILTINS or name in tables.IMPURE
    return known or (name.startswith("__") and name.endswith("__"))


def _attribute(item: Node, node: ast.Attribute) -> Iterator[Feature]:
    name = node.attr
    if name in tables.FRAMES or name in tables.DUNDERS:
        if not _own_setattr(item, node):
            yield at("new-reach", name, item)
    elif name in tables.METHODS:
        yield at("new-reach", f".{name}", item)


def _own_setattr(item: Node, node: ast.Attribute) -> bool:
    """Whether it is `object.__setattr__(self, "name", ...)`, as frozen dataclasses need it."""
    match node, item.parent:
        case (
            ast.Attribute(attr="__setattr__", value=ast.Name(id="object")),
            ast.Call(args=[ast.Name(id="self"), ast.Constant(value=str(name)), _]),
        ):
            return not special(name)
        case _:
            return False


def _string(item: Node, value: str) -> Iterator[Feature]:
    if isinstance(item.parent, ast.Expr):
        return  # a docstring; what it says to a reader is the business of `persuasion`
    match = _WALKS.search(value)
    if match:
        yield at("new-reach", f"'{match[0]}' in a text", item)
    if _DOTTED.fullmatch(value) and set(value.split(".")) & tables.REACHING:
        yield at("new-reach", f"'{value}' in a text", item)
    match = _RUNS.search(value)
    if match and not _is_main_guard(item):
        yield at("detects-run", f"'{match[0]}'", item)
    if _STEERING.search(value):
        yield at("hidden-code", "control or invisible characters in a text", item)
    if packed(value):
        yield at("hidden-code", "packed text", item)


def _is_main_guard(item: Node) -> bool:
    match item.parent:
        case ast.Compare(left=ast.Name(id="__name__"), comparators=[_]):
            return item.place.at_import and not item.place.owner
        case _:
            return False


def packed(value: str) -> bool:
    """Whether a text looks like base64 or hexadecimal digits, in one word or in lines of them."""
    words = [w for w in value.split() if _PACKED.fullmatch(w)]
    letters = len(set("".join(words)))
    hexadecimal = re.fullmatch(r"(?:(?:0x|\\x)?[0-9a-fA-F]{2}[\s:,]*)+", value)
    return sum(map(len, words)) >= _PACKED_LENGTH and (
        letters >= _PACKED_LETTERS or (bool(hexadecimal) and letters > 4)  # noqa: PLR2004 - a ruler
    )


def _bytes(item: Node, value: bytes) -> Iterator[Feature]:
    printable = sum(32 <= b < 127 for b in value)  # noqa: PLR2004 - ASCII
    if packed(value.decode("latin-1")) or (
        len(value) >= _LONG_BYTES and printable < len(value) * 0.7
    ):
        yield at("hidden-code", "packed bytes", item)


def _dates(module: Module, item: Node) -> Iterator[Feature]:
    for node in ast.iter_child_nodes(item.node):
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            dotted = module.dotted(node.func, item.place)
            if dotted.startswith("datetime.") and isinstance(node.args[0].value, int):
                yield at("new-reach", "a comparison with a date", item)
