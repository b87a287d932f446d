"""`safe_text` lets nothing through that could act on a terminal or hide from a reader."""

import unicodedata

from hypothesis import given
from hypothesis import strategies as st

from ouroboros.model.text import safe_line, safe_text


@given(st.text())
def test_no_control_format_or_surrogate_character_survives(text: str) -> None:
    for char in safe_text(text):
        assert char in "\n\t" or unicodedata.category(char) not in {"Cc", "Cs"}
        assert not 0x202A <= ord(char) <= 0x202E
        assert not 0x2066 <= ord(char) <= 0x2069


@given(st.text())
def test_it_is_idempotent(text: str) -> None:
    assert safe_text(safe_text(text)) == safe_text(text)


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "Zs"])))
def test_ordinary_text_is_unchanged(text: str) -> None:
    hidden = {"\u115f", "\u1160", "\u3164", "\u17b4", "\u17b5"}
    if not hidden & set(text):
        assert safe_text(text) == text


def test_osc_52_is_shown_not_sent() -> None:
    assert safe_text("\x1b]52;c;ZXZpbA==\x07") == "\u241b]52;c;ZXZpbA==\u2407"


def test_a_carriage_return_cannot_overwrite_a_line() -> None:
    assert safe_text("evil\rgood") == "evil\u240dgood"


def test_bidi_and_zero_width_are_named() -> None:
    assert safe_text("a\u202eb\u200bc") == "a<U+202E>b<U+200B>c"


@given(st.text())
def test_a_line_is_one_line(text: str) -> None:
    assert "\n" not in safe_line(text)


def test_a_cut_says_how_much_is_missing() -> None:
    assert safe_text("x" * 10, limit=4) == "xxxx\u2026 (6 more characters)"
