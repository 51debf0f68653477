"""Manifests: whose data is due to be erased as of a day, who agreed to it, and what became of it.

They hold our own numbers and codes, nothing that names a person: who a number is can be read only
until they are erased. Moments are on the life clock.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from msgspec import Struct
from psycopg.rows import class_row
from sqlalchemy import Connection

from app.store.database import cursor

MAKING = "making"
WAITING = "waiting"
APPROVED = "approved"
DONE = "done"
REFUSED = "refused"
EXPIRED = "expired"
OPEN = (WAITING, APPROVED)
"""The states in which somebody may still come to be erased by it."""
BATCH = 5000


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as a whole; `people` and `hash` are None until it is complete."""

    number: int
    day: date
    made_by: str
    made_at: datetime
    people: int | None
    hash: bytes | None
    state: str
    refused_by: str | None
    refused_at: datetime | None
    approved_at: datetime | None
    ended_at: datetime | None


class Entry(Struct, frozen=True, array_like=True, gc=False):
    """One who is on a manifest, as it was written down: what its hash is of.

    `since` is the day of the suspension or cancel; warnings were handed over on `warned` days, from
    `warned_from` to `warned_on`.
    """

    subscription_id: int
    round: int
    stage: str
    why: str
    since: date
    erase_on: date
    warned_from: date
    warned_on: date
    warned: int


@dataclass(frozen=True, slots=True)
class Listed:
    """One who is on a manifest, to be read: by billing's id, None once they were erased.

    `state` is waiting, begun or skipped, and `skipped` the code of why it was passed over.
    """

    id: int
    external_id: str | None
    plan: str | None
    country: str | None
    round: int
    stage: str
    why: str
    since: date
    erase_on: date
    warned_from: date
    warned_on: date
    warned: int
    state: str
    skipped: str | None


@dataclass(frozen=True, slots=True)
class Approval:
    """That somebody approved a manifest of a hash."""

    actor: str
    hash: bytes
    approved_at: datetime


_COLUMNS = """number, day, made_by, made_at, people, hash, state, refused_by, refused_at,
    approved_at, ended_at"""
_WRITTEN = """subscription_id, round, stage, why, since, erase_on, warned_from, warned_on,
    warned"""
_THERE = "c.subscription_id is not null"
_LISTED = f"""e.subscription_id as id, case when {_THERE} then s.external_id end as external_id,
    case when {_THERE} then s.plan end as plan, case when {_THERE} then s.country end as country,
    e.round, e.stage, e.why, e.since, e.erase_on, e.warned_from, e.warned_on, e.warned, e.state,
    e.skipped"""
_JOINED = """left join subscription s on s.id = e.subscription_id
    left join contact c on c.subscription_id = e.subscription_id"""


# --- whole -----------------------------------------------------------------------------------


def of(
    connection: Connection, product_id: int, number: int, *, lock: bool = False
) -> Manifest | None:
    """Give one manifest of a product; None where there is none."""
    run = cursor(connection)
    run.row_factory = class_row(Manifest)
    run.execute(
        f"""select {_COLUMNS} from manifest where product_id = %s and number = %s
            {"for update" if lock else ""}""",  # noqa: S608 - our own words
        (product_id, number),
    )
    found: Manifest | None = run.fetchone()
    return found


def listed(
    connection: Connection, product_id: int, before: int | None, limit: int
) -> list[Manifest]:
    """Give the manifests of a product before a number (None: from the last), newest first."""
    run = cursor(connection)
    run.row_factory = class_row(Manifest)
    run.execute(
        f"""select {_COLUMNS} from manifest
            where product_id = %s and (number < %s or %s::int is null)
            order by number desc limit %s""",  # noqa: S608 - our own words
        (product_id, before, before, limit),
    )
    found: list[Manifest] = run.fetchall()
    return found


def approvals(connection: Connection, product_id: int, number: int) -> list[Approval]:
    """Give who has approved a manifest, the earliest first."""
    run = cursor(connection)
    run.execute(
        """select actor, hash, approved_at from manifest_approval
           where product_id = %s and number = %s order by approved_at, actor""",
        (product_id, number),
    )
    return [Approval(*row) for row in run.fetchall()]


