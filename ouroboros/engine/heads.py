"""Signing the ledger's heads, and sending them to where the engine cannot take them back.

Signed at the start, at every promotion and rollback, on a timer where something was added, and as
the last act. Each head goes to the target's git and, by choice, to a second file and a web hook. No
anchor ever stops the engine: one that fails is told once (an alert), tried again with the next
head, and told when it works again. A newer head covers all that an older one did, so that only the
newest waits for the web hook.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from ouroboros.engine.core import Core
from ouroboros.engine.tasks import cancel_and_wait, spawn
from ouroboros.errors import HeadError, LedgerError, OuroborosError
from ouroboros.ledger import heads
from ouroboros.ledger.note import SignerKey
from ouroboros.ledger.store import StoredHead
from ouroboros.model.state import State

_log = logging.getLogger(__name__)

POST_WITHIN_S = 10.0
FIRST_RETRY_S = 1.0
LAST_RETRY_S = 60.0
TRIES = 8
"""Posts of one head before it is given up; each wait is twice the one before."""
LAST_POST_S = 5.0
"""How long the end of the engine waits for the last post."""


class HeadKeeper:
    """Signs and sends heads of one engine."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._key: SignerKey | None = None
        self._failing: set[str] = set()
        self._outbox: StoredHead | None = None
        self._posted = asyncio.Event()
        self._wake = asyncio.Event()
        self._poster: asyncio.Task[None] | None = None
        self._signing = asyncio.Lock()

    @property
    def key(self) -> str:
        """The verifier key; empty before the start."""
        return str(self._key.verifier) if self._key else ""

    async def start(self) -> None:
        """Load the key, or make it.

        Raises:
            HeadError: it cannot be used; without it nothing could be proven later.
        """
        deps = self._core.deps
        self._key = await self._core.ledger_thread(heads.key_of, deps.ledger.parent, deps.target)

    async def run(self) -> None:
        """Sign now, and then whenever a version came, or the time is over; never returns."""
        core = self._core
        while True:
            known = len(core.state.versions)
            # Cancelled at the end of the engine: a head that is stored is also sent out.
            await asyncio.shield(spawn(self.sign(), "sign head", awaited=True))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(core.config.config.ledger.head_every.seconds):
                    await core.recorder.wait_for(partial(_versions_differ, known))

    async def close(self) -> None:
        """Sign what is there at the end, and give the web hook a moment."""
        if self._key is not None:
            await self.sign()
        if self._poster is not None:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._posted.wait(), LAST_POST_S)
            await cancel_and_wait(self._poster)

    async def sign(self) -> None:
        """Sign the ledger as it stands, if something was added, and send the head out."""
        async with self._signing:
            await self._sign()

    async def _sign(self) -> None:
        core = self._core
        if self._key is None:
            return
        try:
            head = await core.ledger_thread(heads.sign_head, core.deps.store, self._key, core.now())
        except LedgerError as error:
            await self._failed("heads", error)
            return
        self._works("heads")
        if head is None:
            return
        settings = core.config.config.ledger
        repository = core.deps.repository
        await self._try("git", lambda: core.git(repository.keep_head, head.note, ts=head.ts))
        if settings.head_file:
            path = Path(settings.head_file)
            await self._try("file", lambda: asyncio.to_thread(heads.append_to, path, head.note))
        if settings.head_webhook:
            self._outbox = head
            self._posted.clear()
            self._wake.set()
            if self._poster is None:
                self._poster = spawn(self._post_all(), "head web hook")

    async def _try(self, anchor: str, send: Callable[[], Awaitable[object]]) -> None:
        try:
            await send()
        except OuroborosError as error:
            await self._failed(anchor, error)
        else:
            self._works(anchor)

    async def _failed(self, anchor: str, error: OuroborosError) -> None:
        _log.warning("heads cannot be anchored (%s): %s", anchor, error)
        if anchor in self._failing or self._core.draining:
            return
        self._failing.add(anchor)
        text = f"The ledger's heads cannot be anchored ({anchor}): {error} It is tried again."
        try:
            await self._core.alert("head_anchor", "warning", text)
        except LedgerError as broken:
            _log.error("the alert could not be written: %s", broken)

    def _works(self, anchor: str) -> None:
        if anchor in self._failing:
            self._failing.discard(anchor)
            _log.info("heads are anchored again (%s)", anchor)

    # --- the web hook ---------------------------------------------------------------------------

    async def _post_all(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            head = self._outbox
            if head is not None:
                await self._post_until_newer(head)
            if self._outbox is head:
                self._outbox = None
                self._posted.set()

    async def _post_until_newer(self, head: StoredHead) -> None:
        """Post a head until it is taken, a newer one comes, or it was tried often enough."""
        pause = FIRST_RETRY_S
        for left in range(TRIES - 1, -1, -1):
            url = self._core.config.config.ledger.head_webhook
            if not url or self._outbox is not head:
                return
            try:
                await _post(url, head.note)
            except HeadError as error:
                # The first failure is no news yet: receivers are restarted.
                if left < TRIES - 1 or self._core.draining:
                    await self._failed("web hook", error)
            else:
                self._works("web hook")
                return
            if left:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), pause)
                pause = min(2 * pause, LAST_RETRY_S)


async def _post(url: str, text: str) -> None:
    """Post a note as plain text.

    Raises:
        HeadError: it was not taken; says why.
    """
    import aiohttp

    timeout = aiohttp.ClientTimeout(total=POST_WITHIN_S)
    kind = {"Content-Type": "text/plain; charset=utf-8"}
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, data=text.encode(), headers=kind, allow_redirects=False) as answer,
        ):
            status = answer.status
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
        what = str(error) or type(error).__name__
        raise HeadError(f"The web hook did not answer: {what}.") from error
    if not 200 <= status < 300:  # noqa: PLR2004 - the successes of HTTP
        raise HeadError(f"The web hook answered {status}.")


def _versions_differ(known: int, state: State) -> bool:
    return len(state.versions) != known
