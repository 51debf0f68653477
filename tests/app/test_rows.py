"""One row of a source: every field says what is wrong with it."""

from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.rows import OPTIONAL, REQUIRED, RowRefused, digest, read
from tests.world import row


def test_a_good_row_gives_its_facts() -> None:
    facts = read(row("sub_1", customer="c1", country="gb", currency="gbp", locale="en_GB"))
    assert (facts.external_id, facts.customer, facts.amount) == ("sub_1", "c1", 1349)
    assert (facts.country, facts.currency, facts.locale) == ("GB", "GBP", "en-GB")
    assert facts.started_on == date(2022, 9, 1)
    assert facts.renews_at == datetime(2024, 9, 20, tzinfo=UTC)


def test_days_and_times_are_taken_in_utc() -> None:
    facts = read(row("ada", started_at="2022-09-01T01:00:00+02:00"))
    assert facts.started_on == date(2022, 8, 31)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": ""}, "id is empty"),
        ({"id": "  "}, "id is empty"),
        ({"id": "x" * 201}, "id is longer than 200"),
        ({"id": "a\x00b"}, "id contains a control character"),
        ({"id": "a\ud800"}, "id contains a control character"),
        ({"id": "a\u2028b"}, "id contains a control character"),
        ({"plan": "a\r\nBcc: eve"}, "plan contains a control character"),
        ({"plan": ""}, "plan is empty"),
        ({"plan": "4111 1111 1111 1111"}, "plan contains what looks like a card number"),
        ({"customer": "DE89 3704 0044 0532 0130 00"}, "customer contains what looks like a bank"),
        ({"customer": "078-05-1120"}, "customer contains what looks like a national id"),
        ({"status": "Active"}, "status 'Active' is not one of trialing, active"),
        ({"status": ""}, "status is empty"),
        ({"interval": "quarter"}, "interval 'quarter' is not one of day, week, month, year"),
        ({"country": "UK"}, "country 'UK' is no ISO 3166-1 code"),
        ({"country": "001"}, "country '001' is no ISO 3166-1 code"),
        ({"currency": "EUROS"}, "currency 'EUROS' is no ISO 4217 code"),
        ({"amount": "13.49"}, "amount '13.49' is no whole number"),
        ({"amount": "-1"}, "amount '-1' is no whole number"),
        ({"amount": "1e3"}, "amount '1e3' is no whole number"),
        ({"amount": "١٢"}, "amount '١٢' is no whole number"),
        ({"amount": "9999999999999999"}, "amount '9999999999999999' is no whole number"),
        ({"amount": ""}, "amount is empty"),
        ({"started_at": "2022-09-01"}, "started_at '2022-09-01' has no offset"),
        ({"started_at": "soon"}, "started_at 'soon' is no time"),
        ({"started_at": "0001-01-01T00:00:00+14:00"}, "started_at .* is out of range"),
        ({"renews_at": "2024-09-20 00:00"}, "renews_at '2024-09-20 00:00' has no offset"),
        ({"email": "ada"}, "email is not an address"),
        ({"email": "ada@"}, "email is not an address"),
        ({"email": "a@b@c.example"}, "email is not an address"),
        ({"locale": "english!"}, "locale 'english!' is no BCP 47 tag"),
        ({"locale": "xx-YY"}, "locale 'xx-YY' is no BCP 47 tag"),
        ({"timezone": "Berlin"}, "timezone 'Berlin' is no IANA name"),
        ({"timezone": "../../etc/passwd"}, "timezone '../../etc/passwd' is no IANA name"),
    ],
)
def test_a_bad_field_is_refused_by_name(changes: dict[str, str], said: str) -> None:
    with pytest.raises(RowRefused, match=said.replace("(", r"\(")):
        read(row("ada") | changes)


def test_a_refusal_repeats_no_address() -> None:
    with pytest.raises(RowRefused) as refused:
        read(row("ada", email="ada.lovelace@@subscribers.example"))
    assert "lovelace" not in str(refused.value)


def test_a_refusal_repeats_no_card_number() -> None:
    with pytest.raises(RowRefused) as refused:
        read(row("ada", plan="4111111111111111"))
    assert "4111" not in str(refused.value)


@pytest.mark.parametrize("name", ["email", "renews_at", "customer"])
def test_some_fields_may_be_empty(name: str) -> None:
    assert read(row("ada") | {name: ""}).external_id == "ada"


@pytest.mark.parametrize("name", [name for name in REQUIRED if name not in ("email", "renews_at")])
def test_a_field_that_is_missing_is_refused(name: str) -> None:
    given_row = row("ada")
    del given_row[name]
    with pytest.raises(RowRefused, match=f"{name} is empty"):
        read(given_row)


@pytest.mark.parametrize("name", [*REQUIRED, *OPTIONAL])
def test_the_digest_changes_with_every_field(name: str) -> None:
    assert digest(row("ada")) != digest(row("ada") | {name: "other"})


def test_the_digest_is_not_fooled_by_moving_text_between_fields() -> None:
    one, other = row("ada", plan="ab", country="c"), row("ada", plan="a", country="bc")
    assert digest(one) != digest(other)


TEXT: st.SearchStrategy[Any] = st.text(max_size=30)


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from([*REQUIRED, *OPTIONAL]), TEXT, max_size=3))
def test_whatever_a_row_says_it_is_read_or_refused(changes: dict[str, str]) -> None:
    try:
        facts = read(row("ada") | changes)
    except RowRefused:
        return
    assert facts.external_id
