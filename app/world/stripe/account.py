"""The connector to one account of Stripe, in one mode, for one product."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property, partial
from typing import TypeVar

from app.rows import Facts, RowRefused
from app.world.connector import (
    Away,
    Capabilities,
    Charge,
    Order,
    Page,
    Repayment,
    Site,
    Standing,
    Unfit,
)
from app.world.outcome import Later, Outcome
from app.world.stripe import money
from app.world.stripe.acts import SUBSCRIPTIONS, VOID, Stops
from app.world.stripe.calls import FORBIDDEN, MISSING, Api, Failed
from app.world.stripe.fields import Node, is_id
from app.world.stripe.telling import Missing, facts

CAN = Capabilities()
"""All of it: what an account cannot pause natively is paused by not collecting. What a restricted
key may not do shows when it is done, and waits for an operator."""
A_PAGE = 100
PER_SECOND = "20"
"""Stripe allows a sandbox 25 calls a second, and the company's own calls count, too."""
CASE = "/v1/products/{}/subscriptions/"
"""Where a case is shown; the id behind it is Stripe's own."""
PRODUCTS, ACCOUNT = "/v1/products", "/v1/account"

Order_ = TypeVar("Order_", Order, Repayment)


class Stripe:
    """One account; for one thread, and for one batch: what it has asked once, it keeps."""

    capabilities = CAN

    def __init__(self, site: Site) -> None:
        """Take where it works; the key has been checked."""
        self._site = site
        self._settings = site.settings
        pace = partial(site.pace, int(site.settings.get("calls_per_second", PER_SECOND)))
        self._api = Api(site.key or "", site.clock, pace, site.settings.get("api_base"))
        case = f"{site.base_url}{CASE.format(site.product)}{{}}" if site.base_url else ""
        how = site.settings.get("open_invoices", VOID)
        self._stops = Stops(self._api, site.clock, how, case)
        self._names: dict[str, str] = {}
        self._payments = money.Payments(self._api)
        self._missing = Missing(self._country, self._locale, self._timezone)

    # --- acts --------------------------------------------------------------------------------

    def carry_out(self, order: Order) -> Outcome:
        """Act once, and look whether it was done; raises Away where our key is not taken."""
        return self._tried(self._stops.carry_out, order)

    def refund(self, repayment: Repayment) -> Outcome:
        """Give money back, once for each key, and never more than is left."""
        return self._tried(lambda it: money.refund(self._api, it), repayment)

    def _tried(self, act: Callable[[Order_], Outcome], order: Order_) -> Outcome:
        """Act, and give what went wrong as an outcome; after a first change all is unknown."""
        try:
            return act(order)
        except Failed as failed:
            wrote, outcome = self._api.wrote, failed.outcome
            if failed.operator and not wrote:
                raise failed.away() from None
            if isinstance(outcome, Later):
                return Later(outcome.reason, outcome.unknown or wrote, outcome.retry_after)
            return outcome
        except RowRefused:
            return Later("answer unreadable", unknown=self._api.wrote)

    # --- questions ---------------------------------------------------------------------------

    def read(self, order: Order) -> Standing | None:
        """Give how the order's subscription stands."""
        with _asked():
            return self._stops.read(order)

    def look(self, subscription: str) -> Facts | None:
        """Give a subscription as it is; Unfit where what Stripe says cannot be taken in.

        In its place a payment may stand: then the one that it was for, None where it was for none.
        """
        if not is_id(subscription):
            return None
        told_at = self._site.clock.now()
        with _asked():
            if subscription.startswith(money.INTENT):
                return self._paid_for(subscription, told_at)
            return self._found(subscription, told_at)

    def _found(self, subscription: str, told_at: datetime) -> Facts | None:
        try:
            found = self._api.get(f"{SUBSCRIPTIONS}/{subscription}", expand=["customer"])
        except Failed as failed:
            if failed.other_mode:
                raise Unfit(self._other_mode()) from None
            if failed.missing:
                return None
            raise
        try:
            return self._facts(found, told_at)
        except RowRefused as refused:
            raise Unfit(refused.plain) from None

    def _paid_for(self, intent: str, told_at: datetime) -> Facts | None:
        found = money.subscription_of(self._api, intent)
        try:
            return None if found is None else self._found(found, told_at)
        except Unfit:
            # The comparison puts it before a person by its own name, and takes that back again.
            return None

    def page(self, after: str | None) -> Page[Facts]:
        """Give subscriptions that have not ended, newest first; what cannot be read is named.

        Those on a test clock of Stripe only come where the setting names it.
        """
        place = {"starting_after": after} if after else {}
        if "test_clock" in self._settings:
            place["test_clock"] = self._settings["test_clock"]
        told_at = self._site.clock.now()
        items: list[Facts] = []
        refused: list[tuple[str, str]] = []
        with _asked():
            listed = self._api.get(SUBSCRIPTIONS, limit=A_PAGE, expand=["data.customer"], **place)
            found = listed.nodes()
            for each in found:
                name = each.needed_id()
                try:
                    items.append(self._facts(each, told_at))
                except RowRefused as wrong:
                    refused.append((name, wrong.plain))
            more = listed.flag("has_more") and found
        return Page(tuple(items), found[-1].needed_id() if more else None, tuple(refused))

    def charges(self, since: datetime, after: str | None) -> Page[Charge]:
        """Give the charges for subscriptions from a moment on, newest first."""
        if after is None:
            self._payments = money.Payments(self._api)
        with _asked():
            return money.charges(self._api, self._payments, since, after)

    # --- what stands in ------------------------------------------------------------------------

    def _facts(self, found: Node, told_at: datetime) -> Facts:
        if found.flag("livemode") is not self._api.live:
            raise found.odd("livemode", f"does not fit: {self._other_mode()}")
        return facts(found, self._missing, self._product_name, told_at)

    def _other_mode(self) -> str:
        mine, other = ("live", "test") if self._api.live else ("test", "live")
        return f"it is of {other} mode and the key of {mine} mode: set billing_key_file anew"

    def _product_name(self, product: str) -> str:
        """Give the name of a product, asked once; empty where it has none, or may not be read."""
        if product not in self._names:
            try:
                self._names[product] = self._api.get(f"{PRODUCTS}/{product}").text("name")
            except Failed as failed:
                if failed.status not in {FORBIDDEN, MISSING}:
                    raise
                self._names[product] = ""
        return self._names[product]

    @cached_property
    def _account(self) -> Node:
        """The account itself, asked once; empty where the key may not read it."""
        try:
            return self._api.get(ACCOUNT)
        except Failed as failed:
            if failed.status != FORBIDDEN:
                raise
            return Node({})

    def _country(self) -> str:
        return self._settings.get("country") or self._account.text("country")

    def _locale(self) -> str:
        return self._settings.get("locale", "en")

    def _timezone(self) -> str:
        if "timezone" in self._settings:
            return self._settings["timezone"]
        settings = self._account.node("settings")
        dashboard = settings.node("dashboard") if settings else None
        return (dashboard.text("timezone") if dashboard else "") or "Etc/UTC"


@contextmanager
def _asked() -> Iterator[None]:
    """Turn whatever keeps a question from being answered into Away."""
    try:
        yield
    except Failed as failed:
        raise failed.away() from None
    except RowRefused:
        raise Away("answer unreadable") from None
