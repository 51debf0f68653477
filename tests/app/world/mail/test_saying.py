"""Dates, times and prices in words."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest

from app.world.mail import say
from tests.app.world.mail.build import written

PARIS = ZoneInfo("Europe/Paris")


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
        (1349, "EUR", "fr_FR", "13,49\xa0€"),
        (0, "EUR", "fr_FR", "0,00\xa0€"),
        (100, "EUR", "fr_FR", "1,00\xa0€"),
        (200, "EUR", "fr_FR", "2,00\xa0€"),
        (134900, "EUR", "fr_FR", "1\u202f349,00\xa0€"),
        (1349, "CAD", "fr_CA", "13,49\xa0$"),
        (1349, "CHF", "fr_CH", "13,49\xa0CHF"),
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


@pytest.mark.parametrize(
    ("zone", "locale", "words"),
    [
        ("Europe/London", "en", "London time"),
        ("Europe/London", "en_GB", "BST"),
        ("America/New_York", "en_US", "EDT"),
        ("America/New_York", "en_GB", "New York time"),
        ("UTC", "en", "UTC"),
    ],
)
def test_english_names_a_zone_by_its_short_name_or_its_city(
    zone: str, locale: str, words: str
) -> None:
    at = datetime(2026, 7, 3, 14, 5, tzinfo=ZoneInfo(zone))
    assert say.moment(at, locale).endswith(f"({words})")


def test_in_the_hour_that_comes_twice_a_city_would_not_say_which() -> None:
    at = datetime(2026, 10, 25, 1, 30, tzinfo=ZoneInfo("Europe/London"))
    assert say.moment(at, "en").endswith("(British Summer Time)")
    assert say.moment(at.replace(fold=1), "en").endswith("(GMT)")


@pytest.mark.parametrize("locale", ["fr", "fr_FR", "fr_BE", "fr_CA", "fr_CH"])
@pytest.mark.parametrize(
    ("day", "words"),
    [
        (date(2026, 9, 1), "mardi 1er septembre 2026"),
        (date(2026, 1, 1), "jeudi 1er janvier 2026"),
        (date(2026, 9, 3), "jeudi 3 septembre 2026"),
        (date(2026, 9, 11), "vendredi 11 septembre 2026"),
        (date(2026, 9, 21), "lundi 21 septembre 2026"),
    ],
)
def test_the_first_of_a_month_is_an_ordinal_in_french_and_no_other_day(
    day: date, words: str, locale: str
) -> None:
    assert say.weekday(day, locale) == words
    assert say.day(day, locale) == words.partition(" ")[2]


def test_the_first_of_a_month_stays_a_number_in_english() -> None:
    assert say.day(date(2026, 9, 1), "en_GB") == "1 September 2026"


@pytest.mark.parametrize(
    ("zone", "locale", "words"),
    [
        ("Europe/Paris", "fr_FR", "14\xa0h\xa005 (heure de Paris)"),
        ("Europe/Brussels", "fr_BE", "14\xa0h\xa005 (heure de Bruxelles)"),
        ("Africa/Algiers", "fr", "13\xa0h\xa005 (heure d\u2019Alger)"),
        ("Africa/Cairo", "fr", "15\xa0h\xa005 (heure du Caire)"),
        ("Indian/Reunion", "fr_FR", "16\xa0h\xa005 (heure de La Réunion)"),
        ("America/Toronto", "fr_CA", "8\xa0h\xa005 (HAE)"),
        ("Europe/Paris", "fr_CA", "14\xa0h\xa005 (heure de Paris)"),
        ("America/Argentina/Buenos_Aires", "fr", "9\xa0h\xa005 (heure de Buenos Aires)"),
        ("UTC", "fr", "12\xa0h\xa005 (temps universel coordonné)"),
        ("Etc/UTC", "fr", "12\xa0h\xa005 (temps universel coordonné)"),
    ],
)
def test_a_time_in_french_names_the_place_it_is_the_time_of(
    zone: str, locale: str, words: str
) -> None:
    at = datetime(2026, 10, 3, 12, 5, tzinfo=UTC).astimezone(ZoneInfo(zone))
    assert say.moment(at, locale) == f"3 octobre 2026 à {words}"


def test_a_time_without_a_place_is_named_all_the_same() -> None:
    at = datetime(2026, 10, 1, 12, 5, tzinfo=UTC)
    assert say.moment(at, "fr") == "1er octobre 2026 à 12\xa0h\xa005 (temps universel coordonné)"


def test_the_hour_that_comes_twice_is_told_apart_in_french() -> None:
    hours = [
        say.moment(datetime(2026, 10, 25, hour, 30, tzinfo=UTC).astimezone(PARIS), "fr")
        for hour in (0, 1)
    ]
    assert hours == [
        "25 octobre 2026 à 2\xa0h\xa030 (heure d\u2019été d\u2019Europe centrale)",
        "25 octobre 2026 à 2\xa0h\xa030 (heure normale d\u2019Europe centrale)",
    ]


def test_a_charge_falls_on_the_day_it_is_for_the_person() -> None:
    at = datetime(2026, 10, 20, 23, 30, tzinfo=UTC)
    assert "Next charge: 20 October 2026" in written(next_charge=at, timezone="UTC").text
    assert "Next charge: 21 October 2026" in written(next_charge=at, timezone="Asia/Tokyo").text
    assert "Next charge: 20 October 2026" in written(next_charge=at, timezone="America/Lima").text
