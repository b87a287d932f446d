"""`verdict recompute`: offline, from the state folder; exit codes say what was found."""

import json
import shutil
from pathlib import Path

import msgspec
import pytest
from cli_world import Cli, script
from engine_world import FASTER, OTHER, World, evaluation, reach
from msgspec.structs import replace

from ouroboros.engine.api import Submission
from ouroboros.ledger.evidence import Evidence
from ouroboros.ledger.store import Store
from ouroboros.model import events as ev
from ouroboros.model.phase import Phase
from rpc import wire

BY = "uid:tester"


@pytest.fixture
async def ledger(tmp_path: Path) -> Path:
    """A state folder with one held and one rejected candidate, and one that failed in error."""
    (tmp_path / "world").mkdir()
    world = World(tmp_path / "world")
    engine = await world.start()
    await engine.set_limits({"governor.max_pairs": 40}, actor=BY, reason="r")
    for diff, effect in ((FASTER, -0.3), (OTHER, 0.2)):
        world.executor.answer = lambda plan, e=effect: evaluation(plan, effect=e)
        name = await engine.submit(Submission(diff=diff, title="t"), actor=BY)
        await reach(engine, name, Phase.HELD, Phase.REJECTED)
    await world.stop(engine)
    return world.state / "ledger.sqlite"


def again(ledger: Path, change: object) -> Path:
    """Return a ledger with the same events, the verdicts changed before they were written."""
    folder = ledger.parent.parent / "again"
    shutil.copytree(ledger.parent / "evidence", folder / "evidence")
    with (
        Store.open(ledger, read_only=True) as old,
        Store.open(folder / "ledger.sqlite") as new,
    ):
        for stored in old.entries():
            entry, event = stored.entry, stored.entry.event
            if isinstance(event, ev.Held):
                event = replace(event, verdict=replace(event.verdict, **change))
            new.append(event, actor=entry.actor, ts=entry.ts, idem=entry.idem)
    return folder / "ledger.sqlite"


def run(ledger: Path, *args: str) -> tuple[int, str, str]:
    ended = script("verdict", "recompute", *args, "--ledger", str(ledger), cwd=ledger.parent)
    return ended.code, ended.out, ended.err


def test_all_the_same_is_exit_code_0(ledger: Path) -> None:
    before = {p: p.read_bytes() for p in ledger.parent.rglob("*") if p.is_file()}
    code, out, err = run(ledger, "--all")
    assert code == 0, err
    assert [line.split()[1:4] for line in out.splitlines()[1:3]] == [
        ["c1", "seq-e/3", "same"],
        ["c2", "seq-e/3", "same"],
    ]
    assert out.splitlines()[-1] == "2 verdicts: 2 same."
    code, out, _ = run(ledger, "c2", "--json")
    result = msgspec.json.decode(out, type=wire.RecomputeResult)
    assert (code, result.same, [v.candidate for v in result.verdicts]) == (0, True, ["c2"])
    kept = {p: p.read_bytes() for p in before if p.suffix not in {".sqlite-shm", ".sqlite-wal"}}
    assert all(before[p] == content for p, content in kept.items())


def test_one_that_differs_is_exit_code_1(ledger: Path) -> None:
    code, out, _ = run(again(ledger, {"assurance": "challenge"}), "--all")
    assert code == 1
    assert 'assurance: recorded "challenge", computed "tests"' in out
    assert out.splitlines()[-1] == "2 verdicts: 1 differs, 1 same."


def test_an_older_rule_is_exit_code_2(ledger: Path) -> None:
    code, out, _ = run(again(ledger, {"rule": "seq-e/2"}), "--all", "--json")
    assert code == 2
    outcomes = [v["outcome"] for v in json.loads(out)["verdicts"]]
    assert outcomes == ["unknown_rule", "same"]


def test_a_policy_that_is_gone_is_exit_code_2_and_one_that_was_altered_is_said(
    ledger: Path,
) -> None:
    with Store.open(ledger, read_only=True) as store:
        changed = [s.entry.event for s in store.entries(kind="limits_changed")]
    assert isinstance(changed[0], ev.LimitsChanged)
    file = Evidence(ledger.parent / "evidence")._path(changed[0].text)
    file.write_bytes(file.read_bytes() + b" ")
    code, out, _ = run(ledger, "--all")
    assert code == 2
    assert "not what its name says" in out
    file.unlink()
    code, out, _ = run(ledger, "c1")
    assert code == 2
    assert "cannot be restored: There is no evidence" in out


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        ((), 2, "Expected an ID or --all"),
        (("c1", "--all"), 2, "Expected an ID or --all"),
        (("c9",), 3, "no candidate 'c9'"),
    ],
)
def test_what_is_wrong_is_said(ledger: Path, args: tuple[str, ...], code: int, words: str) -> None:
    found, out, err = run(ledger, *args)
    assert (found, out) == (code, "")
    assert words in err


def test_no_ledger_is_said(cli: Cli, tmp_path: Path) -> None:
    ended = cli("verdict", "recompute", "--all", "--ledger", str(tmp_path / "none.sqlite"))
    assert ended.code == 10
    ended = cli("verdict", "recompute", "--all", "--socket", str(tmp_path / "s"))
    assert ended.code == 2
    assert "call governor.recompute" in ended.err
