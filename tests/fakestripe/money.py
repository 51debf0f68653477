"""Routes of invoices, payments, charges, refunds, credit notes, disputes and events."""

from fnmatch import fnmatchcase

from msgspec.structs import replace

from tests.fakestripe import billing
from tests.fakestripe.api import INCLUDED, PAGING, Request, page, route, shown
from tests.fakestripe.book import Book
from tests.fakestripe.errors import Refused, invalid
from tests.fakestripe.events import Event
from tests.fakestripe.hooks import pending
from tests.fakestripe.records import (
    Charge,
    Customer,
    Intent,
    Invoice,
    Payment,
    Record,
    Subscription,
)
from tests.fakestripe.shapes import Shape, listed

INVOICES = "/v1/invoices"


@route(
    "GET",
    INVOICES,
    f"{PAGING} customer subscription status created collection_method due_date",
)
def list_invoices(request: Request) -> Shape:
    given, book = request.given, request.book
    customer, of = given.text("customer"), given.text("subscription")
    status = given.choice("status", "draft", "open", "paid", "uncollectible", "void")
    created, due = given.span("created"), given.span("due_date")
    collection = given.text("collection_method")
    if customer is not None:
        request.named(Customer, customer, param="customer")
    if of is not None:
        request.named(Subscription, of, param="subscription")
    return page(
        request,
        Invoice,
        lambda each: (
            customer in {None, each.customer}
            and status in {None, each.status}
            and collection in {None, each.collection}
            and created(each.created)
            and ("due_date" not in given or (each.due_date is not None and due(each.due_date)))
        ),
        ids=None if of is None else book.invoices_of[of],
    )


@route("GET", INVOICES + "/{id}")
def get_invoice(request: Request) -> Record:
    return request.the(Invoice)


@route("POST", INVOICES + "/{id}", "metadata auto_advance description")
def update_invoice(request: Request) -> Record:
    given, old = request.given, request.the(Invoice)
    advance = given.flag("auto_advance")
    new = replace(
        old,
        metadata=given.merged(dict(old.metadata)),
        auto_advance=old.auto_advance if advance is None else advance,
        description=given.text("description") if "description" in given else old.description,
    )
    if advance is False:
        # Stripe no longer tries by itself.
        new = replace(new, next_attempt=None, finalizes_at=None)
    return request.book.change(new, "invoice.updated")


@route("DELETE", INVOICES + "/{id}")
def delete_invoice(request: Request) -> Record:
    request.the(Invoice)
    raise Refused(
        "You can't delete invoices created by subscriptions.", code="invoice_not_editable"
    )


@route("POST", INVOICES + "/{id}/finalize", "auto_advance")
def finalize_invoice(request: Request) -> Record:
    invoice = request.the(Invoice)
    if invoice.status != "draft":
        raise Refused(
            "This invoice is already finalized, you can't re-finalize a non-draft invoice.",
            code="invoice_not_editable",
        )
    if request.given.flag("auto_advance") is False or not invoice.auto_advance:
        return billing.open_only(request.book, invoice)
    billing.finalize(request.book, invoice)
    return request.the(Invoice)


@route("POST", INVOICES + "/{id}/void")
def void_invoice(request: Request) -> Record:
    return billing.void(request.book, request.the(Invoice))


@route("POST", INVOICES + "/{id}/mark_uncollectible")
def give_up_invoice(request: Request) -> Record:
    return billing.give_up(request.book, request.the(Invoice))


