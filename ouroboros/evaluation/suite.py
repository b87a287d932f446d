"""The tests: how they are run, and when their answer is believed.

A test run is untrusted code reporting on itself. It is believed only if three things agree that
are told in different ways: the exit code of the process, the END record on the private channel,
and the record of each test. And a candidate must run exactly the tests of the baseline, with none
newly skipped or expected to fail: `os._exit(0)` at import passes no test, it runs none.

Plugins are not loaded by themselves (`PYTEST_DISABLE_PLUGIN_AUTOLOAD`), since an entry point in the
tree would be one more way into the judge; `[tests] command = ["-p", "NAME"]` names those that the
tests need. All tests run, whatever fails: the control run (`control`) needs that, and no run can be
told from another by its command line. With `framework = "command"` there is nothing but the exit
code and perhaps a JUnit report (`junit`), and the evaluation says so.
"""

import secrets
from collections import Counter
from pathlib import Path

import msgspec

from ouroboros.config import Duration, Framework
from ouroboros.evaluation import junit
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
_NO_PYTEST = b"No module named pytest"

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

_RAISE = {
    "timeout": "Raise [tests] timeout and [sandbox] timeout if the tests need longer",
    "memory": "Raise [sandbox] memory if the tests need more",
    "processes": "Raise [sandbox] processes if the tests need more",
    "cpu": "Raise [sandbox] cpu if the tests need more",
    "tree": "Raise [sandbox] tree_size if the tests write more",
    "output": "Have the tests say less, or raise [sandbox] output",
}


class TestRun(msgspec.Struct, frozen=True, kw_only=True):
    """A finished run: how it ended, what it reported, and the evidence hash of its output.

    `report` says that records of a `command` were read from a JUnit report.
    """

    __test__ = False  # pytest would try to collect it
    outcome: Outcome
    records: Records
    log: str
    report: bool = False


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """A code and a sentence; `ok` where there is nothing to say."""

    code: str
    text: str


def assurance(framework: Framework) -> Assurance:
    """How much a passed run proves."""
    return Assurance.EXIT_CODE if framework is Framework.COMMAND else Assurance.TESTS


async def run(
    job: Job,
    tree: Path,
    *,
    layers: tuple[Path, ...] = (),
    patience: int = 1,
    coverage: bool = False,
) -> TestRun:
    """Run the tests once on a tree.

    Args:
        job: plan and equipment.
        tree: what is tested.
        layers: folders that lie over the tree.
        patience: how many times `[tests] timeout` it may take.
        coverage: have the tests report what they execute, too.

    Raises:
        SandboxError: the sandbox failed.
    """
    key = secrets.token_hex(32).encode()  # of the proofs of the records
    command = msgspec.structs.replace(
        _command(job, tree, Duration(patience * job.plan.config.tests.timeout)), layers=layers
    )
    if coverage:
        command = msgspec.structs.replace(
            command,
            env=command.env | {"OUROBOROS_COVERAGE": "1"},
            timeout=Duration(command.timeout * _TRACED),
        )
    tests = job.plan.config.tests
    if tests.framework is not Framework.COMMAND:
        command = msgspec.structs.replace(command, stdin=key)
        outcome = await job.run(command)
        records = decode(outcome.result, whole=outcome.result_whole, key=key)
        return TestRun(outcome=outcome, records=records, log=await job.lab.log(outcome))
    outcome = await job.run(command)
    report, rest = junit.split(outcome.result)
    records = decode(rest, whole=outcome.result_whole)
    if tests.junit:
        records = msgspec.structs.replace(junit.received(report), modules=records.modules)
    log = await job.lab.log(outcome)
    return TestRun(outcome=outcome, records=records, log=log, report=bool(tests.junit))


def _command(job: Job, tree: Path, timeout: Duration) -> Command:
    plan = job.plan
    tests = plan.config.tests
    python = plan.python
    match tests.framework:
        case Framework.PYTEST:
            # No cache of a commit is read: which tests failed last is not the candidate's to say.
            ours = ("-p", "_ouroboros_pytest", "-o", "cache_dir=$TMPDIR/pytest-cache")
            given = job.argv(tests.command)
            all_tests = () if "--" in given else ("--maxfail=0",)
            argv = (python, "-m", "pytest", *ours, *given, *all_tests)
            off = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
            return job.command(argv, tree, timeout, harness=True, variables=off)
        case Framework.UNITTEST:
            script = f"{HARNESS}/_ouroboros_unittest.py"
            argv = (python, script, *job.argv(tests.command))
            return job.command(argv, tree, timeout, harness=True)
        case Framework.COMMAND:
            argv = job.argv(tests.command)
            argv = junit.command(argv, tests.junit) if tests.junit else argv
            return job.command(argv, tree, timeout, witness=True)


def judge_baseline(framework: Framework, run: TestRun) -> CheckOutcome:
    """Whether the baseline's tests are a measure at all. What is wrong here is nobody's fault."""
    finding = _believed(framework, run)
    if finding is None and _lists(framework, run) and not run.records.tests:
        finding = Finding(code="no_tests", text="no test was found.")
    if finding is None:
        return check("baseline-tests", run, Finding(code="ok", text=_summary(run)))
    advice = _advice(framework, run, finding)
    text = f"The tests do not pass on the baseline: {finding.text} {advice}."
    red = Finding(code="baseline_red", text=text)
    return check("baseline-tests", run, red, CheckStatus.ERROR)


