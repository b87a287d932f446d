"""`ouroboros.toml`: strict, with errors that name the key, its line, and the way out.

Every option has a default and a docstring; the JSON Schema for editors (`ouroboros config
schema`) is generated from the same Structs. Durations are written `"90s"`, `"5m"`, `"1h"`
(or a number of seconds), sizes `"512MiB"`, `"1GiB"` (or a number of bytes).

The file is the human's: the engine reads it from the work tree at its start and before each cycle,
and it is protected, so that a candidate that touches it is refused by the screen. Unknown keys are
errors: a misspelt threshold that is silently ignored is a governor that is silently off.
"""

import difflib
import hashlib
import re
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

import msgspec

from ouroboros.config_alerts import Alerts, alert_problems
from ouroboros.config_checks import contradictions
from ouroboros.config_service import Service, service_problems
from ouroboros.config_values import Duration as Duration
from ouroboros.config_values import Section as Section
from ouroboros.config_values import Size as Size
from ouroboros.config_values import duration_text as duration_text
from ouroboros.config_values import mebibytes as mebibytes
from ouroboros.config_values import parse_duration as parse_duration
from ouroboros.config_values import parse_size as parse_size
from ouroboros.config_values import seconds as seconds
from ouroboros.config_values import size_text as size_text
from ouroboros.config_values import written as written
from ouroboros.errors import ConfigError
from ouroboros.model.evaluation import Assurance, Containment
from ouroboros.model.events import Setting
from ouroboros.model.globs import matches
from ouroboros.model.listen import parse_listen
from ouroboros.model.metric import Direction, Kind, Pairing, Role, Scale
from ouroboros.model.text import safe_line
from ouroboros.model.windows import never_ends, parse_window, zone

FILE_NAME = "ouroboros.toml"


class Mode(StrEnum):
    """How far the engine may go by itself."""

    OBSERVE = "observe"
    SUPERVISED = "supervised"
    AUTONOMOUS = "autonomous"


class Framework(StrEnum):
    """How the tests report: per-test records (pytest, unittest) or an exit code (command)."""

    PYTEST = "pytest"
    UNITTEST = "unittest"
    COMMAND = "command"


class Answer(StrEnum):
    """What a rule of the screen does with what it finds."""

    ALLOW = "allow"
    HOLD = "hold"
    REJECT = "reject"


class Fdr(StrEnum):
    """How false discoveries over many candidates are bounded. Measured: docs/statistics."""

    CONFIRM = "confirm"
    E_LOND = "e-lond"


class Target(Section, frozen=True, kw_only=True):
    """`[target]`: what is improved."""

    branch: str = ""
    """Branch that promotions move; empty means the branch checked out when the engine starts."""
    paths: tuple[str, ...] = ("**/*.py",)
    """Globs of the files that built-in proposers may change."""
    tag: str = ""
    """Name of a tag that every version gets, with `{version}` for its number, for instance
    `ouroboros/v{version}`; empty means none."""


class Environment(Section, frozen=True, kw_only=True):
    """`[environment]`: the target's own interpreter and environment, never the engine's."""

    python: str = ""
    """Interpreter of the target's environment, absolute or relative to the repository;
    empty means `.venv/bin/python`, `venv/bin/python`, else the `python3` on PATH."""
    path: tuple[str, ...] = (".",)
    """Folders of the evaluated tree that go on PYTHONPATH (`"src"` for a src layout)."""
    variables: dict[str, str] = {}
    """Environment variables set in the sandbox; nothing else of the engine's environment is."""
    read_only: tuple[str, ...] = ()
    """More host paths that the sandbox may read (data sets, toolchains)."""


class Tests(Section, frozen=True, kw_only=True):
    """`[tests]`: the hard gate."""

    framework: Framework = Framework.PYTEST
    """`pytest` and `unittest` report each test on a private channel; `command` only exits."""
    command: tuple[str, ...] = ()
    """Arguments after `python -m pytest` / `python -m unittest`, or the whole command for
    `command`; `{python}` stands for the target's interpreter."""
    timeout: Duration = msgspec.field(default_factory=lambda: seconds(120))
    """Wall time of one whole test run."""
    junit: str = ""
    """For `command`: path of the JUnit XML report that it writes, relative to the tree. Its records
    are compared with the baseline's; the assurance stays `exit-code`, since any code of the
    candidate could have written it."""
    inverted: bool = True
    """Run the tests once more with every `assert` turned around: each test that can fail must."""


class Metric(Section, frozen=True, kw_only=True):
    """`[benchmarks.NAME.metrics.METRIC]`: one metric of a benchmark.

    `cpu`, `wall` and `memory` are always there; `instructions` (by callgrind) where it is named
    here. Any other name is a number that the command reports, or (`files`) the size of files.
    """

    role: Role | None = None
    """`objective` (a gain in one is needed), `guard` (may not get worse than its margin), `report`
    (shown, decides nothing). Left out: `cpu` is an objective, `wall`, `memory`, `instructions` and
    sizes are guards, reported numbers are reports."""
    kind: Kind | None = None
    """`paired` (noisy: judged by pairs) or `exact` (the same in every run). Left out: `exact` for
    `memory`, `instructions` and sizes, else `paired`. What is declared exact and differs by more
    than 1 % between runs of the same code is judged by pairs."""
    direction: Direction = Direction.LOWER
    """Which way is better; always `lower` for what the harness measures."""
    unit: str = ""
    """Shown beside the numbers."""
    scale: Scale = Scale.RATIO
    """`ratio` for positive numbers; `difference` for scores that may be zero or negative, whose
    margins are then in the score's own unit."""
    max_degradation: float | None = None
    """Margin. Left out: that of the benchmark or `[governor]` (`wall`, `memory`: their own)."""
    min_gain: float | None = None
    """Smallest gain worth looking for. Left out: that of `[governor]`."""
    files: tuple[str, ...] = ()
    """Globs of files in the tree whose total size in bytes is the metric."""


