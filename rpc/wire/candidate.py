"""`candidate.*`: changes on their way."""

from typing import Any

from ouroboros.model.evaluation import Evaluation
from ouroboros.model.proposal import FileChange
from ouroboros.model.state import Candidate
from rpc.wire.base import Act, Ok, Request, Result


class CandidatePage(Result, frozen=True, kw_only=True):
    """Candidates newest first, without raw samples; `next` is the cursor of the next page."""

    candidates: tuple[Candidate, ...]
    next: str = ""


class CandidateList(Request[CandidatePage], frozen=True, kw_only=True):
    """Page through candidates, newest first; empty `phases` means all. `limit`: 1 to 500."""

    method = "candidate.list"
    result = CandidatePage
    phases: tuple[str, ...] = ()
    limit: int = 50
    cursor: str = ""


class CandidateGet(Request[Candidate], frozen=True, kw_only=True):
    """Return one candidate, whole."""

    method = "candidate.get"
    result = Candidate
    instant = True
    id: str


class DiffResult(Result, frozen=True, kw_only=True):
    """A page of a diff; `text` is made safe for terminals unless `raw` was asked for.

    `total` counts the characters of that text.
    """

    text: str
    offset: int
    total: int
    files: tuple[FileChange, ...] = ()


class CandidateDiff(Request[DiffResult], frozen=True, kw_only=True):
    """Return a candidate's diff from `offset`, at most 256 Ki characters.

    `format`: `unified`; `stat` (a line a file: added, removed, path); `files` (the paths alone).
    `path`: only that file's part.

    With `raw` it is the exact text, for `git apply`: untrusted, never to be printed as it is.
    """

    method = "candidate.diff"
    result = DiffResult
    exact = True
    id: str
    offset: int = 0
    limit: int = 262144
    raw: bool = False
    format: str = "unified"
    path: str = ""


class LogResult(Result, frozen=True, kw_only=True):
    """Captured output, made safe for terminals."""

    text: str


class CandidateLog(Request[LogResult], frozen=True, kw_only=True):
    """Return the captured output of one check (`tests`, `benchmark:NAME`, ...).

    At most its last 256 Ki characters.
    """

    method = "candidate.log"
    result = LogResult
    id: str
    check: str


class CandidateEvaluation(Request[Evaluation | None], frozen=True, kw_only=True):
    """Return the last evaluation with its raw samples, or null."""

    method = "candidate.evaluation"
    result = Evaluation | None
    id: str


class SubmitResult(Result, frozen=True, kw_only=True):
    """Id of the new candidate."""

    id: str


class CandidateSubmit(Act[SubmitResult], frozen=True, kw_only=True):
    """Propose a change. `diff` is unified with a/ and b/ prefixes; empty `base`: the head."""

    method = "candidate.submit"
    result = SubmitResult
    role = "operator"
    diff: str
    title: str
    rationale: str = ""
    base: str = ""


class ApproveResult(Ok, frozen=True, kw_only=True):
    """Who said yes so far, and of how many different people a yes is `needed`.

    With fewer than that the candidate stays held. Both are missing in answers of older engines,
    where one was enough.
    """

    given: tuple[str, ...] = ()
    needed: int = 0


class CandidateApprove(Act[ApproveResult], frozen=True, kw_only=True):
    """Say yes to exactly `commit`, as seen in `candidate.get`.

    Where policy wants several people, the candidate stays held until enough of them said yes.
    `statement` and `signature` (here, in `candidate.reject` and `version.rollback`): what an
    operator signed and the signature as `ssh-keygen -Y sign -n ouroboros` prints it; both or none.
    """

    method = "candidate.approve"
    result = ApproveResult
    role = "approver"
    id: str
    commit: str
    reason: str = ""
    statement: str = ""
    signature: str = ""


class CandidateReject(Act[Ok], frozen=True, kw_only=True):
    """Say no to a held candidate."""

    method = "candidate.reject"
    result = Ok
    role = "approver"
    id: str
    reason: str = ""
    statement: str = ""
    signature: str = ""


class CandidateCancel(Act[Ok], frozen=True, kw_only=True):
    """Stop a candidate anywhere before promotion."""

    method = "candidate.cancel"
    result = Ok
    role = "operator"
    id: str
    reason: str = ""


class CandidateHold(Act[Ok], frozen=True, kw_only=True):
    """Have a candidate on its way held for a human's yes, whatever its verdict will be or was."""

    method = "candidate.hold"
    result = Ok
    role = "operator"
    id: str
    reason: str = ""


class CandidateRetry(Act[SubmitResult], frozen=True, kw_only=True):
    """Propose once more what was rejected, cancelled, errored or rolled back; returns the new id.

    It goes on with the evidence that is there: a second try is no second chance by luck.
    """

    method = "candidate.retry"
    result = SubmitResult
    role = "operator"
    id: str
    reason: str = ""


class CandidatePromoteFull(Act[Ok], frozen=True, kw_only=True):
    """Say yes to a held candidate at exactly `commit`, past quorum and freezes.

    It overrides people and time, never evidence: what was refused is not held, and stays refused.
    `reason` is required; `statement` and `signature` as in `candidate.approve`.
    """

    method = "candidate.promote_full"
    result = Ok
    role = "admin"
    id: str
    commit: str
    reason: str
    statement: str = ""
    signature: str = ""


class CandidateWait(Request[Candidate], frozen=True, kw_only=True):
    """Return once the candidate stands in one of `until` (phases; empty: final or held).

    `timeout_s` is at most 3600; error `timeout` when it ends first.
    """

    method = "candidate.wait"
    result = Candidate
    waits = True
    id: str
    until: tuple[str, ...] = ()
    timeout_s: float = 300.0


REQUESTS: tuple[type[Request[Any]], ...] = (
    CandidateList,
    CandidateGet,
    CandidateDiff,
    CandidateLog,
    CandidateEvaluation,
    CandidateSubmit,
    CandidateApprove,
    CandidateReject,
    CandidateCancel,
    CandidateHold,
    CandidateRetry,
    CandidatePromoteFull,
    CandidateWait,
)
"""In the order of the documentation."""
