"""Holds on erasure: set and released by people, by disputes and by refunds; who comes too late."""

import json
from collections.abc import Callable
from datetime import date, timedelta
from threading import Thread
from typing import Any

import pytest
from psycopg import Connection as Driver
from psycopg import connect

from app.engine import holds
from app.engine.explain import explain
from app.engine.holds import Wanted
from app.errors import Conflict, NotFound, Refused
from app.inbox import Inbox, Result
from app.mirror import Mirror
from app.rows import read as read_row
from app.signing import new_secret, sign
from app.store import cases, disputes, products
from app.store import holds as store
from app.store.database import Database
from app.store.holds import Hold, Reason
from app.world.connector import Dispute
from tests.probe import asked, rows, suspended
from tests.world import START, MovableClock, Town, row

ANN, EVE = "console:ann", "cli:eve"
TODAY = START.date()
SECRET = new_secret()


def add(town: Town, name: str = "ada", reason: Reason = Reason.LEGAL, **more: Any) -> Hold:
    wanted = Wanted(town.id_of(name), reason, more.get("review_on"), more.get("source"))
    return holds.add(town.database, town.clock, "tv", wanted, more.get("actor", ANN))


def release(town: Town, found: Hold, actor: str = EVE) -> Hold:
    return holds.release(town.database, town.clock, "tv", found.id, actor)


def held(town: Town, name: str = "ada") -> list[str]:
    with town.database.transaction() as connection:
        return [each.reason for each in holds.held(connection, town.product, town.id_of(name))]


def told(town: Town, said: Dispute, billing: str = "standard") -> None:
    with town.database.transaction() as connection:
        holds.told(connection, town.product, billing, said, town.clock.now())


def audited(town: Town, what: str) -> list[tuple[Any, ...]]:
    statement = "select what, why, actor, round from history where what like :what order by id"
    return rows(town.database, statement, what=what)


def erasing(town: Town, name: str, stage: str = "erasing") -> None:
    """Let an erasure be under way, as its own engine would have begun it."""
    statement = "update reconfirmation set stage = :stage where subscription_id = :id"
    rows(town.database, statement, stage=stage, id=town.id_of(name))


@pytest.fixture
def town(town: Town) -> Town:
    town.join(row("ada"), row("ben"))
    return town


# --- by people -------------------------------------------------------------------------------


def test_several_hold_at_once_and_releasing_one_leaves_the_others(town: Town) -> None:
    first, second = add(town), add(town, reason=Reason.ENTITLEMENT)
    assert town.case("ada").held
    assert not town.case("ben").held
    assert held(town) == ["legal", "entitlement"]

    released = release(town, first)

    assert (released.on, released.released_by) == (False, EVE)
    assert held(town) == ["entitlement"]
    assert town.case("ada").held
    assert release(town, first) == released, "again changes nothing"
    release(town, second)
    assert not town.case("ada").held
    assert audited(town, "hold_%") == [
        ("hold_set", "legal", ANN, None),
        ("hold_set", "entitlement", ANN, None),
        ("hold_released", "legal", EVE, None),
        ("hold_released", "entitlement", EVE, None),
    ]


@pytest.mark.parametrize(
    ("day", "kept"),
    [
        (None, TODAY + timedelta(days=90)),
        (TODAY, TODAY),
        (date(2026, 9, 1), date(2026, 9, 1)),
        (TODAY - timedelta(days=1), None),
        (date(2026, 9, 2), None),
    ],
)
def test_a_hold_is_looked_at_again_within_two_years(
    town: Town, day: date | None, kept: date | None
) -> None:
    if kept is not None:
        assert add(town, review_on=day).review_on == kept
        return
    with pytest.raises(Refused, match="cannot be reviewed on") as refused:
        add(town, review_on=day)
    assert "from 2024-09-01 to 2026-09-01" in refused.value.mend
    assert not held(town)


