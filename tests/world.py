"""The world around a test: a clock, people, a relay that remembers, and everything put together.

Truth is kept here, by the fakes, and never read back from the system tested.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Self

from app import policy as policies
from app.clock import Clock
from app.engine.door import Door, Reply
from app.engine.effects import Effects
from app.engine.sweep import Pass
from app.lifecycle.case import Answer, Case, Event, Word
from app.links import Links
from app.mirror import Mirror, open_at_sandbox, replan
from app.policy import Policy
from app.rows import read as read_row
from app.store import cases, population, products, versions
from app.store.database import Database
from app.usage import Intake, Told
from app.versions.planning import Planner
from app.world.billing import sandbox
from app.world.outcome import Done, Outcome
from jobs.outbox import Worker
from jobs.sweep import sweep

START = datetime(2024, 9, 1, 12, tzinfo=UTC)
ACTOR = "cli:test"
YEAR = {
    "on_no_answer": "suspend",
    "never_used_after": "P1Y",
    "unused_after": "P1Y",
    "erase_after": "P10M",
    "pace": {"ramp": ["100%"]},
    "guards": {"max_newly_due_share": "100%"},
}
"""A policy that asks after a year, not slowed by a ramp nor stopped when all are asked at once."""


class MovableClock(Clock):
    """A clock that stands until it is moved."""

    def __init__(self, now: datetime = START) -> None:
        self.moment = now
        self.machine = now
        super().__init__(lambda: self.moment, lambda: self.machine)

    def set(self, moment: datetime) -> None:
        """Move both clocks."""
        self.moment = self.machine = moment

    def advance(self, by: timedelta) -> None:
        """Move both clocks on."""
        self.set(self.moment + by)


@dataclass
class RememberingRelay:
    """A relay that keeps what it was handed, or answers as it is told to."""

    sent: list[tuple[str, bytes]] = field(default_factory=list)
    answer: Callable[[str], Outcome] = lambda _: Done()

    def send(self, envelope_from: str, to: str, message: bytes) -> Outcome:  # noqa: ARG002
        outcome = self.answer(to)
        if isinstance(outcome, Done):
            self.sent.append((to, message))
        return outcome

    def check(self) -> str:
        """Say where notices go."""
        return "into memory"

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Keep what was sent."""

    def mails(self) -> list[EmailMessage]:
        """Give the mails as a mail program reads them."""
        return [message_from_bytes(raw, policy=policy.default) for _, raw in self.sent]

    def subjects(self, to: str) -> list[str]:
        """Give the subjects of one person's mails, in order."""
        return [str(mail["Subject"]) for mail in self.mails() if mail["To"] == to]


def row(name: str, **changes: Any) -> dict[str, str]:
    """Give a row of an import file: somebody who started two years before START."""
    values = {
        "id": name,
        "email": f"{name}@subscribers.example",
        "locale": "en",
        "country": "GB",
        "timezone": "Europe/London",
        "plan": "standard",
        "amount": "1349",
        "currency": "GBP",
        "interval": "month",
        "started_at": "2022-09-01T10:00:00Z",
        "renews_at": "2024-09-20T00:00:00Z",
        "status": "active",
    }
    return values | {key: str(value) for key, value in changes.items()}


