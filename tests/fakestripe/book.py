"""Everything one account has in one mode: objects, events, clocks, and how cards behave."""

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from heapq import heappop, heappush
from typing import Any, Protocol, TypeVar
from zlib import crc32

from tests.fakestripe.errors import missing
from tests.fakestripe.events import Event
from tests.fakestripe.periods import DAY
from tests.fakestripe.records import (
    Charge,
    CreditNote,
    Customer,
    Dispute,
    Intent,
    Invoice,
    Payment,
    Price,
    Product,
    Record,
    Refund,
    Subscription,
    TestClock,
)

KINDS: dict[type[Record], tuple[str, str]] = {
    Charge: ("ch", "charge"),
    CreditNote: ("cn", "credit note"),
    Customer: ("cus", "customer"),
    Dispute: ("dp", "dispute"),
    Event: ("evt", "event"),
    Intent: ("pi", "payment_intent"),
    Invoice: ("in", "invoice"),
    Payment: ("inpay", "invoice_payment"),
    Price: ("price", "price"),
    Product: ("prod", "product"),
    Refund: ("re", "refund"),
    Subscription: ("sub", "subscription"),
    TestClock: ("clock", "test clock"),
}
"""The prefix of ids, and what a refusal calls it."""
PREFIXES = {prefix: kind for kind, (prefix, _) in KINDS.items()}
EVENTS_KEPT = 30 * DAY
"""Seconds that /v1/events goes back, as Stripe's does."""

Any_ = TypeVar("Any_", bound=Record)


class Step(IntEnum):
    """What the clock does at a moment; at the same moment in this order."""

    COLLECT_AGAIN = 0
    CANCEL = 1
    EXPIRE = 2
    GIVE_UP_RESUMING = 3
    CYCLE = 4
    FINALIZE = 5
    RETRY = 6
    OVERDUE = 7
    TRIAL_ENDS_SOON = 8


class Timeline:
    """A clock and what is due on it; a customer of a test clock has another."""

    def __init__(self, now: int) -> None:
        self.now = now
        self._due: list[tuple[int, int, int, str]] = []
        self._count = 0

    def at(self, moment: int | None, step: Step, id_: str) -> None:
        """Note a step; it looks for itself whether it is still due when it comes up."""
        if moment is not None:
            self._count += 1
            heappush(self._due, (moment, step, self._count, id_))

    def until(self, end: int) -> Iterator[tuple[Step, str]]:
        """Walk to a moment and give what comes up on the way, the clock standing there."""
        while self._due and self._due[0][0] <= end:
            moment, step, _, id_ = heappop(self._due)
            # What was due before now is done now: a clock never goes back.
            self.now = max(self.now, moment)
            yield Step(step), id_
        self.now = max(self.now, end)


class Ids:
    """Ids that are unique, the same for the same seed, and in no order."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._count = 0

    def __call__(self, prefix: str) -> str:
        self._count += 1
        # An odd factor: each count its own number.
        mixed = (self._count * 0x9E3779B97F4A7C15 + self._seed * 0xD1B54A32D192ED03) % 2**64
        return f"{prefix}_1{mixed:016x}"


class Shelf:
    """Records of one kind in the order they came."""

    def __init__(self) -> None:
        self.ids: list[str] = []
        self.records: dict[str, Any] = {}

    def put(self, record: Record) -> Any:
        """Keep a record and give the one it replaces."""
        before = self.records.get(record.id)
        if before is None:
            self.ids.append(record.id)
        self.records[record.id] = record
        return before

    def forget_before(self, moment: int) -> None:
        """Drop the oldest records; they must have come in the order they were created."""
        gone = 0
        while gone < len(self.ids) and self.records[self.ids[gone]].created < moment:
            del self.records[self.ids[gone]]
            gone += 1
        del self.ids[:gone]


@dataclass
class Cards:
    """Whether a charge succeeds. Set `share`, `rule` or name customers; all of it is repeatable."""

    seed: int
    declined: dict[str, str] = field(default_factory=dict)
    """Customer -> decline code."""
    share: float = 0.0
    """Of all attempts, by seed."""
    rule: Callable[[Invoice, int], str | None] | None = None
    """From an invoice and the number of the attempt to a decline code, or None to pay."""

    def decline(self, invoice: Invoice, method: str) -> str | None:
        """Give the decline code of the next attempt, or None where it is paid."""
        if "Fail" in method or "Declined" in method:
            return "generic_decline"  # as of Stripe's test cards: pm_card_chargeCustomerFail
        if self.rule is not None:
            return self.rule(invoice, invoice.attempts + 1)
        if invoice.customer in self.declined:
            return self.declined[invoice.customer]
        if self.share:
            drawn = crc32(f"{self.seed}:{invoice.id}:{invoice.attempts}".encode()) / 2**32
            return "insufficient_funds" if drawn < self.share else None
        return None


@dataclass
class Habits:
    """What an account has set up; seconds, and the prices of a Stripe account's defaults."""

    finalize_after: int = 3_600
    """From the draft of a renewal to its charge."""
    retry_after: tuple[int, ...] = (3 * DAY, 5 * DAY, 6 * DAY)
    """From each failed attempt to the next."""
    after_retries: str = "cancel"
    """What becomes of the subscription then: `cancel`, `unpaid` or `past_due`."""
    can_pause: bool = True
    """Whether the account may pause natively."""


