"""Which sandbox this machine gets: bubblewrap, then Landlock, then none, the last two by consent.

Never silently weaker: a rung below bubblewrap is taken only where bubblewrap does not work and the
configuration allows that very rung; it stands in the level of every verdict. Otherwise nothing is
run, and the refusal names the fix for this machine.
"""

from pathlib import Path

from ouroboros.config import Sandbox as Limits
from ouroboros.errors import SandboxUnavailableError
from ouroboros.model.text import safe_text
from ouroboros.sandbox import bwrap, landlock
from ouroboros.sandbox.advice import advice, signs

Rung = bwrap.Bubblewrap | landlock.Landlock | None
"""What contains runs; None: nothing does, and that is allowed."""

_SAID = 300


def choose(limits: Limits, scratch: Path) -> Rung:
    """Try the rungs from the top, each for real. Blocking.

    Args:
        limits: the `[sandbox]` table, of which `allow_landlock` and `allow_unconfined` count.
        scratch: the sandbox's private folder; its `etc` is written.

    Raises:
        SandboxUnavailableError: nothing works that is allowed.
    """
    found = bwrap.probe(bwrap.candidates(), scratch / "etc")
    if isinstance(found, bwrap.Bubblewrap):
        return found
    tried = [f"{f.path}: {safe_text(f.text, limit=_SAID)}" for f in found]
    if limits.allow_landlock:
        rung = landlock.probe(scratch)
        if isinstance(rung, landlock.Landlock):
            return rung
        tried.append(f"Landlock: {safe_text(rung, limit=_SAID)}")
    if limits.allow_unconfined:
        return None
    none = "" if found else " There is no bubblewrap."
    text = f" Tried {'; '.join(tried)}." if tried else ""
    raise SandboxUnavailableError(
        f"No sandbox works on this machine.{none}{text}",
        hint=advice(found, signs(), limits),
    )
