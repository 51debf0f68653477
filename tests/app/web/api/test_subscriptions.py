from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.store import reading
from app.store.database import cursor
from tests.app.web.api.conftest import System, problem_in
from tests.probe import asked, rows, suspended
from tests.world import Town, row

STAGES = ("active", "asked", "suspended", "canceled", "erasing")


@pytest.fixture
def reader(system: Callable[..., System]) -> System:
    return system("read")


def listed(reader: System, query: str = "") -> list[str]:
    reply = reader.get(f"subscriptions{query}")
    assert reply.status_code == 200, reply.text
    assert reply.json is not None
    return [each["id"] for each in reply.json["subscriptions"]]


def walked(
    reader: System, query: str, meanwhile: Callable[[int], None] = lambda _: None
) -> list[str]:
    """Give every id of a list, page by page."""
    found: list[str] = []
    cursor: str | None = ""
    page = 0
    while cursor is not None:
        reply: Any = reader.get(f"subscriptions?{query}{cursor and '&cursor='}{cursor}").json
        found += [each["id"] for each in reply["subscriptions"]]
        cursor, page = reply["next_cursor"], page + 1
        meanwhile(page)
    return found


# --- lists -----------------------------------------------------------------------------------


def test_a_list_goes_by_id_a_page_at_a_time_and_each_stands_in_it_once(
    town: Town, reader: System
) -> None:
    names = [f"p{n:02}" for n in range(7)]
    town.join(*(row(name) for name in reversed(names)))
    assert walked(reader, "limit=3") == names
    assert walked(reader, "limit=7") == names


def test_a_list_goes_on_though_people_come_and_go_meanwhile(town: Town, reader: System) -> None:
    names = [f"p{n:02}" for n in range(6)]
    town.join(*(row(name) for name in names))

    def meanwhile(page: int) -> None:
        if page == 1:
            town.join(row("a0"), row("p01b"), row("p04b"))

    assert walked(reader, "limit=2", meanwhile) == [*names[:5], "p04b", "p05"] or walked(
        reader, "limit=2"
    ) == ["a0", "p00", "p01", "p01b", *names[2:5], "p04b", "p05"]


def test_a_list_may_be_of_one_stage(town: Town, reader: System) -> None:
    names = ["ann", "bob", "cyd", "dan", "eve"]
    town.join(*(row(name) for name in names))
    asked(town, *names)
    town.answer("bob", "keep")
    town.answer("cyd", "cancel")
    assert walked(reader, "stage=asked&limit=2") == ["ann", "cyd", "dan", "eve"]
    assert walked(reader, "stage=active&limit=2") == ["bob"]
    assert [walked(reader, f"stage={stage}") for stage in STAGES[2:]] == [[], [], []]


def test_a_list_says_where_each_stands_and_names_nobody(town: Town, reader: System) -> None:
    town.join(row("ada", customer="c1"))
    asked(town, "ada")
    reply = reader.get("subscriptions")
    assert reply.json is not None
    (found,) = reply.json["subscriptions"]
    assert (found["id"], found["stage"], found["round"], found["why"]) == (
        "ada",
        "asked",
        1,
        "never_used",
    )
    assert found["answer_by"].endswith("Z")
    assert found["next_look"] is not None
    assert "@" not in reply.text
    assert "Europe/London" not in reply.text


def test_a_list_is_of_one_product(town: Town, reader: System) -> None:
    town.join(row("ada"))
    Town.founded(town.database, town.clock, town.links, "radio").join(row("rob"))
    assert listed(reader) == ["ada"]


@pytest.mark.parametrize("query", ["", "?stage=active", "?stage=asked"])
def test_nobody_erased_is_listed(town: Town, reader: System, query: str) -> None:
    town.join(row("ann"), row("bob"))
    asked(town, "ann")
    rows(town.database, f"delete from contact where subscription_id = {town.id_of('ann')}")  # noqa: S608
    assert "ann" not in listed(reader, query)


@pytest.mark.parametrize(
    "query",
    [
        "stage=erased",
        "stage=",
        "stage=active&stage=asked",
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=1.5",
        "limit=%D9%A1",
        "limit=99999999999999999999",
        "offset=3",
        "stage=%00",
    ],
)
def test_parameters_that_are_none_are_refused(reader: System, query: str) -> None:
    reply = reader.get(f"subscriptions?{query}")
    assert (reply.status_code, problem_in(reply)) == (422, "invalid-parameter")


def test_a_cursor_that_was_touched_is_refused(town: Town, reader: System) -> None:
    town.join(*(row(f"p{n}") for n in range(4)))
    cursor = reader.get("subscriptions?limit=2").json["next_cursor"]  # type: ignore[index]
    assert listed(reader, f"?limit=2&cursor={cursor}") == ["p2", "p3"]
    wrong = [
        cursor[:at] + ("A" if cursor[at] != "A" else "B") + cursor[at + 1 :]
        for at in range(len(cursor))
    ]
    wrong += ["", "x", cursor[:-1], cursor + "A", cursor + "=", "%00", "A" * 5000, "%ff"]
    codes = {problem_in(reader.get(f"subscriptions?limit=2&cursor={each}")) for each in wrong}
    assert codes == {"bad-cursor"}


