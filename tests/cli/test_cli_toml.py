"""What is written as TOML reads back as the same configuration."""

import tomllib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.cli.toml import dump, literal, text_of_duration, text_of_size, values_of
from ouroboros.config import Config, Duration, Size, parse, parse_duration, parse_size
from ouroboros.model.text import safe_text

CONFIG = b"""
[target]
branch = "wild \\"branch\\" \\u007f"
[environment]
variables = { A = "1", "b c" = "\\t" }
[benchmarks."a.b"]
command = ["x", "\\\\"]
timeout = "250ms"
max_degradation = 0.1
[governor]
mode = "autonomous"
[sandbox]
memory = 12345
"""


@pytest.mark.parametrize("source", [b"", CONFIG])
def test_a_dumped_configuration_is_the_same(source: bytes) -> None:
    config = parse(source).config
    assert parse(dump(values_of(config)).encode()).config == config


def test_durations_and_sizes_are_written_as_in_the_file() -> None:
    values = values_of(Config())
    assert values["engine"]["interval"] == "1h"
    assert values["sandbox"]["memory"] == "1GiB"
    assert values["governor"]["mode"] == "supervised"


@given(st.integers(min_value=1, max_value=10**15))
def test_every_duration_reads_back(ms: int) -> None:
    exact = Duration(ms * 1_000)
    text = text_of_duration(exact)
    assert abs(parse_duration(text) - exact) <= exact * 1e-5


@given(st.integers(min_value=1, max_value=10**7))
def test_whole_milliseconds_are_exact(ms: int) -> None:
    assert parse_duration(text_of_duration(Duration(ms * 1_000_000))) == ms * 1_000_000


@given(st.integers(min_value=1, max_value=1 << 50))
def test_every_size_reads_back(value: int) -> None:
    assert parse_size(text_of_size(Size(value))) == value


PLAIN = st.text(st.characters(exclude_categories=("Cs",)), max_size=20)
VALUES = st.recursive(
    st.booleans() | st.integers(-(2**63), 2**63 - 1) | PLAIN | st.lists(PLAIN, max_size=3),
    lambda inner: st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(PLAIN, VALUES, max_size=4))
def test_any_table_reads_back(values: dict[str, Any]) -> None:
    assert tomllib.loads(dump(values)) == values


@pytest.mark.parametrize(
    "text", ["\x1b]52;\x07", "\x9b2J\x7f", "\u202egnp\u2066", "\U000e0041\u200b"]
)
def test_text_that_hides_or_steers_is_written_as_an_escape(text: str) -> None:
    written = literal(f"caf\u00e9 {text}")
    assert "\u00e9" in written
    assert safe_text(written) == written
    assert tomllib.loads(f"x = {written}")["x"] == f"caf\u00e9 {text}"
