"""The real thing: attacks through engine, sandbox and governor; the whole is `scripts/redteam`."""

import json
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from catalogue import ATTACKS, CASES
from redteam_case import Case
from redteam_run import CAUGHT, Range_, layer_alone, opened
from redteam_world import range_

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]
ROOT = Path(__file__).resolve().parents[2]
QUICK = {case.id: case for case in CASES if case.quick}


@pytest.fixture
async def ready() -> AsyncIterator[Range_]:
    with range_() as place:
        async with opened(place, layers=False) as made:
            yield made


@pytest.mark.long
async def test_what_the_tests_must_catch_they_catch(ready: Range_) -> None:
    await all_caught(ready, "tests")


@pytest.mark.long
async def test_what_turned_asserts_must_catch_they_catch(ready: Range_) -> None:
    await all_caught(ready, "inverted")


async def all_caught(ready: Range_, layer: str) -> None:
    wanted: list[Case] = [case for case in ATTACKS if case.layer == layer]
    assert wanted
    seen = {case.id: (await layer_alone(ready, case, "tests"))[layer] for case in wanted}
    assert seen == dict.fromkeys(seen, CAUGHT)


def test_the_quick_subset_accepts_no_attack_and_every_honest_change() -> None:
    script = ROOT / "scripts" / "redteam.py"
    done = subprocess.run(
        [
            sys.executable,
            "-I",
            str(script),
            "--root",
            str(ROOT),
            "--quick",
            "--final-only",
            "--jobs",
            "2",
            "--json",
        ],
        capture_output=True,
        timeout=580,
    )
    assert done.stdout, done.stderr.decode()[-3000:]
    told = json.loads(done.stdout)
    summary = told["summary"]
    assert {case["id"] for case in told["cases"]} == set(QUICK)
    assert summary["accepted"] == []
    assert summary["host"] == []
    assert summary["left"] == []
    assert summary["controls_wrong"] == []
    assert done.returncode == 0
