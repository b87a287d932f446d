"""The budget of false discoveries: what each test may spend, and that all of them spend no more."""

import math

import pytest
from compare_world import config
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.errors import Misuse
from ouroboros.governor.budget import gamma, level

CONFIRM = config().governor
E_LOND = config("[governor.budget]\nfdr = 'e-lond'\nfdr_level = 0.1\n").governor


def test_all_tests_together_spend_no_more_than_the_budget() -> None:
    """The first million, and a bound of all that follow: the integral of 1 / (n ln^2 n)."""
    last = 1_000_000
    spent = math.fsum(gamma(t) for t in range(1, last + 1))
    rest = gamma(1) * 2 * math.log(2) ** 2 / math.log(last + 1)
    assert 0.99 < spent + rest <= 1


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_later_tests_get_less(one: int, other: int) -> None:
    assert (gamma(one) > gamma(other)) == (one < other)
    assert 0 < gamma(one) < 0.5


@given(st.integers(1, 10**6), st.integers(0, 10**4))
def test_a_level_is_never_above_that_of_policy_and_grows_with_discoveries(
    test: int, discoveries: int
) -> None:
    found = level(E_LOND, test=test, discoveries=discoveries)
    assert 0 < found <= E_LOND.alpha_improve
    assert found <= level(E_LOND, test=test, discoveries=discoveries + 1)
    assert found == min(E_LOND.alpha_improve, 0.1 * gamma(test) * (discoveries + 1))
    assert level(CONFIRM, test=test, discoveries=discoveries) == CONFIRM.alpha_improve


def test_the_first_levels() -> None:
    assert level(E_LOND, test=1, discoveries=0) == pytest.approx(0.0493, abs=1e-4)
    assert level(E_LOND, test=100, discoveries=0) == pytest.approx(2.2e-5, rel=0.01)
    assert level(E_LOND, test=100, discoveries=9) == pytest.approx(2.2e-4, rel=0.01)


@pytest.mark.parametrize(("test", "discoveries"), [(0, 0), (-1, 0), (1, -1)])
def test_numbers_that_count_nothing(test: int, discoveries: int) -> None:
    with pytest.raises(Misuse):
        level(E_LOND, test=test, discoveries=discoveries)
