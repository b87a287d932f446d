"""Runs cases: each through the whole product, and then through the layers that it did not reach.

The `final` column is what the engine did with the patch: submitted to the inbox in autonomous mode,
screened, evaluated in the sandbox, judged, promoted or not. The other columns say which layers see
the attack. A layer that the candidate reached there is read off its record; one that it did not
reach because an earlier one had stopped it is run apart, by the same executor with a configuration
that has only that layer. So a row shows defence in depth, not only the first door.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import msgspec
from msgspec.structs import replace
from redteam_case import ACCEPTED, Case
from redteam_world import Range, World

from ouroboros.cli.compose import engine_of
from ouroboros.config import Config, Framework, Loaded, Tests, load
from ouroboros.engine.api import Submission
from ouroboros.engine.daemon import Engine
from ouroboros.errors import OuroborosError
from ouroboros.evaluation.plan import Plan
from ouroboros.evaluation.screen import SOURCE_LIMIT, SOURCES_LIMIT, screen, screen_text
from ouroboros.executors.local import LocalExecutor, find_python
from ouroboros.governor.decide import Evidence, decide
from ouroboros.model.evaluation import (
    CHALLENGE,
    CheckOutcome,
    CheckStatus,
    Evaluation,
    EvaluationStatus,
    Stage,
)
from ouroboros.model.phase import Phase
from ouroboros.model.proposal import FileChange, Mark, Severity
from ouroboros.model.state import Candidate
from ouroboros.model.text import safe_line, safe_text
from ouroboros.model.verdict import Comparison, Decision, Outcome, Reason
from ouroboros.paths import find_root, paths_for
from ouroboros.sandbox import Sandbox
from ouroboros.vcs.repository import Repository
from ouroboros.vcs.values import Built

COLUMNS = (
    "shape",
    "reach",
    "tree",
    "tests",
    "inverted",
    "challenge",
    "measure",
    "policy",
    "sandbox",
)
CAUGHT, HELD, ERROR, PASSED, NOT_RUN = "x", "h", "e", ".", "-"
"""What a layer does: refuses, asks for a human, could not find out, sees nothing, was not asked."""

PATIENCE_S = 420.0
_ENDS = frozenset(
    {Phase.HELD, Phase.REJECTED, Phase.ERRORED, Phase.CANCELLED, Phase.PROMOTED, Phase.KEPT}
)
_FINAL = {
    Phase.PROMOTED: ACCEPTED,
    Phase.KEPT: ACCEPTED,
    Phase.HELD: "HELD",
    Phase.REJECTED: "REJECTED",
    Phase.ERRORED: "ERRORED",
}
_LIMITS = {"timeout", "memory", "processes", "output", "cpu", "tree", "crash"}
_LARGE = "large_diff"


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a case.

    `cells` maps columns to marks; `why` is the reason given, `damage` what happened to the host.
    """

    id: str
    final: str
    cells: dict[str, str]
    why: tuple[str, ...]
    codes: tuple[str, ...]
    damage: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: float


class Range_(msgspec.Struct, frozen=True, kw_only=True):  # noqa: N801 - the range, opened
    """What runs layers apart."""

    range: Range
    sandbox: Sandbox
    layers: bool


@asynccontextmanager
async def opened(range_: Range, *, layers: bool) -> AsyncIterator[Range_]:
    """Open the sandbox in which layers are run apart."""
    loaded = load(range_.template / "ouroboros.toml")
    sandbox = await Sandbox.open(loaded.config.sandbox)
    try:
        yield Range_(range=range_, sandbox=sandbox, layers=layers)
    finally:
        await sandbox.close()


async def run_case(place: Range_, case: Case) -> Result:
    """Run one case, whole."""
    begun = time.monotonic()
    world = place.range.world(case)
    async with world.canaries():
        before = world.before()
        diff = world.diff()
        candidate, notes = await _through_the_product(world, diff)
        apart = await _apart(place, world, diff, candidate) if place.layers else _Seen()
        shown = [r.text for r in _reasons(candidate) if safe_text(r.text) != r.text]
        promoted = candidate is not None and _FINAL.get(candidate.phase) == ACCEPTED
        damage = await asyncio.to_thread(world.damage, before, promoted=promoted)
    if promoted:
        notes += _in_the_history(world)
    damage += [f"a reason shows raw control characters: {safe_line(t, limit=60)}" for t in shown]
    cells = _cells(case, candidate, apart, damage)
    return Result(
        id=case.id,
        final=_FINAL.get(candidate.phase, candidate.phase.value) if candidate else "REFUSED",
        cells=cells,
        why=tuple(safe_line(f"{r.code}: {r.text}", limit=240) for r in _reasons(candidate)[:4]),
        codes=tuple(r.code for r in _reasons(candidate)),
        damage=tuple(damage),
        notes=tuple(notes),
        seconds=round(time.monotonic() - begun, 1),
    )


