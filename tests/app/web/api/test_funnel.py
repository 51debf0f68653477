"""What came of asking, over the API: who came to each step, told apart, and what they pay."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient
from psycopg.errors import QueryCanceled

from app.store import funnel as store
from app.store.funnel import BY
from app.store.overview import STEPS
from tests.app.web.api.conftest import System, key_for, problem_in
from tests.world import Town, row


@pytest.fixture
def busy(town: Town) -> Town:
    """Let five be asked: two keep it, and one of them took it by the year in yen."""
    town.join(
        row("a", country="GB", plan="basic"),
        row("b", country="FR", plan="gold", currency="EUR", amount="1000", locale="fr"),
        row("c", country="FR", plan="gold", currency="EUR", amount="500", locale="fr"),
        row("d", country="JP", plan="gold", currency="JPY", amount="12000", interval="year"),
        row("e", country="GB", plan="basic"),
    )
    town.settle()
    town.clock.advance(timedelta(hours=1))
    town.answer("b", "keep")
    town.answer("d", "keep")
    return town


def steps(found: Any, step: str) -> list[Any]:
    return [each for each in found["steps"] if each["step"] == step]


def test_every_step_stands_there_once_in_its_order(
    busy: Town, system: Callable[..., System]
) -> None:
    told: Any = system("read").get("funnel").json
    assert [each["step"] for each in told["steps"]] == list(STEPS)
    assert (told["from"], told["to"], told["by"]) == ("2024-08-03", "2024-09-01", None)
    (asked,) = steps(told, "asked")
    assert asked == {
        "step": "asked",
        "group": None,
        "people": 5,
        "monthly": [
            {"currency": "EUR", "amount": 1500},
            {"currency": "GBP", "amount": 2698},
            {"currency": "JPY", "amount": 1000},
        ],
    }
    (kept,) = steps(told, "kept")
    assert kept["people"] == 2
    assert steps(told, "suspended") == [
        {"step": "suspended", "group": None, "people": 0, "monthly": []}
    ]
    assert busy.stage("a") == "asked"


@pytest.mark.parametrize(
    ("by", "groups"),
    [
        ("plan", {"basic": 2, "gold": 3}),
        ("country", {"FR": 2, "GB": 2, "JP": 1}),
        ("interval", {"month": 4, "year": 1}),
        ("locale", {"en": 3, "fr": 2}),
    ],
)
def test_each_step_is_told_apart(
    busy: Town, system: Callable[..., System], by: str, groups: dict[str, int]
) -> None:
    told: Any = system("read").get(f"funnel?by={by}").json
    assert told["by"] == by
    assert {each["group"]: each["people"] for each in steps(told, "asked")} == groups
    assert steps(told, "suspended") == []
    assert set(BY) == {"plan", "country", "interval", "locale"}
    assert busy.stage("b") == "active"


def test_who_came_to_a_step_twice_counts_once_and_other_days_not(
    busy: Town, system: Callable[..., System]
) -> None:
    manager = system("read")
    busy.days_pass(380, at_a_time=10)
    whole: Any = manager.get("funnel?from=2024-08-01&to=2025-12-31").json
    assert steps(whole, "asked")[0]["people"] == 5
    assert steps(whole, "suspended")[0]["people"] == 3
    before: Any = manager.get("funnel?from=2024-01-01&to=2024-08-31").json
    assert {each["people"] for each in before["steps"]} == {0}


@pytest.mark.parametrize(
    "query",
    [
        "from=2024-09-02&to=2024-09-01",
        "from=yesterday",
        "to=2024-9-1",
        "to=9999-12-31",
        "from=0001-01-01&to=2024-09-01",
        "by=email",
        "by=plan&by=country",
        "currency=EUR",
    ],
)
def test_what_is_no_span_or_nothing_to_tell_apart_by(
    town: Town, system: Callable[..., System], query: str
) -> None:
    town.join(row("a"))
    reply = system("read").get(f"funnel?{query}")
    assert problem_in(reply) == "invalid-parameter"


def test_where_it_takes_too_long_it_says_so(
    busy: Town, system: Callable[..., System], monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(*_: object) -> None:
        raise QueryCanceled

    monkeypatch.setattr(store, "came", slow)
    reply = system("read").get("funnel")
    assert reply.status_code == 409
    assert "ask for fewer days" in reply.text
    assert busy.stage("a") == "asked"


def test_another_product_has_a_funnel_of_its_own(busy: Town, client: FlaskClient) -> None:
    radio = Town.founded(busy.database, busy.clock, busy.links, "radio")
    other = System(client, key_for(radio, "read"), "radio")
    told: Any = other.get("funnel").json
    assert {each["people"] for each in told["steps"]} == {0}
    assert busy.stage("a") == "asked"
