"""The statements of the store, where the engine's tests do not reach them."""

from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import psycopg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from psycopg import errors
from sqlalchemy import text

from app.errors import Conflict, NotFound, Refused
from app.lifecycle.case import Hearing, Kind, Lane
from app.store import cases, due, migrate, outbox, pace, population, products, versions
from app.store.database import Database
from app.store.due import BEGINNING
from app.store.tables import metadata
from tests.conftest import new_database
from tests.probe import DAY, HOUR, asked, rows
from tests.world import ACTOR, START, YEAR, Town, row

# --- the schema --------------------------------------------------------------------------------


def test_the_migrations_make_exactly_the_tables_there_are(database: Database) -> None:
    with database.transaction() as connection:
        assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrating_again_changes_nothing(database: Database) -> None:
    assert migrate.upgrade(database) == (migrate.newest(), migrate.newest())


def test_a_schema_newer_than_this_program_is_refused() -> None:
    database = Database(new_database("spine_newer"))
    rows(database, "update alembic_version set version_num = '9999'")
    with pytest.raises(Refused, match="newer"):
        migrate.upgrade(database)
    with pytest.raises(Refused, match="newer"):
        migrate.require_newest(database)
    database.close()


def test_a_schema_that_is_not_there_is_not_worked_on() -> None:
    database = Database(new_database("spine_older"))
    rows(database, "drop table alembic_version")
    with pytest.raises(Refused, match="not up to date"):
        migrate.require_newest(database)
    database.close()


# --- transactions ------------------------------------------------------------------------------


def test_a_transaction_that_raises_leaves_nothing(database: Database) -> None:
    def work(connection: Any) -> None:
        connection.execute(text("insert into clock (now) values (now())"))
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        database.retrying(work)
    assert rows(database, "select count(*) from clock") == [(0,)]


def test_nobody_waits_for_a_lock_for_ever(database: Database) -> None:
    assert rows(database, "show lock_timeout") == [("30s",)]
    assert rows(database, "show timezone") == [("UTC",)]


def test_a_lost_race_leaves_nothing_of_the_first_try(database: Database) -> None:
    tries = []

    def work(connection: Any) -> None:
        tries.append(1)
        connection.execute(text("insert into clock (now) values (now())"))
        if len(tries) == 1:
            raise errors.DeadlockDetected

    database.retrying(work)
    assert rows(database, "select count(*) from clock") == [(1,)]


# --- cases -------------------------------------------------------------------------------------


def test_reading_a_case_holds_its_round_until_the_end(town: Town) -> None:
    (ada,) = town.join(row("ada"))
    asked(town, "ada")
    with town.database.transaction() as connection:
        cases.read(connection, town.product.id, [ada], Hearing())
        with psycopg.connect(town.database.url) as rival, pytest.raises(errors.LockNotAvailable):
            rival.execute("select 1 from reconfirmation for update nowait")


def test_reading_a_case_without_locking_holds_nothing(town: Town) -> None:
    (ada,) = town.join(row("ada"))
    asked(town, "ada")
    with town.database.transaction() as connection:
        cases.read(connection, town.product.id, [ada], Hearing(), lock=False)
        with psycopg.connect(town.database.url) as rival:
            rival.execute("select 1 from reconfirmation for update nowait")


def test_a_case_has_its_latest_round(town: Town) -> None:
    town.join(row("ada"))
    town.sweep()
    town.clock.advance(4 * DAY)
    town.hear()
    town.sweep()
    for number in (1, 2):  # whichever row was written last
        rows(town.database, "update reconfirmation set quiet = quiet where number = :n", n=number)
        current = town.case("ada").round
        assert current is not None
        assert (current.number, current.open) == (2, True)


