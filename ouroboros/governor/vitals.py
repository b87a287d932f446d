"""What a live service showed before and after a promotion, and whether that is worse. Pure.

A sample is what the service used and did up to a moment; a stretch of samples has means. Absolute
limits are broken by one sample. Increases compare two stretches, and say nothing where either is
too thin: who could not look must not claim that it is worse.
"""

from collections.abc import Sequence
from itertools import pairwise

import msgspec

from ouroboros.config_service import Vitals

FEWEST = 3
"""Samples without which a stretch has no mean."""
FEWEST_REQUESTS = 20
"""Requests without which a stretch has no rate."""
_NOISE_BYTES = 8 << 20
_NOISE_CPU = 0.05


class VitalSample(msgspec.Struct, frozen=True, kw_only=True):
    """The service at a moment (UTC ns); counters since its own start, None where not known."""

    ts: int
    rss_bytes: int = 0
    cpu_s: float = 0.0
    requests: float | None = None
    errors: float | None = None
    seconds: float | None = None


class Stretch(msgspec.Struct, frozen=True, kw_only=True):
    """Means of a stretch of time; None where they are not known.

    `cpu` is in processors, `latency_s` the mean time of a request, `error_rate` errors of requests.
    """

    samples: int
    rss_bytes: float | None = None
    cpu: float | None = None
    error_rate: float | None = None
    latency_s: float | None = None


def stretch(samples: Sequence[VitalSample]) -> Stretch:
    """Return the means of samples in order of time; counters that went back began anew."""
    if len(samples) < FEWEST:
        return Stretch(samples=len(samples))
    cpu = wall = requests = errors = seconds = 0.0
    known = False
    for before, after in pairwise(samples):
        wall += (after.ts - before.ts) / 1e9
        cpu += _gain(before.cpu_s, after.cpu_s)
        if before.requests is not None and after.requests is not None:
            known = True
            requests += _gain(before.requests, after.requests)
            errors += _gain(before.errors or 0.0, after.errors or 0.0)
            seconds += _gain(before.seconds or 0.0, after.seconds or 0.0)
    enough = known and requests >= FEWEST_REQUESTS
    return Stretch(
        samples=len(samples),
        rss_bytes=sum(s.rss_bytes for s in samples) / len(samples),
        cpu=cpu / wall if wall > 0 else None,
        error_rate=errors / requests if enough else None,
        latency_s=seconds / requests if enough and seconds > 0 else None,
    )


def _gain(before: float, after: float) -> float:
    return after - before if after >= before else after


def broken(sample: VitalSample, limits: Vitals) -> str:
    """Return which absolute limit a sample breaks, in words; or empty."""
    if limits.max_rss is not None and limits.max_rss < sample.rss_bytes:
        return f"resident memory is {_mib(sample.rss_bytes)}, more than {_mib(limits.max_rss)}"
    return ""


def worse(before: Stretch, after: Stretch, limits: Vitals) -> str:
    """Return what got worse than the limits allow, in words; or empty."""
    if after.error_rate is not None and 0 < limits.max_error_rate < after.error_rate:
        return f"{after.error_rate:.1%} of the requests fail, more than {limits.max_error_rate:.1%}"
    for name, was, now, most, noise in (
        ("the mean time of a request", before.latency_s, after.latency_s,
         limits.max_latency_increase, 0.0),
        ("resident memory", before.rss_bytes, after.rss_bytes,
         limits.max_rss_increase, float(_NOISE_BYTES)),
        ("processor time", before.cpu, after.cpu, limits.max_cpu_increase, _NOISE_CPU),
    ):  # fmt: skip
        if most <= 0 or was is None or now is None or was <= 0:
            continue
        if now > was * (1 + most) and now - was > noise:
            return f"{name} rose by {now / was - 1:.0%}, more than {most:.0%}"
    return ""


def _mib(value: float) -> str:
    return f"{value / (1 << 20):.0f} MiB"
