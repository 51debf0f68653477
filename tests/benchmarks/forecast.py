"""What a forecast takes beside a GROUP BY of all subscriptions, and what counting costs intake.

The people are spread over six years of days, eight plans, forty countries, two intervals and three
currencies, most of them in a few of these. What a forecast takes depends on how many distinct days
and parts that makes, and hardly on the people. It is measured for the first question of a process,
the next ones with other thresholds (a slider is dragged), those after a fold, and while use waits
to be folded; by itself, and as a call over HTTP, of which the client sees all.

The intake is measured with the triggers that count and without them, by turns.
"""

import hashlib
import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, date, datetime, timedelta
from itertools import count, islice
from random import Random
from statistics import median
from time import perf_counter
from typing import Any

from sqlalchemy import text

from app import policy as policies
from app.clock import Clock
from app.forecast import Forecaster, Keeper
from app.policy import Policy
from app.store import counts, products
from app.store.database import Database
from app.usage import Intake, Told
from tests.benchmarks import ground
from tests.benchmarks.caller import call, request
from tests.benchmarks.serving import served

TIMES = 5
SLID = 50
"""So many steps a slider is dragged."""
BATCH = 1000
PEOPLE = 100_000
FILLED = 2_000_000
"""So many people are filled in at once."""
COUNTRIES = """US GB DE FR ES IT NL SE PL AT BE CH PT IE DK NO FI CZ HU RO GR BG HR SK SI LT LV EE
    LU MT CY CA AU NZ MX BR JP KR IN ZA"""
FILL = """insert into subscription (product_id, external_id, status, plan, country, "interval",
      amount, currency, started_on, renews_at, last_used_on, told)
    select :product, 'sub_' || n,
      case when a < 0.03 then 'canceled' when a < 0.05 then 'past_due' else 'active' end,
      'plan_' || width_bucket(b, array[0.4, 0.6, 0.72, 0.82, 0.9, 0.95, 0.98]::float8[]),
      (regexp_split_to_array(:countries, '\\s+'))[1 + place],
      case when c < 0.2 then 'year' else 'month' end,
      case when c < 0.2 then 9900 else 999 + 100 * (n % 7)::int end,
      case when d < 0.03 or place = 0 or place > 30 then 'USD' when place = 1 then 'GBP'
        else 'EUR' end,
      cast(:today as date) - ago,
      cast(:today as date) + case when c < 0.2 then 1 + (n % 365)::int else 1 + (n % 30)::int end,
      case when e < 0.08 then null
        when e < 0.78 then cast(:today as date) - least(ago, 1 + (30 * f * f)::int)
        else cast(:today as date) - 1 - (ago * f)::int end, '\\x00'
    from (select n, random() a, random() b, random() c, random() d, random() e, random() f,
            floor(40 * power(random(), 2.5))::int place,
            1 + (2190 * power(random(), 0.9))::int ago
          from generate_series(cast(:first as bigint), cast(:last as bigint)) n) people"""
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
        peopled(database, rows, now)
        _thresholds(database, now.date())
        key = _key(database)
        with served(database.url, "ours") as server:
            for name, body in BODIES.items():
                _forecasts(database, name, body)
                _calls(server.ports[0], key, name, body)
        for people in FOLDED:
            _after_use(database, rows, now.date(), people)
        _intake(database, rows, now.date())


def peopled(database: Database, rows: int, now: datetime) -> None:
    """Fill and count: what filling left to be folded is not what is measured."""
    product = ground.found(database, now)
    _counting(database, on=False)
    for first in range(1, rows + 1, FILLED):
        values = {"first": first, "last": min(rows, first + FILLED - 1), "countries": COUNTRIES}
        with database.transaction() as connection:
            connection.execute(text(FILL), values | {"product": product, "today": now.date()})
    _counting(database, on=True)
    ground.alone(database, "vacuum analyze")
    keeper = Keeper(database, Clock())
    with database.transaction() as connection:
        _timed("counted anew, as a repair does", lambda: counts.rebuild(connection, product), 1)
    _timed("those apart, as every night", lambda: keeper.count_apart(ground.KEY), 1)
    ground.alone(database, "vacuum analyze")
    counted = ground.number(database, "select count(*) from count_day")
    parts = ground.number(database, "select count(*) from count_part")
    apart = ground.number(database, "select count(*) from count_apart")
    print(f"    {counted:,} counts of {parts:,} parts, {apart:,} rows apart")


