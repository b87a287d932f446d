"""What one evaluation has found so far, and the three ways in which it may stop early.

`Halt` carries the end of an evaluation up to its edge: a check that said no (`failed`), or a fault
that leaves the question open (`error`). It is not an error of the program and never leaves this
room.
"""

from typing import NoReturn

from ouroboros.errors import Misuse
from ouroboros.evaluation.records import Coverage
from ouroboros.model.evaluation import (
    CheckOutcome,
    CheckStatus,
    EvaluationStatus,
    Exact,
    Series,
)


class Halt(Exception):  # noqa: N818 - it ends an evaluation, it is no error of its own
    """The evaluation is over."""

    def __init__(self, status: EvaluationStatus, cause: str) -> None:
        """Say how and why.

        Args:
            status: `failed` or `error`.
            cause: for people.
        """
        super().__init__(cause)
        self.status = status
        self.cause = cause


class Dossier:
    """Collects checks, series, exact values, proof, and what is executed and what is not."""

    def __init__(self) -> None:
        """Start empty."""
        self.checks: list[CheckOutcome] = []
        self.series: list[Series] = []
        self.exact: list[Exact] = []
        self.anchor_commit = ""
        self.anchor_cause = ""
        self.proof: set[str] = set()
        self.challenged: set[str] = set()
        self.executed: tuple[Coverage, ...] = ()
        self.untested: tuple[str, ...] = ()

    def add(self, check: CheckOutcome) -> None:
        """Keep a check.

        Raises:
            Halt: it did not pass.
        """
        self.checks.append(check)
        if check.status is CheckStatus.FAILED:
            raise Halt(EvaluationStatus.FAILED, check.text)
        if check.status is CheckStatus.ERROR:
            raise Halt(EvaluationStatus.ERROR, check.text)

    def stop(self, check: CheckOutcome) -> NoReturn:
        """Keep a check that did not pass.

        Raises:
            Halt: always.
        """
        self.add(check)
        raise Misuse(f"The check {check.name} passed, and was said to stop the evaluation.")
