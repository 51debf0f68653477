"""Looks into the database of a test: what waits, what is due, and whether anything changed."""

import hashlib
import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from msgspec.structs import replace
from sqlalchemy import text

from app import signing
from app.lifecycle import wake_at
from app.lifecycle.case import Case, Stage
from app.store import cases, erasures, products, webhooks
from app.store.database import Database
from app.store.products import Product
from app.store.tables import metadata
from app.world.billing import sandbox
from app.world.connector import Acts, Away, Order, Standing
from app.world.outcome import Done, Later, Outcome
from tests.world import ACTOR, Town

SECOND = timedelta(seconds=1)
MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


ERASING = (
    "delete from contact",
    "insert into erasure",
    "insert into tombstone",
    "stage = 'eras",
    "stage = :",
)
"""What only the eraser may do, so that whoever stands in for it acts in its role."""


def rows(database: Database, statement: str, **values: Any) -> list[tuple[Any, ...]]:
    """Give the rows of a statement; what it writes stays."""
    with database.transaction() as connection:
        if any(each in statement for each in ERASING):
            erasures.take_role(connection)
        done = connection.execute(text(statement), values)
        return [tuple(row) for row in done] if done.returns_rows else []


def fingerprint(database: Database) -> str:
    """Give a hash of every row of every table."""
    digest = hashlib.sha256()
    for table in metadata.sorted_tables:
        found = rows(database, f'select t::text from "{table.name}" t order by 1')  # noqa: S608
        digest.update(repr((table.name, found)).encode())
    return digest.hexdigest()


def waiting(town: Town, name: str) -> list[tuple[str, str]]:
    """Give (kind, state) of the effects that wait for somebody, in order."""
    found = rows(
        town.database,
        "select kind, state from outbox where subscription_id = :id order by id",
        id=town.id_of(name),
    )
    return [(row[0], row[1]) for row in found]


def kinds(town: Town, name: str) -> list[str]:
    """Give the kinds of the effects that wait for somebody."""
    return [kind for kind, _ in waiting(town, name)]


def timers(town: Town, name: str) -> list[datetime]:
    """Give somebody's timers."""
    found = rows(
        town.database,
        "select due_at from timer where subscription_id = :id order by 1",
        id=town.id_of(name),
    )
    return [row[0] for row in found]


def leases_run_out(town: Town) -> None:
    """Let the leases of workers that died run out, as time would."""
    town.clock.machine += 2 * MINUTE


def mails(town: Town, name: str) -> list[str]:
    """Give the notices that somebody was sent, by the kind in their Message-ID."""
    found = [mail for mail in town.relay.mails() if name in str(mail["To"])]
    return [str(mail["Message-ID"]).strip("<> ").split(".")[0] for mail in found]


def brake(town: Town) -> None:
    """Put the brake on by hand."""
    with town.database.transaction() as connection:
        number = products.row_of(connection, town.key).id
        products.set_brake(connection, number, "by_hand", "trial", ACTOR, town.clock.now())


def lift(town: Town) -> None:
    """Take the brake off."""
    with town.database.transaction() as connection:
        number = products.row_of(connection, town.key).id
        products.lift_brake(connection, number, "by_hand", ACTOR, town.clock.now())


def goes(town: Town, to: datetime) -> None:
    """Go to a moment, the feed having told everything up to the day before."""
    town.clock.set(to)
    town.hear(to.astimezone(UTC).date() - DAY)


def asked(town: Town, *names: str) -> None:
    """Have the people of a town asked, and the notice handed over."""
    town.sweep()
    town.deliver()
    for name in names:
        current = town.case(name).round
        assert current is not None
        assert current.answer_by is not None, town.story(name)


def window_ends(town: Town, name: str) -> None:
    """Go to an hour after the end of somebody's answer window."""
    current = town.case(name).round
    assert current is not None
    assert current.answer_by is not None
    goes(town, current.answer_by + HOUR)
    town.hear(town.clock.now().date())


def suspended(town: Town, name: str) -> None:
    """Have somebody asked, silent and suspended."""
    asked(town, name)
    window_ends(town, name)
    town.sweep()
    town.deliver()
    assert town.stage(name) == "suspended", town.story(name)


def next_wake(product: Product, case: Case, now: datetime) -> datetime | None:
    """Give when the rules want to look again, had the feeds told everything."""
    current, policy = case.round, product.policy
    if current is not None and current.open:
        policy = product.policies[current.version]
    if policy is None:
        return None
    heard = replace(case, hearing=replace(case.hearing, heard_until=date.max))
    return wake_at(heard, policy, now)


def unheeded(town: Town, names: list[str]) -> list[str]:
    """Give those who have a moment to be looked at, and no timer or round that wakes by then."""
    product, ids = town.product, {town.id_of(name): name for name in names}
    statement = """select subscription_id, true, min(due_at) from timer group by 1
        union all select subscription_id, false, wake_at from reconfirmation
        where latest and wake_at is not null"""
    with town.database.transaction() as connection:
        found = cases.read(connection, product.id, list(ids), product.hearing, lock=False)
        hints = {
            sid: at
            for sid, timer, at in connection.execute(text(statement))
            if sid in found and timer is (found[sid].stage is Stage.ACTIVE)
        }
    dues = {sid: next_wake(product, case, town.clock.now()) for sid, case in found.items()}
    return [
        f"{ids[sid]}: due {at}, hint {hints.get(sid)}"
        for sid, at in dues.items()
        if at is not None and (sid not in hints or hints[sid] > at)
    ]


class OddBilling:
    """The sandbox behind a line that can be cut before an act, after it, or while reading."""

    def __init__(self, town: Town) -> None:
        self.real: Acts = sandbox.Sandbox(town.database.engine, town.key)
        self.orders: list[Order] = []
        self.instead: Callable[[Order], Outcome] | None = None
        self.cut_after = False
        self.away: Away | None = None
        self.reads = 0

    def carry_out(self, order: Order) -> Outcome:
        """Carry out an act, unless the line is cut before, or tell nobody, where cut after."""
        self.orders.append(order)
        if self.instead is not None:
            return self.instead(order)
        done = self.real.carry_out(order)
        if self.cut_after and isinstance(done, Done):
            return Later("timeout", unknown=True)
        return done

    def read(self, order: Order) -> Standing | None:
        """Read how a subscription stands."""
        self.reads += 1
        if self.away is not None:
            raise self.away
        return self.real.read(order)


def listening(
    town: Town, url: str = "https://hooks.example/", types: tuple[str, ...] = (), secret: str = ""
) -> int:
    """Register an endpoint of a town's product; give its number."""
    with town.database.transaction() as connection:
        number = products.row_of(connection, town.key).id
        made = secret or signing.new_secret()
        return webhooks.add_endpoint(connection, number, url, types, made, town.clock.now())


def news(town: Town, name: str) -> list[str]:
    """Give the types of what endpoints were to be told of somebody, in order."""
    return [kind for kind, _ in news_bodies(town, name)]


def news_bodies(town: Town, name: str) -> list[tuple[str, dict[str, Any]]]:
    """Give (type, body) of what endpoints were to be told of somebody, in order."""
    found = rows(
        town.database,
        "select type, body from webhook where subscription_id = :id order by id",
        id=town.id_of(name),
    )
    return [(kind, json.loads(body)) for kind, body in found]