def test_the_day_of_review_lets_nothing_lapse(town: Town) -> None:
    found = add(town, review_on=TODAY + timedelta(days=1))
    with town.database.transaction() as connection:
        assert not store.to_review(connection, town.product.id, TODAY, 0, 9)
    town.clock.advance(timedelta(days=400))
    today = town.clock.now().date()
    with town.database.transaction() as connection:
        due = store.to_review(connection, town.product.id, today, 0, 9)
        assert store.count_to_review(connection, today) == [("tv", 1)]
    assert [each.id for each in due] == [found.id]
    assert town.case("ada").held

    later = today + timedelta(days=30)
    again = holds.review(town.database, town.clock, "tv", found.id, later, EVE)

    assert (again.review_on, again.on) == (later, True)
    assert audited(town, "hold_reviewed") == [("hold_reviewed", "legal", EVE, None)]
    with town.database.transaction() as connection:
        assert store.count_to_review(connection, today) == [("tv", 0)]
    release(town, found)
    with pytest.raises(Conflict, match="was released"):
        holds.review(town.database, town.clock, "tv", found.id, later, EVE)


def test_one_product_never_reaches_the_holds_of_another(
    town: Town, database: Database, clock: MovableClock
) -> None:
    other = Town.founded(database, clock, town.links, "radio")
    found = add(town)
    calls: tuple[Callable[[], object], ...] = (
        lambda: holds.release(database, clock, "radio", found.id, EVE),
        lambda: holds.review(database, clock, "radio", found.id, None, EVE),
        lambda: holds.add(database, clock, "radio", Wanted(town.id_of("ada"), Reason.LEGAL), EVE),
        lambda: holds.release(database, clock, "tv", 10**9, EVE),
    )
    for call in calls:
        with pytest.raises(NotFound):
            call()
    assert held(town) == ["legal"]
    with database.transaction() as connection:
        assert not store.listed(connection, other.product.id, 0, 9, released=True)


def test_a_key_sets_one_hold_however_often_it_is_sent(town: Town) -> None:
    first = add(town, source="api:1:k")
    assert add(town, source="api:1:k") == first
    release(town, first)
    assert add(town, source="api:1:k").on is False, "it was set once, and is over"
    with pytest.raises(Conflict, match="another reason"):
        add(town, source="api:1:k", reason=Reason.DISPUTE)
    assert rows(town.database, "select count(*) from hold") == [(1,)]


@pytest.mark.parametrize("stage", ["erasing", "erased"])
def test_who_is_being_erased_cannot_be_held_any_more(town: Town, stage: str) -> None:
    asked(town, "ada")
    erasing(town, "ada", stage)
    with pytest.raises(Conflict, match="too late for a hold"):
        add(town)
    assert not held(town)
    assert not audited(town, "hold_%")


def test_a_hold_stops_erasure_only_and_silence_suspends_all_the_same(town: Town) -> None:
    add(town)
    suspended(town, "ada")
    assert town.acts("ada") == ["suspend"]
    assert town.case("ada").held
    current = town.case("ada").round
    assert current is not None
    assert current.erase_on is not None, "what was promised stands, it only cannot begin"
    release(town, add(town, reason=Reason.DISPUTE))
    assert audited(town, "hold_released") == [("hold_released", "dispute", EVE, 1)]


def test_what_holds_is_said(town: Town) -> None:
    add(town, review_on=date(2025, 1, 1))
    with town.database.transaction() as connection:
        said = explain(connection, town.product, town.id_of("ada"), town.clock.now())
    assert said.blocked_by == [
        "a hold (legal) stops erasure, to be looked at on 2025-01-01: `reconfirm hold list`"
    ]


# --- who comes first (R11) -------------------------------------------------------------------


@pytest.fixture
def rival(database: Database) -> Any:
    with connect(database.url, options="-c timezone=UTC") as connection:
        yield connection


def waits(rival: Driver[Any]) -> bool:
    """Wait until somebody waits for a lock."""
    statement = """select 1 from pg_stat_activity
        where datname = current_database() and wait_event_type = 'Lock'"""
    for _ in range(500):
        if rival.execute(statement).fetchone():
            return True
        rival.execute("select pg_stat_clear_snapshot(), pg_sleep(0.01)")
    return False