class Benchmark(Section, frozen=True, kw_only=True):
    """`[benchmarks.NAME]`: a command whose cost is the objective."""

    command: tuple[str, ...]
    """The command; `{python}` stands for the target's interpreter. Exit code 0 is required."""
    timeout: Duration = msgspec.field(default_factory=lambda: seconds(60))
    """Wall time of one run."""
    max_degradation: float | None = None
    """Margin of this benchmark; empty means `[governor] max_degradation`."""
    pairing: Pairing = Pairing.SEQUENTIAL
    """`sequential`, or `duet`: both runs of a pair at once, which is quieter on a shared machine
    with two free cores; wall time then decides nothing."""
    metrics: dict[str, Metric] = {}
    """Metrics besides, or with other roles and margins than, the usual ones. Where one is reported
    by the command, the last line that it prints is a JSON object of numbers."""
    evaluator: tuple[str, ...] = ()
    """Judges the output instead of the command: it runs in a sandbox of its own on the baseline's
    tree, reads what the command printed on its standard input, and prints the JSON object. What
    the command itself reports is only believed by a human."""


class Challenge(Section, frozen=True, kw_only=True):
    """`[challenges.NAME]`: baseline and candidate answer the same secret, fresh inputs.

    Results are compared in type and bytes, outside of the run, and the time is that of the same
    calls. One of `call` and `command` is required.
    """

    call: str = ""
    """A function of the target, as `package.module:function` (or `:Class.method`)."""
    command: tuple[str, ...] = ()
    """A program instead: the generator gives its arguments and standard input, and its standard
    output and exit code are compared; `{python}` stands for the target's interpreter."""
    inputs: str = ""
    """Generator of inputs, as `FILE.py:function` in a protected file. It is called with a
    `random.Random` and returns the arguments of one call (a tuple; for `command` a tuple of a list
    of arguments and the bytes of standard input). Empty: drawn from the function's annotations
    with hypothesis, which the target's environment must then have; those are small, so that a
    generator of its own measures better."""
    batch: int = 20
    """Calls of one round; each has inputs of its own. A round should take 5 ms or more. For
    `command`, the processes of one bout."""
    rounds: int = 5
    """Rounds of one bout: a bout is a fresh process of each side and gives one pair. Not used by
    `command`."""
    timeout: Duration = msgspec.field(default_factory=lambda: seconds(60))
    """Wall time that one side may take for a bout, and at most a third of `[sandbox] timeout`; for
    `command`, of one process."""
    max_degradation: float | None = None
    """Margin of this challenge; empty means `[governor] max_degradation`."""


class Autonomy(Section, frozen=True, kw_only=True):
    """`[governor.autonomy]`: which accepted candidates are promoted without a human.

    Only read in mode `autonomous`. All of it must hold, besides the `min_*` and `max_*` keys of
    `[governor]`.
    """

    paths: tuple[str, ...] = ("**",)
    """Globs: every changed file lies in one of them."""
    proposers: tuple[str, ...] = ("*",)
    """Globs of the proposers' names."""
    min_gain: float = 0.0
    """Confirmed gain (the estimate of the confirmation) in an objective, as a fraction."""


class Limits(Section, frozen=True, kw_only=True):
    """`[governor.limits]`: how much may happen, and when."""

    promotions_per_day: int = 50
    """Promotions without a human in 24 hours; beyond it, accepted candidates are held."""
    promotions_per_proposer: int = 50
    """The same, of one proposer."""
    freeze: tuple[str, ...] = ()
    """Windows without any promotion: `"Fri 16:00 - Mon 08:00"` (each week), `"22:00 - 06:00"` (each
    day), `"2026-12-20 - 2027-01-02"` (the last day included; times may stand behind the dates).
    What is accepted or approved waits for the end; rollbacks do not."""
    timezone: str = "UTC"
    """In which the windows are read, for instance `Europe/Berlin`."""
    quorum: int = 1
    """Approvals of different people that a held candidate needs."""
    reviewed: tuple[str, ...] = ()
    """Globs of files that always need people: a candidate that touches one is held, needs
    `reviewed_quorum` approvals, and none of them from who proposed it."""
    reviewed_quorum: int = 2
    """Approvals of different people for `reviewed` files."""
    rollbacks_in_a_row: int = 2
    """Circuit breaker: after so many promotions in a row that were rolled back, the engine pauses
    itself and raises an alert."""


