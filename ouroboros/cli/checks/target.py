"""Checks of the target: repository, configuration, interpreter, tests, benchmarks."""

import asyncio
import tempfile
from pathlib import Path

from ouroboros.cli import reach
from ouroboros.cli.checks.patient import FAIL, OK, WARN, Patient, skipped
from ouroboros.cli.results import Check
from ouroboros.cli.words import plural, short
from ouroboros.config import FILE_NAME, Config, Framework, load, seconds


def repository(patient: Patient) -> Check:
    """The target, its branch, and what is not committed."""
    from ouroboros.vcs.repository import Repository

    root = reach.locate(patient.settings).root
    repository = Repository.open(root)
    branch = repository.current_branch()
    edits = len(repository.status().dirty)
    text = f"{root}, branch {branch} at {short(repository.head(branch))}"
    if edits:
        return Check(
            name="repository",
            status=WARN,
            text=f"{text}, {plural(edits, 'local edit')}",
            fix="Commit them: what is not committed is not seen, and a promotion that would "
            "overwrite one waits.",
        )
    return Check(name="repository", status=OK, text=text)


def config(patient: Patient) -> Check:
    """`ouroboros.toml`, strictly."""
    if patient.paths is None:
        return skipped("config")
    loaded = load(patient.paths.root / FILE_NAME)
    text = f"{FILE_NAME}, {loaded.config.governor.mode} mode"
    return Check(name="config", status=OK, text=text)


def committed(patient: Patient) -> Check:
    """Compare the file with the branch's copy: what judges candidates should be on record."""
    if patient.paths is None or patient.config is None:
        return skipped("committed")
    from ouroboros.vcs.repository import Repository

    repository = Repository.open(patient.paths.root)
    branch = patient.config.target.branch or repository.current_branch()
    there = repository.read_file(repository.head(branch), FILE_NAME)
    if there == (patient.paths.root / FILE_NAME).read_bytes():
        return Check(name="committed", status=OK, text=f"{FILE_NAME} is the one on {branch}")
    found = "is not committed" if there is None else "differs from the one"
    return Check(
        name="committed",
        status=WARN,
        text=f"{FILE_NAME} {found} on {branch}",
        fix=f"git add {FILE_NAME} && git commit",
    )


def interpreter(patient: Patient) -> Check:
    """Run the target's interpreter inside the sandbox and ask for its version and framework."""
    if patient.paths is None or patient.config is None or not patient.sandboxed:
        return skipped("interpreter")
    from ouroboros.executors.local import find_python

    root, config = patient.paths.root, patient.config
    python = find_python(root, config.environment)
    framework = config.tests.framework
    module = "" if framework is Framework.COMMAND else framework.value
    said = asyncio.run(_ask_inside(python, config, module))
    if said.startswith("error:"):
        return Check(name="interpreter", status=FAIL, text=f"{python}: {said[6:]}")
    version, has = said.split()
    if module and has != "yes":
        return Check(
            name="interpreter",
            status=FAIL,
            text=f"{python} (Python {version}) has no {module}",
            fix=f"Install it there: {python} -m pip install {module}",
        )
    return Check(name="interpreter", status=OK, text=f"Python {version} at {python}, sandboxed")


_QUESTION = (
    "import importlib.util as u, sys\n"
    "name = sys.argv[1]\n"
    "has = 'yes' if not name or u.find_spec(name) else 'no'\n"
    "print('.'.join(map(str, sys.version_info[:3])), has)"
)


async def _ask_inside(python: str, config: Config, module: str) -> str:
    """Return `VERSION yes|no`, or `error:` and what the interpreter said."""
    from ouroboros.sandbox import Command, Sandbox

    box = await Sandbox.open(config.sandbox)
    try:
        with tempfile.TemporaryDirectory(prefix="ouroboros-doctor-") as tree:
            outcome = await box.run(
                Command(
                    argv=(python, "-c", _QUESTION, module),
                    python=python,
                    limits=config.sandbox,
                    timeout=seconds(30),
                    tree=Path(tree),
                )
            )
    finally:
        await box.close()
    if outcome.ok:
        return outcome.stdout.decode(errors="replace").strip()
    said = (outcome.stderr or outcome.text.encode()).decode(errors="replace").strip()
    return f"error:does not run in the sandbox ({outcome.ending}): {said[-300:]}"


def tests(patient: Patient) -> Check:
    """Whether there are tests at all."""
    if patient.paths is None or patient.config is None:
        return skipped("tests")
    from ouroboros.cli.detect import count_tests

    tests = patient.config.tests
    command = " ".join(tests.command)
    if tests.framework is Framework.COMMAND:
        return Check(name="tests", status=OK, text=command)
    count = count_tests(patient.paths.root)
    text = f"{tests.framework} {command}".strip()
    if not count:
        return Check(
            name="tests",
            status=WARN,
            text=f"{text}: no test file was found",
            fix="Without tests nothing shows that a change keeps the behaviour: write some.",
        )
    return Check(name="tests", status=OK, text=f"{text} ({plural(count, 'file')})")


def benchmarks(patient: Patient) -> Check:
    """Whether there is a benchmark at all, and whether this machine can take its metrics."""
    if patient.paths is None or patient.config is None:
        return skipped("benchmarks")
    from ouroboros.evaluation.needs import missing

    if needs := missing(patient.config):
        text = " ".join(need.text for need in needs)
        fixes = dict.fromkeys(need.fix for need in needs)
        return Check(name="benchmarks", status=FAIL, text=text, fix=" ".join(fixes))
    names = tuple(patient.config.benchmarks)
    if names:
        return Check(name="benchmarks", status=OK, text=", ".join(names))
    return Check(
        name="benchmarks",
        status=WARN,
        text="none",
        fix="Without a benchmark nothing can be proven faster: add a [benchmarks.NAME] table "
        "with a command that does a fixed amount of work.",
    )
