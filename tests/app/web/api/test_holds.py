"""Holds over HTTP: set once for each key of a call, listed by pages, released by their number."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.app.web.api.conftest import System, problem_in
from tests.probe import asked, rows
from tests.world import Town, row

ADA = "subscriptions/ada/holds"


@pytest.fixture
def manager(town: Town, system: Callable[..., System]) -> System:
    town.join(row("ada"), row("ben"))
    return system("manage")


def made(manager: System, path: str = ADA, **body: Any) -> Any:
    reply = manager.post(path, {"reason": "legal"} | body)
    assert reply.status_code == 200, reply.text
    return reply.json


def test_a_hold_is_set_shown_and_released(town: Town, manager: System) -> None:
    found = made(manager, review_on="2025-01-31")
    assert (found["subscription"], found["reason"]) == ("ada", "legal")
    assert (found["review_on"], found["released_at"]) == ("2025-01-31", None)
    assert found["set_by"].startswith("api:")
    assert manager.get(f"holds/{found['id']}").json == found
    assert manager.get(ADA).json == {"holds": [found], "next_cursor": None}
    assert town.case("ada").held
    blocked = manager.get("subscriptions/ada").json["blocked_by"]  # type: ignore[index]
    assert any("a hold (legal) stops erasure" in each for each in blocked)

    released: Any = manager.open("DELETE", f"holds/{found['id']}")
    again = manager.open("DELETE", f"holds/{found['id']}")

    assert released.status_code == 200
    assert released.json == again.json
    assert released.json["released_by"] == found["set_by"]
    assert not town.case("ada").held
    assert manager.get(ADA).json == {"holds": [], "next_cursor": None}
    assert manager.get(f"{ADA}?state=all").json["holds"] == [released.json]  # type: ignore[index]
    assert town.story("ada").count("hold_released") == 1


def test_holds_are_listed_page_by_page(manager: System) -> None:
    for _ in range(3):
        made(manager)
        made(manager, "subscriptions/ben/holds", reason="entitlement")
    for path, many in (("holds", 6), (ADA, 3)):
        found, cursor = [], ""
        while True:
            page = manager.get(f"{path}?limit=2{cursor}").json
            assert page is not None
            found += page["holds"]
            if page["next_cursor"] is None:
                break
            cursor = f"&cursor={page['next_cursor']}"
        assert len(found) == len({each["id"] for each in found}) == many


def test_a_call_under_its_own_key_sets_one_hold(town: Town, manager: System) -> None:
    key = {"Idempotency-Key": "4111 1111 1111 1111".replace(" ", "-")}
    first, second = (manager.post(ADA, {"reason": "legal"}, headers=key).json for _ in range(2))
    other = manager.post(ADA, {"reason": "legal"}, headers={"Idempotency-Key": "b"}).json
    assert first == second
    assert other != first
    assert rows(town.database, "select count(*) from hold") == [(2,)]
    assert "4111" not in str(rows(town.database, "select source from hold"))
    clash = manager.post(ADA, {"reason": "dispute"}, headers=key)
    assert problem_in(clash) == "conflict"


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        ({}, "invalid-body"),
        ({"reason": "because"}, "invalid-body"),
        ({"reason": "legal", "why": "Ada called"}, "invalid-body"),
        ({"reason": "legal", "review_on": "soon"}, "invalid-body"),
        ({"reason": "legal", "review_on": "2024-02-30"}, "invalid-body"),
        ({"reason": "legal", "review_on": "2024-08-31"}, "refused"),
        ({"reason": "legal", "review_on": "2026-09-02"}, "refused"),
    ],
)
def test_what_is_no_hold_is_refused(
    town: Town, manager: System, body: dict[str, str], kind: str
) -> None:
    assert problem_in(manager.post(ADA, body)) == kind
    assert not rows(town.database, "select 1 from hold")


def test_who_is_being_erased_and_who_is_not_there(town: Town, manager: System) -> None:
    asked(town, "ada")
    rows(town.database, "update reconfirmation set stage = 'erasing'")
    late = manager.post(ADA, {"reason": "legal"})
    assert (problem_in(late), "too late" in late.text) == ("conflict", True)
    assert problem_in(manager.post("subscriptions/eve/holds", {"reason": "legal"})) == "not-found"
    rows(town.database, "delete from contact where subscription_id = :id", id=town.id_of("ada"))
    assert problem_in(manager.post(ADA, {"reason": "legal"})) == "gone"
    for number in ("999", "x", "-1", "9" * 40):
        assert problem_in(manager.open("DELETE", f"holds/{number}")) == "not-found"
        assert problem_in(manager.get(f"holds/{number}")) == "not-found"


def test_the_holds_of_another_product_are_not_there(town: Town, manager: System) -> None:
    found = made(manager)
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    with radio.database.transaction() as connection:
        connection.exec_driver_sql(
            "update apikey set product_id = %s where scope = 'manage'", (radio.product.id,)
        )
    stranger = System(manager.client, manager.key, "radio")
    assert problem_in(stranger.open("DELETE", f"holds/{found['id']}")) == "not-found"
    assert problem_in(stranger.get(f"holds/{found['id']}")) == "not-found"
    assert stranger.get("holds?state=all").json == {"holds": [], "next_cursor": None}
    assert town.case("ada").held
