"""What was run and what was measured: checks, samples, and the `Evaluation` that holds them.

Three ways of not succeeding are kept apart everywhere: `failed` = the tests said no; `error` = we
could not find out; `inconclusive` = the evidence does not suffice. None of them is ever a number.

Times are integer nanoseconds, sizes integer bytes: the ledger stores them exactly.
"""

from enum import StrEnum

import msgspec


class CheckStatus(StrEnum):
    """How a hard gate ended."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"


DIFFERENT_OUTPUT = "different_output"
"""Code of a check that passed, and still is for a human: a benchmark prints something else."""


class CheckOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One hard gate: builds, tests, proof of files, benchmark dry run.

    `code` says machine-readably how it ended (`ok`, `tests_failed`, `timeout`, `memory`, `crash`,
    `missing_tests`, `newly_skipped`, `forged`, `wrong_files`, `baseline_red`, `sandbox`, ...);
    `text` says it in words; `log` is the evidence hash of the captured output, or empty.
    """

    name: str
    status: CheckStatus
    code: str
    text: str
    wall_ns: int = 0
    tests_run: int = 0
    tests_failed: int = 0
    log: str = ""


class Sample(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """One run of one side: user+system CPU time, wall time, peak resident set.

    In a series of a challenge, `cpu_ns` and `wall_ns` are those of the calls alone, and the rest
    says what else the same process used (all CPU time, 0 elsewhere): `total_cpu_ns` from its start
    to its end, `start_cpu_ns` for starting the interpreter and importing the target, `first_cpu_ns`
    for the first call, `idle_cpu_ns` while it should have waited for us, `single_cpu_ns` for calls
    that were asked alone, one input each, in the same order on both sides.

    `reported` holds what the run or its evaluator said, by metric; always finite numbers.
    """

    cpu_ns: int
    wall_ns: int
    rss_bytes: int
    total_cpu_ns: int = 0
    start_cpu_ns: int = 0
    first_cpu_ns: int = 0
    idle_cpu_ns: int = 0
    single_cpu_ns: tuple[int, ...] = ()
    reported: dict[str, float] = {}


class Pair(msgspec.Struct, frozen=True, kw_only=True, array_like=True):
    """Baseline and candidate run back to back; `candidate_first` is the coin that was thrown."""

    started_ns: int
    candidate_first: bool
    baseline: Sample
    candidate: Sample


class Purpose(StrEnum):
    """What an evaluation is for.

    `candidate`: checks, then as few pairs as the answer needs. `watch`: the same, but a regression
    is looked for and no gain, so that nothing is given up early and nothing confirmed. `anchor`:
    no checks, a fixed number of pairs, for an estimate with bounds.
    """

    CANDIDATE = "candidate"
    WATCH = "watch"
    ANCHOR = "anchor"


class Stage(StrEnum):
    """Which stage of the benchmark a series belongs to; confirmation uses fresh pairs only.

    `anchor`: the candidate against the anchor, for the cumulative budget; `calibrate`: the baseline
    against itself.
    """

    SCREEN = "screen"
    CONFIRM = "confirm"
    ANCHOR = "anchor"
    CALIBRATE = "calibrate"


CHALLENGE = "challenge:"
"""Begins the names of series and checks of a challenge; no benchmark's name holds a colon."""


class Series(msgspec.Struct, frozen=True, kw_only=True):
    """All pairs of one benchmark at one stage, in time order, none discarded.

    `benchmark` is a key of `[benchmarks]`, or `challenge:` and a key of `[challenges]`. The first
    `inherited` pairs were taken by an earlier evaluation of the same idea, which goes on here.
    """

    benchmark: str
    stage: Stage
    pairs: tuple[Pair, ...]
    inherited: int = 0


class Exact(msgspec.Struct, frozen=True, kw_only=True):
    """The values of an exact metric that is not taken with each pair (instructions, sizes).

    One value a run, in the metric's unit. In the stage `anchor`, `baseline` is the anchor.
    """

    benchmark: str
    metric: str
    stage: Stage
    baseline: tuple[float, ...]
    candidate: tuple[float, ...]


class Containment(StrEnum):
    """What kept a run apart from the host, weakest first."""

    NONE = "none"
    LANDLOCK = "landlock"
    BWRAP = "bwrap"


class SandboxLevel(msgspec.Struct, frozen=True, kw_only=True):
    """What contained the run: backend and version, how limits were enforced.

    `backend` is a `Containment`'s value; `drop` says as whom the run ran (`user`: the engine's own,
    in a user namespace; `uid N`: rights dropped to that user), `seccomp` whether its calls were
    filtered.
    """

    backend: str
    version: str
    limits: str
    network: bool = False
    drop: str = "user"
    seccomp: bool = False


class EvaluationStatus(StrEnum):
    """`ok`: everything ran and the checks passed; `failed`: a check said no; `error`: unknown."""

    OK = "ok"
    FAILED = "failed"
    ERROR = "error"


class Assurance(StrEnum):
    """How much the checks prove about behaviour, weakest first."""

    EXIT_CODE = "exit-code"
    TESTS = "tests"
    CHALLENGE = "challenge"


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """All checks and measurements of one candidate against one baseline.

    `proof` maps nothing by itself: it is the list of `path:blob` pairs of the changed files that
    the sandboxed run reported to have loaded; empty when no changed file was loaded. `untested`
    names replaced lines of the baseline (`path:line`) that neither its tests nor challenges
    execute.
    """

    status: EvaluationStatus
    cause: str
    base_commit: str
    candidate_commit: str
    attempt: int
    checks: tuple[CheckOutcome, ...]
    series: tuple[Series, ...]
    assurance: Assurance
    sandbox: SandboxLevel
    machine: str
    started_ns: int
    wall_ns: int
    proof: tuple[str, ...] = ()
    untested: tuple[str, ...] = ()
    exact: tuple[Exact, ...] = ()
    anchor_commit: str = ""
    """What the series of the stage `anchor` were measured against; empty where that was not asked
    for, or not come to."""
    anchor_cause: str = ""
    """Why the anchor could not be measured although it was asked for."""
