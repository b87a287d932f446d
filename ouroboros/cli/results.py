"""What commands print with `--json` where no engine is asked, and so no wire result exists."""

import msgspec


class ConfigCheck(msgspec.Struct, frozen=True, kw_only=True):
    """`config check`."""

    ok: bool
    hash: str
    mode: str
    benchmarks: tuple[str, ...]


class Benchmark(msgspec.Struct, frozen=True, kw_only=True):
    """A benchmark that `init` found. `ready` means it was written as one, not as a comment."""

    name: str
    command: tuple[str, ...]
    file: str
    ready: bool
    note: str = ""


class Challenge(msgspec.Struct, frozen=True, kw_only=True):
    """A function of which `init` proposes to make a challenge; it is written as a comment.

    `parameters` are as they stand in the source, annotations included.
    """

    name: str
    call: str
    file: str
    line: int
    parameters: tuple[str, ...]
    loops: int


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """`init`: what the repository looks like, and where the file was written (empty: not)."""

    root: str
    branch: str
    framework: str
    tests_command: tuple[str, ...]
    test_files: int
    paths: tuple[str, ...]
    source_folders: tuple[str, ...]
    python: str
    benchmarks: tuple[Benchmark, ...]
    challenges: tuple[Challenge, ...]
    has_hypothesis: bool
    protected: tuple[str, ...]
    warnings: tuple[str, ...]
    written: str = ""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One row below a line of `doctor`: a promise that was tried, or a figure.

    `status`: `held`; `broken`; `error`, so that nobody knows; `n/a`, not applicable on this
    machine; `info` for a figure.
    """

    name: str
    group: str
    status: str
    text: str
    promise: str = ""
    fix: str = ""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `doctor`. `status` is `ok`, `warn` or `fail`; `fix` is what to do about it."""

    name: str
    status: str
    text: str
    fix: str = ""
    rows: tuple[Finding, ...] = ()


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """`doctor`: `ok` unless a check failed."""

    ok: bool
    checks: tuple[Check, ...]


class Exported(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """`ledger export` into a file; with `--evidence` also the archive beside it.

    `missing` are hashes that entries name and that are not there; `damaged` those whose file does
    not hold what its name says. Neither is in the archive.
    """

    entries: int
    path: str
    evidence_path: str = ""
    evidence: int = 0
    missing: int = 0
    damaged: tuple[str, ...] = ()


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """`ledger import`: the new ledger and its end."""

    entries: int
    head: str
    path: str
    evidence: int = 0


class Salvaged(msgspec.Struct, frozen=True, kw_only=True):
    """`ledger salvage`: what was found, and (`done`) what was put in its place.

    `first_bad` is 0 where the ledger is whole.
    """

    done: bool
    first_bad: int
    problem: str
    kept: int
    lost: int
    old_head: str
    quarantine: str = ""
    head: str = ""
