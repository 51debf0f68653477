"""Each kind of erasure target with its other side, a fake that knows what is true."""

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from socket import create_server
from typing import Any

import psycopg
from psycopg import sql
from sqlalchemy import text

from app.signing import new_secret
from app.store.database import Database
from app.world import erasure
from app.world.billing import sandbox
from app.world.erasing import Answer, Given, Kind, Place, Receipt, Request, Target
from app.world.erasure import sql as module
from app.world.hooks import Limits, Sender
from app.world.outcome import Later, No
from app.world.stripe import calls
from tests.conftest import URL
from tests.fakestripe import FakeStripe
from tests.fakestripe import Kind as Fault
from tests.fakestripe.records import Customer
from tests.receiver import Got, Receiver, Reply, nobody
from tests.world import MovableClock

TOKEN = "token-of-this-target-and-erasure"
EMAIL = "ada.lovelace@subscribers.example"
IMPATIENT = 0.4


@dataclass(frozen=True)
class Person:
    """Somebody whose data lies there."""

    subscription: str
    customer: str | None


class Harness(ABC):
    """One kind of target; truth is what its other side holds."""

    kind: str
    categories: tuple[str, ...]
    faults: Mapping[str, bool] = {}
    """What can go wrong, and whether it then may have been done."""
    asks_address = False
    """Whether it can ask for the address, too."""
    sees_life = True
    """Whether it can see by itself that a subscription goes on."""

    def __init__(self, database: Database, clock: MovableClock) -> None:
        self.database = database
        self.clock = clock

    @property
    def described(self) -> Kind:
        found = erasure.kind(self.kind)
        assert found is not None
        return found

    def settings(self) -> dict[str, Any]:
        return {}

    def place(self, **changes: Any) -> Place:
        made = Place(
            "tv",
            "it",
            self.categories,
            self.settings(),
            self.clock,
            self.database.engine,
            Sender(self.clock, local=True, limits=Limits(connect=0.5, whole=0.5)),
            tried=True,
            answers=lambda name: f"https://asks.example/v1/products/tv/erasures/{name}/receipts",
        )
        return replace(made, **changes)

    def target(self, **changes: Any) -> Target:
        return self.described.connect(self.place(**changes))

    def request(self, person: Person, **changes: Any) -> Request:
        made = Request(
            erasure=f"era_{person.subscription}",
            product="tv",
            target="it",
            subscription=person.subscription,
            customer=person.customer,
            categories=self.categories,
            keep={},
            key=f"msg_{person.subscription}",
            at=self.clock.now(),
            token=TOKEN,
        )
        return replace(made, **changes)

    @abstractmethod
    def begin(self, *, live: bool = False) -> Person:
        """Put somebody there whose subscription has ended, or goes on."""

    @abstractmethod
    def held(self, person: Person) -> set[str]:
        """Give the categories of which something is there."""

    @abstractmethod
    def effects(self, person: Person) -> int:
        """Count how often something was erased."""

    def fault(self, name: str) -> None:
        raise NotImplementedError(name)

    def heals(self) -> None:  # noqa: B027 - nothing fails where there is no wire
        """End all faults."""

    def lacking(self) -> Iterable[Place]:
        return ()

    def secret_words(self) -> Iterable[str]:
        return (EMAIL, TOKEN)


class SandboxHarness(Harness):
    kind = "sandbox"
    categories = ("account", "charges")

    def begin(self, *, live: bool = False) -> Person:
        with self.database.transaction() as connection:
            many = connection.scalar(text("select count(*) from sandbox_charge"))
            name = f"sub_{many}"
            account = sandbox.Account(name, 999, "EUR", "month", self.clock.now())
            sandbox.open_accounts(connection, "tv", [account], self.clock.now())
            for table, columns, values in (
                ("sandbox_charge", "charged_at, amount, currency", "now(), 999, 'EUR'"),
                (
                    "sandbox_act",
                    "idempotency_key, act, at, state, replays",
                    f"'{name}', 'end', now(), 'ended', 0",
                ),
            ):
                connection.execute(
                    text(
                        f"insert into {table} (product_key, external_id, {columns})"  # noqa: S608
                        f" values ('tv', '{name}', {values})"
                    )
                )
            if not live:
                connection.execute(
                    text("update sandbox_account set state = 'ended' where external_id = :name"),
                    {"name": name},
                )
        self.were = self._rows()
        return Person(name, None)

    def _rows(self) -> dict[tuple[str, str], int]:
        found: dict[tuple[str, str], int] = {}
        with self.database.transaction() as connection:
            for category, tables in {
                "account": ("sandbox_account", "sandbox_act"),
                "charges": ("sandbox_charge",),
            }.items():
                for table in tables:
                    for (name,) in connection.execute(
                        text(f"select external_id from {table}")  # noqa: S608
                    ):
                        found[category, name] = found.get((category, name), 0) + 1
        return found

    def held(self, person: Person) -> set[str]:
        return {category for category, name in self._rows() if name == person.subscription}

    def effects(self, person: Person) -> int:
        return len(self.categories) > len(self.held(person))


