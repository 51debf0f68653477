"""Reading cases and writing what became of them, a batch at a time.

The rows of the latest rounds are the locks of their cases: they are taken first, in the order of
the subscription's id, and only then is anything read that the rules see.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from operator import attrgetter
from typing import Any
from zoneinfo import ZoneInfo

from msgspec import Struct
from msgspec.structs import fields
from psycopg import Cursor
from sqlalchemy import Connection, Table
from sqlalchemy.dialects import postgresql

from app.lifecycle.case import (
    Act,
    ActState,
    Case,
    Effect,
    Erasing,
    Hearing,
    Kind,
    Outcome,
    Reach,
    Round,
    Stage,
    Subscription,
    Why,
    Word,
    lane_of,
)
from app.store.database import cursor
from app.store.tables import history, outbox, reconfirmation

ROUND_FIELDS = tuple(each.name for each in fields(Round))
_ENUMS: Mapping[str, Any] = {
    "stage": Stage,
    "why": Why,
    "outcome": Outcome,
    "word": Word,
    "act": Act,
    "act_state": ActState,
    "erasing": Erasing,
}
_MEMBERS_AT = tuple(
    (index, {str(each): each for each in _ENUMS[name]})
    for index, name in enumerate(ROUND_FIELDS)
    if name in _ENUMS
)
_round_values = attrgetter(*ROUND_FIELDS)
_KEYS = ("subscription_id", "product_id", "latest", "wake_at")
_WRITTEN = (*_KEYS, *ROUND_FIELDS)
_TYPES = {
    column.name: column.type.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
    for column in reconfirmation.columns
}
_EFFECT = (
    "product_id",
    "subscription_id",
    "round",
    "lane",
    "kind",
    "version",
    "not_before",
    "state",
    "fence",
    "tries",
    "unknown",
)
_HISTORY = (
    "product_id",
    "subscription_id",
    "round",
    "at",
    "what",
    "why",
    "version",
    "actor",
)
_READ_ROUNDS = f"""
    select subscription_id, {", ".join(ROUND_FIELDS)}
    from reconfirmation
    where subscription_id = any(%s) and latest and product_id = %s
    order by subscription_id"""  # noqa: S608 - our own column names
_READ_SUBSCRIPTIONS = """
    select s.id, s.status, s.plan, s.country, s."interval", s.amount, s.currency, s.started_on,
           s.renews_at, s.last_used_on, c.timezone, c.reach,
           exists (select 1 from hold h
                   where h.subscription_id = s.id and h.released_at is null) as held, s.told_at
    from subscription s left join contact c on c.subscription_id = s.id
    where s.id = any(%s) and s.product_id = %s"""


class RoundWrite(Struct, frozen=True):
    """One round to be inserted or updated, and when its case is to be looked at again."""

    subscription_id: int
    round: Round
    wake_at: datetime | None
    latest: bool = True


class EffectWrite(Struct, frozen=True):
    """One effect of a subscription's round."""

    subscription_id: int
    number: int
    effect: Effect


class HistoryWrite(Struct, frozen=True):
    """One line of history; internal ids and codes only."""

    subscription_id: int | None
    number: int | None
    what: str
    why: str
    version: int | None


@lru_cache(maxsize=1024)
def zone(name: str) -> ZoneInfo:
    """Give a time zone by its IANA name."""
    return ZoneInfo(name)


_UTC = ZoneInfo("UTC")
_REACH: Mapping[str | None, Reach] = {None: Reach.NO_ADDRESS, **{str(each): each for each in Reach}}
"""How a column says it; None where the contact is gone."""


def read(
    connection: Connection,
    product_id: int,
    ids: Sequence[int],
    hearing: Hearing,
    *,
    lock: bool = True,
) -> dict[int, Case]:
    """Give the cases of these subscriptions of one product; unknown ids are left out."""
    if not ids:
        return {}
    run = cursor(connection)
    ordered = sorted(set(ids))
    rounds = _read_rounds(run, product_id, ordered, lock=lock)
    run.execute(_READ_SUBSCRIPTIONS, (ordered, product_id))
    return {row[0]: _case(row, rounds.get(row[0]), hearing) for row in run.fetchall()}


