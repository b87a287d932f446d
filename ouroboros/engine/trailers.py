"""What every commit on the branch says of the ledger: the target's own history anchors it."""

from base64 import b64encode

from ouroboros.engine.core import Core
from ouroboros.engine.messages import head_trailers
from ouroboros.ledger.heads import origin_of
from ouroboros.model.entry import Head


async def trailers_of(core: Core) -> str:
    """Return what the next commit on the branch says about the ledger as it stands."""
    head = Head(size=core.state.seq, hash=core.state.head)
    root = await core.ledger_thread(core.deps.store.root, head.size)
    return head_trailers(origin_of(core.deps.target), head, b64encode(root).decode())