class WebhookHarness(Harness):
    """A receiver that erases, remembers ids, and gives its receipt at once."""

    kind = "webhook"
    categories = ("profile", "watch_history")
    asks_address = True
    sees_life = False
    faults: Mapping[str, bool] = {
        "http 429": False,
        "http 500": False,
        "http 404": False,
        "no answer, done": True,
        "no connection": False,
        "huge": True,
        "html": True,
        "not a receipt": True,
        "mangled": True,
        "deep": True,
        "twice": True,
    }
    secret = new_secret()

    def __init__(self, database: Database, clock: MovableClock, receiver: Receiver) -> None:
        super().__init__(database, clock)
        self.receiver = receiver
        receiver.answer = self._answer
        self.url = receiver.url
        self.people: dict[str, set[str]] = {}
        self.did: list[str] = []
        self.ids: set[str] = set()
        self.next: str | None = None

    def settings(self) -> dict[str, Any]:
        return {"url": self.url}

    def place(self, **changes: Any) -> Place:
        return super().place(**({"secrets": (self.secret,)} | changes))

    def begin(self, *, live: bool = False) -> Person:  # noqa: ARG002
        name = f"sub_{len(self.people)}"
        self.people[name] = set(self.categories)
        return Person(name, f"cus_{name}")

    def held(self, person: Person) -> set[str]:
        return self.people[person.subscription]

    def effects(self, person: Person) -> int:
        return self.did.count(person.subscription)

    def fault(self, name: str) -> None:
        self.next = name
        if name == "no connection":
            self.url = f"http://127.0.0.1:{nobody()}/"

    def heals(self) -> None:
        self.next, self.url = None, self.receiver.url

    def _answer(self, got: Got) -> Reply:
        met = self.next
        if got.said["type"] == "erasure.test" and met is None:
            return 204, {}, b""
        if met is not None and met.startswith("http "):
            return int(met[5:]), {"Retry-After": "7"}, b""
        body = self._done(got)
        if met == "no answer, done":
            raise ConnectionAbortedError
        odd = {
            "huge": b'{"erasure": "' + b"x" * 200_000 + b'"}',
            "html": b"<html>thank you</html>",
            "not a receipt": b'{"ok": true}',
            "mangled": body[:-4],
            "deep": b"[" * 50_000,
            "twice": body[:-1] + b', "erasure": "other"}',
        }
        return 200, {}, odd.get(met or "", body)

    def _done(self, got: Got) -> bytes:
        data = got.said["data"]
        if got.id not in self.ids and self.people.get(data["subscription"]):
            self.people[data["subscription"]] = set()
            self.did.append(data["subscription"])
        self.ids.add(got.id)
        return json.dumps({"erasure": data["erasure"], "erased": data["categories"]}).encode()

    def lacking(self) -> Iterable[Place]:
        return [
            self.place(secrets=()),
            self.place(settings={"url": "http://10.0.0.1/"}),
            self.place(settings={"url": "https://ada:secret@crm.example/"}),
            self.place(settings={}),
        ]


