"""The checks behind `ouroboros doctor`.

A check is a function that returns one `Check` and raises leaves of `OuroborosError`; `_run` turns
those into a finding, so that one broken thing never hides the others. What can be tried for real
is tried for real: attempts to escape are made in the sandbox, a repository full of traps is given
to git, the target's interpreter and benchmarks run inside.
"""

from collections.abc import Callable, Sequence

import msgspec

from ouroboros.cli import reach
from ouroboros.cli.checks import containment, machine, noise, state, target
from ouroboros.cli.checks.patient import FAIL, Checker, Patient
from ouroboros.cli.options import Settings
from ouroboros.cli.results import Check, Diagnosis
from ouroboros.config import FILE_NAME, load
from ouroboros.errors import OuroborosError


def diagnose(
    settings: Settings, report: Callable[[int, int], None] | None, *, noise_seconds: float
) -> Diagnosis:
    """Run all checks.

    Args:
        settings: which repository and socket.
        report: told how many checks of how many are done.
        noise_seconds: how long to measure the benchmarks' noise; 0 leaves that out.
    """
    patient = Patient(settings=settings, noise_seconds=noise_seconds)
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
        where = f": {error.filename}" if error.filename else ""
        return Check(name=name, status=FAIL, text=f"{error.strerror or error}{where}")


def _known_by_now(name: str, patient: Patient, check: Check) -> Patient:
    """Let the later checks know what the earlier ones found."""
    if name == "sandbox":
        # Without rows it never came to an attempt.
        started = check.status != FAIL or bool(check.rows)
        return msgspec.structs.replace(patient, sandboxed=started)
    if check.status == FAIL:
        return patient
    if name == "repository":
        return msgspec.structs.replace(patient, paths=reach.locate(patient.settings))
    if name == "config" and patient.paths:
        loaded = load(patient.paths.root / FILE_NAME)
        return msgspec.structs.replace(patient, config=loaded.config)
    return patient


_CHECKS: Sequence[tuple[str, Checker]] = (
    ("python", machine.python),
    ("git", machine.git),
    ("repository", target.repository),
    ("config", target.config),
    ("committed", target.committed),
    ("sandbox", containment.sandbox),
    ("interpreter", target.interpreter),
    ("tests", target.tests),
    ("benchmarks", target.benchmarks),
    ("noise", noise.noise),
    ("state", state.state),
    ("engine", state.engine),
)