def having(connection: Connection, names: Sequence[str], roles: Sequence[str]) -> set[str]:
    """Give those people of the console who have one of the roles now, by name."""
    run = cursor(connection)
    run.execute(
        "select name from console_person where name = any(%s) and roles ?| %s",
        (list(names), list(roles)),
    )
    return {row[0] for row in run.fetchall()}


# --- deciding --------------------------------------------------------------------------------


def approve(  # noqa: PLR0913, PLR0917 - a row
    connection: Connection,
    product_id: int,
    number: int,
    actor: str,
    seen: bytes,
    now: datetime,
) -> bool:
    """Note that somebody approves a manifest of a hash; False where they have before."""
    run = cursor(connection)
    run.execute(
        """insert into manifest_approval (product_id, number, actor, hash, approved_at)
           values (%s, %s, %s, %s, %s) on conflict do nothing""",
        (product_id, number, actor, seen, now),
    )
    return run.rowcount == 1


def agreed(connection: Connection, product_id: int, number: int, now: datetime) -> None:
    """Note that enough people have approved a manifest."""
    cursor(connection).execute(
        """update manifest set state = 'approved', approved_at = %s
           where product_id = %s and number = %s""",
        (now, product_id, number),
    )


def refuse(connection: Connection, product_id: int, number: int, actor: str, now: datetime) -> None:
    """Note that somebody refused a manifest: nobody is erased by it from here on."""
    cursor(connection).execute(
        """update manifest set state = 'refused', refused_by = %s, refused_at = %s, ended_at = %s
           where product_id = %s and number = %s""",
        (actor, now, now, product_id, number),
    )


def finish(connection: Connection, product_id: int, number: int, now: datetime) -> None:
    """Note that nobody on a manifest waits any more."""
    cursor(connection).execute(
        """update manifest set state = 'done', ended_at = %s
           where product_id = %s and number = %s""",
        (now, product_id, number),
    )


def expire(
    connection: Connection, product_id: int, made_before: datetime, now: datetime
) -> list[int]:
    """End the open manifests made before a moment; give their numbers."""
    run = cursor(connection)
    run.execute(
        """update manifest set state = 'expired', ended_at = %s
           where product_id = %s and state = any(%s) and made_at <= %s returning number""",
        (now, product_id, list(OPEN), made_before),
    )
    return sorted(row[0] for row in run.fetchall())


def refused_since(
    connection: Connection, product_id: int, ids: Sequence[int], since: datetime
) -> set[int]:
    """Give those of the subscriptions that were on a manifest refused since a moment."""
    run = cursor(connection)
    run.execute(
        """select distinct e.subscription_id from manifest_entry e
           join manifest m on m.product_id = e.product_id and m.number = e.number
           where e.subscription_id = any(%s) and e.product_id = %s
             and m.state = 'refused' and m.refused_at > %s""",
        (list(ids), product_id, since),
    )
    return {row[0] for row in run.fetchall()}


# --- who is on it ----------------------------------------------------------------------------


def written(
    connection: Connection, product_id: int, number: int, batch: int = BATCH
) -> Iterator[Entry]:
    """Give everybody on a manifest as it was written down, in the order of our numbers."""
    after = 0
    while True:
        run = cursor(connection)
        run.execute(
            f"""select {_WRITTEN} from manifest_entry
                where product_id = %s and number = %s and subscription_id > %s
                order by subscription_id limit %s""",  # noqa: S608 - our own words
            (product_id, number, after, batch),
        )
        some = [Entry(*row) for row in run.fetchall()]
        if not some:
            return
        yield from some
        after = some[-1].subscription_id


def entries(
    connection: Connection, product_id: int, number: int, after: int, limit: int
) -> list[Listed]:
    """Give who is on a manifest behind a number of ours, a page of it, in order."""
    return _entries(
        connection,
        f"""select {_LISTED} from (select * from manifest_entry
              where product_id = %s and number = %s and subscription_id > %s
              order by subscription_id limit %s) e {_JOINED} order by e.subscription_id""",  # noqa: S608 - ours
        (product_id, number, after, limit),
    )


