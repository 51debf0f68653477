"""Proof: the seals over the history, the ledger of erasures, and which database this is."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    text,
)

from app.store.tables.base import Moment, metadata

# One narrow row a line of history, instead of columns in its wide one: sealing then only appends,
# where filling columns in afterwards would write every line of history twice.
sealed = Table(
    "sealed",
    metadata,
    Column("history_id", BigInteger, primary_key=True, autoincrement=False),
    # Its place in the chain of its product; lines of no product have a chain of their own (0).
    Column("no", BigInteger, nullable=False),
    Column("product_id", Integer, nullable=False),
    # Of the way in which the line was written for its hash.
    Column("version", SmallInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

# The end of each product's chain.
seal = Table(
    "seal",
    metadata,
    Column("product_id", Integer, primary_key=True, autoincrement=False),
    Column("no", BigInteger, nullable=False),
    Column("history_id", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    # On the wall clock.
    Column("at", Moment, nullable=False),
)

# How far sealing has come, and how far it may go once those have ended who were writing then.
sealing = Table(
    "sealing",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("upto", BigInteger, nullable=False, server_default="0"),
    Column("next", BigInteger, nullable=False, server_default="0"),
    Column("writers", Text, nullable=False, server_default=""),
    # On the wall clock.
    Column("at", Moment),
    CheckConstraint("one", name="one"),
)

# Every erasure that is over, without a gap and without a person: a restored backup is compared
# with it. The mark is a keyed hash of what billing called the subscription.
ledger = Table(
    "ledger",
    metadata,
    Column("no", BigInteger, primary_key=True, autoincrement=False),
    Column("erasure_id", Text, nullable=False, unique=True),
    Column("product", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("mark", LargeBinary, nullable=False),
    Column("ended_at", Moment, nullable=False),
    Column("previous_hash", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)

# Which database this is: a copy of it elsewhere is told by what it says here.
installation = Table(
    "installation",
    metadata,
    Column("one", Boolean, primary_key=True, server_default=text("true")),
    Column("system", Text, nullable=False),
    Column("database", BigInteger, nullable=False),
    Column("timeline", Integer, nullable=False),
    # On the wall clock.
    Column("stamped_at", Moment, nullable=False),
    # Since when a restored backup is being put right; None while nothing is.
    Column("restoring_since", Moment),
    # And which entry of the ledger was its last then.
    Column("restoring_from", BigInteger),
    CheckConstraint("one", name="one"),
)
