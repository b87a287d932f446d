"""One bout, in one thread: the same questions to both sides, one after the other, with a clock.

Sides take turns: who begins the first round was decided by the coin, after that the order changes
with each round. While one side works, the other one waits for its next question, and CPU time that
it uses then is counted against it. Blocking; knows no process and no event loop.
"""

import msgspec

from ouroboros.evaluation.challenge.forms import Malformed, normal
from ouroboros.evaluation.challenge.frames import split
from ouroboros.evaluation.challenge.peer import Lost, Peer, Spent
from ouroboros.model.text import safe_line

_DUMP_CAP = 64 << 20
_WORDS_CAP = 64 << 10
_MODULES_CAP = 8 << 20
_SHOWN = 120


class Different(Exception):  # noqa: N818 - a finding, turned into a check by its catcher
    """The sides do not agree."""


class Uncomparable(Exception):  # noqa: N818 - the same
    """The baseline's result has no bytes that could be compared."""


SINGLES = 8
"""Calls of a bout that are asked alone, after its rounds: what a few inputs cost, a mean hides."""


class Account(msgspec.Struct, kw_only=True):
    """What one side has spent so far."""

    start_ns: int = 0
    first_ns: int = 0
    cpu_ns: int = 0
    wall_ns: int = 0
    singles_ns: tuple[int, ...] = ()


class Bout:
    """The two sides, and what they have spent."""

    def __init__(self, baseline: Peer, candidate: Peer, *, candidate_first: bool) -> None:
        """Take two processes that have said hello.

        Args:
            baseline: what it answers is right.
            candidate: what it answers is compared.
            candidate_first: who begins the first round.
        """
        self.baseline = baseline
        self.candidate = candidate
        self.accounts = {baseline.side: Account(), candidate.side: Account()}
        self.compared = 0
        self._order = (candidate, baseline) if candidate_first else (baseline, candidate)

    def hold(self, papers: list[bytes]) -> None:
        """Have both sides answer: one cold call, the rounds, and at last single calls.

        Args:
            papers: the inputs of each, as the worker understands them; the last `SINGLES` hold one.

        Raises:
            Lost: a side broke off.
            Different: the sides do not agree.
            Uncomparable: nobody can know whether they do.
        """
        for number, paper in enumerate(papers):
            for side in self._order:
                side.timed(b"L", paper, expect=b"l")
            for side in self._order:
                _, spent = side.timed(b"G", expect=b"g")
                self._book(side, spent, cold=number == 0, single=number >= len(papers) - SINGLES)
            self._compare(number, paper)
            self._order = self._order[::-1]

    @staticmethod
    def modules(side: Peer) -> bytes:
        """Ask a side which files it has loaded."""
        return side.ask(b"M", expect=b"m", cap=_MODULES_CAP)

    def _book(self, side: Peer, spent: Spent, *, cold: bool, single: bool) -> None:
        account = self.accounts[side.side]
        if cold:
            account.first_ns += spent.cpu_ns
        elif single:
            account.singles_ns += (spent.cpu_ns,)
        else:
            account.cpu_ns += spent.cpu_ns
            account.wall_ns += spent.wall_ns

    def _compare(self, number: int, paper: bytes) -> None:
        dumps = {side.side: side.timed(b"D", expect=b"d", cap=_DUMP_CAP)[0] for side in self._order}
        mine, theirs = dumps[self.baseline.side], dumps[self.candidate.side]
        rows = split(mine)
        for row in rows:
            if row.startswith(b"U"):
                raise Uncomparable(safe_line(row[1:].decode(errors="replace")))
        if mine != theirs:
            self._look_closer(number, paper, rows, theirs)
        self.compared += len(rows)

    def _look_closer(self, number: int, paper: bytes, mine: list[bytes], theirs: bytes) -> None:
        where = f"round {number}" if number else "the first call"
        try:
            others = split(theirs)
        except ValueError:
            others = []
        if len(others) != len(mine):
            text = f"In {where} it gave {len(others)} results for {len(mine)} calls."
            raise Different(text)
        for call, row in enumerate(mine):
            if not _agree(row, others[call]):
                where = f"{where}, call {call + 1} of {len(mine)}"
                raise Different(self._difference(where, paper, call))

    def _difference(self, where: str, paper: bytes, call: int) -> str:
        expected = _words(self.baseline, b"W", call)
        found = _words(self.candidate, b"W", call)
        self.baseline.ask(b"L", paper, expect=b"l")  # as they were before the call
        arguments = _words(self.baseline, b"A", call)
        if found == expected:
            found += " (of another type, or what the call did to its arguments differs)"
        return f"In {where}, with {arguments}: expected {expected}, found {found}."


def _agree(mine: bytes, theirs: bytes) -> bool:
    """Whether two results are the same, also where their pickles are not."""
    if mine == theirs:
        return True
    if mine[:1] != b"P" or theirs[:1] != b"P":
        return False
    try:
        return normal(mine[1:]) == normal(theirs[1:])
    except Malformed:
        return False


def _words(side: Peer, letter: bytes, call: int) -> str:
    """Ask for a result or its arguments in words: for people, and believed no further."""
    try:
        text = side.ask(letter, b"%d" % call, expect=b"w", cap=_WORDS_CAP)
    except Lost:
        return "something that it does not show"
    return safe_line(text.decode(errors="replace"), limit=_SHOWN)
