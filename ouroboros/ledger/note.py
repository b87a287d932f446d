"""Signed heads as text: the formats of C2SP `signed-note` and `tlog-checkpoint`, with Ed25519.

    ouroboros/calc-3f2a9c            the origin: which ledger
    1042                             how many entries it covers
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=      the Merkle root over them, base64
    time 1790000000000000000         when it was signed, UTC nanoseconds (an extension line)

    — ouroboros/calc-3f2a9c AbCdEf...=                signature: key id (4 bytes) and 64 bytes

The formats are those of Go's checksum database and of transparency logs, so that tools of others
read them. A verifier key is one line, `name+keyid+base64`. Pure: bytes and text in and out.

Sources: C2SP signed-note.md, tlog-checkpoint.md.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import msgspec

from ouroboros.errors import HeadError
from ouroboros.ledger.merkle import Hash
from ouroboros.model.text import safe_line

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

ED25519 = b"\x01"
"""The algorithm byte of Ed25519 in keys and key ids."""
_KEY_LENGTH = 32
_ID_LENGTH = 4
_DASH = "— "
_NAME = re.compile(r"[^\s+]{1,200}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,17}")
_TIME = re.compile(r"time ([1-9][0-9]{0,18})")
_BLOCK = re.compile(r"(?:^[^\n]+\n)+\n(?:^— [^\n]+(?:\n|\Z))+", re.MULTILINE)


class VerifierKey(msgspec.Struct, frozen=True, kw_only=True):
    """A public key with the name of who signs by it."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """The key id that stands before each signature."""
        return key_id(self.name, self.public)

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{_b64(ED25519 + self.public)}"


class SignerKey(msgspec.Struct, frozen=True, kw_only=True):
    """A private key (the 32 bytes of its seed)."""

    name: str
    seed: bytes

    def __repr__(self) -> str:
        return f"SignerKey({self.name})"

    @property
    def verifier(self) -> VerifierKey:
        """The public half."""
        public = _private(self.seed).public_key().public_bytes_raw()
        return VerifierKey(name=self.name, public=public)

    def encoded(self) -> str:
        """Return the key as its file holds it."""
        return f"PRIVATE+KEY+{self.name}+{self.verifier.id.hex()}+{_b64(ED25519 + self.seed)}"


class Checkpoint(msgspec.Struct, frozen=True, kw_only=True):
    """What a head says: whose ledger, how many entries, which root, signed when (ns; 0: unsaid)."""

    origin: str
    size: int
    root: Hash
    ts: int = 0

    def text(self) -> str:
        """Return the text that is signed."""
        when = f"time {self.ts}\n" if self.ts else ""
        return f"{self.origin}\n{self.size}\n{_b64(self.root)}\n{when}"


class SignedNote(msgspec.Struct, frozen=True, kw_only=True):
    """A note taken apart: the signed text, and (name, key id, signature) of each signature."""

    text: str
    signatures: tuple[tuple[str, bytes, bytes], ...]

    @property
    def checkpoint(self) -> Checkpoint:
        """What it says.

        Raises:
            HeadError: its text is no checkpoint.
        """
        lines = self.text.split("\n")
        if len(lines) < 4 or not _SIZE.fullmatch(lines[1]):  # noqa: PLR2004 - three lines and an end
            raise _bad("its text is not origin, size and root", self.text)
        root = _unb64(lines[2])
        if root is None or len(root) != hashlib.sha256().digest_size:
            raise _bad("its third line is no SHA-256 in base64", self.text)
        times = (_TIME.fullmatch(line) for line in lines[3:])
        ts = next((int(found[1]) for found in times if found), 0)
        return Checkpoint(origin=lines[0], size=int(lines[1]), root=root, ts=ts)

    def verified_by(self, key: VerifierKey) -> bool:
        """Tell whether the note bears a valid signature by a key."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        for name, found, signature in self.signatures:
            if (name, found) != (key.name, key.id):
                continue
            try:
                Ed25519PublicKey.from_public_bytes(key.public).verify(signature, self.text.encode())
            except InvalidSignature:
                continue
            return True
        return False


