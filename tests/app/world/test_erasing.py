"""Whether a receipt may be believed, and how it is read."""

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.world.document import Unreadable
from app.world.erasing import (
    GROUNDS,
    Fault,
    Kept,
    Owed,
    Receipt,
    fault_of,
    read,
    written,
)
from tests.oddities import each_spoiled, spoiled

TODAY = date(2026, 11, 1)
TOMORROW = TODAY + timedelta(days=1)
LIMIT = date(2036, 11, 1)
OWED = Owed("era_1", ("contact", "invoices", "profile"), {"invoices": LIMIT})
INVOICES = Kept("invoices", "legal_obligation", LIMIT)
GOOD = Receipt("era_1", ("contact", "profile"), (INVOICES,))
SAID = {
    "erasure": "era_1",
    "erased": ["contact", "profile"],
    "kept": [{"category": "invoices", "why": "legal_obligation", "until": "2036-11-01"}],
}


def code(receipt: Receipt) -> str | None:
    found = fault_of(receipt, OWED, TODAY)
    return None if found is None else found.code


def kept(category: str, why: str = "legal_claim", until: date | None = TOMORROW) -> Receipt:
    """Give a good receipt, but that one category is kept."""
    erased = tuple(each for each in OWED.categories if each != category)
    return Receipt("era_1", erased, (Kept(category, why, until),))


def test_one_that_accounts_for_everything_is_believed() -> None:
    assert code(GOOD) is None
    assert code(Receipt("era_1", OWED.categories)) is None
    assert code(Receipt("era_1", ("profile", "contact", "invoices"))) is None


@pytest.mark.parametrize("why", GROUNDS)
def test_whatever_is_kept_on_a_ground_and_for_a_time_is_believed(why: str) -> None:
    assert code(kept("profile", why)) is None
    assert code(kept("profile", why, TODAY + timedelta(days=36525))) is None


@pytest.mark.parametrize(
    ("odd", "says"),
    [
        (replace(GOOD, erasure="era_2"), "another erasure"),
        (replace(GOOD, erasure=""), "another erasure"),
        (replace(GOOD, erased=("profile",)), "category left out"),
        (replace(GOOD, kept=()), "category left out"),
        (Receipt("era_1"), "category left out"),
        (replace(GOOD, erased=("contact", "profile", "invoices")), "category twice"),
        (replace(GOOD, erased=("contact", "profile", "profile")), "category twice"),
        (replace(GOOD, kept=(INVOICES, INVOICES)), "category twice"),
        (replace(GOOD, erased=("contact", "profile", "other")), "unknown category"),
        (kept("profile", ""), "no ground"),
        (kept("profile", "we like it"), "no ground"),
        (kept("profile", "legal_obligation", None), "kept without end"),
        (kept("profile", "legal_claim", None), "kept without end"),
        (kept("invoices", "contract", None), "kept without end"),
        (kept("profile", until=TODAY), "kept until the past"),
        (kept("profile", until=date(2020, 1, 1)), "kept until the past"),
        (kept("invoices", until=LIMIT + timedelta(days=1)), "kept too long"),
        (kept("profile", until=TODAY + timedelta(days=36526)), "kept too long"),
    ],
)
def test_one_that_contradicts_itself_or_says_too_little_is_not(odd: Receipt, says: str) -> None:
    found = fault_of(odd, OWED, TODAY)
    assert isinstance(found, Fault)
    assert found.code == says
    assert "we like it" not in found.says
    assert "other" not in found.says.replace("another", "")


def test_only_a_contract_may_run_without_an_end() -> None:
    assert code(kept("profile", "contract", None)) is None


@given(
    erased=st.lists(st.sampled_from([*OWED.categories, "other"]), max_size=4),
    stays=st.lists(
        st.tuples(
            st.sampled_from([*OWED.categories, "other"]),
            st.sampled_from([*GROUNDS, "x"]),
            st.none() | st.dates(date(2026, 10, 25), date(2036, 11, 5)),
        ),
        max_size=4,
    ),
)
def test_what_is_believed_accounts_for_each_category_once(
    erased: list[str], stays: list[tuple[str, str, date | None]]
) -> None:
    receipt = Receipt("era_1", tuple(erased), tuple(Kept(*each) for each in stays))
    named = sorted([*erased, *(category for category, _, _ in stays)])
    right = named == sorted(OWED.categories) and all(
        why in GROUNDS
        and (
            (until is None and why == "contract" and category != "invoices")
            or (until is not None and until > TODAY and (category != "invoices" or until <= LIMIT))
        )
        for category, why, until in stays
    )
    assert (code(receipt) is None) is right


# --- reading ---------------------------------------------------------------------------------


def test_a_receipt_is_read_and_written_the_same_in_whatever_order_it_came() -> None:
    found = read(SAID)
    assert found == GOOD
    assert written(found) == {name: SAID[name] for name in ("erased", "kept")}
    turned = read(SAID | {"erased": ["profile", "contact"], "note": "more may come"})
    assert written(turned) == written(found)


@pytest.mark.parametrize(
    "changes",
    [
        {"erasure": None},
        {"erasure": 7},
        {"erased": None},
        {"erased": "profile"},
        {"erased": [None]},
        {"erased": ["Profile"]},
        {"erased": ["a" * 42]},
        {"erased": ["profile"] * 51},
        {"kept": {}},
        {"kept": ["invoices"]},
        {"kept": [{}]},
        {"kept": [{"category": "invoices"}]},
        {"kept": [{"category": "invoices", "why": "contract", "until": 2036}]},
        {"kept": [{"category": "invoices", "why": "contract", "until": "20361101"}]},
        {"kept": [{"category": "invoices", "why": "contract", "until": "2036-11-01T00:00:00"}]},
    ],
)
def test_what_is_no_receipt_is_said_to_be_none_without_repeating_it(
    changes: dict[str, Any],
) -> None:
    with pytest.raises(Unreadable) as wrong:
        read(SAID | changes)
    assert "2036" not in str(wrong.value).replace("2036-12-31", "")


def test_an_empty_object_is_no_receipt() -> None:
    with pytest.raises(Unreadable):
        read({"erasure": "era_1"})


@given(st.data())
def test_nothing_that_is_sent_raises_anything_else(data: st.DataObject) -> None:
    said = spoiled(data, SAID)
    if isinstance(said, dict):
        _reads_or_refuses(said)


def test_no_odd_value_in_any_place_raises_anything_else() -> None:
    for said in each_spoiled(SAID, 4, (None, True, 7, 1.5, "x", [], {}, [[]])):
        if isinstance(said, dict):
            _reads_or_refuses(said)


def _reads_or_refuses(said: dict[str, Any]) -> None:
    try:
        receipt = read(said)
    except Unreadable:
        return
    fault_of(receipt, OWED, TODAY)
