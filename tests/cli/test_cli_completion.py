"""Completion scripts source cleanly, and the shell's question is answered."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from cli_world import SCRIPT, script

from ouroboros.cli.root import COMMANDS


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_is_printed(target: Path, shell: str) -> None:
    ended = script("completion", shell, cwd=target)
    assert (ended.code, ended.err) == (0, "")
    assert "_OUROBOROS_COMPLETE" in ended.out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_sources_cleanly(target: Path, shell: str, home: Path) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    (home / "script").write_text(script("completion", shell, cwd=target).out)
    done = subprocess.run(
        [shell, "-c", f"source {home / 'script'}"], capture_output=True, text=True, check=True
    )
    assert done.stderr == ""


def test_bash_completes_a_command(target: Path, home: Path) -> None:
    (home / "script").write_text(script("completion", "bash", cwd=target).out)
    ask = (
        f"source {home / 'script'}; COMP_WORDS=(ouroboros led); COMP_CWORD=1; "
        "_ouroboros_completion ouroboros; echo ${COMPREPLY[@]}"
    )
    done = subprocess.run(
        ["bash", "-c", ask],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PATH": f"{SCRIPT.parent}:{os.environ['PATH']}"},
    )
    assert done.stdout.strip() == "ledger"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("ouroboros ", set(COMMANDS)),
        (
            "ouroboros ledger ",
            {
                *("list", "get", "verify", "heads", "prove", "consistency", "key"),
                *("export", "import", "salvage"),
            },
        ),
        ("ouroboros approve c1 --c", {"--commit"}),
        ("ouroboros completion ", {"bash", "zsh", "fish"}),
    ],
)
def test_the_question_is_answered(target: Path, words: str, expected: set[str]) -> None:
    ended = script(
        cwd=target,
        _OUROBOROS_COMPLETE="bash_complete",
        COMP_WORDS=words,
        COMP_CWORD=str(len(words.split(" ")) - 1),
    )
    assert {line.split(",", 1)[1] for line in ended.out.split()} == expected