def key_id(name: str, public: bytes) -> bytes:
    """Return the four bytes that name a key."""
    return hashlib.sha256(name.encode() + b"\n" + ED25519 + public).digest()[:_ID_LENGTH]


def sign(checkpoint: Checkpoint, key: SignerKey) -> str:
    """Return the signed note of a checkpoint."""
    text = checkpoint.text()
    signature = _private(key.seed).sign(text.encode())
    return f"{text}\n{_DASH}{key.name} {_b64(key.verifier.id + signature)}\n"


def parse(note: str) -> SignedNote:
    """Take a note apart; no signature is checked.

    Raises:
        HeadError: it is not a signed note.
    """
    text, separator, block = note.rpartition("\n\n")
    if not separator or not block.endswith("\n"):
        raise _bad("it has no blank line before its signatures", note)
    return SignedNote(
        text=f"{text}\n", signatures=tuple(_signature(line) for line in block[:-1].split("\n"))
    )


def _signature(line: str) -> tuple[str, bytes, bytes]:
    name, _, encoded = line.removeprefix(_DASH).partition(" ")
    data = _unb64(encoded)
    if not line.startswith(_DASH) or not _NAME.fullmatch(name) or data is None:
        raise _bad("a line after the blank one is no signature", line)
    if len(data) <= _ID_LENGTH:
        raise _bad("a signature is too short", line)
    return name, data[:_ID_LENGTH], data[_ID_LENGTH:]


def notes_in(text: str) -> Iterator[str]:
    """Yield the signed notes that stand in a text one after the other (a file of heads, a mail)."""
    for match in _BLOCK.finditer(text.replace("\r\n", "\n")):
        block = match.group()
        yield block if block.endswith("\n") else f"{block}\n"


def parse_verifier(text: str) -> VerifierKey:
    """Read a verifier key.

    Raises:
        HeadError: it is none, or its key id is not that of its name and key.
    """
    name, found, key = _key_parts(text.strip())
    verifier = VerifierKey(name=name, public=key)
    if verifier.id.hex() != found:
        raise HeadError(
            f"The verifier key of {safe_line(name)} does not have the key id that it names "
            f"({safe_line(found)}, it is {verifier.id.hex()}): it was mistyped or altered.",
            hint="Copy the line that 'ouroboros ledger key' prints.",
        )
    return verifier


def parse_signer(text: str) -> SignerKey:
    """Read a private key.

    Raises:
        HeadError: it is none.
    """
    text = text.strip()
    if not text.startswith("PRIVATE+KEY+"):
        raise HeadError("Expected a private key (PRIVATE+KEY+...), found something else.")
    name, found, seed = _key_parts(text.removeprefix("PRIVATE+KEY+"))
    signer = SignerKey(name=name, seed=seed)
    if signer.verifier.id.hex() != found:
        raise HeadError("A private key does not have the key id that it names: it was altered.")
    return signer


def new_signer(name: str, seed: bytes) -> SignerKey:
    """Return the key of 32 random bytes.

    Raises:
        HeadError: the name holds blanks or '+'.
    """
    if not _NAME.fullmatch(name):
        raise HeadError(f"{safe_line(name)!r} cannot name a key: no blanks, no '+'.")
    return SignerKey(name=name, seed=seed)


def _key_parts(text: str) -> tuple[str, str, bytes]:
    name, _, rest = text.partition("+")
    found, _, encoded = rest.partition("+")
    key = _unb64(encoded)
    if key is None or key[:1] != ED25519 or len(key) != 1 + _KEY_LENGTH or not _NAME.match(name):
        raise HeadError(
            f"Expected an Ed25519 key as NAME+KEYID+BASE64, got {safe_line(text, limit=80)!r}.",
            hint="'ouroboros ledger key' prints the verifier key of a target.",
        )
    return name, found, key[1:]


def _private(seed: bytes) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed)


def _b64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")


def _unb64(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None


def _bad(what: str, text: str) -> HeadError:
    return HeadError(
        f"No signed head: {what} ({safe_line(text, limit=80)!r}).",
        hint="A head is three lines, a blank one, and a line that begins with a long dash.",
    )
