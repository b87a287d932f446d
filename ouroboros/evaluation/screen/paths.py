"""What a candidate may call its files. Pure; knows no content.

The list here holds whatever `[governor] protected` says: that list is a target's own and can be
emptied by mistake, while no target gains from a candidate that brings its own judge.
"""

import re
import sys
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from ouroboros.config import Config
from ouroboros.evaluation.screen.languages import is_source
from ouroboros.evaluation.screen.marks import Finding
from ouroboros.evaluation.screen.tables import words
from ouroboros.model.globs import matches
from ouroboros.model.proposal import FileChange, FileStatus
from ouroboros.model.text import safe_text

JUDGES = (
    *("**/tests/**", "test/**", "**/test_*.py", "**/*_test.py", "**/tests.py", "**/conftest.py"),
    *("**/pytest.ini", "**/.pytest.ini", "**/pytest.toml", "**/.pytest.toml", "**/tox.ini"),
    *("**/setup.cfg", "**/setup.py", "**/pyproject.toml", "**/noxfile.py", "**/.coveragerc"),
    *("**/sitecustomize.py", "**/usercustomize.py", "**/sitecustomize/**", "**/usercustomize/**"),
    *("**/*.pth", "**/pyvenv.cfg", "**/.pythonrc*", "**/.pythonstartup*", "**/pythonstartup*"),
    *("**/python*._pth", "**/entry_points.txt", "**/*.dist-info/**", "**/*.egg-info/**"),
    *("**/ouroboros.toml", "ouroboros_challenges/**"),
    *("**/.github/**", "**/.gitlab*/**", "**/.circleci/**", "**/.buildkite/**", "**/.ci/**"),
    *("**/.travis.yml", "**/.drone.yml", "**/appveyor.yml", "**/.appveyor.yml", "**/.cirrus.yml"),
    *("**/jenkinsfile*", "**/azure-pipelines*", "**/bitbucket-pipelines.yml", "**/codecov.yml"),
    *("**/.gitea/**", "**/.forgejo/**", "**/.woodpecker*/**", "**/.pre-commit-config.yaml"),
    *("**/.vscode/**", "**/.idea/**", "**/.devcontainer/**", "**/.husky/**", "**/.envrc"),
    *("**/.env", "**/.bashrc", "**/.profile", "**/.zshrc", "**/.netrc", "**/.pypirc", "**/.npmrc"),
    *("**/agents.md", "**/claude.md", "**/gemini.md", "**/.cursorrules", "**/.mcp.json"),
    *("**/.claude/**", "**/.cursor/**", "**/.codex/**", "**/.aider*", "**/.windsurfrules"),
)
"""Files that judge, start or steer: tests and their settings, what an interpreter runs at start,
CI, editors and agents that act on a folder. Compared without regard to case."""

BUILD = (
    *("**/requirements*.txt", "**/constraints*.txt", "**/pipfile", "**/*.lock", "**/pipfile.lock"),
    *("**/environment.yml", "**/makefile", "**/*.mk", "**/justfile", "**/cmakelists.txt"),
    *("**/*.cmake", "**/meson.build", "**/build.rs", "**/cargo.toml", "**/go.mod", "**/go.sum"),
    *("**/package.json", "**/package-lock.json", "**/build.gradle*", "**/pom.xml", "**/dockerfile"),
    *("**/build.xml", "**/*.csproj", "**/gemfile", "**/rakefile", "**/tsconfig*.json"),
)
"""Files that a person must look at, in any language: what is built and from which packages."""

_COMPILED = words(
    """
    pyc pyo so pyd dll dylib a o obj lib class jar egg whl zip pyz exe wasm tar gz bz2 xz 7z deb
    rpm node pickle pkl marshal npy npz joblib
    """
)
_SUFFIXES_OF_MODULES = (".py", ".pyi", ".pyw", ".pyx")
_TEST_TOOLS = words(
    """
    pytest _pytest py pluggy hypothesis coverage unittest unittest2 nose mock tox nox iniconfig
    packaging exceptiongroup tomli xdist execnet pyperf asv asv_runner tomllib attr attrs
    sortedcontainers sitecustomize usercustomize conftest pip setuptools pkg_resources wheel
    _distutils_hack numpy pandas ouroboros rpc tui msgspec psutil
    """
)
_LIBRARY = frozenset(name.casefold() for name in sys.stdlib_module_names) | _TEST_TOOLS
_ROOTS = ("", "src", "lib", "python")
_GIT_NAMES = frozenset({".git", ".gitattributes", ".gitmodules", ".gitconfig"})
_SHORT_GIT = re.compile(r"gi[0-9a-z]{0,6}~\d")
"""The 8.3 names that NTFS gives them: `GIT~1`, `GITMOD~1`, `GI7EBA~1`."""
_LONGEST_PART = 255
_LONGEST = 1024


