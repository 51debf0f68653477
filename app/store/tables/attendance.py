"""The console: who works in it."""

from sqlalchemy import (
    Column,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB

from app.store.tables.base import Moment, metadata

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
