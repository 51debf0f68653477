"""The statements that seal the history, and those that read it back with its seals.

A line may become visible after one with a higher id, so nothing is sealed by its id alone. Whoever
writes history holds a lock on the table from before they draw an id until they end. So the last id
drawn is read first and the writers second: once those have ended, no line up to that id is still
to come.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple

import psycopg
from sqlalchemy import Connection

from app.store.database import cursor

AT_ONCE = 5000
_COLUMNS = "id, product_id, subscription_id, round, at, what, why, version, actor"


class Line(NamedTuple):
    """One line of history, with every column of it."""

    id: int
    product_id: int
    subscription_id: int | None
    round: int | None
    at: datetime
    what: str
    why: str
    version: int | None
    actor: str


class Seal(NamedTuple):
    """What was made of one line: its place in its product's chain, and its hash there."""

    history_id: int
    no: int
    product_id: int
    version: int
    hash: bytes


class Head(NamedTuple):
    """The end of a product's chain: how many lines, the last of them, its hash, and when."""

    product_id: int
    no: int
    history_id: int
    hash: bytes
    at: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """How far sealing has come (`upto`), how far it may go (`next`) once `writers` have ended."""

    upto: int
    next: int
    writers: frozenset[str]
    at: datetime | None


def take(connection: Connection) -> Progress | None:
    """Lock how far sealing has come; None where somebody else is at it."""
    run = cursor(connection)
    run.execute("insert into sealing (one) values (true) on conflict do nothing")
    run.execute("select upto, next, writers, at from sealing for update skip locked")
    row = run.fetchone()
    return None if row is None else _progress(row)


def progress(connection: Connection) -> Progress:
    """Give how far sealing has come."""
    row = cursor(connection).execute("select upto, next, writers, at from sealing").fetchone()
    return _progress(row or (0, 0, "", None))


def _progress(row: Sequence[Any]) -> Progress:
    return Progress(row[0], row[1], frozenset(row[2].split()), row[3])


def note(connection: Connection, made: Progress) -> None:
    """Note how far sealing has come."""
    cursor(connection).execute(
        "update sealing set upto = %s, next = %s, writers = %s, at = %s",
        (made.upto, made.next, " ".join(sorted(made.writers)), made.at),
    )


def last_drawn(connection: Connection) -> int:
    """Give the last id that anybody has drawn for a line of history."""
    run = cursor(connection)
    run.execute("select case when is_called then last_value else 0 end from history_id_seq")
    row = run.fetchone()
    return int(row[0]) if row else 0


def writers(connection: Connection) -> frozenset[str]:
    """Give the transactions that may have drawn ids of history and have not ended."""
    run = cursor(connection)
    run.execute(
        """select l.virtualtransaction from pg_locks l
           where l.locktype = 'relation' and l.granted and l.relation = 'history'::regclass
             and l.database = (select oid from pg_database where datname = current_database())
             and l.mode in ('RowExclusiveLock', 'ShareRowExclusiveLock', 'ExclusiveLock',
               'AccessExclusiveLock')"""
    )
    return frozenset(row[0] for row in run.fetchall())


def lines(connection: Connection, after: int, upto: int, limit: int) -> list[Line]:
    """Give the next lines of history, by id."""
    run = cursor(connection)
    run.execute(
        f"select {_COLUMNS} from history where id > %s and id <= %s order by id limit %s",  # noqa: S608
        (after, upto, limit),
    )
    return [Line(*row) for row in run.fetchall()]


def heads(connection: Connection) -> Mapping[int, Head]:
    """Give the end of each chain, by product; 0 is the chain of what belongs to none."""
    run = cursor(connection)
    run.execute("select product_id, no, history_id, hash, at from seal")
    return {row[0]: Head(*row) for row in run.fetchall()}


def write(connection: Connection, made: Sequence[Seal], ends: Sequence[Head]) -> None:
    """Write seals, and the new ends of the chains."""
    statement = "copy sealed (history_id, no, product_id, version, hash) from stdin (format binary)"
    with cursor(connection).copy(statement) as copy:
        copy.set_types(["int8", "int8", "int4", "int2", "bytea"])
        for each in made:
            copy.write_row(each)
    cursor(connection).executemany(
        """insert into seal (product_id, no, history_id, hash, at) values (%s, %s, %s, %s, %s)
           on conflict (product_id) do update set no = excluded.no,
             history_id = excluded.history_id, hash = excluded.hash, at = excluded.at""",
        ends,
    )


# --- reading back ------------------------------------------------------------------------------


def all_lines(connection: Connection, product_id: int | None) -> Iterator[Line]:
    """Stream the lines of history by id, of one product or all: they are never all held."""
    statement = f"select {_COLUMNS} from history"  # noqa: S608 - our own names
    for row in _streamed(connection, "audit_lines", statement, "id", product_id):
        yield Line(*row)


def all_seals(connection: Connection, product_id: int | None) -> Iterator[Seal]:
    """Stream the seals by the id of what they seal, of one product or all."""
    statement = "select history_id, no, product_id, version, hash from sealed"
    for row in _streamed(connection, "audit_seals", statement, "history_id", product_id):
        yield Seal(*row)


def _streamed(
    connection: Connection, name: str, statement: str, by: str, product_id: int | None
) -> Iterator[tuple[Any, ...]]:
    driver: psycopg.Connection[Any] = connection.connection.driver_connection  # type: ignore[assignment]
    only = "" if product_id is None else " where product_id = %s"
    with psycopg.ServerCursor(driver, name) as run:
        run.itersize = AT_ONCE
        values = () if product_id is None else (product_id,)
        run.execute(f"{statement}{only} order by {by}", values, binary=True)
        yield from run
