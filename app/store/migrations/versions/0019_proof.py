"""Proof: the sealed history, the ledger of erasures."""

import sqlalchemy as sa
from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sealed",
        sa.Column("history_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("no", sa.BigInteger(), nullable=False),
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("version", sa.SmallInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("history_id", name=op.f("sealed_pkey")),
    )
    op.create_table(
        "seal",
        sa.Column("product_id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("no", sa.BigInteger(), nullable=False),
        sa.Column("history_id", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("product_id", name=op.f("seal_pkey")),
    )
    op.create_table(
        "sealing",
        sa.Column("one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("upto", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("next", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("writers", sa.Text(), server_default="", nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint("one", name=op.f("sealing_one_check")),
        sa.PrimaryKeyConstraint("one", name=op.f("sealing_pkey")),
    )
    op.create_table(
        "ledger",
        sa.Column("no", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("erasure_id", sa.Text(), nullable=False),
        sa.Column("product", sa.Text(), nullable=False),
        sa.Column("cause", sa.Text(), nullable=False),
        sa.Column("mark", sa.LargeBinary(), nullable=False),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("previous_hash", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("no", name=op.f("ledger_pkey")),
        sa.UniqueConstraint("erasure_id", name=op.f("ledger_erasure_id_key")),
    )
    op.create_table(
        "installation",
        sa.Column("one", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("system", sa.Text(), nullable=False),
        sa.Column("database", sa.BigInteger(), nullable=False),
        sa.Column("timeline", sa.Integer(), nullable=False),
        sa.Column("stamped_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("restoring_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("restoring_from", sa.BigInteger(), nullable=True),
        sa.CheckConstraint("one", name=op.f("installation_one_check")),
        sa.PrimaryKeyConstraint("one", name=op.f("installation_pkey")),
    )
    # Nothing ever filled them; seals stand in a table of their own.
    op.drop_column("history", "hash")
    op.drop_column("history", "previous_hash")
    op.drop_column("history", "sealed_no")


def downgrade() -> None:
    op.add_column("history", sa.Column("sealed_no", sa.BigInteger(), nullable=True))
    op.add_column("history", sa.Column("previous_hash", sa.LargeBinary(), nullable=True))
    op.add_column("history", sa.Column("hash", sa.LargeBinary(), nullable=True))
    op.drop_table("installation")
    op.drop_table("ledger")
    op.drop_table("sealing")
    op.drop_table("seal")
    op.drop_table("sealed")