class Listener(Protocol):
    """Somebody who is told of events."""

    def offer(self, event: Event) -> None: ...


class Book:
    """The state of one account in one mode."""

    def __init__(self, ids: Ids, now: int, seed: int, *, live: bool) -> None:
        self.live = live
        self.new_id = ids
        self.habits = Habits()
        self.cards = Cards(seed)
        self.main = Timeline(now)
        self.timeline = self.main
        self.clocks: dict[str, Timeline] = {}
        self.shelves = {kind: Shelf() for kind in KINDS}
        self.invoices_of: defaultdict[str, list[str]] = defaultdict(list)
        self.listeners: list[Listener] = []
        self.changes = 0
        self.request: str | None = None
        self.key: str | None = None

    @property
    def now(self) -> int:
        """Give the moment on the clock that is being looked at."""
        return self.timeline.now

    def look_at(self, customer: str | None) -> None:
        """Look at the clock of a customer; at the main one without."""
        found = self.find(Customer, customer or "")
        clock = None if found is None else found.test_clock
        self.timeline = self.main if clock is None else self.clocks[clock]

    def find(self, kind: type[Any_], id_: str) -> Any_ | None:
        found: Any_ | None = self.shelves[kind].records.get(id_)
        return found

    def get(self, kind: type[Any_], id_: str, *, param: str = "id") -> Any_:
        """Give a record; without it refuse as Stripe does."""
        found = self.find(kind, id_)
        if found is None:
            raise missing(KINDS[kind][1], id_, param=param)
        return found

    def all(self, kind: type[Any_]) -> list[Any_]:
        """Give all records of a kind, oldest first."""
        shelf = self.shelves[kind]
        return [shelf.records[id_] for id_ in shelf.ids]

    def invoices(self, subscription: str) -> list[Invoice]:
        """Give the invoices of a subscription, oldest first."""
        kept = self.shelves[Invoice].records
        return [kept[id_] for id_ in self.invoices_of[subscription]]

    def put(self, record: Any_, *happened: str) -> Any_:
        """Keep a record and tell what happened, by types of events."""
        before = self.shelves[type(record)].put(record)
        self.changes += 1
        if before is None and isinstance(record, Invoice) and record.subscription is not None:
            self.invoices_of[record.subscription].append(record.id)
        for type_ in happened:
            self._tell(type_, before, record)
        return record

    def change(self, record: Any_, *happened: str) -> Any_:
        """Keep a record if it differs from what is kept."""
        if self.find(type(record), record.id) == record:
            return record
        return self.put(record, *happened)

    def tell(self, type_: str, record: Record) -> None:
        """Tell of something that changed no record."""
        self._tell(type_, None, record)

    def _tell(self, type_: str, before: Record | None, after: Record) -> None:
        event = Event(
            id=self.new_id("evt"),
            created=self.timeline.now,
            type=type_,
            before=before,
            after=after,
            request=self.request,
            key=self.key,
        )
        self.shelves[Event].put(event)
        for listener in self.listeners:
            listener.offer(event)
