"""The sandbox: a stand-in for a billing system, which happens to live in the same database."""

from sqlalchemy import (
    BigInteger,
    Column,
    Index,
    Integer,
    Table,
    Text,
    text,
)

from app.store.tables.base import Moment, metadata

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
