"""Invoices: drawn up, finalized, charged, tried again, voided, given up."""

from collections.abc import Sequence

from msgspec.structs import replace

from tests.fakestripe import standing
from tests.fakestripe.book import Book, Step
from tests.fakestripe.errors import Refused
from tests.fakestripe.periods import DAY, around
from tests.fakestripe.records import (
    Charge,
    Customer,
    Intent,
    Invoice,
    Item,
    Line,
    Payment,
    Subscription,
)

FREE = frozenset({"trialing"})


def draw_up(book: Book, of: Subscription, items: Sequence[Item], reason: str) -> Invoice:
    """Make the draft for these items and what waits beside them; the trial is free."""
    lines = [_line(book, of, item) for item in items]
    lines += [
        Line(
            id=book.new_id("il"),
            amount=extra.amount,
            start=extra.start,
            end=extra.end,
            description=extra.description,
            item=extra.item,
            price=of.items[0].price.id,
            product=of.items[0].price.product,
            unit_amount=abs(extra.amount),
            quantity=1,
            proration=True,
        )
        for extra in of.extras
    ]
    customer = book.get(Customer, of.customer)
    invoice = Invoice(
        id=book.new_id("in"),
        created=book.now,
        customer=of.customer,
        subscription=of.id,
        notes_then=of.metadata,
        status="draft",
        currency=of.currency,
        lines=tuple(lines),
        reason=reason,
        period_start=min((each.start for each in lines), default=book.now),
        period_end=book.now,
        total=sum(each.amount for each in lines),
        collection=of.collection,
        email=customer.email,
        name=customer.name,
        test_clock=of.test_clock,
    )
    return book.put(invoice, "invoice.created")


def _line(book: Book, of: Subscription, item: Item) -> Line:
    price = item.price
    return Line(
        id=book.new_id("il"),
        amount=0 if of.status in FREE else worth(of, item),
        start=item.start,
        end=item.end,
        description=f"{item.quantity} of {price.nickname or price.product}",
        item=item.id,
        price=price.id,
        product=price.product,
        unit_amount=price.unit_amount,
        quantity=item.quantity,
    )


def worth(of: Subscription, item: Item) -> int:
    """Give the price of an item's period; one that began off the anchor costs its part."""
    full = item.price.unit_amount * item.quantity
    interval = item.price.interval or "month"
    start, end = around(of.anchor, interval, item.price.interval_count, item.start)
    if start == item.start:
        return full
    return round(full * (item.end - item.start) / (end - start))


def send_on(book: Book, of: Subscription, invoice: Invoice, *, at_once: bool) -> Invoice:
    """Decide what becomes of a draft: a pause of collection lets nobody be charged for it."""
    if of.pause is not None:
        return _while_paused(book, invoice, of.pause.behavior)
    if of.status == "unpaid":
        return book.put(replace(invoice, auto_advance=False), "invoice.updated")
    if at_once:
        return finalize(book, invoice)
    moment = book.now + book.habits.finalize_after
    book.timeline.at(moment, Step.FINALIZE, invoice.id)
    return book.put(replace(invoice, finalizes_at=moment))


def _while_paused(book: Book, invoice: Invoice, behavior: str) -> Invoice:
    quiet = replace(invoice, auto_advance=False)
    if behavior == "keep_as_draft":
        return book.put(quiet, "invoice.updated")
    opened = _open(book, quiet)
    return void(book, opened) if behavior == "void" else give_up(book, opened)


def finalize(book: Book, invoice: Invoice) -> Invoice:
    """Open a draft and try to collect it at once."""
    opened = _open(book, invoice)
    if opened.remaining <= 0:
        return _paid(book, opened)
    if opened.collection == "send_invoice":
        book.timeline.at(opened.due_date, Step.OVERDUE, opened.id)
        return opened
    return attempt(book, opened)


def open_only(book: Book, invoice: Invoice) -> Invoice:
    """Open a draft that nobody tries to collect."""
    return _open(book, replace(invoice, auto_advance=False))


def _open(book: Book, invoice: Invoice) -> Invoice:
    due_date = None
    if invoice.collection == "send_invoice":
        of = book.find(Subscription, invoice.subscription or "")
        due_date = book.now + DAY * ((of.days_until_due if of else None) or 30)
    count = len(book.invoices_of[invoice.subscription or ""])
    opened = replace(
        invoice,
        status="open",
        number=f"{invoice.customer[-8:].upper()}-{count:04}",
        finalized_at=book.now,
        finalizes_at=None,
        due_date=due_date,
    )
    if opened.remaining > 0:
        _ask_for_payment(book, opened)
    return book.put(opened, "invoice.finalized")


def _ask_for_payment(book: Book, invoice: Invoice) -> None:
    intent = Intent(
        id=book.new_id("pi"),
        created=book.now,
        customer=invoice.customer,
        invoice=invoice.id,
        amount=invoice.remaining,
        currency=invoice.currency,
        status="requires_payment_method",
    )
    book.put(intent, "payment_intent.created")
    # Its id is found from the invoice's: one payment an invoice.
    book.put(
        Payment(
            id=payment_of(invoice.id),
            created=book.now,
            invoice=invoice.id,
            intent=intent.id,
            amount=invoice.remaining,
            currency=invoice.currency,
        )
    )


def payment_of(invoice: str) -> str:
    """Give the id of the payment of an invoice."""
    return "inpay" + invoice.removeprefix("in")


