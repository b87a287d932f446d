"""Commit messages: from a template, with trailers; a proposer's words are quoted, one line, capped.

A candidate must not be able to write `Approved-by:` into the history of somebody's repository, so
its title is made one safe line that stands behind ours, and its rationale one that is quoted; both
are far from the last paragraph, the only one in which git looks for trailers. Nor may they order
about what reads messages: `[skip ci]`, `Closes #12` and `@somebody` are words that services act
on, so they are written in a way that is read but not obeyed.
"""

import re
from collections.abc import Sequence

from ouroboros.model.entry import Head
from ouroboros.model.state import Candidate, confirmed_change
from ouroboros.model.text import safe_line

_TITLE = 60


_ORDERS = str.maketrans("[]", "()")
_REFERENCE = re.compile(r"[#@](?=\w)|GH-(?=\d)|\*(?=\*)", re.IGNORECASE)


def quoted(text: str, limit: int) -> str:
    """Return foreign words as one safe line that no service takes for an order."""
    return safe_line(_REFERENCE.sub(r"\g<0> ", text.translate(_ORDERS)), limit=limit)


def candidate_message(name: str, title: str) -> str:
    """Return the message of a candidate commit, which only ever stands on a private ref."""
    return f"ouroboros candidate {name}: {quoted(title, _TITLE)}\n"


def head_trailers(ledger: str, head: Head, root: str) -> str:
    """Return the trailers that anchor the ledger in the target's own history.

    They name the ledger, its size and last hash (which covers every entry before), and the Merkle
    root as it stands in signed heads. The entries that follow, this move's own among them, are
    covered by the next head.
    """
    return (
        f"Ouroboros-Ledger: {ledger}\n"
        f"Ouroboros-Ledger-Head: {head.size}:{head.hash}\n"
        f"Ouroboros-Ledger-Root: {root}\n"
    )


def promotion_message(candidate: Candidate, version: int, trailers: str) -> str:
    """Return the message of the commit that lands on the user's branch."""
    change = confirmed_change(candidate.verdict)
    gain = f"Measured change of the objective: {change:+.1%}.\n\n" if change is not None else ""
    by = safe_line(candidate.approved_by, limit=80)
    approved = f"Ouroboros-Approved-By: {by}\n" if by else ""
    return (
        f"Ouroboros v{version}: {quoted(candidate.title, _TITLE)}\n\n"
        f"{gain}"
        f"Proposed by {quoted(candidate.proposer, 40)}, which said:\n"
        f"> {quoted(candidate.rationale or candidate.title, 300)}\n\n"
        f"Ouroboros-Candidate: {candidate.id}\n"
        f"Ouroboros-Version: {version}\n"
        f"Ouroboros-Verdict: {candidate.verdict_seq}\n"
        f"{approved}"
        f"{trailers}"
    )


def rollback_message(
    version: int, restores: int, candidates: Sequence[str], reason: str, trailers: str
) -> str:
    """Return the message of a rollback commit."""
    trailer = f"Ouroboros-Rollback-Of: {' '.join(candidates)}\n"
    return _message(version, f"roll back to version {restores}", reason, trailer, trailers)


def forward_message(
    version: int, restores: int, candidates: Sequence[str], reason: str, trailers: str
) -> str:
    """Return the message of a commit that brings back what was rolled back."""
    trailer = f"Ouroboros-Restores: {' '.join(candidates)}\n"
    return _message(version, f"roll forward to version {restores}", reason, trailer, trailers)


def _message(version: int, what: str, reason: str, trailer: str, trailers: str) -> str:
    return (
        f"Ouroboros v{version}: {what}\n\n"
        f"Reason: {quoted(reason or 'none given', 300)}\n\n"
        f"{trailer}"
        f"Ouroboros-Version: {version}\n"
        f"{trailers}"
    )
