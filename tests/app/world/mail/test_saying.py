"""Dates, times and prices in words."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from app.world.mail import say
from tests.app.world.mail.build import written


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "words"),
    [
        (1349, "GBP", "en_GB", "£13.49"),
        (1349, "gbp", "en_GB", "£13.49"),
        (1349, "EUR", "de_DE", "13,49\xa0€"),
        (1349, "USD", "en_US", "$13.49"),
        (1349, "USD", "en_GB", "US$13.49"),
        (1349, "JPY", "ja_JP", "¥1,349"),  # fullwidth or not, no decimals
        (1349, "KWD", "en_GB", "KWD\xa01.349"),
        (134900, "RSD", "en_GB", "RSD\xa01,349.00"),
        (5, "EUR", "fr_FR", "0,05\xa0€"),
        (100, "XYZ", "en_GB", "XYZ\xa01.00"),
    ],
)
def test_an_amount_is_stated_as_its_currency_counts(
    amount: int, currency: str, locale: str, words: str
) -> None:
    assert say.money(amount, currency, locale).replace("\uffe5", "¥") == words


def test_a_deadline_names_its_weekday() -> None:
    assert say.weekday(date(2026, 10, 3), "en_GB") == "Saturday, 3 October 2026"


def test_a_time_names_its_zone() -> None:
    at = datetime(2026, 10, 3, 12, 5, tzinfo=UTC).astimezone(ZoneInfo("Europe/Paris"))
    assert say.moment(at, "en_GB") == "3 October 2026, 14:05 (CEST)"


def test_a_charge_falls_on_the_day_it_is_for_the_person() -> None:
    at = datetime(2026, 10, 20, 23, 30, tzinfo=UTC)
    assert "Next charge: 20 October 2026" in written(next_charge=at, timezone="UTC").text
    assert "Next charge: 21 October 2026" in written(next_charge=at, timezone="Asia/Tokyo").text
    assert "Next charge: 20 October 2026" in written(next_charge=at, timezone="America/Lima").text
