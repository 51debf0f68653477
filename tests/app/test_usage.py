"""The intake of usage: the latest day, forward only, for those it belongs to."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, timedelta

import pytest
from sqlalchemy import Connection

from app.errors import Conflict, Refused
from app.store import population, using
from app.usage import Intake, Reader, Seen, Taken, Told, Use, day_used, told_through
from tests.probe import asked, fingerprint, rows, suspended
from tests.world import ACTOR, START, Town, row

TODAY = START.date()
DAY = timedelta(days=1)


def record(town: Town, customers: dict[str, date] | None = None, **days: date) -> Taken:
    return Intake(town.database, town.clock).record(town.key, Told(days, customers or {}), ACTOR)


def used(town: Town, name: str) -> date | None:
    return town.case(name).subscription.last_used_on


# --- reading -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2024-08-22", date(2024, 8, 22)),
        ("2024-08-22T08:57:25Z", date(2024, 8, 22)),
        ("2024-08-22T23:30:00-02:00", date(2024, 8, 23)),
        ("2024-08-22T01:30:00+02:00", date(2024, 8, 21)),
        ("2024-09-01T12:04:59Z", date(2024, 9, 1)),
        ("2024-09-02", date(2024, 9, 2)),
    ],
)
def test_a_time_of_use_gives_its_utc_day_and_a_plain_date_itself(text: str, day: date) -> None:
    assert day_used(text, START) == day


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("2024-09-03", "future"),
        ("2024-09-01T12:05:01Z", "future"),
        ("9999-12-31T23:59:59-12:00", "out of range"),
        ("2024-08-22T08:57:25", "offset"),
        ("yesterday!", "no date"),
        ("22.08.2024", "no date"),
        ("2024-13-01", "no date"),
        ("", "no time"),
        ("2024-02-30T00:00:00Z", "no time"),
        ("0001-01-01T00:00:00+14:00", "out of range"),
    ],
)
def test_what_is_no_time_of_use_is_refused_and_says_why(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        day_used(text, START)


def test_a_plain_date_may_be_tomorrow_where_it_is_tomorrow_already() -> None:
    assert day_used("2024-09-02", START) == date(2024, 9, 2)
    with pytest.raises(ValueError, match="future"):
        day_used("2024-09-02", datetime(2024, 9, 1, 9, 59, tzinfo=UTC))


def test_events_prove_the_day_before_the_last_of_them() -> None:
    assert told_through([date(2024, 8, 3), date(2024, 8, 9), date(2024, 8, 1)]) == date(2024, 8, 8)
    assert told_through([]) is None


# --- folding -----------------------------------------------------------------------------------


def test_use_moves_forward_and_never_back(town: Town) -> None:
    town.join(row("ada"))
    assert record(town, ada=TODAY - 5 * DAY) == Taken(1, 0, 0)
    assert record(town, ada=TODAY - 9 * DAY) == Taken(0, 1, 0)
    assert record(town, ada=TODAY - 5 * DAY) == Taken(0, 1, 0)
    assert used(town, "ada") == TODAY - 5 * DAY


def test_telling_use_again_writes_nothing(town: Town) -> None:
    town.join(row("ada"))
    record(town, ada=TODAY)
    before = fingerprint(town.database)
    record(town, ada=TODAY)
    assert fingerprint(town.database) == before


def test_unknown_subscriptions_are_remembered_with_their_latest_day(town: Town) -> None:
    assert record(town, eve=TODAY - 3 * DAY) == Taken(0, 0, 1)
    record(town, eve=TODAY - 1 * DAY)
    record(town, eve=TODAY - 7 * DAY)
    town.join(row("eve"))
    assert used(town, "eve") == TODAY - DAY


def test_use_of_a_customer_counts_for_all_of_theirs(town: Town) -> None:
    town.join(row("ada", customer="c1"), row("bob", customer="c1"), row("cyd", customer="c2"))
    assert record(town, {"c1": TODAY}) == Taken(2, 0, 0)
    assert (used(town, "ada"), used(town, "bob"), used(town, "cyd")) == (TODAY, TODAY, None)


def test_the_later_of_a_customers_and_a_subscriptions_use_counts(town: Town) -> None:
    town.join(row("ada", customer="c1"), row("bob", customer="c1"))
    record(town, {"c1": TODAY - 5 * DAY}, ada=TODAY)
    assert (used(town, "ada"), used(town, "bob")) == (TODAY, TODAY - 5 * DAY)


def test_unknown_customers_are_counted(town: Town) -> None:
    assert record(town, {"nobody": TODAY}) == Taken(0, 0, 1)


def test_a_blank_customer_is_nobody(town: Town) -> None:
    town.join(row("ada", customer="  "), row("bob", customer=""))
    assert record(town, {"": TODAY, "  ": TODAY}).applied == 0


def test_use_while_asked_ends_the_round_at_once_and_without_a_notice(town: Town) -> None:
    town.join(row("ada"))
    asked(town, "ada")
    record(town, ada=TODAY)
    assert town.stage("ada") == "active"
    town.deliver()
    assert len(town.relay.sent) == 1


def test_use_after_a_suspension_charges_nobody_and_stops_the_erasure(town: Town) -> None:
    town.join(row("ada"))
    suspended(town, "ada")
    record(town, ada=town.clock.now().date())
    current = town.case("ada").round
    assert current is not None
    assert (town.stage("ada"), current.erase_on) == ("suspended", None)
    town.deliver()
    assert town.acts("ada") == ["suspend"]


def test_use_told_in_one_batch_ends_many_rounds(town: Town) -> None:
    names = ["ada", "bob", "cyd"]
    town.join(*(row(name) for name in names))
    asked(town, *names)
    assert record(town, None, **dict.fromkeys(names, TODAY)).applied == 3
    assert [town.stage(name) for name in names] == ["active"] * 3


# --- what has been seen already ------------------------------------------------------------------


@pytest.fixture
def intake(town: Town) -> Intake:
    """Give an intake that lives as long as a process does."""
    return Intake(town.database, town.clock)


def tell(intake: Intake, *events: Use) -> Taken:
    return intake.record("tv", Told.of(events), ACTOR)


def of(name: str, day: date = TODAY) -> Use:
    return Use(of_customer=False, name=name, day=day)


def test_events_are_folded_to_the_latest_day_of_each_name() -> None:
    told = Told.of(
        [
            of("ada", TODAY - DAY),
            of("ada"),
            of("ada", TODAY - 2 * DAY),
            Use(of_customer=True, name="ada", day=TODAY - DAY),
        ]
    )
    assert told == Told({"ada": TODAY}, {"ada": TODAY - DAY})


def test_who_was_seen_today_costs_one_count_and_is_unchanged(
    town: Town, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.join(row("ada"), row("bob"))
    tell(intake, of("ada"), of("bob"))
    folded: list[str] = []
    real = using.fold_by_name

    def fold(connection: Connection, product_id: int, days: Mapping[str, date]) -> dict[str, int]:
        folded.extend(days)
        return real(connection, product_id, days)

    monkeypatch.setattr(using, "fold_by_name", fold)
    assert tell(intake, of("ada"), of("bob", TODAY - DAY)) == Taken(0, 2, 0)
    assert folded == []
    assert tell(intake, of("ada", TODAY + DAY), of("bob")) == Taken(1, 1, 0)
    assert folded == ["ada"]


def test_a_later_day_is_never_taken_for_one_already_seen(town: Town, intake: Intake) -> None:
    town.join(row("ada"))
    for days in (9, 5, 7, 1, 3, 0):
        tell(intake, of("ada", TODAY - days * DAY))
    assert used(town, "ada") == TODAY


def forget(town: Town, name: str) -> None:
    """Let somebody go from the database altogether, whoever did that."""
    for table in ("reconfirmation", "timer", "contact"):
        rows(town.database, f"delete from {table} where subscription_id = {town.id_of(name)}")  # noqa: S608
    rows(town.database, f"delete from subscription where external_id = '{name}'")  # noqa: S608


def test_use_of_somebody_deleted_is_unknown_and_counts_once_they_are_imported_anew(
    town: Town, intake: Intake
) -> None:
    town.join(row("ada"), row("bob"))
    tell(intake, of("ada"), of("bob"))
    forget(town, "ada")
    assert tell(intake, of("ada"), of("bob")) == Taken(0, 1, 1)
    town.join(row("ada"))
    assert used(town, "ada") == TODAY


def test_use_of_somebody_deleted_and_imported_anew_is_not_hidden(
    town: Town, intake: Intake
) -> None:
    town.join(row("ada"))
    tell(intake, of("ada"))
    forget(town, "ada")
    town.join(row("ada"))
    assert used(town, "ada") is None
    assert tell(intake, of("ada")) == Taken(1, 0, 0)
    assert used(town, "ada") == TODAY


def test_use_is_not_hidden_where_the_day_went_back_or_the_name_went_to_another(
    town: Town, intake: Intake
) -> None:
    town.join(row("ada"), row("bob"))
    tell(intake, of("ada"), of("bob"))
    rows(town.database, "update subscription set last_used_on = null where external_id = 'ada'")
    rows(town.database, "update subscription set external_id = 'gone' where external_id = 'bob'")
    assert tell(intake, of("ada"), of("bob")) == Taken(1, 0, 1)


def test_what_was_seen_at_one_product_says_nothing_of_another(town: Town, intake: Intake) -> None:
    town.join(row("ada"))
    other = Town.founded(town.database, town.clock, town.links, "radio")
    other.join(row("ada"))
    tell(intake, of("ada"))
    assert intake.record("radio", Told.of([of("ada")]), ACTOR) == Taken(1, 0, 0)


def test_nothing_is_remembered_of_what_was_rolled_back(
    town: Town, intake: Intake, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.join(row("ada"))

    def broken(*_: object) -> list[int]:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(population, "in_a_round", broken)
        with pytest.raises(ZeroDivisionError):
            tell(intake, of("ada"))
    number = town.product.id
    assert intake.seen.settled(number, {"ada": TODAY}) == {}
    assert tell(intake, of("ada")) == Taken(1, 0, 0)


def test_unknown_people_are_not_remembered_as_seen(town: Town, intake: Intake) -> None:
    tell(intake, of("eve"))
    town.join(row("eve"))
    rows(town.database, "update subscription set last_used_on = null")
    assert tell(intake, of("eve")) == Taken(1, 0, 0)


def test_the_memory_is_bounded_and_the_latest_stay(town: Town) -> None:
    seen, number = Seen(most=100), town.product.id
    for n in range(1000):
        seen.note(number, {f"p{n}": TODAY})
    kept = sum(len(each.get(number, {})) for each in (seen._young, seen._old))
    assert kept <= 202
    latest = {f"p{n}": TODAY for n in range(900, 1000)}
    assert len(seen.settled(number, latest)[TODAY]) == 100


def test_a_batch_of_many_days_is_right_day_by_day(town: Town, intake: Intake) -> None:
    names = [f"p{n}" for n in range(9)]
    town.join(*(row(name) for name in names))
    days = {name: TODAY - n * DAY for n, name in enumerate(names)}
    assert tell(intake, *(of(name, day) for name, day in days.items())).applied == 9
    assert tell(intake, *(of(name, day) for name, day in days.items())) == Taken(0, 9, 0)
    later = tell(intake, *(of(name, day + DAY) for name, day in days.items()))
    assert later == Taken(9, 0, 0)


def test_a_name_nobody_knows_that_holds_a_card_number_is_refused_and_not_kept(
    town: Town, intake: Intake
) -> None:
    card = "4111 1111 1111 1111"
    taken = tell(intake, of(card), Use(of_customer=True, name=card, day=TODAY), of("eve"))
    assert taken == Taken(0, 0, 1, frozenset({card}))
    assert rows(town.database, "select external_id from unknown_usage") == [("eve",)]


@pytest.mark.parametrize(
    ("subscription", "customer", "why"),
    [
        ("", "", "one of the two"),
        ("a", "b", "one of the two"),
        ("a" * 201, "", "no id"),
        ("a\0", "", "no id"),
        ("a\ud800", "", "no id"),
    ],
)
def test_an_event_names_one_subscription_or_one_customer(
    subscription: str, customer: str, why: str
) -> None:
    with pytest.raises(ValueError, match=why):
        Reader(START).use(subscription, customer, "2024-08-22")


# --- feeds -------------------------------------------------------------------------------------


def test_a_feed_is_announced_once_and_counts_as_unheard_until_it_speaks(town: Town) -> None:
    intake = Intake(town.database, town.clock)
    assert intake.announce("tv", "web")
    assert town.product.hearing.heard_until is None
    assert not intake.announce("tv", "web")
    rows(town.database, "update feed set retired_at = created_at where name = 'web'")
    with pytest.raises(Conflict):
        intake.announce("tv", "web")


def test_what_a_feed_covers_only_grows(town: Town) -> None:
    intake = Intake(town.database, town.clock)
    intake.covers("tv", "app", date(2010, 1, 1), date(2024, 8, 1))
    found = rows(town.database, "select covers_from, covers_until from feed")
    assert found == [(date(2000, 1, 1), date(2024, 8, 31))]


def test_a_product_is_heard_up_to_the_least_of_its_feeds(town: Town) -> None:
    Intake(town.database, town.clock).covers("tv", "web", date(2023, 1, 1), date(2024, 8, 20))
    hearing = town.product.hearing
    assert (hearing.covers_from, hearing.heard_until) == (date(2023, 1, 1), date(2024, 8, 20))


def test_a_feed_that_does_not_say_from_when_it_covers_counts_from_the_day_it_spoke(
    town: Town,
) -> None:
    Intake(town.database, town.clock).covers("tv", "web", None, date(2024, 8, 31))
    assert town.product.hearing.covers_from == TODAY
    town.clock.advance(3 * DAY)
    Intake(town.database, town.clock).covers("tv", "web", None, date(2024, 9, 2))
    assert town.product.hearing.covers_from == TODAY


def test_nothing_before_the_feeds_cover_counts_as_unused(town: Town) -> None:
    Intake(town.database, town.clock).covers("tv", "web", date(2024, 1, 1), date(2024, 8, 31))
    town.join(row("ada"))
    assert not town.sweep().counts


def test_a_retired_feed_no_longer_counts(town: Town) -> None:
    Intake(town.database, town.clock).covers("tv", "web", date(2023, 1, 1), date(2024, 8, 20))
    rows(town.database, "update feed set retired_at = created_at where name = 'web'")
    assert town.product.hearing.heard_until == date(2024, 8, 31)
    with pytest.raises(Conflict):
        Intake(town.database, town.clock).covers("tv", "web", None, date(2024, 8, 21))


def test_a_feed_cannot_have_told_the_future(town: Town) -> None:
    with pytest.raises(Refused, match="future"):
        Intake(town.database, town.clock).covers("tv", "app", None, TODAY + 2 * DAY)
