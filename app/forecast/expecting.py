"""What people are expected to answer, by what was answered before."""

from collections.abc import Mapping
from math import sqrt
from statistics import NormalDist
from typing import Literal

from app.forecast.said import Expected

ENOUGH = 30
"""Fewer past answers than this say too little to expect anything by them."""
SURE = 0.95
"""How sure the interval of what is expected is."""


def wilson(many: int, of: int) -> tuple[float, float]:
    """Give the interval (Wilson) of a share seen in `many` of `of`, as sure as SURE says."""
    z = NormalDist().inv_cdf((1 + SURE) / 2)
    share = many / of
    middle = share + z * z / (2 * of)
    half = z * sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    low, high = (middle - half) / (1 + z * z / of), (middle + half) / (1 + z * z / of)
    return max(0.0, min(low, share)), min(1.0, max(high, share))


def expected(past: Mapping[str, int], people: int) -> list[Expected]:
    """Say what so many people are expected to answer; nothing where too few have answered."""
    of = sum(past.values())
    if of < ENOUGH:
        return []
    found = []
    answers: tuple[Literal["kept", "returned", "canceled", "silent"], ...]
    answers = ("kept", "returned", "canceled", "silent")
    for answer in answers:
        share, (low, high) = past.get(answer, 0) / of, wilson(past.get(answer, 0), of)
        many = [round(each * people) for each in (share, low, high)]
        shown = (round(share, 4), round(low, 4), round(high, 4))
        found.append(Expected(answer, *shown, *many))
    return found