class Budget(Section, frozen=True, kw_only=True):
    """`[governor.budget]`: what errors and small losses may add up to."""

    fdr: Fdr = Fdr.CONFIRM
    """`confirm`: every gain is proven twice, the second time on fresh pairs. `e-lond`: besides, the
    share of false discoveries among all is at most `fdr_level`, under any dependence; costs about
    a quarter of the gains."""
    fdr_level: float = 0.05
    """For `e-lond`."""
    cumulative: bool = True
    """Whether a candidate must also be proven not to be worse than the anchor by more than the
    margins, so that small losses do not add up."""
    anchor_gain: float = 0.10
    """The anchor moves by itself to a head that is proven to be better by this fraction."""
    anchor_every: int = 20
    """Head is measured against the anchor after so many promotions..."""
    anchor_interval: Duration = msgspec.field(default_factory=lambda: seconds(7 * 86400))
    """...or when so much time has passed since, if anything was promoted."""
    similarity: float = 0.9
    """A proposal whose changed lines are this similar to an earlier one's continues its evidence
    instead of starting anew; 1 means only the same change."""


class Calibration(Section, frozen=True, kw_only=True):
    """`[governor.calibration]`: how noisy this machine is for each benchmark."""

    enabled: bool = True
    """Whether the baseline is measured against itself before a benchmark is first used."""
    pairs: int = 10
    """Pairs of a calibration."""
    every: Duration = msgspec.field(default_factory=lambda: seconds(7 * 86400))
    """When it is repeated."""
    too_noisy: float = 4.0
    """A benchmark whose pair noise is more than this many times its margin is not measured at all:
    the answer is "too noisy", with the number of pairs that it would need."""


class Governor(Section, frozen=True, kw_only=True):
    """`[governor]`: what is accepted, held, rejected. Reasons for the defaults: docs/statistics."""

    mode: Mode = Mode.SUPERVISED
    """`observe` never applies, `supervised` holds every accept, `autonomous` promotes."""
    max_degradation: float = 0.05
    """The margin: a candidate must be proven not to be worse than this fraction."""
    max_wall_degradation: float = 0.25
    """Margin of the wall-time guard; wall time is noisy, so it is wide."""
    max_memory_degradation: float = 0.10
    """Margin of the peak-memory guard (exact rule on the median)."""
    min_gain: float = 0.03
    """The smallest gain worth looking for; below it the comparison stops early."""
    alpha_accept: float = 0.01
    """Error rate of "not worse than the margin"."""
    alpha_improve: float = 0.05
    """Error rate of "improved", at screening and again at confirmation."""
    alpha_reject: float = 0.05
    """Error rate of "regressed"."""
    alpha_futile: float = 0.33
    """Error rate at which a hopeless comparison is given up; costs power only."""
    min_pairs: int = 6
    """Fewest pairs before any answer."""
    max_pairs: int = 60
    """Most pairs of one stage."""
    benchmark_budget: Duration = msgspec.field(default_factory=lambda: seconds(300))
    """Wall time of all pairs of one candidate and stage."""
    accept_neutral: bool = False
    """Whether a change that is proven harmless but not proven faster may be promoted."""
    hold_expiry: Duration = msgspec.field(default_factory=lambda: seconds(3 * 86400))
    """How long a hold waits for a human; then the answer is no."""
    min_assurance: Assurance | None = None
    """What the checks must prove before a promotion without a human: `exit-code`, `tests`,
    `challenge`; left out, it is `challenge` where there are challenges, and else `tests`."""
    min_containment: Containment = Containment.BWRAP
    """What must have contained the run before a promotion without a human: `bwrap`, `landlock`
    (weaker), `none`."""
    max_files: int = 20
    """Diffs over more files are held for a human."""
    max_lines: int = 800
    """Diffs of more changed lines are held for a human."""
    protected: tuple[str, ...] = (
        "tests/**",
        "test/**",
        "**/test_*.py",
        "**/*_test.py",
        "**/conftest.py",
        "bench/**",
        "benchmarks/**",
        "challenges/**",
        "**/pytest.ini",
        "**/.pytest.ini",
        "**/pytest.toml",
        "**/.pytest.toml",
        "**/tox.ini",
        "**/setup.cfg",
        "setup.py",
        "**/pyproject.toml",
        "**/sitecustomize.py",
        "**/usercustomize.py",
        "**/*.pth",
        "**/.gitattributes",
        "**/.gitmodules",
        ".github/**",
        ".gitlab-ci.yml",
        "ouroboros.toml",
    )
    """Globs that no candidate may touch; tests and benchmarks are run from the baseline's copy."""
    autonomy: Autonomy = msgspec.field(default_factory=Autonomy)
    limits: Limits = msgspec.field(default_factory=Limits)
    budget: Budget = msgspec.field(default_factory=Budget)
    calibration: Calibration = msgspec.field(default_factory=Calibration)


class Screen(Section, frozen=True, kw_only=True):
    """`[screen]`: what a diff may look like, judged before anything of it runs.

    Shapes without an honest use (links, submodules, binary content, protected names, names of the
    standard library, invisible characters) are always refused. Python is read as a syntax tree,
    other languages by the rules that need none.
    """

    reach: Answer = Answer.HOLD
    """Reach that the file did not have before: processes, files, network, clock, threads, frames,
    exit hooks, code from text, operators such as `__eq__`, attributes of foreign objects."""
    state: Answer = Answer.HOLD
    """State that outlives a call (caches, globals, mutable defaults) and work done at import."""
    removed: Answer = Answer.HOLD
    """Removed `raise`, `assert`, logging, validation, flushing."""
    persuasion: Answer = Answer.HOLD
    """Text that addresses a reviewer or a model."""
    modules: tuple[str, ...] = ()
    """Modules whose new import is no finding, for instance `["os.path", "time"]`."""
    max_bytes: Size = msgspec.field(default_factory=lambda: mebibytes(1))
    """Size of a diff beyond which it is refused."""


