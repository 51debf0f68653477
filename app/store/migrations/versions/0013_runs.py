"""Runs: what a day of sweeps did, and what a person said about it."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

SAID = ("paused", "stopped")


def upgrade() -> None:
    op.alter_column("ramp", "backlog", nullable=True)
    for name in SAID:
        op.add_column("ramp", sa.Column(f"{name}_at", sa.DateTime(timezone=True), nullable=True))
        op.add_column("ramp", sa.Column(f"{name}_by", sa.Text(), nullable=True))
        op.add_column("ramp", sa.Column(f"{name}_why", sa.Text(), nullable=True))
    op.create_table(
        "run",
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("day", sa.Date(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("step", sa.SmallInteger(), nullable=True),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actors", postgresql.JSONB(), nullable=False),
        sa.Column("asked", sa.Integer(), nullable=False),
        sa.Column("reminded", sa.Integer(), nullable=False),
        sa.Column("suspended", sa.Integer(), nullable=False),
        sa.Column("canceled", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("run_product_id_fkey")),
        sa.PrimaryKeyConstraint("product_id", "number", name=op.f("run_pkey")),
        postgresql_with={"fillfactor": 50},
    )
    op.create_index(
        "run_day_key",
        "run",
        ["product_id", "day", "version", sa.text("coalesce(step, -1)")],
        unique=True,
    )
    op.create_table(
        "run_undo",
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("run", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("wanted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("wanted", sa.Integer(), nullable=False),
        sa.Column("withdrawn", sa.Integer(), nullable=False),
        sa.Column("cursor", sa.BigInteger(), nullable=False),
        sa.Column("since_start", sa.Integer(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("run_undo_product_id_fkey")
        ),
        sa.PrimaryKeyConstraint("product_id", "run", name=op.f("run_undo_pkey")),
    )
    op.create_index(
        "run_undo_open_idx",
        "run_undo",
        ["product_id", "run"],
        postgresql_where=sa.text("ended_at is null"),
    )
    # A few pages for each gigabyte of rounds, and nothing to be kept where one is asked.
    op.create_index(
        "reconfirmation_opened_idx",
        "reconfirmation",
        ["opened_at"],
        postgresql_using="brin",
        postgresql_with={"pages_per_range": 32, "autosummarize": True},
    )


def downgrade() -> None:
    op.drop_index("reconfirmation_opened_idx", "reconfirmation")
    op.drop_table("run_undo")
    op.drop_table("run")
    for name in SAID:
        for what in ("at", "by", "why"):
            op.drop_column("ramp", f"{name}_{what}")
    op.execute("delete from ramp where backlog is null")
    op.alter_column("ramp", "backlog", nullable=False)
