from collections.abc import Callable
from datetime import timedelta

import pytest

from app.engine import reviews
from app.lifecycle.case import AskReview, Concern
from app.store import measuring
from app.store import reviews as queue
from tests.app.web.api.conftest import System, problem_in
from tests.probe import asked, rows
from tests.world import Town, row

NAMES = ["ada", "ben", "cyd"]


@pytest.fixture
def manager(town: Town, system: Callable[..., System]) -> System:
    """Give a caller with a key, of a product where three people want a look."""
    town.join(*(row(name) for name in NAMES))
    asked(town, *NAMES)
    town.clock.advance(timedelta(hours=1))
    for name in NAMES:
        event = AskReview(1, Concern.WRONG_CHARGE)
        reviews.ask(town.database, town.clock, town.key, town.id_of(name), event)
    return system("manage")


def test_cases_are_listed_page_by_page_and_shown_one_by_one(manager: System) -> None:
    found, cursor = [], ""
    while True:
        page = manager.get(f"reviews?limit=2{cursor}").json
        assert page is not None
        found += page["reviews"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert [each["subscription"] for each in found] == NAMES
    assert {(each["reason"], each["state"]) for each in found} == {("wrong_charge", "open")}
    assert manager.get(f"reviews/{found[1]['id']}").json == found[1]
    assert manager.get("reviews?state=done").json == {"reviews": [], "next_cursor": None}


def test_what_was_found_is_taken_once(town: Town, manager: System) -> None:
    (first, *_) = manager.get("reviews").json["reviews"]  # type: ignore[index]
    path = f"reviews/{first['id']}/done"

    done = manager.post(path, {"outcome": "put_right"})
    again = manager.post(path, {"outcome": "as_it_should_be"})

    assert done.status_code == 200
    assert done.json is not None
    assert (done.json["state"], done.json["outcome"]) == ("done", "put_right")
    assert done.json["done_by"].startswith("api:")
    assert problem_in(again) == "conflict"
    assert town.story("ada").count("reviewed") == 1
    assert town.case("ada").round.review_at is None  # type: ignore[union-attr]


@pytest.mark.parametrize("body", [{}, {"outcome": "fine"}, {"outcome": "put_right", "why": "x"}])
def test_what_is_no_outcome_is_refused(town: Town, manager: System, body: dict[str, str]) -> None:
    (first, *_) = manager.get("reviews").json["reviews"]  # type: ignore[index]

    reply = manager.post(f"reviews/{first['id']}/done", body)

    assert problem_in(reply) == "invalid-body"
    assert rows(town.database, "select count(*) from review where state = 'open'") == [(3,)]


@pytest.mark.parametrize("number", ["0", "x", "-1", "9" * 30, "1.0", "²"])
def test_a_case_that_is_not_there_is_not_found(manager: System, number: str) -> None:
    assert problem_in(manager.get(f"reviews/{number}")) == "not-found"
    reply = manager.post(f"reviews/{number}/done", {"outcome": "put_right"})
    assert problem_in(reply) == "not-found"


def test_a_case_of_another_product_is_not_found(town: Town, manager: System) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    radio.join(row("rob"))
    asked(radio, "rob")
    radio.clock.advance(timedelta(hours=1))
    event = AskReview(1, Concern.OTHER)
    reviews.ask(radio.database, radio.clock, radio.key, radio.id_of("rob"), event)
    (theirs,) = rows(town.database, "select max(id) from review")[0]

    for reply in (
        manager.get(f"reviews/{theirs}"),
        manager.post(f"reviews/{theirs}/done", {"outcome": "put_right"}),
    ):
        assert problem_in(reply) == "not-found"
    assert len(manager.get("reviews").json["reviews"]) == 3  # type: ignore[index]
    assert rows(
        town.database, "select state from review where id = (select max(id) from review)"
    ) == [("open",)]


def test_requests_to_erase_come_first_by_their_day_across_pages(
    town: Town, manager: System
) -> None:
    with town.database.transaction() as connection:
        number, now = town.product.id, town.clock.now()
        for name, days in (("ada", 30), ("ben", 29), ("cyd", 30)):
            due = now.date() + timedelta(days=days)
            queue.put_erasure(connection, number, town.id_of(name), 1, now, due)

    found, cursor = [], ""
    for _ in range(6):
        page = manager.get(f"reviews?limit=1{cursor}").json
        assert page is not None
        found += [(each["reason"], each["subscription"]) for each in page["reviews"]]
        cursor = f"&cursor={page['next_cursor']}"

    assert cursor == "&cursor=None"
    assert found == [
        *(("erase", name) for name in ("ben", "ada", "cyd")),
        *(("wrong_charge", name) for name in NAMES),
    ]
    (first,) = manager.get("reviews?limit=1").json["reviews"]  # type: ignore[index]
    assert first["due_on"] == f"{town.clock.now().date() + timedelta(days=29)}"
    wrong = manager.post(f"reviews/{first['id']}/done", {"outcome": "put_right"})
    assert problem_in(wrong) == "refused"


@pytest.mark.usefixtures("manager")
def test_what_is_due_within_a_week_is_a_figure(town: Town) -> None:
    with town.database.transaction() as connection:
        now = town.clock.now()
        for name, days in (("ada", 7), ("ben", 8)):
            due = now.date() + timedelta(days=days)
            queue.put_erasure(connection, town.product.id, town.id_of(name), 1, now, due)
        counted = {row[0]: row[1:] for row in measuring.erasures(connection, now.date())}
        soon = measuring.erasures(connection, (now + timedelta(days=7)).date())

    assert counted == {town.key: (2, 0)}
    assert [tuple(each) for each in soon] == [(town.key, 2, 1)]
