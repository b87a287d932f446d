import json
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.config import Framework
from ouroboros.evaluation import proof
from ouroboros.evaluation.records import Modules, decode
from ouroboros.evaluation.records import proof as proof_of
from ouroboros.evaluation.shadow import shadowing
from ouroboros.evaluation.suite import TestRun, judge_baseline, judge_candidate
from ouroboros.model.evaluation import CheckStatus, Sample
from ouroboros.sandbox import Ending, Outcome

OUTCOMES = ["passed", "failed", "skipped", "xfailed", "xpassed", "unknown"]
SAMPLE = Sample(cpu_ns=1, wall_ns=1, rss_bytes=1)


def lines(*records: dict[str, object]) -> bytes:
    return b"".join(json.dumps(r).encode() + b"\n" for r in records)


def a_run(tests: dict[str, str], *, status: int | None = 0, code: int = 0) -> TestRun:
    records = [{"kind": "collected", "ids": list(tests)}]
    records += [{"kind": "test", "id": i, "outcome": o, "seconds": 0.1} for i, o in tests.items()]
    if status is not None:
        records.append({"kind": "end", "status": status})
    outcome = Outcome(ending=Ending.EXITED, exit_code=code, sample=SAMPLE)
    return TestRun(outcome=outcome, records=decode(lines(*records)), log="")


@given(st.binary())
def test_decoding_never_raises(data: bytes) -> None:
    decode(data)


def test_what_is_no_record_makes_all_unbelievable() -> None:
    good = lines({"kind": "end", "status": 0})
    assert decode(good).readable
    assert not decode(good + b"10 passed\n").readable
    assert not decode(good, whole=False).readable
    assert not decode(good + good).readable, "an end comes once"
    assert not decode(lines({"kind": "praise"})).readable


KEY = b"0" * 64


def proven(*records: dict[str, object], key: bytes = KEY, first: int = 0) -> list[bytes]:
    texts = [json.dumps(r).encode() for r in records]
    return [proof_of(t, n, key) + b" " + t + b"\n" for n, t in enumerate(texts, first)]


HONEST = proven(
    {"kind": "collected", "ids": ["a", "b"]},
    {"kind": "test", "id": "a", "outcome": "passed", "seconds": 0.1},
    {"kind": "test", "id": "b", "outcome": "failed", "seconds": 0.1},
    {"kind": "end", "status": 1},
)


def test_records_with_proofs() -> None:
    records = decode(b"".join(HONEST), key=KEY)
    assert records.readable
    assert records.failed == ("b",)


def test_a_line_is_ours_to_the_last_bit() -> None:
    for at in range(len(HONEST[0]) - 1):
        for bit in range(8):
            line = bytearray(HONEST[0])
            line[at] ^= 1 << bit
            assert not decode(b"".join([bytes(line), *HONEST[1:]]), key=KEY).readable, (at, bit)


@given(st.data())
def test_nobody_else_can_write_leave_out_or_repeat_a_record(data: st.DataObject) -> None:
    changed = list(HONEST)
    at = data.draw(st.integers(0, len(HONEST) - 1))
    forged = [
        *proven({"kind": "test", "id": "b", "outcome": "passed", "seconds": 0.1}, first=at),
        *proven({"kind": "end", "status": 0}, first=at, key=b"1" * 64),
        lines({"kind": "end", "status": 0}),
        data.draw(st.binary(min_size=1)) + b"\n",
        HONEST[at],
    ]
    match data.draw(st.integers(0, 3)):
        case 0:
            changed.insert(at, data.draw(st.sampled_from(forged[1:])))
        case 1:
            changed[at] = data.draw(st.sampled_from(forged[1:4]))
        case 2:
            changed[at], changed[at - 1] = changed[at - 1], changed[at]
        case 3:
            bits = bytearray(changed[at])
            bits[data.draw(st.integers(0, len(bits) - 2))] ^= 1
            changed[at] = bytes(bits)
    assert not decode(b"".join(changed), key=KEY).readable


@given(st.integers(0, 2))
def test_a_report_that_is_cut_off_has_no_end(count: int) -> None:
    records = decode(b"".join(HONEST[: count + 1]), key=KEY)
    assert records.end is None


@pytest.mark.parametrize(
    "records",
    [
        [HONEST_TEST := {"kind": "test", "id": "a", "outcome": "passed", "seconds": 0}],
        [{"kind": "collected", "ids": ["a"]}, HONEST_TEST, HONEST_TEST],
        [{"kind": "collected", "ids": ["b"]}, HONEST_TEST],
        [{"kind": "collected", "ids": ["a"]}, HONEST_TEST | {"outcome": "splendid"}],
        [{"kind": "collected", "ids": ["a"]}, {"kind": "collected", "ids": ["a"]}],
        [{"kind": "end", "status": 0}, {"kind": "error", "id": "a"}],
        [
            {"kind": "end", "status": 0},
            {"kind": "modules", "inside": [], "outside": [], "stdlib": ""},
        ],
    ],
)
def test_records_in_an_order_that_no_test_run_has(records: list[dict[str, object]]) -> None:
    assert not decode(lines(*records)).readable


