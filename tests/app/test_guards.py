"""What stops or slows a product by itself."""

from collections.abc import Callable
from datetime import UTC, date, datetime
from threading import Barrier, Thread
from typing import Any

import pytest

from app import guards
from app.engine.sweep import Pass
from app.guards import Allowance
from app.lifecycle.case import Answer, Event, Reach, Undelivered, Word
from app.links import Links
from app.store import due, pace, products
from app.store.database import Database
from app.world.outcome import Done, No, Outcome
from tests.probe import DAY, HOUR, MINUTE, asked, fingerprint, goes, kinds, mails, rows
from tests.world import START, YEAR, MovableClock, Town, row

Found = Callable[..., Town]


@pytest.fixture
def found(database: Database, clock: MovableClock, links: Links) -> Found:
    """Give a way to found a town with guards of its own, on which nothing else is out of limits."""

    def make(key: str = "tv", pace: dict[str, Any] | None = None, **limits: str) -> Town:
        wide = {"max_bounce_rate": "50%", "max_complaint_rate": "10%", "max_in_use_rate": "50%"}
        policy = YEAR | {"guards": wide | {"max_newly_due_share": "100%"} | limits}
        return Town.founded(
            database, clock, links, key, policy if pace is None else policy | {"pace": pace}
        )

    return make


def crowd(town: Town, many: int, name: str = "p", **changes: Any) -> list[str]:
    names = [f"{name}{number:02}" for number in range(many)]
    town.join(*(row(each, **changes) for each in names))
    return names


def brakes(town: Town) -> list[tuple[str, str]]:
    """Give the brakes that are on, by cause, with their numbers."""
    statement = """select cause, why from brake b join product p on p.id = b.product_id
                   where p.key = :key and lifted_at is null order by b.id"""
    return [(cause, why) for cause, why in rows(town.database, statement, key=town.key)]


def lift(town: Town, why: str = "seen") -> int:
    with town.database.transaction() as connection:
        number = products.row_of(connection, town.key).id
        return guards.lift(connection, number, "cli:ann", why, town.clock.now())


def test_an_allowance_gives_out_what_it_has() -> None:
    allowed = Allowance(2, "enough")
    assert [allowed.take() for _ in range(3)] == [True, True, False]
    assert allowed.used == 2


def test_everything_is_told_until_the_end_of_the_day_in_utc() -> None:
    assert guards.told_until(date(2024, 8, 31)) == datetime(2024, 9, 1, tzinfo=UTC)


def test_the_horizon_reaches_to_the_end_of_the_day_in_the_west(town: Town) -> None:
    town.hear(date(2024, 8, 31))
    assert guards.horizon(town.product, START + 10 * DAY) == datetime(2024, 9, 1, 12, tzinfo=UTC)


def test_the_horizon_is_never_later_than_now(town: Town) -> None:
    town.hear(START.date())
    assert guards.horizon(town.product, START) == START


def test_without_a_feed_there_is_no_horizon(town: Town) -> None:
    rows(town.database, "delete from feed")
    assert guards.horizon(town.product, START) is None
    assert guards.is_stale(town.product, START)


@pytest.mark.parametrize(("hours", "stale"), [(35, False), (36, False), (37, True)])
def test_a_feed_is_stale_after_as_long_as_the_policy_says(
    town: Town, hours: int, *, stale: bool
) -> None:
    told = guards.told_until(date(2024, 8, 31))
    assert guards.is_stale(town.product, told + hours * HOUR) is stale


def test_the_quota_left_is_the_days_less_what_was_taken(town: Town) -> None:
    town.put_in_force(YEAR | {"pace": {"notices_per_day": 10, "ramp": ["100%"]}})
    with town.database.transaction() as connection:
        guards.count_asked(connection, town.product, START, 3, 2)
        assert guards.allowance(connection, town.product, START).left == 5
        assert guards.allowance(connection, town.product, START + DAY).left == 10


