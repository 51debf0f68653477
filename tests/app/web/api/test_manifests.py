"""Manifests over HTTP: read, and never approved by a key."""

from collections.abc import Callable

import pytest

from app.manifests import Manifests
from tests.app.web.api.conftest import System, problem_in
from tests.manifests import hash_of, made, person
from tests.probe import rows
from tests.world import Town, row


@pytest.fixture
def reader(town: Town, system: Callable[..., System]) -> System:
    town.join(row("a"), row("b", plan="gold"), row("c"))
    return system("read")


def test_manifests_are_listed_page_by_page_and_shown_one_by_one(town: Town, reader: System) -> None:
    numbers = [made(town, "a"), made(town, "a", "b", "c"), made(town)]
    page = reader.get("manifests?limit=2").json
    assert page is not None
    rest = reader.get(f"manifests?limit=2&cursor={page['next_cursor']}").json
    assert rest is not None
    found = page["manifests"] + rest["manifests"]
    assert [each["number"] for each in found] == numbers[::-1]
    assert rest["next_cursor"] is None

    actor, second = person(town, "ann", "approver"), numbers[1]
    seen = hash_of(town, second)
    Manifests(town.database, town.clock).approve("tv", second, seen, actor)
    shown = reader.get(f"manifests/{second}").json

    assert shown is not None
    assert (shown["hash"], shown["people"], shown["lacks"]) == (seen, 3, 1)
    approval = {"actor": actor, "approved_at": "2024-09-01T12:00:00Z", "counts": True}
    assert shown["approvals"] == [approval]
    counts = {(each["of"], each["value"]): each["people"] for each in shown["counts"]}
    assert counts["plan", "gold"] == 1
    assert counts["stage", "suspended"] == 3


def test_who_is_on_one_is_listed_until_they_are_erased(town: Town, reader: System) -> None:
    number = made(town, "a", "b", "c")
    rows(town.database, "delete from contact where subscription_id = :id", id=town.id_of("b"))
    page = reader.get(f"manifests/{number}/entries?limit=2").json
    assert page is not None
    rest = reader.get(f"manifests/{number}/entries?limit=2&cursor={page['next_cursor']}").json
    assert rest is not None
    found = page["entries"] + rest["entries"]
    assert [each["subscription"] for each in found] == ["a", None, "c"]
    assert [each["plan"] for each in found] == ["standard", None, "standard"]
    assert {each["state"] for each in found} == {"waiting"}
    assert page["hash"] == hash_of(town, number)


def test_one_that_is_being_made_shows_nobodys_hash(town: Town, reader: System) -> None:
    number = made(town, "a", state="making")
    shown = reader.get(f"manifests/{number}").json
    assert shown is not None
    assert (shown["hash"], shown["people"]) == (None, None)


@pytest.mark.parametrize("path", ["manifests/9", "manifests/x", "manifests/9/entries"])
def test_what_is_not_there_is_not_found(reader: System, path: str) -> None:
    assert problem_in(reader.get(path)) == "not-found"


@pytest.mark.usefixtures("reader")
@pytest.mark.parametrize("act", ["", "/approve", "/refuse", "/entries"])
def test_no_key_decides(town: Town, system: Callable[..., System], act: str) -> None:
    number = made(town, "a")
    for scope in ("manage", "read"):
        reply = system(scope).post(f"manifests/{number}{act}", {"hash": hash_of(town, number)})
        assert reply.status_code in (404, 405)
    assert rows(town.database, "select state from manifest") == [("waiting",)]
