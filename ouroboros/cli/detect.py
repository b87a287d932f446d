"""Looking at a repository for `ouroboros init`, without running anything that it holds.

Everything is read: files, imports, `pyvenv.cfg`. Not even the interpreter in the repository's
`.venv` is started, for a clone may bring its own; the sandbox starts it later. What is found is a
suggestion that a person reads in a commented file, so the rules are plain ones.
"""

import ast
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from ouroboros.cli import purity
from ouroboros.cli.results import Benchmark, Found
from ouroboros.config import Framework, Governor
from ouroboros.model.globs import matches

_SKIPPED = frozenset(
    {"node_modules", "build", "dist", "site-packages", "__pycache__", "venv", "env", "vendor"}
)
_MOST_FILES = 20_000
_MOST_BENCHMARKS = 5

_BENCH_FOLDER = re.compile(r"(bench|benches|benchmark|benchmarks|perf|performance)")
_BENCH_FILE = re.compile(r"(.*[_-])?bench(mark)?s?([_-].*)?\.py", re.IGNORECASE)
_TEST_FILE = re.compile(r"(test_.*|.*_test|tests?)\.py")
_TEST_FOLDERS = ("tests", "test")


class Source(msgspec.Struct, frozen=True, kw_only=True):
    """One Python file: its path, what it imports, and two facts about its code."""

    path: str
    imports: frozenset[str]
    is_script: bool
    uses_benchmark_fixture: bool


def look(root: Path, branch: str) -> Found:
    """Return what the repository at `root` looks like."""
    files = sorted(_walk(root))
    python, python_note = find_python(root)
    tests = [s for f in files if _is_test(f) and (s := read_source(root, f))]
    benches = [s for f in files if _is_bench(f) and (s := read_source(root, f))]
    bench_paths = {s.path for s in benches}
    tests = [t for t in tests if t.path not in bench_paths]
    framework, why = _framework(root, tests, python)
    sources = _source_folders(files)
    found_benchmarks, bench_notes = _benchmarks(root, benches, files)
    paths = _target_paths(files, sources)
    code = [f for f in files if not _is_test(f) and not _is_bench(f)]
    return Found(
        root=str(root),
        branch=branch,
        framework=framework,
        tests_command=_tests_command(root, framework, tests),
        test_files=len(tests),
        paths=paths,
        source_folders=sources,
        python=python,
        benchmarks=found_benchmarks,
        challenges=purity.propose(root, code, sources, paths),
        has_hypothesis=has_module(root, python, "hypothesis"),
        protected=_more_protected(found_benchmarks, tests),
        warnings=tuple(n for n in (python_note, why, *bench_notes) if n),
    )


def count_tests(root: Path) -> int:
    """Return how many test files the repository has."""
    return sum(1 for f in _walk(root) if _is_test(f) and not _is_bench(f))


def _walk(root: Path) -> Iterator[str]:
    """Yield the repository's Python files, relative, without what is not its own."""
    count = 0
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(
            d
            for d in folders
            if d not in _SKIPPED
            and not d.startswith(".")
            and not d.endswith(".egg-info")
            and not Path(folder, d, "pyvenv.cfg").exists()
        )
        for name in names:
            path = Path(folder, name).relative_to(root).as_posix()
            if name.endswith(".py") and count < _MOST_FILES and _is_text(path):
                count += 1
                yield path


def _is_text(path: str) -> bool:
    """Whether a path can be written into a file at all: names need not be UTF-8."""
    return not re.search("[\ud800-\udfff]", path)


def read_source(root: Path, path: str) -> Source | None:
    """Parse one file; None if it is too large, unreadable or no Python of this version."""
    tree = purity.parsed(root / path)
    if tree is None:
        return None
    imports: set[str] = set()
    fixture = False
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imports |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imports.add(node.module.split(".")[0])
        elif isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            fixture |= any(a.arg == "benchmark" for a in node.args.args)
    return Source(
        path=path,
        imports=frozenset(imports),
        is_script=any(_is_main_guard(node) for node in tree.body),
        uses_benchmark_fixture=fixture,
    )


