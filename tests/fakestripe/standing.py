"""How a subscription stands after money was paid, refused, forgiven; and how it ends."""

from msgspec.structs import replace

from tests.fakestripe.book import Book, Step
from tests.fakestripe.records import Customer, Invoice, Subscription

UPDATED = "customer.subscription.updated"
SETTLED = frozenset({"paid", "uncollectible", "void"})


def settle(book: Book, invoice: Invoice) -> None:
    """Judge the subscription of an invoice that was paid, voided or given up."""
    _delinquent(book, invoice, owes=False)
    subscription = book.find(Subscription, invoice.subscription or "")
    if subscription is None or subscription.ended:
        return
    if subscription.resuming == invoice.id:
        _resuming(book, subscription, invoice)
    elif subscription.status == "incomplete" and invoice.status == "void":
        book.put(replace(subscription, status="incomplete_expired", ended_at=book.now), UPDATED)
    elif subscription.status in {"past_due", "unpaid", "incomplete"} and not _owes(book, invoice):
        book.put(replace(subscription, status="active"), UPDATED)


def _owes(book: Book, invoice: Invoice) -> bool:
    """Tell whether the newest invoice that was finalized and not voided is open."""
    counted = [
        each
        for each in book.invoices(invoice.subscription or "")
        if each.status not in {"draft", "void"}
    ]
    return bool(counted) and counted[-1].status not in SETTLED


def _resuming(book: Book, subscription: Subscription, invoice: Invoice) -> None:
    """End a native pause with its invoice; voided, the subscription stays paused."""
    if invoice.status == "void":
        book.put(replace(subscription, resuming=None), UPDATED)
    else:
        resumed(book, subscription, status="active")


def resumed(book: Book, subscription: Subscription, *, status: str) -> Subscription:
    """End a native pause."""
    awake = replace(subscription, status=status, resuming=None, paused_at=None, paused_why=None)
    book.timeline.at(awake.period_end, Step.CYCLE, awake.id)
    return book.put(awake, "customer.subscription.resumed", UPDATED)


def owe(book: Book, invoice: Invoice) -> None:
    """Judge the subscription of an invoice whose payment failed."""
    _delinquent(book, invoice, owes=True)
    subscription = book.find(Subscription, invoice.subscription or "")
    if subscription is None:
        return
    if subscription.resuming == invoice.id:
        if not subscription.resumes_when_paid:
            resumed(book, subscription, status="past_due")
    elif subscription.status in {"active", "trialing"}:
        book.put(replace(subscription, status="past_due"), UPDATED)


def _delinquent(book: Book, invoice: Invoice, *, owes: bool) -> None:
    customer = book.find(Customer, invoice.customer)
    if customer is not None and not customer.deleted:
        book.change(replace(customer, delinquent=owes), "customer.updated")


def end(book: Book, subscription: Subscription, *, reason: str) -> Subscription:
    """Cancel now. Stripe stops collecting what is owed then, and leaves it open."""
    for invoice in book.invoices(subscription.id):
        if invoice.status in {"draft", "open"}:
            quiet = replace(invoice, auto_advance=False, next_attempt=None, finalizes_at=None)
            book.change(quiet, "invoice.updated")
    ended = replace(
        subscription,
        status="canceled",
        ended_at=book.now,
        canceled_at=subscription.canceled_at or book.now,
        cancel_reason=reason,
        paused_at=None,
        paused_why=None,
        resuming=None,
    )
    return book.put(ended, "customer.subscription.deleted")
