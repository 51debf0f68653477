"""A season with the fake Stripe, in small; `python -m tests.acceptance.stripe_year` is the year."""

import pytest

from app.store.database import Database
from tests.acceptance import stripe_year
from tests.acceptance.stripe_year import BROKEN, COMPARED, Plan, failures, lived

PEOPLE, DAYS = 20, 45
"""Long enough for an ask, the silence behind it, a suspension, and charges that do not come."""


@pytest.mark.parametrize("faults", [False, True])
def test_both_sides_end_equal(database: Database, faults: bool) -> None:  # noqa: FBT001
    found = lived(Plan(PEOPLE, DAYS, 11, faults, unused="P30D", within="P14D"), database)
    assert failures(found) == []
    assert (found["refunds"], found["compared"]["unexplained"]) == (0, 0)
    assert found["compared"]["ours"] > 0
    assert found["rounds"].get("suspended", 0) > 0
    assert ({"hang", "delay"} <= found["faults met"].keys()) is faults
    if not faults:
        assert found["stuck"] == []


WELL = {
    "faults": False,
    **dict.fromkeys(BROKEN, ()),
    "compared": dict.fromkeys(COMPARED, 0) | {"ours": 5, "renewed": 7},
}


def test_a_year_in_which_all_holds_has_no_failures() -> None:
    assert failures(WELL) == []


@pytest.mark.parametrize("faults", [False, True])
@pytest.mark.parametrize("what", BROKEN)
def test_what_holds_in_any_year_is_named_where_it_does_not(what: str, faults: bool) -> None:  # noqa: FBT001
    assert failures(WELL | {"faults": faults, what: ["sub_1"]}) == [what]


@pytest.mark.parametrize("what", ["repaired", "unexplained", "wrong"])
def test_without_faults_the_comparison_finds_nothing_but_our_own_doing(what: str) -> None:
    report = WELL | {"compared": dict.fromkeys(COMPARED, 0) | {what: 1}}
    assert failures(report) == [f"compared: {what}"]
    assert failures(report | {"faults": True}) == []


def test_the_command_ends_with_what_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    report = WELL | {"compared": dict.fromkeys(COMPARED, 0) | {"wrong": 1}}
    monkeypatch.setattr(stripe_year, "on_a_database_of_its_own", lambda _: report)
    monkeypatch.setattr("sys.argv", ["stripe_year"])
    with pytest.raises(SystemExit) as ended:
        stripe_year.main()
    assert ended.value.code == "does not hold: compared: wrong"
