"""Months clamp, the day of the anchor is kept, and every moment lies in one period."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fakestripe.periods import around, boundary


def at(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp())


@pytest.mark.parametrize(
    ("anchor", "interval", "count", "dates"),
    [
        ("2026-01-31T10:00", "month", 1, ["2026-02-28T10:00", "2026-03-31T10:00",
                                          "2026-04-30T10:00"]),
        ("2027-12-31T00:00", "month", 2, ["2028-02-29T00:00", "2028-04-30T00:00"]),
        ("2024-02-29T23:59", "year", 1, ["2025-02-28T23:59", "2026-02-28T23:59", "2027-02-28T23:59",
                                         "2028-02-29T23:59"]),
        ("2026-03-01T00:00", "week", 2, ["2026-03-15T00:00", "2026-03-29T00:00"]),
        ("2026-03-28T00:00", "day", 3, ["2026-03-31T00:00", "2026-04-03T00:00"]),
    ],
)  # fmt: skip
def test_boundaries(anchor: str, interval: str, count: int, dates: list[str]) -> None:
    numbers = range(1, len(dates) + 1)
    assert [boundary(at(anchor), interval, count, each) for each in numbers] == [*map(at, dates)]


MOMENTS = st.integers(min_value=1_600_000_000, max_value=2_000_000_000)


@given(MOMENTS, st.sampled_from(["day", "week", "month", "year"]), st.integers(1, 12), MOMENTS)
def test_every_moment_lies_in_one_period(anchor: int, interval: str, count: int, now: int) -> None:
    start, end = around(anchor, interval, count, now)
    assert start <= now < end
    assert around(anchor, interval, count, start) == (start, end)
    assert around(anchor, interval, count, end)[0] == end
    assert around(anchor, interval, count, end - 1) == (start, end)
