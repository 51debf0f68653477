"""The sweep: who is due, in which order, how many, and what stops it."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Barrier, Thread
from typing import Any

import pytest

from app.engine.sweep import Pass, Sweeper
from app.links import Links
from app.store.database import Database
from jobs.sweep import sweep
from tests.probe import (
    DAY,
    HOUR,
    asked,
    brake,
    fingerprint,
    goes,
    kinds,
    lift,
    mails,
    rows,
    suspended,
    timers,
    window_ends,
)
from tests.world import START, YEAR, MovableClock, Town, row

Found = Callable[..., Town]
SILENT = (
    "the brake is on: stale_feed, the feed of usage has been silent for longer than the policy"
    " allows (usage_feed_silent): bring the usage up to date: this brake lifts itself"
)
WHOEVER_IS_DUE = {"max_newly_due_share": "100%"}
"""Tests of pace and rivals ask more of a town at once than the guards let through."""


@pytest.fixture
def found(database: Database, clock: MovableClock, links: Links) -> Found:
    """Give a way to found a town under another pace."""

    def make(key: str = "tv", **changes: Any) -> Town:
        return Town.founded(database, clock, links, key, YEAR | changes)

    return make


def pace(many: int = 50_000, *ramp: int | str) -> dict[str, Any]:
    return {"notices_per_day": many, "ramp": [*ramp, "100%"]}


def crowd(town: Town, many: int, **changes: Any) -> list[str]:
    names = [f"p{number:02}" for number in range(many)]
    town.join(*(row(name, **changes) for name in names))
    return names


def in_batches(town: Town, size: int, **more: Any) -> Pass:
    return Sweeper(town.database, town.key, town.clock.now(), batch=size, **more).run()


# --- batches ---------------------------------------------------------------------------------


def test_everybody_due_is_asked_however_small_the_batches(town: Town) -> None:
    crowd(town, 7)
    assert in_batches(town, 2).counts["asked"] == 7
    assert rows(town.database, "select count(*) from timer") == [(0,)]


def test_a_second_sweep_finds_nobody(town: Town) -> None:
    crowd(town, 3)
    town.sweep()
    before = fingerprint(town.database)
    assert not town.sweep().counts
    assert fingerprint(town.database) == before


def test_who_was_there_gets_the_next_timer_instead_of_an_ask(town: Town) -> None:
    town.join(row("ada"))
    town.use("ada", datetime(2024, 8, 1, tzinfo=UTC).date())
    assert not town.sweep().counts
    assert [at.date().isoformat() for at in timers(town, "ada")] == ["2025-08-01"]


def test_extra_timers_merge_at_the_next_look(town: Town) -> None:
    (ada,) = town.join(row("ada"))
    rows(
        town.database,
        "insert into timer select product_id, due_at - n * interval '1 day', subscription_id"
        " from timer, generate_series(1, 5) n",
    )
    assert in_batches(town, 2).counts == {"asked": 1}
    assert timers(town, "ada") == []
    assert ada


def test_extra_timers_of_who_is_not_due_merge_into_one(town: Town) -> None:
    town.join(row("ada", started_at="2024-08-01T00:00:00Z"))
    rows(
        town.database,
        "insert into timer select product_id, due_at - n * interval '200 days', subscription_id"
        " from timer, generate_series(2, 5) n",
    )
    town.sweep()
    assert [at.date().isoformat() for at in timers(town, "ada")] == ["2025-08-01"]


def test_two_sweeps_at_once_ask_everybody_once(found: Found) -> None:
    town = found(guards=WHOEVER_IS_DUE)
    crowd(town, 40)
    line, done = Barrier(2), []

    def run() -> None:
        line.wait()
        done.append(in_batches(town, 3))

    threads = [Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(each.counts["asked"] for each in done) == 40
    counted = rows(town.database, "select count(*), count(distinct subscription_id) from outbox")
    assert counted == [(40, 40)]
    assert rows(town.database, "select taken from quota") == [(40,)]


def test_two_sweeps_at_once_remind_everybody_once(town: Town) -> None:
    names = crowd(town, 20)
    asked(town, *names)
    goes(town, START + 9 * DAY)
    threads = [Thread(target=in_batches, args=(town, 3)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = rows(town.database, "select count(*) from outbox where kind = 'notice.reminder'")
    assert found == [(20,)]


# --- dry runs --------------------------------------------------------------------------------


def same(town: Town) -> Pass:
    """Sweep dry, see that nothing was written, sweep, and see that it was the same."""
    before = fingerprint(town.database)
    dry = town.sweep(dry=True)
    assert fingerprint(town.database) == before
    real = town.sweep()
    assert sorted(dry.people) == sorted(real.people)
    assert (dry.counts, dry.stopped) == (real.counts, real.stopped)
    return real


def test_a_dry_run_says_what_a_real_one_does_and_writes_nothing(town: Town) -> None:
    names = crowd(town, 3)
    town.join(row("young", started_at="2024-06-01T00:00:00Z"))
    assert same(town).counts["asked"] == 3
    town.deliver()
    goes(town, START + 8 * DAY)
    assert same(town).counts["reminder_queued"] == 3
    town.deliver()
    window_ends(town, names[0])
    assert same(town).counts["suspend_queued"] == 3


def test_a_dry_run_keeps_to_the_quota_as_a_real_one_does(found: Found) -> None:
    town = found(pace=pace(3))
    crowd(town, 8)
    assert same(town).counts["asked"] == 3


def test_a_dry_run_counts_the_reminders_of_the_day_against_the_quota(found: Found) -> None:
    town = found(pace=pace(4))
    names = crowd(town, 3)
    asked(town, *names)
    goes(town, START + 8 * DAY)
    town.join(*(row(f"late{number}") for number in range(5)))
    assert same(town).counts == {"reminder_queued": 3, "asked": 1}


def test_a_dry_run_before_the_first_sweep_under_a_ramp_counts_the_backlog(found: Found) -> None:
    town = found(pace=pace(50_000, "50%"))
    crowd(town, 8)
    assert same(town).counts["asked"] == 4


def test_a_dry_run_in_small_batches_keeps_to_the_pace(found: Found) -> None:
    town = found(pace=pace(50_000, 5))
    crowd(town, 12)
    dry = in_batches(town, 2, dry=True)
    assert dry.counts == in_batches(town, 2).counts == {"asked": 5}


def test_a_dry_run_where_the_feed_speaks_again_suspends_nobody_at_once(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    town.clock.advance(40 * DAY)
    assert same(town).stopped == SILENT
    town.hear(town.clock.now().date())
    assert "suspend_queued" not in same(town).counts
    assert "billing.suspend" not in kinds(town, "ada")


def test_a_dry_run_under_a_brake_says_so(town: Town) -> None:
    crowd(town, 2)
    brake(town)
    assert same(town).stopped == "the brake is on: by_hand, trial"


def test_people_imported_in_the_afternoon_are_asked_though_today_was_not_told(town: Town) -> None:
    town.clock.advance(5 * HOUR)
    town.join(row("ada"))
    assert town.sweep().counts["asked"] == 1


# --- pace ------------------------------------------------------------------------------------


def renewing(town: Town, *days: int) -> None:
    """Let people join who are charged so many days from now, in the order given."""
    people = []
    for place, day in enumerate(days):
        at = (START + day * DAY).isoformat()
        people.append(row(f"p{place}", renews_at=at))
    town.join(*people)


def stages(town: Town, many: int) -> str:
    return "".join(town.stage(f"p{place}")[1] for place in range(many))


def test_where_the_quota_binds_who_is_charged_sooner_is_asked_sooner(found: Found) -> None:
    town = found(pace=pace(2))
    renewing(town, 20, 3, 25, 9)
    town.sweep()
    assert [town.stage(f"p{place}") for place in range(4)] == ["active", "asked", "active", "asked"]


def test_where_the_quota_binds_the_other_timers_are_not_rewritten(found: Found) -> None:
    town = found(pace=pace(2))
    renewing(town, 20, 3, 25, 9)
    before = rows(town.database, "select ctid::text, subscription_id from timer")
    town.sweep()
    left = rows(town.database, "select ctid::text, subscription_id from timer")
    assert set(left) < set(before)
    assert len(left) == 2


def test_the_quota_is_a_days_and_starts_anew_at_midnight(found: Found) -> None:
    town = found(pace=pace(2))
    crowd(town, 5)
    assert town.sweep().counts["asked"] == 2
    town.clock.advance(11 * HOUR)
    assert town.sweep().counts["asked"] == 0
    town.clock.advance(2 * HOUR)
    assert town.sweep().counts["asked"] == 2


def test_what_will_still_come_due_today_is_kept_free_in_the_quota(found: Found) -> None:
    town = found(pace=pace(4))
    names = crowd(town, 3)
    asked(town, *names)
    goes(town, datetime(2024, 9, 7, 22, tzinfo=UTC))
    town.clock.advance(-HOUR * 21)  # the reminders come due at 23:00 of the seventh, in London
    town.hear()
    town.join(*(row(f"late{number}") for number in range(4)))
    assert town.sweep().counts == {"asked": 1}


def test_the_quota_counts_what_rival_sweeps_took(found: Found) -> None:
    town = found(pace=pace(5), guards=WHOEVER_IS_DUE)
    crowd(town, 30)
    threads = [Thread(target=in_batches, args=(town, 2)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows(town.database, "select count(*) from reconfirmation") == [(5,)]


def test_who_came_back_takes_nothing_of_the_quota(found: Found) -> None:
    town = found(pace=pace(2))
    renewing(town, 3, 5, 9, 20)
    town.use("p0")
    town.use("p1")
    town.sweep()
    assert [town.stage(f"p{place}") for place in range(4)] == ["active", "active", "asked", "asked"]


def test_a_pass_says_why_nobody_more_is_asked(found: Found) -> None:
    town = found(pace=pace(2))
    crowd(town, 4)
    assert town.sweep().stopped == "the quota of notices a day is used up"


def test_a_ramp_begins_with_its_first_step(found: Found) -> None:
    town = found(pace=pace(50_000, 2, "50%"))
    crowd(town, 10)
    done = town.sweep()
    assert (done.counts["asked"], done.backlog) == (2, 10)
    assert done.stopped == "step 1 of the ramp allows 2"


def test_the_next_step_comes_a_day_after_the_last_hand_over(found: Found) -> None:
    town = found(pace=pace(50_000, 2, "50%"))
    crowd(town, 10)
    asked(town)
    goes(town, START + 23 * HOUR)
    assert town.sweep().counts["asked"] == 0
    goes(town, START + DAY)
    assert town.sweep().counts["asked"] == 5


def test_without_a_hand_over_no_step_follows(found: Found) -> None:
    town = found(pace=pace(50_000, 2, "50%"))
    crowd(town, 10)
    town.sweep()
    goes(town, START + 2 * DAY)
    assert town.sweep().counts["asked"] == 0


def test_a_ramp_goes_through_all_its_steps_and_ends(found: Found) -> None:
    town = found(pace=pace(50_000, 1, 2, "50%"))
    crowd(town, 12)
    seen = []
    for day in range(5):
        goes(town, START + day * DAY)
        seen.append(town.sweep().counts["asked"])
        town.deliver()
    assert seen == [1, 2, 6, 3, 0]


def test_a_step_is_not_over_before_it_is_used_up(found: Found) -> None:
    town = found(pace=pace(1, 3, "50%"))
    crowd(town, 12)
    for day in range(3):
        goes(town, START + day * DAY)
        assert town.sweep().counts["asked"] == 1
        town.deliver()
        assert rows(town.database, "select step, opened from ramp") == [(0, day + 1)]


def test_a_step_of_which_nothing_could_be_handed_over_is_taken_again(found: Found) -> None:
    town = found(pace=pace(50_000, 2, "50%"))
    people = [
        row("ada", email=""),
        row("bob", email=""),
        row("cyd", renews_at="2024-09-30T00:00:00Z"),
    ]
    town.join(*people)
    town.sweep()
    town.deliver()
    assert (town.stage("ada"), town.stage("cyd")) == ("active", "active")
    goes(town, START + DAY)
    town.sweep()
    assert town.stage("cyd") == "asked"


def test_a_new_version_of_the_policy_begins_its_own_ramp(found: Found) -> None:
    town = found(pace=pace(50_000, 2))
    crowd(town, 6)
    asked(town)
    town.put_in_force(YEAR | {"pace": pace(50_000, 3)})
    assert town.sweep().counts["asked"] == 3
    assert rows(town.database, "select version, backlog from ramp order by 1") == [(1, 6), (2, 4)]


# --- what stops it -----------------------------------------------------------------------------


def test_a_brake_stops_asking_and_suspending(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    town.join(row("bob"))
    window_ends(town, "ada")
    brake(town)
    assert town.sweep().stopped == "the brake is on: by_hand, trial"
    assert (town.stage("bob"), kinds(town, "ada")) == ("active", [])


def test_a_brake_on_everything_stops_every_product(found: Found) -> None:
    town = found()
    found("radio")
    rows(
        town.database,
        "insert into brake (cause, why, actor, set_at) values ('by_hand', 'trial', 'cli:x', :at)",
        at=town.clock.now(),
    )
    stopped = [each.stopped for each in sweep(town.database, town.clock)]
    assert stopped == ["the brake is on: by_hand, trial"] * 2


def test_a_brake_set_in_the_middle_of_a_pass_ends_it(town: Town) -> None:
    crowd(town, 10)
    batches = []

    def after(_: int) -> None:
        batches.append(1)
        if rows(town.database, "select 1 from reconfirmation") and len(batches) < 50:
            batches.extend([1] * 50)
            brake(town)

    done = Sweeper(town.database, "tv", town.clock.now(), batch=2, after_batch=after).run()
    assert (done.counts["asked"], done.stopped) == (2, "the brake is on: by_hand, trial")


def test_after_a_brake_lifts_no_deadline_falls_sooner_than_three_days(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    brake(town)
    window_ends(town, "ada")
    lift(town)
    lifted = town.clock.now()
    assert "suspend_queued" not in town.sweep().counts
    town.clock.set(lifted + 3 * DAY - HOUR)
    town.hear(town.clock.now().date())
    assert "suspend_queued" not in town.sweep().counts
    town.clock.set(lifted + 4 * DAY)
    town.hear(town.clock.now().date())
    assert town.sweep().counts["suspend_queued"] == 1


def test_a_silent_feed_sets_the_brake(town: Town) -> None:
    crowd(town, 2)
    town.clock.advance(2 * DAY)
    assert town.sweep().stopped == SILENT
    assert rows(town.database, "select cause, actor from brake") == [("stale_feed", "guard")]


def test_the_brake_of_a_silent_feed_lifts_itself_when_it_speaks(town: Town) -> None:
    crowd(town, 2)
    town.clock.advance(2 * DAY)
    town.sweep()
    town.hear()
    assert town.sweep().counts["asked"] == 2
    assert rows(town.database, "select lifted_by from brake") == [("guard",)]


def test_a_brake_set_by_hand_does_not_lift_itself(town: Town) -> None:
    crowd(town, 2)
    brake(town)
    town.hear(town.clock.now().date())
    assert town.sweep().stopped == "the brake is on: by_hand, trial"


def test_a_silent_feed_does_not_set_its_brake_twice(town: Town) -> None:
    town.clock.advance(2 * DAY)
    town.sweep()
    town.sweep()
    assert rows(town.database, "select count(*) from brake") == [(1,)]


def test_as_long_as_the_policy_allows_a_feed_may_be_silent(town: Town) -> None:
    crowd(town, 2)
    town.clock.set(datetime(2024, 9, 2, 11, 59, tzinfo=UTC))  # heard through 31 August
    assert town.sweep().counts["asked"] == 2


def test_without_a_policy_nobody_is_asked(town: Town) -> None:
    crowd(town, 2)
    rows(town.database, "update product set policy_version = null")
    assert town.sweep().stopped == "no policy is in force: propose and activate one"


def test_without_a_feed_nobody_is_asked(town: Town) -> None:
    crowd(town, 2)
    rows(town.database, "delete from feed")
    assert str(town.sweep().stopped).startswith("no feed has spoken yet")


def test_while_one_of_two_feeds_has_never_spoken_nobody_is_asked(town: Town) -> None:
    crowd(town, 2)
    rows(
        town.database,
        "insert into feed (product_id, name, created_at)"
        " select product_id, 'web', created_at from feed",
    )
    assert str(town.sweep().stopped).startswith("no feed has spoken yet")


def test_when_all_feeds_are_retired_nobody_is_asked(town: Town) -> None:
    crowd(town, 2)
    rows(town.database, "update feed set retired_at = created_at")
    assert str(town.sweep().stopped).startswith("no feed has spoken yet")


def test_nobody_is_asked_beyond_the_day_that_was_told(town: Town) -> None:
    town.join(row("ada", started_at="2023-09-01T00:00:00Z"))  # due on 2 September
    goes(town, datetime(2024, 9, 2, 10, tzinfo=UTC))
    town.hear(datetime(2024, 8, 31, tzinfo=UTC).date())
    rows(town.database, "update feed set covers_until = '2024-08-31'")
    assert not town.sweep().counts
    assert len(timers(town, "ada")) == 1
    town.hear(datetime(2024, 9, 1, tzinfo=UTC).date())
    assert town.sweep().counts["asked"] == 1


def test_a_timer_that_nobody_can_judge_yet_stays_as_it_is(town: Town) -> None:
    started = "2023-09-01T00:00:00Z"  # due when 2 September begins, which is today in the east
    town.join(row("ada", started_at=started, timezone="Pacific/Kiritimati"))
    before = rows(town.database, "select ctid::text, due_at from timer")
    assert before[0][1] < town.clock.now()
    assert not town.sweep().counts
    assert rows(town.database, "select ctid::text, due_at from timer") == before
    town.hear(START.date())
    assert town.sweep().counts["asked"] == 1


def test_who_cannot_be_judged_yet_holds_up_nobody_behind(town: Town) -> None:
    town.join(
        row("ada", started_at="2023-09-01T00:00:00Z", timezone="Pacific/Kiritimati"),
        row("bob", started_at="2023-08-31T00:00:00Z", timezone="Pacific/Pago_Pago"),
    )
    assert timers(town, "ada") < timers(town, "bob")
    assert in_batches(town, 1).counts == {"asked": 1}
    assert town.stage("bob") == "asked"


def test_nobody_is_suspended_before_the_window_was_told_whole(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    current = town.case("ada").round
    assert current is not None
    assert current.answer_by is not None
    town.clock.set(current.answer_by + HOUR)
    town.hear(current.answer_by.date() - DAY)
    assert "suspend_queued" not in town.sweep().counts
    town.hear(current.answer_by.date())
    assert town.sweep().counts["suspend_queued"] == 1


def unreadable(town: Town) -> None:
    """Have a policy in force that this program cannot read."""
    rows(
        town.database,
        """insert into policy (product_id, version, body, proposed_by, proposed_at, activated_at)
           values (:id, 99, '{"nonsense": 1}', 'cli:x', :at, :at)""",
        id=town.product.id,
        at=town.clock.now(),
    )


def test_a_product_that_fails_stops_no_other(
    found: Found, capsys: pytest.CaptureFixture[str]
) -> None:
    town, radio = found(), found("radio")
    radio.join(row("ada"))
    unreadable(town)
    first, second = sweep(town.database, town.clock)
    assert (first.failed, second.counts["asked"]) == (1, 1)
    assert "product tv put off" in capsys.readouterr().err


def test_a_product_swept_alone_says_what_is_wrong(found: Found) -> None:
    town = found()
    unreadable(town)
    with pytest.raises(Exception, match="nonsense"):
        town.sweep()


# --- the deep end ------------------------------------------------------------------------------


def test_a_suspended_round_sleeps_until_the_person_is_warned(town: Town) -> None:
    town.join(row("ada"))
    suspended(town, "ada")
    ((wake, erase_on),) = rows(town.database, "select wake_at, erase_on from reconfirmation")
    assert (wake + timedelta(hours=12)).date() == erase_on - timedelta(days=60)


def test_a_reminder_missed_while_nothing_ran_is_not_sent_together_with_the_next(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    goes(town, START + 22 * DAY)
    town.sweep()
    town.deliver()
    assert mails(town, "ada") == ["ask", "reminder"]


def test_an_ask_not_handed_over_in_three_days_is_withdrawn_and_asked_anew(town: Town) -> None:
    town.join(row("ada"))
    town.sweep()
    goes(town, START + timedelta(days=3, hours=1))
    assert town.sweep().counts == {"withdrawn": 1, "asked": 1}
    assert kinds(town, "ada") == ["notice.ask"]
    found = rows(town.database, "select number, outcome from reconfirmation order by 1")
    assert found == [(1, "withdrawn"), (2, None)]
