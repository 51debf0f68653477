"""Versions of a policy: proposed, approved, talked about by code, put in force, put back.

A version's text never changes. What is said and done about it are lines of history that name it.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from app.errors import NotFound
from app.store import tables
from app.store.database import cursor

POLICY_LINES = (
    "policy_proposed",
    "policy_commented",
    "dry_run_read",
    "policy_approved",
    "policy_scheduled",
    "policy_unscheduled",
    "policy_put_off",
    "policy_activated",
    "policy_withdrawn",
    "list_approved",
    "list_dropped",
)
"""The lines of history that tell the story of a version."""
LARGEST = 2**31 - 1
"""No version has a larger number; the column would not even take the question."""


@dataclass(frozen=True, slots=True)
class Approval:
    """Somebody agrees with a version; of several times the last counts."""

    actor: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Version:
    """One version: its text as JSON, where it comes from, and what was done with it.

    `based_on` was in force when it was proposed; `forecast` is what it was expected to do then;
    `activate_at` is when it is to be put in force, and `put_off` the code of why it was not.
    `activated_at` is when it was last put in force.
    """

    version: int
    body: Mapping[str, Any]
    proposed_by: str
    proposed_at: datetime
    based_on: int | None
    forecast: Mapping[str, Any] | None
    activated_by: str | None
    activated_at: datetime | None
    activate_at: datetime | None
    activate_by: str | None
    put_off: str | None
    withdrawn_by: str | None
    withdrawn_at: datetime | None
    approvals: tuple[Approval, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a version's story."""

    at: datetime
    what: str
    why: str
    actor: str


_COLUMNS = [tables.policy.c[name] for name in Version.__dataclass_fields__ if name != "approvals"]


# --- reading -------------------------------------------------------------------------------


def newest(connection: Connection, product_id: int) -> int:
    """Give the number of the newest version; 0 before the first."""
    table = tables.policy
    found = connection.scalar(
        select(func.coalesce(func.max(table.c.version), 0)).where(table.c.product_id == product_id)
    )
    return int(found or 0)


def version(connection: Connection, product_id: int, number: int) -> Version:
    """Give one version; NotFound where there is none."""
    table = tables.policy
    statement = select(*_COLUMNS).where(table.c.product_id == product_id, table.c.version == number)
    row = connection.execute(statement).first() if 0 < number <= LARGEST else None
    if row is None:
        raise NotFound(
            f"there is no version {number} of this policy", "`reconfirm policy show` lists them"
        )
    return _with_approvals(connection, product_id, [row])[0]


def versions(
    connection: Connection, product_id: int, before: int | None = None, limit: int | None = None
) -> list[Version]:
    """Give versions, the newest first, from before a number on."""
    table = tables.policy
    statement = select(*_COLUMNS).where(table.c.product_id == product_id)
    if before is not None:
        statement = statement.where(table.c.version < max(0, min(before, LARGEST)))
    rows = connection.execute(statement.order_by(table.c.version.desc()).limit(limit)).all()
    return _with_approvals(connection, product_id, rows)


def _with_approvals(
    connection: Connection, product_id: int, rows: Collection[Row[Any]]
) -> list[Version]:
    table = tables.policy_approval
    statement = select(table.c.version, table.c.actor, table.c.approved_at).where(
        table.c.product_id == product_id, table.c.version.in_([row.version for row in rows])
    )
    found: dict[int, list[Approval]] = {}
    for number, actor, at in connection.execute(statement.order_by(table.c.approved_at)):
        found.setdefault(number, []).append(Approval(actor, at))
    return [
        Version(**row._mapping, approvals=tuple(found.get(row.version, ())))  # noqa: SLF001
        for row in rows
    ]


def made_once(connection: Connection, product_id: int, once: str) -> Version | None:
    """Give the version that a form or call of this name proposed; None where none did."""
    table = tables.policy
    number = connection.scalar(
        select(table.c.version).where(table.c.product_id == product_id, table.c.once == once)
    )
    return None if number is None else version(connection, product_id, number)


def last_put_in_force(connection: Connection, product_id: int) -> datetime | None:
    """Give when any version was last put in force."""
    table = tables.policy
    found: datetime | None = connection.scalar(
        select(func.max(table.c.activated_at)).where(table.c.product_id == product_id)
    )
    return found


def scheduled(connection: Connection, product_id: int) -> Version | None:
    """Give the version that is to be put in force at a time; None where none is."""
    table = tables.policy
    number = connection.scalar(
        select(table.c.version).where(
            table.c.product_id == product_id, table.c.activate_at.is_not(None)
        )
    )
    return None if number is None else version(connection, product_id, number)


