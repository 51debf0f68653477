"""Routes of subscriptions."""

from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from tests.fakestripe import life, standing
from tests.fakestripe.api import PAGING, Request, page, route, unknown
from tests.fakestripe.errors import Refused, invalid
from tests.fakestripe.life import Wish
from tests.fakestripe.periods import DAY
from tests.fakestripe.records import Customer, Pause, Price, Record, Subscription
from tests.fakestripe.shapes import Shape
from tests.fakestripe.wire import Given

PATH = "/v1/subscriptions"
SINCE_PAUSES = "2026-09-30"
"""The API version that brought POST /pause."""
TOLD = "proration_behavior payment_behavior off_session"
"""Parameters that are read and change nothing here, as nothing is prorated on an update."""
METHODS = ("charge_automatically", "send_invoice")


@route(
    "POST",
    PATH,
    f"customer items trial_end trial_period_days trial_settings billing_mode cancel_at currency "
    f"cancel_at_period_end collection_method days_until_due default_payment_method metadata "
    f"billing_cycle_anchor description {TOLD}",
)
def create(request: Request) -> Record:
    book, given = request.book, request.given
    customer = request.named(Customer, given.needed("customer"), param="customer")
    wish = Wish(
        customer=customer.id,
        prices=[_wanted(request, each) for each in given.groups("items")],
        flexible=given.group("billing_mode").choice("type", "classic", "flexible") != "classic",
        anchor=given.whole("billing_cycle_anchor"),
        trial_end=_trial_end(given, book.now),
        missing_method=_missing_method(given) or "create_invoice",
        cancel_at=given.whole("cancel_at"),
        cancel_at_period_end=given.flag("cancel_at_period_end") or False,
        collection=given.choice("collection_method", *METHODS) or METHODS[0],
        days_until_due=given.whole("days_until_due"),
        payment_method=given.text("default_payment_method"),
        payment_behavior=given.choice("payment_behavior", "allow_incomplete", "default_incomplete")
        or "allow_incomplete",
        description=given.text("description"),
        metadata=given.merged({}),
    )
    _possible(wish, customer, book.now)
    return life.begin(book, wish)


def _wanted(request: Request, given: Given) -> tuple[Price, int, dict[str, str]]:
    given.only(frozenset({"price", "quantity", "metadata"}))
    price = request.named(Price, given.needed("price"), param=given.name("price"))
    if price.interval is None:
        raise Refused("The price specified is set to `type=one_time`.", param=given.name("price"))
    quantity = given.whole("quantity")
    return price, 1 if quantity is None else quantity, given.merged({})


def _possible(wish: Wish, customer: Customer, now: int) -> None:
    if not wish.prices:
        raise invalid("Missing required param: items.", "items", "parameter_missing")
    intervals = {(price.interval, price.interval_count) for price, *_ in wish.prices}
    if len(intervals) > 1 and not wish.flexible:
        raise Refused("All prices on a subscription must have the same interval.", param="items")
    if len({price.currency for price, *_ in wish.prices}) > 1:
        raise Refused("All prices on a subscription must have the same currency.", param="items")
    charged = wish.collection == METHODS[0] and (wish.trial_end or 0) <= now
    if charged and not (wish.payment_method or customer.payment_method):
        raise Refused(
            "This customer has no attached payment source or default payment method. "
            "Please consider adding a default payment method.",
            code="resource_missing",
        )


def _trial_end(given: Given, now: int) -> int | None:
    days = given.whole("trial_period_days")
    if days is not None:
        return now + days * DAY
    return now if given.text("trial_end") == "now" else given.whole("trial_end")


def _missing_method(given: Given) -> str | None:
    end = given.group("trial_settings").group("end_behavior")
    return end.choice("missing_payment_method", "cancel", "create_invoice", "pause")


@route("GET", PATH + "/{id}")
def retrieve(request: Request) -> Record:
    return request.the(Subscription)


