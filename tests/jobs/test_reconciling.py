"""Our books and billing's are compared once a day, and end the same whatever fails on the way."""

from collections import Counter
from datetime import timedelta
from itertools import pairwise
from threading import Thread
from time import sleep
from typing import Any

import psycopg
import pytest
from sqlalchemy import text

from app.errors import Refused
from app.lifecycle.case import Answer, Word
from app.mirror import Mirror
from app.reconciling import FRESH, MOST_MISSING, quiet_hour
from app.rows import read as read_row
from app.store import looks, reconciliation
from app.store.running import LOOK, RECONCILE
from app.world.connector import Away, Capabilities, Connector
from jobs.billing import Books, Broken
from tests.fakebooks import FakeBooks, books_of, kept, kept_through_deaths, on_books, result
from tests.probe import DAY, HOUR, MINUTE, asked, leases_run_out, rows, suspended
from tests.world import START, Town, row


@pytest.fixture
def billing(town: Town) -> FakeBooks:
    return on_books(town)


def compared(town: Town, billing: Connector) -> Counter[str]:
    """Let a night pass, and give what the comparison counted."""
    town.clock.advance(DAY)
    (due,) = rows(town.database, "select due_at from reconciliation") or [(None,)]
    if due[0] is not None and due[0] > town.clock.now():
        town.clock.set(due[0])
    kept(books_of(town, billing), RECONCILE)
    return result(town)


def mirrored(town: Town) -> dict[str, str]:
    found = rows(town.database, "select external_id, plan || ' ' || status from subscription")
    return dict(found)


def odd(town: Town) -> list[tuple[str, str]]:
    return rows(
        town.database,
        "select s.external_id, u.what from unexplained u join subscription s"
        " on s.id = u.subscription_id order by 1, 2",
    )


def state(town: Town) -> tuple[object, ...]:
    return rows(town.database, "select phase, cursor, tries, error, due_at from reconciliation")[0]


def history(town: Town, what: str) -> int:
    return int(rows(town.database, "select count(*) from history where what = :w", w=what)[0][0])


def everything(town: Town) -> list[list[tuple[object, ...]]]:
    """Give all that the comparison may change, but for its own row and our own numbers."""
    return [
        rows(town.database, statement)
        for statement in (
            "select external_id, told, told_at, status from subscription order by 1",
            "select what, why, count(*) from history group by 1, 2 order by 1, 2",
            "select state, charge, amount, refunded, asked, currency from refund order by charge",
            "select external_id, state, error from look order by 1",
            "select what, first_at, last_at from unexplained order by 1, 2",
        )
    ]


# --- the pages -----------------------------------------------------------------------------------


def test_a_thousand_are_imported_and_a_second_time_nothing_changes(
    town: Town, billing: FakeBooks
) -> None:
    billing.size = 100
    billing.has(*(row(f"p{number:04}") for number in range(1000)))
    assert compared(town, billing) == Counter(read=1000, new=1000)
    assert history(town, "repaired") == 0
    assert compared(town, billing) == Counter(read=1000, unchanged=1000)
    assert len(billing.calls("page")) == 22
    assert rows(town.database, "select count(*) from look") == [(0,)]


def test_what_is_different_is_repaired_through_the_door_and_noted(
    town: Town, billing: FakeBooks
) -> None:
    billing.has(row("ada"), row("ben"))
    compared(town, billing)
    asked(town, "ada")
    billing.changes("ada", amount="1949")
    assert compared(town, billing) == Counter(read=2, unchanged=1, repaired=1)
    assert town.story("ada")[-2:] == ["withdrawn", "repaired"]
    assert compared(town, billing) == Counter(read=2, unchanged=2)
    assert history(town, "repaired") == 1


def test_a_renewal_is_no_difference_and_an_earlier_charge_is(
    town: Town, billing: FakeBooks
) -> None:
    billing.has(row("ada"), row("ben"))
    compared(town, billing)
    billing.changes("ada", renews_at="2024-10-20T00:00:00Z")
    billing.changes("ben", renews_at="2024-10-20T00:00:00Z", amount="2")
    assert compared(town, billing) == Counter(read=2, renewed=1, repaired=1)
    billing.changes("ada", renews_at="2024-09-12T00:00:00Z")
    assert compared(town, billing) == Counter(read=2, repaired=1, unchanged=1)


def test_what_is_known_of_a_later_moment_stays(town: Town, billing: FakeBooks) -> None:
    billing.has(row("ada"))
    compared(town, billing)
    rows(town.database, "update subscription set told_at = told_at + interval '9 days'")
    billing.changes("ada", plan="premium")
    assert compared(town, billing) == Counter(read=1, stale=1)
    assert mirrored(town) == {"ada": "standard active"}


