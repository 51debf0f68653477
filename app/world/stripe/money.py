"""What Stripe has charged for subscriptions, and money given back.

A charge no longer names its invoice: the payment of an invoice names the payment intent that the
charge belongs to. So paid invoices are read, newest first: everybody's of that time, and of the
customers of what is then left.
"""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from app.world.connector import Charge, Page, Repayment
from app.world.outcome import Done, No, Outcome
from app.world.stripe.calls import Api, Failed
from app.world.stripe.fields import Node, is_id
from app.world.stripe.messages import of_invoice

CHARGES, INVOICES, REFUNDS = "/v1/charges", "/v1/invoices", "/v1/refunds"
A_PAGE = 100
USUALLY_CHARGED_WITHIN = 2 * 3600
"""Seconds between a renewal's invoice and its charge; a charge tried again comes weeks later."""
MOST_AT_ONCE = 3
"""Pages of everybody's invoices that are read for one page of charges."""
MOST_PAGES = 20
"""Of the invoices of one customer: what is older than two thousand is no news."""
KEY = "reconfirm_key"
"""The metadata of a refund: under which key it was given."""
UNDONE = frozenset({"failed", "canceled"})


def charges(api: Api, since: datetime, after: str | None) -> Page[Charge]:
    """Give a page of the successful charges for subscriptions, newest first; raises Failed."""
    place = {"starting_after": after} if after else {}
    listed = api.get(CHARGES, created={"gte": int(since.timestamp())}, limit=A_PAGE, **place)
    everything = listed.nodes()
    taken = [each for each in everything if _was_taken(each)]
    whose = _subscriptions(api, taken)
    found = tuple(
        _charge(each, whose[intent])
        for each in taken
        if (intent := each.id("payment_intent")) is not None and intent in whose
    )
    more = listed.flag("has_more") and everything
    return Page(found, everything[-1].needed_id() if more else None)


def _was_taken(charge: Node) -> bool:
    return charge.flag("paid") and charge.text("status") == "succeeded"


def _charge(charge: Node, subscription: str) -> Charge:
    captured = charge.whole("amount_captured")
    return Charge(
        charge.needed_id(),
        subscription,
        charge.needed_moment("created"),
        (charge.whole("amount") or 0) if captured is None else captured,
        charge.text("currency").upper(),
        charge.whole("amount_refunded") or 0,
    )


def _subscriptions(api: Api, taken: list[Node]) -> dict[str, str]:
    """Give the subscription by payment intent, of those that paid for one.

    Most are of an invoice made just before; of the others the customer's invoices are asked.
    """
    left = {intent: each for each in taken if (intent := each.id("payment_intent")) is not None}
    found: dict[str, str] = {}
    if not left:
        return found
    made = [each.whole("created") or 0 for each in left.values()]
    recent = {"gte": min(made) - USUALLY_CHARGED_WITHIN, "lte": max(made)}
    _match(_paid(api, MOST_AT_ONCE, created=recent), left, found)
    for customer in {name for each in left.values() if (name := each.id("customer")) is not None}:
        _match(_paid(api, MOST_PAGES, customer=customer, created={"lte": max(made)}), left, found)
    return found


def _match(invoices: Iterator[Node], left: dict[str, Node], found: dict[str, str]) -> None:
    """Take out of `left` what these invoices were paid with; `found` gets what it was for."""
    for invoice in invoices:
        for intent in _intents(invoice) & left.keys():
            del left[intent]
            if (subscription := of_invoice(invoice)) is not None:
                found[intent] = subscription
        if not left:
            return


def _paid(api: Api, most: int, **which: Any) -> Iterator[Node]:
    """Walk so many pages of paid invoices, newest first."""
    place: dict[str, str] = {}
    for _ in range(most):
        listed = api.get(
            INVOICES, status="paid", limit=A_PAGE, expand=["data.payments"], **which, **place
        )
        invoices = listed.nodes()
        yield from invoices
        if not invoices or not listed.flag("has_more"):
            return
        place = {"starting_after": invoices[-1].needed_id()}


def _intents(invoice: Node) -> set[str]:
    """Give the payment intents that an invoice was paid with."""
    payments = invoice.node("payments")
    found = [each.node("payment") for each in payments.nodes()] if payments else []
    return {intent for each in found if each and (intent := each.id("payment_intent"))}


# --- giving back -----------------------------------------------------------------------------


def refund(api: Api, repayment: Repayment) -> Outcome:
    """Give back a part of a charge, once for each key however old it is; raises Failed."""
    api.wrote = False
    if not is_id(repayment.charge) or repayment.amount <= 0:
        return No("no such charge, or nothing to give back")
    try:
        charge = api.get(f"{CHARGES}/{repayment.charge}")
    except Failed as failed:
        if failed.missing and not failed.other_mode:
            return No("no such charge, or nothing to give back")
        raise
    given = _given(api, repayment)
    if given is not None:
        undone = given.text("status") in UNDONE
        return No("refund failed at the bank") if undone else Done()
    left = (charge.whole("amount_captured") or 0) - (charge.whole("amount_refunded") or 0)
    if charge.text("currency").upper() != repayment.currency.upper():
        return No("charged in another currency")
    if repayment.amount > left:
        return No("less of the charge is left")
    api.act(
        "post",
        REFUNDS,
        f"{repayment.key}-refund",
        charge=repayment.charge,
        amount=repayment.amount,
        metadata={KEY: repayment.key},
    )
    return Done()


def _given(api: Api, repayment: Repayment) -> Node | None:
    """Find what was given back under this key: Stripe forgets keys after a day, and not this."""
    place: dict[str, str] = {}
    while True:
        listed = api.get(REFUNDS, charge=repayment.charge, limit=A_PAGE, **place)
        refunds = listed.nodes()
        for each in refunds:
            notes = each.node("metadata")
            if notes is not None and notes.text(KEY) == repayment.key:
                return each
        if not refunds or not listed.flag("has_more"):
            return None
        place = {"starting_after": refunds[-1].needed_id()}