def test_a_hold_waits_for_who_begins_an_erasure_and_comes_too_late(
    town: Town, rival: Driver[Any]
) -> None:
    asked(town, "ada")
    found: list[object] = []

    def try_it() -> None:
        try:
            found.append(add(town))
        except Conflict as refused:
            found.append(refused)

    mine = (town.id_of("ada"),)
    rival.execute("select 1 from reconfirmation where subscription_id = %s for update", mine)
    other = Thread(target=try_it)
    other.start()
    assert waits(rival)
    assert not rival.execute("select 1 from hold").fetchone()
    rival.execute("set local role reconfirm_eraser")
    rival.execute("update reconfirmation set stage = 'erasing' where subscription_id = %s", mine)
    rival.commit()
    other.join()

    assert isinstance(found[0], Conflict)
    assert not held(town)


def test_who_begins_an_erasure_waits_for_a_hold_and_sees_it(town: Town, rival: Driver[Any]) -> None:
    asked(town, "ada")
    product, sid, seen = town.product, town.id_of("ada"), []

    def begin() -> None:
        with town.database.transaction() as connection:
            seen.append(cases.read(connection, product.id, [sid], product.hearing)[sid].held)

    with town.database.transaction() as connection:
        wanted = Wanted(sid, Reason.LEGAL)
        holds.add_in(connection, product, wanted, ANN, town.clock.now())
        other = Thread(target=begin)
        other.start()
        assert waits(rival)
    other.join()

    assert seen == [True]