def _is_main_guard(node: ast.stmt) -> bool:
    if not (isinstance(node, ast.If) and isinstance(node.test, ast.Compare)):
        return False
    names = [n.id for n in ast.walk(node.test) if isinstance(n, ast.Name)]
    texts = [n.value for n in ast.walk(node.test) if isinstance(n, ast.Constant)]
    return "__name__" in names and "__main__" in texts


def _is_test(path: str) -> bool:
    return _TEST_FILE.fullmatch(path.rsplit("/", 1)[-1]) is not None


def _is_bench(path: str) -> bool:
    *folders, name = path.split("/")
    if name in ("__init__.py", "conftest.py", "setup.py"):
        return False
    in_folder = any(_BENCH_FOLDER.fullmatch(f.lower()) for f in folders)
    return in_folder or _BENCH_FILE.fullmatch(name) is not None


# --- interpreter --------------------------------------------------------------------------------


def find_python(root: Path) -> tuple[str, str]:
    """Return the target's interpreter as the configuration names it, and a warning or nothing."""
    for name in (".venv", "venv"):
        if (root / name / "bin" / "python").exists():
            return f"{name}/bin/python", ""
    system = shutil.which("python3")
    if system is None:
        return "", "No interpreter was found: make one with 'python3 -m venv .venv'."
    return "", (
        f"There is no .venv or venv in the repository, so {system} will run the tests; if they "
        "need packages, make an environment: 'python3 -m venv .venv && .venv/bin/pip install ...'."
    )


def has_module(root: Path, python: str, name: str) -> bool:
    """Whether the target's environment has a module. A repository's own one is only looked at."""
    if python:
        library = (root / python).parent.parent / "lib"
        return any(library.glob(f"python3*/site-packages/{name}")) or any(
            library.glob(f"python3*/site-packages/{name}.py")
        )
    system = shutil.which("python3")
    if system is None:
        return False
    code = f"import importlib.util, sys; sys.exit(importlib.util.find_spec({name!r}) is None)"
    command = [system, "-I", "-c", code]
    try:
        done = subprocess.run(command, check=False, capture_output=True, timeout=30)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


# --- tests --------------------------------------------------------------------------------------


def _framework(root: Path, tests: Sequence[Source], python: str) -> tuple[str, str]:
    """Return the framework and a warning, or nothing."""
    wants = _configures_pytest(root) or any("pytest" in t.imports for t in tests)
    has = has_module(root, python, "pytest")
    asked = python or "the system's python3"
    if wants:
        missing = f"The tests use pytest, but {asked} does not have it: install it there."
        return Framework.PYTEST, "" if has else missing
    if any("unittest" in t.imports for t in tests):
        return Framework.UNITTEST, ""
    if not tests:
        text = "No tests were found: without them nothing can be promoted with confidence."
        return (Framework.PYTEST if has else Framework.UNITTEST), text
    missing = f"The tests look like pytest's, but {asked} does not have it: install it there."
    return Framework.PYTEST, "" if has else missing


def _configures_pytest(root: Path) -> bool:
    if (root / "pytest.ini").is_file() or (root / "conftest.py").is_file():
        return True
    if any((root / folder / "conftest.py").is_file() for folder in _TEST_FOLDERS):
        return True
    if "pytest" in pyproject(root).get("tool", {}):
        return True
    return any(
        (root / name).is_file() and mark in (root / name).read_text(errors="replace")
        for name, mark in (("tox.ini", "[pytest]"), ("setup.cfg", "[tool:pytest]"))
    )


def pyproject(root: Path) -> dict[str, dict[str, object]]:
    """Return the repository's pyproject.toml, or nothing if there is none that can be read."""
    try:
        return tomllib.loads((root / "pyproject.toml").read_text())
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError):
        return {}


def _tests_command(root: Path, framework: str, tests: Sequence[Source]) -> tuple[str, ...]:
    """Return the arguments after `-m pytest` or `-m unittest`; empty where its own rules do."""
    folder = next((f for f in _TEST_FOLDERS if any(t.path.startswith(f"{f}/") for t in tests)), "")
    if framework == Framework.PYTEST:
        tool = pyproject(root).get("tool", {}).get("pytest")
        configured = isinstance(tool, dict) and "testpaths" in str(tool)
        return (folder,) if folder and not configured else ()
    if not folder:
        return ("discover",)
    package = (root / folder / "__init__.py").is_file()
    return ("discover", "-s", folder, *(("-t", ".") if package else ()))


