"""The clock that charges: what comes due is done in order, at its own moment."""

from collections.abc import Callable

from msgspec.structs import replace

from tests.fakestripe import billing, life, standing
from tests.fakestripe.book import EVENTS_KEPT, Book, Step, Timeline
from tests.fakestripe.events import Event
from tests.fakestripe.periods import DAY
from tests.fakestripe.records import Invoice, Subscription


def advance(book: Book, timeline: Timeline, end: int) -> None:
    """Move a clock on and do all that comes due on the way; a clock never goes back."""
    before, book.timeline = book.timeline, timeline
    tidied = timeline.now
    for step, id_ in timeline.until(end):
        DOES[step](book, id_)
        if timeline.now - tidied > DAY:
            tidied = timeline.now
            _forget(book)
    _forget(book)
    book.timeline = before


def _forget(book: Book) -> None:
    """Drop the events that Stripe no longer lists."""
    slowest = min(each.now for each in (book.main, *book.clocks.values()))
    book.shelves[Event].forget_before(slowest - EVENTS_KEPT)


def _collect_again(book: Book, id_: str) -> None:
    of = book.get(Subscription, id_)
    if of.pause is not None and of.pause.resumes_at == book.now and not of.ended:
        book.put(replace(of, pause=None), standing.UPDATED)


def _cancel(book: Book, id_: str) -> None:
    of = book.get(Subscription, id_)
    if of.cancel_at == book.now and not of.ended:
        standing.end(book, of, reason=of.cancel_reason or "cancellation_requested")


def _expire(book: Book, id_: str) -> None:
    """End a subscription whose first invoice nobody paid, by voiding that."""
    of = book.get(Subscription, id_)
    if of.status == "incomplete":
        billing.void(book, book.get(Invoice, of.latest_invoice or ""))


def _give_up_resuming(book: Book, id_: str) -> None:
    of = book.get(Subscription, id_)
    if of.resuming is not None and book.get(Invoice, of.resuming).attempts == 0:
        billing.void(book, book.get(Invoice, of.resuming))


def _cycle(book: Book, id_: str) -> None:
    life.cycle(book, book.get(Subscription, id_))


def _finalize(book: Book, id_: str) -> None:
    invoice = book.get(Invoice, id_)
    if invoice.status == "draft" and invoice.finalizes_at == book.now:
        billing.finalize(book, invoice)


def _retry(book: Book, id_: str) -> None:
    """Try an open invoice again; a pause of collection does not keep Stripe from it."""
    invoice = book.get(Invoice, id_)
    if invoice.status == "open" and invoice.next_attempt == book.now:
        billing.attempt(book, invoice)


def _overdue(book: Book, id_: str) -> None:
    invoice = book.get(Invoice, id_)
    if invoice.status == "open":
        book.tell("invoice.overdue", invoice)
        standing.owe(book, invoice)


def _trial_ends_soon(book: Book, id_: str) -> None:
    of = book.get(Subscription, id_)
    if of.status == "trialing":
        book.tell("customer.subscription.trial_will_end", of)


DOES: dict[Step, Callable[[Book, str], None]] = {
    Step.COLLECT_AGAIN: _collect_again,
    Step.CANCEL: _cancel,
    Step.EXPIRE: _expire,
    Step.GIVE_UP_RESUMING: _give_up_resuming,
    Step.CYCLE: _cycle,
    Step.FINALIZE: _finalize,
    Step.RETRY: _retry,
    Step.OVERDUE: _overdue,
    Step.TRIAL_ENDS_SOON: _trial_ends_soon,
}
