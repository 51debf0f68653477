"""The demo's window shows what there is, and changes nothing."""

from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from app.links import Links
from app.store.database import Database
from app.web.lookout import STEPS, Window
from app.world.mail.relay import open_relay
from tests.probe import DAY, fingerprint
from tests.world import MovableClock, Town, row


def summary() -> dict[str, Any]:
    return {name: 1200 for name, _, _ in STEPS} | {
        "subscribers": 2000,
        "charges_avoided": 1616,
        "money_no_longer_taken": {"EUR": 114770, "GBP": 0},
        "charged_after_suspension": 0,
    }


@pytest.fixture
def client(database: Database, clock: MovableClock, links: Links, tmp_path: Path) -> FlaskClient:
    town = Town.founded(database, clock, links)
    town.join(row("ada"), row("ben"))
    with open_relay(tmp_path.as_uri()) as relay:
        town.relay = relay  # type: ignore[assignment]
        town.settle()
        town.answer("ben", "cancel")
        town.clock.advance(DAY)
        town.hear()
        town.settle()
    window = Window(database, clock, links, "tv", "http://127.0.0.1:8399", summary)
    return window.application().test_client()


def text_of(client: FlaskClient, path: str) -> str:
    answer = client.get(path)
    assert answer.status_code == 200
    return answer.get_data(as_text=True)


def test_the_first_page_shows_the_year_the_money_and_a_page_to_answer(client: FlaskClient) -> None:
    page = text_of(client, "/")
    assert "1,616" in page
    assert "€1,147.70" in page
    assert "http://127.0.0.1:8080/a/" in page
    assert "http://127.0.0.1:8399/mailbox" in page


def test_people_are_found_by_what_happened_and_each_has_a_story(client: FlaskClient) -> None:
    assert "ada" in text_of(client, "/people?what=still_waiting")
    assert "ben" in text_of(client, "/people?what=canceled")
    story = text_of(client, "/people/ben")
    assert "Billing confirms: ends with the time paid" in story


@pytest.mark.parametrize("what", [name for name, _, _ in STEPS])
def test_every_step_of_the_funnel_leads_to_a_list(client: FlaskClient, what: str) -> None:
    assert "People" in text_of(client, f"/people?what={what}")


@pytest.mark.parametrize(
    "path",
    ["/people/nobody", "/people/..%2f..%2fetc%2fpasswd", "/mail", "/x"],
)
def test_what_is_not_there_is_not_found(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 404


def test_looking_changes_nothing(client: FlaskClient, database: Database) -> None:
    before = fingerprint(database)
    for path in ("/", "/people", "/people/ada"):
        text_of(client, path)
    assert fingerprint(database) == before
    assert client.post("/").status_code == 405
