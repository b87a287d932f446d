import base64
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.config import Framework
from ouroboros.evaluation import junit
from ouroboros.evaluation.suite import TestRun, judge_baseline, judge_candidate
from ouroboros.model.evaluation import CheckStatus, Sample
from ouroboros.sandbox import Ending, Outcome

REPORT = b"""<?xml version="1.0" encoding="utf-8"?>
<testsuites><testsuite name="s" tests="5" failures="1">
  <properties><property name="x" value="y"/></properties>
  <testcase classname="a.B" name="one" file="x.py" line="3" time="0.1"/>
  <testcase classname="a.B" name="two"><failure message="m">text</failure></testcase>
  <testcase classname="a.B" name="three"><skipped type="pytest.skip"/></testcase>
  <testcase classname="a.B" name="four"><skipped type="pytest.xfail"/></testcase>
  <testcase name="five"><error/><system-out><failure/></system-out></testcase>
  <testcase classname="a.B" name="six" status="notrun"/>
  <testcase classname="a.B" name="one"><failure/></testcase>
</testsuite></testsuites>"""


def sent(report: bytes) -> bytes:
    """What the shell writes."""
    return json.dumps(
        {"kind": "junit", "report": base64.b64encode(report).decode()}, separators=(",", ":")
    ).encode()


def suite_of(*names: str, inner: str = "") -> bytes:
    cases = "".join(f'<testcase classname="c" name="{n}">{inner}</testcase>' for n in names)
    return f"<testsuite>{cases}</testsuite>".encode()


def a_run(report: bytes | None, code: int = 0) -> TestRun:
    outcome = Outcome(
        ending=Ending.EXITED, exit_code=code, sample=Sample(cpu_ns=1, wall_ns=1, rss_bytes=1)
    )
    records = junit.received([] if report is None else [sent(report)])
    return TestRun(outcome=outcome, records=records, log="", report=True)


def test_a_report() -> None:
    lines, rest = junit.split(b'{"kind":"modules"\n' + sent(REPORT) + b"\n{noise\n")
    assert rest == b'{"kind":"modules"\n{noise\n'
    records = junit.received(lines)
    assert records.flaw == ""
    assert records.tests == {
        "a.B.one": "failed",  # the worse of two
        "a.B.two": "failed",
        "a.B.three": "skipped",
        "a.B.four": "xfailed",
        "five": "failed",
        "a.B.six": "skipped",
    }
    assert len(records.collected) == 7


BILLION = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "b"><!ENTITY c "&a;&a;">]>
<testsuite><testcase name="&c;"/></testsuite>"""

HOSTILE = {
    "document type": BILLION,
    "not XML": b"10 passed",
    "no report": b"<html><testcase name='a'/></html>",
    "cut": REPORT[:200],
    "empty": b"",
    "deep": b"<testsuite>" * 1000,
    "nested tests": b"<testsuite><testcase name='a'><testcase name='b'/></testcase></testsuite>",
    "encoding": b'<?xml version="1.0" encoding="no-such"?><testsuite/>',
    "external": b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><testsuite/>',
    "undefined entity": b"<testsuite><testcase name='&x;'/></testsuite>",
    "large": b"<testsuite>" + b" " * junit.MOST_BYTES + b"</testsuite>",
    "nul": b"<testsuite>\0</testsuite>",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_reports_are_flawed(kind: str) -> None:
    records = junit.received([sent(HOSTILE[kind])])
    assert records.flaw
    assert records.tests == {}
    check = judge_candidate(Framework.COMMAND, a_run(HOSTILE[kind]), a_run(suite_of("a")))
    assert (check.status, check.code) == (CheckStatus.FAILED, "unreadable_report")


@given(st.binary(), st.binary())
def test_nothing_is_ever_raised(one: bytes, other: bytes) -> None:
    junit.parse(one)
    junit.parse(b"<testsuite>" + one)
    junit.received(junit.split(one + sent(other))[0])
    junit.received([one])


def test_what_is_no_single_report() -> None:
    assert junit.received([]).flaw
    assert junit.received([sent(REPORT), sent(REPORT)]).flaw
    assert junit.received([sent(REPORT)[:-9]]).flaw
    assert junit.received([b'{"kind":"junit","report":3}']).flaw


@pytest.mark.parametrize(
    ("report", "code", "expected"),
    [
        (suite_of("a", "b"), 0, "ok"),
        (suite_of("a", "b"), 1, "tests_failed"),
        (suite_of("a"), 0, "missing_tests"),
        (suite_of("a", "b", "c"), 0, "changed_tests"),
        (suite_of("a", "b", "b"), 0, "changed_tests"),
        (suite_of("a", "b", inner="<failure/>"), 0, "tests_failed"),
        (suite_of("a", "b", inner="<skipped/>"), 0, "newly_skipped"),
        (None, 0, "unreadable_report"),
        (None, 1, "tests_failed"),
    ],
)
def test_exit_code_and_report_must_agree(report: bytes | None, code: int, expected: str) -> None:
    check = judge_candidate(Framework.COMMAND, a_run(report, code), a_run(suite_of("a", "b")))
    assert check.code == expected
    assert (check.status is CheckStatus.PASSED) == (expected == "ok")


def test_a_baseline_without_report_is_an_error_that_says_what_to_do() -> None:
    for report in (None, b"<testsuite/>"):
        check = judge_baseline(Framework.COMMAND, a_run(report))
        assert (check.status, check.code) == (CheckStatus.ERROR, "baseline_red")
    assert "[tests] junit" in judge_baseline(Framework.COMMAND, a_run(None)).text
