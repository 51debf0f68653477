"""Counts of who may be asked, by the day that inactivity counts from, the plan and its like.

A trigger writes what a statement changes into `count_delta`, in its transaction and from the rows
it locked (migration 0009). The counts at any moment are those folded into `count_day` and those
still waiting there, so both are read in one snapshot: `snapshot` opens it. Days are those of
`app.lifecycle.dates.inactive_since` without what the feeds cover: the later of start and last use.

Counted are subscriptions that may be asked by their facts alone (`dates.ASKABLE`, an amount above
zero). Whoever a round, an answer or the next charge sets apart is in `count_apart`, written nightly
from all of them, with the time it was.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from msgspec import Struct
from sqlalchemy import Connection

from app.lifecycle.case import Outcome
from app.lifecycle.dates import ASKABLE, LEFT_IN_PEACE
from app.store.database import cursor
from app.store.due import PERIOD

ALL = ""
"""What stands for every plan and every country in the parts that sum over both."""
BATCH = 20_000
MOST_APART = 4_000
"""So many rows of `count_apart` a product has: a forecast looks at each."""
GRAINS = (1, 7, 28, 91, 364)
"""Days that stand as one in `count_apart`, where there would be too many rows otherwise."""
EPOCH = date(2000, 1, 3)
NEW_PARTS = -1
"""The group of what waits to be folded into parts that are yet to be added."""
KEPT_FOLDS = 16
"""What so many folds changed can be read; whoever keeps older sums reads all counts again."""
FOLDING = "count_delta"
_KEY = 'plan, country, "interval", currency, used, since'
_SINCE = """coalesce(last_used_on >= started_on, false) as used,
    greatest(started_on, last_used_on) as since"""
_ASKABLE = "status = any(%(askable)s) and amount > 0"
_MOST_MONEY = "9000000000000000000"


class Part(Struct, frozen=True):
    """Subscriptions that a policy cannot tell apart; plan and country are empty in a sum of all."""

    id: int
    plan: str
    country: str
    interval: str
    currency: str


class Curve(Struct, frozen=True):
    """How many of a group stand at each day, in order: days since EPOCH, and their amounts.

    Of what folds changed it is by how much it changed.
    """

    group: int
    used: bool
    days: Sequence[int]
    people: Sequence[int]
    amounts: Sequence[int]


class Apart(Struct, frozen=True):
    """Some whom a threshold alone does not decide about: see `tables.count_apart`."""

    plan: str
    country: str
    interval: str
    currency: str
    used: bool
    since: date
    state: str
    closed_on: date | None
    charge_on: date | None
    people: int
    amount: int


@dataclass(frozen=True, slots=True)
class State:
    """How the counts of a product stand: when those apart were last counted, and what was found.

    What was changed by folds after `changes_from` can be read. `past` counts what asks that were
    handed over came to, by answer.
    """

    folds: int = 0
    changes_from: int = 0
    nights: int = 0
    apart_at: datetime | None = None
    grain: int = 1
    past: Mapping[str, int] | None = None
    checked_at: datetime | None = None
    drift: int | None = None


@dataclass(frozen=True, slots=True)
class Drift:
    """One count that is not what the subscriptions come to."""

    plan: str
    country: str
    interval: str
    currency: str
    used: bool
    since: date
    counted: int
    found: int


# --- reading -------------------------------------------------------------------------------


def snapshot(connection: Connection) -> None:
    """Let every statement of a transaction, of which this is the first, see the same moment."""
    cursor(connection).execute("set transaction isolation level repeatable read, read only")


def state(connection: Connection, product_id: int) -> State:
    """Give how the counts of a product stand."""
    run = cursor(connection)
    run.execute(
        """select folds, changes_from, nights, apart_at, grain, past, checked_at, drift
           from count_state where product_id = %s""",
        (product_id,),
    )
    row = run.fetchone()
    return State(*row) if row else State()


def parts(connection: Connection, product_id: int, *, fine: bool, after: int = 0) -> list[Part]:
    """Give the parts of a product whose ids are larger: by plan and country, or those over both."""
    run = cursor(connection)
    run.execute(
        """select id, plan, country, "interval", currency from count_part
           where product_id = %s and (plan <> '') = %s and id > %s order by id""",
        (product_id, fine, after),
    )
    return [Part(*row) for row in run.fetchall()]


def curves(connection: Connection, groups: Mapping[int, int]) -> list[Curve]:
    """Give the folded counts of parts, summed by the group that each part is put into."""
    rows = f"{_GROUPS} join count_day d on d.part_id = g.part"
    return _summed(connection, _CURVES.format(group="g.grp", rows=rows), _arrays(groups))


def changes(
    connection: Connection, product_id: int, after: int, groups: Mapping[int, int]
) -> list[Curve]:
    """Give what folds after that one changed, as `curves` does; see `State.changes_from`."""
    rows = f"""{_GROUPS} join count_change d on d.part_id = g.part
        where d.product_id = %(product)s and d.fold > %(after)s"""
    values = {"product": product_id, "after": after, **_arrays(groups)}
    with _by_hash(connection):
        return _summed(connection, _CURVES.format(group="g.grp", rows=rows), values)


def waiting(connection: Connection, product_id: int, groups: Mapping[int, int]) -> list[Curve]:
    """Give what waits to be folded, as `curves` does; of parts that are new by NEW_PARTS."""
    group = f"coalesce(g.grp, {NEW_PARTS})"
    rows = f"""count_delta d
        left join count_part p on p.product_id = d.product_id and {_SAME_PART}
        left join {_GROUPS} on g.part = p.id
        where d.product_id = %(product)s"""
    values = {"product": product_id, **_arrays(groups)}
    with _by_hash(connection):
        return _summed(connection, _CURVES.format(group=group, rows=rows), values)


@contextmanager
def _by_hash(connection: Connection) -> Iterator[None]:
    """Let tables be joined by hash only, whatever is thought of them.

    What waits and what was changed lately comes and goes within seconds. By statistics of a moment
    when there was nothing each of thousands of rows would be compared with a thousand parts.
    """
    say = "select set_config('enable_nestloop', %s, true), set_config('enable_mergejoin', %s, true)"
    run = cursor(connection)
    run.execute(say, ("off", "off"))
    yield
    run.execute(say, ("on", "on"))


def _summed(connection: Connection, statement: str, values: Mapping[str, Any]) -> list[Curve]:
    run = cursor(connection)
    # Planned anew each time: a plan that was kept knows neither how many parts are given nor how
    # much waits.
    run.execute(statement, values, prepare=False)
    return [Curve(*row) for row in run.fetchall()]


def waiting_of_new_parts(connection: Connection, product_id: int) -> list[tuple[Part, Curve]]:
    """Give what waits to be folded into parts that are yet to be added, each with a part."""
    run = cursor(connection)
    run.execute(
        f"""select plan, country, "interval", currency, used, since - %(epoch)s::date,
              sum(people)::bigint, least(sum(amount), {_MOST_MONEY})::bigint
            from count_delta d
            where product_id = %(product)s and not exists (
              select 1 from count_part p where p.product_id = d.product_id and {_SAME_PART})
            group by 1, 2, 3, 4, 5, 6""",  # noqa: S608 - our own words
        {"epoch": EPOCH, "product": product_id},
    )
    return [
        (Part(0, *row[:4]), Curve(NEW_PARTS, row[4], row[5:6], row[6:7], row[7:8]))
        for row in run.fetchall()
    ]


def _arrays(groups: Mapping[int, int]) -> dict[str, list[int]]:
    return {"parts": list(groups), "groups": list(groups.values())}


_GROUPS = "unnest(%(parts)b::int[], %(groups)b::int[]) as g(part, grp)"
_SAME_PART = " and ".join(
    f"p.{each} = d.{each}" for each in ("plan", "country", '"interval"', "currency")
)
# Materialized, so that the many rows are grouped by hash and only the few that come of it sorted.
_CURVES = f"""with days as materialized (
      select {{group}} as grp, d.used, d.since - date '{EPOCH}' as day,
             sum(d.people)::bigint as people, least(sum(d.amount), {_MOST_MONEY})::bigint as amount
      from {{rows}} group by 1, 2, 3)
    select grp, used, array_agg(day order by day), array_agg(people order by day),
           array_agg(amount order by day)
    from days group by 1, 2"""  # noqa: S608 - our own words


def apart(connection: Connection, product_id: int) -> list[Apart]:
    """Give those whom a threshold alone does not decide about, as last counted."""
    run = cursor(connection)
    run.execute(
        f"""select {_KEY}, state, closed_on, charge_on, people,
                   least(amount, {_MOST_MONEY})::bigint
            from count_apart where product_id = %s""",  # noqa: S608 - our own words
        (product_id,),
    )
    return [Apart(*row) for row in run.fetchall()]


# --- folding -------------------------------------------------------------------------------


def fold(connection: Connection, product_id: int, limit: int = BATCH) -> int:
    """Fold some of what waits into the counts, in one transaction; give how many rows it took.

    Whoever comes while another folds the same product takes none. Deleted and added in one
    transaction, a delta counts once whatever crashes.
    """
    run = cursor(connection)
    run.execute("select pg_try_advisory_xact_lock(hashtext(%s), %s)", (FOLDING, product_id))
    locked = run.fetchone()
    if not locked or not locked[0]:
        return 0
    run.execute(
        f"""with taken as (
              delete from count_delta where ctid = any(array(
                select ctid from count_delta where product_id = %s limit %s))
              returning {_KEY}, people, amount)
            select {_KEY}, sum(people)::bigint, sum(amount), count(*) from taken
            group by 1, 2, 3, 4, 5, 6""",  # noqa: S608 - our own words
        (product_id, limit),
    )
    rows = run.fetchall()
    if rows:
        changed = _add(connection, product_id, rows)
        _note_changes(connection, product_id, _folded(connection, product_id), changed)
    return sum(row[8] for row in rows)


_Changed = tuple[int, bool, date, int, Any]
"""What changed: of which part, whether used, since when, by how many people and how much money."""


def _add(connection: Connection, product_id: int, rows: Sequence[Sequence[Any]]) -> list[_Changed]:
    """Add sums of deltas to the counts, by plan and country and over both; give the former."""
    ids = _part_ids(connection, product_id, rows)
    sums: dict[tuple[int, bool, date], list[Any]] = {}
    for row in rows:
        for plan, country in ((row[0], row[1]), (ALL, ALL)):
            key = (ids[plan, country, row[2], row[3]], row[4], row[5])
            both = sums.setdefault(key, [0, 0])
            both[0] += row[6]
            both[1] += row[7]
    changed = [(*key, *both) for key, both in sorted(sums.items()) if any(both)]
    if not changed:
        return []
    run = cursor(connection)
    run.execute(
        """with put as (
             insert into count_day (part_id, used, since, people, amount)
             select * from unnest(%s::int[], %s::bool[], %s::date[], %s::bigint[], %s::numeric[])
             on conflict (part_id, used, since) do update
             set people = count_day.people + excluded.people,
                 amount = count_day.amount + excluded.amount
             returning part_id, used, since, people, amount)
           select part_id, used, since from put where people = 0 and amount = 0""",
        [list(column) for column in zip(*changed, strict=True)],
    )
    empty = run.fetchall()
    if empty:
        run.execute(
            """delete from count_day d using unnest(%s::int[], %s::bool[], %s::date[]) as v(p, u, s)
               where d.part_id = v.p and d.used = v.u and d.since = v.s""",
            [list(column) for column in zip(*empty, strict=True)],
        )
    fine = {number for (plan, _, _, _), number in ids.items() if plan != ALL}
    return [each for each in changed if each[0] in fine]


_Named = tuple[str, str, str, str]


def _part_ids(
    connection: Connection, product_id: int, rows: Iterable[Sequence[Any]]
) -> dict[_Named, int]:
    """Give the ids of the parts that rows are of, and of those that sum over them; add new ones."""
    wanted = {(row[0], row[1], row[2], row[3]) for row in rows}
    wanted |= {(ALL, ALL, interval, currency) for _, _, interval, currency in wanted}
    known = _known_parts(connection, product_id)
    missing = sorted(wanted - known.keys())
    if not missing:
        return known
    cursor(connection).execute(
        """insert into count_part (product_id, plan, country, "interval", currency)
           select %s, * from unnest(%s::text[], %s::text[], %s::text[], %s::text[])
           on conflict do nothing""",
        (product_id, *(list(column) for column in zip(*missing, strict=True))),
    )
    return _known_parts(connection, product_id)


def _known_parts(connection: Connection, product_id: int) -> dict[_Named, int]:
    run = cursor(connection)
    run.execute(
        'select plan, country, "interval", currency, id from count_part where product_id = %s',
        (product_id,),
    )
    return {(row[0], row[1], row[2], row[3]): row[4] for row in run.fetchall()}


def _folded(connection: Connection, product_id: int) -> int:
    """Note that something was folded; give the number of the fold."""
    run = cursor(connection)
    run.execute(
        """insert into count_state (product_id, folds) values (%s, 1)
           on conflict (product_id) do update set folds = count_state.folds + 1
           returning folds""",
        (product_id,),
    )
    row = run.fetchone()
    return int(row[0]) if row else 0


def _note_changes(
    connection: Connection, product_id: int, fold: int, changed: Sequence[_Changed]
) -> None:
    """Note what a fold changed, and forget what was changed many folds ago."""
    run = cursor(connection)
    if changed:
        run.execute(
            """insert into count_change
               select %s, %s, * from unnest(
                 %s::int[], %s::bool[], %s::date[], %s::bigint[], %s::numeric[])""",
            (product_id, fold, *(list(column) for column in zip(*changed, strict=True))),
        )
    _forget_changes(connection, product_id, fold - KEPT_FOLDS)


def _forget_changes(connection: Connection, product_id: int, until: int) -> None:
    """Forget what folds changed up to and with that one."""
    if until <= 0:
        return
    run = cursor(connection)
    run.execute(
        "delete from count_change where product_id = %s and fold <= %s", (product_id, until)
    )
    run.execute(
        """update count_state set changes_from = %s
           where product_id = %s and changes_from < %s""",
        (until, product_id, until),
    )


# --- checking and building anew --------------------------------------------------------------


_FOUND = f"""select plan, country, "interval", currency, {_SINCE},
    count(*) as people, sum(amount) as amount
    from subscription where product_id = %(product)s and {_ASKABLE}
    group by 1, 2, 3, 4, 5, 6"""  # noqa: S608 - our own words
"""Counts the subscriptions themselves."""


def check(connection: Connection, product_id: int, most: int = 100) -> tuple[int, list[Drift]]:
    """Count the subscriptions and compare; give how many counts differ, and the first of them.

    One statement, and so one moment: it is exact while people go on using the product.
    """
    run = cursor(connection)
    same = " and ".join(
        f"f.{each} = c.{each}"
        for each in ("plan", "country", '"interval"', "currency", "used", "since")
    )
    run.execute(
        f"""with found as ({_FOUND}),
              kept as (
                select {_KEY}, d.people, d.amount from count_day d join count_part p
                  on p.id = d.part_id where p.product_id = %(product)s and p.plan <> ''
                union all
                select {_KEY}, people, amount from count_delta where product_id = %(product)s),
              counted as (
                select {_KEY}, sum(people) as people, sum(amount) as amount from kept
                group by 1, 2, 3, 4, 5, 6),
              differ as (
                select coalesce(f.plan, c.plan), coalesce(f.country, c.country),
                  coalesce(f."interval", c."interval"), coalesce(f.currency, c.currency),
                  coalesce(f.used, c.used), coalesce(f.since, c.since),
                  coalesce(c.people, 0)::bigint, coalesce(f.people, 0)::bigint
                from found f full join counted c on {same}
                where coalesce(f.people, 0) <> coalesce(c.people, 0)
                   or coalesce(f.amount, 0) <> coalesce(c.amount, 0))
            select *, count(*) over () from differ limit %(most)s""",  # noqa: S608 - our own words
        {"product": product_id, "askable": sorted(ASKABLE), "most": most},
    )
    rows = run.fetchall()
    total = int(rows[0][8]) if rows else 0
    return total + _uneven(connection, product_id), [Drift(*row[:8]) for row in rows]


def _uneven(connection: Connection, product_id: int) -> int:
    """Count the sums over plans and countries that are not what they sum."""
    run = cursor(connection)
    run.execute(
        """select count(*) from (
             select 1 from count_day d join count_part p on p.id = d.part_id
             where p.product_id = %s group by p."interval", p.currency, d.used, d.since
             having sum(case when p.plan = '' then -d.people else d.people end) <> 0
                 or sum(case when p.plan = '' then -d.amount else d.amount end) <> 0) uneven""",
        (product_id,),
    )
    row = run.fetchone()
    return int(row[0]) if row else 0


def note_check(connection: Connection, product_id: int, at: datetime, drift: int) -> None:
    """Note when a product's counts were compared, and how many were wrong."""
    cursor(connection).execute(
        """insert into count_state (product_id, checked_at, drift) values (%s, %s, %s)
           on conflict (product_id) do update set checked_at = excluded.checked_at,
             drift = excluded.drift""",
        (product_id, at, drift),
    )


