"""What a transformation is: a name, a prior, and the sites where it applies.

A site carries the whole rewrite, so that finding is the only place where preconditions stand. The
priors are judgement, not measurement: the chance that a site in a hot function gives a gain worth
keeping, times how large such a gain tends to be. They follow what was seen in real histories:
quadratic scans removed, work done once instead of per item, early exits; peepholes hardly ever
help. The measurement is the governor's business; a wrong prior only costs time.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar, Protocol

from ouroboros.proposers.codemod.edits import Plan
from ouroboros.proposers.codemod.function import Function


@dataclass(frozen=True)
class Site:
    """One place where a transformation applies.

    Attributes:
        plan: the rewrite.
        label: what tells this site from others in the same function, from its content and not
            from its position; may be empty where there can be only one.
        title: short imperative, without the function's name.
        why: what is slow, and what the rewrite does about it.
        assumes: what must hold and could not be proven; empty where the preconditions suffice.
        factor: how much better (or worse) than the transformation's prior this site looks.
    """

    plan: Plan
    label: str
    title: str
    why: str
    assumes: str = ""
    factor: float = 1.0


class Transformation(Protocol):
    """One kind of rewrite. The class docstring lists the preconditions under which it is exact."""

    name: ClassVar[str]
    prior: ClassVar[float]

    def find(self, function: Function) -> Iterator[Site]:
        """Yield the sites of a function, in source order."""
        ...
