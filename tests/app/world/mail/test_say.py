"""Prices, days and times in words."""

from datetime import UTC, date, datetime

import pytest

from app.errors import Refused
from app.world.mail import say


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "words"),
    [
        (599, "GBP", "en_GB", "£5.99"),
        (599, "gbp", "en_GB", "£5.99"),
        (1500, "JPY", "en", "¥1,500"),
        (1500, "KWD", "en", "KWD\xa01.500"),
        (99900, "RSD", "en", "RSD\xa0999.00"),
        (1000, "USD", "en_US", "$10.00"),
        (5, "EUR", "en", "€0.05"),
        (599, "EUR", "fr", "5,99\xa0€"),
        (0, "EUR", "en", "€0.00"),
    ],
)
def test_prices_count_minor_units_as_iso_4217_does(
    amount: int, currency: str, locale: str, words: str
) -> None:
    assert say.money(amount, currency, locale) == words


def test_days_and_times() -> None:
    assert say.day(date(2026, 10, 3), "en_GB") == "3 October 2026"
    assert say.weekday(date(2026, 10, 3), "en_GB") == "Saturday, 3 October 2026"
    paris = datetime(2026, 10, 3, 12, 5, tzinfo=UTC).astimezone(say.zone("Europe/Paris"))
    assert say.moment(paris, "en_GB") == "3 October 2026, 14:05 (CEST)"


@pytest.mark.parametrize("name", ["Mars/Olympus", "", "/etc/localtime", "../x", "Europe"])
def test_an_unknown_zone_is_refused(name: str) -> None:
    with pytest.raises(Refused, match="IANA"):
        say.zone(name)