def method_of(book: Book, invoice: Invoice) -> str | None:
    """Give what an invoice is charged to."""
    of = book.find(Subscription, invoice.subscription or "")
    if of is not None and of.payment_method is not None:
        return of.payment_method
    return book.get(Customer, invoice.customer).payment_method


def attempt(book: Book, invoice: Invoice) -> Invoice:
    """Try to charge an open invoice."""
    method = method_of(book, invoice)
    tried = replace(invoice, attempts=invoice.attempts + 1, next_attempt=None)
    if method is None:
        # Nothing to charge, hence no charge; it counts as an attempt all the same.
        return _failed(book, tried)
    decline = book.cards.decline(invoice, method)
    payment = book.get(Payment, payment_of(invoice.id))
    intent = book.get(Intent, payment.intent)
    charge = Charge(
        id=book.new_id("ch"),
        created=book.now,
        customer=invoice.customer,
        invoice=invoice.id,
        subscription=invoice.subscription,
        intent=intent.id,
        amount=invoice.remaining,
        currency=invoice.currency,
        paid=decline is None,
        decline=decline,
        method=method,
        email=invoice.email,
        name=invoice.name,
    )
    intent = replace(intent, charge=charge.id, method=method, amount=charge.amount)
    if decline is not None:
        book.put(charge, "charge.failed")
        book.put(replace(intent, decline=decline), "payment_intent.payment_failed")
        return _failed(book, tried)
    book.put(charge, "charge.succeeded")
    received = replace(intent, status="succeeded", received=charge.amount, decline=None)
    book.put(received, "payment_intent.succeeded")
    settled = replace(payment, status="paid", paid_at=book.now, amount=charge.amount)
    book.put(settled, "invoice_payment.paid")
    return _paid(book, replace(tried, paid=charge.amount))


def _paid(book: Book, invoice: Invoice, *, out_of_band: int = 0) -> Invoice:
    paid = replace(
        invoice,
        status="paid",
        paid_at=book.now,
        out_of_band=out_of_band,
        auto_advance=False,
        next_attempt=None,
    )
    paid = book.put(paid, "invoice.updated", "invoice.paid", "invoice.payment_succeeded")
    standing.settle(book, paid)
    return paid


def pay_elsewhere(book: Book, invoice: Invoice) -> Invoice:
    """Note that an open invoice was paid without Stripe, or that nothing is left of it."""
    _cancel_payment(book, invoice)
    return _paid(book, invoice, out_of_band=invoice.remaining)


def _failed(book: Book, invoice: Invoice) -> Invoice:
    """Plan the next attempt, or do what is done after the last."""
    waits = book.habits.retry_after
    of = book.find(Subscription, invoice.subscription or "")
    retried = of is not None and _is_retried(of, invoice)
    more = retried and invoice.auto_advance and invoice.attempts <= len(waits)
    following = book.now + waits[invoice.attempts - 1] if more else None
    failed = book.put(
        replace(invoice, next_attempt=following, auto_advance=more),
        "invoice.updated",
        "invoice.payment_failed",
    )
    book.timeline.at(following, Step.RETRY, invoice.id)
    standing.owe(book, failed)
    if retried and not more and invoice.auto_advance:
        _after_the_last(book, failed)
    return book.get(Invoice, invoice.id)


def _is_retried(of: Subscription, invoice: Invoice) -> bool:
    """Tell whether Stripe tries again by itself: not a first invoice, not any resumption."""
    if of.resuming == invoice.id:
        return of.resumes_when_paid
    return of.status != "incomplete"


def _after_the_last(book: Book, invoice: Invoice) -> None:
    of = book.get(Subscription, invoice.subscription or "")
    if of.ended or of.status == "paused":
        return
    if book.habits.after_retries == "cancel":
        standing.end(book, of, reason="payment_failed")
    elif book.habits.after_retries == "unpaid":
        book.put(replace(of, status="unpaid"), standing.UPDATED)


def void(book: Book, invoice: Invoice) -> Invoice:
    """Void an open or uncollectible invoice: nothing can be paid on it any more."""
    if invoice.status not in {"open", "uncollectible"}:
        raise Refused(
            "You can only pass in open invoices. This invoice isn't open.",
            code="invoice_not_editable",
        )
    _cancel_payment(book, invoice)
    return _close(book, replace(invoice, status="void", voided_at=book.now), "invoice.voided")


def give_up(book: Book, invoice: Invoice) -> Invoice:
    """Mark an open invoice as uncollectible: it is not tried again, but can still be paid."""
    if invoice.status != "open":
        raise Refused(
            "You can only pass in open invoices. This invoice isn't open.",
            code="invoice_not_editable",
        )
    given_up = replace(invoice, status="uncollectible", uncollectible_at=book.now)
    return _close(book, given_up, "invoice.marked_uncollectible")


def _close(book: Book, invoice: Invoice, happened: str) -> Invoice:
    quiet = replace(invoice, auto_advance=False, next_attempt=None)
    closed = book.put(quiet, "invoice.updated", happened)
    standing.settle(book, closed)
    return closed


def _cancel_payment(book: Book, invoice: Invoice) -> None:
    payment = book.find(Payment, payment_of(invoice.id))
    if payment is None or payment.status != "open":
        return
    book.put(replace(payment, status="canceled", canceled_at=book.now))
    intent = book.get(Intent, payment.intent)
    canceled = replace(intent, status="canceled", canceled_at=book.now)
    book.put(canceled, "payment_intent.canceled")
