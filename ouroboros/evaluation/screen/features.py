"""What is compared between two versions of a file, and what counts as grown. Pure.

A feature is something that a file does, in some scope: "calls open, in `C.load`". What a file did
already is no finding, wherever its lines moved; what it does more often, or in a function that did
not do it, is.
"""

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from ouroboros.evaluation.screen.marks import Finding
from ouroboros.evaluation.screen.syntax import Module, Node


class Feature(NamedTuple):
    """Something that a file does: by which rule it is one, what it is, where.

    With `once` it is enough that the file did it before, however often.
    """

    rule: str
    key: str
    scope: str
    line: int
    once: bool = False


def at(rule: str, key: str, item: Node) -> Feature:
    """Return the feature of a node."""
    return Feature(rule, key[:200], item.place.scope, item.line)


def grown(
    before: Iterable[Feature], after: Iterable[Feature], module: Module, new: frozenset[int]
) -> Iterator[Finding]:
    """Find the features of which there are more after the change; the newest lines are shown."""
    left: dict[tuple[str, str, str], int] = {}
    for feature in before:
        left[feature[:3]] = left.get(feature[:3], 0) + 1
    groups: dict[tuple[str, str, str], list[Feature]] = {}
    for feature in after:
        groups.setdefault(feature[:3], []).append(feature)
    for key, features in groups.items():
        known = left.get(key, 0)
        more = len(features) - known
        if more > 0 and not (known and features[0].once):
            features.sort(key=lambda f: (f.line not in new, -f.line))
            for feature in sorted(features[:more], key=lambda f: f.line):
                shown = line_of(module, feature.line)
                yield Finding(feature.rule, module.path, feature.line, feature.key, shown)


def line_of(module: Module, number: int) -> str:
    """Return a line of the file."""
    return module.lines[number - 1] if 0 < number <= len(module.lines) else ""