class Sandbox(Section, frozen=True, kw_only=True):
    """`[sandbox]`: the limits of every run of target code."""

    memory: Size = msgspec.field(default_factory=lambda: mebibytes(1024))
    """Memory of one run; beyond it the candidate is rejected."""
    timeout: Duration = msgspec.field(default_factory=lambda: seconds(300))
    """Upper bound on the wall time of any run, whatever the test or benchmark says."""
    processes: int = 128
    """Processes and threads of one run."""
    file_size: Size = msgspec.field(default_factory=lambda: mebibytes(64))
    """Largest file that a run may write."""
    tmp_size: Size = msgspec.field(default_factory=lambda: mebibytes(256))
    """Size of the private /tmp."""
    tree_size: Size = msgspec.field(default_factory=lambda: mebibytes(256))
    """Bytes that a run may write into its copy of the tree."""
    cpu: Duration = msgspec.field(default_factory=lambda: seconds(600))
    """CPU time of one run, all its processes together."""
    output: Size = msgspec.field(default_factory=lambda: mebibytes(1))
    """Output kept of one run; more is drained and dropped, far more ends the run."""
    network: tuple[str, ...] = ()
    """Services that a run may reach, each `"NAME:PORT"` with a port of 1024 or more. Everything
    else stays unreachable; the loopback inside works anyway. Verdicts of such runs are held."""
    allow_landlock: bool = False
    """Where bubblewrap does not work, run under Landlock and seccomp alone: no namespaces, so that
    a run sees the host's processes and no multiprocessing works. The verdicts say so."""
    allow_unconfined: bool = False
    """Run without bubblewrap where none works (macOS, locked-down containers). The verdicts say so,
    and none of them is promoted without a human."""


class Engine(Section, frozen=True, kw_only=True):
    """`[engine]`: the loop."""

    interval: Duration = msgspec.field(default_factory=lambda: seconds(3600))
    """Time between the starts of two cycles."""
    proposals_per_cycle: int = 1
    """How many proposals a cycle asks for; the next cycle follows at once while there are ideas
    only if `drain_ideas` is set."""
    drain_ideas: bool = False
    """Start the next cycle as soon as one ends, until the proposers have no idea left."""
    max_in_flight: int = 4
    """Candidates between proposal and verdict: further cycles wait, and of those submitted from
    outside no more than these are evaluated at once."""
    max_errors_in_a_row: int = 3
    """Circuit breaker: after so many candidates in a row ended in error (never: were rejected), the
    engine pauses itself and raises an alert."""
    watch_after: Duration = msgspec.field(default_factory=lambda: seconds(60))
    """How long after a promotion the new head is measured again against its parent."""
    shutdown_grace: Duration = msgspec.field(default_factory=lambda: seconds(10))
    """Time that SIGTERM gives a running evaluation before it is cancelled and requeued."""


class Storage(Section, frozen=True, kw_only=True):
    """`[storage]`: what is kept in the state folder, and when the disk is too full to go on.

    The ledger itself is never pruned, and with it verdicts, answers and all raw samples. What can
    go is named here; it is removed while the engine is idle, and an entry says what was.
    """

    min_free: Size = msgspec.field(default_factory=lambda: mebibytes(512))
    """Free space below which no new work begins; it goes on by itself when there is space."""
    keep_evidence: Duration = msgspec.field(default_factory=lambda: seconds(30 * 86400))
    """How long diffs and logs of candidates that were not promoted are kept. Those of promoted
    ones, and of any that is held or on its way, are never removed."""
    max_evidence: Size = msgspec.field(default_factory=lambda: mebibytes(4096))
    """Beyond it the oldest evidence that may go goes earlier."""
    keep_refs: Duration = msgspec.field(default_factory=lambda: seconds(30 * 86400))
    """How long the git refs of candidates that are over are kept; without them git forgets their
    commits. Those of promoted, held and unfinished candidates are never removed."""
    max_refs: int = 500
    """Beyond so many candidates with refs, the oldest that may go go earlier."""
    keep_trees: Duration = msgspec.field(default_factory=lambda: seconds(2 * 86400))
    """How long an exported tree that nobody uses is kept for the next evaluation."""
    max_log: Size = msgspec.field(default_factory=lambda: mebibytes(16))
    """Size at which `engine.log` is set aside; one old log is kept."""
    every: Duration = msgspec.field(default_factory=lambda: seconds(3600))
    """How often it is looked at."""


class Codemod(Section, frozen=True, kw_only=True):
    """`[proposers.codemod]`: the built-in proposer that needs no model."""

    enabled: bool = True
    """Whether it is asked."""
    hot_functions: int = 20
    """How many of the hottest functions (by profile of the benchmark) are looked at."""


class Proposers(Section, frozen=True, kw_only=True):
    """`[proposers.*]`: who is asked for ideas. Proposals over RPC (`inbox`) are always taken."""

    codemod: Codemod = msgspec.field(default_factory=Codemod)


