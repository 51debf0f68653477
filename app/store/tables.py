"""The tables.

Only `subscription`, `contact`, `unknown_usage`, the raw bodies of `inbox` and the bodies of
`webhook` name a person. `evidence` says what somebody was told, and names them by the internal id
only: it is deleted when they are erased.

A subscription's row mirrors billing and holds the day of last use; it carries no stage, so that
asking a million people inserts short rows and updates no wide ones. Rounds are keyed by
(subscription, number), so that nothing inserted in bulk needs its key read back.
"""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Numeric,
    SmallInteger,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

metadata = MetaData(
    naming_convention={
        "pk": "%(table_name)s_pkey",
        "uq": "%(table_name)s_%(column_0_N_name)s_key",
        "fk": "%(table_name)s_%(column_0_N_name)s_fkey",
        "ck": "%(table_name)s_%(constraint_name)s_check",
    }
)
Moment = DateTime(timezone=True)


def _product(*, primary_key: bool = False) -> Column[int]:
    return Column(
        "product_id",
        Integer,
        ForeignKey("product.id"),
        nullable=False,
        primary_key=primary_key,
        autoincrement=False,
    )


product = Table(
    "product",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("key", Text, nullable=False, unique=True),
    Column("name", Text, nullable=False),
    Column("billing", Text, nullable=False),
    Column("from_address", Text, nullable=False, server_default=""),
    Column("reply_to", Text, nullable=False, server_default=""),
    Column("support_url", Text, nullable=False, server_default=""),
    Column("app_url", Text, nullable=False, server_default=""),
    Column("locale", Text, nullable=False, server_default="en"),
    Column("timezone", Text, nullable=False, server_default="UTC"),
    Column("billing_key_file", Text, nullable=False, server_default=""),
    # What else the connector of the product has been told, by name.
    Column("billing_settings", JSONB, nullable=False, server_default="{}"),
    # How its mails are signed, and where bounces go, by name.
    Column("mail_settings", JSONB, nullable=False, server_default="{}"),
    Column("approvals", SmallInteger, nullable=False, server_default="1"),
    Column("signing_secrets", JSONB, nullable=False, server_default="[]"),
    Column("policy_version", Integer),
    Column("created_at", Moment, nullable=False),
)

# What a product made its own in its notices and pages; without a row it is ours.
brand = Table(
    "brand",
    metadata,
    _product(primary_key=True),
    # As #rrggbb; empty for ours.
    Column("color", Text, nullable=False, server_default=""),
    Column("logo", LargeBinary),
    # A list of [notice, language, sentence].
    Column("words", JSONB, nullable=False, server_default="[]"),
)

