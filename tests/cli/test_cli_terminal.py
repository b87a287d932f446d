"""What a person sees: colours, questions that default to No, bars, harmless JSON."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from cli_world import Served, Terminal

from ouroboros.cli import terminal as printing

Start = Callable[..., Terminal]

SGR = re.compile(r"\x1b\[[0-9;]*m")


def shown(start: Start, *arguments: str, **extra: str) -> str:
    screen = start(*arguments, **extra)
    screen.end()
    return screen.seen


@pytest.mark.usefixtures("served")
def test_a_diff_is_coloured_and_nothing_else_gets_through(terminal: Start) -> None:
    seen = shown(terminal, "diff", "c1")
    assert "\x1b[31m-x = list(y)" in seen
    assert "\x1b[32m+x = [*y]" in seen
    rest = SGR.sub("", seen)
    assert not set(rest) & {"\x1b", "\x07", "\u202e"}, "the diff's own escapes are pictures"
    assert "\u241b]52;c;" in rest


@pytest.mark.usefixtures("served")
@pytest.mark.parametrize(
    ("arguments", "extra"),
    [
        (("diff", "c1", "--no-color"), {}),
        (("--no-color", "diff", "c1"), {}),
        (("diff", "c1"), {"NO_COLOR": "1"}),
        (("diff", "c1"), {"TERM": "dumb"}),
    ],
)
def test_colours_can_be_refused(
    terminal: Start, arguments: tuple[str, ...], extra: dict[str, str]
) -> None:
    assert "\x1b" not in shown(terminal, *arguments, **extra)


@pytest.mark.usefixtures("served")
def test_json_on_a_terminal_is_indented_harmless_and_equal(terminal: Start) -> None:
    seen = shown(terminal, "show", "c2", "--json")
    assert seen.count("\n") > 10
    assert "\x1b" not in seen
    assert json.loads(seen)["title"] == "Evil \u241b]52;c;aGk=\u2407 title"


# --- questions ----------------------------------------------------------------------------------


def kinds(served: Served) -> list[str]:
    return [s.entry.event.kind for s in served.engine.entries[-2:]]


def test_approve_shows_the_numbers_and_asks(terminal: Start, served: Served) -> None:
    screen = terminal("approve", "c3", "--reason", "fine")
    seen = screen.read_until("[y/N]")
    assert "-20.0 % (-25.0 .. -15.0 %), 2 pairs" in seen
    assert "pkg/mod.py" in seen
    assert "Approve commit bbbbbbbbbbbb?" in seen
    screen.type("y\n")
    assert screen.end() == 0
    assert kinds(served)[-1] == "approved"


@pytest.mark.parametrize("answer", ["\n", "n\n", "no\n", "\x04"])
def test_anything_but_yes_is_no(terminal: Start, served: Served, answer: str) -> None:
    screen = terminal("approve", "c3")
    screen.read_until("[y/N]")
    screen.type(answer)
    assert screen.end() in (5, 130)
    assert "approved" not in kinds(served)


def test_an_interrupted_question_changes_nothing(terminal: Start, served: Served) -> None:
    screen = terminal("rollback", "0")
    screen.read_until("[y/N]")
    screen.interrupt()
    assert screen.end() == 130
    assert "rolled_back" not in kinds(served)


def test_rollback_shows_what_it_undoes(terminal: Start, served: Served) -> None:
    screen = terminal("rollback", "0")
    seen = screen.read_until("Roll back to version 0? [y/N]")
    assert "versions 1" in seen
    screen.type("y\n")
    assert screen.end() == 0
    assert kinds(served) == ["rollback_started", "rolled_back"]


def test_what_is_asked_never_lands_in_the_data(terminal: Start, served: Served, home: Path) -> None:
    """`approve --json > file`: the question is on stderr."""
    screen = terminal("approve", "c3", "--json", stdout_to=home / "out.json")
    screen.read_until("[y/N]")
    screen.type("y\n")
    assert screen.end() == 0
    answer = json.loads((home / "out.json").read_text())
    assert answer["seq"] == len(served.engine.entries)
    assert set(answer) == {"seq", "given", "needed"}


# --- bars ---------------------------------------------------------------------------------------


def test_a_bar_is_drawn_only_where_somebody_watches(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with printing.progress("work") as report:
        assert report is None
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    with printing.progress("work") as report:
        assert report is not None
        report(1, 2)
        report(2, 2)
    out, err = capsys.readouterr()
    assert out == ""
    assert "work" in err
