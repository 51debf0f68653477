"""Reconciliation: what the nightly comparison writes, and the acts that billing never confirmed."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "reconciliation", sa.Column("walked_back_at", sa.DateTime(timezone=True), nullable=True)
    )
    op.create_index(
        "reconfirmation_acted_idx",
        "reconfirmation",
        ["product_id", "decided_at", "subscription_id"],
        postgresql_where=sa.text(
            "latest and decided_by is distinct from 'billing'"
            " and (outcome = 'resumed'"
            " or (outcome is null and stage in ('suspended', 'canceled')))"
        ),
    )


def downgrade() -> None:
    op.drop_index("reconfirmation_acted_idx", "reconfirmation")
    op.drop_column("reconciliation", "walked_back_at")
