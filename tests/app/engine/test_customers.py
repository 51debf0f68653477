"""Customers with several subscriptions: one ask a day, each on its own, and nothing mixed up."""

from collections import Counter
from collections.abc import Callable
from datetime import date, datetime, timedelta
from email.utils import parsedate_to_datetime
from random import Random
from threading import Barrier, Thread
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app import guards
from app.engine import door
from app.engine.door import Batch
from app.engine.sweep import Pass, Sweeper
from app.lifecycle.case import Case
from app.links import Links
from app.mirror import Mirror
from app.rows import read as read_row
from app.store import customers
from app.store.database import Database
from app.usage import Intake, Told
from app.world.outcome import Done, Later, Outcome
from tests.probe import DAY, HOUR, MINUTE, fingerprint, goes, mails, rows, timers
from tests.world import START, YEAR, MovableClock, Town, row

LONDON = ZoneInfo("Europe/London")
Row = dict[str, str]


def of(customer: str, name: str, charged_in: int = 19, **changes: Any) -> Row:
    """Give the row of one of a customer's subscriptions, charged in so many days."""
    at = (START + charged_in * DAY).isoformat()
    return row(name, customer=customer, renews_at=at, **changes)


def swept(town: Town, size: int = 1000, **how: Any) -> Pass:
    return Sweeper(town.database, town.key, town.clock.now(), batch=size, **how).run()


def asked_days(town: Town, *names: str) -> dict[str, date]:
    """Give the London day on which each of these was sent the ask, by the mails themselves."""
    found = {}
    for mail in town.relay.mails():
        name = str(mail["To"]).partition("@")[0]
        if name in names and str(mail["Message-ID"]).startswith("<ask"):
            assert name not in found, "asked twice"
            found[name] = parsedate_to_datetime(mail["Date"]).astimezone(LONDON).date()
    return found


def days_go_by(town: Town, days: int, *, step: timedelta = DAY) -> None:
    for _ in range(int(days * DAY / step)):
        town.sweep()
        town.deliver()
        goes(town, town.clock.now() + step)


# --- one ask a day -----------------------------------------------------------------------------


def test_of_several_that_come_due_at_once_one_is_asked_a_day(town: Town) -> None:
    town.join(of("c", "ada"), of("c", "bob"), of("c", "cyd"), row("eve"), of("d", "fay"))
    assert town.sweep().counts["asked"] == 3
    town.deliver()
    days_go_by(town, 4)
    first = START.date()
    assert asked_days(town, "ada", "bob", "cyd", "eve", "fay") == {
        "ada": first,
        "bob": first + DAY,
        "cyd": first + 2 * DAY,
        "eve": first,
        "fay": first,
    }


def test_who_is_charged_sooner_is_asked_first_whatever_comes_due_first(town: Town) -> None:
    names = {"ada": 25, "bob": 3, "cyd": 11, "dan": 11}
    ages = {"ada": 1, "bob": 4, "cyd": 3, "dan": 2}
    town.join(
        *(
            of("c", name, days, started_at=f"2022-0{ages[name]}-01T00:00:00Z")
            for name, days in names.items()
        )
    )
    order = []
    for _ in names:
        order += [name for name in names if town.stage(name) == "asked" and name not in order]
        town.deliver()
        goes(town, town.clock.now() + DAY)
        swept(town, 1)
    order += [name for name in names if town.stage(name) == "asked" and name not in order]
    assert order == ["bob", "cyd", "dan", "ada"]


@pytest.mark.parametrize("size", [1, 2, 7])
def test_batches_of_any_size_ask_the_same_people(town: Town, size: int) -> None:
    town.join(*(of(f"c{n % 3}", f"p{n}", 20 - n) for n in range(9)))
    assert swept(town, size).counts["asked"] == 3
    assert [town.stage(f"p{n}") for n in range(6, 9)] == ["asked"] * 3


def test_who_waits_keeps_a_timer_for_the_next_day_of_their_own(town: Town) -> None:
    town.join(of("c", "ada", 3), of("c", "bob", 5, timezone="Pacific/Auckland"))
    town.sweep()
    assert [at.isoformat() for at in timers(town, "bob")] == ["2024-09-02T12:00:00+00:00"]
    assert timers(town, "ada") == []


def test_another_sweep_on_the_same_day_changes_nothing(town: Town) -> None:
    town.join(of("c", "ada"), of("c", "bob"))
    town.sweep()
    town.deliver()
    before = fingerprint(town.database)
    town.clock.advance(10 * MINUTE)
    assert not town.sweep().counts
    assert fingerprint(town.database) == before


