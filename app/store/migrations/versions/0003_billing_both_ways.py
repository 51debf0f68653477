"""Billing both ways: what a connector is told, and what is read back from billing."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "product",
        sa.Column(
            "billing_settings",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default="{}",
            nullable=False,
        ),
    )
    op.add_column(
        "sandbox_charge",
        sa.Column("refunded", sa.BigInteger(), server_default="0", nullable=False),
    )
    op.create_table(
        "look",
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("external_id", sa.Text(), nullable=False),
        sa.Column("wanted_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("not_before", sa.DateTime(timezone=True), nullable=False),
        sa.Column("hints", sa.Integer(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("error", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(["product_id"], ["product.id"], name=op.f("look_product_id_fkey")),
        sa.PrimaryKeyConstraint("product_id", "external_id", name=op.f("look_pkey")),
    )
    op.create_index("look_due_idx", "look", ["product_id", "not_before", "external_id"])
