"""The checks behind `ouroboros doctor`.

A check is a function that returns one `Check` and raises leaves of `OuroborosError`; `_run` turns
those into a finding, so that one broken thing never hides the others. What can be tried for real
is tried for real: the sandbox is started and the target's interpreter runs inside it.
"""

import asyncio
import platform
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from ouroboros.cli import reach
from ouroboros.cli.options import Settings
from ouroboros.cli.results import Check, Diagnosis
from ouroboros.cli.words import plural, short, size
from ouroboros.config import FILE_NAME, Config, Framework, load, seconds
from ouroboros.errors import EngineUnreachableError, OuroborosError
from ouroboros.paths import Paths, make_private

OK, WARN, FAIL = "ok", "warn", "fail"

_LEAST_FREE = 256 << 20
_LITTLE_FREE = 1 << 30


class Patient(msgspec.Struct, frozen=True, kw_only=True):
    """What the checks are about. `paths` None: there is no repository; `config`: it is unusable."""

    settings: Settings
    paths: Paths | None
    config: Config | None


Checker = Callable[[Patient], Check]


def diagnose(settings: Settings, report: Callable[[int, int], None] | None) -> Diagnosis:
    """Run all checks."""
    patient = Patient(settings=settings, paths=None, config=None)
    checks: list[Check] = []
    for done, (name, check) in enumerate(_CHECKS):
        if report:
            report(done, len(_CHECKS))
        checks.append(_run(name, check, patient))
        patient = _known_by_now(name, patient, checks[-1])
    if report:
        report(len(_CHECKS), len(_CHECKS))
    return Diagnosis(ok=all(c.status != FAIL for c in checks), checks=tuple(checks))


def _run(name: str, check: Checker, patient: Patient) -> Check:
    try:
        return check(patient)
    except OuroborosError as error:
        return Check(name=name, status=FAIL, text=error.message, fix=error.hint)
    except OSError as error:
        return Check(name=name, status=FAIL, text=f"{error.strerror}: {error.filename}")


def _known_by_now(name: str, patient: Patient, check: Check) -> Patient:
    """Let the later checks know what the earlier ones found."""
    if check.status == FAIL:
        return patient
    if name == "repository":
        return msgspec.structs.replace(patient, paths=reach.locate(patient.settings))
    if name == "config" and patient.paths:
        loaded = load(patient.paths.root / FILE_NAME)
        return msgspec.structs.replace(patient, config=loaded.config)
    return patient


# --- this machine -------------------------------------------------------------------------------


def _python(_: Patient) -> Check:
    text = f"{platform.python_version()} at {sys.executable}"
    if sys.prefix == sys.base_prefix:
        return Check(
            name="python",
            status=WARN,
            text=f"{text}, not in a virtual environment",
            fix="Install Ouroboros in an environment of its own, for instance with pipx.",
        )
    return Check(name="python", status=OK, text=text)


def _git(_: Patient) -> Check:
    from ouroboros.vcs.runner import executable, version

    found = executable()
    return Check(name="git", status=OK, text=f"{'.'.join(map(str, version(found)))} at {found}")


def _sandbox(patient: Patient) -> Check:
    """Start the sandbox for real, with the limits of the configuration or the default ones."""
    from ouroboros.sandbox import Sandbox

    limits = (patient.config or Config()).sandbox

    async def attempt() -> Check:
        box = await Sandbox.open(limits)
        try:
            level = box.level
        finally:
            await box.close()
        text = f"{level.backend} {level.version}, limits by {level.limits}".replace("  ", " ")
        if level.backend == "none":
            return Check(
                name="sandbox",
                status=WARN,
                text=f"no containment ({text})",
                fix="Candidates run with your rights; every promotion will need a human.",
            )
        return Check(name="sandbox", status=OK, text=text)

    return asyncio.run(attempt())


# --- this repository ----------------------------------------------------------------------------


def _repository(patient: Patient) -> Check:
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


def _config(patient: Patient) -> Check:
    if patient.paths is None:
        return _skipped("config")
    loaded = load(patient.paths.root / FILE_NAME)
    text = f"{FILE_NAME}, {loaded.config.governor.mode} mode"
    return Check(name="config", status=OK, text=text)


def _committed(patient: Patient) -> Check:
    """Compare the file with the branch's copy: what judges candidates should be on record."""
    if patient.paths is None or patient.config is None:
        return _skipped("committed")
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


def _interpreter(patient: Patient) -> Check:
    """Run the target's interpreter inside the sandbox and ask for its version and framework."""
    if patient.paths is None or patient.config is None:
        return _skipped("interpreter")
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


def _tests(patient: Patient) -> Check:
    if patient.paths is None or patient.config is None:
        return _skipped("tests")
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


def _benchmarks(patient: Patient) -> Check:
    if patient.paths is None or patient.config is None:
        return _skipped("benchmarks")
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


# --- state and engine ---------------------------------------------------------------------------


def _state(patient: Patient) -> Check:
    if patient.paths is None:
        return _skipped("state")
    folder = patient.paths.state
    make_private(folder)
    free = shutil.disk_usage(folder).free
    text = f"{folder}, {size(free)} free"
    if free < _LEAST_FREE:
        fix = f"Free at least {size(_LEAST_FREE)}: a full disk halts the engine."
        return Check(name="state", status=FAIL, text=text, fix=fix)
    if free < _LITTLE_FREE:
        fix = "Free some space: a full disk halts the engine."
        return Check(name="state", status=WARN, text=text, fix=fix)
    return Check(name="state", status=OK, text=text)


def _engine(patient: Patient) -> Check:
    if patient.paths is None and patient.settings.socket is None:
        return _skipped("engine")
    from rpc import wire

    socket = reach.socket_of(patient.settings)
    try:
        reach.probe(socket)
    except EngineUnreachableError as error:
        if not socket.exists():
            return Check(name="engine", status=OK, text="not running")
        return Check(name="engine", status=WARN, text=error.message, fix=error.hint)
    status = reach.call(patient.settings, wire.EngineStatusGet())
    text = f"{status.activity}, pid {status.pid}, log {_log(patient.paths)}"
    if status.halt_reason:
        return Check(name="engine", status=FAIL, text=text, fix=status.halt_reason)
    return Check(name="engine", status=OK, text=text)


def _log(paths: Paths | None) -> str:
    log = paths.state / "engine.log" if paths else None
    return str(log) if log and log.exists() else "where 'serve' was started"


def _skipped(name: str) -> Check:
    return Check(name=name, status=WARN, text="not checked: something above is missing")


_CHECKS: Sequence[tuple[str, Checker]] = (
    ("python", _python),
    ("git", _git),
    ("repository", _repository),
    ("config", _config),
    ("committed", _committed),
    ("sandbox", _sandbox),
    ("interpreter", _interpreter),
    ("tests", _tests),
    ("benchmarks", _benchmarks),
    ("state", _state),
    ("engine", _engine),
)
