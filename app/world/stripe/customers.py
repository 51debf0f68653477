"""Deletes a customer at Stripe, if nothing of theirs goes on, and says what Stripe keeps.

Whether anything goes on is asked of Stripe each time, never of our mirror: a customer may have
subscriptions that no product of ours knows. What cannot be asked is not deleted.
"""

from collections.abc import Mapping
from datetime import UTC, date

from app.errors import Refused
from app.policy import Period
from app.rows import RowRefused
from app.world.erasing import (
    CONTRACT,
    LEGAL_OBLIGATION,
    Answer,
    Given,
    Kept,
    Place,
    Receipt,
    Request,
)
from app.world.outcome import Later, No
from app.world.stripe.account import PER_SECOND
from app.world.stripe.acts import INVOICES as INVOICE_LIST
from app.world.stripe.acts import SUBSCRIPTIONS
from app.world.stripe.calls import Api, Failed
from app.world.stripe.fields import Node, is_id
from app.world.stripe.telling import is_ended

CUSTOMERS = "/v1/customers"
CUSTOMER, INVOICES = "customer", "invoices"
INVOICES_KEPT = "P10Y"
A_PAGE = 100
MOST_PAGES = 20
"""Nobody has as many subscriptions; whoever seems to is for a person to look at."""
UNKNOWN_SUBSCRIPTION = No("billing does not know the subscription")
UNKNOWN_CUSTOMER = No("billing does not know the customer")
ANOTHER_CUSTOMER = No("billing names another customer")
GOES_ON = No("the subscription has not ended")
TOO_MANY = No("too many subscriptions")
UNSEEN = Later("not seen to be done", unknown=True)


class Customers:
    """The customers of one account; for one thread."""

    def __init__(self, place: Place, key: str) -> None:
        """Take where it works, and the key, which has been checked."""
        self._place = place
        settings = place.settings
        second = int(settings.get("calls_per_second", PER_SECOND))
        base = settings.get("api_base")
        self._api = Api(key, place.clock, lambda: place.pace(second), base)

    def erase(self, request: Request) -> Answer:
        """Delete the customer of a subscription that has ended, unless another one goes on."""
        self._api.wrote = False
        try:
            return self._erase(request)
        except Failed as failed:
            outcome = failed.outcome
            if isinstance(outcome, Later):
                unknown = outcome.unknown or self._api.wrote
                return Later(outcome.reason, unknown, outcome.retry_after)
            return outcome
        except RowRefused:
            return Later("answer unreadable", unknown=self._api.wrote)

    def _erase(self, request: Request) -> Answer:
        of = self._found(SUBSCRIPTIONS, request.subscription)
        if of is None:
            return UNKNOWN_SUBSCRIPTION
        name = of.needed_id(CUSTOMER)
        if request.customer is not None and request.customer != name:
            return ANOTHER_CUSTOMER
        if not is_ended(of):
            return GOES_ON
        customer = self._found(CUSTOMERS, name)
        if customer is None:
            return UNKNOWN_CUSTOMER
        return self._receipt(request) if _is_gone(customer) else self._delete(request, name)

    def _delete(self, request: Request, name: str) -> Answer:
        """Delete a customer of whom nothing goes on, and look whether it is gone."""
        stays = self._goes_on(name)
        if stays is None:
            return TOO_MANY
        if stays:
            return self._receipt(request, stays=True)
        self._api.act("delete", f"{CUSTOMERS}/{name}", request.key)
        after = self._found(CUSTOMERS, name)
        return self._receipt(request) if after is not None and _is_gone(after) else UNSEEN

    def _found(self, path: str, name: str) -> Node | None:
        """Give an object by its id; None where Stripe says that there is none."""
        if not is_id(name):
            return None
        try:
            return self._api.get(f"{path}/{name}")
        except Failed as failed:
            if failed.missing and not failed.other_mode:
                return None
            raise

    def _goes_on(self, customer: str) -> bool | None:
        """Say whether a subscription of a customer goes on; None where there are too many."""
        place: dict[str, str] = {}
        for _ in range(MOST_PAGES):
            listed = self._api.get(SUBSCRIPTIONS, customer=customer, limit=A_PAGE, **place)
            found = listed.nodes()
            for each in found:
                if each.needed_id(CUSTOMER) != customer:
                    raise each.odd(CUSTOMER, "is another customer")
                if not is_ended(each):
                    return True
            if not found or not listed.flag("has_more"):
                return False
            place = {"starting_after": found[-1].needed_id()}
        return None

    def _receipt(self, request: Request, *, stays: bool = False) -> Given:
        invoices = Kept(INVOICES, LEGAL_OBLIGATION, self._invoices_until(request))
        if stays:
            customer = Kept(CUSTOMER, CONTRACT, None)
            return Given(Receipt(request.erasure, (), (customer, invoices)))
        return Given(Receipt(request.erasure, (CUSTOMER,), (invoices,)))

    def _invoices_until(self, request: Request) -> date:
        kept = Period.parse(self._place.settings.get("invoices_kept", INVOICES_KEPT))
        until = kept.after(request.at.astimezone(UTC).date())
        return min(until, request.keep.get(INVOICES, date.max))

    def probe(self, subscription: str, customer: str | None) -> Mapping[str, int]:
        """Count what there is of somebody at Stripe: the customer, subscriptions, invoices."""
        try:
            of = self._found(SUBSCRIPTIONS, subscription)
            name = (of.id(CUSTOMER) if of else None) or customer or ""
            found = self._found(CUSTOMERS, name)
            if found is None or _is_gone(found):
                return {CUSTOMER: 0}
            going = self._api.get(SUBSCRIPTIONS, customer=name, limit=A_PAGE).nodes()
            invoices = self._api.get(INVOICE_LIST, customer=name, limit=A_PAGE).nodes()
        except Failed as failed:
            raise Refused(
                f"Stripe cannot be asked: {failed.outcome.reason}", "see that the key may read it"
            ) from None
        except RowRefused:
            raise Refused("Stripe's answer cannot be read", "try it again") from None
        return {CUSTOMER: 1, "subscriptions": len(going), INVOICES: len(invoices)}


def _is_gone(customer: Node) -> bool:
    return customer.flag("deleted")
