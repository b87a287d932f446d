"""Check of the benchmarks' noise: the baseline against itself, for a few seconds.

Each pair is two runs of the same thing, so that its log-ratio should be 0; how far it scatters
decides what can be proven here with how many pairs. The spread is 1.48 times the median distance
from 0, which bears outliers. How many pairs an effect of size d needs at a spread of s is the
planning rule n = 10 + 8 (s / d)^2, fitted to the sequential test (docs/statistics.md); from a
handful of pairs it is a rough figure, and said to be one.
"""

import asyncio
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import msgspec

from ouroboros.cli.checks.patient import FAIL, OK, WARN, Patient, skipped
from ouroboros.cli.results import Check, Finding
from ouroboros.cli.words import duration, plural
from ouroboros.config import Benchmark, Config, Governor, seconds
from ouroboros.evaluation.lab import Job, Lab
from ouroboros.evaluation.plan import Plan
from ouroboros.evaluation.trees import Trees
from ouroboros.executors.local import find_python
from ouroboros.model.evaluation import Sample
from ouroboros.model.text import safe_line
from ouroboros.sandbox import Command, Ending, Outcome, Sandbox

_LEAST_PAIRS = 3
_MOST_PAIRS = 20
_DECENT = 8
_FIXED, _SLOPE = 10, 8
_BUSY = 0.5
_BUILT_IN = "built-in workload"
_WORK = "x = 0\nfor i in range(600_000):\n    x += i * i % 7\n"
_GRACE = 7.0
"""Seconds beyond the budget for the fewest pairs that say anything."""

Run = Callable[[], Awaitable[Outcome]]


class Noise(msgspec.Struct, frozen=True, kw_only=True):
    """The pairs of one benchmark: log-ratios of CPU and wall time, and what one run costs."""

    name: str
    cpu: tuple[float, ...]
    wall: tuple[float, ...]
    cost_ns: int
    problem: str = ""


def noise(patient: Patient) -> Check:
    """Measure for a few seconds how much the benchmarks scatter, and what that allows."""
    if patient.noise_seconds <= 0:
        return Check(name="noise", status=OK, text="not measured (--noise-seconds 0)")
    if not patient.sandboxed:
        return skipped("noise")
    measured = asyncio.run(_measure(patient))
    governor = (patient.config or Config()).governor
    found = [_told(each, patient, governor) for each in measured]
    hints = [*_hints()]
    rows = tuple(row for _, _, rows in found for row in rows)
    status = max((s for s, _, _ in found), key=(OK, WARN, FAIL).index)
    text = ". ".join(text for _, text, _ in found)
    fix = _fix(status, measured, hints) if status != OK else ""
    told = f"{text}. {' '.join(hints)}" if hints and status == OK else text
    return Check(name="noise", status=status, text=told.strip(), fix=fix, rows=rows)


def _fix(status: str, measured: list[Noise], hints: list[str]) -> str:
    if status == FAIL:
        return "Repair the benchmark: it must end with exit code 0 in the sandbox."
    if any(len(each.cpu) < _LEAST_PAIRS for each in measured):
        enough = math.ceil(sum(2 * _DECENT * each.cost_ns for each in measured) / 1e9)
        return f"Measure longer: 'ouroboros doctor --noise-seconds {enough}'."
    advice = (
        "Let the benchmark do more work in one run, quiet the machine, or allow more: "
        "[governor] max_pairs, max_degradation; 'doctor --noise-seconds 60' measures longer."
    )
    return " ".join((*hints, advice))


# --- measuring ----------------------------------------------------------------------------------


async def _measure(patient: Patient) -> list[Noise]:
    box = await Sandbox.open((patient.config or Config()).sandbox)
    try:
        with tempfile.TemporaryDirectory(prefix="ouroboros-doctor-") as folder:
            if patient.paths is None or patient.config is None or not patient.config.benchmarks:
                run = _built_in(box, Path(folder))
                return [await _pairs(_BUILT_IN, run, patient.noise_seconds)]
            return await _configured(box, patient, patient.config, Path(folder))
    finally:
        await box.close()


async def _configured(box: Sandbox, patient: Patient, config: Config, folder: Path) -> list[Noise]:
    from ouroboros.vcs.repository import Repository

    assert patient.paths is not None  # noqa: S101 - the caller looked
    repository = Repository.open(patient.paths.root)
    head = repository.head(config.target.branch or repository.current_branch())
    lab = Lab(
        sandbox=box,
        trees=Trees(folder / "trees", repository.export),
        put_evidence=lambda _: "",
        clock_ns=time.time_ns,
    )
    plan = Plan(
        candidate="doctor",
        attempt=1,
        repository=str(patient.paths.root),
        base_commit=head,
        candidate_commit=head,
        changed=(),
        config=config,
        python=find_python(patient.paths.root, config.environment),
        seed=0,
    )
    job = Job(plan=plan, lab=lab, tell=lambda _: None)
    each = patient.noise_seconds / len(config.benchmarks)
    found = []
    async with job.tree(head) as tree:
        for name, benchmark in config.benchmarks.items():
            found.append(await _pairs(name, _run_of(job, benchmark, tree), each))
    return found


def _run_of(job: Job, benchmark: Benchmark, tree: Path) -> Run:
    command = job.command(job.argv(benchmark.command), tree, benchmark.timeout)
    return lambda: job.run(command)


def _built_in(box: Sandbox, folder: Path) -> Run:
    command = Command(
        argv=(sys.executable, "-I", "-S", "-c", _WORK),
        python=sys.executable,
        limits=Config().sandbox,
        timeout=seconds(30),
        tree=folder,
    )
    return lambda: box.run(command)


