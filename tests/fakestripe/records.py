"""What the fake remembers: values that are never changed, only replaced.

An event keeps the records before and after; its JSON is made when somebody reads it. That is
what lets a year of 5,000 subscriptions fit in seconds and in memory (as does `gc=False`:
they make no cycles, so the collector need not look at them). Amounts are in the
smallest unit of the currency, moments in seconds since 1970.
"""

from collections.abc import Mapping

from msgspec import Struct, field

Notes = Mapping[str, str]


class Record(Struct, frozen=True, kw_only=True, gc=False):
    """An object with an id."""

    id: str
    created: int


class Customer(Record, frozen=True, kw_only=True, gc=False):
    email: str | None = None
    name: str | None = None
    phone: str | None = None
    description: str | None = None
    locales: tuple[str, ...] = ()
    address: Mapping[str, str | None] | None = None
    metadata: Notes = field(default_factory=dict)
    payment_method: str | None = None
    currency: str | None = None
    delinquent: bool = False
    test_clock: str | None = None
    deleted: bool = False


class Product(Record, frozen=True, kw_only=True, gc=False):
    name: str
    updated: int
    description: str | None = None
    active: bool = True
    metadata: Notes = field(default_factory=dict)


class Price(Record, frozen=True, kw_only=True, gc=False):
    product: str
    currency: str
    unit_amount: int
    interval: str | None = None
    """Absent: a price paid once."""
    interval_count: int = 1
    nickname: str | None = None
    lookup_key: str | None = None
    active: bool = True
    metadata: Notes = field(default_factory=dict)


class Item(Record, frozen=True, kw_only=True, gc=False):
    """A price of a subscription, with a period of its own."""

    price: Price
    quantity: int
    start: int
    end: int
    metadata: Notes = field(default_factory=dict)


class Pause(Struct, frozen=True):
    """What `pause_collection` holds."""

    behavior: str
    resumes_at: int | None = None


class Extra(Struct, frozen=True):
    """A proration that waits for the next invoice; negative is a credit."""

    amount: int
    description: str
    item: str
    start: int
    end: int


class Subscription(Record, frozen=True, kw_only=True, gc=False):
    customer: str
    status: str
    items: tuple[Item, ...]
    anchor: int
    start_date: int
    currency: str
    flexible: bool = True
    metadata: Notes = field(default_factory=dict)
    description: str | None = None
    payment_method: str | None = None
    collection: str = "charge_automatically"
    days_until_due: int | None = None
    latest_invoice: str | None = None
    pause: Pause | None = None
    paused_at: int | None = None
    paused_why: str | None = None
    resuming: str | None = None
    """The invoice whose payment ends a native pause."""
    resumes_when_paid: bool = False
    """Whether only a payment ends it, or a failed attempt too."""
    trial_start: int | None = None
    trial_end: int | None = None
    missing_method: str = "create_invoice"
    cancel_at: int | None = None
    cancel_at_period_end: bool = False
    canceled_at: int | None = None
    ended_at: int | None = None
    cancel_reason: str | None = None
    cancel_feedback: str | None = None
    cancel_comment: str | None = None
    extras: tuple[Extra, ...] = ()
    test_clock: str | None = None

    @property
    def ended(self) -> bool:
        return self.status in {"canceled", "incomplete_expired"}

    @property
    def period_end(self) -> int:
        """Give the earliest end of a period of its items."""
        return min(item.end for item in self.items)


class Line(Struct, frozen=True, kw_only=True, gc=False):
    id: str
    amount: int
    start: int
    end: int
    description: str
    item: str
    price: str
    product: str
    unit_amount: int
    quantity: int
    proration: bool = False


class Invoice(Record, frozen=True, kw_only=True, gc=False):
    customer: str
    subscription: str | None
    notes_then: Notes
    """The metadata of the subscription when the invoice was made."""
    status: str
    currency: str
    lines: tuple[Line, ...]
    reason: str
    period_start: int
    period_end: int
    total: int
    number: str | None = None
    paid: int = 0
    out_of_band: int = 0
    credited_before: int = 0
    credited_after: int = 0
    attempts: int = 0
    next_attempt: int | None = None
    auto_advance: bool = True
    finalizes_at: int | None = None
    finalized_at: int | None = None
    paid_at: int | None = None
    voided_at: int | None = None
    uncollectible_at: int | None = None
    collection: str = "charge_automatically"
    due_date: int | None = None
    email: str | None = None
    name: str | None = None
    description: str | None = None
    metadata: Notes = field(default_factory=dict)
    test_clock: str | None = None

    @property
    def due(self) -> int:
        return max(0, self.total) - self.credited_before

    @property
    def remaining(self) -> int:
        return self.due - self.paid - self.out_of_band


class Payment(Record, frozen=True, kw_only=True, gc=False):
    """What links an invoice and a payment intent (`invoice_payment`)."""

    invoice: str
    intent: str
    amount: int
    currency: str
    status: str = "open"
    paid_at: int | None = None
    canceled_at: int | None = None


class Intent(Record, frozen=True, kw_only=True, gc=False):
    customer: str
    invoice: str
    amount: int
    currency: str
    status: str
    received: int = 0
    charge: str | None = None
    method: str | None = None
    decline: str | None = None
    canceled_at: int | None = None


class Charge(Record, frozen=True, kw_only=True, gc=False):
    customer: str
    invoice: str
    subscription: str | None
    intent: str
    amount: int
    currency: str
    paid: bool
    decline: str | None = None
    refunded: int = 0
    disputed: bool = False
    method: str | None = None
    email: str | None = None
    name: str | None = None


class Refund(Record, frozen=True, kw_only=True, gc=False):
    charge: str
    intent: str
    amount: int
    currency: str
    reason: str | None = None
    status: str = "succeeded"
    metadata: Notes = field(default_factory=dict)


class CreditNote(Record, frozen=True, kw_only=True, gc=False):
    invoice: str
    customer: str
    currency: str
    number: str
    before: int = 0
    """Taken off an open invoice."""
    after: int = 0
    """Given back for a paid one: refunded, credited or out of band."""
    refund: str | None = None
    refunded: int = 0
    out_of_band: int = 0
    reason: str | None = None
    memo: str | None = None
    status: str = "issued"
    voided_at: int | None = None
    metadata: Notes = field(default_factory=dict)


class Dispute(Record, frozen=True, kw_only=True, gc=False):
    charge: str
    intent: str
    amount: int
    currency: str
    reason: str
    status: str = "needs_response"
    metadata: Notes = field(default_factory=dict)


class TestClock(Record, frozen=True, kw_only=True, gc=False):
    __test__ = False  # pytest would take the name for tests
    frozen: int
    name: str | None = None
    status: str = "ready"
    deletes_after: int = 0
