"""What the running service knows of itself: who leads, what is due, and what the jobs did."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.rows import class_row
from sqlalchemy import Connection

from app.lifecycle.case import Lane
from app.lifecycle.dates import FURTHEST_AHEAD
from app.lifecycle.erasures import OWN_REST
from app.store.database import Session, cursor
from app.store.reconciliation import AFTER_ADDING

LEADERSHIP = 7_361_482_002
"""The key of the advisory lock that its leader holds."""
MANY = 1000
"""Due rows are counted up to this many: enough to say how many hands are wanted."""
SWEEP = "sweep"
WEBHOOKS = "webhooks"
LOOK = "look"
RECONCILE = "reconcile"
REFUND = "refund"
POLICY = "policy"
"""What follows from versions of a policy: putting one in force at its time, and planning anew."""
UNDO = "undo"
"""Taking back a run, as somebody wants it."""
SEAL = "seal"
"""Sealing the history of all products: called for at one of them, once a minute."""
ERASING = "erasing"
"""What the eraser does, a process that is called by nobody; a worker's on the test clock only."""
BOOKS = (LOOK, RECONCILE, REFUND)
"""The jobs that keep our books and billing's the same."""
JOBS = (POLICY, UNDO, SWEEP, str(Lane.BILLING), str(Lane.NOTICE), WEBHOOKS, ERASING, *BOOKS, SEAL)
EVERYTHING = "everything"
"""All jobs of a product, one after the other, until none finds anything to do."""


NEWS = "reconfirm_job_done"
"""The channel on which the leader hears that a job is done; without it, it looks once a second."""


def listen(connection: Session, *channels: str) -> None:
    """Hear what is told on channels from now on."""
    for channel in channels:
        connection.execute(f"listen {channel}")


def hear(connection: Session, patience: timedelta) -> None:
    """Wait until something is told, or for so long."""
    for _ in connection.notifies(timeout=patience.total_seconds(), stop_after=1):
        return


# --- the leader ------------------------------------------------------------------------------


def lead(connection: Session, wall: datetime) -> int | None:
    """Take the lead where nobody has it, for as long as the connection lives; give the new term."""
    held = connection.execute("select pg_try_advisory_lock(%s)", (LEADERSHIP,)).fetchone()
    if not held or not held[0]:
        return None
    row = connection.execute(
        """insert into leader (term, backend, seen_at) values (1, pg_backend_pid(), %(wall)s)
           on conflict (one) do update set term = leader.term + 1, backend = pg_backend_pid(),
             seen_at = %(wall)s
           returning term""",
        {"wall": wall},
    ).fetchone()
    return int(row[0]) if row else None


def still_leads(connection: Session, term: int, wall: datetime) -> bool:
    """Note that the leader of a term is there; False where another has taken over."""
    done = connection.execute(
        "update leader set seen_at = greatest(seen_at, %s) where term = %s", (wall, term)
    )
    return bool(done.rowcount)


def depose(connection: Session, silent_since: datetime) -> bool:
    """End the session of a leader that has not been seen since a moment: it hangs."""
    row = connection.execute(
        """select pg_terminate_backend(l.backend) from leader l
           join pg_locks k on k.pid = l.backend and k.locktype = 'advisory' and k.granted
           where l.seen_at < %s and k.classid = %s and k.objid = %s""",
        (silent_since, LEADERSHIP >> 32, LEADERSHIP & 0xFFFFFFFF),
    ).fetchone()
    return bool(row and row[0])


def leader_seen(connection: Connection) -> datetime | None:
    """Give when a leader was last there, on the wall clock; None where there never was one."""
    row = cursor(connection).execute("select seen_at from leader").fetchone()
    return row[0] if row else None


# --- what is due -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Due:
    """What waits for a product's jobs at one moment, counted up to `MANY` of each.

    `people` says whether a sweep would find somebody to look at; `claimed` counts what workers
    have in hand, whatever becomes of them.
    """

    product_id: int
    key: str
    policy: int
    people: bool
    billing: int
    notice: int
    webhooks: int
    look: int
    reconcile: int
    refund: int
    undo: int
    erasing: int
    seal: int
    claimed: int
    forsaken: int

    def waiting(self, job: str) -> int:
        """Give how much waits for one job."""
        match job:
            case "sweep":
                return int(self.people)
            case "billing":
                return self.billing
            case "notice":
                return self.notice
            case "webhooks":
                return self.webhooks
            case "policy" | "look" | "reconcile" | "refund" | "undo" | "seal" | "erasing":
                return int(getattr(self, job))
            case _:
                return 0


