"""Runs and the ramp by the API."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from app.runs import Runs
from tests.app.web.api.conftest import System, problem_in
from tests.probe import asked, fingerprint, suspended
from tests.world import Town, row

DAYS = 3


@pytest.fixture
def manager(town: Town, system: Callable[..., System]) -> System:
    """Give a caller with a key, of a product that asked one person a day for three days."""
    for number in range(DAYS):
        town.join(row(f"p{number}"))
        asked(town, f"p{number}")
        town.clock.advance(timedelta(days=1))
        town.hear()
    return system("manage")


def got(system: System, path: str) -> Any:
    reply = system.get(path)
    assert reply.status_code == 200, reply.text
    return reply.json


def test_runs_are_listed_page_by_page_the_newest_first(manager: System) -> None:
    found, cursor = [], ""
    while True:
        page = got(manager, f"runs?limit=2{cursor}")
        found += page["runs"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert [each["number"] for each in found] == [3, 2, 1]
    assert [each["asked"] for each in found] == [1, 1, 1]
    assert found[2]["day"] == "2024-09-01"
    assert got(manager, "runs/2")["run"] == found[1]
    assert problem_in(manager.get("runs?cursor=x")) == "bad-cursor"


def test_one_says_what_became_of_it(town: Town, manager: System) -> None:
    town.answer("p0", "keep")

    told = got(manager, "runs/1")

    assert told["became"]["closed"] == {"kept": 1}
    assert (told["became"]["asked"], told["became"]["open"]) == (1, 0)
    assert told["rates_of_day"][0] == {"guard": "bounces", "bad": 0, "of": 1, "at_most": "5%"}


@pytest.mark.parametrize("number", ["4", "0", "x", "1e3", "99999999999999999999", "-1"])
def test_what_is_no_run_is_not_found(manager: System, number: str) -> None:
    assert problem_in(manager.get(f"runs/{number}")) == "not-found"
    assert problem_in(manager.post(f"runs/{number}/undo")) == "not-found"


def test_the_ramp_is_paused_resumed_and_stopped(town: Town, manager: System) -> None:
    assert got(manager, "ramp")["stands"] == "at_once"
    paused = manager.post("ramp", {"act": "pause", "why": "wording_in_doubt"}).json
    assert paused is not None
    assert (paused["stands"], paused["halted"]["why"]) == ("paused", "wording_in_doubt")
    assert paused["halted"]["by"].startswith("api:")
    assert got(manager, "ramp") == paused
    town.join(row("new"))
    assert not town.sweep().counts["asked"]

    assert manager.post("ramp", {"act": "resume"}).json["stands"] == "at_once"  # type: ignore[index]
    assert manager.post("ramp", {"act": "stop"}).json["stands"] == "stopped"  # type: ignore[index]
    assert problem_in(manager.post("ramp", {"act": "resume"})) == "conflict"


@pytest.mark.parametrize(
    "body",
    [{}, {"act": "go"}, {"act": "pause", "why": "mended"}, {"act": "resume", "why": "x"}, []],
)
def test_what_is_no_act_is_refused(town: Town, manager: System, body: Any) -> None:
    before = fingerprint(town.database)
    assert problem_in(manager.post("ramp", body)) == "invalid-body"
    assert fingerprint(town.database) == before


def test_a_run_is_taken_back_by_workers(town: Town, manager: System) -> None:
    begun = manager.post("runs/2/undo").json
    assert begun is not None
    assert begun["run"]["undo"]["wanted"] == 1
    assert begun["run"]["undo"]["ended_at"] is None
    assert problem_in(manager.post("runs/2/undo")) == "conflict"

    Runs(town.database, town.clock).undo("tv", lambda: True)

    told = got(manager, "runs/2")
    assert (told["run"]["undo"]["withdrawn"], told["became"]["closed"]) == (1, {"withdrawn": 1})
    assert town.stage("p0") == "asked"


@pytest.mark.parametrize("scope", ["usage", "feedback", "read"])
def test_only_a_key_that_may_changes_anything(
    town: Town, manager: System, system: Callable[..., System], scope: str
) -> None:
    assert manager.key
    other = system(scope)
    before = fingerprint(town.database)
    for path, body in (("ramp", {"act": "pause"}), ("runs/1/undo", None)):
        assert problem_in(other.post(path, body)) == "forbidden"
    assert fingerprint(town.database) == before
    for path in ("runs", "runs/1", "ramp"):
        assert other.get(path).status_code == (200 if scope == "read" else 403)


def test_runs_of_another_product_are_not_there(
    town: Town, manager: System, system: Callable[..., System]
) -> None:
    Town.founded(town.database, town.clock, town.links, "radio")
    assert manager.key
    for path in ("/v1/products/radio/runs", "/v1/products/radio/runs/1"):
        assert problem_in(system("manage").get(path)) == "not-found"


def test_whom_it_asked_is_listed_page_by_page_and_by_how_they_stand(
    town: Town, system: Callable[..., System]
) -> None:
    manager = system("manage")
    town.join(*(row(f"p{number}", renews_at="2024-09-10T00:00:00Z") for number in range(3)))
    asked(town, "p0")
    suspended(town, "p0")
    town.answer("p1", "resume")

    found, cursor = [], ""
    while True:
        page = got(manager, f"runs/1/people?limit=2{cursor}")
        found += page["people"]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"

    assert {each["subscription"]: each["stands"] for each in found} == {
        "p0": "suspended",
        "p1": "answered",
        "p2": "suspended",
    }
    assert len(found) == 3
    some = got(manager, "runs/1/people?stands=answered")["people"]
    assert [each["subscription"] for each in some] == ["p1"]
    assert problem_in(manager.get("runs/1/people?stands=bogus")) == "invalid-parameter"
    other = got(manager, "runs/1/people?limit=1")["next_cursor"]
    assert problem_in(manager.get(f"runs/1/people?stands=answered&cursor={other}")) == "bad-cursor"
    assert problem_in(manager.get("runs/99/people")) == "not-found"

    begun = manager.post("runs/1/undo")
    assert begun.status_code == 200
    assert begun.json is not None
    assert begun.json["run"]["undo"]["wanted"] == 2
    Runs(town.database, town.clock).undo("tv", lambda: True)
    undo = got(manager, "runs/1")["run"]["undo"]
    assert (undo["apologized"], undo["resumed"], undo["spared"]) == (2, 0, 3)
    assert not undo["resume"]