class Ledger(Section, frozen=True, kw_only=True):
    """`[ledger]`: how an outsider can verify the record. See docs/ledger."""

    head_every: Duration = msgspec.field(default_factory=lambda: seconds(60))
    """Heads are signed this often if something was added; besides at every promotion and rollback
    and at the end."""
    head_file: str = ""
    """A second file to which each signed head is appended, best on another machine's disk."""
    head_webhook: str = ""
    """An `https://` (or `http://`) address to which each signed head is posted as text."""
    operators: dict[str, str] = {}
    """Who may sign approvals: names and keys as `"ssh-ed25519 AAAA..."`."""
    allowed_signers: str = ""
    """A file in the format of ssh-keygen with more such keys; absolute, outside of the tree."""
    require_signatures: bool = False
    """Whether approvals without an operator's signature are refused."""


class Rpc(Section, frozen=True, kw_only=True):
    """`[rpc]`: doors besides the owner's unix socket. Read when the engine starts."""

    listen: str = ""
    """An address and port of this machine, `127.0.0.1:7717` or `[::1]:7717`; others only with TLS.
    Whoever knocks there needs a token (`ouroboros token create`)."""
    tls_cert: str = ""
    """A file with the certificate and its chain (PEM); absolute."""
    tls_key: str = ""
    """A file with its key (PEM, not encrypted); absolute, readable for the owner alone."""
    hosts: tuple[str, ...] = ()
    """Names besides the address (and `localhost`) under which clients reach it."""
    origins: tuple[str, ...] = ()
    """Web pages that may call it, as `https://ops.example.org`; all others are refused."""
    socket: str = ""
    """A second unix socket for other users of this machine; absolute, in a folder that they may
    enter. `users` and `groups` say who may come in."""
    users: dict[str, str] = {}
    """Their roles: `alice = "approver"`."""
    groups: dict[str, str] = {}
    """Roles of the members of groups: `wheel = "operator"`. A user's own role wins."""


class Config(Section, frozen=True, kw_only=True):
    """The whole file."""

    target: Target = msgspec.field(default_factory=Target)
    environment: Environment = msgspec.field(default_factory=Environment)
    tests: Tests = msgspec.field(default_factory=Tests)
    benchmarks: dict[str, Benchmark] = {}
    challenges: dict[str, Challenge] = {}
    screen: Screen = msgspec.field(default_factory=Screen)
    governor: Governor = msgspec.field(default_factory=Governor)
    sandbox: Sandbox = msgspec.field(default_factory=Sandbox)
    engine: Engine = msgspec.field(default_factory=Engine)
    storage: Storage = msgspec.field(default_factory=Storage)
    proposers: Proposers = msgspec.field(default_factory=Proposers)
    ledger: Ledger = msgspec.field(default_factory=Ledger)
    rpc: Rpc = msgspec.field(default_factory=Rpc)
    service: Service = msgspec.field(default_factory=Service)
    alerts: Alerts = msgspec.field(default_factory=Alerts)


class Loaded(msgspec.Struct, frozen=True, kw_only=True):
    """The policy in force: the file, and what a human changed at run time.

    `config` is the effective configuration, `source` the exact bytes of the file, `overrides` the
    values set at run time by dotted key. `policy` is what must be kept to restore all of it (see
    `parse_policy`), and `hash` its SHA-256.
    """

    config: Config
    source: bytes
    hash: str
    overrides: Mapping[str, Setting] = {}

    @property
    def policy(self) -> bytes:
        """The file's bytes, or (with overrides) a canonical record of both."""
        return _policy(self.source, self.overrides)


class _Policy(msgspec.Struct, frozen=True, kw_only=True):
    """The record of a file with overrides, written with sorted keys."""

    overrides: dict[str, Setting]
    source: str


def _policy(source: bytes, overrides: Mapping[str, Setting]) -> bytes:
    if not overrides:
        return source
    record = _Policy(overrides=dict(overrides), source=source.decode())
    return msgspec.json.encode(record, order="deterministic")


def load(path: Path) -> Loaded:
    """Read and check a configuration file.

    Raises:
        ConfigError: missing or unreadable file, or whatever `parse` raises.
    """
    try:
        source = path.read_bytes()
    except FileNotFoundError:
        raise ConfigError(
            f"There is no {FILE_NAME} at {path.parent}.",
            hint="Run 'ouroboros init' in the repository to write one.",
        ) from None
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    return parse(source, origin=str(path))


def parse(source: bytes, *, origin: str = FILE_NAME) -> Loaded:
    """Check the bytes of a configuration.

    Raises:
        ConfigError: not TOML, unknown key, wrong type, value out of range; with key and line.
    """
    config = _parsed(_toml(source, origin), source.decode(), origin)
    return Loaded(config=config, source=source, hash=hashlib.sha256(source).hexdigest())


def parse_policy(policy: bytes) -> Loaded:
    """Restore what `Loaded.policy` gave: the bytes of a file, or a record with overrides.

    Raises:
        ConfigError: neither of them, or refused by this version.
    """
    if not policy.startswith(b"{"):  # no TOML file begins so
        return parse(policy, origin="the recorded policy")
    try:
        record = msgspec.json.decode(policy, type=_Policy)
    except msgspec.DecodeError as error:
        raise ConfigError(f"The recorded policy is damaged: {error}.") from None
    return override(parse(record.source.encode()), record.overrides)


_NEVER_LIVE = frozenset({"governor.protected"})


