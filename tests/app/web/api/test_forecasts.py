from collections.abc import Callable
from typing import Any

import pytest

from tests.app.web.api.conftest import System, problem_in
from tests.probe import fingerprint
from tests.world import YEAR, Town, row


@pytest.fixture
def reader(town: Town, system: Callable[..., System]) -> System:
    """Give a caller with a key that may read, of a product where somebody is due."""
    town.join(row("ada"), row("ben", started_at="2024-05-01T00:00:00Z"))
    return system("read")


def test_a_policy_is_answered_with_what_it_would_do_and_changes_nothing(
    town: Town, reader: System
) -> None:
    before = fingerprint(town.database)

    reply = reader.post("forecasts", YEAR | {"never_used_after": "P3M"})

    assert reply.status_code == 200
    told: Any = reply.json
    assert (told["proposed"]["today"], told["in_force"]["today"]) == (2, 1)
    assert told["proposed"]["prices"] == [
        {"currency": "GBP", "interval": "month", "people": 2, "amount": 2698}
    ]
    assert told["nightly"]["counted_at"] is None
    assert fingerprint(town.database) == before


def test_a_policy_that_leaves_out_what_silence_comes_to_takes_it_over(reader: System) -> None:
    assert reader.post("forecasts", {"unused_after": "P1Y"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "field", "says"),
    [
        ({"unused_after": "ada@subscribers.example"}, "unused_after", "P7D"),
        ({"surprise": 1}, "surprise", "known are"),
        ({"ada@subscribers.example": 1}, "", "known are"),
        ({"segments": [{"when": {"country": ["fr"]}}]}, "segments[0].when.country", "codes"),
    ],
)
def test_a_policy_that_does_not_fit_is_refused_without_repeating_it(
    reader: System, body: Any, field: str, says: str
) -> None:
    reply = reader.post("forecasts", body)
    assert problem_in(reply) == "invalid-body"
    assert reply.status_code == 422
    told: Any = reply.get_json(force=True)
    assert told.get("field", "") == field
    assert says in told["detail"]
    assert "ada@" not in reply.text


def test_what_billing_cannot_do_is_refused(town: Town, reader: System) -> None:
    with town.database.transaction() as connection:
        connection.exec_driver_sql(
            "update product set billing = 'standard', billing_settings = '{\"can\": \"cancel\"}'"
        )
    reply = reader.post("forecasts", {"on_no_answer": "suspend"})
    assert problem_in(reply) == "invalid-body"
    assert "on_no_answer" in reply.text


@pytest.mark.parametrize("body", [b"[1]", b"nothing", b'{"a":'])
def test_what_is_no_policy_is_refused(reader: System, body: bytes) -> None:
    assert reader.post("forecasts", body).status_code in {400, 422}


@pytest.mark.parametrize(("scope", "status"), [("usage", 403), ("read", 200), ("manage", 200)])
def test_a_key_that_may_read_may_ask(
    system: Callable[..., System], scope: str, status: int
) -> None:
    assert system(scope).post("forecasts", YEAR).status_code == status
    other = System(system(scope).client, system(scope).key, "radio")
    assert problem_in(other.post("forecasts", YEAR)) == "not-found"
