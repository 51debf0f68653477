"""The console over a town: somebody signed in with some role, and things that wait for them."""

import hashlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import text
from werkzeug.test import TestResponse

from app.engine import holds
from app.engine.holds import Wanted
from app.store import console as store
from app.store import disputes, lists, runs
from app.store.holds import Reason
from app.web import create_app
from app.web.console import Access
from tests.app.web.console.provider import CLIENT, SECRET, FakeProvider, served
from tests.conftest import KEYS
from tests.manifests import made
from tests.world import MovableClock, Town, row

ERASURE = "era_1"
BASE = "https://reconfirm.example"
ORIGIN = {"Origin": BASE}


@dataclass
class Person:
    """Somebody at a browser, with the token of their forms."""

    client: FlaskClient
    cookie: str = ""

    @property
    def csrf(self) -> str:
        return hashlib.sha256(f"csrf\0{self.cookie}".encode()).hexdigest()

    def get(self, path: str) -> TestResponse:
        return self.client.get(path, base_url=BASE)

    def post(self, path: str, **form: str) -> TestResponse:
        return self.client.post(
            path, base_url=BASE, data={"csrf": self.csrf} | form, headers=ORIGIN
        )

    def enters(self, cookie: str) -> None:
        self.cookie = cookie
        self.client.set_cookie("__Host-reconfirm", cookie, domain="reconfirm.example", secure=True)


@dataclass
class Desk:
    """The console of a town."""

    town: Town
    app: Flask

    def stranger(self) -> Person:
        return Person(self.app.test_client())

    def person(self, *roles: str, name: str = "", proved: timedelta = timedelta()) -> Person:
        """Give somebody who is signed in with these roles, having proved it so long ago."""
        name = name or "-".join(roles).replace(":", ".") or "nobody"
        cookie, wall = secrets.token_urlsafe(32), self.town.clock.wall()
        with self.town.database.transaction() as connection:
            who = store.person(connection, name.encode(), name, f"{name}-2", sorted(roles), wall)
            digest = hashlib.sha256(cookie.encode()).digest()
            store.begin(connection, digest, who, wall, wall - proved)
        found = self.stranger()
        found.enters(cookie)
        return found

    def audited(self) -> list[tuple[str, str, str]]:
        """Give (what, why, actor) of what people did in the console, oldest first."""
        with self.town.database.transaction() as connection:
            found = connection.execute(
                text(
                    "select what, why, actor from history where actor like 'console:%' order by id"
                )
            )
            return [(each.what, each.why, each.actor) for each in found]


@pytest.fixture
def desk(town: Town) -> Desk:
    """Give the console, by one-time links only."""
    access = Access(KEYS)
    app = create_app(town.database, town.clock, town.links, base_url=BASE, console=access)
    return Desk(town, app)


@pytest.fixture
def provider(clock: MovableClock) -> Iterator[FakeProvider]:
    with served(clock) as found:
        yield found


@pytest.fixture
def with_provider(town: Town, provider: FakeProvider) -> Desk:
    """Give the console behind the provider."""
    access = Access(KEYS, provider.issuer, CLIENT, SECRET)
    app = create_app(town.database, town.clock, town.links, base_url=BASE, console=access)
    return Desk(town, app)


@dataclass
class Things:
    """Something of each kind that pages name: a person, an effect that is parked, a message, a run.

    The run asked nobody who is still open.
    """

    person: int
    effect: int
    message: int
    run: int
    hold: int
    manifest: int
    dispute: int
    target: int
    erasure: str = ERASURE
    version: int = 1


@pytest.fixture
def things(town: Town) -> Things:
    person = town.join(row("a"))[0]
    listed(town)
    effect, told, ran = parked(town, "a"), message(town), run(town)
    wanted = Wanted(person, Reason.LEGAL)
    hold = holds.add(town.database, town.clock, town.key, wanted, "cli:ann").id
    return Things(
        person, effect, told, ran, hold, made(town, "a"), late(town, "a"), erased(town, "a")
    )


def late(town: Town, name: str) -> int:
    """Have a dispute come too late for a hold; give its number."""
    source, product_id = f"stripe:dp_{secrets.token_hex(4)}", town.product.id
    with town.database.transaction() as connection:
        disputes.put(connection, product_id, source, None, town.clock.now(), ended=False)
        disputes.put_late(connection, product_id, source, town.id_of(name))
        return disputes.late(connection, product_id, 99)[-1].id


def erased(town: Town, name: str, number: str = ERASURE, state: str = "parked") -> int:
    """Have an erasure be under way, a receipt of which stopped; give the number of its target."""
    made_target = """insert into target (product_id, key, kind, categories, created_by, created_at)
        values (:product, 'crm', 'webhook', '["profile", "tickets"]', 'cli:ann', :at)
        on conflict (product_id, key) where retired_at is null
          do update set kind = excluded.kind returning id"""
    begun = """insert into erasure (id, product_id, subscription_id, round, cause, begun_at,
          begun_by) values (:number, :product, :who, 1, 'request', :at, 'clock')"""
    owed = """insert into receipt (erasure_id, target_id, product_id, last, state, not_before,
          tries, error) values (:number, :target, :product, false, :state, :at, 7, 'http 503')"""
    values = {"product": town.product.id, "at": town.clock.now(), "number": number}
    values |= {"who": town.id_of(name), "state": state}
    with town.database.transaction() as connection:
        connection.execute(text("set local role reconfirm_eraser"))
        target = int(connection.execute(text(made_target), values).scalar_one())
        connection.execute(text(begun), values)
        connection.execute(text(owed), values | {"target": target})
    return target


def listed(town: Town) -> None:
    """Keep a list of whom version 1 would ask, which has been worked off."""
    with town.database.transaction() as connection:
        now = town.clock.now()
        lists.complete(connection, town.product.id, 1, now)
        lists.approve(connection, town.product.id, 1, "cli:ann", now)
        lists.finish(connection, town.product.id, 1, now, now)


def run(town: Town) -> int:
    """Keep a run of long ago; give its number."""
    now = town.clock.now() - timedelta(days=400)
    with town.database.transaction() as connection:
        did = runs.Did(now.date(), "clock", 1, None, asked=1)
        runs.count(connection, town.product.id, now, did)
    return 1


def parked(town: Town, name: str, kind: str = "notice.ask", error: str = "relay refused") -> int:
    """Put an effect of somebody before a person; give its number."""
    statement = """insert into outbox (product_id, subscription_id, round, lane, kind, version,
          not_before, state, fence, tries, unknown, error)
        values (:product, :who, 1, 'notice', :kind, 1, :at, 'parked', 1, 1, 0, :error)
        returning id"""
    with town.database.transaction() as connection:
        values = {"product": town.product.id, "who": town.id_of(name), "kind": kind}
        values |= {"at": town.clock.now(), "error": error}
        return int(connection.execute(text(statement), values).scalar_one())


def message(town: Town, reason: str = "not readable", kind: str = "subscription.updated") -> int:
    """Keep a message of billing that could not be read; give its number."""
    statement = """insert into inbox (product_id, source, message_id, type, received_at, state,
          reason, body)
        values (:product, 'standard', :name, :kind, :at, 'unreadable', :reason, '{}')
        returning id"""
    with town.database.transaction() as connection:
        values = {"product": town.product.id, "name": secrets.token_hex(8), "kind": kind}
        values |= {"at": town.clock.wall(), "reason": reason}
        return int(connection.execute(text(statement), values).scalar_one())