def live_keys() -> tuple[str, ...]:
    """Return the dotted keys that may be changed at run time, sorted.

    All of `[governor]`, its limits, autonomy and budget, and `[engine]`: thresholds. Commands,
    paths, protected files and the sandbox are the file's alone.
    """
    tables: dict[str, type[Section]] = {
        "governor": Governor,
        "governor.limits": Limits,
        "governor.autonomy": Autonomy,
        "governor.budget": Budget,
        "engine": Engine,
    }
    keys = {f"{table}.{name}" for table, kind in tables.items() for name in kind.__struct_fields__}
    inner = {"governor.limits", "governor.autonomy", "governor.budget", "governor.calibration"}
    return tuple(sorted(keys - inner - _NEVER_LIVE))


def value_of(config: Config, key: str) -> Setting:
    """Return the value in force of a dotted key, as it would stand in the file."""
    value: object = config
    for part in key.split("."):
        value = getattr(value, part)
    plain: Setting = msgspec.to_builtins(value, enc_hook=written)
    return list(plain) if isinstance(plain, tuple) else plain


def override(loaded: Loaded, changes: Mapping[str, Setting]) -> Loaded:
    """Return the policy with values changed on top of it; None returns to the file's value.

    Raises:
        ConfigError: a key that may not be changed at run time, or a value that the file could not
            have either; names the key.
    """
    known = live_keys()
    for key in changes:
        if key not in known:
            raise ConfigError(_not_live(key, known), hint=_LIVE)
    merged = {k: v for k, v in {**loaded.overrides, **changes}.items() if v is not None}
    raw = _toml(loaded.source, FILE_NAME)
    for key, value in merged.items():
        *tables, leaf = key.split(".")
        place = raw
        for table in tables:
            place = place.setdefault(table, {})
        place[leaf] = value
    text = loaded.source.decode() if not merged else ""
    origin = FILE_NAME if not merged else f"{FILE_NAME} with {', '.join(sorted(merged))} changed"
    config = _parsed(raw, text, origin)
    digest = hashlib.sha256(_policy(loaded.source, merged)).hexdigest()
    return Loaded(
        config=config,
        source=loaded.source,
        hash=digest,
        overrides=MappingProxyType(dict(sorted(merged.items()))),
    )


_LIVE = "What can be changed at run time is in [governor], its tables, and [engine]."


