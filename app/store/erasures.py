"""Erasures: whom a day's manifest is made of, who is begun, and how far each has come.

Moments are on the life clock. Only the role `reconfirm_eraser` may begin one or end it, whatever
code runs: the database itself refuses everybody else.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from msgspec.structs import astuple
from sqlalchemy import Connection

from app.store.database import cursor
from app.store.manifests import Entry

Place = tuple[date, int]
"""Where a walk through those who are due stands: the day of erasure, and the subscription."""
START: Place = (date.min, 0)


def take_role(connection: Connection) -> None:
    """Act as the eraser until the transaction ends; refused by the database where one may not."""
    cursor(connection).execute("set local role reconfirm_eraser")


# --- a manifest in the making ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Making:
    """A manifest that is being made: how far it has come, how many are on it, and may be."""

    number: int
    day: date
    place: Place
    people: int
    at_most: int


def made_on(connection: Connection, product_id: int, day: date) -> bool:
    """Say whether the manifest of a day is complete."""
    run = cursor(connection)
    run.execute(
        "select state <> 'making' from manifest where product_id = %s and day = %s",
        (product_id, day),
    )
    row = run.fetchone()
    return bool(row and row[0])


def making(connection: Connection, product_id: int) -> Making | None:
    """Lock and give the manifest of a product that is being made; None where none is."""
    run = cursor(connection)
    run.execute(
        """select number, day, cursor_on, cursor, listed, at_most from manifest
           where product_id = %s and state = 'making' for update""",
        (product_id,),
    )
    row = run.fetchone()
    if row is None:
        return None
    return Making(row[0], row[1], (row[2] or date.min, row[3]), row[4], row[5])


def any_due(connection: Connection, product_id: int, until: date) -> bool:
    """Say whether anybody's day of erasure has come, whatever may forbid it."""
    return bool(due(connection, product_id, until, START, 1))


def due(
    connection: Connection, product_id: int, until: date, after: Place, limit: int
) -> list[Place]:
    """Give whose day of erasure has come, behind a place, the earliest first."""
    run = cursor(connection)
    run.execute(
        """select r.erase_on, r.subscription_id from reconfirmation r
           where r.product_id = %s and r.outcome is null and r.erase_on is not null
             and r.erase_on <= %s and (r.erase_on, r.subscription_id) > (%s, %s)
             and r.stage in ('suspended', 'canceled')
           order by r.erase_on, r.subscription_id limit %s""",
        (product_id, until, *after, limit),
    )
    return [(row[0], row[1]) for row in run.fetchall()]


def listed_already(connection: Connection, product_id: int, ids: Sequence[int]) -> set[int]:
    """Give those who wait on a manifest that is open."""
    run = cursor(connection)
    run.execute(
        """select e.subscription_id from manifest_entry e
           join manifest m on m.product_id = e.product_id and m.number = e.number
           where e.subscription_id = any(%s) and e.product_id = %s and e.state = 'waiting'
             and m.state in ('making', 'waiting', 'approved')""",
        (list(ids), product_id),
    )
    return {row[0] for row in run.fetchall()}


def listed_on(
    connection: Connection, product_id: int, subscription_id: int
) -> tuple[int, bool] | None:
    """Give the open manifest that somebody waits on, and whether it is approved; None for none."""
    run = cursor(connection)
    run.execute(
        """select m.number, m.state = 'approved' from manifest_entry e
           join manifest m on m.product_id = e.product_id and m.number = e.number
           where e.subscription_id = %s and e.product_id = %s and e.state = 'waiting'
             and m.state in ('making', 'waiting', 'approved')
           order by m.number desc limit 1""",
        (subscription_id, product_id),
    )
    row = run.fetchone()
    return (row[0], row[1]) if row else None


def people(connection: Connection, product_id: int, most: int) -> int:
    """Count a product's subscriptions, paid or stopped, up to so many."""
    run = cursor(connection)
    run.execute(
        """select count(*) from (
             select 1 from subscription where product_id = %s limit %s) found""",
        (product_id, most),
    )
    row = run.fetchone()
    return int(row[0]) if row else 0


def begin_manifest(  # noqa: PLR0913, PLR0917 - a row
    connection: Connection, product_id: int, day: date, at_most: int, actor: str, now: datetime
) -> None:
    """Begin the manifest of a day, for so many people at most; there is one a day."""
    cursor(connection).execute(
        """insert into manifest (product_id, number, day, at_most, made_by, made_at, state)
           select %s, coalesce(max(number), 0) + 1, %s, %s, %s, %s, 'making'
           from manifest where product_id = %s""",
        (product_id, day, at_most, actor, now, product_id),
    )