policy = Table(
    "policy",
    metadata,
    _product(primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("body", JSONB, nullable=False),
    Column("proposed_by", Text, nullable=False),
    Column("proposed_at", Moment, nullable=False),
    Column("activated_by", Text),
    Column("activated_at", Moment),
    # The version in force when it was proposed; none before the first.
    Column("based_on", Integer),
    # What a form or a call names itself by, so that sending it twice proposes once.
    Column("once", Text),
    # What it was expected to do, as `app.forecast` said it when it was proposed.
    Column("forecast", JSONB),
    # When it is to be put in force, by whom; and the code of why that could not be done.
    Column("activate_at", Moment),
    Column("activate_by", Text),
    Column("put_off", Text),
    Column("withdrawn_by", Text),
    Column("withdrawn_at", Moment),
    Index(
        "policy_once_key",
        "product_id",
        "once",
        unique=True,
        postgresql_where=text("once is not null"),
    ),
    Index(
        "policy_scheduled_key",
        "product_id",
        unique=True,
        postgresql_where=text("activate_at is not null"),
    ),
)

policy_approval = Table(
    "policy_approval",
    metadata,
    _product(primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("actor", Text, primary_key=True),
    Column("approved_at", Moment, nullable=False),
)

# How far everybody has been looked at anew for a policy that may ask them earlier: ids up to
# `after_id`, of those from `first_id` to `last_id` that there were when it began.
plan = Table(
    "plan",
    metadata,
    _product(primary_key=True),
    Column("version", Integer, nullable=False),
    Column("first_id", BigInteger, nullable=False),
    Column("after_id", BigInteger, nullable=False),
    Column("last_id", BigInteger, nullable=False),
    Column("began_at", Moment, nullable=False),
    Column("finished_at", Moment),
)

# Whom a version would ask at once, where that is more than one person may decide: read and approved
# by somebody else before anybody is asked. `done_at`: all of it has been looked at.
ask_list = Table(
    "ask_list",
    metadata,
    _product(primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("made_at", Moment, nullable=False),
    Column("people", Integer, nullable=False),
    Column("hash", Text, nullable=False),
    Column("approved_by", Text),
    Column("approved_at", Moment),
    Column("done_at", Moment),
)

ask_listed = Table(
    "ask_listed",
    metadata,
    Column("product_id", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("subscription_id", BigInteger, primary_key=True, autoincrement=False),
    Column("why", Text, nullable=False),
)

feed = Table(
    "feed",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    _product(),
    Column("name", Text, nullable=False),
    Column("covers_from", Date),
    Column("covers_until", Date),
    Column("created_at", Moment, nullable=False),
    Column("retired_at", Moment),
    UniqueConstraint("product_id", "name"),
)

apikey = Table(
    "apikey",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    _product(),
    Column("hash", LargeBinary, nullable=False, unique=True),
    Column("hint", Text, nullable=False),
    Column("scope", Text, nullable=False),
    Column("feed_id", Integer, ForeignKey("feed.id")),
    Column("created_at", Moment, nullable=False),
    Column("revoked_at", Moment),
)

brake = Table(
    "brake",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    Column("product_id", Integer, ForeignKey("product.id")),
    Column("cause", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("set_at", Moment, nullable=False),
    Column("lifted_at", Moment),
    Column("lifted_by", Text),
    Index(
        "brake_on_key",
        text("coalesce(product_id, 0)"),
        "cause",
        unique=True,
        postgresql_where=text("lifted_at is null"),
    ),
)

quota = Table(
    "quota",
    metadata,
    _product(primary_key=True),
    Column("day", Date, primary_key=True),
    Column("taken", Integer, nullable=False),
)

ramp = Table(
    "ramp",
    metadata,
    _product(primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    # None where somebody paused or stopped it before it was counted.
    Column("backlog", Integer),
    Column("step", Integer, nullable=False),
    Column("opened", Integer, nullable=False),
    Column("handed_over_at", Moment),
    Column("paused_at", Moment),
    Column("paused_by", Text),
    Column("paused_why", Text),
    # Final for the version, until it is activated anew.
    Column("stopped_at", Moment),
    Column("stopped_by", Text),
    Column("stopped_why", Text),
)

# What the sweeps of a day did under one version of the policy and one step of its ramp, if there is
# one. Whose rounds began in it is not kept: they are found by their version and by when they began.
run = Table(
    "run",
    metadata,
    _product(primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("day", Date, nullable=False),
    Column("version", Integer, nullable=False),
    Column("step", SmallInteger),
    Column("first_at", Moment, nullable=False),
    Column("last_at", Moment, nullable=False),
    # Who swept, such as ["clock", "cli:eve"].
    Column("actors", JSONB, nullable=False),
    Column("asked", Integer, nullable=False),
    Column("reminded", Integer, nullable=False),
    # Billing was to be told so.
    Column("suspended", Integer, nullable=False),
    Column("canceled", Integer, nullable=False),
    Index("run_day_key", "product_id", "day", "version", text("coalesce(step, -1)"), unique=True),
    # One row is written again with every batch: the new one finds room beside it.
    postgresql_with={"fillfactor": 50},
)

# A run that is being taken back, or was. A row of its own, since that of the run is hot.
run_undo = Table(
    "run_undo",
    metadata,
    _product(primary_key=True),
    Column("run", Integer, primary_key=True, autoincrement=False),
    Column("actor", Text, nullable=False),
    Column("wanted_at", Moment, nullable=False),
    # How many rounds could be withdrawn when it began, and how many have been.
    Column("wanted", Integer, nullable=False),
    Column("withdrawn", Integer, nullable=False),
    # The subscription up to which it has come, and how many it withdrew since it last began at the
    # first one: it has ended when there are none.
    Column("cursor", BigInteger, nullable=False),
    Column("since_start", Integer, nullable=False),
    Column("ended_at", Moment),
    Index("run_undo_open_idx", "product_id", "run", postgresql_where=text("ended_at is null")),
)

subscription = Table(
    "subscription",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _product(),
    Column("external_id", Text, nullable=False),
    Column("customer", Text),
    Column("status", Text, nullable=False),
    Column("plan", Text, nullable=False),
    Column("country", Text, nullable=False),
    Column("interval", Text, nullable=False),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("started_on", Date, nullable=False),
    Column("renews_at", Moment),
    Column("last_used_on", Date),
    Column("told", LargeBinary, nullable=False),
    # When billing says that it was so: what it tells later about an earlier moment is stale.
    Column("told_at", Moment),
    UniqueConstraint("product_id", "external_id"),
    Index(
        "subscription_customer_idx",
        "product_id",
        "customer",
        postgresql_where=text("customer is not null"),
    ),
    postgresql_with={"fillfactor": 90},
)

contact = Table(
    "contact",
    metadata,
    Column("subscription_id", BigInteger, ForeignKey("subscription.id"), primary_key=True),
    Column("email", Text),
    Column("locale", Text, nullable=False),
    Column("timezone", Text, nullable=False),
    Column("reach", Text, nullable=False),
    # Whoever helps somebody on the phone finds them by their address.
    Index("contact_email_idx", text("lower(email)")),
)

reconfirmation = Table(
    "reconfirmation",
    metadata,
    Column("subscription_id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("product_id", Integer, nullable=False),
    Column("latest", Boolean, nullable=False),
    Column("wake_at", Moment),
    Column("stage", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("opened_at", Moment, nullable=False),
    Column("version", Integer, nullable=False),
    Column("segment", SmallInteger),
    Column("outcome", Text),
    Column("closed_at", Moment),
    Column("used_known", Date),
    Column("stated_by", Date),
    Column("asked_at", Moment),
    Column("answer_by", Moment),
    Column("reminded", SmallInteger, nullable=False),
    Column("quiet", Boolean, nullable=False),
    Column("word", Text),
    Column("word_at", Moment),
    Column("reason", Text),
    Column("doubted_until", Moment),
    Column("act", Text),
    Column("act_version", Integer, nullable=False),
    Column("act_state", Text),
    Column("act_at", Moment),
    Column("decided_by", Text),
    Column("decided_at", Moment),
    Column("paid_until", Moment),
    Column("erase_on", Date),
    Column("welcomed_at", Moment),
    Column("review_at", Moment),
    Column("links", Integer, nullable=False, server_default="0"),
    Column("linked_at", Moment),
    Column("erase_at", Moment),
    Index(
        "reconfirmation_open_key",
        "subscription_id",
        unique=True,
        postgresql_where=text("outcome is null"),
    ),
    Index(
        "reconfirmation_wake_idx",
        "product_id",
        "wake_at",
        "subscription_id",
        postgresql_where=text("wake_at is not null"),
    ),
    Index(
        "reconfirmation_unreachable_idx",
        "product_id",
        "subscription_id",
        postgresql_where=text("latest and outcome = 'unreachable'"),
    ),
    # Whom an act of ours has stopped, canceled or resumed: billing owes its own word of it.
    Index(
        "reconfirmation_acted_idx",
        "product_id",
        "decided_at",
        "subscription_id",
        postgresql_where=text(
            "latest and decided_by is distinct from 'billing'"
            " and (outcome = 'resumed'"
            " or (outcome is null and stage in ('suspended', 'canceled')))"
        ),
    ),
    # Which rounds began on a day. Of ranges of pages: it costs next to nothing to keep.
    Index(
        "reconfirmation_opened_idx",
        "opened_at",
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 32, "autosummarize": True},
    ),
    postgresql_with={"fillfactor": 80},
)

timer = Table(
    "timer",
    metadata,
    Column("product_id", Integer, primary_key=True, autoincrement=False),
    Column("due_at", Moment, primary_key=True),
    Column("subscription_id", BigInteger, primary_key=True, autoincrement=False),
)

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

history = Table(
    "history",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    Column("product_id", Integer, nullable=False),
    Column("subscription_id", BigInteger),
    Column("round", Integer),
    Column("at", Moment, nullable=False),
    Column("what", Text, nullable=False),
    Column("why", Text, nullable=False),
    Column("version", Integer),
    Column("actor", Text, nullable=False),
    # Filled by the sealer that chains a product's entries afterwards, in batches.
    Column("sealed_no", BigInteger),
    Column("previous_hash", LargeBinary),
    Column("hash", LargeBinary),
    Index("history_subscription_idx", "subscription_id", "id"),
)

unknown_usage = Table(
    "unknown_usage",
    metadata,
    _product(primary_key=True),
    Column("external_id", Text, primary_key=True),
    Column("last_used_on", Date, nullable=False),
)

clock = Table(
    "clock",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("now", Moment, nullable=False),
    # Where the scheduler is to walk to, and the finest step in which it does so.
    Column("until", Moment),
    Column("step_seconds", Integer),
    CheckConstraint("one", name="one"),
)

# Cases that somebody wants a person to look at: codes only, at most one open a subscription.
review = Table(
    "review",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _product(),
    Column("subscription_id", BigInteger, nullable=False),
    Column("round", Integer, nullable=False),
    Column("asked_at", Moment, nullable=False),
    Column("reason", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("done_at", Moment),
    Column("done_by", Text),
    Column("outcome", Text),
    # The day by which it must be done; only where somebody asked to be erased.
    Column("due_on", Date),
    CheckConstraint("state in ('open', 'done', 'withdrawn')", name="state"),
    CheckConstraint(
        "reason in ('wrong_charge', 'in_use', 'not_mine', 'other', 'erase')", name="reason"
    ),
    CheckConstraint(
        "outcome in ('put_right', 'as_it_should_be', 'settled_directly', 'erased_by_hand',"
        " 'erasure_refused_legal', 'erasure_refused_dispute', 'erasure_refused_restriction')",
        name="outcome",
    ),
    CheckConstraint("(due_on is not null) = (reason = 'erase')", name="due"),
    Index(
        "review_open_key",
        "subscription_id",
        text("(reason = 'erase')"),
        unique=True,
        postgresql_where=text("state = 'open'"),
    ),
    Index("review_open_idx", "product_id", "asked_at", postgresql_where=text("state = 'open'")),
    Index("review_subscription_idx", "subscription_id", "id"),
    Index("review_product_idx", "product_id", "id"),
)

# The fresh links mailed to who wants to be erased: what makes one good, never the link itself.
fresh_link = Table(
    "fresh_link",
    metadata,
    Column("subscription_id", BigInteger, primary_key=True, autoincrement=False),
    Column("round", Integer, primary_key=True, autoincrement=False),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("asked_at", Moment, nullable=False),
    # On the wall clock: when it was made to be mailed, and when it was used.
    Column("made_at", Moment),
    Column("used_at", Moment),
)

# --- billing ------------------------------------------------------------------------------------

look = Table(
    "look",
    metadata,
    _product(primary_key=True),
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
    _product(primary_key=True),
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
    _product(primary_key=True),
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
    _product(),
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

# --- the running service ---------------------------------------------------------------------

leader = Table(
    "leader",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    # Counts the leaders there have been: what an earlier one still says is out of date.
    Column("term", BigInteger, nullable=False),
    Column("backend", Integer, nullable=False),
    Column("seen_at", Moment, nullable=False),
    CheckConstraint("one", name="one"),
)

job_run = Table(
    "job_run",
    metadata,
    _product(primary_key=True),
    Column("job", Text, primary_key=True),
    # The life moment it worked at; the wall clock when it began and ended.
    Column("at", Moment, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("finished_at", Moment, nullable=False),
    Column("did", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    # Whether it ended because nothing was left that it may do now.
    Column("idle", Boolean, nullable=False),
    Column("stopped", Text),
)

pulse = Table(
    "pulse",
    metadata,
    _product(primary_key=True),
    Column("day", Date, primary_key=True),
    Column("what", Text, primary_key=True),
    Column("many", BigInteger, nullable=False),
)

inbox = Table(
    "inbox",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    _product(),
    Column("source", Text, nullable=False),
    Column("message_id", Text, nullable=False),
    Column("type", Text),
    Column("event_at", Moment),
    Column("received_at", Moment, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("tries", SmallInteger, nullable=False, server_default="0"),
    Column("body", LargeBinary),
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
)

endpoint = Table(
    "endpoint",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    _product(),
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
    _product(),
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
    _product(primary_key=True),
    # A keyed hash of the address: it is found again by whoever has the address, and by nobody else.
    Column("mark", LargeBinary, primary_key=True),
    Column("reason", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("added_at", Moment, nullable=False),
    CheckConstraint("reason in ('bounced', 'complained', 'by_hand')", name="reason"),
)

# --- the sandbox: a stand-in for a billing system, which happens to live in the same database ---

sandbox_account = Table(
    "sandbox_account",
    metadata,
    Column("product_key", Text, primary_key=True),
    Column("external_id", Text, primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("interval", Text, nullable=False),
    Column("anchor", Moment, nullable=False),
    Column("renews_at", Moment, nullable=False),
    Column("paid_until", Moment, nullable=False),
    Column("state", Text, nullable=False),
    Index("sandbox_renewal_idx", "renews_at", postgresql_where=text("state <> 'ended'")),
)

sandbox_charge = Table(
    "sandbox_charge",
    metadata,
    Column("product_key", Text, primary_key=True),
    Column("external_id", Text, primary_key=True),
    Column("charged_at", Moment, primary_key=True),
    Column("amount", BigInteger, nullable=False),
    Column("currency", Text, nullable=False),
    Column("refunded", BigInteger, nullable=False, server_default="0"),
)

sandbox_act = Table(
    "sandbox_act",
    metadata,
    Column("product_key", Text, primary_key=True),
    Column("idempotency_key", Text, primary_key=True),
    Column("external_id", Text, nullable=False),
    Column("act", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("state", Text, nullable=False),
    Column("paid_until", Moment),
    Column("replays", Integer, nullable=False),
)

# --- evidence: what each notice said -------------------------------------------------------------

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

# --- counts: for the forecast ---------------------------------------------------------------------

# Subscriptions that a policy cannot tell apart; plan and country are empty in the rows that sum
# over both, for policies that do not ask for them.
count_part = Table(
    "count_part",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    _product(),
    Column("plan", Text, nullable=False),
    Column("country", Text, nullable=False),
    Column("interval", Text, nullable=False),
    Column("currency", Text, nullable=False),
    UniqueConstraint("product_id", "plan", "country", "interval", "currency"),
)

# How many of a part stand at each day that inactivity counts from, and what they pay together.
count_day = Table(
    "count_day",
    metadata,
    Column("part_id", Integer, ForeignKey("count_part.id"), primary_key=True, autoincrement=False),
    Column("used", Boolean, primary_key=True, autoincrement=False),
    Column("since", Date, primary_key=True, autoincrement=False),
    Column("people", BigInteger, nullable=False),
    Column("amount", Numeric, nullable=False),
)

# What statements changed and nobody has folded yet. Written by triggers of `subscription` (see
# migration 0009), so that no writer can forget it. No key and no foreign key: only ever added.
count_delta = Table(
    "count_delta",
    metadata,
    Column("product_id", Integer, nullable=False),
    Column("plan", Text, nullable=False),
    Column("country", Text, nullable=False),
    Column("interval", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("used", Boolean, nullable=False),
    Column("since", Date, nullable=False),
    Column("people", BigInteger, nullable=False),
    Column("amount", Numeric, nullable=False),
)
# Where rows of both are written or deleted in the order of the tables, this one comes first.
subscription.add_is_dependent_on(count_delta)

# What the last few folds changed in `count_day`, by plan and country only: whoever keeps sums of an
# earlier fold adds these instead of reading all counts again. No key: only added, and then deleted.
count_change = Table(
    "count_change",
    metadata,
    Column("product_id", Integer, nullable=False),
    Column("fold", BigInteger, nullable=False),
    Column("part_id", Integer, nullable=False),
    Column("used", Boolean, nullable=False),
    Column("since", Date, nullable=False),
    Column("people", BigInteger, nullable=False),
    Column("amount", Numeric, nullable=False),
    Index("count_change_fold_idx", "product_id", "fold"),
)

# Whom a threshold alone does not decide about, as of last night: `out` is not asked at all now,
# `peace` was left in peace on `closed_on`, and `free` differs by its next charge only.
count_apart = Table(
    "count_apart",
    metadata,
    _product(),
    Column("plan", Text, nullable=False),
    Column("country", Text, nullable=False),
    Column("interval", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("used", Boolean, nullable=False),
    Column("since", Date, nullable=False),
    Column("state", Text, nullable=False),
    Column("closed_on", Date),
    Column("charge_on", Date),
    Column("people", BigInteger, nullable=False),
    Column("amount", Numeric, nullable=False),
    CheckConstraint("state in ('out', 'peace', 'free')", name="state"),
    Index("count_apart_product_idx", "product_id"),
)

count_state = Table(
    "count_state",
    metadata,
    _product(primary_key=True),
    # How often deltas were folded: what was read before is good for as long as it stays.
    Column("folds", BigInteger, nullable=False, server_default="0"),
    # What every later fold changed stands in `count_change`.
    Column("changes_from", BigInteger, nullable=False, server_default="0"),
    Column("nights", BigInteger, nullable=False, server_default="0"),
    # When `count_apart` was written, how many days stand in it as one, and what past asks came to.
    Column("apart_at", Moment),
    Column("grain", Integer, nullable=False, server_default="1"),
    Column("past", JSONB, nullable=False, server_default="{}"),
    Column("checked_at", Moment),
    Column("drift", BigInteger),
)

# --- the console: who works in it ----------------------------------------------------------------

console_person = Table(
    "console_person",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    # A hash of who they are at the identity provider, or of the name a one-time link was given.
    Column("subject", LargeBinary, nullable=False, unique=True),
    # The actor in history: a code, given at the first sign-in and never changed.
    Column("name", Text, nullable=False, unique=True),
    # Such as ["viewer", "tv:editor"].
    Column("roles", JSONB, nullable=False),
    Column("seen_at", Moment, nullable=False),
)

# Moments are on the wall clock. Only the hash of the cookie is kept.
console_session = Table(
    "console_session",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("person_id", Integer, ForeignKey("console_person.id"), nullable=False),
    Column("began_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    # When they last proved who they are.
    Column("fresh_at", Moment, nullable=False),
    Column("language", Text, nullable=False, server_default=""),
    Index("console_session_person_idx", "person_id"),
)

# One-time links that wait to be used; a used one is deleted.
console_link = Table(
    "console_link",
    metadata,
    Column("hash", LargeBinary, primary_key=True),
    Column("name", Text, nullable=False),
    Column("roles", JSONB, nullable=False),
    Column("expires_at", Moment, nullable=False),
)
