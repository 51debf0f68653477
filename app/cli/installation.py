"""Puts the parts together for one run of a command, and takes them apart again."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import click
from sqlalchemy.exc import OperationalError

from app import embedded, reconciling, settings
from app.cli.fleet import Keeper
from app.clock import Clock, wall
from app.engine import receipts
from app.engine.collecting import Collector
from app.engine.door import Door
from app.engine.effects import LEASE, Effects
from app.engine.erasing import Eraser
from app.engine.mailbox import clear_mailbox
from app.engine.webhooks import Webhooks
from app.errors import Refused
from app.links import Links
from app.mirror import Mirror, mirror_of
from app.settings import Settings
from app.store import migrate, products, testclock
from app.store.database import Database
from app.store.targets import Target as Registered
from app.store.webhooks import live_endpoints
from app.usage import Intake
from app.world import billing, erasure
from app.world.connector import Connector, Site
from app.world.erasing import Place, Target
from app.world.hooks import Sender
from app.world.mail.relay import folder_of, open_relay
from app.world.pacing import Doors, Pace
from jobs.billing import Books
from jobs.breaker import Breaker
from jobs.erasing import Erasing
from jobs.hooks import Hooks
from jobs.outbox import Worker
from jobs.telling import Teller
from jobs.walk import Walker

LEASE_IN_TESTS = timedelta(seconds=10)
"""On the test clock time stands still for a worker that was killed: it is not waited for long."""
SHORTEST_LEASE = timedelta(seconds=30)
"""An endpoint may take its time over an answer, on any clock."""


UNREACHED = {
    "refused": "nobody listens at that host and port",
    "not known": "there is no host of that name",
    "translate host name": "there is no host of that name",
    "authentication failed": "the user or the password is not accepted",
    "does not exist": "there is no such database or user",
    "timeout": "it did not answer in time",
    "No such file": "there is no such socket",
    "too many": "it has too many connections",
}
"""What the driver says of a connection that failed, in our words: its own may name too much."""


@dataclass(frozen=True, slots=True)
class Installation:
    """Everything a command may need, on one database."""

    settings: Settings
    database: Database
    clock: Clock
    links: Links
    servers: ExitStack = field(default_factory=ExitStack)
    pace: Pace = field(default_factory=Pace)
    doors: Doors | None = None

    def redis_url(self) -> str:
        """Give the address of Redis, starting or joining the embedded one where none is set."""
        if self.settings.redis_url is not None:
            return self.settings.redis_url.get_secret_value()
        return self.servers.enter_context(embedded.redis(self.settings.data_dir)).url

    def keepers(self) -> list[Keeper]:
        """Give what keeps the embedded servers of this installation alive, started or joined."""
        given, found = self.settings, []
        if given.embedded:
            found.append(Keeper(partial(embedded.postgres, given.data_dir)))
        if given.embedded_redis:
            found.append(Keeper(partial(embedded.redis, given.data_dir)))
        for each in found:
            self.servers.callback(each.stop)
        return found

    @property
    def metrics_token(self) -> str | None:
        """The token that opens /metrics to other machines, if one is set."""
        token = self.settings.metrics_token
        return None if token is None else token.get_secret_value()

    @property
    def kept_for(self) -> timedelta:
        """How long raw bodies of messages are kept, in and out."""
        return timedelta(days=self.settings.keep_bodies_days)

    @property
    def mailbox(self) -> Path | None:
        """The Maildir that notices are written to on the test clock; None anywhere else."""
        url = self.settings.smtp_url
        if url is None or self.settings.clock != "test":
            return None
        return folder_of(url.get_secret_value())

    @property
    def mail_per_domain(self) -> int:
        """Mails a second to one domain; 0, which is no limit, for files and on the test clock."""
        url = self.settings.smtp_url
        real = url is not None and folder_of(url.get_secret_value()) is None
        paced = real and self.settings.clock == "system"
        return self.settings.mail_per_domain if paced else 0

    @property
    def lease(self) -> timedelta:
        """How long a worker has for what it claimed."""
        return LEASE if self.settings.clock == "system" else LEASE_IN_TESTS

    @property
    def door(self) -> Door:
        """The one door."""
        return Door(self.database, self.clock)

    @property
    def intake(self) -> Intake:
        """The intake of usage."""
        return Intake(self.database, self.clock, links=self.links)

    def mirror(self, billing: str) -> Mirror:
        """Give the intake of facts for a product's billing system."""
        return mirror_of(billing, self.database, self.clock, self.links)

    @contextmanager
    def worker(self, breaker: Breaker[str] | None = None) -> Iterator[Worker]:
        """Give a worker with an open relay; those that share a breaker learn from each other."""
        url = self.settings.smtp_url
        if url is None:
            raise Refused(
                "no relay is set", "set RECONFIRM_SMTP_URL, such as smtp://user:password@host:587"
            )
        effects = Effects(self.database, self.clock, self.links, self.lease)
        with open_relay(url.get_secret_value()) as relay:
            made = Worker(self.database, self.clock, effects, relay, self.connector)
            doors = self.doors or Doors(self.mail_per_domain)
            yield replace(made, breaker=breaker or made.breaker, doors=doors)

    @contextmanager
    def walker(self) -> Iterator[Walker]:
        """Give what walks the test clock."""
        with self.worker() as worker:
            yield Walker(self.database, self.clock, worker, self.hooks, self.books, self.erasing)

    @property
    def books(self) -> Books:
        """What keeps our books and billing's the same; one serves every thread of a process."""
        lease = reconciling.LEASE if self.settings.clock == "system" else LEASE_IN_TESTS
        return Books(self.database, self.clock, self.connector, lease, self.links)

    @property
    def hooks(self) -> Hooks:
        """What tells endpoints; one serves every thread of a process."""
        lease = max(self.lease, SHORTEST_LEASE)
        webhooks = Webhooks(self.database, self.clock, lease, self.kept_for)
        return Hooks(self.database, self.clock, self.sender, webhooks)

    @property
    def erasing(self) -> Erasing:
        """What erases, reaching the database as nobody else does where it has an address for it."""
        own = self.settings.eraser_database_url
        database = self.database if own is None else Database(own.get_secret_value())
        if own is not None:
            self.servers.callback(database.close)
        keys = [key.get_secret_value() for key in self.settings.secret_keys]
        url = self.settings.smtp_url
        folder = folder_of(url.get_secret_value()) if url is not None else None
        eraser = Eraser(database, self.clock, self.links, keys, self.settings.erasure_ledger)
        if folder is not None:
            clear = partial(clear_mailbox, self.database, self.links, folder)
            eraser = replace(eraser, clear_mailbox=clear)
        collector = Collector(self.database, self.clock)
        return Erasing(self.database, self.clock, collector, eraser, self.teller)

    @property
    def teller(self) -> Teller:
        """What tells targets to erase; one serves every thread of a process."""
        lease = receipts.LEASE if self.settings.clock == "system" else SHORTEST_LEASE
        return Teller(self.database, self.clock, self.links, self.target, lease)

    @property
    def sender(self) -> Sender:
        """What carries messages out: to this machine only on the test clock."""
        return Sender(self.clock, local=self.settings.clock == "test")

    def connector(self, product: str) -> Connector:
        """Give the connector of a product; Refused names what its billing system lacks."""
        with self.database.transaction() as connection:
            row = products.row_of(connection, product)
            endpoints = live_endpoints(connection, row.id)
        found = billing.system(row.billing)
        if found is None:
            raise Refused(
                f"there is no connector for {row.billing!r}",
                f"install the release that has it, or use one of {', '.join(billing.names())}",
            )
        key = _read_key(row.billing_key_file)
        account = hashlib.sha256((key or product).encode()).hexdigest()
        taking = [each for each in endpoints if products.BILLING in each.types]
        return found.connect(
            Site(
                product,
                self.clock,
                self.database.engine,
                self.sender,
                key=key,
                commands=next(((each.url, each.secrets) for each in taking), None),
                settings=row.billing_settings,
                base_url=self.settings.base_url,
                pace=partial(self.pace.wait, account),
            )
        )

    def target(self, product: str, registered: Registered) -> Target:
        """Give a target of a product, connected; Refused names what it lacks."""
        with self.database.transaction() as connection:
            row = products.row_of(connection, product)
        found = erasure.kind(registered.kind)
        if found is None:
            raise Refused(
                f"there is no kind of target {registered.kind!r}",
                f"install the release that has it, or use one of {', '.join(erasure.names())}",
            )
        own = registered.settings.get("key_file")
        key = None if own else _read_key(row.billing_key_file)
        account = hashlib.sha256((key or own or product).encode()).hexdigest()
        return found.connect(
            Place(
                product,
                registered.key,
                registered.categories,
                registered.settings,
                self.clock,
                self.database.engine,
                self.sender,
                secrets=registered.secrets,
                tried=registered.tried_at is not None,
                billing_key=key,
                pace=partial(self.pace.wait, account),
                answers=partial(self.links.receipts_url, product),
            )
        )