def test_a_round_is_read_as_it_was_written(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    town.answer("ada", "cancel")
    current = town.case("ada").round
    assert current is not None
    assert (current.word, current.act, current.act_state) == ("cancel", "cancel", "queued")
    assert type(current.word).__name__ == "Word"
    assert current.word_at == town.clock.now()


def test_only_one_round_of_a_subscription_can_be_open(town: Town) -> None:
    town.join(row("ada"))
    town.sweep()
    with pytest.raises(Exception, match="reconfirmation_open_key"):
        rows(
            town.database,
            "insert into reconfirmation (subscription_id, number, product_id, latest, stage,"
            " why, opened_at, version, reminded, quiet, act_version) select subscription_id, 2,"
            " product_id, false, stage, why, opened_at, version, 0, false, 0 from reconfirmation",
        )


# --- the outbox --------------------------------------------------------------------------------


def test_rows_that_somebody_holds_are_passed_over(town: Town) -> None:
    town.join(row("ada"), row("bob"))
    town.sweep()
    kinds = ([Kind.ASK], [Kind.ASK])
    with psycopg.connect(town.database.url) as rival:
        rival.execute("select 1 from outbox order by id limit 1 for update")
        with town.database.transaction() as connection:
            found = outbox.due(
                connection, town.product.id, Lane.NOTICE, kinds, town.clock.now(), 10
            )
    assert [each.subscription_id for each in found] == [town.id_of("bob")]


def test_a_long_outbox_is_not_read_to_claim_a_few_of_it(town: Town) -> None:
    fetched = "select coalesce(sum(idx_tup_fetch + seq_tup_read), 0) from pg_stat_xact_user_tables"
    kinds = ([Kind.ASK], [Kind.ASK])
    with town.database.transaction() as connection:
        connection.execute(
            text(
                """insert into outbox (product_id, subscription_id, round, lane, kind, version,
                     not_before, state, fence, tries, unknown)
                   select :product, n, 1, 'notice', 'notice.ask', 1, :now, 'pending', 0, 0, 0
                   from generate_series(1, 5000) n"""
            ),
            {"product": town.product.id, "now": town.clock.now()},
        )
        before = connection.execute(text(fetched)).scalar_one()
        found = outbox.due(connection, town.product.id, Lane.NOTICE, kinds, town.clock.now(), 10)
        read = connection.execute(text(fetched)).scalar_one() - before
    assert [len(found), found[0].subscription_id] == [10, 1]
    assert 10 <= read <= 1000


def test_rounds_that_somebody_holds_are_not_free(town: Town) -> None:
    ada, bob = town.join(row("ada"), row("bob"))
    town.sweep()
    with psycopg.connect(town.database.url) as rival:
        rival.execute("select 1 from reconfirmation where subscription_id = %s for update", (ada,))
        with town.database.transaction() as connection:
            assert outbox.free_rounds(connection, town.product.id, [ada, bob]) == {bob}


def test_a_door_that_is_busy_with_a_case_does_not_stop_the_others_from_being_claimed(
    town: Town,
) -> None:
    ada, _ = town.join(row("ada"), row("bob"))
    town.sweep()
    with psycopg.connect(town.database.url) as rival:
        rival.execute("select 1 from reconfirmation where subscription_id = %s for update", (ada,))
        town.deliver()
        assert [to for to, _ in town.relay.sent] == ["bob@subscribers.example"]
    town.deliver()
    assert len(town.relay.sent) == 2


def test_effects_go_out_oldest_first(town: Town) -> None:
    town.join(row("ada"), row("bob"))
    town.sweep()
    rows(
        town.database,
        "update outbox set not_before = not_before - interval '1 h' where subscription_id = :id",
        id=town.id_of("bob"),
    )
    town.deliver()
    assert [to[:3] for to, _ in town.relay.sent] == ["bob", "ada"]


def test_what_is_not_due_yet_is_not_taken(town: Town) -> None:
    town.join(row("ada"))
    town.sweep()
    rows(town.database, "update outbox set not_before = :at", at=town.clock.now() + timedelta(0, 1))
    town.deliver()
    assert town.relay.sent == []


def test_the_next_moment_is_the_first_of_timers_rounds_and_effects(town: Town) -> None:
    town.join(row("ada", started_at="2024-03-01T00:00:00Z"), row("bob"))
    now = town.clock.now()

    def following() -> datetime | None:
        with town.database.transaction() as connection:
            return due.next_moment(connection, now)

    assert following() == now + DAY  # to be compared with billing for the first time
    rows(
        town.database,
        "insert into reconciliation (product_id, due_at) select id, '2025-01-01' from product",
    )
    assert following() == datetime(2025, 3, 2, tzinfo=UTC)
    rows(town.database, "update reconciliation set lists = true")
    assert following() == datetime(2025, 1, 1, tzinfo=UTC)
    rows(town.database, "update reconciliation set lists = false")
    town.sweep()
    assert following() == now + 3 * DAY
    rows(town.database, "update outbox set not_before = :at", at=now + HOUR)
    assert following() == now + HOUR


def test_timers_held_by_another_sweep_are_passed_over(town: Town) -> None:
    town.join(row("ada"), row("bob"))
    with psycopg.connect(town.database.url) as rival:
        rival.execute("select 1 from timer order by subscription_id limit 1 for update")
        with town.database.transaction() as connection:
            found = due.timers(connection, town.product.id, START, (BEGINNING, 0), 10)
    assert [each.subscription_id for each in found] == [town.id_of("bob")]


def test_timers_in_the_order_of_charges_are_taken_unless_another_has_them(town: Town) -> None:
    town.join(row("ada", renews_at="2024-09-09T00:00:00Z"), row("bob"))
    with psycopg.connect(town.database.url) as rival, town.database.transaction() as connection:
        found = due.timers_by_charge(connection, town.product.id, START, START, (BEGINNING, 0), 10)
        assert [each.subscription_id for _, each in found] == [town.id_of("ada"), town.id_of("bob")]
        rival.execute(
            "select 1 from timer where subscription_id = %s for update", (town.id_of("ada"),)
        )
        taken = due.take(connection, [each for _, each in found])
    assert [each.subscription_id for each in taken] == [town.id_of("bob")]


def test_whom_billing_told_no_charge_for_long_is_ordered_by_the_next_one(town: Town) -> None:
    town.join(
        row("late", renews_at="2024-09-25T00:00:00Z"),
        row("soon", renews_at="2024-07-05T00:00:00Z"),
        row("never", renews_at=""),
    )
    rows(
        town.database,
        "update subscription set renews_at = '2024-07-05T00:00:00Z' where external_id = 'soon'",
    )
    with town.database.transaction() as connection:
        found = due.timers_by_charge(connection, town.product.id, START, START, (BEGINNING, 0), 10)
    names = [town.id_of(name) for name in ("soon", "late", "never")]
    assert [each.subscription_id for _, each in found] == names


# --- counters and products ---------------------------------------------------------------------


def test_the_counter_of_a_day_makes_rivals_take_turns(town: Town) -> None:
    seen: list[int] = []

    def take() -> None:
        with town.database.transaction() as connection:
            seen.append(pace.taken_for_sure(connection, town.product.id, START.date()))
            pace.take(connection, town.product.id, START.date(), 1)

    threads = [Thread(target=take) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(seen) == [0, 1, 2, 3]


def test_the_counter_of_a_day_can_be_read_without_waiting(town: Town) -> None:
    day, number = START.date(), town.product.id
    with town.database.transaction() as rival, town.database.transaction() as connection:
        assert pace.taken_for_sure(rival, number, day) == 0
        pace.take(rival, number, day, 3)
        assert pace.taken(connection, number, day) == 0


def test_a_products_key_can_be_taken_once(town: Town) -> None:
    with town.database.transaction() as connection, pytest.raises(Conflict, match="already"):
        products.add(connection, "tv", "Again", "sandbox", START)


def test_a_product_that_is_not_there_names_those_that_are(town: Town) -> None:
    with (
        town.database.transaction() as connection,
        pytest.raises(NotFound, match="products are: tv"),
    ):
        products.load(connection, "radio")


def test_versions_of_a_policy_are_numbered_for_each_product(town: Town) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    assert (town.put_in_force(YEAR), radio.put_in_force(YEAR)) == (2, 2)


def test_an_approval_said_twice_counts_once(town: Town) -> None:
    with town.database.transaction() as connection:
        versions.approve(connection, town.product.id, 1, "cli:a", START)
        versions.approve(connection, town.product.id, 1, "cli:a", START)
        versions.approve(connection, town.product.id, 1, "cli:b", START + HOUR)
        approvals = versions.version(connection, town.product.id, 1).approvals
    assert [each.actor for each in approvals] == ["cli:a", "cli:b"]


def test_a_brake_is_on_once_for_each_cause_and_lifts_by_cause(town: Town) -> None:
    with town.database.transaction() as connection:
        number = town.product.id
        assert products.set_brake(connection, number, "by_hand", "x", ACTOR, START)
        assert not products.set_brake(connection, number, "by_hand", "y", ACTOR, START)
        assert products.set_brake(connection, number, "stale_feed", "z", "guard", START)
        assert products.lift_brake(connection, number, "stale_feed", "guard", START) == 1
        assert [each.cause for each in products.brakes(connection, number)] == ["by_hand"]
        assert products.lift_brake(connection, number, None, ACTOR, START) == 1


def test_a_revoked_key_of_another_product_is_not_touched(town: Town) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    with town.database.transaction() as connection:
        key = products.add_key(connection, town.product.id, b"x", "ab", "read", None, START)
        assert not products.revoke_key(connection, radio.product.id, key, START)
        assert products.revoke_key(connection, town.product.id, key, START)
        assert not products.revoke_key(connection, town.product.id, key, START)


def test_stages_are_counted_while_open_and_by_outcome_once_closed(town: Town) -> None:
    town.join(row("ada"), row("bob"))
    asked(town, "ada", "bob")
    town.clock.advance(HOUR)
    town.answer("ada", "keep")
    with town.database.transaction() as connection:
        assert population.stages(connection, town.product.id) == {"kept": 1, "asked": 1}
