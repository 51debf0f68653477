"""The forecast beside the real thing: a dry run of the sweep on random populations."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, delete

from app import policy as policies
from app.forecast import (
    ENOUGH,
    HORIZON,
    Forecast,
    Forecaster,
    Keeper,
    expected,
    last_day,
    paced,
    wilson,
)
from app.forecast.groups import limits
from app.links import Links
from app.policy import Period
from app.store import counts, products
from app.store.counts import EPOCH
from app.store.database import Database
from app.store.tables import metadata
from app.usage import Intake, Told
from tests.conftest import KEYS
from tests.probe import DAY, asked, goes, rows
from tests.world import ACTOR, START, YEAR, MovableClock, Town, row

TODAY = START.date()
FREELY = settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.explicit, Phase.generate),
    suppress_health_check=list(HealthCheck),
)


def emptied(database: Database) -> None:
    with database.transaction() as connection:
        connection.exec_driver_sql("set local session_replication_role = replica")
        for table in reversed(metadata.sorted_tables):
            connection.execute(delete(table))


def forecast(town: Town, body: dict[str, Any], *, nightly: bool = True) -> Forecast:
    """Forecast a policy, with those apart counted just now."""
    keeper = Keeper(town.database, town.clock)
    if nightly:
        keeper.count_apart(town.key)
    return Forecaster(town.database, town.clock).forecast(town.key, policies.read(body))


def hear(town: Town) -> None:
    """Let the feed tell yesterday, and not from when it covers."""
    yesterday = town.clock.now().date() - DAY
    Intake(town.database, town.clock).covers(town.key, "app", None, yesterday)


def would_ask(town: Town, body: dict[str, Any], ahead: int) -> int:
    """Count whom a dry run would ask some days ahead, once they have been told."""
    before = town.clock.now()
    town.put_in_force(body)
    town.clock.set(before + ahead * DAY)
    hear(town)
    done = town.sweep(dry=True)
    town.clock.set(before)
    assert done.stopped is None
    assert done.failed == 0
    return done.counts["asked"]


# --- populations -----------------------------------------------------------------------------

PERIODS = st.sampled_from(["P7D", "P1M", "P90D", "P6M", "P1Y", "P13M", "P1Y1D", "P2Y", "P10Y"])
DAYS = st.one_of(
    st.dates(date(2020, 1, 1), TODAY),
    st.sampled_from([date(2024, 2, 29), date(2023, 8, 31), date(2023, 9, 1), date(2024, 8, 31)]),
)
ZONES = ["Pacific/Kiritimati", "Europe/London", "Pacific/Pago_Pago", "America/New_York", "UTC"]


@st.composite
def people(draw: st.DrawFn) -> list[tuple[dict[str, str], date | None]]:
    """Draw rows of an import file, each with a day of use or none."""
    found = []
    for number in range(draw(st.integers(1, 25))):
        started = draw(DAYS)
        currency, country = draw(st.sampled_from([("GBP", "GB"), ("EUR", "FR"), ("EUR", "DE")]))
        facts = row(
            f"p{number}",
            started_at=f"{started}T10:00:00Z",
            timezone=draw(st.sampled_from(ZONES)),
            plan=draw(st.sampled_from(["basic", "gold"])),
            country=country,
            currency=currency,
            interval=draw(st.sampled_from(["month", "year", "week"])),
            amount=draw(st.sampled_from([0, 499, 12345])),
            status=draw(st.sampled_from(["active", "active", "past_due", "paused", "canceled"])),
            renews_at=f"{draw(st.dates(TODAY + DAY, TODAY + 300 * DAY))}T03:00:00Z",
        )
        found.append((facts, draw(st.none() | DAYS)))
    return found


EARLY = st.fixed_dictionaries(
    {
        "intervals": st.sampled_from([["year"], ["year", "month"]]),
        "unused_for": st.sampled_from(["P30D", "P6M", "P1Y"]),
        "ask_ahead": st.sampled_from(["P45D", "P2M"]),
    }
)


@st.composite
def bodies(draw: st.DrawFn, *, early: bool = False) -> dict[str, Any]:
    """Draw a policy with segments."""
    whens = st.fixed_dictionaries(
        {},
        optional={
            "plan": st.just(["gold"]),
            "country": st.lists(st.sampled_from(["GB", "FR", "DE"]), min_size=1, max_size=2),
            "interval": st.just(["year"]),
            "currency": st.just(["EUR"]),
        },
    ).filter(bool)
    segments: list[dict[str, Any]] = [
        {"when": draw(whens), "unused_after": draw(PERIODS), "never_used_after": draw(PERIODS)}
        for _ in range(draw(st.integers(0, 3)))
    ]
    body = YEAR | {
        "never_used_after": draw(PERIODS),
        "unused_after": draw(PERIODS),
        "ask_again_after": draw(st.sampled_from(["P30D", "P6M", "P1Y"])),
        "segments": segments,
    }
    if early:
        body["before_renewal"] = draw(EARLY)
        own = st.fixed_dictionaries({}, optional={"before_renewal": st.none() | EARLY})
        for each in segments:
            each.update(draw(own))
    return body


def settled(
    database: Database,
    found: Sequence[tuple[dict[str, str], date | None]],
    covers_from: date = date(2000, 1, 1),
) -> Town:
    """Found a town with these people at home in it."""
    emptied(database)
    town = Town.founded(database, MovableClock(), Links(KEYS, "http://127.0.0.1:8080"))
    rows(database, "update feed set covers_from = :day", day=covers_from)
    town.join(*(facts for facts, _ in found))
    for facts, used in found:
        if used is not None:
            town.use(facts["id"], used)
    return town


@given(
    people(),
    bodies(),
    st.sampled_from([date(2000, 1, 1), date(2023, 9, 1), date(2024, 2, 29)]),
    st.integers(0, 1),
)
@FREELY
def test_thresholds_and_segments_are_exact(
    database: Database,
    found: list[tuple[dict[str, str], date | None]],
    body: dict[str, Any],
    covers_from: date,
    folds: int,
) -> None:
    town = settled(database, found, covers_from)
    Keeper(database, town.clock).fold(town.key, most=folds)
    town.use(found[0][0]["id"], TODAY)

    told = forecast(town, body).proposed

    assert told.today == would_ask(town, body, 0)
    assert told.tomorrow == would_ask(town, body, 1)
    assert sum(told.days[:201]) == would_ask(town, body, 200)


@given(people(), bodies(early=True))
@FREELY
def test_who_is_asked_before_a_renewal_is_known_of_the_night(
    database: Database, found: list[tuple[dict[str, str], date | None]], body: dict[str, Any]
) -> None:
    town = settled(database, found)

    told = forecast(town, body).proposed

    assert told.today == would_ask(town, body, 0)
    town.put_in_force(body)
    for day in told.days[:3]:  # who is not mailed is withdrawn after three days
        assert town.sweep().counts["asked"] == day
        town.clock.advance(DAY)
        hear(town)


@given(people(), bodies(), st.lists(st.sampled_from(["keep", "cancel", "use", ""]), min_size=5))
@FREELY
def test_who_was_asked_before_is_left_out(
    database: Database,
    found: list[tuple[dict[str, str], date | None]],
    body: dict[str, Any],
    said: list[str],
) -> None:
    town = settled(database, found)
    town.settle()
    names = [facts["id"] for facts, _ in found if town.stage(facts["id"]) == "asked"]
    town.clock.advance(timedelta(hours=1))
    for name, word in zip(names, said, strict=False):
        if word == "use":
            town.use(name)
        elif word:
            town.answer(name, word)
    town.clock.advance(40 * DAY)
    town.hear()
    town.settle()

    told = forecast(town, body).proposed

    assert told.today == would_ask(town, body, 0)


def test_the_day_of_a_threshold_is_counted_as_the_rules_count_it() -> None:
    for text in ("P1M", "P6M", "P1Y", "P13M", "P1M1D", "P7D"):
        period = Period.parse(text)
        for n in range(800):
            due = date(2023, 1, 1) + n * DAY
            last = last_day(period, due)
            assert period.after(last) + DAY <= due < period.after(last + DAY) + DAY


def test_the_days_of_a_year_ahead_are_those_of_each_day() -> None:
    for text in ("P1M", "P6M", "P1Y", "P13M", "P1M1D", "P7D", "P10Y"):
        period = Period.parse(text)
        for today in (date(2023, 3, 1), date(2024, 2, 29), date(2024, 8, 31)):
            each = [(last_day(period, today + n * DAY) - EPOCH).days for n in range(HORIZON + 1)]
            assert limits(period, today) == tuple(each)


# --- what is told of them ----------------------------------------------------------------------


@pytest.fixture
def town(database: Database, clock: MovableClock, links: Links) -> Town:
    return Town.founded(database, clock, links)


def test_prices_are_summed_by_currency_and_interval(town: Town) -> None:
    town.join(
        row("ada"),
        row("ben", amount=1200, interval="year"),
        row("cyd", amount=500, currency="EUR"),
        row("dan", started_at="2024-08-01T00:00:00Z"),
    )
    told = forecast(town, YEAR).proposed
    assert (told.tomorrow, told.never_used, told.unused) == (3, 3, 0)
    assert [(p.currency, p.interval, p.people, p.amount) for p in told.prices] == [
        ("EUR", "month", 1, 500),
        ("GBP", "month", 1, 1349),
        ("GBP", "year", 1, 1200),
    ]
    assert [(each.currency, each.amount) for each in told.monthly] == [("EUR", 500), ("GBP", 1449)]
    assert told.in_a_year == 4
    assert sum(each.people for each in told.months) == sum(each.people for each in told.weeks) == 4
    assert [each.starts for each in told.months if each.people] == [TODAY, date(2025, 8, 1)]


def test_it_stands_beside_the_policy_in_force(town: Town) -> None:
    town.join(row("ada", started_at="2024-01-01T00:00:00Z"))
    told = forecast(town, YEAR | {"never_used_after": "P6M"})
    assert told.in_force is not None
    assert (told.proposed.today, told.in_force.today) == (1, 0)
    assert (told.proposed.version, told.in_force.version) == (None, 1)


def test_a_product_without_a_policy_or_a_feed_is_told_about_too(town: Town) -> None:
    rows(town.database, "update product set policy_version = null")
    rows(town.database, "delete from feed")
    town.join(row("ada"))
    told = forecast(town, YEAR, nightly=False)
    assert told.in_force is None
    assert told.proposed.today == 1
    assert any("no feed has spoken" in each for each in told.says)
    assert any("not known yet" in each for each in told.says)
    assert told.nightly.counted_at is None


@pytest.mark.parametrize("folds", [0, 1])
def test_nobody_counts_as_unused_before_the_feeds_cover_anything(town: Town, folds: int) -> None:
    rows(town.database, "update feed set covers_from = '2024-02-29'")
    town.join(row("ada"))
    Keeper(town.database, town.clock).fold("tv", most=folds)
    told = forecast(town, YEAR).proposed
    due = [TODAY + ahead * DAY for ahead, many in enumerate(told.days) if many]
    assert due == [date(2025, 3, 1)]


def test_two_products_never_mix(town: Town, database: Database, links: Links) -> None:
    other = Town.founded(database, town.clock, links, key="radio")
    town.join(row("ada"), row("ben"))
    other.join(row("ada"))
    town.use("ada")
    assert (forecast(town, YEAR).proposed.today, forecast(other, YEAR).proposed.today) == (1, 1)
    Keeper(database, town.clock).fold(town.key)
    assert (forecast(town, YEAR).proposed.today, forecast(other, YEAR).proposed.today) == (1, 1)


# --- what is kept from one question to the next --------------------------------------------------


def test_what_was_summed_is_patched_by_folds(town: Town) -> None:
    keeper, clock = Keeper(town.database, town.clock), town.clock
    forecaster = Forecaster(town.database, clock)
    policy = policies.read(YEAR)
    for name in ("ada", "ben", "cyd"):
        town.join(row(name))
        before = forecaster.forecast("tv", policy).proposed.today
        keeper.fold("tv")
        assert forecaster.forecast("tv", policy).proposed.today == before
    assert before == 3
    town.use("ada")
    assert forecaster.forecast("tv", policy).proposed.today == 2
    keeper.count_apart("tv")
    asked(town, "ben")
    assert forecaster.forecast("tv", policy).proposed.today == 2
    keeper.count_apart("tv")
    assert forecaster.forecast("tv", policy).proposed.today == 0


MOMENTS = st.lists(
    st.tuples(
        st.sampled_from(["use", "join", "change", "fold", "fold", "ask", "ask", "ask", "anew"]),
        st.integers(0, 8),
        DAYS | st.sampled_from([date(1990, 1, 1), date(2026, 3, 1)]),
        st.sampled_from([("basic", "GB"), ("gold", "FR"), ("gold", "DE"), ("tin", "FR")]),
    ),
    min_size=8,
    max_size=25,
)


def happen(town: Town, what: str, number: int, day: date, facts: tuple[str, str]) -> None:
    """Let something happen that the counts are to follow."""
    name, keeper = f"p{number}", Keeper(town.database, town.clock)
    match what:
        case "use":
            town.use(name, min(day, TODAY))
        case "join" | "change":
            plan, country = facts
            started = f"{day}T10:00:00Z"
            amount = 499 + number
            town.join(row(name, plan=plan, country=country, started_at=started, amount=amount))
        case "fold":
            keeper.fold(town.key, most=1)
        case "anew":
            rows(town.database, "update count_day set people = people + 1")
            keeper.check(town.key, repair=True)


@given(MOMENTS, st.lists(bodies(), min_size=3, max_size=3), bodies(), st.data())
@FREELY
def test_what_is_kept_says_what_a_fresh_look_says(
    database: Database,
    moments: list[Any],
    proposed: list[dict[str, Any]],
    in_force: dict[str, Any],
    data: st.DataObject,
) -> None:
    town = settled(database, [])
    town.put_in_force(in_force)
    keeping = Forecaster(database, town.clock)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(counts, "KEPT_FOLDS", 2)
        for what, number, day, facts in moments:
            happen(town, what, number, day, facts)
            if what == "ask":
                policy = policies.read(data.draw(st.sampled_from(proposed)))
                told = keeping.forecast(town.key, policy)
                assert told == Forecaster(database, town.clock).forecast(town.key, policy)
        body = proposed[0]
        told = keeping.forecast(town.key, policies.read(body))
        assert told.proposed.today == would_ask(town, body, 0)
        assert sum(told.proposed.days[:201]) == would_ask(town, body, 200)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[set[int]]:
    """Note which parts are read from the folded counts, as often as any are."""
    found: list[set[int]] = []
    curves = counts.curves

    def noted(connection: Connection, groups: Mapping[int, int]) -> list[counts.Curve]:
        found.append(set(groups))
        return curves(connection, groups)

    monkeypatch.setattr(counts, "curves", noted)
    return found


def segmented(*whens: dict[str, list[str]], unused_after: str = "P1Y") -> policies.Policy:
    segments = [{"when": each, "unused_after": "P6M"} for each in whens]
    return policies.read(YEAR | {"unused_after": unused_after, "segments": segments})


def test_a_slider_and_a_fold_read_no_folded_counts(town: Town, read: list[set[int]]) -> None:
    town.join(row("ada", country="FR"), row("ben"))
    forecaster, keeper = Forecaster(town.database, town.clock), Keeper(town.database, town.clock)
    keeper.fold("tv")
    forecaster.forecast("tv", segmented({"country": ["FR"]}))
    read.clear()
    for name in ("cyd", "dan"):
        town.join(row(name, country="ES"))
        town.use("ada")
        keeper.fold("tv")
        policy = segmented({"country": ["FR"]}, unused_after="P7M")
        assert forecaster.forecast("tv", policy).proposed.in_a_year == len(["ada", "ben", name]) + (
            name == "dan"
        )
    assert read == []


def test_another_country_in_a_segment_makes_only_its_parts_be_read(
    town: Town, read: list[set[int]]
) -> None:
    town.join(
        *(row(f"p{n}", country=each) for n, each in enumerate(("FR", "ES", "GB", "DE", "IT")))
    )
    Keeper(town.database, town.clock).fold("tv")
    ids = dict(rows(town.database, "select country, id from count_part"))
    forecaster = Forecaster(town.database, town.clock)
    forecaster.forecast("tv", segmented({"country": ["FR"]}))
    assert read == [{ids[""]}, {ids["FR"]}]
    read.clear()
    forecaster.forecast("tv", segmented({"plan": ["none"]}, {"country": ["FR", "ES"]}))
    assert read == [{ids["ES"]}]


def test_sums_are_made_anew_once_their_days_run_out(town: Town) -> None:
    town.join(row("ada"), row("old", started_at="1990-01-01T00:00:00Z"))
    town.join(row("ben", started_at="2025-12-01T00:00:00Z"))
    town.join(row("far", started_at="2027-01-01T00:00:00Z"))
    forecaster, keeper = Forecaster(town.database, town.clock), Keeper(town.database, town.clock)
    keeper.fold("tv")
    policy = policies.read(YEAR | {"never_used_after": "P10Y"})
    soon = policies.read(YEAR | {"never_used_after": "P30D"})
    for _ in range(6):
        for each in (policy, soon):
            fresh = Forecaster(town.database, town.clock).forecast("tv", each)
            assert forecaster.forecast("tv", each) == fresh
        town.clock.advance(150 * DAY)
    assert fresh.proposed.today == 3


def test_a_start_before_or_after_all_others_is_added_to_what_is_kept(town: Town) -> None:
    town.join(row("ada"))
    forecaster, keeper = Forecaster(town.database, town.clock), Keeper(town.database, town.clock)
    soon = policies.read(YEAR | {"never_used_after": "P30D"})
    for name, started in (("ada", "2022-09-01"), ("late", "2026-03-01"), ("old", "2019-01-01")):
        town.join(row(name, started_at=f"{started}T00:00:00Z"))
        keeper.fold("tv")
        fresh = Forecaster(town.database, town.clock)
        assert forecaster.forecast("tv", soon) == fresh.forecast("tv", soon)
        assert forecaster.kept == fresh.kept


def test_days_out_of_reach_of_any_threshold_take_no_room(town: Town) -> None:
    town.join(row("ada"), row("ben"))
    for name, day in (("ada", "1900-01-01"), ("ben", "2900-01-01")):
        rows(
            town.database,
            "update subscription set started_on = cast(:day as date) where external_id = :name",
            day=day,
            name=name,
        )
    forecaster, keeper = Forecaster(town.database, town.clock), Keeper(town.database, town.clock)
    keeper.fold("tv")
    told = forecaster.forecast("tv", policies.read(YEAR | {"never_used_after": "P10Y"})).proposed
    assert (told.today, told.in_a_year) == (1, 1)
    (kept,) = forecaster.kept.values()
    assert {len(each.people) for each in kept.steps} == {4000 + 300 + 365 + 2}


def test_whom_a_night_sets_apart_is_asked_of_each_policy(town: Town) -> None:
    town.join(row("ada", interval="year", renews_at="2024-12-01T00:00:00Z"))
    town.use("ada", date(2024, 1, 1))
    Keeper(town.database, town.clock).count_apart("tv")
    early = {"intervals": ["year"], "unused_for": "P6M", "ask_ahead": "P45D"}
    forecaster = Forecaster(town.database, town.clock)
    found = [
        forecaster.forecast("tv", policies.read(YEAR | more)).proposed.days
        for more in ({}, {"before_renewal": early}, {})
    ]
    assert found[0] == found[2]
    due = [TODAY + each.index(1) * DAY for each in found]
    assert due[0] == date(2025, 1, 2)
    assert due[1] < date(2024, 11, 1), "a window before the charge in December"


def test_who_reads_at_an_earlier_moment_is_told_of_that_moment(town: Town) -> None:
    town.join(row("ada", country="FR"), row("ben"))
    forecaster, keeper = Forecaster(town.database, town.clock), Keeper(town.database, town.clock)
    keeper.fold("tv")
    policy, told = segmented({"country": ["FR"]}), []

    def later() -> None:
        town.join(row("cyd", country="FR"))
        keeper.fold("tv")
        told.append(forecaster.forecast("tv", policy).proposed.today)

    with pytest.MonkeyPatch.context() as patched:
        load = products.load

        def overtaken(connection: Connection, key: str) -> products.Product:
            found = load(connection, key)
            patched.setattr(products, "load", load)
            later()
            return found

        patched.setattr(products, "load", overtaken)
        told.append(forecaster.forecast("tv", policy).proposed.today)
    told.append(forecaster.forecast("tv", policy).proposed.today)
    assert told == [3, 2, 3]


# --- pace and expectation ----------------------------------------------------------------------


def flat(**pace: Any) -> policies.Policy:
    body = YEAR | {"reminders": ["P7D"], "pace": {"ramp": ["100%"], **pace}}
    return policies.read(body)


def test_a_backlog_takes_as_many_days_as_the_pace_says() -> None:
    told = paced([100, *[0] * 365], flat(notices_per_day=30), TODAY, ramped=False)
    assert (told.first_day, told.most_mails, told.days) == (30, 30, 3)
    assert told.done_on == TODAY + 3 * DAY


def test_reminders_come_before_new_asks() -> None:
    told = paced([300, *[0] * 365], flat(notices_per_day=30), TODAY, ramped=False)
    assert told.days == 16  # 210 in the first week, none in the second, when they are reminded
    assert told.most_mails == 30


def test_a_ramp_goes_a_step_a_day() -> None:
    policy = flat(ramp=[10, "10%", "100%"], notices_per_day=1000)
    told = paced([200, *[0] * 365], policy, TODAY, ramped=True)
    assert (told.first_day, told.days) == (10, 2)


def test_who_waits_after_a_year_is_said() -> None:
    told = paced([1000, *[0] * 365], flat(notices_per_day=1), TODAY, ramped=False)
    assert told.done_on is None
    assert 1000 - 366 <= told.left_after_a_year < 1000


def test_an_interval_holds_the_share_and_narrows_with_more_answers() -> None:
    low, high = wilson(50, 100)
    assert (round(low, 3), round(high, 3)) == (0.404, 0.596)
    assert wilson(0, 30)[0] == 0.0
    assert wilson(30, 30)[1] == 1.0
    few, many = wilson(10, 40), wilson(1000, 4000)
    assert few[0] < many[0] < 0.25 < many[1] < few[1]


def test_too_few_answers_say_nothing() -> None:
    assert expected({"kept": ENOUGH - 1}, 1000) == []
    found = {each.answer: each for each in expected({"kept": 30, "silent": 70}, 1000)}
    assert found["kept"].people == 300
    assert found["kept"].people_low < 300 < found["kept"].people_high
    assert found["returned"].people == 0 < found["returned"].people_high


def test_past_answers_are_counted_at_night(town: Town) -> None:
    names = [f"p{n}" for n in range(4)]
    town.join(*(row(name) for name in names))
    asked(town, *names)
    town.clock.advance(timedelta(hours=1))
    town.answer("p0", "keep")
    town.use("p1")
    town.answer("p2", "cancel")
    town.clock.advance(timedelta(hours=1))
    town.settle()
    goes(town, START + 45 * DAY)
    town.settle()
    Keeper(town.database, town.clock).count_apart("tv")
    (found,) = rows(town.database, "select past from count_state")
    assert found[0] == {"kept": 1, "returned": 1, "canceled": 1, "silent": 1}


# --- the counts never drift ----------------------------------------------------------------------


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["use", "use", "join", "change", "erase", "fold", "retell", "customer"]),
        st.integers(0, 5),
        DAYS,
        st.sampled_from(["active", "paused", "canceled", "past_due"]),
        st.sampled_from([0, 499, 999]),
    ),
    max_size=25,
)


@given(STEPS)
@FREELY
def test_the_counts_never_drift(database: Database, steps: list[Any]) -> None:
    town = settled(database, [])
    keeper = Keeper(database, town.clock)
    for what, number, day, status, amount in steps:
        name = f"p{number}"
        match what:
            case "use":
                town.use(name, day)
            case "join" | "change":
                started = f"{day}T10:00:00Z"
                town.join(row(name, status=status, amount=amount, started_at=started, customer="c"))
            case "erase":
                rows(
                    database,
                    "delete from contact c using subscription s where"
                    " s.id = c.subscription_id and s.external_id = :name",
                    name=name,
                )
                rows(database, "delete from subscription where external_id = :name", name=name)
            case "fold":
                keeper.fold(town.key, most=1)
            case "customer":
                Intake(database, town.clock).record(town.key, Told({}, {"c": day}), ACTOR)
            case "retell":
                rows(database, "update subscription set told_at = now()")
        assert keeper.check(town.key) == (0, [])
    keeper.fold(town.key)
    assert keeper.check(town.key) == (0, [])
    assert rows(database, "select count(*) from count_delta") == [(0,)]
