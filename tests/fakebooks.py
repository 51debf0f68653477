"""A billing system in a test's own memory, which can be asked, changes while it is, and fails.

Truth is kept here: what it holds, what it charged, and what it was asked to give back.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

from app.rows import Facts
from app.rows import read as read_row
from app.store.running import BOOKS
from app.world.connector import (
    Capabilities,
    Charge,
    Connector,
    Order,
    Page,
    Repayment,
    Standing,
    Unfit,
)
from app.world.outcome import Done, No, Outcome
from jobs.billing import Books
from tests.probe import leases_run_out, rows
from tests.world import Town, row

LEASE = timedelta(minutes=1)


class Killed(BaseException):
    """The process is gone: nothing of it runs any more."""


@dataclass
class FakeBooks:
    """Who is subscribed, what was charged and given back; `before` is called before each answer."""

    town: Town
    size: int = 10
    capabilities: Capabilities = field(default_factory=Capabilities)
    people: dict[str, Facts] = field(default_factory=dict)
    unfit: dict[str, str] = field(default_factory=dict)
    made: list[Charge] = field(default_factory=list)
    given: dict[str, Repayment] = field(default_factory=dict)
    asked: list[tuple[str, Any]] = field(default_factory=list)
    before: Callable[[str, Any], None] = lambda _kind, _what: None
    after_refund: Callable[[], None] = lambda: None

    def _answers(self, kind: str, what: Any) -> None:
        self.asked.append((kind, what))
        self.before(kind, what)

    # --- what it holds -----------------------------------------------------------------------

    def has(self, *people: dict[str, str]) -> None:
        """Hold these, as an import file would write them."""
        self.people |= {each["id"]: read_row(each) for each in people}

    def changes(self, name: str, **changes: Any) -> None:
        """Hold somebody otherwise."""
        self.has(row(name, **changes))

    def charges_for(self, name: str, at: datetime, amount: int = 1349, **more: Any) -> Charge:
        """Charge somebody, whether or not that is right."""
        made = Charge(f"ch_{len(self.made)}", name, at, amount, more.pop("currency", "GBP"), **more)
        self.made.append(made)
        return made

    def gives_back(self, charge: str, amount: int) -> None:
        """Give money back by hand, at billing."""
        self.made = [
            replace(each, refunded=each.refunded + amount) if each.id == charge else each
            for each in self.made
        ]

    # --- the connector -------------------------------------------------------------------------

    def look(self, subscription: str) -> Facts | None:
        """Give somebody as they are."""
        self._answers("look", subscription)
        if subscription in self.unfit:
            raise Unfit(self.unfit[subscription])
        found = self.people.get(subscription)
        return found and replace(found, told_at=self.town.clock.now())

    def page(self, after: str | None) -> Page[Facts]:
        """Give a page, by name."""
        self._answers("page", after)
        now = self.town.clock.now()
        there = {n for n, each in self.people.items() if each.status != "canceled"} | {*self.unfit}
        names = sorted(name for name in there if name > (after or ""))[: self.size]
        items = [replace(self.people[n], told_at=now) for n in names if n not in self.unfit]
        refused = tuple((n, self.unfit[n]) for n in names if n in self.unfit)
        return Page(tuple(items), names[-1] if len(names) == self.size else None, refused)

    def charges(self, since: datetime, after: str | None) -> Page[Charge]:
        """Give a page of charges, as they were made."""
        self._answers("charges", after)
        start = int(after or 0)
        found = [each for each in self.made if each.at >= since]
        some = tuple(found[start : start + self.size])
        return Page(some, str(start + self.size) if len(found) > start + self.size else None)

    def refund(self, repayment: Repayment) -> Outcome:
        """Give back once for each key, and never more than was taken."""
        self._answers("refund", repayment.key)
        if repayment.key not in self.given:
            (charge,) = (each for each in self.made if each.id == repayment.charge)
            if charge.refunded + repayment.amount > charge.amount:
                return No("less is left")
            self.given[repayment.key] = repayment
            self.gives_back(charge.id, repayment.amount)
        elif self.given[repayment.key] != repayment:
            return No("the key is known for something else")
        self.after_refund()
        return Done()

    def carry_out(self, order: Order) -> Outcome:
        """Do nothing."""
        raise AssertionError(order)

    def read(self, order: Order) -> Standing | None:
        """Know nothing."""
        raise AssertionError(order)

    # --- looking -------------------------------------------------------------------------------

    def calls(self, kind: str) -> list[Any]:
        """Give what it was asked, of one kind."""
        return [what for each, what in self.asked if each == kind]


def on_books(town: Town) -> FakeBooks:
    """Put a town's product on a billing system that keeps its own accounts."""
    rows(town.database, "update product set billing = 'standard' where key = :key", key=town.key)
    return FakeBooks(town)


def books_of(town: Town, billing: Connector, **more: Any) -> Books:
    """Give what keeps the books of a town with a billing system."""
    return Books(town.database, town.clock, lambda _: billing, LEASE, **more)


def kept(books: Books, *jobs: str) -> None:
    """Keep the books, or do some jobs, until nothing is left that can be done now."""
    for _ in range(50):
        if not any(books.work(job, "tv", lambda: True)[0] for job in jobs or BOOKS):
            return
    raise AssertionError("the books are never done")


def kept_through_deaths(town: Town, billing: Connector, dies_at: int) -> bool:
    """Keep the books by a worker that dies at a step, and then by others; whether it died."""
    left = [dies_at]

    def step(_: str) -> None:
        left[0] -= 1
        if left[0] == 0:
            raise Killed

    try:
        kept(books_of(town, billing, after_step=step))
    except Killed:
        leases_run_out(town)
        kept(books_of(town, billing))
        return True
    return False


def result(town: Town) -> Counter[str]:
    """Give what the last whole comparison counted, without what is nought."""
    found = rows(
        town.database,
        "select result from reconciliation where product_id = :id",
        id=town.product.id,
    )
    counts = found[0][0] if found else None
    assert counts is not None, "no run has ended"
    return Counter({what: many for what, many in counts.items() if many})
