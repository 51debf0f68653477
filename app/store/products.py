"""Products, their policies, feeds, brakes and keys: the few rows that people set up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, Row, func, insert, or_, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from app import policy as policies
from app.errors import Conflict, NotFound
from app.lifecycle.case import Hearing
from app.policy import Policy
from app.store import tables
from app.store.database import cursor


@dataclass(frozen=True, slots=True)
class Listener:
    """An endpoint that is told what happens: the types it wants, `x.*` for all of a kind.

    Empty means every type but the commands for billing.
    """

    id: int
    types: frozenset[str]

    def wants(self, kind: str) -> bool:
        """Say whether it wants messages of a type."""
        family = f"{kind.partition('.')[0]}.*"
        if not self.types:
            return family != BILLING
        return kind in self.types or family in self.types

    @property
    def hears_news(self) -> bool:
        """Whether it wants anything but commands for billing."""
        return self.types != {BILLING}


BILLING = "billing.*"
"""What the endpoint wants that carries out the commands of the `standard` billing system."""


@dataclass(frozen=True, slots=True)
class Product:
    """What people subscribe to, with everything the rules need to know of it right now."""

    id: int
    key: str
    name: str
    billing: str
    from_address: str
    reply_to: str
    support_url: str
    app_url: str
    locale: str
    timezone: str
    approvals: int
    policy_version: int | None
    hearing: Hearing
    policies: Mapping[int, Policy]
    listeners: tuple[Listener, ...] = ()
    billing_settings: Mapping[str, str] = field(default_factory=dict)
    mail_settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def policy(self) -> Policy | None:
        """The policy in force; None where none was activated, and so nobody is asked."""
        return None if self.policy_version is None else self.policies[self.policy_version]


@dataclass(frozen=True, slots=True)
class Feed:
    """A named source of usage and the days it covers, both ends included."""

    id: int
    name: str
    covers_from: date | None
    covers_until: date | None
    retired_at: datetime | None


@dataclass(frozen=True, slots=True)
class Brake:
    """Why the clock of a product, or of all (`product` None), stands still."""

    product: str | None
    cause: str
    why: str
    actor: str
    set_at: datetime


# --- products ------------------------------------------------------------------------------


def add(connection: Connection, key: str, name: str, billing: str, now: datetime) -> int:
    """Add a product; Conflict where the key is taken."""
    statement = upsert(tables.product).values(key=key, name=name, billing=billing, created_at=now)
    row = connection.execute(
        statement.on_conflict_do_nothing().returning(tables.product.c.id)
    ).first()
    if row is None:
        raise Conflict(f"there is a product {key!r} already", "choose another key")
    return int(row[0])


def change(connection: Connection, product_id: int, values: Mapping[str, Any]) -> None:
    """Change settings of a product."""
    statement = update(tables.product).where(tables.product.c.id == product_id)
    connection.execute(statement.values(**values))


def keys(connection: Connection) -> list[str]:
    """Give the keys of all products, in order."""
    return list(connection.scalars(select(tables.product.c.key).order_by(tables.product.c.id)))


@dataclass(frozen=True, slots=True)
class Named:
    """A product as it stands in a list."""

    key: str
    name: str
    policy_version: int | None


def named(connection: Connection) -> list[Named]:
    """Give all products as they stand in a list, in order."""
    columns = tables.product.c
    statement = select(columns.key, columns.name, columns.policy_version).order_by(columns.id)
    return [Named(*row) for row in connection.execute(statement)]


def row_of(connection: Connection, key: str) -> Row[Any]:
    """Give the row of a product; NotFound names the ones there are."""
    row = connection.execute(select(tables.product).where(tables.product.c.key == key)).first()
    if row is None:
        there = ", ".join(keys(connection)) or "none yet"
        raise NotFound(
            f"there is no product {key!r}",
            f"products are: {there}; `reconfirm product add` adds one",
        )
    return row


SETTINGS = ("from_address", "reply_to", "support_url", "app_url", "locale", "timezone")
_LOAD = """
    select p.id, p.key, p.name, p.billing, p.from_address, p.reply_to, p.support_url, p.app_url,
           p.locale, p.timezone, p.approvals, p.policy_version,
           f.covers_from, f.heard_until, b.lifted_at, v.digests, e.listeners, p.billing_settings,
           p.mail_settings
    from product p
    cross join lateral (
        select max(covers_from) as covers_from,
               case when bool_and(covers_until is not null)
                    then min(covers_until) end as heard_until
        from feed where product_id = p.id and retired_at is null) f
    cross join lateral (
        select max(lifted_at) as lifted_at
        from brake where product_id = p.id or product_id is null) b
    cross join lateral (
        select jsonb_object_agg(version, md5(body::text)) as digests
        from policy where product_id = p.id and activated_at is not null) v
    cross join lateral (
        select jsonb_agg(jsonb_build_array(id, types) order by id) as listeners
        from endpoint where product_id = p.id and retired_at is null) e
    where p.key = %s"""


def load(connection: Connection, key: str) -> Product:
    """Give a product with its policies, what its feeds cover and who listens, in one query.

    A product is heard up to the smallest `covers_until` of its live feeds, and counts from the
    largest `covers_from`; one feed that never spoke means that it has not been heard.
    """
    run = cursor(connection)
    run.execute(_LOAD, (key,))
    row = run.fetchone()
    if row is None:
        return _missing(connection, key)
    hearing = Hearing(*row[12:15])
    found = _policies(connection, row[0], row[15] or {})
    names = ("id", "key", "name", "billing", *SETTINGS, "approvals", "policy_version")
    return Product(
        **dict(zip(names, row[:12], strict=True)),
        hearing=hearing,
        policies=found,
        listeners=tuple(Listener(number, frozenset(types)) for number, types in row[16] or ()),
        billing_settings=row[17],
        mail_settings=row[18],
    )


def _missing(connection: Connection, key: str) -> Product:
    row_of(connection, key)
    raise AssertionError(key)


def _policies(
    connection: Connection, product_id: int, digests: Mapping[str, str]
) -> Mapping[int, Policy]:
    """Give every version that was ever in force: open rounds may be held to any of them."""
    wanted = {int(version): digest for version, digest in digests.items()}
    if any(each not in _PARSED for each in wanted.items()):
        read = activated(connection, product_id)
        _PARSED.update({each: read[each[0]] for each in wanted.items()})
    return {version: _PARSED[version, digest] for version, digest in wanted.items()}


def policy_at(connection: Connection, product_id: int, version: int, digest: str) -> Policy:
    """Give one version that was ever in force, whose text has this digest."""
    return _policies(connection, product_id, {str(version): digest})[version]


# --- policies ------------------------------------------------------------------------------


_PARSED: dict[tuple[int, str], Policy] = {}
"""Policies by version and digest of their text: a version never changes, so it is read once."""


def activated(connection: Connection, product_id: int) -> dict[int, Policy]:
    """Read every version that was ever in force."""
    table = tables.policy
    statement = select(table.c.version, table.c.body).where(
        table.c.product_id == product_id, table.c.activated_at.is_not(None)
    )
    rows = connection.execute(statement)
    return {version: policies.read(body, version=version, kept=True) for version, body in rows}


# --- feeds ---------------------------------------------------------------------------------


def feeds(connection: Connection, product_id: int) -> list[Feed]:
    """Give a product's feeds, retired ones too."""
    table = tables.feed
    statement = select(
        table.c.id, table.c.name, table.c.covers_from, table.c.covers_until, table.c.retired_at
    ).where(table.c.product_id == product_id)
    return [Feed(*row) for row in connection.execute(statement.order_by(table.c.id))]