async def _pairs(name: str, run: Run, budget: float) -> Noise:
    """Warm up once, then take pairs until the time is up; no pair is dropped.

    The fewest pairs that say anything are taken a little beyond it.
    """
    begun = time.monotonic()
    cpu: list[float] = []
    wall: list[float] = []
    cost = 0
    problem = ""
    try:
        async with asyncio.timeout(budget + _GRACE):
            warm = await run()
            cost, problem = warm.sample.wall_ns, _problem(warm)
            while not problem and len(cpu) < _MOST_PAIRS:
                left = budget - (time.monotonic() - begun)
                if left < 2 * cost / 1e9 and (len(cpu) >= _LEAST_PAIRS or left < -_GRACE):
                    break
                first, second = await run(), await run()
                problem = _problem(first) or _problem(second)
                if not problem:
                    cost = min(first.sample.wall_ns, second.sample.wall_ns)
                    cpu.append(_ratio(first.sample, second.sample, "cpu_ns"))
                    wall.append(_ratio(first.sample, second.sample, "wall_ns"))
    except TimeoutError:
        cost = cost or round(1e9 * (budget + _GRACE))  # more than that; how much, nobody knows
    return Noise(name=name, cpu=tuple(cpu), wall=tuple(wall), cost_ns=cost, problem=problem)


def _ratio(first: Sample, second: Sample, what: str) -> float:
    a, b = max(1, getattr(first, what)), max(1, getattr(second, what))
    return math.log(b / a)


def _problem(outcome: Outcome) -> str:
    if outcome.ok:
        return ""
    said = outcome.text or outcome.stderr.decode(errors="replace").strip()[-200:]
    code = f" with exit code {outcome.exit_code}" if outcome.ending is Ending.EXITED else ""
    return safe_line(f"it {outcome.ending}{code} in the sandbox: {said}", limit=300)


# --- telling ------------------------------------------------------------------------------------


def spread(ratios: tuple[float, ...]) -> float:
    """Return the robust standard deviation of log-ratios whose true value is 0."""
    return 1.4826 * statistics.median(map(abs, ratios))


def pairs_needed(noise_: float, effect: float) -> int:
    """Return how many pairs prove an effect (both as log-ratios), by the planning rule."""
    return math.ceil(_FIXED + _SLOPE * (noise_ / effect) ** 2)


def smallest_effect(noise_: float, pairs: int) -> float:
    """Return the smallest effect that so many pairs prove, more than ten of them."""
    return noise_ * math.sqrt(_SLOPE / (pairs - _FIXED))


def _told(
    measured: Noise, patient: Patient, governor: Governor
) -> tuple[str, str, tuple[Finding, ...]]:
    name = measured.name
    if measured.problem:
        return FAIL, f"{name}: {measured.problem}", ()
    if len(measured.cpu) < _LEAST_PAIRS:
        text = (
            f"{name}: one run takes {duration(measured.cost_ns)} or more, so that there was time "
            f"for only {plural(len(measured.cpu), 'pair')}, too few to say anything"
        )
        return WARN, text, ()
    benchmark = patient.config.benchmarks.get(name) if patient.config else None
    own = benchmark.max_degradation if benchmark else None
    margin = governor.max_degradation if own is None else own
    cpu, wall = spread(measured.cpu), spread(measured.wall)
    needed = pairs_needed(cpu, math.log1p(margin))
    guard = pairs_needed(wall, math.log1p(governor.max_wall_degradation))
    most = governor.max_pairs
    count = plural(len(measured.cpu), "A/A pair")
    text = (
        f"{name}: CPU time of equal runs differs by {cpu:.1%}, wall time by {wall:.1%} "
        f"({count} of {duration(measured.cost_ns)}, a rough figure): a margin of {margin:.0%} on "
        f"CPU time takes about {plural(needed, 'pair')}, {governor.max_wall_degradation:.0%} on "
        f"wall time about {guard}; at most {most} are taken"
    )
    enough = max(needed, guard) <= most
    if not enough:
        text += ", so expect inconclusive verdicts"
    rows = (
        _figure(f"{name}: cpu", f"{cpu:.4f}", "robust SD of the log-ratio of CPU time"),
        _figure(f"{name}: wall", f"{wall:.4f}", "robust SD of the log-ratio of wall time"),
        _figure(f"{name}: pairs", str(len(measured.cpu)), "A/A pairs measured"),
        _figure(f"{name}: cpu pairs", str(needed), f"pairs that a margin of {margin:g} takes"),
        _figure(f"{name}: wall pairs", str(guard), "pairs that the margin of wall time takes"),
        _figure(
            f"{name}: smallest",
            f"{math.expm1(smallest_effect(cpu, most)):.4f}" if most > _FIXED else "none",
            "smallest change of CPU time that max_pairs prove",
        ),
    )
    return OK if enough else WARN, text, rows


def _figure(name: str, value: str, words: str) -> Finding:
    return Finding(name=name, group="noise", status="info", text=value, promise=words)


def _hints() -> list[str]:
    """What disturbs measurements on this machine, as far as it can be seen."""
    found = []
    cores = os.cpu_count() or 1
    load = os.getloadavg()[0]
    if load > _BUSY * cores:
        found.append(f"The load average is {load:.1f} on {plural(cores, 'core')}: others work too.")
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    try:
        scaling = governor.read_text().strip()
    except OSError:
        scaling = ""  # none to be seen, as in most virtual machines
    if scaling and scaling != "performance":
        found.append(
            f"The CPU's frequency follows the load ({scaling}): "
            "'sudo cpupower frequency-set -g performance'."
        )
    return found
