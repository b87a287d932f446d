"""The registry, with a stranger's package that is really installed (on a path of its own)."""

import subprocess
import sys
from pathlib import Path

import pytest

from ouroboros.errors import ProposerError
from ouroboros.proposers import registry
from ouroboros.proposers.codemod import CodemodProposer

STRANGER = """
class Idle:
    name = "idle"

    async def propose(self, context):
        return None

NOT_CALLABLE = 3
"""


@pytest.fixture
def stranger(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "stranger_proposers.py").write_text(STRANGER)
    (tmp_path / "stranger_broken.py").write_text("raise OSError('no such disk')\n")
    info = tmp_path / "stranger_pkg-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: stranger-pkg\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[ouroboros.proposers]\n"
        "idle = stranger_proposers:Idle\n"
        "three = stranger_proposers:NOT_CALLABLE\n"
        "broken = stranger_broken:Thing\n"
        "codemod = ouroboros.proposers.codemod:CodemodProposer\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    return tmp_path


def test_names_hold_the_built_ins() -> None:
    assert "codemod" in registry.names()


def test_names_import_nothing() -> None:
    code = (
        "import sys; from ouroboros.proposers import registry; registry.names();"
        "sys.exit('libcst' in sys.modules or 'ouroboros.proposers.codemod' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_load_a_built_in() -> None:
    assert registry.load("codemod") is CodemodProposer


def test_a_strangers_proposer_is_used_the_same_way(stranger: Path) -> None:
    assert "idle" in registry.names()
    assert registry.load("idle")().name == "idle"


def test_a_broken_package_is_named(stranger: Path) -> None:
    with pytest.raises(ProposerError, match=r"stranger-pkg.*no such disk"):
        registry.load("broken")


def test_unknown_names_list_the_known() -> None:
    with pytest.raises(ProposerError, match=r"There is no 'nobody'.*codemod"):
        registry.load("nobody")


def test_what_is_registered_must_be_callable(stranger: Path) -> None:
    with pytest.raises(ProposerError, match="is a int, and cannot be called"):
        registry.load("three")