def rebuild(connection: Connection, product_id: int) -> None:
    """Count a product's subscriptions anew, in one transaction, while others go on changing them.

    The deltas dropped and the subscriptions counted are those of one statement, and so of one
    moment: what is changed later is a delta that stays.
    """
    run = cursor(connection)
    run.execute("select pg_advisory_xact_lock(hashtext(%s), %s)", (FOLDING, product_id))
    run.execute(
        f"""with dropped as (delete from count_delta where product_id = %(product)s)
            {_FOUND}""",  # noqa: S608 - our own words
        {"product": product_id, "askable": sorted(ASKABLE)},
    )
    rows = run.fetchall()
    run.execute(
        "delete from count_day where part_id in (select id from count_part where product_id = %s)",
        (product_id,),
    )
    if rows:
        _add(connection, product_id, rows)
    _forget_changes(connection, product_id, _folded(connection, product_id))


# --- those apart -----------------------------------------------------------------------------

_CHARGE = "s.renews_at + make_interval(months => p.months * (n + {0}), days => p.days * (n + {0}))"
"""A charge counted from the one told, as the rules count it; which is near is a rough count."""
_ONE_BY_ONE = f"""
    select s.plan, s.country, s."interval", s.currency, s.amount, {_SINCE},
      case when r.subscription_id is null then 'free'
           when r.outcome is null or r.review_at is not null then 'out'
           when r.outcome = '{Outcome.ERASED}' then 'out'
           when r.outcome = '{Outcome.UNREACHABLE}' and coalesce(c.reach, '') <> 'ok' then 'out'
           when r.outcome = any(%(peace)s) and r.closed_at is not null then 'peace'
           else 'free' end as state,
      (r.closed_at at time zone coalesce(c.timezone, 'UTC'))::date as closed_on,
      (charge.at at time zone coalesce(c.timezone, 'UTC'))::date as charge_on
    from subscription s
    left join reconfirmation r on r.subscription_id = s.id and r.latest
    left join contact c on c.subscription_id = s.id
    cross join lateral (
      select case s."interval" when 'month' then 1 when 'year' then 12 else 0 end as months,
        case s."interval" when 'day' then 1 when 'week' then 7 else 0 end as days,
        greatest(0, floor(extract(epoch from %(now)s - s.renews_at) / {PERIOD})::int - 1) as n) p
    cross join lateral (
      select case when {_CHARGE.format(0)} > %(now)s then {_CHARGE.format(0)}
                  when {_CHARGE.format(1)} > %(now)s then {_CHARGE.format(1)}
                  when {_CHARGE.format(2)} > %(now)s then {_CHARGE.format(2)}
                  else {_CHARGE.format(3)} end as at) charge
    where s.product_id = %(product)s and {_ASKABLE}"""  # noqa: S608 - our own words