def add_entries(
    connection: Connection, product_id: int, number: int, entries: Sequence[Entry], place: Place
) -> None:
    """Put people on a manifest that is being made, and note how far it has come."""
    if entries:
        with cursor(connection).copy(
            """copy manifest_entry (product_id, number, subscription_id, round, stage, why, since,
                 erase_on, warned_from, warned_on, warned) from stdin"""
        ) as copy:
            for each in entries:
                copy.write_row((product_id, number, *astuple(each)))
    cursor(connection).execute(
        """update manifest set cursor_on = %s, cursor = %s, listed = listed + %s
           where product_id = %s and number = %s""",
        (*place, len(entries), product_id, number),
    )


def complete_manifest(
    connection: Connection, product_id: int, number: int, found: tuple[int, bytes], now: datetime
) -> None:
    """Close a manifest under its hash, `found` with how many are on it; an empty one is done."""
    people, digest = found
    cursor(connection).execute(
        """update manifest set people = %s, hash = %s, ended_at = %s,
             state = case when %s = 0 then 'done' else 'waiting' end
           where product_id = %s and number = %s and state = 'making'""",
        (people, digest, None if people else now, people, product_id, number),
    )


# --- beginning ---------------------------------------------------------------------------------


def approved(connection: Connection, product_id: int) -> list[int]:
    """Give the numbers of the manifests that people approved, the oldest first."""
    run = cursor(connection)
    run.execute(
        """select number from manifest where product_id = %s and state = 'approved'
           order by number""",
        (product_id,),
    )
    return [row[0] for row in run.fetchall()]


def still_approved(connection: Connection, product_id: int, number: int) -> bool:
    """Lock a manifest against whoever would refuse it; False where it is approved no more."""
    run = cursor(connection)
    run.execute(
        """select 1 from manifest where product_id = %s and number = %s and state = 'approved'
           for share""",
        (product_id, number),
    )
    return run.fetchone() is not None


def disagreed(connection: Connection, product_id: int, number: int) -> None:
    """Let a manifest wait again: the approvals do not suffice any more."""
    cursor(connection).execute(
        """update manifest set state = 'waiting', approved_at = null
           where product_id = %s and number = %s and state = 'approved'""",
        (product_id, number),
    )


def waiting(connection: Connection, product_id: int, number: int, limit: int) -> list[Entry]:
    """Take people of a manifest who wait, leaving out those whom somebody else has in hand."""
    run = cursor(connection)
    run.execute(
        """select subscription_id, round, stage, why, since, erase_on, warned_from, warned_on,
             warned
           from manifest_entry where product_id = %s and number = %s and state = 'waiting'
           order by subscription_id limit %s for update skip locked""",
        (product_id, number, limit),
    )
    return [Entry(*row) for row in run.fetchall()]


def settle_entries(
    connection: Connection, product_id: int, number: int, skipped: Mapping[int, str | None]
) -> None:
    """Note of whom an erasure was begun (None), and why others were passed over."""
    cursor(connection).execute(
        """update manifest_entry e set skipped = v.why,
             state = case when v.why is null then 'begun' else 'skipped' end
           from unnest(%s::bigint[], %s::text[]) as v(id, why)
           where e.subscription_id = v.id and e.product_id = %s and e.number = %s""",
        (list(skipped), list(skipped.values()), product_id, number),
    )


def nobody_waits(connection: Connection, product_id: int, number: int) -> bool:
    """Say whether everybody on a manifest was begun or passed over."""
    run = cursor(connection)
    run.execute(
        """select not exists (select 1 from manifest_entry
             where product_id = %s and number = %s and state = 'waiting')""",
        (product_id, number),
    )
    row = run.fetchone()
    return bool(row and row[0])


def wishes(
    connection: Connection, product_id: int, since: datetime, after: Place, limit: int
) -> list[tuple[datetime, int]]:
    """Give who asked to be erased themselves up to a moment, and is stopped, in order."""
    run = cursor(connection)
    run.execute(
        """select r.erase_at, r.subscription_id from reconfirmation r
           where r.product_id = %s and r.latest and r.erase_at is not null and r.erase_at <= %s
             and r.outcome is null and r.act is null and r.stage in ('suspended', 'canceled')
             and not exists (select 1 from hold h where h.subscription_id = r.subscription_id
               and h.released_at is null)
             and r.review_at is null and r.subscription_id > %s
           order by r.subscription_id limit %s""",
        (product_id, since, after[1], limit),
    )
    return [(row[0], row[1]) for row in run.fetchall()]


@dataclass(frozen=True, slots=True)
class Begun:
    """An erasure as it begins: `manifest` is None where the person asked for it themselves."""

    id: str
    subscription_id: int
    round: int
    cause: str
    manifest: int | None


