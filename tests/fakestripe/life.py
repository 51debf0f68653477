"""The life of a subscription: begun, renewed, paused, resumed, canceled."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from msgspec.structs import replace

from tests.fakestripe import billing, standing
from tests.fakestripe.book import Book, Step
from tests.fakestripe.errors import Refused
from tests.fakestripe.periods import DAY, around
from tests.fakestripe.records import Customer, Extra, Invoice, Item, Pause, Price, Subscription

UPDATED = standing.UPDATED
HOURS_23 = 23 * 3_600
"""How long Stripe waits for a first payment and for that of a resumption."""
TRIAL_NEWS = 3 * DAY


@dataclass(frozen=True)
class Wish:
    """What a new subscription is to be."""

    customer: str
    prices: Sequence[tuple[Price, int, Mapping[str, str]]]
    """Price, quantity, metadata of each item."""
    flexible: bool = True
    anchor: int | None = None
    start: int | None = None
    """Begun in the past and paid since; only tests can wish that."""
    trial_end: int | None = None
    missing_method: str = "create_invoice"
    cancel_at: int | None = None
    cancel_at_period_end: bool = False
    collection: str = "charge_automatically"
    days_until_due: int | None = None
    payment_method: str | None = None
    payment_behavior: str = "allow_incomplete"
    description: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


def begin(book: Book, wish: Wish) -> Subscription:
    """Begin a subscription and charge its first invoice."""
    trial = wish.trial_end is not None and wish.trial_end > book.now
    customer = book.get(Customer, wish.customer, param="customer")
    begun = Subscription(
        id=book.new_id("sub"),
        created=book.now,
        customer=customer.id,
        status="trialing" if trial else "active",
        items=(),
        anchor=(wish.trial_end if trial else wish.anchor or wish.start) or book.now,
        start_date=wish.start or book.now,
        currency=wish.prices[0][0].currency,
        flexible=wish.flexible,
        metadata=dict(wish.metadata),
        description=wish.description,
        payment_method=wish.payment_method,
        collection=wish.collection,
        days_until_due=wish.days_until_due,
        trial_start=book.now if trial else None,
        trial_end=wish.trial_end if trial else None,
        missing_method=wish.missing_method,
        test_clock=customer.test_clock,
    )
    items = tuple(_item(book, begun, *each) for each in wish.prices)
    begun = ending(
        book, replace(begun, items=items), wish.cancel_at, at_end=wish.cancel_at_period_end
    )
    if customer.currency is None:
        book.put(replace(customer, currency=begun.currency), "customer.updated")
    if wish.start is None:
        begun = _first_invoice(book, begun, wish.payment_behavior)
    begun = book.put(begun, "customer.subscription.created")
    watch(book, begun)
    if trial and begun.trial_end is not None:
        book.timeline.at(
            max(book.now, begun.trial_end - TRIAL_NEWS), Step.TRIAL_ENDS_SOON, begun.id
        )
    return begun


def _item(
    book: Book, of: Subscription, price: Price, quantity: int, notes: Mapping[str, str]
) -> Item:
    start, end = around(of.anchor, price.interval or "month", price.interval_count, book.now)
    return Item(
        id=book.new_id("si"),
        created=book.now,
        price=price,
        quantity=quantity,
        # Backdated it is within a period; otherwise its first one begins now.
        start=start if of.start_date < book.now else book.now,
        end=of.trial_end or end,
        metadata=dict(notes),
    )


def _first_invoice(book: Book, begun: Subscription, behavior: str) -> Subscription:
    """Charge the first invoice; unpaid, the subscription is incomplete."""
    invoice = billing.draw_up(book, begun, begun.items, "subscription_create")
    begun = replace(begun, latest_invoice=invoice.id)
    automatic = begun.collection == "charge_automatically"
    if behavior == "default_incomplete" and invoice.total > 0:
        # It waits for a payment that somebody makes.
        invoice = billing.open_only(book, invoice)
    else:
        invoice = billing.send_on(book, begun, invoice, at_once=automatic)
    if invoice.status == "open" and automatic:
        return replace(begun, status="incomplete")
    return begun


def watch(book: Book, of: Subscription) -> None:
    """Have the clock look at a subscription when its next moments come."""
    if of.ended:
        return
    book.timeline.at(of.period_end, Step.CYCLE, of.id)
    book.timeline.at(of.cancel_at, Step.CANCEL, of.id)
    if of.pause is not None:
        book.timeline.at(of.pause.resumes_at, Step.COLLECT_AGAIN, of.id)
    if of.status == "incomplete":
        book.timeline.at(of.created + HOURS_23, Step.EXPIRE, of.id)


def ending(book: Book, of: Subscription, moment: int | None, *, at_end: bool) -> Subscription:
    """Plan the end: at a moment, or with the last of the running periods."""
    if at_end:
        moment = max(item.end for item in of.items)
    planned = moment is not None
    return replace(
        of,
        cancel_at=moment,
        cancel_at_period_end=at_end,
        canceled_at=(of.canceled_at or book.now) if planned else None,
        cancel_reason="cancellation_requested" if planned else None,
    )


def save(book: Book, of: Subscription) -> Subscription:
    """Keep what a request changed, tell of it if it did, and watch it."""
    changed = book.change(of, UPDATED)
    watch(book, changed)
    return changed


def cycle(book: Book, of: Subscription) -> None:
    """Renew the items whose period has ended, and bill them."""
    if of.ended or of.status in {"paused", "incomplete"} or of.period_end > book.now:
        return
    if of.status == "trialing":
        awake = _end_of_trial(book, of)
        if awake is None:
            return
        of = awake
    items = tuple(_renewed(of, item, book.now) for item in of.items)
    due = [new for new, old in zip(items, of.items, strict=True) if new != old]
    invoice = billing.draw_up(book, of, due, "subscription_cycle")
    of = replace(of, items=items, latest_invoice=invoice.id, extras=())
    of = book.put(of, UPDATED)
    watch(book, of)
    billing.send_on(book, of, invoice, at_once=False)


def _renewed(of: Subscription, item: Item, now: int) -> Item:
    if item.end > now:
        return item
    price = item.price
    start, end = around(of.anchor, price.interval or "month", price.interval_count, item.end)
    return replace(item, start=max(start, item.end), end=end)


def _end_of_trial(book: Book, of: Subscription) -> Subscription | None:
    """Give the subscription awake, or None where it has nothing to be charged to and stops."""
    has_method = of.payment_method or book.get(Customer, of.customer).payment_method
    if has_method or of.missing_method == "create_invoice":
        return replace(of, status="active")
    if of.missing_method == "cancel":
        standing.end(book, of, reason="cancellation_requested")
    else:
        _sleep(book, of, "trial_end_without_payment_method")
    return None


def _sleep(book: Book, of: Subscription, why: str) -> Subscription:
    asleep = replace(of, status="paused", paused_at=book.now, paused_why=why)
    return book.put(asleep, "customer.subscription.paused", UPDATED)


def pause(book: Book, of: Subscription, *, credit: bool) -> Subscription:
    """Pause natively: no periods, no invoices; `credit` gives back what is left of the period."""
    if not book.habits.can_pause:
        raise Refused("Your account is not set up to pause subscriptions.")
    if not of.flexible:
        raise Refused(
            "You can only pause subscriptions with `billing_mode` set to `flexible`. "
            f"Subscription {of.id} has `billing_mode` set to `classic`.",
        )
    if of.collection != "charge_automatically":
        raise Refused("You can only pause subscriptions that are charged automatically.")
    if of.status != "active":
        raise Refused(f"You can only pause active subscriptions. {of.id} is {of.status}.")
    extras = [_left(item, book.now, sign=-1) for item in of.items] if credit else []
    return _sleep(book, replace(of, extras=(*of.extras, *extras)), "pause_requested")


def _left(item: Item, now: int, *, sign: int) -> Extra:
    """Give the proration of what is left of an item's period."""
    share = max(0, item.end - now) / (item.end - item.start)
    amount = sign * round(item.price.unit_amount * item.quantity * share)
    words = "Unused" if sign < 0 else "Remaining"
    return Extra(amount, f"{words} time of {item.price.id}", item.id, now, max(now, item.end))


