"""What every billing system can be told and asked."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.world.outcome import Done, Outcome


@dataclass(frozen=True, slots=True)
class Standing:
    """How billing says a subscription stands.

    `state` is active, paused, canceling (ends with the time paid), ended, or unknown: billing can
    not be asked and has said nothing since; `paid_until` is how long the time already paid lasts.
    """

    state: str
    paid_until: datetime | None


UNKNOWN = "unknown"
PAID_UNTIL = "paid_until"
"""What a `Done` may say about an act: a moment in ISO 8601, with an offset."""


@dataclass(frozen=True, slots=True)
class Order:
    """One act for billing: `act` is suspend, resume or cancel; `key` is the same on every try.

    `at` is the moment of this try and `since` that from which the act was due, the same on every
    try. `told` is what billing has told by itself since then.
    """

    product: str
    subscription: str
    act: str
    key: str
    at: datetime
    since: datetime | None = None
    told: Standing | None = None


REACHED = {
    "suspend": frozenset({"paused"}),
    "resume": frozenset({"active"}),
    "cancel": frozenset({"canceling", "ended"}),
}
"""The states in which an act has been carried out."""


class Connector(Protocol):
    """One billing system."""

    def carry_out(self, order: Order) -> Outcome:
        """Tell billing to act; running it again under the same key has no further effect."""

    def read(self, order: Order) -> Standing | None:
        """Give how the order's subscription stands; None where billing does not know it."""


def settled(connector: Connector, order: Order, done: Done) -> Standing | None:
    """Give how a subscription stands after an act; what billing answered to it counts first."""
    standing = connector.read(order)
    answered = (done.detail or {}).get(PAID_UNTIL)
    if answered is None:
        return standing
    state = standing.state if standing else UNKNOWN
    return Standing(state, datetime.fromisoformat(answered))