def _read_rounds(
    run: Cursor[Any], product_id: int, ids: Sequence[int], *, lock: bool
) -> dict[int, Round]:
    statement = f"{_READ_ROUNDS} for update" if lock else _READ_ROUNDS
    run.execute(statement, (ids, product_id))
    return {row[0]: round_from(row[1:]) for row in run.fetchall()}


def round_from(row: Sequence[Any]) -> Round:
    """Make a round of its columns, in the order of ROUND_FIELDS."""
    values = list(row)
    for index, members in _MEMBERS_AT:
        if values[index] is not None:
            values[index] = members[values[index]]
    return Round(*values)


def _case(row: Sequence[Any], current: Round | None, hearing: Hearing) -> Case:
    name, reach, held, told_at = row[10:14]
    subscription = Subscription(*[*row[:10], zone(name) if name else _UTC])
    return Case(subscription, _REACH[reach], current, hearing, held, told_at)


# --- writing -------------------------------------------------------------------------------


def insert_rounds(connection: Connection, product_id: int, rounds: Sequence[RoundWrite]) -> None:
    """Insert new rounds; a rival that opened one first makes the batch run again.

    Only the columns that say something are copied: a round just opened has a dozen of thirty.
    """
    if not rounds:
        return
    columns = zip(*_rows(product_id, rounds), strict=True)
    filled = {
        name: column
        for name, column in zip(_WRITTEN, columns, strict=True)
        if any(value is not None for value in column)
    }
    rows = list(zip(*filled.values(), strict=True))
    _copy(connection, reconfirmation, list(filled), rows)


def update_rounds(
    connection: Connection, product_id: int, rounds: Sequence[tuple[RoundWrite, Round]]
) -> None:
    """Write changed rounds, given with how they stood before, all in one statement.

    Only columns that differ for any of them are written: a hand-over changes three of thirty.
    """
    if not rounds:
        return
    changed = _changed(rounds)
    columns = [
        [each.subscription_id for each, _ in rounds],
        [each.round.number for each, _ in rounds],
        [each.latest for each, _ in rounds],
        [each.wake_at for each, _ in rounds],
        *([getattr(each.round, name) for each, _ in rounds] for name in changed),
    ]
    cursor(connection).execute(_update_rounds(changed), (*columns, product_id))


def _changed(rounds: Sequence[tuple[RoundWrite, Round]]) -> tuple[str, ...]:
    """Give the fields of a round that differ from before, for any of these."""
    differs = [False] * len(ROUND_FIELDS)
    for write, before in rounds:
        new, old = _round_values(write.round), _round_values(before)
        if new != old:
            differs = [d or n != o for d, n, o in zip(differs, new, old, strict=True)]
    return tuple(name for name, differ in zip(ROUND_FIELDS, differs, strict=True) if differ)


@lru_cache(maxsize=256)
def _update_rounds(changed: tuple[str, ...]) -> str:
    """Give the statement that writes these columns of rounds."""
    written = ("latest", "wake_at", *changed)
    arrays = ", ".join(f"%s::{_TYPES[name]}[]" for name in ("subscription_id", "number", *written))
    return f"""
        update reconfirmation r set {", ".join(f"{name} = v.new_{name}" for name in written)}
        from unnest({arrays}) as v(id, no, {", ".join(f"new_{name}" for name in written)})
        where r.subscription_id = v.id and r.number = v.no
          and r.product_id = %s"""  # noqa: S608 - our own names


def _rows(product_id: int, rounds: Iterable[RoundWrite]) -> list[tuple[Any, ...]]:
    return [
        (each.subscription_id, product_id, each.latest, each.wake_at, *_round_values(each.round))
        for each in rounds
    ]


