"""Brings what Stripe says of a subscription into our own few facts, by the rules of an import.

- **plan**: the nickname of the price, else the name of the product, else the lookup key, else the
  price's id; of several items all of them, the dearest first.
- **amount**: what a period costs before discounts and taxes, in Stripe's smallest unit, which is
  ours, zero-decimal currencies too. Metered items add nothing: who uses nothing pays nothing.
- **interval**: what we can say: 12 months are a year and 7 days a week; others are refused.
- **status**: see `STATUSES`; a pause of any kind is `paused`. Who ends with the period that runs
  has canceled: `canceled`, and `renews_at` says until when the time lasts.
- **renews_at**: the earliest end of a period among the items.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation

from app import rows
from app.rows import Facts, RowRefused
from app.world.stripe.fields import Node

STATUSES: Mapping[str, str] = {
    "active": "active",
    "trialing": "trialing",
    "past_due": "past_due",
    # Stripe has given up trying, or waits for the first payment: it is owed, and not paused.
    "unpaid": "past_due",
    "incomplete": "past_due",
    "paused": "paused",
    "canceled": "canceled",
    "incomplete_expired": "canceled",
}
ENDED = frozenset({"canceled", "incomplete_expired"})
SAME = {("month", 12): "year", ("day", 7): "week"}
"""Intervals that have a name of their own."""


@dataclass(frozen=True, slots=True)
class Missing:
    """What stands in where a customer does not say it."""

    country: Callable[[], str]
    locale: Callable[[], str]
    timezone: Callable[[], str]


ProductName = Callable[[str], str]
"""Gives the name of a product by its id; empty where it has none."""


def facts(of: Node, missing: Missing, product_name: ProductName, told_at: datetime) -> Facts:
    """Give the facts of a subscription whose `customer` is expanded; RowRefused says why not."""
    items = of.node("items")
    prices = [_Item(each) for each in items.nodes()] if items else []
    if not prices or (items and items.flag("has_more")):
        raise of.odd("items", "are none, or more than one page of them")
    start = of.needed_moment("start_date")
    row = _person(of.expanded("customer"), missing) | {
        "id": of.needed_id(),
        "customer": of.needed_id("customer"),
        "plan": _plan(prices, product_name),
        "amount": str(sum(each.amount for each in prices)),
        "currency": of.text("currency"),
        "interval": _interval(prices),
        "started_at": start.isoformat(),
        "renews_at": _renews_at(of),
        "status": status(of),
    }
    return rows.read(row, told_at)


# --- how it stands ---------------------------------------------------------------------------


def status(of: Node) -> str:
    """Give the status in our words; RowRefused where Stripe has found a new one."""
    found = STATUSES.get(of.text("status"))
    if found is None:
        raise of.odd("status", "is none that this release knows: install a newer one")
    if found != "canceled" and of.node("pause_collection") is not None:
        return "paused"
    return "canceled" if is_leaving(of) else found


def is_ended(of: Node) -> bool:
    """Say whether it is over."""
    return of.text("status") in ENDED


def is_leaving(of: Node) -> bool:
    """Say whether it ends, or ended, with the period that runs, and is not charged again."""
    if is_ended(of) or of.flag("cancel_at_period_end"):
        return True
    ends = of.moment("cancel_at")
    return ends is not None and ends <= period_end(of)


def period_end(of: Node) -> datetime:
    """Give the earliest end of a period: since 2025 each item has its own."""
    items = of.node("items")
    ends = [each.needed_moment("current_period_end") for each in items.nodes()] if items else []
    if not ends:
        raise of.odd("items", "are none")
    return min(ends)


def _renews_at(of: Node) -> str:
    return "" if is_ended(of) else period_end(of).isoformat()


# --- what it costs ---------------------------------------------------------------------------


class _Item:
    """One item of a subscription, and what its price says."""

    def __init__(self, item: Node) -> None:
        price, recurring = item.node("price"), None
        if price is not None:
            recurring = price.node("recurring")
        if price is None or recurring is None:
            raise item.odd("price", "is missing, or is paid only once")
        self.price, self.recurring = price, recurring
        self.id = item.id() or ""
        quantity = item.whole("quantity")
        self.amount = 0 if self.metered else _amount(price, 1 if quantity is None else quantity)

    @property
    def metered(self) -> bool:
        return self.recurring.text("usage_type") == "metered"


def _amount(price: Node, quantity: int) -> int:
    packages = price.node("transform_quantity")
    if packages is not None:
        by = packages.whole("divide_by")
        if not by or by < 0:
            raise packages.odd("divide_by", "is no number of pieces")
        up = packages.text("round") == "up"
        quantity = -(-quantity // by) if up else quantity // by
    if price.whole("unit_amount") is not None:
        return (price.whole("unit_amount") or 0) * quantity
    try:
        exact = Decimal(price.text("unit_amount_decimal")) * quantity
        return int(exact.quantize(Decimal(1), ROUND_HALF_UP))
    except (InvalidOperation, OverflowError, ValueError):
        raise price.odd("unit_amount", "is missing: prices in tiers have no one amount") from None


def _interval(items: list[_Item]) -> str:
    found = set()
    for each in items:
        count = each.recurring.whole("interval_count")
        found.add((each.recurring.text("interval"), 1 if count is None else count))
    if len(found) > 1:
        raise RowRefused("interval", "differs between the items: one subscription, one interval")
    interval, count = found.pop()
    if count == 1:
        return interval
    if (interval, count) not in SAME:
        raise RowRefused("interval", f"is {count} of a kind: one day, week, month or year is not")
    return SAME[interval, count]


def _plan(items: list[_Item], product_name: ProductName) -> str:
    dearest = sorted(items, key=lambda each: (-each.amount, each.id))
    names = dict.fromkeys(_name(each.price, product_name) for each in dearest)
    return " + ".join(names)[: rows.LONGEST]


def _name(price: Node, product_name: ProductName) -> str:
    """Give the first name that there is; the product is asked only where it is needed."""
    if nickname := price.text("nickname").strip():
        return nickname
    product = price.id("product")
    named = product_name(product).strip() if product else ""
    return named or price.text("lookup_key").strip() or price.needed_id()


# --- whose it is -----------------------------------------------------------------------------


def _person(customer: Node | None, missing: Missing) -> dict[str, str]:
    """Give the contact; of a deleted customer nothing is left but what stands in for it."""
    if customer is None or customer.flag("deleted"):
        customer = Node({})
    address, notes = customer.node("address"), customer.node("metadata")
    locales = customer.held.get("preferred_locales") or [""]
    if not isinstance(locales, list) or not isinstance(locales[0], str):
        raise customer.odd("preferred_locales", "is no list of texts")
    return {
        "email": customer.text("email"),
        "locale": locales[0] or missing.locale(),
        "country": (address.text("country") if address else "") or missing.country(),
        "timezone": (notes.text("timezone") if notes else "") or missing.timezone(),
    }
