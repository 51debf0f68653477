"""How far the comparison of each product with its billing system has come, and what it found.

One row a product. Whoever has its lease may move it on, under the fence it was claimed with, in
the transaction that takes in what was read: so any process may die on any page, and the next one
goes on from the cursor. Moments are on the life clock, but for leases, which are on the wall clock.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb
from sqlalchemy import Connection

from app.store.database import cursor

PAGES = "pages"
MISSING = "missing"
CHARGES = "charges"
LOST = "unknown_to_billing"
"""We hold it as alive, and billing does not know it."""
NOT_PAUSED = "not_paused"
"""We hold it as suspended, confirmed, and billing charges it."""
WALKED_BACK = timedelta(days=35)
"""So far back charges are looked through anew: more than a month, and than billing tries for."""
FAR_EVERY = timedelta(days=7)
"""As seldom as that; every night the few days before it are enough for nearly all charges."""
AFTER_ADDING = timedelta(days=1)
"""A product is compared for the first time when it has been there for so long."""


@dataclass(frozen=True, slots=True)
class Going:
    """A run in hand: `after` is where its next page begins, `began_at` when the run did.

    `charges_from` is the moment from which charges are walked through.
    """

    product_id: int
    fence: int
    phase: str
    after: str | None
    began_at: datetime
    charges_from: datetime
    tries: int
    counts: Counter[str]


_FAR_AGAIN = "coalesce(r.walked_back_at <= %(a_week_ago)s, true)"
_GOING = "product_id, fence, phase, cursor, began_at, charges_from, tries, counts"


def claim(  # noqa: PLR0913 - what, when, for how long
    connection: Connection,
    product_id: int,
    now: datetime,
    wall: datetime,
    lease: timedelta,
    *,
    at_once: bool = False,
) -> Going | None:
    """Take the run of a product, or begin one where one is due or wanted `at_once`.

    None where nothing is due, or somebody else has it. A run that begins a week after the last one
    that did walks through the charges of `WALKED_BACK`, and not only of those days that are left.
    """
    run = cursor(connection)
    run.execute(
        """insert into reconciliation (product_id, due_at)
           select id, created_at + %s from product where id = %s on conflict do nothing""",
        (AFTER_ADDING, product_id),
    )
    run.execute(
        f"""update reconciliation r set fence = r.fence + 1, lease_until = %(lease)s,
              phase = coalesce(r.phase, 'pages'),
              cursor = case when r.phase is null then null else r.cursor end,
              began_at = case when r.phase is null then %(now)s else r.began_at end,
              charges_from = case when r.phase is null and {_FAR_AGAIN}
                then least(coalesce(r.charges_from, p.created_at),
                           greatest(p.created_at, %(far)s))
                else coalesce(r.charges_from, p.created_at) end,
              walked_back_at = case when r.phase is null and {_FAR_AGAIN} then %(now)s
                else r.walked_back_at end,
              tries = case when r.phase is null then 0 else r.tries end,
              counts = case when r.phase is null then '{{}}'::jsonb else r.counts end
            from product p
            where p.id = r.product_id and r.product_id = %(product)s
              and (r.due_at <= %(now)s or %(at_once)s)
              and (r.lease_until is null or r.lease_until < %(wall)s)
            returning {", ".join(f"r.{name}" for name in _GOING.split(", "))}""",  # noqa: S608 - our own names
        {
            "lease": wall + lease,
            "now": now,
            "wall": wall,
            "product": product_id,
            "at_once": at_once,
            "far": now - WALKED_BACK,
            "a_week_ago": now - FAR_EVERY,
        },
    )
    row = run.fetchone()
    if row is None:
        return None
    values: tuple[Any, ...] = (*row[:7], Counter(row[7]))
    return Going(*values)


def hold(connection: Connection, going: Going) -> bool:
    """Lock a run that was claimed; False where somebody else has taken it since."""
    run = cursor(connection)
    run.execute(
        """select 1 from reconciliation
           where product_id = %s and fence = %s and lease_until is not null for update""",
        (going.product_id, going.fence),
    )
    return run.fetchone() is not None


def move_on(connection: Connection, going: Going, lease_until: datetime) -> None:
    """Write how far a run that is held has come."""
    cursor(connection).execute(
        """update reconciliation set phase = %s, cursor = %s, lease_until = %s, tries = %s,
             counts = %s, error = null
           where product_id = %s""",
        (
            going.phase,
            going.after,
            lease_until,
            going.tries,
            Jsonb(going.counts),
            going.product_id,
        ),
    )


def release(connection: Connection, going: Going, now: datetime) -> None:
    """Let another go on with a run at once."""
    cursor(connection).execute(
        """update reconciliation set lease_until = null, due_at = least(due_at, %s)
           where product_id = %s and fence = %s""",
        (now, going.product_id, going.fence),
    )


def put_off(
    connection: Connection, going: Going, until: datetime, error: str, *, anew: bool
) -> None:
    """Have a run wait until a moment because of an error (a code); `anew`: from its first page."""
    cursor(connection).execute(
        """update reconciliation set lease_until = null, due_at = %s, tries = tries + 1, error = %s,
             cursor = case when %s then null else cursor end
           where product_id = %s and fence = %s""",
        (until, error, anew, going.product_id, going.fence),
    )


def note_lists(connection: Connection, going: Going, *, lists: bool) -> None:
    """Note whether billing lists its subscriptions: only then is time stopped for a run."""
    cursor(connection).execute(
        "update reconciliation set lists = %s where product_id = %s and fence = %s",
        (lists, going.product_id, going.fence),
    )


def end(
    connection: Connection, going: Going, now: datetime, due_at: datetime, charges_from: datetime
) -> None:
    """End a run that is held: the next begins at `due_at`, its charges at `charges_from`."""
    cursor(connection).execute(
        """update reconciliation set phase = null, cursor = null, lease_until = null, tries = 0,
             error = case when %s then 'too many are not listed' end,
             ended_at = %s, due_at = %s, charges_from = %s, result = %s
           where product_id = %s""",
        (
            bool(going.counts["too_many_missing"]),
            now,
            due_at,
            charges_from,
            Jsonb(going.counts),
            going.product_id,
        ),
    )


@dataclass(frozen=True, slots=True)
class Standing:
    """How the comparison of a product stands; `result` counts what the last whole run found."""

    due_at: datetime
    phase: str | None
    began_at: datetime | None
    error: str | None
    counts: Mapping[str, int]
    ended_at: datetime | None
    result: Mapping[str, int] | None


def standing(connection: Connection, product_id: int) -> Standing | None:
    """Give how the comparison of a product stands; None where none has been due yet."""
    run = cursor(connection)
    run.execute(
        """select due_at, phase, began_at, error, counts, ended_at, result
           from reconciliation where product_id = %s""",
        (product_id,),
    )
    row: tuple[Any, ...] | None = run.fetchone()
    return Standing(*row) if row else None


@dataclass(frozen=True, slots=True)
class Overdue:
    """A product that has not been compared for too long, or whose run does not go on."""

    product: str
    error: str | None
    ended_at: datetime | None


def overdue(connection: Connection, before: datetime) -> list[Overdue]:
    """Give the products whose run fails, or whose last whole one ended before a moment."""
    run = cursor(connection)
    run.execute(
        """select p.key, r.error, r.ended_at from reconciliation r
           join product p on p.id = r.product_id
           where r.error is not null or coalesce(r.ended_at, p.created_at + %s) < %s
           order by p.id""",
        (AFTER_ADDING, before),
    )
    return [Overdue(*row) for row in run.fetchall()]


# --- comparing -------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Held:
    """What the mirror holds of one subscription: a digest of what was told, and what that was."""

    id: int
    told: bytes
    status: str
    renews_at: datetime | None
    rest: tuple[Any, ...]


def held(connection: Connection, product_id: int, names: Sequence[str]) -> dict[str, Held]:
    """Lock the subscriptions there are, and give what the mirror holds of each."""
    run = cursor(connection)
    run.execute(
        """select external_id, id, told, status, renews_at, plan, country, "interval", amount,
             currency, started_on, customer
           from subscription
           where product_id = %s and external_id = any(%s) order by id for update""",
        (product_id, list(names)),
    )
    return {row[0]: Held(row[1], row[2], row[3], row[4], row[5:]) for row in run.fetchall()}


def retell(
    connection: Connection,
    product_id: int,
    names: Sequence[str],
    told: Sequence[bytes],
    moments: Sequence[datetime],
) -> set[str]:
    """Note of whom billing says again, to the letter, what is known that it was so later too.

    Give those; of the others it tells something else, something older, or something new. This is
    nearly everybody every night, so it is one statement. The moment has to be in the row: what is
    told late about an earlier moment is judged by it under the lock of that row. A lock alone would
    write the same pages, and half as much log.
    """
    run = cursor(connection)
    run.execute(
        """with v as materialized (
             select s.id, t.told, t.at from unnest(%s::text[], %s::bytea[], %s::timestamptz[])
               as t(name, told, at)
             join subscription s on s.product_id = %s and s.external_id = t.name
             where s.told = t.told order by s.id)
           update subscription s set told_at = v.at from v
           where s.id = v.id and s.told = v.told and (s.told_at is null or s.told_at < v.at)
           returning s.external_id""",
        (list(names), list(told), list(moments), product_id),
    )
    return {row[0] for row in run.fetchall()}


@dataclass(frozen=True, slots=True)
class Unlisted:
    """A window of a product's subscriptions: the alive ones nobody has told of since a moment."""

    names: list[str]
    last: int | None


