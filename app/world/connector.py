"""What every billing system can be told and asked, and what it tells by itself.

Each file of `app/world/billing` is one system and names it in `SYSTEM`; nothing else lists them.
What a system tells is brought into our own few facts here, so that nothing above knows its words.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Generic, Protocol, TypeVar

from sqlalchemy import Engine

from app.clock import Clock
from app.rows import Facts
from app.signing import Headers
from app.world.hooks import Sender
from app.world.outcome import Done, No, Outcome

Item = TypeVar("Item")

# --- what it can do --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a billing system can do for the account we are connected to.

    `pause`: stop charging, and start again; `cancel`: end with the time paid, or at once; `asked`:
    it can be asked how a subscription stands; `lists`: it gives all subscriptions, page by page;
    `charges`: and what it has charged; `refunds`: it gives money back.
    """

    pause: bool = True
    cancel: bool = True
    asked: bool = True
    lists: bool = True
    charges: bool = True
    refunds: bool = True

    @property
    def acts(self) -> frozenset[str]:
        """The acts that it can carry out."""
        pausing = ("suspend", "resume") if self.pause else ()
        return frozenset((*pausing, *(("cancel", "end") if self.cancel else ())))


def everything(settings: Mapping[str, str]) -> Capabilities:  # noqa: ARG001 - asked of every system
    """Give what a system can do that does whatever may be asked of it, however it is set."""
    return Capabilities()


class Away(Exception):
    """Billing cannot be asked now; the text is a code. Nothing was changed by asking."""

    def __init__(self, reason: str, retry_after: timedelta | None = None) -> None:
        """Take the reason, and how long to wait where billing says so."""
        super().__init__(reason)
        self.reason = reason
        self.retry_after = retry_after


class Unfit(Away):
    """What billing tells of this one subscription cannot be taken in; others it may tell well.

    The text names the field and what is wrong with it, and repeats nothing of what was told.
    """


# --- acts ------------------------------------------------------------------------------------


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
    """One act for billing: `act` is suspend, resume, cancel or end; `key` is the same on each try.

    `cancel` ends with the time paid, `end` at once: for good, and with no further charge.

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


CONFIRMED_WITHIN = timedelta(days=2)
"""By then a system that cannot be asked has told by itself of what it acknowledged."""
REACHED = {
    "suspend": frozenset({"paused"}),
    "resume": frozenset({"active"}),
    "cancel": frozenset({"canceling", "ended"}),
    "end": frozenset({"ended"}),
}
"""The states in which an act has been carried out."""


@dataclass(frozen=True, slots=True)
class Repayment:
    """Money to be given back: minor units of the currency, for one charge, under one key."""

    charge: str
    amount: int
    currency: str
    key: str


# --- what it tells when asked ------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page(Generic[Item]):
    """Some of a list, and where the next page begins; None behind the last.

    `refused` names what stands there and cannot be taken in: (id, the field and what is wrong).
    """

    items: tuple[Item, ...]
    after: str | None = None
    refused: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Charge:
    """Money that was taken for a subscription, in minor units; `refunded` of it was given back."""

    id: str
    subscription: str
    at: datetime
    amount: int
    currency: str
    refunded: int = 0


class Acts(Protocol):
    """What carries out acts, and is asked how a subscription stands.

    Whatever asks raises `Away` where there is no answer now.
    """

    def carry_out(self, order: Order) -> Outcome:
        """Tell billing to act; running it again under the same key has no further effect."""

    def read(self, order: Order) -> Standing | None:
        """Give how the order's subscription stands; None where billing does not know it."""


class Connector(Acts, Protocol):
    """One billing system, connected for one product."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do; the calls it cannot answer are never made."""

    def look(self, subscription: str) -> Facts | None:
        """Give a subscription as it now is; None where billing does not know it.

        Raises Unfit where what billing tells of it cannot be taken in.
        """

    def page(self, after: str | None) -> Page[Facts]:
        """Give a page of all subscriptions that have not ended, in an order that stays."""

    def charges(self, since: datetime, after: str | None) -> Page[Charge]:
        """Give a page of the charges made from a moment on."""

    def refund(self, repayment: Repayment) -> Outcome:
        """Give money back, once for each key."""


