"""Check of the sandbox: what it is made of here, and real attempts to get out of it."""

import asyncio
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from ouroboros.cli.checks.patient import FAIL, OK, WARN, Patient
from ouroboros.cli.results import Check, Finding
from ouroboros.cli.words import plural
from ouroboros.config import Config, seconds
from ouroboros.errors import OuroborosError
from ouroboros.model.evaluation import Containment, SandboxLevel
from ouroboros.sandbox import Command, Sandbox
from ouroboros.sandbox.escapes import Report, attempt_escapes

_DELEGATE = (
    "Limits are enforced by looking, not by the kernel. Give the engine control groups: in its "
    "systemd unit 'Delegate=yes' under [Service], or start it with "
    "'systemd-run --user --scope -p Delegate=yes ouroboros serve'."
)
_WEAKER = (
    "Landlock keeps files and the network apart, and nothing else: candidates see the host's "
    "processes. Make bubblewrap work here ('ouroboros doctor' names the way once [sandbox] "
    "allow_landlock is false)."
)


def sandbox(patient: Patient) -> Check:
    """Start the sandbox for real, with what the configuration allows, and try to get out."""
    return asyncio.run(_attempt(patient))


async def _attempt(patient: Patient) -> Check:
    box = await Sandbox.open((patient.config or Config()).sandbox)
    try:
        level = box.level
        if level.backend == Containment.NONE:
            return Check(
                name="sandbox",
                status=WARN,
                text=f"no containment ({_described(level)})",
                fix="Candidates run with your rights; every promotion will need a human.",
                rows=_facts(level),
            )
        begun = time.monotonic()
        python = await _python(box, patient)
        state = [patient.paths.state] if patient.paths and patient.paths.state.is_dir() else []
        report = await attempt_escapes(box, python=python, home=_home(), places=state)
        took = time.monotonic() - begun
    finally:
        await box.close()
    return _judged(level, report, took)


def _home() -> Path:
    return Path(os.path.expanduser("~"))  # noqa: PTH111 - never raises, unlike Path.home()


def _judged(level: SandboxLevel, report: Report, took: float) -> Check:
    rows = (
        *_facts(level),
        *(
            Finding(
                name=row.name,
                group=row.group,
                status=row.status,
                text=row.text,
                promise=row.promise,
                fix=row.fix,
            )
            for row in report.rows
        ),
    )
    text = f"{_described(level)}: {report.summary()} ({took:.1f} s)"
    if not report.ok:
        text += f"; {plural(len(report.wrong), 'promise')} not kept, see below"
        return Check(name="sandbox", status=FAIL, text=text, rows=rows)
    weak = _WEAKER if level.backend == Containment.LANDLOCK else ""
    loose = _DELEGATE if not level.limits.startswith("cgroup") else ""
    fix = weak or loose
    return Check(name="sandbox", status=WARN if fix else OK, text=text, fix=fix, rows=rows)


def _described(level: SandboxLevel) -> str:
    parts = (
        f"{level.backend} {level.version}".strip(),
        f"runs as {'your user' if level.drop == 'user' else level.drop}",
        "calls filtered" if level.seccomp else "calls not filtered",
        f"limits by {level.limits}",
    )
    return ", ".join(parts)


def _facts(level: SandboxLevel) -> tuple[Finding, ...]:
    said = (
        ("backend", level.backend),
        ("version", level.version),
        ("drop", level.drop),
        ("seccomp", "yes" if level.seccomp else "no"),
        ("limits", level.limits),
        ("overlay", "yes" if "overlay" in level.version else "no"),
    )
    return tuple(Finding(name=name, group="level", status="info", text=text) for name, text in said)


async def _python(box: Sandbox, patient: Patient) -> str:
    """Return the target's interpreter if it runs inside, else our own."""
    from ouroboros.executors.local import find_python

    if patient.paths is None or patient.config is None:
        return sys.executable
    try:
        python = find_python(patient.paths.root, patient.config.environment)
        works = await _runs(box, python, ("-E", "-s", "-S", "-c", ""), patient.config)
    except OuroborosError:
        return sys.executable  # the check of the interpreter says what is wrong with it
    return python if works else sys.executable


async def _runs(box: Sandbox, python: str, arguments: Sequence[str], config: Config) -> bool:
    with tempfile.TemporaryDirectory(prefix="ouroboros-doctor-") as tree:
        command = Command(
            argv=(python, *arguments),
            python=python,
            limits=config.sandbox,
            timeout=seconds(20),
            tree=Path(tree),
        )
        return (await box.run(command)).ok