def count_apart(connection: Connection, product_id: int, now: datetime) -> None:
    """Count anew those whom a threshold alone does not decide about, and what past asks came to.

    One look at every subscription: a matter of a night. Days stand as one where there would be too
    many rows for a forecast to look at; `since` and `closed_on` are then the last of them and
    `charge_on` the first, and so nobody is said to be due too early.
    """
    run = cursor(connection)
    run.execute("create temporary table apart_now (like count_apart) on commit drop")
    run.execute(
        f"""insert into apart_now
            select %(product)s, {_KEY}, state, closed, charge, count(*), sum(amount)
            from (select *, case state when 'peace' then closed_on end as closed,
                    case when state <> 'out' then charge_on end as charge
                  from ({_ONE_BY_ONE}) one) told
            where state <> 'free' or charge is not null
            group by {_KEY}, state, closed, charge""",  # noqa: S608 - our own words
        {
            "product": product_id,
            "now": now,
            "askable": sorted(ASKABLE),
            "peace": sorted(str(each) for each in LEFT_IN_PEACE),
        },
    )
    run.execute("delete from count_apart where product_id = %s", (product_id,))
    grain = _grain(connection)
    coarse = _coarse(grain)
    run.execute(
        f"""insert into count_apart
            select product_id, {coarse}, sum(people), sum(amount) from apart_now
            group by product_id, {coarse}"""  # noqa: S608 - our own words
    )
    run.execute("drop table apart_now")
    _note_apart(connection, product_id, now, grain)