def _not_live(key: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(key, known, n=1)
    meant = f" Did you mean {near[0]}?" if near else ""
    return f"{safe_line(key, limit=80)!r} is no key that can be changed at run time.{meant}"


def _toml(source: bytes, origin: str) -> dict[str, Any]:
    try:
        return tomllib.loads(source.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(
            f"{origin} is not valid TOML: {error}.", hint="Correct the line it names."
        ) from None


def _parsed(raw: dict[str, Any], text: str, origin: str) -> Config:
    try:
        config = msgspec.convert(raw, Config, dec_hook=_decode)
    except msgspec.ValidationError as error:
        raise _located(str(error), text, origin) from None
    _check(config, text, origin)
    return config


def schema() -> dict[str, Any]:
    """Return the JSON Schema of the file, for editors."""
    return msgspec.json.schema(Config, schema_hook=_schema_hook)


def _schema_hook(kind: type) -> dict[str, Any]:
    unit, example = ("duration", "90s") if kind is Duration else ("size", "512MiB")
    return {"type": ["string", "number"], "description": f'A {unit}, for instance "{example}".'}


def _decode(kind: type, value: object) -> object:
    if kind is Duration:
        return parse_duration(value)
    if kind is Size:
        return parse_size(value)
    raise NotImplementedError(kind)


_AT = re.compile(r"^(?P<what>.*?)(?: - at `\$\.?(?P<key>.*?)`)?$", re.DOTALL)
_UNKNOWN = re.compile(r"unknown field `(?P<field>[^`]+)`")


def _located(message: str, text: str, origin: str) -> ConfigError:
    """Turn msgspec's message into one with key and line."""
    match = _AT.match(message)
    what, key = (match["what"], match["key"] or "") if match else (message, "")
    unknown = _UNKNOWN.search(what)
    hint = "Correct the value; 'ouroboros config schema' lists what is possible."
    if unknown:
        key = f"{key}.{unknown['field']}".lstrip(".")
        what = f"Unknown key '{unknown['field']}'"
        hint = "Remove it or correct its spelling; 'ouroboros config schema' lists all keys."
    return _error(f"{what}", key, text, origin, hint=hint)


def _error(what: str, key: str, text: str, origin: str, *, hint: str = "") -> ConfigError:
    line = line_of(key, text)
    where = f"{origin}:{line}" if line else origin
    named = f" ({key})" if key else ""
    return ConfigError(f"{where}: {what}{named}.", hint=hint)


def line_of(key: str, text: str) -> int:
    """Return the 1-based line on which a dotted key stands in TOML text; 0 where it does not."""
    parts = [p.strip("[]") for p in re.split(r"\.|(?=\[)", key) if p]
    if not parts:
        return 0
    *tables, leaf = parts
    found = 0
    current: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        header = re.match(r"\s*\[\[?\s*([^\]]+?)\s*\]\]?", line)
        if header and "=" not in line.split("]")[0]:
            current = [p.strip().strip("\"'") for p in header[1].split(".")]
            if current == parts:
                found = found or number
            continue
        assigned = re.match(r"\s*([\w\"'.-]+)\s*=", line)
        if not assigned:
            continue
        full = [*current, *(p.strip("\"'") for p in assigned[1].split("."))]
        if full == [*tables, leaf]:
            return number
        if parts[: len(full)] == full:
            found = found or number
    return found


_FRACTIONS = (
    "max_degradation",
    "max_wall_degradation",
    "max_memory_degradation",
    "min_gain",
    "alpha_accept",
    "alpha_improve",
    "alpha_reject",
    "alpha_futile",
)


def _check(config: Config, text: str, origin: str) -> None:
    """Refuse values that are well-typed and still make no sense."""
    governor = config.governor
    for name in _FRACTIONS:
        value = getattr(governor, name)
        if not 0 < value < 1:
            raise _error(
                f"Expected a fraction between 0 and 1, got {value}",
                f"governor.{name}",
                text,
                origin,
            )
    if governor.min_pairs < 2 or governor.max_pairs < governor.min_pairs:  # noqa: PLR2004 - one pair is no evidence
        raise _error(
            f"Expected 2 <= min_pairs <= max_pairs, got {governor.min_pairs} and "
            f"{governor.max_pairs}",
            "governor.max_pairs",
            text,
            origin,
        )
    if config.target.tag and "{version}" not in config.target.tag:
        raise _error('Expected "{version}" in the name of the tag', "target.tag", text, origin)
    _check_counts(config, text, origin)
    _check_limits(config.governor.limits, text, origin)
    _check_commands(config, text, origin)
    _check_paths(config, text, origin)
    _check_network(config, text, origin)
    _check_ledger(config.ledger, text, origin)
    _check_rpc(config.rpc, text, origin)
    _check_service(config, text, origin)
    _check_contradictions(config, text, origin)


def _check_service(config: Config, text: str, origin: str) -> None:
    for what, key in (*service_problems(config.service), *alert_problems(config.alerts)):
        raise _error(what, key, text, origin)


def _check_contradictions(config: Config, text: str, origin: str) -> None:
    for found in contradictions(config):
        key = next((k for k in found.keys if line_of(k, text)), found.keys[0])
        raise _error(found.text, key, text, origin)


_OPERATOR = re.compile(r"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[A-Za-z0-9+/]{43}(\s.*)?")


def _check_ledger(ledger: Ledger, text: str, origin: str) -> None:
    for key in ("head_file", "allowed_signers"):
        value = getattr(ledger, key)
        if value and not PurePosixPath(value).is_absolute():
            raise _error(f"Expected an absolute path, got {value!r}", f"ledger.{key}", text, origin)
    if ledger.head_webhook and not re.match(r"https?://[^\s/]", ledger.head_webhook):
        what = f"Expected an https:// address, got {ledger.head_webhook!r}"
        raise _error(what, "ledger.head_webhook", text, origin)
    for name, operator in ledger.operators.items():
        if not _OPERATOR.fullmatch(operator.strip()):
            what = f'Expected a public key "ssh-ed25519 AAAA...", got {operator!r}'
            raise _error(what, f"ledger.operators.{name}", text, origin)
    if ledger.require_signatures and not (ledger.operators or ledger.allowed_signers):
        what = "Nobody could approve: it needs operators or allowed_signers"
        raise _error(what, "ledger.require_signatures", text, origin)


_ORIGIN = re.compile(r"https?://[a-z0-9.\[\]:-]+")
_HOST = re.compile(r"[A-Za-z0-9.-]+|[0-9A-Fa-f:.]+")
_ROLES = ("viewer", "operator", "approver", "admin")


def _check_rpc(rpc: Rpc, text: str, origin: str) -> None:
    for key in ("tls_cert", "tls_key", "socket"):
        value = getattr(rpc, key)
        if value and not PurePosixPath(value).is_absolute():
            raise _error(f"Expected an absolute path, got {value!r}", f"rpc.{key}", text, origin)
    if bool(rpc.tls_cert) != bool(rpc.tls_key):
        key = "rpc.tls_cert" if rpc.tls_cert else "rpc.tls_key"
        raise _error("A certificate and its key belong together", key, text, origin)
    if rpc.listen:
        _check_listen(rpc, text, origin)
    for key, form in (("hosts", _HOST), ("origins", _ORIGIN)):
        odd = [value for value in getattr(rpc, key) if not form.fullmatch(value)]
        if odd:
            what = f"Expected a {key[:-1]} without a path, got {odd[0]!r}"
            raise _error(what, f"rpc.{key}", text, origin)
    _check_roles(rpc, text, origin)


def _check_listen(rpc: Rpc, text: str, origin: str) -> None:
    try:
        listen = parse_listen(rpc.listen)
    except ValueError as error:
        raise _error(str(error), "rpc.listen", text, origin) from None
    if not listen.is_loopback and not rpc.tls_cert:
        what = f"{rpc.listen} can be reached from other machines: it needs tls_cert and tls_key"
        raise _error(what, "rpc.listen", text, origin)


def _check_roles(rpc: Rpc, text: str, origin: str) -> None:
    for key in ("users", "groups"):
        roles: dict[str, str] = getattr(rpc, key)
        for name, role in roles.items():
            if role not in _ROLES:
                what = f"Expected one of {', '.join(_ROLES)}, got {role!r}"
                raise _error(what, f"rpc.{key}.{name}", text, origin)
        if roles and not rpc.socket:
            what = "Nobody could come in: it needs [rpc] socket, which they can reach"
            raise _error(what, f"rpc.{key}", text, origin)


def _check_limits(limits: Limits, text: str, origin: str) -> None:
    key = "governor.limits.freeze"
    try:
        for window in limits.freeze:
            parse_window(window)
    except ValueError as error:
        raise _error(str(error), key, text, origin) from None
    if never_ends(limits.freeze):
        what = "These windows leave no minute of the week free: the engine could never accept"
        raise _error(what, key, text, origin, hint="Leave some time in which it may promote.")
    try:
        zone(limits.timezone)
    except ValueError as error:
        raise _error(str(error), "governor.limits.timezone", text, origin) from None


_SERVICE = re.compile(r"(?P<name>[A-Za-z][A-Za-z0-9.-]{0,252}):(?P<port>[0-9]{1,5})")
_FIRST_PORT = 1024
"""Below, only root may listen, who nobody is inside."""
_LAST_PORT = 65535


def _check_network(config: Config, text: str, origin: str) -> None:
    for service in config.sandbox.network:
        found = _SERVICE.fullmatch(service)
        if found and _FIRST_PORT <= int(found["port"]) <= _LAST_PORT:
            continue
        raise _error(
            f'Expected "NAME:PORT", a name and a port from {_FIRST_PORT} to {_LAST_PORT}, got '
            f"{service!r}",
            "sandbox.network",
            text,
            origin,
        )


def _check_counts(config: Config, text: str, origin: str) -> None:
    counts = {
        "governor.max_files": config.governor.max_files,
        "governor.max_lines": config.governor.max_lines,
        "sandbox.processes": config.sandbox.processes,
        "engine.proposals_per_cycle": config.engine.proposals_per_cycle,
        "engine.max_in_flight": config.engine.max_in_flight,
        "storage.max_refs": config.storage.max_refs,
        **{f"challenges.{n}.batch": c.batch for n, c in config.challenges.items()},
        **{f"challenges.{n}.rounds": c.rounds for n, c in config.challenges.items()},
        "engine.max_errors_in_a_row": config.engine.max_errors_in_a_row,
        "proposers.codemod.hot_functions": config.proposers.codemod.hot_functions,
    }
    for key, value in counts.items():
        if value < 1:
            raise _error(f"Expected a whole number of at least 1, got {value}", key, text, origin)


def _check_commands(config: Config, text: str, origin: str) -> None:
    if config.tests.framework is Framework.COMMAND and not config.tests.command:
        raise _error('framework = "command" needs a command', "tests.framework", text, origin)
    if config.tests.junit and config.tests.framework is not Framework.COMMAND:
        raise _error('junit belongs to framework = "command"', "tests.junit", text, origin)
    if config.tests.junit.startswith("/") or ".." in config.tests.junit.split("/"):
        raise _error("junit is a path inside of the tree", "tests.junit", text, origin)
    for name, benchmark in config.benchmarks.items():
        _check_measured("benchmarks", name, benchmark.max_degradation, text, origin)
        if not benchmark.command:
            raise _error("The command is empty", f"benchmarks.{name}.command", text, origin)
    for name, challenge in config.challenges.items():
        _check_measured("challenges", name, challenge.max_degradation, text, origin)
        _check_challenge(config, name, challenge, text, origin)


def _check_measured(table: str, name: str, margin: float | None, text: str, origin: str) -> None:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name):
        raise _error(
            f"A name in [{table}] is made of letters, digits, '_', '-', '.', got {name!r}",
            f"{table}.{name}",
            text,
            origin,
        )
    if margin is not None and not 0 < margin < 1:
        raise _error(
            f"Expected a fraction between 0 and 1, got {margin}",
            f"{table}.{name}.max_degradation",
            text,
            origin,
        )


_CALL = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_][\w.]*")
_INPUTS = re.compile(r"(?P<file>[^:]+\.py):[A-Za-z_]\w*")


