"""Stripe's messages: is it Stripe that sent this, and what ought we to look at.

A message is a hint. It names a subscription, or a customer for all of theirs, which are then read
back: what it shows may be old, and of two that cross nobody knows which came first. So nothing it
says of an object is taken over, and lost, doubled and reversed messages do no harm.

A dispute or a refund names only the payment that it takes back. That is noted in the place of the
subscription, and `Stripe.look` asks whose it was: while Stripe waits for our answer, nobody is.

Of a dispute its id and whether it has ended are taken over: it ends once, and then nothing that was
told of it before counts any more.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime
from itertools import product

from app.rows import RowRefused
from app.signing import MOST_SIGNATURES, TOLERANCE, Headers, NotSigned
from app.world.connector import Dispute, Event
from app.world.document import Unreadable, parsed
from app.world.stripe.fields import Node, is_id

SIGNATURE = "stripe-signature"
LONGEST_HEADER = 4096
_PART = re.compile(r"([a-z][a-z0-9]{0,9})=([A-Za-z0-9+/=_-]{1,256})")
_SECONDS = re.compile(r"[0-9]{1,12}")
_TYPE = re.compile(r"[a-z0-9_.\[\]-]{1,100}")
_V1 = re.compile(r"[0-9a-f]{64}")

CUSTOMERS = frozenset({"customer.created", "customer.updated", "customer.deleted"})
"""What is told of a customer beside them (cards, tax ids, discounts) changes nothing of ours."""
RETURN = "return"
DISPUTE = "dispute"
HINTS = {
    "customer.subscription.": "subscription",
    "invoice.": "invoice",
    "charge.dispute.": DISPUTE,
    "charge.refund.": RETURN,
    "refund.": RETURN,
    "charge.": "charge",
}
"""How types begin, and what kind of object they are then about; the first that fits counts."""
CLOSED = "charge.dispute.closed"
OVER = frozenset({"won", "lost", "warning_closed", "prevented"})
"""The statuses of a dispute that has ended."""
ELSEWHERE = " (of another account)"
"""Put behind the type of a message that is about an account connected to ours: `inbox list`
shows it, as the reason why it was passed over."""


# --- signed? ---------------------------------------------------------------------------------


def verify(secrets: Sequence[str], headers: Headers, body: bytes, now: datetime) -> str:
    """Give the id of a message that one of the secrets signed within five minutes of `now`.

    NotSigned whatever else is the matter. A body without an id is known by its own hash, so that
    it can be kept for an operator. It takes as long whichever secret or signature fits.
    """
    seconds, given = _parts(headers)
    if abs(int(seconds) - now.timestamp()) > TOLERANCE:
        raise NotSigned
    signed = f"{seconds}.".encode() + body
    expected = [
        hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
        for secret in secrets
        if secret
    ]
    pairs = product(expected, given)
    if not any([hmac.compare_digest(ours, theirs) for ours, theirs in pairs]):  # noqa: C419 - all
        raise NotSigned
    return _message_id(body)


def _parts(headers: Headers) -> tuple[str, list[str]]:
    """Give the moment and the signatures; there is one header, and it names one moment."""
    found = [value for name, value in headers.items() if name.lower() == SIGNATURE]
    if len(found) != 1 or len(found[0]) > LONGEST_HEADER:
        raise NotSigned
    parts = [_PART.fullmatch(each.strip(" ")) for each in found[0].split(",")]
    if not all(parts):
        raise NotSigned
    pairs = [each.groups() for each in parts if each]
    moments = [value for name, value in pairs if name == "t"]
    given = [value for name, value in pairs if name == "v1"]
    formed = len(moments) == 1 and _SECONDS.fullmatch(moments[0]) and all(map(_V1.fullmatch, given))
    if not formed or not 0 < len(given) <= MOST_SIGNATURES:
        raise NotSigned
    return moments[0], given


def _message_id(body: bytes) -> str:
    try:
        found = parsed(body).get("id")
    except Unreadable:
        found = None
    if isinstance(found, str) and is_id(found):
        return found
    return f"body_{hashlib.sha256(body).hexdigest()}"


# --- what about? -----------------------------------------------------------------------------


def read(body: bytes, now: datetime) -> Event:  # noqa: ARG001 - a hint may be of any age
    """Say what a message is a hint of; nothing that it may hold raises anything."""
    told, at = None, None
    try:
        event = Node(parsed(body))
        told = _type(event)
        if event.text("account"):
            # Also where it is our own account that is named: then the endpoint is the platform's.
            return Event(told + ELSEWHERE)
        hint = _hint(told)
        if hint is None:
            return Event(told)
        at = event.needed_moment("created")
        return _hinted(told, at, hint, _object(event))
    except Unreadable as unreadable:
        return Event(told, at, wrong=str(unreadable))
    except RowRefused as refused:
        return Event(told, at, wrong=f"{refused.plain}: have Stripe send it as {_MEND}")


_MEND = "its documentation shows it, unchanged"


def _type(event: Node) -> str:
    found = event.text("type")
    if not _TYPE.fullmatch(found):
        raise event.odd("type", "is no name of an event")
    return found


def _object(event: Node) -> Node:
    data = event.node("data")
    found = data.node("object") if data else None
    if found is None:
        raise event.odd("data.object", "is missing")
    return found


def _hint(told: str) -> str | None:
    """Give what kind of object a type is about, of those that matter to us."""
    if told in CUSTOMERS:
        return "customer"
    return next((kind for start, kind in HINTS.items() if told.startswith(start)), None)


def _hinted(told: str, at: datetime, hint: str, about: Node) -> Event:
    if hint == "subscription":
        return Event(told, at, look=(about.needed_id(),))
    if hint == "customer":
        return Event(told, at, customers=(about.needed_id(),))
    return _disputed(told, at, about) if hint == DISPUTE else _charged(told, at, hint, about)


def _charged(told: str, at: datetime, hint: str, about: Node) -> Event:
    """Tell whom an invoice, a charge or what takes one back is about."""
    subscription = of_invoice(about) if hint == "invoice" else _of_charge(about)
    if subscription is not None:
        return Event(told, at, look=(subscription,))
    if hint == "invoice":
        return Event(told, at)  # of a single sale: no subscription is charged
    customer = _customer_of(about)
    if customer is not None:
        return Event(told, at, customers=(customer,))
    # A charge without a customer is none of a subscription: each subscription has one.
    intent = about.id("payment_intent") if hint == RETURN else None
    return Event(told, at, look=(intent,) if intent else ())


def _disputed(told: str, at: datetime, about: Node) -> Event:
    """Tell of a dispute; the payment says whose it is where the dispute does not."""
    intent, customer = about.id("payment_intent"), _customer_of(about)
    named = _of_charge(about) or intent
    customers = (customer,) if customer is not None else ()
    look, number = (named,) if named else (), about.id()
    if number is None or not (named or customers):
        return Event(told, at, look=look, customers=customers)
    ended = told == CLOSED or about.text("status") in OVER
    found = Dispute(number, named, () if named else customers, ended=ended)
    return Event(told, at, look=look, customers=customers, dispute=found)


def of_invoice(invoice: Node) -> str | None:
    """Give the subscription of an invoice, as Stripe names it now and as it did before 2025."""
    parent = invoice.node("parent")
    details = parent.node("subscription_details") if parent else None
    if details is not None:
        return details.id("subscription")
    return invoice.id("subscription")


def _of_charge(about: Node) -> str | None:
    """Give the subscription of a charge where it shows its invoice; today's names none."""
    for holder in (about, _shown(about, "charge"), _shown(about, "payment_intent")):
        invoice = _shown(holder, "invoice") if holder else None
        if invoice is not None:
            return of_invoice(invoice)
    return None


def _customer_of(about: Node) -> str | None:
    """Give the customer of a charge, or of the charge that a dispute or refund shows."""
    for holder in (about, _shown(about, "charge"), _shown(about, "payment_intent")):
        found = holder.id("customer") if holder else None
        if found is not None:
            return found
    return None


def _shown(about: Node | None, name: str) -> Node | None:
    """Give what stands in the place of an id; None where it is only the id."""
    return about.expanded(name) if about else None