@route("POST", INVOICES + "/{id}/pay", "paid_out_of_band off_session")
def pay_invoice(request: Request) -> Record:
    """Charge an invoice now; a decline is a 402, and a failed attempt more."""
    book, invoice = request.book, request.the(Invoice)
    if invoice.status == "paid":
        raise Refused("Invoice is already paid", code="invoice_already_paid")
    if invoice.status == "void":
        raise Refused("You can't pay a voided invoice.", code="invoice_not_editable")
    if invoice.status == "draft":
        invoice = billing.open_only(book, invoice)
    if request.given.flag("paid_out_of_band") or invoice.remaining <= 0:
        return billing.pay_elsewhere(book, invoice)
    tried = billing.attempt(book, invoice)
    if tried.status == "paid":
        return tried
    if billing.method_of(book, invoice) is None:
        message = "There is no default_payment_method set on this Customer or Invoice."
        raise Refused(message, code="missing_payment_method")
    intent = book.get(Intent, book.get(Payment, billing.payment_of(invoice.id)).intent)
    raise Refused(
        "Your card was declined.",
        status=402,
        kind="card_error",
        code="card_declined",
        decline_code=intent.decline,
        charge=intent.charge,
    )


def _payments(book: Book, invoice: str) -> Shape:
    found = book.find(Payment, billing.payment_of(invoice))
    return listed("/v1/invoice_payments", [] if found is None else [shown(book, found)])


INCLUDED["invoice", "payments"] = _payments


@route("GET", "/v1/invoice_payments", f"{PAGING} invoice payment status created")
def list_payments(request: Request) -> Shape:
    invoice, status = request.given.text("invoice"), request.given.text("status")
    created, intent = request.given.span("created"), _paid_with(request)
    return page(
        request,
        Payment,
        lambda each: (
            invoice in {None, each.invoice}
            and intent in {None, each.intent}
            and status in {None, each.status}
            and created(each.created)
        ),
    )


PAID_WITH = frozenset({"type", "payment_intent"})
"""What `payment` may say; the fake has no payment records."""


def _paid_with(request: Request) -> str | None:
    """Give the payment intent that `payment` names; its type has to be said, too."""
    given = request.given.group("payment")
    given.only(PAID_WITH)
    if not given.tree:
        return None
    given.needed("type")
    given.choice("type", "payment_intent")
    intent = given.text("payment_intent")
    if intent is not None:
        request.named(Intent, intent, param=given.name("payment_intent"))
    return intent


@route("GET", "/v1/invoice_payments/{id}")
def get_payment(request: Request) -> Record:
    return request.the(Payment)


@route("GET", "/v1/charges", f"{PAGING} customer payment_intent created")
def list_charges(request: Request) -> Shape:
    customer, intent = request.given.text("customer"), request.given.text("payment_intent")
    created = request.given.span("created")
    return page(
        request,
        Charge,
        lambda each: (
            customer in {None, each.customer}
            and intent in {None, each.intent}
            and created(each.created)
        ),
    )


@route("GET", "/v1/charges/{id}")
def get_charge(request: Request) -> Record:
    return request.the(Charge)


@route("GET", "/v1/payment_intents", f"{PAGING} customer created")
def list_intents(request: Request) -> Shape:
    customer, created = request.given.text("customer"), request.given.span("created")
    return page(
        request,
        Intent,
        lambda each: customer in {None, each.customer} and created(each.created),
    )


@route("GET", "/v1/payment_intents/{id}")
def get_intent(request: Request) -> Record:
    return request.the(Intent)


@route("GET", "/v1/events", f"{PAGING} type types created delivery_success")
def list_events(request: Request) -> Shape:
    """List events of the last 30 days, newest first."""
    given, book = request.given, request.book
    one, types = given.text("type"), given.texts("types")
    if one and types:
        raise invalid("You may only specify one of these parameters: type, types.", "types")
    created, delivered = given.span("created"), given.flag("delivery_success")
    wanted = [one] if one else types
    return page(
        request,
        Event,
        lambda each: (
            (not wanted or any(fnmatchcase(each.type, name) for name in wanted))
            and created(each.created)
            and delivered in {None, pending(book, each.id) == 0}
        ),
    )


@route("GET", "/v1/events/{id}")
def get_event(request: Request) -> Record:
    return request.the(Event)
