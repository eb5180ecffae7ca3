import pytest

from ftlab.comparison.formats import (
    byte_scale,
    format_count,
    format_duration,
    format_percent,
    format_seeds,
    format_size,
    metric_scale,
    name_some,
    plain_scale,
    printable,
    time_scale,
)
from ftlab.comparison.stats.estimate import Estimate, estimate


def test_estimate_is_mean_and_sample_standard_deviation() -> None:
    assert estimate([1.0, 2.0, 3.0]) == Estimate(2.0, 1.0, 3, 3)
    assert estimate([4.0]) == Estimate(4.0, None, 1, 1)
    assert estimate([4.0, None]) == Estimate(4.0, None, 1, 2)
    assert estimate([None, None]) is None
    assert estimate([]) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (999, "999"),
        (1_925, "1.93 k"),
        (95_621, "95.6 k"),
        (999_950, "1.00 M"),
        (22_861_445, "22.9 M"),
        (7e9, "7.00 G"),
    ],
)
def test_counts_have_three_digits(value: float, text: str) -> None:
    assert format_count(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0, "0 B"), (8_900, "8.90 kB"), (91_460_000, "91.5 MB"), (1.2e9, "1.20 GB")]
)
def test_sizes_have_three_digits(value: float, text: str) -> None:
    assert format_size(value) == text


@pytest.mark.parametrize(
    ("part", "text"), [(0, "0 %"), (1, "<0.01 %"), (12_900, "1.29 %"), (162_000, "16.2 %"), (1_000_000, "100 %")]
)
def test_shares(part: float, text: str) -> None:
    assert format_percent(part, 1_000_000) == text


def test_one_unit_per_column() -> None:
    assert time_scale([31.5, 600.0]).unit == "s"
    assert time_scale([150.0, 600.0]).unit == "min"
    assert time_scale([0.0, 9000.0]).unit == "h"  # what trains nothing takes no time, and no part in the choice
    assert time_scale([]).unit == "s"
    assert byte_scale([655e6, 1182e6]).unit == "MB"
    assert byte_scale([1.1e9, 30e9]).unit == "GB"


def test_the_spread_stands_beside_the_mean_in_the_same_digits() -> None:
    assert metric_scale([0.95]).format(Estimate(0.9461, 0.0123, 3, 3)) == "0.946 ± 0.012"
    assert metric_scale([0.95]).format(Estimate(0.9461, None, 1, 3)) == "0.946 (1 of 3 seeds)"
    assert metric_scale([23.4]).format(Estimate(23.456, None, 1, 1)) == "23.46"
    assert plain_scale([12.0, 51.0]).format(Estimate(12.04, None, 1, 1)) == "12.0"
    assert metric_scale([1e12]).format(Estimate(1e12, None, 1, 1)) == "1e+12"
    assert metric_scale([]).format(None) == "—"


def test_a_text_of_a_file_is_one_line_and_controls_no_terminal() -> None:
    assert printable("loss is nan\nat\tstep 3 ") == "loss is nan at step 3"
    assert printable("中文 é") == "中文 é"
    assert printable("a\x1b[2Jb\u202ec\x9b31m").isprintable()


def test_durations() -> None:
    assert [format_duration(seconds) for seconds in (0.9, 59, 3723)] == ["0:00:00", "0:00:59", "1:02:03"]


def test_some_names_are_said_and_the_others_counted() -> None:
    assert name_some(["a", "b"], 2) == "a, b"
    assert name_some(["a", "b", "c", "d"], 2) == "a, b and 2 more"


@pytest.mark.parametrize(
    ("seeds", "text"),
    [
        ((3,), "seed 3"),
        ((1, 0), "seeds 0, 1"),
        ((2, 0, 1, 1), "seeds 0 to 2"),
        ((0, 4, 5, 6, 9, 10), "seeds 0, 4 to 6, 9, 10"),
    ],
)
def test_seeds_are_told_as_ranges(seeds: tuple[int, ...], text: str) -> None:
    assert format_seeds(seeds) == text
