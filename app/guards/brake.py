"""The brake: what sets it, who lifts it, and what it says."""

from datetime import datetime

from sqlalchemy import Connection

from app.guards.seen import NEWLY_DUE, acknowledge, day_of
from app.store import cases, products
from app.store.cases import HistoryWrite
from app.store.products import Brake, Product

STALE_FEED = "stale_feed"
BILLING_CANNOT = "billing_cannot"
BY_HAND = "by_hand"
RESTORED = "restored"
GUARD = "guard"


def braked(connection: Connection, product: Product) -> bool:
    """Say whether any brake stops this product."""
    return bool(products.brakes(connection, product.id))


def restored(connection: Connection, product: Product) -> bool:
    """Say whether a product is stopped because its database was restored from a backup."""
    return any(each.cause == RESTORED for each in products.brakes(connection, product.id))


def trip(connection: Connection, product: Product, cause: str, why: str, now: datetime) -> bool:
    """Set the brake of one product; `why` holds codes and numbers. False where it is on already."""
    if not products.set_brake(connection, product.id, cause, why, GUARD, now):
        return False
    note(connection, product.id, "brake_on", cause, GUARD, now)
    return True


def lift(
    connection: Connection, product_id: int | None, actor: str, why: str, now: datetime
) -> int:
    """Lift the brakes of a product, or (None) the one of all, because a person says so; how many.

    What tripped them has been seen: it is never held against the product again, see `told`.
    """
    if product_id is not None:
        acknowledge(connection, product_id, day_of(now))
    lifted = products.lift_brake(connection, product_id, None, actor, now)
    note(connection, product_id or 0, "brake_off", why, actor, now)
    return lifted


def note(  # noqa: PLR0913, PLR0917 - a line of history
    connection: Connection, product_id: int, what: str, why: str, actor: str, now: datetime
) -> None:
    """Note in history what became of a brake."""
    line = HistoryWrite(None, None, what, why, None)
    cases.insert_history(connection, product_id, now, actor, [line])


_CAN = "`reconfirm product set {product} billing.can=…`; this brake lifts itself"
_LIFT = "`reconfirm brake off {product} --why …`"
_WORDS = {
    STALE_FEED: (
        "the feed of usage has been silent for longer than the policy allows",
        "bring the usage up to date: this brake lifts itself",
    ),
    BILLING_CANNOT: (
        "the policy in force promises what the billing system can no longer do",
        "activate a policy with on_no_answer: cancel_at_period_end or nothing, or say that it can: "
        + _CAN,
    ),
    RESTORED: (
        "the database was restored from a backup, and what has happened since is missing",
        "import the use since then and compare with billing (`reconfirm reconcile run {product}`),"
        " look at what is parked (`reconfirm outbox list {product}`); then " + _LIFT,
    ),
    NEWLY_DUE: (
        "more people have come due at once than the policy allows in a day",
        "look for missing usage with `reconfirm feed list {product}` and for a wrong threshold with"
        " `reconfirm policy show {product}`; if all is as it should be, " + _LIFT,
    ),
    "bounces": (
        "more of the asks of the last days came back than the policy allows",
        "check the addresses, and that the relay may write for the sender; then " + _LIFT,
    ),
    "complaints": (
        "more of those asked in the last days complained than the policy allows",
        "check the sender, and whether these people know the product by that name; then " + _LIFT,
    ),
    "in_use": (
        "a feed is broken: more of those asked in the last days do use it than the policy allows",
        "find and import the use that `reconfirm feed list {product}` does not cover; then "
        + _LIFT,
    ),
}
CAUSES = frozenset(_WORDS) | {BY_HAND}
"""All that a brake can be set for, as codes: each surface says them in its own words."""


def in_words(brake: Brake) -> tuple[str, str]:
    """Give what a brake says, with its numbers, and what to do about it."""
    says, mend = _WORDS.get(brake.cause, ("", _LIFT))
    named = " ".join(mend.format(product=brake.product or "").split())
    return f"{says} ({brake.why})" if says else brake.why, named
