"""What a function no longer does: refuse, check, log, flush, close. Pure.

The quickest function is the one that leaves out what no test asks for.
"""

import ast
from collections import Counter
from collections.abc import Iterator

from ouroboros.evaluation.screen.features import Feature, at, line_of
from ouroboros.evaluation.screen.marks import Finding
from ouroboros.evaluation.screen.syntax import Kind, Module, Node
from ouroboros.evaluation.screen.tables import words

_LOGGERS = frozenset({"log", "logger", "_log", "_logger", "logging", "LOG", "LOGGER", "warnings"})
_LOGGING = words(
    """
    debug info warning warn error critical exception log fatal
    """
)
_FLUSHING = words(
    """
    flush fsync fdatasync close sync release commit rollback shutdown join_thread terminate
    unlock
    """
)
_CHECKING = frozenset({"isinstance", "issubclass", "callable", "hasattr"})
_LARGEST = 10**18
_BROAD = frozenset({"Exception", "BaseException", "AssertionError", "SystemExit"})

_LOOKING = frozenset({"KeyError", "IndexError", "StopIteration"})
"""Errors that only say "not there": catching them is one way to look, and `get` is another."""

_SAID = {
    "raise": "fewer 'raise'",
    "assert": "fewer 'assert'",
    "except": "fewer 'except'",
    "finally": "fewer 'finally' or 'with'",
    "log": "fewer messages to a log",
    "flush": "fewer calls that flush, close or release",
    "check": "no check of types any more",
}

Counts = dict[str, Counter[str]]


def counts(module: Module) -> Counts:
    """Return for each function how often it refuses, checks, logs and closes."""
    found: Counts = {}
    dead = _dead(module)
    for item in module.nodes:
        kind = _kind(item.node)
        if kind and id(item.node) not in dead:
            found.setdefault(item.place.scope, Counter())[kind] += 1
    return found


def _kind(node: ast.AST) -> str:
    match node:
        case ast.Raise():
            return "raise"
        case ast.Assert():
            return "assert"
        case ast.ExceptHandler(type=kind):
            return "" if isinstance(kind, ast.Name) and kind.id in _LOOKING else "except"
        case ast.Try(finalbody=[_, *_]) | ast.With() | ast.AsyncWith():
            return "finally"
        case ast.Call(func=ast.Attribute(attr=name, value=value)):
            if name in _LOGGING and _is_logger(value):
                return "log"
            return "flush" if name in _FLUSHING else ""
        case ast.Call(func=ast.Name(id="suppress") | ast.Attribute(attr="suppress"), args=args):
            return "" if all(getattr(a, "id", "") in _LOOKING for a in args) else "except"
        case ast.Call(func=ast.Name(id=name)):
            return "check" if name in _CHECKING else "log" if name == "print" else ""
        case _:
            return ""


def _is_logger(node: ast.AST) -> bool:
    name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")
    return name in _LOGGERS or "log" in name.lower()


def _dead(module: Module) -> frozenset[int]:
    """Return the nodes that are never executed: after a `return`, under `if False`."""
    found: set[int] = set()
    for item in module.nodes:
        for block in _blocks(item.node):
            ends = False
            for statement in block:
                if ends:
                    found |= {id(n) for n in ast.walk(statement)}
                ends |= isinstance(statement, ast.Return | ast.Raise | ast.Continue | ast.Break)
        if isinstance(item.node, ast.If | ast.While) and _never(item.node.test):
            found |= {id(n) for s in item.node.body for n in ast.walk(s)}
        if id(item.node) in found:
            found |= {id(n) for n in ast.iter_child_nodes(item.node)}
    return frozenset(found)


def _blocks(node: ast.AST) -> Iterator[list[ast.stmt]]:
    for name in ("body", "orelse", "finalbody"):
        block = getattr(node, name, None)
        if isinstance(block, list):
            yield block


def _never(test: ast.expr) -> bool:
    if isinstance(test, ast.BoolOp) and isinstance(test.op, ast.And):
        return any(isinstance(v, ast.Constant) and not v.value for v in test.values)
    return isinstance(test, ast.Constant) and not test.value


def removed(before: Module, after: Module) -> Iterator[Finding]:
    """Find the functions that do less than before of what nobody measures."""
    was, now = counts(before), counts(after)
    total_was, total_now = _total(was), _total(now)
    for scope, old in was.items():
        new = now.get(scope, Counter())
        there = scope in after.definitions or not scope
        for kind, count in old.items():
            left = new[kind]
            fewer = left == 0 if kind == "check" else left < count
            # A function that went away may have been put into its callers, checks and all.
            if fewer and (there or total_now[kind] < total_was[kind]):
                line = _line(after, scope)
                detail = f"{_SAID[kind]} in {scope or 'the module'}"
                yield Finding("removes-check", after.path, line, detail, line_of(after, line))

    yield from _limits(before, after)


def _limits(before: Module, after: Module) -> Iterator[Finding]:
    """Find guards that compare with another number than before: `if len(text) > LONGEST: raise`."""
    was, now = _guards(before), _guards(after)
    for scope, old in was.items():
        new = now.get(scope, Counter())
        gone, come = old - new, new - old
        if gone and come:
            line = _line(after, scope)
            detail = f"a limit is {min(come)} and was {min(gone)} in {scope or 'the module'}"
            yield Finding("removes-check", after.path, line, detail, line_of(after, line))


def _guards(module: Module) -> dict[str, Counter[float]]:
    """Return for each function the numbers on which it depends whether it raises."""
    found: dict[str, Counter[float]] = {}
    for item in module.nodes:
        match item.node:
            case ast.If(test=test, body=body) if any(isinstance(s, ast.Raise) for s in body):
                pass
            case ast.Assert(test=test):
                pass
            case _:
                continue
        numbers = [_number(part, module, item) for part in ast.walk(test)]
        counted = found.setdefault(item.place.scope, Counter())
        counted.update(number for number in numbers if number is not None)
    return found


def _number(part: ast.AST, module: Module, item: Node) -> float | None:
    if isinstance(part, ast.Name) and module.resolve(part.id, item.place)[0] is Kind.MODULE:
        part = module.top.aliases.get(part.id, part)
    if isinstance(part, ast.Constant) and isinstance(part.value, int | float):
        finite = not isinstance(part.value, bool) and abs(part.value) < _LARGEST
        return float(part.value) if finite else None
    return None


def _total(found: Counts) -> Counter[str]:
    total: Counter[str] = Counter()
    for counted in found.values():
        total += counted
    return total


def _line(module: Module, scope: str) -> int:
    definition = module.definitions.get(scope)
    return int(getattr(definition, "lineno", 0))


def swallowed(module: Module) -> Iterator[Feature]:
    """Yield what hides errors: handlers of everything, `suppress`, a `return` in `finally`."""
    for item in module.nodes:
        match item.node:
            case ast.ExceptHandler(type=kind):
                if kind is None or any(_is_broad(n) for n in ast.walk(kind)):
                    yield at("swallows-errors", "catches everything", item)
            case ast.Try(finalbody=block) if _leaves(block):
                yield at("swallows-errors", "leaves from 'finally'", item)
            case ast.Call(func=ast.Name(id="suppress") | ast.Attribute(attr="suppress")):
                if any(_is_broad(a) for a in item.node.args):
                    yield at("swallows-errors", "suppresses everything", item)
            case _:
                pass


def _is_broad(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id in _BROAD


def _leaves(block: list[ast.stmt]) -> bool:
    return any(
        isinstance(n, ast.Return | ast.Break | ast.Continue) for s in block for n in ast.walk(s)
    )