def put_off_ones(connection: Connection, product_id: int) -> list[tuple[int, str]]:
    """Give (version, code of why) of those that could not be put in force at their time."""
    table = tables.policy
    rows = connection.execute(
        select(table.c.version, table.c.put_off)
        .where(
            table.c.product_id == product_id,
            table.c.put_off.is_not(None),
            table.c.withdrawn_at.is_(None),
        )
        .order_by(table.c.version)
    )
    return [(number, str(why)) for number, why in rows]


def waiting(connection: Connection, product_id: int) -> list[int]:
    """Give the versions that were never in force and were not withdrawn, oldest first."""
    table = tables.policy
    return list(
        connection.scalars(
            select(table.c.version)
            .where(
                table.c.product_id == product_id,
                table.c.activated_at.is_(None),
                table.c.withdrawn_at.is_(None),
            )
            .order_by(table.c.version)
        )
    )


def told_of(connection: Connection, product_id: int, number: int) -> list[Line]:
    """Give the story of a version, oldest first."""
    run = cursor(connection)
    run.execute(
        """select at, what, why, actor from history
           where subscription_id is null and product_id = %s and version = %s and what = any(%s)
           order by id""",
        (product_id, number, list(POLICY_LINES)),
    )
    return [Line(*row) for row in run.fetchall()]


def activations(connection: Connection, product_id: int) -> list[tuple[int, datetime]]:
    """Give (version, since when) of what was in force, oldest first; one put back stands twice."""
    run = cursor(connection)
    run.execute(
        """select version, at from history
           where subscription_id is null and product_id = %(product)s
             and what = 'policy_activated' and version is not null
           union all
           select p.version, p.activated_at from policy p
           where p.product_id = %(product)s and p.activated_at is not null and not exists (
             select from history h where h.subscription_id is null and h.product_id = p.product_id
               and h.what = 'policy_activated' and h.version = p.version)
           order by 2, 1""",
        {"product": product_id},
    )
    return [(row[0], row[1]) for row in run.fetchall()]


# --- writing -------------------------------------------------------------------------------


def take_turns(connection: Connection, product_id: int) -> None:
    """Let whoever changes versions of this product wait until this transaction ends."""
    cursor(connection).execute(
        "select id from product where id = %s for no key update", (product_id,)
    )


def propose(  # noqa: PLR0913 - a row
    connection: Connection,
    product_id: int,
    body: Mapping[str, Any],
    actor: str,
    now: datetime,
    *,
    based_on: int | None = None,
    once: str | None = None,
    forecast: Mapping[str, Any] | None = None,
) -> int:
    """Write a new version and give its number."""
    number = newest(connection, product_id) + 1
    connection.execute(
        insert(tables.policy).values(
            product_id=product_id,
            version=number,
            body=dict(body),
            proposed_by=actor,
            proposed_at=now,
            based_on=based_on,
            once=once,
            # None is the absence of a forecast, and not JSON's null.
            **({} if forecast is None else {"forecast": dict(forecast)}),
        )
    )
    return number


def approve(
    connection: Connection, product_id: int, number: int, actor: str, now: datetime
) -> None:
    """Note that somebody approves a version; saying so again counts once, from then on."""
    connection.execute(
        upsert(tables.policy_approval)
        .values(product_id=product_id, version=number, actor=actor, approved_at=now)
        .on_conflict_do_update(
            index_elements=["product_id", "version", "actor"], set_={"approved_at": now}
        )
    )


def schedule(
    connection: Connection, product_id: int, number: int, at: datetime | None, actor: str
) -> None:
    """Set when a version is to be put in force; None for no longer."""
    values = {"activate_at": at, "activate_by": None if at is None else actor, "put_off": None}
    _change(connection, product_id, number, values)


def put_off(connection: Connection, product_id: int, number: int, why: str) -> None:
    """Note that a version could not be put in force at its time, and why, as a code."""
    values = {"activate_at": None, "activate_by": None, "put_off": why}
    _change(connection, product_id, number, values)


def withdraw(
    connection: Connection, product_id: int, number: int, actor: str, now: datetime
) -> None:
    """Take a version back that was never in force."""
    values = {
        "withdrawn_by": actor,
        "withdrawn_at": now,
        "activate_at": None,
        "activate_by": None,
    }
    _change(connection, product_id, number, values)


def activate(
    connection: Connection, product_id: int, number: int, actor: str, now: datetime
) -> None:
    """Put a version in force; rounds that are open keep the one they began with."""
    values = {
        "activated_by": actor,
        "activated_at": now,
        "activate_at": None,
        "activate_by": None,
        "put_off": None,
    }
    _change(connection, product_id, number, values)
    table = tables.product
    connection.execute(update(table).where(table.c.id == product_id).values(policy_version=number))


def _change(
    connection: Connection, product_id: int, number: int, values: Mapping[str, Any]
) -> None:
    table = tables.policy
    connection.execute(
        update(table)
        .where(table.c.product_id == product_id, table.c.version == number)
        .values(**values)
    )