def unlisted(
    connection: Connection, product_id: int, after: int, since: datetime, window: int
) -> Unlisted:
    """Look through the next subscriptions by id for those that are alive and were not told of.

    Every window costs the same, whether it holds any or not. Left out are who was erased, and who
    is to be read back anyway or waits for a person: of them billing told what we cannot read.
    """
    run = cursor(connection)
    run.execute(
        """with few as materialized (
             select id, external_id, status, told_at from subscription
             where product_id = %s and id > %s order by id limit %s)
           select max(id), array_agg(external_id order by id) filter (
             where status <> 'canceled' and (told_at is null or told_at < %s)
               and exists (select 1 from contact c where c.subscription_id = few.id)
               and not exists (select 1 from look l
                 where l.product_id = %s and l.external_id = few.external_id))
           from few""",
        (product_id, after, window, since, product_id),
    )
    row = run.fetchone() or (None, None)
    return Unlisted(list(row[1] or ()), row[0])


def not_paused(
    connection: Connection, product_id: int, ids: Sequence[str], before: datetime
) -> list[int]:
    """Give those of the subscriptions that we suspended before a moment and have not touched since.

    Whoever calls knows that billing says of them that they are charged.
    """
    run = cursor(connection)
    run.execute(
        """select s.id from subscription s
           join reconfirmation r on r.subscription_id = s.id and r.outcome is null
           where s.product_id = %s and s.external_id = any(%s) and r.stage = 'suspended'
             and r.act is null and r.decided_at < %s order by s.id""",
        (product_id, list(ids), before),
    )
    return [row[0] for row in run.fetchall()]