# The first of an index, never "exists": where nobody is due, that reads every timer there is.
_DUE = f"""
    select p.id as product_id, p.key,
      (exists (select 1 from policy v where v.product_id = p.id and v.activate_at <= %(now)s))::int
        + (exists (select 1 from plan n where n.product_id = p.id
             and n.finished_at is null))::int as policy,
      coalesce(
        (select min(r.wake_at) from reconfirmation r where r.product_id = p.id) <= %(now)s
        or (select min(t.due_at) from timer t where t.product_id = p.id)
          <= least(%(now)s, coalesce(f.heard_until + interval '36 hours', '-infinity')),
        false) as people,
      {
    ", ".join(
        f'''(select count(*) from (
        select 1 from outbox o where o.product_id = p.id and o.state = 'pending'
          and o.lane = '{lane}' and o.not_before <= %(now)s limit {MANY}) x)
        + (select count(*) from outbox o where o.state = 'claimed' and o.lease_until < %(wall)s
             and o.product_id = p.id and o.lane = '{lane}') as {lane}'''
        for lane in ("billing", "notice")
    )
},
      (select count(*) from (
        select 1 from webhook w where w.product_id = p.id and w.state = 'pending'
          and w.not_before <= %(now)s limit {MANY}) x)
        + (select count(*) from webhook w where w.state = 'claimed' and w.lease_until < %(wall)s
             and w.product_id = p.id) as webhooks,
      (select count(*) from (
        select 1 from look l where l.product_id = p.id and l.state <> 'parked'
          and l.not_before <= %(wall)s limit {MANY}) x) as look,
      (coalesce(c.due_at, p.created_at + %(first)s) <= %(now)s
        and (c.lease_until is null or c.lease_until < %(wall)s))::int as reconcile,
      (select count(*) from (
        select 1 from refund d where d.product_id = p.id and d.state = 'approved'
          and d.not_before <= %(now)s
          and (d.lease_until is null or d.lease_until < %(wall)s) limit {MANY}) x) as refund,
      (select count(*) from run_undo u
        where u.product_id = p.id and u.ended_at is null) as undo,
      (p.id = (select min(id) from product)
        and coalesce((select max(id) from history), 0) > coalesce((select upto from sealing), 0)
        and coalesce((select at from sealing), '-infinity')
          <= %(wall)s - interval '1 minute')::int as seal,
      (exists (select 1 from manifest m where m.product_id = p.id
           and m.state in ('making', 'approved')))::int
        + (coalesce((select min(r.erase_on) from reconfirmation r where r.product_id = p.id
             and r.outcome is null and r.erase_on is not null)
             <= ((%(now)s + %(ahead)s) at time zone 'UTC')::date, false)
           and not exists (select 1 from manifest m where m.product_id = p.id
             and m.day = (%(now)s at time zone 'UTC')::date))::int
        + coalesce((select min(r.erase_at) from reconfirmation r where r.product_id = p.id
             and r.latest and r.erase_at is not null) <= %(now)s - %(own_rest)s, false)::int
        + (select count(*) from (select 1 from erasure e where e.product_id = p.id
             and e.ended_at is null limit {MANY}) x) as erasing,
      (select count(*) from outbox o where o.state = 'claimed' and o.product_id = p.id)
        + (select count(*) from webhook w where w.state = 'claimed' and w.product_id = p.id)
        + (select count(*) from look l where l.state = 'claimed' and l.product_id = p.id)
        + (select count(*) from refund d where d.state = 'approved' and d.product_id = p.id
             and d.lease_until is not null)
        + (c.lease_until is not null)::int
        as claimed,
      (select count(*) from outbox o where o.state = 'claimed' and o.product_id = p.id
         and o.lease_until < %(wall)s)
        + (select count(*) from webhook w where w.state = 'claimed' and w.product_id = p.id
             and w.lease_until < %(wall)s)
        + (select count(*) from look l where l.state = 'claimed' and l.product_id = p.id
             and l.not_before < %(wall)s)
        + (select count(*) from refund d where d.state = 'approved' and d.product_id = p.id
             and d.lease_until < %(wall)s)
        + coalesce(c.lease_until < %(wall)s, false)::int as forsaken
    from product p
    left join reconciliation c on c.product_id = p.id
    cross join lateral (
      select case when bool_and(covers_until is not null)
        then min(covers_until)::timestamp at time zone 'UTC' end as heard_until
      from feed where product_id = p.id and retired_at is null) f
    where p.id = %(only)s or %(only)s::int is null
    order by p.id"""  # noqa: S608 - our own names


