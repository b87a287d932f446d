"""The tests: how they are run, and when their answer is believed.

A test run is untrusted code reporting on itself. It is believed only if three things agree that
are told in different ways: the exit code of the process, the END record on the private channel,
and the record of each test. And a candidate must run exactly the tests of the baseline, with none
newly skipped or expected to fail: `os._exit(0)` at import passes no test, it runs none.

Plugins are not loaded by themselves (`PYTEST_DISABLE_PLUGIN_AUTOLOAD`), since an entry point in the
tree would be one more way into the judge; `[tests] command = ["-p", "NAME"]` names those that the
tests need. With `framework = "command"` there is nothing but the exit code, and the evaluation
says so.
"""

from pathlib import Path

import msgspec

from ouroboros.config import Duration, Framework
from ouroboros.evaluation.lab import Job
from ouroboros.evaluation.records import Records, decode
from ouroboros.model.evaluation import Assurance, CheckOutcome, CheckStatus
from ouroboros.model.text import safe_line, safe_text
from ouroboros.sandbox import HARNESS, Command, Ending, Outcome

_NAMED = 5
_TAIL = 400
_TRACED = 5
"""Tracing lines slows tests down; so many times their timeout is given for it."""
_EASED = {"skipped", "xfailed", "xpassed"}

_NETWORK_ERRORS = (
    b"Name or service not known",
    b"Temporary failure in name resolution",
    b"Network is unreachable",
    b"Connection refused",
)

LIMIT_CODES = {
    Ending.TIMEOUT: "timeout",
    Ending.MEMORY: "memory",
    Ending.PROCESSES: "processes",
    Ending.CPU: "cpu",
    Ending.TREE: "tree",
    Ending.OUTPUT: "output",
    Ending.SIGNALLED: "crash",
}
"""Codes of the endings that are the command's fault whatever it is."""


