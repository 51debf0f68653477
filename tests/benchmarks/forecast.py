"""What a forecast takes beside a GROUP BY of all subscriptions, and what counting costs intake.

The people are spread over four years of days, forty plans and countries and two currencies. A plain
threshold is one sum over the folded counts; a whole forecast is the year of two policies, with and
without what was summed before (the first while a slider is dragged, and the next ones). The intake
is measured with the triggers that count and without them, by turns.
"""

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from functools import partial
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

from sqlalchemy import text

from app import policy as policies
from app.clock import Clock
from app.forecast import Forecaster, Keeper
from app.policy import Policy
from app.store.database import Database
from app.usage import Intake, Told
from tests.benchmarks import ground

TIMES = 5
BATCH = 1000
PEOPLE = 100_000
SPREAD = """update subscription set
    plan = 'plan_' || abs(hashint8(id)) % 4,
    country = (array['DE','FR','GB','US','IT','ES','NL','SE','PL','AT'])
      [1 + abs(hashint8(id)) / 4 % 10],
    currency = case when abs(hashint8(id)) / 4 % 10 = 2 then 'GBP' else 'EUR' end,
    "interval" = case when abs(hashint8(id)) / 40 % 5 = 0 then 'year' else 'month' end,
    started_on = cast(:today as date) - (id * 7919 % 1500)::int - 1,
    last_used_on = case when id % 9 = 0 then null
      when id % 3 = 0 then cast(:today as date) - (id * 104729 % 1400)::int
      else cast(:today as date) - (id % 30)::int end"""
GROUP_BY = """select count(*) from subscription
    where product_id = (select id from product where key = :key)
      and status in ('active', 'past_due') and amount > 0
      and last_used_on >= started_on and last_used_on <= :day"""
THRESHOLD = """select coalesce(sum(people), 0) from count_day
    where part_id = any(array(select id from count_part where plan = '' and product_id =
        (select id from product where key = :key)))
      and used and since <= :day"""
PLAIN = ground.POLICY
SEGMENTS: list[dict[str, Any]] = [
    {"when": {"country": ["FR"], "interval": ["year"]}, "unused_after": "P6M"},
    {"when": {"plan": ["plan_1", "plan_2"]}, "unused_after": "P18M"},
    {"when": {"currency": ["GBP"]}, "never_used_after": "P3M"},
]


def run(rows: int) -> None:
    """Measure forecasts, and the intake with and without counting."""
    now = datetime.now(UTC)
    with ground.database() as database:
        print(f"{rows:,} subscriptions; durable; medians of {TIMES}")
        _fill(database, rows, now)
        _forecasts(database, now.date())
        _intake(database, rows, now.date())


def _fill(database: Database, rows: int, now: datetime) -> None:
    """Fill, spread and count anew: what filling left to be folded is not what is measured."""
    _counting(database, on=False)
    ground.fill(database, rows, now)
    with database.transaction() as connection:
        connection.execute(text(SPREAD), {"today": now.date()})
        connection.execute(text("update count_state set drift = null"))
    _counting(database, on=True)
    ground.alone(database, "vacuum full subscription")
    ground.alone(database, "vacuum analyze")
    keeper = Keeper(database, Clock())
    _timed("counted anew, as a repair does", lambda: keeper.check(ground.KEY, repair=True), 1)
    _timed("those apart, as every night", lambda: keeper.count_apart(ground.KEY), 1)
    ground.alone(database, "vacuum analyze")
    counted = ground.number(database, "select count(*) from count_day")
    apart = ground.number(database, "select count(*) from count_apart")
    print(f"    {counted:,} counts, {apart:,} rows apart")


def _forecasts(database: Database, today: date) -> None:
    day = today - timedelta(days=366)
    values = {"key": ground.KEY, "day": day}
    found = [ground.number(database, each, **values) for each in (GROUP_BY, THRESHOLD)]
    if found[0] != found[1]:
        raise SystemExit(f"counted {found[1]}, and there are {found[0]}")
    plain = _timed("GROUP BY of one threshold", lambda: ground.number(database, GROUP_BY, **values))
    quick = _timed("the same from counts", lambda: ground.number(database, THRESHOLD, **values))
    print(f"    {plain / quick:,.0f} times as fast (target: 1 ms)")
    early = {"intervals": ["year"], "unused_for": "P6M", "ask_ahead": "P45D"}
    for name, body in (
        ("no segments", PLAIN),
        ("three segments", PLAIN | {"segments": SEGMENTS}),
        ("with before_renewal", PLAIN | {"segments": SEGMENTS, "before_renewal": early}),
    ):
        policy = policies.read(body)
        fresh = partial(_afresh, database, policy)
        kept = Forecaster(database, Clock())
        kept.forecast(ground.KEY, policy)
        _timed(f"forecast, {name}: the first", fresh)
        again = partial(kept.forecast, ground.KEY, policy)
        _timed(f"forecast, {name}: the next ones", again)
    print("    (target: 50 ms)")


def _afresh(database: Database, policy: Policy) -> object:
    """Forecast as a process does that has just begun."""
    return Forecaster(database, Clock()).forecast(ground.KEY, policy)


def _intake(database: Database, rows: int, today: date) -> None:
    """Measure batches of distinct people by turns: with triggers, with folding, and without."""
    random = Random(1)  # noqa: S311 - an order, and no secret
    chosen = random.sample(range(1, rows + 1), min(rows, PEOPLE))
    rates: dict[str, list[float]] = {"not counted": [], "counted": [], "counted and folded": []}
    day = today
    keeper = Keeper(database, Clock())
    for _ in range(TIMES):
        for way, found in rates.items():
            _counting(database, on=way != "not counted")
            day += timedelta(days=1)
            began = perf_counter()
            for start in range(0, len(chosen), BATCH):
                names = chosen[start:][:BATCH]
                _record(database, names, day)
            if way == "counted and folded":
                keeper.fold(ground.KEY)
            found.append(len(chosen) / (perf_counter() - began))
            keeper.fold(ground.KEY)
    limit = median(rates["not counted"])
    for way, found in rates.items():
        rate = median(found)
        print(
            f"intake, {way:20} {rate:10,.0f} people/s"
            f" ({min(found):,.0f} to {max(found):,.0f})   {rate / limit:.2f} of not counted"
        )


_INTAKES: dict[str, Intake] = {}


def _record(database: Database, numbers: list[int], day: date) -> None:
    """Take in a batch as a process does that has run for a while."""
    intake = _INTAKES.setdefault(database.url, Intake(database, Clock()))
    told = Told({f"sub_{number}": day for number in numbers}, {})
    intake.record(ground.KEY, told, ground.ACTOR)


def _counting(database: Database, *, on: bool) -> None:
    ground.alone(database, f"alter table subscription {'enable' if on else 'disable'} trigger user")


def _timed(name: str, work: Callable[[], object], times: int = TIMES) -> float:
    """Print and give how long something takes, in seconds: the median of some times."""
    took = []
    for _ in range(times):
        began = perf_counter()
        work()
        took.append(perf_counter() - began)
    print(f"{name:44} {median(took) * 1000:10,.2f} ms")
    return median(took)
