"""Evidence in a tar: what an export's entries name, so that it can be carried elsewhere.

Members are called `evidence/<sha256>`; each is checked when it is written and again when it is
read, so that a bundle holds what its names say or is refused. The archive of the same evidence is
the same bytes: names are sorted, and nothing of the machine (owner, time) is in it.
"""

import io
import re
import tarfile
from collections.abc import Iterable
from typing import BinaryIO

import msgspec

from ouroboros.errors import LedgerCorruptError, NotFoundError
from ouroboros.ledger.evidence import Evidence

_MEMBER = re.compile(r"evidence/([0-9a-f]{64})")
_LARGEST = 1 << 30


class Bundled(msgspec.Struct, frozen=True, kw_only=True):
    """What went into a bundle; `missing` and `damaged` are hashes that did not."""

    files: int
    missing: tuple[str, ...] = ()
    damaged: tuple[str, ...] = ()


def pack(evidence: Evidence, names: Iterable[str], file: BinaryIO) -> Bundled:
    """Write the evidence of these hashes as an archive."""
    count, missing, damaged = 0, [], []
    with tarfile.open(fileobj=file, mode="w|", format=tarfile.PAX_FORMAT) as tar:
        for name in sorted(set(names)):
            try:
                data = evidence.get(name)
            except NotFoundError:
                missing.append(name)
                continue
            except LedgerCorruptError:
                damaged.append(name)
                continue
            member = tarfile.TarInfo(f"evidence/{name}")
            member.size = len(data)
            member.mode = 0o600
            tar.addfile(member, io.BytesIO(data))
            count += 1
    return Bundled(files=count, missing=tuple(missing), damaged=tuple(damaged))


def unpack(file: BinaryIO, evidence: Evidence) -> int:
    """Store everything that an archive holds, and return how many files it were.

    Raises:
        LedgerCorruptError: it is no bundle, or a member is not what its name says.
    """
    count = 0
    try:
        with tarfile.open(fileobj=file, mode="r|*") as tar:
            for member in tar:
                named = _MEMBER.fullmatch(member.name)
                content = tar.extractfile(member) if named and member.isreg() else None
                if named is None or content is None or member.size > _LARGEST:
                    raise _refused(member.name)
                if evidence.put(content.read()) != named[1]:
                    raise _refused(member.name)
                count += 1
    except (tarfile.TarError, EOFError) as error:
        raise LedgerCorruptError(f"The evidence is no readable archive: {error}.") from error
    return count


def _refused(name: str) -> LedgerCorruptError:
    return LedgerCorruptError(
        f"The archive's member {name[:100]!r} is no evidence, or not what its name says.",
        hint="Take the archive that 'ouroboros ledger export --evidence' wrote.",
    )
