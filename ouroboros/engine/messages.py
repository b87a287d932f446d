"""Commit messages: from a template, with trailers; a proposer's words are quoted, one line, capped.

A candidate must not be able to write `Approved-by:` into the history of somebody's repository, so
its title is made one safe line and never stands at the start of a trailer-looking line.
"""

from collections.abc import Sequence

from ouroboros.model.entry import Head
from ouroboros.model.state import Candidate, confirmed_change
from ouroboros.model.text import safe_line

_TITLE = 60


def candidate_message(name: str, title: str) -> str:
    """Return the message of a candidate commit, which only ever stands on a private ref."""
    return f"ouroboros candidate {name}: {safe_line(title, limit=_TITLE)}\n"


def promotion_message(candidate: Candidate, version: int, head: Head) -> str:
    """Return the message of the commit that lands on the user's branch."""
    change = confirmed_change(candidate.verdict)
    gain = f"Measured change of the objective: {change:+.1%}.\n\n" if change is not None else ""
    approved = f"Ouroboros-Approved-By: {candidate.approved_by}\n" if candidate.approved_by else ""
    return (
        f"Ouroboros v{version}: {safe_line(candidate.title, limit=_TITLE)}\n\n"
        f"{gain}"
        f"Proposed by {safe_line(candidate.proposer, limit=40)}, which said:\n"
        f"> {safe_line(candidate.rationale or candidate.title, limit=300)}\n\n"
        f"Ouroboros-Candidate: {candidate.id}\n"
        f"Ouroboros-Version: {version}\n"
        f"Ouroboros-Verdict: {candidate.verdict_seq}\n"
        f"{approved}"
        f"Ouroboros-Ledger-Head: {head.size}:{head.hash}\n"
    )


def rollback_message(
    version: int, restores: int, candidates: Sequence[str], reason: str, head: Head
) -> str:
    """Return the message of a rollback commit."""
    return (
        f"Ouroboros v{version}: roll back to version {restores}\n\n"
        f"Reason: {safe_line(reason or 'none given', limit=300)}\n\n"
        f"Ouroboros-Rollback-Of: {' '.join(candidates)}\n"
        f"Ouroboros-Version: {version}\n"
        f"Ouroboros-Ledger-Head: {head.size}:{head.hash}\n"
    )
