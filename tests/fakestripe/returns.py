"""Routes of money given back: refunds, credit notes, disputes."""

from msgspec.structs import replace

from tests.fakestripe import billing
from tests.fakestripe.api import INCLUDED, PAGING, Request, page, route, shown
from tests.fakestripe.book import Book
from tests.fakestripe.errors import Refused, invalid
from tests.fakestripe.records import (
    Charge,
    CreditNote,
    Dispute,
    Intent,
    Invoice,
    Payment,
    Record,
    Refund,
)
from tests.fakestripe.shapes import Shape, listed
from tests.fakestripe.wire import Given

WHY_REFUND = ("duplicate", "fraudulent", "requested_by_customer")
WHY_CREDIT = ("duplicate", "fraudulent", "order_change", "product_unsatisfactory")


@route("POST", "/v1/refunds", "charge payment_intent amount reason metadata")
def create_refund(request: Request) -> Record:
    given = request.given
    charge = _refundable(request, given)
    left = charge.amount - charge.refunded
    amount = given.whole("amount") if "amount" in given else left
    reason = given.choice("reason", *WHY_REFUND)
    return give_back(request.book, charge, amount or 0, reason, given.merged({}))


def _refundable(request: Request, given: Given) -> Charge:
    """Find the charge that is named, or that of the payment intent."""
    named = given.text("charge")
    if named is None:
        intent = given.text("payment_intent")
        if intent is None:
            message = "One of the following params should be provided: payment_intent or charge."
            raise invalid(message, "charge", "parameter_missing")
        named = request.named(Intent, intent, param="payment_intent").charge or ""
    return request.named(Charge, named, param="charge")


def give_back(
    book: Book, charge: Charge, amount: int, reason: str | None, notes: dict[str, str]
) -> Refund:
    """Refund a part of a charge; never more than is left of it."""
    left = charge.amount - charge.refunded
    if not charge.paid:
        raise Refused(
            f"Charge {charge.id} has failed; it cannot be refunded.", code="charge_not_refundable"
        )
    if charge.disputed:
        message = f"Charge {charge.id} has been charged back; cannot issue a refund."
        raise Refused(message, code="charge_disputed")
    if left == 0:
        message = f"Charge {charge.id} has already been refunded."
        raise Refused(message, code="charge_already_refunded")
    if amount <= 0:
        raise invalid("Invalid positive integer", "amount", "parameter_invalid_integer")
    if amount > left:
        raise Refused(
            f"Refund amount ({amount} {charge.currency}) is greater than unrefunded amount on "
            f"charge ({left} {charge.currency})",
            param="amount",
        )
    refund = Refund(
        id=book.new_id("re"),
        created=book.now,
        charge=charge.id,
        intent=charge.intent,
        amount=amount,
        currency=charge.currency,
        reason=reason,
        metadata=notes,
    )
    book.put(refund, "refund.created")
    book.put(replace(charge, refunded=charge.refunded + amount), "charge.refunded")
    return refund


@route("GET", "/v1/refunds/{id}")
def get_refund(request: Request) -> Record:
    return request.the(Refund)


@route("GET", "/v1/refunds", f"{PAGING} charge payment_intent created")
def list_refunds(request: Request) -> Shape:
    charge, intent = request.given.text("charge"), request.given.text("payment_intent")
    created = request.given.span("created")
    return page(
        request,
        Refund,
        lambda each: (
            charge in {None, each.charge}
            and intent in {None, each.intent}
            and created(each.created)
        ),
    )


def _refunds(book: Book, charge: str) -> Shape:
    found = [shown(book, each) for each in reversed(book.all(Refund)) if each.charge == charge]
    return listed(f"/v1/charges/{charge}/refunds", found)


INCLUDED["charge", "refunds"] = _refunds
NOTES = "/v1/credit_notes"


@route(
    "POST",
    NOTES,
    "invoice amount credit_amount refund_amount out_of_band_amount reason memo metadata email_type",
)
def create_credit_note(request: Request) -> Record:
    book, given = request.book, request.given
    invoice = request.named(Invoice, given.needed("invoice"), param="invoice")
    if invoice.status not in {"open", "paid", "uncollectible"}:
        raise Refused("You can only credit finalized invoices.", param="invoice")
    amount = given.whole("amount") or 0
    if amount <= 0:
        raise invalid("Missing required param: amount.", "amount", "parameter_missing")
    note = CreditNote(
        id=book.new_id("cn"),
        created=book.now,
        invoice=invoice.id,
        customer=invoice.customer,
        currency=invoice.currency,
        number=f"{invoice.number}-CN-{len(book.all(CreditNote)) + 1:02}",
        reason=given.choice("reason", *WHY_CREDIT),
        memo=given.text("memo"),
        metadata=given.merged({}),
    )
    credited = _credit_paid if invoice.status == "paid" else _credit_open
    return credited(request, invoice, note, amount)