def shape(change: FileChange) -> Iterator[Finding]:
    """Judge one path by its letters alone."""
    path = change.path
    if safe_text(path) != path or "\n" in path or "\t" in path or _format_characters(path):
        yield Finding("path-characters", path, detail="control or invisible characters")
    if unicodedata.normalize("NFC", path) != path:
        yield Finding("path-characters", path, detail="not in Unicode normal form C")
    detail = trick(path)
    if detail:
        yield Finding("path-trick", path, detail=detail)
    if any(_packed(part) for part in path.casefold().split("/")):
        yield Finding("compiled-file", path)


def _format_characters(path: str) -> bool:
    return not path.isascii() and any(unicodedata.category(c) == "Cf" for c in path)


def _packed(part: str) -> bool:
    suffix = part.rpartition(".")[2] if "." in part else ""
    versioned = ".so." in part or part.endswith((".tar.gz", ".tgz"))
    return part == "__pycache__" or suffix in _COMPILED or versioned


def trick(path: str) -> str:
    """Return what is wrong with a path; empty where nothing is."""
    if path.startswith(("/", "~")):
        return "absolute"
    if "\\" in path:
        return "a backslash, or bytes that are no UTF-8"
    if ":" in path:
        return "a colon (drives and streams)"
    if len(path.encode("utf-8", "surrogatepass")) > _LONGEST:
        return "too long"
    return next((wrong for part in path.split("/") if (wrong := _trick_part(part))), "")


def _trick_part(part: str) -> str:
    if part in {"", ".", ".."}:
        return "an empty, '.' or '..' component"
    if len(part.encode("utf-8", "surrogatepass")) > _LONGEST_PART:
        return "a component that is too long"
    if part != part.strip(" ") or part.endswith("."):
        return "spaces around a name, or a dot after it"
    plain = _as_others_read_it(part)
    if plain in _GIT_NAMES or _SHORT_GIT.match(plain):
        return f"'{plain}' is a file of git's"
    return ""


def _as_others_read_it(part: str) -> str:
    """Return a name as file systems read it that ignore case and invisible characters."""
    seen = "".join(c for c in part if unicodedata.category(c) not in {"Cf", "Mn", "Cc", "Cs"})
    return unicodedata.normalize("NFKC", seen).casefold().rstrip(". ")


def protected(change: FileChange, config: Config) -> Iterator[Finding]:
    """Find files that judge the candidate, and files that decide how it is built."""
    path, folded = change.path, change.path.casefold()
    if len(path) > _LONGEST:
        return  # refused for that
    inputs = [c.inputs.partition(":")[0] for c in config.challenges.values()]
    if (
        matches(path, config.governor.protected)
        or matches(folded, config.governor.protected)
        or matches(folded, JUDGES)
        or path in inputs
    ):
        detail = "tests, benchmarks and configuration judge the candidate"
        yield Finding("protected-path", path, detail=detail)
    elif matches(folded, BUILD):
        yield Finding("build-file", path)
    if change.status is FileStatus.DELETED:
        yield Finding("deletes-file", path)


def collisions(files: Sequence[FileChange], tracked: Iterable[str]) -> Iterator[Finding]:
    """Find new names that some file systems take for another one; folders count."""
    deleted = {f.path for f in files if f.status is FileStatus.DELETED}
    known: dict[str, str] = {}
    for path in (*tracked, *(f.path for f in files)):
        if path not in deleted:
            for prefix in _prefixes(path):
                known.setdefault(_folded(prefix), prefix)
    for change in files:
        if change.status is not FileStatus.MODIFIED and change.path not in deleted:
            for prefix in _prefixes(change.path):
                other = known[_folded(prefix)]
                if other != prefix:
                    yield Finding("case-collision", change.path, detail=f"'{other}'")
                    break


