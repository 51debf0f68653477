"""Who is subscribed, and what became of asking them: the only rooms that name a person."""

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

from app.store.tables.base import Moment, metadata, of_product

subscription = Table(
    "subscription",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    of_product(),
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
    # What billing went on telling (empty: none) when the person corrected their address. Until it
    # tells another one, theirs holds; none where the address is billing's own.
    Column("told_email", Text),
    # When they corrected it themselves, by a link: for some days no further link is mailed.
    Column("corrected_at", Moment),
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
    Column("warned", SmallInteger, nullable=False, server_default="0"),
    Column("warnings", SmallInteger, nullable=False, server_default="0"),
    Column("warned_from", Date),
    Column("warned_on", Date),
    Column("erasing", Text),
    Column("erasing_at", Moment),
    # Since when its run is taken back, and when that was put right for whom it stopped.
    Column("undone_at", Moment),
    Column("amended_at", Moment),
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
    # Whose data is scheduled to be erased, the first day first.
    Index(
        "reconfirmation_erase_idx",
        "product_id",
        "erase_on",
        "subscription_id",
        postgresql_where=text("outcome is null and erase_on is not null"),
    ),
    # Who asked to be erased themselves.
    Index(
        "reconfirmation_wish_idx",
        "product_id",
        "erase_at",
        "subscription_id",
        postgresql_where=text("latest and erase_at is not null"),
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
    Index("history_subscription_idx", "subscription_id", "id"),
)

unknown_usage = Table(
    "unknown_usage",
    metadata,
    of_product(primary_key=True),
    Column("external_id", Text, primary_key=True),
    Column("last_used_on", Date, nullable=False),
)

# Cases that somebody wants a person to look at: codes only, at most one open a subscription.
review = Table(
    "review",
    metadata,
    Column("id", BigInteger, Identity(), primary_key=True),
    of_product(),
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
        "reason in ('wrong_charge', 'in_use', 'not_mine', 'other', 'objection', 'restriction',"
        " 'erase')",
        name="reason",
    ),
    CheckConstraint(
        "outcome in ('put_right', 'as_it_should_be', 'settled_directly', 'erased',"
        " 'erased_by_hand', 'erasure_refused_legal', 'erasure_refused_dispute',"
        " 'erasure_refused_restriction')",
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

# The fresh links mailed to who wants to be erased, or to see what is held about them: what makes
# one good, never the link itself.
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
    # What it opens, and nothing else.
    Column("purpose", Text, nullable=False, server_default="erase"),
    CheckConstraint("purpose in ('erase', 'data')", name="purpose"),
)