class StripeHarness(Harness):
    """The fake of Stripe, over HTTP and the SDK."""

    kind = "stripe"
    categories = ("customer", "invoices")
    faults: Mapping[str, bool] = {
        "limit": False,
        "lock": False,
        "error": True,
        "error, done": True,
        "unavailable": True,
        "drop": True,
        "drop, done": True,
        "hang": True,
        "hang, done": True,
        "huge": True,
        "truncated": True,
        "html": True,
        "empty": True,
        "no connection": False,
    }

    def __init__(self, database: Database, clock: MovableClock, fake: FakeStripe) -> None:
        super().__init__(database, clock)
        self.fake = fake
        self.url = fake.url
        self.patience = calls.READ_SECONDS
        clock.set(datetime.fromtimestamp(fake.now, UTC))

    def settings(self) -> dict[str, Any]:
        return {"api_base": self.url}

    def place(self, **changes: Any) -> Place:
        return super().place(**({"billing_key": self.fake.shop.key} | changes))

    def begin(self, *, live: bool = False) -> Person:
        customer = self.fake.shop.customer(EMAIL, name="Ada Lovelace")
        made = self.fake.shop.subscribe(customer)
        if not live:
            self.fake.shop.cancel(made)
        self.fake.log.clear()
        return Person(made.id, customer.id)

    def held(self, person: Person) -> set[str]:
        return {"invoices"} if self._customer(person).deleted else {"customer", "invoices"}

    def _customer(self, person: Person) -> Customer:
        with self.fake.shop.lock:
            return self.fake.shop.book.get(Customer, str(person.customer))

    def effects(self, person: Person) -> int:
        done = [each for each in self.fake.acts() if each.took_effect]
        return sum(f"/v1/customers/{person.customer}" in each.path for each in done)

    def fault(self, name: str) -> None:
        kind, _, done = name.partition(", ")
        if kind == "no connection":
            self.url = f"http://127.0.0.1:{nobody()}"
            return
        if kind == "hang":
            calls.READ_SECONDS = IMPATIENT
        applied = {"applied": True} if done else {}
        more = {"seconds": 7.0} if kind in {"limit", "lock"} else {}
        self.fake.faults.add(Fault(kind), method="[PD]*", **applied, **more)

    def heals(self) -> None:
        calls.READ_SECONDS = self.patience
        self.url = self.fake.url
        self.fake.faults.clear()
        self.fake.release()

    def lacking(self) -> Iterable[Place]:
        wrong = ("pk_test_x", "sk_live_x y", "whsec_x")
        missing = {"key_file": "/nowhere/at/all"}
        return [
            self.place(billing_key=None),
            *(self.place(billing_key=key) for key in wrong),
            self.place(settings=missing),
        ]

    def secret_words(self) -> Iterable[str]:
        return (*super().secret_words(), "sk_test_", "Lovelace")


TABLES = """
    create table profile (subscription_id text primary key, email text, city text not null);
    create table watched (id bigint generated always as identity primary key, who text, what text);
    create table account (customer text primary key, email text, phone text);
"""
STEPS: list[dict[str, Any]] = [
    {
        "category": "watch_history",
        "table": "watched",
        "column": "who",
        "holds": "subscription",
        "action": "delete",
    },
    {
        "category": "profile",
        "table": "public.profile",
        "column": "subscription_id",
        "holds": "subscription",
        "action": "delete",
    },
    {
        "category": "contact",
        "table": "account",
        "column": "customer",
        "holds": "customer",
        "action": "blank",
        "columns": ["email", "phone"],
    },
]
PASSWORD = "horse-battery-staple"


@contextmanager
def another_database(name: str) -> Iterator[str]:
    """Make an empty database on the test's server, and give its address."""
    server = os.environ[URL]
    with psycopg.connect(server, autocommit=True) as connection:
        made = sql.Identifier(name)
        connection.execute(sql.SQL("drop database if exists {} with (force)").format(made))
        connection.execute(sql.SQL("create database {} template template0").format(made))
        try:
            yield server.replace("/postgres?", f"/{name}?", 1)
        finally:
            connection.execute(sql.SQL("drop database if exists {} with (force)").format(made))


@contextmanager
def changed(of: Any, name: str, value: Any) -> Iterator[None]:
    """Have something be otherwise for a while."""
    before = getattr(of, name)
    setattr(of, name, value)
    try:
        yield
    finally:
        setattr(of, name, before)


COMMIT = psycopg.Connection.commit


class Failing:
    """A connection that is lost before its end is said."""

    @staticmethod
    def commit(_: "psycopg.Connection[Any]") -> None:
        raise psycopg.OperationalError("server closed the connection")