class TestRun(msgspec.Struct, frozen=True, kw_only=True):
    """A finished run: how it ended, what it reported, and the evidence hash of its output."""

    __test__ = False  # pytest would try to collect it
    outcome: Outcome
    records: Records
    log: str


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A code and a sentence; `ok` where there is nothing to say."""

    code: str
    text: str


def assurance(framework: Framework) -> Assurance:
    """How much a passed run proves."""
    return Assurance.EXIT_CODE if framework is Framework.COMMAND else Assurance.TESTS


async def run(job: Job, tree: Path, *, coverage: bool = False) -> TestRun:
    """Run the tests once on a tree; with `coverage` they also report what they execute.

    Raises:
        SandboxError: the sandbox failed.
    """
    command = _command(job, tree)
    if coverage:
        command = msgspec.structs.replace(
            command,
            env=command.env | {"OUROBOROS_COVERAGE": "1"},
            timeout=Duration(command.timeout * _TRACED),
        )
    outcome = await job.run(command)
    records = decode(outcome.result, whole=outcome.result_whole)
    return TestRun(outcome=outcome, records=records, log=await job.lab.log(outcome))


def _command(job: Job, tree: Path) -> Command:
    plan = job.plan
    tests = plan.config.tests
    python = plan.python
    match tests.framework:
        case Framework.PYTEST:
            argv = (python, "-m", "pytest", "-p", "_ouroboros_pytest", *job.argv(tests.command))
            off = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
            return job.command(argv, tree, tests.timeout, harness=True, variables=off)
        case Framework.UNITTEST:
            script = f"{HARNESS}/_ouroboros_unittest.py"
            argv = (python, script, *job.argv(tests.command))
            return job.command(argv, tree, tests.timeout, harness=True)
        case Framework.COMMAND:
            return job.command(job.argv(tests.command), tree, tests.timeout, witness=True)


def judge_baseline(framework: Framework, run: TestRun) -> CheckOutcome:
    """Whether the baseline's tests are a measure at all. What is wrong here is nobody's fault."""
    finding = _believed(framework, run)
    if finding is None and framework is not Framework.COMMAND and not run.records.tests:
        finding = Finding(code="no_tests", text="no test was found.")
    if finding is None:
        return _check("baseline-tests", run, Finding(code="ok", text=_summary(run)))
    hint = "Make the tests pass on the branch first"
    if framework is Framework.PYTEST:
        hint += '; pytest plugins must be named: [tests] command = ["-p", "NAME"]'
    text = f"The tests do not pass on the baseline: {finding.text} {hint}."
    red = Finding(code="baseline_red", text=text)
    return _check("baseline-tests", run, red, CheckStatus.ERROR)


def judge_candidate(framework: Framework, run: TestRun, baseline: TestRun) -> CheckOutcome:
    """Whether the candidate passes exactly the tests that the baseline passes."""
    finding = _believed(framework, run)
    if finding is None and framework is not Framework.COMMAND:
        finding = _same_tests(run.records, baseline.records)
    if finding is None:
        return _check("tests", run, Finding(code="ok", text=_summary(run)))
    return _check("tests", run, finding, CheckStatus.FAILED)


def _believed(framework: Framework, run: TestRun) -> Finding | None:
    """Return why a run does not count as passed, or None."""
    outcome = run.outcome
    if outcome.ending in LIMIT_CODES:
        return Finding(code=LIMIT_CODES[outcome.ending], text=f"{outcome.text}{tail(outcome)}")
    if framework is Framework.COMMAND:
        failed = Finding(code="tests_failed", text=_exited(outcome))
        return None if outcome.exit_code == 0 else failed
    return _agreed(outcome, run.records)


def _agreed(outcome: Outcome, records: Records) -> Finding | None:
    """Return where exit code, END record and test records contradict each other, or None."""
    if not records.readable:
        return Finding(code="forged", text="The private test channel carried no honest records.")
    if records.failed:
        text = _named("failed", records.failed) + missed_network(outcome)
        return Finding(code="tests_failed", text=text)
    if records.end is None and outcome.exit_code == 0:
        text = "The process ended with exit code 0 before the test run was over."
        return Finding(code="forged", text=text)
    if records.end is None:
        return Finding(code="crash", text=f"The test run broke off. {_exited(outcome)}")
    if records.end.status != outcome.exit_code:
        text = (
            f"The test run reported status {records.end.status}, "
            f"the process ended with {outcome.exit_code}."
        )
        return Finding(code="forged", text=text)
    if outcome.exit_code != 0:
        return Finding(code="tests_failed", text=_exited(outcome))
    if odd := sorted(set(records.collected) ^ set(records.tests)):
        return Finding(code="missing_tests", text=_named("collected but not reported", odd))
    return None


def _same_tests(mine: Records, base: Records) -> Finding | None:
    gone = [i for i in base.collected if i not in mine.tests]
    if gone:
        return Finding(code="missing_tests", text=_named("no longer run", gone))
    new = [i for i in mine.collected if i not in base.tests]
    if new:
        return Finding(code="changed_tests", text=_named("not in the baseline", new))
    eased = [i for i, o in mine.tests.items() if o in _EASED and base.tests[i] == "passed"]
    if eased:
        return Finding(
            code="newly_skipped", text=_named("newly skipped or expected to fail", eased)
        )
    return None


def _check(
    name: str, run: TestRun, finding: Finding, status: CheckStatus = CheckStatus.PASSED
) -> CheckOutcome:
    return CheckOutcome(
        name=name,
        status=status,
        code=finding.code,
        text=finding.text,
        wall_ns=run.outcome.sample.wall_ns,
        tests_run=len(run.records.tests),
        tests_failed=len(run.records.failed),
        log=run.log,
    )


def _summary(run: TestRun) -> str:
    count = len(run.records.tests)
    eased = sum(outcome in _EASED for outcome in run.records.tests.values())
    if not count:
        return "The test command ended with exit code 0."
    return f"{count - eased} tests passed" + (
        f", {eased} skipped or expected to fail." if eased else "."
    )


def _named(what: str, ids: tuple[str, ...] | list[str]) -> str:
    shown = ", ".join(safe_line(i) for i in ids[:_NAMED])
    more = f" and {len(ids) - _NAMED} more" if len(ids) > _NAMED else ""
    noun = "test" if len(ids) == 1 else "tests"
    return f"{len(ids)} {noun} {what}: {shown}{more}."


def _exited(outcome: Outcome) -> str:
    return f"It ended with exit code {outcome.exit_code}.{tail(outcome)}"


def tail(outcome: Outcome) -> str:
    """The end of what a run said, made safe, as a sentence; empty for silence."""
    said = (outcome.stderr.strip() or outcome.stdout.strip()).decode(errors="replace")
    return f" It said: {safe_text(said[-_TAIL:])}{missed_network(outcome)}" if said else ""


def missed_network(outcome: Outcome) -> str:
    """How to let a run reach what it looked for in vain, as a sentence; empty where it did not."""
    said = outcome.stderr + outcome.stdout
    if not any(error in said for error in _NETWORK_ERRORS):
        return ""
    return (
        " (Runs have no network but a loopback of their own: start the server inside the run, or "
        'let a service through with [sandbox] network = ["NAME:PORT"].)'
    )
