"""`safe_text` lets nothing through that could act on a terminal or hide from a reader."""

import sys
import unicodedata

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ouroboros.model.text import MOST_MARKS, plain_json, safe_json, safe_line, safe_text

HOSTILE = (
    "\x00\x07\x08\x0b\x0c\r\x1b\x7f\x80\x85\x90\x9b\x9c\x9d\x9f\u00ad\u034f\u061c\u115f\u1160"
    "\u17b4\u180b\u180e\u200b\u200d\u200e\u200f\u2028\u2029\u202a\u202e\u2060\u2066\u2069\u206a"
    "\u2800\u3164\ud800\udfff\ue000\ufe0f\ufeff\uffa0\ufff9\ufffb\uffff\U00013430\U0001bca0"
    "\U0001d159\U0001d173\U000e0001\U000e0041\U000e0100\U000f0000\U0010ffff\u0378\u0301\u20dd"
)
texts = st.text(
    alphabet=st.one_of(
        st.sampled_from(HOSTILE),
        st.characters(),
        st.characters(categories=["Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp", "Mn"]),
    )
)
encodable = st.text(
    alphabet=st.one_of(
        st.sampled_from([c for c in HOSTILE if not "\ud800" <= c <= "\udfff"] + ['"', "\\", "u"]),
        st.characters(exclude_categories=["Cs"]),
    )
)


def is_dangerous(char: str) -> bool:
    """The oracle, from Unicode's own tables and the code points that they call ignorable."""
    code, category = ord(char), unicodedata.category(char)
    ignorable = code in {0x34F, 0x115F, 0x1160, 0x17B4, 0x17B5, 0x2800, 0x3164, 0xFFA0, 0x16FE4}
    selector = 0x180B <= code <= 0x180F or 0xFE00 <= code <= 0xFE0F or 0xE0100 <= code <= 0xE01EF
    kind = category in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}
    return char not in "\n\t" and (kind or ignorable or selector or code == 0x1D159)


@settings(deadline=None)
@given(texts)
def test_no_dangerous_character_survives(text: str) -> None:
    assert [hex(ord(c)) for c in safe_text(text) if is_dangerous(c)] == []


def test_no_dangerous_code_point_of_all_of_unicode_survives() -> None:
    shown = safe_text("\n".join(map(chr, range(sys.maxunicode + 1))))
    assert {c for c in shown if is_dangerous(c)} == set()


@settings(deadline=None)
@given(texts)
def test_it_is_idempotent(text: str) -> None:
    assert safe_text(safe_text(text)) == safe_text(text)


@settings(deadline=None)
@given(
    st.text(
        alphabet=st.characters(min_codepoint=0x20, max_codepoint=0x7E) | st.sampled_from("\n\t")
    )
)
def test_printable_ascii_is_unchanged(text: str) -> None:
    assert safe_text(text) == text


@settings(deadline=None)
@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "Zs"])))
def test_ordinary_text_is_unchanged(text: str) -> None:
    if not any(map(is_dangerous, text)):
        assert safe_text(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "Gr\u00fc\u00dfe, cafe\u0301, \u05e9\u05c1\u05b8\u05dc\u05d5\u05b9\u05dd",
        "\u0928\u092e\u0938\u094d\u0924\u0947 \u1019\u103c\u1014\u103a\u1019\u102c",
        "\u0e17\u0e35\u0e48",
        "\u4e2d\u6587\u3000\u5b57\u7b26, 1\u00a0000 \u20ac, \u2264 45\u202fms \u2192 ok \u2713",
    ],
)
def test_no_language_is_mutilated(text: str) -> None:
    assert safe_text(text) == text


def test_osc_52_is_shown_not_sent() -> None:
    assert safe_text("\x1b]52;c;ZXZpbA==\x07") == "\u241b]52;c;ZXZpbA==\u2407"


def test_escapes_of_eight_bits_are_shown_too() -> None:
    assert safe_text("\x9d52;c;ZXZpbA==\x9c\x9b2J") == "<U+009D>52;c;ZXZpbA==<U+009C><U+009B>2J"


def test_a_carriage_return_cannot_overwrite_a_line() -> None:
    assert safe_text("evil\rgood") == "evil\u240dgood"


def test_bidi_and_zero_width_are_named() -> None:
    assert safe_text("a\u202eb\u200bc\u061cd") == "a<U+202E>b<U+200B>c<U+061C>d"


def test_a_flood_of_marks_stays_in_its_line() -> None:
    shown = safe_text("a" + "\u0301" * 100)
    assert shown.startswith("a" + "\u0301" * MOST_MARKS + "<U+0301>")
    assert shown.count("\u0301") == MOST_MARKS


@settings(deadline=None)
@given(texts)
def test_a_line_is_one_line(text: str) -> None:
    assert "\n" not in safe_line(text)
    assert "\t" not in safe_line(text)


def test_a_cut_says_how_much_is_missing() -> None:
    assert safe_text("x" * 10, limit=4) == "xxxx\u2026 (6 more characters)"


@settings(deadline=None)
@given(st.recursive(encodable, lambda inner: st.lists(inner) | st.dictionaries(encodable, inner)))
def test_json_made_safe_holds_safe_strings_and_nothing_else_changed(value: object) -> None:
    shown = safe_json(msgspec.json.encode(value))
    assert msgspec.json.decode(shown) == _walk(value)
    assert not any(map(is_dangerous, shown.decode()))


def _walk(value: object) -> object:
    if isinstance(value, dict):
        return {safe_text(str(k)): _walk(v) for k, v in value.items()}
    return [_walk(v) for v in value] if isinstance(value, list) else safe_text(str(value))


@settings(deadline=None)
@given(st.dictionaries(encodable, st.lists(encodable)))
def test_plain_json_is_the_same_value_without_a_dangerous_character(value: object) -> None:
    shown = plain_json(msgspec.json.encode(value))
    assert msgspec.json.decode(shown) == value
    assert safe_text(shown.decode()) == shown.decode()


def test_plain_json_knows_a_flood_of_marks() -> None:
    shown = plain_json(msgspec.json.encode(["a" + "\u0301" * 100])).decode()
    assert shown.count("\u0301") == MOST_MARKS
    assert msgspec.json.decode(shown) == ["a" + "\u0301" * 100]
