"""What an operator signs: one act, on one thing, once, for a short time.

The text is canonical, so that the signature can be checked by anybody who has it, with `ssh-keygen
-Y verify -n ouroboros` and nothing of ours:

    ouroboros statement 1
    action: approve
    target: calc-3f2a9c
    subject: c3
    commit: 1f0e...
    policy: 9a7b...
    signed: 1790000000000000000
    expires: 1790000600000000000

`subject` is the candidate, or the version for a rollback; `commit` the one that was looked at, for
a rollback the head that was seen; `policy` the hash of the configuration in force. Times are UTC
nanoseconds. Values hold no line breaks.
"""

import re

import msgspec

NAMESPACE = "ouroboros"
"""The namespace of `ssh-keygen -Y sign -n`: a signature made for something else is none here."""
_FIRST = "ouroboros statement 1"
_KEYS = ("action", "target", "subject", "commit", "policy", "signed", "expires")
_VALUE = re.compile(r"[\x21-\x7e]{0,200}")
_TIME = re.compile(r"[0-9]{1,19}")


class Signature(msgspec.Struct, frozen=True, kw_only=True):
    """An operator's signature as an entry keeps it.

    `operator` is the name under which the engine knew the key; `statement` the exact text that was
    signed; `armor` what `ssh-keygen -Y sign` printed.
    """

    operator: str
    statement: str
    armor: str


class Statement(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of a statement; `signed` and `expires` in UTC nanoseconds."""

    action: str
    target: str
    subject: str
    commit: str
    policy: str
    signed: int
    expires: int

    def text(self) -> str:
        """Return the exact text to sign.

        Raises:
            ValueError: a value holds blanks, line breaks or characters beyond ASCII.
        """
        lines = [_FIRST]
        for key in _KEYS:
            value = str(getattr(self, key))
            if not _VALUE.fullmatch(value):
                raise ValueError(f"{key} cannot be part of a statement: {value!r}")
            lines.append(f"{key}: {value}")
        return "\n".join(lines) + "\n"


def parse_statement(text: str) -> Statement:
    """Read a statement; exactly the canonical text, nothing else.

    Raises:
        ValueError: it is another text.
    """
    lines = text.split("\n")
    if len(lines) != len(_KEYS) + 2 or lines[0] != _FIRST or lines[-1]:
        raise ValueError("expected eight lines that begin with 'ouroboros statement 1'")
    values: dict[str, str] = {}
    for key, line in zip(_KEYS, lines[1:-1], strict=True):
        value = line.removeprefix(f"{key}: ")
        if value == line or not _VALUE.fullmatch(value):
            raise ValueError(f"expected a line '{key}: ...'")
        values[key] = value
    signed, expires = values.pop("signed"), values.pop("expires")
    if not (_TIME.fullmatch(signed) and _TIME.fullmatch(expires)):
        raise ValueError("expected times in nanoseconds")
    return Statement(**values, signed=int(signed), expires=int(expires))
