"""A town whose people come to be erased: warned, listed, agreed to, and the systems that are told.

What the systems were told and what they answered is kept here, by the fakes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path

from sqlalchemy import text

from app.engine.collecting import Collector
from app.engine.erasing import Eraser, no_mailbox
from app.engine.mailbox import clear_mailbox
from app.manifests import Manifests
from app.store import products, targets
from app.store.targets import Target as Registered
from app.world.erasing import Answer, Given, Receipt, Request, Target
from jobs.erasing import Erasing
from jobs.telling import Teller
from tests.conftest import KEYS
from tests.probe import HOUR, goes, rows, suspended
from tests.world import START, YEAR, MovableClock, Town, row

SOON = YEAR | {"erase_after": "P60D", "erasure_warnings": ["P30D", "P15D"]}
"""A policy under which people are erased two months after they were suspended."""
PEOPLE = ("console:ann", "console:ben")


@dataclass
class System:
    """A system that holds data of people, and is told to erase it."""

    key: str
    categories: tuple[str, ...] = ("profile",)
    told: list[Request] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def erase(self, request: Request) -> Answer:
        """Take a request; answer as was set, and else that everything is erased."""
        self.told.append(request)
        if self.answers:
            return self.answers.pop(0)
        return Given(Receipt(request.erasure, self.categories, ()))

    def probe(self, subscription: str, customer: str | None) -> Mapping[str, int]:  # noqa: ARG002
        """Say how much there is of somebody."""
        return {"rows": int(subscription not in self.erased)}

    @property
    def erased(self) -> set[str]:
        """Whom it was told to erase, by their ids at billing."""
        return {each.subscription for each in self.told}


@dataclass
class Graveyard:
    """A town and everything that erases in it."""

    town: Town
    systems: dict[str, System] = field(default_factory=dict)
    ledger: Path | None = None
    """Where the ledger is exported to, if it is."""
    mailbox: Path | None = None
    """The Maildir that mails of erased people are deleted from, if there is one."""

    @property
    def clock(self) -> MovableClock:
        """The clock of the town."""
        return self.town.clock

    def holds_data(self, key: str, kind: str = "webhook", *, last: bool = False) -> System:
        """Register a system that holds data."""
        system = self.systems.setdefault(key, System(key))
        with self.town.database.transaction() as connection:
            number = products.row_of(connection, self.town.key).id
            values = {
                "key": key,
                "kind": kind,
                "categories": list(system.categories),
                "settings": {"last": "yes"} if last else {},
                "secrets": [],
                "created_by": "cli:test",
                "created_at": self.clock.now(),
            }
            targets.add(connection, number, values)
        return system

    def erasing(self) -> Erasing:
        """Give everything that erases, as one process has it."""
        town = self.town

        def connect(_: str, registered: Registered) -> Target:
            return self.systems[registered.key]

        clear: Callable[[], object] = no_mailbox
        if self.mailbox is not None:
            clear = partial(clear_mailbox, town.database, town.links, self.mailbox)
        return Erasing(
            town.database,
            town.clock,
            Collector(town.database, town.clock),
            Eraser(town.database, town.clock, town.links, KEYS, self.ledger, clear),
            Teller(town.database, town.clock, town.links, connect),
        )

    def works(self) -> None:
        """Let the eraser and the workers do whatever is due."""
        for _ in range(10):
            did, _ = self.erasing().work(self.town.key, lambda: True)
            self.town.sweep()
            if not did + self.town.worker().until_idle().total():
                return
        raise AssertionError("never idle")

    # --- people ------------------------------------------------------------------------------

    def stop(self, *names: str, told: bool = True) -> None:
        """Have people asked, silent and suspended, as billing then tells by itself if `told`."""
        self.town.join(*(row(name) for name in names))
        for name in names:
            suspended(self.town, name)
        if told:
            self.town.join(*(row(name, status="paused") for name in names))

    def warn(self, name: str, times: int = 2) -> None:
        """Go to each warning in its hours, and hand it over."""
        for _ in range(times):
            wake = self.woken(name)
            goes(self.town, wake.replace(hour=12) + timedelta(days=wake.hour > 12))
            self.town.settle()

    def woken(self, name: str) -> datetime:
        """Give when somebody's open round is to be looked at."""
        ((wake,),) = rows(
            self.town.database,
            "select wake_at from reconfirmation where subscription_id = :s and latest",
            s=self.town.id_of(name),
        )
        found: datetime = wake
        return found

    def come_due(self, *names: str, told: bool = True) -> None:
        """Have people stopped and warned, and their day of erasure come."""
        self.stop(*names, told=told)
        self.warn(names[0])
        current = self.town.case(names[0]).round
        assert current is not None
        assert current.erase_on is not None
        assert current.warnings == 2, self.town.story(names[0])
        goes(self.town, START + (current.erase_on - START.date()) + HOUR)

    # --- people who decide -----------------------------------------------------------------------

    def meet(self) -> None:
        """Let two approvers sign in."""
        with self.town.database.transaction() as connection:
            for actor in PEOPLE:
                name = actor.removeprefix("console:")
                connection.execute(
                    text(
                        """insert into console_person (subject, name, roles, seen_at)
                           values (:subject, :name, '["approver"]', :now)
                           on conflict do nothing"""
                    ),
                    {"subject": name.encode(), "name": name, "now": self.clock.now()},
                )

    def list_them(self) -> int:
        """Make the manifest of the day; give its number."""
        Collector(self.town.database, self.clock).work(self.town.key, lambda: True)
        ((number,),) = rows(self.town.database, "select max(number) from manifest")
        return int(number)

    def agree(self, number: int, *people: str) -> None:
        """Approve a manifest, by two people unless others are named."""
        self.meet()
        ((found,),) = rows(
            self.town.database,
            "select encode(hash, 'hex') from manifest where number = :n",
            n=number,
        )
        for actor in people or PEOPLE:
            Manifests(self.town.database, self.clock).approve(self.town.key, number, found, actor)

    def listed(self, number: int) -> dict[int, tuple[str, str | None]]:
        """Give what became of everybody on a manifest: (state, why passed over)."""
        found = rows(
            self.town.database,
            "select subscription_id, state, skipped from manifest_entry where number = :n",
            n=number,
        )
        return {row[0]: (row[1], row[2]) for row in found}