def test_the_quota_never_goes_below_nothing(town: Town) -> None:
    town.put_in_force(YEAR | {"pace": {"notices_per_day": 10, "ramp": ["100%"]}})
    with town.database.transaction() as connection:
        guards.count_asked(connection, town.product, START, 30, 0)
        assert guards.allowance(connection, town.product, START).left == 0


def test_the_days_of_the_quota_are_utc_days() -> None:
    late = datetime.fromisoformat("2024-09-01T23:30:00-05:00")
    assert guards.day_of(late) == date(2024, 9, 2)


def test_without_a_policy_nothing_is_allowed(town: Town) -> None:
    rows(town.database, "update product set policy_version = null")
    with town.database.transaction() as connection:
        assert guards.allowance(connection, town.product, START).left == 0


def test_a_percentage_of_a_small_backlog_is_at_least_one(town: Town) -> None:
    town.put_in_force(YEAR | {"pace": {"ramp": ["1%", "100%"]}})
    with town.database.transaction() as connection:
        guards.begin_ramp(connection, town.product, 30)
        assert guards.allowance(connection, town.product, START).left == 1


def test_a_percentage_is_of_the_backlog_at_the_beginning_and_rounds_up(town: Town) -> None:
    town.put_in_force(YEAR | {"pace": {"ramp": ["1%", "100%"]}})
    with town.database.transaction() as connection:
        guards.begin_ramp(connection, town.product, 250)
        guards.begin_ramp(connection, town.product, 90_000)
        assert guards.allowance(connection, town.product, START).left == 3


def test_a_ramp_of_everybody_is_no_ramp(town: Town) -> None:
    assert guards.ramp_is_open(town.product)
    with town.database.transaction() as connection:
        assert not guards.ramp_unknown(connection, town.product)


def test_a_reminder_takes_of_the_quota_and_not_of_the_ramp(town: Town) -> None:
    town.put_in_force(YEAR | {"pace": {"ramp": [4, "100%"]}})
    with town.database.transaction() as connection:
        guards.begin_ramp(connection, town.product, 30)
        guards.count_asked(connection, town.product, START, 1, 9)
        assert guards.allowance(connection, town.product, START).left == 3
        assert pace.taken(connection, town.product.id, START.date()) == 10


def test_feeds_are_checked_for_one_product_only(town: Town) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    later = START + 3 * DAY
    with town.database.transaction() as connection:
        guards.check_feeds(connection, town.product, later)
        assert guards.braked(connection, town.product)
        assert not guards.braked(connection, radio.product)


def test_a_lifted_brake_is_remembered_by_the_product(town: Town) -> None:
    with town.database.transaction() as connection:
        guards.check_feeds(connection, town.product, START + 3 * DAY)
    town.clock.set(START + 3 * DAY)
    town.hear()
    with town.database.transaction() as connection:
        checked = guards.check_feeds(connection, town.product, START + 3 * DAY + HOUR)
    assert checked.hearing.lifted_at == START + 3 * DAY + HOUR


def test_who_is_due_again_today_is_kept_free_and_tomorrow_is_not(town: Town) -> None:
    town.put_in_force(YEAR | {"pace": {"notices_per_day": 10, "ramp": ["100%"]}})
    ids = town.join(row("ada"), row("bob"))
    town.sweep()
    rows(town.database, "update reconfirmation set wake_at = :at", at=START + 13 * HOUR)
    rows(
        town.database,
        "update reconfirmation set wake_at = :at where subscription_id = :id",
        at=START + 2 * HOUR,
        id=ids[0],
    )
    with town.database.transaction() as connection:
        assert due.count_rounds(connection, town.product.id, START, START + 12 * HOUR) == 1
        assert due.count_rounds(connection, town.product.id, START, START + 14 * HOUR) == 2
        assert (
            due.count_rounds(connection, town.product.id, START + 3 * HOUR, START + 4 * HOUR) == 0
        )
    with town.database.transaction() as connection:
        assert guards.allowance(connection, town.product, START).left == 10 - 2 - 1