def _coarse(grain: int) -> str:
    """Give the columns of `count_apart` with so many days standing as one."""
    into = f"(({{0}} - date '{EPOCH}') % {grain} + {grain}) % {grain}"
    last, first = f"{{0}} + ({grain - 1} - {into})", f"{{0}} - ({into})"
    return f"""plan, country, "interval", currency, used, {last.format("since")}, state,
        {last.format("closed_on")}, {first.format("charge_on")}"""


def _grain(connection: Connection) -> int:
    """Give the least number of days to stand as one that leaves few enough rows."""
    run = cursor(connection)
    for grain in GRAINS:
        run.execute(
            f"""select count(*) from (select 1 from apart_now group by {_coarse(grain)}
                limit {MOST_APART + 1}) few"""  # noqa: S608 - our own words
        )
        row = run.fetchone()
        if row and row[0] <= MOST_APART:
            return grain
    return GRAINS[-1]


def _note_apart(connection: Connection, product_id: int, now: datetime, grain: int) -> None:
    past = _past(connection, product_id)
    cursor(connection).execute(
        """insert into count_state (product_id, nights, apart_at, grain, past)
           select %s, 1, %s, %s, coalesce(jsonb_object_agg(what, many), '{}')
           from unnest(%s::text[], %s::bigint[]) as v(what, many)
           on conflict (product_id) do update set nights = count_state.nights + 1,
             apart_at = excluded.apart_at, grain = excluded.grain, past = excluded.past""",
        (product_id, now, grain, list(past), list(past.values())),
    )


def _past(connection: Connection, product_id: int) -> dict[str, int]:
    """Count what asks that were handed over came to: kept, returned, canceled or silent.

    Silent are also those who came back after their suspension. What billing or a bounce ended, and
    what nobody has answered yet, says nothing of people.
    """
    run = cursor(connection)
    run.execute(
        """select case when outcome in ('kept', 'returned') then outcome
                       when outcome in ('by_billing', 'unreachable', 'withdrawn') then null
                       when stage = 'canceled' then 'canceled'
                       when stage = 'suspended' or outcome in ('expired', 'resumed') then 'silent'
                  end as what, count(*)
           from reconfirmation
           where product_id = %s and asked_at is not null
             and why in ('never_used', 'unused', 'before_renewal')
           group by 1 having count(*) > 0""",
        (product_id,),
    )
    return {row[0]: row[1] for row in run.fetchall() if row[0] is not None}