def feed_named(connection: Connection, product_id: int, name: str, now: datetime) -> Feed:
    """Give a feed by its name, made where there is none; Conflict where it was retired."""
    table = tables.feed
    connection.execute(
        upsert(table)
        .values(product_id=product_id, name=name, created_at=now)
        .on_conflict_do_nothing()
    )
    found = next(each for each in feeds(connection, product_id) if each.name == name)
    if found.retired_at is not None:
        raise Conflict(f"the feed {name!r} was retired", "use another name with --feed")
    return found


def cover(
    connection: Connection, feed_id: int, covers_from: date | None, covers_until: date | None
) -> None:
    """Widen what a feed covers; it never shrinks."""
    table = tables.feed
    connection.execute(
        update(table)
        .where(table.c.id == feed_id)
        .values(
            covers_from=func.least(table.c.covers_from, covers_from),
            covers_until=func.greatest(table.c.covers_until, covers_until),
        )
    )


def retire_feed(connection: Connection, feed_id: int, now: datetime) -> None:
    """Stop counting a feed; what it told stays."""
    connection.execute(
        update(tables.feed).where(tables.feed.c.id == feed_id).values(retired_at=now)
    )


# --- brakes --------------------------------------------------------------------------------


def set_brake(  # noqa: PLR0913, PLR0917 - a row
    connection: Connection, product_id: int | None, cause: str, why: str, actor: str, now: datetime
) -> bool:
    """Set a brake; False where it is on already for this cause."""
    statement = upsert(tables.brake).values(
        product_id=product_id, cause=cause, why=why, actor=actor, set_at=now
    )
    done = connection.execute(statement.on_conflict_do_nothing().returning(tables.brake.c.id))
    return done.first() is not None


