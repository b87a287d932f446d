"""`init`: what it finds in many layouts, what it writes, and that it runs nothing."""

import json
import os
import re
from pathlib import Path

import pytest
from cli_world import Cli, git, script

from ouroboros.cli import detect
from ouroboros.cli.results import Found
from ouroboros.cli.template import render
from ouroboros.config import Config, Framework, load, parse
from ouroboros.model.globs import matches
from ouroboros.model.text import safe_text

MAIN = "if __name__ == '__main__':\n    pass\n"
PYTEST = "import pytest\n\n\ndef test_x():\n    pass\n"
BARE = "def test_x():\n    assert True\n"
UNITTEST = "import unittest\n\n\nclass T(unittest.TestCase):\n    pass\n"
FIXTURE = "def test_speed(benchmark):\n    benchmark(len, ())\n"

PURE = """
from collections.abc import Sequence

def total(items: Sequence[tuple[str, int]], rate: float = 1.0) -> float:
    result = 0.0
    for _, price in items:
        result += price * rate
    return result
"""

LAYOUTS: dict[str, dict[str, str]] = {
    "flat": {"pkg/__init__.py": "", "tests/test_a.py": PYTEST, "benchmarks/bench_a.py": MAIN},
    "src": {"src/pkg/__init__.py": "", "tests/test_a.py": BARE, "bench/a.py": MAIN},
    "src-unittest": {"src/pkg/mod.py": "", "tests/__init__.py": "", "tests/test_a.py": UNITTEST},
    "module": {"thing.py": "", "test_thing.py": UNITTEST, "bench_thing.py": MAIN},
    "inner-tests": {"pkg/__init__.py": "", "pkg/tests/test_a.py": PYTEST},
    "pytest-benchmark": {"pkg/__init__.py": "", "benchmarks/test_speed.py": FIXTURE},
    "asv": {"pkg/__init__.py": "", "asv.conf.json": "{}", "benchmarks/timing.py": "class T: ..."},
    "nothing": {"README": "hello"},
    "pure": {"pkg/__init__.py": "", "pkg/a.py": PURE, "pkg/b.py": PURE, "tests/test_a.py": BARE},
    "broken": {"pkg/__init__.py": "", "tests/test_a.py": "def (", "bench_a.py": "\x00"},
    "odd-names": {'we"ird pkg/__init__.py': "", "benchmarks/bench_\u00e9 'x'.py": MAIN},
}


def build(root: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)
    return root


def commit(root: Path) -> Path:
    git(root, "init", "-q", "-b", "trunk")
    git(root, "add", "-A")
    git(root, "commit", "-qm", "begin")
    return root


def looked(tmp_path: Path, files: dict[str, str]) -> Found:
    return detect.look(build(tmp_path / "r", files), "main")


# --- the file -----------------------------------------------------------------------------------


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_is_written_loads(home: Path, layout: str) -> None:
    root = commit(build(home / "r", LAYOUTS[layout]))
    ended = script("init", cwd=root)
    assert ended.code == 0, ended.err
    config = load(root / "ouroboros.toml").config
    assert config.target.branch == "trunk"
    assert config.governor.mode == "supervised"
    assert "Next:" in ended.out


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_comment_that_is_an_option_is_one(tmp_path: Path, layout: str) -> None:
    """Switched on, the commented options load too, with the engine's own defaults."""
    text = render(looked(tmp_path, LAYOUTS[layout]))
    on = re.sub(r"^# (?=\[(?:benchmarks|challenges)\.|[a-z_]+ = )", "", text, flags=re.MULTILINE)
    assert on != text
    config = parse(on.encode()).config
    assert config.governor.hold_expiry == Config().governor.hold_expiry
    assert config.governor.accept_neutral is Config().governor.accept_neutral
    assert config.sandbox == Config().sandbox
    assert config.engine == Config().engine
    assert config.benchmarks, "the commented example is a benchmark"
    assert config.challenges, "the commented example is a challenge"


