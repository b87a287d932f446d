"""Pages of long texts: cut after a text was made safe, so that no cut can undo that."""

from ouroboros.model.text import safe_text
from rpc import wire
from rpc.methods.checks import within

TEXT = 256 << 10
"""Most characters of one page."""


def page_of(text: str, *, offset: int, limit: int, raw: bool) -> wire.DiffResult:
    """Return a page of a diff.

    Raises:
        InvalidParamsError: an offset or limit that is out of bounds.
    """
    within("offset", offset, 0, 2**53)
    within("limit", limit, 1, TEXT)
    shown = text if raw else safe_text(text)
    return wire.DiffResult(text=shown[offset : offset + limit], offset=offset, total=len(shown))
