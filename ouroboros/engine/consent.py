"""Whether a human act may be done: who signed it, over what, and whether for the first time.

A signature binds target, act, subject, commit and policy, and ends after a while; that it is used
once is seen to by its key in the ledger: a statement's hash is the entry's idempotency key.
"""

import asyncio
import hashlib
from typing import NamedTuple

import msgspec

from ouroboros.engine.core import Core
from ouroboros.errors import SignatureError
from ouroboros.ledger import operators
from ouroboros.model.statement import Signature, Signed, Statement


class Consent(NamedTuple):
    """What the entry of the act is recorded with."""

    idem: str = ""
    signature: Signature | msgspec.UnsetType = msgspec.UNSET


NO_CONSENT = Consent()
"""Of acts that are not signed, the engine's own among them."""


async def consent(
    core: Core, action: str, *, subject: str, commit: str, signed: Signed | None
) -> Consent:
    """Check the signature of an act, or that it needs none.

    Raises:
        SignatureError: it must be signed and is not, or the signature does not fit.
    """
    settings = core.config.config.ledger
    if signed is None:
        if settings.require_signatures and action == "approve":
            raise SignatureError(
                "Approvals must be signed by an operator here, and this one is not.",
                hint=f"Run 'ouroboros approve {subject} --sign KEYFILE' (or '--sign agent').",
            )
        return NO_CONSENT
    expected = Statement(
        action=action,
        target=core.deps.target,
        subject=subject,
        commit=commit,
        policy=core.config.hash,
        signed=0,
        expires=0,
    )
    known = await asyncio.to_thread(operators.known, settings)
    kept = operators.judge(signed.statement, signed.armor, known, expected=expected, now=core.now())
    idem = f"signed-{hashlib.sha256(signed.statement.encode()).hexdigest()}"
    used = await core.ledger_thread(core.deps.store.find, idem)
    if used is not None:
        raise SignatureError(
            f"What {kept.operator} signed was used already, for entry {used.entry.seq}.",
            hint="Sign anew.",
        )
    return Consent(idem=idem, signature=kept)
