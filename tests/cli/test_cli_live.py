"""Every command against a served engine: what it prints, as JSON and for people."""

import asyncio
import json
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cli_world import Cli, Served, script

from ouroboros.model.oversight import GovernorStatus
from ouroboros.model.proof import Consistency, Heads, Inclusion
from ouroboros.model.snapshot import EngineStatus, Explanation, RollbackPreview
from ouroboros.model.state import Anchor, Candidate, Version
from rpc import wire

pytestmark = pytest.mark.usefixtures("served")

JSON_SHAPES = [
    (("status",), EngineStatus),
    (("candidates",), wire.CandidatePage),
    (("candidates", "--phase", "held"), wire.CandidatePage),
    (("show", "c1"), Candidate),
    (("explain", "c1"), Explanation),
    (("diff", "c1"), wire.DiffResult),
    (("versions",), tuple[Version, ...]),
    (("rollback", "0", "--preview"), RollbackPreview),
    (("rollback", "0", "--yes"), Version),
    (("trigger",), wire.CycleTriggerResult),
    (("pause", "--reason", "lunch"), wire.Ok),
    (("resume",), wire.Ok),
    (("approve", "c3", "--yes"), wire.ApproveResult),
    (("reject", "c3", "--reason", "no"), wire.Ok),
    (("cancel", "c3"), wire.Ok),
    (("wait", "c1"), Candidate),
    (("ledger", "list"), wire.LedgerPage),
    (("ledger", "get", "1"), wire.LedgerEntry),
    (("ledger", "heads"), Heads),
    (("ledger", "prove", "2"), Inclusion),
    (("ledger", "consistency", "2"), Consistency),
    (("config", "show", "--running"), wire.ConfigResult),
    (("governor",), GovernorStatus),
    (("limits", "set", "quorum=2", "--reason", "r"), wire.LimitsResult),
    (("limits", "reset", "quorum", "--reason", "r"), wire.LimitsResult),
    (("anchor", "set", "1", "--reason", "r"), Anchor),
    (("hold", "c2"), wire.Ok),
    (("retry", "c1"), wire.SubmitResult),
    (("override", "c3", "--commit", "b" * 40, "--reason", "fire"), wire.Ok),
    (("freeze", "--for", "4h", "--reason", "release"), wire.Ok),
    (("unfreeze",), wire.Ok),
    (("drain", "--worker", "local", "--reason", "kernel"), wire.Ok),
    (("drain", "--worker", "local", "--end"), wire.Ok),
    (("silence", "disk_*", "--for", "90m"), wire.Ok),
    (("drain", "--timeout", "5"), EngineStatus),
    (("reload",), wire.ReloadResult),
]


@pytest.mark.parametrize(("arguments", "shape"), JSON_SHAPES, ids=lambda v: str(v)[:40])
def test_json_is_the_result_of_the_wire(cli: Cli, arguments: tuple[str, ...], shape: type) -> None:
    ended = cli(*arguments, "--json")
    assert (ended.code, ended.err) == (0, "")
    value = msgspec.json.decode(ended.out, type=shape)
    assert msgspec.json.encode(value).decode() == ended.out.rstrip("\n"), "every field, unchanged"


@pytest.mark.parametrize("arguments", [a for a, _ in JSON_SHAPES], ids=" ".join)
def test_people_get_text_without_escapes(cli: Cli, arguments: tuple[str, ...]) -> None:
    ended = cli(*arguments)
    assert ended.code == 0, ended.err
    assert ended.out.strip()
    assert not set(ended.out) & {"\x1b", "\x07", "\u202e", "\x9b"}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("override", "c3", "--reason", "fire"), "no terminal to ask on"),
        (("override", "c1", "--reason", "fire", "--commit", "b" * 40), "promoted, not held"),
        (("override", "c3", "--commit", "b" * 40), "Missing option '--reason'"),
        (("freeze", "--for", "a while"), 'Expected a duration such as "90s"'),
        (("drain", "--end"), "--end goes with --worker"),
        (("silence", "disk_*"), "either --for TIME or --end"),
        (("silence", "disk_*", "--for", "1h", "--end"), "either --for TIME or --end"),
    ],
    ids=lambda v: str(v)[:40],
)
def test_orders_that_are_not_clear_are_refused(
    cli: Cli, arguments: tuple[str, ...], says: str
) -> None:
    ended = cli(*arguments)
    assert ended.code != 0
    assert says in ended.err


def test_json_may_stand_before_the_command(cli: Cli) -> None:
    assert json.loads(cli("--json", "status").out)["target"] == "demo"


def test_repo_and_socket_name_the_engine(
    cli: Cli, served: Served, target: Path, home: Path
) -> None:
    for option in (("--repo", str(target / "pkg")), ("--socket", str(served.socket))):
        ended = script(*option, "status", "--json", cwd=home)
        assert ended.code == 0, ended.err
        assert script("status", *option, "--json", cwd=home).out == ended.out


