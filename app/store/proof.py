"""What is certified of an erasure, gathered from what was noted of it; nothing is a person's."""

from datetime import date, datetime
from typing import Any, NamedTuple

from sqlalchemy import Connection

from app.certificates import Kept, Proof, Told
from app.errors import NotFound
from app.store.database import cursor

OWN = (
    "contact",
    "billing_id",
    "billing_facts",
    "usage",
    "notices",
    "messages",
    "links",
    "waiting",
)
"""What is erased here of everybody, as codes: every page and document says them in its words."""
_ERASURE = """
    select e.id, p.key, p.name, e.cause, e.begun_at, e.ended_at, e.ledger_no,
      e.manifest, encode(m.hash, 'hex'), n.since, n.erase_on, n.warned_from, n.warned_on, n.warned,
      e.product_id
    from erasure e
    join product p on p.id = e.product_id
    left join manifest m on m.product_id = e.product_id and m.number = e.manifest
    left join manifest_entry n on n.product_id = e.product_id and n.number = e.manifest
      and n.subscription_id = e.subscription_id
    where e.id = %s"""


def proof_of(connection: Connection, erasure_id: str) -> Proof:
    """Give what is to be certified of an erasure that is over; NotFound where there is no such.

    It reads what the same transaction has written, the place in the ledger too.
    """
    run = cursor(connection)
    run.execute(_ERASURE, (erasure_id,))
    row = run.fetchone()
    if row is None or row[5] is None:
        raise NotFound(
            "there is no erasure of that id that is over",
            "look whether it is still under way, or was asked for another product",
        )
    return Proof(
        erasure=row[0],
        product=row[1],
        product_name=row[2],
        cause=row[3],
        begun_at=row[4],
        ended_at=row[5],
        own=OWN,
        kept=_archived(connection, erasure_id),
        targets=_told(connection, erasure_id),
        manifest=row[7],
        manifest_hash=row[8],
        approved_by=_approvers(connection, row[14], row[7]),
        since=row[9],
        erase_on=row[10],
        warned_on=tuple(sorted({day for day in (row[11], row[12]) if day is not None})),
        warnings=row[13] or 0,
        ledger_no=row[6],
    )


def _approvers(connection: Connection, product_id: int, manifest: int | None) -> tuple[str, ...]:
    """Give who agreed to the very hash of a manifest, as codes."""
    run = cursor(connection)
    run.execute(
        """select a.actor from manifest_approval a
           join manifest m on m.product_id = a.product_id and m.number = a.number
             and m.hash = a.hash
           where a.product_id = %s and a.number = %s order by a.approved_at, a.actor""",
        (product_id, manifest),
    )
    return tuple(row[0] for row in run.fetchall())


def _archived(connection: Connection, erasure_id: str) -> tuple[Kept, ...]:
    run = cursor(connection)
    run.execute(
        "select category, keep_until from archive where erasure_id = %s order by category",
        (erasure_id,),
    )
    return tuple(Kept(category, "keep_categories", until) for category, until in run.fetchall())


def _told(connection: Connection, erasure_id: str) -> tuple[Told, ...]:
    """Give what each target answered: `{"erased": [...], "kept": [{category, why, until}]}`."""
    run = cursor(connection)
    run.execute(
        """select t.key, r.body, r.given_at from receipt r join target t on t.id = r.target_id
           where r.erasure_id = %s and r.state = 'given' order by t.key""",
        (erasure_id,),
    )
    return tuple(
        Told(key, tuple(body.get("erased", ())), _kept(body.get("kept", ())), given_at)
        for key, body, given_at in run.fetchall()
    )


def _kept(found: Any) -> tuple[Kept, ...]:
    return tuple(
        Kept(
            each["category"],
            each.get("why", ""),
            date.fromisoformat(each["until"]) if each.get("until") else None,
        )
        for each in found
    )


class Shown(NamedTuple):
    """What a page says of an erasure: whose, since when, and its certificate where it has one."""

    product_id: int
    product: str
    name: str
    locale: str
    begun_at: datetime
    ended_at: datetime | None
    certificate: dict[str, Any] | None


def shown(connection: Connection, erasure_id: str) -> Shown | None:
    """Give what a page needs of an erasure; None where there is none of that id."""
    run = cursor(connection)
    run.execute(
        """select p.id, p.key, p.name, p.locale, e.begun_at, e.ended_at, e.certificate
           from erasure e join product p on p.id = e.product_id where e.id = %s""",
        (erasure_id,),
    )
    row = run.fetchone()
    return None if row is None else Shown(*row)


def certificate(connection: Connection, product_id: int, erasure_id: str) -> dict[str, Any] | None:
    """Give the certificate of a product's erasure; None while there is none."""
    run = cursor(connection)
    run.execute(
        "select certificate from erasure where product_id = %s and id = %s",
        (product_id, erasure_id),
    )
    row = run.fetchone()
    return row[0] if row else None
