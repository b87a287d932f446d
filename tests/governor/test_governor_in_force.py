"""Policy is never retroactive, and what protects is obeyed at once."""

import itertools

import pytest
from msgspec.structs import replace

from ouroboros.config import Config, Mode, parse
from ouroboros.governor.in_force import blocked, in_force, stricter


def config(governor: str = "", limits: str = "") -> Config:
    text = f'[governor]\n{governor}\n[governor.limits]\n{limits}\n[benchmarks.b]\ncommand = ["x"]\n'
    return parse(text.encode()).config


def test_margins_error_rates_and_benchmarks_are_those_of_the_proposal() -> None:
    then = config("max_degradation = 0.02\nalpha_accept = 0.001\nmax_lines = 10")
    now = parse(b"[governor]\nmax_degradation = 0.2\nalpha_accept = 0.2\nmax_lines = 9000").config
    judged = in_force(then, now)
    assert judged == then
    assert in_force(now, then) == replace(now, governor=replace(now.governor))


@pytest.mark.parametrize(("then", "now"), list(itertools.product(Mode, Mode)))
def test_the_stricter_mode_counts_whichever_came_first(then: Mode, now: Mode) -> None:
    order = ["observe", "supervised", "autonomous"]
    mode = in_force(config(f'mode = "{then}"'), config(f'mode = "{now}"')).governor.mode
    assert mode == order[min(order.index(then), order.index(now))]
    assert stricter(then, now) is stricter(now, then)


def test_the_stricter_limits_count_and_todays_freezes() -> None:
    then = config(
        limits='promotions_per_day = 3\nquorum = 1\nreviewed = ["a/**"]\nreviewed_quorum = 3'
    )
    now = config(
        limits="promotions_per_day = 9\npromotions_per_proposer = 2\nquorum = 2\n"
        'reviewed = ["b/**", "a/**"]\nfreeze = ["22:00 - 06:00"]\ntimezone = "Europe/Berlin"\n'
        "rollbacks_in_a_row = 1"
    )
    limits = in_force(then, now).governor.limits
    assert (limits.promotions_per_day, limits.promotions_per_proposer) == (3, 2)
    assert (limits.quorum, limits.reviewed_quorum) == (2, 3)
    assert limits.reviewed == ("a/**", "b/**")
    assert (limits.freeze, limits.timezone) == (("22:00 - 06:00",), "Europe/Berlin")
    assert limits.rollbacks_in_a_row == 1


@pytest.mark.parametrize(
    ("mode", "approved", "free"),
    [
        (Mode.OBSERVE, True, False),
        (Mode.OBSERVE, False, False),
        (Mode.SUPERVISED, True, True),
        (Mode.SUPERVISED, False, False),
        (Mode.AUTONOMOUS, True, True),
        (Mode.AUTONOMOUS, False, True),
    ],
)
def test_what_was_accepted_still_obeys_the_mode_of_now(
    mode: Mode, *, approved: bool, free: bool
) -> None:
    assert (blocked(mode, approved=approved) == "") is free
