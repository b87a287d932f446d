import pytest

from hitlog.stats import moving_average, per_bucket, percentile, shares, smallest, sparkline


def test_shares():
    assert shares({"a": 1, "b": 3}) == {"a": 0.25, "b": 0.75}
    assert shares({}) == {}


@pytest.mark.parametrize(
    ("fraction", "expected"), [(0.0, 10), (0.25, 10), (0.5, 20), (0.75, 30), (0.95, 40), (1.0, 40)]
)
def test_percentile(fraction, expected):
    assert percentile([40, 10, 30, 20], fraction) == expected


def test_percentile_of_nothing():
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_percentile_leaves_its_input_alone():
    values = [3, 1, 2]
    percentile(values, 0.5)
    assert values == [3, 1, 2]


def test_smallest():
    assert smallest([3, 1, 2]) == 1


def test_smallest_of_nothing():
    with pytest.raises(IndexError):
        smallest([])


def test_moving_average():
    assert moving_average([1, 2, 3, 6], 2) == [1.5, 2.5, 4.5]
    assert moving_average([1], 2) == []


def test_per_bucket():
    assert per_bucket([100, 101, 109, 110, 135], 10) == [3, 1, 0, 1]
    assert per_bucket([135, 100], 10) == [1, 0, 0, 1]
    assert per_bucket([], 10) == []


def test_sparkline():
    assert sparkline([0, 1, 4, 8]) == " ▁▄█"
    assert sparkline([]) == ""
