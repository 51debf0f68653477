"""Erasure targets of products, as people set them up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, insert, select, update

from app.store import tables
from app.store.database import cursor


@dataclass(frozen=True, slots=True)
class Target:
    """A system that holds data of a product's subscribers; `secrets` newest first.

    `tried` is what a dry run found, since the settings were last changed.
    """

    id: int
    key: str
    kind: str
    categories: tuple[str, ...]
    settings: Mapping[str, Any]
    secrets: tuple[str, ...] = field(repr=False)
    created_by: str
    created_at: datetime
    tried_at: datetime | None
    tried: Mapping[str, int] | None
    retired_at: datetime | None


_TABLE = tables.target
_COLUMNS = tuple(_TABLE.c[name] for name in Target.__dataclass_fields__)


def _read(row: Sequence[Any]) -> Target:
    named = dict(zip(Target.__dataclass_fields__, row, strict=True))
    lists = {name: tuple(named[name]) for name in ("categories", "secrets")}
    return Target(**(named | lists))


def listed(connection: Connection, product_id: int) -> list[Target]:
    """Give the targets of a product, retired ones too, in the order in which they were added."""
    statement = select(*_COLUMNS).where(_TABLE.c.product_id == product_id).order_by(_TABLE.c.id)
    return [_read(row) for row in connection.execute(statement)]


def live(connection: Connection, product_id: int) -> list[Target]:
    """Give the targets of a product that are told to erase."""
    return [each for each in listed(connection, product_id) if each.retired_at is None]


def named(connection: Connection, product_id: int, key: str) -> Target | None:
    """Give a live target of a product by its key, held until this transaction ends; or None."""
    found = connection.execute(
        select(*_COLUMNS)
        .where(_TABLE.c.product_id == product_id, _TABLE.c.key == key)
        .where(_TABLE.c.retired_at.is_(None))
        .with_for_update()
    ).first()
    return None if found is None else _read(found)


def of_ids(connection: Connection, ids: Sequence[int]) -> dict[int, Target]:
    """Give targets by their ids, retired ones too."""
    rows = connection.execute(select(*_COLUMNS).where(_TABLE.c.id.in_(sorted(set(ids)))))
    return {row[0]: _read(row) for row in rows}


def add(connection: Connection, product_id: int, values: Mapping[str, Any]) -> int:
    """Add a target and give its id; `values` are its columns."""
    statement = insert(_TABLE).values(product_id=product_id, **values).returning(_TABLE.c.id)
    return int(connection.execute(statement).one()[0])


def set_up(
    connection: Connection,
    target_id: int,
    categories: Sequence[str],
    settings: Mapping[str, Any],
) -> None:
    """Set what a target holds and how it is reached: it has not been tried like that."""
    connection.execute(
        update(_TABLE)
        .where(_TABLE.c.id == target_id)
        .values(categories=list(categories), settings=settings, tried_at=None, tried=None)
    )


def set_secrets(connection: Connection, target_id: int, secrets: Sequence[str]) -> None:
    """Set what requests to a target are signed with, newest first."""
    connection.execute(update(_TABLE).where(_TABLE.c.id == target_id).values(secrets=list(secrets)))


def note_trial(
    connection: Connection, target: Target, found: Mapping[str, int], now: datetime
) -> bool:
    """Write what a dry run found; False where the target was set otherwise meanwhile."""
    done = connection.execute(
        update(_TABLE)
        .where(_TABLE.c.id == target.id, _TABLE.c.retired_at.is_(None))
        .where(_TABLE.c.settings == dict(target.settings))
        .where(_TABLE.c.categories == list(target.categories))
        .values(tried_at=now, tried=dict(found))
    )
    return bool(done.rowcount)


def retire(connection: Connection, target_id: int, now: datetime) -> None:
    """Tell a target nothing more, and forget its secrets."""
    connection.execute(
        update(_TABLE).where(_TABLE.c.id == target_id).values(retired_at=now, secrets=[])
    )


def probed(
    connection: Connection, product_id: int, external_id: str | None
) -> tuple[str, str | None] | None:
    """Give (id, customer) of a subscription at billing to try a target on: a named one, or any.

    None where there is none, or it was erased.
    """
    run = cursor(connection)
    run.execute(
        """select s.external_id, s.customer from subscription s
           join contact c on c.subscription_id = s.id
           where s.product_id = %s and (%s::text is null or s.external_id = %s)
           order by s.id limit 1""",
        (product_id, external_id, external_id),
    )
    row = run.fetchone()
    return None if row is None else (row[0], row[1])