def due(connection: Session, now: datetime, wall: datetime, only: int | None = None) -> list[Due]:
    """Give what is due at a life moment, of one product or all; claims go by the wall clock."""
    with connection.cursor(row_factory=class_row(Due)) as run:
        values = {
            "now": now,
            "wall": wall,
            "only": only,
            "first": AFTER_ADDING,
            "ahead": FURTHEST_AHEAD,
            "own_rest": OWN_REST,
        }
        return run.execute(_DUE, values).fetchall()


def due_of(connection: Connection, product_id: int, now: datetime, wall: datetime) -> Due | None:
    """Give what is due for one product; None where there is no such product."""
    return next(iter(all_due(connection, now, wall, product_id)), None)


def all_due(
    connection: Connection, now: datetime, wall: datetime, only: int | None = None
) -> list[Due]:
    """Give what is due inside a transaction, of one product or all."""
    driver: Session = connection.connection.driver_connection  # type: ignore[assignment]
    return due(driver, now, wall, only)


# --- what the jobs did -------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Run:
    """The last run of a job for a product: `at` on the life clock, the others on the wall clock.

    `did` counts what it changed; `idle` says that it left nothing that it could have done;
    `stopped` says what holds the job back.
    """

    product_id: int
    job: str
    at: datetime
    started_at: datetime
    finished_at: datetime
    did: int
    failed: int
    idle: bool
    stopped: str | None = None


def note_run(connection: Connection, run: Run) -> None:
    """Note what a job did, and tell the leader that there is news."""
    cursor(connection).execute("select pg_notify(%s, '')", (NEWS,))
    cursor(connection).execute(
        """insert into job_run (product_id, job, at, started_at, finished_at, did, failed,
             idle, stopped)
           values (%s, %s, %s, %s, %s, %s, %s, %s, %s)
           on conflict (product_id, job) do update set at = excluded.at,
             started_at = excluded.started_at, finished_at = excluded.finished_at,
             did = excluded.did, failed = excluded.failed,
             idle = excluded.idle, stopped = excluded.stopped""",
        (
            run.product_id,
            run.job,
            run.at,
            run.started_at,
            run.finished_at,
            run.did,
            run.failed,
            run.idle,
            run.stopped,
        ),
    )


def runs(connection: Session) -> Sequence[Run]:
    """Give the last run of every job of every product."""
    with connection.cursor(row_factory=class_row(Run)) as run:
        return run.execute(
            """select product_id, job, at, started_at, finished_at, did, failed, idle,
                 stopped from job_run"""
        ).fetchall()


def job_seen(connection: Connection, job: str) -> datetime | None:
    """Give when a job last ended for any product, on the wall clock; None where it never did."""
    run = cursor(connection)
    run.execute("select max(finished_at) from job_run where job = %s", (job,))
    row = run.fetchone()
    return row[0] if row else None


def product_key(connection: Connection, product_id: int) -> str | None:
    """Give the key of a product that a message names; None where there is none."""
    run = cursor(connection)
    run.execute("select key from product where id = %s", (product_id,))
    row = run.fetchone()
    return str(row[0]) if row else None


def term(connection: Connection) -> int:
    """Give the term of the latest leader; 0 before the first."""
    row = cursor(connection).execute("select term from leader").fetchone()
    return int(row[0]) if row else 0
