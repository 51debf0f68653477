"""The ledger of erasures: a chain of entries without a gap, and without anybody's data."""

import hashlib
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from app.store.database import cursor

ONE_AT_A_TIME = 7_361_482_003
"""The key of the advisory lock that gives out numbers in turn."""
BEGINNING = bytes(32)
MANY = 1000
_COLUMNS = "no, erasure_id, product, cause, mark, ended_at, previous_hash, hash"


class Entry(NamedTuple):
    """One erasure that is over: `mark` is the keyed hash of the subscription's id at billing."""

    no: int
    erasure_id: str
    product: str
    cause: str
    mark: bytes
    ended_at: datetime
    previous_hash: bytes
    hash: bytes


class Over(NamedTuple):
    """What is entered of an erasure when it is over."""

    erasure_id: str
    product: str
    cause: str
    mark: bytes
    ended_at: datetime


def append(connection: Connection, over: Over) -> int:
    """Enter an erasure and give its number, one more than the last.

    Numbers are given out one at a time until the transaction ends, so this belongs at its end. The
    same erasure entered again keeps its number.
    """
    run = cursor(connection)
    run.execute("select pg_advisory_xact_lock(%s)", (ONE_AT_A_TIME,))
    run.execute("select no from ledger where erasure_id = %s", (over.erasure_id,))
    before = run.fetchone()
    if before is not None:
        return int(before[0])
    last = head(connection)
    no, previous = (1, BEGINNING) if last is None else (last.no + 1, last.hash)
    insert(connection, [Entry(no, *over, previous, digest(no, over, previous))])
    return no


def digest(no: int, over: Over, previous: bytes) -> bytes:
    """Give the hash of an entry behind the hash before it: each part as its length and its text."""
    ended_at = over.ended_at.astimezone(UTC).isoformat(timespec="microseconds")
    parts = (str(no), over.erasure_id, over.product, over.cause, over.mark.hex(), ended_at)
    written = ",".join(f"{len(each)}:{each}" for each in parts)
    return hashlib.sha256(b"reconfirm.ledger.1\n" + previous + written.encode()).digest()


def fits(entry: Entry) -> bool:
    """Say whether an entry's hash is that of what it says."""
    over = Over(entry.erasure_id, entry.product, entry.cause, entry.mark, entry.ended_at)
    return digest(entry.no, over, entry.previous_hash) == entry.hash


def insert(connection: Connection, entries: Sequence[Entry]) -> None:
    """Write entries as they are; one that is there stays as it is."""
    cursor(connection).executemany(
        f"""insert into ledger ({_COLUMNS}) values (%s, %s, %s, %s, %s, %s, %s, %s)
            on conflict (no) do nothing""",  # noqa: S608 - our own words
        entries,
    )


def head(connection: Connection) -> Entry | None:
    """Give the last entry; None where nobody was erased yet."""
    return _one(connection, "order by no desc limit 1", ())


def entry(connection: Connection, no: int) -> Entry | None:
    """Give the entry of a number."""
    return _one(connection, "where no = %s", (no,))


def after(connection: Connection, no: int) -> Iterator[list[Entry]]:
    """Give the entries behind a number, some at a time."""
    run = cursor(connection)
    while True:
        run.execute(
            f"select {_COLUMNS} from ledger where no > %s order by no limit {MANY}",  # noqa: S608
            (no,),
        )
        found = [Entry(*row) for row in run.fetchall()]
        if not found:
            return
        yield found
        no = found[-1].no


def _one(connection: Connection, rest: str, values: tuple[Any, ...]) -> Entry | None:
    run = cursor(connection)
    run.execute(f"select {_COLUMNS} from ledger {rest}", values)  # noqa: S608 - our own words
    row = run.fetchone()
    return None if row is None else Entry(*row)
