"""Export, import and salvage on real state folders, as an operator does them."""

import csv
import io
import json
import os
import signal
import sqlite3
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_world import SCRIPT, Cli

from ouroboros.engine.lock import EngineLock
from ouroboros.ledger.evidence import Evidence
from ouroboros.ledger.mark import Mark
from ouroboros.ledger.store import Store
from ouroboros.model.events import EpochStarted, Paused, Proposed, Resumed, TargetAdopted
from ouroboros.model.state import State, advance
from ouroboros.paths import Paths

TS = 1_700_000_000_000_000_000


def fill(paths: Paths, count: int) -> None:
    for folder in (paths.state, paths.evidence):
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
    diff = Evidence(paths.evidence).put(b"a diff")
    with Store.open(paths.ledger) as store:
        adopted = TargetAdopted(target=paths.target, path="/t", branch="main", commit="a" * 40)
        store.append(adopted, actor="engine", ts=TS, idem="0")
        proposed = Proposed(
            candidate="c1",
            cycle=1,
            proposer="p",
            title="=cmd()",
            rationale="",
            base="a" * 40,
            diff=diff,
            idea="i",
        )
        store.append(proposed, actor="engine", ts=TS, idem="1")
        for n in range(2, count):
            event = Paused(reason=str(n)) if n % 2 else Resumed(reason=str(n))
            store.append(event, actor="engine", ts=TS, idem=str(n))


@pytest.fixture
def ledger(paths: Paths) -> Path:
    fill(paths, 30)
    return paths.ledger


def state_of(file: Path) -> State:
    state = State()
    with Store.open(file, read_only=True) as store:
        for stored in store.verified():
            state = advance(state, stored)
    return state


def alter(file: Path, statement: str) -> None:
    """Change the file as its owner can, with the triggers there again after."""
    db = sqlite3.connect(file)
    triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        db.execute(f'DROP TRIGGER "{name}"')
    db.execute(statement)
    for _, made in triggers:
        db.execute(made)
    db.commit()
    db.close()


# --- export and import --------------------------------------------------------------------------


def test_a_round_trip_through_files(cli: Cli, ledger: Path, home: Path) -> None:
    out = home / "out.jsonl"
    assert cli("ledger", "export", "-o", str(out), "--evidence").code == 0
    archive = home / "out.jsonl.evidence.tar"
    with tarfile.open(archive) as tar:
        assert len(tar.getnames()) == 1
    into = home / "elsewhere"
    ended = cli("ledger", "import", str(out), "--into", str(into), "--evidence", str(archive))
    assert ended.code == 0, ended.err
    assert "Imported 30 entries" in ended.out
    assert "1 file of evidence" in ended.out
    again = cli("ledger", "export", "--file", str(into / "ledger.sqlite"))
    assert again.out.encode() == out.read_bytes()
    whole = cli("ledger", "verify", "--file", str(into / "ledger.sqlite"), "--json")
    assert json.loads(whole.out)["head"]["size"] == 30
    assert cli("ledger", "import", str(out), "--into", str(into)).code == 4


def test_a_broken_export_makes_nothing(cli: Cli, ledger: Path, home: Path) -> None:
    out = home / "out.jsonl"
    cli("ledger", "export", "-o", str(out))
    lines = out.read_text().splitlines(keepends=True)
    out.write_text("".join(lines[:9] + lines[10:]))
    ended = cli("ledger", "import", str(out), "--into", str(home / "into"))
    assert ended.code == 10
    assert "Line 10 breaks the chain" in ended.err
    assert [p.name for p in (home / "into").iterdir()] == ["engine.lock"]


def test_a_part_as_csv(cli: Cli, ledger: Path, home: Path) -> None:
    ended = cli("ledger", "export", "--format", "csv", "--since", "2")
    heads, first, *rest = csv.reader(io.StringIO(ended.out))
    assert (len(rest), first[0]) == (28, "2")
    assert "=cmd" in first[heads.index("text")]
    assert not any(cell.startswith("=") for cell in first)


def test_an_export_that_is_interrupted_leaves_nothing(paths: Paths, home: Path) -> None:
    fill(paths, 3)
    with Store.open(paths.ledger) as store:
        for n in range(600):
            store.append(Paused(reason="x" * 200_000), actor="e", ts=TS, idem=f"big-{n}")
    outside = home / "exports"
    outside.mkdir()
    command = [str(SCRIPT), "ledger", "export", "--file", str(paths.ledger)]
    process = subprocess.Popen([*command, "-o", str(outside / "out")], env=dict(os.environ))
    while not any(p.stat().st_size for p in outside.iterdir()):
        assert process.poll() is None, "it ended before it could be interrupted"
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 130
    assert list(outside.iterdir()) == []


def test_an_import_waits_for_no_engine(cli: Cli, ledger: Path, home: Path) -> None:
    out = home / "out.jsonl"
    cli("ledger", "export", "-o", str(out))
    into = home / "into"
    into.mkdir(mode=0o700)
    lock = EngineLock(into / "engine.lock")
    ended = cli("ledger", "import", str(out), "--into", str(into))
    assert ended.code == 8
    lock.release()
    assert not (into / "ledger.sqlite").exists()


# --- salvage ------------------------------------------------------------------------------------