def test_a_timer_set_anew_by_billing_changes_nothing_about_the_turn(town: Town) -> None:
    town.join(of("c", "ada"), of("c", "bob"))
    town.sweep()
    town.join(of("c", "bob", plan="other"))
    assert not town.sweep().counts
    assert town.stage("bob") == "active"


def test_an_ask_opened_in_the_evening_takes_the_day_on_which_it_goes_out(town: Town) -> None:
    town.clock.set(START.replace(hour=22))
    town.join(of("c", "ada"), of("c", "bob"))
    days_go_by(town, 4, step=3 * HOUR)
    found = asked_days(town, "ada", "bob")
    assert found["ada"] == START.date() + DAY
    assert found["bob"] > found["ada"]


def test_while_the_relay_is_down_nobody_else_of_the_customer_is_queued(town: Town) -> None:
    down: Outcome = Later("relay down")
    town.relay.answer = lambda _: down
    town.join(of("c", "ada"), of("c", "bob"))
    days_go_by(town, 2, step=6 * HOUR)
    assert rows(town.database, "select count(*) from outbox") == [(1,)]
    town.relay.answer = lambda _: Done()
    days_go_by(town, 3, step=6 * HOUR)
    found = asked_days(town, "ada", "bob")
    assert found["bob"] > found["ada"]


def test_one_that_can_never_be_told_does_not_keep_the_others_waiting_for_ever(town: Town) -> None:
    town.join(of("c", "ada", 1), of("c", "bob", 2), of("c", "cyd", 3))
    poison: Outcome = Later("not now")
    town.relay.answer = lambda to: poison if to.startswith("ada") else Done()
    days_go_by(town, 9)
    assert set(asked_days(town, "ada", "bob", "cyd")) == {"bob", "cyd"}


