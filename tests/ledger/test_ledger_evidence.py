import hashlib
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from ouroboros.errors import LedgerCorruptError, LedgerError, LedgerFullError, NotFoundError
from ouroboros.ledger.evidence import Evidence


@pytest.mark.parametrize("data", [b"", b"diff --git", bytes(range(256)) * 1000])
def test_what_was_put_is_got(tmp_path: Path, data: bytes) -> None:
    evidence = Evidence(tmp_path / "evidence")
    name = evidence.put(data)
    assert name == hashlib.sha256(data).hexdigest()
    assert evidence.put(data) == name
    assert Evidence(tmp_path / "evidence").get(name) == data
    files = [p for p in (tmp_path / "evidence").rglob("*") if p.is_file()]
    assert len(files) == 1
    assert stat.S_IMODE(files[0].stat().st_mode) == 0o600


@pytest.mark.parametrize("name", ["", "0" * 64, "../../../etc/passwd", "A" * 64, "0" * 63 + "\n"])
def test_what_is_not_there_is_not_found(tmp_path: Path, name: str) -> None:
    with pytest.raises(NotFoundError):
        Evidence(tmp_path).get(name)


def test_damage_is_found_and_healed_by_putting_again(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    name = evidence.put(b"the log")
    (tmp_path / name[:2] / name[2:]).write_bytes(b"the lag")
    with pytest.raises(LedgerCorruptError, match="not what its name says"):
        evidence.get(name)
    evidence.put(b"the log")
    assert evidence.get(name) == b"the log"


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "evidence").write_text("a file")
    with pytest.raises(LedgerError, match="cannot be written"):
        Evidence(tmp_path / "evidence").put(b"x")


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, check=False)
    if mounted.returncode:
        pytest.skip(f"no tmpfs can be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_leaves_no_half_file(small: Path) -> None:
    evidence = Evidence(small)
    with pytest.raises(LedgerFullError):
        evidence.put(b"x" * 10**6)
    assert [p for p in small.rglob("*") if p.is_file()] == []
    assert evidence.get(evidence.put(b"small")) == b"small"


def test_what_a_killed_writer_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    evidence = Evidence(tmp_path)
    name = evidence.put(b"whole")
    half = tmp_path / name[:2] / "put-abc"
    half.write_bytes(b"wh")
    assert evidence.sweep() == 1
    assert not half.exists()
    assert evidence.get(name) == b"whole"
    assert evidence.sweep() == 0
