"""`version.*`: promoted states, and the way back to them."""

from msgspec.structs import replace

from ouroboros.model.snapshot import RollbackPreview
from ouroboros.model.state import Version
from ouroboros.model.text import safe_text
from rpc import wire
from rpc.methods.checks import signed
from rpc.methods.pages import page_of
from rpc.methods.registry import handles
from rpc.methods.session import Session

PREVIEW = 256 << 10
"""Most characters of a preview's diff."""


@handles(wire.VersionList)
async def list_(session: Session, _request: wire.VersionList) -> tuple[Version, ...]:
    """Return all versions, oldest first."""
    return session.engine.state.versions


@handles(wire.VersionGet)
async def get(session: Session, request: wire.VersionGet) -> Version:
    """Return one version."""
    return session.engine.version(request.ref)


@handles(wire.VersionPreview)
async def preview(session: Session, request: wire.VersionPreview) -> RollbackPreview:
    """Compute a rollback without doing it; the diff is made safe for terminals."""
    computed = await session.engine.rollback_preview(request.to)
    return replace(computed, diff=safe_text(computed.diff, limit=PREVIEW))


@handles(wire.VersionRollback)
async def rollback(session: Session, request: wire.VersionRollback) -> Version:
    """Roll back by a new commit."""
    return await session.engine.rollback(
        request.to,
        actor=session.actor,
        reason=request.reason,
        expect_head=request.expect_head,
        signed=signed(request.statement, request.signature),
    )


@handles(wire.VersionForwardPreview)
async def forward_preview(session: Session, request: wire.VersionForwardPreview) -> RollbackPreview:
    """Compute a roll forward without doing it; the diff is made safe for terminals."""
    computed = await session.engine.forward_preview(request.to)
    return replace(computed, diff=safe_text(computed.diff, limit=PREVIEW))


@handles(wire.VersionForward)
async def forward(session: Session, request: wire.VersionForward) -> Version:
    """Roll forward by a new commit."""
    return await session.engine.roll_forward(
        request.to,
        actor=session.actor,
        reason=request.reason,
        expect_head=request.expect_head,
    )


@handles(wire.VersionDiff)
async def diff(session: Session, request: wire.VersionDiff) -> wire.DiffResult:
    """Return a page of the diff; pages are cut after the text was made safe, if it is."""
    text = await session.engine.version_diff(request.old, request.new)
    return page_of(text, offset=request.offset, limit=request.limit, raw=request.raw)