@route(
    "GET",
    PATH,
    f"{PAGING} status customer price created current_period_end current_period_start "
    "collection_method test_clock",
)
def find(request: Request) -> Shape:
    given = request.given
    customer, price = given.text("customer"), given.text("price")
    collection = given.choice("collection_method", *METHODS)
    created, ends = given.span("created"), given.span("current_period_end")
    starts, standing_ = given.span("current_period_start"), _by_status(given)
    if customer is not None:
        request.named(Customer, customer, param="customer")
    clock = given.text("test_clock")
    return page(
        request,
        Subscription,
        lambda each: (
            standing_(each.status)
            and customer in {None, each.customer}
            # Those on test clocks only come where they are asked for.
            and (customer is not None or each.test_clock == clock)
            and collection in {None, each.collection}
            and created(each.created)
            and ends(each.period_end)
            and starts(max(item.start for item in each.items))
            and price in {None, *(item.price.id for item in each.items)}
        ),
    )


ENDED = frozenset({"canceled", "incomplete_expired"})
STATUSES = ("active", "past_due", "trialing", "unpaid", "paused", "incomplete", *ENDED)


def _by_status(given: Given) -> Callable[[str], bool]:
    wanted = given.choice("status", "all", "ended", *STATUSES)
    if wanted == "all":
        return lambda _: True
    if wanted == "ended":
        return lambda status: status in ENDED
    if wanted is None:
        return lambda status: status not in ENDED
    return lambda status: status == wanted


@route(
    "POST",
    PATH + "/{id}",
    "metadata description pause_collection cancel_at cancel_at_period_end cancellation_details "
    "default_payment_method collection_method days_until_due trial_end trial_settings items "
    f"proration_date {TOLD}",
)
def update(request: Request) -> Record:
    book, given, old = request.book, request.given, request.the(Subscription)
    if old.ended and set(given.tree) - {"metadata", "cancellation_details", "expand"}:
        raise Refused(
            "A canceled subscription can only update its cancellation_details and metadata."
        )
    new = replace(old, **_plain_changes(given, old), metadata=given.merged(dict(old.metadata)))
    new = _items(request, new)
    if "trial_end" in given:
        new = _trial(new, _trial_end(given, book.now), book.now)
    if "pause_collection" in given:
        new = life.pause_collection(book, new, _pause(given.group("pause_collection")))
    if "cancel_at" in given or "cancel_at_period_end" in given:
        new = _ending(request, new)
    return life.save(book, new)


def _plain_changes(given: Given, old: Subscription) -> dict[str, Any]:
    names = {
        "description": "description",
        "default_payment_method": "payment_method",
    }
    changes: dict[str, Any] = {
        field: given.text(param) for param, field in names.items() if param in given
    }
    if "collection_method" in given:
        changes["collection"] = given.choice("collection_method", *METHODS) or old.collection
    if "days_until_due" in given:
        changes["days_until_due"] = given.whole("days_until_due")
    if "trial_settings" in given:
        changes["missing_method"] = _missing_method(given) or old.missing_method
    return {**changes, **_details(given)}


def _details(given: Given) -> dict[str, Any]:
    details = given.group("cancellation_details")
    details.only(frozenset({"comment", "feedback"}))
    fields = {"comment": "cancel_comment", "feedback": "cancel_feedback"}
    return {field: details.text(key) for key, field in fields.items() if key in details}


def _pause(given: Given) -> Pause | None:
    """Read `pause_collection`; empty it is cleared."""
    if not given.tree:
        return None
    given.only(frozenset({"behavior", "resumes_at"}))
    given.needed("behavior")
    behavior = given.choice("behavior", "keep_as_draft", "mark_uncollectible", "void")
    return Pause(behavior or "", given.whole("resumes_at"))


