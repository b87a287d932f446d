"""The control run: the same tests with every assertion turned around, where honest runs must fail.

Code in the process of the tests can patch pytest, or unittest, or call our own reporter, so that
everything "passes", and then exit code, END record and test records all agree. Such a run also
passes when the assertions are turned around (`inverted`). So the baseline's test files are run
once more in that form, on the baseline to learn how an honest run ends (kept per commit), and then
on each candidate: every test that fails on the baseline must fail, and every one that passes there
must pass. Both runs of a candidate have the same command line, environment and paths: the files
lie over the tree as a layer.

What it costs: one more test run for each candidate (and two for a new baseline), with up to three
more test functions in each file. Each test ends at its first assertion, but a failure takes pytest
longer than a success. What it does not show: code that reads the test files and works out what is
expected of each test gets through. Only comparing answers outside of the process (a challenge)
shows that.
"""

import asyncio
import random
import shutil
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from ouroboros.config import Framework
from ouroboros.evaluation import suite
from ouroboros.evaluation.inverted import Refusal, invert
from ouroboros.evaluation.lab import Job
from ouroboros.evaluation.records import Records
from ouroboros.evaluation.suite import Finding, TestRun
from ouroboros.model.evaluation import CheckOutcome, CheckStatus
from ouroboros.model.globs import matches
from ouroboros.model.text import safe_line

NAME = "inverted"

_PATIENCE = 4
"""A run in which all fails may take so many times `[tests] timeout`: hypothesis shrinks."""

_MOST_BYTES = 4 << 20
_NAMED = 3


class Files(msgspec.Struct, frozen=True, kw_only=True):
    """Test files turned around, by path, and what was left alone and why."""

    sources: dict[str, bytes]
    left: tuple[str, ...] = ()


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """What the baseline taught: the files, and how an honest run of them ends.

    Attributes:
        files: what lies over the tree.
        run: on the baseline; None where there was nothing to turn around.
        sensitive: ids of the tests that pass as they are and fail when turned around, twins too.
        fault: why the baseline taught nothing; empty if it did.
    """

    files: Files
    run: TestRun | None = None
    sensitive: tuple[str, ...] = ()
    fault: str = ""


def wanted(job: Job) -> bool:
    """Whether the configuration asks for a control run, and the framework can have one."""
    tests = job.plan.config.tests
    return tests.inverted and tests.framework is not Framework.COMMAND


async def learn(job: Job, base: Path, baseline: TestRun) -> Control:
    """Run the baseline's tests turned around. What cannot be run in that form is left as it is.

    Args:
        job: plan and equipment.
        base: the baseline's tree.
        baseline: its ordinary test run.

    Raises:
        SandboxError: the sandbox failed.
    """
    own, helpers = _test_files(job, baseline.records)
    coin = random.SystemRandom()
    files = await asyncio.to_thread(_invert, base, (*own, *helpers), coin)
    if not files.sources:
        return Control(files=files)
    run = await _run(job, base, files)
    if not _fault(run) and _incomplete(run, baseline):
        # Something of it runs at import, or two names clash: without what was in the way.
        files = await asyncio.to_thread(_reduced, base, files, own, run.records, baseline.records)
        if not files.sources:
            return Control(files=files)
        run = await _run(job, base, files)
    if fault := _fault(run):
        return Control(files=files, run=run, fault=fault)
    if gone := _incomplete(run, baseline):
        return Control(files=files, run=run, fault=suite.named("do not run", gone))
    return Control(files=files, run=run, sensitive=_sensitive(run, baseline))


def _fault(run: TestRun) -> str:
    finding = suite.over_a_limit(run.outcome) or suite.contradiction(run.outcome, run.records)
    return finding.text if finding else ""


def _reduced(base: Path, files: Files, own: list[str], mine: Records, before: Records) -> Files:
    """Return the files without those that do not load, without helpers and twins. Blocking."""
    blamed = _blamed(own, mine, before)
    reduced = _invert(base, [path for path in own if path not in blamed], None)
    left = [f"{path}: it does not load when turned around" for path in blamed]
    return Files(sources=reduced.sources, left=tuple(dict.fromkeys((*files.left, *left))))


async def check(job: Job, candidate: Path, control: Control) -> CheckOutcome:
    """Make the control run on a candidate, and judge it.

    Raises:
        SandboxError: the sandbox failed.
    """
    if control.fault or not control.sensitive:
        return _unusable(control)
    return judge(control, await _run(job, candidate, control.files))


def _unusable(control: Control) -> CheckOutcome:
    if control.fault:
        text = (
            "The control run with inverted assertions failed on the baseline: "
            f"{control.fault} Find out why these tests do not fail in good order, raise the limit "
            "that was hit, or do without this control: [tests] inverted = false."
        )
        status, code = CheckStatus.ERROR, "baseline_inverted"
    else:
        text = (
            "No test of the baseline fails when its assertions are turned around, so that this "
            f"control shows nothing.{_left(control.files)}"
        )
        status, code = CheckStatus.SKIPPED, "not_sensitive"
    if control.run is None:
        return CheckOutcome(name=NAME, status=status, code=code, text=text)
    return suite.check(NAME, control.run, Finding(code=code, text=text), status)


