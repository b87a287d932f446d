"""What lies ready under docs/ops: it names what there is, and tools of others take it."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

OPS = Path(__file__).resolve().parents[2] / "docs" / "ops"
EXPOSED = Path(__file__).resolve().parents[2] / "rpc" / "server" / "prometheus.py"


def test_the_rules_name_only_what_the_engine_exposes() -> None:
    rules = (OPS / "prometheus-rules.yml").read_text()
    code = EXPOSED.read_text()
    names = set(re.findall(r"ouroboros_([a-z_]+)", re.sub(r"#.*", "", rules)))
    assert names
    for name in names - {"token"}:
        assert f'"{name}"' in code or f"ouroboros_{name}" in code, name


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_promtool_takes_the_rules() -> None:
    done = subprocess.run(
        ["promtool", "check", "rules", str(OPS / "prometheus-rules.yml")], capture_output=True
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    text = (OPS / "ouroboros@.service").read_text().replace("/usr/local/bin/ouroboros", "/bin/true")
    unit = tmp_path / "ouroboros@srv-target.service"
    unit.write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=60
    )
    own = [row for row in done.stderr.split("\n") if "ouroboros@" in row]
    assert own == []
    assert done.returncode == 0, done.stderr
