"""A season with the fake Stripe, in small; `python -m tests.acceptance.stripe_year` is the year."""

import pytest

from app.store.database import Database
from tests.acceptance.stripe_year import Plan, lived

PEOPLE, DAYS = 20, 45
"""Long enough for an ask, the silence behind it, a suspension, and charges that do not come."""


@pytest.mark.parametrize("faults", [False, True])
def test_both_sides_end_equal(database: Database, faults: bool) -> None:  # noqa: FBT001
    found = lived(Plan(PEOPLE, DAYS, 11, faults, unused="P30D", within="P14D"), database)
    assert found["differences"] == []
    assert found["doubled effects"] == []
    assert found["charged after suspension"] == []
    assert (found["refunds"], found["compared"]["unexplained"]) == (0, 0)
    assert found["rounds"].get("suspended", 0) > 0
    if not faults:
        assert (found["compared"]["repaired"], found["stuck"]) == (0, [])