def sample(connection: Connection, product_id: int, number: int, many: int) -> list[Listed]:
    """Give so many of a manifest by chance: the same ones each time, so that two see the same.

    Nobody can choose them beforehand, since the chance comes from the hash of the whole.
    """
    return _entries(
        connection,
        f"""select {_LISTED} from (select e.* from manifest_entry e
              join manifest m on m.product_id = e.product_id and m.number = e.number
              where e.product_id = %s and e.number = %s
              order by md5(encode(m.hash, 'hex') || e.subscription_id) limit %s) e
            {_JOINED} order by e.subscription_id""",  # noqa: S608 - ours
        (product_id, number, many),
    )


def search(connection: Connection, product_id: int, number: int, name: str) -> list[Listed]:
    """Give whoever on a manifest has exactly this id at billing: one, or none."""
    return _entries(
        connection,
        f"""select {_LISTED} from manifest_entry e
            join subscription s on s.id = e.subscription_id
            join contact c on c.subscription_id = e.subscription_id
            where e.product_id = %s and e.number = %s
              and s.product_id = %s and s.external_id = %s""",  # noqa: S608 - ours
        (product_id, number, product_id, name),
    )


def _entries(connection: Connection, statement: str, values: Sequence[Any]) -> list[Listed]:
    run = cursor(connection)
    run.row_factory = class_row(Listed)
    run.execute(statement, tuple(values))
    found: list[Listed] = run.fetchall()
    return found


# --- counted ---------------------------------------------------------------------------------

GROUPS = ("why", "stage", "plan", "country", "state", "skipped")


@dataclass(frozen=True, slots=True)
class Proved:
    """What a manifest says of its warnings: the fewest, and how close they came."""

    fewest: int
    shortest_apart: int
    last_on: date
    earliest_on: date
    latest_on: date


def counts(
    connection: Connection, product_id: int, number: int
) -> Mapping[str, list[tuple[str, int]]]:
    """Count who is on a manifest by each of GROUPS, the most first; in one walk over it."""
    run = cursor(connection)
    run.execute(
        """select grouping(e.why, e.stage, s.plan, s.country, e.state, e.skipped),
             coalesce(e.why, e.stage, s.plan, s.country, e.state, e.skipped), count(*)
           from manifest_entry e left join subscription s on s.id = e.subscription_id
           where e.product_id = %s and e.number = %s
           group by grouping sets ((e.why), (e.stage), (s.plan), (s.country), (e.state),
             (e.skipped))
           order by 1, 3 desc, 2""",
        (product_id, number),
    )
    # A bit of `grouping` is off for the one column that a row is grouped by.
    every = 2 ** len(GROUPS) - 1
    places = {every - 2 ** (len(GROUPS) - 1 - at): name for at, name in enumerate(GROUPS)}
    found: dict[str, list[tuple[str, int]]] = {name: [] for name in GROUPS}
    for which, value, many in run.fetchall():
        if value is not None:
            found[places[which]].append((value, many))
    return found


def proved(connection: Connection, product_id: int, number: int) -> Proved | None:
    """Say how the people on a manifest were warned, whoever was warned least; None: it is empty.

    `last_on` is the latest day on which a last warning went out, `earliest_on` and `latest_on` the
    days of erasure that were promised.
    """
    run = cursor(connection)
    run.execute(
        """select min(warned), min(warned_on - warned_from), max(warned_on), min(erase_on),
             max(erase_on)
           from manifest_entry where product_id = %s and number = %s""",
        (product_id, number),
    )
    row = run.fetchone()
    return Proved(*row) if row and row[0] is not None else None


def waiting(connection: Connection) -> list[tuple[str, int]]:
    """Count the manifests that wait for approval: (product, many), of every product."""
    run = cursor(connection)
    run.execute(
        """select p.key, count(m.number) from product p
           left join manifest m on m.product_id = p.id and m.state = 'waiting'
           group by p.key order by p.key"""
    )
    return [(row[0], row[1]) for row in run.fetchall()]


def story(connection: Connection, product_id: int, number: int) -> list[tuple[datetime, str, str]]:
    """Give (when, what, by whom) of what was done to a manifest, in order."""
    run = cursor(connection)
    run.execute(
        """select at, what, actor from history
           where product_id = %s and subscription_id is null and what like 'manifest\\_%%'
             and why = %s order by id""",
        (product_id, named(number)),
    )
    return [(row[0], row[1], row[2]) for row in run.fetchall()]


def named(number: int) -> str:
    """Give how history names a manifest."""
    return f"manifest_{number}"