def move_wakes(connection: Connection, wakes: Sequence[tuple[int, int, datetime | None]]) -> None:
    """Set when rounds, given as (subscription, number), are to be looked at again."""
    if wakes:
        cursor(connection).execute(
            """update reconfirmation r set wake_at = v.at
               from unnest(%s::bigint[], %s::int[], %s::timestamptz[]) as v(id, number, at)
               where r.subscription_id = v.id and r.number = v.number""",
            [list(column) for column in zip(*wakes, strict=True)],
        )


def insert_timers(
    connection: Connection, product_id: int, timers: Sequence[tuple[datetime, int]]
) -> None:
    """Set timers, given as (moment, subscription); one that is there already stays."""
    if timers:
        moments, ids = zip(*sorted(timers), strict=True)
        cursor(connection).execute(
            """insert into timer (product_id, due_at, subscription_id)
               select %s, due_at, id from unnest(%s::timestamptz[], %s::bigint[]) as v(due_at, id)
               on conflict do nothing""",
            (product_id, list(moments), list(ids)),
        )


def insert_effects(connection: Connection, product_id: int, effects: Sequence[EffectWrite]) -> None:
    """Queue effects."""
    rows = [
        (
            product_id,
            each.subscription_id,
            each.number,
            lane_of(each.effect.kind),
            each.effect.kind,
            each.effect.version,
            each.effect.not_before,
            "pending",
            0,
            0,
            0,
        )
        for each in effects
    ]
    _copy(connection, outbox, _EFFECT, rows)


def void_effects(connection: Connection, voids: Sequence[tuple[int, int, frozenset[Kind]]]) -> None:
    """Drop the effects of rounds, given as (subscription, number, kinds), that nobody has begun."""
    pairs = [(sid, number, kind) for sid, number, kinds in voids for kind in sorted(kinds)]
    if pairs:
        cursor(connection).execute(
            """delete from outbox o
               using unnest(%s::bigint[], %s::int[], %s::text[]) as v(id, number, kind)
               where o.subscription_id = v.id and o.round = v.number and o.kind = v.kind
                 and o.state <> 'claimed'""",
            [list(column) for column in zip(*pairs, strict=True)],
        )


def insert_history(
    connection: Connection,
    product_id: int | None,
    at: datetime,
    actor: str,
    lines: Sequence[HistoryWrite],
) -> None:
    """Write lines of history, in the acting transaction."""
    rows = [
        (
            product_id,
            each.subscription_id,
            each.number,
            at,
            each.what,
            each.why,
            each.version,
            actor,
        )
        for each in lines
    ]
    _copy(connection, history, _HISTORY, rows)


def update_reach(connection: Connection, reaches: Sequence[tuple[int, Reach]]) -> None:
    """Note whether contacts can be reached."""
    if reaches:
        cursor(connection).execute(
            """update contact c set reach = v.reach
               from unnest(%s::bigint[], %s::text[]) as v(id, reach)
               where c.subscription_id = v.id""",
            [list(column) for column in zip(*reaches, strict=True)],
        )


def _copy(
    connection: Connection, table: Table, names: Sequence[str], rows: Sequence[tuple[Any, ...]]
) -> None:
    """Copy rows in binary: the types are said once, and not found out for every value."""
    if not rows:
        return
    statement = f"copy {table.name} ({', '.join(names)}) from stdin (format binary)"
    with cursor(connection).copy(statement) as copy:
        copy.set_types([_NAMED[_type_of(table, name)] for name in names])
        for row in rows:
            copy.write_row(row)


_NAMED = {
    "BIGINT": "int8",
    "BOOLEAN": "bool",
    "DATE": "date",
    "INTEGER": "int4",
    "SMALLINT": "int2",
    "TEXT": "text",
    "TIMESTAMP WITH TIME ZONE": "timestamptz",
}
"""The driver's names of the types our tables have."""


@lru_cache
def _type_of(table: Table, name: str) -> str:
    return table.columns[name].type.compile(dialect=postgresql.dialect())  # type: ignore[no-untyped-call]
