"""The ledger's file without an engine: list, get, verify, export."""

import hashlib
import io
import json
import sqlite3
from pathlib import Path

import pytest
from cli_world import Cli, Served, script

from ouroboros.cli.counting import LineCounter
from ouroboros.ledger.store import Store
from ouroboros.model.events import Paused, Proposed, Resumed, TargetAdopted
from ouroboros.paths import Paths


def fill(file: Path, count: int = 3) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.parent.chmod(0o700)
    with Store.open(file) as store:
        events = [
            TargetAdopted(target="t", path="/t", branch="main", commit="a" * 40),
            Proposed(
                candidate="c1",
                cycle=1,
                proposer="p",
                title="\x1b[31mred",
                rationale="",
                base="a" * 40,
                diff="d" * 64,
                idea="i",
            ),
            *(Paused(reason=str(n)) if n % 2 else Resumed(reason=str(n)) for n in range(count - 2)),
        ]
        for number, event in enumerate(events):
            store.append(event, actor="engine", ts=1_700_000_000_000_000_000, idem=str(number))


@pytest.fixture
def file(paths: Paths) -> Path:
    fill(paths.ledger)
    return paths.ledger


def break_entry(file: Path, seq: int) -> None:
    """Alter a stored entry as a careful intruder would: the triggers are there again after."""
    db = sqlite3.connect(file)
    triggers = db.execute("SELECT name, sql FROM sqlite_master WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        db.execute(f'DROP TRIGGER "{name}"')
    (data,) = db.execute("SELECT bytes FROM entries WHERE seq = ?", (seq,)).fetchone()
    altered = bytes(data).replace(b'"actor":"engine"', b'"actor":"uid:me"')
    db.execute("UPDATE entries SET bytes = ? WHERE seq = ?", (altered, seq))
    for _, statement in triggers:
        db.execute(statement)
    db.commit()
    db.close()


def test_verify_reads_the_file(cli: Cli, file: Path) -> None:
    ended = cli("ledger", "verify")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("The ledger is whole: 3 entries, head ")
    assert "ouroboros/t" in ended.out


def test_verify_a_file_needs_no_repository(file: Path, home: Path) -> None:
    for option in ("--file", "--ledger"):
        ended = script("ledger", "verify", option, str(file), "--json", cwd=home)
        assert (ended.code, ended.err) == (0, "")
        assert json.loads(ended.out)["entries"] == 3


def test_verify_finds_the_first_bad_entry(cli: Cli, file: Path) -> None:
    break_entry(file, 2)
    ended = cli("ledger", "verify", "--file", str(file))
    assert ended.code == 1
    assert "CORRUPT at entry 2, byte " in ended.out
    assert "bad_hash" in ended.out
    assert "the first 1 entry" in ended.err
    result = json.loads(cli("ledger", "verify", "--json").out)
    assert (result["exit_code"], result["size"]) == (1, 1)
    (problem,) = result["problems"]
    assert (problem["kind"], problem["seq"]) == ("corrupt", 2)


def test_verify_needs_the_file(cli: Cli, served: Served) -> None:
    ended = cli("ledger", "verify", "--socket", str(served.socket))
    assert ended.code == 10
    assert "ledger.verify" in ended.err


@pytest.mark.parametrize("command", ["verify", "export", "list"])
def test_a_file_that_is_no_ledger(cli: Cli, home: Path, command: str) -> None:
    (home / "x.sqlite").write_text("hello, this is no database at all" * 99)
    for place in ("x.sqlite", "missing.sqlite"):
        ended = cli("ledger", command, "--file", str(home / place))
        corrupt = command == "verify" and place == "x.sqlite"
        assert ended.code == (1 if corrupt else 10), place
        assert place in (ended.out if corrupt else ended.err)
    assert not (home / "missing.sqlite").exists()


def test_list_and_get_offline(cli: Cli, file: Path) -> None:
    out = cli("ledger", "list").out
    assert [line.split()[0] for line in out.splitlines()] == ["SEQ", "3", "2", "1"]
    assert "\x1b" not in out
    page = json.loads(cli("ledger", "list", "--limit", "2", "--json").out)
    assert ([r["seq"] for r in page["rows"]], page["next"]) == ([3, 2], 2)
    rest = json.loads(cli("ledger", "list", "--before", "2", "--json").out)
    assert ([r["seq"] for r in rest["rows"]], rest["next"]) == ([1], 0)
    only = json.loads(cli("ledger", "list", "--candidate", "c1", "--json").out)
    assert [r["kind"] for r in only["rows"]] == ["proposed"]
    entry = json.loads(cli("ledger", "get", "2", "--json").out)
    assert hashlib.sha256(entry["bytes"].encode()).hexdigest() == entry["hash"]
    assert cli("ledger", "get", "4").code == 3


@pytest.mark.usefixtures("served")
def test_with_an_engine_it_is_asked(cli: Cli, file: Path) -> None:
    assert len(json.loads(cli("ledger", "list", "--json").out)["rows"]) > 3
    assert "3 entries" in cli("ledger", "verify", "--file", str(file)).out


def test_export_has_the_exact_bytes(cli: Cli, file: Path, home: Path) -> None:
    lines = cli("ledger", "export").out.splitlines()
    assert len(lines) == 3
    for line in lines:
        exact = line.split('"entry":', 1)[1][:-1]
        assert hashlib.sha256(exact.encode()).hexdigest() == json.loads(line)["hash"]
    ended = cli("ledger", "export", "-o", str(home / "out.jsonl"), "--json")
    assert json.loads(ended.out) == {"entries": 3, "path": str(home / "out.jsonl")}
    assert (home / "out.jsonl").read_text().splitlines() == lines


def test_export_overwrites_nothing_unasked(cli: Cli, file: Path, home: Path) -> None:
    (home / "out").write_text("mine")
    assert cli("ledger", "export", "-o", str(home / "out")).code == 4
    assert (home / "out").read_text() == "mine"
    assert cli("ledger", "export", "-o", str(home / "out"), "--force").code == 0
    assert (home / "out").read_text().count("\n") == 3


def test_a_failed_export_leaves_nothing(cli: Cli, file: Path, home: Path) -> None:
    assert cli("ledger", "export", "-o", str(home / "no" / "out")).code == 10
    ended = cli("ledger", "export", "--file", str(home / "none"), "-o", str(home / "out"))
    assert ended.code == 10
    assert sorted(p.name for p in home.iterdir()) == ["demo", "run", "state"]


def test_an_export_needs_the_file(cli: Cli, served: Served) -> None:
    ended = cli("ledger", "export", "--socket", str(served.socket))
    assert ended.code == 10
    assert "--file" in ended.err


def test_lines_are_counted_for_the_bar() -> None:
    seen: list[tuple[int, int]] = []
    out = io.BytesIO()
    counter = LineCounter(out, 300, lambda done, total: seen.append((done, total)))
    for _ in range(300):
        counter.write(b"head")
        counter.write(b"tail\n")
    assert out.getvalue() == b"headtail\n" * 300
    assert seen == [(256, 300), (300, 300)]