@pytest.mark.parametrize("where", ["step", "place"])
def test_rules_that_fail_about_one_leave_the_turn_to_the_next(
    town: Town, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    town.join(of("c", "ada", 1), of("c", "bob", 2))
    poisoned = town.id_of("ada")
    for name in {"step", where}:
        monkeypatch.setattr(door, name, _failing(getattr(door, name), poisoned))
    town.sweep()
    assert (town.stage("ada"), town.stage("bob")) == ("active", "asked")
    town.deliver()
    monkeypatch.undo()
    goes(town, START + DAY)
    town.sweep()
    assert town.stage("ada") == "asked"


def _failing(real: Callable[..., Any], poisoned: int) -> Callable[..., Any]:
    def call(case: Case, *more: Any) -> Any:
        if case.subscription.id == poisoned:
            raise ValueError
        return real(case, *more)

    return call


def test_who_used_it_takes_no_turn(town: Town) -> None:
    town.join(of("c", "ada", 1), of("c", "bob", 2))
    town.use("ada")
    assert town.sweep().counts["asked"] == 1
    assert town.stage("bob") == "asked"


def test_whose_round_is_closed_on_the_day_still_has_taken_it(town: Town) -> None:
    town.join(of("c", "ada", 1), of("c", "bob", 2))
    town.sweep()
    town.deliver()
    town.answer("ada", "keep")
    town.join(of("c", "bob", plan="other"))
    assert not town.sweep().counts["asked"]
    days_go_by(town, 2)
    assert asked_days(town, "bob") == {"bob": START.date() + DAY}


# --- pace, guards, dry runs ----------------------------------------------------------------------


def under(database: Database, clock: MovableClock, links: Links, **changes: Any) -> Town:
    return Town.founded(database, clock, links, policy_json=YEAR | changes)


def test_who_waits_takes_nothing_of_the_quota(
    database: Database, clock: MovableClock, links: Links
) -> None:
    town = under(database, clock, links, pace={"notices_per_day": 2, "ramp": ["100%"]})
    town.join(of("c", "ada", 1), of("c", "bob", 2), of("d", "cyd", 3), of("e", "dan", 4))
    assert town.sweep().counts["asked"] == 2
    assert (town.stage("ada"), town.stage("cyd"), town.stage("dan")) == ("asked", "asked", "active")
    assert rows(database, "select taken from quota") == [(2,)]


def test_where_the_pace_lets_nobody_in_nobody_loses_their_place(
    database: Database, clock: MovableClock, links: Links
) -> None:
    town = under(database, clock, links, pace={"notices_per_day": 1, "ramp": ["100%"]})
    town.join(row("eve", renews_at=(START + HOUR).isoformat()), of("c", "ada"), of("c", "bob"))
    before = [timers(town, name) for name in ("ada", "bob")]
    assert town.sweep().counts["asked"] == 1
    assert town.stage("eve") == "asked"
    assert [timers(town, name) for name in ("ada", "bob")] == before


def test_the_guard_of_many_at_once_counts_each_person_on_one_day(
    database: Database, clock: MovableClock, links: Links
) -> None:
    """Twenty may come due in a day: fifteen customers with two each are fifteen, and fifteen."""
    town = under(database, clock, links, guards={"max_newly_due_share": "1%"})
    town.join(*(of(f"c{n % 15:02}", f"p{n:02}") for n in range(30)))
    assert town.sweep().counts["asked"] == 15
    town.deliver()
    goes(town, START + DAY)
    assert town.sweep().counts["asked"] == 15


def test_who_lifts_the_brake_has_seen_those_who_wait_too(
    database: Database, clock: MovableClock, links: Links
) -> None:
    town = under(database, clock, links, guards={"max_newly_due_share": "1%"})
    town.join(*(of(f"c{n % 30:02}", f"p{n:02}") for n in range(60)))
    assert "newly_due" in str(town.sweep().stopped)
    with database.transaction() as connection:
        guards.lift(connection, town.product.id, "cli:test", "seen", clock.now())
    assert town.sweep().counts["asked"] == 30
    town.deliver()
    goes(town, START + DAY)
    assert town.sweep().counts["asked"] == 30


def test_a_ramp_begins_with_everybody_who_waits(
    database: Database, clock: MovableClock, links: Links
) -> None:
    town = under(database, clock, links, pace={"ramp": ["50%", "100%"]})
    town.join(*(of(f"c{n % 5}", f"p{n}") for n in range(10)))
    done = town.sweep()
    assert (done.backlog, done.counts["asked"]) == (10, 5)


@pytest.mark.parametrize("size", [1, 3, 1000])
def test_a_dry_run_says_what_a_real_one_does(town: Town, size: int) -> None:
    town.join(*(of(f"c{n % 3}", f"p{n}", 20 - n) for n in range(10)), row("eve"))
    before = fingerprint(town.database)
    dry = swept(town, size, dry=True, list_people=True)
    assert fingerprint(town.database) == before
    real = swept(town, size, list_people=True)
    assert sorted(dry.people) == sorted(real.people)
    assert dry.counts == real.counts == {"asked": 4}


# --- at once, and killed -----------------------------------------------------------------------


def test_sweeps_at_once_ask_a_customer_once_and_nobody_is_lost(
    database: Database, clock: MovableClock, links: Links
) -> None:
    town = under(database, clock, links)
    town.join(*(of(f"c{n % 12:02}", f"p{n:02}", n % 7) for n in range(48)))
    line = Barrier(4)

    def run() -> None:
        line.wait()
        swept(town, 3)

    for day in range(6):
        threads = [Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        swept(town)  # whoever was judged elsewhere kept their timer
        found = rows(
            database,
            """select s.customer, count(*) from reconfirmation r
               join subscription s on s.id = r.subscription_id
               where r.opened_at >= :day group by 1""",
            day=town.clock.now(),
        )
        assert Counter(many for _, many in found) == ({1: 12} if day < 4 else {}), day
        town.deliver()
        goes(town, town.clock.now() + DAY)
    assert len(asked_days(town, *(f"p{n:02}" for n in range(48)))) == 48


def test_a_customer_with_very_many_is_asked_about_one_and_costs_no_more_than_they_are(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.join(*(of("c", f"p{n:03}", n % 28) for n in range(200)))
    judged = Counter[int]()
    real = Batch.place_in_turn

    def counted(batch: Batch, case: Case) -> Any:
        judged[case.subscription.id] += 1
        return real(batch, case)

    monkeypatch.setattr(Batch, "place_in_turn", counted)
    assert swept(town).counts["asked"] == 1
    assert max(judged.values()) <= 10, judged.most_common(3)


def test_rounds_of_who_is_judged_elsewhere_are_not_waited_for(town: Town) -> None:
    """The other sweep holds their rounds; to wait for them with the quota locked is a deadlock."""
    town.join(of("c", "ada", 1), of("c", "bob", 2))
    town.sweep()
    town.deliver()
    town.answer("ada", "keep")
    goes(town, START + DAY)
    with town.database.transaction() as connection:
        for table, column in (("subscription", "id"), ("reconfirmation", "subscription_id")):
            connection.exec_driver_sql(f"select 1 from {table} order by {column} for update")  # noqa: S608
        thread = Thread(target=swept, args=(town,), daemon=True)
        thread.start()
        thread.join(20)
        assert not thread.is_alive()
    assert town.stage("bob") == "active"


def test_who_is_judged_elsewhere_keeps_the_timer_and_is_found_later(town: Town) -> None:
    (ada, _) = town.join(of("c", "ada", 1), of("c", "bob", 2))
    before = [timers(town, name) for name in ("ada", "bob")]
    with town.database.transaction() as connection:
        connection.exec_driver_sql("select id from subscription where id = %s for update", (ada,))
        assert not swept(town).counts
    assert [timers(town, name) for name in ("ada", "bob")] == before
    assert swept(town).counts["asked"] == 1


def test_a_sweep_that_is_killed_leaves_the_turn_as_it_was(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.join(of("c", "ada", 1), of("c", "bob", 2))
    before = fingerprint(town.database)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Batch, "count", killed)
        with pytest.raises(KeyboardInterrupt):
            swept(town)
    assert fingerprint(town.database) == before
    swept(town)
    assert (town.stage("ada"), town.stage("bob")) == ("asked", "active")


# --- R22: who shares a customer changes the day, never whether --------------------------------


Person = tuple[str, int, int, str, str | None]
"""Which customer, charged in so many days, used so many days ago, zone, and what they answer."""
AT_NOON_BY_DAY = ("Europe/London", "America/Sao_Paulo", "Africa/Nairobi")
NEVER = 400


def anybody(dice: Random) -> list[Person]:
    """Give people of whom some share a customer, and with it the zone."""
    zones = {f"c{n}": dice.choice(AT_NOON_BY_DAY) for n in range(5)}
    people: list[Person] = []
    for _ in range(14):
        customer = dice.choice(list(zones))
        used = dice.choice([NEVER, NEVER, *range(350, 372)])
        word = dice.choice([None, None, "keep", "cancel"])
        people.append((customer, dice.randint(1, 28), used, zones[customer], word))
    return people


@pytest.mark.parametrize("seed", range(4))
def test_a_customer_id_moves_the_day_and_changes_nothing_else(
    database: Database, clock: MovableClock, links: Links, seed: int
) -> None:
    people = anybody(Random(seed))  # noqa: S311 - a game with dice
    lives = {}
    for key, shared in (("shared", True), ("alone", False)):
        clock.set(START)
        town = Town.founded(database, clock, links, key)
        for n, (customer, days, used, zone, _) in enumerate(people):
            town.join(of(customer if shared else "", f"p{n}", days, timezone=zone))
            if used < NEVER:
                town.use(f"p{n}", START.date() - timedelta(days=used))
        lives[key] = _lived(town, people)
    assert lives["shared"].keys() == lives["alone"].keys()
    size = Counter(customer for customer, *_ in people)
    taken = Counter[tuple[str, date]]()
    for name, (day, outcome) in lives["shared"].items():
        customer = people[int(name[1:])][0]
        early, alone = lives["alone"][name]
        assert 0 <= (day - early).days < size[customer], name
        assert outcome == alone, name
        taken[customer, day] += 1
    assert max(taken.values()) == 1, taken
    assert any(lives["shared"][name] != lives["alone"][name] for name in lives["alone"])


def _lived(town: Town, people: list[Person]) -> dict[str, tuple[date, str]]:
    """Let 55 days pass; give the day of each first ask in their own zone, and what it came to."""
    said: set[str] = set()
    for _ in range(55):
        town.sweep()
        town.deliver()
        for n, (*_, answer) in enumerate(people):
            if answer and f"p{n}" not in said and "ask" in mails(town, f"p{n}@"):
                town.answer(f"p{n}", answer)
                said.add(f"p{n}")
        goes(town, town.clock.now() + DAY)
    found = rows(
        town.database,
        """select s.external_id, c.timezone, r.asked_at, coalesce(r.outcome, r.stage)
           from reconfirmation r join subscription s on s.id = r.subscription_id
           join contact c on c.subscription_id = s.id
           where r.number = 1 and s.product_id = :id""",
        id=town.product.id,
    )
    return {
        name: (at.astimezone(ZoneInfo(zone)).date(), came_to) for name, zone, at, came_to in found
    }


# --- each on its own ---------------------------------------------------------------------------


def test_each_link_names_one_subscription(town: Town) -> None:
    town.join(of("c", "ada"), of("c", "bob"))
    days_go_by(town, 2)
    links = {}
    for mail in town.relay.mails():
        text = mail.get_body(("plain",))
        assert text is not None
        links[str(mail["To"]).partition("@")[0]] = text.get_content().partition("/a/")[2][:20]
    assert len(set(links.values())) == 2
    town.answer("ada", "keep")
    assert (town.stage("ada"), town.stage("bob")) == ("active", "asked")


def test_use_told_by_customer_counts_for_all_of_theirs(town: Town) -> None:
    town.join(of("c", "ada"), of("c", "bob"), of("d", "cyd"), row("eve"))
    days_go_by(town, 2)
    assert {town.stage(name) for name in ("ada", "bob", "cyd", "eve")} == {"asked"}
    told = Told({}, {"c": town.clock.now().date()})
    Intake(town.database, town.clock).record(town.key, told, "cli:test")
    stages = [town.stage(name) for name in ("ada", "bob", "cyd", "eve")]
    assert stages == ["active", "active", "asked", "asked"]


def billing_tells(town: Town, at: datetime, *facts: Row) -> None:
    """Let billing tell of subscriptions, as they were at a moment."""
    read = [read_row(each, at) for each in facts]
    mirror = Mirror(town.database, town.clock)
    with town.database.transaction() as connection:
        for each in read:
            mirror.bring_in(connection, town.product, [each], "billing:standard", news=True)


@pytest.mark.parametrize("newer_first", [True, False])
@pytest.mark.parametrize("stage", ["active", "asked", "suspended"])
def test_the_end_of_the_old_one_never_touches_the_new_one(
    town: Town, stage: str, *, newer_first: bool
) -> None:
    """An upgrade: billing cancels the old one and creates another in the same minute."""
    old = of("c", "old", email="ada@subscribers.example")
    if stage == "active":
        old |= {"started_at": "2024-08-01T00:00:00Z"}
    town.join(old)
    town.sweep()
    town.deliver()
    if stage == "suspended":
        goes(town, START + 32 * DAY)
        town.hear(town.clock.now().date())
        town.settle()
    assert town.stage("old") == stage
    now = town.clock.now()
    new = of("c", "new", 400, email="ada@subscribers.example", plan="family")
    new |= {"started_at": now.isoformat(), "renews_at": (now + 30 * DAY).isoformat()}
    told = [old | {"status": "canceled"}, new]
    for each in reversed(told) if newer_first else told:
        billing_tells(town, now, each)
    assert town.stage("old") == "canceled"
    before = town.case("new")
    assert (before.round, before.subscription.status) == (None, "active")
    acts = town.acts("new")
    days_go_by(town, 60)
    after = town.case("new")
    assert (after.round, after.subscription.status, town.acts("new")) == (None, "active", acts)
    assert town.story("new") == []
    assert [at.astimezone(LONDON).date() for at in timers(town, "new")] == [
        date(now.year + 1, now.month, now.day) + DAY
    ]
    assert rows(
        town.database,
        "select count(*) from contact c join subscription s on s.id = c.subscription_id"
        " where s.external_id = 'new' and c.email is not null",
    ) == [(1,)]


def test_the_old_one_that_was_just_asked_about_does_not_put_off_the_new_one_for_ever(
    town: Town,
) -> None:
    town.join(of("c", "old", 1), of("c", "new", 2))
    town.sweep()
    town.deliver()
    billing_tells(town, town.clock.now(), of("c", "old", 1, status="canceled"))
    days_go_by(town, 3)
    assert asked_days(town, "new") == {"new": START.date() + DAY}


def test_two_products_know_nothing_of_each_others_customers(
    database: Database, clock: MovableClock, links: Links
) -> None:
    towns = [Town.founded(database, clock, links, key) for key in ("tv", "radio")]
    for town in towns:
        town.join(of("c", "ada"))
        assert town.sweep().counts["asked"] == 1


def test_who_names_no_customer_is_never_looked_up(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.join(row("ada"), row("bob"))

    def never(*_: object) -> None:
        raise AssertionError

    monkeypatch.setattr(customers, "families", never)
    assert town.sweep().counts["asked"] == 2