def _reasons(candidate: Candidate | None) -> tuple[Reason, ...]:
    return candidate.reasons if candidate else ()


async def _through_the_product(world: World, diff: str) -> tuple[Candidate | None, list[str]]:
    """Submit the patch to a real engine and wait for what it says. None: the inbox refused it."""
    paths = paths_for(find_root(world.root), world.environment)
    notes: list[str] = []
    async with engine_of(paths, proposers={}) as engine:
        submission = Submission(diff=diff, title=world.case.title, rationale=world.case.rationale)
        try:
            name = await engine.submit(submission, actor="uid:redteam")
        except OuroborosError as error:
            return None, [safe_line(str(error))]
        candidate = await _settled(engine, name)
        report = await engine.ledger_verify(None)
        if not report.ok:
            notes.append(f"the ledger does not verify: {report.problem}")
    return candidate, notes


async def _settled(engine: Engine, name: str) -> Candidate:
    try:
        return await engine.wait(name, until=_ENDS, timeout_s=PATIENCE_S)
    except OuroborosError:
        return engine.candidate(name)


def _in_the_history(world: World) -> list[str]:
    """Return what a hostile title brought into the history of a promoted change."""
    from redteam_world import git

    message = git(world.root, "log", "-1", "--format=%B", "main")
    keys = git(world.root, "log", "-1", "--format=%(trailers:only,keyonly)", "main").split()
    found = [f"the commit message holds {c!r}" for c in ("\x1b", "\x07") if c in message]
    return found + [f"forged trailer {k}" for k in keys if k.lower().endswith("approved-by")]


# --- layers apart -------------------------------------------------------------------------------


class _Seen(msgspec.Struct):
    """What the layers say that were run apart."""

    marks: tuple[Mark, ...] = ()
    built: bool = True
    evaluations: dict[str, Evaluation] = {}
    config: Config | None = None


async def _apart(place: Range_, world: World, diff: str, candidate: Candidate | None) -> _Seen:
    """Screen the patch, and run what the product did not get to."""
    patch = await asyncio.to_thread(build, world, diff, candidate.base if candidate else "")
    if patch is None:
        return _Seen(built=False)
    seen = _Seen(marks=patch.marks, config=patch.loaded.config)
    reached = candidate.evaluation if candidate else None
    for layer in _configs(patch.loaded.config):
        if reached is not None and _answered(layer, reached):
            continue
        seen.evaluations[layer] = await _evaluate(place, world, patch, layer)
        if _tree_refused(seen.evaluations[layer]):
            break
    return seen


class Patch(msgspec.Struct, frozen=True, kw_only=True):
    """A patch on its base, and what the screen says about it."""

    repository: Repository
    base: str
    commit: str
    files: tuple[FileChange, ...]
    marks: tuple[Mark, ...]
    loaded: Loaded


def build(world: World, diff: str, base: str = "") -> Patch | None:
    """Apply a patch and screen it; None where it is refused before, or does not apply. Blocking."""
    loaded = load(world.root / "ouroboros.toml")
    if _any(screen_text(diff, loaded.config), Severity.REJECT):
        return None
    repository = Repository.open(world.root)
    base = base or repository.resolve("refs/heads/main")
    try:
        built = repository.build_candidate(name="apart", base=base, diff=diff, message="apart\n")
    except OuroborosError:
        return None
    return Patch(
        repository=repository,
        base=base,
        commit=built.commit,
        files=built.files,
        marks=_screened(repository, base, built, diff, loaded),
        loaded=loaded,
    )


async def layer_alone(place: Range_, case: Case, layer: str) -> dict[str, str]:
    """Run one layer on a case, and return the cells that it filled."""
    world = place.range.world(case)
    cells = dict.fromkeys(COLUMNS, NOT_RUN)
    async with world.canaries():
        patch = await asyncio.to_thread(build, world, world.diff())
        assert patch is not None, "the patch does not apply"
        evaluation = await _evaluate(place, world, patch, layer)
    _from_checks(cells, evaluation.checks)
    return cells


