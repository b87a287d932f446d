"""The README's first command, as it stands."""

import os
import re
import subprocess
from pathlib import Path

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(420)]
ROOT = Path(__file__).resolve().parents[2]


def test_the_demo_improves_rejects_rolls_back_and_verifies(tmp_path: Path) -> None:
    env = {k: v for k, v in os.environ.items() if not k.startswith(("GIT_", "XDG_"))}
    done = subprocess.run(
        [str(ROOT / "scripts" / "demo"), "--headless", "--folder", str(tmp_path / "demo")],
        capture_output=True,
        env=env,
        timeout=400,
        stdin=subprocess.DEVNULL,
    )
    out = done.stdout.decode()
    assert done.returncode == 0, out[-4000:] + done.stderr.decode()[-2000:]
    assert len(re.findall(r"promoted +as v\d+, CPU -", out)) >= 2
    assert re.search(r"rejected +tests_failed: .*percentile_leaves_its_input_alone", out)
    assert re.search(r"v\d+ restores v\d+", out)
    assert re.search(r"ledger +\d+ entries, verified", out)
    target = tmp_path / "demo" / "target"
    subprocess.run(["git", "-C", str(target), "fsck", "--strict"], check=True)
    status = subprocess.run(
        ["git", "-C", str(target), "status", "--porcelain"], check=True, capture_output=True
    )
    assert status.stdout == b""
