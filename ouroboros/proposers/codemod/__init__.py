"""Rewrites of hot functions by libcst and ruff: the ideas of a proposer without a model.

What it can and cannot find was measured before it was written: on mature packages, peepholes give
a useful gain in about one of eight; young code is different, because it still scans lists, copies
what it does not keep, and computes the same thing in every turn of a loop. So the catalogue leans
to these, and ranks the peepholes last.

Preconditions are conservative, and what could not be proven is written into the proposal's
rationale. The proof is the governor's: tests, and fresh measurements.
"""

from ouroboros.proposers.codemod.proposer import CodemodProposer

__all__ = ["CodemodProposer"]
