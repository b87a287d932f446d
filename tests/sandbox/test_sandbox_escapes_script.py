"""`scripts/escapes`: a run that cannot be made fails, and is never skipped."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "escapes.py"


def escapes(*arguments: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-I", str(SCRIPT), "--root", str(SCRIPT.parents[1]), *arguments]
    return subprocess.run(argv, capture_output=True, text=True, timeout=100)


@pytest.mark.parametrize(
    ("name", "said"), [("no-such-user", "no user no-such-user"), ("root", "root")]
)
def test_a_user_that_cannot_be_is_an_error(name: str, said: str) -> None:
    ended = escapes("--as-user", name)
    assert ended.returncode == 1
    assert (said if os.geteuid() == 0 else "needs root") in ended.stderr
