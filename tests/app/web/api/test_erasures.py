"""Erasures and receipts over the API."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.app.web.api.conftest import System, problem_in
from tests.erasing import begun, erasing, history, receipts, registered
from tests.probe import HOUR, fingerprint, rows, suspended
from tests.world import YEAR, Town, row

Callers = Callable[..., System]
KEPT = [{"category": "invoices", "why": "legal_obligation", "until": "2034-01-01"}]


@pytest.fixture
def owed(town: Town) -> tuple[str, str]:
    """Give the id of an erasure for which one target owes a receipt, and its token."""
    number = registered(town, "crm")
    erasure = erasing(town, "ada")
    return erasure, town.links.receipt_token(erasure, number)


def body(token: str, **changes: Any) -> dict[str, Any]:
    return {"target": "crm", "token": token, "erased": ["profile"], "kept": KEPT} | changes


def test_a_receipt_is_taken_once_and_the_same_again_is_harmless(
    town: Town, system: Callers, owed: tuple[str, str]
) -> None:
    erasure, token = owed
    manager = system("manage")
    reply = manager.post(f"erasures/{erasure}/receipts", body(token))
    assert (reply.status_code, reply.get_json()["state"]) == (200, "given")
    assert (reply.get_json()["erased"], reply.get_json()["kept"]) == (["profile"], KEPT)
    before = fingerprint(town.database)
    assert manager.post(f"erasures/{erasure}/receipts", body(token)).status_code == 200
    assert fingerprint(town.database) == before
    other = manager.post(
        f"erasures/{erasure}/receipts", body(token, erased=["profile", "invoices"], kept=[])
    )
    assert (other.status_code, problem_in(other)) == (409, "conflict")
    assert fingerprint(town.database) == before
    assert receipts(town) == {"crm": "given"}
    assert history(town) == [("receipt_given", "crm")]
    actors = rows(town.database, "select actor from history where what = 'receipt_given'")
    assert actors[0][0].startswith("api:")


@pytest.mark.parametrize(
    ("changes", "status", "kind", "says"),
    [
        ({"token": "x" * 43}, 403, "token-refused", "token"),
        ({"token": ""}, 403, "token-refused", "token"),
        ({"target": "lake"}, 404, "not-found", ""),
        ({"erased": []}, 422, "refused", "says nothing of profile"),
        ({"kept": []}, 422, "refused", "says nothing of invoices"),
        ({"erased": ["profile", "invoices"]}, 422, "refused", "names invoices more than once"),
        ({"erased": ["profile", "profile"]}, 422, "refused", "names profile more than once"),
        ({"erased": ["profile", "other"]}, 422, "refused", "none of: invoices, profile"),
        ({"kept": [KEPT[0] | {"until": "2024-09-01"}]}, 422, "refused", "not to come"),
        ({"kept": [KEPT[0] | {"until": None}]}, 422, "refused", "without a day"),
        ({"kept": [KEPT[0] | {"until": "2200-01-01"}]}, 422, "refused", "longer than until"),
        ({"kept": [KEPT[0] | {"why": "we like it"}]}, 422, "invalid-body", ""),
        ({"kept": [KEPT[0] | {"until": "soon"}]}, 422, "invalid-body", ""),
        ({"erased": ["ada@subscribers.example"]}, 422, "invalid-body", ""),
        ({"more": 1}, 422, "invalid-body", ""),
    ],
)
def test_what_cannot_be_believed_is_refused_with_what_is_wrong(  # noqa: PLR0913, PLR0917 - a table
    town: Town,
    system: Callers,
    owed: tuple[str, str],
    changes: dict[str, Any],
    status: int,
    kind: str,
    says: str,
) -> None:
    erasure, token = owed
    manager = system("manage")
    before = fingerprint(town.database)
    reply = manager.post(f"erasures/{erasure}/receipts", body(token) | changes)
    assert (reply.status_code, problem_in(reply)) == (status, kind), reply.text
    assert says in reply.text
    assert token not in reply.text
    assert "subscribers.example" not in reply.text
    assert fingerprint(town.database) == before


def test_an_erasure_of_another_product_is_as_one_that_is_not(
    town: Town, system: Callers, owed: tuple[str, str]
) -> None:
    erasure, token = owed
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    registered(radio, "crm")
    manager = system("manage")
    radio.join(row("bob"))
    radio.sweep()
    other = begun(radio, "bob")
    said = {
        manager.post(f"erasures/{name}/receipts", body(token)).data
        for name in (other, "none", "é", "a" * 200)
    }
    assert len(said) == 1
    assert manager.get(f"erasures/{other}").status_code == 404
    assert manager.get(f"erasures/{erasure}").status_code == 200
    listed = manager.get("erasures").get_json()["erasures"]
    assert [each["id"] for each in listed] == [erasure]


def test_a_policy_limits_for_how_long_something_is_kept(town: Town, system: Callers) -> None:
    town.put_in_force(YEAR | {"keep_categories": {"invoices": "P1Y"}})
    number = registered(town, "crm")
    erasure = erasing(town, "ada")
    token = town.links.receipt_token(erasure, number)
    reply = system("manage").post(f"erasures/{erasure}/receipts", body(token))
    assert (reply.status_code, problem_in(reply)) == (422, "refused")
    assert "longer than until" in reply.text


def test_erasures_are_listed_newest_first_and_by_page(town: Town, system: Callers) -> None:
    registered(town, "crm")
    names = [f"p{number}" for number in range(5)]
    town.join(*(row(name) for name in names))
    suspended(town, names[0])
    for name in names:
        begun(town, name)
        town.clock.advance(HOUR)
    rows(town.database, "update erasure set ended_at = begun_at where id = 'era_tv_p1'")
    reader = system("read")
    seen: list[str] = []
    path = "erasures?limit=2"
    while path:
        page = reader.get(path).get_json()
        seen += [each["id"] for each in page["erasures"]]
        on = page["next_cursor"]
        path = f"erasures?limit=2&cursor={on}" if on else ""
    assert seen == [f"era_tv_p{number}" for number in (4, 3, 2, 1, 0)]
    ended = reader.get("erasures?state=ended").get_json()["erasures"]
    assert [(each["id"], each["subscription"]) for each in ended] == [("era_tv_p1", None)]
    still = reader.get("erasures?state=open").get_json()["erasures"]
    assert [each["subscription"] for each in still] == ["p4", "p3", "p2", "p0"]
    assert reader.get("erasures?state=closed").status_code == 422
    assert "@" not in reader.get("erasures").text
