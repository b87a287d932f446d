"""The `ouroboros.toml` that `init` writes: what was found as values, the rest as comments.

A first-time reader meets each table with one sentence on what it decides. Options that stand at
their default are comments with that default, taken from the configuration itself, so that the
file cannot tell another default than the engine has (and tests load every file written here,
with the comments and with the commented options switched on).
"""

from collections.abc import Iterator, Sequence

from ouroboros.cli.results import Benchmark, Challenge, Found
from ouroboros.cli.toml import key, literal, text_of_duration, text_of_size
from ouroboros.config import Config, Governor
from ouroboros.model.text import safe_line

_EXAMPLE = Benchmark(
    name="main", command=("{python}", "benchmarks/main.py"), file="benchmarks/main.py", ready=False
)

_EXAMPLE_CHALLENGE = Challenge(
    name="main", call="package.module:function", file="", line=0, parameters=(), loops=0
)
_WIDE = 70


def render(found: Found) -> str:
    """Return the file's text."""
    parts = (
        _head(),
        _target(found),
        _environment(found),
        _tests(found),
        _benchmarks(found.benchmarks),
        _challenges(found),
        _governor(found),
        _rest(),
    )
    return "\n".join("\n".join(part) + "\n" for part in parts)


def _head() -> Iterator[str]:
    yield "# Ouroboros: how this repository improves itself. Commit this file; no candidate may"
    yield "# change it. Check it after an edit with 'ouroboros config check'; 'ouroboros config"
    yield "# show' prints all options, 'ouroboros config schema' describes them to an editor."


def _target(found: Found) -> Iterator[str]:
    yield "[target]"
    yield "# The branch that promotions move; nothing else is ever written to."
    yield f"branch = {literal(found.branch)}"
    yield "# The files that built-in proposers may change."
    yield f"paths = {literal(found.paths)}"


def _environment(found: Found) -> Iterator[str]:
    yield "[environment]"
    yield "# The interpreter that runs tests and benchmarks: yours, never the engine's."
    if found.python:
        yield f"python = {literal(found.python)}"
    else:
        yield '# python = ".venv/bin/python"'
    yield "# Folders of the evaluated tree on PYTHONPATH."
    yield f"path = {literal(found.source_folders)}"
    yield "# Environment variables of the runs; nothing else of yours gets in."
    yield '# variables = { TZ = "UTC" }'


def _tests(found: Found) -> Iterator[str]:
    config = Config()
    yield "[tests]"
    yield "# The gate: they must pass on every candidate, run from the branch's own copy."
    yield f"framework = {literal(str(found.framework))}"
    yield f"# Arguments after 'python -m {found.framework}'."
    yield f"command = {literal(found.tests_command)}"
    yield f"timeout = {literal(text_of_duration(config.tests.timeout))}"


def _benchmarks(found: Sequence[Benchmark]) -> Iterator[str]:
    ready = [b for b in found if b.ready]
    yield "# Each benchmark is a command that does a fixed amount of work; the time and memory it"
    yield "# takes are measured from outside. One run of 0.2 to 2 s compares best. It must exit"
    yield "# with 0. Let it print what it computed (a checksum), and nothing that differs between"
    yield "# runs: what a candidate prints is compared."
    if not ready:
        yield "#"
        yield "# NONE WAS FOUND: without a benchmark nothing can be proven faster. Write one, for"
        yield "# instance benchmarks/main.py that calls your slow code a fixed number of times:"
        yield from _commented(_EXAMPLE)
    for benchmark in ready:
        yield f"[benchmarks.{key(benchmark.name)}]"
        yield f"command = {literal(benchmark.command)}"
        yield ""
    for benchmark in found:
        if not benchmark.ready:
            yield from _commented(benchmark)


def _commented(benchmark: Benchmark) -> Iterator[str]:
    yield "#"
    if benchmark.note:
        yield f"# {safe_line(benchmark.note)}"
    yield f"# [benchmarks.{key(benchmark.name)}]"
    yield f"# command = {literal(benchmark.command)}"


def _challenges(found: Found) -> Iterator[str]:
    yield "# A challenge asks baseline and candidate the same secret inputs, new ones each round,"
    yield "# and compares the results in type and bytes; it is harder to deceive than tests. Inputs"
    yield "# are drawn from the function's annotations by hypothesis, in the interpreter above."
    yield "# Those are small: a generator of your own, in a protected file, measures better; name"
    yield '# it beside the call, as inputs = "challenges/NAME.py:function".'
    if not found.has_hypothesis:
        yield "# That interpreter does not have hypothesis: 'pip install hypothesis' there first."
    if not found.challenges:
        yield "#"
        yield "# No function was found whose arguments can be drawn and whose body looks pure."
    for challenge in found.challenges or (_EXAMPLE_CHALLENGE,):
        yield "#"
        if challenge.line:
            yield from _about(challenge)
        yield f"# [challenges.{key(challenge.name)}]"
        yield f"# call = {literal(challenge.call)}"


def _about(challenge: Challenge) -> Iterator[str]:
    loops = f"{challenge.loops} loop{'' if challenge.loops == 1 else 's'}"
    takes = safe_line(f"({', '.join(challenge.parameters)})", limit=_WIDE - 4)
    yield f"# {safe_line(challenge.file, limit=_WIDE // 2)}:{challenge.line}, {loops}, takes"
    yield f"#   {takes}"


def _governor(found: Found) -> Iterator[str]:
    governor = Governor()
    yield "[governor]"
    yield "# observe: never apply; supervised: every accepted change waits for your yes;"
    yield "# autonomous: promote by itself what is proven."
    yield f"mode = {literal(governor.mode.value)}"
    yield "# A candidate must be proven not to cost more than this fraction on any benchmark."
    yield f"max_degradation = {literal(governor.max_degradation)}"
    yield "# Whether a change proven harmless, but not proven faster, may be promoted."
    yield f"# accept_neutral = {literal(governor.accept_neutral)}"
    yield "# How long a held candidate waits for you; then the answer is no."
    yield f"# hold_expiry = {literal(text_of_duration(governor.hold_expiry))}"
    if found.protected:
        yield "# What no candidate may touch: the default list, and what judges candidates here."
        yield "protected = ["
        yield from (f"    {literal(glob)}," for glob in (*governor.protected, *found.protected))
        yield "]"


def _rest() -> Iterator[str]:
    config = Config()
    yield "[sandbox]"
    yield "# Limits of every run of this repository's code. There is no network in a run."
    yield f"memory = {literal(text_of_size(config.sandbox.memory))}"
    yield f"timeout = {literal(text_of_duration(config.sandbox.timeout))}"
    yield f"# processes = {literal(config.sandbox.processes)}"
    yield ""
    yield "[engine]"
    yield "# Time between the starts of two cycles; 'ouroboros trigger' starts one at once."
    yield f"interval = {literal(text_of_duration(config.engine.interval))}"
    yield "# Go on at once while there are ideas left."
    yield f"# drain_ideas = {literal(config.engine.drain_ideas)}"
