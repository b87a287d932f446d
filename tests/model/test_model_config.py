"""The configuration: strict, and helpful when it says no."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.config import Mode, line_of, load, parse, parse_duration, parse_size, schema
from ouroboros.errors import ConfigError


def test_an_empty_file_is_the_documented_defaults() -> None:
    config = parse(b"").config
    assert config.governor.mode is Mode.SUPERVISED
    assert config.governor.max_degradation == 0.05
    assert config.engine.interval.seconds == 3600


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("[governor]\nmax_degradtion = 0.1", 2, "Unknown key 'max_degradtion'"),
        ('[governor]\n\nmax_degradation = "5%"', 3, "float"),
        ('[sandbox]\nmemory = "1GB"', 2, "512MiB"),
        ("[governor]\nmax_degradation = 5.0", 2, "between 0 and 1"),
        ("[governor]\nmin_pairs = 9\nmax_pairs = 3", 3, "min_pairs <= max_pairs"),
        ('[tests]\nframework = "nose"', 2, "nose"),
        ('[tests]\nframework = "command"', 2, "needs a command"),
        ('[tests]\njunit = "report.xml"', 2, "belongs to"),
        ('[tests]\nframework = "command"\ncommand = ["a"]\njunit = "../r.xml"', 4, "inside"),
        ("[benchmarks.x]\ncommand = []", 2, "empty"),
        ('[environment]\npath = ["../secrets"]', 2, "inside the repository"),
        ("[engine]\ninterval = true", 2, "duration"),
        ("[nonsense]\nx = 1", 1, "Unknown key 'nonsense'"),
        ('[ledger]\nhead_file = "heads"', 2, "absolute path"),
        ('[ledger]\nallowed_signers = "~/signers"', 2, "absolute path"),
        ('[ledger]\nhead_webhook = "example.org"', 2, "https://"),
        ("[ledger]\nrequire_signatures = true", 2, "needs operators"),
        ('[ledger]\n[ledger.operators]\nann = "ssh-rsa AAAA"', 3, "ssh-ed25519"),
        ("[ledger]\nhead_every = 0", 2, "duration"),
        ('[storage]\nmin_free = "lots"', 2, "512MiB"),
        ("[storage]\nkeep_evidence = 0", 2, "duration"),
        ("[storage]\nmax_refs = 0", 2, "at least 1"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, line: int, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), origin="ouroboros.toml")
    assert words in str(caught.value)
    assert f"ouroboros.toml:{line}:" in str(caught.value)


def test_a_file_that_is_not_toml_says_where() -> None:
    with pytest.raises(ConfigError, match="line 2"):
        parse(b"[governor]\nmode = \n")


def test_a_missing_file_says_how_to_make_one(tmp_path: object) -> None:
    from pathlib import Path

    with pytest.raises(ConfigError, match="ouroboros init"):
        load(Path(str(tmp_path)) / "ouroboros.toml")


@given(st.integers(1, 10**6), st.sampled_from([("ms", 10**6), ("s", 10**9), ("m", 60 * 10**9)]))
def test_durations_are_exact(count: int, unit: tuple[str, int]) -> None:
    assert parse_duration(f"{count}{unit[0]}") == count * unit[1]


@given(st.integers(1, 10**6), st.sampled_from([("B", 1), ("KiB", 1024), ("MiB", 1 << 20)]))
def test_sizes_are_exact(count: int, unit: tuple[str, int]) -> None:
    assert parse_size(f"{count} {unit[0]}") == count * unit[1]


@given(
    st.one_of(st.text(), st.booleans(), st.none(), st.floats(max_value=0), st.just(float("nan")))
)
def test_rubbish_is_refused_with_a_value_error(value: object) -> None:
    for read in (parse_duration, parse_size):
        try:
            assert read(value) > 0
        except ValueError as error:
            assert "Expected" in str(error)


def test_the_schema_is_json_and_closed() -> None:
    text = json.dumps(schema())
    assert '"max_degradation"' in text
    assert '"additionalProperties": false' in text


def test_line_of_finds_dotted_and_nested_keys() -> None:
    text = "[a]\nx = 1\n[b.c]\ny = 2\nz.w = 3\n"
    assert line_of("a.x", text) == 2
    assert line_of("b.c.y", text) == 4
    assert line_of("b.c.z.w", text) == 5
    assert line_of("nothing", text) == 0


@given(st.binary(max_size=200))
def test_no_bytes_crash_the_reader(source: bytes) -> None:
    try:
        parse(source)
    except ConfigError as error:
        assert str(error)