def test_the_file_is_commented_and_plain(tmp_path: Path) -> None:
    text = render(looked(tmp_path, LAYOUTS["flat"]))
    for table in ("[target]", "[environment]", "[tests]", "[governor]", "[sandbox]", "[engine]"):
        head, _, body = text.partition(table)
        assert head
        assert body.lstrip("\n").startswith("#"), f"{table} begins with a sentence"
    assert max(map(len, text.splitlines())) <= 100


def test_it_overwrites_nothing_unasked(cli: Cli, target: Path) -> None:
    (target / "ouroboros.toml").write_text("# mine\n")
    ended = cli("init")
    assert ended.code == 6
    assert "exists already" in ended.err
    assert "--force" in ended.err
    assert (target / "ouroboros.toml").read_text() == "# mine\n"
    assert cli("init", "--force").code == 0
    assert load(target / "ouroboros.toml").config.benchmarks
    assert not list(target.glob(".ouroboros-*"))


def test_force_does_not_write_through_a_link(cli: Cli, target: Path, home: Path) -> None:
    (home / "precious").write_text("precious")
    (target / "ouroboros.toml").symlink_to(home / "precious")
    assert cli("init", "--force").code == 0
    assert (home / "precious").read_text() == "precious"
    assert not (target / "ouroboros.toml").is_symlink()


def test_a_dry_run_writes_nothing(cli: Cli, target: Path) -> None:
    ended = cli("init", "--dry-run")
    assert ended.code == 0
    parse(ended.out.encode())
    assert not (target / "ouroboros.toml").exists()
    assert "benchmarks" in ended.err


def test_json(cli: Cli, target: Path) -> None:
    found = json.loads(cli("init", "--json").out)
    assert found["framework"] == "pytest"
    assert found["tests_command"] == ["tests"]
    assert found["written"] == str(target / "ouroboros.toml")
    assert [b["name"] for b in found["benchmarks"]] == ["f"]


def test_it_works_from_a_sub_folder(target: Path) -> None:
    assert script("init", cwd=target / "pkg").code == 0
    assert (target / "ouroboros.toml").exists()


def test_an_uncommitted_benchmark_is_named(cli: Cli, target: Path) -> None:
    (target / "benchmarks" / "bench_new.py").write_text(MAIN)
    assert "Not committed yet: benchmarks/bench_new.py" in cli("init").err


def test_without_a_benchmark_it_says_what_that_means(home: Path) -> None:
    root = commit(build(home / "r", LAYOUTS["inner-tests"]))
    ended = script("init", cwd=root)
    assert "Without a benchmark nothing can be proven faster" in ended.err
    text = (root / "ouroboros.toml").read_text()
    assert "without a benchmark nothing can be proven faster" in text
    assert "# [benchmarks.main]" in text
    assert script("config", "check", cwd=root).code == 0


def test_a_folder_that_cannot_be_written(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("tempfile.mkstemp", full)
    ended = cli("init")
    assert ended.code == 12
    assert "No space left on device" in ended.err


# --- what is found ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("files", "framework", "command"),
    [
        (LAYOUTS["flat"], Framework.PYTEST, ("tests",)),
        (LAYOUTS["src"], Framework.PYTEST, ("tests",)),
        (LAYOUTS["src-unittest"], Framework.UNITTEST, ("discover", "-s", "tests", "-t", ".")),
        (LAYOUTS["module"], Framework.UNITTEST, ("discover",)),
        ({"test/test_a.py": UNITTEST}, Framework.UNITTEST, ("discover", "-s", "test")),
        ({"tests/test_a.py": UNITTEST, "pytest.ini": ""}, Framework.PYTEST, ("tests",)),
        ({"tests/test_a.py": UNITTEST, "tests/conftest.py": ""}, Framework.PYTEST, ("tests",)),
        ({"tests/test_a.py": UNITTEST, "tox.ini": "[pytest]\n"}, Framework.PYTEST, ("tests",)),
        ({"tests/test_a.py": UNITTEST, "setup.cfg": "[tool:pytest]"}, Framework.PYTEST, ("tests",)),
        (
            {
                "tests/test_a.py": BARE,
                "pyproject.toml": '[tool.pytest.ini_options]\ntestpaths = ["tests"]\n',
            },
            Framework.PYTEST,
            (),
        ),
    ],
)
def test_frameworks(
    tmp_path: Path, files: dict[str, str], framework: str, command: tuple[str, ...]
) -> None:
    found = looked(tmp_path, files)
    assert (found.framework, found.tests_command) == (framework, command)


