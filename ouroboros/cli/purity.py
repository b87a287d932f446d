"""Functions that would make a challenge, found by reading only: nothing of the repository is run.

A challenge calls one function of baseline and candidate with the same inputs and compares what
comes back. So it wants a function whose result follows from its arguments alone, whose arguments
can be drawn from their annotations, and which holds enough work to be worth it. "Pure" is judged
strictly: whatever a body uses must be known to be harmless (its own names, plain builtins, a few
modules of the standard library, functions of the same file that are pure themselves). A function
that is missed can be named by hand; the proposals are comments in a file that a person reads.
"""

import ast
import builtins
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import msgspec

from ouroboros.cli.annotations import Annotations, imported
from ouroboros.cli.results import Challenge
from ouroboros.model.globs import matches

MOST = 3
"""Proposals; more would not be read."""

_LEAST_WORK = 12
_MOST_FILES = 1000
_LARGEST_FILE = 1 << 20
_ANNOTATED = re.compile(rb"\bdef\s+\w+\s*\([^)]*\w\s*:")
_SIDE_FOLDERS = frozenset({"tests", "test", "docs", "examples", "scripts", "tools"})
_SIDE_FILES = frozenset({"setup.py", "conftest.py", "noxfile.py", "tasks.py", "__main__.py"})

_MODULES = frozenset(
    {
        *("array", "base64", "binascii", "bisect", "cmath", "collections", "collections.abc"),
        *("copy", "decimal", "difflib", "fnmatch", "fractions", "functools", "hashlib", "heapq"),
        *("html", "itertools", "json", "keyword", "math", "numbers", "operator", "re", "shlex"),
        *("statistics", "string", "struct", "textwrap", "typing", "unicodedata", "zlib"),
    }
)
"""Modules whose functions follow from their arguments."""

