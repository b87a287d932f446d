"""Where the benchmark spends its time: the target's own functions, hottest first.

The profile is taken in the sandbox by the interpreter's cProfile around the benchmark's program,
and comes back over the private channel. It steers proposers, nothing else: no verdict depends on
it, so that it may be as rough as a profile is.
"""

import ast
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from ouroboros.errors import EvaluationError
from ouroboros.evaluation.lab import Job
from ouroboros.evaluation.records import Profile, decode
from ouroboros.evaluation.suite import tail
from ouroboros.model.globs import matches
from ouroboros.model.progress import HotSpot
from ouroboros.sandbox import HARNESS

_PLAIN_OPTIONS = frozenset("bBdEiIOOPqsSuvx")
_VALUED_OPTIONS = ("-X", "-W")


async def profile(job: Job) -> tuple[HotSpot, ...]:
    """Profile every benchmark of the baseline once.

    Raises:
        EvaluationError: a benchmark failed, or is no Python program.
    """
    found: list[Profile] = []
    async with job.tree(job.plan.base_commit) as tree:
        for name, spec in job.plan.config.benchmarks.items():
            argv = _wrapped(name, job.argv(spec.command), job.plan.python)
            outcome = await job.run(job.command(argv, tree, spec.timeout, harness=True))
            if not outcome.ok:
                how = outcome.text or f"It ended with exit code {outcome.exit_code}."
                raise EvaluationError(
                    f"Benchmark {name} failed under the profiler. {how}{tail(outcome)}",
                    hint="Run its command by hand in a clean checkout.",
                )
            found += decode(outcome.result, whole=outcome.result_whole).profiles
        return _hot_spots(tree, found, job.plan.config.governor.protected)


def _wrapped(name: str, argv: tuple[str, ...], python: str) -> tuple[str, ...]:
    """Put our profiler between the interpreter and the program."""
    program = Path(argv[0])
    if argv[0] != python and not program.name.startswith("python"):
        raise EvaluationError(
            f"Benchmark {name} runs {argv[0]!r}, which is not Python, and cannot be profiled.",
            hint="Start its command with {python}.",
        )
    at = 1
    while at < len(argv) and argv[at].startswith("-") and argv[at] not in ("-m", "-c"):
        if argv[at] not in _VALUED_OPTIONS and not set(argv[at][1:]) <= _PLAIN_OPTIONS:
            break
        at += 2 if argv[at] in _VALUED_OPTIONS else 1
    kinds = {"-m": "module", "-c": "code"}
    kind = kinds.get(argv[at] if at < len(argv) else "-", "script")
    target = at + (kind != "script")
    if target >= len(argv) or argv[target].startswith("-"):
        raise EvaluationError(
            f"Benchmark {name} cannot be profiled: no program was found in {' '.join(argv)!r}.",
            hint='Use {python} FILE, {python} -m MODULE or {python} -c "CODE".',
        )
    script = f"{HARNESS}/_ouroboros_profile.py"
    return (*argv[:at], script, kind, *argv[target:])


def _hot_spots(
    tree: Path, profiles: Iterable[Profile], protected: tuple[str, ...]
) -> tuple[HotSpot, ...]:
    calls: defaultdict[tuple[str, int, str], int] = defaultdict(int)
    own: defaultdict[tuple[str, int, str], float] = defaultdict(float)
    cumulative: defaultdict[tuple[str, int, str], float] = defaultdict(float)
    total = 0.0
    for report in profiles:
        total += report.total
        for path, line, function, count, seconds, below in report.rows:
            key = (path, line, function)
            calls[key] += count
            own[key] += seconds
            cumulative[key] += below
    lines = _DefLines(tree)
    spots = [
        HotSpot(
            path=path,
            function=function,
            line=lines.of(path, line, function),
            calls=calls[path, line, function],
            share=own[path, line, function] / total,
            cumulative=min(1.0, cumulative[path, line, function] / total),
        )
        for path, line, function in own
        if total > 0 and not function.startswith("<") and not matches(path, protected)
    ]
    return tuple(sorted(spots, key=lambda spot: (-spot.share, spot.path, spot.line)))


class _DefLines:
    """Maps a code object's first line, which is its decorator's, to the line of the `def`."""

    def __init__(self, tree: Path) -> None:
        self._tree = tree
        self._files: dict[str, dict[tuple[int, str], int]] = {}

    def of(self, path: str, line: int, function: str) -> int:
        if path not in self._files:
            self._files[path] = self._read(path)
        return self._files[path].get((line, function), line)

    def _read(self, path: str) -> dict[tuple[int, str], int]:
        try:
            parsed = ast.parse((self._tree / path).read_bytes())
        except (OSError, SyntaxError, ValueError):
            return {}  # for a newer Python than ours: the first line has to do
        return {
            (min(d.lineno for d in (*node.decorator_list, node)), node.name): node.lineno
            for node in ast.walk(parsed)
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        }