def _credit_open(request: Request, invoice: Invoice, note: CreditNote, amount: int) -> CreditNote:
    """Take it off what is owed; nothing left, the invoice is paid."""
    book = request.book
    if amount > invoice.remaining:
        raise Refused(f"The amount must be at most {invoice.remaining}.", param="amount")
    credited = replace(invoice, credited_before=invoice.credited_before + amount)
    credited = book.put(credited, "invoice.updated")
    if credited.remaining == 0:
        billing.pay_elsewhere(book, credited)
    return book.put(replace(note, before=amount), "credit_note.created")


def _credit_paid(request: Request, invoice: Invoice, note: CreditNote, amount: int) -> CreditNote:
    """Give it back: by refund, as credit, or out of band; the parts make the whole."""
    book, given = request.book, request.given
    refunded = given.whole("refund_amount") or 0
    elsewhere = given.whole("out_of_band_amount") or 0
    if refunded + elsewhere + (given.whole("credit_amount") or 0) != amount:
        raise Refused(
            "The sum of credit amount, refund amount and out of band amount must equal "
            f"the amount of the credit note ({amount}).",
            param="amount",
        )
    if amount > invoice.total - invoice.credited_after:
        raise Refused("The amount is more than what was paid on the invoice.", param="amount")
    if refunded:
        payment = book.get(Payment, billing.payment_of(invoice.id))
        charge = book.get(Charge, book.get(Intent, payment.intent).charge or "")
        refund = give_back(book, charge, refunded, None, {})
        note = replace(note, refund=refund.id, refunded=refunded)
    book.put(replace(invoice, credited_after=invoice.credited_after + amount), "invoice.updated")
    return book.put(replace(note, after=amount, out_of_band=elsewhere), "credit_note.created")


@route("GET", NOTES + "/{id}")
def get_credit_note(request: Request) -> Record:
    return request.the(CreditNote)


@route("GET", NOTES, f"{PAGING} invoice customer created")
def list_credit_notes(request: Request) -> Shape:
    invoice, customer = request.given.text("invoice"), request.given.text("customer")
    created = request.given.span("created")
    return page(
        request,
        CreditNote,
        lambda each: (
            invoice in {None, each.invoice}
            and customer in {None, each.customer}
            and created(each.created)
        ),
    )


@route("POST", NOTES + "/{id}/void")
def void_credit_note(request: Request) -> Record:
    note = request.the(CreditNote)
    if note.status == "void" or note.after:
        raise Refused("This credit note cannot be voided.")
    invoice = request.book.get(Invoice, note.invoice)
    if invoice.status != "open":
        raise Refused("You can only void credit notes on open invoices.")
    owed = replace(invoice, credited_before=invoice.credited_before - note.before)
    request.book.put(owed, "invoice.updated")
    voided = replace(note, status="void", voided_at=request.book.now)
    return request.book.put(voided, "credit_note.voided")


@route("GET", "/v1/disputes/{id}")
def get_dispute(request: Request) -> Record:
    return request.the(Dispute)


@route("GET", "/v1/disputes", f"{PAGING} charge payment_intent created")
def list_disputes(request: Request) -> Shape:
    charge, intent = request.given.text("charge"), request.given.text("payment_intent")
    created = request.given.span("created")
    return page(
        request,
        Dispute,
        lambda each: (
            charge in {None, each.charge}
            and intent in {None, each.intent}
            and created(each.created)
        ),
    )


@route("POST", "/v1/disputes/{id}", "metadata")
def update_dispute(request: Request) -> Record:
    old = request.the(Dispute)
    new = replace(old, metadata=request.given.merged(dict(old.metadata)))
    return request.book.change(new, "charge.dispute.updated")


@route("POST", "/v1/disputes/{id}/close")
def close_dispute(request: Request) -> Record:
    """Accept the loss."""
    return conclude(request.book, request.the(Dispute), "lost")


def raise_dispute(book: Book, charge: Charge, reason: str) -> Dispute:
    """Have the bank of the payer take a charge back."""
    dispute = Dispute(
        id=book.new_id("dp"),
        created=book.now,
        charge=charge.id,
        intent=charge.intent,
        amount=charge.amount,
        currency=charge.currency,
        reason=reason,
    )
    book.put(replace(charge, disputed=True), "charge.updated")
    return book.put(dispute, "charge.dispute.created")


def conclude(book: Book, dispute: Dispute, status: str) -> Dispute:
    """End a dispute: `won` or `lost`."""
    if dispute.status in {"won", "lost"}:
        raise Refused("This dispute is already closed.")
    return book.put(replace(dispute, status=status), "charge.dispute.closed")