class TellsNothing:
    """The part of a connector that billing has no answer to."""

    def look(self, subscription: str) -> Facts | None:  # noqa: ARG002
        """Say that it cannot be asked."""
        raise Away("cannot be asked")

    def page(self, after: str | None) -> Page[Facts]:  # noqa: ARG002
        """Say that it cannot be asked."""
        raise Away("cannot be asked")

    def charges(self, since: datetime, after: str | None) -> Page[Charge]:  # noqa: ARG002
        """Say that it cannot be asked."""
        raise Away("cannot be asked")

    def refund(self, repayment: Repayment) -> Outcome:  # noqa: ARG002
        """Say that nothing is given back through it."""
        return No("cannot refund")


def settled(connector: Acts, order: Order, done: Done) -> Standing | None:
    """Give how a subscription stands after an act; what billing answered to it counts first."""
    try:
        standing = connector.read(order)
    except Away:
        standing = None
    answered = (done.detail or {}).get(PAID_UNTIL)
    if answered is None:
        return standing
    state = standing.state if standing else UNKNOWN
    return Standing(state, datetime.fromisoformat(answered))


# --- what it tells by itself -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Dispute:
    """A charge that somebody disputes, by billing's own id of the dispute.

    `about` is the subscription, or what is read back as it; else `customers` are those whose all
    subscriptions it may be about. `ended`: won, lost or withdrawn.
    """

    id: str
    about: str | None
    customers: tuple[str, ...] = ()
    ended: bool = False


@dataclass(frozen=True, slots=True)
class Event:
    """A message as it was read.

    `facts` where it tells all of a subscription; `look` and `customers` name subscriptions, and
    customers for all of theirs, that are to be read back; `dispute` where it tells of one; `wrong`
    says why it cannot be read, naming the field and the mend and repeating nothing. None of them:
    it is none of ours.
    """

    type: str | None = None
    at: datetime | None = None
    facts: Facts | None = None
    look: tuple[str, ...] = ()
    customers: tuple[str, ...] = ()
    wrong: str | None = None
    dispute: Dispute | None = None

    @property
    def ours(self) -> bool:
        """Whether it says anything that we need to know."""
        return bool(self.facts or self.look or self.customers or self.dispute)


Verify = Callable[[Sequence[str], Headers, bytes, datetime], str]
"""Gives the id of a message signed with one of the secrets; NotSigned where none fits."""
Read = Callable[[bytes, datetime], Event]
"""Reads a body whose signature fits, at a moment; nothing that it may hold raises anything."""


# --- one system ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Site:
    """Where a connector works: one product, and whatever a system may need of its surroundings.

    `key` is the product's API key at billing; `commands` the address and secrets of the endpoint
    that takes commands; `settings` what else the product has set for its billing system;
    `base_url` is ours, for links that billing keeps. `pace` waits until one more call may be made
    to the account, of so many a second.
    """

    product: str
    clock: Clock
    engine: Engine
    sender: Sender
    key: str | None = None
    commands: tuple[str, Sequence[str]] | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    base_url: str = ""
    pace: Callable[[int], None] = lambda _: None


@dataclass(frozen=True, slots=True)
class System:
    """One billing system, as its file describes it.

    `connect` raises Refused, naming the mend, where the product lacks what it needs. A system
    without `verify` and `read` sends no messages. `settings` are the names a product may set for
    it, each with a pattern of what is allowed; `can` says by these alone, without asking anybody,
    what it can do: so it may be looked at before anything is promised. `makes_secrets`: what signs
    its messages is made there, and given to us.
    """

    title: str
    connect: Callable[[Site], Connector]
    verify: Verify | None = None
    read: Read | None = None
    settings: Mapping[str, str] = field(default_factory=dict)
    can: Callable[[Mapping[str, str]], Capabilities] = everything
    makes_secrets: bool = False
