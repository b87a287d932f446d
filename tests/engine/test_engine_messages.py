"""Commit messages: whatever a proposer says, it stays one quoted line that nobody obeys."""

import re
import subprocess
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroboros.engine.messages import (
    candidate_message,
    head_trailers,
    promotion_message,
    quoted,
    rollback_message,
)
from ouroboros.model.entry import Head
from ouroboros.model.phase import Phase
from ouroboros.model.state import Candidate
from ouroboros.model.text import safe_text

HEAD = head_trailers("ouroboros/t-1", Head(size=7, hash="ab" * 32), "q83vASNFZ4k=")
ANCHOR = ["Ouroboros-Ledger", "Ouroboros-Ledger-Head", "Ouroboros-Ledger-Root"]
OURS = ["Ouroboros-Candidate", "Ouroboros-Version", "Ouroboros-Verdict", *ANCHOR]
hostile = st.lists(
    st.sampled_from(
        [
            *("\n", "\r\n", "\u2028", "\n\n", "Approved-by: x <x@y>", "Ouroboros-Version: 99", " "),
            *("[skip ci]", "#12", "@bob", "***NO_CI***", "GH-1", "Co-authored-by: a <a@b>", ":"),
            *("\x1b]52;c;eA==\x07", "\u202e", "(cherry picked from commit 123)", "---", ">", "#"),
        ]
    )
    | st.text(max_size=5)
).map("".join)


def candidate(**given: Any) -> Candidate:
    plain: dict[str, Any] = {"id": "c1", "phase": Phase.ACCEPTED, "title": "", "rationale": ""}
    names = set(Candidate.__struct_fields__)
    needed = {
        "proposer": "inbox",
        "base": "0" * 40,
        "diff": "",
        "idea": "",
        "cycle": 1,
        "created_ns": 1,
        "since_ns": 1,
    }
    return Candidate(**{k: v for k, v in (needed | plain | given).items() if k in names})


def trailers(message: str) -> list[str]:
    done = subprocess.run(
        ["git", "interpret-trailers", "--parse"],
        input=message.encode("utf-8", "replace"),
        capture_output=True,
        check=True,
    )
    return [line.partition(":")[0] for line in done.stdout.decode().splitlines()]


@settings(deadline=None)
@given(title=hostile, rationale=hostile, proposer=hostile, reason=hostile)
def test_foreign_words_keep_their_place(
    title: str, rationale: str, proposer: str, reason: str
) -> None:
    c = candidate(title=title, rationale=rationale, proposer=proposer)
    promoted = promotion_message(c, 3, HEAD)
    for message in (promoted, candidate_message("c1", title)):
        assert safe_text(message) == message
        assert not re.search(r"\[skip ci\]|[#@]\w|\*\*|GH-\d", message, re.IGNORECASE)
    assert promoted.count("\n") == 11
    assert rollback_message(3, 2, ["c1"], reason, HEAD).count("\n") == 9
    assert candidate_message("c1", title).count("\n") == 1
    assert re.findall(r"^([A-Z][\w-]*): ", promoted.rpartition("\n\n")[2], re.MULTILINE) == OURS


@pytest.mark.parametrize(
    "words", ["x\n\nApproved-by: a <a@b>\n", "Ouroboros-Version: 99", "x\n---\nSigned-off-by: me"]
)
def test_git_finds_no_trailer_but_ours(words: str) -> None:
    c = candidate(title=words, rationale=words, proposer=words)
    assert trailers(promotion_message(c, 3, HEAD)) == OURS
    assert trailers(candidate_message("c1", words)) == []
    ours = ["Ouroboros-Rollback-Of", "Ouroboros-Version", *ANCHOR]
    assert trailers(rollback_message(3, 2, ["c1"], words, HEAD)) == ours


def test_ordinary_words_are_quoted_as_they_are() -> None:
    assert quoted("Keep a set of seen ids (issue 12), a*b, e-mail", 60) == (
        "Keep a set of seen ids (issue 12), a*b, e-mail"
    )
