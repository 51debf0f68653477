"""What if the threshold were …: how many a few of them would ask, for the first page."""

from dataclasses import dataclass

from app import policy as policies
from app.forecast import Forecaster
from app.policy import Period, Policy
from app.store.products import Product

OFFERED = (3, 6, 9, 12, 18, 24, 36)
"""The thresholds, in months."""
THRESHOLDS = ("never_used_after", "unused_after")


@dataclass(frozen=True, slots=True)
class Row:
    """One threshold: how many would be asked by tomorrow, and whether it is the one in force."""

    months: int
    people: int
    in_force: bool


def thresholds(forecaster: Forecaster, product: Product) -> list[Row]:
    """Count exactly whom each threshold would ask; by the safe defaults where no policy is."""
    base = product.policy or policies.read({"on_no_answer": "nothing"})
    tried = [_with(base, months) for months in OFFERED]
    looks = forecaster.several(product.key, tried)
    return [
        Row(months, look.tomorrow, product.policy is not None and one.terms == base.terms)
        for months, one, look in zip(OFFERED, tried, looks, strict=True)
    ]


def _with(policy: Policy, months: int) -> Policy:
    """Give a policy with both thresholds so long; a segment that has its own keeps it."""
    body = policies.write(policy)
    return policies.read(body | dict.fromkeys(THRESHOLDS, str(Period(months=months))))
