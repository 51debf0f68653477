"""Counts, for the forecast."""

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
    Numeric,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.store.tables.base import Moment, metadata, of_product

# Subscriptions that a policy cannot tell apart; plan and country are empty in the rows that sum
# over both, for policies that do not ask for them.
count_part = Table(
    "count_part",
    metadata,
    Column("id", Integer, Identity(), primary_key=True),
    of_product(),
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
    of_product(),
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
    of_product(primary_key=True),
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
