"""Disks that fail, tear and lie: what was acknowledged is there, or its loss is reported.

A writer in a process of its own prints the hash of every entry that was acknowledged. Afterwards
the ledger either holds all of them, or verification says where it does not.
"""

import os
import random
import resource
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from ouroboros.errors import LedgerDamagedError, LedgerError
from ouroboros.ledger.store import Store
from ouroboros.model.events import CycleStarted

WRITER = """
import sys
from pathlib import Path
from ouroboros.errors import LedgerError, LedgerFullError
from ouroboros.ledger.store import Store
from ouroboros.model.events import CycleStarted

store = Store.open(Path(sys.argv[1]))
start = store.head().size
print("ready", flush=True)
for n in range(start + 1, start + 1 + int(sys.argv[2])):
    event = CycleStarted(cycle=n, trigger="x" * 500, base="b" * 40)
    try:
        stored = store.append(event, actor="engine", ts=n, idem=f"c{n}")
    except LedgerFullError as error:
        print("full", flush=True)
        break
    except LedgerError as error:
        print("failed", flush=True)
        try:
            store.append(event, actor="engine", ts=n, idem=f"again-{n}")
            print("again", flush=True)
        except LedgerError:
            print("refused", flush=True)
        break
    print(stored.hash, flush=True)
"""


def write(path: Path, count: int, **more: str) -> tuple[list[str], str]:
    """Run a writer; return the acknowledged hashes and its last word."""
    limit = more.pop("limit", "")

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(limit), int(limit)))
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    done = subprocess.run(
        [sys.executable, "-c", WRITER, str(path), str(count)],
        capture_output=True,
        text=True,
        env={**os.environ, **more},
        preexec_fn=small_files if limit else None,
        timeout=120,
    )
    ready, *lines = done.stdout.split()
    assert ready == "ready", done.stderr
    words = [line for line in lines if len(line) < 64]
    return [line for line in lines if len(line) == 64], " ".join(words)


def hashes(path: Path) -> list[str]:
    with Store.open(path, read_only=True) as store:
        return [stored.hash for stored in store.entries()]