_STATEFUL = frozenset(
    {
        *("functools.lru_cache", "functools.cache", "functools.cached_property"),
        *("json.load", "json.dump", "decimal.getcontext", "decimal.setcontext"),
        *("decimal.localcontext", "hashlib.file_digest", "re.purge"),
    }
)
_IMPURE = frozenset(
    {
        *("open", "print", "input", "exec", "eval", "compile", "__import__", "globals", "locals"),
        *("vars", "setattr", "delattr", "id", "breakpoint", "exit", "quit", "help", "object"),
        *("super", "getattr", "dir", "copyright", "credits", "license"),
    }
)
_BUILTINS = frozenset(n for n in vars(builtins) if not n.startswith("_")) - _IMPURE
_CHANGES = frozenset(
    {
        *("append", "extend", "insert", "remove", "pop", "popitem", "clear", "sort", "reverse"),
        *("add", "discard", "update", "setdefault", "difference_update", "intersection_update"),
        *("symmetric_difference_update", "appendleft", "popleft", "extendleft", "rotate"),
        *("write", "send", "seek", "close", "move_to_end", "subtract", "__setitem__"),
    }
)
_REFUSED = (
    *(ast.Global, ast.Nonlocal, ast.Yield, ast.YieldFrom, ast.Await, ast.AsyncFor, ast.AsyncWith),
    *(ast.With, ast.Import, ast.ImportFrom, ast.ClassDef, ast.AsyncFunctionDef, ast.Delete),
)
_LOOPS = (ast.For, ast.While, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class _Function(msgspec.Struct, frozen=True, kw_only=True):
    """A function that can be called by its name: `total`, or `Prices.total` if it is static."""

    name: str
    node: ast.FunctionDef


class _File:
    """One parsed file: what its names mean, and which of its functions are pure."""

    def __init__(self, tree: ast.Module) -> None:
        """Read it."""
        self.annotations = Annotations(tree)
        self.functions = tuple(_functions(tree))
        self._imports = imported(tree)
        self._own = {f.name: f.node for f in self.functions}
        self._constants = _constants(tree)
        self._judged: dict[str, bool] = {}

    def is_pure(self, name: str) -> bool:
        """Whether a function's result follows from its arguments, as far as can be seen."""
        if name not in self._judged:
            self._judged[name] = True  # while it is being judged: recursion is no impurity
            self._judged[name] = self._judge(self._own[name])
        return self._judged[name]

    def _judge(self, node: ast.FunctionDef) -> bool:
        local = set(_bound(node))
        inner = [n for statement in node.body for n in ast.walk(statement)]
        return not any(isinstance(n, _REFUSED) for n in inner) and all(
            self._allows(n, local) for n in inner
        )

    def _allows(self, node: ast.AST, local: set[str]) -> bool:
        match node:
            case ast.Name(id=name, ctx=ast.Load()):
                return self._knows(name, local)
            case ast.Attribute(attr=name) if name.startswith("__"):
                return False
            case ast.Attribute(ctx=ast.Store() | ast.Del()):
                return False
            case ast.Attribute(value=value, attr=name):
                return self._may_ask(value, name, local)
            case ast.Subscript(value=value, ctx=ast.Store() | ast.Del()):
                return _root(value) in local
        return True

    def _knows(self, name: str, local: set[str]) -> bool:
        if name in local or name in self._constants:
            return True
        if name in self._imports:
            meaning = self._imports[name]
            home = meaning.rpartition(".")[0]
            return meaning in _MODULES or (home in _MODULES and meaning not in _STATEFUL)
        if name in self._own:
            return self.is_pure(name)
        return name in _BUILTINS

    def _may_ask(self, value: ast.expr, name: str, local: set[str]) -> bool:
        """Whether an attribute may be read: of a value all, of a module what is no state.

        What a module-level name holds must not be changed.
        """
        root = _root(value)
        if root in local or not root:
            return True
        meaning = self._imports.get(root, "")
        return f"{meaning}.{name}" not in _STATEFUL and name not in _CHANGES


def propose(
    root: Path, files: Iterable[str], sources: Sequence[str], paths: Sequence[str]
) -> tuple[Challenge, ...]:
    """Return the functions that hold the most work, most first.

    Args:
        root: the repository.
        files: its Python files, tests and benchmarks left out.
        sources: folders on PYTHONPATH, as `[environment] path` has them.
        paths: globs of what may change, as `[target] paths` has them.
    """
    found: list[tuple[int, Challenge]] = []
    named = ((path, _module(path, sources)) for path in files if matches(path, paths))
    for path, module in islice(((p, m) for p, m in named if m), _MOST_FILES):
        tree = parsed(root / path, only=_ANNOTATED)
        if tree is not None:
            found += _of_file(path, module, tree)
    found.sort(key=lambda pair: (-pair[0], pair[1].call))
    return tuple(_named([challenge for _, challenge in found[:MOST]]))


def parsed(file: Path, *, only: re.Pattern[bytes] | None = None) -> ast.Module | None:
    """Parse a file; None if it is too large, unreadable or no Python of this version.

    The interpreter's warnings about it (they quote it) are nobody's business here.

    Args:
        file: which.
        only: None too for a file in which this is not found.
    """
    try:
        text = file.read_bytes() if file.stat().st_size <= _LARGEST_FILE else b""
        if not text or (only is not None and not only.search(text)):
            return None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text)
    except (OSError, SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _of_file(path: str, module: str, tree: ast.Module) -> Iterator[tuple[int, Challenge]]:
    file = _File(tree)
    for function in file.functions:
        node = function.node
        work, loops = _work(node)
        if function.name.startswith("_"):
            work //= 2
        drawn = _has_drawable_arguments(node, file.annotations)
        if work < _LEAST_WORK or not drawn or not _returns(node, file.annotations):
            continue
        if not file.is_pure(function.name):
            continue
        yield (
            work,
            Challenge(
                name=function.name,
                call=f"{module}:{function.name}",
                file=path,
                line=node.lineno,
                parameters=tuple(map(ast.unparse, _parameters(node))),
                loops=loops,
            ),
        )


def _functions(tree: ast.Module) -> Iterator[_Function]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not node.decorator_list:
            yield _Function(name=node.name, node=node)
        elif isinstance(node, ast.ClassDef):
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and _is_static(inner):
                    yield _Function(name=f"{node.name}.{inner.name}", node=inner)


def _is_static(node: ast.FunctionDef) -> bool:
    match node.decorator_list:
        case [ast.Name(id="staticmethod")]:
            return True
    return False


def _parameters(node: ast.FunctionDef) -> list[ast.arg]:
    return [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]


def _has_drawable_arguments(node: ast.FunctionDef, annotations: Annotations) -> bool:
    parameters = _parameters(node)
    return (
        bool(parameters)
        and not (node.args.vararg or node.args.kwarg)
        and not any(_is_shared(d) for d in (*node.args.defaults, *node.args.kw_defaults))
        and all(annotations.drawable(p.annotation) for p in parameters)
    )


def _is_shared(default: ast.expr | None) -> bool:
    """Whether calls share a default value that they could change."""
    return not isinstance(default, ast.Constant | ast.UnaryOp | ast.Tuple | ast.Name | None)


def _returns(node: ast.FunctionDef, annotations: Annotations) -> bool:
    """Whether it gives back plain values: results are compared in type and bytes."""
    if node.returns is not None:
        none = isinstance(node.returns, ast.Constant) and node.returns.value is None
        return not none and annotations.drawable(node.returns)
    return any(isinstance(n, ast.Return) and n.value is not None for n in ast.walk(node))


def _work(node: ast.FunctionDef) -> tuple[int, int]:
    """Return how much a function holds, and its loops: an inner one counts for more."""
    total, loops = 0, 0
    waiting: list[tuple[ast.AST, int]] = [(statement, 0) for statement in node.body]
    while waiting:
        current, depth = waiting.pop()
        if isinstance(current, ast.stmt):
            total += 1
        if isinstance(current, _LOOPS):
            depth += 1
            loops += 1
            total += 10 * depth
        if isinstance(current, ast.Call) and isinstance(current.func, ast.Name):
            total += 10 * (current.func.id == node.name)
        waiting += [(child, depth) for child in ast.iter_child_nodes(current)]
    return total, loops


def _bound(node: ast.FunctionDef) -> Iterator[str]:
    """Yield every name that is bound anywhere in a function."""
    for inner in ast.walk(node):
        match inner:
            case ast.arg(arg=name) | ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.ExceptHandler(name=str(name)) | ast.MatchAs(name=str(name)):
                yield name
            case ast.MatchStar(name=str(name)) | ast.MatchMapping(rest=str(name)):
                yield name
            case ast.FunctionDef(name=name) if inner is not node:
                yield name


def _constants(tree: ast.Module) -> set[str]:
    """Return the names that are assigned once at module level, and plain exceptions."""
    counted: dict[str, int] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Global):
            counted |= dict.fromkeys(node.names, 2)
    for statement in tree.body:
        if isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
            for inner in ast.walk(statement):
                if isinstance(inner, ast.Name) and isinstance(inner.ctx, ast.Store):
                    counted[inner.id] = counted.get(inner.id, 0) + 1
    counted |= {s.name: 1 for s in tree.body if isinstance(s, ast.ClassDef) and _is_exception(s)}
    return {name for name, count in counted.items() if count == 1}


