"""What others may call or read: names that are gone, signatures that take less, constants. Pure.

Tests call a function in one way; whoever uses the target calls it in others. A name counts as
public if no part of it begins with an underscore.
"""

import ast
from collections.abc import Iterator

from ouroboros.evaluation.screen.features import line_of
from ouroboros.evaluation.screen.marks import Finding
from ouroboros.evaluation.screen.syntax import FUNCTIONS, Function, Module


def interface(before: Module, after: Module) -> Iterator[Finding]:
    """Find public functions and classes that are gone or are called differently, and constants."""
    yield from _constants(before, after)
    for name, old in before.definitions.items():
        if not _public(name):
            continue
        new = after.definitions.get(name)
        if new is None:
            if not _still_bound(name, after):
                yield Finding("changes-interface", after.path, detail=f"{name} is gone")
        elif isinstance(old, FUNCTIONS) and isinstance(new, FUNCTIONS):
            wrong = _narrower(old, new)
            if wrong:
                shown = line_of(after, new.lineno)
                yield Finding(
                    "changes-interface", after.path, new.lineno, f"{name}: {wrong}", shown
                )


def _constants(before: Module, after: Module) -> Iterator[Finding]:
    """Find public constants with another value: a limit that no test comes near is still one."""
    old, new = _values(before), _values(after)
    for name, value in old.items():
        other = new.get(name)
        if other is not None and ast.dump(value) != ast.dump(other):
            shown = line_of(after, other.lineno)
            detail = f"{name} has another value"
            yield Finding("changes-interface", after.path, other.lineno, detail, shown)


def _values(module: Module) -> dict[str, ast.expr]:
    """Return the plain numbers and texts that a module calls by a public name in capitals."""
    found: dict[str, ast.expr] = {}
    for node in module.tree.body:
        target: ast.expr
        value: ast.expr | None
        if isinstance(node, ast.Assign) and len(node.targets) == 1:
            target, value = node.targets[0], node.value
        elif isinstance(node, ast.AnnAssign):
            target, value = node.target, node.value
        else:
            continue
        if isinstance(target, ast.Name) and target.id.isupper() and _public(target.id):
            inner = value.operand if isinstance(value, ast.UnaryOp) else value
            if value is not None and isinstance(inner, ast.Constant):
                found[target.id] = value
    return found


def _public(name: str) -> bool:
    parts = name.split(".")
    return all(not part.startswith("_") or part == "__init__" for part in parts)


def _still_bound(name: str, after: Module) -> bool:
    """Whether a name is bound otherwise: assigned, imported, or a class is gone as a whole."""
    owner, _, last = name.rpartition(".")
    if not owner:
        return last in after.top.bound or last in after.top.imports
    scope = after.classes.get(owner)
    return scope is None or last in scope.bound or last in scope.imports


def _narrower(old: Function, new: Function) -> str:
    """Return how a call that was right may no longer be; more parameters with defaults are fine."""
    was, now = _positional(old), _positional(new)
    if [n for n, _ in now[: len(was)]] != [n for n, _ in was]:
        return "other parameters"
    if any(default is None for _, default in now[len(was) :]):
        return "one more parameter that must be given"
    changed = [n for (n, a), (_, b) in zip(was, now, strict=False) if _differs(a, b)]
    keywords_was, keywords_now = dict(_keyword(old)), dict(_keyword(new))
    by_name = keywords_now | dict(now)
    changed += [n for n, a in keywords_was.items() if n in by_name and _differs(a, by_name[n])]
    if changed:
        return f"another default of {changed[0]}"
    if any(n not in by_name for n in keywords_was) or any(
        n not in keywords_was and default is None for n, default in keywords_now.items()
    ):
        return "other keyword parameters"
    a, b = old.args, new.args
    if (a.vararg and not b.vararg) or (a.kwarg and not b.kwarg):
        return "no more '*' or '**'"
    if len(b.posonlyargs) > len(a.posonlyargs):
        return "parameters that can no longer be given by name"
    return ""


def _positional(node: Function) -> list[tuple[str, ast.expr | None]]:
    names = [a.arg for a in (*node.args.posonlyargs, *node.args.args)]
    missing = len(names) - len(node.args.defaults)
    given: list[ast.expr | None] = [None] * missing + list(node.args.defaults)
    return list(zip(names, given, strict=True))


def _keyword(node: Function) -> list[tuple[str, ast.expr | None]]:
    return [
        (a.arg, default)
        for a, default in zip(node.args.kwonlyargs, node.args.kw_defaults, strict=True)
    ]


def _differs(old: ast.expr | None, new: ast.expr | None) -> bool:
    if old is None:
        return False  # it may be left out now
    return new is None or ast.dump(old) != ast.dump(new)