def assert_kept(path: Path, acknowledged: list[str]) -> None:
    found = hashes(path)
    assert found[: len(acknowledged)] == acknowledged
    with Store.open(path) as store:
        assert store.verify().ok
        event = CycleStarted(cycle=0, trigger="after", base="")
        store.append(event, actor="a", ts=0, idem="after")


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("there is no C compiler to make a failing disk with")
    made = tmp_path_factory.mktemp("shim") / "shim.so"
    source = Path(__file__).with_name("shim.c")
    command = [compiler, "-shared", "-fPIC", "-O1", "-o", str(made), str(source), "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"the failing disk cannot be compiled here: {done.stderr[-200:]}")
    return made


@pytest.mark.parametrize("target", ["ledger.sqlite-wal", "ledger.sqlite"])
@pytest.mark.parametrize(
    ("kind", "last"),
    [("eio", "failed refused"), ("sync", "failed refused"), ("short", "full"), ("full", "full")],
)
def test_a_failing_disk_loses_nothing_that_was_acknowledged(
    shim: Path, tmp_path: Path, kind: str, last: str, target: str
) -> None:
    path = tmp_path / "ledger.sqlite"
    before, _ = write(path, 5)
    acknowledged, words = write(
        path,
        300,
        LD_PRELOAD=str(shim),
        FAULT_KIND=kind,
        FAULT_PATH=target,
        FAULT_AFTER="40",
    )
    if target.endswith("-wal"):
        assert len(acknowledged) < 300, "the fault never happened"
        assert words == last
    assert_kept(path, before + acknowledged)


def test_a_mark_that_cannot_be_written_stops_nothing(shim: Path, tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    fault = {"FAULT_KIND": "eio", "FAULT_PATH": "ledger.sqlite.mark", "FAULT_AFTER": "10"}
    acknowledged, words = write(path, 50, LD_PRELOAD=str(shim), **fault)
    assert (len(acknowledged), words) == (50, "")
    assert_kept(path, acknowledged)


@pytest.mark.parametrize("limit", [60_000, 61_111, 100_000, 300_000])
def test_writes_cut_short_by_a_limit_lose_nothing(tmp_path: Path, limit: int) -> None:
    path = tmp_path / "ledger.sqlite"
    acknowledged, words = write(path, 2000, limit=str(limit))
    assert words in {"failed refused", "full"}
    assert len(acknowledged) < 2000
    assert_kept(path, acknowledged)


def copies(folder: Path, source: Path, *names: str) -> Path:
    """Copy a ledger with its side files, as they are."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for name in names:
        if (source / name).exists():
            shutil.copy(source / name, folder / name)
    return folder / "ledger.sqlite"


@pytest.fixture
def living(tmp_path: Path) -> Iterator[tuple[Path, list[str]]]:
    """A ledger whose writer still runs, so that much of it is only in the write-ahead log."""
    folder = tmp_path / "living"
    acknowledged = []
    with Store.open(folder / "ledger.sqlite") as store:
        for n in range(1, 121):
            event = CycleStarted(cycle=n, trigger="x" * 300, base="b" * 40)
            stored = store.append(event, actor="engine", ts=n, idem=f"c{n}")
            acknowledged.append(stored.hash)
        yield folder, acknowledged


def reported_or_whole(path: Path, acknowledged: list[str]) -> bool:
    """Open and verify as an engine does; True where damage was reported, False where none is."""
    try:
        with Store.open(path) as store:
            state = [stored.hash for stored in store.verified()]
            report = store.verify()
    except LedgerDamagedError:
        return True
    except LedgerError as error:
        assert "damaged" in error.message or "another program" in error.message, error.message
        return True
    if not report.ok:
        return True
    assert state == acknowledged, "entries are gone, and nothing says so"
    return False


ALL = ("ledger.sqlite", "ledger.sqlite-wal", "ledger.sqlite.mark")


def test_a_write_ahead_log_that_was_torn_is_noticed(
    living: tuple[Path, list[str]], tmp_path: Path
) -> None:
    source, acknowledged = living
    size = (source / "ledger.sqlite-wal").stat().st_size
    dice = random.Random(5)
    reported = 0
    for _ in range(25):
        path = copies(tmp_path / "copy", source, *ALL)
        wal = path.with_name("ledger.sqlite-wal")
        at = dice.randrange(size)
        if dice.random() < 0.5:
            os.truncate(wal, at)
        else:
            with wal.open("r+b") as file:
                file.seek(at)
                file.write(dice.randbytes(min(4096, size - at)))
        reported += reported_or_whole(path, acknowledged)
    assert reported >= 20
    path = copies(tmp_path / "copy", source, "ledger.sqlite", "ledger.sqlite.mark")
    assert reported_or_whole(path, acknowledged), "the whole write-ahead log is gone"


def half_zero(page: bytes, _: random.Random) -> bytes:
    return page[: len(page) // 2] + bytes(len(page) - len(page) // 2)


def garbage(page: bytes, dice: random.Random) -> bytes:
    return dice.randbytes(len(page) // 2) + page[len(page) // 2 :]


def one_bit(page: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(page))
    return page[:at] + bytes([page[at] ^ (1 << dice.randrange(8))]) + page[at + 1 :]


def test_torn_pages_are_reported_or_harmless(tmp_path: Path) -> None:
    torn(tmp_path, every=7)


@pytest.mark.long
def test_every_torn_page_is_reported_or_harmless(tmp_path: Path) -> None:
    torn(tmp_path, every=1)


def torn(tmp_path: Path, *, every: int) -> None:
    source = tmp_path / "whole"
    acknowledged, _ = write(source / "ledger.sqlite", 120)
    data = (source / "ledger.sqlite").read_bytes()
    dice = random.Random(7)
    tears: list[Callable[[bytes, random.Random], bytes]] = [half_zero, garbage, one_bit]
    reported = tried = 0
    for start in range(0, len(data), 4096 * every):
        for tear in tears:
            path = copies(tmp_path / "copy", source, *ALL)
            page = tear(data[start : start + 4096], dice)
            path.write_bytes(data[:start] + page + data[start + 4096 :])
            reported += reported_or_whole(path, acknowledged)
            tried += 1
    assert reported > tried // 3


def test_a_file_that_was_replaced_by_an_older_copy_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "state" / "ledger.sqlite"
    write(path, 20)
    shutil.copy(path, tmp_path / "backup")
    acknowledged, _ = write(path, 5)
    shutil.copy(tmp_path / "backup", path)
    with pytest.raises(LedgerDamagedError, match="Entry 21: it was written"):
        Store.open(path)
    assert len(acknowledged) == 5


def test_a_read_only_folder_is_said(tmp_path: Path) -> None:
    path = tmp_path / "state" / "ledger.sqlite"
    write(path, 3)
    if os.geteuid() == 0:
        done = subprocess.run(
            ["mount", "--bind", "-o", "ro", str(path.parent), str(path.parent)],
            capture_output=True,
            text=True,
        )
        if done.returncode:
            pytest.skip(f"nothing can be mounted here: {done.stderr.strip()}")
    else:
        path.parent.chmod(0o500)
        path.chmod(0o400)
    try:
        with pytest.raises(LedgerError, match="may not be written to"):
            Store.open(path)
        with Store.open(path, read_only=True) as store:
            assert store.verify().entries == 3
    finally:
        if os.geteuid() == 0:
            subprocess.run(["umount", str(path.parent)], check=True)
        else:
            path.parent.chmod(0o700)
