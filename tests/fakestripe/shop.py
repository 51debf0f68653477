"""One account in one mode as a test sees it: what to set up, and what to read out."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from threading import RLock
from typing import Any

from msgspec.structs import replace

from tests.fakestripe import api, billing, life, returns, standing
from tests.fakestripe.account import Account
from tests.fakestripe.book import Book, Cards, Habits
from tests.fakestripe.events import Event
from tests.fakestripe.hooks import Endpoint
from tests.fakestripe.records import (
    Charge,
    Customer,
    Dispute,
    Invoice,
    Price,
    Product,
    Subscription,
)

CARD = "pm_card_visa"


def seconds(moment: int | datetime) -> int:
    """Give a moment as Stripe writes it."""
    return int(moment.timestamp()) if isinstance(moment, datetime) else moment


class Shop:
    """Sets up and reads out, without HTTP; every method takes the fake's lock."""

    def __init__(self, account: Account, book: Book, lock: RLock) -> None:
        self.account = account
        self.book = book
        self.lock = lock

    @property
    def key(self) -> str:
        """Give a secret key of this account in this mode."""
        return f"sk_{'live' if self.book.live else 'test'}_{self.account.name}"

    @property
    def habits(self) -> Habits:
        return self.book.habits

    @property
    def cards(self) -> Cards:
        return self.book.cards

    # --- setting up ---

    def customer(self, email: str | None = "a@example.com", **more: Any) -> Customer:
        """Add a customer who pays by card; `more`: fields of `records.Customer`."""
        with self.lock:
            fields = {"payment_method": CARD, **more}
            new = Customer(id=self.book.new_id("cus"), created=self.book.now, email=email, **fields)
            return self.book.put(new, "customer.created")

    def price(  # noqa: PLR0913 - all optional
        self,
        unit_amount: int = 999,
        interval: str = "month",
        *,
        interval_count: int = 1,
        currency: str = "eur",
        product: str | None = None,
        name: str = "Plus",
        **more: Any,
    ) -> Price:
        """Add a recurring price, of a new product unless one is named."""
        with self.lock:
            book, now = self.book, self.book.now
            if product is None:
                new = Product(id=book.new_id("prod"), created=now, updated=now, name=name)
                product = book.put(new, "product.created").id
            price = Price(
                id=book.new_id("price"),
                created=now,
                product=product,
                currency=currency,
                unit_amount=unit_amount,
                interval=interval,
                interval_count=interval_count,
                **more,
            )
            return book.put(price, "price.created")

    def subscribe(
        self,
        customer: Customer | str | None = None,
        prices: Price | Sequence[Price] | None = None,
        *,
        quantity: int = 1,
        start: int | datetime | None = None,
        **more: Any,
    ) -> Subscription:
        """Begin a subscription, of a new customer and price unless they are named.

        `start`: it began in the past and was paid until now, so that nothing is charged.
        `more`: fields of `life.Wish`, e.g. trial_end, flexible, cancel_at, metadata.
        """
        with self.lock:
            who = customer if customer is not None else self.customer()
            what = prices if prices is not None else self.price()
            many = [what] if isinstance(what, Price) else what
            wish = life.Wish(
                customer=who if isinstance(who, str) else who.id,
                prices=[(each, quantity, {}) for each in many],
                start=None if start is None else seconds(start),
                **more,
            )
            self.book.look_at(wish.customer)
            begun = life.begin(self.book, wish)
            self.book.look_at(None)
            return begun

    def decline(self, customer: Customer | str, code: str = "insufficient_funds") -> None:
        """Let every charge of a customer fail from now on."""
        self.cards.declined[_id(customer)] = code

    def accept(self, customer: Customer | str) -> None:
        """Let them succeed again."""
        self.cards.declined.pop(_id(customer), None)

    def portal_cancel(self, subscription: Subscription | str) -> Subscription:
        """Cancel as a customer does in Stripe's portal: flexible billing only sets `cancel_at`."""
        with self.lock:
            of = self.subscription(subscription)
            last = max(item.end for item in of.items)
            planned = life.ending(self.book, of, last, at_end=not of.flexible)
            return life.save(self.book, planned)

    def update(self, subscription: Subscription | str, **fields: Any) -> Subscription:
        """Change a subscription behind everybody's back; `fields` of `records.Subscription`."""
        with self.lock:
            return life.save(self.book, replace(self.subscription(subscription), **fields))

    def cancel(self, subscription: Subscription | str) -> Subscription:
        """Cancel at once, as from the dashboard."""
        with self.lock:
            of = self.subscription(subscription)
            return standing.end(self.book, of, reason="cancellation_requested")

    def pay(self, invoice: Invoice | str) -> Invoice:
        """Try to charge an open invoice now, as Stripe's smart retries may at any moment."""
        with self.lock:
            return billing.attempt(self.book, self.book.get(Invoice, _id(invoice)))

    def dispute(self, charge: Charge | str, reason: str = "fraudulent") -> Dispute:
        """Have a payer's bank take a charge back."""
        with self.lock:
            return returns.raise_dispute(self.book, self.book.get(Charge, _id(charge)), reason)

    def close_dispute(self, dispute: Dispute | str, status: str = "lost") -> Dispute:
        """End a dispute: `won` or `lost`."""
        with self.lock:
            return returns.conclude(self.book, self.book.get(Dispute, _id(dispute)), status)

    def webhook(
        self,
        url: str | None = None,
        *,
        types: Sequence[str] = ("*",),
        secret: str = "whsec_test",  # noqa: S107 - opens nothing
        late: int = 0,
    ) -> Endpoint:
        """Have events kept for delivery from now on; `types` are patterns."""
        with self.lock:
            version = self.account.version
            endpoint = Endpoint(self.book, self.lock, secret, version, types, url, late)
            self.book.listeners.append(endpoint)
            return endpoint

    # --- reading out ---

    def subscriptions(self) -> list[Subscription]:
        with self.lock:
            return self.book.all(Subscription)

    def subscription(self, named: Subscription | str) -> Subscription:
        """Give a subscription as it is now."""
        with self.lock:
            return self.book.get(Subscription, _id(named))

    def invoices(self, of: Subscription | str | None = None) -> list[Invoice]:
        """Give invoices, oldest first."""
        with self.lock:
            return self.book.all(Invoice) if of is None else self.book.invoices(_id(of))

    def charges(
        self, of: Subscription | str | None = None, *, failed: bool = False
    ) -> list[Charge]:
        """Give the charges that took money, oldest first; `failed`: those too that did not."""
        with self.lock:
            return [
                each
                for each in self.book.all(Charge)
                if (each.paid or failed) and (of is None or each.subscription == _id(of))
            ]

    def charged_after(self, of: Subscription | str, moment: int | datetime) -> list[Charge]:
        """Give the charges of a subscription that took money after a moment."""
        return [each for each in self.charges(of) if each.created > seconds(moment)]

    def events(self, types: str = "*") -> list[Event]:
        """Give the events of the last 30 days, oldest first; `types` is a prefix with a star."""
        with self.lock:
            wanted = types.removesuffix("*")
            return [each for each in self.book.all(Event) if each.type.startswith(wanted)]

    def json(self, record: Any) -> Mapping[str, Any]:
        """Give a record as the API shows it."""
        with self.lock:
            return api.shown(self.book, record, self.account)


def _id(named: Any) -> str:
    return named if isinstance(named, str) else str(named.id)
