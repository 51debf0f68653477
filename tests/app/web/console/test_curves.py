"""The curve: counts by day become counts by months without use, and a picture of them."""

from datetime import date

from app import policy as policies
from app.store.overview import Point
from app.web.console.curves import HIGH, WIDE, drawn

TODAY = date(2024, 9, 1)
POLICY = policies.read(
    {"on_no_answer": "nothing", "never_used_after": "P1Y", "unused_after": "P2Y"}
)
POINTS = [
    Point(date(2021, 8, 31), used=True, many=5),
    Point(date(2022, 9, 1), used=True, many=7),
    Point(date(2022, 9, 2), used=True, many=11),
    Point(date(2023, 9, 1), used=False, many=2),
    Point(date(2023, 9, 2), used=False, many=3),
    Point(date(2024, 8, 31), used=True, many=100),
    Point(date(2024, 9, 2), used=True, many=1),
]


def test_rows_count_whoever_has_not_used_it_for_so_long() -> None:
    curve = drawn(POINTS, POLICY, TODAY)
    rows = {row.months: (row.many, row.never) for row in curve.rows}
    assert curve.total == 129
    assert rows[0] == (129, 5), "also who used it tomorrow, on another continent"
    assert rows[1] == (28, 5)
    assert rows[12] == (25, 2)
    assert rows[23] == (23, 0)
    assert rows[24] == (12, 0)
    assert rows[36] == (5, 0)
    assert [row.months for row in curve.table] == [0, 1, 3, 6, 9, 12, 18, 24, 36, 48]


def test_thresholds_count_their_own() -> None:
    unused, never = drawn(POINTS, POLICY, TODAY).thresholds
    assert (unused.name, unused.many, never.name, never.many) == ("unused", 12, "never_used", 2)
    assert never.at < unused.at <= WIDE


def test_the_picture_holds_everything() -> None:
    curve = drawn(POINTS, POLICY, TODAY)
    for line in (curve.line, curve.never_line):
        places = [tuple(map(float, each.split(","))) for each in line.split()]
        assert len(places) == curve.months + 1
        assert all(0 <= x <= WIDE and 0 <= y <= HIGH for x, y in places)
        assert [y for _, y in places] == sorted(y for _, y in places), "it never rises again"
    assert curve.ticks[-1][1] <= WIDE


def test_nobody_and_no_policy_are_drawn_too() -> None:
    curve = drawn([], None, TODAY)
    assert (curve.total, curve.thresholds, curve.months) == (0, (), 24)
    assert curve.csv().splitlines()[1] == "0,0,0"


def test_the_oldest_do_not_stretch_the_picture() -> None:
    assert drawn([Point(date(1980, 1, 1), used=True, many=1)], POLICY, TODAY).months == 60
