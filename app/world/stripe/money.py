"""What Stripe has charged for subscriptions, and money given back.

A charge no longer names its invoice: the payment of an invoice names the payment intent that the
charge belongs to. So payments are read beside the charges, newest first, everybody's in pages; of
what is then left, of charges that were tried again for weeks, each is asked about singly.
"""

from datetime import datetime

from app.world.connector import Charge, Page, Repayment
from app.world.outcome import Done, Later, No, Outcome
from app.world.stripe.calls import NO_SUCH, Api, Failed
from app.world.stripe.fields import Node, is_id
from app.world.stripe.messages import of_invoice

CHARGES, PAYMENTS, REFUNDS = "/v1/charges", "/v1/invoice_payments", "/v1/refunds"
INTENT = "pi_"
"""How the ids of payment intents begin."""
A_PAGE = 100
USUALLY_CHARGED_WITHIN = 3600
"""Seconds between a payment that is asked for and its charge, unless it is tried again."""
MOST_AT_ONCE = 10
"""Pages of everybody's payments that are read for one page of charges."""
MOST_PAGES = 20
"""Of what was given back of one charge."""
PAID, INVOICE = "paid", "data.invoice"
KEY = "reconfirm_key"
"""The metadata of a refund: under which key it was given."""
UNDONE = frozenset({"failed", "canceled"})


def charges(api: Api, payments: "Payments", since: datetime, after: str | None) -> Page[Charge]:
    """Give a page of the successful charges for subscriptions, newest first; raises Failed."""
    place = {"starting_after": after} if after else {}
    listed = api.get(CHARGES, created={"gte": int(since.timestamp())}, limit=A_PAGE, **place)
    everything = listed.nodes()
    taken = [each for each in everything if _was_taken(each)]
    whose = payments.subscriptions(taken)
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


class Payments:
    """What charges were for; for one walk through them, from the newest on.

    However many are charged in one second, and in whatever order: what was read and not asked for
    yet is kept, so that one page of payments is read for about one page of charges.
    """

    def __init__(self, api: Api) -> None:
        """Take what asks."""
        self._api = api
        self._kept: dict[str, str | None] = {}
        """The subscription by payment intent; None: it was for something else."""
        self._newest: int | None = None
        self._last: str | None = None
        self._all_since: int | None = None
        """Seconds since 1970: there is no payment between this and the newest that was not read."""

    def subscriptions(self, taken: list[Node]) -> dict[str, str]:
        """Give the subscription by payment intent, of those charges that were for one."""
        left = {intent: each for each in taken if (intent := each.id("payment_intent")) is not None}
        if left:
            self._read_for({intent: each.whole("created") or 0 for intent, each in left.items()})
        found = {intent: self._taken(intent, each) for intent, each in left.items()}
        return {intent: name for intent, name in found.items() if name is not None}

    def _taken(self, intent: str, charge: Node) -> str | None:
        if intent in self._kept:
            return self._kept.pop(intent)
        if charge.id("customer") is None:
            return None  # A subscription has a customer: this was a single sale.
        return subscription_of(self._api, intent)

    def _read_for(self, left: dict[str, int]) -> None:
        """Read on until all of these are known, or the time at which they were asked for is."""
        since = min(left.values()) - USUALLY_CHARGED_WITHIN
        if self._newest is None:
            self._newest = max(left.values())
        for _ in range(MOST_AT_ONCE):
            known = self._all_since is not None and self._all_since <= since
            if known or left.keys() <= self._kept.keys():
                return
            self._read_on({"gte": since, "lte": self._newest})

    def _read_on(self, created: dict[str, int]) -> None:
        """Read one more page, after the last."""
        place = {"starting_after": self._last} if self._last else {}
        listed = self._api.get(
            PAYMENTS, status=PAID, created=created, limit=A_PAGE, expand=[INVOICE], **place
        )
        page = listed.nodes()
        for each in page:
            if (intent := _intent(each)) is not None:
                self._kept.setdefault(intent, _subscription(each))
        if page:
            self._last = page[-1].needed_id()
        if not page or not listed.flag("has_more"):
            self._all_since = created["gte"]


def subscription_of(api: Api, intent: str) -> str | None:
    """Give the subscription that a payment intent was for; None where it was for none.

    One that there is not, or not in this mode, was for none either; raises Failed.
    """
    which = {"type": "payment_intent", "payment_intent": intent}
    try:
        found = api.get(PAYMENTS, payment=which, status=PAID, limit=A_PAGE, expand=[INVOICE])
    except Failed as failed:
        if failed.code == NO_SUCH:
            return None
        raise
    return next((name for each in found.nodes() if (name := _subscription(each))), None)


def _intent(payment: Node) -> str | None:
    paid_with = payment.node("payment")
    return paid_with.id("payment_intent") if paid_with else None


def _subscription(payment: Node) -> str | None:
    invoice = payment.expanded("invoice")
    return of_invoice(invoice) if invoice else None


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
    """Find what was given back under this key: Stripe forgets keys after a day, and not this.

    A list that does not come to its end says nothing: raises Failed.
    """
    place: dict[str, str] = {}
    for _ in range(MOST_PAGES):
        listed = api.get(REFUNDS, charge=repayment.charge, limit=A_PAGE, **place)
        refunds = listed.nodes()
        for each in refunds:
            notes = each.node("metadata")
            if notes is not None and notes.text(KEY) == repayment.key:
                return each
        if not refunds or not listed.flag("has_more"):
            return None
        place = {"starting_after": refunds[-1].needed_id()}
    raise Failed(Later("answer unreadable"))
