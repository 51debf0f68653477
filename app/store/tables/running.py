"""The running service: its clock, its leader, its jobs."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    Date,
    Integer,
    Table,
    Text,
    text,
)

from app.store.tables.base import Moment, metadata, of_product

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
    of_product(primary_key=True),
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
    of_product(primary_key=True),
    Column("day", Date, primary_key=True),
    Column("what", Text, primary_key=True),
    Column("many", BigInteger, nullable=False),
)