def test_status_says_what_waits(cli: Cli) -> None:
    out = cli("status").out
    assert "demo at /repo" in out
    assert "c3: waiting for a human" in out
    cli("pause", "--reason", "lunch")
    assert "paused by uid:" in cli("status").out
    assert ": lunch" in cli("status").out


def test_candidates_are_a_table(cli: Cli) -> None:
    lines = cli("candidates").out.splitlines()
    assert lines[0].split() == ["ID", "PHASE", "AGE", "CHANGE", "PROPOSER", "TITLE"]
    starts = {line.index("codemod") for line in lines[1:]}
    assert len(starts) == 1, "columns are aligned"
    assert [line.split()[0] for line in lines[1:]] == ["c3", "c2", "c1"]
    assert "-20.0 %" in lines[1]


def test_an_unknown_phase_is_refused_here(cli: Cli) -> None:
    ended = cli("candidates", "--phase", "happy")
    assert ended.code == 2
    assert "'happy' is not a phase" in ended.err
    assert "promoted" in ended.err


def test_show_has_the_numbers(cli: Cli) -> None:
    out = cli("show", "c3").out
    assert "-20.0 % (-25.0 .. -15.0 %), 2 pairs" in out
    assert "tests" in out
    assert "passed" in out
    assert "pkg/mod.py" in out
    assert "+1 -1" in out


def test_diff_is_made_safe_and_whole(cli: Cli, served: Served) -> None:
    async def long(_name: str) -> str:
        return "--- a/x\n+++ b/x\n@@ -1 +1 @@\n" + "+\x1b[2Jline\n" * 60_000

    served.engine.diff = long
    out = cli("diff", "c1").out
    assert out.count("line\n") == 60_000, "all pages"
    assert "\x1b" not in out
    assert "\u241b[2J" in out
    assert "pkg/mod.py" in cli("diff", "c1", "--stat").out


def test_a_missing_candidate_is_exit_code_3(cli: Cli) -> None:
    ended = cli("show", "c99")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err == "error: There is no candidate c99.\nhint: List them.\n"
    error = json.loads(cli("show", "c99", "--json").err)["error"]
    assert error == {
        "name": "not_found",
        "message": "There is no candidate c99.",
        "hint": "List them.",
        "exit_code": 3,
    }


# --- approving ----------------------------------------------------------------------------------


def approved(served: Served) -> list[tuple[str, str]]:
    return [
        (s.entry.event.commit, s.entry.event.reason)
        for s in served.engine.entries
        if s.entry.event.kind == "approved" and s.entry.event.candidate == "c3"
    ]


def test_approve_in_a_script_needs_a_commit_or_yes(served: Served, target: Path) -> None:
    ended = script("approve", "c3", cwd=target)
    assert ended.code == 2
    assert "neither --commit nor --yes" in ended.err
    assert approved(served) == []


def test_approve_sends_the_commit_and_the_reason(cli: Cli, served: Served) -> None:
    assert cli("approve", "c3", "--commit", "b" * 40, "--reason", "seen").code == 0
    assert approved(served) == [("b" * 40, "seen")]


def test_approve_takes_a_short_hash(cli: Cli, served: Served) -> None:
    assert cli("approve", "c3", "--commit", "BBBBBBB").code == 0
    assert approved(served) == [("b" * 40, "")]


@pytest.mark.parametrize("commit", ["b" * 6, "a" * 40, "b" * 39 + "c", "b" * 41])
def test_approve_refuses_another_commit(cli: Cli, served: Served, commit: str) -> None:
    ended = cli("approve", "c3", "--commit", commit)
    assert ended.code == 4
    assert "stands at commit " + "b" * 40 in ended.err
    assert approved(served) == []


def test_approve_refuses_what_is_not_held(cli: Cli) -> None:
    ended = cli("approve", "c2", "--yes")
    assert ended.code == 4
    assert "c2 is rejected" in ended.err


# --- proposing and waiting ----------------------------------------------------------------------


def submitted(served: Served) -> tuple[str, str]:
    newest = list(served.engine.state.candidates.values())[-1]
    return newest.id, newest.title


def test_propose_a_file(cli: Cli, served: Served, home: Path) -> None:
    file = home / "faster-f.diff"
    file.write_text("--- a/pkg/mod.py\n+++ b/pkg/mod.py\n@@ -1 +1 @@\n-a\n+b\n")
    assert cli("propose", str(file)).out == "c4\n"
    assert submitted(served) == ("c4", "faster-f")
    assert json.loads(cli("propose", str(file), "--title", "T", "--json").out) == {"id": "c5"}
    assert submitted(served) == ("c5", "T")


