"""The configuration: strict, and helpful when it says no."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.config import Config, Mode, line_of, load, parse, parse_duration, parse_size, schema
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
        ("[governor]\nmin_gain = 1.0", 2, "between 0 and 1"),
        ("[governor]\nalpha_accept = nan", 2, "between 0 and 1"),
        ("[governor.budget]\nfdr_level = 1.0", 2, "between 0 and 1"),
        ("[governor.budget]\nanchor_gain = 0.0", 2, "between 0 and 1"),
        ("[governor.budget]\nanchor_every = 0", 2, "at least 1"),
        ("[governor.budget]\nsimilarity = 0.5", 2, "more than 0.5"),
        ("[governor.budget]\nsimilarity = nan", 2, "more than 0.5"),
        ("[governor.budget]\nsimilarity = 1.01", 2, "at most 1"),
        ("[governor.calibration]\npairs = 3", 2, "at least 4"),
        ("[governor.calibration]\ntoo_noisy = 0.0", 2, "above 0"),
        ("[governor.calibration]\ntoo_noisy = inf", 2, "above 0"),
        ("[governor.limits]\npromotions_per_day = 0", 2, "at least 1"),
        ("[governor.limits]\nquorum = 0", 2, "at least 1"),
        ("[governor.limits]\nreviewed_quorum = -1", 2, "at least 1"),
        ("[governor.limits]\nrollbacks_in_a_row = 0", 2, "at least 1"),
        ('[governor.limits]\nreviewed = ["../x"]', 2, "relative to the repository"),
        ("[governor.autonomy]\npaths = []", 2, "at least one glob"),
        ('[governor.autonomy]\npaths = [""]', 2, "relative to the repository"),
        ("[governor.autonomy]\nproposers = []", 2, "at least one glob"),
        ("[governor.autonomy]\nmin_gain = 1.0", 2, "below 1"),
        ('[ledger]\nhead_file = "heads"', 2, "absolute path"),
        ('[ledger]\nallowed_signers = "~/signers"', 2, "absolute path"),
        ('[ledger]\nhead_webhook = "example.org"', 2, "https://"),
        ('[rpc]\nlisten = "localhost:80"', 2, "address and a port"),
        ('[rpc]\nlisten = "127.0.0.1:70000"', 2, "address and a port"),
        ('[rpc]\nlisten = "0.0.0.0:7717"', 2, "needs tls_cert"),
        ('[rpc]\ntls_cert = "/c.pem"', 2, "belong together"),
        ('[rpc]\nsocket = "x.sock"', 2, "absolute path"),
        ('[rpc]\norigins = ["*"]', 2, "without a path"),
        ('[rpc]\nsocket = "/s"\n[rpc.users]\nann = "king"', 4, "viewer, operator"),
        ('[rpc.groups]\nops = "viewer"', 1, "needs [rpc] socket"),
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


BENCH = '[benchmarks.b]\ncommand = ["true"]\n'
SCORE = BENCH + "[benchmarks.b.metrics.score]\n"


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        (SCORE + "min_gain = 1.0", 4, "between 0 and 1"),
        (SCORE + "max_degradation = 0.0", 4, "above 0"),
        (SCORE + "max_degradation = inf", 4, "above 0"),
        (SCORE + "max_degradation = nan", 4, "above 0"),
        (SCORE + 'kind = "exact"\nrole = "objective"\nmax_degradation = 1.0', 6, "below 1"),
        (SCORE + 'role = "guard"\nscale = "difference"', 3, "own unit"),
        (SCORE + 'role = "objective"\nscale = "difference"\nmax_degradation = 2', 3, "own unit"),
        (SCORE + 'scale = "difference"\nmin_gain = -1', 5, "above 0"),
        (SCORE + "unit = 'a very long unit that no table has room for'", 4, "printable"),
        (SCORE + 'unit = "\\u001b[31m"', 4, "printable"),
        (SCORE + 'files = ["../x"]', 4, "inside of the tree"),
        (SCORE + 'files = ["/etc/*"]', 4, "inside of the tree"),
        (SCORE + 'files = ["a"]\ndirection = "higher"', 5, "lower is always better"),
        (SCORE + 'files = ["a"]\nkind = "paired"', 5, "it is exact"),
        (BENCH + '[benchmarks.b.metrics."a b"]\nrole = "guard"', 3, "letters, digits"),
        (BENCH + '[benchmarks.b.metrics.cpu]\ndirection = "higher"', 4, "lower is always better"),
        (BENCH + '[benchmarks.b.metrics.cpu]\nkind = "exact"', 4, "judged by pairs"),
        (BENCH + '[benchmarks.b.metrics.wall]\nscale = "difference"', 4, "by ratio"),
        (BENCH + '[benchmarks.b.metrics.memory]\nfiles = ["a"]', 4, "otherwise"),
        (BENCH + '[benchmarks.b.metrics.instructions]\nkind = "paired"', 4, "it is exact"),
        (
            BENCH + 'pairing = "duet"\n[benchmarks.b.metrics.wall]\nrole = "guard"',
            5,
            "only be reported",
        ),
        (BENCH + 'evaluator = ["true"]', 3, "metric that it reports"),
        (
            BENCH + 'evaluator = ["true"]\n[benchmarks.b.metrics.size]\nfiles = ["a"]',
            3,
            "metric that it reports",
        ),
        (BENCH + '[benchmarks.b.metrics.cpu]\nrole = "guard"', 4, "No metric is an objective"),
        (BENCH + 'metrics = { cpu = { role = "report" } }', 3, "No metric is an objective"),
        (BENCH + "[governor]\nmax_pairs = 6", 4, "needs 7 pairs"),
        (BENCH + "[governor]\nalpha_accept = 1e-20", 4, "needs 67 pairs"),
        (BENCH + "[governor]\nalpha_improve = 1e-20", 4, "needs 67 pairs"),
        (BENCH.replace(".b", ".c") + BENCH + "[governor]\nalpha_improve = 5e-324", 6, "pairs"),
        (
            BENCH.replace(".b", ".c") + BENCH + "[governor]\nalpha_improve = 1.2e-18",
            6,
            "split over 2 objectives",
        ),
    ],
)
def test_what_contradicts_itself_or_could_never_accept_is_named(
    text: str, line: int, words: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        parse(text.encode(), origin="ouroboros.toml")
    assert words in str(caught.value)
    assert f"ouroboros.toml:{line}:" in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        BENCH + '[benchmarks.b.metrics.cpu]\nrole = "guard"\n[governor]\naccept_neutral = true',
        SCORE + 'role = "objective"\n[benchmarks.b.metrics.cpu]\nrole = "guard"',
        SCORE + 'role = "objective"\nscale = "difference"\nmax_degradation = 2\nmin_gain = 1',
        SCORE + 'files = ["dist/*.whl"]\nmax_degradation = 0.0',
        SCORE + 'kind = "exact"\nrole = "guard"\nmax_degradation = 1.5',
        BENCH + 'pairing = "duet"\n[benchmarks.b.metrics.wall]\nrole = "report"',
        BENCH + '[benchmarks.b.metrics.memory]\nkind = "paired"\nrole = "objective"',
        BENCH + "[governor]\nalpha_improve = 1e-20\naccept_neutral = true",
        "[governor]\nmax_pairs = 6",
        '[challenges.c]\ncall = "m:f"\n' + BENCH + '[benchmarks.b.metrics.cpu]\nrole = "guard"',
    ],
)
def test_what_is_unusual_and_makes_sense_is_taken(text: str) -> None:
    parse(text.encode())


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


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('[service]\ncommand = ["a"]\nstatus = ["b"]', "Either the engine runs it"),
        ('[service]\nstatus = ["b"]', "Only what the engine runs can be restarted"),
        ('[service]\nstatus = ["b"]\n[service.reload]\nby = "signal"', "can be sent a signal"),
        ('[service]\ncommand = ["a"]\n[service.reload]\nby = "http"', "needs a URL"),
        ('[service]\ncommand = ["a"]\n[service.reload]\nby = "command"', "needs one"),
        ('[service]\ncommand = ["a"]\n[service.reload]\nby = "signal"\nsignal = "KILL"', "HUP"),
        ('[service]\ncommand = ["a"]\n[service.health]\nurl = "ftp://x"', "Expected http://"),
        ('[service]\ncommand = ["a"]\n[service.limits]\nmax_error_rate = 0.1', "own numbers"),
        ('[service.health]\nurl = "http://x"', "There is no service"),
        ('[service]\ncommand = ["a"]\n[service.health]\nfailures = 0', "at least 1"),
        ("[service]\nport = 3", "port"),
    ],
)
def test_a_service_that_makes_no_sense_is_told(text: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        parse(text.encode())


def test_a_service_is_read() -> None:
    found = parse(b'[service]\ncommand = ["{python}", "-m", "app"]\nwatch = "2m"\n').config.service
    assert found.configured
    assert found.watch.seconds == 120
    assert not Config().service.configured