@pytest.mark.parametrize(
    ("files", "paths", "folders"),
    [
        (LAYOUTS["flat"], ("pkg/**/*.py",), (".",)),
        (LAYOUTS["src"], ("src/**/*.py",), ("src",)),
        (LAYOUTS["src-unittest"], ("src/**/*.py",), ("src", ".")),
        (LAYOUTS["module"], ("thing.py",), (".",)),
        (LAYOUTS["nothing"], ("**/*.py",), (".",)),
        (
            {"a/__init__.py": "", "b/__init__.py": "", "tests/__init__.py": "", "setup.py": ""},
            ("a/**/*.py", "b/**/*.py"),
            (".",),
        ),
    ],
)
def test_layouts(
    tmp_path: Path, files: dict[str, str], paths: tuple[str, ...], folders: tuple[str, ...]
) -> None:
    found = looked(tmp_path, files)
    assert (found.paths, found.source_folders) == (paths, folders)


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        (LAYOUTS["flat"], [("a", ("{python}", "benchmarks/bench_a.py"), True)]),
        (LAYOUTS["src"], [("a", ("{python}", "bench/a.py"), True)]),
        (LAYOUTS["module"], [("thing", ("{python}", "bench_thing.py"), True)]),
        (
            LAYOUTS["pytest-benchmark"],
            [
                (
                    "speed",
                    (
                        "{python}",
                        "-m",
                        "pytest",
                        "-q",
                        "--benchmark-disable",
                        "benchmarks/test_speed.py",
                    ),
                    False,
                )
            ],
        ),
        (LAYOUTS["asv"], []),
        (
            {"scripts/run_benchmark.py": MAIN},
            [("run", ("{python}", "scripts/run_benchmark.py"), True)],
        ),
        ({"workbench.py": MAIN, "pkg/benchmarking.py": MAIN}, []),
        ({"bench/lib.py": "x = 1\n"}, []),
        (
            {"bench/a.py": MAIN, "benchmarks/a.py": MAIN},
            [
                ("a", ("{python}", "bench/a.py"), True),
                ("a-2", ("{python}", "benchmarks/a.py"), True),
            ],
        ),
    ],
)
def test_benchmarks(
    tmp_path: Path, files: dict[str, str], expected: list[tuple[str, tuple[str, ...], bool]]
) -> None:
    found = looked(tmp_path, files)
    assert [(b.name, b.command, b.ready) for b in found.benchmarks] == expected


def test_many_benchmarks_become_comments(tmp_path: Path) -> None:
    found = looked(tmp_path, {f"bench/b{n}.py": MAIN for n in range(8)})
    assert [b.ready for b in found.benchmarks] == [True] * 5 + [False] * 3
    config = parse(render(found).encode()).config
    assert len(config.benchmarks) == 5


def test_asv_is_explained(tmp_path: Path) -> None:
    assert any("asv" in w for w in looked(tmp_path, LAYOUTS["asv"]).warnings)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_what_judges_is_protected(tmp_path: Path, layout: str) -> None:
    found = looked(tmp_path, LAYOUTS[layout])
    protected = parse(render(found).encode()).config.governor.protected
    for benchmark in found.benchmarks:
        assert matches(benchmark.file, protected) or not benchmark.ready
    assert set(Config().governor.protected) <= set(protected)


def test_tests_inside_a_package_are_protected_with_their_data(tmp_path: Path) -> None:
    protected = looked(tmp_path, LAYOUTS["inner-tests"]).protected
    assert protected == ("pkg/tests/**",)


