"""What the last folds changed, so that sums which somebody keeps are patched and not made anew."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "count_change",
        sa.Column("product_id", sa.Integer(), nullable=False),
        sa.Column("fold", sa.BigInteger(), nullable=False),
        sa.Column("part_id", sa.Integer(), nullable=False),
        sa.Column("used", sa.Boolean(), nullable=False),
        sa.Column("since", sa.Date(), nullable=False),
        sa.Column("people", sa.BigInteger(), nullable=False),
        sa.Column("amount", sa.Numeric(), nullable=False),
    )
    op.create_index("count_change_fold_idx", "count_change", ["product_id", "fold"])
    op.add_column(
        "count_state",
        sa.Column("changes_from", sa.BigInteger(), server_default="0", nullable=False),
    )
    op.execute("update count_state set changes_from = folds")


def downgrade() -> None:
    op.drop_column("count_state", "changes_from")
    op.drop_table("count_change")
