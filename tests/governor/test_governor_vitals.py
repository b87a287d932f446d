"""What a live service showed before and after, and when that counts as worse."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ouroboros.config_service import Vitals
from ouroboros.config_values import Size
from ouroboros.governor.vitals import FEWEST, VitalSample, broken, stretch, worse

MIB = 1 << 20


def taken(
    count: int = 20,
    *,
    rss: int = 100 * MIB,
    cpu: float = 0.2,
    rate: float = 10.0,
    latency: float = 0.01,
    errors: float = 0.0,
    counted: bool = True,
) -> list[VitalSample]:
    """Samples, one a second, of a service that does the same all the time."""
    return [
        VitalSample(
            ts=n * 10**9,
            rss_bytes=rss,
            cpu_s=n * cpu,
            requests=n * rate if counted else None,
            errors=n * rate * errors if counted else None,
            seconds=n * rate * latency if counted else None,
        )
        for n in range(count)
    ]


def test_means_of_a_stretch() -> None:
    found = stretch(taken(errors=0.02))
    assert found.rss_bytes == 100 * MIB
    assert found.cpu == pytest.approx(0.2)
    assert found.error_rate == pytest.approx(0.02)
    assert found.latency_s == pytest.approx(0.01)


@pytest.mark.parametrize(
    ("after", "limits", "said"),
    [
        (taken(latency=0.013), Vitals(max_latency_increase=0.2), "of a request rose by 30"),
        (taken(latency=0.0119), Vitals(max_latency_increase=0.2), ""),
        (taken(errors=0.05), Vitals(max_error_rate=0.01), "5.0% of the requests fail"),
        (taken(errors=0.005), Vitals(max_error_rate=0.01), ""),
        (taken(rss=160 * MIB), Vitals(max_rss_increase=0.5), "resident memory rose by 60%"),
        (taken(rss=140 * MIB), Vitals(max_rss_increase=0.5), ""),
        (taken(cpu=0.5), Vitals(max_cpu_increase=1.0), "processor time rose by 150%"),
        (taken(latency=9.0, errors=1.0, rss=10**12), Vitals(), ""),
    ],
)  # fmt: skip
def test_what_is_worse(after: list[VitalSample], limits: Vitals, said: str) -> None:
    found = worse(stretch(taken()), stretch(after), limits)
    assert (said in found) if said else found == ""


def test_who_could_not_look_does_not_claim() -> None:
    limits = Vitals(max_latency_increase=0.1, max_error_rate=0.001, max_rss_increase=0.1)
    for before in (taken(FEWEST - 1), []):
        assert worse(stretch(before), stretch(taken(rss=10**12)), limits) == ""
    quiet = taken(latency=5.0, errors=0.5, rate=0.1)
    assert worse(stretch(taken()), stretch(quiet), limits) == ""
    blind = taken(counted=False, rss=105 * MIB)
    assert worse(stretch(taken()), stretch(blind), limits) == ""


def test_small_absolute_rises_are_noise() -> None:
    limits = Vitals(max_rss_increase=0.1, max_cpu_increase=0.1)
    before, after = taken(rss=4 * MIB, cpu=0.01), taken(rss=8 * MIB, cpu=0.05)
    assert worse(stretch(before), stretch(after), limits) == ""


def test_counters_that_began_anew_are_no_negative_work() -> None:
    first, again = taken(10), taken(10)
    moved = [
        VitalSample(
            ts=s.ts + 10 * 10**9,
            rss_bytes=s.rss_bytes,
            cpu_s=s.cpu_s,
            requests=s.requests,
            errors=s.errors,
            seconds=s.seconds,
        )
        for s in again
    ]
    found = stretch([*first, *moved])
    assert found.cpu == pytest.approx(0.2, rel=0.2)
    assert found.latency_s == pytest.approx(0.01)


def test_an_absolute_limit_is_broken_by_one_sample() -> None:
    limits = Vitals(max_rss=Size(50 * MIB))
    assert "100 MiB, more than 50 MiB" in broken(taken(1)[0], limits)
    assert broken(taken(1, rss=50 * MIB)[0], limits) == ""
    assert broken(taken(1)[0], Vitals()) == ""


NUMBER = st.floats(0, 1e9)


@given(
    st.lists(st.builds(
        VitalSample, ts=st.integers(0, 10**18), rss_bytes=st.integers(0, 10**12), cpu_s=NUMBER,
        requests=st.none() | NUMBER, errors=st.none() | NUMBER, seconds=st.none() | NUMBER,
    ), max_size=12)
)  # fmt: skip
def test_any_samples_have_means_or_none(samples: list[VitalSample]) -> None:
    found = stretch(sorted(samples, key=lambda s: s.ts))
    for value in (found.rss_bytes, found.cpu, found.error_rate, found.latency_s):
        assert value is None or value >= 0
    assert worse(found, found, Vitals(max_latency_increase=0.1, max_rss_increase=0.1)) == ""