def zero_page(file: Path) -> None:
    """Half of the page that holds entry 16 never reached the disk."""
    at = file.read_bytes().index(b'"seq":16,')
    with file.open("r+b") as out:
        out.seek(at // 4096 * 4096 + 2048)
        out.write(b"\0" * 2048)


def tail_gone(file: Path) -> None:
    alter(file, "DELETE FROM entries WHERE seq > 20")


def entry_altered(file: Path) -> None:
    alter(
        file, "UPDATE entries SET bytes = CAST(replace(bytes, '15', '16') AS BLOB) WHERE seq = 16"
    )


def guard_gone(file: Path) -> None:
    db = sqlite3.connect(file)
    db.execute("DROP TRIGGER entries_no_delete")
    db.commit()
    db.close()


def header_gone(file: Path) -> None:
    with file.open("r+b") as out:
        out.write(b"\0" * 100)


Break = Callable[[Path], None]


@pytest.mark.parametrize(
    ("damage", "least", "most"),
    [
        (zero_page, 0, 29),
        (tail_gone, 20, 20),
        (entry_altered, 15, 15),
        (guard_gone, 30, 30),
        (header_gone, 0, 0),
    ],
)
def test_salvage_keeps_what_is_proven_and_names_the_break(
    cli: Cli, paths: Paths, damage: Break, least: int, most: int
) -> None:
    fill(paths, 30)
    ledger = paths.ledger
    with Store.open(ledger, read_only=True) as store:
        before = list(store.raw())
    damage(ledger)
    files = {p.name: p.read_bytes() for p in paths.state.glob("ledger.sqlite*")}
    dry = cli("ledger", "salvage", "--dry-run", "--json")
    assert dry.code == 13, dry.err
    found = json.loads(dry.out)
    assert least <= found["kept"] <= most
    assert {p.name: p.read_bytes() for p in paths.state.glob("ledger.sqlite*")} == files
    assert not (paths.state / "quarantine").exists()

    ended = cli("ledger", "salvage", "--yes", "--reason", "a bad disk", "--json")
    assert ended.code == 0, ended.err
    done = json.loads(ended.out)
    aside = Path(done["quarantine"])
    assert {p.name: p.read_bytes() for p in aside.glob("ledger*")} == files
    assert len((aside / "evidence.txt").read_text().splitlines()) == 1
    kept = done["kept"]
    with Store.open(ledger) as store:
        rows = list(store.raw())
        assert rows[:-1] == before[:kept]
        assert store.verify().ok
        event = list(store.entries())[-1].entry.event
    assert isinstance(event, EpochStarted)
    assert (event.epoch, event.kept_size, event.reason) == (1, kept, "a bad disk")
    assert event.first_bad == kept + 1
    assert (paths.state / event.quarantine) == aside
    state = state_of(ledger)
    assert state.paused
    assert state.epoch == 1
    assert cli("ledger", "salvage").out == "The ledger is whole; nothing to salvage.\n"
    assert [p.name for p in paths.state.glob("*salvage*")] == []


def test_salvage_asks_before_it_does_anything(cli: Cli, ledger: Path, paths: Paths) -> None:
    tail_gone(ledger)
    ended = cli("ledger", "salvage")
    assert ended.code == 13
    assert "20 entries" in ended.err
    assert "10 would be lost" in ended.err
    assert "--yes" in ended.out
    assert not (paths.state / "quarantine").exists()


def test_salvage_of_a_whole_ledger_does_nothing(cli: Cli, ledger: Path, paths: Paths) -> None:
    before = ledger.read_bytes()
    ended = cli("ledger", "salvage", "--yes")
    assert (ended.code, ended.out) == (0, "The ledger is whole; nothing to salvage.\n")
    assert ledger.read_bytes() == before
    assert not (paths.state / "quarantine").exists()


def test_salvage_refuses_while_an_engine_holds_the_lock(
    cli: Cli, ledger: Path, paths: Paths
) -> None:
    tail_gone(ledger)
    lock = EngineLock(paths.lock)
    assert cli("ledger", "salvage", "--yes").code == 8
    lock.release()
    assert not (paths.state / "quarantine").exists()


def test_a_salvage_killed_before_the_swap_is_finished_at_the_next_open(
    cli: Cli, ledger: Path, paths: Paths, monkeypatch: pytest.MonkeyPatch
) -> None:
    tail_gone(ledger)

    def killed(_: Path) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("ouroboros.ledger.salvage._swap", killed)
        assert cli("ledger", "salvage", "--yes").code == 130
    assert (paths.state / "ledger.sqlite.salvaged").exists()
    assert Mark(ledger).read() is not None
    with Store.open(ledger) as store:
        assert store.head().size == 21
        assert store.verify().ok
    assert not (paths.state / "ledger.sqlite.salvaged").exists()


def test_a_second_break_starts_a_second_epoch(cli: Cli, ledger: Path) -> None:
    tail_gone(ledger)
    assert cli("ledger", "salvage", "--yes").code == 0
    with Store.open(ledger) as store:
        store.append(Paused(reason="x"), actor="a", ts=TS, idem="after")
    alter(ledger, "DELETE FROM entries WHERE seq > 21")
    assert cli("ledger", "salvage", "--yes").code == 0
    assert state_of(ledger).epoch == 2


def test_a_newer_ledger_is_not_salvaged(cli: Cli, ledger: Path) -> None:
    db = sqlite3.connect(ledger)
    db.execute("PRAGMA user_version = 99")
    db.close()
    ended = cli("ledger", "salvage", "--yes")
    assert ended.code == 10
    assert "newer Ouroboros" in ended.err
