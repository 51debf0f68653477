"""Erasing in a database of the product's own: what it refuses, and what it takes along."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.errors import Refused
from app.store.database import Database
from app.world.erasing import Answer, Given
from app.world.erasure import sql
from app.world.outcome import No
from tests.app.world.erasure.harness import STEPS, Person, SqlHarness, another_database
from tests.world import MovableClock

STEP: dict[str, Any] = STEPS[0]
BLANK: dict[str, Any] = STEPS[2]


@pytest.fixture
def there(database: Database, clock: MovableClock, tmp_path: Path) -> Iterator[SqlHarness]:
    with another_database(f"{database.engine.url.database}_theirs") as address:
        made = SqlHarness(database, clock, address, tmp_path)
        yield made
        made.heals()


def erase(there: SqlHarness, person: Person, *steps: dict[str, Any], **changes: Any) -> Answer:
    """Erase with other tables than usual."""
    tables = list(steps) or STEPS
    categories = tuple(sorted({each["category"] for each in tables}))
    target = there.target(settings=there.settings() | {"tables": tables}, categories=categories)
    return target.erase(there.request(person, categories=categories, **changes))


def step(**changes: Any) -> dict[str, Any]:
    return STEP | changes


# --- settings ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "odd",
    [
        {"table": 'watched"; drop table profile; --'},
        {"table": "watched where true --"},
        {"table": "pg_catalog.pg_class"},
        {"table": "information_schema.tables"},
        {"table": "PG_CATALOG.pg_class"},
        {"table": "a.b.c"},
        {"table": ""},
        {"table": "watched\x00"},
        {"table": "wätched"},
        {"column": "who = who or who"},
        {"column": "1"},
        {"column": "who, id"},
        {"column": None},
        {"holds": "email"},
        {"holds": ""},
        {"action": "truncate"},
        {"action": "blank"},
        {"action": "delete", "columns": ["what"]},
        {"action": "blank", "columns": []},
        {"action": "blank", "columns": ["who"]},
        {"action": "blank", "columns": ["what", "what"]},
        {"action": "blank", "columns": ["what = null, who"]},
        {"category": "Watch History"},
        {"category": ""},
        {"where": "true"},
    ],
)
def test_an_odd_table_is_refused_and_says_which(odd: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="entry 2: "):
        sql.read_tables(json.dumps([STEPS[1], step(**odd)]))


@pytest.mark.parametrize("odd", ["{}", "[]", "[7]", '"x"', "[", "7", "[" * 10_000])
def test_what_is_no_list_of_tables_is_refused(odd: str) -> None:
    with pytest.raises(ValueError, match=r"write|entry"):
        sql.read_tables(odd)


def test_the_same_table_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="twice"):
        sql.read_tables(json.dumps([STEP, STEP | {"category": "other"}]))


def test_tables_and_categories_have_to_fit() -> None:
    check = sql.KIND.check
    check({"tables": STEPS}, ("contact", "profile", "watch_history"))
    with pytest.raises(Refused, match="not registered: contact"):
        check({"tables": STEPS}, ("profile", "watch_history"))
    with pytest.raises(Refused, match="no table holds the categories: more"):
        check({"tables": STEPS}, ("contact", "more", "profile", "watch_history"))


# --- what it does --------------------------------------------------------------------------------


def test_blanked_is_null_and_the_row_stays(there: SqlHarness) -> None:
    person = there.begin()
    assert isinstance(erase(there, person), Given)
    found = there.run("select customer, email, phone from account")
    assert found == [(person.customer, None, None)]


def test_all_of_it_is_one_transaction(there: SqlHarness) -> None:
    person = there.begin()
    answer = erase(there, person, *STEPS, BLANK | {"table": "profile", "column": "subscription_id",
                   "holds": "subscription", "columns": ["city"], "category": "city"})  # fmt: skip
    assert isinstance(answer, Given)  # the row was gone by then
    other = there.begin()
    first = STEPS[1] | {"action": "blank", "columns": ["city"]}
    assert erase(there, other, STEP, first) == No("sql 23502")
    assert there.held(other) == set(there.categories)


def test_a_wrong_column_takes_nobody_along(there: SqlHarness) -> None:
    person = there.begin()
    there.run(
        "insert into watched (who, what) select %s, 'film' from generate_series(1, 10000)",
        person.subscription,
    )
    assert erase(there, person) == No("too many rows of one subscription")
    assert there.held(person) == set(there.categories)
    there.run("delete from watched where id in (select id from watched limit 3)")
    assert isinstance(erase(there, person), Given)


@pytest.mark.parametrize(
    ("kind", "own", "asked"),
    [
        ("uuid", "{0}a", "{0}A"),
        ("numeric", "7.0", "7"),
        ("char(9)", "sub_1", "sub_1 "),
        ("varchar(9)", "sub_1", "SUB_1"),
    ],
)
def test_an_id_that_is_another_way_of_writing_one_takes_nobody_along(
    there: SqlHarness, kind: str, own: str, asked: str
) -> None:
    zeros = "00000000-0000-0000-0000-00000000000"
    there.run(f"create table odd (who {kind})")
    there.run("insert into odd values (%s)", own.format(zeros))
    found = erase(there, Person(asked.format(zeros), None), step(table="odd", column="who"))
    if kind.startswith("varchar"):
        assert isinstance(found, Given)  # nobody was found by that id
    else:
        assert found == No("the column compares loosely")
    assert there.run("select count(*) from odd") == [(1,)]


def test_an_id_that_a_number_column_cannot_hold_is_a_no(there: SqlHarness) -> None:
    there.run("create table counted (id bigint)")
    there.run("insert into counted values (7), (8)")
    numbers = step(table="counted", column="id")
    assert erase(there, Person("sub_1", None), numbers) == No("sql 22p02")
    assert erase(there, Person("07", None), numbers) == No("the column compares loosely")
    assert isinstance(erase(there, Person("7", None), numbers), Given)
    assert there.run("select id from counted") == [(8,)]


def test_what_a_trigger_brings_back_is_not_said_to_be_gone(there: SqlHarness) -> None:
    there.run(
        """create function stays() returns trigger language plpgsql as
           'begin return null; end';
           create trigger stays before delete on watched for each row execute function stays()"""
    )
    person = there.begin()
    assert erase(there, person) == No("rows are left")
    assert there.held(person) == set(there.categories)


def test_rows_of_a_customer_who_is_not_known_are_nobodys(there: SqlHarness) -> None:
    there.begin()
    there.run("insert into account values ('', 'x', 'y'), ('None', 'x', 'y')")
    person = Person(there.begin().subscription, None)
    answer = erase(there, person)
    assert isinstance(answer, Given)
    assert there.run("select count(*) from account where email is not null") == [(4,)]


def test_what_the_policy_keeps_is_not_touched(there: SqlHarness) -> None:
    person = there.begin()
    until = there.clock.now().date().replace(year=2034)
    answer = erase(there, person, keep={"watch_history": until})
    assert isinstance(answer, Given)
    assert there.held(person) == {"watch_history"}
    (kept,) = answer.receipt.kept
    assert (kept.category, kept.why, kept.until) == ("watch_history", "legal_obligation", until)


def test_a_table_that_is_not_there_is_a_no_and_changes_nothing(there: SqlHarness) -> None:
    person = there.begin()
    assert erase(there, person, *STEPS, step(table="gone", category="x")) == No("sql 42p01")
    assert there.held(person) == set(there.categories)


def test_our_own_database_is_none_of_theirs(there: SqlHarness, database: Database) -> None:
    there.file.write_text(database.url)
    target = there.target(
        settings=there.settings() | {"tables": [step(table="contact", column="email")]}
    )
    answer = target.erase(there.request(Person("sub_1", None)))
    assert answer == No("it is a database of reconfirm")
    with pytest.raises(Refused, match="a database of reconfirm"):
        target.probe("sub_1", None)


def test_a_trial_counts_and_looks_at_the_columns(there: SqlHarness) -> None:
    person = there.begin()
    assert there.target().probe(person.subscription, person.customer) == {
        "watched.who": 3,
        "public.profile.subscription_id": 1,
        "account.customer": 1,
    }
    odd = BLANK | {"columns": ["email", "fax"]}
    target = there.target(settings=there.settings() | {"tables": [odd]})
    with pytest.raises(Refused, match="sql 42703"):
        target.probe(person.subscription, person.customer)
