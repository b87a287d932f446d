"""`candidate.*`: what is proposed, how it stands, and the human's answers."""

from msgspec.structs import replace

from ouroboros.engine.api import Submission
from ouroboros.errors import InvalidParamsError
from ouroboros.model.evaluation import Evaluation
from ouroboros.model.phase import FINAL, Phase
from ouroboros.model.snapshot import without_pairs
from ouroboros.model.state import Candidate
from ouroboros.model.text import safe_line, safe_text
from rpc import wire
from rpc.methods.checks import at_most, filled, phases, signed, within
from rpc.methods.registry import handles
from rpc.methods.session import Session

PAGE = 500
"""Most candidates of one page."""

TEXT = 256 << 10
"""Most characters of a diff's page, and of a log."""

TITLE = 500
"""Most characters of a title: it stands in every list; what is long goes into the rationale."""

WAIT_S = 3600.0
"""Longest wait of `candidate.wait`."""


@handles(wire.CandidateList)
async def list_(session: Session, request: wire.CandidateList) -> wire.CandidatePage:
    """Page through candidates, newest first. The cursor is the last candidate of the page."""
    within("limit", request.limit, 1, PAGE)
    wanted = phases("phases", request.phases) or frozenset(Phase)
    every = list(session.engine.state.candidates.values())[::-1]
    start = _after(every, request.cursor) if request.cursor else 0
    fitting = [c for c in every[start:] if c.phase in wanted]
    page = fitting[: request.limit]
    more = len(fitting) > len(page)
    return wire.CandidatePage(
        candidates=tuple(without_pairs(c) for c in page), next=page[-1].id if more else ""
    )


def _after(every: list[Candidate], cursor: str) -> int:
    for index, candidate in enumerate(every):
        if candidate.id == cursor:
            return index + 1
    raise InvalidParamsError(
        f"Invalid params: `cursor` {safe_line(cursor, limit=40)!r} is not one of this engine.",
        hint="Begin again without a cursor.",
    )


@handles(wire.CandidateGet)
async def get(session: Session, request: wire.CandidateGet) -> Candidate:
    """Return one candidate, whole."""
    return session.engine.candidate(request.id)


@handles(wire.CandidateDiff)
async def diff(session: Session, request: wire.CandidateDiff) -> wire.DiffResult:
    """Return a page of the diff; pages are cut after the text was made safe, if it is."""
    within("offset", request.offset, 0, 2**53)
    within("limit", request.limit, 1, TEXT)
    candidate = session.engine.candidate(request.id)
    text = await session.engine.diff(request.id)
    if not request.raw:
        text = safe_text(text)
    return wire.DiffResult(
        text=text[request.offset : request.offset + request.limit],
        offset=request.offset,
        total=len(text),
        files=tuple(replace(f, path=safe_text(f.path)) for f in candidate.files),
    )


@handles(wire.CandidateLog)
async def log(session: Session, request: wire.CandidateLog) -> wire.LogResult:
    """Return the end of a check's output."""
    text = await session.engine.log(request.id, request.check)
    cut = len(text) - TEXT
    if cut > 0:
        text = f"\u2026 ({cut} earlier characters)\n{text[cut:]}"
    return wire.LogResult(text=safe_text(text))


@handles(wire.CandidateEvaluation)
async def evaluation(session: Session, request: wire.CandidateEvaluation) -> Evaluation | None:
    """Return the last evaluation with its raw samples."""
    return session.engine.candidate(request.id).evaluation


@handles(wire.CandidateSubmit)
async def submit(session: Session, request: wire.CandidateSubmit) -> wire.SubmitResult:
    """Take a proposal."""
    filled("diff", request.diff)
    filled("title", request.title)
    at_most("title", request.title, TITLE)
    submission = Submission(
        diff=request.diff,
        title=request.title,
        rationale=request.rationale,
        base=request.base,
        idempotency_key=request.idempotency_key,
    )
    return wire.SubmitResult(id=await session.engine.submit(submission, actor=session.actor))


@handles(wire.CandidateApprove)
async def approve(session: Session, request: wire.CandidateApprove) -> wire.Ok:
    """Say yes to exactly one commit."""
    filled("commit", request.commit)
    await session.engine.approve(
        request.id,
        actor=session.actor,
        commit=request.commit,
        reason=request.reason,
        signed=signed(request.statement, request.signature),
    )
    return wire.Ok(seq=session.engine.state.seq)


@handles(wire.CandidateReject)
async def reject(session: Session, request: wire.CandidateReject) -> wire.Ok:
    """Say no."""
    await session.engine.deny(
        request.id,
        actor=session.actor,
        reason=request.reason,
        signed=signed(request.statement, request.signature),
    )
    return wire.Ok(seq=session.engine.state.seq)


@handles(wire.CandidateCancel)
async def cancel(session: Session, request: wire.CandidateCancel) -> wire.Ok:
    """Stop a candidate before promotion."""
    await session.engine.cancel(request.id, actor=session.actor, reason=request.reason)
    return wire.Ok(seq=session.engine.state.seq)


@handles(wire.CandidateWait)
async def wait(session: Session, request: wire.CandidateWait) -> Candidate:
    """Wait for a phase."""
    within("timeout_s", request.timeout_s, 0, WAIT_S)
    until = phases("until", request.until) or FINAL | {Phase.HELD}
    return await session.engine.wait(request.id, until=until, timeout_s=request.timeout_s)