# --- the brake of a guard --------------------------------------------------------------------


def story(town: Town) -> list[tuple[str, str, str]]:
    """Give what history says of the product itself: what, why, by whom."""
    statement = "select what, why, actor from history where subscription_id is null order by id"
    return [(what, why, actor) for what, why, actor in rows(town.database, statement)]


def test_a_feeds_brake_goes_on_and_off_in_history(town: Town) -> None:
    town.clock.advance(3 * DAY)
    town.sweep()
    town.sweep()
    town.hear()
    town.sweep()
    assert story(town) == [
        ("brake_on", "stale_feed", "guard"),
        ("brake_off", "stale_feed", "guard"),
    ]


def test_why_a_brake_is_lifted_is_kept_in_history(town: Town) -> None:
    with town.database.transaction() as connection:
        guards.trip(connection, town.product, "bounces", "bounced=3 of=9", START)
    assert lift(town, "a typo in the import") == 1
    assert story(town) == [
        ("brake_on", "bounces", "guard"),
        ("brake_off", "a typo in the import", "cli:ann"),
    ]


def test_a_guard_that_has_tripped_does_not_trip_again_while_its_brake_is_on(town: Town) -> None:
    with town.database.transaction() as connection:
        assert guards.trip(connection, town.product, "bounces", "bounced=3 of=9", START)
        assert not guards.trip(connection, town.product, "bounces", "bounced=4 of=9", START)
    assert brakes(town) == [("bounces", "bounced=3 of=9")]
    assert len(story(town)) == 1


@pytest.mark.parametrize("cause", ["newly_due", "bounces", "complaints", "in_use"])
def test_every_guards_brake_says_what_it_saw_and_how_to_go_on(town: Town, cause: str) -> None:
    with town.database.transaction() as connection:
        guards.trip(connection, town.product, cause, "seen=3 of=9", START)
        says, mend = guards.in_words(products.brakes(connection)[0])
    assert "(seen=3 of=9)" in says
    assert "`reconfirm brake off tv --why …`" in mend
    assert town.sweep().stopped == f"the brake is on: {cause}, {says}: {mend}"


def test_the_brake_on_everything_names_no_product_to_lift_it_for(town: Town) -> None:
    with town.database.transaction() as connection:
        products.set_brake(connection, None, "by_hand", "trial", "cli:ann", START)
        assert guards.in_words(products.brakes(connection)[0]) == (
            "trial",
            "`reconfirm brake off --why …`",
        )


# --- bad news of asks ------------------------------------------------------------------------


BOUNCED, COMPLAINED = Undelivered(Reach.BOUNCED), Undelivered(Reach.COMPLAINED)
IN_USE = Answer(Word.KEEP, 1, reason="in_use")
RATES = [
    ("bounces", "max_bounce_rate", BOUNCED),
    ("complaints", "max_complaint_rate", COMPLAINED),
    ("in_use", "max_in_use_rate", IN_USE),
]


def mailing(town: Town, many: int, name: str = "p") -> list[str]:
    """Have many people asked, and handed over."""
    names = crowd(town, many, name)
    asked(town, *names)
    return names


def tell(town: Town, event: Event, *names: str) -> None:
    for name in names:
        town.tell(name, event, "test")


@pytest.mark.parametrize(("cause", "limit", "event"), RATES)
def test_a_rate_stops_at_the_first_that_is_above_it(
    found: Found, cause: str, limit: str, event: Event
) -> None:
    town = found(**{limit: "10%"})
    names = mailing(town, 29)
    tell(town, event, *names[:2])
    assert brakes(town) == []
    tell(town, event, names[2])
    ((tripped, why),) = brakes(town)
    assert (tripped, why.partition("=")[2]) == (cause, "3 of=29 at_most=10%")
    assert story(town) == [("brake_on", cause, "guard")]