@pytest.mark.parametrize(
    ("diff", "title"),
    [
        ("--- a/pkg/mod.py\n+++ b/pkg/mod.py\n@@ -1 +1 @@\n-a\n+b\n", "change pkg/mod.py"),
        ("From x\nSubject: [PATCH] Use a set\n\n---\n\ndiff --git a/x b/x\n+y\n", "Use a set"),
    ],
)
def test_propose_from_stdin(served: Served, target: Path, diff: str, title: str) -> None:
    ended = script("propose", "-", cwd=target, stdin=diff)
    assert (ended.code, ended.out) == (0, "c4\n")
    assert submitted(served)[1] == title


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b"  \n", "is empty"),
        (b"\xff\xfe", "not UTF-8"),
        (b"+" * 1_100_000, "larger than"),
        (None, "No such file"),
    ],
)
def test_propose_refuses_what_is_no_diff(
    cli: Cli, home: Path, content: bytes | None, says: str
) -> None:
    if content is not None:
        (home / "x.diff").write_bytes(content)
    ended = cli("propose", str(home / "x.diff"))
    assert (ended.code, ended.out) == (2, "")
    assert says in ended.err


@pytest.mark.parametrize(("candidate", "code"), [("c1", 0), ("c2", 21), ("c3", 20)])
def test_wait_ends_with_the_outcome(cli: Cli, candidate: str, code: int) -> None:
    ended = cli("wait", candidate)
    assert ended.code == code
    assert candidate in ended.out


def test_wait_gives_up_after_its_timeout(cli: Cli, served: Served) -> None:
    served.do(lambda: served.engine.propose("c4"))
    assert cli("wait", "c4", "--timeout", "0.1").code == 11
    assert cli("wait", "c4", "--until", "proposed", "--timeout", "5").code == 0


def test_wait_codes_name_every_final_phase() -> None:
    from ouroboros.cli.outcomes import outcome_code
    from ouroboros.model.phase import FINAL

    codes = {phase: outcome_code(phase) for phase in FINAL}
    assert 25 not in codes.values()
    assert len(set(codes.values())) == len(codes), "kept is the only final phase with 0"


# --- rolling back -------------------------------------------------------------------------------


def test_rollback_in_a_script_needs_yes(served: Served, target: Path) -> None:
    ended = script("rollback", "0", cwd=target)
    assert ended.code == 2
    assert "--yes was not given" in ended.err
    assert len(served.engine.state.versions) == 2


def test_rollback_preview_changes_nothing(cli: Cli, served: Served) -> None:
    out = cli("rollback", "0", "--preview").out
    assert "version 0" in out
    assert "+x = [*y]" in out
    assert len(served.engine.state.versions) == 2


def test_rollback_guards_the_head_it_saw(cli: Cli, served: Served) -> None:
    seen: list[str] = []
    real = served.engine.rollback

    async def rollback(to: str, *, expect_head: str, **given: Any) -> Version:
        seen.append(expect_head)
        version: Version = await real(to, expect_head=expect_head, **given)
        return version

    served.engine.rollback = rollback
    ended = cli("rollback", "0", "--yes", "--reason", "slow")
    assert ended.code == 0
    assert "version 2" in ended.out
    assert seen == ["d" * 40]


def test_a_rollback_that_conflicts_is_refused_before_it_is_asked(cli: Cli, served: Served) -> None:
    real = served.engine.rollback_preview

    async def preview(to: str) -> RollbackPreview:
        found: RollbackPreview = await real(to)
        return msgspec.structs.replace(found, conflict="pkg/mod.py was edited since")

    served.engine.rollback_preview = preview
    ended = cli("rollback", "0", "--yes")
    assert ended.code == 7
    assert "pkg/mod.py was edited since" in ended.err
    assert len(served.engine.state.versions) == 2


# --- call ---------------------------------------------------------------------------------------


def test_call_any_method(cli: Cli, target: Path) -> None:
    assert json.loads(cli("call", "system.version").out)["protocol"] == "1"
    assert json.loads(cli("call", "candidate.get", '{"id": "c2"}').out)["phase"] == "rejected"
    piped = script("call", "candidate.get", "-", cwd=target, stdin='{"id": "c2"}')
    assert json.loads(piped.out)["id"] == "c2"


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("no.such",), 2, "no.such"),
        (("candidate.get", "{id: c1}"), 2, "not JSON"),
        (("candidate.get", "7"), 2, "object"),
        (("candidate.get", '{"id": "c1", "extra": 1}'), 2, "extra"),
        (("candidate.get", "{}"), 2, "id"),
    ],
)
def test_call_says_what_is_wrong(
    cli: Cli, arguments: tuple[str, ...], code: int, says: str
) -> None:
    ended = cli("call", *arguments)
    assert (ended.code, ended.out) == (code, "")
    assert says in ended.err


def test_an_engine_that_hangs_is_reported(
    cli: Cli, served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ouroboros.cli import reach

    monkeypatch.setattr(reach, "ANSWER_WITHIN_S", 0.5)
    served.engine.gate = gate = asyncio.Event()
    ended = cli("pause")
    served.do(gate.set)
    assert ended.code == 11
    assert "did not answer within" in ended.err
