"""The auditor's day: a copy of a ledger, heads from elsewhere, and his own tools."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cli_world import Cli
from engine_world import FASTER, World, git, reach

from ouroboros.engine.api import Submission
from ouroboros.ledger.store import Store
from ouroboros.model.phase import Phase
from ouroboros.vcs.anchors import HEADS

SCRIPTS = Path(__file__).parents[2] / "scripts"


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> World:
    """A world in which one candidate was promoted and its engine ended."""

    async def work(world: World) -> None:
        world.configure(engine=f'[ledger]\nhead_file = "{world.state}/heads"')
        engine = await world.start()
        name = await engine.submit(Submission(diff=FASTER, title="t"), actor="uid:me")
        held = await reach(engine, name, Phase.HELD)
        await engine.approve(name, actor="uid:me", commit=held.commit, reason="")
        await reach(engine, name, Phase.PROMOTED)
        await world.stop(engine)

    world = World(tmp_path_factory.mktemp("worked"))
    asyncio.run(work(world))
    return world


@pytest.fixture
def copy(worked: World, tmp_path: Path) -> Path:
    """What the auditor got: the file alone, nothing beside it."""
    shutil.copy(worked.state / "ledger.sqlite", tmp_path / "copy.sqlite")
    return tmp_path / "copy.sqlite"


@pytest.fixture
def vkey(worked: World) -> str:
    return (worked.state / "head.vkey").read_text().strip()


def cut(copy: Path, left: int) -> None:
    """Remove the end, with all heads that know of it."""
    import sqlite3

    db = sqlite3.connect(copy, isolation_level=None)
    triggers = db.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'").fetchall()
    for name, _ in triggers:
        db.execute(f"DROP TRIGGER {name}")
    for table, column in (("entries", "seq"), ("touched", "seq"), ("heads", "size")):
        db.execute(f"DELETE FROM {table} WHERE {column} > ?", (left,))  # noqa: S608 - ours
    for _, sql in triggers:
        db.execute(sql)
    db.close()


def test_everything_agrees(cli: Cli, worked: World, copy: Path, vkey: str) -> None:
    ended = cli(
        *("ledger", "verify", "--ledger", str(copy), "--key", vkey),
        *("--against", f"git:{worked.root}", "--against", str(worked.state / "heads")),
        *("--evidence", str(worked.state / "evidence"), "--json"),
    )
    found = json.loads(ended.out)
    assert (ended.code, found["problems"]) == (0, [])
    assert found["heads"] >= 2  # at the promotion, and at the end
    assert found["anchors"] >= 2 * found["heads"] + 1  # and the trailers of the promotion
    assert found["evidence"] >= 2
    assert found["origin"] == "ouroboros/target-1"
    text = cli("ledger", "verify", "--ledger", str(copy), "--key", vkey).out
    assert vkey in text


def test_a_head_in_any_form_is_an_anchor(
    cli: Cli, worked: World, copy: Path, vkey: str, tmp_path: Path
) -> None:
    note = git(worked.root, "cat-file", "blob", f"{HEADS}:head") + "\n"
    (tmp_path / "mail").write_text(f"Dear auditor,\n\n{note}\nYours")
    mirror = tmp_path / "mirror.git"
    git(worked.root, "clone", "-q", "--mirror", str(worked.root), str(mirror))
    with Store.open(copy, read_only=True) as store:
        last = store.head().size
        left = store.heads()[0].size
    for anchor in (note, str(tmp_path / "mail"), f"git:{mirror}", f"git:{worked.root}@{HEADS}"):
        whole = cli("ledger", "verify", "--ledger", str(copy), "--key", vkey, "--against", anchor)
        assert whole.code == 0, whole.out
    cut(copy, left)
    assert cli("ledger", "verify", "--ledger", str(copy), "--key", vkey).code == 0
    for anchor in (note, str(tmp_path / "mail"), f"git:{mirror}", f"git:{worked.root}@{HEADS}"):
        ended = cli("ledger", "verify", "--ledger", str(copy), "--key", vkey, "--against", anchor)
        assert ended.code == 2
        assert f"FORKED at entry {left + 1} (truncated)" in ended.out
        assert f"covers {last} entries" in ended.out


def test_the_promotion_on_the_branch_alone_is_an_anchor(
    cli: Cli, worked: World, copy: Path, vkey: str
) -> None:
    body = git(worked.root, "log", "-1", "--format=%B", "main")
    (line,) = (t for t in body.splitlines() if t.startswith("Ouroboros-Ledger-Head: "))
    size = int(line.split(": ")[1].split(":")[0])
    cut(copy, size - 1)
    command = ("ledger", "verify", "--ledger", str(copy), "--key", vkey)
    ended = cli(*command, "--against", f"git:{worked.root}@main")
    assert ended.code == 2
    assert f"covers {size} entries" in ended.out


def test_anchors_that_say_nothing_are_no_anchors(
    cli: Cli, worked: World, copy: Path, vkey: str, tmp_path: Path
) -> None:
    (tmp_path / "empty").write_text("nothing here")
    forged = git(worked.root, "cat-file", "blob", f"{HEADS}:head").replace("time 1", "time 2")
    (tmp_path / "forged").write_text(forged + "\n")
    command = ("ledger", "verify", "--ledger", str(copy), "--key", vkey, "--against")
    for name, code in (("empty", "anchor_empty"), ("forged", "anchor_forged")):
        ended = cli(*command, str(tmp_path / name))
        assert (ended.code, code in ended.out) == (3, True), ended.out
    assert cli(*command, str(tmp_path / "missing")).code == 10
    assert cli(*command, f"git:{tmp_path}").code == 7


def test_since_a_head(cli: Cli, worked: World, copy: Path, vkey: str) -> None:
    note = git(worked.root, "cat-file", "blob", f"{HEADS}:head") + "\n"
    command = ("ledger", "verify", "--ledger", str(copy), "--key", vkey, "--since")
    assert cli(*command, note).code == 0
    ended = cli(*command, note.replace("ouroboros/target-1\n", "ouroboros/target-2\n", 1))
    assert ended.code == 10
    assert "gives no head to start from" in ended.err


def test_without_the_key_nothing_is_called_verified(cli: Cli, copy: Path, vkey: str) -> None:
    ended = cli("ledger", "verify", "--ledger", str(copy))
    assert ended.code == 3
    assert "no key" in ended.out
    assert cli("ledger", "verify", "--ledger", str(copy), "--key", vkey[:-6]).code == 10


def test_the_key_for_openssl(cli: Cli, worked: World, copy: Path, tmp_path: Path) -> None:
    place = str(worked.state / "ledger.sqlite")
    pem = cli("ledger", "key", "--pem", "--file", place).out
    (tmp_path / "key.pem").write_text(pem)
    done = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", str(tmp_path / "key.pem"), "-noout", "-text"],
        capture_output=True,
        text=True,
    )
    assert "ED25519" in done.stdout
    assert cli("ledger", "key", "--file", str(copy)).code == 3


def run_script(*arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, str(SCRIPTS / "verify-proof"), *arguments],
        capture_output=True,
        text=True,
        env={"PATH": os.environ["PATH"]},
        cwd="/",
    )
    return done.returncode, done.stdout + done.stderr


def test_proofs_verify_without_us(cli: Cli, copy: Path, vkey: str, tmp_path: Path) -> None:
    with Store.open(copy, read_only=True) as store:
        sizes = [h.size for h in store.heads()]
        kept = store.heads()[0].note
    (tmp_path / "kept").write_text(kept)
    proof = tmp_path / "proof.json"
    for seq in (1, 2, sizes[0], sizes[-1]):
        proof.write_text(cli("ledger", "prove", str(seq), "--file", str(copy)).out)
        code, out = run_script(vkey, str(proof))
        assert (code, out.splitlines()[-1]) == (0, "PROVEN"), out
        assert f"entry {seq}: {{" in out
    value = json.loads(proof.read_text())
    for key, wrong in (
        ("entry", value["entry"].replace("engine", "nobody")),
        ("seq", 1),
        ("path", value["path"][:-1]),
        ("path", [*value["path"], "00" * 32]),
        ("note", value["note"].replace(f"\n{sizes[-1]}\n", f"\n{sizes[-1] + 1}\n")),
        ("note", ""),
    ):
        proof.write_text(json.dumps({**value, key: wrong}))
        code, out = run_script(vkey, str(proof))
        assert code == 1, (key, wrong)
        assert "NOT PROVEN" in out
    proof.write_text(cli("ledger", "consistency", str(sizes[0]), "--file", str(copy)).out)
    assert run_script(vkey, str(proof), str(tmp_path / "kept"))[0] == 0
    proof.write_text(cli("ledger", "consistency", str(sizes[0] - 1), "--file", str(copy)).out)
    code, out = run_script(vkey, str(proof), str(tmp_path / "kept"))
    assert (code, "NOT PROVEN" in out) == (1, True)


def test_heads_and_what_cannot_be_proven(cli: Cli, copy: Path) -> None:
    page = json.loads(cli("ledger", "heads", "--file", str(copy), "--json").out)
    sizes = [h["size"] for h in page["heads"]]
    assert sizes == sorted(sizes, reverse=True)
    first = cli("ledger", "heads", "--file", str(copy), "--limit", "1")
    assert first.out.split()[:4] == ["ENTRIES", "AGE", "ROOT", str(sizes[0])]
    assert f"--before {sizes[0]}" in first.err
    notes = cli("ledger", "heads", "--file", str(copy), "--notes").out
    assert notes.count("— ouroboros/target-1 ") == len(sizes)
    assert cli("ledger", "prove", "99999", "--file", str(copy)).code == 3
    assert cli("ledger", "prove", "1", "--size", "99999", "--file", str(copy)).code == 3
    late = cli("ledger", "prove", str(sizes[0]), "--size", str(sizes[-1]), "--file", str(copy))
    assert (late.code, "does not cover" in late.err) == (3, True)


def test_the_exit_codes_are_listed_line_by_line(cli: Cli) -> None:
    for command in (("ledger", "verify"), ("wait",)):
        text = cli(*command, "--help").out
        assert "\\b" not in text
        assert "\n  Exit codes: 0 " in text
