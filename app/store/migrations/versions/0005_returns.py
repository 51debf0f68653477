"""Returns: addresses that are not written to any more, by a keyed hash and never in the clear."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "suppression",
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("mark", sa.LargeBinary(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("added_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "reason in ('bounced', 'complained', 'by_hand')", name=op.f("suppression_reason_check")
        ),
        sa.ForeignKeyConstraint(
            ["product_id"], ["product.id"], name=op.f("suppression_product_id_fkey")
        ),
        sa.PrimaryKeyConstraint("product_id", "mark", name=op.f("suppression_pkey")),
    )


def downgrade() -> None:
    op.drop_table("suppression")