def test_environments_and_hidden_folders_are_not_the_repositorys(tmp_path: Path) -> None:
    found = looked(
        tmp_path,
        {
            ".venv/lib/python3.11/site-packages/x/test_x.py": PYTEST,
            "myenv/pyvenv.cfg": "",
            "myenv/bench/b.py": MAIN,
            "node_modules/bench/b.py": MAIN,
            ".hidden/bench_b.py": MAIN,
        },
    )
    assert (found.benchmarks, found.test_files) == ((), 0)


# --- the interpreter ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", [".venv", "venv"])
def test_the_environment_in_the_repository_is_found_and_not_run(tmp_path: Path, name: str) -> None:
    python = tmp_path / "r" / name / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\n")
    python.chmod(0o755)
    found = looked(tmp_path, {"tests/test_a.py": PYTEST})
    assert found.python == f"{name}/bin/python"
    assert any("does not have it: install it there" in w for w in found.warnings)
    (tmp_path / "r" / name / "lib" / "python3.11" / "site-packages" / "pytest").mkdir(parents=True)
    assert looked(tmp_path, {}).warnings == ()
    assert not (tmp_path / "ran").exists()


def test_no_environment_is_a_warning(tmp_path: Path) -> None:
    found = looked(tmp_path, LAYOUTS["module"])
    assert found.python == ""
    assert any("no .venv or venv" in w for w in found.warnings)


def test_no_python_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert any("No interpreter was found" in w for w in looked(tmp_path, {}).warnings)


# --- challenges ---------------------------------------------------------------------------------


def test_pure_functions_become_commented_challenges(cli: Cli, home: Path) -> None:
    root = commit(build(home / "r", LAYOUTS["pure"]))
    found = json.loads(script("init", "--json", cwd=root).out)
    assert [(c["name"], c["call"], c["line"]) for c in found["challenges"]] == [
        ("total", "pkg.a:total", 4),
        ("total-2", "pkg.b:total", 4),
    ]
    assert found["challenges"][0]["parameters"] == [
        "items: Sequence[tuple[str, int]]",
        "rate: float",
    ]
    text = (root / "ouroboros.toml").read_text()
    assert '# [challenges.total]\n# call = "pkg.a:total"\n' in text
    assert not load(root / "ouroboros.toml").config.challenges, "a person switches them on"
    on = re.sub(r"^# (?=\[challenges\.|call = )", "", text, flags=re.MULTILINE)
    assert [c.call for c in parse(on.encode()).config.challenges.values()] == [
        "pkg.a:total",
        "pkg.b:total",
    ]
    ended = script("init", "--force", cwd=root)
    assert "total: pkg.a:total (as a comment)" in ended.out


# --- hostile repositories -----------------------------------------------------------------------


def test_a_hostile_repository_is_described_and_not_obeyed(home: Path) -> None:
    evil = "\x1b]52;c;eA==\x07\x9b2J\u202e"
    files = {
        f"benchmarks/bench_{evil}.py": MAIN,
        f"pkg{evil}/__init__.py": "",
        f"pkg{evil}/a.py": PURE.replace("items", "items_").replace('"""', evil),
        "pkg/a.py": PURE.replace("rate: float", "rate: 'float'"),
        "tests/test_a.py": f"x = 1 # {evil}\ny = '\\\x1b'\n{PYTEST}",
    }
    root = build(home / "r", files)
    (root / "benchmarks" / os.fsdecode(b"bench_\xff.py")).write_text(MAIN)
    commit(root)
    for arguments in (("--dry-run",), ("--json",), ("--force",)):
        ended = script("init", *arguments, cwd=root)
        assert ended.code == 0, ended.err
        for text in (ended.out, ended.err):
            assert safe_text(text) == text, arguments
    text = (root / "ouroboros.toml").read_text()
    assert safe_text(text) == text
    commands = [b.command for b in load(root / "ouroboros.toml").config.benchmarks.values()]
    assert ("{python}", f"benchmarks/bench_{evil}.py") in commands, "the name is the file's own"