def _advice(framework: Framework, run: TestRun, finding: Finding) -> str:
    if finding.code in _RAISE:
        return _RAISE[finding.code]
    if framework is Framework.PYTEST and _NO_PYTEST in run.outcome.stderr:
        return (
            "Install pytest into the target's environment, or name the right interpreter: "
            "[environment] python"
        )
    if run.report and run.records.flaw:
        return "Correct [tests] junit: the path, relative to the tree, that the command writes"
    hint = "Make the tests pass on the branch first"
    if framework is Framework.PYTEST:
        hint += '; pytest plugins must be named: [tests] command = ["-p", "NAME"]'
    return hint


def judge_candidate(framework: Framework, run: TestRun, baseline: TestRun) -> CheckOutcome:
    """Whether the candidate passes exactly the tests that the baseline passes."""
    finding = _believed(framework, run)
    if finding is None and _lists(framework, run):
        finding = _same_tests(run.records, baseline.records)
    if finding is None:
        return check("tests", run, Finding(code="ok", text=_summary(run)))
    return check("tests", run, finding, CheckStatus.FAILED)


def shadowed(paths: tuple[str, ...]) -> CheckOutcome:
    """Refuse a candidate that puts modules in the way of the test run (`shadow`)."""
    shown = ", ".join(safe_line(path) for path in paths[:_NAMED])
    text = f"It adds modules that would be imported in place of what runs the tests: {shown}."
    return CheckOutcome(name="tests", status=CheckStatus.FAILED, code="shadowed", text=text)


def _lists(framework: Framework, run: TestRun) -> bool:
    return framework is not Framework.COMMAND or run.report


def over_a_limit(outcome: Outcome) -> Finding | None:
    """Return which limit ended a run, or that it crashed, or None."""
    if outcome.ending not in LIMIT_CODES:
        return None
    return Finding(code=LIMIT_CODES[outcome.ending], text=f"{outcome.text}{tail(outcome)}")


def _believed(framework: Framework, run: TestRun) -> Finding | None:
    """Return why a run does not count as passed, or None."""
    outcome, records = run.outcome, run.records
    if limit := over_a_limit(outcome):
        return limit
    if framework is Framework.COMMAND:
        return _reported(run) if run.report else _exited_well(outcome)
    if not records.readable:
        return _forged(records)
    if records.failed:
        text = named("failed", records.failed) + missed_network(outcome)
        return Finding(code="tests_failed", text=text)
    return contradiction(outcome, records) or _exited_well(outcome)


def _reported(run: TestRun) -> Finding | None:
    """Compare a JUnit report with the exit code."""
    if run.records.failed:
        return Finding(code="tests_failed", text=named("failed", run.records.failed))
    if failed := _exited_well(run.outcome):
        return failed
    if run.records.flaw:
        return Finding(code="unreadable_report", text=run.records.flaw)
    return None


def _exited_well(outcome: Outcome) -> Finding | None:
    if outcome.exit_code == 0:
        return None
    return Finding(code="tests_failed", text=_exited(outcome))


def _forged(records: Records) -> Finding:
    text = f"The private test channel carried no honest records. {safe_line(records.flaw)}"
    return Finding(code="forged", text=text)


def contradiction(outcome: Outcome, records: Records) -> Finding | None:
    """Return where exit code, END record and test records contradict each other, or None."""
    if not records.readable:
        return _forged(records)
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
    if outcome.exit_code == 0 and records.failed:
        text = "Tests were reported as failed, but the process ended with exit code 0."
        return Finding(code="forged", text=text)
    odd = sorted(set(records.collected) ^ set(records.tests))
    if odd and not records.errors:  # the tests of a class that cannot be set up are not reported
        return Finding(code="missing_tests", text=named("collected but not reported", odd))
    return None


def _same_tests(mine: Records, base: Records) -> Finding | None:
    if finding := same_ids(mine, base):
        return finding
    eased = [i for i, o in mine.tests.items() if o in _EASED and base.tests[i] == "passed"]
    if eased:
        return Finding(code="newly_skipped", text=named("newly skipped or expected to fail", eased))
    if mine.config != base.config:
        text = (
            f"The tests took their settings from {safe_line(mine.config) or 'no file'} instead of "
            f"{safe_line(base.config) or 'no file'}."
        )
        return Finding(code="changed_config", text=text)
    return None


def same_ids(mine: Records, base: Records) -> Finding | None:
    """Return which tests one run has and the other has not, or None."""
    mine_counts, base_counts = Counter(mine.collected), Counter(base.collected)
    gone = sorted((base_counts - mine_counts).keys() | (base_counts.keys() - mine.tests.keys()))
    if gone:
        return Finding(code="missing_tests", text=named("no longer run", gone))
    if new := sorted(mine_counts - base_counts):
        return Finding(code="changed_tests", text=named("not in the baseline", new))
    return None


def check(
    name: str, run: TestRun, finding: Finding, status: CheckStatus = CheckStatus.PASSED
) -> CheckOutcome:
    """Make the outcome of a check out of a run and what was found."""
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


def named(what: str, ids: tuple[str, ...] | list[str]) -> str:
    """Say how many tests there are of a kind, and name the first ones."""
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
