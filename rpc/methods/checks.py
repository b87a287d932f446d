"""Checks of parameters that a type cannot express; all of them end as -32602."""

from ouroboros.errors import InvalidParamsError
from ouroboros.model.phase import Phase
from ouroboros.model.statement import Signed
from ouroboros.model.text import safe_line


def within(name: str, value: float, low: float, high: float) -> None:
    """Refuse a number outside of `low` to `high`.

    Raises:
        InvalidParamsError: it is outside.
    """
    if not low <= value <= high:
        raise InvalidParamsError(
            f"Invalid params: expected `{name}` between {low:g} and {high:g}, got {value:g}."
        )


def filled(name: str, value: str) -> None:
    """Refuse an empty text.

    Raises:
        InvalidParamsError: it is empty or blank.
    """
    if not value.strip():
        raise InvalidParamsError(f"Invalid params: `{name}` is empty.")


def at_most(name: str, value: str, limit: int) -> None:
    """Refuse a text of more than `limit` characters.

    Raises:
        InvalidParamsError: it is longer.
    """
    if len(value) > limit:
        raise InvalidParamsError(
            f"Invalid params: `{name}` has {len(value)} characters, at most {limit} are taken."
        )


def phases(name: str, values: tuple[str, ...]) -> frozenset[Phase]:
    """Return the named phases.

    Raises:
        InvalidParamsError: there is no such phase.
    """
    known = {phase.value: phase for phase in Phase}
    for value in values:
        if value not in known:
            raise InvalidParamsError(
                f"Invalid params: `{name}` names no phase with {safe_line(value, limit=40)!r}.",
                hint=f"Phases are {', '.join(known)}.",
            )
    return frozenset(known[value] for value in values)


def signed(statement: str, signature: str) -> Signed | None:
    """Return the two halves of a signed act, or None where there are neither.

    Raises:
        InvalidParamsError: one is there without the other.
    """
    if bool(statement) != bool(signature):
        raise InvalidParamsError(
            "Invalid params: `statement` and `signature` belong together, one is missing."
        )
    return Signed(statement=statement, armor=signature) if statement else None
