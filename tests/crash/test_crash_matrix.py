"""kill -9 at named places; the whole matrix and the random kills are `scripts/crash`."""

import pytest
from crash_engine import POINTS
from crash_matrix import Case, matrix, quick, randoms, reference, run_case
from crash_world import Outcome

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(600)]

COUNTS = dict.fromkeys(POINTS, 40)


@pytest.fixture(scope="module")
def expected() -> Outcome:
    return reference()[0]


@pytest.mark.parametrize("case", quick(COUNTS), ids=lambda case: case.name)
def test_a_killed_engine_comes_back_to_the_same(case: Case, expected: Outcome) -> None:
    result = run_case(case, expected)
    assert result.problem == ""
    assert result.kills == len(case.fails)


def test_the_script_leads_where_it_should(expected: Outcome) -> None:
    assert expected.phases == {
        "fast": "kept",
        "slow": "rejected",
        "broken": "rejected",
        "other": "rolled_back",
        "denied": "rejected",
        "dropped": "cancelled",
    }
    assert [title for title, active in expected.versions if active][:2] == ["as found", "fast"]


@pytest.mark.long
def test_every_transition(expected: Outcome) -> None:
    cases = [c for c in matrix(reference()[1]) if c.group in {"append", "move"}]
    assert len(cases) > 100
    assert [r for c in cases[::3] if (r := run_case(c, expected)).problem] == []


@pytest.mark.long
def test_random_instants(expected: Outcome) -> None:
    assert [r for c in randoms(20, seed=1000) if (r := run_case(c, expected)).problem] == []