# --- layout -------------------------------------------------------------------------------------


def _source_folders(files: Sequence[str]) -> tuple[str, ...]:
    """Return the folders for PYTHONPATH: `src` where packages or modules lie in it."""
    in_src = any(f.startswith("src/") for f in files) and "src/__init__.py" not in files
    if not in_src:
        return (".",)
    beside = any(f.count("/") == 1 and f.endswith("/__init__.py") for f in files)
    return ("src", ".") if beside else ("src",)


def _target_paths(files: Sequence[str], sources: Sequence[str]) -> tuple[str, ...]:
    """Return globs of the code that may be changed: packages and modules, not scripts of others."""
    if "src" in sources:
        return ("src/**/*.py",)
    packages = sorted(
        {
            f.split("/", 1)[0]
            for f in files
            if f.count("/") == 1 and f.endswith("/__init__.py") and not _is_side(f.split("/", 1)[0])
        }
    )
    modules = [f for f in files if "/" not in f and not _is_test(f) and not _is_bench(f)]
    own = [f for f in modules if f not in ("setup.py", "conftest.py", "noxfile.py", "tasks.py")]
    found = (*(f"{name}/**/*.py" for name in packages), *own)
    return found or ("**/*.py",)


def _is_side(folder: str) -> bool:
    return folder in (*_TEST_FOLDERS, "examples", "scripts", "tools") or bool(
        _BENCH_FOLDER.fullmatch(folder.lower())
    )


# --- benchmarks ---------------------------------------------------------------------------------


def _benchmarks(
    root: Path, benches: Sequence[Source], files: Sequence[str]
) -> tuple[tuple[Benchmark, ...], tuple[str, ...]]:
    """Return the benchmarks, runnable ones first, and what to say about the rest."""
    found: list[Benchmark] = []
    taken: set[str] = set()
    for source in benches:
        made = _benchmark(source, taken)
        if made is not None:
            taken.add(made.name)
            found.append(made)
    ready = [b for b in found if b.ready]
    later = [msgspec.structs.replace(b, ready=False) for b in ready[_MOST_BENCHMARKS:]]
    others = [b for b in found if not b.ready]
    notes: list[str] = []
    if (root / "asv.conf.json").is_file() or any("asv_bench/" in f for f in files):
        notes.append(
            "There is an asv suite. asv decides by itself how often it repeats, so it cannot serve "
            "as a benchmark here: call one of its functions from a small script."
        )
    return (*ready[:_MOST_BENCHMARKS], *later, *others), tuple(notes)


def _benchmark(source: Source, taken: set[str]) -> Benchmark | None:
    name = _name(source.path, taken)
    if source.uses_benchmark_fixture:
        return Benchmark(
            name=name,
            command=("{python}", "-m", "pytest", "-q", "--benchmark-disable", source.path),
            file=source.path,
            ready=False,
            note="pytest-benchmark: each body runs once; only useful if that takes long enough.",
        )
    if source.is_script:
        return Benchmark(name=name, command=("{python}", source.path), file=source.path, ready=True)
    return None


def _name(path: str, taken: set[str]) -> str:
    """Return a valid, unused name for a benchmark: its file's, without what says "benchmark"."""
    stem = Path(path).stem
    bare = re.sub(r"^(bench(mark)?s?|test)[_-]|[_-]bench(mark)?s?$", "", stem)
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", bare).strip("-_")[:40] or "main"
    number, free = 2, name
    while free in taken:
        free, number = f"{name}-{number}", number + 1
    return free


def _more_protected(found: Sequence[Benchmark], tests: Sequence[Source]) -> tuple[str, ...]:
    """Return globs for what judges a candidate and the default list does not cover."""
    default = Governor().protected
    more = [b.file for b in found if b.ready and not matches(b.file, default)]
    inner = {m[0] for t in tests if (m := re.match(r".+?/tests?(?=/)", t.path))}
    more += [f"{folder}/**" for folder in sorted(inner)]
    return tuple(dict.fromkeys(more))