def test_a_failure_is_not_forgotten_when_the_test_passes_later() -> None:
    both = [{"kind": "test", "id": "t", "outcome": o, "seconds": 0} for o in ("failed", "passed")]
    collected = {"kind": "collected", "ids": ["t", "t"]}
    assert decode(lines(collected, *both)).failed == ("t",)
    assert decode(lines(collected, *reversed(both))).failed == ("t",)


@given(
    base=st.dictionaries(st.text(max_size=3), st.sampled_from(OUTCOMES[:1] + OUTCOMES[2:5])),
    mine=st.dictionaries(st.text(max_size=3), st.sampled_from(OUTCOMES)),
    status=st.sampled_from([0, 1, None]),
    code=st.sampled_from([0, 1]),
)
def test_passed_means_all_agree(
    base: dict[str, str], mine: dict[str, str], status: int | None, code: int
) -> None:
    check = judge_candidate(Framework.PYTEST, a_run(mine, status=status, code=code), a_run(base))
    honest = (
        status == code == 0
        and set(mine) == set(base)
        and all(o not in ("failed", "unknown") for o in mine.values())
        and all(mine[i] == "passed" for i, o in base.items() if o == "passed")
    )
    assert (check.status is CheckStatus.PASSED) == honest
    assert check.status is not CheckStatus.ERROR
    assert (check.code == "ok") == honest


@pytest.mark.parametrize(
    ("mine", "code"),
    [
        ({"a": "passed"}, "missing_tests"),
        ({"a": "passed", "b": "passed", "c": "passed"}, "changed_tests"),
        ({"a": "passed", "b": "skipped"}, "newly_skipped"),
        ({"a": "passed", "b": "xfailed"}, "newly_skipped"),
        ({"a": "passed", "b": "xpassed"}, "newly_skipped"),
        ({"a": "passed", "b": "passed"}, "ok"),
    ],
)
def test_codes(mine: dict[str, str], code: str) -> None:
    base = a_run({"a": "passed", "b": "passed"})
    assert judge_candidate(Framework.PYTEST, a_run(mine), base).code == code


def test_a_baseline_is_never_failed() -> None:
    for run in (
        a_run({"a": "failed"}, status=1, code=1),
        a_run({}),
        a_run({"a": "passed"}, code=3),
    ):
        check = judge_baseline(Framework.PYTEST, run)
        assert (check.status, check.code) == (CheckStatus.ERROR, "baseline_red")
        assert "-p" in check.text


def test_blob_is_gits(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"a\r\nb\0")
    git = subprocess.run(
        ["git", "hash-object", "--no-filters", str(file)], capture_output=True, check=True
    )
    assert proof.blob(file) == git.stdout.decode().strip()


def modules(*outside: tuple[str, str]) -> list[Modules]:
    return [Modules(inside=(), outside=outside, stdlib="/usr/lib/python3.11")]


def test_wrong_files(tmp_path: Path) -> None:
    for name in ("src/shop/__init__.py", "src/shop/prices.py", "json.py", "lib/one.py"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("")
    site = "/venv/lib/python3.11/site-packages"
    roots = (".",)
    assert proof.wrong_files(tmp_path, roots, modules(("shop.prices", f"{site}/shop/prices.py")))
    assert proof.wrong_files(
        tmp_path, roots, modules(("shop", "/home/u/clone/src/shop/__init__.py"))
    )
    for honest in (
        ("pytest", f"{site}/pytest/__init__.py"),
        ("json", "/usr/lib/python3.11/json/__init__.py"),
        ("shop-extra", f"{site}/shop-extra.py"),
        ("../json", f"{site}/x.py"),
    ):
        assert proof.wrong_files(tmp_path, roots, modules(honest)) == ""


def test_shadowing(tmp_path: Path) -> None:
    base, mine = tmp_path / "base", tmp_path / "mine"
    for tree in (base, mine):
        (tree / "src/types").mkdir(parents=True)
        (tree / "src/queue.py").write_text("")
    for name in (
        *("json.py", "_pytest/__init__.py", "src/pytest.cpython-311-x86_64-linux-gnu.so"),
        *("src/types/__init__.py", "_ouroboros_report.py", "shop/json.py", "email/data.txt"),
        *("src/queue.py", "shop.py", "json.txt"),
    ):
        (mine / name).parent.mkdir(exist_ok=True)
        (mine / name).write_text("")
    assert shadowing(base, mine, ("src", "no/such")) == (
        *("_ouroboros_report", "_pytest", "json", "src/pytest", "src/types"),
    )
    assert shadowing(mine, mine, ("src",)) == ()