def _thresholds(database: Database, today: date) -> None:
    day = today - timedelta(days=366)
    values = {"key": ground.KEY, "day": day}
    found = [ground.number(database, each, **values) for each in (GROUP_BY, THRESHOLD)]
    if found[0] != found[1]:
        raise SystemExit(f"counted {found[1]}, and there are {found[0]}")
    plain = _timed("GROUP BY of one threshold", lambda: ground.number(database, GROUP_BY, **values))
    quick = _timed("the same from counts", lambda: ground.number(database, THRESHOLD, **values))
    print(f"    {plain / quick:,.0f} times as fast (target: 1 ms)")


EARLY = {"intervals": ["year"], "unused_for": "P6M", "ask_ahead": "P45D"}
BODIES: dict[str, dict[str, Any]] = {
    "no segments": PLAIN,
    "three segments": PLAIN | {"segments": SEGMENTS},
    "with before_renewal": PLAIN | {"segments": SEGMENTS, "before_renewal": EARLY},
}
FOLDED = (200, 2_000, 20_000)
"""So many people use it between two folds: seconds, a minute and several of twenty million."""


def _dragged(body: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Give the same policy with one threshold after another, as a slider does."""
    for days in count(200):
        yield {**body, "unused_after": f"P{days}D"}


def _forecasts(database: Database, name: str, body: Mapping[str, Any]) -> None:
    """Measure what a process does that has just begun, and then while a slider is dragged."""
    bodies = _dragged(body)
    forecaster = Forecaster(database, Clock())
    fresh = policies.read(next(bodies))
    _timed(f"{name}: the first", lambda: _asked(Forecaster(database, Clock()), fresh))
    _asked(forecaster, fresh)
    again = map(policies.read, bodies)
    _timed(f"{name}: the next ones", lambda: _asked(forecaster, next(again)), SLID)


def _asked(forecaster: Forecaster, policy: Policy) -> object:
    return forecaster.forecast(ground.KEY, policy)


def _calls(port: int, key: str, name: str, body: Mapping[str, Any]) -> None:
    """Measure the same as a call, over one kept connection; another thread may answer each."""
    head = [("Authorization", f"Bearer {key}"), ("Content-Type", "application/json")]
    bodies = islice(_dragged(body), SLID + 1)
    path = f"/v1/products/{ground.KEY}/forecasts"
    first, *requests = (request("POST", path, json.dumps(each).encode(), head) for each in bodies)
    call([port], [first], 1)
    load = call([port], requests, 1)
    over = f"{name}: the next ones over HTTP"
    print(f"{over:44} {load.p50:10,.2f} ms, p99 {load.p99:,.2f} ms (target: 50 ms)")


def _after_use(database: Database, rows: int, today: date, people: int) -> None:
    """Measure forecasts while the use of some people waits to be folded, and once it is folded."""
    random, keeper = Random(people), Keeper(database, Clock())  # noqa: S311 - an order, no secret
    forecaster = Forecaster(database, Clock())
    bodies = map(policies.read, _dragged(BODIES["three segments"]))
    keeper.fold(ground.KEY)
    _asked(forecaster, next(bodies))
    waiting, folded = [], []
    for times in range(TIMES):
        chosen = random.sample(range(1, rows + 1), min(rows, people))
        for start in range(0, len(chosen), BATCH):
            _record(database, chosen[start:][:BATCH], today + timedelta(days=times))
        waiting.append(_seconds(lambda: _asked(forecaster, next(bodies))))
        keeper.fold(ground.KEY)
        folded.append(_seconds(lambda: _asked(forecaster, next(bodies))))
    for what, took in (("wait to be folded", waiting), ("were folded", folded)):
        name = f"three segments: {people:,} {what}"
        print(f"{name:44} {median(took) * 1000:10,.2f} ms")


def _key(database: Database) -> str:
    """Make an API key that may read, as the command does."""
    key = "rk_" + secrets.token_urlsafe(32)
    digest = hashlib.sha256(key.encode()).digest()
    with database.transaction() as connection:
        product, now = products.row_of(connection, ground.KEY).id, datetime.now(UTC)
        products.add_key(connection, product, digest, key[:7], "read", None, now)
    return key


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
    took = [_seconds(work) for _ in range(times)]
    print(f"{name:44} {median(took) * 1000:10,.2f} ms")
    return median(took)


def _seconds(work: Callable[[], object]) -> float:
    began = perf_counter()
    work()
    return perf_counter() - began
