"""A person's own keys, colours and symbols; and what goes to the clipboard."""

import base64
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.errors import ConfigError
from rpc import wire
from tests.screens.scripted import ScriptedEngine
from tui.app import COPY_LIMIT, osc52
from tui.keys import KEYS, Where, keys_for, remapped
from tui.settings import NAME, Settings, load, parse, path_of
from tui.themes import THEMES

Sit = Callable[..., AbstractAsyncContextManager[Any]]


def test_without_a_file_all_is_as_it_comes(tmp_path: Path) -> None:
    assert load({"XDG_CONFIG_HOME": str(tmp_path)}) == Settings()
    assert path_of({"HOME": "/home/ann"}) == Path("/home/ann/.config/ouroboros") / NAME


def test_the_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "ouroboros" / NAME
    file.parent.mkdir()
    file.write_text('theme = "paper"\nascii = true\n[keys]\napprove = "A, f2"\n')
    found = load({"XDG_CONFIG_HOME": str(tmp_path)})
    assert found == Settings(theme="paper", ascii=True, keys={"approve": "A, f2"})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("theme = ", "cockpit.toml: "),
        ('colour = "red"', "colour"),
        ("theme = 3", "theme"),
        ('[keys]\nappprove = "A"', "appprove"),
        ('[keys]\napprove = ""', "approve"),
        ('[keys]\napprove = "x"', "approve and reject|reject and approve"),
        ('[keys]\nquit = "j"', "down"),
        ("x" * 70_000, "larger"),
    ],
)
def test_what_is_wrong_with_it_is_told(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(text)


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    file = tmp_path / "ouroboros" / NAME
    file.parent.mkdir()
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigError, match="Cannot read"):
        load({"XDG_CONFIG_HOME": str(tmp_path)})


@given(
    st.dictionaries(st.sampled_from([k.name for k in KEYS]), st.sampled_from("ABCDEQ"), max_size=5)
)
def test_a_table_that_is_taken_has_no_key_twice(changes: dict[str, str]) -> None:
    try:
        table = remapped(changes)
    except ConfigError:
        return
    for where in Where:
        keys = [one for key in keys_for(where, table) for one in key.keys.split(",")]
        assert len(keys) == len(set(keys))


async def test_ones_own_key_acts_and_the_old_one_does_not(sit: Sit, engine: ScriptedEngine) -> None:
    settings = Settings(keys={"reject": "N", "trigger": "f5"})
    async with sit(engine, settings=settings) as seat:
        assert " N Reject" in seat.bar
        await seat.press("x")
        assert not seat.asking
        await seat.press("N", "right", "enter")
        await seat.until(lambda: engine.sent(wire.CandidateReject), "rejected")
        await seat.press("question_mark")
        assert "f5" in seat.text


@pytest.mark.parametrize("theme", [theme.name for theme in THEMES] + ["ansi-dark", "nord"])
async def test_every_theme_says_the_same(sit: Sit, engine: ScriptedEngine, theme: str) -> None:
    async with sit(engine, settings=Settings(theme=theme)) as seat:
        assert seat.app.theme == theme
        assert "\u2016 HELD" in seat.text
        await seat.press("d")
        assert "+    for char in text:" in seat.text


async def test_an_unknown_theme_is_told_and_the_usual_one_is_taken(
    sit: Sit, engine: ScriptedEngine
) -> None:
    async with sit(engine, settings=Settings(theme="neon")) as seat:
        assert "no theme 'neon'" in seat.notices
        assert seat.app.theme == "ouroboros"


def test_what_is_copied_fits_and_passes_tmux() -> None:
    plain = osc52("c" * COPY_LIMIT, in_tmux=False)
    assert plain.startswith("\x1b]52;c;")
    assert len(plain) < 74_994
    assert base64.b64decode(plain[7:-1]) == b"c" * COPY_LIMIT
    wrapped = osc52("abc", in_tmux=True)
    assert wrapped == "\x1bPtmux;\x1b" + osc52("abc", in_tmux=False) + "\x1b\\"
