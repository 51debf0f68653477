"""Billing periods, in seconds since 1970: months clamp, the day of the anchor is kept."""

from calendar import monthrange
from datetime import UTC, datetime
from functools import lru_cache

DAY = 86_400
SECONDS = {"day": DAY, "week": 7 * DAY}
MONTHS = {"month": 1, "year": 12}


@lru_cache(maxsize=1 << 16)
def boundary(anchor: int, interval: str, count: int, number: int) -> int:
    """Give the start of the period of this number; number 0 starts at the anchor."""
    if interval in SECONDS:
        return anchor + number * count * SECONDS[interval]
    start = datetime.fromtimestamp(anchor, UTC)
    months = start.year * 12 + start.month - 1 + number * count * MONTHS[interval]
    year, month = divmod(months, 12)
    # The 31st plus a month is the last of the month, and the month after it is the 31st again.
    day = min(start.day, monthrange(year, month + 1)[1])
    return int(start.replace(year=year, month=month + 1, day=day).timestamp())


@lru_cache(maxsize=1 << 16)
def around(anchor: int, interval: str, count: int, moment: int) -> tuple[int, int]:
    """Give start and end of the period that a moment lies in; it may lie before the anchor."""
    if interval in SECONDS:
        number = (moment - anchor) // (count * SECONDS[interval])
    else:
        start, then = datetime.fromtimestamp(anchor, UTC), datetime.fromtimestamp(moment, UTC)
        months = (then.year - start.year) * 12 + then.month - start.month
        number = months // (count * MONTHS[interval])
        if boundary(anchor, interval, count, number) > moment:
            number -= 1
        elif boundary(anchor, interval, count, number + 1) <= moment:
            number += 1
    return (
        boundary(anchor, interval, count, number),
        boundary(anchor, interval, count, number + 1),
    )