def _is_exception(node: ast.ClassDef) -> bool:
    """Whether a class is a builtin exception under another name."""
    kinds = (getattr(builtins, b.id, None) if isinstance(b, ast.Name) else None for b in node.bases)
    errors = all(isinstance(kind, type) and issubclass(kind, BaseException) for kind in kinds)
    plain = all(isinstance(inner, ast.Expr | ast.Pass) for inner in node.body)
    return bool(node.bases) and errors and plain and not node.keywords


def _root(node: ast.expr) -> str:
    """Return the name at the beginning of `a.b[c].d`; empty where a value stands there."""
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _module(path: str, sources: Sequence[str]) -> str:
    """Return the name by which a file is imported; empty where it is not, or should not be."""
    *folders, file = path.split("/")
    if _SIDE_FOLDERS & set(folders) or file in _SIDE_FILES:
        return ""
    for source in sources:
        prefix = "" if source == "." else f"{source.rstrip('/')}/"
        if path.startswith(prefix):
            parts = path.removeprefix(prefix).removesuffix(".py").split("/")
            parts = parts[:-1] if parts[-1] == "__init__" else parts
            return ".".join(parts) if parts and all(_is_word(p) for p in parts) else ""
    return ""


def _is_word(text: str) -> bool:
    return re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text) is not None


def _named(found: Sequence[Challenge]) -> Iterator[Challenge]:
    """Give each a valid name of its own."""
    taken: set[str] = set()
    for challenge in found:
        bare = re.sub(r"[^A-Za-z0-9_-]+", "-", challenge.name).strip("-_")[:40] or "main"
        number, free = 2, bare
        while free in taken:
            free, number = f"{bare}-{number}", number + 1
        taken.add(free)
        yield msgspec.structs.replace(challenge, name=free)