def ours(
    connection: Connection, product_id: int, ids: Sequence[str], since: datetime
) -> dict[str, str | None]:
    """Give those whose latest round explains that billing says something else, and its stage.

    A round does while an act of ours is on its way, and afterwards: what it stands at, or the
    outcome it came to by our last act. None where anything at all is explained: it is too fresh.
    """
    run = cursor(connection)
    run.execute(
        """select s.external_id,
             case when r.act is not null or r.decided_at >= %s then null
                  else coalesce(r.outcome, r.stage) end
           from subscription s
           join reconfirmation r on r.subscription_id = s.id and r.latest
           where s.product_id = %s and s.external_id = any(%s)""",
        (since, product_id, list(ids)),
    )
    return {row[0]: row[1] for row in run.fetchall()}


# --- what cannot be explained ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Finding:
    """What is wrong with a subscription (a code), since when, and when it was last seen so."""

    subscription: str
    what: str
    first_at: datetime
    last_at: datetime


def report(
    connection: Connection, product_id: int, what: str, ids: Sequence[int], now: datetime
) -> list[int]:
    """Note what is wrong with subscriptions; give those of whom it was not known yet."""
    run = cursor(connection)
    run.execute(
        """insert into unexplained as u (product_id, subscription_id, what, first_at, last_at)
           select %s, id, %s, %s, %s from unnest(%s::bigint[]) as v(id) order by id
           on conflict (product_id, subscription_id, what) do update set last_at = excluded.last_at
           returning u.subscription_id, u.xmax = 0""",
        (product_id, what, now, now, sorted(set(ids))),
    )
    return [row[0] for row in run.fetchall() if row[1]]


def explained(connection: Connection, product_id: int, what: str, names: Sequence[str]) -> None:
    """Strike off what is wrong no more with these subscriptions."""
    if names:
        cursor(connection).execute(
            """delete from unexplained u using subscription s
               where s.product_id = %s and s.external_id = any(%s)
                 and u.product_id = %s and u.subscription_id = s.id and u.what = %s""",
            (product_id, list(names), product_id, what),
        )


def listed(
    connection: Connection, product_id: int, names: Sequence[str], wrong: Sequence[int]
) -> None:
    """Strike off what is wrong no more with who is listed: all but being charged by billing.

    That stays with those who are charged `wrong`ly, by our own id.
    """
    cursor(connection).execute(
        """delete from unexplained u using subscription s
           where u.product_id = %s and s.id = u.subscription_id and s.external_id = any(%s)
             and (u.what = %s or (u.what = %s and s.id <> all(%s)))""",
        (product_id, list(names), LOST, NOT_PAUSED, list(wrong)),
    )


def findings(connection: Connection, product_id: int, limit: int) -> list[Finding]:
    """Give what cannot be explained about a product's subscriptions, the oldest first."""
    run = cursor(connection)
    run.execute(
        """select s.external_id, u.what, u.first_at, u.last_at
           from unexplained u join subscription s on s.id = u.subscription_id
           where u.product_id = %s order by u.first_at, s.id limit %s""",
        (product_id, limit),
    )
    return [Finding(*row) for row in run.fetchall()]


def count_findings(connection: Connection) -> int:
    """Count what cannot be explained, of all products."""
    row = cursor(connection).execute("select count(*) from unexplained").fetchone()
    return int(row[0]) if row else 0
