"""Numbers about numbers."""

from collections.abc import Mapping


def shares(counts: Mapping[str, int]) -> dict[str, float]:
    """Return what part of the whole each key has."""
    return {key: count / sum(counts.values()) for key, count in counts.items()}


def percentile(values: list[int], fraction: float) -> int:
    """Return the smallest value that is not below the given fraction of all values."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    rank = max(1, round(fraction * len(ordered)))
    return ordered[rank - 1]


def smallest(values: list[int]) -> int:
    """Return the smallest value."""
    return sorted(values)[0]


def moving_average(values: list[int], width: int) -> list[float]:
    """Return the averages of `width` neighbouring values each."""
    averages = []
    for start in range(len(values) - width + 1):
        averages.append(sum(values[start : start + width]) / width)
    return averages


def per_bucket(times: list[int], width: int) -> list[int]:
    """Return how many times fall into each bucket from the first to the last."""
    if not times:
        return []
    buckets = [0] * ((max(times) - min(times)) // width + 1)
    for time in times:
        buckets[(time - min(times)) // width] += 1
    return buckets


def sparkline(counts: list[int]) -> str:
    """Return a bar of block characters, the highest count as the full block."""
    bars = ""
    for count in counts:
        bars += " ▁▂▃▄▅▆▇█"[round(8 * count / max(counts))] if count else " "
    return bars