def lift_brake(
    connection: Connection, product_id: int | None, cause: str | None, actor: str, now: datetime
) -> int:
    """Lift the brakes of a product (of all, for None), of one cause or of every; how many."""
    table = tables.brake
    same = table.c.product_id.is_(None) if product_id is None else table.c.product_id == product_id
    statement = update(table).where(table.c.lifted_at.is_(None), same)
    if cause is not None:
        statement = statement.where(table.c.cause == cause)
    return connection.execute(statement.values(lifted_at=now, lifted_by=actor)).rowcount


def brakes(connection: Connection, product_id: int | None = None) -> list[Brake]:
    """Give the brakes that are on: all of them, or those that stop one product."""
    table = tables.brake
    statement = (
        select(tables.product.c.key, table.c.cause, table.c.why, table.c.actor, table.c.set_at)
        .select_from(table.outerjoin(tables.product))
        .where(table.c.lifted_at.is_(None))
        .order_by(table.c.id)
    )
    if product_id is not None:
        statement = statement.where(
            or_(table.c.product_id.is_(None), table.c.product_id == product_id)
        )
    return [Brake(*row) for row in connection.execute(statement)]


# --- keys ----------------------------------------------------------------------------------


def add_key(  # noqa: PLR0913, PLR0917 - a row
    connection: Connection,
    product_id: int,
    digest: bytes,
    hint: str,
    scope: str,
    feed_id: int | None,
    now: datetime,
) -> int:
    """Keep the hash of a key and give its number."""
    row = connection.execute(
        insert(tables.apikey)
        .values(
            product_id=product_id,
            hash=digest,
            hint=hint,
            scope=scope,
            feed_id=feed_id,
            created_at=now,
        )
        .returning(tables.apikey.c.id)
    ).one()
    return int(row[0])


def apikeys(connection: Connection, product_id: int) -> Sequence[Any]:
    """Give the keys of a product, without their hashes."""
    table = tables.apikey
    statement = select(
        table.c.id,
        table.c.hint,
        table.c.scope,
        tables.feed.c.name.label("feed"),
        table.c.created_at,
        table.c.revoked_at,
    ).select_from(table.outerjoin(tables.feed, table.c.feed_id == tables.feed.c.id))
    return connection.execute(
        statement.where(table.c.product_id == product_id).order_by(table.c.id)
    ).all()


def revoke_key(connection: Connection, product_id: int, number: int, now: datetime) -> bool:
    """Revoke a key; False where the product has no such live key."""
    table = tables.apikey
    done = connection.execute(
        update(table)
        .where(table.c.product_id == product_id, table.c.id == number, table.c.revoked_at.is_(None))
        .values(revoked_at=now)
    )
    return bool(done.rowcount)