class Ending:
    """A connection that is lost after its end was said, and before that was answered."""

    @staticmethod
    def commit(connection: "psycopg.Connection[Any]") -> None:
        COMMIT(connection)
        raise psycopg.OperationalError("server closed the connection")


class SqlHarness(Harness):
    """A database of its own on the test's server."""

    kind = "sql"
    categories = ("contact", "profile", "watch_history")
    sees_life = False
    faults: Mapping[str, bool] = {
        "no connection": False,
        "silent": False,
        "locked": False,
        "hangs": False,
        "gone at the end": True,
        "done, and gone at the end": True,
    }

    def __init__(self, database: Database, clock: MovableClock, address: str, folder: Path) -> None:
        super().__init__(database, clock)
        self.address = address
        self.file = folder / "address"
        self.file.write_text(address)
        self.many = 0
        self.held_open = ExitStack()
        self.run(TABLES)

    def run(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with closing(psycopg.connect(self.address, autocommit=True)) as connection:
            done = connection.execute(statement, values or None)
            return done.fetchall() if done.description else []

    def settings(self) -> dict[str, Any]:
        return {"database_file": str(self.file), "tables": STEPS}

    def begin(self, *, live: bool = False) -> Person:  # noqa: ARG002
        self.many += 1
        person = Person(f"sub_{self.many}", f"cus_{self.many}")
        self.run("insert into profile values (%s, %s, 'Bath')", person.subscription, EMAIL)
        self.run("insert into account values (%s, %s, '1')", person.customer, EMAIL)
        self.run(
            "insert into watched (who, what) select %s, 'film' from generate_series(1, 3)",
            person.subscription,
        )
        return person

    def held(self, person: Person) -> set[str]:
        who = person.subscription
        return {
            category
            for category, statement, id_ in (
                (
                    "profile",
                    "select 1 from profile where subscription_id = %s",
                    person.subscription,
                ),
                ("watch_history", "select 1 from watched where who = %s", who),
                (
                    "contact",
                    "select 1 from account where customer = %s and (email, phone) is not null",
                    person.customer,
                ),
            )
            if self.run(statement, id_)
        }

    def effects(self, person: Person) -> int:
        return len(self.held(person)) < len(self.categories)

    def fault(self, name: str) -> None:
        if name == "no connection":
            self.file.write_text(f"postgresql://ada:{PASSWORD}@127.0.0.1:{nobody()}/crm")
        if name == "silent":
            server = self.held_open.enter_context(create_server(("127.0.0.1", 0)))
            port = server.getsockname()[1]
            self.file.write_text(f"postgresql://ada:{PASSWORD}@127.0.0.1:{port}/crm")
            self.held_open.enter_context(changed(module, "CONNECT_SECONDS", 2))
        if name in {"locked", "hangs"}:
            locker = self.held_open.enter_context(psycopg.connect(self.address))
            locker.execute("lock table profile in access exclusive mode")
            name_, value = ("LIMITS", ("set local lock_timeout = '200ms'",)), ("WHOLE", 0.5)
            self.held_open.enter_context(changed(module, *(name_ if name == "locked" else value)))
        if name.endswith("gone at the end"):
            ends = Ending if name.startswith("done") else Failing
            self.held_open.enter_context(changed(psycopg.Connection, "commit", ends.commit))

    def heals(self) -> None:
        self.held_open.close()
        self.file.write_text(self.address)

    def lacking(self) -> Iterable[Place]:
        folder = self.file.parent
        for number, held in enumerate(("", f"ada:{PASSWORD}", "postgresql://a b", "host=x")):
            path = folder / f"wrong{number}"
            path.write_text(held)
            yield self.place(settings=self.settings() | {"database_file": str(path)})
        yield self.place(settings=self.settings() | {"database_file": str(folder / "none")})

    def secret_words(self) -> Iterable[str]:
        return (*super().secret_words(), PASSWORD, self.address)


def today(there: Harness) -> date:
    """Give the day on which a test is."""
    return there.clock.now().date()


def receipt_of(answer: Answer) -> Receipt:
    """Give the receipt of an answer that gives one at once."""
    assert isinstance(answer, Given), answer
    return answer.receipt


def is_failure(answer: Answer) -> bool:
    """Say whether nothing came of it, or nobody knows what."""
    return isinstance(answer, Later | No)
