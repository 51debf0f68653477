"""The one door: batches, order, races, and what one poisoned case may not do."""

from datetime import date, timedelta
from threading import Barrier, Thread
from typing import Any

import psycopg
import pytest
from psycopg import errors
from sqlalchemy import text

from app import lifecycle
from app.engine import door as doors
from app.engine.door import Door, Reply
from app.lifecycle.case import Answer, Event, StopReminders, Tick, Used, Verdict, Word
from app.store.database import Database
from tests.probe import asked, fingerprint, kinds, rows, timers, unheeded
from tests.world import ACTOR, MovableClock, Town, row

KEEP, CANCEL = Answer(Word.KEEP, 1), Answer(Word.CANCEL, 1)


def poison(monkeypatch: pytest.MonkeyPatch, *ids: int) -> None:
    """Let the rules raise for some."""
    real = lifecycle.step

    def step(case: Any, *rest: Any) -> Any:
        if case.subscription.id in ids:
            raise ZeroDivisionError
        return real(case, *rest)

    monkeypatch.setattr(doors, "step", step)


def open_round(town: Town, *names: str) -> list[int]:
    ids = town.join(*(row(name) for name in names))
    asked(town, *names)
    return ids


def test_a_batch_gives_one_reply_each_in_the_order_given(town: Town) -> None:
    ids = open_round(town, "ada", "bob", "cyd")
    older: Event = Answer(Word.KEEP, 9)
    events: list[tuple[int, Event]] = [(ids[2], KEEP), (ids[0], CANCEL), (ids[1], older)]
    replies = Door(town.database, town.clock).apply("tv", events, "subscriber")
    assert [each.subscription_id for each in replies] == [ids[2], ids[0], ids[1]]
    assert [each.verdict for each in replies] == ["applied", "applied", "older_round"]


def test_events_of_one_subscription_are_applied_in_the_order_given(town: Town) -> None:
    (ada,) = open_round(town, "ada")
    town.clock.advance(timedelta(minutes=1))
    events: list[tuple[int, Event]] = [(ada, StopReminders(1)), (ada, KEEP)]
    Door(town.database, town.clock).apply("tv", events, "subscriber")
    current = town.case("ada").round
    assert current is not None
    assert (current.quiet, current.outcome) == (True, "kept")


def test_an_effect_that_a_later_event_of_its_batch_takes_back_is_not_queued(town: Town) -> None:
    (ada,) = open_round(town, "ada")
    events: list[tuple[int, Event]] = [(ada, CANCEL), (ada, Answer(Word.UNDO, 1))]
    Door(town.database, town.clock).apply("tv", events, "subscriber")
    assert kinds(town, "ada") == []


def test_a_round_that_closes_and_is_followed_by_another_in_one_batch_stays_closed(
    town: Town,
) -> None:
    (ada,) = open_round(town, "ada")
    rows(town.database, "update subscription set last_used_on = '2024-09-01'")
    events: list[tuple[int, Event]] = [(ada, Used()), (ada, Answer(Word.CANCEL))]
    Door(town.database, town.clock).apply("tv", events, "app")
    found = rows(town.database, "select number, outcome, latest from reconfirmation order by 1")
    assert found == [(1, "returned", False), (2, None, True)]


