"""Holds and manifests from the command line."""

import json

import pytest

from app.cli.installation import installed
from app.links import Links
from app.store.database import Database
from tests.app.cli.conftest import KEY, Shell
from tests.manifests import hash_of, made, person
from tests.world import MovableClock, Town


def test_a_hold_is_set_listed_looked_at_and_released(running: Shell) -> None:
    options = ("--reason", "legal", "--review-on", "2024-10-01", "--actor", "eve")
    found = running.json("hold", "add", "tv", "ada", *options)
    assert (found["subscription"], found["set_by"]) == ("ada", "cli:eve")
    assert found["review_on"] == "2024-10-01"
    running("hold", "add", "tv", "ada", "--reason", "entitlement")
    listed = running.json("hold", "list")
    assert [(each["product"], each["reason"]) for each in listed] == [
        ("tv", "legal"),
        ("tv", "entitlement"),
    ]
    assert running.json("hold", "list", "tv", "--subscription", "ben") == []
    assert "* tv" not in running("hold", "list").stdout
    blocked = running.json("subject", "explain", "tv", "ada")["blocked_by"]
    assert next(each for each in blocked if "stops erasure" in each).startswith("a hold (legal)")

    running("clock", "advance", "P31D")
    line = running("hold", "list", "tv").stdout.splitlines()[0]
    assert line.startswith("* tv")
    assert "legal" in line
    number = str(found["id"])
    later = running.json("hold", "review", "tv", number, "--review-on", "2025-01-01")
    assert later["review_on"] == "2025-01-01"

    released = running.json("hold", "release", "tv", number, "--actor", "bob")

    assert released["released_by"] == "cli:bob"
    assert [each["reason"] for each in running.json("hold", "list", "tv")] == ["entitlement"]
    everything = running.json("hold", "list", "tv", "--all", "--subscription", "ada")
    assert [each["reason"] for each in everything] == ["legal", "entitlement"]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("add", "tv", "ada"), 2, "--reason"),
        (("add", "tv", "ada", "--reason", "because"), 2, "because"),
        (("add", "tv", "eve", "--reason", "legal"), 1, "no subscription 'eve'"),
        (("add", "nothing", "ada", "--reason", "legal"), 1, "no product"),
        (("add", "tv", "ada", "--reason", "legal", "--review-on", "2024-08-31"), 1, "2026-09-01"),
        (("add", "tv", "ada", "--reason", "legal", "--review-on", "soon"), 2, "soon"),
        (("release", "tv", "7"), 1, "no hold 7"),
        (("review", "tv", "7"), 1, "no hold 7"),
        (("list", "--subscription", "ada"), 2, "needs a PRODUCT"),
        (("list", "nothing"), 1, "no product"),
    ],
)
def test_what_may_not_be_is_refused_with_the_mend(
    running: Shell, arguments: tuple[str, ...], code: int, said: str
) -> None:
    result = running("hold", *arguments)
    assert (result.exit_code, said in result.stderr) == (code, True), result.stderr
    assert running("hold", "list").stdout == "nobody is held\n"


def test_the_doctor_names_what_is_to_be_looked_at(running: Shell, town: Town) -> None:
    well = {each["what"]: each["well"] for each in running.json("doctor")}
    assert (well["holds"], well["manifests"]) == (True, True)
    running("hold", "add", "tv", "ada", "--reason", "legal", "--review-on", "2024-09-01")
    made(town, "ada")
    found = json.loads(running("doctor", "--json").stdout)
    says = {each["what"]: each["says"] for each in found if not each["well"]}
    assert says["holds"] == "1 holds to be looked at again"
    assert says["manifests"] == "1 of who is due to be erased wait to be approved"


# --- manifests -------------------------------------------------------------------------------


@pytest.fixture
def town(running: Shell, database: Database, monkeypatch: pytest.MonkeyPatch) -> Town:
    """Give the town that the commands have founded."""
    for name, value in running.environment.items():
        monkeypatch.setenv(name, value)
    with installed() as parts:
        clock = MovableClock(parts.clock.now())
    return Town(database, clock, Links([KEY], "http://127.0.0.1:8080"))


def test_two_people_approve_and_the_command_line_is_one_of_them(running: Shell, town: Town) -> None:
    assert "nobody has been due" in running("manifest", "list", "tv").stdout
    number, seen = str(made(town, "ada", "ben")), hash_of(town, 1)
    shown = running.json("manifest", "show", "tv", number)
    assert (shown["hash"], shown["people"], shown["lacks"]) == (seen, 2, 2)
    assert shown["counts"]["why"] == [["unused", 2]]
    assert shown["warned"]["fewest_warnings"] == 2
    assert {each["subscription"] for each in shown["sample"]} == {"ada", "ben"}
    assert "2 more must approve it" in running("manifest", "show", "tv", number).stdout

    for name in ("eve", "bob"):
        after = running.json("manifest", "approve", "tv", number, "--hash", seen, "--actor", name)
        assert (after["state"], after["lacks"]) == ("waiting", 1)
    counts = {each["actor"]: each["counts"] for each in after["approvals"]}
    assert sorted(counts.values()) == [False, True]
    assert "does not count now" in running("manifest", "show", "tv", number).stdout

    town.clock.set(town.clock.now())
    actor = person(town, "ann", "approver")
    with installed() as parts, parts.database.transaction() as connection:
        connection.exec_driver_sql(
            "insert into manifest_approval select product_id, number, %s, hash, made_at"
            " from manifest",
            (actor,),
        )
    last = running.json("manifest", "approve", "tv", number, "--hash", seen, "--actor", "eve")
    assert (last["state"], last["lacks"]) == ("approved", 0)
    assert [each["state"] for each in running.json("manifest", "list", "tv")] == ["approved"]

    refused = running.json("manifest", "refuse", "tv", number, "--actor", "eve")

    assert (refused["state"], refused["refused_by"]) == ("refused", "cli:eve")
    again = running("manifest", "approve", "tv", number, "--hash", seen)
    assert (again.exit_code, "is refused" in again.stderr) == (1, True)


def test_only_what_was_read_is_approved(running: Shell, town: Town) -> None:
    number = str(made(town, "ada"))
    assert running("manifest", "approve", "tv", number).exit_code == 2
    for wrong in ("all", "*", "0" * 64):
        result = running("manifest", "approve", "tv", number, "--hash", wrong)
        assert (result.exit_code, "another hash" in result.stderr) == (1, True)
    assert running("manifest", "approve", "tv", "all", "--hash", wrong).exit_code == 2
    assert running("manifest", "show", "tv", "9").exit_code == 1


def test_one_is_looked_for_and_everybody_is_a_file(running: Shell, town: Town) -> None:
    number = str(made(town, "ada"))
    one = running.json("manifest", "show", "tv", number, "--subscription", "ada")
    assert [each["subscription"] for each in one["sample"]] == ["ada"]
    assert (
        "ben is not on it"
        in running("manifest", "show", "tv", number, "--subscription", "ben").stdout
    )
    head, line = running("manifest", "show", "tv", number, "--all").stdout.splitlines()
    assert head.startswith("external_id,plan")
    assert line.startswith("ada,standard")
    assert json.dumps(one["sample"][0]["skipped"]) == "null"
