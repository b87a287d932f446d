"""The service of a real engine, fuzzed for a moment; `scripts/fuzz_rpc.py` does it for long."""

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "fuzz_rpc.py"


@pytest.mark.parametrize("number", [7, pytest.param(8, marks=pytest.mark.long)])
def test_a_thousand_bodies_find_no_fault(number: int) -> None:
    done = subprocess.run(
        [sys.executable, str(SCRIPT), "--minutes", "0", "--seed", str(number)],
        capture_output=True,
        text=True,
        timeout=110,
    )
    assert done.returncode == 0, done.stdout + done.stderr[-3000:]
    assert "bodies       1000" in done.stdout
    assert "incidents    0" in done.stdout
    assert "whole" in done.stdout