def _prefixes(path: str) -> Iterator[str]:
    parts = path.split("/")[:64]
    for end in range(1, len(parts) + 1):
        yield "/".join(parts[:end])


def _folded(path: str) -> str:
    return unicodedata.normalize("NFKC", path).casefold()


def import_roots(config: Config) -> tuple[str, ...]:
    """Return the folders from which modules are imported, the repository's own first."""
    given = (p.strip("/").removeprefix("./") for p in config.environment.path)
    return tuple(dict.fromkeys((*_ROOTS, *("" if p == "." else p for p in given))))


def module_at(path: str, root: str) -> str:
    """Return the top-level name by which a file below an import root is imported, or nothing."""
    if root and not path.startswith(root + "/"):
        return ""
    inner = path[len(root) + 1 :] if root else path
    name, slash, _ = inner.partition("/")
    if not path.casefold().endswith(_SUFFIXES_OF_MODULES):
        return ""
    return name if slash else name.rpartition(".")[0]


def shadows(
    files: Sequence[FileChange], tracked: Iterable[str], config: Config
) -> Iterator[Finding]:
    """Find new modules that would be imported instead of the standard library's or a tool's."""
    roots = import_roots(config)
    known = {(root, module_at(path, root)) for path in tracked for root in roots}
    for change in files:
        if change.status is FileStatus.DELETED:
            continue
        if change.status is FileStatus.MODIFIED:
            continue
        names = [module_at(change.path, root) for root in roots]
        new = [n for root, n in zip(roots, names, strict=True) if n and (root, n) not in known]
        hiding = next((name for name in new if name.casefold() in _LIBRARY), "")
        if hiding:
            yield Finding("shadows-module", change.path, detail=hiding)
        elif new:
            yield Finding("new-module", change.path, detail=new[-1])


def twins(files: Sequence[FileChange], tracked: Iterable[str]) -> Iterator[Finding]:
    """Find a new package beside a module of its name: Python then imports the package, silently."""
    there = {*tracked, *(f.path for f in files)}
    there -= {f.path for f in files if f.status is FileStatus.DELETED}
    folders = {path.rpartition("/")[0] for path in there if path.endswith(_SUFFIXES_OF_MODULES)}
    for change in files:
        if change.status is FileStatus.MODIFIED or change.path not in there:
            continue
        stem, _, suffix = change.path.rpartition(".")
        folder, _, name = stem.rpartition("/")
        if suffix == "py" and name == "__init__" and f"{folder}.py" in there:
            yield Finding("shadows-module", change.path, detail=f"{folder}.py")
        elif suffix == "py" and stem in folders:
            yield Finding("shadows-module", change.path, detail=f"{stem}/")


def repositories(files: Sequence[FileChange], tracked: Iterable[str]) -> Iterator[Finding]:
    """Find a planted git repository without `.git`: whoever runs git there obeys its settings."""
    there = {path.casefold() for path in (*tracked, *(f.path for f in files))}
    heads = (path.removesuffix("head") for path in there if path.rpartition("/")[2] == "head")
    folders = tuple(f for f in heads if f"{f}config" in there or _below(there, f"{f}refs/"))
    parts = tuple(f"{folder}{part}" for folder in folders for part in _GIT_PARTS)
    for change in files:
        if change.status is not FileStatus.DELETED and change.path.casefold().startswith(parts):
            yield Finding("path-trick", change.path, detail="part of a bare git repository")


_GIT_PARTS = ("head", "config", "objects/", "refs/", "hooks/", "commondir", "packed-refs")


def _below(paths: Iterable[str], folder: str) -> bool:
    return any(path.startswith(folder) for path in paths)


def data(change: FileChange, content: bytes, config: Config) -> Iterator[Finding]:
    """Find files that are no source text: a smaller one makes every benchmark on it faster."""
    if not is_source(change.path, content) and not matches(change.path, config.target.paths):
        yield Finding("data-file", change.path)