def test_who_is_as_they_were_is_noted_by_one_statement_and_goes_through_no_door(
    town: Town, billing: FakeBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    billing.size = 100
    billing.has(*(row(f"p{number:03}") for number in range(250)))
    compared(town, billing)
    statements: list[str] = []
    real = psycopg.Cursor.execute

    def counted(run: psycopg.Cursor[Any], query: Any, *rest: Any, **more: Any) -> Any:
        statements.append(str(query))
        return real(run, query, *rest, **more)

    with monkeypatch.context() as patch:
        patch.setattr(Mirror, "bring_in", None)
        patch.setattr(psycopg.Cursor, "execute", counted)
        assert compared(town, billing) == Counter(read=250, unchanged=250)
    writes = [each for each in statements if "update subscription" in each]
    assert len(writes) == 3
    places = [place for place, each in enumerate(statements) if each == writes[0]]
    assert {later - sooner for sooner, later in pairwise(places)} == {6}
    assert rows(town.database, "select distinct told_at from subscription") == [(town.clock.now(),)]


def test_the_same_as_of_an_earlier_moment_moves_nothing_back(
    town: Town, billing: FakeBooks
) -> None:
    billing.has(row("ada"))
    compared(town, billing)
    rows(town.database, "update subscription set told_at = told_at + interval '9 days'")
    before = rows(town.database, "select told_at from subscription")
    assert compared(town, billing) == Counter(read=1, stale=1)
    assert rows(town.database, "select told_at from subscription") == before


def test_what_is_told_late_of_a_moment_before_the_night_does_not_overtake_it(
    town: Town, billing: FakeBooks
) -> None:
    billing.has(row("ada"))
    compared(town, billing)
    compared(town, billing)
    late = read_row(row("ada", status="canceled"), town.clock.now() - HOUR)
    mirror = Mirror(town.database, town.clock)
    assert mirror.bring("tv", [late], "billing:standard")["stale"] == 1
    assert mirrored(town) == {"ada": "standard active"}


def test_what_somebody_else_writes_in_the_same_moment_is_not_taken_for_unchanged(
    town: Town, billing: FakeBooks
) -> None:
    billing.has(row("ada"))
    compared(town, billing)
    between = town.clock.now() + HOUR
    town.clock.advance(DAY)
    thread = Thread(target=books_of(town, billing).run, args=("tv",), daemon=True)
    with town.database.transaction() as connection:
        connection.execute(
            text("update subscription set plan = 'premium', told = 'other', told_at = :at"),
            {"at": between},
        )
        thread.start()
        while not rows(town.database, "select 1 from pg_locks where not granted"):
            sleep(0.01)
    thread.join(20)
    assert result(town) == Counter(read=1, repaired=1)
    assert mirrored(town) == {"ada": "standard active"}


def test_what_we_did_ourselves_is_no_difference(town: Town, billing: FakeBooks) -> None:
    town.join(row("ada"))
    suspended(town, "ada")
    billing.changes("ada", status="paused")
    town.clock.advance(2 * FRESH)
    assert compared(town, billing)["repaired"] == 0
    assert mirrored(town) == {"ada": "standard paused"}
    assert town.stage("ada") == "suspended"
    town.answer("ada", "resume")
    town.clock.advance(MINUTE)
    town.deliver()
    billing.changes("ada", status="active")
    assert compared(town, billing) == Counter(read=1, ours=1)


def test_an_act_on_its_way_is_no_difference(town: Town, billing: FakeBooks) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    rows(
        town.database,
        "update reconfirmation set act = 'suspend', act_version = 1, act_state = 'claimed'",
    )
    billing.changes("ada", status="paused")
    assert compared(town, billing) == Counter(read=1, ours=1)
    assert town.stage("ada") == "asked"


def test_what_is_about_to_be_read_back_is_no_difference(town: Town, billing: FakeBooks) -> None:
    billing.has(row("ada"))
    compared(town, billing)
    billing.changes("ada", plan="premium")
    with town.database.transaction() as connection:
        looks.want(connection, town.product.id, ["ada"], (), town.clock.wall())
    assert compared(town, billing) == Counter(read=1, ours=1)


def test_a_price_that_changed_after_our_act_is_a_difference(town: Town, billing: FakeBooks) -> None:
    town.join(row("ada"))
    suspended(town, "ada")
    billing.changes("ada", status="active", amount="1949")
    town.clock.advance(2 * FRESH)
    assert compared(town, billing)["repaired"] == 1


def test_a_list_that_changes_while_it_is_read_misses_nobody(town: Town, billing: FakeBooks) -> None:
    billing.has(*(row(f"p{number:02}") for number in range(40)))
    compared(town, billing)

    def changes(kind: str, after: str | None) -> None:
        if kind == "page" and after == "p09":
            billing.has(row("p05a"), row("p33a"))
            billing.changes("p03", status="canceled")
            billing.changes("p30", status="canceled")

    billing.before = changes
    counts = compared(town, billing)
    assert counts["missing"] == 1  # p30, and p03 had been read by then
    assert counts["new"] == 1
    billing.before = lambda _kind, _what: None
    kept(books_of(town, billing), LOOK)
    compared(town, billing)
    kept(books_of(town, billing), LOOK)
    assert mirrored(town)["p03"] == mirrored(town)["p30"] == "standard canceled"
    assert mirrored(town)["p05a"] == mirrored(town)["p33a"] == "standard active"
    assert odd(town) == []


def test_what_cannot_be_read_waits_for_a_person_until_it_can(
    town: Town, billing: FakeBooks
) -> None:
    billing.has(row("ada"), row("ben"))
    billing.unfit["ben"] = "email is not an address"
    assert compared(town, billing) == Counter(read=2, new=1, refused=1)
    kept(books_of(town, billing), LOOK)
    parked = rows(town.database, "select external_id, state, error from look")
    assert parked == [("ben", "parked", "email is not an address")]
    billing.unfit.clear()
    assert compared(town, billing) == Counter(read=2, new=1, unchanged=1)
    assert rows(town.database, "select count(*) from look") == [(0,)]


def test_who_cannot_be_taken_in_stops_no_other(town: Town, billing: FakeBooks) -> None:
    billing.has(*(row(f"p{number}") for number in range(8)))
    object.__setattr__(billing.people["p3"], "plan", "a\0b")
    assert compared(town, billing) == Counter(read=8, new=7, failed=1)
    assert rows(town.database, "select external_id, state from look") == [("p3", "waiting")]


# --- who is missing --------------------------------------------------------------------------


def test_who_is_not_listed_is_asked_about_before_anything_is_said(
    town: Town, billing: FakeBooks
) -> None:
    billing.has(row("ada"), row("ben"), row("cyd"))
    compared(town, billing)
    billing.changes("ada", status="canceled")
    del billing.people["ben"]
    assert compared(town, billing)["missing"] == 2
    assert odd(town) == []
    assert mirrored(town)["ada"] == "standard active"
    kept(books_of(town, billing), LOOK)
    assert odd(town) == [("ben", "unknown_to_billing")]
    assert mirrored(town) == {
        "ada": "standard canceled",
        "ben": "standard active",
        "cyd": "standard active",
    }
    billing.has(row("ben"))
    compared(town, billing)
    assert odd(town) == []


def test_a_list_without_hardly_anybody_is_not_believed(
    town: Town, billing: FakeBooks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.reconciling.MOST_MISSING", 20)
    billing.has(*(row(f"p{number:02}") for number in range(30)))
    compared(town, billing)
    billing.people.clear()
    compared(town, billing)
    assert state(town)[3] == "too many are not listed"
    assert rows(town.database, "select count(*) from look") == [(0,)]
    with town.database.transaction() as connection:
        (found,) = reconciliation.overdue(connection, town.clock.now() - 2 * DAY)
    assert found.error == "too many are not listed"
    assert MOST_MISSING == 1000


# --- R04: suspended means not charged ----------------------------------------------------------


def test_whom_we_suspended_and_billing_charges_is_reported(town: Town, billing: FakeBooks) -> None:
    town.join(row("ada"))
    suspended(town, "ada")
    billing.has(row("ada"))
    assert compared(town, billing)["unexplained"] == 1
    assert odd(town) == [("ada", "not_paused")]
    assert town.story("ada").count("unexplained") == 1
    compared(town, billing)
    assert town.story("ada").count("unexplained") == 1
    billing.changes("ada", status="paused")
    compared(town, billing)
    assert odd(town) == []


def test_what_was_confirmed_minutes_ago_is_not_reported(town: Town, billing: FakeBooks) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    billing.has(row("ada"))
    town.clock.advance(40 * DAY)
    town.hear()
    town.sweep()
    town.deliver()
    assert town.stage("ada") == "suspended"
    town.clock.advance(MINUTE)
    kept(books_of(town, billing), RECONCILE)
    assert odd(town) == []


# --- when something fails ----------------------------------------------------------------------


def test_billing_away_in_the_middle_and_it_goes_on_from_there(
    town: Town, billing: FakeBooks
) -> None:
    billing.has(*(row(f"p{number:02}") for number in range(40)))
    town.clock.advance(2 * DAY)

    def away(_kind: str, after: str | None) -> None:
        if after == "p19":
            raise Away("http 429", timedelta(minutes=3))

    billing.before = away
    books = books_of(town, billing)
    assert books.work(RECONCILE, "tv", lambda: True) == (2, True)
    assert state(town)[:4] == ("pages", "p19", 1, "http 429")
    assert books.work(RECONCILE, "tv", lambda: True) == (0, True)
    billing.before = lambda _kind, _what: None
    town.clock.advance(3 * MINUTE)
    kept(books, RECONCILE)
    assert billing.calls("page") == [None, "p09", "p19", "p19", "p29", "p39"]
    assert result(town) == Counter(read=40, new=40)
    assert state(town)[3] is None


def test_a_place_that_breaks_is_left_and_the_list_read_from_its_beginning(
    town: Town, billing: FakeBooks
) -> None:
    billing.has(*(row(f"p{number:02}") for number in range(15)))
    town.clock.advance(2 * DAY)

    def gone(_kind: str, after: str | None) -> None:
        if after == "p09":
            raise KeyError("p09")

    billing.before = gone
    books = books_of(town, billing)
    for _ in range(3):
        books.work(RECONCILE, "tv", lambda: True)
        assert state(town)[3] == "connector failed: KeyError"
        town.clock.advance(10 * MINUTE)
    assert state(town)[1] is None
    del billing.people["p09"]
    kept(books, RECONCILE)
    assert result(town)["new"] == 15


def test_a_list_that_does_not_move_on_is_no_loop(town: Town, billing: FakeBooks) -> None:
    billing.has(row("ada"), row("ben"))
    town.clock.advance(2 * DAY)
    page = billing.page(None)
    billing.page = lambda after: type(page)(page.items, "there")  # type: ignore[method-assign] # noqa: ARG005
    books_of(town, billing).work(RECONCILE, "tv", lambda: True)
    assert state(town)[3] == "the list does not move on"


def test_without_a_connection_the_run_is_put_off_and_seen(town: Town) -> None:
    def none(_: str) -> Connector:
        raise Refused("there is no key")

    town.clock.advance(2 * DAY)
    books = Books(town.database, town.clock, none)
    assert books.work(RECONCILE, "tv", lambda: True) == (0, True)
    assert state(town)[3] == "not connected"


def test_a_run_whose_time_is_up_goes_on_with_the_next_call(town: Town, billing: FakeBooks) -> None:
    billing.has(*(row(f"p{number:02}") for number in range(40)))
    town.clock.advance(2 * DAY)
    did, idle = books_of(town, billing).work(RECONCILE, "tv", lambda: False)
    assert (did, idle) == (1, False)
    kept(books_of(town, billing), RECONCILE)
    assert result(town) == Counter(read=40, new=40)
    assert len(billing.calls("page")) == 5


def test_only_one_compares_at_a_time_and_who_was_slow_writes_nothing(
    town: Town, billing: FakeBooks
) -> None:
    billing.has(*(row(f"p{number:02}") for number in range(15)))
    town.clock.advance(2 * DAY)
    others: list[tuple[int, bool]] = []

    def meanwhile(_kind: str, after: str | None) -> None:
        if after is None and not others:
            others.append(books_of(town, billing).work(RECONCILE, "tv", lambda: True))
            leases_run_out(town)
            others.append(books_of(town, billing).work(RECONCILE, "tv", lambda: True))

    billing.before = meanwhile
    assert books_of(town, billing).work(RECONCILE, "tv", lambda: True)[1]
    assert others[0] == (0, True)
    assert others[1][0] == 5
    assert result(town) == Counter(read=15, new=15)


def test_who_has_lost_the_run_to_another_writes_nothing(town: Town, billing: FakeBooks) -> None:
    billing.has(row("ada"))
    town.clock.advance(2 * DAY)

    def slow(_kind: str, _after: str | None) -> None:
        leases_run_out(town)
        other = books_of(town, billing).comparing
        assert other.claim(town.product, billing.capabilities) is not None

    billing.before = slow
    assert books_of(town, billing).work(RECONCILE, "tv", lambda: True) == (1, True)
    assert mirrored(town) == {}
    leases_run_out(town)
    billing.before = lambda _kind, _what: None
    kept(books_of(town, billing), RECONCILE)
    assert result(town) == Counter(read=1, new=1)


def busy_night(town: Town, billing: FakeBooks) -> None:
    """Have everything happen that a comparison can find."""
    town.join(*(row(f"p{number:02}") for number in range(25)))
    suspended(town, "p00")
    town.clock.advance(2 * FRESH)
    billing.has(*(row(f"p{number:02}") for number in range(35)))
    billing.changes("p00", status="paused")
    billing.changes("p11", plan="premium")
    billing.changes("p12", status="canceled")
    del billing.people["p13"]
    billing.unfit["p14"] = "country is empty"
    billing.charges_for("p00", town.clock.now() - HOUR)
    for _ in range(12):
        billing.charges_for("p01", town.clock.now() - HOUR)


def test_a_worker_may_die_at_any_step_and_the_end_is_the_same(
    town: Town, billing: FakeBooks
) -> None:
    busy_night(town, billing)
    snapshot(town, "save")
    kept(books_of(town, billing))
    wanted, counted = everything(town), result(town)
    assert (counted["repaired"], counted["missing"], counted["wrong"]) == (1, 2, 13)
    step, died = 0, True
    while died:
        step += 1
        snapshot(town, "restore")
        died = kept_through_deaths(town, billing, step)
        assert (everything(town), result(town)) == (wanted, counted), step
    assert step > 15
    snapshot(town, "forget")


TABLES = ("subscription", "contact", "reconfirmation", "timer", "history", "look", "refund")


def snapshot(town: Town, what: str) -> None:
    """Save the tables that a comparison changes, bring them back, or forget what was saved."""
    with town.database.engine.begin() as connection:
        run = connection.exec_driver_sql
        if what != "restore":
            for table in TABLES:
                run(f"drop table if exists kept_{table}")
                if what == "save":
                    run(f"create table kept_{table} as table {table}")
            return
        for table in ("reconciliation", "unexplained", "refund", "look", "history", "timer"):
            run(f"delete from {table}")  # noqa: S608 - our own names
        run("set local role reconfirm_eraser")
        run("delete from reconfirmation")
        run("delete from contact")
        run("delete from subscription")
        for table in TABLES:
            run(f"insert into {table} overriding system value table kept_{table}")


# --- when it runs -----------------------------------------------------------------------------


def test_each_product_has_a_quiet_minute_of_its_own(town: Town) -> None:
    radio = Town.founded(town.database, town.clock, town.links, "radio")
    seen = {quiet_hour(each.product, START) for each in (town, radio)}
    assert len(seen) == 2
    for each in seen:
        assert 1 <= each.hour < 5
        assert START < each <= START + DAY


def test_it_runs_once_a_day(town: Town, billing: FakeBooks) -> None:
    books = books_of(town, billing)
    for _ in range(10 * 24):
        kept(books, RECONCILE)
        town.clock.advance(HOUR)
    assert 9 <= len(billing.calls("page")) <= 10


def test_a_system_without_lists_or_charges_has_nothing_to_compare(
    town: Town, billing: FakeBooks
) -> None:
    billing.capabilities = Capabilities(asked=False, lists=False, charges=False, refunds=False)
    assert compared(town, billing) == Counter()
    assert billing.asked == []


def test_now_is_at_once_and_the_pages_alone_leave_the_rest_to_later(
    town: Town, billing: FakeBooks
) -> None:
    billing.has(*(row(f"p{number:02}") for number in range(12)))
    books, seen = books_of(town, billing), []
    done = books.run("tv", lambda going: seen.append(going.phase), pages_only=True)
    assert done is not None
    assert done.counts["new"] == 12
    assert seen == ["pages", "missing"]
    assert billing.calls("charges") == []
    kept(books, RECONCILE)
    assert len(billing.calls("charges")) == 1
    assert result(town) == Counter(read=12, new=12)


def test_now_says_why_billing_gave_no_answer(town: Town, billing: FakeBooks) -> None:
    def broken(_kind: str, _what: object) -> None:
        raise ValueError("secret")

    billing.before = broken
    with pytest.raises(Broken, match="connector failed: ValueError"):
        books_of(town, billing).run("tv")


def test_an_answer_given_while_billing_was_compared_counts(town: Town, billing: FakeBooks) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    billing.has(row("ada"))

    def answers(kind: str, _what: object) -> None:
        if kind == "page":
            town.tell("ada", Answer(Word.KEEP, 1))

    billing.before = answers
    compared(town, billing)
    assert town.story("ada")[-1] == "kept"