def _read_key(path: str) -> str | None:
    """Give the API key a file holds; None where none is set."""
    if not path:
        return None
    try:
        return Path(path).read_text().strip() or None
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(
            f"the file of the billing key cannot be read: {type(error).__name__}",
            "put the key there, readable for this account, or set billing_key_file anew",
        ) from None


@contextmanager
def installed(*, needs_schema: bool = True, name: str = "reconfirm") -> Iterator[Installation]:
    """Give the service that the settings describe; embedded servers live as long as the block."""
    given = settings.load()
    with ExitStack() as stack:
        if given.database_url is None:
            server = stack.enter_context(embedded.postgres(given.data_dir))
            url = server.database(name)
        else:
            url = given.database_url.get_secret_value()
        database = Database(url)
        stack.callback(database.close)
        if needs_schema:
            _bring_schema(database, embedded_one=given.database_url is None)
        yield assemble(given, database, stack)


def _bring_schema(database: Database, *, embedded_one: bool) -> None:
    """See that the schema is the one this program needs; an embedded database is migrated."""
    try:
        if embedded_one:
            migrate.upgrade(database)
        else:
            migrate.require_newest(database)
    except OperationalError as error:
        why = next((words for said, words in UNREACHED.items() if said in str(error.orig)), "")
        raise Refused(
            f"PostgreSQL does not take us in{f': {why}' if why else ''}",
            "check RECONFIRM_DATABASE_URL; `reconfirm doctor` tries it again",
        ) from None


def assemble(given: Settings, database: Database, servers: ExitStack) -> Installation:
    """Give the service of some settings on a database."""
    keys = [key.get_secret_value() for key in given.secret_keys]
    return Installation(
        given, database, clock_for(given, database), Links(keys, given.base_url), servers
    )


def clock_for(given: Settings, database: Database) -> Clock:
    """Give the machine's clock, or in test mode the one kept in the database."""
    if given.clock == "system":
        return Clock()

    def read() -> datetime:
        with database.transaction() as connection:
            found = testclock.read(connection)
        return found if found is not None else wall().replace(microsecond=0)

    return Clock(read)


# --- printing ------------------------------------------------------------------------------


def say(text: str) -> None:
    """Tell the person something that is not the result: on stderr."""
    click.echo(text, err=True)


def print_json(document: Any) -> None:
    """Print one JSON document on stdout."""
    click.echo(json.dumps(document, default=_plain, ensure_ascii=False, indent=2))


def _plain(value: Any) -> str:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return str(value)


def product_of(service: Installation, key: str) -> products.Product:
    """Give a product by its key; NotFound says which there are."""
    with service.database.transaction() as connection:
        return products.load(connection, key)
