"""The one stop over the API, and whom a version would ask."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text

from app.engine import trial
from app.versions import Versions
from app.web.api import policies
from tests.app.web.api.conftest import System, problem_in
from tests.world import YEAR, Town, row


def test_a_product_is_stopped_and_let_go_on(town: Town, system: Callable[..., System]) -> None:
    manager = system("manage")
    assert manager.get("brake").json == {"brakes": []}
    for _ in range(2):
        told: Any = manager.post("brake", {"act": "on", "why": "usage_feed_in_doubt"}).json
        (brake,) = told["brakes"]
        assert (brake["cause"], brake["why"]) == ("by_hand", "usage_feed_in_doubt")
        assert brake["by"].startswith("api:")
        assert brake["everywhere"] is False
    town.join(row("a"))
    town.settle()
    assert town.stage("a") == "active"
    assert manager.post("brake", {"act": "off", "why": "looked_into"}).json == {"brakes": []}
    town.settle()
    assert town.stage("a") == "asked"
    with town.database.transaction() as connection:
        lines = connection.execute(
            text("select what, why from history where what like 'brake%' order by id")
        ).all()
    assert [tuple(each) for each in lines] == [
        ("brake_on", "usage_feed_in_doubt"),
        ("brake_off", "looked_into"),
    ]


@pytest.mark.parametrize(
    "body",
    [{}, {"act": "pause"}, {"act": "on", "why": "ada is ill"}, {"act": "off", "all": True}, []],
)
def test_what_is_no_act_stops_nothing(system: Callable[..., System], body: Any) -> None:
    manager = system("manage")
    assert problem_in(manager.post("brake", body)) == "invalid-body"
    assert manager.get("brake").json == {"brakes": []}


def test_what_stops_all_products_is_not_lifted_here(
    town: Town, system: Callable[..., System]
) -> None:
    with town.database.transaction() as connection:
        connection.execute(
            text(
                "insert into brake (cause, why, actor, set_at)"
                " values ('by_hand', 'drill', 'cli:ops', '2024-09-01Z')"
            )
        )
    told: Any = system("manage").post("brake", {"act": "off"}).json
    assert [each["everywhere"] for each in told["brakes"]] == [True]


def test_a_dry_run_names_whom_a_version_would_ask_page_by_page(
    town: Town, system: Callable[..., System], monkeypatch: pytest.MonkeyPatch
) -> None:
    town.join(*(row(f"s{each}", started_at="2024-03-01T00:00:00Z") for each in range(5)))
    town.use("s2")
    versions = Versions.on(town.database, town.clock)
    assert versions.propose("tv", YEAR | {"never_used_after": "P3M"}, "cli:ann") == 2
    reader = system("read")
    told: Any = reader.get("policies/2/dry-run").json
    assert [each["id"] for each in told["asked"]] == ["s0", "s1", "s3", "s4"]
    assert (told["looked_at"], told["next_cursor"]) == (5, None)
    assert {each["why"] for each in told["asked"]} == {"never_used"}
    assert reader.get("policies/1/dry-run").json["asked"] == []  # type: ignore[index]
    monkeypatch.setattr(policies, "A_RANGE", 2)
    monkeypatch.setattr(trial.Trial.a_range, "__defaults__", (2,))
    found, cursor = [], ""
    while True:
        page: Any = reader.get(f"policies/2/dry-run{cursor}").json
        found += [each["id"] for each in page["asked"]]
        if page["next_cursor"] is None:
            break
        cursor = f"?cursor={page['next_cursor']}"
    assert found == ["s0", "s1", "s3", "s4"]
    assert problem_in(reader.get(f"policies/1/dry-run{cursor}")) == "bad-cursor"
    assert reader.get("policies/3/dry-run").status_code == 404
    assert town.stages() == {}
