"""What a product is, and what its people decided: brand, policies, feeds, keys, brake, pace."""

from sqlalchemy import (
    BigInteger,
    Boolean,
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
    of_product(primary_key=True),
    # As #rrggbb; empty for ours.
    Column("color", Text, nullable=False, server_default=""),
    Column("logo", LargeBinary),
    # A list of [notice, language, sentence].
    Column("words", JSONB, nullable=False, server_default="[]"),
)

policy = Table(
    "policy",
    metadata,
    of_product(primary_key=True),
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
    of_product(primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("actor", Text, primary_key=True),
    Column("approved_at", Moment, nullable=False),
)

# How far everybody has been looked at anew for a policy that may ask them earlier: ids up to
# `after_id`, of those from `first_id` to `last_id` that there were when it began.
plan = Table(
    "plan",
    metadata,
    of_product(primary_key=True),
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
    of_product(primary_key=True),
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
    of_product(),
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
    of_product(),
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
    of_product(primary_key=True),
    Column("day", Date, primary_key=True),
    Column("taken", Integer, nullable=False),
)

ramp = Table(
    "ramp",
    metadata,
    of_product(primary_key=True),
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
    of_product(primary_key=True),
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
    of_product(primary_key=True),
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
    # Whether whom it stopped is to be resumed at once, and who agreed: nobody is before that.
    Column("resume", Boolean, nullable=False, server_default="false"),
    Column("agreed_by", Text),
    Column("agreed_at", Moment),
    # How many were told that it was a mistake, and how many billing was told to resume; of how
    # many nothing is erased any more.
    Column("apologized", Integer, nullable=False, server_default="0"),
    Column("resumed", Integer, nullable=False, server_default="0"),
    Column("spared", Integer, nullable=False, server_default="0"),
    Index("run_undo_open_idx", "product_id", "run", postgresql_where=text("ended_at is null")),
)
