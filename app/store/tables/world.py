"""What the world must be told, what it tells, and what became of both."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.store.tables.base import Moment, metadata, of_product

outbox = Table(
    "outbox",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("product_id", Integer, nullable=False),
    Column("subscription_id", BigInteger, nullable=False),
    Column("round", Integer, nullable=False),
    Column("lane", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("not_before", Moment, nullable=False),
    Column("state", Text, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("lease_until", Moment),
    Column("tries", Integer, nullable=False),
    Column("unknown", SmallInteger, nullable=False),
    Column("error", Text),
    CheckConstraint("state in ('pending', 'claimed', 'parked')", name="state"),
    Index(
        "outbox_due_idx",
        "product_id",
        "lane",
        "not_before",
        "id",
        postgresql_where=text("state = 'pending'"),
    ),
    Index("outbox_lease_idx", "lease_until", postgresql_where=text("state = 'claimed'")),
    Index("outbox_lane_idx", "subscription_id", "round", "lane", "id"),
    Index("outbox_parked_idx", "product_id", "id", postgresql_where=text("state = 'parked'")),
)

look = Table(
    "look",
    metadata,
    of_product(primary_key=True),
    Column("external_id", Text, primary_key=True),
    Column("wanted_at", Moment, nullable=False),
    Column("not_before", Moment, nullable=False),
    Column("hints", Integer, nullable=False),
    Column("tries", Integer, nullable=False),
    # Claimed until `not_before`; parked waits for a person, or for another hint.
    Column("state", Text, nullable=False, server_default="waiting"),
    Column("error", Text),
    CheckConstraint("state in ('waiting', 'claimed', 'parked')", name="state"),
    Index(
        "look_due_idx",
        "product_id",
        "not_before",
        "external_id",
        postgresql_where=text("state <> 'parked'"),
    ),
    Index("look_claimed_idx", "product_id", postgresql_where=text("state = 'claimed'")),
    Index("look_parked_idx", "product_id", postgresql_where=text("state = 'parked'")),
)

# One row a product: how far its comparison with billing has come, and what the last one found.
reconciliation = Table(
    "reconciliation",
    metadata,
    of_product(primary_key=True),
    # On the life clock: when the next run begins, or this one goes on.
    Column("due_at", Moment, nullable=False),
    Column("lists", Boolean, nullable=False, server_default=text("false")),
    # None while no run is under way.
    Column("phase", Text),
    Column("cursor", Text),
    Column("began_at", Moment),
    # From when on charges have not been walked through yet.
    Column("charges_from", Moment),
    # When a run last began that walked much further back, for charges seen very late.
    Column("walked_back_at", Moment),
    Column("lease_until", Moment),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("error", Text),
    Column("counts", JSONB, nullable=False, server_default="{}"),
    Column("ended_at", Moment),
    Column("result", JSONB),
    CheckConstraint("phase in ('pages', 'missing', 'charges')", name="phase"),
)

unexplained = Table(
    "unexplained",
    metadata,
    of_product(primary_key=True),
    Column("subscription_id", BigInteger, primary_key=True, autoincrement=False),
    Column("what", Text, primary_key=True),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
)

# Charges that should not have been, and how they are given back.
refund = Table(
    "refund",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    of_product(),
    Column("subscription_id", BigInteger, nullable=False),
    Column("round", Integer, nullable=False),
    Column("charge", Text, nullable=False),
    Column("charged_at", Moment, nullable=False),
    # Minor units: what was taken, what of it billing says was given back, what we ask it to give.
    Column("amount", BigInteger, nullable=False),
    Column("refunded", BigInteger, nullable=False),
    Column("asked", BigInteger),
    # What billing said was given back when we first asked: tells our refund from another's.
    Column("refunded_before", BigInteger),
    Column("currency", Text, nullable=False),
    Column("evidence", JSONB, nullable=False),
    Column("state", Text, nullable=False),
    # Nothing may be made of it whoever approves: the reason is in `error`.
    Column("absurd", Boolean, nullable=False, server_default=text("false")),
    Column("found_at", Moment, nullable=False),
    Column("decided_by", Text),
    Column("decided_at", Moment),
    Column("why", Text),
    Column("first_tried_at", Moment),
    Column("not_before", Moment, nullable=False),
    Column("lease_until", Moment),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("unknown", Integer, nullable=False, server_default="0"),
    Column("error", Text),
    Column("made_at", Moment),
    UniqueConstraint("product_id", "charge"),
    CheckConstraint(
        "state in ('proposed', 'approved', 'made', 'declined', 'failed')", name="state"
    ),
    Index(
        "refund_due_idx",
        "product_id",
        "not_before",
        "id",
        postgresql_where=text("state = 'approved'"),
    ),
    Index(
        "refund_open_idx",
        "product_id",
        "id",
        postgresql_where=text("state in ('proposed', 'failed')"),
    ),
    Index("refund_subscription_idx", "subscription_id", "round"),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    of_product(),
    Column("source", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("type", Text),
    Column("event_at", Moment),
    Column("received_at", Moment, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("tries", SmallInteger, nullable=False, server_default="0"),
    Column("body", LargeBinary),
    # Whom it is about, where it names one subscription that was known when it came.
    Column("subscription_id", BigInteger),
    UniqueConstraint("product_id", "source", "message_id"),
    CheckConstraint(
        "state in ('applied', 'stale', 'ignored', 'unreadable', 'failed')", name="state"
    ),
    Index(
        "inbox_failed_idx",
        "product_id",
        "id",
        postgresql_where=text("state in ('unreadable', 'failed')"),
    ),
    Index("inbox_received_idx", "received_at", postgresql_where=text("body is not null")),
    Index(
        "inbox_subscription_idx",
        "subscription_id",
        postgresql_where=text("subscription_id is not null"),
    ),
    # What has to be read to find out whom it names, when somebody is erased.
    Index(
        "inbox_unbound_idx",
        "product_id",
        "id",
        postgresql_where=text("body is not null and subscription_id is null"),
    ),
)

endpoint = Table(
    "endpoint",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    of_product(),
    Column("url", Text, nullable=False),
    # The event types it wants; an empty list means all.
    Column("types", JSONB, nullable=False, server_default="[]"),
    # Newest first: messages are signed with each, so that the receiver may change over.
    Column("secrets", JSONB, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("retired_at", Moment),
    Index("endpoint_product_idx", "product_id", postgresql_where=text("retired_at is null")),
)

webhook = Table(
    "webhook",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    of_product(),
    Column("endpoint_id", Integer, ForeignKey("endpoint.id"), nullable=False),
    Column("message_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("subscription_id", BigInteger, nullable=False),
    Column("round", Integer),
    Column("body", Text),
    Column("happened_at", Moment, nullable=False),
    Column("not_before", Moment, nullable=False),
    Column("state", Text, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("lease_until", Moment),
    Column("tries", Integer, nullable=False),
    Column("status", SmallInteger),
    Column("error", Text),
    Column("done_at", Moment),
    CheckConstraint("state in ('pending', 'claimed', 'delivered', 'parked')", name="state"),
    UniqueConstraint("endpoint_id", "message_id"),
    Index(
        "webhook_due_idx",
        "product_id",
        "not_before",
        "id",
        postgresql_where=text("state = 'pending'"),
    ),
    # What a silent endpoint has piled up is not looked through for the others.
    Index(
        "webhook_endpoint_idx",
        "endpoint_id",
        "not_before",
        "id",
        postgresql_where=text("state = 'pending'"),
    ),
    Index("webhook_lease_idx", "lease_until", postgresql_where=text("state = 'claimed'")),
    Index(
        "webhook_lane_idx",
        "endpoint_id",
        "subscription_id",
        "id",
        postgresql_where=text("state in ('pending', 'claimed')"),
    ),
    Index("webhook_done_idx", "done_at", postgresql_where=text("done_at is not null")),
    Index("webhook_subscription_idx", "subscription_id"),
)

webhook_try = Table(
    "webhook_try",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("webhook_id", BigInteger, nullable=False),
    Column("at", Moment, nullable=False),
    Column("status", SmallInteger),
    Column("error", Text),
    Column("took_ms", Integer, nullable=False),
    Index("webhook_try_webhook_idx", "webhook_id", "id"),
)

suppression = Table(
    "suppression",
    metadata,
    of_product(primary_key=True),
    # A keyed hash of the address: it is found again by whoever has the address, and by nobody else.
    Column("mark", LargeBinary, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("added_at", Moment, nullable=False),
    CheckConstraint("reason in ('bounced', 'complained', 'by_hand')", name="reason"),
)

# The words of a notice in a product's name, once for all who got it, with marks where the facts of
# each stand: written as they were sent, so that no later change of a template changes them.
wording = Table(
    "wording",
    metadata,
    Column("digest", LargeBinary, primary_key=True),
    Column("notice", Text, nullable=False),
    Column("language", Text, nullable=False),
    # A digest of the files that made it, to be compared with those there are now.
    Column("templates", LargeBinary, nullable=False),
    Column("subject", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("html", Text, nullable=False),
    Column("first_at", Moment, nullable=False),
)

# One row a notice that was handed over. No address, no link, no token. No foreign keys: a check
# for each of a million rows would find nothing, since both are written in the same transaction.
evidence = Table(
    "evidence",
    metadata,
    Column("subscription_id", BigInteger, primary_key=True, autoincrement=False),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("kind", Text, primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("wording", LargeBinary, nullable=False),
    # What the wording was filled with: the facts, and how they were written, in the marks' order.
    # JSON as it was written, a fifth smaller than what JSONB makes of it.
    Column("facts", JSON, nullable=False),
    Column("told", JSON, nullable=False),
    Column("handed_over_at", Moment, nullable=False),
    Column("bounced_at", Moment),
    Column("complained_at", Moment),
)