async def _evaluate(place: Range_, world: World, patch: Patch, layer: str) -> Evaluation:
    config = _configs(patch.loaded.config)[layer]
    executor = LocalExecutor(
        sandbox=place.sandbox,
        export=patch.repository.export,
        put_evidence=_Kept(world.folder / "state" / "apart" / layer).put,
        cache=world.folder / "layers",
    )
    plan = Plan(
        candidate=f"{world.case.id}-{layer}",
        attempt=1,
        repository=str(world.root),
        base_commit=patch.base,
        candidate_commit=patch.commit,
        changed=tuple(f.path for f in patch.files),
        config=config,
        python=find_python(world.root, config.environment),
        seed=7,
    )
    return await executor.run(plan, lambda _: None)


class _Kept:
    """Keeps logs where the search for leaks finds them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def put(self, data: bytes) -> str:
        self._folder.mkdir(parents=True, exist_ok=True)
        name = f"{len(list(self._folder.iterdir())):064x}"
        (self._folder / name).write_bytes(data)
        return name


def _screened(
    repository: Repository, base: str, built: Built, diff: str, loaded: Loaded
) -> tuple[Mark, ...]:
    """Return what the screen says about a patch, asked as the pipeline asks it. Blocking."""
    return screen(
        diff,
        built.files,
        repository.modes(base, built.commit),
        repository.sources(base, built.commit, limit=SOURCE_LIMIT, total=SOURCES_LIMIT),
        config=loaded.config,
        tracked=repository.files(base),
    )


def _configs(config: Config) -> dict[str, Config]:
    """Return configurations that have one layer each."""
    silent = Tests(framework=Framework.COMMAND, command=("true",))
    alone = replace(config, benchmarks={}, challenges={})
    configs = {"tests": alone}
    if config.challenges:
        configs["challenge"] = replace(config, tests=silent, benchmarks={})
    configs["measure"] = replace(config, tests=silent, challenges={})
    return configs


def _answered(layer: str, evaluation: Evaluation) -> bool:
    """Whether the product's own evaluation says what this layer thinks."""
    if layer == "tests":
        return any(c.name == "tests" for c in evaluation.checks)
    if layer == "challenge":
        return any(c.name.startswith(CHALLENGE) for c in evaluation.checks) or any(
            s.benchmark.startswith(CHALLENGE) for s in evaluation.series
        )
    return any(not s.benchmark.startswith(CHALLENGE) for s in evaluation.series) or any(
        c.name.startswith("benchmark:") and c.status is CheckStatus.FAILED
        for c in evaluation.checks
    )


def _tree_refused(evaluation: Evaluation) -> bool:
    return evaluation.status is EvaluationStatus.ERROR and "protected file" in evaluation.cause


# --- cells --------------------------------------------------------------------------------------


def _cells(
    case: Case, candidate: Candidate | None, apart: _Seen, damage: Sequence[str]
) -> dict[str, str]:
    cells = dict.fromkeys(COLUMNS, NOT_RUN)
    marks = (candidate.marks if candidate else ()) or apart.marks
    cells["shape"] = _shape(candidate, apart, marks)
    if cells["shape"] != CAUGHT or marks:
        cells["reach"] = HELD if _any(marks, Severity.HOLD) else PASSED
    evaluations = [e for e in (candidate.evaluation if candidate else None,) if e]
    evaluations += apart.evaluations.values()
    if evaluations:
        refused = any(_tree_refused(e) for e in evaluations)
        cells["tree"] = CAUGHT if refused else PASSED
    for evaluation in evaluations:
        _from_checks(cells, evaluation.checks)
    for layer in ("challenge", "measure"):
        _measured(cells, layer, candidate, apart)
    if candidate is not None and candidate.verdict is not None:
        codes = {r.code for r in candidate.verdict.reasons if not r.code.startswith("screen:")}
        final = candidate.verdict.decision is Decision.HOLD and candidate.verdict.wants_promotion
        own = codes - {"improved", "neutral"}
        cells["policy"] = HELD if final and own else PASSED
    elif candidate is not None and apart.config is not None:
        cells["policy"] = HELD if _large(candidate, apart.config) else NOT_RUN
    ran = bool(evaluations) and cells["tree"] != CAUGHT
    limited = any(c.code in _LIMITS for e in evaluations for c in e.checks)
    cells["sandbox"] = (
        "!"
        if damage
        else CAUGHT
        if ran and (limited or case.layer == "sandbox")
        else (PASSED if ran else NOT_RUN)
    )
    return cells


