"""What every billing system can be told and asked."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from app.world.outcome import Outcome


@dataclass(frozen=True, slots=True)
class Order:
    """One act for billing: `act` is suspend, resume or cancel; `key` is the same on every try."""

    product: str
    subscription: str
    act: str
    key: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Standing:
    """How billing says a subscription stands.

    `state` is active, paused, canceling (ends with the time paid) or ended; `paid_until` is how
    long the time already paid lasts.
    """

    state: str
    paid_until: datetime | None


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

    def read(self, product: str, subscription: str) -> Standing | None:
        """Give how a subscription stands; None where billing does not know it."""