def test_many_at_once_set_and_release_without_harm(town: Town) -> None:
    asked(town, "ada")
    first = add(town, source="a:1")

    def go(number: int) -> None:
        release(town, first)
        add(town, source=f"a:{number % 2}", actor=f"cli:p{number}")

    threads = [Thread(target=go, args=(each,)) for each in range(6)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert len(audited(town, "hold_set")) == 2
    assert len(audited(town, "hold_released")) == 1
    assert held(town) == ["legal"]


# --- by disputes -----------------------------------------------------------------------------

OPEN = Dispute("dp_1", "ada")
OVER = Dispute("dp_1", None, ended=True)


def test_a_dispute_holds_until_it_is_over(town: Town) -> None:
    for _ in range(2):
        told(town, OPEN)
    assert held(town) == ["dispute"]
    for _ in range(2):
        told(town, OVER)
    assert not held(town)
    told(town, OPEN)
    assert not held(town), "it ended once: what was told before that comes late"
    assert audited(town, "hold_%") == [
        ("hold_set", "dispute", "billing:standard", None),
        ("hold_released", "dispute", "billing:standard", None),
    ]
    assert rows(town.database, "select source, about from dispute") == [("standard:dp_1", None)]


def test_its_end_may_come_first(town: Town) -> None:
    told(town, OVER)
    told(town, OPEN)
    assert not held(town)
    assert not audited(town, "hold_%")


def test_what_a_person_released_a_dispute_does_not_set_again(town: Town) -> None:
    told(town, OPEN)
    with town.database.transaction() as connection:
        (found,) = holds.held(connection, town.product, town.id_of("ada"))
    release(town, found)
    told(town, OPEN)
    assert not held(town)


def test_two_disputes_hold_apart_from_each_other(town: Town) -> None:
    told(town, OPEN)
    told(town, Dispute("dp_2", "ada"))
    told(town, OVER)
    assert held(town) == ["dispute"]


def test_who_is_not_known_yet_is_held_once_they_come(town: Town) -> None:
    told(town, Dispute("dp_9", "eve"))
    told(town, Dispute("dp_8", "eve"))
    told(town, Dispute("dp_8", None, ended=True))
    assert rows(town.database, "select source, about from dispute order by id") == [
        ("standard:dp_9", "eve"),
        ("standard:dp_8", None),
    ]
    town.join(row("eve"))
    assert held(town, "eve") == ["dispute"]
    assert rows(town.database, "select about from dispute where about is not null") == []
    assert not held(town)


def test_a_dispute_that_names_a_customer_holds_all_of_theirs(town: Town) -> None:
    town.join(row("c1", customer="cus"), row("c2", customer="cus"), row("d", customer="other"))
    told(town, Dispute("dp_1", None, ("cus",)), "stripe")
    assert [held(town, name) for name in ("c1", "c2", "d")] == [["dispute"], ["dispute"], []]
    told(town, OVER, "stripe")
    assert [held(town, name) for name in ("c1", "c2", "d")] == [[], [], []]


def test_who_was_never_found_is_forgotten(town: Town) -> None:
    told(town, Dispute("dp_9", "nobody"))
    town.clock.advance(disputes.FORGOTTEN + timedelta(days=1))
    told(town, OPEN)
    assert rows(town.database, "select source from dispute") == [("standard:dp_1",)]


def test_a_dispute_about_somebody_erasing_is_put_before_a_person(town: Town) -> None:
    asked(town, "ada")
    erasing(town, "ada")
    for _ in range(2):
        told(town, OPEN)
    assert not held(town)
    assert audited(town, "dispute_%") == [("dispute_too_late", "erasing", "billing:standard", 1)]
    with town.database.transaction() as connection:
        (late,) = disputes.late(connection, town.product.id, 9)
        assert disputes.count_late(connection) == [("tv", 1)]
        assert late.subscription_id == town.id_of("ada")
        now = town.clock.now()
        assert disputes.seen(connection, 0, late.id, ANN, now) is None
        seen = disputes.seen(connection, town.product.id, late.id, ANN, now)
        assert seen == late.subscription_id
        assert not disputes.late(connection, town.product.id, 9)


def test_a_hold_set_before_an_erasure_makes_no_dispute_late(town: Town) -> None:
    asked(town, "ada")
    told(town, OPEN)
    erasing(town, "ada")
    told(town, OPEN)
    assert not audited(town, "dispute_%")


# --- as billing tells of them ----------------------------------------------------------------


def send(town: Town, number: int, kind: str, data: Any) -> Result:
    said = {"type": kind, "timestamp": town.clock.now().isoformat(), "data": data}
    body = json.dumps(said).encode()
    headers = sign([SECRET], f"m{number}", town.clock.wall(), body)
    return Inbox(town.database, town.clock).receive("tv", headers, body).result


@pytest.fixture
def told_by(town: Town) -> Town:
    with town.database.transaction() as connection:
        values = {"billing": "standard", "signing_secrets": [SECRET]}
        products.change(connection, town.product.id, values)
    return town


DATA = {"id": "dp_1", "subscription": "ada"}


@pytest.mark.parametrize(
    ("messages", "holding"),
    [
        (["opened"], ["dispute"]),
        (["opened", "opened", "closed", "closed"], []),
        (["closed", "opened"], []),
    ],
)
def test_messages_of_disputes_in_any_order(
    told_by: Town, messages: list[str], holding: list[str]
) -> None:
    for number, kind in enumerate(messages):
        assert send(told_by, number, f"dispute.{kind}", DATA) is Result.APPLIED
    assert send(told_by, 0, f"dispute.{messages[0]}", DATA) is Result.DUPLICATE
    assert held(told_by) == holding


@pytest.mark.parametrize(
    "data",
    [
        None,
        {},
        {"id": "dp_1"},
        {"subscription": "ada"},
        {"id": 7, "subscription": "ada"},
        {"id": "dp_1", "subscription": ["ada"]},
        {"id": "dp\u0000", "subscription": "ada"},
        {"id": "x" * 201, "subscription": "ada"},
    ],
)
def test_a_message_that_names_no_dispute_is_kept_for_a_person(told_by: Town, data: Any) -> None:
    assert send(told_by, 1, "dispute.opened", data) is Result.UNREADABLE
    assert not held(told_by)


def test_an_end_need_not_name_whose_it_was(told_by: Town) -> None:
    send(told_by, 1, "dispute.opened", DATA)
    assert send(told_by, 2, "dispute.closed", {"id": "dp_1"}) is Result.APPLIED
    assert not held(told_by)


def test_a_dispute_and_its_subscription_at_once_find_each_other(told_by: Town) -> None:
    town, facts = told_by, [read_row(row("eve"))]
    jobs = [
        Thread(target=send, args=(town, 1, "dispute.opened", DATA | {"subscription": "eve"})),
        Thread(target=Mirror(town.database, town.clock).bring, args=("tv", facts, EVE)),
    ]
    for each in jobs:
        each.start()
    for each in jobs:
        each.join()
    assert held(town, "eve") == ["dispute"]
