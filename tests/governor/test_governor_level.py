"""A test's own level holds at its screening, and is the same for who measures and who decides."""

import pytest

from ouroboros.config import parse
from ouroboros.governor.compare import rule_for
from ouroboros.model.evaluation import Stage

CONFIG = parse(b'[benchmarks.b]\ncommand = ["true"]\n').config


def test_a_test_has_its_own_level_at_screening() -> None:
    assert rule_for(CONFIG, "b", Stage.SCREEN, alpha_improve=0.001).alpha_improve == 0.001


@pytest.mark.parametrize("stage", [s for s in Stage if s is not Stage.SCREEN])
def test_no_other_stage_asks_for_more_than_the_governor_does(stage: Stage) -> None:
    assert rule_for(CONFIG, "b", stage, alpha_improve=0.001) == rule_for(CONFIG, "b", stage)
