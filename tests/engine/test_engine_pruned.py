"""What retention removed is told from what is missing, by who verifies as well."""

import os
import time

from engine_world import FASTER, OTHER, World, evaluation, reach

from ouroboros.engine.api import Submission
from ouroboros.ledger.audit import Wanted, audit
from ouroboros.ledger.note import parse_verifier
from ouroboros.model.phase import Phase

BY = "uid:tester"


async def test_verify_tells_pruned_from_missing(world: World) -> None:
    world.configure(storage='max_evidence = "1B"')
    world.executor.answer = lambda plan: evaluation(plan, status="failed", cause="no")
    engine = await world.start()
    names = []
    for diff in (FASTER, OTHER):
        name = await engine.submit(Submission(diff=diff, title="t"), actor=BY)
        await reach(engine, name, Phase.REJECTED)
        names.append(engine.candidate(name).diff)
    evidence = world.state / "evidence"
    old = time.time() - 7200
    world.clock_ns = lambda: time.time_ns() + 7200 * 10**9
    for folder in evidence.iterdir():
        for file in folder.iterdir():
            os.utime(file, (old, old))
    await engine._upkeep.round()
    assert not any((evidence / name[:2] / name[2:]).exists() for name in names)
    wanted = Wanted(key=parse_verifier(engine._heads.key), evidence=evidence)
    report = audit(world.state / "ledger.sqlite", wanted)
    assert report.problems == ()
    assert any("2 evidence files were pruned by retention" in n.text for n in report.notes)
    kept = engine.config.source
    assert kept
    for folder in evidence.iterdir():
        for file in folder.iterdir():
            if file.read_bytes() == kept:
                file.unlink()
    report = audit(world.state / "ledger.sqlite", wanted)
    assert [p.code for p in report.problems] == ["evidence"]
    assert "no evidence" in report.problems[0].text
