"""Whom a version would ask at once: kept to be read, sampled and approved before anybody is asked.

A list holds our own numbers and the reason, nothing that names a person.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import Connection

from app.store.database import cursor


@dataclass(frozen=True, slots=True)
class AskList:
    """A list as a whole; `hash` is of all who are on it, so that an approval is of these people."""

    version: int
    made_at: datetime
    people: int
    hash: str
    approved_by: str | None
    approved_at: datetime | None
    done_at: datetime | None

    @property
    def waits(self) -> bool:
        """Whether it waits for somebody to approve it."""
        return self.approved_at is None


@dataclass(frozen=True, slots=True)
class Entry:
    """One who is on a list, by the facts that decide; nothing that names a person but their id."""

    id: int
    external_id: str
    why: str
    plan: str
    country: str
    interval: str
    amount: int
    currency: str
    started_on: date
    last_used_on: date | None


_COLUMNS = "version, made_at, people, hash, approved_by, approved_at, done_at"
_ENTRY = """s.id, s.external_id, l.why, s.plan, s.country, s."interval", s.amount, s.currency,
    s.started_on, s.last_used_on"""
_FROM = """from ask_listed l join subscription s on s.id = l.subscription_id
    join contact c on c.subscription_id = s.id
    where l.product_id = %s and l.version = %s"""


def of(connection: Connection, product_id: int, version: int) -> AskList | None:
    """Give the list of a version; None where there is none."""
    run = cursor(connection)
    run.execute(
        f"select {_COLUMNS} from ask_list where product_id = %s and version = %s",  # noqa: S608
        (product_id, version),
    )
    row = run.fetchone()
    return AskList(*row) if row else None


def take_turn(connection: Connection, product_id: int) -> bool:
    """Take the turn of making a list until the transaction ends; False where another has it."""
    run = cursor(connection)
    run.execute("select pg_try_advisory_xact_lock(hashtext('ask_list'), %s)", (product_id,))
    row = run.fetchone()
    return bool(row and row[0])


def add(
    connection: Connection, product_id: int, version: int, found: Iterable[tuple[int, str]]
) -> None:
    """Put people on a list that is being made."""
    rows = dict(found)
    cursor(connection).execute(
        """insert into ask_listed (product_id, version, subscription_id, why)
           select %s, %s, * from unnest(%s::bigint[], %s::text[]) on conflict do nothing""",
        (product_id, version, list(rows), list(rows.values())),
    )


def complete(connection: Connection, product_id: int, version: int, now: datetime) -> None:
    """Close a list that has been made: from now on it can be read and approved."""
    cursor(connection).execute(
        """insert into ask_list (product_id, version, made_at, people, hash)
           select %(product)s, %(version)s, %(now)s, count(*),
             encode(sha256(coalesce(string_agg(subscription_id::text, ','
               order by subscription_id), '')::bytea), 'hex')
           from ask_listed where product_id = %(product)s and version = %(version)s""",
        {"product": product_id, "version": version, "now": now},
    )


def drop(connection: Connection, product_id: int, version: int) -> None:
    """Forget a list; where one is wanted, it is made anew."""
    for table in ("ask_listed", "ask_list"):
        cursor(connection).execute(
            f"delete from {table} where product_id = %s and version = %s",  # noqa: S608 - ours
            (product_id, version),
        )


def approve(
    connection: Connection, product_id: int, version: int, actor: str, now: datetime
) -> None:
    """Note who approved a list."""
    cursor(connection).execute(
        """update ask_list set approved_by = %s, approved_at = %s
           where product_id = %s and version = %s""",
        (actor, now, product_id, version),
    )


def finish(
    connection: Connection, product_id: int, version: int, now: datetime, until: datetime
) -> None:
    """Note that nobody on a list is due any more; others may be asked from then on.

    Whoever another sweep has in hand at this moment still has their timer, and so counts as due.
    """
    cursor(connection).execute(
        """update ask_list set done_at = %(now)s
           where product_id = %(product)s and version = %(version)s and not exists (
             select from timer t join ask_listed l on l.product_id = t.product_id
               and l.version = %(version)s and l.subscription_id = t.subscription_id
             where t.product_id = %(product)s and t.due_at <= %(until)s)""",
        {"now": now, "product": product_id, "version": version, "until": until},
    )


def on_it(
    connection: Connection, product_id: int, version: int, ids: Collection[int]
) -> frozenset[int]:
    """Give those of the subscriptions that are on a list."""
    run = cursor(connection)
    run.execute(
        """select subscription_id from ask_listed
           where product_id = %s and version = %s and subscription_id = any(%s)""",
        (product_id, version, list(ids)),
    )
    return frozenset(row[0] for row in run.fetchall())


# --- reading -------------------------------------------------------------------------------


def entries(
    connection: Connection, product_id: int, version: int, after: int, limit: int
) -> Sequence[Entry]:
    """Give who is on a list, a page of it, in the order of our numbers; not who was erased."""
    run = cursor(connection)
    # Said of each table: otherwise a merge join reads the others from their beginning every time.
    run.execute(
        f"""select {_ENTRY} {_FROM} and l.subscription_id > %s and s.id > %s
              and c.subscription_id > %s order by l.subscription_id limit %s""",
        (product_id, version, after, after, after, limit),
    )
    return [Entry(*row) for row in run.fetchall()]


def as_entries(connection: Connection, why: Mapping[int, str]) -> Sequence[Entry]:
    """Give subscriptions, by their number and why they would be asked, as a list has them."""
    run = cursor(connection)
    run.execute(
        f"""select {_ENTRY} from unnest(%s::bigint[], %s::text[]) as l (subscription_id, why)
            join subscription s on s.id = l.subscription_id order by s.id""",  # noqa: S608
        (list(why), list(why.values())),
    )
    return [Entry(*row) for row in run.fetchall()]


def sample(connection: Connection, product_id: int, version: int, many: int) -> Sequence[Entry]:
    """Give so many of a list by chance: the same ones each time, so that two people see the same.

    Nobody can choose them beforehand, since the chance comes from the hash of the whole list.
    """
    run = cursor(connection)
    run.execute(
        f"""select {_ENTRY} from (
              select l.subscription_id as id, l.why from ask_listed l
              join ask_list w on w.product_id = l.product_id and w.version = l.version
              where l.product_id = %s and l.version = %s
              order by md5(w.hash || l.subscription_id) limit %s) l
            join subscription s on s.id = l.id
            join contact c on c.subscription_id = s.id order by s.id""",  # noqa: S608 - our own words
        (product_id, version, many),
    )
    return [Entry(*row) for row in run.fetchall()]
