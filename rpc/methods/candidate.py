"""`candidate.*`: what is proposed, how it stands, and the human's answers."""

from msgspec.structs import replace

from ouroboros.engine.api import Submission
from ouroboros.errors import InvalidParamsError, NotFoundError
from ouroboros.model.evaluation import Evaluation
from ouroboros.model.patch import sections
from ouroboros.model.phase import FINAL, Phase
from ouroboros.model.snapshot import without_pairs
from ouroboros.model.state import Candidate
from ouroboros.model.text import safe_line, safe_text
from rpc import wire
from rpc.methods.checks import at_most, filled, phases, signed, within
from rpc.methods.pages import TEXT, page_of
from rpc.methods.registry import handles
from rpc.methods.session import Session

PAGE = 500
"""Most candidates of one page."""


TITLE = 500
"""Most characters of a title: it stands in every list; what is long goes into the rationale."""

_FORMATS = ("unified", "stat", "files")

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
    candidate = session.engine.candidate(request.id)
    text = _formed(await session.engine.diff(request.id), request)
    page = page_of(text, offset=request.offset, limit=request.limit, raw=request.raw)
    return replace(page, files=tuple(replace(f, path=safe_text(f.path)) for f in candidate.files))


def _formed(diff: str, request: wire.CandidateDiff) -> str:
    """Return the diff, or a part of it, in the form that was asked for."""
    if request.format not in _FORMATS:
        raise InvalidParamsError(
            f"Invalid params: expected `format` to be one of {', '.join(_FORMATS)}, "
            f"got {safe_line(request.format, limit=40)!r}."
        )
    if request.format == "unified" and not request.path:
        return diff
    wanted = [s for s in sections(diff) if request.path in {"", s.path}]
    if not wanted:
        raise NotFoundError(
            f"The diff of {request.id} changes no file {safe_line(request.path, limit=200)!r}.",
            hint='Ask with `format` "files" for the paths.',
        )
    if request.format == "unified":
        return "".join(s.text for s in wanted)
    if request.format == "stat":
        return "".join(f"{s.added}\t{s.removed}\t{safe_line(s.path)}\n" for s in wanted)
    return "".join(f"{safe_line(s.path)}\n" for s in wanted)


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
async def approve(session: Session, request: wire.CandidateApprove) -> wire.ApproveResult:
    """Say yes to exactly one commit."""
    filled("commit", request.commit)
    approvals = await session.engine.approve(
        request.id,
        actor=session.actor,
        commit=request.commit,
        reason=request.reason,
        signed=signed(request.statement, request.signature),
    )
    return wire.ApproveResult(
        seq=session.engine.state.seq, given=approvals.given, needed=approvals.needed
    )


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


@handles(wire.CandidateHold)
async def hold(session: Session, request: wire.CandidateHold) -> wire.Ok:
    """Have it held for a human."""
    await session.engine.orders.hold(request.id, actor=session.actor, reason=request.reason)
    return wire.Ok(seq=session.engine.state.seq)


@handles(wire.CandidateRetry)
async def retry(session: Session, request: wire.CandidateRetry) -> wire.SubmitResult:
    """Propose it once more."""
    name = await session.engine.orders.retry(
        request.id,
        actor=session.actor,
        reason=request.reason,
        idempotency_key=request.idempotency_key,
    )
    return wire.SubmitResult(id=name)


@handles(wire.CandidatePromoteFull)
async def promote_full(session: Session, request: wire.CandidatePromoteFull) -> wire.Ok:
    """Say yes past quorum and freezes."""
    filled("commit", request.commit)
    await session.engine.orders.override(
        request.id,
        actor=session.actor,
        commit=request.commit,
        reason=request.reason,
        signed=signed(request.statement, request.signature),
    )
    return wire.Ok(seq=session.engine.state.seq)


@handles(wire.CandidateWait)
async def wait(session: Session, request: wire.CandidateWait) -> Candidate:
    """Wait for a phase."""
    within("timeout_s", request.timeout_s, 0, WAIT_S)
    until = phases("until", request.until) or FINAL | {Phase.HELD}
    return await session.engine.wait(request.id, until=until, timeout_s=request.timeout_s)
