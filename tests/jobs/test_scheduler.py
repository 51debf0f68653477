"""The leader sees what is due, wakes workers for it, and on the test clock lets time pass."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import psycopg
import pytest
from sqlalchemy import update

from app.clock import Clock
from app.lifecycle.case import Answer, Word
from app.links import Links
from app.store import running, testclock
from app.store.database import Database, Session
from app.store.running import Run
from app.store.tables import feed
from app.world.connector import Away, Connector
from jobs import scheduler
from jobs.billing import Books
from jobs.crew import Crew
from jobs.scheduler import Leader, Scheduler
from jobs.walk import Walker
from tests.fakebooks import FakeBooks, Killed, books_of, kept, on_books
from tests.probe import DAY, leases_run_out, rows
from tests.world import START, YEAR, MovableClock, Town, row

SECOND = timedelta(seconds=1)


@dataclass
class Calls:
    """A waker that remembers whom it called; `crew` does the work at once, where there is one."""

    crew: Crew | None = None
    made: list[tuple[str, int, int]] = field(default_factory=list)
    lost: int = 0
    untaken: int = 0

    def wake(self, job: str, product_id: int, term: int, hands: int = 1) -> None:
        self.made += [(job, product_id, term)] * hands
        if self.lost:
            self.lost -= 1
        elif self.crew:
            for _ in range(hands):
                self.crew.called(job, product_id, term)

    def waiting(self) -> int:
        return self.untaken

    @property
    def jobs(self) -> list[str]:
        return [job for job, _, _ in self.made]


class NoWebhooks:
    """No endpoint, nothing to tell."""

    def work(self, product: str, go_on: Any) -> tuple[int, bool]:  # noqa: ARG002
        return 0, True


@contextmanager
def session(database: Database) -> Iterator[Session]:
    with psycopg.connect(database.url, autocommit=True) as connection:
        connection.execute("set timezone to 'UTC'")
        yield connection


@pytest.fixture
def beside(database: Database) -> Iterator[Session]:
    with session(database) as connection:
        yield connection


def leader(town: Town, calls: Calls, connection: Session, *, test: bool = False) -> Leader:
    clock = life_clock(town) if test else town.clock
    candidate = Scheduler(town.database, clock, calls, lambda: None, test=test)
    # The history has just been sealed: that it is to be again is for the tests of sealing.
    later = town.clock.wall() + timedelta(days=1)
    rows(town.database, "insert into sealing (at) values (:at) on conflict do nothing", at=later)
    term = lead_at_last(connection)
    assert term is not None
    return Leader(candidate, connection, term)


def life_clock(town: Town) -> Clock:
    """Give the clock of test mode: its row, on a machine whose time goes on with each look."""

    def now() -> datetime:
        with town.database.transaction() as connection:
            return testclock.read(connection) or START

    ticks = iter(range(1, 10**9))
    return Clock(now, lambda: START + next(ticks) * timedelta(milliseconds=5))


def crew_on(town: Town, clock: Clock, billing: Connector | None = None) -> Crew:
    @contextmanager
    def one() -> Iterator[Any]:
        worker = town.worker()
        worker.clock = clock
        worker.effects = type(worker.effects)(town.database, clock, town.links)
        yield worker

    found = billing or town.worker().connector(town.key)
    books = Books(town.database, clock, lambda _: found)  # type: ignore[arg-type,return-value]
    return Crew(town.database, clock, one, NoWebhooks(), books=books)


def lead_at_last(connection: Session) -> int | None:
    """Take the lead once the server has seen that the other session is gone."""
    for _ in range(500):
        term = running.lead(connection, START + SECOND)
        if term is not None:
            return term
        connection.execute("select pg_sleep(0.01)")
    return None


# --- who leads ---------------------------------------------------------------------------------


def test_one_leads_until_its_session_ends_and_the_next_has_a_higher_term(
    database: Database,
) -> None:
    with session(database) as second:
        with session(database) as first:
            assert running.lead(first, START) == 1
            assert running.lead(second, START) is None
        assert lead_at_last(second) == 2


def test_a_leader_that_hangs_is_deposed_and_one_that_is_there_is_not(database: Database) -> None:
    with session(database) as second, session(database) as first:
        running.lead(first, START)
        assert not running.depose(second, START)
        assert running.depose(second, START + SECOND)
        with pytest.raises(psycopg.OperationalError):
            first.execute("select 1")
        assert lead_at_last(second) == 2


def test_a_leader_of_an_earlier_term_learns_that_it_leads_no_more(beside: Session) -> None:
    term = running.lead(beside, START)
    assert term is not None
    assert running.still_leads(beside, term, START)
    beside.execute("update leader set term = term + 1")
    assert not running.still_leads(beside, term, START)


# --- whom it wakes -------------------------------------------------------------------------------


def test_a_sweep_is_called_for_who_is_due_and_nobody_for_what_is_not(
    town: Town, beside: Session
) -> None:
    town.join(row("ada"))
    calls = Calls()
    leader(town, calls, beside)._watch()
    assert calls.jobs == ["sweep"]


def test_notices_are_called_for_once_somebody_is_asked(town: Town, beside: Session) -> None:
    town.join(row("ada"))
    town.sweep()
    calls = Calls()
    leader(town, calls, beside)._watch()
    assert set(calls.jobs) == {"sweep", "notice"}


def test_a_call_is_not_made_again_before_it_was_answered_or_is_taken_for_lost(
    town: Town, beside: Session
) -> None:
    town.join(row("ada"))
    calls = Calls()
    leads = leader(town, calls, beside)
    for _ in range(5):
        leads._watch()
    assert calls.jobs == ["sweep"]
    town.clock.advance(scheduler.CALL_AGAIN)
    leads._watch()
    assert calls.jobs == ["sweep", "sweep"]


def test_a_job_that_can_do_nothing_is_left_alone_for_a_while(town: Town, beside: Session) -> None:
    town.join(row("ada"))
    town.sweep()
    calls = Calls()
    leads = leader(town, calls, beside)
    note(town, "notice", did=0)
    note(town, "sweep", did=0)
    town.clock.advance(SECOND)
    leads._watch()
    assert calls.jobs == []
    town.clock.advance(scheduler.LOOK_AGAIN)
    leads._watch()
    assert calls.jobs == ["notice"]


def test_a_job_that_did_something_is_called_again_at_once(town: Town, beside: Session) -> None:
    town.join(row("ada"))
    town.sweep()
    calls = Calls()
    leads = leader(town, calls, beside)
    note(town, "notice", did=100)
    note(town, "sweep", did=0)
    town.clock.advance(SECOND)
    leads._watch()
    assert calls.jobs == ["notice"]


def test_what_comes_while_a_job_is_blocked_is_not_kept_waiting(town: Town, beside: Session) -> None:
    town.join(row("ada"), row("ben"))
    town.sweep()
    town.database.engine.dispose()
    beside.execute("update outbox set state = 'parked' where subscription_id = %s", (1,))
    calls = Calls()
    leads = leader(town, calls, beside)
    note(town, "notice", did=0)
    note(town, "sweep", did=0)
    town.clock.advance(SECOND)
    leads._watch()
    beside.execute(
        "insert into outbox (product_id, subscription_id, round, lane, kind, version,"
        " not_before, state, fence, tries, unknown) select product_id,"
        " subscription_id, round, 'notice', 'notice.kept', 9, not_before, 'pending',"
        " 0, 0, 0 from outbox limit 1"
    )
    town.clock.advance(SECOND)
    leads._watch()
    assert calls.jobs == ["notice"]


def test_guards_are_looked_after_even_where_nobody_is_due(town: Town, beside: Session) -> None:
    calls = Calls()
    leads = leader(town, calls, beside)
    note(town, "sweep", did=0)
    town.clock.advance(scheduler.SWEEP_EVERY - SECOND)
    leads._watch()
    assert calls.jobs == []
    town.clock.advance(SECOND)
    leads._watch()
    assert calls.jobs == ["sweep"]


def test_tidying_that_breaks_down_keeps_nobody_from_being_woken(
    town: Town, beside: Session
) -> None:
    tidied: list[bool] = []

    def broken() -> None:
        tidied.append(True)
        raise RuntimeError("defect")

    calls = Calls()
    leads = leader(town, calls, beside)
    leads.scheduler.tidy = broken
    leads._watch()
    town.join(row("ada"))
    town.clock.advance(scheduler.SWEEP_EVERY)
    leads._watch()
    assert tidied == [True, True]
    assert calls.jobs == ["sweep", "sweep"]


def test_much_work_gets_many_hands(town: Town, beside: Session) -> None:
    town.join(row("ada"))
    town.sweep()
    beside.execute(
        "insert into outbox (product_id, subscription_id, round, lane, kind, version, not_before,"
        " state, fence, tries, unknown) select product_id, 1000 + n, 1, 'notice', kind, 1,"
        " not_before, 'pending', 0, 0, 0 from outbox, generate_series(1, 300) n"
    )
    calls = Calls()
    leader(town, calls, beside)._watch()
    assert calls.jobs.count("notice") == 3


def busy(town: Town, beside: Session, many: int = 5000) -> None:
    """Put a product in the middle of a campaign."""
    town.join(row("ada"))
    town.sweep()
    beside.execute(
        "insert into outbox (product_id, subscription_id, round, lane, kind, version, not_before,"
        " state, fence, tries, unknown) select product_id, 1000 + n, 1, 'notice', kind, 1,"
        " not_before, 'pending', 0, 0, 0 from outbox, generate_series(1, %s) n",
        (many,),
    )


def test_a_campaign_takes_what_the_others_leave(town: Town, beside: Session) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    busy(town, beside)
    calls = Calls()
    leads = leader(town, calls, beside)
    leads._watch()
    assert calls.jobs.count("notice") == scheduler.MOST_HANDS - 2  # the sweeps of both

    radio.join(row("bob"))
    radio.sweep()
    calls.made.clear()
    calls.untaken = scheduler.MOST_WAITING - 1
    town.clock.advance(scheduler.CALL_AGAIN)
    leads._watch()
    assert [(job, number) for job, number, _ in calls.made] == [("notice", radio.product.id)]

    calls.made.clear()
    calls.untaken = scheduler.MOST_WAITING
    town.clock.advance(scheduler.CALL_AGAIN)
    leads._watch()
    assert calls.made == []


def note(town: Town, job: str, *, did: int, idle: bool = True) -> None:
    now, number = town.clock.now(), town.product.id
    with town.database.transaction() as connection:
        running.note_run(connection, Run(number, job, now, now, now, did, 0, idle))


# --- keeping the books -----------------------------------------------------------------------


def test_books_are_called_for_when_there_is_something_to_do(town: Town, beside: Session) -> None:
    billing = on_books(town)
    calls = Calls()
    leads = leader(town, calls, beside)
    note(town, "sweep", did=0)
    leads._watch()
    assert calls.jobs == []
    beside.execute(
        "insert into look (product_id, external_id, wanted_at, not_before, hints, tries)"
        " select id, 'ada', %s, %s, 1, 0 from product",
        (START, START),
    )
    town.clock.advance(SECOND)
    leads._watch()
    assert calls.jobs == ["look"]
    town.clock.advance(DAY)
    note(town, "sweep", did=0)
    leads._watch()
    assert sorted(calls.jobs) == ["look", "look", "reconcile"]
    books = books_of(town, billing)
    kept(books)
    town.clock.advance(SECOND)
    leads._watch()
    assert len(calls.jobs) == 3


def test_many_looks_leave_billing_to_the_acts(town: Town, beside: Session) -> None:
    note(town, "sweep", did=0)
    beside.execute(
        "insert into look (product_id, external_id, wanted_at, not_before, hints, tries)"
        " select id, n, %s, %s, 1, 0 from product, generate_series(1, 900) n",
        (START, START),
    )
    calls = Calls()
    leader(town, calls, beside)._watch()
    assert calls.jobs == ["look"] * scheduler.MOST_AT_BOOKS


def due_now(town: Town, beside: Session) -> running.Due:
    (found,) = running.due(beside, town.clock.now(), town.clock.wall())
    return found


def test_what_a_dead_worker_held_is_due_again_when_its_lease_ends(
    town: Town, beside: Session
) -> None:
    billing = on_books(town)
    billing.has(row("ada"))
    town.clock.advance(2 * DAY)

    def dies(_: str) -> None:
        raise Killed

    beside.execute(
        "insert into look (product_id, external_id, wanted_at, not_before, hints, tries)"
        " select id, 'ada', %s, %s, 1, 0 from product",
        (START, START),
    )
    before = due_now(town, beside)
    assert (before.look, before.reconcile, before.claimed) == (1, 1, 0)
    for job in ("look", "reconcile"):
        with pytest.raises(Killed):
            books_of(town, billing, after_step=dies).work(job, "tv", lambda: True)
    held = due_now(town, beside)
    assert (held.look, held.reconcile, held.claimed, held.forsaken) == (0, 0, 2, 0)
    leases_run_out(town)
    left = due_now(town, beside)
    assert (left.look, left.reconcile, left.claimed, left.forsaken) == (1, 1, 2, 2)


# --- walking ---------------------------------------------------------------------------------


def people(town: Town) -> None:
    town.join(
        row("ada"),
        row("ben", timezone="America/New_York", renews_at="2024-09-11T00:00:00Z"),
        row("cleo", email=""),
        row("dan", started_at="2023-10-15T10:00:00Z"),
    )


def hear_ahead(town: Town, days: int) -> None:
    """Let the feed have told everything long before: nobody in these stories uses anything."""
    with town.database.transaction() as connection:
        connection.execute(update(feed).values(covers_until=(START + days * DAY).date()))


def order(town: Town, until: datetime, step: timedelta = SECOND) -> None:
    with town.database.transaction() as connection:
        if testclock.read(connection) is None:
            testclock.write(connection, START)
        testclock.order_walk(connection, until, step)


def walk_to_the_end(leads: Leader, connection: Session, most: int = 5000) -> int:
    for turns in range(most):
        leads._turn()
        clock = testclock.standing(connection)
        if clock is not None and clock.until is None:
            return turns
    raise AssertionError("the walk does not end")


def test_walking_comes_to_the_same_as_doing_it_all_by_hand(
    database: Database, links: Links, beside: Session
) -> None:
    stories = {}
    for key in ("byhand", "walked"):
        town = Town.founded(database, MovableClock(), links, key)
        people(town)
        hear_ahead(town, 60)
        order(town, START)
        clock = life_clock(town)
        with database.transaction() as connection:
            testclock.write(connection, START)
        if key == "byhand":
            worker = town.worker()
            worker.clock, worker.effects = clock, type(worker.effects)(database, clock, links)
            Walker(database, clock, worker).advance(START + 50 * DAY)
        else:
            leads = leader(town, Calls(crew_on(town, clock)), beside, test=True)
            order(town, START + 50 * DAY)
            walk_to_the_end(leads, beside)
        stories[key] = {
            name: (town.story(name), town.acts(name), town.charges(name))
            for name in ("ada", "ben", "cleo", "dan")
        }
        beside.execute("delete from timer")
        beside.execute("update reconfirmation set wake_at = null")
        beside.execute("delete from outbox")
    assert stories["byhand"] == stories["walked"]
    assert "suspended" in stories["walked"]["ada"][0]


def test_a_walk_goes_on_where_a_leader_that_died_left_it(town: Town, database: Database) -> None:
    people(town)
    hear_ahead(town, 60)
    order(town, START + 40 * DAY)
    calls = Calls(crew_on(town, life_clock(town)))
    turns = 0
    for most in (3, 5, 8, 13, 5000):
        with session(database) as connection:
            leads = leader(town, calls, connection, test=True)
            for _ in range(most):
                leads._turn()
                turns += 1
                clock = testclock.standing(connection)
                if clock is None or clock.until is None:
                    break
    assert town.stage("ada") == "suspended"
    assert town.acts("ada") == ["suspend"]


def test_a_call_that_is_lost_on_a_walk_is_made_again(town: Town, beside: Session) -> None:
    people(town)
    hear_ahead(town, 60)
    order(town, START + 40 * DAY)
    calls = Calls(crew_on(town, life_clock(town)), lost=3)
    leads = leader(town, calls, beside, test=True)
    leads.scheduler.call_again = timedelta(milliseconds=100)
    walk_to_the_end(leads, beside, most=20_000)
    assert town.stage("ada") == "suspended"


def test_a_coarse_walk_does_what_is_due_at_the_next_step(town: Town, beside: Session) -> None:
    town.join(row("ada"))
    hear_ahead(town, 3)
    order(town, START + 2 * DAY, timedelta(hours=6))
    leads = leader(town, Calls(crew_on(town, life_clock(town))), beside, test=True)
    seen = set()
    for _ in range(200):
        leads._turn()
        clock = testclock.standing(beside)
        assert clock is not None
        seen.add(clock.now)
        if clock.until is None:
            break
    assert all(moment.hour % 6 == 0 for moment in seen)
    assert len(town.relay.sent) == 1


def test_between_walks_the_walked_clock_and_all_that_is_due_stand_still(
    town: Town, beside: Session
) -> None:
    order(town, START)
    calls = Calls(crew_on(town, life_clock(town)))
    leads = leader(town, calls, beside, test=True)
    walk_to_the_end(leads, beside)
    town.join(row("ada"))
    before = len(calls.made)
    for _ in range(20):
        leads._turn()
    assert len(calls.made) == before
    order(town, START + SECOND)
    walk_to_the_end(leads, beside)
    assert town.case("ada").round is not None


def test_a_year_of_silence_is_walked_in_a_few_steps(town: Town, beside: Session) -> None:
    order(town, START + 365 * DAY)
    leads = leader(town, Calls(crew_on(town, life_clock(town))), beside, test=True)
    assert walk_to_the_end(leads, beside) < 10


def test_answers_on_the_way_count_as_on_any_day(town: Town, beside: Session) -> None:
    town.put_in_force(YEAR)
    town.join(row("ada"))
    hear_ahead(town, 90)
    clock = life_clock(town)
    leads = leader(town, Calls(crew_on(town, clock)), beside, test=True)
    order(town, START + 2 * DAY)
    walk_to_the_end(leads, beside)
    town.clock.set(clock.now())
    town.tell("ada", Answer(Word.CANCEL, 1))
    order(town, START + 4 * DAY)
    walk_to_the_end(leads, beside)
    assert town.stage("ada") == "canceled"


def walked_with(town: Town, beside: Session, billing: FakeBooks, days: int) -> int:
    """Walk so many days with a billing system that can be asked; give the turns it took."""
    clock = life_clock(town)
    billing.town = replace(town, clock=clock)  # type: ignore[arg-type]
    leads = leader(town, Calls(crew_on(town, clock, billing)), beside, test=True)
    order(town, START + days * DAY)
    return walk_to_the_end(leads, beside)


def test_a_walk_stops_once_a_day_to_compare_with_billing(town: Town, beside: Session) -> None:
    billing = on_books(town)
    billing.has(*(row(f"p{number:02}") for number in range(25)))
    turns = walked_with(town, beside, billing, 30)
    assert 28 <= billing.calls("page").count(None) <= 30
    assert turns < 30 * 5
    assert town.case("p00").subscription.status == "active"


def test_billing_that_is_always_away_does_not_stall_a_walk(town: Town, beside: Session) -> None:
    billing = on_books(town)

    def away(_kind: str, _what: object) -> None:
        raise Away("http 503", timedelta(0))

    billing.before = away
    assert walked_with(town, beside, billing, 10) < 300
    assert len(billing.asked) > 10