@pytest.mark.parametrize(("cause", "limit", "event"), RATES)
def test_a_rate_may_be_reached_and_not_passed(
    found: Found, cause: str, limit: str, event: Event
) -> None:
    town = found(**{limit: "10%"})
    names = mailing(town, 30)
    tell(town, event, *names[:3])
    assert brakes(town) == []
    tell(town, event, names[3])
    assert [tripped for tripped, _ in brakes(town)] == [cause]


@pytest.mark.parametrize(("cause", "limit", "event"), RATES)
def test_two_bad_news_stop_nobody_however_few_were_asked(
    found: Found, cause: str, limit: str, event: Event
) -> None:
    town = found(**{limit: "1%"})
    names = mailing(town, 3)
    tell(town, event, *names[:2])
    assert brakes(town) == []
    tell(town, event, names[2])
    assert [tripped for tripped, _ in brakes(town)] == [cause]


@pytest.mark.parametrize(("cause", "limit", "event"), RATES)
def test_a_rate_of_one_product_stops_no_other(
    found: Found, cause: str, limit: str, event: Event
) -> None:
    tv, radio = found(**{limit: "10%"}), found("radio", **{limit: "10%"})
    names = mailing(tv, 20)
    mailing(radio, 20)
    tell(radio, event, *names[:2])
    tell(tv, event, *names[:2])
    assert brakes(tv) == brakes(radio) == []
    tell(tv, event, names[2])
    assert ([each for each, _ in brakes(tv)], brakes(radio)) == ([cause], [])
    crowd(radio, 1, "late")
    assert radio.sweep().counts["asked"] == 1


def test_a_plain_keep_is_no_odd_number(found: Found) -> None:
    town = found(max_in_use_rate="10%")
    tell(town, Answer(Word.KEEP, 1), *mailing(town, 5))
    assert brakes(town) == []


def test_asks_that_come_back_in_their_hand_over_count_at_once(found: Found) -> None:
    town = found(max_bounce_rate="10%")
    names = crowd(town, 29)
    town.relay.answer = bad_for(names[:3])
    town.sweep()
    town.deliver()
    assert brakes(town) == [("bounces", "bounced=3 of=29 at_most=10%")]


def test_where_every_ask_comes_back_nothing_was_handed_over_and_it_stops(found: Found) -> None:
    town = found(max_bounce_rate="50%")
    town.relay.answer = bad_for(crowd(town, 3))
    town.sweep()
    town.deliver()
    assert brakes(town) == [("bounces", "bounced=3 of=3 at_most=50%")]


def bad_for(names: list[str]) -> Callable[[str], Outcome]:
    bad = {f"{name}@subscribers.example" for name in names}
    return lambda to: No("no such user") if to in bad else Done()


def test_bad_news_is_held_against_the_asks_it_is_about(found: Found) -> None:
    town = found(max_bounce_rate="10%")
    old = mailing(town, 20)
    goes(town, START + 7 * DAY - HOUR)
    new = mailing(town, 10, "q")
    goes(town, START + 7 * DAY)
    tell(town, BOUNCED, *old[:9], *new[:2])
    assert brakes(town) == []
    tell(town, BOUNCED, new[2])
    assert brakes(town) == [("bounces", "bounced=3 of=10 at_most=10%")]


def test_a_rate_is_of_seven_days_today_among_them(found: Found) -> None:
    town = found(max_bounce_rate="10%")
    names = mailing(town, 20)
    goes(town, START + 6 * DAY)
    tell(town, BOUNCED, *names[:3])
    assert brakes(town) == [("bounces", "bounced=3 of=20 at_most=10%")]