def begin(
    connection: Connection, product_id: int, begun: Sequence[Begun], actor: str, now: datetime
) -> None:
    """Write down erasures that have begun."""
    run = cursor(connection)
    run.executemany(
        """insert into erasure (id, product_id, subscription_id, round, cause, manifest, begun_at,
             begun_by) values (%s, %s, %s, %s, %s, %s, %s, %s)""",
        [
            (
                each.id,
                product_id,
                each.subscription_id,
                each.round,
                each.cause,
                each.manifest,
                now,
                actor,
            )
            for each in begun
        ],
    )


# --- going on ------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Open:
    """An erasure that is not over: `ready` says that no effect of its round is being carried out.

    `answered`: no target owes a receipt any more. `over`: its round has ended, and so has it.
    """

    id: str
    subscription_id: int
    round: int
    cause: str
    answered: bool
    ready: bool
    over: bool

    @property
    def waits_for_brakes(self) -> bool:
        """Whether a brake on the product stops it: nobody but the schedule wants it."""
        return self.cause != "request" and not self.over


def to_go_on(  # noqa: PLR0913 - whose, when and how many
    connection: Connection,
    product_id: int,
    now: datetime,
    limit: int,
    *,
    braked: bool,
    but: Sequence[str] = (),
) -> list[Open]:
    """Give erasures that can be taken a step further now, but for some, by their ids.

    While a product is `braked` only what people asked for themselves, and what is to be stopped.
    """
    run = cursor(connection)
    run.execute(
        """select e.id, e.subscription_id, e.round, e.cause, x.answered, x.ready,
             r.outcome is not null
           from erasure e
           join reconfirmation r on r.subscription_id = e.subscription_id and r.number = e.round
           cross join lateral (select
             not exists (select 1 from receipt c
               where c.erasure_id = e.id and c.state <> 'given') as answered,
             not exists (select 1 from outbox o where o.subscription_id = e.subscription_id
               and o.state = 'claimed') as ready) x
           where e.product_id = %s and e.ended_at is null and (
             r.outcome is not null
             or (r.erasing = 'telling' and x.answered)
             or (r.erasing = 'parting' and r.wake_at <= %s)
             or (r.erasing = 'wiping' and x.ready))
             and (r.outcome is not null or e.cause = 'request' or not %s) and e.id <> all(%s)
           order by e.begun_at, e.id limit %s""",
        (product_id, now, braked, list(but), limit),
    )
    return [Open(*row) for row in run.fetchall()]


def open_of(connection: Connection, subscription_id: int) -> str | None:
    """Give the erasure of somebody that is under way; None where none is."""
    run = cursor(connection)
    run.execute(
        "select id from erasure where subscription_id = %s and ended_at is null",
        (subscription_id,),
    )
    row = run.fetchone()
    return str(row[0]) if row else None


def nothing_in_hand(connection: Connection, subscription_id: int) -> bool:
    """Say whether no effect about somebody is being carried out."""
    run = cursor(connection)
    run.execute(
        """select not exists (select 1 from outbox
             where subscription_id = %s and state = 'claimed')""",
        (subscription_id,),
    )
    row = run.fetchone()
    return bool(row and row[0])


def answered(connection: Connection, ids: Sequence[str], now: datetime) -> None:
    """Note that every target of these has answered."""
    cursor(connection).execute(
        "update erasure set answered_at = %s where id = any(%s)", (now, list(ids))
    )


def stop(connection: Connection, ids: Sequence[str], why: str, now: datetime) -> None:
    """End erasures that were stopped before anybody was told; nobody owes anything for them."""
    run = cursor(connection)
    run.execute("delete from receipt where erasure_id = any(%s)", (list(ids),))
    run.execute(
        "update erasure set ended_at = %s, stopped = %s where id = any(%s)", (now, why, list(ids))
    )


def end(connection: Connection, erasure_id: str, ledger_no: int, now: datetime) -> None:
    """End an erasure that is done."""
    cursor(connection).execute(
        "update erasure set ended_at = %s, ledger_no = %s where id = %s",
        (now, ledger_no, erasure_id),
    )


def certify(connection: Connection, erasure_id: str, certificate: Mapping[str, Any]) -> None:
    """Keep the certificate of an erasure."""
    cursor(connection).execute(
        "update erasure set certificate = %s::jsonb where id = %s",
        (json.dumps(certificate), erasure_id),
    )


def settle_request(connection: Connection, subscription_id: int, actor: str, now: datetime) -> None:
    """Note that what a person asked for is done."""
    cursor(connection).execute(
        """update review set state = 'done', outcome = 'erased', done_at = %s, done_by = %s
           where subscription_id = %s and state = 'open' and reason = 'erase'""",
        (now, actor, subscription_id),
    )
