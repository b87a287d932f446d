"""`governor`, `limits`, `anchor`, and approvals by several people, against a served engine."""

import json

import pytest
from cli_world import Cli, Served

from ouroboros.cli.commands.governor import assignment, full_key, value_of
from ouroboros.errors import InvalidParamsError
from ouroboros.model import events as ev

pytestmark = pytest.mark.usefixtures("served")


def test_the_status_is_readable(cli: Cli) -> None:
    out = cli("governor").out
    assert "supervised" in out
    assert "as in the file" in out
    assert "closed: 0 of 3 errors, 0 of 2 rollbacks in a row" in out
    assert "version 0 at aaaaaaaaaaaa (as found" in out
    assert "not measured against this anchor yet" in out
    assert "held candidates need 1 of them" in out
    assert "LIMIT" not in out


def test_a_limit_is_set_shown_and_reset(cli: Cli, served: Served) -> None:
    args = ("limits", "set", "quorum=2", 'freeze=["00:00 - 23:59"]', "--reason", "careful")
    ended = cli(*args)
    assert ended.code == 0, ended.err
    assert "governor.limits.quorum: 2" in ended.out
    assert 'governor.limits.freeze: ["00:00 - 23:59"]' in ended.out
    changed = served.engine.entries[-1].entry
    assert isinstance(changed.event, ev.LimitsChanged)
    assert (changed.event.reason, changed.actor[:4]) == ("careful", "uid:")
    shown = cli("governor").out
    assert "2 limits changed at run time" in shown
    assert [line.split() for line in shown.splitlines() if "limits.quorum" in line] == [
        ["governor.limits.quorum", "2", "1"]
    ]
    assert "held candidates need 2 of them" in shown
    assert "engine.interval" in cli("governor", "--all").out
    ended = cli("limits", "reset", "quorum", "governor.limits.freeze", "--reason", "back")
    assert "governor.limits.quorum: as the file says" in ended.out
    assert json.loads(cli("governor", "--json").out)["policy"] == served.engine.config.hash


def test_a_freeze_says_until_when(cli: Cli) -> None:
    cli("limits", "set", 'freeze=["2020-01-01 - 2999-01-01"]', "--reason", "r")
    assert "until Wed 2999-01-02 00:00 UTC" in cli("governor").out


@pytest.mark.parametrize(
    ("args", "code", "words"),
    [
        (("limits", "set", "quorum", "--reason", "r"), 2, "Expected KEY=VALUE"),
        (("limits", "set", "quorum=2"), 2, "--reason"),
        (("limits", "set", "quorum=0", "--reason", "r"), 6, "governor.limits.quorum"),
        (("limits", "set", "min_gain=0.1", "--reason", "r"), 2, "may be governor.autonomy"),
        (("limits", "set", "quorun=1", "--reason", "r"), 2, "Did you mean quorum?"),
        (("limits", "set", "sandbox.cpu=1", "--reason", "r"), 6, "no key that can be changed"),
        (("limits", "set", "quorum=2", "--reason", ""), 2, "reason"),
        (("anchor", "set", "99", "--reason", "r"), 3, "no version 99"),
        (("anchor", "set", "1"), 2, "--reason"),
    ],
)
def test_what_is_wrong_is_said(cli: Cli, args: tuple[str, ...], code: int, words: str) -> None:
    ended = cli(*args)
    assert (ended.code, ended.out) == (code, "")
    assert words in ended.err


def test_the_anchor_is_moved(cli: Cli, served: Served) -> None:
    ended = cli("anchor", "set", "1", "--reason", "release 2")
    assert "The anchor stands at version 1 (dddddddddddd)." in ended.out
    assert "release 2, by uid:" in cli("governor").out


def test_one_of_two_approvals_keeps_it_held(cli: Cli, served: Served) -> None:
    served.engine.quorum = 2
    ended = cli("approve", "c3", "--yes")
    assert ended.code == 0
    assert "1 of 2 approvals: c3 stays held" in ended.out
    assert cli("candidates", "--phase", "held").out.count("c3") == 1


def test_explain_prints_its_passages(cli: Cli) -> None:
    lines = cli("explain", "c3").out.splitlines()
    assert lines[0] == "Held."
    assert lines[lines.index("checks") + 1] == "  tests: passed"


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("2", 2),
        ("0.05", 0.05),
        ("true", True),
        ("90s", "90s"),
        ('"90s"', "90s"),
        ("autonomous", "autonomous"),
        ('["22:00 - 06:00"]', ["22:00 - 06:00"]),
        ("[]", []),
        ("", ""),
        ("1\nx = 2", "1\nx = 2"),
        ("2026-01-01", "2026-01-01"),
        ("{a = 1}", "{a = 1}"),
    ],
)
def test_values_are_read_as_in_the_file(text: str, value: object) -> None:
    assert value_of(text) == value
    assert assignment(f"governor.x={text}") == ("governor.x", value)


def test_short_names_stand_for_one_key() -> None:
    assert full_key("quorum") == "governor.limits.quorum"
    assert full_key("interval") == "engine.interval"
    assert full_key("governor.what.ever") == "governor.what.ever"
    with pytest.raises(InvalidParamsError, match="Say which"):
        full_key("min_gain")