def test_three_that_come_back_in_the_same_moment_are_three(found: Found) -> None:
    town = found(max_bounce_rate="10%")
    names, line = mailing(town, 12), Barrier(3)

    def run(name: str) -> None:
        line.wait()
        tell(town, BOUNCED, name)

    threads = [Thread(target=run, args=(name,)) for name in names[:3]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert brakes(town) == [("bounces", "bounced=3 of=12 at_most=10%")]


def test_a_brake_in_the_middle_of_a_mailing_stops_what_is_left_of_it(
    found: Found, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jobs.outbox.MANY", 4)
    town, radio = found(max_bounce_rate="10%"), found("radio")
    names = crowd(town, 12)
    crowd(radio, 12, "r")
    town.relay.answer = bad_for(names)
    town.sweep()
    radio.sweep()
    town.deliver()
    assert brakes(town) == [("bounces", "bounced=4 of=4 at_most=10%")]
    waits = rows(town.database, "select count(*) from outbox where kind = 'notice.ask'")
    assert (waits, len(town.relay.sent)) == ([(8,)], 12)


def test_a_guards_brake_stops_reminders_and_suspensions_too(found: Found) -> None:
    town, radio = found(max_bounce_rate="10%"), found("radio")
    for each in (town, radio):
        mailing(each, 6)
    tell(town, BOUNCED, "p00", "p01", "p02")
    goes(town, START + 9 * DAY)
    radio.hear()
    assert (town.sweep().counts, radio.sweep().counts["reminder_queued"]) == ({}, 6)
    goes(town, START + 40 * DAY)
    radio.hear()
    town.sweep()
    radio.sweep()
    assert (kinds(town, "p05"), kinds(radio, "p05")) == ([], ["billing.suspend"])
    assert mails(town, "p05") == ["ask"]


# --- bad news that has been acknowledged -----------------------------------------------------


@pytest.mark.parametrize("later", [HOUR, 22 * HOUR])
@pytest.mark.parametrize(("cause", "limit", "event"), RATES)
def test_what_a_lift_has_seen_trips_nothing_and_new_bad_news_does(
    found: Found, cause: str, limit: str, event: Event, later: Any
) -> None:
    town = found(**{limit: "10%"})
    old = mailing(town, 20)
    tell(town, event, *old[:4])
    town.clock.advance(HOUR)
    assert lift(town) == 1
    town.clock.advance(later)
    town.hear()
    tell(town, event, *old[4:9])
    assert brakes(town) == []
    new = mailing(town, 20, "q")
    tell(town, event, *new[:2])
    assert brakes(town) == []
    tell(town, event, new[2])
    ((tripped, why),) = brakes(town)
    assert (tripped, why.partition("=")[2]) == (cause, "3 of=20 at_most=10%")


def test_a_lift_acknowledges_only_the_guards_that_had_tripped(found: Found) -> None:
    town = found(max_bounce_rate="10%", max_complaint_rate="10%")
    names = mailing(town, 20)
    tell(town, COMPLAINED, *names[:2])
    tell(town, BOUNCED, *names[2:5])
    town.clock.advance(HOUR)
    lift(town)
    tell(town, COMPLAINED, names[5])
    assert brakes(town) == [("complaints", "complained=3 of=20 at_most=10%")]


def test_two_lifts_on_a_day_acknowledge_twice(found: Found) -> None:
    town = found(max_bounce_rate="10%")
    for batch in ("a", "b", "c"):
        names = mailing(town, 10, batch)
        tell(town, BOUNCED, *names[:3])
        assert brakes(town) == [("bounces", "bounced=3 of=10 at_most=10%")]
        town.clock.advance(HOUR)
        lift(town)
        town.clock.advance(HOUR)


def test_an_undo_takes_back_what_counted(found: Found) -> None:
    town = found(max_in_use_rate="10%")
    names = mailing(town, 20)
    tell(town, IN_USE, *names[:2])
    town.clock.advance(MINUTE)
    town.answer(names[0], "undo")
    tell(town, IN_USE, names[2])
    assert brakes(town) == []
    town.clock.advance(MINUTE)
    tell(town, IN_USE, names[0])
    assert [cause for cause, _ in brakes(town)] == ["in_use"]


# --- who comes due at once -------------------------------------------------------------------


def same(town: Town) -> Pass:
    """Sweep dry, see that nothing was written, sweep, and see that it was the same."""
    before = fingerprint(town.database)
    dry = town.sweep(dry=True)
    assert fingerprint(town.database) == before
    real = town.sweep()
    assert (dry.counts, dry.stopped) == (real.counts, real.stopped)
    return real


def young(town: Town, many: int, name: str = "y") -> None:
    """Let people join who are not due for long."""
    crowd(town, many, name, started_at="2024-08-01T00:00:00Z")


def test_as_many_as_the_share_allows_are_asked(found: Found) -> None:
    town = found(max_newly_due_share="50%")
    crowd(town, 25)
    young(town, 25)
    assert same(town).counts["asked"] == 25
    assert brakes(town) == []


def test_one_more_than_the_share_allows_and_nobody_is_asked(found: Found) -> None:
    town = found(max_newly_due_share="50%")
    crowd(town, 26)
    young(town, 25)
    done = same(town)
    assert (done.counts, rows(town.database, "select * from reconfirmation")) == ({}, [])
    why = "due=26 asked_today=0 acknowledged=0 of=51 at_most=25"
    assert brakes(town) == [("newly_due", why)]
    assert why in str(done.stopped)
    assert story(town) == [("brake_on", "newly_due", "guard")]


def test_twenty_may_come_due_in_the_smallest_product(found: Found) -> None:
    town = found(max_newly_due_share="2%")
    crowd(town, 20)
    assert same(town).counts["asked"] == 20


def test_twenty_one_may_not(found: Found) -> None:
    town, radio = found(max_newly_due_share="2%"), found("radio", max_newly_due_share="2%")
    crowd(town, 21)
    crowd(radio, 20)
    assert not same(town).counts
    assert same(radio).counts["asked"] == 20
    assert [cause for cause, _ in brakes(town)] == ["newly_due"]


def test_a_share_of_everybody_is_no_limit(found: Found) -> None:
    town = found(max_newly_due_share="100%")
    crowd(town, 30)
    assert town.sweep().counts["asked"] == 30


def test_those_asked_earlier_in_the_day_count_and_those_of_yesterday_do_not(found: Found) -> None:
    town = found(max_newly_due_share="2%")
    crowd(town, 15)
    town.sweep()
    town.clock.advance(2 * HOUR)
    crowd(town, 5, "q")
    assert same(town).counts["asked"] == 5
    goes(town, START + DAY)
    crowd(town, 20, "r")
    assert same(town).counts["asked"] == 20
    crowd(town, 1, "s")
    assert not same(town).counts["asked"]
    assert brakes(town)[0][1].startswith("due=1 asked_today=20 acknowledged=0 ")


def test_who_was_there_is_not_due_whatever_their_timer_says(found: Found) -> None:
    town = found(max_newly_due_share="2%")
    for name in crowd(town, 25):
        town.use(name, date(2024, 8, 20))
    crowd(town, 20, "q")
    assert same(town).counts["asked"] == 20


def test_who_has_joined_since_the_morning_is_one_of_the_living(found: Found) -> None:
    town = found(max_newly_due_share="50%")
    for name in crowd(town, 25):
        town.use(name, date(2024, 8, 20))
    assert not town.sweep().counts
    assert rows(town.database, "select many from pulse where what = 'living'") == [(25,)]
    young(town, 30)
    crowd(town, 27, "q")
    assert same(town).counts["asked"] == 27


def test_where_the_pace_lets_nobody_in_nobody_is_counted(found: Found) -> None:
    town = found(max_newly_due_share="2%", pace={"notices_per_day": 5, "ramp": ["100%"]})
    crowd(town, 5)
    town.sweep()
    crowd(town, 30, "q")
    assert same(town).stopped == "the quota of notices a day is used up"
    goes(town, START + DAY)
    assert not same(town).counts
    assert [cause for cause, _ in brakes(town)] == ["newly_due"]


def test_a_pass_that_is_stopped_reminds_nobody_either(found: Found) -> None:
    town = found(max_newly_due_share="2%")
    mailing(town, 1)
    goes(town, START + 9 * DAY)
    crowd(town, 21, "q")
    assert not same(town).counts
    assert kinds(town, "p00") == []


# --- the ramp and the share ------------------------------------------------------------------


def test_while_a_ramp_runs_the_share_is_not_looked_at(found: Found) -> None:
    town = found(max_newly_due_share="2%", pace={"ramp": [30, 100, "100%"]})
    crowd(town, 60)
    assert same(town).counts["asked"] == 30
    town.deliver()
    goes(town, START + 25 * HOUR)
    assert same(town).counts["asked"] == 30
    assert brakes(town) == []


def test_once_the_backlog_of_the_ramp_is_done_the_share_counts_who_is_new(found: Found) -> None:
    town = found(max_newly_due_share="2%", pace={"ramp": [100, "100%"]})
    crowd(town, 30)
    assert same(town).counts["asked"] == 30
    crowd(town, 20, "q")
    assert same(town).counts["asked"] == 20
    crowd(town, 1, "r")
    assert not same(town).counts
    assert brakes(town)[0][1].startswith("due=1 asked_today=20 acknowledged=0 ")


# --- an acknowledged crowd -------------------------------------------------------------------


def test_after_a_lift_those_who_were_named_are_asked_and_new_ones_count(found: Found) -> None:
    town = found(max_newly_due_share="2%")
    crowd(town, 25)
    town.sweep()
    town.clock.advance(HOUR)
    assert lift(town) == 1
    assert same(town).counts["asked"] == 25
    crowd(town, 20, "q")
    assert same(town).counts["asked"] == 20
    crowd(town, 1, "r")
    assert not same(town).counts
    assert brakes(town)[0][1].startswith("due=1 asked_today=45 acknowledged=25 ")


def test_more_than_were_named_and_may_come_due_trip_again_after_a_lift(found: Found) -> None:
    town = found(max_newly_due_share="2%")
    crowd(town, 25)
    town.sweep()
    lift(town)
    crowd(town, 21, "q")
    assert not same(town).counts
    assert brakes(town)[0][1].startswith("due=46 asked_today=0 acknowledged=25 ")


def test_who_was_asked_before_the_lift_is_not_counted_after_it(found: Found) -> None:
    town = found(max_newly_due_share="2%")
    crowd(town, 20)
    town.sweep()
    crowd(town, 21, "q")
    town.sweep()
    lift(town)
    assert same(town).counts["asked"] == 21
    crowd(town, 20, "r")
    assert same(town).counts["asked"] == 20


def test_an_acknowledged_crowd_that_the_pace_holds_back_stays_acknowledged(found: Found) -> None:
    town = found(max_newly_due_share="2%", pace={"notices_per_day": 10, "ramp": ["100%"]})
    crowd(town, 50)
    town.sweep()
    lift(town)
    for day in range(3):
        goes(town, START + day * DAY)
        assert same(town).counts["asked"] == 10, day
    goes(town, START + 3 * DAY)
    crowd(town, 21, "q")
    assert not same(town).counts
    assert brakes(town)[0][1].startswith("due=41 asked_today=0 acknowledged=20 ")


def test_an_acknowledgment_lasts_a_week(found: Found) -> None:
    town = found(max_newly_due_share="2%")
    crowd(town, 25)
    town.sweep()
    lift(town)
    goes(town, START + 6 * DAY)
    assert town.sweep(dry=True).counts["asked"] == 25
    goes(town, START + 7 * DAY)
    assert not same(town).counts
