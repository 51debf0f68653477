"""One brand, one person and the facts about them, to be varied by each test."""

from datetime import UTC, date, datetime

import pytest

from app.world.mail.brief import Brand, Brief
from app.world.mail.compose import Composer

PAGE = "https://ask.cinema.example/a/MTIzNDU2Nzg5MA.aBcDeFgHiJkLmNoPqRsTuVwXyZ0123456789-_AbCdE"


@pytest.fixture(scope="session")
def composer() -> Composer:
    return Composer()


@pytest.fixture(scope="session")
def brand() -> Brand:
    return Brand(
        key="cinema",
        name="Cinema Plus",
        from_address="subscriptions@cinema.example",
        reply_to="help@cinema.example",
        support_url="https://cinema.example/help",
        app_url="https://cinema.example",
    )


@pytest.fixture(scope="session")
def brief() -> Brief:
    return Brief(
        notice="ask",
        to="ada@example.org",
        message_id="1.ask@cinema.example",
        sent_at=datetime(2026, 9, 1, 9, tzinfo=UTC),
        language="en-GB",
        timezone="Europe/London",
        plan="Standard",
        amount=599,
        currency="GBP",
        interval="month",
        started_on=date(2023, 3, 1),
        answer_url=PAGE,
        one_click_url=f"{PAGE}/one-click",
        next_charge=datetime(2026, 10, 13, 23, 30, tzinfo=UTC),
        last_used_on=date(2024, 8, 14),
        answer_by=date(2026, 10, 3),
        erase_on=date(2027, 8, 15),
        paid_until=datetime(2026, 10, 13, 23, 30, tzinfo=UTC),
        decided_at=datetime(2026, 10, 3, 23, 1, 30, tzinfo=UTC),
    )
