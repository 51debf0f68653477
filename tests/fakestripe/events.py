"""Events: what changed, when, and at whose request; their JSON is made when somebody reads it."""

from collections.abc import Callable
from typing import Any

from tests.fakestripe import bills, receipts, shapes
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

SHAPES: dict[type[Record], Callable[..., shapes.Shape]] = {
    Charge: receipts.charge,
    CreditNote: receipts.credit_note,
    Customer: shapes.customer,
    Dispute: receipts.dispute,
    Intent: receipts.intent,
    Invoice: bills.invoice,
    Payment: bills.payment,
    Price: shapes.price,
    Product: shapes.product,
    Refund: receipts.refund,
    Subscription: shapes.subscription,
    TestClock: shapes.clock,
}
UPDATES = (".updated", "charge.refunded")
"""Ends of the types that say what was before."""


class Event(Record, frozen=True, kw_only=True, gc=False):
    """Something that happened; the clock does not name a request."""

    type: str
    before: Record | None
    after: Record
    request: str | None = None
    key: str | None = None


def shape(record: Record, *, live: bool) -> shapes.Shape:
    """Give the JSON of any record, as the API gives it."""
    return SHAPES[type(record)](record, live=live)


def event(record: Event, *, live: bool, version: str, pending: int) -> shapes.Shape:
    """Give the JSON of an event; `pending`: endpoints that have not taken it yet."""
    data: shapes.Shape = {"object": shape(record.after, live=live)}
    if record.before is not None and record.type.endswith(UPDATES):
        data["previous_attributes"] = changed(shape(record.before, live=live), data["object"])
    return {
        **shapes.head(record, "event", live=live),
        "api_version": version,
        "data": data,
        "pending_webhooks": pending,
        "request": {"id": record.request, "idempotency_key": record.key},
        "type": record.type,
    }


def changed(before: Any, after: Any) -> Any:
    """Give what was before, of what is different now; a key that is new was null."""
    if not (isinstance(before, dict) and isinstance(after, dict)):
        return before
    keys = [*before, *(key for key in after if key not in before)]
    return {
        key: changed(before.get(key), after.get(key))
        for key in keys
        if before.get(key) != after.get(key)
    }