def judge(control: Control, run: TestRun) -> CheckOutcome:
    """Whether a candidate fails and passes exactly where the baseline does. Pure."""
    if control.run is None:
        return _unusable(control)
    base = control.run
    finding = (
        suite.over_a_limit(run.outcome)
        or suite.contradiction(run.outcome, run.records)
        or suite.same_ids(run.records, base.records)
        or _differences(control, run.records, base.records)
    )
    if finding is None and run.outcome.exit_code != base.outcome.exit_code:
        text = f"It ended with exit code {run.outcome.exit_code}, which fits no failed test."
        finding = Finding(code="forged", text=text)
    if finding is None:
        count = len(control.sensitive)
        text = f"{count} {_tests(count)} turned around fail as they should.{_left(control.files)}"
        done = suite.check(NAME, run, Finding(code="ok", text=text))
        return msgspec.structs.replace(done, tests_failed=0)  # none that should not
    worded = Finding(
        code=finding.code, text=f"In the control run with inverted assertions: {finding.text}"
    )
    return suite.check(NAME, run, worded, CheckStatus.FAILED)


def _differences(control: Control, mine: Records, base: Records) -> Finding | None:
    survivors = [i for i in control.sensitive if mine.tests[i] != "failed"]
    if survivors:
        text = suite.named("pass although each assertion is turned around", survivors)
        return Finding(code="inverted_survived", text=text)
    hold = [i for i, o in base.tests.items() if o == "passed" and mine.tests[i] != "passed"]
    if hold:
        text = suite.named("fail that pass so on the baseline", hold)
        return Finding(code="inverted_differs", text=text)
    return None


def _sensitive(run: TestRun, baseline: TestRun) -> tuple[str, ...]:
    before = baseline.records.tests
    failed = [i for i, outcome in run.records.tests.items() if outcome == "failed"]
    return tuple(i for i in failed if before.get(i, "passed") == "passed")


def _incomplete(run: TestRun, baseline: TestRun) -> list[str]:
    """Return which tests of the baseline, or files, did not run."""
    gone = baseline.records.tests.keys() - run.records.tests.keys()
    return sorted({*gone, *run.records.errors})


def _blamed(paths: Iterable[str], mine: Records, base: Records) -> list[str]:
    """Return the files of which tests are missing, or which failed to load."""
    missing = {*mine.errors, *(base.tests.keys() - mine.tests.keys())}
    collected = set(mine.collected)
    broken = {i for i in missing if i not in collected} or missing
    return [path for path in paths if any(_belongs(path, name) for name in broken)]


def _belongs(path: str, name: str) -> bool:
    """Whether a test's id, of pytest or of unittest, is of a file."""
    dotted = path.removesuffix(".py").replace("/", ".")
    file = name.partition("::")[0]
    return (file.endswith(".py") and path.endswith(file)) or f"{dotted}." in f"{name}."


# --- files ----------------------------------------------------------------------------------------


def _test_files(job: Job, records: Records) -> tuple[list[str], list[str]]:
    """Return the protected files that hold tests, and those that tests import."""
    protected = job.plan.config.governor.protected
    loaded = {path for report in records.modules for _, path in report.inside}
    own = [path for path in sorted(set(records.files)) if _is_ours(path, protected)]
    helpers = [path for path in sorted(loaded - set(own)) if _is_ours(path, protected)]
    return own, helpers


def _is_ours(path: str, protected: tuple[str, ...]) -> bool:
    name = path.rpartition("/")[2]
    plain = not path.startswith("/") and ".." not in path.split("/")
    return plain and name.endswith(".py") and name != "conftest.py" and matches(path, protected)


def _invert(base: Path, paths: Iterable[str], coin: random.Random | None) -> Files:
    """Turn files around. Blocking."""
    sources, left = {}, []
    for path in paths:
        file = base / path
        if file.resolve() != base.resolve() / path or not file.is_file():
            continue
        if file.stat().st_size > _MOST_BYTES:
            left.append(f"{path}: it is too large")
            continue
        data = file.read_bytes()
        try:
            result = invert(data, coin)
        except Refusal as refusal:
            left.append(f"{path}: {refusal}")
            continue
        if result.turned:
            # The compiled original must never be taken for it: those are told apart by their size.
            same = len(result.source) == len(data)
            sources[path] = result.source + (b"\n" if same else b"")
    return Files(sources=sources, left=tuple(left))


async def _run(job: Job, tree: Path, files: Files) -> TestRun:
    async with _layer(job, tree, files) as layer:
        return await suite.run(job, tree, layers=(layer,), patience=_PATIENCE)


@asynccontextmanager
async def _layer(job: Job, tree: Path, files: Files) -> AsyncIterator[Path]:
    """Write the files into a folder of their own for as long as a run needs them."""
    place = job.lab.trees.scratch()
    try:
        await asyncio.to_thread(_write, tree, place, files)
        yield place
    finally:
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)


def _write(tree: Path, place: Path, files: Files) -> None:
    """Blocking. Modes and times are the tree's, for a layer's folders lend theirs to the whole."""
    folders = {place: tree}
    for path, source in files.sources.items():
        for parent in Path(path).parents:
            folders[place / parent] = tree / parent
        (place / path).parent.mkdir(parents=True, exist_ok=True)
        (place / path).write_bytes(source)
        shutil.copystat(tree / path, place / path)
    for folder, original in folders.items():
        shutil.copystat(original, folder)


def _left(files: Files) -> str:
    if not files.left:
        return ""
    shown = "; ".join(safe_line(text) for text in files.left[:_NAMED])
    more = f"; and {len(files.left) - _NAMED} more" if len(files.left) > _NAMED else ""
    return f" Left as they are: {shown}{more}."


def _tests(count: int) -> str:
    return "test" if count == 1 else "tests"
