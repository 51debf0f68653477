"""What billing can do: nobody is promised what it cannot."""

from datetime import datetime

from sqlalchemy import Connection

from app.guards.brake import BILLING_CANNOT, GUARD, note, trip
from app.lifecycle.passing import ACT_ON_SILENCE, acts_on_silence
from app.policy import Policy, refuse_impossible
from app.store import products
from app.store.products import Product
from app.world import billing
from app.world.connector import Capabilities

SAYS_WHAT_IT_CAN = "can"
"""By this setting a product says what its billing system can do, where that is for it to say."""


def follows(can: Capabilities) -> frozenset[str]:
    """Give the values of `on_no_answer` that a billing system can carry out."""
    able = (what for what, act in ACT_ON_SILENCE.items() if act in can.acts)
    return frozenset(("nothing", *able))


def check_policy(product: Product, policy: Policy) -> None:
    """Refuse a policy that promises what the product's billing system cannot do, with the mends.

    Not to be asked inside a transaction: the file of the system may be read only now.
    """
    can = billing.capabilities(product.billing, product.billing_settings)
    wrong = f"is not what billing can do: {product.billing} {_named(can)}"
    refuse_impossible(policy, follows(can), wrong, mend_of(product, can))


def mend_of(product: Product, can: Capabilities) -> str:
    """Say what a policy may promise instead, and where the product says what billing can do."""
    system = billing.system(product.billing)
    mend = f"write on_no_answer: {' or '.join(sorted(follows(can)))}"
    if system is None or SAYS_WHAT_IT_CAN not in system.settings:
        return mend
    return f"{mend}, or, if it can: reconfirm product set {product.key} billing.can=pause,cancel"


def _named(can: Capabilities) -> str:
    """Say what a billing system cannot do of what silence may come to."""
    lacks = [what for what, has in (("pause", can.pause), ("cancel", can.cancel)) if not has]
    return f"cannot {' or '.join(lacks)}" if lacks else "can pause and cancel"


def impossible(product: Product, can: Capabilities) -> list[str]:
    """Give the acts that the policy in force promises and that billing cannot carry out."""
    if product.policy is None:
        return []
    return sorted(str(act) for act in acts_on_silence(product.policy) if act not in can.acts)


def check_billing(
    connection: Connection, product: Product, can: Capabilities, now: datetime
) -> None:
    """Set or lift the brake of a policy in force that billing can no longer follow.

    Nobody is asked with words that cannot be kept. It lifts itself: what was wrong is gone as soon
    as a person has set billing or the policy right.
    """
    lacks = impossible(product, can)
    if lacks:
        trip(connection, product, BILLING_CANNOT, "_".join(("billing_cannot", *lacks)), now)
    elif products.lift_brake(connection, product.id, BILLING_CANNOT, GUARD, now):
        note(connection, product.id, "brake_off", BILLING_CANNOT, GUARD, now)