def test_a_cursor_serves_its_own_list_only(town: Town, system: Callable[..., System]) -> None:
    town.join(*(row(f"p{n}") for n in range(4)))
    asked(town, *(f"p{n}" for n in range(4)))
    reader = system("read")
    cursor = reader.get("subscriptions?limit=2").json["next_cursor"]  # type: ignore[index]
    staged = reader.get("subscriptions?limit=2&stage=asked").json["next_cursor"]  # type: ignore[index]
    other = Town.founded(town.database, town.clock, town.links, "radio")
    other.join(*(row(f"p{n}") for n in range(4)))
    for path in (
        f"subscriptions?stage=asked&cursor={cursor}",
        f"subscriptions?cursor={staged}",
        f"subscriptions/p1/timeline?cursor={cursor}",
    ):
        assert problem_in(reader.get(path)) == "bad-cursor"


# --- one ---------------------------------------------------------------------------------------


def test_one_is_shown_with_everything_but_who_it_is(town: Town, reader: System) -> None:
    town.join(row("ada", customer="c1"))
    suspended(town, "ada")
    reply = reader.get("subscriptions/ada")
    assert reply.json is not None
    found = reply.json
    assert (found["stage"], found["outcome"], found["customer"]) == ("suspended", None, "c1")
    assert (found["decided_by"], found["act"]) == ("silence", None)
    assert found["paid_until"] is not None
    assert found["erase_on"] is not None
    assert found["next"].startswith("warning 1 of the erasure goes out from ")
    assert "subscribers.example" not in reply.text


def test_one_that_was_never_asked_is_active_and_has_no_round(town: Town, reader: System) -> None:
    town.join(row("ada"))
    found: Any = reader.get("subscriptions/ada").json
    assert (found["stage"], found["round"], found["why"], found["reach"]) == (
        "active",
        None,
        None,
        "ok",
    )
    assert found["last_used_on"] is None
    assert found["next_look"] is not None


@pytest.mark.parametrize("rest", ["", "/timeline"])
@pytest.mark.parametrize("name", ["nobody", "%00", "a%00", "x" * 300, "%F0%9F%98%80", "%ff", "rob"])
def test_one_that_is_none_is_404(town: Town, reader: System, name: str, rest: str) -> None:
    Town.founded(town.database, town.clock, town.links, "radio").join(row("rob"))
    reply = reader.get(f"subscriptions/{name}{rest}")
    assert (reply.status_code, problem_in(reply)) == (404, "not-found")


def test_of_somebody_erased_nothing_is_told_on_any_path(
    town: Town, system: Callable[..., System]
) -> None:
    town.join(row("ada", plan="very-special-plan"))
    asked(town, "ada")
    rows(town.database, "delete from contact")
    manager = system("manage")
    for reply in (
        manager.get("subscriptions/ada"),
        manager.get("subscriptions/ada/timeline"),
        manager.post("subscriptions/ada/answer", {"answer": "keep"}),
    ):
        assert (reply.status_code, problem_in(reply)) == (410, "gone")
        assert "special" not in reply.text
    assert town.stage("ada") == "asked"


# --- the story -----------------------------------------------------------------------------------


def test_the_story_has_every_step_with_its_reason_and_who_did_it(
    town: Town, reader: System
) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    town.clock.advance(timedelta(minutes=1))
    town.answer("ada", "keep")
    told: Any = reader.get("subscriptions/ada/timeline").json
    steps = [(each["what"], each["why"], each["actor"]) for each in told["entries"]]
    assert steps[0] == ("asked", "never_used", "clock")
    assert ("kept", "subscriber", "subscriber") in [
        (what, "subscriber", who) for what, _, who in steps
    ]
    assert [each["at"] for each in told["entries"]] == sorted(
        each["at"] for each in told["entries"]
    )
    assert {"round", "policy_version"} <= told["entries"][0].keys()


def test_a_long_story_goes_on_by_cursor(town: Town, reader: System) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    town.answer("ada", "keep")
    whole: Any = reader.get("subscriptions/ada/timeline").json
    found: list[Any] = []
    cursor: str | None = ""
    while cursor is not None:
        page: Any = reader.get(
            f"subscriptions/ada/timeline?limit=1{cursor and '&cursor='}{cursor}"
        ).json
        found += page["entries"]
        cursor = page["next_cursor"]
    assert found == whole["entries"]
    assert len(found) > 1


# --- reading -------------------------------------------------------------------------------------


def test_reading_changes_nothing(
    town: Town, reader: System, everything: Callable[[], dict[str, str]]
) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    before = everything()
    for path in (
        "subscriptions",
        "subscriptions?stage=asked",
        "subscriptions/ada",
        "subscriptions/ada/timeline",
    ):
        for method in ("GET", "HEAD", "OPTIONS"):
            assert reader.open(method, path).status_code == 200
    assert everything() == before


def test_a_page_is_found_by_an_index_and_not_by_reading_everybody(town: Town) -> None:
    town.join(*(row(f"p{n:05}") for n in range(3000)))
    product, plans = town.product.id, []
    with town.database.transaction() as connection:
        for table in ("subscription", "contact", "reconfirmation"):
            connection.execute(text(f"analyze {table}"))
        run = cursor(connection)
        for idle in (False, True):
            statement = reading.by_name(active_only=idle)
            run.execute(f"explain {statement}", (product, "p01000", 51))
            plans.append("\n".join(line for (line,) in run))
    for plan in plans:
        assert "subscription_product_id_external_id_key" in plan
        assert "Seq Scan on subscription" not in plan
        assert "Sort" not in plan