@dataclass
class Town:
    """A product with its people, and the whole engine around it."""

    database: Database
    clock: MovableClock
    links: Links
    key: str = "tv"
    relay: RememberingRelay = field(default_factory=RememberingRelay)

    @classmethod
    def founded(
        cls,
        database: Database,
        clock: MovableClock,
        links: Links,
        key: str = "tv",
        policy_json: dict[str, Any] | None = None,
    ) -> "Town":
        """Found a product on the sandbox, with a policy in force and a feed that has spoken."""
        town = cls(database, clock, links, key)
        with database.transaction() as connection:
            number = products.add(connection, key, "Blue Television", "sandbox", clock.now())
            products.change(
                connection,
                number,
                {
                    "from_address": f"hello@{key}.example",
                    "support_url": f"https://{key}.example/help",
                },
            )
        town.put_in_force(policy_json or YEAR)
        town.hear()
        return town

    # --- setting up --------------------------------------------------------------------------

    @property
    def product(self) -> products.Product:
        """The product as it stands."""
        with self.database.transaction() as connection:
            return products.load(connection, self.key)

    def put_in_force(self, body: dict[str, Any]) -> int:
        """Propose and activate a policy."""
        checked: Policy = policies.read(body)
        with self.database.transaction() as connection:
            number = products.row_of(connection, self.key).id
            written = policies.write(checked)
            version = versions.propose(connection, number, written, ACTOR, self.clock.now())
            versions.activate(connection, number, version, ACTOR, self.clock.now())
        replan(self.database, self.clock, self.key)
        return version

    def hear(self, through: date | None = None) -> None:
        """Let the feed say that everything up to a day (yesterday) has been told."""
        day = through or (self.clock.now().date() - timedelta(days=1))
        Intake(self.database, self.clock).covers(self.key, "app", date(2000, 1, 1), day)

    def join(self, *rows: dict[str, str]) -> list[int]:
        """Import people; give their internal ids."""
        facts = [read_row(each) for each in rows]
        Mirror(self.database, self.clock, open_at_sandbox, self.links).bring(self.key, facts, ACTOR)
        return [self.id_of(each["id"]) for each in rows]

    def id_of(self, name: str) -> int:
        """Give the internal id of somebody."""
        with self.database.transaction() as connection:
            found = population.find(connection, products.row_of(connection, self.key).id, name)
        assert found is not None
        return found

    # --- life --------------------------------------------------------------------------------

    def use(self, name: str, day: date | None = None) -> None:
        """Let somebody use it on a day (today)."""
        told = Told({name: day or self.clock.now().date()}, {})
        Intake(self.database, self.clock, links=self.links).record(self.key, told, ACTOR)

    def sweep(self, *, dry: bool = False) -> Pass:
        """Sweep once."""
        return sweep(self.database, self.clock, self.key, dry=dry, list_people=True)[0]

    def plan(self) -> None:
        """Do what follows from versions of a policy, as a worker does."""
        Planner(self.database, self.clock).work(self.key, lambda: True)

    def stages(self) -> dict[str, int]:
        """Count rounds by stage while open and by outcome once closed."""
        with self.database.transaction() as connection:
            number = products.row_of(connection, self.key).id
            return population.stages(connection, number)

    def worker(self) -> Worker:
        """Give a worker on the remembering relay and the sandbox."""
        effects = Effects(self.database, self.clock, self.links)
        return Worker(
            self.database,
            self.clock,
            effects,
            self.relay,
            lambda _: sandbox.Sandbox(self.database.engine, self.key),
        )

    def deliver(self) -> None:
        """Work off what is due."""
        self.worker().until_idle()

    def settle(self) -> None:
        """Sweep and deliver until nothing is due."""
        with self.database.transaction() as connection:
            sandbox.charge_due(connection, self.clock.now())
        self.sweep()
        self.deliver()
        self.sweep()
        self.deliver()

    def days_pass(self, days: int, at_a_time: int = 1) -> None:
        """Let days pass, some at a time; the feed speaks and the work is done after each time."""
        for _ in range(0, days, at_a_time):
            self.clock.advance(timedelta(days=at_a_time))
            self.hear()
            self.settle()

    def tell(self, name: str, event: Event, actor: str = "subscriber") -> Reply:
        """Bring one event through the door."""
        return Door(self.database, self.clock).apply(self.key, [(self.id_of(name), event)], actor)[
            0
        ]

    def answer(self, name: str, word: str, number: int | None = 1) -> Reply:
        """Answer as somebody through the link of a round."""
        return self.tell(name, Answer(Word(word), number))

    # --- looking -----------------------------------------------------------------------------

    def case(self, name: str) -> Case:
        """Give somebody's case."""
        sid = self.id_of(name)
        product = self.product
        with self.database.transaction() as connection:
            return cases.read(connection, product.id, [sid], product.hearing, lock=False)[sid]

    def stage(self, name: str) -> str:
        """Give somebody's stage."""
        return str(self.case(name).stage)

    def charges(self, name: str) -> list[datetime]:
        """Give when the sandbox charged somebody."""
        with self.database.transaction() as connection:
            return [at for who, at, _, _ in sandbox.charges(connection, self.key) if who == name]

    def acts(self, name: str) -> list[str]:
        """Give what the sandbox was told about somebody."""
        with self.database.transaction() as connection:
            return [act for who, act, *_ in sandbox.acts(connection, self.key) if who == name]

    def story(self, name: str) -> list[str]:
        """Give what history says of somebody."""
        with self.database.transaction() as connection:
            return [line[2] for line in population.story(connection, self.id_of(name))]