def _ending(request: Request, of: Subscription) -> Subscription:
    given = request.given
    at_end, moment = given.flag("cancel_at_period_end"), given.text("cancel_at")
    if at_end and moment is not None:
        message = "`cancel_at_period_end` and `cancel_at` may not be set together."
        raise Refused(message, param="cancel_at_period_end")
    if at_end:
        return life.ending(request.book, of, None, at_end=True)
    if "cancel_at" not in given:
        # Taking back `cancel_at_period_end` does not take back a date set by `cancel_at`.
        kept = None if of.cancel_at_period_end else of.cancel_at
        return life.ending(request.book, of, kept, at_end=False)
    ends = [item.end for item in of.items]
    named = {"min_period_end": min(ends), "max_period_end": max(ends)}
    when = named.get(moment or "") or given.whole("cancel_at")
    if when is not None and when <= request.book.now:
        raise Refused("`cancel_at` must be in the future.", param="cancel_at")
    return life.ending(request.book, of, when, at_end=False)


def _trial(of: Subscription, end: int | None, now: int) -> Subscription:
    """Give it with another end of its trial; one that is over begins a paid period now."""
    end = end or now
    items = tuple(replace(item, end=end) for item in of.items)
    status = "trialing" if end > now else of.status
    start = of.trial_start or now
    return replace(of, items=items, anchor=end, status=status, trial_start=start, trial_end=end)


def _items(request: Request, of: Subscription) -> Subscription:
    """Change price, quantity or metadata of items; from the next invoice on, without proration."""
    items = {item.id: item for item in of.items}
    for given in request.given.groups("items"):
        given.only(frozenset({"id", "price", "quantity", "metadata"}))
        old = items.get(given.needed("id"))
        if old is None:
            message = f"No such subscription item: '{given.text('id')}'"
            raise Refused(message, code="resource_missing", param=given.name("id"))
        price, quantity = old.price, given.whole("quantity")
        if "price" in given:
            price = request.named(Price, given.needed("price"), param=given.name("price"))
        items[old.id] = replace(
            old,
            price=price,
            quantity=old.quantity if quantity is None else quantity,
            metadata=given.merged(dict(old.metadata)),
        )
    return replace(of, items=tuple(items.values()))


@route("DELETE", PATH + "/{id}", "cancellation_details invoice_now prorate")
def cancel(request: Request) -> Record:
    """Cancel now; what is canceled already is not found, so a second try is refused."""
    of = request.the(Subscription)
    if of.ended:
        raise Refused(
            f"No such subscription: '{of.id}'", status=404, code="resource_missing", param="id"
        )
    of = replace(of, **_details(request.given))
    return standing.end(request.book, of, reason="cancellation_requested")


@route("POST", PATH + "/{id}/pause", "type bill_for invoicing_behavior")
def pause(request: Request) -> Record:
    """Pause natively; unless told otherwise the unused time is credited."""
    if request.version < SINCE_PAUSES:
        raise unknown("POST", request.path)
    given, bill_for = request.given, request.given.group("bill_for")
    bill_for.only(frozenset({"outstanding_usage_through", "unused_time_from"}))
    given.choice("type", "subscription")
    given.choice("invoicing_behavior", "pending_invoice_item")
    since = bill_for.group("unused_time_from").choice("type", "none", "now")
    return life.pause(request.book, request.the(Subscription), credit=since != "none")


@route("POST", PATH + "/{id}/migrate", "billing_mode")
def migrate(request: Request) -> Record:
    """Go over to flexible billing; there is no way back."""
    of = request.the(Subscription)
    mode = request.given.group("billing_mode")
    mode.needed("type")
    mode.choice("type", "flexible")
    if of.flexible:
        raise Refused("The subscription is already in flexible billing mode.")
    return life.save(request.book, replace(of, flexible=True))


@route(
    "POST",
    PATH + "/{id}/resume",
    "billing_cycle_anchor payment_behavior proration_behavior proration_date",
)
def resume(request: Request) -> Record:
    given = request.given
    anchor = given.group("billing_cycle_anchor").choice("type", "now", "unchanged")
    behavior = given.choice(
        "payment_behavior", "resume_on_payment_attempt", "resume_on_payment_success"
    )
    prorations = given.choice("proration_behavior", "always_invoice", "create_prorations", "none")
    return life.resume(
        request.book,
        request.the(Subscription),
        anew=anchor != "unchanged",
        when_paid=behavior == "resume_on_payment_success",
        prorations=prorations or "create_prorations",
    )