def _check_challenge(
    config: Config, name: str, challenge: Challenge, text: str, origin: str
) -> None:
    key = f"challenges.{name}"
    if bool(challenge.call) == bool(challenge.command):
        raise _error("Expected one of call and command", key, text, origin)
    if challenge.call and not _CALL.fullmatch(challenge.call):
        raise _error(
            f"Expected package.module:function, got {challenge.call!r}", f"{key}.call", text, origin
        )
    inputs = _INPUTS.fullmatch(challenge.inputs)
    if challenge.command and not challenge.inputs:
        raise _error("A command needs a generator of inputs", f"{key}.inputs", text, origin)
    if challenge.inputs and not inputs:
        raise _error(
            f"Expected FILE.py:function, got {challenge.inputs!r}", f"{key}.inputs", text, origin
        )
    if inputs and not matches(inputs["file"], config.governor.protected):
        raise _error(
            f"{inputs['file']} is not protected, so that a candidate could change its own exam: "
            "add it to [governor] protected",
            f"{key}.inputs",
            text,
            origin,
        )


def _check_paths(config: Config, text: str, origin: str) -> None:
    for folder in config.environment.path:
        parts = PurePosixPath(folder)
        if parts.is_absolute() or ".." in parts.parts:
            raise _error(
                f"Expected a folder inside the repository, got {folder!r}",
                "environment.path",
                text,
                origin,
            )
