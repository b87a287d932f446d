"""Signatures of operators: `ssh-keygen -Y sign` over a statement, checked with `cryptography`.

No key handling of our own: people have SSH keys, agents and hardware for them. `ssh-keygen` itself
is not called to verify, since it may be absent where the engine runs; the format (PROTOCOL.sshsig)
is a page. Only `ssh-ed25519` is accepted: one algorithm, no parameters to get wrong.

The engine cannot forge these: it has the public keys only. So an approval with a signature is
proof against the engine's own machine, where one without is its word.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Mapping

from ouroboros.errors import SignatureError
from ouroboros.model.statement import NAMESPACE, Signature, Statement, parse_statement
from ouroboros.model.text import safe_line

_ARMOR = re.compile(
    r"\s*-----BEGIN SSH SIGNATURE-----\s+([A-Za-z0-9+/=\s]+?)-----END SSH SIGNATURE-----\s*"
)
_MAGIC = b"SSHSIG"
_ED25519 = b"ssh-ed25519"
_HASHES = {b"sha256": hashlib.sha256, b"sha512": hashlib.sha512}
_KEY_LENGTH = 32
LONGEST_NS = 24 * 3600 * 10**9
"""How long a statement may be good for."""
SKEW_NS = 60 * 10**9
"""How far ahead an operator's clock may be."""


def parse_key(text: str) -> bytes:
    """Return the 32 bytes of an `ssh-ed25519 AAAA... [comment]` line.

    Raises:
        ValueError: it is none.
    """
    kind, _, rest = text.strip().partition(" ")
    encoded = rest.strip().partition(" ")[0]
    try:
        blob = base64.b64decode(encoded, validate=True)
        name, key = _strings(blob, 2)
    except (binascii.Error, ValueError):
        name, key = b"", b""
    if kind.encode() != _ED25519 or name != _ED25519 or len(key) != _KEY_LENGTH:
        raise ValueError(f"expected a key 'ssh-ed25519 AAAA...', got {safe_line(text, limit=60)!r}")
    return key


def parse_allowed(text: str) -> dict[str, bytes]:
    """Read the `allowed_signers` format of ssh-keygen: one principal and key a line.

    Lines with options other than `namespaces="ouroboros"`, and keys of other kinds, are refused:
    an option that is not understood is a limit that is not kept.

    Raises:
        ValueError: names the line.
    """
    keys: dict[str, bytes] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        name, rest = words[0], words[1:]
        if rest and rest[0] == f'namespaces="{NAMESPACE}"':
            rest = rest[1:]
        try:
            keys[name] = parse_key(" ".join(rest))
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from None
    return keys


def verify(message: bytes, armor: str, key: bytes) -> bool:
    """Tell whether an armored SSH signature is that of a key over a message, made for us."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        signer, hash_name, signature = _taken_apart(armor)
    except (ValueError, binascii.Error):
        return False
    if signer != key or hash_name not in _HASHES:
        return False
    digest = _HASHES[hash_name](message).digest()
    signed = _MAGIC + b"".join(map(_string, (NAMESPACE.encode(), b"", hash_name, digest)))
    try:
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
    except InvalidSignature:
        return False
    return True


def signer_of(message: bytes, armor: str, operators: Mapping[str, bytes]) -> str:
    """Return the name of the operator whose signature it is; empty where it is nobody's."""
    return next((name for name, key in operators.items() if verify(message, armor, key)), "")


def judge(
    statement: str, armor: str, operators: Mapping[str, bytes], *, expected: Statement, now: int
) -> Signature:
    """Check a signed statement against the act that it came with; return what the entry keeps.

    Args:
        statement: the text that was signed.
        armor: the signature.
        operators: names and public keys of those who may sign.
        expected: the act as it was asked for; its times are not looked at.
        now: UTC nanoseconds.

    Raises:
        SignatureError: says what does not fit.
    """
    try:
        said = parse_statement(statement)
    except ValueError as error:
        raise _refused(f"What was signed is no statement: {error}.") from None
    name = signer_of(statement.encode(), armor, operators)
    if not name:
        raise _refused("The signature is not one of an operator's over this statement.")
    for key in ("action", "target", "subject", "commit", "policy"):
        found, wanted = getattr(said, key), getattr(expected, key)
        if found != wanted:
            raise _refused(
                f"What {name} signed says {key} {safe_line(found)!r}, asked for is {wanted!r}."
            )
    if said.expires <= now:
        raise _refused(f"What {name} signed was good for a time that is over.")
    if said.signed > now + SKEW_NS or said.expires - said.signed > LONGEST_NS:
        raise _refused(f"What {name} signed begins later, or is good for more than a day.")
    return Signature(operator=name, statement=statement, armor=armor)


def _taken_apart(armor: str) -> tuple[bytes, bytes, bytes]:
    """Return key, name of the hash and signature of an armored signature."""
    match = _ARMOR.fullmatch(armor)
    blob = base64.b64decode("".join(match[1].split()), validate=True) if match else b""
    if blob[:6] != _MAGIC or blob[6:10] != b"\0\0\0\1":
        raise ValueError("no SSH signature of version 1")
    public, namespace, _reserved, hash_name, signature = _strings(blob[10:], 5)
    kind, key = _strings(public, 2)
    signed_by, raw = _strings(signature, 2)
    if namespace != NAMESPACE.encode() or kind != _ED25519 or signed_by != _ED25519:
        raise ValueError("another namespace or algorithm")
    return key, hash_name, raw


def _strings(blob: bytes, count: int) -> list[bytes]:
    """Read exactly `count` strings of the SSH wire format."""
    found: list[bytes] = []
    at = 0
    for _ in range(count):
        length = int.from_bytes(blob[at : at + 4], "big")
        value = blob[at + 4 : at + 4 + length]
        if at + 4 > len(blob) or len(value) != length:
            raise ValueError("cut short")
        found.append(value)
        at += 4 + length
    if at != len(blob):
        raise ValueError("too long")
    return found


def _string(value: bytes) -> bytes:
    return len(value).to_bytes(4, "big") + value


def _refused(message: str) -> SignatureError:
    return SignatureError(
        message, hint="Look at it again, and sign anew with 'ouroboros approve ID --sign KEYFILE'."
    )