def resume(
    book: Book, of: Subscription, *, anew: bool, when_paid: bool, prorations: str
) -> Subscription:
    """End a native pause.

    `anew`: the cycle begins now and a whole period is billed at once, Stripe's default.
    Otherwise the old anchor stays, and what is left of a period is billed by `prorations`.
    `when_paid`: try to charge now and stay paused until that worked; otherwise nothing is
    charged until somebody pays the invoice, and it is voided after 23 hours.
    """
    if of.status != "paused":
        raise Refused(f"You can only resume paused subscriptions. {of.id} is {of.status}.")
    lapsed = {item.id for item in of.items if item.end <= book.now}
    credited = {extra.item for extra in of.extras}
    if anew:
        of = replace(of, anchor=book.now)
    of = replace(of, items=tuple(_aligned(of, item, book.now, anew=anew) for item in of.items))
    if anew:
        invoice = billing.draw_up(book, of, of.items, "subscription_update")
        return _resumption(book, of, invoice, when_paid=when_paid)
    owed = [item for item in of.items if item.id in lapsed | credited]
    of = _with_debits(book, of, owed, prorations)
    if prorations != "always_invoice":
        return standing.resumed(book, of, status="active")
    invoice = billing.draw_up(book, of, (), "subscription_update")
    return _resumption(book, of, invoice, when_paid=when_paid)


def _with_debits(
    book: Book, of: Subscription, owed: Sequence[Item], prorations: str
) -> Subscription:
    if prorations == "none":
        return of
    debits = (_left(item, book.now, sign=1) for item in owed)
    return replace(of, extras=(*of.extras, *debits))


def _aligned(of: Subscription, item: Item, now: int, *, anew: bool) -> Item:
    """Give an item with the period that the present lies in."""
    if not anew and item.end > now:
        return item
    price = item.price
    start, end = around(of.anchor, price.interval or "month", price.interval_count, now)
    return replace(item, start=start, end=end)


def _resumption(book: Book, of: Subscription, invoice: Invoice, *, when_paid: bool) -> Subscription:
    """Open the invoice of a resumption, and charge it where that was asked."""
    of = replace(of, latest_invoice=invoice.id, extras=())
    if invoice.total <= 0:
        billing.finalize(book, invoice)
        return standing.resumed(book, of, status="active")
    of = book.put(replace(of, resuming=invoice.id, resumes_when_paid=when_paid), UPDATED)
    if when_paid:
        billing.finalize(book, invoice)
    else:
        billing.open_only(book, replace(invoice, auto_advance=False))
        book.timeline.at(book.now + HOURS_23, Step.GIVE_UP_RESUMING, of.id)
    return book.get(Subscription, of.id)


def pause_collection(book: Book, of: Subscription, pause: Pause | None) -> Subscription:
    """Give it with collection paused or not; the status stays.

    Drafts and open invoices of before go on being collected: whoever wants silence voids them.
    """
    if pause is not None and pause.resumes_at is not None and pause.resumes_at <= book.now:
        raise Refused("`resumes_at` must be in the future.", param="pause_collection[resumes_at]")
    return replace(of, pause=pause)
