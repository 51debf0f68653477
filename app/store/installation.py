"""Which database this is, and what a restored one needs: found again, parked, entered, stamped."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection

from app.store.database import cursor
from app.store.ledger import Entry

MANY = 10_000
ERROR = "restored backup"


@dataclass(frozen=True, slots=True)
class Identity:
    """Which server, which database in it, and which timeline: a promotion begins another one."""

    system: str
    database: int
    timeline: int

    def same_place(self, other: "Identity") -> bool:
        """Say whether it is the same database, whatever timeline it is on."""
        return (self.system, self.database) == (other.system, other.database)


@dataclass(frozen=True, slots=True)
class Stamp:
    """What the database says of itself.

    While a restored one is put right, since when, and which entry of the ledger was its last.
    """

    identity: Identity
    restoring_since: datetime | None = None
    restoring_from: int | None = None


class Somebody(NamedTuple):
    """A subscription as billing calls it."""

    id: int
    product_id: int
    external_id: str


def identity(connection: Connection) -> Identity:
    """Give which database this is, as the server has it."""
    run = cursor(connection)
    # A server that does not let us ask is known by the database's number alone.
    run.execute("select has_function_privilege('pg_control_system()', 'execute')")
    asked = run.fetchone()
    system = "''" if not asked or not asked[0] else "(pg_control_system()).system_identifier::text"
    run.execute(
        f"""select {system},
              (select oid::bigint from pg_database where datname = current_database()),
              case when pg_is_in_recovery() then 0
                else ('x' || left(pg_walfile_name(pg_current_wal_insert_lsn()), 8))::bit(32)::int
              end"""  # noqa: S608 - our own words
    )
    row = run.fetchone()
    if row is None:
        raise LookupError("pg_database")
    return Identity(*row)


def stamped(connection: Connection) -> Stamp | None:
    """Give what the database says of itself; None where no role has started on it yet."""
    run = cursor(connection)
    run.execute(
        "select system, database, timeline, restoring_since, restoring_from from installation"
    )
    row = run.fetchone()
    return None if row is None else Stamp(Identity(*row[:3]), *row[3:])


def stamp(connection: Connection, here: Identity, wall: datetime) -> None:
    """Write down which database this is."""
    cursor(connection).execute(
        """insert into installation (system, database, timeline, stamped_at)
           values (%(system)s, %(database)s, %(timeline)s, %(wall)s)
           on conflict (one) do update set system = excluded.system,
             database = excluded.database, timeline = excluded.timeline,
             stamped_at = excluded.stamped_at, restoring_since = null, restoring_from = null""",
        {
            "system": here.system,
            "database": here.database,
            "timeline": here.timeline,
            "wall": wall,
        },
    )


def begin_restoring(connection: Connection, here: Identity, known: int, wall: datetime) -> None:
    """Note that it is being put right; who dies over it leaves a database that does not serve."""
    cursor(connection).execute(
        """insert into installation (system, database, timeline, stamped_at, restoring_since,
             restoring_from)
           values (%(system)s, %(database)s, %(timeline)s, %(wall)s, %(wall)s, %(known)s)
           on conflict (one) do update
             set restoring_since = coalesce(installation.restoring_since, excluded.stamped_at),
               restoring_from = coalesce(installation.restoring_from, excluded.restoring_from)""",
        {
            "system": here.system,
            "database": here.database,
            "timeline": here.timeline,
            "wall": wall,
            "known": known,
        },
    )


# --- what must not go out twice ----------------------------------------------------------------


def park_notices(connection: Connection) -> int:
    """Put every notice before a person that waits to go out: it may have gone; give how many."""
    run = cursor(connection)
    run.execute(
        """update outbox set state = 'parked', lease_until = null, fence = fence + 1, error = %s
           where lane = 'notice' and state in ('pending', 'claimed')""",
        (ERROR,),
    )
    return run.rowcount


def doubt_acts(connection: Connection) -> int:
    """Note of every act of billing that waits that it may be done: it is read back first."""
    run = cursor(connection)
    run.execute(
        """update outbox set state = case state when 'claimed' then 'pending' else state end,
             lease_until = null, fence = fence + (state = 'claimed')::int,
             unknown = greatest(unknown, 1)
           where lane = 'billing' and (unknown = 0 or state = 'claimed')"""
    )
    many = run.rowcount
    run.execute(
        """update refund set unknown = greatest(unknown, 1), lease_until = null, fence = fence + 1
           where state = 'approved' and asked is not null"""
    )
    return many + run.rowcount


# --- who is still there ------------------------------------------------------------------------


def everybody(connection: Connection, after: int) -> list[Somebody]:
    """Give the next subscriptions behind one, by id."""
    run = cursor(connection)
    run.execute(
        f"""select id, product_id, external_id from subscription
            where id > %s order by id limit {MANY}""",  # noqa: S608 - our own number
        (after,),
    )
    return [Somebody(*row) for row in run.fetchall()]


def erased_as(connection: Connection, subscription_ids: Sequence[int]) -> set[tuple[int, str]]:
    """Give which of these were erased under which id, by what is noted here."""
    run = cursor(connection)
    run.execute(
        "select subscription_id, id from erasure where subscription_id = any(%s)",
        (list(subscription_ids),),
    )
    return {(row[0], row[1]) for row in run.fetchall()}


def note_erasure(
    connection: Connection, product_id: int, subscription_id: int, entry: Entry, actor: str
) -> None:
    """Note that a subscription's erasure is over, as the ledger says; nobody is told of it again.

    Its case is locked. What targets owe is dropped: they gave it before the backup was restored.
    """
    run = cursor(connection)
    run.execute("select 1 from subscription where id = %s for no key update", (subscription_id,))
    run.execute(
        """select number from reconfirmation where subscription_id = %s and latest for update""",
        (subscription_id,),
    )
    row = run.fetchone()
    run.execute(
        """insert into erasure (id, product_id, subscription_id, round, cause, begun_at, begun_by,
             ended_at, ledger_no)
           values (%(id)s, %(product)s, %(subscription)s, %(round)s, %(cause)s, %(at)s, %(actor)s,
             %(at)s, %(no)s)
           on conflict (id) do update set ended_at = excluded.ended_at,
             ledger_no = excluded.ledger_no""",
        {
            "id": entry.erasure_id,
            "product": product_id,
            "subscription": subscription_id,
            "round": row[0] if row else 0,
            "cause": entry.cause,
            "at": entry.ended_at,
            "actor": actor,
            "no": entry.no,
        },
    )
    # Where only some tables were restored, it says that they are gone, and they are not.
    run.execute("delete from tombstone where subscription_id = %s", (subscription_id,))
    run.execute(
        "delete from receipt where erasure_id = %s and state <> 'given'", (entry.erasure_id,)
    )


def pinned(connection: Connection, subscription_id: int) -> int | None:
    """Give the version of the policy that the latest round of a subscription keeps to."""
    run = cursor(connection)
    run.execute(
        "select version from reconfirmation where subscription_id = %s and latest",
        (subscription_id,),
    )
    row = run.fetchone()
    return row[0] if row else None


def close_round(connection: Connection, subscription_id: int, at: datetime) -> None:
    """Close the latest round of a subscription as erased; it is never looked at again."""
    cursor(connection).execute(
        """update reconfirmation set stage = 'erased', outcome = 'erased',
             closed_at = coalesce(closed_at, %s), wake_at = null, erase_on = null,
             erase_at = null, erasing = null
           where subscription_id = %s and latest""",
        (at, subscription_id),
    )
    cursor(connection).execute("delete from timer where subscription_id = %s", (subscription_id,))


def entomb(connection: Connection, rows: Sequence[tuple[int, bytes, datetime]]) -> None:
    """Refuse re-imports of who is known by (product, mark, erased at) and is not here any more."""
    cursor(connection).executemany(
        """insert into tombstone (product_id, mark, subscription_id, erased_at)
           values (%s, %s, 0, %s) on conflict do nothing""",
        rows,
    )


def product_ids(connection: Connection) -> dict[str, int]:
    """Give the number of each product by its key."""
    run = cursor(connection)
    run.execute("select key, id from product order by id")
    return {row[0]: row[1] for row in run.fetchall()}