def test_a_poisoned_case_is_reported_and_the_rest_of_its_batch_is_written(
    town: Town, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    ada, bob = open_round(town, "ada", "bob")
    poison(monkeypatch, ada)
    town_door = Door(town.database, town.clock)
    first, second = town_door.apply("tv", [(ada, KEEP), (bob, KEEP)], "subscriber")
    assert (first.verdict, second.verdict) == (Verdict.FAILED, Verdict.APPLIED)
    assert (town.stage("ada"), town.stage("bob")) == ("asked", "active")
    assert f"subscription {ada} put off: ZeroDivisionError" in capsys.readouterr().err


def test_what_is_reported_of_a_poisoned_case_names_no_person(
    town: Town, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (ada,) = open_round(town, "ada")
    poison(monkeypatch, ada)
    town.tell("ada", KEEP)
    assert "ada" not in capsys.readouterr().err


def test_a_poisoned_case_is_looked_at_again_an_hour_later(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    ids = town.join(row("ada"), row("bob"))
    poison(monkeypatch, ids[0])
    swept = town.sweep()
    assert (swept.failed, swept.counts["asked"]) == (1, 1)
    assert timers(town, "ada") == [town.clock.now() + timedelta(hours=1)]
    monkeypatch.undo()
    town.clock.advance(timedelta(hours=1))
    town.hear(town.clock.now().date())
    assert town.sweep().counts["asked"] == 1


def test_a_poisoned_open_round_is_looked_at_again_an_hour_later(
    town: Town, monkeypatch: pytest.MonkeyPatch
) -> None:
    (ada,) = open_round(town, "ada")
    town.clock.advance(timedelta(days=8))
    town.hear()
    poison(monkeypatch, ada)
    assert town.sweep().failed == 1
    found = rows(town.database, "select wake_at from reconfirmation")
    assert found == [(town.clock.now() + timedelta(hours=1),)]
    monkeypatch.undo()
    town.clock.advance(timedelta(hours=1))
    town.hear()
    assert town.sweep().counts["reminder_queued"] == 1


def test_a_row_whose_dates_overflow_does_not_stop_the_import_of_the_others(town: Town) -> None:
    town.join(row("ada", started_at="9999-12-31T00:00:00Z"), row("bob"))
    assert timers(town, "ada") == [town.clock.now() + timedelta(hours=1)]
    town.sweep()
    assert (town.stage("ada"), town.stage("bob")) == ("active", "asked")


def test_unknown_subscriptions_are_answered_and_nothing_is_written(town: Town) -> None:
    open_round(town, "ada")
    before = fingerprint(town.database)
    replies = Door(town.database, town.clock).apply("tv", [(987654321, KEEP)], "subscriber")
    assert replies == [Reply(987654321, Verdict.NOTHING_OPEN, None)]
    assert fingerprint(town.database) == before


def test_a_subscription_of_another_product_is_not_found(town: Town) -> None:
    (ada,) = open_round(town, "ada")
    other = Town.founded(town.database, town.clock, town.links, "radio")
    reply = Door(town.database, town.clock).apply(other.key, [(ada, KEEP)], "subscriber")[0]
    assert reply.verdict == Verdict.NOTHING_OPEN
    assert town.stage("ada") == "asked"


def test_an_event_that_changes_nothing_writes_nothing(town: Town) -> None:
    (ada,) = open_round(town, "ada")
    before = fingerprint(town.database)
    Door(town.database, town.clock).apply("tv", [(ada, Tick())], ACTOR)
    assert fingerprint(town.database) == before


def test_history_says_who_did_it_and_under_which_version(town: Town) -> None:
    open_round(town, "ada")
    town.clock.advance(timedelta(minutes=1))
    town.tell("ada", KEEP, actor="subscriber")
    last = rows(
        town.database,
        "select what, why, version, actor, round from history order by id desc limit 1",
    )
    assert last == [("kept", "said_by_subscriber", town.product.policy_version, "subscriber", 1)]


def test_an_open_round_is_held_to_the_version_it_began_with(town: Town) -> None:
    open_round(town, "ada")
    promised = town.case("ada").round
    town.put_in_force(
        {
            "on_no_answer": "cancel_at_period_end",
            "unused_after": "P1Y",
            "answer_within": "P20D",
            "reminders": ["P7D"],
            "pace": {"ramp": ["100%"]},
        }
    )
    assert promised is not None
    assert promised.answer_by is not None
    town.clock.set(promised.answer_by + timedelta(hours=1))
    town.hear(town.clock.now().date())
    town.sweep()
    assert kinds(town, "ada") == ["billing.suspend"]


def test_a_closed_round_gets_its_next_timer_in_the_same_transaction(town: Town) -> None:
    open_round(town, "ada")
    town.clock.advance(timedelta(minutes=1))
    town.tell("ada", KEEP)
    assert [due.date() for due in timers(town, "ada")] == [date(2025, 8, 31)]
    assert unheeded(town, ["ada"]) == []


# --- races -----------------------------------------------------------------------------------


def both(*jobs: Any) -> None:
    """Run jobs at once."""
    line = Barrier(len(jobs))

    def run(job: Any) -> None:
        line.wait()
        job()

    threads = [Thread(target=run, args=(job,)) for job in jobs]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def test_two_answers_racing_come_to_one_outcome_and_both_see_it(town: Town) -> None:
    names = [f"p{number}" for number in range(6)]
    open_round(town, *names)
    replies: dict[str, list[Reply]] = {name: [] for name in names}
    for name in names:
        both(
            lambda n=name: replies[n].append(town.tell(n, KEEP)),
            lambda n=name: replies[n].append(town.tell(n, CANCEL)),
        )
    for name in names:
        assert sorted(each.verdict for each in replies[name]) == ["applied", "doubted"]
        current = town.case(name).round
        assert current is not None
        assert (current.word, current.act, current.outcome) == (None, None, None)
        assert "billing.cancel" not in kinds(town, name)


def test_a_double_click_counts_once(town: Town) -> None:
    open_round(town, "ada")
    both(lambda: town.tell("ada", KEEP), lambda: town.tell("ada", KEEP))
    assert town.story("ada").count("kept") == 1
    assert kinds(town, "ada") == ["notice.kept"]


def test_two_rivals_who_open_a_round_at_once_open_one(town: Town) -> None:
    (ada,) = town.join(row("ada"))
    own = Answer(Word.CANCEL, None, "app")
    both(
        lambda: Door(town.database, town.clock).apply("tv", [(ada, own)], "app"),
        lambda: Door(town.database, town.clock).apply("tv", [(ada, own)], "app"),
    )
    assert rows(town.database, "select number from reconfirmation") == [(1,)]
    assert kinds(town, "ada") == ["billing.cancel"]


def test_a_batch_that_loses_to_a_rivals_insert_is_run_again(database: Database) -> None:
    tries = []

    def work(_: object) -> int:
        tries.append(1)
        if len(tries) < 3:
            raise errors.UniqueViolation
        return 7

    assert database.retrying(work) == 7


def test_what_is_no_lost_race_is_raised_at_once(database: Database) -> None:
    tries = []

    def work(_: object) -> None:
        tries.append(1)
        raise errors.CheckViolation

    with pytest.raises(errors.CheckViolation):
        database.retrying(work)
    assert len(tries) == 1


def test_a_batch_that_always_loses_is_given_up(database: Database) -> None:
    def work(_: object) -> None:
        raise errors.SerializationFailure

    with pytest.raises(errors.SerializationFailure):
        database.retrying(work)


def test_of_two_in_a_deadlock_the_loser_runs_again(
    town: Town, database: Database, clock: MovableClock
) -> None:
    ada, bob = open_round(town, "ada", "bob")
    clock.advance(timedelta(minutes=1))
    lock = "select 1 from reconfirmation where subscription_id = %s for update"
    attempts = []

    def work(connection: Any) -> None:
        attempts.append(1)
        connection.execute(text("set local deadlock_timeout = '5ms'"))
        for subscription in (bob, ada):
            connection.execute(text(lock.replace("%s", str(subscription))))
            if len(attempts) == 1 and subscription == bob:
                rival.execute(lock, (ada,))
                waiter.start()
                while not blocked():
                    pass

    with psycopg.connect(database.url) as rival, psycopg.connect(database.url) as watch:
        watch.autocommit = True

        def blocked() -> bool:
            found = watch.execute(
                "select 1 from pg_stat_activity where pid = %s and wait_event_type = 'Lock'",
                (rival.info.backend_pid,),
            )
            return found.fetchone() is not None

        def wait() -> None:
            rival.execute("set local deadlock_timeout = '10s'")
            rival.execute(lock, (bob,))
            rival.rollback()

        waiter = Thread(target=wait)
        database.retrying(work)
        waiter.join()
    assert len(attempts) == 2
