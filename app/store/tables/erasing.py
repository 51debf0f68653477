"""Erasing: what stops it, who agreed to it, who was told, and what is left of it as proof."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
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

# A dated stop on erasure. Codes only: who it is about is known by the internal id.
hold = Table(
    "hold",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    of_product(),
    Column("subscription_id", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    # What set it by itself, such as a dispute by its id at billing: it is set once, and released
    # by the same. None where a person set it.
    Column("source", Text),
    Column("set_by", Text, nullable=False),
    Column("set_at", Moment, nullable=False),
    Column("review_on", Date, nullable=False),
    Column("released_at", Moment),
    Column("released_by", Text),
    CheckConstraint("reason in ('legal', 'dispute', 'entitlement', 'restriction')", name="reason"),
    Index("hold_on_idx", "subscription_id", postgresql_where=text("released_at is null")),
    Index(
        "hold_review_idx", "product_id", "review_on", postgresql_where=text("released_at is null")
    ),
    Index(
        "hold_source_key",
        "product_id",
        "source",
        "subscription_id",
        unique=True,
        postgresql_where=text("source is not null"),
    ),
)

# A charge that somebody disputes, as billing tells of it; it sets holds by its `source`.
dispute = Table(
    "dispute",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    of_product(),
    Column("source", Text, nullable=False),
    # What billing says that it is about, until it is known whose that is.
    Column("about", Text),
    Column("told_at", Moment, nullable=False),
    # Once it has ended it never begins again, in whatever order that was told.
    Column("ended_at", Moment),
    # Somebody who was being erased when it came, and who has looked at that.
    Column("late_on", BigInteger),
    Column("seen_at", Moment),
    Column("seen_by", Text),
    UniqueConstraint("product_id", "source"),
    Index("dispute_about_idx", "product_id", "about", postgresql_where=text("about is not null")),
    Index(
        "dispute_late_idx",
        "product_id",
        "id",
        postgresql_where=text("late_on is not null and seen_at is null"),
    ),
)

# A system that holds data of a product's subscribers, and is told to erase.
target = Table(
    "target",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    of_product(),
    Column("key", Text, nullable=False),
    # The file of `app/world/erasure` that speaks with it.
    Column("kind", Text, nullable=False),
    # The categories of data that it holds: each is to be accounted for in its receipt.
    Column("categories", JSONB, nullable=False),
    Column("settings", JSONB, nullable=False, server_default="{}"),
    # Newest first: requests are signed with each.
    Column("secrets", JSONB, nullable=False, server_default="[]"),
    Column("created_by", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    # What a dry run found, where a target has to be tried before it may erase.
    Column("tried_at", Moment),
    Column("tried", JSONB),
    Column("retired_at", Moment),
    Index(
        "target_key", "product_id", "key", unique=True, postgresql_where=text("retired_at is null")
    ),
)

# Whose data is due to be erased, as of one day: nobody outside of it is, by the passing of time.
manifest = Table(
    "manifest",
    metadata,
    of_product(primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("day", Date, nullable=False),
    Column("made_by", Text, nullable=False),
    Column("made_at", Moment, nullable=False),
    # None until it is complete: an unfinished one can be neither read nor approved.
    Column("people", Integer),
    Column("hash", LargeBinary),
    # Whom it has come to while it is being made: the day of erasure, and the subscription.
    Column("cursor_on", Date),
    Column("cursor", BigInteger, nullable=False, server_default="0"),
    Column("listed", Integer, nullable=False, server_default="0"),
    # At most so many people are put on it, as was decided when it was begun.
    Column("at_most", Integer, nullable=False, server_default="0"),
    Column("state", Text, nullable=False),
    Column("refused_by", Text),
    Column("refused_at", Moment),
    Column("approved_at", Moment),
    Column("ended_at", Moment),
    UniqueConstraint("product_id", "day"),
    CheckConstraint(
        "state in ('making', 'waiting', 'approved', 'done', 'refused', 'expired')", name="state"
    ),
    CheckConstraint("(hash is null) = (state = 'making')", name="hash"),
    Index(
        "manifest_open_idx",
        "product_id",
        "number",
        postgresql_where=text("state in ('making', 'waiting', 'approved')"),
    ),
)

manifest_entry = Table(
    "manifest_entry",
    metadata,
    Column("product_id", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("subscription_id", BigInteger, primary_key=True, autoincrement=False),
    Column("round", Integer, nullable=False),
    Column("stage", Text, nullable=False),
    Column("why", Text, nullable=False),
    # Since when it is suspended or canceled, and the days on which warnings were handed over.
    Column("since", Date, nullable=False),
    Column("erase_on", Date, nullable=False),
    Column("warned_from", Date, nullable=False),
    Column("warned_on", Date, nullable=False),
    Column("warned", SmallInteger, nullable=False),
    Column("state", Text, nullable=False, server_default="waiting"),
    # The code of why it was passed over.
    Column("skipped", Text),
    CheckConstraint("state in ('waiting', 'begun', 'skipped')", name="state"),
    Index(
        "manifest_entry_subscription_idx",
        "subscription_id",
        "product_id",
        "number",
    ),
    Index(
        "manifest_entry_waiting_idx",
        "product_id",
        "number",
        "subscription_id",
        postgresql_where=text("state = 'waiting'"),
    ),
)

manifest_approval = Table(
    "manifest_approval",
    metadata,
    Column("product_id", Integer, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("actor", Text, primary_key=True),
    Column("hash", LargeBinary, nullable=False),
    Column("approved_at", Moment, nullable=False),
)

# One erasure that was begun: it cannot be taken back, only finished.
erasure = Table(
    "erasure",
    metadata,
    Column("id", Text, primary_key=True),
    of_product(),
    Column("subscription_id", BigInteger, nullable=False),
    Column("round", Integer, nullable=False),
    Column("cause", Text, nullable=False),
    # The manifest that it was in; none where the person asked for it themselves.
    Column("manifest", Integer),
    Column("begun_at", Moment, nullable=False),
    Column("begun_by", Text, nullable=False),
    # When the first target was told, which endpoints hear of once.
    Column("requested_at", Moment),
    # When every target had answered, and when it was over.
    Column("answered_at", Moment),
    Column("ended_at", Moment),
    # The code of why it ended without erasing anything: billing charged again before it began to.
    Column("stopped", Text),
    # Its place in the ledger, which restored backups are compared with.
    Column("ledger_no", BigInteger, unique=True),
    # The signed proof of it.
    Column("certificate", JSONB),
    CheckConstraint("cause in ('schedule', 'request')", name="cause"),
    Index("erasure_subscription_idx", "subscription_id"),
    Index(
        "erasure_open_key",
        "subscription_id",
        unique=True,
        postgresql_where=text("ended_at is null"),
    ),
    Index("erasure_open_idx", "product_id", "begun_at", postgresql_where=text("ended_at is null")),
    Index("erasure_product_idx", "product_id", "begun_at"),
)

# What each target owes for an erasure: a receipt. Claimed by lease and fence, as effects are.
receipt = Table(
    "receipt",
    metadata,
    Column("erasure_id", Text, ForeignKey("erasure.id"), primary_key=True),
    Column("target_id", Integer, ForeignKey("target.id"), primary_key=True, autoincrement=False),
    of_product(),
    # It is told only once all others have answered.
    Column("last", Boolean, nullable=False),
    Column("state", Text, nullable=False),
    Column("not_before", Moment, nullable=False),
    Column("fence", Integer, nullable=False, server_default="0"),
    Column("lease_until", Moment),
    # How often it was told, and since when it is known to know.
    Column("tries", Integer, nullable=False, server_default="0"),
    Column("told_at", Moment),
    Column("error", Text),
    Column("given_at", Moment),
    # Its categories: those erased, and those kept with the ground and until when.
    Column("body", JSONB),
    CheckConstraint("state in ('due', 'claimed', 'told', 'given', 'parked')", name="state"),
    CheckConstraint("(body is not null) = (state = 'given')", name="body"),
    Index(
        "receipt_due_idx",
        "product_id",
        "not_before",
        postgresql_where=text("state in ('due', 'told')"),
    ),
    Index("receipt_lease_idx", "lease_until", postgresql_where=text("state = 'claimed'")),
    Index("receipt_parked_idx", "product_id", postgresql_where=text("state = 'parked'")),
)

# Who was erased is not brought back: known by a keyed hash of what billing called them. Who has
# subscribed anew under the same id, and was erased again, has two.
tombstone = Table(
    "tombstone",
    metadata,
    of_product(primary_key=True),
    Column("mark", LargeBinary, primary_key=True),
    Column("subscription_id", BigInteger, primary_key=True, autoincrement=False),
    Column("erased_at", Moment, nullable=False),
    Index("tombstone_subscription_idx", "subscription_id"),
)

# What is to be kept all the same, for as long as its clock says. Anybody of ours may add to it, and
# only the role `reconfirm_archivist` may read it (migration 0015).
archive = Table(
    "archive",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    of_product(),
    Column("erasure_id", Text, ForeignKey("erasure.id"), nullable=False),
    Column("category", Text, nullable=False),
    Column("body", JSONB, nullable=False),
    Column("keep_until", Date, nullable=False),
    UniqueConstraint("erasure_id", "category"),
    Index("archive_until_idx", "keep_until"),
)
