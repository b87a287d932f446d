"""Who signs heads: the key in the state folder, made at the first start, and what it signs.

A head says "so many entries, with this Merkle root". Its signature shows that this engine said so;
that nothing was cut off or rewritten since is shown by whoever kept a head elsewhere. So heads are
kept beside the entries (table `heads`) *and* sent out: to the target's git, to a second file, to a
web hook. A head is no ledger entry: it could not cover itself, and each would call for the next.

The private key guards against those who can write the ledger's copy but not read the state folder
(a backup, a shared disk, a transfer). Who reads the state folder can sign what he likes from then
on; what was anchored outside before, he cannot take back.
"""

import os
import secrets
from pathlib import Path

from ouroboros.errors import HeadError
from ouroboros.ledger import note
from ouroboros.ledger.note import Checkpoint, SignerKey, VerifierKey
from ouroboros.ledger.store import Store, StoredHead

KEY_FILE = "head.key"
VERIFIER_FILE = "head.vkey"


def origin_of(target: str) -> str:
    """Return the first line of a target's heads, which also names its key."""
    return f"ouroboros/{target}"


def key_of(state: Path, target: str) -> SignerKey:
    """Return the key of a target's state folder, made now if there is none.

    Raises:
        HeadError: it cannot be read or made, others may read it, or it is another target's.
    """
    path = state / KEY_FILE
    try:
        if not path.exists():
            _make(path, note.new_signer(origin_of(target), secrets.token_bytes(32)).encoded())
        mode = path.stat().st_mode
        key = note.parse_signer(path.read_text())
        if mode & 0o077:
            raise HeadError(
                f"{path} can be read by others (mode {mode & 0o777:04o}): what it signs proves "
                "nothing.",
                hint=f"Run 'chmod 600 {path}', or remove it to have a new one made.",
            )
        _publish(path.with_name(VERIFIER_FILE), str(key.verifier))
    except (OSError, UnicodeDecodeError) as error:
        raise HeadError(
            f"The key {path} cannot be used: {error}.", hint="Check the state folder."
        ) from error
    if key.name != origin_of(target):
        raise HeadError(
            f"{path} belongs to {key.name}, not to {origin_of(target)}.",
            hint="Put the target's own key back, or remove the file to have a new one made.",
        )
    return key


def verifier_of(state: Path) -> VerifierKey | None:
    """Return the public key that lies in a state folder, if there is one.

    Raises:
        HeadError: it is none, or unreadable.
    """
    path = state / VERIFIER_FILE
    try:
        return note.parse_verifier(path.read_text()) if path.exists() else None
    except (OSError, UnicodeDecodeError) as error:
        raise HeadError(f"{path} cannot be read: {error}.") from error


def sign_head(store: Store, key: SignerKey, ts: int) -> StoredHead | None:
    """Sign the ledger as it stands and keep the head; None where nothing was added since the last.

    Raises:
        LedgerError: the head cannot be kept.
    """
    size = store.head().size
    newest = store.heads(limit=1, newest=True)
    if size == 0 or (newest and newest[0].size == size):
        return None
    checkpoint = Checkpoint(origin=key.name, size=size, root=store.root(size), ts=ts)
    signed = StoredHead(size=size, ts=ts, note=note.sign(checkpoint, key))
    return signed if store.add_head(size=size, ts=ts, note=signed.note) else None


def append_to(path: Path, text: str) -> None:
    """Append a note to a file of heads, durably; a blank line parts it from the next.

    Raises:
        HeadError: it cannot be written.
    """
    data = f"{text}\n".encode()
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            written = os.write(descriptor, data)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise HeadError(f"The file of heads {path} cannot be written: {error.strerror}.") from error
    if written != len(data):
        raise HeadError(f"The file of heads {path} took only a part of a head: is its disk full?")


def _make(path: Path, text: str) -> None:
    """Write a new private file whole or not at all; somebody else's that came first is kept."""
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(f"{text}\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            path.hardlink_to(part)
        except FileExistsError:
            return
    finally:
        part.unlink(missing_ok=True)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _publish(path: Path, text: str) -> None:
    if not path.exists() or path.read_text().strip() != text:
        path.write_text(f"{text}\n")
