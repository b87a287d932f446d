"""JUnit XML reports of a test command: brought out of the sandbox, and read without trust.

The report is a file that any code of the run could have written, so that it proves no more than
the exit code does; but it names tests, and a candidate that no longer runs some of the baseline's
is found out. It comes over the result channel: a shell removes an old report, runs the command,
keeps its exit code and sends the file. Here it is parsed by expat with handlers of our own, no
document type (and thus no entities), nothing unbounded; whatever is wrong with it is a flaw of the
records, never an exception.
"""

from xml.parsers import expat

import msgspec

from ouroboros.evaluation.records import Records
from ouroboros.sandbox.command import RESULT_FD

MOST_BYTES = 8 << 20
"""Largest report that is read."""

_MOST_DEPTH = 64
_MOST_TESTS = 200_000
_MOST_NAME = 1000

_SCRIPT = f"""report=$1; shift
rm -rf -- "$report"
"$@"
code=$?
if [ -f "$report" ] && [ ! -L "$report" ]; then
  {{
    printf '{{"kind":"junit","report":"'
    head -c {MOST_BYTES + 1} "$report" | base64 | tr -d '\\n'
    printf '"}}\\n'
  }} >&{RESULT_FD}
fi
exit "$code"
"""
_BEGIN = b'{"kind":"junit",'


class Sent(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="junit"):
    """The report as the shell sends it, in base64."""

    report: bytes


def command(argv: tuple[str, ...], report: str) -> tuple[str, ...]:
    """Wrap a test command so that its report comes over the result channel.

    Args:
        argv: the command.
        report: path of the report, relative to the tree.
    """
    return ("/bin/sh", "-c", _SCRIPT, "sh", f"./{report}", *argv)


def split(data: bytes) -> tuple[list[bytes], bytes]:
    """Part what the shell sent from what others wrote to the result channel."""
    lines = data.splitlines(keepends=True)
    reports = [line for line in lines if line.startswith(_BEGIN)]
    return reports, b"".join(line for line in lines if not line.startswith(_BEGIN))


def received(lines: list[bytes]) -> Records:
    """Read what the shell sent."""
    if not lines:
        return Records(flaw="The command wrote no JUnit report, or wrote it somewhere else.")
    if len(lines) > 1:
        return Records(flaw="There is more than one JUnit report.")
    try:
        sent = msgspec.json.decode(lines[0], type=Sent)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Records(flaw="The JUnit report was cut off or written over.")
    return parse(sent.report)


def parse(report: bytes) -> Records:
    """Read a report; tests are named `classname.name`, of tests with one name the worst counts."""
    if len(report) > MOST_BYTES:
        return Records(flaw=f"The JUnit report is larger than {MOST_BYTES >> 20} MiB.")
    reader = _Reader()
    parser = expat.ParserCreate()
    parser.buffer_text = False
    parser.StartDoctypeDeclHandler = reader.doctype
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    try:
        parser.Parse(report, True)
    except _Flaw as flaw:
        return Records(flaw=str(flaw))
    except (expat.ExpatError, ValueError, LookupError) as error:
        return Records(flaw=f"The JUnit report is not XML: {error}.")
    return reader.records()


class _Flaw(Exception):  # noqa: N818 - a finding of this file, it never leaves it
    """The report is not believed."""


_EASED = {"skipped": "skipped", "failure": "failed", "error": "failed"}
_NOT_RUN = {"notrun", "disabled", "suppressed", "skipped"}
_RANK = ("passed", "xfailed", "skipped", "failed")


class _Reader:
    def __init__(self) -> None:
        self._path: list[str] = []
        self._ids: list[str] = []
        self._outcomes: list[str] = []
        self._errors: list[str] = []
        self._suites: list[str] = []

    def doctype(self, *_: object) -> None:
        raise _Flaw("The JUnit report has a document type, which no report needs.")

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        if not self._path and tag not in ("testsuites", "testsuite"):
            raise _Flaw("The XML file is not a JUnit report.")
        above = self._path[-1] if self._path else ""
        self._path.append(tag)
        if len(self._path) > _MOST_DEPTH:
            raise _Flaw("The JUnit report is nested too deeply.")
        if tag == "testsuite":
            self._suites.append(attributes.get("name", "")[:_MOST_NAME])
        elif tag == "testcase":
            self._start_test(attributes)
        elif tag in _EASED and above == "testcase":
            self._note(_outcome(tag, attributes))
        elif tag in ("failure", "error") and above == "testsuite":
            self._errors.append(self._suites[-1] or "(a test suite)")

    def _start_test(self, attributes: dict[str, str]) -> None:
        if "testcase" in self._path[:-1]:
            raise _Flaw("The JUnit report has a test within a test.")
        if len(self._ids) >= _MOST_TESTS:
            raise _Flaw(f"The JUnit report has more than {_MOST_TESTS} tests.")
        parts = (attributes.get("classname", ""), attributes.get("name", ""))
        self._ids.append(".".join(p[:_MOST_NAME] for p in parts if p))
        idle = {attributes.get("status", ""), attributes.get("result", "")} & _NOT_RUN
        self._outcomes.append("skipped" if idle else "passed")

    def _note(self, outcome: str) -> None:
        self._outcomes[-1] = max(self._outcomes[-1], outcome, key=_RANK.index)

    def end(self, tag: str) -> None:
        self._path.pop()
        if tag == "testsuite":
            self._suites.pop()

    def records(self) -> Records:
        worst: dict[str, str] = {}
        for name, outcome in zip(self._ids, self._outcomes, strict=True):
            worst[name] = max(worst.get(name, outcome), outcome, key=_RANK.index)
        return Records(collected=tuple(self._ids), tests=worst, errors=tuple(self._errors))


def _outcome(tag: str, attributes: dict[str, str]) -> str:
    expected = tag == "skipped" and "xfail" in attributes.get("type", "")
    return "xfailed" if expected else _EASED[tag]