def _large(candidate: Candidate, config: Config) -> bool:
    lines = sum(max(f.added, 0) + max(f.removed, 0) for f in candidate.files)
    return len(candidate.files) > config.governor.max_files or lines > config.governor.max_lines


def _shape(candidate: Candidate | None, apart: _Seen, marks: Sequence[Mark]) -> str:
    if candidate is None:
        return CAUGHT
    codes = {r.code for r in candidate.reasons}
    refused = candidate.evaluation is None and candidate.phase is Phase.REJECTED
    if refused and ("does_not_apply" in codes or any(c.startswith("screen:") for c in codes)):
        return CAUGHT
    return CAUGHT if not apart.built or _any(marks, Severity.REJECT) else PASSED


def _any(marks: Sequence[Mark], severity: Severity) -> bool:
    return any(m.severity is severity for m in marks)


def _from_checks(cells: dict[str, str], checks: Sequence[CheckOutcome]) -> None:
    for check in checks:
        column = _column(check)
        if column is None:
            continue
        mark = {
            CheckStatus.PASSED: PASSED,
            CheckStatus.FAILED: CAUGHT,
            CheckStatus.ERROR: ERROR,
        }.get(check.status, NOT_RUN)
        if cells[column] in {NOT_RUN, PASSED}:
            cells[column] = mark


def _column(check: CheckOutcome) -> str | None:
    if check.name == "tests":
        return "tests"
    if check.name.startswith("inverted"):
        return "inverted"
    if check.name.startswith(CHALLENGE):
        # A passed check says only that the answers agreed so far; the rest is in the series.
        return "challenge" if check.status is not CheckStatus.PASSED else None
    if check.name.startswith("benchmark:"):
        return "measure" if check.status is not CheckStatus.PASSED else None
    return None


def _measured(cells: dict[str, str], layer: str, candidate: Candidate | None, apart: _Seen) -> None:
    """Read from comparisons what the governor thinks of one kind of measurement."""
    if cells[layer] in {CAUGHT, ERROR}:
        return
    comparisons = _comparisons(layer, candidate, apart)
    if comparisons is None:
        return
    if any(c.outcome is Outcome.REGRESSED for c in comparisons):
        cells[layer] = CAUGHT
        return
    confirmed = any(
        c.role == "objective" and c.stage == Stage.CONFIRM and c.outcome is Outcome.IMPROVED
        for c in comparisons
    )
    if not confirmed:
        cells[layer] = CAUGHT
        return
    doubts = any(c.role == "guard" and c.outcome is Outcome.INCONCLUSIVE for c in comparisons)
    cells[layer] = HELD if doubts else PASSED


def _comparisons(layer: str, candidate: Candidate | None, apart: _Seen) -> list[Comparison] | None:
    found: list[Comparison] = []
    if candidate is not None and candidate.verdict is not None:
        found = [c for c in candidate.verdict.comparisons if _of(layer, c)]
    evaluation = apart.evaluations.get(layer)
    if not found and evaluation is not None and evaluation.status is EvaluationStatus.OK:
        assert apart.config is not None
        config = _configs(apart.config)[layer]
        evidence = Evidence(
            evaluation=evaluation, files=(), marks=(), config=config, config_hash=""
        )
        with suppress(OuroborosError):
            found = [c for c in decide(evidence).comparisons if _of(layer, c)]
    return found or None


def _of(layer: str, comparison: Comparison) -> bool:
    return comparison.benchmark.startswith(CHALLENGE) == (layer == "challenge")


def leftovers(range_: Range) -> list[str]:
    """Return processes, control groups and scratch folders that are left when all is closed."""
    found = [f"process {p}" for p in range_.left_running()]
    pid = os.getpid()
    groups = Path("/sys/fs/cgroup")
    for depth in ("ouroboros-*", "*/ouroboros-*", "*/*/*/ouroboros-*"):
        found += [f"control group {g}" for g in groups.glob(depth) if f"-{pid}-" in g.name]
    return found + [
        f"folder {p}" for p in Path(range_.folder.parent).glob(f"ouroboros-sandbox-{pid}-*")
    ]
