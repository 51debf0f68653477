"""What an export says: a document of a stable shape, whose version stands in `schema`.

Members are only ever added; whoever reads it passes over those they do not know. Times are RFC 3339
in UTC, days are dates, amounts count the currency's minor unit. Codes are explained in `words`.
Whoever acted is told by their kind: people who work for the product are `staff`.
"""

from datetime import date, datetime
from typing import Any

from msgspec import Struct

from app.lifecycle.case import Round

SCHEMA = "reconfirm.subject/1"


class HeldProduct(Struct, kw_only=True):
    """Whose subscription it is: who answers for the data."""

    key: str
    name: str
    support_url: str


class HeldSubscription(Struct, kw_only=True):
    """What billing told, and the last day of use; `number` is our own.

    `told` is a fingerprint of what billing told last, `told_at` when that was so.
    """

    id: str
    number: int
    customer: str | None
    status: str
    plan: str
    country: str
    interval: str
    amount: int
    currency: str
    started_on: date
    renews_at: datetime | None
    last_used_on: date | None
    told: str
    told_at: datetime | None


class HeldContact(Struct, kw_only=True):
    """Where and how the person is written to.

    `told_email` is what billing went on telling when they corrected their address, empty for none;
    `suppressed` why we do not write to it.
    """

    email: str | None
    locale: str
    timezone: str
    reach: str
    told_email: str | None
    corrected_at: datetime | None
    suppressed: str | None


class HeldMessage(Struct, kw_only=True):
    """A notice as it was sent; links are left out of it."""

    round: int
    notice: str
    version: int
    language: str
    handed_over_at: datetime
    bounced_at: datetime | None
    complained_at: datetime | None
    subject: str
    text: str
    facts: dict[str, Any]


class HeldLink(Struct, kw_only=True):
    """A link of its own that was mailed, or is to be: `erase` or `data`. It is not kept itself."""

    round: int
    version: int
    purpose: str
    asked_at: datetime
    made_at: datetime | None
    used_at: datetime | None


class HeldReview(Struct, kw_only=True):
    """What was put before a person, and what they found."""

    round: int
    reason: str
    asked_at: datetime
    state: str
    due_on: date | None
    done_at: datetime | None
    done_by: str | None
    outcome: str | None


class HeldHold(Struct, kw_only=True):
    """What keeps the data from being erased; in force while it is not released."""

    reason: str
    source: str | None
    set_at: datetime
    set_by: str
    review_on: date
    released_at: datetime | None
    released_by: str | None


class HeldRefund(Struct, kw_only=True):
    """A charge that should not have been, and what became of giving it back."""

    round: int
    charge: str
    charged_at: datetime
    amount: int
    refunded: int
    asked: int | None
    currency: str
    state: str
    why: str | None
    found_at: datetime
    decided_at: datetime | None
    decided_by: str | None
    made_at: datetime | None
    evidence: dict[str, Any]


class HeldErasure(Struct, kw_only=True):
    """An erasure that was begun, and what each system answered."""

    id: str
    round: int
    cause: str
    manifest: int | None
    begun_at: datetime
    begun_by: str
    requested_at: datetime | None
    answered_at: datetime | None
    stopped: str | None
    ended_at: datetime | None
    receipts: list["HeldReceipt"]


class HeldReceipt(Struct, kw_only=True):
    """What a system that holds data was told to erase, and what it answered."""

    target: str
    kind: str
    state: str
    told_at: datetime | None
    given_at: datetime | None
    body: dict[str, Any] | None


class HeldListing(Struct, kw_only=True):
    """A list of a day on which the subscription stood, whose data was due to be erased."""

    number: int
    day: date
    round: int
    stage: str
    why: str
    since: date
    erase_on: date
    warned: int
    warned_from: date
    warned_on: date
    state: str
    skipped: str | None


class HeldErasing(Struct, kw_only=True):
    """How it stands with erasing: what is scheduled, asked for, and begun.

    `asked_at` is the person's own request and `begins_at` when it begins by itself, unless a hold
    is on or something is still charged.
    """

    scheduled_on: date | None
    asked_at: datetime | None
    begins_at: datetime | None
    held: bool
    listed: list[HeldListing]
    begun: list[HeldErasure]


class HeldKeeping(Struct, kw_only=True):
    """How long what is kept, by the rules this subscription is held to (ISO 8601 durations).

    `erase_after` counts from a suspension or cancel; null: nothing is scheduled to be erased.
    `keep` are the categories that are kept all the same, and for how long.
    """

    policy_version: int | None
    erase_after: str | None
    erasure_warnings: list[str]
    keep: dict[str, str]


class HeldEndpoint(Struct, kw_only=True):
    """A system of the product that is told what happens; no types: all of them."""

    url: str
    types: list[str]


class HeldTarget(Struct, kw_only=True):
    """A system that holds data of subscribers, and is told to erase it."""

    key: str
    kind: str
    categories: list[str]


class HeldRecipients(Struct, kw_only=True):
    """Who is told of the subscription."""

    billing: str
    endpoints: list[HeldEndpoint]
    targets: list[HeldTarget]


class HeldCall(Struct, kw_only=True):
    """What an endpoint was told, or is to be: the kind of news, and how it went."""

    type: str
    to: str
    round: int | None
    happened_at: datetime
    state: str
    done_at: datetime | None


class HeldWaiting(Struct, kw_only=True):
    """Something that is still to be done: a notice, or what billing is to be told."""

    kind: str
    version: int
    round: int
    not_before: datetime
    state: str
    tries: int
    error: str | None


class HeldQuestion(Struct, kw_only=True):
    """A list, read by the product, of whom a version of its rules would ask."""

    version: int
    why: str


class HeldOddity(Struct, kw_only=True):
    """Something about the subscription that our books and billing's cannot explain."""

    what: str
    first_at: datetime
    last_at: datetime


class HeldStep(Struct, kw_only=True):
    """One line of the history."""

    at: datetime
    round: int | None
    what: str
    why: str
    policy_version: int | None
    by: str


class Words(Struct, kw_only=True):
    """What the codes of the history mean; one that is not in here reads as it is written."""

    what: dict[str, str]
    why: dict[str, str]


class Held(Struct, kw_only=True):
    """Everything that is held about one subscription.

    `next_looks` are when it is looked at again by itself; `look_up_since`: it is being looked up at
    billing. Other subscriptions of the same customer are not in here, nor named.
    """

    schema: str = SCHEMA
    made_at: datetime
    held: bool = True
    product: HeldProduct
    subscription: HeldSubscription
    contact: HeldContact
    rounds: list[Round]
    messages: list[HeldMessage]
    links: list[HeldLink]
    reviews: list[HeldReview]
    holds: list[HeldHold]
    refunds: list[HeldRefund]
    erasing: HeldErasing
    keeping: HeldKeeping
    recipients: HeldRecipients
    told_to_endpoints: list[HeldCall]
    still_to_do: list[HeldWaiting]
    lists: list[HeldQuestion]
    unexplained: list[HeldOddity]
    next_looks: list[datetime]
    look_up_since: datetime | None
    history: list[HeldStep]
    words: Words


class NothingHeld(Struct, kw_only=True):
    """The answer about somebody who was erased: that nothing is held, and nothing else."""

    schema: str = SCHEMA
    made_at: datetime
    held: bool = False
    product: HeldProduct
